"""A filter and an image, or a slab of it: everything that a tile needs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from convcli.arrays import in_order
from convcli.engine.prepared import Method
from convcli.engine.slabs import Slab, Stage, Task
from convcli.filters.filter import Filter, Layout
from convcli.image import ImageInfo
from convcli.planner import Plan
from convcli.records import record

Array = np.ndarray[Any, Any]


@record
class Setup(Stage):
    """A filter on images of one kind, with its planned method."""

    @cached_property
    def method(self) -> Method:
        """The method, prepared."""
        return Method(self.filter, self.info, self.plan)

    @cached_property
    def taps(self) -> Array:
        """The kernel as float64 (O, I/g, *space)."""
        return self.method.taps

    @cached_property
    def outside(self) -> list[float]:
        """What stands beyond each spatial axis, where its border is a constant."""
        return [border.value for border in self.filter.borders]

    @cached_property
    def hands(self) -> int:
        """Threads that take tiles of their own."""
        return self.plan.threads // self.plan.team


@record
class Job:
    """A filter, set up, and an image: everything a tile needs. With a slab, the image's data are its alone."""

    setup: Setup
    data: Array
    part: Slab | None = None

    @property
    def filter(self) -> Filter:
        """The filter."""
        return self.setup.filter

    @property
    def info(self) -> ImageInfo:
        """What is known of the whole image."""
        return self.setup.info

    @property
    def plan(self) -> Plan:
        """How it is computed."""
        return self.setup.plan

    @property
    def layout(self) -> Layout:
        """The part that each axis plays."""
        return self.setup.layout

    @property
    def taps(self) -> Array:
        """The kernel as float64 (O, I/g, *space)."""
        return self.setup.taps

    @cached_property
    def source(self) -> Array:
        """A view of the pixels as (*loops, samples, channels, *space)."""
        return self.setup.source_view(in_order(self.data))

    @cached_property
    def slab(self) -> Slab:
        """What of the outputs is computed: all, or those of the part."""
        return self.part or self.setup.whole

    def target(self, values: Array) -> Array:
        """A view of results of the slab's `working_shape` as (*loops, samples, filters, *space)."""
        return self.setup.target_view(values)

    def place(self, task: Task) -> tuple[Any, ...]:
        """Where a tile's results go in the target (*loops, samples, filters, *space)."""
        return (*task.loop, ..., *self.slab.place(task.tile))
