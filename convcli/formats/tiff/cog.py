"""Cloud-optimised GeoTIFF: tiles and overviews in an order that lets a reader fetch the part of a picture it needs.

All directories come first, then the tiles of the smallest overview, and so on up to the picture itself, with GDAL's
note on that before the first directory. Sources: OGC 21-026, Cloud Optimized GeoTIFF standard; GDAL's note,
https://gdal.org/en/stable/drivers/raster/cog.html#header-ghost-area.

Pixels come from the first row to the last, and overviews are made of them on the way. How long the tiles of an overview
will be is known once the last has come: so each level has more room than it can need, and moves up in the end.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from math import ceil
from typing import BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, WriteOptions
from convcli.formats.flat import Reordered
from convcli.formats.pixels import Array
from convcli.formats.source import times
from convcli.formats.tiff import exif_directories
from convcli.formats.tiff import read as tiff
from convcli.formats.tiff.geotiff import NODATA
from convcli.formats.tiff.halving import Halving
from convcli.formats.tiff.ifd import Directory, Layout, Tag, header, layout_of, read_directory, write_directory
from convcli.formats.tiff.stream import TILE_LENGTH, TILE_OFFSETS, TILE_SIZES, TILE_WIDTH, Segments
from convcli.formats.tiff.write import (
    JPEG_QUALITY,
    LARGEST_CLASSIC,
    compression,
    compression_tag,
    save,
)
from convcli.formats.tiff.write import remarks as remarks_of_tiff
from convcli.formats.tiff.write import suits as suits_tiff
from convcli.image import Grid, Image, ImageInfo, PixelTarget, Spans
from convcli.records import record, replace

NOTE = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
"""GDAL's note; the space at its end is room for YES, should a program change the file so that it no longer holds."""
SIDE = 512  # rows and columns of a tile: GDAL's
SUBFILE, WIDTH, LENGTH = 254, 256, 257
OF_OVERVIEWS = frozenset(
    {
        *(SUBFILE, WIDTH, LENGTH, 258, 259, 262, 277, 284, 317, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_SIZES),
        *(338, 339, 530, 532, NODATA),
    }
)
"""The tags that overviews have, too: how their samples are stored, and which are missing."""
SHORT, LONG, LONG8 = 3, 4, 16
REDUCED = 1  # of SUBFILE: a smaller copy
FRAME = 8  # bytes around a tile: its size, and its end once more
PART = 2**20  # bytes that move at a time


@record
class Level:
    """The picture or one of its overviews: its tiles, and where in the draft of the file they have their room."""

    segments: Segments
    start: int

    @property
    def tiles(self) -> int:
        """How many there are."""
        return tiles_of(self.segments.info, (self.segments.height, self.segments.width))


@record
class Pyramid:
    """A picture and its overviews, the finest first, made while rows of the picture come; `tags` are the picture's."""

    stream: BinaryIO
    tags: Directory
    exif: bytes
    layout: Layout
    levels: tuple[Level, ...]
    halvings: tuple[Halving, ...]

    @property
    def grid(self) -> Grid:
        """Rows of tiles."""
        return self.levels[0].segments.grid

    def write(self, spans: Spans, pixels: Array) -> None:
        """Take the next rows."""
        first, rows = spans[0][0], pixels
        for level, halving in zip(self.levels, (*self.halvings, None), strict=True):
            if len(rows):
                level.segments.write(((first, first + len(rows)), *((0, size) for size in rows.shape[1:])), rows)
            if halving is not None:
                first, rows = halving.of(rows)

    def finish(self) -> None:
        """Move the tiles up behind the directories, which now know where they are."""
        place = len(
            front(self.tags, self.exif, self.layout, [(level, [(0, 0)] * level.tiles) for level in self.levels])
        )
        found = {}
        for level in reversed(self.levels):
            size = level.segments.end - level.start
            moved(self.stream, level.start, place, size)
            written = level.segments.written[0]
            shift = place - level.start
            found[level.start] = [(written[index][0] + shift, written[index][1]) for index in sorted(written)]
            place += size
        if place >= 2**32 and not self.layout.big:
            raise ConvError("the file grew past 4 GB while it was written", "too-large")
        self.stream.truncate(place)
        self.stream.seek(0)
        known = [(level, found[level.start]) for level in self.levels]
        self.stream.write(front(self.tags, self.exif, self.layout, known))


