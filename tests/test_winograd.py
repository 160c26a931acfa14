"""Winograd's minimal filtering against the definition: every map size, border, padding, group, type and transform."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from convcli import convolve, native
from convcli.arithmetic.geometry import Geometry
from convcli.arithmetic.problem import Problem
from convcli.filters.filter import ACCURACY
from convcli.methods import winograd
from convcli.planner import make_plan
from oracle import correlate


def layer(seed, height, width, channels=16, filters=16, groups=1):
    """A picture (I, height, width) and a bank (O, I/g, 3, 3)."""
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((channels, height, width))
    return image.astype(np.float32), rng.standard_normal((filters, channels // groups, 3, 3))


def allowed(image, taps):
    """The promised accuracy."""
    return ACCURACY * np.abs(taps).sum(axis=(1, 2, 3)).max() * np.abs(image).max()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("height", "width"), [(3, 3), (4, 9), (5, 4), (17, 30), (31, 8), (66, 67)])
def test_maps_of_every_size_agree_with_the_definition(height, width, compiled, monkeypatch):
    if compiled and not native.PATCHES:
        pytest.skip("the native extension is not built here")
    monkeypatch.setattr(native, "PATCHES", compiled)
    image, taps = layer(height * width, height, width, 20, 18)
    for pads in ([(0, 0), (0, 0)], [(1, 1), (1, 1)], [(2, 0), (0, 3)]):
        truth = correlate(image, taps, stride=(1, 1), dilation=(1, 1), pads=pads, border="reflect")
        found = convolve(image, taps, padding=pads, border="reflect", method="winograd", threads=2)
        assert np.abs(truth - found).max() <= allowed(image, taps)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int16])
def test_groups_and_sample_types_agree_with_the_definition(groups, dtype):
    image, taps = layer(5, 22, 19, 32, 34, groups)
    image = (image * 30 + 100).astype(dtype)
    pads = [(1, 1), (1, 1)]
    truth = correlate(image, taps, stride=(1, 1), dilation=(1, 1), pads=pads, border="zero", groups=groups)
    found = convolve(image, taps, padding=1, border="zero", groups=groups, method="winograd")
    exact = dtype == np.float64
    assert np.abs(truth - found).max() <= (1e-9 if exact else 1) * allowed(image.astype(float), taps)


@pytest.mark.parametrize("transform", winograd.TRANSFORMS, ids=lambda t: f"F({t.outputs_at_once},3)")
def test_a_transform_is_the_definition_in_disguise(transform):
    rng = np.random.default_rng(1)
    inputs, filters, outputs = map(np.array, (transform.inputs, transform.filters, transform.outputs))
    patch, taps = rng.standard_normal((transform.patch,) * 2), rng.standard_normal((3, 3))
    truth = correlate(patch[None], taps[None, None], stride=(1, 1), dilation=(1, 1), pads=[(0, 0)] * 2, border="zero")
    found = outputs @ ((filters @ taps @ filters.T) * (inputs @ patch @ inputs.T)) @ outputs.T
    np.testing.assert_allclose(truth[0], found, atol=1e-12)


@pytest.mark.parametrize("transform", winograd.TRANSFORMS, ids=lambda t: f"F({t.outputs_at_once},3)")
def test_the_error_stays_below_what_the_transform_promises_where_signs_hurt(transform):
    rng, size = np.random.default_rng(2), transform.patch
    for channels, kind in product((1, 16), range(4)):
        signs = rng.choice([-1.0, 1.0], (channels, 4 * size, 4 * size))
        image = (signs * (1 if kind < 2 else rng.random(signs.shape))).astype(np.float32)
        taps = rng.standard_normal((8, channels, 3, 3))
        taps = taps if kind % 2 else np.eye(9)[rng.integers(9, size=8 * channels)].reshape(8, channels, 3, 3)
        problem = Problem(
            (Geometry(4 * size, 3),) * 2,
            channels_in=channels,
            channels_out=8,
            tolerance=ACCURACY if transform.outputs_at_once == 4 else 1e-6,
        )
        assert transform == winograd.transform_for(problem)
        found = np.empty((8, *problem.output), np.float32)
        winograd.prepare(taps, problem)(image, found)
        truth = correlate(image, taps, stride=(1, 1), dilation=(1, 1), pads=[(0, 0)] * 2, border="zero")
        size_of = np.abs(taps).sum(axis=(1, 2, 3)).max() * np.abs(image).max()
        assert np.abs(truth - found).max() <= transform.error * size_of


def test_a_nan_damages_its_footprint_alone():
    image, taps = layer(3, 20, 20)
    image[4, 9, 11] = np.nan
    found = np.isnan(convolve(image, taps, border="zero", method="winograd"))
    expected = np.zeros((20, 20), bool)
    expected[8:11, 10:13] = True
    assert (expected == found).all()


def test_a_fine_tolerance_asks_for_the_smaller_transform():
    problem = Problem((Geometry(40, 3), Geometry(40, 3)), channels_in=64, channels_out=64)
    assert 4 == winograd.transform_for(problem).outputs_at_once
    assert 2 == winograd.transform_for(replace(problem, tolerance=1e-6)).outputs_at_once


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"axes": (Geometry(9, 3), Geometry(9, 5))}, "3x3"),
        ({"axes": (Geometry(9, 3, stride=2), Geometry(9, 3))}, "stride"),
        ({"axes": (Geometry(9, 3), Geometry(9, 3, dilation=2))}, "dilation"),
        ({"axes": (Geometry(9, 3),) * 3}, "3x3"),
        ({"channels_in": 8}, "fewer than 16"),
    ],
)
def test_what_winograd_cannot_do_is_refused_with_the_reason(change, reason):
    problem = Problem((Geometry(9, 3), Geometry(9, 3)), channels_in=64, channels_out=64)
    assert winograd.refuse(problem) is None
    assert reason in winograd.refuse(replace(problem, **change))


def test_a_wide_bank_is_planned_as_winograd_for_every_thread():
    problem = Problem((Geometry(56, 3, begin=1, end=1),) * 2, channels_in=128, channels_out=128)
    plan = make_plan(problem, threads=2)
    assert ("winograd", (28, 56), 2) == (plan.method, plan.tile, plan.threads)
