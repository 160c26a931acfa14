"""What a JPEG says beside its pixels, in segments of 64 kB at most: read under the shared keys, written from them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from convcli.formats import photoshop, xmp
from convcli.image import ImageInfo

START = b"\xff\xd8"
APP0, APP1, APP2, APP12, APP13, APP14, APP15, COMMENT = 0xE0, 0xE1, 0xE2, 0xEC, 0xED, 0xEE, 0xEF, 0xFE
EXIF, ICC, ADOBE, JFIF, JFXX = b"Exif\0\0", b"ICC_PROFILE\0", b"Adobe", b"JFIF\0", b"JFXX\0"
XMP, XMP_MORE, PHOTOSHOP = (
    b"http://ns.adobe.com/xap/1.0/\0",
    b"http://ns.adobe.com/xmp/extension/\0",
    b"Photoshop 3.0\0",
)
OF_THE_ENCODER = {(APP0, JFIF), (APP0, JFXX), (APP12, b"Ducky"), (APP14, ADOBE)}
"""Segments about the old pixels: how they were coded, and a small picture of them."""
SQUARE_PIXELS = (0, 1, 1)  # unit and densities that say nothing more
UNITS = {0: "none", 1: "inch", 2: "cm"}
LARGEST_PART = 65519  # bytes of profile in one segment
LARGEST_SEGMENT = 65533  # bytes of a segment behind its length

Segment = tuple[int, bytes]


def metadata_of(segments: Iterable[Segment]) -> dict[str, Any]:
    """The shared keys of segments, and under "dropped" what nobody can know to hold for other pixels."""
    metadata: dict[str, Any] = {}
    found = Found()
    for marker, data in segments:
        if marker == APP1 and data.startswith(EXIF):
            metadata.setdefault("exif", data.removeprefix(EXIF))
        elif marker == APP0 and data.startswith(JFIF) and len(data) >= 12:
            unit, x, y = struct.unpack(">BHH", data[7:12])
            if (unit, x, y) != SQUARE_PIXELS:
                metadata["resolution"] = (float(x), float(y), UNITS.get(unit, "none"))
        elif marker >= APP0 and not any(marker == m and data.startswith(start) for m, start in OF_THE_ENCODER):
            found.take(marker, data)
    return metadata | found.metadata


class Found:
    """What is spread over segments."""

    def __init__(self) -> None:
        self.profile: dict[int, bytes] = {}
        self.parts = 0
        self.resources: list[bytes] = []
        self.xmp: list[bytes] = []
        self.more: dict[bytes, list[tuple[int, int, bytes]]] = {}
        self.comments: list[bytes] = []
        self.dropped: dict[str, None] = {}

    def take(self, marker: int, data: bytes) -> None:
        """One segment."""
        if marker == APP2 and data.startswith(ICC) and len(data) > len(ICC) + 2:
            self.profile[data[len(ICC)]] = data[len(ICC) + 2 :]
            self.parts = max(self.parts, data[len(ICC) + 1])
        elif marker == APP13 and data.startswith(PHOTOSHOP):
            self.resources.append(data.removeprefix(PHOTOSHOP))
        elif marker == APP1 and data.startswith(XMP):
            self.xmp.append(data.removeprefix(XMP))
        elif marker == APP1 and data.startswith(XMP_MORE) and len(data) >= len(XMP_MORE) + 40:
            name, size, place = struct.unpack_from(">32sII", data, len(XMP_MORE))
            self.more.setdefault(name, []).append((size, place, data[len(XMP_MORE) + 40 :]))
        elif marker == COMMENT:
            self.comments.append(data)
        else:
            self.dropped[name_of(marker, data)] = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The shared keys; a value that is damaged is empty."""
        metadata: dict[str, Any] = {}
        if self.profile:
            whole = sorted(self.profile) == list(range(1, len(self.profile) + 1)) and len(self.profile) == self.parts
            metadata["icc"] = b"".join(part for _, part in sorted(self.profile.items())) if whole else b""
        if self.resources:
            metadata["photoshop"] = b"".join(self.resources)
        if self.xmp:
            metadata["xmp"] = self.xmp[0]
            if name := xmp.guid(self.xmp[0]):
                metadata["xmp_more"] = xmp.assembled(self.more.get(name, ())) or b""
        if self.comments:
            metadata["comments"] = tuple(self.comments)
        return metadata | ({"dropped": tuple(self.dropped)} if self.dropped else {})


def name_of(marker: int, data: bytes) -> str:
    """What a segment is called in the report: its number, and the word that it begins with."""
    word = data[:16].partition(b"\0")[0]
    shown = f" {word.decode()}" if word.isalnum() else ""
    return f"JPEG segment APP{marker - APP0}{shown}" if marker <= APP15 else f"JPEG segment {marker:02x}"


def segments_of(info: ImageInfo) -> Iterator[Segment]:
    """The segments that go before the encoder's."""
    metadata = info.metadata
    if info.samples == "cmyk":
        yield APP14, ADOBE + struct.pack(">HHHB", 100, 0, 0, 0)
    else:
        yield APP0, JFIF + b"\1\1" + density(*metadata.get("resolution", (1.0, 1.0, "none"))) + b"\0\0"
    if "exif" in metadata:
        yield APP1, EXIF + metadata["exif"]
    if "xmp" in metadata:
        yield APP1, XMP + metadata["xmp"]
    if "xmp_more" in metadata:
        yield from ((APP1, XMP_MORE + piece) for piece in xmp.pieces(metadata["xmp_more"], xmp.guid(metadata["xmp"])))
    yield from in_parts(APP13, PHOTOSHOP, photoshop.joined(metadata.get("iptc", b""), metadata.get("photoshop", b"")))
    profile = metadata.get("icc", b"")
    parts = [profile[i : i + LARGEST_PART] for i in range(0, len(profile), LARGEST_PART)]
    for number, part in enumerate(parts, 1):
        yield APP2, ICC + bytes((number, len(parts))) + part
    yield from ((COMMENT, comment) for comment in metadata.get("comments", ()))


def in_parts(marker: int, head: bytes, content: bytes) -> Iterator[Segment]:
    """Content in as many segments as it needs."""
    step = LARGEST_SEGMENT - len(head)
    for start in range(0, len(content), step):
        yield marker, head + content[start : start + step]


def density(x: float, y: float, unit: str) -> bytes:
    """Unit and densities as JFIF holds them: whole numbers, so of inch and centimetre the unit that loses less.

    >>> density(78.74, 39.37, "cm") == density(200, 100, "inch")
    True
    """
    scales = {"inch": {1: 1.0, 2: 1 / 2.54}, "cm": {1: 2.54, 2: 1.0}, "none": {0: 1.0}}[unit]
    fitting = {code: scale for code, scale in scales.items() if max(x, y) * scale < 65536} or scales
    code, scale = min(fitting.items(), key=lambda pair: sum(abs(v * pair[1] - round(v * pair[1])) for v in (x, y)))
    values = [min(max(round(value * scale), 1), 65535) for value in (x, y)]
    return struct.pack(">BHH", code, *values)


def segment(marker: int, data: bytes) -> bytes:
    """A segment as it stands in the file."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data
