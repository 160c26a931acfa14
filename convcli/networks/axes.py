"""The axes of one layer on one shape: a number for each axis, padding rules, and what each framework allows."""

from __future__ import annotations

from typing import TypeVar

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed, keras_valid_extra, rounded_up, rule_padding, undo_same
from convcli.networks.network import Layer, Padding, Pads, Shape, wrong
from convcli.networks.rules import NO_PADDING, Framework, Rules

AxisPadding = tuple[int, int] | str

Value = TypeVar("Value")


def convolution_axes(layer: Layer, shape: Shape, rules: Rules) -> tuple[Geometry, ...]:
    """The axes of a convolution."""
    bare = each_axis(layer, shape)
    paddings = each_padding(layer, shape, rules.pad)
    axes = [padded(layer, axis, rule, rules) for axis, rule in zip(bare, paddings, strict=True)]
    return fitting(layer, axes)


def pooling_axes(layer: Layer, shape: Shape, rules: Rules) -> tuple[tuple[Geometry, ...], Pads]:
    """The axes of a pooling, which by default moves by its kernel; and the padding as declared, before rounding up."""
    bare = each_axis(layer._replace(stride=layer.stride or layer.kernel), shape)
    paddings = each_padding(layer, shape, NO_PADDING)
    for axis, rule in zip(bare, paddings, strict=True):
        check_pooling(layer, axis, rule, rules.framework)
    declared = [padded(layer, axis, rule, rules) for axis, rule in zip(bare, paddings, strict=True)]
    axes = fitting(layer, [rounded_up(axis) for axis in declared] if layer.ceil else declared)
    return axes, tuple((axis.begin, axis.end) for axis in declared)


def transposed_axes(layer: Layer, shape: Shape, rules: Rules) -> tuple[Transposed, ...]:
    """The axes of a transposed convolution: the wanted size, or the framework, chooses the output padding."""
    if layer.output_padding and (layer.wanted or layer.pad in ("s", "l")):
        raise wrong(layer.place, "the wanted size, or ps, decides the output padding; leave one of them out")
    if (rules.pad if layer.pad is None else layer.pad) == "c":
        raise wrong(layer.place, "a causal padding is for convolutions and poolings; write numbers, p0:1")
    extras = spread(layer, layer.output_padding or (0,), shape)
    wanted = spread(layer, layer.wanted or (0,), shape)
    paddings = each_padding(layer, shape, rules.pad)
    bare = (
        Transposed(axis.size, axis.kernel, axis.stride, axis.dilation, extra=extra)
        for axis, extra in zip(each_axis(layer, shape), extras, strict=True)
    )
    return tuple(transposed_axis(layer, *each, rules) for each in zip(bare, paddings, wanted, strict=True))


# --- one number for each axis


def each_axis(layer: Layer, shape: Shape) -> list[Geometry]:
    """Size, kernel, stride and dilation of each axis, without padding."""
    numbers = (layer.kernel, layer.stride or (1,), layer.dilation or (1,))
    return list(map(Geometry, shape.spatial, *(spread(layer, values, shape) for values in numbers)))


def spread(layer: Layer, values: tuple[Value, ...], shape: Shape) -> tuple[Value, ...]:
    """One value for every axis, or one for each."""
    axes = len(shape.spatial)
    if len(values) not in (1, axes):
        raise wrong(layer.place, f"has numbers for {len(values)} axes, but {shape} has {axes}", "shape")
    return values * axes if len(values) == 1 else values


def each_padding(layer: Layer, shape: Shape, default: Padding) -> tuple[AxisPadding, ...]:
    """The padding that a layer declares, or the default, for each axis."""
    declared = default if layer.pad is None else layer.pad
    return spread(layer, declared if isinstance(declared, tuple) else (declared,), shape)


# --- padding


def padded(layer: Layer, axis: Geometry, rule: AxisPadding, rules: Rules) -> Geometry:
    """The axis with its padding."""
    if rule in ("s", "l"):
        check_same(layer, rule, axis.stride, rules.framework)
    begin, end = rule if isinstance(rule, tuple) else rule_padding(rule, axis.size, axis)
    return axis._replace(begin=begin, end=end)


