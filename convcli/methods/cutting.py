"""What methods share: boxes of any size cut into tiles, memory that one tile leaves to the next, threads on one tile.

Tiles belong to a method and a precision: where results are computed again by another one, its tiles are others. Fresh
pages from the system cost as much as the arithmetic done on them. The engine has teams of several threads; here is the
one that every method starts with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from convcli.geometry.problem import Problem
from convcli.methods.contract import Method, Prepared
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Apply = Callable[[Array, Array], None]


@record
class Workspace:
    """Buffers of one method, lent to as many threads as ask; each holds at least what its last borrower needed."""

    spare: list[Array] = field(default_factory=list, init=False)

    @contextmanager
    def borrow(self, shape: tuple[int, ...], dtype: Any) -> Iterator[Array]:
        """An array with any values in it, until the end of the block."""
        import numpy as np

        needed = prod(shape) * np.dtype(dtype).itemsize
        buffer = self.spare.pop() if self.spare else np.empty(0, np.uint8)
        if len(buffer) < needed:
            buffer = np.empty(needed, np.uint8)
        yield buffer[:needed].view(dtype).reshape(shape)
        self.spare.append(buffer)


T = TypeVar("T")


class Alone:
    """A team of one thread."""

    size = 1

    def share(self, work: Callable[[slice], object], count: int) -> None:
        """Call `work` on slices of `count` things, together all of them."""
        work(slice(0, count))

    def together(self, work: Callable[[], T]) -> list[T]:
        """What `work` returns in each thread that comes to help."""
        return [work()]


ALONE = Alone()


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
