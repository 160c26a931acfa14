"""From the options of `upsample` to a transposed convolution or an enlargement."""

from __future__ import annotations

import re
from fractions import Fraction

from convcli.errors import UsageError
from convcli.filters.borders import parse_border, parse_padding
from convcli.filters.transposed import default_laid_border
from convcli.kernels import KERNELS, meant_by
from convcli.kernels.given import Given, parse_given
from convcli.kernels.resampling import CURVES
from convcli.numerals import per_axis
from convcli.operations.resampled import Resample
from convcli.operations.transposed import Transpose
from convcli.requests.layers import build_laid_layer
from convcli.requests.options import SampleOptions
from convcli.requests.pair import axes_of
from convcli.requests.particular import TransposedOptions
from convcli.requests.run import build_numbers, parse_spatial
from convcli.streams import read_input

MOST_TIMES = 10**4
FACTOR = r"[+-]?(?:[0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15})(?:/[0-9]{1,15})?"


def build_transpose(
    laid: TransposedOptions, samples: SampleOptions, approximation: float = 0.0, *, explain: bool = False
) -> Transpose:
    """The transposed convolution that the options ask for; what does not depend on images is checked."""
    if laid.layer:
        return build_laid_layer(laid, build_numbers(samples), approximation, explain=explain)
    check_combinations(laid, samples)
    text, ndim = only_kernel(laid), axes_of(laid.kernel, three=laid.three)
    stride, padding, overlap = strides(laid, ndim), laid.padding or "same", laid.normalize == "overlap"
    given = parse_given(text, ndim, stride=stride, stdin=read_input)
    border = laid.border or default_laid_border(padding, overlap=overlap)
    asked = Transpose(
        Given((given,), normalize=laid.normalize == "sum", flip=laid.flip),
        stride,
        dilation=parse_spatial(laid.dilation, ndim, "--dilation"),
        padding=parse_padding(padding, ndim),
        output_padding=parse_spatial(laid.output_padding, ndim, "--output-padding", 0) if laid.output_padding else (),
        output_size=parse_spatial(laid.output_size, ndim, "--output-size") if laid.output_size else (),
        borders=parse_border(border, "ZYX"[-ndim:]),
        groups=laid.groups,
        overlap=overlap,
        approximation=approximation,
        numbers=build_numbers(samples),
        explain=explain,
    )
    if not asked.kernel.is_measured:
        asked.filter({})
    return asked


def build_resample(
    laid: TransposedOptions, samples: SampleOptions, approximation: float = 0.0, *, explain: bool = False
) -> Resample:
    """The enlargement that the options ask for; `explain` adds nothing to what is told of it."""
    del explain
    name, ndim = only_kernel(laid).strip().lower(), 3 if laid.three else 2
    if name not in CURVES:
        curve, stride = name.partition(":")[0], "; give a --stride for others"
        way = f"; write {curve}" if curve in CURVES else stride if curve in KERNELS else meant_by(name) or stride
        raise UsageError(f"--scale takes {', '.join(CURVES)}, not {name!r}{way}", where="-k")
    meaningless = {
        "--stride": laid.stride,
        "--padding": laid.padding,
        "--output-padding": laid.output_padding,
        "--output-size": laid.output_size,
        "--dilation": laid.dilation != "1",
        "--groups": laid.groups > 1,
        "--tolerance": approximation,
    }
    for option, given in meaningless.items():
        if given:
            raise UsageError(
                "has no meaning with --scale, which enlarges the whole; leave one of them out", where=option
            )
    asked = Resample(
        name,
        parse_scale(laid.scale, ndim),
        borders=parse_border(laid.border or "edge", "ZYX"[-ndim:]),
        inside=not laid.border,
        numbers=build_numbers(samples),
    )
    asked.filter  # noqa: B018 -- checked before any image is known
    return asked


def check_combinations(laid: TransposedOptions, samples: SampleOptions) -> None:
    """Refuse options that contradict each other."""
    if laid.output_padding and laid.output_size:
        raise UsageError("the output size decides the output padding; leave one of them out", where="--output-padding")
    if laid.normalize == "overlap" and samples.nan != "keep":
        raise UsageError("--normalize overlap leaves unknown pixels out; leave --nan out, too", where="--nan")


def only_kernel(laid: TransposedOptions) -> str:
    """The one kernel."""
    if len(laid.kernel) > 1:
        raise UsageError(f"{len(laid.kernel)} kernels; upsample lays one, or a filter bank", where="-k")
    return laid.kernel[0]


def strides(laid: TransposedOptions, ndim: int) -> tuple[int, ...]:
    """The stride along each axis."""
    return parse_spatial(laid.stride or "2", ndim, "--stride")


def fraction(text: str) -> Fraction:
    """A number as it is written, without rounding.

    >>> fraction("1.5"), fraction("4/3")
    (Fraction(3, 2), Fraction(4, 3))
    """
    word = text.strip()
    below = word.partition("/")[2]
    if not re.fullmatch(FACTOR, word) or (below and not int(below)):
        raise ValueError("not a number or a fraction")
    return Fraction(word.partition("/")[0]) / int(below or 1)


def parse_scale(text: str, ndim: int) -> tuple[Fraction, ...]:
    """One factor for all axes, or one per axis.

    >>> parse_scale("1.5", 2), parse_scale("2,4/3", 2)
    ((Fraction(3, 2), Fraction(3, 2)), (Fraction(2, 1), Fraction(4, 3)))
    """
    try:
        scales = tuple(map(fraction, per_axis(text)))
    except ValueError:
        way = f"give 2, 1.5 or 4/3, or {ndim} of them with commas"
        raise UsageError(f"{text!r} is not a factor; {way}", where="--scale") from None
    if len(scales) not in (1, ndim):
        raise UsageError(f"{text!r} has {len(scales)} factors; give 1 or {ndim}", where="--scale")
    if not 0 < min(scales) <= max(scales) <= MOST_TIMES:
        raise UsageError(f"{text!r} is not between 0 and {MOST_TIMES}", where="--scale")
    return scales * ndim if len(scales) == 1 else scales
