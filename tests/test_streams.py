"""Standard streams that are closed, full, broken or a terminal; signals in the middle of the work."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import scipy.ndimage
import tifffile

from command import COMMAND, EXIT_CODES, convcli, environment, shell, start
from convcli.formats import FORMATS, read
from convcli.system import offered

LARGE = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
GREY = LARGE[:40, :48, 0]
UNBUFFERED = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with a small and a large picture, only read."""
    folder = tmp_path_factory.mktemp("pictures")
    iio.imwrite(folder / "in.png", GREY)
    tifffile.imwrite(folder / "large.tif", LARGE, photometric="rgb")
    return folder


@pytest.fixture
def old(tmp_path):
    """The result of an earlier run."""
    path = tmp_path / "old.tif"
    path.write_bytes(b"precious")
    return path


def check_line(done, exit_code, code):
    """One line on standard error with the code, and the exit code."""
    assert (exit_code, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert done.stderr.startswith(b"convcli: ")
    assert done.stderr.endswith(f"[{code}]\n".encode())


# Closed and full streams; `"$@"` is convcli with its arguments


@UNBUFFERED
@pytest.mark.parametrize(
    "words",
    [
        ("conv2d", "in.png", "-k", "box:3", "-q", "-o", "-"),
        ("conv2d", "in.png", "-k", "box:3", "-q", "-o", "/dev/null", "--json"),
        ("kernels",),
        ("conv2d", "--help"),
    ],
    ids=["pixels", "JSON", "table", "help"],
)
def test_a_full_standard_output_is_one_line(pictures, words, unbuffered):
    done = shell(f'cd {pictures}; "$@" > /dev/full', *words, PYTHONUNBUFFERED=unbuffered)
    check_line(done, 1, "disk-full")


@UNBUFFERED
def test_a_closed_pipe_is_silent(pictures, unbuffered):
    words = ("conv2d", pictures / "large.tif", "-k", "box:3", "-q", "-o", "-")
    done = shell('"$@" | head -c 10 > /dev/null; exit "${PIPESTATUS[0]}"', *words, PYTHONUNBUFFERED=unbuffered)
    assert (141, b"") == (done.returncode, done.stderr)


@UNBUFFERED
def test_printing_into_a_closed_pipe_is_silent(unbuffered):
    done = shell('"$@" | true; exit "${PIPESTATUS[0]}"', "kernels", "--json", PYTHONUNBUFFERED=unbuffered)
    assert (141, b"") == (done.returncode, done.stderr)


def test_pixels_need_an_open_output(pictures):
    done = shell('"$@" >&-', "conv2d", pictures / "in.png", "-k", "box:3", "-q", "-o", "-")
    check_line(done, 1, "write-failed")


def test_an_error_never_goes_to_standard_output(pictures):
    done = shell('"$@" 2>&-', "conv2d", pictures / "none.png", "-k", "box:3", "-o", "/dev/null")
    assert (1, b"", b"") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closing", ["2>&-", "2>/dev/full", ">&-", "<&-", "<&- >&- 2>&-"])
def test_work_needs_no_open_stream(pictures, tmp_path, closing):
    words = (
        "conv2d",
        pictures / "in.png",
        "-k",
        "identity",
        "-o",
        tmp_path / "out.png",
        "--report",
        tmp_path / "r.json",
    )
    done = shell(f'"$@" {closing}', *words)
    assert 0 == done.returncode
    np.testing.assert_array_equal(GREY, iio.imread(tmp_path / "out.png"))
    assert "done" == json.loads((tmp_path / "r.json").read_text())["status"]


@pytest.mark.parametrize("words", [("-", "-k", "box:3"), ("in.png", "-k", "-")], ids=["image", "kernel"])
def test_a_closed_standard_input_is_an_empty_one(pictures, words):
    done = shell(f'cd {pictures}; "$@" <&-', "conv2d", *words, "-o", "/dev/null")
    check_line(done, 1, "empty")


def test_standard_input_is_read_once(pictures):
    done = convcli("conv2d", "-", "-k", "-", "-o", "/dev/null", stdin=b"1 2 1")
    check_line(done, 2, "usage")


@UNBUFFERED
@pytest.mark.parametrize("suffix", ["tiff", "png", "npy"])
def test_pixels_go_whole_through_a_slow_pipe(pictures, unbuffered, suffix):
    words = ("conv2d", pictures / "large.tif", "-k", "identity", "-q", "--format", suffix, "-o", "-")
    done = shell('"$@" | (sleep 0.1; cat)', *words, PYTHONUNBUFFERED=unbuffered)
    file = pictures / f"back.{suffix}"
    file.write_bytes(done.stdout)
    back = {"tiff": tifffile.imread, "png": iio.imread, "npy": np.load}[suffix](file)
    np.testing.assert_array_equal(LARGE, back)


LOSSLESS = [
    name for name, entry in FORMATS.items() if entry.dtypes and not entry.folder and name not in ("jpeg", "ppm")
]


@pytest.mark.sweep(2)
@pytest.mark.parametrize("name", LOSSLESS)
def test_every_format_goes_through_standard_input_and_output(pictures, name):
    dtype = next(each for each in ("uint8", "uint16", "float32") if each in FORMATS[name].dtypes)
    words = ("conv2d", "-", "-k", "identity", "-qq", "-t", dtype, "-o", "-", "--format", name)
    once = convcli(*words, stdin=(pictures / "in.png").read_bytes())
    twice = convcli(*words, stdin=once.stdout)
    assert (0, 0, b"") == (once.returncode, twice.returncode, once.stderr + twice.stderr)
    np.testing.assert_array_equal(GREY, read(twice.stdout).data.reshape(*GREY.shape, -1)[..., 0])


def test_a_pipeline_of_filters_is_one_after_the_other(pictures, tmp_path):
    script = 'cat in.png | "$@" conv2d - -k sharpen -o - --format png | "$@" conv2d - -k box:3 -o ' + str(
        tmp_path / "b.png"
    )
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *COMMAND], cwd=pictures, capture_output=True, env=environment(), check=False
    )
    assert 0 == done.returncode, done.stderr
    taps = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], float)
    sharp = np.clip(scipy.ndimage.correlate(GREY.astype(float), taps, mode="nearest"), 0, 255)
    soft = scipy.ndimage.correlate(sharp, np.full((3, 3), 1 / 9), mode="nearest")
    np.testing.assert_array_equal(np.rint(soft), iio.imread(tmp_path / "b.png"))


