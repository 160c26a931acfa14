"""Which files a run reads: those named, those that a list names, and those found below folders.

Names are kept as the system gives them, whatever bytes they hold. Nothing is opened but the list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.formats import FORMATS
from convcli.formats.failures import told
from convcli.streams import STREAM, read_input


class Input(NamedTuple):
    """One image to read: its name, and the sub-folder it is in below the folder that was searched, if any was."""

    name: str
    folder: str = ""


class Selection(NamedTuple):
    """What a user says of the inputs; see `inputs`."""

    words: Sequence[str] = ()
    files_from: str = ""
    null: bool = False
    recursive: bool = False
    patterns: Sequence[str] = ()

    def inputs(self, outputs: str = "") -> list[Input]:
        """Every input, in the order given, those of a folder sorted; nothing below the folder `outputs` is one."""
        self._check()
        names = [*self.words, *(listed(self.files_from, null=self.null) if self.files_from else ())]
        if "" in names:
            raise UsageError("an empty name is no file; is a variable unset?", where="")
        if names.count(STREAM) + (self.files_from == STREAM) > 1:
            raise UsageError("standard input can be read only once; name a file for the other", where=STREAM)
        found = [one for name in names for one in self._named(name, outputs)]
        if not found:
            raise UsageError(f"{self.files_from!r} lists no files", "not-found", where="--files-from")
        return found

    def _check(self) -> None:
        if not self.words and not self.files_from:
            raise UsageError("no input; name images, a folder with --recursive, or a list with --files-from")
        if self.null and not self.files_from:
            raise UsageError("tells how a list ends its names; add --files-from", where="--null")
        if self.patterns and not self.recursive:
            raise UsageError("chooses files in folders; add --recursive", where="--pattern")

    def _named(self, name: str, outputs: str) -> list[Input]:
        if not self.recursive or name == STREAM or not Path(name).is_dir():
            return [Input(name)]
        patterns = self.patterns or [f"*{suffix}" for entry in FORMATS.values() for suffix in entry.suffixes]
        if found := list(searched(name, patterns, outputs)):
            return found
        wanted = f"fits {' or '.join(map(repr, self.patterns))}" if self.patterns else "is named like an image"
        raise UsageError(f"no file below {wanted}", "not-found", where=name)


def listed(name: str, *, null: bool) -> list[str]:
    """The names in a list, one a line, or each ended by a NUL byte; empty ones are none."""
    try:
        content = read_input() if name == STREAM else Path(name).read_bytes()
    except OSError as error:
        raise told(error, name) from error
    except ValueError as error:  # a NUL in the name of the list
        raise ConvError("no such file or folder", "not-found", where=name) from error
    if not null and b"\0" in content:
        raise UsageError("the list holds NUL bytes; read it with -0", where="--files-from")
    return [os.fsdecode(piece) for piece in content.split(b"\0" if null else b"\n") if piece]


def searched(top: str, patterns: Sequence[str], outputs: str) -> Iterator[Input]:
    """The files below a folder whose names match, sorted; links to folders are not followed.

    As in a shell, what begins with a dot is found only by a pattern that does.
    """
    avoided = os.path.realpath(outputs) if outputs else None
    for place, folders, files in os.walk(top, onerror=_raise):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != avoided  # noqa: PTH118 -- keeps bytes
        )
        relative = os.path.relpath(place, top)
        for name in sorted(files):
            if any(matches(name, pattern) for pattern in patterns):
                yield Input(os.path.join(place, name), "" if relative == "." else relative)  # noqa: PTH118


def matches(name: str, pattern: str) -> bool:
    """Whether a file's name is one that the pattern means; upper and lower case are alike.

    >>> matches("A.TIF", "*.tif"), matches(".a.tif", "*.tif"), matches(".a.tif", ".*")
    (True, False, True)
    """
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(name.lower(), pattern.lower())


def _raise(error: OSError) -> None:
    raise told(error, os.fsdecode(error.filename))
