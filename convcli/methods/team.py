"""Threads that work on one tile. The engine has teams of several; here is the one that every method starts with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Alone:
    """A team of one thread."""

    size = 1

    def share(self, work: Callable[[slice], object], count: int) -> None:
        """Call `work` on slices of `count` things, together all of them."""
        work(slice(0, count))

    def together(self, work: Callable[[], T]) -> list[T]:
        """What `work` returns in each thread that comes to help."""
        return [work()]


ALONE = Alone()
