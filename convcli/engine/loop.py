"""The only loop over pixels: every tile of every plane through the planned method, by several threads, or all tiles of
a plane at once where threads can share a call.

A source may be any array, also a memory map; so may a target. Where an image is larger than that, a job is a slab of
it: see `convcli.engine.streaming`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from convcli.arithmetic.problem import Problem
from convcli.engine.fused import store_fused
from convcli.engine.job import Job
from convcli.engine.memory import empty
from convcli.engine.samples import Counts, extremes, spread
from convcli.engine.slabs import Setup
from convcli.engine.tiles import store_tile
from convcli.engine.tiling import Task
from convcli.engine.workers import core_count, run_all
from convcli.errors import UsageError
from convcli.filters.borders import parse_border
from convcli.filters.filter import Filter, Numbers, parse_padding
from convcli.image import Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.methods.separable import RESIDUAL, residual
from convcli.methods.terms import rank
from convcli.planner import Plan, make_plan
from convcli.records import replace

Array = np.ndarray[Any, Any]
Progress = Callable[[int], None]
KEPT = 16
"""Kernels given as arrays, and what was set up for arrays, that are kept for the next call."""
_KERNELS: dict[int, tuple[Array, Kernel]] = {}
PLAIN = Numbers()
"""What becomes of results where nothing is said."""
SMALL_KERNEL = 9
"""Taps (and filters) below (above) which nobody looks for separable terms: passes would not pay."""


def convolve(
    image: Array,
    kernel: Kernel | Array,
    *,
    axes: str | None = None,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    padding: str | int | Sequence[tuple[int, int]] = "same",
    border: str = "edge",
    groups: int = 1,
    flip: bool = False,
    method: str = "auto",
    threads: int | None = None,
    numbers: Numbers | None = None,
) -> Array:
    """Correlate an array with a kernel, as the command line does.

    `axes` names the array's dimensions ("YX", "YXS", "CZYX"); without it they are the kernel's spatial axes, with C
    before them for a bank, then Z and T. A kernel array of 2 or 3 dimensions is plain and acts on
    every plane alone; one of 4 or 5 is a bank (O, I/g, *space) that sums over C.

    >>> convolve(np.array([[1., 2., 4.]]), np.array([[-1., 0., 1.]]))
    array([[1., 3., 2.]])
    """
    kernel = kernel if isinstance(kernel, Kernel) else _as_kernel(np.asarray(kernel))
    kernel = kernel.flipped() if flip else kernel
    axes = axes or _default_axes(image.ndim, kernel.ndim, bank=kernel.bank)
    each = padding if isinstance(padding, (str, int)) else tuple((begin, end) for begin, end in padding)
    steps = _per_axis(stride, kernel.ndim), _per_axis(dilation, kernel.ndim)
    what = (kernel, image.shape, image.dtype, axes, *steps, each, border, groups, numbers or PLAIN)
    return run(_set_up(*what, method, threads or core_count()), image)[0]


@lru_cache(maxsize=KEPT)
def _set_up(
    kernel: Kernel,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str | int | tuple[tuple[int, int], ...],
    border: str,
    groups: int,
    numbers: Numbers,
    method: str,
    threads: int,
) -> Setup:
    """What `convolve` was asked for, planned: arrays of one kind often come in numbers."""
    ndim, info = kernel.ndim, ImageInfo(shape, dtype.name, axes)
    filter_ = Filter(
        kernel,
        each=not kernel.bank,
        stride=stride,
        dilation=dilation,
        padding=padding if isinstance(padding, tuple) else parse_padding(str(padding), ndim),
        borders=parse_border(border, "ZYX"[-ndim:]),
        groups=groups,
        numbers=numbers,
    )
    return Setup(filter_, info, make_plan(ranked(filter_.problem(info), kernel), method=method, threads=threads))


def apply(
    filter_: Filter, image: Image, plan: Plan, *, verify: int = 0, progress: Progress | None = None
) -> tuple[Image, Counts]:
    """Filter an image as planned: the new image, and what was clipped.

    `verify` recomputes that many points from the definition; `progress` hears how many outputs each tile had.
    """
    setup = Setup(filter_, image.info, plan)
    data, counts = run(setup, image.data, verify=verify, progress=progress)
    return Image(setup.after, data), counts


def run(setup: Setup, data: Array, *, verify: int = 0, progress: Progress | None = None) -> tuple[Array, Counts]:
    """The same for pixels alone."""
    job, info = Job(setup, data), setup.after
    rescaled = setup.filter.numbers.range == "rescale"
    values = empty(job.slab.working_shape, setup.plan.problem.dtype if rescaled else info.dtype)
    counts = run_tiles(job, values, progress)
    if verify:
        from convcli.engine.verify import check_points, random_points

        check_points(job, values, random_points(job, verify))
    if not rescaled:
        return values.reshape(info.shape), counts
    result = np.empty(info.shape, info.dtype)
    return result, spread(values.reshape(info.shape), *extremes(values), result, info.missing)


@lru_cache(maxsize=64)
def rank_of(kernel: Kernel, limit: float = RESIDUAL[4]) -> int | None:
    """The separable terms that leave `limit` of a plain kernel, relative to the sum of the absolute taps.

    None where it is so small, or they are so many, that they do not matter.
    """
    if kernel.terms or kernel.inputs > 1 or prod(kernel.spatial) < SMALL_KERNEL or kernel.outputs > SMALL_KERNEL:
        return None
    ranks = [rank(taps, limit) for taps in kernel.array().reshape(-1, *kernel.spatial)]
    known = [each for each in ranks if each is not None]
    return max(known) if len(known) == len(ranks) else None


def ranked(problem: Problem, kernel: Kernel) -> Problem:
    """A problem with what is known of its kernel's separable terms."""
    return problem if problem.rank else replace(problem, rank=rank_of(kernel, residual(problem)))


