"""How the results of a step are cut: into tiles, which are computed one by one, and into slabs, which are in memory
at a time.

Tiles of a plane are [start, stop) per axis, counted from its first output. Slabs are cut in the order of the file: by
T, C or pages as long as what is inside them fits, else along the first spatial axis, between tiles. A slab so has whole
tiles, and its results are those of the whole image, bit by bit; of a tile that it cuts it keeps its part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from itertools import groupby, pairwise, product
from math import prod
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from convcli.engine.windows import Held, distinct, look_up, rows_read
from convcli.engine.workers import Crew
from convcli.filters.filter import FILTERS, Filter, Layout
from convcli.geometry.axis import Geometry
from convcli.image import ImageInfo, Spans
from convcli.methods.contract import load
from convcli.planner import Plan, halved, is_fixed
from convcli.records import record, replace

Array = np.ndarray[Any, Any]
S = TypeVar("S", bound="Stage")
Span = tuple[int, int]
Tile = tuple[Span, ...]
PATIENCE = 0.25
"""Seconds that a plane may take at once: nobody hears of progress, or a signal, before it is done."""
WORTH = 0.9
"""Share of a slab that half its outputs may still take: beyond, it is the halo, which no cut makes smaller."""
SHARE = 3
"""The least slab, read and computed, may take this part of the memory: two are alive, and there is other work."""


@record
class Task:
    """One tile of one plane: where in the loops, and [start, stop) of the outputs per spatial axis."""

    loop: tuple[int, ...]
    tile: Tile

    @property
    def shape(self) -> tuple[int, ...]:
        """Outputs per spatial axis."""
        return tuple(stop - start for start, stop in self.tile)


def touched(span: Span, step: int, size: int) -> list[Span]:
    """The pieces of `step` that [0, size) is cut into, as far as they touch a span.

    >>> touched((0, 5), 2, 5), touched((3, 4), 2, 5)
    ([(0, 2), (2, 4), (4, 5)], [(2, 4)])
    """
    first, last = span
    return [(start, min(start + step, size)) for start in range(first // step * step, last, step) if first < last]


class View(NamedTuple):
    """An array with its axes in another order, some of them cut or new."""

    order: tuple[int, ...]
    chosen: tuple[Any, ...]

    def __call__(self, array: Array) -> Array:
        """Such a view of an array."""
        view: Array = array.transpose(self.order)[self.chosen]
        return view


def _view(order: tuple[int, ...], samples: slice | None, channels: slice | None, layout: Layout) -> View:
    """A view as (*loops, samples, channels, *space); None where an axis is not there yet."""
    return View(order, (..., samples, channels, *(slice(None),) * len(layout.spatial)))


@record
class Stage(Protocol):
    """A step on images of one kind, as planned: what it makes of one, how its results are cut, which pixels they need.

    What is found once serves every image of the kind. Every stage has to add how it computes a slab.
    """

    filter: Filter
    info: ImageInfo
    plan: Plan

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Compute a slab's results from the pixels that it holds, into `values` of its working shape."""

    def points(self, count: int) -> Sequence[Any]:
        """Some of its results, to be verified."""

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[Any]) -> None:
        """Compute those of the points that lie in a slab from the definition; raise where a value differs."""

    @cached_property
    def layout(self) -> Layout:
        """The part that each axis plays."""
        return self.filter.layout(self.info)

    @cached_property
    def after(self) -> ImageInfo:
        """What the result will be."""
        return self.filter.output_info(self.info)

    @cached_property
    def rescaled(self) -> bool:
        """Whether results are spread over the range of their type when all are known."""
        return self.filter.numbers.range == "rescale"

    @cached_property
    def working(self) -> str:
        """The sample type of results until then."""
        return self.plan.problem.dtype if self.rescaled else self.after.dtype

    @cached_property
    def limit(self) -> int | None:
        """The largest 64-bit integer that results are exact for, where there is one."""
        if not self.info.sample.is_long:
            return None
        from convcli.filters.exactness import exact_up_to

        return exact_up_to(self.filter, self.info)

    @property
    def wraps(self) -> bool:
        """Whether rows at one end of the image are read for results at the other."""
        return self.filter.borders[self.axis].rule == "wrap"

    @cached_property
    def letter(self) -> str:
        """The spatial axis that comes first in the file: it is cut."""
        return min(self.layout.spatial, key=self.info.axes.index)

    @cached_property
    def axis(self) -> int:
        """Its place among the spatial axes."""
        return self.layout.spatial.index(self.letter)

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """Results along each spatial axis."""
        return tuple(self.after.size(letter) for letter in self.layout.spatial)

    @property
    def axes(self) -> tuple[Geometry, ...]:
        """What each of these reads."""
        return self.plan.problem.axes

    @cached_property
    def source_view(self) -> View:
        """Pixels as (*loops, samples, channels, *space)."""
        layout, channels = self.layout, slice(self.plan.problem.channels_in)
        order = tuple(self.info.axes.index(letter) for letter in layout.read_order)
        return _view(order, slice(None) if layout.samples else None, channels if layout.channel else None, layout)

    @cached_property
    def target_view(self) -> View:
        """Results of a slab's `working_shape` as (*loops, samples, filters, *space)."""
        layout, there = self.layout, FILTERS in self.layout.outputs
        letters = layout.loops + layout.samples + FILTERS * there + layout.spatial
        order = tuple(map(layout.outputs.index, letters))
        return _view(order, slice(None) if layout.samples else None, slice(None) if there else None, layout)

    @property
    def results(self) -> int:
        """Result channels for each channel, or for all that are summed over."""
        return self.filter.results

    @property
    def outer(self) -> int:
        """How many of the loops are before it in the file."""
        return sum(self.info.axes.index(letter) < self.info.axes.index(self.letter) for letter in self.layout.loops)

    @property
    def cuts(self) -> Sequence[Span]:
        """Stretches of results along it that are computed together: tiles."""
        size = self.outputs[self.axis]
        return touched((0, size), self.plan.tile[self.axis], size)

    @cached_property
    def whole(self) -> Slab:
        """All at once."""
        loops = tuple((0, self.info.size(letter)) for letter in self.layout.loops)
        return Slab(self, loops, tuple((0, size) for size in self.outputs), (None,) * len(self.outputs))

    def slab(self, loops: Mapping[str, Span], span: Span) -> Slab:
        """A slab with the rows that its windows read: spans of the loops that are cut, and one of its axis."""
        spans = tuple(span if place == self.axis else (0, size) for place, size in enumerate(self.outputs))
        return self.box(loops, spans)

    def box(self, loops: Mapping[str, Span], spans: Tile) -> Slab:
        """A part of all spatial axes, with what is read of each."""
        rows = (None if span == (0, size) and place != self.axis else self.reads(place, span)
                for place, (span, size) in enumerate(zip(spans, self.outputs, strict=True)))  # fmt: skip
        every = zip(self.layout.loops, self.whole.loops, strict=True)
        return Slab(self, tuple(loops.get(letter, whole) for letter, whole in every), spans, tuple(rows))

    def part(self, spans: Spans) -> Slab:
        """The least slab that has a box of the result, [start, stop) along each of its axes."""
        letters = dict(zip(self.after.axes, spans, strict=True))
        if self.filter.each and "C" in self.layout.loops:  # results of each channel follow it
            letters["C"] = letters["C"][0] // self.results, -(-letters["C"][1] // self.results)
        loops = {letter: letters[letter] for letter in self.layout.loops}
        return self.box(loops, tuple(letters[letter] for letter in self.layout.spatial))

    def reads(self, axis: int, span: Span) -> Array:
        """The positions of a spatial axis that the tiles of a span read, in order."""
        tiles = self.tiles(axis, span)
        window = self.axes[axis].window(tiles[0][0], tiles[-1][1])
        return rows_read(window, self.filter.borders[axis], self.axes[axis].size)

    @cached_property
    def grains(self) -> tuple[int, ...] | None:
        """Outputs along each axis between which a tile may be cut; None where results would be others."""
        method, problem = load(self.plan.method), self.plan.problem
        if is_fixed(method, problem):
            return None
        return tuple(method.grain(problem, axis) if method.grain else 1 for axis in range(len(problem.axes)))

    def tiles(self, axis: int, span: Span) -> list[Span]:
        """The tiles that touch a span of outputs; of those that it cuts no more than it needs, where that may be."""
        tiles = touched(span, self.plan.tile[axis], self.outputs[axis])
        if self.grains is None:
            return tiles
        (first, last), step = span, self.grains[axis]
        every = ((start, stop, first - (first - start) % step, last + (start - last) % step) for start, stop in tiles)
        return [(max(start, low), min(stop, high)) for start, stop, low, high in every]

    def covering(self, rows: Array) -> Array:
        """All rows of the cuts that hold any of these, in order."""
        cuts = self.cuts
        starts = np.array([start for start, _ in cuts])
        found = (cuts[place] for place in distinct(np.searchsorted(starts, rows, "right") - 1))
        return np.concatenate([np.arange(*span) for span in found])

    def shape(self, slab: Slab) -> tuple[int, ...]:
        """The shape that a slab's results are computed in: with several filters on an axis of their own."""
        sizes = {letter: stop - start for letter, (start, stop) in slab.letters.items()}
        sizes |= {letter: self.after.size(letter) for letter in self.layout.samples} | {FILTERS: self.results}
        return tuple(sizes[letter] for letter in self.layout.outputs)

    def slabs(self, most: int, bound: str = "") -> Iterator[Slab]:
        """Slabs of at most `most` bytes each, or of the least there can be, that cover all outputs in order.

        Axes that are `bound` are not cut.
        """
        whole, letters = self.whole, self.layout.loops[: self.outer]
        order = [letter for letter in letters if letter not in bound]
        for depth, letter in enumerate(order):
            single = self.slab(dict.fromkeys(order[: depth + 1], (0, 1)), whole.span)
            if fitting := most // single.size:
                for loops in self._loops({**dict.fromkeys(order[:depth], 1), letter: fitting}):
                    yield self.slab(loops, whole.span)
                return
        for loops in self._loops(dict.fromkeys(order, 1)):
            yield from self._stretches(loops, most)

    def _loops(self, steps: Mapping[str, int]) -> Iterator[dict[str, Span]]:
        """Boxes of the loops: pieces of so many of each of these, all of the others."""
        pieces = (touched((0, self.info.size(letter)), step, self.info.size(letter)) for letter, step in steps.items())
        return (dict(zip(steps, spans, strict=True)) for spans in product(*pieces))

    def _stretches(self, loops: Mapping[str, Span], most: int) -> Iterator[Slab]:
        """Runs of tiles, as long as they fit."""
        begun: Slab | None = None
        for start, stop in self.cuts:
            longer = self.slab(loops, (begun.span[0] if begun else start, stop))
            if begun and longer.size > most:
                yield begun
                longer = self.slab(loops, (start, stop))
            begun = longer
        if begun:
            yield begun


