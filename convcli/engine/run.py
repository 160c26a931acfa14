"""The one run of stages over pixels: every image whole, or slab by slab from a source to a target.

A source may be any array, also a memory map; so may a target. Where an image is larger than the memory, a slab is read
while the one before it is computed and the one before that written. At any time two slabs of pixels and two of results
are alive. What a slab shares with the one before it is copied, neither read nor computed again: of stages that follow
each other, each computes whole tiles of its own, as far as the next one asks for them. An exception in any of the
threads stops all, and is raised here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import cached_property, partial
from itertools import islice
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convcli.engine.ahead import Ahead, axis_cut, bytes_ahead
from convcli.engine.memory import empty
from convcli.engine.samples import Counts, extremes, spread
from convcli.engine.slabs import SHARE, Slab, Span, Stage, runs
from convcli.engine.workers import Crew, Execute, Paced, Progress, run_all
from convcli.image import PixelSource, PixelTarget
from convcli.records import record, replace

if TYPE_CHECKING:
    from concurrent.futures import Future

Array = np.ndarray[Any, Any]
Store = Callable[[Slab, Array], None]
PIECES = 16
"""Slabs of an image, where memory does not ask for more: reading and writing overlap with the rest of them."""
LEAST = 2**23
"""Bytes of a slab below which more of them would not pay."""


def run(
    stages: Sequence[Stage],
    pixels: Array,
    *,
    verify: int = 0,
    progress: Progress | None = None,
    execute: Execute = run_all,
) -> tuple[Array, Counts]:
    """What stages make of the pixels of a whole image, one after the other, and what was clipped in the last one.

    `verify` points of each are computed again from the definition; `progress` hears how many outputs each tile had.
    """
    for stage in stages:
        if stage.limit is not None:
            from convcli.filters.exactness import bounds, check_exact

            check_exact(stage.limit, stage.info, *bounds(stage.info, pixels))
        slab, after, crew = stage.whole, stage.after, Crew(execute, progress)
        values = empty(slab.working_shape, stage.working)
        stage.fill(slab, pixels, values, crew)
        if verify:
            stage.check(slab, pixels, values, stage.points(verify))
        pixels, counts = values.reshape(after.shape), crew.total
        if stage.rescaled:
            values, pixels = pixels, np.empty(after.shape, after.dtype)
            counts = spread(values, *extremes(values), pixels, after.missing)
    return pixels, counts


class Step(NamedTuple):
    """What is done at a time: a slab of one of the stages, by its number."""

    number: int
    slab: Slab


@record
class Stream:
    """Stages on the way from a source to a target, slab by slab, within about `memory` bytes.

    `busy` counts the seconds that reading, computing and writing took; they overlap.
    """

    stages: Sequence[Stage]
    memory: int
    source: PixelSource
    target: PixelTarget
    verify: int = 0
    progress: Progress | None = None
    execute: Execute = run_all
    busy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("read", "compute", "write"), 0.0))

    @property
    def last(self) -> Stage:
        """The stage whose results are written."""
        return self.stages[-1]

    @cached_property
    def slabs(self) -> list[Slab]:
        """The slabs of results in the order of the file: so large that what lies between stages fits, too."""
        sizes = [stage.whole.size for stage in self.stages]
        most = slab_bytes(sum(sizes), self.memory - self.ahead[1]) * sizes[-1] // sum(sizes)
        return [self._widened(slab, len(sizes) - 1) for slab in self.last.slabs(most, self.bound)]

    @cached_property
    def ahead(self) -> tuple[PixelSource, int]:
        """The source as slabs are read from it, and the bytes of it that are kept from one to the next."""
        first = self.stages[0]
        pair = list(islice(first.slabs(slab_bytes(first.whole.size, self.memory)), 2))
        axis = axis_cut(pair)
        if axis is None or not (kept := bytes_ahead(self.source, pair[0], axis, self.memory)):
            return self.source, 0
        return Ahead(self.source, axis, first.info.shape[axis]), kept

    @cached_property
    def bound(self) -> str:
        """The axis that is not cut, since its channels become others on the way from one stage to the next."""
        alike = all(stage.results == 1 and "C" in stage.whole.letters for stage in self.stages)
        return "" if len(self.stages) == 1 or alike else "C"

    def _widened(self, slab: Slab, number: int) -> Slab:
        """A stage's slab that holds all rows which the stage before computes together."""
        if not number:
            return slab
        rows = list(slab.rows)
        rows[slab.stage.axis] = self.stages[number - 1].covering(slab.positions)
        return replace(slab, rows=tuple(rows))

    @cached_property
    def steps(self) -> list[Step]:
        """What is to be done, in order: before each slab of a stage, what it needs from the one before and is new."""
        before: list[Slab | None] = [None] * len(self.stages)

        def towards(slab: Slab, number: int) -> Iterator[Step]:
            for rows in new(slab, before[number]) if number else ():
                loops = {letter: span for letter, span in slab.letters.items() if letter not in self.bound}
                part = self.stages[number - 1].slab(loops, (int(rows[0]), int(rows[-1]) + 1))
                yield from towards(self._widened(part, number - 1), number - 1)
            before[number] = slab
            yield Step(number, slab)

        return [step for slab in self.slabs for step in towards(slab, len(self.stages) - 1)]

    @cached_property
    def points(self) -> list[Sequence[Any]]:
        """What is to be verified of each stage."""
        return [stage.points(self.verify) if self.verify else () for stage in self.stages]

    def run(self) -> Counts:
        """Compute everything; what was clipped. Rescaling computes twice: its range is known at the end."""
        self.check_pixels()
        if not self.last.rescaled:
            return self.flow(self.write, self.paced(1))
        progress, ranges = self.paced(2), list[tuple[float, float]]()
        self.flow(lambda _, values: ranges.append(extremes(values)), progress)
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        self.points[:], counts = [()] * len(self.stages), Counts()

        def write_spread(slab: Slab, values: Array) -> None:
            stored = np.empty(values.shape, self.last.after.dtype)
            counts.add(spread(values, low, high, stored, self.last.after.missing))
            self.write(slab, stored)

        self.flow(write_spread, progress)
        return counts

    def paced(self, times: int) -> Progress | None:
        """The progress, which hears of as many outputs as a whole image has: some are computed again, or all are."""
        if self.progress is None:
            return None
        computed = times * sum(prod(step.slab.working_shape) for step in self.steps)
        return Paced(self.progress, sum(prod(stage.whole.working_shape) for stage in self.stages), computed)

    def check_pixels(self) -> None:
        """Refuse 64-bit integers beyond what the first stage is exact for, by reading all of them first."""
        first = self.stages[0]
        if first.limit is not None:
            from convcli.filters.exactness import bounds, check_exact

            slabs = first.slabs(slab_bytes(first.whole.size, self.memory))
            found = [bounds(first.info, self.read(slab, None)) for slab in slabs]
            check_exact(first.limit, first.info, min(least for least, _ in found), max(most for _, most in found))

    def flow(self, store: Store, progress: Progress | None) -> Counts:
        """Compute every slab and hand it over, with the next one being read and the last one stored meanwhile."""
        from concurrent.futures import ThreadPoolExecutor

        total, final = Counts(), len(self.stages) - 1
        reads = iter([step.slab for step in self.steps if not step.number])
        held: list[tuple[Slab, Array] | None] = [None] * len(self.stages)
        made: list[list[Array]] = [[] for _ in self.stages]  # by each stage, for the next one
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            coming: Future[Array] = reader.submit(self.read, next(reads), None)
            stored: Future[None] = writer.submit(_nothing)
            for number, slab in self.steps:
                if number:
                    pixels = gathered(slab, held[number], partial(_take, made[number - 1]))
                    held[number] = slab, pixels
                else:
                    pixels = coming.result()
                    if following := next(reads, None):
                        coming = reader.submit(self.read, following, (slab, pixels))
                values, counts = self.compute(slab, number, pixels, progress)
                del pixels
                if number < final:
                    made[number].append(values)
                    continue
                total.add(counts)
                stored.result()
                stored = writer.submit(self.timed_store, store, slab, values)
                del values
            stored.result()
        return total

    def read(self, slab: Slab, before: tuple[Slab, Array] | None) -> Array:
        """The pixels of a slab of the first stage."""
        begun = perf_counter()
        pixels = gathered(slab, before, lambda rows, part: self.ahead[0].read(slab.read(rows), part))
        self.busy["read"] += perf_counter() - begun
        return pixels

    def compute(self, slab: Slab, number: int, pixels: Array, progress: Progress | None) -> tuple[Array, Counts]:
        """The results of a slab of a stage, and what was clipped."""
        begun = perf_counter()
        stage, crew = self.stages[number], Crew(self.execute, progress)
        values = np.empty(slab.working_shape, stage.working)
        stage.fill(slab, pixels, values, crew)
        if self.points[number]:
            stage.check(slab, pixels, values, self.points[number])
        self.busy["compute"] += perf_counter() - begun
        return values.reshape([stop - start for start, stop in slab.written]), crew.total

    def write(self, slab: Slab, values: Array) -> None:
        """Put the results of a slab into the target."""
        self.target.write(slab.written, values)

    def timed_store(self, store: Store, slab: Slab, values: Array) -> None:
        """Hand results over, and count the time."""
        begun = perf_counter()
        store(slab, values)
        self.busy["write"] += perf_counter() - begun


