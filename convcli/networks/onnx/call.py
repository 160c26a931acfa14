"""One operator at work on values of known sizes, and small integers with them: what a rule is given and makes."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from math import prod
from typing import Any, NamedTuple

from convcli.errors import ConvError
from convcli.geometry.sizes import Axis
from convcli.networks.banks import Bank
from convcli.networks.layers import Work
from convcli.networks.onnx.model import MAXIMUM_FOLDED, Dims, Node, Tensor
from convcli.networks.onnx.seen import Seen

Numbers = tuple[Any, ...]
"""Integers, floats or truth values; None where one is unknown."""

INT64 = 7
LARGEST = 2**31 - 1


class Unknown(Exception):  # noqa: N818 -- no error: the sizes of an output follow from what no file says
    """The sizes of the outputs cannot be known."""


class Value(NamedTuple):
    """What flows between operators.

    `dims` are None where not even their number is known. `source` is the step that made it, -1, -2, ... an input of
    the graph, None what is the same for every input: weights, shapes. Of these, `numbers` are kept while they are few,
    and `origins` are the initializers that it is made of. `seen` is what it sees of the input, `port` says which output
    of its step it is. `items` are the values of a sequence. `is_looked_up` says of a constant that it is entries of a
    table, not weights as they are.
    """

    dims: Dims | None
    source: int | None = None
    numbers: Numbers | None = None
    dtype: int = 0
    origins: frozenset[str] = frozenset()
    seen: Seen | None = None
    port: int = 0
    items: tuple[Value, ...] | None = None
    is_looked_up: bool = False

    @property
    def is_constant(self) -> bool:
        """True for what no input changes."""
        return self.source is None


Known = MutableMapping[str, Value]
"""Values by name."""


class Flow(NamedTuple):
    """How an operator passes on what it sees: by one of these, none (the sizes are known, the fields are not).

    `same`: each output sees what the inputs see there, and along the dimensions `over` all of it. `axes`: dimensions of
    the first input are read through an axis each, those `over` which it goes whole, or where not `keep` in parts that
    are not followed. `order`: dimensions change places.
    `regrouped`: they are cut and put together. `reduced`: they are read whole and vanish, or stay with one entry.
    `joined`: inputs stand behind each other along a dimension. `product`: letters for the dimensions of two inputs and
    of the output. `picked`: along a dimension, a list of places; of one place without a list, the dimension vanishes.
    """

    what: str
    over: tuple[int, ...] = ()
    axes: tuple[tuple[int, Axis], ...] = ()
    keep: bool = True
    letters: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


SAME = Flow("same")


class Made(NamedTuple):
    """What an operator makes: sizes of each output, and what that costs.

    `products` are multiply-adds of two values that both depend on the input, or of positions. `weights` are the places
    of the inputs that are its parameters.
    """

    outputs: tuple[Dims | None, ...]
    flow: Flow | None = None
    banks: tuple[Bank, ...] = ()
    weights: tuple[int, ...] = ()
    products: int = 0
    work: tuple[Work, ...] = ()
    kind: str = ""


class Call:
    """An operator with its inputs: what a rule asks."""

    def __init__(self, node: Node, inputs: Sequence[Value | None], opset: int) -> None:
        self.node, self.inputs, self.opset = node, tuple(inputs), opset

    # --- inputs

    def given(self, place: int) -> Value | None:
        """The input at a place, None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def value(self, place: int) -> Value:
        """The input at a place, which must be there."""
        found = self.given(place)
        if found is None:
            raise ConvError(f"{self.node.operator} lacks its input {place + 1}", "corrupt")
        return found

    def dims(self, place: int = 0) -> Dims:
        """The sizes of an input, as far as they are known."""
        dims = self.value(place).dims
        if dims is None:
            raise Unknown
        return dims

    def sizes(self, place: int = 0) -> tuple[int, ...]:
        """The sizes of an input, all of them."""
        return known(self.dims(place))

    def numbers(self, place: int) -> tuple[int, ...]:
        """The integers in an input."""
        found = self.value(place).numbers
        if found is None or None in found:
            raise Unknown
        return tuple(map(int, found))

    def reals(self, place: int) -> tuple[float, ...] | None:
        """The floats in an input; None where it is left out or empty."""
        given = self.given(place)
        if given is None or given.dims == (0,):
            return None
        if given.numbers is None or None in given.numbers:
            raise Unknown
        return tuple(map(float, given.numbers))

    @property
    def present(self) -> list[Value]:
        """The inputs that are there."""
        return [each for each in self.inputs if each is not None]

    # --- attributes

    def integer(self, name: str, default: int = 0) -> int:
        """An attribute that is an integer."""
        found = self._of(int, name, default)
        assert isinstance(found, int)
        return found

    def text(self, name: str, default: str = "") -> str:
        """An attribute that is a text."""
        found = self._of(str, name, default)
        assert isinstance(found, str)
        return found

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An attribute that is a list of integers; None where it is left out."""
        found = self.node.attributes.get(name)
        if found is None:
            return None
        if not isinstance(found, tuple) or not all(isinstance(each, int) for each in found):
            raise ConvError(f"{name} of {self.node.operator} is no list of integers", "corrupt")
        return found

    def tensor(self, name: str) -> Tensor | None:
        """An attribute that is a tensor."""
        found = self.node.attributes.get(name)
        return found if isinstance(found, Tensor) else None

    def setting(self, name: str, place: int) -> tuple[int, ...] | None:
        """Integers that were an attribute once and are an input now; None where they are left out."""
        if self.given(place) is not None:
            return self.numbers(place)
        return self.integers(name)

    def _of(self, kind: type[int] | type[str], name: str, default: int | str) -> object:
        found = self.node.attributes.get(name)
        if found is None:
            return default
        if not isinstance(found, kind):
            raise ConvError(f"{name} of {self.node.operator} is {found!r:.40}", "corrupt")
        return found

    # --- axes

    def axis(self, name: str, default: int, rank: int) -> int:
        """An attribute that names a dimension, counted from the front."""
        return self.dimension(self.integer(name, default), rank)

    def dimension(self, axis: int, rank: int) -> int:
        """A dimension counted from the front."""
        if not -rank <= axis < rank:
            raise ConvError(f"{self.node.operator} names axis {axis} of {rank}", "shape")
        return axis % rank

    def spread(self, name: str, count: int, default: int) -> tuple[int, ...]:
        """An attribute with a number for each of `count` axes."""
        found = self.integers(name) or (default,) * count
        if len(found) != count:
            raise ConvError(f"{name} of {self.node.operator} has {len(found)} numbers for {count} axes", "shape")
        if max(map(abs, found), default=0) > LARGEST:
            raise ConvError(f"{name} of {self.node.operator} is beyond {LARGEST:,}", "too-large")
        return found


def known(dims: Dims) -> tuple[int, ...]:
    """Sizes that must all be known."""
    if None in dims:
        raise Unknown
    return tuple(n for n in dims if n is not None)


def count(dims: Dims | None) -> int:
    """Numbers in a tensor; 0 where that is unknown.

    >>> count((1, 3, 8)), count((None, 3)), count(None)
    (24, 0, 0)
    """
    return 0 if dims is None or None in dims else prod(known(dims))


def broadcast(shapes: Sequence[Dims]) -> Dims:
    """The sizes of an operator that works element by element, as in NumPy.

    >>> broadcast([(1, 64, 56, 56), (64, 1, 1)]), broadcast([(None, 8), (4, 1)])
    ((1, 64, 56, 56), (4, 8))
    """
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(dims)) + tuple(dims) for dims in shapes]
    return tuple(map(broadcast_size, zip(*padded, strict=True)))


def broadcast_size(sizes: tuple[int | None, ...]) -> int | None:
    """One size from several: those that are 1 stretch."""
    wide = {n for n in sizes if n not in (None, 1)}
    if len(wide) > 1:
        raise ConvError(
            f"sizes {' and '.join(map(str, sorted(n for n in wide if n is not None)))} do not meet", "shape"
        )
    return next(iter(wide)) if wide else None if None in sizes else 1


def shape_value(dims: Numbers) -> Value:
    """Integers as a constant of one dimension."""
    return Value((len(dims),), numbers=tuple(dims) if len(dims) <= MAXIMUM_FOLDED else None, dtype=INT64)
