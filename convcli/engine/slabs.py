"""A filter set up for images of one kind, and slabs: the stretches of an image that are in memory at a time.

Outputs are cut in the order of the file: by T, C or pages as long as what is inside them fits, else along the first
spatial axis, between tiles. A slab so has whole tiles, and its results are those of the whole image, bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cached_property
from itertools import groupby, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convcli.engine.prepared import Method
from convcli.engine.tiling import Span, Task, Tile, cut, tiles
from convcli.engine.windows import Held, look_up, rows_read
from convcli.filters.filter import FILTERS, Filter, Layout
from convcli.image import ImageInfo, Spans
from convcli.planner import Plan, halved, load
from convcli.records import record, replace

Array = np.ndarray[Any, Any]
PATIENCE = 0.25
"""Seconds that a plane may take at once: nobody hears of progress, or a signal, before it is done."""
WORTH = 0.9
"""Share of a slab that half its outputs may still take: beyond, it is the halo, which no cut makes smaller."""
SHARE = 3
"""The least slab, read and computed, may take this part of the memory: two are alive, and there is other work."""


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
class Setup:
    """A filter on images of one kind, as planned: the parts of their axes, how outputs are cut, the method.

    What is found once serves every image of the kind.
    """

    filter: Filter
    info: ImageInfo
    plan: Plan

    @cached_property
    def layout(self) -> Layout:
        """The part that each axis plays."""
        return self.filter.layout(self.info)

    @cached_property
    def after(self) -> ImageInfo:
        """What the result will be."""
        return self.filter.output_info(self.info)

    @cached_property
    def method(self) -> Method:
        """The method, prepared."""
        return Method(self.filter, self.info, self.plan)

    @cached_property
    def taps(self) -> Array:
        """The kernel as float64 (O, I/g, *space)."""
        return self.method.taps

    @cached_property
    def outside(self) -> list[float]:
        """What stands beyond each spatial axis, where its border is a constant."""
        return [border.value for border in self.filter.borders]

    @cached_property
    def letter(self) -> str:
        """The spatial axis that comes first in the file: it is cut."""
        return min(self.layout.spatial, key=self.info.axes.index)

    @cached_property
    def axis(self) -> int:
        """Its place among the spatial axes."""
        return self.layout.spatial.index(self.letter)

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

    @cached_property
    def hands(self) -> int:
        """Threads that take tiles of their own."""
        return self.plan.threads // self.plan.team

    @property
    def outer(self) -> int:
        """How many of the loops are before it in the file."""
        return sum(self.info.axes.index(letter) < self.info.axes.index(self.letter) for letter in self.layout.loops)

    @cached_property
    def whole(self) -> Slab:
        """All at once."""
        loops = tuple((0, self.info.size(letter)) for letter in self.layout.loops)
        size = self.plan.problem.axes[self.axis].size
        return Slab(self, loops, (0, self.plan.problem.output[self.axis]), np.arange(size))

    def slab(self, loops: Sequence[Span], span: Span) -> Slab:
        """A slab with the rows that its windows read."""
        axis = self.plan.problem.axes[self.axis]
        return Slab(self, tuple(loops), span, rows_read(axis.window(*span), self.filter.borders[self.axis], axis.size))

    def slabs(self, most: int) -> Iterator[Slab]:
        """Slabs of at most `most` bytes each, or of the least there can be, that cover all outputs in order."""
        loops = self.whole.loops
        for place in range(self.outer):
            inner = (*((0, 1) for _ in range(place + 1)), *loops[place + 1 :])
            if fitting := most // replace(self.whole, loops=inner).size:
                yield from (self.slab(spans, self.whole.span) for spans in _boxes(loops, place, fitting))
                return
        for spans in _boxes(loops, self.outer - 1, 1):
            yield from self._stretches(spans, most)

    def _stretches(self, loops: Sequence[Span], most: int) -> Iterator[Slab]:
        """Runs of tiles, as long as they fit."""
        begun: Slab | None = None
        for start, stop in cut(0, self.plan.problem.output[self.axis], self.plan.tile[self.axis]):
            longer = self.slab(loops, (begun.span[0] if begun else start, stop))
            if begun and longer.size > most:
                yield begun
                longer = self.slab(loops, (start, stop))
            begun = longer
        if begun:
            yield begun


@record(eq=False)
class Slab:
    """A span of each loop, and of the outputs along one spatial axis, for which `rows` of the input are held.

    What follows from it is found once: the slab of all serves every image of the kind.
    """

    setup: Setup
    loops: tuple[Span, ...]
    span: Span
    rows: Array
    _seen: dict[Tile, tuple[tuple[slice, ...], list[Array | None]]] = field(default_factory=dict, init=False)
    _places: dict[Tile, tuple[slice, ...]] = field(default_factory=dict, init=False)

    @cached_property
    def held(self) -> list[Held]:
        """What is held of each spatial axis."""
        axes, cut_at = self.setup.plan.problem.axes, self.setup.axis
        cut = len(self.rows) < axes[cut_at].size
        return [Held(axis.size, self.rows if cut and place == cut_at else None) for place, axis in enumerate(axes)]

    @cached_property
    def tasks(self) -> list[Task]:
        """Every tile of every plane."""
        plan, axis, (first, last) = self.setup.plan, self.setup.axis, self.span
        loops = product(*(range(stop - start) for start, stop in self.loops))
        pieces = tiles(plan.problem.axes, plan.tile)
        inside = [tile for tile in pieces if first <= tile[axis][0] and tile[axis][1] <= last]
        return [Task(loop, tile) for loop in loops for tile in inside]

    @cached_property
    def shared(self) -> list[tuple[Task, list[Task]]]:
        """What all threads may compute at once: few planes, cut between rows into tiles, which come along."""
        plan = self.setup.plan
        whole = all(t == n for t, n in zip(plan.tile[1:], plan.problem.output[1:], strict=True))
        if not whole or plan.problem.images > plan.threads or plan.cost.seconds > PATIENCE:
            return []
        planes = [list(tasks) for _, tasks in groupby(self.tasks, lambda task: task.loop)]
        return [(_united(tasks), tasks) for tasks in planes if len(tasks) > 1]

    def look_up(self, tile: Tile) -> tuple[tuple[slice, ...], list[Array | None]]:
        """The part of each spatial axis that a tile reads, and which pixel stands at each position of its window."""
        if tile not in self._seen:
            setup = self.setup
            windows = (axis.window(*span) for axis, span in zip(setup.plan.problem.axes, tile, strict=True))
            seen = [look_up(*axis) for axis in zip(windows, setup.filter.borders, self.held, strict=True)]
            self._seen[tile] = tuple(part for part, _ in seen), [places for _, places in seen]
        return self._seen[tile]

    def place(self, tile: Tile) -> tuple[slice, ...]:
        """Where a tile's results go in those of the slab."""
        if tile not in self._places:
            first = [self.span[0] * (axis == self.setup.axis) for axis in range(len(tile))]
            inside = (slice(start - f, stop - f) for (start, stop), f in zip(tile, first, strict=True))
            self._places[tile] = tuple(inside)
        return self._places[tile]

    @cached_property
    def working_shape(self) -> tuple[int, ...]:
        """The shape that results are computed in: the output's, with several filters on an axis of their own."""
        setup, layout = self.setup, self.setup.layout
        sizes = {letter: stop - start for letter, (start, stop) in zip(layout.loops, self.loops, strict=True)}
        sizes |= dict(zip(layout.spatial, setup.plan.problem.output, strict=True))
        sizes |= {letter: setup.after.size(letter) for letter in layout.samples}
        sizes |= {setup.letter: self.span[1] - self.span[0], FILTERS: setup.filter.results}
        return tuple(sizes[letter] for letter in layout.outputs)

    def read(self, rows: Span | None = None) -> Spans:
        """The span of each axis of the input that all or some of the rows are."""
        setup = self.setup
        spans = {**dict(zip(setup.layout.loops, self.loops, strict=True)), setup.letter: rows or (0, len(self.rows))}
        return tuple(spans.get(letter, (0, setup.info.size(letter))) for letter in setup.info.axes)

    @property
    def written(self) -> Spans:
        """The span of each axis of the result that it fills."""
        setup = self.setup
        spans = {**dict(zip(setup.layout.loops, self.loops, strict=True)), setup.letter: self.span}
        if setup.filter.each and "C" in spans:  # results of each channel follow it
            spans["C"] = (spans["C"][0] * setup.filter.results, spans["C"][1] * setup.filter.results)
        return tuple(spans.get(letter, (0, setup.after.size(letter))) for letter in setup.after.axes)

    @property
    def size(self) -> int:
        """Bytes: what is read for it, and its results."""
        read = prod(stop - start for start, stop in self.read())
        return read * _itemsize(self.setup.info) + prod(self.working_shape) * _itemsize(self.setup.after)


