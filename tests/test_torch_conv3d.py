"""`convcli conv3d` against torch.nn.functional.conv3d: banks with strides, dilations, groups and paddings."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install '.[bench]')")


def drawn(rng):
    """A random layer that fits a random volume: the volume, the weights, and what both sides call its parameters."""
    groups = int(rng.choice([1, 1, 2, 3]))
    channels, filters = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    kernel, stride, dilation = (rng.integers(1, most, 3).tolist() for most in (5, 4, 3))
    padding = rng.integers(0, 4, 3).tolist()
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [int(max(1, e - 2 * p) + rng.integers(0, 9)) for e, p in zip(extent, padding, strict=True)]
    layer = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    volume = rng.standard_normal((channels, *size)).astype(np.float32)
    return volume, rng.standard_normal((filters, channels // groups, *kernel)).astype(np.float32), layer


def words(layer):
    """The options of a layer."""
    for name in ("stride", "padding", "dilation"):
        yield from (f"--{name}", ",".join(map(str, layer[name])))
    yield from ("--groups", layer["groups"])


@pytest.mark.parametrize("seed", range(60))
def test_a_layer_gives_what_pytorch_gives(run, seed):
    volume, weights, layer = drawn(np.random.default_rng(seed))
    np.save("in.npy", volume)
    np.save("weights.npy", weights)
    kernel = ("-k", "weights.npy", "--axes", "CZYX", "-o", "out.npy", "-q")
    assert (0, []) == run("conv3d", "in.npy", *words(layer), *kernel)
    exact = torch.nn.functional.conv3d(*(torch.from_numpy(part.astype(float)) for part in (volume, weights)), **layer)
    result = np.load("out.npy").reshape(exact.shape)
    bound = 2e-5 * np.abs(weights).sum(axis=(1, 2, 3, 4)).max() * np.abs(volume).max()
    assert np.abs(exact.numpy() - result).max() <= bound


@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
def test_every_method_is_pytorch_s_on_a_plain_kernel(run, method):
    rng = np.random.default_rng(9)
    volume = rng.standard_normal((21, 34, 45))
    taps = np.multiply.outer(np.multiply.outer(rng.random(5), rng.random(7)), rng.random(3))
    np.save("in.npy", volume)
    np.save("taps.npy", taps)
    words = ("-k", "taps.npy", "-p", "2,3,1", "-m", method, "--axes", "ZYX", "-o", "out.npy", "-q")
    assert (0, []) == run("conv3d", "in.npy", *words)
    exact = torch.nn.functional.conv3d(
        torch.from_numpy(volume)[None], torch.from_numpy(taps)[None, None], padding=(2, 3, 1)
    )
    np.testing.assert_allclose(exact[0].numpy(), np.load("out.npy"), atol=1e-11)
