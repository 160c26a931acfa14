"""Where the system lacks what only Linux and macOS have, everything is there but what needs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import needs
from convcli import convolve, system

HERE = Path(__file__).parent
PIXELS = np.random.default_rng(5).integers(0, 256, (40, 50), np.uint8)


@pytest.fixture
def there(tmp_path):
    """Runs a command line in a folder with three pictures, in a process without what the system lacks."""
    for name in ("a", "b", "c"):
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.png")

    def run(*words, status=0):
        environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [sys.executable, "-W", "error", HERE / "elsewhere.py", *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (status, "") == (done.returncode, "".join(done.stderr.partition("Traceback")[1:])), done.stderr
        return done.stdout + done.stderr

    return run


def pixels(path):
    return np.asarray(Image.open(path))


BLURRED = convolve(PIXELS, "box:3", axes="YX")


def test_the_version_sizes_and_what_the_machine_does_are_told(there):
    assert "convcli" in there("--version")
    assert "222x222" in there("shapes", "3@224x224", "conv3-64")
    assert "this machine" in there("tune", "--show")


def test_a_picture_is_filtered_and_replaced_only_by_force(there, tmp_path):
    there("conv2d", "a.png", "-k", "box:3", "-o", "out.png")
    np.testing.assert_array_equal(BLURRED, pixels(tmp_path / "out.png"))
    assert "exists already" in there("conv2d", "a.png", "-k", "box:5", "-o", "out.png", status=1)
    np.testing.assert_array_equal(BLURRED, pixels(tmp_path / "out.png"))
    there("conv2d", "a.png", "-k", "identity", "-o", "out.png", "--force")
    np.testing.assert_array_equal(PIXELS, pixels(tmp_path / "out.png"))
    assert {"a.png", "b.png", "c.png", "out.png"} == {path.name for path in tmp_path.iterdir()}


def test_a_file_takes_its_own_place(there, tmp_path):
    there("conv2d", "a.png", "-k", "box:3", "--in-place")
    np.testing.assert_array_equal(BLURRED, pixels(tmp_path / "a.png"))


def test_large_images_are_read_by_windows(there, tmp_path):
    np.save(tmp_path / "large.npy", np.tile(PIXELS, (30, 40)))
    there("conv2d", "large.npy", "-k", "box:3", "-o", "out.npy", "--memory", "2MiB")
    np.testing.assert_array_equal(
        convolve(np.tile(PIXELS, (30, 40)), "box:3", axes="YX"), np.load(tmp_path / "out.npy"), strict=True
    )


def test_a_batch_goes_to_processes_that_start_anew(there, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    words = ("conv2d", "a.png", "cut.png", "b.png", "c.png", "-k", "box:3", "-o", "out/{name}", "--jobs", "2")
    said = there(*words, "--json", status=3)
    facts = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert ["done", "failed", "done", "done"] == [each["status"] for each in facts[:4]]
    for name in "abc":
        np.testing.assert_array_equal(BLURRED, pixels(tmp_path / "out" / f"{name}.png"))
    Image.fromarray(PIXELS).save(tmp_path / "cut.png")
    assert "1 of 4" in there(*words, "--resume")


def test_a_process_that_ends_costs_the_file_that_it_was_at():
    from convcli.runs.spawned import Processes

    hands = Processes(2, lambda _, status: ("lost", status), lambda *_: None)
    answers = {task: result for task, result, _ in hands.answers(end_at_three, 10, range(8))}
    assert {**{task: 10 * task for task in range(8)}, 3: ("lost", 7)} == answers


def end_at_three(common, task):
    """Ten times a task; the third ends the process."""
    if task == 3:
        os._exit(7)
    return common * task


@pytest.mark.skipif(not hasattr(os, "sysconf") and sys.platform != "win32", reason="Windows is only played")
def test_what_the_system_tells_is_what_others_tell():
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    assert psutil.virtual_memory().total == system.machine_memory()
    assert psutil.Process().memory_info().rss <= system.peak_memory() * 1.01
    assert system.is_running(os.getpid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not system.is_running(ended.pid)


def test_files_are_read_at_a_place_with_and_without_the_systems_help(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    descriptor = os.open(path, os.O_RDONLY | system.opening())
    try:
        expected = [bytes(range(7, 12)), bytes(range(95, 100)), b""]
        assert expected == [system.read_at(descriptor, 5, place) for place in (7, 95, 100)]
        monkeypatch.delattr(os, "preadv", raising=False)
        assert expected == [system.read_at(descriptor, 5, place) for place in (7, 95, 100)]
    finally:
        os.close(descriptor)


class Kernel:
    """Windows' functions, as far as they are asked: they fill structures."""

    @staticmethod
    def GlobalMemoryStatusEx(status):  # noqa: N802
        assert 64 == int.from_bytes(bytes(status)[:4], "little")
        status[8:16] = (12 << 30).to_bytes(8, "little")
        return 1

    @staticmethod
    def K32GetProcessMemoryInfo(process, counters, size):  # noqa: N802
        assert (-1, 72) == (process, size)
        counters[8:16] = (5 << 20).to_bytes(8, "little")
        return 1

    @staticmethod
    def OpenProcess(_rights, _inherits, process):  # noqa: N802
        return process == 42

    @staticmethod
    def CloseHandle(_handle):  # noqa: N802
        return 1


def test_windows_is_asked_as_its_reference_says(monkeypatch):
    monkeypatch.setattr(system, "_windows", lambda: [Kernel])
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert 12 << 30 == system.machine_memory()
    assert system.is_running(42)
    assert not system.is_running(43)
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(system, "Path", lambda _: Path("/none"))
    assert 5 << 20 == system.peak_memory()


# The tests themselves


def test_modules_of_tests_ask_for_nothing_special_as_they_are_loaded():
    asked = {path.stem: needs.asked_at_import(path) for path in HERE.glob("*.py")}
    assert {} == {name: things for name, things in asked.items() if things}


def test_a_test_is_skipped_by_the_name_of_what_the_system_lacks():
    words = ("-m", "pytest", "-q", "-rs", "-p", "no:xdist", HERE / "test_workers.py")
    done = subprocess.run(
        [sys.executable, HERE / "elsewhere.py", *words],
        cwd=HERE.parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert ["this system lacks os.fork"] == re.findall("SKIPPED.*: (.*)", done.stdout)
