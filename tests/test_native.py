"""The compiled kernels against the definition: every sample type, kernel shape, stride, dilation and layout."""

import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
from convcli import native

pytestmark = pytest.mark.skipif(not native.INSTRUCTIONS, reason="the native extension is not built")


def definition(source, taps, shape, *, stride=(1, 1), dilation=(1, 1), step=1):
    """The sums of products in float64, tap by tap: (rows, columns) from (planes, rows, columns)."""
    planes = np.asarray(source, np.float64).reshape(*source.shape[:2], -1, step)
    rows, columns = shape[0], shape[1] // step
    sums = np.zeros((rows, columns, step))
    for plane, kernel in zip(planes, np.asarray(taps, np.float64), strict=True):
        for (i, j), tap in np.ndenumerate(kernel):
            begin = plane[i * dilation[0] :, j * dilation[1] :]
            sums += tap * begin[:: stride[0], :: stride[1]][:rows, :columns]
    return sums.reshape(shape)


def source_shape(shape, kernel, *, stride=(1, 1), dilation=(1, 1), step=1):
    """The smallest source that so many outputs read."""
    sizes = (shape[0], shape[1] // step)
    reads = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
    return reads[0], reads[1] * step


def samples(rng, shape, dtype):
    """Random samples over the whole range of a type; 0 to 1 in float32."""
    if dtype == "float32":
        return rng.random(shape, np.float32)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def check_same(expected, target, tolerance):
    """Integers are the rounded sums, except where a sum lies within `tolerance` of a tie."""
    if target.dtype.kind == "f":
        assert np.abs(expected - target).max() <= tolerance
        return
    info = np.iinfo(target.dtype)
    sure = np.abs(np.abs(expected - np.floor(expected)) - 0.5) > tolerance
    np.testing.assert_array_equal(np.rint(expected).clip(info.min, info.max)[sure], target[sure])


LONG = ((17, 1), (1, 17), (1, 40), (1, 53))
"""Kernels of one row or column; from two vectors of taps on, rows are summed in a way of their own."""


@st.composite
def problems(draw):
    """A correlation of any kind on a small image."""
    step = draw(st.sampled_from([1, 1, 3, 4]))
    columns = draw(st.one_of(st.integers(1, 70), st.sampled_from([96, 255, 600])))
    return {
        "kernel": draw(st.one_of(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.sampled_from(LONG))),
        "planes": draw(st.sampled_from([1, 1, 1, 2, 5])),
        "shape": (draw(st.integers(1, 14)), columns * step),
        "types": (draw(st.sampled_from(native.TYPES)), draw(st.sampled_from(native.TYPES))),
        "options": {
            "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
            "dilation": draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
            "step": step,
        },
        "instructions": draw(st.sampled_from(native.INSTRUCTIONS or ("none",))),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@pytest.mark.parametrize("name", ["correlate", "correlate_wide"])
@pytest.mark.parametrize(
    ("groups", "sums", "filters"), [(1, 1, 3), (1, 3, 2), (4, 1, 1), (4, 1, 2), (2, 3, 9), (1, 2, 8)]
)
@pytest.mark.parametrize("kernel", [(1, 3, 3), (2, 3, 4), (1, 1, 11)])
def test_filters_belong_to_groups_of_channels(name, groups, sums, filters, kernel):
    """One call for a bank: every filter sums over the channels of its group, as `torch.nn.functional.conv3d` has it."""
    if not native.WIDE:
        pytest.skip("the native extension is not built")
    rng, steps = np.random.default_rng(5), {"stride": (1, 2, 1), "dilation": (1, 1, 2)}
    source = rng.standard_normal((groups * sums, 4, 9, 130)).astype(np.float32)
    taps = rng.standard_normal((groups * filters, sums, *kernel)).astype(np.float32)
    expected = oracle.correlate(source, taps, pads=[(0, 0)] * 3, groups=groups, **steps)
    target = np.zeros(expected.shape, np.float32)
    getattr(native, name)(source, taps, target, **steps)
    np.testing.assert_allclose(target, expected, atol=2e-5)


@given(problems())
@settings(max_examples=300, deadline=None)
def test_every_correlation_is_the_definition(problem):
    """Whatever the sizes, strides, dilations, layouts and sample types, sums are those of the definition."""
    rng = np.random.default_rng(problem["seed"])
    options, shape, kernel = problem["options"], problem["shape"], problem["kernel"]
    source = samples(rng, (problem["planes"], *source_shape(shape, kernel, **options)), problem["types"][0])
    taps = rng.uniform(-1, 1, (problem["planes"], *kernel)).astype(np.float32)
    target = np.empty(shape, problem["types"][1])
    largest = max(1.0, float(np.abs(source.astype(np.float64)).max()))
    scale = float(np.float32(100 / (np.abs(taps).sum() * largest)))
    native.correlate(source, taps, target, scale=scale, bias=50.0, instructions=problem["instructions"], **options)
    expected = definition(source, taps, shape, **options) * scale + 50
    check_same(expected, target, 150 * native.rounding(taps.size))


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 5), (7, 7), (8, 8), (15, 15), (33, 2), (64, 64)])
@pytest.mark.parametrize("values", ["random", "equal", "bright"])
def test_sums_of_many_taps_stay_within_the_claimed_error(kernel, values):
    """The error is at most what `rounding` says, where pixels are equal or all bright, too."""
    rng, shape = np.random.default_rng(0), (9, 70)
    source = samples(rng, (1, *source_shape(shape, kernel)), "float32")
    source = {"random": source, "equal": np.full_like(source, 0.7), "bright": 1 - source / 50}[values]
    taps = np.full((1, *kernel), 1 / np.prod(kernel), np.float32) if values == "equal" else rng.random((1, *kernel))
    taps = taps.astype(np.float32)
    target = np.empty(shape, np.float32)
    native.correlate(source, taps, target)
    check_same(definition(source, taps, shape), target, native.rounding(taps.size) * np.abs(taps).sum() * source.max())


