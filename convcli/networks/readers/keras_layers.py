"""Keras layers as people type them, `Conv2D(64, 7, strides=2, padding="same")`: one entry each in `LAYERS`.

Names, order and defaults of arguments: keras.layers of Keras 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcli.networks.network import Layer, Padding, wrong
from convcli.networks.readers.calls import Arguments, Signature, shorter
from convcli.records import replace

ACTIVATIONS = {
    "relu": "relu",
    "relu6": "relu",
    "leaky_relu": "lrelu",
    "elu": "elu",
    "selu": "elu",
    "gelu": "gelu",
    "swish": "silu",
    "silu": "silu",
    "hard_sigmoid": "hsigmoid",
    "hard_swish": "hswish",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "softmax": "softmax",
}


CAUSAL = ("Conv1D", "Convolution1D")
"""Layers that know padding='causal'."""


def convolution(given: Arguments, axes: int) -> list[Layer]:
    """Conv1D, Conv2D, Conv3D."""
    groups = given.number("groups", 1)
    layer = Layer(
        "conv", channels=given.number("filters"), groups=None if groups == 1 else groups, **window(given, axes)
    )
    return [layer, *activated(given)]


def depthwise(given: Arguments, axes: int) -> list[Layer]:
    """DepthwiseConv1D, DepthwiseConv2D."""
    return [Layer("dw", multiplier=multiplier(given), **window(given, axes)), *activated(given)]


def separable(given: Arguments, axes: int) -> list[Layer]:
    """SeparableConv1D, SeparableConv2D."""
    channels = given.number("filters")
    return [Layer("sep", channels=channels, multiplier=multiplier(given), **window(given, axes)), *activated(given)]


def transposed(given: Arguments, axes: int) -> list[Layer]:
    """Conv2DTranspose and its kin: s n outputs with 'same', s (n - 1) + max(K, s) with 'valid'.

    With an output padding op: s (n - 1) + K - 2 (K // 2) + op, or without the padding for 'valid'.
    """
    fields = window(given, axes)
    kernel, dilation = fields["kernel"], given.numbers("dilation_rate", axes, 1)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if given.given.get("output_padding") is not None:
        extra = given.numbers("output_padding", axes)
        halves = shorter(tuple(extent // 2 for extent in extents))
        fields["pad"] = tuple((half, half) for half in halves) if fields["pad"] == "s" else fields["pad"]
    else:
        steps = given.numbers("strides", axes, 1)
        missing = tuple(max(0, s - k) for k, s in zip(extents, steps, strict=True))
        extra = (0,) * axes if fields["pad"] == "s" else missing
    layer = Layer("tconv", channels=given.number("filters"), output_padding=shorter(extra, default=0), **fields)
    return [layer, *activated(given)]


def window(given: Arguments, axes: int) -> dict[str, Any]:
    """What all convolutions are given. The kernel keeps a number per axis, to check the input's axes."""
    return {
        "kernel": given.numbers("kernel_size", axes),
        "stride": shorter(given.numbers("strides", axes, 1), default=1),
        "pad": padding(given),
        "dilation": shorter(given.numbers("dilation_rate", axes, 1), default=1),
        "bias": given.flag("use_bias"),
    }


def multiplier(given: Arguments) -> int | None:
    """The depth multiplier, None for 1."""
    times = given.number("depth_multiplier", 1)
    return None if times == 1 else times


def padding(given: Arguments) -> Padding:
    """'same' is SAME_UPPER; 'valid', the default, is none; 'causal', of Conv1D, is all in front."""
    word = given.word("padding", "valid").lower()
    if word == "causal" and given.name in CAUSAL:
        return "c"
    if word not in ("same", "valid"):
        raise wrong(given.place, f"{given.name}: padding {word!r} is neither 'same' nor 'valid'")
    return "s" if word == "same" else ((0, 0),)


def activated(given: Arguments) -> list[Layer]:
    """The activation that a layer brings along."""
    word = given.word("activation", "linear")
    if word == "linear":
        return []
    if word not in ACTIVATIONS:
        raise wrong(given.place, f"{given.name}: activation {word!r} is not known; known are {', '.join(ACTIVATIONS)}")
    return [Layer(ACTIVATIONS[word])]


def max_pooling(given: Arguments, axes: int) -> list[Layer]:
    """MaxPooling1D, MaxPooling2D, MaxPooling3D."""
    return [pooling("max", given, axes)]


def average_pooling(given: Arguments, axes: int) -> list[Layer]:
    """AveragePooling1D, AveragePooling2D, AveragePooling3D."""
    return [pooling("avg", given, axes)]


def pooling(kind: str, given: Arguments, axes: int) -> Layer:
    """A pooling: a kernel of 2 unless told otherwise, and it moves by its kernel."""
    kernel = given.numbers("pool_size", axes, 2)
    return Layer(kind, kernel=kernel, stride=shorter(given.numbers("strides", axes, kernel)), pad=padding(given))


def global_average(_given: Arguments, _axes: int) -> list[Layer]:
    """GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D."""
    return [Layer("gap")]


def global_max(_given: Arguments, axes: int) -> list[Layer]:
    """GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D."""
    return [Layer("max", wanted=(1,) * axes)]


def dense(given: Arguments, _axes: int) -> list[Layer]:
    """Dense."""
    return [Layer("fc", channels=given.number("units"), bias=given.flag("use_bias")), *activated(given)]


def batch_norm(given: Arguments, _axes: int) -> list[Layer]:
    """BatchNormalization: a shift unless center=False, a scale unless scale=False."""
    shift, scale = given.flag("center") is not False, given.flag("scale") is not False
    return [Layer("bn", bias=None if shift else False, bn=None if scale else False)]


def activation(given: Arguments, _axes: int) -> list[Layer]:
    """Activation('relu')."""
    return activated(given) or [Layer("id")]


def flatten(_given: Arguments, _axes: int) -> list[Layer]:
    """Flatten."""
    return [Layer("flatten")]


def upsampling(given: Arguments, axes: int) -> list[Layer]:
    """UpSampling1D, UpSampling2D, UpSampling3D."""
    word = given.word("interpolation", "nearest")
    if word not in ("nearest", "bilinear"):
        raise wrong(given.place, f"{given.name}: interpolation {word!r} is neither 'nearest' nor 'bilinear'")
    return [Layer("up" if word == "nearest" else "bilinear", kernel=given.numbers("size", axes, 2))]


def explicit_padding(given: Arguments, axes: int) -> list[Layer]:
    """ZeroPadding1D, ZeroPadding2D, ZeroPadding3D."""
    return [Layer("pad", pad=pairs(given, "padding", axes))]


def cropping(given: Arguments, axes: int) -> list[Layer]:
    """Cropping1D, Cropping2D, Cropping3D."""
    return [Layer("crop", pad=pairs(given, "cropping", axes))]


def pairs(given: Arguments, what: str, axes: int) -> Padding:
    """A number, a number for each axis, or (begin, end) for each axis; for one axis, (begin, end)."""
    value = given.given.get(what, 1)
    each = value if isinstance(value, tuple) and axes > 1 else (value,) * axes
    flat = tuple(part for pair in each for part in (pair if isinstance(pair, tuple) else (pair, pair)))
    numbers = replace(given, given={what: flat}).numbers(what, 2 * axes)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


# --- the table

CONVOLUTION = "filters kernel_size strides padding data_format dilation_rate groups activation use_bias"
DEPTHWISE = "kernel_size strides padding depth_multiplier data_format dilation_rate activation use_bias"
SEPARABLE = "filters kernel_size strides padding data_format dilation_rate depth_multiplier activation use_bias"
TRANSPOSED = "filters kernel_size strides padding output_padding data_format dilation_rate activation use_bias"
POOLING = "pool_size strides padding data_format"
IGNORED = (
    "name dtype data_format input_shape input_dim trainable center scale epsilon axis momentum keepdims interpolation "
    "kernel_initializer bias_initializer depthwise_initializer pointwise_initializer seed rate negative_slope alpha "
    "kernel_regularizer bias_regularizer activity_regularizer depthwise_regularizer pointwise_regularizer "
    "kernel_constraint bias_constraint depthwise_constraint pointwise_constraint max_value threshold"
)


def entry(names: str, layers: Callable[[Arguments, int], list[Layer]], axes: int = 0) -> Signature:
    """An entry of `LAYERS`."""
    return Signature(tuple(names.split()), layers, axes, frozenset(IGNORED.split()))


def dimensioned(name: str, names: str, layers: Callable[[Arguments, int], list[Layer]]) -> dict[str, Signature]:
    """The entries of a layer that exists for one, two and three axes; a `#` in its name stands for them."""
    return {name.replace("#", f"{axes}D"): entry(names, layers, axes) for axes in (1, 2, 3)}


LAYERS: dict[str, Signature] = {
    **dimensioned("Conv#", CONVOLUTION, convolution),
    **dimensioned("Convolution#", CONVOLUTION, convolution),
    **dimensioned("Conv#Transpose", TRANSPOSED, transposed),
    **dimensioned("DepthwiseConv#", DEPTHWISE, depthwise),
    **dimensioned("SeparableConv#", SEPARABLE, separable),
    **dimensioned("MaxPooling#", POOLING, max_pooling),
    **dimensioned("MaxPool#", POOLING, max_pooling),
    **dimensioned("AveragePooling#", POOLING, average_pooling),
    **dimensioned("AvgPool#", POOLING, average_pooling),
    **dimensioned("GlobalAveragePooling#", "data_format keepdims", global_average),
    **dimensioned("GlobalAvgPool#", "data_format keepdims", global_average),
    **dimensioned("GlobalMaxPooling#", "data_format keepdims", global_max),
    **dimensioned("GlobalMaxPool#", "data_format keepdims", global_max),
    **dimensioned("UpSampling#", "size data_format interpolation", upsampling),
    **dimensioned("ZeroPadding#", "padding data_format", explicit_padding),
    **dimensioned("Cropping#", "cropping data_format", cropping),
    "Dense": entry("units activation use_bias", dense),
    "BatchNormalization": entry("axis momentum epsilon center scale", batch_norm),
    "Activation": entry("activation", activation),
}
