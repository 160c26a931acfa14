"""Windows of an image as floating-point blocks, with the border put where the window leaves the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convcli.filters.borders import Border
from convcli.methods.contract import Prepared
from convcli.records import record

Array = np.ndarray[Any, Any]
Window = Sequence[tuple[int, int]]
SMALL = 2**13
"""Pixels up to which a window at a border is gathered one by one: nine copies of its parts would take longer."""


@record(eq=False)
class Held:
    """What an array holds of an axis of `size` positions: all, or those in `rows`, which are in order."""

    size: int
    rows: Array | None = None

    def place(self, positions: slice | Array) -> slice | Array:
        """Where positions of the axis are in the array; those of a slice follow each other there too."""
        if self.rows is None:
            return positions
        if isinstance(positions, slice):
            first = int(np.searchsorted(self.rows, positions.start))
            return slice(first, first + positions.stop - positions.start)
        return np.searchsorted(self.rows, positions)


def read_window(
    image: Array, window: Window, borders: Sequence[Border], dtype: Any, held: Sequence[Held] | None = None
) -> Array:
    """The pixels [start, stop) of the last axes of `image` as `dtype`, rows contiguous; a view where that is possible.

    Positions outside the image are filled by the border of their axis; where constants meet, the later axis wins.
    `held` says what of each axis is there, if not all.
    """
    axes = held or [Held(size) for size in image.shape[-len(window) :]]
    spans = list(zip(window, borders, axes, strict=True))
    if all(start >= 0 and stop <= axis.size for (start, stop), _, axis in spans):
        inside: tuple[Any, ...] = (..., *(axis.place(slice(*span)) for span, _, axis in spans))
        block = np.asarray(image[inside], dtype=dtype)
        return block if block.strides[-1] == block.itemsize and block.flags.aligned else block.copy()
    if all(border.rule != "constant" for border in borders) and prod(stop - start for start, stop in window) <= SMALL:
        taken = np.ix_(*(axis.place(_stands_for(*span, border.rule, axis.size)) for span, border, axis in spans))
        return np.asarray(image[(..., *taken)], dtype, order="C")
    outer = image.shape[: image.ndim - len(window)]
    block = np.empty((*outer, *(stop - start for start, stop in window)), dtype)
    for parts in product(*(list(_parts(*span)) for span in spans)):
        place: tuple[Any, ...] = (..., *(part.target for part in parts))
        block[place] = _pixels(image, parts)
    return block


def lean_window(
    image: Array, window: Window, borders: Sequence[Border], dtype: Any, held: Sequence[Held] | None = None
) -> tuple[Array, tuple[Array | None, ...]]:
    """The pixels that a window of the last axes reads, each once, and for each axis which of them stands where.

    An axis on which a constant stands has one pixel more, the last, which holds it. None: each stands for itself.

    >>> lean_window(np.array([[1, 2, 3]]), [(0, 1), (-2, 2)], [Border("edge")] * 2, "f4")
    (array([[1., 2.]], dtype=float32), (None, array([0, 0, 0, 1], dtype=int32)))
    """
    outer, axes = image.ndim - len(window), held or [Held(size) for size in image.shape[-len(window) :]]
    if all(start >= 0 and stop <= axis.size for (start, stop), axis in zip(window, axes, strict=True)):
        return read_window(image, window, borders, dtype, held), (None,) * len(window)
    found = [_leanly(*each) for each in zip(window, borders, axes, strict=True)]
    for place, ((positions, _), axis) in enumerate(zip(found, axes, strict=True), outer):
        image = image[(slice(None),) * place + (axis.place(_as_slice(positions)),)]
    sizes = image.shape[outer:]
    more = [int(read is not None and read.max() == size) for (_, read), size in zip(found, sizes, strict=True)]
    block = np.empty((*image.shape[:outer], *map(sum, zip(sizes, more, strict=True))), dtype)
    inside: tuple[Any, ...] = (..., *map(slice, sizes))
    block[inside] = image
    for place, (border, size, there) in enumerate(zip(borders, sizes, more, strict=True), outer):
        if there:  # where two constants meet, that of the later axis
            block[(slice(None),) * place + (size,)] = border.value
    return block, tuple(read for _, read in found)


@record(eq=False)
class Look:
    """How a window is looked up in a block that has each of its pixels once; `reads` is None where it is the window."""

    reads: tuple[Array | None, ...] | None = None

    def __call__(self, apply: Prepared, channels: Array, result: Array) -> None:
        """Apply a method to channels of the block."""
        if self.reads is None:
            apply(channels, result)
        else:
            apply.look_up(channels, result, self.reads)

    def at(self, channels: Array, places: Sequence[Sequence[int]] | None = None) -> Array:
        """The pixels that stand at places of the window, all by default."""
        reads = self.reads or (None,) * len(places or ())
        for axis, read in enumerate(reads, channels.ndim - len(reads)):
            place = None if places is None else np.asarray(places[axis - channels.ndim])
            which = read if place is None or read is None else read[place]
            which = place if read is None else which
            channels = channels if which is None else np.take(channels, which, axis=axis)
        return channels


WINDOW = Look()
"""Where a block is the window itself."""


def _leanly(span: tuple[int, int], border: Border, axis: Held) -> tuple[Array, Array | None]:
    """The positions of an axis that a window reads, in order, and which of them stands at each of its own."""
    places = _pixels_at(*span, border.rule, axis.size)
    positions = distinct(places[places >= 0])
    if span[0] >= 0 and span[1] <= axis.size:
        return positions, None
    read = np.searchsorted(positions, places)
    read[places < 0] = len(positions)
    return positions, read.astype(np.int32)


def _as_slice(positions: Array) -> slice | Array:
    """Positions that follow each other as a slice: what they hold is then no copy."""
    whole = len(positions) and positions[-1] - positions[0] + 1 == len(positions)
    return slice(int(positions[0]), int(positions[-1]) + 1) if whole else positions


def look_up(span: tuple[int, int], border: Border, axis: Held) -> tuple[slice, Array | None]:
    """The part of an axis that a window [start, stop) reads, and which of its pixels stands at each of its positions.

    -1 is where a constant does; None: each pixel stands for itself.
    """
    start, stop = span
    if start >= 0 and stop <= axis.size:
        inside = axis.place(slice(start, stop))
        assert isinstance(inside, slice)
        return inside, None
    places = _pixels_at(start, stop, border.rule, axis.size)
    if axis.rows is not None:
        held = np.asarray(axis.place(_stands_for(start, stop, border.rule, axis.size)), np.int32)
        places = np.where(places < 0, np.int32(-1), held)
    return _trimmed(places)


def _trimmed(places: Array) -> tuple[slice, Array]:
    """The part of an axis that has all of these pixels, and their places in it: a pass works on all that it is given.

    >>> _trimmed(np.array([-1, 5, 5, 6], np.int32))
    (slice(5, 7, None), array([-1,  0,  0,  1], dtype=int32))
    """
    known = places[places >= 0]
    if not len(known):
        return slice(None), places
    first, last = int(known.min()), int(known.max())
    return slice(first, last + 1), np.where(places < 0, places, places - np.int32(first))


@lru_cache(maxsize=64)
def _pixels_at(start: int, stop: int, rule: str, size: int) -> Array:
    """The pixel at each position of a window, -1 for a constant."""
    places = np.arange(start, stop)
    outside = (rule == "constant") & ((places < 0) | (places >= size))
    return np.where(outside, -1, MAPS[rule](places, size)).astype(np.int32)


@lru_cache(maxsize=64)
def _stands_for(start: int, stop: int, rule: str, size: int) -> Array:
    """The pixel of an axis that stands at each position of a window."""
    return MAPS[rule](np.arange(start, stop), size)


@record
class Part:
    """A stretch of a window along one axis: where it goes, and the pixels it takes, or the constant it holds."""

    target: slice
    source: slice | Array
    constant: float | None = None


def distinct(numbers: Array) -> Array:
    """The different ones among numbers from 0 on, in order; NumPy's own function imports masked arrays, for 15 ms.

    >>> distinct(np.array([3, 1, 3, 0, 1])).tolist()
    [0, 1, 3]
    """
    ordered = np.sort(numbers)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def rows_read(window: tuple[int, int], border: Border, size: int) -> Array:
    """The positions of an axis that stand for those of a window, in order.

    >>> rows_read((-2, 3), Border("wrap"), 9).tolist()
    [0, 1, 2, 7, 8]
    """
    return distinct(MAPS[border.rule](np.arange(*window), size))


def _parts(window: tuple[int, int], border: Border, axis: Held) -> Iterator[Part]:
    """The stretch inside the image, a slice, and those before and behind it, by the border's rule."""
    start, stop = window
    first, last = min(max(start, 0), stop), max(min(stop, axis.size), start)
    first, last = (first, last) if first < last else (stop, stop)
    for low, high in ((start, first), (last, stop)):
        if low < high:
            constant = border.value if border.rule == "constant" else None
            index = MAPS[border.rule](np.arange(low, high), axis.size)
            yield Part(slice(low - start, high - start), axis.place(index), constant)
    if first < last:
        yield Part(slice(first - start, last - start), axis.place(slice(first, last)))


def _pixels(image: Array, parts: Sequence[Part]) -> Array | float:
    """What one combination of stretches holds."""
    constants = [part.constant for part in parts if part.constant is not None]
    if constants:
        return constants[-1]
    for axis, part in enumerate(parts, image.ndim - len(parts)):
        image = image[(slice(None),) * axis + (part.source,)]
    return image


def _edge(index: Array, size: int) -> Array:
    return np.clip(index, 0, size - 1)


def _reflect(index: Array, size: int) -> Array:
    if size == 1:
        return np.zeros_like(index)
    folded = index % (2 * size - 2)
    mirrored: Array = np.minimum(folded, 2 * size - 2 - folded)
    return mirrored


def _symmetric(index: Array, size: int) -> Array:
    folded = index % (2 * size)
    mirrored: Array = np.minimum(folded, 2 * size - 1 - folded)
    return mirrored


def _wrap(index: Array, size: int) -> Array:
    return index % size


MAPS: dict[str, Callable[[Array, int], Array]] = {
    "edge": _edge,
    "reflect": _reflect,
    "symmetric": _symmetric,
    "wrap": _wrap,
    "constant": _edge,  # any pixel will do: the constant takes its place
}
"""Position along an axis, possibly outside, to the pixel that stands there."""
