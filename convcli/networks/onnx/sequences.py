"""Sequences of values, which exporters make of a split and take apart again: they are followed, and cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from convcli.networks.onnx.call import INT64, Known, Numbers, Value
from convcli.networks.onnx.model import MAXIMUM_FOLDED, Node

if TYPE_CHECKING:
    from convcli.networks.onnx.walk import Walk

Inputs = Sequence[Value | None]


class Sequencing:
    """A node of sequences, in the walk that comes to it. Each answer is None where the sequence cannot be known."""

    def __init__(self, walk: Walk, node: Node, inputs: Inputs, values: Known, opsets: Mapping[str, int]) -> None:
        self.walk, self.node, self.inputs, self.values, self.opsets = walk, node, inputs, values, opsets

    def outputs(self) -> list[Value] | None:
        """What the node makes."""
        found = SEQUENCES[self.node.operator](self)
        return None if found is None else [found]

    def split(self) -> Value | None:
        """SplitToSequence: as Split does, by sizes, or into pieces of one size of which the last may be smaller."""
        x, axis = self.inputs[0], self.node.attributes.get("axis", 0)
        if x is None or not x.dims or not isinstance(axis, int) or not -len(x.dims) <= axis < len(x.dims):
            return None
        sizes = self.sizes(x.dims[axis])
        if sizes is None:
            return None
        names = tuple(f"{self.node.outputs[0]}:{i}" for i in range(len(sizes)))
        split = self.node._replace(operator="Split", outputs=names, attributes={"axis": axis})
        lengths = Value((len(sizes),), numbers=sizes, dtype=INT64)
        return sequence(self.walk.node(split, [x, lengths], self.values, {**self.opsets, "": 13}))

    def sizes(self, n: int | None) -> tuple[int, ...] | None:
        """The sizes of the pieces of an axis of `n`."""
        given = self.inputs[1] if len(self.inputs) > 1 else None
        if given is None or n is None:
            return None
        numbers = given.numbers
        if not numbers or any(not isinstance(each, int) or each < 0 for each in numbers):
            return None
        if given.dims:
            return numbers
        size = numbers[0]
        if not size or n > size * MAXIMUM_FOLDED:
            return None
        return tuple(min(size, n - start) for start in range(0, n, size))

    def at(self) -> Value | None:
        """SequenceAt: one of them."""
        items, place = self.items(), self.place()
        if items is None or place is None or not -len(items) <= place < len(items):
            return None
        return items[place]

    def construct(self) -> Value | None:
        """SequenceConstruct: the values given."""
        return sequence([each for each in self.inputs if each is not None])

    def empty(self) -> Value | None:
        """SequenceEmpty."""
        return sequence([])

    def insert(self) -> Value | None:
        """SequenceInsert: one more, at the end where no place is given."""
        items, new = self.items(), self.inputs[1] if len(self.inputs) > 1 else None
        place = self.place(2) if len(self.inputs) > 2 else len(items or ())
        if items is None or new is None or place is None or not -len(items) <= place <= len(items):
            return None
        place %= len(items) + 1 if place >= 0 else len(items)
        return sequence([*items[:place], new, *items[place:]])

    def erase(self) -> Value | None:
        """SequenceErase: one less, the last where no place is given."""
        items, place = self.items(), self.place() if len(self.inputs) > 1 else -1
        if items is None or place is None or not -len(items) <= place < len(items):
            return None
        place %= len(items)
        return sequence([*items[:place], *items[place + 1 :]])

    def length(self) -> Value | None:
        """SequenceLength: how many there are."""
        items = self.items()
        numbers: Numbers = (len(items or ()),)
        return None if items is None else Value((), numbers=numbers, dtype=INT64)

    def concat(self) -> Value | None:
        """ConcatFromSequence: one value, along an axis that is there."""
        items = self.items()
        if not items or self.node.attributes.get("new_axis", 0) != 0:
            return None
        return self.walk.node(self.node._replace(operator="Concat"), [*items], self.values, self.opsets)[0]

    def items(self) -> tuple[Value, ...] | None:
        """The values in the first input."""
        first = self.inputs[0] if self.inputs else None
        return first.items if first else None

    def place(self, at: int = 1) -> int | None:
        """The number in an input that says which one."""
        given = self.inputs[at] if at < len(self.inputs) else None
        place = given.numbers[0] if given and given.numbers else None
        return place if isinstance(place, int) else None


def sequence(items: Sequence[Value]) -> Value:
    """Values as one, which depends on the input where one of them does; too many are not followed."""
    source = next((each.source for each in items if not each.is_constant), None)
    return Value(None, source, items=tuple(items) if len(items) <= MAXIMUM_FOLDED else None)


SEQUENCES: Mapping[str, Callable[[Sequencing], Value | None]] = {
    "SplitToSequence": Sequencing.split,
    "SequenceAt": Sequencing.at,
    "SequenceConstruct": Sequencing.construct,
    "SequenceEmpty": Sequencing.empty,
    "SequenceInsert": Sequencing.insert,
    "SequenceErase": Sequencing.erase,
    "SequenceLength": Sequencing.length,
    "ConcatFromSequence": Sequencing.concat,
}
"""Operators of sequences."""
