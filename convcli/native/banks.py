"""Filter banks in compiled code: sums over channels and taps, in registers from the first product to the last."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from convcli.native import INSTRUCTIONS, Steps, _built, _explained, _load, _told, _wanted

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_banks = _load("_banks")
AVAILABLE: bool = _wanted(_banks)
ALIGNED = 64
"""Bytes of a line of the cache: a vector of taps that lies across two of them is read twice."""
STRETCH = 512
"""Products that are added up before they are added to a sum: their taps, of two vectors, are 64 KiB."""


def lanes(instructions: str = INSTRUCTIONS[-1] if INSTRUCTIONS else "") -> int:
    """Filters of a vector by the instructions of that name, the best ones that this processor has."""
    count: int = _built(_banks).LANES[INSTRUCTIONS.index(instructions)]
    return count


def packed(taps: Array, groups: int, lanes: int) -> Array:
    """Taps (O, I/g, *kernel) as (groups, vectors, I/g x kernel, lanes): those of a vector's filters side by side.

    Lanes without a filter are zero.

    >>> import numpy as np
    >>> packed(np.arange(6.).reshape(3, 1, 1, 2), 1, 2).tolist()
    [[[[0.0, 2.0], [1.0, 3.0]], [[4.0, 0.0], [5.0, 0.0]]]]
    """
    import numpy as np

    filters, taps = len(taps) // groups, taps.reshape(groups, len(taps) // groups, -1)
    vectors = -(-filters // lanes)
    shape = groups, vectors, taps.shape[2], lanes
    raw = np.zeros(4 * groups * vectors * taps.shape[2] * lanes + ALIGNED, np.uint8)
    start = -raw.ctypes.data % ALIGNED
    made = raw[start : start + len(raw) - ALIGNED].view(np.float32).reshape(shape)
    for vector in range(vectors):
        some = taps[:, vector * lanes : (vector + 1) * lanes]
        made[:, vector, :, : some.shape[1]] = some.swapaxes(1, 2)
    return made


def correlate(
    source: Array,
    taps: Array,
    kernel: tuple[int, ...],
    target: Array,
    *,
    mix: Array | None = None,
    stretch: int = STRETCH,
    **options: Unpack[Steps],
) -> bool:
    """`convcli.native.correlate` of float32 by taps that are `packed`, or not: (filters, channels, kd, kh, kw).

    Without scale and bias; True where all results are finite. `kernel` is (channels of a filter, kd, kh, kw); source
    and target are (channels, slices, rows, columns), the columns of the target side by side. Each sum is made of sums
    of `stretch` products, in the order of channels and taps. With a `packed` mix of the filters' results, those of the
    mix are the target's, and only what a tile needs of the others is ever in memory.
    """
    axes, team, (step, *numbers) = _told(**options)
    if numbers != [1, 0]:
        raise ValueError("filter banks are summed without scale and bias")
    sets = _built(_banks).LANES
    instructions = sets.index(taps.shape[-1]) if taps.ndim == 4 and taps.shape[-1] in sets else len(sets) - 1
    call = partial(_banks.correlate, source, taps, kernel, target, mix, team, axes, step, stretch, instructions)
    shape = len(target) if mix is None else len(taps), *kernel
    return _explained(call, source, shape, target, ("float32",), axes, step) is not False
