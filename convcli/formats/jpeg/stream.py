"""The pixels of a JPEG as they come: a scan is cut into parts that are decoded alone, and bands are put together.

A restart lets go of all that stands before it: what follows is decoded without that. So bands of rows that are encoded
alone follow each other with restarts between them; and a scan is cut into rows of units by compiled code, which writes
the first coefficients of each row anew: libjpeg decodes some such rows as a picture. Where colours have fewer rows than
brightness has, the rows of units next to a band are decoded with it, since colours are blended across.
Source: ITU-T T.81.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field
from typing import BinaryIO, NamedTuple

import numpy as np

from convcli.formats.banding import Band
from convcli.formats.failures import corrupt, decoding
from convcli.formats.jpeg.codec import decode, encode
from convcli.formats.jpeg.entropy import INTERVAL, SCAN, TABLES, WALKED, Walk, tables_of
from convcli.formats.jpeg.segments import APP0, APP14, START, Segment, segment
from convcli.formats.pixels import Array
from convcli.image import Grid, ImageInfo, Spans
from convcli.native import scans
from convcli.records import record

END = b"\xff\xd9"
QUANTA = 0xDB
SIDE = 8
"""Rows and columns of a block."""
HIGHEST = 16
"""Rows of the units that are written, at most."""
PACKED, UNPACKED = 2**20, 2**22
"""Bytes of rows that are encoded at a time, and decoded."""
TABLE = 16 + 256
"""Bytes of a Huffman table as compiled code takes it: how many codes have each length, and what they say."""
NUMBERS = (*range(4), *range(16, 20))
"""Tables of first coefficients, and of the others."""
USUAL = {*range(APP0, 0xF0), 0xFE, 0xC0, 0xC1, QUANTA, TABLES, INTERVAL, SCAN}
ALL = bytes((0, 63, 0))
"""A scan of all coefficients, and of all their bits, as the end of its header tells."""
SIZES = 12
"""What the codes of first coefficients say: that they have no bits, or up to 11."""


def restart(number: int) -> bytes:
    """The marker before a part of a scan, of which the first, 0, has none."""
    return bytes((0xFF, 0xD0 + (number - 1) % 8))


def of_height(frame: bytes, rows: int) -> bytes:
    """The segment of a frame, of another height."""
    return frame[:1] + rows.to_bytes(2, "big") + frame[3:]


@record
class Packer:
    """Bands on their way into a stream, in which the picture's own segments stand already."""

    info: ImageInfo
    quality: int
    subsampling: str
    stream: BinaryIO

    @property
    def step(self) -> int:
        """Rows of a band: whole units."""
        return -(-PACKED // (self.info.size("X") * self.info.size("S") * HIGHEST)) * HIGHEST

    @property
    def worth(self) -> int:
        """Bands from which threads pay."""
        return 2

    def packed(self, band: Band) -> bytes:
        """A band as a JPEG of its own."""
        return encode(band.rows, self.quality, self.subsampling)

    def put(self, band: Band, content: bytes) -> None:
        """Put a band behind those before it, a restart between them."""
        walk = Walk(content)
        before, place = walk.first_scan()
        if band.first:
            self.stream.write(restart(band.first // self.step))
        else:
            self.stream.writelines(self._head(walk, before, is_alone=band.last))
        self.stream.write(memoryview(content)[place : None if band.last else -len(END)])

    def _head(self, walk: Walk, before: list[Segment], *, is_alone: bool) -> Iterator[bytes]:
        """What the encoder puts before the codes, of the whole height, and how many units stand between restarts."""
        for marker, data in before:
            if marker == SCAN and not is_alone:
                down, across, _ = walk.units([number for number, _ in walk.parts(data)])
                yield segment(INTERVAL, (down * across).to_bytes(2, "big"))
            if marker not in (APP0, APP14):
                yield segment(marker, of_height(data, self.info.size("Y")) if marker in WALKED else data)


@record(frozen=False)
class Cutter:
    """A scan of all components on its way into rows of units; `at` is where it stands.

    `head` are the segments that a picture of such rows begins with, the last the header of the scan; `units` how many
    there are of the scan and in a row; `blended` tells that rows of units are decoded with those next to them.
    """

    content: bytes
    head: list[Segment]
    units: tuple[int, int]
    restart: int
    tables: tuple[bytes, bytes, bytes]
    components: bytes
    height: int
    side: int
    blended: bool
    at: Array

    @classmethod
    def of(cls, content: bytes) -> Cutter | None:
        """A JPEG's first scan; None for one that libjpeg should see as a whole.

        That is one that is not of all coefficients and components, or has segments that libjpeg may refuse; and one
        whose tables have no room for what is to be written anew.
        """
        walk = Walk(content)
        before, place = walk.first_scan()
        header = before[-1][1]
        if not all(is_usual(marker, data) for marker, data in before):
            return None
        parts = walk.parts(header)
        if header[-3:] != ALL or {number for number, _ in parts} != {*range(len(walk.components))}:
            return None
        down, across, blocks = walk.units([number for number, _ in parts])
        packed = walk.packed(parts)
        wider = widened(packed)
        if wider is None:
            return None
        most = max(component.down for component in walk.components)
        head = [(marker, data) for marker, data in before if marker in (APP0, APP14, QUANTA, *WALKED)]
        at = np.zeros(scans.PLACES, np.int64)
        at[0] = place
        return cls(
            content,
            [*head, (TABLES, listed(wider)), (INTERVAL, across.to_bytes(2, "big")), before[-1]],
            (down * across, across),
            walk.restart,
            (tables_of(parts, blocks), packed, wider),
            b"".join(bytes((number,)) * blocks[number] for number, _ in parts),
            walk.height,
            SIDE * (most if len(parts) > 1 else 1),
            any(component.down < most for component in walk.components),
            at,
        )

    def rows(self) -> Iterator[bytes]:
        """The codes of each row of units, one after the other. Raises ConvError, corrupt."""
        units, across = self.units
        for _ in range(units // across):
            counts = (across, units, self.restart)
            try:
                fault, data = scans.cut(self.content, self.at, counts, self.tables, self.components)
            except ValueError:
                raise corrupt("JPEG", "the header of scan 1 says what cannot be") from None
            if fault and self.at[0] >= len(self.content) - 1:
                raise corrupt("JPEG", "it is cut short: it has no end marker")
            if fault:
                raise corrupt("JPEG", f"scan 1, after {self.at[4]:,} of {units:,} units: {scans.FAULTS[fault]}")
            if self.at[4] == units and not self.content.startswith(END, self.at[0]):
                raise corrupt("JPEG", "a segment has the wrong length")
            yield data

    def pieces(self, step: int) -> Iterator[Piece]:
        """Pieces of `step` rows of units, one after the other."""
        rows, held = self.rows(), deque[bytes]()
        count, more = self.units[0] // self.units[1], int(self.blended)
        first = 0  # of those held
        for start in range(0, count, step):
            stop = min(start + step, count)
            low, high = max(start - more, 0), min(stop + more, count)
            while first < low:
                held.popleft()
                first += 1
            held.extend(next(rows) for _ in range(high - first - len(held)))
            wanted = min(stop * self.side, self.height) - start * self.side
            yield Piece(
                self.head,
                tuple(held),
                min(high * self.side, self.height) - low * self.side,
                ((start - low) * self.side, wanted),
            )


class Piece(NamedTuple):
    """Rows of units that are decoded as a picture of such a height; the first row that is wanted, and how many."""

    head: list[Segment]
    codes: tuple[bytes, ...]
    height: int
    wanted: tuple[int, int]

    def decoded(self) -> Array:
        """The rows that are wanted."""
        head = (
            segment(marker, of_height(data, self.height) if marker in WALKED else data) for marker, data in self.head
        )
        codes = (part for number, data in enumerate(self.codes) for part in (restart(number) if number else b"", data))
        with decoding("JPEG", RuntimeError, ValueError):
            data = decode(b"".join((START, *head, *codes, END)))
        first, count = self.wanted
        return data[first : first + count]


@record(frozen=False)
class Reader:
    """Rows of a JPEG; `row` is the next to come. `inverted` samples are turned around.

    For what lies behind, decoding begins anew. When the last row has come, the codes were walked through to their end.
    """

    content: bytes
    info: ImageInfo
    inverted: bool
    row: int = 0
    left: Array = field(init=False)

    def __post_init__(self) -> None:
        self._rewind()

    @property
    def grid(self) -> Grid:
        """Rows, one after the other."""
        return Grid((1, *self.info.shape[1:]), in_order=True)

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a window."""
        (start, stop), *inside = spans
        if start < self.row:
            self.close()
            self._rewind()
        columns = tuple(slice(*span) for span in inside)
        while self.row < stop:
            if not len(self.left):
                self.left = next(self._bands)
            skipped = min(max(start - self.row, 0), len(self.left))
            taken = self.left[skipped : skipped + stop - self.row - skipped]
            place = self.row + skipped - start
            if len(taken):
                out[place : place + len(taken)] = taken[(slice(None), *columns)]
            self.row += skipped + len(taken)
            self.left = self.left[skipped + len(taken) :]

    def close(self) -> None:
        """Wait for what is still decoded."""
        self._bands.close()

    def _rewind(self) -> None:
        """Begin with the first row."""
        self.row, self.left, self._bands = 0, np.empty((0, *self.info.shape[1:]), self.info.dtype), self._decoded()

    def _decoded(self) -> Generator[Array, None, None]:
        """Bands of rows, some of them decoded ahead."""
        cutter = Cutter.of(self.content)
        assert cutter is not None
        row = self.info.size("X") * self.info.size("S")
        count = os.cpu_count() or 1
        with ThreadPoolExecutor(count) as pool:
            ahead = deque[Future[Array]]()
            for piece in cutter.pieces(max(1, UNPACKED // (row * cutter.side))):
                ahead.append(pool.submit(piece.decoded))
                if len(ahead) >= count:
                    yield self._sound(ahead.popleft().result())
            while ahead:
                yield self._sound(ahead.popleft().result())

    def _sound(self, data: Array) -> Array:
        """A decoded band, if it is what the header declares."""
        if data.shape[1:] != self.info.shape[1:] or data.dtype.name != self.info.dtype:
            raise corrupt("JPEG", f"rows of it decode to {data.shape} {data.dtype}, not to {self.info.shape}")
        return ~data if self.inverted else data


def is_usual(marker: int, data: bytes) -> bool:
    """True for a segment that may stand before a scan and is as long as it says."""
    if marker == TABLES:
        while data:
            if data[0] not in NUMBERS or len(data) < 17 or len(data) < 17 + sum(data[1:17]):
                return False
            data = data[17 + sum(data[1:17]) :]
    return marker in USUAL and (marker != INTERVAL or len(data) == 2)


def widened(packed: bytes) -> bytes | None:
    """Huffman tables with a code for every size of a first coefficient, longer than all others; None for want of room.

    Codes that are there stay, and the one of nothing but ones, which T.81 reserves, is given to none.
    """
    tables = [packed[start : start + TABLE] for start in range(0, len(packed), TABLE)]
    for number, table in enumerate(tables[:4]):
        counts, symbols = list(table[:16]), list(table[16 : 16 + sum(table[:16])])
        absent = [size for size in range(SIZES) if size not in symbols] if symbols else []
        room = 2**16 - sum(each << (16 - length) for length, each in enumerate(counts, 1))
        if absent and (room <= len(absent) or counts[-1] + len(absent) > 255 or len(symbols) + len(absent) > 256):
            return None
        counts[-1] += len(absent)
        tables[number] = bytes(counts) + bytes([*symbols, *absent]).ljust(256, b"\0")
    return b"".join(tables)


def listed(packed: bytes) -> bytes:
    """The segment of the tables that there are."""
    tables = [packed[start : start + TABLE] for start in range(0, len(packed), TABLE)]
    numbered = zip(NUMBERS, tables, strict=True)
    return b"".join(bytes((number,)) + table[: 16 + sum(table[:16])] for number, table in numbered if any(table))
