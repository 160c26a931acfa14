"""What a JPEG XR file says: directories as a TIFF has them, around one or two codestreams of pixels.

Source: ITU-T T.832 (2019), annex A, and 8.3 for the header of a codestream.
"""

from __future__ import annotations

import io
import struct
from typing import Any, NamedTuple

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.metadata import CENTIMETRES
from convcli.formats.tiff import exif
from convcli.formats.tiff.exif_directories import SHARED, from_tiff, into_tiff
from convcli.formats.tiff.ifd import Directory, Layout, Tag, read_directory, write_directory
from convcli.records import record

TITLE = "JPEG XR"
PLAIN = Layout("little", big=False)
START = b"II\xbc\x01"
KIND, TURN, WIDTH, HEIGHT, ACROSS, DOWN = 0xBC01, 0xBC02, 0xBC80, 0xBC81, 0xBC82, 0xBC83
PIXELS, OPACITY = (0xBCC0, 0xBCC1), (0xBCC2, 0xBCC3)  # where a codestream begins, and how long it is
OF_THE_FILE = frozenset((KIND, TURN, 0xBC03, 0xBC04, WIDTH, HEIGHT, ACROSS, DOWN, *PIXELS, *OPACITY, 0xBCC4, 0xBCC5))
PACKETS = {"icc": (34675, 7), "xmp": (700, 1), "iptc": (33723, 7), "photoshop": (34377, 1)}
"""Key -> the tag of each, and its type."""
POINTERS = (exif.EXIF_POINTER, exif.GPS_POINTER)
BYTE, LONG, FLOAT = 1, 4, 11
MARK = b"WMPHOTO\0"
SHORT_HEADER, WITH_OPACITY, TURN_SHIFT = 0x80, 1, 3
LEAST = 20  # bytes of a codestream, more than sizes need
TURNS = (1, 4, 2, 3, 6, 7, 5, 8)
"""The EXIF orientation of each transformation: 1 turns over top to bottom, 2 left to right, 4 a quarter before."""


class Pixels(NamedTuple):
    """What the samples of a pixel format are."""

    dtype: str
    samples: str
    premultiplied: bool = False


FAMILY = bytes.fromhex("24c3dd6f034efe4bb1853d77768dc9")
KINDS = {
    FAMILY + b"\x05": Pixels("uint8", "grey"),
    FAMILY + b"\x08": Pixels("uint8", "grey"),
    FAMILY + b"\x0b": Pixels("uint16", "grey"),
    FAMILY + b"\x0c": Pixels("uint8", "rgb"),
    FAMILY + b"\x0d": Pixels("uint8", "rgb"),
    FAMILY + b"\x0f": Pixels("uint8", "rgb+alpha"),
    FAMILY + b"\x11": Pixels("float32", "grey"),
    FAMILY + b"\x12": Pixels("float32", "rgb"),
    FAMILY + b"\x13": Pixels("float32", "grey"),
    FAMILY + b"\x15": Pixels("uint16", "rgb"),
    FAMILY + b"\x16": Pixels("uint16", "rgb+alpha"),
    FAMILY + b"\x17": Pixels("uint16", "rgb+alpha", True),
    FAMILY + b"\x19": Pixels("float32", "rgb+alpha"),
    FAMILY + b"\x1a": Pixels("float32", "rgb+alpha", True),
    FAMILY + b"\x1b": Pixels("float32", "rgb"),
    FAMILY + b"\x3a": Pixels("float16", "rgb+alpha"),
    FAMILY + b"\x3b": Pixels("float16", "rgb"),
    FAMILY + b"\x3e": Pixels("float16", "grey"),
    FAMILY + b"\x42": Pixels("float16", "rgb"),
    bytes.fromhex("956b8cd9fe3ed647bb25eb1748ab0cf1"): Pixels("uint8", "rgb"),
    bytes.fromhex("2dadc7f58d6add43a7a8a29935261ae9"): Pixels("uint8", "rgb+alpha"),
    bytes.fromhex("50a6c43c27a5374da9163142c7ebedba"): Pixels("uint8", "rgb+alpha", True),
    bytes.fromhex("8fd7fee3dbe8cf4a84c1e97f6136b327"): Pixels("float32", "rgb"),
}
"""The identifiers of pixel formats that are read. The codec knows others in part: inks, numbers of 32 bits with a fixed
point, 5, 6 or 10 bits, RGBE, YCC."""
WITHOUT_GAPS = {
    FAMILY + b"\x1b": bytes.fromhex("8fd7fee3dbe8cf4a84c1e97f6136b327"),
    FAMILY + b"\x42": FAMILY + b"\x3b",
    bytes.fromhex("956b8cd9fe3ed647bb25eb1748ab0cf1"): FAMILY + b"\x0d",
}
"""Colours with a gap behind each pixel in memory, which the codec does not make: in a file they are as without."""


@record
class Container:
    """All that a file says: sizes, the identifier of its pixel format, its codestreams, and what stands beside them."""

    height: int
    width: int
    kind: bytes
    streams: tuple[bytes, ...]
    metadata: dict[str, Any]

    @property
    def pixels(self) -> Pixels:
        """What the samples are."""
        return KINDS[self.kind]


