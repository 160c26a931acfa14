"""How large an image may claim to be, judged before anything is allocated for it.

A header of 30 bytes can declare 40 gigabytes. What a file declares is held against three bounds: the number of samples,
the memory of the machine or its container, and what its compression can expand to.
"""

from __future__ import annotations

import os
from functools import cache
from math import prod
from pathlib import Path

from convcli.errors import ConvError
from convcli.image import ImageInfo

MOST_SAMPLES = 2**31
SMALL = 2**24  # bytes: an image below this is never called a bomb
DEFLATE_RATIO = 1100  # of PNG, ZIP: 258 bytes from 2 bits at best (1032), and the filter bytes
BZIP2_RATIO = 1_200_000  # a block of 900,000 bytes of run lengths, 255 in 5, from some 40 bytes
LZW_RATIO = 1500  # a table of 4094 strings, each one byte longer than one before
RUN_RATIO = 1500  # of run lengths, as in BMP: 255 pixels from 2 bytes, of 8 pixels a byte
UNBOUNDED_RATIO = 200_000  # ZSTD, LZMA, JPEG XL and the like: blocks of 128 KiB from a few bytes
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_declared(info: ImageInfo, most: int | None) -> None:
    """Refuse an image without pixels, or with more than may be allocated: `most` samples, else half of the memory."""
    check_some(info)
    samples = prod(info.shape)
    bound = min(MOST_SAMPLES, memory() // 2 // info.sample.size) if most is None else most
    if samples > bound:
        message = f"declares {times(info.shape)} = {samples:,} samples, more than {bound:,}; --max-pixels allows more"
        raise ConvError(message, "too-large")


def check_some(info: ImageInfo) -> None:
    """Refuse an image without pixels."""
    if 0 in info.shape:
        raise ConvError(f"holds no pixels: its size is {times(info.shape)}", "empty-image")


def check_ratio(declared: int, stored: int, ratio: int) -> None:
    """Refuse data that would have to expand more than its compression can."""
    if declared > SMALL and declared > stored * ratio:
        message = f"declares {declared:,} bytes of pixels in {stored:,} bytes, more than its compression can hold"
        raise ConvError(message, "bomb")


def times(shape: tuple[int, ...]) -> str:
    """A size as people write it.

    >>> times((480, 640, 3))
    '480 x 640 x 3'
    """
    return " x ".join(str(size) for size in shape)


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, or what its container or its limits leave."""
    import resource

    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    own = machine if soft == resource.RLIM_INFINITY else soft
    return min(machine, own, *(limit for path in CGROUP_LIMITS for limit in container_limit(Path(path))))


@cache
def container_limit(path: Path) -> tuple[int, ...]:
    """The number in a control group's file, if there is one."""
    try:
        text = path.read_text()
    except OSError:
        return ()
    return (int(text),) if text.strip().isdigit() else ()
