"""64-bit integers are exact or refused with the magnitude up to which they are; 32-bit ones are exact always."""

import json
from itertools import product

import numpy as np
import pytest
import tifffile

from convcli import convolve, native
from convcli.errors import ConvError

VALUES = {
    "int64": [2**62 + 12345, 2**63 - 1, -(2**63), -(2**53) - 1, -1, 0, 3, 2**32, -(2**32) + 1],
    "uint64": [2**62 + 12345, 2**64 - 1, 2**63, 2**53 + 1, 0, 3, 2**32, 2**63 + 2**31 + 1],
}
PARTS = ("AVAILABLE", "MINIMAL", "LAYERS", "FOURIER", "PATCHES", "COPIES", "WIDE")


@pytest.fixture(params=[True, False], ids=["compiled", "NumPy"])
def either(request, monkeypatch):
    """With the extension, and without."""
    for part in () if request.param else PARTS:
        monkeypatch.setattr(native, part, False)


def image_of(dtype, shape=(9, 11), seed=0):
    """The values that tell rounding from none, at random places."""
    return np.random.default_rng(seed).choice(np.array(VALUES[dtype], dtype), shape)


def defined(image, taps, bias=0):
    """The sums of products of Python's integers, the border repeated, as integers without end."""
    pixels = np.pad(image, [(k // 2, k - 1 - k // 2) for k in taps.shape], mode="edge").tolist()
    places = list(product(*map(range, taps.shape)))
    rows, columns = image.shape
    return [
        [sum(int(taps[y, x]) * pixels[r + y][c + x] for y, x in places) + bias for c in range(columns)]
        for r in range(rows)
    ]


def clipped(values, dtype):
    """(values as a type holds them, how many were below, how many above)."""
    held = np.iinfo(dtype)
    flat = [value for row in values for value in row]
    stored = np.array([[min(held.max, max(held.min, value)) for value in row] for row in values], dtype)
    return stored, sum(value < held.min for value in flat), sum(value > held.max for value in flat)


KERNELS = {
    "identity": [[1]],
    "shift": [[1, 0, 0]],
    "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "ones": [[1] * 5] * 5,
    "minus": [[-1]],
    "large": [[700000, -300000]],
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("dtype", "target"), [*product(VALUES, VALUES), ("int64", "int32"), ("uint64", "uint8")])
def test_whole_kernels_are_exact_on_all_integers_of_64_bits(run, either, kernel, dtype, target):
    image, taps = image_of(dtype), np.array(KERNELS[kernel])
    np.save("a.npy", image)
    np.save("k.npy", taps.astype(float))
    for bias in (0, 7):
        words = "conv2d", "a.npy", "-k", "k.npy", "-t", target, f"--bias={bias}", "-o", "o.npy", "-f", "-q", "--json"
        code, errors = run(*words, "--verify=20")
        assert 0 == code, errors
        stored, below, above = clipped(defined(image, taps, bias), target)
        np.testing.assert_array_equal(stored, np.load("o.npy"))
        assert {"below": below, "above": above} == json.loads(run.output)["clipped"]


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tif", ".be.tif", ".nii"])
def test_every_format_of_64_bits_brings_them_back(run, dtype, suffix):
    image = image_of(dtype)
    np.save("a.npy", image)
    if suffix == ".be.tif":
        tifffile.imwrite("b.be.tif", image, byteorder=">", metadata=None)
    else:
        assert (0, []) == run("conv2d", "a.npy", "-k", "identity", "-o", f"b{suffix}", "-q")
    assert (0, []) == run(
        "conv2d", f"b{suffix}", *["--axes", "YX"] * (suffix == ".nii"), "-k", "1", "-o", "c.npy", "-q"
    )
    np.testing.assert_array_equal(image, np.load("c.npy"))


def rolled(image):
    return np.roll(image, (2, -2), (1, 2))


def absolute(image):
    return np.array([abs(value) for value in image.ravel().tolist()], "u8").reshape(image.shape)


COMMANDS = {
    "conv2d": (("conv2d", "-k", "1"), lambda image: image),
    "combined": (("conv2d", "-k", "2", "-k", "-1", "--combine", "sum"), lambda image: image),
    "conv3d": (("conv3d", "-k", "1"), lambda image: image),
    "bank": (("conv2d", "-k", "one.npy", "-t", "same"), lambda image: image[1:2]),
    "nearest": (("upsample", "-k", "nearest"), lambda image: image.repeat(2, 1).repeat(2, 2)),
    "phases": (("upsample", "-k", "1", "-s", "1", "-p", "0"), lambda image: image),
    "scale": (("upsample", "-k", "nearest", "--scale", "3"), lambda image: image.repeat(3, 1).repeat(3, 2)),
    "separable": (("separable", "--depthwise", "1", "--pointwise", "mix.npy", "-t", "same"), lambda image: image[::-1]),
    "dilate": (("dilate", "-k", "0 0 1; 0 0 0; 0 0 0", "--rate", "2", "-b", "wrap"), rolled),
    "stride": (("conv2d", "-k", "1", "-s", "2"), lambda image: image[:, ::2, ::2]),
    "absolute": (("conv2d", "-k", "-1", "--range", "abs", "-t", "uint64"), absolute),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("dtype", VALUES)
def test_every_command_is_exact_where_it_only_moves_and_adds(run, either, name, dtype):
    image = image_of(dtype, (2, 9, 11))
    np.save("a.npy", image)
    np.save("one.npy", np.array([0.0, 1]).reshape(1, 2, 1, 1))
    np.save("mix.npy", np.array([[0.0, 1], [1, 0]]))
    words, truth = COMMANDS[name]
    axes = "ZYX" if name == "conv3d" else "CYX"
    code, errors = run(words[0], "a.npy", "--axes", axes, *words[1:], "-o", "o.npy", "-q", "--memory", "1MiB")
    assert 0 == code, errors
    np.testing.assert_array_equal(truth(image), np.load("o.npy"))


ROUNDING = {
    "a mean": ("conv2d", "-k", "box:3"),
    "a scale": ("conv2d", "-k", "1", "--scale", "0.1"),
    "bilinear": ("upsample", "-k", "bilinear"),
    "lanczos": ("upsample", "-k", "lanczos", "--scale", "2"),
    "overlap": ("upsample", "-k", "1 1 1", "--normalize", "overlap"),
    "a chain": ("dilate", "-k", "1", "--chain", "1,2"),
    "rates": ("dilate", "-k", "box:3", "--rates", "1,2"),
    "a pair": ("separable", "--depthwise", "box:3", "--pointwise", "1"),
    "missing": ("conv2d", "-k", "1", "--nodata", "7"),
}


@pytest.mark.parametrize("name", ROUNDING)
@pytest.mark.parametrize("dtype", VALUES)
def test_what_would_be_rounded_is_refused_with_the_largest_that_is_not(run, name, dtype):
    """The number that is named is true: up to there results are the exact ones, rounded."""
    np.save("a.npy", image_of(dtype, (1, 9, 11)))
    words = ROUNDING[name]
    base = words[0], "a.npy", "--axes", "CYX", *words[1:], "-o", "o.npy", "-q", "-f", "-t"
    code, errors = run(*base, "same")
    assert (1, 1, True) == (code, len(errors), errors[0].endswith("[dtype]")), errors
    most = int(errors[0].partition("exact up to ")[2].split(" only")[0].replace(",", ""))
    largest = image_of(dtype, (1, 9, 11)) % np.array(most // 4, dtype) * 0 + np.array(most, dtype)
    np.save("a.npy", largest)
    assert 0 == run(*base, "same")[0]
    if name in ("a mean", "bilinear", "a chain", "rates", "a pair", "missing"):
        assert {most} == set(np.load("o.npy").ravel().tolist())
    np.save("a.npy", largest + np.array(1, dtype))
    assert 1 == run(*base, "same")[0]
    assert 0 == run(*base, "float64")[0]


@pytest.mark.parametrize("place", [0, -1])
def test_a_stream_refuses_what_a_whole_image_does_before_it_writes(run, place):
    image = np.full((1200, 1000), 5, "i8")
    image.flat[place] = 2**60
    np.save("a.npy", image)
    said = [run("conv2d", "a.npy", "-k", "box:3", "--memory", memory, "-o", "o.npy") for memory in ("1GiB", "4MiB")]
    assert said[0] == said[1]
    assert (1, True) == (said[0][0], f"'a.npy': holds {2**60:,}; with this filter" in said[0][1][-1])
    image.flat[place] = 2**40
    np.save("a.npy", image)
    for memory, name in (("1GiB", "o.npy"), ("4MiB", "p.npy")):
        assert 0 == run("conv2d", "a.npy", "-k", "laplacian", "--memory", memory, "-o", name, "-q")[0]
    np.testing.assert_array_equal(np.load("o.npy"), np.load("p.npy"))


@pytest.mark.parametrize("dtype", VALUES)
def test_python_is_exact_or_refuses_too(dtype):
    image = image_of(dtype)
    np.testing.assert_array_equal(image, convolve(image, "identity"))
    with pytest.raises(ConvError, match="is exact up to"):
        convolve(image, "box:3")


@pytest.mark.parametrize("method", ["direct", "gemm", "fft", "separable"])
@pytest.mark.parametrize("dtype", ["int32", "uint32"])
def test_integers_of_32_bits_are_exact_by_every_method(dtype, method):
    held = np.iinfo(dtype)
    image = np.random.default_rng(1).choice([held.min, held.max, held.max - 1, 0, 1, 12345678], (30, 40)).astype(dtype)
    for taps in (np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]), np.array([[-1, 0, 1]] * 3), np.array([[1]])):
        if method == "separable" and taps.size == 1:
            continue
        stored, *_ = clipped(defined(image, taps), "int64")
        np.testing.assert_array_equal(stored, convolve(image, taps, method=method, dtype="int64"))
        np.testing.assert_array_equal(clipped(defined(image, taps), dtype)[0], convolve(image, taps, method=method))


@pytest.mark.parametrize("dtype", VALUES)
def test_floats_beyond_64_bits_become_the_ends_of_the_type(dtype):
    held = np.iinfo(dtype)
    image = np.array([[1e30, -1e30, 2.0**62, 0, np.inf, -np.inf]])
    np.testing.assert_array_equal(
        np.array([[held.max, held.min, 2**62, 0, held.max, held.min]], dtype), convolve(image, "1", dtype=dtype)
    )
