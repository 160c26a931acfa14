"""README and the pages of samples tell the truth: commands run, tables and pictures are the program's.

`--update` rewrites them.
"""

import re

import pytest

import readme
from convcli import native


@pytest.fixture(scope="module", params=readme.PAGES, ids=lambda page: page.stem)
def page(request):
    """A page whose commands are run."""
    return request.param


@pytest.fixture(scope="module")
def folder(page, tmp_path_factory):
    """A folder to run a page's commands in, one after the other."""
    place = tmp_path_factory.mktemp(page.stem)
    readme.prepare(place)
    return place


LONGEST_DOOR = 200  # lines beside the tables that the program writes
compiled = pytest.mark.skipif(not native.AVAILABLE, reason="shown is what the compiled loops do")


@compiled
def test_console_blocks_show_what_the_commands_print(page, folder, update):
    text = page.read_text()
    fresh = readme.CONSOLE.sub(lambda match: f"```console\n{readme.run_console(match[1], folder)}```\n", text)
    if update:
        page.write_text(fresh)
    else:
        for shown, printed in zip(readme.CONSOLE.findall(text), readme.CONSOLE.findall(fresh), strict=True):
            assert readme.steady(shown) == readme.steady(printed)


def test_no_page_shows_a_command_that_fails_unexpectedly(page):
    assert "Traceback" not in page.read_text()


@compiled
def test_pictures_are_what_the_commands_made(page, folder, update):
    for name in readme.SHOWN.findall(page.read_text()):
        if update:
            (readme.PICTURES / name).write_bytes((folder / name).read_bytes())
        else:
            assert [] == readme.differences(readme.PICTURES / name, folder / name), name


@pytest.mark.parametrize("old, new", [(">14<", ">15<"), ('data-layer="1"', 'data-layer="0"'), ('width="', 'width="9')])
def test_a_drawing_that_says_something_else_is_noticed(old, new, tmp_path):
    shown, other = readme.PICTURES / "channel.svg", tmp_path / "other.svg"
    assert old in shown.read_text()
    other.write_text(shown.read_text().replace(old, new, 1))
    assert [] == readme.differences(shown, shown)
    assert 1 == len(readme.differences(shown, other))


@pytest.mark.parametrize("written", readme.WRITTEN, ids=lambda written: str(written.relative_to(readme.ROOT)))
def test_tables_are_those_of_the_program(written, update):
    text = written.read_text()
    fresh = readme.GENERATED.sub(lambda match: match[1] + readme.table(match[2]) + match[4], text)
    if update:
        written.write_text(fresh)
    else:
        assert fresh == text


def test_every_table_stands_on_one_page():
    shown = [name for page in readme.WRITTEN for _, name, _, _ in readme.GENERATED.findall(page.read_text())]
    assert sorted(readme.TABLES) == sorted(shown)


def test_the_readme_is_a_door_from_which_every_page_is_reached():
    text = readme.README.read_text()
    assert len(readme.GENERATED.sub("", text).splitlines()) <= LONGEST_DOOR
    others = [str(page.relative_to(readme.ROOT)) for page in readme.WRITTEN if page != readme.README]
    assert [] == [page for page in others if f"]({page})" not in text]


def test_the_two_set_up_lines_stand_between_their_markers():
    block = re.search(r"<!-- setup -->(.*?)<!-- end setup -->", readme.README.read_text(), re.DOTALL)[1]
    assert 2 == len(re.findall(r"^(?:python3?|\.venv).*$", block, re.MULTILINE))


@pytest.mark.parametrize("written", readme.WRITTEN, ids=lambda written: str(written.relative_to(readme.ROOT)))
def test_pictures_and_links_exist(written):
    links = re.findall(r"\]\(([^):#]*)(?:#([^)]*))?\)", written.read_text())
    assert [] == [link for link, _ in links if not (written.parent / link).exists()]
    inside = [(written.parent / link if link else written, name) for link, name in links if name]
    assert [] == [(page.name, name) for page, name in inside if name not in readme.anchors(page)]


def test_the_commands_to_try_can_be_pasted(tmp_path):
    readme.prepare(tmp_path)
    tried = [line.replace("\n", " ") for line in re.findall(r"`(convcli [^`]+)`", readme.TEXTBOOK.read_text())]
    assert len(tried) > 4
    assert [] == [line for line in tried if not readme.shell(f"{line} && echo done", tmp_path).endswith("done\n")]


def test_every_picture_is_shown_and_small():
    shown = {name for page in readme.PAGES for name in readme.SHOWN.findall(page.read_text())}
    assert {path.name for path in readme.PICTURES.iterdir()} == shown
    assert [] == [name for name in shown if (readme.PICTURES / name).stat().st_size > 40_000]
