"""Graphs as tables for people and as plain data for programs: names, sources, scopes, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from convcli.errors import UsageError
from convcli.networks.advice import advice
from convcli.networks.costs import Convention, Cost, together
from convcli.networks.network import Shape
from convcli.networks.onnx.graph import Sums, as_trace, peak_elements, refuse_unknown, step_cost, sums
from convcli.networks.onnx.layers import shape_of
from convcli.networks.onnx.walk import WORKING, GraphStep, Walked
from convcli.networks.told.json import cost_dict, fields_dict
from convcli.networks.told.shares import Share, graph_shares
from convcli.networks.told.tables import (
    Listing,
    cost_cells,
    fields_text,
    jumps_text,
    memory_line,
    shape_row,
)
from convcli.networks.trace import Fields
from convcli.tables import Table

RESIZING = ("resize", "shuffle", "unshuffle", "pad")
AT_LEAST = "at least"
INDENT = "  "


class Part(NamedTuple):
    """Which rows are shown: every node or those that matter; a tree of so many levels; by scope, by kind, or one scope.

    `depth` 0 and an empty `group` ask for nodes.
    """

    every: bool = False
    depth: int = 0
    group: str = ""


NODES = Part()


class Row(NamedTuple):
    """One row: what it is called, and the steps that it stands for, the last of which gives sizes and fields."""

    name: str
    steps: tuple[int, ...]
    level: int = 0


class GraphListing(Listing):
    """A graph on its inputs, with its costs."""

    def __init__(self, graph: Walked, convention: Convention, notes: tuple[str, ...] = (), part: Part = NODES) -> None:
        super().__init__(as_trace(graph), convention._replace(batch=1), notes)
        self.graph, self.part = graph, part

    @property
    def whole(self) -> GraphListing:
        """The same; rows of graphs are never folded."""
        return self

    @cached_property
    def costs(self) -> list[Cost]:
        """The cost of each step."""
        return [step_cost(step, self.convention) for step in self.graph.steps]

    @cached_property
    def total(self) -> Cost:
        """The cost of all steps, products of two activations left out."""
        return together(self.costs)

    @property
    def at_least(self) -> bool:
        """True where the cost of some node is not known."""
        return not self.graph.is_complete

    @property
    def spent(self) -> Cost:
        """The cost of all steps, with products of two activations and all parameters."""
        every = sums(self.graph.steps)
        total = self.total
        return total._replace(
            macs=total.macs + every.products,
            flops=total.flops + 2 * every.products,
            params=total.params + every.others,
        )

    def check_complete(self) -> None:
        """Refuse a graph of which some costs are not known."""
        error = refuse_unknown(self.graph, self.total.macs)
        if error:
            raise error

    @property
    def peak(self) -> int:
        """The most bytes of activations alive at once."""
        return self.bytes(peak_elements(self.graph))

    @property
    def shares(self) -> list[Share]:
        """What each row stands for."""
        return list(graph_shares(self))

    @property
    def sentence(self) -> str:
        """How things are counted."""
        sizes = next(iter(self.graph.inputs.values()), (1,))
        batch = sizes[0] if len(sizes) > 1 else 1
        return self.convention._replace(batch=batch).sentence(self.trace.input)

    @property
    def output(self) -> Shape:
        """The first output of the graph."""
        return next((shape_of(value.dims) for value in self.graph.outputs.values()), self.trace.output)

    @property
    def fields(self) -> Fields:
        """The receptive fields of the first output."""
        source = next((value.source for value in self.graph.outputs.values()), None)
        return self.trace.steps[source].fields if source is not None and source >= 0 else ()

    def shape_table(self, title: str) -> Table:
        """Sizes, padding, dropped columns and receptive fields of every row."""
        rows: list[list[object]] = []
        for row, source in zip(self.rows, readers_of(self), strict=True):
            step = self.trace.steps[row.steps[-1]]
            _, output, pad, dropped, extent, field, _, start = shape_row(step)
            jump = jump_text(self, row)
            rows.append([row.name, row_word(self, row), output, *source, pad, dropped, extent, field, jump, start])
        columns = ["node", "layer", "output", *where(self), "pad", "dropped", "K", "receptive field", "jump", "start"]
        notes = [outputs_line(self), *advice(self.trace), cost_line(self)]
        return Table(columns, rows, title, [*notes, *remarks(self)])

    def cost_table(self, title: str) -> Table:
        """Parameters, MACs, FLOPs and memory of every row."""
        rows: list[list[object]] = []
        for row, source in zip(self.rows, readers_of(self), strict=True):
            cost = together(self.costs[i] for i in row.steps)
            rows.append([row.name, row_word(self, row), output_text(self, row), *source, *cost_cells(self, cost)])
        columns = ["node", "layer", "output", *where(self), "params", "MACs", "FLOPs", "share %", "real MACs"]
        columns += ["activations KiB", "FLOP/byte"]
        name = f"total, {AT_LEAST}" if self.at_least else "total"
        footer = [name, "", str(self.output), *("" for _ in where(self)), *cost_cells(self, self.total)]
        notes = [self.sentence, "FLOP = 2 per MAC; real MACs do not fall on padding", memory_line(self)]
        return Table(columns, rows, title, [*notes, *kind_lines(self), *remarks(self)], footer)

    def as_dict(self, *, with_algorithms: bool) -> dict[str, Any]:
        """A graph as plain data: what designs have, and names, sources, scopes, kinds, and what is not known."""
        told, graph = super().as_dict(with_algorithms=with_algorithms), self.graph
        layers = [told["layers"][i] | node_dict(self, i) for i in range(len(graph.steps))]
        every = sums(graph.steps)
        told["total"] |= {
            "output": output_list(next(iter(graph.outputs.values())).dims) if graph.outputs else None,
            "outputs": {name: value.dims for name, value in graph.outputs.items()},
            "at_least": self.at_least,
            "params_other": every.others,
            "macs_products": every.products,
            "by_kind": {
                name: sums(graph.steps[i] for i in some)._asdict() for name, some in families(graph.steps).items()
            },
        }
        return told | {
            "inputs": graph.inputs,
            "layers": layers,
            "groups": [group_dict(self, row) for row in self.rows] if is_grouped(self) else [],
            "unsupported": graph.unsupported,
            "warnings": [*advice(self.trace), *remarks(self)],
        }

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of a table."""
        return list(rows_of(self))