def slab_bytes(whole: int, memory: int) -> int:
    """How large a slab should be.

    >>> slab_bytes(2**32, 3 * 2**26) == 2**26
    True
    """
    return min(memory // SHARE, max(LEAST, whole // PIECES))


def gathered(slab: Slab, before: tuple[Slab, Array] | None, get: Callable[[Span, Array], None]) -> Array:
    """The pixels of a slab: those that the slab before has are copied from there, stretches of others are to be got."""
    info, positions = slab.stage.info, slab.positions
    pixels = np.empty([stop - start for start, stop in slab.read()], info.dtype)
    along = (slice(None),) * info.axes.index(slab.stage.letter)
    known = shared(slab, before[0] if before else None)
    for place, rows in runs(positions, np.isin(positions, known)):
        part = pixels[(*along, slice(place, place + len(rows)))]
        if before and rows[0] in known:
            first = int(np.searchsorted(known, rows[0]))
            part[...] = before[1][(*along, slice(first, first + len(rows)))]
        else:
            get((int(rows[0]), int(rows[-1]) + 1), part)
    return pixels


def shared(slab: Slab, before: Slab | None) -> Array:
    """The rows of the slab before, where it is one of the same planes."""
    return before.positions if before and before.loops == slab.loops else slab.positions[:0]


def new(slab: Slab, before: Slab | None) -> list[Array]:
    """The stretches of a slab's rows that the slab before does not have."""
    known = np.isin(slab.positions, shared(slab, before))
    return [rows for place, rows in runs(slab.positions, known) if not known[place]]


def _take(results: list[Array], _: Span, part: Array) -> None:
    """Fill a part with the first of the results that were made for it."""
    part[...] = results.pop(0)


def _nothing() -> None:
    """What the writer does before there is anything to write."""
