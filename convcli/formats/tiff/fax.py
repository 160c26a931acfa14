"""Pages as fax machines send them: runs of white and black, alone or against the line above (T.4, T.6, TIFF's own).

Decoders guess on where a page is damaged. Here every line has the width of the page exactly, or the page is damaged.
Sources: ITU-T T.4 (2003), T.6 (1988); TIFF 6.0, sections 10 and 11.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from convcli.formats.pixels import Array

RLE, T4, T6 = 2, 3, 4
"""TIFF's numbers of the compressions."""
T4_OPTIONS, LOW_BIT_FIRST = 292, 2
TWO_DIMENSIONS, UNCOMPRESSED = 1, 2  # bits of TIFF's T4Options
LONGEST_CODE = 13  # bits
MARK = 11  # zeros, at least, of an end of line; a one follows
RUN_BASE = 64  # runs from here on begin with a code for their multiple of 64

WHITE = (
    "00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 101010 "
    "101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 "
    "00000011 00011010 00011011 00010010 00010011 00010100 00010101 00010110 00010111 00101000 00101001 00101010 "
    "00101011 00101100 00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 00100100 "
    "00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 00110011 00110100"
).split()
BLACK = (
    "0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000 "
    "0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 "
    "00000011000 000011001010 000011001011 000011001100 000011001101 000001101000 000001101001 000001101010 "
    "000001101011 000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 000001101100 "
    "000001101101 000011011010 000011011011 000001010100 000001010101 000001010110 000001010111 000001100100 "
    "000001100101 000001010010 000001010011 000000100100 000000110111 000000111000 000000100111 000000101000 "
    "000001011000 000001011001 000000101011 000000101100 000001011010 000001100110 000001100111"
).split()
WHITE_MULTIPLES = (
    "11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 "
    "011010010 011010011 011010100 011010101 011010110 011010111 011011000 011011001 011011010 011011011 "
    "010011000 010011001 010011010 011000 010011011"
).split()
BLACK_MULTIPLES = (
    "0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 "
    "0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 "
    "0000001110100 0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 "
    "0000001010101 0000001011010 0000001011011 0000001100100 0000001100101"
).split()
LONG_MULTIPLES = (
    "00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 "
    "000000010111 000000011100 000000011101 000000011110 000000011111"
).split()
"""Runs of 0 to 63; multiples of 64 up to 1728; from 1792 on those of both colours."""
PASS, HORIZONTAL = 8, 9
MODES = {"1": 0, "011": 1, "000011": 2, "0000011": 3, "010": -1, "000010": -2, "0000010": -3}
MODES |= {"0001": PASS, "001": HORIZONTAL}
"""How a line differs from the one above: by how many pixels a change has moved, or otherwise."""

Table = tuple[tuple[int, int], ...]
"""By the next 13 bits: bits of the code and what it says; 0 bits for no code."""


class FaxError(ValueError):
    """A page that is not as its lines say."""


def table_of(codes: dict[str, int]) -> Table:
    """A code by all that may begin with it."""
    table = [(0, 0)] * (1 << LONGEST_CODE)
    for code, value in codes.items():
        free = LONGEST_CODE - len(code)
        start = int(code, 2) << free
        table[start : start + (1 << free)] = [(len(code), value)] * (1 << free)
    return tuple(table)


@cache
def tables() -> tuple[Table, Table, Table]:
    """The codes of white runs, of black runs, and of modes."""
    runs = []
    for short, multiples in ((WHITE, WHITE_MULTIPLES), (BLACK, BLACK_MULTIPLES)):
        long = enumerate(multiples + LONG_MULTIPLES, 1)
        runs.append(table_of(dict(zip(short, range(64), strict=True)) | {code: 64 * n for n, code in long}))
    return runs[0], runs[1], table_of(MODES)


def decoded(
    data: bytes, rows: int, width: int, compression: int, options: int = 0, heard: list[str] | None = None
) -> Array:
    """The pixels of a strip, (rows, width), true where its colour is that of marks on paper.

    `options` are TIFF's T4Options. Raises FaxError; with a list, notes there what is wrong, and leaves the rest white.
    """
    if compression == T4 and options & UNCOMPRESSED:
        raise FaxError("lines that are not compressed are not read")
    reader = Reader(data, width, is_reference=compression == T6 or bool(options & TWO_DIMENSIONS))
    page = np.zeros((rows, width + 1), np.int8)
    changes: list[int] = []
    for row in range(rows):
        try:
            changes = reader.line(changes, compression, two=bool(options & TWO_DIMENSIONS))
        except FaxError as error:
            if heard is None:
                raise FaxError(f"line {row + 1} of {rows}: {error}") from None
            heard.append(f"line {row + 1} of {rows}: {error}; the rest is white")
            break
        page[row, changes[::2]] = 1
        page[row, changes[1::2]] = -1
    return page.cumsum(axis=1, dtype=np.int8)[:, :width] > 0


