"""The pixels of a PNG as they come: rows inflated and restored in order, or predicted and deflated band by band.

A deflate stream may be made of parts that know nothing of each other, if each ends at a whole byte. Bands of rows are
such parts, compressed by several threads; the bytes of a file depend on neither threads nor windows.

Rows are bytes as what the pixels to the left and above leave open. Compiled code predicts and restores them; without it
NumPy predicts them, and nobody restores them: each byte needs the one before.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import field
from itertools import islice
from math import prod
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from convcli import native
from convcli.formats.banding import Band, Banded
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array
from convcli.image import Grid, ImageInfo, Spans
from convcli.records import record

SUB = 1
"""The pixel to the left: a prediction that costs nearly nothing."""
BEST = -1
"""The one of the five that leaves the least in a row: the least sum of what is left, read as -128 to 127."""


def predicted(rows: Array, above: Array, pixel: int, kind: int) -> Array:
    """Rows (rows, size) of bytes as (rows, size + 1): the kind of prediction, and what it leaves.

    `above` (size,) is the row before the first, zeros at the top; `pixel` the bytes of a pixel.
    """
    target = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    if native.ROWS:
        native.predict(np.ascontiguousarray(rows), np.ascontiguousarray(above), pixel, kind, target)
    elif kind == BEST:
        choose(list(left_over(rows, above, pixel)), target)
    else:
        target[:, 0], target[:, 1:] = kind, next(islice(left_over(rows, above, pixel), kind, None))
    return target


def left_over(rows: Array, above: Array, pixel: int) -> Iterator[Array]:
    """What each kind of prediction leaves: none, left, above, their mean, and Paeth's."""
    up = np.concatenate([above[None], rows[:-1]])
    left, corner = (np.pad(values, ((0, 0), (pixel, 0)))[:, :-pixel] for values in (rows, up))
    yield rows
    yield rows - left
    yield rows - up
    yield rows - ((left.astype(np.int16) + up) >> 1).astype(np.uint8)
    yield rows - paeth(left, up, corner)


def paeth(left: Array, up: Array, corner: Array) -> Array:
    """Of left, above and corner, the one nearest to left + above - corner; of equals the first."""
    down, along = up.astype(np.int16) - corner, left.astype(np.int16) - corner
    from_left, from_up, from_corner = abs(down), abs(along), abs(down + along)
    nearest = (from_left <= from_up) & (from_left <= from_corner)
    return np.where(nearest, left, np.where(from_up <= from_corner, up, corner))


def choose(candidates: list[Array], target: Array) -> None:
    """Put the candidate into each row that leaves the least; of equals the first."""
    sums = [abs(candidate.view(np.int8).astype(np.int16)).sum(axis=1) for candidate in candidates]
    target[:, 0] = np.argmin(sums, axis=0)
    for kind, candidate in enumerate(candidates):
        chosen = target[:, 0] == kind
        target[chosen, 1:] = candidate[chosen]


def restore(content: bytes, above: Array, pixel: int, rows: Array) -> None:
    """Fill `rows` (rows, size) from what prediction left of them; the compiled code is needed."""
    if not native.restore(content, above, pixel, rows):
        raise corrupt("PNG", "bad adaptive filter value")


BAND = 2**19
"""Bytes of rows that are compressed, or restored, at a time: they stay in a cache."""
PART = 2**16
"""Bytes that are read at a time."""
ZLIB_HEADER = b"\x78\x01"
ADLER = 65521


class Speed(NamedTuple):
    """How hard to try: the prediction, zlib's level and strategy, whether runs and codes alone will do, and from how
    many bands on threads pay.
    """

    kind: int
    level: int
    strategy: int
    runs: bool = False
    worth: int = 2


SPEEDS = {
    # A noisy 24 Mpx photo on two server cores, November 2026: 0.2 s and 50 MB, then 1.5 s and 47 MB; what `small` makes
    # of a drawing is two thirds of what `balanced` does.
    "fast": Speed(SUB, 1, zlib.Z_RLE, runs=True, worth=4),
    "balanced": Speed(BEST, 4, zlib.Z_FILTERED),
    "small": Speed(BEST, 9, zlib.Z_FILTERED),
}


