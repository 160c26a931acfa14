"""Do the codes of a JPEG end where its picture does? Every scan is walked through, from restart to restart.

libjpeg fills up what is missing and passes over what is too much, and counts that as warnings, which `djpeg -strict`
makes errors. Here they are found by walking through the Huffman codes; what these say is left to libjpeg.
Source: ITU-T T.81.
"""

from __future__ import annotations

from dataclasses import field
from math import ceil
from typing import Any

import numpy as np

from convcli.formats.failures import corrupt
from convcli.formats.jpeg.segments import Segment
from convcli.native import scans
from convcli.records import record

SEQUENTIAL, DC_FIRST, DC_REFINED, AC_FIRST, AC_REFINED, LOSSLESS = range(6)
WALKED = {0xC0: SEQUENTIAL, 0xC1: SEQUENTIAL, 0xC2: DC_FIRST, 0xC3: LOSSLESS}
"""Frames with Huffman codes, and the kind of their scans, or of the first of them."""
OTHERS = {*range(0xC0, 0xD0)} - {*WALKED, 0xC4, 0xC8, 0xCC}
TABLES, INTERVAL, SCAN, END = 0xC4, 0xDD, 0xDA, 0xD9
BARE = {0x01, *range(0xD0, 0xD8)}
NO_TABLE = bytes(16 + 256)


def check(content: bytes, tables: bytes = b"") -> Walk:
    """Walk through the scans of a JPEG; frames with other codes are passed over. Raises what is wrong.

    `tables` is a JPEG without a picture, in which the Huffman tables may stand, as in TIFF.
    """
    walk = Walk(content)
    if tables:
        walk.tables = Walk(tables).tables_alone()
    walk.check()
    return walk


@record
class Component:
    """A component of a frame: its number in the file, and how many samples it has of each unit across and down."""

    name: int
    across: int
    down: int


