"""How commands declare what they take: plain marks on annotations.

So a command is a plain function of plain values, and importing it does not cost the import of typer. What is declared
here once becomes the parser (`convcli.options.parse`), the help (`convcli.options.help`) and the completions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from math import inf
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self, dataclass_transform, get_args, get_type_hints

from convcli.errors import UsageError
from convcli.numerals import decimal, whole

Paths = Literal["", "file", "folder"]

REQUIRED = object()
"""What stands for the default of a value that must be given."""


class Mark:
    """What a value may be: one of the `choices` and nothing else; or anything, of which a completion offers `words`
    (a function, for words that take an import) and the names of files or folders. `meant` is what other tools call the
    choices, for an error to tell. What is `daily` is told by `--help`, all else by `--help-all`. The rest are typer's
    settings.
    """

    def __init__(
        self,
        *,
        choices: Sequence[str] = (),
        meant: Mapping[str, str] = MappingProxyType({}),
        words: Callable[[], Iterable[str]] = tuple,
        paths: Paths = "",
        daily: bool = False,
        **settings: Any,
    ) -> None:
        self.choices, self.meant, self.words = tuple(choices), meant, words
        self.paths, self.daily, self.settings = paths, daily, settings

    @property
    def help(self) -> str:
        """What it is for, in a sentence."""
        return str(self.settings.get("help", ""))

    def offered(self) -> tuple[str, ...]:
        """The words that a completion offers."""
        return self.choices or tuple(self.words())


class Option(Mark):
    """An option: its names on the command line, by default the field's own, and what its value may be.

    `alone` is the value of an option that is given without one. A `counted` flag is the number of times it is given.
    """

    def __init__(self, *names: str, alone: str = "", counted: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.names, self.alone, self.counted = names, alone, counted


class Argument(Mark):
    """A word that is no option; `optional` ones may be left out, and are None then. `files` are names of files only."""

    def __init__(self, *, optional: bool = False, files: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.optional, self.files = optional, files


@dataclass_transform(eq_default=False, frozen_default=True, kw_only_default=True)
class Options:
    """A group of options: a field for each annotation, its default the value of the same name in the class.

    No record: a group is filled by name and asked by name, nothing more.
    """

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)

    def but(self, **changes: Any) -> Self:
        """The same options with changes."""
        return type(self)(**vars(self) | changes)


class Declared(NamedTuple):
    """A parameter of a command: the field that receives it, its mark and type, its default, its section in the help.

    What only one command takes has no section. `default` is `REQUIRED` where there is none.
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
        return self.type is bool or self.is_counted

    @property
    def is_counted(self) -> bool:
        """True for a flag that says more the more often it is given."""
        return isinstance(self.mark, Option) and self.mark.counted

    @property
    def is_required(self) -> bool:
        """True for what must be given."""
        return self.default is REQUIRED

    @property
    def is_daily(self) -> bool:
        """True for what `--help` tells: words, what must be given, and the options used most."""
        return not self.names or self.is_required or self.mark.daily

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

    @property
    def is_number(self) -> bool:
        """True for an option whose value is one number."""
        return not {int, float}.isdisjoint(kinds(self.type))

    @property
    def is_file(self) -> bool:
        """True for words that are names of files, and nothing else."""
        return isinstance(self.mark, Argument) and self.mark.files

    @property
    def place(self) -> str:
        """What an error calls it."""
        return self.names[-1] if self.names else self.metavar

    def read(self, text: str) -> Any:
        """The value that a text stands for: among the choices, a number within its bounds, or the text itself."""
        if self.is_number:
            return self.number(text)
        return choose(text, self.mark.choices, self.place, self.mark.meant) if self.mark.choices else text

    def number(self, text: str) -> int | float:
        """A number within the bounds, or a word that counts as one: nan."""
        if text.lower() in self.mark.offered():
            return float(text)
        least, most = (self.mark.settings.get(bound, limit) for bound, limit in (("min", -inf), ("max", inf)))
        try:
            value = whole(text) if int in kinds(self.type) else decimal(text)
        except ValueError as error:
            raise UsageError(f"{text!r} is {error}", where=self.place) from None
        if not least <= value <= most:
            bound = f"small; it must be at least {least:g}" if value < least else f"large; it must be at most {most:g}"
            raise UsageError(f"{text} is too {bound}", where=self.place)
        return value


