"""Memory of images that are gone, kept for the next ones: fresh pages from the system take longer than small kernels.

When an array that was made here is gone, with all of its views, its memory waits for an array of about the same size.
What waits longest goes back to the system first, and all of it where the system has no more.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from math import prod
from sys import maxsize
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
SLACK = 4
"""The part of an array's size by which its memory may be larger."""
LINE = 64
"""Bytes of a line of the cache; an array begins with one."""


ARENAS = 2
M_ARENA_MAX = -8
"""The number of that parameter in glibc's malloc.h."""


def share_arenas() -> None:
    """Have threads from now on allocate from few arenas, not each from its own (glibc): others take what one frees."""
    if "CS_GNU_LIBC_VERSION" in os.confstr_names and os.confstr("CS_GNU_LIBC_VERSION"):
        from ctypes import CDLL

        CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


class Kept:
    """Blocks of memory that wait, the longest first. They come back at any time, in any thread: hence no lock."""

    def __init__(self, most: int = LARGEST) -> None:
        self.most = most
        self.waiting: dict[int, Array] = {}

    def take(self, size: int) -> Array:
        """A block of this size or a little more: the one that came last, or a new one."""
        for name, block in reversed(list(self.waiting.items())):
            if size <= block.nbytes <= size + size // SLACK and self.waiting.pop(name, None) is not None:
                return block
        try:
            return np.empty(size, np.uint8)
        except MemoryError:
            self.waiting.clear()
            return np.empty(size, np.uint8)

    def give(self, block: Array) -> None:
        """Let a block wait, and no more than there may be."""
        self.waiting[id(block)] = block
        self.trim()

    @contextmanager
    def limited(self, most: int) -> Iterator[None]:
        """A time in which no more may wait than so many bytes: what computes takes the rest of what it was given."""
        before, self.most = self.most, max(0, min(self.most, most))
        self.trim()
        try:
            yield
        finally:
            self.most = before

    def trim(self) -> None:
        """Let go what waits longest, until no more waits than there may."""
        waiting = list(self.waiting.items())
        left = sum(each.nbytes for _, each in waiting)
        for name, each in waiting:
            if left <= self.most:
                break
            self.waiting.pop(name, None)
            left -= each.nbytes


KEPT = Kept()


class Loan:
    """What an array stands on: it gives the block back when no view of it is left."""

    _give: Callable[[Array], None] | None = None  # where a signal ended what follows

    def __init__(self, block: Array, size: int, kept: Kept) -> None:
        first = -block.ctypes.data % LINE
        self.__array_interface__ = block[first : first + size].__array_interface__
        self._block, self._give = block, kept.give

    def __del__(self) -> None:
        if self._give:
            self._give(self._block)


def empty(shape: tuple[int, ...], dtype: DTypeLike, kept: Kept = KEPT) -> Array:
    """An array with any values in it, like that of `np.empty`."""
    size = prod(shape) * np.dtype(dtype).itemsize
    if size > maxsize:
        raise ConvError(f"{size:,} bytes are more than any memory holds; ask for fewer pixels", "too-large")
    if not SMALLEST <= size <= kept.most:
        return np.empty(shape, dtype)
    lent: Array = np.asarray(Loan(kept.take(size + LINE), size, kept))
    return lent.view(dtype).reshape(shape)
