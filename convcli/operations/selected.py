"""A filter on a part of an image: planned for the whole, computed where something is chosen, the rest unchanged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from convcli.errors import UsageError
from convcli.filters.combining import joined
from convcli.filters.filter import LEAVING_OUT, Correlation, Filter, Numbers
from convcli.filters.selection import Chosen, Mask, Selection, channel_numbers, chosen
from convcli.formats.channels import channel_names
from convcli.image import ImageInfo
from convcli.operations.dilated import (
    AtRates,
    Chain,
    ChainWork,
    Dilate,
    Joined,
    dilated,
    scale_of,
    stepwise,
)
from convcli.operations.filter import Correlate, FilterWork
from convcli.operations.masks import fitted
from convcli.operations.operation import ANYTHING, Limits, Operation, Work
from convcli.operations.pair import Pair, PairWork, planned_pair
from convcli.planner import Plan
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.engine.slabs import Stage
    from convcli.engine.stages.selected import Part


class Filtering(Operation, Protocol):
    """An operation that knows its axes."""

    @property
    def ndim(self) -> int:
        """Spatial axes."""

    @property
    def bank(self) -> bool:
        """Whether it sums over channels."""


class Assigned(NamedTuple):
    """A filter, and the channels that it is for; those that are selected where it names none."""

    operation: Filtering
    channels: tuple[str, ...] = ()


@record
class Selected:
    """Filters on what is selected of images, which must keep their size."""

    parts: tuple[Assigned, ...]
    where: Selection

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.parts[0].operation.ndim

    @property
    def bank(self) -> bool:
        """Whether it sums over channels."""
        return self.parts[0].operation.bank

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> SelectedWork:
        """Every filter planned for an image."""
        done = tuple(planned_part(each, self.where, info, limits) for each in self.parts)
        taken = [number for each in self.parts for number in channel_numbers(each.channels, info, channel_names)[1]]
        if len(self.parts) > 1 and len(set(taken)) < len(taken):
            raise UsageError("a channel has two kernels; give each one", where="-k")
        return SelectedWork(info, self.where, done)


@record
class PlannedPart:
    """A filter planned for an image: for the whole, which would become what is `after`, and for what is chosen of it.

    Where single samples are chosen the `work` ends in numbers, which are `scale` times too small; it may be of these
    samples `alone`.
    """

    work: Work
    after: ImageInfo
    channels: tuple[str, ...]
    chosen: Chosen
    numbers: bool = False
    scale: float = 1.0
    alone: bool = False

    @property
    def computed(self) -> float:
        """The share of the image's results that are computed."""
        whole = prod(self.after.shape)
        return sum(prod(stop - start for start, stop in box) for box in self.chosen.boxes) / whole

    @property
    def share(self) -> float:
        """The share of them that is chosen: of all samples of colours that are computed together, some."""
        samples = () if self.alone else self.chosen.samples
        return self.computed * (len(samples) / self.after.size("S") if samples else 1)

    def told(self) -> Work:
        """The work as it is told of: a chain of one step as the filter that it is."""
        work = self.work
        if not (isinstance(work, ChainWork) and len(work.works) == 1):
            return work
        only = work.works[0]
        return only if isinstance(only, PairWork) else FilterWork(only.filter, only.before, only.plan)


def planned_part(each: Assigned, where: Selection, info: ImageInfo, limits: Limits) -> PlannedPart:
    """A filter planned for what is selected of an image. Raises UsageError or ConvError where it does not fit."""
    where = replace(where, channels=each.channels or where.channels)
    found = chosen(where, info, channel_names)
    operation = each.operation
    if where.inside is not None:
        for filter_ in steps_of(operation, info):
            check_weights(filter_)
        operation = weighing(operation)
    whole = operation.on(info, limits)
    if where.channels and any(not filter_.each for filter_ in whole.filters):
        raise UsageError(
            "needs kernels that act on each channel alone; this one sums over channels", where="--channels"
        )
    check_alike(whole, info)
    if not (found.samples or where.luma or where.mask):
        return PlannedPart(whole, whole.after, where.channels, found)
    filters = steps_of(each.operation, info)
    if where.luma and filters[-1].numbers.range == "abs":
        raise UsageError("of a luma turns colours into others; leave one of the two out", where="--range")
    check_opacity(found, info, filters[-1].numbers)
    before = luma_info(info) if where.luma else info
    alone = are_alone(found, info, filters)
    if alone:
        before = some_info(info, found.samples)
    light = where.luma and filters[-1].numbers.linear
    told = [replace(filter_, numbers=numbers_within(filter_, where, light=light)) for filter_ in filters]
    asked = [joined(filter_, before) for filter_ in told]
    scale = scale_of(filters[0], info)
    works = stepwise(asked, before, scale, limits, planned_pair if asked[0].pair else dilated)
    return PlannedPart(
        ChainWork(info, works, joined(filters[-1], info)), whole.after, where.channels, found, True, scale, alone
    )