# --- rows


def rows_of(listing: GraphListing) -> Iterator[Row]:
    """The rows that are asked for."""
    steps, part = listing.graph.steps, listing.part
    if part.group == "kind":
        yield from by_kind(steps)
    elif part.group == "scope":
        yield from scopes(steps)
    elif part.depth:
        yield from tree(steps, part.depth, part.group)
    else:
        inside = [i for i, step in enumerate(steps) if is_inside(step.scope, part.group)]
        if not inside:
            raise UsageError(
                f"no node is in {part.group!r}; use scope, kind, or a name that --depth shows", where="--group"
            )
        yield from (Row(steps[i].name, (i,)) for i in inside if part.every or matters(steps[i]))


def matters(step: GraphStep) -> bool:
    """True for layers with weights, joins, and what changes sizes by a window or a factor."""
    if step.family in (*WORKING, "pooling", "unknown") or step.kind in RESIZING:
        return True
    return step.family == "join" and len(step.sources) > 1


def is_inside(scope: str, group: str) -> bool:
    """
    >>> is_inside("layer1.0.conv1", "layer1.0"), is_inside("layer10", "layer1"), is_inside("a", "")
    (True, False, True)
    """
    return not group or scope == group or scope.startswith(f"{group}.")


def by_kind(steps: Sequence[GraphStep]) -> Iterator[Row]:
    """A row for each family of operators."""
    yield from (Row(name, found) for name, found in families(steps).items())


def families(steps: Sequence[GraphStep]) -> dict[str, tuple[int, ...]]:
    """The steps of each family, those that cost most first."""
    found: dict[str, list[int]] = {}
    for i, step in enumerate(steps):
        found.setdefault(step.family, []).append(i)
    order = sorted(found.items(), key=lambda each: -sum(steps[i].macs + steps[i].products for i in each[1]))
    return {name: tuple(some) for name, some in order}


def scopes(steps: Sequence[GraphStep]) -> Iterator[Row]:
    """A row for each module around layers: layer1.0 for layer1.0.conv1."""
    found: dict[str, list[int]] = {}
    for i, step in enumerate(steps):
        found.setdefault(step.scope.rpartition(".")[0] or step.scope or "(top)", []).append(i)
    yield from (Row(name, tuple(some)) for name, some in found.items())


def tree(steps: Sequence[GraphStep], depth: int, group: str) -> Iterator[Row]:
    """A row for each module down to a depth, indented by its level."""
    found: dict[str, list[int]] = {}
    for i, step in enumerate(steps):
        if is_inside(step.scope, group):
            parts = (step.scope or "(top)").split(".")
            for level in range(1, min(depth, len(parts)) + 1):
                found.setdefault(".".join(parts[:level]), []).append(i)
    order = {name: place for place, name in enumerate(found)}
    for name in sorted(
        found, key=lambda name: [order[".".join(name.split(".")[: i + 1])] for i in range(name.count(".") + 1)]
    ):
        level = name.count(".")
        yield Row(f"{INDENT * level}{name}", tuple(found[name]), level)


def where(listing: GraphListing) -> list[str]:
    """The column that says where a row reads from; rows of several nodes have none."""
    return [] if is_grouped(listing) else ["from"]


def readers_of(listing: GraphListing) -> list[list[str]]:
    """For each row a cell with the rows and inputs that it reads from, by name."""
    if is_grouped(listing):
        return [[] for _ in listing.rows]
    shown, names = {row.steps[-1]: row.name for row in listing.rows}, list(listing.graph.inputs)
    found = (origins(listing.graph.steps, row.steps[-1], shown, names) for row in listing.rows)
    return [[", ".join(dict.fromkeys(some))] for some in found]


