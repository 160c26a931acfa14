"""The layer notation: what is written is read back, and what is wrong is named by its position."""

import random
import re
import string
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convcli.errors import ConvError, UsageError
from convcli.networks.layers import KINDS
from convcli.networks.network import Branches, Layer, Network, Place, Repeat, Shape
from convcli.networks.notation import format_network, parse, parse_shape
from convcli.networks.rules import Rules
from convcli.networks.trace import trace
from convcli.networks.words import MAXIMUM_KERNEL, format_layer, parse_word, ratio

# --- random networks of every kind, made of every field

UNKNOWN = ("kernel", "stride", "pad", "dilation", "output_padding")
LETTERS = string.ascii_letters + string.digits + "._-"


def per_axis(random_: random.Random, least: int = 1) -> tuple[int, ...]:
    """A number for every axis, or for each."""
    return tuple(random_.randint(least, 99) for _ in range(random_.randint(1, 3)))


def pads(random_: random.Random) -> tuple[tuple[int, int], ...]:
    """Numbers of padding, often the same on both sides."""
    return tuple((p, p if random_.random() < 0.5 else random_.randint(0, 9)) for p in per_axis(random_, 0))


DRAW = {
    "kernel": per_axis,
    "channels": lambda r: r.randint(1, 999),
    "stride": per_axis,
    "pad": lambda r: pads(r) if r.random() < 0.7 else r.choice("hslfc"),
    "dilation": per_axis,
    "groups": lambda r: r.randint(1, 99),
    "output_padding": lambda r: per_axis(r, 0),
    "wanted": per_axis,
    "multiplier": lambda r: r.randint(1, 99),
    "ceil": lambda _r: True,
    "factor": lambda r: tuple(ratio(f"{r.randint(0, 9)}.{r.randint(1, 9)}") for _ in range(r.randint(1, 3))),
    "span": lambda r: (r.randint(0, 9), r.randint(1, 99)),
    "bias": lambda r: r.random() < 0.5,
    "bn": lambda r: r.random() < 0.5,
    "inputs": lambda r: r.randint(1, 999),
    "window": per_axis,
    "values": lambda r: "".join(r.choices(LETTERS, k=3)),
    "reference": lambda r: "".join(r.choices(LETTERS, k=3)),
    "name": lambda r: "".join(r.choices(LETTERS + "/:", k=3)),
}


def draw_layer(random_: random.Random) -> Layer:
    """A layer of any kind, with what it needs and some of what it takes, perhaps one field unknown."""
    name = random_.choice(sorted(KINDS))
    kind = KINDS[name]
    needed = {random_.choice(need.split("|")) for need in kind.needs}
    optional = kind.takes | {"name"} | (set() if "reference" in kind.takes or name == "input" else {"inputs"})
    optional -= {
        other for need in kind.needs if need.split("|")[0] == "kernel" for other in need.split("|")[:2]
    } - needed
    chosen = needed | {what for what in sorted(optional) if random_.random() < 0.3}
    fields: dict[str, Any] = {what: DRAW[what](random_) for what in sorted(chosen)}
    if name in ("pad", "crop") and "pad" in fields:
        fields["pad"] = pads(random_)
    elif random_.random() < 0.2 and chosen & set(UNKNOWN):
        fields["unknown"] = random_.choice(sorted(chosen & set(UNKNOWN)))
        del fields[fields["unknown"]]
    return Layer(name, **fields)


def draw_network(random_: random.Random, depth: int = 3) -> Network:
    """A network of layers, repetitions and branches inside each other."""
    return Network(tuple(draw_unit(random_, depth) for _ in range(random_.randint(1, 3))))


def draw_unit(random_: random.Random, depth: int) -> Layer | Repeat | Branches:
    """A layer, or something around networks."""
    chance = random_.random()
    if not depth or chance < 0.5:
        return draw_layer(random_)
    if chance < 0.75:
        return Repeat(random_.randint(1, 9), draw_network(random_, depth - 1))
    parts = tuple(draw_network(random_, depth - 1) for _ in range(random_.randint(2, 3)))
    return Branches("concat" if chance < 0.87 else "add", parts)


