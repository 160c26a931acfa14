"""Kernels whose taps are all alike, as sums: of two parts of a window that are sums themselves, whatever its size.

A part of `separable`, whose passes these are: one over rows and columns, and one over slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import repeat
from math import prod
from sys import float_info
from typing import TYPE_CHECKING, Any

from convcli import native
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Cost, Problem
from convcli.methods.contract import Reads
from convcli.methods.cutting import ALONE, Alone
from convcli.methods.passes import Pass, slices_as_rows
from convcli.native.sums import AVAILABLE, correlate
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

COLUMNS = 2
"""The place of columns, behind slices and rows."""
PASS, JOINT = (1.0, 0.6), (0.7, 0.35)
"""What a pass costs, and joining two sums, in stores of a value: of numbers, and of short integers (2026-12)."""
CALLS = 6
"""What a pass costs before its first output, in NumPy calls."""


def summed(problem: Problem) -> bool:
    """Whether compiled loops sum up what is under taps that are all alike, in float32 or float64."""
    side_by_side = all((axis.stride, axis.dilation) == (1, 1) for axis in problem.axes)
    return problem.alike and problem.fan_in == 1 and AVAILABLE and side_by_side


def price(problem: Problem, busy: Sequence[int], machine: Machine) -> Cost:
    """Some additions for each axis, as many as its kernel's length has bits, and a store for each pass."""
    images, sizes, macs, stores = problem.planes * problem.channels_out, [axis.size for axis in problem.axes], 0, 0
    for place in busy:
        axis = problem.axes[place]
        sizes[place] = axis.output
        macs += images * prod(sizes) * (axis.kernel.bit_length() - 1)
        stores += images * prod(sizes) * (place != len(sizes) - 2 or busy[-1] == place)
    calls = CALLS * len(busy) * problem.images * problem.channels_out
    each = PASS[problem.short] * stores + JOINT[problem.short] * macs
    return Cost(macs, seconds=each * machine.store + calls * machine.call)


@record
class Sums(Pass):
    """Sums of the pixels along the axis, or in rectangles of `rows` besides, times a tap: `taps` is (1, 1)."""

    rows: Geometry | None = None

    def run(
        self, source: Array, target: Array, reads: Reads, step: int, team: Alone = ALONE, **more: Any
    ) -> native.Counts:
        """Fill `target` (1, ...) from `source` (1, ...)."""
        if self.place == 0:
            source, target = slices_as_rows(source, target)
        place, looked = self.place or 1, [None, reads[1] if self.rows else None, None]
        looked[place] = reads[self.place]
        size = (self.rows.kernel if self.rows else 1, self.axis.kernel)
        more |= {"reads": looked, "step": step if place == COLUMNS else 1, "precise": self.taps.dtype == "float64"}
        more |= {"team": native.team_of(team.size)}
        rectangle = size if place == COLUMNS else size[::-1]
        told = source[0], rectangle, self.taps.item(), target[0]
        counts = native.total(team.together(partial(correlate, *told, **more)))
        return made_smaller(*told, **more) if any(counts) and overflows(source, target, rectangle, **more) else counts


def overflows(source: Array, target: Array, size: tuple[int, int], *, outside: Sequence[float] = (), **_: Any) -> bool:
    """Whether sums of so many pixels may be infinite where results are not: in float64, than which nothing is wider."""
    import numpy as np

    if source.dtype != "float64" or target.dtype.kind != "f":
        return False
    most = float(np.abs(source).max(where=np.isfinite(source), initial=max(map(abs, outside), default=0.0)))
    return most > float_info.max / prod(size)


def made_smaller(
    source: Array, size: tuple[int, int], tap: float, target: Array, *, outside: Sequence[float] = (), **more: Any
) -> native.Counts:
    """Make results that are not finite again, of pixels divided by a power of two: no sum of them is infinite."""
    import numpy as np

    smaller, made = 2.0 ** -prod(size).bit_length(), np.empty_like(target)
    if outside:
        more["outside"] = [value * smaller for value in outside]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # what was infinite, or is, is told
        correlate(source * smaller, size, tap / smaller, made, **more | {"team": native.team_of(1)})
    np.copyto(target, made, where=~np.isfinite(target))
    beyond = (int(np.count_nonzero(each)) for each in (target == -np.inf, target == np.inf, np.isnan(target)))
    return native.Counts(*beyond)


def passes(factors: Sequence[Array], problem: Problem, busy: Sequence[int]) -> tuple[Pass, ...]:
    """The passes along the `busy` axes of a filter with `factors` (1, K) of each; () where their taps are not alike.

    The last of them has the tap; in float64 those before it divide by a power of two, so that no sum is infinite.
    """
    import numpy as np

    if not all(len(each) == 1 and (each == each[0, 0]).all() for each in factors):
        return ()
    axes, tap = problem.axes, prod(float(each[0, 0]) for each in factors)
    rows = axes[-2] if tuple(busy[-2:]) == (len(axes) - 2, len(axes) - 1) else None
    before = busy[: -2 if rows else -1]
    parts = [2.0 ** -axes[place].kernel.bit_length() if problem.itemsize == 8 else 1.0 for place in before]
    each = [*zip(before, parts, repeat(None), strict=False), (busy[-1], tap / prod(parts), rows)]
    return tuple(
        Sums(axes[place], place + 3 - len(axes), np.full((1, 1), value, problem.dtype), more)
        for place, value, more in each
    )
