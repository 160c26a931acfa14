"""Text from outside (names of files, kernels and layers) in all forms of output: no control character, no formula."""

import csv
import io
import json

import numpy as np
import pytest

from command import convcli
from convcli.numerals import is_decimal
from convcli.tables import Table, show

STARTS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' -C calc'!A0", "＝1+1", " =1+1")
CONTROLS = ("a\x1b[31mb", "a\x9b31mb", "\ra", "a\nb", "\tb", "a\x07", "a\u202eb", "a\x7fb", "a\u2028b", "é")
FORMS = ("--csv", "--json", "--markdown", "")
PRINTED = ["kernels", "shapes", "flops"]


def is_formula(text):
    """True for a cell that a spreadsheet would run."""
    return text.strip()[:1] in tuple("=+-@＝＋－＠") and not is_decimal(text.strip())


def check_clean(output):
    """Nothing but what can be printed, line by line."""
    text = output.decode()
    assert [] == [c for c in text if not (c.isprintable() or c == "\n")]
    return text


def strings(data):
    """Every text in data, and what follows a # in it."""
    if isinstance(data, str):
        yield from (data, data.rpartition("#")[2])
    elif isinstance(data, (dict, list)):
        for each in data.values() if isinstance(data, dict) else data:
            yield from strings(each)


@pytest.fixture
def say(tmp_path):
    """Has a command say something of a hostile name, in some form: (its output, what it calls the thing)."""

    def run(command, name, form):
        if command == "kernels":
            (tmp_path / f"{name}.txt").write_text("1 2 1\n")
            return convcli("kernels", f"{name}.txt", *[form] * bool(form), cwd=tmp_path), f"{name}.txt"
        word = "".join(c for c in name if c not in "[]()" and not c.isspace())
        return convcli(command, "3@8x8", f"conv3-4#{word}", *form.split()), word

    return run


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", PRINTED)
def test_what_is_printed_can_be_printed_and_is_no_formula(say, command, form):
    for name in ("".join(CONTROLS), *STARTS[:2]):
        done, called = say(command, name, form)
        assert 0 == done.returncode, done.stderr
        text = check_clean(done.stdout)
        check_clean(done.stderr)
        if form == "--json":
            assert called in list(strings(json.loads(text)))
        if form == "--csv":
            assert [] == [cell for row in csv.reader(io.StringIO(text)) for cell in row if is_formula(cell)]


def test_formulas_are_explained_without_control_characters(say):
    done, _ = say("shapes", "".join(CONTROLS), "--explain")
    assert 0 == done.returncode
    check_clean(done.stdout)


@pytest.mark.parametrize("start", STARTS)
def test_a_cell_that_would_be_a_formula_is_marked_as_text_and_numbers_stay_numbers(start, capsys):
    show(Table([start, "n"], [[start, -1], ["-1.5", -0.5], ["-1 0 1", None]], notes=[start]), "csv")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [[f"'{start}", "n"], [f"'{start}", "-1"], ["-1.5", "-0.5"], ["'-1 0 1", ""]] == rows


@pytest.mark.parametrize("text", CONTROLS[:-1])
@pytest.mark.parametrize("style", ["csv", "markdown", "rich"])
def test_control_characters_are_made_visible_in_every_style(text, style, capsys):
    show(Table(["a"], [[text]], title=text, notes=[text], footer=[text]), style)
    check_clean(capsys.readouterr().out.encode())


def test_markup_in_a_cell_of_markdown_is_text(capsys):
    show(Table(["a"], [["<img src=x>"], ["[a](b)"], ["`x`"], ["a|b"]]), "markdown")
    expected = ["| \\<img src=x> |", "| [a]\\(b) |", "| \\`x\\` |", "| a\\|b |"]
    assert expected == capsys.readouterr().out.splitlines()[2:]


@pytest.mark.parametrize("options", [(), ("-q",), ("--explain",), ("--json",), ("--report", "r.json"), ("--strict",)])
def test_a_filter_tells_of_hostile_names_without_control_characters(options, tmp_path):
    name, kernel = f"{''.join(CONTROLS)}.npy", f"{CONTROLS[0]}.txt"
    np.save(tmp_path / name, np.ones((5, 6), "u1"))
    (tmp_path / kernel).write_text("1 2 1\n")
    done = convcli("conv2d", name, f"x{name}", "-k", kernel, "-o", "o{name}", *options, cwd=tmp_path)
    check_clean(done.stdout + done.stderr)
    if "--report" in options:
        first = json.loads((tmp_path / "r.json").read_bytes().splitlines()[0])
        check_clean((tmp_path / "r.json").read_bytes())
        assert (name, f"o{name}") == (first["input"], first["output"])
