"""TIFF's directories (IFDs), as far as tifffile leaves them to us.

The chain of pages is walked and checked before anything trusts it, and tags are copied from file to file as they are.
Values are held little-endian whatever the file's order.
"""

from __future__ import annotations

import array
import io
import struct
from collections.abc import Sequence
from functools import cached_property
from typing import BinaryIO, Literal

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.records import record

ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value of each type."""
RATIONALS = (5, 10)  # pairs of 4-byte numbers
MOST_TAGS = 4096
LARGEST_VALUE = 2**26  # bytes of one tag: profiles and descriptions stay far below


@record
class Layout:
    """How a TIFF file writes its directories: byte order, and 64-bit offsets (BigTIFF) or 32-bit ones."""

    order: Literal["little", "big"]
    big: bool

    @cached_property
    def mark(self) -> str:
        """The byte order as `struct` writes it."""
        return "<" if self.order == "little" else ">"

    @cached_property
    def offset(self) -> str:
        """The `struct` letter of an offset."""
        return "Q" if self.big else "I"

    @cached_property
    def count(self) -> str:
        """The `struct` letter of the number of tags."""
        return "Q" if self.big else "H"

    @cached_property
    def entry(self) -> struct.Struct:
        """A tag's code, type, number of values, and value or offset."""
        return struct.Struct(f"{self.mark}HH{self.offset}{8 if self.big else 4}s")


@record
class Tag:
    """A value as it stands in the file, in little-endian order; `kind` is TIFF's type number."""

    kind: int
    data: bytes

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.data) // SIZES[self.kind]

    def numbers(self) -> tuple[int, ...]:
        """The values of an unsigned integer type."""
        size = SIZES[self.kind]
        return tuple(int.from_bytes(self.data[i : i + size], "little") for i in range(0, len(self.data), size))


Directory = dict[int, Tag]


def layout_of(stream: BinaryIO) -> tuple[Layout, int]:
    """The layout of a TIFF file and the offset of its first directory."""
    stream.seek(0)
    start = stream.read(16)
    order = ORDERS.get(start[:2])
    if order is None or len(start) < 8:
        raise corrupt("TIFF", "the header is cut short")
    version = int.from_bytes(start[2:4], order)
    if version == 43 and len(start) == 16 and int.from_bytes(start[4:6], order) == 8:
        return Layout(order, big=True), int.from_bytes(start[8:16], order)
    if version != 42:
        raise corrupt("TIFF", f"version {version} is unknown")
    return Layout(order, big=False), int.from_bytes(start[4:8], order)


def header(layout: Layout) -> bytes:
    """The start of a file whose first directory is not written yet."""
    start = b"II" if layout.order == "little" else b"MM"
    return start + struct.pack(
        layout.mark + ("HHHQ" if layout.big else "HI"), *((43, 8, 0, 0) if layout.big else (42, 0))
    )


def page_offsets(stream: BinaryIO, size: int, *, lenient: bool = False) -> list[int]:
    """The offsets of all pages, in order; a chain that is empty, broken or (if not `lenient`) circular is an error."""
    layout, offset = layout_of(stream)
    if offset == 0:
        raise corrupt("TIFF", "it has a header and no image")
    offsets: dict[int, None] = {}
    while offset:
        if offset in offsets and lenient:
            break
        if offset in offsets:
            raise corrupt("TIFF", f"its list of pages runs in a circle at page {len(offsets)}")
        if offset >= size:
            raise corrupt("TIFF", f"page {len(offsets) + 1} lies past the end of the file")
        offsets[offset] = None
        offset = next_offset(stream, layout, offset)
    return list(offsets)


def straightened(stream: BinaryIO, last: int) -> BinaryIO:
    """A copy of a file in memory in which the page at `last` is the last one, so that its list has an end."""
    layout, _ = layout_of(stream)
    next_offset(stream, layout, last)
    width = struct.calcsize(layout.mark + layout.offset)
    place = stream.tell() - width
    stream.seek(0)
    content = stream.read()
    return io.BytesIO(content[:place] + bytes(width) + content[place + width :])


def next_offset(stream: BinaryIO, layout: Layout, offset: int) -> int:
    """The offset of the page after the one at `offset`, 0 after the last."""
    stream.seek(offset)
    tags = read_number(stream, layout, layout.count)
    if not 0 < tags <= MOST_TAGS:
        raise corrupt("TIFF", f"a page at byte {offset} has {tags} tags")
    stream.seek(tags * layout.entry.size, io.SEEK_CUR)
    return read_number(stream, layout, layout.offset)


