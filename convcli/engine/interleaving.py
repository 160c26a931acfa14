"""Transposed convolution over pixels: the tiles of every part through the engine, their phases put side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from convcli import native
from convcli.engine.integers import check_pixels
from convcli.engine.job import Job
from convcli.engine.loop import run_tiles
from convcli.engine.memory import empty
from convcli.engine.samples import Counts, count_nan, extremes, spread
from convcli.engine.slabs import Setup
from convcli.engine.tiles import store_tile
from convcli.engine.tiling import Task
from convcli.engine.workers import run_all
from convcli.filters.filter import FILTERS
from convcli.filters.transposed import Part, Place
from convcli.image import Image, ImageInfo
from convcli.methods.workspace import Workspace
from convcli.planner import Plan
from convcli.records import record

Array = np.ndarray[Any, Any]
Progress = Callable[[int], None]


@record
class Planned:
    """A part of a transposed convolution with the plan of its filter, on images of one kind."""

    part: Part
    plan: Plan
    info: ImageInfo
    memory: Workspace = field(default_factory=Workspace)

    @cached_property
    def setup(self) -> Setup:
        """Its filter for the engine."""
        return Setup(self.part.filter, self.info, self.plan)


@record
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
        shape = (self.planned.plan.problem.channels_out, *task.shape, outer.shape[0])
        with self.planned.memory.borrow(shape, target.dtype) as block:
            results = np.moveaxis(block, -1, 0)  # in which the samples of a pixel are neighbours
            places, method = list(self.planned.part.places(task.tile)), self.job.setup.method
            counts = store_tile(self.job, method, task, results)
            if self.planned.part.spare and (counts.below or counts.above):
                counts = store_tile(self.job, method, task, results, spare=without_place(results[0], places))
            put_phases(results, places, outer)
            return _placed(results, places, counts) if self.planned.part.spare else counts

    def gathered(self, target: Array) -> Array:
        """The part's results out of all, as its own job would have stored them."""
        values = np.empty(self.job.slab.working_shape, target.dtype)
        if self.planned.part.spare:
            run_tiles(self.job, values)  # for the results that have no place
        own = self.job.target(values)
        cells = tuple((0, size) for size in self.planned.plan.problem.output)
        places = list(self.planned.part.places(cells))
        filters = -1 - len(cells)
        for phase, (place, there) in enumerate(places):
            of_phase = np.moveaxis(np.moveaxis(own, filters, 0)[phase :: len(places)], 0, filters)
            of_phase[_at(there)] = target[_at(place)]
        return values


def apply(
    setup: Setup,
    parts: Sequence[Planned],
    image: Image,
    *,
    verify: int = 0,
    progress: Progress | None = None,
) -> tuple[Image, Counts]:
    """The transposed convolution, and what was clipped; `verify` points are computed again from the definition.

    The frame is set up with the plan of its first part.
    """
    check_pixels(setup.filter, setup.info, image.data)
    info, frame = setup.after, Job(setup, image.data)
    rescaled = setup.filter.numbers.range == "rescale"
    values = empty(_working_shape(setup), setup.plan.problem.dtype if rescaled else info.dtype)
    target = frame.target(values)
    works = [Work(planned, image) for planned in parts]
    counts = _run(works, target, progress)
    if verify:
        _check(works, target, verify)
    if not rescaled:
        return Image(info, values.reshape(info.shape)), counts
    result = np.empty(info.shape, info.dtype)
    return Image(info, result), spread(values.reshape(info.shape), *extremes(values), result, info.missing)


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

    tasks = [(part, task) for part in works for task in part.job.slab.tasks]
    run_all(work, tasks, min(max(part.planned.plan.threads for part in works), len(tasks)))
    return total


