"""What an ONNX file holds: a graph of nodes, its inputs and outputs, and tensors, whose weights stay where they are.

Field numbers: onnx.proto of github.com/onnx/onnx. The file is mapped, not read: of a model of 240 MB some hundred
kilobytes are looked at.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from convcli.errors import ConvError
from convcli.networks.onnx.wire import Buffer, Span, damaged, fields, floats, forget, integers, span, text, whole

SUFFIX = ".onnx"
MAXIMUM_DEPTH = 30
"""Graphs inside attributes of nodes inside of graphs, and so on."""
MAXIMUM_FOLDED = 4096
"""Numbers of a tensor that are looked at: shapes and indices have fewer."""
MAXIMUM_RANK = 64
MAXIMUM_DIMENSION = 2**40
SCOPES = "pkg.torch.onnx.name_scopes"

FLOAT, STRING, BOOL = 1, 8, 9
FORMATS = {
    1: "<f",
    2: "<B",
    3: "<b",
    4: "<H",
    5: "<h",
    6: "<i",
    7: "<q",
    9: "<?",
    10: "<e",
    11: "<d",
    12: "<I",
    13: "<Q",
}
"""How raw bytes of each type of data are read; the others (bfloat16, 8- and 4-bit numbers) are weights only."""
FLOATING = frozenset((1, 10, 11, 14, 15, 16, 17, 18, 19, 20, 23, 24))

Dims = tuple[int | None, ...]
"""The sizes of a tensor; None is unknown."""


class Tensor(NamedTuple):
    """A tensor of the file: its name, sizes, type of data, and where its numbers are.

    `raw` are its bytes; `listed` the fields that list numbers instead, each with its number; `external` says where in
    which other file they are. `is_trained` is false for what the file says is no parameter, such as a fixed filter.
    `order` are its dimensions as the bytes have them, the one of the largest steps first, where that is not their own.
    """

    name: str
    dims: tuple[int, ...]
    dtype: int
    data: Buffer = b""
    raw: Span | None = None
    listed: tuple[tuple[int, int | Span], ...] = ()
    external: Mapping[str, str] = MappingProxyType({})
    folder: str = ""
    is_trained: bool = True
    order: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers it has."""
        product = 1
        for n in self.dims:
            product *= n
        return product

    @property
    def is_floating(self) -> bool:
        """True for numbers that may be weights."""
        return self.dtype in FLOATING

    def numbers(self) -> tuple[float, ...] | None:
        """The numbers of a small tensor; None where there are too many, or they are not there in their order."""
        if self.size > MAXIMUM_FOLDED or self.order:
            return None
        if self.listed:
            found = tuple(self._listed())
            return found if len(found) == self.size else None
        layout = FORMATS.get(self.dtype)
        raw = self._bytes() if layout else None
        if layout is None or raw is None or len(raw) != self.size * struct.calcsize(layout):
            return () if not self.size else None
        return tuple(number for (number,) in struct.iter_unpack(layout, raw))

    def _listed(self) -> Iterator[float]:
        """Numbers in the fields for each type of data: float_data, int32_data, int64_data, double_data, uint64_data."""
        for number, value in self.listed:
            if number == 4:
                yield from floats(self.data, value)
            elif number == 10:
                start, end = span(value, "double_data")
                yield from (each for (each,) in struct.iter_unpack("<d", self.data[start : end - (end - start) % 8]))
            else:
                yield from integers(self.data, value)

    def _bytes(self) -> bytes | None:
        """The raw bytes, from here or from the file that they are in; None where that is not there."""
        if self.raw:
            return self.data[self.raw[0] : self.raw[1]]
        if not self.external:
            return None
        return external_bytes(self.folder, self.external, self.size * struct.calcsize(FORMATS[self.dtype]))


