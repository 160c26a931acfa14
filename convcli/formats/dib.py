"""DIB: a BMP without the header of its file, as Windows keeps pictures in memory and in other files.

It is read and written as the BMP that it is with that header.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from convcli.formats import pillow
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt
from convcli.formats.source import Source, from_bytes
from convcli.image import Image, ImageInfo
from convcli.records import replace

FILE = struct.Struct("<2sIII")
OLD, USUAL = 12, 40  # bytes of the headers that begin it
MASKS = {3: 12, 6: 16}  # bytes behind a usual header, by how pixels are packed


def as_bmp(content: bytes) -> bytes:
    """The file with its header: where the pixels begin follows from the others."""
    size = int.from_bytes(content[:4], "little")
    if len(content) < min(size, USUAL):
        raise corrupt("DIB", "it is cut short")
    if size == OLD:
        bits = int.from_bytes(content[10:12], "little")
        table = 3 << bits if bits <= 8 else 0
    else:
        bits, packing = struct.unpack_from("<HI", content, 14)
        used = int.from_bytes(content[32:36], "little")
        table = 4 * (used or (1 << bits if bits <= 8 else 0)) + (MASKS.get(packing, 0) if size == USUAL else 0)
    start = FILE.size + size + table
    if start > FILE.size + len(content):
        raise corrupt("DIB", "it is cut short")
    return FILE.pack(b"BM", FILE.size + len(content), 0, start) + content


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What a DIB says of itself."""
    return replace(pillow.probe(from_bytes(as_bmp(source.read())), options), format="dib")


def read(source: Source, options: ReadOptions) -> Image:
    """A DIB with its pixels."""
    image = pillow.read(from_bytes(as_bmp(source.read())), options)
    return Image(replace(image.info, format="dib"), image.data)


def write(stream: BinaryIO, image: Image, options: WriteOptions, _kind: str) -> None:
    """Encode a picture."""
    made = io.BytesIO()
    pillow.write(made, image, options, "bmp")
    stream.write(made.getvalue()[FILE.size :])


def place(_info: ImageInfo, _kind: str) -> str:
    """What a BMP holds."""
    return "bmp"


FORMAT = FormatModule(probe, read, write, place=place, single=True, whole="Pillow decodes pictures as a whole")
