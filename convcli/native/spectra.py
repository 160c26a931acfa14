"""Correlation with a large kernel by the compiled transforms: see fourier.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.native import _built, _check_apart, _fourier

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LANES = 8
"""Values of a vector of the transforms."""
MUCH, KEPT = 8, 0.05
"""Tiles are reduced for kernels longer than this, if so much of their taps is left of them."""


class Watch(NamedTuple):
    """How results are judged: see `Spectrum.correlate`. `left` and `few` are levels that are tried one by one."""

    random: float
    sum: float
    norm: float
    tiny: float
    left: tuple[float, ...]
    few: tuple[int, ...]
    taps: Array


class Spectrum:
    """A kernel ready for tiles of `shape` (powers of two from 8 to 1024): its spectrum, and memory for the threads."""

    def __init__(self, taps: Array, shape: tuple[int, int]) -> None:
        """Transform taps (kh, kw) float32."""
        rows, columns = self.shape = shape
        self._values = _aligned(4 * (2 * (rows + columns) + 2 * rows * columns))
        self._spare: list[Array] = []
        self._near: tuple[Array, Array | None, int] | None = None
        memory = self._borrow()
        _built(_fourier).spectrum(taps, self._values, memory, rows, columns)
        self._spare.append(memory)

    def correlate(self, block: Array, target: Array, tile: tuple[int, int], watch: Watch | None = None) -> list[bool]:
        """Fill `target` (rows, columns) with the 'valid' correlation of `block`; both float32, columns side by side.

        `tile` is what one transform yields. The target is up to two tiles high, and as many wide as it needs.
        With `watch`, each pair of tiles, one above the other, is held to the promise: by the limit
        random r + min(sum |x|, norm r) that |results| are to reach, where r is the root of the sum of squared pixels
        and |x| the largest. It is nothing to go by below `tiny`. All (|k| * |x|) reach it where no window has more than
        `few` pixels below its share of `left`, the sum of the sizes of taps without as many of the largest. Others are
        computed again, by other transforms or by the definition with `taps`. Returned is whether each pair is settled;
        if not, so many results are left that transforms in float64 are faster.
        """
        _check_apart(target, block)
        memory, more = self._borrow(), self._judging(watch) if watch else ()
        settled: list[bool] = _built(_fourier).correlate(block, self._values, memory, target, *self.shape, tile, *more)
        self._spare.append(memory)
        return settled

    def _judging(self, watch: Watch) -> tuple[Any, ...]:
        """The arguments that stand for a watch."""
        if self._near is None:
            step, reduced = _reduced(watch.taps)
            near = Spectrum(reduced, (self.shape[0] // step, self.shape[1] // step))._values if step else None
            self._near = _in_vectors(watch.taps), near, step
        vectors, near, step = self._near
        return vectors, near, watch[:4], watch.left, watch.few, (*watch.taps.shape, step)

    def gain(self) -> float:
        """The largest absolute value of the kernel's spectrum."""
        import numpy as np

        points = self._values[8 * sum(self.shape) :].view(np.float32).reshape(-1, 2, LANES)
        return float(np.sqrt(np.square(points, dtype=np.float64).sum(axis=1).max())) * self.shape[0] * self.shape[1]

    def _borrow(self) -> Array:
        """Memory that no other thread uses."""
        rows, columns = self.shape
        size = 64 * max(self.shape) + 8 * columns * (rows + 16) + rows * (44 * columns + 128) + 2048
        return self._spare.pop() if self._spare else _aligned(size)


def _reduced(taps: Array) -> tuple[int, Array]:
    """By how much tiles are reduced, and taps (kh, kw) for sums of pixels, the least that any output in a block has."""
    import numpy as np

    sizes = np.abs(taps)
    if min(sizes.shape) > MUCH:
        least = np.zeros([size // 2 for size in sizes.shape], np.float32)
        high, wide = (size + 1 for size in (2 * (n - 2) for n in least.shape))
        least[1:, 1:] = np.min(
            [sizes[y : y + high : 2, x : x + wide : 2] for y in (1, 2, 3) for x in (1, 2, 3)], axis=0
        )
        if 4 * least.sum() >= KEPT * sizes.sum():
            return 2, least
    return 1, sizes


def _in_vectors(taps: Array) -> Array:
    """Rows of whole vectors; the last one ends where the taps do, and is 0 where another has them, too."""
    import numpy as np

    (high, wide), vectors = taps.shape, -(-taps.shape[1] // LANES)
    rows = np.zeros((high, vectors * LANES), np.float32)
    rows[:, :wide] = taps
    if wide > LANES and (rest := wide % LANES):
        rows[:, -LANES:] = 0
        rows[:, -rest:] = taps[:, -rest:]
    return rows


def _aligned(size: int) -> Array:
    """Bytes that begin at a line of the cache."""
    import numpy as np

    raw = np.empty(size + 64, np.uint8)
    first = -raw.ctypes.data % 64
    aligned: Array = raw[first : first + size]
    return aligned
