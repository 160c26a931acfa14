"""The promise at each output: |error| <= 2e-5 (|k| * |x|) there, whatever else is in the image, by every method."""

from functools import cache

import numpy as np
import pytest
from scipy import signal

from convcli import convolve, native
from convcli.errors import ConvError
from convcli.filters.filter import Numbers
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import ACCURACY, Problem
from convcli.kernels import parse_kernel
from convcli.methods import METHODS
from convcli.methods.cancelling import rest_of

SHAPE = (110, 160)
GRID = np.mgrid[-14:15, -14:15]
KERNELS = {
    "disk": ((GRID**2).sum(axis=0) <= 196) / 613.0,
    "box": np.full((21, 21), 1 / 441),
    "signed": np.random.default_rng(1).standard_normal((27, 31)),
    "cross": ((GRID[0, :, 6:23] == 0) | (GRID[1, :, 6:23] == 0)) - 0.5 * (np.hypot(*GRID[:, :, 6:23]) == 0),
    "nearly a product": np.exp(-(GRID**2).sum(axis=0) / 60.0) * np.where(np.hypot(*(GRID - 12)) < 1.5, 0, 1),
    "gabor": np.exp(-(GRID**2).sum(axis=0) / 50.0) * np.cos(GRID[1] * 0.9),
}
SPIKES = (1e4, 1e8, 1e12, 1e20, 1e30)


def pictures(rng):
    """Pixels that differ as much as pixels can: spots, masks, stars, halves, decay, signs, the smallest numbers."""
    plain = 1 + rng.random(SHAPE)
    for spike in SPIKES:
        image = plain.copy()
        image[tuple(rng.integers(n) for n in SHAPE)] = spike
        yield f"spot of {spike:g}", image
    yield "mask", rng.random(SHAPE) < 0.002
    yield "half black", np.where(np.arange(SHAPE[1]) < 75, plain, 0)
    yield "stars", np.where(rng.random(SHAPE) < 0.001, 10.0 ** rng.uniform(0, 12, SHAPE), 0)
    yield "decay", np.exp(-np.arange(SHAPE[1]) / 4.0) * plain
    yield "signs", rng.standard_normal(SHAPE)
    yield "constant", np.full(SHAPE, 1000.5)
    yield "smallest", plain * 1e-37
    yield "black", np.zeros(SHAPE)


PICTURES = dict(pictures(np.random.default_rng(0)))


def definition(image, taps):
    """'valid' correlation in float64 by the definition, and of the absolute values; both with no transform."""
    wide = image.astype(np.float64)
    return tuple(
        signal.correlate(x, k, "valid", method="direct") for x, k in ((wide, taps), (np.abs(wide), np.abs(taps)))
    )


@cache
def truth_of(picture, name):
    """The definition of a picture in float32, which a float64 picture can be, too."""
    return definition(PICTURES[picture].astype(np.float32), KERNELS[name])


@pytest.mark.sweep(3)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("picture", PICTURES)
def test_each_output_is_as_accurate_as_what_it_reads(picture, name, dtype):
    image, taps = PICTURES[picture].astype(np.float32).astype(dtype), KERNELS[name]
    truth, size = truth_of(picture, name)
    for method in METHODS:
        try:
            found = convolve(image, taps, method=method, padding="valid", threads=1).astype(np.float64)
        except ConvError as error:
            assert "cannot do this" in str(error)
            continue
        error = np.abs(truth - found)
        assert (error <= ACCURACY * size + 4 * float(np.finfo(dtype).smallest_subnormal) * taps.size).all(), method
        assert (found[size == 0] == 0).all(), method
        if (image >= 0).all() and (taps >= 0).all():
            assert (found >= 0).all(), method


