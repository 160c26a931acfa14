"""What a batch has done, on the disk, so that a later run with the same options can go on after whatever stopped it.

A journal has one line of JSON for every file that a run is going to treat, written before any work, and one for every
file that is done. Lines are only ever appended, so that several runs with the same options, as xargs starts them, can
share one. It lies in the user's state folder, under a name made from all options that the results depend on; each line
says which these are, since a journal that a user names may be one for several commands.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from convcli.errors import ConvError
from convcli.folders import STATE, user_folder
from convcli.formats.failures import told
from convcli.records import record
from convcli.runs.names import url_of
from convcli.stores.names import is_remote
from convcli.streams import STREAM
from convcli.system import opening, read_at

FIRST = b'{"journal": 1}\n'
"""The first line."""
LARGEST = 1 << 26
"""Bytes from which a journal is begun anew: some hundred thousand files."""
PLAIN = (str, bytes, int, float, Fraction, type(None))
"""What is told apart by how it prints."""
State = tuple[int, int | str] | None
"""The size of a file and its time of change in nanoseconds, of an object the store's tag; None where there is none."""
States = Mapping[str, State]
"""By names."""
LOOKS = 64
"""Objects that are asked for side by side."""


@record
class Entry:
    """What a journal says of a file: its state and that of its output before the work, and the output's once done."""

    output: str
    source: State
    before: State
    after: State = None

    def is_finished(self, source: str, output: str, there: States) -> bool:
        """Whether the output is the result of the input, as both lie `there`.

        A run that was killed may have published an output and not told it. Outputs appear whole or not at all, so one
        that is not what was there before is such a result.
        """
        found = there[output]
        if place(output) != self.output or found is None:
            return False
        made = found == self.after if self.after else found != self.before
        return made and (place(source) == place(output) or there[source] == self.source)


@record(frozen=False)
class Journal:
    """A journal open for appending, and what it said of runs with the same `options` when it was opened."""

    path: Path
    descriptor: int
    options: str
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def is_finished(self, source: str, output: str, there: States) -> bool:
        """Whether an earlier run made this output."""
        entry = self.entries.get(place(source))
        return entry is not None and entry.is_finished(source, output, there)

    def plan(self, pairs: Iterable[tuple[str, str]], there: States) -> None:
        """Say which outputs will be made of which inputs. This is on the disk when it returns."""
        lines = []
        for source, output in pairs:
            states = {"source": there[source], "output": place(output), "before": there[output]}
            lines.append(self._line(source, states))
        try:
            self._append("".join(lines))
            os.fsync(self.descriptor)
        except OSError as error:
            raise told(error, str(self.path)) from error

    def done(self, source: str, output: str) -> None:
        """Say that an output is there. What is done stays done where this cannot be written."""
        with suppress(OSError):
            self._append(self._line(source, {"after": state(output)}))

    def close(self) -> None:
        """No more is written."""
        os.close(self.descriptor)

    def _line(self, source: str, said: Mapping[str, Any]) -> str:
        return json.dumps({"input": place(source), "options": self.options, **said}) + "\n"

    def _append(self, lines: str) -> None:
        data = memoryview(lines.encode())
        while data:
            data = data[os.write(self.descriptor, data) :]


def open_journal(path: Path, options: str, *, resume: bool) -> Journal:
    """The journal at a path of runs with such options, made if there is none; it is read only to go on after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | opening(), 0o600)
        check_journal(descriptor, str(path))
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            entries = parsed(stream, options) if resume else {}
        if not resume and os.fstat(descriptor).st_size > LARGEST:
            os.truncate(descriptor, 0)
        os.write(descriptor, b"\n" if os.fstat(descriptor).st_size else FIRST)  # what a crash cut short stays alone
    except OSError as error:
        raise told(error, str(path)) from error
    return Journal(path, descriptor, options, entries)


def check_journal(descriptor: int, name: str) -> None:
    """Refuse to append to what is something else."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ConvError("is not a regular file, as a journal is", "not-regular", where=name)
    if status.st_size and read_at(descriptor, len(FIRST), 0) != FIRST:
        raise ConvError("exists already and is not a journal; name another file", "exists", where=name)


