"""Every method against the definition, on problems drawn at random."""

import math

import numpy as np
import pytest

from convcli import convolve
from convcli.errors import ConvError
from convcli.filters.filter import ACCURACY, Numbers
from convcli.methods import METHODS
from oracle import correlate, pads_of

BORDERS = ("edge", "zero", "reflect", "symmetric", "wrap")

GENERAL = tuple(method for method in METHODS if method not in ("winograd", "minimal", "polyphase"))
"""Methods that take any kernel; test_winograd.py, test_minimal.py and test_polyphase.py have the others."""


def draw_problem(rng):
    """A random convolution as keyword arguments of both the engine and the oracle."""
    ndim = 2 if rng.random() < 0.8 else 3
    most_size, most_kernel = ((40, 34), (12, 6))[ndim - 2]
    size = tuple(int(n) for n in rng.integers(1, most_size, ndim))
    kernel = tuple(int(min(rng.integers(1, most_kernel), rng.integers(1, most_kernel))) for _ in range(ndim))
    stride, dilation = (tuple(int(n) for n in rng.choice([1, 1, 2, 3], ndim)) for _ in range(2))
    groups = int(rng.choice([1, 1, 2, 3]))
    channels, filters = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    padding = rng.choice(["same", "valid", "full", "numbers"])
    padding = (
        tuple((int(a), int(b)) for a, b in rng.integers(0, 5, (ndim, 2))) if padding == "numbers" else str(padding)
    )
    rules = [padding] * ndim if isinstance(padding, str) else padding
    pads = [pads_of(*each) for each in zip(rules, size, kernel, stride, dilation, strict=True)]
    taps = rng.standard_normal((filters, channels // groups, *kernel))
    if rng.random() < 0.3:  # rank 1
        taps = np.ones_like(taps) * taps[..., :1] if ndim == 2 else taps * 0 + taps[..., :1, :1]
    return {
        "image": rng.standard_normal((channels, *size)) * 10.0 ** rng.integers(-3, 4) + rng.choice([0, 5]),
        "taps": taps,
        "stride": stride,
        "dilation": dilation,
        "padding": padding,
        "pads": pads,
        "border": str(rng.choice(BORDERS)),
        "groups": groups,
    }


def fits(problem):
    """Whether the kernel finds room at all."""
    extents = (d * (k - 1) + 1 for d, k in zip(problem["dilation"], problem["taps"].shape[2:], strict=True))
    sizes = (n + sum(p) for n, p in zip(problem["image"].shape[1:], problem["pads"], strict=True))
    return all(n >= extent for n, extent in zip(sizes, extents, strict=True))


def engine(problem, method, dtype=np.float32, **more):
    """The engine's answer to a drawn problem, (O, *out); None where the method refuses."""
    ndim = problem["image"].ndim - 1
    keys = ("stride", "dilation", "padding", "border", "groups")
    try:
        result = convolve(
            problem["image"].astype(dtype),
            problem["taps"],
            method=method,
            threads=2,
            axes="C" + "ZYX"[-ndim:],
            **{key: problem[key] for key in keys},
            **more,
        )
    except ConvError as error:
        if "cannot do this" not in str(error):
            raise
        return None
    return result if result.ndim > ndim else result[None]


def expected(problem, image=None):
    """The definition's answer."""
    keys = ("stride", "dilation", "pads", "border", "groups")
    return correlate(
        problem["image"] if image is None else image, problem["taps"], **{key: problem[key] for key in keys}
    )


def check_close(expected, found, problem):
    """Within the promised accuracy of sum|k| max|x|."""
    assert expected.shape == found.shape
    size = np.abs(problem["taps"]).sum(axis=tuple(range(1, problem["taps"].ndim))).max()
    assert np.abs(expected - found).max() <= ACCURACY * size * np.abs(problem["image"]).max()


@pytest.mark.sweep(2)
@pytest.mark.parametrize("seed", range(12))
def test_every_method_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        problem = draw_problem(rng)
        if not fits(problem):
            with pytest.raises(ConvError, match="does not fit"):
                engine(problem, "auto")
            continue
        truth = expected(problem, problem["image"].astype(np.float32))
        for method in METHODS:
            found = engine(problem, method)
            if found is not None:
                check_close(truth, found, problem)


def test_float64_is_computed_in_float64():
    rng = np.random.default_rng(7)
    for _ in range(30):
        problem = draw_problem(rng)
        if fits(problem):
            truth = expected(problem)
            for method in METHODS:
                found = engine(problem, method, np.float64)
                scale = np.abs(problem["taps"]).sum() * np.abs(problem["image"]).max()
                assert found is None or np.abs(truth - found).max() <= 1e-13 * scale


@pytest.mark.parametrize("method", GENERAL)
def test_one_nan_damages_only_the_footprint_of_the_kernel(method):
    rng = np.random.default_rng(3)
    image = rng.standard_normal((90, 80)).astype(np.float32)
    image[40, 30] = np.nan
    taps = np.outer([1.0, 2, 0, 1, 3], [1.0, 0, -1])
    found = convolve(image, taps, method=method)
    marked = correlate(
        np.isnan(image)[None], (taps != 0)[None, None], stride=(1, 1), dilation=(1, 1), pads=[(2, 2), (1, 1)]
    )
    np.testing.assert_array_equal(marked[0] > 0, np.isnan(found))


@pytest.mark.parametrize("method", GENERAL)
def test_infinities_meet_the_signs_of_the_taps(method):
    image = np.zeros((30, 30), np.float32)
    image[10, 10], image[10, 12], image[20, 20] = np.inf, np.inf, -np.inf
    taps = np.array([[1.0, 0, -1]] * 3)
    with np.errstate(invalid="ignore"):
        truth = correlate(
            image[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=[(1, 1), (1, 1)], border="edge"
        )
    np.testing.assert_array_equal(
        truth[0].astype(np.float32), convolve(image, taps, method=method, numbers=Numbers(dtype="float32"))
    )


@pytest.mark.parametrize("method", GENERAL)
def test_sums_beyond_float32_do_not_spoil_their_neighbours(method):
    image = np.ones((40, 40), np.float32)
    image[5, 5] = 3e38
    found = convolve(image, np.ones((3, 3)) * 2, method=method)
    assert np.all(np.isinf(found[4:7, 4:7]))
    assert np.all(np.abs(found[10:, 10:] - 18) <= ACCURACY * 18 * 3e38)
    assert not np.isnan(found).any()


@pytest.mark.parametrize("unusual", [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e30])
@pytest.mark.parametrize("method", ["direct", "gemm"])
def test_one_unusual_pixel_is_found_where_results_are_many(method, unusual):
    image = np.ones((1, 30, 40), np.float32)
    image[0, 9, 11] = unusual
    taps = np.tile([0.0, 4.0, 0.0], (6, 1, 1, 1))  # 0 times an infinity is no number, but no tap looks at it
    with np.errstate(over="ignore"):
        expected = np.repeat(image * np.float32(4), 6, axis=0)
    np.testing.assert_array_equal(expected, convolve(image, taps, method=method, numbers=Numbers(dtype="float32")))


INTEGERS = ("uint8", "uint16", "uint32", "int8", "int16", "int32")


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("method", GENERAL)
def test_integer_results_are_the_exact_ones_rounded(dtype, method):
    rng = np.random.default_rng(11)
    info = np.iinfo(dtype)
    for taps in (
        np.full((5, 5), 1 / 25),
        rng.standard_normal((4, 7)),
        np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    ):
        image = rng.integers(info.min, info.max, (40, 45), dtype, endpoint=True)
        pads = [pads_of("same", n, k, 1, 1) for n, k in zip(image.shape, taps.shape, strict=True)]
        truth = correlate(image[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=pads, border="edge")[0]
        try:
            found = convolve(image, taps, method=method)
        except ConvError:
            continue
        clipped = np.clip(truth, info.min, info.max)
        assert found.dtype == dtype
        assert np.abs(clipped - found.astype(float)).max() <= 0.5 + 1e-3


def test_rounding_is_half_to_even():
    halves = np.array([[1, 3, 5, 7, 9]], np.uint8)
    np.testing.assert_array_equal([[0, 2, 2, 4, 4]], convolve(halves, np.array([[0.5]])))


@pytest.mark.parametrize("method", GENERAL)
def test_identity_gives_the_image_back(method):
    image = np.random.default_rng(0).integers(0, 256, (50, 61), np.uint8)
    taps = np.zeros((5, 3))
    taps[2, 1] = 1
    np.testing.assert_array_equal(image, convolve(image, taps, method=method))


@pytest.mark.parametrize("method", GENERAL)
@pytest.mark.parametrize("border", ["edge", "reflect", "symmetric", "wrap"])
def test_a_constant_image_is_multiplied_by_the_sum_of_the_taps(method, border):
    taps = np.outer([1.0, 2, 3], [2.0, 1, 1, 0.5])
    np.testing.assert_allclose(27 * 3.0, convolve(np.full((17, 9), 3.0), taps, border=border, method=method))


@pytest.mark.parametrize("method", GENERAL)
def test_the_filter_is_linear_and_moves_with_the_image(method):
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 48, 40))
    taps = np.outer(rng.standard_normal(5), rng.standard_normal(7))

    def filtered(image):
        return convolve(image, taps, border="wrap", method=method)

    np.testing.assert_allclose(2 * filtered(a) - 3 * filtered(b), filtered(2 * a - 3 * b), atol=1e-12)
    np.testing.assert_allclose(np.roll(filtered(a), (3, -7), (0, 1)), filtered(np.roll(a, (3, -7), (0, 1))), atol=1e-12)


def test_a_kernel_may_be_larger_than_the_image():
    rng = np.random.default_rng(2)
    image, taps = rng.standard_normal((3, 4)), rng.standard_normal((15, 21))
    pads = [(7, 7), (10, 10)]
    for border in BORDERS:
        truth = correlate(image[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=pads, border=border)[0]
        np.testing.assert_allclose(truth, convolve(image, taps, border=border), atol=1e-9)


def test_tiles_do_not_show():
    rng = np.random.default_rng(4)
    image = rng.standard_normal((300, 5000)).astype(np.float32)
    taps = rng.standard_normal((9, 9))
    truth = correlate(image[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=[(4, 4)] * 2, border="edge")[
        0
    ]
    for method in ("direct", "fft", "gemm"):
        found = convolve(image, taps, method=method, threads=2)
        assert np.abs(truth - found).max() <= ACCURACY * np.abs(taps).sum() * np.abs(image).max()


@pytest.mark.parametrize("border", BORDERS)
def test_large_interleaved_pictures_meet_their_borders(border):
    image = np.random.default_rng(6).integers(0, 256, (400, 500, 3), np.uint8)
    taps = np.array([[0.0, 1, -2], [3, 5, -1], [0, -4, 2], [1, 0, 0]]) / 8
    pads = [pads_of("same", n, k, 1, 1) for n, k in zip(image.shape[:2], taps.shape, strict=True)]
    truth = [
        correlate(plane[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=pads, border=border)[0]
        for plane in np.moveaxis(image, -1, 0)
    ]
    found = convolve(image, taps, axes="YXS", border=border, threads=2)
    assert np.abs(np.clip(np.moveaxis(truth, 0, -1), 0, 255) - found).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("method", GENERAL)
def test_what_lies_outside_may_be_unknown(method):
    image = np.full((20, 20), 100, np.uint8)
    found = convolve(image, np.ones((3, 3)) / 9, border="constant=nan", method=method, numbers=Numbers(dtype="float32"))
    assert np.isnan(found[0]).all()
    assert np.isnan(found[:, -1]).all()
    np.testing.assert_allclose(100, found[1:-1, 1:-1], rtol=1e-5)


def test_work_is_counted_exactly():
    from convcli.geometry.axis import Geometry
    from convcli.geometry.problem import Problem

    problem = Problem((Geometry(7, 3), Geometry(7, 3)), channels_in=3, channels_out=128)
    assert math.prod((5, 5, 128, 3, 3, 3)) == problem.macs == 86_400


def test_taps_that_are_changed_in_place_are_other_taps():
    image, taps = np.arange(12.0).reshape(3, 4), np.array([[0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(image, convolve(image, taps))
    taps *= 2
    np.testing.assert_array_equal(2 * image, convolve(image, taps))
    np.testing.assert_array_equal(2 * image, convolve(image, taps.copy()))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("method", ["direct", "gemm", "winograd", "fft"])
def test_samples_at_odd_addresses_are_filtered_as_any(method, padding):
    """As a memory map of a file with a header of an odd length has them."""
    rng = np.random.default_rng(8)
    image = rng.random((16, 21, 30), np.float32)
    odd = np.frombuffer(bytearray(image.nbytes + 1), np.float32, image.size, 1).reshape(image.shape)
    odd[...] = image
    assert not odd.flags.aligned
    taps = rng.standard_normal((16, 16, 3, 3))
    expected, found = (convolve(pixels, taps, method=method, padding=padding) for pixels in (image, odd))
    np.testing.assert_array_equal(expected, found)
