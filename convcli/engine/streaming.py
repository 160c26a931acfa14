"""Images larger than the memory: a slab is read while the one before it is computed and the one before that written.

At any time two slabs of pixels and two of results are alive. What a slab shares with the one before it is copied, not
read again. An exception in any of the three stops all, and is raised here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field
from functools import cached_property
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from convcli.engine.integers import bounds
from convcli.engine.job import Job
from convcli.engine.loop import Progress, run_tiles
from convcli.engine.samples import Counts, extremes, spread
from convcli.engine.slabs import SHARE, Setup, Slab
from convcli.engine.tiling import Task
from convcli.engine.verify import check_points, points_inside, random_points
from convcli.filters.exactness import check_exact, exact_up_to
from convcli.filters.filter import Filter
from convcli.image import ImageInfo, PixelSource, PixelTarget
from convcli.planner import Plan
from convcli.records import record, replace

Array = np.ndarray[Any, Any]
Store = Callable[[Slab, Array], None]
PIECES = 16
"""Slabs of an image, where memory does not ask for more: reading and writing overlap with the rest of them."""
LEAST = 2**23
"""Bytes of a slab below which more of them would not pay."""


@record
class Stream:
    """A filter on its way from a source to a target, slab by slab.

    `busy` counts the seconds that reading, computing and writing took; they overlap.
    """

    filter: Filter
    info: ImageInfo
    plan: Plan
    source: PixelSource
    target: PixelTarget
    verify: int = 0
    progress: Progress | None = None
    busy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("read", "compute", "write"), 0.0))

    @cached_property
    def whole(self) -> Job:
        """The job without its pixels."""
        return Job(self.setup, np.empty((0,) * len(self.info.shape), self.info.dtype))

    @cached_property
    def setup(self) -> Setup:
        """The filter on the image, as planned."""
        return Setup(self.filter, self.info, self.plan)

    @cached_property
    def slabs(self) -> list[Slab]:
        """The slabs in the order of the file."""
        return list(self.setup.slabs(slab_bytes(self.setup.whole.size, self.plan.memory)))

    @cached_property
    def points(self) -> list[Task]:
        """What is to be verified."""
        return random_points(self.whole, self.verify) if self.verify else []

    def run(self) -> Counts:
        """Filter everything; what was clipped. Rescaling computes twice: its range is known at the end."""
        self.check_pixels()
        if self.filter.numbers.range != "rescale":
            return self.flow(self.write, self.progress)
        ranges: list[tuple[float, float]] = []
        counts = self.flow(lambda _, values: ranges.append(extremes(values)), None)
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        self.points.clear()

        def write_spread(slab: Slab, values: Array) -> None:
            stored = np.empty(values.shape, self.setup.after.dtype)
            counts.add(replace(spread(values, low, high, stored, self.setup.after.missing), samples=0, nan=0))
            self.write(slab, stored)

        self.flow(write_spread, self.progress)
        return counts

    def check_pixels(self) -> None:
        """Refuse 64-bit integers beyond what the filter is exact for, by reading all of them first."""
        if (limit := exact_up_to(self.filter, self.info)) is not None:
            for slab in self.slabs:
                check_exact(limit, *bounds(self.read(slab, None), self.info), self.info)

    def flow(self, store: Store, progress: Progress | None) -> Counts:
        """Compute every slab and hand it over, with the next one being read and the last one stored meanwhile."""
        total = Counts()
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            coming: Future[Array] = reader.submit(self.read, self.slabs[0], None)
            stored: Future[None] = writer.submit(_nothing)
            for slab, following in pairwise([*self.slabs, None]):
                assert slab is not None
                pixels = coming.result()
                if following is not None:
                    coming = reader.submit(self.read, following, (slab, pixels))
                values = self.compute(slab, pixels, total, progress)
                del pixels
                stored.result()
                stored = writer.submit(self.timed_store, store, slab, values)
                del values
            stored.result()
        return total

    def read(self, slab: Slab, before: tuple[Slab, Array] | None) -> Array:
        """The pixels of a slab: those that the slab before has are copied from there."""
        begun = perf_counter()
        axis = self.info.axes.index(self.setup.letter)
        shape = [stop - start for start, stop in slab.read()]
        pixels = np.empty(shape, self.info.dtype)
        known, old = (before[0].rows, before[1]) if before and before[0].loops == slab.loops else (slab.rows[:0], None)
        for place, rows in runs(slab.rows, np.isin(slab.rows, known)):
            part = pixels[(slice(None),) * axis + (slice(place, place + len(rows)),)]
            if old is not None and rows[0] in known:
                first = int(np.searchsorted(known, rows[0]))
                part[...] = old[(slice(None),) * axis + (slice(first, first + len(rows)),)]
            else:
                self.source.read(slab.read((int(rows[0]), int(rows[-1]) + 1)), part)
        self.busy["read"] += perf_counter() - begun
        return pixels

    def compute(self, slab: Slab, pixels: Array, total: Counts, progress: Progress | None) -> Array:
        """The results of a slab."""
        begun = perf_counter()
        job = Job(self.setup, pixels, slab)
        rescaled = self.filter.numbers.range == "rescale"
        values = np.empty(slab.working_shape, self.plan.problem.dtype if rescaled else self.setup.after.dtype)
        total.add(run_tiles(job, values, progress))
        check_points(job, values, points_inside(job, self.points))
        self.busy["compute"] += perf_counter() - begun
        return values.reshape([stop - start for start, stop in slab.written])

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


def runs(rows: Array, known: Array) -> Iterator[tuple[int, Array]]:
    """Stretches of rows that follow each other and are all known or all not: where they begin, and the rows.

    >>> [(place, rows.tolist()) for place, rows in runs(np.array([0, 1, 2, 8]), np.array([True, True, False, False]))]
    [(0, [0, 1]), (2, [2]), (3, [8])]
    """
    ends = np.flatnonzero((np.diff(rows) != 1) | (known[1:] != known[:-1])) + 1
    for start, stop in pairwise([0, *ends.tolist(), len(rows)]):
        yield start, rows[start:stop]


def _nothing() -> None:
    """What the writer does before there is anything to write."""
