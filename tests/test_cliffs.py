"""Kernels of any size beside their image: the values of scipy, the same bits however it is cut, and work that grows no
faster than the kernel, up to a matrix of each axis.
"""

import json
from itertools import pairwise, product
from math import prod

import numpy as np
import pytest
from scipy import ndimage

from command import InProcess
from convcli import native, planner
from convcli.engine.job import signed
from convcli.engine.slabs import narrowed
from convcli.engine.stages.filter import FilterStage
from convcli.engine.windows import Held, lean_window, read_window
from convcli.filters.borders import Border, parse_border
from convcli.filters.filter import Correlation, Numbers
from convcli.geometry.axis import padded
from convcli.geometry.problem import Problem
from convcli.image import Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.kernels.named import parse_named
from convcli.kernels.parameters import Space
from convcli.methods import METHODS, passes, separable
from convcli.methods.contract import load
from convcli.operations.filter import FilterWork
from convcli.planner import is_fixed, make_plan
from convcli.records import replace

SHAPES = [(1, 60), (50, 1), (40, 50), (5, 70), (3, 24, 28), (20, 22, 18), (1, 1, 9)]
SIGMAS = (0.3, 1, 4, 12, 30, 80)
MODES = {"edge": "nearest", "constant": "constant", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}
BITS = {"float32": 2e-5, "float64": 1e-12}


def kernel_of(kind, sigma, ndim):
    text = {"gaussian": f"gaussian:{sigma}", "dog": f"dog:{sigma / 1.6:g},{sigma}", "log": f"log:{sigma}"}
    return parse_named(text.get(kind, f"box:{2 * round(2 * sigma) + 1}"), Space(ndim))


def by_scipy(image, kernel, border="edge", value=0.0):
    """The sum over the terms of passes of scipy in float64, and of the absolute values of everything."""
    results = np.zeros((2, *image.shape))
    for term in kernel.terms:
        parts = [image.astype(np.float64), np.abs(image.astype(np.float64))]
        beyond = [value, abs(value)]
        for axis, vector in enumerate(term):
            for which, taps in enumerate((np.array(vector), np.abs(vector))):
                parts[which] = ndimage.correlate1d(parts[which], taps, axis, None, MODES[border], beyond[which])
                beyond[which] *= taps.sum()
        results += parts
    return results


def filter_of(kernel, border="edge", **numbers):
    one = (1,) * kernel.ndim
    return Correlation(
        kernel,
        stride=one,
        dilation=one,
        borders=parse_border(border, "ZYX"[-kernel.ndim :]),
        numbers=Numbers(**numbers),
    )


def filtered(image, kernel, border="edge", *, missing=None, method="separable", numbers=(), **limits):
    """An image through a kernel; `limits` are what a plan is told of memory and threads."""
    axes = "ZYX"[-image.ndim :]
    filter_ = filter_of(kernel, border, **dict(numbers))
    info = ImageInfo(image.shape, image.dtype.name, axes, missing=missing)
    plan = make_plan(filter_.problem(info), method=method, **limits)
    return FilterWork(filter_, info, plan).run(Image(info, image))[0].data


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_are_those_of_scipy_at_every_sigma(shape, dtype):
    rng, turn = np.random.default_rng(1), SHAPES.index(shape) + len(dtype)
    for sigma, kind in [*product(SIGMAS, ("gaussian", "dog", "log", "box"))][turn % 2 :: 2]:
        image, kernel = (rng.random(shape) * 200).astype(dtype), kernel_of(kind, sigma, len(shape))
        method = "separable" if min(kernel.shape) > len(kernel.terms) else "auto"
        expected, sizes = by_scipy(image, kernel)
        numbers = {"dtype": "float32"} if dtype == "uint8" else {}
        result = filtered(image, kernel, method=method, numbers=numbers)
        if dtype == "uint16":
            assert (
                np.abs(np.clip(np.rint(expected), 0, 65535) - result).max() <= (np.abs(expected % 1 - 0.5) < 1e-3).any()
            )
        else:
            assert (np.abs(expected - result) <= BITS.get(dtype, 2e-5) * sizes + 1e-30).all(), (sigma, kind)


