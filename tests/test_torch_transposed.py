"""Transposed convolution against PyTorch's layers, and enlargement against its interpolation."""

import numpy as np
import pytest

import upsampled
from command import InProcess

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[bench]')")


def pytorch(problem):
    """PyTorch's answer in float64."""
    taps = torch.from_numpy(problem["taps"])
    layer = torch.nn.functional.conv_transpose2d if taps.ndim == 4 else torch.nn.functional.conv_transpose3d
    return layer(
        torch.from_numpy(problem["image"]),
        taps,
        stride=problem["stride"],
        padding=tuple(begin for begin, _ in problem["pads"]),
        output_padding=problem["extra"],
        groups=problem["groups"],
        dilation=problem["dilation"],
    ).numpy()


@pytest.mark.parametrize("seed", range(10))
def test_random_layers_agree_with_pytorch(seed):
    rng = np.random.default_rng(5000 + seed)
    for _ in range(100):
        problem = upsampled.draw(rng)
        expected = pytorch(problem)
        size = np.abs(problem["taps"]).sum(axis=tuple(range(2, expected.ndim))).max() * problem["taps"].shape[0]
        np.testing.assert_allclose(
            upsampled.tool(problem), expected, atol=2e-5 * size * np.abs(problem["image"]).max(), rtol=0
        )


@pytest.mark.parametrize("name", ["nearest-exact", "bilinear"])
def test_a_scale_with_the_border_edge_has_the_pixels_of_interpolate(name, tmp_path, capsys):
    image = np.random.default_rng(1).standard_normal((18, 20)).astype(np.float32)
    np.save(tmp_path / "in.npy", image)
    words = ("-k", name.partition("-")[0], "--scale", 1.5, "--border", "edge", "-o", tmp_path / "out.npy", "-q")
    assert (0, []) == InProcess(capsys)("upsample", tmp_path / "in.npy", *words)
    expected = torch.nn.functional.interpolate(torch.from_numpy(image)[None, None], scale_factor=1.5, mode=name)[0, 0]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected.numpy(), atol=1e-5)
