"""The files of a batch on a cluster: a few of them are one task, and their reports come back as from processes here."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.operations.operation import Operation
from convcli.records import record, replace
from convcli.report import failure
from convcli.runs.answers import Answer, answered, as_told, shown
from convcli.runs.one import Settings, process
from convcli.stores.address import is_url
from convcli.streams import STREAM

if TYPE_CHECKING:
    from convcli.runs.cluster import Cluster

MOST = 32
"""Files of a task."""
PIECES = 8
"""Tasks for each thread, at least, where there are so many files: the last ones end at about the same time."""
WAITING = 512
"""Answers that wait for that of an earlier file, at most: an answer is some kilobytes."""


class File(NamedTuple):
    """A file to be treated: its number in the batch, and where it and its result are for a process anywhere."""

    number: int
    source: str
    target: str


@record
class Common:
    """What is asked of all files, and how much of each report is wanted: "" for facts alone, "rows" or "brief"."""

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
        report = process(common.operation, common.settings, file.source, file.target)
    except (ConvError, OSError, MemoryError) as raised:
        return answered(failure(file.source, file.target, as_told(raised, file.source)))
    return answered(report, shown(report, common.wanted))


def anywhere(name: str) -> str:
    """A name that means the same to every process on a file system that all share."""
    if name == STREAM:
        raise UsageError("workers cannot read or write the standard streams of this process; name files", where=name)
    return name if is_url(name) else os.path.abspath(name)  # noqa: PTH100 -- links stay


def grouped(files: Iterable[File], size: int) -> Iterator[list[File]]:
    """Files in groups of a size, the last one smaller."""
    rest = iter(files)
    while group := list(islice(rest, size)):
        yield group


def group_size(files: int, threads: int) -> int:
    """How many files are a task, so that each thread has several tasks.

    >>> group_size(100_000, 16), group_size(20, 16)
    (32, 1)
    """
    return min(MOST, max(1, files // (PIECES * max(threads, 1))))


def run_groups(cluster: Cluster, common: Common, files: Sequence[File], size: int) -> Generator[Answer]:
    """An answer for each file, in their order, by the workers of a cluster."""
    settings = replace(common.settings, limits=replace(common.settings.limits, threads=1), sources=frozenset())
    early: dict[int, Answer] = {}
    order = iter(files)
    coming = next(order, None)
    asked = replace(common, settings=settings)
    for group, answers, _ in cluster.answers(treat, asked, grouped(files, size), lambda: len(early) > WAITING):
        early.update((file.number, answer) for file, answer in zip(group, answers, strict=True))
        while coming and coming.number in early:
            yield early.pop(coming.number)
            coming = next(order, None)
