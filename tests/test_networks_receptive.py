"""Receptive fields, held against following every dependency pixel by pixel."""

import random
from dataclasses import dataclass

import pytest

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import AdaptivelyPooled, LinearlyResized, Resized, whole
from convcli.networks.advice import advice
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.receptive import Field, seen_through
from convcli.networks.trace import Trace, trace

# --- the oracle: each output holds the set of inputs that it depends on, as the bits of an integer


@dataclass(frozen=True)
class Unit:
    """What one output depends on, and whether it touches a border, where a longer axis would have shown more."""

    inputs: int
    whole: bool = True

    @property
    def extent(self) -> int:
        """From the first to the last input, both counted."""
        return self.inputs.bit_length() - (self.inputs & -self.inputs).bit_length() + 1 if self.inputs else 0


OUTSIDE = Unit(0, whole=False)

Line = list[Unit]


def merged(units: list[Unit]) -> Unit:
    """A unit that depends on all of these."""
    inputs = 0
    for unit in units:
        inputs |= unit.inputs
    return Unit(inputs, all(unit.whole for unit in units))


def at(line: Line, position: int) -> Unit:
    """A unit, or what lies outside."""
    return line[position] if 0 <= position < len(line) else OUTSIDE


def convolved(line: Line, k: int, s: int, d: int, p: int) -> Line:
    """A convolution, position by position."""
    outputs = (len(line) + 2 * p - d * (k - 1) - 1) // s + 1
    return [merged([at(line, u * s - p + t * d) for t in range(k)]) for u in range(outputs)]


def scattered(line: Line, k: int, s: int, d: int, p: int, extra: int) -> Line:
    """A transposed convolution: each input is added to k outputs; what is cut off is lost."""
    outputs: list[list[Unit]] = [[] for _ in range(s * (len(line) - 1) + d * (k - 1) + 1 - 2 * p + extra)]
    reach = d * (k - 1) // s + 1
    for i in range(-reach, len(line) + reach):  # beyond the ends, where a longer axis would have had inputs
        for u in range(i * s - p, i * s - p + d * k, d):
            if 0 <= u < len(outputs):
                outputs[u].append(at(line, i))
    return [merged(units) for units in outputs]


def widened(line: Line, factor: int) -> Line:
    """Nearest upsampling."""
    return [unit for unit in line for _ in range(factor)]


LENGTH = 64

# --- random networks, as words and as what the oracle does


def draw_layer(random_: random.Random, line: Line) -> tuple[str, Line]:
    """A random layer: its word, and the oracle's line behind it."""
    k, s, d = random_.randint(1, 4), random_.randint(1, 2), random_.randint(1, 2)
    p = random_.randint(0, 2)
    kind = random_.choice(["conv", "conv", "max", "tconv", "up"])
    if kind == "up":
        return "up2", widened(line, 2)
    if kind == "tconv":
        extra = random_.randrange(max(s, d))
        return f"tconv{k}-1/{s}p{p}d{d}o{extra}", scattered(line, k, s, d, p, extra)
    channels = "-1" if kind == "conv" else ""
    return f"{kind}{k}{channels}/{s}p{p}d{d}", convolved(line, k, s, d, p)


def draw_branches(random_: random.Random, line: Line) -> tuple[str, Line]:
    """Random branches of one stride that end in one size, joined."""
    words, ends = [], []
    for _ in range(2):
        half = random_.randint(0, 2)
        d = random_.randint(1, 2)
        kind = random_.choice(["id", "conv", "down", "chain"])
        if kind == "id":
            words.append("id")
            ends.append(line)
        elif kind == "conv":
            words.append(f"conv{2 * half + 1}-1p{half * d}d{d}")
            ends.append(convolved(line, 2 * half + 1, 1, d, half * d))
        elif kind == "down":
            words.append("max2 up2")
            ends.append(widened(convolved(line, 2, 2, 1, 0), 2))
        else:
            words.append("conv3-1p1 conv2-1 tconv2-1")
            ends.append(scattered(convolved(convolved(line, 3, 1, 1, 1), 2, 1, 1, 0), 2, 1, 1, 0, 0))
    joined = [merged(list(units)) for units in zip(*ends, strict=False)]
    opening, closing = random_.choice(["[]", "{}"])
    return f"{opening} {words[0]} | {words[1]} {closing} conv1-1", joined if len(set(map(len, ends))) == 1 else []


