"""The second half of a depthwise separable convolution: what the depthwise step left of a tile is mixed by one product.

So the image between the two steps is never whole in memory: it is one tile large. The first half is computed by any
method, with groups = C.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from convcli.geometry.problem import Cost, Problem
from convcli.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]
    Apply = Callable[..., None]


ROUNDING = 1e-6
"""The largest error that a product of float32 numbers adds, as for `gemm`."""


def price(problem: Problem, machine: Machine) -> Cost:
    """A matrix product for each position; nothing where the problem is no pair."""
    between, filters = problem.between, problem.channels_out
    if not between:
        return Cost()
    positions = problem.planes * prod(problem.output)
    macs = positions * between * filters
    narrow = 1 + 3 / filters  # a product of few rows waits for memory
    return Cost(macs, seconds=macs * machine.product * narrow + positions * between * machine.store)


def prepare(kernels: Array, mix: Array, problem: Problem, method: Any) -> Mixed:
    """Both steps ready: kernels (C m, 1, *space), a mix (O, C m, 1, ...), and the method of the first step."""
    first: Apply = method.prepare(kernels, problem.depthwise)
    return Mixed(first, mix.reshape(mix.shape[:2]).astype(problem.dtype))


@record
class Mixed:
    """Applies a depthwise step, then the mix."""

    first: Apply
    mix: Array

    @property
    def looks_up(self) -> bool:
        """Whether the first step can look its window up."""
        return getattr(self.first, "looks_up", False)

    def __call__(self, block: Array, out: Array, **reads: Any) -> None:
        """Fill `out` (O, *tile) from `block` (C, *window), or from the pixels that `reads` looks up for the window."""
        import numpy as np

        between = np.empty((self.mix.shape[1], *out.shape[1:]), block.dtype)
        self.first(block, between, **reads)
        flat = out.reshape(len(out), -1)  # a view where the tile's rows follow each other
        np.matmul(self.mix, between.reshape(len(between), -1), out=flat)
        if not np.may_share_memory(flat, out):
            out[...] = flat.reshape(out.shape)