def _check(works: Sequence[Work], target: Array, count: int) -> None:
    """Compare some points of every part with the definition."""
    from convcli.engine.verify import check_points, random_points

    for part in works:
        check_points(part.job, part.gathered(target), random_points(part.job, -(-count // len(works))))


def _working_shape(setup: Setup) -> tuple[int, ...]:
    """The shape that results are computed in: with several filters on an axis of their own."""
    after, layout = setup.after, setup.layout
    sizes = {letter: setup.info.size(letter) for letter in layout.loops}
    sizes |= {letter: after.size(letter) for letter in layout.spatial + layout.samples}
    sizes[FILTERS] = setup.filter.results
    return tuple(sizes[letter] for letter in layout.outputs)


def _placed(results: Array, places: Sequence[Place], counts: Counts) -> Counts:
    """The counts of those floating-point results, (samples, O phases, *tile), that have a place."""
    kept = [results[:, phase :: len(places)][_at(cells)] for phase, (_, cells) in enumerate(places)]
    nan = sum(map(count_nan, kept)) if counts.nan else 0
    return Counts(sum(part.size for part in kept), counts.below, counts.above, nan)


def without_place(results: Array, places: Sequence[Place]) -> Array:
    """Which results (O phases, *tile) have no place."""
    spare = np.ones(results.shape, bool)
    for phase, (_, cells) in enumerate(places):
        spare[phase :: len(places)][_at(cells)] = False
    return spare


def put_phases(results: Array, places: Sequence[Place], target: Array) -> None:
    """Put results (samples, O phases, *tile), O by O, into their places in `target` (samples, O, *space)."""
    seen, there = _as_pixels(results, target)
    phases = [seen[:, phase :: len(places)] for phase in range(len(places))]
    done = slice(0, 0)
    along = _side_by_side(places) if len(seen) == 1 and seen.ndim == 4 and _movable(seen, there) else 1
    if along > 1:
        done = slice(max(cells[-1].start for _, cells in places), min(cells[-1].stop for _, cells in places))
        done = slice(done.start, max(done.start, done.stop))
        for first in range(0, len(places), along):
            _shuffle(seen[0], places, first, along, done, there[0])
    for phase, (place, cells) in zip(phases, places, strict=True):
        for columns in _around(cells[-1], done):
            start = place[-1].start + (columns.start - cells[-1].start) * place[-1].step
            stop = start + (columns.stop - columns.start - 1) * place[-1].step + 1
            beside = (*place[:-1], slice(start, stop, place[-1].step))
            there[_at(beside)] = phase[_at((*cells[:-1], columns))]


def _shuffle(seen: Array, places: Sequence[Place], first: int, along: int, columns: slice, target: Array) -> None:
    """Put phases that make up whole rows into `target` (O, rows, columns), as far as all have `columns`."""
    (rows, place), (down, cells) = places[first]
    if columns.start == columns.stop or down.start == down.stop:
        return
    start = place.start + (columns.start - cells.start) * place.step
    phases = seen.reshape(-1, len(places), *seen.shape[1:])[:, first : first + along, down, columns]
    whole = target[:, rows, start : start + along * (columns.stop - columns.start)]
    native.shuffle(_bits(phases).swapaxes(1, 2), _bits(whole))


def _around(cells: slice, done: slice) -> Iterator[slice]:
    """The cells before and behind those that are done."""
    if done.start == done.stop:
        done = slice(cells.stop, cells.stop)
    for columns in (slice(cells.start, min(done.start, cells.stop)), slice(max(done.stop, cells.start), cells.stop)):
        if columns.start < columns.stop:
            yield columns


def _side_by_side(places: Sequence[Place]) -> int:
    """How many of the phases, which lie in this order, fill the rows of the output without gaps; 1 if none do."""
    step = places[0][0][-1].step
    rows = [(place[:-1], _first(place[-1], cells[-1]) - number % step) for number, (place, cells) in enumerate(places)]
    filled = len(places) % step == 0 and all(row == rows[number - number % step] for number, row in enumerate(rows))
    return step if filled else 1


def _first(place: slice, cells: slice) -> int:
    """Where the output of a tile's first cell lies, or would lie."""
    start: int = place.start - cells.start * place.step
    return start


def _movable(*arrays: Array) -> bool:
    """Whether the native extension can move their items."""
    sizes = {array.itemsize for array in arrays}
    return native.COPIES and sizes <= {1, 2, 4, 8} and all(array.strides[-1] == array.itemsize for array in arrays)


def _bits(array: Array) -> Array:
    """The same items as whole numbers, whatever they are."""
    return array.view(f"u{array.itemsize}")


def _at(place: tuple[slice, ...]) -> Any:
    """The index of a place on the last axes."""
    return (..., *place)


def _as_pixels(*arrays: Array) -> list[Array]:
    """The same arrays (samples, ...), whole pixels as their items if all have the samples of a pixel side by side."""
    moved = [np.moveaxis(array, 0, -1) for array in arrays]
    if any(array.shape[-1] == 1 or array.strides[-1] != array.itemsize for array in moved):
        return list(arrays)
    return [array.view(f"V{array.shape[-1] * array.itemsize}")[..., 0][None] for array in moved]
