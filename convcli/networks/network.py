"""What the layer notation says, as values: a shape, layers, and networks of them. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Literal, NamedTuple

from convcli.errors import UsageError

Pads = tuple[tuple[int, int], ...]
"""(begin, end) per axis; one pair holds for every axis."""

Padding = Pads | str
"""Numbers, or the letter of a rule: h half (K // 2), s SAME_UPPER, l SAME_LOWER, f full (K - 1), c causal (K - 1)."""

Ratio = tuple[int, int]
"""A fraction in lowest terms."""

Unknown = Literal["", "kernel", "stride", "pad", "dilation", "output_padding"]

MAXIMUM_LAYERS = 100_000


class Shape(NamedTuple):
    """Channels, and the size of each spatial axis; a vector has none. A size of 0 is unknown (written `?`).

    >>> str(Shape(64, (56, 56))), str(Shape(1000)), Shape(64, (56, 56)).elements
    ('64@56x56', '1000', 200704)
    """

    channels: int
    spatial: tuple[int, ...] = ()

    def __str__(self) -> str:
        sizes = "x".join(str(size or "?") for size in self.spatial)
        return f"{self.channels}@{sizes}" if self.spatial else str(self.channels)

    @property
    def elements(self) -> int:
        """Numbers in a tensor of this shape."""
        return self.channels * prod(self.spatial)


class Place(NamedTuple):
    """Where a layer was written: the how-manieth word, the word itself, its line in a file (0: no file), its block.

    Branches run from the `first` to the `number`-th word.
    """

    number: int = 0
    text: str = ""
    line: int = 0
    block: str = ""
    first: int = 0

    def __str__(self) -> str:
        block = f"block {self.block!r}, " if self.block else ""
        line = f"line {self.line}, " if self.line else ""
        words = f"layers {self.first} to {self.number}" if self.first else f"layer {self.number}"
        return f"{block}{line}{words}" if self.number else ""


class Layer(NamedTuple):
    """One word of the notation. A tuple with one entry holds for every axis; an empty one, and None, are the default.

    `factor` is a kernel that is no whole number (up1.5), as fractions; `span` are the channels that a slice keeps, from
    and to. `inputs` is a check-sum: the channels that the writer expects to arrive. `unknown` names the field written
    as `?`. An attention reads keys by `reference` and `values`, all of them or those in its `window`.
    """

    kind: str
    kernel: tuple[int, ...] = ()
    channels: int | None = None
    stride: tuple[int, ...] = ()
    pad: Padding | None = None
    dilation: tuple[int, ...] = ()
    groups: int | None = None
    output_padding: tuple[int, ...] = ()
    wanted: tuple[int, ...] = ()
    multiplier: int | None = None
    ceil: bool = False
    factor: tuple[Ratio, ...] = ()
    span: tuple[int, int] | None = None
    inputs: int | None = None
    bias: bool | None = None
    bn: bool | None = None
    reference: str = ""
    name: str = ""
    unknown: Unknown = ""
    window: tuple[int, ...] = ()
    values: str = ""
    place: Place = Place()

    def __eq__(self, other: object) -> bool:
        return says_the_same(self, other)

    def __ne__(self, other: object) -> bool:
        return not says_the_same(self, other)

    def __hash__(self) -> int:
        return hash(self[:-1])

    @property
    def pad_numbers(self) -> Pads:
        """The padding where it must be numbers."""
        assert isinstance(self.pad, tuple)
        return self.pad


class Repeat(NamedTuple):
    """A network several times over; once where parentheses only group."""

    times: int
    body: Network


class Branches(NamedTuple):
    """Networks that read the same input; their outputs are concatenated or added."""

    join: Literal["concat", "add"]
    branches: tuple[Network, ...]
    place: Place = Place()

    def __eq__(self, other: object) -> bool:
        return says_the_same(self, other)

    def __ne__(self, other: object) -> bool:
        return not says_the_same(self, other)

    def __hash__(self) -> int:
        return hash(self[:-1])


def says_the_same(one: Layer | Branches, other: object) -> bool:
    """Equality of what was written: all but the place, which stands last.

    >>> Layer("relu", place=Place(1)) == Layer("relu", place=Place(2)), Layer("relu") == Layer("id")
    (True, False)
    """
    return isinstance(other, type(one)) and one[:-1] == other[:-1]


Unit = Layer | Repeat | Branches


class Network(NamedTuple):
    """Units one after the other."""

    units: tuple[Unit, ...]

    def words(self) -> Iterator[Layer]:
        """Every layer as written: a repetition counts once."""
        for unit in self.units:
            if isinstance(unit, Layer):
                yield unit
            else:
                for part in (unit.body,) if isinstance(unit, Repeat) else unit.branches:
                    yield from part.words()

    def size(self) -> int:
        """Layers after repetition.

        >>> Network((Repeat(3, Network((Layer("relu"),))),)).size()
        3
        """
        return sum(map(unit_size, self.units))


def unit_size(unit: Unit) -> int:
    """Layers in one unit after repetition; a join counts as one."""
    if isinstance(unit, Layer):
        return 1
    if isinstance(unit, Repeat):
        return unit.times * unit.body.size()
    return 1 + sum(branch.size() for branch in unit.branches)


def wrong(place: Place, message: str, code: str = "layer", character: int = 0) -> UsageError:
    """The error of a layer.

    >>> str(wrong(Place(3, "conv3-64q"), "'q' says nothing", character=9))
    "'conv3-64q': layer 3, character 9: 'q' says nothing [layer]"
    """
    spot = ", ".join(part for part in (str(place), f"character {character}" if character else "") if part)
    return UsageError(f"{spot}: {message}" if spot else message, code, where=place.text or None)
