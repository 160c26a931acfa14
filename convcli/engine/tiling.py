"""How the outputs of a plane are cut into tiles: [start, stop) per axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from convcli.geometry.axis import Geometry
from convcli.records import record

Span = tuple[int, int]
Tile = tuple[Span, ...]


@record
class Task:
    """One tile of one plane: where in the loops, and [start, stop) of the outputs per spatial axis."""

    loop: tuple[int, ...]
    tile: Tile

    @property
    def shape(self) -> tuple[int, ...]:
        """Outputs per spatial axis."""
        return tuple(stop - start for start, stop in self.tile)


def tiles(axes: Sequence[Geometry], steps: Sequence[int]) -> Iterator[Tile]:
    """Tiles of at most `steps` outputs that cover all.

    >>> list(tiles([Geometry(5, 1)], [2]))
    [((0, 2),), ((2, 4),), ((4, 5),)]
    """
    return product(*(list(cut(0, axis.output, step)) for axis, step in zip(axes, steps, strict=True)))


def cut(start: int, stop: int, step: int) -> Iterator[Span]:
    """[start, stop) in pieces of `step`."""
    for first in range(start, stop, step):
        yield first, min(first + step, stop)
