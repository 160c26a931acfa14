"""Named kernels do what their names say, and the `Kernel` value keeps its laws."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from skimage import filters, morphology

from convcli.errors import KernelError
from convcli.kernels import KERNELS, Kernel, parse_kernel, stack_kernels
from convcli.kernels.edges import COMPASS

FORMS = [(name, ndim) for name, kernel in KERNELS.items() for ndim in kernel.ndims]
SPACING = {"Z": (2.0, "um"), "Y": (500.0, "nm"), "X": (0.25, "µm")}


def noise(*shape):
    return np.random.default_rng(7).normal(size=shape)


def filtered(kernel, image):
    """Correlation with scipy.ndimage, border edge, the kernel's own centre."""
    origin = [c - k // 2 for c, k in zip(kernel.centre, kernel.spatial, strict=True)]
    return ndimage.correlate(image, kernel.array(), mode="nearest", origin=origin)


def check_same_filter(expected, text, image, tolerance=1e-12):
    np.testing.assert_allclose(filtered(parse_kernel(text, image.ndim), image), expected, rtol=0, atol=tolerance)


# The table


@pytest.mark.parametrize(("name", "ndim"), FORMS)
def test_every_named_kernel_parses_back_from_its_name(name, ndim):
    for text in (name, KERNELS[name].example):
        kernel = parse_kernel(text, ndim)
        assert kernel == parse_kernel(kernel.name, ndim)
        assert ndim == kernel.ndim
        assert not kernel.bank


@pytest.mark.parametrize(("name", "ndim"), FORMS)
def test_terms_add_up_to_the_taps(name, ndim):
    kernel = parse_kernel(KERNELS[name].example, ndim)
    assert kernel.shape == kernel.array().shape
    np.testing.assert_allclose(kernel.array().ravel(), list(kernel.values()), rtol=1e-14)
    assert pytest.approx(kernel.array().sum(), abs=1e-12) == kernel.sum()
    assert pytest.approx(np.abs(kernel.array()).sum(), abs=1e-12) == kernel.absolute_sum()


@pytest.mark.parametrize(("name", "ndim"), FORMS)
def test_every_named_kernel_has_a_line_and_an_example_for_the_list(name, ndim):
    assert KERNELS[name].description[0].isupper()
    assert KERNELS[name].example.startswith(name)
    assert set(KERNELS[name].readers) == set(KERNELS[name].parameters)


@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if len(kernel.ndims) == 1])
def test_a_missing_form_says_what_to_use(name):
    missing = 5 - KERNELS[name].ndims[0]
    with pytest.raises(KernelError, match=f"^'?{name}: there is no {missing}-D form; use "):
        parse_kernel(name, missing)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    "text",
    [
        "identity",
        "box",
        "box:4",
        "gaussian:2",
        "gaussian:0.3",
        "gaussian:2,size=7",
        "binomial:6",
        "sharpen",
        "sharpen:3",
        "unsharp:2,0.5",
    ],
)
def test_smoothing_and_sharpening_keep_a_constant_image(text, ndim):
    assert abs(parse_kernel(text, ndim).sum() - 1) <= 1e-15


@pytest.mark.parametrize("text", ["disk:4.5", "motion:7,30", "motion:6,90", "emboss"])
def test_flat_smoothing_kernels_sum_to_one(text):
    assert abs(parse_kernel(text).sum() - 1) <= 1e-15


@pytest.mark.parametrize(
    "text",
    ["laplacian", "log:1.5", "log:0.7,truncate=3", "dog:1,3", "sobel:y", "prewitt", "scharr", "gaussian:2,order=1"],
)
@pytest.mark.parametrize("ndim", [2, 3])
def test_kernels_of_change_sum_to_zero(text, ndim):
    assert abs(parse_kernel(text, ndim).sum()) <= 1e-15
    assert parse_kernel(text, ndim).is_zero_sum


