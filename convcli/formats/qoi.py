"""QOI, the "quite OK image format": colours of 8 bits, without loss.

Its data have no checksum, and a decoder that finds too few of them repeats the last pixel. So a few pixels that are
known are put behind the data, and must come out behind the picture, neither sooner nor later. Source: the specification
of 2022, https://qoiformat.org/qoi-specification.pdf.
"""

from __future__ import annotations

import struct
from math import ceil
from typing import BinaryIO

from convcli.formats.codecs import codec
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt, decoding
from convcli.formats.layout import picture_info
from convcli.formats.pixels import coloured, picture
from convcli.formats.source import RUN_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import record

NAME, TITLE = "QOI", "QOI"
HEADER, END = struct.Struct(">4sIIBB"), bytes(7) + b"\1"
SAMPLES = {3: "rgb", 4: "rgb+alpha"}
LINEAR = 1
KNOWN = bytes.fromhex("fe 3a91c7 fe e0125b fe 07f46d fe 9c28be fe 51d3a4 fe b86f19")
"""Six pixels, each as it stands in a file: its red, green and blue."""


@record
class Header:
    """What a file declares."""

    width: int
    height: int
    channels: int
    colours: int


def parsed(content: bytes) -> Header:
    """The header."""
    if len(content) < HEADER.size + len(END):
        raise corrupt(TITLE, "it is cut short")
    _, width, height, channels, colours = HEADER.unpack_from(content)
    if channels not in SAMPLES or colours > LINEAR:
        raise corrupt(TITLE, f"it declares {channels} channels of colour space {colours}")
    return Header(width, height, channels, colours)


def described(header: Header) -> ImageInfo:
    """A header as an image."""
    metadata = {"linear": True} if header.colours == LINEAR else {}
    return picture_info("qoi", (header.height, header.width), SAMPLES[header.channels], metadata=metadata)


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a QOI says of itself."""
    return described(parsed(source.head(HEADER.size + len(END))))


def read(source: Source, options: ReadOptions) -> Image:
    """A QOI with its pixels."""
    content = source.read()
    header = parsed(content)
    info = described(header)
    check_declared(info, options.max_pixels)
    check_ratio(info.nbytes, len(content), RUN_RATIO)
    if not content.endswith(END):
        raise corrupt(TITLE, "it is cut short: it has no end marker")
    known = [tuple(KNOWN[place + 1 : place + 4]) for place in range(0, len(KNOWN), 4)]
    more = ceil(len(known) / header.width)
    longer = HEADER.pack(b"qoif", header.width, header.height + more, header.channels, header.colours)
    with decoding(TITLE, RuntimeError, ValueError):
        data = codec(NAME, TITLE).qoi_decode(longer + content[HEADER.size : -len(END)] + KNOWN + END)
    behind = data[header.height :].reshape(-1, header.channels)[: len(known), :3]
    if [tuple(pixel) for pixel in behind.tolist()] != known:
        raise corrupt(TITLE, "its data are not those of as many pixels as it declares")
    return Image(info, data[: header.height])


def write(stream: BinaryIO, image: Image, _options: WriteOptions, _kind: str) -> None:
    """Encode a picture; grey as equal colours."""
    content = bytearray(codec(NAME, TITLE).qoi_encode(coloured(picture(image))))
    content[HEADER.size - 1] = LINEAR * ("linear" in image.info.metadata)
    stream.write(content)


def check(_info: ImageInfo, _kind: str) -> None:
    """Refuse where there is no codec."""
    codec(NAME, TITLE)


FORMAT = FormatModule(probe, read, write, check=check, single=True, whole="QOI is decoded as a whole")
