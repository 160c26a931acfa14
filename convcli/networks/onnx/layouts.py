"""Where the places of an image, or of a sequence, lie in each value of a graph: which dimensions are no channels.

They are followed as what a value sees is followed, but for the fields. Where the places of several axes lie in one
dimension, and a token comes before or behind them, they are one axis from there on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple

from convcli.networks.network import Shape
from convcli.networks.onnx.call import Value
from convcli.networks.onnx.flows import outputs_seen
from convcli.networks.onnx.layers import shape_of
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.seen import AxisSeen, Factor, Seen, image_seen
from convcli.networks.onnx.walk import GraphStep, Walked
from convcli.networks.receptive import Field

Key = tuple[int, int]
"""A step and which of its outputs; a negative step is an input."""


def key_of(value: Value) -> Key:
    """Which step made a value, and as which output."""
    return (-1 if value.source is None else value.source), value.port


class Reading(NamedTuple):
    """How the dimensions of the inputs are read: the places of each, and how many images they are."""

    places: tuple[Seen, ...]
    batch: int


def readings(walked: Walked) -> Iterator[Reading]:
    """What the inputs may be: images; sequences, their channels last; or these with the batch behind the places."""
    sizes = [*walked.inputs.values()]
    yield Reading(tuple(map(image_seen, sizes)), sizes[0][0] if sizes[0] else 1)
    if all(len(each) == 3 for each in sizes):
        yield Reading(tuple(places(each, (1,)) for each in sizes), sizes[0][0])
        yield Reading(tuple(places(each, (0, 1)) for each in sizes), 1)


def places(sizes: Sequence[int], dims: Sequence[int]) -> Seen:
    """Axes along some dimensions."""
    return tuple(AxisSeen(Field(), sizes[d], (Factor(d, 1, sizes[d], 1),), sizes[d]) for d in dims)


def layouts(walked: Walked, reading: Reading) -> dict[Key, Seen]:
    """The places of every value."""
    found: dict[Key, Seen] = {(-1 - i, 0): seen for i, seen in enumerate(reading.places)}
    for at, step in enumerate(walked.steps):
        for port, seen in enumerate(outputs_seen(step.made, [value and placed(value, found) for value in step.inputs])):
            if seen is not None:
                found[at, port] = tuple(map(steady, merged(seen, step)))
    return found


def placed(value: Value, found: Mapping[Key, Seen]) -> Value:
    """The value with its places instead of what it sees."""
    return value if value.is_constant else value._replace(seen=found.get(key_of(value)) or None)


def steady(axis: AxisSeen) -> AxisSeen:
    """The axis with places that see nothing but themselves; without any, where it is not known where they are."""
    return axis._replace(field=Field()) if axis.factors or axis.field else axis


def merged(seen: Seen, step: GraphStep) -> Seen:
    """Axes that lie in one dimension together, where something was put before or behind them."""
    flow = step.made.flow
    if flow is None or flow.what != "joined" or not all(len(axis.factors) == 1 for axis in seen):
        return seen
    return seen[:1] if {axis.factors for axis in seen} == {seen[0].factors} else seen


def logical(dims: Dims | None, seen: Seen | None, batch: int) -> Shape | None:
    """Sizes with the channels first, wherever a Transpose or Reshape put them; None where they are not known."""
    if dims is None or None in dims:
        return None
    sizes = tuple(n for n in dims if n is not None)
    lengths = tuple(axis.length for axis in seen or ())
    is_plain = not seen or any(axis.field is None for axis in seen)
    if is_plain or (len(sizes) < 3 and prod(lengths) == 1):
        plain = shape_of(sizes)
        return Shape(plain.channels, plain.spatial)
    return Shape(prod(sizes) // (batch * prod(lengths)), lengths)


def axis_along(seen: Seen, dim: int, size: int) -> int | None:
    """The axis whose places are the indices of a dimension, one by one."""
    found = (i for i, axis in enumerate(seen) if axis.factors == (Factor(dim, 1, size, 1),))
    return next(found, None)


def within(axis: AxisSeen, dims: Sequence[int]) -> int:
    """How many places of an axis lie in some dimensions."""
    return prod(factor.size for factor in axis.factors if factor.dim in dims)
