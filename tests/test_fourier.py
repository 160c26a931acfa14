"""The compiled transforms against the definition: every length, ragged tiles, strides, dilations, and bounds."""

import numpy as np
import pytest
import scipy.signal

from convcli import convolve, native
from convcli.filters.filter import ACCURACY
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Problem
from convcli.methods import fft, fourier
from convcli.native import spectra
from convcli.native.spectra import Spectrum
from oracle import correlate

pytestmark = pytest.mark.skipif(not native.FOURIER, reason="the native extension is not built here")


@pytest.mark.sweep(2)
@pytest.mark.parametrize("rows", [8, 16, 32, 64, 128, 512])
@pytest.mark.parametrize("columns", [8, 32, 64, 256, 1024])
def test_a_pair_of_tiles_of_every_length_is_a_correlation(rows, columns):
    rng = np.random.default_rng(rows + columns)
    taps = rng.standard_normal((min(rows - 2, 7), min(columns - 1, 5))).astype(np.float32)
    half, wide = rows - taps.shape[0] + 1, columns - taps.shape[1] + 1
    pixels = rng.standard_normal((half + rows, columns + wide + 3)).astype(np.float32)
    found = np.empty((2 * half, 2 * wide + 3), np.float32)
    Spectrum(taps, (rows, columns)).correlate(pixels, found, (half, wide))
    truth = scipy.signal.correlate(pixels.astype(float), taps.astype(float), "valid", method="direct")
    assert np.abs(truth - found).max() <= 1e-6 * np.abs(taps).sum() * np.abs(pixels).max()


