"""Kernels whose taps are all alike, as sums of rectangles: exact for integers, of nothing but what is under them."""

from itertools import product

import numpy as np
import pytest

import oracle
from convcli import convolve, native, parse_kernel
from convcli.geometry.axis import padded
from convcli.geometry.problem import Problem
from convcli.kernels.kernel import Kernel
from convcli.methods.sums import summed
from convcli.native import sums
from convcli.planner import make_plan

built = pytest.mark.skipif(not sums.AVAILABLE, reason="the native extension is not built")
SIZES = ((1, 1), (1, 2), (3, 1), (2, 3), (5, 5), (16, 17), (31, 7), (1, 40), (40, 1), (9, 101))
"""Rows and columns under a kernel: one step of joining and many, with and without a pixel beside."""


def pixels(rng, shape, dtype):
    """Random samples over the whole range of a type."""
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def rectangles(source, size, step=1):
    """The sums by the definition, of whole numbers, exact in float64: (rows, columns) of (rows, columns of samples)."""
    for axis, taps in enumerate((size[0], size[1])):
        lines = source.reshape(len(source), -1, step).astype(np.float64)
        run = np.cumsum(np.insert(lines, 0, 0, axis=axis), axis=axis)
        stop = run.shape[axis]
        source = np.take(run, range(taps, stop), axis) - np.take(run, range(stop - taps), axis)
    return source.reshape(len(source), -1)


def found(source, size, tap=1.0, dtype="float64", **options):
    """The sums by compiled loops."""
    step = options.get("step", 1)
    shape = source.shape[0] - size[0] + 1, source.shape[1] - (size[1] - 1) * step
    target = np.empty((1, *shape), dtype)
    counts = sums.correlate(source[None], size, tap, target, **options)
    return target[0], counts


@built
@pytest.mark.parametrize("instructions", native.INSTRUCTIONS)
@pytest.mark.parametrize("dtype", native.WIDE_TYPES)
def test_sums_are_the_definition(dtype, instructions):
    """Of every sample type, size, and number of samples to a pixel; of whole numbers they are exact."""
    rng = np.random.default_rng(0)
    for size, columns, step in product(SIZES, (1, 5, 140), (1, 2, 3, 4)):
        shape = size[0] + 9, (size[1] - 1 + columns) * step
        source = rng.integers(0, 128, shape).astype(dtype)
        expected = rectangles(source, size, step)
        for precise in {True, dtype not in native.TYPES}:
            results = "float64" if precise else "float32"
            made, _ = found(source, size, 1.0, results, precise=precise, step=step, instructions=instructions)
            np.testing.assert_array_equal(made, expected)


@built
@pytest.mark.parametrize(("source_type", "target_type"), tuple(product(native.TYPES, native.TYPES)))
@pytest.mark.parametrize("tap", [0.011, 0.3, -0.2])
def test_results_are_rounded_clipped_and_counted(source_type, target_type, tap):
    """As everywhere: half to even, to the limits of the type, and told."""
    source = np.rint(pixels(np.random.default_rng(1), (24, 300), source_type)).astype(source_type)
    results, counts = found(source, (9, 10), tap, target_type, precise=True)
    expected = rectangles(source, (9, 10)) * tap
    if target_type == "float32":
        np.testing.assert_array_equal(results, expected.astype(np.float32))
        return
    info = np.iinfo(target_type)
    sure = np.abs(np.abs(expected - np.floor(expected)) - 0.5) > 1e-6
    np.testing.assert_array_equal(results[sure], np.rint(expected).clip(info.min, info.max)[sure])
    clipped = [np.count_nonzero(np.rint(expected) < info.min), np.count_nonzero(np.rint(expected) > info.max)]
    assert list(counts) == [*clipped, 0]


