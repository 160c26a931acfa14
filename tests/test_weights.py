"""Results that are divided by the weight of known pixels are exact however small that is: a far tap may know the only
one.
"""

import numpy as np
import pytest

from convcli.methods import METHODS
from oracle import correlate

DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
CURVE = np.exp(-(np.arange(-4, 5) ** 2) / 0.98)
GAUSSIAN = np.outer(CURVE, CURVE)
"""Of sigma 0.7: its corner is 1e-14 of its middle."""
MIX = np.array([[0.25, 0.75]])
THREE = np.outer([1e-5, 1, 1e-5], [1e-5, 1, 1e-5])
SHAPE = (40, 50)


def image_of(dtype, channels):
    """Few pixels that are known, and not 0, which is no data."""
    rng = np.random.default_rng(7)
    pixels = rng.integers(1, 120 if dtype in ("uint8", "float32") else 30_000, (channels, *SHAPE))
    return np.where(rng.random(pixels.shape) < 0.01, pixels, 0).astype(dtype)


def weighed(image, bank, dilation=1):
    """Sums over known pixels divided by their share of each filter of (O, I, *kernel), and where any is known."""
    radius = dilation * (bank.shape[-1] // 2)
    more = {"stride": (1, 1), "dilation": (dilation,) * 2, "pads": [(radius, radius)] * 2, "border": "edge"}
    value, weight = (correlate(x.astype(float), bank, **more) for x in (image, image != 0))
    share = weight / bank.sum(axis=(1, 2, 3))[:, None, None]
    return np.divide(value, share, out=np.zeros_like(value), where=weight > 0), weight > 0


def check(run, words, image, expected, known, *, least):
    """Every method that can tells the expected values; so many of them can."""
    np.save("in.npy", image)
    done = 0
    for method in ("auto", *METHODS):
        typed = (*words.split(), "in.npy", "-m", method, "--nodata=0", "-t", image.dtype, "-f", "-q", "-o", "out.npy")
        code, lines = run(*typed)
        if code:
            assert "cannot do this" in lines[0]
            continue
        done += 1
        found = np.load("out.npy").reshape(expected.shape).astype(float)
        near = 0.502 if image.dtype.kind in "iu" else 6e-5 * abs(expected) + 1e-300
        assert (abs(found - expected)[known] <= np.broadcast_to(near, expected.shape)[known]).all(), method
    assert done >= least


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_plain_kernel_divides_by_any_weight(dtype, dilation, run):
    np.save("k.npy", GAUSSIAN)
    image = image_of(dtype, 2)
    each = [weighed(channel[None], GAUSSIAN[None, None] / GAUSSIAN.sum(), dilation) for channel in image]
    expected, known = (np.concatenate(parts) for parts in zip(*each, strict=True))
    words = f"conv2d --axes CYX -k k.npy -b edge --nan ignore --normalize sum -d {dilation}"
    check(run, words, image, expected, known, least=4 + dilation)


@pytest.mark.parametrize("taps", [GAUSSIAN, THREE], ids=["wide", "three"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bank_divides_by_any_weight(dtype, taps, run):
    channels = 24  # so many that Winograd's method would do
    bank = np.stack([taps * (1 + np.arange(channels)[:, None, None] % 3)] * 16)
    bank /= bank.sum(axis=(1, 2, 3), keepdims=True)
    np.save("k.npy", bank)
    image = image_of(dtype, channels)
    image[2:] = 0
    expected, known = weighed(image, bank)
    check(run, "conv2d --axes CYX -k k.npy -b edge --nan ignore", image, expected, known, least=3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_pair_divides_by_any_weight(dtype, run):
    np.save("k.npy", GAUSSIAN / GAUSSIAN.sum())
    np.save("mix.npy", MIX)
    image = image_of(dtype, 2)
    expected, known = weighed(image, (GAUSSIAN / GAUSSIAN.sum() * MIX[..., None, None]))
    words = "separable --axes CYX --depthwise k.npy --pointwise mix.npy -b edge --nan ignore"
    check(run, words, image, expected, known, least=4)


@pytest.mark.parametrize("border", ["zero", "edge"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_enlarged_pixels_are_divided_by_any_weight(dtype, border, run):
    np.save("k.npy", GAUSSIAN)
    image = image_of(dtype, 1)
    around = np.pad(image, ((0, 0), (6, 6), (6, 6)), "edge" if border == "edge" else "constant")
    spread = np.zeros((1, *(2 * n for n in around.shape[1:])))
    spread[:, ::2, ::2] = around
    expected, known = weighed(spread, GAUSSIAN[None, None])
    inside = (slice(None), *(slice(12, 12 + 2 * n) for n in SHAPE))
    total = weighed(np.ones_like(spread), GAUSSIAN[None, None])[0][inside]
    assert np.allclose(total, GAUSSIAN.sum())
    words = f"upsample --axes CYX -k k.npy -s 2 -p 4:3 --normalize overlap -b {border}"
    check(run, words, image, expected[inside] / GAUSSIAN.sum(), known[inside], least=3)
