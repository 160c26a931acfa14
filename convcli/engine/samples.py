"""Samples to numbers and back: colour and opacity before the filter; range, rounding and clipping after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcli import native
from convcli.filters.filter import Numbers
from convcli.records import record

Array = np.ndarray[Any, Any]


@record(frozen=False)
class Counts:
    """What happened to samples on their way out; `mistaken` ones are known, but equal what marks missing ones.

    Counts add up over tiles.
    """

    samples: int = 0
    below: int = 0
    above: int = 0
    nan: int = 0
    mistaken: int = 0

    def __init__(self, samples: int = 0, below: int = 0, above: int = 0, nan: int = 0, mistaken: int = 0) -> None:
        # what records have of themselves takes several times as long, and each small image makes two of these
        self.samples, self.below, self.above, self.nan, self.mistaken = samples, below, above, nan, mistaken

    @property
    def spoilt(self) -> bool:
        """Whether any was not stored as computed."""
        return bool(self.below or self.above or self.nan or self.mistaken)

    def add(self, other: Counts) -> None:
        """Take another tile's counts in."""
        self.samples += other.samples
        self.below += other.below
        self.above += other.above
        self.nan += other.nan
        self.mistaken += other.mistaken


PIECE = 2**16
"""Values that are spread at a time."""


def full_scale(dtype: str) -> float:
    """What a sample of full brightness or opacity holds: the largest integer, or 1."""
    kind = np.dtype(dtype)
    return 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)


def to_linear(block: Array) -> None:
    """sRGB values in 0..1 to linear light, in place. Source: IEC 61966-2-1."""
    dark = block <= 0.04045
    bright = np.power((np.maximum(block, 0) + 0.055) / 1.055, 2.4)
    np.copyto(block, np.where(dark, block / 12.92, bright))


def to_srgb(block: Array) -> None:
    """Linear light to sRGB values, in place; values outside 0..1 follow the same curve. Source: IEC 61966-2-1."""
    dark = block <= 0.0031308
    bright = 1.055 * np.power(np.maximum(block, 0), 1 / 2.4) - 0.055
    np.copyto(block, np.where(dark, block * 12.92, bright))


def premultiply(block: Array, scale: float) -> None:
    """Multiply colour by opacity, in place; the last sample of the first axis is the opacity."""
    block[:-1] *= block[-1:] / scale


def unpremultiply(colour: Array, opacity: Array) -> None:
    """Divide colour by opacity (0..1), in place; where nothing is opaque, colour is 0."""
    visible = opacity > 0
    np.divide(colour, opacity, out=colour, where=visible)
    colour *= visible


