"""What a worker of a cluster is given once for all its tasks. Imported only where dask.distributed is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock, Timer
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker
from distributed.protocol.pickle import dumps, loads

from convcli import __version__
from convcli.engine.memory import KEPT, tell_allocator
from convcli.errors import ConvError
from convcli.records import record
from convcli.runs.answers import as_told
from convcli.system import peak_memory

Work = Callable[[Any, Any], Any]
"""Does a task, given what all tasks have in common, and the task."""
LINGER = 10.0
"""Seconds for which a worker keeps the memory of a task for the next one."""


@record
class Answer:
    """What a worker says of a task: the result, or what went wrong; who it is, and its peak memory in bytes."""

    result: Any
    error: tuple[str, str, str | None] | None
    worker: str
    memory: int


class Shipment(WorkerPlugin):  # type: ignore[misc]  # it is not looked into for types
    """What all tasks have in common, sent to every worker once, also to those that come later; read at the first task.

    A worker of another version is found out before it reads anything.
    """

    def __init__(self, work: Work, common: Any) -> None:
        self.version, self.content = __version__, dumps((work, common))

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 -- as distributed calls it
        """Called on a worker as it receives this."""
        self.lock = Lock()  # which does not travel, nor do these
        self.active, self.awake = 0, False
        self.pause: Timer | None = None

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 -- as distributed calls it
        """Called on a worker once nobody has tasks for this any more."""
        self.rest()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A task: its memory waits for the next one, unless none comes for a while, as where the client is gone."""
        with self.lock:
            self.active += 1
            if self.pause:
                self.pause.cancel()
            if not self.awake:
                self.awake = True
                tell_allocator()
                KEPT.begin()
        try:
            yield
        finally:
            with self.lock:
                self.active -= 1
                if not self.active:
                    self.pause = Timer(LINGER, self.rest)
                    self.pause.daemon = True
                    self.pause.start()

    def rest(self) -> None:
        """Let memory go that waits, where no task is under way."""
        with self.lock:
            if self.awake and not self.active:
                self.awake = False
                KEPT.end()

    @cached_property
    def opened(self) -> tuple[Work, Any]:
        """What tasks are done by, and with."""
        if self.version != __version__:
            raise ConvError(f"runs convcli {__version__}, and this is {self.version}", "usage")
        opened: tuple[Work, Any] = loads(self.content)
        return opened

    def do(self, task: Any) -> Any:
        """The result of a task."""
        with self.lock:
            work, common = self.opened
        with self.at_work():
            return work(common, task)


def answer(name: str, task: Any) -> Answer:
    """Do a task with the shipment of a name, on a worker."""
    worker = get_worker()
    error = None
    try:
        result = worker.plugins[name].do(task)
    except (ConvError, OSError, MemoryError) as raised:
        said = as_told(raised, worker.address)
        result, error = None, (said.message, said.code, said.where)
    return Answer(result, error, worker.address, peak_memory())
