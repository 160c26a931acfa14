"""From the arguments of the functions of `convcli.api` to what is asked of every image, as the commands ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np

from convcli.errors import KernelError, UsageError
from convcli.filters.borders import Border, parse_border
from convcli.filters.filter import Numbers
from convcli.filters.selection import Selection
from convcli.filters.transposed import default_laid_border
from convcli.kernels.given import ByName, Given
from convcli.kernels.kernel import Kernel
from convcli.kernels.resampling import CURVES
from convcli.operations.beside import selected
from convcli.operations.dilated import Chain, Dilate, Joined, Rate, SideBySide
from convcli.operations.filter import Correlate
from convcli.operations.pair import Pair
from convcli.operations.resampled import Resample
from convcli.operations.selected import Filtering
from convcli.operations.transposed import Transpose
from convcli.options.declare import declared_fields
from convcli.records import replace
from convcli.requests.arguments import (
    Padding,
    PerAxis,
    Taps,
    as_kernels,
    check_texts,
    paddings,
    per_axis,
    sample_type,
    switch,
)
from convcli.requests.options import SampleOptions
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
WORDS = {each.field.rstrip("_"): each.mark.choices for each in declared_fields(SampleOptions) if each.mark.choices}
"""What each word of `Numbers` may be."""


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
    check_texts(border=border, combine=combine, normalize=normalize)
    kernels = as_kernels(kernel)
    ndim = kernels[0].ndim
    return Correlate(
        _given(kernels, normalize, flip, origin),
        combine=combine,
        stride=per_axis(stride, ndim, "stride"),
        dilation=per_axis(dilation, ndim, "dilation"),
        padding=paddings(padding, ndim),
        borders=_borders(border, ndim),
        groups=per_axis(groups, 1, "groups")[0],
        approximation=share(tolerance),
        numbers=numbers_of(dtype, numbers),
    )


def names_channels(kernel: Taps) -> bool:
    """Whether a kernel's text, or one of several, may name channels behind an @."""
    texts = (kernel,) if isinstance(kernel, str) else kernel if isinstance(kernel, (list, tuple)) else ()
    return any(isinstance(text, str) and "@" in text for text in texts)


def correlate_on(kernel: Taps, where: Selection, **options: Any) -> Filtering:
    """What `convolve` asks for on what is selected, or by kernels that name their channels: "gaussian:2@R"."""
    if names_channels(kernel):
        from convcli.requests.selected import by_channel

        texts = [kernel] if isinstance(kernel, str) else list(kernel)
        if not all(isinstance(text, str) for text in texts):
            raise UsageError("one names channels behind its @, another is no text; give each its own", where="kernel")
        found = by_channel(texts, where, lambda each: correlate(list(each), **options), options.get("combine", "stack"))
        if found:
            return found[0]
    return selected(correlate(kernel, **options), where)


