"""Transposed convolution as a stage: the tiles of every part by its method, their phases put side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convcli import native
from convcli.engine.job import Job, Variants
from convcli.engine.samples import Counts, add_biases, store
from convcli.engine.slabs import Slab, Span, Stage, Task, Tile
from convcli.engine.stages.filter import FilterStage
from convcli.engine.tiles import store_tile
from convcli.engine.verify import check_point, points_inside, random_points
from convcli.engine.windows import distinct
from convcli.engine.workers import Crew
from convcli.filters.transposed import Part, Place
from convcli.methods.cutting import Workspace
from convcli.planner import Plan
from convcli.records import record

Array = np.ndarray[Any, Any]


@record
class Planned:
    """A part of a transposed convolution with its filter on images of one kind, as planned."""

    part: Part
    setup: FilterStage
    memory: Workspace = field(default_factory=Workspace)

    @property
    def plan(self) -> Plan:
        """The plan of its filter."""
        return self.setup.plan

    def slab(self, of: Slab) -> Slab:
        """The cells that have results in a slab of all, from the same pixels."""
        if of.stage.whole is of:
            return self.setup.whole
        cells = tuple(piece.cells(span) for piece, span in zip(self.part.pieces, of.spans, strict=True))
        return Slab(self.setup, of.loops, cells, of.rows)


class Work(NamedTuple):
    """A part on its way into a target (*loops, samples, filters, *space) for a box of the outputs."""

    planned: Planned
    job: Job
    target: Array
    box: Tile

    def store(self, task: Task) -> Counts:
        """Compute a tile of cells; put its phases into their places."""
        outer: Array = self.target[task.loop]
        cells = self.job.slab.inside(task.tile)
        shape = (self.planned.plan.problem.channels_out, *(stop - start for start, stop in cells), outer.shape[0])
        with self.planned.memory.borrow(shape, outer.dtype) as block:
            results = np.moveaxis(block, -1, 0)  # in which the samples of a pixel are neighbours
            places, method = list(self.planned.part.places(cells, self.box)), self.job.setup.method
            counts = self.counted(method, task, results, places)
            put_phases(results, places, outer)
            return counts

    def counted(self, method: Variants, task: Task, results: Array, places: Sequence[Place]) -> Counts:
        """Compute a tile's results (samples, O phases, *tile), and count those that have a place."""
        placed = sum(prod(each.stop - each.start for each in cells) for _, cells in places)
        spare = results[0].size - results.shape[1] // len(places) * placed
        if not spare:
            return store_tile(self.job, method, task, results)
        kept = Counts(-len(results) * spare)
        if method.fused and not (counts := store_tile(self.job, method, task, results)).spoilt:
            kept.add(counts)
        else:
            kept.add(store_tile(self.job, method, task, results, spare=without_place(results[0], places)))
            kept.add(self.zeros(-spare, results))
        return kept

    def zeros(self, count: int, results: Array) -> Counts:
        """What becomes of so many results that are zeros in colours."""
        filter_, after = self.job.filter, self.job.setup.after
        zeros = np.zeros((1, max(1, len(filter_.numbers.biases))))
        if filter_.numbers.biases:
            add_biases(zeros, filter_.numbers)
        colours = count // zeros.size * (len(results) - after.has_alpha)
        zero = store(zeros, np.empty(zeros.shape, results.dtype), filter_.numbers, filter_.bias, after.missing)
        return Counts(0, *(colours * each for each in (zero.below, zero.above, zero.nan, zero.mistaken)))

    def check(self, points: Iterable[Task]) -> None:
        """Compare those of the results at cells that have a place with the definition."""
        for task in points:
            places, outer = list(self.planned.part.places(task.tile, self.box)), self.target[task.loop]
            shape = len(outer), self.planned.plan.problem.channels_out, *task.shape
            found, known = np.zeros(shape, outer.dtype), np.zeros(shape[1], bool)
            for phase, (place, cells) in enumerate(places):
                if all(each.start < each.stop for each in cells):
                    found[:, phase :: len(places)], known[phase :: len(places)] = outer[_at(place)], True
            check_point(self.job, task, found, known)


@record
class PhasesStage(Stage):
    """A transposed convolution of images of one kind: the parts that fill its results, that with the most work first.

    Its plan is that of the first part.
    """

    parts: tuple[Planned, ...]

    @property
    def cuts(self) -> list[Span]:
        """The outputs of the first part's tiles."""
        piece, setup, size = self.parts[0].part.pieces[self.axis], self.parts[0].setup, self.outputs[self.axis]
        ends = (piece.axis.stride * (piece.first + stop) - piece.axis.begin for _, stop in setup.cuts)
        return list(pairwise(sorted({0, size, *(end for end in ends if 0 < end < size)})))

    def reads(self, axis: int, span: Span) -> Array:
        """The positions of a spatial axis that any of the parts reads for a span of outputs."""
        cells = ((each.setup, each.part.pieces[axis].cells(span)) for each in self.parts)
        found = [setup.reads(axis, (start, stop)) for setup, (start, stop) in cells if start < stop]
        return distinct(np.concatenate(found))

    def works(self, slab: Slab, pixels: Array, values: Array) -> list[Work]:
        """The parts on the pixels of a slab."""
        target = self.target_view(values)
        return [Work(each, Job(each.setup, pixels, each.slab(slab)), target, slab.spans) for each in self.parts]

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Compute every tile of every part, by one queue for all threads."""

        def work(pair: tuple[Work, Task]) -> Counts:
            each, task = pair
            return each.store(task)

        tasks = [(each, task) for each in self.works(slab, pixels, values) for task in each.job.slab.tasks]
        crew.run(work, tasks, max(each.plan.threads for each in self.parts))

    def points(self, count: int) -> list[tuple[int, Task]]:
        """Some cells of every part, by its number."""
        each = -(-count // len(self.parts))
        return [(number, task) for number, part in enumerate(self.parts) for task in random_points(part.setup, each)]

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[tuple[int, Task]]) -> None:
        """Compare those of them that lie in a slab with the definition."""
        for number, work in enumerate(self.works(slab, pixels, values)):
            work.check(points_inside(work.job.slab, [task for part, task in points if part == number]))


def without_place(results: Array, places: Sequence[Place]) -> Array:
    """Which results (O phases, *tile) have no place, at an end of the image or of a box of it."""
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