def parsed(content: bytes) -> Container:
    """What a file says. Raises ConvError: corrupt, codec-missing."""
    source, start = io.BytesIO(content), int.from_bytes(content[4:8], "little")
    if not 8 <= start < len(content):
        raise corrupt(TITLE, "it is cut short, or does not tell where its directory is")
    tags = read_directory(source, PLAIN, start)
    height, width = number(tags, HEIGHT), number(tags, WIDTH)
    if KIND not in tags or not width or not height:
        raise corrupt(TITLE, "it tells no size or no kind of pixels")
    if tags[KIND].data not in KINDS:
        reason = "inks, more channels than colour and opacity, or numbers of a kind that its codec knows in part"
        raise ConvError(f"is a kind of {TITLE} that is not read here ({reason}); convert it first", "codec-missing")
    streams = tuple(codestream(content, tags, codes) for codes in (PIXELS, OPACITY) if codes[0] in tags)
    if not streams or any(size_of(stream) != (height, width) for stream in streams):
        raise corrupt(TITLE, "its sizes contradict each other")
    if KINDS[tags[KIND].data].samples.endswith("alpha") and len(streams) < 2 and not streams[0][10] & WITH_OPACITY:
        raise corrupt(TITLE, "its opacity is missing")
    turn = number(tags, TURN) if TURN in tags else streams[0][9] >> TURN_SHIFT & 7
    metadata = {"orientation": TURNS[turn & 7], **told(source, tags)}
    return Container(height, width, tags[KIND].data, streams, metadata)


def number(tags: Directory, code: int) -> int:
    """A whole number, 0 where there is none."""
    return tags[code].numbers()[0] if code in tags else 0


def codestream(content: bytes, tags: Directory, codes: tuple[int, int]) -> bytes:
    """A codestream, as it stands in the file."""
    start, length = (number(tags, code) for code in codes)
    if length in (0, len(content)):  # not told; or where it ends, as jxrlib has it of opacity
        length = len(content) - start
    stream = content[start : start + length]
    if len(stream) < max(length, LEAST) or not stream.startswith(MARK):
        raise corrupt(TITLE, "it is cut short, or its data do not begin with a codestream")
    return stream


def upright(stream: bytes) -> bytes:
    """A codestream whose decoder turns nothing: how the picture lies is told beside its pixels."""
    return stream[:9] + bytes((stream[9] & ~(7 << TURN_SHIFT),)) + stream[10:]


def size_of(stream: bytes) -> tuple[int, int]:
    """Rows and columns by the header of a codestream."""
    width, height = struct.unpack_from(">HH" if stream[10] & SHORT_HEADER else ">II", stream, 12)
    return height + 1, width + 1


def told(source: io.BytesIO, tags: Directory) -> dict[str, Any]:
    """What a file says beside its pixels."""
    held: dict[str, Any] = {key: tags[code].data for key, (code, _) in PACKETS.items() if code in tags}
    across, down = (struct.unpack("<f", tags[code].data)[0] if is_float(tags, code) else 0 for code in (ACROSS, DOWN))
    if 0 < across < 1e9 and 0 < down < 1e9:
        held["resolution"] = (across, down, "inch")
    if exif.DESCRIPTION in tags:
        held["description"] = tags[exif.DESCRIPTION].data.rstrip(b"\0 ").decode("utf-8", "replace")
    shared = {code: tags[code] for code in SHARED if code in tags}
    if payload := from_tiff(source, PLAIN, tags) or exif.with_tags(b"", shared):
        held["exif"] = payload
    known = {*OF_THE_FILE, *SHARED, *POINTERS, exif.DESCRIPTION, *(code for code, _ in PACKETS.values())}
    if dropped := sorted(tags.keys() - known):
        held["dropped"] = tuple(f"{TITLE}'s tag {code}" for code in dropped)
    return held


def is_float(tags: Directory, code: int) -> bool:
    """Whether a tag is one number with a fraction."""
    return code in tags and tags[code].kind == FLOAT and tags[code].count == 1


def packed(container: Container) -> bytes:
    """A file of codestreams and what is said beside them."""
    target = io.BytesIO()
    target.write(START + bytes(4))
    metadata = container.metadata
    places = [appended(target, stream) for stream in container.streams]
    tags = into_tiff(metadata.get("exif", b""), target, PLAIN)
    tags |= {code: Tag(kind, metadata[key]) for key, (code, kind) in PACKETS.items() if key in metadata}
    if "description" in metadata:
        text = metadata["description"]
        tags[exif.DESCRIPTION] = exif.text(text if isinstance(text, bytes) else text.encode())
    if "resolution" in metadata:
        *dots, unit = metadata["resolution"]
        steps = (struct.pack("<f", dot * 2.54 / CENTIMETRES[unit]) for dot in dots)
        tags |= {code: Tag(FLOAT, data) for code, data in zip((ACROSS, DOWN), steps, strict=True)}
    tags |= {KIND: Tag(BYTE, container.kind), TURN: long(TURNS.index(metadata.get("orientation", 1)))}
    tags |= {WIDTH: long(container.width), HEIGHT: long(container.height)}
    for codes, place, stream in zip((PIXELS, OPACITY), places, container.streams, strict=False):
        tags |= {codes[0]: long(place), codes[1]: long(len(stream))}
    first = write_directory(target, PLAIN, tags)
    target.seek(4)
    target.write(first.to_bytes(4, "little"))
    return target.getvalue()


def appended(target: io.BytesIO, data: bytes) -> int:
    """Where data begin that are put behind all others."""
    place = target.seek(0, io.SEEK_END)
    target.write(data + bytes(len(data) % 2))
    return place


def long(value: int) -> Tag:
    """A tag of one whole number."""
    return exif.number(value, LONG)
