"""`convcli flops`: parameters, multiply-adds and memory, without any framework."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from convcli.commands.designs import DesignOptions, TableOptions, Words, read_designs
from convcli.commands.pictures import PictureOptions, save_picture
from convcli.commands.printing import View, check_expected, emit, print_designs
from convcli.errors import UsageError
from convcli.networks.costs import COUNTABLE
from convcli.networks.told.tables import Listing
from convcli.options.declare import Option
from convcli.tables import Table

if TYPE_CHECKING:
    from convcli.commands.designs import Given
    from convcli.commands.models import GivenModel
    from convcli.networks.budget import Budget
    from convcli.pictures.roofline import Roof

PICTURES = (".svg", ".png", ".html")
NAMED = 6
"""Layers that a picture's title names."""


def countable() -> tuple[str, ...]:
    """What --with may name."""
    return (*COUNTABLE, "all")


With = Annotated[
    str,
    Option(
        "--with",
        metavar="WHAT",
        words=countable,
        daily=True,
        help="Count these FLOPs too: bias,bn,act,pool,add or all.",
    ),
]
Limit = Annotated[
    str, Option("--budget", metavar="N", daily=True, help="Fail (exit 1) above so many MACs: 2G; or 4GFLOP, 25Mparams.")
]
Algorithms = Annotated[
    bool, Option("--algorithms", daily=True, help="What each algorithm pays that computes the same.")
]


def flops(
    design: DesignOptions,
    table: TableOptions,
    picture: PictureOptions,
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
        convcli flops model.onnx --depth 2 --draw cost.svg
    """
    check_picture(picture, table)
    limit = parsed_budget(budget) if budget else None
    convention = design.convention(counted)
    given = read_designs(words, design)
    if table.emit:
        emit(given, table)
        return
    listings = [each.listing(convention, table) for each in given]
    if picture.draw:
        draw_costs(given, listings, picture)
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


def check_picture(picture: PictureOptions, table: TableOptions) -> None:
    """Refuse what is no picture, or goes with none."""
    if picture.force and not picture.draw:
        raise UsageError("goes with --draw FILE", where="--force")
    if picture.draw:
        from convcli.pictures.kinds import kind_of

        kind_of(picture.draw, PICTURES, "--draw")
        if table.emit:
            raise UsageError("writes a network, of which nothing is drawn; drop one of them", where="--emit")


def draw_costs(given: "Sequence[Given | GivenModel]", listings: Sequence[Listing], picture: PictureOptions) -> None:
    """Draw what designs cost into a file."""
    from convcli.pictures.costs import Design, costs_drawing, costs_page
    from convcli.pictures.kinds import encoded, kind_of
    from convcli.pictures.page import page_text

    designs = [Design(called(each, listing), listing) for each, listing in zip(given, listings, strict=True)]
    kind, roof = kind_of(picture.draw, PICTURES, "--draw"), roof_here()
    if kind == ".html":
        data = page_text(costs_page(designs, roof)).encode()
    else:
        data = encoded(costs_drawing(designs, roof), kind)
    save_picture(picture.draw, data, force=picture.force)


def called(given: "Given | GivenModel", listing: Listing) -> str:
    """What a picture calls a design: its file, or its input and its words."""
    words = " ".join(step.word for step in listing.trace.steps[:NAMED])
    more = " ..." if len(listing.trace.steps) > NAMED else ""
    return given.source.rpartition("/")[2] if given.source else f"{given.input} {words}{more}"


def roof_here() -> "Roof":
    """What one thread of this machine does at best, by `convcli tune`, or by the numbers shipped, which is said."""
    from convcli.machine import known
    from convcli.pictures.roofline import Roof

    found = known()
    machine = found.machine
    if found.tuned:
        words = f"One thread of this machine ({machine.name}) in float32, measured by convcli tune."
    else:
        why = f" ({found.remark})" if found.remark else ""
        words = (
            f"This machine is not measured{why}: the numbers are those shipped with convcli, of one thread of "
            f"{machine.name} in float32. convcli tune measures this one."
        )
    return Roof(2 / machine.peak, 1 / machine.stream, words)


def parsed_budget(text: str) -> "Budget":
    """The limit that --budget sets."""
    from convcli.networks.budget import parse_budget

    return parse_budget(text)
