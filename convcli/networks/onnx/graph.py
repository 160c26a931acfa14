"""A model on inputs, as what the tables tell: a trace of steps with costs, scopes, and what is not known of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.networks.costs import Convention, Cost
from convcli.networks.onnx.call import Value
from convcli.networks.onnx.layers import applied, elements_of, layer_of, shape_of
from convcli.networks.onnx.model import Graph, Model, Port
from convcli.networks.onnx.walk import GraphStep, Walked, walk
from convcli.networks.trace import MISALIGNED, Remark, Step, Trace
from convcli.networks.words import format_layer

ALIASES = ("reshape", "flatten", "squeeze", "unsqueeze", "id", "cast")
IN_PLACE = ("activation", "normalisation")
SIZE = re.compile(r"(?:(?P<name>.+)=)?(?P<sizes>\d{1,10}(?:[x,]\d{1,10})*)", re.ASCII)
LARGEST = 2**31 - 1


class Asked(NamedTuple):
    """Sizes of inputs by name ("" for the only one), how many images where that is open, and where to stop."""

    sizes: Mapping[str, tuple[int, ...]]
    batch: int = 1
    upto: str = ""


def parse_sizes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The sizes that --input gives.

    >>> parse_sizes(["input=1x3x224x224", "1x8"])
    {'input': (1, 3, 224, 224), '': (1, 8)}
    """
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        said = SIZE.fullmatch(text.replace("×", "x"))
        sizes = tuple(map(int, re.split("[x,]", said["sizes"]))) if said else ()
        if not said or max(sizes) > LARGEST:
            raise UsageError(f"{text!r} is no size of an input; write NAME=1x3x224x224", "shape", where="--input")
        found[said["name"] or ""] = sizes
    return found


def graph_of(model: Model, asked: Asked) -> Walked:
    """A model on the inputs that its file says, and those that are asked for."""
    walked = walk(model, sized(model.graph, asked))
    return upto(walked, asked.upto) if asked.upto else walked


def sized(graph: Graph, asked: Asked) -> dict[str, tuple[int, ...]]:
    """The sizes of every input, which the file says or leaves open."""
    ports = [port for port in graph.inputs if port.name not in graph.tensors]
    wanted = dict(asked.sizes)
    if "" in wanted:
        if len(ports) != 1:
            names = ", ".join(port.name for port in ports)
            raise UsageError(f"the model has {len(ports)} inputs: {names}; write NAME=SIZE", "shape", where="--input")
        wanted[ports[0].name] = wanted.pop("")
    for name in wanted.keys() - {port.name for port in ports}:
        names = ", ".join(port.name for port in ports) or "none"
        raise UsageError(f"the model has no input {name!r}; its inputs: {names}", "shape", where="--input")
    return {port.name: input_size(port, wanted.get(port.name), asked.batch) for port in ports}


def input_size(port: Port, wanted: tuple[int, ...] | None, batch: int) -> tuple[int, ...]:
    """The size of one input."""
    if wanted is not None:
        if port.dims is not None and len(wanted) != len(port.dims):
            raise UsageError(
                f"{port.name!r} has {len(port.dims)} dimensions, {dims_text(port.dims)}, not {len(wanted)}",
                "shape",
                where="--input",
            )
        return wanted
    if port.dims is None:
        raise UsageError(f"input {port.name!r} says no size; give it: --input {port.name}=1x3x224x224", "shape")
    sizes = [batch if not i and isinstance(n, str) else n for i, n in enumerate(port.dims)]
    if any(isinstance(n, str) for n in sizes):
        example = "x".join(str(224 if isinstance(n, str) else n) for n in sizes)
        raise UsageError(
            f"input {port.name!r} is open, {dims_text(port.dims)}; say its size: --input {port.name}={example}", "shape"
        )
    if sizes and batch not in (1, sizes[0]) and not isinstance(port.dims[0], str):
        raise UsageError(
            f"the file says {dims_text(port.dims)}; use --input {port.name}=SIZE", "shape", where="--batch"
        )
    return tuple(int(n) for n in sizes)


def dims_text(dims: Sequence[int | str]) -> str:
    """The sizes of an input as the file says them.

    >>> dims_text((1, 3, "height", ""))
    '1x3xheightx?'
    """
    return "x".join(str(n) or "?" for n in dims)


