"""Several stages on the same pixels, whose results lie side by side along C: those of every channel, stage by stage."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from convcli.engine.slabs import Slab, Span, Stage
from convcli.engine.windows import distinct
from convcli.engine.workers import Crew
from convcli.image import ImageInfo
from convcli.records import record, replace

Array = np.ndarray[Any, Any]


@record
class BesideStage(Stage):
    """Filters on images of one kind that differ in their taps alone. Cut as one of them, whose plan this is."""

    stages: tuple[Stage, ...]

    @cached_property
    def after(self) -> ImageInfo:
        """What the result will be."""
        one, count = self.stages[0].after, len(self.stages)
        if "C" in one.axes:
            sizes = zip(one.axes, one.shape, strict=True)
            return replace(one, shape=tuple(size * count if letter == "C" else size for letter, size in sizes))
        first = min(one.axes.index(letter) for letter in self.filter.spatial + "S" if letter in one.axes)
        shape = (*one.shape[:first], count, *one.shape[first:])
        return replace(one, axes=f"{one.axes[:first]}C{one.axes[first:]}", shape=shape)

    @cached_property
    def limit(self) -> int | None:
        """The least of theirs."""
        return min((stage.limit for stage in self.stages if stage.limit is not None), default=None)

    @property
    def wraps(self) -> bool:
        """Whether any of them does."""
        return any(stage.wraps for stage in self.stages)

    @property
    def results(self) -> int:
        """Those of all."""
        return self.filter.results * len(self.stages)

    def reads(self, axis: int, span: Span) -> Array:
        """The positions of a spatial axis that any of them reads."""
        return distinct(np.concatenate([stage.reads(axis, span) for stage in self.stages]))

    def shape(self, slab: Slab) -> tuple[int, ...]:
        """That of the results."""
        return tuple(stop - start for start, stop in slab.written)

    def parts(self, slab: Slab, values: Array) -> list[tuple[Stage, Slab, Array]]:
        """Each stage, its slab of the same pixels, and where its results go."""
        axis, each = self.after.axes.index("C"), self.filter.each and "C" in self.info.axes
        outer = values.shape[axis] // self.results if each else 1
        apart = values.reshape(*values.shape[:axis], outer, len(self.stages), -1, *values.shape[axis + 1 :])
        slabs = [replace(slab, stage=stage) for stage in self.stages]
        places = np.moveaxis(apart, axis + 1, 0)
        every = zip(self.stages, slabs, places, strict=True)
        return [(stage, part, place.reshape(part.working_shape)) for stage, part, place in every]

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Compute one after the other."""
        for stage, part, place in self.parts(slab, values):
            stage.fill(part, pixels, place, crew)

    def points(self, count: int) -> list[Any]:
        """Some results of each, to be verified."""
        return [(number, point) for number, stage in enumerate(self.stages) for point in stage.points(count)]

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[Any]) -> None:
        """Compare those that lie in a slab with the definition."""
        for number, (stage, part, place) in enumerate(self.parts(slab, values)):
            stage.check(part, pixels, place, [point for its, point in points if its == number])