def test_the_report_goes_beside_pixels(pictures, tmp_path):
    words = ("conv2d", pictures / "large.tif", "-k", "box:3", "-q", "-o", "-", "--report", tmp_path / "r.json")
    done = convcli(*words)
    assert (0, b"II*\0") == (done.returncode, done.stdout[:4])
    assert "-" == json.loads((tmp_path / "r.json").read_text())["output"]


def test_pixels_go_to_a_command(pictures, tmp_path):
    words = ("conv2d", pictures / "in.png", "-k", "identity", "-q")
    done = shell(f'"$@" -o >(cat > {tmp_path}/out.png); code=$?; wait $!; exit $code', *words)
    assert (0, b"") == (done.returncode, done.stderr)
    np.testing.assert_array_equal(GREY, iio.imread(tmp_path / "out.png"))


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_name_of_standard_output_is_standard_output(pictures, tmp_path, name):
    words = ("conv2d", pictures / "in.png", "-k", "identity", "-q", "-o", name, "--format", "npy")
    done = shell('"$@" | cat', *words)
    (tmp_path / "a.npy").write_bytes(done.stdout)
    np.testing.assert_array_equal(GREY, np.load(tmp_path / "a.npy"))


def test_the_first_lines_of_a_table_are_enough():
    done = shell('"$@" | head -1; exit "${PIPESTATUS[0]}"', "kernels")
    assert (b"", 1) == (done.stderr, done.stdout.count(b"\n"))
    assert done.returncode in (0, 141)