@built
@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_means_of_16_bits_are_rounded_right_beside_every_tie(dtype):
    """Of any number of pixels: the sums next to a tie, where the numbers are largest, and ties, to the even number."""
    info, rng = np.iinfo(dtype), np.random.default_rng(6)
    for count in (*range(1, 68), 81, 121, 128, 255, 256, 257):
        nearest = np.r_[info.min, info.min + 1, info.max - 1, rng.integers(info.min, info.max, 60)]
        wanted = ((2 * nearest[:, None] + 1) * count // 2 + [-1, 0, 1]).ravel().clip(info.min * count, info.max * count)
        parts = wanted[:, None] // count + (np.arange(count) < wanted[:, None] % count)
        sums_, source = parts.sum(axis=1), np.ascontiguousarray(parts.astype(dtype))
        results, _ = found(source, (1, count), 1 / count, dtype, precise=True)
        half, rest = sums_ // count, 2 * (sums_ % count)
        expected = half + (rest > count) + ((rest == count) & (half % 2 == 1))
        sure = (rest != count) | (count & (count - 1) == 0)  # others are divided by no number that is one in binary
        np.testing.assert_array_equal(results[sure, 0], expected[sure])


@built
@pytest.mark.parametrize("dtype", native.TYPES)
def test_sums_do_not_depend_on_where_they_are_made(dtype):
    """Cut anywhere, read in place or not, by any number of threads, as integers or as numbers: the same bits."""
    rng, size = np.random.default_rng(2), (37, 70)
    source = pixels(rng, (140, 3000), dtype)
    whole, _ = found(source, size, 1 / 2590, "float32")
    aside = np.zeros((140, 6001), dtype)[:, 1::2]
    aside[...] = source
    np.testing.assert_array_equal(found(aside, size, 1 / 2590, "float32")[0], whole)
    np.testing.assert_array_equal(found(source[13:99, 501:2000], size, 1 / 2590, "float32")[0], whole[13:63, 501:1931])
    if dtype == "uint8":  # whose sums a float32 holds
        np.testing.assert_array_equal(found(source.astype(np.float32), size, 1 / 2590, "float32")[0], whole)


@built
@pytest.mark.parametrize("value", [1e30, np.inf, np.nan])
def test_a_bright_pixel_does_not_show_beyond_the_kernel(value):
    """Nothing is taken away again that was added: results elsewhere have the bits that they have without it."""
    image = np.random.default_rng(3).random((130, 200), np.float32)
    expected = convolve(image, "box:31", method="separable")
    image[90, 140] = value
    results = convolve(image, "box:31", method="separable")
    results[75:106, 125:156] = expected[75:106, 125:156]
    np.testing.assert_array_equal(results, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("size", "ndim"), [("31", 2), ("1,40", 2), ("40,1", 2), ("5", 3), ("9,1,1", 3), ("1,31,1", 3)])
@pytest.mark.parametrize("border", ["edge", "constant"])
def test_means_of_the_largest_numbers_are_numbers(dtype, size, ndim, border):
    """Though no sum of them is one."""
    large = float(np.finfo(dtype).max) / 1.5
    kernel = parse_kernel(f"box:{size}", ndim=ndim)
    image = np.full((9, 60, 70)[-ndim:], large, dtype)
    options = {"border": border if border == "edge" else f"constant={large!r}", "method": "separable"}
    np.testing.assert_allclose(convolve(image, kernel, **options) / large, 1, rtol=0, atol=1e-6)
    image[...] = 1
    image[..., 30, 40], image[..., 31, 40], image[..., 5, 5] = large, -large, np.nan
    results, expected = (convolve(image, kernel, **options | {"method": each}) for each in ("separable", "direct"))
    sizes = convolve(np.abs(image), kernel, **options | {"method": "direct"})
    assert np.array_equal(np.isnan(results), np.isnan(expected))
    known = ~np.isnan(expected)
    assert (np.abs(results / 2 - expected / 2)[known] <= 2e-5 * sizes[known]).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("border", ["edge", "zero", "constant=7", "constant=0.5", "reflect", "wrap"])
def test_boxes_are_the_mean(dtype, border):
    """On planes with any border, larger than the image, too; by `separable` with its compiled loops or without."""
    image = pixels(np.random.default_rng(4), (50, 90, 3), dtype)
    for size in ("4,9", "21", "1,6", "61,1"):
        kernel = parse_kernel(f"box:{size}")
        results = convolve(image, kernel, axes="YXS", border=border, method="separable")
        direct = convolve(image.astype(np.float64), kernel, axes="YXS", border=border, method="direct")
        if np.dtype(dtype).kind == "f":
            np.testing.assert_allclose(results, direct, rtol=0, atol=2e-5)
            continue
        sure = np.abs(np.abs(direct - np.floor(direct)) - 0.5) > 1e-3
        np.testing.assert_array_equal(results[sure], np.rint(direct)[sure])


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_boxes_of_volumes_are_the_mean(dtype):
    """Two passes: over the slices, and over rows and columns."""
    image = pixels(np.random.default_rng(5), (10, 20, 30), dtype)
    for size in ("3", "5,1,1", "2,7,9", "1,5,1"):
        kernel = parse_kernel(f"box:{size}", ndim=3)
        results = convolve(image, kernel, method="separable")
        expected = oracle.correlate(
            np.pad(image.astype(np.float64), [(k // 2, k - 1 - k // 2) for k in kernel.shape], mode="edge")[None],
            kernel.as_bank(),
            pads=[(0, 0)] * 3,
            stride=(1,) * 3,
            dilation=(1,) * 3,
        )[0]
        wrong = 1e-6 if dtype == "float32" else 0.501
        np.testing.assert_allclose(results, expected, rtol=0, atol=wrong)


def test_what_is_alike_is_seen_whatever_it_is_given_as():
    """Terms, taps, and not those of a single tap, or of a bank."""
    assert Kernel.from_values("k", (2, 3), [0.1] * 6).alike
    assert parse_kernel("box:5").alike
    assert not parse_kernel("gaussian:2").alike
    assert not Kernel.from_values("k", (1, 1), [2]).alike
    assert not Kernel.from_values("k", (1, 1, 1, 2), [2, 2], bank=True).alike


@built
def test_the_price_hardly_depends_on_the_size():
    """A box of 301 pixels takes no more than six times that of 3."""

    def seconds(size):
        axes = (padded(2048, size, 1, 1, "same"),) * 2
        problem = Problem(axes, rank=1, alike=True, local=True)
        assert summed(problem)
        return next(c.usual for c in make_plan(problem).candidates if c.method == "separable")

    assert seconds(301) < 6 * seconds(3)


@built
def test_what_does_not_fit_is_refused():
    """Before any memory is touched."""
    source, target = np.zeros((1, 9, 9), np.float32), np.zeros((1, 9, 9), np.float32)
    with pytest.raises(ValueError, match="9 outputs of 3 taps"):
        sums.correlate(source, (3, 3), 1.0, target)
    with pytest.raises(TypeError, match="native uint8"):
        sums.correlate(source.astype(np.float64), (1, 1), 1.0, target)
    with pytest.raises(ValueError, match="side by side"):
        sums.correlate(source, (3, 3), 1.0, target[:, :4, :4], stride=(2, 2))