@pytest.mark.parametrize("shape", [(30, 41), (9, 26, 31)])
@pytest.mark.parametrize("border", ["edge", "zero", "constant=-7.5", "reflect", "symmetric", "wrap"])
def test_every_border_on_both_roads(border, shape):
    """The short one, and the long one that a value that is missing asks for."""
    rng = np.random.default_rng(2)
    for sigma, kind in product((1, 6, 40), ("gaussian", "log")):
        image, kernel = (rng.random(shape) * 200).astype("float32"), kernel_of(kind, sigma, len(shape))
        rule, _, value = border.replace("zero", "constant=0").partition("=")
        expected, sizes = by_scipy(image, kernel, rule, float(value or 0))
        for missing in (None, -1234.0):
            result = filtered(image, kernel, border, missing=missing)
            assert (np.abs(expected - result) <= 2e-5 * sizes).all(), (sigma, kind, missing)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("shape", [(70, 40), (90, 253), (5, 60, 21), (40, 24, 20)])
@pytest.mark.parametrize("sigma", [1, 3, 9, 45])
def test_memory_and_threads_change_no_bit(shape, dtype, sigma, monkeypatch):
    monkeypatch.setattr(planner, "WORTH_A_THREAD", 1e-9)
    planner.make_plan.cache_clear()
    image = (np.random.default_rng(3).random(shape) * 200).astype(dtype)
    for kind in ("gaussian", "dog"):
        kernel = kernel_of(kind, sigma, len(shape))
        expected = filtered(image, kernel)
        for memory, threads in ((2**16, 1), (2**18, 1), (2**28, 2), (2**28, 3), (2**18, 2)):
            try:
                found = filtered(image, kernel, memory=memory, threads=threads)
            except Exception as error:  # noqa: BLE001 -- a bound that is too small for one block of rows
                assert error.code in ("memory", "usage")
                continue
            np.testing.assert_array_equal(expected, found)
    planner.make_plan.cache_clear()


@pytest.mark.parametrize("depth", [5, 90, 700])
def test_a_part_of_a_product_has_the_bits_of_the_whole(depth):
    """BLAS adds in another order at the edges of what it computes at a time."""
    rng = np.random.default_rng(10)
    left, right = rng.random((90, depth)), rng.random((depth, 1000)) * 1e4
    whole = np.zeros((90, 1000))
    passes._add_product(left, right, whole)
    np.testing.assert_allclose(whole, left @ right, rtol=1e-12)
    for rows, columns in product([(0, 48), (48, 90), (5, 90), (17, 18)], [(0, 1000), (0, 999), (1, 4), (350, 725)]):
        part = np.zeros((rows[1] - rows[0], columns[1] - columns[0]))
        passes._add_product(left[slice(*rows)], right[:, slice(*columns)], part)
        np.testing.assert_array_equal(whole[slice(*rows), slice(*columns)], part)


@pytest.mark.parametrize("memory", [2**14, 2**16, 2**20])
def test_slabs_of_a_volume_are_cut_between_blocks(memory):
    """Slices one by one would change last bits, and read their halo more often."""
    filter_, info = filter_of(kernel_of("gaussian", 9, 3)), ImageInfo((90, 24, 20), "float32", "ZYX")
    image = Image(info, np.random.default_rng(9).random(info.shape).astype("f4"))
    plan = make_plan(filter_.problem(info), method="separable")
    thin = narrowed(FilterStage(filter_, info, replace(plan, memory=memory))).plan
    fixed = is_fixed(load("separable"), plan.problem)  # as without compiled code: its tiles are never cut by memory
    assert thin.tile[0] == (plan.tile[0] if fixed else 90 if memory == 2**20 else 4)
    np.testing.assert_array_equal(*(FilterWork(filter_, image.info, each).run(image)[0].data for each in (plan, thin)))


@pytest.mark.parametrize("damage", [np.nan, np.inf, 3e38])
def test_what_is_not_finite_changes_no_bit_beside_it(damage):
    rng = np.random.default_rng(4)
    image, kernel = rng.random((64, 40)).astype("float32"), kernel_of("log", 3, 2)
    broken = image.copy()
    broken[60, 20] = damage
    for border in ("edge", "zero"):
        for memory in (2**18, 2**28):
            whole, found = filtered(image, kernel, border), filtered(broken, kernel, border, memory=memory)
            np.testing.assert_array_equal(whole[:45], found[:45])


