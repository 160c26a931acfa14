"""Methods keep their contract: each gives what it does under the names that the planner and the engine look for."""

from dataclasses import fields
from importlib import import_module

import numpy as np
import pytest

from convcli.engine.workers import Team
from convcli.geometry.axis import Geometry, padded
from convcli.geometry.problem import Problem
from convcli.methods import METHODS
from convcli.methods.contract import Method, Prepared, load

HOOKS = [each.name for each in fields(Method)]
FLAGS = ("blas", "looks_up", "shares")
PLANES, LAYERS = {"channels_in": 1, "channels_out": 1}, {"channels_in": 16, "channels_out": 16}
PROBLEMS = {
    "direct": (5, 1, LAYERS),
    "separable": (5, 1, {**PLANES, "rank": 1}),
    "gemm": (3, 1, LAYERS),
    "winograd": (3, 1, LAYERS),
    "minimal": (9, 1, PLANES),
    "fft": (9, 1, PLANES),
    "polyphase": (9, 3, PLANES),
}


def made_ready(method, itemsize, **more):
    """A problem that a method takes, and the method with its taps."""
    size, dilation, channels = PROBLEMS[method]
    problem = Problem((padded(40, size, 1, dilation, "valid"),) * 2, itemsize=itemsize, **channels, **more)
    taps = np.random.default_rng(3).standard_normal((problem.channels_out, problem.channels_in, size, size))
    return problem, load(method).prepare(taps if method != "separable" else taps[..., :1] * taps[..., :1, :], problem)


def box_of(problem):
    """Pixels of the window of a tile, and room for its outputs."""
    pixels = np.random.default_rng(4).standard_normal((problem.channels_in, *(a.size for a in problem.axes)))
    outputs = min(problem.output, (16, 16))
    spans = zip(problem.axes, outputs, strict=True)
    box = (slice(None), *(slice(0, axis.window(0, count)[1]) for axis, count in spans))
    return pixels[box].astype(problem.dtype), np.zeros((problem.channels_out, *outputs), problem.dtype)


@pytest.mark.parametrize("name", METHODS)
def test_a_hook_of_a_module_is_the_one_that_it_gives(name):
    """A function that is called like a hook and is not given would be silently ignored."""
    module = import_module(f"convcli.methods.{name}")
    written = {hook: vars(module)[hook] for hook in HOOKS if hook in vars(module)}
    assert isinstance(module.METHOD, Method)
    assert {hook: getattr(module.METHOD, hook) for hook in written} == written


def test_a_misspelt_hook_is_an_error():
    given = load("fft")
    with pytest.raises(TypeError, match="startsup"):
        Method(given.refuse, given.price, given.rounding, given.tile, given.prepare, startsup=given.startup)


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_what_is_prepared_says_of_itself_only_what_the_contract_asks(name, local, itemsize):
    _, made = made_ready(name, itemsize, local=local)
    assert Prepared in type(made).__mro__
    assert all(isinstance(getattr(made, flag), bool) for flag in FLAGS)
    said = {what for what, value in vars(type(made)).items() if isinstance(value, bool) and not what.startswith("_")}
    assert said <= {*FLAGS, *(each.name for each in fields(made))}


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("name", METHODS)
def test_pixels_that_are_looked_up_make_the_bits_of_their_window(name, itemsize):
    problem, made = made_ready(name, itemsize)
    block, out = box_of(problem)
    rows = np.sort(np.random.default_rng(5).integers(0, block.shape[1], block.shape[1])).astype(np.int32)
    expected = np.zeros_like(out)
    made(np.ascontiguousarray(block[:, rows]), expected)
    made.look_up(block, out, (rows, None))
    assert expected.any()
    np.testing.assert_array_equal(expected, out)


@pytest.mark.parametrize("name", METHODS)
def test_a_team_makes_the_bits_of_one_thread(name):
    problem, made = made_ready(name, 4)
    block, expected = box_of(problem)
    out = np.zeros_like(expected)
    made(block, expected)
    made.with_team(Team(3))(block, out)
    assert expected.any()
    np.testing.assert_array_equal(expected, out)


def test_a_method_without_hooks_of_its_own_has_those_of_the_contract():
    given = load("fft")
    plain = Method(given.refuse, given.price, given.rounding, given.tile, given.prepare)
    problem = Problem((Geometry(40, 3), Geometry(40, 3)))
    assert not plain.fixed(problem)
    assert not plain.compiled(problem)
    assert 4 * 4 * (12 * 12 + 10 * 10) == plain.workspace(problem, (10, 10))
