"""How the outputs of a plane are cut into tiles: [start, stop) per axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from convcli.arithmetic.geometry import Geometry

Span = tuple[int, int]
Tile = tuple[Span, ...]
RUN = 4
"""Tiles beside which a rim goes on before it is cut."""


def tiles(axes: Sequence[Geometry], steps: Sequence[int]) -> Iterator[Tile]:
    """Tiles of at most `steps` outputs that cover all.

    >>> list(tiles([Geometry(5, 1)], [2]))
    [((0, 2),), ((2, 4),), ((4, 5),)]
    """
    return product(*(list(cut(0, axis.output, step)) for axis, step in zip(axes, steps, strict=True)))


def tiles_and_rims(axes: Sequence[Geometry], steps: Sequence[int]) -> Iterator[Tile]:
    """The same, but no tile reads both inside and outside the image: what reads padding are long thin rims.

    >>> list(tiles_and_rims([Geometry(6, 3, begin=1, end=1)], [3]))
    [((1, 4),), ((4, 5),), ((0, 1),), ((5, 6),)]
    """
    if not axes:
        yield ()
        return
    *outer, last = axes
    first, end = last.interior
    for span in cut(first, end, steps[-1]):
        for tile in tiles_and_rims(outer, steps[:-1]):
            yield (*tile, span)
    beside = [seams(axis, step, apart=True) for axis, step in zip(outer, steps, strict=False)]
    for start, stop in ((0, first), (end, last.output)):
        if start < stop:
            for spans in product(*beside):
                yield (*spans, (start, stop))


def seams(axis: Geometry, step: int, *, apart: bool) -> list[Span]:
    """The shortest stretches of the first axis that no tile crosses the ends of; `apart` as with rims.

    >>> seams(Geometry(5, 1), 2, apart=False)
    [(0, 2), (2, 4), (4, 5)]
    """
    if not apart:
        return list(cut(0, axis.output, step))
    first, end = axis.interior
    return list(pairwise([0, *range(first + RUN * step, end, RUN * step), axis.output]))


def cut(start: int, stop: int, step: int) -> Iterator[Span]:
    """[start, stop) in pieces of `step`."""
    for first in range(start, stop, step):
        yield first, min(first + step, stop)
