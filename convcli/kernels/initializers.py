"""The tensors of a model as kernels, by their own names and by those of the nodes that they are the weights of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from convcli.errors import ConvError, KernelError
from convcli.formats.source import Source
from convcli.kernels.stored import Array, Stored
from convcli.networks import models
from convcli.networks.onnx.model import Graph, Model, Node, Tensor
from convcli.networks.onnx.wire import floats, integers, span

DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
}
"""TensorProto.DataType, in NumPy's words."""
OTHERS = {8: "string", 14: "complex64", 15: "complex128", **dict.fromkeys((17, 18, 19, 20, 24), "float8")}
WEIGHTS = {
    "Conv": 1,
    "ConvTranspose": 1,
    "Gemm": 1,
    "MatMul": 1,
    "ConvInteger": 1,
    "MatMulInteger": 1,
    "linear": 1,
    "QLinearConv": 3,
    "QLinearMatMul": 3,
}
"""Operators with weights, and which input these are."""
ARCHIVE = ".pt2"
FLOATS, DOUBLES = 4, 10
"""Fields that list numbers of floating point: float_data, double_data."""


def model_of(path: str, source: Source) -> Model:
    """The model in a file or in bytes; its weights stay where they are."""
    return models.parse(source.content) if source.in_memory else models.read(path)


def tensors(path: str, source: Source) -> dict[str, Stored]:
    """The tensors of a model by name, those that layers slide with what slides them."""
    graph = model_of(path, source).graph
    found = dict(named_tensors(graph))
    used = {name: node for node in graph.nodes if (name := weights_name(graph, node)) in found}
    return {name: stored(tensor, path, used.get(name)) for name, tensor in found.items()}


def by_node(path: str, source: Source, name: str) -> Stored | None:
    """The weights of a node, by its name or by that of what it makes; None where there is no such node."""
    graph = model_of(path, source).graph
    node = node_called(graph, name)
    if node is None:
        return None
    if node.operator not in WEIGHTS:
        raise KernelError(f"{name!r} is a {node.operator}, which has no weights to slide")
    tensor = dict(named_tensors(graph)).get(weights_name(graph, node))
    if tensor is None:
        raise KernelError(f"the weights of {name!r} are computed by other nodes; name a tensor of the file")
    return stored(tensor, path, node)


def node_called(graph: Graph, name: str) -> Node | None:
    """The node of a name; of nodes without one, that which makes a value of the name."""
    by_name = (node for node in graph.nodes if node.name == name)
    by_output = (node for node in graph.nodes if name in node.outputs)
    return next(by_name, None) or next(by_output, None) if name else None


def named_tensors(graph: Graph) -> Iterator[tuple[str, Tensor]]:
    """Initializers, and the values of nodes that are constants."""
    yield from graph.tensors.items()
    for node in graph.nodes:
        value = node.attributes.get("value")
        if node.operator == "Constant" and isinstance(value, Tensor) and node.outputs:
            yield node.outputs[0], value


def weights_name(graph: Graph, node: Node) -> str:
    """The tensor that holds a node's weights, through nodes that only pass it on; "" where there is none."""
    at = WEIGHTS.get(node.operator, len(node.inputs))
    return origin(graph, node.inputs[at]) if at < len(node.inputs) else ""


def origin(graph: Graph, name: str) -> str:
    """What a value is the same as, by way of Identity."""
    passed = {each.outputs[0]: each.inputs[0] for each in graph.nodes if each.operator == "Identity" and each.inputs}
    for _ in range(len(passed)):
        name = passed.get(name, name)
    return name


def stored(tensor: Tensor, path: str, node: Node | None) -> Stored:
    """A tensor with the way to its numbers."""
    dtype = DTYPES.get(tensor.dtype, OTHERS.get(tensor.dtype, f"type {tensor.dtype}"))
    operator, called = (node.operator, node.name or node.outputs[0]) if node and node.outputs else ("", "")
    return Stored(tensor.name, tensor.dims, dtype, partial(numbers, tensor, path, dtype), operator, called)


