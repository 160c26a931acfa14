"""A part of an image filtered into several results side by side: each has the rest of the image beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from convcli.filters.selection import Selection
from convcli.image import ImageInfo
from convcli.operations.dilated import Dilate, SideBySide
from convcli.operations.filter import Correlate
from convcli.operations.operation import ANYTHING, Limits, Work
from convcli.operations.selected import Assigned, Filtering, Parts, Selected, SelectedWork, weighing
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.engine.slabs import Stage


@record
class SelectedBeside:
    """An operation of several results, whose `parts` make one each, with the rest of the image beside each of them."""

    operation: Filtering
    parts: tuple[Selected, ...]

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.operation.ndim

    @property
    def bank(self) -> bool:
        """Whether it sums over channels."""
        return self.operation.bank

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> SelectedBesideWork:
        """Every part planned for an image."""
        results = tuple(part.on(info, limits) for part in self.parts)
        inside = self.parts[0].where.inside is not None
        whole = (weighing(self.operation) if inside else self.operation).on(info, limits)
        return SelectedBesideWork(info, whole, results)


def selected(operation: Filtering, where: Selection) -> Filtering:
    """An operation on what is selected; the operation itself where that is everything."""
    if where.is_all:
        return operation
    parts = tuple(Selected((Assigned(each),), where) for each in apart(operation))
    return parts[0] if len(parts) == 1 else SelectedBeside(operation, parts)


def apart(operation: Filtering) -> tuple[Filtering, ...]:
    """The operations of one result each that one of several consists of, in the order of its results."""
    match operation:
        case SideBySide():
            return tuple(Dilate(each, rate) for rate in operation.rates for each in kernels_apart(operation.filter))
        case Dilate():
            return tuple(Dilate(each, operation.rate) for each in kernels_apart(operation.filter))
        case Correlate():
            return kernels_apart(operation)
    return (operation,)


def kernels_apart(asked: Correlate) -> tuple[Correlate, ...]:
    """A filter for each of several plain kernels whose results lie side by side."""
    if asked.combine != "stack":
        return (asked,)
    return tuple(replace(asked, kernel=replace(asked.kernel, kernels=(each,))) for each in asked.kernel.kernels)


@record
class SelectedBesideWork(Parts):
    """Filters on one part of one image, whose results lie side by side; `whole` is the same without a part."""

    before: ImageInfo
    whole: Work
    results: tuple[SelectedWork, ...]

    @property
    def works(self) -> tuple[SelectedWork, ...]:
        """What is done for each result."""
        return self.results

    @property
    def macs(self) -> int:
        """Multiply-adds of the definition, for what is chosen, but for the mask."""
        return sum(work.macs for work in self.works)

    @property
    def done(self) -> int:
        """Multiply-adds that the methods really do."""
        return sum(work.done for work in self.works)

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return sum(work.seconds for work in self.works)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect."""
        return self.whole.notes

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """All as one stage, cut as the one with the largest tiles."""
        from convcli.engine.stages.beside import BesideStage

        stages = tuple(stage for work in self.works for stage in work.stages)
        largest = max((stage.plan for stage in stages), key=lambda plan: plan.tile)
        return (BesideStage(stages[0].filter, self.before, largest, stages),)

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, those of the whole, with what is selected."""
        totals = {"method": self.method, "macs": self.macs, "flops": 2 * self.macs}
        return {**self.whole.facts(), **totals, "selection": self.works[0].facts()["selection"]}

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:
        """The whole, and where."""
        yield from (row for row in self.whole.rows(full=full) if row[0] != "work")
        yield "work", f"{self.macs:,} MACs, {2 * self.macs:,} FLOPs, for what is chosen"
        yield from (row for row in self.works[0].rows(full=full) if row[0] == "where")
