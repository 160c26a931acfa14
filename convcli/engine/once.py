"""A small image by one call of a compiled method: what every call is told is found once for images of a kind.

Where an image has one plane, and that one tile, all that changes from one to the next is where its samples lie. What is
looked up for the tile, and the order of its axes, would take longer than the sums themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from convcli.engine.job import Job
from convcli.engine.samples import Counts
from convcli.engine.tiles import counted, planes_at, told_of
from convcli.records import record

if TYPE_CHECKING:
    from convcli import native
    from convcli.engine.job import Setup
    from convcli.engine.slabs import Task

Array = np.ndarray[Any, Any]
MOST = 2**23
"""Bytes of an image, or of its results, for which that shows: those of larger ones take milliseconds."""


@record
class Once:
    """A filter on images of one kind: `call` fills results of the shape `made` from pixels of the shape `read`.

    These shapes are those in which a method takes channels and filters, of the samples as they follow each other.
    """

    safe: float
    call: Callable[[Array, Array], native.Counts | None]
    read: tuple[int, ...]
    made: tuple[int, ...]

    def __call__(self, pixels: Array, values: Array) -> Counts | None:
        """Fill `values` of the working shape; None where the image has to go the long way."""
        if not (pixels.flags.c_contiguous and pixels.dtype.isnative):
            return None
        source, results = pixels.reshape(self.read), values.reshape(self.made)
        return counted(self.call(source, results), self.safe, source, results)


def once(stage: Setup) -> Once | None:
    """How whole images of the stage's kind are filtered by one call; None where they take several, or another way."""
    method, tasks = stage.method, stage.whole.tasks
    if stage.plan.threads > 1 or len(tasks) > 1 or method.fused is None or method.apply.blas:
        return None
    if max(stage.info.nbytes, prod(stage.whole.working_shape) * np.dtype(stage.working).itemsize) > MOST:
        return None
    return _by_one_call(stage, method.apply.bound, *tasks)


def _by_one_call(stage: Setup, bound: Callable[..., Any], task: Task) -> Once | None:
    """The same for the only tile: where its views have all samples of an image, in the order of memory."""
    pixels = np.empty(stage.info.shape, stage.info.dtype)
    values = np.empty(stage.whole.working_shape, stage.working)
    job = Job(stage, pixels)
    parts = list(planes_at(job, task, job.target(values)[job.place(task)]))
    if len(parts) > 1:
        return None
    ((source, results, step),) = parts
    if not (_is_all(source, pixels) and _is_all(results, values)):
        return None
    return Once(stage.method.safe, bound(step=step, **told_of(job, task)), source.shape, results.shape)


def _is_all(view: Array, array: Array) -> bool:
    """Whether a view has each sample of an array once, and in its order."""
    return bool(view.flags.c_contiguous) and view.size == array.size
