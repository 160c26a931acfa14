"""Enlargement over pixels: along each axis, a block of outputs is a product of weights and the pixels they reach.

Few of the weights in a block are not zero, but BLAS multiplies the whole of it in less time than it takes to gather.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property, lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from convcli.engine.job import Job, Variants
from convcli.engine.slabs import Slab, Span, Task
from convcli.engine.stages.filter import FilterStage
from convcli.engine.tiles import centre_opacity, filter_block, finish, put_holes, tile_block
from convcli.engine.verify import agrees, differs, points_inside, slack
from convcli.filters.resampled import BLOCK, Resampled, ResampledFilter
from convcli.methods.contract import Prepared
from convcli.methods.cutting import Workspace
from convcli.records import record, replace

Array = np.ndarray[Any, Any]
Signs = tuple[str, ...]
SPARE = Workspace()


class Block(NamedTuple):
    """Outputs of an axis from `first` on: the window [start, stop) of pixels they read, and the weights of these."""

    first: int
    start: int
    stop: int
    weights: Array


@lru_cache(maxsize=256)
def blocks(axis: Resampled, first: int, last: int, sign: str, dtype: str) -> tuple[Block, ...]:
    """The outputs [first, last) in blocks; with weights of one sign only, or where any is, as ones.

    >>> blocks(Resampled(2, 2, wanted=4), 0, 2, "", "float64")[0].weights
    array([[1.  , 0.  ],
           [0.75, 0.25]])
    """
    cuts = [(start, min(start + BLOCK, last)) for start in range(first, last, BLOCK)]
    return tuple(Block(cut[0], *axis.window(*cut), _matrix(axis, *cut, sign).astype(dtype)) for cut in cuts)


def _matrix(axis: Resampled, first: int, last: int, sign: str) -> Array:
    """The weights of some outputs on the pixels of their window."""
    start, stop = axis.window(first, last)
    rows = np.zeros((last - first, stop - start))
    for row, u in zip(rows, range(first, last), strict=True):
        begin, taps = axis.weights(u)
        row[begin - start : begin - start + len(taps)] = taps
    chosen: Array = {"": rows, "any": rows != 0, "+": rows > 0, "-": rows < 0}[sign]
    return chosen


def resample(pixels: Array, axes: Sequence[Resampled], tile: Sequence[Span], signs: Signs, out: Array) -> None:
    """Fill `out` (1, *tile) from a window (1, *window), axis after axis."""
    with ExitStack() as lent:
        for place, (axis, span, sign) in enumerate(zip(axes, tile, signs, strict=True), 1):
            shape = (*pixels.shape[:place], span[1] - span[0], *pixels.shape[place + 1 :])
            last = place == len(axes)
            results = out if last else lent.enter_context(SPARE.borrow(shape, pixels.dtype))
            along(pixels, axis, span, place, sign, results)
            pixels = results


def along(pixels: Array, axis: Resampled, span: Span, place: int, sign: str, results: Array) -> None:
    """Fill `results` from `pixels`, of which axis `place` is a window, by the outputs of a span."""
    last = place == pixels.ndim - 1
    source = pixels if last else pixels.reshape(*pixels.shape[: place + 1], -1)
    target = results if last else results.reshape(*results.shape[: place + 1], -1)
    parts = blocks(axis, *span, sign, pixels.dtype.name)
    for first, start, stop, weights in parts:
        inputs = slice(start - parts[0].start, stop - parts[0].start)
        outputs = slice(first - span[0], first - span[0] + len(weights))
        if last:
            target[..., outputs] = source[..., inputs] @ weights.T
        else:
            np.matmul(weights, source[..., inputs, :], out=target[..., outputs, :])


@record
class Weighted(Prepared):
    """The sum over terms of products along all axes for one tile, each with the weights of its signs."""

    axes: tuple[Resampled, ...]
    tile: tuple[Span, ...]
    terms: tuple[Signs, ...]

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (1, *tile) from `block` (1, *window)."""
        resample(block, self.axes, self.tile, self.terms[0], out)
        for signs in self.terms[1:]:
            part = np.empty_like(out)
            resample(block, self.axes, self.tile, signs, part)
            out += part


@record
class TileVariants(Variants):
    """The products for one tile; which they are depends on where it lies."""

    task: Task

    def weighted(self, *terms: Signs) -> Prepared:
        """The sum over terms of products along all axes, each with the weights of its signs."""
        return Weighted(self._axes, self.task.tile, terms)

    @cached_property
    def _axes(self) -> tuple[Resampled, ...]:
        assert isinstance(self.filter, ResampledFilter)
        return self.filter.geometry(self.info)

    def _signed(self, *, negative: bool) -> list[Signs]:
        """The signs along the axes whose product is positive, or negative."""
        every = product("+-", repeat=len(self.task.tile))
        return [signs for signs in every if signs.count("-") % 2 == negative]

    @cached_property
    def apply(self) -> Prepared:
        """The enlargement itself, in the precision of its block."""
        return self.weighted(("",) * len(self.task.tile))

    @cached_property
    def fused(self) -> None:
        """There is no compiled way."""
        return None

    @cached_property
    def wide(self) -> Prepared:
        """The same in float64."""
        return self.apply

    @cached_property
    def reach(self) -> Prepared:
        """Counts the marked pixels that each output looks at."""
        return self.weighted(("any",) * len(self.task.tile))

    @cached_property
    def reach_positive(self) -> Prepared:
        """Counts those that have a positive weight."""
        return self.weighted(*self._signed(negative=False))

    @cached_property
    def reach_negative(self) -> Prepared:
        """Counts those that have a negative weight."""
        return self.weighted(*self._signed(negative=True))


@record
class ResampleStage(FilterStage):
    """An enlargement of images of one kind, as planned."""

    grains = None
    """No tile is cut: products of other sizes round otherwise."""

    @cached_property
    def method(self) -> TileVariants:
        """The products for all outputs."""
        return TileVariants(self.filter, self.info, self.plan, Task((), self.whole.spans))

    def method_at(self, task: Task) -> TileVariants:
        """The products for one tile."""
        return TileVariants(self.filter, self.info, self.plan, task)

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[Task]) -> None:
        """Compare those of the points that lie in a slab with what they are in float64, alone."""
        plan = replace(self.plan, problem=replace(self.plan.problem, itemsize=8), itemsize=8)
        stage = replace(self, plan=plan)
        job = Job(stage, pixels, slab)
        target, allowed = job.target(values), slack(job, values.dtype)
        for task in points_inside(slab, points):
            block = tile_block(job, task, "float64")
            results = np.empty((len(block), 1, *task.shape))
            filter_block(job, stage.method_at(task), block, results)
            put_holes(job, block, task, results)
            found = target[job.place(task)]
            expected = np.empty(found.shape)
            finish(job, results, centre_opacity(job, block, task), expected)
            if not agrees(found, expected, allowed):
                raise differs(task, found, expected, self.plan.method)
