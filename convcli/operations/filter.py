"""A filter as an operation on images: planned by the engine's planner, run by its loop, told in the report's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from convcli.errors import UsageError
from convcli.filters.borders import Border, describe_borders
from convcli.filters.filter import LEAVING_OUT, Correlation, Filter, Numbers, Windowed
from convcli.image import ImageInfo
from convcli.kernels.given import Given, Resolved, Spacing
from convcli.kernels.kernel import Kernel
from convcli.numerals import seconds
from convcli.operations.operation import ANYTHING, Limits, Work
from convcli.planner import Candidate, Plan, make_plan
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.engine.slabs import Stage
    from convcli.engine.stages.filter import FilterStage


@record
class Correlate:
    """Kernels laid on every pixel of an image: what conv2d and conv3d do.

    `padding` is a rule or (begin, end) pairs, one for each spatial axis, as `stride`, `dilation` and `borders` have.
    `approximation` is how much of the kernel, relative to sum|k|, separable terms may leave out.
    """

    kernel: Given
    combine: str = "stack"
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: str | tuple[tuple[int, int], ...] = "same"
    borders: tuple[Border, ...] = ()
    groups: int = 1
    approximation: float = 0.0
    numbers: Numbers = field(default_factory=Numbers)

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.kernel.ndim

    @property
    def bank(self) -> bool:
        """Whether it sums over channels."""
        return self.kernel.bank

    @property
    def name(self) -> str:
        """What the kernel is called, with what becomes of several results."""
        return self.kernel.name if self.kernel.is_measured else self.filter({}).name

    def filter(self, spacing: Spacing) -> Correlation:
        """The filter for images whose samples lie so far apart."""
        return _filter(self, self.kernel.on(spacing))

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> FilterWork:
        """The filter planned for an image."""
        return planned(self.filter(info.steps), info, limits)


@lru_cache(maxsize=16)
def _filter(asked: Correlate, found: Resolved) -> Correlation:
    """A filter with its kernel, kept for the next image."""
    kernel = found.kernel
    if asked.combine != "stack":
        from convcli.filters.combining import check_combination

        check_combination(asked.combine, kernel.outputs)
    if found.plain and asked.groups > 1:
        raise UsageError(
            f"groups need a filter bank (O, I/g, {'kd, ' * (kernel.ndim == 3)}kh, kw); this kernel acts on each "
            "channel alone",
            where="--groups",
        )
    return Correlation(
        kernel,
        each=found.plain,
        flip=asked.kernel.flip,
        combine=asked.combine,
        stride=asked.stride,
        dilation=asked.dilation,
        padding=asked.padding,
        borders=asked.borders,
        groups=asked.groups,
        approximation=asked.approximation,
        numbers=numbers_for(asked.numbers, kernel),
        warnings=found.notes,
        remarks=found.remarks,
    )


def numbers_for(numbers: Numbers, kernel: Kernel) -> Numbers:
    """Numbers with a kernel's offset; refused where known pixels should be weighed by taps that are no weights."""
    if numbers.nan in LEAVING_OUT and (min(kernel.values()) < 0 or kernel.sum() <= 0):
        raise UsageError(
            f"--nan {numbers.nan} divides by the weight of known pixels: the kernel may have no negative taps; "
            "use --nan zero"
        )
    return replace(numbers, offset=kernel.offset) if kernel.offset else numbers


def check_weight(numbers: Numbers) -> None:
    """Refuse a least weight where nothing is weighed."""
    if numbers.min_weight and numbers.nan not in LEAVING_OUT:
        way = "give --nan ignore, --nan preserve or --mask, too"
        raise UsageError(f"is about results that are weighed by what is known; {way}", where="--min-weight")


def planned(filter_: Correlation, info: ImageInfo, limits: Limits = ANYTHING) -> FilterWork:
    """A filter planned for an image; NumPy is loaded only where the kernel's rank is not known by its terms."""
    from convcli.engine.slabs import narrowed
    from convcli.engine.stages.filter import FilterStage
    from convcli.system import core_count

    check_weight(filter_.numbers)
    if filter_.combine != "stack":
        from convcli.filters.combining import joined

        filter_ = joined(filter_, info)
    problem = filter_.problem(info)
    if problem.rank != 1:
        from convcli.engine.steady import ranked

        problem = ranked(problem, filter_.kernel)
    threads = limits.threads or core_count()
    plan = make_plan(problem, method=limits.method, threads=threads, memory=limits.memory)
    return FilterWork(filter_, info, narrowed(FilterStage(filter_, info, plan)).plan)


@record
class WindowedWork(Work):
    """A filter of a single problem with the plan for one image."""

    filter: Windowed
    before: ImageInfo
    plan: Plan

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The one."""
        return (self.filter,)

    @property
    def stage(self) -> FilterStage:
        """The filter for the engine; a kind of filter says."""
        raise NotImplementedError

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The filter alone."""
        return (self.stage,)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """That of the filter."""
        return (self.plan,)

    @property
    def numbers(self) -> Numbers:
        """How samples are computed with."""
        return self.filter.numbers

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect."""
        return self.filter.notes(self.before)


@record
class FilterWork(WindowedWork):
    """A filter with the plan for one image."""

    filter: Correlation

    @cached_property
    def stage(self) -> FilterStage:
        """The filter for the engine."""
        from convcli.engine.stages.filter import FilterStage

        return FilterStage(self.filter, self.before, self.plan)

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on."""
        problem = self.plan.problem
        return {
            "operation": operation_name(self.filter),
            "kernel": kernel_facts(self.filter, self.plan),
            "padding": [[a.begin, a.end] for a in problem.axes],
            "border": list(problem.border),
            "method": self.plan.method,
            "precision": problem.dtype,
            "candidates": [candidate_facts(c) for c in self.plan.candidates],
            "macs": self.macs,
            "flops": 2 * self.macs,
        }

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:
        """Kernel, operation, sizes, methods and work."""
        yield from self.kernel_rows()
        yield from self.filter_rows()
        yield from size_lines(self.plan, self.before, self.filter.spatial, full=full)
        yield from spacing_lines(self.before, self.after)
        yield from method_lines(self.plan, full=full)
        yield from self.work_rows()

    def kernel_rows(self) -> Iterator[tuple[str, str]]:
        """What the image is filtered with."""
        yield "kernel", kernel_line(self.filter, self.plan)

    def filter_rows(self) -> Iterator[tuple[str, str]]:
        """How it was built, and how it is applied."""
        for remark in self.filter.remarks:
            yield "", remark
        yield "filter", filter_line(self.filter, self.plan)

    def work_rows(self) -> Iterator[tuple[str, str]]:
        """What that costs."""
        yield "work", f"{self.macs:,} MACs, {2 * self.macs:,} FLOPs"


