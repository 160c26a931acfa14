"""Images of which no slab of whole rows fits the memory: read, computed and written in boxes cut along every axis.

A source that has whole rows alone is read by rows, of which a box is cut; a target that takes rows in order gets them
once all boxes beside each other are done.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field
from functools import cached_property
from itertools import product
from math import ceil, prod
from typing import Any, Generic, TypeVar

import numpy as np

from convcli.engine.boxes import Boxed, Boxes, Done, boxes_of, bytes_for, middle, run_boxes
from convcli.engine.run import Stream
from convcli.engine.samples import Counts
from convcli.engine.slabs import SHARE, Stage, touched
from convcli.engine.workers import Paced, Progress
from convcli.image import Grid, PixelSource, PixelTarget, Spans
from convcli.records import record

Array = np.ndarray[Any, Any]
T = TypeVar("T")
WORTH = 0.75
"""The part of a slab's bytes that a box may take, or slabs are as good."""


@record(eq=False)
class Opened(Generic[T]):
    """Pixels that are open already, as an opening of themselves."""

    pixels: T

    def opened(self) -> AbstractContextManager[T]:
        """Themselves."""
        return nullcontext(self.pixels)


@record(eq=False)
class Rows:
    """A source of whole rows, of which any box is cut; read by one thread at a time."""

    source: PixelSource
    rows: int
    shape: tuple[int, ...]
    lock: Any = field(default_factory=threading.Lock)

    @property
    def grid(self) -> Grid:
        """The source's, in any boxes."""
        return Grid(self.source.grid.block, any_box=True)

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box."""
        with self.lock:
            if self.source.grid.any_box or all(map(_is_whole, spans[self.rows :], self.shape[self.rows :])):
                self.source.read(spans, out)
                return
            wide = (*spans[: self.rows], *((0, size) for size in self.shape[self.rows :]))
            pixels = np.empty([stop - start for start, stop in wide], out.dtype)
            self.source.read(wide, pixels)
        part: tuple[Any, ...] = (..., *(slice(*span) for span in spans[self.rows :]))
        out[...] = pixels[part]


def _is_whole(span: tuple[int, int], size: int) -> bool:
    return span == (0, size)


@record(eq=False)
class Window:
    """A target of boxes that lie in one of its own, in memory; or, without that, the target itself, by one thread."""

    target: PixelTarget
    box: Spans = ()
    data: Array | None = None
    lock: Any = field(default_factory=threading.Lock)

    @property
    def grid(self) -> Grid:
        """The target's."""
        return self.target.grid

    def write(self, spans: Spans, pixels: Array) -> None:
        """Put a box into its place."""
        if self.data is not None:
            places = zip(spans, self.box, strict=True)
            self.data[tuple(slice(start - first, stop - first) for (start, stop), (first, _) in places)] = pixels
            return
        with self.lock:
            self.target.write(spans, pixels)


def block_for(stages: Sequence[Stage], memory: int) -> tuple[int, ...]:
    """The largest blocks of results of which one fits its share of the memory, or the least that make sense.

    Tiles stay whole where they must; a halo is never larger than what it surrounds.
    """
    last = stages[-1]
    steps = _least(stages)
    block = {
        letter: size if letter in steps else 1 for letter, size in zip(last.after.axes, last.after.shape, strict=True)
    }
    while bytes_for(stages, middle(last.after.shape, tuple(block.values()))) > memory // SHARE:
        ratio = {letter: block[letter] / step for letter, step in steps.items()}
        rows = [letter for letter in list(steps)[:-1] if ratio[letter] > 1]
        letter = max(rows, key=ratio.__getitem__) if rows else list(steps)[-1]
        if ratio[letter] <= 1:
            break
        block[letter] = ceil(block[letter] / 2 / steps[letter]) * steps[letter]
    return boxes_of(stages, Grid(tuple(block.values()))).block


def _least(stages: Sequence[Stage]) -> dict[str, int]:
    """The shortest blocks along each spatial axis, in the order of the file."""
    last, found = stages[-1], dict[str, int]()
    for letter in sorted(last.layout.spatial, key=last.after.axes.index):
        steps = []
        for stage in stages:
            axis = stage.layout.spatial.index(letter)
            per = stage.outputs[axis] / stage.plan.problem.output[axis]  # of a transposed one, outputs of a cell
            steps.append(ceil(per * (stage.axes[axis].extent if stage.grains else stage.plan.tile[axis])))
        found[letter] = min(max(steps), last.after.size(letter))
    return found


