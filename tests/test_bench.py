"""Benchmarks measure the convcli that is installed, whatever sources lie in the folder that they are started in."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import convcli

BENCH = Path(__file__).parent / "bench" / "__init__.py"
PROBE = """
import subprocess, sys
import convcli
from tests import bench
print(bench.measured(3))
print(subprocess.run([sys.executable, "-m", "convcli"], capture_output=True, text=True).stdout)
"""


@pytest.fixture
def checkout(tmp_path):
    """Sources without compiled loops, and the bench beside them."""
    (tmp_path / "tests" / "bench").mkdir(parents=True)
    shutil.copy(BENCH, tmp_path / "tests" / "bench")
    (tmp_path / "tests" / "bench" / "probe.py").write_text(PROBE)
    (tmp_path / "convcli").mkdir()
    for name in ("__init__", "__main__"):
        (tmp_path / "convcli" / f"{name}.py").write_text("print('the sources')")
    return tmp_path


def started(checkout, *options):
    words, env = [sys.executable, *options, "-m", "tests.bench.probe"], {**os.environ, "PYTHONSAFEPATH": ""}
    return subprocess.run(words, cwd=checkout, env=env, capture_output=True, text=True, check=False)


def test_what_is_installed_is_measured_and_named(checkout):
    done = started(checkout)
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith(f"convcli {convcli.__version__} in {Path(convcli.__file__).parent}: ")
    assert ", 3 threads\n" in done.stdout
    assert "the sources" not in done.stdout


def test_where_nothing_is_installed_nothing_is_measured(checkout):
    done = started(checkout, "-S")
    assert 1 == done.returncode
    assert "no convcli installed" in done.stderr
    assert "" == done.stdout


@pytest.fixture
def turns(monkeypatch):
    """What times in turns, apart from the benchmarks, which need their peers."""
    spec = importlib.util.spec_from_file_location("turns", BENCH.with_name("turns.py"))
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "turns", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["engine", "upsampling", "commands"])
def test_ratios_are_written_where_a_page_has_a_place_for_them_and_nowhere_else(turns, part, tmp_path):
    pages = [Path(shutil.copy(page, tmp_path)) for page in turns.PAGES]
    before = [page.read_text() for page in pages]
    job = turns.Measured("3x3", turns.Turns({"convcli": [0.001], "cv2": [0.002]}))
    turns.write_table(part, "here, today", [job], pages)
    (changed,) = [page for page, text in zip(pages, before, strict=True) if page.read_text() != text]
    start, rest = changed.read_text().split(f"<!-- bench {part} -->\n")
    shown, end = rest.split("<!-- end bench -->", 1)
    assert f"`python -m tests.bench {part}`: here, today." in shown
    assert shown.endswith("| 3x3 | 1.0 ms | cv2 2.00 |\n")
    assert any(text.startswith(start) and text.endswith(end) for text in before)
    with pytest.raises(SystemExit, match="no page has a place for it"):
        turns.write_table("weather", "here", [job], pages)
