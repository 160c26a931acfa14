"""What a command does to images: an operation meets an image and becomes work, with its result, price and words known.

Every filtering command is an `Operation`; everything around it (files, runs, reports) knows only this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from convcli.image import Image, ImageInfo, PixelSource, PixelTarget
from convcli.planner import DEFAULT_MEMORY, Plan
from convcli.records import record

if TYPE_CHECKING:
    from convcli.engine.samples import Counts
    from convcli.engine.slabs import Stage
    from convcli.filters.filter import Filter, Numbers

Progress = Callable[[int], None]
"""Hears how many outputs have been computed since it was last called."""


@record
class Limits:
    """What a user allows: a method by name or "auto", threads for one image (0: every core), bytes of workspace.

    `boxes` are the bytes of all boxes of a Zarr that are made at a time; 0: as the machine has.
    """

    method: str = "auto"
    threads: int = 0
    memory: int = DEFAULT_MEMORY
    boxes: int = 0


ANYTHING = Limits()
"""Nothing forbidden."""


class Operation(Protocol):
    """What is asked for, before any image is known: a frozen value, whose fields say everything."""

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> Work:
        """The work on such an image; raises ConvError or UsageError where the two do not fit."""


class Work(Protocol):
    """An operation planned for one image, as stages of the engine, each on what the one before makes."""

    before: ImageInfo

    @property
    def plans(self) -> tuple[Plan, ...]:
        """How each of its filters is computed."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The steps from pixels to pixels."""

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What it consists of."""

    @property
    def numbers(self) -> Numbers:
        """How samples are computed with."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect."""

    @property
    def after(self) -> ImageInfo:
        """What the result will be."""
        return self.stages[-1].after

    @property
    def method(self) -> str:
        """The planned methods."""
        return ", ".join(dict.fromkeys(plan.method for plan in self.plans))

    @property
    def threads(self) -> int:
        """By how many threads at most."""
        return max(plan.threads for plan in self.plans)

    @property
    def seconds(self) -> float:
        """The predicted time."""
        return sum(plan.cost.seconds for plan in self.plans)

    @property
    def outputs(self) -> int:
        """Outputs that `progress` will hear of in all."""
        return sum(prod(stage.whole.working_shape) for stage in self.stages)

    @property
    def macs(self) -> int:
        """Multiply-adds of the definition."""
        return sum(plan.problem.macs for plan in self.plans)

    @property
    def done(self) -> int:
        """Multiply-adds that the methods really do, often fewer."""
        return sum(plan.cost.macs for plan in self.plans)

    def facts(self) -> dict[str, Any]:
        """What JSON says of it: raw numbers under keys that are never renamed."""

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:
        """The lines of the report: labels and texts; without formulas and other methods unless `full`."""

    def run(self, image: Image, *, verify: int = 0, progress: Progress | None = None) -> tuple[Image, Counts]:
        """The result, and what was clipped; `verify` points are computed again from the definition."""
        from convcli.engine.run import run

        pixels, counts = run(self.stages, image.data, verify=verify, progress=progress)
        return Image(self.after, pixels), counts

    @property
    def streams(self) -> bool:
        """Whether the image need not be in memory as a whole: slabs are whole rows."""
        return "X" not in self.before.axes[: self.before.axes.index("Y")]

    @property
    def in_order(self) -> bool:
        """Whether rows are then read from the first to the last, once.

        No border brings rows from the other end, and no range is looked for before it is used.
        """
        wraps = any(stage.wraps for stage in self.stages)
        return not wraps and self.numbers.range != "rescale"

    def stream(
        self, source: PixelSource, target: PixelTarget, *, verify: int = 0, progress: Progress | None = None
    ) -> tuple[Counts, dict[str, float]]:
        """Read, compute and write slab by slab: what was clipped, and the seconds that each of the three took."""
        from convcli.engine.blocks import stream

        return stream(self.stages, self.plans[0].memory, source, target, verify, progress)