@pytest.mark.parametrize("kernel", [(3, 3), (7, 7), (9, 9), (1, 17), (17, 1)])
def test_rows_that_lie_on_the_same_lines_of_the_cache_are_read_alike(kernel):
    """Rows a multiple of 2 KiB apart are read from a ring, others where they are: the same sums, bit by bit."""
    rng = np.random.default_rng(4)
    narrow, taps = rng.random((1, 61, 1024), np.float32), rng.uniform(-1, 1, (1, *kernel)).astype(np.float32)
    wide = np.zeros((1, 61, 1040), np.float32)[..., :1024]
    wide[...] = narrow
    narrow[:, 30, 500] = wide[:, 30, 500] = np.inf
    targets = np.empty((2, 61 - kernel[0] + 1, 1024 - kernel[1] + 1), np.float32)
    counts = [native.correlate(each, taps, target) for each, target in zip((narrow, wide), targets, strict=True)]
    assert counts[0] == counts[1]
    np.testing.assert_array_equal(*targets)


@pytest.mark.parametrize("instructions", native.INSTRUCTIONS)
@pytest.mark.parametrize(("source_type", "target_type"), tuple(product(native.TYPES, native.TYPES)))
def test_separable_kernels_are_sums_of_outer_products(source_type, target_type, instructions):
    """Two terms in one pass are the correlation with the sum of their outer products."""
    rng, all_options = np.random.default_rng(3), {"stride": (2, 3), "dilation": (3, 2), "step": 3}
    cases = ((9, 240), all_options), ((1, 3), all_options), ((11, 1500), {"dilation": (2, 1)}), ((6, 40), {})
    for shape, options in cases:
        columns, rows = rng.uniform(-1, 1, (2, 5)), rng.uniform(-1, 1, (2, 9))
        taps = sum(np.outer(*term) for term in zip(columns, rows, strict=True))
        source = samples(rng, source_shape(shape, (5, 9), **options), source_type)
        target = np.empty(shape, target_type)
        gain = np.abs(columns).sum() * np.abs(rows).sum()
        scale = float(np.float32(100 / (gain * max(1.0, float(np.abs(source.astype(float)).max())))))
        native.separable(source, columns, rows, target, scale=scale, bias=9.0, instructions=instructions, **options)
        expected = definition(source[None], taps[None], shape, **options) * scale + 9
        check_same(expected, target, 110 * 2 * native.rounding(9))


