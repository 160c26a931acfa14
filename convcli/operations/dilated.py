"""Dilated convolution as operations: at one rate, at several side by side, and at one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError, UsageError
from convcli.filters.combining import joined
from convcli.filters.exactness import most_exact
from convcli.filters.filter import TIE, WIDE, Correlation, Filter, Numbers
from convcli.geometry.gridding import reach
from convcli.image import ImageInfo
from convcli.kernels.given import Spacing
from convcli.kernels.kernel import stack_kernels
from convcli.operations.filter import Correlate, FilterWork, planned
from convcli.operations.operation import ANYTHING, Limits, Work
from convcli.planner import Plan, alike
from convcli.records import record, replace
from convcli.samples import as_sample

if TYPE_CHECKING:
    from convcli.engine.slabs import Stage

Rate = tuple[int, ...]
"""One for each spatial axis."""


@record
class AtRates:
    """A filter whose taps lie apart, at one rate or at several."""

    filter: Correlate

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.filter.ndim

    @property
    def bank(self) -> bool:
        """Whether it sums over channels."""
        return self.filter.bank


@record
class Dilate(AtRates):
    """A filter at a rate."""

    rate: Rate

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> DilatedWork:
        """The filter planned for an image."""
        return dilated(replace(self.filter.filter(info.steps), dilation=self.rate), info, limits)


def dilated(filter_: Correlation, info: ImageInfo, limits: Limits) -> DilatedWork:
    """A dilated filter planned for an image."""
    work = planned(filter_, info, limits)
    return DilatedWork(work.filter, work.before, work.plan)


@record
class DilatedWork(FilterWork):
    """A dilated filter with the plan for one image."""

    @property
    def effective(self) -> tuple[int, ...]:
        """K for each axis: the pixels from the first tap to the last."""
        return tuple(axis.extent for axis in self.plan.problem.axes)

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, with what the rate makes of the kernel."""
        return {**super().facts(), **self.rate_facts()}

    def rate_facts(self) -> dict[str, Any]:
        """What the rate makes of the kernel."""
        size = list(self.effective)
        return {"rate": list(self.filter.dilation), "effective_kernel": size, "receptive_field": size}

    def work_rows(self) -> Iterator[tuple[str, str]]:
        """The rate before the cost, which is that of rate 1."""
        yield "rate", self.rate_line
        yield from super().work_rows()
        stuffed = self.macs // prod(self.plan.problem.kernel) * prod(self.effective)
        if stuffed > self.macs:
            yield "", f"as at rate 1; the kernel with zeros between its taps would take {stuffed:,}"

    @property
    def rate_line(self) -> str:
        """K = k + (k - 1)(a - 1) with the numbers filled in, once where all axes agree."""
        axes = zip(self.plan.problem.kernel, self.filter.dilation, self.effective, strict=True)
        formulas = dict.fromkeys(f"K = {k} + ({k} - 1)({rate} - 1) = {extent}" for k, rate, extent in axes)
        return f"{named(self.filter.dilation)}: {'; '.join(formulas)}; receptive field {times(self.effective)}"


Planned = Callable[[Correlation, ImageInfo, Limits], DilatedWork]
"""How a filter is planned for an image."""


@record
class Joined(AtRates):
    """A plain kernel at several rates, whose results become one by `combine`."""

    rates: tuple[Rate, ...]
    combine: str

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> JoinedWork:
        """The filter planned for an image."""
        work = planned(self.together(info.steps), info, limits)
        taps = self.filter.filter(info.steps).kernel.spatial
        return JoinedWork(work.filter, work.before, work.plan, self.rates, taps)

    def together(self, spacing: Spacing) -> Correlation:
        """One filter with a kernel for each rate, zeros between its taps."""
        filter_ = self.filter.filter(spacing)
        if filter_.kernel.bank:
            raise UsageError("--combine joins the rates of one plain kernel; a bank has results of its own", where="-k")
        stack = stack_kernels([filter_.kernel.dilated(rate) for rate in self.rates])
        return replace(filter_, kernel=stack, combine=self.combine, dilation=(1,) * filter_.ndim)


@record
class JoinedWork(FilterWork):
    """The same planned for one image; `taps` are those of the kernel at rate 1."""

    rates: tuple[Rate, ...]
    taps: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-adds without those for the zeros between taps."""
        return self.plan.problem.planes * prod(self.plan.problem.output) * len(self.rates) * prod(self.taps)

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, with the rates."""
        return {**super().facts(), "rates": [{"rate": list(rate)} for rate in self.rates]}

    def work_rows(self) -> Iterator[tuple[str, str]]:
        """The rates before the cost."""
        yield "rates", f"{', '.join(map(named, self.rates))}, as one kernel of {times(self.plan.problem.kernel)}"
        yield from super().work_rows()


