"""Boxes: what JPEG 2000, JPEG XL and AVIF files are made of, each with its length and a name of four bytes.

Source: ISO/IEC 14496-12, 4.2; ITU-T T.800, I.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from convcli.formats.failures import corrupt

MOST = 10_000  # boxes in a row: more are no picture


class Box(NamedTuple):
    """A box: its name, and where its content begins and ends."""

    kind: bytes
    start: int
    end: int


def boxes(content: bytes | memoryview, title: str, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that follow each other between two places; a ConvError (corrupt) for one that goes beyond."""
    end, place = len(content) if end is None else end, start
    for _ in range(MOST):
        if place >= end:
            return
        head, size = 8, int.from_bytes(content[place : place + 4], "big")
        if size == 1:
            head, size = 16, int.from_bytes(content[place + 8 : place + 16], "big")
        elif size == 0:  # to the end
            size = end - place
        if size < head or place + size > end:
            raise corrupt(title, "it is cut short, or a box has a wrong length")
        yield Box(bytes(content[place + 4 : place + 8]), place + head, place + size)
        place += size
    raise corrupt(title, f"it holds more than {MOST:,} boxes")


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box as it stands in a file.

    >>> box(b"free", b"ab")
    b'\\x00\\x00\\x00\\nfreeab'
    """
    size = 8 + sum(map(len, parts))
    return b"".join((size.to_bytes(4, "big"), kind, *parts))
