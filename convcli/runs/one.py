"""One input on its way to one output: probed, planned, checked, read, computed, written and reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.engine.samples import Counts
from convcli.errors import ConvError, UsageError, changed
from convcli.formats import (
    FORMATS,
    Format,
    Place,
    ReadOptions,
    Windows,
    WriteOptions,
    check_writable,
    encode,
    format_for,
    left_out,
    output_place,
    placed,
    probe,
    read,
    remarks,
    streamed,
    windows,
    write,
)
from convcli.formats.atomic import is_special
from convcli.formats.source import Source, source_of, times
from convcli.image import Image, ImageInfo, PixelTarget
from convcli.operations.operation import Limits, Operation, Work
from convcli.planner import DEFAULT_MEMORY
from convcli.records import record, replace
from convcli.report import Report
from convcli.runs.names import FileId, check_target
from convcli.runs.progress import Progress, progress_of
from convcli.stores.names import is_url
from convcli.streams import STREAM, binary_output, read_input
from convcli.system import free_bytes, memory, peak_memory

if TYPE_CHECKING:
    from convcli.formats.atomic import Target
    from convcli.runs.forecast import Forecast
    from convcli.runs.levels import Passes
    from convcli.runs.looks import Wish
    from convcli.runs.tally import Tally

SILENT = 2
"""How quiet a run is of which nothing but errors is told."""
LONG = 2**25
"""Bytes of pixels, read and written, from which reading, computing and writing overlap."""


@record
class Settings:
    """How every input is treated. `sources` are the files that a run reads, which no output may replace unasked.

    The name of an output is on the disk when it is done if it is to be `synced`; else a batch sees to that at its end.
    `quiet` says how little is told: 1 leaves warnings, `SILENT` nothing but errors.
    `wish` is what is to be seen of each input and its result.
    `resume` is empty, or says how far what an earlier run wrote is trusted: "check" or "trust".
    """

    format: str = ""
    force: bool = False
    in_place: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)
    limits: Limits = field(default_factory=lambda: Limits("auto", 0, DEFAULT_MEMORY))
    verify: int = 0
    strict: bool = False
    quiet: int = 0
    explain: bool = False
    dry_run: bool = False
    sources: frozenset[FileId] = frozenset()
    synced: bool = True
    scheduler: str = ""
    resume: str = ""
    journal: str = ""
    wish: Wish | None = None

    @property
    def warns(self) -> bool:
        """Whether warnings are told."""
        return self.quiet < SILENT

    @property
    def decisive(self) -> tuple[object, ...]:
        """All that results depend on."""
        return self.format, self.reading, self.writing, self.limits.method


def process(operation: Operation, settings: Settings, source: str, target: str) -> Report:
    """One input into one output, or only planned; whoever waits at a terminal is told how far it is."""
    started = perf_counter()
    with progress_of(source, quiet=bool(settings.quiet)) as progress:
        content = source_of(read_input() if source == STREAM else source)
        info = probe(content, options=settings.reading)
        settings, info = _with_all_pictures(content, info, target, settings)
        work = suited_to(info, operation).on(info, settings.limits)
        after, notes = work.after, work.notes
        minor: tuple[str, ...] = ()
        format_ = _output_format(target, info, settings)
        if format_:
            notes += _before_work(after, target, format_, settings)
            minor = left_out(format_, after)
            after = replace(after, format=format_.name)
            if format_.folder:
                check_folder(source, target, settings)
            elif target != STREAM and not settings.explain:
                check_target(source, target, settings.sources, force=settings.force, in_place=settings.in_place)
        report = Report(source, target, before=info, after=after, work=work, remarks=minor)
        folder = (
            format_
            and format_.folder
            and Course(operation, content, Path(target), format_, settings, info, work, notes, progress, [])
        )
        if settings.explain or settings.dry_run:
            more = (folder.forecast(target),) if folder and settings.scheduler else ()
            return replace(report, warnings=info.notes + notes, status="skipped", more=more)
        assert format_ is not None
        watch, sent = None, list[bytes]()
        if settings.wish:
            begun = perf_counter()
            from convcli.runs.watch import watched

            progress.enter("looking at it")
            watch = watched(content, work, after, settings.reading, settings.wish)
            started += perf_counter() - begun  # what is shown is no part of what is told of
        if folder:
            (counts, times_taken, warnings), whole, tally = folder.by_boxes(target)
            report = replace(report, more=(tally,))
        else:
            with placed_at(target, settings) as place:
                course = Course(operation, content, place, format_, settings, info, work, notes, progress, sent)
                (counts, times_taken, warnings), whole = course.run()
        report = replace(
            report,
            times={**times_taken, "total": perf_counter() - started},
            samples=counts.samples,
            below=counts.below,
            above=counts.above,
            nan=counts.nan,
            memory=peak_memory(),
            verified=settings.verify,
            remarks=(*minor, *(f"in memory as a whole: {reason}" for reason in whole)),
            warnings=warnings,
        )
        return replace(report, pictures=watch.pictures(target, b"".join(sent))) if watch else report


Outcome = tuple[Counts, dict[str, float], tuple[str, ...]]
"""What was clipped, the seconds by phase, and the warnings."""


class Course(NamedTuple):
    """Work on its way from an image's content to a target; `notes` are known before.

    `sent` is given what goes into a pipe, where it is to be seen.
    """

    operation: Operation
    content: Source
    target: Target
    format: Format
    settings: Settings
    before: ImageInfo
    work: Work
    notes: tuple[str, ...]
    progress: Progress
    sent: list[bytes]

    def run(self) -> tuple[Outcome, tuple[str, ...]]:
        """The outcome; where a long image was in memory as a whole, or its result was, the reasons."""
        if not self.is_long:
            return self.at_once(), ()
        done = self.by_windows()
        if isinstance(done, str):
            return self.at_once(), (done,)
        return done, () if self.is_written_by_windows else (f"{self.format.title} is not written row by row",)

    def by_boxes(self, target: str) -> tuple[Outcome, tuple[str, ...], Tally]:
        """Compute and write an output of many objects, each from what it needs of the source."""
        from convcli.runs.chunked import run_chunked
        from convcli.runs.levels import job_of

        settings, made = self.settings, self.passes(target)
        if settings.strict:
            self.warnings(self.before, Counts())

        def finished(counts: Counts) -> None:
            self.content.check()
            self.warnings(self.before, counts)

        plans = [(plan.method, plan.itemsize, plan.tile) for plan in self.work.plans]
        asked, job = (self.operation, *settings.decisive, plans), job_of(made, self.content, self.before, finished)
        tally = run_chunked(job, asked, settings, self.progress)
        return (tally.counts, tally.busy, self.warnings(self.before, tally.counts)), made.whole, tally

    def passes(self, target: str) -> Passes:
        """What is to be done for an output of many objects."""
        from convcli.runs.levels import opening_of, passes_to, sent

        settings = self.settings
        source = opening_of(self.content, self.before, self.work, settings.reading)
        source = sent(source) if settings.scheduler else source
        return passes_to(target, self.format, source, self.work, settings.writing, settings.limits, settings.verify)

    def forecast(self, target: str) -> Forecast:
        """What such an output would take on a cluster."""
        from convcli.runs.cuts import most_of_one
        from convcli.runs.forecast import forecast

        made = self.passes(target)
        return forecast(made.passes, most_of_one(self.settings.limits), sharded=made.output.is_sharded(0))

    def at_once(self) -> Outcome:
        """Read everything, compute everything, write everything."""
        check_size(self.work.after)
        begun = perf_counter()
        self.progress.enter("reading")
        image = read(self.content, options=self.settings.reading)
        read_at = perf_counter()
        self.progress.enter("computing", self.work.outputs)
        result, counts = self.work.run(image, verify=self.settings.verify, progress=self.progress.add)
        computed_at = perf_counter()
        warnings = self.warnings(image.info, counts)
        self.progress.enter("writing")
        self.write(result)
        taken = {"read": read_at - begun, "compute": computed_at - read_at, "write": perf_counter() - computed_at}
        return counts, taken, warnings

    @property
    def is_long(self) -> bool:
        """True where it pays, or is necessary, to read and compute at the same time."""
        size = self.before.nbytes + self.work.after.nbytes
        return size >= min(LONG, self.settings.limits.memory // 4)

    @property
    def is_written_by_windows(self) -> bool:
        """True where the output, too, takes its pixels as they come."""
        return not isinstance(self.target, Path) and self.format.takes(self.work.after)

    def by_windows(self) -> Outcome | str:
        """Read, compute and, if possible, write window by window; or the reason why not."""
        if self.content.in_memory:
            return "what comes through a pipe is read as a whole"
        if not self.work.streams:
            return "its columns lie before its rows"
        with windows(self.content, options=self.settings.reading) as found:
            if found is None:
                return FORMATS[self.before.format].load().whole
            info, source = found
            if source.grid.in_order and not self.work.in_order:
                return "its rows are decoded one after the other, and are needed in another order"
            if (info.shape, info.axes, info.dtype) != (self.before.shape, self.before.axes, self.before.dtype):
                raise changed(self.content.name)
            return self.streamed(info, source) if self.is_written_by_windows else self.collected(info, source)

    def streamed(self, info: ImageInfo, source: Windows) -> Outcome:
        """Compute and write window by window, from such a source."""
        settings, force = self.settings, self.settings.force or self.settings.in_place
        self.check_room()
        arguments: Any = {"force": force, "synced": settings.synced, "options": settings.writing}
        with streamed(self.target, self.work.after, format=self.format, **arguments) as target:
            return self.through(info, source, target)

    def collected(self, info: ImageInfo, source: Windows) -> Outcome:
        """Compute window by window, so that the input is never in memory as a whole; then write."""
        from convcli.formats.pixels import Collected

        check_size(self.work.after)
        target = Collected.of(self.work.after)
        counts, busy, warnings = self.through(info, source, target)
        begun = perf_counter()
        self.write(Image(self.work.after, target.data))
        return counts, {**busy, "write": busy["write"] + perf_counter() - begun}, warnings

    def through(self, info: ImageInfo, source: Windows, target: PixelTarget) -> Outcome:
        """Everything from a source to a target; refused where the source has changed meanwhile."""
        self.progress.enter("computing", self.work.outputs)
        counts, busy = self.work.stream(source, target, verify=self.settings.verify, progress=self.progress.add)
        self.progress.enter("writing")
        warnings = self.warnings(info, counts)
        source.check()
        return counts, busy, warnings

    def write(self, image: Image) -> None:
        """Write a whole result."""
        settings, force = self.settings, self.settings.force or self.settings.in_place
        if self.target == Path(STREAM):
            with binary_output() as pixels:
                pixels.write(content := encode(image, self.format, settings.writing))
            if settings.wish:
                self.sent.append(content)
            return
        write(self.target, image, format=self.format, force=force, synced=settings.synced, options=settings.writing)

    def check_room(self) -> None:
        """Refuse a result that the disk has no room for, or that a picture makes, or should be, and no memory holds."""
        after = self.work.after
        if self.format.samples or FORMATS[self.before.format].samples:
            check_size(after)
        if not self.format.load().packs(after, self.settings.writing):
            check_space(after, self.target.path if isinstance(self.target, Place) else draft_folder() / "draft")

    def warnings(self, info: ImageInfo, counts: Counts) -> tuple[str, ...]:
        """What a user should know; with --strict, the first of them is an error, before anything is there to see."""
        found = (*info.notes, *self.notes)
        if counts.spoilt:
            from convcli.operations.advice import count_warnings

            found += (*count_warnings(counts, self.before, self.work),)
        if self.settings.strict and found:
            raise ConvError(f"--strict: {found[0]}", "strict")
        return found


def check_folder(source: str, target: str, settings: Settings) -> None:
    """Refuse an output of many objects that cannot be made, before any work."""
    from convcli.runs.levels import check_output

    if settings.in_place:
        raise UsageError("an output of many objects is not made in place of its input; use -o", where="--in-place")
    if target == STREAM:
        raise UsageError("a Zarr is a folder, and no stream; use -o NAME.ome.zarr", where=STREAM)
    if not (settings.explain or settings.dry_run):
        check_output(source, target, force=settings.force or bool(settings.resume))


def is_stream(target: str) -> bool:
    """True for standard output, and for a pipe or device whose name tells no format."""
    return target == STREAM or (not is_url(target) and is_special(Path(target)) and not Path(target).suffix)


def _output_format(target: str, info: ImageInfo, settings: Settings) -> Format | None:
    """The format of an output: as asked, by its name, or like the input's where no name tells."""
    if not target:
        return None
    alike = is_stream(target) and FORMATS[info.format].dtypes  # a format without any is only read
    return format_for(target, settings.format or (info.format if alike else None)).laid_out(settings.writing)


