"""The kinds of layers: what each may be told, and what it makes of a shape. A new kind is one entry of `KINDS`."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd, prod
from operator import mul
from typing import Literal, NamedTuple

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import (
    AdaptivelyPooled,
    Axis,
    LinearlyResized,
    LinearlyScaled,
    Resized,
    Scaled,
    Spread,
    whole,
)
from convcli.networks.axes import convolution_axes, pooling_axes, spread, transposed_axes
from convcli.networks.banks import Bank
from convcli.networks.network import Layer, Pads, Shape, wrong
from convcli.networks.rules import Rules

Counted = Literal["bias", "bn", "act", "pool", "add"]
Work = tuple[Counted, int]
Family = Literal["conv", "fc", "attn", "pool", "bn", "act", "alias", "join", "shape"]


class Applied(NamedTuple):
    """A layer at work on a shape, for one image.

    `axes` are empty where the layer touches no spatial axis. `pads` are as declared; the `end` of an axis may be longer
    by what a ceil pooling hangs over. `extra` are parameters beside weights: biases, scales and shifts.
    `work` counts the operations that are no multiply-adds: (what, how many); `products` the multiply-adds of two
    activations. `is_again` says that the weights are those of a layer before, whose parameters count there.
    """

    output: Shape
    axes: tuple[Axis, ...] = ()
    banks: tuple[Bank, ...] = ()
    pads: Pads = ()
    extra: int = 0
    work: tuple[Work, ...] = ()
    products: int = 0
    is_again: bool = False


Build = Callable[[Layer, Shape, Rules], Applied]


class Kind(NamedTuple):
    """A kind of layer: how it is applied, what it may be told, and what it must be told ("a|b": one of them)."""

    build: Build
    family: Family
    example: str
    takes: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()


def apply(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """A layer at work on `shape`; an error names the layer and what would work.

    >>> apply(Layer("conv", (7,), 64, (2,), ((3, 3),)), Shape(3, (224, 224)), Rules()).output
    Shape(channels=64, spatial=(112, 112))
    """
    kind = KINDS[layer.kind]
    if layer.unknown:
        raise wrong(layer.place, f"the {layer.unknown.replace('_', ' ')} is '?'; convcli shapes --want SIZE finds it")
    check_inputs(layer, shape, kind.family)
    if not shape.spatial and kind.family in ("conv", "attn", "pool", "shape"):
        raise wrong(layer.place, f"{layer.kind} needs an image, but a vector of {shape} arrives", "shape")
    return kind.build(layer, shape, rules)


def check_inputs(layer: Layer, shape: Shape, family: Family) -> None:
    """Refuse other channels than the layer says it expects."""
    arriving = shape.elements if family == "fc" else shape.channels
    if layer.inputs in (None, arriving):
        return
    hint = "check the layer before, or whether this one is on a branch"
    if family == "fc" and layer.inputs == shape.channels:
        hint = "a global pooling is not printed, or not written: gap before it, or pw for each position alone"
    elif family == "fc" and layer.inputs and layer.inputs % shape.channels == 0:
        places = layer.inputs // shape.channels
        hint = f"a pooling to {places} positions is not printed, or the input has another size"
    raise wrong(layer.place, f"expects {layer.inputs} input channels, but {arriving} arrive ({shape}); {hint}", "shape")


# --- layers with weights


def convolution(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """conv: Cout filters over Cin / g channels each."""
    axes = convolution_axes(layer, shape, rules)
    return weighted(layer, rules, (Bank(shape.channels, outputs(layer), grouped(layer, shape), axes),))


def transposed(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """tconv: the transpose of a convolution."""
    axes = transposed_axes(layer, shape, rules)
    return weighted(layer, rules, (Bank(shape.channels, outputs(layer), grouped(layer, shape), axes),))


def depthwise(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """dw: m filters on each channel alone."""
    axes, c = convolution_axes(layer, shape, rules), shape.channels
    return weighted(layer, rules, (Bank(c, c * multiplier(layer, shape), c, axes),))


def pointwise(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """pw: a 1x1 convolution."""
    return convolution(layer._replace(kernel=(1,)), shape, rules)


def separable(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """sep: a depthwise bank, then a pointwise one; one bias and one normalisation, after the pair."""
    axes, c = convolution_axes(layer, shape, rules), shape.channels
    between = c * (layer.multiplier or 1)
    second = tuple(Geometry(axis.output, 1) for axis in axes)
    return weighted(layer, rules, (Bank(c, between, c, axes), Bank(between, outputs(layer), 1, second)))


def fully_connected(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """fc: every output from every input; an image is flattened."""
    applied = weighted(layer, Rules(), (Bank(shape.elements, outputs(layer)),))
    return applied._replace(axes=tuple(map(whole, shape.spatial)))


def attention(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """attn: every position with every other, in so many heads: queries, keys and values, two products, a projection."""
    channels, heads, places = shape.channels, head_count(layer, shape), prod(shape.spatial)
    ones = tuple(Geometry(n, 1) for n in shape.spatial)
    banks = (Bank(channels, 3 * channels, axes=ones), Bank(channels, layer.channels or channels, axes=ones))
    made = weighted(layer._replace(bn=False), rules, banks)
    between = 3 * channels if layer.bias is not False and rules.bias else 0
    softmax: Work = ("act", heads * places**2)
    axes = tuple(Spread(n, n) for n in shape.spatial)
    return made._replace(
        axes=axes, pads=(), extra=made.extra + between, work=(*made.work, softmax), products=2 * places**2 * channels
    )


def head_count(layer: Layer, shape: Shape) -> int:
    """The heads of an attention, which must divide the channels."""
    heads = layer.kernel[0] if layer.kernel else 1
    if len(layer.kernel) > 1 or shape.channels % heads:
        raise wrong(layer.place, f"{numbered(layer)} heads do not divide {shape.channels} channels", "shape")
    return heads


def numbered(layer: Layer) -> str:
    """
    >>> numbered(Layer("attn", (8, 8)))
    '8x8'
    """
    return "x".join(map(str, layer.kernel))


def weighted(layer: Layer, rules: Rules, banks: tuple[Bank, ...]) -> Applied:
    """A layer of filter banks with its bias and its normalisation (a scale and a shift per channel)."""
    axes = banks[0].axes
    output = Shape(banks[-1].outputs, tuple(axis.output for axis in axes))
    bias = rules.bias if layer.bias is None else layer.bias
    bn = rules.bn if layer.bn is None else layer.bn
    work: tuple[Work, ...] = ((("bias", output.elements),) if bias else ()) + (
        (("bn", 2 * output.elements),) if bn else ()
    )
    pads = tuple((axis.begin, axis.end) for axis in axes)
    return Applied(output, axes, banks, pads, output.channels * (bias + 2 * bn), work)


def outputs(layer: Layer) -> int:
    """The output channels, which the kind's `needs` guarantee."""
    assert layer.channels is not None
    return layer.channels


