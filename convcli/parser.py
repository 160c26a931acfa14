"""The command line as typer parses it: the app, built from the table of commands, and one call of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer
from typer import _click as click  # typer carries its own copy of click

from convcli.commands import COMMANDS, command_function
from convcli.commands.calling import values
from convcli.commands.declaring import Declared, call, declared
from convcli.commands.helping import help_text
from convcli.commands.line import read_line
from convcli.errors import UsageError


def invoke(arguments: Sequence[str]) -> int:
    """Parse a command line and run its command; the exit code. Raises UsageError where it cannot be parsed."""
    line = spelled(arguments)
    try:
        command = build(arguments)
        with command.make_context("convcli", line) as context:
            result = command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except click.exceptions.MissingParameter as error:
        raise lacking(error, line) from None
    except click.exceptions.ClickException as error:
        raise UsageError(error.format_message()) from None
    return result if isinstance(result, int) else 0


def lacking(error: Any, line: Sequence[str]) -> UsageError:
    """What to say where something that must be given is not."""
    from convcli.commands.slips import missing

    option = next((name for name in error.param.opts if name.startswith("-")), "")
    words = line[line.index("--") + 1 :] if "--" in line else []
    return (
        missing(line[0], option, words)
        if option
        else UsageError("is missing", where=error.param.make_metavar(error.ctx))
    )


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


def spelled(arguments: Sequence[str]) -> list[str]:
    """A command line as `convcli.commands.line` reads it, spelled out: options with their values, then words.

    >>> spelled(["conv2d", "--verify", "in.png", "-qo=out.png"])
    ['conv2d', '--verify=200', '--quiet', '--output=out.png', '--', 'in.png']
    """
    if not arguments or arguments[0] not in COMMANDS:
        return list(arguments)
    line = read_line(declared(command_function(arguments[0])), arguments[1:])
    options = [each.place if each.is_flag else f"{each.place}={text}" for each, text, _ in line if each.names]
    words = [text for each, text, _ in line if not each.names]
    return [arguments[0], *options, *(["--", *words] if words else [])]


def for_typer(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command as typer wants it: a flat list of parameters, one for each field of a group of options."""
    taken = declared(command)

    @wraps(command)
    def flat(**given: Any) -> Any:
        return call(command, values(taken, {name: text for name, text in given.items() if text is not None}))

    flat.__signature__ = inspect.Signature(list(map(_parameter, taken)))  # type: ignore[attr-defined]
    flat.__annotations__ = {}
    return flat


def _parameter(each: Declared) -> inspect.Parameter:
    """A keyword parameter whose mark is one of typer's. It is a text here: what numbers are is not typer's to say."""
    made = typer.Option(*each.names, **each.mark.settings) if each.names else typer.Argument(**each.mark.settings)
    kind = inspect.Parameter.KEYWORD_ONLY
    default = inspect.Parameter.empty if each.is_required else False if each.is_flag else None
    text = bool if each.is_flag else list[str] if each.is_list else str
    plain = text if each.is_required or each.is_flag else text | None
    return inspect.Parameter(each.field, kind, default=default, annotation=Annotated[plain, made])
