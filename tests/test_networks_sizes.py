"""Output sizes, padding, dropped columns and multiply-adds, held against counting positions one by one."""

import random
from itertools import count, product
from math import prod

import pytest

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.rules import Rules
from convcli.networks.trace import Step, trace


def only_step(word: str, shape: Shape, rules: Rules | None = None) -> Step:
    """The one step of a network of one layer."""
    return trace(parse(word), shape, rules).steps[0]


def sizes(word: str, n: int, rules: Rules | None = None) -> tuple[int, ...]:
    """What a layer makes of a line of n pixels and one channel."""
    return only_step(word, Shape(1, (n,)), rules).output.spatial


# --- the definitions, counted


def positions(n: int, k: int, s: int, d: int, p0: int, p1: int) -> list[list[int]]:
    """The pixels that each position of a kernel reads, moving it until it no longer fits."""
    found = []
    for start in count(-p0, s):
        taps = [start + t * d for t in range(k)]
        if taps[-1] >= n + p1:
            return found
        found.append(taps)
    raise AssertionError


def scattered(n: int, k: int, s: int, d: int) -> int:
    """The length of what n pixels write when each spreads over k taps."""
    return max(i * s + t * d for i in range(n) for t in range(k)) + 1


def draw(random_: random.Random) -> tuple[int, int, int, int, int, int]:
    """A random axis: size, kernel, stride, dilation, padding before and after."""
    return tuple(random_.randint(a, b) for a, b in ((1, 24), (1, 6), (1, 4), (1, 3), (0, 4), (0, 4)))  # type: ignore[return-value]


def test_ten_thousand_random_layers_take_the_positions_that_one_can_count() -> None:
    random_, kernels_too_large = random.Random(0), 0
    for _ in range(10_000):
        kind = random_.choice(["conv", "dw", "max", "avg", "sep"])
        n, k, s, d, p0, p1 = draw(random_)
        channels = "-2" if kind in ("conv", "sep") else ""
        word = f"{kind}{k}{channels}/{s}p{p0}:{p1}d{d}"
        expected = positions(n, k, s, d, p0, p1)
        if not expected:
            kernels_too_large += 1
            with pytest.raises(UsageError, match="larger than the padded input"):
                sizes(word, n)
            continue
        step = only_step(word, Shape(1, (n,)))
        assert (len(expected),) == step.output.spatial, word
        assert (n + p1 - 1 - expected[-1][-1],) == step.dropped, word
        assert ((p0, p1),) == step.applied.pads
        if step.applied.banks:
            bank = step.applied.banks[0]
            assert bank.pairs * len(expected) * k == bank.macs, word
            assert bank.pairs * sum(0 <= x < n for taps in expected for x in taps) == bank.real_macs, word
    assert 500 < kernels_too_large < 5_000


def test_random_transposed_layers_write_what_one_can_scatter() -> None:
    random_, impossible = random.Random(1), 0
    for _ in range(5_000):
        n, k, s, d, p0, p1 = draw(random_)
        extra = random_.randrange(max(s, d))
        expected = scattered(n, k, s, d) - p0 - p1 + extra
        word = f"tconv{k}-3/{s}p{p0}:{p1}d{d}o{extra}"
        if expected < 1:
            impossible += 1
            with pytest.raises(UsageError, match="takes all"):
                sizes(word, n)
            continue
        step = only_step(word, Shape(2, (n,)))
        bank = step.applied.banks[0]
        inside = sum(0 <= i * s + t * d - p0 < expected for i in range(n) for t in range(k))
        assert (expected,) == step.output.spatial, word
        assert (2 * 3 * n * k, 2 * 3 * inside) == (bank.macs, bank.real_macs), word
    assert 0 < impossible < 1_000


