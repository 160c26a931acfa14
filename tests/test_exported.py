"""Archives of torch.export (.pt2) are read without PyTorch, and what is damaged or no archive is refused in a line."""

import json
import sys
import zipfile
from itertools import permutations
from math import prod

import numpy as np
import pytest

import convcli
from archives import ARCHIVE, GRAPH, TRUTH, altered, members, zipped
from convcli.cli import run
from convcli.formats.source import source_of
from convcli.kernels import initializers
from convcli.networks.exported.aten import TRANSLATIONS
from convcli.networks.exported.calling import VIEWS, Calling, Named, Names


@pytest.fixture
def asked(capsys):
    """Runs a command: the exit code, standard output and standard error."""

    def answer(*words: object) -> tuple[int, str, str]:
        code = run([*map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return answer


@pytest.fixture
def document(asked):
    """Runs `flops --json` on the archive and reads what it prints."""

    def answer(*words: object):
        code, out, err = asked("flops", *(words or (ARCHIVE,)), "--json")
        assert (0, "") == (code, err)
        return json.loads(out)

    return answer


@pytest.fixture
def refused(asked, tmp_path):
    """Runs `flops` on bytes that are refused, and gives the line without the name of the file."""

    def answer(data: bytes) -> str:
        path = tmp_path / "m.pt2"
        path.write_bytes(data)
        code, out, err = asked("flops", path)
        assert (1, "", 1) == (code, out, err.count("\n"))
        return err.split(": ", 2)[2].rstrip()

    return answer


def test_costs_are_those_that_pytorch_counted(document):
    total = document()["total"]
    assert (TRUTH["macs"], TRUTH["products"]) == (total["macs"], total["macs_products"])
    assert (TRUTH["params"], TRUTH["others"]) == (total["params"], total["params_other"])
    assert TRUTH["outputs"] == [*total["outputs"].values()]
    assert total["at_least"] is False


def test_every_size_follows_from_the_nodes_alone(document, tmp_path):
    def change(program):
        graph = graph_of(program)
        for node in graph["nodes"]:
            for output in node["outputs"]:
                for tensor in [output["as_tensor"]] if "as_tensor" in output else output["as_tensors"]:
                    sizes = graph["tensor_values"][tensor["name"]]["sizes"]
                    sizes[:] = [{"as_expr": {"expr_str": "Symbol('s1', positive=True)"}}] * len(sizes)

    path = tmp_path / "open.pt2"
    path.write_bytes(altered(change))
    said = document(path)
    assert TRUTH["outputs"] == [*said["total"]["outputs"].values()]
    assert TRUTH["macs"] == said["total"]["macs"]


def test_a_layer_sees_what_its_windows_reach(document):
    layers = {layer["name"]: layer for layer in document()["layers"]}
    assert [[3, 3], [3, 3]] == layers["conv2d"]["receptive_field"]
    assert [[15, 15], [15, 15]] == layers["add"]["receptive_field"]
    assert "blocks.0.second" == layers["conv2d_2"]["scope"]


def test_depth_upto_and_vs_work_as_for_onnx(asked):
    assert "blocks" in asked("flops", ARCHIVE, "--depth", 1)[1]
    assert "total" in asked("flops", ARCHIVE, "--upto", "add")[1]
    assert "A and B have as many MACs" in asked("flops", ARCHIVE, "vs", ARCHIVE)[1]


def test_a_network_written_in_the_notation_costs_the_same(asked, tmp_path):
    code, out, _ = asked("flops", ARCHIVE, "--upto", "max_pool2d", "--emit")
    assert 0 == code
    path = tmp_path / "net.txt"
    path.write_text(out)
    both = [json.loads(asked("flops", *words, "--json")[1])["total"]["macs"] for words in
            ((ARCHIVE, "--upto", "max_pool2d"), ("--file", path))]  # fmt: skip
    assert both[0] == both[1]


def test_python_reads_one_too():
    assert TRUTH["macs"] == convcli.parse_network(ARCHIVE).total["macs"]


def test_its_first_layer_filters_an_image_as_pytorch_does(tmp_path, asked):
    image = np.asarray(TRUTH["pixels"], np.float32)
    np.save(tmp_path / "in.npy", image)
    for name in ("conv2d", "stem.weight"):
        words = ("--layer", f"{ARCHIVE}:{name}") if name == "conv2d" else ("-k", f"{ARCHIVE}:{name}")
        out = tmp_path / f"{name}.npy"
        assert 0 == asked("conv2d", tmp_path / "in.npy", "--axes", "CYX", *words, "-o", out, "-q")[0]
    centre = np.load(tmp_path / "stem.weight.npy")[:, 1, 1]
    bias = np.frombuffer(members(ARCHIVE.read_bytes())["small/data/weights/weight_1"], "<f4")
    np.testing.assert_allclose(TRUTH["stem"], centre + bias, atol=2e-5)
    assert (8, 2, 2) == np.load(tmp_path / "conv2d.npy").shape


def test_its_tensors_are_listed_with_the_nodes_that_slide_them(asked):
    lines = asked("kernels", ARCHIVE)[1].splitlines()
    assert ["stem.weight", "8x3x3x3", "float32"] == lines[2].split()[:3]
    assert "conv2d" == lines[2].split()[-1]


def test_neither_numpy_nor_torch_is_loaded_for_it():
    import subprocess

    code = "import sys; from convcli.cli import run; run(sys.argv[1:]); print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, "flops", ARCHIVE], capture_output=True, text=True, check=True)
    assert "set()" == done.stdout.splitlines()[-1]


# --- what is refused


def graph_of(program):
    return program["graph_module"]["graph"]


def test_an_unknown_operator_makes_totals_at_least(document, asked, tmp_path):
    def change(program):
        graph_of(program)["nodes"][1]["target"] = "torch.ops.mine.conv.default"

    (tmp_path / "m.pt2").write_bytes(altered(change))
    said = document(tmp_path / "m.pt2")
    assert (True, {"mine.conv": 1}) == (said["total"]["at_least"], said["unsupported"])
    assert TRUTH["outputs"] == [*said["total"]["outputs"].values()]
    _, out, err = asked("flops", tmp_path / "m.pt2")
    assert "unknown operators: mine.conv (1); their costs are not known" in (out + err).splitlines()


def test_sizes_that_contradict_the_nodes_are_refused(refused):
    def change(program):
        graph_of(program)["tensor_values"]["conv2d_1"]["sizes"][2]["as_int"] = 18

    assert "makes 1x8x17x16, but the file says 1x8x18x16" in refused(altered(change))


def test_other_versions_are_named(refused):
    def change(program):
        program["schema_version"] = {"major": 9, "minor": 4}

    assert refused(altered(change)).startswith("has version 9.4 of torch.export's schema; version 8 is read")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a/data.pkl", "a/code/x.py"], "is a pickle, which can run any program and is never opened"),
        (["serialized_exported_program.json"], "is an archive of torch.export in its older form"),
        (["m/archive_format", "m/data/aotinductor/m.so"], "holds a compiled model, and no graph"),
        (["letter.txt"], "is a zip that holds no model"),
        (["m/models/a.json", "m/models/b.json"], "holds 2 graphs"),
        (["m/models/a.json"], "is no sound archive of torch.export: 'm/models/a.json' is no JSON"),
    ],
    ids=["pickle", "older", "compiled", "letter", "two", "no-json"],
)
def test_other_zips_are_told_apart(refused, names, why):
    assert refused(zipped(dict.fromkeys(names, b"{"))).startswith(why)


