"""Files of weights as kernels: the numbers that were saved, in every type, or one line that says why not."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from command import InProcess
from convcli.errors import ConvError
from convcli.kernels import parse_kernel
from onnx_files import FLOAT, field, node, small, tensor, varint

SEED = np.random.default_rng(17)
BANK = SEED.integers(-8, 9, (4, 3, 3, 2)).astype("float32")
"""Small whole numbers, which every type but the unsigned ones holds."""
SAFE = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}
ONNX = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}


def safetensors(**arrays):
    """A file of arrays; bytes are numbers of bfloat16, of the shape of `BANK`."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        raw = array if isinstance(array, bytes) else array.tobytes()
        dtype, shape = ("BF16", BANK.shape) if isinstance(array, bytes) else (SAFE[array.dtype.name], array.shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return headed(json.dumps(header).encode(), data)


def headed(header, data=b""):
    return len(header).to_bytes(8, "little") + header + data


def bfloat16(array):
    return (array.view("<u4") >> 16).astype("<u2").tobytes()


def network(*tensors, nodes=()):
    return small([*nodes, node("Conv", "x conv1.weight", "y", "/conv1/Conv")], tensors)


def in_type(dtype):
    return np.abs(BANK).astype(dtype) if dtype[0] in "ub" else BANK.astype(dtype)


def written(folder, name, data):
    (folder / name).write_bytes(data)
    return str(folder / name)


def taps(text, ndim=2):
    return parse_kernel(text, ndim).array()


def refused(text, code, *words, ndim=2):
    with pytest.raises(ConvError) as caught:
        parse_kernel(text, ndim)
    assert (code, text) == (caught.value.code, caught.value.where)
    assert [] == [word for word in words if word not in caught.value.message]
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("dtype", SAFE)
def test_safetensors_of_every_type_are_the_numbers_saved(tmp_path, dtype):
    path = written(tmp_path, "w.safetensors", safetensors(**{"before": BANK, "f.0.weight": in_type(dtype)}))
    assert np.array_equal(in_type(dtype).astype(float), taps(f"{path}:f.0.weight"))


@pytest.mark.parametrize("dtype", ONNX)
def test_onnx_weights_of_every_type_are_the_numbers_saved(tmp_path, dtype):
    array = in_type(dtype)
    path = written(tmp_path, "m.onnx", network(tensor("conv1.weight", array.shape, ONNX[dtype], array.tobytes())))
    assert np.array_equal(array.astype(float), taps(f"{path}:conv1.weight"))


def listed(dtype, array, packed):
    """A tensor whose numbers stand in the field that lists those of its type."""
    number = {"float32": 4, "float64": 10, "int64": 7, "uint32": 11, "uint64": 11}.get(dtype, 5)
    if number in (4, 10):
        values = field(number, array.tobytes())
    else:
        bits = array.view("<u2") if dtype == "float16" else array
        each = [varint(int(value)) for value in bits.ravel()]
        values = field(number, b"".join(each)) if packed else b"".join(varint(number << 3) + value for value in each)
    return tensor("conv1.weight", array.shape, ONNX[dtype]) + values


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dtype", ONNX)
def test_onnx_weights_that_are_listed_are_the_same(tmp_path, dtype, packed):
    array = in_type(dtype)
    path = written(tmp_path, "m.onnx", network(listed(dtype, array, packed)))
    assert np.array_equal(array.astype(float), taps(f"{path}:conv1.weight"))


def test_bfloat16_is_read_as_float32(tmp_path):
    safe = written(tmp_path, "w.safetensors", safetensors(a=bfloat16(BANK)))
    onnx = written(tmp_path, "m.onnx", network(tensor("conv1.weight", BANK.shape, 16, bfloat16(BANK))))
    assert np.array_equal(BANK, taps(f"{safe}:a"))
    assert np.array_equal(BANK, taps(f"{onnx}:conv1.weight"))


def test_a_node_stands_for_its_weights_also_through_others_that_pass_them_on(tmp_path):
    weights = tensor("w", BANK.shape, FLOAT, BANK.tobytes())
    model = small([node("Identity", "w", "v"), node("Conv", "x v", "y", "/conv1/Conv")], [weights])
    path = written(tmp_path, "m.onnx", model)
    assert np.array_equal(BANK, taps(f"{path}:/conv1/Conv"))
    assert np.array_equal(BANK, taps(f"{path}:w"))
    assert np.array_equal(BANK, taps(path))


def test_the_weights_of_a_constant_are_found(tmp_path):
    constant = node("Constant", "", "w", value=tensor("", BANK.shape, FLOAT, BANK.tobytes()))
    path = written(tmp_path, "m.onnx", small([constant, node("Conv", "x w", "y")]))
    assert np.array_equal(BANK, taps(f"{path}:w"))
    assert np.array_equal(BANK, taps(f"{path}:y"))


def external(location, offset=0, length=BANK.nbytes):
    told = {"location": location, "offset": str(offset), "length": str(length)}
    where = b"".join(field(13, field(1, key) + field(2, value)) for key, value in told.items())
    return network(tensor("conv1.weight", BANK.shape) + where + field(14, 1))


def test_weights_in_a_file_beside_the_model_are_read_from_it(tmp_path):
    path = written(tmp_path, "m.onnx", external("m.data", 5))
    refused(f"{path}:conv1.weight", "not-found", "'m.data'", "not there")
    written(tmp_path, "m.data", b"12345" + BANK.tobytes())
    assert np.array_equal(BANK, taps(f"{path}:conv1.weight"))
    written(tmp_path, "m.data", b"12345" + BANK.tobytes()[:-1])
    refused(f"{path}:conv1.weight", "corrupt", "cut short")


@pytest.mark.parametrize(
    "location", ["../m.data", "/etc/passwd", "a/../../m.data", "C:\\m.data", "", "..\\m.data", "l/m.data"]
)
def test_no_weights_are_read_from_outside_of_the_folder(tmp_path, location):
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "l").symlink_to(tmp_path)
    written(tmp_path, "m.data", BANK.tobytes())
    refused(f"{written(folder, 'm.onnx', external(location))}:conv1.weight", "unsafe", "lie elsewhere")


