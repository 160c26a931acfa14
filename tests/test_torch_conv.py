"""The engine against PyTorch's layers, on every problem of the random ones that PyTorch can do."""

import numpy as np
import pytest

from test_methods import check_close, draw_problem, engine, fits

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[bench]')")

PADS = {"edge": "replicate", "zero": "constant", "reflect": "reflect", "wrap": "circular"}


def pytorch(problem):
    """PyTorch's answer in float64: its padding, then its convolution."""
    image = torch.from_numpy(problem["image"])[None]
    before_last = [side for pair in reversed(problem["pads"]) for side in pair]
    padded = torch.nn.functional.pad(image, before_last, mode=PADS[problem["border"]])
    layer = torch.nn.functional.conv2d if image.ndim == 4 else torch.nn.functional.conv3d
    taps = torch.from_numpy(problem["taps"].copy())
    keys = ("stride", "dilation", "groups")
    return layer(padded, taps, **{key: problem[key] for key in keys})[0].numpy()


def possible(problem):
    """PyTorch reflects and wraps no further than the image, and has no symmetric border."""
    widest = max(side - n for n, pair in zip(problem["image"].shape[1:], problem["pads"], strict=True) for side in pair)
    limit = {"reflect": 0, "wrap": 1}.get(problem["border"], 10**9)
    return problem["border"] in PADS and widest < limit and fits(problem)


@pytest.mark.parametrize("seed", range(10))
def test_the_planned_method_agrees_with_pytorch(seed):
    rng = np.random.default_rng(1000 + seed)
    problems = [problem for problem in (draw_problem(rng) for _ in range(150)) if possible(problem)]
    assert len(problems) > 50
    for problem in problems:
        check_close(pytorch(problem), engine(problem, "auto"), problem)


def test_the_axes_and_weights_are_those_of_a_layer():
    layer = torch.nn.Conv2d(6, 4, (3, 5), stride=2, padding=(1, 2), dilation=(1, 2), groups=2, bias=False)
    image = torch.randn(1, 6, 31, 29)
    problem = {
        "image": image[0].numpy().astype(float),
        "taps": layer.weight.detach().numpy().astype(float),
        "stride": (2, 2),
        "dilation": (1, 2),
        "padding": ((1, 1), (2, 2)),
        "border": "zero",
        "groups": 2,
    }
    np.testing.assert_allclose(layer(image)[0].detach().numpy(), engine(problem, "auto"), atol=1e-5)
