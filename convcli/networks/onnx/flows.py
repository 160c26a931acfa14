"""How each kind of flow passes on what its inputs see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convcli.networks.onnx.call import Flow, Made, Value
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.seen import (
    AxisSeen,
    Seen,
    contracted,
    joined,
    lost_of,
    moved,
    multiplied,
    picked,
    regrouped,
    slid,
    stretched,
    united,
)
from convcli.networks.receptive import misaligned

Inputs = Sequence[Value | None]


def outputs_seen(made: Made, inputs: Inputs) -> list[Seen | None]:
    """What each output sees; None where none of the inputs sees anything."""
    seen = [value.seen for value in inputs if value is not None and value.seen]
    if not seen or not made.outputs:
        return [None] * len(made.outputs)
    lost = lost_of(seen[0])
    flow = made.flow
    if flow is None or any(len(each) != len(lost) for each in seen):
        return [lost] * len(made.outputs)
    if flow.what == "split":
        return split(flow, inputs) or [lost] * len(made.outputs)
    found = FLOWS[flow.what](flow, inputs, made.outputs[0])
    return [lost if found is None else found] * len(made.outputs)


def same(flow: Flow, inputs: Inputs, output: Dims | None) -> Seen | None:
    """Element by element; dimensions of 1 stretch, those `over` which a mean goes are seen whole."""
    if output is None:
        return None
    aligned = [shifted(value, len(output)) for value in inputs if value is not None and value.seen]
    found = tuple(united(axes) for axes in zip(*aligned, strict=True))
    return tuple(stretched(contracted(axis, flow.over), axis) for axis in found) if flow.over else found


def misaligned_paths(inputs: Inputs, output: Dims | None) -> tuple[tuple[str, str], ...]:
    """What the paths that meet in an output differ in: strides or centres, and by how much."""
    if output is None:
        return ()
    aligned = [shifted(value, len(output)) for value in inputs if value is not None and value.seen]
    found: dict[tuple[str, str], None] = {}
    for axes in zip(*aligned, strict=True):
        length = max(axis.length for axis in axes)
        problem = misaligned(axis.field for axis in axes if axis.field and axis.length == length > 1)
        if problem:
            found[problem] = None
    return tuple(found)


def shifted(value: Value, rank: int) -> Seen:
    """What a value sees, its dimensions counted as those of an output of so many."""
    behind = rank - len(value.dims or ())
    sizes = value.dims or ()
    return moved(value.seen or (), {i: i + behind for i in range(len(sizes))})


def axes(flow: Flow, inputs: Inputs, _output: Dims | None) -> Seen | None:
    """Dimensions that are read through windows."""
    first = inputs[0]
    if first is None or first.dims is None or not first.seen:
        return None
    seen = first.seen
    for dim, rule in flow.axes:
        seen = tuple(slid(axis, dim, rule.size, rule) for axis in seen)
    return tuple(mixed(axis, flow) for axis in seen) if flow.over else seen


def mixed(axis: AxisSeen, flow: Flow) -> AxisSeen:
    """The axis where a layer mixes its channels, whole or in groups, and some of its places are channels."""
    if not any(factor.dim in flow.over for factor in axis.factors):
        return axis
    return contracted(axis, flow.over) if flow.keep else axis.unknown


def order(flow: Flow, inputs: Inputs, _output: Dims | None) -> Seen | None:
    """Dimensions that change places."""
    seen = inputs[0].seen if inputs[0] else None
    return seen and moved(seen, {old: new for new, old in enumerate(flow.over)})


def regroup(_flow: Flow, inputs: Inputs, output: Dims | None) -> Seen | None:
    """Dimensions that are cut and put together."""
    first = inputs[0]
    if first is None or first.dims is None or output is None or not first.seen:
        return None
    return regrouped(first.seen, first.dims, output)


def reduced(flow: Flow, inputs: Inputs, _output: Dims | None) -> Seen | None:
    """Dimensions that are read whole."""
    first = inputs[0]
    if first is None or first.dims is None or not first.seen:
        return None
    found = tuple(contracted(axis, flow.over) for axis in first.seen)
    if flow.keep:
        return found
    left = [i for i in range(len(first.dims)) if i not in flow.over]
    return moved(found, {old: new for new, old in enumerate(left)})


def join(flow: Flow, inputs: Inputs, _output: Dims | None) -> Seen | None:
    """Values behind each other."""
    values = [value for value in inputs if value is not None and value.dims != (0,)]
    sizes = [value.dims[flow.over[0]] if value.dims else None for value in values]
    whole = [n for n in sizes if n is not None]
    if len(whole) < len(sizes):
        return None
    return joined([value.seen or None for value in values], flow.over[0], whole)


def split(flow: Flow, inputs: Inputs) -> list[Seen | None] | None:
    """Pieces of one dimension."""
    first = inputs[0]
    if first is None or not first.seen:
        return None
    start, found = 0, list[Seen | None]()
    for size in flow.places:
        found.append(picked(first.seen, flow.over[0], sum(flow.places), range(start, start + size), keep=True))
        start += size
    return found


def pick(flow: Flow, inputs: Inputs, _output: Dims | None) -> Seen | None:
    """Some indices of a dimension."""
    first, dim = inputs[0], flow.over[0]
    if first is None or first.dims is None or not first.seen:
        return None
    found = picked(first.seen, dim, first.dims[dim] or 0, flow.places, keep=flow.keep)
    if flow.keep:
        return found
    return moved(found, {i: i - (i > dim) for i in range(len(first.dims)) if i != dim})


def product(flow: Flow, inputs: Inputs, _output: Dims | None) -> Seen | None:
    """A sum over the dimensions that the output lacks."""
    output = flow.letters[2]
    found: list[Seen | None] = []
    for place, letters in zip(flow.places, flow.letters[:2], strict=True):
        value = inputs[place] if place < len(inputs) else None
        where = {i: output.index(letter) for i, letter in enumerate(letters) if letter in output}
        found.append(moved(value.seen, where) if value and value.seen else None)
    return multiplied(*found)


def attention(flow: Flow, inputs: Inputs, output: Dims | None) -> Seen | None:
    """Queries, and all keys and values; places stand before the last dimension."""
    values = [inputs[place] for place in flow.places]
    first = values[0]
    if first is None or not first.seen or output is None:
        return None
    over = (len(output) - 2,)
    read = [value.seen for value in values if value and value.seen]
    parts = [tuple(contracted(axis, over) for axis in seen) for seen in read]
    return tuple(united([axis, *others]) for axis, *others in zip(first.seen, *parts, strict=True))


FLOWS: dict[str, Callable[[Flow, Inputs, Dims | None], Seen | None]] = {
    "same": same,
    "axes": axes,
    "order": order,
    "regrouped": regroup,
    "reduced": reduced,
    "joined": join,
    "picked": pick,
    "product": product,
    "attention": attention,
}