def upto(walked: Walked, name: str) -> Walked:
    """The part of a graph that a node needs, which then is its output."""
    last = next((i for i, step in enumerate(walked.steps) if name in (step.name, *step.node.outputs)), None)
    if last is None:
        last = next((i for i, step in reversed([*enumerate(walked.steps)]) if step.scope == name), None)
    if last is None:
        from difflib import get_close_matches

        near = get_close_matches(name, [step.name for step in walked.steps], 1)
        hint = f"did you mean {near[0]!r}?" if near else "convcli shapes MODEL --all lists them"
        raise UsageError(f"the model has no node {name!r}; {hint}", where="--upto")
    needed, waiting = set[int](), [last]
    while waiting:
        at = waiting.pop()
        if at >= 0 and at not in needed:
            needed.add(at)
            waiting += walked.steps[at].sources
    return cut(walked, sorted(needed))


def cut(walked: Walked, kept: list[int]) -> Walked:
    """Some steps of a graph, the last one its output."""
    places = {old: new for new, old in enumerate(kept)} | {-1 - i: -1 - i for i in range(len(walked.inputs))}
    steps = tuple(
        step._replace(sources=tuple(places[source] for source in step.sources if source in places))
        for step in (walked.steps[i] for i in kept)
    )
    step = steps[-1]
    name = next(filter(None, step.node.outputs), step.name)
    unsupported = Counter(each.operator for each in steps if each.is_unsupported)
    return walked._replace(steps=steps, outputs={name: Value(step.dims, len(steps) - 1)}, unsupported=unsupported)


def as_trace(walked: Walked) -> Trace:
    """The steps of a graph as those of a network in words."""
    first = next(iter(walked.inputs.values()), None)
    steps = []
    for step in walked.steps:
        layer = layer_of(step)
        before = step.inputs[0] if step.inputs else None
        output = shape_of(step.dims)
        steps.append(
            Step(
                *(step.kind, format_layer(layer), layer._replace(name=step.name), step.sources),
                *(shape_of(before.dims if before else None), applied(step, output), step.fields),
            )
        )
    remarks = (
        Remark(MISALIGNED.format(what), step.name, amount) for step in walked.steps for what, amount in step.misaligned
    )
    return Trace(shape_of(first), tuple(steps), tuple(remarks))


# --- costs


def step_cost(step: GraphStep, convention: Convention) -> Cost:
    """What one step costs, for all images of the batch."""
    work = step.times * sum(operations for what, operations in step.work if what in convention.counted)
    is_alias = step.kind in ALIASES
    written = 0 if is_alias else step.times * elements_of(step.dims)
    read = 0 if is_alias else sum(elements_of(each.dims) for each in step.inputs if each and not each.is_constant)
    return Cost(
        params=step.params,
        macs=step.macs,
        macs_real=step.times * sum(bank.real_macs for bank in step.banks),
        flops=2 * step.macs + work,
        activations=written,
        columns=max((bank.columns for bank in step.banks), default=0),
        moved=step.params + written + step.times * read,
    )


def peak_elements(walked: Walked) -> int:
    """The most numbers alive at once, in the order of the file; an activation overwrites what it alone reads."""
    readers = Counter(source for step in walked.steps for source in step.sources)
    readers.update(value.source for value in walked.outputs.values() if value.source is not None)
    holder = {-1 - i: -1 - i for i in range(len(walked.inputs))}
    waiting = {at: readers[at] for at in holder}
    alive = {-1 - i: elements_of(sizes) for i, sizes in enumerate(walked.inputs.values())}
    peak = total = sum(alive.values())
    for i, step in enumerate(walked.steps):
        read = [holder[source] for source in step.sources]
        shares = step.kind in ALIASES or (step.family in IN_PLACE and len(read) == 1 and waiting[read[0]] == 1)
        if shares and read:
            holder[i] = read[0]
            waiting[read[0]] += readers[i]
        else:
            holder[i], waiting[i], alive[i] = i, readers[i], elements_of(step.dims)
            total += alive[i]
        peak = max(peak, total)
        for each in (*read, *([] if readers[i] or shares else [i])):
            waiting[each] -= 1
            if waiting[each] <= 0:
                total -= alive.pop(each, 0)
    return peak


class Sums(NamedTuple):
    """The costs of several steps, what is known of them: `others` are parameters that multiply no input channel."""

    steps: int
    params: int
    macs: int
    products: int
    others: int


def sums(steps: Iterable[GraphStep]) -> Sums:
    """Several steps together."""
    some = list(steps)
    return Sums(
        len(some),
        *(sum(getattr(step, what) for step in some) for what in ("params", "macs", "products", "others")),
    )


def refuse_unknown(walked: Walked, macs: int) -> ConvError | None:
    """Why a limit cannot be held against a graph: what some of its nodes cost is not known."""
    unknown = [step for step in walked.steps if not step.is_known]
    if not unknown:
        return None
    names = ", ".join(dict.fromkeys(step.node.operator for step in unknown))
    return ConvError(
        f"at least {macs:,} MACs: the cost of {len(unknown)} of its nodes is not known ({names})", "budget"
    )
