"""Boxes of a result, each read, computed and written alone: by threads here, or by whoever is sent what they need.

A `Boxed` says what is to be computed from where to where; it travels, as small as a request. A box of the result is
what one target's block holds, or several of them. Its bits are those that it has in the whole, and what was clipped
in all boxes together is what is clipped there: a halo is computed again, but not counted again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import field
from functools import cached_property, partial
from itertools import chain, islice, product
from math import inf, lcm, prod
from time import perf_counter
from typing import Any, Protocol, TypeVar

import numpy as np

from convcli.engine.memory import KEPT, empty, tell_allocator
from convcli.engine.samples import Counts, extremes
from convcli.engine.samples import spread as spread_over
from convcli.engine.slabs import Slab, Stage, touched
from convcli.engine.workers import Crew, Execute, Progress, run_all
from convcli.filters.exactness import bounds, check_exact
from convcli.image import Grid, PixelSource, PixelTarget, Spans
from convcli.records import record

Array = np.ndarray[Any, Any]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
DIGEST = 16
"""Bytes of a checksum: of SHA-256, which processors have instructions for."""


class Opening(Protocol[T_co]):
    """Where pixels are, not open: a value that can be pickled."""

    def opened(self) -> AbstractContextManager[T_co]:
        """The pixels, until the end of the block."""


@record
class Boxed:
    """Stages, planned once, from a source to a target; `verify` points of each are computed again from the definition.

    The source may be read, and the target written, in any boxes and any order, by several at once.
    """

    stages: tuple[Stage, ...]
    source: Opening[PixelSource]
    target: Opening[PixelTarget]
    verify: int = 0

    @property
    def last(self) -> Stage:
        """The stage whose results are written."""
        return self.stages[-1]

    @cached_property
    def points(self) -> list[Sequence[Any]]:
        """What is to be verified of each stage, if anything."""
        return [stage.points(self.verify) for stage in self.stages] if self.verify else []


@record
class Done:
    """What became of a box: samples clipped, the `checksum` of its pixels, bytes read and written, seconds by phase.

    `low` and `high` are the extremes of results that are still to be spread over a range; nothing is written then.
    """

    box: Spans
    counts: Counts
    checksum: str = ""
    read: int = 0
    written: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    low: float = inf
    high: float = -inf


def samples_in(box: Spans) -> int:
    """How many samples a box has."""
    return prod(stop - start for start, stop in box)


def checksum(pixels: Array) -> str:
    """What tells pixels from others of the same shape and type: the same on every machine."""
    there = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return hashlib.sha256(there.reshape(-1).view(np.uint8).data).hexdigest()[: 2 * DIGEST]


def boxes_of(stages: Sequence[Stage], grid: Grid) -> Boxes:
    """The boxes of the stages' results that a target with such a grid is written in, in order: whole blocks."""
    after = stages[-1].after
    steps = zip(after.axes, after.shape, grid.block, strict=True)
    return Boxes(after.shape, tuple(_step(stages[-1], letter, size, step) for letter, size, step in steps))