def test_numbers_and_names_load_no_numpy():
    program = (
        "import sys; from convcli.kernels import KERNELS, parse_kernel\n"
        "for k in KERNELS.values():\n"
        "    [parse_kernel(k.example, n).sum() for n in k.ndims]\n"
        "parse_kernel('1/9 2; 3 4').flipped().normalized()\n"
        "print([m for m in ('numpy', 'scipy', 'tifffile', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


# Against scipy, scikit-image and Pillow


@pytest.mark.parametrize("shape", [(40, 50), (18, 19, 20)])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_gaussian_is_that_of_scipy(shape, sigma, order):
    image = noise(*shape)
    expected = ndimage.gaussian_filter(image, sigma, order=order, mode="nearest")
    check_same_filter(expected, f"gaussian:{sigma},order={order}", image)


def test_anisotropic_gaussian_is_in_axis_order():
    image = noise(15, 16, 17)
    expected = ndimage.gaussian_filter(image, (0.5, 1, 2), mode="nearest", truncate=3)
    check_same_filter(expected, "gaussian:0.5,1,2,truncate=3", image)
    expected = ndimage.gaussian_filter(image, 1.5, mode="nearest", radius=2)
    check_same_filter(expected, "gaussian:1.5,size=5", image)


@pytest.mark.parametrize("size", [(3, 5), (4, 2), (7, 7)])
def test_box_is_the_uniform_filter(size):
    image = noise(20, 21)
    check_same_filter(ndimage.uniform_filter(image, size, mode="nearest"), "box:{},{}".format(*size), image)


@pytest.mark.parametrize("shape", [(20, 21), (9, 10, 11)])
@pytest.mark.parametrize("filter_", [ndimage.sobel, ndimage.prewitt])
def test_derivatives_are_those_of_scipy(shape, filter_):
    image = noise(*shape)
    for axis, letter in zip(range(-1, -1 - len(shape), -1), "xyz", strict=False):
        check_same_filter(filter_(image, axis=axis, mode="nearest"), f"{filter_.__name__}:{letter}", image)


def test_scharr_weighs_3_10_3():
    assert [-3, 0, 3, -10, 0, 10, -3, 0, 3] == list(parse_kernel("scharr").values())
    assert [-3, -10, -3, 0, 0, 0, 3, 10, 3] == list(parse_kernel("scharr:y").values())


@pytest.mark.parametrize("shape", [(20, 21), (9, 10, 11)])
def test_laplacian_is_that_of_scipy(shape):
    image = noise(*shape)
    check_same_filter(ndimage.laplace(image, mode="nearest"), "laplacian", image)


def test_laplacians_of_more_neighbours_count_them():
    for ndim, counts in ((2, (4, 8)), (3, (6, 18, 26))):
        for count in counts:
            taps = sorted(parse_kernel(f"laplacian:{count}", ndim).values())
            assert [-count] + [0] * (3**ndim - 1 - count) + [1] * count == taps


@pytest.mark.parametrize("sigma", [0.8, 2.0])
def test_log_is_that_of_scipy_up_to_the_rest_of_truncation(sigma):
    image = noise(40, 41)
    bound = 2e-3 / sigma**2 * np.abs(image).max()
    check_same_filter(ndimage.gaussian_laplace(image, sigma, mode="nearest"), f"log:{sigma}", image, bound)


def test_dog_is_the_difference_of_two_scipy_gaussians():
    image = noise(40, 41)
    narrow, broad = (ndimage.gaussian_filter(image, s, mode="nearest") for s in (1, 2.5))
    check_same_filter(narrow - broad, "dog:1,2.5", image)


def test_unsharp_is_that_of_scikit_image():
    image = noise(40, 41)
    expected = filters.unsharp_mask(image, radius=2, amount=0.7, preserve_range=True)
    difference = filtered(parse_kernel("unsharp:2,0.7"), image) - expected
    assert np.abs(difference[8:-8, 8:-8]).max() < 1e-12  # its border is not edge


@pytest.mark.parametrize(("direction", "diagonal"), [("x", filters.roberts_pos_diag), ("y", filters.roberts_neg_diag)])
def test_roberts_is_that_of_scikit_image(direction, diagonal):
    image = noise(20, 21)
    expected = diagonal(image)
    result = filtered(parse_kernel(f"roberts:{direction}"), image)
    shifted = [expected[1:-1, 1:-1], expected[:-2, :-2], expected[2:, 2:], expected[1:-1, :-2], expected[1:-1, 2:]]
    assert any(np.allclose(result[1:-1, 1:-1], candidate) for candidate in shifted)


@pytest.mark.parametrize("radius", [1, 2, 3, 5.5, 7])
def test_disk_and_ball_cover_what_lies_within_the_radius(radius):
    for name, ndim, footprint in (("disk", 2, morphology.disk), ("ball", 3, morphology.ball)):
        expected = footprint(radius)
        taps = parse_kernel(f"{name}:{radius}", ndim).array()
        if radius == int(radius):
            np.testing.assert_allclose(taps, expected / expected.sum(), rtol=1e-14)
        places = np.indices(taps.shape) - taps.shape[0] // 2
        np.testing.assert_array_equal(taps > 0, (places**2).sum(axis=0) <= radius**2)


def test_binomial_is_repeated_averaging_of_neighbours():
    row = np.ones(1)
    for size in range(1, 12):
        np.testing.assert_allclose(parse_kernel(f"binomial:{size}").array(), np.outer(row, row), rtol=1e-14)
        row = np.convolve(row, [0.5, 0.5])


def test_kirsch_turns_its_fives_around_the_compass():
    assert [5, 5, 5, -3, 0, -3, -3, -3, -3] == list(parse_kernel("kirsch:n").values())
    assert [-3, 5, 5, -3, 0, 5, -3, -3, -3] == list(parse_kernel("kirsch:ne").values())
    for point, quarter_later in zip(COMPASS, COMPASS[2:] + COMPASS[:2], strict=True):
        turned = np.rot90(parse_kernel(f"kirsch:{point}").array(), -1)
        np.testing.assert_array_equal(turned, parse_kernel(f"kirsch:{quarter_later}").array())


@pytest.mark.parametrize("text", ["sobel", "prewitt", "scharr", "gaussian:1,order"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_derivatives_are_positive_where_the_image_gets_brighter(text, ndim):
    for axis, letter in zip(range(ndim), "zyx"[-ndim:], strict=True):
        ramp = np.broadcast_to(np.arange(11.0).reshape([-1 if a == axis else 1 for a in range(ndim)]), (11,) * ndim)
        orders = ",".join(str(int(a == axis)) for a in range(ndim))
        kernel = parse_kernel(f"{text}={orders}" if "order" in text else f"{text}:{letter}", ndim)
        assert filtered(kernel, ramp)[(5,) * ndim] > 0
        assert [letter] == [other for other in "zyx"[-ndim:] if kernel_answers(kernel, other, ndim)]


def kernel_answers(kernel, letter, ndim):
    """True where the kernel sees a ramp along an axis."""
    axis = "zyx"[-ndim:].index(letter)
    ramp = np.moveaxis(np.broadcast_to(np.arange(11.0), (11,) * ndim), -1, axis)
    return abs(filtered(kernel, ramp)[(5,) * ndim]) > 1e-9


def test_emboss_is_lit_from_the_top_left():
    falling = -np.add.outer(np.arange(9.0), np.arange(9.0))
    assert falling[4, 4] > filtered(parse_kernel("emboss"), falling)[4, 4]
    assert [-2, -1, 0, -1, 1, 1, 0, 1, 2] == list(parse_kernel("emboss").values())


@pytest.mark.parametrize("theta", [0, 30, 90, 200])
@pytest.mark.parametrize(("wavelength", "sigma", "psi", "gamma"), [(8, 4, 0, 0.5), (5, 2.5, 90, 1), (12, 3, 45, 2)])
def test_gabor_follows_the_formula_of_opencv(wavelength, theta, sigma, psi, gamma):
    angle = np.deg2rad(theta)
    sigma_y = sigma / gamma
    xmax = round(max(abs(3 * sigma * np.cos(angle)), abs(3 * sigma_y * np.sin(angle))))
    ymax = round(max(abs(3 * sigma * np.sin(angle)), abs(3 * sigma_y * np.cos(angle))))
    expected = np.empty((2 * ymax + 1, 2 * xmax + 1))
    for y in range(-ymax, ymax + 1):
        for x in range(-xmax, xmax + 1):
            xr, yr = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
            bell = np.exp(-0.5 * xr**2 / sigma**2 - 0.5 * yr**2 / sigma_y**2)
            expected[ymax - y, xmax - x] = bell * np.cos(2 * np.pi / wavelength * xr + np.deg2rad(psi))
    kernel = parse_kernel(f"gabor:{wavelength},{theta},{sigma},{psi},{gamma}")
    np.testing.assert_allclose(kernel.array(), expected, rtol=0, atol=1e-12)


def test_motion_along_an_axis_is_a_box():
    np.testing.assert_allclose(parse_kernel("motion:5").array(), np.full((1, 5), 0.2))
    np.testing.assert_allclose(parse_kernel("motion:5,90").array(), np.full((5, 1), 0.2))
    np.testing.assert_allclose(parse_kernel("motion:4").array(), np.array([[0.5, 1, 1, 1, 0.5]]) / 4)


@pytest.mark.parametrize("angle", [0, 17, 45, 60, 123])
def test_motion_turns_counter_clockwise(angle):
    taps = parse_kernel(f"motion:11,{angle}").array()
    np.testing.assert_allclose(np.rot90(taps), parse_kernel(f"motion:11,{angle + 90}").array(), atol=1e-12)
    np.testing.assert_allclose(taps[::-1, ::-1], taps, atol=1e-12)
    y, x = np.indices(taps.shape)
    centred = [axis - axis.mean() for axis in (y, x)]
    slope = -(taps * centred[0] * centred[1]).sum()
    assert pytest.approx(np.sign(round(np.sin(np.deg2rad(2 * angle)), 6))) == np.sign(round(slope, 6))


RESAMPLERS = {"nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos": "LANCZOS"}


@pytest.mark.parametrize("name", RESAMPLERS)
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_resampling_kernels_upsample_as_pillow_does(name, stride):
    image = noise(12, 13)
    kernel = parse_kernel(f"{name}:{stride}")
    sparse = np.zeros([stride * n for n in image.shape])
    sparse[::stride, ::stride] = image
    # Pixel i of the input is centred on stride * i + (stride - 1) / 2 of the output.
    full = np.zeros([n + k - 1 for n, k in zip(sparse.shape, kernel.shape, strict=True)])
    for (y, x), tap in np.ndenumerate(kernel.array()):
        full[y : y + sparse.shape[0], x : x + sparse.shape[1]] += tap * sparse
    begin = (kernel.shape[0] - stride) // 2
    result = full[begin : begin + sparse.shape[0], begin : begin + sparse.shape[1]]
    size = tuple(reversed(sparse.shape))
    expected = np.asarray(Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling[RESAMPLERS[name]]))
    inner = (slice(3 * stride, -3 * stride),) * 2
    np.testing.assert_allclose(result[inner], expected[inner], atol=2e-6)


@pytest.mark.parametrize("name", RESAMPLERS)
@pytest.mark.parametrize("stride", [1, 2, 3, 5, 8])
def test_each_phase_of_a_resampling_kernel_sums_to_one(name, stride):
    factor = np.array(parse_kernel(f"{name}:{stride}").terms[0][0])
    np.testing.assert_allclose([factor[phase::stride].sum() for phase in range(stride)], 1, rtol=1e-14)
    assert 0 == (len(factor) - stride) % 2


@pytest.mark.parametrize("stride", range(1, 9))
def test_bilinear_is_that_of_fully_convolutional_networks(stride):
    size = 2 * stride - stride % 2
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    row = 1 - abs(np.arange(size) - centre) / factor
    np.testing.assert_allclose(parse_kernel(f"bilinear:{stride}").array(), np.outer(row, row), atol=1e-15)


def test_the_stride_of_the_command_is_that_of_the_kernel_unless_it_has_its_own():
    assert "bilinear:2,3" == parse_kernel("bilinear", stride=(2, 3)).name
    assert parse_kernel("bicubic:4") == parse_kernel("bicubic:4", stride=(2, 3))
    assert "gaussian:2" == parse_kernel("gaussian:2", stride=(2, 2)).name


# Parameters


@pytest.mark.parametrize(
    ("canonical", "text"),
    [
        ("gaussian:2", "gaussian:sigma=2.0"),
        ("gaussian:2", " gaussian : 2,2 "),
        ("gaussian:1,2,truncate=3", "gaussian:truncate=3,sigma=1,2"),
        ("gaussian:1/3", "gaussian:1/3"),
        ("gaussian:size=9", "gaussian:size=9"),
        ("unsharp:2,0.5", "unsharp:amount=.5,sigma=2"),
        ("unsharp:sigma=1,2,amount=0.5", "unsharp:sigma=1,2,amount=0.5"),
        ("unsharp:amount=0.5", "unsharp:amount=0.5"),
        ("box:3,5", "box:3,5"),
        ("sharpen", "sharpen"),
    ],
)
def test_a_kernel_is_named_by_the_shortest_text_for_what_was_given(canonical, text):
    assert canonical == parse_kernel(text).name
    assert parse_kernel(canonical) == parse_kernel(text)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("gaussian: sigma 'nan' is not a finite number", "gaussian:nan"),
        ("gaussian: sigma 'inf' is not a finite number", "gaussian:inf"),
        ("gaussian: sigma must be greater than 0, not -1", "gaussian:-1"),
        ("gaussian: sigma and fwhm exclude each other; give one of them", "gaussian:1,fwhm=2"),
        ("gaussian: a sigma of 0 has no derivative; give that axis another sigma, or order 0", "gaussian:0,2,order=1"),
        ("gaussian: sigma 1e+09 needs 8e+09 taps, more than 4095; shrink the image first", "gaussian:1e9"),
        ("gaussian: sigma must be between 1e-09 and 1e+09, not 1e-20", "gaussian:1e-20"),
        ("gaussian: sigma '2x' has an unknown unit 'x'; use px, pm, nm, um, mm, cm, m, in", "gaussian:2x"),
        ("gaussian: sigma takes 1 value or 2 (y,x), not 3", "gaussian:1,2,3"),
        ("gaussian: sigma '' is not a number", "gaussian:"),
        ("gaussian: sigma is given twice", "gaussian:1,sigma=2"),
        ("gaussian: size must be odd, not 4: a Gaussian has a tap in its middle", "gaussian:2,size=4"),
        ("gaussian: size and truncate exclude each other; give one of them", "gaussian:2,size=5,truncate=2"),
        ("gaussian: order must be 0, 1 or 2, not 3", "gaussian:2,order=3"),
        (
            "gaussian: unknown parameter 'sgma'; did you mean 'sigma'? "
            "(parameters: sigma, fwhm, truncate, size, order)",
            "gaussian:sgma=2",
        ),
        ("identity: takes no parameters; got 3", "identity:3"),
        ("unsharp: takes sigma, amount; got 1, 2, 3; a threshold is an option, --threshold", "unsharp:1,2,3"),
        ("sharpen: amount takes one value, not 2", "sharpen:amount=1,2"),
        ("box: size must be a whole number from 1 to 4095, not 0", "box:0"),
        ("box: size must be a whole number from 1 to 4095, not 2.5", "box:2.5"),
        ("box: size must be a whole number from 1 to 4095, not 5000", "box:5000"),
        ("sobel: direction must be x or y, not 'z'; z needs conv3d", "sobel:z"),
        ("sobel: direction must be x or y, not 'yx'", "sobel:yx"),
        ("laplacian: neighbours must be 4 or 8 in 2-D, not '6'", "laplacian:6"),
        ("kirsch: towards must be one of nw, n, ne, e, se, s, sw, w, not 'up'", "kirsch:up"),
        ("dog: sigma1 and sigma2 must differ, or nothing is left", "dog:2,2"),
        ("log: a sigma this small leaves one tap on an axis; use 0.2 or more", "log:0.1"),
        ("lanczos: stride 1000 needs 6000 taps, more than 4095", "lanczos:1000"),
        ("disk: radius 1e+06 needs more than 4095 taps; shrink the image first", "disk:1e6"),
        ("motion: 1x1000001 taps are too many; shrink the image first", "motion:1e6"),
    ],
)
def test_wrong_parameters_are_told_in_one_line(message, text):
    with pytest.raises(KernelError) as caught:
        parse_kernel(text)
    assert message == caught.value.message


