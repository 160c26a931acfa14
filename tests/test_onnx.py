"""`shapes` and `flops` of ONNX graphs."""

import json
import struct

import pytest

from convcli.cli import run
from convcli.networks.onnx.operators import DOMAINS
from onnx_files import (
    BOOL,
    INT64,
    TRUTH,
    Ref,
    floats,
    function,
    graph,
    integers,
    model,
    node,
    port,
    real,
    small,
    tensor,
)


@pytest.fixture
def asked(tmp_path, capsys):
    """Runs a command on a model: the exit code, standard output and standard error."""

    def answer(command: str, data: bytes, *words: str) -> tuple[int, str, str]:
        path = tmp_path / "model.onnx"
        path.write_bytes(data)
        code = run([command, str(path), *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.replace(str(tmp_path), "")

    return answer


@pytest.fixture
def document(asked):
    """Runs `flops --json` on a model and reads what it prints."""

    def answer(data: bytes, *words: str):
        code, out, err = asked("flops", data, "--json", *words)
        assert (0, "") == (code, err)
        return json.loads(out)

    return answer


def wanted_input(name: str) -> list[str]:
    """The size of the input, for a graph that leaves it open."""
    (port_name, sizes), *_ = TRUTH[name]["input"].items()
    return ["--input", f"{port_name}={'x'.join(map(str, sizes))}"] if TRUTH[name]["dynamic"] else []


@pytest.mark.parametrize("name", TRUTH)
def test_a_real_network_costs_what_pytorch_counts(document, name: str) -> None:
    truth = TRUTH[name]
    told = document(real(name), *wanted_input(name))
    total, layers = told["total"], told["layers"]
    assert (truth["macs"], truth["params"]) == (total["macs"], total["params"])
    assert truth["outputs"] == list(total["outputs"].values())
    assert truth["weighted"] == sum(1 for layer in layers if layer["macs"])
    assert (False, {}) == (total["at_least"], told["unsupported"])


def test_a_row_says_what_a_node_makes_of_what(asked) -> None:
    code, out, _ = asked("shapes", real("resnet18"))
    lines = [line.split() for line in out.splitlines()]
    assert 0 == code
    assert ["/conv1/Conv", "conv7-64/2p3", "64@112x112", "input"] == lines[2][:4]
    assert ["/layer1/layer1.0/Add", "add", "64@56x56", "/layer1/layer1.0/conv2/Conv,", "/maxpool/MaxPool"] == lines[6][
        :5
    ]


def test_an_open_size_is_asked_for(asked) -> None:
    code, _, err = asked("flops", real("lraspp_mobilenet_v3_large"))
    assert 2 == code
    assert (
        "convcli: '/model.onnx': input 'input' is open, 1x3xheightxwidth; "
        "say its size: --input input=1x3x224x224 [shape]\n" == err
    )


def test_an_open_batch_is_one_image_or_as_many_as_asked_for(document) -> None:
    one, eight = document(real("mobilenet_v2")), document(real("mobilenet_v2"), "--batch", "8")
    assert [8 * one["total"]["macs"], one["total"]["params"]] == [eight["total"]["macs"], eight["total"]["params"]]
    assert [8, 1000] == eight["total"]["outputs"]["out"]


def test_a_model_comes_on_standard_input(monkeypatch, capsys, tmp_path) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(real("alexnet"))))
    assert 0 == run(["flops", "-"])
    assert f"{TRUTH['alexnet']['macs']:,}" in capsys.readouterr().out


def test_a_model_is_known_by_its_content(tmp_path, capsys) -> None:
    path = tmp_path / "network"
    path.write_bytes(real("alexnet"))
    assert 0 == run(["flops", str(path)])
    assert f"{TRUTH['alexnet']['macs']:,}" in capsys.readouterr().out


UNKNOWN = small(
    [
        node("Conv", "x w", "a", "first"),
        node("Blur", "a", "b", "blur", domain="my"),
        node("Conv", "b w2", "y", "second"),
    ],
    [tensor("w", [4, 3, 3, 3]), tensor("w2", [5, 4, 1, 1])],
)


