"""Rows of a PNG: bytes as what the pixels to the left and above leave open, and back.

Compiled code does it; without it rows are predicted by NumPy, and not restored here: each byte needs the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from convcli import native
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array

SUB = 1
"""The pixel to the left: a prediction that costs nearly nothing."""
BEST = -1
"""The one of the five that leaves the least in a row: the least sum of what is left, read as -128 to 127."""


def predicted(rows: Array, above: Array, pixel: int, kind: int) -> Array:
    """Rows (rows, size) of bytes as (rows, size + 1): the kind of prediction, and what it leaves.

    `above` (size,) is the row before the first, zeros at the top; `pixel` the bytes of a pixel.
    """
    target = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    if native.ROWS:
        native.predict(np.ascontiguousarray(rows), np.ascontiguousarray(above), pixel, kind, target)
    elif kind == BEST:
        choose(list(left_over(rows, above, pixel)), target)
    else:
        target[:, 0], target[:, 1:] = kind, next(islice(left_over(rows, above, pixel), kind, None))
    return target


def left_over(rows: Array, above: Array, pixel: int) -> Iterator[Array]:
    """What each kind of prediction leaves: none, left, above, their mean, and Paeth's."""
    up = np.concatenate([above[None], rows[:-1]])
    left, corner = (np.pad(values, ((0, 0), (pixel, 0)))[:, :-pixel] for values in (rows, up))
    yield rows
    yield rows - left
    yield rows - up
    yield rows - ((left.astype(np.int16) + up) >> 1).astype(np.uint8)
    yield rows - paeth(left, up, corner)


def paeth(left: Array, up: Array, corner: Array) -> Array:
    """Of left, above and corner, the one nearest to left + above - corner; of equals the first."""
    down, along = up.astype(np.int16) - corner, left.astype(np.int16) - corner
    from_left, from_up, from_corner = abs(down), abs(along), abs(down + along)
    nearest = (from_left <= from_up) & (from_left <= from_corner)
    return np.where(nearest, left, np.where(from_up <= from_corner, up, corner))


def choose(candidates: list[Array], target: Array) -> None:
    """Put the candidate into each row that leaves the least; of equals the first."""
    sums = [abs(candidate.view(np.int8).astype(np.int16)).sum(axis=1) for candidate in candidates]
    target[:, 0] = np.argmin(sums, axis=0)
    for kind, candidate in enumerate(candidates):
        chosen = target[:, 0] == kind
        target[chosen, 1:] = candidate[chosen]


def restore(content: bytes, above: Array, pixel: int, rows: Array) -> None:
    """Fill `rows` (rows, size) from what prediction left of them; the compiled code is needed."""
    if not native.restore(content, above, pixel, rows):
        raise corrupt("PNG", "bad adaptive filter value")
