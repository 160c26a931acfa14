"""`convcli shapes` as a user runs it."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from convcli.cli import run
from networks import PUBLISHED, Published
from printouts import ALEXNET, RESIDUAL

SAMPLES = Path(__file__).parent.parent / "samples" / "networks"

Answer = tuple[int, str, str]


@pytest.fixture
def shapes(capsys: pytest.CaptureFixture[str]):
    """Runs `convcli shapes`: the exit code, standard output and standard error."""

    def answer(*words: str) -> Answer:
        code = run(["shapes", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return answer


@pytest.fixture
def document(shapes):
    """Runs `convcli shapes --json` and reads what it prints."""

    def answer(*words: str):
        code, out, err = shapes(*words, "--json")
        assert (0, "", 1) == (code, err, out.count("\n"))
        return json.loads(out)

    return answer


# --- what the table says


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["3@224x224", "conv7-64/2p3", "max3/2p1"], "64@56x56, receptive field 11, jump 4"),
        (["3@224x224", "conv3-32/2ps"], "32@112x112, pads (0,1) x (0,1), receptive field 3, jump 2"),
        (["100@1x1", "tconv4-512", "tconv4-256/2p1", "tconv3-64/2p1=16"], "64@16x16, receptive field 5 to 6, jump 1/4"),
        (["8@8x8", "tconv3-64/2p1=16"], "64@16x16, pads (1,1) x (1,1), op 1, receptive field 1 to 2, jump 1/2"),
        (["1@16000", "conv2-8d512p512:0"], "8@16000, pads (512,0), receptive field 513, jump 1"),
        (["3@9x9x9", "conv1x3x3-4", "gap", "fc-10"], "10, receptive field 9 (all)"),
        (["784", "fc-100", "relu", "fc-10"], "10"),
        (["3@224x224", "7x7 conv, 64, /2, pad 3", "3x3 max pool, /2, pad 1"], "64@56x56, receptive field 11, jump 4"),
        (["3@224x224", "3x3", "conv,", "64,", "/2"], "64@111x111"),
        (["3@224x224 conv7-64/2p3 max3/2p1"], "64@56x56, receptive field 11, jump 4"),
        (["\n3@224x224\n\tconv7-64/2p3\r\n  max3/2p1\n"], "64@56x56, receptive field 11, jump 4"),
        (["3@224x224", "Conv2d(3, 64, 7, stride=2, padding=3)"], "64@112x112"),
        (["3@224x224", "Conv2D(64, 7, strides=2, padding='same')"], "64@112x112, pads (2,3) x (2,3)"),
        (["3@224x224", "conv3-8", "--pad", "h"], "8@224x224"),
        (["3@224x224", "conv3-8/2", "--pad", "0:1x1:1"], "8@112x112, pads (0,1) x (1,1)"),
        (["8@8", "tconv2-4/3"], "4@23"),
        (["8@8", "tconv2-4/3", "--framework", "tf"], "4@24"),
    ],
)
def test_the_result_stands_below_the_table(shapes, words: list[str], expected: str) -> None:
    code, out, err = shapes(*words)
    assert (0, "") == (code, err)
    assert any(line.startswith(expected) for line in out.splitlines()), out


def test_the_table_has_a_row_for_each_layer_with_padding_and_dropped_columns(shapes) -> None:
    _, out, _ = shapes("3@224x224", "conv7-64/2p3", "max3/2p1")
    assert (
        "layer         output      pad            dropped  K  receptive field  jump  start\n"
        "------------  ----------  -------------  -------  -  ---------------  ----  -----\n"
        "conv7-64/2p3  64@112x112  (3,3) x (3,3)        1  7                7     2     -3\n"
        "max3/2p1      64@56x56    (1,1) x (1,1)        1  3               11     4     -5\n"
    ) in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["6@6x6", "conv3-4/2p1"], "conv3-4/2p1: columns at the end are never read (an odd size)"),
        (["3@6x6", "conv3-4/2ps"], "conv3-4/2ps: SAME pads one side more here: padding k//2 makes the same size"),
        (
            ["3@6x6", "tconv3-4/2"],
            "tconv3-4/2: the kernel is no multiple of the stride: outputs overlap unevenly",
        ),
        (
            ["3@6x6", "{ conv2-3p0:1 | id }"],
            "layers 1 to 2 (0.5 px): the branches do not align, their centres differ",
        ),
    ],
)
def test_warnings_name_their_layers(shapes, words: list[str], expected: str) -> None:
    assert expected in shapes(*words)[1]
    assert not any(
        "columns at the end" in line for line in shapes("3@7x7", "conv3-4/2p1", "tconv4-4/2p1")[1].splitlines()
    )


def test_repeated_blocks_fold_unless_all_are_wanted(shapes) -> None:
    words = ["3@64x64", "conv3-8p1", "12*( conv3-8p1 relu )", "gap"]
    _, folded, _ = shapes(*words)
    _, whole, _ = shapes(*words, "--all")
    assert (2, 13) == (folded.count("conv3-8p1 "), whole.count("conv3-8p1 "))
    assert "12×  conv3-8p1" in folded
    assert "N× stands for N equal layers" in folded
    assert "×" not in whole


def test_short_networks_are_never_folded(shapes) -> None:
    assert 3 == shapes("3@64x64", "3*conv3-3p1")[1].count("conv3-3p1 ")


def test_explain_fills_in_the_formulas(shapes) -> None:
    _, out, _ = shapes("1@6x6", "conv3-1/2p1", "tconv3-1/2p1=6", "--explain")
    assert "K = d (k - 1) + 1 = 1 (3 - 1) + 1 = 3" in out
    assert (
        "out = floor((n + p0 + p1 - K) / s) + 1 = floor((6 + 1 + 1 - 3) / 2) + 1 = floor(5 / 2) + 1 = 2 + 1 = 3" in out
    )
    assert "dropped at the end: (n + p0 + p1 - K) mod s = 5 mod 2 = 1" in out
    assert "out = s (n - 1) + K - p0 - p1 + op = 2 (3 - 1) + 3 - 1 - 1 + 1 = 6" in out
    assert "receptive field r + (K - 1) j = 1 + (3 - 1) 1 = 3; jump j s = 1 * 2 = 2" in out


def test_explain_speaks_of_every_kind(shapes) -> None:
    words = "conv3-4/2ps max3/2ceil avg=4 up2 bilinear2 crop1 pad1 conv3x1-4ph gap fc-10".split()
    _, out, _ = shapes("3@64x63", *words, "--explain")
    assert "SAME: p0 + p1 = max(0, d (k - 1) - (n - 1) mod s) = max(0, 1 (3 - 1) - (64 - 1) mod 2) = 1" in out
    assert "axis 2: SAME: p0 + p1 = max(0, d (k - 1) - (n - 1) mod s) = max(0, 1 (3 - 1) - (63 - 1) mod 2) = 2" in out
    assert "out = floor((n + p0 + p1 - K + s - 1) / s) + 1" in out
    assert "window u reads [floor(u n / m), ceil((u + 1) n / m)) with n = 16, m = 4" in out
    assert "one output reads all" in out
    assert all(f"{number}. " in out for number in range(1, 11))


# --- two designs, solving, inputs


def test_two_designs_are_compared(shapes) -> None:
    code, out, _ = shapes("192@28x28", "conv5-32p2", "vs", "pw-16 conv5-32p2")
    assert 0 == code
    assert "B has 9.68 times fewer MACs than A" in out
    assert "the outputs agree: 32@28x28" in out
    assert "the outputs differ: A makes 32@28x28, B makes 32@24x24" in shapes("192@28x28 conv5-32p2 vs conv5-32")[1]


def test_want_lists_all_answers(shapes) -> None:
    code, out, _ = shapes("3@224x224", "conv7-64/2p?", "--want", "112x112")
    answers = [line.split()[0] for line in out.splitlines() if line.startswith("conv7")]
    assert (0, ["conv7-64/2p3", "conv7-64/2p2:3", "conv7-64/2p3:2"]) == (code, answers)


def test_want_answers_as_json_and_csv(shapes, document) -> None:
    found = document("3@?x?", "conv7-64/2p3", "--want", "64@112")
    assert ("input", [112]) == (found["unknown"], found["wanted"])
    assert [("3@223x223", [64, 112, 112], False), ("3@224x224", [64, 112, 112], True)] == [
        (each["answer"], each["output"], each["drops"]) for each in found["answers"]
    ]
    rows = list(csv.reader(io.StringIO(shapes("3@?x?", "conv7-64/2p3", "--want", "112", "--csv")[1])))
    assert ["3@223x223", "3@224x224"] == [row[0] for row in rows[1:]]


def test_want_without_a_question_is_a_check(shapes) -> None:
    assert 0 == shapes("3@224x224", "conv7-64/2p3", "--want", "112")[0]
    code, _, err = shapes("3@224x224", "conv7-64/2p3", "--want", "113")
    assert (
        2,
        "convcli: '--want': makes 64@112x112, not 113; write a ? for what may change: conv7-64/2p? [shape]\n",
    ) == (code, err)


def test_inputs_lists_lossless_sizes(shapes, document) -> None:
    _, out, _ = shapes("--file", str(SAMPLES / "u-net.txt"), "--inputs")
    assert "16 m + 124" in out
    found = document("3@20x224", "conv7-64/2p3", "max3/2p1", "--inputs")
    assert {"rule": "4 m - 3", "smallest": [1, 5, 9, 13, 17, 21, 25, 29], "nearest": [17, 21]} == found["axes"][0]
    assert [221, 225] == found["axes"][1]["nearest"]


# --- documents


def test_json_has_the_keys_of_the_contract(document) -> None:
    found = document("3@224x224", "conv7-64/2p3#stem", "max3/2p1")
    assert (1, "3@224x224") == (found["schema"], found["input"])
    assert found["convention"].startswith(
        "MAC = one multiply-add; bias, normalisation, activation and pooling not counted; "
    )
    stem, pool = found["layers"]
    assert ("stem", "conv", [64, 112, 112]) == (stem["name"], stem["kind"], stem["output"])
    assert (9_472, 118_013_952, 236_027_904) == (stem["params"], stem["macs"], stem["flops"])
    assert ([[3, 3], [3, 3]], [1, 1], [[7, 7], [7, 7]], [2, 2], [-3, -3]) == tuple(
        stem[key] for key in ("pad", "dropped", "receptive_field", "jump", "start")
    )
    assert ("max3/2p1", "max", [[11, 11], [11, 11]], [4, 4]) == tuple(
        pool[key] for key in ("name", "kind", "receptive_field", "jump")
    )
    total = found["total"]
    assert ([64, 56, 56], 9_472, 118_013_952, [[11, 11], [11, 11]]) == tuple(
        total[key] for key in ("output", "params", "macs", "receptive_field")
    )
    assert total["macs_real"] < total["macs"]


def test_json_of_two_designs_holds_both_and_their_ratio(document) -> None:
    found = document("192@28x28", "conv5-32p2", "vs", "pw-16 conv5-32p2")
    assert [120_422_400, 12_443_648] == [design["total"]["macs"] for design in found["designs"]]
    assert {"macs": 120_422_400 / 12_443_648, "params": 153_632 / 15_920} == found["ratio"]
    assert found["outputs_agree"] is True


def test_json_explains_where_it_is_asked_to(document) -> None:
    words = ["1@6x6", "conv3-1", "--explain"]
    assert "1. conv3-1: 1@6x6 -> 1@4x4" == document(*words)["explain"][0]
    assert ["explain" in design for design in document(*words, "vs", "id")["designs"]] == [True, True]


def test_json_keeps_what_varies_with_phases_and_jumps_below_one(document) -> None:
    found = document("8@8", "tconv3-4/2p1=16")
    assert ([[1, 2]], [0.5], [0], [1]) == tuple(
        found["layers"][0][key] for key in ("receptive_field", "jump", "start", "output_padding")
    )


@pytest.mark.parametrize("network", PUBLISHED, ids=lambda network: network.name)
def test_json_of_published_networks(document, network: Published) -> None:
    found = document(network.input, network.layers, *network.options)
    total = found["total"]
    for key in ("macs", "macs_real", "params"):
        assert network.figures.get(key, total[key]) == total[key]
    assert sum(layer["macs"] for layer in found["layers"]) == total["macs"]
    assert sum(layer["params"] for layer in found["layers"]) == total["params"]
    if "receptive_field" in network.figures:
        assert [network.figures["receptive_field"]] * 2 == [largest for _, largest in total["receptive_field"]]


def test_csv_is_data_of_every_layer(shapes) -> None:
    code, out, err = shapes("3@64x64", "12*( conv3-3p1 relu )", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (0, 24, "3@64x64") == (code, len(rows), rows[0]["output"])
    assert ("(1,1) x (1,1)", "25") == (rows[-2]["pad"], rows[-2]["receptive field"])
    assert "MAC = one multiply-add" in err


def test_markdown_is_a_table(shapes) -> None:
    lines = shapes("3@64x64", "conv3-3p1", "--markdown")[1].splitlines()
    assert "| layer | output | pad | dropped | K | receptive field | jump | start |" == lines[0]
    assert "| conv3-3p1 | 3@64x64 | (1,1) x (1,1) |  | 3 | 3 | 1 | -1 |" == lines[2]


# --- files and pipes


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_samples_are_read_and_keep_their_promises(shapes, path: Path) -> None:
    code, out, err = shapes("--file", str(path))
    assert (0, "") == (code, err)
    assert "receptive field" in out


def test_an_input_on_the_command_line_counts_more_than_that_of_the_file(shapes) -> None:
    code, out, _ = shapes("1@188x188", "--file", str(SAMPLES / "u-net.txt"))
    assert 0 == code
    assert "2@4x4, receptive field" in out


def test_a_file_and_words_are_compared(shapes, tmp_path: Path) -> None:
    path = tmp_path / "net.txt"
    path.write_text("3@8x8 conv3-4p1", encoding="utf-8")
    code, out, _ = shapes("--file", str(path), "vs", "conv1-4")
    assert 0 == code
    assert "the outputs agree: 4@8x8" in out


def test_a_broken_promise_is_a_failure_after_the_table(shapes, tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text('input = "3@8x8"\nlayers = "conv3-4"\n[expect]\nparams = 7\n', encoding="utf-8")
    code, out, err = shapes("--file", str(path))
    assert (1, f"convcli: '{path}': params is 112, expected 7 [verify]\n") == (code, err)
    assert "4@6x6" in out
    assert 0 == shapes("3@9x9", "--file", str(path))[0], "another input, other promises"


def test_a_printout_and_a_file_are_read_from_standard_input() -> None:
    command = [sys.executable, "-m", "convcli", "shapes", "--json"]
    done = subprocess.run(
        [*command, "3@224x224", "--from", "torch", "-"], input=ALEXNET, capture_output=True, text=True, check=True
    )
    assert (714_188_480, 61_100_840) == tuple(json.loads(done.stdout)["total"][key] for key in ("macs", "params"))
    for text in ("input 3@8x8\nconv3-4", 'input = "3@8x8"\nlayers = "conv3-4"'):
        done = subprocess.run([*command, "--file", "-"], input=text, capture_output=True, text=True, check=True)
        assert [4, 6, 6] == json.loads(done.stdout)["total"]["output"]


BRANCHED = RESIDUAL.replace("BasicBlock", "Block")
"""A class that nobody knows: what its forward() does is not printed."""


def test_an_order_that_is_not_proven_is_refused_with_its_line_and_the_way_out(shapes, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(BRANCHED, encoding="utf-8")
    code, out, err = shapes("3@64x64", "--from", "torch", str(path))
    assert (2, "", 1) == (code, out, err.count("\n"))
    assert f"convcli: '{path}': 'ResNet(': line 1, layer 1: ResNet has other parts than the class that is known" in err
    assert "its forward may branch; export it: torch.onnx.export(" in err
    assert "--assume-order" in err


@pytest.mark.parametrize("extra", [(), ("--json",), ("--csv",), ("--markdown",), ("--inputs",), ("--inputs", "--json")])
def test_an_order_that_is_assumed_is_marked_in_every_output(shapes, tmp_path: Path, extra: tuple[str, ...]) -> None:
    path = tmp_path / "model.txt"
    path.write_text(BRANCHED.replace("64, 128, kernel_size=(1, 1)", "128, 128, kernel_size=(1, 1)"), encoding="utf-8")
    code, out, _ = shapes("3@64x64", "--from", "torch", str(path), "--assume-order", *extra)
    assert 0 == code
    if "--json" in extra:
        assert json.loads(out)["assumed"] is True
    else:
        assert "assumed" in out
        assert "order" in out


def test_a_comparison_with_an_assumed_order_is_marked(shapes, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(BRANCHED.replace("64, 128, kernel_size=(1, 1)", "128, 128, kernel_size=(1, 1)"), encoding="utf-8")
    words = ("3@64x64", "--from", "torch", str(path), "--assume-order", "vs", "conv3-8")
    assert shapes(*words)[1].rstrip().splitlines()[-2].startswith("assumed: ")
    assert json.loads(shapes(*words, "--json")[1])["assumed"] is True
    rows = list(csv.reader(io.StringIO(shapes(*words, "--csv")[1])))
    assert ({10}, "order", "assumed", "") == (
        {len(row) for row in rows},
        *(row[-1] for row in (rows[0], rows[1], rows[-1])),
    )


def test_assuming_an_order_is_for_printed_models(shapes) -> None:
    assert "'--assume-order': is about a printed model" in shapes("3@64x64", "conv3-8", "--assume-order")[2]


def test_a_known_class_is_named(shapes, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(ALEXNET, encoding="utf-8")
    assert (
        "the forward of AlexNet is taken from torchvision and timm"
        in shapes("3@224x224", "--from", "torch", str(path))[1]
    )


# --- mistakes


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["3@224x224", "conv3-64q"],
            "'conv3-64q': layer 1, character 9: 'q' says nothing about conv; what conv takes: 3",
        ),
        (
            ["3@8x8", "{ conv3-64p1 | conv1-32 }"],
            "'{ | }': layers 1 to 2: cannot add 64@8x8 and 32@8x8: the channels differ",
        ),
        (
            ["3@8x8", "relu", "conv11-64"],
            "'conv11-64': layer 2: kernel 11 is larger than the padded input of axis 1, 8 + 0 + 0 = 8",
        ),
        (["3@224x224", "conv7-64/?", "--want", "100"], "'conv7-64/?': no stride makes 100; the nearest sizes are"),
        (["3@224x224", "Blub2d(3)"], "'Blub2d(3)': layer 1: unknown module 'Blub2d'"),
        (["3@224x224", "covn3-64"], "unknown layer 'covn'; did you mean 'conv3-64/2p1'?"),
        (["conv3-64"], "'conv3-64': the input comes first, as channels@size: 3@224x224 conv7-64/2p3 [shape]"),
        (["3@224x224"], "'3@224x224': no layers behind the input"),
        (["3@224x0", "relu"], "'3@224x0': every number must be from 1"),
        (["224x224x3@2", "relu"], "'224x224x3@2': is no input"),
        (["3@8x8", "relu", "vs", "relu", "vs", "relu"], "'vs': compares two designs"),
        (["3@8x8", "relu", "vs"], "'vs': needs a design on both sides"),
        (["3@8x8", "vs", "relu"], "'3@8x8': no layers behind the input"),
        (["3@?x?", "relu"], "'3@?x?': an unknown input size needs --want SIZE"),
        (["3@8x8", "conv3-8p?"], "the pad is '?'; convcli shapes --want SIZE finds it"),
        (["3@8x8", "relu", "--framework", "jax"], "'--framework': 'jax' is no framework known here; use torch or tf"),
        (
            ["3@8x8", "conv3-8/2ps", "--framework", "torch"],
            "PyTorch's 'same' needs stride 1, not 2; write ph or numbers",
        ),
        (["3@8x8", "relu", "--dtype", "fp8"], "'--dtype': 'fp8' is not known; use fp32, fp16, int8 [dtype]"),
        (["3@8x8", "relu", "--pad", "x"], "'--pad': 'x' is no padding; use 1, 1x2"),
        (["3@8x8", "relu", "--batch", "0"], "'--batch'"),
        (["3@8x8", "relu", "--blub"], "no such option"),
        (["3@8x8", "relu", "--json", "--csv"], "--json excludes --csv and --markdown"),
        (["3@8x8", "relu", "--markdown", "--csv"], "--csv and --markdown exclude each other"),
        (["3@8x8", "relu", "--explain", "--csv"], "--explain writes text, which is no CSV"),
        (["3@8x8", "relu", "vs", "id", "--inputs"], "'--inputs': is for one design"),
        (["3@8x8", "relu", "vs", "id", "--want", "8"], "'--want': is for one design"),
        (["3@8x8", "conv3-8p?", "--want", "0"], "'--want': '0' is no size; write 112x112"),
        (["3@8x8", "conv3-8p?", "--want", "16@8"], "'--want': makes 8@8x8, not 16 channels"),
        (["784", "fc-10", "--inputs"], "a vector has no size to choose"),
        (["3@8x8", "--from", "onnx", "x"], "'--from': 'onnx' is not known; use --from torch"),
        (["3@8x8", "--from", "torch"], "'--from': needs the input and a file"),
        (["3@8x8", "--from", "torch", "x", "--bn"], "a printout says everything itself"),
        (["relu", "--file", "x"], "'relu': the layers come from --file"),
        (["3@8x8", "40*up2"], "beyond 2,147,483,647"),
    ],
)
def test_mistakes_are_one_line_with_what_would_work(shapes, words: list[str], expected: str) -> None:
    code, out, err = shapes(*words)
    assert (2, 1) == (code, err.count("\n")), err
    assert expected in err
    assert "" == out if "--json" not in words else expected in json.loads(out)["message"]


@pytest.mark.parametrize(
    ("name", "text", "code", "expected"),
    [
        (
            "net.txt",
            "input 3@8x8\n\nconv3-64q",
            2,
            "'conv3-64q': line 3, layer 1, character 9: 'q' says nothing about conv",
        ),
        ("net.txt", "input 3@8x8\nrelu\nconv11-4", 2, "'conv11-4': line 3, layer 2: kernel 11 is larger"),
        ("net.txt", "conv3-4", 2, "says no input; add one: input 3@224x224"),
        ("net.toml", "layers = ", 2, "is no TOML"),
        ("net.toml", 'input = "3@8x8"\nlayers = "covn3-4"', 2, "'covn3-4': layer 1, character 1: unknown layer 'covn'"),
        ("net.txt", b"\xff\xfe\x00", 2, "is no text"),
        ("missing.txt", None, 1, "no such file or folder [not-found]"),
    ],
)
def test_mistakes_in_files_name_the_file_first(
    shapes, tmp_path: Path, name: str, text, code: int, expected: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, out, err = shapes("--file", str(path))
    assert (code, "", 1) == (found, out, err.count("\n"))
    assert err.startswith(f"convcli: '{path}': ")
    assert expected in err


def test_a_mistake_in_a_printout_names_file_and_line(shapes, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(BRANCHED, encoding="utf-8")
    code, out, err = shapes("3@64x64", "--from", "torch", str(path), "--assume-order")
    assert (2, "") == (code, out)
    assert err.startswith(
        f"convcli: '{path}': 'Conv2d(64, 128, kernel_size=(1, 1), s...': line 12, layer 8: expects 64"
    )


# --- lightness


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys; from convcli.cli import run; run(['{}', '3@224x224', 'conv7-64/2p3', 'max3/2p1']);"
        "print([m for m in ('numpy', 'scipy', 'tifffile', 'PIL', 'imagecodecs', 'rich', 'torch') if m in sys.modules])"
    )
    for command in ("shapes", "flops"):
        done = subprocess.run(
            [sys.executable, "-c", script.format(command)], capture_output=True, text=True, check=True
        )
        assert "[]" == done.stdout.splitlines()[-1]


def test_a_deep_network_takes_less_time_than_starting_python_takes() -> None:
    """ResNet-152: 150 layers with weights. Measured: 12 ms to read and 25 ms to walk on two shared cores."""
    import time

    from convcli.networks.notation import parse, parse_shape
    from convcli.networks.trace import trace

    words = (
        "conv7-64/2p3 max3/2p1 { conv1-64 conv3-64p1 conv1-256 | conv1-256 } 2*{ conv1-64 conv3-64p1 conv1-256 | id } "
        "{ conv1-128 conv3-128/2p1 conv1-512 | conv1-512/2 } 7*{ conv1-128 conv3-128p1 conv1-512 | id } "
        "{ conv1-256 conv3-256/2p1 conv1-1024 | conv1-1024/2 } 35*{ conv1-256 conv3-256p1 conv1-1024 | id } "
        "{ conv1-512 conv3-512/2p1 conv1-2048 | conv1-2048/2 } 2*{ conv1-512 conv3-512p1 conv1-2048 | id } gap fc-1000"
    )
    start = time.process_time()
    traced = trace(parse(words), parse_shape("3@224x224"))
    assert 0.5 > time.process_time() - start, "a quadratic walk would take seconds"
    assert 155 == sum(bool(step.applied.banks) for step in traced.steps) - 1
