"""Several files at once where processes cannot be forked, as on Windows: by processes that start anew.

They are asked as a cluster's workers are, by values that travel. Whatever happens to one costs only the file it was at.
"""

from __future__ import annotations

import _thread
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

from convcli.records import record
from convcli.signals import STOPPING, Interrupted, interrupt

T = TypeVar("T")
AHEAD = 2
"""Tasks that a process is given at a time: it need not wait for the next one."""
PATIENCE = 2.0
"""Seconds that a process has to clean up once it is told to stop."""
PULSE = 0.2
"""Seconds of silence after which one may look around."""


@record(frozen=False, eq=False)
class Hand:
    """A process, this end of its pipe, and the tasks that it has not answered yet."""

    process: Any
    pipe: Connection
    pending: deque[Any] = field(default_factory=deque)

    def give(self, task: Any) -> None:
        """Put a task into the pipe; that a process has ended meanwhile is found out when it is read from."""
        self.pending.append(task)
        with suppress(OSError):
            self.pipe.send(task)

    def take(self) -> list[tuple[Any, Any]]:
        """A task with what it has answered; nothing where it has ended."""
        try:
            answer = self.pipe.recv()
            return [(self.pending.popleft(), answer)]
        except (EOFError, OSError):
            self.end()
            return []

    def end(self) -> None:
        """Close the pipe, at which it stops, and wait for that, but not for long."""
        self.pipe.close()
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


@record
class Processes:
    """So many processes of this machine, in the place of a cluster; `lost` says what a lost process leaves of its task.

    It is told of the task and of the exit status, which is negative for a signal.
    """

    threads: int
    lost: Callable[[Any, int], Any]

    def lost_by_now(self) -> int:
        """None: what becomes of one that ends is told as the answer to its task."""
        return 0

    def answers(
        self, work: Callable[[Any, T], Any], common: Any, tasks: Iterable[T], hold: Callable[[], bool] = bool
    ) -> Generator[tuple[T, Any, str]]:
        """(task, result of `work(common, task)`, "") as they come.

        Everything must be picklable. While `hold` says so, no more tasks are handed out.
        """
        hands: list[Hand] = []
        waiting = iter(tasks)
        try:
            while True:
                self.hand_out(waiting, hands, lambda: started(work, common), hold)
                busy = [hand for hand in hands if hand.pending]
                if not busy:
                    return
                for hand in heard(busy):
                    for task, result in hand.take():
                        yield task, result, ""
                    if hand.process.exitcode is not None:
                        hands.remove(hand)
                        yield hand.pending[0], self.lost(hand.pending[0], hand.process.exitcode), ""
                        hands += again(list(hand.pending)[1:], lambda: started(work, common))
        finally:
            for hand in hands:
                hand.end()

    def hand_out(
        self, waiting: Iterator[T], hands: list[Hand], start: Callable[[], Hand], hold: Callable[[], bool]
    ) -> None:
        """Give tasks to whoever has the least to do, to a new process if there may be more."""
        while not (any(hand.pending for hand in hands) and hold()):
            load = sum(len(hand.pending) for hand in hands)
            if load >= AHEAD * self.threads or (task := next(waiting, None)) is None:
                return
            if len(hands) < self.threads and all(hand.pending for hand in hands):
                hands.append(start())
            min(hands, key=lambda hand: len(hand.pending)).give(task)


def heard(hands: list[Hand]) -> list[Hand]:
    """Those that have said something, or ended."""
    by_pipe: dict[Any, Hand] = {hand.pipe: hand for hand in hands}
    while not (ready := wait(list(by_pipe), PULSE)):
        pass
    return [by_pipe[pipe] for pipe in ready]


def again(tasks: list[Any], start: Callable[[], Hand]) -> list[Hand]:
    """A new process for the other tasks of one that ended."""
    if not tasks:
        return []
    hand = start()
    for task in tasks:
        hand.give(task)
    return [hand]


def started(work: Callable[[Any, T], Any], common: Any) -> Hand:
    """A new process that does `work(common, task)` on each task."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, work, common), daemon=True)
    process.start()
    theirs.close()
    return Hand(process, ours)


def serve(pipe: Connection, work: Callable[[Any, Any], Any], common: Any) -> None:
    """A process's whole life. Ctrl-C reaches all processes of a console; the parent hears it, and its pipe ends."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else interrupt)
    tasks, busy = SimpleQueue[Any](), Event()
    with suppress(Interrupted, OSError):
        Thread(target=receive, args=(pipe, tasks, busy), daemon=True).start()
        for (task,) in iter(tasks.get, ()):
            busy.set()
            answer = work(common, task)
            busy.clear()
            pipe.send(answer)


def receive(pipe: Connection, tasks: SimpleQueue[Any], busy: Event) -> None:
    """Take tasks in; where the parent has gone, or stopped, one that is at work is stopped, too."""
    try:
        while True:
            tasks.put((pipe.recv(),))
    except (EOFError, OSError):
        tasks.put(())
        if busy.is_set():
            _thread.interrupt_main(signal.SIGTERM)
