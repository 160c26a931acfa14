"""The README tells the truth: its commands are run, its tables are the program's own; `--update` rewrites both."""

import re

import imageio.v3 as iio
import numpy as np
import pytest

import readme
from convcli import native


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to run the README's commands in, one after the other."""
    place = tmp_path_factory.mktemp("readme")
    readme.prepare(place)
    return place


compiled = pytest.mark.skipif(not native.AVAILABLE, reason="shown is what the compiled loops do")


@compiled
def test_console_blocks_show_what_the_commands_print(folder, update):
    text = readme.README.read_text()
    fresh = readme.CONSOLE.sub(lambda match: f"```console\n{readme.run_console(match[1], folder)}```\n", text)
    if update:
        readme.README.write_text(fresh)
    else:
        for shown, printed in zip(readme.CONSOLE.findall(text), readme.CONSOLE.findall(fresh), strict=True):
            assert readme.steady(shown) == readme.steady(printed)


def test_tables_are_those_of_the_program(update):
    text = readme.README.read_text()
    fresh = readme.GENERATED.sub(lambda match: match[1] + readme.table(match[2]) + match[4], text)
    if update:
        readme.README.write_text(fresh)
    else:
        assert fresh == text


@compiled
def test_pictures_are_what_the_commands_made(folder, update):
    for name in re.findall(r"\]\(samples/pictures/([\w.]+)\)", readme.README.read_text()):
        shown = readme.ROOT / "samples" / "pictures" / name
        if update:
            shown.write_bytes((folder / name).read_bytes())
        else:
            np.testing.assert_array_equal(iio.imread(shown), iio.imread(folder / name))


def test_every_table_is_in_the_readme():
    shown = {name for _, name, _, _ in readme.GENERATED.findall(readme.README.read_text())}
    assert set(readme.TABLES) == shown


def test_the_two_set_up_lines_stand_between_their_markers():
    block = re.search(r"<!-- setup -->(.*?)<!-- end setup -->", readme.README.read_text(), re.DOTALL)[1]
    assert 2 == len(re.findall(r"^(?:python3?|\.venv).*$", block, re.MULTILINE))


def test_pictures_and_links_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", readme.README.read_text())
    assert all((readme.ROOT / link).exists() for link in links), links
