"""Boxes that follow each other along one axis, of a source that unpacks whole blocks: each block is unpacked once."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convcli.engine.slabs import Slab
from convcli.image import Grid, PixelSource, Spans

Array = np.ndarray[Any, Any]
PART = 3
"""The part of the memory that blocks may take which the next box needs, too."""


class Row(NamedTuple):
    """A row of blocks, whole, and where it lies in the image."""

    spans: Spans
    pixels: Array


class Ahead:
    """A source whose last row of blocks along an axis, where a box needs a part of it, is kept whole for the next box.

    It is let go once all of it was read.
    """

    def __init__(self, source: PixelSource, axis: int, size: int) -> None:
        self._source, self._axis, self._size = source, axis, size
        self._row: Row | None = None

    @property
    def grid(self) -> Grid:
        """The source's."""
        return self._source.grid

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box."""
        first, last = spans[self._axis]
        first = self._from_row(spans, out)
        middle = last if last == self._size or self._waits(spans) else max(first, last - last % self._step)
        if first < middle:
            self._source.read(self._along(spans, first, middle), self._part(out, spans, first, middle))
        if middle < last:
            end = min(middle - middle % self._step + self._step, self._size)
            self._load(self._along(spans, middle, end), out.dtype)
            self._from_row(self._along(spans, middle, last), self._part(out, spans, middle, last))

    @property
    def _step(self) -> int:
        return self._source.grid.block[self._axis]

    def _waits(self, spans: Spans) -> bool:
        """Whether what is kept comes later than a box: rows at the other end, for a border that wraps."""
        if self._row is None:
            return False
        alike = self._along(self._row.spans, 0, 0) == self._along(spans, 0, 0)
        return alike and spans[self._axis][1] <= self._row.spans[self._axis][0]

    def _load(self, spans: Spans, dtype: np.dtype[Any]) -> None:
        """Read a row of blocks, from some place in it to its end."""
        self._row = None
        pixels = np.empty([stop - start for start, stop in spans], dtype)
        self._source.read(spans, pixels)
        self._row = Row(spans, pixels)

    def _from_row(self, spans: Spans, out: Array) -> int:
        """Copy what is kept of the beginning of a box; where what is not kept begins."""
        first, last = spans[self._axis]
        if self._row is None:
            return first
        start, stop = self._row.spans[self._axis]
        if not start <= first < stop or self._along(self._row.spans, first, last) != spans:
            return first
        end = min(last, stop)
        self._part(out, spans, first, end)[...] = self._part(self._row.pixels, self._row.spans, first, end)
        if end == stop:
            self._row = None
        return end

    def _along(self, spans: Spans, first: int, last: int) -> Spans:
        return (*spans[: self._axis], (first, last), *spans[self._axis + 1 :])

    def _part(self, pixels: Array, spans: Spans, first: int, last: int) -> Array:
        """A view of those pixels of a box that lie between two places along the axis."""
        start = spans[self._axis][0]
        part: Array = pixels[(*(slice(None),) * self._axis, slice(first - start, last - start))]
        return part


def axis_cut(slabs: Sequence[Slab]) -> int | None:
    """The axis of the image along which the first slabs follow each other; None where there is one alone."""
    if len(slabs) < 2:
        return None
    stage = slabs[0].stage
    every = zip(stage.layout.loops, slabs[0].loops, slabs[1].loops, strict=True)
    moved = [letter for letter, before, after in every if before != after]
    return stage.info.axes.index(moved[-1] if moved else stage.letter)


def bytes_ahead(source: PixelSource, slab: Slab, axis: int, memory: int) -> int:
    """Bytes of the row of blocks that is to be kept; 0 where that would not help, or be too much."""
    info, block = slab.stage.info, source.grid.block
    if not source.grid.anew or block[axis] < 2:
        return 0
    loops = dict(zip(slab.stage.layout.loops, slab.loops, strict=True))
    spans = [loops.get(letter, (0, size)) for letter, size in zip(info.axes, info.shape, strict=True)]
    across = prod(stop - start for place, (start, stop) in enumerate(spans) if place != axis)
    size = min(block[axis], info.shape[axis]) * across * np.dtype(info.dtype).itemsize
    return size if size <= memory // PART else 0
