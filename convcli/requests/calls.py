"""From the arguments of the functions of `convcli.api` to what is asked of every image, as the commands ask it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from convcli.errors import UsageError
from convcli.filters.borders import Border, parse_border
from convcli.filters.filter import Numbers
from convcli.filters.transposed import default_laid_border
from convcli.kernels.given import ByName, Given
from convcli.kernels.kernel import Kernel
from convcli.kernels.resampling import CURVES
from convcli.operations.dilated import Chain, Dilate, Joined, Rate, SideBySide
from convcli.operations.filter import Correlate
from convcli.operations.pair import Pair
from convcli.operations.resampled import Resample
from convcli.operations.transposed import Transpose
from convcli.records import replace
from convcli.requests.arguments import Padding, PerAxis, Taps, as_kernels, paddings, per_axis, sample_type
from convcli.requests.rates import beside, chained

Request = Correlate | Transpose | Resample | Pair | Dilate | Joined | SideBySide | Chain
"""What can be asked of images."""
Scale = int | float | Fraction
MOST_TIMES = 10**4
PLAIN = Numbers()
"""What becomes of results where nothing is said."""
MOST_LEFT = 0.5
"""The most that separable terms may leave of a kernel, relative to sum|k|."""
NORMALIZATIONS = ("none", "sum")


def correlate(
    kernel: Taps,
    *,
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
    numbers: Numbers | None = None,
) -> Correlate:
    """What `convolve` asks for."""
    kernels = as_kernels(kernel)
    ndim = kernels[0].ndim
    return Correlate(
        Given(kernels, _sums(normalize), flip, None if origin is None else per_axis(origin, ndim, "origin", least=0)),
        combine=combine,
        stride=per_axis(stride, ndim, "stride"),
        dilation=per_axis(dilation, ndim, "dilation"),
        padding=paddings(padding, ndim),
        borders=_borders(border, ndim),
        groups=groups,
        approximation=_share(tolerance),
        numbers=numbers_of(dtype, numbers),
    )


def transpose(
    kernel: Taps,
    *,
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
    numbers: Numbers | None = None,
) -> Transpose:
    """What `upsample` asks for."""
    (given,) = _single(as_kernels(kernel, _strides(stride)))
    ndim, overlap = given.ndim, normalize == "overlap"
    sums = not overlap and _sums(normalize)
    laid = paddings(padding, ndim)
    return Transpose(
        Given((given,), sums, flip),
        per_axis(stride, ndim, "stride"),
        per_axis(dilation, ndim, "dilation"),
        padding=laid,
        output_padding=() if output_padding is None else per_axis(output_padding, ndim, "output_padding", least=0),
        output_size=() if output_size is None else per_axis(output_size, ndim, "output_size"),
        borders=_borders(border or default_laid_border(laid, overlap=overlap), ndim),
        groups=groups,
        overlap=overlap,
        approximation=_share(tolerance),
        numbers=numbers_of(dtype, numbers),
    )


def resample(
    scale: Scale | Sequence[Scale],
    kernel: str = "lanczos",
    *,
    ndim: int = 2,
    border: str | None = None,
    dtype: Any = None,
    numbers: Numbers | None = None,
) -> Resample:
    """What `resize` asks for: a scale for all of `ndim` axes, or one for each."""
    if kernel not in CURVES:
        raise UsageError(f"a scale takes {', '.join(CURVES)}, not {kernel!r}", where="kernel")
    scales = scale if isinstance(scale, (Sequence, np.ndarray)) and not isinstance(scale, str) else (scale,) * ndim
    try:
        factors = tuple(Fraction(str(each)) if isinstance(each, float) else Fraction(each) for each in scales)
    except (TypeError, ValueError):
        raise UsageError(f"{scale!r} is not a number, or one for each axis", where="scale") from None
    if len(factors) not in (2, 3) or not 0 < min(factors) <= max(factors) <= MOST_TIMES:
        raise UsageError(f"{scale!r} is not between 0 and {MOST_TIMES}, or 2 or 3 such numbers", where="scale")
    told = numbers_of(dtype, numbers)
    return Resample(kernel, factors, _borders(border or "edge", len(factors)), border is None, told)


def pair(
    depthwise: Taps,
    pointwise: Taps,
    *,
    multiplier: int = 0,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    padding: Padding = "same",
    border: str = "edge",
    flip: bool = False,
    origin: PerAxis | None = None,
    normalize: str = "none",
    dtype: Any = None,
    numbers: Numbers | None = None,
) -> Pair:
    """What `separable` asks for."""
    kernels, (matrix,) = as_kernels(_channel_first(depthwise)), _single(as_kernels(pointwise))
    ndim = kernels[0].ndim
    return Pair(
        Given(kernels, _sums(normalize), flip, None if origin is None else per_axis(origin, ndim, "origin", least=0)),
        matrix.on({}) if isinstance(matrix, ByName) else matrix,
        multiplier,
        stride=per_axis(stride, ndim, "stride"),
        dilation=per_axis(dilation, ndim, "dilation"),
        padding=paddings(padding, ndim),
        borders=_borders(border, ndim),
        numbers=numbers_of(dtype, numbers),
    )


def dilated(
    kernel: Taps,
    *,
    rate: PerAxis | None = None,
    rates: Sequence[PerAxis] | None = None,
    chain: Sequence[PerAxis] | None = None,
    combine: str = "stack",
    **options: Any,
) -> Dilate | Joined | SideBySide | Chain:
    """What `dilate` asks for; other options are those of `correlate`, without the dilation."""
    given = {"rate": rate, "rates": rates, "chain": chain}
    if sum(each is not None for each in given.values()) != 1:
        raise UsageError("give one of rate, rates and chain: how far apart the taps are")
    kernels = as_kernels(kernel)

    def build(some: Sequence[Kernel | ByName], combine: str) -> Correlate:
        return correlate(list(some), combine=combine, **options)

    def spread(each: PerAxis, where: str) -> Rate:
        return per_axis(each, kernels[0].ndim, where)

    if rate is not None:
        return Dilate(build(kernels, combine), spread(rate, "rate"))
    if chain is not None:
        return chained(kernels, combine, _some(spread(each, "chain") for each in chain), build)
    found = _some(spread(each, "rates") for each in (() if rates is None else rates))
    if len(set(found)) < len(found):
        raise UsageError(f"{rates!r} has a rate twice", where="rates")
    return beside(kernels, combine, found, build)


def _some(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    found = tuple(rates)
    if not found:
        raise UsageError("holds no rates; give one at least")
    return found


def numbers_of(dtype: Any, numbers: Numbers | None) -> Numbers:
    """How samples are computed with: as `numbers` says, and results of a `dtype`, if one is given."""
    told = numbers or PLAIN
    return told if dtype is None else replace(told, dtype=sample_type(dtype))


def _share(tolerance: float) -> float:
    if not 0 <= tolerance <= MOST_LEFT:
        raise UsageError(f"{tolerance!r} is not between 0 and {MOST_LEFT}", where="tolerance")
    return float(tolerance)


def _sums(normalize: str) -> bool:
    if normalize not in NORMALIZATIONS:
        raise UsageError(f"{normalize!r} is not {', '.join(NORMALIZATIONS)}", where="normalize")
    return normalize == "sum"


def _borders(border: str, ndim: int) -> tuple[Border, ...]:
    return parse_border(border, "ZYX"[-ndim:])


def _single(kernels: tuple[Kernel | ByName, ...]) -> tuple[Kernel | ByName, ...]:
    if len(kernels) > 1:
        raise UsageError(f"{len(kernels)} kernels; give one, or a filter bank", where="kernel")
    return kernels


def _strides(stride: PerAxis) -> tuple[int, ...]:
    """A stride for names that need one, which have two axes."""
    return (stride, stride) if isinstance(stride, int) else tuple(stride)


def _channel_first(taps: Taps) -> Taps:
    """Depthwise kernels (C m, kh, kw) as an array (C m, 1, kh, kw); all else as it is."""
    if isinstance(taps, (list, tuple)) and not any(isinstance(each, (str, Kernel, ByName)) for each in taps):
        try:
            taps = np.asarray(taps)
        except ValueError:  # ragged, which is told of where kernels are read
            return taps
    return taps[:, None] if isinstance(taps, np.ndarray) and taps.ndim == 3 else taps
