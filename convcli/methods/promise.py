"""The promise at each output, |error| <= tolerance (|k| * |x|) there, where rounding spreads over a whole tile.

A transform mixes all pixels of a tile, so that its rounding is as large beside a bright spot as in it. It is, at any
output, within u (RANDOM sqrt(log2 N) gain root + PEAK min(sum|k| max|x|, |k| |x|)) + 8 u (|k| * |x|): `gain` is the
largest absolute value of the kernel's spectrum, `root` the root mean square of the N values of a transform, |k| and |x|
are roots of sums of squares, u is half a unit in the last place. The first part is random, as in Weinstein, "Roundoff
noise in floating point fast Fourier transform computation", 1969; the second are ghosts of single pixels, which rounded
turns of the unit circle leave: the picture under the kernel, elsewhere, so that |x| may be that of the window that has
the largest. The largest error in 15,000 tiles, with values chosen to hurt, was 0.93 of it (2026-11).

Results are kept where they, or a bound from below of (|k| * |x|), are so large that this is within the tolerance. What
sees only zeros is 0. In the compiled transforms (native/promise.h) the bounds are counts of pixels that are not small
and, where those are too little, a transform of sums of 2 x 2 pixels with the least of the taps around. If what is left
is much, one more transform has 0 for all pixels but those which it sees, and so less to lose; blocks of outputs that
see a bright pixel, and what three transforms leave, are computed by the definition or, where a kernel is too large for
that, all of the tile in float64. Other transforms know one bound for a whole tile, and a transform of all |x|; then
come the definition where results are few, else float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from math import isfinite, log2, sqrt
from typing import TYPE_CHECKING, Any

from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Problem
from convcli.methods.contract import Prepared, load
from convcli.methods.cutting import cut
from convcli.native.spectra import Watch
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Apply = Callable[[Array, Array], None]

UNIT = {4: 2.0**-24, 8: 2.0**-53}
"""u by item size."""
RANDOM, PEAK = 3.0, 2.5
SHARE = 0.9
"""The part of the tolerance that this rounding may take."""
FEW = (16, 4, 2)
"""One in so many of the pixels under a kernel may be too small to count on."""
TINY = {4: 1e-25, 8: 1e-280}
"""Results below which products may have been lost as denormal numbers, by item size."""
BOX = {1: 256, 2: 32, 3: 12}
"""Outputs along each axis that are computed by the definition together, by number of axes."""
NEAR = 1.1
"""The limit that (|k| * |x|) by a transform is to reach; its own rounding is below 2e-5 sqrt(taps) of the limit."""
PRODUCTS = 100
"""Multiply-adds of the definition that take as long as, for each level, a value of two transforms in float64."""


@record(eq=False)
class Promise:
    """What the results of one filter, with `taps` (*kernel) in float64, are held to.

    The problem is that of the filter on one channel, for as many outputs as are computed together. `watch` holds the
    factors of the limit that |results| are to reach; `values` are those of a transform, 0 where there
    is none.
    """

    problem: Problem
    taps: Array
    watch: Watch
    values: int = 0

    def limit(self, root: float, largest: float) -> float:
        """What |results| are to reach; `root` is that of the sum of the squared pixels."""
        watch = self.watch
        return watch.random * root + min(watch.sum * largest, watch.norm * root)

    def keep(self, block: Array, out: Array) -> None:
        """Compute again what rounding may have spoilt, of results `out` (*tile) from `block` (*window)."""
        import numpy as np

        largest = float(max(block.max(), -block.min()))
        flat = block.reshape(-1)
        root = sqrt(float(np.vdot(flat, flat)))
        limit = self.limit(root, largest)
        reached = float(np.abs(out).min()) >= limit
        if largest == 0:
            return
        trusted = isfinite(root) and limit >= self.watch.tiny
        if trusted and (reached or self.evenly_spread(block, limit)):
            return
        if not trusted and not np.isfinite(block).all():
            return  # what becomes of NaN and infinities is seen to by the caller
        limit = limit if trusted else np.nan
        doubtful = ~(np.abs(out) >= limit)
        if trusted and self.values and self.problem.itemsize == 4 and doubtful.any():
            sizes = np.empty((1, *out.shape), out.dtype)
            self.sizes(np.abs(block)[None], sizes)
            if np.isfinite(sizes).all():  # an overflow spreads, too
                doubtful &= ~(sizes[0] >= NEAR * limit)
            if doubtful.any():
                empty = self.empty(block)
                out[empty] = 0
                doubtful &= ~empty
        boxes = list(_boxes_of(doubtful))
        products = sum(out[box].size for box in boxes) * self.taps.size
        few = products <= PRODUCTS * self.values * log2(self.values or 1)
        if self.problem.itemsize == 4 and self.values and not few:
            self.finer(block[None], out[None])
        elif self.problem.itemsize == 8 and boxes and self._tells(block, limit):
            self._clear(block, out)
        else:
            self._define(block, out, boxes)

    def evenly_spread(self, block: Array, limit: float) -> bool:
        """Whether no window has more than a few pixels so small that the others might not do: see `Spectrum`."""
        watch = self.watch
        return watch.left[1] > 0 and self.most_small(block, limit / watch.left[1]) <= watch.few[1]

    def most_small(self, block: Array, size: float) -> int:
        """The most pixels below a size in any window of the kernel: those of all cells that it touches."""
        import numpy as np

        small = (np.abs(block) < size).view(np.uint8)
        for place, axis in enumerate(self.problem.axes):
            cell = max(1, (axis.extent + 2) // 4)
            cells = _grouped(small, place, cell)
            small = _windows(cells, place, (axis.extent + cell - 2) // cell + 1)
        return int(small.max())

    def empty(self, block: Array) -> Array:
        """Which outputs (*tile) have only zeros between their first tap and their last."""
        import numpy as np

        counts = (block != 0).view(np.uint8)
        for place, axis in enumerate(self.problem.axes):
            counts = _windows(counts, place, axis.extent)[(slice(None),) * place + (slice(None, None, axis.stride),)]
        found: Array = counts == 0
        return found

    @cached_property
    def sizes(self) -> Apply:
        """(|k| * |x|), but for rounding."""
        problem = replace(self.problem, local=False)
        return cut(load("fft"), abs(self.taps)[None, None], problem)

    @cached_property
    def finer(self) -> Apply:
        """The same in float64."""
        return cut(load("fft"), self.taps[None, None], replace(self.problem, itemsize=8))

    @cached_property
    def defined(self) -> Apply:
        """The same by the definition."""
        return cut(load("direct"), self.taps[None, None], self.problem)

    @cached_property
    def met(self) -> Apply:
        """Counts the marked pixels under the taps."""
        problem = replace(self.problem, local=False)
        return cut(load("fft"), (self.taps != 0)[None, None], problem)

    def _tells(self, block: Array, limit: float) -> bool:
        """Whether the least product of a pixel and a tap, neither of them 0, is large enough to be told from 0."""
        import numpy as np

        sizes, taps = np.abs(block), np.abs(self.taps)
        least = float(sizes.min(initial=np.inf, where=sizes > 0)) * float(taps.min(initial=np.inf, where=taps > 0))
        return least >= limit

    def _clear(self, block: Array, out: Array) -> None:
        """0 where taps meet nothing but zeros."""
        import numpy as np

        if (there := block != 0).all():
            return
        count = np.empty((1, *out.shape))
        self.met(there[None].astype(np.float64), count)
        out[count[0] < 0.5] = 0

    def _define(self, block: Array, out: Array, boxes: Iterable[tuple[slice, ...]]) -> None:
        """Boxes of results by the definition."""
        for box in boxes:
            each = zip(box, self.problem.axes, strict=True)
            read = tuple(slice(b.start * a.stride, (b.stop - 1) * a.stride + a.extent) for b, a in each)
            if block[read].any():
                self.defined(block[read][None], out[box][None])
            else:
                out[box] = 0


def _boxes_of(marked: Array) -> Iterator[tuple[slice, ...]]:
    """Boxes that cover all that is marked."""
    import numpy as np

    step, counts = BOX.get(marked.ndim, BOX[3]), marked.view(np.uint8)
    for place in range(marked.ndim):
        counts = _grouped(counts, place, step)
    for cell in np.argwhere(counts):
        firsts = zip((cell * step).tolist(), marked.shape, strict=True)
        yield tuple(slice(first, min(first + step, size)) for first, size in firsts)


@record
class Kept(Prepared):
    """A method whose results are held to promises, one for each filter; every channel is filtered alone."""

    problem: Problem
    made: Apply
    promises: tuple[Promise, ...]

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        self.made(block, out)
        filters = self.problem.channels_out // self.problem.groups
        for number, (promise, results) in enumerate(zip(self.promises, out, strict=True)):
            promise.keep(block[number // filters], results)


def of_transform(
    problem: Problem, taps: Array, spread: Array, gain: float, values: int, tile: tuple[int, ...]
) -> Promise:
    """The promise of one filter with taps (*kernel), `spread` by the dilation, for transforms of so many values that
    yield a tile of outputs.
    """
    import numpy as np

    axes = (_of_size(axis, outputs) for axis, outputs in zip(problem.axes, tile, strict=True))
    unit, sizes = UNIT[problem.itemsize] / (SHARE * problem.tolerance), np.sort(np.abs(taps), axis=None)
    few = tuple(sizes.size // part for part in FEW)
    watch = Watch(
        unit * RANDOM * sqrt(log2(values) / values) * gain,
        unit * PEAK * float(sizes.sum()),
        unit * PEAK * float(np.sqrt(np.square(sizes).sum())),
        TINY[problem.itemsize],
        tuple(float(sizes[: sizes.size - n].sum()) for n in few),
        few,
        spread,
    )
    return Promise(_alone(replace(problem, axes=tuple(axes))), taps, watch, values)


def _alone(problem: Problem) -> Problem:
    """One filter on one channel."""
    return replace(problem, channels_in=1, channels_out=1, groups=1, planes=1, together=1, rank=None)


def _of_size(axis: Geometry, outputs: int) -> Geometry:
    """An axis just long enough for so many outputs."""
    return axis._replace(size=axis.stride * (outputs - 1) + axis.extent, begin=0, end=0)


def _grouped(counts: Array, place: int, cell: int) -> Array:
    """Counts along an axis added up by cells; the last one may be shorter."""
    import numpy as np

    whole = counts.shape[place] // cell * cell
    shape = (*counts.shape[:place], whole // cell, cell, *counts.shape[place + 1 :])
    first, rest = np.split(counts, [whole], axis=place)
    sums: Array = first.reshape(shape).sum(axis=place + 1, dtype=np.int32)
    if rest.size:
        sums = np.concatenate([sums, rest.sum(axis=place, dtype=np.int32, keepdims=True)], axis=place)
    return sums


def _windows(cells: Array, place: int, count: int) -> Array:
    """Sums of `count` cells that follow each other along an axis, from each on."""
    import numpy as np

    size = cells.shape[place]
    before: Any = [(0, 0)] * cells.ndim
    before[place] = (1, 0)
    sums = np.pad(np.cumsum(cells, axis=place, dtype=np.int32), before)
    starts = np.arange(max(1, size - count + 1))
    ends = np.minimum(starts + count, size)
    windows: Array = sums.take(ends, axis=place) - sums.take(starts, axis=place)
    return windows
