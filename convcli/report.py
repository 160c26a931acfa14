"""What a filter did to a file, or would do: the same facts as a table for people and as a dictionary for JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import field
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from convcli.errors import ConvError
from convcli.image import ImageInfo
from convcli.machine import known
from convcli.numerals import seconds
from convcli.operations.operation import Work
from convcli.records import record
from convcli.streams import say, tell, visible

if TYPE_CHECKING:
    from convcli.pictures.look import Pictures

SCHEMA = 1
UNPLANNED: dict[str, Any] = {
    **dict.fromkeys(("operation", "kernel", "padding", "border", "method", "precision", "macs", "flops")),
    "candidates": [],
}
"""What the keys of a plan hold where there is none."""


class Told(Protocol):
    """What there is to say more of a run, under a key of its own."""

    @property
    def key(self) -> str:
        """The key in JSON."""

    def facts(self) -> dict[str, Any]:
        """What JSON says."""

    def rows(self) -> Iterator[tuple[str, str]]:
        """What people are told: labels and texts."""


@record
class Report:
    """One input: what it is, what was planned, what came out. Fields stay empty where the run did not get that far.

    `times` are seconds by phase; `clipped` and `nan` count samples; `memory` is the process's peak in bytes.
    """

    source: str
    target: str = ""
    status: str = "done"
    error: ConvError | None = None
    before: ImageInfo | None = None
    after: ImageInfo | None = None
    work: Work | None = None
    times: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    below: int = 0
    above: int = 0
    nan: int = 0
    memory: int = 0
    verified: int = 0
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    more: tuple[Told, ...] = ()
    pictures: Pictures | None = None

    def as_dict(self) -> dict[str, Any]:
        """The keys that others rely on; none is ever renamed."""
        return {
            "schema": SCHEMA,
            "input": self.source,
            "output": self.target,
            "status": self.status,
            "code": self.error.code if self.error else "",
            "message": self.error.message if self.error else "",
            "where": self.error.where if self.error else None,
            "shape": {"input": shape(self.before), "output": shape(self.after)},
            "axes": self.after.told_axes if self.after else None,
            "dtype": {"input": dtype(self.before), "output": dtype(self.after)},
            **(self.work.facts() if self.work else UNPLANNED),
            "time": {phase: self.times.get(phase) for phase in ("read", "compute", "write", "total")},
            "clipped": {"below": self.below, "above": self.above},
            "nan": self.nan,
            "missing": {"input": missing(self.before), "output": missing(self.after)},
            "verified": self.verified,
            "memory": self.memory,
            "spacing": {"input": spacing(self.before), "output": spacing(self.after)},
            "remarks": [*(self.before.remarks if self.before else ()), *self.remarks],
            "warnings": list(self.warnings),
            **{told.key: told.facts() for told in self.more},
        }

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:
        """The lines of the table: a label and what there is to say; ten or so unless `full`."""
        if self.before and self.after:
            yield "input", f"{self.source}  {describe(self.before)}"
            yield from (("", remark) for remark in self.before.remarks)
            yield "output", f"{self.target or '(not written)'}  {describe(self.after)}"
            yield from (("", remark) for remark in self.remarks)
        if self.work:
            yield from self.work.rows(full=full)
        for told in self.more:
            yield from told.rows()
        if self.times:
            yield "time", time_line(self, full=full)
            yield "samples", samples_line(self)
        if remark := known().remark:
            yield "planner", remark
        for warning in self.warnings:
            yield "warning", warning

    def brief(self) -> Iterator[tuple[str, str]]:
        """What a dry run says of one of many."""
        yield self.source, f"-> {self.target}" + (f"  {self.work.method}" if self.work else "")
        for warning in self.warnings:
            yield "  warning", warning


def failure(source: str, target: str, error: ConvError) -> Report:
    """The report of an input that could not be filtered."""
    return Report(source, target, "failed", error)


def show_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print a table of labels and texts on standard error: drawn by rich on a terminal, else as plain text."""
    if rows and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        _draw(rows)
    elif rows:
        width = max(len(label) for label, _ in rows)
        say(*(f"{label.ljust(width)}  {text}" for label, text in rows))


def _draw(rows: Sequence[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for label, text in rows:
        style = "bold yellow" if label == "warning" else "bold cyan"
        table.add_row(Text(label, style=style), Text(visible(text)))
    console = Console(stderr=True, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    tell(drawn.get())


def describe(info: ImageInfo) -> str:
    """Axes, sizes and type of an image.

    >>> describe(ImageInfo((4, 6, 3), "uint8", "YXS", "png", samples="rgb"))
    'YXS 4x6x3 uint8 rgb png'
    """
    return " ".join(
        filter(None, (info.told_axes, "x".join(map(str, info.told_shape)), info.dtype, info.samples, info.format))
    )


def time_line(report: Report, *, full: bool) -> str:
    """Seconds by phase; in `full` the rates of multiply-adds and of bytes against the machine's best, and memory."""
    phases = ", ".join(f"{name} {seconds(value)}" for name, value in report.times.items())
    if not full:
        return phases
    rates = "".join(f"; {rate}" for rate in rate_words(report))
    return f"{phases}{rates}; peak memory {report.memory / 1e6:.0f} MB"


def rate_words(report: Report) -> Iterator[str]:
    """What was done in a second while computing, and its share of what this machine can do."""
    compute, machine = report.times.get("compute", 0.0), known().machine
    if not (report.work and report.before and report.after and compute):
        return
    macs, moved = report.work.done / compute, (report.before.nbytes + report.after.nbytes) / compute
    yield f"{macs / 1e9:.3g} GMAC/s, {100 * macs * machine.peak / report.work.threads:.0f} % of this machine's best"
    yield f"{moved / 1e9:.3g} GB/s, {100 * moved * machine.stream:.0f} % of its memory's"


def samples_line(report: Report) -> str:
    """What was clipped, and what is not a number."""
    checked = f"; {report.verified} points verified" if report.verified else ""
    clipped = (
        f"{report.below:,} clipped below, {report.above:,} above" if report.below or report.above else "none clipped"
    )
    return f"{report.samples:,}: {clipped}, {report.nan:,} NaN{checked}"


def shape(info: ImageInfo | None) -> list[int] | None:
    """The sizes, where known."""
    return list(info.told_shape) if info else None


def spacing(info: ImageInfo | None) -> dict[str, list[object]] | None:
    """The distance between samples and its unit, for each axis that has one."""
    return {axis: list(step) for axis, step in info.steps.items()} if info else None


def missing(info: ImageInfo | None) -> float | str | None:
    """The value that marks missing samples, where there is one; as text where JSON has no such number."""
    value = info.missing if info else None
    return value if value is None or isfinite(value) else str(value)


def dtype(info: ImageInfo | None) -> str | None:
    """The sample type, where known."""
    return info.dtype if info else None