def read_number(stream: BinaryIO, layout: Layout, letter: str) -> int:
    """One integer."""
    size = struct.calcsize(layout.mark + letter)
    data = stream.read(size)
    if len(data) < size:
        raise corrupt("TIFF", "it ends inside a list of tags")
    return int.from_bytes(data, layout.order)


def read_directory(stream: BinaryIO, layout: Layout, offset: int) -> Directory:
    """The tags of one directory; those of unknown type or with a value outside the file are left out."""
    stream.seek(offset)
    count = int.from_bytes(stream.read(struct.calcsize(layout.mark + layout.count)), layout.order)
    entry = layout.entry
    table = stream.read(entry.size * min(count, MOST_TAGS))
    directory: Directory = {}
    for index in range(len(table) // entry.size):
        code, kind, values, field = entry.unpack_from(table, index * entry.size)
        length = SIZES.get(kind, 0) * values
        if 0 < length <= LARGEST_VALUE:
            data = (
                field[:length] if length <= len(field) else read_at(stream, int.from_bytes(field, layout.order), length)
            )
            if len(data) == length:
                directory[code] = Tag(kind, swapped(data, kind) if layout.order == "big" else data)
    return directory


def codes(stream: BinaryIO, layout: Layout, offsets: Sequence[int]) -> set[int]:
    """The codes of all tags of some directories, of which there may be many."""
    width, size, order = struct.calcsize(layout.mark + layout.count), layout.entry.size, layout.order
    tables: dict[bytes, None] = {}
    for offset in offsets:
        stream.seek(offset)
        head = stream.read(width + 32 * size)
        end = width + int.from_bytes(head[:width], order) * size
        head += stream.read(end - len(head)) if end > len(head) else b""
        tables[b"".join([head[place : place + 2] for place in range(width, min(end, len(head) - 1), size)])] = None
    return {int.from_bytes(table[place : place + 2], order) for table in tables for place in range(0, len(table), 2)}


def value_places(stream: BinaryIO, layout: Layout, offset: int) -> dict[int, tuple[int, int, int]]:
    """Where the values of each tag of a directory are: (type, number of values, byte in the file)."""
    stream.seek(offset)
    count = read_number(stream, layout, layout.count)
    start, width = stream.tell(), struct.calcsize(layout.mark + layout.offset)
    table = read_at(stream, start, layout.entry.size * count)
    places = {}
    for index in range(count):
        code, kind, values, field = layout.entry.unpack_from(table, index * layout.entry.size)
        inline = start + (index + 1) * layout.entry.size - width
        fits = SIZES.get(kind, 0) * values <= width
        places[code] = kind, values, inline if fits else int.from_bytes(field, layout.order)
    return places


def read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Bytes at an offset, fewer at the end of the file."""
    stream.seek(offset)
    return stream.read(length)


def swapped(data: bytes, kind: int) -> bytes:
    """The values of one type in the other byte order."""
    size = 4 if kind in RATIONALS else SIZES[kind]
    if size == 1:
        return data
    values = array.array({2: "H", 4: "I", 8: "Q"}[size], data)
    values.byteswap()
    return values.tobytes()


def write_directory(stream: BinaryIO, layout: Layout, directory: Directory, following: int = 0) -> int:
    """Append a directory and its values at the end of a file; its offset. `following` is the next page's."""
    start = stream.seek(0, io.SEEK_END)
    start += start % 2
    width = struct.calcsize(layout.mark + layout.offset)
    place = start + struct.calcsize(layout.mark + layout.count) + layout.entry.size * len(directory) + width
    entries, values = [], []
    for code, tag in sorted(directory.items()):
        data = tag.data if layout.order == "little" else swapped(tag.data, tag.kind)
        field = data
        if len(data) > width:
            field = place.to_bytes(width, layout.order)
            values.append(data + b"\0" * (len(data) % 2))
            place += len(values[-1])
        entries.append(layout.entry.pack(code, tag.kind, tag.count, field))
    head = struct.pack(layout.mark + layout.count, len(directory))
    tail = struct.pack(layout.mark + layout.offset, following)
    stream.seek(start)
    stream.write(b"".join([head, *entries, tail, *values]))
    return start


def add_to_first_page(stream: BinaryIO, added: Directory) -> None:
    """Give a finished TIFF's first page more tags: its directory is written anew at the end of the file."""
    layout, first = layout_of(stream)
    directory = read_directory(stream, layout, first)
    place = write_directory(stream, layout, {**directory, **added}, next_offset(stream, layout, first))
    if place >= 2**32 and not layout.big:
        raise ConvError("the file grew past 4 GB while it was written", "too-large")
    stream.seek(8 if layout.big else 4)
    stream.write(struct.pack(layout.mark + layout.offset, place))