@pytest.mark.parametrize("terms", [1, 3])
def test_a_long_gaussian_is_separable(terms):
    """101 taps a side: long sums go in bursts, down and along."""
    rng, shape = np.random.default_rng(5), (10, 90)
    columns, rows = rng.random((terms, 101)), rng.random((terms, 101))
    source = samples(rng, source_shape(shape, (101, 101)), "uint8")
    target = np.empty(shape, np.float32)
    native.separable(source, columns, rows, target)
    taps = np.einsum("ti,tj->ij", columns, rows)
    check_same(definition(source[None], taps[None], shape), target, 2 * native.rounding(101) * taps.sum() * 255)


def layouts(array):
    """The same samples, laid out differently in memory: rows apart, columns apart, backwards, at odd addresses."""
    planes, rows, columns = array.shape
    apart = np.zeros((planes, rows, columns + 5), array.dtype)[:, :, 2 : 2 + columns]
    interleaved = np.zeros((rows, columns, planes + 1), array.dtype).transpose(2, 0, 1)[:planes]
    backwards = np.zeros_like(array)[::-1, ::-1, ::-1]
    odd = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    for view in (apart, interleaved, backwards, odd):
        view[...] = array
        yield view


@pytest.mark.parametrize("dtype", native.TYPES)
@pytest.mark.parametrize("columns", [7, 300])
def test_any_view_gives_the_same_result(dtype, columns):
    """Strides of the views, in source and target, change nothing."""
    rng, taps = np.random.default_rng(4), np.float32([[[1, 2, 0.5], [0, -1, 3]], [[1, 0, 0], [0.25, 1, 1]]])
    source = samples(rng, (2, 9, columns + 2), dtype)
    expected = np.empty((1, 8, columns), dtype)
    counts = native.correlate(source, taps, expected[0], scale=0.125)
    for view, target in zip(layouts(source), layouts(np.zeros_like(expected)), strict=True):
        assert counts == native.correlate(view, taps, target[0], scale=0.125)
        np.testing.assert_array_equal(expected, target)


def test_a_memory_map_is_a_source(tmp_path):
    """Pixels in a file, behind a header of odd length."""
    pixels = np.arange(60, dtype=np.uint16).reshape(6, 10)
    (tmp_path / "raw").write_bytes(b"header!" + pixels.tobytes())
    source = np.memmap(tmp_path / "raw", np.uint16, "r", 7, (6, 10))
    target = np.empty((4, 8), np.uint16)
    native.correlate(source, np.eye(3), target)
    np.testing.assert_array_equal(3 * pixels[1:5, 1:9], target)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
@pytest.mark.parametrize("instructions", native.INSTRUCTIONS)
def test_results_are_rounded_half_to_even_clipped_and_counted(dtype, instructions):
    """Ties go to the even neighbour; what rounds to a number out of range is clipped and counted, and only that."""
    info = np.iinfo(dtype)
    low, high = float(info.min), float(info.max)
    values = [low - 1e30, low - 1, np.nextafter(np.float32(low - 0.5), np.float32(-1e9)), low - 0.5, low, low + 0.5]
    values += [0.5, 1.5, 2.5, 2.5001, 101.5, high - 0.5, high, high + 0.25, high + 0.5, high + 1, 1e30]
    source = np.tile(np.float32(values), 40)[None]
    target = np.empty(source.shape, dtype)
    counts = native.correlate(source, [[1]], target, instructions=instructions)
    exact = np.rint(source.astype(np.float64))
    np.testing.assert_array_equal(exact.clip(low, high), target)
    assert ((exact < low).sum(), (exact > high).sum(), 0) == counts


