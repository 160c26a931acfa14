"""The values of a command line that is plain, without the parser: its import takes longer than many an answer.

Plain is every line that is whole; one that asks for help, or lacks what it must have, is for `convcli.options.parse`,
which finds the same values in a plain line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convcli.options.declare import Declared
from convcli.options.line import HELP, Given


def plain_values(taken: Sequence[Declared], line: Sequence[Given]) -> dict[str, Any] | None:
    """A value for each field that a command takes, given or by default; None where the parser has to answer."""
    given: dict[str, Any] = {}
    for each, text, _ in line:
        if each is HELP:
            return None
        if each.is_list:
            given.setdefault(each.field, []).append(text)
        else:
            given[each.field] = each.is_flag or text
    return values(taken, given) if all(each.field in given for each in taken if each.is_required) else None


def values(taken: Sequence[Declared], given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each field that a command takes, from the texts that are given, and the flags."""
    return {each.field: value(each, given[each.field]) if each.field in given else each.default for each in taken}


def value(each: Declared, given: Any) -> Any:
    """The value of a text, of each text in a list, or of a flag."""
    if each.is_flag:
        return given
    return [each.read(text) for text in given] if each.is_list else each.read(given)
