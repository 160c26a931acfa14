"""`convcli dilate` against the definition: rates, side by side and in a chain, with borders, sample types and slips."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
import scipy.ndimage
import tifffile
from skimage import data

import oracle
from convcli import convolve
from convcli.geometry.axis import effective_kernel
from convcli.geometry.gridding import reach
from convcli.kernels import parse_kernel


@pytest.fixture
def dilated(run):
    """Puts an array through `convcli dilate`: the result as NumPy reads it, and the JSON report."""

    def through(folder, image, *words, axes=None):
        np.save(folder / "in.npy", image)
        axes = ("--axes", axes) if axes else ()
        code, errors = run("dilate", folder / "in.npy", *axes, *words, "-o", folder / "out.npy", "-f", "-qq", "--json")
        assert (0, []) == (code, errors)
        return np.load(folder / "out.npy"), json.loads(run.output)

    return through


def stuffed(taps, rates):
    """Taps with zeros between them, put there one by one."""
    wide = np.zeros([rate * (k - 1) + 1 for rate, k in zip(rates, taps.shape, strict=True)])
    for place in np.ndindex(taps.shape):
        wide[tuple(rate * p for rate, p in zip(rates, place, strict=True))] = taps[place]
    return wide


def text(taps):
    """Taps as one types them."""
    if taps.ndim == 3:
        return " | ".join(map(text, taps))
    return "; ".join(" ".join(map(repr, map(float, row))) for row in taps)


def test_rates_1_2_and_4_of_a_3x3_kernel_reach_over_3_5_and_9_pixels(tmp_path, dilated):
    image = np.zeros((20, 20), np.float32)
    for rate, size in ((1, 3), (2, 5), (4, 9)):
        assert size == effective_kernel(3, rate)
        found = dilated(tmp_path, image, "-k", "box:3", "--rate", rate)[1]
        assert ([size, size], 20 * 20 * 9) == (found["effective_kernel"], found["macs"])


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_a_rate_is_zeros_between_taps(tmp_path, ndim, seed, dilated):
    rng = np.random.default_rng(10 * ndim + seed)
    image = rng.standard_normal(rng.integers(9, 14, ndim)).astype(np.float32)
    taps = rng.standard_normal(rng.integers(1, 4, ndim))
    rates = rng.integers(1, 5, ndim)
    words = ("--rate", ",".join(map(str, rates)), "-k", text(taps), *(["--3d"] if ndim == 3 else []))
    result, report = dilated(tmp_path, image, *words, axes="ZYX"[-ndim:])
    expected = scipy.ndimage.correlate(
        image.astype(float), stuffed(taps, rates), mode="nearest", origin=origins(taps, rates)
    )
    np.testing.assert_allclose(expected, result, atol=1e-5)
    assert [rate * (k - 1) + 1 for rate, k in zip(rates, taps.shape, strict=True)] == report["effective_kernel"]


def origins(taps, rates):
    """How far scipy's centre (K // 2) must move to be the middle tap (k // 2)."""
    return [int(rate * (k // 2) - (rate * (k - 1) + 1) // 2) for rate, k in zip(rates, taps.shape, strict=True)]


def test_rates_side_by_side_are_the_single_rates_stacked(tmp_path, dilated):
    image = np.random.default_rng(1).standard_normal((2, 15, 17)).astype(np.float32)
    words = ("-k", "sobel:x", "-k", "log:1")
    together = dilated(tmp_path, image, *words, "--rates", "1,2,4x1", axes="CYX")[0]
    alone = [dilated(tmp_path, image, *words, "--rate", rate, axes="CYX")[0] for rate in ("1", "2", "4,1")]
    expected = np.stack([each.reshape(2, 2, 15, 17) for each in alone], 1).reshape(-1, 15, 17)
    np.testing.assert_array_equal(expected, together)


def test_a_picture_becomes_a_stack_of_pictures(tmp_path, run):
    iio.imwrite(tmp_path / "in.png", data.astronaut()[:40, :50])
    assert (0, []) == run(
        "dilate", tmp_path / "in.png", "-k", "box:3", "--rates", "1,3", "-o", tmp_path / "o.tif", "-q"
    )
    image = data.astronaut()[:40, :50].astype(float)
    for made, rate in zip(tifffile.imread(tmp_path / "o.tif"), (1, 3), strict=True):
        exact = scipy.ndimage.correlate(image, stuffed(np.full((3, 3), 1 / 9), (rate, rate))[..., None], mode="nearest")
        assert np.abs(exact - made).max() <= 0.501


def test_a_bank_at_several_rates_lists_all_filters_of_each_rate(tmp_path, dilated):
    rng = np.random.default_rng(2)
    image, bank = rng.standard_normal((4, 12, 13)), rng.standard_normal((6, 2, 3, 2))
    np.save(tmp_path / "bank.npy", bank)
    words = ("-k", tmp_path / "bank.npy", "-g", 2, "--rates", "2,1", "-p", "same", "-b", "zero")
    result = dilated(tmp_path, image, *words, axes="CYX")[0]
    expected = [
        oracle.correlate(
            image, bank, stride=(1, 1), dilation=(rate, rate), groups=2,
            pads=[oracle.pads_of("same", n, k, 1, rate) for n, k in ((12, 3), (13, 2))],
        )
        for rate in (2, 1)
    ]  # fmt: skip
    np.testing.assert_allclose(np.concatenate(expected), result, rtol=1e-10, atol=1e-10)


def test_a_name_with_the_rate_keeps_the_results_apart(tmp_path, run):
    image = data.camera()[:40, :50]
    iio.imwrite(tmp_path / "in.png", image)
    assert 0 == run("dilate", tmp_path / "in.png", "-k", "box:3", "--rates", "1,2x4", "-o", tmp_path / "a{rate}.png")[0]
    for name, rates in (("a1", (1, 1)), ("a2x4", (2, 4))):
        exact = scipy.ndimage.correlate(image.astype(float), stuffed(np.full((3, 3), 1 / 9), rates), mode="nearest")
        assert np.abs(exact - iio.imread(tmp_path / f"{name}.png")).max() <= 0.501


@pytest.mark.parametrize(("combine", "together"), [("sum", np.sum), ("mean", np.mean), ("max", np.max)])
def test_one_kernel_combines_its_rates(tmp_path, combine, together, dilated):
    image = np.random.default_rng(3).standard_normal((30, 31)).astype(np.float32)
    alone = [dilated(tmp_path, image, "-k", "log:1", "--rate", rate)[0] for rate in (1, 2, 5)]
    joined, report = dilated(tmp_path, image, "-k", "log:1", "--rates", "1,2,5", "--combine", combine)
    np.testing.assert_allclose(together(alone, axis=0), joined, atol=1e-5)
    assert 3 * 81 * 30 * 31 == report["macs"]


def test_several_kernels_are_combined_at_each_rate(tmp_path, dilated):
    image = data.camera()[:40, :50].astype(np.float32)
    words = ("-k", "sobel:x", "-k", "sobel:y")
    result = dilated(tmp_path, image, *words, "--rates", "1,2", "--combine", "magnitude")[0]
    for made, rate in zip(result, (1, 2), strict=True):
        both = [convolve(image, parse_kernel(name), dilation=rate) for name in ("sobel:x", "sobel:y")]
        np.testing.assert_allclose(np.hypot(*both), made, rtol=1e-5, atol=1e-3)


def chain(image, kernels, rates, border):
    """Step by step in float64, each with its border."""
    result = np.asarray(image, float)
    for taps, rate in zip(kernels, rates, strict=True):
        wide = stuffed(taps, (rate,) * taps.ndim)
        result = scipy.ndimage.correlate(result, wide, mode=border, origin=origins(taps, (rate,) * taps.ndim))
    return result


@pytest.mark.parametrize(("border", "peer"), [("edge", "nearest"), ("reflect", "mirror"), ("wrap", "grid-wrap")])
def test_a_chain_is_its_steps_with_one_rounding_at_the_end(tmp_path, border, peer, dilated):
    image = data.camera()[:60, :70]
    box = np.full((3, 3), 1 / 9)
    result, report = dilated(tmp_path, image, "-k", "box:3", "--chain", "1,2,4", "-b", border)
    exact = chain(image, [box] * 3, (1, 2, 4), peer)
    assert np.uint8 == result.dtype
    assert np.abs(exact - result).max() <= 0.501
    assert ([15, 15], [15, 15], []) == (report["receptive_field"], report["pixels_read"], report["warnings"])


def test_every_step_of_a_chain_may_have_its_kernel(tmp_path, dilated):
    rng = np.random.default_rng(4)
    image, kernels = rng.standard_normal((30, 29)), [rng.standard_normal(shape) for shape in ((3, 3), (2, 3), (1, 5))]
    words = [word for taps in kernels for word in ("-k", text(taps))]
    result = dilated(tmp_path, image, *words, "--chain", "2,1,3")[0]
    np.testing.assert_allclose(chain(image, kernels, (2, 1, 3), "nearest"), result, rtol=1e-9, atol=1e-9)


def test_a_chain_of_volumes(tmp_path, dilated):
    image = np.random.default_rng(5).standard_normal((9, 10, 11))
    kernel = np.full((3, 3, 3), 1 / 27)
    result, report = dilated(tmp_path, image, "-k", "box:3", "--3d", "--chain", "1,2", axes="ZYX")
    np.testing.assert_allclose(chain(image, [kernel] * 2, (1, 2), "nearest"), result, atol=1e-12)
    assert [7, 7, 7] == report["receptive_field"]


def test_scale_and_bias_come_once_at_the_end_of_a_chain(tmp_path, dilated):
    image = data.camera()[:30, :30]
    expected = 0.5 * chain(image, [np.full((3, 3), 1 / 9)] * 2, (1, 2), "nearest") + 7
    result = dilated(tmp_path, image, "-k", "box:3", "--chain", "1,2", "--scale", 0.5, "--bias", 7)[0]
    assert np.abs(expected - result).max() <= 0.501


def test_a_chain_at_rate_1_is_the_filter_itself_with_alpha_light_nan_and_nodata(tmp_path, run):
    rng = np.random.default_rng(6)
    iio.imwrite(tmp_path / "in.png", rng.integers(0, 256, (20, 21, 4), dtype=np.uint8))
    for options in ([], ["--linear"], ["--alpha", "straight"], ["--alpha", "drop"], ["--nodata", "9"], ["--bias", "3"]):
        words = (tmp_path / "in.png", "-k", "gaussian:1", *options, "-f", "-q")
        assert 0 == run("conv2d", *words, "-o", tmp_path / "one.png")[0]
        assert 0 == run("dilate", *words, "--chain", "1", "-o", tmp_path / "chain.png")[0]
        once, chained = (iio.imread(tmp_path / name).astype(int) for name in ("one.png", "chain.png"))
        assert np.abs(once - chained).max() <= 1
        assert np.mean(once != chained) < 1e-3


def test_nan_spreads_by_the_footprint_of_the_chain(tmp_path, dilated):
    image = np.zeros((21, 21), np.float32)
    image[10, 10] = np.nan
    result = dilated(tmp_path, image, "-k", "1 1 1", "--chain", "1,3")[0]
    assert list(range(6, 15)) == np.flatnonzero(np.isnan(result[10])).tolist()
    assert not np.isnan(np.delete(result, 10, 0)).any()


HOLES = [
    ([1, 2, 4], 15, 15),
    ([1, 2, 5], 17, 17),
    ([2, 2, 2], 13, 7),
    ([2, 4, 8], 29, 15),
    ([1, 2, 9], 25, 21),
    ([3, 1], 9, 9),
    ([5], 11, 3),
]


@pytest.mark.parametrize(("rates", "field", "read"), HOLES)
def test_the_pixels_that_a_chain_reads_are_those_that_an_impulse_reaches(rates, field, read):
    line = np.zeros(101)
    line[50] = 1
    for rate in rates:
        line = sum(np.roll(line, shift) for shift in (-rate, 0, rate))
    touched = np.flatnonzero(line)
    assert (field, read) == (np.ptp(touched) + 1, len(touched))
    found = reach((3, rate, 1) for rate in rates)
    assert (field, read) == (found.field, found.read)


def test_a_chain_with_holes_is_warned_of(tmp_path, dilated):
    report = dilated(tmp_path, np.zeros((30, 30)), "-k", "box:3", "--chain", "2,2,2")[1]
    assert "reads 49 of the 169 pixels in its receptive field of 13x13 (Wang et al., 2018" in report["warnings"][0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_a_rate_keeps_the_sample_type(tmp_path, dtype, dilated):
    image = (np.arange(300).reshape(15, 20) % 120).astype(dtype)
    for words in (("--rate", "3"), ("--rates", "1,3"), ("--chain", "1,3")):
        result = dilated(tmp_path, image, "-k", "identity", *words)[0]
        assert dtype == result.dtype
        np.testing.assert_array_equal(np.broadcast_to(image, result.shape), result)


SLIPS = [
    ((), "give one of --rate, --rates and --chain"),
    (("--rate", "2", "--chain", "1,2"), "give one of --rate, --rates and --chain"),
    (("--rate", "0"), "0 is too small"),
    (("--rates", "1,2,1"), "has a rate twice"),
    (("--rates", "1,x"), "is not a whole number"),
    (("--rates", "1,2", "-p", "valid"), "the rates give results of 28x28, 26x26 pixels, which are no one image"),
    (("--chain", "1,2,3", "-k", "box:3"), "2 kernels for a chain of 3"),
    (("--rates", "1,2", "--report", "r.json", "-o", "{rate}.png"), "put {rate} into its name"),
    (("--rate", "2", "--combine", "max"), "--combine needs several kernels"),
]


@pytest.mark.parametrize(("words", "said"), SLIPS)
def test_a_slip_is_one_line(tmp_path, words, said, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    iio.imwrite("in.png", data.camera()[:30, :30])
    output = () if "-o" in words else ("-o", "out.png")
    code, lines = run("dilate", "in.png", "-k", "box:3", *words, *output)
    assert (True, 1) == (code in (1, 2), len(lines)), lines
    assert said in lines[0]
    assert ["in.png"] == [path.name for path in tmp_path.iterdir()]


def test_help_says_that_this_is_not_morphology(run):
    assert 0 == run("dilate", "--help")[0]
    assert "This is not the dilation of morphology" in " ".join(run.output.split())