def check_weights(filter_: Correlation) -> None:
    """Refuse a filter whose taps are no weights."""
    if min(filter_.kernel.values()) < 0 or filter_.kernel.sum() <= 0:
        raise UsageError(
            "divides by the kernel's weight inside of it, and this kernel has negative taps; use --mask-reads all",
            where="--mask",
        )


def weighing(operation: Filtering) -> Filtering:
    """An operation that leaves out what is missing: as one in a mask does."""
    match operation:
        case Correlate() | Pair() if operation.numbers.nan not in LEAVING_OUT:
            return replace(operation, numbers=replace(operation.numbers, nan="ignore"))
        case AtRates():
            return replace(operation, filter=weighing(operation.filter))
        case Chain():
            return replace(operation, filters=tuple(map(weighing, operation.filters)))
    return operation


def check_alike(work: Work, info: ImageInfo) -> None:
    """Refuse a filter whose results do not lie where the image's samples do."""
    after = work.after
    axes = info.axes if "C" in info.axes else info.axes.replace("S", "C")  # features of colours
    if after.shape != info.shape or after.axes not in (info.axes, axes):
        there, made = (f"{each.axes} {'x'.join(map(str, each.shape))}" for each in (info, after))
        raise UsageError(
            f"the result ({made}) does not have the image's shape ({there}), so that the rest has no place beside it; "
            "leave --region, --channels, --mask and --threshold out, or keep the shape: stride 1, padding same, as "
            "many results as channels, and opacity if there is one"
        )
    if work.numbers.range == "rescale":
        raise UsageError("rescales the whole image; a part of it stays as it is", where="--range")


def steps_of(operation: Filtering, info: ImageInfo) -> tuple[Correlation, ...]:
    """The filters that an operation consists of, one after the other."""
    match operation:
        case Correlate():
            return (operation.filter(info.steps),)
        case Dilate():
            return (replace(operation.filter.filter(info.steps), dilation=operation.rate),)
        case Joined():
            return (operation.together(info.steps),)
        case Chain():
            return operation.steps(info.steps)
        case Pair():
            return (operation.filter(info),)
    raise TypeError(f"{type(operation).__name__} is no filter of parts")


def are_alone(found: Chosen, info: ImageInfo, filters: Sequence[Correlation]) -> bool:
    """Whether the chosen samples can be filtered without the others: colours that no opacity or light joins."""
    return bool(found.samples) and not info.has_alpha and not filters[-1].numbers.linear


def check_opacity(found: Chosen, info: ImageInfo, numbers: Numbers) -> None:
    """Refuse to filter an opacity alone that is to stay as it is."""
    if info.has_alpha and found.samples == (info.size("S") - 1,) and numbers.alpha == "keep":
        raise UsageError("keeps the opacity, and nothing else is chosen; leave one of the two out", where="--alpha")


def some_info(info: ImageInfo, samples: Sequence[int]) -> ImageInfo:
    """An image of some samples of S alone."""
    sizes = zip(info.axes, info.shape, strict=True)
    return replace(info, shape=tuple(len(samples) if axis == "S" else size for axis, size in sizes), samples="")


def luma_info(info: ImageInfo) -> ImageInfo:
    """An image's luma, with its opacity."""
    count = 1 + info.has_alpha
    shape = (count if letter == "S" else size for letter, size in zip(info.axes, info.shape, strict=True))
    return replace(info, shape=tuple(shape), samples="grey+alpha" if info.has_alpha else "grey")


def numbers_within(filter_: Correlation, where: Selection, *, light: bool) -> Numbers:
    """How numbers are computed with where what a mask leaves out is NaN, and luma may be that of light already."""
    numbers = replace(filter_.numbers, linear=False) if light else filter_.numbers
    if where.inside is None:
        return numbers
    return numbers if numbers.nan in LEAVING_OUT else replace(numbers, nan="ignore")


