"""PyTorch modules, as `print(model)` writes them and as people type them: one entry each in `MODULES`.

Names, order and defaults of arguments: torch.nn of PyTorch 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcli.networks.network import Layer, Padding, wrong
from convcli.networks.readers.calls import Arguments, Signature, shorter


def convolution(given: Arguments, axes: int) -> list[Layer]:
    """Conv1d, Conv2d, Conv3d."""
    layer = Layer("conv", pad=convolution_padding(given, axes), **shared(given, axes))
    if layer.pad == "s" and layer.stride:
        raise wrong(given.place, f"{given.name}: padding='same' needs stride 1; write numbers")
    return [layer]


def transposed(given: Arguments, axes: int) -> list[Layer]:
    """ConvTranspose1d, ConvTranspose2d, ConvTranspose3d."""
    extra = shorter(given.numbers("output_padding", axes, 0), default=0)
    return [Layer("tconv", pad=padding(given, axes), output_padding=extra, **shared(given, axes))]


def shared(given: Arguments, axes: int) -> dict[str, Any]:
    """What both kinds of convolutions are given. The kernel keeps a number per axis, to check the input's axes."""
    groups = given.number("groups", 1)
    return {
        "inputs": given.number("in_channels") or None,  # a lazy module says 0
        "channels": given.number("out_channels"),
        "kernel": given.numbers("kernel_size", axes),
        "stride": shorter(given.numbers("stride", axes, 1), default=1),
        "dilation": shorter(given.numbers("dilation", axes, 1), default=1),
        "groups": None if groups == 1 else groups,
        "bias": given.flag("bias"),
    }


def convolution_padding(given: Arguments, axes: int) -> Padding | None:
    """Numbers, 'same' or 'valid'."""
    word = given.given.get("padding")
    if isinstance(word, str) and word in ("same", "valid"):
        return "s" if word == "same" else ((0, 0),)
    return padding(given, axes)


def padding(given: Arguments, axes: int) -> Padding | None:
    """The same padding before and after each axis; None where nothing was said."""
    if given.given.get("padding") is None:
        return None
    return tuple((number, number) for number in shorter(given.numbers("padding", axes)))


def max_pooling(given: Arguments, axes: int) -> list[Layer]:
    """MaxPool1d, MaxPool2d, MaxPool3d."""
    return [pooling("max", given, axes)]


def average_pooling(given: Arguments, axes: int) -> list[Layer]:
    """AvgPool1d, AvgPool2d, AvgPool3d. Their printouts leave ceil_mode out."""
    return [pooling("avg", given, axes)]


def pooling(kind: str, given: Arguments, axes: int) -> Layer:
    """A pooling moves by its kernel unless told otherwise."""
    kernel = given.numbers("kernel_size", axes)
    return Layer(
        kind,
        kernel=kernel,
        stride=shorter(given.numbers("stride", axes, kernel)),
        pad=padding(given, axes),
        dilation=shorter(given.numbers("dilation", axes, 1), default=1),
        ceil=bool(given.flag("ceil_mode")),
    )


def selected_pooling(given: Arguments, _axes: int) -> list[Layer]:
    """SelectAdaptivePool2d of timm: to one number by averages, maxima or both."""
    kinds = {"avg": Layer("gap"), "fast": Layer("gap"), "avgmax": Layer("gap"), "max": Layer("max", wanted=(1,))}
    word = given.word("pool_type")
    kind = word if word in kinds else word.removeprefix("fast")
    if kind not in kinds:
        raise wrong(given.place, f"{given.name}: pool_type {word!r} is not known; known are {', '.join(kinds)}")
    flat = given.word("flatten", "Identity") == "Flatten"
    return [kinds[kind], *([Layer("flatten")] if flat else [])]


def same_convolution(given: Arguments, axes: int) -> list[Layer]:
    """Conv2dSame of timm: padded as TensorFlow does, whatever the stride."""
    return [Layer("conv", pad="s", **shared(given, axes))]


def frozen_norm(given: Arguments, _axes: int) -> list[Layer]:
    """FrozenBatchNorm2d of torchvision: scale and shift are no parameters."""
    return [normalisation("bn", given, "num_features", affine=False)]


def adaptive_average(given: Arguments, axes: int) -> list[Layer]:
    """AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d."""
    return [Layer("avg", wanted=given.numbers("output_size", axes))]


def adaptive_max(given: Arguments, axes: int) -> list[Layer]:
    """AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d."""
    return [Layer("max", wanted=given.numbers("output_size", axes))]