def test_a_bomb_is_refused_before_it_is_unpacked(refused):
    some = members(ARCHIVE.read_bytes()) | {GRAPH: b" " * (2**27 + 1)}
    assert "has 134,217,729 bytes, of 134,217,728 at most" in refused(zipped(some, zipfile.ZIP_DEFLATED))


def test_what_is_nested_without_end_is_refused(refused):
    some = members(ARCHIVE.read_bytes()) | {GRAPH: b"[" * 100_000}
    assert "is no JSON" in refused(zipped(some))


@pytest.mark.parametrize("size", [2**60, -1, 2**70, "3", None, True, 1.5], ids=str)
def test_absurd_sizes_are_refused(refused, size):
    def change(program):
        graph_of(program)["tensor_values"]["p_stem_weight"]["sizes"][0] = {"as_int": size}

    assert refused(altered(change))


def test_a_file_cut_short_is_refused(refused):
    data = ARCHIVE.read_bytes()
    assert "cannot be read" in refused(data[: len(data) // 2])


def with_steps(steps):
    """The archive, the numbers of its first weights so many apart along each dimension."""
    some = members(ARCHIVE.read_bytes())
    name = "small/data/weights/model_weights_config.json"
    config = json.loads(some[name])
    config["config"]["stem.weight"]["tensor_meta"]["strides"] = [{"as_int": n} for n in steps]
    return zipped(some | {name: json.dumps(config).encode()})


def weights_of(path):
    """The numbers of the first weights."""
    stored = initializers.tensors(str(path), source_of(str(path)))["stem.weight"]
    return stored.shape, stored.numbers(prod(stored.shape) * stored.itemsize)


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_weights_are_read_in_whatever_order_they_lie(tmp_path, order):
    """A network in memory_format=torch.channels_last has its weights so."""
    shape, plain = weights_of(ARCHIVE)
    steps = [prod(shape[axis] for axis in order[order.index(i) + 1 :]) for i in range(4)]
    (tmp_path / "m.pt2").write_bytes(with_steps(steps))
    expected = np.lib.stride_tricks.as_strided(plain, shape, [4 * n for n in steps])
    np.testing.assert_array_equal(expected, weights_of(tmp_path / "m.pt2")[1].reshape(shape))


@pytest.mark.parametrize("steps", [(27, 0, 3, 1), (27, 9, 6, 2), (27, 9, 3)], ids=["expanded", "apart", "short"])
def test_weights_that_lie_otherwise_are_refused_as_kernels(asked, tmp_path, steps):
    (tmp_path / "m.pt2").write_bytes(with_steps(steps))
    code, _, err = asked("kernels", f"{tmp_path / 'm.pt2'}:stem.weight")
    assert (1, 1) == (code, err.count("\n"))
    assert "does not have all numbers of 'stem.weight', or not one behind the other" in err


# --- in place


def calling(target: str, name: str, first: str, names: Names) -> Calling:
    return Calling(target, name, [("self", Named(first))], [Named(name)], names, {first: (1, 4), name: (1, 4)})


def test_what_is_written_through_a_view_shows_in_what_it_is_a_view_of():
    from convcli.networks.exported.aten import translated

    names = Names({}, ())
    translated(calling("torch.ops.aten.view.default", "v", "x", names))
    translated(calling("torch.ops.aten.relu_.default", "r", "v", names))
    after = translated(calling("torch.ops.aten.neg.default", "n", "x", names))
    assert [("written", ("x", "r")), ("Neg", ("x:r",))] == [(node.operator, node.inputs) for node in after]
    assert ("r",) == translated(calling("torch.ops.aten.neg.default", "m", "v", names))[0].inputs


def test_a_mean_counts_padding_unless_it_says_otherwise():
    """torch.nn.functional.avg_pool2d: count_include_pad is True by default."""
    from convcli.networks.exported.calling import Named

    for said, expected in (([], 1), ([("count_include_pad", False)], 0)):
        pooling = [("self", Named("x")), ("kernel_size", (3, 3)), ("padding", (1, 1)), *said]
        call = Calling(
            "torch.ops.aten.avg_pool2d.default", "y", pooling, [Named("y")], Names({}, ()), {"x": (1, 1, 4, 4)}
        )
        TRANSLATIONS["avg_pool2d"](call)
        assert [expected] == [node.attributes["count_include_pad"] for node in call.nodes]


def test_a_roll_by_nothing_or_by_all_moves_nothing():
    from convcli.networks.exported.aten import translated

    given = [("self", Named("x")), ("shifts", (0, 1, -6)), ("dims", (0, 1, -1))]
    call = Calling("torch.ops.aten.roll.default", "r", given, [Named("r")], Names({}, ()), {"x": (4, 5, 6)})
    assert ["Slice", "Slice", "Concat", "Identity"] == [node.operator for node in translated(call)]


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_a_translation_takes_a_call_without_arguments(name):
    """What an archive lacks is refused or left out, and never an error of Python's."""
    call = Calling(f"torch.ops.aten.{name}.default", "n", [], [], Names({}, ()), {})
    call.results.append("n")
    try:
        TRANSLATIONS[name](call)
    except convcli.ConvError as error:
        assert error.code == "corrupt"


# --- arguments that are not what they should be


STRANGE = ("x", 1.5, None, {}, {"as_int": "x"}, {"name": 3}, [], [[2]], True, 2**70, "NaN")
KINDS = ("as_int", "as_float", "as_bool", "as_string", "as_sym_int", "as_tensor", "as_optional_tensor", "as_none")
SOUND = ([2, 2], [1.5], ["x"], [True], [{"as_int": 2}], [{"name": "x"}], [{"as_none": True}])


def strange_arguments():
    """Arguments of every kind that hold what the kind does not, and sound ones of a kind that nobody expects."""
    yield from ({kind: value} for kind in KINDS for value in STRANGE)
    yield from ({f"{kind}s": [2, value]} for kind in KINDS for value in STRANGE)
    yield from ({f"{kind}s": value} for kind in KINDS for value in (*SOUND, "x", None, []))


def test_a_list_of_integers_holds_integers_alone(refused):
    for value in ("x", 1.5, None, {}, True, [2]):

        def change(program, value=value):
            graph_of(program)["nodes"][0]["inputs"][3]["arg"] = {"as_ints": [2, value]}

        assert "is no sound archive of torch.export" in refused(altered(change)), value


def test_every_argument_of_every_operator_is_looked_at(tmp_path):
    """Each is set to what it cannot be; the archive is read all the same, or refused as damaged."""
    some = members(ARCHIVE.read_bytes())
    nodes = graph_of(json.loads(some[GRAPH]))["nodes"]
    first = {node["target"]: i for i, node in reversed([*enumerate(nodes)])}
    places = [(i, k) for i in first.values() for k in range(len(nodes[i]["inputs"]))]
    for turn, strange in enumerate(strange_arguments()):
        for i, k in places[turn % 34 :: 34]:
            program = json.loads(some[GRAPH])
            graph_of(program)["nodes"][i]["inputs"][k]["arg"] = strange
            (tmp_path / "m.pt2").write_bytes(zipped(some | {GRAPH: json.dumps(program).encode()}))
            try:
                assert convcli.parse_network(tmp_path / "m.pt2").total["macs"] >= 0
            except convcli.ConvError as error:
                assert error.code in ("corrupt", "shape", "unsupported"), (strange, nodes[i]["target"])


def test_every_view_is_translated():
    assert set() == VIEWS - TRANSLATIONS.keys()


class Everything(dict):
    """Arguments of which each, by whatever name, is the same."""

    def get(self, *_):
        """That one."""
        return self["each"]


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_a_translation_makes_constants_of_numbers_alone(name):
    values = (2, 1.5, "x", None, True, (2, 2), ("x",), (1.5, None), (), Named("x"), (Named("x"), 2))
    for value in values:
        call = Calling(f"torch.ops.aten.{name}.default", "n", [("each", value)], [], Names({}, ()), {"x": (1, 4, 4)})
        call.by_name = Everything(each=value)
        call.arguments.insert(0, Named("x"))
        call.results.append("n")
        try:
            TRANSLATIONS[name](call)
        except convcli.ConvError as error:
            assert error.code == "corrupt", value
        for node in call.nodes:
            for key, made in node.attributes.items():
                kinds = (int, float) if "float" in key else int
                flat = made if isinstance(made, tuple) else (made,)
                assert not key.startswith("value_") or all(isinstance(each, kinds) for each in flat), (value, node)


def test_numbers_that_json_lacks_are_read_as_torch_writes_them(document, tmp_path):
    """-inf is "-Infinity" there: what a mask is filled with."""

    def change(program):
        for node in graph_of(program)["nodes"]:
            if node["target"] == "torch.ops.aten.scaled_dot_product_attention.default":
                node["inputs"].append({"name": "scale", "arg": {"as_float": "-Infinity"}, "kind": 2})

    (tmp_path / "m.pt2").write_bytes(altered(change))
    assert TRUTH["macs"] == document(tmp_path / "m.pt2")["total"]["macs"]
