"""Sums of separable terms that cancel: in float32 where that keeps each output, in float64 where it would not."""

import numpy as np
import pytest
from scipy import ndimage, signal

from convcli import convolve
from convcli.engine.steady import ranked
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.geometry.problem import ACCURACY
from convcli.image import ImageInfo
from convcli.kernels import parse_kernel
from convcli.kernels.kernel import Kernel
from convcli.planner import make_plan

SUMS = {
    **{
        name: (2, name) for name in ("dog", "dog:1,2", "dog:2,3.2", "dog:2,2.2", "log", "log:3", "log:6", "unsharp:3,8")
    },
    **{f"{name} of a volume": (3, name) for name in ("dog", "log", "log:2", "unsharp:1.5")},
}


def bilaplacian():
    """The Laplacian of a Gaussian, with sums of rows and columns, once more: products of four pairs of lines."""
    line = np.exp(-(np.arange(-8, 9) ** 2) / 8.0)
    curved = np.convolve(line, [1, -2, 1], "same")
    return np.outer(curved, np.convolve(line, [1, -4, 6, -4, 1], "same")) + np.outer(
        np.convolve(line, [1, -4, 6, -4, 1], "same"), curved
    )


def hostile(shape, rng):
    """What float32 makes most of: pixels that outshine others by any factor, gradients over all its decades, signs."""
    plain = 1 + rng.random(shape)
    yield "photograph", np.rint(255 * ndimage.gaussian_filter(rng.random(shape), 3)) ** 2 / 64
    for spike in (1e8, 1e30):
        image = plain.copy()
        image[tuple(rng.integers(n) for n in shape)] = spike
        yield f"spot of {spike:g}", image
    yield "black beside bright", np.where(np.arange(shape[-1]) < shape[-1] // 2, 0, 60000 * plain)
    yield "nearly black beside bright", np.where(np.arange(shape[-2])[:, None] < 20, 1e-30 * plain, plain)
    yield "decades", 10 ** (np.linspace(-30, 30, shape[-1]) + rng.random(shape))
    yield "any size", 10 ** rng.uniform(-15, 15, shape)
    yield "lone pixels", np.where(rng.random(shape) < 0.01, 10 ** rng.uniform(-3, 12, shape), 0)
    yield "signs", rng.standard_normal(shape) * 10 ** rng.uniform(-3, 3, shape)
    yield "constant", np.full(shape, 1000.1)
    yield "tiny", 1e-30 * plain


def definition(image, taps):
    """'valid' correlation in float64 by the definition, and of the absolute values; both with no transform."""
    wide = image.astype(np.float64)
    return tuple(
        signal.correlate(x, k, "valid", method="direct") for x, k in ((wide, taps), (np.abs(wide), np.abs(taps)))
    )


def bytes_of_sums(kernel):
    """The item size that `separable` asks for."""
    filter_ = Correlation(kernel, stride=(1, 1), dilation=(1, 1), borders=parse_border("edge", "YX"))
    problem = ranked(filter_.problem(ImageInfo((2048, 2048), "float32", "YX")), kernel)
    return {candidate.method: candidate.itemsize for candidate in make_plan(problem).candidates}["separable"]


@pytest.mark.parametrize("name", [*SUMS, "bilaplacian"])
def test_sums_of_terms_that_cancel_keep_each_output(name):
    ndim, text = SUMS.get(name, (2, ""))
    taps = parse_kernel(text, ndim) if text else bilaplacian()
    values = taps.array() if text else taps
    for number, (kind, image) in enumerate(hostile((60, 90) if ndim == 2 else (20, 32, 40), np.random.default_rng(7))):
        pixels = image.astype(np.float32)
        truth, size = definition(pixels, values)
        more = {"padding": "valid", "method": "separable", "axes": "ZYX"[-ndim:], "threads": 1 + number % 2}
        found = convolve(pixels, taps, **more)
        least = 4 * float(np.finfo(np.float32).smallest_subnormal) * sum(values.shape)
        assert (np.abs(truth - found) <= ACCURACY * size + least).all(), kind
        assert (found[size == 0] == 0).all(), kind


@pytest.mark.parametrize("name", ["dog", "dog:2,3.2", "dog:2,2.2", "log:1.5", "log:4", "unsharp:2", "unsharp:5,0.3"])
def test_terms_are_summed_in_float32_where_that_keeps_each_tap(name):
    kernel = parse_kernel(name)
    assert bytes_of_sums(kernel) == 4


@pytest.mark.parametrize("taps", [parse_kernel("log:6").array(), np.eye(31) + np.eye(31)[:, :1] - 2])
def test_terms_are_summed_in_float64_where_float32_spoils_a_tap(taps):
    assert bytes_of_sums(Kernel.from_array("taps", taps)) == 8


@pytest.mark.parametrize("border", ["edge", "constant=3", "wrap"])
@pytest.mark.parametrize(("name", "shape"), [("dog", (150, 210)), ("dog:2,3.2", (150, 210)), ("log", (24, 40, 50))])
def test_their_bits_depend_on_neither_threads_nor_memory(name, shape, border):
    image = (10 ** np.random.default_rng(5).uniform(-9, 9, shape)).astype(np.float32)
    kernel, axes = parse_kernel(name, len(shape)), "ZYX"[-len(shape) :]
    limits = ({"threads": 1}, {"threads": 2}, {"threads": 1, "memory": 2**18}, {"threads": 2, "memory": 2**19})
    first, *others = (convolve(image, kernel, axes=axes, border=border, method="separable", **each) for each in limits)
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("name", ["dog", "dog:2,3.2", "log", "unsharp"])
def test_a_number_that_is_none_spoils_what_its_taps_meet(name):
    kernel, image = parse_kernel(name), np.random.default_rng(6).random((60, 70)).astype(np.float32)
    truth = ndimage.correlate(image.astype(np.float64), kernel.array(), mode="nearest")
    met = ndimage.correlate((np.arange(image.size) == 30 * 70 + 35).reshape(60, 70).astype(float), kernel.array() != 0)
    for value in (np.nan, np.inf):
        image[30, 35] = value
        found = convolve(image, kernel, method="separable")
        np.testing.assert_array_equal(met > 0, ~np.isfinite(found))
        np.testing.assert_allclose(truth[met == 0], found[met == 0], rtol=0, atol=1e-6)
