"""Memory of images that are gone, kept for the next ones: fresh pages from the system take longer than small kernels.

When an array that was made here is gone, with all of its views, its memory waits for an array of about the same size.
What waits longest goes back to the system first, and all of it where the system has no more.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from math import prod
from sys import maxsize
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from convcli.errors import ConvError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike

Array = np.ndarray[Any, Any]
SMALLEST = 2**18
"""Bytes of an array from which its memory is kept: that of smaller ones the allocator keeps."""
LARGEST = 2**27
"""Bytes that wait, at most."""
STEPS = 4
"""Sizes of blocks between a power of two and the next: what is a little larger or smaller has one of the same size."""
LINE = 64
"""Bytes of a line of the cache; an array begins with one."""


ARENAS = 2
SPARE = 2**25
"""Bytes of a block up to which the allocator keeps it, and of all that it keeps at the end of an arena, about."""
ALLOCATOR = {"M_TRIM_THRESHOLD": (-1, SPARE), "M_MMAP_THRESHOLD": (-3, SPARE), "M_ARENA_MAX": (-8, ARENAS)}
"""Parameters of glibc's malloc.h: their numbers there, and values. Transforms of tiles take and free some MB each time:
of a volume of 256 MB, 630,000 fresh pages were 14,000 with these (AMD EPYC, December 2026)."""


def tell_allocator() -> None:
    """Have threads from now on allocate from few arenas, not each from its own (glibc): others take what one frees.

    And have what tiles take for a moment be kept for the next tile, rather than go back to the system in between.
    """
    if "CS_GNU_LIBC_VERSION" in os.confstr_names and os.confstr("CS_GNU_LIBC_VERSION"):
        from ctypes import CDLL

        for number, value in ALLOCATOR.values():
            CDLL(None).mallopt(number, value)


def rounded(size: int) -> int:
    """The size of the block for so many bytes; pages that nobody writes to take no memory.

    >>> [rounded(size) for size in (1000, 1024, 1025, 1300)]
    [1024, 1024, 1280, 1536]
    """
    step = (1 << (size - 1).bit_length()) // (2 * STEPS)
    return -(-size // step) * step


class Kept:
    """Blocks of memory that wait, the longest first. They come back at any time, in any thread: hence no lock.

    But for the count of works that recur, which begin and end outside of any deallocation.
    """

    def __init__(self, most: int = LARGEST) -> None:
        self.most, self.turning, self.peak = most, 0, 0
        self.counting = Lock()
        self.waiting: dict[int, Array] = {}
        self.lent: dict[int, int] = {}

    def take(self, size: int) -> Array:
        """A block of this size: the one that came last, or a new one."""
        for name, block in reversed(list(self.waiting.items())):
            if block.nbytes == size and self.waiting.pop(name, None) is not None:
                return block
        self.trim(size)
        try:
            return np.empty(size, np.uint8)
        except MemoryError:
            self.waiting.clear()
            return np.empty(size, np.uint8)

    def lend(self, block: Array) -> None:
        """Count a block that is in use from now on."""
        self.lent[id(block)] = block.nbytes
        self.peak = max(self.peak, self.used)

    def give(self, block: Array) -> None:
        """Let a block wait, and no more than there may be."""
        self.lent.pop(id(block), None)
        self.waiting[id(block)] = block
        self.trim()

    @property
    def used(self) -> int:
        """Bytes that are in use."""
        return sum(list(self.lent.values()))

    def keeps(self, size: int) -> bool:
        """Whether memory of a size is kept."""
        return size >= SMALLEST and (self.turning > 0 or size <= self.most)

    def begin(self) -> None:
        """From now on work recurs, such as box after box: what one turn used, however much, waits for the next one.

        What waits and what is in use are together no more than what was in use at a time.
        """
        with self.counting:
            if not self.turning:
                self.peak = self.used
            self.turning += 1

    def end(self) -> None:
        """Such work is done."""
        with self.counting:
            self.turning -= 1
        self.trim()

    @contextmanager
    def recurring(self) -> Iterator[None]:
        """A time in which work recurs."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def trim(self, more: int = 0) -> None:
        """Let go what waits longest, until no more waits than there may, with so many bytes more in use."""
        room = self.peak - self.used if self.turning else self.most
        waiting = list(self.waiting.items())
        left = sum(each.nbytes for _, each in waiting) + more
        for name, each in waiting:
            if left <= room:
                break
            self.waiting.pop(name, None)
            left -= each.nbytes


KEPT = Kept()


class Loan:
    """What an array stands on: it gives the block back when no view of it is left."""

    _give: Callable[[Array], None] | None = None  # where a signal ended what follows

    def __init__(self, block: Array, shape: tuple[int, ...], dtype: np.dtype[Any], kept: Kept) -> None:
        place: int = block.__array_interface__["data"][0]
        first = place + -place % LINE, False
        self.__array_interface__ = {"data": first, "shape": shape, "typestr": dtype.str, "version": 3}
        self._block, self._give = block, kept.give
        kept.lend(block)

    def __del__(self) -> None:
        if self._give:
            self._give(self._block)


def empty(shape: tuple[int, ...], dtype: DTypeLike, kept: Kept = KEPT) -> Array:
    """An array with any values in it, like that of `np.empty`."""
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    if size > maxsize:
        raise ConvError(f"{size:,} bytes are more than any memory holds; ask for fewer pixels", "too-large")
    if not kept.keeps(size):
        return np.empty(shape, kind)
    return np.asarray(Loan(kept.take(rounded(size) + LINE), shape, kind, kept))
