"""64-bit integers: which filters are exact on all of them, and up to which magnitude the others are.

float64 holds whole numbers up to 2^53. Where taps, borders and bias are whole, pixels are filtered in two halves of 32
bits each, whose sums are exact, and put together again. Elsewhere results are exact as long as float64's rounding does
not show, and larger pixels are refused before any work.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError
from convcli.image import ImageInfo
from convcli.samples import SAMPLES

if TYPE_CHECKING:
    import numpy as np

    from convcli.filters.filter import Filter

    Array = np.ndarray[Any, Any]

HELD = SAMPLES["float64"].whole
MOST_GAIN = 2**20
"""The largest sum of |taps| with which halves of 32 bits add up to less than HELD, a bias included."""
ROUNDED = 2**41
"""Results up to here are off by less than 0.03 in float64 before they are rounded, whatever the method."""


def is_whole(filter_: Filter, info: ImageInfo) -> bool:
    """Whether results of whole pixels are whole by themselves: nothing but sums of whole products, and a whole bias."""
    numbers = filter_.numbers
    plain = not numbers.biases and numbers.scale == 1 and numbers.range in ("clip", "abs") and not numbers.linear
    values = [filter_.bias, *(border.value for border in filter_.borders)]
    there = plain and filter_.combine == "stack" and not info.has_alpha and info.missing is None
    there = there and not (numbers.nan == "ignore" and filter_.kernel.empty)  # 0 / 0
    return there and all(isfinite(value) and float(value).is_integer() for value in values) and filter_.whole_taps


def halves(filter_: Filter, info: ImageInfo) -> bool:
    """Whether an image is filtered in halves: 64-bit integers become integers, all of them exact."""
    output = filter_.output_dtype(info)
    if not info.sample.is_long or output.startswith("float") or not is_whole(filter_, info):
        return False
    least = max(info.sample.least, -info.sample.whole)
    constants = all(least <= border.value <= HELD for border in filter_.borders)
    return constants and abs(filter_.bias) < HELD / 2 and filter_.size <= MOST_GAIN


def exact_up_to(filter_: Filter, info: ImageInfo) -> int | None:
    """The largest pixel with which integer results are exact; None where all are, or nobody said so."""
    output = filter_.output_dtype(info)
    if not info.sample.is_long or output.startswith("float") or filter_.numbers.range == "rescale":
        return None
    if halves(filter_, info):
        return None
    return most_exact(filter_.size * filter_.numbers.scale)


def most_exact(gain: float) -> int:
    """The largest pixel that float64 takes through filters of a gain without a rounding that shows.

    >>> most_exact(1), most_exact(-2), most_exact(1e-9)
    (2199023255552, 1099511627776, 9007199254740992)
    """
    return HELD if abs(gain) * HELD <= ROUNDED else int(ROUNDED / abs(gain))


def bounds(info: ImageInfo, pixels: Array) -> tuple[int, int]:
    """The least and the largest of the pixels that are known, and 0."""
    if info.missing is not None:
        pixels = pixels[pixels != info.missing]
    return int(pixels.min(initial=0)), int(pixels.max(initial=0))


def check_exact(limit: int, info: ImageInfo, least: int, most: int) -> None:
    """Refuse an image whose pixels, from the least to the largest, are beyond what a filter is exact for."""
    if max(-least, most) <= limit:
        return
    held = most if most >= -least else least
    raise ConvError(
        f"holds {held:,}; with this filter {info.dtype} is exact up to {limit:,} only; "
        "use --dtype float64 for results that are rounded",
        "dtype",
    )
