"""The polyphase split: every phase of a dilated convolution is a dense one, and all together are the definition."""

import numpy as np
import pytest

from convcli import convolve
from convcli.geometry.axis import padded
from convcli.geometry.problem import Problem
from convcli.methods import polyphase
from convcli.planner import make_plan
from test_methods import check_close, draw_problem, engine, expected, fits


@pytest.mark.parametrize("seed", range(4))
def test_the_phases_add_up_to_the_definition(seed):
    rng = np.random.default_rng(700 + seed)
    problems = [draw_problem(rng) for _ in range(60)]
    dilated = [problem for problem in problems if fits(problem) and set(problem["dilation"]) != {1}]
    assert len(dilated) > 20
    for problem in dilated:
        check_close(expected(problem), engine(problem, "polyphase"), problem)


@pytest.mark.parametrize(("rate", "stride"), [(2, 1), (3, 1), (2, 2), (4, 2), (3, 2), (8, 1)])
def test_a_wide_bank_goes_by_winograd_phase_by_phase(rate, stride):
    rng = np.random.default_rng(rate)
    image, taps = rng.standard_normal((20, 37, 41)), rng.standard_normal((18, 20, 3, 3))
    exact = convolve(image, taps, dilation=rate, stride=stride, method="gemm")
    found = convolve(image.astype(np.float32), taps, dilation=rate, stride=stride, method="polyphase")
    assert np.abs(exact - found).max() <= 2e-5 * np.abs(taps).sum(axis=(1, 2, 3)).max() * np.abs(image).max()


@pytest.mark.parametrize(("rate", "stride", "phases"), [(4, 1, 4), (4, 2, 2), (4, 3, 4), (6, 4, 3), (3, 3, 1)])
def test_so_many_phases_as_the_rate_over_its_common_factor_with_the_stride(rate, stride, phases):
    axis = padded(90, 5, stride, rate, "same")
    problem = Problem((axis, axis))
    assert (phases, phases) == polyphase.counts(problem)
    reads = [{position % rate for position in axis.reads(output)} for output in range(axis.output)]
    assert phases == len({tuple(read) for read in reads})


def test_nan_and_infinities_stay_within_the_footprint():
    image = np.zeros((40, 40), np.float32)
    image[20, 20], image[5, 5] = np.nan, np.inf
    found = convolve(image, np.ones((3, 3)), dilation=7, method="polyphase")
    for value, centre in ((np.isnan, 20), (np.isposinf, 5)):
        rows, columns = np.nonzero(value(found))
        near = {centre + shift for shift in (-7, 0, 7) if centre + shift >= 0}
        assert (near, near, len(near) ** 2) == (set(rows), set(columns), len(rows))


def test_rate_1_is_refused():
    assert "only for rates above 1" == polyphase.refuse(Problem((padded(90, 5, 1, 1, "same"),) * 2))


def test_the_planner_splits_where_a_rate_would_fill_a_transform_with_zeros():
    large = Problem((padded(1024, 127, 1, 8, "same"),) * 2)
    small = Problem((padded(1024, 3, 1, 8, "same"),) * 2)
    wide = Problem((padded(112, 3, 1, 2, "same"),) * 2, channels_in=128, channels_out=128)
    assert ["polyphase", "direct", "polyphase"] == [make_plan(each).method for each in (large, small, wide)]


def test_threads_share_a_plane():
    rng = np.random.default_rng(9)
    image, taps = rng.standard_normal((300, 310)).astype(np.float32), rng.standard_normal((9, 8))
    one, two = (convolve(image, taps, dilation=4, method="polyphase", threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_tiles_that_no_memory_holds_are_computed_one_at_a_time():
    problem = Problem((padded(1024, 127, 1, 8, "same"),) * 2)
    roomy, narrow = make_plan(problem, threads=2, memory=2**30), make_plan(problem, threads=2, memory=2**24)
    assert (roomy.method, roomy.tile) == (narrow.method, narrow.tile)
    assert 1 == narrow.threads
