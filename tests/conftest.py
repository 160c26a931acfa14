"""What all tests share: fixtures; `pytest --update` rewrites the blocks and tables of README and completion scripts."""

import os
import signal
import tempfile
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import convcli.report
from browsers import browser  # noqa: F401 -- a fixture for all tests
from command import EXIT_CODES, InProcess
from faults import GREY
from needs import skip_what_cannot_be
from reports import checked
from services import dask, s3, s3_running  # noqa: F401 -- fixtures for all tests

os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="convcli-state-")  # journals of the runs that are tested
os.environ["CONVCLI_PROFILE"] = ""  # plans are made with the numbers shipped, whoever runs the tests
os.environ["PYTHONSAFEPATH"] = "1"  # child processes import what is installed, not what lies where they start

for number in EXIT_CODES:  # shells have what they start in the background ignore Ctrl-C, which child processes inherit
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)

convcli.report.Report.as_dict = checked(convcli.report.Report.as_dict)  # every report of every test is valid


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite the README's console blocks, tables and pictures")
    parser.addoption("--all", action="store_true", help="run every case of every sweep, not a share of them")


def pytest_configure(config):
    config.addinivalue_line("markers", "sweep(n): many cases alike; one in n is run, or with --all each")


def pytest_collection_modifyitems(config, items):
    skip_what_cannot_be(items)
    if not config.getoption("--all"):
        left = [item for item in items if not is_chosen(item)]
        items[:] = [item for item in items if is_chosen(item)]
        config.hook.pytest_deselected(items=left)


def is_chosen(item):
    """Whether a case is run: of a sweep one in so many, always the same, of all its parameters alike."""
    sweep = item.get_closest_marker("sweep")
    return sweep is None or zlib.crc32(item.name.encode()) % sweep.args[0] == 0


@pytest.fixture
def update(request):
    """True where generated text is to be rewritten instead of compared."""
    return request.config.getoption("--update")


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    """The command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return InProcess(capfd)


@pytest.fixture
def jxrlib_here(monkeypatch):
    """JPEG XR in this process: what is sound needs none of its own, which takes a third of a second for each file."""
    from convcli.formats.codecs import imagecodecs as installed

    if (imagecodecs := installed()) is None:
        return
    from convcli.formats.jpegxr import child, whole

    monkeypatch.setattr(whole, "decoded", lambda content, _: child.pixels_of(content))
    monkeypatch.setattr(whole, "encoded", lambda data, level: bytes(imagecodecs.jpegxr_encode(data, level)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: eight different pictures, the folder `out`, and no journals of other tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for number in range(8):
        iio.imwrite(f"{number}.png", np.roll(GREY, number))
    Path("out").mkdir()
    return tmp_path
