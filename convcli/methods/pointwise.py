"""The second half of a depthwise separable convolution: what the depthwise step left of a tile is mixed by one product.

So the image between the two steps is never whole in memory: it is one tile large. The first half is computed by any
method, with groups = C. Where compiled loops filter maps of floats alone, they mix them, too: in parts
that stay in the cache, and cut anywhere.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from convcli.geometry.problem import Cost, Problem
from convcli.methods import direct
from convcli.methods.contract import Method, Prepared, Reads
from convcli.methods.packed import Packed, each_alone, packed
from convcli.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]
    Apply = Callable[[Array, Array], None]


ROUNDING = 1e-6
"""The largest error that a product of float32 numbers adds, as for `gemm`."""


def price(problem: Problem, machine: Machine) -> Cost:
    """A matrix product for each position."""
    between, filters = problem.between, problem.channels_out
    positions = problem.planes * prod(problem.output)
    macs = positions * between * filters
    narrow = 1 + 3 / filters  # a product of few rows waits for memory
    return Cost(macs, seconds=macs * machine.product * narrow + positions * between * machine.store)


def fuses(problem: Problem, method: Method) -> bool:
    """Whether both steps are one call of compiled loops, by the method of the first."""
    return problem.multiplier > 0 and method is direct.METHOD and direct.can_alone(problem.depthwise)


def prepare(kernels: Array, mix: Array, problem: Problem, method: Method) -> Mixed | Packed:
    """Both steps ready: kernels (C m, 1, *space), a mix (O, C m, 1, ...), and the method of the first step."""
    mix = mix.reshape(mix.shape[:2]).astype(problem.dtype)
    if fuses(problem, method):
        return replace(each_alone(kernels, problem.depthwise), mix=packed(mix, 1))
    return Mixed(method.prepare(kernels, problem.depthwise), mix)


@record
class Mixed(Prepared):
    """Applies a depthwise step, then the mix."""

    first: Prepared
    mix: Array

    @property
    def looks_up(self) -> bool:
        """Whether the first step can look its window up."""
        return self.first.looks_up

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (C, *window)."""
        self._mix(block, out, self.first)

    def look_up(self, block: Array, out: Array, reads: Reads) -> None:
        """The same from the pixels that `reads` looks up for the window."""
        self._mix(block, out, lambda pixels, between: self.first.look_up(pixels, between, reads))

    def _mix(self, block: Array, out: Array, first: Apply) -> None:
        import numpy as np

        between = np.empty((self.mix.shape[1], *out.shape[1:]), block.dtype)
        first(block, between)
        flat = out.reshape(len(out), -1)  # a view where the tile's rows follow each other
        np.matmul(self.mix, between.reshape(len(between), -1), out=flat)
        if not np.may_share_memory(flat, out):
            out[...] = flat.reshape(out.shape)
