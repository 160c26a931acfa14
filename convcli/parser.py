"""The command line as typer parses it: the app, built from the table of commands, and one call of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer
from typer import _click as click  # typer carries its own copy of click

from convcli.commands import COMMANDS, command_function
from convcli.commands.declaring import Declared, Option, call, declared
from convcli.commands.helping import help_text
from convcli.errors import UsageError


def invoke(arguments: Sequence[str]) -> int:
    """Parse a command line and run its command; the exit code. Raises UsageError where it cannot be parsed."""
    try:
        command = build(arguments)
        with command.make_context("convcli", with_values(arguments)) as context:
            result = command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except click.exceptions.ClickException as error:
        raise UsageError(error.format_message()) from None
    return result if isinstance(result, int) else 0


def build(arguments: Sequence[str] = ()) -> Any:
    """The command group as a click object; only the named command is imported where the first argument names one."""
    app = typer.Typer(
        name="convcli",
        rich_markup_mode=None,  # plain help: half the start-up time
        pretty_exceptions_enable=False,
        add_completion=False,  # completions/ holds static scripts that start no Python
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(nothing)
    named = [arguments[0]] if arguments and arguments[0] in COMMANDS else COMMANDS
    for name in named:
        app.command(name, cls=Command)(for_typer(command_function(name)))
    return typer.main.get_command(app)


class Command(typer.core.TyperCommand):
    """A command whose help is ours."""

    def get_help(self, ctx: Any) -> str:
        """The help, as `convcli COMMAND --help` prints it without typer."""
        return help_text(ctx.info_name)


def nothing() -> None:
    """Filter images and volumes by convolution, and answer shape and cost questions."""


def with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of options that stand alone; typer knows no optional values.

    >>> with_values(["conv2d", "--verify", "in.png", "--verify=3"])
    ['conv2d', '--verify=200', 'in.png', '--verify=3']
    """
    alone = values_alone(arguments[0]) if arguments and arguments[0] in COMMANDS else {}
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    options = [f"{a}={alone[a]}" if a in alone else a for a in arguments[:end]]
    return [*options, *arguments[end:]]


def values_alone(command: str) -> dict[str, str]:
    """The options of a command that may stand alone, and what they then mean."""
    taken = declared(command_function(command))
    return {
        name: each.mark.alone
        for each in taken
        for name in each.names
        if isinstance(each.mark, Option) and each.is_optional
    }


def for_typer(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command as typer wants it: a flat list of parameters, one for each field of a group of options."""

    @wraps(command)
    def flat(**values: Any) -> Any:
        return call(command, values)

    flat.__signature__ = inspect.Signature(list(map(_parameter, declared(command))))  # type: ignore[attr-defined]
    flat.__annotations__ = {}
    return flat


def _parameter(each: Declared) -> inspect.Parameter:
    """A keyword parameter whose mark is one of typer's."""
    made = typer.Option(*each.names, **each.mark.settings) if each.names else typer.Argument(**each.mark.settings)
    kind = inspect.Parameter.KEYWORD_ONLY
    default = inspect.Parameter.empty if each.is_required else each.default
    return inspect.Parameter(each.field, kind, default=default, annotation=Annotated[each.type, made])
