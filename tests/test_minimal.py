"""Minimal filtering down the columns against the definition: every height, width, layout, border and unusual pixel."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import convolve, native
from convcli.filters.filter import Filter, Numbers
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Problem
from convcli.methods import minimal
from convcli.planner import make_plan
from oracle import PAD, correlate

pytestmark = pytest.mark.skipif(not native.MINIMAL, reason="the native extension is not built")
HEIGHTS = range(minimal.SHORTEST, minimal.TALLEST + 1)


@pytest.fixture(autouse=True, scope="module")
def _anywhere():
    """Plain kernels here are held to the promise of banks, or the planner would not let this method near them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Filter, "promises_each", lambda *_: False)
        yield


def problem_of(rows, columns, kernel, **more):
    """A plane with such a kernel, 'same'."""
    sizes = zip((rows, columns), kernel, strict=True)
    return Problem(tuple(Geometry(size, k, begin=k // 2, end=k - 1 - k // 2) for size, k in sizes), **more)


def filtered(image, taps, border="edge", dilation=1):
    """The definition's answer, 'same'."""
    pads = [(k // 2 * d, (k - 1 - k // 2) * d) for k, d in zip(taps.shape, (1, dilation), strict=True)]
    planes = np.moveaxis(np.atleast_3d(image), -1, 0)
    results = [
        correlate(plane[None], taps[None, None], stride=(1, 1), dilation=(1, dilation), pads=pads, border=border)[0]
        for plane in planes
    ]
    return np.stack(results, axis=-1).reshape(image.shape)


def check_close(truth, found, image, taps):
    """Within what the method claims."""
    claimed = minimal.rounding(problem_of(40, 40, taps.shape))
    assert np.abs(truth - found).max() <= claimed * np.abs(taps).sum() * np.abs(image).max()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_engine_gives_what_the_definition_gives(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    taps = rng.standard_normal((data.draw(st.sampled_from(HEIGHTS)), data.draw(st.integers(1, 12))))
    size = data.draw(st.integers(1, 50)), data.draw(st.one_of(st.integers(1, 130), st.sampled_from([1100, 2100])))
    samples, dilation = data.draw(st.sampled_from([0, 0, 2, 3, 4, 5])), data.draw(st.integers(1, 3))
    image = rng.standard_normal((*size, samples) if samples else size).astype(np.float32) + np.float32(0.5)
    border = data.draw(st.sampled_from(list(PAD)))
    found = convolve(
        image,
        taps,
        axes="YXS" if samples else "YX",
        border=border,
        dilation=(1, dilation),
        method="minimal",
        threads=data.draw(st.integers(1, 2)),
        numbers=Numbers(alpha="straight"),
    )
    check_close(filtered(image, taps, border, dilation), found, image, taps)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_compiled_loops_read_windows_and_write_nothing_beside_the_target(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    step, dilation = data.draw(st.sampled_from([1, 1, 3, 4])), data.draw(st.integers(1, 3))
    filters, slices, high, wide = (data.draw(st.integers(*few)) for few in ((1, 3), (1, 2), (7, 15), (1, 9)))
    rows, columns = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 150))
    window = rows + high - 1, columns + (wide - 1) * dilation
    there = [n if data.draw(st.booleans()) else data.draw(st.integers(1, n)) for n in window]
    source = rng.standard_normal((slices, there[0], there[1] * step)).astype(np.float32)
    reads = [
        None if n == size else rng.integers(-1, n, size).astype(np.int32) for n, size in zip(there, window, strict=True)
    ]
    if reads[1] is not None and data.draw(st.booleans()):  # a stretch, as borders leave it
        reads[1] = (np.arange(window[1]) - window[1] // 3).clip(-1, there[1] - 1).astype(np.int32)
    beyond = source.reshape(slices, there[0], there[1], step)
    for axis, (places, constant) in enumerate(zip(reads, (7.0, -3.0), strict=True), 1):
        if places is not None:
            beyond = beyond.take(np.maximum(places, 0), axis)
            beyond[(slice(None),) * axis + (places < 0,)] = constant
    taps = rng.standard_normal((filters, 1, 1, high, wide)).astype(np.float32)
    truth = np.stack(
        [
            [
                [
                    correlate(plane[None], kernel, stride=(1, 1), dilation=(1, dilation), pads=[(0, 0)] * 2)[0]
                    for plane in np.moveaxis(image, -1, 0)
                ]
                for image in beyond
            ]
            for kernel in taps
        ]
    )  # (filters, slices, step, rows, columns)
    truth = np.moveaxis(truth, 2, -1).reshape(filters, slices, rows, columns * step)
    room = np.full((filters, slices, rows + 2, columns * step + 2), 99, np.float32)
    target = room[:, :, 1:-1, 1:-1]
    odd = np.frombuffer(bytearray(source.nbytes + 1), np.float32, source.size, 1).reshape(source.shape)
    odd[...] = source
    finite = native.correlate_minimal(
        (odd if data.draw(st.booleans()) else source)[None],
        taps,
        target,
        best=data.draw(st.booleans()),
        dilation=(1, dilation),
        reads=reads,
        outside=(7.0, -3.0),
        step=step,
        scale=2.0,
        bias=-1.0,
    )
    assert finite is True
    check_close((2 * truth - 1) / 2, target / 2, 1 + np.abs(beyond).max(), taps[0, 0, 0] * 0 + np.abs(taps).max())
    target[...] = 99
    assert (room == 99).all()


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize("high", HEIGHTS)
def test_the_error_stays_below_what_is_claimed_where_values_hurt(high, best):
    rng = np.random.default_rng(high)
    for wide in (1, 3, 9, 33, 64):
        for values, weights in (
            (rng.random((80, 130)), rng.random((high, wide))),
            (1 - 1e-3 * rng.random((80, 130)), 1 + 1e-3 * rng.random((high, wide))),
            (rng.choice([-1.0, 1], (80, 130)), rng.standard_normal((high, wide))),
        ):
            image, taps = values.astype(np.float32), weights.astype(np.float32)
            found = np.empty((80 - high + 1, 130 - wide + 1), np.float32)
            assert native.correlate_minimal(image, taps, found, best=best)
            truth = correlate(image[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=[(0, 0)] * 2)[0]
            check_close(truth, found, image, taps)


@pytest.mark.parametrize("high", HEIGHTS)
def test_a_nan_damages_its_footprint_alone(high):
    rng = np.random.default_rng(high)
    image, taps = rng.standard_normal((60, 70)).astype(np.float32), rng.standard_normal((high, 5))
    taps[2, 3] = 0
    image[30, 33] = np.nan
    found = convolve(image, taps, method="minimal")
    marked = filtered(np.isnan(image), (taps != 0).astype(float), "zero") > 0
    np.testing.assert_array_equal(marked, np.isnan(found))
    check_close(filtered(np.nan_to_num(image), taps)[~marked], found[~marked], np.nan_to_num(image), taps)


@pytest.mark.parametrize("unusual", [np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("high", [7, 9, 14])
def test_infinities_and_sums_beyond_float32_do_not_spoil_their_neighbours(high, unusual):
    image, taps = np.ones((50, 60), np.float32), np.full((high, 3), 2.0)
    image[25, 30] = unusual
    found = convolve(image, taps, method="minimal", numbers=Numbers(dtype="float32"))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(filtered(image, taps).astype(np.float32), found)


def test_results_that_lie_apart_in_memory_are_written_there():
    rng = np.random.default_rng(3)
    image, taps = rng.random((30, 40, 3), np.float32), rng.standard_normal((9, 5))
    apart = np.moveaxis(np.ascontiguousarray(np.moveaxis(image, -1, 0)), 0, -1)
    found = convolve(apart, taps, axes="YXS", method="minimal")
    check_close(filtered(image, taps), found, image, taps)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_other_sample_types_are_converted_or_refused(dtype):
    image, taps = (np.arange(900).reshape(30, 30) % 200).astype(dtype), np.full((7, 3), 1 / 32)
    if dtype == "float64":
        assert "float32" in minimal.refuse(problem_of(30, 30, (7, 3), itemsize=8))
        return
    found = convolve(image, taps, method="minimal", numbers=Numbers(dtype="float32"))
    check_close(filtered(image, taps), found, image.astype(float), taps)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"axes": (Geometry(40, 6), Geometry(40, 9))}, "7 to 15 rows"),
        ({"axes": (Geometry(40, 16), Geometry(40, 9))}, "7 to 15 rows"),
        ({"axes": (Geometry(40, 9), Geometry(40, 9, stride=2))}, "stride"),
        ({"axes": (Geometry(40, 9, dilation=2), Geometry(40, 9))}, "dilation"),
        ({"axes": (Geometry(400, 9), Geometry(400, 9, dilation=8))}, "64 pixels"),
        ({"axes": (Geometry(40, 9),) * 3}, "plane"),
        ({"channels_in": 8}, "up to 640"),
        ({"channels_in": 2, "axes": (Geometry(40, 3, stride=3), Geometry(40, 9))}, "higher than their stride"),
        ({"channels_in": 2, "axes": (Geometry(40, 3, dilation=2), Geometry(40, 9))}, "dilation"),
        ({"channels_in": 2, "axes": (Geometry(40, 3),) * 3}, "plane"),
        ({"channels_in": 2, "axes": (Geometry(90, 11, stride=9), Geometry(40, 9))}, "up to 8"),
        ({"channels_in": 2, "axes": (Geometry(90, 3), Geometry(90, 3, dilation=9))}, "up to 8"),
        ({"channels_in": 5, "channels_out": 5000}, "gemm"),
        ({"itemsize": 8}, "float32"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_reason(change, reason):
    problem = Problem((Geometry(40, 9), Geometry(400, 9, dilation=7)))
    assert minimal.refuse(problem) is None
    assert reason in minimal.refuse(replace(problem, **change))


@pytest.mark.parametrize("part", ["MINIMAL", "LAYERS"])
def test_without_compiled_code_it_is_refused(part, monkeypatch):
    monkeypatch.setattr(native, part, False)
    assert "compiled" in minimal.refuse(problem_of(40, 40, (9, 9)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_banks_give_what_the_definition_gives(data):
    """Through the engine, and by the compiled loops alone, into a target with a rim that stays as it was."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    kernel = data.draw(st.integers(stride[0] + 1, 11)), data.draw(st.integers(1, 7))
    groups, fan_in = data.draw(st.sampled_from([1, 1, 2, 3])), data.draw(st.integers(1, 4))
    filters, dilation = groups * data.draw(st.integers(1 + (fan_in == 1), 9)), data.draw(st.integers(1, 2))
    size = (
        data.draw(st.integers(kernel[0], 40)),
        data.draw(st.one_of(st.integers(14, 90), st.sampled_from([500, 5000]))),
    )
    image = rng.standard_normal((groups * fan_in, *size)).astype(np.float32)
    taps = rng.standard_normal((filters, fan_in, *kernel))
    pads, border = [(int(a), int(b)) for a, b in rng.integers(0, 7, (2, 2))], data.draw(st.sampled_from(list(PAD)))
    alike = {"stride": stride, "dilation": (1, dilation), "groups": groups}
    truth = correlate(image, taps, pads=pads, border=border, **alike)
    more = {"border": border, "threads": data.draw(st.integers(1, 2))}
    found = convolve(image, taps, axes="CYX", padding=pads, method="minimal", **alike, **more).reshape(truth.shape)
    claimed = 4e-6 * np.abs(taps).sum(axis=(1, 2, 3)).max() * np.abs(image).max()
    assert np.abs(truth - found).max() <= claimed

    padded = np.ascontiguousarray(np.pad(image, [(0, 0), *pads], mode=PAD[border]))
    room = np.full((filters, truth.shape[1] + 2, truth.shape[2] + 2), 99, np.float32)
    target = room[:, 1:-1, 1:-1]
    steps = {"stride": stride, "dilation": (1, dilation), "best": data.draw(st.booleans())}
    assert native.correlate_layers(padded[:, None], taps[:, :, None], target[:, None], **steps) is True
    assert np.abs(truth - target).max() <= claimed
    target[...] = 99
    assert (room == 99).all()


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize(
    ("channels", "high", "wide", "stride"),
    [(65, 2, 4, 1), (50, 3, 4, 1), (9, 6, 3, 3), (3, 7, 7, 2), (13, 7, 7, 1), (20, 4, 8, 1)],
)
def test_the_error_of_banks_stays_below_what_is_claimed_where_values_hurt(channels, high, wide, stride, best):
    rng = np.random.default_rng(channels)
    problem = Problem((Geometry(40, high, stride=stride), Geometry(40, wide)), channels_in=channels, channels_out=2)
    assert minimal.refuse(problem) is None
    for values, weights in (
        (rng.random((channels, 30, 40)), rng.random((2, channels, high, wide))),
        (1 - 1e-3 * rng.random((channels, 30, 40)), 1 + 1e-3 * rng.random((2, channels, high, wide))),
        (rng.choice([-1.0, 1], (channels, 30, 40)), rng.standard_normal((2, channels, high, wide))),
    ):
        image, taps = values.astype(np.float32), weights.astype(np.float32)
        truth = correlate(image, taps, stride=(stride, 1), dilation=(1, 1), pads=[(0, 0)] * 2)
        found = np.empty(truth.shape, np.float32)
        assert native.correlate_layers(image[:, None], taps[:, :, None], found[:, None], stride=(stride, 1), best=best)
        size = np.abs(taps).sum(axis=(1, 2, 3), dtype=float).max() * np.abs(image).max()
        assert np.abs(truth - found).max() <= minimal.rounding(problem) * size


@pytest.mark.parametrize(("high", "stride"), [(2, 1), (3, 1), (4, 1), (5, 2), (7, 2), (8, 3)])
@pytest.mark.parametrize("unusual", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_damages_its_footprint_alone_in_banks(high, stride, unusual):
    rng = np.random.default_rng(high)
    image, taps = rng.standard_normal((3, 40, 50)).astype(np.float32), rng.standard_normal((5, 3, high, 4))
    image[1, 20, 22] = unusual
    alike = {"stride": (stride, 2), "dilation": (1, 1)}
    found = convolve(image, taps, axes="CYX", method="minimal", padding=1, border="zero", stride=(stride, 2))
    hit = correlate(~np.isfinite(image), np.ones(taps.shape), pads=[(1, 1)] * 2, **alike) > 0
    np.testing.assert_array_equal(hit, ~np.isfinite(found))
    told = correlate(image, taps, pads=[(1, 1)] * 2, **alike)
    for kind in (np.isposinf, np.isneginf, np.isnan):
        np.testing.assert_array_equal(kind(told), kind(found))
    plain = np.where(np.isfinite(image), image, 0)
    truth = correlate(plain, taps, pads=[(1, 1)] * 2, **alike)
    assert np.abs(truth - found)[~hit].max() <= 4e-6 * np.abs(taps).sum(axis=(1, 2, 3)).max() * np.abs(plain).max()


def test_banks_never_leave_the_buffers():
    image, taps, found = np.zeros((3, 20, 30), "f"), np.ones((4, 3, 5, 5), "f"), np.zeros((4, 16, 26), "f")
    given = {"source": image[:, None], "taps": taps[:, :, None], "target": found[:, None]}
    assert native.correlate_layers(*given.values())
    for wrong in (
        {"source": image[:2, None]},
        {"source": image[:, None, 1:]},
        {"source": image[:, None].astype(np.float64)},
        {"taps": taps[:3, :, None]},
        {"taps": np.ones((4, 3, 2, 5, 5))},
        {"target": found[:, None, :, ::2]},
        {"target": found[:, None].astype(np.uint8)},
        {"dilation": (2, 1), "target": found[:, None, :2]},
        {"stride": (2, 1)},
        {"stride": (1, 0)},
        {"dilation": (1, 2**62)},
        {"stride": (1, 65), "source": np.zeros((3, 1, 20, 3000), "f")},
        {"dilation": (1, 65), "source": np.zeros((3, 1, 20, 3000), "f")},
        {"source": np.zeros((4000, 1, 20, 30), "f"), "taps": np.zeros((4, 4000, 1, 5, 5), "f")},
        {"step": 2},
        {"scale": 2.0},
        {"reads": (np.arange(1, 21, dtype=np.int32), None)},
        {"reads": (None, np.arange(-2, 28, dtype=np.int32))},
    ):
        both = {**given, **wrong}
        with pytest.raises((ValueError, TypeError)):
            native.correlate_layers(both.pop("source"), both.pop("taps"), both.pop("target"), **both)


def test_small_banks_of_floats_are_filtered_so():
    sides = (Geometry(224, 7, stride=2, begin=3, end=3),) * 2
    first = Problem(sides, channels_in=3, channels_out=64, plain=True)
    assert "minimal" == make_plan(first, threads=2).method
    assert "minimal" != make_plan(replace(first, tolerance=1e-6), threads=2).method


def test_tall_kernels_on_floats_are_filtered_so():
    plan = make_plan(problem_of(2048, 2048, (9, 9), plain=True), threads=2)
    assert ("minimal", 2) == (plan.method, plan.threads)
    assert "direct" == make_plan(problem_of(2048, 2048, (9, 9), plain=True, exact=True, tolerance=1e-7)).method


def test_nothing_leaves_the_buffers():
    image, taps, found = np.zeros((20, 30), np.float32), np.ones((9, 5), np.float32), np.zeros((12, 26), np.float32)
    assert native.correlate_minimal(image, taps, found)
    for wrong in (
        {"source": image[1:]},
        {"source": image.astype(np.float64)},
        {"taps": taps[:6]},
        {"taps": np.ones((16, 5))},
        {"taps": np.ones((9, 6))},
        {"taps": taps[None].repeat(2, 0)},
        {"target": found.astype(np.uint8)},
        {"target": found[:, ::2]},
        {"stride": (1, 2), "target": found[:, :12].copy()},
        {"stride": (2, 1), "target": found[:5]},
        {"dilation": (2, 1), "target": found[:2]},
        {"dilation": (1, 65), "source": np.zeros((20, 300), np.float32)},
        {"dilation": (1, 2**62)},
        {"step": 5, "target": found[:, :10].copy()},
        {"reads": (np.arange(1, 21, dtype=np.int32), None)},
        {"reads": (None, np.arange(-2, 28, dtype=np.int32))},
        {"reads": (None, np.arange(30))},
    ):
        given = {"source": image, "taps": taps, "target": found, **wrong}
        with pytest.raises((ValueError, TypeError)):
            native.correlate_minimal(given.pop("source"), given.pop("taps"), given.pop("target"), **given)
