"""NaN, infinities, missing values and numbers near the largest change what looks at them and nothing else.

By every method, whatever it is planned in: what is computed again in another precision, or counted, has its own tiles.
"""

import numpy as np
import pytest

from convcli import convolve
from convcli.errors import ConvError
from convcli.filters.filter import Numbers
from convcli.geometry.problem import ACCURACY
from convcli.methods import METHODS
from oracle import correlate, pads_of, transposed

PLACES = (100, 100), (222, 30), (3, 299)
GRID = np.mgrid[-8:9, -8:9]
KERNELS = {
    "disk": ((GRID**2).sum(axis=0) <= 64) / 197.0,
    "box": np.ones((9, 9)) / 81,
    "signed": np.random.default_rng(1).standard_normal((15, 11)),
    "small": np.random.default_rng(2).standard_normal((3, 3)),
}
TYPES = ("float16", "float32", "float64")
SPECIAL = (np.nan, -np.inf, 1e38, -3.4028235e38)
LAYOUTS = (
    {},
    {"stride": 2},
    {"padding": "valid"},
    {"dilation": 2},
)
NINE = "1 2 3; 4 5 6; 7 8 9"
TAPS = np.arange(1.0, 10).reshape(1, 1, 3, 3)


def image_of(dtype, special, shape=(260, 300), places=PLACES):
    """Pixels from 1 to 2 with a few special ones."""
    image = 1 + np.random.default_rng(0).random(shape)
    for place in places:
        image[place] = special
    with np.errstate(over="ignore"):
        return image.astype(dtype)


def definition(image, taps, *, stride=1, dilation=1, padding="same"):
    """The result in float64, and the convolution of the absolute values, which its error is measured by."""
    pads = [pads_of(padding, n, k, stride, dilation) for n, k in zip(image.shape, taps.shape, strict=True)]
    more = {"stride": (stride,) * 2, "dilation": (dilation,) * 2, "pads": pads, "border": "edge"}
    wide = image.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return tuple(correlate(x[None], k[None, None], **more)[0] for x, k in ((wide, taps), (abs(wide), abs(taps))))


def check(expected, size, found):
    """The same NaN and infinities, and all else within the promise at each output."""
    with np.errstate(over="ignore", invalid="ignore"):
        stored = expected.astype(found.dtype)
        finite = np.isfinite(stored) & np.isfinite(size)
        np.testing.assert_array_equal(stored[~finite], found[~finite])
        error = np.abs(expected[finite] - found[finite].astype(np.float64))
    unit = ACCURACY + np.finfo(found.dtype).eps
    assert (error <= unit * size[finite] + np.finfo(found.dtype).smallest_subnormal).all()


@pytest.mark.sweep(2)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_special_pixel_acts_where_a_tap_meets_it(name, dtype, layout):
    done = set()
    for special in SPECIAL:
        image = image_of(dtype, special)
        expected = definition(image, KERNELS[name], **layout)
        for method in METHODS:
            try:
                found = convolve(image, KERNELS[name], method=method, threads=1, **layout)
            except ConvError as error:
                assert "cannot do this" in str(error)
                continue
            truth, size = expected
            check(truth, size, found)
            done.add(method)
    assert done >= {"direct", "fft", "gemm"}


@pytest.mark.parametrize("method", [method for method in METHODS if method != "winograd"])
@pytest.mark.parametrize("rule", ["ignore", "zero"])
def test_what_is_left_out_is_left_out_by_every_method(method, rule):
    image, taps = image_of("float32", np.nan), KERNELS["disk"]
    try:
        found = convolve(image, taps, method=method, numbers=Numbers(nan=rule))
    except ConvError as error:
        assert "cannot do this" in str(error)
        return
    known = ~np.isnan(image)
    truth, size = definition(np.where(known, image, 0), taps)
    weight = definition(known.astype(float), taps)[0] / taps.sum() if rule == "ignore" else 1
    check(truth / weight, size / weight, found)


@pytest.mark.parametrize("method", ["direct", "fft", "separable", "gemm"])
@pytest.mark.parametrize("special", [np.nan, np.inf, 3.4e38])
def test_a_special_voxel_acts_where_a_tap_meets_it(method, special):
    image = image_of("float32", special, (20, 30, 40), [(5, 20, 30), (19, 0, 0)])
    taps = np.ones((5, 7, 9)) if method == "separable" else np.random.default_rng(3).standard_normal((5, 7, 9))
    more = {"stride": (1,) * 3, "dilation": (1,) * 3, "pads": [(2, 2), (3, 3), (4, 4)], "border": "edge"}
    with np.errstate(invalid="ignore"):
        truth, size = (
            correlate(x.astype(float)[None], k[None, None], **more)[0]
            for x, k in ((image, taps), (abs(image), abs(taps)))
        )
    check(truth, size, convolve(image, taps, axes="ZYX", method=method))


@pytest.mark.parametrize("method", ["direct", "fft", "separable", "gemm"])
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
@pytest.mark.parametrize("kernel", ["disk:8", "box:15"])
def test_a_missing_value_is_left_out_of_what_looks_at_it(run, method, dtype, kernel):
    image = np.random.default_rng(4).integers(1, 1000, (200, 210)).astype(dtype)
    image[100:103, 50] = 9999
    np.save("in.npy", image)
    run("kernels", kernel, "-o", "k.npy")
    taps = np.load("k.npy").astype(float)
    words = "conv2d", "in.npy", "-k", kernel, "-m", method, "-t", "float32", "--nodata", 9999, "-o", "out.npy"
    code, errors = run(*words)
    if code:
        assert "cannot do this" in errors[0]
        return
    truth, size = definition(np.where(image == 9999, np.nan, image), taps)
    found = np.load("out.npy")
    np.testing.assert_array_equal(np.isnan(truth), found == 9999)
    check(truth[found != 9999], size[found != 9999], found[found != 9999])


@pytest.mark.parametrize("special", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("stride", [2, 3])
def test_a_special_pixel_acts_where_upsampling_lays_a_kernel(run, special, stride):
    image = image_of("float32", special, (40, 50), [(20, 30), (0, 49)])
    np.save("in.npy", image)
    code, errors = run("upsample", "in.npy", "-k", NINE, "-s", stride, "-p", 0, "-o", "out.npy")
    assert 0 == code, errors
    more = {"stride": (stride,) * 2, "dilation": (1, 1), "pads": [(0, 0)] * 2}
    with np.errstate(invalid="ignore"):
        truth, size = (transposed(x.astype(float)[None], TAPS, **more)[0] for x in (image, abs(image)))
    check(truth, size, np.load("out.npy").reshape(truth.shape))


@pytest.mark.parametrize("special", [np.nan, np.inf, 3e38])
def test_a_special_pixel_acts_where_a_depthwise_kernel_meets_it(run, special):
    image = image_of("float32", special)
    np.save("in.npy", image)
    run("kernels", "disk:12", "-o", "k.npy")
    code, errors = run("separable", "in.npy", "--depthwise", "disk:12", "--pointwise", "1", "-o", "out.npy")
    assert 0 == code, errors
    truth, _ = definition(image, np.load("k.npy").astype(float))
    found = np.load("out.npy").reshape(truth.shape)
    np.testing.assert_array_equal(np.isfinite(truth), np.isfinite(found))