@record(eq=False)
class Slab:
    """A span of each loop, and of the outputs along each spatial axis, for which `rows` of the input are held, or all.

    What follows from it is found once: the slab of all serves every image of the kind.
    """

    stage: Stage
    loops: tuple[Span, ...]
    spans: Tile
    rows: tuple[Array | None, ...]
    _seen: dict[Tile, tuple[tuple[slice, ...], list[Array | None]]] = field(default_factory=dict, init=False)
    _places: dict[Tile, tuple[slice, ...]] = field(default_factory=dict, init=False)

    @property
    def span(self) -> Span:
        """That along the axis that is cut."""
        return self.spans[self.stage.axis]

    @property
    def cut(self) -> dict[str, Array]:
        """The rows that are held of the spatial axes that are not there as a whole."""
        pairs = zip(self.stage.layout.spatial, self.rows, strict=True)
        return {letter: rows for letter, rows in pairs if rows is not None}

    @cached_property
    def positions(self) -> Array:
        """The rows of that axis that are held."""
        found = self.rows[self.stage.axis]
        return np.arange(self.stage.info.size(self.stage.letter)) if found is None else found

    @cached_property
    def held(self) -> list[Held]:
        """What is held of each spatial axis."""
        sizes = map(self.stage.info.size, self.stage.layout.spatial)
        pairs = zip(sizes, self.rows, strict=True)
        return [Held(size, rows if rows is not None and len(rows) < size else None) for size, rows in pairs]

    @cached_property
    def tasks(self) -> list[Task]:
        """Every tile of every plane."""
        loops = product(*(range(stop - start) for start, stop in self.loops))
        tiles = list(product(*(self.stage.tiles(axis, span) for axis, span in enumerate(self.spans))))
        return [Task(loop, tile) for loop in loops for tile in tiles]

    @cached_property
    def shared(self) -> list[tuple[Task, list[Task]]]:
        """What all threads may compute at once: few planes, cut between rows into tiles, which come along."""
        plan = self.stage.plan
        whole = all(t == n for t, n in zip(plan.tile[1:], plan.problem.output[1:], strict=True))
        if not whole or plan.problem.images > plan.threads or plan.cost.seconds > PATIENCE:
            return []
        planes = [list(tasks) for _, tasks in groupby(self.tasks, lambda task: task.loop)]
        return [(_united(tasks), tasks) for tasks in planes if len(tasks) > 1 and not any(map(self.crop, tasks))]

    def look_up(self, tile: Tile) -> tuple[tuple[slice, ...], list[Array | None]]:
        """The part of each spatial axis that a tile reads, and which pixel stands at each position of its window."""
        if tile not in self._seen:
            windows = (axis.window(*span) for axis, span in zip(self.stage.axes, tile, strict=True))
            seen = [look_up(*axis) for axis in zip(windows, self.stage.filter.borders, self.held, strict=True)]
            self._seen[tile] = tuple(part for part, _ in seen), [places for _, places in seen]
        return self._seen[tile]

    def place(self, tile: Tile) -> tuple[slice, ...]:
        """Where a tile's results go in those of the slab, as far as they are its."""
        if tile not in self._places:
            pairs = zip(self.inside(tile), self.spans, strict=True)
            self._places[tile] = tuple(slice(start - first, stop - first) for (start, stop), (first, _) in pairs)
        return self._places[tile]

    def inside(self, tile: Tile) -> Tile:
        """The part of a tile that is the slab's."""
        pairs = zip(tile, self.spans, strict=True)
        return tuple((max(first, start), min(stop, last)) for (start, stop), (first, last) in pairs)

    def crop(self, task: Task) -> tuple[slice, ...] | None:
        """Which of a tile's results are the slab's; None where all are."""
        if self is self.stage.whole or (inside := self.inside(task.tile)) == task.tile:
            return None
        return tuple(slice(a - start, b - start) for (a, b), (start, _) in zip(inside, task.tile, strict=True))

    @cached_property
    def working_shape(self) -> tuple[int, ...]:
        """The shape that results are computed in."""
        return self.stage.shape(self)

    @property
    def letters(self) -> dict[str, Span]:
        """The span of each loop and spatial axis by its letter."""
        layout = self.stage.layout
        return dict(zip(layout.loops + layout.spatial, (*self.loops, *self.spans), strict=True))

    def read(self, rows: Span | None = None) -> Spans:
        """The span of each axis of the input that some of the rows are; of all, counted among those that are held."""
        stage = self.stage
        spans = dict(zip(stage.layout.loops, self.loops, strict=True))
        spans |= {letter: (0, len(held)) for letter, held in self.cut.items()} | ({stage.letter: rows} if rows else {})
        return tuple(spans.get(letter, (0, stage.info.size(letter))) for letter in stage.info.axes)

    def stretches(self) -> Iterator[tuple[tuple[slice, ...], Spans]]:
        """The boxes of the input that it holds, where rows follow each other: where in its pixels, and which."""
        held = {letter: np.arange(*span) for letter, span in zip(self.stage.layout.loops, self.loops, strict=True)}
        held |= self.cut
        info = self.stage.info
        for parts in product(*(list(runs(held.get(axis, np.arange(info.size(axis))))) for axis in info.axes)):
            places = (slice(first, first + len(rows)) for first, rows in parts)
            yield tuple(places), tuple((int(rows[0]), int(rows[-1]) + 1) for _, rows in parts)

    @property
    def written(self) -> Spans:
        """The span of each axis of the result that it fills."""
        stage, spans = self.stage, self.letters
        if stage.filter.each and "C" in spans:  # results of each channel follow it
            spans["C"] = (spans["C"][0] * stage.results, spans["C"][1] * stage.results)
        return tuple(spans.get(letter, (0, stage.after.size(letter))) for letter in stage.after.axes)

    @property
    def size(self) -> int:
        """Bytes: what is read for it, and its results."""
        read = prod(stop - start for start, stop in self.read())
        return (
            read * np.dtype(self.stage.info.dtype).itemsize
            + prod(self.working_shape) * np.dtype(self.stage.working).itemsize
        )