def draw_network(random_: random.Random, length: int) -> tuple[str, Line]:
    """A random chain with branches, and the oracle's line at its end."""
    line, words = [Unit(1 << i) for i in range(length)], []
    for _ in range(random_.randint(1, 5)):
        word, line = draw_branches(random_, line) if random_.random() < 0.3 else draw_layer(random_, line)
        words.append(word)
        if not 8 <= len(line) <= 300:
            return "", []
    return " ".join(words), line


def last_field(traced: Trace) -> Field:
    """The receptive field of the last layer, first axis."""
    field = traced.steps[-1].fields[0]
    assert field
    return field


def test_a_thousand_random_chains_with_branches_and_transposed_layers_see_what_one_can_follow() -> None:
    random_, held, transposed, uneven = random.Random(0), 0, 0, 0
    while held < 1_000:
        words, line = draw_network(random_, LENGTH)
        if not words:
            continue
        inner = [u for u, unit in enumerate(line) if unit.whole]
        if not inner:
            continue
        field = last_field(trace(parse(words), Shape(1, (LENGTH,))))
        if len(inner) < field.phases or inner != list(range(inner[0], inner[-1] + 1)):
            continue  # borders reach everywhere; there is no full period to compare with
        seen = [line[u] for u in inner]
        assert (min(unit.extent for unit in seen), max(unit.extent for unit in seen)) == field.extent, words
        for u in inner:
            first = (line[u].inputs & -line[u].inputs).bit_length() - 1
            assert (None if not line[u].inputs else (first, line[u].inputs.bit_length() - 1)) == field.at(u), (words, u)
        held, transposed, uneven = (
            held + 1,
            transposed + ("tconv" in words),
            uneven + (field.extent[0] < field.extent[1]),
        )
    assert transposed > 300
    assert uneven > 50


# --- branches of several speeds


def followed(traced: Trace, number: int, position: int) -> tuple[int, int] | None:
    """The pixels that an output of a step sees, by following every path of reads back to the input."""
    if number < 0:
        return position, position
    step = traced.steps[number]
    axis = step.applied.axes[0] if step.applied.axes else None
    reads = axis.reads(position if axis.period[1] else 0) if axis else [position]
    ends = []
    for source in step.sources:
        is_gate = len(step.sources) > 1 and source >= 0 and traced.steps[source].output.spatial == (1,)
        ends += [followed(traced, source, 0 if is_gate else read) for read in reads]
    seen = [end for end in ends if end]
    return (min(a for a, _ in seen), max(b for _, b in seen)) if seen else None


PATHS = ("id", "conv3-2p1", "gap pw-2 up=12", "max2 up2", "max3 conv3-2p1 up=12", "conv2-2/2 tconv2-2/2", "bilinear=12")


@pytest.mark.parametrize("seed", range(60))
def test_branches_of_several_speeds_see_the_union_of_their_paths(seed: int) -> None:
    random_ = random.Random(seed)
    first, second, third = random_.sample(PATHS, 3)
    behind = random_.choice(["conv3-1", "max2", "conv1-1 up2", "tconv3-1/2", "as:g gap pw-6 mul:g conv3-1/2p1"])
    traced = trace(parse(f"conv3-2p1 [ {first} | {second} | {third} ] {behind}"), Shape(1, (12,)))
    field, last = last_field(traced), len(traced.steps) - 1
    seen = [followed(traced, last, u) for u in range(traced.output.spatial[0])]
    assert seen == [field.at(u) for u in range(len(seen))]
    sizes = [end[1] - end[0] + 1 if end else 0 for end in seen]
    if field.others:
        assert (min(sizes), max(sizes)) == field.extent


def test_what_a_gate_and_a_pyramid_see_is_no_box_of_boxes() -> None:
    field = last_field(trace(parse("[ conv3-1p1 | gap conv1-1 up=8 ]"), Shape(1, (8,))))
    assert [(-1, 7), *[(0, 7)] * 6, (0, 8)] == [field.at(u) for u in range(8)]
    assert (8, 9) == field.extent


# --- known figures


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("conv7-64/2p3 max3/2p1", (11, 4, -5)),
        ("3*conv3-1", (7, 1, 0)),
        ("conv3-1 conv3-1d2 conv3-1d4", (15, 1, 0)),
        ("conv3-1p1 conv3-1p2d2 conv3-1p4d4", (15, 1, -7)),
        ("11*conv2-1d1", (12, 1, 0)),
        ("conv3-8/2p1 dw3/2p1 pw-8 sep3-8/2p1", (15, 8, -7)),
        ("avg=16", (4, 4, 0)),
        ("pad2 conv3-1 crop1", (3, 1, -1)),
    ],
)
def test_the_forward_walk_gives_size_jump_and_start(words: str, expected: tuple[int, int, int]) -> None:
    """r += (K - 1) j, P += p0 j, j *= s, from r = 1, j = 1, P = 0 (Araujo, Norris and Sim, Distill 2019)."""
    field = last_field(trace(parse(words), Shape(1, (64,))))
    interval = field.at(0)
    assert interval
    assert expected == (field.extent[1], field.step, interval[0])


