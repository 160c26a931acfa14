"""A network at work on an input: one step for each layer, in order, with shapes, receptive fields and warnings.

The walk is lazy, so that a search over many inputs can stop at the first step that does not please it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, Spread
from convcli.networks.attention import attended
from convcli.networks.layers import KINDS, Applied, apply, central_cut
from convcli.networks.network import MAXIMUM_LAYERS, Branches, Layer, Network, Place, Repeat, Shape, wrong
from convcli.networks.receptive import Field, misaligned, seen_through, union
from convcli.networks.rules import Rules
from convcli.networks.words import format_layer

Fields = tuple[Field | None, ...]

MAXIMUM_SIZE = 2**31 - 1

GATE = "the gate sees the whole image, and so does all behind it"
SEVERAL_FRAMES = "inputs of different sizes meet here, whose pixels are not the same: how far it sees is left out"
MISALIGNED = "the branches do not align, their {} differ"


class Tensor(NamedTuple):
    """What flows between layers: `source` is the step that made it, -1 for the input; `fields` may be left out.

    `frame` is the size of the input whose pixels the fields count.
    """

    shape: Shape
    fields: Fields
    source: int = -1
    frame: tuple[int, ...] = ()


class Step(NamedTuple):
    """One layer, or one join of branches, at work. `sources` are the steps whose outputs it reads."""

    kind: str
    word: str
    layer: Layer
    sources: tuple[int, ...]
    input: Shape
    applied: Applied
    fields: Fields

    @property
    def output(self) -> Shape:
        """What the layer makes."""
        return self.applied.output

    @property
    def dropped(self) -> tuple[int, ...]:
        """Columns at the end of each axis that no position reads."""
        return tuple(axis.dropped if isinstance(axis, Geometry) else 0 for axis in self.applied.axes)


class Remark(NamedTuple):
    """Something to be warned of: what, where, and by how much ("" where that says nothing)."""

    text: str
    where: str
    amount: str = ""


class Trace(NamedTuple):
    """All steps of a network on an input, and what to be warned of."""

    input: Shape
    steps: tuple[Step, ...]
    remarks: tuple[Remark, ...] = ()

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """Everything that arrives from outside."""
        return (self.input, *(step.output for step in self.steps if step.kind == "input"))

    @property
    def ends(self) -> tuple[int, ...]:
        """The steps whose outputs no other step reads: the heads of the network, the last one last."""
        read = {source for step in self.steps for source in step.sources}
        return tuple(i for i in range(len(self.steps)) if i not in read)

    @property
    def output(self) -> Shape:
        """What the last step makes."""
        return self.steps[-1].output if self.steps else self.input


def trace(network: Network, shape: Shape, rules: Rules | None = None) -> Trace:
    """Walk a whole network.

    >>> from convcli.networks.notation import parse
    >>> trace(parse("conv7-64/2p3 max3/2p1"), Shape(3, (224, 224))).output
    Shape(channels=64, spatial=(56, 56))
    """
    check_count(network)
    walk = Walk(rules or Rules())
    fields: Fields = tuple(Field() for _ in shape.spatial)
    steps = tuple(walk.network(network, Tensor(shape, fields, frame=shape.spatial)))
    return Trace(shape, steps, tuple(walk.remarks))


def steps_of(network: Network, shape: Shape, rules: Rules) -> Iterator[Step]:
    """The steps one by one, without receptive fields."""
    check_count(network)
    return Walk(rules).network(network, Tensor(shape, ()))


def check_count(network: Network) -> None:
    """Refuse a network that no one can mean."""
    layers = network.size()
    if layers > MAXIMUM_LAYERS:
        raise UsageError(f"{layers:,} layers are more than {MAXIMUM_LAYERS:,}; repeat less", "layer")


class Walk:
    """The state of a walk: rules, what `as:NAME` remembered, layers by #name, remarks, and how many steps were made.

    With each layer stands what arrived at it: channels, or all elements where it is fully connected.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.remembered: dict[str, Tensor] = {}
        self.named: dict[str, tuple[Layer, int]] = {}
        self.remarks: list[Remark] = []
        self.made = 0

    def network(self, network: Network, tensor: Tensor) -> Generator[Step, None, Tensor]:
        """The steps of a network; returns its output."""
        for unit in network.units:
            if isinstance(unit, Layer):
                tensor = yield from self.layer(unit, tensor)
            elif isinstance(unit, Repeat):
                for _ in range(unit.times):
                    tensor = yield from self.network(unit.body, tensor)
            else:
                tensor = yield from self.branches(unit, tensor)
        return tensor

    def layer(self, layer: Layer, tensor: Tensor) -> Generator[Step, None, Tensor]:
        """One layer."""
        if KINDS[layer.kind].family == "join":
            return (yield from self.recalled(layer, tensor))
        if layer.kind == "from":
            tensor = self.remembered_as(layer, layer.reference)
        if layer.kind == "input":
            return (yield from self.entered(layer, tensor))
        if layer.kind == "again":
            return (yield from self.repeated(layer, tensor))
        if layer.kind == "attend":
            return (yield from self.attending(layer, tensor))
        if layer.name:
            self.named[layer.name] = layer, arriving(layer, tensor.shape)
        applied = apply(layer, tensor.shape, self.rules)
        fields = through(tensor.fields, applied.axes)
        if layer.kind == "tokens" and len(fields) > 1:  # whose axis is none of the image's
            fields = (None,)
        made = yield from self.step(layer.kind, layer, (tensor,), applied, fields)
        if layer.kind == "as":
            self.remembered[layer.reference] = made
        return made

    def branches(self, unit: Branches, tensor: Tensor) -> Generator[Step, None, Tensor]:
        """Every branch on the same input, then the join."""
        ends: tuple[Tensor, ...] = ()
        for branch in unit.branches:
            end = yield from self.network(branch, tensor)
            ends += (end,)
        return (yield from self.joined(unit.join, Layer(unit.join, place=unit.place), ends))

    def recalled(self, layer: Layer, tensor: Tensor) -> Generator[Step, None, Tensor]:
        """cat:NAME, add:NAME and mul:NAME: a join with what was remembered."""
        other = self.remembered_as(layer, layer.reference)
        if layer.kind == "cat":
            other = cropped(layer, other, tensor.shape)
        join = "concat" if layer.kind == "cat" else layer.kind
        return (yield from self.joined(join, layer, (tensor, other)))

    def attending(self, layer: Layer, tensor: Tensor) -> Generator[Step, None, Tensor]:
        """attend:KEYS:VALUES, where what arrives are the queries: each of them sees what all keys and values see.

        What a window sees of the image is not followed.
        """
        ends = (tensor, self.remembered_as(layer, layer.reference), self.remembered_as(layer, layer.values))
        applied = attended(layer, *(end.shape for end in ends))
        if layer.window or len({len(end.fields) for end in ends}) > 1:
            fields: Fields = (None,) * len(tensor.fields)
        else:
            fields = self.joined_fields(layer.place, [tensor, *(spread(end, tensor.shape) for end in ends[1:])])
        return (yield from self.step(layer.kind, layer, ends, applied, fields))

    def remembered_as(self, layer: Layer, name: str) -> Tensor:
        """What as:NAME has remembered."""
        found = self.remembered.get(name)
        if found is None:
            known = ", ".join(self.remembered)
            known = f"remembered so far: {known}" if known else "nothing is remembered yet"
            raise wrong(layer.place, f"as:{name} must come before it; {known}")
        return found

    def repeated(self, layer: Layer, tensor: Tensor) -> Generator[Step, None, Tensor]:
        """again:NAME: the layer of that #name once more, with the weights that it has."""
        if layer.reference not in self.named:
            known = ", ".join(self.named)
            known = f"named so far: {known}" if known else "no layer has a name yet"
            raise wrong(layer.place, f"a layer #{layer.reference} must come before it; {known}")
        meant, expected = self.named[layer.reference]
        found = arriving(meant, tensor.shape)
        if found != expected:
            raise wrong(layer.place, f"#{layer.reference} was for {expected} channels, but {found} arrive", "shape")
        applied = apply(meant._replace(place=layer.place), tensor.shape, self.rules)._replace(is_again=True)
        fields = through(tensor.fields, applied.axes)
        return (yield from self.step(meant.kind, meant, (tensor,), applied, fields, format_layer(layer)))

    def entered(self, layer: Layer, tensor: Tensor) -> Generator[Step, None, Tensor]:
        """Another input, whose fields count its own pixels."""
        applied = apply(layer, tensor.shape, self.rules)
        fields: Fields = tuple(Field() for _ in applied.output.spatial)
        made = yield from self.step(layer.kind, layer, (), applied, fields)
        return made._replace(frame=applied.output.spatial)

    def joined(self, join: str, layer: Layer, ends: tuple[Tensor, ...]) -> Generator[Step, None, Tensor]:
        """The join of several tensors."""
        shapes = [end.shape for end in ends]
        applied = Applied(JOINED[join](layer.place, shapes))
        if join != "concat":
            applied = applied._replace(work=(("add", (len(ends) - 1) * applied.output.elements),))
        wide = [broadcast(end, applied.output) for end in ends]
        if any(end.shape.spatial != applied.output.spatial for end in ends):
            self.remarks.append(Remark(GATE, str(layer.place)))
        fields = self.joined_fields(layer.place, wide)
        return (yield from self.step(join, layer, ends, applied, fields))

    def joined_fields(self, place: Place, ends: list[Tensor]) -> Fields:
        """The fields of a join, with a warning where its paths do not align."""
        ends = [end for end in ends if end.fields]
        if len({end.frame for end in ends}) > 1:
            self.remarks.append(Remark(SEVERAL_FRAMES, str(place)))
            return (None,) * len(ends[0].fields)
        columns = list(zip(*(end.fields for end in ends), strict=True))
        if not columns:
            return ()
        known = [[each for each in column if each] for column in columns]
        problems = {problem for column in known if (problem := misaligned(column))}
        self.remarks += [Remark(MISALIGNED.format(what), str(place), amount) for what, amount in sorted(problems)]
        sizes = ends[0].shape.spatial or (1,) * len(columns)
        return tuple(
            union(some, size) if len(some) == len(column) else None
            for some, column, size in zip(known, columns, sizes, strict=True)
        )

    def step(
        self, kind: str, layer: Layer, read: tuple[Tensor, ...], applied: Applied, fields: Fields, word: str = ""
    ) -> Generator[Step, None, Tensor]:
        """One step made of what it read."""
        if max(applied.output.channels, *applied.output.spatial, 0) > MAXIMUM_SIZE:
            raise wrong(
                layer.place, f"makes {applied.output}, beyond {MAXIMUM_SIZE:,}; use fewer channels or sizes", "shape"
            )
        word = word or (format_layer(layer) if layer.kind in KINDS else kind)
        arrived = read[0].shape if read else applied.output
        yield Step(kind, word, layer, tuple(tensor.source for tensor in read), arrived, applied, fields)
        self.made += 1
        return Tensor(applied.output, fields, self.made - 1, next((each.frame for each in read if each.fields), ()))