def tiles_of(info: ImageInfo, tile: Sequence[int]) -> int:
    """The number of tiles that a picture is cut into."""
    return ceil(info.size("Y") / tile[0]) * ceil(info.size("X") / tile[1])


def moved(stream: BinaryIO, start: int, place: int, size: int) -> None:
    """Copy bytes to an earlier place of the same file."""
    for done in range(0, size, PART):
        stream.seek(start + done)
        content = stream.read(min(PART, size - done))
        stream.seek(place + done)
        stream.write(content)


Places = list[tuple[int, int]]
"""Offset and size of each tile of a level."""


def front(tags: Directory, exif: bytes, layout: Layout, levels: Sequence[tuple[Level, Places]]) -> bytes:
    """All that stands before the tiles: the header, GDAL's note, a directory for each level, and EXIF's own.

    The directory of the picture comes first and leads to those of EXIF, which come last: where these will be is found
    by writing all of it once.
    """
    added: Directory = {}
    for _ in range(2 if exif else 1):
        stream = io.BytesIO()
        stream.write(header(layout) + b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(NOTE) + NOTE)
        if exif and not added:
            added = exif_directories.into_tiff(exif, io.BytesIO(), layout)
        link = 8 if layout.big else 4  # the place of an offset that leads to the next directory
        for number, (level, places) in enumerate(levels):
            directory = described(tags if number else {**tags, **added}, level, places, layout, is_reduced=number > 0)
            place = write_directory(stream, layout, directory)
            stream.seek(link)
            stream.write(struct.pack(layout.mark + layout.offset, place))
            link = place + struct.calcsize(layout.mark + layout.count) + layout.entry.size * len(directory)
        added = exif_directories.into_tiff(exif, stream, layout) if exif else {}
    return stream.getvalue()


def described(tags: Directory, level: Level, places: Places, layout: Layout, *, is_reduced: bool) -> Directory:
    """The directory of a level, made of the picture's."""
    info = level.segments.info
    held = {code: tag for code, tag in tags.items() if not is_reduced or code in OF_OVERVIEWS}
    offsets, sizes = zip(*places, strict=True)
    return held | {
        SUBFILE: numbers(LONG, [REDUCED if is_reduced else 0]),
        WIDTH: numbers(LONG, [info.size("X")]),
        LENGTH: numbers(LONG, [info.size("Y")]),
        TILE_OFFSETS: numbers(LONG8 if layout.big else LONG, offsets),
        TILE_SIZES: numbers(LONG, sizes),
    }


def numbers(kind: int, values: Sequence[int]) -> Tag:
    """A tag of unsigned numbers."""
    return Tag(kind, np.asarray(values, {LONG: "<u4", LONG8: "<u8"}[kind]).tobytes())


def write(stream: BinaryIO, image: Image, options: WriteOptions, kind: str) -> None:
    """Write a picture that is there as a whole."""
    with streamed(stream, image.info, options, kind) as target:
        target.write(tuple((0, size) for size in image.info.shape), image.data)


@contextmanager
def streamed(stream: BinaryIO, info: ImageInfo, options: WriteOptions, _kind: str) -> Iterator[PixelTarget]:
    """A file that is whole at the end of the block, when all rows have come, in their order."""
    places, order = stored(info)
    pyramid = begun(stream, order, settled(order, options))
    yield Reordered(pyramid, places, len(info.shape))
    pyramid.finish()


