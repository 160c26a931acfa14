"""`convcli flops` as a user runs it."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from convcli.cli import run
from networks import PUBLISHED, Published
from printouts import ALEXNET, DCGAN

SAMPLES = Path(__file__).parent.parent / "samples" / "networks"


@pytest.fixture
def flops(capsys: pytest.CaptureFixture[str]):
    """Runs `convcli flops`: the exit code, standard output and standard error."""

    def answer(*words: str) -> tuple[int, str, str]:
        code = run(["flops", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return answer


@pytest.fixture
def document(flops):
    """Runs `convcli flops --json` and reads what it prints."""

    def answer(*words: str):
        code, out, err = flops(*words, "--json")
        assert (0, "") == (code, err)
        return json.loads(out)

    return answer


def test_multiply_adds_and_flops_stand_in_columns_of_their_own(flops) -> None:
    _, out, _ = flops("3@7x7", "sep3-128", "relu")
    lines = out.splitlines()
    assert ["layer", "output", "params", "MACs", "FLOPs"] == lines[0].split()[:5]
    assert ["sep3-128", "128@5x5", "539", "10,275", "20,550", "100", "10,275"] == lines[2].split()[:7]
    assert ["total", "128@5x5", "539", "10,275", "20,550"] == lines[5].split()[:5]


@pytest.mark.parametrize("style", [[], ["--markdown"], ["--explain"], ["--all"], ["--algorithms"]])
def test_the_convention_stands_under_every_table(flops, style: list[str]) -> None:
    _, out, _ = flops("3@224x224", "conv3-8", *style)
    assert (
        "MAC = one multiply-add; bias, normalisation, activation and pooling not counted; batch 1; input 3@224x224"
        in out.splitlines()
    )


def test_algorithms_of_an_assumed_order_are_marked(flops, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(
        "Net(\n  (a): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))\n  (b): ReLU()\n)\n", encoding="utf-8"
    )
    words = ("3@9x9", "--from", "torch", str(path), "--assume-order", "--algorithms", "--csv")
    rows = list(csv.reader(io.StringIO(flops(*words)[1])))
    assert ["order", *["assumed"] * (len(rows) - 1)] == [row[-1] for row in rows]


def test_a_printed_pooling_that_may_round_up_is_told(flops, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text("Sequential(\n  (0): AvgPool2d(kernel_size=2, stride=2, padding=0)\n)\n", encoding="utf-8")
    assert "does not say its ceil_mode" in flops("1@9x9", "--from", "torch", str(path))[1]
    assert "ceil_mode" not in flops("1@8x8", "--from", "torch", str(path))[1]


@pytest.mark.parametrize("network", PUBLISHED, ids=lambda network: network.name)
def test_published_networks_cost_what_was_published(document, network: Published) -> None:
    total = document(network.input, network.layers, *network.options)["total"]
    for key in {"macs", "macs_real", "params"} & network.figures.keys():
        assert network.figures[key] == total[key], key


@pytest.mark.parametrize(
    ("printed", "shape", "macs", "params"),
    [(ALEXNET, "3@224x224", 714_188_480, 61_100_840), (DCGAN, "100@1x1", 104_628_224, 3_576_704)],
)
def test_printouts_are_read_from_standard_input(printed: str, shape: str, macs: int, params: int) -> None:
    command = [sys.executable, "-m", "convcli", "flops", shape, "--from", "torch", "-", "--json"]
    done = subprocess.run(command, input=printed, capture_output=True, text=True, check=True)
    assert (macs, params) == tuple(json.loads(done.stdout)["total"][key] for key in ("macs", "params"))


def test_what_with_names_is_counted_and_said(flops, document) -> None:
    plain, more = (
        document("3@8x8", "conv3-4+bn relu max2", *extra)["total"] for extra in ([], ["--with", "bias,bn,act,pool"])
    )
    assert (plain["macs"], plain["flops"]) == (more["macs"], 2 * plain["macs"])
    assert plain["flops"] + 4 * 36 * (1 + 2 + 1) + 4 * 9 * 3 == more["flops"]
    assert (
        "bias, normalisation, activation and pooling counted in FLOPs"
        in flops("3@8x8", "relu", "--with", "bias,bn,act,pool")[1]
    )


def test_two_designs_side_by_side(flops, document) -> None:
    code, out, _ = flops("192@28x28", "conv5-32p2", "vs", "pw-16 conv5-32p2")
    assert 0 == code
    assert "B has 9.68 times fewer MACs than A" in out
    assert "the outputs agree: 32@28x28" in out
    assert "B has 8.41 times fewer MACs than A" in flops("3@7x7", "conv3-128", "vs", "sep3-128")[1]
    assert "B has 2.00 times more MACs than A" in flops("3@7x7", "conv3-8", "vs", "conv3-16")[1]
    assert "A and B have as many parameters" in flops("3@7x7", "conv3-8", "vs", "conv3-8p1")[1]
    assert "only A has MACs" in flops("3@7x7", "conv3-8", "vs", "relu")[1]
    assert {"macs": None, "params": None} == document("3@7x7", "conv3-8", "vs", "relu")["ratio"]


def test_csv_of_two_designs_says_which_is_which(flops) -> None:
    code, out, err = flops("192@28x28", "conv5-32p2", "vs", "pw-16 conv5-32p2", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (0, ["A", "A", "B", "B", "B"]) == (code, [row["design"] for row in rows])
    assert ["120422400", "12443648"] == [row["MACs"] for row in rows if row["layer"] == "total"]
    assert "MAC = one multiply-add" in err


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        ("2G", 0),
        ("1.9G", 0),
        ("1814073344", 0),
        ("1814073343", 1),
        ("1.8G", 1),
        ("4GFLOP", 0),
        ("3.6 GFLOPs", 1),
        ("11Mparams", 1),
    ],
)
def test_a_budget_fails_a_build(flops, budget: str, code: int) -> None:
    found, out, err = flops("--file", str(SAMPLES / "resnet-18.toml"), "--budget", budget)
    assert (code, code) == (found, err.count("[budget]"))
    assert "total" in out, "the table is printed either way"


def test_a_budget_holds_for_both_designs(flops) -> None:
    code, _, err = flops("192@28x28", "conv5-32p2", "vs", "pw-16 conv5-32p2", "--budget", "20M")
    assert (1, "convcli: 120,422,400 MACs are above the budget of 20M by 502.1 % [budget]\n") == (code, err)


def test_batches_and_number_types_scale_memory(document) -> None:
    one = document("3@8x8", "conv3-4p1")
    many = document("3@8x8", "conv3-4p1", "--batch", "8", "--dtype", "fp16")
    assert 8 * one["total"]["macs"] == many["total"]["macs"]
    assert 4 * one["total"]["activation_bytes"] == many["total"]["activation_bytes"]
    assert 4 * one["total"]["peak_activation_bytes"] == many["total"]["peak_activation_bytes"]
    assert one["total"]["parameter_bytes"] == 2 * many["total"]["parameter_bytes"]
    assert ("batch 8", 8, "fp16") == (many["convention"].split("; ")[2], many["batch"], many["dtype"])
    assert 4 * 4 * 64 == one["total"]["activation_bytes"]


def test_memory_is_said_in_one_line(flops) -> None:
    """VGG-16 in fp32: 528 MiB of parameters."""
    _, out, _ = flops("--file", str(SAMPLES / "vgg-16.toml"))
    assert (
        "memory in fp32: parameters 528 MiB, activations 57.6 MiB in all, 24.5 MiB at once, im2col at most 110 MiB"
        in out
    )


def test_algorithms_are_priced_for_the_same_function_only(flops, document) -> None:
    _, out, _ = flops("64@56x56", "conv3-64p1", "--algorithms")
    assert "Winograd F(4x4,3x3)" in out
    assert "FLOPs are not time" in out
    assert "depthwise" not in out
    ways = document("64@56x56", "conv3-64p1", "--algorithms")["layers"][0]["algorithms"]
    direct, winograd = ways[0]["multiplications"], next(w for w in ways if w["name"] == "Winograd F(4x4,3x3)")
    assert 4 * winograd["multiplications"] == direct


def test_algorithms_name_both_banks_of_a_separable_layer_and_equal_layers_once(flops) -> None:
    _, out, _ = flops("8@9x9", "3*sep3-8p1", "--algorithms")
    assert 1 == out.count("sep3-8p1 depthwise  8@9x9  direct")
    assert 1 == out.count("sep3-8p1 pointwise  8@9x9  direct")
    rows = list(csv.DictReader(io.StringIO(flops("8@9x9", "sep3-8p1", "--algorithms", "--csv")[1])))
    assert {"sep3-8p1 depthwise", "sep3-8p1 pointwise"} == {row["layer"] for row in rows}


def test_explain_fills_in_the_formulas(flops) -> None:
    _, out, _ = flops("64@16x16", "tconv4-32/2p1", "conv3-8p1g4+bn", "relu", "--batch", "2", "--explain")
    assert "MAC = N prod(in) Cin (Cout / g) prod(k) = 2 * 256 * 32,768 = 16,777,216" in out
    assert "weights = Cout (Cin / g) prod(k) = 8 (32 / 4) 9 = 576" in out
    assert "parameters = 576 + 24 of bias, scale and shift = 600" in out
    assert "are not on padding (" in out


def test_shares_add_up_and_folded_rows_add_what_they_stand_for(flops) -> None:
    _, folded, _ = flops("3@32x32", "conv3-8p1", "12*( conv3-8p1 relu )")
    row = next(line.split() for line in folded.splitlines() if line.startswith("12×  conv3-8p1"))
    assert f"{12 * 32 * 32 * 64 * 9:,}" == row[4]
    _, out, _ = flops("3@32x32", "conv3-8p1", "12*( conv3-8p1 relu )", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert pytest.approx(100, abs=1) == sum(float(each["share %"] or 0) for each in rows[:-1])
    assert sum(int(each["MACs"]) for each in rows[:-1]) == int(rows[-1]["MACs"])


def test_the_sum_of_the_layers_is_the_total(document) -> None:
    found = document("--file", str(SAMPLES / "u-net.txt"))
    for key in ("macs", "flops", "params", "macs_real", "activation_bytes"):
        assert sum(layer[key] for layer in found["layers"]) == found["total"][key]
    assert 1 == pytest.approx(sum(layer["share"] for layer in found["layers"]))


def test_negative_looking_words_and_repetitions_need_no_quotes(document) -> None:
    words = ["3@8x8", "2*conv3-8", "fc-1000+b-bn", "--no-bias", "--bn"]
    assert 8 * 27 + 16 + 8 * 72 + 16 + 8 * 16 * 1000 + 1000 == document(*words)["total"]["params"]
    assert document("3@8x8", "2x(conv1-8)")["total"] == document("3@8x8", "2*(", "conv1-8", ")")["total"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["3@8x8", "relu", "--budget", "lots"], "'lots': is no budget; write 2G (MACs), 4GFLOP or 25Mparams"),
        (
            ["3@8x8", "relu", "--with", "norm"],
            "'--with': 'norm' cannot be counted; use bias, bn, act, pool, add, or all",
        ),
        (["3@8x8", "conv3-4p?"], "convcli shapes --want SIZE finds it"),
        (["3@8x8", "conv3-4", "--want", "6"], "no such option"),
        (["3@8x8", "conv3-64q"], "'conv3-64q': layer 1, character 9: 'q' says nothing about conv"),
        (["3@8x8", "conv3-4", "vs", "conv3-4q"], "'conv3-4q': layer 1, character 8: 'q' says nothing about conv"),
        (["3@8x8", "conv3-4", "--file", "x"], "'conv3-4': the layers come from --file"),
    ],
)
def test_mistakes_are_one_line_with_what_would_work(flops, words: list[str], expected: str) -> None:
    code, out, err = flops(*words)
    assert (2, "", 1) == (code, out, err.count("\n"))
    assert expected in err
