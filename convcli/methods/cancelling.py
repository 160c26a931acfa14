"""Sums of terms that cancel, held to the promise at each output: |error| <= tolerance (|k| * |x|) there.

What is left under a tap, of the terms and of their rounding, is known before any pixel is. Where it is small beside
each tap there is nothing to see to: of many kernels that is so in float32, and they are summed in it. Else float64 sums
them. Where that leaves too much, too (under the corners of a disk taps are 0), its share in a result is at most that of
the largest pixel under the kernel. Results are kept where they, or the sum of the taps times the smallest pixel under
the kernel, are so large that this is within the tolerance, and computed by the definition elsewhere. Both are told from
what an output reads and from nothing else: tiles of any size give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from math import sqrt
from typing import TYPE_CHECKING, Any

from convcli.geometry.problem import Problem
from convcli.methods.contract import Reads
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

UNIT = 2.0**-53
"""Half a unit in the last place of float64, in which terms that cancel are added up."""
SINGLE, FIXED, RANDOM = 2.0**-24, 2.0, 1.5
"""The same of float32. A pixel that outshines the others meets a rounded tap and a rounded product in each pass; sums
are rounded up as often as down, so that n of them make the root of n (Higham and Mary, "A new approach to probabilistic
rounding error analysis", 2019). The largest error in 900 images with values chosen to hurt was 0.6 of both (2026-11).
"""
STEADY = 0.9
"""The part of the tolerance that rounding in float32 may take under each tap."""
PLAIN = (1e-30, 1e6)
"""Sizes of the factors of taps whose products with pixels are as exact as float32 is."""
SHARE = 0.4
"""The part of the tolerance that rests under taps may take; as much again is for those beside which they are large."""
VALUES = 2**16
"""Taps that are compared with what terms make of them at once, and outputs that are looked at together."""


@record(eq=False)
class Rest:
    """What the terms of one filter leave under some of its `taps` (*kernel): with `share` times the largest pixel under
    the kernel it would use up the tolerance of a result.
    """

    problem: Problem
    taps: Array
    total: float
    share: float

    def bears(self, samples: Array, constants: Sequence[float]) -> bool:
        """Whether pixels, and constants beyond them, are so much alike that no result is spoilt."""
        low, high = min([float(samples.min()), *constants]), max([float(samples.max()), *constants])
        return self.total * max(low, -high, 0.0) >= self.share * max(high, -low)

    def keep(self, block: Array, out: Array, reads: Reads) -> None:
        """Compute again what is spoilt, of results `out` (*tile) from `block`, or from what `reads` looks up in it."""
        first = self.problem.axes[0]
        step = max(first.extent, VALUES * out.shape[0] // max(1, out.size))
        for start in range(0, out.shape[0], step):
            results = out[start : start + step]
            rows = slice(start * first.stride, (start + len(results) - 1) * first.stride + first.extent)
            window = block[rows] if reads[0] is None else block.take(reads[0][rows], axis=0)
            for place, read in enumerate(reads[1:], 1):
                window = window if read is None else window.take(read, axis=place)
            self._keep(window, results)

    def _keep(self, window: Array, out: Array) -> None:
        """The same for a whole window."""
        import numpy as np

        pixels, results = np.abs(window), np.abs(out)
        largest = float(pixels.max(initial=0))
        if not np.isfinite(largest):
            return  # what becomes of NaN and infinities is seen to by the caller
        if max(float(results.min()), self.total * float(pixels.min())) >= self.share * largest:
            return
        most = self._under(pixels, np.maximum).astype(np.float64) * self.share
        doubtful = (results < most) & (self._under(pixels, np.minimum).astype(np.float64) * self.total < most)
        if doubtful.any():
            out[doubtful] = self._defined(window, np.nonzero(doubtful))

    def _under(self, pixels: Array, pick: Any) -> Array:
        """The largest or the smallest of the pixels from the first tap to the last, of each output."""
        for place, axis in enumerate(self.problem.axes):
            size, before = 1, (slice(None),) * place
            while size < axis.extent:
                step = min(size, axis.extent - size)
                pixels = pick(pixels[*before, :-step], pixels[*before, step:])
                size += step
            pixels = pixels[*before, :: axis.stride]
        return pixels

    def _defined(self, window: Array, places: tuple[Array, ...]) -> Array:
        """Results at places, tap by tap in float64."""
        import numpy as np

        flat, strides = window.reshape(-1), np.cumprod([1, *window.shape[:0:-1]])[::-1]
        steps = [axis.stride * int(stride) for axis, stride in zip(self.problem.axes, strides, strict=True)]
        firsts = sum(place * step for place, step in zip(places, steps, strict=True))
        reach = [axis.dilation * int(stride) for axis, stride in zip(self.problem.axes, strides, strict=True)]
        made = np.zeros(len(places[0]))
        for tap in np.argwhere(self.taps):
            made += self.taps[*tap] * flat[firsts + int(tap @ reach)].astype(np.float64)
        return made


def rests_of(
    taps: Array, terms: Sequence[Sequence[Sequence[Sequence[Any]]]], problem: Problem
) -> tuple[Rest | None, ...]:
    """What the terms of each filter, of taps (O, 1, *kernel), leave; none where no filter is held to its taps."""
    if not problem.local or problem.approximation or (problem.steady and problem.itemsize == 4):
        return ()
    found = tuple(rest_of(each[0], filter_[0], problem) for each, filter_ in zip(taps, terms, strict=True))
    return found if any(found) else ()


def rest_of(taps: Array, terms: Sequence[Sequence[Any]], problem: Problem) -> Rest | None:
    """What terms, vectors for each axis, leave of `taps` (*kernel); None where it is little beside each of them."""
    unit = UNIT * (sum(problem.kernel) + len(terms)) if len(terms) > 1 else 0.0  # a product is as exact as its factors
    allowed, left, total = SHARE * problem.tolerance, 0.0, 0.0
    for some, made, sizes in _parts(taps, terms):
        rests, there = abs(some - made) + unit * sizes, abs(some)
        left += float(rests.sum(where=rests > allowed * there))
        total += float(there.sum())
    return Rest(problem, taps, total, left / allowed) if left else None


def is_steady(taps: Array, terms: Sequence[Sequence[Any]], tolerance: float) -> bool:
    """Whether rounding in float32 is within a tolerance beside each of `taps` (*kernel), and so beside any result."""
    import numpy as np

    sizes = [abs(np.asarray(factor)) for term in terms for factor in term]
    if any(each.max() > PLAIN[1] or each.min(initial=1, where=each > 0) < PLAIN[0] for each in sizes):
        return False
    unit = SINGLE * (FIXED * taps.ndim + RANDOM * sqrt(sum(taps.shape) + len(terms)))
    parts = _parts(taps, terms)
    return all((abs(some - made) + unit * sizes <= STEADY * tolerance * abs(some)).all() for some, made, sizes in parts)


def _parts(taps: Array, terms: Sequence[Sequence[Any]]) -> Iterator[tuple[Array, Array, Array]]:
    """Taps, some of the first axis at a time, with the sum of their terms, and that of the absolute values of these."""
    import numpy as np

    rows = max(1, VALUES * len(taps) // taps.size)
    for start in range(0, len(taps), rows):
        some = taps[start : start + rows]
        made, sizes = np.zeros(some.shape), np.zeros(some.shape)
        for first, *others in terms:
            product = reduce(np.multiply.outer, map(np.asarray, others), np.asarray(first)[start : start + rows])
            made += product
            sizes += abs(product)
        yield some, made, sizes
