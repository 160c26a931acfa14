"""The items of an AVIF: its picture, the opacity of that, EXIF and XMP, each with a place and properties.

Source: ISO/IEC 14496-12, 8.11 (meta, iloc, iinf, iref), ISO/IEC 23008-12, 6.5 and 9.3 (properties), and the AV1 Image
File Format of the Alliance for Open Media, 1.1.
"""

from __future__ import annotations

import struct
from typing import Any

from convcli.formats.boxes import Box, box, boxes
from convcli.formats.failures import corrupt
from convcli.records import record

TITLE = "AVIF"
ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")
ESSENTIAL = (b"av1C", b"irot", b"imir")
HEADER = 4  # bytes of a version and flags that some boxes begin with
TURNS = {1: (0, None), 2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None)}
"""EXIF's numbers of orientations: quarters of a turn to the left, then what is turned around: 0 rows, 1 columns."""
ALSO = {(1, 1): 7, (3, 1): 5, (2, 1): 4, (2, 0): 2}
XMP_TYPE = b"application/rdf+xml\0"
Property = tuple[bytes, bytes]


@record
class Item:
    """An item: its type, its content type if it is text, its properties, where its bytes lie, what it belongs to."""

    kind: bytes
    mime: bytes
    properties: tuple[Property, ...]
    extents: tuple[tuple[int, int], ...]
    links: tuple[tuple[bytes, int], ...]

    def has(self, kind: bytes) -> bytes | None:
        """The first property of a kind."""
        return next((data for name, data in self.properties if name == kind), None)


