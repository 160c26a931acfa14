"""Signals, of one dimension: the same filters along a row, against SciPy and NumPy in one dimension."""

import io
import json

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st

import convcli
from command import convcli as run
from convcli import ConvError, convolve, dilate, make_plan, parse_kernel, resize, separable, upsample
from convcli.api.plans import request

MODES = {"edge": "nearest", "zero": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}
SIGNAL = np.random.default_rng(5).normal(0, 1, 41)
NAMED = ("gaussian:2", "box:5", "laplacian", "sharpen", "log:1.5", "dog:1,2", "binomial:5", "unsharp:2", "sobel:x")
"""Kernels whose sums along columns are kernels of one dimension."""


def columns(name):
    """The kernel of a picture whose rows are all alike."""
    return parse_kernel(name).array().sum(axis=0)


@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("name", [*NAMED, "1 2 4"])
def test_a_filter_is_that_of_one_dimension(name, border):
    taps = columns(name)

    found = convolve(SIGNAL, name, border=border)

    wanted = ndi.correlate1d(SIGNAL, taps, mode=MODES[border])
    assert found.shape == SIGNAL.shape
    np.testing.assert_allclose(found, wanted, atol=1e-12 * np.abs(taps).sum() * np.abs(SIGNAL).max())


def test_the_textbook_begins_so():
    done = run("conv2d", "-", "--format", "csv", "-k", "1 2 3", "-o", "-", stdin=b"0,0,1,0,0")
    assert (done.returncode, done.stdout) == (0, b"0,3,2,1,0\n")
    full = ("--flip", "--padding", "full", "--border", "zero")
    flipped = run("conv2d", "-", "--format", "csv", "-k", "1 2 3", *full, "-o", "-", stdin=b"0,0,1")
    assert flipped.stdout == b"0,0,1,2,3\n"


@settings(deadline=None)
@given(st.data())
def test_sizes_strides_and_dilation_are_those_of_numpy(data):
    taps = np.array(data.draw(st.lists(st.integers(-4, 4), min_size=1, max_size=5)), float)
    stride, rate = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    wide = np.zeros(rate * (len(taps) - 1) + 1)
    wide[::rate] = taps
    pad = data.draw(st.integers(0, 4))
    signal = SIGNAL[: data.draw(st.integers(len(wide), 41))]

    found = convolve(signal, taps[None], padding=pad, border="zero", stride=stride, dilation=rate)

    padded = np.pad(signal, pad)
    np.testing.assert_allclose(found, np.correlate(padded, wide, "valid")[::stride], atol=1e-9)
    full = convolve(signal, taps[None], padding="full", flip=True, border="zero")
    np.testing.assert_allclose(full, np.convolve(signal, taps), atol=1e-9)


def test_every_operation_keeps_one_dimension():
    twice = np.repeat(SIGNAL, 2)
    np.testing.assert_allclose(upsample(SIGNAL, "nearest"), twice)
    np.testing.assert_allclose(resize(SIGNAL, 2, "nearest"), twice)
    assert upsample(SIGNAL, "1 2 1", stride=3, padding=1).shape == (3 * 40 + 3 - 2,)
    assert upsample(SIGNAL, "1 2 1", output_size=(1, 82)).shape == (82,)
    assert dilate(SIGNAL, "1 2 3", rates=(1, 2)).shape == (2, 41)
    chained = ndi.correlate1d(ndi.correlate1d(SIGNAL, [1, 2, 3], mode="nearest"), [1, 0, 2, 0, 3], mode="nearest")
    np.testing.assert_allclose(dilate(SIGNAL, "1 2 3", chain=(1, 2)), chained)
    assert convolve(SIGNAL, ["1 2 1", "gaussian:3"]).shape == (2, 41)
    assert separable(np.stack([SIGNAL, SIGNAL]), "box:3", [[1.0, 1.0]], axes="CX").shape == (1, 41)
    np.testing.assert_allclose(convolve(np.stack([SIGNAL, -SIGNAL]), "box:3", axes="CX")[1], -convolve(SIGNAL, "box:3"))
    assert make_plan(SIGNAL, request("convolve", "gaussian:2")).macs == 41 * 17