@pytest.mark.parametrize(
    "words", [("kernels", "-"), ("flops", "--file", "-"), ("shapes", "3@8x8", "--from", "torch", "-")]
)
def test_what_reads_a_text_takes_a_closed_standard_input_for_an_empty_one(words):
    done = shell('"$@" <&-', *words)
    assert (b"", 1) == (done.stdout, done.stderr.count(b"\n")), done.stderr
    assert 0 < done.returncode <= 2


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_pixels_are_not_for_a_terminal(pictures, name):
    import pty

    ours, theirs = pty.openpty()
    with start("conv2d", pictures / "in.png", "-k", "box:3", "-o", name, stdout=theirs) as process:
        lines = process.stderr.read().splitlines()
    os.close(theirs)
    os.close(ours)
    assert (2, 1) == (process.returncode, len(lines))
    assert lines[0].endswith(b"[usage]")


def test_a_terminal_shows_names_without_their_control_characters(pictures, tmp_path):
    import pty

    name = tmp_path / "\x1b]0;gotcha\x07.png"
    name.write_bytes((pictures / "in.png").read_bytes())
    ours, theirs = pty.openpty()
    with start("conv2d", name, "-k", "box:3", "-o", "/dev/null", stderr=theirs, stdout=theirs) as process:
        assert 0 == process.wait()
    os.close(theirs)
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert b"method" in shown
    assert b"\x1b]0" not in shown


# Signals

SLOW = ("-k", "disk:80", "-m", "direct", "--threads", "1")  # about 4 s


def is_writing(process, folder):
    """True while the process has an unfinished file in the folder open."""
    found = []
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(entry.readlink()))
    return any(name.startswith(str(folder)) and ("(deleted)" in name or ".part" in name) for name in found)


def is_computing(process, _folder):
    """True once the process has worked for longer than it takes to start and to read."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > 0.8


def wait_until(condition, process, folder):
    """Wait for something to happen in a process; it must not end before."""
    until = time.monotonic() + 10
    while not condition(process, folder):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.002)


COMPUTING = (SLOW, is_computing)
WRITING = (("-k", "identity", "--format", "webp"), is_writing)  # about 1 s, the slowest encoder


@pytest.mark.parametrize(("kernel", "moment"), [COMPUTING, WRITING], ids=["computing", "writing"])
@pytest.mark.parametrize("number", EXIT_CODES, ids=lambda number: number.name)
def test_a_signal_stops_the_work_and_leaves_the_old_output(pictures, old, number, kernel, moment):
    process = start("conv2d", pictures / "large.tif", *kernel, "-q", "-f", "-o", old)
    wait_until(moment, process, old.parent)
    process.send_signal(number)
    sent = time.monotonic()
    with process:
        errors = process.stderr.read()
    assert time.monotonic() - sent < 3
    assert (EXIT_CODES[number], 1) == (process.returncode, errors.count(b"\n")), errors
    assert errors.endswith(b"[interrupted]\n")
    assert [old] == list(old.parent.iterdir())
    assert b"precious" == old.read_bytes()


@pytest.mark.parametrize(("kernel", "moment"), [COMPUTING, WRITING], ids=["computing", "writing"])
def test_a_killed_run_leaves_the_old_output(pictures, old, kernel, moment):
    process = start("conv2d", pictures / "large.tif", *kernel, "-q", "-f", "-o", old)
    wait_until(moment, process, old.parent)
    process.kill()
    with process:
        assert -signal.SIGKILL == process.wait()
    assert b"precious" == old.read_bytes()
    assert all(path == old or path.suffix == ".part" for path in old.parent.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, *offered(signal, "SIGHUP")], ids=lambda number: number.name)
def test_a_signal_that_is_ignored_stays_ignored(pictures, tmp_path, number):
    words = ("conv2d", pictures / "in.png", "-k", "identity", "-q", "-o", tmp_path / "out.png")
    process = start(*words, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    with process:
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.02)
        assert (0, b"") == (process.returncode, process.stderr.read())
    np.testing.assert_array_equal(GREY, iio.imread(tmp_path / "out.png"))


def test_a_signal_ends_waiting_for_a_reader_and_for_input(pictures, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reading, writing = os.pipe()
    for words, stdin in (
        ((pictures / "in.png", "-k", "box:3", "-o", tmp_path / "pipe"), subprocess.DEVNULL),
        (("-", "-k", "box:3", "-o", tmp_path / "out.png"), reading),
    ):
        with start("conv2d", *words, stdin=stdin) as process:
            time.sleep(0.8)
            assert process.poll() is None
            process.terminate()
            assert 143 == process.wait()
    os.close(reading)
    os.close(writing)


TWICE = """
import os, signal, time
from convcli.signals import Interrupted, catch_signals
catch_signals()
try:
    os.kill(os.getpid(), signal.{first})
    time.sleep(1)
