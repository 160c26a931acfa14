"""Many files at once: what is chosen, what becomes of each, and what is left when a run is stopped or a worker dies."""

import faulthandler
import json
import os
import shutil
import signal
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from command import EXIT_CODES, convcli, shell, start
from convcli.kernels.kernel import Kernel
from convcli.operations.operation import Limits
from convcli.records import record
from convcli.runs import crew
from convcli.runs.crew import Died, run_jobs
from convcli.runs.journal import fingerprint
from convcli.runs.many import Batch, affordable_jobs, settled
from convcli.runs.names import Input, Selection
from convcli.runs.one import Settings
from convcli.runs.summary import Summary
from faults import FAULTS, GREY, png, put

IDENTITY = ("-k", "identity", "-qq")


PICTURES = [f"{number}.png" for number in range(8)]


def names(folder="out"):
    """Every file below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if not path.is_dir())


def states(paths):
    """What tells whether a file was written again."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in map(Path, paths)}


def told(output):
    """The lines of JSON: those of the inputs, and the summary."""
    *facts, summary = map(json.loads, output.splitlines())
    return facts, summary


# Which files


def test_a_list_names_inputs_beside_those_of_the_command_line(run, folder):
    put(folder, "list", b"1.png\n\n2.png\n")
    assert (0, []) == run("conv2d", "0.png", "--files-from", "list", *IDENTITY, "-o", "out/")
    assert ["0.png", "1.png", "2.png"] == names()


@pytest.mark.parametrize(
    ("name", "said"),
    [("in", "'in': is a folder; --recursive takes the images in it"), ("gone", "'gone': no such file")],
)
@pytest.mark.parametrize("output", ["out/", "{name}"])
def test_a_folder_is_told_how_its_images_are_taken_and_not_that_its_name_has_no_ending(run, folder, name, said, output):
    Path("in").mkdir()
    code, lines = run("conv2d", name, *IDENTITY, "-o", output)
    assert (True, 1) == (code in (1, 2), len(lines))
    assert said in lines[0]
    assert [] == names()