def test_two_and_three_dimensional_layers_multiply_once_for_each_position_tap_and_channel_pair() -> None:
    random_ = random.Random(2)
    for _ in range(300):
        axes = random_.choice([2, 3])
        each = [
            (random_.randint(3, 5), random_.randint(1, 3), random_.randint(1, 2), random_.randint(0, 1))
            for _ in range(axes)
        ]
        n, k, s, p = zip(*each, strict=True)
        groups = random_.choice([1, 2])
        reads = [positions(n[a], k[a], s[a], 1, p[a], p[a]) for a in range(axes)]
        counted = real = 0
        for place in product(*reads):
            for pixel in product(*place):
                counted += 1
                real += all(0 <= x < size for x, size in zip(pixel, n, strict=True))
        pairs = sum(i // 2 == o // 3 for i in range(4) for o in range(6)) if groups == 2 else 24
        word = f"conv{'x'.join(map(str, k))}-6/{'x'.join(map(str, s))}p{'x'.join(map(str, p))}g{groups}"
        bank = only_step(word, Shape(4, n)).applied.banks[0]
        assert (pairs * counted, pairs * real) == (bank.macs, bank.real_macs), word


def test_ceil_pooling_keeps_a_window_that_starts_on_the_image_or_before_it() -> None:
    random_ = random.Random(3)
    for _ in range(3_000):
        n, k, s = random_.randint(1, 20), random_.randint(1, 6), random_.randint(1, 6)
        p = random_.randint(0, k // 2)
        if k > n + 2 * p:
            continue
        whole = len(positions(n, k, s, 1, p, p))
        left_over = (whole - 1) * s + k < n + 2 * p
        expected = sum(u * s < n + p for u in range(whole + left_over))
        assert (expected,) == sizes(f"max{k}/{s}p{p}ceil", n), (n, k, s, p)


@pytest.mark.parametrize(
    ("n", "k", "s", "p", "expected"),
    [(9, 4, 4, 2, 3), (32, 1, 2, 0, 16), (5, 2, 2, 1, 3), (2, 3, 3, 1, 1), (5, 3, 3, 1, 2)],
)
def test_ceil_pooling_gives_the_known_sizes(n: int, k: int, s: int, p: int, expected: int) -> None:
    """Vectors of PyTorch's pooling_output_shape; ONNX before opset 22 gives 4, 17, 4, 2, 3."""
    assert (expected,) == sizes(f"max{k}/{s}p{p}ceil", n)
    assert (expected,) == sizes(f"max{k}/{s}p{p}ceil", n, Rules(framework="torch"))


def test_same_makes_ceil_n_over_s_outputs_with_the_least_padding_the_odd_one_behind() -> None:
    random_ = random.Random(4)
    for _ in range(3_000):
        n, k, s, d, _, _ = draw(random_)
        outputs = -(-n // s)
        least = max(0, (outputs - 1) * s + d * (k - 1) + 1 - n)  # reach of the last window beyond the image
        for letter, pads in (("s", (least // 2, least - least // 2)), ("l", (least - least // 2, least // 2))):
            step = only_step(f"conv{k}-1/{s}p{letter}d{d}", Shape(1, (n,)))
            assert ((outputs,), (pads,)) == (step.output.spatial, step.applied.pads), (n, k, s, d)


@pytest.mark.parametrize(("n", "k", "s", "expected"), [(224, 3, 2, (0, 1)), (224, 7, 2, (2, 3)), (13, 6, 5, (1, 2))])
def test_same_pads_as_tensorflow_does(n: int, k: int, s: int, expected: tuple[int, int]) -> None:
    """Examples of tensorflow.org, "Notes on padding"."""
    assert (expected,) == only_step(f"conv{k}-1/{s}ps", Shape(1, (n,))).applied.pads


def test_half_padding_at_stride_2_has_the_size_of_same_but_begins_elsewhere() -> None:
    half, same = (only_step(f"conv3-1/2p{rule}", Shape(1, (224,))) for rule in "hs")
    assert half.output == same.output
    assert (((1, 1),), ((0, 1),)) == (half.applied.pads, same.applied.pads)


def test_transposed_sizes_are_those_that_a_convolution_maps_back() -> None:
    """The wanted size m is reached exactly when the forward convolution maps m to n."""
    random_, reached = random.Random(5), 0
    for _ in range(2_000):
        n, k, s, d, p0, p1 = draw(random_)
        wanted = random_.randint(1, 60)
        forward = wanted + p0 + p1 >= d * (k - 1) + 1 and len(positions(wanted, k, s, d, p0, p1)) == n
        axis = Transposed(n, k, s, d, p0, p1)
        assert forward == (wanted in axis.possible[:s] and wanted > 0), (n, k, s, d, p0, p1, wanted)
        if forward:
            reached += 1
            assert (wanted,) == sizes(f"tconv{k}-1/{s}p{p0}:{p1}d{d}={wanted}", n)
    assert reached > 50


def test_the_wanted_size_decides_the_output_padding() -> None:
    """k3 s2 p1 maps 6 to 3; back from 3 that takes op = (6 + 2 - 3) mod 2 = 1."""
    step = only_step("tconv3-1/2p1=6", Shape(1, (3, 3)))
    assert ((6, 6), [1, 1]) == (step.output.spatial, [axis.extra for axis in step.applied.axes])  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="makes 5 to 6 of 3, never 7"):
        only_step("tconv3-1/2p1=7", Shape(1, (3,)))


def test_transposed_same_undoes_same() -> None:
    for n, k, s in product(range(1, 9), range(1, 6), range(1, 5)):
        assert (n * s,) == sizes(f"tconv{k}-1/{s}ps", n)
        for wanted in range(1, n * s + s + 1):
            word = f"tconv{k}-1/{s}ps={wanted}"
            if -(-wanted // s) == n:
                assert (wanted,) == sizes(word, n)
            else:
                with pytest.raises(UsageError, match="never"):
                    sizes(word, n)


@pytest.mark.parametrize(
    ("k", "s", "expected"), [(3, 2, 2 * 7 + 3), (2, 3, 3 * 7 + 3), (1, 4, 4 * 7 + 4), (4, 2, 2 * 7 + 4)]
)
def test_keras_valid_transposed_sizes(k: int, s: int, expected: int) -> None:
    """s (n - 1) + max(K, s), Keras' compute_conv_transpose_output_shape."""
    assert (expected,) == sizes(f"tconv{k}-1/{s}", 8, Rules(framework="tf"))


# --- textbook examples


@pytest.mark.parametrize(
    ("shape", "words", "expected"),
    [
        (Shape(1, (4, 4)), "conv3-1", (1, 2, 2)),
        (Shape(1, (2, 2)), "tconv3-1", (1, 4, 4)),
        (Shape(1, (6, 6)), "conv3-1/2p1", (1, 3, 3)),
        (Shape(1, (3, 3)), "tconv3-1/2p1o1", (1, 6, 6)),
        (Shape(1, (6, 6)), "conv3-1/2p1 tconv3-1/2p1=6", (1, 6, 6)),
        (Shape(1, (4, 4, 4)), "conv2-1", (1, 3, 3, 3)),
        (Shape(3, (5, 5)), "conv3-10", (10, 3, 3)),
        (Shape(3, (224, 224)), "conv7-64/2p3 max3/2p1", (64, 56, 56)),
        (Shape(3, (224, 224)), "conv3-32/2ps", (32, 112, 112)),
        (Shape(1, (5, 5)), "conv3-1pf", (1, 7, 7)),
        (Shape(1, (5, 5)), "conv3-1ph", (1, 5, 5)),
        (Shape(8, (16,)), "conv3-4p1 max2", (4, 8)),
        (Shape(8, (9, 7)), "conv3x1-4/2x1p1x0", (4, 5, 7)),
    ],
)
def test_textbook_sizes(shape: Shape, words: str, expected: tuple[int, ...]) -> None:
    """Dumoulin and Visin, arXiv:1603.07285; He et al., arXiv:1512.03385."""
    output = trace(parse(words), shape).output
    assert expected == (output.channels, *output.spatial)


def test_the_odd_convolution_drops_a_row_and_a_column() -> None:
    assert (1, 1) == only_step("conv3-1/2p1", Shape(1, (6, 6))).dropped


@pytest.mark.parametrize(("dilation", "expected"), [(1, 3), (2, 5), (4, 9)])
def test_dilation_spreads_the_kernel(dilation: int, expected: int) -> None:
    assert expected == Geometry(16, 3, dilation=dilation).extent


# --- layers that are no convolution


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("up2", "8@12x10"),
        ("up3x2", "8@18x10"),
        ("up=7x9", "8@7x9"),
        ("bilinear2", "8@12x10"),
        ("shuffle2", "2@12x10"),
        ("pad1", "8@8x7"),
        ("pad0:1x2:3", "8@7x10"),
        ("crop1", "8@4x3"),
        ("crop0:1x2:0", "8@5x3"),
        ("crop=3x4", "8@3x4"),
        ("gap", "8@1x1"),
        ("avg=3x2", "8@3x2"),
        ("max=1", "8@1x1"),
        ("flatten", "240"),
        ("fc-10", "10"),
        ("gap fc-10", "10"),
        ("dw3p1m2", "16@6x5"),
        ("dw3-24p1", "24@6x5"),
        ("sep3-5p1m2", "5@6x5"),
        ("pw-5", "5@6x5"),
        ("bn relu id", "8@6x5"),
        ("[ id | conv1-3 ]", "11@6x5"),
        ("{ id | conv3-8p1 | id }", "8@6x5"),
        ("as:a conv3-4 cat:a", "12@4x3"),
        ("as:a conv3-8p1 add:a", "8@6x5"),
        ("as:a gap pw-2 relu pw-8 sigmoid mul:a", "8@6x5"),
        ("3*conv1-4", "4@6x5"),
        ("2*( pw-4 2*relu )", "4@6x5"),
    ],
)
def test_shapes_of_the_other_kinds(words: str, expected: str) -> None:
    assert expected == str(trace(parse(words), Shape(8, (6, 5))).output)


def test_a_centre_crop_leaves_the_odd_column_behind() -> None:
    """As the original U-Net crops: offset (H - h) // 2."""
    fields = trace(parse("as:a conv2-1 cat:a"), Shape(1, (5,))).steps[-1].fields
    assert (0, 1) == fields[0].at(0)  # type: ignore[union-attr]


# --- what cannot be


@pytest.mark.parametrize(
    ("shape", "words", "message"),
    [
        (Shape(3, (8, 8)), "conv11-64", "kernel 11 is larger than the padded input of axis 1, 8 + 0 + 0 = 8"),
        (Shape(3, (8, 8)), "conv5-64d3", "kernel 13 (5 taps, dilation 3)"),
        (Shape(3, (8, 8)), "{ conv3-64p1 | conv1-32 }", "cannot add 64@8x8 and 32@8x8: the channels differ"),
        (Shape(3, (8, 8)), "{ conv3-3 | id }", "cannot add 3@6x6 and 3@8x8: the sizes differ"),
        (Shape(3, (8, 8)), "[ conv3-3 | id ]", "cannot concatenate 3@6x6 and 3@8x8: the sizes differ"),
        (Shape(3, (8, 8)), "conv3-64g2", "2 groups do not divide 3 input and 64 output channels"),
        (Shape(4, (8, 8)), "dw3-6", "makes a multiple of 4 channels of 4, never 6"),
        (Shape(4, (8, 8)), "dw3m2-4", "says nothing"),
        (Shape(3, (8, 8)), "cat:1", "as:1 must come before it; nothing is remembered yet"),
        (Shape(3, (8, 8)), "as:a max2 as:b up4 cat:a", "a is 3@8x8, too small to crop to 3@16x16"),
        (Shape(3, (8, 8)), "fc-10 conv3-4", "conv needs an image, but a vector of 10 arrives"),
        (Shape(3, (8, 8)), "conv3x3x3-4", "has numbers for 3 axes, but 3@8x8 has 2"),
        (Shape(3, (8, 8)), "crop4", "leaves nothing of 3@8x8"),
        (Shape(3, (8, 8)), "crop=9", "smaller than what to crop it to"),
        (Shape(3, (8, 8)), "shuffle2", "3 channels do not split into blocks of 4"),
        (Shape(3, (8, 8)), "conv3-8i4", "expects 4 input channels, but 3 arrive"),
        (Shape(3, (8, 8)), "tconv3-8/2o2", "output padding 2 must be smaller than the stride or dilation, 2"),
        (Shape(3, (2, 2)), "tconv3-8p2", "the padding 2 + 2 takes all 4 columns"),
        (Shape(3, (8, 8)), "40*up2", "beyond 2,147,483,647"),
        (Shape(3, (8, 8)), "9999*(9999*relu)", "99,980,001 layers are more than 100,000"),
        (Shape(3, (8, 8)), "prelu-2", "2 slopes for 3 channels"),
        (Shape(3, (8, 8)), "as:a gap pw-4 mul:a", "cannot multiply 4@1x1 and 3@8x8"),
        (Shape(3, (8, 8)), "conv3-8p?", "the pad is '?'; convcli shapes --want SIZE finds it"),
    ],
)
def test_what_cannot_be_is_refused_with_its_numbers(shape: Shape, words: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        trace(parse(words), shape)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("framework", "words", "message"),
    [
        ("torch", "conv3-8/2ps", "'same' needs stride 1, not 2"),
        ("torch", "tconv3-8/2ps", "knows no 'same'"),
        ("torch", "max2ps", "numbers for padding only"),
        ("torch", "max2p2", "at most half its kernel, 1"),
        ("torch", "conv3-8pl", "ONNX's alone"),
        ("tf", "conv3-8pl", "ONNX's alone"),
        ("tf", "max3/2ceil", "no ceil pooling"),
    ],
)
def test_a_framework_refuses_what_it_does_not_have(framework: str, words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trace(parse(words), Shape(3, (8, 8)), Rules(framework=framework))  # type: ignore[arg-type]


def test_options_hold_for_convolutions_only_and_words_count_more() -> None:
    rules = Rules(bias=False, bn=True, pad=((1, 1),))
    steps = trace(parse("conv3-4 conv3-4p0+b-bn max2 fc-10"), Shape(3, (8, 8)), rules).steps
    assert ["4@8x8", "4@6x6", "4@3x3", "10"] == [str(step.output) for step in steps]
    assert [2 * 4, 4, 0, 10] == [step.applied.extra for step in steps]


def test_an_adaptive_pooling_of_a_multiple_is_a_plain_pooling() -> None:
    for n, m in ((12, 3), (7, 7), (10, 5)):
        adaptive, plain = only_step(f"avg={m}", Shape(1, (n,))), only_step(f"avg{n // m}", Shape(1, (n,)))
        assert plain.output == adaptive.output
        assert plain.applied.work == adaptive.applied.work
        assert plain.fields == adaptive.fields


def test_products_of_random_networks_stay_consistent_with_their_steps() -> None:
    """Each step starts where the one before it ended."""
    network = parse("conv3-8p1 2*{ conv3-8p1 relu conv3-8p1 | id } max2 gap fc-10")
    steps = trace(network, Shape(3, (16, 16))).steps
    assert all(steps[source].output == step.input for step in steps for source in step.sources[:1] if source >= 0)
    assert prod((8, 16, 16)) == steps[0].output.elements
