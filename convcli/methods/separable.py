"""Kernels of low rank as a few 1-D passes: a k x k kernel of rank r costs 2 k r multiply-adds, not k^2.

The terms come with a named kernel or from the singular value decomposition of its taps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import partial
from math import ceil, prod
from typing import TYPE_CHECKING, Any, ClassVar

from convcli import native
from convcli.arithmetic.geometry import Geometry
from convcli.arithmetic.problem import ACCURACY, Cost, Problem
from convcli.methods import direct
from convcli.methods.banded import band, band_rows, phases, strips
from convcli.methods.team import ALONE, Alone
from convcli.methods.terms import factor, most_terms
from convcli.methods.workspace import Workspace
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

RESIDUAL = {4: 2e-7, 8: 1e-14}
"""What may be left of the taps, relative to their absolute sum, by item size: the rounding of the numbers."""


def residual(problem: Problem) -> float:
    """What terms may leave of the taps: a user's share, else the rounding of the numbers, and little beside a tie."""
    careful = problem.tolerance < ACCURACY
    rounded = min(RESIDUAL[4], problem.tolerance / 4) if careful else RESIDUAL[problem.itemsize]
    return max(RESIDUAL[8], rounded, problem.approximation)


def rounding(problem: Problem) -> float:
    """The largest error seen in float32, relative to sum|k| max|x| (2026-11)."""
    longest = max(problem.kernel)
    return (4e-7 if longest <= 32 else 9e-7) * max(1, problem.rank or 1)


def refuse(problem: Problem) -> str | None:
    """Only kernels whose rank is known to be smaller than full gain anything."""
    if problem.rank is None:
        return "not known to be the sum of a few 1-D passes"
    if problem.rank >= max(2, min(problem.kernel)):
        return f"rank {problem.rank}: no sum of fewer 1-D passes"
    return None


def compiled(problem: Problem) -> bool:
    """Whether the native extension computes this problem: channels that meet one kernel each."""
    return (native.AVAILABLE if problem.itemsize == 4 else native.WIDE) and problem.fan_in == 1


