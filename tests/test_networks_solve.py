"""Solving for an unknown and listing lossless inputs, held against trying everything."""

import random
from itertools import product

import pytest

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.networks.lossless import lossless_sizes
from convcli.networks.network import Shape
from convcli.networks.notation import parse, parse_shape
from convcli.networks.rules import Rules
from convcli.networks.solve import Answer, ask, interval, solve
from convcli.networks.trace import trace
from networks import PUBLISHED


def answers(shape: str, words: str, wanted: tuple[int, ...], rules: Rules | None = None) -> list[Answer]:
    """The answers to --want."""
    return solve(ask(parse(words), parse_shape(shape), wanted, rules or Rules()))


def texts(shape: str, words: str, *wanted: int) -> list[str]:
    """The answers to --want as words."""
    return [answer.text for answer in answers(shape, words, wanted)]


def outputs(n: int, k: int, s: int, d: int, pad: int) -> int:
    """Positions counted one by one."""
    return sum(y * s + d * (k - 1) < n + pad for y in range(n + pad))


def test_the_intervals_are_all_numbers_that_make_the_wanted_size() -> None:
    random_ = random.Random(0)
    for _ in range(300):
        n, k, s, d = (random_.randint(1, b) for b in (20, 6, 4, 3))
        begin, end, o = random_.randint(0, 3), random_.randint(0, 3), random_.randint(1, 8)
        axis, pad = Geometry(n, k, s, d, begin, end), begin + end
        assert [p for p in range(200) if outputs(n, k, s, d, p) == o] == interval("pad", axis, o)
        assert [m for m in range(1, 200) if outputs(m, k, s, d, pad) == o] == interval("input", axis, o)
        assert [q for q in range(1, 60) if outputs(n, q, s, d, pad) == o] == interval("kernel", axis, o)
        if k > 1:
            assert [e for e in range(1, 60) if outputs(n, k, s, e, pad) == o] == interval("dilation", axis, o)
        if o > 1:
            assert [t for t in range(1, 60) if outputs(n, k, t, d, pad) == o] == interval("stride", axis, o)


@pytest.mark.parametrize(
    ("shape", "words", "wanted", "expected"),
    [
        ("3@224x224", "conv7-64/2p?", (112,), ["conv7-64/2p3", "conv7-64/2p2:3", "conv7-64/2p3:2"]),
        ("3@224x224", "conv7-64/2p?", (112, 112), ["conv7-64/2p3", "conv7-64/2p2:3", "conv7-64/2p3:2"]),
        ("3@224x224", "conv?-64/2p3", (112,), ["conv7-64/2p3", "conv8-64/2p3"]),
        ("3@224x224", "conv7-64/?p3", (112,), ["conv7-64/2p3"]),
        ("3@32x32", "conv3-8d?", (24,), ["conv3-8d4"]),
        ("3@?x?", "conv7-64/2p3", (112,), ["3@223x223", "3@224x224"]),
        ("3@?", "max2", (7,), ["3@14", "3@15"]),
        ("8@8x8", "tconv4-3/2p?", (16,), ["tconv4-3/2p1"]),
        ("8@8x8", "tconv3-3/2p1o?", (16,), ["tconv3-3/2p1o1"]),
        ("8@8x8", "tconv?-3/2p1", (16,), ["tconv4-3/2p1"]),
        ("8@8x8", "tconv4-3/?p1", (16,), ["tconv4-3/2p1"]),
        ("3@224x200", "conv7-64/2p?", (112, 100), ["conv7-64/2p3", "conv7-64/2p2:3", "conv7-64/2p3:2"]),
        ("3@10x20", "conv?-8", (8, 16), ["conv3x5-8"]),
        ("3@10x20", "conv3-8/?", (8, 9), ["conv3-8/1x2"]),
        ("3@224x224", "conv7-64/2p3 max3/2p?", (56,), ["max3/2p1", "max3/2p0:1", "max3/2p1:0"]),
        ("3@224x224", "{ conv3-3p? | id }", (224,), ["conv3-3p1"]),
        ("3@28x28", "max?", (14,), ["max2"]),
        ("3@16x16", "2*conv3-3p?", (16,), ["conv3-3p1"]),
    ],
)
def test_all_answers_are_found_the_simplest_first(
    shape: str, words: str, wanted: tuple[int, ...], expected: list[str]
) -> None:
    assert expected == texts(shape, words, *wanted)


def test_random_chains_are_solved_for_every_number_that_works() -> None:
    random_ = random.Random(1)
    for _ in range(60):
        n, k, s = random_.randint(8, 20), random_.randint(1, 4), random_.randint(1, 3)
        form = random_.choice([f"conv{{}}-4/{s}p1", f"conv{k}-4/{{}}p1", f"conv{k + 1}-4/{s}p1d{{}}"])
        before, after = (
            random_.choice(["relu", "conv3-4p1", "max2"]),
            random_.choice(["relu", "conv2-4", "up2", "max2/1"]),
        )
        made = {v: size_of(f"{before} {form.format(v)} {after}", n) for v in range(1, 60)}
        wanted = random_.choice([*(size for size in made.values() if size > 2), 0])
        if wanted:
            expected = [form.format(v) for v, size in made.items() if size == wanted]
            assert expected == texts(f"1@{n}", f"{before} {form.format('?')} {after}", wanted)


