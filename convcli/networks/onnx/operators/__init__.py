"""The table of operators: what each makes of sizes, what it costs, and how it passes on what it sees.

A new operator is one entry. What is not here makes its sizes unknown, and totals read "at least".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from convcli.networks.onnx.call import Call, Made
from convcli.networks.onnx.operators import aten, moving, plain, pooling, weighted

Rule = Callable[[Call], Made]
Family = Literal[
    "convolution", "linear", "recurrent", "product", "normalisation", "activation", "pooling", "join", "shape"
]


class Operator(NamedTuple):
    """One operator: its rule, what kind of layer it is, and what totals by kind call it."""

    rule: Rule
    kind: str
    family: Family


def same(names: str, rule: Rule, kind: str, family: Family) -> dict[str, Operator]:
    """Several operators with one rule; an empty kind is the operator's own name in small letters."""
    return {name: Operator(rule, kind or name.lower(), family) for name in names.split()}


OPERATORS: dict[str, Operator] = {
    "Conv": Operator(weighted.convolution, "conv", "convolution"),
    "QLinearConv": Operator(weighted.quantised_convolution, "conv", "convolution"),
    "ConvInteger": Operator(weighted.integer_convolution, "conv", "convolution"),
    "DeformConv": Operator(weighted.deformable, "deformconv", "convolution"),
    "ConvTranspose": Operator(weighted.transposed, "tconv", "convolution"),
    "Gemm": Operator(weighted.general, "fc", "linear"),
    "MatMul": Operator(weighted.matrices, "fc", "linear"),
    "MatMulInteger": Operator(weighted.matrices, "fc", "linear"),
    "QLinearMatMul": Operator(weighted.quantised_matrices, "fc", "linear"),
    "Einsum": Operator(weighted.einsum, "fc", "linear"),
    **same("LSTM GRU RNN", weighted.recurrent, "", "recurrent"),
    "Attention": Operator(weighted.attention, "attention", "product"),
    # poolings and reductions
    **same("MaxPool", pooling.pooling, "max", "pooling"),
    **same("AveragePool LpPool", pooling.pooling, "avg", "pooling"),
    **same("GlobalAveragePool GlobalMaxPool GlobalLpPool", pooling.global_pooling, "gap", "pooling"),
    **same(
        "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp "
        "ReduceSumSquare",
        pooling.reduction,
        "reduce",
        "pooling",
    ),
    **same("ArgMax ArgMin", pooling.extreme, "reduce", "pooling"),
    **same("RoiAlign MaxRoiPool", pooling.regions, "", "pooling"),
    "MaxUnpool": Operator(pooling.unpool, "maxunpool", "pooling"),
    # sizes
    "Resize": Operator(pooling.resize, "resize", "shape"),
    "Upsample": Operator(pooling.upsample, "resize", "shape"),
    "Pad": Operator(pooling.pad, "pad", "shape"),
    "DepthToSpace": Operator(pooling.depth_to_space, "shuffle", "shape"),
    "SpaceToDepth": Operator(pooling.space_to_depth, "unshuffle", "shape"),
    "GridSample": Operator(pooling.sampled, "gridsample", "shape"),
    "Reshape": Operator(moving.reshape, "reshape", "shape"),
    "Flatten": Operator(moving.flatten, "flatten", "shape"),
    "Squeeze": Operator(moving.squeeze, "squeeze", "shape"),
    "Unsqueeze": Operator(moving.unsqueeze, "unsqueeze", "shape"),
    "Transpose": Operator(moving.transpose, "transpose", "shape"),
    "Split": Operator(moving.split, "split", "shape"),
    "Slice": Operator(moving.slice_, "slice", "shape"),
    "Gather": Operator(moving.gather, "gather", "shape"),
    "GatherElements": Operator(moving.like_indices, "gather", "shape"),
    "GatherND": Operator(moving.gather_nd, "gather", "shape"),
    "Expand": Operator(moving.expand, "expand", "shape"),
    "Tile": Operator(moving.tile, "tile", "shape"),
    "OneHot": Operator(moving.one_hot, "onehot", "shape"),
    "TopK": Operator(moving.top, "topk", "shape"),
    "Shape": Operator(moving.shape, "shape", "shape"),
    "Size": Operator(moving.one_number, "size", "shape"),
    "ConstantOfShape": Operator(moving.filled, "constant", "shape"),
    "Range": Operator(moving.range_, "range", "shape"),
    "Constant": Operator(moving.constant, "constant", "shape"),
    **same("RandomNormal RandomUniform", moving.random, "random", "shape"),
    "NonZero": Operator(moving.places, "nonzero", "shape"),
    "NonMaxSuppression": Operator(moving.boxes, "nms", "shape"),
    "CenterCropPad": Operator(moving.cropped, "crop", "shape"),
    "Col2Im": Operator(moving.columns, "fold", "shape"),
    **same("ScatterElements ScatterND Scatter ReverseSequence CumSum EyeLike", plain.as_large, "", "shape"),
    # joins
    "Concat": Operator(moving.concat, "concat", "join"),
    **same("Add Sub Mul Div Pow Max Min Sum Mean", plain.meeting, "", "join"),
    **same(
        "And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual Mod BitShift BitwiseAnd BitwiseOr BitwiseXor Where",
        plain.meeting,
        "",
        "join",
    ),
    # normalisations
    "BatchNormalization": Operator(plain.per_channel, "bn", "normalisation"),
    "InstanceNormalization": Operator(plain.over_space, "in", "normalisation"),
    "GroupNormalization": Operator(plain.over_space, "gn", "normalisation"),
    "LayerNormalization": Operator(plain.layer_normalised, "ln", "normalisation"),
    **same("RMSNormalization SimplifiedLayerNormalization", plain.layer_normalised, "rms", "normalisation"),
    **same("LpNormalization MeanVarianceNormalization", plain.unit_length, "norm", "normalisation"),
    "LRN": Operator(plain.neighbours, "lrn", "normalisation"),
    # element by element
    **same("Relu LeakyRelu Elu Gelu HardSigmoid HardSwish Tanh Sigmoid Selu", plain.activation, "", "activation"),
    **same("Celu Mish Softplus Softsign Swish ThresholdedRelu Shrink Clip Erf", plain.activation, "", "activation"),
    **same("Softmax LogSoftmax Hardmax", plain.along_an_axis, "softmax", "activation"),
    "PRelu": Operator(plain.sloped, "prelu", "activation"),
    **same("Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Exp Floor IsInf IsNaN", plain.alike, "", "shape"),
    **same("Log Neg Not Reciprocal Round Sign Sin Sinh Sqrt Tan BitwiseNot Bernoulli", plain.alike, "", "shape"),
    **same("RandomNormalLike RandomUniformLike Cast CastLike Trilu", plain.alike, "", "shape"),
    **same("Identity QuantizeLinear DequantizeLinear BitCast", plain.alike, "id", "shape"),
    "Dropout": Operator(plain.twice, "id", "shape"),
    "DynamicQuantizeLinear": Operator(plain.quantised, "id", "shape"),
}
"""Of the standard domain."""