def test_a_model_that_is_a_link_may_have_its_weights_where_it_lies(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    written(tmp_path / "blobs", "1", external("m.data"))
    written(tmp_path / "blobs", "2", BANK.tobytes())
    (tmp_path / "snapshot" / "m.onnx").symlink_to("../blobs/1")
    (tmp_path / "snapshot" / "m.data").symlink_to("../blobs/2")
    assert np.array_equal(BANK, taps(f"{tmp_path}/snapshot/m.onnx:conv1.weight"))


def test_a_pipe_beside_the_model_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "m.data")
    refused(f"{written(tmp_path, 'm.onnx', external('m.data'))}:conv1.weight", "not-regular", "not a regular file")


def test_a_model_without_weights_says_so(tmp_path):
    path = written(tmp_path, "m.onnx", network(tensor("conv1.weight", BANK.shape)))
    refused(f"{path}:/conv1/Conv", "not-found", "saved without its weights")


def test_a_name_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    many = {f"features.{i}.weight": BANK for i in range(100)}
    path = written(tmp_path, "w.safetensors", safetensors(**many))
    refused(f"{path}:features.0.wieght", "kernel", "did you mean 'features.0.weight'")
    refused(f"{path}:xyz", "kernel", "`convcli kernels w.safetensors` lists the 100")
    refused(path, "kernel", "several tensors; add one of them: :features.0.weight, ", " ...")
    model = written(tmp_path, "m.onnx", network(tensor("conv1.weight", BANK.shape, FLOAT, BANK.tobytes())))
    refused(f"{model}:conv1.weigth", "kernel", "did you mean 'conv1.weight'")


def test_a_node_without_weights_of_its_own_says_so(tmp_path):
    nodes = [node("Relu", "x", "r", "relu"), node("Mul", "conv1.weight r", "w"), node("Conv", "x w", "z", "mixed")]
    path = written(tmp_path, "m.onnx", network(tensor("conv1.weight", BANK.shape), nodes=nodes))
    refused(f"{path}:relu", "kernel", "is a Relu, which has no weights")
    refused(f"{path}:mixed", "kernel", "computed by other nodes")


