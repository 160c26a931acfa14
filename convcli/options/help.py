"""What `convcli COMMAND --help` prints: the command in a sentence, examples to paste, then the options used most.

`--help-all` tells all options, by section; which ones are used most is declared with them (`daily`).
Everything comes from the command's docstring and from what it declares; nothing is imported but the command.
"""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from convcli.options.declare import HELP, HELP_ALL, Declared, declared
from convcli.records import record

WIDEST, NARROWEST = 80, 40  # columns
INDENT = "  "
OWN, MOST = "Options", "Options used most"
"""The section of a command's own options, and that of the daily ones where there are others."""
WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"'])+""")
"""A word of the shell, quotes and all."""
EXAMPLE, EXAMPLES = "Example: ", "Examples:"
Sections = dict[str, list[tuple[str, str]]]


@record
class Told:
    """What the docstring of a command says: its first sentence, its paragraphs, and its examples."""

    sentence: str
    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]


def told(command: Callable[..., Any]) -> Told:
    """The parts of a command's docstring; the last paragraph is its example, or a list of examples."""
    sentence, *paragraphs, last = (inspect.getdoc(command) or "").split("\n\n")
    lines = [line.strip() for line in last.removeprefix(EXAMPLE).splitlines()]
    return Told(sentence, tuple(paragraphs), tuple(line for line in lines if line != EXAMPLES))


def help_text(name: str, command: Callable[..., Any], *, whole: bool = False) -> str:
    """The help of a command, as wide as the terminal, within 80 columns: its daily options, or the `whole`."""
    about, width = told(command), max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    taken = declared(command)
    parts = [usage(name, taken), wrapped(about.sentence, width)]
    lines = (line for example in about.examples for line in continued(example, width - len(INDENT)))
    parts.append(section("Example" if len(about.examples) == 1 else "Examples", lines))
    parts += [wrapped(paragraph, width) for paragraph in about.paragraphs]
    listed = shown_sections(taken, whole=whole)
    parts += [section(heading, two_columns(rows, width - len(INDENT))) for heading, rows in listed.items()]
    return "\n\n".join(parts)


def usage(name: str, taken: Sequence[Declared]) -> str:
    """The first line: the command with what it must be given."""
    options = [f"{each.names[0]} {each.metavar}" for each in taken if each.names and each.is_required]
    words = [each.metavar for each in taken if not each.names]
    return " ".join(["Usage: convcli", name, *words, *options, "[OPTIONS]"])


def shown_sections(taken: Sequence[Declared], *, whole: bool) -> Sections:
    """All options by section, or those used daily under one heading."""
    if whole:
        return sections(taken)
    daily = [each._replace(section="") for each in taken if each.is_daily]
    return sections(daily, OWN if len(daily) == len(taken) else MOST)


def sections(taken: Iterable[Declared], own: str = OWN) -> Sections:
    """Headings with what is typed and what it does: words first, then the command's own options, then shared ones."""
    found: Sections = {}
    for each in taken:
        found.setdefault(each.section or (own if each.names else "Arguments"), []).append(row(each))
    found.setdefault(own, []).extend((row(HELP), row(HELP_ALL)))
    return found


def row(each: Declared) -> tuple[str, str]:
    """A line of the help: what is typed, and what it does."""
    return typed(each), explained(each)


def typed(each: Declared) -> str:
    """An option as one types it: `-k, --kernel KERNEL`, or `--verify[=WHAT]` where a value is joined, or left out."""
    value = "" if each.is_flag else f"[={each.metavar}]" if each.is_optional else f" {each.metavar}"
    return f"{', '.join(each.names)}{value}".strip()


def explained(each: Declared) -> str:
    """What an option is for, with its default and its bounds."""
    notes = [f"default: {shown(each.default)}"] if has_default(each) else []
    notes += ["required"] if each.is_required and each.names else []
    least, most = (each.mark.settings.get(bound) for bound in ("min", "max"))
    if most is not None:
        notes.append(f"{least:g} to {most:g}")
    return f"{each.mark.help} [{'; '.join(notes)}]" if notes else each.mark.help


def has_default(each: Declared) -> bool:
    """True where a value is used that nobody gave: not for flags, nor where nothing is the default."""
    return bool(each.names) and not (each.is_flag or each.is_required or each.default in (None, "", [], ()))


def shown(default: Any) -> str:
    """A default as one would type it.

    >>> shown(1.0), shown("same")
    ('1', 'same')
    """
    return f"{default:g}" if isinstance(default, float) else str(default)


def wrapped(paragraph: str, width: int, indent: str = "") -> str:
    """A paragraph within the width."""
    return textwrap.fill(
        " ".join(paragraph.split()),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def section(heading: str, lines: Iterable[str]) -> str:
    """A heading with lines below it."""
    return "\n".join([f"{heading}:", *(f"{INDENT}{line}" for line in lines)])


def continued(example: str, width: int) -> Iterator[str]:
    """An example on as many lines as it needs, which can still be pasted: all but the last end in a backslash.

    >>> list(continued("convcli kernels 'box:3' log:2", 20))
    ['convcli kernels \\\\', "  'box:3' log:2"]
    """
    line = ""
    for word in WORD.findall(example):
        if line.strip() and len(line) + len(word) + 3 > width:
            yield f"{line} \\"
            line = INDENT
        line = f"{line} {word}" if line.strip() else f"{line}{word}"
    yield line


def two_columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """What is typed on the left, what it does on the right.

    >>> list(two_columns([("-k", "kernel"), ("-b", "a long text")], 11))
    ['-k  kernel', '-b  a long', '    text']
    """
    left = min(max(len(typed) for typed, _ in rows), width // 3)
    for typed, does in rows:
        first, *more = textwrap.wrap(does, width - left - 2, break_on_hyphens=False) or [""]
        if len(typed) > left:
            yield typed
            typed = ""  # noqa: PLW2901 -- it has a line of its own
        yield f"{typed.ljust(left)}  {first}"
        yield from (f"{' ' * (left + 2)}{line}" for line in more)
