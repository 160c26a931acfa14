"""A graph at work on inputs: one step for each node that depends on them, with sizes and costs.

What no input changes (weights, shapes) is followed as constants, and makes no step.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from convcli.errors import ConvError
from convcli.networks.banks import Bank
from convcli.networks.layers import Work
from convcli.networks.onnx.call import Call, Known, Made, Unknown, Value, count, known
from convcli.networks.onnx.flows import misaligned_paths, outputs_seen
from convcli.networks.onnx.fold import folded, result_type
from convcli.networks.onnx.model import MAXIMUM_DEPTH, Dims, Function, Graph, Model, Node, Reference, Tensor
from convcli.networks.onnx.operators import Operator, operator
from convcli.networks.onnx.seen import Seen, fields_of, image_seen, lost_of
from convcli.networks.onnx.sequences import SEQUENCES, Sequencing
from convcli.networks.onnx.stated import agreed, fits
from convcli.networks.receptive import Field

MAXIMUM_NODES = 100_000
"""Nodes that are followed, those in functions and bodies of loops as often as they are called."""
FEW = 64
"""Floats of an initializer that may be scales or limits; integers are kept up to `MAXIMUM_FOLDED`."""
WORKING = ("convolution", "linear", "recurrent", "product")
"""Families that multiply and add."""
CONTROL = ("If", "Loop", "Scan")
ADDED = ("Add", "Mul", "Concat")
"""Joins whose constant operand is a parameter: a bias, a scale, a token; Sub and Div normalise the input."""
PICKING = ("Gather", "GatherND", "GatherElements", "index", "index_select")
"""Operators that pick entries of a table by their places."""

ANONYMOUS = "onnx::"
"""How the names begin that PyTorch gives to what it computed at export."""


class GraphStep(NamedTuple):
    """One node at work.

    `sources` are the steps whose outputs it reads, -1, -2, ... for inputs. `params` are weights and biases that no step
    before it has; `others` are scales, shifts, tokens and tables. In a loop it runs `times` times. `is_known` says
    whether its cost is. `seen` is what its first output sees, for each axis of the image; `misaligned` is what the
    paths of a join differ in.
    """

    node: Node
    kind: str
    family: str
    sources: tuple[int, ...]
    inputs: tuple[Value | None, ...]
    outputs: tuple[Dims | None, ...]
    made: Made
    scope: str
    params: int = 0
    others: int = 0
    times: int = 1
    is_known: bool = True
    seen: Seen | None = None
    misaligned: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The node's name; without one, that of what it makes."""
        return self.node.name or next(filter(None, self.node.outputs), self.node.operator)

    @property
    def banks(self) -> tuple[Bank, ...]:
        """Its filter banks."""
        return self.made.banks

    @property
    def macs(self) -> int:
        """Multiply-adds with weights."""
        return self.times * sum(bank.macs for bank in self.banks)

    @property
    def products(self) -> int:
        """Multiply-adds of two values that both depend on the input."""
        return self.times * self.made.products

    @property
    def work(self) -> tuple[Work, ...]:
        """Operations that are no multiply-adds."""
        return self.made.work

    @property
    def dims(self) -> Dims | None:
        """The sizes of its first output."""
        return self.outputs[0] if self.outputs else None

    @property
    def fields(self) -> tuple[Field | None, ...]:
        """The receptive field of its first output, for each axis of the image."""
        return fields_of(self.seen)

    @property
    def operator(self) -> str:
        """The operator with the domain that it is of, where that is not the standard one."""
        return ".".join(filter(None, (self.node.domain, self.node.operator)))

    @property
    def is_unsupported(self) -> bool:
        """True where nothing is known of its operator."""
        return self.family == "unknown"

    @property
    def is_sized(self) -> bool:
        """True where the sizes of its first output are all known."""
        return self.dims is not None and None not in self.dims


class Walked(NamedTuple):
    """All steps of a graph on its inputs, its outputs by name, and what must be said of them.

    `unsupported` are operators of which nothing is known, with how many nodes use them. `remarks` say what was bounded.
    """

    inputs: Mapping[str, tuple[int, ...]]
    steps: tuple[GraphStep, ...]
    outputs: Mapping[str, Value]
    unsupported: Mapping[str, int]
    remarks: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """True where totals are exact, not "at least"."""
        return all(step.is_known for step in self.steps)


