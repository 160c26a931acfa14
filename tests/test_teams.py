"""Threads that share a call: the same results, bit for bit, and the same counts as one thread has alone."""

import threading
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import convolve, native, planner
from convcli.api import filters as python
from convcli.engine import tiles as tiles_
from convcli.engine import workers
from convcli.engine.run import run
from convcli.engine.slabs import PATIENCE, narrowed
from convcli.engine.stages import filter as stage
from convcli.engine.stages.filter import FilterStage
from convcli.engine.workers import Team
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation, Filter
from convcli.image import Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.native import banks, passes
from convcli.operations.filter import FilterWork
from convcli.operations.operation import Limits
from convcli.records import replace
from convcli.requests.calls import correlate
from test_native import windows

pytestmark = pytest.mark.skipif(
    not (native.AVAILABLE and native.WIDE and native.MINIMAL and native.LAYERS),
    reason="the native extension is not built",
)
RIM = 77
"""What no call may write over."""


def at_once(source, taps, target, **options):
    """All passes of a product of vectors."""
    return passes.correlate(source[0], taps, target[0], **options)


def kinds(rng):
    """Calls of every sum there is: name, function, source, taps, shape of the target, type, options."""
    image = rng.standard_normal((1, 1, 140, 190)).astype(np.float32)
    colour = rng.integers(0, 256, (1, 1, 90, 3 * 70)).astype(np.uint8)
    volume = rng.standard_normal((2, 31, 20, 40)).astype(np.float32)
    maps = rng.standard_normal((6, 1, 61, 75)).astype(np.float32)

    def taps(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    narrow, both = {"step": 3, "scale": 0.3, "bias": 100.0}, {"stride": (1, 2, 1), "dilation": (1, 3, 2)}
    return {
        "direct": (native.correlate, image, taps(1, 1, 1, 5, 6), (1, 1, 136, 185), "f4", {}),
        "direct, clipped": (native.correlate, colour, taps(1, 1, 1, 3, 3), (1, 1, 88, 3 * 68), "u1", narrow),
        "direct, dilated": (
            *(native.correlate, image, taps(1, 1, 1, 3, 3), (1, 1, 126, 186), "f4", {"dilation": (1, 7, 2)}),
        ),
        "direct, strided": (native.correlate, image, taps(1, 1, 1, 3, 3), (1, 1, 67, 186), "f4", both),
        "direct, volume": (native.correlate, volume, taps(3, 2, 3, 3, 3), (3, 29, 18, 38), "f4", {}),
        "direct, groups": (native.correlate, maps, taps(9, 2, 1, 3, 3), (9, 1, 59, 73), "f4", {}),
        "float64": (native.correlate_wide, image, taps(1, 1, 1, 4, 4), (1, 1, 137, 187), "f8", {}),
        "float64, volume": (native.correlate_wide, volume, taps(3, 2, 3, 3, 3), (3, 29, 18, 38), "i2", {"scale": 9e3}),
        "passes": (at_once, image, (np.ones(1), *rng.random((2, 9))), (1, 1, 132, 182), "f8", {}),
        "passes, volume": (at_once, volume[:1], rng.random((3, 7)), (1, 25, 14, 34), "i2", {"scale": 9.0}),
        "minimal": (native.correlate_minimal, image, taps(1, 1, 1, 9, 7), (1, 1, 132, 184), "f4", {"bias": 1.0}),
        "minimal, channels": (native.correlate_minimal, maps, taps(6, 1, 1, 15, 3), (6, 1, 47, 73), "f4", {}),
        "banks": (packed, maps, taps(70, 3, 1, 3, 3), (70, 1, 59, 73), "f4", {}),
        "banks, volume": (packed, volume, taps(40, 2, 3, 3, 3), (40, 29, 18, 38), "f4", {}),
        "maps": (banked, maps, taps(12, 1, 1, 5, 3), (12, 1, 57, 73), "f4", {}),
        "layers": (native.correlate_layers, maps, taps(12, 3, 1, 3, 3), (12, 1, 59, 73), "f4", {}),
        "layers, strided": (
            native.correlate_layers,
            maps,
            taps(5, 6, 1, 7, 7),
            (5, 1, 28, 35),
            "f4",
            {"stride": (1, 2, 2)},
        ),
    }


def banked(source, taps, target, **options):
    """A filter bank by taps (O, I/g, kd, kh, kw)."""
    return banks.correlate(source, taps, taps.shape[1:], target, **options)


def packed(source, taps, target, **options):
    """The same, side by side in vectors."""
    made = banks.packed(taps, len(source) // taps.shape[1], banks.lanes())
    return banks.correlate(source, made, taps.shape[1:], target, **options)


def shared(call, threads):
    """The call by threads that are there at once; what each returns."""
    ready = threading.Barrier(threads, timeout=30)
    team, found = native.team_of(threads), []

    def work():
        ready.wait()
        found.append(call(team=team))

    every = [threading.Thread(target=work) for _ in range(threads)]
    for thread in every:
        thread.start()
    for thread in every:
        thread.join()
    assert threads == len(found)
    return found


def summed(found):
    """The counts of all, or whether all is finite."""
    return native.total(found) if isinstance(found[0], native.Counts) else all(found)


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("name", kinds(np.random.default_rng(0)))
def test_a_shared_call_is_the_call_alone(name, threads):
    function, source, taps, shape, dtype, options = kinds(np.random.default_rng(1))[name]
    alone, target = np.zeros(shape, dtype), np.full((shape[0], shape[1], shape[2] + 2, shape[3]), RIM, dtype)
    expected = function(source, taps, alone, **options)
    for _ in range(5):
        target[:, :, 1:-1] = 0
        found = shared(partial(function, source, taps, target[:, :, 1:-1], **options), threads)
        assert expected == summed(found)
        np.testing.assert_array_equal(alone, target[:, :, 1:-1])
        assert (target[:, :, [0, -1]] == RIM).all()


@given(windows(), st.integers(2, 4))
@settings(deadline=None, max_examples=150)
def test_whatever_is_read_shared_calls_are_those_alone(case, threads):
    sizes, kernel, outputs, options, types, rng = case
    step = options["step"]
    source = (rng.random((1, *sizes[:2], sizes[2] * step)) * 200).astype(types[0])
    taps = rng.standard_normal((1, 1, *kernel))
    targets = np.zeros((2, 1, *outputs[:2], outputs[2] * step), types[1])
    expected = native.correlate(source, taps, targets[0], **options)
    assert expected == summed(shared(partial(native.correlate, source, taps, targets[1], **options), threads))
    np.testing.assert_array_equal(*targets)


def test_separable_kernels_are_shared_too():
    rng = np.random.default_rng(2)
    source, down, along = rng.random((120, 130), np.float32), rng.random((2, 9)), rng.random((2, 7))
    targets = np.zeros((2, 112, 124), np.float32)
    expected = native.separable(source, down, along, targets[0])
    assert expected == summed(shared(partial(native.separable, source, down, along, targets[1]), 3))
    np.testing.assert_array_equal(*targets)


@pytest.mark.parametrize("name", kinds(np.random.default_rng(0)))
def test_a_call_begins_where_its_team_is(name):
    """What others have taken is not touched, and nothing is left for who comes late."""
    function, source, taps, shape, dtype, options = kinds(np.random.default_rng(3))[name]
    alone, target, rows = np.zeros(shape, dtype), np.full(shape, RIM, dtype), shape[2] // 2 + 5
    function(source, taps, alone, **options)
    team = np.array([rows, 2], np.intp)
    function(source, taps, target, team=team, **options)
    if shape[:2] == (1, 1):
        assert rows < team[0] == shape[2]
        assert (target[:, :, :rows] == RIM).all()
        np.testing.assert_allclose(target[:, :, rows:], alone[:, :, rows:], atol=1e-4)
    target[...] = RIM
    function(source, taps, target, team=team, **options)
    assert (target == RIM).all()


@pytest.mark.parametrize(
    "team",
    [np.array([0], np.intp), np.array([0, 0], np.intp), np.array([0, -1], np.intp), np.zeros(4, np.int32), b"0" * 16],
)
def test_a_team_is_two_numbers(team):
    with pytest.raises((ValueError, BufferError)):
        native.correlate(np.ones((5, 5), np.float32), np.ones((3, 3)), np.ones((3, 3), np.float32), team=team)


@pytest.mark.parametrize("place", [-4, -(2**63), 3, 2**63 - 1])
def test_a_team_that_is_nowhere_does_nothing(place):
    target = np.full((3, 3), RIM, np.float32)
    native.correlate(np.ones((5, 5), np.float32), np.ones((3, 3)), target, team=np.array([place, 2], np.intp))
    assert (target == RIM).all()


IMAGES = {
    "float32": ((300, 500), "YX", "float32", (5, 5)),
    "float32, tall": ((700, 300), "YX", "float32", (9, 9)),
    "separable": ((2500, 513), "YX", "float32", None),
    "uint8 colour": ((300, 200, 3), "YXS", "uint8", (5, 7)),
    "uint16": ((300, 500), "YX", "uint16", (5, 5)),
    "float64": ((300, 500), "YX", "float64", (3, 3)),
    "two planes": ((2, 700, 200), "CYX", "float32", (7, 7)),
    "large planes": ((4, 1100, 2100), "CYX", "float32", (5, 5)),
    "large planes, tall": ((4, 1100, 2100), "CYX", "float32", (9, 3)),
    "volume": ((50, 40, 60), "ZYX", "float32", (3, 5, 5)),
}


@pytest.fixture
def asked(monkeypatch):
    """The sizes of the teams that were asked for, where the least work is worth another thread."""
    sizes, real = [], Team.together
    monkeypatch.setattr(Team, "together", lambda self, work: (sizes.append(self.size), real(self, work))[1])
    monkeypatch.setattr(planner, "WORTH_A_THREAD", 1e-9)
    for kept in (planner.make_plan, python._set_up):
        kept.cache_clear()
    yield sizes
    for kept in (planner.make_plan, python._set_up):
        kept.cache_clear()


@pytest.mark.sweep(2)
@pytest.mark.parametrize("damage", ["", "NaN", "infinity"])
@pytest.mark.parametrize("name", IMAGES)
def test_images_are_the_same_by_any_number_of_threads(name, damage, asked):
    """Where what is not finite sends tiles the long way, too; threads are asked for."""
    shape, axes, dtype, kernel = IMAGES[name]
    rng = np.random.default_rng(4)
    image = (rng.random(shape) * 200).astype(dtype)
    if damage and image.dtype.kind == "f":
        image[(0,) * (image.ndim - 2) + (30, 50)] = np.nan if damage == "NaN" else np.inf
    bell = np.exp(-(np.linspace(-2, 2, 21) ** 2))
    taps = np.outer(bell, bell) / 50 if kernel is None else rng.random(kernel) / np.prod(kernel)
    expected, *found = (convolve(image, taps, axes=axes, threads=threads) for threads in (1, 2, 3))
    for result in found:
        np.testing.assert_array_equal(expected, result)
    if image.ndim < 3 or axes != "CYX":
        assert {2, 3} <= set(asked)  # planes may be handed out as they are


@pytest.mark.parametrize("size", [5, 7, 9, 15])
@pytest.mark.parametrize("part", [1, 3, 7])
def test_memory_and_narrow_slabs_cut_between_whole_blocks(size, part, monkeypatch):
    """Tiles are halved until they fit, and yet results are the same."""
    monkeypatch.setattr(Filter, "promises_each", lambda *_: False)  # or "minimal" would be refused
    rng = np.random.default_rng(6)
    taps, image = rng.random((size, size)), rng.standard_normal((430, 300)).astype(np.float32)
    steps = {"stride": (1, 1), "dilation": (1, 1), "borders": parse_border("edge", "YX")}
    filter_, info = (
        Correlation(Kernel.from_array("taps", taps), each=True, **steps),
        ImageInfo(image.shape, "float32", "YX"),
    )
    method = "direct" if size < 7 else "minimal"
    plan = planner.make_plan(filter_.problem(info), method=method)
    thin = narrowed(
        FilterStage(filter_, info, planner.make_plan(filter_.problem(info), method=method, memory=2**20 // part))
    ).plan
    assert thin.tile[0] < plan.tile[0]
    whole, cut = (FilterWork(filter_, info, each).run(Image(info, image))[0].data for each in (plan, thin))
    np.testing.assert_array_equal(whole, cut)


def test_what_takes_long_is_done_tile_by_tile():
    """Progress is heard of, and a signal, before it is through."""
    info = ImageInfo((2048, 2048), "float32", "YX")
    (setup,) = correlate(np.ones((5, 5))).on(info, Limits("direct", 2)).stages
    slow = replace(setup, plan=replace(setup.plan, cost=replace(setup.plan.cost, seconds=2 * PATIENCE)))
    assert setup.whole.shared
    assert not slow.whole.shared


def test_opacity_is_premultiplied_by_all_threads(asked):
    """Tiles that go the long way are handed out one by one."""
    handed_out = []

    def run_all(function, tasks, threads, **more):
        handed_out.append((len(tasks), threads))
        workers.run_all(function, tasks, threads, **more)

    taps = np.random.default_rng(5).random((5, 7)) / 35
    steps = {"stride": (1, 1), "dilation": (1, 1), "borders": parse_border("edge", "YX")}
    filter_ = Correlation(Kernel.from_array("taps", taps), each=True, **steps)
    image = Image(ImageInfo((90, 80, 4), "uint8", "YXS", samples="rgb+alpha"), np.full((90, 80, 4), 200, np.uint8))
    plan = planner.make_plan(filter_.problem(image.info), method="direct", threads=2)
    run((FilterStage(filter_, image.info, plan),), image.data, execute=run_all)
    assert ([(2, 2)], []) == (handed_out, asked)


@pytest.mark.parametrize(("dtype", "tiles"), [("uint16", 0), ("float32", 2)])
def test_one_thread_makes_a_plane_by_one_call_where_no_nan_spoils_it(dtype, tiles, monkeypatch):
    """Calls cost as much as small tiles do; where there may be a NaN, only its tile is to be made again."""
    made, image = [], np.random.default_rng(5).integers(0, 9999, (1700, 513)).astype(dtype)
    monkeypatch.setattr(stage, "store_tile", lambda *told: made.append(told) or tiles_.store_tile(*told))
    results = convolve(image, "gaussian:2", method="separable", threads=1)
    assert len(made) == tiles
    parts = [convolve(image[first : first + 120], "gaussian:2", method="separable")[8:-8] for first in (0, 900, 1580)]
    for first, part in zip((0, 900, 1580), parts, strict=True):
        np.testing.assert_array_equal(results[first + 8 : first + 112], part)
