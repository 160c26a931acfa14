"""Operators that work element by element, and normalisations."""

from __future__ import annotations

from convcli.networks.onnx.call import SAME, Call, Flow, Made, broadcast, count
from convcli.networks.onnx.model import Dims


def alike(call: Call) -> Made:
    """One number from one number; further inputs are settings."""
    return Made((call.dims(0),), SAME)


def activation(call: Call) -> Made:
    """An activation."""
    x = call.dims(0)
    return Made((x,), SAME, work=(("act", count(x)),))


def twice(call: Call) -> Made:
    """Dropout: the numbers, and a mask of the same size."""
    x = call.dims(0)
    return Made((x, x), SAME)


def meeting(call: Call) -> Made:
    """Numbers of several values, each with each; what is 1 stretches."""
    return Made((broadcast([call.dims(i) for i, each in enumerate(call.inputs) if each is not None]),), SAME)


def quantised_meeting(call: Call) -> Made:
    """com.microsoft QLinearAdd and QLinearMul: each value is followed by its scale and zero point."""
    return Made((broadcast([call.dims(0), call.dims(3)]),), SAME)


def quantised(call: Call) -> Made:
    """DynamicQuantizeLinear: the numbers, their scale and their zero point."""
    return Made((call.dims(0), (), ()), SAME)


def along_an_axis(call: Call) -> Made:
    """Softmax and its kin: each number from all of its axis (before opset 13: of all behind it, too)."""
    x = call.dims(0)
    old = call.opset < 13 and call.node.operator != "CumSum"
    axis = call.axis("axis", 1 if old else -1, len(x)) if x else 0
    over = tuple(range(axis, len(x))) if old else (axis,)
    return Made((x,), SAME._replace(over=over), work=(("act", count(x)),))


def as_large(call: Call) -> Made:
    """As many numbers as the first input has, from wherever in it."""
    return Made((call.dims(0),))


def per_channel(call: Call) -> Made:
    """BatchNormalization: a scale and a shift per channel, known beforehand."""
    x = call.dims(0)
    return normalised(x, SAME, (1, 2), outputs=(x, None, None, None, None))


def over_space(call: Call) -> Made:
    """InstanceNormalization and GroupNormalization: each image, or group of channels, by its own mean."""
    x = call.dims(0)
    return normalised(x, SAME._replace(over=tuple(range(2, len(x)))), (1, 2))


def layer_normalised(call: Call) -> Made:
    """LayerNormalization and RMSNormalization: over an axis and all behind it."""
    x = call.dims(0)
    axis = call.axis("axis", -1, len(x))
    means: Dims = tuple(1 if i >= axis else n for i, n in enumerate(x))
    flow = SAME._replace(over=tuple(range(axis, len(x))))
    return normalised(x, flow, (1, 2), outputs=(x, means, means))


def unit_length(call: Call) -> Made:
    """LpNormalization and MeanVarianceNormalization: without parameters."""
    x = call.dims(0)
    axes = call.integers("axes") or (
        (call.axis("axis", -1, len(x)),) if call.node.operator == "LpNormalization" else (0, 2, 3)
    )
    over = tuple(call.dimension(axis, len(x)) for axis in axes)
    return normalised(x, SAME._replace(over=over), ())


def neighbours(call: Call) -> Made:
    """LRN: by the channels around."""
    return normalised(call.dims(0), SAME, ())


def skipping(call: Call) -> Made:
    """com.microsoft SkipLayerNormalization: x and a skip, added, then normalised over the last axis."""
    x = broadcast([call.dims(0), call.dims(1)])
    return normalised(x, SAME._replace(over=(len(x) - 1,)), (2, 3, 4), outputs=(x, None, None, x))


def normalised(x: Dims, flow: Flow, weights: tuple[int, ...], outputs: tuple[Dims | None, ...] = ()) -> Made:
    """A normalisation: a subtraction and a multiplication for each number."""
    return Made(outputs or (x,), flow, weights=weights, work=(("bn", 2 * count(x)),))


def sloped(call: Call) -> Made:
    """PRelu: an activation with slopes."""
    x = call.dims(0)
    return Made((x,), SAME, weights=(1,), work=(("act", count(x)),))


def shifted(call: Call) -> Made:
    """com.microsoft BiasGelu: a bias, then an activation."""
    x = call.dims(0)
    return Made((x,), SAME, weights=(1,), work=(("act", count(x)),))