def walk(model: Model, inputs: Mapping[str, tuple[int, ...]]) -> Walked:
    """A model at work on inputs of those sizes."""
    walking = Walk(model)
    if all(fits(port, inputs.get(port.name)) for port in model.graph.inputs):
        walking.stated = model.graph.stated
    values = {
        name: Value(sizes, -1 - i, seen=image_seen(sizes) or None) for i, (name, sizes) in enumerate(inputs.items())
    }
    walking.lost = next((lost_of(value.seen) for value in values.values() if value.seen), None)
    outputs = walking.graph(model.graph, dict(values), {}, model.opsets)
    named = {port.name: value for port, value in zip(model.graph.outputs, outputs, strict=True)}
    return Walked(inputs, tuple(walking.steps), named, walking.unsupported, tuple(walking.remarks))


class Walk:
    """The state of a walk: the steps so far, which initializers were counted, and how deep it is."""

    def __init__(self, model: Model) -> None:
        self.functions = model.functions
        self.steps: list[GraphStep] = []
        self.remarks: list[str] = []
        self.unsupported: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.counted: set[str] = set()
        self.linear: dict[int, tuple[int, int]] = {}
        self.linear_constants: dict[str, int] = {}
        self.depth = self.made = 0
        self.times = 1
        self.lost: Seen | None = None
        self.stated: Mapping[str, Dims] = {}

    # --- graphs

    def graph(self, graph: Graph, values: Known, bound: Mapping[str, object], opsets: Mapping[str, int]) -> list[Value]:
        """The outputs of a graph; `values` are its inputs, and all that is around it."""
        self.nodes(graph.nodes, graph.tensors, values, bound, opsets)
        return [self.named(port.name, graph.tensors, values) or Value(None) for port in graph.outputs]

    def nodes(
        self,
        nodes: Sequence[Node],
        tensors: Mapping[str, Tensor],
        values: Known,
        bound: Mapping[str, object],
        opsets: Mapping[str, int],
    ) -> None:
        """Nodes one after the other; each adds what it makes to the values."""
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            raise ConvError(f"more than {MAXIMUM_DEPTH} functions or graphs inside each other", "corrupt")
        for node in nodes:
            self.made += 1
            if self.made > MAXIMUM_NODES:
                raise ConvError(f"has more than {MAXIMUM_NODES:,} nodes", "too-large")
            inputs = [self.named(name, tensors, values) for name in node.inputs]
            given = with_attributes(node, bound)
            try:
                outputs = self.node(given, inputs, values, opsets)
            except ConvError as error:
                raise error if error.message.startswith("node ") else at_node(error, node) from None
            values.update((name, value) for name, value in zip(node.outputs, outputs, strict=False) if name)
        self.depth -= 1

    def named(self, name: str, tensors: Mapping[str, Tensor], values: Known) -> Value | None:
        """A value by its name; None where an input is left out."""
        if not name:
            return None
        found = values.get(name)
        if found is None:
            tensor = tensors.get(name)
            if tensor is None:
                raise ConvError(f"reads {name!r}, which nothing makes", "corrupt")
            found = values[name] = self.initializer(tensor)
        return found

    def initializer(self, tensor: Tensor) -> Value:
        """A tensor of the file as a constant."""
        key = f"{self.depth} {tensor.name}"
        self.sizes[key] = tensor.size
        is_short = not tensor.is_floating or tensor.size <= FEW
        numbers = tensor.numbers() if is_short else None
        origins = frozenset((key,) if tensor.is_trained else ())
        return Value(tensor.dims, None, numbers, tensor.dtype, origins)

    # --- nodes

    def node(self, node: Node, inputs: list[Value | None], values: Known, opsets: Mapping[str, int]) -> list[Value]:
        """What a node makes."""
        function = self.functions.get((node.domain, node.operator))
        if function is not None:
            return self.called(function, node, inputs)
        if node.operator in CONTROL and not node.domain:
            return self.controlled(node, inputs, values, opsets)
        if node.operator in SEQUENCES and not node.domain:
            found = Sequencing(self, node, inputs, values, opsets).outputs()
            if found is not None:
                return found
        entry = operator(node.domain, node.operator)
        call = Call(node, inputs, opsets.get(node.domain, 1))
        made, is_known = self.ruled(entry, call)
        missing = len(node.outputs) - len(made.outputs)
        made = made._replace(outputs=(*made.outputs, *(None,) * missing)[: len(node.outputs)])
        if self.stated:
            both = zip(made.outputs, node.outputs, strict=True)
            made = made._replace(outputs=tuple(agreed(dims, self.stated.get(name)) for dims, name in both))
        typed = call.present[:1] if node.operator == "CastLike" else call.present  # the other input is only a type
        if node.operator in ("Shape", "Size") or all(each.is_constant for each in typed):
            if (made.banks or made.products) and node.outputs:  # of weights alone: computed at every run all the same
                if made.banks:
                    self.linear_constants[node.outputs[0]] = len(self.steps)
                self.stepped(entry, call, made, is_known=True)
            self.own_bias(call)
            return self.constants(entry, call, made)
        return self.stepped(entry, call, made, is_known=is_known)

    def ruled(self, entry: Operator | None, call: Call) -> tuple[Made, bool]:
        """What the rule of an operator says, and whether its cost is known."""
        if entry is None:
            name = ".".join(filter(None, (call.node.domain, call.node.operator)))
            self.unsupported[name] = self.unsupported.get(name, 0) + 1
            return Made(()), False
        try:
            made = entry.rule(call)
        except Unknown:
            return Made(()), entry.family not in WORKING
        costs = bool(made.banks or made.products) or entry.family not in WORKING
        return made, costs or all(count(dims) or is_empty(dims) for dims in made.outputs[:1])

    def constants(self, entry: Operator | None, call: Call, made: Made) -> list[Value]:
        """Constants from constants, with their numbers while these are few."""
        sizes = [None if dims is None or None in dims else known(dims) for dims in made.outputs]
        numbers = folded(call, sizes) if entry else [None] * len(sizes)
        origins, dtype = self.origins(entry, call), result_type(call)
        table = call.node.operator in PICKING or any(value.is_looked_up for value in call.present)
        return [
            Value(dims, None, some, dtype, origins, is_looked_up=table and bool(origins))
            for dims, some in zip(made.outputs, numbers, strict=True)
        ]

    def origins(self, entry: Operator | None, call: Call) -> frozenset[str]:
        """The initializers that a constant is made of: what moves or rescales numbers is not made of its settings."""
        if call.node.operator == "Constant":
            tensor = call.tensor("value")
            if tensor is None or not tensor.is_floating or tensor.size < 2:  # one number is a setting, not a weight
                return frozenset()
            key = f"{self.depth} {next(filter(None, call.node.outputs), '')}"
            self.sizes[key] = tensor.size
            return frozenset((key,))
        if call.node.operator in ("Shape", "Size"):
            return frozenset()
        first = {"shape": 1, "pooling": 1, "normalisation": 2}.get(entry.family if entry else "")
        read = call.present[:first]
        return frozenset().union(*(each.origins for each in read))

    def stepped(self, entry: Operator | None, call: Call, made: Made, *, is_known: bool) -> list[Value]:
        """A step, and the values that it makes."""
        sources = tuple(each.source for each in call.present if each.source is not None)
        family = entry.family if entry else "unknown"
        kind = made.kind or (entry.kind if entry else call.node.operator.lower())
        if family == "linear" and made.products:
            kind, family = "matmul", "product"
        params, others = self.parameters(family, call, made)
        seen, at = outputs_seen(made, call.inputs), len(self.steps)
        apart = misaligned_paths(call.inputs, made.outputs[0]) if family == "join" and seen and seen[0] else ()
        self.steps.append(
            GraphStep(
                *(call.node, kind, family, tuple(dict.fromkeys(sources)), call.inputs, made.outputs, made),
                *(
                    scope_of(call.node, call.inputs),
                    params,
                    others,
                    self.times,
                    is_known,
                    seen[0] if seen else None,
                    apart,
                ),
            )
        )
        if made.banks:
            self.linear[at] = at, made.banks[-1].outputs
        elif family == "shape" and len(sources) == 1 and sources[0] in self.linear:
            self.linear[at] = self.linear[sources[0]]
        pairs = zip(made.outputs, seen, strict=True)
        return [Value(dims, at, seen=each, port=port) for port, (dims, each) in enumerate(pairs)]

    # --- parameters

    def parameters(self, family: str, call: Call, made: Made) -> tuple[int, int]:
        """(weights and biases of a layer that multiplies and adds, all others) which no step before has."""
        if family in WORKING and (made.banks or not made.products):
            return sum(self.fresh(call.given(place)) for place in made.weights), 0
        if made.weights:
            return 0, sum(self.fresh(call.given(place)) for place in made.weights)
        if call.node.operator not in ADDED or call.node.domain:
            return 0, 0
        constant = [value for value in call.present if value.is_constant and value.origins and count(value.dims) > 1]
        if call.node.operator == "Add" and len(constant) == 1 and self.is_bias(call, constant[0]):
            return 0, 0
        return 0, sum(map(self.fresh, constant))

    def is_bias(self, call: Call, constant: Value) -> bool:
        """True for what is added to a layer that has as many outputs, which then owns it."""
        for value in call.present:
            at, outputs = self.linear.get(-1 if value.source is None else value.source, (0, 0))
            if outputs and outputs == count(constant.dims):
                self.steps[at] = self.steps[at]._replace(params=self.steps[at].params + self.fresh(constant))
                return True
        return False

    def own_bias(self, call: Call) -> None:
        """Give a bias that is added to a layer of constants to that layer."""
        at = next((self.linear_constants[name] for name in call.node.inputs if name in self.linear_constants), None)
        if at is None or call.node.operator != "Add":
            return
        biases = [each for each in call.present if count(each.dims) == self.steps[at].banks[-1].outputs]
        self.steps[at] = self.steps[at]._replace(params=self.steps[at].params + sum(map(self.fresh, biases)))

    def fresh(self, value: Value | None) -> int:
        """The numbers in the initializers of a constant that no step before has; each counts once."""
        if value is None or not value.is_constant:
            return 0
        new = value.origins - self.counted
        self.counted |= new
        copies = self.copies(value, new)
        return sum(self.sizes[origin] for origin in new if origin not in copies)

    def copies(self, value: Value, origins: frozenset[str]) -> set[str]:
        """Initializers that an exporter made of others, to reshape weights before it stored them: one of each size is
        enough. They have names of its own, such as onnx::ReduceMean_2450."""
        whole = sorted(origin for origin in origins if self.sizes[origin] == count(value.dims))
        made = [origin for origin in whole if origin.partition(" ")[2].startswith(ANONYMOUS)]
        return set(made if len(made) < len(whole) else made[1:])

    # --- functions and control

    def called(self, function: Function, node: Node, inputs: list[Value | None]) -> list[Value]:
        """A function of the file: its nodes in the place of the one that calls it."""
        values: Known = {name: value for name, value in zip(function.inputs, inputs, strict=False) if value is not None}
        bound = {**function.defaults, **node.attributes}
        body = [named_after(inner, node) for inner in function.nodes]
        self.nodes(body, MissingInputs(function.inputs), values, bound, function.opsets)
        return [values.get(name) or Value(None) for name in function.outputs]

    def controlled(
        self, node: Node, inputs: list[Value | None], values: Known, opsets: Mapping[str, int]
    ) -> list[Value]:
        """If, Loop and Scan."""
        from convcli.networks.onnx.control import Branching, looped, scanned

        if node.operator == "If":
            return Branching(self, node, inputs, values, opsets).outputs()
        return (looped if node.operator == "Loop" else scanned)(self, node, inputs, values, opsets)

    def inner(self, graph: Graph, values: Known, given: Mapping[str, Value], opsets: Mapping[str, int]) -> list[Value]:
        """The outputs of a graph inside of a node, which sees the values around it."""
        return self.graph(graph, ChainMap(dict(given), values), {}, opsets)