def test_five_axes_are_a_bank_of_conv3d(tmp_path):
    path = written(tmp_path, "w.safetensors", safetensors(w=np.ones((2, 3, 1, 2, 2), "float16")))
    assert parse_kernel(f"{path}:w", 3).shape == (2, 3, 1, 2, 2)
    refused(f"{path}:w", "kernel", "has 5 axes; conv2d takes")


def test_a_file_whose_name_has_a_colon_is_that_file(tmp_path):
    np.save(tmp_path / "a.onnx:b.npy", BANK)
    assert np.array_equal(BANK, taps(f"{tmp_path}/a.onnx:b.npy"))
    odd = written(tmp_path, "a.npz:b.safetensors", safetensors(w=BANK))
    assert np.array_equal(BANK, taps(odd))
    assert np.array_equal(BANK, taps(f"{odd}:w"))


class Trap:
    def __reduce__(self):
        return os.mkdir, ("/nonexistent/sprung",)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.ckpt", "pytorch_model.bin", "m.pkl"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_with_the_way_out(tmp_path, name, zipped):
    path = written(tmp_path, name, pickle.dumps({"conv1.weight": Trap()}))
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/data.pkl", pickle.dumps(Trap()))
    refused(path, "unsafe", "is a pickle", "safetensors", "torch.onnx.export")
    refused(f"{path}:conv1.weight", "unsafe", "is a pickle")


def test_what_is_called_like_a_pickle_and_is_text_is_text(tmp_path):
    assert taps(written(tmp_path, "k.bin", b"1 2 1\n")).tolist() == [[1, 2, 1]]
    refused(str(tmp_path / "none.pth"), "not-found", "no such kernel file")


