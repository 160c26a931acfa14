"""What each row of a table of costs stands for, as values: for pictures, and whoever else wants numbers, not cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from convcli.networks.costs import Cost, together

if TYPE_CHECKING:
    from convcli.networks.told.graphs import GraphListing
    from convcli.networks.told.tables import Listing


class Share(NamedTuple):
    """One row: what it is called, what it is and makes, what it costs, and for how many layers or nodes it stands.

    `level` says how deep it is in a tree of modules; a row `has_parts` where the rows below it are parts of it.
    `unknown` are the layers in it whose cost is not known.
    """

    name: str
    word: str
    output: str
    cost: Cost
    layers: int = 1
    level: int = 0
    has_parts: bool = False
    unknown: int = 0


def design_shares(listing: Listing) -> Iterator[Share]:
    """The rows of a design in words: its layers, repeated ones added up where the table folds them."""
    for group in listing.groups:
        step = listing.trace.steps[group[-1]]
        cost = together(listing.costs[i] for i in group)
        name = step.layer.name or step.word
        yield Share(f"{len(group)}× {name}" if len(group) > 1 else name, step.word, str(step.output), cost, len(group))


def graph_shares(listing: GraphListing) -> Iterator[Share]:
    """The rows of a graph: its nodes, or modules down to a depth, or kinds."""
    rows, steps = listing.rows, listing.graph.steps
    for i, row in enumerate(rows):
        last = listing.trace.steps[row.steps[-1]]
        cost = together(listing.costs[i] for i in row.steps)
        unknown = sum(1 for i in row.steps if not steps[i].is_known)
        has_parts, name = any(after.level > row.level for after in rows[i + 1 : i + 2]), row.name.strip()
        yield Share(name, last.word, str(last.output), cost, len(row.steps), row.level, has_parts, unknown)