def combine(results: Array, how: str, offset: float, *, rough: bool) -> Array:
    """One result of several (samples, filters, *tile), each with the offset added: (samples, 1, *tile).

    In float64; the magnitude of `rough` ones, whose rounding in float32 is too small to show, as they are.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # inf and -inf add to NaN
        if how == "magnitude" and rough and not offset:
            return _rough_magnitude(results)
        if how == "max" and not offset:
            return COMBINED[how](results)
        wide = results.astype(np.float64)
        wide += offset
        return COMBINED[how](wide)


def _rough_magnitude(results: Array) -> Array:
    """The root of the sum of squares in float32; of those in float64 whose squares it cannot hold, or lose bits."""
    joined: Array = np.sqrt(np.square(results.astype(np.float32, copy=False)).sum(axis=1, keepdims=True))
    if joined.min() > LEAST_ROUGH and joined.max() < MOST_ROUGH:
        return joined
    lost = ~((joined > LEAST_ROUGH) & (joined < MOST_ROUGH))
    lost &= results.any(axis=1, keepdims=True)  # what is 0 has lost nothing
    if not lost.any():
        return joined
    joined = joined.astype(np.float64)  # which also tells what leaves float32
    joined[lost] = _magnitude(np.moveaxis(results, 1, -1)[lost[:, 0]].astype(np.float64).T[None]).ravel()
    return joined


def _magnitude(results: Array) -> Array:
    """The root of the sum of squares, where need be of so small a part that no square overflows."""
    part = np.where(np.abs(results).max(axis=1, keepdims=True) > LARGEST_SQUARED, 2.0**-600, 1.0)
    magnitude: Array = np.sqrt(np.square(results * part).sum(axis=1, keepdims=True)) / part
    return magnitude


COMBINED: dict[str, Callable[[Array], Array]] = {
    "sum": lambda results: results.sum(axis=1, keepdims=True),
    "mean": lambda results: results.mean(axis=1, keepdims=True),
    "max": lambda results: results.max(axis=1, keepdims=True),
    "magnitude": _magnitude,
}
LARGEST_SQUARED = 1e150
"""Numbers up to here have squares that float64 holds."""
LEAST_ROUGH, MOST_ROUGH = 1e-15, 1e18
"""Magnitudes between these have squares that float32 holds with all of its bits."""
ROUGH = ("uint8", "int8", "float16", "float32")
"""Sample types that a rounding of float32 cannot take across a tie that counts, or that have it themselves."""


def add_biases(results: Array, numbers: Numbers) -> None:
    """Add to the results (samples, filters, *tile) of each filter what its layer adds, in place."""
    results += np.array(numbers.biases, results.dtype).reshape(-1, *(1,) * (results.ndim - 2))


def store(result: Array, target: Array, numbers: Numbers, bias: float, missing: float | None = None) -> Counts:
    """Scale, add the bias, round half to even, clip, and put a block of results into its place in the target."""
    if target.dtype.kind == "f" and (numbers.scale != 1 or bias):
        result = result.astype(np.float64, copy=False)  # what leaves float32 is counted
    if numbers.scale != 1:
        result *= numbers.scale
    if bias:
        result += bias
    if numbers.range == "abs":
        np.abs(result, out=result)
    marked = numbers.marked and numbers.range != "rescale"  # what is spread later is not marked yet
    return put(result, target, missing if marked else None)


def count_nan(values: Array) -> int:
    """How many values are not numbers."""
    with np.errstate(over="ignore", invalid="ignore"):  # a sum may overflow, or meet both infinities
        return int(np.count_nonzero(np.isnan(values))) if np.isnan(values.sum()) else 0


def narrow(results: Array, target: Array) -> Counts:
    """Store results of float64 in a smaller type; those beyond it become infinite, as sums in that type do."""
    with np.errstate(over="ignore"):
        target[...] = results
    lost = np.isinf(target) & np.isfinite(results)
    above = int(np.count_nonzero(lost & (results > 0)))
    return Counts(results.size, int(np.count_nonzero(lost)) - above, above, count_nan(results))


def put(result: Array, target: Array, missing: float | None = None) -> Counts:
    """Round and clip numbers into a target of any sample type, and count what had to give way; `result` is used up.

    NaN becomes `missing`; without it, 0 in whole numbers.
    """
    if missing is None and (told := _round(result, target)):
        return Counts(result.size, *told)
    counts = Counts(samples=result.size)
    counts.nan = count_nan(result)
    unknown = np.isnan(result) if counts.nan else None
    if target.dtype.kind in "iu":
        if unknown is not None:
            result[unknown] = 0
        np.rint(result, out=result)
    beyond = _clip(result, target.dtype, counts)
    stored = result.astype(target.dtype, copy=False)
    if beyond is not None:
        stored[beyond] = np.iinfo(target.dtype).max  # float64 has no such number of 64 bits
    for plane, values in zip(target, stored, strict=True):
        plane[...] = values  # samples may be interleaved: one after the other, NumPy's inner loop is a row, not a pixel
    if missing is not None:
        counts.mistaken = int(np.count_nonzero(target == missing))
        if unknown is not None:
            counts.mistaken -= int(np.count_nonzero(target[unknown] == missing))
            target[unknown] = missing
    return counts


def _round(result: Array, target: Array) -> native.Counts | None:
    """The same by compiled loops, in one pass: of float32 to integers that it rounds right; None of others."""
    known = native.AVAILABLE and target.dtype.isnative and target.dtype.name in ("uint8", "uint16", "int16")
    if not known or result.dtype != np.float32 or result.ndim not in (4, 5):
        return None
    counts = native.Counts(0, 0, 0)
    for numbers, samples in zip(result, target, strict=True):
        for plane, stored in zip(numbers, samples, strict=True):
            volume, place = (plane, stored) if plane.ndim == 3 else (plane[None], stored[None])
            counts = counts.plus(native.correlate(volume[None], np.ones((1, 1, 1, 1)), place))
    return counts


def _clip(result: Array, dtype: np.dtype[Any], counts: Counts) -> Array | None:
    """Set what the type cannot hold to the nearest value that it can. Infinities stay in floating point.

    Which integers become the largest, where that is no number of the result's type.
    """
    if np.can_cast(result.dtype, dtype):
        return None
    low, high = limits(dtype, result.dtype)
    if not result.size or (result.min() >= low and result.max() <= high):
        return None
    finite = np.isfinite(result) if dtype.kind == "f" else True
    below, above = (result < low) & finite, (result > high) & finite
    counts.below = int(np.count_nonzero(below))
    counts.above = int(np.count_nonzero(above))
    if dtype.kind == "f":
        result[below], result[above] = low, high
        return None
    np.clip(result, low, high, out=result)
    return above if counts.above and high < np.iinfo(dtype).max else None


def limits(dtype: np.dtype[Any], working: np.dtype[Any]) -> tuple[float, float]:
    """The smallest and largest value of a type, as numbers that the working type holds.

    >>> limits(np.dtype("uint8"), np.dtype("float32"))
    (0.0, 255.0)
    """
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    info = np.iinfo(dtype)
    return float(info.min), float(_at_most(info.max, working))


def _at_most(value: int, working: np.dtype[Any]) -> float:
    """The largest number of the working type that is not above `value`."""
    nearest = working.type(value)
    return float(nearest if int(nearest) <= value else np.nextafter(nearest, working.type(0)))


def extremes(values: Array) -> tuple[float, float]:
    """The smallest and largest finite value; the other way round, infinite, where there is none."""
    finite = (part[np.isfinite(part)] for part in pieces(values))
    ends = [(float(part.min()), float(part.max())) for part in finite if part.size]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (np.inf, -np.inf)


def spread(values: Array, low: float, high: float, target: Array, missing: float | None = None) -> Counts:
    """Store values so that those from `low` to `high` fill the whole range of the type of a target without gaps."""
    low, high = (low, high) if low <= high else (0.0, 0.0)
    bottom, top = (0.0, 1.0) if target.dtype.kind == "f" else limits(target.dtype, np.dtype("float64"))
    slope, counts = (top - bottom) / (high - low) if high > low else 0.0, Counts()
    for part, stored in zip(pieces(values), pieces(target), strict=True):
        with np.errstate(over="ignore", invalid="ignore"):  # the range of what float64 holds is beyond it
            placed = (part - low) * slope + bottom
        np.clip(placed, bottom, top, out=placed, where=np.isfinite(part))  # rounding puts the largest beyond int64
        counts.add(put(placed, stored, missing))
    return counts


def pieces(array: Array) -> list[Array]:
    """An array without gaps in pieces (1, n) that stay in a cache, whatever is done to them."""
    flat = array.reshape(1, -1)
    return [flat[:, first : first + PIECE] for first in range(0, flat.size, PIECE)]
