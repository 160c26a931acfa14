"""The process that jxrlib runs in: `decode BYTES` or `encode BYTES TYPE SHAPE LEVEL`, with data by standard streams.

It says when it is ready, then whether it is done, in a line each; then come pixels, below a line that tells what they
are, or a file. It has CPU time and memory for twenty times what such a picture usually takes, and no more.
"""

from __future__ import annotations

import sys
from typing import Any

import imagecodecs
import numpy as np

from convcli.system import bound_itself

SECONDS, SPEED = 3, 2**20  # and bytes of pixels in a second: a twentieth of what one core of 2024 does
ROOM, TIMES = 2**28, 4  # bytes, and as often the pixels


def main() -> None:
    """Do what the words say."""
    task, size, *more = sys.argv[1:]
    imagecodecs.jpegxr_version()  # its module is loaded now
    bound_itself(SECONDS + int(size) // SPEED, ROOM + TIMES * int(size))
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    data = sys.stdin.buffer.read()
    try:
        answer = decoded(data) if task == "decode" else encoded(data, *more)
    except MemoryError:
        out.write(b"memory\n")
        return
    except (RuntimeError, ValueError) as error:
        out.write(" ".join(f"{error or type(error).__name__}".split()).encode() + b"\n")
        return
    out.write(b"done\n")
    for part in answer:
        out.write(part)


def pixels_of(content: bytes) -> np.ndarray[Any, Any]:
    """The pixels of a file; bits as 0 and 255."""
    pixels = np.ascontiguousarray(imagecodecs.jpegxr_decode(content))
    return (pixels.view("u1") != 0) * np.uint8(255) if pixels.dtype == bool else pixels


def decoded(content: bytes) -> tuple[bytes, memoryview]:
    """A line about the pixels of a file, and they."""
    pixels = pixels_of(content)
    return f"{pixels.shape} {pixels.dtype}\n".encode(), pixels.data.cast("B")


def encoded(data: bytes, dtype: str, shape: str, level: str) -> tuple[bytes]:
    """A file of pixels."""
    pixels = np.frombuffer(data, dtype).reshape([int(size) for size in shape.split("x")])
    return (bytes(imagecodecs.jpegxr_encode(pixels, float(level) if level else None)),)


if __name__ == "__main__":
    main()