def operation_name(filter_: Correlation) -> str:
    """Which way round the kernel is laid on the image."""
    return "convolution" if filter_.flip else "correlation"


def kernel_facts(filter_: Filter, plan: Plan) -> dict[str, Any]:
    """The kernel as raw numbers."""
    kernel = filter_.kernel
    return {
        "name": kernel.name,
        "shape": list(kernel.shape),
        "sum": kernel.sum(),
        "rank": plan.problem.rank,
        "remarks": list(filter_.remarks),
    }


def candidate_facts(candidate: Candidate) -> dict[str, Any]:
    """A method's predicted time, or its reason."""
    return {
        "method": candidate.method,
        "seconds": candidate.cost.seconds if candidate.cost else None,
        "refused": candidate.refused,
        "precision": f"float{8 * candidate.itemsize}",
    }


def kernel_line(filter_: Correlation, plan: Plan) -> str:
    """Name, size, sum and rank."""
    kernel, rank = filter_.kernel, plan.problem.rank
    parts = [
        kernel.name,
        "x".join(map(str, kernel.shape)) + (" (O, I/g, ...)" if kernel.bank and not filter_.each else ""),
    ]
    if kernel.outputs == 1:
        parts.append(f"sum {kernel.plain_sum:.6g}")
    within = f" within {filter_.approximation:g}" if filter_.approximation else ""
    return ", ".join(parts + ([f"rank {rank}{within}"] if rank else []))


def filter_line(filter_: Correlation, plan: Plan) -> str:
    """The operation with all its parameters that are not the default."""
    padding = filter_.padding if isinstance(filter_.padding, str) else ",".join(f"{b}:{e}" for b, e in filter_.padding)
    parts = [
        operation_name(filter_),
        f"padding {padding}",
        f"border {describe_borders(filter_.borders, filter_.spatial)}",
    ]
    for name, values in (("stride", filter_.stride), ("dilation", filter_.dilation)):
        if set(values) != {1}:
            parts.append(f"{name} {','.join(map(str, values))}")
    if filter_.groups > 1:
        parts.append(f"groups {filter_.groups}")
    if filter_.combine != "stack":
        parts.append(f"combined by {filter_.combine}")
    return ", ".join([*parts, f"computed in {plan.problem.dtype}"])


def size_lines(plan: Plan, info: ImageInfo, letters: str, *, full: bool) -> Iterator[tuple[str, str]]:
    """Sizes before and after; in `full` floor((n + p0 + p1 - K) / s) + 1 with the numbers filled in, axis by axis."""
    short = []
    for letter, axis in zip(letters, plan.problem.axes, strict=True):
        if info.signal and letter == "Y":
            continue
        text = f"({axis.size} + {axis.begin} + {axis.end} - {axis.extent}) / {axis.stride} + 1 = {axis.output}"
        dropped = f", the last {axis.dropped} of {letter} unread" if axis.dropped else ""
        short.append(changed_size(letter, axis.size, axis.output) + dropped)
        if full:
            yield f"size {letter}", text + dropped
    if not full:
        yield "size", ", ".join(short)


def changed_size(letter: str, size: int, output: int) -> str:
    """What becomes of a size.

    >>> changed_size("Y", 5, 3)
    'Y 5 -> 3'
    """
    return f"{letter} {size} -> {output}"


def spacing_lines(before: ImageInfo, after: ImageInfo) -> Iterator[tuple[str, str]]:
    """What a stride makes of the distance between samples."""
    old, new = before.steps, after.steps
    changed = [axis for axis in before.axes if axis in new and old[axis] != new[axis]]
    if changed:
        steps = (f"{axis} {old[axis][0]:.6g} -> {new[axis][0]:.6g} {new[axis][1]}" for axis in changed)
        yield "spacing", ", ".join(steps)


def method_lines(plan: Plan, *, full: bool) -> Iterator[tuple[str, str]]:
    """The method chosen, and the next best; in `full` its tiles, and all others with their time or reason."""
    chosen = f"{plan.method}, {seconds(plan.cost.seconds)} predicted, {plan.threads} thread{'s' * (plan.threads > 1)}"
    if not full:
        others = [(c.cost.seconds, c.method) for c in plan.candidates if c.cost and c.method != plan.method]
        second = "".join(f"; {method} would take {seconds(price)}" for price, method in sorted(others)[:1])
        yield "method", chosen + second
        return
    yield "method", f"{chosen}, tiles of {'x'.join(map(str, plan.tile))}"
    for other in plan.candidates:
        if other.method != plan.method:
            wide = " in float64" if other.itemsize > plan.itemsize else ""
            yield "", f"{other.method}: {seconds(other.cost.seconds) + wide if other.cost else other.refused}"
