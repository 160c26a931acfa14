"""`convcli help`: the list of commands, or the help of one."""

from typing import Annotated

from convcli.commands import COMMANDS, command_function, overview
from convcli.options.declare import Argument

Command = Annotated[
    str | None,
    Argument(metavar="[COMMAND]", words=lambda: COMMANDS, optional=True, help=f"One of: {', '.join(COMMANDS)}."),
]


def help(command: Command) -> None:  # noqa: A001 -- the command's own name
    """Show what commands there are, or the help of one.

    `convcli help COMMAND` shows what `convcli COMMAND --help` does: examples, and the options used most. All options
    of a command are told by `convcli COMMAND --help-all`.

    Examples:
        convcli help
        convcli help conv2d
        convcli help shapes
    """
    from convcli.options.help import help_text
    from convcli.options.slips import no_such_command
    from convcli.tables import write

    if command and command not in COMMANDS:
        raise no_such_command(command, COMMANDS, "convcli help")
    write((help_text(command, command_function(command)) if command else overview()) + "\n")
