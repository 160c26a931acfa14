"""Receptive fields: which input pixels an output depends on, exactly, also through transposed layers and branches.

Along an axis without ends, what output u sees repeats: `phases` outputs further, it is `step` pixels further. So a
field is one interval per phase. A layer's field follows from its input's: the interval of an output is the hull of the
intervals of what it reads. Where every layer is a convolution or a pooling there is one phase, and this is the forward
walk r += (K - 1) j, P += p0 j, j *= s of Araujo, Norris and Sim, distill.pub/2019/computing-receptive-fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import gcd, lcm
from typing import NamedTuple

from convcli.geometry.sizes import Axis

Interval = tuple[int, int]
"""First and last pixel, both counted."""

MAXIMUM_PHASES = 10_000


class Field(NamedTuple):
    """What each output of an axis sees: an interval for each output of one period, None where a hole sees nothing.

    A step of 0 means that every output sees the same: all that a global pooling saw.
    """

    step: int = 1
    intervals: tuple[Interval | None, ...] = ((0, 0),)

    @property
    def phases(self) -> int:
        """Outputs until the pattern repeats."""
        return len(self.intervals)

    def at(self, position: int) -> Interval | None:
        """The pixels that an output sees.

        >>> Field(2, ((-1, 1),)).at(3)
        (5, 7)
        """
        rounds, phase = divmod(position, self.phases)
        interval = self.intervals[phase]
        return interval and (interval[0] + rounds * self.step, interval[1] + rounds * self.step)

    @property
    def extent(self) -> Interval:
        """The smallest and the largest receptive field over the phases.

        >>> Field(2, ((-1, 1), None)).extent
        (0, 3)
        """
        sizes = [interval[1] - interval[0] + 1 if interval else 0 for interval in self.intervals]
        return min(sizes), max(sizes)

    @property
    def jump(self) -> tuple[int, int]:
        """Input pixels from one output to the next, on average, as a fraction in lowest terms.

        >>> Field(4, ((0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3))).jump
        (2, 3)
        """
        divisor = gcd(self.step, self.phases)
        return self.step // divisor, self.phases // divisor

    @property
    def centre(self) -> tuple[int, int]:
        """Twice the mean centre over one period, as (sum, count); holes count nothing."""
        seen = [interval for interval in self.intervals if interval]
        return sum(map(sum, seen)), len(seen)


@lru_cache(maxsize=4096, typed=True)  # axes of two kinds may hold the same numbers
def seen_through(field: Field, axis: Axis) -> Field | None:
    """The field of a layer's outputs, from the field of its inputs; None where the pattern is too long to follow.

    >>> from convcli.geometry.axis import Geometry
    >>> seen_through(Field(4, ((-5, 5),)), Geometry(56, 3, begin=1, end=1))
    Field(step=4, intervals=((-9, 9),))
    """
    outputs, inputs = axis.period
    rounds = field.phases // gcd(field.phases, inputs)  # of the axis, until the pattern of its input repeats too
    if rounds * outputs > MAXIMUM_PHASES:
        return None
    step = field.step * (rounds * inputs // field.phases)
    return Field(step, tuple(hull(field, axis.reads(u)) for u in range(rounds * outputs)))


def hull(field: Field, reads: range) -> Interval | None:
    """The interval of all that a range of positions sees.

    The pattern repeats after `phases` members, so the first ones hold the smallest pixel and the last ones the largest.
    """
    first = [interval for x in reads[: field.phases] if (interval := field.at(x))]
    last = [interval for x in reads[-field.phases :] if (interval := field.at(x))]
    return (min(a for a, _ in first), max(b for _, b in last)) if first else None


def union(fields: Iterable[Field], size: int) -> Field:
    """What each output of a join of branches sees, on an axis of `size` outputs.

    Where the branches have no common period, or one sees everything, the outputs that exist are followed.

    >>> union([Field(2, ((0, 0),)), Field(2, ((-1, 1),))], 8)
    Field(step=2, intervals=((-1, 1),))
    """
    parts = tuple(fields)
    if any(part.step == 0 for part in parts):
        return Field(0, (around(part.at(u) for part in parts for u in (0, size - 1)),))
    phases = lcm(*(part.phases for part in parts))
    if len({part.jump for part in parts}) > 1 or phases > MAXIMUM_PHASES:
        phases = min(size, MAXIMUM_PHASES)
    step = max(-(-part.step * phases // part.phases) for part in parts)
    return Field(step, tuple(around(part.at(u) for part in parts) for u in range(phases)))


def around(intervals: Iterable[Interval | None]) -> Interval | None:
    """The smallest interval around several.

    >>> around([(0, 3), None, (-1, 2)])
    (-1, 3)
    """
    seen = [interval for interval in intervals if interval]
    return (min(a for a, _ in seen), max(b for _, b in seen)) if seen else None


def misaligned(fields: Iterable[Field]) -> tuple[str, str] | None:
    """What the paths of a join differ in, strides or centres, and by how much; None where they agree.

    >>> misaligned([Field(2, ((0, 0),)), Field(2, ((0, 1),))])
    ('centres', '0.5 px')
    """
    parts = tuple(part for part in fields if part.step)
    if len({part.jump for part in parts}) > 1:
        return "strides", ""
    phases = lcm(*(part.phases for part in parts))
    centres = [mean_centre(part, phases) for part in parts if part.centre[1]]
    apart = max(centres) - min(centres) if centres else 0
    return ("centres", f"{apart:g} px") if apart else None


def mean_centre(field: Field, phases: int) -> float:
    """The mean centre over a number of outputs, in pixels."""
    rounds = phases // field.phases
    total, count = field.centre
    return total / count / 2 + field.step * (rounds - 1) / 2
