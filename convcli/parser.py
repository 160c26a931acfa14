"""The command line as typer parses it: the app, built from the table of commands, and one call of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer import _click as click  # typer carries its own copy of click

from convcli.commands import COMMANDS, command_function
from convcli.commands.declaring import Argument, Option, groups
from convcli.errors import UsageError

OPTIONAL_VALUES = {"--verify": "200"}
"""Options that may stand alone, and what they then mean; typer knows no optional values."""


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
        app.command(name, cls=Sections)(for_typer(command_function(name)))
    return typer.main.get_command(app)


class Sections(typer.core.TyperCommand):
    """A command whose help shows options in sections, each headed by what its dataclass says of itself."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the words and the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            plain = "Arguments" if isinstance(parameter, typer.core.TyperArgument) else "Options"
            if (record := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or plain, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def nothing() -> None:
    """Filter images and volumes by convolution, and answer shape and cost questions."""


def with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of options that stand alone.

    >>> with_values(["--verify", "in.png", "--verify=3"])
    ['--verify=200', 'in.png', '--verify=3']
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    options = [f"{a}={OPTIONAL_VALUES[a]}" if a in OPTIONAL_VALUES else a for a in arguments[:end]]
    return [*options, *arguments[end:]]


def for_typer(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command as typer wants it: a flat list of parameters, one for each field of a dataclass of options."""
    grouped = groups(command)

    @wraps(command)
    def flat(**values: Any) -> Any:
        gathered = {name: kind(**{f.name: values.pop(f.name) for f in fields(kind)}) for name, kind in grouped.items()}
        return command(**values, **gathered)

    hints = get_type_hints(command, include_extras=True)
    own = [p for name, p in inspect.signature(command).parameters.items() if name not in grouped]
    parameters = [_parameter(p.name, hints[p.name], p.default) for p in own]
    parameters += [parameter for kind in grouped.values() for parameter in _fields(kind)]
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {}
    return flat


def _fields(kind: Any) -> list[inspect.Parameter]:
    """The parameters that the fields of a dataclass become."""
    hints = get_type_hints(kind, include_extras=True)
    heading = kind.__doc__.partition("\n")[0].rstrip(".")
    defaults = {f.name: inspect.Parameter.empty if f.default is MISSING else f.default for f in fields(kind)}
    return [_parameter(name, hints[name], default, heading) for name, default in defaults.items()]


def _parameter(name: str, hint: Any, default: Any, heading: str | None = None) -> inspect.Parameter:
    """A keyword parameter whose mark is one of typer's, in the section of its heading."""
    if get_origin(hint) is Annotated:
        plain, mark = get_args(hint)
        hint = Annotated[plain, _typer_object(mark, heading)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _typer_object(mark: Option | Argument, heading: str | None) -> Any:
    if isinstance(mark, Option):
        return typer.Option(*mark.names, rich_help_panel=heading, **mark.settings)
    return typer.Argument(**mark.settings)
