"""Sums of the pixels in rectangles in compiled code, at a price that hardly depends on their size."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from convcli.native import INSTRUCTIONS, TYPES, WIDE_TYPES, Counts, Steps, _built, _explained, _load, _told, _wanted

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_sums = _load("_sums")
AVAILABLE: bool = _wanted(_sums)


def correlate(
    source: Array,
    size: tuple[int, int],
    tap: float,
    target: Array,
    *,
    precise: bool = False,
    instructions: str = INSTRUCTIONS[-1] if INSTRUCTIONS else "",
    **options: Unpack[Steps],
) -> Counts:
    """Fill `target` (slices, rows, columns) with sums of rectangles of `size` (rows, columns) of `source`, times a tap.

    It is `convcli.native.correlate` with taps that are all alike, in float32 and on samples of `TYPES`, or if `precise`
    in float64 and on those of `WIDE_TYPES`, without stride and dilation along rows and columns; the time hardly depends
    on the size. Integers of 8 and 16 bits are summed without rounding; other sums of n pixels take some 2 log2 n
    roundings, all of pixels in the rectangle.
    """
    import numpy as np

    source, target = source[None], target[None]
    axes, team, (step, scale, bias) = _told(**options)
    how = step, scale, bias, precise, INSTRUCTIONS.index(instructions)
    call = partial(_built(_sums).sum, source, np.array([tap], np.float64), target, team, size, axes, *how)
    types = WIDE_TYPES if precise else TYPES
    return Counts(*_explained(call, source, (1, 1, 1, *size), target, types, axes, step) or (0, 0, 0))
