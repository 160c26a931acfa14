"""An output that is written in boxes, in any order, by several at once: by threads here, or by a cluster's workers.

It is claimed, marked as unfinished, made box by box with a line in a journal for each, and finished. What was killed on
the way goes on with --resume: each box that the journal knows is read back, and made again where it is not the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from convcli import __version__
from convcli.engine.boxes import Boxed, Done, Opening, boxes_of, checksum, run_boxes, run_one, samples_in
from convcli.engine.memory import empty
from convcli.engine.samples import Counts
from convcli.engine.workers import run_all
from convcli.errors import ConvError
from convcli.formats.failures import local_path
from convcli.image import PixelSource, Spans
from convcli.records import record, replace
from convcli.runs.claim import claimed
from convcli.runs.cuts import most_of_all
from convcli.runs.journal import fingerprint
from convcli.runs.shards import ShardJournal, shard_journal, shards_path
from convcli.runs.tally import Tally
from convcli.stores.contract import MARK
from convcli.streams import say
from convcli.system import core_count

if TYPE_CHECKING:
    from convcli.engine.boxes import Boxes
    from convcli.runs.cluster import Cluster
    from convcli.runs.one import Settings
    from convcli.runs.progress import Progress
    from convcli.stores.contract import Store

HERE = "here"
"""What this process is called among workers."""
PASSING = ("unreachable", "permission")
"""Errors of reading that say nothing of what is there."""


@record
class ChunkedJob:
    """What is to be done for an output: passes one after the other, the next of what the one before wrote.

    `back` reads what each pass writes. `store` is the output's root. `identity` tells the input from others, and from
    itself when it has changed; of what has no part in that, nothing is read that is newer than the time when the first
    run began, which `begun` tells, once the mark is there, and `since` has the passes know.
    `vacant` raises where anything is there; `begin` removes that, but the mark; `finish` hears what was clipped and
    makes the output one that readers take for whole.
    """

    passes: tuple[Boxed, ...]
    back: tuple[Opening[PixelSource], ...]
    store: Store
    identity: str
    begun: Callable[[], int]
    since: Callable[[tuple[Boxed, ...], int], tuple[Boxed, ...]]
    vacant: Callable[[], object]
    begin: Callable[[], object]
    finish: Callable[[Counts], object]

    @property
    def common(self) -> Common:
        """What those who do the work need of it."""
        return self.passes, self.back


Common = tuple[tuple[Boxed, ...], tuple[Opening[PixelSource], ...]]
"""What every errand has in common: the passes, and what reads their results back."""


@record
class Errand:
    """A box of a pass; `known` is the checksum of what should be there already, `spread` what `run_one` says of it."""

    number: int
    box: Spans
    known: str = ""
    spread: tuple[float, float] | None = None


class Hands(Protocol):
    """Whoever does errands."""

    def work(self, common: Common, errands: Iterable[Errand]) -> Iterator[tuple[Errand, Done | None, str]]:
        """Each errand as it is done, in any order: what was done, None where all was there already; and by whom."""


@record
class Threads:
    """Threads of this process, as many as there may be within so many bytes."""

    count: int
    memory: int

    def work(self, common: Common, errands: Iterable[Errand]) -> Iterator[tuple[Errand, Done | None, str]]:
        """Look at what is known first, then make what is not there."""
        first = next(waiting := iter(errands), None)
        if first is None:
            return
        known: list[Errand] = []
        errand: Errand | None = first
        while errand and errand.known:
            known.append(errand)
            errand = next(waiting, None)
        missing = []
        with ThreadPoolExecutor(self.count, "convcli check") as pool:
            for one, fits in zip(known, pool.map(partial(is_there, common), known), strict=True):
                if fits:
                    yield one, None, HERE
                else:
                    missing.append(one)
        todo = (one.box for one in chain(missing, [errand] if errand else [], waiting))
        job = common[0][first.number]
        for done in run_boxes(job, todo, memory=self.memory, threads=self.count, spread=first.spread):
            yield Errand(first.number, done.box), done, HERE


@record
class Workers:
    """The workers of a cluster."""

    cluster: Cluster

    def work(self, common: Common, errands: Iterable[Errand]) -> Iterator[tuple[Errand, Done | None, str]]:
        """Have each errand done by a worker."""
        yield from self.cluster.answers(attend, common, errands)


def attend(common: Common, errand: Errand) -> Done | None:
    """Do an errand by one thread; None where what is there is what should be."""
    if errand.known and is_there(common, errand):
        return None
    return run_one(common[0][errand.number], errand.box, spread=errand.spread, execute=alone)


def alone(function: Callable[[Any], object], tasks: Any, _threads: int, /, *, blas: bool) -> None:
    """Execute tasks in the thread that has the errand: a worker has others for its other threads."""
    run_all(function, tasks, 1, blas=blas)


def is_there(common: Common, errand: Errand) -> bool:
    """Whether a box that is read back has the checksum that it was written with."""
    passes, back = common
    pixels = empty(tuple(stop - start for start, stop in errand.box), passes[errand.number].last.after.dtype)
    try:
        with back[errand.number].opened() as source:
            source.read(errand.box, pixels)
    except (ConvError, OSError) as error:
        if isinstance(error, ConvError) and error.code not in PASSING:
            return False
        raise
    return checksum(pixels) == errand.known


def run_chunked(job: ChunkedJob, asked: object, settings: Settings, progress: Progress) -> Tally:
    """Make an output whole, or leave it marked as unfinished; what was done, by whom.

    `asked` is all that the results depend on beside the input, as values.
    Raises ConvError of the first box that cannot be made, of a cluster or store that does not answer, and of an output
    that belongs to another job.
    """
    mark = fingerprint((__version__, asked, job.identity, job.store.name, shapes(job)))
    about = {"output": job.store.name, "input": job.identity, "version": __version__, "fingerprint": mark}
    tally, resume = Tally(), bool(settings.resume)
    if resume and not settings.force and not path_of(mark, settings).exists() and not job.store.has(MARK):
        job.vacant()  # what nobody knows of is not ours to go on with
    with (
        hands(settings, tally, progress) as found,
        claimed(job.store, mark, resume=resume, force=settings.force) as changing,
        journaled(about, settings) as journal,
        told_at_end(job, tally, settings, journal),
    ):
        changing()
        if not resume:
            job.begin()
        elif not journal.written:
            say(f"convcli: {job.store.name!r}: the journal here has no shard of it; all are made")
        journal.begin(job.begun())
        job = replace(job, passes=job.since(job.passes, journal.since))
        course = Course(job, settings, found, journal, tally, progress)
        for number in range(len(job.passes)):
            course.run(number)
        job.finish(tally.counts)
        job.store.delete(MARK)
        tally.finished = True
    return tally


def path_of(mark: str, settings: Settings) -> Path:
    """Where a job's journal lies. Raises ConvError where nobody named one and there is no home."""
    return local_path(settings.journal) if settings.journal else shards_path(mark)


