"""Convolution for Python: an array and a kernel in, an array out, as the command line does it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from convcli.arrays import as_pixels
from convcli.engine.arguments import Padding, Taps, as_kernel, default_axes, named_axes, paddings, per_axis, sample_type
from convcli.engine.run import run
from convcli.engine.stages.filter import FilterStage
from convcli.engine.steady import ranked
from convcli.engine.workers import core_count
from convcli.errors import UsageError
from convcli.filters.borders import parse_border
from convcli.filters.combining import check_combination, joined
from convcli.filters.filter import Filter, Numbers
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.planner import DEFAULT_MEMORY, make_plan
from convcli.records import replace

Array = np.ndarray[Any, Any]
KEPT = 16
"""What was set up for arrays that is kept for the next call."""
PLAIN = Numbers()
"""What becomes of results where nothing is said."""


def convolve(
    image: Any,
    kernel: Taps,
    *,
    axes: str | None = None,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    padding: Padding = "same",
    border: str = "edge",
    groups: int = 1,
    flip: bool = False,
    origin: int | Sequence[int] | None = None,
    combine: str = "stack",
    dtype: Any = None,
    method: str = "auto",
    threads: int | None = None,
    memory: int | None = None,
    numbers: Numbers | None = None,
) -> Array:
    """Correlate an image with a kernel, as the command line does.

    Parameters
    ----------
    image
        Whatever NumPy makes an array of, in any byte order and memory layout; true and false are 255 and 0.
    kernel
        Text as for `-k` ("gaussian:2", "0 -1 0; -1 5 -1; 0 -1 0"; of two axes unless it has slices, see
        `parse_kernel`), an array, a `Kernel`, or a list of texts or kernels. An array of 2 or 3 dimensions is plain
        and acts on every plane alone; one of 4 or 5 is a bank (O, I/g, *space) that sums over C.
    axes
        The letters of the array's dimensions ("YX", "YXS", "CZYX"); without it they are the kernel's spatial axes,
        with C before them for a bank, then Z and T.
    stride, dilation, origin
        One number for all spatial axes, or one for each.
    padding
        "same", "tf-same", "valid", "full"; or pixels: for all axes, for each, or (begin, end) for each.
    border, groups, flip, combine, method, threads
        As the options of these names.
    dtype
        The sample type of the result; by default the image's for plain kernels, floating point for banks.
    memory
        About how many bytes of workspace there may be.
    numbers
        Everything else that the command line says of samples.

    Returns
    -------
    An array in the machine's byte order, its axes in the image's order; several results along C.

    >>> convolve([[1., 2., 4.]], [[-1., 0., 1.]])
    array([[1., 3., 2.]])
    """
    pixels, (kernel, each) = as_pixels(image), as_kernel(kernel)
    ndim = kernel.ndim
    if origin is not None:
        kernel = kernel.at_origin(per_axis(origin, ndim, "origin", least=0))
    kernel = kernel.flipped() if flip else kernel
    axes = axes or default_axes(pixels.ndim, ndim, bank=not each)
    steps = per_axis(stride, ndim, "stride"), per_axis(dilation, ndim, "dilation")
    told = numbers or PLAIN if dtype is None else replace(numbers or PLAIN, dtype=sample_type(dtype))
    what = (kernel, each, pixels.shape, pixels.dtype, axes, *steps, paddings(padding, ndim), border, groups)
    hands = core_count() if threads is None else per_axis(threads, 1, "threads")[0]
    how = combine, flip, told, method, hands, memory or DEFAULT_MEMORY
    return run((_set_up(*what, *how),), pixels)[0]


@lru_cache(maxsize=KEPT)
def _set_up(
    kernel: Kernel,
    each: bool,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str | tuple[tuple[int, int], ...],
    border: str,
    groups: int,
    combine: str,
    flip: bool,
    numbers: Numbers,
    method: str,
    threads: int,
    memory: int,
) -> FilterStage:
    """What `convolve` was asked for, planned: arrays of one kind often come in numbers."""
    info = ImageInfo(shape, dtype.name, named_axes(axes, shape))
    check_combination(combine, kernel.outputs)
    if each and groups > 1:
        raise UsageError("groups need a filter bank (O, I/g, ...); this kernel acts on each channel alone")
    asked = Filter(
        kernel,
        each=each,
        flip=flip,
        combine=combine,
        stride=stride,
        dilation=dilation,
        padding=padding,
        borders=parse_border(border, "ZYX"[-kernel.ndim :]),
        groups=groups,
        numbers=replace(numbers, offset=kernel.offset) if kernel.offset else numbers,
    )
    filter_ = joined(asked, info)
    problem = ranked(filter_.problem(info), filter_.kernel)
    return FilterStage(filter_, info, make_plan(problem, method=method, threads=threads, memory=memory))
