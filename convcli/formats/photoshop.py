"""Photoshop's image resources, blocks that begin with 8BIM, one of which is IPTC's record of a picture.

JPEG has them in APP13, TIFF in tag 34377, PNG by ImageMagick's convention as text. Source: Adobe Photoshop File Formats
Specification (2019), image resources section.
"""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from collections.abc import Sequence

SIGNATURES = (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR")
IPTC, RESOLUTION, THUMBNAILS = 0x0404, 0x03ED, (0x0409, 0x040C)
IPTC_MARK = b"\x1c"
FIXED = 65536  # of a number with 16 bits behind the point
PER_INCH, PER_CM = 1, 2
PROFILE = re.compile(rb"\s*([\w ]+)\n\s*(\d+)\n")
LARGEST = 2**26  # bytes of a profile that was compressed

Resource = tuple[bytes, int, bytes, bytes]
"""Signature, number, name (padded, as it stands in the file) and data."""


def resources(content: bytes) -> list[Resource] | None:
    """The resources of a block; None where it is damaged."""
    found, place = [], 0
    while place < len(content.rstrip(b"\0")):
        signature, number = content[place : place + 4], int.from_bytes(content[place + 4 : place + 6], "big")
        name = place + 6 + (content[place + 6 : place + 7] or b"\0")[0] // 2 * 2 + 2
        start, size = name + 4, int.from_bytes(content[name : name + 4], "big")
        if signature not in SIGNATURES or start + size > len(content):
            return None
        found.append((signature, number, content[place + 6 : name], content[start : start + size]))
        place = start + size + size % 2
    return found


def block(held: Sequence[Resource]) -> bytes:
    """Resources as they stand in the file."""
    return b"".join(
        signature + struct.pack(">H", number) + name + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)
        for signature, number, name, data in held
    )


def parted(content: bytes) -> tuple[bytes, bytes] | None:
    """IPTC's record, and the other resources; None where the block is damaged.

    >>> parted(joined(b"record", b""))
    (b'record', b'')
    """
    held = resources(content)
    if held is None:
        return None
    record = b"".join(data for _, number, _, data in held if number == IPTC)
    return record, block([resource for resource in held if resource[1] != IPTC])


def joined(record: bytes, others: bytes) -> bytes:
    """A block of IPTC's record and other resources."""
    return (block([(b"8BIM", IPTC, b"\0\0", record)]) if record else b"") + others


def without_thumbnails(others: bytes) -> bytes:
    """The resources without small pictures."""
    held = resources(others) or []
    kept = [resource for resource in held if resource[1] not in THUMBNAILS]
    return others if len(kept) == len(held) else block(kept)


def with_resolution(others: bytes, x: float, y: float, unit: str) -> bytes:
    """The resources with the resolution as it is now, if they tell it: always per inch, whatever is shown."""
    held, scale = resources(others) or [], {"inch": 1.0, "cm": 2.54}.get(unit, 0.0)
    if not scale or max(x, y) * scale >= FIXED / 2 or not any(r[1] == RESOLUTION and len(r[3]) == 16 for r in held):
        return others
    return block([renewed(resource, x * scale, y * scale) for resource in held])


def renewed(resource: Resource, x: float, y: float) -> Resource:
    """The resource, with other pixels per inch if it is the one that tells them."""
    signature, number, name, data = resource
    if number != RESOLUTION or len(data) != 16:
        return resource
    across, shown_x, width, _, shown_y, height = struct.unpack(">IHHIHH", data)
    del across
    values = (round(x * FIXED), shown_x, width, round(y * FIXED), shown_y, height)
    return signature, number, name, struct.pack(">IHHIHH", *values)


def raw_profile(kind: str, content: bytes) -> bytes:
    """Bytes as the data of a zTXt chunk, as ImageMagick writes them and ExifTool reads them."""
    digits = binascii.hexlify(content).decode()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return (
        f"Raw profile type {kind}".encode() + b"\0\0" + zlib.compress(f"\n{kind}\n{len(content):8}\n{lines}\n".encode())
    )


def parsed_profile(text: bytes) -> bytes | None:
    """The bytes of such a text; None where it is damaged."""
    match = PROFILE.match(text)
    if match is None:
        return None
    try:
        content = binascii.unhexlify(b"".join(text[match.end() :].split()))
    except binascii.Error:
        return None
    return content if len(content) == int(match.group(2)) else None