def external_bytes(folder: str, where: Mapping[str, str], size: int) -> bytes | None:
    """Bytes of a small tensor from a file beside the model; None where there is none, or it lies elsewhere."""
    location, offset = where.get("location", ""), where.get("offset", "0")
    if not location or location.startswith(("/", "\\")) or ".." in location.split("/") or not offset.isdecimal():
        return None
    try:
        with open(os.path.join(folder, location), "rb") as stream:  # noqa: PTH118, PTH123 -- pathlib takes 5 ms to import
            stream.seek(int(offset[:18]))
            return stream.read(size)
    except (OSError, ValueError):
        return None


class Reference(NamedTuple):
    """An attribute that takes the value of one of the function around it."""

    name: str


class Node(NamedTuple):
    """One operator at work: its inputs and outputs by name ("" where one is left out), and its attributes.

    `scope` is the module that it comes from, where the exporter says so.
    """

    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object]
    scope: str = ""


class Port(NamedTuple):
    """An input or output of a graph. `dims` hold the name of a size that is open, "" for one without a name; they are
    None where nothing is said, or it is no tensor."""

    name: str
    dims: tuple[int | str, ...] | None = None


class Graph(NamedTuple):
    """Nodes in an order in which each reads what came before.

    `stated` are the sizes of values as the file says them, where it does so for all: None for those that are open.
    """

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    name: str = ""
    stated: Mapping[str, Dims] = MappingProxyType({})


class Function(NamedTuple):
    """An operator that the file itself defines by other nodes."""

    name: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    defaults: Mapping[str, object]
    opsets: Mapping[str, int]


class Model(NamedTuple):
    """A file: its graph, the functions it defines, and which version of which set of operators it uses."""

    graph: Graph
    functions: Mapping[tuple[str, str], Function]
    opsets: Mapping[str, int]
    producer: str = ""


def is_onnx(head: bytes) -> bool:
    """True where a file begins as models do: with the version of the format, then a field of a model.

    >>> is_onnx(b"\\x08\\x08\\x12\\x07pytorch"), is_onnx(b"conv3-64")
    (True, False)
    """
    return len(head) > 2 and head[0] == 8 and 0 < head[1] < 64 and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42"


def read_model(path: str) -> Model:
    """The model in a file; weights are not read."""
    with open(path, "rb") as stream:  # noqa: PTH123 -- pathlib takes 5 ms to import
        if not os.fstat(stream.fileno()).st_size:
            raise ConvError("is empty; a model was not written, or not downloaded", "empty")
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return parse_model(data, os.path.dirname(path))  # noqa: PTH120


def parse_model(data: Buffer, folder: str = "") -> Model:
    """The model in bytes; `folder` is where files of weights lie.

    >>> parse_model(b"\\x08\\x08\\x3a\\x02\\x12\\x00").graph.nodes
    ()
    """
    reading = Reading(data, folder)
    graph: Graph | None = None
    functions, opsets, producer = {}, {}, ""
    for number, value in fields(data, 0, len(data)):
        if number == 7:
            graph = reading.graph(span(value, "the graph"))
        elif number == 8:
            domain, version = reading.opset(span(value, "a set of operators"))
            opsets[domain] = version
        elif number == 25:
            function = reading.function(span(value, "a function"))
            functions[plain(function.domain), function.name] = function
        elif number == 2:
            producer = text(data, value, "the producer")
    if graph is None:
        raise ConvError("is no sound ONNX file: it holds no graph; export or download it again", "corrupt")
    return Model(graph, functions, opsets, producer)


def plain(domain: str) -> str:
    """The name of a set of operators, the same for both names of the standard one.

    >>> plain("ai.onnx"), plain("com.microsoft")
    ('', 'com.microsoft')
    """
    return "" if domain == "ai.onnx" else domain


