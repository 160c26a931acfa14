"""Threads that share a queue of tasks, with BLAS kept to one thread inside each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, TypeVar

Task = TypeVar("Task")


def core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(function: Callable[[Task], None], tasks: Iterable[Task], threads: int) -> None:
    """Call `function` on every task from up to `threads` threads; the first exception stops all and is raised here."""
    with _one_blas_thread():
        if threads == 1:
            for task in tasks:
                function(task)
        else:
            _run_threads(function, tasks, threads)


def _run_threads(function: Callable[[Task], None], tasks: Iterable[Task], threads: int) -> None:
    queue = iter(tasks)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def take() -> Task | None:
        with lock:
            return None if failures else next(queue, None)

    def work() -> None:
        try:
            while (task := take()) is not None:
                function(task)
        except BaseException as error:  # noqa: BLE001 -- carried to the caller's thread and raised there
            failures.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    work()  # the calling thread works too, and hears signals
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Nothing where the environment already says so (the command line sets it before NumPy is loaded)."""
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        return nullcontext()
    limits: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limits


@cache
def _libraries() -> Any:
    """The libraries with threads of their own, looked for once: that takes a millisecond."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
