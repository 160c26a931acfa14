"""`convcli flops`: parameters, multiply-adds and memory, without any framework."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from convcli.commands.designs import DesignOptions, TableOptions, Words, read_designs
from convcli.commands.printing import View, check_expected, emit, print_designs
from convcli.networks.costs import COUNTABLE
from convcli.networks.told.tables import Listing
from convcli.options.declare import Option
from convcli.tables import Table

if TYPE_CHECKING:
    from convcli.networks.budget import Budget


def countable() -> tuple[str, ...]:
    """What --with may name."""
    return (*COUNTABLE, "all")


With = Annotated[
    str, Option("--with", metavar="WHAT", words=countable, help="Count these FLOPs too: bias,bn,act,pool,add or all.")
]
Limit = Annotated[
    str, Option("--budget", metavar="N", help="Fail (exit 1) above so many MACs: 2G; or 4GFLOP, 25Mparams.")
]
Algorithms = Annotated[bool, Option("--algorithms", help="What each algorithm pays that computes the same.")]


def flops(
    design: DesignOptions,
    table: TableOptions,
    words: Words = None,
    counted: With = "",
    budget: Limit = "",
    algorithms: Algorithms = False,
) -> None:
    """Count the parameters, multiply-adds, FLOPs and memory of every layer.

    Layers are words, as `convcli shapes --help` tells; A vs B compares two designs on the same input.

    Examples:
        convcli flops 192@28x28 conv5-32p2 vs 'pw-16 conv5-32p2'
        convcli flops 3@224x224 conv7-64/2p3 max3/2p1 --with bias,pool
        convcli flops 64@56x56 conv3-64p1 --algorithms
        convcli flops --file network.toml --budget 2G
        convcli flops 3@32x32 --from torch model.txt --markdown
    """
    limit = parsed_budget(budget) if budget else None
    convention = design.convention(counted)
    given = read_designs(words, design)
    if table.emit:
        emit(given, table)
        return
    listings = [each.listing(convention, table) for each in given]
    print_designs(listings, View(tabled, explained, algorithms), table)
    check_expected(given, listings)
    if limit:
        limit.check([listing.spent for listing in listings])
        for listing in listings:
            listing.check_complete()


def tabled(listing: Listing, title: str) -> Table:
    """Costs."""
    return listing.cost_table(title)


def explained(listing: Listing) -> Iterator[str]:
    """The formulas of every layer, filled in."""
    from convcli.networks.explain import explain_costs

    return explain_costs(listing.trace, listing.convention)


def parsed_budget(text: str) -> "Budget":
    """The limit that --budget sets."""
    from convcli.networks.budget import parse_budget

    return parse_budget(text)
