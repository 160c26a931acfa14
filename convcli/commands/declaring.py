"""How commands declare what they take: plain marks on annotations, which `convcli.parser` turns into typer's objects.

So a command is a plain function of plain values, and importing it does not cost the import of typer.
"""

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from inspect import signature
from typing import Any, get_type_hints


class Option:
    """An option: its names on the command line, and typer's settings for it (help, min, max, metavar)."""

    def __init__(self, *names: str, **settings: Any) -> None:
        self.names, self.settings = names, settings


class Argument:
    """A word that is no option, with typer's settings for it."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings


def groups(command: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a command that are dataclasses of options, with their types."""
    hints = get_type_hints(command)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}


def call_with_words(command: Callable[..., Any], words: Sequence[str]) -> Any:
    """Call a command with its words and with every option as it is by default.

    >>> call_with_words(lambda words: words, ["3@8x8"])
    ['3@8x8']
    """
    grouped = groups(command)
    receiver = next(name for name in signature(command).parameters if name not in grouped)
    return command(**{receiver: list(words)}, **{name: kind() for name, kind in grouped.items()})