class Parts(Work):
    """Works on one image, of which none sees what another one makes."""

    @property
    @abstractmethod
    def works(self) -> tuple[Work, ...]:
        """What is done to each part."""

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Those of all parts."""
        return tuple(plan for work in self.works for plan in work.plans)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Those of all parts."""
        return tuple(filter_ for work in self.works for filter_ in work.filters)

    @property
    def numbers(self) -> Numbers:
        """How samples are computed with, alike in all parts."""
        return self.works[0].numbers


@record
class SelectedWork(Parts):
    """Filters on parts of one image."""

    before: ImageInfo
    where: Selection
    parts: tuple[PlannedPart, ...]

    @property
    def works(self) -> tuple[Work, ...]:
        """What is done to each part."""
        return tuple(part.work for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-adds of the definition, for what is chosen, but for the mask."""
        return round(sum(part.share * part.work.macs for part in self.parts))

    @property
    def done(self) -> int:
        """Multiply-adds that the methods really do."""
        return round(sum(part.computed * part.work.done for part in self.parts))

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return sum(part.computed * part.work.seconds for part in self.parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect."""
        return tuple(dict.fromkeys(note for part in self.parts for note in part.told().notes))

    @cached_property
    def mask(self) -> Mask | None:
        """The mask as it lies on the image."""
        return self.where.mask and fitted(self.where.mask, self.before, self.filters[0].spatial)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """All parts as one stage."""
        from convcli.engine.stages.selected import SelectedStage

        work, info = self.works[0], self.before
        last = work.last if isinstance(work, ChainWork) else work.stages[-1].filter
        limits = [stage.limit for each in self.works for stage in each.stages[:1] if stage.limit is not None]
        made = replace(self.parts[0].after, metadata=info.metadata)
        parts, plan = tuple(map(self.part, self.parts)), work.stages[-1].plan
        return (SelectedStage(last, info, plan, made, min(limits, default=None), parts, self.mask, self.where.least),)

    def part(self, part: PlannedPart) -> Part:
        """A part for the engine: with the mask between samples and filter where only what it marks counts."""
        from convcli.engine.stages.masked import MaskedStage
        from convcli.engine.stages.selected import Part, ToLuma, ToSome

        if not part.numbers:
            return Part(part.work.stages, part.chosen)
        luma, numbers = self.where.luma, self.numbers
        entry, *steps, _ = part.work.stages
        if luma:
            entry = ToLuma(entry.filter, entry.info, entry.plan, steps[0].info, entry.limit, part.scale, numbers.linear)
        if part.alone:
            some, made = part.chosen.samples, steps[0].info
            entry = ToSome(entry.filter, self.before, entry.plan, made, entry.limit, part.scale, some)
        if self.where.inside is not None and self.mask is not None:
            rules = [numbers.nan, *["keep" if numbers.nan == "error" else numbers.nan] * (len(steps) - 1)]
            pairs = zip(steps, rules, strict=True)
            steps = [MaskedStage(step.filter, step.info, step.plan, self.mask, rule) for step, rule in pairs]
        return Part((entry, *steps), part.chosen, True, part.scale, luma, part.alone)

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, those of the first part, with what is selected."""
        where = self.where
        selection = {
            "region": [list(each) for each in where.region] or None,
            "channels": [list(part.channels) or None for part in self.parts],
            "kernels": [each["kernel"] for each in (work.facts() for work in self.works)],
            "mask": where.mask.name if where.mask else None,
            "mask_reads": ("all" if where.reads_all else "inside") if where.mask else None,
            "threshold": where.least or None,
        }
        totals = {"method": self.method, "macs": self.macs, "flops": 2 * self.macs}
        return {**self.works[0].facts(), **totals, "selection": selection}

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:
        """Each part, and where."""
        for part in self.parts:
            if len(self.parts) > 1:
                yield "channels", ",".join(part.channels)
            yield from (row for row in part.told().rows(full=full) if row[0] != "work")
        yield "work", f"{self.macs:,} MACs, {2 * self.macs:,} FLOPs, for what is chosen"
        if where := str(self.where):
            yield "where", f"{where}; the rest is unchanged; predicted times are those of the whole image"