def test_what_is_behind_an_unknown_operator_is_not_known_and_totals_say_so(asked, document) -> None:
    told = document(UNKNOWN)
    assert [[4, 6, 6], None, None] == [layer["output"] for layer in told["layers"]]
    assert [True, False, False] == [layer["known"] for layer in told["layers"]]
    assert ({"my.Blur": 1}, True, 4 * 27 * 36) == (
        told["unsupported"],
        told["total"]["at_least"],
        told["total"]["macs"],
    )
    assert "total, at least" in asked("flops", UNKNOWN)[1]
    assert "at least 3,888 MACs" in asked("shapes", UNKNOWN)[1]


def test_a_budget_is_not_kept_by_what_is_not_known(asked) -> None:
    code, _, err = asked("flops", UNKNOWN, "--budget", "2G")
    assert 1 == code
    assert "convcli: at least 3,888 MACs: the cost of 2 of its nodes is not known (Blur, Conv) [budget]\n" == err


def test_weights_behind_nodes_count_once(document) -> None:
    shared = small(
        [
            node("Identity", "w", "w1"),
            node("Transpose", "w", "wt", perm=[0, 1, 3, 2]),
            node("DequantizeLinear", "wt s", "wq"),
            node("Conv", "x w1", "a"),
            node("Conv", "a wq", "y"),
        ],
        [tensor("w", [3, 3, 3, 3]), floats("s", [0.5])],
    )
    total = document(shared)["total"]
    assert (81, 81 * (36 + 16)) == (total["params"], total["macs"])


def test_a_bias_that_is_added_belongs_to_its_layer(document) -> None:
    told = document(
        small([node("MatMul", "x w", "a"), node("Add", "b a", "y")], [tensor("w", [8, 5]), tensor("b", [5])])
    )
    assert ([45, 0], 8 * 5 * 24) == ([layer["params"] for layer in told["layers"]], told["total"]["macs"])


