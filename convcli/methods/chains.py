"""Which passes a separable kernel takes, and which of them one call makes while a strip of the image is in a cache."""

from __future__ import annotations

from math import prod

from convcli.geometry.problem import Problem
from convcli.methods.passes import folds
from convcli.native.passes import AVAILABLE

STRIP, RING, AGAIN = 144, 2**16, 6
"""Columns of the narrowest strip, values of its rows under a kernel (native/direct.c), and taps' worth of what the halo
of its rows may cost at an output: beyond, passes of their own are faster (2026-11)."""
LARGE = 2**16
"""Results of a slice from which a call for each is worth a pass that is saved."""
DEEP = 33
"""Slices under a kernel up to which their pass is made with those of rows and columns: more drive each other out of the
cache (2026-12)."""
COVERED = 2
"""How many times an axis a kernel may cover where all its taps are faster than the product with a matrix (2026-12)."""


def places(problem: Problem) -> list[int]:
    """The axes along which there is anything to do: one at least."""
    busy = [
        place
        for place, axis in enumerate(problem.axes)
        if (axis.kernel, axis.stride, axis.begin, axis.end) != (1, 1, 0, 0)
    ]
    return busy or [len(problem.axes) - 1]


def in_strips(problem: Problem) -> bool:
    """Whether the last two passes are one, over strips that stay in the cache, at each of which the halo of the rows is
    computed anew: of short kernels, in float32, of terms that read the same.
    """
    down, along = problem.axes[-2:]
    if problem.itemsize == 8 or places(problem)[-2:] != [len(problem.axes) - 2, len(problem.axes) - 1]:
        return False
    if len(places(problem)) > 2 and ((problem.rank or 1) > 1 or down.output * along.output < LARGE):
        return False
    if any(is_matrix(problem, place) for place in places(problem)[-2:]):
        return False
    wide = min(along.output, max(STRIP, RING // down.extent))
    return down.kernel * (along.extent - 1) <= AGAIN * max(1, wide)


def at_once(problem: Problem) -> list[int]:
    """The axes whose passes are made at once in float64, those of one product of vectors; none where they are not."""
    busy = [place for place in places(problem) if len(problem.axes) - place < 3 or problem.axes[place].kernel <= DEEP]
    axes, (down, along) = [problem.axes[place] for place in busy], problem.axes[-2:]
    plain = all((a.stride, a.dilation) == (1, 1) and a.kernel <= COVERED * a.size for a in axes)
    short = down.kernel * (2 * along.kernel + STRIP) <= 2 * RING
    there = problem.itemsize == 8 and AVAILABLE and (problem.rank or 1) == 1
    return busy if there and plain and short and len(busy) > 1 else []


def is_matrix(problem: Problem, place: int) -> bool:
    """Whether the pass along an axis is the product with a matrix."""
    axis = problem.axes[place]
    return folds(axis, prod(problem.output) // max(1, axis.output))
