"""What a run leaves behind of itself beside its outputs: a file of JSON, or a page; and what is shown in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convcli.errors import UsageError
from convcli.formats import atomic_output
from convcli.formats.atomic import output_place
from convcli.runs.answers import Answer
from convcli.runs.names import check_target, file_id, place_named
from convcli.streams import STREAM, tell

if TYPE_CHECKING:
    from convcli.runs.looks import Wish
    from convcli.runs.many import Batch

Record = Callable[[Answer], object]
"""Hears what became of each input, and in the end of all."""
PAGES = ".html", ".htm"
"""How names of reports end that are pages."""
PAGE = 480, 640
"""Rows and columns of a picture on a page."""
THUMBNAIL = 72, 96
"""The same where it is one of many."""


def is_page(path: str) -> bool:
    """Whether a report is a page.

    >>> is_page("out/Report.HTML"), is_page("report.json")
    (True, False)
    """
    return path.lower().endswith(PAGES)


def wish_of(batch: Batch) -> Wish | None:
    """What is to be seen of each input; None where nothing is, or nobody would see it."""
    if not batch.makes_files or not (batch.preview or is_page(batch.report)):
        return None
    from convcli.pictures.terminal import screen
    from convcli.runs.looks import Wish

    if is_page(batch.report):
        return Wish(*THUMBNAIL, lossy=True) if batch.many else Wish(*PAGE, page=True)
    on = screen() if batch.shows_pictures else None
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
    tell("".join(f"{line}\n" for line in (*preview(looks, on), *pictures["said"])))


def as_json(facts: Mapping[str, Any]) -> str:
    """A line of JSON."""
    import json  # few runs ask for it

    return json.dumps(facts)


@contextmanager
def report_file(batch: Batch) -> Iterator[Record]:
    """What takes in the reports of all inputs, for a file if one is wanted; that appears whole at the end."""
    if not batch.report:
        yield lambda _: None
        return
    with atomic_output(output_place(batch.report), force=True) as stream:
        if not is_page(batch.report):
            yield lambda answer: stream.write(as_json(answer.facts).encode() + b"\n")
            return
        from convcli.runs.pages import Paper

        paper = Paper(batch.command)
        yield paper.take
        stream.write(paper.page(many=batch.many).encode())


def check_report(batch: Batch, targets: Sequence[str]) -> None:
    """Refuse, before any work, a --report that cannot be written or would replace what the run reads or writes."""
    if not batch.report:
        return
    if batch.report == STREAM:
        raise UsageError("needs a file; --json prints on standard output", where="--report")
    if file_id(batch.report) in batch.sources or place_named(batch.report) in map(place_named, targets):
        raise UsageError("is an input or output of this run; write the report elsewhere", where=batch.report)
    check_target(STREAM, batch.report, frozenset(), force=True)
