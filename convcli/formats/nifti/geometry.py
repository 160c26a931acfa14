"""Where a NIfTI's header says that its samples lie, made sure of: numbers that cannot be calculated with are set aside.

https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGEST = 1e30  # of a step or an entry of an affine: products of three still fit float32's range many times over
SFORM = ("srow_x", "srow_y", "srow_z")
QUATERNION = ("quatern_b", "quatern_c", "quatern_d")
OFFSETS = ("qoffset_x", "qoffset_y", "qoffset_z")


def mended(header: Any) -> tuple[str, ...]:
    """Set aside, in a header that nibabel has read, what cannot be calculated with; in words."""
    faults = []
    header["pixdim"][1:] = np.where(is_near(header["pixdim"][1:]) | is_used(header), header["pixdim"][1:], 0)
    steps = header["pixdim"][1 : header["dim"][0] + 1]
    if (wrong := ~is_near(steps) | (steps < 0)).any():
        faults.append(f"distances between samples of {', '.join(f'{step:g}' for step in steps[wrong])}")
        steps[wrong] = np.where(is_near(steps), np.abs(steps), 0)[wrong]  # 0 says nothing
    if header["sform_code"] and not is_sform(header):
        faults.append("an affine (sform) that is no transformation")
        header["sform_code"] = 0
    if header["qform_code"] and not is_qform(header):
        faults.append("a rotation (qform) that is none")
        header["qform_code"] = 0
    if not is_near(header["toffset"]):
        faults.append(f"a beginning of the time axis at {float(header['toffset']):g}")
        header["toffset"] = 0
    return tuple(faults)


def is_used(header: Any) -> Any:
    """True for each of the seven dimensions that the volume has."""
    return np.arange(1, 8) <= header["dim"][0]


def is_near(values: Any) -> Any:
    """True for each number that can be calculated with."""
    return np.isfinite(values) & (np.abs(values) < LARGEST)


def is_sform(header: Any) -> bool:
    """True for an affine that does not map all samples to a plane, a line or nowhere."""
    rows = np.array([header[name] for name in SFORM], np.float64)
    if not is_near(rows).all():
        return False
    axes = rows[:, :3] / np.maximum(np.abs(rows[:, :3]).max(axis=0), np.finfo(np.float64).tiny)
    return bool(abs(np.linalg.det(axes)) > 1e-6)


def is_qform(header: Any) -> bool:
    """True for a unit quaternion, of which three parts are stored, an offset, and steps along the axes."""
    steps = header["pixdim"][1:4][: header["dim"][0]]
    parts = np.array([header[name] for name in (*QUATERNION, *OFFSETS)], np.float64)
    return bool(is_near(parts).all() and (steps > 0).all() and np.square(parts[:3]).sum() <= 1 + 1e-6)
