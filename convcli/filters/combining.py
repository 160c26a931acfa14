"""Several results made one: by one filter whose taps are those of all added up, where that gives the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convcli.errors import UsageError
from convcli.filters.filter import LEAVING_OUT, Correlation, Filter, Folded
from convcli.image import ImageInfo
from convcli.kernels.kernel import folded
from convcli.records import replace

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

COMBINATIONS = ("stack", "sum", "mean", "magnitude", "max")
ADDED = ("sum", "mean")


def check_combination(combine: str, outputs: int) -> None:
    """Refuse an unknown combination, and one of a single result."""
    if combine not in COMBINATIONS:
        raise UsageError(f"{combine!r} is not {', '.join(COMBINATIONS)}", where="--combine")
    if combine != "stack" and outputs == 1:
        raise UsageError("--combine needs several kernels: repeat -k, or give a filter bank")


def joined(filter_: Correlation, info: ImageInfo) -> Correlation:
    """The filter with its results added up by its taps, where that gives what adding up results would.

    It does not where results are divided before: by the weight of known pixels, or by an opacity of their own.
    """
    divided = filter_.numbers.nan in LEAVING_OUT or (
        filter_.each and info.has_alpha and filter_.numbers.alpha in ("premultiply", "straight")
    )
    if filter_.combine not in ADDED or divided:
        return filter_
    kernel, numbers = filter_.kernel, filter_.numbers
    times = kernel.outputs if filter_.combine == "sum" else 1
    return replace(
        filter_,
        kernel=folded(kernel, filter_.combine, each=filter_.each, groups=filter_.groups),
        combine="stack",
        groups=1,
        numbers=replace(numbers, offset=times * numbers.offset),
        steps=Folded(kernel, filter_.combine, filter_.groups),
    )


def signs(filter_: Filter) -> tuple[Array, Array]:
    """Where a tap of any step is positive, and where one is negative: (O, I/g, *space) each.

    The taps that a filter was folded into do not tell: 2 and -1 add up to 1, but of an infinity they make NaN.
    """
    if filter_.pair:
        return filter_.pair.signs()
    if not filter_.steps:
        taps = filter_.kernel.as_bank()
        return taps > 0, taps < 0
    steps = filter_.steps
    taps, groups = steps.kernel.as_bank(), filter_.kernel.inputs // steps.kernel.inputs
    grouped = taps.reshape(groups, -1, *taps.shape[1:])
    plus, minus = ((each.any(axis=1)).reshape(1, -1, *taps.shape[2:]) for each in (grouped > 0, grouped < 0))
    return plus, minus