def parsed(lines: Iterable[bytes], options: str) -> dict[str, Entry]:
    """The last that a journal says of each input with such options; lines that are no such thing are passed over.

    An output that is planned again, as by a run that then refuses to replace it, is still what was made of its input.
    """
    entries: dict[str, Entry] = {}
    for line in lines:
        try:
            said = json.loads(line)
            name, own = said["input"], said["options"] == options
            if own and "after" in said:
                old = entries[name]
                entries[name] = Entry(old.output, old.source, old.before, known(said["after"]))
            elif own:
                new = Entry(said["output"], known(said["source"]), known(said["before"]))
                old = entries.get(name, new)
                again = (old.output, old.source, old.after) == (new.output, new.source, new.before)
                entries[name] = old if again else new
        except (ValueError, KeyError, TypeError):
            continue
    return entries


def known(value: Sequence[Any] | None) -> State:
    """A state as JSON holds it."""
    if value is None:
        return None
    size, mark = value
    return int(size), mark if isinstance(mark, str) else int(mark)


def states(names: Iterable[str]) -> States:
    """The states of files and objects; those of objects are looked up side by side, and apart from this process."""
    every = dict.fromkeys(names)
    found = {name: state(name) for name in every if not is_remote(name)}
    if objects := [name for name in every if is_remote(name)]:
        from convcli.stores.apart import apart

        found.update(zip(objects, map(known, apart(lambda: looked_up(objects))), strict=True))
    return found


def looked_up(objects: Sequence[str]) -> list[State]:
    """The states of objects, one for each, in their order."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(LOOKS) as pool:
        return list(pool.map(state, objects))


def state(name: str) -> State:
    """Size and time of a file, size and tag of an object; of a pipe or device there is nothing to know."""
    if is_remote(name):
        from convcli.stores.store import object_at

        store, key = object_at(name)
        found = store.seen(key)
        return found and (found.size, found.tag)
    try:
        status = os.stat(name)  # noqa: PTH116 -- a Path would cost more than the look
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def place(name: str) -> str:
    """A name that means the same wherever a run is started."""
    if name == STREAM:
        return name
    return url_of(name) if is_remote(name) else os.path.abspath(name)  # noqa: PTH100 -- links stay


def journal_path(options: str) -> Path:
    """Where the journal of runs with such options lies."""
    folder = user_folder(*STATE)
    if folder is None:
        raise ConvError("no home folder is known; name a file with --journal", "not-found")
    return Path(folder, "convcli", f"{options}.jsonl")


def fingerprint(value: Any) -> str:
    """A word that is the same for equal options in every process, and another for others.

    >>> fingerprint((1, "a")) == fingerprint((1, "a")), fingerprint((1, "a")) == fingerprint((1, "b"))
    (True, False)
    """
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def canonical(value: Any) -> str:
    """A value as text, of a record its fields; TypeError for what is no value, as functions are."""
    if isinstance(value, Mapping):
        return f"{{{','.join(sorted(f'{canonical(k)}:{canonical(v)}' for k, v in value.items()))}}}"
    if isinstance(value, (tuple, list)):
        return f"({','.join(map(canonical, value))})"
    if isinstance(value, (set, frozenset)):
        return f"{{{','.join(sorted(map(canonical, value)))}}}"
    if is_dataclass(value) and not isinstance(value, type):
        parts = (f"{each.name}={canonical(getattr(value, each.name))}" for each in fields(value))
        return f"{type(value).__qualname__}({','.join(parts)})"
    if not isinstance(value, PLAIN):
        raise TypeError(f"{type(value).__qualname__} is no value with a fingerprint")
    return repr(value)
