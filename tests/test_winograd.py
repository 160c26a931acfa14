"""Winograd's minimal filtering against the definition: every map size, border, padding, group, type and transform."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import convolve, native
from convcli.filters.filter import ACCURACY
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Problem
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


def test_threads_share_the_tiles_of_a_layer_and_take_those_of_many():
    problem = Problem((Geometry(56, 3, begin=1, end=1),) * 2, channels_in=128, channels_out=128)
    one, several = make_plan(problem, threads=2), make_plan(replace(problem, planes=20), threads=2)
    assert ("winograd", (56, 56), 2, 2) == (one.method, one.tile, one.threads, one.team)
    assert ("winograd", 2, 1) == (several.method, several.threads, several.team)
    assert make_plan(problem, threads=1).team == 1


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_results_do_not_depend_on_who_computes_them(frames):
    image, taps = layer(11, 61, 45, 32, 32)
    film = np.stack([image * (1 + frame) for frame in range(frames)])
    alone, together = (
        convolve(film, taps, axes="TCYX", border="wrap", method="winograd", threads=threads) for threads in (1, 3)
    )
    # BLAS may round a slice of a product otherwise than the whole
    assert np.abs(alone - together).max() <= allowed(film, taps)


@pytest.mark.skipif(not native.PATCHES, reason="the native extension is not built")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_patches_read_what_stands_beyond_the_image(data):
    """The components of a window are those of the window written out, and nothing between components is touched."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    channels, height, width = (data.draw(st.integers(1, most)) for most in (3, 9, 40))
    rows, columns = (data.draw(st.integers(1, most)) for most in (30, 90))
    image = rng.standard_normal((channels, height, width)).astype(np.float32)
    reads = [
        None if window == size else rng.integers(-1, size, window).astype(np.int32)
        for window, size in ((rows, height), (columns, width))
    ]
    if reads[1] is not None and data.draw(st.booleans()):  # a stretch, as borders leave it
        reads[1] = (np.arange(columns) - columns // 3).clip(-1, width - 1).astype(np.int32)
    window = image
    for axis, (places, constant) in enumerate(zip(reads, (7.0, -3.0), strict=True), 1):
        if places is not None:
            window = window.take(np.maximum(places, 0), axis)
            window[(slice(None),) * axis + (places < 0,)] = constant
    down, across = max(1, -(-(rows - 2) // 4)), max(1, -(-(columns - 2) // 4))
    filled = np.zeros((channels, 4 * down + 2, 4 * across + 2))
    filled[:, :rows, :columns] = window
    patches = np.lib.stride_tricks.sliding_window_view(filled, (6, 6), (1, 2))[:, ::4, ::4]
    inputs = np.array(winograd.TRANSFORMS[0].inputs)
    expected = np.einsum("ia,cyxab,jb->ijcyx", inputs, patches, inputs).reshape(36, channels, down, across)
    room = np.full((36, expected[0].size + 5), 99, np.float32)
    native.to_components(image, room[:, :-5].reshape(expected.shape), reads, (7.0, -3.0))
    np.testing.assert_allclose(room[:, :-5].reshape(expected.shape), expected, atol=2e-3)
    assert (room[:, -5:] == 99).all()


@pytest.mark.skipif(not native.PATCHES, reason="the native extension is not built")
def test_patches_never_leave_the_buffers():
    image, components = np.zeros((2, 6, 6), np.float32), np.zeros((36, 2, 1, 1), np.float32)
    places = np.arange(6, dtype=np.int32)
    native.to_components(image, components, (places, places))
    for wrong in (places + 1, places - 2, places.astype(np.int64), places[None], places[:0], np.arange(7, dtype="i")):
        with pytest.raises((ValueError, BufferError)):
            native.to_components(image, components, (None, wrong))
    for wrong in (places + 1, places - 2, places[:0], "rows"):
        with pytest.raises((ValueError, TypeError)):
            native.to_components(image, components, (wrong, None))
    for wrong in (components[:35], components[:, :1], components[:, ::-1], np.zeros((36, 2, 1, 2), "f")[..., ::2]):
        with pytest.raises(ValueError):
            native.to_components(image, wrong)