@given(st.integers(0, 2**32))
@settings(max_examples=1_000, deadline=None)
def test_what_is_written_is_read_back(seed: int) -> None:
    network = draw_network(random.Random(seed))
    assert network == parse(format_network(network))


@given(st.text(max_size=60) | st.text("conv3-64/2p1d(){}[]|*x,?:#=+@ \n'\"", max_size=60))
@settings(max_examples=500, deadline=None)
@example("9" * 5000 + "*conv3-4")
@example("conv" + "9" * 5000 + "-4")
@example("(" * 10_000)
@example("[" * 60)
@example("Conv2d(" * 300)
@example("Conv2d(" + "(" * 500 + ")" * 501)
@example("Conv2d(1e999, 2, 3)")
@example("Conv2d(3, 64, 0)")
@example("Conv2d(3, 64, 3, stride=0)")
@example("Conv2d(0or 1)")
@example("Conv2d('\\d', 1)")
@example("²*conv3-4")
@example("conv٣-64")
@example("conv3-64 \x00")
@example("3x3 conv, , 64")
def test_any_text_is_a_network_or_a_plain_error(text: str) -> None:
    try:
        network = parse(text)
        assert network == parse(format_network(network))
        trace(network, Shape(3, (8, 8)))
    except ConvError as error:
        assert error.exit_code == 2, error


@given(st.text(max_size=20) | st.text("0123456789@x?", max_size=12))
@settings(max_examples=300, deadline=None)
@example("1@" + "9" * 5000)
@example("3@٣")
def test_any_text_is_an_input_or_a_plain_error(text: str) -> None:
    try:
        shape = parse_shape(text)
        assert shape == parse_shape(str(shape))
    except UsageError as error:
        assert error.code == "shape"


@given(st.integers(0, 2**32))
@settings(max_examples=1_000, deadline=None)
def test_mods_may_come_in_any_order(seed: int) -> None:
    random_ = random.Random(seed)
    layer = draw_layer(random_)._replace(name="")
    if layer.reference or layer.factor or layer.kind in ("pad", "crop", "slice", "input"):
        return
    unknown: Any = layer.unknown if layer.unknown == "kernel" else ""
    start = len(format_layer(Layer(layer.kind, layer.kernel, layer.channels, unknown=unknown)))
    word = format_layer(layer)
    mods = split_mods(word[start:])
    assert word[start:] == "".join(mods)
    random_.shuffle(mods)
    assert layer == parse_word(word[:start] + "".join(mods), Place())


def split_mods(text: str) -> list[str]:
    """The mods of a word, each with what belongs to it."""
    return re.findall(r"ceil|[+-]bn|[+-]b|[/pdgo=mi](?:[hslfc?]|[\d:x]+)", text)


