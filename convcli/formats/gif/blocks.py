"""The blocks of a GIF, walked before a decoder takes memory for what they declare.

https://www.w3.org/Graphics/GIF/spec-gif89a.txt
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

EXTENSION, FRAME, TRAILER = b"!", b",", b";"
SCREEN_END, DESCRIPTOR_END = 13, 10  # bytes of signature and logical screen, and of a frame's descriptor with its mark
HAS_TABLE, TABLE_SIZE = 0x80, 0x07  # of the flags: a colour table follows, and the logarithm of its size


class Block(NamedTuple):
    """A frame with the pixels that it reaches to from the screen's corner, or an extension with its label.

    `table` is the colour table that holds for a frame, `start` where the sub-blocks begin.
    """

    kind: bytes
    start: int
    label: int = 0
    width: int = 0
    height: int = 0
    table: bytes = b""


def blocks(content: bytes) -> Iterator[Block]:
    """Frames and extensions up to the end of the file; bytes between blocks are skipped, as decoders do."""
    if len(content) < SCREEN_END:
        return
    place = SCREEN_END + table_bytes(content[10])
    shared = content[SCREEN_END:place]
    while content[place : place + 1] not in (b"", TRAILER):
        kind = content[place : place + 1]
        if kind == EXTENSION and place + 2 <= len(content):
            block = Block(kind, place + 2, content[place + 1])
        elif kind == FRAME and place + DESCRIPTOR_END <= len(content):
            left, top, width, height, flags = struct.unpack_from("<HHHHB", content, place + 1)
            end = place + DESCRIPTOR_END + table_bytes(flags)
            table = content[place + DESCRIPTOR_END : end] or shared
            block = Block(kind, end + 1, 0, left + width, top + height, table)  # a byte tells of the codes that follow
        else:
            place += 1
            continue
        yield block
        place = end_of_sub_blocks(content, block.start)


def table_bytes(flags: int) -> int:
    """Bytes of the colour table that flags tell of.

    >>> table_bytes(0x81), table_bytes(0x01)
    (12, 0)
    """
    return 3 << (flags & TABLE_SIZE) + 1 if flags & HAS_TABLE else 0


def end_of_sub_blocks(content: bytes, place: int) -> int:
    """Where sub-blocks end that begin at a place: each begins with its length, the last has none."""
    while place < len(content) and content[place]:
        place += 1 + content[place]
    return place + 1


def canvas(content: bytes) -> tuple[int, int]:
    """Rows and columns that all frames together need: decoders widen the screen for a frame that reaches beyond."""
    width, height = struct.unpack_from("<HH", content.ljust(SCREEN_END, b"\0"), 6)
    frames = [block for block in blocks(content) if block.kind == FRAME]
    return max(height, *(frame.height for frame in frames), 0), max(width, *(frame.width for frame in frames), 0)


def is_grey(content: bytes, number: int) -> bool:
    """True where no colour has come up to a frame: pixels are their own values, or the tables say just that."""
    frames = (block for block in blocks(content) if block.kind == FRAME)
    return all(is_ramp(frame.table) for frame in islice(frames, number + 1))


def is_ramp(table: bytes) -> bool:
    """True for a table in which every index is its own grey, as far as it goes."""
    return table == bytes(index // 3 for index in range(len(table)))
