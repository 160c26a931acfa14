"""How often samples have which values, counted part by part: the same numbers however an image is cut.

Bins are as wide as a power of two and begin at its multiples. So counts of parts add up: of two neighbouring bins one
of twice the width is made, until all values lie in few of them.
"""

from __future__ import annotations

from math import frexp, isfinite
from typing import Any

import numpy as np

from convcli.pictures.look import Bins
from convcli.records import record

Array = np.ndarray[Any, Any]
MOST = 256
"""Bins."""
MANTISSA, LEAST, MOST_POWER = 53, -1074, 1025
"""Bits of a float64; the powers of two that its least number is, and that no difference of two reaches."""


@record(frozen=False)
class Histogram:
    """Counts of bins 2**`power` wide, the first of which begins at `first` times that; those of integers are no
    narrower than 1.

    >>> counted = Histogram()
    >>> counted.add(np.array([0, 1, 1, 5]))
    >>> counted.add(np.array([512.0, np.nan]))
    >>> counted.power, counted.counts[:2].tolist(), len(counted.counts), counted.bins()["known"]
    (2, [3, 1], 129, 5)
    """

    name: str = ""
    power: int = 0
    first: int = 0
    counts: Array | None = None
    whole: bool = True

    def add(self, values: Array) -> None:
        """Count more values, of any type and shape; what is no number is left out."""
        if values.dtype.kind == "f":
            values, self.whole = values[np.isfinite(values)].astype(np.float64), False
        if values.size:
            self._make_room(values.min().item(), values.max().item())
            assert self.counts is not None
            places = _places(values, self.power, self.first)
            self.counts = self.counts + np.bincount(places.ravel(), minlength=len(self.counts))

    def _make_room(self, low: float, high: float) -> None:
        """Bins for all values between two, as narrow as may be."""
        power = least_power(low, high)
        if self.counts is None:
            self.power, self.first, self.counts = power, place(low, power), np.zeros(1, np.int64)
        power = max(power, self.power)
        while self._ends(low, high, power)[1] - self._ends(low, high, power)[0] >= MOST:
            power += 1
        first, last = self._ends(low, high, power)
        widened, step = np.zeros(last - first + 1, np.int64), power - self.power
        there = [((self.first + number) >> step) - first for number in range(len(self.counts))]
        np.add.at(widened, there, self.counts)
        self.power, self.first, self.counts = power, first, widened

    def _ends(self, low: float, high: float, power: int) -> tuple[int, int]:
        """The first and the last bin of all that is there and comes, if bins are so wide."""
        assert self.counts is not None
        step = power - self.power
        before, last = self.first >> step, (self.first + len(self.counts) - 1) >> step
        return min(before, place(low, power)), max(last, place(high, power))

    def bins(self) -> Bins:
        """The counts as plain data."""
        counts = [] if self.counts is None else self.counts.tolist()
        width, known = 2.0**self.power, sum(counts)
        first = self.first * width
        return Bins(name=self.name, first=first, width=width, counts=counts, known=known, whole=self.whole)


def least_power(low: float, high: float) -> int:
    """A power of two of which bins are never too wide for values from `low` to `high`."""
    if isinstance(low, int):
        return 0
    if low == high:  # as narrow as any that others may ask for
        return max(LEAST, frexp(low)[1] - MANTISSA) if low else LEAST
    return max(LEAST, (frexp(high - low)[1] if isfinite(high - low) else MOST_POWER) - MOST.bit_length())


def place(value: float, power: int) -> int:
    """The bin of a value: floor(value / 2**power), exactly.

    >>> place(-3, 1), place(0.75, -1), place(7, 0)
    (-2, 1, 7)
    """
    above, below = value.as_integer_ratio()
    return above // (below << power) if power >= 0 else (above << -power) // below


def _places(values: Array, power: int, first: int) -> Array:
    """The bins of values, counted from one of them."""
    if values.dtype.kind == "f":
        scaled = np.ldexp(values, -power)
        scaled[(scaled == 0) & (values < 0)] = -1  # too small for a number, but below 0
        found: Array = (np.floor(scaled) - float(first)).astype(np.intp)
        return found
    wide = values if values.dtype.itemsize == 8 else values.astype(np.int64)
    return ((wide >> power) - first).astype(np.intp)
