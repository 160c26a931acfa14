"""One-dimensional convolution as a product with a banded matrix, which BLAS computes without a copy of the pixels.

A block of T outputs reads s (T - 1) + K inputs, so a matrix that repeats the taps, in each row s further on, gives
all T at once. The zeros in the band are multiplied too; at these sizes BLAS is still faster than the rest of NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def band(taps: Array, rows: int, stride: int = 1, dilation: int = 1) -> Array:
    """The matrix (rows, span) whose row t holds the taps at s t + d i; leading axes of `taps` are kept.

    >>> import numpy as np
    >>> band(np.array([1., 2.]), 2)
    array([[1., 2., 0.],
           [0., 1., 2.]])
    """
    import numpy as np

    reach = dilation * (taps.shape[-1] - 1) + 1
    matrix = np.zeros((*taps.shape[:-1], rows, stride * (rows - 1) + reach), taps.dtype)
    for row in range(rows):
        matrix[..., row, stride * row : stride * row + reach : dilation] = taps
    return matrix


def band_rows(taps: int) -> int:
    """Outputs per product: enough for BLAS, few enough that the band is not mostly zeros.

    >>> [band_rows(k) for k in (3, 15, 41, 101)]
    [8, 16, 32, 64]
    """
    return next(rows for rows in (8, 16, 32, 64) if rows == 64 or taps < 1.5 * rows)


def strips(outputs: int, rows: int) -> Iterator[tuple[int, int]]:
    """[start, stop) of the blocks that cover `outputs`."""
    for start in range(0, outputs, rows):
        yield start, min(start + rows, outputs)


def phases(outputs: int, stride: int, dilation: int) -> Iterator[tuple[slice, int]]:
    """Split a dilated axis into dense ones: for each, the slice of inputs and outputs, and the dilation that is left.

    With stride 1 every d-th pixel, from phase p on, is an image of its own on which the taps are neighbours: a view.
    """
    if stride > 1 or dilation == 1:
        yield slice(None), dilation
        return
    for phase in range(min(dilation, outputs)):
        yield slice(phase, None, dilation), 1