HOSTILE = [
    *(b"new\nline.png", b"bad\xff\xfe.png", b"-q.png", b"--force", b"'quote\".png", b"sp ace.png", b"\x1b[31m.png"),
    *("🙂.png".encode(), b"$(id).png", b"*.png", b"{stem}.png", b"back\\slash.png", b"\ttab.png", b"..png", b"%s.png"),
]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_hostile_names_survive_through_find_and_a_pipe(folder, locale):
    content = Path("0.png").read_bytes()
    for name in HOSTILE:
        path = Path("in", os.fsdecode(name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    script = 'find in -type f -print0 | "$@" --files-from - -0 -o out/ --format png --json'
    done = shell(script, "conv2d", "-k", "identity", LC_ALL=locale)
    assert 0 == done.returncode, done.stderr
    facts, summary = told(done.stdout)
    assert len(HOSTILE) == summary["done"]
    assert sorted(HOSTILE) == sorted(os.fsencode(fact["input"])[3:] for fact in facts)
    written = {name if name.endswith(b".png") else name + b".png" for name in HOSTILE}
    assert written == {os.fsencode(name) for name in names()}
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("words", "content", "code"),
    [
        (["--files-from", "none"], b"", 1),
        (["--files-from", "list"], b"\n\n", 2),
        (["--files-from", "list"], b"0.png\0001.png\0", 2),
        (["--files-from", "-", "-"], b"0.png\n", 2),
        (["-", "-"], b"0.png\n", 2),
        (["-0", "0.png"], b"", 2),
        (["--pattern", "*.png", "0.png"], b"", 2),
        (["-r", "--pattern", "*.xyz", "."], b"", 2),
        ([""], b"", 2),
        ([], b"", 2),
        (["--keep-going", "--fail-fast", "0.png", "1.png"], b"", 2),
        (["--files-from", "out"], b"", 1),
    ],
    ids=str,
)
def test_a_choice_that_makes_no_sense_is_one_line(folder, words, content, code):
    put(folder, "list", content)
    done = convcli("conv2d", *words, *IDENTITY, "-o", "out/", stdin=content)
    assert (code, 1) == (done.returncode, done.stderr.count(b"\n")), done.stderr
    assert [] == names()


@pytest.fixture
def tree(folder):
    """Pictures in sub-folders, with some that are not to be found."""
    for name in ("in/a.png", "in/x/a.png", "in/x/y/b.TIF", "in/.hidden.png", "in/.git/a.png", "in/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("0.png", name)
    Path("in/x/up").symlink_to("..")
    return folder


def test_folders_keep_their_sub_folders(run, tree):
    assert (0, []) == run("conv2d", "in", "-r", *IDENTITY, "-o", "out/")
    assert ["a.png", "x/a.png", "x/y/b.TIF"] == names()


def test_a_pattern_chooses_files(run, tree):
    assert (0, []) == run("conv2d", "-r", "in", "--pattern", "*.tif", "--pattern", ".h*", *IDENTITY, "-o", "out/")
    assert [".hidden.png", "x/y/b.TIF"] == names()


def test_a_template_knows_the_sub_folder(run, tree):
    assert (0, []) == run("conv2d", "in", "-r", "--pattern", "a*", *IDENTITY, "-o", "out/{folder}/{stem}-{index}.tif")
    assert ["a-0.tif", "x/a-1.tif"] == names()


def test_results_below_the_folder_that_is_searched_are_no_inputs(run, tree):
    Path("in/out").mkdir()
    words = ("conv2d", "in", "-r", *IDENTITY, "-o", "in/out/", "-f")
    assert (0, []) == run(*words) == run(*words)
    assert ["a.png", "x/a.png", "x/y/b.TIF"] == names("in/out")


def test_equal_names_in_sub_folders_collide_in_one_folder(run, tree):
    code, lines = run("conv2d", "in", "-r", *IDENTITY, "-o", "out/{name}")
    assert (2, 1, []) == (code, len(lines), names())


def test_a_sub_folder_that_cannot_be_made_fails_what_is_in_it(run, tree):
    put(Path("out"), "x", b"precious")
    code, lines = run("conv2d", "in", "-r", *IDENTITY, "-o", "out/")
    assert (3, 2, ["a.png", "x"]) == (code, len(lines), names())


def test_a_folder_of_results_is_made_but_not_what_it_would_be_in(run, tree):
    code, lines = run("conv2d", "in", "-r", *IDENTITY, "-o", "outt/in/")
    assert (1, 1, False) == (code, len(lines), Path("outt").exists())
    assert lines[0].endswith("[not-found]")
    assert 0 == run("conv2d", "in", "-r", *IDENTITY, "-qq", "-o", "outt/")[0]
    assert {path.name for path in Path("in").rglob("*")} >= {path.name for path in Path("outt").rglob("*")} > set()


def test_names_keep_their_order():
    assert [Input("b"), Input("-"), Input("a")] == Selection(("b", "-", "a")).inputs()


# What becomes of them


@pytest.mark.parametrize("number", [1, 2, 5])
def test_the_same_files_come_out_by_any_number_of_workers(run, folder, number):
    kernel = ("-k", "gaussian:2", "-qq")
    for name in PICTURES:
        assert (0, []) == run("conv2d", name, *kernel, "-o", f"{name}.tif")
    assert (0, []) == run("conv2d", *PICTURES, *kernel, "-o", "out/{name}.tif", "--jobs", number)
    for name in PICTURES:
        assert Path(f"{name}.tif").read_bytes() == Path(f"out/{name}.tif").read_bytes()


def test_one_bad_of_many_is_one_line_and_exit_code_3(run, folder):
    put(folder, "bad.png", b"nothing")
    code, lines = run("conv2d", *PICTURES, "bad.png", *IDENTITY, "-o", "out/", "--json", "--report", "r.json")
    facts, summary = told(run.output)
    assert (3, 1) == (code, len(lines))
    assert lines[0].startswith("convcli: 'bad.png': ")
    assert [*PICTURES, "bad.png"] == [fact["input"] for fact in facts]
    assert (9, 8, 1, 0, 0) == tuple(summary[key] for key in ("inputs", "done", "failed", "skipped", "left"))
    assert run.output == Path("r.json").read_text()


def test_one_bad_of_a_hundred_leaves_99_done(folder):
    for number in range(8, 100):
        shutil.copy("0.png", f"{number}.png")
    put(folder, "57.png", Path("0.png").read_bytes()[:500])
    done = shell('ls *.png | "$@" --files-from - -q -o out/', "conv2d", "-k", "box:3")
    assert (3, 1) == (done.returncode, done.stderr.count(b"\n"))
    assert done.stderr.startswith(b"convcli: '57.png': ")
    assert {f"{number}.png" for number in range(100)} - {"57.png"} == set(names())


def test_the_summary_names_the_failed_and_the_slowest_and_each_warning_once(run, folder):
    put(folder, "bad.png", b"nothing")
    kernel = "0 0 0; 0 2 0; 0 0 0"
    code, lines = run("conv2d", *PICTURES, "bad.png", "-k", kernel, "-o", "out/")
    labels = [line.split()[0] for line in lines]
    assert (3, ["convcli:", "done", "failed", "slowest", "warning"]) == (code, labels)
    assert "8 of 9" in lines[1]
    assert "1: bad.png (corrupt)" in lines[2] or "1: bad.png (unknown-format)" in lines[2]
    assert "8 files, as" in lines[4]


def test_every_fault_at_once_is_a_line_each_and_nothing_half_written(run, folder):
    Path("bad").mkdir()
    made = []
    for number, fault in enumerate(fault for fault in FAULTS if fault.code not in (None, "permission")):
        place = Path("bad", str(number))
        place.mkdir()
        made.append((fault, fault.make(place)))
    put(Path("out"), "0.tif", b"precious")
    words = ("conv2d", *(path for _, path in made), "1.png", *IDENTITY, "-f", "-o", "out/{index}.tif", "--json")
    code, lines = run(*words)
    facts, summary = told(run.output)
    assert (3, len(made)) == (code, len(lines))
    assert [fault.code for fault, _ in made] == [fact["code"] for fact in facts[:-1]]
    assert (1, len(made)) == (summary["done"], summary["failed"])
    assert (["0.tif", f"{len(made)}.tif"], b"precious") == (names(), Path("out/0.tif").read_bytes())


def test_the_first_failure_stops_workers_that_are_asked_to(run, folder):
    put(folder, "bad.png", b"nothing")
    words = ("bad.png", *PICTURES, "-k", "gabor:20", "-m", "direct", "-qq", "-o", "out/{stem}.tif", "--fail-fast")
    code, lines = run("conv2d", *words, "--jobs", "2")
    assert (1, 1) == (code, len(lines))
    assert len(names()) <= 2


def test_a_report_of_each_is_shown_where_wanted(run, folder):
    code, lines = run("conv2d", "0.png", "1.png", "-k", "box:3", "-v", "-o", "out/")
    assert (0, 2) == (code, sum(line.startswith("input ") for line in lines))


def test_files_at_once_share_cores_and_memory(folder, monkeypatch):
    monkeypatch.setattr("convcli.runs.many.core_count", lambda: 8)
    inputs = [Input(name) for name in PICTURES]
    for count, threads, expected in ((2, 0, (2, 4)), (1, 0, (1, 8)), (0, 0, (8, 1)), (99, 0, (8, 1)), (2, 3, (2, 3))):
        settings = Settings(limits=Limits("auto", threads, 2**30))
        run = settled(Nothing(), Batch(inputs, "out/", settings, jobs=count))
        assert (*expected, 2**30 // expected[0]) == (run.jobs, run.settings.limits.threads, run.settings.limits.memory)


@record
class Nothing:
    """An operation that is never applied."""


def test_large_files_are_fewer_at_once(folder, monkeypatch):
    monkeypatch.setattr("convcli.runs.many.core_count", lambda: 8)
    with Path("huge.tif").open("wb") as file:
        file.truncate(10**8)  # nothing on the disk
    for memory, count in ((10**12, 8), (3 * 32 * 10**8, 3), (10**6, 1)):
        monkeypatch.setattr("convcli.runs.many.memory", lambda memory=memory: memory)
        assert count == affordable_jobs(Batch([Input("huge.tif"), Input("0.png")] * 9))


def test_a_dry_run_says_what_would_be_and_writes_nothing(run, folder):
    put(folder, "bad.png", b"nothing")
    put(folder / "out", "1.png", b"precious")
    before = states(folder.rglob("*"))
    code, lines = run("conv2d", "0.png", "1.png", "bad.png", "-k", "box:3", "-o", "out/", "--dry-run")
    assert before == states(folder.rglob("*"))
    assert 3 == code
    assert lines[0].startswith("0.png  -> out/0.png")
    assert ["[exists]", "[unknown-format]"] == [line.split()[-1] for line in lines[1:]]


def test_in_place_replaces_every_input(run, folder):
    assert (0, []) == run("conv2d", *PICTURES, "-k", "0 0 0 1", "-b", "wrap", "-qq", "--in-place")
    for number, name in enumerate(PICTURES):
        np.testing.assert_array_equal(np.roll(np.roll(GREY, number), -1, 1), iio.imread(name))


def test_a_kernel_from_standard_input_beside_one_in_units_is_for_every_file(folder):
    for name in ("a.tif", "b.tif", "c.tif"):
        tifffile.imwrite(name, GREY, imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    words = ("conv2d", "a.tif", "b.tif", "c.tif", "-k", "box:1um", "-k", "-", "-qq", "-o", "out/")
    done = convcli(*words, stdin=b"0 1 0\n")
    assert (0, b"") == (done.returncode, done.stderr)
    for name in names():
        np.testing.assert_array_equal(GREY, tifffile.imread(f"out/{name}")[1])


# Workers


def test_answers_come_in_the_order_of_the_tasks():
    def work(task):
        time.sleep(0.02 * (task % 3 == 0))
        return task**2

    assert [(task, task**2) for task in range(30)] == list(run_jobs(work, range(30), 4))


def test_few_answers_wait_for_a_slow_task(monkeypatch, tmp_path):
    monkeypatch.setattr(crew, "WAITING", 5)

    def work(task):
        (tmp_path / str(task)).touch()
        time.sleep(0.4 * (task == 0))
        return len(list(tmp_path.iterdir()))

    there = dict(run_jobs(work, range(100), 2))
    assert there[0] <= 12  # the slow task found no more than these when it was done
    assert 100 == len(there)


def crash():
    faulthandler.disable()  # pytest's, which would tell
    os.kill(os.getpid(), signal.SIGSEGV)


DEATHS = {
    "killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), "by SIGKILL"),
    "crashed": (crash, "by SIGSEGV"),
    "gone": (lambda: os._exit(7), "with exit status 7"),
    "faulty": (lambda: 1 // 0, "with exit status 1"),
}


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("ahead", [1, 2])
def test_a_worker_that_dies_costs_one_task(death, ahead, capfd):
    die, words = DEATHS[death]

    def work(task):
        if task in (3, 4, 9):
            die()
        return task

    answers = dict(run_jobs(work, range(10), 2, ahead))
    assert {3, 4, 9} == {task for task, answer in answers.items() if isinstance(answer, Died)}
    assert all(task == answer for task, answer in answers.items() if not isinstance(answer, Died))
    assert words == str(answers[3])
    assert ("ZeroDivisionError" in capfd.readouterr().err) == (death == "faulty")


def test_no_worker_is_left_behind():
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    others = set(psutil.Process().children())  # a cluster that an earlier test started may have left a tracker
    answers = run_jobs(lambda task: time.sleep(30 * task), range(9), 3)
    assert 0 == next(answers)[0]
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 1.5
    assert set(psutil.Process().children()) <= others


def children(process):
    """The workers of a run."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in listed.read_text().split()] if listed.exists() else []


SLOW = ("-k", "gabor:20", "-m", "direct", "--threads", "1")
"""About a second for `LARGE`."""
LARGE = np.random.default_rng(0).integers(0, 256, (1200, 1400), dtype=np.uint8)


@pytest.fixture
def slow(folder):
    """Six pictures in the current folder that take a while each."""
    for number in range(6):
        tifffile.imwrite(f"slow{number}.tif", LARGE)
    return [f"slow{number}.tif" for number in range(6)]


def wait_for(condition, process):
    """Wait for something to happen in a run; it must not end before."""
    until = time.monotonic() + 30
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_worker_killed_from_outside_costs_only_its_file(folder):
    """The first worker is at a picture of minutes, with another one waiting; the second does the rest."""
    tifffile.imwrite("endless.tif", np.tile(LARGE, (4, 4)))
    process = start("conv2d", "endless.tif", *PICTURES[:5], *SLOW, "-qq", "-o", "out/", "--jobs", "2")
    with process:
        wait_for(lambda: len(names()) == 4, process)
        os.kill(children(process)[0], signal.SIGKILL)
        errors = process.stderr.read().decode()
    assert (3, 1) == (process.returncode, errors.count("\n")), errors
    assert errors.endswith("[crashed]\n")
    assert all(word in errors for word in ("endless.tif", "SIGKILL"))
    assert PICTURES[:5] == names()


def test_too_little_memory_costs_only_the_file_that_needs_it(folder):
    import resource

    iio.imwrite("big.png", np.zeros((13_000, 13_000), bool))  # bits are decoded as a whole
    limit = 400 * 2**20
    done = convcli(
        *("conv2d", "0.png", "big.png", "1.png", *IDENTITY, "-o", "out/", "--json"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    facts, _ = told(done.stdout)
    assert (3, ["done", "failed", "done"]) == (done.returncode, [fact["status"] for fact in facts]), done.stderr
    assert facts[1]["code"] in ("memory", "too-large")
    assert ["0.png", "1.png"] == names()


# What is left when a run is stopped


@pytest.mark.parametrize("number", EXIT_CODES, ids=lambda number: number.name)
def test_a_signal_stops_all_and_the_rest_is_done_later(slow, number):
    words = ("conv2d", *slow, *SLOW, "-f", "-o", "out/", "--report", "r.json")
    put(Path("out"), slow[-1], b"precious")
    process = start(*words, "-qq")
    with process:
        wait_for(lambda: len(names()) > 1, process)
        process.send_signal(number)
        sent = time.monotonic()
        errors = process.stderr.read()
    assert time.monotonic() - sent < 3
    assert (EXIT_CODES[number], 1) == (process.returncode, errors.count(b"\n")), errors
    assert errors.endswith(b"[interrupted]\n")
    facts, summary = told(Path("r.json").read_text())
    assert number.name == summary["interrupted"]
    finished = [f"out/{name}" for name in names() if name != slow[-1]]  # one may be there that nobody could tell of
    assert {fact["output"] for fact in facts if fact["status"] == "done"} <= set(finished)
    assert b"precious" == Path("out", slow[-1]).read_bytes()

    before = states(finished)
    done = convcli(*words, "--resume", "--json")
    assert 0 == done.returncode, done.stderr
    assert (len(finished), 6 - len(finished)) == tuple(told(done.stdout)[1][key] for key in ("skipped", "done"))
    assert before == states(finished)
    assert slow == names()
    assert all(LARGE.shape == tifffile.imread(f"out/{name}").shape for name in slow)


def test_a_summary_of_a_stopped_run_says_how_to_go_on(slow):
    process = start("conv2d", *slow, *SLOW, "-o", "out/")
    with process:
        wait_for(names, process)
        process.send_signal(signal.SIGINT)
        lines = process.stderr.read().decode().splitlines()
    assert (130, 1) == (process.returncode, sum(line.startswith("left ") for line in lines)), lines
    assert any(line.endswith("stopped by SIGINT; --resume goes on") for line in lines)


def test_ctrl_c_reaches_the_whole_group_and_is_still_one_line(slow):
    process = start("conv2d", *slow, *SLOW, "-qq", "-o", "out/", start_new_session=True)
    with process:
        wait_for(names, process)
        os.killpg(process.pid, signal.SIGINT)
        errors = process.stderr.read()
    assert (130, 1) == (process.returncode, errors.count(b"\n")), errors


@pytest.mark.parametrize("together", [True, False], ids=["all at once", "the parent alone"])
def test_a_run_that_was_killed_is_finished_with_no_file_redone_and_none_missing(folder, together):
    Path("in").mkdir()
    for number in range(150):
        iio.imwrite(f"in/{number:03}.png", np.roll(GREY, number))
    words = ("conv2d", "in", "-r", *IDENTITY, "-o", "out/", "--jobs", "2")
    for _ in range(3):  # killed again and again
        process = start(*words, "--resume", start_new_session=True)
        with process:
            there = len(names())
            wait_for(lambda there=there: len(names()) > there + 20, process)
            (os.killpg if together else os.kill)(process.pid, signal.SIGKILL)
        time.sleep(0.3)  # a worker that is left finishes its file
        assert all(name.endswith(".png") for name in names())
    finished = [Path("out", name) for name in names()]
    before = states(finished)
    done = convcli(*words, "--resume", "--json")
    assert (0, b"") == (done.returncode, done.stderr)
    _, summary = told(done.stdout)
    assert (len(finished), 150 - len(finished)) == (summary["skipped"], summary["done"])
    assert before == states(finished)
    assert [f"{number:03}.png" for number in range(150)] == names()
    for number in range(150):
        np.testing.assert_array_equal(np.roll(GREY, number), iio.imread(f"out/{number:03}.png"))


def check_resumed(run, words, skipped, done, code=0):
    """A resumed run passes over so many files and does so many."""
    assert code == run("conv2d", *words, "--resume", "--json")[0]
    summary = told(run.output)[1]
    assert (skipped, done) == (summary["skipped"], summary["done"])


def test_what_failed_changed_or_is_gone_is_done_again(run, folder):
    bad = put(folder, "bad.png", b"nothing")
    words = (*PICTURES, "bad.png", *IDENTITY, "-o", "out/")
    assert 3 == run("conv2d", *words)[0]
    check_resumed(run, words, 8, 0, 3)
    bad.write_bytes(png(4, 4))
    check_resumed(run, words, 8, 1)
    Path("out/3.png").unlink()
    check_resumed(run, words, 8, 1)
    iio.imwrite("5.png", GREY + 1)
    check_resumed(run, words, 8, 0, 3)  # its old result stands there
    check_resumed(run, (*words, "-f"), 8, 1)
    check_resumed(run, (*words, "-f"), 9, 0)


def test_other_options_are_another_run(run, folder):
    words = ("0.png", "1.png", "-qq", "-o", "out/{stem}.tif")
    assert 0 == run("conv2d", *words, "-k", "box:3")[0]
    check_resumed(run, (*words, "-k", "box:3", "--threads", "1", "-j", "1"), 2, 0)
    for other in (("-k", "box:5"), ("-k", "box:3", "--scale", "2"), ("-k", "box:3", "-b", "wrap")):
        check_resumed(run, (*words, *other), 0, 0, 1)


def test_files_replaced_in_place_are_not_filtered_twice(run, folder):
    words = (*PICTURES, "-k", "0 0 0 1", "-b", "wrap", "-qq", "--in-place")
    assert (0, []) == run("conv2d", *words)
    before = states(PICTURES)
    check_resumed(run, words, 8, 0)
    assert before == states(PICTURES)


def test_a_journal_may_lie_elsewhere_and_several_runs_share_it(run, folder):
    for half in (PICTURES[:4], PICTURES[4:]):
        assert (0, []) == run("conv2d", *half, *IDENTITY, "-o", "out/", "--journal", "j")
    assert not Path("state").exists()
    with Path("j").open("ab") as file:
        file.write(b'{"input": "/cut of')
    check_resumed(run, (*PICTURES, *IDENTITY, "-o", "out/", "--journal", "j"), 8, 0)


def test_a_journal_of_another_command_finishes_nothing(run, folder):
    """One file may be the journal of several commands: what one of them has made is not what another would make."""
    words = ("conv2d", *PICTURES, "-o", "out/", "--journal", "j")
    assert 0 == run(*words, *IDENTITY)[0]
    made = {name: (folder / "out" / name).read_bytes() for name in PICTURES}
    code, _ = run(*words, "-k", "box:3", "--resume")
    assert code != 0
    assert 0 == run(*words, "-k", "box:3", "--resume", "--force")[0]
    assert all((folder / "out" / name).read_bytes() != made[name] for name in PICTURES[1:])
    check_resumed(run, (*PICTURES, *IDENTITY, "-o", "out/", "--journal", "j", "--force"), 0, 8)
    assert made == {name: (folder / "out" / name).read_bytes() for name in PICTURES}


def test_a_batch_that_was_refused_what_is_there_does_not_forget_who_made_it(run, folder):
    words = (*PICTURES, *IDENTITY, "-o", "out/")
    assert 0 == run("conv2d", *words)[0]
    assert 1 == run("conv2d", *words)[0]
    check_resumed(run, words, 8, 0)


def test_a_journal_that_is_asked_for_is_kept_of_one_input_too(run, folder):
    words = ("conv2d", "0.png", *IDENTITY, "-o", "out/", "--journal", "j")
    assert (0, True) == (run(*words)[0], Path("j").exists())
    check_resumed(run, words[1:], 1, 0)


def test_a_journal_that_cannot_be_written_is_no_failure_unless_asked_for(run, folder, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(put(folder, "file", b"")))
    words = ("conv2d", "0.png", "1.png", "-k", "box:3", "-o", "out/")
    code, lines = run(*words)
    assert (0, True) == (code, lines[0].startswith("convcli: this batch keeps no journal"))
    code, lines = run(*words, "--resume")
    assert (1, 1) == (code, len(lines))


@pytest.mark.parametrize("name", ["0.png", "out", "pipe"])
def test_nothing_else_becomes_a_journal(run, folder, name):
    os.mkfifo("pipe")
    before = Path("0.png").read_bytes()
    code, lines = run("conv2d", *PICTURES, *IDENTITY, "-o", "out/", "--journal", name)
    assert (1, 1, []) == (code, len(lines), names())
    assert before == Path("0.png").read_bytes()


def test_options_are_told_apart_by_all_they_hold():
    same = [fingerprint((1, {"a": [2.5, None]}, frozenset("ab"))) for _ in range(2)]
    banks = [Kernel.from_array("bank", np.arange(9999.0)[None] % most) for most in (9999, 9998)]
    assert 4 == len({*same, *map(fingerprint, [(1, {"a": [2.5, 0]}), *banks])})


def test_what_is_no_value_has_no_fingerprint():
    for made in (lambda: 1, object(), np.arange(3)):
        with pytest.raises(TypeError):
            fingerprint((made,))


# What is shown


def test_a_terminal_shows_how_far_it_is(slow):
    import pty

    ours, theirs = pty.openpty()
    process = start("conv2d", *slow[:3], *SLOW, "-o", "out/", "--jobs", "1", stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 10_000)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert 0 == process.wait()
    assert b"1 of 3 [" in shown
    assert b" left" in shown
    assert b"3 of 3 in" in shown.rpartition(b"\x1b[K")[2]


def test_a_summary_stays_small():
    summary = Summary(100_000)
    facts = {"status": "failed", "code": "corrupt", "warnings": ["3.5 % of it"], "time": {"total": 0.5}}
    for number in range(1000):
        summary.add(facts | {"input": f"{number}.png"})
    assert (1000, 10, 1, 3) == (summary.told, len(summary.failed), len(summary.warnings), len(summary.slowest))
    assert "and 990 more" in dict(summary.rows())["failed"]


def test_a_closed_pipe_ends_a_batch_in_silence(folder):
    words = ("conv2d", *PICTURES, *IDENTITY, "-o", "out/", "--json")
    done = shell('"$@" | head -1 > /dev/null; exit "${PIPESTATUS[0]}"', *words)
    assert done.returncode in (0, 141)
    assert b"" == done.stderr