def begun(stream: BinaryIO, info: ImageInfo, options: WriteOptions) -> Pyramid:
    """The levels of a picture, (rows, columns) or (rows, columns, samples), and their rooms in a draft of the file."""
    skeleton, exif = io.BytesIO(), info.metadata.get("exif", b"")
    bare = replace(info, metadata={key: value for key, value in info.metadata.items() if key != "exif"})
    dtype = np.dtype(info.dtype).newbyteorder("<")
    save(skeleton, bare, options, "tiff", repeat(b"\0"), shape=info.shape, dtype=dtype, returnoffset=True)
    written_as, first = layout_of(skeleton)
    tags = read_directory(skeleton, written_as, first)
    layout = Layout("little", big=info.nbytes * 4 // 3 > LARGEST_CLASSIC)
    coding = {code: tag.numbers() for code, tag in tags.items() if code in OF_OVERVIEWS and tag.kind in (SHORT, LONG)}

    infos = [info]
    while max(infos[-1].size("Y"), infos[-1].size("X")) > max(options.tile):
        shape = ((infos[-1].shape[0] + 1) // 2, (infos[-1].shape[1] + 1) // 2, *info.shape[2:])
        infos.append(replace(info, shape=shape))

    def level(each: ImageInfo, start: int) -> Level:
        quality = options.quality or JPEG_QUALITY
        return Level(Segments(stream, each, layout, coding, [], start, quality, framed=True), start)

    unplaced = [(level(each, 0), [(0, 0)] * tiles_of(each, options.tile)) for each in infos]
    room, levels = len(front(tags, exif, layout, unplaced)), []
    for each in reversed(infos):
        levels.append(level(each, room))
        room += tiles_of(each, options.tile) * (most_of_tile(each, options.tile) + FRAME)
    halvings = tuple(Halving(each) for each in infos[:-1])
    return Pyramid(stream, tags, exif, layout, tuple(reversed(levels)), halvings)


def most_of_tile(info: ImageInfo, tile: Sequence[int]) -> int:
    """More bytes than a compressed tile can have: LZW makes 12 bits of 8 at worst."""
    return 2 * tile[0] * tile[1] * info.size("S") * info.sample.size + 2**10


def stored(info: ImageInfo) -> tuple[list[int], ImageInfo]:
    """The picture with its samples, or channels, last: the places of its axes, and what it is so."""
    bands = [axis for axis in "SC" if info.size(axis) > 1]
    places = [info.axes.index(axis) for axis in ["Y", "X", *bands]]
    samples = info.samples if bands != ["C"] else ""
    shape = tuple(info.shape[place] for place in places)
    return places, replace(info, axes="YX" + "S" * bool(bands), shape=shape, samples=samples, format="tiff")


def settled(info: ImageInfo, options: WriteOptions) -> WriteOptions:
    """The options with what is usual in such files where nothing is said: tiles, and some compression."""
    own = info.metadata.get("tiff", {}).get("tile") or (SIDE, SIDE)
    tile = options.tile or (own if all(side % 16 == 0 for side in own) else (SIDE, SIDE))
    packing = "deflate" if compression_tag(info, options) == 1 else options.compression
    return replace(options, tile=tile, compression=options.compression or packing)


def check(info: ImageInfo, _kind: str) -> None:
    """Refuse what is no single picture."""
    several = [axis for axis in info.axes if axis not in "YX" and info.size(axis) > 1]
    if len(several) > 1 or (several and several[0] not in "SC"):
        found = f"{info.axes} of {times(info.shape)}"
        raise ConvError(
            f"a cloud-optimised GeoTIFF holds one picture, not {found}; leave --cog out, or --pages N", "shape"
        )


def suits(info: ImageInfo, options: WriteOptions, _kind: str) -> None:
    """Refuse a compression or predictor that is none for such samples."""
    order = stored(info)[1]
    suits_tiff(order, settled(order, options), "cog")


def packs(info: ImageInfo, options: WriteOptions) -> bool:
    """Whether tiles are compressed."""
    order = stored(info)[1]
    return compression(order, settled(order, options))["compression"] is not None


def remarks(info: ImageInfo, options: WriteOptions, _kind: str) -> tuple[str, ...]:
    """What changes beside the pixels."""
    return remarks_of_tiff(stored(info)[1], options, "cog")


def place(_info: ImageInfo, _kind: str) -> str:
    """The tags are those of a plain TIFF."""
    return "tiff"


FORMAT = FormatModule(
    tiff.probe,
    tiff.read,
    write,
    streamed=streamed,
    packs=packs,
    check=check,
    suits=suits,
    remarks=remarks,
    place=place,
)
