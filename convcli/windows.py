"""Windows of an image as floating-point blocks, with the border put where the window leaves the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from convcli.borders import Border

Array = np.ndarray[Any, Any]
Window = Sequence[tuple[int, int]]
OUTSIDE = -1


def read_window(image: Array, window: Window, borders: Sequence[Border], dtype: Any) -> Array:
    """The pixels [start, stop) of the last axes of `image` as `dtype`, rows contiguous; a view where that is possible.

    Positions outside the image are filled by the border of their axis; where two constant borders meet, the later axis wins.
    """
    first = image.ndim - len(window)
    indices = [
        MAPS[border.rule](np.arange(start, stop), image.shape[axis]) if start < 0 or stop > image.shape[axis] else None
        for axis, ((start, stop), border) in enumerate(zip(window, borders, strict=True), first)
    ]
    for axis, ((start, stop), index) in enumerate(zip(window, indices, strict=True), first):
        if index is None:
            image = image[(slice(None),) * axis + (slice(start, stop),)]
        else:
            image = np.take(image, index, axis=axis, mode="clip")
    block = np.asarray(image, dtype=dtype)
    if block.strides[-1] != block.itemsize:
        block = np.ascontiguousarray(block)
    return _fill_constants(block, indices, borders, first)


def _fill_constants(block: Array, indices: Sequence[Array | None], borders: Sequence[Border], first: int) -> Array:
    """Put constant borders into a block; blocks that need it came from `take` and are copies already."""
    for axis, (index, border) in enumerate(zip(indices, borders, strict=True), first):
        if index is not None and border.rule == "constant":
            block[(slice(None),) * axis + (index == OUTSIDE,)] = border.value
    return block


def _edge(index: Array, size: int) -> Array:
    return np.clip(index, 0, size - 1)


def _reflect(index: Array, size: int) -> Array:
    if size == 1:
        return np.zeros_like(index)
    folded = index % (2 * size - 2)
    return np.minimum(folded, 2 * size - 2 - folded)


def _symmetric(index: Array, size: int) -> Array:
    folded = index % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def _wrap(index: Array, size: int) -> Array:
    return index % size


def _constant(index: Array, size: int) -> Array:
    return np.where((index < 0) | (index >= size), OUTSIDE, index)


MAPS: dict[str, Callable[[Array, int], Array]] = {
    "edge": _edge,
    "reflect": _reflect,
    "symmetric": _symmetric,
    "wrap": _wrap,
    "constant": _constant,
}
"""Position along an axis, possibly outside, to the pixel that stands there; OUTSIDE for none."""
