"""Several files at once, each in a process of its own: whatever happens to one costs only the file it was at.

A worker is forked, so that it knows all that this process knows and nothing need be packed up for it. It reads the
numbers of its tasks from one pipe, a line each, and answers through another with a line of JSON; when the first pipe
ends, it ends. So workers outlive neither this process nor its wish to stop.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any, NoReturn

from convcli.records import record
from convcli.signals import STOPPING, Interrupted, release_signals

AHEAD = 2
"""Tasks that a worker is given at a time: it need not wait for the next one."""
WAITING = 512
"""Answers that wait for that of an earlier task, at most: an answer is some kilobytes."""
PATIENCE = 2.0
"""Seconds that a worker has to clean up once it is told to stop."""
PULSE = 0.2
"""Seconds of silence after which one may look around."""
PREFERRED = "500"
"""What makes the system, when memory runs out, end a worker rather than this process or one of another program."""

Work = Callable[[int], Any]


@record
class Died:
    """What comes instead of an answer: the worker ended, by a signal or with an exit status."""

    status: int

    def __str__(self) -> str:
        return f"by {signal.Signals(-self.status).name}" if self.status < 0 else f"with exit status {self.status}"


@record(frozen=False)
class Worker:
    """A process that does tasks, with this end of its two pipes, and the tasks that it has not answered yet."""

    pid: int
    tasks: int
    answers: int
    pending: deque[int] = field(default_factory=deque)
    unread: bytes = b""

    def give(self, task: int) -> None:
        """Put a task into the worker's pipe; one that has ended meanwhile is found out when it is read from."""
        self.pending.append(task)
        with suppress(BrokenPipeError):
            os.write(self.tasks, b"%d\n" % task)

    def take(self) -> list[tuple[int, Any]] | None:
        """What it has answered by now; None where it has ended."""
        received = os.read(self.answers, 1 << 16)
        *lines, self.unread = (self.unread + received).split(b"\n")
        return [(self.pending.popleft(), json.loads(line)) for line in lines] if received else None

    def end(self) -> tuple[list[tuple[int, Any]], Died]:
        """Wait for it to end, but not for long; what it still said, and how it ended."""
        os.close(self.tasks)
        until = time.monotonic() + PATIENCE
        while not (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.002)
        said = []
        while (answers := self.take()) is not None:
            said += answers
        os.close(self.answers)
        return said, Died(os.waitstatus_to_exitcode(found[1]))


def run_jobs(
    work: Work, tasks: Iterable[int], jobs: int, ahead: int = AHEAD, idle: Callable[[], object] = tuple
) -> Generator[tuple[int, Any]]:
    """(task, answer) for each task in their order, by up to `jobs` workers; an answer is anything that JSON holds.

    `idle` is called now and then while no answer comes.
    When a signal stops this process, the answers that are there come first, then the exception.
    """
    crew = Crew(work)
    source, order, answered = iter(tasks), deque[int](), dict[int, Any]()
    try:
        while True:
            while len(answered) < WAITING and crew.load < jobs * ahead and (task := next(source, None)) is not None:
                order.append(task)
                crew.add(task, jobs, ahead)
            if not order:
                return
            answered.update(crew.wait(idle))
            while order and order[0] in answered:
                yield order[0], answered.pop(order[0])
                order.popleft()
    except Interrupted:
        release_signals()
        answered.update(crew.stop())
        yield from ((task, answered[task]) for task in order if task in answered)
        raise
    finally:
        crew.stop()


@record(frozen=False)
class Crew:
    """The workers, and what they do with a task."""

    work: Work
    workers: list[Worker] = field(default_factory=list)

    @property
    def load(self) -> int:
        """Tasks that have been given out and not answered."""
        return sum(len(worker.pending) for worker in self.workers)

    def add(self, task: int, jobs: int, ahead: int) -> None:
        """Give a task to the worker that has the least to do, a new one if there may be more."""
        if len(self.workers) < jobs and all(worker.pending for worker in self.workers):
            self.workers.append(start(self.work, self.workers))
        least = min(self.workers, key=lambda worker: len(worker.pending))
        assert len(least.pending) < ahead
        least.give(task)

    def wait(self, idle: Callable[[], object]) -> list[tuple[int, Any]]:
        """The next answers; in place of a worker that died comes a new one, and its first task is lost."""
        with selectors.DefaultSelector() as ready:
            for worker in self.workers:
                ready.register(worker.answers, selectors.EVENT_READ, worker)
            while not (events := ready.select(PULSE)):
                idle()
            chosen: list[Worker] = [key.data for key, _ in events]
        found = []
        for worker in chosen:
            answers = worker.take()
            found += self.replace(worker) if answers is None else answers
        return found

    def replace(self, worker: Worker) -> list[tuple[int, Any]]:
        """What became of the task of a worker that died; a new worker has its other tasks."""
        self.workers.remove(worker)
        _, died = worker.end()
        lost, others = list(worker.pending)[:1], list(worker.pending)[1:]
        if others:
            self.workers.append(start(self.work, self.workers))
            for task in others:
                self.workers[-1].give(task)
        return [(task, died) for task in lost]

    def stop(self) -> list[tuple[int, Any]]:
        """End the workers: those at work are told to stop and clean up, the others find no more tasks.

        Returns the answers that they gave since they were last heard.
        """
        for worker in self.workers:
            if worker.pending:
                os.kill(worker.pid, signal.SIGTERM)
        said = []
        while self.workers:
            said += self.workers.pop().end()[0]
        return said


def start(work: Work, others: Iterable[Worker]) -> Worker:
    """A new worker. It closes this process's ends of the pipes of all: they must end when this process does."""
    (tasks, give), (take, answers) = os.pipe(), os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # no signal may unwind the child as if it were us
    pid = os.fork()
    if not pid:
        for descriptor in (give, take, *(end for other in others for end in (other.tasks, other.answers))):
            os.close(descriptor)
        serve(work, tasks, answers)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(tasks)
    os.close(answers)
    return Worker(pid, give, take)


def serve(work: Work, tasks: int, answers: int) -> NoReturn:
    """A worker's whole life. Ctrl-C and hang-ups reach every process of a terminal; they are for the parent to hear."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(PREFERRED)
        with os.fdopen(tasks) as lines, os.fdopen(answers, "w") as out:
            for line in lines:
                out.write(json.dumps(work(int(line))) + "\n")
                out.flush()
        status = 0
    except (Interrupted, BrokenPipeError):
        pass
    except BaseException:  # noqa: BLE001 -- a fault of ours is shown here, for nobody catches it outside
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
