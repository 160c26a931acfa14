"""Reads a command line that is plain, without the parser: its import takes longer than many an answer.

Plain are words, flags, and options with a value that can be read, each by itself, and once where it counts once. All
else, and so every mistake, is left to `convcli.parser`, which reads a plain line as the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from convcli.commands.declaring import Declared, kinds


class NotPlainError(ValueError):
    """A command line for the parser."""


def plain_values(taken: Sequence[Declared], arguments: Sequence[str]) -> dict[str, Any] | None:
    """A value for each field that a command takes, given or by default; None where the parser has to find them."""
    try:
        given = given_values(taken, arguments)
    except NotPlainError:
        return None
    values = {each.field: each.default for each in taken if not each.is_required} | given
    return values if len(values) == len(taken) else None


def given_values(taken: Sequence[Declared], arguments: Sequence[str]) -> dict[str, Any]:
    """The values of the fields that a command line gives; what may be given again is a list."""
    given: dict[str, Any] = {}
    for each, value in each_given(taken, arguments):
        if each.is_list:
            given.setdefault(each.field, []).append(value)
        elif each.field in given:
            raise NotPlainError
        else:
            given[each.field] = value
    return given


def each_given(taken: Sequence[Declared], arguments: Sequence[str]) -> Iterator[tuple[Declared, Any]]:
    """Each word, flag and option of a command line, as the field that receives it and its value."""
    named = {name: each for each in taken for name in each.names}
    words = [each for each in taken if not each.names]
    rest = iter(arguments)
    for argument in rest:
        if is_word(argument) and words:
            yield words[0], argument
            continue
        name, equals, text = argument.partition("=") if argument.startswith("--") else (argument, "", "")
        each = named.get(name)
        if each is None or each.is_optional or (each.is_flag and equals):
            raise NotPlainError
        yield each, each.is_flag or read(each, text if equals else next(rest, "--"))


def is_word(argument: str) -> bool:
    """True for what is no option; - is standard input or output."""
    return not argument.startswith("-") or argument == "-"


def read(each: Declared, text: str) -> Any:
    """The value of an option that is a text or a number, within its bounds; what starts like an option is suspect."""
    kind = kinds(kinds(each.type)[0])[0]
    if kind not in (str, int, float) or not is_word(text):
        raise NotPlainError
    try:
        value = kind(text)
    except ValueError:
        raise NotPlainError from None
    least, most = (each.mark.settings.get(bound, limit) for bound, limit in (("min", -inf), ("max", inf)))
    if kind is not str and not least <= value <= most:
        raise NotPlainError
    return value
