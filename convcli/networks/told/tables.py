"""Traced designs as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed, Whole
from convcli.networks.advice import advice, doubts
from convcli.networks.costs import Convention, Cost, costs, peak_elements, together
from convcli.networks.network import Pads, Shape
from convcli.networks.receptive import Field
from convcli.networks.told.shares import Share, design_shares
from convcli.networks.trace import Fields, Step, Trace
from convcli.tables import Table

FOLDED_FROM = 20
"""Layers from which repeated blocks are folded."""


ASSUMED = "assumed: the parts run once and in the order printed; a forward that branches makes other numbers"


class Listing:
    """A traced design with its costs. `fold` asks for repeated blocks to be folded.

    `is_assumed` marks every answer: the order of the layers was asked for, not proven.
    """

    def __init__(
        self,
        trace: Trace,
        convention: Convention,
        notes: tuple[str, ...] = (),
        *,
        fold: bool = False,
        is_assumed: bool = False,
    ) -> None:
        self.trace, self.convention, self.fold, self.is_assumed = trace, convention, fold, is_assumed
        self.notes = (ASSUMED, *notes) if is_assumed and ASSUMED not in notes else notes

    @property
    def whole(self) -> Listing:
        """The same with a row for every step."""
        return Listing(self.trace, self.convention, self.notes, is_assumed=self.is_assumed)

    @cached_property
    def costs(self) -> list[Cost]:
        """The cost of each step."""
        return costs(self.trace, self.convention)

    @cached_property
    def total(self) -> Cost:
        """The cost of all steps."""
        return together(self.costs)

    @cached_property
    def groups(self) -> list[list[int]]:
        """The steps that each row of a table stands for."""
        steps = self.trace.steps
        if not self.fold or len(steps) < FOLDED_FROM:
            return [[i] for i in range(len(steps))]
        from convcli.networks.told.folding import folded

        keys = [
            (step.word, step.input, step.output, tuple(i - source for source in step.sources))
            for i, step in enumerate(steps)
        ]
        return [run.members(offset) for run in folded(keys) for offset in range(run.length)]

    @property
    def is_folded(self) -> bool:
        """True where a row stands for several layers."""
        return len(self.groups) < len(self.trace.steps)

    @property
    def shares(self) -> list[Share]:
        """What each row of the table of costs stands for."""
        return list(design_shares(self))

    @property
    def sentence(self) -> str:
        """How things are counted."""
        return self.convention.sentence(*self.trace.inputs)

    @property
    def output(self) -> Shape:
        """What the design makes."""
        return self.trace.output

    @property
    def peak(self) -> int:
        """The most bytes of activations alive at once."""
        return self.bytes(self.convention.batch * peak_elements(self.trace))

    @property
    def at_least(self) -> bool:
        """True where the cost of some layer is not known; of a design in words all are."""
        return False

    @property
    def spent(self) -> Cost:
        """What a budget is held against: products of two activations, too."""
        return self.total.spent

    def check_complete(self) -> None:
        """Refuse a design of which some costs are not known; one in words has none."""

    def shape_table(self, title: str) -> Table:
        """Sizes, padding, dropped columns and receptive fields of every layer."""
        rows = [shape_row(self.trace.steps[group[-1]]) for group in self.groups]
        columns = ["layer", "output", "pad", "dropped", "K", "receptive field", "jump", "start"]
        notes = [summary(self), *head_lines(self), *advice(self.trace), cost_line(self)]
        return marked(self, with_times(self, Table(columns, rows, title, [*notes, *self.notes])))

    def cost_table(self, title: str) -> Table:
        """Parameters, MACs, FLOPs and memory of every layer."""
        total = self.total
        rows = [cost_row(self, group) for group in self.groups]
        columns = ["layer", "output", "params", "MACs", "FLOPs", "share %", "real MACs", "activations KiB", "FLOP/byte"]
        footer = ["total", str(self.output), *cost_cells(self, total)]
        notes = [self.sentence, "FLOP = 2 per MAC; real MACs do not fall on padding", memory_line(self)]
        notes += [*product_lines(self), *doubts(self.trace)]
        return marked(self, with_times(self, Table(columns, rows, title, [*notes, *self.notes], footer)))

    def as_dict(self, *, with_algorithms: bool) -> dict[str, Any]:
        """All that is known, as plain data."""
        from convcli.networks.told.json import listing_dict

        return listing_dict(self, with_algorithms=with_algorithms)

    @property
    def fields(self) -> Fields:
        """The receptive fields at the end."""
        return self.trace.steps[-1].fields if self.trace.steps else ()

    def bytes(self, elements: int) -> int:
        """The memory that so many numbers take."""
        return elements * self.convention.item


# --- tables


def shape_row(step: Step) -> list[object]:
    """One row of the table of shapes."""
    return [
        step.word,
        str(step.output),
        padding_text(step),
        collapsed([str(n) for n in step.dropped]) if any(step.dropped) else None,
        collapsed(list(extents(step))),
        fields_text(step.fields),
        jumps_text(step.fields),
        collapsed(["?" if start is None else str(start) for start in starts(step.fields)]),
    ]


def product_lines(listing: Listing) -> list[str]:
    """The multiply-adds of two activations, which are not among the MACs, if there are any."""
    products = listing.total.products
    if not products:
        return []
    every = listing.spent.macs
    return [f"apart from these {products:,} MACs in products of two activations (attention): {every:,} in all"]


def cost_row(listing: Listing, group: list[int]) -> list[object]:
    """One row of the table of costs, adding up what it stands for."""
    step = listing.trace.steps[group[-1]]
    cost = together(listing.costs[i] for i in group)
    return [step.word, str(step.output), *cost_cells(listing, cost)]


def cost_cells(listing: Listing, cost: Cost) -> list[object]:
    """The numbers of one row of the table of costs."""
    intensity = cost.intensity(listing.convention.item)
    return [
        cost.params,
        cost.macs,
        cost.flops,
        round(100 * cost.macs / listing.total.macs, 1) if listing.total.macs else None,
        cost.macs_real,
        round(listing.bytes(cost.activations) / 1024, 1),
        None if intensity is None else round(intensity, 1),
    ]


def with_times(listing: Listing, table: Table) -> Table:
    """The table with a column that says how many layers a row stands for, where some stand for several."""
    if not listing.is_folded:
        return table
    times = [f"{len(group)}×" if len(group) > 1 else "" for group in listing.groups]
    rows = [[count, *row] for count, row in zip(times, table.rows, strict=True)]
    note = "N× stands for N equal layers, their costs added up, the receptive field of the last; --all shows each"
    footer = ["", *table.footer] if table.footer else ()
    return Table(["", *table.columns], rows, table.title, [*table.notes, note], footer)


def marked(listing: Listing, table: Table) -> Table:
    """The table with a column that says in every row that the order is assumed, where it is."""
    if not listing.is_assumed:
        return table
    rows = [[*row, "assumed"] for row in table.rows]
    footer = [*table.footer, "assumed"] if table.footer else ()
    return table._replace(columns=[*table.columns, "order"], rows=rows, footer=footer)


def comparison_table(one: Listing, other: Listing) -> Table:
    """Two designs side by side, A / B, and whether they make the same shape."""
    rows: list[list[object]] = []
    for name, a, b in (
        ("params", one.total.params, other.total.params),
        ("MACs", one.total.macs, other.total.macs),
        ("FLOPs", one.total.flops, other.total.flops),
        ("real MACs", one.total.macs_real, other.total.macs_real),
        ("peak activations", one.peak, other.peak),
    ):
        rows.append([name, a, b, round(a / b, 2) if b else None])
    notes = [
        compared("MACs", one.total.macs, other.total.macs),
        compared("parameters", one.total.params, other.total.params),
        *dict.fromkeys(ASSUMED for each in (one, other) if each.is_assumed),
        *(f"the costs of {name} are at least these" for name, each in (("A", one), ("B", other)) if each.at_least),
    ]
    return Table(["", "A", "B", "A / B"], rows, "A vs B", [*notes, agreement(one.output, other.output)])


def compared(what: str, a: int, b: int) -> str:
    """How B compares with A.

    >>> compared("MACs", 120_422_400, 12_443_648)
    'B has 9.68 times fewer MACs than A'
    """
    if a == b:
        return f"A and B have as many {what}"
    if not a or not b:
        return f"only {'A' if a else 'B'} has {what}"
    return f"B has {max(a, b) / min(a, b):.2f} times {'fewer' if b < a else 'more'} {what} than A"


def agreement(a: Shape, b: Shape) -> str:
    """Whether two outputs agree."""
    return f"the outputs agree: {a}" if a == b else f"the outputs differ: A makes {a}, B makes {b}"


# --- lines


def summary(listing: Listing) -> str:
    """The result in one line, with the padding where there is one layer."""
    steps = listing.trace.steps
    pads = f"pads {padding_text(steps[0])}" if len(steps) == 1 and steps[0].applied.pads else ""
    seen, jump = fields_text(listing.fields), jumps_text(listing.fields)
    parts = [str(listing.trace.output), pads, f"receptive field {seen}" if seen else "", f"jump {jump}" if jump else ""]
    return ", ".join(part for part in parts if part)


def head_lines(listing: Listing) -> list[str]:
    """The other outputs of a network with several heads."""
    heads = [listing.trace.steps[i] for i in listing.trace.ends[:-1]]
    return [f"also made: {', '.join(f'{head.output} ({head.word})' for head in heads)}"] if heads else []


def cost_line(listing: Listing) -> str:
    """The costs in one line."""
    total, convention = listing.total, listing.convention
    kept = f"activations {size_text(listing.bytes(total.activations))} ({convention.dtype}, batch {convention.batch})"
    return f"{total.params:,} parameters, {total.macs:,} MACs, {kept}"


def memory_line(listing: Listing) -> str:
    """The memory in one line."""
    total = listing.total
    parts = [
        f"parameters {size_text(listing.bytes(total.params))}",
        f"activations {size_text(listing.bytes(total.activations))} in all, {size_text(listing.peak)} at once",
        f"im2col at most {size_text(listing.bytes(total.columns))}",
    ]
    return f"memory in {listing.convention.dtype}: {', '.join(parts)}"


def size_text(size: int) -> str:
    """Bytes for people.

    >>> size_text(512), size_text(101_807_872)
    ('512 B', '97.1 MiB')
    """
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return (
        f"{value:.4g} {units[0]}"
        if units[0] == "B"
        else f"{value:.3g} {units[0]}"
        if value < 1000
        else f"{value:,.0f} {units[0]}"
    )


# --- cells


def pads_text(pads: Pads) -> str | None:
    """
    >>> pads_text(((0, 1), (0, 1)))
    '(0,1) x (0,1)'
    """
    return " x ".join(f"({begin},{end})" for begin, end in pads) or None


def padding_text(step: Step) -> str | None:
    """The padding of each axis, and the output padding of a transposed layer that has one."""
    extra = [axis.extra for axis in step.applied.axes if isinstance(axis, Transposed)]
    pads = pads_text(step.applied.pads)
    return f"{pads}, op {collapsed([str(op) for op in extra])}" if any(extra) else pads


def collapsed(texts: Sequence[str]) -> str | int | None:
    """One text where all axes say the same; a number where it is one.

    >>> collapsed(["3", "3"]), collapsed(["3", "5"]), collapsed([])
    (3, '3x5', None)
    """
    text = "x".join(texts[:1] if len(set(texts)) == 1 else texts)
    return int(text) if text.removeprefix("-").isdecimal() else text or None


def extents(step: Step) -> Iterator[str]:
    """The effective kernel of each axis."""
    for axis in step.applied.axes:
        if isinstance(axis, (Geometry, Transposed)) and step.kind not in ("pad", "crop"):
            yield "all" if isinstance(axis, Whole) else str(axis.extent)


def fields_text(fields: Fields) -> str | int | None:
    """The receptive field of each axis, smallest to largest where phases differ."""
    return collapsed([extent_text(field) for field in fields])


def extent_text(field: Field | None) -> str:
    """
    >>> extent_text(Field(2, ((0, 10), (0, 12)))), extent_text(Field(0, ((-9, 9),))), extent_text(None)
    ('11 to 13', '19 (all)', '?')
    """
    if field is None:
        return "?"
    small, large = field.extent
    return (f"{large}" if small == large else f"{small} to {large}") + (" (all)" if field.sees_all else "")


def jumps_text(fields: Fields) -> str | int | None:
    """The jump of each axis, as a fraction where outputs lie closer than pixels."""
    jumps = [field.jump for field in fields if field and field.step]
    return collapsed([f"{step}/{phases}" if phases > 1 else f"{step}" for step, phases in jumps])


def starts(fields: Fields) -> list[int | None]:
    """The first pixel that output 0 sees, on each axis."""
    intervals = [field.at(0) if field else None for field in fields]
    return [interval[0] if interval else None for interval in intervals]