def test_a_part_of_a_signal():
    inside = np.arange(41) % 3 > 0
    region = convolve(SIGNAL, "box:3", region="5:-5")
    np.testing.assert_allclose(region[5:-5], convolve(SIGNAL, "box:3")[5:-5])
    assert np.array_equal(region[:5], SIGNAL[:5])
    masked = convolve(SIGNAL, "box:3", mask=inside)
    known = ndi.correlate1d(np.where(inside, SIGNAL, 0), np.ones(3), mode="nearest")
    weight = ndi.correlate1d(inside.astype(float), np.ones(3), mode="nearest")
    np.testing.assert_allclose(masked[inside], (known / weight)[inside])
    assert np.array_equal(masked[~inside], SIGNAL[~inside])
    with pytest.raises(ConvError, match="one slice"):
        convolve(SIGNAL[None], "box:3", region="5:-5")


@pytest.mark.parametrize(
    ("kernel", "word"),
    [("sobel:y", "compares rows"), ("1 2; 3 4", "has 2 rows"), (np.ones((3, 3, 3)), "conv2d|axes|axis")],
)
def test_what_has_no_meaning_along_a_row_is_refused(kernel, word):
    with pytest.raises(ConvError, match=word):
        convolve(SIGNAL, kernel)


def test_files_of_one_dimension_stay_so(tmp_path):
    np.save(tmp_path / "a.npy", SIGNAL.astype(np.float32))

    done = run("conv2d", tmp_path / "a.npy", "-k", "gaussian:2", "-o", tmp_path / "b.npy", "--json")

    told = json.loads(done.stdout)
    assert (told["axes"], told["shape"]) == ("X", {"input": [41], "output": [41]})
    wanted = ndi.correlate1d(SIGNAL.astype(np.float32).astype(float), columns("gaussian:2"), mode="nearest")
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), wanted, atol=1e-6)
    image = convcli.read(tmp_path / "b.npy")
    assert (image.info.axes, image.data.shape) == ("X", (41,))
    convcli.write(tmp_path / "c.npz", image)
    assert np.load(tmp_path / "c.npz")["image"].shape == (41,)
    assert convolve(image, "box:3").shape == (41,)
    file = io.BytesIO()
    convcli.write(file, SIGNAL, format="npy")
    assert np.array_equal(np.load(io.BytesIO(file.getvalue())), SIGNAL)


def test_a_long_signal_streams_with_the_same_bits(tmp_path):
    long = np.random.default_rng(1).random(3_000_000).astype(np.float32)
    np.save(tmp_path / "a.npy", long)

    done = run("conv2d", tmp_path / "a.npy", "-k", "gaussian:9", "-o", tmp_path / "b.npy", "--memory", "8MiB", "-q")

    assert (done.returncode, done.stderr) == (0, b"")
    assert np.array_equal(np.load(tmp_path / "b.npy"), convolve(long, "gaussian:9"))


@pytest.mark.parametrize("words", [("--scale", "3/2", "-k", "lanczos"), ("-k", "bilinear", "--stride", "2")])
def test_enlarging_from_the_command_line(words, tmp_path):
    np.save(tmp_path / "a.npy", SIGNAL)
    assert run("upsample", tmp_path / "a.npy", *words, "-o", tmp_path / "b.csv").returncode == 0
    assert convcli.read(tmp_path / "b.csv").data.shape == ((62,) if words[0] == "--scale" else (82,))


def test_a_spacing_is_that_of_the_row(tmp_path):
    np.save(tmp_path / "a.npy", SIGNAL)
    words = ("conv2d", tmp_path / "a.npy", "-k", "gaussian:1um", "--spacing", "0.5um", "-o", tmp_path / "b.npy")
    assert run(*words).returncode == 0
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), convolve(SIGNAL, "gaussian:2"))