def is_grouped(listing: GraphListing) -> bool:
    """True where a row stands for several nodes."""
    return bool(listing.part.depth) or listing.part.group in ("scope", "kind")


def origins(steps: Sequence[GraphStep], at: int, shown: dict[int, str], inputs: Sequence[str]) -> Iterator[str]:
    """The nearest rows before a step, and inputs."""
    waiting, seen = list(reversed(steps[at].sources)), set[int]()
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        if source < 0:
            yield inputs[-1 - source] if -1 - source < len(inputs) else "?"
        elif source in shown:
            yield shown[source]
        else:
            waiting += reversed(steps[source].sources)


# --- tables


def row_word(listing: GraphListing, row: Row) -> str:
    """What a row stands for: its layer, or how many nodes."""
    count = len(row.steps)
    return listing.trace.steps[row.steps[-1]].word if count == 1 else nodes_text(count)


def output_text(listing: GraphListing, row: Row) -> str:
    """The sizes that a row makes."""
    return str(listing.trace.steps[row.steps[-1]].output)


def jump_text(listing: GraphListing, row: Row) -> str | int | None:
    """The jump, marked where paths with other ones meet."""
    step = listing.graph.steps[row.steps[-1]]
    jump = jumps_text(step.fields)
    return f"{jump} (differs)" if any(what == "strides" for what, _ in step.misaligned) else jump


def outputs_line(listing: GraphListing) -> str:
    """The outputs of the graph by name."""
    outputs = [f"{name} {shape_of(value.dims)}" for name, value in listing.graph.outputs.items()]
    seen = fields_text(listing.fields)
    return f"output {', '.join(outputs)}" + (f"; receptive field {seen}" if seen is not None else "")


def cost_line(listing: GraphListing) -> str:
    """The costs in one line."""
    total, least = listing.total, f"{AT_LEAST} " if listing.at_least else ""
    return f"{least}{total.params:,} parameters, {least}{total.macs:,} MACs"


def kind_lines(listing: GraphListing) -> Iterator[str]:
    """What each kind of layer takes, and what the total leaves out."""
    steps = listing.graph.steps
    for name, some in families(steps).items():
        each = sums(steps[i] for i in some)
        if each.params or each.macs:
            yield f"{name}: {nodes_text(each.steps)}, {each.params:,} parameters, {each.macs:,} MACs"
    every = sums(steps)
    if every.products:
        count = sum(1 for step in steps if step.products)
        yield (
            f"apart from that {every.products:,} MACs in {count} products of two activations (attention): "
            f"{every.macs + every.products:,} in all"
        )
    if every.others:
        yield (
            f"apart from that {every.others:,} parameters of normalisations, scales and tables: "
            f"{every.params + every.others:,} in all"
        )


def nodes_text(count: int) -> str:
    """
    >>> nodes_text(1), nodes_text(1200)
    ('1 node', '1,200 nodes')
    """
    return f"{count:,} node{'' if count == 1 else 's'}"


def remarks(listing: GraphListing) -> Iterator[str]:
    """What is not known, and how it was bounded."""
    unsupported = listing.graph.unsupported
    if unsupported:
        named = ", ".join(f"{name} ({n})" for name, n in unsupported.items())
        unsized = any(step.is_unsupported and not step.is_sized for step in listing.graph.steps)
        what = "neither their sizes and costs are known, nor the sizes behind them"
        yield f"unknown operators: {named}; {what if unsized else 'their costs are not known'}"
    yield from listing.graph.remarks
    if listing.at_least:
        lacking = sum(1 for step in listing.graph.steps if not step.is_known)
        yield f"totals are {AT_LEAST} what is said: the cost of {nodes_text(lacking)} is not known"
    yield from listing.notes


# --- plain data


def node_dict(listing: GraphListing, i: int) -> dict[str, Any]:
    """What a node has beside what a layer has."""
    step, names = listing.graph.steps[i], list(listing.graph.inputs)
    return {
        "operator": step.operator,
        "scope": step.scope,
        "from": [listing.graph.steps[s].name if s >= 0 else names[-1 - s] for s in step.sources],
        "output": output_list(step.dims),
        "shape": step.dims,
        "params_other": step.others,
        "macs_products": step.products,
        "known": step.is_known and step.is_sized,
        "misaligned": step.misaligned,
    }


def output_list(dims: Sequence[int | None] | None) -> list[int | None] | None:
    """The sizes behind the batch; null where unknown."""
    return None if dims is None else list(dims[1:] if len(dims) > 1 else dims)


def group_dict(listing: GraphListing, row: Row) -> dict[str, Any]:
    """A row that stands for several nodes."""
    cost = together(listing.costs[i] for i in row.steps)
    some: Sums = sums(listing.graph.steps[i] for i in row.steps)
    last = listing.trace.steps[row.steps[-1]]
    return {
        "name": row.name.strip(),
        "level": row.level,
        "nodes": some.steps,
        "macs_products": some.products,
        "params_other": some.others,
        **cost_dict(listing, cost),
        **fields_dict(last.fields),
    }