@pytest.mark.parametrize("dtype", native.TYPES)
@pytest.mark.parametrize("columns", [5, 2000])
def test_nan_and_infinity_are_counted(dtype, columns):
    """A NaN is 0 in an integer, an infinity the nearest limit; float32 keeps both. A count tells of each."""
    source = np.ones((9, columns), np.float32)
    source[4, columns // 2], source[0, 0], source[8, -1], source[1, -1] = np.nan, np.inf, -np.inf, np.inf
    target = np.empty(source.shape, dtype)
    counts = native.correlate(source, [[1]], target)
    assert (1, 2, 1) == counts
    if dtype == "float32":
        np.testing.assert_array_equal(source, target)
    else:
        info = np.iinfo(dtype)
        expected = np.nan_to_num(source, nan=0, posinf=info.max, neginf=info.min)
        np.testing.assert_array_equal(expected, target)


@pytest.mark.parametrize("instructions", native.INSTRUCTIONS)
@pytest.mark.parametrize("target_type", ["uint8", "uint16", "int16"])
def test_numbers_of_any_size_are_clipped_and_counted(target_type, instructions):
    """Ties, the edges of the type, and numbers whose float32 bits look like those of small ones."""
    info = np.iinfo(target_type)
    edges = [info.min + d for d in (-1, -0.51, -0.5, -0.49, 0, 0.5)]
    edges += [info.max + d for d in (-0.5, 0, 0.49, 0.5, 0.51, 1)]
    powers = [sign * 2.0**power * m for sign in (1, -1) for power in range(14, 127, 3) for m in (1, 1.5, 1.75)]
    near = [sign * (12582912.0 + d) for sign in (1, -1) for d in (-255, -1, 0, 1, 255, 65535)]
    values = np.array(edges + powers + near + [3e38, -3e38], np.float32)
    for source in (values, np.repeat(values, 2)[::2]):  # not contiguous
        target = np.empty((1, values.size), target_type)
        counts = native.correlate(source[None], np.ones((1, 1)), target, instructions=instructions)
        rounded = np.rint(values.astype(np.float64))
        np.testing.assert_array_equal(rounded.clip(info.min, info.max), target[0])
        assert (counts.below, counts.above) == ((rounded < info.min).sum(), (rounded > info.max).sum())


def test_a_float32_overflow_is_counted():
    """Finite pixels whose sum leaves float32 are as unusual as an infinity."""
    source, target = np.full((5, 300), 2e38, np.float32), np.empty((5, 299), np.float32)
    assert (0, target.size, 0) == native.correlate(source, [[1, 1]], target)
    assert (target.size, 0, 0) == native.correlate(source, [[-1, -1]], target)


def test_exact_sums_of_integers_are_exact():
    """Whole taps on whole samples below 2^24 lose nothing, in any order of summation."""
    rng = np.random.default_rng(8)
    source, taps = rng.integers(0, 256, (40, 333), np.uint8), rng.integers(-9, 10, (9, 9))
    target = np.empty((32, 325), np.float32)
    native.correlate(source, taps, target)
    np.testing.assert_array_equal(definition(source[None], taps[None], target.shape), target)


def test_only_the_target_is_written():
    """The samples around a target, and the source, stay as they are."""
    rng = np.random.default_rng(9)
    for columns, dtype in product((1, 8, 24, 61, 64, 200, 1100), native.TYPES):
        room = np.full((9, columns + 40), 77, dtype)
        source = samples(rng, (7, columns + 2), dtype)
        before = source.copy()
        native.correlate(source, np.ones((3, 3)), room[2:7, 20:-20], scale=0.1)
        room[2:7, 20:-20] = 77
        assert (room == 77).all()
        np.testing.assert_array_equal(before, source)


def test_threads_may_filter_strips_at_once():
    """Strips by several threads make the image that one thread makes."""
    rng, taps = np.random.default_rng(2), np.ones((5, 5))
    source, whole, parts = (
        samples(rng, (204, 500), "uint8"),
        np.empty((200, 496), "uint8"),
        np.empty((200, 496), "uint8"),
    )
    native.correlate(source, taps, whole, scale=0.04)
    strips = [
        Thread(target=native.correlate, args=(source[y : y + 54], taps, parts[y : y + 50]), kwargs={"scale": 0.04})
        for y in range(0, 200, 50)
    ]
    for strip in strips:
        strip.start()
    for strip in strips:
        strip.join()
    np.testing.assert_array_equal(whole, parts)


IMAGE, OUT = np.zeros((8, 9), np.uint8), np.zeros((6, 7), np.uint8)
SLIPS = {
    "read 9 pixels along rows; the source has 8": (IMAGE, np.ones((4, 3)), OUT, {}),
    "read 10 pixels along columns": (IMAGE, np.ones((3, 4)), OUT, {}),
    "stride 2, dilation 1 read 13": (IMAGE, np.ones((3, 3)), OUT, {"stride": (2, 1)}),
    "stride 1, dilation 2 read 10": (IMAGE, np.ones((3, 3)), OUT, {"dilation": (2, 1)}),
    "at least 1": (IMAGE, np.ones((3, 3)), OUT, {"stride": (0, 1)}),
    "multiple of step 3": (IMAGE, np.ones((3, 1)), OUT, {"step": 3}),
    "2 planes of taps for 1 planes of the source": (IMAGE[None], np.ones((2, 3, 3)), OUT, {}),
    "not planes, rows and columns": (IMAGE, np.ones((1, 3, 3)), OUT, {}),
    "with taps in them": (IMAGE, np.ones((0, 3)), OUT, {}),
    "no instructions 'mmx'": (IMAGE, np.ones((3, 3)), OUT, {"instructions": "mmx"}),
    "source of type |i1": (IMAGE.astype(np.int8), np.ones((3, 3)), OUT, {}),
    "source of type >u2": (IMAGE.astype(">u2"), np.ones((3, 3)), OUT, {}),
    "target of type <f8": (IMAGE, np.ones((3, 3)), OUT.astype(float), {}),
    "share memory": (IMAGE, np.ones((3, 3)), IMAGE[1:-1, 1:-1], {}),
    "read-only": (IMAGE, np.ones((3, 3)), np.broadcast_to(np.uint8(0), (6, 7)), {}),
}


@pytest.mark.parametrize(("message", "call"), SLIPS.items())
def test_what_does_not_fit_is_refused_in_words(message, call):
    """The error says what was given and what was expected."""
    source, taps, target, options = call
    with pytest.raises((TypeError, ValueError), match=message.replace("|", r"\|")):
        native.correlate(source, taps, target, **options)


def test_terms_are_columns_and_rows():
    """A separable kernel needs as many columns as rows."""
    with pytest.raises(ValueError, match="2 columns and 1 rows of taps"):
        native.separable(IMAGE, np.ones((2, 3)), np.ones((1, 3)), OUT)


def axes(stride=(1, 1), dilation=(1, 1), reads=(None, None)):
    """What the extension is told of slices, rows and columns."""
    return ((1, 1, None, 0.0), *zip(stride, dilation, reads, (0.0, 0.0), strict=True))


def test_the_extension_itself_refuses_to_leave_the_buffers():
    """Without the checks in Python, no argument makes it read or write outside."""
    from convcli.native import _direct

    taps = np.ones((1, 1, 1, 3, 3), np.float32)
    source, target, row = IMAGE[None, None], OUT[None, None].copy(), taps[0, 0, :, :1]
    plain = [source, taps, target, None, None, axes(), 1, 1.0, 0.0, 0]
    assert (0, 0, 0) == _direct.filter(*plain)
    there = np.arange(9, dtype=np.int32)
    reads = [there[:8], there + 1, there - 2, there.astype(np.int64), there[None], there[::2], there[:0], b"123456789"]
    wrong = {
        0: [IMAGE[None], source[..., :7, :], source[..., :8], source.astype(np.int8), source.astype(">u2"), None],
        1: [
            *(taps[0], taps.astype(float), taps[..., :0], row),
            *(np.ones(shape, "f") for shape in ((1, 1, 1, 4, 3), (1, 1, 2, 3, 3), (1, 2, 1, 3, 3), (2, 1, 1, 3, 3))),
        ],
        2: [
            *(np.zeros(shape, "B") for shape in ((1, 1, 7, 7), (1, 1, 6, 8), (1, 2, 6, 7), (2, 1, 6, 7), (0, 1, 6, 7))),
            *(np.zeros((1, 1, 6, 7)), OUT[None], bytes(42)),
        ],
        3: [taps, np.ones((1, 3, 1), float), np.ones((2, 3, 1), np.float32)],
        4: [np.zeros(2, np.intp), np.ones(3, np.intp), np.ones(4, np.int32)[1:3], b"1" * 16, 1],
        5: [
            *(axes(stride=stride) for stride in ((0, 1), (1, -1), (2, 1), (1, 2), (2**62, 1), (1, 2**62))),
            *(axes(dilation=rate) for rate in ((0, 1), (2, 1), (1, 2), (2**62, 1), (1, 2**62), (2**63 - 1, 2**63 - 1))),
            *(axes(reads=(None, wrong)) for wrong in reads),
            *(axes(reads=(wrong[:-1], None)) for wrong in reads[1:]),
            *(None, (), axes()[:2], [*axes()]),
        ],
        6: [0, -1, 2, 2**62],
        9: [-1, len(native.INSTRUCTIONS)],
    }
    for place, values in wrong.items():
        for value in values:
            with pytest.raises((ValueError, TypeError, BufferError)):
                _direct.filter(*plain[:place], value, *plain[place + 1 :])
    for channels, filters, sums in ((4, 3, 2), (4, 2, 3), (3, 6, 2), (2, 1, 1), (0, 1, 1)):  # no whole groups
        many = (
            np.zeros((channels, 1, 8, 9), "B"),
            np.ones((filters, sums, 1, 3, 3), "f"),
            np.zeros((filters, 1, 6, 7), "B"),
        )
        with pytest.raises(ValueError, match=r"channels of the source|group of channels"):
            _direct.filter(*many, *plain[3:])


def test_numbers_without_a_meaning_do_no_harm():
    """A single output has no stride and a single tap no dilation, however large; no output is no work."""
    target = np.zeros((1, 3), np.uint8)
    native.correlate(IMAGE + 1, [[2]], target, stride=(2**62, 1), dilation=(2**62, 2**62))
    assert [[2, 2, 2]] == target.tolist()
    assert (0, 0, 0) == native.correlate(IMAGE, np.ones((3, 3)), np.empty((0, 7), np.uint8))
    assert (0, 0, 0) == native.correlate(IMAGE[:, :0], [[1]], np.empty((3, 0), np.uint8))


def test_the_environment_can_say_no():
    """CONVCLI_NATIVE=0 makes the package behave as if it had no extension."""
    code = "from convcli import native; import sys; print(native.AVAILABLE, 'numpy' in sys.modules)"
    for value, available in (("0", "False"), ("1", "True")):
        environment = {**os.environ, "CONVCLI_NATIVE": value}
        result = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert f"{available} False\n" == result.stdout


@st.composite
def wide_cases(draw):
    """Sizes, steps and types for a sum in float64."""
    step = draw(st.sampled_from([1, 1, 3, 4]))
    shape = draw(st.integers(1, 20)), draw(st.integers(1, 300 if step == 1 else 60)) * step
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 9))
    steps = {name: (draw(st.integers(1, 3)), draw(st.integers(1, 3))) for name in ("stride", "dilation")}
    types = st.sampled_from(native.WIDE_TYPES)
    return shape, kernel, {**steps, "step": step}, draw(types), draw(types), draw(st.integers(0, 2**32 - 1))


