"""64-bit integers in two halves of 32 bits: sums of each are exact in float64, and so is what they make together."""

from __future__ import annotations

from typing import Any

import numpy as np

from convcli.engine.job import Job, Variants
from convcli.engine.samples import Counts
from convcli.engine.slabs import Task
from convcli.engine.windows import read_window

Array = np.ndarray[Any, Any]
BITS = 32
HALF = 2**BITS


def store_halves(
    job: Job, method: Variants, task: Task, target: Array, crop: tuple[slice, ...] | None = None
) -> Counts:
    """Compute one tile and put its samples into `target` (samples, filters, *tile), or those that `crop` leaves."""
    part: Any = (..., *(crop or ()))
    sums = []
    for half in split(window_of(job, task)):
        results = np.empty((half.shape[0], job.plan.problem.channels_out, *task.shape))
        for channels, result in zip(half, results, strict=True):
            method.apply(channels, result)
        sums.append(results[part])
    high, low = sums
    low += job.filter.bias
    return put_halves(*carried(high, low), target, absolute=job.filter.numbers.range == "abs")


def window_of(job: Job, task: Task) -> Array:
    """The window of a tile (samples, channels, *window), in the image's own type."""
    window = [axis.window(*span) for axis, span in zip(job.plan.problem.axes, task.tile, strict=True)]
    return read_window(job.source[task.loop], window, job.filter.borders, job.info.dtype, job.slab.held)


def split(pixels: Array) -> tuple[Array, Array]:
    """(high, low) such that a pixel is high 2^32 + low, 0 <= low < 2^32.

    >>> [half.tolist() for half in split(np.array([-1, 2**40 + 3]))]
    [[-1.0, 256.0], [4294967295.0, 3.0]]
    """
    bits, mask = pixels.dtype.type(BITS), pixels.dtype.type(HALF - 1)
    return (pixels >> bits).astype(np.float64), (pixels & mask).astype(np.float64)


def carried(high: Array, low: Array) -> tuple[Array, Array]:
    """The same sum with 0 <= low < 2^32."""
    carry = np.floor(low / HALF)
    return high + carry, low - carry * HALF


def put_halves(high: Array, low: Array, target: Array, *, absolute: bool) -> Counts:
    """Store high 2^32 + low, or its absolute value, in an integer type; what it cannot hold is clipped and counted."""
    if absolute:
        minus = high < 0
        high, low = carried(np.where(minus, -high, high), np.where(minus, -low, low))
    held = np.iinfo(target.dtype)
    (least_high, least_low), (most_high, most_low) = divmod(held.min, HALF), divmod(held.max, HALF)
    below = (high < least_high) | ((high == least_high) & (low < least_low))
    above = (high > most_high) | ((high == most_high) & (low > most_low))
    bits = (high.astype(np.int64).astype(np.uint64) << np.uint64(BITS)) | low.astype(np.uint64)
    target[...] = bits if target.dtype == np.uint64 else bits.view(np.int64).astype(target.dtype)
    target[below], target[above] = held.min, held.max
    return Counts(high.size, int(np.count_nonzero(below)), int(np.count_nonzero(above)))