def run_tiles(job: Job, values: Array, progress: Progress | None = None) -> Counts:
    """Compute every tile of a job into `values`; what was clipped."""
    target, total, lock, method = job.target(values), Counts(), Lock(), job.setup.method

    def add(counts: Counts) -> None:
        with lock:
            total.add(counts)
            if progress:
                progress(counts.samples)

    def work(task: Task) -> None:
        add(store_tile(job, method, task, target[job.place(task)]))

    if tasks := _share_planes(job, target, add):
        threads = min(job.setup.hands, len(tasks))
        run_all(work, tasks, threads, blas=getattr(method.apply, "blas", True))
    return total


def _share_planes(job: Job, target: Array, add: Callable[[Counts], None]) -> list[Task]:
    """Compute planes by all threads at once, where that may be; the tiles that are left."""
    tasks, united = job.slab.tasks, job.setup.method.united
    for plane, parts in job.slab.shared if united else ():
        if united and (counts := store_fused(job, united, plane, target[job.place(plane)])):
            add(counts)
            tasks = [task for task in tasks if task not in parts]
    return tasks


def _as_kernel(taps: Array) -> Kernel:
    """A kernel from an array: a single row, a plain kernel of 2 or 3 axes, or a bank of 2 axes more.

    An array that comes again, and still holds what it held, is not converted again: for a large bank that takes as long
    as filtering with it.
    """
    known = _KERNELS.get(id(taps))
    if known and known[0].dtype == taps.dtype and known[0].shape == taps.shape and (known[0] == taps).all():
        return known[1]
    kernel = Kernel.from_array("array", taps[None] if taps.ndim == 1 else taps, bank=taps.ndim > 3)
    if len(_KERNELS) >= KEPT:
        _KERNELS.clear()
    _KERNELS[id(taps)] = taps.copy(), kernel
    return kernel


@cache
def _default_axes(dimensions: int, ndim: int, *, bank: bool) -> str:
    """The letters of an array that nobody named, for a kernel of `ndim` spatial axes."""
    space = "ZYX"[-ndim:]
    outer = "TZC" if bank else "TCZ"
    letters = "".join(letter for letter in outer if letter not in space) + space
    if not len(space) <= dimensions <= len(letters):
        raise UsageError(f"an array of {dimensions} dimensions needs axes, such as axes='TZCYX'", "ambiguous")
    return letters[-dimensions:]


def _per_axis(value: int | Sequence[int], ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else tuple(value)
