"""`--verify`: points of a result computed again from the definition, in float64, tap by tap."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convcli.engine.integers import window_of
from convcli.engine.job import Job
from convcli.engine.samples import limits
from convcli.engine.slabs import Slab, Stage, Task
from convcli.engine.tiles import centre_opacity, finish, put_holes, tile_block
from convcli.errors import ConvError
from convcli.filters.filter import LEAVING_OUT, TIE
from convcli.geometry.problem import ACCURACY
from convcli.records import replace

Array = np.ndarray[Any, Any]
SEED = 20260101
FINEST = 1e-12
"""What rounding in float64 may leave, relative to sum|k| max|x|, whatever is asked for."""


def check_points(job: Job, values: Array, points: Iterable[Task]) -> None:
    """Compare single outputs in `values`, of the working shape, with the definition; raise if one differs."""
    target = job.target(values)
    for task in points:
        check_point(job, task, target[job.place(task)])


def check_point(job: Job, task: Task, found: Array, known: Array | slice = slice(None)) -> None:
    """Compare one output (samples, filters, 1, 1) with the definition, those of its filters that are known."""
    if job.plan.problem.halves:
        found, expected = found.reshape(len(found), -1)[:, known], whole(job, task, found.dtype)[:, known]
        agree = np.array_equal(found, expected)
    else:
        found, expected = found[:, known], point(job, task)[:, known]
        agree = agrees(found, expected, slack(job, found.dtype))
    if not agree:
        raise differs(task, found, expected, job.plan.method)


def differs(task: Task, found: Array, expected: Array, method: str) -> ConvError:
    """The error for an output that is not what it should be."""
    place = ", ".join(str(start) for start, _ in task.tile)
    message = f"output ({place}) is {found.ravel()} by {method}, {expected.ravel()} by the definition"
    return ConvError(message, "verify")


def whole(job: Job, task: Task, dtype: np.dtype[Any]) -> Array:
    """One output (samples, filters) of 64-bit integers by the definition in Python's integers."""
    under: Any = (..., *(slice(None, None, d) for d in job.plan.problem.dilation))
    pixels = window_of(job, task)[under]
    held, filters = np.iinfo(dtype), len(job.taps) // job.plan.problem.groups
    expected = []
    for channels, (number, taps) in product(pixels, enumerate(job.taps)):
        first = number // filters * len(taps)
        pairs = zip(taps.ravel().tolist(), channels[first : first + len(taps)].ravel().tolist(), strict=True)
        total = sum(int(tap) * pixel for tap, pixel in pairs) + int(job.filter.bias)
        expected.append(min(held.max, max(held.min, abs(total) if job.filter.numbers.range == "abs" else total)))
    return np.array(expected, dtype).reshape(len(pixels), -1)


def random_points(stage: Stage, count: int) -> list[Task]:
    """Single outputs, the corners first."""
    rng = np.random.default_rng(SEED)
    sizes = stage.plan.problem.output
    count = min(count, stage.plan.problem.planes * prod(sizes))
    loops = [stage.info.size(letter) for letter in stage.layout.loops]
    corners = [tuple(corner) for corner in product(*((0, size - 1) for size in sizes))]
    inner = [tuple(int(rng.integers(size)) for size in sizes) for _ in range(max(0, count - len(corners)))]
    places = (corners + inner)[:count]
    return [Task(tuple(int(rng.integers(n)) for n in loops), tuple((p, p + 1) for p in place)) for place in places]


def points_inside(slab: Slab, points: Iterable[Task]) -> list[Task]:
    """Those of the points that a slab holds, with its own loops."""
    first = [start for start, _ in slab.loops]
    return [
        replace(task, loop=tuple(place - start for place, start in zip(task.loop, first, strict=True)))
        for task in points
        if all(start <= place < stop for place, (start, stop) in zip(task.loop, slab.loops, strict=True))
        and all(start <= place < stop for (place, _), (start, stop) in zip(task.tile, slab.spans, strict=True))
    ]


