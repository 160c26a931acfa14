"""How far the work is, in a line on a terminal that is written anew again and again; elsewhere nothing.

What an input takes is predicted, but not before it is known what there is to do, nor always well: so the line appears
by the clock. A thread of its own draws it, whatever the others are at: reading, one long tile, writing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from convcli.streams import tell, visible

PATIENCE = 1.0
"""Seconds that an input may take before a line shows how far it is."""
OFTEN = 0.2
"""Seconds from one look of the line to the next."""
BAR = 24
"""Columns of a whole bar."""
UNWRAPPED, WRAPPED = "\x1b[?7l", "\x1b[?7h"
"""What keeps a line to one row (DECAWM), though some characters are two columns wide."""
LONGEST_NAME = 40
"""Columns of an input's name."""


def is_shown(*, quiet: bool) -> bool:
    """True where somebody sees a line that is written over: on a terminal that can."""
    return not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def redraw(text: str) -> None:
    """Write a line in the place of the one before, no wider than the terminal; nothing clears it."""
    tell(f"\r\x1b[K{UNWRAPPED}{visible(text)[: columns() - 1]}{WRAPPED}" if text else "\r\x1b[K")


def columns() -> int:
    """How wide the terminal is."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def bar(share: float) -> str:
    """A share of the work, drawn.

    >>> bar(0.25)
    '[######------------------]  25 %'
    """
    full = int(BAR * share)
    return f"[{'#' * full}{'-' * (BAR - full)}] {100 * share:3.0f} %"


def duration(left: float) -> str:
    """
    >>> duration(7.2), duration(95), duration(7300)
    ('8 s', '1:35 min', '2:01 h')
    """
    whole = int(left) + 1 if left % 1 else int(left)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02} h"


class Progress:
    """How far one input is: what is done to it since when, and how many of its outputs are computed.

    `aside` gives what else there is to say, at any time and from another thread.
    """

    def __init__(self, name: str) -> None:
        self.name = name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"
        self.started = self.since = perf_counter()
        self.doing, self.total, self.done = "looking", 0, 0
        self.aside: Callable[[], str] = str

    def enter(self, doing: str, total: int = 0) -> None:
        """Go on to the next thing: reading, computing, writing; `total` outputs come of it, where that is known."""
        self.doing, self.total, self.done, self.since = doing, total, 0, perf_counter()

    def add(self, count: int) -> None:
        """So many outputs more are computed."""
        self.done += count

    @property
    def text(self) -> str:
        """The line: what is done, how far it is, for how long, and for how long still."""
        now = perf_counter()
        passed = f"{duration(int(now - self.started))}"
        if not self.total:
            return f"{self.name}: {self.doing}, {passed}{self.aside()}"
        share = min(1.0, self.done / self.total)
        left = f", {duration((now - self.since) * (1 - share) / share)} left" if share else ""
        return f"{self.name}: {self.doing} {bar(share)}, {passed}{left}{self.aside()}"


@contextmanager
def progress_of(name: str, *, quiet: bool) -> Iterator[Progress]:
    """The progress of an input, shown once it has taken a while, and gone at the end of the block."""
    progress = Progress(name)
    if not is_shown(quiet=quiet):
        yield progress
        return
    from threading import Event, Thread

    ended = Event()

    def draw() -> None:
        wait = PATIENCE
        while not ended.wait(wait):
            redraw(progress.text)
            wait = OFTEN
        if wait == OFTEN:
            redraw("")

    thread = Thread(target=draw, name="convcli progress", daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        ended.set()
        thread.join()
