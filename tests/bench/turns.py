"""Timing in turns: A B C, C A B, ...; the ratio within each round is reported, which survives a noisy machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import ClassVar

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "samples" / "benchmarks.md")
"""Those that show ratios, each part's between its markers."""


@dataclass(frozen=True)
class Turns:
    """Seconds of every round, by name; the first name is ours."""

    seconds: dict[str, list[float]]

    def ratio(self, peer: str) -> tuple[float, float, float]:
        """How many times longer a peer takes than we: least, median and largest of the rounds."""
        ours = next(iter(self.seconds.values()))
        ratios = sorted(theirs / mine for theirs, mine in zip(self.seconds[peer], ours, strict=True))
        return ratios[0], median(ratios), ratios[-1]

    def milliseconds(self, name: str) -> float:
        """The median."""
        return 1e3 * median(self.seconds[name])


@dataclass(frozen=True)
class Measured:
    """A job with the times of us and of its peers, and what else is known of each (its memory)."""

    job: str
    turns: Turns
    facts: dict[str, str] = field(default_factory=dict)

    HEAD: ClassVar = ("job", "convcli", "peer: how many times longer it takes (least to most)")

    def row(self) -> str:
        """Our time, then each peer's time and ratio with its spread."""
        ours, *peers = self.turns.seconds
        cells = [self.job, f"{self.turns.milliseconds(ours):.1f} ms{self.fact(ours)}"]
        for peer in peers:
            low, middle, high = self.turns.ratio(peer)
            time = f"{self.turns.milliseconds(peer):.1f} ms{self.fact(peer)}"
            cells.append(f"{peer} {time}: {middle:.2f} ({low:.2f} to {high:.2f})")
        return markdown_row(cells)

    def short(self) -> str:
        """The medians of the ratios alone, for the README."""
        ours, *peers = self.turns.seconds
        ratios = ", ".join(f"{peer} {self.turns.ratio(peer)[1]:.2f}" for peer in peers)
        return markdown_row([self.job, f"{round(self.turns.milliseconds(ours), 1):,} ms{self.fact(ours)}", ratios])

    def fact(self, name: str) -> str:
        """What else is known, in brackets."""
        return f" ({self.facts[name]})" if name in self.facts else ""


def take_turns(runs: dict[str, Callable[[], object]], rounds: int, *, warm: bool = True) -> Turns:
    """Run all in turn; before, run each once to warm up, unless that was done.

    Each round has an order of its own: who comes after a slow peer finds nothing in the cache.
    """
    for run in runs.values() if warm else ():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    shuffled = Random(0)
    for _ in range(rounds):
        for name, run in shuffled.sample(list(runs.items()), len(runs)):
            begin = perf_counter()
            run()
            seconds[name].append(perf_counter() - begin)
    return Turns(seconds)


def markdown_row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


def write_table(part: str, where: str, found: Sequence[Measured], pages: Sequence[Path] = PAGES) -> None:
    """Put a part's ratios between its markers, on the page that has them."""
    head = (markdown_row(["job", "convcli", "peers: times as long"]), markdown_row(["---"] * 3))
    body = "\n".join([f"`python -m tests.bench {part}`: {where}.", "", *head, *(job.short() for job in found)])
    begin, end = f"<!-- bench {part} -->", "<!-- end bench -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    page = next((page for page in pages if begin in page.read_text(encoding="utf-8")), None)
    if page is None:
        raise SystemExit(f"no page has a place for it: {begin} ... {end}")
    text = pattern.sub(lambda _: f"{begin}\n{body}\n{end}", page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
