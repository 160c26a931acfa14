"""A command line as typer parses it: one that asks for help, or lacks what it must have. Only typer's public names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from convcli.errors import UsageError
from convcli.options.declare import HELP, HELP_ALL, Declared, declared
from convcli.options.help import help_text
from convcli.options.line import Given, values


def parsed_values(name: str, command: Callable[..., Any], line: Sequence[Given]) -> dict[str, Any] | None:
    """A value for each field that a command takes; None where the line asked for help, which has been printed then.

    Raises UsageError where something is missing.
    """
    help_asked = [each for each, _, _ in line if each in (HELP, HELP_ALL)]
    if help_asked:
        print(help_text(name, command, whole=HELP_ALL in help_asked))
        return None
    built, taken = build(name, command), declared(command)
    try:
        with built.make_context(name, spelled(line)) as context:
            given = built.invoke(context)
    except typer.BadParameter as error:  # click's MissingParameter is one; `convcli.options.line` leaves no other
        lacks = next(each for each in taken if error.param and each.field == error.param.name)
        raise lacking(lacks, name, line) from None
    return values(taken, {field: text for field, text in given.items() if text is not None})


def lacking(each: Declared, name: str, line: Sequence[Given]) -> UsageError:
    """What to say where something that must be given is not."""
    from convcli.options.slips import missing

    if not each.names:
        return UsageError("is missing", where=each.metavar)
    return missing(name, each.names[0], [text for other, text, _ in line if not other.names])


def build(name: str, command: Callable[..., Any]) -> TyperCommand:
    """A command as a click object."""
    app = typer.Typer(
        rich_markup_mode=None,  # half the start-up time
        pretty_exceptions_enable=False,
        add_completion=False,  # completions/ holds static scripts that start no Python
        context_settings={"help_option_names": []},  # the help is ours
    )
    app.command(name)(for_typer(command))
    built = get_command(app)
    assert isinstance(built, TyperCommand)
    return built


def spelled(line: Sequence[Given]) -> list[str]:
    """A line spelled out: options with their values, then words."""
    options = [each.place if each.is_flag else f"{each.place}={text}" for each, text, _ in line if each.names]
    plain = [text for each, text, _ in line if not each.names]
    return [*options, *(["--", *plain] if plain else [])]


def for_typer(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command as typer wants it: a flat list of parameters, one for each field of a group of options.

    It does nothing but return what it is given: the command itself runs outside of typer.
    """

    @wraps(command)
    def flat(**given: Any) -> dict[str, Any]:
        return given

    flat.__signature__ = inspect.Signature(list(map(_parameter, declared(command))))  # type: ignore[attr-defined]
    flat.__annotations__ = {}
    return flat


def _parameter(each: Declared) -> inspect.Parameter:
    """A keyword parameter whose mark is one of typer's. It is a text here: what numbers are is not typer's to say."""
    asked = each.mark.settings | ({"count": True} if each.is_counted else {})
    made = typer.Option(*each.names, **asked) if each.names else typer.Argument(**asked)
    kind = inspect.Parameter.KEYWORD_ONLY
    default = inspect.Parameter.empty if each.is_required else each.default if each.is_flag else None
    text = each.type if each.is_flag else list[str] if each.is_list else str
    plain = text if each.is_required or each.is_flag else text | None
    return inspect.Parameter(each.field, kind, default=default, annotation=Annotated[plain, made])