except Interrupted:
    print("stopping", flush=True)
    os.kill(os.getpid(), signal.{second})
    time.sleep(1)
    print("still here")
"""


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("second", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_second_signal_kills_at_once(first, second):
    script = TWICE.format(first=first, second=second)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment(), check=False)
    assert (-getattr(signal, second), b"stopping\n") == (done.returncode, done.stdout)


UNENTERED = """
import os, signal
from convcli.signals import Interrupted, catch_signals
catch_signals()

def opened():
    file = open(os.devnull)
    os.kill(os.getpid(), signal.SIGTERM)
    return file

try:
    with opened():
        pass
except Interrupted as stop:
    print(stop.exit_code)
"""


def test_a_file_that_a_signal_leaves_open_is_no_fault():
    done = subprocess.run([sys.executable, "-c", UNENTERED], capture_output=True, env=environment(), check=False)
    assert (b"143\n", b"") == (done.stdout, done.stderr)


SWALLOWED = """
import os, signal, time
from convcli.signals import Interrupted, catch_signals

def be_stopped():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)

class Finalised:
    def __del__(self):
        be_stopped()

catch_signals()
try:
    {swallow}
except BaseException:
    pass
print("swallowed", flush=True)
try:
    time.sleep(5)
except Interrupted as stop:
    print(stop.exit_code)
"""


@pytest.mark.parametrize("swallow", ["be_stopped()", "Finalised()"])
def test_a_signal_that_was_swallowed_comes_again(swallow):
    script = SWALLOWED.format(swallow=swallow)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment(), check=False)
    assert (b"swallowed\n143\n", b"") == (done.stdout, done.stderr)


WHILE_LOADING = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from convcli.__main__ import main
sys.argv[0] = "convcli"
main()
"""


@pytest.mark.parametrize(
    "module",
    "convcli.cli convcli.options.line numpy convcli.engine.run scipy.fft tifffile".split(),
)
def test_ctrl_c_while_modules_are_loaded_shows_no_traceback(pictures, tmp_path, module):
    words = ("conv2d", pictures / "large.tif", "-k", "gaussian:30", "-m", "fft", "-o", tmp_path / "out.tif")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            WHILE_LOADING.format(module=module),
            *words,
            "-q",
            "--precision",
            "double",
        ],
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert done.returncode in {130, -signal.SIGINT}
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_is_loaded_before_ctrl_c_is_seen_to():
    """Whatever Python itself has not loaded yet comes after the handler of SIGINT."""
    code = """if True:
        import sys, types
        before = set(sys.modules)
        sys.modules["convcli.cli"] = types.SimpleNamespace(main=lambda: print(*sorted(set(sys.modules) - before)))
        from convcli.__main__ import main
        main()
    """
    words = (sys.executable, "-c", code)
    done = subprocess.run(words, capture_output=True, env=environment(), check=True, text=True)
    loaded = {name.partition(".")[0] if name.startswith("importlib") else name for name in done.stdout.split()}
    assert {"convcli", "convcli.__main__", "convcli.cli"} == loaded - {"importlib", "__future__"}


def test_profilers_report_at_the_end():
    """The process ends at once, unless something that reports at Python's own end watches it."""
    words = (sys.executable, "-m", "cProfile", "-m", "convcli", "shapes", "3@8x8", "conv3-4")
    done = subprocess.run(words, capture_output=True, env=environment(), check=True, text=True)
    assert "function calls" in done.stdout
    assert "4@6x6" in done.stdout
