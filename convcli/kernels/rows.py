"""Values in rows, rows in slices, slices in channels: nested lists become taps, and are never padded to fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from convcli.errors import KernelError

MOST_BYTES = 1 << 28  # of an array of taps: 64 million in float32
LAYOUTS = {
    2: "(kh, kw), (I, kh, kw) or (O, I/g, kh, kw)",
    3: "(kd, kh, kw), (I, kd, kh, kw) or (O, I/g, kd, kh, kw)",
}


def shape_of(nested: Any, levels: Sequence[str], place: str = "") -> tuple[int, ...]:
    """The common shape of nested lists of the depth that `levels` name.

    >>> shape_of([[1, 2, 3], [4, 5, 6]], ("row", "value"))
    (2, 3)
    """
    if not levels:
        return ()
    if not nested:
        raise KernelError(f"kernel {place.rstrip(', ')} is empty" if place else "the kernel is empty")
    level, *inner = levels
    if not inner:
        return (len(nested),)
    several = len(nested) > 1
    shapes = [shape_of(part, inner, f"{place}{level} {i}, " if several else place) for i, part in enumerate(nested, 1)]
    for i, shape in enumerate(shapes, 1):
        if shape != shapes[0]:
            raise KernelError(f"kernel {place}{level} {i} {size(shape)}, {level} 1 {size(shapes[0], short=True)}")
    return (len(nested), *shapes[0])


def size(shape: Sequence[int], *, short: bool = False) -> str:
    """How long a row or how large a slice is.

    >>> size((2,)), size((2,), short=True), size((2, 3))
    ('has 2 values', 'has 2', 'is 2x3')
    """
    if len(shape) != 1:
        return f"is {'x'.join(map(str, shape))}"
    return f"has {shape[0]}" if short else f"has {shape[0]} value{'s' if shape[0] != 1 else ''}"


def flatten(nested: Any) -> Iterator[Any]:
    """The innermost values in row-major order.

    >>> list(flatten([[1, 2], [3, 4]]))
    [1, 2, 3, 4]
    """
    for part in nested:
        if isinstance(part, list):
            yield from flatten(part) if part and isinstance(part[0], list) else part
        else:
            yield part


def layout(shape: Sequence[int], ndim: int) -> tuple[tuple[int, ...], bool]:
    """The shape of the kernel that an array of `shape` holds, and whether it is a bank.

    >>> layout((3, 3, 3), 2), layout((3, 3, 3), 3), layout((5,), 2)
    (((1, 3, 3, 3), True), ((3, 3, 3), False), ((1, 5), False))
    """
    axes = len(shape)
    if axes in (1, ndim):
        return (*[1] * (ndim - axes), *shape), False
    if axes in (ndim + 1, ndim + 2):
        return (*[1] * (ndim + 2 - axes), *shape), True
    raise KernelError(f"has {axes} axes; conv{ndim}d takes kernels of shape {LAYOUTS[ndim]}")