@pytest.mark.skipif(not native.AVAILABLE, reason="the native extension is not built")
@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_without_compiled_code_values_are_the_same(shape, itemsize, monkeypatch):
    rng = np.random.default_rng(5)
    for sizes, rank in product([(3,) * 3, (15, 1, 47), (90, 47, 90), (1, 90, 3)], (1, 2)):
        kernel = sizes[-len(shape) :]
        axes = tuple(padded(n, k, 1 + (k == 3), 1, "same") for n, k in zip(shape, kernel, strict=True))
        problem = Problem(axes, rank=rank, itemsize=itemsize)
        terms = [[[rng.standard_normal(k) for k in kernel] for _ in range(rank)]]
        image = rng.standard_normal((1, *shape)).astype(problem.dtype)
        borders, window = [Border("reflect")] * len(shape), [axis.window(0, axis.output) for axis in axes]
        block, reads = lean_window(image, window, borders, problem.dtype)
        results = []
        for compiled in (True, False):
            monkeypatch.setattr(separable, "compiled", lambda _, compiled=compiled: compiled)
            made = np.empty((1, *problem.output), problem.dtype)
            separable.prepare_terms([terms], problem).look_up(block, made, reads)
            results.append(made)
        size = np.abs(results[0]).max() + 1
        np.testing.assert_allclose(*results, rtol=0, atol=size * (1e-5 if itemsize == 4 else 1e-12))


@pytest.mark.parametrize("rule", MODES)
@pytest.mark.parametrize("span", [(0, 7), (2, 5), (-3, 4), (-40, 30), (3, 90), (7, 20), (-9, -2)])
def test_a_lean_window_is_the_window_looked_up(rule, span):
    image, borders = np.arange(42.0).reshape(6, 7), [Border(rule, 8.0), Border(rule, 9.0)]
    window = [(-5, 9), span]
    block, reads = lean_window(image, window, borders, "f4")
    looked = [np.arange(n) if read is None else read for n, read in zip(block.shape, reads, strict=True)]
    np.testing.assert_array_equal(read_window(image, window, borders, "f4"), block[np.ix_(*looked)])
    assert block.size <= 7 * 8
    held = [Held(6), Held(7)]
    np.testing.assert_array_equal(block, lean_window(image, window, borders, "f4", held)[0])


def plans(shape, kind="gaussian", dtype="float32", memory=planner.DEFAULT_MEMORY):
    """The plans of sigmas from a third of a pixel to four times the image, each a tenth larger than the one before."""
    sigma, info = 0.3, ImageInfo(shape, dtype, "ZYX"[-len(shape) :])
    while sigma <= min(4 * max(shape), 500):
        yield make_plan(filter_of(kernel_of(kind, sigma, len(shape))).problem(info), memory=memory)
        sigma *= 1.1


GROWING = [(1, 300), (240, 320), (8, 96, 96), (64, 64, 64), (30, 30, 30)]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [*product(GROWING, ["gaussian"]), *product(GROWING[1::2], ["dog"]), *product(GROWING[::2], ["log"])],
)
def test_the_time_grows_no_faster_than_the_kernel(shape, kind):
    """A tenth more sigma is never twice the work (as the next length of a transform is), unless the taps are more than
    twice as many; nor is it more than matrices."""
    found = list(plans(shape, kind))
    for before, after in pairwise(found):
        more = prod(after.problem.kernel) / prod(before.problem.kernel)
        assert after.cost.seconds <= max(2, more) * before.cost.seconds
        whole = after.tile == after.problem.output or prod(after.tile) >= 2**14
        assert whole or is_fixed(load(after.method), after.problem)  # whose tiles are cut for any number of threads
    dearest = max(found, key=lambda plan: plan.cost.macs)
    most = 2 * len(shape) * max(shape) * (dearest.problem.rank or 1) * prod(shape)
    assert dearest.cost.macs <= max(most, 2**24)


@pytest.mark.parametrize("shape", [(240, 320), (8, 96, 96), (64, 64, 64), (30, 30, 30)])
def test_no_kernel_needs_more_memory_than_some_copies_of_its_image(shape):
    for plan in plans(shape, "dog", memory=2**25):  # of float64: two terms cancel
        assert plan.method != "separable" or separable.workspace(plan.problem, plan.tile) <= 2**25


