"""A filter on many inputs: each is probed, planned, filtered, written and reported; a bad one costs only itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

from convcli.errors import ConvError, UsageError
from convcli.filter import Filter
from convcli.formats import (
    FORMATS,
    Format,
    ReadOptions,
    WriteOptions,
    atomic_output,
    check_writable,
    encode,
    format_for,
    probe,
    read,
    remarks,
    write,
)
from convcli.formats.atomic import is_special
from convcli.formats.failures import told
from convcli.formats.limits import memory, times
from convcli.image import Image, ImageInfo
from convcli.names import FileId, check_target, file_id, output_names, refuse_collisions
from convcli.planner import DEFAULT_MEMORY, Plan, make_plan
from convcli.report import Report, failure, show_report
from convcli.samples import Counts
from convcli.streams import STREAM, binary_output, read_input, say

PARTLY_FAILED = 3
SLOW = 2.0
"""Predicted seconds from which a progress bar is worth its import."""


@dataclass(frozen=True)
class Batch:
    """Everything about a run that is not the filter itself."""

    inputs: Sequence[str]
    output: str = ""
    format: str = ""
    force: bool = False
    in_place: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)
    method: str = "auto"
    threads: int = 0
    memory: int = DEFAULT_MEMORY
    verify: int = 0
    strict: bool = False
    quiet: bool = False
    verbose: bool = False
    json: bool = False
    report: str = ""
    explain: bool = False
    fail_fast: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def many(self) -> bool:
        """True where one line for each input is enough."""
        return len(self.inputs) > 1

    @cached_property
    def sources(self) -> frozenset[FileId]:
        """The files that are read, whatever they are called."""
        return frozenset(found for name in self.inputs if (found := file_id(name)))


def run_batch(filter_: Filter, batch: Batch) -> int:
    """Filter every input and report; the exit code: 0, that of the failures, or 3 if only a part failed."""
    targets = _targets(batch)
    _check_report(batch, targets)
    reports = []
    for source, target in zip(batch.inputs, targets, strict=True):
        report = _guarded(filter_, batch, source, target)
        reports.append(report)
        _tell(report, batch)
        if report.error and batch.fail_fast:
            break
    _write_reports(reports, batch)
    failures = [report.error.exit_code for report in reports if report.error]
    return 0 if not failures else PARTLY_FAILED if len(failures) < len(reports) else min(failures)


def _targets(batch: Batch) -> list[str]:
    """The output of each input, and everything about them that is wrong whatever the files hold."""
    if "" in batch.inputs:
        raise UsageError("an empty name is no file; is a variable unset?", where="")
    if batch.in_place:
        if batch.output:
            raise UsageError("--in-place and -o exclude each other; give one of them")
        if STREAM in batch.inputs:
            raise UsageError("standard input cannot be replaced in place; use -o FILE")
        refuse_collisions(batch.inputs, batch.inputs)
        return list(batch.inputs)
    if not batch.output and not batch.explain:
        raise UsageError("where should the result go? Give -o FILE, -o FOLDER/, -o - or --in-place")
    if batch.output == STREAM and batch.json:
        raise UsageError("standard output carries the pixels; use --report FILE for JSON")
    if batch.output == STREAM and sys.stdout.isatty():
        raise UsageError("pixels are not for a terminal; use -o FILE, or send them into a pipe")
    if not batch.output:
        return [""] * len(batch.inputs)
    targets = output_names(batch.inputs, batch.output, batch.fields, _suffix(batch))
    for target in targets:
        if not batch.format and not is_stream(target):
            format_for(target)
    return targets


def _suffix(batch: Batch) -> str:
    """What names in a folder end in where a format is asked for; ImageJ's have no ending of their own."""
    return (format_for("", batch.format).suffixes or (".tif",))[0] if batch.format else ""


def is_stream(target: str) -> bool:
    """True for standard output, and for a pipe or device whose name tells no format."""
    return target == STREAM or (is_special(Path(target)) and not Path(target).suffix)


def _check_report(batch: Batch, targets: Sequence[str]) -> None:
    """Refuse, before any work, a --report that cannot be written or would replace what the run reads or writes."""
    if not batch.report:
        return
    if batch.report == STREAM:
        raise UsageError("needs a file; --json prints on standard output", where="--report")
    place = os.path.realpath(batch.report)
    if file_id(batch.report) in batch.sources or place in map(os.path.realpath, targets):
        raise UsageError("is an input or output of this run; write the report elsewhere", where=batch.report)
    check_target(STREAM, batch.report, frozenset(), force=True)


def _guarded(filter_: Filter, batch: Batch, source: str, target: str) -> Report:
    """One input's report; where others follow or JSON tells it, an error becomes one."""
    try:
        return process(filter_, batch, source, target)
    except BrokenPipeError:
        raise
    except (ConvError, OSError, MemoryError) as raised:
        error = as_told(raised, source)
        if batch.many or batch.json or batch.report:
            return failure(source, target, error)
        raise error from raised


def as_told(raised: ConvError | OSError | MemoryError, source: str) -> ConvError:
    """What stopped an input, as an error that names the file."""
    if isinstance(raised, ConvError):
        return raised.at(source)
    if isinstance(raised, OSError):
        return told(raised, raised.filename if isinstance(raised.filename, str) else source)
    return ConvError("not enough memory for this job; --memory bounds the working set", "memory", where=source)