@pytest.mark.parametrize("shape", [(1, 1), (5, 90), (97, 3), (130, 131), (300, 701)])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (31, 31), (64, 5)])
def test_images_of_any_size_are_tiled_without_a_seam(shape, size):
    rng = np.random.default_rng(shape[0] + size[0])
    image, taps = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(size)
    pads = [(k // 2, k - 1 - k // 2) for k in size]
    truth = correlate(image[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=pads, border="symmetric")[0]
    found = convolve(image, taps, border="symmetric", method="fft", threads=2)
    assert np.abs(truth - found).max() <= ACCURACY * np.abs(taps).sum() * np.abs(image).max()


@pytest.mark.parametrize("stride", [(1, 2), (3, 1), (2, 5)])
@pytest.mark.parametrize("dilation", [(1, 1), (3, 2)])
def test_strides_dilations_and_groups_are_the_definition(stride, dilation):
    rng = np.random.default_rng(8)
    image, taps = rng.standard_normal((3, 150, 140)).astype(np.float32), rng.standard_normal((6, 1, 6, 5))
    pads = [(4, 2), (3, 3)]
    truth = correlate(image, taps, stride=stride, dilation=dilation, pads=pads, border="zero", groups=3)
    found = convolve(image, taps, stride=stride, dilation=dilation, padding=pads, border="zero", groups=3, method="fft")
    assert truth.shape == found.shape
    assert np.abs(truth - found).max() <= ACCURACY * np.abs(taps).sum(axis=(1, 2, 3)).max() * np.abs(image).max()


def test_interleaved_colours_and_volumes_of_planes_are_filtered_plane_by_plane():
    rng = np.random.default_rng(9)
    image, taps = rng.integers(0, 256, (70, 80, 3), np.uint8), rng.random((17, 17)) / 17**2
    found = convolve(image, taps, axes="YXS", method="fft")
    for sample in range(3):
        alone = convolve(np.ascontiguousarray(image[..., sample]), taps, method="direct")
        np.testing.assert_array_equal(alone, found[..., sample])


def test_large_pixels_of_one_tile_do_not_show_in_its_twin_beyond_what_is_promised():
    image = np.ones((500, 100), np.float32)
    image[:40] = 1e6
    found = convolve(image, np.ones((9, 9)) / 81, method="fft")
    np.testing.assert_allclose(1, found[60:], atol=1e6 * ACCURACY)


def test_what_the_loops_cannot_do_goes_to_scipy():
    plane = Problem((Geometry(300, 31), Geometry(300, 31)))
    assert fourier.able(plane)
    for other in (
        Problem(plane.axes, itemsize=8),
        Problem(plane.axes * 2),
        Problem(plane.axes[:1] * 3),
        Problem(plane.axes, channels_in=2),
        Problem((Geometry(3000, 700), Geometry(300, 31))),
    ):
        assert not fourier.able(other)
    assert isinstance(fft.prepare(np.ones((1, 1, 31, 31)), plane), fourier.Fourier)


@pytest.mark.parametrize(
    ("pixels", "results", "half"),
    [
        (np.ones((9, 9), np.float64), np.ones((4, 4), np.float32), 4),
        (np.ones((9, 9), np.float32)[:, ::2], np.ones((4, 4), np.float32), 4),
        (np.ones((9, 9, 1), np.float32), np.ones((4, 4), np.float32), 4),
        (np.ones((0, 9), np.float32), np.ones((4, 4), np.float32), 4),
        (np.ones((9, 9), np.float32), np.ones((40, 4), np.float32), 4),
        (np.ones((9, 9), np.float32), np.ones((4, 4), np.float32), 0),
        (np.ones((9, 9), np.float32), np.ones((4, 4), np.float32), 17),
    ],
)
def test_nothing_outside_the_buffers_is_touched(pixels, results, half):
    spectrum = Spectrum(np.ones((3, 3), np.float32), (16, 16))
    with pytest.raises(ValueError, match=r"plane|axis|tile"):
        spectrum.correlate(pixels, results, (half, 14))


@pytest.mark.parametrize("shape", [(12, 16), (16, 4), (2048, 16)])
def test_lengths_that_are_no_powers_of_two_are_refused(shape):
    with pytest.raises(ValueError, match="powers of two"):
        Spectrum(np.ones((3, 3), np.float32), shape)


def test_taps_larger_than_a_tile_are_refused():
    with pytest.raises(ValueError, match="taps are larger"):
        Spectrum(np.ones((17, 3), np.float32), (16, 16))


@pytest.mark.parametrize("size", [(31, 31), (20, 5), (2, 30), (101, 90)])
@pytest.mark.parametrize(
    "picture", ["gradient", "dark", "corner", "speck", "black", "counts", "mask", "blob", "denormal", "overflow"]
)
def test_every_output_of_a_pair_of_tiles_keeps_the_promise_whichever_way_it_is_settled(size, picture):
    rng = np.random.default_rng(sum(size))
    image = 1 + rng.random((330, 290))
    image *= {
        "gradient": 10.0 ** (-np.arange(290) / 9),
        "dark": np.where(np.arange(290) < 100, 1, 1e-4 * (np.arange(330) < 200)[:, None]),
        "corner": np.where(np.hypot(*(np.mgrid[:330, :290] - 90)) < 50, 1e-4, 1),
        "speck": np.where(np.hypot(*(np.mgrid[:330, :290] - 70)) < 60, 1e-37 * (rng.random(image.shape) < 1e-3), 1),
        "black": np.where(np.arange(290) < 70, 0, 1),
        "counts": rng.poisson(0.01, image.shape),
        "mask": np.hypot(*(np.mgrid[:330, :290] - 150)) < 90,
        "blob": np.exp(-(((np.mgrid[:330, :290] - 150) / 12) ** 2).sum(axis=0)),
        "denormal": 1e-38,
        "overflow": np.where(rng.random(image.shape) < 1e-4, 1e34, 1),
    }[picture]
    image, taps = image.astype(np.float32), rng.standard_normal(size).astype(np.float32)
    found = convolve(image, taps, padding="valid", method="fft", threads=1)
    for _ in range(400):
        y, x = (int(rng.integers(n)) for n in found.shape)
        window = image[y : y + size[0], x : x + size[1]].astype(float)
        truth, reach = (window * taps).sum(), np.abs(window * taps).sum()
        assert abs(truth - found[y, x]) <= ACCURACY * reach + 1e-44 * taps.size
        assert reach or not found[y, x]


@pytest.mark.parametrize("width", [5, 8, 9, 31])
def test_dark_results_at_the_edge_of_a_narrow_image_keep_the_promise(width):
    rng = np.random.default_rng(width)
    image = (1 + rng.random((300, 30 + width))).astype(np.float32)
    image[120:170] *= np.float32(1e-4)
    taps = rng.random((31, 31)).astype(np.float32)
    found = convolve(image, taps, padding="valid", method="fft", threads=1)
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(float), taps.shape)
    truth = np.einsum("yxij,ij->yx", windows, taps)
    assert (np.abs(found - truth) <= ACCURACY * truth).all()


@pytest.mark.parametrize("picture", ["noise", "columns", "wave"])
def test_what_sums_to_nothing_under_a_smooth_kernel_keeps_the_promise_and_noise_does_so_in_float32(picture):
    rng = np.random.default_rng(12)
    image = {
        "noise": lambda: rng.standard_normal((330, 290)),
        "columns": lambda: rng.standard_normal(290) * np.ones((330, 1)),
        "wave": lambda: np.cos(np.arange(290) * np.pi / 4 + 0.3) * np.ones((330, 1)),
    }[picture]().astype(np.float32)
    y, x = np.mgrid[-30:31, -30:31]
    taps = np.exp(-(x**2 + y**2) / 200).astype(np.float32)
    problem = Problem((Geometry(330, 61), Geometry(290, 61)), local=True)
    made, (high, wide) = fft.prepare(taps[None, None], problem), fft.tile(problem)
    image, found = image[: high + 60, : wide + 60], np.empty((1, high, wide), np.float32)
    made(image[None], found)
    exact = scipy.signal.correlate(image.astype(float), taps.astype(float), "valid", method="fft")
    reach = scipy.signal.correlate(np.abs(image).astype(float), taps.astype(float), "valid", method="fft")
    assert np.all(np.abs(exact - found[0]) <= ACCURACY * reach)
    assert picture != "noise" or "finer" not in vars(made.spectra[0])


@pytest.mark.parametrize("kernel", ["disk", "signed", "large"])
@pytest.mark.parametrize("picture", ["dim", "grain", "specks", "stars"])
def test_dark_parts_of_a_photograph_keep_the_promise_in_float32(kernel, picture):
    rng = np.random.default_rng(13)
    y, x = np.mgrid[:340, :310]
    image = 0.5 + 0.3 * np.sin(y / 40 + x / 60) + 0.01 * rng.standard_normal(y.shape)
    image *= {
        "dim": lambda: np.where(x < 150, 3e-3 if kernel == "disk" else 1e-2, 1),
        "grain": lambda: rng.uniform(0.5, 1.5, x.shape) * np.where(x < 150, 0.006 if kernel == "disk" else 0.02, 1),
        "specks": lambda: np.where(x < 150, 4e-3 * (rng.random(x.shape) < 0.03), 1),
        "stars": lambda: 0.01 + 0.99 * (rng.random(x.shape) < 1e-3),
    }[picture]()
    taps = {
        "disk": lambda: np.hypot(*(np.mgrid[-15:16, -15:16])) <= 15,
        "signed": lambda: rng.standard_normal((31, 29)),
        "large": lambda: 1 + rng.random((70, 45)),
    }[kernel]().astype(np.float32)
    problem = Problem(tuple(Geometry(n, k) for n, k in zip(image.shape, taps.shape, strict=True)), local=True)
    made, (high, wide) = fft.prepare(taps[None, None], problem), fft.tile(problem)
    image = image[: high + taps.shape[0] - 1, : wide + taps.shape[1] - 1].astype(np.float32)
    found = np.empty((1, *(n - k + 1 for n, k in zip(image.shape, taps.shape, strict=True))), np.float32)
    made(image[None], found)
    exact = scipy.signal.correlate(image.astype(float), taps.astype(float), "valid", method="fft")
    reach = scipy.signal.correlate(np.abs(image).astype(float), np.abs(taps).astype(float), "valid", method="fft")
    assert np.all(np.abs(exact - found[0]) <= ACCURACY * reach + 1e-12)
    assert "finer" not in vars(made.spectra[0])


@pytest.mark.parametrize("side", spectra.SQUARES)
def test_what_taps_over_squares_come_to_is_their_sums(side):
    taps = np.random.default_rng(14).random((9, 18)).astype(np.float32)
    found = spectra._by_squares(taps, side)
    down, right = 2, {8: 4, 16: 3}[side]
    assert found.shape == (side // 8, side // 8, down, right, 8, 8)
    for y, x in np.ndindex(side, side):
        spread = np.zeros((down * side, right * side))
        spread[y : y + 9, x : x + 18] = taps
        sums = spread.reshape(down, side, right, side).sum(axis=(1, 3))
        np.testing.assert_allclose(found[y // 8, x // 8, :, :, y % 8, x % 8], sums, rtol=1e-6)