@record
class SideBySide(AtRates):
    """A filter at several rates, whose results become one image."""

    rates: tuple[Rate, ...]

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> SideBySideWork:
        """Every rate planned for an image; all results must have one size."""
        works = tuple(Dilate(self.filter, rate).on(info, limits) for rate in self.rates)
        sizes = list(dict.fromkeys(times(work.plan.problem.output) for work in works))
        if len(sizes) > 1:
            way = "use --padding same, or {rate} in -o for a file each"
            raise ConvError(
                f"the rates give results of {', '.join(sizes)} pixels, which are no one image; {way}", "shape"
            )
        return SideBySideWork(info, works)


@record
class Several(Work):
    """Works on one image that are told of together."""

    before: ImageInfo
    works: tuple[DilatedWork, ...]

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Those of all works."""
        return tuple(work.plan for work in self.works)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Those of all works."""
        return tuple(work.filter for work in self.works)

    @property
    def numbers(self) -> Numbers:
        """How samples are computed with."""
        return self.works[0].numbers

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, those of the first, with what each of the others has of its own."""
        own = ("method", "candidates", "macs", "padding", "precision")
        steps = [{**work.rate_facts(), **{key: work.facts()[key] for key in own}} for work in self.works]
        totals = {"method": self.method, "macs": self.macs, "flops": 2 * self.macs}
        return {**self.works[0].facts(), **totals, "rates": steps}

    def filter_rows(self) -> Iterator[tuple[str, str]]:
        """What all rates have in common."""
        first = self.works[0]
        yield from replace(first, filter=replace(first.filter, dilation=(1,) * first.filter.ndim)).filter_rows()

    def step_rows(self) -> Iterator[tuple[str, str]]:
        """A line for each rate."""
        for work in self.works:
            yield "rate", f"{work.rate_line}; {work.macs:,} MACs by {work.method}"

    def total_row(self) -> tuple[str, str]:
        """The cost of all."""
        return "work", f"{self.macs:,} MACs, {2 * self.macs:,} FLOPs, as at rate 1"


@record
class SideBySideWork(Several):
    """Several rates with the plans for one image."""

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The rates as one stage, cut as the one with the largest tiles."""
        from convcli.engine.stages.beside import BesideStage

        plans = alike(self.plans, self.works[0].stage.axis)
        stages = tuple(replace(work.stage, plan=plan) for work, plan in zip(self.works, plans, strict=True))
        largest = max(plans, key=lambda plan: plan.tile)
        return (BesideStage(stages[0].filter, self.before, largest, stages),)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect."""
        return tuple(dict.fromkeys(note for work in self.works for note in work.notes))

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:  # noqa: ARG002 -- all of it is short
        """The first rate as a filter, then a line for each."""
        yield from self.works[0].kernel_rows()
        yield from self.filter_rows()
        yield from self.step_rows()
        yield self.total_row()


@record
class Chain:
    """Filters one after the other, each at a rate of its own."""

    filters: tuple[Correlate, ...]
    rates: tuple[Rate, ...]

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.filters[0].ndim

    @property
    def bank(self) -> bool:
        """Whether it sums over channels."""
        return self.filters[0].bank

    @property
    def name(self) -> str:
        """The kernels of all steps, each once."""
        return ", ".join(dict.fromkeys(each.name for each in self.filters))

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> ChainWork:
        """Every step planned for what the one before makes."""
        filters = [joined(each, info) for each in self.steps(info.steps)]
        works = stepwise(filters, info, scale_of(filters[0], info), limits)
        return ChainWork(info, works, last=filters[-1])

    def steps(self, spacing: Spacing) -> tuple[Correlation, ...]:
        """The filters, each at its rate."""
        pairs = zip(self.filters, self.rates, strict=True)
        return tuple(replace(each.filter(spacing), dilation=rate) for each, rate in pairs)


def stepwise(
    filters: Sequence[Correlation], info: ImageInfo, scale: float, limits: Limits, plan: Planned = dilated
) -> tuple[DilatedWork, ...]:
    """Each filter planned for what the one before makes: numbers, which samples divided by `scale` are at first."""
    numbers = between(filters, info)
    before, works = replace(info, dtype=numbers.dtype, missing=None), list[DilatedWork]()
    for filter_ in filters:
        biases = tuple(bias / scale for bias in filter_.numbers.biases)
        own = replace(numbers, offset=filter_.numbers.offset / scale, biases=biases)
        works.append(plan(replace(filter_, numbers=own), before, limits))
        before = works[-1].after
    return tuple(works)


def between(filters: Sequence[Filter], info: ImageInfo) -> Numbers:
    """Numbers from one step to the next: floating point, as wide as the rounding at the end needs, and nothing else."""
    last = filters[-1]
    output = last.output_dtype(info)
    gain = prod(max(1.0, filter_.gain) for filter_ in filters) * abs(last.numbers.scale)
    largest = 0 if output.startswith("float") else 2.0 ** int(output.lstrip("uint"))
    grows = info.dtype.startswith("float") and gain > 1  # a step may leave float32 where the last one does not
    double = last.numbers.precision == "double" or info.dtype in WIDE or output in WIDE or grows
    rough = ROUNDING * len(filters) * gain * largest > TIE
    dtype = "float64" if double or rough else "float32"
    return replace(last.numbers, dtype=dtype, range="clip", scale=1.0, bias=0.0)


ROUNDING = 1e-6
"""The largest error of a step in float32, relative to sum|k| max|x|."""


def scale_of(first: Filter, info: ImageInfo) -> float:
    """What samples are divided by on the way in and multiplied by on the way out: opacity and light go from 0 to 1."""
    from convcli.engine.samples import full_scale

    return full_scale(info.dtype) if (first.each and info.has_alpha) or first.numbers.linear else 1.0


@record
class ChainWork(Several):
    """Steps with the plans for one image; `last` is the last step's filter as asked for, with its sample type."""

    last: Filter

    @property
    def numbers(self) -> Numbers:
        """How samples become numbers at first, and again samples in the end."""
        return self.last.numbers

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Samples to numbers, every step, and numbers to samples once."""
        from convcli.engine.stages.elementwise import ToNumbers, ToSamples

        steps, scale = [work.stage for work in self.works], scale_of(self.last, self.before)
        dtype, plan = self.last.output_dtype(self.before), steps[-1].plan
        after = replace(steps[-1].after, dtype=dtype, missing=as_sample(self.before.missing, dtype))
        entry = ToNumbers(steps[0].filter, self.before, steps[0].plan, steps[0].info, self.exact, scale)
        return (entry, *steps, ToSamples(self.last, steps[-1].after, plan, after, None, scale))

    @property
    def exact(self) -> int | None:
        """The largest 64-bit integer that float64 takes through all steps, where that is asked for."""
        rounded = not self.last.output_dtype(self.before).startswith("float") and self.numbers.range != "rescale"
        gain = prod(max(1.0, work.filter.size) for work in self.works) * self.numbers.scale
        return most_exact(gain) if rounded and self.before.sample.is_long else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect: pixels that are never read."""
        told = dict.fromkeys(note for work in self.works for note in work.notes)
        return (*told, *([self.gridding] if self.gridding else []))

    @cached_property
    def seen(self) -> tuple[tuple[int, int], ...]:
        """(receptive field, pixels read in it) for each axis."""
        axes = zip(*(work.plan.problem.axes for work in self.works), strict=True)
        found = [reach((step.kernel, step.dilation, step.stride) for step in steps) for steps in axes]
        return tuple((each.field, each.read) for each in found)

    @property
    def gridding(self) -> str:
        """The warning that a chain leaves holes, or nothing."""
        field, read = (prod(sizes) for sizes in zip(*self.seen, strict=True))
        if read == field:
            return ""
        rates = ", ".join(named(work.filter.dilation) for work in self.works)
        return (
            f"gridding: the chain of rates {rates} reads {read:,} of the {field:,} pixels in its receptive field "
            f"of {times([size for size, _ in self.seen])} (Wang et al., 2018, arXiv:1702.08502); "
            "rates that begin with 1 and share no factor, such as 1,2,5, leave no holes"
        )

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, with what the whole chain sees."""
        fields, read = ([axis[i] for axis in self.seen] for i in (0, 1))
        return {**super().facts(), "receptive_field": fields, "pixels_read": read}

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:  # noqa: ARG002 -- all of it is short
        """Every step, what the chain sees, and its cost."""
        first = self.works[0]
        kernels = dict.fromkeys(row for work in self.works for row in work.kernel_rows())
        yield from kernels
        yield from self.filter_rows()
        yield "", f"at every step, borders too; {first.plan.problem.dtype} in between, rounded once at the end"
        yield from self.step_rows()
        field, read = (times([axis[i] for axis in self.seen]) for i in (0, 1))
        yield "chain", f"receptive field {field}, of which {read} are read"
        yield self.total_row()


def named(rate: Rate) -> str:
    """A rate as one types it.

    >>> named((2, 2)), named((1, 2))
    ('2', '1x2')
    """
    return str(rate[0]) if len(set(rate)) == 1 else times(rate)


def times(sizes: Sequence[int]) -> str:
    """Sizes as people write them.

    >>> times((3, 4))
    '3x4'
    """
    return "x".join(map(str, sizes))
