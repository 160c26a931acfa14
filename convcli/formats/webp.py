"""Animations of WebP: its chunks, walked for times and put together from pictures that were encoded alone.

Source: https://developers.google.com/speed/webp/docs/riff_container.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from convcli.formats.animation import Animation

HEAD = 12  # bytes of RIFF, its size, WEBP
PIXELS = (b"ALPH", b"VP8 ", b"VP8L")
PROFILE, OPACITY, EXIF, XMP, ANIMATED = 0x20, 0x10, 0x08, 0x04, 0x02
NOT_BLENDED = 0x02
MOST_TIME, MOST_PLAYS = 2**24 - 1, 65535


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each chunk."""
    place = HEAD
    while place + 8 <= len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        yield content[place : place + 4], content[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def animation_of(content: bytes) -> Animation:
    """The times that a file tells of."""
    found = list(chunks(content))
    plays = next((int.from_bytes(data[4:6], "little") for kind, data in found if kind == b"ANIM"), 1)
    times = [float(int.from_bytes(data[12:15], "little")) for kind, data in found if kind == b"ANMF"]
    return Animation(tuple(times), plays)


def packed(
    pictures: Iterable[bytes], size: tuple[int, int], told: Animation, metadata: Mapping[str, Any], *, clear: bool
) -> bytes:
    """A file of pictures, each the content of one of its own; `size` is rows and columns."""
    extent = b"".join((length - 1).to_bytes(3, "little") for length in reversed(size))
    icc, exif, xmp = (metadata.get(key, b"") for key in ("icc", "exif", "xmp"))
    flags = ANIMATED | PROFILE * bool(icc) | OPACITY * clear | EXIF * bool(exif) | XMP * bool(xmp)
    parts = [chunk(b"VP8X", bytes((flags, 0, 0, 0)) + extent)]
    parts += [chunk(b"ICCP", icc)] if icc else []
    parts.append(chunk(b"ANIM", bytes(4) + struct.pack("<H", min(told.plays, MOST_PLAYS))))
    for content, time in zip(pictures, told.times, strict=True):
        pixels = b"".join(chunk(*each) for each in chunks(content) if each[0] in PIXELS)
        shown = min(round(time), MOST_TIME).to_bytes(3, "little")
        parts.append(chunk(b"ANMF", bytes(6) + extent + shown + bytes((NOT_BLENDED,)) + pixels))
    parts += [chunk(b"EXIF", exif)] if exif else []
    parts += [chunk(b"XMP ", xmp)] if xmp else []
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in a file."""
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
