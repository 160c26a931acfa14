"""The help of every command: one sentence, examples that run, then what it takes in two steps, within 80 columns."""

import re
import shlex
import shutil
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

import onnx_files
import readme
from command import read_by_typer
from convcli import cli
from convcli.commands import COMMANDS, command_function
from convcli.options.declare import declared
from convcli.options.help import help_text, told

SHELL = ("|", ">", "*", "<(")
"""What an example needs a shell for."""
LEAST_EXAMPLES, MOST_LINES = 3, 60
ALONE = ("conv2d", "conv3d", "upsample", "separable", "dilate", "shapes", "flops", "completion")
"""Commands that need words."""


@pytest.fixture(params=COMMANDS)
def command(request):
    """Each command in turn."""
    return request.param


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each command, where its examples run one after the other."""
    return {name: prepared(tmp_path_factory.mktemp(name)) for name in COMMANDS}


def prepared(place):
    """A folder with every file that the examples read, and `convcli` on the path of its shell."""
    readme.prepare(place)
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    for name in ("photo.jpg", "photo.png", "rgb.png"):
        iio.imwrite(place / name, photo)
    for name in ("small.tif", "small.png"):
        iio.imwrite(place / name, photo[:12, :14, 0])
    scale = {"imagej": True, "resolution": (2.0, 2.0), "metadata": {"axes": "ZYX", "spacing": 1.0, "unit": "um"}}
    tifffile.imwrite(place / "stack.tif", rng.integers(0, 999, (9, 20, 24), dtype=np.uint16), **scale)
    np.save(place / "volume.npy", rng.random((9, 20, 24), dtype=np.float32))
    np.save(place / "weights.npy", rng.random((8, 3, 1, 1), dtype=np.float32))
    np.save(place / "bank.npy", rng.random((8, 3, 3, 3), dtype=np.float32))
    weights = rng.random((8, 3, 7, 7), dtype=np.float32)
    tensors = [onnx_files.tensor("w", weights.shape, raw=weights.tobytes()), onnx_files.floats("b", range(8))]
    layer = onnx_files.node("Conv", "x w b", "y", "/conv1/Conv", strides=[2, 2], pads=[3, 3, 3, 3])
    (place / "model.onnx").write_bytes(onnx_files.small([layer], tensors))
    (place / "network.toml").write_text('input = "3@64x64"\nlayers = ["conv3-8p1", "max2/2", "fc-10"]\n')
    (place / "model.txt").write_text(MODEL)
    return place


MODEL = """Sequential(
  (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (1): ReLU()
  (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
)
"""


def examples():
    """Every example of every command."""
    return [example for name in COMMANDS for example in told(command_function(name)).examples]


def test_a_command_begins_with_a_sentence_and_has_several_examples(command):
    about = told(command_function(command))
    assert about.sentence.endswith(".")
    assert len(about.examples) >= LEAST_EXAMPLES
    assert all(f"convcli {command} " in f"{example} " for example in about.examples)


@pytest.mark.parametrize("example", examples())
def test_an_example_can_be_pasted(example, folders, monkeypatch, capfd):
    folder = folders[next(word for word in example.split() if word in COMMANDS)]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))  # what tune keeps
    if any(sign in example for sign in SHELL):
        code, said = run_in_shell(example, folder)
    else:
        code, said = cli.run(shlex.split(example)[1:]), ""
    assert 0 == code, said + capfd.readouterr().err


def run_in_shell(example, folder):
    """The exit code of a line of bash, and what it said."""
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder)}
    line = ["/bin/bash", "-o", "pipefail", "-c", example]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, check=False)
    return done.returncode, done.stderr.decode()


BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""A block of a page, and its language; without one it shows commands, not what they print."""


def test_the_commands_that_a_page_only_shows_can_be_pasted(tmp_path):
    folder = prepared(tmp_path)
    for name in ("a.png", "c.png"):
        shutil.copy(folder / "photo.png", folder / name)
    for name in ("out", ".zfunc", ".config/fish/completions", ".local/share/bash-completion/completions"):
        (folder / name).mkdir(parents=True)
    pages = "\n".join(page.read_text() for page in readme.PAGES)
    text = re.sub("<!-- setup -->.*<!-- end setup -->", "", pages, flags=re.DOTALL)
    lines = [line for kind, block in BLOCK.findall(text) if not kind for line in block.splitlines()]
    assert len(lines) > 2
    assert [] == [(line, said) for line in lines for code, said in [run_in_shell(line, folder)] if code]


@pytest.mark.parametrize("whole", [False, True], ids=["daily", "whole"])
def test_the_help_shows_the_sentence_then_the_examples_then_options(command, whole):
    about, shown = told(command_function(command)), help_text(command, command_function(command), whole=whole)
    parts = [
        about.sentence[:40],
        *(f"  {example}\n" for example in about.examples),
        "\n  -h, --help  ",
        "\n  --help-all  ",
    ]
    places = [shown.replace(" \\\n    ", " ").index(part) for part in parts]
    assert sorted(places) == places
    told_of = {
        tuple(line.split()) for line in re.findall(r"^  (-[^ ]+(?:, -[^ ]+)*(?: [^ ]+)?)(?:  |$)", shown, re.MULTILINE)
    }
    for each in declared(command_function(command)):
        value = "" if each.is_flag else f"[={each.metavar}]" if each.is_optional else f" {each.metavar}"
        typed = tuple(f"{', '.join(each.names)}{value}".split())
        assert (whole or each.is_daily) == (typed in told_of if each.names else f"  {each.metavar}  " in shown), typed


@pytest.mark.parametrize("columns", ["80", "120"])
def test_what_is_used_most_is_told_within_sixty_lines(command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert 0 == cli.run([command, "--help"])
    assert len(capsys.readouterr().out.splitlines()) <= MOST_LINES


def test_the_help_of_a_command_can_be_asked_for_in_words(command, capsys):
    assert 0 == cli.run(["help", command])
    asked = capsys.readouterr().out
    assert 0 == cli.run([command, "--help"])
    assert asked == capsys.readouterr().out


def test_the_list_of_commands_can_be_asked_for_in_words(capsys):
    assert 0 == cli.run(["help"])
    asked = capsys.readouterr().out
    assert 0 == cli.run(["--help"])
    assert asked == capsys.readouterr().out
    assert [] == [
        name for name, does in COMMANDS.items() if not re.search(f"^  {name} +{re.escape(does)}$", asked, re.M)
    ]
    assert 2 == cli.run(["help", "conv2"])
    assert "'conv2': no such command; did you mean: convcli help conv2d" in capsys.readouterr().err


def test_the_version_has_a_short_name(capsys):
    assert 0 == cli.run(["--version"])
    long = capsys.readouterr().out
    assert 0 == cli.run(["-V"])
    assert long.startswith("convcli ")
    assert long == capsys.readouterr().out


@pytest.mark.parametrize("name", ALONE)
def test_a_command_alone_that_needs_words_shows_its_help_and_fails(name, capsys):
    assert 2 == cli.run([name])
    printed, said = capsys.readouterr()
    assert "" == printed
    *shown, empty, line = said.splitlines()
    assert help_text(name, command_function(name)).splitlines() == shown
    assert "" == empty
    assert line.startswith("convcli: ")
    assert 2 == cli.run([name, "--nonsense"])  # who typed more knows the command
    assert 1 == len(capsys.readouterr().err.splitlines())


def test_every_choice_is_explained(command):
    for each in declared(command_function(command)):
        assert [] == [word for word in each.mark.choices if word not in each.mark.help], each.names


def test_a_value_that_is_no_choice_is_refused(command, capfd):
    for each in declared(command_function(command)):
        if each.mark.choices and each.names:
            words = [word for other in declared(command_function(command)) for word in required(other)]
            given = [f"{each.names[-1]}=nonsense"] if each.is_optional else [each.names[-1], "nonsense"]
            assert 2 == cli.run([command, *words, *given])
            assert f"convcli: '{each.names[-1]}': unknown value 'nonsense'; " in capfd.readouterr().err


def required(each):
    """Words that satisfy a parameter which must be given."""
    if not each.is_required:
        return []
    return [each.names[0], "box:3"] if each.names else ["none.png"]


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_the_help_fits_80_columns(command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert 0 == cli.run([command, "--help-all"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["--help", "--help-all"])
def test_the_help_is_the_same_among_other_words(command, name, capsys):
    assert 0 == cli.run([command, name])
    first = capsys.readouterr().out
    assert read_by_typer(command, [name]) is None
    assert first == capsys.readouterr().out
    assert 0 == cli.run([command, "-h", name])  # no plain line
    assert first == capsys.readouterr().out


def test_the_help_of_a_command_needs_no_parser(command):
    program = f"import sys; from convcli.cli import run; run([{command!r}, '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"typer", "rich", "numpy"} & set(done.stdout.splitlines()[-1].split())
