"""The samples of a TIFF decoded at once, those too that tifffile refuses and libtiff reads."""

from __future__ import annotations

from math import ceil
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from tifffile import TiffPageSeries

from convcli.formats.codecs import function
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array, native
from convcli.formats.tiff.codecs import INFLATERS, decompressed
from convcli.formats.tiff.colours import OLD_JPEG, subsampling
from convcli.formats.tiff.windows import Paged, refuses

ORIENTATION = 274
TURNED = {2: "X", 6: "X", 3: "YX", 7: "YX", 4: "Y", 8: "Y"}
"""What libtiff turns when it shows a page, by its orientation (TIFFReadRGBAImageOriented)."""


def decoded(stream: BinaryIO, series: TiffPageSeries) -> Array:
    """All samples of a series, in its shape.

    Raises ConvError, or one of `convcli.formats.tiff_damage.DAMAGE`.
    """
    page: Any = series.keyframe
    if page.compression == OLD_JPEG:
        pages = [by_libtiff(stream, held) for held in series]
    elif subsampling(page) != (1, 1):
        pages = [upsampled(stream, held, page) for held in series]
    else:
        return by_tifffile(stream, series)
    return np.stack(pages).reshape(series.shape)


def by_tifffile(stream: BinaryIO, series: TiffPageSeries) -> Array:
    """All samples of a series, by several threads; one after the other where bytes lie behind the end of one."""
    try:
        return np.asarray(series.asarray())
    except RuntimeError:
        if int(series.keyframe.compression) not in INFLATERS or refuses(series):
            raise
    result = np.empty(series.shape, series.dtype)
    Paged(stream, series, series.shape, native).read(tuple((0, size) for size in series.shape), result)
    return result


def by_libtiff(stream: BinaryIO, page: Any) -> Array:
    """A page of 8-bit RGB or grey as libtiff, which comes with imagecodecs, decodes it; as stored, not turned."""
    stream.seek(0)
    pixels: Array = function("tiff_decode", "TIFF with JPEG as of 1992")(stream.read(), index=page.index, asrgb=True)
    for axis in TURNED.get(page.tags.valueof(ORIENTATION, default=1), ""):
        pixels = np.flip(pixels, "YX".index(axis))
    return pixels[..., :3] if page.samplesperpixel > 1 else pixels[..., 0]


class Segment(NamedTuple):
    """A strip or tile: its number in the page, its first row and column, and its size."""

    number: int
    top: int
    left: int
    rows: int
    columns: int


def segments(page: Any) -> list[Segment]:
    """The strips or tiles of a page whose samples lie together; the last strip ends with the page, tiles never do."""
    high, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    corners = [(top, left) for top in range(0, page.imagelength, high) for left in range(0, page.imagewidth, wide)]
    return [
        Segment(number, top, left, high if page.is_tiled else min(high, page.imagelength - top), wide)
        for number, (top, left) in enumerate(corners)
    ]


def upsampled(stream: BinaryIO, held: Any, page: Any) -> Array:
    """A page of YCbCr in which several pixels share their differences of colour, with those of each."""
    across, down = subsampling(page)
    dtype = page.dtype.newbyteorder(page.parent.byteorder)
    result = np.zeros((page.imagelength, page.imagewidth, 3), page.dtype)
    for part in segments(page):
        shape = ceil(part.rows / down), ceil(part.columns / across), across * down + 2
        content = stored(stream, held, part.number)
        if not content:
            continue
        data = decompressed(page, content, shape[0] * shape[1] * shape[2] * dtype.itemsize)
        units = np.frombuffer(data, dtype, shape[0] * shape[1] * shape[2]).reshape(shape)
        luma = units[..., :-2].reshape(*shape[:2], down, across).swapaxes(1, 2).reshape(shape[0] * down, -1)
        chroma = units[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
        place = result[part.top : part.top + part.rows, part.left : part.left + part.columns]
        place[..., 0], place[..., 1:] = luma[: len(place), : place.shape[1]], chroma[: len(place), : place.shape[1]]
    return result


def stored(stream: BinaryIO, page: Any, number: int) -> bytes:
    """The bytes of a strip or tile as they lie in the file; none where it is absent."""
    offset, count = page.dataoffsets[number], page.databytecounts[number]
    stream.seek(offset)
    content = stream.read(count if offset else 0)
    if offset and len(content) < count:
        raise corrupt("TIFF", "it is cut short: pixels lie past its end")
    return content
