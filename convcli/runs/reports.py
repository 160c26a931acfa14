"""What a run leaves behind of itself beside its outputs: a file of JSON, or a page; and what is shown in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from convcli.errors import UsageError
from convcli.formats import atomic_output
from convcli.formats.atomic import output_place
from convcli.runs.answers import Answer, as_json
from convcli.runs.names import check_target, file_id, place_named
from convcli.streams import STREAM, tell, visible

if TYPE_CHECKING:
    from convcli.runs.looks import Wish
    from convcli.runs.many import Batch

Record = Callable[[Answer], object]
"""Hears what became of each input, and in the end of all."""
PAGE = 480, 640
"""Rows and columns of a picture on a page."""
THUMBNAIL = 72, 96
"""The same where it is one of many."""


def checked_wish(batch: Batch, targets: Sequence[str]) -> Wish | None:
    """What is to be seen of each input; None where nothing is, or nobody would see it.

    Refuses, before any work, a report that cannot be written.
    """
    if batch.report:
        check_report(batch, targets)
    if not batch.makes_files:
        return None
    if batch.writes_page:
        from convcli.runs.looks import Wish

        return Wish(*THUMBNAIL, lossy=True) if batch.many else Wish(*PAGE, page=True)
    return wish_for_screen() if batch.preview and not batch.settings.quiet else None


def wish_for_screen() -> Wish | None:
    """What a terminal has room for, twice as fine; None where there is none."""
    from convcli.pictures.terminal import screen
    from convcli.runs.looks import Wish

    on = screen()
    if on is None:
        return None
    (columns, lines), (wide, high) = on.room, on.grain
    return Wish(2 * lines * high, 2 * columns * wide)


def show_pictures(answer: Answer) -> None:
    """Print an input and its result, where there is a terminal to show them."""
    from convcli.pictures.terminal import preview, screen

    on, pictures = screen(), answer.pictures
    if on is None or pictures is None:
        return
    looks = [each for each in (pictures.get("before"), pictures.get("after")) if each]
    tell("".join(f"{line}\n" for line in (*preview(looks, on), *map(visible, pictures["said"]))))


@contextmanager
def report_file(batch: Batch) -> Iterator[Record]:
    """What takes in the reports of all inputs, for a file if one is wanted; that appears whole at the end."""
    with atomic_output(output_place(batch.report), force=True) as stream:
        if not batch.writes_page:
            yield lambda answer: stream.write(as_json(answer.facts).encode() + b"\n")
            return
        from convcli.runs.pages import Paper

        paper = Paper(batch.command, planned=not batch.makes_files)
        yield paper.take
        stream.write(paper.page(many=batch.many).encode())


def check_report(batch: Batch, targets: Sequence[str]) -> None:
    """Refuse, before any work, a --report that cannot be written or would replace what the run reads or writes."""
    if batch.report == STREAM:
        raise UsageError("needs a file; --json prints on standard output", where="--report")
    if file_id(batch.report) in batch.sources or place_named(batch.report) in map(place_named, targets):
        raise UsageError("is an input or output of this run; write the report elsewhere", where=batch.report)
    check_target(STREAM, batch.report, frozenset(), force=True)
