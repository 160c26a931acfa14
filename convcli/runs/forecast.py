"""What a job of boxes would take on a cluster, before any pixel is read: bytes, hours, and what would be better.

Everything is computed from the stages, the cuts of source and target, and the constants below.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Set
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from convcli.engine.boxes import Boxed, bytes_for, read_by
from convcli.engine.slabs import touched
from convcli.errors import UsageError
from convcli.machine import known
from convcli.numerals import decimal, size
from convcli.planner import price_alone
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.engine.slabs import Stage

WORKERS = (1, 10, 100, 1000)
SIZES = (1e12, 10e12, 100e12)
MOST_CUTS = 256
"""Cuts along an axis that are looked at one by one; of more, so many."""
WORTH = 0.8
"""The part of the bytes that other shards have to read to be worth a word."""
SERVED = 0.0024
"""Seconds of scheduler and client for a task, one after the other: 1.45 ms and 0.95 ms (dask.distributed 2026.8, AMD
EPYC at 2.4 GHz, November 2026, 40,000 tasks)."""
TASK = 0.01
"""Seconds of a worker for a task: its opening of source and target, its answer."""
RATE, GIVEN = 80.0, "CONVCLI_STORE_RATE"
"""MB/s between an object store and one of many workers, assumed; a variable of the environment gives another, since no
two stores are alike."""
DECODE, ENCODE = 1 / 600e6, 1 / 250e6
"""Seconds for a byte that a worker unpacks, and packs and sums up: uint16 in Blosc's zstd (one core, same machine)."""
RATIO = 0.5
"""Bytes packed, of a byte of pixels: microscopes' images have 0.4 to 0.6."""
Cut = tuple[int, int]


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
    better: tuple[tuple[int, ...], float, int] | None = None
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
        """Hours on so many workers of one thread, of a job so many times as large; the scheduler bounds them."""
        return max(self.core_seconds * scale / workers, self.tasks * scale * SERVED) / 3600

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
            "better": None
            if self.better is None
            else {"shards": list(self.better[0]), "amplification": self.better[1], "memory": self.better[2]},
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
            shards, times_read, memory = self.better
            way = f"--shards {by(shards)} reads the input {times_read:.2f} times"
            yield "better", f"{way}, in {size(memory)} of memory"

    def table(self, scale: float) -> str:
        """How long it takes each number of workers."""
        return ", ".join(span(self.hours(workers, scale)) for workers in WORKERS)


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


def forecast(passes: Sequence[Boxed], memory: int) -> Forecast:
    """What passes would take; other shards than those of the target are looked at within so many bytes of memory."""
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
    return replace(total, better=better(each[0], passes[0], memory))


def priced(job: Boxed, block: tuple[int, ...] | None = None) -> Forecast:
    """One pass, by the cuts of its target, or by blocks."""
    stages, info, after = job.stages, job.stages[0].info, job.last.after
    with job.source.opened() as source, job.target.opened() as target:
        chunks, block = source.grid.block, block or target.grid.block
    cuts = [touched((0, extent), step, extent) for extent, step in zip(after.shape, block, strict=True)]
    tasks = prod(map(len, cuts))
    read, fetched = amounts(stages, cuts, chunks)
    machine = known().machine
    seconds = sum(price_alone(stage.plan.method, stage.plan.problem, machine).seconds for stage in stages)
    middle = tuple(axis[len(axis) // 2] for axis in cuts)
    each = info.sample.size
    return Forecast(
        info.nbytes, tasks, read * each, fetched * each, after.nbytes, seconds, bytes_for(stages, middle), block
    )


def amounts(stages: Sequence[Stage], cuts: Sequence[Sequence[Cut]], chunks: Sequence[int]) -> tuple[int, int]:
    """Samples that all boxes read, and those of the chunks that hold them.

    What is read along an axis depends on the cut along that axis alone: so the sum over all boxes is that of the box in
    the middle, times the sum along each axis relative to it.
    """
    shape = stages[0].info.shape
    middle = tuple(axis[len(axis) // 2] for axis in cuts)
    base = volumes(read_by(stages, middle), chunks, shape)
    read, fetched = float(base[0]), float(base[1])
    for place, axis in enumerate(cuts):
        some = axis if len(axis) <= MOST_CUTS else [axis[len(axis) * i // MOST_CUTS] for i in range(MOST_CUTS)]
        boxes = [read_by(stages, (*middle[:place], cut, *middle[place + 1 :])) for cut in some]
        sums = [sum(each) for each in zip(*(volumes(box, chunks, shape) for box in boxes), strict=True)]
        read *= sums[0] * len(axis) / (len(some) * base[0])
        fetched *= sums[1] * len(axis) / (len(some) * base[1])
    return round(read), round(fetched)


def volumes(boxes: Sequence[Sequence[Cut]], chunks: Sequence[int], shape: Sequence[int]) -> tuple[int, int]:
    """Samples that boxes cover, and those of the chunks that they touch."""
    each = [lengths({box[axis] for box in boxes}, step, shape[axis]) for axis, step in enumerate(chunks)]
    return prod(covered for covered, _ in each), prod(touching for _, touching in each)


def lengths(spans: Set[Cut], step: int, size: int) -> tuple[int, int]:
    """How much of an axis spans cover, and the chunks that they touch.

    >>> lengths({(24, 40)}, 32, 100), lengths({(0, 8), (92, 100)}, 32, 100)
    ((16, 64), (16, 68))
    """
    pieces = {piece for span in spans for piece in touched(span, step, size)}
    return sum(stop - start for start, stop in spans), sum(stop - start for start, stop in pieces)


def better(found: Forecast, job: Boxed, memory: int) -> tuple[tuple[int, ...], float, int] | None:
    """The shards by which a pass would read least, if they are worth a word and fit the memory."""
    axes = zip(found.block, job.last.after.shape, strict=True)
    wider = [[step, 2 * step] if step < extent else [step] for step, extent in axes]
    others = [priced(job, block) for block in product(*wider) if block != found.block]
    best = min((each for each in others if each.memory <= memory), key=lambda each: each.fetched, default=found)
    return (best.block, best.fetched / found.source, best.memory) if best.fetched < WORTH * found.fetched else None
