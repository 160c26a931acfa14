"""Filter banks in compiled code: every instruction set against the definition, the same bits however they are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import convolve, native, separable
from convcli.geometry.axis import Geometry, padded
from convcli.geometry.problem import Problem
from convcli.methods import direct, gemm
from convcli.methods.contract import load
from convcli.native import banks
from convcli.planner import is_fixed, make_plan
from convcli.records import replace
from oracle import correlate
from test_native import gathered

pytestmark = pytest.mark.skipif(not banks.AVAILABLE, reason="the native extension is not built")
ERROR = 1e-6
"""Relative to sum|k| max|x|, as `gemm.rounding` has it."""


@st.composite
def calls(draw):
    """A bank with a window that has anything beyond the image, on all three axes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups, fan_in = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 4))
    filters = draw(st.sampled_from([1, 3, 4, 5, 8, 15, 16, 17, 33, 40]))
    kernel = tuple(draw(st.integers(1, most)) for most in (2, 3, 5))
    steps = {name: tuple(draw(st.integers(1, 3)) for _ in range(3)) for name in ("stride", "dilation")}
    outputs = draw(st.integers(1, 2)), draw(st.integers(1, 9)), draw(st.one_of(st.integers(1, 33), st.just(470)))
    sizes, reads = tuple(draw(st.integers(1, most)) for most in (4, 12, 99)), []
    for count, size, taps, stride, dilation in zip(outputs, sizes, kernel, *steps.values(), strict=True):
        window = (count - 1) * stride + (taps - 1) * dilation + 1
        reads.append(rng.integers(-1, size, window).astype(np.int32))
    source = rng.standard_normal((groups * fan_in, *sizes)).astype(np.float32)
    taps = rng.standard_normal((groups * filters, fan_in, *kernel)).astype(np.float32)
    return source, taps, groups, outputs, {**steps, "reads": reads, "outside": (7.0, -3.0, 0.5)}


@settings(deadline=None, max_examples=80)
@given(calls(), st.sampled_from(native.INSTRUCTIONS or ("none",)), st.sampled_from([1, 7, 512]))
def test_banks_give_what_the_definition_gives_and_leave_their_surroundings(call, instructions, stretch):
    source, taps, groups, outputs, options = call
    window = np.stack([gathered(each, options["reads"], options["outside"], 1) for each in source])
    truth = correlate(
        window, taps, stride=options["stride"], dilation=options["dilation"], pads=[(0, 0)] * 3, groups=groups
    )[:, : outputs[0], : outputs[1], : outputs[2]]
    room = np.full((len(taps), *(n + 2 for n in outputs)), 99, np.float32)
    target = room[:, 1:-1, 1:-1, 1:-1]
    size = np.abs(taps).sum(axis=(1, 2, 3, 4), dtype=float).max() * np.abs(window).max()
    for bank in (banks.packed(taps, groups, banks.lanes(instructions)), taps):
        target[...] = 0
        assert banks.correlate(source, bank, taps.shape[1:], target, stretch=stretch, **options) is True
        assert np.abs(truth - target).max() <= ERROR * size
        target[...] = 99
        assert (room == 99).all()


@pytest.mark.parametrize("name", native.INSTRUCTIONS)
def test_the_error_stays_below_what_is_claimed_where_values_hurt(name):
    rng = np.random.default_rng(1)
    for channels, size in ((3, 7), (64, 3), (700, 1), (300, 3)):
        shape, kernel = (channels, 1, 12, 16), (2, channels, 1, size, size)
        for values, weights in (
            (rng.random(shape), rng.random(kernel)),
            (1 - 1e-3 * rng.random(shape), 1 + 1e-3 * rng.random(kernel)),
            (rng.choice([-1.0, 1], shape), rng.standard_normal(kernel)),
        ):
            image, taps = values.astype(np.float32), weights.astype(np.float32)
            truth = correlate(image, taps, stride=(1,) * 3, dilation=(1,) * 3, pads=[(0, 0)] * 3)
            found = np.empty(truth.shape, np.float32)
            assert banks.correlate(image, banks.packed(taps, 1, banks.lanes(name)), kernel[1:], found)
            scale = np.abs(taps).sum(axis=(1, 2, 3, 4), dtype=float).max() * np.abs(image).max()
            assert np.abs(truth - found).max() <= ERROR * scale


