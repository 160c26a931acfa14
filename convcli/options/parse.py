"""A command line as typer parses it: an app of one command, and one call of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer
from typer import _click as click  # typer carries its own copy of click

from convcli.errors import UsageError
from convcli.options.declare import Declared, call, declared
from convcli.options.help import help_text
from convcli.options.line import read_line
from convcli.options.plain import values


def invoke(name: str, command: Callable[..., Any], words: Sequence[str]) -> int:
    """Parse the words behind a command's name and run it; the exit code. Raises UsageError where they make no sense."""
    line = spelled(command, words)
    try:
        built = build(name, command)
        with built.make_context(name, list(line)) as context:
            result = built.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except click.exceptions.MissingParameter as error:
        raise lacking(error, name, line) from None
    except click.exceptions.ClickException as error:
        raise UsageError(error.format_message()) from None
    return result if isinstance(result, int) else 0


def lacking(error: Any, name: str, line: Sequence[str]) -> UsageError:
    """What to say where something that must be given is not."""
    from convcli.options.slips import missing

    option = next((each for each in error.param.opts if each.startswith("-")), "")
    words = line[line.index("--") + 1 :] if "--" in line else []
    return (
        missing(name, option, words) if option else UsageError("is missing", where=error.param.make_metavar(error.ctx))
    )


def build(name: str, command: Callable[..., Any]) -> Any:
    """A command as a click object."""

    class Command(typer.core.TyperCommand):
        """A command whose help is ours."""

        def get_help(self, _: Any) -> str:
            """The help, as `convcli COMMAND --help` prints it without typer."""
            return help_text(name, command)

    app = typer.Typer(
        rich_markup_mode=None,  # plain help: half the start-up time
        pretty_exceptions_enable=False,
        add_completion=False,  # completions/ holds static scripts that start no Python
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(name, cls=Command)(for_typer(command))
    return typer.main.get_command(app)


def spelled(command: Callable[..., Any], words: Sequence[str]) -> list[str]:
    """Words as `convcli.options.line` reads them, spelled out: options with their values, then words."""
    line = read_line(declared(command), words)
    options = [each.place if each.is_flag else f"{each.place}={text}" for each, text, _ in line if each.names]
    plain = [text for each, text, _ in line if not each.names]
    return [*options, *(["--", *plain] if plain else [])]


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
