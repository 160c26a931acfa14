"""`convcli completion`: what the command table declares, as a completion script."""

from typing import Annotated

from convcli.commands import COMMANDS, command_function
from convcli.options.complete import SHELLS, Command, Option, Value, script
from convcli.options.declare import HELP_ALL, Argument, Declared, declared

Shell = Annotated[str, Argument(metavar="SHELL", choices=SHELLS, help="bash, zsh or fish.")]


def completion(shell: Shell) -> None:
    """Print a script that completes commands, options and their values in a shell.

    The script is static: a TAB starts no process. The same scripts lie in the folder completions/ of the sources.

    Examples:
        convcli completion bash > convcli.bash
        convcli completion zsh > _convcli
        convcli completion fish > convcli.fish
        source <(convcli completion bash)
    """
    from convcli.tables import write

    write(script(shell, described_commands()))


def described_commands() -> list[Command]:
    """All commands with what they take."""
    return [described(name, does) for name, does in COMMANDS.items()]


def described(name: str, does: str) -> Command:
    """A command with what it takes."""
    taken = declared(command_function(name))
    words = next((value(each) for each in taken if not each.names), Value(""))
    return Command(name, does, tuple(option(each) for each in (*taken, HELP_ALL) if each.names), words)


def option(each: Declared) -> Option:
    """An option as completions know it; one that may stand alone mostly does."""
    alone = each.is_flag or each.is_optional
    return Option(each.names, each.mark.help, None if alone else value(each), each.is_list or each.is_counted)


def value(each: Declared) -> Value:
    """What may be typed for a parameter."""
    return Value(each.metavar, each.mark.offered(), each.mark.paths)
