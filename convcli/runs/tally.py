"""What was done of an output that is made in boxes, added up: by whom, how much, how long, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

from convcli.engine.samples import Counts
from convcli.numerals import seconds, size
from convcli.records import record

if TYPE_CHECKING:
    from convcli.engine.boxes import Done

PHASES = ("read", "compute", "write")
SHOWN = 4
"""Workers up to which the report has a line for each; JSON has all."""


@record(frozen=False)
class Share:
    """What one worker did: boxes, bytes, seconds by phase."""

    boxes: int = 0
    read: int = 0
    written: int = 0
    seconds: Counter[str] = field(default_factory=Counter)

    def add(self, done: Done) -> None:
        """Take in a box."""
        self.boxes += 1
        self.read += done.read
        self.written += done.written
        self.seconds.update(done.seconds)

    def facts(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "boxes": self.boxes,
            "read": self.read,
            "written": self.written,
            "seconds": {phase: self.seconds[phase] for phase in PHASES},
        }

    @property
    def words(self) -> str:
        """The same for people."""
        spent = ", ".join(f"{phase} {seconds(self.seconds[phase])}" for phase in PHASES)
        return f"{self.boxes:,} boxes, {size(self.read)} read, {size(self.written)} written; {spent}"

    @property
    def pace(self) -> float:
        """Seconds for a box."""
        return sum(self.seconds.values()) / self.boxes


@record(frozen=False)
class Tally:
    """Boxes in all, `made`, of those made `again` since what was there was not what had been written, and `kept`.

    `peaks` is the peak memory of each worker in bytes; `lost` counts workers that went away unasked.
    """

    boxes: int = 0
    made: int = 0
    again: int = 0
    kept: int = 0
    counts: Counts = field(default_factory=Counts)
    shares: dict[str, Share] = field(default_factory=dict)
    peaks: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    finished: bool = False
    key: ClassVar[str] = "shards"
    started: float = field(default_factory=perf_counter)

    def add(self, done: Done, worker: str, *, again: bool, counted: bool) -> None:
        """Take in a box that was made; what was clipped in it counts but where a result was made of results."""
        self.made += 1
        self.again += again
        if counted:
            self.counts.add(done.counts)
        self.look(done, worker)

    def look(self, done: Done, worker: str) -> None:
        """Take in what a box took."""
        self.shares.setdefault(worker, Share()).add(done)

    def keep(self, counts: Mapping[str, int]) -> None:
        """Take in a box that an earlier run has made, and what was clipped in it."""
        self.kept += 1
        self.counts.add(Counts(**counts))

    @property
    def read(self) -> int:
        """Bytes that all have read."""
        return sum(share.read for share in self.shares.values())

    @property
    def written(self) -> int:
        """Bytes that all have written."""
        return sum(share.written for share in self.shares.values())

    @property
    def busy(self) -> dict[str, float]:
        """Seconds by phase, of all workers together."""
        return {phase: sum(share.seconds[phase] for share in self.shares.values()) for phase in PHASES}

    @property
    def words(self) -> str:
        """How fast it goes."""
        rate = self.made / max(perf_counter() - self.started, 1e-9)
        return f"{rate:.3g} shards/s"

    def facts(self) -> dict[str, Any]:
        """What JSON says of it."""
        workers = {name: share.facts() | {"memory": self.peaks.get(name)} for name, share in self.shares.items()}
        return {
            **{name: getattr(self, name) for name in ("boxes", "made", "again", "kept", "lost")},
            "read": self.read,
            "written": self.written,
            "workers": workers,
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """The lines of the report."""
        again = f" ({self.again:,} of them again: what was there was not what had been written)" if self.again else ""
        kept = f", {self.kept:,} kept from before" if self.kept else ""
        moved = f"; {size(self.read)} read, {size(self.written)} written" if self.shares else ""
        yield "shards", f"{self.boxes:,}: {self.made:,} made{again}{kept}{moved}"
        if self.lost:
            yield "lost", f"{self.lost:,} worker{'s' * (self.lost > 1)}; others did their tasks"
        if self.peaks and self.shares:
            yield from self.workers()

    def workers(self) -> Iterator[tuple[str, str]]:
        """The lines of a cluster's workers: how evenly they worked, what the most loaded and the slowest took."""
        boxes = sorted(share.boxes for share in self.shares.values())
        each = f"{boxes[0]:,} to {boxes[-1]:,} boxes each"
        yield "workers", f"{len(boxes):,}: {each}; peak memory of one {size(max(self.peaks.values()))}"
        if len(boxes) <= SHOWN:
            for name, share in sorted(self.shares.items()):
                yield "", f"{name}: {share.words}"
            return
        name, share = max(self.shares.items(), key=lambda item: item[1].pace)
        yield "", f"the slowest is {name}, {seconds(share.pace)} for a box: {share.words}"
