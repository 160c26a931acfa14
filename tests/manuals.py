"""The pages of the manual, written in roff from what the commands declare: `convcli.1`, and one for each command."""

from convcli.commands import COMMANDS, command_function
from convcli.options.declare import declared
from convcli.options.help import OWN, continued, sections, told, usage

WIDTH = 68
"""Columns of an example, between the margins of a page on a terminal."""
ESCAPED = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
HEAD = '.\\" Generated from what the commands declare: pytest tests/test_manuals.py --update'
ABOUT = """Filters images and volumes by convolution, and answers questions of shapes and costs. What a command takes is
in a page of its own, and in convcli COMMAND --help."""
CODES = {
    "0": "Done.",
    "1": "Failed: nothing useful was written.",
    "2": "The command line is wrong; found before any work.",
    "3": "A batch failed in part.",
    "129, 130, 141, 143": "Stopped: hung up, by Ctrl-C, by a closed pipe, or terminated.",
}


def pages():
    """The text of each page by the name of its file."""
    return {"convcli.1": overview()} | {f"convcli-{name}.1": page(name, command_function(name)) for name in COMMANDS}


def page(name, command):
    """The page of a command: all that its help says."""
    about, taken = told(command), declared(command)
    found = sections(taken)
    words, own = found.pop("Arguments", []), found.pop(OWN)
    return paged(
        f"convcli-{name}",
        about.sentence,
        [f".B convcli {name}", escaped(usage(name, taken).removeprefix(f"Usage: convcli {name} "))],
        *([".PP", escaped(paragraph)] for paragraph in about.paragraphs),
        *([[".SH ARGUMENTS"], *listed(words)] if words else []),
        [".SH OPTIONS"],
        *listed(own),
        *(part for heading, rows in found.items() for part in ([f".SS {escaped(heading)}"], *listed(rows))),
        [".SH EXAMPLES", ".EX", *(escaped(line) for each in about.examples for line in continued(each, WIDTH)), ".EE"],
        [".SH SEE ALSO", ".BR convcli (1)"],
    )


def overview():
    """The page of the program: its commands, and how it ends."""
    others = [f".BR convcli\\-{name} (1)" for name in COMMANDS]
    return paged(
        "convcli",
        "Filter images and volumes by convolution.",
        [".B convcli", "COMMAND [OPTIONS] WORDS..."],
        [".PP", escaped(ABOUT)],
        [".SH COMMANDS"],
        *listed(COMMANDS.items()),
        [".SH OPTIONS"],
        *listed([("-V, --version", "Print the version and what it runs on."), ("-h, --help", "List the commands.")]),
        [".SH EXIT STATUS"],
        *listed(CODES.items()),
        [".SH SEE ALSO", *(f"{other} ," for other in others[:-1]), others[-1]],
    )


def paged(title, sentence, synopsis, *parts):
    """A page of its parts, which are lines; words are not broken, as many are names of options."""
    name = f"{escaped(title)} \\- {escaped(sentence[0].lower() + sentence[1:].rstrip('.'))}"
    first = [HEAD, f'.TH {escaped(title.upper())} 1 "" "convcli"', ".nh", ".ad l", ".SH NAME", name, ".SH SYNOPSIS"]
    description = [".SH DESCRIPTION"] if parts[0][0] == ".PP" else []
    return "\n".join([*first, *synopsis, *description, *(line for part in parts for line in part), ""])


def listed(rows):
    """What is typed and what it does, row by row."""
    return [[".TP", " ".join(map(typed, typed_text.split())), escaped(does)] for typed_text, does in rows]


def typed(word):
    """A word to type as it is in bold, one that stands for another in italics.

    >>> typed("--flip"), typed("FILE"), typed("-v[=N]")
    ('\\\\fB\\\\-\\\\-flip\\\\fR', '\\\\fIFILE\\\\fR', '\\\\fB\\\\-v\\\\fR[=\\\\fIN\\\\fR]')
    """
    name, joined, value = word.rstrip("]").partition("[=")
    if joined:
        return f"{typed(name)}[={typed(value)}]"
    return f"\\f{'I' if word.isupper() else 'B'}{escaped(word)}\\fR"


def escaped(text):
    """Text on one line, no character of which means anything to roff.

    >>> escaped(".5 is\\n'a'")
    '\\\\&.5 is \\\\(aqa\\\\(aq'
    """
    line = "".join(ESCAPED.get(character, character) for character in " ".join(text.split("\n")))
    return f"\\&{line}" if line.startswith(".") else line
