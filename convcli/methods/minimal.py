"""Fewer products for tall kernels on a plane and for small filter banks: Winograd's F(2,3) down the columns.

Kernel rows are taken in threes, outputs in pairs: a pair needs four products of a three instead of six. On a plane the
rows of a three lie a third of the kernel apart, and so do outputs of a pair: neighbouring rows share what they load. In
a bank the mixed rows serve all filters, and a stride leaves as many phases of kernel rows. Compiled only: see
native/minimal.c and native/layers.c. Source: Winograd, "Arithmetic complexity of computations", 1980.
"""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING, Any, ClassVar

from convcli import native
from convcli.geometry.problem import Cost, Problem
from convcli.methods import direct
from convcli.methods.contract import Method, Prepared
from convcli.methods.cutting import ALONE, Alone
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

SHORTEST, TALLEST = 7, 15
"""Kernel rows on a plane: mixing rows costs more than it saves; more sums than there are registers."""
REACH = 64
"""Pixels that a row of taps on a plane may span: four samples of each are the 256 of native/minimal.c."""
MOST_SAMPLES = 4
MOST_TAPS = 640
"""Taps of a filter of a bank: half of them may be one sum, and longer ones lose too much."""
FAR = 8
"""Strides and dilations of a bank: each phase of the columns that they leave is laid out on its own."""
MIXED = 2.3
"""Stores of an output that mixing rows takes, and its own."""
SLOWER = 0.9
"""How much longer a product of a bank takes than the definition's, whose pixels are read again for each row."""
CALLS = 6
"""What a call costs before the first block, in NumPy calls: threes of taps, and memory for the rows."""
FEW = 9
"""Taps of a row up to which sums lose less."""


def rounding(problem: Problem) -> float:
    """The largest error seen in float32, relative to sum|k| max|x|, with values chosen to hurt (2026-11)."""
    if _is_bank(problem):
        return 4e-6
    return 1.2e-6 if problem.kernel[-1] <= FEW else 2.5e-6


def refuse(problem: Problem) -> str | None:
    """Anything but tall kernels of single channels, and banks whose sums are short."""
    if len(problem.axes) != 2 or problem.dilation[0] != 1:
        return "only in a plane, for dilation 1 down the columns"
    if reason := _refuse_bank(problem) if _is_bank(problem) else _refuse_kernel(problem):
        return reason
    # Taps that are alike do not help: sums of products that cancel keep what each addition lost beside a large pixel.
    # On a spot among even pixels threes of 1, 1 and 1/16 (9x9) or 1/8 (15x15) break the promise. Sums over three
    # columns, and the definition for threes that might still break it (of random taps a tenth), hold it, but are 0.94
    # (9x9) and 0.99 (15x15) times as fast as the definition of all; without such threes 1.02 and 1.2 (2026-11).
    if problem.local:
        return "it mixes rows, whose rounding would show where pixels are far apart in size"
    if problem.itemsize == 8:
        return "only in float32"
    return None if native.MINIMAL and native.LAYERS else "only in compiled code"


def _is_bank(problem: Problem) -> bool:
    """Whether filters sum over channels, or share them."""
    return problem.fan_in > 1 or problem.channels_out > problem.channels_in


def _refuse_kernel(problem: Problem) -> str | None:
    if not SHORTEST <= problem.kernel[0] <= TALLEST:
        return f"only for kernels of {SHORTEST} to {TALLEST} rows"
    if set(problem.stride) != {1}:
        return "only for stride 1"
    return f"only for rows of taps that span up to {REACH} pixels" if problem.axes[1].extent > REACH else None


def _refuse_bank(problem: Problem) -> str | None:
    high, wide = problem.kernel
    if high <= problem.stride[0]:
        return "only for kernels higher than their stride"
    if max(*problem.stride, problem.dilation[1]) > FAR:
        return f"only for strides and dilations up to {FAR}"
    if (taps := problem.fan_in * high * wide) > MOST_TAPS:
        return f"{taps} taps; only for filters of up to {MOST_TAPS}"
    return direct.refuse(problem)


tile = direct.tile


def grain(problem: Problem, axis: int = 0) -> int:
    """Pairs of rows; on a plane a third of the kernel's rows lies between them."""
    return 2 if _is_bank(problem) else 2 * ceil(problem.kernel[axis] / 3)


def compiled(problem: Problem) -> bool:
    """Pixels that are floats, and stay so, are read and written as they lie in an image."""
    return problem.plain


def price(problem: Problem, machine: Machine) -> Cost:
    """The products that are left of each output's, and the mixing of rows."""
    outputs = problem.planes * problem.channels_out * prod(problem.output)
    products, slower, more = outputs * problem.kernel[1] * problem.fan_in * _rows(problem) // 2, 1.0, 0.0
    if _is_bank(problem):
        slower = SLOWER
        more = machine.gap * problem.groups / problem.channels_out if problem.stride[1] > 1 else 0.0
    mixed = outputs * (MIXED * machine.store + more)
    return Cost(products, seconds=products * machine.tap * slower + mixed + CALLS * machine.call)


def _rows(problem: Problem) -> int:
    """Rows of products of two outputs: a three needs four, a two three, a single row two.

    >>> from convcli.geometry.axis import Geometry
    >>> _rows(Problem((Geometry(40, 9),) * 2)), _rows(Problem((Geometry(40, 7, stride=2),) * 2, channels_out=2))
    (12, 10)
    """
    high, stride = problem.kernel[0], problem.stride[0]
    if not _is_bank(problem):
        return ceil(high / 3) + high  # threes that lie apart have no single rows, but twos in their place
    rows = [ceil((high - phase) / stride) for phase in range(min(high, stride))]
    return sum(n // 3 * 4 + (0, 2, 3)[n % 3] for n in rows)


def prepare(taps: Array, problem: Problem) -> Prepared:
    """The filters ready to be applied; in float64, where float32 overflows, by the definition."""
    return direct.prepare(taps, problem) if problem.itemsize == 8 else Minimal(problem, taps.astype(problem.dtype))


@record
class Minimal(Prepared):
    """Applies filters by the native extension."""

    blas: ClassVar = False
    shares: ClassVar = True
    problem: Problem
    taps: Array
    team: Alone = ALONE

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        import numpy as np

        made = out if out.strides[-1] == out.itemsize else np.empty_like(out, order="C")
        self._sum(block, made)
        if made is not out:
            out[...] = made

    def with_team(self, team: Alone) -> Minimal:
        """The same by a team of threads."""
        return replace(self, team=team)

    def fused(self, source: Array, target: Array, **more: Any) -> native.Counts | None:
        """The same on channels as they lie in an image; None where that cannot be, or where results are not finite."""
        pixels = all(samples.dtype == "float32" for samples in (source, target))
        if not pixels or target.strides[-1] != target.itemsize or more["step"] > MOST_SAMPLES:
            return None
        if _is_bank(self.problem) and (more["step"], more["scale"], more["bias"]) != (1, 1, 0):
            return None
        return native.Counts(0, 0, 0) if self._sum(source, target, **more) else None

    def _sum(self, channels: Array, results: Array, **more: Any) -> bool:
        """All filters in one call; a plane is a volume of one slice."""
        correlate = native.correlate_layers if _is_bank(self.problem) else native.correlate_minimal
        more |= {"stride": self.problem.stride, "dilation": self.problem.dilation}
        more["team"] = native.team_of(self.team.size)
        arrays = channels[:, None], self.taps[:, :, None], results[:, None]
        return all(self.team.together(lambda: correlate(*arrays, **more)))


METHOD = Method(refuse, price, rounding, tile, prepare, compiled=compiled, grain=grain)
