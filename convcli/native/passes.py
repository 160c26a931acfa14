"""The product of a kernel's vectors in float64, all passes at once, in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from convcli.native import INSTRUCTIONS, WIDE_TYPES, Counts, Steps, _built, _explained, _load, _told, _wanted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Array = np.ndarray[Any, Any]

_passes = _load("_passes")
AVAILABLE: bool = _wanted(_passes)


def correlate(
    source: Array,
    taps: Sequence[ArrayLike],
    target: Array,
    *,
    instructions: str = INSTRUCTIONS[-1] if INSTRUCTIONS else "",
    **options: Unpack[Steps],
) -> Counts:
    """Fill `target` (slices, rows, columns) with the correlation of `source` and the product of `taps` of each axis.

    It is `convcli.native.correlate_wide` without stride and dilation: through the slices, down the columns, then along
    the rows, the taps of each in turn. A tap of zero counts, too: times an infinity it is NaN.
    """
    import numpy as np

    source, target, vectors = source[None], target[None], [np.ravel(each) for each in taps]
    axes, team, (step, scale, bias) = _told(**options)
    sizes, values = tuple(map(len, vectors)), np.concatenate(vectors).astype(np.float64)
    how = step, scale, bias, INSTRUCTIONS.index(instructions)
    call = partial(_built(_passes).run, source, values, target, team, sizes, axes, *how)
    return Counts(*_explained(call, source, (1, 1, *sizes), target, WIDE_TYPES, axes, step) or (0, 0, 0))
