"""What a JPEG 2000 file says: the sizes in its codestream, and the boxes around it.

Source: ITU-T T.800 (2019), A.5.1 and I.5; EXIF, XMP and IPTC stand in boxes of their own, as Exiv2 and Adobe put them.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from math import floor, log10
from typing import Any

from convcli.errors import ConvError
from convcli.formats.boxes import Box, box, boxes
from convcli.formats.failures import corrupt
from convcli.image import ImageInfo
from convcli.records import record

TITLE = "JPEG 2000"
SIGNATURE, STREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"
SIZES = struct.Struct(">HHIIIIIIIIH")
ENUMERATED, PROFILE, FULL_PROFILE = 1, 2, 3  # ways to tell colours
SRGB, GREY = 16, 17
SPACES = {12: "CMYK", 14: "CIELab", 18: "YCbCr", 20: "e-sRGB", 21: "ROMM", 24: "e-YCbCr"}
COLOUR, OPACITY, MULTIPLIED = 0, 1, 2  # types of channels
XMP_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF_ID = b"JpgTiffExif->JP2"
IPTC_ID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
IDENTIFIED = {"exif": EXIF_ID, "xmp": XMP_ID, "iptc": IPTC_ID}
"""Key -> the identifier of the box that it stands in."""
MOST_BITS = 16
METRE = {"inch": 39.37007874015748, "cm": 100.0}


@record
class Codestream:
    """The sizes that a codestream begins with; `depths` are the bits of each component, negative where it is signed."""

    height: int
    width: int
    depths: tuple[int, ...]
    coarse: bool


@record
class Header:
    """All that a file says; `colours` is the number of the colour space, 0 where a profile or nothing tells it.

    `kinds` are the types of its channels by their numbers, `columns` the depths of those that a palette makes.
    """

    stream: Codestream
    colours: int
    kinds: tuple[tuple[int, int], ...]
    columns: tuple[int, ...]
    metadata: dict[str, Any]

    @property
    def depths(self) -> tuple[int, ...]:
        """Bits of each channel."""
        return self.columns or self.stream.depths

    @property
    def samples(self) -> str:
        """What the channels mean; empty for data."""
        count, kinds = len(self.depths), dict(self.kinds)
        opaque = {OPACITY, MULTIPLIED} & {kinds.get(count - 1, COLOUR)}
        if self.colours not in (0, SRGB, GREY) or any(kinds.get(each, COLOUR) for each in range(count - 1)):
            return ""
        return {1: "grey", 3: "rgb"}.get(count - len(opaque), "") + "+alpha" * bool(opaque)


def parsed(content: bytes) -> Header:
    """What a file says, be it a codestream alone. Raises ConvError: corrupt."""
    if content.startswith(STREAM):
        return Header(sizes(content[2:]), 0, (), (), {})
    stream: Codestream | None = None
    found, metadata, dropped = Colours(), dict[str, Any](), dict[str, None]()
    for each in boxes(content, TITLE):
        data = memoryview(content)[each.start : each.end]
        if each.kind == b"jp2h":
            metadata |= found.take(content, each)
        elif each.kind == b"jp2c" and stream is None:
            if data[:4] != STREAM:
                raise corrupt(TITLE, "its data do not begin with a codestream")
            stream = sizes(data[2:])
        elif each.kind == b"uuid":
            metadata |= identified(bytes(data[:16]), bytes(data[16:]), dropped)
        elif each.kind not in (b"jP  ", b"ftyp", b"jp2c", b"free", b"rreq"):
            dropped[f"JPEG 2000's box {each.kind.decode('latin-1').strip()}"] = None
    if stream is None:
        raise corrupt(TITLE, "it has no codestream")
    metadata |= {"dropped": tuple(dropped)} if dropped else {}
    return Header(stream, found.space, tuple(found.kinds), tuple(found.columns), metadata)


def identified(name: bytes, data: bytes, dropped: dict[str, None]) -> dict[str, Any]:
    """What stands in a box with an identifier."""
    for key, identifier in IDENTIFIED.items():
        if name == identifier:
            return {key: data}
    dropped[f"JPEG 2000's box of {name.hex()[:8]}"] = None
    return {}


class Colours:
    """What the header's boxes say of colours."""

    def __init__(self) -> None:
        self.space = 0
        self.kinds: list[tuple[int, int]] = []
        self.columns: list[int] = []

    def take(self, content: bytes, outer: Box) -> dict[str, Any]:
        """All of them; what they tell beside the colours."""
        told: dict[str, Any] = {}
        for each in boxes(content, TITLE, outer.start, outer.end):
            data = content[each.start : each.end]
            if each.kind == b"colr" and len(data) >= 3 and "icc" not in told and not self.space:
                if data[0] == ENUMERATED:
                    self.space = int.from_bytes(data[3:7], "big")
                elif data[0] in (PROFILE, FULL_PROFILE):
                    told["icc"] = data[3:]
            elif each.kind == b"cdef":
                entries = [struct.unpack_from(">HHH", data, place) for place in range(2, len(data) - 5, 6)]
                self.kinds = [(number, kind) for number, kind, _ in entries]
            elif each.kind == b"pclr" and len(data) > 3:
                self.columns = [1 + (depth & 0x7F) for depth in data[3 : 3 + data[2]]]
            elif each.kind == b"res ":
                told |= resolution(content, each)
        return told


