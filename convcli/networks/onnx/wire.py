"""The wire format of protocol buffers: fields with a number, a type of wire and a value, one behind the other.

Source: protobuf.dev/programming-guides/encoding. Only what a reader needs, and only where it is: a message of 240 MB is
not copied, and what is not asked for is not touched.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Iterator

from convcli.errors import ConvError

Buffer = bytes | mmap.mmap
Span = tuple[int, int]
"""Where a value begins in its buffer, and where it ends."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10
SIGN, WRAP = 1 << 63, 1 << 64


def damaged(what: str, position: int) -> ConvError:
    """The error of a message that is none."""
    return ConvError(f"is no sound ONNX file: {what} at byte {position:,}; export or download it again", "corrupt")


def fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int | Span]]:
    """The fields of a message: their numbers, each with its integer or where its bytes are.

    >>> list(fields(b"\\x08\\x96\\x01\\x12\\x02hi", 0, 7))
    [(1, 150), (2, (5, 7))]
    """
    at = start
    while at < end:
        key, at = varint(data, at, end)
        number, wire = key >> 3, key & 7
        if not number:
            raise damaged("a field without a number", at)
        if wire == VARINT:
            value, at = varint(data, at, end)
            yield number, value
            continue
        if wire == LENGTH:
            length, at = varint(data, at, end)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise damaged(f"a field of the unknown type {wire}", at)
        if length > end - at:
            raise damaged(f"a field of {length:,} bytes where {end - at:,} are left", at)
        yield number, (at, at + length)
        at += length


def varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """An unsigned integer of seven bits a byte, and where what follows begins.

    >>> varint(b"\\x96\\x01", 0, 2)
    (150, 2)
    """
    value = shift = 0
    for place in range(at, min(end, at + LONGEST_VARINT)):
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (WRAP - 1), place + 1
        shift += 7
    raise damaged("an integer without an end", at)


def signed(value: int) -> int:
    """An int64 from its bits.

    >>> signed(2**64 - 1)
    -1
    """
    return value - WRAP if value & SIGN else value


def whole(value: int | Span, what: str) -> int:
    """A field that must be an integer, with its sign."""
    if isinstance(value, int):
        return signed(value)
    raise damaged(f"{what} is no integer", value[0])


def span(value: int | Span, what: str) -> Span:
    """A field that must be bytes."""
    if isinstance(value, int):
        raise ConvError(f"is no sound ONNX file: {what} is an integer; export or download it again", "corrupt")
    return value


def text(data: Buffer, value: int | Span, what: str) -> str:
    """A field that must be text; what is no UTF-8 keeps its bytes, so that names stay distinct."""
    start, end = span(value, what)
    if end - start > LONGEST_TEXT:
        raise damaged(f"{what} is {end - start:,} characters long", start)
    return data[start:end].decode("utf-8", "surrogateescape")


def forget(data: Buffer, start: int, end: int) -> int:
    """Let go of the memory of what was looked at, once that is much; where what is still kept begins.

    A look at one byte of a mapped file takes up to 2 MiB of it into memory, where it stays.
    """
    if end - start < KEPT or not isinstance(data, mmap.mmap) or sys.platform == "win32":
        return start
    start, end = (at - at % mmap.ALLOCATIONGRANULARITY for at in (start, end))
    data.madvise(mmap.MADV_DONTNEED, start, end - start)
    return end


KEPT = 1 << 23
"""Bytes of a mapped file that may stay in memory behind where it is read."""
LONGEST_TEXT = 1 << 16
"""Characters of a name, or of a text that is kept."""


def integers(data: Buffer, value: int | Span) -> Iterator[int]:
    """A repeated integer: one of them, or many packed into a field."""
    if isinstance(value, int):
        yield signed(value)
        return
    at, end = value
    while at < end:
        each, at = varint(data, at, end)
        yield signed(each)


def floats(data: Buffer, value: int | Span) -> Iterator[float]:
    """A repeated float: one of them, or many packed into a field."""
    start, end = span(value, "a float")
    if (end - start) % 4:
        raise damaged("a float cut short", start)
    yield from (number for (number,) in struct.iter_unpack("<f", data[start:end]))
