"""The three standard streams as programs are really started with them: closed, full, broken, unbuffered.

Standard output is a product: what cannot be written there is an error. Standard error only tells about it: what cannot
be written there is lost, and the work stands.
"""

from __future__ import annotations

import os
import stat
import sys
from _thread import allocate_lock  # threading takes milliseconds to import
from contextlib import contextmanager, suppress

from convcli.errors import ConvError, UsageError

TYPE_CHECKING = False  # typing's own takes a quarter of the instructions of `convcli --help`
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, TextIO

STREAM = "-"
"""What stands for standard input and output in place of a file's name."""
STANDARD_ERROR = 2
"""The descriptor that C code prints on."""


def open_closed_streams() -> None:
    """Put the null device where a standard stream is closed: no file may take its number, and all may print as ever."""
    for name, access, flag in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flag), access, closefd=False))


class Strays:
    """What libraries print on standard error by themselves, which nobody is to see.

    `ours` is the descriptor of this program's messages, once these have one of their own; until then nothing is muted,
    as in somebody else's program. `inside` are the threads that are in code which may print.
    """

    def __init__(self) -> None:
        self.ours, self.inside, self.lock = -1, 0, allocate_lock()

    def split(self) -> None:
        """Give the messages of this program a descriptor of their own."""
        with suppress(OSError, ValueError):
            self.ours = os.dup(STANDARD_ERROR)
            sys.stderr = os.fdopen(self.ours, "w", 1, sys.stderr.encoding, "backslashreplace")

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Nothing that C code prints in this block comes out; the messages of this program do, from all threads."""
        if self.ours < 0:
            yield
            return
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, step: int) -> None:
        """One thread more, or less: the first points standard error at the null device, the last opens it again."""
        with self.lock:
            before, self.inside = self.inside, self.inside + step
            if not before:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, STANDARD_ERROR)
                os.close(null)
            elif not self.inside:
                os.dup2(self.ours, STANDARD_ERROR)


STRAYS = Strays()


def say(*lines: str) -> None:
    """Print lines on standard error if that is possible; line breaks inside them, as in names, are made visible."""
    tell("".join(f"{visible(line)}\n" for line in lines))


def visible(text: str) -> str:
    """Control characters made visible, so that a row stays a row.

    >>> visible("a\\nb")
    'a\\\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def tell(text: str) -> None:
    """Write text on standard error, as it is, if that is possible."""
    try:
        print(text.encode("utf-8", "backslashreplace").decode(), end="", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        drop(sys.stderr)


def read_input() -> bytes:
    """All of standard input, which can be had once."""
    if sys.stdin.closed:
        raise UsageError("standard input can be read only once; name a file for the other", where=STREAM)
    with sys.stdin.buffer as stream:
        return stream.read()


def check_output() -> None:
    """Refuse a standard output that takes nothing."""
    if sys.__stdout__ is None:
        raise ConvError("standard output is closed; use -o FILE", "write-failed", where=STREAM)


@contextmanager
def binary_output() -> Iterator[BinaryIO]:
    """Standard output for pixels."""
    check_output()
    try:
        with os.fdopen(os.dup(1), "wb") as stream:  # sys.stdout, unbuffered, loses what a pipe does not take at once
            yield stream
    except OSError as error:
        error.filename = STREAM
        raise


def is_terminal(name: str) -> bool:
    """Whether what is written under a name, or to standard output, would come out on a terminal."""
    if name == STREAM:
        return sys.stdout.isatty()
    from convcli.system import opening

    try:
        if not stat.S_ISCHR(os.stat(name).st_mode):  # noqa: PTH116 -- opening a pipe would wait for its reader
            return False
        descriptor = os.open(name, os.O_WRONLY | opening("O_NOCTTY"))
    except (OSError, ValueError):
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


def drop(stream: TextIO) -> None:
    """Point a stream that failed at the null device, so that the interpreter's own flush at the end cannot fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