@record
class Boxes:
    """A shape cut into blocks, those at its ends smaller; made one by one, however many there are."""

    shape: tuple[int, ...]
    block: tuple[int, ...]

    def __len__(self) -> int:
        return prod(-(-size // step) for size, step in zip(self.shape, self.block, strict=True))

    def __iter__(self) -> Iterator[Spans]:
        axes = zip(self.shape, self.block, strict=True)
        return product(*(touched((0, size), step, size) for size, step in axes))


def middle(shape: Sequence[int], block: Sequence[int]) -> Spans:
    """The block of a shape's blocks that lies in its middle.

    >>> middle((10, 5), (4, 8))
    ((4, 8), (0, 5))
    """
    starts = ((size - 1) // step // 2 * step for size, step in zip(shape, block, strict=True))
    return tuple((start, min(start + step, size)) for start, step, size in zip(starts, block, shape, strict=True))


def _step(last: Stage, letter: str, size: int, step: int) -> int:
    """Results along an axis that are written at a time: those of several filters, or all samples, are made together."""
    if letter not in last.whole.letters:
        return size
    each = last.results if letter == "C" and last.filter.each else 1
    return min(size, lcm(each, min(step, size)))


def read_by(stages: Sequence[Stage], box: Spans) -> list[Spans]:
    """The boxes of the source that stages read for a box of their result; more than one at a border that wraps."""
    boxes = [box]
    for stage in reversed(stages):
        boxes = [spans for each in boxes for _, spans in stage.part(each).stretches()]
    return boxes


def run_one(job: Boxed, box: Spans, *, spread: tuple[float, float] | None = None, execute: Execute = run_all) -> Done:
    """Read what a box of the result needs, compute it, and write it.

    Where results are to be rescaled, nothing is written without the range that is to be `spread`: the extremes of the
    results come back. A box has all results of its channels, and all samples, as those of `boxes_of` have.
    """
    begun = perf_counter()
    if job.last.part(box).written != box:
        raise ValueError(f"the box {box} has not all results of its channels, or not all samples")
    with job.source.opened() as source:
        metered = Metered(source)
        metered.seconds = perf_counter() - begun
        values, counts = Course(job.stages, metered, execute, job.points).results(box)
    if job.last.rescaled and spread is None:
        low, high = extremes(values)
        return Done(box, Counts(), "", metered.count, 0, metered.shared(begun), low, high)
    if spread is not None:
        values, counts = _spread(job.last, values, spread)
    found, computed = checksum(values), perf_counter()
    seconds = metered.shared(begun)
    with job.target.opened() as target:
        target.write(box, values)
    seconds["write"] = perf_counter() - computed
    return Done(box, counts, found, metered.count, values.nbytes, seconds)


def _spread(last: Stage, values: Array, ends: tuple[float, float]) -> tuple[Array, Counts]:
    """Results over the whole range of their type, and what became of them."""
    stored = np.empty(values.shape, last.after.dtype)
    return stored, spread_over(values, *ends, stored, last.after.missing)


class Metered:
    """A source that counts the bytes read from it, and the seconds."""

    def __init__(self, source: PixelSource) -> None:
        self._source, self.count, self.seconds = source, 0, 0.0

    @property
    def grid(self) -> Grid:
        """The source's."""
        return self._source.grid

    def read(self, spans: Spans, out: Array) -> None:
        """Read from the source."""
        begun = perf_counter()
        self._source.read(spans, out)
        self.seconds += perf_counter() - begun
        self.count += out.nbytes

    def shared(self, begun: float) -> dict[str, float]:
        """The seconds since then by phase: what was not reading was computing."""
        return {"read": self.seconds, "compute": perf_counter() - begun - self.seconds, "write": 0.0}


@record(eq=False)
class Course:
    """Boxes of what stages make of a source; each stage asks the one before for what it needs, and computes that alone.

    `points` are those of each stage that are to be verified.
    """

    stages: Sequence[Stage]
    source: PixelSource
    execute: Execute = run_all
    points: Sequence[Sequence[Any]] = ()

    def results(self, box: Spans, number: int = -1) -> tuple[Array, Counts]:
        """A box of a stage's results, by default the last one's, and what was clipped.

        Those that are to be spread over a range are as they are before. Where the box has some results of a channel,
        all of them count.
        """
        stage = self.stages[number]
        slab, crew = stage.part(box), Crew(self.execute)
        pixels = self.pixels(slab, number % len(self.stages))
        values = empty(slab.working_shape, stage.working)
        stage.fill(slab, pixels, values, crew)
        if self.points:
            stage.check(slab, pixels, values, self.points[number])
        return cropped(values, slab.written, box), crew.total

    def pixels(self, slab: Slab, number: int) -> Array:
        """What a slab of a stage holds."""
        pixels = empty(tuple(stop - start for start, stop in slab.read()), slab.stage.info.dtype)
        for place, spans in slab.stretches():
            if number:
                pixels[place] = self.results(spans, number - 1)[0]
            else:
                self.source.read(spans, pixels[place])
        if not number and slab.stage.limit is not None:
            check_exact(slab.stage.limit, slab.stage.info, *bounds(slab.stage.info, pixels))
        return pixels


def cropped(values: Array, held: Spans, box: Spans) -> Array:
    """A box of an array that holds another one, around it."""
    whole = values.reshape([stop - start for start, stop in held])
    return whole[tuple(slice(start - first, stop - first) for (start, stop), (first, _) in zip(box, held, strict=True))]


def bytes_for(stages: Sequence[Stage], box: Spans) -> int:
    """Bytes that a box needs at a time: what is read for it, its results, and what lies between the stages."""
    total, boxes = 0, [box]
    for stage in reversed(stages):
        slabs = [stage.part(each) for each in boxes]
        total += sum(slab.size for slab in slabs)
        boxes = [spans for slab in slabs for _, spans in slab.stretches()]
    return total


def run_boxes(
    job: Boxed,
    boxes: Iterable[Spans],
    *,
    memory: int,
    threads: int,
    progress: Progress | None = None,
    spread: tuple[float, float] | None = None,
) -> Iterator[Done]:
    """Run boxes, several at a time as far as about `memory` bytes allow, by up to `threads` threads.

    They come back as they are done; `progress` hears of their samples. The first error stops all, and is raised. Where
    results are to be rescaled, a first run without a `spread` yields the extremes, of which the second one is told.
    """
    queue = iter(boxes)
    first = next(queue, None)
    if first is None:
        return
    each = bytes_for(job.stages, middle(job.last.after.shape, [stop - start for start, stop in first]))
    hands = max(1, min(threads, memory // each))
    tell_allocator()
    stop, queue = threading.Event(), chain([first], queue)
    one = partial(run_one, job, spread=spread, execute=stopped_by(stop, threads // hands))
    with KEPT.recurring(), ThreadPoolExecutor(hands, "convcli box") as pool:
        try:
            running = {pool.submit(one, box) for box in islice(queue, hands)}
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                done = [each.result() for each in ended]
                running |= {pool.submit(one, box) for box in islice(queue, len(done))}
                for ready in done:
                    if progress:
                        progress(samples_in(ready.box))
                    yield ready
        finally:
            stop.set()


class StoppedError(Exception):
    """Another box failed, or nobody waits for this one any more."""


def stopped_by(stop: threading.Event, most: int) -> Execute:
    """An execution by up to `most` threads that ends before its next task when it is told to."""

    def execute(function: Callable[[T], object], tasks: Sequence[T], threads: int, /, *, blas: bool) -> None:
        def work(task: T) -> object:
            if stop.is_set():
                raise StoppedError
            return function(task)

        run_all(work, tasks, min(threads, most), blas=blas)

    return execute
