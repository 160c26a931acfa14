"""What to do about results that their sample type cannot hold: only advice that helps, whatever the image.

Another type, or --range rescale, clips nothing. A bias is for filters of sum 0, whose results lie around 0; with the
scale that goes with it, no image leaves the range. For any other filter it would bleach the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log10
from typing import TYPE_CHECKING

from convcli.filters.filter import WIDE, Filter
from convcli.image import ImageInfo
from convcli.numerals import share_of
from convcli.operations.filter import FilterWork
from convcli.operations.operation import Work

if TYPE_CHECKING:
    from convcli.engine.samples import Counts

UNSIGNED = {"uint8": 2**8, "uint16": 2**16}
"""Sample types of pictures: how many values they have."""


def count_warnings(counts: Counts, before: ImageInfo, work: Work) -> Iterator[str]:
    """What a user should know about samples that could not be stored as computed, and what to do."""
    after, filters = work.after, work.filters
    if counts.below:
        share, way = share_of(counts.below, counts.samples), ways(before, work, bias_for(before, work))
        yield f"{share} of samples were below {limit(after, 0)}; {way}"
    if counts.above:
        share = share_of(counts.above, counts.samples)
        yield f"{share} of samples were above {limit(after, 1)}; {ways(before, work)}"
    if counts.nan and whole(after) and after.missing is None:
        rule = "ignore" if all(map(is_weight, filters)) else "zero"
        other = f", or --nan {rule} where the image holds NaN"
        way = "use --dtype float32" + other * (not any(map(is_overlap, filters)))
        yield f"{counts.nan:,} results were NaN, which {after.dtype} cannot hold, and became 0; {way}"
    if counts.mistaken:
        way = "use another --dtype, or --nodata none"
        yield f"{counts.mistaken:,} results are {after.missing:.15g}, which also marks what is missing; {way}"


def limit(info: ImageInfo, end: int) -> str:
    """What is at an end of a type, 0 the lower and 1 the upper, and what became of results beyond it."""
    if not whole(info):
        return f"what {info.dtype} holds"
    bits, signed = int(info.dtype.lstrip("uint")), not info.dtype.startswith("u")
    number = 2**bits * end - end - signed * 2 ** (bits - 1)
    return f"{number:,} and were set to {number:,}"


def ways(before: ImageInfo, work: Work, bias: str = "") -> str:
    """What would hold the results: a wider type, or their place in the range of the type."""
    after = work.after
    wider = "float32" if after.dtype not in (*WIDE, "float32") and before.dtype != "float64" else "float64"
    if after.dtype == wider:
        return "use a smaller kernel, or scale the image before"
    other = bias or ("--range rescale" if work.numbers.range != "rescale" and whole(after) else "")
    return f"use --dtype {wider} with a .tif" + (f", or {other}" if other else "")


def bias_for(before: ImageInfo, work: Work) -> str:
    """The options by which results of a filter of sum 0 stay in the range, for any image; empty where there are none.

    With P the sum of the positive taps, results of pixels up to M lie between -P M and P M.
    """
    if not isinstance(work, FilterWork) or work.after.dtype not in UNSIGNED or before.dtype not in UNSIGNED:
        return ""
    (filter_,) = work.filters
    middle, most = UNSIGNED[work.after.dtype] // 2, UNSIGNED[before.dtype] - 1
    numbers, outside = filter_.numbers, [abs(border.value) for border in filter_.borders]
    plain = numbers.range == "clip" and not (numbers.linear or filter_.premultiplies(before))
    plain = plain and not (numbers.offset or numbers.biases)
    if not plain or filter_.combine != "stack" or filter_.sums != {0.0} or max(outside) > most:
        return ""
    room = (middle - 1) / (filter_.kernel.absolute_sum() / 2 * most)
    scale = "" if 0 < numbers.scale <= room else f"--scale {rounded_down(room)} "
    return f"{scale}--bias {middle}"


def rounded_down(value: float) -> str:
    """A number of two digits that is not above `value`, to be typed.

    >>> rounded_down(0.0829), rounded_down(0.99), rounded_down(123)
    ('0.082', '0.99', '120')
    """
    unit = 10.0 ** (floor(log10(value)) - 1)
    return f"{floor(value / unit) * unit:.2g}" if value < 10 else str(int(floor(value / unit) * unit))


def is_overlap(filter_: Filter) -> bool:
    """Whether outputs are divided by the weights that overlap there, with NaN left out whatever is said of it."""
    from convcli.filters.transposed import TransposedFilter

    return isinstance(filter_, TransposedFilter) and filter_.overlap


def is_weight(filter_: Filter) -> bool:
    """Whether a filter's taps can weigh known pixels: none is negative, and no filter without any."""
    taps = filter_.kernel.as_bank()
    return bool((taps >= 0).all() and taps.reshape(len(taps), -1).sum(axis=1).min() > 0)


def whole(info: ImageInfo) -> bool:
    """Whether samples are whole numbers."""
    return not info.dtype.startswith("float")
