"""A command line, word by word: which option or argument each belongs to, by rules that hold for every command.

- A value follows its option, or is joined to it: `-o x`, `-ox`, `-o=x`, `--output x`, `--output=x`.
- A value is not empty. One that stands alone and starts with a minus is a number, or `-`; any other is joined by `=`.
- What can have only one value is given once. An option that may stand alone takes its value only by `=`.
- Names of options are written out.
- A bare number behind an option is no name of a file, unless there is such a file.

The values of a plain line are found here, too, without the parser, whose import takes longer than many an answer. Plain
is every line that is whole; one that asks for help, or lacks what it must have, is for `convcli.options.parse`, which
finds the same values in a plain line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from convcli.errors import UsageError
from convcli.numerals import is_number
from convcli.options.declare import HELP, HELP_ALL, Declared, Option

NEGATIVE = r"(?i:-(?:\.?[0-9]|inf))"
"""How a value begins that starts with a minus and yet is no option."""
ANSWERS = frozenset("true false yes no on off".split())
"""What other tools take behind a flag."""
Named = Mapping[str, Declared]
Given = tuple[Declared, str, str]
"""An option with its value, "" for a flag, and its name as it was typed; or a word, which has no name."""


_TYPED: list[str] = []


def typed() -> tuple[str, ...]:
    """The words of the command line that was read last, as reports repeat it."""
    return tuple(_TYPED)


def remember(words: Sequence[str]) -> None:
    """Keep the words of a command line."""
    _TYPED[:] = words


def read_line(taken: Sequence[Declared], arguments: Sequence[str]) -> list[Given]:
    """Each word and option of a command line, in order; UsageError where one breaks a rule."""
    named = {name: each for each in (*taken, HELP, HELP_ALL) for name in each.names}
    words = next((each for each in taken if not each.names), None)
    found: list[Given] = []
    rest = list(reversed(arguments))
    while rest:
        argument = rest.pop()
        if argument == "--":
            found += [word(words, text) for text in reversed(rest)]
            break
        if argument not in named:
            check_number(argument, rest, words, found)
        if is_word(argument):
            found.append(word(words, argument))
        elif argument.startswith("--"):
            name, equals, text = argument.partition("=")
            found.append(valued(known(named, name), name, text if equals else None, rest, named))
        else:
            found += short(argument, rest, named)
    check_once(found)
    return found


def is_word(argument: str) -> bool:
    """True for what is no option; - is standard input or output."""
    return not argument.startswith("-") or argument == "-"


def word(words: Declared | None, text: str) -> Given:
    """A word, where the command takes any."""
    if words is None:
        raise UsageError("this command takes options only", where=text)
    return words, text, ""


def short(argument: str, rest: list[str], named: Named) -> Iterator[Given]:
    """The options of one letter in an argument: flags, and at the end one that takes the rest as its value."""
    if f"-{argument}".partition("=")[0] in named:
        raise UsageError(f"has two dashes: -{argument}", where=argument)
    if re.match(NEGATIVE, argument) and argument[:2] not in named:
        raise UsageError("looks like an option; if it is a word, put -- before it", where=argument)
    letters = argument[1:]
    if len(letters) > 2 and is_foreign(argument):
        known(named, f"-{argument}".partition("=")[0])
    while letters:
        name, letters = f"-{letters[0]}", letters[1:]
        each = known(named, name, argument)
        if each.is_flag and not letters.startswith("="):
            yield each, "", name
            continue
        yield valued(each, name, letters.removeprefix("=") if letters else None, rest, named)
        return


def is_foreign(argument: str) -> bool:
    """True for another tool's long option with one dash: -blur."""
    from convcli.options.slips import ELSEWHERE

    return f"-{argument}".partition("=")[0] in ELSEWHERE


def known(named: Named, name: str, argument: str = "") -> Declared:
    """The option of a name, or an error with what comes near."""
    if name not in named:
        from convcli.options.slips import no_such_option

        raise no_such_option(name, argument or name, named)
    return named[name]


def valued(each: Declared, name: str, joined: str | None, rest: list[str], named: Named) -> Given:
    """An option with the value that is joined to it, that follows it, or that it has when it stands alone."""
    if each.is_flag:
        if joined is not None:
            raise UsageError("takes no value", where=name)
        return each, "", name
    if joined is None and each.is_optional:
        if rest and (is_number(rest[-1]) or rest[-1] in each.mark.choices) and not os.path.lexists(rest[-1]):
            raise UsageError(f"takes its value joined: {name}={rest[-1]}", where=name)
        joined = each.mark.alone if isinstance(each.mark, Option) else ""
    text = following(name, rest, named) if joined is None else joined
    if not text.strip():
        raise UsageError("its value is empty; is a variable unset?", where=name)
    return each, text, name


def following(name: str, rest: list[str], named: Named) -> str:
    """The value that follows an option."""
    if not rest:
        each = named[name]
        raise UsageError(f"needs a value: {' or '.join(each.mark.choices) or each.metavar}", where=name)
    text = rest.pop()
    if text in named or not (is_word(text) or re.match(NEGATIVE, text)):
        equals = f"{name}={text}" if text != "--" else f"{name}=VALUE"
        raise UsageError(f"needs a value, and {text!r} looks like an option; if it is the value: {equals}", where=name)
    return text


def check_once(found: Sequence[Given]) -> None:
    """Refuse two values for what can have only one."""
    first: dict[str, str] = {}
    for each, text, name in found:
        if each.is_flag or each.is_list:
            continue
        if each.field in first:
            place = name or each.metavar
            raise UsageError(f"is given twice: {first[each.field]!r} and {text!r}; leave one out", where=place)
        first[each.field] = text


def check_number(text: str, rest: Sequence[str], words: Declared | None, found: Sequence[Given]) -> None:
    """Refuse a bare number, or true, for the name of a file where it was meant for the option before it."""
    if words is None or not words.is_file or not found or os.path.lexists(text):
        return
    each, _, name = found[-1]
    if name and (is_number(text) or (each.is_flag and text.lower() in ANSWERS)):
        stray(text, rest, found[-1])


def stray(text: str, rest: Sequence[str], before: Given) -> NoReturn:
    """The error of a number behind an option that has a value already, or takes none."""
    each, value, name = before
    if each.is_flag or each.is_number:
        count = "no value" if each.is_flag else "one number"
        raise UsageError(f"takes {count}, and {text!r} behind it is no file", where=name)
    from convcli.options.slips import joined

    numbers = [text]
    for more in reversed(rest):
        if not is_number(more):
            break
        numbers.append(more)
    raise UsageError(f"takes one value, and {text!r} behind it is no file: {name} {joined(value, numbers)}", where=name)


def plain_values(taken: Sequence[Declared], line: Sequence[Given]) -> dict[str, Any] | None:
    """A value for each field that a command takes, given or by default; None where the parser has to answer."""
    given: dict[str, Any] = {}
    for each, text, _ in line:
        if each in (HELP, HELP_ALL):
            return None
        if each.is_list:
            given.setdefault(each.field, []).append(text)
        elif each.is_counted:
            given[each.field] = given.get(each.field, 0) + 1
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
