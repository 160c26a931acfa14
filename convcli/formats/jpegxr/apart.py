"""jxrlib (imagecodecs) in a process of its own: damaged files make it crash, or run for ever.

What it does there is bounded in time and memory, and how it ends is an error of the file, not the end of this program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

import numpy as np

from convcli.errors import ConvError
from convcli.formats.codecs import codec
from convcli.formats.failures import corrupt
from convcli.formats.jpegxr.container import TITLE
from convcli.formats.pixels import Array, filled
from convcli.image import ImageInfo

NAME = "JPEGXR"
READY, DONE, MEMORY = b"ready\n", b"done\n", b"memory\n"
CRASHED = "the codec crashed, or came to no end"
CHILD = "convcli.formats.jpegxr.child"


@contextmanager
def process(*words: object, data: bytes | memoryview) -> Iterator[BinaryIO]:
    """What a process of the codec answers to words and data: nothing more where it crashed."""
    codec(NAME, TITLE)
    call = [sys.executable, "-P", "-m", CHILD, *map(str, words)]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(call, env=found, stdin=pipe, stdout=pipe, stderr=nowhere) as child:
        given, answer = cast(BinaryIO, child.stdin), cast(BinaryIO, child.stdout)
        try:
            if answer.readline() != READY:
                raise ConvError(f"the process that {TITLE} is decoded in did not start ({sys.executable})", "crashed")
            with suppress(BrokenPipeError):  # it ended; what it answered tells why
                given.write(data)
                given.close()
            yield answer
        finally:
            child.kill()
            with suppress(BrokenPipeError):
                given.close()


def refusal(answer: BinaryIO) -> str:
    """Why the codec did nothing, or `CRASHED`; empty where it is done. Raises MemoryError."""
    said = answer.readline()
    if said == MEMORY:
        raise MemoryError
    return "" if said == DONE else said.decode().strip() or CRASHED


def decoded(content: bytes, info: ImageInfo) -> Array:
    """The pixels of a file, which must be those of an image. Raises ConvError: corrupt, codec-missing; MemoryError."""
    dtype = np.dtype(info.dtype)
    with process("decode", info.nbytes, data=content) as answer:
        if reason := refusal(answer):
            raise corrupt(TITLE, reason)
        if (found := answer.readline().decode().strip()) != f"{info.shape} {info.dtype}":
            raise corrupt(TITLE, f"it decodes to {found}, not to {info.shape} {info.dtype}")
        return filled(answer, dtype, info.shape, TITLE)


def encoded(data: Array, level: float | None) -> bytes:
    """A file of pixels; `level` is 0 to 1, None for no loss."""
    words = ("encode", data.nbytes, data.dtype.name, "x".join(map(str, data.shape)), "" if level is None else level)
    with process(*words, data=data.data.cast("B")) as answer:
        if reason := refusal(answer):
            raise ConvError(f"could not be encoded as {TITLE} ({reason})", "write-failed")
        return answer.read()
