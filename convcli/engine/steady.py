"""Separable terms whose sum float32 keeps at each output: a kernel's own, or others that add up to the same taps.

Terms are not the only ones of their sum: a a' - b b' is also (c a + s b)(c a + s b)' - (s a + c b)(s a + c b)' where
c^2 - s^2 = 1, and of some far less cancels. Two Gaussians of almost one width lose the difference in their sum; their
singular vectors are much like that difference and the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.geometry.problem import Problem
from convcli.kernels.kernel import Kernel
from convcli.methods.separable import RESIDUAL, residual
from convcli.methods.terms import factor, rank
from convcli.records import replace

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Terms = Sequence[Sequence[Any]]

PLANE = 2
"""Axes of kernels that are the sums of as few products by singular vectors as by any other."""
SMALL_KERNEL = 9
"""Taps (and filters) below (above) which nobody looks for separable terms: passes would not pay."""
MOST = 2**18
"""Taps up to which each is compared with the rounding of its terms: some 10 ms."""


@lru_cache(maxsize=64)
def rank_of(kernel: Kernel, limit: float = RESIDUAL[4]) -> int | None:
    """The separable terms that leave `limit` of a plain kernel, relative to the sum of the absolute taps.

    None where it is so small, or they are so many, that they do not matter.
    """
    if kernel.terms or kernel.inputs > 1 or prod(kernel.spatial) < SMALL_KERNEL or kernel.outputs > SMALL_KERNEL:
        return None
    ranks = [rank(taps, limit) for taps in kernel.array().reshape(-1, *kernel.spatial)]
    known = [each for each in ranks if each is not None]
    return max(known) if len(known) == len(ranks) else None


def ranked(problem: Problem, kernel: Kernel) -> Problem:
    """A problem with what is known of its kernel's separable terms."""
    known = problem if problem.rank else replace(problem, rank=rank_of(kernel, residual(problem)))
    return steadied(known, kernel)


def steadied(problem: Problem, kernel: Kernel) -> Problem:
    """A problem of known rank with whether float32 will do for its terms."""
    rank = problem.rank or 1
    if rank == 1 or problem.itemsize == 8 or problem.approximation or not problem.local or prod(kernel.shape) > MOST:
        return problem
    return replace(problem, steady=steady_terms(kernel, rank, problem.tolerance) is not None)


@lru_cache(maxsize=64)
def steady_terms(kernel: Kernel, rank: int, tolerance: float) -> tuple[Terms, ...] | None:
    """For each filter of a plain kernel, terms of which float32 keeps each tap, no more than `rank`; None without."""
    from convcli.methods.cancelling import is_steady

    found = []
    for taps in kernel.array().reshape(-1, *kernel.spatial):
        terms = next((each for each in _known(taps, kernel, rank) if is_steady(taps, each, tolerance)), None)
        if terms is None:
            return None
        found.append(terms)
    return tuple(found)


def _known(taps: Array, kernel: Kernel, rank: int) -> Iterator[Terms]:
    """Terms of one filter (*kernel): its own, and those by singular vectors, of which a volume needs more."""
    if kernel.terms:
        yield kernel.terms
    if taps.ndim == PLANE or not kernel.terms:
        yield factor(taps, RESIDUAL[8], rank)