class Reading:
    """The messages of one file."""

    def __init__(self, data: Buffer, folder: str) -> None:
        self.data, self.folder, self.depth = data, folder, 0

    def text(self, value: int | Span, what: str) -> str:
        """A text."""
        return text(self.data, value, what)

    def graph(self, where: Span) -> Graph:
        """GraphProto."""
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            raise damaged(f"more than {MAXIMUM_DEPTH} graphs inside each other", where[0])
        nodes, inputs, outputs, name = [], [], [], ""
        tensors: dict[str, Tensor] = {}
        kept = where[0]
        for number, value in fields(self.data, *where):
            if number == 1:
                nodes.append(self.node(span(value, "a node")))
            elif number in (5, 15):
                tensor = (self.tensor if number == 5 else self.sparse)(span(value, "a tensor"))
                tensors[tensor.name] = tensor
                kept = forget(self.data, kept, span(value, "a tensor")[1])
            elif number == 11:
                inputs.append(self.port(span(value, "an input")))
            elif number == 12:
                outputs.append(self.port(span(value, "an output")))
            elif number == 2:
                name = self.text(value, "the graph's name")
        self.depth -= 1
        return Graph(tuple(nodes), tensors, tuple(inputs), tuple(outputs), name)

    def node(self, where: Span) -> Node:
        """NodeProto."""
        texts = {3: "", 4: "", 7: ""}
        inputs, outputs, attributes, scope = [], [], {}, ""
        for number, value in fields(self.data, *where):
            if number == 1:
                inputs.append(self.text(value, "an input's name"))
            elif number == 2:
                outputs.append(self.text(value, "an output's name"))
            elif number in texts:
                texts[number] = self.text(value, "a node's name")
            elif number == 5:
                key, attribute = self.attribute(span(value, "an attribute"))
                attributes[key] = attribute
            elif number == 9:
                key, entry = self.entry(span(value, "a property"))
                scope = entry if key == SCOPES else scope
        return Node(texts[4], plain(texts[7]), texts[3], tuple(inputs), tuple(outputs), attributes, scope)

    def attribute(self, where: Span) -> tuple[str, object]:
        """AttributeProto: its name, and the one value or the several ones of its type."""
        name, kind = "", 0
        found: object = None
        several: list[object] = []
        for number, value in fields(self.data, *where):
            if number == 1:
                name = self.text(value, "an attribute's name")
            elif number == 20:
                kind = whole(value, "an attribute's type")
            elif number == 21:
                found = Reference(self.text(value, "an attribute's name"))
            elif number == 2:
                found = next(floats(self.data, value), 0.0)
            elif number == 3:
                found = whole(value, name)
            elif number == 4:
                found = self.short(value)
            elif number == 5:
                found = self.tensor(span(value, name))
            elif number == 6:
                found = self.graph(span(value, name))
            elif number in (7, 8, 9):
                self.extend(several, number, value)
        return name, found if found is not None else tuple(several) if several or kind in (6, 7, 8) else None

    def extend(self, several: list[object], number: int, value: int | Span) -> None:
        """One more of a repeated attribute, which is kept while it is short enough to be one of numbers for shapes."""
        if number == 9:
            several.append(self.short(value))
        elif number == 7:
            start, end = span(value, "floats")
            several += floats(self.data, (start, min(end, start + 4 * MAXIMUM_FOLDED)))
        else:
            for each in integers(self.data, value):
                several.append(each)
                if len(several) > MAXIMUM_FOLDED:
                    break

    def short(self, value: int | Span) -> str:
        """A text of an attribute, cut where it is as long as code or a picture."""
        start, end = span(value, "a text")
        return self.data[start : min(end, start + MAXIMUM_FOLDED)].decode("utf-8", "replace")

    def tensor(self, where: Span) -> Tensor:
        """TensorProto."""
        dims: list[int] = []
        listed: list[tuple[int, int | Span]] = []
        name, dtype, raw, external = "", 0, None, {}
        for number, value in fields(self.data, *where):
            if number == 1:
                self.dimensions(dims, value)
            elif number == 2:
                dtype = whole(value, "a type of data")
            elif number in (4, 5, 7, 10, 11) and len(listed) <= MAXIMUM_FOLDED:
                listed.append((number, value))
            elif number == 8:
                name = self.text(value, "a tensor's name")
            elif number == 9:
                raw = span(value, "raw data")
            elif number == 13:
                key, entry = self.entry(span(value, "external data"))
                external[key] = entry
        return Tensor(name, tuple(dims), dtype, self.data, raw, tuple(listed), external, self.folder)

    def dimensions(self, dims: list[int], value: int | Span) -> None:
        """More sizes of a tensor."""
        for size in integers(self.data, value):
            if not 0 <= size <= MAXIMUM_DIMENSION or len(dims) >= MAXIMUM_RANK:
                raise ConvError(f"is no sound ONNX file: a tensor of size {size}, axis {len(dims) + 1}", "corrupt")
            dims.append(size)

    def sparse(self, where: Span) -> Tensor:
        """SparseTensorProto, by its dense sizes and the name of its values."""
        dims: list[int] = []
        values = Tensor("", (), FLOAT)
        for number, value in fields(self.data, *where):
            if number == 1:
                values = self.tensor(span(value, "values"))
            elif number == 3:
                self.dimensions(dims, value)
        return Tensor(values.name, tuple(dims), values.dtype)

    def entry(self, where: Span) -> tuple[str, str]:
        """StringStringEntryProto."""
        found = {1: "", 2: ""}
        for number, value in fields(self.data, *where):
            if number in found:
                found[number] = self.text(value, "a property")
        return found[1], found[2]

    def opset(self, where: Span) -> tuple[str, int]:
        """OperatorSetIdProto."""
        domain, version = "", 0
        for number, value in fields(self.data, *where):
            if number == 1:
                domain = self.text(value, "a domain")
            elif number == 2:
                version = whole(value, "a version")
        return plain(domain), version

    def function(self, where: Span) -> Function:
        """FunctionProto."""
        name = domain = ""
        inputs, outputs, nodes, defaults, opsets = [], [], [], {}, {}
        for number, value in fields(self.data, *where):
            if number == 1:
                name = self.text(value, "a function's name")
            elif number == 10:
                domain = self.text(value, "a domain")
            elif number == 4:
                inputs.append(self.text(value, "an input's name"))
            elif number == 5:
                outputs.append(self.text(value, "an output's name"))
            elif number == 7:
                nodes.append(self.node(span(value, "a node")))
            elif number == 9:
                key, version = self.opset(span(value, "a set of operators"))
                opsets[key] = version
            elif number == 11:
                key, attribute = self.attribute(span(value, "an attribute"))
                defaults[key] = attribute
        return Function(name, domain, tuple(inputs), tuple(outputs), tuple(nodes), defaults, opsets)

    def port(self, where: Span) -> Port:
        """ValueInfoProto: a name, and the sizes of a tensor."""
        name, dims = "", None
        for number, value in fields(self.data, *where):
            if number == 1:
                name = self.text(value, "a name")
            elif number == 2:
                dims = self.type(span(value, "a type"))
        return Port(name, dims)

    def type(self, where: Span) -> tuple[int | str, ...] | None:
        """TypeProto of a tensor: its sizes, where a shape is given."""
        for number, value in fields(self.data, *where):
            if number == 1:
                for inner, shape in fields(self.data, *span(value, "a type")):
                    if inner == 2:
                        return tuple(self.sizes(span(shape, "a shape")))
        return None

    def sizes(self, where: Span) -> Iterator[int | str]:
        """TensorShapeProto: each size, or the name of an open one."""
        for number, value in fields(self.data, *where):
            if number == 1:
                size: int | str = ""
                for inner, entry in fields(self.data, *span(value, "a size")):
                    if inner == 1:
                        size = whole(entry, "a size")
                    elif inner == 2:
                        size = self.text(entry, "a size's name")
                yield size if isinstance(size, str) or size > 0 else ""
