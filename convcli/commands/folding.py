"""Repeated blocks of a long list, found and folded, so that a network of 150 layers fits on a page."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

LONGEST_BLOCK = 40


@dataclass(frozen=True)
class Run:
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
    """The list as runs, each the longest repetition that starts there.

    >>> folded("abcbcbcd")
    [Run(start=0, length=1, times=1), Run(start=1, length=2, times=3), Run(start=7, length=1, times=1)]
    """
    runs, start = [], 0
    while start < len(keys):
        lengths = range(1, min(LONGEST_BLOCK, (len(keys) - start) // 2) + 1)
        candidates = [Run(start, length, repetitions(keys, start, length)) for length in lengths]
        repeated = [run for run in candidates if run.times > 1]
        runs.append(max(repeated, key=lambda run: run.length * run.times, default=Run(start, 1, 1)))
        start += runs[-1].length * runs[-1].times
    return runs


def repetitions(keys: Sequence[Hashable], start: int, length: int) -> int:
    """How often the block that starts there stands in a row."""
    block, times = keys[start : start + length], 1
    while keys[start + times * length : start + (times + 1) * length] == block:
        times += 1
    return times