@pytest.mark.skipif(not native.WIDE, reason="the native extension is not built")
@settings(deadline=None, max_examples=300)
@given(wide_cases())
def test_sums_in_float64_are_the_definition(case):
    shape, kernel, steps, source_type, target_type, seed = case
    rng = np.random.default_rng(seed)
    size = source_shape(shape, kernel[1:], **steps)
    source = (
        samples(rng, (kernel[0], *size), source_type) if source_type[:5] != "float" else rng.random((kernel[0], *size))
    )
    source, taps = source.astype(source_type), rng.standard_normal(kernel)
    target = np.zeros(shape, target_type)
    counts = native.correlate_wide(source, taps, target, scale=0.5, bias=3.0, **steps)
    expected = definition(source, taps, shape, **steps) * 0.5 + 3
    largest = 1 + np.abs(expected).max()
    if target.dtype.kind == "f":
        assert np.abs(expected - target).max() <= (1e-6 if target_type == "float32" else 1e-13) * largest
        return
    check_same(expected, target, 1e-12 * largest)
    limits = np.iinfo(target_type)
    assert abs(counts.below - np.count_nonzero(np.rint(expected) < limits.min)) <= 1
    assert abs(counts.above - np.count_nonzero(np.rint(expected) > limits.max)) <= 1


