"""Printing what `shapes` and `flops` found: tables, CSV, Markdown or JSON, for one design or two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.commands.designs import Given, TableOptions, errors_in
from convcli.errors import UsageError
from convcli.networks.told.tables import (
    Listing,
    comparison_table,
)
from convcli.streams import say, visible
from convcli.tables import Table, chosen_style, show, write

if TYPE_CHECKING:
    from convcli.commands.models import GivenModel


class View(NamedTuple):
    """What a command shows of a design: its table, its explanation, and perhaps the price of each algorithm."""

    table: Callable[[Listing, str], Table]
    explain: Callable[[Listing], Iterator[str]]
    algorithms: bool = False


def print_designs(listings: Sequence[Listing], view: View, options: TableOptions) -> None:
    """Print one design, or two and how they compare."""
    style = style_of(options)
    if options.json:
        print_json(designs_dict(listings, view, explain=options.explain))
    elif style == "csv":
        print_csv(listings, view)
    else:
        print_tables(listings, view, style, explain=options.explain)


def style_of(options: TableOptions) -> str:
    """The style of tables; what excludes each other is refused."""
    if options.json and (options.csv or options.markdown):
        raise UsageError("--json excludes --csv and --markdown; give one of them")
    if options.csv and options.explain:
        raise UsageError("--explain writes text, which is no CSV; use --json, or drop one of them")
    return chosen_style(csv=options.csv, markdown=options.markdown)


def print_tables(listings: Sequence[Listing], view: View, style: str, *, explain: bool) -> None:
    """Print everything for people."""
    titles = ("A", "B") if len(listings) > 1 else ("",)
    for listing, title in zip(listings, titles, strict=True):
        if explain:
            write("".join(f"{visible(line)}\n" for line in view.explain(listing)) + "\n")
        show(view.table(listing, title), style)
        if view.algorithms:
            write("\n")
            show(priced(listing), style)
        if title:
            write("\n")
    if len(listings) > 1:
        show(comparison_table(*listings), style)


def priced(listing: Listing) -> Table:
    """The price of each algorithm."""
    from convcli.networks.told.algorithms import algorithm_table

    return algorithm_table(listing)


def print_csv(listings: Sequence[Listing], view: View) -> None:
    """Print one table as data: of the algorithms if they are asked for, of two designs with a column for which."""
    whole = [listing.whole for listing in listings]
    tables = [priced(listing) if view.algorithms else view.table(listing, "") for listing in whole]
    if len(tables) == 1:
        show(tables[0], "csv")
    else:
        columns = max((table.columns for table in tables), key=len)
        rows = [[name, *row] for name, table in zip("AB", tables, strict=True) for row in table.all_rows]
        rows = [[*row, *[None] * (len(columns) + 1 - len(row))] for row in rows]  # an order that is assumed is said
        show(Table(["design", *columns], rows), "csv")
    say(f"convcli: {whole[0].sentence}")


def designs_dict(listings: Sequence[Listing], view: View, *, explain: bool) -> dict[str, Any]:
    """One design or two as plain data."""
    from convcli.networks.told.json import comparison_dict

    designs = [listing.as_dict(with_algorithms=view.algorithms) for listing in listings]
    if explain:
        for design, listing in zip(designs, listings, strict=True):
            design["explain"] = list(view.explain(listing))
    return designs[0] if len(designs) == 1 else comparison_dict(listings[0], listings[1], designs)


def check_expected(given: Sequence[Given | GivenModel], listings: Sequence[Listing]) -> None:
    """Hold each design against what its file expects of it."""
    for each, listing in zip(given, listings, strict=True):
        if each.expect:
            from convcli.networks.expectations import check_expectations

            with errors_in(each.source):
                check_expectations(each.expect, listing.trace, listing.total)


def emit(given: Sequence[Given | GivenModel], options: TableOptions) -> None:
    """Write one network in the notation."""
    if len(given) > 1:
        raise UsageError("is for one design; drop vs and what follows", where="--emit")
    if options.json or options.csv or options.markdown or options.explain:
        raise UsageError("writes a network, not a table; drop --json, --csv, --markdown and --explain", where="--emit")
    from convcli.networks.emit import design_text

    (one,) = given
    with errors_in(one.source):
        toml = options.emit == "toml"
        write(design_text(one.network, one.input, one.rules, toml=toml) if isinstance(one, Given) else one.text(toml))


def print_json(data: dict[str, Any]) -> None:
    """Print one JSON object on a line."""
    import json

    write(json.dumps(data) + "\n")
