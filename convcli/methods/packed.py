"""Banks of float32 by compiled loops that keep their sums in registers (native/banks.c): no method, but a part of two.

Filters that share what they read are summed side by side in vectors (`gemm`); of those that are few, each alone, a
few rows of outputs at a time (`direct`). A sum runs over channels and taps in their order, wherever its output lies:
tiles may be cut anywhere.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import TYPE_CHECKING, Any, ClassVar

from convcli import native
from convcli.geometry.problem import Problem
from convcli.methods.contract import Prepared, Reads
from convcli.methods.cutting import ALONE, Alone
from convcli.native import banks
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

BURST = 128
"""Products that a sum takes in a row, or the root of all, where accuracy holds at each output.

Beside a large pixel each addition may lose half a unit in the last place; BLAS goes on for hundreds, or to the end.
"""


WIDE = 112
"""Columns that a tile of the compiled loops has at least."""
MOST_PIXELS = 2**24
"""Pixels that they lay out for a row of outputs: 64 MiB."""
CALLS = 3
"""What a call costs before the first product, in NumPy calls."""
PAID = 0.5
"""Stores of an output that laying out a pixel takes."""


def fits(problem: Problem) -> bool:
    """Whether the loops are there, and what a row of outputs reads is not too much for the memory."""
    *deep, rows, columns = problem.axes
    wide = (min(columns.output, WIDE) - 1) * columns.stride + columns.extent
    return banks.AVAILABLE and problem.fan_in * prod(a.kernel for a in deep) * rows.extent * wide <= MOST_PIXELS


def moved(problem: Problem, machine: Machine) -> float:
    """Seconds that laying out pixels takes, and storing outputs."""
    outputs = problem.planes * problem.channels_out * prod(problem.output)
    pixels = problem.planes * problem.channels_in * prod(axis.size for axis in problem.axes)
    return (outputs + PAID * pixels) * machine.store + CALLS * machine.call


def packed(taps: Array, groups: int) -> Array:
    """Taps (O, I/g, *kernel) for the instructions of this processor."""
    return banks.packed(taps, groups, banks.lanes())


@record
class Packed(Prepared):
    """Applies a bank by the compiled loops; `taps` are `packed`, or those of filters alone: (O, I/g, kd, kh, kw).

    The results of such may be mixed, by a `packed` mix, before they leave the cache.
    """

    blas: ClassVar = False
    shares: ClassVar = True
    looks_up: ClassVar = True
    problem: Problem
    taps: Array
    mix: Array | None = None
    team: Alone = ALONE

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        self.look_up(block, out, (None,) * len(self.problem.axes))

    def look_up(self, block: Array, out: Array, reads: Reads) -> None:
        """The same from the pixels that `reads` looks up for the window."""
        import numpy as np

        made = out if out.strides[-1] == out.itemsize else np.empty_like(out, order="C")
        self._sum(block, made, reads=reads)
        if made is not out:
            out[...] = made

    def with_team(self, team: Alone) -> Packed:
        """The same by a team of threads."""
        return replace(self, team=team)

    def fused(self, source: Array, target: Array, **more: Any) -> native.Counts | None:
        """The same on channels as they lie in an image; None where that cannot be, or where results are not finite."""
        plain = all(samples.dtype == "float32" for samples in (source, target))
        if not plain or target.strides[-1] != target.itemsize:
            return None
        if (more["step"], more["scale"], more["bias"]) != (1, 1, 0):
            return None
        return native.Counts(0, 0, 0) if self._sum(source, target, **more) else None

    def _sum(self, channels: Array, results: Array, **more: Any) -> bool:
        """All filters in one call; a plane is a volume of one slice."""
        problem = self.problem
        more |= {"stride": problem.stride, "dilation": problem.dilation, "team": native.team_of(self.team.size)}
        if problem.local:
            more["stretch"] = burst(prod(problem.kernel) * problem.fan_in)
        if len(problem.axes) < 3:
            channels, results = channels[:, None], results[:, None]
        kernel, more["mix"] = (problem.fan_in, *(1, *problem.kernel)[-3:]), self.mix
        return all(self.team.together(lambda: banks.correlate(channels, self.taps, kernel, results, **more)))


def each_alone(taps: Array, problem: Problem) -> Packed:
    """Few filters to each of many maps, (O, I/g, *kernel)."""
    made = taps.astype(problem.dtype)
    return Packed(problem, made.reshape(*taps.shape[:2], *(1, *problem.kernel)[-3:]))


def burst(depth: int) -> int:
    """Products of a long sum that are added up before they are added to it, where accuracy holds at each output."""
    return max(BURST, isqrt(depth))
