"""One input on its way to one output: probed, planned, checked, read, computed, written and reported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

from convcli.errors import ConvError, UsageError
from convcli.formats import (
    FORMATS,
    Format,
    ReadOptions,
    WriteOptions,
    check_writable,
    encode,
    format_for,
    probe,
    read,
    remarks,
    write,
)
from convcli.formats.atomic import is_special
from convcli.formats.limits import memory, times
from convcli.image import Image, ImageInfo
from convcli.names import FileId, check_target
from convcli.operation import Limits, Operation, Work
from convcli.planner import DEFAULT_MEMORY
from convcli.report import Report
from convcli.samples import Counts
from convcli.streams import STREAM, binary_output, read_input
from convcli.wording import share_of

SLOW = 2.0
"""Predicted seconds from which a progress bar is worth its import."""


@dataclass(frozen=True)
class Settings:
    """How every input is treated. `sources` are the files that a run reads, which no output may replace unasked."""

    format: str = ""
    force: bool = False
    in_place: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)
    limits: Limits = field(default_factory=lambda: Limits("auto", 0, DEFAULT_MEMORY))
    verify: int = 0
    strict: bool = False
    quiet: bool = False
    explain: bool = False
    dry_run: bool = False
    notes: tuple[str, ...] = ()
    sources: frozenset[FileId] = frozenset()


def process(operation: Operation, settings: Settings, source: str, target: str) -> Report:
    """One input into one output, or only planned."""
    started = perf_counter()
    content: Path | bytes = read_input() if source == STREAM else Path(source)
    info = probe(content, options=settings.reading)
    work = operation.on(info, settings.limits)
    after, notes = work.after, work.notes
    format_ = _output_format(target, info, settings)
    if format_:
        after = replace(after, format=format_.name)
        notes += _before_work(after, target, format_, settings)
        if target != STREAM and not settings.explain:
            check_target(source, target, settings.sources, force=settings.force, in_place=settings.in_place)
    report = Report(source, target, before=info, after=after, work=work)
    if settings.explain or settings.dry_run:
        return replace(report, warnings=settings.notes + info.notes + notes, status="skipped")
    assert format_ is not None
    check_size(after)
    image = read(content, options=settings.reading)
    read_at = perf_counter()
    with _progress(settings, work) as progress:
        result, counts = work.run(image, verify=settings.verify, progress=progress)
    computed_at = perf_counter()
    warnings = settings.notes + image.info.notes + notes + tuple(count_warnings(counts, after, work))
    if settings.strict and warnings:
        raise ConvError(f"--strict: {warnings[0]}", "strict")
    _write(result, target, format_, settings)
    done = perf_counter()
    return replace(
        report,
        times={
            "read": read_at - started,
            "compute": computed_at - read_at,
            "write": done - computed_at,
            "total": done - started,
        },
        samples=counts.samples,
        below=counts.below,
        above=counts.above,
        nan=counts.nan,
        memory=_peak_memory(),
        verified=settings.verify,
        warnings=warnings,
    )


def is_stream(target: str) -> bool:
    """True for standard output, and for a pipe or device whose name tells no format."""
    return target == STREAM or (is_special(Path(target)) and not Path(target).suffix)


def _output_format(target: str, info: ImageInfo, settings: Settings) -> Format | None:
    """The format of an output: as asked, by its name, or like the input's where no name tells."""
    if not target:
        return None
    alike = is_stream(target) and FORMATS[info.format].dtypes  # a format without any is only read
    return format_for(target, settings.format or (info.format if alike else None))


def _before_work(after: ImageInfo, target: str, format_: Format, settings: Settings) -> tuple[str, ...]:
    """Refuse a result that the format cannot hold; what else will change on writing."""
    try:
        check_writable(format_, after)
    except ConvError as error:
        raise UsageError(
            error.message, error.code, where=target
        ) from None  # another name or option on the command line would do
    return remarks(format_, after, settings.writing)


def check_size(after: ImageInfo) -> None:
    """Refuse a result that is larger than the memory, as a huge padding makes it."""
    needed, there = prod(after.shape) * int(after.dtype.lstrip("uintfloa")) // 8, memory()
    if needed > there:
        size = f"the result of {times(after.shape)} {after.dtype} needs {needed:,} bytes, the machine has {there:,}"
        raise ConvError(f"{size}; use a smaller --padding or a larger --stride", "too-large")


def count_warnings(counts: Counts, info: ImageInfo, work: Work) -> Iterator[str]:
    """What a user should know about samples that could not be stored as computed, and what to do."""
    whole = not info.dtype.startswith("float")
    if counts.below:
        share, low = share_of(counts.below, counts.samples), "0" if info.dtype.startswith("u") else "the least value"
        way = (
            "use --dtype float32 with a .tif, or --bias 128"
            if info.dtype == "uint8"
            else "use --dtype float32 with a .tif"
        )
        yield f"{share} of samples were below {low} and were set to {low}; {way}"
    if counts.above:
        share = share_of(counts.above, counts.samples)
        way = "use --dtype float32 with a .tif, or --scale"
        yield f"{share} of samples were above what {info.dtype} holds and were set to the most; {way}"
    if counts.nan and whole and work.numbers.nodata is None:
        way = "use --dtype float32, or --nan ignore"
        yield f"{counts.nan:,} results were NaN, which {info.dtype} cannot hold, and became 0; {way}"


def _write(image: Image, target: str, format_: Format, settings: Settings) -> None:
    if target == STREAM:
        with binary_output() as pixels:
            pixels.write(encode(image, format_, settings.writing))
        return
    write(Path(target), image, format=format_, force=settings.force or settings.in_place, options=settings.writing)


@contextmanager
def _progress(settings: Settings, work: Work) -> Iterator[Any]:
    """A bar on a terminal for work that takes long; elsewhere nothing."""
    if settings.quiet or not sys.stderr.isatty() or work.seconds < SLOW:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(work.method, total=work.outputs)
        yield lambda count: bar.advance(task, count)


def _peak_memory() -> int:
    """The process's peak resident memory in bytes."""
    status = Path("/proc/self/status")
    own = status.read_text().partition("VmHWM:")[2] if status.exists() else ""
    if own:
        return int(own.split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux this counts what the parent held, too
    return peak if sys.platform == "darwin" else peak * 1024
