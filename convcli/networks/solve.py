"""Solving for an unknown: what a `?` in one layer, or in the input, must be to make a wanted size.

Axes never mix, so each is solved alone. For one convolution or pooling the candidates are the exact intervals that
follow from o = floor((n + P - K) / s) + 1; in a longer network they are all numbers that can matter. Each is then
tried: an answer is what the arithmetic itself confirms.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.networks.layers import KINDS
from convcli.networks.network import Layer, Network, Shape
from convcli.networks.rules import Rules
from convcli.networks.trace import steps_of
from convcli.networks.trials import along, cube, drops_nothing, largest_useful, mapped, outcome
from convcli.networks.words import MAXIMUM_KERNEL, format_layer

MAXIMUM_MIXED = 64
LEAST_ZERO = ("pad", "output_padding")

Value = int | tuple[int, int]
"""A value of the unknown on one axis: a number, or a padding's (begin, end)."""


class Question(NamedTuple):
    """A network with one `?`, in a layer or in the input, and the size that it must make."""

    network: Network
    input: Shape
    wanted: tuple[int, ...]
    rules: Rules

    @property
    def layer(self) -> Layer | None:
        """The layer with the `?`; None where the input has it."""
        return next((layer for layer in self.network.words() if layer.unknown), None)

    @property
    def unknown(self) -> str:
        """What is asked for."""
        return self.layer.unknown if self.layer else "input"

    def filled(self, values: tuple[Value, ...]) -> tuple[Network, Shape]:
        """The network and the input with the unknown replaced by one value for every axis, or one for each."""
        if self.layer is None:
            sizes = tuple(value for value in values if isinstance(value, int))
            return self.network, Shape(self.input.channels, sizes * (len(self.wanted) // len(sizes)))
        return mapped(self.network, lambda layer: fill(layer, values)), self.input


class Answer(NamedTuple):
    """One value of the unknown: the layer or input written out, what the network makes, and whether columns drop."""

    text: str
    output: Shape
    drops: bool


def fill(layer: Layer, values: tuple[Value, ...]) -> Layer:
    """The layer with its `?` replaced."""
    fields: dict[str, Any] = {layer.unknown: values, "unknown": ""}
    return layer._replace(**fields) if layer.unknown else layer


def ask(network: Network, shape: Shape, wanted: tuple[int, ...], rules: Rules) -> Question:
    """The question, if there is exactly one `?`, and a wanted size for every axis.

    >>> from convcli.networks.notation import parse
    >>> [answer.text for answer in solve(ask(parse("conv7-64/2p?"), Shape(3, (224, 224)), (112,), Rules()))]
    ['conv7-64/2p3', 'conv7-64/2p2:3', 'conv7-64/2p3:2']
    """
    unknown = [layer for layer in network.words() if layer.unknown]
    if len(unknown) + (0 in shape.spatial) != 1:
        raise UsageError(f"{len(unknown) + (0 in shape.spatial)} unknowns; --want solves for one '?'", where="--want")
    if 0 in shape.spatial and any(shape.spatial):
        raise UsageError("write every size of the input, or '?' for each", "shape", where=str(shape))
    if not shape.spatial:
        raise UsageError("a vector has no size to solve for", "shape", where=str(shape))
    if len(wanted) not in (1, len(shape.spatial)):
        raise UsageError(f"{len(wanted)} sizes for {len(shape.spatial)} axes", "shape", where="--want")
    return Question(network, shape, wanted * (len(shape.spatial) // len(wanted)), rules)


def solve(question: Question) -> list[Answer]:
    """Every answer, the simplest first; combinations only where axes must differ. An error names the nearest sizes."""
    axes = distinct_axes(question)
    values = {axis: axis_values(question, axis) for axis in sorted(set(axes))}
    each = [values[axis] for axis in axes]
    common = [value for value in each[0] if all(value in others for others in each[1:])]
    choices: Iterable[tuple[Value, ...]] = [(value,) for value in common]
    if not common:
        choices = sorted(product(*each), key=lambda values: sum(map(weight, values)))[:MAXIMUM_MIXED]
    return [answer(question, values) for values in choices]


def distinct_axes(question: Question) -> list[int]:
    """For each axis, the first one that asks the same."""
    asked = [
        (along(question.network, axis), question.input.spatial[axis], wanted)
        for axis, wanted in enumerate(question.wanted)
    ]
    return [asked.index(same) for same in asked]


def answer(question: Question, values: tuple[Value, ...]) -> Answer:
    """The answer for one choice of values."""
    network, shape = question.filled(values)
    steps = list(steps_of(network, shape, question.rules))
    if question.layer is None:
        return Answer(str(shape), steps[-1].output if steps else shape, not all(map(drops_nothing, steps)))
    own = [step for step in steps if step.layer.place == question.layer.place]
    return Answer(format_layer(fill(question.layer, values)), steps[-1].output, not all(map(drops_nothing, own)))


def axis_values(question: Question, axis: int) -> list[Value]:
    """The values that make the wanted size on one axis, the simplest first."""
    window = single_window(question, axis)
    exact = interval(question.unknown, window, question.wanted[axis]) if window else []
    made = tried(question, axis, values_of(question.unknown, exact) or all_useful(question, axis))
    found = [value for value, size in made if size == question.wanted[axis]]
    if not found:
        raise impossible(question, axis, made)
    return sorted(found, key=weight)


def weight(value: Value) -> int:
    """How simple a value is: small before large, the same on both sides before different sides."""
    return value if isinstance(value, int) else sum(value) + 1_000_000 * (value[0] != value[1]) + (value[0] > value[1])


def tried(question: Question, axis: int, values: Iterable[Value]) -> list[tuple[Value, int | UsageError]]:
    """What each value makes on an axis."""
    alone = question._replace(
        network=along(question.network, axis), input=cube(question.input, question.input.spatial[axis])
    )
    return [(value, outcome(*alone.filled((value,)), question.rules)) for value in values]


def impossible(question: Question, axis: int, made: list[tuple[Value, int | UsageError]]) -> UsageError:
    """The error of a size that nothing makes, with the nearest ones."""
    wanted = question.wanted[axis]
    sizes = {size: value for value, size in reversed(made) if isinstance(size, int)}
    where = question.layer.place.text if question.layer else str(question.input)
    if not sizes:
        error = next(size for _, size in reversed(made) if isinstance(size, UsageError))
        return UsageError(f"nothing fits: {error.message}", "shape", where=where)
    nearest = [max((s for s in sizes if s < wanted), default=0), min((s for s in sizes if s > wanted), default=0)]
    texts = [f"{size} ({shown(question, sizes[size])})" for size in nearest if size]
    what = question.unknown.replace("_", " ")
    return UsageError(f"no {what} makes {wanted}; the nearest sizes are {' and '.join(texts)}", "shape", where=where)


def shown(question: Question, value: Value) -> str:
    """A value of the unknown as the notation writes it."""
    if question.layer is None:
        return str(question.filled((value,))[1])
    return format_layer(fill(question.layer, (value,)))


# --- candidates


def all_useful(question: Question, axis: int) -> list[Value]:
    """Every number that can matter: a padding serves the wanted size, a kernel or a stride the input's."""
    size = (
        question.wanted[axis] if question.unknown == "pad" else max(question.wanted[axis], question.input.spatial[axis])
    )
    limit = largest_useful(question.network, size)
    return values_of(question.unknown, range(question.unknown not in LEAST_ZERO, limit + 1))


def single_window(question: Question, axis: int) -> Geometry | None:
    """The axis of a network that is one convolution or pooling with numbers for padding; its `?` is the smallest."""
    layer = question.network.units[0]
    if len(question.network.units) > 1 or not isinstance(layer, Layer) or layer.ceil or is_tied(layer, question.rules):
        return None
    roomy = question._replace(network=along(question.network, axis), input=cube(question.input, 2 * MAXIMUM_KERNEL))
    numbers: dict[str, Value] = {"pad": (0, 0), "input": 2 * MAXIMUM_KERNEL}
    smallest = numbers.get(question.unknown, 1)
    step = next(steps_of(*roomy.filled((smallest,)), question.rules))
    found = step.applied.axes[0]
    return found._replace(size=question.input.spatial[axis]) if type(found) is Geometry else None


def is_tied(layer: Layer, rules: Rules) -> bool:
    """True where one number follows from another: padding by a rule, a pooling that moves by its unknown kernel."""
    is_pool = KINDS[layer.kind].family == "pool"
    pad = rules.pad if layer.pad is None and not is_pool else layer.pad
    return isinstance(pad, str) or (is_pool and layer.unknown == "kernel" and not layer.stride)


def interval(what: str, axis: Geometry, o: int) -> list[int]:
    """All values of one number of an axis that make o outputs, the others given: of a padding, its total P = p0 + p1.

    >>> [interval(what, Geometry(224, 7, 2, begin=3, end=3), 112) for what in ("pad", "input", "kernel", "stride")]
    [[5, 6], [223, 224], [7, 8], [2]]
    """
    n, k, s, d, p = axis.size, axis.kernel, axis.stride, axis.dilation, axis.begin + axis.end
    least, most = s * (o - 1) + axis.extent, s * o + axis.extent - 1  # of n + P
    extents = range(max(1, n + p - s * o + 1), n + p - s * (o - 1) + 1)
    room = n + p - axis.extent
    found = {
        "pad": range(max(0, least - n), most - n + 1),
        "input": range(max(1, least - p), most - p + 1),
        "kernel": [(K - 1) // d + 1 for K in extents if (K - 1) % d == 0],
        "dilation": [(K - 1) // (k - 1) for K in extents if k > 1 and K > 1 and (K - 1) % (k - 1) == 0],
        "stride": range(max(1, room // o + 1), (room // (o - 1) if o > 1 else max(room, 0) + 1) + 1),
    }
    return list(found[what])


def values_of(what: str, numbers: Iterable[int]) -> list[Value]:
    """Numbers as values of the unknown; a total padding is split evenly, the odd one on either side.

    >>> values_of("pad", [5, 6])
    [(2, 3), (3, 2), (3, 3)]
    """
    if what != "pad":
        return list(numbers)
    return [pair for total in numbers for pair in sorted({(total // 2, -(-total // 2)), (-(-total // 2), total // 2)})]
