"""What each operator of PyTorch is in operators of ONNX: the table of those that are known.

Arguments: aten/src/ATen/native/native_functions.yaml. An archive leaves out what has its default value. An operator
that is not here goes on as it is: its sizes are those that the archive says, and totals read "at least".
"""

from __future__ import annotations

from convcli.networks.exported import layers, moves, plain
from convcli.networks.exported.calling import OWN, VIEWS, Calling
from convcli.networks.exported.plain import Translation
from convcli.networks.onnx.model import Node


def translated(call: Calling) -> list[Node]:
    """The nodes of a call; none of what only asserts."""
    if not call.results:
        return []
    if call.library == "_operator":
        plain.computed(call)
        return call.nodes
    base = call.operator.removesuffix("_")
    is_written = call.operator.endswith("_") and not call.operator.startswith("__")
    translation = TRANSLATIONS.get(base) if call.library == "aten" else None
    (translation or unknown)(call)
    if is_written and call.first():
        call.names.written(call.first(), call.results[0])
    elif base in VIEWS and call.first():
        for result in call.results:
            call.names.viewed(call.first(), result)
    return call.nodes


def unknown(call: Calling) -> None:
    """An operator that is not in the table."""
    call.make(call.operator, call.tensors(), call.library)


def each(words: str, translation: Translation) -> dict[str, Translation]:
    """Several operators with one translation."""
    return dict.fromkeys(words.split(), translation)


def alike(pairs: str) -> dict[str, Translation]:
    """Operators of one number each, with what they are in ONNX: relu=Relu."""
    return {name: plain.first_only(operator) for name, _, operator in (pair.partition("=") for pair in pairs.split())}


def meeting(pairs: str) -> dict[str, Translation]:
    """Operators of several values, each number with each."""
    return {name: plain.as_is(operator) for name, _, operator in (pair.partition("=") for pair in pairs.split())}


