"""JPEG 2000 through OpenJPEG (imagecodecs), without loss unless a quality is asked for.

Sizes and boxes are read and written here; the codec is given a codestream, and makes one.
"""

from __future__ import annotations

from typing import BinaryIO

from convcli.formats.codecs import codec
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import decoding
from convcli.formats.jpeg2000.header import MULTIPLIED, TITLE, Header, boxed, check_read, parsed
from convcli.formats.layout import picture_info
from convcli.formats.pixels import Array, as_declared, filling, picture
from convcli.formats.source import UNBOUNDED_RATIO, Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import replace

NAME = "JPEG2K"
SIGNED = 0x80
LEAST, STEP = 20, 0.3  # decibels: signal to noise at quality 0, and what each step adds


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a JPEG 2000 says of itself."""
    return described(parsed(source.read()))


def described(header: Header) -> ImageInfo:
    """A header as an image."""
    check_read(header)
    depth, count = header.depths[0], len(header.depths)
    bits = 8 if abs(depth) <= 8 else 16
    dtype = f"{'int' if depth < 0 else 'uint'}{bits}"
    notes = (f"{depth}-bit samples are scaled to {bits} bits, 0 to {2**bits - 1}",) if 0 < depth != bits else ()
    size = header.stream.height, header.stream.width
    info = picture_info("jp2", size, header.samples or "grey", dtype, metadata=header.metadata, notes=notes)
    if not header.samples and count > 1:
        return replace(info, shape=(*size, count), axes="YXS", samples="")
    return replace(info, premultiplied=(count - 1, MULTIPLIED) in header.kinds)


def read(source: Source, options: ReadOptions) -> Image:
    """A JPEG 2000 with its pixels; fewer bits than 8 or 16 are scaled."""
    content = source.read()
    header = parsed(content)
    info = described(header)
    check_declared(info, options.max_pixels)
    check_ratio(info.nbytes, len(content), UNBOUNDED_RATIO)
    with decoding(TITLE, RuntimeError, ValueError):
        data: Array = codec(NAME, TITLE).jpeg2k_decode(content)
    if data.ndim == 3 and data.shape[2] == 1:
        data = data[..., 0]
    data = as_declared(TITLE, data, info)
    depth = header.depths[0]
    return Image(info, filling(2**depth - 1)[data] if info.notes else data)


def write(stream: BinaryIO, image: Image, options: WriteOptions, _kind: str) -> None:
    """Encode a picture: without loss, unless a quality below 100 is asked for."""
    data, encode = picture(image), codec(NAME, TITLE).jpeg2k_encode
    if options.quality in (None, 100):
        encoded = encode(data, codecformat="j2k", reversible=True)
    else:
        encoded = encode(data, decibels(options.quality or 100), codecformat="j2k", reversible=False)
    depth = image.info.sample.bits - 1 | (0 if data.dtype.kind == "u" else SIGNED)
    stream.write(b"".join(boxed(image.info, bytes(encoded), depth, data.shape[2] if data.ndim > 2 else 1)))


def decibels(quality: int) -> int:
    """The ratio of signal to noise that a quality stands for.

    >>> decibels(95), decibels(50)
    (48, 35)
    """
    return int(LEAST + STEP * quality)


def check(_info: ImageInfo, _kind: str) -> None:
    """Refuse where there is no codec."""
    codec(NAME, TITLE)


FORMAT = FormatModule(probe, read, write, check=check, single=True, whole="OpenJPEG decodes pictures as a whole")
