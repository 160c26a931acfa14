"""What each row of a table of costs stands for, as values: for pictures, and whoever else wants numbers, not cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from convcli.networks.costs import Cost, together

if TYPE_CHECKING:
    from convcli.networks.told.graphs import GraphListing, Row
    from convcli.networks.told.tables import Listing

NOTHING = Cost()


class Share(NamedTuple):
    """One row: what it is called and makes, the layers or nodes that it stands for, by number, and what they cost.

    `level` says how deep it is in a tree of modules, where rows below may be parts of it; `own` is the cost of what is
    in none of its parts: own costs add up to the total. `unknown` are those of its nodes whose cost is not known.
    """

    name: str
    output: str
    steps: tuple[int, ...]
    cost: Cost
    own: Cost
    level: int = 0
    unknown: int = 0

    @property
    def has_parts(self) -> bool:
        """Whether rows below say a part of what it costs."""
        return self.own != self.cost


def design_shares(listing: Listing) -> Iterator[Share]:
    """The rows of a design in words: its layers, repeated ones added up where the table folds them."""
    for group in listing.groups:
        step = listing.trace.steps[group[-1]]
        cost = together(listing.costs[i] for i in group)
        name = step.layer.name or step.word
        name = f"{len(group)}× {name}" if len(group) > 1 else name
        yield Share(name, str(step.output), tuple(group), cost, cost)


def graph_shares(listing: GraphListing) -> Iterator[Share]:
    """The rows of a graph: its nodes, or modules down to a depth, or kinds."""
    rows, steps = listing.rows, listing.graph.steps
    for i, row in enumerate(rows):
        alone = set(row.steps).difference(*(part.steps for part in parts_of(rows, i)))
        cost, own = (together([NOTHING, *(listing.costs[i] for i in some)]) for some in (row.steps, alone))
        unknown = sum(1 for i in row.steps if not steps[i].is_known)
        output = str(listing.trace.steps[row.steps[-1]].output)
        yield Share(row.name.strip(), output, row.steps, cost, own, row.level, unknown)


def parts_of(rows: Sequence[Row], number: int) -> Iterator[Row]:
    """The rows below one that are deeper in the tree, up to the next one that is not."""
    for row in rows[number + 1 :]:
        if row.level <= rows[number].level:
            return
        yield row
