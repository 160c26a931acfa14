"""The formulas with the numbers filled in, step by step, as a textbook does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import AdaptivelyPooled, Scaled, Spread, Transposed
from convcli.networks.banks import Bank
from convcli.networks.costs import Convention
from convcli.networks.receptive import Field
from convcli.networks.trace import Fields, Step, Trace

Lines = Iterator[str]


def explain_shapes(trace: Trace) -> Lines:
    """Sizes and receptive fields of every layer."""
    for number, step in enumerate(trace.steps, 1):
        yield heading(number, step)
        yield from map(indented, each_axis(step, size_lines))
        yield from map(indented, field_lines(step, fields_before(trace, step)))


def explain_costs(trace: Trace, convention: Convention) -> Lines:
    """Parameters and multiply-adds of every layer with weights."""
    for number, step in enumerate(trace.steps, 1):
        if step.applied.banks or step.applied.extra:
            yield heading(number, step)
            for bank in step.applied.banks:
                yield from map(indented, bank_lines(bank, convention.batch))
            yield from map(indented, extra_lines(step))
            yield from map(indented, product_lines(step, convention.batch))


def heading(number: int, step: Step) -> str:
    """The layer and what it makes of what."""
    return f"{number}. {step.word}: {step.input} -> {step.output}"


def indented(line: str) -> str:
    """A line below a heading."""
    return f"   {line}"


def each_axis(step: Step, lines: Callable[[Step, int], Lines]) -> Lines:
    """The lines of every axis, once where all axes say the same."""
    texts = [list(lines(step, axis)) for axis in range(len(step.applied.axes))]
    if texts and all(text == texts[0] for text in texts):
        yield from texts[0]
        return
    for number, text in enumerate(texts, 1):
        yield from (f"axis {number}: {line}" for line in text)


# --- sizes


def size_lines(step: Step, i: int) -> Lines:
    """How one axis gets its size."""
    axis = step.applied.axes[i]
    if step.kind in ("gap", "fc", "flatten"):
        yield f"one output reads all {axis.size}"
    elif isinstance(axis, Geometry) and step.kind in ("pad", "crop"):
        yield f"out = n + begin + end = {axis.size} + {axis.begin} + {axis.end} = {axis.output}"
    elif isinstance(axis, Geometry):
        yield from padding_lines(step, axis)
        yield from window_lines(step, axis, step.applied.pads[i][1])
    elif isinstance(axis, Transposed):
        yield from transposed_lines(axis)
    elif isinstance(axis, AdaptivelyPooled):
        yield f"window u reads [floor(u n / m), ceil((u + 1) n / m)) with n = {axis.size}, m = {axis.output}"
    elif isinstance(axis, Spread):
        yield f"every output reads all {axis.size}"
    elif isinstance(axis, Scaled):
        factor = axis.factor[0] / axis.factor[1]
        yield f"out = floor(n f) = floor({axis.size} * {factor}) = {axis.output}; output u reads at u / f"
    else:
        yield f"out = {axis.output}; output u reads at u n / m = u {axis.size} / {axis.output}"


def padding_lines(step: Step, axis: Geometry) -> Lines:
    """How a padding rule gives its numbers."""
    k, s, d = axis.kernel, axis.stride, axis.dilation
    if step.layer.pad in ("s", "l"):
        order = "the odd one after" if step.layer.pad == "s" else "the odd one before"
        formula = f"max(0, d (k - 1) - (n - 1) mod s) = max(0, {d} ({k} - 1) - ({axis.size} - 1) mod {s})"
        yield f"SAME: p0 + p1 = {formula} = {axis.begin + axis.end}, {order}: ({axis.begin}, {axis.end})"
    if step.layer.pad == "c":
        yield f"causal: p0 = K - 1 = {axis.begin}, p1 = 0"
    if step.layer.pad == "h":
        yield f"half: p0 = p1 = floor(K / 2) = floor({axis.extent} / 2) = {axis.begin}"


def window_lines(step: Step, axis: Geometry, end: int) -> Lines:
    """The size of a convolution or pooling; `end` is the padding as declared."""
    yield from extent_lines(axis)
    n, p, K, s = axis.size, axis.begin, axis.extent, axis.stride  # noqa: N806  (the letters of the formula)
    if step.layer.ceil:
        room = n + p + end - K + s - 1
        yield f"out = floor((n + p0 + p1 - K + s - 1) / s) + 1 = floor({room} / {s}) + 1 = {room // s + 1}"
        if axis.output < room // s + 1:
            yield f"the last window would start in the padding at the end, so out = {axis.output}"
        return
    room = n + p + end - K
    filled = f"floor(({n} + {p} + {end} - {K}) / {s}) + 1 = floor({room} / {s}) + 1"
    yield f"out = floor((n + p0 + p1 - K) / s) + 1 = {filled} = {room // s} + 1 = {axis.output}"
    if axis.dropped:
        yield f"dropped at the end: (n + p0 + p1 - K) mod s = {room} mod {s} = {axis.dropped}"


def extent_lines(axis: Geometry | Transposed) -> Lines:
    """The effective kernel."""
    yield f"K = d (k - 1) + 1 = {axis.dilation} ({axis.kernel} - 1) + 1 = {axis.extent}"


def transposed_lines(axis: Transposed) -> Lines:
    """The size of a transposed convolution."""
    yield from extent_lines(axis)
    filled = f"{axis.stride} ({axis.size} - 1) + {axis.extent} - {axis.begin} - {axis.end} + {axis.extra}"
    yield f"out = s (n - 1) + K - p0 - p1 + op = {filled} = {axis.output}"
    yield f"a convolution maps {axis.possible[0]} to {axis.possible[0] + axis.stride - 1} to {axis.size}"


# --- receptive fields


def fields_before(trace: Trace, step: Step) -> Fields:
    """The receptive fields of what a step reads."""
    source = step.sources[0] if step.sources else -1
    return trace.steps[source].fields if source >= 0 else tuple(Field() for _ in trace.input.spatial)


def field_lines(step: Step, before: Fields) -> Lines:
    """How the receptive field grows, by the forward walk where it holds."""
    if not step.applied.axes or not before or not before[0] or not step.fields[0]:
        return
    old, new, axis = before[0], step.fields[0], step.applied.axes[0]
    if not isinstance(axis, Geometry) or old.phases > 1 or old.others:
        small, large = new.extent
        over = "all outputs" if new.others else f"{new.phases} phases of the output"
        yield f"receptive field: {small} to {large} over {over}"
        return
    r, j = old.extent[1], old.step
    jump = f"; jump j s = {j} * {axis.stride} = {new.step}" if new.step else ""
    yield f"receptive field r + (K - 1) j = {r} + ({axis.extent} - 1) {j} = {new.extent[1]}{jump}"


# --- costs


def bank_lines(bank: Bank, batch: int) -> Lines:
    """Weights and multiply-adds of one bank."""
    g, taps, positions = bank.groups, bank.taps, bank.positions
    numbers = f"{bank.outputs} ({bank.inputs} / {g}) {taps}"
    where, what = ("in", "Cin (Cout / g)") if bank.transposed else ("out", "Cout (Cin / g)")
    if bank.transposed:
        numbers = f"{bank.inputs} ({bank.outputs} / {g}) {taps}"
    yield f"weights = {what} prod(k) = {numbers} = {bank.weights:,}"
    yield f"MAC = N prod({where}) {what} prod(k) = {batch} * {positions:,} * {bank.weights:,} = {batch * bank.macs:,}"
    if bank.real_macs < bank.macs:
        yield f"of these {batch * bank.real_macs:,} are not on padding ({100 * bank.real_macs / bank.macs:.1f} %)"


def product_lines(step: Step, batch: int) -> Lines:
    """The products of two activations of an attention: queries by keys, and the result by values."""
    if step.kind == "attend":
        places, channels, made = prod(step.output.spatial), step.input.channels, step.output.channels
        seen = step.applied.products // (places * (channels + made))
        filled = f"{batch} * {places} * {seen} ({channels} + {made}) = {batch * step.applied.products:,}"
        yield f"products = N queries keys (C + Cv) = {filled} MACs of two activations, counted apart"
    elif step.applied.products:
        places, channels = prod(step.input.spatial), step.input.channels
        filled = f"{batch} * 2 * {places}^2 * {channels} = {batch * step.applied.products:,}"
        yield f"products = N 2 positions^2 C = {filled} MACs of two activations, counted apart"


def extra_lines(step: Step) -> Lines:
    """Biases, scales and shifts."""
    if step.applied.is_again:
        yield "the parameters count where the layer stands first"
    elif step.applied.extra:
        weights = sum(bank.weights for bank in step.applied.banks)
        kinds = f"{step.applied.extra:,} of bias, scale and shift"
        yield f"parameters = {weights:,} + {kinds} = {weights + step.applied.extra:,}"