def numbers(tensor: Tensor, path: str, dtype: str, size: int) -> Array:
    """The numbers of a tensor of `size` bytes, from its own bytes, its lists, or a file beside the model.

    Raises ConvError: not-found where a model was saved without them, corrupt where they are too few or too many.
    """
    kind = np.dtype("<u2" if dtype == "bfloat16" else dtype).newbyteorder("<")
    if tensor.external:
        return np.frombuffer(external(tensor, path, size), kind)
    if tensor.raw is None and not tensor.listed:
        if path.lower().endswith(ARCHIVE):  # expanded, cut out of a larger one, or of a kind that torch.export pickles
            raise ConvError(f"does not have all numbers of {tensor.name!r}, or not one behind the other", "not-found")
        raise ConvError(f"was saved without its weights: the numbers of {tensor.name!r} are not there", "not-found")
    found = listed(tensor, kind) if tensor.raw is None else np.frombuffer(raw(tensor, size), kind)
    if found.nbytes != size:
        raise wrong_size(tensor, found.nbytes, size)
    return ordered(found, tensor)


def ordered(found: Array, tensor: Tensor) -> Array:
    """Numbers in the order of the tensor's dimensions, as which they may not lie in the file."""
    if not tensor.order:
        return found
    lying = found.reshape([tensor.dims[axis] for axis in tensor.order])
    return lying.transpose(np.argsort(tensor.order)).ravel()


def wrong_size(tensor: Tensor, there: int, wanted: int) -> ConvError:
    """The error of a tensor whose numbers do not fill its sizes."""
    return ConvError(f"is damaged: {tensor.name!r} has {there:,} bytes of numbers, its shape {wanted:,}", "corrupt")


def raw(tensor: Tensor, size: int) -> bytes:
    """The bytes in the file itself, where they are as many as they must be."""
    begin, end = tensor.raw or (0, 0)
    if end - begin != size:
        raise wrong_size(tensor, end - begin, size)
    return tensor.data[begin:end]


def listed(tensor: Tensor, kind: np.dtype[np.generic]) -> Array:
    """Numbers from the fields that list them; int32_data holds the bits of float16 and bfloat16."""
    values: list[float] = []
    doubles = b""
    for field, value in tensor.listed:
        if field == FLOATS:
            values += floats(tensor.data, value)
        elif field == DOUBLES:
            begin, end = span(value, "double_data")
            doubles += tensor.data[begin : end - (end - begin) % kind.itemsize]
        else:
            values += integers(tensor.data, value)
    if doubles:
        return np.frombuffer(doubles, "<f8").astype(kind)
    if any(field == FLOATS for field, _ in tensor.listed):
        return np.array(values, "<f4").astype(kind)
    bits = np.array([int(each) & (2**64 - 1) for each in values], "<u8")
    return bits.astype(f"<u{kind.itemsize}").view(kind)


def external(tensor: Tensor, path: str, size: int) -> bytes:
    """The numbers from the file that the model names, which lies in its folder or below it.

    Raises ConvError: unsafe for any other place, not-found, corrupt where the file is too short.
    """
    from convcli.kernels.files import looked_up, regular

    location, offset, length = (tensor.external.get(key, "") for key in ("location", "offset", "length"))
    if not tensor.folder and not path:
        raise ConvError(f"has its weights in another file, {location!r}; download both", "not-found")
    if any(text and not (text.isdecimal() and len(text) < 19) for text in (offset, length)):
        raise ConvError(f"is damaged: {tensor.name!r} lies at byte {offset[:20]!r}, {length[:20]!r} long", "corrupt")
    if length and int(length) != size:
        raise wrong_size(tensor, int(length), size)
    beside = place(path, location)
    try:
        with looked_up():
            source = regular(beside)
            with source.open() as stream:
                stream.seek(int(offset or 0))
                data = stream.read(size)
    except ConvError as error:
        raise ConvError(f"has its weights in {location!r}, which {told(error)}", error.code) from None
    if len(data) < size:
        raise ConvError(f"is cut short: {location!r} holds {len(data):,} of {size:,} bytes", "corrupt")
    return data


def told(error: ConvError) -> str:
    """What is wrong with the other file."""
    return "is not there" if error.code == "not-found" else error.message


def place(path: str, location: str) -> str:
    """The path of a file that a model names; refused where that is not in the model's folder, also by links.

    A model that is itself a link, as in a cache of downloads, may have its weights where it lies.
    """
    parts = location.replace("\\", "/").split("/")
    folder = Path(path).parent
    if not location or "\0" in location or parts[0] in ("", "~") or ".." in parts or ":" in parts[0]:
        raise ConvError(f"names weights that lie elsewhere: {location[:80]!r}", "unsafe")
    beside = os.path.realpath(folder / location)
    homes = {os.path.realpath(folder), str(Path(os.path.realpath(path)).parent)}
    if not any(beside.startswith(home.rstrip("/") + "/") for home in homes):
        raise ConvError(f"names weights that lie elsewhere: {location[:80]!r} is a link out of the folder", "unsafe")
    return str(folder / location)
