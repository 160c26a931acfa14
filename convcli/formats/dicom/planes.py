"""Where the planes of DICOM pictures lie, and what makes measurements of their numbers.

A file holds one plane, or many with a description for each ("enhanced"). Source: DICOM PS3.3, C.7.6.2 (planes),
C.7.6.16 (functional groups), C.11.1 (rescaling).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array
from convcli.formats.units import LEAST, MOST
from convcli.formats.volumes.space import OPPOSITE, kept_affine
from convcli.records import record, replace

UNEVEN = 0.02  # of a step: positions are rounded to some digits
PARALLEL = 1e-3  # of the cosines of a direction


@record
class Plane:
    """One picture: the file that it is in, by its name, and its number there; what is said of it, where it is.

    `position` is of the first sample, `across` and `down` are directions of rows and of columns, to the left, back and
    top; `steps` are millimetres between rows and between columns. `scaling` is the line that makes measurements.
    """

    part: str
    frame: int
    position: tuple[float, ...] = ()
    across: tuple[float, ...] = ()
    down: tuple[float, ...] = ()
    steps: tuple[float, ...] = ()
    thickness: float = 0.0
    scaling: tuple[float, float] = (1.0, 0.0)

    @property
    def normal(self) -> Array:
        """The direction from a plane to the next."""
        return np.cross(self.across, self.down)

    @property
    def height(self) -> float:
        """How far along that direction it lies."""
        return float(self.normal @ np.array(self.position))

    @property
    def is_placed(self) -> bool:
        """True where all is said of its place."""
        return len(self.position) == len(self.across) == len(self.down) == 3 and len(self.steps) == 2


def planes_of(dataset: Any, part: str, count: int) -> list[Plane]:
    """The planes in a file, as it describes each."""
    offsets = numbers("GridFrameOffsetVector", dataset.get("GridFrameOffsetVector") or ())
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or ()), None)
    each = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if each and len(each) != count:
        raise corrupt("DICOM", f"{len(each)} of {count} frames are described")
    planes = [
        plane_of(
            [group for group in (each[frame] if each else None, shared) if group is not None], dataset, part, frame
        )
        for frame in range(count)
    ]
    if count == 1 or each:
        return planes
    if len(offsets) != count or not planes[0].is_placed:  # of a film, or of slices nobody knows where
        return [replace(plane, position=()) for plane in planes]
    start, normal = np.array(planes[0].position), planes[0].normal
    offsets = tuple(offset - offsets[0] for offset in offsets)
    return [
        replace(plane, position=tuple((start + normal * offset).tolist()))
        for plane, offset in zip(planes, offsets, strict=True)
    ]


def plane_of(groups: Sequence[Any], dataset: Any, part: str, frame: int) -> Plane:
    """One plane, by what is said of it alone, of all planes, or of the file."""

    def said(sequence: str, name: str) -> tuple[float, ...]:
        holders = [next(iter(group.get(sequence) or ()), None) for group in groups]
        held = [holder.get(name) for holder in (*holders, dataset) if holder is not None]
        value = next((value for value in held if value is not None and value != ""), ())
        return numbers(name, value)

    orientation = said("PlaneOrientationSequence", "ImageOrientationPatient")
    steps = said("PixelMeasuresSequence", "PixelSpacing")
    thickness = said("PixelMeasuresSequence", "SpacingBetweenSlices") or said("PixelMeasuresSequence", "SliceThickness")
    slope = said("PixelValueTransformationSequence", "RescaleSlope") or said("", "DoseGridScaling")
    inter = said("PixelValueTransformationSequence", "RescaleIntercept")
    return Plane(
        part,
        frame,
        said("PlanePositionSequence", "ImagePositionPatient"),
        orientation[:3] if is_directions(orientation) else (),
        orientation[3:] if is_directions(orientation) else (),
        steps if len(steps) == 2 and all(LEAST < step < MOST for step in steps) else (),
        thickness[0] if thickness and LEAST < thickness[0] < MOST else 0.0,
        ((slope or (1.0,))[0], (inter or (0.0,))[0]),
    )


def numbers(name: str, value: Any) -> tuple[float, ...]:
    """A value of one number or several."""
    several = value if is_several(value) else (value,)
    try:
        found = tuple(float(number) for number in several)
    except (TypeError, ValueError):
        raise corrupt("DICOM", f"{name} is {str(value)[:40]!r}") from None
    if not all(isfinite(number) and abs(number) < MOST for number in found):
        raise corrupt("DICOM", f"{name} is {str(value)[:40]!r}")
    return found


def is_several(value: Any) -> bool:
    """True for several values."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def is_directions(orientation: tuple[float, ...]) -> bool:
    """True for two directions at a right angle."""
    if len(orientation) != 6:
        return False
    across, down = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    return all(abs(length - 1) < PARALLEL for length in lengths) and abs(float(across @ down)) < PARALLEL