@contextmanager
def journaled(about: Mapping[str, str], settings: Settings) -> Iterator[ShardJournal]:
    """The journal of a job; one that nobody asked for may fail."""
    resume = bool(settings.resume)
    with ExitStack() as opened:
        try:
            path = path_of(about["fingerprint"], settings)
            journal = opened.enter_context(shard_journal(path, about, resume=resume))
        except ConvError as error:
            if resume or settings.journal:
                raise
            if settings.warns:
                say(f"convcli: {about['output']!r}: no journal is kept, so that --resume cannot go on: {error}")
            journal = ShardJournal(Path(), None)
        yield journal


def shapes(job: ChunkedJob) -> list[Any]:
    """How large each pass's result is, and in which boxes it is made."""
    found = []
    for each in job.passes:
        with each.target.opened() as target:
            boxes = boxes_of(each.stages, target.grid)
        found.append((boxes.shape, boxes.block, each.last.after.dtype))
    return found


@contextmanager
def hands(settings: Settings, tally: Tally, progress: Progress) -> Iterator[Hands]:
    """Whoever does the work: the workers of a cluster, or threads."""
    if not settings.scheduler:
        threads = settings.limits.threads or core_count()
        yield Threads(threads, most_of_all(settings.limits, threads))
        return
    from convcli.runs.cluster import cluster_at

    progress.enter("connecting")
    with cluster_at(settings.scheduler) as cluster:
        progress.aside = lambda: f", {tally.words}{cluster.words}"
        tally.peaks = cluster.peaks
        yield Workers(cluster)
        tally.lost = cluster.lost_by_now()


@contextmanager
def told_at_end(job: ChunkedJob, tally: Tally, settings: Settings, journal: ShardJournal) -> Iterator[None]:
    """Say, if the work ends before it is done, how far it is and what goes on with it."""
    way = "--force begins anew" if journal.descriptor is None else "the same command with --resume goes on"
    try:
        yield
    except ConvError as error:
        way = "--force begins anew" if error.code == "changed" else way
        raise
    finally:
        if not tally.finished and settings.warns:
            there = f"{tally.made + tally.kept:,} of {tally.boxes:,} shards are done"
            say(f"convcli: {job.store.name!r}: unfinished, {there}; {way}")


@record
class Course:
    """The passes of a job on their way."""

    job: ChunkedJob
    settings: Settings
    hands: Hands
    journal: ShardJournal
    tally: Tally
    progress: Progress

    def run(self, number: int) -> None:
        """Make every box of a pass that is not there."""
        work = self.job.passes[number]
        with work.target.opened() as target:
            boxes = boxes_of(work.stages, target.grid)
        self.tally.boxes += len(boxes)
        spread = self.range_of(number, boxes) if work.last.rescaled else None
        title = "computing" if not number else f"level {number}"
        self.progress.enter(title, prod(boxes.shape))
        for errand, done, worker in self.hands.work(self.job.common, self.errands(number, boxes, spread)):
            if done is None:
                self.kept(number, errand.box)
            else:
                self.journal.add(number, done)
                self.tally.add(done, worker, again=(number, done.box) in self.journal.written, counted=not number)
            self.progress.add(samples_in(errand.box))

    def errands(self, number: int, boxes: Boxes, spread: tuple[float, float] | None) -> Iterator[Errand]:
        """What there is to do: boxes that the journal knows first, unless they are trusted, then all others."""
        written = {box: said.checksum for (of, box), said in self.journal.written.items() if of == number}
        if self.settings.resume == "trust":
            for box in written:
                self.kept(number, box)
                self.progress.add(samples_in(box))
        else:
            yield from (Errand(number, box, known, spread) for box, known in written.items())
        yield from (Errand(number, box, "", spread) for box in boxes if box not in written)

    def kept(self, number: int, box: Spans) -> None:
        """Count a box that an earlier run has made."""
        self.tally.keep({} if number else self.journal.written[number, box].counts)

    def range_of(self, number: int, boxes: Boxes) -> tuple[float, float]:
        """The ends that results are spread over: of every box, computed once for that, unless the journal has them."""
        if self.journal.range is None:
            self.progress.enter("looking for the range", prod(boxes.shape))
            ends = []
            for _, done, worker in self.hands.work(self.job.common, (Errand(number, box) for box in boxes)):
                assert done is not None
                ends.append((done.low, done.high))
                self.tally.look(done, worker)
                self.progress.add(samples_in(done.box))
            self.journal.spread(min(low for low, _ in ends), max(high for _, high in ends))
        assert self.journal.range is not None
        return self.journal.range
