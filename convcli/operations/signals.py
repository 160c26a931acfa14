"""Signals, of one dimension: what is asked for of a picture, as it is meant for a row.

A signal is a picture of one row. What an operation would do along columns it does not do: the stride, the dilation and
the padding there are those of nothing, and named kernels are what they do to a picture whose rows are all the signal:
the sums of their columns. So a Gaussian is the Gaussian of one dimension, and a Laplacian (1, -2, 1).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeVar

from convcli.errors import UsageError
from convcli.filters.selection import Selection
from convcli.image import ImageInfo
from convcli.operations.beside import SelectedBeside
from convcli.operations.dilated import AtRates, Chain, Dilate, Joined, SideBySide
from convcli.operations.filter import Correlate
from convcli.operations.pair import Pair
from convcli.operations.resampled import Resample
from convcli.operations.selected import Selected
from convcli.operations.transposed import Transpose
from convcli.records import replace

Asked = TypeVar("Asked")
NOTHING = (0, 0)


def suited(asked: Asked, info: ImageInfo) -> Asked:
    """What is asked for, as an image of one dimension needs it; for any other image it is the same.

    Raises UsageError where there is nothing to do along a row: three axes, or several rows of numbers.
    """
    return _along_row(asked) if info.signal else asked


def _along_row(asked: Any) -> Any:
    """The same request for a row alone. Each kind of request says what it has along columns."""
    if asked.ndim != 2:
        raise UsageError("a signal has one dimension; use conv2d, or --axes where dimensions go by other letters")
    match asked:
        case Correlate():
            return replace(asked, kernel=asked.kernel.along_row(), **_placed(asked))
        case Transpose():
            extra = (0, *asked.output_padding[1:]) if asked.output_padding else ()
            sizes = (1, *asked.output_size[1:]) if asked.output_size else ()
            laid = replace(asked, kernel=asked.kernel.along_row(), **_placed(asked))
            return replace(laid, output_padding=extra, output_size=sizes)
        case Pair():
            return replace(asked, depthwise=asked.depthwise.along_row(), **_placed(asked))
        case Resample():
            return replace(asked, scale=(Fraction(1), *asked.scale[1:]))
        case Selected():
            parts = tuple(part._replace(operation=_along_row(part.operation)) for part in asked.parts)
            return replace(asked, parts=parts, where=_where(asked.where))
        case SelectedBeside():
            return replace(asked, operation=_along_row(asked.operation), parts=tuple(map(_along_row, asked.parts)))
        case Chain():
            return replace(asked, filters=tuple(map(_along_row, asked.filters)), rates=tuple(map(_rate, asked.rates)))
        case AtRates():
            return replace(asked, filter=_along_row(asked.filter), **_rates(asked))
    raise TypeError(f"{type(asked).__name__} is no request")


def _placed(asked: Correlate | Transpose | Pair) -> dict[str, Any]:
    """Where the kernel is laid: at every sample of the one row."""
    padding = asked.padding if isinstance(asked.padding, str) else (NOTHING, *asked.padding[1:])
    return {"stride": _rate(asked.stride), "dilation": _rate(asked.dilation), "padding": padding}


def _rate(steps: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *steps[1:]) if steps else steps


def _rates(asked: AtRates) -> dict[str, Any]:
    """Those of a request for one rate or for several."""
    match asked:
        case Dilate():
            return {"rate": _rate(asked.rate)}
        case Joined() | SideBySide():
            return {"rates": tuple(map(_rate, asked.rates))}
    raise TypeError(f"{type(asked).__name__} has no rate")


def _where(where: Selection) -> Selection:
    """A region of one slice is one of the row."""
    return replace(where, region=((None, None), *where.region)) if len(where.region) == 1 else where