ENTRY = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
DAMAGED = {
    "nothing": b"",
    "short": b"\1\2",
    "long header": (2**63).to_bytes(8, "little") + b"{}",
    "no JSON": headed(b"{]"),
    "no object": headed(b"[1]"),
    "no UTF-8": headed(b'{"\xff": 1}'),
    "deep": headed(b"[" * 100_000),
    "twice": headed(b'{"w": %s, "w": %s}' % ((json.dumps(ENTRY).encode(),) * 2), bytes(8)),
    **{
        name: headed(json.dumps({"w": ENTRY | change}).encode(), bytes(8))
        for name, change in {
            "beyond the end": {"data_offsets": [4, 12]},
            "backwards": {"data_offsets": [8, 0]},
            "below zero": {"data_offsets": [-8, 0]},
            "too few": {"shape": [1, 3]},
            "no shape": {"shape": None},
            "fractions": {"shape": [1, 2.0]},
            "no numbers": {"shape": ["1", "2"]},
            "no type": {"dtype": 7},
            "one offset": {"data_offsets": [0]},
            "huge": {"shape": [2**61, 8]},
        }.items()
    },
    "no entry": headed(b'{"w": 5}'),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_safetensors_are_refused_in_a_line(tmp_path, data):
    refused(f"{written(tmp_path, 'w.safetensors', data)}:w", "corrupt", "is no sound safetensors file")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_files_of_weights_are_read_or_refused_in_a_line(tmp_path, data):
    name, sound, key = data.draw(
        st.sampled_from(
            [
                ("w.safetensors", safetensors(w=BANK), "w"),
                ("m.onnx", network(listed("float32", BANK, packed=True)), "conv1.weight"),
                ("m.onnx", external("m.data", 1), "/conv1/Conv"),
            ]
        )
    )
    mutated = bytearray(sound)
    for at in data.draw(st.lists(st.integers(0, min(len(sound), 200) - 1), max_size=4)):
        mutated[at] = data.draw(st.integers(0, 255))
    path = written(tmp_path, name, bytes(mutated[: data.draw(st.integers(len(sound) // 2, len(sound)))]))
    try:
        assert parse_kernel(f"{path}:{key}").shape
    except ConvError as error:
        assert "\n" not in str(error)


def test_a_type_that_is_no_kernels_is_named(tmp_path):
    eight = {"w": {"dtype": "F8_E4M3", "shape": [2, 2], "data_offsets": [0, 4]}}
    refused(
        f"{written(tmp_path, 'w.safetensors', headed(json.dumps(eight).encode(), bytes(4)))}:w", "kernel", "F8_E4M3"
    )
    path = written(tmp_path, "m.onnx", network(tensor("conv1.weight", (2, 2), 17, bytes(4))))
    refused(f"{path}:conv1.weight", "kernel", "holds float8 values")


def test_a_tensor_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    path = written(tmp_path, "m.onnx", network(tensor("conv1.weight", (2**20, 2**20))))
    refused(f"{path}:conv1.weight", "too-large", "too large for a kernel")


COMMANDS = {
    "conv2d": ("-k", BANK),
    "upsample": ("-k", SEED.normal(size=(3, 2, 4, 4)).astype("float32")),
    "separable": ("-k", BANK),
    "dilate": ("--rate", "2", "-k", BANK),
    "conv3d": ("-k", SEED.normal(size=(2, 3, 3, 3, 3)).astype("float32")),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("ending", ["safetensors", "onnx"])
def test_every_command_takes_them_as_it_takes_an_array(tmp_path, capsys, command, ending):
    *words, bank = COMMANDS[command]
    volume = (5,) if bank.ndim == 5 else ()
    np.save(tmp_path / "x.npy", SEED.normal(size=(3, *volume, 9, 8)).astype("float32"))
    np.save(tmp_path / "k.npy", bank)
    onnx = network(tensor("conv1.weight", bank.shape, FLOAT, bank.tobytes()))
    data = onnx if ending == "onnx" else safetensors(**{"conv1.weight": bank})
    file = written(tmp_path, f"w.{ending}", data)
    axes = ("--axes", "CZYX" if volume else "CYX")
    for kernel, output in ((f"{tmp_path}/k.npy", "a.npy"), (f"{file}:conv1.weight", "b.npy")):
        code, errors = InProcess(capsys)(command, tmp_path / "x.npy", *words, kernel, *axes, "-o", tmp_path / output)
        assert code == 0, errors
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_the_kernels_of_a_file_are_listed(tmp_path, capsys):
    bank, matrix, laid = (
        tensor(name, shape) for name, shape in (("w", (64, 3, 7, 7)), ("m", (10, 64)), ("t", (8, 4, 2, 2)))
    )
    nodes = [node("Conv", "x w", "a", "/conv1/Conv"), node("ConvTranspose", "a t", "b", "/up")]
    path = written(
        tmp_path, "m.onnx", small([*nodes, node("MatMul", "b m", "y")], [bank, matrix, laid, tensor("bias", (64,))])
    )
    run = InProcess(capsys)
    assert run("kernels", path, "--json") == (0, [])
    assert [
        ("w", [64, 3, 7, 7], "float32", "64 filters of 7x7 over 3 channels", "Conv", "/conv1/Conv"),
        ("m", [10, 64], "float32", "a matrix of 1x1 steps, or a kernel of 2 axes", "MatMul", "y"),
        ("t", [8, 4, 2, 2], "float32", "upsample: 8 channels, each laid as 4 kernels of 2x2", "ConvTranspose", "/up"),
    ] == [tuple(each.values()) for each in json.loads(run.output)["tensors"]]
    assert run("kernels", path) == (0, [])
    assert "64 filters of 7x7 over 3 channels" in run.output


def test_the_kernels_of_a_damaged_file_are_not_listed(tmp_path, capsys):
    path = written(tmp_path, "w.safetensors", b"damaged")
    code, lines = InProcess(capsys)("kernels", path)
    assert (1, 1) == (code, len(lines))
    assert "is no sound safetensors file" in lines[0]


def test_one_tensor_of_a_file_is_shown_as_any_kernel(tmp_path, capsys):
    path = written(tmp_path, "w.safetensors", safetensors(w=BANK, v=BANK))
    run = InProcess(capsys)
    assert run("kernels", f"{path}:w", "--json") == (0, [])
    assert [4, 3, 3, 2] == json.loads(run.output)["kernels"][0]["shape"]
    assert run("kernels", f"{path}:w", "-o", tmp_path / "w.npy") == (0, [])
    assert np.array_equal(BANK, np.load(tmp_path / "w.npy"))


LAYER = {"strides": [2, 2], "pads": [1, 0, 2, 1]}


def layered(folder, operator="Conv", inputs="x w b", bias=(1.0, -2.0, 3.0, 0.5), **attributes):
    """A model of one layer, with `BANK` as its weights."""
    tensors = [tensor("w", BANK.shape, raw=BANK.tobytes()), tensor("b", [len(bias)], raw=np.float32(bias).tobytes())]
    return written(folder, "m.onnx", small([node(operator, inputs, "y", "/conv1/Conv", **attributes)], tensors))


def test_a_layer_is_its_weights_and_what_the_node_says_and_its_bias(tmp_path, capsys):
    path, run = layered(tmp_path, **LAYER), InProcess(capsys)
    np.save(tmp_path / "x.npy", SEED.integers(0, 9, (3, 9, 8)).astype("float32"))
    by_hand = ["-k", f"{path}:w", "-s", "2", "-p", "1:2,0:1", "-b", "zero"]
    for words, output in ((["--layer", f"{path}:/conv1/Conv"], "a.npy"), (by_hand, "b.npy")):
        assert run("conv2d", tmp_path / "x.npy", *words, "--axes", "CYX", "-q", "-o", tmp_path / output) == (0, [])
    expected = np.load(tmp_path / "b.npy") + np.array([1.0, -2.0, 3.0, 0.5])[:, None, None]
    assert np.array_equal(expected, np.load(tmp_path / "a.npy"))


DECIDED = ("-s 3", "-s 1", "-k box:3", "-p 1", "-p same", "-b wrap", "-d 2", "-g 1", "--flip", "--linear")


@pytest.mark.parametrize("words", DECIDED)
def test_what_a_layer_says_itself_is_refused_beside_it(tmp_path, capsys, words):
    path = layered(tmp_path)
    code, lines = InProcess(capsys)("conv2d", "x.npy", "--layer", f"{path}:/conv1/Conv", *words.split(), "-o", "y.npy")
    assert (2, 1) == (code, len(lines))
    assert "--layer says that itself" in lines[0]


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        ({}, "/conv1/Konv", "did you mean '/conv1/Conv'?"),
        ({"operator": "Relu"}, "/conv1/Conv", "is a Relu; a layer here is a Conv or a ConvTranspose"),
        ({"operator": "ConvTranspose"}, "/conv1/Conv", "upsample takes it"),
        ({"strides": [0, 1]}, "/conv1/Conv", "its strides are"),
        ({"pads": [1, 1]}, "/conv1/Conv", "its pads are"),
        ({"auto_pad": "SAME_SOMEHOW"}, "/conv1/Conv", "pads by SAME_SOMEHOW"),
        ({"bias": (1.0, 2.0)}, "/conv1/Conv", "its bias has the shape (2,)"),
        ({"inputs": "x v b"}, "/conv1/Conv", "its weights are computed by other nodes"),
        ({"group": 3}, "/conv1/Conv", "4 filters in 3 groups"),
    ],
)
def test_what_is_no_layer_is_refused_in_a_line(tmp_path, capsys, model, name, said):
    code, lines = InProcess(capsys)("conv2d", "x.npy", "--layer", f"{layered(tmp_path, **model)}:{name}", "-o", "y.npy")
    assert (2, 1) == (code, len(lines))
    assert said in lines[0]


@pytest.mark.parametrize("command", ["conv2d", "conv3d", "upsample"])
def test_without_a_kernel_and_without_a_layer_both_are_named(capsys, command):
    code, lines = InProcess(capsys)(command, "x.npy", "-o", "y.npy")
    assert (2, 1) == (code, len(lines))
    assert ", or --layer model.onnx:NODE" in lines[0]