TRANSLATIONS: dict[str, Translation] = {
    **{f"conv{n}d": layers.convolution(n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": layers.transposed(n) for n in (1, 2, 3)},
    "convolution": layers.either,
    "linear": plain.as_is("linear", OWN),
    **each("matmul mm bmm mv dot", plain.as_is("MatMul")),
    "addmm": layers.added_product,
    "baddbmm": layers.added_batches,
    "einsum": layers.einsum,
    **each("outer ger", layers.outer),
    **each("lstm gru rnn_tanh rnn_relu", layers.recurrent),
    **each("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell", layers.recurrent_cell),
    "scaled_dot_product_attention": layers.attention,
    "_scaled_dot_product_flash_attention_for_cpu": layers.attention,
    "embedding": layers.embedding,
    # poolings and reductions
    **{f"max_pool{n}d": layers.pooling("MaxPool", n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": layers.pooling("MaxPool", n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": layers.pooling("AveragePool", n) for n in (1, 2, 3)},
    **{f"{way}adaptive_avg_pool{n}d": layers.adaptive("GlobalAveragePool") for n in (1, 2, 3) for way in ("", "_")},
    **{f"adaptive_max_pool{n}d": layers.adaptive("GlobalMaxPool") for n in (1, 2, 3)},
    **each("mean var std var_mean std_mean", layers.reduce("ReduceMean")),
    "sum": layers.reduce("ReduceSum"),
    **each("amax any all", layers.reduce("ReduceMax")),
    "amin": layers.reduce("ReduceMin"),
    "max": layers.extreme("ReduceMax", "Max"),
    "min": layers.extreme("ReduceMin", "Min"),
    "prod": layers.reduce("ReduceProd"),
    **each("linalg_vector_norm norm", layers.reduce("ReduceL2")),
    "logsumexp": layers.reduce("ReduceLogSumExp"),
    # sizes
    **{f"upsample_nearest{n}d": moves.resize("nearest", n) for n in (1, 2, 3)},
    **{f"_upsample_nearest_exact{n}d": moves.resize("nearest", n) for n in (1, 2, 3)},
    **{name: moves.resize("linear", n) for n, name in enumerate(("upsample_linear1d", "upsample_bilinear2d"), 1)},
    "upsample_trilinear3d": moves.resize("linear", 3),
    "upsample_bicubic2d": moves.resize("cubic", 2),
    "_upsample_bilinear2d_aa": moves.resize("linear", 2),
    "_upsample_bicubic2d_aa": moves.resize("cubic", 2),
    **each("pad constant_pad_nd", moves.pad),
    **{f"{how}_pad{n}d": moves.pad for how in ("reflection", "replication") for n in (1, 2, 3)},
    "pixel_shuffle": moves.shuffle("DepthToSpace", "upscale_factor"),
    "pixel_unshuffle": moves.shuffle("SpaceToDepth", "downscale_factor"),
    "grid_sampler": plain.as_is("GridSample"),
    "channel_shuffle": plain.first_only("Identity"),
    **each("view reshape _unsafe_view", moves.reshape),
    "flatten": moves.flatten,
    "unflatten": moves.unflatten,
    **each("view_as reshape_as", plain.as_is("reshape_as", OWN)),
    "expand_as": moves.expand_as,
    "permute": moves.permute,
    "transpose": moves.swap("dim0", "dim1"),
    "swapaxes": moves.swap("axis0", "axis1"),
    "swapdims": moves.swap("dim0", "dim1"),
    "mT": moves.swap("", ""),
    **each("t numpy_T", moves.reverse),
    **each("movedim moveaxis", moves.move),
    **each("cat concat", moves.concat),
    "stack": moves.stack,
    **each("split split_with_sizes chunk tensor_split", moves.split),
    "unbind": moves.unbind,
    "select": moves.select,
    "slice": moves.slice_,
    "narrow": moves.narrow,
    "roll": moves.roll,
    "unsqueeze": moves.unsqueeze,
    "squeeze": moves.squeeze,
    "expand": moves.expand,
    "repeat": moves.repeat,
    "sym_size": plain.size,
    **each("index index_select", moves.picked),
    **each("im2col col2im unfold repeat_interleave gather topk sort argmax argmin", plain.as_is("stated", OWN)),
    **each(
        "masked_fill cumsum tril triu flip diagonal index_put scatter bucketize as_strided", plain.as_is("stated", OWN)
    ),
    **each("copy fill zero", plain.copied),
    **each("arange zeros ones full empty scalar_tensor eye linspace rand randn", plain.without_inputs),
    **each("zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty", plain.without_inputs),
    # normalisations
    **each("batch_norm _native_batch_norm_legit_no_training", layers.normalised("BatchNormalization")),
    "instance_norm": layers.normalised("InstanceNormalization"),
    **each("group_norm native_group_norm", layers.normalised("GroupNormalization")),
    **each("layer_norm native_layer_norm", layers.normalised("LayerNormalization")),
    "rms_norm": layers.normalised("RMSNormalization"),
    # joins
    **meeting("add=Add sub=Sub rsub=Sub mul=Mul multiply=Mul div=Div true_divide=Div pow=Pow maximum=Max minimum=Min"),
    **meeting("eq=Equal gt=Greater ge=GreaterOrEqual lt=Less le=LessOrEqual ne=Equal remainder=Mod fmod=Mod"),
    **meeting("logical_and=And logical_or=Or logical_xor=Xor bitwise_and=And bitwise_or=Or bitwise_xor=Xor"),
    "where": plain.conditional,
    "addcmul": plain.as_is("addcmul", OWN),
    "lerp": plain.as_is("addcmul", OWN),
    # element by element
    **alike("relu=Relu relu6=Clip hardtanh=Clip clamp=Clip clamp_min=Clip clamp_max=Clip clip=Clip elu=Elu selu=Selu"),
    **alike("leaky_relu=LeakyRelu gelu=Gelu silu=Swish hardswish=HardSwish hardsigmoid=HardSigmoid sigmoid=Sigmoid"),
    **alike("tanh=Tanh mish=Mish softplus=Softplus softsign=Softsign celu=Celu erf=Erf log_sigmoid=Sigmoid"),
    "prelu": plain.as_is("PRelu"),
    **each("softmax _softmax _safe_softmax log_softmax _log_softmax", layers.softmax),
    "glu": layers.gated,
    **alike("abs=Abs ceil=Ceil cos=Cos exp=Exp floor=Floor log=Log neg=Neg reciprocal=Reciprocal round=Round sin=Sin"),
    **alike(
        "sqrt=Sqrt rsqrt=Sqrt square=Abs sign=Sign logical_not=Not bitwise_not=Not expm1=Exp log1p=Log isnan=IsNaN"
    ),
    **alike("dropout=Identity alpha_dropout=Identity feature_dropout=Identity contiguous=Identity clone=Identity"),
    **alike("alias=Identity detach=Identity to=Identity type_as=Identity lift_fresh_copy=Identity _to_copy=Identity"),
}
"""Operators of ATen, without their overloads and without the _ of those that change their input."""
