"""An operation on many inputs: several at a time, each told as it is done; a bad one costs only itself.

One input is treated in this process, where its errors are those of the command. Many go to worker processes
(`convcli.runs.crew`), and a journal (`convcli.runs.journal`) knows what they have done: both imported only then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convcli import __version__
from convcli.errors import ConvError, UsageError
from convcli.formats import FORMATS, format_for
from convcli.formats.atomic import output_place
from convcli.formats.failures import local_path
from convcli.formats.folder import sync_folders
from convcli.operations.operation import Operation
from convcli.records import record, replace
from convcli.report import Report, failure, show_rows
from convcli.runs.answers import Answer, answered, as_json, as_told, shown
from convcli.runs.names import (
    FileId,
    Input,
    anywhere,
    check_input,
    check_named,
    file_id,
    names_folder,
    outer_folder,
    output_names,
    refuse_collisions,
)
from convcli.runs.one import SILENT, Settings, is_stream, process
from convcli.runs.outer import check_outer, folders_made
from convcli.runs.summary import ProgressLine, Summary
from convcli.signals import Interrupted, release_signals
from convcli.stores.names import is_remote
from convcli.streams import STREAM, check_output, is_terminal, say
from convcli.system import core_count, forks, memory

if TYPE_CHECKING:
    from convcli.runs.cluster import Cluster
    from convcli.runs.groups import File
    from convcli.runs.journal import Journal
    from convcli.runs.reports import Record
    from convcli.runs.spawned import Processes

    Hands = Cluster | Processes

ROOM = 32
"""Bytes of memory that a byte of an image file may come to: decoded, computed, encoded."""
PAGES = ".html", ".htm"
"""How names of reports end that are pages."""
EARLIER = "done by an earlier run"


@record
class Batch:
    """Everything about a run that is not the operation itself. `jobs` 0 means as many as the machine allows.

    `command` are the words that a user typed, where a report has them.
    """

    inputs: Sequence[Input]
    output: str = ""
    settings: Settings = field(default_factory=Settings)
    verbose: bool = False
    json: bool = False
    preview: bool = False
    report: str = ""
    command: Sequence[str] = ()
    fail_fast: bool = False
    jobs: int = 0
    parents: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def many(self) -> bool:
        """True where a line for each failure and a summary say enough: for several inputs, or with a journal."""
        return len(self.inputs) > 1 or (bool(self.settings.resume or self.settings.journal) and not self.makes_folders)

    @property
    def makes_folders(self) -> bool:
        """Whether outputs are folders of many objects, each filled by all hands: those are made one after the other."""
        return names_folder(self.output) or bool(self.settings.format and FORMATS[self.settings.format].folder)

    @cached_property
    def names(self) -> list[str]:
        """What the inputs are called."""
        return [one.name for one in self.inputs]

    @property
    def makes_files(self) -> bool:
        """False where only plans are made."""
        return not (self.settings.explain or self.settings.dry_run)

    @property
    def shows_each(self) -> bool:
        """True where a table is printed for each input."""
        settings = self.settings
        asked = not self.makes_files and not self.json
        return asked or (not settings.quiet and (self.verbose or not self.many))

    @property
    def writes_page(self) -> bool:
        """Whether the report is a page, by its name."""
        return self.report.lower().endswith(PAGES)

    @cached_property
    def sources(self) -> frozenset[FileId]:
        """The files that are read, whatever they are called."""
        return frozenset(found for name in self.names if (found := file_id(name)))


@record
class Run:
    """A batch with all that is settled before any work: outputs, which of them are done or absent, by how many."""

    operation: Operation
    batch: Batch
    settings: Settings
    targets: Sequence[str]
    jobs: int = 1
    journal: Journal | None = None
    finished: Set[int] = frozenset()
    absent: Set[int] = frozenset()

    def answers(self, idle: Callable[[], object] = tuple) -> Generator[Answer]:
        """One for each input, in their order; `idle` is called now and then while many are at work."""
        if not self.batch.many:
            yield self.answer(0)
            return
        if self.batch.makes_folders and self.batch.makes_files:
            yield from map(self.answer, range(len(self.targets)))
            return
        if self.settings.scheduler and self.batch.makes_files:
            from convcli.runs.cluster import cluster_at

            yield from self.by_values(cluster_at(self.settings.scheduler))
            return
        if self.batch.makes_files and not forks():
            from convcli.runs.groups import clear_away
            from convcli.runs.spawned import Processes

            yield from self.by_values(nullcontext(Processes(self.jobs, self.lost, clear_away)))
            return
        from convcli.runs.crew import AHEAD, run_jobs

        count = len(self.targets)
        todo = (i for i in range(count) if i not in self.finished)
        with closing(run_jobs(self.work, todo, self.jobs, 1 if self.batch.fail_fast else AHEAD, idle)) as answers:
            for i in range(count):
                yield self.passed_over(i) if i in self.finished else self.received(*next(answers))

    def by_values(self, hands: AbstractContextManager[Hands]) -> Generator[Answer]:
        """The same by processes that know nothing of this one, as a cluster's workers, each at some files at a time."""
        from convcli.runs.groups import Common, File, group_size, run_groups

        pairs = list(zip(map(anywhere, self.batch.names), map(anywhere, self.targets), strict=True))
        refused = {i: found for i in range(len(pairs)) if i not in self.finished and (found := self.overwriting(i))}
        known = self.finished | refused.keys()
        files = [File(i, *pair, absent=i in self.absent) for i, pair in enumerate(pairs) if i not in known]
        with hands as cluster:
            alone = self.batch.fail_fast or not self.settings.scheduler
            size = 1 if alone else group_size(len(files), cluster.threads)
            common = Common(self.operation, self.settings, self.wanted)
            with closing(run_groups(cluster, common, files, size)) as answers:
                for i in range(len(pairs)):
                    if i in known:
                        yield refused.get(i) or self.passed_over(i)
                    else:
                        yield self.answered_from_afar(i, pairs[i], next(answers))
            if (lost := cluster.lost_by_now()) and self.batch.settings.warns:
                say(f"convcli: {lost:,} worker{'s' * (lost > 1)} lost; others did their tasks")

    def overwriting(self, index: int) -> Answer | None:
        """The refusal to replace one of the inputs, which only this process can tell from other files."""
        source, target = self.batch.names[index], self.targets[index]
        try:
            check_input(source, target, self.batch.sources, in_place=self.settings.in_place)
        except ConvError as error:
            return answered(failure(source, target, error))
        return None

    def answered_from_afar(self, index: int, pair: tuple[str, str], answer: Answer) -> Answer:
        """A worker's answer under the names as they were typed; the journal hears of it here."""
        source, target = self.batch.names[index], self.targets[index]
        if self.journal and answer.facts["status"] == "done":
            self.journal.done(source, target)
        typed, where = dict(zip(pair, (source, target), strict=True)), answer.facts["where"]
        facts = {**answer.facts, "input": source, "output": target, "where": typed.get(where, where)}
        return answer._replace(facts=facts)

    @property
    def wanted(self) -> str:
        """How much of each report is shown (`runs.answers.shown`)."""
        batch = self.batch
        if not (batch.shows_each or (batch.writes_page and not batch.many)):
            return ""
        full = batch.verbose or batch.settings.explain or batch.writes_page
        return "brief" if batch.settings.dry_run else "all" if full else "rows"

    def work(self, index: int) -> list[Any]:
        """A worker's task: treat an input, and say so where a later run will look."""
        answer = self.answer(index)
        if self.journal and answer.facts["status"] == "done":
            self.journal.done(self.batch.names[index], self.targets[index])
        return list(answer)

    def answer(self, index: int) -> Answer:
        """An input treated; where others follow or JSON tells it, an error becomes part of the answer."""
        batch, target = self.batch, self.targets[index]
        one = batch.inputs[index]
        try:
            if one.folder and batch.makes_files and not is_remote(target):
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            report = process(self.operation, self.settings, one.name, target)
        except BrokenPipeError:
            raise
        except (ConvError, OSError, MemoryError) as raised:
            error = as_told(raised, one.name)
            if batch.many or batch.json or batch.report:
                return answered(failure(one.name, target, error))
            raise error from raised
        return answered(report, shown(report, self.wanted))

    def close(self) -> None:
        """No more will be written into the journal."""
        if self.journal:
            self.journal.close()

    def passed_over(self, index: int) -> Answer:
        """What is said of an input whose output is there already."""
        name, target = self.batch.names[index], self.targets[index]
        facts = Report(name, target, "skipped").as_dict() | {"message": EARLIER}
        return Answer(facts, [(name, f"-> {target}  {EARLIER}")])

    def received(self, index: int, message: Any) -> Answer:
        """What a worker said, or that it ended instead."""
        from convcli.runs.crew import Died

        return self.crashed(index, str(message)) if isinstance(message, Died) else Answer(*message)

    def lost(self, files: Sequence[File], status: int) -> list[Answer]:
        """What is said of files whose process ended with a status."""
        from convcli.runs.crew import Died

        return [self.crashed(file.number, str(Died(status))) for file in files]

    def crashed(self, index: int, how: str) -> Answer:
        """What is said of an input whose worker ended."""
        way = "; --jobs 1 needs less memory, if that was the reason" if self.jobs > 1 else ""
        error = ConvError(f"the process at work on it was ended {how}{way}", "crashed", where=self.batch.names[index])
        return answered(failure(self.batch.names[index], self.targets[index], error))