@pytest.mark.parametrize("high", [9, 15, 31, 63])
def test_pixels_that_are_lost_beside_a_large_one_do_not_add_up(high):
    """Half a unit in its last place each: every sum rounds the same way, and a sum that cancels keeps what it lost."""
    taps = np.where(np.arange(high) < 2 * (high // 3), 1, 1 / 16)[:, None] * np.linspace(1, 1.5, high)
    taps[0, 0] = 1.25  # of rank 2
    spots = np.zeros((80, 80))
    spots[20::30, 20::30] = 1
    for level in np.geomspace(1e-8, 1e-6, 12):
        image = np.maximum(spots, level).astype(np.float32)
        truth, size = definition(image, taps)
        for method in METHODS:
            try:
                found = convolve(image, taps, method=method, padding="valid", threads=1)
            except ConvError as error:
                assert "cannot do this" in str(error)
                continue
            assert (np.abs(truth - found) <= ACCURACY * size).all(), method


@pytest.mark.parametrize("spike", SPIKES)
def test_a_bright_voxel_reaches_no_further_than_the_kernel(spike):
    rng = np.random.default_rng(3)
    image, taps = 1 + rng.random((40, 50, 60)), rng.standard_normal((5, 5, 5))
    image[20, 25, 30] = spike
    image = image.astype(np.float32)
    truth, size = definition(image, taps)
    for method in ("direct", "fft", "gemm"):
        found = convolve(image, taps, axes="ZYX", padding="valid", method=method)
        assert (np.abs(truth - found) <= ACCURACY * size).all(), method


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("volume", ["ball", "counts", "decay", "signs", "smallest", "overflow"])
def test_transforms_of_a_volume_keep_the_promise_whichever_way_they_are_settled(volume, dtype):
    rng = np.random.default_rng(4)
    place = np.mgrid[-20:20, -22:22, -24:24]
    image = 1 + rng.random(place.shape[1:])
    image *= {
        "ball": (place**2).sum(axis=0) < 200,
        "counts": rng.poisson(0.01, image.shape),
        "decay": np.exp(-1.5 * (place[2] + 24)),
        "signs": rng.standard_normal(image.shape),
        "smallest": 1e-38,
        "overflow": np.where(rng.random(image.shape) < 1e-4, 1e34, 1),
    }[volume]
    image, taps = image.astype(dtype), rng.standard_normal((5, 6, 7)).astype(dtype)
    truth, size = definition(image, taps.astype(np.float64))
    found = convolve(image, taps, axes="ZYX", padding="valid", method="fft")
    assert (np.abs(truth - found) <= ACCURACY * size + 1e-42).all()
    assert (found[size == 0] == 0).all()


@pytest.mark.parametrize("spike", SPIKES)
def test_terms_leave_nothing_in_a_volume(spike):
    rng = np.random.default_rng(3)
    image = (1 + rng.random((30, 32, 34))) * (rng.random((30, 32, 34)) < 0.01)
    image[10, 12, 14] = spike
    lines = ((np.mgrid[-3:4, -3:4, -3:4] == 0).sum(axis=0) >= 2).astype(float)
    truth, size = definition(image, lines)
    found = convolve(image, lines, axes="ZYX", padding="valid", method="separable", memory=2**18)
    assert (np.abs(truth - found) <= ACCURACY * size).all()
    assert (found[size == 0] == 0).all()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["cross", "disk", "nearly a product"])
@pytest.mark.skipif(not native.AVAILABLE, reason="without compiled code products round as BLAS cuts them")
def test_what_terms_leave_is_found_whatever_the_memory(name, stride):
    image, more = PICTURES["stars"].astype(np.float32), {"method": "separable", "stride": stride}
    whole, parts = (convolve(image, KERNELS[name], memory=memory, **more) for memory in (2**30, 2**16))
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("method", ["direct", "separable", "fft"])
def test_a_huge_pixel_changes_no_integer_beyond_the_kernel(method):
    image = PICTURES["signs"].astype(np.float64) * 20
    image[50, 60] = 1e32
    truth, size = definition(image, KERNELS["cross"])
    found = convolve(image, KERNELS["cross"], padding="valid", method=method, numbers=Numbers(dtype="int16"))
    calm = size < 1e6
    np.testing.assert_allclose(truth[calm], found[calm], rtol=0, atol=0.5 + 1e-6)


@pytest.mark.parametrize("name", ["dog:1,2", "dog:1.6,2.5", "log:2", "log:1.5", "unsharp:2"])
def test_named_terms_leave_little_beside_any_tap(name):
    kernel = parse_kernel(name)
    assert len(kernel.terms) > 1
    problem = Problem(tuple(Geometry(99, size) for size in kernel.shape), itemsize=8, local=True)
    assert rest_of(kernel.array(), kernel.terms, problem) is None


def test_the_same_bits_come_out_whatever_the_threads():
    image = PICTURES["stars"].astype(np.float32)
    one, two = (convolve(image, KERNELS["disk"], method="fft", threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