def test_lengths_with_a_unit_become_samples_along_each_axis():
    assert "gaussian:4,8" == parse_kernel("gaussian:2um", spacing=SPACING).name
    assert "gaussian:1,4,8" == parse_kernel("gaussian:2um", 3, spacing=SPACING).name
    assert "gaussian:8,4" == parse_kernel("gaussian:4um,1000nm", spacing=SPACING).name
    assert "unsharp:sigma=2,4,amount=0.5" == parse_kernel("unsharp:1um,0.5", spacing=SPACING).name
    assert "gaussian:3" == parse_kernel("gaussian:0.3mm", spacing=dict.fromkeys("YX", (0.1, "mm"))).name
    assert "gaussian:254" == parse_kernel("gaussian:1in", spacing=dict.fromkeys("YX", (0.1, "mm"))).name


def test_box_sizes_with_a_unit_round_to_the_nearest_odd_number_of_taps():
    lengths = ("0.1um", "0.9um", "1um", "1.4um", "1.5um", "2um", "3um", "4um")
    spacing = dict.fromkeys("YX", (0.5, "um"))
    assert [1, 1, 3, 3, 3, 5, 7, 9] == [parse_kernel(f"box:{length}", spacing=spacing).shape[0] for length in lengths]
    assert "box:7,13" == parse_kernel("box:3um", spacing=SPACING).name


