"""`convcli conv3d` as a user types it: axes, kernels with three dimensions, borders, banks and slips."""

import json

import numpy as np
import pytest
import scipy.ndimage
import tifffile

from convcli.kernels import KERNELS
from oracle import correlate

SCIPY = {"edge": "nearest", "zero": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}
"""Our names of what lies outside, and those of scipy.ndimage."""


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def filtered(tmp_path, run):
    """An array through a command as .npy; `axes` names more than two dimensions."""

    def through(image, *options, command="conv3d", axes="ZYX"):
        np.save(tmp_path / "in.npy", image)
        words = (command, tmp_path / "in.npy", "--axes", axes, *options, "-o", tmp_path / "out.npy", "-f", "-q")
        assert (0, []) == run(*words)
        return np.load(tmp_path / "out.npy")

    return through


@pytest.mark.parametrize("border", SCIPY)
@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 5, 4), (1, 7, 2), (9, 9, 9)])
def test_every_border_is_that_of_scipy(filtered, rng, border, shape):
    image, taps = rng.standard_normal((5, 11, 12)), rng.standard_normal(shape)
    np.save(kernel := "taps.npy", taps)
    expected = scipy.ndimage.correlate(image, taps, mode=SCIPY[border], cval=0)
    np.testing.assert_allclose(expected, filtered(image, "-k", kernel, "-b", border), atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32"])
def test_integers_are_rounded_once(filtered, rng, dtype):
    limits = np.iinfo(dtype)
    image = rng.integers(limits.min, limits.max, (9, 20, 70), dtype=dtype, endpoint=True)
    exact = scipy.ndimage.gaussian_filter(image.astype(float), 1.5, mode="nearest")
    result = filtered(image, "-k", "gaussian:1.5")
    assert dtype == result.dtype
    assert np.abs(exact - result).max() <= 0.5 + 1e-3


def test_axes_have_their_own_sigma_stride_dilation_padding_and_border(filtered, rng):
    image = rng.standard_normal((9, 14, 15)).astype(np.float32)
    blurred = scipy.ndimage.gaussian_filter(image.astype(float), (0.5, 1, 2), mode=("wrap", "nearest", "nearest"))
    words = ("-k", "gaussian:0.5,1,2", "-b", "z=wrap,yx=edge", "-s", "1,2,3")
    np.testing.assert_allclose(blurred[:, ::2, ::3], filtered(image, *words), atol=1e-5)
    taps = np.ones((1, 1, 2, 3, 2))
    pads, steps = ((1, 0), (0, 2), (2, 2)), {"stride": (2, 1, 1), "dilation": (1, 3, 2)}
    expected = correlate(image[None], taps, pads=pads, **steps)[0]
    np.save("ones.npy", taps[0, 0])
    words = ("-k", "ones.npy", "-s", "2,1,1", "-d", "1,3,2", "-p", "1:0,0:2,2")
    np.testing.assert_allclose(expected, filtered(image, *words), atol=1e-4)


def test_an_impulse_shows_the_order_of_slices_rows_and_columns(filtered):
    image = np.zeros((4, 5, 5), np.uint8)
    image[1, 2, 2] = 1
    taps = np.arange(1, 19).reshape(2, 3, 3)
    typed = " | ".join("; ".join(" ".join(map(str, row)) for row in plane) for plane in taps)
    np.testing.assert_array_equal(taps[::-1, ::-1, ::-1], filtered(image, "-k", typed)[1:3, 1:4, 1:4])
    np.testing.assert_array_equal(taps, filtered(image, "-k", typed, "--flip")[:2, 1:4, 1:4])


def test_the_tap_on_the_voxel_can_be_named(filtered, rng):
    image = rng.standard_normal((5, 6, 7))
    expected = scipy.ndimage.correlate(image, np.ones((2, 3, 2)), mode="nearest", origin=(-1, 1, 0))
    np.save("ones.npy", np.ones((2, 3, 2)))
    np.testing.assert_allclose(expected, filtered(image, "-k", "ones.npy", "--origin", "0,2,1"), atol=1e-12)


def test_slices_come_from_text_arrays_and_stacks_alike(filtered, rng, tmp_path):
    image, taps = rng.standard_normal((6, 8, 9)).astype(np.float32), rng.integers(0, 99, (3, 2, 4)).astype(np.uint8)
    (tmp_path / "k.txt").write_text("\n\n".join("\n".join(" ".join(map(str, row)) for row in z) for z in taps))
    (tmp_path / "k.json").write_text(json.dumps(taps.tolist()))
    np.save(tmp_path / "k.npy", taps)
    tifffile.imwrite(tmp_path / "k.tif", taps, photometric="minisblack")
    expected = scipy.ndimage.correlate(image.astype(float), taps.astype(float), mode="nearest")
    for name in ("k.txt", "k.json", "k.npy", "k.tif"):
        np.testing.assert_allclose(expected, filtered(image, "-k", tmp_path / name), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("method", ["auto", "direct", "gemm", "fft"])
def test_a_bank_sums_over_channels(filtered, rng, method):
    image, bank = rng.standard_normal((4, 6, 9, 8)).astype(np.float32), rng.standard_normal((6, 2, 3, 2, 3))
    np.save("bank.npy", bank)
    pads = [(1, 1), (1, 0), (1, 1)]
    one = {"stride": (1,) * 3, "dilation": (1,) * 3}
    expected = correlate(image, bank, pads=pads, border="edge", groups=2, **one)
    words = ("-k", "bank.npy", "-g", "2", "-m", method)
    np.testing.assert_allclose(expected, filtered(image, *words, axes="CZYX"), atol=1e-4)
    last = filtered(np.moveaxis(image, 0, 1), *words, axes="ZCYX")
    np.testing.assert_allclose(np.moveaxis(expected, 0, 1), last, atol=1e-4)


def test_times_channels_and_colours_are_filtered_one_by_one_and_keep_their_order(filtered, rng):
    image = rng.integers(0, 256, (2, 5, 3, 8, 9, 3), dtype=np.uint8)
    result = filtered(image, "-k", "box:3", axes="TZCYXS")
    assert image.shape == result.shape
    for time in range(2):
        for channel in range(3):
            for sample in range(3):
                alone = filtered(np.ascontiguousarray(image[time, :, channel, ..., sample]), "-k", "box:3")
                np.testing.assert_array_equal(alone, result[time, :, channel, ..., sample])


def test_several_kernels_make_channels_and_magnitudes(filtered, rng):
    image = rng.standard_normal((6, 9, 10)).astype(np.float32)
    words = [word for axis in "xyz" for word in ("-k", f"sobel:{axis}")]
    gradients = [scipy.ndimage.sobel(image.astype(float), axis, mode="nearest") for axis in (2, 1, 0)]
    np.testing.assert_allclose(np.stack(gradients), filtered(image, *words), atol=1e-4)
    together = filtered(image, *words, "--combine", "magnitude")
    np.testing.assert_allclose(np.sqrt(np.square(gradients).sum(axis=0)), together, atol=1e-4)


def test_conv2d_filters_each_plane_of_a_stack_alone(filtered, rng):
    image = rng.integers(0, 65536, (7, 30, 31), dtype=np.uint16)
    result = filtered(image, "-k", "gaussian:2", command="conv2d")
    for plane, alone in zip(result, image, strict=True):
        np.testing.assert_array_equal(filtered(alone, "-k", "gaussian:2", command="conv2d", axes="YX"), plane)


PEERS = {
    "box:3": lambda v: scipy.ndimage.uniform_filter(v, 3, mode="nearest"),
    "gaussian:2,1,0.7": lambda v: scipy.ndimage.gaussian_filter(v, (2, 1, 0.7), mode="nearest"),
    "gaussian:1,order=1": lambda v: scipy.ndimage.gaussian_filter(v, 1, order=1, mode="nearest"),
    "laplacian": lambda v: scipy.ndimage.laplace(v, mode="nearest"),
    "log:1.2": lambda v: scipy.ndimage.gaussian_laplace(v, 1.2, mode="nearest"),
    "dog:1,2": lambda v: gaussian(v, 1) - gaussian(v, 2),
    "unsharp:1.5,0.5": lambda v: v + 0.5 * (v - gaussian(v, 1.5)),
    "sharpen": lambda v: v - scipy.ndimage.laplace(v, mode="nearest"),
    "sobel:z": lambda v: scipy.ndimage.sobel(v, 0, mode="nearest"),
    "prewitt:y": lambda v: scipy.ndimage.prewitt(v, 1, mode="nearest"),
    "identity": lambda v: v,
}


def gaussian(volume, sigma):
    return scipy.ndimage.gaussian_filter(volume, sigma, mode="nearest")


@pytest.mark.parametrize("kernel", PEERS)
def test_a_named_kernel_is_what_scipy_means_by_it(filtered, rng, kernel):
    image = rng.standard_normal((14, 15, 16))
    atol = 2e-3 if kernel.startswith("log") else 1e-12  # its taps are made to sum to zero
    np.testing.assert_allclose(PEERS[kernel](image), filtered(image, "-k", kernel), atol=atol)


@pytest.mark.parametrize("kernel", [each.example for each in KERNELS.values() if 3 in each.ndims])
def test_every_kernel_with_three_axes_agrees_with_its_taps(filtered, rng, kernel, tmp_path, run):
    image = rng.standard_normal((6, 7, 8))
    assert (0, []) == run("kernels", "--3d", kernel, "-o", tmp_path / "taps.npy", "-f")
    taps = np.load(tmp_path / "taps.npy")
    assert 3 == taps.ndim
    expected = scipy.ndimage.correlate(image, taps, mode="nearest")
    np.testing.assert_allclose(expected, filtered(image, "-k", kernel), atol=1e-11 * np.abs(taps).sum())


def test_pages_of_a_plain_tiff_are_a_stack_which_is_no_warning(tmp_path, run, rng):
    tifffile.imwrite(
        tmp_path / "in.tif", rng.integers(0, 99, (4, 8, 9), np.uint8), photometric="minisblack", metadata=None
    )
    code, lines = run("conv3d", tmp_path / "in.tif", "-k", "box:3", "-o", tmp_path / "o.tif", "--strict")
    assert 0 == code
    assert any("4 pages are read as a stack (ZYX)" in line for line in lines)
    assert not any(line.startswith("warning") for line in lines)


SLIPS = [
    ("YX", (8, 9), ("-k", "box:3"), 1, "a 3-D filter needs axis Z, the image has YX 8x9; use conv2d", "shape"),
    ("CYX", (3, 8, 9), ("-k", "box:3"), 1, "the image has CYX 3x8x9; use conv2d, or --axes", "shape"),
    ("ZYX", (4, 8, 9), ("-k", "disk:3"), 2, "disk: there is no 3-D form; use ball", "kernel"),
    ("ZYX", (4, 8, 9), ("-k", "box:3", "-s", "2,2"), 2, "'2,2' has 2 numbers; give 1 or 3", "usage"),
    ("ZYX", (4, 8, 9), ("-k", "box:3", "-p", "1,1"), 2, "'1,1' has 2 entries; give 1 or 3", "usage"),
    ("ZYX", (4, 8, 9), ("-k", "box:3", "-b", "q=edge"), 2, "q", "usage"),
    ("ZYX", (4, 8, 9), ("-k", "box:9", "-p", "valid"), 1, "does not fit 4x8x9", "shape"),
    ("ZYX", (4, 8, 9), ("-k", "box:3", "-g", "2"), 2, "groups need a filter bank (O, I/g, kd, kh, kw)", "usage"),
    ("ZYX", (4, 8, 9), ("-k", "gaussian:2um"), 2, "sigma is in um, but the image does not say", "kernel"),
    ("ZYX", (4, 8, 9), ("-k", "1 2 | 3"), 2, "slice 2 is 1x1, slice 1 is 1x2", "kernel"),
]


@pytest.mark.parametrize(("axes", "shape", "options", "code", "message", "word"), SLIPS)
def test_a_slip_is_one_line_and_an_exit_code(tmp_path, run, axes, shape, options, code, message, word):
    np.save(tmp_path / "in.npy", np.zeros(shape, np.uint8))
    found, lines = run("conv3d", tmp_path / "in.npy", "--axes", axes, *options, "-o", tmp_path / "o.npy", "-q")
    assert (code, 1) == (found, len(lines))
    assert message in lines[0]
    assert lines[0].endswith(f"[{word}]")
    assert not (tmp_path / "o.npy").exists()


def test_nothing_is_guessed_from_a_length(tmp_path, run):
    np.save(tmp_path / "in.npy", np.zeros((3, 8, 9), np.uint8))
    code, lines = run("conv3d", tmp_path / "in.npy", "-k", "box:3", "-o", tmp_path / "o.npy")
    assert (1, True) == (code, "name its dimensions with --axes" in lines[0])