@pytest.mark.skipif(not native.WIDE, reason="the native extension is not built")
def test_sums_in_float64_are_the_same_however_an_image_is_cut():
    rng = np.random.default_rng(5)
    source, taps = rng.random((2, 9, 431)), rng.standard_normal((2, 3, 4))
    whole = np.empty((7, 428))
    native.correlate_wide(source, taps, whole)
    for first, last in ((0, 1), (3, 6), (5, 9), (2, 40), (100, 428)):
        part = np.empty((7, last - first))
        native.correlate_wide(source[..., first : last + 3], taps, part)
        np.testing.assert_array_equal(whole[:, first:last], part)


@pytest.mark.skipif(not native.WIDE, reason="the native extension is not built")
def test_sums_in_float64_count_what_no_sample_holds():
    source = np.array([[np.nan, -np.inf, np.inf, 1e300, 300.5, -0.5, 255.5, 254.5]])
    for target_type, expected in (("uint8", (1, 4, 1)), ("float32", (1, 2, 1)), ("float64", (1, 1, 1))):
        target = np.empty((1, 8), target_type)
        assert expected == native.correlate_wide(source, [[1.0]], target)
    target = np.empty((1, 8), "uint8")
    native.correlate_wide(source, [[1.0]], target)
    assert [0, 0, 255, 255, 255, 0, 255, 254] == target[0].tolist()


