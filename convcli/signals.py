"""Signals that unwind the program instead of cutting it off, so that temporary files are removed and a batch is told.

Python by itself does so for SIGINT alone. The first signal raises `Interrupted` wherever the program is; a second one
kills at once. What is ignored when the program starts, as SIGHUP under nohup, stays ignored.
"""

from __future__ import annotations

import signal
import sys
import warnings
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN = 0.5
"""Seconds until a stop is asked for anew: finalisers, and C code such as NumPy's when imported, swallow exceptions."""


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
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in STOPPING:
        if signal.getsignal(number) is interrupt:
            signal.signal(number, signal.SIG_DFL)


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Signal handler: let the program stop, and see to it that it does.

    A file that it hits between being opened and being entered is closed by its finaliser: no fault to warn of.
    """
    release_signals()
    warnings.simplefilter("ignore", ResourceWarning)
    signal.signal(signal.SIGALRM, lambda _number, frame: interrupt(number, frame))
    signal.setitimer(signal.ITIMER_REAL, AGAIN)
    raise Interrupted(number)


def unraisable(lost: sys.UnraisableHookArgs) -> None:
    """What Python calls with an exception in a finaliser, where it ends: a stop is no fault there, and comes again."""
    if lost.exc_type is not Interrupted:
        sys.__unraisablehook__(lost)
