"""Compiled copies: windows as columns and phases put side by side, for samples of any size, and nothing outside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import native
from convcli.engine.stages.phases import put_phases

pytestmark = pytest.mark.skipif(not native.COPIES, reason="the native extension is not built")
TYPES = st.sampled_from(["uint8", "uint16", "float32", "float64"])


@settings(deadline=None)
@given(
    *(TYPES, st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 4))),
    *(st.tuples(st.integers(1, 4), st.integers(1, 40)), st.tuples(st.integers(1, 3), st.integers(1, 4))),
    *(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.booleans()),
)
def test_columns_are_what_each_tap_reads(dtype, channels, kernel, outputs, stride, dilation, backwards):
    reach = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(outputs, stride, kernel, dilation, strict=True)]
    image = np.arange(channels * reach[0] * (reach[1] + 2)).astype(dtype).reshape(channels, reach[0], -1)[:, :, 1:-1]
    image = image[::-1, ::-1] if backwards else image
    columns = np.empty((channels, *kernel, *outputs), dtype)
    native.unfold(image, columns, stride, dilation)
    for (i, j), _ in np.ndenumerate(np.empty(kernel)):
        rows, along = (
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip((i, j), dilation, outputs, stride, strict=True)
        )
        np.testing.assert_array_equal(image[:, rows, along], columns[:, i, j])


@settings(deadline=None)
@given(TYPES, st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 70))
def test_phases_are_put_side_by_side(dtype, filters, rows, phases, columns):
    source = np.random.default_rng(columns).integers(0, 99, (filters, phases, rows, columns)).astype(dtype)
    target = np.zeros((filters, 2 * rows, phases * columns), dtype)
    native.shuffle(source.swapaxes(1, 2), target[:, 1::2])
    for phase in range(phases):
        np.testing.assert_array_equal(source[:, phase], target[:, 1::2, phase::phases])
    assert not target[:, ::2].any()


IMAGE, COLUMNS, PHASES = np.zeros((2, 5, 6), "f"), np.zeros((2, 3, 3, 3, 4), "f"), np.zeros((2, 4, 2, 3), "f")


@pytest.mark.parametrize(
    ("image", "columns", "stride", "dilation"),
    [
        (IMAGE, np.zeros((2, 3, 3, 4, 4), "f"), (1, 1), (1, 1)),
        (IMAGE, np.zeros((3, 3, 3, 3, 4), "f"), (1, 1), (1, 1)),
        (IMAGE, COLUMNS, (2, 1), (1, 1)),
        (IMAGE, COLUMNS, (1, 1), (1, 2)),
        (IMAGE, COLUMNS, (0, 1), (1, 1)),
        (IMAGE, COLUMNS, (1, 2**62), (1, 2**62)),
        (IMAGE.astype("d"), COLUMNS, (1, 1), (1, 1)),
        (IMAGE[..., ::-1], COLUMNS, (1, 1), (1, 1)),
        (IMAGE[0], COLUMNS, (1, 1), (1, 1)),
        (IMAGE, COLUMNS[:, :, ::2], (1, 1), (1, 1)),
    ],
)
def test_windows_beyond_the_image_are_refused(image, columns, stride, dilation):
    with pytest.raises((ValueError, BufferError)):
        native.unfold(image, columns, stride, dilation)
    native.unfold(IMAGE, COLUMNS, (1, 1), (1, 1))


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 3, 6), (1, 4, 6), (2, 4, 6, 1)])
def test_phases_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"phases|buffer"):
        native.shuffle(PHASES, np.zeros(shape, "f"))
    with pytest.raises((ValueError, BufferError)):
        native.shuffle(PHASES, np.broadcast_to(np.float32(0), (2, 4, 6)))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128"])
def test_phases_without_an_output_at_an_end_are_left_out(monkeypatch, compiled, dtype):
    """Cells 0 to 4 of two phases along each axis: the first has no output in cell 0, the second none in cell 4."""
    monkeypatch.setattr(native, "COPIES", compiled)
    results = np.arange(3 * 4 * 25).astype(dtype).reshape(1, 12, 5, 5)
    ends = [(slice(1, 8, 2), slice(1, 5)), (slice(0, 7, 2), slice(0, 4))]
    places = [((rows, columns), (down, across)) for rows, down in ends for columns, across in ends]
    target = np.full((1, 3, 8, 8), 99, dtype)
    put_phases(results, places, target)
    for phase, (place, cells) in enumerate(places):
        np.testing.assert_array_equal(results[:, phase::4][:, :, *cells], target[:, :, *place])