class Reader:
    """Lines from packed bits, as the columns where the colour changes: to black, to white, and so on.

    Where lines are references to others, libtiff takes a run without pixels for two changes, and T.6 for none.
    """

    def __init__(self, data: bytes, width: int, *, is_reference: bool) -> None:
        self.is_reference = is_reference
        padded = np.frombuffer(data + bytes(4), np.uint8).astype(np.uint32)
        self.words: list[int] = (padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]).tolist()
        self.end = 8 * len(data)
        self.place = 0
        self.width = width
        self.white, self.black, self.modes = tables()

    def line(self, above: list[int], compression: int, *, two: bool) -> list[int]:
        """The next line."""
        if compression == RLE:
            self.place = -(-self.place // 8) * 8
            return self.runs()
        if compression == T6:
            return self.against(above)
        self.skip_mark()
        return self.against(above) if two and not self.bits(1) else self.runs()

    def runs(self) -> list[int]:
        """A line of runs, white first."""
        changes: list[int] = []
        column = black = 0
        while column < self.width or (column == 0 and not black):
            column += self.run(self.black if black else self.white)
            self.add(changes, column)
            black ^= 1
        return changes

    def against(self, above: list[int]) -> list[int]:
        """A line by how it differs from the one above."""
        changes: list[int] = []
        column, black, at, width = -1, 0, 0, self.width
        above = [*above, width, width, width]  # beyond the last change all lies at the edge
        while column < width:
            while at and above[at - 1] > column:
                at -= 1
            while (above[at] <= column or at % 2 != black) and above[at] < width:
                at += 1
            mode = self.code(self.modes)
            if mode == PASS:
                column = above[at + 1]
            elif mode == HORIZONTAL:
                for table in (self.black, self.white) if black else (self.white, self.black):
                    column = max(column, 0) + self.run(table)
                    self.add(changes, column)
            else:
                if above[at] + mode < max(column, 0):
                    raise FaxError("a change lies before the one before it")
                column = above[at] + mode
                self.add(changes, column)
                black ^= 1
        if column > width:
            raise FaxError(f"is longer than {width} pixels")
        return changes

    def add(self, changes: list[int], column: int) -> None:
        """Take a change of colour; two at one place are none."""
        if column > self.width:
            raise FaxError(f"is longer than {self.width} pixels")
        if changes and changes[-1] == column:
            if self.is_reference and column < self.width:
                raise FaxError("has a run without pixels, which decoders draw differently")
            changes.pop()
        else:
            changes.append(column)

    def run(self, table: Table) -> int:
        """The length of a run."""
        length = part = self.code(table)
        while part >= RUN_BASE:
            part = self.code(table)
            length += part
        return length

    def code(self, table: Table) -> int:
        """What the next code says."""
        place = self.place
        if place >= self.end:
            raise FaxError("the data end before it")
        word = self.words[place >> 3] >> 32 - LONGEST_CODE - (place & 7) & (1 << LONGEST_CODE) - 1
        size, value = table[word]
        self.place = place + size
        if not size or self.place > self.end:
            raise FaxError("no code begins with its bits" if place + LONGEST_CODE <= self.end else "the data end in it")
        return value

    def bits(self, count: int) -> int:
        """The next bits, up to 24."""
        if self.place + count > self.end:
            raise FaxError("the data end before it")
        word = self.words[self.place >> 3] >> 32 - count - (self.place & 7) & (1 << count) - 1
        self.place += count
        return word

    def skip_mark(self) -> None:
        """Go behind the mark of an end of line where there is one: zeros to fill, eleven or more, and a one."""
        start = self.place
        while self.place < self.end and not self.words[self.place >> 3] >> 31 - (self.place & 7) & 1:
            self.place += 1
        if self.place - start < MARK:
            self.place = start
        else:
            self.bits(1)


def is_fax(page: Any) -> bool:
    """True for a page of a TIFF that is compressed so."""
    return page.compression in (RLE, T4, T6)


def decode_strictly(page: Any, heard: list[str] | None) -> None:
    """Have tifffile decode the segments of a page, and of those like it, here; `heard` as in `decoded`."""
    original = page.decode
    options = int(page.tags.valueof(T4_OPTIONS, 0)) if page.compression == T4 else 0
    width = page.tilewidth if page.is_tiled else page.imagewidth

    def decode(data: bytes | None, index: int, *, _fullsize: bool = False, **_: Any) -> Any:
        _, place, shape = original(None, index)
        if data is None:
            return original(None, index, _fullsize=_fullsize)
        content = data.translate(REVERSED) if page.fillorder == LOW_BIT_FIRST else data
        rows = page.tilelength if page.is_tiled else shape[1]
        pixels = decoded(content, rows, width, int(page.compression), options, heard)
        if not _fullsize:
            pixels = pixels[: shape[1], : shape[2]]
        return pixels.reshape(1, *pixels.shape, 1), place, (1, *pixels.shape, 1)

    page.decode = decode


REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits the other way round."""
