"""What real designs need beside chains: several heads and inputs, slices, causal padding, shuffles, attention."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convcli.cli import run
from convcli.errors import UsageError
from convcli.networks.advice import advice
from convcli.networks.costs import Convention, Cost, costs, peak_elements, together
from convcli.networks.network import Shape
from convcli.networks.notation import format_network, parse, parse_shape
from convcli.networks.readers.toml import read_design
from convcli.networks.rules import Rules
from convcli.networks.trace import Trace, trace


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]):
    """Runs a command: the exit code, standard output and standard error."""

    def run_it(*words: str) -> tuple[int, str, str]:
        code = run([*words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_it


@pytest.fixture
def shapes(answer):
    """`convcli shapes`."""
    return lambda *words: answer("shapes", *words)


@pytest.fixture
def flops(answer):
    """`convcli flops`."""
    return lambda *words: answer("flops", *words)


def traced(words: str, shape: str) -> Trace:
    """A design at work; what is written is read back."""
    network = parse(words)
    assert network == parse(format_network(network))
    return trace(network, parse_shape(shape))


def total(made: Trace) -> Cost:
    """What a design costs."""
    return together(costs(made, Convention()))


def outputs(made: Trace) -> list[str]:
    """The shapes of all heads."""
    return [str(made.steps[i].output) for i in made.ends]


# --- sizes


@pytest.mark.parametrize(
    ("shape", "words", "expected"),
    [
        ("8@12x8", "unshuffle2", "32@6x4"),
        ("8@12x8", "unshuffle2x1", "16@6x8"),
        ("8@12", "unshuffle3 shuffle3", "8@12"),
        ("12@5x5", "cshuffle3", "12@5x5"),
        ("64@8x8", "slice0:32", "32@8x8"),
        ("64@8x8", "slice16:64", "48@8x8"),
        ("10", "slice2:5", "3"),
        ("3@7x10", "up1.5", "3@10x15"),
        ("3@7x10", "bilinear1.5x0.5", "3@10x5"),
        ("3@100", "up0.29", "3@28"),
        ("4@9", "conv3-4pc", "4@9"),
        ("4@9", "conv3-4/2pcd2", "4@5"),
        ("4@9", "max3/1pc", "4@9"),
        ("32@8x8", "attn4", "32@8x8"),
        ("32@8x8", "attn4-16", "16@8x8"),
        ("3@8x8", "conv1-4 as:a 1@8x8 cat:a", "5@8x8"),
        ("3@8x8", "as:a conv3-8 from:a conv1-2", "2@8x8"),
    ],
)
def test_sizes(shape: str, words: str, expected: str) -> None:
    assert expected == str(traced(words, shape).output)


@pytest.mark.parametrize(
    ("shape", "words", "expected"),
    [
        ("8@12x7", "unshuffle2", "'unshuffle2': layer 1: 8@12x7 does not split into blocks of 2"),
        ("8@12x8", "relu cshuffle3", "'cshuffle3': layer 2: 3 groups do not divide 8 channels"),
        ("8@12x8", "cshuffle2x2", "2x2 groups do not divide 8 channels"),
        ("64@8x8", "slice0:65", "'slice0:65': layer 1: keeps channels 0 to 65 of 64; write slice0:64"),
        ("64@8x8", "slice8:8", "keeps channels 8 to 8 of 64"),
        ("3@1x1", "up0.5", "'up0.5': layer 1: leaves nothing of 3@1x1"),
        ("3@8x8", "tconv3-4pc", "'tconv3-4pc': layer 1: a causal padding is for convolutions and poolings"),
        ("30@8x8", "attn4", "'attn4': layer 1: 4 heads do not divide 30 channels"),
        ("784", "attn4", "attn needs an image"),
        ("3@8x8", "as:a relu from:b", "'from:b': layer 3: as:b must come before it; remembered so far: a"),
        ("3@8x8", "from:b", "nothing is remembered yet"),
        ("3@8x8", "as:a 3@4x4 add:a", "cannot add 3@4x4 and 3@8x8: the sizes differ"),
    ],
)
def test_mistakes_name_the_layer(shape: str, words: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        traced(words, shape)
    assert expected in str(caught.value)


# --- several heads


PYRAMID = """
    conv3-8/2p1 as:2 conv3-16/2p1 as:3 conv3-32/2p1 as:4
    pw-8 as:p4 up2 as:top from:3 pw-8 add:top as:p3 up2 as:top from:2 pw-8 add:top
    as:p2 conv3-8p1 from:p3 conv3-8p1 from:p4 conv3-8p1
