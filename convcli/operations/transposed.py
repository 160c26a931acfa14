"""Transposed convolution as an operation on images: planned, run, and told in the report's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.errors import UsageError
from convcli.filters.borders import Border, describe_borders
from convcli.filters.filter import Numbers
from convcli.filters.transposed import TransposedFilter, forward
from convcli.geometry.sizes import Transposed
from convcli.image import ImageInfo
from convcli.kernels.given import Given, Resolved, Spacing, closer
from convcli.operations.filter import (
    candidate_facts,
    changed_size,
    check_weight,
    kernel_facts,
    method_lines,
    numbers_for,
    spacing_lines,
)
from convcli.operations.operation import ANYTHING, Limits, Work
from convcli.planner import Plan, make_plan
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.engine.slabs import Stage
    from convcli.engine.stages.phases import Planned

EVEN = 1e-6
"""A ripple below this is the rounding of taps."""
MOST_SHOWN = 400
"""Entries of a matrix that are still readable."""


@record
class Transpose:
    """A kernel laid on the output at every pixel, a stride apart: what upsample does.

    The kernel is one, plain or a bank (I, O/g, ...). `padding` is a rule or (begin, end) pairs, what is cut off;
    `output_padding`, or the `output_size` that decides it, have one entry for each spatial axis, or none. Where
    `overlap`, each output is divided by the weights that overlap there. `explain` shows the matrix of small ones.
    """

    kernel: Given
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...] = "same"
    output_padding: tuple[int, ...] = ()
    output_size: tuple[int, ...] = ()
    borders: tuple[Border, ...] = ()
    groups: int = 1
    overlap: bool = False
    approximation: float = 0.0
    numbers: Numbers = field(default_factory=Numbers)
    explain: bool = False

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.kernel.ndim

    @property
    def bank(self) -> bool:
        """Whether it sums over channels."""
        return self.kernel.bank

    def filter(self, spacing: Spacing) -> TransposedFilter:
        """What it makes of images whose samples lie so far apart; the kernel's lengths are those of the output."""
        letters = "ZYX"[-self.kernel.ndim :]
        nearer = closer(spacing, dict(zip(letters, self.stride, strict=True)))
        return _filter(self, self.kernel.on(nearer, self.stride))

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> TransposedWork:
        """Every part planned for an image."""
        from convcli.system import core_count

        check_weight(self.numbers)
        frame, limits = self.filter(info.steps), replace(limits, threads=limits.threads or core_count())
        frame.output_info(info)
        return TransposedWork(frame, info, _planned(frame, info.bare, limits), self.explain)


@lru_cache(maxsize=16)
def _filter(asked: Transpose, found: Resolved) -> TransposedFilter:
    """A transposed convolution with its kernel, kept for the next image."""
    kernel = found.kernel
    if asked.overlap and min(kernel.values()) < 0:
        raise UsageError(
            "overlap divides by the weights that overlap: the kernel may have no negative taps", where="--normalize"
        )
    if asked.groups > 1 and found.plain:
        raise UsageError(
            "groups need a filter bank (I, O/g, kh, kw); this kernel acts on each channel alone", where="--groups"
        )
    return TransposedFilter(
        forward(kernel, asked.groups),
        each=found.plain,
        flip=asked.kernel.flip,
        borders=asked.borders,
        groups=asked.groups,
        approximation=asked.approximation,
        numbers=numbers_for(asked.numbers, kernel),
        warnings=found.notes,
        remarks=found.remarks,
        stride=asked.stride,
        dilation=asked.dilation,
        padding=asked.padding,
        output_padding=asked.output_padding,
        output_size=asked.output_size,
        overlap=asked.overlap,
    )


@lru_cache(maxsize=16)
def _planned(frame: TransposedFilter, info: ImageInfo, limits: Limits) -> tuple[Planned, ...]:
    """Every part, for all images of a kind."""
    from convcli.engine.slabs import narrowed
    from convcli.engine.stages.filter import FilterStage
    from convcli.engine.stages.phases import Planned
    from convcli.engine.steady import ranked

    planned = []
    for part in frame.parts(info):
        problem = ranked(part.filter.problem(info), part.filter.kernel)
        plan = make_plan(problem, method=limits.method, threads=limits.threads, memory=limits.memory)
        planned.append(Planned(part, narrowed(FilterStage(part.filter, info, plan))))
    return tuple(planned)


