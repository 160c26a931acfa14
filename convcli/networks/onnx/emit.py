"""A graph written in the notation, where it has words for it: sizes, multiply-adds and parameters read back the same.

What changes no size and multiplies nothing has no word here, unless it is an activation or a normalisation. The latter
are written without parameters (`bn-b-bn`), as the totals of a graph count those apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from math import prod

from convcli.errors import ConvError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.emit import text_file, toml_file
from convcli.networks.network import Layer, Shape
from convcli.networks.notation import parse
from convcli.networks.onnx.attending import Scores, attention_word, scores_of
from convcli.networks.onnx.cuts import Turned, cut_words, cuts_of, is_turned
from convcli.networks.onnx.layers import layer_of
from convcli.networks.onnx.layouts import Key, Reading, axis_along, key_of, layouts, logical, readings
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.text import Word, folded_lines, written
from convcli.networks.onnx.walk import GraphStep, Walked
from convcli.networks.rules import Rules
from convcli.networks.trace import trace
from convcli.networks.words import format_layer

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


def emitted(walked: Walked, *, toml: bool) -> str:
    """A graph as a text or TOML file of the notation, with what it is expected to cost."""
    if not walked.is_complete or not walked.inputs:
        what = "it has no inputs" if walked.is_complete else "the cost of some nodes is not known"
        raise ConvError(f"cannot be written in the notation: {what}", "layer")
    refusals = list[ConvError]()
    for reading in readings(walked):
        try:
            writing = Writing(walked, reading)
            words = list(written(writing.words()))
            check_same(walked, writing, " ".join(words))
        except ConvError as error:
            refusals.append(error)
            continue
        lines, blocks = folded_lines(words)
        expected = expectations(writing.input, " ".join(words))
        return (toml_file if toml else text_file)(writing.input, lines, blocks, expected)
    raise refusals[0]


class Writing:
    """Steps as words, before it is known which values must be remembered."""

    def __init__(self, walked: Walked, reading: Reading) -> None:
        self.walked, self.batch = walked, reading.batch
        self.layouts = layouts(walked, reading)
        self.same: dict[Key, Key] = {}
        self.turned: dict[Key, Turned] = {}
        self.scores: dict[Key, tuple[Scores, tuple[Key, ...]]] = {}
        self.shared: dict[frozenset[str], str] = {}
        self.shapes = {(-1 - i, 0): self.shape((-1 - i, 0), sizes) for i, sizes in enumerate(walked.inputs.values())}

    @property
    def input(self) -> Shape:
        """The first input, as the notation has it."""
        return self.shapes[-1, 0]

    def shape(self, key: Key, dims: Dims | None) -> Shape:
        """The sizes of a value with its channels first."""
        found = logical(dims, self.layouts.get(key), self.batch)
        if found is None:
            raise ConvError("cannot be written in the notation: some sizes are not known", "layer")
        return found

    def words(self) -> list[Word]:
        """The words of all steps that the first output needs, in order."""
        output = self.real(key_of(next(iter(self.walked.outputs.values()))))
        others = list(self.shapes.items())[1:]
        found = [Word(str(shape), (), key) for key, shape in others if shape.spatial]
        found += [word for i, step in enumerate(self.walked.steps) for word in self.word(i, step)]
        output = self.real(output)
        needed, kept = {output}, list[Word]()
        for word in reversed(found):
            if word.makes in needed:
                needed.update(word.reads)
                kept.append(word)
        made = {word.makes for word in kept}
        lost = next((key for key in needed if key in self.scores), None) or next(iter(needed - made - {(-1, 0)}), None)
        if lost is not None:
            self.refuse(lost)
        return kept[::-1]

    def refuse(self, key: Key) -> None:
        """Raise the error of a value that no word makes."""
        if key in self.scores:
            raise unwritable(self.scores[key][0].step, "a product of two activations")
        if key[0] < 0:
            raise ConvError("cannot be written in the notation: an input that is no image and no sequence", "layer")
        raise unwritable(self.walked.steps[key[0]], "what it reads has none")

    def real(self, key: Key) -> Key:
        """The value that another one is, as far as the notation goes."""
        return self.same.get(key, key)

    def word(self, at: int, step: GraphStep) -> Iterator[Word]:
        """The word of a step; none where it changes nothing that the notation knows."""
        values = [value for value in step.inputs if value is not None and value.source is not None]
        reads = tuple(self.real(key_of(value)) for value in values)
        if not reads:
            return
        if step.products or any(read in self.scores for read in reads):
            yield from self.attention(at, step, reads)
            return
        before, after = self.shapes[reads[0]], self.shape((at, 0), step.dims)
        self.shapes[at, 0] = after
        is_same = step.made.flow is not None and step.made.flow.what == "regrouped"
        if step.kind in ("split", "slice", "gather") and len(reads) == 1 and not is_same:
            yield from self.pieces(at, step, reads[0], before)
            return
        join = self.join(at, step, reads) if len(reads) > 1 else ""
        text = "" if join or (at, 0) in self.same else self.text(at, step, before, after)
        if text or join:
            yield Word(text, reads, (at, 0), join)
        elif (at, 0) not in self.same:
            self.same[at, 0] = reads[0]
            self.shapes[at, 0] = before

    def attention(self, at: int, step: GraphStep, reads: tuple[Key, ...]) -> Iterator[Word]:
        """attend, where the scores of queries by keys meet the values; until then the scores alone."""
        waiting = self.scores.get(reads[0])
        if waiting is None:
            keys = self.layouts.get(key_of(step.inputs[1])) if len(reads) > 1 and step.inputs[1] else None
            scores = scores_of(step, keys or ())
            if scores is None or step.banks or any(read in self.scores for read in reads):
                raise unwritable(step, "a product of two activations")
            self.scores[at, 0] = scores, reads
            if len(reads) == 3:
                yield self.attended(at, step, scores, reads)
        elif step.products and len(reads) == 2:
            yield self.attended(at, step, waiting[0], (*waiting[1], reads[1]))
        elif step.products or step.banks or len(reads) > 1:
            raise unwritable(step, "it changes the scores of an attention")
        else:
            self.scores[at, 0] = waiting

    def attended(self, at: int, step: GraphStep, scores: Scores, reads: tuple[Key, ...]) -> Word:
        """Queries, keys and values as one word."""
        shapes = [self.shapes.get(read) for read in reads]
        products = step.products + (scores.step.products if scores.step is not step else 0)
        known = [shape for shape in shapes if shape is not None]
        text = attention_word(scores, products, known, self.batch) if len(known) == 3 else None
        after = self.shape((at, 0), step.dims)
        if text is None or after != Shape(known[2].channels, known[0].spatial):
            raise unwritable(step, "a product of two activations")
        self.scores.pop((at, 0), None)
        self.shapes[at, 0] = after
        return Word(text, reads, (at, 0), "attend")

    def join(self, at: int, step: GraphStep, reads: tuple[Key, ...]) -> str:
        """How a step joins what it reads; "" for the parts of one value in another order."""
        if step.kind != "concat":
            if step.family != "join":
                raise unwritable(step, "an operator of several values")
            return "mul" if step.node.operator in MULTIPLIED else "add"
        dim = step.made.flow.over[0] if step.made.flow else -1
        parts = [self.turned[read] for read in reads if read in self.turned]
        if len(parts) == len(reads) and is_turned(parts, dim):
            self.same[at, 0] = parts[0].whole
            self.shapes[at, 0] = self.shapes[parts[0].whole]
            return ""
        seen = self.layouts.get((at, 0)) or ()
        if any(factor.dim == dim for axis in seen for factor in axis.factors):
            raise unwritable(step, "images behind each other")
        return "cat"

    def text(self, at: int, step: GraphStep, before: Shape, after: Shape) -> str:
        """The word of a step that reads one value."""
        if step.banks:
            return self.weighted(step, before, after)
        if step.kind in ACTIVATIONS:
            return ACTIVATIONS[step.kind]
        if step.kind in NORMALISATIONS:
            return f"{step.kind}-b-bn"
        if before == after or (not before.spatial and after == Shape(before.channels, (1,) * len(after.spatial))):
            return ""
        if step.kind == "concat":
            return self.tokens(at, step, before, after)
        return resized_word(step, before, after)

    def tokens(self, at: int, step: GraphStep, before: Shape, after: Shape) -> str:
        """tokens and pad: places in a row, and constants before and behind them."""
        dim = step.made.flow.over[0] if step.made.flow else -1
        sizes = [(value.is_constant, (value.dims or ())[dim] or 0) for value in step.inputs if value is not None]
        own = next(i for i, (is_constant, _) in enumerate(sizes) if not is_constant)
        ends = [sum(size for _, size in some) for some in (sizes[:own], sizes[own + 1 :])]
        along = axis_along(self.layouts.get((at, 0)) or (), dim, (step.dims or ())[dim] or 0)
        if along != 0 or after != Shape(before.channels, (prod(before.spatial) + sum(ends),)):
            raise unwritable(step, f"what makes {after} of {before}")
        return f"{'tokens ' if len(before.spatial) > 1 else ''}pad{ends[0]}:{ends[1]}"

    def weighted(self, step: GraphStep, before: Shape, after: Shape) -> str:
        """The word of a layer with weights, or that it runs once more."""
        layer, weights = layer_of(step), sum(bank.weights for bank in step.banks)
        if step.family == "linear":
            biased = step.params > weights or any(what == "bias" for what, _ in step.work)
            if prod(after.spatial) > 1 and after.spatial != before.spatial:
                raise unwritable(step, "it mixes some of the places")
            kind = "pw" if prod(after.spatial) > 1 else "fc"
            layer = Layer(kind, channels=layer.channels, bias=None if biased else False)
        elif step.params == weights:  # a bias of zeros that no initializer holds
            layer = layer._replace(bias=False)
        if step.times != 1:
            raise unwritable(step, "a layer in a loop")
        if layer.kind not in ("conv", "dw", "tconv", "pw", "fc"):
            raise unwritable(step, "a layer that the notation lacks")
        origins = origins_of(step)
        with_bias = self.is_parted(origins)
        if with_bias is not None:
            return format_layer(layer._replace(bias=None if with_bias else False))
        if step.params < weights:
            name = next((name for some, name in self.shared.items() if some & origins), "")
            if not name or step.params:
                raise unwritable(step, "a part of other weights")
            return f"again:{name}"
        if self.is_shared(origins):
            self.shared[origins] = f"w{len(self.shared) + 1}"
            layer = layer._replace(name=self.shared[origins])
        return format_layer(layer)

    def is_parted(self, origins: frozenset[str]) -> bool | None:
        """Whether there are biases, where each of several layers has a part of the same weights, and all have all."""
        steps = [step for step in self.walked.steps if step.banks and origins & origins_of(step)]
        if len(steps) < 2:
            return None
        params = sum(step.params for step in steps)
        weights = sum(bank.weights for step in steps for bank in step.banks)
        found = {weights: False, weights + sum(bank.outputs for step in steps for bank in step.banks): True}
        return found.get(params)

    def is_shared(self, origins: frozenset[str]) -> bool:
        """True for weights that another layer has, too."""
        return any(count > 1 for origin, count in self.uses.items() if origin in origins)

    @cached_property
    def uses(self) -> Counter[str]:
        """How many layers each initializer is in."""
        return Counter(origin for step in self.walked.steps if step.banks for origin in origins_of(step))

    def pieces(self, at: int, step: GraphStep, read: Key, before: Shape) -> Iterator[Word]:
        """Some channels or places of a value."""
        first = step.inputs[0]
        dims = first.dims if first else None
        if first is None or dims is None or first.is_constant:
            raise unwritable(step, "a choice that is not followed")
        seen = self.layouts.get(key_of(first)) or ()
        for port, cuts in enumerate(cuts_of(step, dims)):
            after = self.shapes[at, port] = self.shape((at, port), step.outputs[port])
            if after == before:
                self.same[at, port] = read
                continue
            text = None if cuts is None else cut_words(cuts, seen, before, after)
            if text is None:
                raise unwritable(step, "a cut through the image")
            if cuts is not None and len(cuts) == 1 and cuts[0].is_run:
                self.turned[at, port] = Turned(read, cuts[0])
            yield Word(text, (read,), (at, port))


def origins_of(step: GraphStep) -> frozenset[str]:
    """The initializers that the weights of a layer are made of."""
    return frozenset().union(*(v.origins for v in step.inputs if v and v.is_constant))


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


def expectations(shape: Shape, words: str) -> dict[str, object]:
    """What the design is expected to make and to cost."""
    traced = trace(parse(words), shape, Rules())
    total = together(costs(traced, Convention()))
    return {"output": str(traced.output), "macs": total.macs, "params": total.params}


def check_same(walked: Walked, writing: Writing, words: str) -> None:
    """Refuse to write what would not read back to the same numbers."""
    traced = trace(parse(words), writing.input, Rules())
    total, batch = together(costs(traced, Convention())), writing.batch
    macs, products = (sum(getattr(step, what) for step in walked.steps) // batch for what in ("macs", "products"))
    told = total.macs, total.params, total.products
    wanted = macs, sum(step.params for step in walked.steps), products
    if told != wanted:
        each = zip(told, wanted, ("MACs", "parameters", "MACs of attention"), strict=True)
        what = " and ".join(f"{a:,} {name}, not {b:,}," for a, b, name in each if a != b)
        raise ConvError(f"cannot be written in the notation: {what} would read back", "layer")
    made = next(iter(walked.outputs.values())).dims or ()
    if None not in made and traced.output.elements * batch != prod(n for n in made if n):
        raise ConvError(f"cannot be written in the notation: {traced.output} would come of it, not {made}", "layer")
