"""What was written of an output that is made in boxes, on the disk of whoever asked for it, so that it can be gone on.

A journal has a first line that says what is made of what, and a line for every box that was written: where, and the
checksum of its pixels. That an object exists in a store proves nothing: it may be of another run, or cut; and where
none is there may be one of zeros, which stores leave out. So what counts is what is read back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError
from convcli.folders import STATE, user_folder
from convcli.formats.failures import told
from convcli.image import Spans
from convcli.records import record
from convcli.system import opening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convcli.engine.boxes import Done

KIND = "shards"
COUNTED = ("samples", "below", "above", "nan", "mistaken")
Place = tuple[int, Spans]
"""The number of a pass, and a box of its result."""


@record
class Written:
    """What a journal says of a box."""

    checksum: str
    counts: Mapping[str, int]


@record(frozen=False)
class ShardJournal:
    """A journal open for appending, and what it said when it was opened; one without a descriptor is kept nowhere.

    `range` holds the ends that results are to be spread over, once they are known; `since` is the time at which the
    first of all runs began, in nanoseconds by the clock of the source.
    """

    path: Path
    descriptor: int | None
    written: dict[Place, Written] = field(default_factory=dict)
    range: tuple[float, float] | None = None
    since: int = 0

    def add(self, number: int, done: Done) -> None:
        """Say that a box is written: with the system when this returns, whatever becomes of this process."""
        counts = {name: count for name in COUNTED if (count := getattr(done.counts, name))}
        self.append({"pass": number, "box": done.box, "checksum": done.checksum, **counts})

    def spread(self, low: float, high: float) -> None:
        """Say which range results are spread over."""
        self.range = low, high
        self.append({"range": [low, high]})

    def begin(self, since: int) -> None:
        """Say when this run began, where it is the first; what is read must not be newer."""
        if not self.since:
            self.since = since
            self.append({"since": since})

    def append(self, said: Mapping[str, Any]) -> None:
        """Write a line; ConvError where the disk does not take it, since what is not noted is lost on --resume."""
        if self.descriptor is None:
            return
        data = memoryview(json.dumps(said).encode() + b"\n")
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError as error:
            raise told(error, str(self.path)) from error


@contextmanager
def shard_journal(path: Path, about: Mapping[str, Any], *, resume: bool) -> Iterator[ShardJournal]:
    """The journal at a path, begun anew unless it is to be gone on with; `about` says what it is of.

    Raises ConvError where the file is something else, or the journal of another command.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | opening(), 0o600)
    except OSError as error:
        raise told(error, str(path)) from error
    try:
        journal = ShardJournal(path, descriptor)
        with os.fdopen(os.dup(descriptor), "rb") as lines:
            if check_first(lines.readline(), about, str(path), resume=resume) and resume:
                read_lines(lines, journal)
                os.write(descriptor, b"\n")  # what a crash cut short stays alone
            else:
                os.truncate(descriptor, 0)
                journal.append({"journal": KIND, **about})
        yield journal
    finally:
        os.close(descriptor)


def check_first(line: bytes, about: Mapping[str, Any], name: str, *, resume: bool) -> bool:
    """Whether there is anything to go on with; refused where a file is no such journal, or one of something else."""
    if not line:
        return False
    try:
        said = json.loads(line)
        kind = said["journal"]
    except (ValueError, KeyError, TypeError):
        kind = None
    if kind != KIND:
        raise ConvError("exists already and is not a journal of shards; name another file", "exists", where=name)
    other = next((key for key in about if said.get(key) != about[key]), None)
    if resume and other:
        raise ConvError(f"is the journal of another command: its {other} is not the same", "exists", where=name)
    return True


def read_lines(lines: Iterable[bytes], journal: ShardJournal) -> None:
    """Take in what a journal says; the last line counts where there are two for a box, and cut ones are passed over."""
    for line in lines:
        try:
            said = json.loads(line)
            if "range" in said:
                low, high = said["range"]
                journal.range = float(low), float(high)
                continue
            if "since" in said:
                journal.since = int(said["since"])
                continue
            box = tuple((int(start), int(stop)) for start, stop in said["box"])
            counts = {name: int(said[name]) for name in COUNTED if name in said}
            journal.written[int(said["pass"]), box] = Written(str(said["checksum"]), counts)
        except (ValueError, KeyError, TypeError):
            continue


def shards_path(fingerprint: str) -> Path:
    """Where the journal of a command with such a fingerprint lies."""
    folder = user_folder(*STATE)
    if folder is None:
        raise ConvError("no home folder is known; name a file with --journal", "not-found")
    return Path(folder, "convcli", f"shards-{fingerprint}.jsonl")
