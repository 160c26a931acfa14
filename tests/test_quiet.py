"""-q leaves warnings, -qq nothing but errors: of every command, of one file and of many, wherever the work is done."""

import json
from pathlib import Path

import numpy as np
import pytest

from command import convcli
from convcli import cli
from convcli.commands import command_function
from convcli.options.declare import declared
from convcli.options.line import plain_values, read_line
from convcli.options.parse import parsed_values

DARK = "0 -9 0; 0 9 0; 0 1 0"
"""A kernel under which the samples below are clipped."""
COMMANDS = {
    "conv2d": ("conv2d", "a.npy", "--axes", "YX", "-k", DARK),
    "conv3d": ("conv3d", "z.npy", "--axes", "ZYX", "-k", f"{DARK}|{DARK}"),
    "upsample": ("upsample", "a.npy", "--axes", "YX", "-k", DARK, "--normalize", "none"),
    "separable": ("separable", "c.npy", "--axes", "YXC", "--depthwise", DARK, "--pointwise", "p.npy", "-t", "uint8"),
    "dilate": ("dilate", "a.npy", "--axes", "YX", "-k", DARK, "--rate", "1"),
}
QUIETS = ["-q"], ["--quiet"], ["-qq"], ["-q", "-q"], ["--quiet", "-q"], ["-qqq"], ["-fqq"]


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """Noise, which is clipped, and a grey plane, which is not."""
    monkeypatch.chdir(tmp_path)
    data = np.random.default_rng(0).integers(0, 256, (3, 20, 24), "u1")
    np.save("a.npy", data[0])
    np.save("b.npy", data[1])
    np.save("z.npy", data)
    np.save("c.npy", np.moveaxis(data, 0, -1))
    np.save("p.npy", np.ones((2, 3), "f4"))
    np.save("plain.npy", np.full((20, 24), 100, "u1"))


def told(capfd, *words):
    """The exit code of a command, the lines on standard error, and what it printed."""
    code = cli.run([*map(str, words)])
    out, err = capfd.readouterr()
    return code, err.splitlines(), out


@pytest.mark.parametrize("command", COMMANDS)
def test_q_leaves_the_warnings_of_the_report_and_qq_nothing(command, capfd):
    words = (*COMMANDS[command], "-f", "-o", "o.npy")
    code, report, _ = told(capfd, *words)
    warnings = [line.split(maxsplit=1)[1] for line in report if line.startswith("warning")]
    assert (0, True) == (code, any("were set to" in text for text in warnings))
    name = words[1]
    assert (0, [f"warning  {name}: {text}" for text in warnings], "") == told(capfd, *words, "-q")
    assert (0, [], "") == told(capfd, *words, "-qq")


@pytest.mark.parametrize("quiet", QUIETS, ids=" ".join)
def test_how_often_it_is_given_counts_however_it_is_spelled(quiet, capfd):
    times = " ".join(quiet).replace("--quiet", "q").count("q")
    code, lines, _ = told(capfd, *COMMANDS["conv2d"], "-o", "o.npy", *quiet)
    assert (0, 1 if times == 1 else 0) == (code, min(1, len(lines)))
    taken, name = declared(command_function("conv2d")), "conv2d"
    line = read_line(taken, ["a.npy", "-k", "box:3", *quiet])
    assert times == plain_values(taken, line)["quiet"] == parsed_values(name, command_function(name), line)["quiet"]


def test_it_takes_no_number(capfd):
    code, lines, _ = told(capfd, *COMMANDS["conv2d"], "-o", "o.npy", "--quiet=2")
    assert (2, ["convcli: '--quiet': takes no value [usage]"]) == (code, lines)


def test_what_warns_of_nothing_says_nothing(capfd):
    assert (0, [], "") == told(capfd, "conv2d", "plain.npy", "--axes", "YX", "-k", "box:3", "-o", "o.npy", "-q")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_batch_warns_of_each_kind_once(jobs, capfd):
    """As in its report: 2 of the 3 files are clipped."""
    words = ("conv2d", "a.npy", "b.npy", "plain.npy", "--axes", "YX", "-k", DARK, "-o", "o/", "--jobs", jobs, "-f")
    _, report, _ = told(capfd, *words)
    warnings = [line for line in report if line.startswith("warning")]
    assert warnings
    assert all("2 files, as a.npy: " in line for line in warnings)
    for more in ([], ["-v"], ["--json"]):
        code, lines, _ = told(capfd, *words, "-q", *more)
        assert (0, [line.split() for line in warnings]) == (code, [line.split() for line in lines])
        assert (0, []) == told(capfd, *words, "-qq", *more)[:2]


def test_errors_stay(capfd):
    words = ("conv2d", "a.npy", "--axes", "YX", "-k", DARK, "-f")
    for quiet in QUIETS:
        code, (line,), _ = told(capfd, *words, "-o", "o.npy", "--strict", *quiet)
        assert (1, True) == (code, line.startswith("convcli: 'a.npy': ")), line
        code, (line,), _ = told(capfd, *words, "-o", "none/o.npy", *quiet)
        assert (1, True) == (code, line.startswith("convcli: "))
    code, lines, _ = told(capfd, *words[:2], "none.npy", *words[2:], "-o", "o/", "-qq")
    assert (3, ["convcli: 'none.npy': no such file or folder [not-found]"]) == (code, lines)


def test_json_tells_warnings_however_quiet(capfd):
    words = (*COMMANDS["conv2d"], "-f", "-o", "o.npy", "--json")
    (_, _, full), (_, warned, quiet), (_, nothing, silent) = (
        told(capfd, *words, *more) for more in ([], ["-q"], ["-qq"])
    )
    facts = [json.loads(text)["warnings"] for text in (full, quiet, silent)]
    assert facts[0]
    assert facts[0] == facts[1] == facts[2]
    assert ([f"warning  a.npy: {text}" for text in facts[0]], []) == (warned, nothing)


def test_a_pipe_warns_without_touching_the_pixels():
    raw = Path("a.npy").read_bytes()
    done = {
        quiet: convcli("conv2d", "-", "--axes", "YX", "-k", DARK, "-o", "-", "--format", "npy", quiet, stdin=raw)
        for quiet in ("-q", "-qq")
    }
    assert done["-q"].stdout == done["-qq"].stdout
    assert b"" == done["-qq"].stderr
    assert {b"warning  -: "} == {line[:12] for line in done["-q"].stderr.splitlines()}


def test_a_batch_without_a_journal_is_a_warning(capfd, monkeypatch):
    Path("no").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(Path("no").resolve()))
    words = ("conv2d", "plain.npy", "plain.npy", "--axes", "YX", "-k", "box:3", "-o", "{index}.npy", "-f")
    code, lines, _ = told(capfd, *words, "-q")
    assert (0, [True]) == (code, ["keeps no journal" in line for line in lines])
    assert (0, []) == told(capfd, *words, "-qq")[:2]


def test_work_on_a_cluster_is_as_quiet(capfd):
    pytest.importorskip("distributed")
    words = ("conv2d", "a.npy", "plain.npy", "--axes", "YX", "-k", DARK, "-o", "o/", "-f", "--scheduler", "local:1")
    code, lines, _ = told(capfd, *words, "-q")
    assert (0, True) == (code, bool(lines) and all("1 file, as a.npy: " in line for line in lines)), lines
    assert (0, []) == told(capfd, *words, "-qq")[:2]