def run_batch(operation: Operation, batch: Batch) -> int:
    """Treat every input and report; the exit code: 0, that of the failures, or 3 if only a part failed."""
    run = settled(operation, batch)
    summary = Summary(len(batch.inputs), run.jobs)
    with folders_made(batch, run.targets), reporting(batch) as record, closing(run):
        stop = tell_all(run, summary, record)
        if batch.many and batch.makes_files:
            sync_folders(name for name in run.targets if not (is_stream(name) or is_remote(name)))
        if batch.many:
            conclude(summary, batch, record)
        elif stop:
            error = ConvError(f"stopped by {stop.signal.name}", "interrupted")
            record(answered(failure(batch.names[0], run.targets[0], error)))
    if stop:
        raise stop
    return summary.exit_code


def reporting(batch: Batch) -> AbstractContextManager[Record]:
    """What takes in the report of each input, for a file if one is wanted."""
    if not batch.report:
        return nullcontext(bool)
    from convcli.runs.reports import report_file

    return report_file(batch)


def tell_all(run: Run, summary: Summary, record: Record) -> Interrupted | None:
    """Tell of each input as it is done; what stopped that, if anything did."""
    batch = run.batch
    line = ProgressLine(summary, quiet=bool(batch.settings.quiet) or not batch.many)
    try:
        with closing(run.answers(line.show)) as answers:
            line.show()
            for answer in answers:
                summary.add(answer.facts, answer.exit_code)
                line.clear()
                tell_answer(answer, batch)
                record(answer)
                if answer.error and batch.fail_fast:
                    break
                line.show()
    except Interrupted as stop:
        release_signals()  # what follows is the end that was asked for
        summary.stopped = stop.signal.name
        return stop
    finally:
        line.clear()
    return None


