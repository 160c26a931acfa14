"""What became of an input, as a process that treated it tells it to the one that prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.errors import ConvError
from convcli.formats.failures import told
from convcli.report import Report

if TYPE_CHECKING:
    from convcli.pictures.look import Pictures


class Answer(NamedTuple):
    """What a worker says of an input: its report as JSON and as a table, what the command would end with, and what is
    to be seen of it.
    """

    facts: dict[str, Any]
    rows: list[tuple[str, str]]
    exit_code: int = 0
    pictures: Pictures | None = None

    @property
    def error(self) -> ConvError | None:
        """What went wrong."""
        facts = self.facts
        failed = facts["status"] == "failed"
        return ConvError(facts["message"], facts["code"], where=facts["where"]) if failed else None


def as_json(facts: Mapping[str, Any]) -> str:
    """A line of JSON."""
    import json  # few runs ask for it

    return json.dumps(facts)


def shown(report: Report, wanted: str) -> Iterable[tuple[str, str]]:
    """The lines of a report that are wanted: none, ten or so ("rows"), "all", or the "brief" ones of one of many."""
    return report.brief() if wanted == "brief" else report.rows(full=wanted == "all") if wanted else ()


def answered(report: Report, rows: Iterable[tuple[str, str]] = ()) -> Answer:
    """A report as an answer, with what is to be shown of it."""
    return Answer(report.as_dict(), list(rows), report.error.exit_code if report.error else 0, report.pictures)


def as_told(raised: ConvError | OSError | MemoryError, source: str) -> ConvError:
    """What stopped an input, as an error that names the file."""
    if isinstance(raised, ConvError):
        return raised.at(source)
    if isinstance(raised, OSError):
        return told(raised, raised.filename if isinstance(raised.filename, str) else source)
    return ConvError("not enough memory for this job; --memory bounds the working set", "memory", where=source)