"""


def test_a_feature_pyramid_has_three_heads() -> None:
    made = traced(PYRAMID, "3@64x64")
    assert ["8@32x32", "8@16x16", "8@8x8"] == outputs(made)
    layers = "conv3-8/2p1 conv3-16/2p1 conv3-32/2p1 pw-8 conv3-8p1"
    alone = total(traced(layers, "3@64x64")).params
    side = sum(total(traced(words, shape)).params for words, shape in (("pw-8", "16@16x16"), ("pw-8", "8@32x32")))
    heads = 2 * total(traced("conv3-8p1", "8@8x8")).params
    assert alone + side + heads == total(made).params


def test_a_head_that_nobody_reads_stays_alive() -> None:
    """8 + 8 of the first head wait while the second one is made of the same 4: 4 + 8 + 8, not 4 + 8."""
    assert 4 * 20 == peak_elements(traced("as:a conv1-8 from:a conv1-8", "4@4"))
    assert 4 * 12 == peak_elements(traced("as:a conv1-8", "4@4"))


def test_what_goes_on_from_a_name_sees_what_that_saw() -> None:
    made = traced("conv3-8/2p1 as:a conv3-8/2p1 from:a conv3-8p1", "3@64x64")
    assert [(7, 7), (7, 7)] == [field.extent for field in made.steps[-1].fields if field]


def test_heads_are_told(shapes, flops) -> None:
    words = ("3@8x8", "as:a", "conv3-4", "from:a", "conv1-2")
    assert "also made: 4@6x6 (conv3-4)" in shapes(*words)[1]
    assert [[4, 6, 6], [2, 8, 8]] == json.loads(shapes(*words, "--json")[1])["total"]["outputs"]
    assert "from:a" in flops(*words, "--markdown")[1]


# --- shared layers


def test_a_layer_that_runs_again_has_its_parameters_once() -> None:
    """A head over two levels, as RetinaNet's: its multiply-adds count for each, its weights once."""
    made = traced("as:a max2 conv3-8p1#head relu conv1-4#out as:b from:a again:head relu again:out", "8@16x16")
    alone = total(traced("conv3-8p1 conv1-4", "8@16x16"))
    below = total(traced("conv3-8p1 conv1-4", "8@8x8"))
    assert (alone.params, alone.macs + below.macs) == (total(made).params, total(made).macs)
    assert ["again:head", "conv", "head"] == [made.steps[7].word, made.steps[7].kind, made.steps[7].layer.name]


