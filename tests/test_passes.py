"""The product of a kernel's vectors in float64, all passes at once: what the passes are one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import convolve, native, parse_kernel
from convcli.geometry.axis import padded
from convcli.geometry.problem import Problem
from convcli.methods import separable
from convcli.methods.chains import at_once
from convcli.methods.passes import AtOnce
from convcli.native import passes

pytestmark = pytest.mark.skipif(not passes.AVAILABLE, reason="the native extension is not built")


def one_by_one(source, vectors, reads, step):
    """The passes in turn, each the definition in float64 as BLAS adds it up: of (slices, rows, columns of samples)."""
    pixels = source.astype(np.float64).reshape(*source.shape[:2], -1, step)
    for axis, (taps, places) in enumerate(zip(vectors, reads, strict=True)):
        pixels = pixels if places is None else np.take(np.insert(pixels, 0, 0, axis), places + 1, axis)
        windows = np.lib.stride_tricks.sliding_window_view(pixels, len(taps), axis)
        pixels = windows @ taps
    return pixels.reshape(*pixels.shape[:2], -1)


def looked_up(rule, size, taps):
    """Which pixel stands at each position of a window with a border; None: they stand for themselves."""
    places = np.arange(-(taps // 2), size + taps - 1 - taps // 2)
    rules = {
        "edge": places.clip(0, size - 1),
        "wrap": places % size,
        "zero": np.where((places >= 0) & (places < size), places, -1),
        "far": np.full(len(places), -1),
    }
    return rules[rule].astype(np.int32)


@st.composite
def cases(draw):
    """Sizes, taps and borders of each axis, samples to a pixel, a type."""
    sizes = [draw(st.integers(1, most)) for most in (9, 30, 70)]
    taps = [draw(st.integers(1, most)) for most in (6, 20, 50)]
    rules = [draw(st.sampled_from(["edge", "wrap", "zero", "far"])) for _ in sizes]
    return (
        sizes,
        taps,
        rules,
        draw(st.integers(1, 4)),
        draw(st.sampled_from(native.WIDE_TYPES)),
        draw(st.integers(0, 999)),
    )


@settings(deadline=None, max_examples=120)
@given(cases(), st.sampled_from(native.INSTRUCTIONS))
def test_passes_at_once_are_passes_in_turn(case, instructions):
    """Whatever stands beyond the image, whatever the type, by all instructions."""
    sizes, taps, rules, step, dtype, seed = case
    rng = np.random.default_rng(seed)
    source = (rng.random((*sizes[:2], sizes[2] * step)) * 120).astype(dtype)
    vectors, reads = [rng.standard_normal(n) for n in taps], list(map(looked_up, rules, sizes, taps))
    target = np.empty(source.shape)
    passes.correlate(source, vectors, target, reads=reads, step=step, instructions=instructions)
    size = np.prod([np.abs(each).sum() for each in vectors])
    np.testing.assert_allclose(target, one_by_one(source, vectors, reads, step), rtol=0, atol=1e-13 * 120 * size)


@pytest.mark.parametrize("shape", [(1, 61, 700), (7, 40, 300)])
@pytest.mark.parametrize("high", [3, 301])
def test_strips_and_parts_have_the_bits_of_the_whole(shape, high):
    """Wider than a strip of so high a kernel; and each pass is what the loops of a single pass make."""
    rng = np.random.default_rng(1)
    vectors = [rng.random(min(3, shape[0])), rng.random(high), rng.random(40)]
    reads = [looked_up("edge", size, len(taps)) for size, taps in zip(shape, vectors, strict=True)]
    source, whole = rng.integers(0, 65536, shape).astype(np.uint16), np.empty(shape)
    passes.correlate(source, vectors, whole, reads=reads)
    made = source.astype(np.float64)
    for axis, (taps, places) in enumerate(zip(vectors, reads, strict=True)):
        result, looked = np.empty(shape), [None] * 3
        looked[axis] = places
        native.correlate_wide(
            made[None], taps.reshape(1, 1, *np.roll([len(taps), 1, 1], axis)), result[None], reads=looked
        )
        made = result
    np.testing.assert_allclose(whole, made, rtol=1e-14)
    first, last, top = 13, 555, 9
    part = np.empty((shape[0], 20, min(last, shape[2]) - first))
    reads[1], reads[2] = reads[1][top : top + 20 + high - 1], reads[2][first : first + part.shape[2] + 39]
    passes.correlate(source, vectors, part, reads=reads)
    np.testing.assert_array_equal(part, whole[:, top : top + 20, first : first + part.shape[2]])


def test_results_are_rounded_clipped_and_counted():
    """Half to even, to the limits of the type, and told."""
    source = np.array([[[0, 1, 3, 5, 7, 65535, 65535]]], np.uint16)
    target = np.empty((1, 1, 6), np.uint16)
    counts = passes.correlate(source, [[1.0], [0.5], [1.0, 1.0]], target)
    assert target.tolist() == [[[0, 2, 4, 6, 32771, 65535]]]
    assert tuple(counts) == (0, 0, 0)
    counts = passes.correlate(source, [[1.0], [-0.5], [1.0, 1.0]], target, bias=3.0)
    assert target.tolist() == [[[2, 1, 0, 0, 0, 0]]]
    assert tuple(counts) == (4, 0, 0)


def test_what_does_not_fit_is_refused():
    """Before any memory is touched."""
    source, target = np.zeros((1, 9, 9)), np.zeros((1, 9, 9))
    with pytest.raises(ValueError, match="9 outputs of 3 taps"):
        passes.correlate(source, [[1.0], [1.0] * 3, [1.0]], target)
    with pytest.raises(ValueError, match="side by side"):
        passes.correlate(source, [[1.0], [1.0] * 3, [1.0]], target[:, :3], stride=(2, 1))
    with pytest.raises(TypeError, match="native uint8"):
        passes.correlate(source.astype("complex64"), [[1.0]] * 3, target)


@pytest.mark.parametrize(("text", "shape"), [("gaussian:2", (50, 60)), ("gaussian:1,2,3", (30, 40, 50))])
def test_gaussians_of_16_bits_are_made_at_once(text, shape):
    """By the plan, in one call; and not where a tap is 0, under which an infinity must not show."""
    axes = tuple(padded(size, kernel, 1, 1, "same") for size, kernel in zip(shape, (17,) * len(shape), strict=True))
    problem = Problem(axes, itemsize=8, rank=1)
    assert at_once(problem) == [*range(len(shape))]
    kernel = parse_kernel(text, len(shape))
    image = np.random.default_rng(2).integers(0, 65536, shape, np.uint16)
    made, direct = (convolve(image, kernel, method=method) for method in ("separable", "direct"))
    assert (made != direct).mean() < 1e-3  # beside ties
    holes = [np.where(np.arange(17) == 8, 0, 1.0)[None]] * len(shape)
    kinds = [type(each) for each in separable.prepare_terms([[[tuple(v[0] for v in holes)]]], problem).chains[0]]
    assert AtOnce not in kinds
