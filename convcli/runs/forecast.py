"""What a job of boxes would take on a cluster, before any pixel is read: bytes, hours, and what would be better.

Everything is computed from the stages, the cuts of source and target, and the constants below.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

from convcli.engine.boxes import Boxed, boxes_of, bytes_for, middle
from convcli.errors import UsageError
from convcli.numerals import decimal, size
from convcli.records import record, replace
from convcli.runs.cuts import DECODE, ENCODE, RATE, RATIO, TASK, TOGETHER, Ledger, best_block

WORKERS = (1, 10, 100, 1000)
SIZES = (1e12, 10e12, 100e12)
WORTH = 0.8
"""The part of the time that other shards have to take to be worth a word."""
SERVED = 0.0024
"""Seconds of scheduler and client for a task, one after the other: 1.45 ms and 0.95 ms (dask.distributed 2026.8, AMD
EPYC at 2.4 GHz, November 2026, 40,000 tasks)."""
GIVEN = "CONVCLI_STORE_RATE"
"""The variable of the environment that gives the rate of a store, since no two are alike."""


@record
class Forecast:
    """Passes as tasks, each a box of `block`; `read` are bytes of pixels that boxes need, `fetched` those of the whole
    chunks of the source that hold them. All are of pixels, unpacked; `seconds` are those of one core that computes,
    `rate` is the store's for one worker, in MB/s.
    """

    source: int
    tasks: int
    read: int
    fetched: int
    written: int
    seconds: float
    memory: int
    block: tuple[int, ...]
    rate: float = RATE
    levels: int = 1
    better: Better | None = None
    key: ClassVar[str] = "cluster"

    @property
    def by_halo(self) -> float:
        """How many times the input is read for what boxes need around themselves, and to make coarser levels."""
        return self.read / self.source

    @property
    def by_chunks(self) -> float:
        """How many times more for the rest of the chunks that they touch."""
        return self.fetched / self.read

    @cached_property
    def core_seconds(self) -> float:
        """Seconds of one worker with one thread for everything."""
        moved = (self.fetched + self.written) * RATIO / (self.rate * 1e6)
        return self.seconds + moved + self.fetched * DECODE + self.written * ENCODE + self.tasks * TASK

    def hours(self, workers: int, scale: float = 1.0) -> float:
        """Hours on so many workers of one thread, of a job so many times as large.

        They are never less than the scheduler takes for all tasks, or a worker for one.
        """
        shared, served = self.core_seconds * scale / workers, self.tasks * scale * SERVED
        return max(shared, served, self.core_seconds / self.tasks) / 3600

    def facts(self) -> dict[str, Any]:
        """What JSON says of it."""
        names = ("tasks", "read", "fetched", "written", "memory")
        sizes = {"input": 1.0} | {f"{size / 1e12:.0f}TB": size / self.source for size in SIZES}
        return {
            **{name: getattr(self, name) for name in names},
            "amplification": {"halo": self.by_halo, "chunks": self.by_chunks},
            "core_seconds": self.core_seconds,
            "store_rate": self.rate,
            "hours": {name: {str(n): self.hours(n, scale) for n in WORKERS} for name, scale in sizes.items()},
            "better": self.better and self.better.facts(),
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """The lines of the report."""
        each = f"{size(self.fetched / self.tasks)} read, {size(self.written / self.tasks)} written"
        yield "tasks", f"{self.tasks:,} of {by(self.block)}: {each} by each, in {size(self.memory)} of memory"
        coarser = f" and the {self.levels - 1} coarser levels" if self.levels > 1 else ""
        times = f"{self.by_halo:.2f} for what lies around boxes{coarser}, times {self.by_chunks:.2f} for whole chunks"
        yield "bytes", f"{size(self.fetched)} read, {size(self.written)} written, unpacked"
        yield "", f"the input is read {self.fetched / self.source:.2f} times: {times}"
        yield "expected", f"on {', '.join(f'{n:,}' for n in WORKERS)} workers: {self.table(1.0)}"
        for more in SIZES:
            yield "", f"{size(more)} alike: {self.table(more / self.source)}"
        packed = f"{1e-6 / DECODE:.0f} MB/s unpacked and {1e-6 / ENCODE:.0f} packed"
        store = f"{RATIO:g} packed bytes a byte, {self.rate:g} MB/s of the store for a worker ({GIVEN})"
        yield "", f"for {store}, {packed}, {SERVED * 1e3:.1f} ms of the scheduler a task"
        if self.better:
            yield "better", self.better.words

    def table(self, scale: float) -> str:
        """How long it takes each number of workers."""
        return ", ".join(span(self.hours(workers, scale)) for workers in WORKERS)


@record
class Better:
    """What would take less: an `option` with a value, how many times the input is read with it, bytes for each box."""

    option: str
    times: float
    speedup: float
    memory: int

    @property
    def words(self) -> str:
        """The same for people."""
        gain = f"takes {1 / self.speedup:.2f} of the time: reads the input {self.times:.2f} times"
        return f"{self.option} {gain}, in {size(self.memory)} of memory"

    def facts(self) -> dict[str, Any]:
        """What JSON says of it."""
        return {"option": self.option, "amplification": self.times, "speedup": self.speedup, "memory": self.memory}


def span(hours: float) -> str:
    """A time that is planned with, in the unit that people think of it in.

    >>> span(0.001), span(0.2), span(17.2), span(2500)
    ('3.6 s', '12 min', '17 h', '104 days')
    """
    if hours >= 72:
        return f"{hours / 24:,.0f} days"
    unit, name = next(((unit, name) for unit, name in ((1, "h"), (1 / 60, "min")) if hours >= unit), (1 / 3600, "s"))
    return f"{hours / unit:.2g} {name}"


def store_rate() -> float:
    """MB/s of the store for one worker, as the environment says. Raises UsageError for what is no rate."""
    text = os.environ.get(GIVEN, "")
    try:
        rate = decimal(text) if text else RATE
    except ValueError as error:
        raise UsageError(f"{text!r} is {error}", where=GIVEN) from None
    if rate <= 0:
        raise UsageError(f"{text!r} is not a rate: give MB/s above 0", where=GIVEN)
    return rate


def by(sizes: Sequence[int]) -> str:
    """Sizes as an option takes them."""
    return "x".join(map(str, sizes))


def forecast(passes: Sequence[Boxed], memory: int, *, sharded: bool = True) -> Forecast:
    """What passes would take, with boxes of at most so many bytes.

    What would be better is looked for within them where the output is `sharded`, else with more of them.
    """
    each = [priced(job) for job in passes]
    total = replace(
        each[0],
        rate=store_rate(),
        levels=len(passes),
        tasks=sum(one.tasks for one in each),
        read=sum(one.read for one in each),
        fetched=sum(one.fetched for one in each),
        written=sum(one.written for one in each),
        seconds=sum(one.seconds for one in each),
    )
    return replace(total, better=(other_shards if sharded else more_memory)(each[0], passes[0], memory))


def priced(job: Boxed, block: tuple[int, ...] | None = None) -> Forecast:
    """One pass, by the cuts of its target, or by blocks."""
    stages, info, after = job.stages, job.stages[0].info, job.last.after
    with job.source.opened() as source, job.target.opened() as target:
        chunks = source.grid.block
        boxes = boxes_of(stages, replace(target.grid, block=block or target.grid.block))
    box = middle(boxes.shape, boxes.block)
    ledger = Ledger(stages, chunks, box)
    total, each = ledger.total(boxes.block), info.sample.size
    return Forecast(
        info.nbytes,
        len(boxes),
        round(total[0]) * each,
        round(total[1]) * each,
        after.nbytes,
        ledger.computing(total),
        bytes_for(stages, box),
        boxes.block,
    )


def other_shards(found: Forecast, job: Boxed, memory: int) -> Better | None:
    """The shards by which a pass would take least, if they are worth a word and fit the memory."""
    axes = zip(found.block, job.last.after.shape, strict=True)
    wider = [[step, 2 * step] if step < extent else [step] for step, extent in axes]
    others = [priced(job, block) for block in product(*wider) if block != found.block]
    fitting = (each for each in others if each.memory <= memory)
    best = min(fitting, key=lambda each: each.core_seconds, default=found)
    return worthwhile(f"--shards {by(best.block)}", found, best)


def more_memory(found: Forecast, job: Boxed, memory: int) -> Better | None:
    """Four times the memory, if the boxes that it has room for are worth a word."""
    with job.source.opened() as source:
        block = best_block(job.stages, source.grid.block, found.block, 4 * memory)
    best = priced(job, block)
    return worthwhile(f"--memory {-(-TOGETHER * best.memory // 2**20)}MiB", found, best)


def worthwhile(option: str, found: Forecast, other: Forecast) -> Better | None:
    """What another option would gain, if that is worth a word."""
    speedup = found.core_seconds / other.core_seconds
    return Better(option, other.fetched / found.source, speedup, other.memory) if WORTH * speedup > 1 else None
