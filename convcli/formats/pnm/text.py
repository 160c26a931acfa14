"""Samples of a PNM that are written as text: digits and white space, and not a character more.

https://netpbm.sourceforge.net/doc/pgm.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array

BLANKS = b" \t\n\v\f\r"
BLANK = re.compile(rb"[ \t\n\v\f\r]")
COMMENT = re.compile(rb"#[^\n\r]*")  # up to the end of its line, which parts numbers as any white space does
PART = 2**18  # bytes of text that are looked at together: what this takes is some forty times as much
POWERS = 10 ** np.arange(10, dtype=np.int64)  # no number has more digits


def bits(text: bytes, count: int, title: str) -> Array:
    """`count` bits, with or without white space between them."""
    digits = COMMENT.sub(b"", text).translate(None, BLANKS)
    if others := digits.translate(None, b"01"):
        raise stray(others, title)
    check_count(len(digits), count, title)
    return np.frombuffer(digits, np.uint8) - np.uint8(ord("0"))


def numbers(text: bytes, count: int, most: int, title: str) -> Array:
    """`count` numbers up to `most` with white space between them."""
    values = np.zeros(min(count, len(text)), np.uint16)
    found = 0
    for part in parts(COMMENT.sub(b"", text)):
        some = values_of(part, title)
        if some.max(initial=0) > most:
            raise corrupt(title, f"a sample is not between 0 and {most}")
        values[found : found + len(some)] = some[: max(len(values) - found, 0)]
        found += len(some)
    check_count(found, count, title)
    return values


def parts(text: bytes) -> Iterator[bytes]:
    """The text in pieces that end between numbers."""
    start = 0
    while start < len(text):
        blank = BLANK.search(text, start + PART)
        end = len(text) if blank is None else blank.end()
        yield text[start:end]
        start = end


def values_of(text: bytes, title: str) -> Array:
    """All numbers of a text.

    >>> values_of(b"1 20 300", "PGM").tolist()
    [1, 20, 300]
    """
    if others := text.translate(None, BLANKS + b"0123456789"):
        raise stray(others, title)
    digits = np.frombuffer(b" " + text + b" ", np.uint8) - np.uint8(ord("0"))  # white space becomes 218 and more
    edges = np.flatnonzero(np.diff(digits < 10))
    if not len(edges):
        return np.zeros(0, np.int64)
    starts, lengths = edges[::2] + 1, np.diff(edges)[::2]
    if lengths.max() > len(POWERS):
        raise corrupt(title, f"a number has {lengths.max()} digits")
    places = np.flatnonzero(digits < 10)
    powers = np.repeat(starts + lengths, lengths) - 1 - places
    totals: Array = np.add.reduceat(digits[places] * POWERS[powers], np.cumsum(lengths) - lengths)
    return totals


def check_count(found: int, count: int, title: str) -> None:
    """As many samples as are declared: fewer were cut off, more belong to something else."""
    if found != count:
        raise corrupt(title, f"{count:,} samples are declared, {found:,} follow")


def stray(others: bytes, title: str) -> ConvError:
    """The error for a character that is neither digit nor white space."""
    return corrupt(title, f"{others[:1].decode('latin-1')!r} stands among its samples")
