"""Dilated convolution as operations: at one rate, at several side by side, and at one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError, UsageError
from convcli.filters.combining import joined
from convcli.filters.exactness import LONG, check_exact, most_exact
from convcli.filters.filter import TIE, WIDE, Filter, Numbers
from convcli.geometry.gridding import reach
from convcli.image import Image, ImageInfo, as_sample
from convcli.kernels.kernel import stack_kernels
from convcli.operations.filter import Filtering, FilterWork
from convcli.operations.operation import Limits, Progress, Work
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.engine.samples import Counts
    from convcli.engine.stages import Stage

Rate = tuple[int, ...]
"""One for each spatial axis."""


@record
class Dilating:
    """A filter at a rate."""

    filtering: Filtering
    rate: Rate

    def on(self, info: ImageInfo, limits: Limits) -> DilatedWork:
        """The filter planned for an image."""
        work = always(replace(self.filtering.build(info), dilation=self.rate)).on(info, limits)
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

    def storing(self, dtype: str) -> DilatedWork:
        """The same with its results as computed, in a floating-point type."""
        numbers = replace(self.filter.numbers, dtype=dtype, range="clip", marked=False)
        return replace(self, filter=replace(self.filter, numbers=numbers))

    @property
    def rate_line(self) -> str:
        """K = k + (k - 1)(a - 1) with the numbers filled in, once where all axes agree."""
        axes = zip(self.plan.problem.kernel, self.filter.dilation, self.effective, strict=True)
        formulas = dict.fromkeys(f"K = {k} + ({k} - 1)({rate} - 1) = {extent}" for k, rate, extent in axes)
        return f"{named(self.filter.dilation)}: {'; '.join(formulas)}; receptive field {times(self.effective)}"


@record
class Joined:
    """A plain kernel at several rates, whose results become one by `combine`."""

    filtering: Filtering
    rates: tuple[Rate, ...]
    combine: str

    def on(self, info: ImageInfo, limits: Limits) -> JoinedWork:
        """One filter with a kernel for each rate, zeros between its taps."""
        filter_ = self.filtering.build(info)
        if filter_.kernel.bank:
            raise UsageError("--combine joins the rates of one plain kernel; a bank has results of its own", where="-k")
        stack = stack_kernels([filter_.kernel.dilated(rate) for rate in self.rates])
        together = replace(filter_, kernel=stack, combine=self.combine, dilation=(1,) * filter_.ndim)
        work = always(together).on(info, limits)
        return JoinedWork(work.filter, work.before, work.plan, self.rates, filter_.kernel.spatial)


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
class SideBySide:
    """A filter at several rates, whose results become one image."""

    filtering: Filtering
    rates: tuple[Rate, ...]

    def on(self, info: ImageInfo, limits: Limits) -> SideBySideWork:
        """Every rate planned for an image; all results must have one size."""
        works = tuple(Dilating(self.filtering, rate).on(info, limits) for rate in self.rates)
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
    def stages(self) -> tuple[Stage, ...]:
        """Those of all works."""
        return tuple(stage for work in self.works for stage in work.stages)

    @property
    def memory(self) -> int:
        """What they were planned for."""
        return self.works[0].memory

    @property
    def streams(self) -> bool:
        """They are done one after the other on the whole image."""
        return False

    @property
    def numbers(self) -> Numbers:
        """How samples are computed with."""
        return self.works[0].numbers

    @property
    def method(self) -> str:
        """The planned methods."""
        return ", ".join(dict.fromkeys(work.method for work in self.works))

    @property
    def threads(self) -> int:
        """By how many threads at most."""
        return max(work.threads for work in self.works)

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return sum(work.seconds for work in self.works)

    @property
    def outputs(self) -> int:
        """Outputs in all."""
        return sum(work.outputs for work in self.works)

    @property
    def macs(self) -> int:
        """Multiply-adds of all."""
        return sum(work.macs for work in self.works)

    @property
    def done(self) -> int:
        """Multiply-adds of their methods."""
        return sum(work.done for work in self.works)

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
    def after(self) -> ImageInfo:
        """What the result will be: the results of every channel side by side, rate by rate."""
        one = self.works[0].after
        if "C" in one.axes:
            sizes = {**dict(zip(one.axes, one.shape, strict=True)), "C": one.size("C") * len(self.works)}
            return replace(one, shape=tuple(sizes[letter] for letter in one.axes))
        first = min(one.axes.index(letter) for letter in self.works[0].filter.spatial + "S" if letter in one.axes)
        shape = (*one.shape[:first], len(self.works), *one.shape[first:])
        return replace(one, axes=f"{one.axes[:first]}C{one.axes[first:]}", shape=shape)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect."""
        return tuple(dict.fromkeys(note for work in self.works for note in work.notes))

    def run(self, image: Image, *, verify: int = 0, progress: Progress | None = None) -> tuple[Image, Counts]:
        """Filter at every rate; where results are spread over the range of the type, all are together."""
        import numpy as np

        from convcli.engine.samples import Counts, extremes, spread

        rescaled = self.numbers.range == "rescale"
        dtype = "float64" if rescaled else self.after.dtype
        result, counts = np.empty(self.after.shape, dtype), Counts()
        for number, work in enumerate(self.works):
            step = work.storing("float64") if rescaled else work
            made, found = step.run(image, verify=verify, progress=progress)
            self.place(result, number)[...] = made.data.reshape(self.place(result, number).shape)
            counts.add(found)
        if rescaled:
            values, result = result, np.empty(self.after.shape, self.after.dtype)
            counts = spread(values, *extremes(values), result, self.after.missing)
        return Image(self.after, result), counts

    def place(self, result: Any, number: int) -> Any:
        """Where one rate's results go: a view of all as (..., input channels, rates, kernels, ...)."""
        axis = self.after.axes.index("C")
        outer = self.before.size("C") if self.works[0].filter.each else 1
        shape = (*result.shape[:axis], outer, len(self.works), -1, *result.shape[axis + 1 :])
        return result.reshape(shape)[(*(slice(None),) * (axis + 1), number)]

    def rows(self) -> Iterator[tuple[str, str]]:
        """The first rate as a filter, then a line for each."""
        yield from self.works[0].kernel_rows()
        yield from self.filter_rows()
        yield from self.step_rows()
        yield self.total_row()