@record(frozen=False)
class Walk:
    """A JPEG that is walked through: its frame, and the tables and the restart interval as they stand at a scan.

    `seen` has the coefficients of each component that are not zero, `known` the lowest bit of each that has come.
    """

    content: bytes
    kind: int = SEQUENTIAL
    height: int = 0
    width: int = 0
    components: tuple[Component, ...] = ()
    restart: int = 0
    tables: dict[int, bytes] = field(default_factory=dict)
    seen: dict[int, Any] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)
    known: dict[tuple[int, int], int] = field(default_factory=dict)
    scans: int = 0

    def tables_alone(self) -> dict[int, bytes]:
        """The Huffman tables of a JPEG without a picture."""
        place = 2
        while (found := self._segment(place)) is not None:
            marker, data, place = found
            if marker == TABLES:
                self._take_tables(data)
        return self.tables

    def check(self) -> None:
        """Raise what is wrong with a scan; frames with other codes are passed over."""
        place = 2
        while (found := self._segment(place)) is not None:
            marker, data, place = found
            if marker in OTHERS:
                return
            if marker == SCAN:
                place = self._scan(data, place)
            else:
                self._take(marker, data)
        if absent := len(self.components) - len(self.drawn):
            raise corrupt("JPEG", f"{absent} of its {len(self.components)} components have no data")

    def first_scan(self) -> tuple[list[Segment], int]:
        """The segments up to the first scan, whose header is the last of them, and where its codes begin.

        Frame, tables and restarts are as they stand there.
        """
        place, passed = 2, list[Segment]()
        while (found := self._segment(place)) is not None:
            marker, data, place = found
            passed.append((marker, data))
            if marker == SCAN:
                return passed, place
            self._take(marker, data)
        raise corrupt("JPEG", "it has no picture")

    def parts(self, data: bytes) -> list[tuple[int, int]]:
        """Number of each component of a scan, by its header, and the tables that it names."""
        count = data[0] if data else 0
        if len(data) != 4 + 2 * count:
            raise corrupt("JPEG", f"the header of scan {self.scans} has the wrong length")
        numbers = {component.name: number for number, component in enumerate(self.components)}
        chosen = [(data[1 + 2 * n], data[2 + 2 * n]) for n in range(count)]
        if any(name not in numbers for name, _ in chosen):
            raise corrupt("JPEG", f"scan {self.scans} is of a component that the frame has not")
        return [(numbers[name], tables) for name, tables in chosen]

    def units(self, numbers: list[int], kind: int = SEQUENTIAL) -> tuple[int, int, dict[int, int]]:
        """Rows of units of a scan, units of each, and the blocks of each component in one; one of a component alone."""
        side = 1 if kind == LOSSLESS else 8
        most_across = max((component.across for component in self.components), default=1)
        most_down = max((component.down for component in self.components), default=1)
        if len(numbers) > 1:
            across, down = ceil(self.width / (side * most_across)), ceil(self.height / (side * most_down))
            return down, across, {n: self.components[n].across * self.components[n].down for n in numbers}
        part = self.components[numbers[0]]
        across = ceil(ceil(self.width * part.across / most_across) / side)
        return ceil(ceil(self.height * part.down / most_down) / side), across, {numbers[0]: 1}

    def packed(self, parts: list[tuple[int, int]]) -> bytes:
        """The eight Huffman tables, but for those that no component of a scan names."""
        used = {held >> 4 for _, held in parts} | {16 + (held & 15) for _, held in parts}
        return b"".join(
            self.tables.get(number, NO_TABLE) if number in used else NO_TABLE for number in (*range(4), *range(16, 20))
        )

    def _take(self, marker: int, data: bytes) -> None:
        """Take what a segment says of the scans behind it."""
        if marker in WALKED:
            self._frame(marker, data)
        elif marker == TABLES:
            self._take_tables(data)
        elif marker == INTERVAL:
            self.restart = int.from_bytes(data[:2], "big")

    def _segment(self, place: int) -> tuple[int, bytes, int] | None:
        """Marker and data of the segment at a place, and the place behind it; None for the end."""
        content = self.content
        start = place
        while content[place : place + 1] == b"\xff":
            place += 1
        if place == start or place >= len(content):
            raise corrupt("JPEG", "a segment has the wrong length" if place < len(content) else "it has no end marker")
        marker = content[place]
        if marker == END:
            return None
        if marker in BARE:
            return marker, b"", place + 1
        end = place + 1 + int.from_bytes(content[place + 1 : place + 3], "big")
        return marker, content[place + 3 : end], end

    def _frame(self, marker: int, data: bytes) -> None:
        """Take the sizes of a frame."""
        self.kind = WALKED[marker]
        self.height, self.width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
        parts = (data[start : start + 3] for start in range(6, len(data), 3))
        self.components = tuple(Component(name, factors >> 4, factors & 15) for name, factors, _ in parts)

    def _take_tables(self, data: bytes) -> None:
        """Take Huffman tables, by class and number."""
        while len(data) > 16:
            count = sum(data[1:17])
            self.tables[data[0]] = data[1:17] + data[17 : 17 + count].ljust(256, b"\0")[:256]
            data = data[17 + count :]

    def _scan(self, data: bytes, place: int) -> int:
        """Walk through a scan; the place of the marker behind it."""
        self.scans += 1
        parts = self.parts(data)
        self.drawn |= {number for number, _ in parts}
        low, high, refined = data[-3], data[-2], data[-1] >> 4
        kind = self._kind(low, refined)
        if kind == SEQUENTIAL and (low, high, data[-1]) != (0, 63, 0):
            raise corrupt("JPEG", f"scan {self.scans} is of some coefficients, which its frame does not allow")
        if self.kind == DC_FIRST:
            self._progress([number for number, _ in parts], (low, high), data[-1])
        down, across, blocks = self.units([number for number, _ in parts], kind)
        units = down * across
        tables = tables_of(parts, blocks)
        walked = self._walked(place, (kind, low, high), units, tables, parts)
        fault, place, done = walked
        if fault and place >= len(self.content) - 1:
            raise corrupt("JPEG", "it is cut short: it has no end marker")
        if fault:
            raise corrupt("JPEG", f"scan {self.scans}, after {done:,} of {units:,} units: {scans.FAULTS[fault]}")
        return place

    def _kind(self, low: int, refined: int) -> int:
        """The kind of a scan, by the first of its coefficients and whether they are seen for the first time."""
        if self.kind != DC_FIRST:
            return self.kind
        return {(True, True): DC_FIRST, (True, False): DC_REFINED, (False, True): AC_FIRST}.get(
            (low == 0, refined == 0), AC_REFINED
        )

    def _progress(self, numbers: list[int], span: tuple[int, int], bits: int) -> None:
        """Note to which bit a scan has brought the coefficients; each scan goes on where the one before it ended."""
        for number in numbers:
            if span[0] and (number, 0) not in self.known:
                raise corrupt("JPEG", f"scan {self.scans} comes before the first coefficients")
            for coefficient in range(span[0], min(span[1], 63) + 1):
                if self.known.get((number, coefficient), 0) != bits >> 4:
                    raise corrupt("JPEG", f"scan {self.scans} does not go on where the one before it ended")
                self.known[number, coefficient] = bits & 15

    def _walked(
        self, place: int, scan: tuple[int, int, int], units: int, tables: bytes, parts: list[tuple[int, int]]
    ) -> tuple[int, int, int]:
        """What the compiled code says of a scan."""
        number = parts[0][0]
        if scan[0] in (AC_FIRST, AC_REFINED) and number not in self.seen:
            self.seen[number] = np.zeros(units, np.uint64)
        seen = self.seen[number] if scan[0] in (AC_FIRST, AC_REFINED) else np.zeros(0, np.uint64)
        try:
            return scans.walk(self.content, place, scan, (units, self.restart), (tables, self.packed(parts)), seen)
        except ValueError:
            raise corrupt("JPEG", f"the header of scan {self.scans} says what cannot be") from None


def tables_of(parts: list[tuple[int, int]], blocks: dict[int, int]) -> bytes:
    """The two tables of each block of a unit."""
    return b"".join(bytes((held >> 4, held & 15)) * blocks[number] for number, held in parts)
