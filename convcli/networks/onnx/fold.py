"""Small integers computed as an exporter left them: chains of Shape, Gather, Div, Cast and Concat that make sizes.

Numbers are a flat tuple with sizes beside it; one that is unknown is None, and so is what is made of it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from convcli.networks.onnx.call import Call, Numbers, Unknown, Value
from convcli.networks.onnx.model import BOOL, FLOAT, FLOATING, MAXIMUM_FOLDED

LARGEST_NUMBER = 2**64


def folded(call: Call, sizes: Sequence[tuple[int, ...] | None]) -> list[Numbers | None]:
    """The numbers of each output, whose sizes are known; None where they are too many, or follow from weights."""
    if call.node.operator == "Split" and call.inputs and call.value(0).numbers is not None:
        return pieces(call, sizes)
    fold, first = FOLDS.get(call.node.operator), sizes[0] if sizes else None
    if fold is None or first is None or prod(first) > MAXIMUM_FOLDED:
        return [None] * len(sizes)
    try:
        numbers = fold(call, first)
    except (Unknown, ArithmeticError, ValueError, TypeError, IndexError):  # numbers that no shape has
        numbers = None
    if numbers is not None and (len(numbers) != prod(first) or not all(map(is_small, numbers))):
        numbers = None
    return [numbers, *[None] * (len(sizes) - 1)]


def is_small(number: Any) -> bool:
    """True for what a size may be made of; larger integers would grow without bounds."""
    return number is None or (-LARGEST_NUMBER < number < LARGEST_NUMBER)


# --- one number from each


def each(function: Callable[..., Any]) -> Callable[[Call, tuple[int, ...]], Numbers | None]:
    """A fold that works element by element; what is 1 stretches."""

    def fold(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
        rows = [stretched(value, sizes) for value in call.present]
        if any(row is None for row in rows):
            return None
        columns = zip(*(row for row in rows if row is not None), strict=True)
        return tuple(None if None in column else function(*column) for column in columns)

    return fold


def stretched(value: Value, sizes: tuple[int, ...]) -> Numbers | None:
    """The numbers of a value as many as those sizes have."""
    if value.numbers is None or value.dims is None or None in value.dims:
        return None
    if value.dims == sizes:
        return value.numbers
    if len(value.numbers) == 1:
        return value.numbers * prod(sizes)
    own = (1,) * (len(sizes) - len(value.dims)) + value.dims
    steps = [0 if n == 1 else step for n, step in zip(own, strides(own), strict=True)]
    return tuple(value.numbers[at] for at in places(sizes, steps))


def strides(sizes: Sequence[Any]) -> list[int]:
    """How far apart neighbours along each dimension lie.

    >>> strides((2, 3, 4))
    [12, 4, 1]
    """
    return [prod(sizes[i + 1 :]) for i in range(len(sizes))]


def places(sizes: Sequence[int], steps: Sequence[int], start: int = 0) -> Iterator[int]:
    """Where the numbers of a value with those sizes lie, in order, given the step of each dimension.

    >>> list(places((2, 3), (1, 2)))
    [0, 2, 4, 1, 3, 5]
    """
    if not sizes:
        yield start
        return
    for i in range(sizes[0]):
        yield from places(sizes[1:], steps[1:], start + i * steps[0])


def quotient(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Div: integers round toward zero."""
    is_float = any(value.dtype in FLOATING for value in call.present)
    return each(operator.truediv if is_float else toward_zero)(call, sizes)


def toward_zero(a: int, b: int) -> int:
    """
    >>> toward_zero(-7, 2), toward_zero(7, 2)
    (-3, 3)
    """
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Mod: with the sign of the divisor, or of the dividend."""
    return each(math.fmod if call.integer("fmod") else operator.mod)(call, sizes)


def power(a: float, b: float) -> float | None:
    """A power, of small numbers only."""
    return a**b if abs(b) <= 64 and abs(a) < 2**32 else None


def cast(call: Call, _sizes: tuple[int, ...]) -> Numbers | None:
    """Cast: to integers, floats or truth values."""
    numbers, kind = call.value(0).numbers, call.integer("to")
    if numbers is None:
        return None
    convert: Callable[[Any], Any] = float if kind in FLOATING else bool if kind == BOOL else int
    return tuple(None if number is None else convert(number) for number in numbers)


def chosen(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Where: from one or from the other."""
    return each(lambda condition, yes, no: yes if condition else no)(call, sizes)


# --- moved


def unchanged(call: Call, _sizes: tuple[int, ...]) -> Numbers | None:
    """Reshape and its kin: the same numbers in the same order."""
    return call.value(0).numbers