MICROSOFT: dict[str, Operator] = {
    "FusedConv": Operator(weighted.convolution, "conv", "convolution"),
    "FusedGemm": Operator(weighted.general, "fc", "linear"),
    "DynamicQuantizeMatMul": Operator(weighted.matrices, "fc", "linear"),
    "MatMulIntegerToFloat": Operator(weighted.matrices, "fc", "linear"),
    "MatMulNBits": Operator(weighted.packed_matrices, "fc", "linear"),
    "Attention": Operator(weighted.fused_attention, "attention", "product"),
    **same("QLinearAdd QLinearMul", plain.quantised_meeting, "", "join"),
    **same("QLinearSigmoid QLinearLeakyRelu FastGelu QuickGelu Gelu", plain.activation, "", "activation"),
    "BiasGelu": Operator(plain.shifted, "gelu", "activation"),
    "SkipLayerNormalization": Operator(plain.skipping, "ln", "normalisation"),
    "QLinearGlobalAveragePool": Operator(pooling.global_pooling, "gap", "pooling"),
    **same("QuantizeLinear DequantizeLinear", plain.alike, "id", "shape"),
}
"""Of onnxruntime's own domain, com.microsoft."""

ATEN: dict[str, Operator] = {
    "linear": Operator(aten.linear, "fc", "linear"),
    **same("lstm gru rnn", aten.recurrent, "", "recurrent"),
    **same("lstm_cell gru_cell rnn_cell", aten.recurrent_cell, "", "recurrent"),
    "scaled_dot_product_attention": Operator(aten.attention, "attention", "product"),
    "adaptive_pool": Operator(aten.adaptive_pool, "adaptive", "pooling"),
    "flatten": Operator(aten.flatten, "flatten", "shape"),
    "unflatten": Operator(aten.unflatten, "reshape", "shape"),
    "reshape_as": Operator(aten.reshape_as, "reshape", "shape"),
    "expand_as": Operator(aten.expand_as, "expand", "shape"),
    "addcmul": Operator(aten.added_product, "add", "join"),
    "stated": Operator(aten.stated, "other", "shape"),
    **same("index index_select", aten.stated, "gather", "shape"),
    "written": Operator(aten.written, "written", "shape"),
}
"""Of PyTorch, where ONNX has no operator for it; archives of torch.export are read by both."""

DOMAINS = {"": OPERATORS, "com.microsoft": MICROSOFT, "aten": ATEN}


def operator(domain: str, name: str) -> Operator | None:
    """The entry of an operator; None where nothing is known of it.

    >>> operator("", "Conv").kind, operator("my.domain", "Conv")
    ('conv', None)
    """
    return DOMAINS.get(domain, {}).get(name)
