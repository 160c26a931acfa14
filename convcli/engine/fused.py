"""The short way for pictures: the samples of a tile through the native extension in one pass, with no floats in memory.

It is taken where nothing but the filter, a scale and a bias acts on the samples. Interleaved colour is filtered where
it lies, as rows of `step` samples per pixel; what stands beyond the image is looked up, not copied.
Tiles in which NaN or infinities turn up go the long way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from convcli.engine.job import Job
from convcli.engine.samples import Counts
from convcli.engine.slabs import Task
from convcli.methods.contract import Fused

Array = np.ndarray[Any, Any]


def store_fused(job: Job, compiled: Fused, task: Task, target: Array) -> Counts | None:
    """Compute one tile into `target` (samples, filters, *tile); None where it has to go the long way."""
    if not job.data.dtype.isnative:
        return None
    total, numbers = Counts(), job.filter.numbers
    parts, reads = job.slab.look_up(task.tile)
    told = {"scale": numbers.scale, "bias": job.filter.bias, "reads": reads, "outside": job.setup.outside}
    pixels = job.source[task.loop][..., *parts]
    for channels, results, step in _planes(_samples_last(pixels), _samples_last(target)):
        counts = compiled(channels, results, step=step, **told)
        beyond = counts and (counts.below or counts.above)
        if counts is None or counts.nan or (beyond and not is_clipped(job, pixels, results)):
            return None
        total.add(Counts(results.size, counts.below, counts.above))
    return total


def is_clipped(job: Job, pixels: Array, results: Array) -> bool:
    """Whether results beyond a type are truly so: whole numbers, from sums that did not overflow on their way."""
    if results.dtype.kind == "f":
        return False
    safe = job.setup.method.safe
    return pixels.dtype.kind != "f" or bool(-safe <= pixels.min() and pixels.max() <= safe)


def _samples_last(planes: Array) -> Array:
    """(samples, *space) as (*space, samples); np.moveaxis takes ten times as long."""
    return planes.transpose(*range(1, planes.ndim), 0)


def _planes(source: Array, target: Array) -> Iterator[tuple[Array, Array, int]]:
    """(..., rows, columns, samples) as rows in memory: all samples at once where they are interleaved."""
    samples = source.shape[-1]
    if _interleaved(source) and _interleaved(target):
        yield source.reshape(*source.shape[:-2], -1), target.reshape(*target.shape[:-2], -1), samples
        return
    for sample in range(samples):
        yield source[..., sample], target[..., sample], 1


def _interleaved(pixels: Array) -> bool:
    """Whether the samples of a row follow each other without gaps."""
    return pixels.strides[-1] == pixels.itemsize and pixels.strides[-2] == pixels.itemsize * pixels.shape[-1]
