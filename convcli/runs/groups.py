"""The files of a batch on a cluster: a few of them are one task, and their reports come back as from processes here."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convcli.errors import ConvError
from convcli.formats.atomic import remove_drafts
from convcli.operations.operation import Operation
from convcli.records import record, replace
from convcli.report import failure
from convcli.runs.answers import Answer, answered, as_told, shown
from convcli.runs.journal import state
from convcli.runs.one import Settings, process
from convcli.stores.names import is_remote, is_url, local_name

if TYPE_CHECKING:
    from convcli.runs.cluster import Cluster
    from convcli.runs.spawned import Processes

MOST = 32
"""Files of a task."""
PIECES = 8
"""Tasks for each thread, at least, where there are so many files: the last ones end at about the same time."""
WAITING = 512
"""Answers that wait for that of an earlier file, at most: an answer is some kilobytes."""


class File(NamedTuple):
    """A file to be treated: its number in the batch, and where it and its result are for a process anywhere.

    `absent` says that there was no result as the batch began, `force` has one that is there replaced.
    """

    number: int
    source: str
    target: str
    absent: bool = False
    force: bool = False


@record
class Common:
    """What is asked of all files, and how much of each report is wanted: `runs.answers.shown`."""

    operation: Operation
    settings: Settings
    wanted: str


def treat(common: Common, files: Sequence[File]) -> list[Answer]:
    """A worker's part: an answer for each file; an error is one, too."""
    return [treated(common, file) for file in files]


def treated(common: Common, file: File) -> Answer:
    """A file treated, by one thread: a worker has other files for the others."""
    try:
        if not is_url(file.target):
            Path(file.target).parent.mkdir(parents=True, exist_ok=True)
        settings = replace(common.settings, force=True) if file.force else common.settings
        report = process(common.operation, settings, file.source, file.target)
    except (ConvError, OSError, MemoryError) as raised:
        return answered(failure(file.source, file.target, as_told(raised, file.source)))
    return answered(report, shown(report, common.wanted))


def clear_away(files: Sequence[File], process_id: int) -> None:
    """Remove the drafts that a process of this number left beside the results of files as it was killed."""
    for file in files:
        if not is_remote(file.target):
            remove_drafts(Path(os.path.realpath(local_name(file.target))).parent, process_id)


def group_size(files: int, threads: int) -> int:
    """How many files are a task, so that each thread has several tasks.

    >>> group_size(100_000, 16), group_size(20, 16)
    (32, 1)
    """
    return min(MOST, max(1, files // (PIECES * max(threads, 1))))


@record(frozen=False)
class Groups:
    """Files that are still to be handed out, in groups of a size, those that come a second time first.

    `absent` are the numbers of those whose output was not there when they were handed out.
    """

    files: Iterator[File]
    size: int
    again: list[File] = field(default_factory=list)
    absent: set[int] = field(default_factory=set)

    def __iter__(self) -> Iterator[list[File]]:
        return self

    def __next__(self) -> list[File]:
        group = [self.again.pop()] if self.again else list(islice(self.files, self.size))
        if not group:
            raise StopIteration
        self.absent.update(file.number for file in group if is_absent(file))
        return group

    def is_own(self, file: File, answer: Answer, cluster: Cluster | Processes) -> bool:
        """Whether what a worker found in an output's place was made by a worker that was lost before it said so."""
        error = answer.error
        taken = error is not None and error.code == "exists" and file.number in self.absent
        return taken and not file.force and cluster.lost_by_now() > 0


def is_absent(file: File) -> bool:
    """Whether a file has no result yet; of an object that is known from the beginning: each look would be a request."""
    return file.absent if is_remote(file.target) else state(file.target) is None


def run_groups(cluster: Cluster | Processes, common: Common, files: Sequence[File], size: int) -> Generator[Answer]:
    """An answer for each file, in their order, by the workers of a cluster."""
    limits = replace(common.settings.limits, threads=1)
    settings = replace(common.settings, limits=limits, sources=frozenset(), scheduler="", resume="", journal="")
    early: dict[int, Answer] = {}
    order, groups = iter(files), Groups(iter(files), size)
    coming = next(order, None)
    asked = replace(common, settings=settings)
    for group, answers, _ in cluster.answers(treat, asked, groups, lambda: len(early) > WAITING):
        for file, answer in zip(group, answers, strict=True):
            if groups.is_own(file, answer, cluster):
                groups.again.append(file._replace(force=True))
            else:
                early[file.number] = answer
            groups.absent.discard(file.number)
        while coming and coming.number in early:
            yield early.pop(coming.number)
            coming = next(order, None)
