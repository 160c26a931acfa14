"""A combination is what its steps give: each filter's result, its offset too, and then the sum, mean, ... of them."""

from itertools import product

import numpy as np
import pytest

from convcli import convolve
from convcli.filters.borders import parse_border
from convcli.filters.combining import ADDED, COMBINATIONS
from convcli.filters.filter import Correlation, Numbers
from convcli.image import Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.kernels.pairs import pair_of
from convcli.operations.operation import Limits
from ready import Ready

JOIN = {
    "sum": lambda each, axis: each.sum(axis),
    "mean": lambda each, axis: each.mean(axis),
    "max": lambda each, axis: each.max(axis),
    "magnitude": lambda each, axis: np.sqrt(np.square(each).sum(axis)),
}
SPECIAL = {"none": (), "inf": (np.inf,), "both": (np.inf, -np.inf), "nan": (np.nan,), "all": (np.inf, -np.inf, np.nan)}
LIMITS = Limits("auto", 2, 2**28)


def image_with(values, dtype="f4", shape=(40, 50)):
    image = np.random.default_rng(1).normal(size=shape).astype(dtype)
    for number, value in enumerate(values):
        image[..., 11 + 2 * number, 20] = value
    return image


def bank_of(filters, inputs=1, seed=2):
    """Small whole taps of both signs, of which some cancel in their sum, and some are zero."""
    taps = np.random.default_rng(seed).integers(-2, 3, (filters, inputs, 3, 3)).astype(float)
    taps[0, 0, 0], taps[1, 0, 0] = (1, 2, 0), (-1, -2, 0)
    return taps


@pytest.mark.parametrize("combine", JOIN)
@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("method", ["direct", "fft", "gemm"])
def test_several_kernels_give_what_their_results_do(combine, special, method):
    image = image_with(SPECIAL[special])
    kernels = [Kernel.from_array("k", taps[0]) for taps in bank_of(3)]
    with np.errstate(invalid="ignore"):
        each = np.array([convolve(image, kernel, method=method, dtype="float64") for kernel in kernels])
        truth = JOIN[combine](each, 0)
    found = convolve(image, kernels, combine=combine, method=method)
    np.testing.assert_allclose(truth, found, atol=2e-4)


@pytest.mark.parametrize("combine", JOIN)
@pytest.mark.parametrize(("groups", "special"), list(product([1, 2, 4], SPECIAL)))
def test_the_groups_of_a_bank_are_combined_too(combine, groups, special):
    image, bank = image_with(SPECIAL[special], shape=(4, 20, 30)), bank_of(8, 4 // groups)
    options = {"axes": "CYX", "groups": groups, "dtype": "float64"}
    with np.errstate(invalid="ignore"):
        truth = JOIN[combine](convolve(image, bank, **options), 0)
    found = convolve(image, bank, combine=combine, **options)
    np.testing.assert_allclose(truth, found.reshape(truth.shape), atol=2e-4)


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_an_offset_belongs_to_each_filter_and_scale_and_bias_to_the_result(combine):
    image, taps = image_with((), "f8"), bank_of(3)
    kernel = Kernel.from_array("k", taps, bank=True)
    numbers = Numbers(scale=-2, bias=3, offset=10)
    each = convolve(image, [Kernel.from_array("k", one[0]) for one in taps]) + 10
    truth = (each if combine == "stack" else JOIN[combine](each, 0)) * -2 + 3
    info = ImageInfo(image.shape, "float64", "YX")
    result, _ = Ready(plain(kernel, combine, numbers)).on(info, LIMITS).run(Image(info, image), verify=20)
    np.testing.assert_allclose(truth, result.data, atol=1e-9)


@pytest.mark.parametrize("combine", JOIN)
@pytest.mark.parametrize("nan", ["keep", "zero", "ignore"])
@pytest.mark.parametrize("alpha", ["", "premultiply", "straight", "keep", "drop"])
def test_opacity_and_unknown_pixels_are_those_of_the_steps(combine, nan, alpha):
    """Results are divided by their own opacity, or weight, before they are combined."""
    shape, axes, samples = ((20, 30, 4), "YXS", "rgb+alpha") if alpha else ((20, 30), "YX", "")
    image = np.random.default_rng(3).uniform(0.1, 1, shape)
    image[9, 9] = np.nan if not alpha else image[9, 9]
    info = ImageInfo(shape, "float64", axes, samples=samples)
    kernel = Kernel.from_array("k", np.abs(bank_of(3)) + 0.1, bank=True)
    numbers = Numbers(nan=nan, alpha=alpha or "premultiply")

    def result(combine):
        work = Ready(plain(kernel, combine, numbers)).on(info, LIMITS)
        return work.run(Image(info, image), verify=20)[0].data

    each, found = result("stack"), result(combine)
    opaque = alpha not in ("", "drop")
    truth = JOIN[combine](each[..., :-1] if opaque else each, 0)
    np.testing.assert_allclose(truth, found[..., :-1] if opaque else found, atol=1e-9)
    if opaque and combine in ADDED:
        np.testing.assert_allclose(each[..., -1].mean(0), found[..., -1], atol=1e-9)
    elif opaque:
        np.testing.assert_array_equal(image[..., -1], found[..., -1])


def plain(kernel, combine, numbers):
    borders = parse_border("edge", "YX")
    return Correlation(kernel, combine=combine, numbers=numbers, borders=borders, stride=(1, 1), dilation=(1, 1))


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_depthwise_and_a_pointwise_step_are_those_two(special, multiplier):
    image = image_with(SPECIAL[special], shape=(2, 20, 30))
    depthwise = bank_of(2 * multiplier)
    mix = np.random.default_rng(4).integers(-1, 2, (3, 2 * multiplier)).astype(float)
    mix[0] = 1
    with np.errstate(invalid="ignore"):
        between = convolve(image, depthwise, axes="CYX", groups=2, dtype="float64")
        truth = np.array(
            [sum(weight * plane for weight, plane in zip(row, between, strict=True) if weight) for row in mix]
        )
    pair = pair_of(Kernel.from_array("d", depthwise, bank=True), Kernel.from_array("p", mix), 2)
    info = ImageInfo(image.shape, "float32", "CYX")
    filter_ = Correlation(
        pair.product, each=False, borders=parse_border("edge", "YX"), stride=(1, 1), dilation=(1, 1), pair=pair
    )
    result, _ = Ready(filter_).on(info, LIMITS).run(Image(info, image), verify=20)
    np.testing.assert_allclose(truth, result.data, atol=1e-3)


@pytest.mark.parametrize("value", [1e-25, 1e25, 1e200])
def test_the_magnitude_of_any_number_is_its_size(value):
    dtype = "f4" if value < 1e38 else "f8"
    image = np.full((5, 5), value, dtype)
    found = convolve(image, ["3", "4"], combine="magnitude")
    np.testing.assert_allclose(5 * image, found, rtol=1e-6)


def test_the_magnitude_beside_a_huge_one_is_exact():
    image = np.array([[1e200, 1, np.inf, np.nan, 1]])
    np.testing.assert_allclose(5 * image, convolve(image, ["3", "4"], combine="magnitude"))