def test_pixels_need_no_spacing():
    assert parse_kernel("gaussian:2") == parse_kernel("gaussian:2px")
    assert parse_kernel("box:4") == parse_kernel("box:4 px")


@pytest.mark.parametrize(
    "spacing", [None, {"Y": (1.0, "um")}, {"X": (0.0, "um")}, {"X": (1.0, "")}, {"X": (np.nan, "um")}]
)
def test_a_unit_without_spacing_is_an_error(spacing):
    with pytest.raises(KernelError, match=r"sigma is in um, but the image does not say how far apart samples are"):
        parse_kernel("gaussian:2um", spacing=spacing)


# The value


taps_2d = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(st.floats(-1e6, 1e6), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: Kernel.from_values("k", shape, values)
    )
)


@settings(deadline=None)
@given(taps_2d)
def test_turning_twice_changes_nothing(kernel):
    assert kernel == kernel.flipped().flipped()
    np.testing.assert_array_equal(kernel.array()[::-1, ::-1], kernel.flipped().array())


@settings(deadline=None)
@given(taps_2d)
def test_turning_is_convolution(kernel):
    image = noise(9, 8)
    expected = ndimage.convolve(image, kernel.array(), mode="nearest")
    odd = [k % 2 == 1 for k in kernel.shape]
    if all(odd):  # for even sizes scipy moves the centre as well
        np.testing.assert_allclose(filtered(kernel.flipped(), image), expected, rtol=1e-9, atol=1e-3)


