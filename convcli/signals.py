"""Signals that unwind the program instead of cutting it off, so that temporary files are removed and a batch is told.

Python by itself does so for SIGINT alone. The first signal raises `Interrupted` wherever the program is, or at the end
of the import that it is in; a second one kills at once. What is ignored when the program starts, as SIGHUP under nohup,
stays ignored.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if name in vars(signal))
"""Those of them that the system has: Windows has no SIGHUP, and SIGBREAK of its own."""
ALARM = "setitimer" in vars(signal)
"""Whether the system can remind a program of a signal; Windows cannot."""
AGAIN = 0.5
"""Seconds until a stop is asked for anew: finalisers, and C code that calls Python, swallow exceptions."""
SOON = 0.001
"""Seconds from one look to the next whether an import has ended."""
IMPORTING = "importlib._bootstrap"
"""The module whose functions call all others while a module is imported."""


class Interrupted(BaseException):
    """A signal asked the program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """What a shell reports for a process that the signal ended."""
        return 128 + self.signal


def catch_signals() -> None:
    """From now on the signals raise `Interrupted`."""
    sys.unraisablehook = unraisable
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def release_signals() -> None:
    """From now on they kill again, and nothing is raised any more."""
    if ALARM:
        signal.setitimer(signal.ITIMER_REAL, 0)
    for number in STOPPING:
        if signal.getsignal(number) is interrupt:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def held() -> Iterator[None]:
    """A time in which signals wait: they stop the program at its end, so that what was begun can be cleared away.

    A second one kills, as ever. In other threads than the first nothing is raised anyway.
    """
    from threading import current_thread, main_thread  # loaded by whoever has something to hold signals for

    if current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    caught = [number for number in STOPPING if signal.getsignal(number) is interrupt]
    asked = ALARM and isinstance(signal.getsignal(signal.SIGALRM), Again)
    left = signal.setitimer(signal.ITIMER_REAL, 0)[0] if asked else 0
    for number in caught:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, interrupt)
        if left:
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
        if came:
            interrupt(came[0], None)


def raise_waiting() -> None:
    """Raise `Interrupted` now if a signal has come that was not raised yet, or was swallowed."""
    again = signal.getsignal(signal.SIGALRM) if ALARM else None
    if isinstance(again, Again) and signal.getitimer(signal.ITIMER_REAL)[0]:
        release_signals()
        raise Interrupted(again.number)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Signal handler: let the program stop, and see to it that it does.

    A module that is being imported is imported to its end: what is raised inside NumPy's C code comes out as an error
    of many lines that NumPy is broken. A file that the signal hits between being opened and being entered is closed by
    its finaliser: no fault to warn of.
    """
    release_signals()
    warnings.simplefilter("ignore", ResourceWarning)
    waits = ALARM and is_importing(frame)
    if ALARM:
        signal.signal(signal.SIGALRM, Again(number))
        signal.setitimer(signal.ITIMER_REAL, SOON if waits else AGAIN)
    if not waits:
        raise Interrupted(number)


class Again:
    """The handler of the alarm after a signal: the same once more."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, _alarm: int, frame: FrameType | None) -> None:
        """Stop as the signal asked."""
        interrupt(self.number, frame)


def is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported in this frame or in one that waits for it."""
    while frame is not None and frame.f_globals.get("__name__") != IMPORTING:
        frame = frame.f_back
    return frame is not None


def unraisable(lost: sys.UnraisableHookArgs) -> None:
    """What Python calls with an exception in a finaliser, where it ends: a stop is no fault there, and comes again."""
    if lost.exc_type is not Interrupted:
        sys.__unraisablehook__(lost)