def runs(rows: Array, known: Array | None = None) -> Iterator[tuple[int, Array]]:
    """Stretches of rows that follow each other, and are all known or all not: where they begin, and the rows.

    >>> [(place, rows.tolist()) for place, rows in runs(np.array([0, 1, 2, 8]), np.array([True, True, False, False]))]
    [(0, [0, 1]), (2, [2]), (3, [8])]
    """
    ends = np.diff(rows) != 1
    ends = ends if known is None else ends | (known[1:] != known[:-1])
    for start, stop in pairwise([0, *(np.flatnonzero(ends) + 1).tolist(), len(rows)]):
        yield start, rows[start:stop]


def _united(tasks: list[Task]) -> Task:
    """The tile of all rows of a plane."""
    (start, _), *others = tasks[0].tile
    return Task(tasks[0].loop, ((start, tasks[-1].tile[0][1]), *others))


def narrowed(stage: S) -> S:
    """The stage with tiles so thin that slabs of one fit its plan's memory, as far as that is possible."""
    most = stage.plan.memory // SHARE
    while stage.plan.tile[stage.axis] > 1 and stage.whole.size > most < (size := _least(stage).size):
        plan = stage.plan
        tile = halved(load(plan.method), plan.problem, plan.tile, stage.axis)
        thinner = replace(stage, plan=replace(plan, tile=tile))
        if tile == plan.tile or _least(thinner).size > WORTH * size:
            break
        stage = thinner
    return stage


def _least(stage: Stage) -> Slab:
    """The first of the least slabs: a tile in one of each of the loops outside."""
    tile = 0, min(stage.plan.tile[stage.axis], stage.outputs[stage.axis])  # not all of the cuts, which may be many
    return stage.slab(dict.fromkeys(stage.layout.loops[: stage.outer], (0, 1)), tile)
