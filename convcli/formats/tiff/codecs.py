"""The bytes of a strip or tile as the decoders want them: not one too many, where libtiff would not look at them."""

from __future__ import annotations

import zlib
from math import ceil
from typing import Any

from tifffile import TIFF

from convcli.formats.codecs import imagecodecs, lacking

NONE, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD = 1, 8, 32946, 32773, 50000
ALWAYS = frozenset({NONE, DEFLATE, OLD_DEFLATE})
"""What needs nothing but zlib."""
NAMES = {5: "LZW", 7: "JPEG", 50000: "zstd"}
SPARE = 2**16  # bytes that a frame of Zstandard may hold beyond what is declared


def is_there(tag: int) -> bool:
    """Whether strips packed in such a way can be packed and unpacked here, where convcli writes them."""
    return tag in ALWAYS or imagecodecs() is not None


def check_there(page: Any) -> None:
    """Refuse a page whose compression needs what is not installed."""
    tag = int(page.compression)
    if not is_there(tag) and (tag == ZSTD or tag not in TIFF.DECOMPRESSORS):
        raise lacking(f"TIFF packed by {NAMES.get(tag, f'compression {tag}')}")


def trimmed(page: Any, content: bytes, index: int) -> bytes | None:
    """A strip or tile without what lies behind its last pixel: rows below the page's edge, or anything else.

    None where its compression has no such end, or it holds less than it should.
    """
    inflate = INFLATERS.get(int(page.compression))
    if inflate is None or page.fillorder != 1:
        return None
    size = segment_bytes(page, index)
    data = inflate(content, size)[:size]
    return bytes(TIFF.COMPRESSORS[page.compression](data)) if len(data) == size else None


def segment_bytes(page: Any, index: int) -> int:
    """The bytes of a strip or tile without compression."""
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    if page.is_tiled:
        rows, columns = page.tilelength, page.tilewidth
    else:
        strips = ceil(page.imagelength / page.rowsperstrip)
        rows = min(page.rowsperstrip, page.imagelength - index % strips * page.rowsperstrip)
        columns = page.imagewidth
    return int(rows * ceil(columns * samples * page.bitspersample / 8))


def inflated(content: bytes, size: int) -> bytes:
    """The first bytes of a deflate stream."""
    return zlib.decompressobj().decompress(content, size)


def unpacked(content: bytes, size: int) -> bytes:
    """The first bytes of run lengths. Source: TIFF 6.0, section 9."""
    found, place = bytearray(), 0
    while len(found) < size and place < len(content):
        count = content[place]
        if count < 128:
            found += content[place + 1 : place + 2 + count]
            place += 2 + count
        else:
            found += content[place + 1 : place + 2] * (257 - count if count > 128 else 0)
            place += 2 if count > 128 else 1
    return bytes(found[:size])


def unfolded(content: bytes, size: int) -> bytes:
    """The bytes of a frame of Zstandard."""
    return bytes(TIFF.DECOMPRESSORS[ZSTD](content, out=2 * size + SPARE))


def decompressed(page: Any, content: bytes, size: int) -> bytes:
    """The first bytes of a strip or tile; fewer than `size` are an error (ValueError)."""
    code = int(page.compression)
    inflate = INFLATERS.get(code)
    if inflate is not None:
        data = inflate(content, size)
    else:
        data = content if code == NONE else bytes(TIFF.DECOMPRESSORS[code](content, out=size))
    if len(data) < size:
        raise ValueError(f"a strip or tile holds {len(data):,} of {size:,} bytes")
    return data[:size]


INFLATERS = {DEFLATE: inflated, OLD_DEFLATE: inflated, PACKBITS: unpacked, ZSTD: unfolded}
"""How compressed bytes are had up to a size, for the codecs that refuse a byte too many."""
