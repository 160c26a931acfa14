"""AVIF through libavif (imagecodecs): 8 bits, without loss unless a quality is asked for; 10 and 12 are read, too.

Its boxes are read and written here, for sizes before pixels and for what it says beside them.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

from convcli.formats.avif.items import TITLE, TURNS, XMP_TYPE, Item, Items, items_of, joined, orientation, packed
from convcli.formats.boxes import boxes
from convcli.formats.codecs import codec
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.layout import picture_info, picture_samples
from convcli.formats.pixels import as_declared, filling, picture
from convcli.formats.source import UNBOUNDED_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import replace

NAME = "AVIF"
SPEED = 6  # libavif's own programs'; the slowest of all is the codec's default
PROFILES = (b"prof", b"rICC")
HIGH, TWELVE, MONOCHROME = 0x40, 0x20, 0x10  # of the third byte of av1C
SEQUENCE = b"avis"


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What an AVIF says of itself."""
    return described(source.read())


def described(content: bytes) -> ImageInfo:
    """The picture that the items of a file make."""
    found = items_of(content)
    item = found.picture
    size, coded = item.has(b"ispe"), item.has(b"av1C") or tiles(found)
    if size is None or len(size) != 12 or coded is None or len(coded) < 4:
        raise corrupt(TITLE, "its picture has no size, or is not AV1")
    depth = (12 if coded[2] & TWELVE else 10) if coded[2] & HIGH else 8
    samples = ("grey" if coded[2] & MONOCHROME else "rgb") + "+alpha" * (found.opacity is not None)
    notes = (f"{depth}-bit samples are scaled to 16 bits, 0 to 65535",) * (depth > 8)
    notes += ("animated: its first or still picture is read",) * (content[8:12] == SEQUENCE)
    extent = int.from_bytes(size[8:], "big"), int.from_bytes(size[4:8], "big")
    told = said(content, found)
    info = picture_info("avif", extent, samples, "uint8" if depth == 8 else "uint16", metadata=told, notes=notes)
    return replace(info, premultiplied=any(kind == b"prem" for kind, _ in item.links))


def frames_in(content: bytes) -> int:
    """How many pictures a sequence has: the most that one of its tracks tells of, in a box of their sizes."""
    places = [found.end() for found in re.finditer(b"stsz", content)]
    return max((int.from_bytes(content[place + 8 : place + 12], "big") for place in places), default=1)


def tiles(found: Items) -> bytes | None:
    """What is said of the first tile of a picture that is made of some."""
    parts = [found.items[number] for kind, number in found.picture.links if kind == b"dimg" and number in found.items]
    return parts[0].has(b"av1C") if parts else None


def said(content: bytes, found: Items) -> dict[str, Any]:
    """What a file says beside its pixels."""
    told: dict[str, Any] = {"orientation": orientation(found.picture)}
    for kind, data in found.picture.properties:
        if kind == b"colr" and data[:4] in PROFILES:
            told["icc"] = data[4:]
    if (item := found.described(b"Exif")) is not None:
        data = joined(content, item)
        told["exif"] = data[4 + int.from_bytes(data[:4], "big") :]
    if (item := found.described(b"mime", XMP_TYPE)) is not None:
        told["xmp"] = joined(content, item)
    return told


def read(source: Source, options: ReadOptions) -> Image:
    """An AVIF with its pixels, as stored."""
    content = source.read()
    info = described(content)
    frames = frames_in(content) if content[8:12] == SEQUENCE else 1
    check_declared(replace(info, shape=(frames, *info.shape), axes="T" + info.axes), options.max_pixels)
    check_ratio(info.nbytes * frames, len(content), UNBOUNDED_RATIO)
    with decoding(TITLE, RuntimeError, ValueError):
        data = codec(NAME, TITLE).avif_decode(content)  # all pictures: its way to one of them corrupts memory
    data = as_declared(TITLE, data[0] if data.ndim > len(info.shape) else data, info)
    if info.dtype != "uint8":
        data = filling(4095 if "12-bit" in info.notes[0] else 1023)[data]
    return Image(info, data)


def write(stream: BinaryIO, image: Image, options: WriteOptions, _kind: str) -> None:
    """Encode a picture: without loss, unless a quality below 100 is asked for; what it says beside it in items."""
    level = 100 if options.quality is None else options.quality
    encoded = bytes(codec(NAME, TITLE).avif_encode(picture(image), level, speed=SPEED))
    metadata, found = image.info.metadata, items_of(encoded)
    shown = list(found.picture.properties)
    if "icc" in metadata:
        shown.append((b"colr", PROFILES[0] + metadata["icc"]))
    turn, mirror = TURNS[metadata.get("orientation", 1)]
    shown += [(b"irot", bytes((turn,)))] if turn else []
    shown += [] if mirror is None else [(b"imir", bytes((mirror,)))]
    parts = [(Item(b"av01", b"", tuple(shown), (), ()), joined(encoded, found.picture))]
    if (opaque := found.opacity) is not None:
        parts.append((replace(opaque, links=((b"auxl", 1),)), joined(encoded, opaque)))
    if "exif" in metadata:
        parts.append((Item(b"Exif", b"", (), (), ((b"cdsc", 1),)), bytes(4) + metadata["exif"]))
    if "xmp" in metadata:
        parts.append((Item(b"mime", XMP_TYPE, (), (), ((b"cdsc", 1),)), metadata["xmp"]))
    first = next(boxes(encoded, TITLE))
    stream.write(packed(encoded[: first.end], parts))


def check(_info: ImageInfo, _kind: str) -> None:
    """Refuse where there is no codec."""
    codec(NAME, TITLE)


def remarks(info: ImageInfo, options: WriteOptions, _kind: str) -> tuple[str, ...]:
    """What a quality does not change: the codec keeps greys without loss, whatever it is told."""
    without = options.quality not in (None, 100) and picture_samples(info) in ("grey", "grey+alpha")
    return (f"--quality is for colours: {TITLE} keeps greys without loss",) * without


FORMAT = FormatModule(
    probe, read, write, check=check, remarks=remarks, single=True, whole="libavif decodes pictures as a whole"
)