def tile(problem: Problem) -> tuple[int, ...]:
    """Blocks that stay in the second-level cache between two passes; compiled ones find their own inside a strip."""
    *deep, rows, columns = problem.output
    if compiled(problem) and deep:
        return _volume_tile(problem)
    if compiled(problem):
        block = direct.grain(problem)
        return min(rows, ceil(max(64, 2**19 // columns) / block) * block), columns
    return (*(min(d, 32) for d in deep), min(rows, 128 if not deep else 32), min(columns, 1024))


def _volume_tile(problem: Problem) -> tuple[int, ...]:
    """As deep as possible, because slices beyond are computed again; rows so few that 8 MB lie between passes."""
    slices, rows, columns = (min(n, most) for n, most in zip(problem.output, (128, 64, 1024), strict=True))
    between = (problem.rank or 1) * _read(problem.axes[0], slices) * columns * problem.itemsize
    return slices, min(rows, max(8, 2**23 // between)), columns


def _read(axis: Geometry, outputs: int) -> int:
    """Samples that so many outputs read."""
    return (outputs - 1) * axis.stride + axis.extent


def price(problem: Problem, machine: Machine) -> Cost:
    """What the compiled passes or NumPy take."""
    return _compiled_price(problem, machine) if compiled(problem) else _banded_price(problem, machine)


def _compiled_price(problem: Problem, machine: Machine) -> Cost:
    """A multiply-add for each tap of each pass, and a store after each; planes come before slices."""
    outputs = problem.planes * problem.channels_out * prod(problem.output)
    terms, deep = problem.rank or 1, problem.axes[:-2]
    again = prod(_read(axis, n) / n for axis, n in zip(deep, tile(problem), strict=False))
    taps = again * sum(problem.kernel[-2:]) + sum(problem.kernel[:-2])
    macs = int(outputs * terms * taps)
    slower, more = (1, 0.0) if problem.stride[-1] == 1 else (2, machine.gap)
    stores = (1 + terms) * (1 + len(deep) * again)
    return Cost(macs, seconds=slower * macs * machine.pass_tap + outputs * (stores * machine.store + more))


def _banded_price(problem: Problem, machine: Machine) -> Cost:
    """The banded products of every pass; earlier passes still have the halo of later axes."""
    sizes = [axis.size + axis.begin + axis.end for axis in problem.axes]
    block = [t * a.stride + a.extent for t, a in zip(tile(problem), problem.axes, strict=True)]
    halo = prod(b / max(1, t) for b, t in zip(block[1:], tile(problem)[1:], strict=True))
    work, values, calls = 0.0, 0.0, 0.0
    for place, axis in enumerate(problem.axes):
        sizes[place] = axis.output
        rows = min(band_rows(axis.kernel), max(1, axis.output))
        dilation = axis.dilation if axis.stride > 1 else 1
        span = axis.stride * (rows - 1) + dilation * (axis.kernel - 1) + 1
        work += prod(sizes) * span * halo
        values += prod(sizes) * halo
        calls += prod(ceil(n / t) for n, t in zip(problem.output, tile(problem), strict=True)) * ceil(
            tile(problem)[place] / rows
        )
    passes = problem.planes * problem.channels_out * problem.fan_in * (problem.rank or 1)
    macs = passes * prod(problem.output) * sum(problem.kernel)
    return Cost(macs=macs, seconds=passes * (work * machine.band + 2 * values * machine.add + calls * machine.call))


def prepare(taps: Array, problem: Problem) -> Compiled | Banded:
    """Factor every filter; `taps` are (O, I/g, *kernel)."""
    import numpy as np

    most = problem.rank or most_terms(problem.kernel)
    limit = residual(problem)
    if compiled(problem):
        nothing = [tuple(map(np.zeros, problem.kernel))]  # a filter without taps still has a result
        factors = [factor(filter_[0], limit, most) or nothing for filter_ in taps]
        sides = (zip(*terms, strict=True) for terms in factors)
        return Compiled(problem, tuple(tuple(np.array(side, problem.dtype) for side in each) for each in sides))
    passes = {
        (o, i): [
            tuple(_one_pass(f.astype(problem.dtype), axis) for f, axis in zip(term, problem.axes, strict=True))
            for term in factor(taps[o, i], limit, most)
        ]
        for o in range(taps.shape[0])
        for i in range(taps.shape[1])
    }
    return Banded(problem, passes)


@record
class Pass:
    """A 1-D kernel along one axis, as a band of `rows` outputs."""

    axis: Geometry
    matrix: Array

    def along(self, pixels: Array, place: int) -> Array:
        """`pixels` with axis `place` replaced by its outputs."""
        import numpy as np

        outputs = (pixels.shape[place] - self.axis.extent) // self.axis.stride + 1
        result = np.empty((*pixels.shape[:place], outputs, *pixels.shape[place + 1 :]), pixels.dtype)
        last = place == pixels.ndim - 1
        for part, dilation in phases(outputs, self.axis.stride, self.axis.dilation):
            cut = (*(slice(None),) * place, part)
            source, target = pixels[cut], result[cut]
            if last and source.strides[-1] != source.itemsize:
                source = np.ascontiguousarray(source)
            self._fill(source, target, place, dilation, last)
        return result

    def _fill(self, source: Array, target: Array, place: int, dilation: int, last: bool) -> None:
        import numpy as np

        for start, stop in strips(target.shape[place], self.matrix.shape[0]):
            count = stop - start
            span = self.axis.stride * (count - 1) + dilation * (self.axis.kernel - 1) + 1
            first = start * self.axis.stride
            inputs = source[(*(slice(None),) * place, slice(first, first + span))]
            outputs = (*(slice(None),) * place, slice(start, stop))
            matrix = self.matrix[:count, :span]
            if last:
                target[outputs] = inputs @ matrix.T
            else:
                shape = (*source.shape[:place], span, -1)
                target[outputs] = np.matmul(matrix, inputs.reshape(shape)).reshape(target[outputs].shape)


@record
class Compiled:
    """Applies terms by the native extension: down the columns, then along the rows, then through the slices."""

    blas: ClassVar = False
    problem: Problem
    terms: tuple[tuple[Array, ...], ...]
    planes: Workspace = field(default_factory=Workspace)
    volumes: Workspace = field(default_factory=Workspace)
    team: Alone = ALONE

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        self.fused(block, out)

    @property
    def shares(self) -> bool:
        """Whether threads can share a call: one that makes both passes."""
        return len(self.problem.axes) == 2 and self.problem.itemsize == 4

    def fused(self, source: Array, target: Array, **more: Any) -> native.Counts:
        """The same on samples as they lie in an image: channels and filters of [slices,] rows and columns."""
        per_group = self.problem.channels_out // self.problem.groups
        counts = [
            self._sum(number, source[number // per_group], result, **more) for number, result in enumerate(target)
        ]
        return native.total(counts)

    def _sum(self, number: int, source: Array, target: Array, **more: Any) -> native.Counts:
        """One filter on a plane or a volume."""
        *deep, down, along = self.terms[number]
        if not deep:
            return self._plane(source, down, along, target, **more)
        return self._volume(source, deep[0], down, along, target, **more)

    def _plane(self, source: Array, down: Array, along: Array, target: Array, **more: Any) -> native.Counts:
        """Terms on a plane; in float32 both passes over a strip that is in the cache."""
        rows, columns = self.problem.axes[-2:]
        if self.problem.itemsize == 4:
            both: native.Steps = {
                "stride": (rows.stride, columns.stride),
                "dilation": (rows.dilation, columns.dilation),
                "team": native.team_of(self.team.size),
            }
            passes = partial(native.separable, source, down, along, target, **both, **more)
            return native.total(self.team.together(passes))
        reads, outside = more.pop("reads", (None, None)), more.pop("outside", (0.0, 0.0))
        step = more.get("step", 1)
        first: native.Steps = {"stride": (rows.stride, 1), "dilation": (rows.dilation, 1)}
        first |= {"step": step, "reads": reads, "outside": outside}
        then: native.Steps = {"stride": (1, columns.stride), "dilation": (1, columns.dilation)}
        wide = source.shape[1] if reads[1] is None else len(reads[1]) * step
        with self.planes.borrow((len(down), len(target), wide), "float64") as between:
            for taps, sums in zip(down, between, strict=True):
                native.correlate_wide(source, taps[:, None], sums, **first)
            return native.correlate_wide(between, along[:, None], target, **then, **more)

    def _volume(
        self, source: Array, deep: Array, down: Array, along: Array, target: Array, *, step: int = 1, **more: Any
    ) -> native.Counts:
        """Terms on every slice, then each row of the results as a plane of slices and columns."""
        slices = self.problem.axes[0]
        (places, *reads), (constant, *outside) = more.pop("reads", (None,) * 3), more.pop("outside", (0.0,) * 3)
        correlate = native.correlate if self.problem.itemsize == 4 else native.correlate_wide
        steps: native.Steps = {"stride": (slices.stride, 1), "dilation": (slices.dilation, 1)}
        counts = native.Counts(0, 0, 0)
        planes = list(_slices(source, places, constant, self.problem.dtype))
        with self.volumes.borrow((len(deep), len(planes), *target.shape[1:]), self.problem.dtype) as between:
            for term, results in enumerate(between):
                both = (down[term : term + 1], along[term : term + 1])
                for plane, result in zip(planes, results, strict=True):
                    self._plane(plane, *both, result, step=step, reads=reads, outside=outside)
            for row in range(target.shape[1]):
                counts = counts.plus(correlate(between[:, :, row], deep[:, :, None], target[:, row], **steps, **more))
        return counts


def _slices(source: Array, places: Array | None, constant: float, dtype: str) -> Iterator[Array]:
    """The slice at each position of a window; -1 is one of a constant."""
    import numpy as np

    if places is None:
        yield from source
        return
    outside = np.broadcast_to(np.asarray(constant, dtype), source.shape[1:])
    for place in places:
        yield outside if place < 0 else source[place]


@record
class Banded:
    """Applies prepared passes to a block."""

    problem: Problem
    passes: dict[tuple[int, int], list[tuple[Pass, ...]]]

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        out.fill(0)
        per_group = self.problem.channels_out // self.problem.groups
        for (filter_, channel), terms in self.passes.items():
            source = block[filter_ // per_group * self.problem.fan_in + channel]
            for term in terms:
                pixels = source
                for place, step in enumerate(term):
                    pixels = step.along(pixels, place)
                out[filter_] += pixels


def _one_pass(taps: Array, axis: Geometry) -> Pass:
    dilation = axis.dilation if axis.stride > 1 else 1
    return Pass(axis, band(taps, band_rows(axis.kernel), axis.stride, dilation))
