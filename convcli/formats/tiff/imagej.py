"""What ImageJ writes into a TIFF beside the pixels: the text of its description, and labels, LUTs and overlays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convcli.formats.units import physical
from convcli.image import ImageInfo

DERIVED = frozenset({"images", "channels", "slices", "frames"})  # tifffile writes them from the shape
OUTSIDE = ("Info", "Labels", "Ranges", "LUTs", "Plot", "ROI", "Overlays", "Properties", "colormap")
"""What does not stand in the text of the description."""
DTYPES = ("uint8", "uint16", "float32")
ORDER = "TZCYXS"
UNITS = {"X": "unit", "Y": "yunit", "Z": "zunit"}  # the last two where they differ from the first
LONGEST = 2**32 - 2**25  # bytes: its stacks are classic TIFF

Metadata = Mapping[str, Any]


def kept(metadata: Metadata) -> dict[str, Any]:
    """The metadata to carry over, as plain values: LUTs (arrays) become bytes."""
    held = {key: value for key, value in metadata.items() if key not in DERIVED}
    if "LUTs" in held:
        luts = held["LUTs"] if isinstance(held["LUTs"], list) else [held["LUTs"]]
        held["LUTs"] = tuple(np.asarray(lut).tobytes() for lut in luts)
    return held


def spacing(metadata: Metadata, resolution: tuple[float, float, str] | None) -> dict[str, tuple[float, str]]:
    """The step along each axis: from the resolution in pixels per unit, `spacing` and `finterval`."""
    unit = metadata.get("unit", "")
    x, y = (1 / density if density else 0 for density in resolution[:2]) if resolution else (1, 1)  # ImageJ's
    steps = {
        "X": physical(x, unit),
        "Y": physical(y, metadata.get("yunit", unit)),
        "Z": physical(metadata.get("spacing"), metadata.get("zunit", unit)),
        "T": physical(metadata.get("finterval"), "s"),
    }
    return {axis: step for axis, step in steps.items() if step is not None}


def reason_against(info: ImageInfo) -> str | None:
    """Why an image cannot be held by an ImageJ TIFF; None where it can."""
    if info.dtype not in DTYPES:
        return f"ImageJ holds no {info.dtype}"
    if [axis for axis in ORDER if axis in info.axes] != list(info.axes):
        return f"ImageJ's dimensions come in the order {ORDER}, not {info.axes}"
    if info.size("S") not in (1, 3) or (info.size("S") == 3 and info.dtype != "uint8"):
        return "ImageJ's colours are three samples of uint8"
    if info.nbytes > LONGEST:
        return "an ImageJ file of more than 4 GB is no valid TIFF"
    return None


def described(info: ImageInfo) -> dict[str, Any]:
    """What tifffile needs to write the description and the rest, the spacing as it is now."""
    held = dict(info.metadata.get("imagej", {}))
    held |= renewed_units(held, info.spacing)
    if "LUTs" in held:
        held["LUTs"] = [np.frombuffer(lut, np.uint8).reshape(3, -1) for lut in held["LUTs"]]
    planes, labels = info.size("T") * info.size("Z") * info.size("C"), held.get("Labels")
    if labels is not None and (1 if isinstance(labels, str) else len(labels)) != planes:
        del held["Labels"]  # they name planes, one each
    lines = {key: plain(value) for key, value in held.items() if key not in OUTSIDE and key.isascii()}
    return {**{key: held[key] for key in OUTSIDE if key in held}, **lines, "axes": info.axes}


def plain(value: Any) -> Any:
    """A value whose letters beyond ASCII are written as ImageJ writes them in its description, where it is text.

    >>> plain("µm"), plain(2.0)
    ('\\\\u00B5m', 2.0)
    """
    return "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in value) if isinstance(value, str) else value


def renewed_units(held: Metadata, steps: Mapping[str, tuple[float, str]]) -> dict[str, Any]:
    """Description items for the spacing, only those that differ from what is held."""
    items: dict[str, Any] = {}
    for axis, key in UNITS.items():
        usual = items.get("unit", held.get("unit", ""))
        if axis in steps and physical(1, held.get(key, usual)) != (1.0, steps[axis][1]):
            items[key] = steps[axis][1]
    if "Z" in steps and held.get("spacing") != steps["Z"][0]:
        items["spacing"] = steps["Z"][0]
    if "T" in steps and held.get("finterval") != steps["T"][0]:
        items["finterval"] = steps["T"][0]
    return items


def resolution(info: ImageInfo) -> tuple[float, float]:
    """Pixels per unit: as read where the spacing still agrees, else from the spacing."""
    x, y, _ = info.metadata.get("resolution", (1.0, 1.0, "none"))
    return fitting_density(x, info.spacing.get("X")), fitting_density(y, info.spacing.get("Y"))


def fitting_density(density: float, step: tuple[float, str] | None) -> float:
    """A density, unless a step says otherwise."""
    if step is None or (density and abs(step[0] * density - 1) < 1e-9):
        return density
    return 1 / step[0]
