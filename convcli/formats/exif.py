"""EXIF: the little TIFF structure that cameras hang on pictures, kept as the bytes it is.

Pictures keep it verbatim, thumbnail and maker notes included; only the orientation is ever looked at or changed.
"""

from __future__ import annotations

from typing import Literal

ORIENTATION = 274
ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}


def orientation(payload: bytes) -> int:
    """How the picture is stored, 1 (upright) to 8; 1 where EXIF is silent or damaged."""
    place = orientation_place(payload)
    if place is None:
        return 1
    value = int.from_bytes(payload[place : place + 2], ORDERS[payload[:2]])
    return value if 1 <= value <= 8 else 1


def with_orientation(payload: bytes, value: int) -> bytes:
    """The same EXIF with another orientation, changed in place."""
    place = orientation_place(payload)
    if place is None:
        return payload
    return payload[:place] + value.to_bytes(2, ORDERS[payload[:2]]) + payload[place + 2 :]


def orientation_place(payload: bytes) -> int | None:
    """Where the orientation's value lies in the payload."""
    order = ORDERS.get(payload[:2])
    if order is None:
        return None
    start = int.from_bytes(payload[4:8], order)
    for index in range(int.from_bytes(payload[start : start + 2], order)):
        entry = start + 2 + 12 * index
        if int.from_bytes(payload[entry : entry + 2], order) == ORIENTATION and entry + 10 <= len(payload):
            return entry + 8
    return None
