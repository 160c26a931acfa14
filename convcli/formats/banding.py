"""Rows of a picture on their way into a file, band by band: bands are packed by several threads and put in order.

How a file is cut into bands depends on its width alone: its bytes depend on neither threads nor windows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from convcli.formats.pixels import Array, picture
from convcli.image import Grid, Image, ImageInfo, Spans
from convcli.records import record, replace

if TYPE_CHECKING:
    from concurrent.futures import Executor

Packed = TypeVar("Packed")
BATCH = 2**23
"""Bytes of rows that wait for each other at most."""


class Band(NamedTuple):
    """Rows of a picture that are packed together, (rows, columns[, samples]), and the row above them; zeros at the top.

    `first` is the number of the first row.
    """

    rows: Array
    above: Array
    first: int
    last: bool


class Packer(Protocol[Packed]):
    """What packs bands, `step` rows each, but for the last; from `worth` bands at once on, threads pay."""

    @property
    def step(self) -> int:
        """Rows of a band."""

    @property
    def worth(self) -> int:
        """Bands from which threads pay."""

    def packed(self, band: Band) -> Packed:
        """A band, packed; any thread asks."""

    def put(self, band: Band, content: Packed) -> None:
        """Take a packed band; they come in order."""


@record(frozen=False)
class Banded(Generic[Packed]):
    """Rows, in order, on their way through a packer; `waiting` fill no band yet."""

    info: ImageInfo
    packer: Packer[Packed]
    held: ExitStack
    waiting: Array
    above: Array
    done: int = 0

    @classmethod
    @contextmanager
    def on(cls, info: ImageInfo, packer: Packer[Packed]) -> Iterator[Banded[Packed]]:
        """One with threads."""
        row = (info.size("X"), *[info.size("S")] * (info.size("S") > 1))
        with ExitStack() as held:
            yield cls(info, packer, held, np.empty((0, *row), info.dtype), np.zeros(row, info.dtype))

    @property
    def grid(self) -> Grid:
        """Rows, one after the other."""
        return Grid(tuple(1 if axis == "Y" else self.info.size(axis) for axis in self.info.axes), in_order=True)

    def write(self, spans: Spans, pixels: Array) -> None:
        """Take the next rows, whole ones, along the first axis of more than one sample."""
        axis = self.info.axes.index("Y")
        count = max(1, BATCH // self.above.nbytes)
        for start in range(0, spans[axis][1] - spans[axis][0], count):
            self._take(pixels[(slice(None),) * axis + (slice(start, start + count),)])

    def _take(self, pixels: Array) -> None:
        """Pack all bands that are complete with these rows."""
        bands = list(self._bands(picture(Image(replace(self.info, shape=pixels.shape), pixels))))
        packed = (self._pool.map if len(bands) >= self.packer.worth else map)(self.packer.packed, bands)
        for band, content in zip(bands, packed, strict=True):
            self.packer.put(band, content)

    @cached_property
    def _pool(self) -> Executor:
        """Threads, begun where they pay: their import alone takes as long as a small picture."""
        from concurrent.futures import ThreadPoolExecutor

        return self.held.enter_context(ThreadPoolExecutor(os.cpu_count() or 1))

    def _bands(self, rows: Array) -> Iterator[Band]:
        """Those that new rows complete; the rest waits."""
        rows = np.concatenate([self.waiting, rows]) if len(self.waiting) else rows
        step, missing = self.packer.step, self.info.size("Y") - self.done
        whole = len(rows) if len(rows) == missing else len(rows) // step * step
        for start in range(0, whole, step):
            band = rows[start : start + step]
            yield Band(band, self.above, self.done, start + len(band) == missing)
            self.above = band[-1]
            self.done += len(band)
        self.waiting, self.above = rows[whole:].copy(), self.above.copy()