@pytest.mark.parametrize(
    ("shape", "words", "expected"),
    [
        ("8@8x8", "again:a", "'again:a': layer 1: a layer #a must come before it; no layer has a name yet"),
        ("8@8x8", "conv1-8#b again:a", "layer 2: a layer #a must come before it; named so far: b"),
        ("8@8x8", "conv1-4#b again:b", "'again:b': layer 2: #b was for 8 channels, but 4 arrive"),
        ("8@8x8", "fc-64#b again:b", "'again:b': layer 2: #b was for 512 channels, but 64 arrive"),
        ("8@8x8", "conv9-8p1#b again:b", "'again:b': layer 2: kernel 9 is larger than the padded input"),
    ],
)
def test_a_layer_that_cannot_run_again_is_named(shape: str, words: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        traced(words, shape)
    assert expected in str(caught.value)


# --- several inputs


def test_several_inputs_are_joined_and_told(shapes) -> None:
    words = ("3@8x8", "conv1-4", "as:a", "1@8x8#depth", "conv1-4", "cat:a")
    code, out, _ = shapes(*words, "--json")
    told = json.loads(out)
    assert (0, ["3@8x8", "1@8x8"], [8, 8, 8]) == (code, told["inputs"], told["total"]["output"])
    assert "input 3@8x8 and 1@8x8" in told["convention"]
    assert "depth" in [layer["name"] for layer in told["layers"]]


def test_inputs_of_one_size_share_their_pixels_and_others_do_not() -> None:
    same = traced("conv3-4p1 as:a 1@8x8 conv5-4p2 cat:a", "3@8x8")
    assert [(5, 5), (5, 5)] == [field.extent for field in same.steps[-1].fields if field]
    other = traced("conv3-4p1 as:a 1@4x4 up2 cat:a", "3@8x8")
    assert (None, None) == other.steps[-1].fields
    assert any("inputs of different sizes meet here" in line for line in advice(other))


def test_all_inputs_wait_from_the_start() -> None:
    assert 5 * 8 == peak_elements(traced("conv1-1 as:a 4@8 cat:a slice0:1", "1@8")) - 5 * 8
    assert 0 == total(traced("1@8", "1@8")).activations


def test_a_comparison_may_have_its_own_input(shapes) -> None:
    out = shapes("3@8x8", "conv3-4", "vs", "3@16x16", "conv3-4")[1]
    assert "A makes 4@6x6, B makes 4@14x14" in out


def test_lossless_sizes_are_for_one_input(shapes) -> None:
    assert "--inputs is for one" in shapes("3@8x8", "as:a", "3@8x8", "add:a", "--inputs")[2]


def test_an_unknown_is_solved_for_beside_another_input(shapes) -> None:
    code, out, _ = shapes("3@8x8", "as:a", "3@8x8", "add:a", "conv3-4p?", "--want", "8x8")
    assert (0, True) == (code, "conv3-4p1" in out)


# --- causal


def test_causal_layers_see_nothing_that_comes_later() -> None:
    words = " ".join(f"{{ conv2-8pcd{2**i} relu | id }}" for i in range(10))
    made = traced(words, "8@16000")
    field = made.steps[-1].fields[0]
    assert field
    assert ((1_024, 1_024), (-1_023, 0)) == (field.extent, field.at(0))
    assert [] == advice(made)


def test_causal_is_a_padding_of_all_convolutions(shapes) -> None:
    assert shapes("4@9", "conv3-4", "--pad", "causal", "--csv")[1] == shapes("4@9", "conv3-4pc", "--csv")[1].replace(
        "conv3-4pc", "conv3-4"
    )


def test_causal_padding_is_explained(shapes) -> None:
    assert "causal: p0 = K - 1 = 4, p1 = 0" in shapes("4@9", "conv3-4pcd2", "--explain")[1]


# --- attention


def test_attention_is_counted_and_its_products_apart(flops) -> None:
    """ViT-B: 4 x 768 x 768 weights, 4 x 768 biases; on 14x14 places 4 x 768 x 768 x 196 and 2 x 196 x 196 x 768."""
    cost = total(traced("attn12", "768@14x14"))
    assert (2_362_368, 462_422_016, 59_006_976) == (cost.params, cost.macs, cost.products)
    assert (521_428_992, 1_042_857_984) == (cost.spent.macs, cost.spent.flops)
    assert 2_362_368 - 4 * 768 == total(traced("attn12-b", "768@14x14")).params
    _, out, _ = flops("768@14x14", "attn12")
    assert "59,006,976 MACs in products of two activations (attention): 521,428,992 in all" in out
    assert 59_006_976 == json.loads(flops("768@14x14", "attn12", "--json")[1])["total"]["macs_products"]


def test_attention_and_shared_layers_are_explained(flops) -> None:
    out = flops("8@4x4", "attn2#a", "again:a", "--explain")[1]
    assert "products = N 2 positions^2 C = 1 * 2 * 16^2 * 8 = 4,096 MACs of two activations, counted apart" in out
    assert "the parameters count where the layer stands first" in out


def test_a_budget_counts_the_products_of_attention(flops) -> None:
    assert 1 == flops("768@14x14", "attn12", "--budget", "500M")[0]
    assert 0 == flops("768@14x14", "attn12", "--budget", "522M")[0]


def test_attention_sees_everything() -> None:
    made = traced("conv3-8/2p1 attn2 conv3-8p1", "3@16")
    field = made.steps[-1].fields[0]
    assert field
    assert (field.sees_all, field.extent) == (True, (17, 17))


# --- files


def test_files_say_the_same_as_words(tmp_path: Path, shapes) -> None:
    words = "conv3-8pc as:a unshuffle2 from:a slice0:4 up1.5 1@12 cat:a attn3"
    toml = f'input = "3@8"\nlayers = ["{words}"]\n[blocks]\nhead = "slice0:4 up1.5"\n'
    text = f"input 3@8\n{words}\n"
    assert read_design(text, toml=False).network == read_design(toml, toml=True).network == parse(words)
    path = tmp_path / "net.toml"
    path.write_text('input = "4@8x8"\nlayers = "as:a slice0:2 from:a head"\n[blocks]\nhead = "slice3:9"\n')
    assert (
        f"convcli: '{path}': 'slice3:9': block 'head', layer 1: keeps channels 3 to 9 of 4"
        in shapes("--file", str(path))[2]
    )


def test_products_of_attention_can_be_expected(tmp_path: Path, shapes) -> None:
    path = tmp_path / "net.txt"
    path.write_text("input 8@4x4\nattn2\nexpect products = 4096\n")
    assert 0 == shapes("--file", str(path))[0]
    path.write_text("input 8@4x4\nattn2\nexpect products = 4097\n")
    assert "products is 4096, expected 4097" in shapes("--file", str(path))[2]


def test_an_instance_normalisation_has_parameters_only_where_it_says_so() -> None:
    params = [total(trace(parse(word), Shape(8, (4, 4)), Rules())).params for word in ("in", "in+bn", "in+b+bn", "bn")]
    assert [0, 8, 16, 16] == params


# --- all together


@st.composite
def designs(draw: st.DrawFn) -> str:
    """A random design on 4@12 with skips, heads, slices, gates, causal layers and other inputs, as words that fit."""
    words, names, channels, size, sizes = ["as:0"], ["0"], 4, 12, {"0": (4, 12)}
    for number in range(1, draw(st.integers(2, 8))):
        kind = draw(
            st.sampled_from("conv causal down up fraction shuffle unshuffle slice attn from add cat gate input".split())
        )
        name = draw(st.sampled_from(names))
        if kind == "conv":
            channels = draw(st.integers(1, 6))
            words.append(f"conv3-{channels}p1")
        elif kind == "causal":
            words.append(f"dw3pcd{draw(st.integers(1, 3))}")
        elif kind == "down" and size >= 4:
            words, size = [*words, "max2"], size // 2
        elif kind in ("up", "fraction") and size <= 24:
            words, size = (
                [*words, "up2" if kind == "up" else "bilinear1.5"],
                size * 2 if kind == "up" else size * 3 // 2,
            )
        elif kind == "shuffle" and channels % 2 == 0:
            words, channels, size = [*words, "shuffle2"], channels // 2, size * 2
        elif kind == "unshuffle" and size % 2 == 0:
            words, channels, size = [*words, "unshuffle2"], channels * 2, size // 2
        elif kind == "slice":
            words, channels = [*words, f"slice0:{(channels + 1) // 2}"], (channels + 1) // 2
        elif kind == "attn":
            words.append("attn1")
        elif kind == "from":
            words, (channels, size) = [*words, f"from:{name}"], sizes[name]
        elif kind in ("add", "cat") and sizes[name][1] == size:
            words += [f"conv1-{sizes[name][0]}", f"{kind}:{name}"]
            channels = sizes[name][0] * (1 if kind == "add" else 2)
        elif kind == "gate":
            words += [f"as:g{number}", "gap", f"pw-{channels}", f"mul:g{number}"]
        elif kind == "input" and size == 12:
            words, channels = [*words, f"as:i{number}", "2@12", f"cat:i{number}"], channels + 2
        words.append(f"as:{number}")
        names.append(str(number))
        sizes[str(number)] = (channels, size)
    return " ".join(words)


def seen(made: Trace, number: int, position: int, known: dict[tuple[int, int], tuple[int, int] | None]):
    """The pixels that an output of a step sees, by following every path of reads back to an input."""
    if number < 0:
        return position, position
    if (number, position) not in known:
        step = made.steps[number]
        axis = step.applied.axes[0] if step.applied.axes else None
        reads = axis.reads(position if axis.period[1] else 0) if axis else [position]
        ends = [] if step.sources else [(position, position)]
        for source in step.sources:
            before = made.input if source < 0 else made.steps[source].output
            is_gate = len(step.sources) > 1 and before.spatial != step.output.spatial
            ends += [end for read in reads if (end := seen(made, source, 0 if is_gate else read, known))]
        known[number, position] = (min(a for a, _ in ends), max(b for _, b in ends)) if ends else None
    return known[number, position]


@given(designs())
@settings(max_examples=150, deadline=None)
@example("as:0 conv3-4p1 as:1 from:0 max2 up2 cat:1 attn1 2@12 from:1")
def test_random_designs_see_what_one_can_follow_and_are_read_back(words: str) -> None:
    made = traced(words, "4@12")
    field, last, known = made.steps[-1].fields[0], len(made.steps) - 1, {}
    assert field
    spans = [seen(made, last, u, known) for u in range(made.output.spatial[0])]
    assert spans == [field.at(u) for u in range(len(spans))]
    sizes = [end[1] - end[0] + 1 if end else 0 for end in spans]
    if field.others:
        assert (min(sizes), max(sizes)) == field.extent
    assert peak_elements(made) <= made.input.elements + sum(step.output.elements for step in made.steps)
