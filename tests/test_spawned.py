"""Where nothing forks, processes that start anew end with the run, lose what they were at alone, and leave nothing."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
import tifffile

from convcli.runs import spawned
from convcli.runs.groups import File, clear_away
from convcli.runs.spawned import Duty, Processes, receive
from convcli.signals import Interrupted

HERE = Path(__file__).parent


def names_in(folder):
    """What lies in a folder, in order."""
    return sorted(path.name for path in Path(folder).iterdir())


def answers(work, tasks, jobs=1, pause=0.0, hold=bool, common=10):
    """What becomes of each task; whoever asks is slow. Lost ones are told with the status of their process."""
    hands = Processes(jobs, lambda _, status: ("lost", status), lambda *_: None)
    found = []
    for task, result, _ in hands.answers(work, common, tasks, hold):
        found.append((task, result))
        time.sleep(pause)
    return found


def ending_after(common, task):
    """Ten times a task; soon after the answer to that of 2 the process ends."""
    if task == 2:
        threading.Timer(0.1, os._exit, (7,)).start()
    return common * task


def test_what_was_answered_is_not_lost_with_the_process():
    assert [(task, 10 * task) for task in range(3)] == answers(ending_after, range(3), pause=0.6)


def test_what_an_ended_process_had_not_begun_is_done_by_another():
    """It is given nothing ahead, so that it is idle as it ends."""
    assert [(2, 20), (3, 30), (4, 40)] == answers(ending_after, (2, 3, 4), pause=0.6, hold=lambda: True)


class Deadly:
    """Ends the process that unpacks it."""

    def __reduce__(self):
        return os._exit, (7,)


def test_processes_that_do_not_even_start_are_not_tried_for_ever():
    assert [(task, ("lost", 7)) for task in range(3)] == answers(ending_after, range(3), common=Deadly())


@pytest.mark.parametrize("at_work", [True, False])
def test_a_process_whose_parent_is_gone_is_stopped_if_it_is_at_work(at_work, monkeypatch):
    stopped = []
    monkeypatch.setattr(spawned._thread, "interrupt_main", stopped.append)
    ours, theirs = spawned.get_context("spawn").Pipe()
    tasks, duty = SimpleQueue(), Duty()
    if at_work:
        assert duty.begin()
    ours.close()
    receive(theirs, tasks, duty)
    assert ((), [signal.SIGTERM] * at_work) == (tasks.get(), stopped)
    assert not duty.begin()  # what waits is not begun
    theirs.close()


def deaf(common, task):
    """Leaves a draft and does not stop."""
    (common / f".{task}.png.{os.getpid()}-0123abcd.part").write_text("half")
    while True:
        try:
            time.sleep(60)
        except Interrupted:
            continue


def test_processes_that_do_not_stop_are_killed_together_and_their_drafts_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(spawned, "PATIENCE", 1.0)
    (tmp_path / ".other.png.1-0123abcd.part").write_text("another run's")

    def clear(task, process_id):
        clear_away([File(task, "", str(tmp_path / f"{task}.png"))], process_id)

    several = [spawned.started(deaf, tmp_path) for _ in range(3)]
    for number, hand in enumerate(several):
        hand.give(number)
    wait_for(lambda: len(names_in(tmp_path)) == 4)
    begun = time.monotonic()
    Processes(3, lambda *_: None, clear).end(several)
    assert 1.0 <= time.monotonic() - begun < 2.5
    assert [".other.png.1-0123abcd.part"] == names_in(tmp_path)


def test_only_the_drafts_of_one_process_are_cleared_away(tmp_path):
    kept = {"a.png", ".a.png.12-0123abcd.part", ".a.png.1-0123abcd.part.png", ".a.1-x.part", "b.1-0123abcd.part"}
    for name in (*kept, ".a.png.1-0123abcd.part", ".b[1].png.1-89abcdef.part"):
        (tmp_path / name).write_text("")
    clear_away([File(0, "", str(tmp_path / "a.png")), File(1, "", "s3://bucket/a.png")], 1)
    assert sorted(kept) == names_in(tmp_path)


# Whole batches

SLOW = ("-k", "gabor:20", "-m", "direct", "--threads", "1", "--memory", "8MiB", "--jobs", "2", "-qq", "-o", "out/")
NAMES = [f"{number}.tif" for number in range(4)]
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def wait_for(condition, process=None):
    """Wait for something to happen, in a run that goes on."""
    until = time.monotonic() + 60
    while not condition():
        assert process is None or process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


def members(session):
    """The processes of a session, by what they run."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found[int(status.parent.name)] = status.with_name("cmdline").read_bytes()
        except (OSError, IndexError):
            continue
    return found


def drafts():
    """What is half written."""
    return [path for path in Path("out").iterdir() if path.name.endswith(".part")]


def workers(process):
    """Those that compute, the first one first."""
    return sorted(pid for pid, words in members(process.pid).items() if b"spawn_main" in words)


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """A run where nothing forks, with two processes that have begun to write."""
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    data = np.random.default_rng(0).integers(0, 256, (1200, 1400), np.uint8)
    for name in NAMES:
        tifffile.imwrite(name, data, rowsperstrip=16)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    with subprocess.Popen(
        [sys.executable, "-W", "error", HERE / "elsewhere.py", "conv2d", *NAMES, *SLOW],
        env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        wait_for(lambda: len(drafts()) == 2, process)
        yield process
        process.kill()


@pytest.mark.parametrize("together", [True, False], ids=["all at once", "the parent alone"])
@pytest.mark.parametrize("number", EXIT_CODES, ids=lambda number: number.name)
def test_a_signal_ends_a_batch_with_a_line_and_leaves_nothing(number, together, batch):
    (os.killpg if together else os.kill)(batch.pid, number)
    errors = batch.stderr.read()
    said = f"convcli: stopped by {number.name}; no file is half-written [interrupted]\n"
    assert (EXIT_CODES[number], said) == (batch.wait(), errors)
    assert [] == drafts()
    wait_for(lambda: not members(batch.pid))


def test_a_batch_that_is_killed_leaves_nothing(batch):
    batch.kill()
    assert -signal.SIGKILL == batch.wait()
    wait_for(lambda: not members(batch.pid))
    assert ("", []) == (batch.stderr.read(), drafts())


def test_a_process_that_is_killed_costs_its_file_and_leaves_no_draft(batch):
    os.kill(workers(batch)[0], signal.SIGKILL)
    errors = batch.stderr.read()
    assert 3 == batch.wait(), errors
    assert re.fullmatch(r"convcli: '[01]\.tif': .* ended by SIGKILL.*\[crashed\]\n", errors)
    assert 3 == len(names_in("out"))
    assert [] == drafts()
