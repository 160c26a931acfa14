"""Reading a TIFF by windows: rows of its pages, where they lie in the file or decoded strip by strip, tile by tile.

What is decoded and reaches beyond a window is kept for the next one, which begins there: the last strips or tiles of
each plane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from itertools import product
from math import prod
from typing import Any, BinaryIO

import numpy as np
from tifffile import TiffPageSeries

from convcli.formats.contract import ReadOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.pixels import Array
from convcli.formats.tiff.codecs import trimmed
from convcli.formats.tiff.colours import OLD_JPEG, subsampling
from convcli.formats.tiff.damage import DAMAGE, judged, listening
from convcli.image import Grid, PixelSource, Spans
from convcli.records import record
from convcli.stores.stream import RemoteFile
from convcli.system import memory

Expand = Callable[[Array], Array]


@record
class Paged:
    """A series of pages; a plane is what one page holds of one sample, or of all where they are interleaved.

    `shape` is the image's; `expand` makes pixels of what the samples stand for: colours of a palette, bytes of bits.
    """

    stream: BinaryIO
    series: TiffPageSeries
    shape: tuple[int, ...]
    expand: Expand
    bands: dict[int, tuple[int, Array]] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        """Bands of strips or tiles."""
        size = self.shape[self.rows]
        return Grid((*(1 for _ in self.shape[: self.rows]), min(self.height, size), *self.shape[self.rows + 1 :]))

    @property
    def page(self) -> Any:
        """The first page, which the others resemble."""
        return self.series.keyframe

    @property
    def rows(self) -> int:
        """The place of the axis that runs along rows; the samples of a pixel, even a single one, may be an axis."""
        pixels = self.page.imagelength, self.page.imagewidth, self.page.shaped[-1]
        return len(self.series.shape) - (3 if pixels == self.series.shape[-3:] else 2)

    @property
    def height(self) -> int:
        """Rows of a strip or tile."""
        return int(self.page.tilelength if self.page.is_tiled else self.page.rowsperstrip or self.page.imagelength)

    @property
    def width(self) -> int:
        """Columns of a strip or tile."""
        return int(self.page.tilewidth if self.page.is_tiled else self.page.imagewidth)

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a window: some planes, some rows, whole rows."""
        leading = self.series.shape[: self.rows]
        start, stop = spans[self.rows]
        for place in product(*(range(*span) for span in spans[: self.rows])):
            plane = int(np.ravel_multi_index(place, leading)) if leading else 0
            inside = tuple(index - span[0] for index, span in zip(place, spans[: self.rows], strict=True))
            target = out[inside]
            for first, pixels in self._bands(plane, start, stop):
                low, high = max(start, first), min(stop, first + len(pixels))
                window = target[low - start : high - start]
                window[...] = self.expand(pixels[low - first : high - first]).reshape(window.shape)

    def _bands(self, plane: int, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        """The rows of strips or tiles that hold the rows from `start` to `stop`: the first of each, and its pixels."""
        kept = self.bands.pop(plane, None)
        numbers = range(start // self.height, -(-stop // self.height))
        if isinstance(self.stream, RemoteFile):
            self.stream.fetch(self._stored(plane, [number for number in numbers if not kept or kept[0] != number]))
        for number in numbers:
            pixels = kept[1] if kept and kept[0] == number else self._decoded(plane, number)
            first = number * self.height
            if stop < first + len(pixels):
                self.bands[plane] = number, pixels
            yield first, pixels

    def _stored(self, plane: int, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Where rows of strips or tiles of a plane lie in the file: the first byte of each part, and that behind it."""
        for held, index in (place for number in numbers for place in self._segments(plane, number)):
            page: Any = self.series[held]
            if page is not None:
                yield page.dataoffsets[index], page.dataoffsets[index] + page.databytecounts[index]

    def _segments(self, plane: int, number: int) -> list[tuple[int, int]]:
        """The strips or tiles in a row of a plane, each by its page and its place there."""
        across, down = -(-self.page.imagewidth // self.width), -(-self.page.imagelength // self.height)
        held, sample = divmod(plane, self.page.shaped[0])
        return [(held, (sample * down + number) * across + column) for column in range(across)]

    def _decoded(self, plane: int, number: int) -> Array:
        """One row of strips or tiles of a plane, (rows, columns) or (rows, columns, samples)."""
        page, columns, samples = self.page, self.page.imagewidth, self.page.shaped[-1]
        band = np.empty((min(self.height, page.imagelength - number * self.height), columns, samples), page.dtype)
        for left, place in zip(range(0, columns, self.width), self._segments(plane, number), strict=True):
            part = self._segment(*place)
            band[:, left : left + self.width] = part[: len(band), : columns - left]
        return band if samples > 1 else band[..., 0]

    def _segment(self, number: int, index: int) -> Array:
        """A strip or tile, decoded: (rows, columns, samples)."""
        held: Any = self.series[number]
        if held is None:
            raise corrupt("TIFF", f"page {number + 1} of the stack is missing")
        offset, count = held.dataoffsets[index], held.databytecounts[index]
        self.stream.seek(offset)
        content = self.stream.read(count)
        if len(content) < count:
            raise corrupt("TIFF", f"it is cut short: pixels of page {number + 1} lie past its end")
        tables = {"jpegtables": held.jpegtables, "jpegheader": self.page.jpegheader}
        try:
            pixels, _, shape = self.page.decode(content or None, index, **tables, _fullsize=False)
        except RuntimeError:
            if (whole := trimmed(self.page, content, index)) is None:
                raise
            pixels, _, shape = self.page.decode(whole, index, **tables, _fullsize=False)
        if pixels is None:
            return np.full(shape[1:], self.page.nodata, self.page.dtype)
        decoded: Array = pixels[0]
        return decoded


@record
class Careful:
    """Windows of a TIFF that may be damaged: what the decoder raises or logs is an error."""

    source: PixelSource
    options: ReadOptions

    @property
    def grid(self) -> Grid:
        """The cuts of the file."""
        return self.source.grid

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a window."""
        with decoding("TIFF", *DAMAGE), listening() as heard:
            self.source.read(spans, out)
        judged(heard, self.options)


def refuses(series: TiffPageSeries) -> bool:
    """True for what is decoded as a whole only: volumes in one page, tiles in depth, one JPEG for a whole slide.

    So are strips that take a good part of the memory, each: only the checks that guard a whole image may let them in.
    """
    page: Any = series.keyframe
    height = page.tilelength if page.is_tiled else min(page.rowsperstrip or page.imagelength, page.imagelength)
    huge = height * page.imagewidth * page.shaped[-1] * page.dtype.itemsize > memory() // 8
    deep = page.imagedepth > 1 or (page.is_tiled and page.tiledepth > 1)
    slide = page.jpegheader is not None and 273 in page.tags and page.is_tiled
    odd = subsampling(page) != (1, 1) or page.compression == OLD_JPEG or series.transform is not None
    return bool(huge or deep or slide or odd or prod(page.shaped) * len(series) != series.size)
