"""Zsh: a function for each command, whose options are specifications of `_arguments`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from convcli.options.complete import HEAD, Command, Option, Value

SCRIPT = """\
#compdef convcli
# Zsh {head}.
# Put it as _convcli into a folder of $fpath, before compinit runs.

{mixed}
{functions}
_convcli() {{
    local curcontext=$curcontext state line
    typeset -A opt_args
    _arguments -C -S '(- *)'{{-h,--help}}'[show help]' \\
        '(- *)'{{-V,--version}}'[print the version and what it runs on]' \\
        '1:command:->command' '*::word:->words'
    case $state in
    command)
        local -a commands=(
{commands}
        )
        _describe -t commands 'convcli command' commands
        ;;
    words) (( $+functions[_convcli_$words[1]] )) && _convcli_$words[1] ;;
    esac
}}

if [[ $funcstack[1] == _convcli ]]; then
    _convcli "$@"
else
    compdef _convcli convcli
fi
"""
Names = Mapping[Value, str]
FILES = {"file": "_files", "folder": "_files -/", "": " "}
SPECIAL = str.maketrans({"\\": "\\\\", ":": "\\:", "[": "\\[", "]": "\\]"})
"""Characters that mean something in a specification."""


def script(commands: Sequence[Command]) -> str:
    """The script for zsh."""
    named = mixed(commands)
    return SCRIPT.format(
        head=HEAD.format("zsh"),
        mixed="\n".join(f"{name}() {{ {alternatives(value)} }}" for value, name in named.items()),
        functions="\n".join(function(command, named) for command in commands),
        commands="\n".join(f"            {quoted(c.name + ':' + c.does.rstrip('.'))}" for c in commands),
    )


def mixed(commands: Sequence[Command]) -> Names:
    """Functions for what is either one of some words or a file, each with a name."""
    values = [value for c in commands for value in (c.words, *(option.value for option in c.options))]
    both = dict.fromkeys(value.nameless for value in values if value and value.words and value.paths)
    return {value: f"_convcli__mixed_{number}" for number, value in enumerate(both, 1)}


def alternatives(value: Value) -> str:
    """The call that offers words and files."""
    return f"_alternative {quoted(f'words:word:({listed(value)})')} {quoted(f'files:file:{FILES[value.paths]}')}"


def function(command: Command, named: Names) -> str:
    """The function that completes the words behind a command."""
    specifications = [specification for option in command.options for specification in specified(option, named)]
    lines = ["'(- *)'{-h,--help}'[show help]'", *specifications, quoted(f"*{valued(command.words, named)}")]
    return f"_convcli_{command.name}() {{\n    _arguments -s -S " + " \\\n        ".join(lines) + "\n}\n"


def specified(option: Option, named: Names) -> Iterator[str]:
    """The specification of an option: its names exclude one another, unless it may be repeated."""
    mark = f"[{option.sentence.translate(SPECIAL)}]"
    excluded = "*" if option.repeats else f"({' '.join(option.names)})"
    for name in option.names:
        glue = "" if option.value is None else "=" if name.startswith("--") else "+"
        yield quoted(f"{excluded}{name}{glue}{mark}{valued(option.value, named) if option.value else ''}")


def valued(value: Value, named: Names) -> str:
    """What a value may be: `:NAME:(words)`, files, or both."""
    name = value.metavar.strip("[].").translate(SPECIAL) or "word"
    words = f"({listed(value)})" if value.words else FILES[value.paths]
    return f":{name}:{named.get(value.nameless, words)}"


def listed(value: Value) -> str:
    """The words of a value in a specification."""
    return " ".join(word.translate(SPECIAL) for word in value.words)


def quoted(text: str) -> str:
    """Text as one word of the shell."""
    return "'" + text.replace("'", "'\\''") + "'"
