"""What a filter did to a file, or would do: the same facts as a table for people and as a dictionary for JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from convcli.borders import describe_borders
from convcli.errors import ConvError
from convcli.filter import Filter
from convcli.image import ImageInfo
from convcli.machine import Machine
from convcli.planner import Candidate, Plan
from convcli.streams import say, tell
from convcli.tables import visible

SCHEMA = 1


@dataclass(frozen=True)
class Report:
    """One input: what it is, what was planned, what came out. Fields stay empty where the run did not get that far.

    `times` are seconds by phase; `clipped` and `nan` count samples; `memory` is the process's peak in bytes.
    """

    source: str
    target: str = ""
    status: str = "done"
    error: ConvError | None = None
    filter: Filter | None = None
    before: ImageInfo | None = None
    after: ImageInfo | None = None
    plan: Plan | None = None
    times: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    below: int = 0
    above: int = 0
    nan: int = 0
    memory: int = 0
    verified: int = 0
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The keys that others rely on; none is ever renamed."""
        plan, filter_ = self.plan, self.filter
        return {
            "schema": SCHEMA,
            "input": self.source,
            "output": self.target,
            "status": self.status,
            "code": self.error.code if self.error else "",
            "message": self.error.message if self.error else "",
            "where": self.error.where if self.error else None,
            "operation": operation(filter_) if filter_ else None,
            "kernel": kernel_facts(filter_, plan) if filter_ else None,
            "padding": [[a.begin, a.end] for a in plan.problem.axes] if plan else None,
            "border": list(plan.problem.border) if plan else None,
            "shape": {"input": shape(self.before), "output": shape(self.after)},
            "axes": self.after.axes if self.after else None,
            "dtype": {"input": dtype(self.before), "output": dtype(self.after)},
            "method": plan.method if plan else None,
            "precision": plan.problem.dtype if plan else None,
            "candidates": [candidate_facts(c) for c in plan.candidates] if plan else [],
            "macs": plan.problem.macs if plan else None,
            "flops": 2 * plan.problem.macs if plan else None,
            "time": {phase: self.times.get(phase) for phase in ("read", "compute", "write", "total")},
            "clipped": {"below": self.below, "above": self.above},
            "nan": self.nan,
            "verified": self.verified,
            "memory": self.memory,
            "warnings": list(self.warnings),
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """The lines of the table: a label and what there is to say."""
        if self.before and self.after:
            yield "input", f"{self.source}  {describe(self.before)}"
            yield "output", f"{self.target or '(not written)'}  {describe(self.after)}"
        if self.filter and self.plan:
            yield "kernel", kernel_line(self.filter, self.plan)
            yield "filter", filter_line(self.filter, self.plan)
            yield from size_lines(self.plan, self.filter.spatial)
            yield from method_lines(self.plan)
            yield "work", f"{self.plan.problem.macs:,} MACs, {2 * self.plan.problem.macs:,} FLOPs"
        if self.times:
            yield "time", time_line(self)
            yield "samples", samples_line(self)
        for warning in self.warnings:
            yield "warning", warning

    def lines(self) -> Iterator[str]:
        """The report in brief, for batches."""
        method = f"  {self.plan.method}" if self.plan else ""
        yield f"{self.source} -> {self.target}{method}  {seconds(self.times.get('total', 0.0))}"
        for warning in self.warnings:
            yield f"  warning: {warning}"


def failure(source: str, target: str, error: ConvError) -> Report:
    """The report of an input that could not be filtered."""
    return Report(source, target, "failed", error)


def show_report(report: Report) -> None:
    """Print the table on standard error: drawn by rich on a terminal, else as plain text."""
    rows = list(report.rows())
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        _draw(rows)
    else:
        width = max(len(label) for label, _ in rows)
        say(*(f"{label.ljust(width)}  {text}" for label, text in rows))


def _draw(rows: list[tuple[str, str]]) -> None:
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


def operation(filter_: Filter) -> str:
    """Which way round the kernel is laid on the image."""
    return "convolution" if filter_.flip else "correlation"


def kernel_facts(filter_: Filter, plan: Plan | None) -> dict[str, Any]:
    """The kernel as raw numbers."""
    kernel = filter_.kernel
    return {
        "name": kernel.name,
        "shape": list(kernel.shape),
        "sum": kernel.sum(),
        "rank": plan.problem.rank if plan else None,
    }


def candidate_facts(candidate: Candidate) -> dict[str, Any]:
    """A method's predicted time, or its reason."""
    return {
        "method": candidate.method,
        "seconds": candidate.cost.seconds if candidate.cost else None,
        "refused": candidate.refused,
        "precision": f"float{8 * candidate.itemsize}",
    }


def describe(info: ImageInfo) -> str:
    """Axes, sizes and type of an image.

    >>> describe(ImageInfo((4, 6, 3), "uint8", "YXS", "png", samples="rgb"))
    'YXS 4x6x3 uint8 rgb png'
    """
    return " ".join(filter(None, (info.axes, "x".join(map(str, info.shape)), info.dtype, info.samples, info.format)))


def kernel_line(filter_: Filter, plan: Plan) -> str:
    """Name, size, sum and rank."""
    kernel, rank = filter_.kernel, plan.problem.rank
    parts = [
        kernel.name,
        "x".join(map(str, kernel.shape)) + (" (O, I/g, ...)" if kernel.bank and not filter_.each else ""),
    ]
    if kernel.outputs == 1:
        parts.append(f"sum {kernel.sum():.6g}")
    within = f" within {filter_.approximation:g}" if filter_.approximation else ""
    return ", ".join(parts + ([f"rank {rank}{within}"] if rank else []))


def filter_line(filter_: Filter, plan: Plan) -> str:
    """The operation with all its parameters that are not the default."""
    padding = filter_.padding if isinstance(filter_.padding, str) else ",".join(f"{b}:{e}" for b, e in filter_.padding)
    parts = [operation(filter_), f"padding {padding}", f"border {describe_borders(filter_.borders, filter_.spatial)}"]
    for name, values in (("stride", filter_.stride), ("dilation", filter_.dilation)):
        if set(values) != {1}:
            parts.append(f"{name} {','.join(map(str, values))}")
    if filter_.groups > 1:
        parts.append(f"groups {filter_.groups}")
    if filter_.combine != "stack":
        parts.append(f"combined by {filter_.combine}")
    return ", ".join([*parts, f"computed in {plan.problem.dtype}"])


def size_lines(plan: Plan, letters: str) -> Iterator[tuple[str, str]]:
    """floor((n + p0 + p1 - K) / s) + 1 with the numbers filled in, once where all axes agree."""
    for letter, axis in zip(letters, plan.problem.axes, strict=True):
        text = f"({axis.size} + {axis.begin} + {axis.end} - {axis.extent}) / {axis.stride} + 1 = {axis.output}"
        dropped = f", the last {axis.dropped} of {letter} unread" if axis.dropped else ""
        yield f"size {letter}", text + dropped


def method_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """The method chosen, then the others with their time or reason."""
    yield (
        "method",
        f"{plan.method}, {seconds(plan.cost.seconds)} predicted, {plan.threads} thread{'s' * (plan.threads > 1)}, "
        f"tiles of {'x'.join(map(str, plan.tile))}",
    )
    for other in plan.candidates:
        if other.method != plan.method:
            wide = " in float64" if other.itemsize > plan.itemsize else ""
            yield "", f"{other.method}: {seconds(other.cost.seconds) + wide if other.cost else other.refused}"


def time_line(report: Report) -> str:
    """Seconds by phase, and the rate of multiply-adds against the machine's best."""
    phases = ", ".join(f"{name} {seconds(value)}" for name, value in report.times.items())
    compute = report.times.get("compute", 0.0)
    rate = ""
    if report.plan and compute:
        speed = report.plan.problem.macs / compute
        share = speed * Machine().product / report.plan.threads
        rate = f"; {speed / 1e9:.3g} GMAC/s, {100 * share:.0f} % of this machine's best"
    return f"{phases}{rate}; peak memory {report.memory / 1e6:.0f} MB"


def samples_line(report: Report) -> str:
    """What was clipped, and what is not a number."""
    checked = f"; {report.verified} points verified" if report.verified else ""
    clipped = (
        f"{report.below:,} clipped below, {report.above:,} above" if report.below or report.above else "none clipped"
    )
    return f"{report.samples:,}: {clipped}, {report.nan:,} NaN{checked}"


def seconds(value: float) -> str:
    """A time as people read it.

    >>> seconds(0.00123), seconds(2.5)
    ('1.23 ms', '2.5 s')
    """
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def shape(info: ImageInfo | None) -> list[int] | None:
    """The sizes, where known."""
    return list(info.shape) if info else None


def dtype(info: ImageInfo | None) -> str | None:
    """The sample type, where known."""
    return info.dtype if info else None