@record(frozen=False)
class Reader:
    """Rows from IDAT chunks at such places, [start, end) of each in the stream; `row` is the next to come.

    What comes before rows that are asked for is decoded too; for what lies behind, decoding begins anew. When the last
    row has come, the rest is checked: what is damaged, and what ends too early, is an error. What goes on is not.
    """

    stream: BinaryIO
    places: list[tuple[int, int]]
    info: ImageInfo
    row: int = field(init=False)

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
            self._rewind()
        for first in range(self.row, start, self._step):
            self._fill(np.empty((min(self._step, start - first), *self.info.shape[1:]), self.info.dtype))
        whole = out.flags.c_contiguous and out.shape[1:] == self.info.shape[1:]
        rows = out if whole else np.empty((stop - start, *self.info.shape[1:]), self.info.dtype)
        for first in range(0, stop - start, self._step):
            self._fill(rows[first : first + self._step])
        if rows is not out:
            out[...] = rows[(slice(None), *(slice(*span) for span in inside))]

    @property
    def _step(self) -> int:
        """Rows to restore at a time."""
        return -(-BAND // self._above.size)

    def _rewind(self) -> None:
        """Begin with the first row."""
        size = prod(self.info.shape[1:]) * self.info.sample.size
        self.row, self._above = 0, np.zeros(size, np.uint8)
        self._parts, self._inflater = parts(self.stream, self.places), zlib.decompressobj()

    def _fill(self, rows: Array) -> None:
        """The next rows, C-contiguous."""
        plain = rows.view(np.uint8).reshape(len(rows), -1)
        restore(self._inflated(len(rows) * (plain.shape[1] + 1)), self._above, pixel_bytes(self.info), plain)
        self._above = plain[-1].copy()
        if not stored(rows.dtype).isnative:
            rows.byteswap(inplace=True)
        self.row += len(rows)
        if self.row == self.info.shape[0]:
            self._finish()

    def _inflated(self, count: int) -> bytes:
        """The next so many bytes."""
        content: list[bytes] = []
        while count:
            if self._inflater.eof:
                raise corrupt("PNG", "Not enough image data")
            content.append(self._some(count))
            count -= len(content[-1])
        return b"".join(content)

    def _finish(self) -> None:
        """Check the end of the stream, unless it does not end with the pixels."""
        while not self._inflater.eof and not self._some(1):
            pass

    def _some(self, most: int) -> bytes:
        """Some of the bytes that follow, or none yet; an error where the file has no more."""
        given = self._inflater.unconsumed_tail or next(self._parts, b"")
        try:
            content = self._inflater.decompress(given, most)
        except zlib.error as error:
            raise corrupt("PNG", f"IDAT: {str(error).rpartition(': ')[2]}") from error
        if not content and not given:
            raise corrupt("PNG", "Not enough image data")
        return content


def parts(stream: BinaryIO, places: list[tuple[int, int]]) -> Iterator[bytes]:
    """The content of chunks, piece by piece and none of them empty; an error instead of the last of a damaged chunk."""
    for start, end in places:
        stream.seek(start + 8)
        left, check = end - start - 12, zlib.crc32(b"IDAT")
        ended = False
        while not ended:
            content = stream.read(min(PART, left))
            left, check = left - len(content), zlib.crc32(content, check)
            ended = left == 0
            if left and not content:
                raise corrupt("PNG", "it is cut short")
            if ended and stream.read(4) != check.to_bytes(4, "big"):
                raise corrupt("PNG", "IDAT: CRC error")
            if content:
                yield content


Deflated = tuple[bytes | memoryview, int]
"""A part of a deflate stream, and the checksum of what it was made of."""


@record(frozen=False)
class Packer:
    """Bands on their way to `put_chunk`, which takes the content of an IDAT chunk; `check` is that of all before."""

    info: ImageInfo
    speed: Speed
    put_chunk: Callable[[bytes], object]
    check: int = 1

    @property
    def step(self) -> int:
        """Rows of a band."""
        return -(-BAND // row_bytes(self.info))

    @property
    def worth(self) -> int:
        """Bands from which threads pay."""
        return self.speed.worth

    def packed(self, band: Band) -> Deflated:
        """A band compressed."""
        rows, above = as_bytes(band.rows), as_bytes(band.above[None])[0]
        content = predicted(rows, above, pixel_bytes(self.info), self.speed.kind)
        return deflated(content, self.speed, last=band.last), zlib.adler32(content.data)

    def put(self, band: Band, content: Deflated) -> None:
        """Put a band behind those before it."""
        data, check = content
        self.check = joined(self.check, check, len(band.rows) * (row_bytes(self.info) + 1))
        head = b"" if band.first else ZLIB_HEADER
        tail = self.check.to_bytes(4, "big") if band.last else b""
        self.put_chunk(b"".join((head, data, tail)))


def banded(info: ImageInfo, speed: str, put: Callable[[bytes], object]) -> AbstractContextManager[Banded[Deflated]]:
    """What takes rows until the end of the block, and gives `put` the contents of IDAT chunks."""
    return Banded.on(info, Packer(info, SPEEDS[speed], put))


def as_bytes(rows: Array) -> Array:
    """Rows of samples as (rows, bytes) of a PNG."""
    return np.ascontiguousarray(rows.astype(stored(rows.dtype), copy=False)).view(np.uint8).reshape(len(rows), -1)


def deflated(content: Array, speed: Speed, *, last: bool) -> bytes | memoryview:
    """A part of a deflate stream, which ends at a whole byte."""
    if speed.runs and native.DEFLATE:
        return native.deflate(content, last=last)
    packer = zlib.compressobj(speed.level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, speed.strategy)
    return packer.compress(content.data) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


def joined(first: int, second: int, count: int) -> int:
    """The Adler-32 checksum of two parts, the second of `count` bytes, by those of each.

    >>> joined(zlib.adler32(b"ab"), zlib.adler32(b"cde"), 3) == zlib.adler32(b"abcde")
    True
    """
    low, high = first & 0xFFFF, first >> 16
    plain = (low + (second & 0xFFFF) - 1) % ADLER
    weighted = (high + (second >> 16) + count * (low - 1)) % ADLER
    return weighted << 16 | plain


def stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Samples as a PNG has them."""
    return dtype.newbyteorder(">")


def row_bytes(info: ImageInfo) -> int:
    """Bytes of a row of pixels."""
    return info.size("X") * pixel_bytes(info)


def pixel_bytes(info: ImageInfo) -> int:
    """Bytes of a pixel.

    >>> pixel_bytes(ImageInfo((4, 6, 3), "uint16", "YXS"))
    6
    """
    return info.size("S") * info.sample.size