@record
class TransposedWork(Work):
    """A transposed convolution planned for one image; the part with the most work comes first."""

    filter: TransposedFilter
    before: ImageInfo
    parts: tuple[Planned, ...]
    explain: bool

    @property
    def filters(self) -> tuple[TransposedFilter, ...]:
        """The one."""
        return (self.filter,)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The frame, which the parts fill."""
        from convcli.engine.stages.phases import PhasesStage

        return (PhasesStage(self.filter, self.before, self.plan, self.parts),)

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """Those of the parts."""
        return tuple(part.plan for part in self.parts)

    @property
    def numbers(self) -> Numbers:
        """How samples are computed with."""
        return self.filter.numbers

    @cached_property
    def axes(self) -> tuple[Transposed, ...]:
        """The sizes along each spatial axis."""
        return self.filter.axes(self.before)

    @cached_property
    def ripple(self) -> Ripple:
        """What becomes of a constant image."""
        return Ripple.of(self.filter.gains(self.before))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect, the checkerboard above all."""
        whole = all(axis.extent % axis.stride == 0 for axis in self.axes)
        uneven = self.ripple.size > EVEN and not (whole and self.filter.kernel.bank)
        return self.filter.notes(self.before) + ((self._checkerboard(whole=whole),) if uneven else ())

    def _checkerboard(self, *, whole: bool) -> str:
        extent, stride = (_times(getattr(axis, name) for axis in self.axes) for name in ("extent", "stride"))
        why = (
            f"the taps of the phases (stride {stride}) have different sums"
            if whole
            else f"the kernel, {extent}, is no multiple of the stride, {stride}: it overlaps unevenly (checkerboard)"
        )
        way = "use a larger kernel" if self.filter.overlap else "--normalize overlap evens it out"
        return f"{why}; a constant image of 1 becomes {self.ripple}; {way}"

    @property
    def plan(self) -> Plan:
        """The plan of the largest part."""
        return self.parts[0].plan

    @property
    def method(self) -> str:
        """The method of the largest part."""
        return self.plan.method

    @property
    def macs(self) -> int:
        """Multiply-adds of the definition: every pixel with every tap."""
        return self.filter.macs(self.before)

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, and those of a transposed convolution."""
        return {
            "operation": "transposed convolution",
            "kernel": kernel_facts(self.filter, self.plan) | {"shape": list(self.filter.laid_shape)},
            "padding": [[axis.begin, axis.end] for axis in self.axes],
            "output_padding": [axis.extra for axis in self.axes],
            "stride": [axis.stride for axis in self.axes],
            "dilation": [axis.dilation for axis in self.axes],
            "border": list(map(str, self.filter.borders)),
            "method": self.method,
            "precision": self.plan.problem.dtype,
            "candidates": [candidate_facts(c) for c in self.plan.candidates],
            "macs": self.macs,
            "macs_stuffed": self.filter.stuffed_macs(self.before),
            "flops": 2 * self.macs,
            "ripple": self.ripple.size,
        }

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:
        """Kernel, operation, sizes forward and back, methods and work."""
        yield "kernel", self._kernel_line()
        yield from (("", remark) for remark in self.filter.remarks)
        yield "filter", self._filter_line()
        axes = list(zip(self.filter.spatial, self.axes, strict=True))[
            self.before.signal :
        ]  # of a signal, its row alone
        if full:
            yield from ((f"size {letter}", both_ways(axis)) for letter, axis in axes)
        else:
            yield "size", ", ".join(changed_size(letter, axis.size, axis.output) for letter, axis in axes)
        yield from spacing_lines(self.before, self.after)
        if full:
            yield "phases", self._phase_line()
        yield from method_lines(self.plan, full=full)
        stuffed = self.filter.stuffed_macs(self.before)
        yield (
            "work",
            f"{self.macs:,} MACs, {2 * self.macs:,} FLOPs; {stuffed:,} MACs with zeros inserted, "
            f"{stuffed / self.macs:.3g} times as many",
        )
        if self.explain and not self.filter.kernel.bank:
            border = describe_borders(self.filter.borders, self.filter.spatial)
            yield from matrix_lines(self.axes, self.filter.kernel.values(), border)

    def _kernel_line(self) -> str:
        kernel = self.filter.kernel
        shape = _times(self.filter.laid_shape)
        return (
            f"{kernel.name}, {shape} (I, O/g, ...)"
            if kernel.bank
            else f"{kernel.name}, {shape}, sum {kernel.plain_sum:.6g}"
        )

    def _filter_line(self) -> str:
        filter_ = self.filter
        turned = " with the kernel turned by 180 degrees" if filter_.flip else ""
        parts = [f"transposed convolution{turned}", f"stride {','.join(map(str, filter_.stride))}"]
        parts.append(f"padding {','.join(f'{axis.begin}:{axis.end}' for axis in self.axes)}")
        if any(axis.extra for axis in self.axes):
            parts.append(f"output padding {','.join(str(axis.extra) for axis in self.axes)}")
        parts.append(f"border {describe_borders(filter_.borders, filter_.spatial)}")
        if set(filter_.dilation) != {1}:
            parts.append(f"dilation {','.join(map(str, filter_.dilation))}")
        if filter_.groups > 1:
            parts.append(f"groups {filter_.groups}")
        if filter_.overlap:
            parts.append("divided by the overlap")
        return ", ".join([*parts, f"computed in {self.plan.problem.dtype}"])

    def _phase_line(self) -> str:
        """How the output is put together."""
        first, count = self.plan.problem, len(self.parts)
        phases = prod(axis.stride for axis in self.axes)
        together = f"{count} filter{'s' * (count > 1)}, the largest of {_times(first.kernel)} taps"
        return f"{phases}, each a convolution with its own taps and put side by side; as {together}"


@record
class Ripple:
    """The least and the largest value that a constant image of ones becomes; `size` is their distance over the mean."""

    least: float
    most: float
    size: float

    @classmethod
    def of(cls, gains: Any) -> Ripple:
        """The worst over the output channels of gains (phases, O)."""
        mean = abs(gains.mean(axis=0))
        sizes = (gains.max(axis=0) - gains.min(axis=0)) / (mean + (mean == 0) * abs(gains).max(initial=1.0))
        worst = int(sizes.argmax())
        return cls(float(gains[:, worst].min()), float(gains[:, worst].max()), float(sizes[worst]))

    def __str__(self) -> str:
        return f"{self.least:.4g} to {self.most:.4g}, a ripple of {100 * self.size:.3g} %"


def both_ways(axis: Transposed) -> str:
    """The size with the numbers filled in, and that of the forward convolution, which leads back.

    >>> both_ways(Transposed(3, 3, 2, begin=1, end=1, extra=1))
    '2 (3 - 1) + 3 - 1 - 1 + 1 = 6; back floor((6 + 1 + 1 - 3) / 2) + 1 = 3'
    """
    begin, end = (str(pad) if pad >= 0 else f"({pad})" for pad in (axis.begin, axis.end))
    forth = f"{axis.stride} ({axis.size} - 1) + {axis.extent} - {begin} - {end} + {axis.extra} = {axis.output}"
    back = (axis.output + axis.begin + axis.end - axis.extent) // axis.stride + 1
    return f"{forth}; back floor(({axis.output} + {begin} + {end} - {axis.extent}) / {axis.stride}) + 1 = {back}"


def matrix_lines(axes: Sequence[Transposed], taps: Sequence[float], border: str) -> Iterator[tuple[str, str]]:
    """The sparse matrix C of the forward convolution, Y = C X, whose transpose makes X' = C^T Y; small ones only.

    >>> [line for _, line in matrix_lines([Transposed(2, 2)], [3, 5], "zero")][:2]
    ['3 5 0', '0 3 5']
    """
    rows, columns = prod(axis.size for axis in axes), prod(axis.output for axis in axes)
    if rows * columns > MOST_SHOWN:
        return
    shown = [[f"{value:g}" for value in row] for row in sparse_matrix(axes, taps)]
    width = max(len(text) for row in shown for text in row)
    for number, row in enumerate(shown):
        yield "" if number else "matrix C", " ".join(text.rjust(width) for text in row)
    small, large = (_times(sizes) for sizes in ([axis.size for axis in axes], [axis.output for axis in axes]))
    adds = "" if border == "zero" else f", to which the border, {border}, adds"
    yield "", f"{rows}x{columns}: Y = C X makes {small} of {large}, X' = C^T Y makes {large} of {small}{adds}"


def sparse_matrix(axes: Sequence[Transposed], taps: Sequence[float]) -> list[list[float]]:
    """C[i, u]: the tap that lies between small pixel i and large pixel u, both in row-major order, or 0."""
    small = list(product(*(range(axis.size) for axis in axes)))
    large = {place: number for number, place in enumerate(product(*(range(axis.output) for axis in axes)))}
    matrix = [[0.0] * len(large) for _ in small]
    for row, pixel in zip(matrix, small, strict=True):
        for tap, value in zip(product(*(range(axis.kernel) for axis in axes)), taps, strict=True):
            steps = zip(axes, pixel, tap, strict=True)
            place = tuple(i * axis.stride + t * axis.dilation - axis.begin for axis, i, t in steps)
            if place in large:
                row[large[place]] = value
    return matrix


def _times(sizes: Any) -> str:
    return "x".join(map(str, sizes))
