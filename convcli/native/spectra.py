"""Correlation with a large kernel by the compiled transforms: see fourier.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.native import _built, _check_apart, _fourier

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LANES = 8
"""Values of a vector of the transforms."""


class Watch(NamedTuple):
    """How results are judged: see `Spectrum.correlate`."""

    random: float
    sum: float
    norm: float
    share: float
    extent: tuple[int, int]


class Seen(NamedTuple):
    """A pair of tiles: whether all results have reached the limit; the root of the sum of squared pixels, the largest
    |pixel|, the limit; and where not all have, a size and the most pixels below it that any window holds.
    """

    reached: bool
    root: float
    largest: float
    limit: float
    small: float
    few: int


class Spectrum:
    """A kernel ready for tiles of `shape` (powers of two from 8 to 1024): its spectrum, and memory for the threads."""

    def __init__(self, taps: Array, shape: tuple[int, int]) -> None:
        """Transform taps (kh, kw) float32."""
        rows, columns = self.shape = shape
        self._values = _aligned(4 * (2 * (rows + columns) + 2 * rows * columns))
        self._spare: list[Array] = []
        memory = self._borrow()
        _built(_fourier).spectrum(taps, self._values, memory, rows, columns)
        self._spare.append(memory)

    def correlate(self, block: Array, target: Array, tile: tuple[int, int], watch: Watch | None = None) -> list[Seen]:
        """Fill `target` (rows, columns) with the 'valid' correlation of `block`; both float32, columns side by side.

        `tile` is what one transform yields. The target is up to two tiles high, and as many wide as it needs.
        With `watch`, each pair of tiles, one above the other, is judged: by the limit random r + min(sum |x|, norm r)
        that |results| are to reach, where r is the root of the sum of squared pixels and |x| the largest; if some do
        not, by the pixels that are smaller than a share of their mean, in any window of `extent` pixels.
        """
        _check_apart(target, block)
        memory, more = self._borrow(), (watch[:4], watch.extent) if watch else ()
        seen = _built(_fourier).correlate(block, self._values, memory, target, *self.shape, tile, *more)
        self._spare.append(memory)
        return [Seen(*each) for each in seen]

    def gain(self) -> float:
        """The largest absolute value of the kernel's spectrum."""
        import numpy as np

        points = self._values[8 * sum(self.shape) :].view(np.float32).reshape(-1, 2, LANES)
        return float(np.sqrt(np.square(points, dtype=np.float64).sum(axis=1).max())) * self.shape[0] * self.shape[1]

    def _borrow(self) -> Array:
        """Memory that no other thread uses."""
        rows, columns = self.shape
        return self._spare.pop() if self._spare else _aligned(64 * max(self.shape) + 8 * columns * (rows + 16))


def _aligned(size: int) -> Array:
    """Bytes that begin at a line of the cache."""
    import numpy as np

    raw = np.empty(size + 64, np.uint8)
    first = -raw.ctypes.data % 64
    aligned: Array = raw[first : first + size]
    return aligned
