"""`convcli separable` against the definition of its two steps; factored banks against their best approximation."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from skimage import data

import make_samples
import oracle
from command import peak_memory


@pytest.fixture
def separable(run):
    """Puts an array through `convcli separable`: the result as NumPy reads it, and the JSON report."""

    def through(folder, image, *words, axes="CYX"):
        np.save(folder / "in.npy", image)
        words = ("separable", folder / "in.npy", "--axes", axes, *words)
        code, errors = run(*words, "-o", folder / "out.npy", "-f", "-qq", "--json")
        assert (0, []) == (code, errors)
        return np.load(folder / "out.npy"), json.loads(run.output)

    return through


def two_steps(image, kernels, matrix, *, stride, dilation, padding, border):
    """The depthwise step by the definition, whole in memory, then the mix."""
    axes = zip(image.shape[1:], kernels.shape[2:], stride, dilation, strict=True)
    pads = [oracle.pads_of(padding, *axis) for axis in axes]
    between = oracle.correlate(
        image, kernels, stride=stride, dilation=dilation, pads=pads, border=border, groups=len(image)
    )
    return np.einsum("op,p...->o...", matrix, between)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_a_pair_is_its_two_steps(tmp_path, separable, ndim, seed):
    rng = np.random.default_rng(100 * ndim + seed)
    channels, multiplier, outputs = rng.integers(1, 5), rng.integers(1, 4), rng.integers(1, 6)
    image = rng.standard_normal((channels, *rng.integers(8, 13, ndim)))
    kernels = rng.standard_normal((channels * multiplier, 1, *rng.integers(1, 4, ndim)))
    matrix = rng.standard_normal((outputs, channels * multiplier))
    stride, dilation = (tuple(map(int, rng.integers(1, 3, ndim))) for _ in range(2))
    padding, border = str(rng.choice(["same", "valid", "full"])), str(rng.choice(list(oracle.PAD)))
    np.save(tmp_path / "kernels.npy", kernels)
    np.save(tmp_path / "matrix.npy", matrix.reshape(outputs, -1, *(1,) * (ndim if seed % 2 else 0)))
    words = ("--depthwise", tmp_path / "kernels.npy", "--pointwise", tmp_path / "matrix.npy", "-p", padding)
    words += ("-s", ",".join(map(str, stride)), "-d", ",".join(map(str, dilation)), "-b", border)
    result, report = separable(tmp_path, image, *words, axes="C" + "ZYX"[-ndim:])
    expected = two_steps(image, kernels, matrix, stride=stride, dilation=dilation, padding=padding, border=border)
    np.testing.assert_allclose(expected, result, rtol=1e-9, atol=1e-9)
    positions, taps = np.prod(expected.shape[1:]), np.prod(kernels.shape[2:])
    assert positions * channels * multiplier * (taps + outputs) == report["macs"]


@pytest.mark.parametrize("method", ["direct", "gemm", "fft", "separable"])
def test_every_method_makes_the_first_step(tmp_path, separable, method):
    rng = np.random.default_rng(1)
    image = rng.standard_normal((3, 60, 70)).astype(np.float32)
    kernels = np.multiply.outer(rng.standard_normal((6, 1, 5)), rng.standard_normal(5))
    matrix = rng.standard_normal((4, 6))
    np.save(tmp_path / "kernels.npy", kernels)
    np.save(tmp_path / "matrix.npy", matrix)
    words = ("--depthwise", tmp_path / "kernels.npy", "--pointwise", tmp_path / "matrix.npy", "-m", method)
    result, report = separable(tmp_path, image, *words, "--verify=50")
    expected = two_steps(image, kernels, matrix, stride=(1, 1), dilation=(1, 1), padding="same", border="edge")
    most = np.abs(matrix) @ np.abs(kernels).sum(axis=(1, 2, 3)) * np.abs(image).max()
    assert (np.abs(expected - result).max() <= 2e-5 * most.max(), method) == (True, report["method"])


def test_the_costs_of_the_textbook(tmp_path, separable):
    np.save(tmp_path / "matrix.npy", np.ones((128, 3)))
    image = np.ones((3, 7, 7), np.float32)
    words = ("--depthwise", "box:3", "--pointwise", tmp_path / "matrix.npy", "-p", "valid")
    result, report = separable(tmp_path, image, *words)
    pair = report["pair"]
    assert ((128, 5, 5), 10_275, 86_400) == (result.shape, report["macs"], pair["dense_macs"])
    assert (675, 9_600) == (pair["depthwise"]["macs"], pair["pointwise"]["macs"])
    assert pytest.approx(1 / 128 + 1 / 9) == pair["ratio"]


def test_the_textbook_is_in_the_report(tmp_path, run):
    np.save(tmp_path / "matrix.npy", np.ones((128, 3)))
    np.save(tmp_path / "in.npy", np.ones((3, 7, 7), np.float32))
    words = ("separable", tmp_path / "in.npy", "--axes", "CYX", "--depthwise", "box:3", "-p", "valid", "--explain")
    lines = run(*words, "--pointwise", tmp_path / "matrix.npy")[1]
    assert "work       10,275 MACs: 675 depthwise + 9,600 pointwise; 20,550 FLOPs" in lines
    assert "dense      86,400 MACs, 8.41 times as many: 1/9 + 1/128 = 0.1189" in lines


def test_one_kernel_serves_all_channels_and_several_serve_each(tmp_path, separable):
    image = np.random.default_rng(2).standard_normal((2, 9, 10))
    box, edge = np.full((3, 3), 1 / 9), np.array([[0, 0, 0], [-1, 0, 1], [0, 0, 0]])
    once = two_steps(
        image, np.array([[box], [box]]), np.array([[1, -2]]),
        stride=(1, 1), dilation=(1, 1), padding="same", border="edge",
    )  # fmt: skip
    np.testing.assert_allclose(
        once, separable(tmp_path, image, "--depthwise", "box:3", "--pointwise", "1 -2")[0], atol=1e-12
    )
    twice = two_steps(
        image, np.array([[box], [edge], [box], [edge]]), np.array([[1, 2, 3, 4], [0, 1, 0, -1]]),
        stride=(1, 1), dilation=(1, 1), padding="same", border="edge",
    )  # fmt: skip
    words = ("--depthwise", "box:3", "--depthwise", "-1 0 1", "--pointwise", "1 2 3 4; 0 1 0 -1")
    np.testing.assert_allclose(twice, separable(tmp_path, image, *words)[0], atol=1e-12)


def test_bias_scale_and_sample_type(tmp_path, separable):
    image = data.camera()[:20, :30][None]
    words = ("--depthwise", "box:3", "--pointwise", "1; -1")
    plain = separable(tmp_path, image, *words)[0]
    assert np.float32 == plain.dtype
    result, report = separable(tmp_path, image, *words, "--scale", 0.5, "--bias", 3, "-t", "uint8")
    np.testing.assert_array_equal(np.clip(np.rint(0.5 * plain.astype(float) + 3), 0, 255), result)
    assert np.count_nonzero(0.5 * plain[1] + 3 < -0.5) == report["clipped"]["below"] > 0


def test_opacity_is_no_channel(tmp_path, run):
    iio.imwrite(tmp_path / "in.png", np.dstack([data.astronaut()[:20, :30], np.full((20, 30), 7, np.uint8)]))
    words = (
        "separable",
        tmp_path / "in.png",
        "--depthwise",
        "identity",
        "--pointwise",
        ".5 .25 .25",
        "-q",
        "-t",
        "uint8",
    )
    assert 0 == run(*words, "-o", tmp_path / "grey.png")[0]
    expected = data.astronaut()[:20, :30].astype(float) @ [0.5, 0.25, 0.25]
    assert np.abs(expected - iio.imread(tmp_path / "grey.png")).max() <= 0.501


def test_nan_stays_within_the_footprint_and_off_weights_of_zero(tmp_path, separable):
    image = np.ones((2, 9, 9), np.float32)
    image[1, 4, 4] = np.nan
    result = separable(tmp_path, image, "--depthwise", "box:3", "--pointwise", "1 1; 1 0")[0]
    expected = np.zeros((2, 9, 9), bool)
    expected[0, 3:6, 3:6] = True
    np.testing.assert_array_equal(expected, np.isnan(result))
    ignored = separable(tmp_path, image, "--depthwise", "box:3", "--pointwise", "1 1; 1 0", "--nan", "ignore")[0]
    np.testing.assert_allclose(np.stack([np.full((9, 9), 2.0), np.ones((9, 9))]), ignored, rtol=1e-6)


def test_factors_that_cancel_are_rounded_as_their_product(tmp_path, separable):
    image = np.random.default_rng(3).integers(0, 256, (1, 30, 30)).astype(np.uint8)
    words = ("--depthwise", "1000 1 0", "--depthwise", "-1000 0 1", "--pointwise", "1 1", "-b", "zero", "-t", "int16")
    result = separable(tmp_path, image, *words)[0]
    padded = np.pad(image[0].astype(int), ((0, 0), (0, 1)))
    np.testing.assert_array_equal([padded[:, :-1] + padded[:, 1:]], result)


def random_bank(folder, shape, seed=4):
    """A bank, also as a file."""
    bank = np.random.default_rng(seed).standard_normal(shape)
    np.save(folder / "bank.npy", bank)
    return bank


def best(bank, rank):
    """The best pair of a rank: channel by channel, by eigenvectors of the Gram matrix."""
    made = np.empty_like(bank)
    for channel in range(bank.shape[1]):
        rows = bank[:, channel].reshape(len(bank), -1)
        _, vectors = np.linalg.eigh(rows.T @ rows)
        kept = vectors[:, -rank:]
        made[:, channel] = (rows @ kept @ kept.T).reshape(bank[:, channel].shape)
    return made


@pytest.mark.parametrize("shape", [(7, 3, 3, 3), (5, 2, 4, 2), (4, 2, 2, 3, 3)])
def test_a_bank_becomes_the_nearest_pair_of_a_rank(tmp_path, separable, shape):
    bank = random_bank(tmp_path, shape)
    image = np.random.default_rng(5).standard_normal((shape[1], *(9,) * (len(shape) - 2)))
    for rank in (1, 2, 4):
        near = best(bank, rank)
        words = ("-k", tmp_path / "bank.npy", "--rank", rank, "-b", "zero")
        result, report = separable(tmp_path, image, *words, axes="C" + "ZYX"[2 - len(shape) :])
        pads = [oracle.pads_of("same", n, k, 1, 1) for n, k in zip(image.shape[1:], shape[2:], strict=True)]
        ones = (1,) * (len(shape) - 2)
        expected = oracle.correlate(image, near, stride=ones, dilation=ones, pads=pads)
        np.testing.assert_allclose(expected, result, atol=1e-9)
        error = np.linalg.norm(bank - near) / np.linalg.norm(bank)
        assert pytest.approx(error, abs=1e-9) == report["ranks"][rank - 1]["error"]


def test_full_rank_loses_nothing_and_rank_auto_takes_the_fewest(tmp_path, separable):
    bank = random_bank(tmp_path, (6, 2, 3, 3))
    bank = best(bank, 3)
    np.save(tmp_path / "bank.npy", bank)
    image = np.random.default_rng(6).standard_normal((2, 12, 12))
    result, report = separable(tmp_path, image, "-k", tmp_path / "bank.npy", "-b", "zero")
    expected = oracle.correlate(image, bank, stride=(1, 1), dilation=(1, 1), pads=[(1, 1)] * 2)
    np.testing.assert_allclose(expected, result, atol=1e-9)
    assert (3, 3) == (report["pair"]["multiplier"], len(report["ranks"]))
    errors = [each["error"] for each in report["ranks"]]
    loose = separable(tmp_path, image, "-k", tmp_path / "bank.npy", "--tolerance", errors[1] * 1.01)[1]
    assert 2 == loose["pair"]["multiplier"]


def test_saved_factors_are_read_back(tmp_path, separable):
    random_bank(tmp_path, (5, 3, 3, 3))
    image = np.random.default_rng(7).standard_normal((3, 10, 10))
    pair = tmp_path / "pair.npz"
    first = separable(tmp_path, image, "-k", tmp_path / "bank.npy", "--rank", 2, "--save-factors", pair)[0]
    with np.load(pair) as factors:
        assert {"depthwise": (6, 1, 3, 3), "pointwise": (5, 6)} == {name: factors[name].shape for name in factors}
    for words in (("--depthwise", pair), ("--depthwise", f"{pair}:depthwise", "--pointwise", f"{pair}:pointwise")):
        np.testing.assert_array_equal(first, separable(tmp_path, image, *words)[0])


def test_explain_saves_no_factors(tmp_path, run):
    random_bank(tmp_path, (5, 3, 3, 3))
    np.save(tmp_path / "in.npy", np.zeros((3, 8, 8)))
    words = ("separable", tmp_path / "in.npy", "--axes", "CYX", "-k", tmp_path / "bank.npy", "--explain")
    assert 0 == run(*words, "--save-factors", tmp_path / "pair.npz")[0]
    assert not (tmp_path / "pair.npz").exists()


def test_what_is_between_the_steps_is_never_whole_in_memory(tmp_path):
    image = np.zeros((4, 1000, 1000), np.float32)
    np.save(tmp_path / "in.npy", image)
    np.save(tmp_path / "kernels.npy", np.ones((64, 1, 3, 3)))
    np.save(tmp_path / "matrix.npy", np.ones((1, 64)))
    code, peak = peak_memory(
        "separable", tmp_path / "in.npy", "--axes", "CYX", "--depthwise", tmp_path / "kernels.npy", "--pointwise",
        tmp_path / "matrix.npy", "-o", tmp_path / "out.npy", "-q", "--memory", "32MiB", "-m", "direct",
    )  # fmt: skip
    whole = 64 * 1000 * 1000 * 4
    assert (0, True) == (code, peak < whole * 0.7), peak


SLIPS = [
    ((), 2, "give --depthwise and --pointwise, or -k"),
    (("--depthwise", "box:3"), 2, "a pair has two steps"),
    (("--pointwise", "1 2 3"), 2, "a pair has two steps"),
    (("--depthwise", "box:3", "--pointwise", "1 2 3", "-k", "bank.npy"), 2, "give --depthwise and --pointwise, or -k"),
    (("--depthwise", "box:3", "--pointwise", "1 2"), 1, "1 depthwise kernel for 3 channels do not fit the 2 columns"),
    (("--depthwise", "box:3", "--pointwise", "1 2 3 4 5 6"), 1, "do not fit the 6 columns"),
    (("--depthwise", "bank.npy", "--pointwise", "1 2 3"), 2, "a depthwise kernel meets one channel"),
    (("--depthwise", "box:3", "--pointwise", "bank.npy"), 2, "is no matrix (O, C m)"),
    (("--depthwise", "box:3", "--pointwise", "1 2 3", "--rank", "2"), 2, "belong to a dense bank"),
    (("-k", "bank.npy", "--rank", "10"), 2, "rank 10 does not exist; a bank of 4 filters of 9 taps has 1 to 4"),
    (("-k", "bank.npy", "--rank", "0"), 2, "is not a rank"),
    (("-k", "bank.npy", "--multiplier", "2"), 2, "--multiplier belongs to --depthwise"),
    (("-k", "bank.npy", "--save-factors", "pair.npy"), 2, "does not end in .npz"),
    (("-k", "box:3"), 2, "is one plain kernel"),
]


@pytest.mark.parametrize(("words", "code", "said"), SLIPS)
def test_a_slip_is_one_line_and_an_exit_code(tmp_path, run, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    random_bank(tmp_path, (4, 3, 3, 3))
    iio.imwrite("in.png", data.astronaut()[:20, :20])
    found, lines = run("separable", "in.png", *words, "-o", "out.tif")
    assert (code, 1) == (found, len(lines)), lines
    assert said in lines[0]
    assert not (tmp_path / "out.tif").exists()


def test_the_sample_bank_is_what_its_script_draws_and_is_steered_from_ten():
    taps = np.load(Path(make_samples.__file__).parent / "kernels" / "derivatives.npy")
    np.testing.assert_allclose(make_samples.derivatives(), taps, atol=1e-7)
    steps = np.linalg.svd(taps[:, 1].reshape(24, -1), compute_uv=False)
    assert (10, True) == (np.count_nonzero(steps > 1e-6), steps[9] > 0.01)


def test_a_multiplier_repeats_the_one_kernel_for_all(tmp_path, separable):
    image = np.random.default_rng(8).standard_normal((2, 9, 10))
    words = ("--depthwise", "box:3", "--pointwise", "1 2 3 4", "--multiplier", 2)
    folded = separable(tmp_path, image, "--depthwise", "box:3", "--pointwise", "3 7")[0]
    result, report = separable(tmp_path, image, *words)
    np.testing.assert_allclose(folded, result, atol=1e-12)
    assert 2 == report["pair"]["multiplier"]


def test_several_kernels_on_one_channel_are_a_bank_to_factor(tmp_path, separable):
    image = np.random.default_rng(9).standard_normal((12, 13))
    words = [word for name in ("sobel:x", "sobel:y", "1 0 -1; 3 0 -3; 1 0 -1", "prewitt:x") for word in ("-k", name)]
    exact = separable(tmp_path, image, *words, axes="YX")
    assert 2 + 1 == exact[1]["pair"]["multiplier"]
    one = separable(tmp_path, image, *words, "--rank", 4, axes="YX")
    np.testing.assert_allclose(one[0], exact[0], atol=1e-9)