@record
class Chain:
    """Filters one after the other, each at a rate of its own."""

    filterings: tuple[Filtering, ...]
    rates: tuple[Rate, ...]

    def on(self, info: ImageInfo, limits: Limits) -> ChainWork:
        """Every step planned for what the one before makes."""
        filters = [joined(filtering.build(info), info) for filtering in self.filterings]
        numbers = between(filters, info)
        before, works = replace(info, dtype=numbers.dtype, missing=None), []
        for filter_, rate in zip(filters, self.rates, strict=True):
            own = replace(numbers, offset=filter_.numbers.offset / scale_of(filters[0], info))
            works.append(Dilating(always(replace(filter_, numbers=own)), rate).on(before, limits))
            before = works[-1].after
        return ChainWork(info, tuple(works), last=filters[-1])


def always(filter_: Filter) -> Filtering:
    """The same filter for every image."""
    return Filtering(lambda _: filter_)


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
    def after(self) -> ImageInfo:
        """What the result will be."""
        dtype = self.last.output_dtype(self.before)
        return replace(self.works[-1].after, dtype=dtype, missing=as_sample(self.before.missing, dtype))

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

    def run(self, image: Image, *, verify: int = 0, progress: Progress | None = None) -> tuple[Image, Counts]:
        """Samples to numbers, every step, and numbers to samples once."""
        self.check_pixels(image)
        now = self.entered(image)
        for work in self.works:
            now, _ = work.run(now, verify=verify, progress=progress)
        return self.left(now)

    def check_pixels(self, image: Image) -> None:
        """Refuse 64-bit integers beyond what float64 takes through all steps."""
        from convcli.engine.integers import bounds

        whole = not self.after.dtype.startswith("float") and self.numbers.range != "rescale"
        if whole and self.before.dtype in LONG:
            gain = prod(max(1.0, work.filter.size) for work in self.works) * self.numbers.scale
            check_exact(most_exact(gain), *bounds(image.data, self.before), self.before)

    def entered(self, image: Image) -> Image:
        """The image as floating point, what is unknown as NaN."""
        import numpy as np

        info = self.works[0].before
        values = np.array(image.data, info.dtype)
        if self.before.missing is not None:
            unknown = image.data == self.before.missing
            if self.last.each and self.before.has_alpha:
                np.moveaxis(unknown, self.before.axes.index("S"), -1)[..., -1] = False  # opacity is always known
            values[unknown] = np.nan
        values /= scale_of(self.last, self.before)
        return Image(info, values)

    def left(self, now: Image) -> tuple[Image, Counts]:
        """The result: colours scaled, rounded and clipped as asked, opacity as it is."""
        import numpy as np

        from convcli.engine.samples import extremes, put, spread, store

        numbers, rescaled = self.numbers, self.numbers.range == "rescale"
        target = np.empty(now.data.shape, now.info.dtype if rescaled else self.after.dtype)
        values = now.data * scale_of(self.last, self.before)
        colours = slice(-1) if self.last.each and now.info.has_alpha else slice(None)
        axis = now.info.axes.find("S")
        moved, stored = (np.moveaxis(each, axis, -1) if axis >= 0 else each for each in (values, target))
        counts = store(moved[..., colours], stored[..., colours], numbers, numbers.bias, self.after.missing)
        if colours.stop == -1:
            put(moved[..., -1:], stored[..., -1:])
        if rescaled:
            result = np.empty(target.shape, self.after.dtype)
            return Image(self.after, result), spread(target, *extremes(target), result, self.after.missing)
        return Image(self.after, target), counts

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, with what the whole chain sees."""
        fields, read = ([axis[i] for axis in self.seen] for i in (0, 1))
        return {**super().facts(), "receptive_field": fields, "pixels_read": read}

    def rows(self) -> Iterator[tuple[str, str]]:
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
