"""JPEG XL through libjxl (imagecodecs): all numbers that it has, without loss unless a quality is asked for.

The header is read here, so that sizes are known before anything is decoded; so are the boxes around the codestream,
with EXIF and XMP in them.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from convcli.errors import ConvError
from convcli.formats.boxes import Box, box, boxes
from convcli.formats.codecs import codec
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import decoding
from convcli.formats.jpegxl.header import TITLE, Header, parsed, rewritten
from convcli.formats.layout import picture_info
from convcli.formats.pixels import as_declared, picture
from convcli.formats.source import UNBOUNDED_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import replace

NAME = "JPEGXL"
SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
START = SIGNATURE + box(b"ftyp", b"jxl \0\0\0\0jxl ")
LONGEST_HEADER = 4096
STREAM, PART, EXIF, XMP, PACKED = b"jxlc", b"jxlp", b"Exif", b"xml ", b"brob"
OF_THE_FILE = (b"JXL ", b"ftyp", b"jxll", b"jxli", b"jbrd", STREAM, PART)
LARGEST_PACKED = 2**24  # bytes of EXIF or XMP
STORED = (8, 16)
EFFORT = 4  # 9 % larger than by libjxl's 7, in a third of the time


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a JPEG XL says of itself."""
    return scanned(source.read())[1]


def scanned(content: bytes) -> tuple[Header, ImageInfo]:
    """The header, and the image that it tells of; around it may be boxes."""
    if not content.startswith(SIGNATURE):
        return described(parsed(content[:LONGEST_HEADER]), {})
    head, metadata, dropped = b"", dict[str, Any](), dict[str, None]()
    for found in boxes(content, TITLE):
        kind, data = unpacked(found, content)
        if kind in (STREAM, PART):
            skipped = 4 if kind == PART else 0
            head += content[found.start + skipped : min(found.end, found.start + LONGEST_HEADER)]
        elif kind == EXIF:
            offset = 4 + int.from_bytes(data[:4], "big")
            metadata.setdefault("exif", data[offset:])
        elif kind == XMP:
            metadata.setdefault("xmp", data)
        elif kind not in OF_THE_FILE:
            dropped[f"JPEG XL's box {kind.decode('latin-1').strip()}"] = None
    if dropped:
        metadata["dropped"] = tuple(dropped)
    return described(parsed(head[:LONGEST_HEADER]), metadata)


def unpacked(found: Box, content: bytes) -> tuple[bytes, bytes]:
    """The name and the content of a box that says something; it may be packed by Brotli."""
    if found.kind in (STREAM, PART):
        return found.kind, b""
    data = content[found.start : found.end]
    if found.kind != PACKED:
        return found.kind, data
    kind = data[:4]
    if kind not in (EXIF, XMP):
        return kind, b""
    room = bytearray(LARGEST_PACKED)
    try:
        return kind, bytes(codec("BROTLI", "Brotli").brotli_decode(data[4:], out=room))
    except (ConvError, RuntimeError, ValueError):
        return b"that is packed", b""


def described(header: Header, metadata: dict[str, Any]) -> tuple[Header, ImageInfo]:
    """A header as an image."""
    if not header.known:
        reason = "more channels than colour and opacity, or samples of more than 32 bits"
        raise ConvError(f"is a kind of {TITLE} that is not read here ({reason}); convert it first", "codec-missing")
    notes = ["animated: its first picture is read"] * header.animated
    if header.space == "profile":
        notes.append(f"its ICC profile is packed into {TITLE}'s data, from which it is not taken: it is lost")
    elif header.space == "other":
        notes.append("its colours are those of another space than sRGB, which the result does not say")
    if not header.exponent and header.bits not in STORED:
        dtype = header.dtype
        notes.append(f"{header.bits}-bit samples are scaled to {dtype[4:]} bits, 0 to {2 ** int(dtype[4:]) - 1}")
    told = {**metadata, "orientation": header.orientation}
    if header.space == "linear" and not header.exponent:  # numbers with a fraction are light by custom
        told["linear"] = True
    size = header.height, header.width
    info = picture_info("jxl", size, header.samples, header.dtype, metadata=told, notes=tuple(notes))
    return header, replace(info, premultiplied=header.premultiplied)


def read(source: Source, options: ReadOptions) -> Image:
    """A JPEG XL with its pixels, as stored; of an animation, the first."""
    content = source.read()
    header, info = scanned(content)
    check_declared(info, options.max_pixels)
    check_ratio(info.nbytes, len(content), UNBOUNDED_RATIO)
    first = 0 if header.animated else None
    with decoding(TITLE, RuntimeError, ValueError):
        data = codec(NAME, TITLE).jpegxl_decode(content, first, keeporientation=True)
    return Image(info, as_declared(TITLE, data, info))


def write(stream: BinaryIO, image: Image, options: WriteOptions, _kind: str) -> None:
    """Encode a picture: without loss, unless a quality below 100 is asked for."""
    data, encode = picture(image), codec(NAME, TITLE).jpegxl_encode
    lossless = is_lossless(image.info, options)
    quality = {"lossless": True, "effort": EFFORT} if lossless else {"distance": distance(options.quality or 100)}
    encoded = bytes(encode(data, **quality))
    parts = dict[bytes, bytes]()
    if encoded.startswith(SIGNATURE):
        parts = {each.kind: encoded[each.start : each.end] for each in boxes(encoded, TITLE)}
        encoded = parts[STREAM] if STREAM in parts else joined(encoded)
    metadata = image.info.metadata
    linear = ("linear" in metadata or data.dtype.kind == "f") if lossless else None
    encoded = rewritten(encoded, metadata.get("orientation", 1), linear=linear)
    level = [box(b"jxll", parts[b"jxll"])] if b"jxll" in parts else []
    said = [box(EXIF, bytes(4), metadata["exif"])] if "exif" in metadata else []
    said += [box(XMP, metadata["xmp"])] if "xmp" in metadata else []
    if level or said:
        stream.write(b"".join((START, *level, *said, box(STREAM, encoded))))
    else:
        stream.write(encoded)


def is_lossless(info: ImageInfo, options: WriteOptions) -> bool:
    """True unless a quality is asked for; of 16 bits, the codec would take that for one of linear light."""
    return options.quality in (None, 100) or info.dtype != "uint8"


def joined(content: bytes) -> bytes:
    """The codestream that lies in parts."""
    return b"".join(content[each.start + 4 : each.end] for each in boxes(content, TITLE) if each.kind == PART)


def distance(quality: int) -> float:
    """The distance that libjxl's own programs choose for a quality.

    >>> distance(90), distance(100)
    (1.0, 0.1)
    """
    if quality >= 30:
        return round(0.1 + (100 - quality) * 0.09, 3)
    return round(53 / 3000 * quality**2 - 23 / 20 * quality + 25, 3)


def check(_info: ImageInfo, _kind: str) -> None:
    """Refuse where there is no codec."""
    codec(NAME, TITLE)


def remarks(info: ImageInfo, options: WriteOptions, _kind: str) -> tuple[str, ...]:
    """What a quality does not change."""
    without = options.quality not in (None, 100) and is_lossless(info, options)
    return (f"--quality is for 8 bits: {TITLE} keeps {info.dtype} without loss",) * without


FORMAT = FormatModule(
    probe, read, write, check=check, remarks=remarks, single=True, whole="libjxl decodes pictures as a whole"
)