@record
class Blocks:
    """Stages on the way from a source to a target in boxes of a block, within about `memory` bytes."""

    stages: tuple[Stage, ...]
    memory: int
    source: PixelSource
    target: PixelTarget
    block: tuple[int, ...]
    verify: int = 0
    progress: Progress | None = None
    busy: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("read", "compute", "write"), 0.0))

    @cached_property
    def opening(self) -> Opened[PixelSource]:
        """The source."""
        info = self.stages[0].info
        return Opened(Rows(self.source, info.axes.index("Y") + 1, info.shape))

    @property
    def bands(self) -> Iterator[tuple[Spans, bool]]:
        """Parts of the result in the order of the file, and whether each is to be in memory before it is written."""
        shape = self.stages[-1].after.shape
        if self.target.grid.any_box:
            yield tuple((0, size) for size in shape), False
            return
        cut = next((axis for axis, pair in enumerate(zip(self.block, shape, strict=True)) if 1 < pair[0] < pair[1]), 0)
        outer = (touched((0, size), step, size) for size, step in zip(shape[: cut + 1], self.block, strict=False))
        for spans in product(*outer):
            yield (*spans, *((0, size) for size in shape[cut + 1 :])), True

    def run(self) -> Counts:
        """Compute everything; what was clipped. Rescaling computes twice: its range is known at the end."""
        last = self.stages[-1]
        paced = self._paced(2 if last.rescaled else 1)
        ends = None
        if last.rescaled:
            whole = Boxes(last.after.shape, self.block)
            looked = list(self._done(Window(self.target), whole, self.verify, paced, None))
            ends = min(done.low for done in looked), max(done.high for done in looked)
        counts, verify = Counts(), 0 if last.rescaled else self.verify
        for band, held in self.bands:
            sizes = [stop - start for start, stop in band]
            window = Window(self.target, band, np.empty(sizes, last.after.dtype) if held else None)
            for done in self._done(window, _inside(band, self.block), verify, paced, ends):
                counts.add(done.counts)
            if window.data is not None:
                self.target.write(band, window.data)
        return counts

    def _done(
        self, window: Window, boxes: Iterator[Spans] | Boxes, verify: int, paced: Progress | None,
        ends: tuple[float, float] | None,
    ) -> Iterator[Done]:  # fmt: skip
        """Boxes as they are done."""
        job, threads = (
            Boxed(self.stages, self.opening, Opened(window), verify),
            max(s.plan.threads for s in self.stages),
        )
        for done in run_boxes(job, boxes, memory=self.memory, threads=threads, progress=paced, spread=ends):
            for phase, seconds in done.seconds.items():
                self.busy[phase] += seconds
            yield done

    def _paced(self, times: int) -> Progress | None:
        """The progress, which hears of as many outputs as all stages have."""
        if self.progress is None:
            return None
        wanted = sum(prod(stage.whole.working_shape) for stage in self.stages)
        return Paced(self.progress, wanted, times * prod(self.stages[-1].after.shape))


def _inside(band: Spans, block: Sequence[int]) -> Iterator[Spans]:
    """The boxes of a band."""
    return product(*(
        [(start, min(start + step, last)) for start in range(first, last, step)]
        for (first, last), step in zip(band, block, strict=True)
    ))  # fmt: skip


def stream(
    stages: tuple[Stage, ...], memory: int, source: PixelSource, target: PixelTarget, verify: int = 0,
    progress: Progress | None = None,
) -> tuple[Counts, dict[str, float]]:  # fmt: skip
    """Everything from a source to a target, by slabs of whole rows or, where these do not fit the memory, by boxes.

    What was clipped, and the seconds that reading, computing and writing took.
    """
    slabs = Stream(stages, memory, source, target, verify, progress)
    least = max(step.slab.size for step in slabs.steps)
    if not source.grid.in_order and least > memory // SHARE:
        block = block_for(stages, memory)
        if bytes_for(stages, middle(stages[-1].after.shape, block)) < WORTH * least:
            boxes = Blocks(stages, memory, source, target, block, verify, progress)
            return boxes.run(), boxes.busy
    return slabs.run(), slabs.busy