def suited_to(info: ImageInfo, operation: Operation) -> Operation:
    """An operation as an image of its dimensions needs it; most are pictures, which need no other."""
    if not info.signal:
        return operation
    from convcli.operations.signals import suited

    return suited(operation, info)


def _with_all_pictures(content: Source, info: ImageInfo, target: str, settings: Settings) -> tuple[Settings, ImageInfo]:
    """An animation is read whole where the output holds its pictures, unless some of them were asked for."""
    reading = settings.reading
    if "animation" not in info.metadata or reading.frames is not None or reading.series is not None:
        return settings, info
    format_ = _output_format(target, info, settings)
    if format_ is None or not format_.holds_pictures:
        return settings, info
    settings = replace(settings, reading=replace(reading, frames=(None, None)))
    return settings, probe(content, options=settings.reading)


def _before_work(after: ImageInfo, target: str, format_: Format, settings: Settings) -> tuple[str, ...]:
    """Refuse a result that the format cannot hold; what else will change on writing."""
    try:
        check_writable(format_, after, settings.writing)
    except ConvError as error:
        raise UsageError(
            error.message, error.code, where=target
        ) from None  # another name or option on the command line would do
    return remarks(format_, after, settings.writing)


def check_size(after: ImageInfo) -> None:
    """Refuse a result that is larger than the memory, as a huge padding makes it."""
    needed, there = after.nbytes, memory()
    if needed > there:
        size = f"the result of {times(after.shape)} {after.dtype} needs {needed:,} bytes, the machine has {there:,}"
        raise ConvError(f"{size}; ask for fewer pixels, by --padding or --stride", "too-large")


def check_space(after: ImageInfo, target: Path) -> None:
    """Refuse a result, not compressed, that the disk has no room for."""
    needed, folder = after.nbytes, target.parent
    if folder.is_dir() and needed > (free := free_bytes(folder)):
        size = f"the result of {times(after.shape)} {after.dtype} needs {needed:,} bytes, the disk has {free:,} free"
        raise ConvError(size, "disk-full", where=str(target))


def draft_folder() -> Path:
    """Where lies what is sent to a store once it is whole."""
    from tempfile import gettempdir

    return Path(gettempdir())


@contextmanager
def placed_at(target: str, settings: Settings) -> Iterator[Target]:
    """The place of an output, its folder open from now on; standard output is itself."""
    if target == STREAM:
        yield Path(STREAM)
        return
    with placed(output_place(target), settings.force or settings.in_place) as place:
        yield place