def test_turning_moves_the_centre_of_even_kernels_with_the_taps():
    assert (0, 1) == parse_kernel("1 2 3; 4 5 6").flipped().centre
    assert (1, 0) == parse_kernel("3x2+2+0:1,2,3,4,5,6").flipped().centre
    turned = parse_kernel("gaussian:1,2,order=1,0").flipped()
    np.testing.assert_array_equal(turned.array(), parse_kernel("gaussian:1,2,order=1,0").array()[::-1, ::-1])


@settings(deadline=None)
@given(taps_2d)
def test_normalised_taps_sum_to_one_unless_they_sum_to_zero(kernel):
    normal = kernel.normalized()
    if kernel.is_zero_sum:
        assert kernel == normal
    else:
        assert pytest.approx(1, abs=1e-8) == normal.sum()


def test_each_filter_of_a_bank_is_normalised_alone():
    bank = Kernel.from_values("b", (3, 2, 1, 2), [1, 1, 1, 1, -1, 1, 2, -2, 0, 0, 0, 5], bank=True).normalized()
    np.testing.assert_allclose(bank.array().sum(axis=(1, 2, 3)), [1, 0, 1])
    np.testing.assert_array_equal(bank.array()[1].ravel(), [-1, 1, 2, -2])


def test_scaling_scales_taps_and_terms_alike():
    for text in ("gaussian:2", "dog:1,2", "disk:3"):
        kernel = parse_kernel(text)
        np.testing.assert_allclose(kernel.scaled(-3).array(), -3 * kernel.array(), rtol=1e-14)


