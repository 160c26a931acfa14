"""Trying a network on one axis at a time: what solving for an unknown and listing lossless inputs have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry, effective_kernel
from convcli.networks.network import Branches, Layer, Network, Repeat, Shape, Unit
from convcli.networks.rules import Rules
from convcli.networks.trace import Step, steps_of

STEPS = 50_000
"""Layers that trying every number may walk; some 30 us each."""

LEAST_TRIES = 300

PER_AXIS = ("kernel", "factor", "stride", "pad", "dilation", "output_padding", "wanted")


def mapped(network: Network, change: Callable[[Layer], Layer]) -> Network:
    """The network with every layer changed."""
    return Network(tuple(mapped_unit(unit, change) for unit in network.units))


def mapped_unit(unit: Unit, change: Callable[[Layer], Layer]) -> Unit:
    """One unit with every layer changed."""
    if isinstance(unit, Layer):
        return change(unit)
    if isinstance(unit, Repeat):
        return Repeat(unit.times, mapped(unit.body, change))
    return Branches(unit.join, tuple(mapped(branch, change) for branch in unit.branches), unit.place)


def along(network: Network, axis: int) -> Network:
    """The network whose every axis is like the given one: axes never mix, so one can be tried for all."""
    return mapped(network, lambda layer: layer_along(layer, axis))


def layer_along(layer: Layer, axis: int) -> Layer:
    """The layer whose every axis is like the given one; the flattened size is no check any more.

    >>> layer_along(Layer("conv", (3, 5), 8), 1).kernel
    (5,)
    """
    if layer.kind == "input":
        return layer._replace(wanted=layer.wanted[axis : axis + 1] * len(layer.wanted))
    chosen: dict[str, Any] = {"inputs": None}
    for what in PER_AXIS:
        values = getattr(layer, what)
        if isinstance(values, tuple) and len(values) > 1:
            chosen[what] = values[axis : axis + 1]
    return layer._replace(**chosen)


def cube(shape: Shape, size: int) -> Shape:
    """The shape with every axis of one size."""
    return Shape(shape.channels, (size,) * len(shape.spatial))


def outcome(network: Network, shape: Shape, rules: Rules) -> int | UsageError:
    """The size of the first axis at the end, or why a layer does not fit. A network that ends in a vector has none."""
    last: Step | None = None
    try:
        for step in steps_of(network, shape, rules):
            last = step
    except UsageError as error:
        return error
    output = last.output if last else shape
    if not output.spatial:
        raise UsageError("the network ends in a vector, which has no size to want", "shape")
    return output.spatial[0]


def largest_useful(network: Network, size: int) -> int:
    """A bound for every number that can matter where the output shall have `size`: s size + the receptive field.

    In a deep network it is lower, so that trying every number takes a second or two, not minutes.

    >>> largest_useful(Network((Layer("conv", (3,), 1, (2,)),)), 10)
    28
    """
    stride, reach = stride_and_reach(network)
    return min(stride * (size + 1) + reach, max(LEAST_TRIES, STEPS // network.size()))


def stride_and_reach(network: Network) -> tuple[int, int]:
    """The product of strides along the coarsest path, and a bound for its receptive field and padding."""
    stride, reach = 1, 0
    for unit in network.units:
        for _ in range(unit.times if isinstance(unit, Repeat) else 1):
            more, further = unit_stride_and_reach(unit)
            reach += further * stride
            stride *= more
    return stride, reach


def unit_stride_and_reach(unit: Unit) -> tuple[int, int]:
    """The same for one unit."""
    if isinstance(unit, Repeat):
        return stride_and_reach(unit.body)
    if isinstance(unit, Branches):
        paths = [stride_and_reach(branch) for branch in unit.branches]
        return max(stride for stride, _ in paths), max(reach for _, reach in paths)
    return layer_stride_and_reach(unit)


def layer_stride_and_reach(layer: Layer) -> tuple[int, int]:
    """The same for one layer; what enlarges counts as stride 1."""
    kernel = max(layer.kernel or (1,))
    shrinks = layer.kind in ("conv", "dw", "pw", "sep", "max", "avg", "unshuffle")
    default = kernel if layer.kind in ("max", "avg", "unshuffle") else 1
    pads = sum(map(sum, layer.pad)) if isinstance(layer.pad, tuple) else 0
    reach = 2 * effective_kernel(kernel, max(layer.dilation or (1,))) + pads
    return (max(layer.stride or (default,)) if shrinks else 1), reach


def drops_nothing(step: Step) -> bool:
    """True where a step reads every column."""
    return not any(axis.dropped for axis in step.applied.axes if isinstance(axis, Geometry))
