"""A graph written in the notation, where it has words for it: sizes, multiply-adds and parameters read back the same.

What changes no size and multiplies nothing has no word here, unless it is an activation or a normalisation. The latter
are written without parameters (`bn-b-bn`), as the totals of a graph count those apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from convcli.errors import ConvError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.emit import text_file, toml_file
from convcli.networks.network import Layer, Shape
from convcli.networks.notation import parse
from convcli.networks.onnx.call import Value
from convcli.networks.onnx.layers import layer_of, shape_of
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.seen import Seen, image_seen
from convcli.networks.onnx.walk import GraphStep, Walked
from convcli.networks.rules import Rules
from convcli.networks.trace import trace
from convcli.networks.words import format_layer

Key = tuple[int, int]
"""A step and which of its outputs; a negative step is an input."""

ACTIVATIONS = {
    **{name: name for name in ("relu", "elu", "gelu", "tanh", "sigmoid", "softmax")},
    "leakyrelu": "lrelu",
    "hardswish": "hswish",
    "hardsigmoid": "hsigmoid",
    "swish": "silu",
    "clip": "relu",
}
MULTIPLIED = ("Mul", "Div", "And", "Pow")
NORMALISATIONS = ("bn", "gn", "in", "ln")
SHORTEST_BLOCK = 3


class Word(NamedTuple):
    """What a step is written as: its word, the values that it reads, the value that it makes.

    `join` is how it puts several together: cat, add or mul.
    """

    text: str
    reads: tuple[Key, ...]
    makes: Key
    join: str = ""


def emitted(walked: Walked, *, toml: bool) -> str:
    """A graph as a text or TOML file of the notation, with what it is expected to cost."""
    shape = logical_input(walked)
    words = list(written(Writing(walked).words()))
    lines, blocks = folded_lines(words)
    check_same(walked, shape, " ".join(words))
    return (toml_file if toml else text_file)(shape, lines, blocks, expectations(shape, " ".join(words)))


def logical_input(walked: Walked) -> Shape:
    """The one input, as the notation has it."""
    if len(walked.inputs) != 1 or not walked.is_complete:
        what = f"it has {len(walked.inputs)} inputs" if walked.is_complete else "the cost of some nodes is not known"
        raise ConvError(f"cannot be written in the notation: {what}", "layer")
    (sizes,) = walked.inputs.values()
    return logical(Value(sizes, -1, seen=image_seen(sizes) or None), sizes[0])


def logical(value: Value, batch: int) -> Shape:
    """The sizes of a value with its channels first, wherever a Transpose or Reshape put them."""
    return logical_shape(value.dims, value.seen, batch)


def logical_shape(dims: Dims | None, seen: Seen | None, batch: int) -> Shape:
    """The same of sizes and what they see."""
    if dims is None or None in dims:
        raise ConvError("cannot be written in the notation: some sizes are not known", "layer")
    sizes = tuple(n for n in dims if n is not None)
    if len(sizes) < 3 or not seen or any(axis.field is None for axis in seen):
        plain = shape_of(sizes)
        return Shape(plain.channels, plain.spatial)
    places = tuple(axis.length for axis in seen)
    return Shape(prod(sizes) // (batch * prod(places)), places)


class Writing:
    """Steps as words, before it is known which values must be remembered."""

    def __init__(self, walked: Walked) -> None:
        self.walked = walked
        self.batch = next(iter(walked.inputs.values()))[0]
        self.same: dict[Key, Key] = {}
        self.shared: dict[frozenset[str], str] = {}
        self.shapes: dict[Key, Shape] = {(-1, 0): logical_input(walked)}

    def words(self) -> list[Word]:
        """The words of all steps that the first output needs, in order."""
        output = next(iter(self.walked.outputs.values()))
        found = [word for i, step in enumerate(self.walked.steps) for word in self.word(i, step)]
        needed, kept = {self.real(key_of(output))}, list[Word]()
        for word in reversed(found):
            if word.makes in needed:
                needed.update(word.reads)
                kept.append(word)
        return kept[::-1]

    def real(self, key: Key) -> Key:
        """The value that another one is, as far as the notation goes."""
        return self.same.get(key, key)

    def word(self, at: int, step: GraphStep) -> Iterator[Word]:
        """The word of a step; none where it changes nothing that the notation knows."""
        values = [value for value in step.inputs if value is not None and value.source is not None]
        reads = tuple(self.real(key_of(value)) for value in values)
        if not reads:
            return
        before, after = self.shapes[reads[0]], logical_shape(step.dims, step.seen, self.batch)
        self.shapes[at, 0] = after
        if step.kind in ("split", "slice", "gather") and len(reads) == 1:
            yield from self.pieces(at, step, reads[0], before)
            return
        join = join_of(step) if len(reads) > 1 else ""
        text = "" if join else self.text(step, before, after)
        if text or join:
            yield Word(text, reads, (at, 0), join)
        else:
            self.same[at, 0] = reads[0]
            self.shapes[at, 0] = before

    def text(self, step: GraphStep, before: Shape, after: Shape) -> str:
        """The word of a step that reads one value."""
        if step.banks:
            return self.weighted(step, before)
        if step.products:
            raise unwritable(step, "a product of two activations")
        if step.kind in ACTIVATIONS:
            return ACTIVATIONS[step.kind]
        if step.kind in NORMALISATIONS:
            return f"{step.kind}-b-bn"
        if before == after:
            return ""
        return resized_word(step, before, after)

    def weighted(self, step: GraphStep, before: Shape) -> str:
        """The word of a layer with weights, or that it runs once more."""
        layer, weights = layer_of(step), sum(bank.weights for bank in step.banks)
        if step.family == "linear":
            biased = step.params > weights or any(what == "bias" for what, _ in step.work)
            layer = Layer("pw" if prod(before.spatial) > 1 else "fc", channels=layer.channels, bias=biased or None)
            layer = layer._replace(bias=None if biased else False)
        elif step.params == weights:  # a bias of zeros that no initializer holds
            layer = layer._replace(bias=False)
        if step.times != 1:
            raise unwritable(step, "a layer in a loop")
        if layer.kind not in ("conv", "dw", "tconv", "pw", "fc"):
            raise unwritable(step, "a layer that the notation lacks")
        origins = frozenset().union(*(v.origins for v in step.inputs if v and v.is_constant))
        if step.params < weights:
            name = next((name for some, name in self.shared.items() if some & origins), "")
            if not name or step.params:
                raise unwritable(step, "a part of other weights")
            return f"again:{name}"
        if self.is_shared(origins):
            self.shared[origins] = f"w{len(self.shared) + 1}"
            layer = layer._replace(name=self.shared[origins])
        return format_layer(layer)

    def is_shared(self, origins: frozenset[str]) -> bool:
        """True for weights that another layer has, too."""
        return any(count > 1 for origin, count in self.uses.items() if origin in origins)

    @property
    def uses(self) -> Counter[str]:
        """How many layers each initializer is in."""
        steps = [step for step in self.walked.steps if step.banks]
        each = (frozenset().union(*(v.origins for v in step.inputs if v and v.is_constant)) for step in steps)
        return Counter(origin for origins in each for origin in origins)

    def pieces(self, at: int, step: GraphStep, read: Key, before: Shape) -> Iterator[Word]:
        """Some channels of a value."""
        flow = step.made.flow
        first = step.inputs[0]
        if flow is None or first is None or first.dims is None:
            raise unwritable(step, "a choice that is not followed")
        starts = list(starts_of(step))
        for port, dims in enumerate(step.outputs):
            after = logical_shape(dims, step.seen, self.batch)
            self.shapes[at, port] = after
            if after == before:
                self.same[at, port] = read
                continue
            taken = self.channels(step, starts[port], before, after, first.dims)
            yield Word(f"slice{taken}:{taken + after.channels}", (read,), (at, port))

    def channels(self, step: GraphStep, start: tuple[int, int, int], before: Shape, after: Shape, dims: Dims) -> int:
        """The first channel of a piece; only channels can be cut."""
        dim, first, size = start
        runs = [factor.dim for axis in step.seen or () for factor in axis.factors]
        if after.spatial != before.spatial or dim in runs or size < 1 or after.channels > before.channels:
            raise unwritable(step, "a cut through the image")
        return min(first * before.channels // (dims[dim] or 1), before.channels - after.channels)


def key_of(value: Value) -> Key:
    """Which step made a value, and as which output."""
    return (-1 if value.source is None else value.source), value.port


def join_of(step: GraphStep) -> str:
    """How a step joins what it reads."""
    if step.products:
        raise unwritable(step, "a product of two activations")
    if step.kind == "concat":
        return "cat"
    if step.family != "join":
        raise unwritable(step, "an operator of several values")
    return "mul" if step.node.operator in MULTIPLIED else "add"


def starts_of(step: GraphStep) -> Iterator[tuple[int, int, int]]:
    """For each output of a cut: its dimension, where it starts, and its size."""
    flow = step.made.flow
    assert flow is not None
    if flow.what == "split":
        start = 0
        for size in flow.places:
            yield flow.over[0], start, size
            start += size
    elif flow.what == "picked":
        yield flow.over[0], flow.places[0] if flow.places else 0, len(flow.places)
    elif len(flow.axes) == 1:
        (dim, axis), *_ = flow.axes
        first = axis.reads(0)[0]
        steady = axis.period == (1, 1)
        yield dim, first, axis.output if steady else 0
    else:
        yield 0, 0, 0


def resized_word(step: GraphStep, before: Shape, after: Shape) -> str:
    """The word of what changes sizes without weights."""
    layer = layer_of(step)
    if layer.kind in ("max", "avg", "up", "bilinear") and (layer.kernel or layer.wanted):
        return format_layer(layer)
    if not after.spatial or (prod(after.spatial) == 1 and step.kind in ("gap", "reduce")):
        pooled = "gap" if step.kind in ("gap", "reduce") and prod(before.spatial) > 1 else ""
        flat = "flatten" if not after.spatial and before.spatial else ""
        if after.channels == (before.channels if pooled else before.elements):
            return " ".join(filter(None, (pooled, flat)))
    if step.kind == "pad" and step.made.flow and step.made.flow.axes:
        ends = dict(step.made.flow.axes)
        if min(ends) > 1 and all(-axis.reads(0)[0] >= 0 for axis in ends.values()):
            sizes = zip(before.spatial, after.spatial, strict=True)
            pads = [(-ends[i].reads(0)[0] if i in ends else 0, m - n) for i, (n, m) in enumerate(sizes, 2)]
            return "pad" + "x".join(f"{begin}:{more - begin}" for begin, more in pads)
    return shuffled_word(step, before, after)


def shuffled_word(step: GraphStep, before: Shape, after: Shape) -> str:
    """shuffle and unshuffle, of one factor for all axes."""
    if len(before.spatial) == len(after.spatial) and before.spatial and before.elements == after.elements:
        for name, small, large in (("shuffle", before, after), ("unshuffle", after, before)):
            times = large.spatial[0] // small.spatial[0]
            if times > 1 and large.spatial == tuple(times * n for n in small.spatial):
                return f"{name}{times}"
    raise unwritable(step, f"what makes {after} of {before}")


def unwritable(step: GraphStep, why: str) -> ConvError:
    """The error of a step for which there is no word."""
    return ConvError(f"node {step.name!r} ({step.node.operator}) has no word in the notation: {why}", "layer")


# --- from words to a text


def written(words: Sequence[Word]) -> Iterator[str]:
    """Words in order, with what must be remembered and gone on from."""
    last, wanted = last_uses(words), remembered(words)
    names: dict[Key, str] = {}
    current: Key = (-1, 0)
    yield from named(current, names, wanted, last, -1)
    for i, word in enumerate(words):
        first, *others = word.reads
        if word.join in ("add", "mul") and first != current and current in others:
            others[others.index(current)], first = first, current
        if first != current:
            yield f"from:{names[first]}"
        if word.join:
            yield from (f"{word.join}:{names[other]}" for other in others)
        else:
            yield from word.text.split()
        current = word.makes
        yield from named(current, names, wanted, last, i)


def remembered(words: Sequence[Word]) -> set[Key]:
    """The values that are read when they are not the last ones made."""
    found, current = set[Key](), (-1, 0)
    for word in words:
        first, *others = word.reads
        if word.join in ("add", "mul") and first != current and current in others:
            others[others.index(current)], first = first, current
        found.update([first] if first != current else [], others)
        current = word.makes
    return found


def last_uses(words: Sequence[Word]) -> dict[Key, int]:
    """The last word that reads each value."""
    return {key: i for i, word in enumerate(words) for key in word.reads}


def named(made: Key, names: dict[Key, str], wanted: set[Key], last: dict[Key, int], now: int) -> Iterator[str]:
    """as:NAME for a value that must be remembered, under the first name that is free again."""
    if made not in wanted:
        return
    taken = {name for key, name in names.items() if last.get(key, -1) > now}
    for key in [key for key, name in names.items() if name not in taken]:
        del names[key]
    names[made] = next(str(n) for n in range(1, len(taken) + 2) if str(n) not in taken)
    yield f"as:{names[made]}"


def folded_lines(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Words as lines, and blocks that stand in them several times, by name."""
    from convcli.networks.told.folding import folded

    lines: list[str] = []
    blocks: dict[str, list[str]] = {}
    for run in folded(words):
        some = list(words[run.start : run.start + run.length])
        if run.times == 1 or run.length < SHORTEST_BLOCK:
            lines += some * run.times
            continue
        name = next((name for name, block in blocks.items() if block == some), f"block{len(blocks) + 1}")
        blocks[name] = some
        lines.append(f"{run.times}*{name}")
    return lines, blocks


def expectations(shape: Shape, words: str) -> dict[str, object]:
    """What the design is expected to make and to cost."""
    traced = trace(parse(words), shape, Rules())
    total = together(costs(traced, Convention()))
    return {"output": str(traced.output), "macs": total.macs, "params": total.params}


def check_same(walked: Walked, shape: Shape, words: str) -> None:
    """Refuse to write what would not read back to the same numbers."""
    told = expectations(shape, words)
    batch = next(iter(walked.inputs.values()))[0]
    macs, params = (sum(getattr(step, what) for step in walked.steps) for what in ("macs", "params"))
    if (told["macs"], told["params"]) != (macs // batch, params):
        raise ConvError(
            f"cannot be written in the notation: {told['macs']:,} MACs and {told['params']:,} parameters would "
            f"read back, not {macs // batch:,} and {params:,}",
            "layer",
        )
