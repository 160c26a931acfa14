"""How commands declare what they take: plain marks on annotations.

So a command is a plain function of plain values, and importing it does not cost the import of typer. What is declared
here once becomes the parser (`convcli.parser`), the help (`convcli.commands.helping`) and the completions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from inspect import Parameter, signature
from typing import Any, Literal, get_args, get_type_hints

from convcli.errors import UsageError

Paths = Literal["", "file", "folder"]


class Mark:
    """What a value may be: one of the `choices` and nothing else; or anything, of which a completion offers `words`
    (a function, for words that take an import) and the names of files or folders. The rest are typer's settings.
    """

    def __init__(
        self,
        *,
        choices: Sequence[str] = (),
        words: Callable[[], Iterable[str]] = tuple,
        paths: Paths = "",
        **settings: Any,
    ) -> None:
        self.choices, self.words, self.paths, self.settings = tuple(choices), words, paths, settings

    @property
    def help(self) -> str:
        """What it is for, in a sentence."""
        return str(self.settings.get("help", ""))

    def offered(self) -> tuple[str, ...]:
        """The words that a completion offers."""
        return self.choices or tuple(self.words())


class Option(Mark):
    """An option: its names on the command line, by default the field's own, and what its value may be.

    `alone` is the value of an option that is given without one.
    """

    def __init__(self, *names: str, alone: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self.names, self.alone = names, alone


class Argument(Mark):
    """A word that is no option; `optional` ones may be left out, and are None then."""

    def __init__(self, *, optional: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.optional = optional


@dataclass(frozen=True)
class Declared:
    """A parameter of a command: the field that receives it, its mark and type, its default, its section in the help.

    What only one command takes has no section. `default` is `Parameter.empty` where a value is required.
    """

    field: str
    mark: Option | Argument
    type: Any
    default: Any
    section: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What is typed: `-k`, `--kernel`; nothing for an argument."""
        if isinstance(self.mark, Argument):
            return ()
        return self.mark.names or (f"--{self.field.strip('_').replace('_', '-')}",)

    @property
    def is_flag(self) -> bool:
        """True for an option that takes no value."""
        return self.type is bool

    @property
    def is_required(self) -> bool:
        """True for what must be given."""
        return self.default is Parameter.empty

    @property
    def is_list(self) -> bool:
        """True for what may be given again and again."""
        return "list[" in str(self.type)

    @property
    def metavar(self) -> str:
        """What stands for the value in the help."""
        return str(self.mark.settings.get("metavar") or ("N" if int in kinds(self.type) else "TEXT"))

    @property
    def is_optional(self) -> bool:
        """True for an option whose value may be left out."""
        return isinstance(self.mark, Option) and bool(self.mark.alone)

    def check(self, value: Any) -> None:
        """Refuse a value that is none of the choices."""
        if self.mark.choices and value is not None:
            choose(value, self.mark.choices, self.names[-1] if self.names else self.metavar)


def groups(command: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a command that are dataclasses of options, with their types."""
    hints = get_type_hints(command)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}


def declared(command: Callable[..., Any]) -> list[Declared]:
    """All that a command takes: its own parameters first, then the fields of its dataclasses of options."""
    grouped, hints = groups(command), get_type_hints(command, include_extras=True)
    own = [parameter for name, parameter in signature(command).parameters.items() if name not in grouped]
    found = [_declared(each.name, hints[each.name], each.default) for each in own]
    return found + [each for kind in grouped.values() for each in declared_fields(kind)]


def declared_fields(kind: Any) -> list[Declared]:
    """The fields of a dataclass of options, in the section that the first line of its docstring heads."""
    hints = get_type_hints(kind, include_extras=True)
    section = kind.__doc__.partition("\n")[0].rstrip(".")
    return [_declared(field.name, hints[field.name], _default(field), section) for field in fields(kind)]


def _declared(name: str, hint: Any, default: Any, section: str = "") -> Declared:
    plain, mark = get_args(hint)
    if isinstance(mark, Argument) and mark.optional and default is Parameter.empty:
        default = None
    return Declared(name, mark, plain, default, section)


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return Parameter.empty if field.default is MISSING else field.default


def kinds(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type.

    >>> kinds(int | None), kinds(str)
    ((<class 'int'>, <class 'NoneType'>), (<class 'str'>,))
    """
    return get_args(hint) or (hint,)


def call_with_words(command: Callable[..., Any], words: Sequence[str]) -> Any:
    """Call a command with its words and with every option as it is by default.

    >>> call_with_words(lambda words: words, ["3@8x8"])
    ['3@8x8']
    """
    grouped = groups(command)
    receiver = next(name for name in signature(command).parameters if name not in grouped)
    return command(**{receiver: list(words)}, **{name: kind() for name, kind in grouped.items()})


def choose(value: str, choices: Sequence[str], option: str) -> str:
    """The value, if it is one of the choices.

    >>> choose("uint9", ["uint8", "float32"], "--dtype")
    Traceback (most recent call last):
    convcli.errors.UsageError: '--dtype': unknown value 'uint9'; did you mean 'uint8'? [usage]
    """
    if value not in choices:
        from difflib import get_close_matches

        near = get_close_matches(value, choices, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(choices)}"
        raise UsageError(f"unknown value {value!r}; {hint}", where=option)
    return value
