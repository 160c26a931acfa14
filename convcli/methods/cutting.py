"""A method on boxes of any size: cut into the tiles that it likes, in the precision that it was prepared for.

Tiles belong to a method and a precision. Where results are computed again by another one, its tiles are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from convcli.geometry.problem import Problem
from convcli.methods.contract import Method, Prepared
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Apply = Callable[[Array, Array], None]


@record
class Cut(Prepared):
    """Applies a prepared method in tiles of at most `tile` outputs; blocks and results may be of another precision."""

    problem: Problem
    tile: tuple[int, ...]
    prepared: Prepared

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *outputs) from `block` (I, *window)."""
        import numpy as np

        for read, made in self._places(out.shape[1:]):
            pixels, results = np.asarray(block[(slice(None), *read)], self.problem.dtype), out[(slice(None), *made)]
            if results.dtype == pixels.dtype:
                self.prepared(pixels, results)
                continue
            exact = np.empty(results.shape, pixels.dtype)
            self.prepared(pixels, exact)
            results[...] = exact

    def _places(self, outputs: tuple[int, ...]) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """What each tile reads of a block, and which outputs it makes."""
        starts = (range(0, n, step) for n, step in zip(outputs, self.tile, strict=True))
        for first in product(*starts):
            ends = (min(f + step, n) for f, step, n in zip(first, self.tile, outputs, strict=True))
            made = tuple(slice(*ends) for ends in zip(first, ends, strict=True))
            windows = zip(made, self.problem.axes, strict=True)
            yield tuple(slice(m.start * a.stride, (m.stop - 1) * a.stride + a.extent) for m, a in windows), made


def cut(method: Method, taps: Array, problem: Problem) -> Cut:
    """A method prepared for taps (O, I/g, *kernel) and boxes of any size."""
    return Cut(problem, method.tile(problem), method.prepare(taps, problem))