def test_products_of_activations_are_counted_apart(asked, document) -> None:
    attention = small([node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t", "y")], size=(1, 3, 8, 4))
    total = document(attention)["total"]
    assert (0, 3 * 8 * 8 * 4) == (total["macs"], total["macs_products"])
    assert 1 == asked("flops", attention, "--budget", "767")[0]
    assert 0 == asked("flops", attention, "--budget", "768")[0]


def branch(size: int) -> bytes:
    """A convolution as a branch of an If."""
    return graph([node("Conv", "x w", "o", pads=[size // 2] * 4)], [], "o", [tensor("w", [4, 3, size, size])])


def test_of_two_branches_the_cheaper_one_is_at_least_taken(document) -> None:
    nodes = [node("If", "c", "y", "which", then_branch=branch(3), else_branch=branch(1))]
    told = document(model(graph(nodes, [port("x", [1, 3, 8, 8]), port("c", [], BOOL)], "y")))
    assert (768, True, [4, 8, 8]) == (told["total"]["macs"], told["total"]["at_least"], told["total"]["output"])
    assert "which: the input decides between 768 and 6,912 MACs; the fewer are counted" in told["warnings"]


@pytest.mark.parametrize(("condition", "size"), [(1, 3), (0, 1)])
def test_a_branch_that_is_known_is_taken(document, condition: int, size: int) -> None:
    nodes = [node("If", "c", "y", then_branch=branch(3), else_branch=branch(1))]
    told = document(small(nodes, [tensor("c", [], BOOL, bytes([condition]))]))
    assert (12 * size**2 * 64, False) == (told["total"]["macs"], told["total"]["at_least"])


BODY = graph(
    [node("Conv", "h w", "h2", pads=[1] * 4), node("Identity", "go", "on")],
    [port("i", [], INT64), port("go", [], BOOL), port("h", None)],
    "on h2",
    [tensor("w", [3, 3, 3, 3])],
)


def test_a_loop_counts_its_rounds(document) -> None:
    told = document(small([node("Loop", "n _ x", "y", body=BODY)], [integers("n", [5])]))
    assert (5 * 81 * 64, 81, False) == tuple(told["total"][what] for what in ("macs", "params", "at_least"))


def test_a_loop_without_an_end_counts_nothing_and_says_so(document) -> None:
    told = document(
        model(
            graph([node("Loop", "n _ x", "y", "loop", body=BODY)], [port("x", [1, 3, 8, 8]), port("n", [], INT64)], "y")
        )
    )
    assert (0, True) == (told["total"]["macs"], told["total"]["at_least"])
    assert "each round takes 5,184 MACs" in told["warnings"][0]


def test_a_scan_runs_once_for_each_entry(document) -> None:
    body = graph([node("MatMul", "r w", "o")], [port("r", None)], "o", [tensor("w", [8, 2])])
    told = document(small([node("Scan", "x", "y", body=body, num_scan_inputs=1)], size=(6, 4, 8)))
    assert ([6, 4, 2], 6 * 4 * 8 * 2) == (told["total"]["outputs"]["y"], told["total"]["macs"])


def test_a_function_of_the_file_is_followed_with_its_attributes(document) -> None:
    body = [node("Conv", "X W", "t", "c", strides=Ref("s")), node("Relu", "t", "Y")]
    nodes = [node("Block", "x w", "y", "block", domain="my", s=[2, 2])]
    told = document(
        small(nodes, [tensor("w", [8, 3, 3, 3])], (1, 3, 9, 9), functions=[function("Block", "my", "X W", "Y", body)])
    )
    assert ([8, 4, 4], ["block/c", "block/Relu"]) == (
        told["total"]["output"],
        [layer["name"] for layer in told["layers"]],
    )


def test_a_function_that_calls_itself_is_refused(asked) -> None:
    again = function("F", "my", "X", "Y", [node("F", "X", "Y", domain="my")])
    code, _, err = asked("flops", small([node("F", "x", "y", domain="my")], functions=[again]))
    assert (1, 1) == (code, err.count("\n"))
    assert "more than 30 functions or graphs inside each other [corrupt]" in err


@pytest.mark.parametrize(
    ("nodes", "tensors", "size", "macs", "output"),
    [
        (["QLinearConv", "x s z w s z s z b"], [("w", [4, 3, 3, 3]), ("b", [4])], (1, 3, 8, 8), 3888, [1, 4, 6, 6]),
        (["ConvInteger", "x w"], [("w", [4, 3, 3, 3])], (1, 3, 8, 8), 3888, [1, 4, 6, 6]),
        (["MatMulInteger", "x w"], [("w", [8, 5])], (2, 8), 80, [2, 5]),
        (["QLinearMatMul", "x s z w s z s z"], [("w", [8, 5])], (2, 8), 80, [2, 5]),
        (["LSTM", "x w r"], [("w", [1, 16, 8]), ("r", [1, 16, 4])], (5, 2, 8), 10 * 16 * 12, [5, 1, 2, 4]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and isinstance(value[0], str) else None,
)
def test_operators_with_weights(document, nodes, tensors, size, macs, output) -> None:
    given = [tensor(name, dims) for name, dims in tensors] + [floats("s", [1.0]), tensor("z", [])]
    told = document(small([node(*nodes, "y")], given, size))
    assert (macs, output) == (told["total"]["macs"], told["total"]["outputs"]["y"])


@pytest.mark.parametrize(
    ("equation", "w", "macs", "output"),
    [
        ("bcij,kc->bkij", [5, 3], 5 * 3 * 64, [1, 5, 8, 8]),
        ("bc...,ck->b...k", [3, 5], 5 * 3 * 64, [1, 8, 8, 5]),
        ("bcij,cj->bci", [3, 8], 3 * 64, [1, 3, 8]),
        ("bcij,ck", [3, 2], 3 * 2 * 64, [1, 8, 8, 2]),
    ],
)
def test_einsum(document, equation: str, w: list[int], macs: int, output: list[int]) -> None:
    total = document(small([node("Einsum", "x w", "y", equation=equation)], [tensor("w", w)]))["total"]
    assert (macs, output) == (total["macs"], total["outputs"]["y"])


def test_sizes_are_folded_through_chains_of_integers(document) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s two", "h"),
        node("Mul", "h scale", "h2"),
        node("Cast", "h2", "hf", to=1),
        node("Floor", "hf", "hg"),
        node("Cast", "hg", "hi", to=7),
        node("Slice", "s zero two", "front"),
        node("Concat", "front hi hi", "sizes", axis=0),
        node("Resize", "x _ _ sizes", "y", mode="linear"),
    ]
    given = [integers("two", [2]), integers("zero", [0]), integers("scale", [3])]
    assert [1, 3, 24, 24] == document(small(nodes, given))["total"]["outputs"]["y"]


@pytest.mark.parametrize(("opset", "size"), [(17, 4), (22, 3)])
def test_ceil_pooling_lacked_pytorchs_correction_until_opset_22(document, opset: int, size: int) -> None:
    pool = node("MaxPool", "x", "y", kernel_shape=[4], strides=[4], pads=[2, 2], ceil_mode=1)
    assert [1, 3, size] == document(small([pool], size=(1, 3, 9), opset=opset))["total"]["outputs"]["y"]


def test_small_integers_are_read_from_a_file_of_weights(tmp_path, capsys) -> None:
    (tmp_path / "weights.bin").write_bytes(struct.pack("<2q", 3, 64))
    reshaped = small([node("Reshape", "x s", "y")], [tensor("s", [2], INT64, external="weights.bin")])
    (tmp_path / "model.onnx").write_bytes(reshaped)
    assert 0 == run(["shapes", str(tmp_path / "model.onnx"), "--json"])
    assert [3, 64] == json.loads(capsys.readouterr().out)["total"]["outputs"]["y"]


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "absent.bin"])
def test_weights_elsewhere_are_not_looked_at(document, tmp_path, location: str) -> None:
    (tmp_path.parent / "weights.bin").write_bytes(struct.pack("<2q", 3, 64))
    told = document(small([node("Reshape", "x s", "y")], [tensor("s", [2], INT64, external=location)]))
    assert [None, None] == told["total"]["outputs"]["y"]


def test_upto_leaves_out_what_a_node_does_not_need(document) -> None:
    told = document(real("resnet18"), "--upto", "/layer1/layer1.0/Add")
    assert ([64, 56, 56], 118013952 + 2 * 115605504) == (told["total"]["output"], told["total"]["macs"])


def test_modules_add_up(document) -> None:
    told = document(real("resnet18"), "--depth", "2")
    groups = {group["name"]: group["macs"] for group in told["groups"]}
    assert groups["layer1"] == groups["layer1.0"] + groups["layer1.1"]
    assert told["total"]["macs"] == sum(macs for name, macs in groups.items() if "." not in name)
    scopes = {group["name"]: group["share"] for group in document(real("resnet18"), "--group", "scope")["groups"]}
    assert pytest.approx(1) == sum(scopes.values())
    assert {"layer1.0", "layer4.1"} <= scopes.keys()


def test_kinds_add_up(document) -> None:
    told = document(real("convnext_tiny"))
    kinds = told["total"]["by_kind"]
    assert told["total"]["macs"] == kinds["linear"]["macs"] + kinds["convolution"]["macs"]
    assert told["total"]["params_other"] == sum(kind["others"] for kind in kinds.values())


def test_a_module_alone(asked) -> None:
    _, out, _ = asked("shapes", real("resnet18"), "--group", "layer1.0", "--csv")
    assert ["/layer1/layer1.0/conv1/Conv", "/layer1/layer1.0/conv2/Conv", "/layer1/layer1.0/Add"] == [
        line.split(",")[0] for line in out.splitlines()[1:]
    ]


def test_two_models_are_compared(tmp_path, capsys) -> None:
    for name in ("resnet18", "alexnet"):
        (tmp_path / f"{name}.onnx").write_bytes(real(name))
    run(["flops", str(tmp_path / "resnet18.onnx"), "vs", str(tmp_path / "alexnet.onnx"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert TRUTH["resnet18"]["macs"] / TRUTH["alexnet"]["macs"] == told["ratio"]["macs"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--input", "y=1x3x8x8"], 2, "the model has no input 'y'; its inputs: x"),
        (["--input", "1x8"], 2, "'x' has 4 dimensions, 1x3x8x8, not 2"),
        (["--input", "wide"], 2, "'wide' is no size of an input; write NAME=1x3x224x224"),
        (["--input", "1x4x8x8"], 1, "4 channels arrive, but the weights 4x3x3x3 are for 3"),
        (["--input", "1x3x2x8"], 1, "its kernel 3 is larger than the padded input, 2 + 0 + 0; give a larger --input"),
        (["--batch", "2"], 2, "the file says 1x3x8x8; use --input x=SIZE"),
        (["--upto", "frist"], 2, "the model has no node 'frist'; did you mean 'first'?"),
        (["--group", "head"], 2, "no node is in 'head'"),
        (["--bn"], 2, "a model says everything itself"),
    ],
)
def test_what_does_not_fit_is_one_line(asked, words: list[str], code: int, said: str) -> None:
    given, _, err = asked("flops", UNKNOWN, *words)
    assert (code, 1) == (given, err.count("\n"))
    assert said in err


@pytest.mark.parametrize("option", ["--upto", "--depth", "--group", "--input"])
def test_words_refuse_what_only_models_have(capsys, option: str) -> None:
    assert 2 == run(["flops", "3@8x8", "conv3-4", option, "1"])
    assert f"'{option}': is for a model file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("domain", "name"),
    [(domain, name) for domain, table in DOMAINS.items() for name in table],
    ids=lambda part: part or "-",
)
def test_an_operator_without_inputs_is_one_line_or_a_size(asked, domain: str, name: str) -> None:
    """Every entry of the table, on nothing, and on inputs that it was not made for."""
    for inputs in ("", "x", "x x", "x w s", "w x x x", "s s s s"):
        code, _, err = asked(
            "flops", small([node(name, inputs, "y", domain=domain)], [tensor("w", [2, 3]), integers("s", [1, 2])])
        )
        assert code in (0, 1, 2)
        assert err.count("\n") == (1 if code else 0), err


def test_python_reads_a_model_too(tmp_path) -> None:
    from convcli import parse_network

    path = tmp_path / "model.onnx"
    path.write_bytes(real("lraspp_mobilenet_v3_large"))
    network = parse_network(path, inputs={"input": (1, 3, 256, 320)})
    assert TRUTH["lraspp_mobilenet_v3_large"]["macs"] == network.total["macs"]
    assert "/m/backbone/backbone.0/backbone.0.0/Conv" == network.layers[0]["name"]


@pytest.mark.parametrize(
    ("name", "node_name", "field"),
    [
        ("resnet18", "/layer4/layer4.1/Add", 435),
        ("alexnet", "/features/features.12/MaxPool", 195),
        ("vgg16_bn", "/features/features.43/MaxPool", 212),
        ("convnext_tiny", "/features/features.7/features.7.2/Add", 1688),
    ],
)
def test_receptive_fields_of_real_networks(document, name: str, node_name: str, field: int) -> None:
    """ResNet-18, AlexNet, VGG-16: Araujo, Norris and Sim, distill.pub/2019/computing-receptive-fields."""
    layers = {layer["name"]: layer for layer in document(real(name))["layers"]}
    assert [[field, field]] * 2 == layers[node_name]["receptive_field"]


def test_a_field_is_the_union_over_paths_of_several_speeds(document) -> None:
    told = document(real("unet2d"))["total"]
    assert [[44, 48], [44, 48]] == told["receptive_field"]
    assert [[240, 240], [240, 240]] == document(real("efficientnet_b1"))["total"]["receptive_field"]


def test_paths_that_do_not_align_are_marked(asked, document) -> None:
    crooked = small(
        [node("Conv", "x w", "a"), node("Slice", "x zero six axes", "b"), node("Add", "a b", "y", "meet")],
        [tensor("w", [3, 3, 3, 3]), integers("zero", [0, 0]), integers("six", [6, 6]), integers("axes", [2, 3])],
    )
    assert [[], [], [["centres", "1 px"]]] == [layer["misaligned"] for layer in document(crooked)["layers"]]
    assert "meet (1 px): the branches do not align, their centres differ" in asked("shapes", crooked)[1]


@pytest.mark.parametrize("form", ["text", "toml"])
@pytest.mark.parametrize("name", TRUTH)
def test_a_real_network_is_written_in_words_that_read_back_to_its_numbers(
    asked, tmp_path, capsys, name: str, form: str
) -> None:
    code, out, err = asked("flops", real(name), f"--emit={form}", *wanted_input(name))
    assert (0, "") == (code, err)
    path = tmp_path / f"design.{'toml' if form == 'toml' else 'txt'}"
    path.write_text(out)
    assert 0 == run(["flops", "--file", str(path), "--json"])
    total = json.loads(capsys.readouterr().out)["total"]
    truth = TRUTH[name]
    assert (truth["macs"], truth["params"], truth["outputs"][0][1:]) == (
        total["macs"],
        total["params"],
        total["output"],
    )


def test_repeated_blocks_are_written_once(asked) -> None:
    _, out, _ = asked("shapes", real("resnet152"), "--emit")
    assert "35*block" in out
    assert len(out) < 1000


@pytest.mark.parametrize("words", [["vs", "conv3-4"], ["--json"], ["--csv"], ["--explain"]])
def test_emit_writes_one_network_and_no_table(asked, words: list[str]) -> None:
    code, out, err = asked("flops", real("alexnet"), "--emit", *words)
    assert (2, 1) == (code, err.count("\n"))
    assert "" == out if "--json" not in words else "usage" == json.loads(out)["code"]


def test_what_has_no_word_is_refused_by_name(asked) -> None:
    attention = small([node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t", "y", "scores")])
    code, out, err = asked("flops", attention, "--emit")
    assert (1, "") == (code, out)
    assert "node 'scores' (MatMul) has no word in the notation: a product of two activations [layer]" in err


def test_words_are_written_as_a_file_too(capsys, tmp_path) -> None:
    run(["flops", "3@32x32", "conv3-8p1", "2*( conv3-8 relu )", "--no-bias", "--emit=toml"])
    path = tmp_path / "design.toml"
    path.write_text(capsys.readouterr().out)
    assert 0 == run(["flops", "--file", str(path), "--json"])
    assert 3 * 72 + 2 * 8 * 72 == json.loads(capsys.readouterr().out)["total"]["params"]


def test_layers_on_what_no_input_changes_cost_what_they_cost(document) -> None:
    """Encodings of positions: their weights multiply at every run, though always the same numbers."""
    nodes = [
        node("MatMul", "p w", "a"),
        node("Add", "a b", "c"),
        node("Conv", "c k", "d"),
        node("Add", "x d", "y"),
    ]
    given = [tensor("p", [1, 3, 8, 2]), tensor("w", [2, 8]), tensor("b", [8]), tensor("k", [3, 3, 1, 1])]
    told = document(small(nodes, given))
    assert (16 * 24 + 9 * 64, 16 + 8 + 9) == (told["total"]["macs"], told["total"]["params"])
    assert ([24, 9], 48) == (
        [layer["params"] for layer in told["layers"] if layer["macs"]],
        told["total"]["params_other"],
    )


def test_weights_that_are_computed_count_once(document) -> None:
    """PyTorch's exporter stores standardised weights twice, in two shapes, under names of its own."""
    nodes = [
        node("ReduceMean", "onnx::two", "m", axes=[1]),
        node("BatchNormalization", "onnx::one gain zero m m", "n"),
        node("Reshape", "n sizes", "w"),
        node("Conv", "x w", "y"),
    ]
    given = [tensor("onnx::one", [1, 4, 27]), tensor("onnx::two", [1, 27, 4]), tensor("gain", [4]), tensor("zero", [4])]
    assert 4 * 27 + 4 == document(small(nodes, [*given, integers("sizes", [4, 3, 3, 3])]))["total"]["params"]


def test_weights_that_two_layers_have_are_written_once(asked) -> None:
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Conv", "b w", "y")]
    _, out, _ = asked("shapes", small(nodes, [tensor("w", [3, 3, 3, 3])]), "--emit")
    assert "conv3-3-b#w1 relu again:w1" == out.splitlines()[1]


def test_sizes_of_which_a_graph_reads_every_column(asked) -> None:
    """U-Net of two levels: multiples of 4; ResNet: as its notation says, 32 m - 31."""
    axes = json.loads(asked("shapes", real("unet2d"), "--inputs", "--json")[1])["axes"]
    assert ["4 m", "4 m"] == [axis["rule"] for axis in axes]
    axes = json.loads(asked("shapes", real("resnet18"), "--inputs", "--json")[1])["axes"]
    assert [("32 m - 31", [1, 33, 65, 97, 129, 161, 193, 225])] * 2 == [
        (axis["rule"], axis["smallest"]) for axis in axes
    ]


def test_a_size_is_not_solved_for_in_a_model(asked) -> None:
    code, _, err = asked("shapes", real("alexnet"), "--want", "7x7")
    assert (2, 1) == (code, err.count("\n"))


def test_a_comparison_says_whose_costs_are_not_all_known(tmp_path, capsys) -> None:
    (tmp_path / "a.onnx").write_bytes(UNKNOWN)
    words = ["flops", str(tmp_path / "a.onnx"), "vs", "conv3-4"]
    assert 0 == run(words)
    assert "the costs of A are at least these" in capsys.readouterr().out
    run([*words, "--json"])
    assert json.loads(capsys.readouterr().out)["at_least"]


def test_a_bias_made_of_one_constant_is_no_parameter(document, asked) -> None:
    """As PyTorch's newer exporter writes a convolution without bias, before it optimizes."""
    zero = tensor("", [], 1, struct.pack("<f", 0))
    nodes = [
        node("Constant", "", "zero", value=zero),
        node("CastLike", "zero x", "typed"),
        node("Expand", "typed four", "bias"),
        node("Conv", "x w bias", "y"),
    ]
    bare = small(nodes, [tensor("w", [4, 3, 3, 3]), integers("four", [4])])
    assert 108 == document(bare)["total"]["params"]
    assert "conv3-4-b" == asked("flops", bare, "--emit")[1].splitlines()[1]


# --- sequences


def test_a_split_into_a_sequence_is_followed_through_it(document):
    nodes = [
        node("SplitToSequence", "x three", "s", axis=1),
        node("SequenceAt", "s last", "a"),
        node("SequenceAt", "s zero", "b"),
        node("SequenceConstruct", "b a", "t"),
        node("SequenceInsert", "t a zero", "u"),
        node("SequenceErase", "u zero", "v"),
        node("SequenceLength", "v", "n"),
        node("ConcatFromSequence", "v", "c", axis=1),
        node("Conv", "c w", "y"),
    ]
    numbers = [tensor(name, [], INT64, struct.pack("<q", n)) for name, n in (("three", 3), ("last", -1), ("zero", 0))]
    total = document(small(nodes, [*numbers, tensor("w", [2, 5, 1, 1])], (1, 8, 4, 4)))["total"]
    assert {"y": [1, 2, 4, 4]} == total["outputs"]
    assert (10 * 16, False) == (total["macs"], total["at_least"])


def test_a_sequence_that_the_input_decides_is_at_least(document):
    nodes = [node("SplitToSequence", "x", "s", axis=1), node("SequenceAt", "s i", "y")]
    assert document(small(nodes, [tensor("i", [], INT64, struct.pack("<q", 0))]))["total"]["at_least"]


def test_a_table_of_positions_is_a_product_and_no_layers_weights(document):
    """As PyTorch counts: q times entries looked up in a table of relative positions."""
    nodes = [node("Gather", "table places", "r"), node("Einsum", "x r", "y", equation="bchw,hc->bhw")]
    told = document(small(nodes, [tensor("table", [15, 3]), integers("places", range(8))]))["total"]
    assert (0, 0, 3 * 64, 45) == (told["params"], told["macs"], told["macs_products"], told["params_other"])
