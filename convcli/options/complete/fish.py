"""Fish: one `complete` line for each option, with the commands that take it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convcli.options.complete import HEAD, Command, Option, Value

SCRIPT = """\
# Fish {head}.
# Put it into ~/.config/fish/completions/convcli.fish.

function __convcli_command -d 'True behind one of these commands'
    set -l typed (commandline -opc)
    test (count $typed) -gt 1; and contains -- $typed[2] $argv
end

function __convcli_nothing -d 'True where no command is typed yet'
    test (count (commandline -opc)) -eq 1
end

complete -c convcli -f
complete -c convcli -n __convcli_nothing -s V -l version -d 'Print the version and what it runs on'
complete -c convcli -s h -l help -d 'Show help'
{lines}
"""


def script(commands: Sequence[Command]) -> str:
    """The script for fish."""
    lines = [f"complete -c convcli -n __convcli_nothing -a {c.name} -d {quoted(c.does.rstrip('.'))}" for c in commands]
    lines += [line for command in commands for line in operands(command)]
    lines += [described(option, names) for option, names in shared(commands)]
    return SCRIPT.format(head=HEAD.format("fish"), lines="\n".join(lines))


def operands(command: Command) -> Iterator[str]:
    """The line for the words of a command that are no options."""
    if offered := value_flags(command.words):
        yield f"complete -c convcli -n '__convcli_command {command.name}' {offered}"


def shared(commands: Sequence[Command]) -> Iterator[tuple[Option, list[str]]]:
    """Each option once, with the commands that have it."""
    found: dict[Option, list[str]] = {}
    for command in commands:
        for option in command.options:
            found.setdefault(option, []).append(command.name)
    yield from found.items()


def described(option: Option, commands: Sequence[str]) -> str:
    """The line for an option."""
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    condition = quoted(f"__convcli_command {' '.join(commands)}")
    value = f"-r {value_flags(option.value) or '-f'} " if option.value else ""
    return f"complete -c convcli -n {condition} {names} {value}-d {quoted(option.sentence)}"


def value_flags(value: Value) -> str:
    """What is offered for a value; nothing where that is nothing."""
    if value.paths == "folder":
        return "-f -a '(__fish_complete_directories)'"
    words = f"-a {quoted(' '.join(value.words))}" if value.words else ""
    return f"{'-F' if value.paths else '-f'} {words}".strip() if value.paths or words else ""


def quoted(text: str) -> str:
    """Text as one word of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
