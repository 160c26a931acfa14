"""Receptive fields of graphs against PyTorch: what an output is said to see is what it has a gradient to."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from convcli.networks.onnx.model import parse_model
from convcli.networks.onnx.walk import walk
from onnx_files import graph, integers, model, node, port, tensor

torch = pytest.importorskip("torch")

CHANNELS = 4
SIZE = (24, 16)


class Built:
    """A graph that is written and run at once: each step adds nodes, and computes with positive weights in PyTorch."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []
        self.image = torch.ones((1, CHANNELS, *SIZE), dtype=torch.float64, requires_grad=True)
        self.at, self.value = "x", self.image

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """One node; the name of what it makes."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(operator, " ".join(inputs), name, **attributes))
        return name

    def weights(self, *dims: int) -> tuple[str, Any]:
        """Weights by name, and for PyTorch."""
        name = f"w{len(self.tensors)}"
        self.tensors.append(tensor(name, dims))
        return name, torch.full(dims, 0.1, dtype=torch.float64)

    def integers(self, *values: int) -> str:
        """Integers by name."""
        name = f"i{len(self.tensors)}"
        self.tensors.append(integers(name, values))
        return name

    def reshaped(self, at: str, value: Any, *sizes: int) -> tuple[str, Any]:
        """Both, in another shape."""
        return self.add("Reshape", at, self.integers(*sizes)), value.reshape(sizes)

    def transposed(self, at: str, value: Any, *order: int) -> tuple[str, Any]:
        """Both, with dimensions in another order."""
        return self.add("Transpose", at, perm=list(order)), value.permute(order)


def convolution(built: Built) -> None:
    """A window with stride, padding and dilation."""
    k, s, d = built.chance.choice(((1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 2, 1), (3, 1, 2), (1, 2, 1)))
    name, w = built.weights(CHANNELS, CHANNELS, k, k)
    p = d * (k - 1) // 2
    built.at = built.add("Conv", built.at, name, strides=[s, s], pads=[p] * 4, dilations=[d, d])
    built.value = torch.conv2d(built.value, w, stride=s, padding=p, dilation=d)


def transposed(built: Built) -> None:
    """Back to a finer grid."""
    name, w = built.weights(CHANNELS, CHANNELS, 3, 3)
    built.at = built.add("ConvTranspose", built.at, name, strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
    built.value = torch.conv_transpose2d(built.value, w, stride=2, padding=1, output_padding=1)


def pooling(built: Built) -> None:
    """A mean of a window."""
    built.at = built.add("AveragePool", built.at, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    built.value = torch.nn.functional.avg_pool2d(built.value, 3, 2, 1)


def enlarged(built: Built) -> None:
    """The nearest pixel."""
    sizes = [2 * n for n in built.value.shape[2:]]
    name = built.integers(*built.value.shape[:2], *sizes)
    more = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    built.at = built.add("Resize", built.at, "_", "_", name, mode="nearest", **more)
    built.value = torch.nn.functional.interpolate(built.value, size=sizes)


def skipped(built: Built) -> None:
    """Concatenated with what a convolution makes of it, or added."""
    at, value = built.at, built.value
    convolution(built)
    if built.value.shape != value.shape:
        return
    if built.chance.random() < 0.5:
        built.at, built.value = built.add("Add", at, built.at), value + built.value
        return
    name, w = built.weights(CHANNELS, 2 * CHANNELS, 1, 1)
    built.at = built.add("Conv", built.add("Concat", at, built.at, axis=1), name)
    built.value = torch.conv2d(torch.cat((value, built.value), 1), w)


def gated(built: Built) -> None:
    """Multiplied by what a global pooling made."""
    mean = built.add("ReduceMean", built.at, axes=[2, 3], keepdims=1)
    built.at = built.add("Mul", mean, built.at)
    built.value = built.value * built.value.mean((2, 3), keepdim=True)


def shuffled(built: Built) -> None:
    """Channels become a finer grid, by Reshape and Transpose."""
    _, _, h, w = built.value.shape
    at, value = built.reshaped(built.at, built.value, 1, CHANNELS // 4, 2, 2, h, w)
    at, value = built.transposed(at, value, 0, 1, 4, 2, 5, 3)
    at, value = built.reshaped(at, value, 1, CHANNELS // 4, 2 * h, 2 * w)
    name, weights = built.weights(CHANNELS, CHANNELS // 4, 1, 1)
    built.at, built.value = built.add("Conv", at, name), torch.conv2d(value, weights)


def merged(built: Built) -> None:
    """Blocks of 2x2 become channels, by strided slices, in the layout that has channels last."""
    if any(n % 2 for n in built.value.shape[2:]):
        return
    at, value = built.transposed(built.at, built.value, 0, 2, 3, 1)
    axes, steps, end = built.integers(1, 2), built.integers(2, 2), built.integers(2**31, 2**31)
    parts = [
        (built.add("Slice", at, built.integers(i, j), end, axes, steps), value[:, i::2, j::2])
        for i in (0, 1)
        for j in (0, 1)
    ]
    at = built.add("Concat", *(name for name, _ in parts), axis=-1)
    name, w = built.weights(4 * CHANNELS, CHANNELS)
    value = torch.cat([part for _, part in parts], -1) @ w
    built.at, built.value = built.transposed(built.add("MatMul", at, name), value, 0, 3, 1, 2)


def attended(built: Built) -> None:
    """Attention inside of windows of 2x4, perhaps after a shift of one pixel around the ends."""
    _, _, h, w = built.value.shape
    if h % 2 or w % 4:
        return
    at, value = built.transposed(built.at, built.value, 0, 2, 3, 1)
    if built.chance.random() < 0.5:
        one, end, zero, axis = built.integers(1), built.integers(2**31), built.integers(0), built.integers(1)
        front, back = built.add("Slice", at, one, end, axis), built.add("Slice", at, zero, one, axis)
        at, value = built.add("Concat", front, back, axis=1), torch.roll(value, -1, 1)
    at, value = built.reshaped(at, value, 1, h // 2, 2, w // 4, 4, CHANNELS)
    at, value = built.transposed(at, value, 0, 1, 3, 2, 4, 5)
    at, value = built.reshaped(at, value, h * w // 8, 8, CHANNELS)
    turned, _ = built.transposed(at, value, 0, 2, 1)
    scores, weights = built.add("MatMul", at, turned), value @ value.transpose(1, 2)
    at, value = built.add("MatMul", built.add("Softmax", scores, axis=-1), at), weights.softmax(-1) @ value
    at, value = built.reshaped(at, value, 1, h // 2, w // 4, 2, 4, CHANNELS)
    at, value = built.transposed(at, value, 0, 1, 3, 2, 4, 5)
    at, value = built.reshaped(at, value, 1, h, w, CHANNELS)
    built.at, built.value = built.transposed(at, value, 0, 3, 1, 2)


def tokens(built: Built) -> None:
    """A class token before all pixels, mixed along them, and the pixels again."""
    _, _, h, w = built.value.shape
    at, value = built.reshaped(built.at, built.value, 1, CHANNELS, h * w)
    name, token = built.weights(1, CHANNELS, 1)
    at, value = built.add("Concat", name, at, axis=2), torch.cat((token, value), 2)
    if built.chance.random() < 0.5:
        mixing, m = built.weights(h * w + 1, h * w + 1)
        at, value = built.add("MatMul", at, mixing), value @ m
        at = built.add("Slice", at, built.integers(1), built.integers(2**31), built.integers(2))
        built.at, built.value = built.reshaped(at, value[:, :, 1:], 1, CHANNELS, h, w)


def unfolded(built: Built) -> None:
    """Patches of 2x2 as a dimension of their own, convolved by 1x1, attended to by their like, and folded again."""
    _, _, h, w = built.value.shape
    if h % 2 or w % 2:
        return
    at, value = built.reshaped(built.at, built.value, CHANNELS, h // 2, 2, w // 2, 2)
    at, value = built.transposed(at, value, 0, 2, 4, 1, 3)
    at, value = built.reshaped(at, value, 1, CHANNELS, 4, h * w // 4)
    name, weights = built.weights(CHANNELS, CHANNELS, 1, 1)
    at, value = built.add("Conv", at, name), torch.conv2d(value, weights)
    if built.chance.random() < 0.5:
        mean = built.add("ReduceSum", at, built.integers(3), keepdims=1)
        at, value = built.add("Add", at, mean), value + value.sum(3, keepdim=True)
    at, value = built.reshaped(at, value, CHANNELS, 2, 2, h // 2, w // 2)
    at, value = built.transposed(at, value, 0, 3, 1, 4, 2)
    built.at, built.value = built.reshaped(at, value, 1, CHANNELS, h, w)


def as_channels(built: Built) -> None:
    """Rows in the place of channels, mixed by a convolution along the columns, all or each alone."""
    _, _, h, _ = built.value.shape
    groups = built.chance.choice((1, h))
    at, value = built.transposed(built.at, built.value, 0, 2, 1, 3)
    name, weights = built.weights(h, h // groups, 1, 3)
    at = built.add("Conv", at, name, group=groups, pads=[0, 1, 0, 1])
    value = torch.conv2d(value, weights, padding=(0, 1), groups=groups)
    built.at, built.value = built.transposed(at, value, 0, 2, 1, 3)


STEPS: tuple[Callable[[Built], None], ...] = (
    *(convolution, transposed, pooling, enlarged, skipped, gated, shuffled, merged, attended, tokens),
    *(unfolded, as_channels),
)


def span(built: Built, place: tuple[int, ...]) -> list[tuple[int, int] | None]:
    """The first and last pixel of each axis that an output has a gradient to."""
    (gradient,) = torch.autograd.grad(built.value[(0, slice(None), *place)].sum(), built.image, retain_graph=True)
    touched = gradient[0].abs().sum(0) > 0
    pixels = [touched.any(1 - axis).nonzero().flatten().tolist() for axis in (0, 1)]
    return [(each[0], each[-1]) if each else None for each in pixels]


def is_inside(axis: Any, place: int) -> bool:
    """True where no path leaves the image, beyond which fields go on and gradients do not."""
    parts = [part.at(place) for part in axis.field.parts]
    return all(part is None or (part[0] >= 0 and part[1] < axis.image) for part in parts)


@pytest.mark.parametrize("seed", range(60))
def test_an_output_sees_the_pixels_that_it_has_a_gradient_to(seed: int) -> None:
    built = Built(seed)
    for step in built.chance.choices(STEPS, k=built.chance.randint(1, 5)):
        step(built)
        if max(built.value.shape[2:]) > 100 or min(built.value.shape[2:]) < 4:
            break
    data = model(graph(built.nodes, [port("x", built.image.shape)], built.at, built.tensors), opset=17)
    (value,) = walk(parse_model(data), {"x": tuple(built.image.shape)}).outputs.values()
    assert tuple(built.value.shape) == value.dims
    compared = 0
    for place in built.chance.sample([(i, j) for i in range(value.dims[2]) for j in range(value.dims[3])] * 2, 12):
        for axis, index, true in zip(value.seen, place, span(built, place), strict=True):
            assert axis.field is not None
            if is_inside(axis, index):
                assert true == axis.field.at(index)
                compared += 1
    assert compared or max(axis.field.extent[1] for axis in value.seen) > min(SIZE) // 2
