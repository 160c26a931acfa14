"""Stages: the steps from pixels to pixels that an operation consists of. The contract, and one module for each kind.

A stage says what it makes of an image, and which box of its input a box of its results needs (`convcli.engine.slabs`);
from those pixels it computes that box, with the bits that it has in the whole. `convcli.engine.run` runs any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Protocol, TypeVar

import numpy as np

from convcli.engine.samples import Counts
from convcli.engine.slabs import Slab, Span
from convcli.image import ImageInfo, Spans

Array = np.ndarray[Any, Any]
Progress = Callable[[int], None]
T = TypeVar("T")


class Execute(Protocol):
    """Calls a function on every task, here or elsewhere, by up to so many hands; the first exception stops all.

    Tasks that call no `blas` spare it being told of threads.
    """

    def __call__(self, function: Callable[[T], object], tasks: Sequence[T], threads: int, /, *, blas: bool) -> None:
        """Return when all is done."""


class Crew:
    """Whoever executes tasks, and what became of samples by then; `progress` hears how many."""

    def __init__(self, execute: Execute, progress: Progress | None = None) -> None:
        self.total, self._execute, self._progress, self._lock = Counts(), execute, progress, Lock()

    def run(self, work: Callable[[T], Counts], tasks: Sequence[T], hands: int, *, blas: bool = True) -> None:
        """Have every task done, by up to so many hands; the first exception stops all."""
        self._execute(lambda task: self.add(work(task)), tasks, min(hands, len(tasks)), blas=blas)

    def add(self, counts: Counts) -> None:
        """Take in what was done."""
        with self._lock:
            self.total.add(counts)
            if self._progress:
                self._progress(counts.samples)


class Stage(Protocol):
    """A step on images of one kind, as planned; its slabs are boxes of its results with what they need of its input."""

    @property
    def info(self) -> ImageInfo:
        """What it takes."""

    @property
    def after(self) -> ImageInfo:
        """What it makes."""

    @property
    def rescaled(self) -> bool:
        """Whether its results are spread over the range of their type when all are known."""

    @property
    def working(self) -> str:
        """The sample type of its results until then."""

    @property
    def limit(self) -> int | None:
        """The largest 64-bit integer that it is exact for, where there is one."""

    @property
    def wraps(self) -> bool:
        """Whether rows at one end of the image are read for results at the other."""

    @property
    def axis(self) -> int:
        """The spatial axis along which slabs are cut, by its place among them."""

    @property
    def cuts(self) -> Sequence[Span]:
        """Stretches of results along that axis that had better be computed together."""

    @property
    def whole(self) -> Slab:
        """All at once."""

    @property
    def results(self) -> int:
        """Result channels for each channel, or for all that are summed over."""

    def slab(self, loops: Mapping[str, Span], span: Span) -> Slab:
        """A box of results: these spans of the loops, this one along the axis that is cut."""

    def part(self, spans: Spans) -> Slab:
        """The least slab that has a box of the result, [start, stop) along each of its axes."""

    def slabs(self, most: int, bound: str = "") -> Iterator[Slab]:
        """Slabs of at most `most` bytes each, or of the least there can be, that cover all results in order.

        Axes that are `bound` are not cut.
        """

    def covering(self, rows: Array) -> Array:
        """All rows of the cuts that hold any of these rows of its results, in order."""

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Compute a slab's results from the pixels that it holds, into `values` of its working shape."""

    def points(self, count: int) -> Sequence[Any]:
        """Some of its results, to be verified."""

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[Any]) -> None:
        """Compute those of the points that lie in a slab from the definition; raise where a value differs."""
