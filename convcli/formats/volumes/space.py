"""Where the samples of a volume lie in space, as formats of medicine tell it.

The shared key `affine` has three rows of four numbers: they make of a sample's place (X, Y, Z, 1) its distance, in
millimetres, to the right, the front and the top, as NIfTI counts; DICOM, NRRD and MetaImage count to the left and back.
"""

from __future__ import annotations

from math import isclose

import numpy as np

from convcli.formats.pixels import Array
from convcli.formats.units import LEAST, LENGTHS, MOST
from convcli.image import ImageInfo

OPPOSITE = np.array([[-1.0], [-1.0], [1.0]])
"""Times an affine: of one that counts to the left and back, one that counts to the right and front, and the reverse."""
SHEAR = 1e-4  # of the cosine between two axes


def kept_affine(matrix: Array) -> dict[str, tuple[tuple[float, ...], ...]]:
    """An affine under its key; nothing for one that is no transformation.

    >>> kept_affine(np.eye(3, 4))
    {'affine': ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))}
    >>> kept_affine(np.zeros((3, 4)))
    {}
    """
    return {"affine": tuple(tuple(row) for row in matrix.tolist())} if is_affine(matrix) else {}


def is_affine(matrix: Array) -> bool:
    """True for an affine that does not map all samples to a plane, a line or nowhere."""
    if not (np.isfinite(matrix) & (np.abs(matrix) < MOST)).all():
        return False
    steps = np.linalg.norm(matrix[:, :3], axis=0)
    return bool((steps > LEAST).all() and abs(np.linalg.det(matrix[:, :3] / np.maximum(steps, LEAST))) > 1e-6)


def affine_of(info: ImageInfo) -> Array | None:
    """The affine of the samples as they are now: fewer, farther apart or shifted, or as the user says."""
    if "affine" not in info.metadata:
        return None
    matrix = np.array(info.metadata["affine"], np.float64)
    for place, axis in enumerate("XYZ"):
        first, step = info.grid.get(axis, (0.0, 1.0))
        matrix[:, 3] += first * matrix[:, place]
        matrix[:, place] *= step
        length, unit = info.spacing.get(axis, (0.0, ""))
        here = float(np.linalg.norm(matrix[:, place]))
        if unit in LENGTHS and not isclose(length * LENGTHS[unit], here, rel_tol=1e-5):
            matrix[:, place] *= length * LENGTHS[unit] / here
    return matrix


def millimetres(info: ImageInfo) -> dict[str, float]:
    """The distance between samples along each axis of space that has one."""
    steps = {axis: info.steps[axis] for axis in "XYZ" if axis in info.steps}
    return {axis: step * LENGTHS[unit] for axis, (step, unit) in steps.items() if unit in LENGTHS}


def steps_of(matrix: Array, axes: str) -> dict[str, tuple[float, str]]:
    """The spacing that an affine tells, of the axes that an image has."""
    lengths = np.linalg.norm(matrix[:, :3], axis=0)
    return {axis: (float(step), "mm") for axis, step in zip("XYZ", lengths, strict=True) if axis in axes}


def is_sheared(matrix: Array) -> bool:
    """True where axes are not at right angles, which some formats cannot tell."""
    directions = matrix[:, :3] / np.linalg.norm(matrix[:, :3], axis=0)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() > SHEAR)