def test_only_where_no_method_has_the_memory_is_a_kernel_refused():
    problem = filter_of(kernel_of("gaussian", 32, 3)).problem(ImageInfo((30, 30, 30), "float32", "ZYX"))
    plan = make_plan(problem)
    refused = {each.method: each.needed for each in plan.candidates if each.needed}
    assert plan.method == "separable"
    assert "fft" in refused
    assert set(refused) < set(METHODS)
    with pytest.raises(Exception, match="one output reads 257x257x257 pixels") as error:
        make_plan(problem, memory=2**12)
    assert error.value.code == "memory"


def test_kernels_are_never_made_of_their_terms(tmp_path, capsys, monkeypatch):
    """Some would have billions of taps."""
    volume = np.random.default_rng(6).random((12, 16, 14)).astype("f4")
    np.save(tmp_path / "v.npy", volume)
    monkeypatch.setattr(Kernel, "array", lambda _: pytest.fail("an array of all taps"))
    runner = InProcess(capsys)
    for text in ("gaussian:256", "dog:100,256", "log:256", "unsharp:200"):
        words = (
            "conv3d",
            tmp_path / "v.npy",
            "--axes",
            "ZYX",
            "-k",
            text,
            "-o",
            tmp_path / "o.npy",
            "-f",
            "-q",
            "--json",
        )
        assert (0, []) == runner(*words)
        assert json.loads(runner.output)["method"] == "separable"
        expected, sizes = by_scipy(volume, parse_named(text, Space(3)))
        assert (np.abs(expected - np.load(tmp_path / "o.npy")) <= 2e-5 * sizes).all()


@pytest.mark.parametrize("damage", [np.nan, np.inf])
def test_marks_of_kernels_that_are_never_made(damage):
    volume = np.random.default_rng(6).random((9, 8, 7)).astype("f4")
    volume[4, 4, 4] = damage
    result = filtered(volume, kernel_of("gaussian", 130, 3))
    assert np.isnan(result).all() if np.isnan(damage) else (result == np.inf).all()


def test_signs_of_products_are_those_of_their_factors():
    rng = np.random.default_rng(7)
    terms = [tuple(tuple(rng.integers(-1, 2, n).astype(float)) for n in (4, 5, 3)) for _ in range(2)]
    arrays = [np.einsum("z,y,x->zyx", *map(np.array, term)) for term in terms]
    for sign, met in (("!=", np.not_equal), (">", np.greater), ("<", np.less)):
        found = sum(np.einsum("z,y,x->zyx", *map(np.array, term)) for term in signed(terms, sign))
        np.testing.assert_array_equal(np.any([met(each, 0) for each in arrays], axis=0), found > 0)


def test_signs_that_have_many_terms_are_marked_all_the_same():
    """Where the taps of a log are positive is a disk: no sum of as few terms as the kernel itself."""
    image = np.ones((60, 60), "float32")
    image[30, 30] = np.inf
    kernel = kernel_of("log", 3, 2)
    taps = kernel.array()
    result = filtered(image, kernel)
    reach = taps.shape[0] // 2
    around = result[30 - reach : 31 + reach, 30 - reach : 31 + reach][::-1, ::-1]
    np.testing.assert_array_equal(
        np.where(taps > 0, np.inf, np.where(taps < 0, -np.inf, 0)), np.where(np.isinf(around), around, 0)
    )


def test_a_plan_says_what_is_done():
    """Images are taken whole, however large the kernel."""
    for shape in ((64, 64, 64), (8, 96, 96)):
        filter_, info = filter_of(kernel_of("gaussian", 24, 3)), ImageInfo(shape, "float32", "ZYX")
        plan = make_plan(filter_.problem(info))
        assert "separable" == plan.method
        assert shape == plan.tile or is_fixed(load("separable"), plan.problem)
        image = np.random.default_rng(8).random(shape).astype("f4")
        expected, sizes = by_scipy(image, filter_.kernel)
        assert (
            np.abs(expected - FilterWork(filter_, info, plan).run(Image(info, image))[0].data) <= 2e-5 * sizes
        ).all()
