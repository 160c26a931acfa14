"""Repeated blocks of a long list, found and folded, so that a network of 150 layers fits on a page."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

LONGEST_BLOCK = 40


class Run(NamedTuple):
    """`length` rows from `start` on, `times` times in a row."""

    start: int
    length: int
    times: int

    def members(self, offset: int) -> list[int]:
        """The rows that one row of the block stands for.

        >>> Run(3, 2, 3).members(1)
        [4, 6, 8]
        """
        return [self.start + offset + round_ * self.length for round_ in range(self.times)]


def folded(keys: Sequence[Hashable]) -> list[Run]:
    """The list as runs, each the longest repetition that starts there, its blocks ending where the repetition ends.

    >>> [(run.start, run.length, run.times) for run in folded("xacbcbcd")]
    [(0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 2, 2), (7, 1, 1)]
    """
    runs: list[Run] = []
    start = 0
    while start < len(keys):
        run = longest(keys, start)
        runs += [Run(single, 1, 1) for single in range(start, run.start)] + [run]
        start = run.start + run.length * run.times
    return runs


def longest(keys: Sequence[Hashable], start: int) -> Run:
    """The run that covers most from there on; it may start a little later, by what is left over at its end."""
    runs = [Run(start, 1, 1)]
    for length in range(1, min(LONGEST_BLOCK, (len(keys) - start) // 2) + 1):
        rows = periodic_rows(keys, start, length)
        if rows >= 2 * length:
            runs.append(Run(start + rows % length, length, rows // length))
    return max(runs, key=lambda run: run.length * run.times)


def periodic_rows(keys: Sequence[Hashable], start: int, length: int) -> int:
    """How many rows from there on repeat what stood `length` rows before them, those first ones included."""
    end = start + length
    while end < len(keys) and keys[end] == keys[end - length]:
        end += 1
    return end - start