# --- what words mean


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("conv3-64", Layer("conv", (3,), 64)),
        ("conv3x5-64/2x1", Layer("conv", (3, 5), 64, (2, 1))),
        ("conv7-64/2p3", Layer("conv", (7,), 64, (2,), ((3, 3),))),
        ("conv3-64p0:1x2:3", Layer("conv", (3,), 64, pad=((0, 1), (2, 3)))),
        ("conv3-64phd2g4", Layer("conv", (3,), 64, pad="h", dilation=(2,), groups=4)),
        ("tconv3-64/2p1=16", Layer("tconv", (3,), 64, (2,), ((1, 1),), wanted=(16,))),
        ("tconv3-64/2p1o1x0", Layer("tconv", (3,), 64, (2,), ((1, 1),), output_padding=(1, 0))),
        ("conv7-64/2p?", Layer("conv", (7,), 64, (2,), unknown="pad")),
        ("conv?-64/2", Layer("conv", (), 64, (2,), unknown="kernel")),
        ("max3/2ceil", Layer("max", (3,), stride=(2,), ceil=True)),
        ("fc-1000+b-bn", Layer("fc", channels=1000, bias=True, bn=False)),
        ("dw3m2-b", Layer("dw", (3,), multiplier=2, bias=False)),
        ("bni64", Layer("bn", inputs=64)),
        ("pad1x2:3", Layer("pad", pad=((1, 1), (2, 3)))),
        ("up=56x57", Layer("up", wanted=(56, 57))),
        ("as:skip.1", Layer("as", reference="skip.1")),
        ("conv3-64#features.0", Layer("conv", (3,), 64, name="features.0")),
        ("conv3-64#?", Layer("conv", (3,), 64, name="?")),
        ("3×3 conv, 64", Layer("conv", (3, 3), 64)),
        ("FC-4096", Layer("fc", channels=4096)),
        ("maxpool2", Layer("max", (2,))),
        ("deconv4-64/2", Layer("tconv", (4,), 64, (2,))),
    ],
)
def test_words(word: str, expected: Layer) -> None:
    assert Network((expected,)) == parse(word)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2*relu", Network((Repeat(2, Network((Layer("relu"),))),))),
        ("2xrelu", Network((Repeat(2, Network((Layer("relu"),))),))),
        ("5*(relu id)", Network((Repeat(5, Network((Layer("relu"), Layer("id")))),))),
        ("5x( relu id )", Network((Repeat(5, Network((Layer("relu"), Layer("id")))),))),
        ("5 * ( relu id )", Network((Repeat(5, Network((Layer("relu"), Layer("id")))),))),
        ("[relu|id]", Network((Branches("concat", (Network((Layer("relu"),)), Network((Layer("id"),)))),))),
        ("{relu|id}", Network((Branches("add", (Network((Layer("relu"),)), Network((Layer("id"),)))),))),
        ("", Network(())),
        (" \n ", Network(())),
    ],
)
def test_structures(text: str, expected: Network) -> None:
    assert expected == parse(text)


def test_a_block_stands_for_its_layers() -> None:
    blocks = {"basic": parse("{ 2*conv3-64p1 | id }")}
    assert parse("conv3-64 3*( { 2*conv3-64p1 | id } )") == parse("conv3-64 3*( basic )", blocks)
    assert parse("2*{ 2*conv3-64p1 | id }") == parse("2*basic", blocks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3@224x224", Shape(3, (224, 224))), ("3@16x112x112", Shape(3, (16, 112, 112))), ("2@44100", Shape(2, (44100,)))],
)
def test_inputs(text: str, expected: Shape) -> None:
    assert expected == parse_shape(text)


@pytest.mark.parametrize(
    "text", ["", "3@", "@224", "3x224x224", "224x224x3", "3@224x", "3@0x4", "0@4", "3@4x4x4x4", "-3@4", "3@22 4", "a@4"]
)
def test_what_is_no_input_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shape(text)
    assert "shape" == caught.value.code


