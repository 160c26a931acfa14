"""What a command does to images: an operation meets an image and becomes work, with its result, price and words known.

Every filtering command is an `Operation`; everything around it (files, batches, reports) knows only this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from convcli.image import Image, ImageInfo, PixelSource, PixelTarget
from convcli.records import record

if TYPE_CHECKING:
    from convcli.engine.samples import Counts
    from convcli.filters.filter import Numbers

Progress = Callable[[int], None]
"""Hears how many outputs have been computed since it was last called."""


@record
class Limits:
    """What a user allows: a method by name or "auto", threads for one image, bytes of workspace."""

    method: str
    threads: int
    memory: int


class Operation(Protocol):
    """What is asked for, before any image is known."""

    def on(self, info: ImageInfo, limits: Limits) -> Work:
        """The work on such an image; raises ConvError or UsageError where the two do not fit."""


class Work(Protocol):
    """An operation planned for one image."""

    @property
    def after(self) -> ImageInfo:
        """What the result will be."""

    @property
    def numbers(self) -> Numbers:
        """How samples are computed with."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect."""

    @property
    def method(self) -> str:
        """How it is computed, in a word."""

    @property
    def threads(self) -> int:
        """By how many threads."""

    @property
    def seconds(self) -> float:
        """The predicted time."""

    @property
    def outputs(self) -> int:
        """Outputs that `progress` will hear of in all."""

    @property
    def macs(self) -> int:
        """Multiply-adds of the definition."""

    @property
    def done(self) -> int:
        """Multiply-adds that the method really does, often fewer."""

    def run(self, image: Image, *, verify: int = 0, progress: Progress | None = None) -> tuple[Image, Counts]:
        """The result, and what was clipped; `verify` points are computed again from the definition."""

    def facts(self) -> dict[str, Any]:
        """What JSON says of it: raw numbers under keys that are never renamed."""

    def rows(self) -> Iterator[tuple[str, str]]:
        """The lines of the report: a label and what there is to say."""


@runtime_checkable
class Streaming(Protocol):
    """Work that need not have the whole image in memory."""

    @property
    def streams(self) -> bool:
        """Whether that goes for this image too."""

    @property
    def in_order(self) -> bool:
        """Whether rows are then read from the first to the last, once."""

    def stream(
        self, source: PixelSource, target: PixelTarget, *, verify: int = 0, progress: Progress | None = None
    ) -> tuple[Counts, dict[str, float]]:
        """Read, compute and write window by window: what was clipped, and the seconds that each of the three took."""