def grouped(layer: Layer, shape: Shape) -> int:
    """The groups, which must divide the channels on both sides."""
    groups = layer.groups or 1
    if shape.channels % groups or outputs(layer) % groups:
        meeting = f"{shape.channels} input and {layer.channels} output channels"
        raise wrong(layer.place, f"{groups} groups do not divide {meeting}; use a divisor of both", "shape")
    return groups


def multiplier(layer: Layer, shape: Shape) -> int:
    """Filters per channel of a depthwise layer: `m`, or what its channels say."""
    if layer.channels is None:
        return layer.multiplier or 1
    times = layer.multiplier or max(1, layer.channels // shape.channels)
    if layer.channels != times * shape.channels:
        made = times * shape.channels if layer.multiplier else f"a multiple of {shape.channels}"
        raise wrong(layer.place, f"makes {made} channels of {shape.channels}, never {layer.channels}", "shape")
    return times


# --- layers without weights


def pooling(layer: Layer, shape: Shape, rules: Rules) -> Applied:
    """max and avg: a window that moves by its own size, or adaptive to the wanted size."""
    if layer.wanted:
        axes = tuple(map(AdaptivelyPooled, shape.spatial, spread(layer, layer.wanted, shape)))
        return pooled(layer, shape, axes, ())
    return pooled(layer, shape, *pooling_axes(layer, shape, rules))


def global_pooling(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """gap: one number per channel."""
    return pooled(layer, shape, tuple(map(whole, shape.spatial)), ())


def pooled(layer: Layer, shape: Shape, axes: tuple[Axis, ...], pads: Pads) -> Applied:
    """A pooling over axes: k - 1 comparisons per output, or k - 1 additions and a division."""
    output = Shape(shape.channels, tuple(axis.output for axis in axes))
    operations = shape.channels * prod(map(window_sum, axes)) - (output.elements if layer.kind == "max" else 0)
    return Applied(output, axes, (), pads, work=(("pool", operations),))


def window_sum(axis: Axis) -> int:
    """The lengths of all windows of a pooling axis, added up.

    >>> window_sum(Geometry(8, 3, 2)), window_sum(AdaptivelyPooled(5, 3))
    (9, 7)
    """
    if isinstance(axis, Geometry):
        return axis.output * axis.kernel
    return axis.size + axis.output - gcd(axis.size, axis.output)  # a border inside a pixel counts it twice


def normalisation(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """bn and its kin: a scale (unless `-bn`) and a shift (unless `-b`) per channel; `in` has them where it says so."""
    by_default = layer.kind != "in"
    scale, shift = (by_default if said is None else said for said in (layer.bn, layer.bias))
    parameters = shape.channels * (scale + shift)
    return Applied(shape, extra=parameters, work=(("bn", 2 * shape.elements),))


def activation(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """relu and its kin: one operation per element; prelu has parameters (one, or as many as it says)."""
    slopes = (layer.channels or 1) if layer.kind == "prelu" else 0
    if slopes not in (0, 1, shape.channels):
        raise wrong(
            layer.place, f"{slopes} slopes for {shape.channels} channels; prelu-1 or prelu-{shape.channels}", "shape"
        )
    return Applied(shape, extra=slopes, work=(("act", shape.elements),))


def unchanged(_layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """id, as:NAME, and the joins, whose arithmetic needs what was remembered."""
    return Applied(shape)


def flattened(_layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """flatten: an image as a vector."""
    return Applied(Shape(shape.elements), tuple(map(whole, shape.spatial)))


def in_a_row(_layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """tokens: the places of all axes as one axis."""
    return Applied(Shape(shape.channels, (prod(shape.spatial),)))


def upsampling(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """up and bilinear: by a factor, or to the wanted size."""
    if layer.factor:
        return scaled(layer, shape)
    return resized(
        shape, shape.channels, target(layer, shape), LinearlyResized if layer.kind == "bilinear" else Resized
    )


def scaled(layer: Layer, shape: Shape) -> Applied:
    """An image on a grid that is finer by no whole number."""
    rule = LinearlyScaled if layer.kind == "bilinear" else Scaled
    axes = tuple(map(rule, shape.spatial, spread(layer, layer.factor, shape)))
    output = Shape(shape.channels, tuple(axis.output for axis in axes))
    if not all(output.spatial):
        raise wrong(layer.place, f"leaves nothing of {shape}; use a larger factor", "shape")
    return Applied(output, axes)


def pixel_shuffle(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """shuffle: r^d channels become r times the size on each axis."""
    block = prod(spread(layer, layer.kernel, shape))
    if shape.channels % block:
        raise wrong(layer.place, f"{shape.channels} channels do not split into blocks of {block}", "shape")
    return resized(shape, shape.channels // block, target(layer, shape), Resized)


def pixel_unshuffle(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """unshuffle: blocks of r pixels along each axis become r^d times the channels."""
    blocks = spread(layer, layer.kernel, shape)
    axes = tuple(Geometry(n, r, r) for n, r in zip(shape.spatial, blocks, strict=True))
    if any(n % r for n, r in zip(shape.spatial, blocks, strict=True)):
        raise wrong(layer.place, f"{shape} does not split into blocks of {numbered(layer)}; pad or crop it", "shape")
    output = Shape(shape.channels * prod(blocks), tuple(axis.output for axis in axes))
    return Applied(output, axes, pads=((0, 0),) * len(axes))


def channel_shuffle(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """cshuffle: the channels of g groups in turns."""
    if len(layer.kernel) > 1 or shape.channels % layer.kernel[0]:
        raise wrong(
            layer.place, f"{numbered(layer)} groups do not divide {shape.channels} channels; use a divisor", "shape"
        )
    return Applied(shape)


def sliced(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """slice: the channels from a first one up to, and without, a last one."""
    assert layer.span is not None
    first, last = layer.span
    if not first < last <= shape.channels:
        raise wrong(
            layer.place, f"keeps channels {first} to {last} of {shape.channels}; write slice0:{shape.channels}", "shape"
        )
    return Applied(Shape(last - first, shape.spatial))


def another_input(layer: Layer, _shape: Shape, _rules: Rules) -> Applied:
    """An input beside the first one."""
    return Applied(Shape(outputs(layer), layer.wanted))


def target(layer: Layer, shape: Shape) -> tuple[int, ...]:
    """The size that a factor, or the layer itself, asks for."""
    if layer.wanted:
        return spread(layer, layer.wanted, shape)
    return tuple(map(mul, shape.spatial, spread(layer, layer.kernel, shape)))


def resized(shape: Shape, channels: int, sizes: tuple[int, ...], rule: type[Resized]) -> Applied:
    """An image on a finer or coarser grid."""
    return Applied(Shape(channels, sizes), tuple(map(rule, shape.spatial, sizes)))


def explicit_padding(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """pad: columns before and after."""
    return moved_ends(layer, shape, spread(layer, layer.pad_numbers, shape))


def cropping(layer: Layer, shape: Shape, _rules: Rules) -> Applied:
    """crop: columns off before and after, or down to the wanted size about the centre."""
    if layer.wanted:
        cuts = tuple(map(central_cut, shape.spatial, spread(layer, layer.wanted, shape)))
    else:
        cuts = spread(layer, layer.pad_numbers, shape)
    return moved_ends(layer, shape, tuple((-begin, -end) for begin, end in cuts))


def central_cut(size: int, wanted: int) -> tuple[int, int]:
    """What to cut before and after, the odd column after.

    >>> central_cut(64, 56), central_cut(5, 2)
    ((4, 4), (1, 2))
    """
    return (size - wanted) // 2, size - wanted - (size - wanted) // 2


def moved_ends(layer: Layer, shape: Shape, pads: Pads) -> Applied:
    """Axes that grow (or, negative, shrink) at their ends."""
    axes = tuple(Geometry(n, 1, begin=begin, end=end) for n, (begin, end) in zip(shape.spatial, pads, strict=True))
    output = Shape(shape.channels, tuple(axis.output for axis in axes))
    if not all(output.spatial):
        raise wrong(layer.place, f"leaves nothing of {shape}; crop less", "shape")
    if layer.kind == "crop" and max(map(max, pads)) > 0:
        raise wrong(layer.place, f"{shape} is smaller than what to crop it to; pad it, or crop less", "shape")
    return Applied(output, axes, pads=pads)


# --- the table


def kind(build: Build, family: Family, example: str, takes: str = "", needs: str = "") -> Kind:
    """An entry of `KINDS`, its fields as words."""
    return Kind(build, family, example, frozenset(takes.split()), tuple(needs.split()))


ACTIVATIONS = ("relu", "lrelu", "elu", "gelu", "silu", "hswish", "hsigmoid", "tanh", "sigmoid", "softmax")
WEIGHTED = "kernel channels stride pad dilation bias bn"

KINDS: dict[str, Kind] = {
    "conv": kind(convolution, "conv", "conv3-64/2p1", f"{WEIGHTED} groups", "kernel channels"),
    "tconv": kind(transposed, "conv", "tconv4-64/2p1", f"{WEIGHTED} groups output_padding wanted", "kernel channels"),
    "dw": kind(depthwise, "conv", "dw3ps", f"{WEIGHTED} multiplier", "kernel"),
    "pw": kind(pointwise, "conv", "pw-64", "channels stride pad groups bias bn", "channels"),
    "sep": kind(separable, "conv", "sep3-64ps", f"{WEIGHTED} multiplier", "kernel channels"),
    "max": kind(pooling, "pool", "max3/2p1", "kernel stride pad dilation ceil wanted", "kernel|wanted"),
    "avg": kind(pooling, "pool", "avg2", "kernel stride pad dilation ceil wanted", "kernel|wanted"),
    "gap": kind(global_pooling, "pool", "gap"),
    "fc": kind(fully_connected, "fc", "fc-1000", "channels bias bn", "channels"),
    "flatten": kind(flattened, "alias", "flatten"),
    "attn": kind(attention, "attn", "attn8", "kernel channels bias"),
    "attend": kind(unchanged, "attn", "attend2:1:1", "kernel window reference values", "reference values"),
    "tokens": kind(in_a_row, "alias", "tokens"),
    "up": kind(upsampling, "shape", "up2", "kernel factor wanted", "kernel|factor|wanted"),
    "bilinear": kind(upsampling, "shape", "bilinear2", "kernel factor wanted", "kernel|factor|wanted"),
    "shuffle": kind(pixel_shuffle, "shape", "shuffle2", "kernel", "kernel"),
    "unshuffle": kind(pixel_unshuffle, "shape", "unshuffle2", "kernel", "kernel"),
    "cshuffle": kind(channel_shuffle, "shape", "cshuffle2", "kernel", "kernel"),
    "slice": kind(sliced, "alias", "slice0:32", "span", "span"),
    "pad": kind(explicit_padding, "shape", "pad1", "pad", "pad"),
    "crop": kind(cropping, "shape", "crop2", "pad wanted", "pad|wanted"),
    **{name: kind(normalisation, "bn", name, "bias bn") for name in ("bn", "gn", "in", "ln")},
    **{name: kind(activation, "act", name) for name in ACTIVATIONS},
    "prelu": kind(activation, "act", "prelu-64", "channels"),
    "id": kind(unchanged, "alias", "id"),
    "input": kind(another_input, "alias", "1@64x64", "channels wanted", "channels wanted"),
    "as": kind(unchanged, "alias", "as:1", "reference", "reference"),
    "from": kind(unchanged, "alias", "from:1", "reference", "reference"),
    "again": kind(unchanged, "alias", "again:1", "reference", "reference"),
    "cat": kind(unchanged, "join", "cat:1", "reference", "reference"),
    "add": kind(unchanged, "join", "add:1", "reference", "reference"),
    "mul": kind(unchanged, "join", "mul:1", "reference", "reference"),
}
