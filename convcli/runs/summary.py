"""A batch as a whole: how many files were done, failed and skipped, the slowest, what went wrong and what was odd.

It keeps counts and a few names, so that it stays small however many files there are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from time import perf_counter
from typing import Any

from convcli.numerals import seconds
from convcli.records import record
from convcli.report import SCHEMA
from convcli.runs.progress import OFTEN, bar, duration, is_shown, redraw

PARTLY_FAILED = 3
"""The exit code."""
SLOWEST = 3
NAMED = 10
"""Failed inputs that are named."""
NUMBER = r"\d[\d,.]*"


@record(frozen=False)
class Summary:
    """What is known of a batch of `inputs` files so far."""

    inputs: int
    jobs: int = 1
    counts: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    failure: int = 0
    warnings: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    started: float = field(default_factory=perf_counter)
    stopped: str = ""

    def add(self, facts: Mapping[str, Any], exit_code: int = 0) -> None:
        """Take in the report of one input, and what the command would end with for it alone."""
        name = facts["input"]
        self.counts[facts["status"]] += 1
        if facts["status"] == "failed":
            self.failure = min(self.failure or exit_code, exit_code)
            self.failed += [(name, facts["code"])] if len(self.failed) < NAMED else []
        if (total := facts["time"]["total"]) is not None:
            self.slowest = sorted([*self.slowest, (total, name)], reverse=True)[:SLOWEST]
        for warning in facts["warnings"]:
            kind = re.sub(NUMBER, "0", warning)
            count, *first = self.warnings.get(kind, (0, warning, name))
            self.warnings[kind] = (count + 1, *first)

    @property
    def told(self) -> int:
        """Inputs that have been taken in."""
        return self.counts.total()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return perf_counter() - self.started

    @property
    def rate(self) -> float:
        """Files worked on in a second; skipping takes no time and says nothing about what is to come."""
        return (self.told - self.counts["skipped"]) / max(self.elapsed, 1e-9)

    @property
    def exit_code(self) -> int:
        """0, that of the failures where nothing else came of it, or 3 where a part did."""
        failed = self.counts["failed"]
        return 0 if not failed else PARTLY_FAILED if failed < self.told else self.failure

    def as_dict(self) -> dict[str, Any]:
        """The last line of JSON."""
        return {
            "schema": SCHEMA,
            "summary": True,
            "inputs": self.inputs,
            **{status: self.counts[status] for status in ("done", "failed", "skipped")},
            "left": self.inputs - self.told,
            "seconds": self.elapsed,
            "jobs": self.jobs,
            "slowest": [{"input": name, "seconds": time} for time, name in self.slowest],
            "interrupted": self.stopped,
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """The lines of the table: a label and what there is to say."""
        hands = f", {self.jobs} at once" if self.jobs > 1 else ""
        yield (
            "done",
            f"{self.counts['done']:,} of {self.inputs:,} in {seconds(self.elapsed)}, {speed(self.rate)}{hands}",
        )
        if self.counts["skipped"]:
            yield "skipped", f"{self.counts['skipped']:,}"
        if self.counts["failed"]:
            yield "failed", f"{self.counts['failed']:,}: {', '.join(self._failed())}"
        if self.stopped:
            yield "left", f"{self.inputs - self.told:,}, stopped by {self.stopped}; --resume goes on"
        if self.counts["done"] > SLOWEST:
            yield "slowest", ", ".join(f"{name} {seconds(time)}" for time, name in self.slowest)
        yield from self.odd()

    def odd(self) -> Iterator[tuple[str, str]]:
        """Those of them that warn: each kind once, with how many files there are of it."""
        for count, example, name in sorted(self.warnings.values(), reverse=True):
            yield (
                "warning",
                f"{count:,} file{'s' * (count > 1)}, as {name}: {example}" if count < self.told else example,
            )

    def _failed(self) -> Iterator[str]:
        yield from (f"{name} ({code})" for name, code in self.failed)
        if (others := self.counts["failed"] - len(self.failed)) > 0:
            yield f"and {others:,} more"


def speed(rate: float) -> str:
    """
    >>> speed(312.4), speed(0.25)
    ('312 a second', '15 a minute')
    """
    return f"{rate:.3g} a second" if rate >= 1 else f"{60 * rate:.3g} a minute"


class ProgressLine:
    """One line on a terminal that says how far a batch is and how long it will take; elsewhere nothing."""

    def __init__(self, summary: Summary, *, quiet: bool) -> None:
        self.summary = summary
        self.shown = is_shown(quiet=quiet)
        self.last = 0.0

    def show(self) -> None:
        """Write the line anew, now and then."""
        now = perf_counter()
        if self.shown and now - self.last > OFTEN:
            self.last = now
            redraw(self.text())

    def clear(self) -> None:
        """Make room for another line."""
        if self.shown and self.last:
            self.last = 0.0
            redraw("")

    def text(self) -> str:
        """How far, how fast, how long."""
        summary = self.summary
        failed = f", {summary.counts['failed']:,} failed" if summary.counts["failed"] else ""
        far = f"{summary.told:,} of {summary.inputs:,} {bar(summary.told / summary.inputs)}{failed}"
        if not summary.rate:
            return f"{far}, {duration(int(summary.elapsed))}"
        return f"{far}, {speed(summary.rate)}, {duration((summary.inputs - summary.told) / summary.rate)} left"
