"""Where a GeoTIFF lies on Earth, once its pixels lie elsewhere in the raster: fewer, farther apart, or shifted.

Raster coordinates count from the corner of the first pixel, or from its middle where the key GTRasterType says so.
Source: OGC 19-008r4, GeoTIFF standard, annex B.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import isnan, nan

from convcli.formats.tiff.ifd import Directory, Tag
from convcli.image import ImageInfo
from convcli.samples import as_sample

SCALE, TIES, MATRIX, KEYS = 33550, 33922, 34264, 34735
PLACES = (SCALE, TIES, MATRIX, KEYS)
RASTER_TYPE, IS_POINT = 1025, 2
NODATA = 42113  # GDAL's, https://gdal.org/en/stable/drivers/raster/gtiff.html
GEOGRAPHY = (SCALE, TIES, MATRIX, KEYS, 34736, 34737, 42112, NODATA)
"""GeoTIFF's tags, and GDAL's metadata and missing value: every page has a place on Earth of its own."""
ASCII, DOUBLE = 2, 12  # TIFF's numbers of the types
Grid = Mapping[str, tuple[float, float]]


def placed(tags: Directory, grid: Grid) -> Directory:
    """The tags with pixel scale, tie points and transformation for pixels on `grid`, as `ImageInfo` has it."""
    if not grid:
        return tags
    move = {axis: moved(*grid.get(axis, (0.0, 1.0)), is_point=raster_type(tags) == IS_POINT) for axis in "XY"}
    changed = dict(tags)
    ties, scale = doubles(tags.get(TIES)), doubles(tags.get(SCALE))
    if len(scale) == 3:
        changed[SCALE] = tag([scale[0] * move["X"][1], scale[1] * move["Y"][1], scale[2]])
    if len(ties) % 6 == 0 and ties:
        changed[TIES] = tag(one_tie(ties, scale, move) if len(ties) == 6 and len(scale) == 3 else many_ties(ties, move))
    if len(matrix := doubles(tags.get(MATRIX))) == 16:
        changed[MATRIX] = tag(transformed(matrix, move))
    return changed


def moved(first: float, step: float, *, is_point: bool) -> tuple[float, float]:
    """(offset, step): where raster coordinate 0 of the new pixels lies in the old ones, and a step.

    >>> moved(0, 3, is_point=False), moved(0, 3, is_point=True)
    ((-1.0, 3), (0, 3))
    """
    return (first if is_point else first + (1 - step) / 2), step


def one_tie(ties: list[float], scale: list[float], move: Grid) -> list[float]:
    """The same raster point tied to the place where it lies now: many readers know a tie at 0, 0 only."""
    i, j, k, x, y, z = ties
    (left, across), (top, down) = move["X"], move["Y"]
    return [i, j, k, x + (left + across * i - i) * scale[0], y - (top + down * j - j) * scale[1], z]


def many_ties(ties: list[float], move: Grid) -> list[float]:
    """The same places on Earth tied to where their pixels are now."""
    result = list(ties)
    for place, axis in enumerate("XY"):
        offset, step = move[axis]
        result[place::6] = [(value - offset) / step for value in ties[place::6]]
    return result


def transformed(matrix: list[float], move: Grid) -> list[float]:
    """The matrix (4 rows of 4) after the step from new raster coordinates to old ones."""
    (left, across), (top, down) = move["X"], move["Y"]
    rows = (matrix[start : start + 4] for start in range(0, 16, 4))
    return [number for a, b, c, d in rows for number in (a * across, b * down, c, d + a * left + b * top)]


def missing_value(tags: Directory) -> float | None:
    """The value of missing samples (GDAL_NODATA, a number as text); NaN where that is no number, None without it."""
    text = text_of(tags)
    try:
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        return nan if text else None


def text_of(tags: Directory) -> str:
    """What GDAL_NODATA says, without what fills it up."""
    return tags[NODATA].data.decode("latin-1").strip("\0 \t\r\n") if NODATA in tags else ""


def missing_notes(tags: Directory, dtype: str) -> tuple[str, ...]:
    """A word where no sample can have the value that is declared as missing: it may be a slip."""
    value, text = missing_value(tags), text_of(tags)
    if value is None or "nan" in text.lower() or as_sample(value, dtype) is not None:
        return ()
    why = "is not a number" if isnan(value) else f"is no value of {dtype}"
    return (f"the file says that samples of {text[:40]!r} are missing (GDAL_NODATA), which {why}: none are",)


def marking(tags: Directory, info: ImageInfo) -> Directory:
    """The tags with GDAL_NODATA for the value that marks missing samples now; NaN needs none, but may be said."""
    rest = {code: tag for code, tag in tags.items() if code != NODATA}
    if info.missing is None:
        said = "nan" in text_of(tags).lower() and info.dtype.startswith("float")
        return tags if said else rest
    text = str(info.missing) if isinstance(info.missing, int) else f"{info.missing:.17g}"
    return rest | {NODATA: Tag(ASCII, text.encode() + b"\0")}


def raster_type(tags: Directory) -> int:
    """What the GeoKey GTRasterType says; 0 where it says nothing."""
    keys = tags[KEYS].numbers() if KEYS in tags else ()
    entries = (keys[start : start + 4] for start in range(4, len(keys) - 3, 4))
    return next((value for key, place, _, value in entries if key == RASTER_TYPE and place == 0), 0)


def doubles(held: Tag | None) -> list[float]:
    """The numbers of a tag of doubles."""
    return [] if held is None or held.kind != DOUBLE else list(struct.unpack(f"<{held.count}d", held.data))


def tag(numbers: list[float]) -> Tag:
    """A tag of doubles."""
    return Tag(DOUBLE, struct.pack(f"<{len(numbers)}d", *numbers))