def size_of(words: str, n: int) -> int:
    """What a network makes of n pixels, 0 where a layer does not fit."""
    try:
        return trace(parse(words), Shape(1, (n,))).output.spatial[0]
    except UsageError:
        return 0


def test_answers_say_whether_a_column_is_dropped() -> None:
    assert [True, False, False] == [answer.drops for answer in answers("3@224x224", "conv7-64/2p?", (112,))]
    assert [False, True] == [answer.drops for answer in answers("3@?x?", "conv7-64/2p3", (112,))]


@pytest.mark.parametrize(
    ("shape", "words", "wanted", "expected"),
    [
        ("8@8x8", "tconv3-3/2p1o?", (18,), "no output padding makes 18; the nearest sizes are 16 (tconv3-3/2p1o1)"),
        (
            "3@224x224",
            "conv3-8/?",
            (100,),
            "no stride makes 100; the nearest sizes are 74 (conv3-8/3) and 111 (conv3-8/2)",
        ),
        ("3@10x10", "conv11-4/?", (1,), "nothing fits: layer 1: kernel 11 is larger"),
        ("3@10x10", "conv3-4 conv3-4", (1,), "0 unknowns; --want solves for one '?'"),
        ("3@?x?", "conv3-4p?", (1,), "2 unknowns; --want solves for one '?'"),
        ("3@?x10", "conv3-4", (1,), "write every size of the input, or '?' for each"),
        ("3@10x10", "conv3-4p?", (1, 2, 3), "3 sizes for 2 axes"),
        ("10", "conv3-4p?", (1,), "a vector has no size"),
        ("3@10x10", "conv3-4p? gap fc-10", (1,), "the network ends in a vector, which has no size to want"),
    ],
)
def test_an_impossible_wish_names_the_nearest_sizes(
    shape: str, words: str, wanted: tuple[int, ...], expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        answers(shape, words, wanted)
    assert expected in str(caught.value)
    assert 2 == caught.value.exit_code


# --- inputs that lose nothing


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("U-Net", "16 m + 124"),
        ("AlexNet, two groups", "32 m + 35"),
        ("VGG-16", "32 m"),
        ("ResNet-18", "32 m - 31"),
        ("C3D", "16 m"),
    ],
)
def test_known_networks_lose_nothing_at_these_sizes(name: str, expected: str) -> None:
    network = next(each for each in PUBLISHED if each.name == name)
    shape = parse_shape(network.input)
    sizes = lossless_sizes(parse(network.layers), shape, network.rules, 0)
    assert expected == sizes.rule


def test_the_sizes_of_the_papers_are_lossless() -> None:
    for name, size in (("U-Net", 572), ("AlexNet, two groups", 227)):
        network = next(each for each in PUBLISHED if each.name == name)
        sizes = lossless_sizes(parse(network.layers), parse_shape(network.input), network.rules, 0)
        assert (size,) == sizes.nearest(size)


def test_lossless_sizes_are_those_of_which_no_layer_drops_a_column() -> None:
    random_ = random.Random(2)
    for _ in range(30):
        words = " ".join(
            f"conv{random_.randint(1, 5)}-4/{random_.randint(1, 3)}p{random_.randint(0, 2)}" for _ in range(3)
        )
        sizes = lossless_sizes(parse(words), Shape(1, (9,)), Rules(), 0).smallest
        expected = [n for n in range(1, sizes[-1] + 1) if is_lossless(words, n)]
        assert expected == list(sizes), words


def is_lossless(words: str, n: int) -> bool:
    """True where a line of n pixels fits, and each layer reads it to its end."""
    try:
        return not any(any(step.dropped) for step in trace(parse(words), Shape(1, (n,))).steps)
    except UsageError:
        return False


def test_axes_have_sizes_of_their_own() -> None:
    network, shape = parse("conv1x3-4/1x2 max2x1"), parse_shape("3@9x9")
    assert ["2 m", "2 m + 1"] == [lossless_sizes(network, shape, Rules(), axis).rule for axis in (0, 1)]


def test_a_network_that_always_drops_says_so() -> None:
    with pytest.raises(UsageError, match="some layer always drops a column"):
        lossless_sizes(parse("{ conv1-3/2 | conv2-3/2 }"), Shape(3, (9,)), Rules(), 0)


def test_the_interval_of_a_stride_for_one_output_starts_where_the_next_no_longer_fits() -> None:
    for n, k in product(range(3, 9), range(1, 4)):
        assert [n - k + 1] == interval("stride", Geometry(n, k), 1)
