"""The short way for pictures: the samples of a tile through the native extension in one pass, with no floats in memory.

It is taken where nothing but the filter, a scale and a bias acts on the samples. Interleaved colour is filtered where
it lies, as rows of `step` samples per pixel; what stands beyond the image is looked up, not copied.
Tiles in which NaN or infinities turn up go the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from convcli import native
from convcli.engine.samples import Counts

if TYPE_CHECKING:
    from convcli.engine.loop import Job
    from convcli.engine.slabs import Setup
    from convcli.engine.tiles import Task

Array = np.ndarray[Any, Any]
Compiled = Callable[..., native.Counts | None]
"""(channels of source rows, target rows of each filter, what stands beyond, scale and bias and step) -> counts, or None
where the method cannot do these."""


def fits(setup: Setup) -> bool:
    """Whether images may go the short way at all."""
    filter_, numbers, info = setup.filter, setup.filter.numbers, setup.info
    plain = numbers.range == "clip" and numbers.nodata is None and not numbers.linear and filter_.combine == "stack"
    colours = not info.has_alpha or numbers.alpha == "straight"
    held = native.TYPES if setup.plan.itemsize == 4 else native.WIDE_TYPES
    types = info.dtype in held and filter_.output_dtype(info) in held
    return native.AVAILABLE and plain and colours and types


def store_fused(job: Job, compiled: Compiled, task: Task, target: Array) -> Counts | None:
    """Compute one tile into `target` (samples, filters, *tile); None where it has to go the long way."""
    if not job.data.dtype.isnative:
        return None
    total, numbers = Counts(), job.filter.numbers
    parts, reads = job.slab.look_up(task.tile)
    told = {"scale": numbers.scale, "bias": numbers.bias, "reads": reads, "outside": job.setup.outside}
    pixels = job.source[task.loop][..., *parts]
    for channels, results, step in _planes(_samples_last(pixels), _samples_last(target)):
        counts = compiled(channels, results, step=step, **told)
        if counts is None or counts.nan or (results.dtype.kind == "f" and (counts.below or counts.above)):
            return None
        total.add(Counts(results.size, counts.below, counts.above))
    return total


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
