"""A filter as a stage: every tile of every plane through the planned method, or all tiles of a plane at once where
threads can share a call.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from convcli.engine.job import Job, Setup, Variants
from convcli.engine.once import Once, once
from convcli.engine.samples import Counts
from convcli.engine.slabs import Slab, Task
from convcli.engine.tiles import store_fused, store_tile
from convcli.engine.workers import Crew
from convcli.records import record

Array = np.ndarray[Any, Any]


@record
class FilterStage(Setup):
    """A filter on images of one kind, as planned."""

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Compute every tile of a slab into `values`."""
        if slab is self.whole and self.once and (counts := self.once(pixels, values)):
            crew.add(counts)
            return
        job = Job(self, pixels, slab)
        target = job.target(values)

        def work(task: Task) -> Counts:
            return store_tile(job, self.method_at(task), task, target[job.place(task)])

        if tasks := self._share_planes(job, target, crew):
            crew.run(work, tasks, self.hands, blas=self.method.apply.blas)

    @cached_property
    def once(self) -> Once | None:
        """How a whole image is filtered by one call, where that is possible."""
        return once(self)

    def method_at(self, task: Task) -> Variants:  # noqa: ARG002 -- it is the same everywhere
        """The method for a tile."""
        return self.method

    def _share_planes(self, job: Job, target: Array, crew: Crew) -> list[Task]:
        """Compute planes by all threads at once, where that may be; the tiles that are left."""
        tasks, united = job.slab.tasks, self.method.united
        for plane, parts in job.slab.shared if united else ():
            if united and (counts := store_fused(job, united, plane, target[job.place(plane)])):
                crew.add(counts)
                tasks = [task for task in tasks if task not in parts]
        return tasks

    def points(self, count: int) -> list[Task]:
        """Single outputs, the corners first."""
        from convcli.engine.verify import random_points

        return random_points(self, count)

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[Task]) -> None:
        """Compare those that lie in a slab with the definition."""
        from convcli.engine.verify import check_points, points_inside

        check_points(Job(self, pixels, slab), values, points_inside(slab, points))
