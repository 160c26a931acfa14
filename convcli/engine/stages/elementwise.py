"""What happens to each sample alone: numbers on the way into a chain of filters, and samples again at its end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from convcli.engine.samples import Counts, put, store
from convcli.engine.slabs import Slab, Span, Stage, touched
from convcli.engine.workers import Crew
from convcli.image import ImageInfo
from convcli.records import record

Array = np.ndarray[Any, Any]
ROWS = 32
"""Rows that are done at a time."""


@record
class Remade(Stage):
    """An image of the same shape: `made` is what becomes of it; all of it is exact up to integers of `exact`."""

    made: ImageInfo
    exact: int | None

    @property
    def after(self) -> ImageInfo:
        """What the result will be."""
        return self.made

    @property
    def limit(self) -> int | None:
        """The largest 64-bit integer that all filters are exact for, where there is one."""
        return self.exact

    @property
    def results(self) -> int:
        """One for each channel."""
        return 1

    def shape(self, slab: Slab) -> tuple[int, ...]:
        """That of the results."""
        return tuple(stop - start for start, stop in slab.written)


@record
class Elementwise(Remade):
    """Every sample by itself; axes as those of the filter beside it."""

    scale: float

    @property
    def wraps(self) -> bool:
        """Never."""
        return False

    @cached_property
    def cuts(self) -> Sequence[Span]:
        """Any would do."""
        return touched((0, self.outputs[self.axis]), ROWS, self.outputs[self.axis])

    def reads(self, axis: int, span: Span) -> Array:  # noqa: ARG002 -- alike along all
        """The positions of the results themselves."""
        return np.arange(*span)

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Do some rows at a time."""
        places = (slice(None),) * self.info.axes.index(self.letter)
        before, rows = int(np.searchsorted(slab.positions, slab.span[0])), slab.span[1] - slab.span[0]

        def work(span: Span) -> Counts:
            held = slice(before + span[0], before + span[1])
            return self.compute(pixels[(*places, held)], values[(*places, slice(*span))])

        crew.run(work, touched((0, rows), ROWS, rows), self.plan.threads, blas=False)

    @abstractmethod
    def compute(self, pixels: Array, values: Array) -> Counts:
        """Fill values from as many pixels."""

    def points(self, count: int) -> list[Any]:  # noqa: ARG002
        """None: there is nothing but to do it again."""
        return []

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[Any]) -> None:
        """There are no points."""


@record
class ToNumbers(Elementwise):
    """Samples as floating point, divided by the scale; what is missing as NaN, but for opacity."""

    def compute(self, pixels: Array, values: Array) -> Counts:
        """Fill numbers from samples."""
        values[...] = pixels
        if self.info.missing is not None:
            unknown = pixels == self.info.missing
            if self.filter.each and self.info.has_alpha:
                np.moveaxis(unknown, self.info.axes.index("S"), -1)[..., -1] = False  # opacity is always known
            values[unknown] = np.nan
        values /= self.scale
        return Counts(values.size)


@record
class ToSamples(Elementwise):
    """Numbers times the scale as samples: colours scaled, rounded and clipped as the filter says, opacity as it is."""

    @property
    def working(self) -> str:
        """The sample type of results until they are spread."""
        return self.info.dtype if self.rescaled else self.after.dtype

    def compute(self, pixels: Array, values: Array) -> Counts:
        """Fill samples from numbers."""
        numbers, axis = self.filter.numbers, self.info.axes.find("S")
        colours = slice(-1) if self.filter.each and self.info.has_alpha else slice(None)
        every = (pixels * self.scale, values)
        moved, stored = (np.moveaxis(each, axis, -1) if axis >= 0 else each for each in every)
        counts = store(moved[..., colours], stored[..., colours], numbers, numbers.bias, self.after.missing)
        if colours.stop == -1:
            counts.add(put(moved[..., -1:], stored[..., -1:]))
        return counts
