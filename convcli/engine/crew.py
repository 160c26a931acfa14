"""A crew: whoever executes tasks, and what became of samples by then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Protocol, TypeVar

from convcli.engine.samples import Counts

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