def process(filter_: Filter, batch: Batch, source: str, target: str) -> Report:
    """Filter one input into one output, or only plan it."""
    started = perf_counter()
    content: Path | bytes = read_input() if source == STREAM else Path(source)
    info = probe(content, options=batch.reading)
    plan = plan_for(filter_, info, batch)
    after = filter_.output_info(info)
    report = Report(source, target, filter=filter_, before=info, after=after, plan=plan, warnings=filter_.notes(info))
    format_ = _output_format(target, info, batch)
    if format_:
        after = replace(after, format=format_.name)
        report = replace(report, after=after, warnings=report.warnings + _before_work(after, target, format_, batch))
        if target != STREAM and not batch.explain:
            check_target(source, target, batch.sources, force=batch.force, in_place=batch.in_place)
    if batch.explain:
        return replace(report, warnings=batch.notes + info.notes + report.warnings, status="skipped")
    assert format_ is not None
    check_size(after)
    from convcli.engine import apply

    image = read(content, options=batch.reading)
    read_at = perf_counter()
    with _progress(batch, plan) as progress:
        result, counts = apply(filter_, image, plan, verify=batch.verify, progress=progress)
    computed_at = perf_counter()
    warnings = batch.notes + image.info.notes + report.warnings + tuple(count_warnings(counts, after, filter_))
    if batch.strict and warnings:
        raise ConvError(f"--strict: {warnings[0]}", "strict")
    _write(result, target, format_, batch)
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
        verified=batch.verify,
        warnings=warnings,
    )


def _output_format(target: str, info: ImageInfo, batch: Batch) -> Format | None:
    """The format of an output: as asked, by its name, or like the input's where no name tells."""
    if not target:
        return None
    alike = is_stream(target) and FORMATS[info.format].dtypes  # a format without any is only read
    return format_for(target, batch.format or (info.format if alike else None))


def _before_work(after: ImageInfo, target: str, format_: Format, batch: Batch) -> tuple[str, ...]:
    """Refuse a result that the format cannot hold; what else will change on writing."""
    try:
        check_writable(format_, after)
    except ConvError as error:
        raise UsageError(
            error.message, error.code, where=target
        ) from None  # another name or option on the command line would do
    return remarks(format_, after, batch.writing)


def check_size(after: ImageInfo) -> None:
    """Refuse a result that is larger than the memory, as a huge padding makes it."""
    needed, there = prod(after.shape) * int(after.dtype.lstrip("uintfloa")) // 8, memory()
    if needed > there:
        size = f"the result of {times(after.shape)} {after.dtype} needs {needed:,} bytes, the machine has {there:,}"
        raise ConvError(f"{size}; use a smaller --padding or a larger --stride", "too-large")


def plan_for(filter_: Filter, info: ImageInfo, batch: Batch) -> Plan:
    """The plan for an image; NumPy is loaded only where the kernel's rank is not known by its terms."""
    from convcli.engine import rank_of
    from convcli.workers import core_count

    problem = filter_.problem(info, rank_of(filter_.kernel, filter_.approximation))
    return make_plan(problem, method=batch.method, threads=batch.threads or core_count(), memory=batch.memory)


def count_warnings(counts: Counts, info: ImageInfo, filter_: Filter) -> Iterator[str]:
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
    if counts.nan and whole and filter_.numbers.nodata is None:
        way = "use --dtype float32, or --nan ignore"
        yield f"{counts.nan:,} results were NaN, which {info.dtype} cannot hold, and became 0; {way}"


def share_of(part: int, whole: int) -> str:
    """A share in per cent, never rounded to nothing.

    >>> share_of(19, 1000), share_of(7, 7), share_of(1, 10**6)
    ('1.9 %', '100 %', 'less than 0.001 %')
    """
    percent = 100 * part / whole
    return f"{percent:.3g} %" if percent >= 0.001 else "less than 0.001 %"


def _write(image: Image, target: str, format_: Format, batch: Batch) -> None:
    if target == STREAM:
        with binary_output() as pixels:
            pixels.write(encode(image, format_, batch.writing))
        return
    write(Path(target), image, format=format_, force=batch.force or batch.in_place, options=batch.writing)


def _tell(report: Report, batch: Batch) -> None:
    if batch.json:
        print(json.dumps(report.as_dict()), flush=True)
    if report.error:
        say(f"convcli: {report.error}")
    elif (batch.explain and not batch.json) or (not batch.quiet and (batch.verbose or not batch.many)):
        show_report(report)
    elif not batch.quiet:
        say(*report.lines())


def _write_reports(reports: Sequence[Report], batch: Batch) -> None:
    if batch.report:
        with atomic_output(Path(batch.report), force=True) as stream:
            stream.writelines(json.dumps(report.as_dict()).encode() + b"\n" for report in reports)


@contextmanager
def _progress(batch: Batch, plan: Plan) -> Iterator[Any]:
    """A bar on a terminal for work that takes long; elsewhere nothing."""
    if batch.quiet or not sys.stderr.isatty() or plan.cost.seconds < SLOW:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    problem = plan.problem
    total = problem.planes * problem.channels_out
    for outputs in problem.output:
        total *= outputs
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(plan.method, total=total)
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
