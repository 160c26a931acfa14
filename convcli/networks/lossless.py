"""The input sizes of which a network reads every column."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.geometry.sizes import Whole
from convcli.networks.network import Network, Shape
from convcli.networks.rules import Rules
from convcli.networks.trace import Step, steps_of
from convcli.networks.trials import along, cube, drops_nothing, largest_useful

SHOWN = 8
"""Sizes that are listed; the rule says the rest."""


class Sizes(NamedTuple):
    """The smallest lossless sizes of one axis, and the rule they follow ("" where the listed ones show none)."""

    smallest: tuple[int, ...]
    rule: str

    def nearest(self, size: int) -> tuple[int, ...]:
        """The lossless sizes around a size, by the distance that the listed ones keep.

        >>> Sizes((188, 204, 220), "16 m + 124").nearest(570)
        (556, 572)
        """
        first, step = self.smallest[0], self.smallest[-1] - self.smallest[-2]
        below = first + (size - first) // step * step
        return tuple(n for n in sorted({below, below if below == size else below + step}) if n >= first)


def lossless_sizes(network: Network, shape: Shape, rules: Rules, axis: int) -> Sizes:
    """The sizes of one axis of the input of which no layer drops a column.

    >>> from convcli.networks.notation import parse
    >>> lossless_sizes(parse("conv7-64/2p3 max3/2p1"), Shape(3, (224, 224)), Rules(), 0)
    Sizes(smallest=(1, 5, 9, 13, 17, 21, 25, 29), rule='4 m - 3')
    """
    if any(layer.kind == "input" for layer in network.words()):
        raise UsageError("has several inputs, whose sizes depend on each other; --inputs is for one", "shape")
    alone = along(network, axis)
    limit = largest_useful(network, 2 * SHOWN)
    found = list(islice(lossless(alone, shape, rules, limit), SHOWN))
    if len(found) < 2:
        raise UsageError(f"no input up to {limit} is read whole; some layer always drops a column", "shape")
    return Sizes(tuple(size for size, _ in found), rule(found))


def lossless(network: Network, shape: Shape, rules: Rules, limit: int) -> Iterator[tuple[int, int]]:
    """Sizes that drop nothing, each with the size of the narrowest map that it leads to."""
    for size in range(1, limit + 1):
        narrowest = narrowest_map(network, cube(shape, size), rules)
        if narrowest:
            yield size, narrowest


def narrowest_map(network: Network, shape: Shape, rules: Rules) -> int:
    """The size of the narrowest map on the way; 0 where a column is dropped or a layer does not fit."""
    narrowest = shape.spatial[0]
    try:
        for step in steps_of(network, shape, rules):
            if not drops_nothing(step):
                return 0
            if is_map(step):
                narrowest = min(narrowest, step.output.spatial[0])
    except UsageError:
        return 0
    return narrowest


def is_map(step: Step) -> bool:
    """True for what keeps an extent of its own, and does not shrink to one number."""
    return bool(step.output.spatial) and not any(isinstance(axis, Whole) for axis in step.applied.axes)


def rule(found: list[tuple[int, int]]) -> str:
    """What the sizes have in common, m being the narrowest map where it grows by one.

    >>> rule([(188, 4), (204, 5), (220, 6)]), rule([(7, 1), (9, 1), (11, 1)])
    ('16 m + 124', '2 m + 1')
    """
    steps = {b - a for (a, _), (b, _) in pairwise(found)}
    step, (size, narrowest) = min(steps), found[0]
    if len(steps) > 1 or step == 1:
        return "" if len(steps) > 1 else f"every size from {size}"
    grows = all(b - a == 1 for (_, a), (_, b) in pairwise(found))
    rest = size - step * narrowest if grows else size % step
    return f"{step} m {'-' if rest < 0 else '+'} {abs(rest)}" if rest else f"{step} m"
