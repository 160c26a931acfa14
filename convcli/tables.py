"""One table, four ways to print it: rich for people, CSV and Markdown for documents; JSON has its own data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Columns, rows of plain values, and lines below. Integers and floats are aligned right and grouped by thousands."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    notes: Sequence[str] = field(default_factory=tuple)


def show(table: Table, style: str = "rich") -> None:
    """Print a table on standard output; `style` is "rich", "csv" or "markdown"."""
    raise NotImplementedError