def arriving(layer: Layer, shape: Shape) -> int:
    """The channels that the weights of a layer are for; of a fully connected one, all elements."""
    return shape.elements if KINDS[layer.kind].family == "fc" else shape.channels


def through(fields: Fields, axes: tuple[Axis, ...]) -> Fields:
    """The fields after a layer; a layer without axes changes none."""
    if not axes or not fields:
        return fields
    return tuple(seen and seen_through(seen, axis) for seen, axis in zip(fields, axes, strict=True))


def broadcast(tensor: Tensor, output: Shape) -> Tensor:
    """A tensor whose axes of size 1 hold for the whole axes of a larger one."""
    sizes = list(zip(tensor.shape.spatial, output.spatial, tensor.fields, strict=False))
    fields = tuple(field and seen_through(field, Spread(n, m)) if n < m else field for n, m, field in sizes)
    return tensor._replace(fields=fields) if sizes else tensor


def spread(tensor: Tensor, shape: Shape) -> Tensor:
    """A tensor all of which is seen from every place of another one."""
    axes = [Spread(n, m) for n, m in zip(tensor.shape.spatial, shape.spatial, strict=True)]
    return tensor._replace(fields=through(tensor.fields, tuple(axes)))


def cropped(layer: Layer, tensor: Tensor, shape: Shape) -> Tensor:
    """What was remembered, cut about its centre to the size that arrives."""
    cuts = tuple(map(central_cut, tensor.shape.spatial, shape.spatial))
    if len(tensor.shape.spatial) != len(shape.spatial) or any(begin + end < 0 for begin, end in cuts):
        raise wrong(
            layer.place, f"{layer.reference} is {tensor.shape}, too small to crop to {shape}; upsample less", "shape"
        )
    axes = tuple(
        Geometry(n, 1, begin=-begin, end=-end) for n, (begin, end) in zip(tensor.shape.spatial, cuts, strict=True)
    )
    cut = Shape(tensor.shape.channels, shape.spatial)
    return tensor._replace(shape=cut, fields=through(tensor.fields, axes))


