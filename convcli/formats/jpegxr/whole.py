"""JPEG XR through jxrlib (imagecodecs): 8 and 16 bits and half precision, without loss unless a quality is asked for.

Its directories are read and written here, for sizes before pixels and for what they say beside them; its pixels are
decoded and encoded in a process of its own.
"""

from __future__ import annotations

from typing import BinaryIO

from convcli.formats.codecs import codec
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.jpegxr.apart import NAME, decoded, encoded
from convcli.formats.jpegxr.container import TITLE, WITHOUT_GAPS, Container, packed, parsed, upright
from convcli.formats.layout import picture_info
from convcli.formats.pixels import picture
from convcli.formats.source import Source, check_declared, check_ratio
from convcli.image import Image, ImageInfo
from convcli.records import replace

RATIO = 20_000  # blocks of 256 pixels take at least a bit each


def probe(source: Source, _options: ReadOptions) -> ImageInfo:
    """What a JPEG XR says of itself."""
    return described(parsed(source.read()))


def described(container: Container) -> ImageInfo:
    """A file as an image."""
    dtype, samples, premultiplied = container.pixels
    size = container.height, container.width
    info = picture_info("jxr", size, samples, dtype, metadata=container.metadata)
    return replace(info, premultiplied=premultiplied)


def read(source: Source, options: ReadOptions) -> Image:
    """A JPEG XR with its pixels, as stored."""
    content = source.read()
    container = parsed(content)
    info = described(container)
    check_declared(info, options.max_pixels)
    check_ratio(info.nbytes, len(content), RATIO)
    kind, streams = WITHOUT_GAPS.get(container.kind, container.kind), tuple(map(upright, container.streams))
    plain = replace(container, kind=kind, streams=streams, metadata={})
    return Image(info, decoded(packed(plain), info))


def write(stream: BinaryIO, image: Image, options: WriteOptions, _kind: str) -> None:
    """Encode a picture: without loss, unless a quality below 100 is asked for; what it says beside it in tags."""
    level = None if options.quality in (None, 100) else (options.quality or 0) / 100
    made = parsed(encoded(picture(image), level))
    stream.write(packed(replace(made, metadata=image.info.metadata)))


def check(_info: ImageInfo, _kind: str) -> None:
    """Refuse where there is no codec."""
    codec(NAME, TITLE)


FORMAT = FormatModule(probe, read, write, check=check, single=True, whole="jxrlib decodes pictures as a whole")
