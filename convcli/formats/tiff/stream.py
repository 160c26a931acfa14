"""Writing a TIFF as its pixels come, slab by slab.

tifffile first writes a skeleton: all directories with their tags, as for a whole image. Without compression the pixels
have their place then, and are put there. Strips that are compressed, and tiles, are appended in the order they come;
at the end their offsets and sizes take the place of the skeleton's.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import field
from itertools import product, repeat
from typing import Any, BinaryIO

import numpy as np
from tifffile import TIFF

from convcli.errors import ConvError
from convcli.formats.codecs import function
from convcli.formats.contract import WriteOptions
from convcli.formats.flat import Flat, Reordered
from convcli.formats.pixels import Array
from convcli.formats.tiff.ifd import SIZES, Layout, layout_of, page_offsets, read_directory, value_places
from convcli.formats.tiff.write import JPEG, JPEG_QUALITY, banded, compression_tag, save, stored_order, structure
from convcli.formats.tiff.write import write as write_whole
from convcli.image import Grid, Image, ImageInfo, PixelTarget, Spans
from convcli.records import record

STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_SIZES, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_SIZES = (
    *(273, 278, 279),
    *(322, 323, 324, 325),
)
COMPRESSION, PREDICTOR, PACKBITS = 259, 317, 32773
NUMBERS = {3: "H", 4: "I", 16: "Q"}


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Write an image of any dimensions; JPEGs by the one way that there is here to make them."""
    if compression_tag(image.info, options) != JPEG:
        write_whole(stream, image, options, kind)
        return
    with streamed(stream, image.info, options, kind) as target:
        target.write(tuple((0, size) for size in image.info.shape), image.data)


@contextmanager
def streamed(stream: BinaryIO, info: ImageInfo, options: WriteOptions, kind: str) -> Iterator[PixelTarget]:
    """A TIFF that is whole at the end of the block, when all windows have been written."""
    places, order = stored_order(banded(info, kind))
    dtype = np.dtype(info.dtype).newbyteorder("<")
    described = {"shape": order.shape, "dtype": dtype, "returnoffset": True}
    if is_segmented(order, options):
        save(stream, order, options, kind, repeat(b"\0"), **described)
        segments = Segments.of(stream, order, options.quality or JPEG_QUALITY)
        yield Reordered(segments, places, len(info.shape))
        segments.finish()
    else:
        offset, size = save(stream, order, options, kind, None, **described)
        stream.truncate(max(offset + size, stream.seek(0, os.SEEK_END)))
        yield Reordered(Flat(stream, offset, dtype, order.shape, "TIFF"), places, len(info.shape))


