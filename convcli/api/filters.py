"""Images in, images out: what the filtering commands do, on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from convcli.api.images import default_axes, named_axes, taken, told
from convcli.arrays import as_pixels
from convcli.engine.run import run
from convcli.filters.selection import Selection
from convcli.image import Image, ImageInfo
from convcli.operations.beside import selected
from convcli.operations.selected import Filtering
from convcli.operations.signals import suited
from convcli.requests.arguments import EVERYTHING, as_kernels, as_selection, limits, paddings, per_axis
from convcli.requests.calls import (
    PLAIN,
    check_layer,
    correlate,
    correlate_on,
    dilated,
    names_channels,
    numbers_of,
    pair,
    resample,
    share,
    transpose,
)
from convcli.requests.layers import correlate_layer

if TYPE_CHECKING:
    from convcli.engine.slabs import Stage
    from convcli.filters.filter import Numbers
    from convcli.kernels.given import ByName
    from convcli.kernels.kernel import Kernel
    from convcli.operations.operation import Limits
    from convcli.requests.arguments import Padding, PerAxis, Taps
    from convcli.requests.calls import Scale

    Array = np.ndarray[Any, Any]
KEPT = 16
"""What was set up for arrays that is kept for the next call."""


def convolve(
    image: Any,
    kernel: Taps | None = None,
    *,
    layer: str | None = None,
    axes: str | None = None,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    padding: Padding = "same",
    border: str = "edge",
    groups: int = 1,
    flip: bool = False,
    origin: PerAxis | None = None,
    combine: str = "stack",
    normalize: str = "none",
    tolerance: float = 0.0,
    dtype: Any = None,
    method: str = "auto",
    threads: int | None = None,
    memory: int | None = None,
    mask: Any = None,
    mask_reads: str = "inside",
    threshold: float = 0.0,
    region: Any = None,
    channels: Any = None,
    numbers: Numbers | None = None,
) -> Array:
    """Correlate an image with a kernel, as ``convcli conv2d`` and ``conv3d`` do.

    Parameters
    ----------
    image : array_like or Image
        Whatever NumPy makes an array of, in any byte order and memory layout; true and false are 255 and 0. An `Image`,
        as `read` gives it, knows its axes, and how long its pixels are.
    kernel : str, path, array_like, Kernel, or a list of these
        Text as for ``-k`` ("gaussian:2", "0 -1 0; -1 5 -1; 0 -1 0"; of two axes unless it has slices, see
        `parse_kernel`), an array, or a `Kernel`. An array of 2 or 3 dimensions is plain and acts on every plane alone;
        one of 4 or 5 is a bank (O, I/g, *space) that sums over C. Texts may name their channels: "gaussian:2@R".
    layer : str, optional
        In place of a kernel a convolution of a network, as ``--layer`` has it: "model.onnx:/conv1/Conv", with its bias,
        stride, dilation, padding and groups.
    axes : str, optional
        The letters of the array's dimensions ("YX", "YXS", "CZYX"); without it they are the kernel's spatial axes,
        with C before them for a bank, then Z and T.
    stride, dilation, origin : int or sequence of int, optional
        One number for all spatial axes, or one for each.
    padding : str, int or sequence, default "same"
        "same", "tf-same", "valid", "full"; or pixels: for all axes, for each, or (begin, end) for each.
    border, groups, flip, combine, normalize, tolerance, method : optional
        As the options of these names.
    dtype : optional
        The sample type of the result; by default the image's for plain kernels, floating point for banks.
    threads : int, optional
        How many at most; by default every core.
    memory : int, optional
        About how many bytes of workspace there may be.
    mask : str, path, array_like or Image, optional
        Where it is 0 the image comes back unchanged; inside, only what is inside counts, renormalised. Of the image's
        shape, or of its spatial shape.
    mask_reads : {"inside", "all"}
        With "all", what is outside counts for results inside, too.
    threshold : float, optional
        Samples that would change by less stay as they are: an "unsharp" that leaves noise alone.
    region : str or sequence of slices, optional
        Only there; the rest comes back unchanged: "10:20,5:-5" or (slice(10, 20), slice(5, -5)).
    channels : str, int or sequence, optional
        Only these, by numbers or as ``--channels`` has them; the rest comes back unchanged.
    numbers : Numbers, optional
        Everything else that the command line says of samples.

    Returns
    -------
    numpy.ndarray
        In the machine's byte order, its axes in the image's order; several results along C.

    Raises
    ------
    ConvError
        With a `code` in a word, as the commands print it: "shape", "kernel", "dtype", ...

    Examples
    --------
    >>> convolve([[1., 2., 4.]], [[-1., 0., 1.]])
    array([[1., 3., 2.]])
    >>> convolve([[0., 0., 9., 0., 0.]], "box:1,3", border="zero")
    array([[0., 3., 3., 3., 0.]])
    >>> convolve([[2., 4., 9., 0.]], "box:1,3", mask=[[1, 1, 0, 1]])
    array([[2.66666667, 3.        , 9.        , 0.        ]])
    """
    where = as_selection(mask, region, channels, mask_reads, threshold)
    if kernel is None or layer is not None:
        beside = (kernel, stride, dilation, padding, border, groups, flip, origin, combine, normalize)
        check_layer(layer, beside, usual=(None, 1, 1, "same", "edge", 1, False, None, "stack", "none"))
        asked = correlate_layer(layer or "", numbers_of(dtype, numbers), share(tolerance))
        return _filtered(asked, image, axes, limits(method, threads, memory), where)
    pixels = image if isinstance(image, Image) else as_pixels(image)
    rowless = isinstance(axes, str) and "Y" not in axes
    if isinstance(pixels, Image) or pixels.ndim == 1 or rowless or not where.is_all or names_channels(kernel):
        chosen = correlate_on(
            kernel, where, stride=stride, dilation=dilation, padding=padding, border=border, groups=groups, flip=flip,
            origin=origin, combine=combine, normalize=normalize, tolerance=tolerance, dtype=dtype, numbers=numbers,
        )  # fmt: skip
        return _filtered(chosen, pixels, axes, limits(method, threads, memory))
    kernels = as_kernels(kernel)
    ndim = kernels[0].ndim
    steps = per_axis(stride, ndim, "stride"), per_axis(dilation, ndim, "dilation")
    middle = None if origin is None else per_axis(origin, ndim, "origin", least=0)
    told = PLAIN if dtype is None and numbers is None else numbers_of(dtype, numbers)
    asked_for = (
        kernels, pixels.shape, pixels.dtype, axes or default_axes(pixels.ndim, ndim, bank=kernels[0].bank), *steps,
        paddings(padding, ndim), border, groups, flip, middle, combine, normalize, tolerance, told, method, threads,
        memory,
    )  # fmt: skip
    try:
        stages = _set_up(*asked_for)
    except TypeError:  # what cannot be looked up, as a list cannot: it is read, or refused, where it is used
        stages = _set_up.__wrapped__(*asked_for)
    return run(stages, pixels)[0]


@lru_cache(maxsize=KEPT)
def _set_up(
    kernels: tuple[Kernel | ByName, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str | tuple[tuple[int, int], ...],
    border: str,
    groups: int,
    flip: bool,
    origin: tuple[int, ...] | None,
    combine: str,
    normalize: str,
    tolerance: float,
    numbers: Numbers,
    method: str,
    threads: int | None,
    memory: int | None,
) -> tuple[Stage, ...]:
    """What `convolve` was asked for, planned: arrays of one kind often come in numbers."""
    info = ImageInfo(shape, dtype.name, named_axes(axes, shape))
    asked = correlate(
        list(kernels), stride=stride, dilation=dilation, padding=padding, border=border, groups=groups, flip=flip,
        origin=origin, combine=combine, normalize=normalize, tolerance=tolerance, numbers=numbers,
    )  # fmt: skip
    return asked.on(info, limits(method, threads, memory)).stages


def upsample(
    image: Any,
    kernel: Taps,
    *,
    axes: str | None = None,
    stride: PerAxis = 2,
    padding: Padding = "same",
    output_padding: PerAxis | None = None,
    output_size: PerAxis | None = None,
    dilation: PerAxis = 1,
    groups: int = 1,
    border: str | None = None,
    normalize: str = "none",
    flip: bool = False,
    tolerance: float = 0.0,
    dtype: Any = None,
    method: str = "auto",
    threads: int | None = None,
    memory: int | None = None,
    numbers: Numbers | None = None,
) -> Array:
    """Make an image larger by transposed convolution, as ``convcli upsample --stride`` does.

    Parameters
    ----------
    image : array_like or Image
        As for `convolve`.
    kernel : str, path, array_like or Kernel
        "nearest", "bilinear", "bicubic", "lanczos", at the stride; any other as for `convolve`, a bank being
        (I, O/g, *space), as PyTorch's layers have it.
    axes : str, optional
        As for `convolve`.
    stride, dilation : int or sequence of int, optional
        From one pixel's kernel to the next, and from tap to tap.
    padding : str, int or sequence, default "same"
        What is cut off: "same" leaves stride x input, "valid" nothing, "full" K - 1; or pixels, as in PyTorch.
    output_padding, output_size : int or sequence of int, optional
        Pixels more at the end; or the size wanted, from which that follows.
    border : str, optional
        What lies outside lays kernels, too; by default "edge" with "same", else "zero".
    normalize : {"none", "sum", "overlap"}
        Divide the kernel by its sum; or each result by the weights that overlap there.
    groups, flip, tolerance, dtype, method, threads, memory, numbers : optional
        As for `convolve`.

    Returns
    -------
    numpy.ndarray
        s (n - 1) + K - p0 - p1 + output padding pixels for n.

    Examples
    --------
    >>> upsample([[1., 3.]], "bilinear", stride=(1, 2))
    array([[1. , 1.5, 2.5, 3. ]])
    >>> upsample([[1., 3.]], [[1., 1., 1.]], stride=(1, 2), padding=0)
    array([[1., 1., 4., 3., 3.]])
    """
    asked = transpose(
        kernel, stride=stride, padding=padding, output_padding=output_padding, output_size=output_size,
        dilation=dilation, groups=groups, border=border, normalize=normalize, flip=flip, tolerance=tolerance,
        dtype=dtype, numbers=numbers,
    )  # fmt: skip
    return _filtered(asked, image, axes, limits(method, threads, memory))


def resize(
    image: Any,
    scale: Scale | Sequence[Scale],
    kernel: str = "lanczos",
    *,
    axes: str | None = None,
    border: str | None = None,
    dtype: Any = None,
    threads: int | None = None,
    memory: int | None = None,
    numbers: Numbers | None = None,
) -> Array:
    """Make an image larger or smaller by any factor, as ``convcli upsample --scale`` does.

    Parameters
    ----------
    image : array_like or Image
        As for `convolve`.
    scale : number, Fraction, or one for each spatial axis
        The new size is round(scale x size); a single one is for Y and X.
    kernel : {"lanczos", "bicubic", "bilinear", "nearest"}
        How pixels are weighed, as Pillow does; where the image shrinks, every pixel counts (nearest: one).
    axes, dtype, threads, memory, numbers : optional
        As for `convolve`.
    border : str, optional
        What lies outside; by default nothing there counts.

    Returns
    -------
    numpy.ndarray
        The image in its new size.

    Examples
    --------
    >>> resize([[0., 4.]], (1, 2), "bilinear")
    array([[0., 1., 3., 4.]])
    """
    asked = resample(scale, kernel, border=border, dtype=dtype, numbers=numbers)
    return _filtered(asked, image, axes, limits("auto", threads, memory))


def separable(
    image: Any,
    depthwise: Taps,
    pointwise: Taps,
    *,
    axes: str | None = None,
    multiplier: int = 0,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    padding: Padding = "same",
    border: str = "edge",
    flip: bool = False,
    origin: PerAxis | None = None,
    normalize: str = "none",
    dtype: Any = None,
    method: str = "auto",
    threads: int | None = None,
    memory: int | None = None,
    mask: Any = None,
    mask_reads: str = "inside",
    threshold: float = 0.0,
    region: Any = None,
    channels: Any = None,
    numbers: Numbers | None = None,
) -> Array:
    """Filter each channel alone, then mix the channels, as ``convcli separable`` does.

    Parameters
    ----------
    image : array_like or Image
        As for `convolve`; three dimensions without `axes` are CYX.
    depthwise : str, path, array_like, Kernel, or a list of these
        One kernel for all channels, several, or an array (C m, kh, kw) or (C m, 1, kh, kw).
    pointwise : str, path, array_like or Kernel
        A matrix (O, C m), a row for each output: "1 0 1; 0 1 1".
    multiplier : int, optional
        Results of the first step for each channel; by default as the matrix says.
    axes, stride, dilation, padding, border, flip, origin, normalize, dtype, method, threads, memory : optional
        As for `convolve`.
    mask, mask_reads, threshold, region, channels, numbers : optional
        As for `convolve`.

    Returns
    -------
    numpy.ndarray
        With O channels.

    Examples
    --------
    >>> separable([[[1., 2.]], [[3., 5.]]], "1", "1 1; 1 -1")
    array([[[ 4.,  7.]],
    <BLANKLINE>
           [[-2., -3.]]])
    """
    asked = pair(
        depthwise, pointwise, multiplier=multiplier, stride=stride, dilation=dilation, padding=padding, border=border,
        flip=flip, origin=origin, normalize=normalize, dtype=dtype, numbers=numbers,
    )  # fmt: skip
    where = as_selection(mask, region, channels, mask_reads, threshold)
    return _filtered(asked, image, axes, limits(method, threads, memory), where)


def dilate(
    image: Any,
    kernel: Taps,
    *,
    rate: PerAxis | None = None,
    rates: Sequence[PerAxis] | None = None,
    chain: Sequence[PerAxis] | None = None,
    axes: str | None = None,
    stride: PerAxis = 1,
    padding: Padding = "same",
    border: str = "edge",
    groups: int = 1,
    flip: bool = False,
    origin: PerAxis | None = None,
    combine: str = "stack",
    normalize: str = "none",
    tolerance: float = 0.0,
    dtype: Any = None,
    method: str = "auto",
    threads: int | None = None,
    memory: int | None = None,
    mask: Any = None,
    mask_reads: str = "inside",
    threshold: float = 0.0,
    region: Any = None,
    channels: Any = None,
    numbers: Numbers | None = None,
) -> Array:
    """Filter with kernels whose taps lie a rate apart, as ``convcli dilate`` does; not the dilation of morphology.

    Parameters
    ----------
    image, kernel
        As for `convolve`.
    rate : int or sequence of int, optional
        One rate for all spatial axes, or one for each.
    rates : sequence, optional
        Several, each a result along C; with one kernel and `combine`, these become one.
    chain : sequence, optional
        Several, each on what the one before made; several kernels are one for each step.
    axes, stride, padding, border, groups, flip, origin, combine, normalize, tolerance : optional
        As for `convolve`.
    dtype, method, threads, memory, mask, mask_reads, threshold, region, channels, numbers : optional
        As for `convolve`. One of `rate`, `rates` and `chain` must be given.

    Returns
    -------
    numpy.ndarray
        As `convolve` returns it.

    Examples
    --------
    >>> dilate([[0., 0., 1., 0., 0.]], [[1., 2., 3.]], rate=(1, 2), border="zero")
    array([[3., 0., 2., 0., 1.]])
    """
    asked = dilated(
        kernel, rate=rate, rates=rates, chain=chain, combine=combine, stride=stride, padding=padding, border=border,
        groups=groups, flip=flip, origin=origin, normalize=normalize, tolerance=tolerance, dtype=dtype,
        numbers=numbers,
    )  # fmt: skip
    where = as_selection(mask, region, channels, mask_reads, threshold)
    return _filtered(asked, image, axes, limits(method, threads, memory), where)


def _filtered(asked: Filtering, image: Any, axes: str | None, allowed: Limits, where: Selection = EVERYTHING) -> Array:
    """What a request makes of an image, or of what is selected of it."""
    info, pixels = taken(image, axes, asked.ndim, bank=asked.bank)
    work = suited(selected(asked, where), info).on(info, allowed)
    return told(work.after, run(work.stages, pixels)[0]).data
