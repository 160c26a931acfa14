"""Filter banks, as layers of networks have them, against ONNX Runtime, OpenVINO and PyTorch: each planned once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper, numpy_helper

from convcli.engine.run import run
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.requests.arguments import limits
from convcli.requests.calls import correlate
from tests.bench.engine import check
from tests.bench.turns import Measured, take_turns

Run = Callable[[], object]
Array = np.ndarray


class Layer(NamedTuple):
    """A convolution with zeros beyond the image, as many as keep its size at stride 1."""

    channels: int
    filters: int
    kernel: tuple[int, ...]
    side: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def ndim(self) -> int:
        return len(self.kernel)

    @property
    def pads(self) -> tuple[int, ...]:
        return tuple(self.dilation * (size // 2) for size in self.kernel)

    def __str__(self) -> str:
        steps = f"/{self.stride}" * (self.stride > 1) + f" dilation {self.dilation}" * (self.dilation > 1)
        kind = " depthwise" if self.groups == self.channels else ""
        sizes = "x".join(map(str, self.kernel))
        return f"{self.channels} -> {self.filters}{kind}, {sizes}{steps} on {'x'.join([str(self.side)] * self.ndim)}"


SQUARE = (3, 3)
LAYERS = (
    Layer(128, 128, SQUARE, 56),
    Layer(256, 256, SQUARE, 28),
    Layer(512, 512, SQUARE, 14),
    Layer(64, 64, SQUARE, 112),
    Layer(48, 80, SQUARE, 70),
    Layer(3, 64, (7, 7), 224, stride=2),
    Layer(64, 128, SQUARE, 56, stride=2),
    Layer(32, 32, (5, 5), 64),
    Layer(64, 64, SQUARE, 56, dilation=2),
    Layer(64, 256, (1, 1), 56),
    Layer(256, 64, (1, 1), 56),
    Layer(512, 512, (1, 1), 28),
    Layer(24, 144, (1, 1), 56),
    Layer(96, 96, SQUARE, 112, groups=96),
    Layer(256, 256, SQUARE, 56, groups=256),
    Layer(64, 64, (7, 7), 56, groups=64),
    Layer(144, 144, (5, 5), 28, stride=2, groups=144),
    Layer(16, 16, (3, 3, 3), 32),
    Layer(32, 64, (3, 3, 3), 24),
)


def rows(threads: int, rounds: int) -> Iterator[Measured]:
    """One line a layer."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(9)
    for layer in LAYERS:
        image = rng.standard_normal((layer.channels, *(layer.side,) * layer.ndim)).astype(np.float32)
        shape = layer.filters, layer.channels // layer.groups, *layer.kernel
        taps = rng.standard_normal(shape).astype(np.float32)
        model = as_model(layer, image, taps)
        runs = {
            "convcli": ours(layer, image, taps, threads),
            "onnxruntime": by_onnxruntime(model, image, threads),
            "openvino": by_openvino(model, image, threads),
            "torch": by_torch(layer, image, taps),
        }
        for peer in list(runs)[1:]:
            check(f"{layer} by {peer}", runs["convcli"], runs[peer], 1e-4)
        yield Measured(str(layer), take_turns(runs, rounds))


def ours(layer: Layer, image: Array, taps: Array, threads: int) -> Run:
    """The layer by convcli."""
    asked = correlate(
        [Kernel.from_array("taps", taps, bank=True)],
        stride=layer.stride,
        dilation=layer.dilation,
        padding=layer.pads,
        border="zero",
        groups=layer.groups,
    )
    info = ImageInfo(image.shape, "float32", "C" + "ZYX"[-layer.ndim :])
    stages = asked.on(info, limits("auto", threads, None)).stages
    return lambda: run(stages, image)[0]


def as_model(layer: Layer, image: Array, taps: Array) -> bytes:
    """The layer as an ONNX model of one node."""
    steps = {"strides": [layer.stride] * layer.ndim, "dilations": [layer.dilation] * layer.ndim, "group": layer.groups}
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=layer.kernel, pads=layer.pads * 2, **steps)
    known = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *image.shape])
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "layer", [known], [found], [numpy_helper.from_array(taps, "w")])
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return model.SerializeToString()


def by_onnxruntime(model: bytes, image: Array, threads: int) -> Run:
    """Threads that wait do not spin: that would slow whoever is next."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": image[None]})[0][0]


def by_openvino(model: bytes, image: Array, threads: int) -> Run:
    """In float32, whatever else the processor has."""
    core = openvino.Core()
    told = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(model), "CPU", told).create_infer_request()
    return lambda: request.infer([image[None]])[0][0]


def by_torch(layer: Layer, image: Array, taps: Array) -> Run:
    """By oneDNN, most of them."""
    function = torch.nn.functional.conv3d if layer.ndim == 3 else torch.nn.functional.conv2d
    tensor, weights = torch.from_numpy(image)[None], torch.from_numpy(taps)
    steps = {"stride": layer.stride, "padding": layer.pads, "dilation": layer.dilation, "groups": layer.groups}
    return lambda: function(tensor, weights, **steps)[0]