# --- what is wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv3-64q", "'conv3-64q': layer 1, character 9: 'q' says nothing about conv; what conv takes: 3 -64 /2 p1"),
        ("relu conv3-64/", "'conv3-64/': layer 2, character 9: '/' (stride) needs a number behind it"),
        ("conv3-64p", "character 9: 'p' (padding) needs a number behind it"),
        ("conv3-64pz", "character 9: 'p' (padding) needs a number behind it"),
        ("max2 covn3-64", "'covn3-64': layer 2, character 1: unknown layer 'covn'; did you mean 'conv3-64/2p1'?"),
        ("blub3", "unknown layer 'blub'; the kinds are conv, tconv, dw"),
        ("conv3", "'conv3': layer 1: conv needs output channels, for instance conv3-64"),
        ("tconv3x5/2p1", "tconv needs output channels, for instance tconv3x5-64/2p1"),
        ("sep3p1d2", "sep needs output channels, for instance sep3-64p1d2"),
        ("pw#mix", "pw needs output channels, for instance pw-64#mix"),
        ("conv3p?", "conv needs output channels, for instance conv3-64/2p1"),
        ("conv-64", "conv needs a kernel, for instance conv3-64/2p1"),
        ("max/2", "max needs a kernel or wanted, for instance max3/2p1"),
        ("pad", "pad needs padding, for instance pad1"),
        ("up", "up needs a kernel or factor or wanted, for instance up2"),
        ("fc", "fc needs output channels"),
        ("as", "as needs a name of letters, digits, '.', '-' and '_', for instance as:1"),
        ("cat:", "character 4: cat needs a name"),
        ("conv0-64", "character 5: kernel 0 makes no sense; it must be at least 1"),
        ("conv3-64/0", "stride 0 makes no sense"),
        ("conv3-0", "output channels 0 makes no sense"),
        ("conv3-64g0", "groups 0 makes no sense"),
        ("conv3-64/2/2", "character 11: the stride is said twice"),
        ("conv3-64p?d?", "only one '?' can be solved for"),
        ("conv3:4-64", "'3:4' is no kernel; only a padding has a begin and an end"),
        ("max2-64", "max takes no output channels; it takes ceil"),
        ("fc3-10", "fc takes no kernel; it takes bias, bn, output channels"),
        ("relu/2", "relu takes no stride; it takes nothing more"),
        ("gap2", "gap takes no kernel"),
        ("conv3-64m2", "conv takes no multiplier"),
        ("conv3-64ceil", "conv takes no ceil"),
        ("max2o1", "max takes no output padding"),
        (f"conv{MAXIMUM_KERNEL + 1}-4", "kernel 100001 is beyond 100,000"),
        ("conv3-99999999", "output channels 99999999 is beyond 10,000,000"),
        (
            "{ conv3-64 | id",
            "after layer 2, character 16: the '{' of character 1 must be closed by '}', not by the end",
        ),
        ("{ conv3-64 | id ]", "must be closed by '}', not by ']'"),
        ("[ conv3-64 )", "the '[' of character 1 must be closed by ']', not by ')'"),
        ("( relu | id )", "the '(' of character 1 must be closed by ')', not by '|'"),
        ("conv3-64 )", "after layer 1, character 10: ')' closes nothing that is open; remove it"),
        ("relu | id", "'|' closes nothing"),
        ("{ conv3-64 }", "{ } has one branch; write '| id' for a shortcut, or ( ) to group"),
        ("{ conv3-64 | }", "{ } has an empty branch; write id for a plain shortcut"),
        ("2*", "a repetition needs a layer or a bracket behind it"),
        ("2*3*relu", "a repetition needs a layer or a bracket behind it"),
        ("0*relu", "0 repetitions make no sense"),
        ("conv3-64,", "character 9: ',' says nothing about conv; what conv takes: 3 -64 /2 p1 d2 g2 i64 -b +bn #name"),
        ("3@224x?", "'3@224x?': layer 1, character 1: another input has numbers for its sizes"),
        ("conv3-4 3@#a", "'3@#a': layer 2, character 1: is no input; write channels@size"),
        ("input3", "'input3': layer 1, character 1: an input is written as channels@size"),
        ("slice4", "'slice4': layer 1, character 6: '4' is no span of channels; write slice0:32"),
        ("slice0:1x0:2", "is no span of channels"),
        ("up0.0001", "'up0.0001': layer 1, character 3: factor 0.0001 makes no sense"),
        ("conv1.5-4", "'conv1.5-4': layer 1, character 5: conv takes no factor"),
        ("conv3-4p1.5", "character 10: '.5' says nothing about conv"),
        ("-64", "'-64' is no layer"),
        ("51*( " * 51, "more than 50 brackets inside each other"),
    ],
)
def test_mistakes_are_named_by_position_with_what_would_work(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert expected in str(caught.value)
    assert (2, "layer") == (caught.value.exit_code, caught.value.code)


def test_a_mistake_in_a_file_names_its_line_and_block() -> None:
    with pytest.raises(UsageError, match="line 12, layer 2, character 9: 'q'"):
        parse("relu\n\nconv3-64q", line=10)
    with pytest.raises(UsageError, match="block 'basic', line 3, layer 1, character 9: 'q'"):
        parse("conv3-64q", line=3, block="basic")


def test_every_kind_has_an_example_that_works() -> None:
    for name, kind in KINDS.items():
        before = "as:1 relu#1 " if "reference" in kind.takes and name != "as" else ""
        shape = Shape(64, (12, 12))
        assert trace(parse(before + kind.example), shape, Rules()).steps, name


def test_the_place_of_a_layer_does_not_make_it_another() -> None:
    first, second = parse("relu relu").words()
    assert first == second
    assert first.place != second.place