@pytest.mark.skipif(not native.WIDE, reason="the native extension is not built")
@pytest.mark.parametrize(
    ("source", "taps", "target", "options", "error"),
    [
        (np.zeros((3, 3)), np.ones((2, 2)), np.zeros((3, 2)), {}, ValueError),
        (np.zeros((3, 3)), np.ones((2, 2)), np.zeros((2, 2), "complex64"), {}, TypeError),
        (np.zeros((2, 3, 3)), np.ones((3, 1, 1)), np.zeros((3, 3)), {}, ValueError),
        (np.zeros((3, 3)), np.ones((1, 1)), np.zeros((3, 3)), {"stride": (0, 1)}, ValueError),
        (np.zeros((3, 4)), np.ones((1, 1)), np.zeros((3, 4)), {"step": 3}, ValueError),
    ],
)
def test_what_would_read_beyond_the_source_is_refused_in_float64(source, taps, target, options, error):
    with pytest.raises(error):
        native.correlate_wide(source, taps, target, **options)


def gathered(source, reads, outside, step):
    """The window (slices, rows, columns) of float64 that `reads` describe."""
    window = np.asarray(source, np.float64)
    window = window.reshape(*window.shape[:-1], -1, step)
    for axis, (places, constant) in enumerate(zip(reads, outside, strict=True)):
        if places is not None:
            window = window.take(np.maximum(places, 0), axis)
            window[(slice(None),) * axis + (places < 0,)] = constant
    return window.reshape(*window.shape[:-2], -1)


@st.composite
def windows(draw):
    """A window with anything beyond the image, on all three axes."""
    step = draw(st.sampled_from([1, 1, 3]))
    kernel = tuple(draw(st.integers(1, most)) for most in (3, 4, 5))
    steps = {name: tuple(draw(st.integers(1, 3)) for _ in range(3)) for name in ("stride", "dilation")}
    outputs = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 9)),
        draw(st.one_of(st.integers(1, 20), st.integers(90, 600))),
    )
    sizes = tuple(draw(st.integers(1, most)) for most in (4, 12, 250))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reads = []
    for axis, size in enumerate(sizes):
        stride, dilation = (steps[name][axis] for name in ("stride", "dilation"))
        window = (outputs[axis] - 1) * stride + (kernel[axis] - 1) * dilation + 1 + draw(st.integers(0, 2))
        begin = draw(st.integers(-4, 4))
        places = np.arange(begin, begin + window)
        rule = draw(st.sampled_from(["edge", "wrap", "constant", "any"]))
        places = {
            "edge": places.clip(0, size - 1),
            "wrap": places % size,
            "constant": np.where((places >= 0) & (places < size), places, -1),
            "any": rng.integers(-1, size, window),
        }[rule]
        reads.append(None if window <= size and draw(st.booleans()) else places.astype(np.int32))
    types = draw(st.tuples(st.sampled_from(native.TYPES), st.sampled_from(native.TYPES)))
    return sizes, kernel, outputs, {**steps, "reads": reads, "outside": (7.0, -3.0, 0.5), "step": step}, types, rng


