"""Constructor calls of other libraries as text: `nn.Conv2d(3, 64, kernel_size=(7, 7), bias=False)`.

Nothing is run: the text is taken apart into a name, its arguments and their literal values.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from typing import TypeGuard

from convcli.networks.network import Layer, Place, Ratio, wrong
from convcli.networks.words import LEAST_FACTOR, MAXIMUM_KERNEL, ratio
from convcli.records import record

Value = int | float | str | bool | None | tuple["Value", ...]

MAXIMUM_LENGTH = 2_000


@record
class Call:
    """A name and what was given to it, by position and by keyword."""

    name: str
    positional: tuple[Value, ...]
    keywords: Mapping[str, Value]
    place: Place


@record
class Signature:
    """What a constructor may be given, in order, and how it becomes layers for a number of spatial axes.

    `ignored` arguments change no size and no cost.
    """

    names: tuple[str, ...]
    layers: Callable[[Arguments, int], list[Layer]]
    axes: int = 0
    ignored: frozenset[str] = frozenset()


@record
class Arguments:
    """The arguments of a call, by name."""

    given: Mapping[str, Value]
    name: str
    place: Place

    def number(self, what: str, default: int | None = None) -> int:
        """An argument that must be a whole number."""
        value = self.given.get(what, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            missing = "is missing" if value is None else f"is {value!r}, no whole number"
            raise wrong(self.place, f"{self.name}: {what} {missing}")
        return value

    def numbers(self, what: str, axes: int, default: Value = None) -> tuple[int, ...]:
        """An argument that is one whole number for every axis, or one for each; always one for each in the answer."""
        value = self.given.get(what, default)
        if value is None:
            value = default
        each = value * axes if isinstance(value, tuple) and len(value) == 1 else value
        each = each if isinstance(each, tuple) else (each,) * axes
        found = tuple(int(v) for v in each if is_whole(v))
        if not len(found) == len(each) == axes:
            missing = "is missing" if value is None else f"is {value!r}; it must be {axes} whole numbers or one"
            raise wrong(self.place, f"{self.name}: {what} {missing}")
        return found

    def factors(self, what: str, axes: int) -> tuple[Ratio, ...]:
        """An argument that is one number above 0 for every axis, or one for each, as fractions."""
        value = self.given.get(what)
        each = value if isinstance(value, tuple) else (value,) * axes
        found = [ratio(repr(v)) for v in each if is_number(v) and LEAST_FACTOR <= v <= MAXIMUM_KERNEL]
        if not len(found) == len(each) == axes:
            raise wrong(self.place, f"{self.name}: {what} is {value!r}; it must be {axes} numbers above 0, or one")
        return tuple(found)

    def flag(self, what: str) -> bool | None:
        """An argument that is True or False, None where it was not given."""
        value = self.given.get(what)
        if value not in (None, True, False):
            raise wrong(self.place, f"{self.name}: {what} is {value!r}, neither True nor False")
        return None if value is None else bool(value)

    def word(self, what: str, default: str = "") -> str:
        """An argument that is a word."""
        value = self.given.get(what, default)
        return default if value is None else str(value)


def is_number(value: Value) -> TypeGuard[int | float]:
    """True for numbers, which True and False are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_whole(value: Value) -> TypeGuard[int | float]:
    """True for 2 and 2.0, which PyTorch prints for a scale factor; false for True and -1."""
    return is_number(value) and value >= 0 and float(value).is_integer()


def shorter(numbers: tuple[int, ...], default: int = -1) -> tuple[int, ...]:
    """One number where all axes agree, none where that is the default.

    >>> shorter((2, 2)), shorter((1, 2)), shorter((1, 1), default=1)
    ((2,), (1, 2), ())
    """
    if len(set(numbers)) > 1:
        return numbers
    return () if numbers[0] == default else numbers[:1]


def translated(call: Call, signature: Signature) -> list[Layer]:
    """The layers that a call makes."""
    return signature.layers(arguments(call, signature), signature.axes)


def arguments(call: Call, signature: Signature) -> Arguments:
    """The arguments under their names, refusing what the constructor does not know."""
    if len(call.positional) > len(signature.names):
        raise wrong(
            call.place, f"{call.name} takes {len(signature.names)} arguments at most, not {len(call.positional)}"
        )
    given = dict(zip(signature.names, call.positional, strict=False))
    for name, value in call.keywords.items():
        if name in given:
            raise wrong(call.place, f"{call.name}: {name} is given twice")
        if name not in signature.names and name not in signature.ignored:
            raise wrong(call.place, f"{call.name} knows no {name!r}; it knows {', '.join(signature.names)}")
        given[name] = value
    return Arguments(given, call.name, call.place)


def read(text: str, place: Place) -> Call:
    """A call from its text.

    >>> read("nn.Conv2d(3, 64, 7, padding=same)", Place()).keywords
    {'padding': 'same'}
    """
    expression = parsed(text)
    if not isinstance(expression, ast.Call):
        raise wrong(place, f"{text[:40]!r} is no call like Conv2d(3, 64, 7)")
    try:
        positional = tuple(map(literal, expression.args))
        keywords = {keyword.arg or "**": literal(keyword.value) for keyword in expression.keywords}
        return Call(name_of(expression.func), positional, keywords, place)
    except TypeError as error:
        raise wrong(place, f"{error}; only plain values can be read") from None


def parsed(text: str) -> ast.expr | None:
    """The syntax of an expression; None where it has none."""
    if len(text) > MAXIMUM_LENGTH:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SyntaxWarning: a question of style in a text that is never run
        try:
            return ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def literal(node: ast.expr) -> Value:
    """A plain value; a name stands for itself, as PyTorch prints padding=same."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str, bool, type(None))):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(map(literal, node.elts))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = literal(node.operand)
        if isinstance(value, (int, float)):
            return -value
    return name_of(node.func if isinstance(node, ast.Call) else node)


def name_of(node: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    raise TypeError(f"{ast.unparse(node)[:40]!r} is no plain value")