def point(job: Job, task: Task) -> Array:
    """The samples (samples, filters, 1, 1) of one output by the definition, not rounded."""
    block = tile_block(job, task, "float64")
    results = np.array([define(job, channels) for channels in block])
    put_holes(job, block, task, results.reshape(*results.shape, *(1,) * len(task.tile)))
    expected = np.empty(job.target(np.empty(job.slab.working_shape, np.int8))[job.place(task)].shape, np.float64)
    finish(job, results.reshape(*results.shape, *(1,) * len(task.tile)), centre_opacity(job, block, task), expected)
    return expected


def define(job: Job, channels: Array) -> Array:
    """sum over i, t of k[o, i, t] x[i, t d] for every filter o; taps that are zero look at nothing.

    Steps that were folded into one are computed one after the other.
    """
    filter_, groups = job.filter, job.plan.problem.groups
    pixels = channels[(slice(None), *(slice(None, None, d) for d in job.plan.problem.dilation))]
    if filter_.numbers.nan == "zero":
        pixels = np.where(np.isnan(pixels), 0, pixels)
    with np.errstate(invalid="ignore", over="ignore"):
        if filter_.pair and filter_.numbers.nan not in LEAVING_OUT:
            between = _sums(pixels, filter_.pair.depthwise.as_bank(), filter_.pair.channels)
            return _sums(between, filter_.pair.pointwise.as_bank().reshape(-1, len(between)), 1)
        if filter_.steps:
            steps = _sums(pixels, filter_.steps.kernel.as_bank(), filter_.steps.groups)
            return np.atleast_1d(steps.sum() if filter_.steps.combine == "sum" else steps.mean())
        if filter_.numbers.nan in LEAVING_OUT:
            known = ~np.isnan(pixels)
            met = _sums(known.astype(float), job.taps, groups) / job.taps.reshape(len(job.taps), -1).sum(axis=1)
            shares = np.where(met > 0, met, np.nan)
            return _sums(np.where(known, pixels, 0), job.taps, groups) / shares
        return _sums(pixels, job.taps, groups)


def _sums(pixels: Array, taps: Array, groups: int) -> Array:
    """What each filter (O, I/g, ...) makes of the pixels of its channels under its taps."""
    filters, fan_in = len(taps) // groups, len(taps[0])
    firsts = [number // filters * fan_in for number in range(len(taps))]
    seen = (pixels[first : first + fan_in] for first in firsts)
    return np.array([(under[own != 0] * own[own != 0]).sum() for under, own in zip(seen, taps, strict=True)])


def slack(job: Job, dtype: np.dtype[Any]) -> float:
    """How far a sample may be from the definition: the promised accuracy, and what the user gave up of the kernel.

    Whole numbers are promised but for ties, as far as the pixels are no larger than what is stored, or float64 will do.
    """
    data, filter_ = job.data, job.filter
    seen = [abs(border.value) for border in filter_.borders if abs(border.value) < np.inf]
    largest = max([float(np.nanmax(np.abs(data.astype(np.float64)), initial=0, where=np.isfinite(data))), *seen])
    unit = filter_.gain * abs(filter_.numbers.scale) * largest
    near = max(TIE, max(job.plan.problem.tolerance, FINEST) * unit)
    rounding = 0.5 + near if dtype.kind in "iu" else ACCURACY * unit
    return rounding + filter_.approximation * unit


def agrees(found: Array, expected: Array, allowed: float) -> bool:
    """Whether stored samples are the expected ones of float64, within `allowed` and their own precision."""
    dtype = found.dtype
    if dtype.kind in "iu":
        held = np.iinfo(dtype)  # the largest of 64 bits, in float64, is that of `found`
        expected = np.clip(np.nan_to_num(expected, posinf=np.inf, neginf=-np.inf), float(held.min), float(held.max))
    else:
        expected = np.where(np.isfinite(expected), np.clip(expected, *limits(dtype, expected.dtype)), expected)
        allowed = allowed + np.abs(expected) * np.finfo(dtype).eps
    with np.errstate(invalid="ignore"):
        near = np.abs(found.astype(np.float64) - expected) <= allowed
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return bool(np.all(near | same))