def check_layer(layer: str | None, beside: Sequence[object], usual: Sequence[object]) -> None:
    """Refuse a call without a layer, and what is said beside one, which says it itself."""
    if layer is None:
        raise KernelError("is missing; give one, or layer='model.onnx:NODE'", where="kernel")
    if not isinstance(layer, str):
        raise UsageError(f"{type(layer).__name__} names no layer; write 'model.onnx:NODE'", where="layer")
    names = ("kernel", "stride", "dilation", "padding", "border", "groups", "flip", "origin", "combine", "normalize")
    for name, given, plain in zip(names, beside, usual, strict=True):
        if given is not plain and (isinstance(given, np.ndarray) or given != plain):
            raise UsageError("the layer says that itself; leave one of them out", where=name)


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
    check_texts(normalize=normalize, border=border or "")
    (given,) = _single(as_kernels(kernel, _strides(stride)))
    ndim, overlap = given.ndim, normalize == "overlap"
    laid = paddings(padding, ndim)
    return Transpose(
        _given((given,), "none" if overlap else normalize, flip),
        per_axis(stride, ndim, "stride"),
        per_axis(dilation, ndim, "dilation"),
        padding=laid,
        output_padding=() if output_padding is None else per_axis(output_padding, ndim, "output_padding", least=0),
        output_size=() if output_size is None else per_axis(output_size, ndim, "output_size"),
        borders=_borders(border or default_laid_border(laid, overlap=overlap), ndim),
        groups=per_axis(groups, 1, "groups")[0],
        overlap=overlap,
        approximation=share(tolerance),
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
    check_texts(kernel=kernel, border=border or "")
    if kernel not in CURVES:
        raise UsageError(f"a scale takes {', '.join(CURVES)}, not {kernel!r}", where="kernel")
    scales = scale if isinstance(scale, (Sequence, np.ndarray)) and not isinstance(scale, str) else (scale,) * ndim
    try:
        factors = tuple(Fraction(str(each) if isinstance(each, (float, np.floating)) else each) for each in scales)
    except (TypeError, ValueError, ZeroDivisionError):
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
    check_texts(border=border, normalize=normalize)
    kernels, (matrix,) = as_kernels(_channel_first(depthwise)), _single(as_kernels(pointwise))
    ndim = kernels[0].ndim
    return Pair(
        _given(kernels, normalize, flip, origin),
        matrix.on({}) if isinstance(matrix, ByName) else matrix,
        per_axis(multiplier, 1, "multiplier", least=0)[0],
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
        return chained(kernels, combine, _some("chain", chain, spread), build)
    found = _some("rates", () if rates is None else rates, spread)
    if len(set(found)) < len(found):
        raise UsageError(f"{rates!r} has a rate twice", where="rates")
    return beside(kernels, combine, found, build)


def _some(name: str, given: Iterable[PerAxis], spread: Callable[[PerAxis, str], Rate]) -> tuple[Rate, ...]:
    if not isinstance(given, Iterable):
        raise UsageError(f"{given!r} is not a sequence of rates", where=name)
    found = tuple(spread(each, name) for each in given)
    if not found:
        raise UsageError("holds no rates; give one at least", where=name)
    return found


def numbers_of(dtype: Any, numbers: Numbers | None) -> Numbers:
    """How samples are computed with: as `numbers` says, and results of a `dtype`, if one is given."""
    told = PLAIN if numbers is None else checked(numbers)
    return told if dtype is None else replace(told, dtype=sample_type(dtype))


def checked(numbers: Numbers) -> Numbers:
    """The same; refused where one of its words is none that samples are computed by, or a number is no number."""
    if not isinstance(numbers, Numbers):
        raise UsageError(f"{numbers!r} is no convcli.Numbers", where="numbers")
    for name, known in WORDS.items():
        if getattr(numbers, name) not in known:
            raise UsageError(f"{getattr(numbers, name)!r} is not {', '.join(known)}", where=f"numbers.{name}")
    for name in ("scale", "bias", "offset"):
        if not isinstance(getattr(numbers, name), Real):
            raise UsageError(f"{getattr(numbers, name)!r} is not a number", where=f"numbers.{name}")
    return numbers


def share(tolerance: float) -> float:
    """What separable terms may leave of a kernel."""
    if not isinstance(tolerance, Real) or not 0 <= tolerance <= MOST_LEFT:
        raise UsageError(f"{tolerance!r} is not between 0 and {MOST_LEFT}", where="tolerance")
    return float(tolerance)


def _sums(normalize: str) -> bool:
    if normalize not in NORMALIZATIONS:
        raise UsageError(f"{normalize!r} is not {', '.join(NORMALIZATIONS)}", where="normalize")
    return normalize == "sum"


def _borders(border: str, ndim: int) -> tuple[Border, ...]:
    return parse_border(border, "ZYX"[-ndim:])


def _given(kernels: tuple[Kernel | ByName, ...], normalize: str, flip: bool, origin: PerAxis | None = None) -> Given:
    """Kernels with what is done to them."""
    middle = None if origin is None else per_axis(origin, kernels[0].ndim, "origin", least=0)
    return Given(kernels, _sums(normalize), switch("flip", flip), middle)


def _single(kernels: tuple[Kernel | ByName, ...]) -> tuple[Kernel | ByName, ...]:
    if len(kernels) > 1:
        raise UsageError(f"{len(kernels)} kernels; give one, or a filter bank", where="kernel")
    return kernels


def _strides(stride: PerAxis) -> tuple[int, ...]:
    """A stride for names that need one: as many numbers as there are, two of a single one."""
    given = isinstance(stride, (list, tuple, np.ndarray)) and len(stride)
    return per_axis(stride, given or 2, "stride")


def _channel_first(taps: Taps) -> Taps:
    """Depthwise kernels (C m, kh, kw) as an array (C m, 1, kh, kw); all else as it is."""
    if isinstance(taps, (list, tuple)) and not any(isinstance(each, (str, Kernel, ByName)) for each in taps):
        try:
            taps = np.asarray(taps)
        except ValueError:  # ragged, which is told of where kernels are read
            return taps
    return taps[:, None] if isinstance(taps, np.ndarray) and taps.ndim == 3 else taps
