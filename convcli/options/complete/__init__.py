"""Completion scripts: what the command line takes, as plain values, becomes a script for each shell of `SHELLS`.

A script is static: it holds every word it offers, and a TAB starts no process. To add a shell, write a module with
`script(commands) -> str` and give it a line in `SHELLS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from textwrap import shorten

from convcli.records import record

LONGEST = 60  # characters of help beside an option's name
SHELLS = ("bash", "zsh", "fish")
HEAD = "completion for convcli, written by `convcli completion {}`: generated, do not edit; it starts no process"


@record
class Value:
    """What may be typed: these words, and names of what is on the disk ("file", "folder", or "" for none)."""

    metavar: str
    words: tuple[str, ...] = ()
    paths: str = ""

    @property
    def nameless(self) -> Value:
        """The same without what only people read."""
        return Value("", self.words, self.paths)


@record
class Option:
    """An option with its value: None for a flag and for what is mostly given alone."""

    names: tuple[str, ...]
    help: str
    value: Value | None = None
    repeats: bool = False

    @property
    def sentence(self) -> str:
        """The start of its help, for shells that show it beside the name."""
        return shorten(self.help.partition(". ")[0].rstrip("."), LONGEST, placeholder=" ...")


@record
class Command:
    """A subcommand, what it does, its options, and what its other words are."""

    name: str
    does: str
    options: tuple[Option, ...]
    words: Value


def script(shell: str, commands: Sequence[Command]) -> str:
    """The completion script of a shell."""
    text: str = import_module(f"convcli.options.complete.{shell}").script(commands)
    return text