class Reader:
    """Numbers of several bytes, one after the other; an end that comes too early is an error."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> int:
        """The number in the next bytes."""
        return int.from_bytes(self.bytes(count), "big")

    def bytes(self, count: int) -> bytes:
        """The next bytes."""
        self.place += count
        if self.place > len(self.data):
            raise corrupt(TITLE, "a box of its header is cut short")
        return self.data[self.place - count : self.place]


@record
class Items:
    """The items of a file by their numbers, and which of them is the picture."""

    primary: int
    items: dict[int, Item]

    @property
    def picture(self) -> Item:
        """The item that is shown."""
        return self.items[self.primary]

    @property
    def opacity(self) -> Item | None:
        """The item that tells how opaque the picture is."""
        for item in self.items.values():
            if (b"auxl", self.primary) in item.links and (item.has(b"auxC") or b"")[HEADER:] in ALPHA:
                return item
        return None

    def described(self, kind: bytes, mime: bytes = b"") -> Item | None:
        """The item that says something of the picture."""
        for item in self.items.values():
            if (item.kind, item.mime) == (kind, mime) and (b"cdsc", self.primary) in item.links:
                return item
        return None


def items_of(content: bytes) -> Items:
    """The items that a file tells of. Raises ConvError: corrupt."""
    metas = [each for each in boxes(content, TITLE) if each.kind == b"meta"]
    if not metas:
        raise corrupt(TITLE, "it tells of no picture")
    inner = {each.kind: each for each in boxes(content, TITLE, metas[0].start + HEADER, metas[0].end)}
    if not {b"pitm", b"iinf", b"iloc", b"iprp"} <= inner.keys():
        raise corrupt(TITLE, "it tells of no picture")

    def data(kind: bytes) -> bytes:
        return content[inner[kind].start : inner[kind].end] if kind in inner else b""

    primary = Reader(data(b"pitm")[HEADER:]).take(2 if data(b"pitm")[:1] == b"\0" else 4)
    kinds = kinds_of(content, inner[b"iinf"])
    places, links = places_of(Reader(data(b"iloc"))), links_of(data(b"iref"))
    properties = properties_of(content, inner[b"iprp"])
    found = {
        number: Item(
            kind, mime, tuple(properties.get(number, ())), tuple(places.get(number, ())), tuple(links.get(number, ()))
        )
        for number, (kind, mime) in kinds.items()
    }
    if primary not in found:
        raise corrupt(TITLE, "it tells of no picture")
    return Items(primary, found)


def kinds_of(content: bytes, outer: Box) -> dict[int, tuple[bytes, bytes]]:
    """Type and content type of each item."""
    found = {}
    start = outer.start + HEADER + (2 if content[outer.start] == 0 else 4)
    for each in boxes(content, TITLE, start, outer.end):
        version = content[each.start] if each.end > each.start else 0
        if each.kind == b"infe" and version >= 2:
            numbers = Reader(content[each.start + HEADER : each.end])
            number = numbers.take(2 if version == 2 else 4)
            numbers.take(2)
            kind = numbers.bytes(4)
            _, _, mime = numbers.data[numbers.place :].partition(b"\0")
            found[number] = kind, mime.partition(b"\0")[0] + b"\0" if kind == b"mime" else b""
    return found


def places_of(numbers: Reader) -> dict[int, list[tuple[int, int]]]:
    """Where the bytes of each item lie in the file; none for those that lie elsewhere."""
    version = numbers.take(1)
    numbers.take(3)
    sizes = numbers.take(2)
    offset, length, base, index = (sizes >> place & 15 for place in (12, 8, 4, 0))
    found: dict[int, list[tuple[int, int]]] = {}
    for _ in range(numbers.take(2 if version < 2 else 4)):
        number = numbers.take(2 if version < 2 else 4)
        way = numbers.take(2) & 15 if version else 0
        numbers.take(2)
        start = numbers.take(base)
        extents = []
        for _ in range(numbers.take(2)):
            numbers.take(index if version else 0)
            first = start + numbers.take(offset)
            extents.append((first, first + numbers.take(length)))
        found[number] = extents if way == 0 else []
    return found


def links_of(data: bytes) -> dict[int, list[tuple[bytes, int]]]:
    """What items each item belongs to, and how."""
    found: dict[int, list[tuple[bytes, int]]] = {}
    wide = 4 if data[:1] == b"\1" else 2
    for each in boxes(data, TITLE, HEADER):
        numbers = Reader(data[each.start : each.end])
        item = numbers.take(wide)
        for _ in range(numbers.take(2)):
            found.setdefault(item, []).append((each.kind, numbers.take(wide)))
    return found


def properties_of(content: bytes, outer: Box) -> dict[int, list[Property]]:
    """The properties of each item."""
    listed: list[Property] = []
    found: dict[int, list[Property]] = {}
    for each in boxes(content, TITLE, outer.start, outer.end):
        if each.kind == b"ipco":
            inner = boxes(content, TITLE, each.start, each.end)
            listed = [(one.kind, content[one.start : one.end]) for one in inner]
        elif each.kind == b"ipma":
            numbers = Reader(content[each.start : each.end])
            version, flags = numbers.take(1), numbers.take(3)
            for _ in range(numbers.take(4)):
                item = numbers.take(4 if version else 2)
                for _ in range(numbers.take(1)):
                    index = numbers.take(2) & 0x7FFF if flags & 1 else numbers.take(1) & 0x7F
                    if 0 < index <= len(listed):
                        found.setdefault(item, []).append(listed[index - 1])
    return found


def joined(content: bytes, item: Item) -> bytes:
    """The bytes of an item."""
    return b"".join(content[start:end] for start, end in item.extents)


def orientation(item: Item) -> int:
    """EXIF's number of the orientation that an item's properties tell of."""
    turn, mirror = item.has(b"irot"), item.has(b"imir")
    told = (turn or b"\0")[0] & 3, None if not mirror else mirror[0] & 1
    known: dict[Any, int] = {way: number for number, way in TURNS.items()} | ALSO
    return known[told]


def packed(start: bytes, parts: list[tuple[Item, bytes]]) -> bytes:
    """A file of items and their bytes, numbered from 1, the first of which is the picture."""
    properties: list[Property] = []
    entries, shared = [], []
    for number, (item, _) in enumerate(parts, 1):
        mime = b"\0" + item.mime if item.kind == b"mime" else b"\0"
        entries.append(box(b"infe", struct.pack(">BBHHH", 2, 0, 0, number, 0), item.kind, mime))
        properties += [each for each in item.properties if each not in properties]
        marks = [properties.index(each) + 1 | 0x80 * (each[0] in ESSENTIAL) for each in item.properties]
        shared.append(struct.pack(">HB", number, len(marks)) + bytes(marks) if marks else b"")
    links = [
        box(kind, struct.pack(">HHH", number, 1, other))
        for number, (item, _) in enumerate(parts, 1)
        for kind, other in item.links
    ]
    inner = [
        box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", bytes(HEADER), struct.pack(">H", 1)),
        box(b"iinf", bytes(HEADER), struct.pack(">H", len(parts)), *entries),
        *([box(b"iref", bytes(HEADER), *links)] if links else []),
        box(
            b"iprp",
            box(b"ipco", *(box(*each) for each in properties)),
            box(b"ipma", bytes(HEADER), struct.pack(">I", sum(map(bool, shared))), *shared),
        ),
    ]
    size = len(box(b"meta", bytes(HEADER), *inner)) + len(places(parts, 0))
    head = len(start) + size + 8
    return b"".join(
        (start, box(b"meta", bytes(HEADER), *inner, places(parts, head)), box(b"mdat", *(data for _, data in parts)))
    )


def places(parts: list[tuple[Item, bytes]], first: int) -> bytes:
    """The box that tells where the bytes of items lie, one after the other."""
    entries = []
    for number, (_, data) in enumerate(parts, 1):
        entries.append(struct.pack(">HHHII", number, 0, 1, first, len(data)))
        first += len(data)
    return box(b"iloc", bytes(HEADER), b"\x44\0", struct.pack(">H", len(parts)), *entries)
