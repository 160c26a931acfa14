"""Kernels as sums of separable terms, one 1-D kernel per axis each: found by the singular value decomposition.

2-D: Treitel and Shanks, "The design of multistage separable planar filters", 1971. n-D: the same of the first axis
against all others, and so on for each right factor. Large kernels are asked first whether a few terms would do at all:
what they make of a few random vectors says so (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011).
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Term = tuple["Array", ...]
MOST = 32
"""Terms beyond which the passes of a kernel that is larger than `WHOLE` never win against transforms."""
SPARE = 8
"""Random vectors beyond the terms that are looked for."""
WHOLE = 128
"""Rows and columns up to which all singular values are computed: some 20 ms."""


def rank(taps: Array, limit: float) -> int | None:
    """How many separable terms add up to `taps` within `limit` times the sum of their absolute values.

    None where these would be so many that other ways are faster, and nobody counts them.

    >>> import numpy as np
    >>> rank(np.outer([1, 2, 1], [1, 0, -1]), 1e-9), rank(np.eye(3), 1e-9)
    (1, 3)
    """
    most = most_terms(taps.shape)
    if _has_more(taps.reshape(taps.shape[0], -1), limit, most):
        return None
    terms = factor(taps, limit, most + 1)
    return len(terms) if len(terms) <= most else None


def _has_more(matrix: Array, limit: float, most: int) -> bool:
    """Whether some rows and columns of a large matrix show that it has no `most` terms: they have no more than it."""
    import numpy as np

    if matrix.size <= WHOLE**2:
        return False
    some = matrix[tuple(slice(None, None, max(1, n // WHOLE)) for n in matrix.shape)]
    weights = np.linalg.svd(some[: 2 * WHOLE, : 2 * WHOLE], compute_uv=False)
    left = float(np.sqrt(np.square(weights[most:]).sum()))
    return left > 0 and left > limit * float(np.abs(matrix).sum())


def most_terms(shape: tuple[int, ...]) -> int:
    """Terms up to which 1-D passes may do with fewer products than the kernel itself; of large kernels no more than
    `MOST`.

    >>> most_terms((3, 3)), most_terms((2001, 2001))
    (3, 32)
    """
    full = prod(shape) // max(shape)
    return full if min(shape) <= WHOLE and full <= WHOLE else min(MOST, full)


def factor(taps: Array, limit: float, most: int) -> list[Term]:
    """Separable terms that add up to `taps` within `limit` times sum|taps|; no more than `most`, the largest first."""
    import numpy as np

    if taps.ndim == 1:
        return [(taps,)]
    if cross := _cross(taps, limit):
        return [cross]
    matrix = taps.reshape(taps.shape[0], -1).astype(np.float64)
    columns, weights, rows = _decomposed(matrix, most)
    terms: list[Term] = []
    for number in range(_enough(matrix, (columns, weights, rows), limit, most)):
        if len(terms) >= most:
            break
        root = np.sqrt(weights[number])
        others = factor((root * rows[number]).reshape(taps.shape[1:]), limit / 2, most - len(terms))
        terms.extend((root * columns[number], *term) for term in others)
    return terms


def _enough(matrix: Array, parts: tuple[Array, Array, Array], limit: float, most: int) -> int:
    """How many of the parts, no more than `most`, leave at most `limit` of the matrix.

    A sum of absolute values is no less than the root of the sum of squares, which singular values tell at once.
    """
    import numpy as np

    columns, weights, rows = parts
    bound = limit * float(np.abs(matrix).sum())
    left = np.sqrt(np.cumsum(np.square(weights[::-1]))[::-1])
    for number in range(int(np.count_nonzero(left > bound)), min(most, len(weights))):
        made = (columns[:number].T * weights[:number]) @ rows[:number]
        if float(np.abs(matrix - made).sum()) <= bound:
            return number
    return min(most, len(weights))


def _decomposed(matrix: Array, most: int) -> tuple[Array, Array, Array]:
    """Left vectors, singular values and right vectors, as rows, the largest first: all, or a few more than `most`.

    The range of a large matrix is, but for what a few more terms would add, that of its products with random vectors.
    """
    import numpy as np

    few = most + SPARE
    if min(matrix.shape) <= few or matrix.size <= WHOLE**2:
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        return u.T, s, v
    probes = np.random.default_rng(0).standard_normal((matrix.shape[1], few))
    basis = np.linalg.qr(matrix @ probes)[0]
    u, s, v = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return (basis @ u).T, s, v


def _cross(taps: Array, limit: float) -> Term | None:
    """The lines through the largest tap along each axis, if their product is the kernel.

    Unlike singular vectors they keep whole numbers whole, so that a Sobel filter stays exact.
    """
    import numpy as np

    sizes = np.abs(taps)
    place = np.unravel_index(sizes.argmax(), taps.shape)
    largest, left = taps[place], limit * float(sizes.sum())
    if largest == 0:
        return None
    through: list[tuple[Any, ...]] = [(*place[:axis], slice(None), *place[axis + 1 :]) for axis in range(taps.ndim)]
    first, *others = (taps[line] for line in through)
    lines = (first, *(line / largest for line in others))
    across = reduce(np.multiply.outer, lines[1:])
    for values, tap in zip(taps, first, strict=True):
        left -= float(np.abs(values - tap * across).sum())
        if left < 0:  # most kernels show at once that they are no product
            return None
    return lines
