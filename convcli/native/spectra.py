"""Correlation with a large kernel by the compiled transforms: see fourier.c."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.native import _built, _check_apart, _fourier

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SQUARES = 8, 16
"""The sides of squares that may lose their means."""
LANES = 8
"""Values of a vector of the transforms."""
UNIT = 2.0**-24
"""What a sum in float32 may lose of its terms' sizes, for each of them."""
SUMS = 5
"""Roundings of a pixel less a mean, a sum of taps, and what is added to a result, in units."""
MOST_SUMS = 64 * 81
"""Sums of taps over squares that take less time than float64."""


class Watch(NamedTuple):
    """How results are judged: see `judging`."""

    random: float
    forward: float
    backward: float
    alone: float
    sum: float
    norm: float
    most: float
    tiny: float
    part: float
    left: float
    few: int
    taps: Array

    def judging(self, coarse: bool = True) -> tuple[Any, ...]:
        """What the loops judge results by.

        |Results| are to reach the limit forward r + backward s + norm w, where r is the root of the sum of squared
        pixels of a pair of tiles, a constant taken from each tile, s that of the squares of all results of it, at most
        such that backward s <= random r, and w that of the largest sum under the kernel. Where |y| is the largest
        result, alone r + most |y| may stand for norm w. It is nothing to go by below `tiny`. All (|k| * |x|) reach it
        where no window has more than a few pixels below its share of what is left of the sum of the sizes of taps
        without as many of the largest. Others are computed again: by the definition, or in float64. If `coarse`, and
        no tap is negative, squares of dark pairs may lose their means, of which results then are to reach a share.
        """
        import numpy as np

        taps = np.ascontiguousarray(self.taps, np.float32)
        sizes = np.abs(taps.astype(np.float64))
        least, most = float(sizes.min(initial=np.inf, where=sizes > 0)), float(sizes.max(initial=0))
        sums = (*self[:9], float(taps.sum(dtype=np.float64)))
        halves = [np.sort(sizes[first::2], axis=None) for first in range(2)]
        few, left = level(np.minimum(*(np.cumsum(np.append(0, half))[: halves[1].size + 1] for half in halves)))
        tables, share = [taps, _smallest(sizes), _mirrored(taps)], 0.0
        squares = [_by_squares(taps, side) for side in SQUARES]
        if coarse and taps.min() >= 0 and squares[0].size <= MOST_SUMS:
            tables = squares + tables
            share = UNIT * (sum(squares[0].shape[2:4]) + SUMS) / self.part
        packed = _aligned(4 * sum(table.size for table in tables)).view(np.float32)
        np.concatenate([table.ravel() for table in tables], out=packed, casting="same_kind")
        return packed, (*sums, share), (left, few), (self.left, self.few), (least, most), taps.shape


class Spectrum:
    """A kernel ready for tiles of `shape` (powers of two from 8 to 1024): its spectrum, and memory for the threads."""

    def __init__(self, taps: Array, shape: tuple[int, int], fine: bool = False) -> None:
        """Transform taps (kh, kw) float32, for tiles of complex64 or, if `fine`, of complex128.

        Either way in float64: what rounding does to a spectrum, it does to all pictures.
        """
        import numpy as np

        rows, columns = self.shape = shape
        self.taps, self.fine = np.ascontiguousarray(taps), fine
        self._values = _aligned((8 if fine else 4) * (2 * (rows + columns) + 2 * rows * columns))
        self._spare: list[Array] = []
        _built(_fourier).spectrum(self.taps, self._values, _aligned(self._size(fine=True)), rows, columns, fine)

    @cached_property
    def finer(self) -> Spectrum:
        """The same for tiles of complex128."""
        return Spectrum(self.taps, self.shape, fine=True)

    def correlate(self, block: Array, target: Array, tile: tuple[int, int], judged: tuple[Any, ...] = ()) -> None:
        """Fill `target` (rows, columns) with the 'valid' correlation of `block`; both float32, columns side by side.

        `tile` is what one transform yields. The target is up to two tiles high, and as many wide as it needs.
        Each pair of tiles, one above the other, is held to the promise, if it is `judged` by what a watch gives.
        """
        _check_apart(target, block)
        memory = self._borrow()
        settled: list[bool] = _built(_fourier).correlate(
            block, self._values, memory, target, *self.shape, tile, self.fine, *judged
        )
        self._spare.append(memory)
        for first, done in zip(range(0, target.shape[1], tile[1]), settled, strict=True):
            if not done:
                self.finer.correlate(block[:, first:], target[:, first : first + tile[1]], tile, judged)

    def gain(self) -> float:
        """The largest absolute value of the kernel's spectrum."""
        import numpy as np

        points = self._values[8 * sum(self.shape) :].view(np.float32).reshape(-1, 2, LANES)
        return float(np.sqrt(np.square(points, dtype=np.float64).sum(axis=1).max())) * self.shape[0] * self.shape[1]

    def _borrow(self) -> Array:
        """Memory that no other thread uses."""
        return self._spare.pop() if self._spare else _aligned(self._size(self.fine))

    def _size(self, fine: bool) -> int:
        """Bytes that a thread needs for a pair of tiles."""
        rows, columns = self.shape
        between = (16 if fine else 8) * columns * (rows + 16)
        return 64 * max(self.shape) + between + (9 if fine else 2) * rows * columns


def level(sums: Array) -> tuple[int, float]:
    """How many pixels may be too small to count on, so that pixels that are spread evenly may be smallest, and what the
    other taps come to at least; `sums` (taps + 1,) are those of the smallest taps.
    """
    import numpy as np

    left = sums[::-1]
    few = int(np.argmax(np.arange(left.size) * left))
    return few, float(left[few])


def _smallest(sizes: Array) -> Array:
    """What the smallest taps come to at least, none, one, two and so on of them."""
    import numpy as np

    sums: Array = np.append(0, np.cumsum(np.sort(sizes, axis=None))) * (1 - 1e-6)
    return sums


def _mirrored(taps: Array) -> Array:
    """The taps from right to left, in margins of a vector but one."""
    import numpy as np

    return np.pad(taps[:, ::-1], LANES - 1)


def _by_squares(taps: Array, side: int) -> Array:
    """What the taps over squares of pixels come to, (y, x, down, right, 8, 8), for each result of a cell at (y, x)."""
    import numpy as np

    down = _along(taps.astype(np.float64), side)
    across = _along(down.reshape(-1, taps.shape[1]).T, side)
    cells = across.reshape(side // LANES, LANES, -1, side // LANES, LANES, down.shape[1])
    return np.ascontiguousarray(cells.transpose(3, 0, 5, 2, 4, 1), np.float32)


def _along(taps: Array, side: int) -> Array:
    """Sums of taps (n, others) over those of a square, (side, places, others), for each of its beginnings."""
    import numpy as np

    places = -(-(len(taps) - 1) // side) + 1
    spread = np.zeros((side, places * side, taps.shape[1]))
    for first in range(side):
        spread[first, first : first + len(taps)] = taps
    sums: Array = spread.reshape(side, places, side, -1).sum(axis=2)
    return sums


def _aligned(size: int) -> Array:
    """Bytes that begin at a line of the cache."""
    import numpy as np

    raw = np.empty(size + 64, np.uint8)
    first = -raw.ctypes.data % 64
    aligned: Array = raw[first : first + size]
    return aligned
