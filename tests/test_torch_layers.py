"""A layer of an ONNX file on an image is what PyTorch's layer makes of it."""

import numpy as np
import pytest

import convcli
from command import InProcess
from onnx_files import node, small, tensor

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[bench]')")

CASES = {
    "the first layer of a ResNet": ("Conv", 3, 64, 7, {"stride": 2, "padding": 3}),
    "without bias": ("Conv", 3, 4, 3, {"bias": False}),
    "groups": ("Conv", 6, 4, 3, {"groups": 2, "padding": 1}),
    "depthwise, dilated": ("Conv", 6, 6, 3, {"groups": 6, "dilation": 2, "padding": 2}),
    "pointwise": ("Conv", 5, 7, 1, {}),
    "of other sizes along each axis": ("Conv", 3, 5, (3, 5), {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}),
    "volumes": ("Conv", 2, 3, (3, 3, 2), {"stride": (1, 2, 1), "padding": 1}),
    "laid": ("ConvTranspose", 3, 8, 4, {"stride": 2, "padding": 1}),
    "laid with more at the end": (
        "ConvTranspose",
        4,
        6,
        3,
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
    ),
    "laid volumes": ("ConvTranspose", 2, 3, (2, 3, 2), {"stride": (1, 2, 2)}),
}
COMMANDS = {"Conv": {2: "conv2d", 3: "conv3d"}, "ConvTranspose": {2: "upsample", 3: "upsample"}}


def built(operator, channels, results, kernel, options):
    torch.manual_seed(17)
    ndim = len(kernel) if isinstance(kernel, tuple) else 2
    made = getattr(torch.nn, f"{operator}{ndim}d")(channels, results, kernel, **options)
    return made, ndim


def each(value, ndim):
    return list(value) if isinstance(value, tuple) else [value] * ndim


def exported(layer, operator, ndim, options):
    """The layer as a model of one node, `/conv1/Conv`."""
    words = {"strides": "stride", "dilations": "dilation", "output_padding": "output_padding"}
    told = {name: each(options[word], ndim) for name, word in words.items() if word in options}
    told |= {"pads": each(options["padding"], ndim) * 2} if "padding" in options else {}
    named = {"w": layer.weight} | ({} if layer.bias is None else {"b": layer.bias})
    tensors = [tensor(name, value.shape, raw=value.detach().numpy().tobytes()) for name, value in named.items()]
    inputs = " ".join(["x", *named])
    return small([node(operator, inputs, "y", "/conv1/Conv", group=options.get("groups", 1), **told)], tensors)


@pytest.mark.parametrize("case", CASES)
def test_a_layer_makes_what_pytorch_makes(tmp_path, capsys, case):
    operator, channels, _, _, options = CASES[case]
    layer, ndim = built(*CASES[case])
    (tmp_path / "model.onnx").write_bytes(exported(layer, operator, ndim, options))
    pixels = np.random.default_rng(3).normal(size=(channels, *(6, 19, 22)[-ndim:])).astype("float32")
    np.save(tmp_path / "x.npy", pixels)
    words = ["--axes", f"C{'ZYX'[-ndim:]}", "-o", tmp_path / "y.npy", "--verify"]
    command, node_name = COMMANDS[operator][ndim], f"{tmp_path}/model.onnx:/conv1/Conv"
    code, errors = InProcess(capsys)(command, tmp_path / "x.npy", "--layer", node_name, *words)
    assert code == 0, errors
    with torch.no_grad():
        expected = layer(torch.from_numpy(pixels)[None])[0].numpy()
    found = np.load(tmp_path / "y.npy")
    assert expected.shape == found.shape
    assert np.abs(expected - found).max() <= 2e-5 * np.abs(expected).max()


def test_python_takes_a_layer_as_the_command_does(tmp_path):
    case = CASES["the first layer of a ResNet"]
    layer, ndim = built(*case)
    path = tmp_path / "model.onnx"
    path.write_bytes(exported(layer, "Conv", ndim, case[-1]))
    pixels = np.random.default_rng(3).normal(size=(3, 19, 22)).astype("float32")
    expected = layer(torch.from_numpy(pixels)[None])[0].detach().numpy()
    np.testing.assert_allclose(expected, convcli.convolve(pixels, layer=f"{path}:/conv1/Conv"), atol=2e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_same_lower_pads_in_front_what_is_odd(tmp_path, stride, kernel):
    """ONNX: the output is ceil(n / stride), and the larger part of the padding comes first."""
    layer, _ = built("Conv", 1, 2, kernel, {"stride": stride})
    tensors = [tensor("w", layer.weight.shape, raw=layer.weight.detach().numpy().tobytes())]
    path = tmp_path / "model.onnx"
    made = node("Conv", "x w", "y", "c", strides=[stride] * 2, auto_pad="SAME_LOWER")
    path.write_bytes(small([made], tensors, (1, 1, 11, 10)))
    pixels = np.random.default_rng(3).normal(size=(1, 11, 10)).astype("float32")
    totals = [max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in (11, 10)]
    pads = [(total - total // 2, total // 2) for total in totals]
    padded = torch.from_numpy(np.pad(pixels, [(0, 0), *pads]))
    expected = torch.nn.functional.conv2d(padded[None], layer.weight, stride=stride)[0].detach().numpy()
    np.testing.assert_allclose(expected, convcli.convolve(pixels, layer=f"{path}:c"), atol=2e-5)


@pytest.mark.parametrize("words", [{"kernel": "box:3"}, {"stride": 2}, {"padding": 1}, {"groups": 3}, {"flip": True}])
def test_what_a_layer_says_itself_is_refused_beside_it_in_python(words):
    with pytest.raises(convcli.ConvError, match="the layer says that itself"):
        convcli.convolve(np.ones((3, 8, 8)), layer="model.onnx:/conv1/Conv", **words)


def test_neither_kernel_nor_layer_is_refused():
    with pytest.raises(convcli.ConvError, match="is missing; give one, or layer="):
        convcli.convolve(np.ones((3, 8, 8)))
