"""The graph of an archive as the graph of an ONNX file: tensors, inputs, outputs, and nodes of known operators.

Schema: torch/_export/serde/schema.py. The archive says the sizes of every value; they are what unknown operators make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

from convcli.errors import ConvError
from convcli.networks.exported.aten import translated
from convcli.networks.exported.calling import Calling, Named, Names, argument
from convcli.networks.exported.fields import Fields, as_fields, damaged
from convcli.networks.onnx.model import (
    MAXIMUM_DEPTH,
    MAXIMUM_DIMENSION,
    MAXIMUM_RANK,
    Dims,
    Graph,
    Model,
    Node,
    Port,
    Tensor,
)
from convcli.networks.onnx.wire import Buffer, Span

MAJOR = 8
"""The version of the schema that PyTorch 2.13 writes; another one may mean another thing by the same words."""
OPSETS = {"": 23}
"""Operators are those of ONNX as they are today."""
DTYPES = {
    1: 2,
    2: 3,
    3: 5,
    4: 6,
    5: 7,
    6: 10,
    7: 1,
    8: 11,
    10: 14,
    11: 14,
    12: 9,
    13: 16,
    28: 4,
    29: 17,
    30: 19,
    31: 18,
    32: 20,
    34: 12,
    35: 13,
}
"""ScalarType -> TensorProto.DataType."""
ITEMS = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2, 17: 1, 18: 1, 19: 1, 20: 1}
"""Bytes of a number of each type."""
INLINED = ("torch.ops.higher_order.wrap_with_set_grad_enabled", "torch.ops.higher_order.wrap_with_autocast")
"""Calls of a graph inside of the graph that change nothing here: torch.no_grad() and torch.autocast()."""
OWNED = {
    "parameter": "parameter_name",
    "buffer": "buffer_name",
    "tensor_constant": "tensor_constant_name",
}
"""Inputs of the graph that are tensors of the model, and the member with their names."""


class Payload(NamedTuple):
    """The numbers of a tensor: the member of the archive, its sizes and strides, and where its bytes are."""

    path: str
    meta: Fields
    data: Buffer
    where: Span | None


def model_of(program: Fields, payloads: Mapping[str, Payload]) -> Model:
    """The model that the JSON of an archive says."""
    version = program.fields("schema_version")
    if version.whole("major") != MAJOR:
        raise ConvError(
            f"has version {version.whole('major')}.{version.whole('minor')} of torch.export's schema; version {MAJOR} "
            "is read, that of PyTorch 2.13",
            "unknown-format",
        )
    module = program.fields("graph_module")
    reading = Reading(module.fields("graph"), module.fields("signature"), payloads)
    return Model(reading.graph(), {}, OPSETS, "torch.export")


class Reading:
    """One graph, whose names become those of weights where they are weights."""

    def __init__(self, graph: Fields, signature: Fields, payloads: Mapping[str, Payload]) -> None:
        self.fields, self.signature, self.payloads = graph, signature, payloads
        self.dims = dims_of(graph)
        self.types = {name: DTYPES.get(meta.whole("dtype"), 0) for name, meta in graph.pairs("tensor_values")}
        self.tensors: dict[str, Tensor] = {}
        self.owned: dict[str, str] = {}
        self.inputs: list[Port] = []
        self.firsts: dict[tuple[str, str], str] = {}
        for key, payload in payloads.items():
            self.firsts.setdefault(place_of(payload), key)
        for kind, spec in (self.choice(each) for each in signature.rows("input_specs")):
            self.take(kind, spec)
        self.names = Names(self.owned, self.tensors.keys())

    def choice(self, spec: Fields) -> tuple[str, Fields]:
        """What an input or output is, and what is said of it."""
        kind, said = spec.only()
        return kind, as_fields(said, kind)

    def take(self, kind: str, spec: Fields) -> None:
        """One input of the graph: a tensor of the model, or an input of the user."""
        if kind in OWNED:
            name, key = spec.fields("arg").text("name"), spec.text(OWNED[kind])
            tensor = self.tensor(name, key)._replace(is_trained=kind == "parameter")
            same = self.twin(key)
            self.tensors[key] = tensor
            self.owned[name] = same if same in self.tensors else key
        elif kind == "user_input":
            found = argument(spec.fields("arg"))
            if isinstance(found, Named):
                self.inputs.append(Port(found.name, self.port(found.name)))

    def twin(self, key: str) -> str:
        """The first tensor with the same numbers: a weight that two layers share is one."""
        mine = self.payloads.get(key)
        is_there = mine is not None and mine.where is not None and mine.where[0] < mine.where[1]
        return self.firsts[place_of(mine)] if mine is not None and is_there else key

    def tensor(self, name: str, key: str) -> Tensor:
        """A tensor of the model, with its bytes where they lie as they are."""
        dims = self.dims.get(name)
        if dims is None or any(not isinstance(n, int) for n in dims):
            raise damaged(f"the sizes of {key[:60]!r} are not said")
        sizes, dtype = tuple(n for n in dims if isinstance(n, int)), self.types[name]
        payload = self.payloads.get(key)
        if payload is None:
            return Tensor(key, sizes, dtype)
        order = order_of(payload, sizes)
        raw = None if order is None else raw_span(payload, sizes, dtype)
        return Tensor(key, sizes, dtype, payload.data, raw, order=order or ())

    def port(self, name: str) -> tuple[int | str, ...]:
        """The sizes of an input; names of those that are open."""
        return self.dims.get(name, ())

    def graph(self) -> Graph:
        """All of it."""
        body = Body(self.fields, self.names)
        nodes = tuple(body.nodes())
        last = Calling("", "outputs", (), (), self.names, self.dims)
        outputs = tuple(Port(last.read(name)) for name in self.outputs())
        inputs = tuple(port._replace(name=self.names.of(port.name)) for port in self.inputs)
        return Graph((*nodes, *last.nodes), self.tensors, inputs, outputs, stated=body.stated)

    def outputs(self) -> Iterator[str]:
        """The outputs that a user gets and that are tensors."""
        for kind, spec in (self.choice(each) for each in self.signature.rows("output_specs")):
            if kind == "user_output":
                found = argument(spec.fields("arg"))
                if isinstance(found, Named) and found.name in self.dims:
                    yield found.name


class Body:
    """The calls of a graph, or of one inside of it, as nodes; `stated` are the sizes of all its values."""

    def __init__(self, graph: Fields, names: Names, depth: int = 0) -> None:
        if depth > MAXIMUM_DEPTH:
            raise damaged(f"more than {MAXIMUM_DEPTH} graphs inside each other")
        self.graph, self.names, self.depth = graph, names, depth
        self.dims = dims_of(graph)
        self.stated = {names.of(name): known(dims) for name, dims in self.dims.items()}

    def nodes(self) -> Iterator[Node]:
        """What each call of PyTorch is in nodes of ONNX: one, mostly."""
        for node in self.graph.rows("nodes"):
            target, name = node.text("target"), node.text("name")
            given = [(each.text("name"), each.fields("arg")) for each in node.rows("inputs")]
            arguments = [(key, argument(each)) for key, each in given]
            outputs = [argument(each) for each in node.rows("outputs")]
            calling = Calling(target, name, arguments, outputs, self.names, self.dims)
            inner = next((each.fields("as_graph") for _, each in given if "as_graph" in each.found), None)
            if target in INLINED and inner is not None:
                yield from self.inlined(calling, inner.fields("graph"))
            else:
                yield from (each._replace(scope=scope_of(node)) for each in translated(calling))

    def inlined(self, calling: Calling, graph: Fields) -> Iterator[Node]:
        """The calls of a graph inside of this one, in the place of the call that runs it."""
        given = calling.tensors()
        yield from calling.nodes
        wanted = (argument(each) for each in graph.rows("inputs"))
        inputs = [each.name for each in wanted if isinstance(each, Named)]
        inside = Names(dict(zip(inputs, given, strict=False)), (), f"{calling.name}/")
        body = Body(graph, inside, self.depth + 1)
        yield from body.nodes()
        made = (argument(each) for each in graph.rows("outputs"))
        last = Calling("", f"{calling.name}/outputs", (), (), inside, body.dims)
        outputs = [last.read(each.name) for each in made if isinstance(each, Named)]
        yield from last.nodes
        self.stated.update(body.stated)
        self.names.owned.update(zip(calling.results, outputs, strict=False))


def dims_of(graph: Fields) -> dict[str, tuple[int | str, ...]]:
    """The sizes of all values of a graph."""
    return {name: tuple(sizes_of(meta)) for name, meta in graph.pairs("tensor_values")}


def place_of(payload: Payload) -> tuple[str, str]:
    """Which numbers a tensor has: those of the same member, from the same place on, in the same sizes."""
    meta = payload.meta.found
    return payload.path, f"{meta.get('storage_offset')} {meta.get('sizes')} {meta.get('strides')}"


def sizes_of(meta: Fields) -> Iterator[int | str]:
    """The sizes of a tensor; of those that are open, their names."""
    rows = meta.rows("sizes")
    if len(rows) > MAXIMUM_RANK:
        raise damaged(f"a tensor of {len(rows)} dimensions")
    for each in rows:
        kind, said = each.only()
        if kind == "as_int":
            size = each.whole("as_int")
            if not 0 <= size <= MAXIMUM_DIMENSION:
                raise damaged(f"a tensor of size {size}")
            yield size
        else:
            text = as_fields(said, "a size").found.get("expr_str")
            yield symbol(text) if isinstance(text, str) else ""


def symbol(text: str) -> str:
    """The name of an open size.

    >>> symbol("Symbol('s77', positive=True, integer=True)"), symbol("Mul(Integer(2), Symbol('s77'))")
    ('s77', '')
    """
    found = text.removeprefix("Symbol('").partition("'")[0]
    return found if text.startswith("Symbol('") and len(found) < 40 else ""


def known(dims: tuple[int | str, ...]) -> Dims:
    """Sizes, None for those that are open."""
    return tuple(n if isinstance(n, int) else None for n in dims)


def order_of(payload: Payload, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The dimensions of a tensor as its numbers lie, such as channels last; () where that is its own order.

    None where numbers lie apart, or one stands for several.
    """
    steps = [each.whole("as_int") for each in payload.meta.rows("strides")]
    if len(steps) != len(sizes):
        return None
    longer = [i for i, n in enumerate(sizes) if n != 1]
    order = sorted(longer, key=lambda i: -steps[i])
    if any(steps[axis] != prod(sizes[i] for i in order[at + 1 :]) for at, axis in enumerate(order)):
        return None
    return () if order == longer else (*(i for i, n in enumerate(sizes) if n == 1), *order)


def raw_span(payload: Payload, sizes: tuple[int, ...], dtype: int) -> Span | None:
    """The bytes of a tensor, where they are in the archive."""
    if payload.where is None or dtype not in ITEMS:
        return None
    start = payload.where[0] + payload.meta.fields("storage_offset").whole("as_int") * ITEMS[dtype]
    end = start + prod(sizes) * ITEMS[dtype]
    return (start, end) if payload.where[0] <= start and end <= payload.where[1] else None


def scope_of(node: Fields) -> str:
    """The module that a call stands in: layer1.0.conv1."""
    stack = node.fields("metadata").found.get("nn_module_stack")
    last = stack.rpartition(";")[2].split(",") if isinstance(stack, str) else []
    return last[1].partition("@")[0] if len(last) > 1 else ""