HELP = Declared("help", Option("-h", "--help", help="Show examples and the options used most."), bool, False)
HELP_ALL = Declared("help_all", Option("--help-all", help="Show all options, by section."), bool, False)
"""What every command takes, declared by none."""


def groups(command: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a command that are groups of options, with their types."""
    return {name: hint for name, hint in hints(command).items() if isinstance(hint, type)}


def hints(taker: Any) -> dict[str, Any]:
    """What a command, or a group of options, takes by name: types with their marks, or groups."""
    return {name: hint for name, hint in get_type_hints(taker, include_extras=True).items() if name != "return"}


@cache
def declared(command: Callable[..., Any]) -> Sequence[Declared]:
    """All that a command takes: its own parameters first, then the fields of its groups of options."""
    taken, known = groups(command), parameter_defaults(command)
    own = [_declared(name, hint, known) for name, hint in hints(command).items() if name not in taken]
    return (*own, *(each for kind in taken.values() for each in declared_fields(kind)))


@cache
def declared_fields(kind: Any) -> Sequence[Declared]:
    """The fields of a group of options, in the section that the first line of its docstring heads."""
    section, taken = kind.__doc__.partition("\n")[0].rstrip("."), hints(kind)
    known = {name: value for base in reversed(kind.__mro__) for name, value in vars(base).items() if name in taken}
    return tuple(_declared(name, hint, known, section) for name, hint in taken.items())


def _declared(name: str, hint: Any, known: Mapping[str, Any], section: str = "") -> Declared:
    plain, mark = get_args(hint)
    may_lack = isinstance(mark, Argument) and mark.optional
    return Declared(name, mark, plain, known.get(name, None if may_lack else REQUIRED), section)


def parameter_defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of a function by the names of its parameters; `inspect` knows them too, but takes 5 ms to import.

    >>> parameter_defaults(lambda a, b=1, *, c=2: (a, b, c))
    {'b': 1, 'c': 2}
    """
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return dict(zip(names, values, strict=True)) | (function.__kwdefaults__ or {})


def kinds(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type.

    >>> kinds(int | None), kinds(str)
    ((<class 'int'>, <class 'NoneType'>), (<class 'str'>,))
    """
    return get_args(hint) or (hint,)


def grouped(command: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What a command takes by name, of a value for each field: its groups of options are made of theirs."""
    rest = dict(values)
    return {
        name: kind(**{each.field: rest.pop(each.field) for each in declared_fields(kind)})
        for name, kind in groups(command).items()
    } | rest


def choose(value: str, choices: Sequence[str], option: str, meant: Mapping[str, str] = MappingProxyType({})) -> str:
    """The one of the choices that a value is, in whatever case; `meant` knows what others call them.

    >>> choose("UINT8", ["uint8", "float32"], "--dtype")
    'uint8'
    >>> choose("uint9", ["uint8", "float32"], "--dtype")
    Traceback (most recent call last):
    convcli.errors.UsageError: '--dtype': unknown value 'uint9'; did you mean 'uint8'? [usage]
    """
    word = value.strip().lower()
    if word not in choices:
        from difflib import get_close_matches

        bare = word.rpartition(".")[2].lstrip("<>=|")  # np.uint8, <f4
        near = [meant[bare]] if bare in meant else list(map(repr, get_close_matches(bare, choices, 1)))
        hint = f"did you mean {near[0]}?" if near else f"use {', '.join(choices)}"
        raise UsageError(f"unknown value {value!r}; {hint}", where=option)
    return word
