"""Scales of charts: from a number to a place, linear or logarithmic, and the axes with round numbers along them."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, log10
from typing import NamedTuple

from convcli.pictures.drawing import Line, Shape, Text

STEPS = (1, 2, 2.5, 5, 10)
"""What steps between ticks are, times a power of ten."""

DECADES = 2.5
"""Powers of ten up to which a logarithmic scale has numbers between them."""

NEAR = 1e-5
"""Steps that an end may be short of a round number, and still has its tick."""


class Scale(NamedTuple):
    """Numbers from `low` to `high` along a line from `start` to `stop`, which may lead upwards or backwards."""

    low: float
    high: float
    start: float
    stop: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Where a number is; what is beyond an end is beyond the line.

        >>> Scale(0, 4, 100, 200).at(1), Scale(1, 100, 0, 10, True).at(10)
        (125.0, 5.0)
        """
        low, high, value = (log10(each) if self.is_log else each for each in (self.low, self.high, value))
        return self.start + (self.stop - self.start) * (value - low) / (high - low)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers on the scale, in order: at most `most` of them; or powers of ten, and 2 and 5 times these.

        >>> Scale(0, 4, 0, 1).ticks(), Scale(0.5, 2000, 0, 1, True).ticks(), Scale(0.5, 20, 0, 1, True).ticks()
        ([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 10.0, 100.0, 1000.0], [0.5, 1.0, 2.0, 5.0, 10.0, 20.0])
        """
        if self.is_log:
            every = [10.0**power for power in range(floor(log10(self.low)), ceil(log10(self.high)))]
            few = log10(self.high / self.low) < DECADES
            found = [power * step for power in every for step in ((1, 2, 5) if few else (1,))]
            return [tick for tick in found if self.low <= tick <= self.high]
        step = round_step((self.high - self.low) / (most - 1))
        first, last = ceil(self.low / step - NEAR), floor(self.high / step + NEAR)
        return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def axes(across: Scale, up: Scale, names: tuple[str, str], most: int = 6) -> Iterator[Shape]:
    """A grid of round numbers, with what the two axes are: the one below, the other above its numbers."""
    left, right = across.start, across.stop
    bottom, top = max(up.start, up.stop), min(up.start, up.stop)
    for tick in up.ticks(most):
        y = up.at(tick)
        yield Line(((left, y), (right, y)), "line" if tick == up.low else "panel")
        yield Text(left - 6, y + 3.5, f"{tick:,g}", 10, "faint", "end")
    for tick in across.ticks(most):
        x = across.at(tick)
        yield Line(((x, bottom), (x, bottom + 4)), "line")
        yield Text(x, bottom + 16, f"{tick:,g}", 10, "faint", "middle")
    yield Line(((left, bottom), (right, bottom)), "line")
    yield Text((left + right) / 2, bottom + 32, names[0], 11, "faint", "middle")
    yield Text(left, top - 8, names[1], 11, "faint")


def round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is no smaller.

    >>> round_step(0.3), round_step(7), round_step(0.02)
    (0.5, 10.0, 0.02)
    """
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in STEPS if step * power >= least * (1 - 1e-9))


def shortened(text: str, most: int) -> str:
    """A text of so many characters at most, its beginning left out: the end of a name tells nodes apart.

    >>> shortened("/layer1/layer1.0/conv1/Conv", 12), shortened("conv1", 12)
    ('...onv1/Conv', 'conv1')
    """
    return text if len(text) <= most else f"...{text[len(text) - most + 3 :]}"


def begun(text: str, most: int) -> str:
    """A text of so many characters at most, its end left out.

    >>> begun("3@224x224 conv7-64/2p3", 12)
    '3@224x224...'
    """
    return text if len(text) <= most else f"{text[: most - 3]}..."
