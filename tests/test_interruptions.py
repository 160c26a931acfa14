"""A signal at any moment: one line, or none while Python itself is starting; never a traceback, never half a file.

Where a module is imported, exceptions are worst: C code turns them into errors of its own. So runs are stopped there.
"""

import json
import os
import signal
import subprocess

import imageio.v3 as iio
import numpy as np
import pytest

from command import COMMAND, EXIT_CODES, convcli, environment

AT_IMPORT = """
import json, os, signal, sys

class Stopping:
    stops = json.loads(os.environ["STOPS"])
    def find_spec(self, name, path=None, target=None):
        if name == self.stops["module"] and self.stops["behind"] in sys.modules:
            Stopping.stops = {"module": None}
            for number in numbers:
                os.kill(os.getpid(), number)

numbers = Stopping.stops.pop("numbers")
sys.meta_path.insert(0, Stopping())
"""

JOBS = {
    "image": ("conv2d", "a.npy", "-k", "gaussian:9", "-m", "fft", "--precision", "double", "-o", "out.tif"),
    "picture": ("conv2d", "a.png", "-k", "box:3", "-o", "out.jpg"),
    "table": ("kernels", "gaussian:2"),
    "parser": ("dilate", "a.npy", "-o", "out.npy"),  # without -k, which the parser misses
    "refusal": ("conv2d", "a.npy", "-k", "box:3", "-o", "out.xyz"),
}
MODULES = [
    ("image", "datetime"),  # by NumPy's C code, while NumPy is imported
    *(("image", name) for name in ("numpy", "numpy.linalg", "scipy.fft", "tifffile", "concurrent")),
    *(("picture", name) for name in ("imagecodecs", "imagecodecs._jpeg8", "convcli.formats.jpeg.whole")),
    ("table", "numpy._core.multiarray"),
    *(("parser", name) for name in ("convcli.options.parse", "typer")),
    ("refusal", "difflib"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the module that Python runs when it starts."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(AT_IMPORT)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A folder with an image and a picture."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.random((300, 300), np.float32))
    iio.imwrite(tmp_path / "a.png", rng.integers(0, 256, (300, 300, 3), np.uint8))
    return tmp_path


def stopped(folder, site, job, module, *numbers, behind="convcli.signals"):
    """How a run ends that gets signals where it imports a module; `behind` is imported before."""
    stops = json.dumps({"module": module, "numbers": numbers, "behind": behind})
    return subprocess.run(
        [*COMMAND, *JOBS[job]],
        cwd=folder,
        capture_output=True,
        check=False,
        env=environment(PYTHONPATH=str(site), STOPS=stops),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize(("job", "module"), MODULES)
def test_a_run_stopped_where_it_imports_says_one_line(job, module, folder, site):
    before = sorted(folder.iterdir())
    number = list(EXIT_CODES)[len(module) % 3]
    done = stopped(folder, site, job, module, number, behind="numpy" if module == "datetime" else "convcli.signals")
    assert (EXIT_CODES[number], 1) == (done.returncode, done.stderr.count(b"\n")), done.stderr
    assert done.stderr == f"convcli: stopped by {number.name}; no file is half-written [interrupted]\n".encode()
    assert before == sorted(folder.iterdir())


@pytest.mark.parametrize("number", EXIT_CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("module", ["convcli.__main__", "convcli.cli", "convcli.commands"])
def test_a_run_stopped_before_it_listens_ends_by_the_signal(module, number, folder, site):
    """Ctrl-C is Python's own, with a traceback, until the first line of ours has run."""
    done = stopped(folder, site, "image", module, number, behind="signal" if "__main__" not in module else "sys")
    if number != signal.SIGINT or module != "convcli.__main__":
        assert (-number, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize("second", EXIT_CODES, ids=lambda number: number.name)
def test_a_second_signal_kills_in_the_middle_of_an_import(second, folder, site):
    first = signal.SIGTERM if second != signal.SIGTERM else signal.SIGINT
    done = stopped(folder, site, "image", "numpy.linalg", first, second)
    assert (-second, b"") == (done.returncode, done.stderr)


IN_THE_OPEN = """
import os, signal, sys, time
from convcli.signals import Interrupted, catch_signals, raise_waiting, release_signals

class Stopping:
    def find_spec(self, name, path=None, target=None):
        if name == "colorsys":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Stopping())
catch_signals()
try:
    import colorsys{then}
except Interrupted as stop:
    print(stop.exit_code, "colorsys" in sys.modules)
"""


@pytest.mark.parametrize("then", ["; raise_waiting()", "; time.sleep(5)"])
def test_a_signal_in_an_import_is_raised_behind_it(then):
    run = [COMMAND[0], "-c", IN_THE_OPEN.format(then=then)]
    done = subprocess.run(run, capture_output=True, env=environment(), check=False)
    assert (b"143 True\n", b"") == (done.stdout, done.stderr)


# What lies in the current folder, and in no folder at all

HIJACK = "open('hijacked', 'w').close()\n"
ANY_MODULE = ("numpy", "scipy", "typing", "enum", "signal", "json", "convcli_native", "re", "threading")


@pytest.mark.parametrize(
    "words", [("kernels", "gaussian:2"), ("conv2d", "a.npy", "a.png", "-k", "box:3", "-o", "out/")]
)
def test_no_module_in_the_current_folder_is_run(words, folder):
    """Neither by `python -m convcli`, nor by the workers of a batch."""
    (folder / "out").mkdir()
    for name in ANY_MODULE:
        (folder / f"{name}.py").write_text(HIJACK)
    done = convcli(*words, cwd=folder, env={"PYTHONSAFEPATH": ""})
    assert 0 == done.returncode, done.stderr
    assert not (folder / "hijacked").exists()


def test_tune_times_imports_of_what_is_installed(tmp_path, monkeypatch):
    from convcli.tuning import import_time

    (tmp_path / "numpy.py").write_text(HIJACK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert 0 < import_time("numpy") < 60
    assert not (tmp_path / "hijacked").exists()


NOBODY = "import pwd\ndef getpwuid(uid):\n    raise KeyError('no such user')\npwd.getpwuid = getpwuid\n"
HOMES = {
    "none": {},
    "empty": {"HOME": "", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""},
    "relative": {"HOME": "here", "XDG_CONFIG_HOME": "there", "XDG_STATE_HOME": "."},
    "circle": {"HOME": "{folder}/circle"},
    "device": {"HOME": "/dev/null"},
    "missing": {"HOME": "/no/such/folder"},
}


def without_home(folder, home, *words, **more):
    """A run by a user that the system does not know, in an empty environment with these homes."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(NOBODY)
    named = {name: value.format(folder=folder) for name, value in HOMES[home].items()}
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "site"), "PYTHONSAFEPATH": "1", **named, **more}
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, env=env, check=False)


@pytest.mark.parametrize("home", HOMES)
def test_without_a_home_the_shipped_numbers_are_used_without_a_word(home, folder):
    (folder / "circle").symlink_to("circle")
    words = ("conv2d", "a.npy", "-k", "box:3", "-o", "out.npy", "--strict", "--json")
    done = without_home(folder, home, *words)
    assert 0 == done.returncode, done.stderr
    assert [] == json.loads(done.stdout)["warnings"]
    assert {"a.npy", "a.png", "circle", "out.npy", "site"} == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("home", ["none", "empty", "relative"])
def test_tune_without_a_home_names_the_variable_that_names_a_file(home, folder):
    done = without_home(folder, home, "tune")
    assert (2, 1) == (done.returncode, done.stderr.count(b"\n")), done.stderr
    assert b"no home folder is known" in done.stderr
    assert b"CONVCLI_PROFILE" in done.stderr
    assert 0 == without_home(folder, home, "tune", "--show").returncode


def test_a_batch_without_a_home_is_done_and_says_that_it_keeps_no_journal(folder):
    (folder / "out").mkdir()
    done = without_home(folder, "none", "conv2d", "a.npy", "a.png", "-k", "box:3", "-o", "out/")
    assert (0, ["a.npy", "a.png"]) == (done.returncode, sorted(path.name for path in (folder / "out").iterdir()))
    assert 1 == done.stderr.count(b"no home folder is known; name a file with --journal")


@pytest.mark.parametrize("home", ["none", "file"])
def test_an_output_in_boxes_without_a_home_is_made_and_says_that_it_keeps_no_journal(home, folder):
    more = {"XDG_STATE_HOME": str(folder / "a.npy")} if home == "file" else {}
    words = ("conv2d", "a.npy", "-k", "box:3", "-o", "out.zarr")
    done = without_home(folder, "none", *words, **more)
    assert (0, 1) == (
        done.returncode,
        done.stderr.count(b"out.zarr': no journal is kept, so that --resume cannot go on: "),
    )
    quiet = without_home(folder, "none", *words, "-qq", "--force", **more)
    assert (0, b"") == (quiet.returncode, quiet.stderr)
    resumed = without_home(folder, "none", *words, "--resume", **more)
    assert (1, 1) == (resumed.returncode, resumed.stderr.count(b"\n")), resumed.stderr