def linear(given: Arguments, _axes: int) -> list[Layer]:
    """Linear; its in_features check the flattened size."""
    inputs = given.number("in_features") or None
    return [Layer("fc", channels=given.number("out_features"), inputs=inputs, bias=given.flag("bias"))]


def batch_norm(given: Arguments, _axes: int) -> list[Layer]:
    """BatchNorm: a scale and a shift per channel unless affine=False."""
    return [normalisation("bn", given, "num_features", affine=given.flag("affine") is not False)]


def instance_norm(given: Arguments, _axes: int) -> list[Layer]:
    """InstanceNorm: neither scale nor shift unless affine=True."""
    affine = given.flag("affine") is True
    layer = normalisation("in", given, "num_features", affine=affine)
    return [layer._replace(bias=layer.bias is None, bn=layer.bn is None)]


def group_norm(given: Arguments, _axes: int) -> list[Layer]:
    """GroupNorm."""
    return [normalisation("gn", given, "num_channels", affine=given.flag("affine") is not False)]


def layer_norm(given: Arguments, _axes: int) -> list[Layer]:
    """LayerNorm over the channels."""
    return [normalisation("ln", given, "normalized_shape", affine=given.flag("elementwise_affine") is not False)]


def normalisation(kind: str, given: Arguments, channels: str, *, affine: bool) -> Layer:
    """A normalisation, its channels as a check-sum."""
    shift = affine and given.flag("bias") is not False
    count = given.numbers(channels, 1)[0] or None
    return Layer(kind, inputs=count, bias=None if shift else False, bn=None if affine else False)


def activation(kind: str) -> Callable[[Arguments, int], list[Layer]]:
    """An activation without parameters."""
    return lambda _given, _axes: [Layer(kind)]


def prelu(given: Arguments, _axes: int) -> list[Layer]:
    """PReLU: one slope, or one per channel."""
    return [Layer("prelu", channels=given.number("num_parameters", 1))]


def identity(_given: Arguments, _axes: int) -> list[Layer]:
    """What changes nothing at inference."""
    return [Layer("id")]


def flatten(given: Arguments, _axes: int) -> list[Layer]:
    """Flatten everything but the batch."""
    if given.number("start_dim", 1) != 1 or given.given.get("end_dim", -1) != -1:
        raise wrong(given.place, "Flatten is read only from dimension 1 to the last")
    return [Layer("flatten")]


def upsample(given: Arguments, _axes: int) -> list[Layer]:
    """Upsample by a factor, or to a size."""
    kinds = {
        "nearest": "up",
        "nearest-exact": "up",
        "linear": "bilinear",
        "bilinear": "bilinear",
        "trilinear": "bilinear",
    }
    default = "bilinear" if given.name == "UpsamplingBilinear2d" else "nearest"
    mode = given.word("mode", default)
    if mode not in kinds:
        raise wrong(given.place, f"{given.name}: mode {mode!r} is not known; known are {', '.join(kinds)}")
    what = "size" if given.given.get("size") is not None else "scale_factor"
    value = given.given.get(what)
    axes = len(value) if isinstance(value, tuple) else 1
    if what == "size":
        return [Layer(kinds[mode], wanted=shorter(given.numbers(what, axes)))]
    factors = given.factors(what, axes)
    if all(down == 1 for _, down in factors):
        return [Layer(kinds[mode], kernel=shorter(tuple(up for up, _ in factors)))]
    return [Layer(kinds[mode], factor=factors if len(set(factors)) > 1 else factors[:1])]


def pixel_shuffle(given: Arguments, _axes: int) -> list[Layer]:
    """PixelShuffle."""
    return [Layer("shuffle", kernel=(given.number("upscale_factor"),))]


def pixel_unshuffle(given: Arguments, _axes: int) -> list[Layer]:
    """PixelUnshuffle."""
    return [Layer("unshuffle", kernel=(given.number("downscale_factor"),))]


def channel_shuffle(given: Arguments, _axes: int) -> list[Layer]:
    """ChannelShuffle."""
    return [Layer("cshuffle", kernel=(given.number("groups"),))]


def explicit_padding(given: Arguments, axes: int) -> list[Layer]:
    """ZeroPad2d and its kin; PyTorch names the last axis first."""
    numbers = given.numbers("padding", 2 * axes)
    return [Layer("pad", pad=tuple((numbers[i], numbers[i + 1]) for i in range(2 * axes - 2, -1, -2)))]


# --- the table