def test_a_bank_is_turned_filter_by_filter():
    taps = np.arange(2 * 3 * 2 * 3.0).reshape(2, 3, 2, 3)
    bank = Kernel.from_array("b", taps, bank=True)
    np.testing.assert_array_equal(taps[:, :, ::-1, ::-1], bank.flipped().array())
    assert (0, 1) == bank.flipped().centre
    assert (2, 3, (2, 3), 2) == (bank.outputs, bank.inputs, bank.spatial, bank.ndim)


def test_minus_zero_is_zero():
    assert Kernel.from_values("k", (1, 2), [0.0, 1]) == Kernel.from_values("k", (1, 2), [-0.0, 1])
    assert Kernel.from_array("k", np.array([[0.0, 1]])) == Kernel.from_array("k", np.array([[-0.0, 1]]))


@pytest.mark.parametrize("tap", [np.nan, np.inf, -np.inf, 1e39])
def test_taps_that_float32_cannot_hold_are_refused(tap):
    for make in (
        lambda: Kernel.from_values("k", (1, 2), [1, tap]),
        lambda: Kernel.from_array("k", np.array([[1, tap]])),
        lambda: Kernel.from_terms("k", [([1.0], [1.0, tap])]),
        lambda: Kernel.from_values("k", (1, 2), [1, 1]).scaled(tap),
        lambda: parse_kernel("box:1").scaled(tap),
    ):
        with pytest.raises(KernelError, match="is not a finite float32 number"):
            make()


