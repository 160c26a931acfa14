"""Tall kernels on a plane with two thirds of the products: Winograd's minimal filtering F(2,3) down the columns.

Kernel rows are taken in threes that lie a third of the kernel apart, and outputs in pairs that do: each pair needs four
products of a three instead of six. Compiled only: see native/minimal.c. Source: Winograd, "Arithmetic complexity of
computations", 1980.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any, ClassVar

from convcli import native
from convcli.arithmetic.problem import Cost, Problem
from convcli.methods import direct

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

GRAIN = 24
"""Rows of outputs of three or four blocks, whatever the kernel."""
SHORTEST, TALLEST = 7, 15
"""Kernel rows: sums and differences of rows cost more than they save; more sums than there are registers."""
REACH = 64
"""Pixels that a row of taps may span, beyond the first: four samples of each are the 256 of native/minimal.c."""
MOST_SAMPLES = 4
MIXED = 2.3
"""Stores of an output that its sums and differences of rows take, and its own."""
CALLS = 6
"""What a call costs before the first block, in NumPy calls: threes of taps, and memory for the rows."""
FEW = 9
"""Taps of a row up to which sums lose less."""


def rounding(problem: Problem) -> float:
    """The largest error seen in float32, relative to sum|k| max|x|, with values chosen to hurt (2026-11)."""
    return 1.2e-6 if problem.kernel[-1] <= FEW else 2.5e-6


def refuse(problem: Problem) -> str | None:
    """Anything but tall kernels of single channels in a plane, at stride 1."""
    if len(problem.axes) != 2 or problem.fan_in > 1:
        return "only for single channels in a plane"
    if not SHORTEST <= problem.kernel[0] <= TALLEST:
        return f"only for kernels of {SHORTEST} to {TALLEST} rows"
    if set(problem.stride) != {1} or problem.dilation[0] != 1:
        return "only for stride 1, and dilation 1 down the columns"
    if problem.axes[1].extent > REACH:
        return f"only for rows of taps that span up to {REACH} pixels"
    if problem.itemsize == 8:
        return "only in float32"
    return None if native.MINIMAL else "only in compiled code"


tile = direct.tile


def compiled(problem: Problem) -> bool:
    """Pixels that are floats, and stay so, are read and written as they lie in an image."""
    return problem.plain


def price(problem: Problem, machine: Machine) -> Cost:
    """With kernels of 2 apart + rest rows, (3 apart + rest) / 2 rows of products an output, and the mixing of rows."""
    outputs = problem.planes * problem.channels_out * prod(problem.output)
    high, wide = problem.kernel
    products = outputs * wide * (ceil(high / 3) + high) // 2
    return Cost(products, seconds=products * machine.tap + outputs * MIXED * machine.store + CALLS * machine.call)


def prepare(taps: Array, problem: Problem) -> Minimal | direct.Compiled | direct.Banded:
    """The filters ready to be applied; in float64, where float32 overflows, by the definition."""
    return direct.prepare(taps, problem) if problem.itemsize == 8 else Minimal(problem, taps.astype(problem.dtype))


@dataclass(frozen=True)
class Minimal:
    """Applies filters by the native extension."""

    blas: ClassVar = False
    problem: Problem
    taps: Array

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        import numpy as np

        made = out if out.strides[-1] == out.itemsize else np.empty_like(out, order="C")
        self._sum(block, made)
        if made is not out:
            out[...] = made

    def fused(self, source: Array, target: Array, **more: Any) -> native.Counts | None:
        """The same on channels as they lie in an image; None where that cannot be, or where results are not finite."""
        pixels = all(samples.dtype == "float32" for samples in (source, target))
        if not pixels or target.strides[-1] != target.itemsize or more["step"] > MOST_SAMPLES:
            return None
        return native.Counts(0, 0, 0) if self._sum(source, target, **more) else None

    def _sum(self, channels: Array, results: Array, **more: Any) -> bool:
        """All filters in one call; a plane is a volume of one slice."""
        more["dilation"] = self.problem.dilation
        return native.correlate_minimal(channels[:, None], self.taps[:, :, None], results[:, None], **more)
