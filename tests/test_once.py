"""A small image is filtered by one call, and nobody can tell: the samples and the counts of the way tile by tile."""

from __future__ import annotations

import numpy as np
import pytest

from convcli import native
from convcli.arrays import in_order
from convcli.engine.run import run
from convcli.engine.stages.filter import FilterStage
from convcli.filters.filter import Numbers
from convcli.image import ImageInfo
from convcli.operations.operation import ANYTHING
from convcli.requests.calls import correlate

TAPS = np.random.default_rng(5).normal(size=(3, 3))
KINDS = {
    "grey": ("YX", (40, 30)),
    "colour": ("YXS", (20, 30, 3)),
    "opaque": ("YXS", (20, 30, 4)),
    "planes": ("CYX", (3, 20, 30)),
    "volume": ("ZYX", (7, 20, 30)),
    "row": ("YX", (1, 30)),
}
KERNELS = {
    "random": TAPS,
    "terms": "gaussian:1.5",
    "bank": np.random.default_rng(6).normal(size=(4, 3, 3, 3)),
    "deep": np.random.default_rng(7).normal(size=(3, 3, 3)),
}
PAIRS = [
    (kernel, kind)
    for kernel in KERNELS
    for kind, (axes, _) in KINDS.items()
    if (kernel != "deep" or "Z" in axes) and (kernel != "bank" or "C" in axes)
]
"""Kernels with the kinds of images that they suit."""
WAYS = (
    {},
    {"stride": 2, "border": "wrap"},
    {"padding": 6, "border": "constant=7"},
    {"numbers": Numbers(scale=2.0, bias=3.0)},
)
DTYPES = ("uint8", "uint16", "int16", "int32", "float32", "float64")
SPECIAL = (np.nan, np.inf, -np.inf, 3e38)


def planned(kernel, kind, dtype, **options):
    """The stage for images of a kind."""
    axes, shape = KINDS[kind]
    (stage,) = correlate(KERNELS[kernel], **options).on(ImageInfo(shape, dtype, axes), ANYTHING).stages
    return stage


def pixels_of(stage, seed=1):
    rng, dtype = np.random.default_rng(seed), np.dtype(stage.info.dtype)
    if dtype.kind == "f":
        return rng.normal(size=stage.info.shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, stage.info.shape, dtype, endpoint=True)


def both(stage, pixels, monkeypatch):
    """What a stage makes of pixels: by one call where that may be, and tile by tile; and what it counts."""
    at_once = run([stage], pixels)
    with monkeypatch.context() as patch:
        patch.setitem(vars(stage), "once", None)
        return at_once, run([stage], pixels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "kind"), PAIRS)
def test_one_call_makes_what_tiles_make(kernel, kind, dtype, monkeypatch):
    for options in WAYS:
        stage = planned(kernel, kind, dtype, **options)
        (made, counts), (expected, counted) = both(stage, pixels_of(stage), monkeypatch)
        np.testing.assert_array_equal(made, expected, strict=True)
        assert counts == counted


@pytest.mark.skipif(not native.AVAILABLE, reason="the compiled loops are not there")
@pytest.mark.parametrize(("kernel", "kind"), [("random", "grey"), ("terms", "colour"), ("deep", "volume")])
def test_small_images_go_that_way(kernel, kind, monkeypatch):
    stage = planned(kernel, kind, "uint8")
    monkeypatch.setattr("convcli.engine.stages.filter.store_tile", None)
    monkeypatch.setattr("convcli.engine.stages.filter.store_fused", None)
    assert stage.once
    assert run([stage], pixels_of(stage))[1].samples == stage.info.nbytes


@pytest.mark.parametrize("value", SPECIAL)
def test_what_is_no_number_or_too_large_is_as_it_was(value, monkeypatch):
    stage = planned("random", "grey", "float32")
    pixels = pixels_of(stage)
    pixels[3, 4] = value
    (made, counts), (expected, counted) = both(stage, pixels, monkeypatch)
    np.testing.assert_array_equal(made, expected, strict=True)
    assert counts == counted


@pytest.mark.parametrize("lay", [np.asfortranarray, lambda a: a[::-1], lambda a: in_order(a.astype(">f4"))])
def test_samples_that_lie_in_another_order_are_the_same_image(lay, monkeypatch):
    stage = planned("random", "grey", "float32")
    pixels = pixels_of(stage)
    expected = run([stage], np.ascontiguousarray(lay(pixels).astype("f4")))[0]
    for made, _ in both(stage, lay(pixels), monkeypatch):
        np.testing.assert_array_equal(made, expected, strict=True)


def test_a_stage_is_as_small_after_use_as_before():
    """What is bound stays behind where a stage travels."""
    stage = planned("random", "grey", "float32")
    run([stage], pixels_of(stage))
    again, arguments = stage.__reduce__()
    assert "once" not in vars(again(*arguments))
    assert isinstance(again(*arguments), FilterStage)