@pytest.mark.parametrize(
    ("channels", "filters", "kernel", "stride", "dilation", "groups"),
    [
        (5, 37, (3, 3), 1, 1, 1),
        (6, 34, (7, 2), 2, 1, 2),
        (40, 9, (1, 1), 1, 1, 1),
        (4, 16, (3, 3), 3, 2, 1),
        (3, 20, (3, 2, 3), 1, 1, 1),
        (5, 10, (3, 4), 1, 1, 5),
        (4, 4, (5, 3), 2, 3, 4),
        (4, 4, (2, 3, 3), 1, 1, 4),
    ],
)
def test_a_part_of_an_image_alone_makes_the_bits_of_the_whole(channels, filters, kernel, stride, dilation, groups):
    """However large: a sum is in the order of channels and taps, wherever its output lies."""
    rng = np.random.default_rng(2)
    sides = (61, 203) if len(kernel) == 2 else (7, 23, 61)
    image = rng.standard_normal((channels, *sides)).astype(np.float32)
    taps = rng.standard_normal((filters, channels // groups, *kernel))
    axes = "CZYX" if len(kernel) == 3 else "CYX"
    more = {
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "padding": "valid",
        "method": "gemm",
        "axes": axes,
    }
    whole = convolve(image, taps, **more, threads=1)
    np.testing.assert_array_equal(whole, convolve(image, taps, **more, threads=3))
    for first in ((3, 5), (0, 12)):
        part = image[..., stride * first[0] :, stride * first[1] :]
        np.testing.assert_array_equal(whole[..., first[0] :, first[1] :], convolve(part, taps, **more, threads=2))
    np.testing.assert_array_equal(whole, convolve(image, taps, **more, memory=2**20))
    as_block = convolve(image.astype(">f4"), taps, **more)  # not as it lies in memory
    np.testing.assert_array_equal(whole, as_block)


@pytest.mark.parametrize("unusual", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_what_is_not_finite_damages_its_footprint_alone(unusual, stride, dilation):
    rng = np.random.default_rng(3)
    image, taps = rng.standard_normal((6, 40, 50)).astype(np.float32), rng.standard_normal((19, 6, 3, 4))
    taps[:, 2, 1, 1] = 0
    image[2, 20, 22] = unusual
    steps = {"stride": (stride,) * 2, "dilation": (dilation,) * 2}
    found = convolve(image, taps, method="gemm", padding=1, border="zero", **steps)
    told = correlate(image, taps, pads=[(1, 1)] * 2, **steps)
    for kind in (np.isposinf, np.isneginf, np.isnan):
        np.testing.assert_array_equal(kind(told), kind(found))
    known = np.isfinite(told)
    assert np.abs(told[known] - found[known]).max() <= 2e-5 * np.abs(taps).sum(axis=(1, 2, 3)).max() * 5


def test_banks_never_leave_the_buffers():
    image, taps, found = np.zeros((6, 1, 20, 30), "f"), np.ones((40, 3, 1, 5, 5), "f"), np.zeros((40, 1, 16, 26), "f")
    lanes = banks.lanes()
    given = {"source": image, "taps": banks.packed(taps, 2, lanes), "kernel": (3, 1, 5, 5), "target": found}
    assert banks.correlate(*given.values())
    for wrong in (
        {"source": image[:5]},
        {"source": image[:, :, 1:]},
        {"source": image.astype(np.float64)},
        {"taps": given["taps"][:1]},
        {"taps": given["taps"][:, :1]},
        {"taps": given["taps"][:, :, :-1].copy()},
        {"taps": given["taps"][..., :-1].copy()},
        {"taps": given["taps"].astype(np.float64)},
        {"taps": taps[:39]},
        {"taps": taps[:, :2].copy()},
        {"taps": taps.astype(np.float64)},
        {"kernel": (3, 1, 5, 6)},
        {"kernel": (3, 5, 1, 5)},
        {"kernel": (15, 1, 5, 1)},
        {"kernel": (3, 1, -5, -5)},
        {"kernel": (0, 1, 5, 5)},
        {"kernel": (3, 2**62, 5, 5)},
        {"target": found[:39]},
        {"target": found[..., ::2]},
        {"target": found.astype(np.uint8)},
        {"mix": banks.packed(np.ones((40, 40), "f"), 1, lanes)},
        {"taps": taps, "mix": banks.packed(np.ones((40, 39), "f"), 1, lanes)},
        {"taps": taps, "mix": banks.packed(np.ones((20, 40), "f"), 1, lanes)},
        {"taps": taps, "mix": np.ones((40, 40), "f")},
        {"stride": (2, 1)},
        {"stride": (1, 0)},
        {"dilation": (1, 2**62)},
        {"stretch": 0},
        {"step": 2},
        {"scale": 2.0},
        {"reads": (np.arange(1, 21, dtype=np.int32), None)},
        {"reads": (None, np.arange(-2, 28, dtype=np.int32))},
    ):
        both = {**given, **wrong}
        with pytest.raises((ValueError, TypeError)):
            banks.correlate(*(both.pop(name) for name in given), **both)


def test_many_plain_kernels_are_exact_at_each_output():
    """One channel, 2,809 products in a sum, and a bright spot: accuracy is that of each output."""
    rng = np.random.default_rng(4)
    image, taps = rng.random((70, 80)).astype(np.float32), rng.random((9, 1, 53, 53))
    image[:40] *= 1e6
    found = convolve(image[None], taps, padding="valid", method="gemm", axes="CYX")
    truth = correlate(image[None], taps.astype(np.float32), stride=(1, 1), dilation=(1, 1), pads=[(0, 0)] * 2)
    assert (np.abs(truth - found) <= 2e-5 * truth).all()


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_mix_of_maps_is_one_step_after_the_other(data):
    """By every thread that shares the call; nothing beside the target is written."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    channels, many = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 3))
    filters, kernel = data.draw(st.integers(1, 40)), tuple(data.draw(st.integers(1, most)) for most in (2, 4, 4))
    steps = {name: tuple(data.draw(st.integers(1, 2)) for _ in range(3)) for name in ("stride", "dilation")}
    columns = data.draw(st.sampled_from([1, 5, 17, 130, 470]))
    outputs = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 40)), columns
    each = zip(outputs, kernel, *steps.values(), strict=True)
    sizes = [(n - 1) * stride + (k - 1) * dilation + 1 for n, k, stride, dilation in each]
    source = rng.standard_normal((channels, *sizes)).astype(np.float32)
    taps = rng.standard_normal((channels * many, 1, *kernel)).astype(np.float32)
    mix = rng.standard_normal((filters, channels * many)).astype(np.float32)
    between = correlate(source, taps, **steps, pads=[(0, 0)] * 3, groups=channels)
    room = np.full((filters, *(n + 2 for n in outputs)), 99, np.float32)
    target, packed = room[:, 1:-1, 1:-1, 1:-1], banks.packed(mix, 1, banks.lanes())
    team = native.team_of(2) if data.draw(st.booleans()) else None
    assert banks.correlate(source, taps, taps.shape[1:], target, mix=packed, team=team, **steps) is True
    size = np.abs(mix) @ np.abs(taps).sum(axis=(1, 2, 3, 4), dtype=float)
    assert np.abs(np.tensordot(mix, between, 1) - target).max() <= 2 * ERROR * size.max() * np.abs(source).max()
    target[...] = 99
    assert (room == 99).all()


@pytest.mark.parametrize(("channels", "many", "stride"), [(6, 1, 1), (5, 2, 2), (40, 1, 1)])
def test_a_part_of_a_pair_alone_makes_the_bits_of_the_whole(channels, many, stride):
    rng = np.random.default_rng(6)
    image = rng.standard_normal((channels, 75, 203)).astype(np.float32)
    kernels, mix = rng.standard_normal((channels * many, 1, 3, 5)), rng.standard_normal((33, channels * many))
    more = {"axes": "CYX", "stride": stride, "padding": "valid"}
    whole = separable(image, kernels, mix, **more, threads=1)
    np.testing.assert_array_equal(whole, separable(image, kernels, mix, **more, threads=3))
    np.testing.assert_array_equal(whole, separable(image, kernels, mix, **more, memory=2**20))
    part = separable(image[:, 3 * stride :, 7 * stride :], kernels, mix, **more)
    np.testing.assert_array_equal(whole[:, 3:, 7:], part)
    image[channels - 1, 30, 90] = np.inf
    marked = ~np.isfinite(separable(image, kernels, mix, **more))
    assert marked.any()
    assert marked.sum() <= 33 * 15
    np.testing.assert_array_equal(whole[~marked], separable(image, kernels, mix, **more)[~marked])


@pytest.mark.parametrize("seed", range(3))
def test_maps_filtered_alone_are_exact_at_each_output(seed):
    rng = np.random.default_rng(seed)
    image, taps = rng.random((3, 60, 50)).astype(np.float32), rng.random((6, 1, 16, 16))
    image[:, :20] *= 1e6
    found = convolve(image, taps, padding="valid", method="direct", axes="CYX", groups=3)
    truth = correlate(image, taps.astype(np.float32), stride=(1, 1), dilation=(1, 1), pads=[(0, 0)] * 2, groups=3)
    assert (np.abs(truth - found) <= 2e-5 * truth).all()


def test_few_filters_to_each_of_many_maps_are_summed_alone_if_they_are_floats():
    sides = (padded(56, 3, 1, 1, "same"),) * 2
    maps = Problem(sides, channels_in=96, channels_out=96, groups=96, plain=True)
    assert direct.alone(maps)
    assert "direct" == make_plan(maps).method
    for change in (
        {"plain": False},
        {"itemsize": 8},
        {"channels_out": 960},
        {"groups": 1},
        {"axes": (Geometry(99, 17),) * 2},
    ):
        assert not direct.alone(replace(maps, **change))


def problem_of(**more):
    return Problem(
        (padded(56, 3, 1, 1, "same"), padded(56, 3, 2, 1, "same")), channels_in=64, channels_out=128, plain=True, **more
    )


def test_what_compiled_loops_do_is_cut_anywhere_and_all_else_is_not(monkeypatch):
    strided = problem_of()
    assert "gemm" == make_plan(strided).method
    assert not is_fixed(load("gemm"), strided)
    assert is_fixed(load("gemm"), replace(strided, itemsize=8))
    far = (Geometry(40_000, 7, dilation=6_000), Geometry(300, 3))
    assert is_fixed(load("gemm"), Problem(far, channels_in=64, channels_out=64))
    monkeypatch.setattr(banks, "AVAILABLE", False)
    assert gemm.fixed(strided)
    assert not gemm.compiled(strided)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64"])
def test_without_compiled_loops_results_are_the_same_but_for_rounding(dtype, monkeypatch):
    rng = np.random.default_rng(5)
    image, taps = (rng.random((4, 31, 45)) * 200).astype(dtype), rng.standard_normal((20, 4, 3, 3))
    found = convolve(image, taps, method="gemm", stride=2)
    monkeypatch.setattr(banks, "AVAILABLE", False)
    plain = convolve(image, taps.copy() * 1.0, method="gemm", stride=2, memory=2**27)  # planned anew
    assert np.abs(plain - found).max() <= 2e-6 * np.abs(taps).sum(axis=(1, 2, 3)).max() * 200