@pytest.mark.skipif(not native.WIDE, reason="the native extension is not built")
@settings(deadline=None, max_examples=300)
@given(windows(), st.sampled_from(["correlate", "correlate_wide"]))
def test_what_stands_beyond_the_image_is_read_as_told(case, name):
    sizes, kernel, outputs, options, types, rng = case
    step = options["step"]
    source = samples(rng, (*sizes[:2], sizes[2] * step), types[0])
    taps = rng.standard_normal((1, *kernel))
    target = np.zeros((*outputs[:2], outputs[2] * step), types[1])
    getattr(native, name)(source[None], taps, target, **options)
    window = gathered(source, options["reads"], options["outside"], step)
    for place, result in enumerate(target):
        first = place * options["stride"][0]
        slices = window[first : first + (kernel[0] - 1) * options["dilation"][0] + 1 : options["dilation"][0]]
        plane = {"stride": options["stride"][1:], "dilation": options["dilation"][1:], "step": step}
        expected = definition(slices, taps[0], result.shape, **plane)
        check_same(expected, result, 1e-5 * np.abs(taps).sum() * max(np.abs(window).max(), 1))


@settings(deadline=None, max_examples=100)
@given(windows())
def test_separable_kernels_meet_the_same_beyond_the_image(case):
    sizes, kernel, outputs, options, types, rng = case
    step, two = options["step"], {key: options[key][1:] for key in ("stride", "dilation", "reads", "outside")}
    source = samples(rng, (sizes[1], sizes[2] * step), types[0])
    down, along = rng.standard_normal((2, kernel[1])), rng.standard_normal((2, kernel[2]))
    target = np.zeros((outputs[1], outputs[2] * step), types[1])
    native.separable(source, down, along, target, **two, step=step)
    window = gathered(source, two["reads"], two["outside"], step)
    taps = np.einsum("ti,tj->ij", down, along)
    expected = definition(
        window[None], taps[None], target.shape, stride=two["stride"], dilation=two["dilation"], step=step
    )
    bound = np.einsum("ti,tj->", np.abs(down), np.abs(along))
    check_same(expected, target, 1e-5 * bound * max(np.abs(window).max(), 1))


EVERYWHERE = {
    *("calloc", "free", "malloc", "memcpy", "memmove", "memset", "qsort", "realloc", "strcmp"),
    *("cos", "fmax", "fmaxf", "fmin", "sin", "sqrt"),
    "sincos",  # what GCC makes of a sine and a cosine
    "posix_memalign",  # lines.h has what stands for it on Windows
}
"""Functions of the C library that Linux, macOS and Windows have."""


@pytest.mark.skipif(sys.platform != "linux", reason="nm of other systems says it otherwise")
@pytest.mark.skipif(not shutil.which("nm"), reason="nm is not installed")
def test_compiled_loops_ask_the_c_library_for_nothing_that_a_system_lacks():
    """Neither for what only libgcc has: Clang links none on Windows, and its name begins with two underscores."""
    modules = sorted(Path(native.__file__).parent.glob("_*.so"))
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", *modules], capture_output=True, text=True, check=True
    ).stdout
    asked = set(re.findall(r" [UW] (\w+)", listed))
    assert len(modules) > 0
    assert (
        set()
        == {name for name in asked if not re.match(r"_?Py|_ITM_|__gmon|__cxa_finalize|__stack", name)} - EVERYWHERE
    )


def test_the_instructions_used_are_those_that_the_system_lists():
    flags = set(re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
    sets = {"baseline": set(), "avx2": {"avx2", "fma"}, "avx512": {f"avx512{each}" for each in ("f", "bw", "dq", "vl")}}
    sets["avx512"] |= sets["avx2"]
    assert [name for name, needed in sets.items() if needed <= flags] == list(native.INSTRUCTIONS)
