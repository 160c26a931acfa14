"""The pages of the manual, in `man/`: those that the declarations make, and what groff makes of them.

`--update` writes them anew.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import manuals
from convcli.commands import COMMANDS, command_function
from convcli.options.declare import declared

FOLDER = Path(__file__).parents[1] / "man"
GROFF = shutil.which("groff")
TERMINAL = [GROFF, "-man", "-Tutf8", "-ww", "-P-cbou"]
"""Pages as a terminal shows them, with every warning and without bold letters."""


def test_the_pages_are_those_that_the_declarations_make(update):
    fresh = manuals.pages()
    if update:
        for name, text in fresh.items():
            (FOLDER / name).write_text(text)
    assert sorted(fresh) == sorted(path.name for path in FOLDER.iterdir())
    for name, text in fresh.items():
        assert text == (FOLDER / name).read_text(), f"pytest {Path(__file__).name} --update writes {name} anew"


def shown(name):
    """A page as a terminal shows it, in one line; nothing in it is a warning to groff."""
    if GROFF is None:
        pytest.skip("groff is not installed")
    done = subprocess.run([*TERMINAL, FOLDER / name], capture_output=True, check=True)
    assert b"" == done.stderr
    return " ".join(done.stdout.decode().split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_tells_all_that_a_command_takes(command):
    text = shown(f"convcli-{command}.1")
    assert re.search(f"NAME convcli.{command} . {COMMANDS[command][:9].lower()}", text)
    for each in declared(command_function(command)):
        value = "" if each.is_flag else f"[={each.metavar}]" if each.is_optional else f" {each.metavar}"
        typed = f"{', '.join(each.names)}{value}".strip()
        help_text = " ".join(each.mark.help.split())
        assert f" {typed} {help_text}" in text


def test_the_first_page_names_all_others():
    text = shown("convcli.1")
    assert [] == [name for name, does in COMMANDS.items() if f" {name} {does} " not in text]
    assert [] == [name for name in COMMANDS if not re.search(rf"convcli.{name}\(1\)", text)]
