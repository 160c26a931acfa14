"""Several files at once where processes cannot be forked, as on Windows: by processes that start anew.

They are asked as a cluster's workers are, by values that travel. Whatever happens to one costs only the file it was at.
"""

from __future__ import annotations

import _thread
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, TypeVar

from convcli.records import record
from convcli.signals import STOPPING, Interrupted, interrupt, release_signals

T = TypeVar("T")
AHEAD = 2
"""Tasks that a process is given at a time: it need not wait for the next one."""
PATIENCE = 2.0
"""Seconds that a process has to clean up once it is told to stop."""
PULSE = 0.2
"""Seconds of silence after which one may look around."""


@record(frozen=False, eq=False)
class Hand:
    """A process, this end of its pipe, and the tasks that it has not answered yet.

    How many tasks it has `begun`, and whether it is `at_work` on the first one of them.
    """

    process: Any
    pipe: Connection
    pending: deque[Any] = field(default_factory=deque)
    begun: int = 0
    at_work: bool = False

    def give(self, task: Any) -> None:
        """Put a task into the pipe; that a process has ended meanwhile is found out when it is read from."""
        self.pending.append(task)
        with suppress(OSError):
            self.pipe.send(task)

    def take(self) -> list[tuple[Any, Any]]:
        """A task with what it has answered; nothing as it takes one up, or where it has ended: the pipe is closed then.

        Answers that it gave before it ended come first.
        """
        try:
            said: tuple[Any, ...] = self.pipe.recv()
        except (EOFError, OSError):
            self.pipe.close()
            return []
        self.at_work = not said
        self.begun += self.at_work
        return [(self.pending.popleft(), answer) for answer in said]

    @property
    def lost(self) -> list[Any]:
        """Of the tasks of one that has ended, that which is lost: which it was at, or its very first.

        One that it was given and has not begun is for another; of those that do not even start none goes to others
        for ever.
        """
        return list(self.pending)[: int(self.at_work or not self.begun)]


@record
class Processes:
    """So many processes of this machine, in the place of a cluster; `lost` says what a lost process leaves of its task.

    It is told of the task and of the exit status, which is negative for a signal. `clear` removes what a process of a
    number left of a task that it had no time to clear away itself.
    """

    threads: int
    lost: Callable[[Any, int], Any]
    clear: Callable[[Any, int], object]

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
                    if hand.pipe.closed:
                        hands.remove(hand)
                        self.end([hand])
                        hands += again(list(hand.pending)[len(hand.lost) :], lambda: started(work, common))
                        for task in hand.lost:
                            yield task, self.lost(task, hand.process.exitcode), ""
        except Interrupted:
            release_signals()  # what follows is the end that was asked for
            raise
        finally:
            self.end(hands)

    def end(self, hands: Sequence[Hand]) -> None:
        """Close the pipes, at which all stop at the same time, and wait for that, but not for long."""
        for hand in hands:
            hand.pipe.close()
        until = monotonic() + PATIENCE
        for hand in hands:
            hand.process.join(max(0.0, until - monotonic()))
            if hand.process.exitcode is None:
                hand.process.kill()
                hand.process.join()
            for task in hand.pending:  # also one that stopped by itself may not have got to it
                self.clear(task, hand.process.pid)

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
    """A process's whole life: it says () as it takes up a task, then (answer,).

    Ctrl-C reaches all processes of a console; the parent hears it, and its pipe ends."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else interrupt)
    tasks, duty = SimpleQueue[Any](), Duty()
    with suppress(Interrupted, OSError):
        Thread(target=receive, args=(pipe, tasks, duty), daemon=True).start()
        for (task,) in iter(tasks.get, ()):
            if not duty.begin():
                return
            pipe.send(())
            answer = work(common, task)
            duty.end()
            pipe.send((answer,))


class Duty:
    """Whether a task is at work: only then, and once, is the process's first thread stopped."""

    def __init__(self) -> None:
        self.lock, self.busy, self.over = Lock(), False, False

    def begin(self) -> bool:
        """A task is at work from now on; False where none is wanted any more."""
        with self.lock:
            self.busy = not self.over
        return self.busy

    def end(self) -> None:
        """It is done."""
        with self.lock:
            self.busy = False

    def stop(self) -> None:
        """No more tasks are wanted; what is at work is stopped as by a signal."""
        with self.lock:
            self.over = True
            if self.busy:
                _thread.interrupt_main(signal.SIGTERM)


def receive(pipe: Connection, tasks: SimpleQueue[Any], duty: Duty) -> None:
    """Take tasks in; where the parent has gone, or stopped, one that is at work is stopped, too."""
    try:
        while True:
            tasks.put((pipe.recv(),))
    except (EOFError, OSError):
        tasks.put(())
        duty.stop()
