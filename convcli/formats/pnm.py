"""The portable formats of Netpbm (PBM, PGM, PPM, PAM), read and written here: others cut their 16-bit colour to 8."""

from __future__ import annotations

import re
from math import prod
from typing import BinaryIO

import numpy as np

from convcli.formats.failures import corrupt
from convcli.formats.layout import SAMPLES, picture_samples
from convcli.formats.limits import check_declared
from convcli.formats.options import ReadOptions, WriteOptions
from convcli.formats.pixels import Array, picture
from convcli.formats.source import Source
from convcli.image import Image, ImageInfo
from convcli.records import record

KINDS = {b"1": "pbm", b"2": "pgm", b"3": "ppm", b"4": "pbm", b"5": "pgm", b"6": "ppm", b"7": "pam"}
PLAIN = b"123"  # numbers as text
LONGEST_HEADER = 65536
FIELD = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,10})")  # a number after white space and comments
SPACE = re.compile(rb"(?:#[^\n\r]*)?\s")
COMMENT = re.compile(rb"#[^\n\r]*")
PAM_LINE = re.compile(rb"[ \t]*(?:#[^\n]*|(\w+)(?:[ \t]+([^\n]*?))?)[ \t\r]*\n")


@record
class Header:
    """What a file declares: its kind's number, size, samples per pixel, largest value, and where the pixels begin."""

    number: bytes
    width: int
    height: int
    depth: int
    most: int
    start: int

    @property
    def kind(self) -> str:
        """The name of the format."""
        return KINDS[self.number]

    @property
    def is_bitmap(self) -> bool:
        """True where 1 is black and 0 white."""
        return self.kind == "pbm"


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a PNM file says of itself."""
    return describe(parsed(source.head(LONGEST_HEADER)))


def read(source: Source, options: ReadOptions) -> Image:
    """A PNM file with its pixels, at the values it holds; bitmaps as 0 (black) and 255."""
    content = source.read()
    header = parsed(content[:LONGEST_HEADER])
    info = describe(header)
    check_declared(info, np.dtype(info.dtype).itemsize, options.max_pixels)
    data = numbers(content, header) if header.number in PLAIN else samples(content, header)
    if data.size and int(data.max()) > header.most:
        raise corrupt(header.kind.upper(), f"a sample is above the declared maximum of {header.most}")
    if header.is_bitmap:
        data = np.where(data, np.uint8(0), np.uint8(255))
    return Image(info, data.reshape(info.shape))


def parsed(head: bytes) -> Header:
    """The header of any kind; the first bytes are "P" and a digit."""
    number = head[1:2]
    return parsed_pam(head) if number == b"7" else parsed_pnm(head, number)


def parsed_pnm(head: bytes, number: bytes) -> Header:
    """Width, height and, but for bitmaps, the largest value; one white space before the pixels."""
    place, fields = 2, []
    for _ in range(2 if KINDS[number] == "pbm" else 3):
        match = FIELD.match(head, place)
        if match is None:
            raise corrupt("PNM", "its header lacks a number")
        fields.append(int(match.group(1)))
        place = match.end()
    space = SPACE.match(head, place)
    if space is None:
        raise corrupt("PNM", "it ends with its header")
    width, height, *most = fields
    depth = 3 if KINDS[number] == "ppm" else 1
    return checked(Header(number, width, height, depth, most[0] if most else 1, space.end()))


def parsed_pam(head: bytes) -> Header:
    """Named fields, one a line, up to ENDHDR."""
    fields: dict[bytes, bytes] = {}
    place = head.find(b"\n") + 1
    while place and (match := PAM_LINE.match(head, place)) is not None:
        place = match.end()
        if match.group(1) == b"ENDHDR":
            break
        if match.group(1):
            fields[match.group(1)] = match.group(2) or b""
    else:
        raise corrupt("PAM", "its header has no end")
    try:
        width, height, depth, most = (int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError) as error:
        raise corrupt("PAM", "its header lacks a size, depth or maximum") from error
    return checked(Header(b"7", width, height, depth, most, place))


def checked(header: Header) -> Header:
    """The header, if its numbers are possible."""
    if not 0 < header.most < 65536 or header.depth < 1 or min(header.width, header.height) < 0:
        raise corrupt("PNM", f"its header declares {header.depth} samples with a maximum of {header.most}")
    return header


def describe(header: Header) -> ImageInfo:
    """A header as an image; a maximum other than that of the dtype is kept for writing."""
    size = (header.height, header.width)
    wide = header.most > 255
    metadata = {} if header.most in (1, 255, 65535) else {"pnm": {"maxval": header.most}}
    return ImageInfo(
        shape=size if header.depth == 1 else (*size, header.depth),
        dtype="uint16" if wide else "uint8",
        axes="YX" if header.depth == 1 else "YXS",
        format=header.kind,
        samples=SAMPLES.get(header.depth, "") if header.depth > 1 else "",
        metadata=metadata,
    )


def samples(content: bytes, header: Header) -> Array:
    """Binary samples: big-endian where they have two bytes, packed bits in a bitmap."""
    count = header.width * header.height * header.depth
    row = (header.width + 7) // 8
    size = row * header.height if header.is_bitmap else count * (2 if header.most > 255 else 1)
    if len(content) - header.start < size:
        raise corrupt(
            header.kind.upper(), f"{size:,} bytes of pixels are declared, {len(content) - header.start:,} follow"
        )
    raw = np.frombuffer(content, np.uint8, size, header.start)
    if header.is_bitmap:
        return np.unpackbits(raw.reshape(header.height, row), axis=1, count=header.width)
    return raw.view(">u2").astype(np.uint16) if header.most > 255 else raw.copy()


def numbers(content: bytes, header: Header) -> Array:
    """Samples as text; in a bitmap every digit is one, with or without space between."""
    count = prod((header.width, header.height, header.depth))
    text = COMMENT.sub(b"", content[header.start :])
    words = re.findall(rb"[01]", text) if header.is_bitmap else text.split()
    if len(words) < count:
        raise corrupt(header.kind.upper(), f"{count:,} samples are declared, {len(words):,} follow")
    try:
        values = np.array([int(word) for word in words[:count]], np.int64)
    except OverflowError as error:
        raise corrupt(header.kind.upper(), f"a sample is not between 0 and {header.most}") from error
    except ValueError as error:
        raise corrupt(header.kind.upper(), "a sample is not a number") from error
    if values.size and (values.min() < 0 or values.max() > header.most):
        raise corrupt(header.kind.upper(), f"a sample is not between 0 and {header.most}")
    return values.astype(np.uint16 if header.most > 255 else np.uint8)


def write(stream: BinaryIO, image: Image, _options: WriteOptions, kind: str) -> None:
    """Encode a picture of 8 or 16 bits: PGM or PPM, or PAM where asked for."""
    data = picture(image)
    most = largest(data, image.info)
    height, width = data.shape[:2]
    depth = 1 if data.ndim == 2 else data.shape[2]
    if kind == "pam":
        name = {"grey": "GRAYSCALE", "grey+alpha": "GRAYSCALE_ALPHA", "rgb": "RGB", "rgb+alpha": "RGB_ALPHA"}
        tuples = name[picture_samples(image.info) or "grey"]
        head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {most}\nTUPLTYPE {tuples}\nENDHDR\n"
    else:
        head = f"P{6 if depth == 3 else 5}\n{width} {height}\n{most}\n"
    stream.write(head.encode())
    stream.write(data.data if most < 256 else data.astype(">u2").data)


def largest(data: Array, info: ImageInfo) -> int:
    """The maximum to declare: the source's if all values still fit under it, else that of the dtype."""
    full = 255 if data.dtype == np.uint8 else 65535
    own: int = info.metadata.get("pnm", {}).get("maxval", full)
    return own if own <= full and own > 255 * (full > 255) and int(data.max()) <= own else full