class MissingInputs(dict[str, Tensor]):
    """No tensors, but the inputs of a function that a call leaves out."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__((name, Tensor(name, (0,), 0)) for name in names)


def with_attributes(node: Node, bound: Mapping[str, object]) -> Node:
    """The node with the attributes that the function around it is called with."""
    if not any(isinstance(value, Reference) for value in node.attributes.values()):
        return node
    given = {
        key: bound.get(value.name) if isinstance(value, Reference) else value for key, value in node.attributes.items()
    }
    return node._replace(attributes={key: value for key, value in given.items() if value is not None})


def named_after(inner: Node, outer: Node) -> Node:
    """A node of a function, named after the node that calls it."""
    name = "/".join(filter(None, (outer.name, inner.name or inner.operator)))
    return inner._replace(name=name, scope=outer.scope or inner.scope)


def at_node(error: ConvError, node: Node) -> ConvError:
    """The error with the node that it is of."""
    name = node.name or next(filter(None, node.outputs), "")
    return ConvError(f"node {name!r} ({node.operator}): {error.message}", error.code, where=error.where)


def is_empty(dims: Dims | None) -> bool:
    """True for a value without any numbers."""
    return dims is not None and 0 in dims


# --- scopes


def scope_of(node: Node, inputs: Sequence[Value | None]) -> str:
    """The module that a node comes from, as PyTorch writes it: layer1.0.conv1.

    Names of nodes repeat the list that a module is in: /layer1/layer1.0/conv1/Conv.
    """
    if node.scope.startswith("["):
        parts = [part.strip(" '\"") for part in node.scope.strip("[]").split(",")]
        return next((part for part in reversed(parts[:-1]) if part), "")
    if node.scope:
        return node.scope
    path = before = ""
    for part in filter(None, node.name.split("/")[:-1]):
        inside = part == before or part.startswith(f"{before}.")
        path = path.removesuffix(before) + part if before and inside else ".".join(filter(None, (path, part)))
        before = part
    if path or len(inputs) < 2 or inputs[1] is None or len(inputs[1].origins) != 1:
        return path
    weights = next(iter(inputs[1].origins)).partition(" ")[2]
    return weights.rpartition(".")[0]
