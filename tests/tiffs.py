"""TIFF files made by hand: samples of any bits and byte order, in strips or tiles, together or apart, compressed."""

import struct
import zlib

import numpy as np
from tifffile import TIFF

SIZES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 12: "d"}
NONE, LZW, DEFLATE, PACKBITS, ZSTD = 1, 5, 8, 32773, 50000
COMPRESSIONS = {"none": NONE, "lzw": LZW, "deflate": DEFLATE, "packbits": PACKBITS, "zstd": ZSTD}


def file(segments, tags, order="<", *, tiled=False, loops=False):
    """A TIFF of one page: strips or tiles as bytes, and a tag's (type, values) by its number."""
    body = bytearray((b"II*\0" if order == "<" else b"MM\0*") + b"\0\0\0\0")
    places = []
    for content in segments:
        places.append(len(body) if content else 0)
        body += content + b"\0" * (len(content) % 2)
    offsets, counts = (324, 325) if tiled else (273, 279)
    tags = {offsets: (4, places), counts: (4, [len(content) for content in segments]), **tags}
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        letter = SIZES[kind][0]
        packed = values if isinstance(values, bytes) else b"".join(struct.pack(order + letter, v) for v in values)
        count = len(values) if kind != 5 else len(values) // 2
        if len(packed) > 4:
            place = len(body)
            body += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + "I", place)
        entries += struct.pack(order + "HHI", tag, kind, count) + packed.ljust(4, b"\0")
    start = len(body)
    body[4:8] = struct.pack(order + "I", start)
    body += struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", start if loops else 0)
    return bytes(body)


def tags_of(width, height, bits=8, photometric=1, samples=1, compression=NONE):
    """The tags that every page needs."""
    return {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * samples),
        259: (3, [compression]),
        262: (3, [photometric]),
        277: (3, [samples]),
    }


def packed(rows, bits, order="<"):
    """Rows of samples as bytes: those of 8, 16, 32, 64 bits in the byte order, others bit by bit, the highest first."""
    if bits in (8, 16, 32, 64):
        kind = f"{rows.dtype.kind}{bits // 8}"
        return rows.astype(order + kind).tobytes()
    rows = rows.reshape(len(rows), -1)
    if bits == 24:  # bytes in the file's order, as libtiff has it
        values = rows.astype("<u4").view("u1").reshape(*rows.shape, 4)[..., :3]
        return np.ascontiguousarray(values if order == "<" else values[..., ::-1]).tobytes()
    places = np.arange(bits - 1, -1, -1)
    each = (rows[..., None].astype(np.int64) >> places & 1).astype(np.uint8)
    return np.packbits(each.reshape(len(rows), -1), axis=1).tobytes()


def compressed(content, compression):
    """The bytes of a strip or tile."""
    if compression == NONE:
        return content
    return zlib.compress(content) if compression == DEFLATE else bytes(TIFF.COMPRESSORS[compression](content))


def image(pixels, bits, *, order="<", compression="none", tiled=False, planar=False, rows=5, reversed_=False, **more):
    """Pixels (rows, columns[, samples]) as a file; `more` are tags by name: t338=(3, [2])."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, samples = pixels.shape
    code = COMPRESSIONS[compression]
    planes = [pixels[..., [s]] for s in range(samples)] if planar else [pixels]
    high, wide = (16, 16) if tiled else (rows, width)
    segments = []
    for plane in planes:
        for top in range(0, height, high):
            for left in range(0, width, wide):
                part = plane[top : top + high, left : left + wide]
                if tiled:
                    part = np.pad(part, ((0, high - part.shape[0]), (0, wide - part.shape[1]), (0, 0)))
                content = packed(part, bits, order)
                if reversed_:
                    content = bytes(int(f"{byte:08b}"[::-1], 2) for byte in content)
                segments.append(compressed(content, code))
    tags = tags_of(width, height, bits, 1 if samples < 3 else 2, samples, code)
    tags |= {322: (3, [wide]), 323: (3, [high])} if tiled else {278: (4, [rows])}
    tags |= {284: (3, [2])} if planar else {}
    tags |= {266: (3, [2])} if reversed_ else {}
    return file(segments, tags | {int(name[1:]): value for name, value in more.items()}, order, tiled=tiled)
