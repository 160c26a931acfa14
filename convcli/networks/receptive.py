"""Receptive fields: which input pixels an output depends on, exactly, also through transposed layers and branches.

Along an axis without ends, what output u sees repeats: `phases` outputs further, it is `step` pixels further. So a
field is one interval per phase. A layer's field follows from its input's: the interval of an output is the hull of the
intervals of what it reads. Where every layer is a convolution or a pooling there is one phase, and this is the forward
walk r += (K - 1) j, P += p0 j, j *= s of Araujo, Norris and Sim, distill.pub/2019/computing-receptive-fields.

Where branches meet whose patterns move at different speeds (a global pooling beside a convolution), no period holds for
both: their fields stay side by side, each is followed alone, and an output sees what it sees by any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations
from math import gcd, lcm
from typing import NamedTuple

from convcli.geometry.sizes import Axis

Interval = tuple[int, int]
"""First and last pixel, both counted."""

MAXIMUM_PHASES = 10_000


class Field(NamedTuple):
    """What each output of an axis sees: an interval for each output of one period, None where a hole sees nothing.

    A step of 0 means that every output sees the same: all that a global pooling saw. `others` are what the outputs see
    by paths of other speeds, `outputs` how many there are; it is said only beside others.
    """

    step: int = 1
    intervals: tuple[Interval | None, ...] = ((0, 0),)
    others: tuple[Field, ...] = ()
    outputs: int = 0

    @property
    def phases(self) -> int:
        """Outputs until the pattern repeats."""
        return len(self.intervals)

    @property
    def parts(self) -> tuple[Field, ...]:
        """One field for each speed, this one first."""
        return (self._replace(others=(), outputs=0), *self.others) if self.others else (self,)

    def at(self, position: int) -> Interval | None:
        """The pixels that an output sees.

        >>> Field(2, ((-1, 1),)).at(3), Field(2, ((-1, 1),), (Field(0, ((0, 7),)),), 4).at(3)
        ((5, 7), (0, 7))
        """
        if self.others:
            return around(part.at(position) for part in self.parts)
        rounds, phase = divmod(position, self.phases)
        interval = self.intervals[phase]
        return interval and (interval[0] + rounds * self.step, interval[1] + rounds * self.step)

    @property
    def extent(self) -> Interval:
        """The smallest and the largest receptive field over the phases, or over all outputs where there are others.

        >>> Field(2, ((-1, 1), None)).extent, Field(1, ((-1, 1),), (Field(0, ((0, 7),)),), 8).extent
        ((0, 3), (8, 9))
        """
        positions = telling(self) if self.others else range(self.phases)
        seen = [interval[1] - interval[0] + 1 if interval else 0 for interval in map(self.at, positions)]
        return min(seen), max(seen)

    @property
    def sees_all(self) -> bool:
        """True where every output sees what a global pooling saw."""
        return any(part.step == 0 for part in self.parts)

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
    Field(step=4, intervals=((-9, 9),), others=(), outputs=0)
    """
    if field.others:
        parts = [seen_through(part, axis) for part in field.parts]
        known = [part for part in parts if part]
        return union(known, axis.output) if len(known) == len(parts) else None
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


def union(fields: Iterable[Field], outputs: int) -> Field | None:
    """What each output of a join of branches sees, on an axis of so many outputs; None where that is too long to say.

    >>> union([Field(2, ((0, 0),)), Field(2, ((-1, 1),))], 8)
    Field(step=2, intervals=((-1, 1),), others=(), outputs=0)
    """
    speeds: dict[tuple[int, int], list[Field]] = {}
    for field in fields:
        for part in field.parts:
            speeds.setdefault(part.jump if part.step else (0, 1), []).append(part)
    parts = [merged(some) for some in speeds.values()]
    parts.sort(key=lambda part: part.step == 0)  # what moves comes first
    if lcm(*(part.phases for part in parts)) > MAXIMUM_PHASES:
        return None
    return parts[0]._replace(others=tuple(parts[1:]), outputs=outputs) if len(parts) > 1 else parts[0]


def merged(parts: list[Field]) -> Field:
    """Fields of one speed as one.

    >>> merged([Field(1, ((0, 1),)), Field(2, ((-1, 1), (0, 2)))]).intervals
    ((-1, 1), (0, 2))
    """
    phases = lcm(*(part.phases for part in parts))
    intervals = tuple(around(part.at(u) for part in parts) for u in range(phases))
    if parts[0].step == 0 and len(set(intervals)) == 1:
        return Field(0, intervals[:1])
    return Field(parts[0].step * phases // parts[0].phases, intervals)


def telling(field: Field) -> Iterator[int]:
    """The outputs of which one sees least, and one most, where paths of several speeds meet.

    Over the rounds of the common period every end moves evenly, so what an output sees is a convex function of the
    round: largest in the first or the last one, smallest there or beside a round in which two ends cross.
    """
    period = lcm(*(part.phases for part in field.parts))
    for phase in range(min(period, field.outputs)):
        last = (field.outputs - 1 - phase) // period
        ends = [part.at(phase) for part in field.parts]
        speeds = [part.step * period // part.phases for part in field.parts]
        lines = [(end, speed) for end, speed in zip(ends, speeds, strict=True) if end]
        rounds = {0, last, *crossings([(end[0], speed) for end, speed in lines])}
        rounds |= {*crossings([(end[1], speed) for end, speed in lines])}
        yield from (phase + period * each for each in sorted(rounds) if 0 <= each <= last)


def crossings(lines: list[tuple[int, int]]) -> Iterator[int]:
    """The rounds before and after two of several values, (start, speed), become equal.

    >>> list(crossings([(0, 0), (-3, 2)]))
    [1, 2]
    """
    for (a, fast), (b, slow) in combinations(lines, 2):
        if fast != slow:
            before = (b - a) // (fast - slow)
            yield from (before, before + 1)


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
    if len({tuple(end_of(part, u) for u in range(phases)) for part in parts}) == 1:
        return None  # causal: no path sees further ahead than another
    centres = [mean_centre(part, phases) for part in parts if part.centre[1]]
    apart = max(centres) - min(centres) if centres else 0
    return ("centres", f"{apart:g} px") if apart else None


def end_of(field: Field, position: int) -> int | None:
    """The last pixel that an output sees."""
    interval = field.at(position)
    return interval and interval[1]


def mean_centre(field: Field, phases: int) -> float:
    """The mean centre over a number of outputs, in pixels."""
    rounds = phases // field.phases
    total, count = field.centre
    return total / count / 2 + field.step * (rounds - 1) / 2
