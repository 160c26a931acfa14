"""Bash: one function, whose tables are `case` statements. File names are left to readline wherever no word fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convcli.options.complete import HEAD, Command, Value

SCRIPT = """\
# Bash {head}.
# Put it into ~/.local/share/bash-completion/completions/convcli, or source it.

# What a command knows: its options, and the words and paths that it takes.
_convcli_command() {{
    case $1 in
{commands}
    *) return 1 ;;
    esac
}}

# What the value of an option may be; fails where it takes none.
_convcli_value() {{
    case $1 in
{values}
    *) return 1 ;;
    esac
}}

# Offer words that go on as what is typed does; readline replaces only what stands behind the last break.
_convcli_offer() {{
    local lead=$1 word
    for word in $2; do
        [[ $word == *:* && $whole != *:* ]] && continue
        [[ $lead$word == "$whole"* ]] && COMPREPLY+=("${{lead}}$word")
    done
    COMPREPLY=("${{COMPREPLY[@]#"$kept"}}")
    [[ ${{#COMPREPLY[@]}} == 1 && $COMPREPLY == *= ]] && compopt -o nospace
    return 0
}}

# Offer names of files beside words, or of folders alone; files alone are left to readline.
_convcli_paths() {{
    local name
    shopt -q failglob && return
    [[ $1 == folder || ( $1 == file && ${{#COMPREPLY[@]}} != 0 ) ]] || return 0
    for name in "$piece"*; do
        [[ -d $name || ( -e $name && $1 == file ) ]] && COMPREPLY+=("$name")
    done
    compopt -o filenames
}}

_convcli() {{
    local IFS=$' \\t\\n' piece whole kept option word joined= ended= options= words= paths=
    local -a typed=()
    COMPREPLY=()
    for piece in "${{COMP_WORDS[@]:1:COMP_CWORD}}"; do  # readline breaks words at = and :
        if [[ ( $joined || $piece == [=:]* ) && ${{#typed[@]}} != 0 ]]; then
            typed[-1]+=$piece
        else
            typed+=("$piece")
        fi
        joined=
        [[ $piece == [=:] || $piece == :: ]] && joined=1
    done
    [[ $joined ]] && piece=
    whole=${{typed[-1]}} kept=${{whole%"$piece"}}
    if ((${{#typed[@]}} == 1)); then
        _convcli_offer "" {names}
        return
    fi
    _convcli_command "${{typed[0]}}" || return
    for word in "${{typed[@]:1:${{#typed[@]}}-2}}"; do
        [[ $word == -- ]] && ended=1
    done
    option=${{typed[-2]}}
    if [[ ! $ended && $whole == --*=* ]] && _convcli_value "${{typed[0]}}:${{whole%%=*}}"; then
        _convcli_offer "${{whole%%=*}}=" "$words"
    elif [[ ! $ended && $option == -* ]] && _convcli_value "${{typed[0]}}:$option"; then
        _convcli_offer "" "$words"
    elif [[ ! $ended && $whole == -?* ]]; then
        paths=
        _convcli_offer "" "$options"
    else
        _convcli_offer "" "$words"
    fi
    [[ $piece == "${{whole#--*=}}" ]] && _convcli_paths "$paths"
    return 0
}}

complete -o bashdefault -o default -F _convcli convcli
"""


def script(commands: Sequence[Command]) -> str:
    """The script for bash."""
    names = quoted([*(command.name for command in commands), "-h", "--help", "-V", "--version"])
    return SCRIPT.format(
        head=HEAD.format("bash"),
        names=names,
        commands="\n".join(f"    {command.name}) {about(command)} ;;" for command in commands),
        values="\n".join(f"    {'|'.join(keys)}) {assigned(value)} ;;" for value, keys in cases(commands)),
    )


def about(command: Command) -> str:
    """The assignments for a command."""
    names = [name for option in command.options for name in option.names]
    return f"options={quoted([*names, '-h', '--help'])} {assigned(command.words)}"


def assigned(value: Value) -> str:
    """The assignments for what may be typed."""
    return f"words={quoted(value.words)} paths={value.paths}"


def quoted(words: Sequence[str]) -> str:
    """Words as one string of the shell; none of ours has a quote."""
    return f"'{' '.join(words)}'" if words else ""


def cases(commands: Sequence[Command]) -> Iterator[tuple[Value, list[str]]]:
    """The values, each with the patterns `command:option` that take it; `*:option` where all commands agree."""
    known: dict[str, dict[str, Value]] = {}
    for command in commands:
        for option in command.options:
            if option.value:
                for name in option.names:
                    known.setdefault(name, {})[command.name] = option.value.nameless
    patterns: dict[Value, list[str]] = {}
    for name, of in known.items():
        agreed = len(set(of.values())) == 1 and all(takes(command, name) in (None, True) for command in commands)
        for taker, value in of.items():
            pattern = f"*:{name}" if agreed else f"{taker}:{name}"
            if pattern not in patterns.setdefault(value, []):
                patterns[value].append(pattern)
    yield from patterns.items()


def takes(command: Command, name: str) -> bool | None:
    """Whether an option of a command takes a value; None where there is no such option."""
    return next((option.value is not None for option in command.options if name in option.names), None)
