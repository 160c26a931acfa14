"""Timing in turns: A B C, A B C, ...; the ratio within each round is reported, which survives a noisy machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter


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


def take_turns(runs: dict[str, Callable[[], object]], rounds: int) -> Turns:
    """Run each once to warm up, then all in turn."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = perf_counter()
            run()
            seconds[name].append(perf_counter() - begin)
    return Turns(seconds)


def markdown_row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


def result_row(job: str, turns: Turns) -> str:
    """A job: our time, then each peer's time and ratio with its spread."""
    ours, *peers = turns.seconds
    cells = [job, f"{turns.milliseconds(ours):.1f} ms"]
    for peer in peers:
        low, middle, high = turns.ratio(peer)
        cells.append(f"{peer} {turns.milliseconds(peer):.1f} ms: {middle:.2f} ({low:.2f} to {high:.2f})")
    return markdown_row(cells)