def _united(tasks: list[Task]) -> Task:
    """The tile of all rows of a plane."""
    (start, _), *others = tasks[0].tile
    return Task(tasks[0].loop, ((start, tasks[-1].tile[0][1]), *others))


def narrowed(filter_: Filter, info: ImageInfo, plan: Plan) -> Plan:
    """The plan with tiles so thin that slabs of one fit its memory, as far as that is possible."""
    setup, most = Setup(filter_, info, plan), plan.memory // SHARE
    if setup.whole.size <= most:
        return plan
    while plan.tile[setup.axis] > 1 and (size := _thick(setup, plan.tile[setup.axis]).size) > most:
        thinner = replace(plan, tile=halved(load(plan.method), plan.problem, plan.tile, setup.axis))
        if thinner.tile == plan.tile or _thick(setup, thinner.tile[setup.axis]).size > WORTH * size:
            break
        plan = thinner
    return plan


def _thick(setup: Setup, step: int) -> Slab:
    """The first of the least slabs: a tile in one of each of the loops outside."""
    outer = setup.outer
    loops = (*((0, 1) for _ in range(outer)), *setup.whole.loops[outer:])
    return setup.slab(loops, (0, min(step, setup.whole.span[1])))


def _boxes(loops: Sequence[Span], place: int, step: int) -> Iterator[tuple[Span, ...]]:
    """Single positions of the loops before `place`, pieces of `step` there, all of those behind."""
    if place < 0:
        yield tuple(loops)
        return
    (first, last), *rest = loops
    for start in range(first, last, step if place == 0 else 1):
        stop = min(start + step, last) if place == 0 else start + 1
        for others in _boxes(rest, place - 1, step) if place else [tuple(rest)]:
            yield ((start, stop), *others)


def _itemsize(info: ImageInfo) -> int:
    return np.dtype(info.dtype).itemsize
