"""The three standard streams as programs are really started with them: closed, full, broken, unbuffered.

Standard output is a product: what cannot be written there is an error. Standard error only tells about it: what cannot
be written there is lost, and the work stands.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO

from convcli.errors import ConvError, UsageError
from convcli.tables import visible

STREAM = "-"
"""What stands for standard input and output in place of a file's name."""


def open_closed_streams() -> None:
    """Put the null device where a standard stream is closed: no file may take its number, and all may print as ever."""
    for name, access, flag in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_WRONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flag), access, closefd=False))


def say(*lines: str) -> None:
    """Print lines on standard error if that is possible; line breaks inside them, as in names, are made visible."""
    tell("".join(f"{visible(line)}\n" for line in lines))


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


@contextmanager
def binary_output() -> Iterator[BinaryIO]:
    """Standard output for pixels."""
    if sys.__stdout__ is None:
        raise ConvError("standard output is closed; use -o FILE", "write-failed", where=STREAM)
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
    try:
        if not stat.S_ISCHR(os.stat(name).st_mode):  # noqa: PTH116 -- opening a pipe would wait for its reader
            return False
        descriptor = os.open(name, os.O_WRONLY | os.O_NOCTTY)
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
