"""Kernels typed in full: `0 -1 0; -1 5 -1; 0 -1 0`, or in ImageMagick's form `3x3:0,-1,0,-1,5,-1,0,-1,0`.

Spaces and commas split values, `;` (or a line break) rows, `|` z-slices, `^` input channels.
Nested lists (values in rows, rows in slices, slices in channels) become taps here, too, and are never padded to fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from convcli.errors import KernelError
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import read_number
from convcli.numerals import number_text

SEPARATORS = {"channel": r"\^", "slice": r"\|", "row": r"\s*;\s*|\s*\n\s*", "value": r"\s*,\s*|\s+"}
JOINTS = {"channel": " ^ ", "slice": " | ", "row": "; ", "value": " "}
SIZE = r"([0-9]{1,4})[x×]([0-9]{1,4})"
SIZED = r"(?as)(\d{1,9}(?:x\d{1,9}){1,2})((?:\+\d{1,9})*):(.*)"


def number_at(place: str, word: str) -> float:
    """A number, or an error that says where it stands.

    >>> number_at("row 1, value 3", "a")
    Traceback (most recent call last):
    convcli.errors.KernelError: row 1, value 3: 'a' is not a number [kernel]
    """
    if not word.strip():
        raise KernelError(f"{place} is empty")
    try:
        return read_number(word)
    except KernelError as error:
        raise KernelError(f"{place}: {error.message}") from None


def parse_inline(text: str, ndim: int) -> Kernel:
    """The kernel that a text of numbers spells out; its name is the same text, tidied.

    >>> parse_inline("1,2 , 1;2 4 2; 1 2 1", 2).name
    '1 2 1; 2 4 2; 1 2 1'
    """
    sized = re.fullmatch(SIZED, text)
    if sized:
        return parse_sized(sized[1], sized[2], sized[3], ndim)
    if size := re.fullmatch(SIZE, text):
        wide, high = size[1], size[2]
        raise KernelError(
            f"{text!r} is a size, not a kernel; box:{high},{wide} is the mean over it, {text}:1,2,... lists its values"
        )
    if "|" in text and ndim == 2:
        raise KernelError("z-slices (|) need conv3d")
    levels = [level for level in SEPARATORS if ndim == 3 or level != "slice"]
    channels = read_nested(text, levels)
    inputs, *spatial = shape_of(channels, levels)
    shape = spatial if inputs == 1 else (1, inputs, *spatial)
    return Kernel.from_values(spelled(channels, levels), shape, flatten(channels), bank=inputs > 1)


def parse_sized(size: str, offsets: str, values: str, ndim: int) -> Kernel:
    """ImageMagick's `WxH:values` (for conv3d `WxHxD:`), width first, with `+X+Y` for the tap on the pixel.

    >>> parse_sized("3x1", "+0+0", "1,2,3", 2).centre
    (0, 0)
    """
    shape = [int(k) for k in reversed(size.split("x"))]
    if len(shape) > ndim:
        raise KernelError(f"{size}: z-slices (WxHxD) need conv3d")
    words = re.split(SEPARATORS["value"], values.strip()) if values.strip() else []
    if len(words) != prod(shape) or not words:
        raise KernelError(f"{size}: needs {prod(shape)} values, got {len(words)}")
    shape = [1] * (ndim - len(shape)) + shape
    taps = [number_at(f"row {i // shape[-1] + 1}, value {i % shape[-1] + 1}", word) for i, word in enumerate(words)]
    kernel = Kernel.from_values("", shape, taps)
    if offsets:
        kernel = kernel.at_origin(read_origin(size, offsets, ndim))
    return kernel.named(f"{size}{offsets}:{','.join(map(number_text, taps))}")


def read_origin(size: str, offsets: str, ndim: int) -> Sequence[int]:
    """`+X+Y` in axis order; where `size` has no depth, the only slice.

    >>> read_origin("3x1", "+2+0", 2)
    (0, 2)
    """
    axes = [int(o) for o in reversed(offsets.split("+")[1:])]
    if len(axes) != size.count("x") + 1:
        raise KernelError(f"{size}{offsets}: an origin needs one +offset for each size, X first")
    return (*[0] * (ndim - len(axes)), *axes)


def read_nested(text: str, levels: Sequence[str], place: str = "") -> Any:
    """Numbers in nested lists, one level of nesting for each of `levels`."""
    if not text.strip():
        raise KernelError(f"{place.rstrip(', ')} is empty" if place else "the kernel is empty")
    if not levels:
        return number_at(place.rstrip(", "), text)
    level, *inner = levels
    parts = re.split(SEPARATORS[level], text.strip())
    shown = len(parts) > 1 or level in ("row", "value")
    return [read_nested(part, inner, f"{place}{level} {i}, " if shown else place) for i, part in enumerate(parts, 1)]


def spelled(nested: Any, levels: Sequence[str]) -> str:
    """Nested numbers as `read_nested` reads them.

    >>> spelled([[1.0, 2.0], [3.0, 4.0]], ("row", "value"))
    '1 2; 3 4'
    """
    if not levels:
        return number_text(nested)
    return JOINTS[levels[0]].join(spelled(part, levels[1:]) for part in nested)


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
