"""Command lines read without the parser: the same values as the parser's, and nothing heavy imported for them."""

import random
import subprocess
import sys

import pytest
from PIL import Image

from command import read_by_typer, read_plainly
from convcli.commands import COMMANDS, command_function
from convcli.errors import UsageError
from convcli.options.declare import Declared, declared, kinds

VALUES = (
    "box:3",
    "2",
    "0",
    "-",
    "",
    "1,2",
    "in.png",
    "0.5",
    "1e-3",
    "a=b",
    "nan",
    "7 ",
    "٣",
    "-1 0 1",
    "--json",
    "é\udcff",
)
WORDS = ("3@8x8", "conv3-4p1", "in.png", "-", "", "vs", "--", "-h", "--help", "-x", "--nonsense", "--nonsense=1", "-fq")
LINES = 150
"""Random lines for each command; the parser takes some milliseconds for each."""


def piece(random_: random.Random, each: Declared) -> list[str]:
    """An option as somebody may type it, mostly right."""
    name = random_.choice(each.names)
    if each.is_flag:
        return [name if random_.random() < 0.95 else f"{name}=1"]
    if random_.random() < 0.05:
        return [name[:-1]] if random_.random() < 0.5 else [name]
    numbers = VALUES[1:3] if kinds(each.type)[0] in (int, float) and random_.random() < 0.7 else VALUES
    value = random_.choice(numbers)
    return [f"{name}={value}"] if random_.random() < 0.3 else [name, value]


def line(random_: random.Random, taken: list[Declared]) -> list[str]:
    """A random command line behind the command."""
    options = [each for each in taken if each.names]
    pieces = [piece(random_, each) for each in options if each.is_required]
    pieces += [piece(random_, random_.choice(options)) for _ in range(random_.choice((0, 1, 2, 4)) * bool(options))]
    pieces += [[random_.choice(WORDS[:3] if random_.random() < 0.9 else WORDS)] for _ in range(random_.randint(0, 3))]
    random_.shuffle(pieces)
    return [word for part in pieces for word in part]


def outcome(read, *words):
    """What a reader makes of a command line: values, or what it says."""
    try:
        return read(*words)
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_line_means_the_same_with_and_without_the_parser(name, capsys):
    taken, plain = declared(command_function(name)), 0
    for seed in range(LINES):
        words = line(random.Random(seed), taken)
        found = outcome(read_plainly, name, words)
        if found is not None:
            assert repr(found) == repr(outcome(read_by_typer, name, words)), words
            plain += isinstance(found, dict)
        elif not capsys.readouterr().out:
            assert "issing" in str(outcome(read_by_typer, name, words)) or capsys.readouterr().out
    assert LINES / 10 < plain < LINES or name in ("completion", "help")  # they take a few words, and nothing else


@pytest.mark.parametrize("words", ["1@8x8 conv3 -h", "1@8x8 conv3 --help", "--help 1@8x8", "1@8x8 --help-all"])
def test_help_is_left_to_the_parser(words):
    assert read_plainly("shapes", words.split()) is None


def test_a_value_that_must_be_given_is_missed_by_the_parser():
    assert read_plainly("dilate", ["in.png"]) is None


def test_what_may_be_given_again_is_kept_in_order():
    values = read_plainly("conv2d", "-k box:3 a.png --kernel=sobel b.png -j 2".split())
    assert (["box:3", "sobel"], ["a.png", "b.png"], 2) == (values["kernel"], values["inputs"], values["jobs"])


def test_lists_of_two_runs_are_not_one():
    read_plainly("conv2d", ["-k", "box:3", "--pattern", "*.png"])
    assert not read_plainly("conv2d", ["-k", "box:3"])["pattern"]


HEAVY = {"typer", "click", "rich", "numpy", "dataclasses", "inspect", "pathlib", "ast", "tempfile", "logging"}
QUICK = (
    "",
    "--help",
    "shapes 1@6x6 conv3-1/2p1",
    "shapes 1@32x64x64 conv3-8p1 max2/2 --explain",
    "shapes 3@224x224 conv7-64/2p? --want 112x112",
    "shapes 3@225x225 conv3-8/2p1 max2/2 --inputs --markdown",
    "shapes 64@56x56 conv3-64p1 vs conv3-64p2d2 --csv",
    "flops 3@224x224 conv7-64/2p3 max3/2p1",
    "flops 3@224x224 conv7-64/2p3 max3/2p1 --json --explain",
    "flops 3@224x224 conv7-64/2p3 max3/2p1 --with=bias,pool --batch 8",
    "flops 3@224x224 25*conv3-3p1 --budget 2G",
    "flops 64@56x56 conv3-64p1 --algorithms --json",
)
LOADED = """
import sys
before = set(sys.modules)
from convcli.cli import run
code = run(sys.argv[1:])
print(*set(sys.modules) - before, file=sys.stderr)
sys.exit(code)
"""


def loaded(*words):
    """The modules that a command line imports, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", QUICK)
def test_a_question_imports_neither_the_parser_nor_what_takes_long(words):
    assert set() == HEAVY & loaded(*words.split())


@pytest.mark.parametrize("words", ["", "--help"])
def test_the_list_of_commands_loads_neither_typing_nor_tables(words):
    """They take half as many instructions as all else."""
    assert not {"typing", "re", "convcli.tables", "convcli.numerals"} & loaded(*words.split())


UNUSED = {"typer", "rich", "xml", "email", "http", "ssl", "socket", "urllib.request", "fractions", "tempfile", "json"}
"""What no filter of a picture needs: its parser, what other formats are written in, networks."""
OTHER = ("beside", "dilated", "masks", "pair", "resampled", "selected", "transposed")
OTHERS = {f"convcli.operations.{name}" for name in OTHER}


@pytest.mark.parametrize("kernel", ["box:3", "sharpen", "gaussian:2", "1 2; 3 4"])
def test_a_picture_is_filtered_without_the_parser_and_without_what_other_work_needs(kernel, tmp_path):
    png = tmp_path / "in.png"
    Image.new("RGB", (9, 9), "red").save(png)
    assert not (UNUSED | OTHERS) & loaded("conv2d", str(png), "-k", kernel, "-o", str(tmp_path / "out.png"), "-q")
