"""What a traced network costs: parameters, MACs and FLOPs under a stated convention, and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.networks.layers import KINDS
from convcli.networks.network import Shape
from convcli.networks.trace import Step, Trace

ITEM_SIZES = {"fp32": 4, "fp16": 2, "int8": 1}
"""Bytes of one number."""

COUNTABLE = {
    "bias": "bias",
    "bn": "normalisation",
    "act": "activation",
    "pool": "pooling",
    "add": "addition of branches",
}
"""What --with may count beside multiply-adds, and how the convention calls it."""


class Convention(NamedTuple):
    """How things are counted: what beside multiply-adds, for how many images, in which numbers."""

    counted: frozenset[str] = frozenset()
    batch: int = 1
    dtype: str = "fp32"

    @property
    def item(self) -> int:
        """Bytes of one number."""
        return ITEM_SIZES[self.dtype]

    def sentence(self, *shapes: Shape) -> str:
        """The convention in words.

        >>> Convention(frozenset(["bias"])).sentence(Shape(3, (8, 8)))  # doctest: +ELLIPSIS
        'MAC = one multiply-add; bias counted in FLOPs; normalisation, activation and pooling not counted; batch 1; ...'
        """
        counted = [COUNTABLE[what] for what in COUNTABLE if what in self.counted]
        left = [COUNTABLE[what] for what in COUNTABLE if what not in self.counted and what != "add"]
        parts = ["MAC = one multiply-add"]
        if counted:
            parts.append(f"{enumerated(counted)} counted in FLOPs")
        if left:
            parts.append(f"{enumerated(left)} not counted")
        return "; ".join([*parts, f"batch {self.batch}", f"input {' and '.join(map(str, shapes))}"])


def enumerated(words: list[str]) -> str:
    """
    >>> enumerated(["bias", "activation", "pooling"]), enumerated(["bias"])
    ('bias, activation and pooling', 'bias')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def parse_counted(text: str) -> frozenset[str]:
    """What --with names: words divided by commas, or all.

    >>> sorted(parse_counted("bias,bn"))
    ['bias', 'bn']
    """
    words = frozenset(word.strip() for word in text.split(",") if word.strip())
    if words == {"all"}:
        return frozenset(COUNTABLE)
    for word in sorted(words - COUNTABLE.keys()):
        raise UsageError(f"{word!r} cannot be counted; use {', '.join(COUNTABLE)}, or all", where="--with")
    return words


class Cost(NamedTuple):
    """What a layer, or a network, costs. Sizes are in numbers, not bytes; `columns` is im2col's matrix of one image.

    `products` are multiply-adds of two activations (attention), which are not among the MACs.
    """

    params: int = 0
    macs: int = 0
    macs_real: int = 0
    flops: int = 0
    activations: int = 0
    columns: int = 0
    moved: int = 0
    products: int = 0

    @property
    def spent(self) -> Cost:
        """The same with the products of two activations among the multiply-adds."""
        return self._replace(macs=self.macs + self.products, flops=self.flops + 2 * self.products)

    def intensity(self, item: int) -> float | None:
        """FLOPs for each byte that must move at least once; None where nothing is computed."""
        return self.flops / (self.moved * item) if self.flops and self.moved else None


def together(costs: Iterable[Cost]) -> Cost:
    """Several layers together; there is one im2col matrix at a time.

    >>> together([Cost(params=1, columns=8), Cost(params=2, columns=4)])
    Cost(params=3, macs=0, macs_real=0, flops=0, activations=0, columns=8, moved=0, products=0)
    """
    each = dict(zip(Cost._fields, zip(*costs, strict=True), strict=False))
    return Cost(**{what: max(values) if what == "columns" else sum(values) for what, values in each.items()})


def step_cost(step: Step, read: int, convention: Convention) -> Cost:
    """What one step costs; `read` are the elements of its inputs, for one image."""
    banks, batch = step.applied.banks, convention.batch
    macs = batch * sum(bank.macs for bank in banks)
    weights = sum(bank.weights for bank in banks) + step.applied.extra
    work = batch * sum(operations for what, operations in step.applied.work if what in convention.counted)
    written = 0 if is_alias(step) else batch * step.output.elements
    return Cost(
        params=0 if step.applied.is_again else weights,
        macs=macs,
        macs_real=batch * sum(bank.real_macs for bank in banks),
        flops=2 * macs + work,
        activations=written,
        columns=max((bank.columns for bank in banks), default=0),
        moved=weights + written + (0 if is_alias(step) else batch * read),
        products=batch * step.applied.products,
    )


def costs(trace: Trace, convention: Convention) -> list[Cost]:
    """The cost of every step."""
    elements = {-1: trace.input.elements} | {i: step.output.elements for i, step in enumerate(trace.steps)}
    return [step_cost(step, sum(elements[source] for source in step.sources), convention) for step in trace.steps]


def is_alias(step: Step) -> bool:
    """True for what only gives a tensor another name or another shape."""
    return step.kind in KINDS and KINDS[step.kind].family == "alias"


def is_in_place(step: Step) -> bool:
    """True for what may overwrite its input: normalisations and activations."""
    return step.kind in KINDS and KINDS[step.kind].family in ("bn", "act")


def peak_elements(trace: Trace) -> int:
    """The most numbers alive at once at inference, one image: inputs, the output in the making, and remembered skips.

    Layers run in the order written; a tensor goes when its last reader is done; an activation overwrites its input
    where nothing else needs it.

    >>> from convcli.networks.notation import parse
    >>> from convcli.networks.trace import trace
    >>> peak_elements(trace(parse("{ conv1-2 relu conv1-1 | id }"), Shape(1, (10,))))
    40
    """
    readers = Counter(source for step in trace.steps for source in step.sources)
    for end in trace.ends or (-1,):
        readers[end] += 1  # results outlive the network
    entries = {-1: trace.input} | {i: step.output for i, step in enumerate(trace.steps) if step.kind == "input"}
    tensor, waiting = {i: i for i in entries}, {i: readers[i] for i in entries}
    alive = {i: shape.elements for i, shape in entries.items()}
    peak = sum(alive.values())
    for i, step in enumerate(trace.steps):
        if i in entries:
            continue
        read = [tensor[source] for source in step.sources]
        if is_alias(step) or (is_in_place(step) and waiting[read[0]] == 1):
            tensor[i] = read[0]
            waiting[read[0]] += readers[i]
        else:
            tensor[i], waiting[i], alive[i] = i, readers[i], step.output.elements
        peak = max(peak, sum(alive.values()))
        for each in read:
            waiting[each] -= 1
            if not waiting[each]:
                del alive[each]
    return peak
