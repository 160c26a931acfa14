"""What callers of the Python interface hand over, in the many forms that it may have, as requests hold it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf
from numbers import Real
from operator import index
from typing import Any

import numpy as np

from convcli.errors import KernelError, UsageError
from convcli.filters.borders import parse_padding
from convcli.filters.selection import Mask, Selection, Slice, parse_channels, parse_region
from convcli.kernels.given import ByName, parse_given
from convcli.kernels.kernel import Kernel
from convcli.numerals import MOST
from convcli.operations.operation import ANYTHING, Limits

Array = np.ndarray[Any, Any]
Taps = Any
"""A kernel as given: a `Kernel`, its text, the path of its file, an array of taps, or several kernels in a list."""
PerAxis = int | Sequence[int]
"""One number for all spatial axes, or one for each."""
Padding = str | int | Sequence[int | tuple[int, int]]
DIMENSIONS = {1: "a row", 2: "rows and columns", 3: "slices", 4: "a bank", 5: "a bank of slices"}
Written = tuple[np.dtype[Any], tuple[int, ...], bytes]
EVERYTHING = Selection()
"""What is selected where nobody says."""
KEPT = 16
"""Kernels given as arrays that are kept for the next call."""
_KERNELS: dict[int, tuple[Written, Kernel]] = {}


def as_kernels(given: Taps, stride: tuple[int, ...] = ()) -> tuple[Kernel | ByName, ...]:
    """The kernels that a caller gives: one, or those of a list; `stride` is for resampling kernels named without."""
    if isinstance(given, np.ndarray):
        return (_from_array(given),)
    if isinstance(given, (Kernel, ByName)):
        return (given,)
    if isinstance(given, (str, os.PathLike)):
        text = os.fspath(given)
        return (parse_given(text, 3 if "|" in text else 2, stride=stride),)
    if isinstance(given, (list, tuple)) and any(_is_whole(each) for each in given):
        return tuple(kernel for each in given for kernel in as_kernels(each, stride))
    return (_from_array(given),)


def _is_whole(given: Any) -> bool:
    """Whether it is a kernel by itself, not a part of one that is given as nested lists."""
    return isinstance(given, (str, os.PathLike, Kernel, ByName)) or (isinstance(given, np.ndarray) and given.ndim > 1)


def _from_array(given: Any) -> Kernel:
    """A kernel from taps: a single row, a plain kernel of 2 or 3 axes, or a bank of 2 axes more.

    An array that comes again, and still holds what it held, is not converted again: for a large bank that takes as long
    as filtering with it.
    """
    known = _KERNELS.get(id(given))
    if known and isinstance(given, np.ndarray) and known[0] == _written(given):
        return known[1]
    try:
        taps: Array = np.asarray(given)
    except ValueError as error:
        raise KernelError(f"the kernel is no array: {error}") from None
    if taps.dtype.kind not in "biuf":
        raise KernelError(f"the kernel holds {taps.dtype} values; taps are real numbers")
    if taps.ndim not in DIMENSIONS:
        shapes = ", ".join(f"{count} ({what})" for count, what in DIMENSIONS.items())
        raise KernelError(f"the kernel has {taps.ndim} dimensions; taps have {shapes}")
    kernel = Kernel.from_array("array", taps[None] if taps.ndim == 1 else taps, bank=taps.ndim > 3)
    if len(_KERNELS) >= KEPT:
        _KERNELS.clear()
    _KERNELS[id(given)] = _written(taps), kernel
    return kernel


def _written(taps: Array) -> Written:
    """All that an array holds: to compare that takes less time than to compare small arrays."""
    return taps.dtype, taps.shape, taps.tobytes()


def per_axis(value: PerAxis, ndim: int, name: str, least: int = 1) -> tuple[int, ...]:
    """One whole number for all spatial axes, or one for each.

    >>> per_axis(2, 2, "stride"), per_axis([1, 2], 2, "stride")
    ((2, 2), (1, 2))
    """
    if type(value) is int and least <= value <= MOST:
        return (value,) * ndim
    given = value if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) else (value,)
    try:
        numbers = tuple(index(each) for each in given)
    except TypeError:
        raise UsageError(f"{value!r} is not a whole number, or a sequence of {ndim}", where=name) from None
    if len(numbers) not in (1, ndim):
        raise UsageError(f"{value!r} has {len(numbers)} numbers; give 1 or {ndim}", where=name)
    if min(numbers) < least or max(numbers) > MOST:
        bound = f"small; it must be at least {least}" if min(numbers) < least else f"large; it must be at most {MOST}"
        raise UsageError(f"{value!r} is too {bound}", where=name)
    return numbers * ndim if len(numbers) == 1 else numbers


def check_texts(**given: Any) -> None:
    """Refuse what is no text where a word is meant."""
    for name, text in given.items():
        if not isinstance(text, str):
            raise UsageError(f"{text!r} is no text", where=name)


def switch(name: str, given: Any) -> bool:
    """True or false; refused where it is neither, since a word that means no would count as true."""
    if not isinstance(given, (bool, np.bool_)):
        raise UsageError(f"{given!r} is not True or False", where=name)
    return bool(given)


def limits(method: str, threads: int | None, memory: int | None) -> Limits:
    """What a caller allows."""
    check_texts(method=method)
    most = 0 if threads is None else per_axis(threads, 1, "threads")[0]
    return Limits(method, most, _bytes(memory), 0 if memory is None else _bytes(memory))


def _bytes(memory: int | None) -> int:
    if not isinstance(memory, Real | None) or (memory is not None and not memory >= 1):
        raise UsageError(f"{memory!r} is not a number of bytes", where="memory")
    return ANYTHING.memory if memory is None else int(memory)


def paddings(given: Padding, ndim: int) -> str | tuple[tuple[int, int], ...]:
    """A rule; or pixels: for all axes, for each, or (begin, end) for each.

    >>> paddings("valid", 2), paddings(1, 2), paddings([0, (1, 2)], 2)
    ('valid', ((1, 1), (1, 1)), ((0, 0), (1, 2)))
    """
    if isinstance(given, str):
        return parse_padding(given, ndim)
    given = given.tolist() if isinstance(given, np.ndarray) else given
    pads: Any = given if isinstance(given, Sequence) else (given,)
    pairs = [per_axis(pad, 2, "padding", least=0) for pad in pads]
    if len(pairs) not in (1, ndim):
        raise UsageError(f"{given!r} has {len(pairs)} entries; give 1 or {ndim}", where="padding")
    return tuple((begin, end) for begin, end in (pairs * ndim if len(pairs) == 1 else pairs))


def as_selection(
    mask: Any = None, region: Any = None, channels: Any = None, mask_reads: str = "inside", threshold: float = 0.0
) -> Selection:
    """What is selected of an image: by a mask (the name of a file, an array or an `Image`), slices, and channels."""
    if mask_reads not in ("inside", "all"):
        raise UsageError(f"{mask_reads!r} is not inside or all", where="mask_reads")
    if not 0 <= threshold < inf:
        raise UsageError(f"{threshold} is not a number from 0 on", where="threshold")
    if mask is None and region is None and channels is None and mask_reads == "inside" and not threshold:
        return EVERYTHING
    return Selection(_region(region), _channels(channels), _mask(mask), mask_reads == "all", float(threshold))


def _mask(mask: Any) -> Mask | None:
    from convcli.operations.masks import mask_array, mask_file

    if mask is None:
        return None
    return mask_file(os.fspath(mask)) if isinstance(mask, (str, os.PathLike)) else mask_array(mask)


def _region(region: Any) -> tuple[Slice, ...]:
    if region is None or isinstance(region, str):
        return parse_region(region) if region else ()
    try:
        pairs = [(each.start, each.stop) if isinstance(each, slice) else tuple(each) for each in region]
        found = tuple((_end(first), _end(last)) for first, last in pairs)
    except (TypeError, ValueError):
        raise UsageError(f"{region!r} is not a sequence of slices, or (first, end)", where="region") from None
    if any(isinstance(each, slice) and each.step not in (None, 1) for each in region) or len(found) not in (1, 2, 3):
        raise UsageError(f"{region!r} has other than 1 to 3 slices, or steps in them", where="region")
    return found


def _end(value: Any) -> int | None:
    return None if value is None else index(value)


def _channels(channels: Any) -> tuple[str, ...]:
    if channels is None:
        return ()
    if isinstance(channels, str):
        return parse_channels(channels)
    given = channels if isinstance(channels, (Sequence, np.ndarray)) else (channels,)
    return parse_channels(",".join(map(str, given)))


def sample_type(given: Any) -> str:
    """The sample type of the result by any of NumPy's names for it; None is the command line's default."""
    if given is None:
        return "auto"
    if isinstance(given, str) and given == "same":
        return "same"
    try:
        dtype: np.dtype[Any] = np.dtype(given)
    except TypeError:
        raise UsageError(f"{given!r} is not a sample type; give such as 'uint8' or 'float32'", where="dtype") from None
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UsageError(f"{dtype} is not a sample type; give integers, or float16 to float64", where="dtype")
    return dtype.name
