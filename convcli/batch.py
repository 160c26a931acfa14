"""A filter on many inputs: each is probed, planned, filtered, written and reported; a bad one costs only itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from convcli.errors import ConvError, UsageError
from convcli.formats import atomic_output, format_for
from convcli.formats.failures import told
from convcli.names import FileId, check_target, file_id, output_names, refuse_collisions
from convcli.operation import Operation
from convcli.processing import Settings, is_stream, process
from convcli.report import Report, failure, show_report
from convcli.streams import STREAM, say

PARTLY_FAILED = 3


@dataclass(frozen=True)
class Batch:
    """Everything about a run that is not the filter itself."""

    inputs: Sequence[str]
    output: str = ""
    settings: Settings = field(default_factory=Settings)
    verbose: bool = False
    json: bool = False
    report: str = ""
    fail_fast: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def many(self) -> bool:
        """True where one line for each input is enough."""
        return len(self.inputs) > 1

    @cached_property
    def sources(self) -> frozenset[FileId]:
        """The files that are read, whatever they are called."""
        return frozenset(found for name in self.inputs if (found := file_id(name)))


def run_batch(operation: Operation, batch: Batch) -> int:
    """Treat every input and report; the exit code: 0, that of the failures, or 3 if only a part failed."""
    targets = _targets(batch)
    _check_report(batch, targets)
    settings = replace(batch.settings, sources=batch.sources)
    reports = []
    for source, target in zip(batch.inputs, targets, strict=True):
        report = _guarded(operation, batch, settings, source, target)
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
    if batch.settings.in_place:
        if batch.output:
            raise UsageError("--in-place and -o exclude each other; give one of them")
        if STREAM in batch.inputs:
            raise UsageError("standard input cannot be replaced in place; use -o FILE")
        refuse_collisions(batch.inputs, batch.inputs)
        return list(batch.inputs)
    if not batch.output and not batch.settings.explain:
        raise UsageError("where should the result go? Give -o FILE, -o FOLDER/, -o - or --in-place")
    if batch.output == STREAM and batch.json:
        raise UsageError("standard output carries the pixels; use --report FILE for JSON")
    if batch.output == STREAM and sys.stdout.isatty():
        raise UsageError("pixels are not for a terminal; use -o FILE, or send them into a pipe")
    if not batch.output:
        return [""] * len(batch.inputs)
    targets = output_names(batch.inputs, batch.output, batch.fields, _suffix(batch))
    for target in targets:
        if not batch.settings.format and not is_stream(target):
            format_for(target)
    return targets


def _suffix(batch: Batch) -> str:
    """What names in a folder end in where a format is asked for; ImageJ's have no ending of their own."""
    return (format_for("", batch.settings.format).suffixes or (".tif",))[0] if batch.settings.format else ""


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


def _guarded(operation: Operation, batch: Batch, settings: Settings, source: str, target: str) -> Report:
    """One input's report; where others follow or JSON tells it, an error becomes one."""
    try:
        return process(operation, settings, source, target)
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


def _tell(report: Report, batch: Batch) -> None:
    settings = batch.settings
    if batch.json:
        print(json.dumps(report.as_dict()), flush=True)
    if report.error:
        say(f"convcli: {report.error}")
    elif (settings.explain and not batch.json) or (not settings.quiet and (batch.verbose or not batch.many)):
        show_report(report)
    elif not settings.quiet:
        say(*report.lines())


def _write_reports(reports: Sequence[Report], batch: Batch) -> None:
    if batch.report:
        with atomic_output(Path(batch.report), force=True) as stream:
            stream.writelines(json.dumps(report.as_dict()).encode() + b"\n" for report in reports)
