"""The page of a batch: a row for each file with its pictures, time, and what went wrong; sorted by any column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from convcli.numerals import seconds
from convcli.pictures.page import Page
from convcli.pictures.result import Origin, labelled, origin_part
from convcli.pictures.svg import escaped

COLUMNS = ("number", "before", "after", "input", "output", "status", "size", "method", "seconds", "clipped", "warnings")
NUMBERS = ("number", "seconds", "clipped")
"""Columns that are sorted as numbers."""
PICTURES = ("before", "after")


class File(NamedTuple):
    """A row: a file's number in the batch, its report as JSON, and its pictures as data URLs, where there are any."""

    number: int
    facts: Mapping[str, Any]
    before: str = ""
    after: str = ""


def batch_page(files: Sequence[File], rows: Sequence[tuple[str, str]], said: Sequence[str], origin: Origin) -> Page:
    """The page of many inputs; `rows` tell of all of them, `said` what is not on the page."""
    options = "".join(f"<option>{status}</option>" for status in ("all", "done", "failed", "skipped"))
    head = "".join(f'<th scope="col">{heading(name)}</th>' for name in COLUMNS)
    parts = [
        f'<section id="report">{labelled(rows)}</section>',
        *(f'<p class="faint">{escaped(text)}</p>' for text in said),
        f'<div class="tools"><label>files <select id="filter">{options}</select></label>'
        '<span id="count" aria-live="polite"></span></div>',
        f'<div class="scroll"><table id="files"><thead><tr>{head}</tr></thead>\n<tbody>',
        *(row(file) for file in files),
        "</tbody></table></div>",
        origin_part(origin),
    ]
    return Page(f"convcli: {len(files):,} files", "\n".join(parts), ("report.css",), ("batch.js",))


def heading(name: str) -> str:
    """The head of a column; a button, where it can be sorted."""
    return escaped(name) if name in PICTURES else f'<button type="button" data-column="{name}">{name}</button>'


def row(file: File) -> str:
    """A file as a row of the table."""
    facts = file.facts
    values = dict(cells(file))
    columns = "".join(cell(name, *values[name]) for name in COLUMNS)
    return f'<tr class="{escaped(facts["status"])}" data-status="{escaped(facts["status"])}">{columns}</tr>'


def cells(file: File) -> Iterator[tuple[str, tuple[str, str]]]:
    """What stands in each column, and by what it is sorted."""
    facts = file.facts
    total, clipped = facts["time"]["total"], facts["clipped"]["below"] + facts["clipped"]["above"]
    told = facts["message"] + (f" [{facts['code']}]" if facts["code"] else "")
    shape = "x".join(map(str, facts["shape"]["output"] or ()))
    yield "number", (str(file.number), str(file.number))
    yield "before", (thumbnail(file.before, f"{facts['input']} before"), "")
    yield "after", (thumbnail(file.after, f"{facts['input']} after"), "")
    yield "input", (escaped(facts["input"]), facts["input"])
    yield "output", (escaped(facts["output"]), facts["output"])
    yield "status", (escaped(": ".join(filter(None, (facts["status"], told)))), facts["status"])
    yield "size", (escaped(" ".join(filter(None, (shape, facts["dtype"]["output"])))), shape)
    yield "method", (escaped(facts["method"] or ""), facts["method"] or "")
    yield "seconds", (seconds(total) if total is not None else "", "" if total is None else f"{total:.6f}")
    yield "clipped", (f"{clipped:,}" if total is not None else "", "" if total is None else str(clipped))
    yield "warnings", (folded(facts["warnings"]), str(len(facts["warnings"]) or ""))


def cell(name: str, shown: str, value: str) -> str:
    """A cell of the table."""
    kind = "number" if name in NUMBERS else "name" if name in ("input", "output") else name
    return f'<td class="{kind}" data-value="{escaped(value)}">{shown}</td>'


def thumbnail(picture: str, text: str) -> str:
    """A small picture, if there is one."""
    return f'<img src="{escaped(picture)}" alt="{escaped(text)}">' if picture else ""


def folded(texts: Sequence[str]) -> str:
    """How many texts there are, which unfold."""
    lines = "<br>".join(map(escaped, texts))
    return f"<details><summary>{len(texts)}</summary>{lines}</details>" if texts else ""