def transposed(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Transpose."""
    numbers, own = call.value(0).numbers, call.sizes(0)
    order = call.integers("perm") or tuple(range(len(own)))[::-1]
    apart = strides(own)
    return None if numbers is None else tuple(numbers[at] for at in places(sizes, [apart[i] for i in order]))


def joined(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Concat."""
    values = [value for value in call.present if value.dims != (0,)]
    if any(value.numbers is None for value in values):
        return None
    axis = call.axis("axis", 0, len(sizes)) if sizes else 0
    inner = [prod(value.dims[axis:]) for value in values if value.dims is not None]  # type: ignore[arg-type]
    rounds = prod(sizes[:axis])
    return tuple(
        number
        for turn in range(rounds)
        for value, n in zip(values, inner, strict=True)
        for number in (value.numbers or ())[turn * n : (turn + 1) * n]
    )


def gathered(call: Call, _sizes: tuple[int, ...]) -> Numbers | None:
    """Gather."""
    numbers, own, indices = call.value(0).numbers, call.sizes(0), call.value(1).numbers
    if numbers is None or indices is None or None in indices:
        return None
    axis = call.axis("axis", 0, len(own))
    n, inner = own[axis], prod(own[axis + 1 :])
    return tuple(
        number
        for turn in range(prod(own[:axis]))
        for i in indices
        for number in numbers[(turn * n + int(i) % n) * inner :][:inner]
    )


def sliced(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Slice."""
    numbers, own = call.value(0).numbers, call.sizes(0)
    starts, ends = call.setting("starts", 1), call.setting("ends", 2)
    if numbers is None or starts is None or ends is None:
        return None
    axes, steps = call.setting("axes", 3) or range(len(starts)), call.setting("steps", 4) or (1,) * len(starts)
    apart = strides(own)
    start, moves = 0, list(apart)
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        end = None if step < 0 and last < -own[axis] else last
        taken = range(*slice(first, end, step).indices(own[axis]))
        start += taken.start * apart[axis]
        moves[axis] = step * apart[axis]
    return tuple(numbers[at] for at in places(sizes, moves, start))


def pieces(call: Call, sizes: Sequence[tuple[int, ...] | None]) -> list[Numbers | None]:
    """Split."""
    numbers, own = call.value(0).numbers or (), call.sizes(0)
    axis, start = call.axis("axis", 0, len(own)), 0
    apart, found = strides(own), list[Numbers | None]()
    for piece in sizes:
        if piece is None:
            return [None] * len(sizes)
        found.append(tuple(numbers[at] for at in places(piece, apart, start)))
        start += piece[axis] * apart[axis]
    return found


def expanded(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Expand."""
    return stretched(call.value(0), sizes)


def tiled(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Tile, of one dimension."""
    numbers, own = call.value(0).numbers, call.sizes(0)
    return None if numbers is None or len(own) != 1 else numbers * (sizes[0] // max(1, own[0]))


# --- made


def shape(call: Call, _sizes: tuple[int, ...]) -> Numbers | None:
    """Shape: also of what an input decides."""
    dims, end = call.value(0).dims, call.node.attributes.get("end")
    return None if dims is None else dims[call.integer("start") : end if isinstance(end, int) else None]


def size(call: Call, _sizes: tuple[int, ...]) -> Numbers | None:
    """Size."""
    return (prod(call.sizes(0)),)


def filled(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """ConstantOfShape."""
    tensor = call.tensor("value")
    numbers = tensor.numbers() if tensor else (0.0,)
    return numbers * prod(sizes) if numbers and len(numbers) == 1 else None


def counted(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
    """Range."""
    (start, *_), (step, *_) = call.value(0).numbers or (), call.value(2).numbers or ()
    return tuple(start + i * step for i in range(sizes[0]))


def constant(call: Call, _sizes: tuple[int, ...]) -> Numbers | None:
    """Constant."""
    tensor = call.tensor("value")
    if tensor is not None:
        return tensor.numbers()
    for name in ("value_int", "value_float"):
        found = call.node.attributes.get(name)
        if isinstance(found, (int, float)):
            return (found,)
    for name in ("value_ints", "value_floats"):
        found = call.node.attributes.get(name)
        if isinstance(found, tuple):
            return found
    return None


def over_all(function: Callable[[Sequence[Any]], Any]) -> Callable[[Call, tuple[int, ...]], Numbers | None]:
    """A reduction of a whole value to one number."""

    def fold(call: Call, sizes: tuple[int, ...]) -> Numbers | None:
        numbers = call.value(0).numbers
        return None if not numbers or None in numbers or prod(sizes) != 1 else (function(numbers),)

    return fold


FOLDS: dict[str, Callable[[Call, tuple[int, ...]], Numbers | None]] = {
    "Add": each(operator.add),
    "Sub": each(operator.sub),
    "Mul": each(operator.mul),
    "Div": quotient,
    "Mod": remainder,
    "Pow": each(power),
    "Max": each(max),
    "Min": each(min),
    "Neg": each(operator.neg),
    "Abs": each(abs),
    "Floor": each(math.floor),
    "Ceil": each(math.ceil),
    "Round": each(round),
    "Sqrt": each(math.sqrt),
    "Equal": each(operator.eq),
    "Greater": each(operator.gt),
    "GreaterOrEqual": each(operator.ge),
    "Less": each(operator.lt),
    "LessOrEqual": each(operator.le),
    "And": each(lambda a, b: bool(a) and bool(b)),
    "Or": each(lambda a, b: bool(a) or bool(b)),
    "Not": each(operator.not_),
    "Where": chosen,
    "Cast": cast,
    **dict.fromkeys(("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "CastLike", "Dropout"), unchanged),
    "Transpose": transposed,
    "Concat": joined,
    "Gather": gathered,
    "Slice": sliced,
    "Expand": expanded,
    "Tile": tiled,
    "Shape": shape,
    "Size": size,
    "ConstantOfShape": filled,
    "Range": counted,
    "Constant": constant,
    "ReduceProd": over_all(prod),
    "ReduceSum": over_all(sum),
    "ReduceMax": over_all(max),
    "ReduceMin": over_all(min),
}


def result_type(call: Call) -> int:
    """The type of data that an operator makes, where sizes are computed with it."""
    name = call.node.operator
    if name == "Cast":
        return call.integer("to")
    if name in ("Shape", "Size", "NonZero", "ArgMax", "ArgMin"):
        return 7
    if name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not"):
        return BOOL
    tensor = call.tensor("value")
    if tensor is not None:
        return tensor.dtype
    if name == "Constant":
        return 7 if {"value_int", "value_ints"} & call.node.attributes.keys() else FLOAT
    chosen_one = call.given(1 if name == "Where" else 0)
    return chosen_one.dtype if chosen_one is not None else FLOAT
