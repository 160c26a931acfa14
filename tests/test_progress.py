"""A line tells how far an input is once it has taken a second: by the clock, on a terminal, and nowhere else."""

import io
import os
import re
import time
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest

from command import start
from convcli import cli, formats
from convcli.engine.stages import filter as stage
from convcli.runs import one, progress

LONG = 0.3  # seconds, against a patience of some milliseconds
PICTURE = (np.arange(120, dtype="u1").reshape(10, 12), np.arange(4000, dtype="u1").reshape(50, 80))
COMMANDS = {
    "conv2d": ("-k", "box:3"),
    "separable": ("--depthwise", "box:3", "--pointwise", "1", "--axes", "YX"),
    "upsample": ("-k", "bilinear"),
    "upsample --scale": ("-k", "bilinear", "--scale", "1.5"),
    "dilate": ("-k", "box:3", "--rate", "2"),
    "dilate --rates": ("-k", "box:3", "--rates", "1,2"),
    "dilate --chain": ("-k", "box:3", "--chain", "1,2"),
}


class Terminal(io.StringIO):
    """What somebody sees."""

    encoding = "utf-8"

    def isatty(self):
        return True

    @property
    def frames(self):
        """The lines that were drawn over each other."""
        return re.findall(r"\r\x1b\[K\x1b\[\?7l(.*?)\x1b\[\?7h", self.getvalue())


@pytest.fixture(autouse=True)
def impatient(tmp_path, monkeypatch):
    """Nobody is patient."""
    np.save(tmp_path / "in.npy", PICTURE[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "PATIENCE", 0.02)
    monkeypatch.setattr(progress, "OFTEN", 0.01)
    monkeypatch.setenv("TERM", "xterm")


def slow(function):
    """The function, as if it took long; C code that lets other threads run takes its time so."""

    def call(*args, **more):
        time.sleep(LONG)
        return function(*args, **more)

    return call


def seen(*words, code=0, terminal=Terminal):
    """What somebody sees of a command."""
    with redirect_stderr(terminal()) as shown:
        assert code == cli.run(words)
    return shown


def run(command, *more, **kind):
    """What somebody sees of a command on a small image."""
    return seen(command.split()[0], "in.npy", *COMMANDS[command], "-o", "out.npy", *more, **kind)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("phase", ["looking", "reading", "computing", "writing"])
def test_every_phase_of_every_command_is_told_of(command, phase, monkeypatch):
    patched = {
        "looking": (one, "probe"),
        "reading": (one, "read"),
        "writing": (one.Course, "write"),
    }
    if phase == "computing":
        monkeypatch.setattr(one, "check_size", lambda _: None)
        works = one.Course.at_once
        monkeypatch.setattr(one.Course, "at_once", lambda self: works(self._replace(work=Slow(self.work))))
    else:
        owner, name = patched[phase]
        monkeypatch.setattr(owner, name, slow(getattr(owner, name)))
    terminal = run(command)
    assert [frame for frame in terminal.frames if frame.startswith(f"in.npy: {phase}")]
    assert not terminal.getvalue().rpartition("\x1b[K")[2].startswith("in.npy: ")  # it is gone


class Slow:
    """Work that takes long."""

    def __init__(self, work):
        self._work = work

    def __getattr__(self, name):
        return getattr(self._work, name)

    def run(self, *args, **more):
        return slow(self._work.run)(*args, **more)


@pytest.mark.parametrize("name", ["in.npy", "in.png"])
def test_work_by_windows_is_told_of(name, monkeypatch):
    if name == "in.png":
        from convcli.image import Image, ImageInfo

        image = Image(ImageInfo(PICTURE[1].shape, "uint8", "YX"), PICTURE[1])
        Path("in.png").write_bytes(formats.encode(image, "png"))
    monkeypatch.setattr(one, "LONG", 1)
    monkeypatch.setattr(stage, "store_tile", slow(stage.store_tile))
    monkeypatch.setattr(stage.FilterStage, "fill", slow(stage.FilterStage.fill))
    terminal = seen("conv2d", name, "-k", "box:3", "-o", "out.tif", "--threads", "1")
    assert [frame for frame in terminal.frames if f"{name}: computing" in frame]


def test_one_long_tile_is_no_silence(monkeypatch):
    monkeypatch.setattr(stage, "store_tile", slow(stage.store_tile))
    frames = run("conv2d", "--threads", "1", "-m", "gemm").frames
    assert 5 < len([frame for frame in frames if "computing" in frame and "0 %" in frame])


def test_how_far_it_is_follows_the_outputs():
    told = progress.Progress("a.npy")
    told.enter("computing", 200)
    told.add(50)
    assert "a.npy: computing [######------------------]  25 %, 0 s" in told.text
    told.add(500)
    assert "100 %" in told.text


@pytest.mark.parametrize("option", ["-q", "dumb", "pipe"])
def test_nobody_who_does_not_look_is_told(option, monkeypatch):
    if option == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(one, "read", slow(one.read))
    terminal = run("conv2d", *["-q"] * (option == "-q"), terminal=io.StringIO if option == "pipe" else Terminal)
    assert "\r" not in terminal.getvalue()


def test_a_short_input_is_not_told_of(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 60.0)
    assert [] == run("conv2d").frames


def test_an_input_that_fails_leaves_its_error_alone_on_the_line(monkeypatch):
    os.truncate("in.npy", 150)
    monkeypatch.setattr(one, "probe", slow(one.probe))
    terminal = run("conv2d", code=1)
    assert terminal.frames
    assert terminal.getvalue().rpartition("\x1b[K")[2].startswith("convcli: 'in.npy'")


def test_a_line_keeps_to_its_row(monkeypatch):
    monkeypatch.setattr(progress, "columns", lambda: 30)
    with redirect_stderr(Terminal()) as terminal:
        progress.redraw("x" * 100)
    assert ["x" * 29] == terminal.frames


def watched(*words, until):
    """What a terminal shows of a run, up to a text."""
    import pty

    ours, theirs = pty.openpty()
    process = start(*words, stderr=theirs)
    os.close(theirs)
    shown = b""
    while until not in shown:
        try:
            shown += os.read(ours, 10_000)
        except OSError:  # the other end is closed
            break
    process.kill()
    process.communicate()
    os.close(ours)
    return shown


def test_a_batch_of_long_inputs_shows_that_time_passes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3000, 3000), "f4"))
    words = ("-k", "gabor:40,30,20", "-m", "direct", "--jobs", "1", "-o", f"{tmp_path}/{{index}}.npy")
    shown = watched("conv2d", tmp_path / "a.npy", tmp_path / "a.npy", *words, until=b", 1 s")
    assert b"0 of 2 [------------------------]   0 %, 1 s" in shown


def test_a_real_terminal_shows_a_long_input(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3000, 3000), "f4"))
    words = ("-k", "gabor:40,30,20", "-m", "direct", "--threads", "1", "-o", tmp_path / "o.npy")
    shown = watched("conv2d", tmp_path / "a.npy", *words, until=b"computing")
    assert b"a.npy: computing [" in shown
    assert b"a.npy: looking" not in shown.partition(b"\x1b[K")[0]