# --- what a join makes of shapes


def concatenated(place: Place, shapes: list[Shape]) -> Shape:
    """Channels one after the other."""
    if len({shape.spatial for shape in shapes}) > 1:
        raise wrong(
            place, f"cannot concatenate {listed(shapes)}: the sizes differ; pad, stride or crop one branch", "shape"
        )
    channels = sum(shape.channels for shape in shapes)
    return Shape(channels, shapes[0].spatial)


def added(place: Place, shapes: list[Shape]) -> Shape:
    """The same shape; nothing is broadcast."""
    first = shapes[0]
    if len({shape.channels for shape in shapes}) > 1:
        way_out = f"a conv1-{first.channels} on the shortcut would make them equal"
        raise wrong(place, f"cannot add {listed(shapes)}: the channels differ; {way_out}", "shape")
    if len({shape.spatial for shape in shapes}) > 1:
        raise wrong(place, f"cannot add {listed(shapes)}: the sizes differ; pad, stride or crop one branch", "shape")
    return first


def multiplied(place: Place, shapes: list[Shape]) -> Shape:
    """A gate: sizes of 1 hold for the whole axis."""
    largest = max(shapes, key=lambda shape: shape.elements)
    for shape in shapes:
        fits = all(n in (1, m) for n, m in zip(shape.spatial, largest.spatial, strict=False))
        if shape.channels != largest.channels or len(shape.spatial) != len(largest.spatial) or not fits:
            raise wrong(
                place,
                f"cannot multiply {listed(shapes)}: a gate has the same channels, and size 1 or the same",
                "shape",
            )
    return largest


def listed(shapes: list[Shape]) -> str:
    """
    >>> listed([Shape(64, (8, 8)), Shape(32, (8, 8))])
    '64@8x8 and 32@8x8'
    """
    return " and ".join(map(str, shapes))


JOINED = {"concat": concatenated, "add": added, "mul": multiplied}