@record(frozen=False)
class Segments:
    """Strips or tiles of `height` rows and `width` columns, appended at `end` when all of their rows are there.

    `rows` is the place of the axis along rows; `separate` the planes of a page. `written` holds, for each page, the
    offset and size of its strips or tiles; `begun` those rows of each plane that wait for the rest of their strip.
    `quality` is that of JPEGs; where parts are `framed`, their size stands before each, and its last bytes once more
    behind it, as GDAL has it in files that are read over a network.
    """

    stream: BinaryIO
    info: ImageInfo
    layout: Layout
    tags: dict[int, tuple[int, ...]]
    pages: list[int]
    end: int
    quality: int = JPEG_QUALITY
    framed: bool = False
    begun: dict[int, Array] = field(default_factory=dict)
    written: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, stream: BinaryIO, info: ImageInfo, quality: int) -> Segments:
        """The strips or tiles of a skeleton."""
        end = stream.seek(0, os.SEEK_END)
        layout, first = layout_of(stream)
        wanted = (ROWS_PER_STRIP, TILE_WIDTH, TILE_LENGTH, COMPRESSION, PREDICTOR)
        tags = {code: tag.numbers() for code, tag in read_directory(stream, layout, first).items() if code in wanted}
        return cls(stream, info, layout, tags, page_offsets(stream, end), end, quality)

    @property
    def grid(self) -> Grid:
        """Bands of strips or tiles."""
        planes, rest = self.info.shape[: self.rows], self.info.shape[self.rows + 1 :]
        return Grid((*(1 for _ in planes), min(self.height, self.info.size("Y")), *rest), in_order=True)

    @property
    def rows(self) -> int:
        """The place of the axis along rows."""
        return self.info.axes.index("Y")

    @property
    def separate(self) -> int:
        """Planes of a page."""
        return self.info.size("S") if self.info.axes.endswith("SYX") else 1

    @property
    def height(self) -> int:
        """Rows of a strip or tile."""
        return self.tags.get(TILE_LENGTH, self.tags.get(ROWS_PER_STRIP, (0,)))[0]

    @property
    def width(self) -> int:
        """Columns of a strip or tile."""
        return self.tags.get(TILE_WIDTH, (self.info.size("X"),))[0]

    def write(self, spans: Spans, pixels: Array) -> None:
        """Take rows of some planes, which come in order; what is complete is compressed, by several threads."""
        ready = list(self._complete(spans, pixels))
        with ThreadPoolExecutor(min(len(ready), os.cpu_count() or 1) or 1) as pool:
            for (page, index, _), content in zip(ready, pool.map(self._encoded, ready), strict=True):
                before, behind = (len(content).to_bytes(4, "little"), content[-4:]) if self.framed else (b"", b"")
                self.written.setdefault(page, {})[index] = self.end + len(before), len(content)
                self.stream.seek(self.end)
                self.stream.write(before + content + behind)
                self.end += len(before + content + behind)

    def finish(self) -> None:
        """Put offsets and sizes into the directories."""
        if self.end >= 2**32 and not self.layout.big:
            raise ConvError("the file grew past 4 GB while it was written", "too-large")
        codes = (TILE_OFFSETS, TILE_SIZES) if TILE_WIDTH in self.tags else (STRIP_OFFSETS, STRIP_SIZES)
        for page, directory in enumerate(self.pages):
            segments = [self.written[page][index] for index in sorted(self.written[page])]
            places = value_places(self.stream, self.layout, directory)
            for code, values in zip(codes, zip(*segments, strict=True), strict=True):
                kind, count, place = places[code]
                assert count == len(values)
                assert max(values) < 2 ** (8 * SIZES[kind])
                self.stream.seek(place)
                self.stream.write(struct.pack(f"{self.layout.mark}{count}{NUMBERS[kind]}", *values))

    def _complete(self, spans: Spans, pixels: Array) -> Iterator[tuple[int, int, Array]]:
        """(page, number in the page, pixels) of each strip or tile that is complete now."""
        leading = self.info.shape[: self.rows]
        across = -(-self.info.size("X") // self.width)
        down = -(-self.info.size("Y") // self.height)
        for place in product(*(range(*span) for span in spans[: self.rows])):
            plane = int(np.ravel_multi_index(place, leading)) if leading else 0
            inside = tuple(index - span[0] for index, span in zip(place, spans[: self.rows], strict=True))
            rows = pixels[inside].reshape(*pixels.shape[self.rows : self.rows + 2], -1)
            page, sample = divmod(plane, self.separate)
            for number, band in self._bands(plane, spans[self.rows][0], rows):
                for column in range(across):
                    index = (sample * down + number) * across + column
                    yield page, index, band[:, column * self.width : (column + 1) * self.width]

    def _bands(self, plane: int, first: int, rows: Array) -> Iterator[tuple[int, Array]]:
        """The bands of a plane that new rows, from `first` on, complete."""
        last = first + len(rows)
        for number in range(first // self.height, -(-last // self.height)):
            start, stop = number * self.height, min((number + 1) * self.height, self.info.size("Y"))
            low, high = max(first, start), min(last, stop)
            band = rows[low - first : high - first]
            if high - low < stop - start:
                whole = self.begun.setdefault(plane, np.empty((stop - start, *rows.shape[1:]), rows.dtype))
                whole[low - start : high - start] = band
                band = whole
            if high == stop:
                self.begun.pop(plane, None)
                yield number, band

    def _encoded(self, segment: tuple[int, int, Array]) -> bytes:
        """The bytes of a strip or tile."""
        band = np.ascontiguousarray(segment[2], segment[2].dtype.newbyteorder("<"))
        if TILE_WIDTH in self.tags:
            missing = (self.height - band.shape[0], self.width - band.shape[1])
            rule: Any = "edge" if self.tags[COMPRESSION][0] == JPEG else "constant"  # an edge would ring in JPEG
            band = np.pad(band, ((0, missing[0]), (0, missing[1]), (0, 0)), mode=rule)
        compression, predictor = self.tags[COMPRESSION][0], self.tags.get(PREDICTOR, (1,))[0]
        if compression == 1:
            return band.tobytes()
        if compression == JPEG:
            colours: Any = {"colorspace": "RGB", "outcolorspace": "YCBCR"} if band.shape[2] == 3 else {}
            return bytes(
                function("jpeg8_encode", "TIFF packed by jpeg")(band, self.quality, subsampling="444", **colours)
            )
        predicted: Any = TIFF.PREDICTORS[predictor](band, axis=-2) if predictor > 1 else band
        more = {"axis": -2} if compression == PACKBITS else {}
        return bytes(TIFF.COMPRESSORS[compression](predicted, **more))


def is_segmented(info: ImageInfo, options: WriteOptions) -> bool:
    """Whether pixels are compressed or cut into tiles, more than one a page: such a one lies like a strip."""
    arguments, page = structure(info, options), (info.size("Y"), info.size("X"))
    return arguments["compression"] is not None or arguments.get("tile", page) != page
