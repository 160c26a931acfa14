"""Graphs inside of nodes: If runs one of two, Loop and Scan run one again and again.

Where an input decides which, or how often, the least is counted, and a remark says by how much that may be too low.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from convcli.errors import ConvError
from convcli.networks.onnx.call import INT64, Call, Known, Value
from convcli.networks.onnx.model import BOOL, Dims, Graph, Node
from convcli.networks.onnx.walk import GraphStep, Walk

UNBOUNDED = 2**63 - 1
"""What exporters write where a loop ends by its condition alone."""


class Kept(NamedTuple):
    """What one of several graphs made, set aside: its steps, and which initializers it counted."""

    outputs: list[Value]
    steps: list[GraphStep]
    counted: set[str]

    @property
    def macs(self) -> int:
        """Multiply-adds, with products."""
        return sum(step.macs + step.products for step in self.steps)


class Branching(NamedTuple):
    """An If at work."""

    walk: Walk
    node: Node
    inputs: list[Value | None]
    values: Known
    opsets: Mapping[str, int]

    def outputs(self) -> list[Value]:
        """What the branch that is taken makes; the cheaper one where the input decides."""
        condition = self.inputs[0] if self.inputs else None
        if condition is not None and condition.numbers and condition.numbers[0] is not None:
            return self.run("then_branch" if condition.numbers[0] else "else_branch")
        before, counted = len(self.walk.steps), set(self.walk.counted)
        both = []
        for name in ("then_branch", "else_branch"):
            self.walk.counted = set(counted)
            made = self.run(name)
            both.append(Kept(made, self.walk.steps[before:], self.walk.counted))
            del self.walk.steps[before:]
        return self.chosen(*sorted(both, key=lambda kept: kept.macs))

    def chosen(self, least: Kept, most: Kept) -> list[Value]:
        """The cheaper of two branches, with the sizes that both agree on."""
        self.walk.counted = least.counted
        is_known = least.macs == most.macs and all(step.is_known for step in most.steps)
        self.walk.steps += [step._replace(is_known=step.is_known and is_known) for step in least.steps]
        if not is_known:
            self.walk.steps.append(marker(self.walk, self.node))
            self.walk.remarks.append(
                f"{self.node.name or 'If'}: the input decides between {least.macs:,} and {most.macs:,} MACs; "
                "the fewer are counted"
            )
        pairs = zip(least.outputs, most.outputs, strict=False)
        source = max(len(self.walk.steps) - 1, -1)
        return [
            Value(agreed(one.dims, other.dims), source, seen=one.seen if one.seen == other.seen else self.walk.lost)
            for one, other in pairs
        ]

    def run(self, name: str) -> list[Value]:
        """One branch."""
        return self.walk.inner(body_of(self.node, name), self.values, {}, self.opsets)


def marker(walk: Walk, node: Node) -> GraphStep:
    """A step without numbers, whose cost is not known."""
    from convcli.networks.onnx.call import Made

    return GraphStep(node, node.operator.lower(), "unknown", (), (), (), Made(()), "", times=walk.times, is_known=False)


def agreed(one: Dims | None, other: Dims | None) -> Dims | None:
    """The sizes that two values have in common.

    >>> agreed((1, 3, 8), (1, 3, 4))
    (1, 3, None)
    """
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


def body_of(node: Node, name: str) -> Graph:
    """A graph in an attribute."""
    found = node.attributes.get(name)
    if not isinstance(found, Graph):
        raise ConvError(f"{node.operator} has no {name}", "corrupt")
    return found


# --- loops


def looped(walk: Walk, node: Node, inputs: list[Value | None], values: Known, opsets: Mapping[str, int]) -> list[Value]:
    """Loop: at most so many times, while a condition holds; values go from round to round, others pile up."""
    body = body_of(node, "body")
    limit, condition, *carried = (*inputs, None, None)[: max(2, len(inputs))]
    times = number(limit) if limit is not None else None
    if len(body.inputs) != 2 + len(carried) or len(body.outputs) < 1 + len(carried):
        raise ConvError("the body of its loop takes or makes other values than it is given", "corrupt")
    first = [Value((), numbers=None, dtype=INT64), Value((), numbers=(True,), dtype=BOOL)]
    outputs, steps = rounds(walk, body, first, [varying(walk, each) for each in carried], values, opsets)
    goes_on = (condition is None or number(condition) == 1) and number(outputs[0]) == 1
    turns = times if goes_on and times is not None and 0 <= times < UNBOUNDED else None
    counted(walk, node, steps, turns)
    held = [Value(each.dims, source_of(walk), seen=walk.lost) for each in outputs[1 : 1 + len(carried)]]
    piled = outputs[1 + len(carried) :]
    return held + [
        Value(None if each.dims is None else (turns, *each.dims), source_of(walk), seen=walk.lost) for each in piled
    ]


def scanned(
    walk: Walk, node: Node, inputs: list[Value | None], values: Known, opsets: Mapping[str, int]
) -> list[Value]:
    """Scan: once for each entry of an axis of its last inputs."""
    body, call = body_of(node, "body"), Call(node, inputs, opsets.get("", 1))
    scans = call.integer("num_scan_inputs", 1)
    held, read = inputs[: len(inputs) - scans], inputs[len(inputs) - scans :]
    if not 0 < scans <= len(inputs) or len(body.inputs) != len(inputs) or len(body.outputs) < len(held):
        raise ConvError("the body of its scan takes or makes other values than it is given", "corrupt")
    axes = call.integers("scan_input_axes") or (0,) * scans
    turns: int | None = None
    slices = []
    for value, axis in zip(read, axes, strict=False):
        dims = value.dims if value is not None else None
        if not dims:
            slices.append(varying(walk, None))
            continue
        place = call.dimension(axis, len(dims))
        turns = dims[place]
        slices.append(Value((*dims[:place], *dims[place + 1 :]), source_of(walk), seen=walk.lost))
    outputs, steps = rounds(
        walk, body, [], [*(varying(walk, each) for each in held), *slices], values, opsets, fixed=len(slices)
    )
    counted(walk, node, steps, turns)
    piled = outputs[len(held) :]
    return [Value(each.dims, source_of(walk), seen=walk.lost) for each in outputs[: len(held)]] + [
        Value(None if each.dims is None else (turns, *each.dims), source_of(walk), seen=walk.lost) for each in piled
    ]


def rounds(
    walk: Walk,
    body: Graph,
    first: list[Value],
    carried: list[Value],
    values: Known,
    opsets: Mapping[str, int],
    fixed: int = 0,
) -> tuple[list[Value], list[GraphStep]]:
    """One round of a loop with sizes that hold for every round, and its steps, taken off the walk.

    Sizes that a round changes are unknown, and the round is walked again with that. The last `fixed` ones do not go
    from round to round.
    """
    before, counted_before = len(walk.steps), set(walk.counted)
    names = [port.name for port in body.inputs]
    outputs: list[Value] = []
    for _ in range(2):
        walk.counted = set(counted_before)
        del walk.steps[before:]
        outputs = walk.inner(body, values, dict(zip(names, [*first, *carried], strict=True)), opsets)
        turning = len(carried) - fixed
        after = outputs[1 : 1 + turning] if first else outputs[:turning]
        merged = [
            old._replace(dims=agreed(old.dims, new.dims)) for old, new in zip(carried[:turning], after, strict=True)
        ]
        if merged == carried[:turning]:
            break
        carried = [*merged, *carried[turning:]]
    steps = walk.steps[before:]
    del walk.steps[before:]
    return outputs, steps


def counted(walk: Walk, node: Node, steps: list[GraphStep], turns: int | None) -> None:
    """Put the steps of a round back, as often as it runs; where that is unknown, not at all."""
    once = sum(step.macs + step.products for step in steps)
    walk.steps += [step._replace(times=step.times * (turns or 0)) for step in steps]
    if turns is None and (once or not all(step.is_known for step in steps)):
        walk.steps.append(marker(walk, node))
        walk.remarks.append(
            f"{node.name or node.operator}: the input decides how often it runs; each round takes {once:,} MACs, "
            "and none is counted"
        )


def varying(walk: Walk, value: Value | None) -> Value:
    """A value as one that differs from round to round: its numbers are those of no round."""
    if value is None:
        return Value(None, -1, seen=walk.lost)
    return Value(value.dims, -1 if value.source is None else value.source, seen=walk.lost)


def number(value: Value | None) -> int | None:
    """The one integer in a value, if it is known."""
    if value is None or not value.numbers or value.numbers[0] is None:
        return None
    return int(value.numbers[0])


def source_of(walk: Walk) -> int:
    """The last step, which a value of a loop comes from."""
    return len(walk.steps) - 1 if walk.steps else -1
