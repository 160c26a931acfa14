"""Tables as people read them.

One table, three ways to print it: drawn for people, CSV and Markdown for documents; JSON has its own data. On a
terminal rich draws it. Anywhere else plain text of any width is written, so that a pipe loses no data, gets no colours,
and pays nothing for importing rich.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from convcli.errors import UsageError
from convcli.numerals import is_decimal
from convcli.streams import visible

if TYPE_CHECKING:
    from rich.table import Table as RichTable

GAP = "  "
RULES = 3
"""Columns of a terminal that rich puts between two columns of a table."""

FORMULA = r"\s*[=+\-@＝＋－＠]\s*\S"
"""How a cell begins that spreadsheets run (OWASP, CSV injection; tabs and line breaks are made visible before)."""
MARKUP = r"[|<`]|(?<=\])\("
"""What ends a cell of Markdown, or begins a tag, code or the target of a link in it."""

FOLDED = 15
"""How narrow a column of words may become."""


class Table(NamedTuple):
    """Columns, rows of plain values, a last row set apart (totals), and lines below.

    Integers and floats are aligned right and grouped by thousands; None is an empty cell.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    notes: Sequence[str] = ()
    footer: Sequence[object] = ()

    @property
    def all_rows(self) -> list[Sequence[object]]:
        """The rows with the footer, if there is one."""
        return [*self.rows, self.footer] if self.footer else list(self.rows)

    def is_numeric(self, column: int) -> bool:
        """True where a column holds numbers (or nothing) only."""
        return all(is_number(row[column]) or row[column] in (None, "") for row in self.all_rows)


def show(table: Table, style: str = "rich") -> None:
    """Print a table on standard output; `style` is "rich", "csv" or "markdown"."""
    if style == "csv":
        show_csv(table)
    elif style == "markdown":
        write(markdown(table))
    elif draws_boxes():
        draw(table)
    else:
        write(plain(table))


def chosen_style(*, csv: bool, markdown: bool) -> str:
    """The style that the options --csv and --markdown ask for.

    >>> chosen_style(csv=False, markdown=True)
    'markdown'
    """
    if csv and markdown:
        raise UsageError("--csv and --markdown exclude each other; give one of them")
    return "csv" if csv else "markdown" if markdown else "rich"


def cell(value: object) -> str:
    """A value as people read it.

    >>> [cell(v) for v in (1234567, 0.25, 1234567.5, None, True, "3x3")]
    ['1,234,567', '0.25', '1,234,568', '', 'yes', '3x3']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"
    return visible(str(value))


def is_number(value: object) -> bool:
    """True for what is aligned right."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def draws_boxes() -> bool:
    """True on a terminal that can draw."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def plain(table: Table) -> str:
    """A table as aligned text of any width, without colours.

    >>> print(plain(Table(["layer", "MACs"], [["conv3-64", 1000]], notes=["batch 1"])), end="")
    layer      MACs
    --------  -----
    conv3-64  1,000
    batch 1
    """
    return "".join(f"{line.rstrip()}\n" for line in plain_lines(table))


def plain_lines(table: Table) -> Iterator[str]:
    """The lines of `plain`."""
    texts = [list(table.columns), *([cell(value) for value in row] for row in table.all_rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [table.is_numeric(i) for i in range(len(widths))]
    rule = GAP.join("-" * width for width in widths)
    lines = [GAP.join(pad(*each) for each in zip(row, widths, right, strict=True)) for row in texts]
    if table.title:
        yield visible(table.title)
    yield lines[0]
    yield rule
    yield from lines[1 : len(table.rows) + 1]
    if table.footer:
        yield rule
        yield lines[-1]
    yield from map(visible, table.notes)


def pad(text: str, width: int, right: bool) -> str:
    """`text` filled with spaces to `width`."""
    return text.rjust(width) if right else text.ljust(width)


def markdown(table: Table) -> str:
    """A table for a Markdown document; what would be markup inside a cell is escaped.

    >>> print(markdown(Table(["a", "b"], [["x|y", 1]])), end="")
    | a | b |
    | --- | ---: |
    | x\\|y | 1 |
    """
    marks = ["---:" if table.is_numeric(i) else "---" for i in range(len(table.columns))]
    body = [table.columns, marks, *([cell(value) for value in row] for row in table.all_rows)]
    above = [f"**{visible(table.title)}**", ""] if table.title else []
    below = [line for note in table.notes for line in ("", visible(note))]
    return "".join(f"{line}\n" for line in (*above, *map(markdown_row, body), *below))


def markdown_row(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(re.sub(MARKUP, r"\\\g<0>", text) for text in cells) + " |"


def show_csv(table: Table) -> None:
    """Print columns and rows (no title, no notes) as comma-separated values: numbers ungrouped, None empty.

    No text is a formula to a spreadsheet: an apostrophe before it says so.
    """
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([harmless(value) for value in row] for row in (table.columns, *table.all_rows))
    write(text.getvalue())


def harmless(value: object) -> object:
    """A value as a cell of data: a text that a spreadsheet would run is marked as text.

    >>> harmless("=1+1"), harmless("-1"), harmless(-1), harmless("-1 0 1")
    ("'=1+1", '-1', -1, "'-1 0 1")
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if re.match(FORMULA, text) and not is_decimal(text) else text