def fitting(layer: Layer, axes: list[Geometry]) -> tuple[Geometry, ...]:
    """The axes, refusing a kernel that is larger than the padded input."""
    for number, axis in enumerate(axes, 1):
        room = axis.size + axis.begin + axis.end
        if axis.extent > room:
            dilated = "" if axis.dilation == 1 else f" ({axis.kernel} taps, dilation {axis.dilation})"
            raise wrong(
                layer.place,
                f"kernel {axis.extent}{dilated} is larger than the padded input of axis {number}, "
                f"{axis.size} + {axis.begin} + {axis.end} = {room}; "
                f"use one of at most {room}, or pad by {axis.extent - room} more",
                "shape",
            )
    return tuple(axes)


def transposed_axis(layer: Layer, bare: Transposed, rule: AxisPadding, wanted: int, rules: Rules) -> Transposed:
    """One axis of a transposed convolution with its padding and its output padding."""
    if rule in ("s", "l"):
        return undone_same(layer, bare, rule, wanted, rules)
    begin, end = rule if isinstance(rule, tuple) else rule_padding(rule, bare.size, bare)
    axis = bare._replace(begin=begin, end=end)
    if wanted:
        axis = axis._replace(extra=solved_extra(layer, axis, wanted))
    elif rules.framework == "tf" and not layer.output_padding and begin == end == 0:
        axis = axis._replace(extra=keras_valid_extra(axis))
    return possible(layer, axis)


def undone_same(layer: Layer, bare: Transposed, rule: str, wanted: int, rules: Rules) -> Transposed:
    """The axis that undoes a SAME convolution: s n outputs, or the wanted size."""
    check_same(layer, rule, bare.stride, rules.framework)
    size = wanted or bare.size * bare.stride
    axis = undo_same(bare, size, rule_padding(rule, size, bare))
    if axis is None:
        first, last = bare.stride * (bare.size - 1) + 1, bare.stride * bare.size
        raise wrong(layer.place, f"makes {first} to {last} of {bare.size}, never {wanted}", "shape")
    return axis


def solved_extra(layer: Layer, axis: Transposed, wanted: int) -> int:
    """The output padding that makes the wanted size."""
    if wanted not in axis.possible:
        reach = f"{axis.possible[0]} to {axis.possible[-1]}" if len(axis.possible) > 1 else f"{axis.possible[0]}"
        raise wrong(
            layer.place, f"makes {reach} of {axis.size}, never {wanted}; change the padding or the stride", "shape"
        )
    return wanted - axis.possible[0]


def possible(layer: Layer, axis: Transposed) -> Transposed:
    """The axis, refusing an output padding that is too large and a padding that takes everything."""
    if axis.extra >= len(axis.possible):
        limit = len(axis.possible)
        raise wrong(
            layer.place, f"output padding {axis.extra} must be smaller than the stride or dilation, {limit}", "shape"
        )
    if axis.output < 1:
        columns = axis.possible[axis.extra] + axis.begin + axis.end
        raise wrong(
            layer.place, f"the padding {axis.begin} + {axis.end} takes all {columns} columns; pad less", "shape"
        )
    return axis


# --- what the frameworks allow


def check_same(layer: Layer, rule: str, stride: int, framework: Framework) -> None:
    """Refuse a SAME that the chosen framework does not have."""
    if rule == "l" and framework:
        raise wrong(layer.place, "SAME_LOWER is ONNX's alone; write ps or numbers, or drop --framework")
    if framework == "torch" and layer.kind == "tconv":
        raise wrong(layer.place, "PyTorch's transposed convolution knows no 'same'; write p1 or the wanted size, =16")
    if framework == "torch" and stride != 1:
        raise wrong(layer.place, f"PyTorch's 'same' needs stride 1, not {stride}; write ph or numbers")


def check_pooling(layer: Layer, axis: Geometry, rule: AxisPadding, framework: Framework) -> None:
    """Refuse a pooling that the chosen framework does not have."""
    if layer.ceil and framework == "tf":
        raise wrong(layer.place, "TensorFlow has no ceil pooling; ps rounds up there, or drop --framework tf")
    if framework == "torch" and isinstance(rule, str) and rule != "h":
        raise wrong(layer.place, "PyTorch's poolings take numbers for padding only; write p1 or ph")
    if framework == "torch" and isinstance(rule, tuple) and 2 * max(rule) > axis.extent:
        raise wrong(layer.place, f"PyTorch pads a pooling by at most half its kernel, {axis.extent // 2}", "shape")
