"""Transposed convolution over pixels: the tiles of every part through the engine, their phases put side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from convcli.engine.loop import Job
from convcli.engine.samples import Counts, extremes, spread
from convcli.engine.slabs import Setup
from convcli.engine.tiles import Task, store_tile
from convcli.engine.workers import run_all
from convcli.filters.filter import FILTERS
from convcli.filters.transposed import Part, TransposedFilter
from convcli.image import Image, ImageInfo
from convcli.planner import Plan

Array = np.ndarray[Any, Any]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Planned:
    """A part of a transposed convolution with the plan of its filter, on images of one kind."""

    part: Part
    plan: Plan
    info: ImageInfo

    @cached_property
    def setup(self) -> Setup:
        """Its filter for the engine."""
        return Setup(self.part.filter, self.info, self.plan)


@dataclass(frozen=True)
class Work:
    """A planned part on an image."""

    planned: Planned
    image: Image

    @cached_property
    def job(self) -> Job:
        """Its filter as the engine's job."""
        return Job(self.planned.setup, self.image.data)

    def store(self, task: Task, target: Array) -> Counts:
        """Compute a tile of cells; put its phases into their places in `target` (*loops, samples, filters, *space)."""
        outer: Array = target[task.loop]
        results = _block(outer.shape[0], self.planned.plan.problem.channels_out, task.shape, target.dtype)
        counts = store_tile(self.job, self.job.setup.method, task, results)
        places = list(self.planned.part.places(task.tile))
        seen, there = _as_pixels(results, outer)
        for phase, place in enumerate(places):
            there[_at(place)] = seen[:, phase :: len(places)]
        return counts

    def gathered(self, target: Array) -> Array:
        """The part's results out of all, as its own job would have stored them."""
        values = np.empty(self.job.working_shape, target.dtype)
        own = self.job.target(values)
        cells = tuple((0, size) for size in self.planned.plan.problem.output)
        places = list(self.planned.part.places(cells))
        filters = -1 - len(cells)
        for phase, place in enumerate(places):
            np.moveaxis(own, filters, 0)[phase :: len(places)] = np.moveaxis(target[_at(place)], filters, 0)
        return values


def apply(
    frame: TransposedFilter,
    parts: Sequence[Planned],
    image: Image,
    *,
    verify: int = 0,
    progress: Progress | None = None,
) -> tuple[Image, Counts]:
    """The transposed convolution, and what was clipped; `verify` points are computed again from the definition."""
    info = frame.output_info(image.info)
    rescaled = frame.numbers.range == "rescale"
    values = np.empty(_working_shape(frame, image), parts[0].plan.problem.dtype if rescaled else info.dtype)
    target = Job(Setup(frame, image.info, parts[0].plan), image.data).target(values)
    works = [Work(planned, image) for planned in parts]
    counts = _run(works, target, progress)
    if verify:
        _check(works, target, verify)
    if not rescaled:
        return Image(info, values.reshape(info.shape)), counts
    result = np.empty(info.shape, info.dtype)
    return Image(info, result), spread(values.reshape(info.shape), *extremes(values), result)


def _run(works: Sequence[Work], target: Array, progress: Progress | None) -> Counts:
    """Every tile of every part, by one queue for all threads."""
    total, lock = Counts(), Lock()

    def work(pair: tuple[Work, Task]) -> None:
        part, task = pair
        counts = part.store(task, target)
        with lock:
            total.add(counts)
            if progress:
                progress(counts.samples)

    tasks = [(part, task) for part in works for task in part.job.tasks()]
    run_all(work, tasks, min(max(part.planned.plan.threads for part in works), len(tasks)))
    return total


def _check(works: Sequence[Work], target: Array, count: int) -> None:
    """Compare some points of every part with the definition."""
    from convcli.engine.verify import check_points, random_points

    for part in works:
        check_points(part.job, part.gathered(target), random_points(part.job, -(-count // len(works))))


def _working_shape(frame: TransposedFilter, image: Image) -> tuple[int, ...]:
    """The shape that results are computed in: with several filters on an axis of their own."""
    after, layout = frame.output_info(image.info), frame.layout(image.info)
    sizes = {letter: image.info.size(letter) for letter in layout.loops}
    sizes |= {letter: after.size(letter) for letter in layout.spatial + layout.samples}
    sizes[FILTERS] = frame.results
    return tuple(sizes[letter] for letter in layout.outputs)


def _block(samples: int, filters: int, tile: Sequence[int], dtype: Any) -> Array:
    """Memory for the results of a tile, (samples, filters, *tile), in which the samples of a pixel are neighbours."""
    return np.moveaxis(np.empty((filters, *tile, samples), dtype), -1, 0)


def _at(place: tuple[slice, ...]) -> Any:
    """The index of a place on the last axes."""
    return (..., *place)


def _as_pixels(*arrays: Array) -> list[Array]:
    """The same arrays (samples, ...), whole pixels as their items if all have the samples of a pixel side by side."""
    moved = [np.moveaxis(array, 0, -1) for array in arrays]
    if any(array.shape[-1] == 1 or array.strides[-1] != array.itemsize for array in moved):
        return list(arrays)
    return [array.view(f"V{array.shape[-1] * array.itemsize}")[..., 0][None] for array in moved]