def test_wavenet_layers_double_their_sight() -> None:
    """Dilations 1, 2, 4, ..., 512 of kernel 2 see 1,024 samples (van den Oord et al., arXiv:1609.03499)."""
    words = " ".join(f"conv2-8d{2**i}p{2**i}:0" for i in range(10))
    traced = trace(parse(words), Shape(1, (16_000,)))
    assert (1_024, 1_024) == last_field(traced).extent
    assert (-1_023, 0) == last_field(traced).at(0)
    assert (16_000,) == traced.output.spatial


def test_global_layers_see_everything_and_stay_so() -> None:
    traced = trace(parse("conv3-4/2p1 gap pw-4 up=8 fc-10"), Shape(1, (16,)))
    assert [0, 0, 0, 0] == [last_field(Trace(traced.input, traced.steps[: i + 1])).step for i in range(1, 5)]
    assert (-1, 15) == last_field(traced).at(0)


def test_bilinear_upsampling_mixes_two_pixels_between_centres() -> None:
    assert (2, 2) == last_field(trace(parse("bilinear2"), Shape(1, (8,)))).extent
    assert (1, 2) == last_field(trace(parse("bilinear3"), Shape(1, (8,)))).extent


def test_axes_of_two_kinds_with_the_same_numbers_are_each_followed_in_their_way() -> None:
    assert Field(2, ((0, 14),)) == seen_through(Field(2), Geometry(8, 8))
    assert Field(0, ((0, 14),)) == seen_through(Field(2), whole(8))
    grids = [kind(5, 3) for kind in (Resized, LinearlyResized, AdaptivelyPooled)]
    assert 3 == len({seen_through(Field(), grid) for grid in (*grids, *grids)})


def test_axes_are_followed_alone() -> None:
    fields = trace(parse("conv1x3-8/1x2 max2x1"), Shape(1, (16, 16))).steps[-1].fields
    assert [(2, 2), (3, 3)] == [field.extent for field in fields if field]


def test_a_pattern_too_long_to_follow_is_unknown_not_wrong() -> None:
    traced = trace(parse("up=9999991 conv3-1"), Shape(1, (9_999_973,)))
    assert [None, None] == [step.fields[0] for step in traced.steps]


# --- warnings


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("{ conv3-1p1 | id }", []),
        ("{ conv3-1/2p1 | conv1-1/2 }", []),
        ("{ conv2-1p0:1 | id }", ["layers 1 to 2 (0.5 px): the branches do not align, their centres differ"]),
        (
            "{ conv3-1/2p0:1 | conv1-1/2 }",
            ["layers 1 to 2 (1 px): the branches do not align, their centres differ"],
        ),
        ("[ max2 | conv1-1/4p4:12 ]", ["layers 1 to 2: the branches do not align, their strides differ"]),
        ("as:a max2 up2 cat:a", []),
        ("as:a max2 conv3-1p1 tconv2-1/2 cat:a", []),
        ("as:a max2 tconv3-1/2p1o1 cat:a", ["layer 4 (0.5 px): the branches do not align, their centres differ"]),
    ],
)
def test_branches_that_do_not_align_are_named(words: str, expected: list[str]) -> None:
    remarks = advice(trace(parse(words), Shape(1, (16,))))
    assert expected == [remark for remark in remarks if "align" in remark]


def test_a_gate_sees_everything_and_says_so() -> None:
    traced = trace(parse("as:a gap pw-4 mul:a"), Shape(4, (16,)))
    assert (16, 16) == last_field(traced).extent
    assert ["layer 4: the gate sees the whole image, and so does all behind it"] == advice(traced)


def test_a_remembered_name_may_be_used_again() -> None:
    with pytest.raises(UsageError, match="remembered so far: a"):
        trace(parse("as:a conv3-1p1 add:b"), Shape(1, (16,)))
    assert (3, 3) == last_field(trace(parse("as:a conv3-1p1 add:a add:a"), Shape(1, (16,)))).extent
