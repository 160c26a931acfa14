"""Whoever executes tasks: threads that share a queue of them, or a call, with BLAS kept to one thread inside each.

Helpers are kept for the next image: to start a thread takes longer than to filter a small one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from convcli.engine.samples import Counts
from convcli.methods.cutting import Alone
from convcli.system import after_fork

Task = TypeVar("Task")
T = TypeVar("T")
Progress = Callable[[int], None]
"""Hears how many samples are done."""


class Execute(Protocol):
    """Calls a function on every task, here or elsewhere, by up to so many hands; the first exception stops all.

    Tasks that call no `blas` spare it being told of threads.
    """

    def __call__(self, function: Callable[[T], object], tasks: Sequence[T], threads: int, /, *, blas: bool) -> None:
        """Return when all is done."""


class Paced:
    """Hears of `computed` outputs in all, and tells `progress` of `wanted` in all."""

    def __init__(self, progress: Progress, wanted: int, computed: int) -> None:
        self._progress, self._wanted, self._computed, self._heard = progress, wanted, computed, 0

    def __call__(self, count: int) -> None:
        """So many outputs more are computed."""
        told = self._heard * self._wanted // self._computed
        self._heard += count
        self._progress(self._heard * self._wanted // self._computed - told)


class Crew:
    """Whoever executes tasks, and what became of samples by then; `progress` hears how many."""

    def __init__(self, execute: Execute, progress: Progress | None = None) -> None:
        self.total, self.execute, self._progress, self._lock = Counts(), execute, progress, threading.Lock()

    def run(self, work: Callable[[T], Counts], tasks: Sequence[T], hands: int, *, blas: bool = True) -> None:
        """Have every task done, by up to so many hands; the first exception stops all."""
        self.execute(lambda task: self.add(work(task)), tasks, min(hands, len(tasks)), blas=blas)

    def add(self, counts: Counts) -> None:
        """Take in what was done."""
        with self._lock:
            self.total.add(counts)
            if self._progress:
                self._progress(counts.samples)


def run_all(function: Callable[[Task], object], tasks: Iterable[Task], threads: int, *, blas: bool = True) -> None:
    """Call `function` on every task from up to `threads` threads; the first exception stops all and is raised here.

    Tasks that call no `blas` spare it being told of threads.
    """
    with _one_blas_thread() if blas else nullcontext():
        if threads == 1:
            for task in tasks:
                function(task)
        else:
            _run_threads(function, tasks, threads)


def together(work: Callable[[], T], threads: int) -> list[T]:
    """What `work` returns in this thread, and in up to `threads` - 1 helpers that come while it works.

    The first exception is raised here, once all are through.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 -- carried to the caller's thread and raised there
            failures.append(error)

    shares = [Share(run) for _ in range(threads - 1)]
    HELPERS.offer(shares)
    run()  # the calling thread works too, and hears signals
    for share in shares:
        share.settle()
    if failures:
        raise failures[0]
    return results


def _run_threads(function: Callable[[Task], object], tasks: Iterable[Task], threads: int) -> None:
    queue, lock = iter(tasks), threading.Lock()

    def take() -> Task | None:
        with lock:
            return next(queue, None)

    def work() -> None:
        nonlocal queue
        try:
            while (task := take()) is not None:
                function(task)
        except BaseException:
            queue = iter(())
            raise

    together(work, threads)


class Team(Alone):
    """Threads that share the work of a tile; BLAS has been told of them."""

    def __init__(self, size: int) -> None:
        self.size = size

    def share(self, work: Callable[[slice], object], count: int) -> None:
        """Call `work` on slices of `count` things, from all threads."""
        pieces = min(count, 2 * self.size)
        ends = [count * piece // pieces for piece in range(pieces + 1)]
        run_all(work, map(slice, ends, ends[1:]), self.size, blas=False)

    def together(self, work: Callable[[], T]) -> list[T]:
        """What `work` returns in each thread that comes to help."""
        return together(work, self.size)


class Share:
    """A part in work that one helper may take, until its owner, who is through, takes it back."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._untaken, self._done = work, threading.Lock(), threading.Lock()
        self._done.acquire()

    def take(self) -> None:
        """Work, in a helper's thread."""
        if self._untaken.acquire(blocking=False):
            self._work()
            self._done.release()

    def settle(self) -> None:
        """Take it back, or wait for whoever took it."""
        if not self._untaken.acquire(blocking=False):
            self._done.acquire()


class Helpers:
    """Threads that wait for shares; they die with the process, and a fork has none of them."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin without any."""
        self._shares: SimpleQueue[Share] = SimpleQueue()
        self._lock, self._count = threading.Lock(), 0

    def offer(self, shares: list[Share]) -> None:
        """Let helpers take shares, as many as there are of these, unless others keep them busy."""
        with self._lock:
            while self._count < len(shares):
                threading.Thread(target=self._help, name="convcli helper", daemon=True).start()
                self._count += 1
        for share in shares:
            self._shares.put(share)

    def _help(self) -> None:
        while True:
            self._shares.get().take()


HELPERS = Helpers()
after_fork(HELPERS.forget)


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Nothing where the environment already says so (the command line sets it before NumPy is loaded)."""
    return nullcontext() if os.environ.get("OPENBLAS_NUM_THREADS") == "1" else SINGLE


class Single:
    """BLAS kept to one thread while anybody is inside: the limit is the process's, and sums differ by it.

    Whoever comes first sets it, whoever leaves last takes it back: images may be computed at the same time.
    threadpoolctl (3.8) lets one thread alone set limits as long as it lives, so that one that ends at once does it; or
    the caller, where it was the first that did.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nobody is inside: of the threads that were, a fork has none."""
        self._inside, self._lock, self._undo = 0, threading.Lock(), list[Callable[[], object]]()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit(_apart)
                if any(each["num_threads"] > 1 for each in _libraries().info() if each["user_api"] == "blas"):
                    self._limit(_here)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            while not self._inside and self._undo:
                self._undo.pop()()

    def _limit(self, call: Callable[[Callable[[], object]], object]) -> None:
        limits: list[Any] = []
        call(lambda: limits.append(_libraries().limit(limits=1, user_api="blas")))
        self._undo.append(lambda: call(limits[0].restore_original_limits))


def _here(function: Callable[[], object]) -> None:
    """Call a function in this thread."""
    function()


def _apart(function: Callable[[], object]) -> None:
    """Call a function in a thread of its own, which has ended then."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


SINGLE = Single()
after_fork(SINGLE.forget)


@cache
def _libraries() -> Any:
    """The libraries with threads of their own, looked for once: that takes a millisecond."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
