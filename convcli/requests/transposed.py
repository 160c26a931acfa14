"""From the options of `upsample` to a transposed convolution or an enlargement."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache

from convcli.errors import UsageError
from convcli.filters.borders import parse_border
from convcli.filters.filter import Numbers, parse_padding, parse_spatial, per_axis
from convcli.filters.resampled import ResampledFilter
from convcli.filters.transposed import TransposedFilter, forward
from convcli.image import ImageInfo
from convcli.kernels import is_measured, meant_by, parse_kernel
from convcli.kernels.kernel import Kernel
from convcli.kernels.resampling import CURVES
from convcli.operations.resampled import Enlarging
from convcli.operations.transposed import Transposing
from convcli.records import replace
from convcli.requests.options import NumberOptions, SampleOptions
from convcli.requests.pair import axes_of
from convcli.requests.particular import TransposedOptions
from convcli.requests.run import build_numbers, measured
from convcli.streams import read_input

Spacing = Mapping[str, tuple[float, str]]
Notes = tuple[str, ...]
MOST_TIMES = 10**4
FACTOR = r"[+-]?(?:[0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15})(?:/[0-9]{1,15})?"


def build_transposing(
    laid: TransposedOptions, samples: SampleOptions, approximation: float = 0.0, *, explain: bool = False
) -> tuple[Transposing, Notes]:
    """The transposed convolution that the options describe, and notes; lengths in units are those of each image."""
    check_combinations(laid, samples)
    text, ndim = only_kernel(laid), axes_of(laid.kernel, three=laid.three)
    stdin = cache(read_input)
    if not is_measured(text):
        built, notes = transposed_filter(laid, samples, approximation, ndim, {}, (), stdin)
        return Transposing(lambda _: built, explain), notes

    def build(info: ImageInfo) -> TransposedFilter:
        stride = dict(zip("ZYX"[-ndim:], strides(laid, ndim), strict=True))
        spacing = {letter: (step / stride.get(letter, 1), unit) for letter, (step, unit) in info.steps.items()}
        remarks = measured([text], ndim, spacing)
        built, notes = transposed_filter(laid, samples, approximation, ndim, spacing, remarks, stdin)
        return replace(built, warnings=notes)

    return Transposing(build, explain), ()


def transposed_filter(
    laid: TransposedOptions,
    samples: SampleOptions,
    approximation: float,
    ndim: int,
    spacing: Spacing,
    remarks: Notes,
    stdin: Callable[[], bytes],
) -> tuple[TransposedFilter, Notes]:
    """The filter, and what the user should know about its kernel."""
    stride = strides(laid, ndim)
    kernel = parse_kernel(only_kernel(laid), ndim, spacing=spacing, stdin=stdin, stride=stride)
    notes: Notes = ()
    if laid.normalize == "sum":
        notes = (f"kernel {kernel.name} sums to 0 and was not normalized",) * kernel.is_zero_sum
        kernel = kernel.normalized()
    overlap = laid.normalize == "overlap"
    if overlap and min(kernel.values()) < 0:
        raise UsageError(
            "overlap divides by the weights that overlap: the kernel may have no negative taps", where="--normalize"
        )
    if laid.groups > 1 and not kernel.bank:
        raise UsageError(
            "groups need a filter bank (I, O/g, kh, kw); this kernel acts on each channel alone", where="--groups"
        )
    padding = laid.padding or "same"
    border = laid.border or ("edge" if padding == "same" and not overlap else "zero")
    return TransposedFilter(
        forward(kernel.flipped() if laid.flip else kernel, laid.groups),
        each=not kernel.bank,
        flip=laid.flip,
        stride=(1,) * ndim,
        dilation=(1,) * ndim,
        borders=parse_border(border, "ZYX"[-ndim:]),
        groups=laid.groups,
        approximation=approximation,
        numbers=numbers_of(samples, kernel),
        remarks=remarks,
        up=stride,
        spread=parse_spatial(laid.dilation, ndim, "--dilation"),
        crop=parse_padding(padding, ndim),
        extra=parse_spatial(laid.output_padding, ndim, "--output-padding", least=0) if laid.output_padding else (),
        wanted=parse_spatial(laid.output_size, ndim, "--output-size") if laid.output_size else (),
        overlap=overlap,
    ), notes


def build_enlarging(
    laid: TransposedOptions, samples: SampleOptions, approximation: float = 0.0, *, explain: bool = False
) -> tuple[Enlarging, Notes]:
    """The enlargement that the options describe; `explain` adds nothing to what is told of it."""
    del explain
    name, ndim = only_kernel(laid).strip().lower(), 3 if laid.three else 2
    if name not in CURVES:
        way = meant_by(name) or "; give a --stride for others"
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
    kernel = parse_kernel(name, ndim, stride=(2,) * ndim)
    return Enlarging(
        ResampledFilter(
            Kernel.from_values(name, (1,) * ndim, [1.0]),
            flip=laid.flip,
            stride=(1,) * ndim,
            dilation=(1,) * ndim,
            borders=parse_border(laid.border or "edge", "ZYX"[-ndim:]),
            numbers=numbers_of(samples, kernel),
            name=name,
            scale=parse_scale(laid.scale, ndim),
            inside=not laid.border,
        )
    ), ()


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


def numbers_of(samples: SampleOptions, kernel: Kernel) -> Numbers:
    """How samples are computed with, checked; results are not multiplied."""
    return build_numbers(NumberOptions(**vars(samples)), kernel)


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
