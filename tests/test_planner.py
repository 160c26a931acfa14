"""What a plan says of threads and tiles is what runs, and threads that share an image have equal parts of it."""

import sys
from itertools import product
from math import log2, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import convolve, native
from convcli.engine import workers
from convcli.engine.job import Setup
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.geometry.axis import Geometry, padded
from convcli.geometry.problem import Problem
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.machine import Machine
from convcli.methods import fft, gemm
from convcli.methods.contract import load
from convcli.planner import _ask, alike, is_fixed, make_plan

IMAGES = (
    ((640, 500), "YX", "", 1),
    ((640, 500, 3), "YXS", "rgb", 1),
    ((640, 500, 4), "YXS", "rgb+alpha", 1),
    ((3, 640, 500), "CYX", "", 3),
    ((5, 640, 500, 3), "ZYXS", "rgb", 5),
    ((50, 640, 500), "ZYX", "", 50),
)


def setup_of(shape, axes, samples, dtype, size, threads):
    """A plain kernel on such an image."""
    taps = np.random.default_rng(1).random((size, size))
    filter_ = Correlation(
        Kernel.from_array("taps", taps), each=True, stride=(1, 1), dilation=(1, 1), borders=parse_border("edge", "YX")
    )
    info = ImageInfo(shape, dtype, axes, samples=samples or "")
    return Setup(filter_, info, make_plan(filter_.problem(info), threads=threads))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("size", [7, 9, 31])
@pytest.mark.parametrize(("shape", "axes", "samples", "images"), IMAGES)
def test_threads_that_are_reported_have_equal_work(shape, axes, samples, images, size, dtype):
    for most in (2, 3):
        setup = setup_of(shape, axes, samples, dtype, size, most)
        threads = setup.plan.threads  # fewer where so little work pays for no more
        plan, sizes = setup.plan, [task.shape[0] * task.shape[1] for task in setup.whole.tasks]
        assert images == plan.problem.images
        assert len(sizes) == images * plan.tiles >= threads
        assert sum(sizes) == images * 640 * 500
        rounds = -(-len(sizes) // threads)
        shared = not is_fixed(load(plan.method), plan.problem)  # others' tiles are the same for any number of threads
        if shared and images <= threads:
            assert rounds * max(sizes) <= 1.35 * sum(sizes) / threads


def test_a_coloured_picture_is_shared_by_two_threads(monkeypatch):
    asked = []

    def together(work, threads):
        asked.append(threads)
        return real(work, threads)

    real = workers.together
    monkeypatch.setattr(workers, "together", together)
    image, taps = np.zeros((900, 800, 3), np.uint8), np.ones((5, 7)) / 35 + np.eye(5, 7) / 99
    convolve(image, taps, axes="YXS", method="direct", threads=2)
    assert [2] == asked


@pytest.mark.parametrize("dilation", [1, 4])
@pytest.mark.parametrize("channels", [1, 3, 64])
@pytest.mark.parametrize("size", [40, 300, 1100])
@pytest.mark.parametrize("taps", [3, 9, 31])
def test_neither_threads_nor_memory_choose_the_method(taps, size, channels, dilation):
    axes = (padded(size, taps, 1, dilation, "same"),) * 2
    for problem in (Problem(axes, channels_in=channels, channels_out=channels), Problem(axes, planes=channels, rank=2)):
        settings = [(threads, memory) for threads in (1, 2, 3, 16) for memory in (2**24, 2**26, 2**28)]
        plans = [make_plan(problem, threads=threads, memory=memory) for threads, memory in settings]
        assert 1 == len({(plan.method, plan.itemsize) for plan in plans})


AXIS = st.integers(5, 90), st.integers(1, 9), st.integers(1, 2), st.integers(1, 3)


@settings(max_examples=25)
@given(sizes=st.lists(st.tuples(*AXIS), min_size=2, max_size=3))
def test_no_other_lengths_of_transforms_cost_less(sizes):
    axes = tuple(padded(*each, "same") for each in sizes)
    most = fft.MOST_VALUES[len(axes)]

    def cost(shape):
        tiles = [-(-a.output // ((n - a.extent) // a.stride + 1)) for a, n in zip(axes, shape, strict=True)]
        levels = sum(log2(n) + 2 for n in shape)
        return prod(tiles) * (prod(shape) * levels * (2 if prod(shape) > most else 1) + fft.CALLS)

    wholes = [a.stride * (a.output - 1) + a.extent for a in axes]
    upper = [min(n for n in fft.LENGTHS if n >= whole) for whole in wholes]
    tried = [[n for n in fft.LENGTHS if a.extent <= n <= most] for a, most in zip(axes, upper, strict=True)]
    assert min(map(cost, product(*tried))) == cost(fft.lengths(axes))


@pytest.mark.skipif(not native.AVAILABLE, reason="without compiled loops no tile may be cut anew")
def test_filters_side_by_side_are_cut_at_the_same_places_between_whole_blocks():
    axes = [(padded(6000, 3, 1, rate, "same"), padded(6000, 3, 1, rate, "same")) for rate in (1, 2, 5)]
    plans = [make_plan(Problem(each), method="direct", threads=2) for each in axes]
    (length,) = {plan.tile[0] for plan in alike(plans, 0)}
    assert 0 == length % (4 * 1 * 2 * 5)
    assert 1 < len({plan.tile[0] for plan in plans})
    assert {plan.tile[1:] for plan in plans} == {plan.tile[1:] for plan in alike(plans, 0)}


@pytest.mark.parametrize(("channels", "filters", "size"), [(1, 4, 2), (1, 9, 3), (3, 64, 7), (64, 256, 1), (64, 64, 3)])
def test_columns_and_results_of_a_product_of_matrices_take_16_mib_of_float32(channels, filters, size):
    axes = (padded(3000, size, 1, 1, "same"),) * 2
    problem = Problem(axes, channels_in=channels, channels_out=filters, itemsize=8)  # never by compiled loops
    taken = prod(gemm.tile(problem)) * (channels * size**2 + filters) * 4 / 2**20
    assert 8 < taken <= 16


@pytest.mark.parametrize("size", [30, 40, 60])
def test_what_a_process_did_before_does_not_choose_the_method(size, monkeypatch):
    """Else images of a batch would have other bits than by themselves."""
    machine, problem = Machine(), Problem((Geometry(size, 15, begin=7, end=7),) * 3, itemsize=8)
    import scipy.fft  # noqa: F401

    assert load("fft").begun()
    there = _ask("fft", problem, 1, machine, 2**28)
    monkeypatch.delitem(sys.modules, "scipy.fft")
    assert not load("fft").begun()
    assert there.usual == _ask("fft", problem, 1, machine, 2**28).usual


def test_a_plan_has_no_more_threads_than_tiles_or_shares_them():
    for side in (14, 28, 56, 112):
        plan = make_plan(Problem((padded(side, 1, 1, 1, "same"),) * 2, channels_in=64, channels_out=256), threads=8)
        assert plan.threads <= plan.tiles * plan.team