def resolution(content: bytes, outer: Box) -> dict[str, Any]:
    """Pixels per centimetre: those of the scanner, or else of the screen."""
    found = {}
    for each in boxes(content, TITLE, outer.start, outer.end):
        if each.end - each.start == 10:
            *parts, up, across = struct.unpack_from(">HHHHbb", content, each.start)
            if all(parts):
                found[each.kind] = (
                    parts[2] / parts[3] * 10.0**across / 100,
                    parts[0] / parts[1] * 10.0**up / 100,
                    "cm",
                )
    held = found.get(b"resc") or found.get(b"resd")
    return {"resolution": held} if held else {}


def sizes(data: bytes | memoryview) -> Codestream:
    """What stands behind the first marker of a codestream."""
    if len(data) < 2 + SIZES.size:
        raise corrupt(TITLE, "it is cut short")
    length, _, width, height, left, top, *_, count = SIZES.unpack_from(data, 2)
    parts = bytes(data[2 + SIZES.size : 2 + length])
    if length != SIZES.size + 3 * count or len(parts) != 3 * count or not count or left >= width or top >= height:
        raise corrupt(TITLE, "its sizes contradict each other")
    depths = [(1 + (each & 0x7F)) * (-1 if each & 0x80 else 1) for each in parts[::3]]
    coarse = {*parts[1::3], *parts[2::3]} != {1}
    return Codestream(height - top, width - left, tuple(depths), coarse)


def check_read(header: Header) -> None:
    """Refuse what is not read here. Raises ConvError: codec-missing."""
    reason = ""
    if header.stream.coarse:
        reason = "components of several sizes"
    elif header.colours in SPACES:
        reason = SPACES[header.colours]
    elif len({*header.depths}) > 1:
        reason = "components of several depths"
    elif abs(header.depths[0]) > MOST_BITS:
        reason = f"samples of {abs(header.depths[0])} bits"
    if reason:
        raise ConvError(f"is a kind of {TITLE} that is not read here ({reason}); convert it first", "codec-missing")


def boxed(info: ImageInfo, stream: bytes, depth: int, count: int) -> list[bytes]:
    """The boxes of a file around a codestream."""
    metadata, grey = info.metadata, count < 3
    head = struct.pack(">IIHBBBB", info.size("Y"), info.size("X"), count, depth, 7, 0, 0)
    inner = [box(b"ihdr", head)]
    if "icc" in metadata:
        inner.append(box(b"colr", bytes((PROFILE, 0, 0)), metadata["icc"]))
    else:
        inner.append(box(b"colr", bytes((ENUMERATED, 0, 0)), struct.pack(">I", GREY if grey else SRGB)))
    if info.has_alpha:
        entries = [(each, COLOUR, each + 1) for each in range(count - 1)] + [(count - 1, OPACITY, 0)]
        inner.append(box(b"cdef", struct.pack(">H", count), *(struct.pack(">HHH", *each) for each in entries)))
    if "resolution" in metadata:
        x, y, unit = metadata["resolution"]
        inner.append(box(b"res ", box(b"resc", density(y * METRE[unit], x * METRE[unit]))))
    said = [box(b"uuid", name, metadata[key]) for key, name in IDENTIFIED.items() if key in metadata]
    return [SIGNATURE, box(b"ftyp", b"jp2 \0\0\0\0jp2 "), box(b"jp2h", *inner), *said, box(b"jp2c", stream)]


def density(up: float, across: float) -> bytes:
    """Pixels in a metre, as ratios of numbers with 16 bits and powers of ten."""
    parts, powers = [], []
    for value in (up, across):
        power = floor(log10(value))
        near = Fraction(value / 10.0**power).limit_denominator(6000)
        parts += [near.numerator, near.denominator]
        powers.append(power)
    return struct.pack(">HHHHbb", *parts, *powers)