def settled(operation: Operation, batch: Batch) -> Run:
    """Everything about a batch that can be wrong whatever the files hold, found out; and its journal opened."""
    targets = _targets(batch)
    wish = None
    if batch.report or batch.preview:
        from convcli.runs.reports import checked_wish

        wish = checked_wish(batch, targets)
    check_shared(batch)
    settings = replace(batch.settings, sources=batch.sources, wish=wish)
    if not batch.many:
        return Run(operation, batch, settings, targets)
    jobs = 1 if batch.makes_folders else min(batch.jobs or affordable_jobs(batch), len(batch.inputs))
    limits = settings.limits
    shared = replace(limits, threads=limits.threads or max(1, core_count() // jobs), memory=limits.memory // jobs)
    # Workers say nothing; their answers do. Folders are synced once: for each file it would take as long as its own.
    settings = replace(settings, limits=shared, quiet=SILENT, synced=False)
    run = Run(operation, batch, settings, targets, jobs)
    if batch.makes_folders and batch.settings.journal:
        raise UsageError("is for one output, and these are several; leave it out", where="--journal")
    if not batch.makes_files or batch.makes_folders:
        return run
    return journaled(run)


def check_shared(batch: Batch) -> None:
    """Refuse to give a cluster what cannot be shared among workers."""
    scheduler = batch.settings.scheduler
    if not scheduler:
        return
    from convcli.runs.cluster import check_installed, parse_scheduler

    parse_scheduler(scheduler)
    if batch.jobs:
        raise UsageError("--jobs is for processes here, and --scheduler for a cluster's; give one of them")
    if not batch.makes_files:
        return
    check_installed()
    if not (batch.many or batch.makes_folders):
        way = "write to a .zarr, which workers fill together, or leave --scheduler out"
        raise UsageError(f"one image into one file is the work of one process; {way}", where="--scheduler")


def journaled(run: Run) -> Run:
    """The run with a journal, in which stands what it will do. One that nobody asked for may fail."""
    from convcli.runs.journal import fingerprint, journal_path, open_journal, states

    batch, asked = run.batch, run.batch.settings
    pairs = list(zip(batch.names, run.targets, strict=True))
    try:
        options = fingerprint((__version__, run.operation, *run.settings.decisive))
        path = local_path(asked.journal) if asked.journal else journal_path(options)
        journal = open_journal(path, options, resume=bool(asked.resume))
        there = states([*batch.names, *run.targets])
        finished = {i for i, pair in enumerate(pairs) if asked.resume and journal.is_finished(*pair, there)}
        journal.plan((pair for i, pair in enumerate(pairs) if i not in finished), there)
        absent = {i for i, target in enumerate(run.targets) if there[target] is None}
    except ConvError as error:
        if asked.resume or asked.journal:
            raise
        if asked.warns:
            say(f"convcli: this batch keeps no journal: {error}")
        return run
    return replace(run, journal=journal, finished=finished, absent=absent)


def affordable_jobs(batch: Batch) -> int:
    """As many as there are cores and, for the largest file, memory; one where the first failure ends all."""
    from convcli.runs.journal import states

    largest = max((state[0] for state in states(batch.names).values() if state), default=0)
    return 1 if batch.fail_fast else max(1, min(core_count(), memory() // (ROOM * max(largest, 1))))


def tell_answer(answer: Answer, batch: Batch) -> None:
    """Print what became of an input, as far as it is wanted."""
    if batch.json:
        print(as_json(answer.facts), flush=True)
    if answer.error:
        say(f"convcli: {answer.error}")
    elif batch.shows_each:
        show_rows(answer.rows)
    elif not batch.many and batch.settings.warns:
        show_rows([("warning", f"{answer.facts['input']}: {warning}") for warning in answer.facts["warnings"]])
    if answer.pictures and batch.preview and not batch.settings.quiet:
        from convcli.runs.reports import show_pictures

        show_pictures(answer)


def conclude(summary: Summary, batch: Batch, record: Record) -> None:
    """Say what became of all inputs: the last line of JSON, and a table."""
    facts = summary.as_dict()
    record(Answer(facts, list(summary.rows())))
    if batch.json:
        print(as_json(facts), flush=True)
    if batch.makes_files and batch.settings.warns:
        show_rows(list(summary.odd() if batch.settings.quiet else summary.rows()))


def _targets(batch: Batch) -> list[str]:
    """The output of each input, and everything about them that is wrong whatever the files hold."""
    if batch.settings.in_place:
        if batch.output:
            raise UsageError("--in-place and -o exclude each other; give one of them")
        if STREAM in batch.names:
            raise UsageError("standard input cannot be replaced in place; use -o FILE")
        refuse_collisions(batch.names, batch.names)
        return batch.names
    if not batch.output and not batch.settings.explain:
        last = batch.names[-1]
        meant = len(batch.names) > 1 and not os.path.lexists(last)
        way = f"If to {last!r}: -o {last}" if meant else "Give -o FILE, -o FOLDER/, -o - or --in-place"
        raise UsageError(f"where should the result go? {way}")
    if batch.output == STREAM and batch.json:
        raise UsageError("standard output carries the pixels; use --report FILE for JSON")
    if batch.output == STREAM:
        check_output()
    if is_terminal(batch.output):
        raise UsageError("pixels are not for a terminal; use -o FILE, or send them into a pipe")
    if not batch.output:
        return [""] * len(batch.inputs)
    outer = outer_folder(batch.output)
    check_outer(outer, parents=batch.parents)
    targets = output_names(batch.inputs, batch.output, batch.fields, _suffix(batch))
    for name, target in zip(batch.names, targets, strict=True):
        output_place(target)
        if not batch.settings.format and not is_stream(target):
            check_named(name, target)
            format_for(target)
    return targets


def _suffix(batch: Batch) -> str:
    """What names in a folder end in where a format is asked for; ImageJ's have no ending of their own."""
    return (format_for("", batch.settings.format).suffixes or (".tif",))[0] if batch.settings.format else ""