def draw(table: Table) -> None:
    """Draw a table with rich; rich honours NO_COLOR by itself."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    fitted = fitting(table, console.width)
    with console.capture() as drawn:
        console.print(rich_table(fitted))
        for note in fitted.notes:
            console.print(Text(visible(note), style="dim"))
    write(drawn.get())


def fitting(table: Table, width: int) -> Table:
    """The table without the last numbers that a narrow terminal has no room for; words are folded instead.

    >>> fitting(Table(["layer", "MACs", "FLOPs"], [["conv", 1_000_000, 2_000_000]]), 24).columns
    ['layer', 'MACs']
    """
    texts = [list(table.columns), *([cell(value) for value in row] for row in table.all_rows)]
    widths = [RULES + max(map(len, column)) for column in zip(*texts, strict=True)]
    numbers = [i for i in range(len(widths)) if table.is_numeric(i)]
    room = width - sum(min(each, FOLDED) for i, each in enumerate(widths) if i not in numbers)
    left_out = [i for i in numbers[1:] if sum(widths[j] for j in numbers if j <= i) > room]
    return without(table, left_out) if left_out else table


def without(table: Table, left_out: Sequence[int]) -> Table:
    """The table without some columns, which a note names."""
    kept = [i for i in range(len(table.columns)) if i not in left_out]
    names = ", ".join(table.columns[i] for i in left_out)
    return table._replace(
        columns=[table.columns[i] for i in kept],
        rows=[[row[i] for i in kept] for row in table.rows],
        footer=[table.footer[i] for i in kept] if table.footer else (),
        notes=[*table.notes, f"no room for {names}: widen the terminal, or pipe into less -S"],
    )


def rich_table(table: Table) -> RichTable:
    """The same table as rich draws it; text is never read as markup, words are folded, numbers never."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    title = Text(visible(table.title), style="bold") if table.title else None
    drawn = RichTable(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for i, name in enumerate(table.columns):
        number = table.is_numeric(i)
        drawn.add_column(Text(name), justify="right" if number else "left", overflow="fold", no_wrap=number)
    for i, row in enumerate(table.rows):
        drawn.add_row(*(Text(cell(value)) for value in row), end_section=i + 1 == len(table.rows))
    if table.footer:
        drawn.add_row(*(Text(cell(value), style="bold") for value in table.footer))
    return drawn


def write(text: str) -> None:
    """Write text on standard output; what its encoding cannot hold is escaped, never an error."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
