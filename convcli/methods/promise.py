"""The promise at each output, |error| <= tolerance (|k| * |x|) there, where rounding spreads over a whole tile.

A transform mixes all pixels of a tile, so that its rounding is as large beside a bright spot as in it. It is, at any
output, within u (RANDOM sqrt(log2 N) gain root + PEAK min(sum|k| max|x|, |k| |x|)) + 8 u (|k| * |x|): `gain` is the
largest absolute value of the kernel's spectrum, `root` the root mean square of the N values of a transform, |k| and |x|
are roots of sums of squares, u is half a unit in the last place. The first part is random, as in Weinstein, "Roundoff
noise in floating point fast Fourier transform computation", 1969; the second is left by pictures that are simple, such
as steps and stripes, whose values are all rounded alike, and by rounded turns of the unit circle, which make ghosts of
single pixels: the picture under the kernel, elsewhere, so that |x| may be that of the window that has the largest.
Lengths of factors 3 and 5 leave more of both.

Results are kept where they, or a bound from below of (|k| * |x|), are so large that this is within the tolerance. What
sees only zeros is 0. Transforms of scipy know one bound for a whole tile, by counts in cells of pixels. Where it does
not do, float32 gives way to float64. There least pixels and least taps mostly tell what sees only zeros from all else;
if not, results that may be spoilt are computed by the definition.

The compiled transforms (native/promise.h) take the mean from either tile of a pair before, and give back what the
kernel makes of it: x is what is left, |x| that of the cells of 8 x 8 pixels under the kernel. Their random part is
smaller for smooth kernels: what the way there adds to all frequencies alike is filtered, and what the way back adds
goes by the results, so that |k| root + rms(y) stands in the place of gain root, y being all results, with what wraps
around. Kernels are transformed in float64. Where PEAK |k| |x| is most of the limit, MOST max|y| + ALONE gain root may
stand for it; its last part is for waves that the kernel takes away, whose rounding falls on frequencies that it leaves.
The constants were fitted to 15,267 tiles with pictures and kernels chosen to hurt, such as stripes: the largest error
was 0.99 of the limit (`python -m tests.bench.rounding` makes such tiles). In 16,000 others it was once 1.07, else 0.98:
SHARE leaves room for that, to 1.11. In 21,600 of scipy it was 0.85 (2026-12).

A pair is looked at beforehand, in every 16th row. Where it promises results below the limit, and neither taps nor
pixels are negative, squares of 16 x 16 pixels lose their means, too, and what the kernel makes of those is summed
directly: the limit of photographs under smooth kernels is a fifth to a tenth then, for an eighth more time. Squares of
8 x 8 pixels lower it two or three times further, for a third more. What they do goes by how smooth kernel and pixels
are: about 0.33 (sum|k| / |k|) times what segments of a row lose of their root mean square with their means. Those sums
are as exact as what they sum, which a share of them added to the limit stands for. Other kernels have (|k| * |x|) told
from below, by how many pixels of a window reach some sizes. Results that remain are few in photographs: they are
computed by the definition in float32, from the pixels that are not 0 where most are.

Pairs where that takes longer, or an eighth of which is seen to be much too dark, are transformed in float64, whose
limit is 2^-29 of the first: there the least product of a pixel and a tap can be told from none in nearly all
pictures, and what is smaller than the rounding is 0. Where it cannot, as beside values 15 decades larger, results
that see only small pixels come from a transform of those alone, and few others from the definition. Float64 takes
2.2 times as long, and nothing that is done to do without may take longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import inf, log2, prod, sqrt
from typing import TYPE_CHECKING, Any

from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Problem
from convcli.methods.contract import Prepared, load
from convcli.methods.cutting import cut
from convcli.native.spectra import Watch, level
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

    Array = np.ndarray[Any, Any]
    Apply = Callable[[Array, Array], None]

UNIT = {4: 2.0**-24, 8: 2.0**-53}
"""u by item size."""
COMPILED, SCIPY = ((3.5, 3.0, 3.6), (2.0, 1.1, 1.25)), ((4.5, 4.5, 4.5), (4.5, 4.5, 4.5))
"""RANDOM, PEAK and MOST of two implementations, also for unlike taps."""
ALONE = 0.9
"""What a single frequency leaves at another one."""
UNLIKE = 0.5
"""Taps are unlike if no value of their spectrum is larger than this part of the sum of their sizes."""
SHARE = 0.9
"""The part of the tolerance that this rounding may take."""
TINY = {4: 1e-25, 8: 1e-280}
"""Results below which products may have been lost as denormal numbers, by item size; beyond the inverse they may be
infinite."""
PART = 100_000
"""Values that are looked at together."""
BOX = {1: 256, 2: 32, 3: 12}
"""Outputs along each axis that are computed by the definition together, by number of axes."""


@record(eq=False)
class Promise:
    """What the results of one filter, with `taps` (*kernel) in float64, are held to.

    The problem is that of the filter on one channel, for as many outputs as are computed together. `watch` holds the
    factors of the limit that |results| are to reach, `least` is the smallest tap that is not 0.
    """

    problem: Problem
    taps: Array
    watch: Watch
    least: float

    def keep(self, block: Array, out: Array) -> None:
        """Compute again what rounding may have spoilt, of results `out` (*tile) from `block` (*window)."""
        import numpy as np

        limit = self.limit(block)
        if limit == 0 and not block.any():
            return
        trusted = self.watch.tiny <= limit <= 1 / self.watch.tiny
        if trusted:
            if not any(_below(part, limit).any() for part in _parts(out)) or self.evenly_spread(block, limit):
                return
            if self.problem.itemsize == 8 and self.told(block, out, limit):
                return
            limit = max(self.watch.tiny, self.limit(block, self.most(block, np.square)))
            if self.evenly_spread(block, limit):
                return
        elif not np.isfinite(block).all():
            return  # what becomes of NaN and infinities is seen to by the caller
        if self.problem.itemsize == 4:
            self.finer(block[None], out[None])
        else:
            self._define(block, out, limit if trusted else inf)

    def limit(self, block: Array, most: float = inf) -> float:
        """What |results| are to reach, if no window has squared pixels of a larger sum; 0 where squares were lost."""
        import numpy as np

        energy = largest = 0.0
        for part in _parts(block):
            flat = part.reshape(-1)
            energy += float(np.vdot(flat, flat))
            largest = max(largest, float(part.max()), -float(part.min()))
        if energy < self.watch.tiny:
            return 0.0
        brightest = self.watch.norm * sqrt(min(energy, most))
        return self.watch.random * sqrt(energy) + min(self.watch.sum * largest, brightest)

    def evenly_spread(self, block: Array, limit: float) -> bool:
        """Whether no window has more than a few pixels so small that the others might not do: see `Spectrum`."""
        watch = self.watch
        size = limit / watch.left if watch.left > watch.tiny * limit else inf
        return size < inf and self.most(block, lambda part: _below(part, size)) <= watch.few

    def most(self, block: Array, of: Callable[[Array], Array]) -> float:
        """The largest sum of what is made of pixels in any window of the kernel: in all cells that it touches."""
        import numpy as np

        cells = [max(1, (axis.extent + 2) // 4) for axis in self.problem.axes]
        touched = [(axis.extent + cell - 2) // cell + 1 for axis, cell in zip(self.problem.axes, cells, strict=True)]
        counting = np.min_scalar_type(prod(cells) * prod(touched))
        sums = np.concatenate([_by_cells(of(part), cells, counting) for part in _parts(block, cells[0])])
        for place, count in enumerate(touched):
            sums = _windows(sums, place, count)
        return float(sums.max())

    def told(self, block: Array, out: Array, limit: float) -> bool:
        """Whether all that any tap makes of any pixel is above the limit: then what is far below it sees only zeros."""
        import numpy as np

        sizes = np.abs(block)
        sizes[sizes == 0] = np.inf
        if float(sizes.min()) * self.least < 2 * limit:
            return False
        out[np.abs(out) <= self.problem.tolerance * limit] = 0
        return True

    @cached_property
    def finer(self) -> Apply:
        """The same in float64."""
        return cut(load("fft"), self.taps[None, None], replace(self.problem, itemsize=8))

    @cached_property
    def defined(self) -> Apply:
        """The same by the definition."""
        return cut(load("direct"), self.taps[None, None], self.problem)

    def _define(self, block: Array, out: Array, limit: float) -> None:
        """Results below a limit by the definition, in boxes."""
        import numpy as np

        for box in _boxes_of(~(np.abs(out) >= limit)):
            each = zip(box, self.problem.axes, strict=True)
            read = tuple(slice(b.start * a.stride, (b.stop - 1) * a.stride + a.extent) for b, a in each)
            if block[read].any():
                self.defined(block[read][None], out[box][None])
            else:
                out[box] = 0


def _parts(array: Array, cell: int = 1) -> Iterator[Array]:
    """An array cut along its first axis, by whole cells, into parts that fit a cache, with what is made of them."""
    step = max(1, PART * len(array) // array.size // cell) * cell
    return (array[first : first + step] for first in range(0, len(array), step))


def _below(values: Array, size: float) -> Array:
    """Which values are smaller than a size, without an array of all sizes."""
    marked: Array = values < size
    marked &= values > -size
    return marked


def _boxes_of(marked: Array) -> Iterator[tuple[slice, ...]]:
    """Boxes that cover all that is marked."""
    import numpy as np

    step = BOX.get(marked.ndim, BOX[3])
    for cell in np.argwhere(_by_cells(marked, [step] * marked.ndim, np.int32)):
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
    problem: Problem,
    taps: Array,
    spread: Array,
    gain: float,
    values: int,
    tile: tuple[int, ...],
    rounding: tuple[tuple[float, float, float], tuple[float, float, float]],
) -> Promise:
    """The promise of one filter with taps (*kernel), `spread` by the dilation, for transforms of so many values that
    yield a tile of outputs; `rounding` is that of their implementation.
    """
    import numpy as np

    axes = (_of_size(axis, outputs) for axis, outputs in zip(problem.axes, tile, strict=True))
    unit, sizes = UNIT[problem.itemsize] / (SHARE * problem.tolerance), np.sort(np.abs(taps), axis=None)
    norm, unlike = float(np.sqrt(np.square(sizes).sum())), gain < UNLIKE * float(sizes.sum())
    random, peak, most = (unit * constant for constant in rounding[unlike])
    random *= sqrt(log2(values) / values)
    sums = np.cumsum(np.append(0, sizes))
    few, left = level(sums)
    watch = Watch(
        random * gain,
        random * norm,
        random,
        unit * ALONE * gain / sqrt(values),
        peak * float(sums[-1]),
        peak * norm,
        most,
        TINY[problem.itemsize],
        SHARE * problem.tolerance,
        left,
        few,
        spread,
    )
    return Promise(
        _alone(replace(problem, axes=tuple(axes))), taps, watch, float(sizes.min(initial=inf, where=sizes > 0))
    )


def _alone(problem: Problem) -> Problem:
    """One filter on one channel."""
    return replace(problem, channels_in=1, channels_out=1, groups=1, planes=1, together=1, rank=None)


def _of_size(axis: Geometry, outputs: int) -> Geometry:
    """An axis just long enough for so many outputs."""
    return axis._replace(size=axis.stride * (outputs - 1) + axis.extent, begin=0, end=0)


def _by_cells(values: Array, cells: list[int], counting: DTypeLike) -> Array:
    """Sums over cells, those of marks in integers for `counting`; the last cell along an axis may be shorter."""
    import numpy as np

    sums, kind = (values.view(np.uint8), counting) if values.dtype == bool else (values, values.dtype)
    for place, cell in enumerate(cells):
        lines = np.moveaxis(sums, place, 0)
        sums = lines[::cell].astype(kind)
        for first in range(1, min(cell, len(lines))):
            part = lines[first::cell]
            sums[: len(part)] += part
        sums = np.moveaxis(sums, 0, place)
    return sums


def _windows(cells: Array, place: int, count: int) -> Array:
    """Sums of `count` cells that follow each other along an axis, from each on."""
    import numpy as np

    lines = np.moveaxis(cells, place, 0)
    starts = max(1, len(lines) - count + 1)
    sums = lines[:starts].copy("K")
    for first in range(1, min(count, len(lines))):
        sums += lines[first : first + starts]
    return np.moveaxis(sums, 0, place)