CONVOLUTION = "in_channels out_channels kernel_size stride padding dilation groups bias padding_mode"
TRANSPOSED = "in_channels out_channels kernel_size stride padding output_padding groups bias dilation padding_mode"
MAX_POOLING = "kernel_size stride padding dilation return_indices ceil_mode"
AVERAGE_POOLING = "kernel_size stride padding ceil_mode count_include_pad divisor_override"
NORMALISATION = "num_features eps momentum affine track_running_stats bias"

ACTIVATIONS = {
    "relu": "ReLU ReLU6 Threshold",
    "lrelu": "LeakyReLU RReLU",
    "elu": "ELU CELU SELU",
    "gelu": "GELU GELUTanh",
    "silu": "SiLU Mish",
    "hswish": "Hardswish",
    "hsigmoid": "Hardsigmoid",
    "tanh": "Tanh Hardtanh Softsign",
    "sigmoid": "Sigmoid LogSigmoid Softplus",
    "softmax": "Softmax Softmax2d LogSoftmax Softmin",
}
ACTIVATION = "negative_slope alpha lower upper min_val max_val approximate beta threshold dim"
IGNORED = "inplace device dtype padding_mode eps momentum track_running_stats value"
IDENTITIES = "Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout StochasticDepth DropPath"


def entry(names: str, layers: Callable[[Arguments, int], list[Layer]], axes: int = 0) -> Signature:
    """An entry of `MODULES`."""
    return Signature(tuple(names.split()), layers, axes, frozenset(IGNORED.split()))


def dimensioned(name: str, names: str, layers: Callable[[Arguments, int], list[Layer]]) -> dict[str, Signature]:
    """The entries of a module that exists for one, two and three axes."""
    return {f"{name}{axes}d": entry(names, layers, axes) for axes in (1, 2, 3)}


MODULES: dict[str, Signature] = {
    **dimensioned("Conv", CONVOLUTION, convolution),
    **dimensioned("LazyConv", CONVOLUTION, convolution),
    **dimensioned("ConvTranspose", TRANSPOSED, transposed),
    **dimensioned("MaxPool", MAX_POOLING, max_pooling),
    **dimensioned("AvgPool", AVERAGE_POOLING, average_pooling),
    **dimensioned("AdaptiveAvgPool", "output_size", adaptive_average),
    **dimensioned("AdaptiveMaxPool", "output_size", adaptive_max),
    **dimensioned("BatchNorm", NORMALISATION, batch_norm),
    **dimensioned("InstanceNorm", NORMALISATION, instance_norm),
    **dimensioned("ZeroPad", "padding", explicit_padding),
    **dimensioned("ConstantPad", "padding value", explicit_padding),
    **dimensioned("ReflectionPad", "padding", explicit_padding),
    **dimensioned("ReplicationPad", "padding", explicit_padding),
    **dimensioned("CircularPad", "padding", explicit_padding),
    "SyncBatchNorm": entry(NORMALISATION, batch_norm),
    "GroupNorm": entry("num_groups num_channels eps affine bias", group_norm),
    "LayerNorm": entry("normalized_shape eps elementwise_affine bias", layer_norm),
    "LayerNorm2d": entry("normalized_shape eps elementwise_affine bias", layer_norm),
    "BatchNormAct2d": entry(NORMALISATION, batch_norm),
    "FrozenBatchNorm2d": entry("num_features eps", frozen_norm),
    "SelectAdaptivePool2d": entry("output_size pool_type flatten", selected_pooling, 2),
    "Conv2dSame": entry(CONVOLUTION, same_convolution, 2),
    "Conv3DSimple": entry(CONVOLUTION, convolution, 3),
    "Conv3DNoTemporal": entry(CONVOLUTION, convolution, 3),
    "Linear": entry("in_features out_features bias", linear),
    "Upsample": entry("size scale_factor mode align_corners recompute_scale_factor", upsample),
    "UpsamplingNearest2d": entry("size scale_factor mode", upsample),
    "UpsamplingBilinear2d": entry("size scale_factor mode", upsample),
    "PixelShuffle": entry("upscale_factor", pixel_shuffle),
    "PixelUnshuffle": entry("downscale_factor", pixel_unshuffle),
    "ChannelShuffle": entry("groups", channel_shuffle),
    "Flatten": entry("start_dim end_dim", flatten),
    "PReLU": entry("num_parameters init", prelu),
    **{name: entry(ACTIVATION, activation(kind)) for kind, names in ACTIVATIONS.items() for name in names.split()},
    **{name: entry("p mode drop_prob", identity) for name in IDENTITIES.split()},
}
