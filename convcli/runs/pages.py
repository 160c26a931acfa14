"""From the reports of a run to a page: of its one input, or of many, then never larger than a browser bears."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from convcli import __version__
from convcli.pictures.batch import File, batch_page
from convcli.pictures.page import page_text
from convcli.pictures.result import Origin, result_page
from convcli.records import record
from convcli.runs.answers import Answer

MOST_FILES = 2000
"""Rows of a page."""
LONGEST = 100_000
"""Characters of a command."""
MOST_BYTES = 4_000_000
"""Characters of all the pictures on a page of many files."""


@record(frozen=False, eq=False)
class Paper:
    """What a page will show: of each input what became of it, failures before all others, and of all in the end.

    Inputs may be `planned` only.
    """

    command: Sequence[str]
    planned: bool = False
    answers: list[Answer] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    failed: list[File] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0
    room: int = MOST_BYTES

    def take(self, answer: Answer) -> None:
        """Hear of an input, or of all."""
        if answer.facts.get("summary"):
            self.rows = answer.rows
            return
        self.count += 1
        self.answers = [answer]
        files = self.failed if answer.facts["status"] == "failed" else self.files
        if len(files) < MOST_FILES:
            files.append(File(self.count, answer.facts, *self.thumbnails(answer)))

    def thumbnails(self, answer: Answer) -> tuple[str, str]:
        """The pictures of an input, as long as there is room for them."""
        shown: Mapping[str, Any] = answer.pictures or {}
        before, after = (shown[side]["views"][0]["picture"] if side in shown else "" for side in ("before", "after"))
        if len(before) + len(after) > self.room:
            self.room = 0
            return "", ""
        self.room -= len(before) + len(after)
        return before, after

    def page(self, *, many: bool) -> str:
        """The page as HTML."""
        origin = Origin(self.typed, folder(), now(), __version__)
        if not many:
            (answer,) = self.answers
            return page_text(result_page(answer.facts, answer.rows, answer.pictures, origin))
        kept = sorted([*self.failed, *self.files[: max(0, MOST_FILES - len(self.failed))]])
        return page_text(batch_page(kept, self.rows, [*self.left_out(kept)], origin))

    @property
    def typed(self) -> str:
        """The command as a shell takes it; of one that is too long for a page, the beginning."""
        text = " ".join(map(quoted, ("convcli", *self.command)))
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n... and {len(text) - LONGEST:,} characters more"

    def left_out(self, kept: Sequence[File]) -> Iterator[str]:
        """What is not on the page."""
        if self.planned:
            yield "Planned only: no pixel was read, so none is shown."
        if self.count > len(kept):
            here = f"{len(kept):,} of {self.count:,} files are here, those that failed first"
            yield f"{here}; --report FILE.json has a line for each."
        if not self.room:
            yield "Later files are without pictures, or the page would be too large for a browser."


def quoted(word: str) -> str:
    """A word as a shell takes it, also one that cannot be shown.

    >>> quoted("it's.png"), quoted("a\\nb"), quoted("plain.png")
    ('\\'it\\'"\\'"\\'s.png\\'', "$'a\\\\x0ab'", 'plain.png')
    """
    if word.isprintable():
        return shlex.quote(word)
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return f"$'{''.join(plain)}'"


def folder() -> str:
    """The folder that names are in."""
    try:
        return os.getcwd()  # noqa: PTH109 -- a text
    except OSError:
        return "a folder that is gone"


def now() -> str:
    """The time, with its zone."""
    return datetime.now().astimezone().isoformat(" ", "seconds")