def test_values_must_fill_the_shape():
    for shape, values in (((2, 2), [1, 2, 3]), ((0, 3), []), ((1,), [])):
        with pytest.raises(KernelError, match="values do not fill a kernel of"):
            Kernel.from_values("k", shape, values)


def test_an_origin_must_be_a_tap():
    kernel = parse_kernel("1 2 3")
    assert (0, 2) == kernel.at_origin((0, 2)).centre
    assert kernel == kernel.at_origin((0, 1))
    for origin in ((0, 3), (-1, 0), (0,), (0, 0, 0)):
        with pytest.raises(KernelError, match="is not a tap of a 1x3 kernel"):
            kernel.at_origin(origin)


TEXTS = [
    "identity",
    "box:4,3",
    "sobel:x",
    "gaussian:1",
    "3x2+0+1:1,2,3,4,5,6",
    "roberts:y",
    "1x5+0+4:1,2,3,4,5",
    "motion:6,30",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4))
def test_stacked_kernels_filter_as_they_do_alone(texts):
    image = noise(14, 15)
    kernels = [parse_kernel(text) for text in texts]
    stacked = stack_kernels(kernels)
    assert (len(kernels), 1, *stacked.spatial) == stacked.shape
    assert stacked.bank
    for plane, kernel in zip(stacked.array()[:, 0], kernels, strict=True):
        alone = Kernel.from_array("k", plane).at_origin(stacked.centre)
        np.testing.assert_allclose(filtered(alone, image), filtered(kernel, image), atol=1e-12)


def test_stacked_volumes_share_a_centre():
    stacked = stack_kernels([parse_kernel("sobel:z", 3), parse_kernel("box:1,2,5", 3)])
    assert (2, 1, 3, 3, 5) == stacked.shape
    np.testing.assert_array_equal(stacked.array()[0, 0, :, :, 1:4], parse_kernel("sobel:z", 3).array())


def test_what_cannot_be_stacked_is_refused():
    bank = parse_kernel("1 ^ 2")
    for others in ([bank, bank], [parse_kernel("box:3"), bank], [parse_kernel("box:3"), parse_kernel("box:3", 3)]):
        with pytest.raises(KernelError, match="only plain kernels"):
            stack_kernels(others)


@settings(deadline=None)
@given(st.fractions(min_value=-100, max_value=100, max_denominator=300))
def test_a_fraction_keeps_its_name(fraction):
    typed = Fraction(fraction)
    kernel = parse_kernel(f"{typed.numerator}/{typed.denominator}")
    assert [typed.numerator / typed.denominator] == list(kernel.values())
    assert len(kernel.name) <= max(len(str(typed)), 8)