def in_order(planes: Sequence[Plane]) -> list[Plane]:
    """Planes of one volume from the first to the last; ConvError where they are none: apart, askew or not all there."""
    first = planes[0]
    if len(planes) == 1:
        return list(planes)
    unplaced = sum(not plane.is_placed for plane in planes)
    if unplaced == len(planes):
        return list(planes)
    if unplaced:
        raise ConvError(
            f"{unplaced} of {len(planes)} pictures do not say where they lie: they make no volume", "ambiguous"
        )
    directions = np.array([[*plane.across, *plane.down] for plane in planes])
    if np.abs(directions - directions[0]).max() > PARALLEL:
        raise ConvError("its pictures lie at angles to each other: they make no volume", "ambiguous")
    steps = np.array([plane.steps for plane in planes])
    if np.abs(steps / steps[0] - 1).max() > PARALLEL:
        raise ConvError("its pictures have pixels of different sizes: they make no volume", "ambiguous")
    sorted_ = sorted(planes, key=lambda plane: float(first.normal @ np.array(plane.position)))
    heights = np.array([float(first.normal @ np.array(plane.position)) for plane in sorted_])
    gaps = np.diff(heights)
    step = float(np.median(gaps))
    if gaps.min() < LEAST + UNEVEN * step or step <= 0:
        places = len(np.unique(np.round(heights, 3)))
        message = f"{len(planes)} pictures lie at {places} places: several times, echoes or series; take one of them"
        raise ConvError(message, "ambiguous")
    if np.abs(gaps - step).max() > UNEVEN * step:
        message = f"its pictures lie {gaps.min():g} to {gaps.max():g} mm apart: some are missing, or they are not even"
        raise ConvError(message, "ambiguous")
    return sorted_


def step_between(planes: Sequence[Plane]) -> Array | None:
    """Where the step from one plane to the next leads; None where nobody knows."""
    if not planes[0].is_placed:
        return None
    if len(planes) > 1:
        ends = np.array([planes[0].position, planes[-1].position])
        between: Array = (ends[1] - ends[0]) / (len(planes) - 1)
        return between
    ahead: Array = planes[0].normal * (planes[0].thickness or 1.0)
    return ahead


def geometry(planes: Sequence[Plane]) -> tuple[dict[str, tuple[float, str]], dict[str, Any]]:
    """The spacing of a volume of planes, and its affine under its key."""
    first = planes[0]
    spacing = {"Y": (first.steps[0], "mm"), "X": (first.steps[1], "mm")} if first.steps else {}
    step = step_between(planes)
    if len(planes) > 1:
        length = float(np.linalg.norm(step)) if step is not None else first.thickness
        spacing |= {"Z": (length, "mm")} if length else {}
    if step is None:
        return spacing, {}
    columns = [np.array(first.across) * first.steps[1], np.array(first.down) * first.steps[0], step]
    return spacing, kept_affine(np.column_stack([*columns, np.array(first.position)]) * OPPOSITE)
