"""The files of a batch on a cluster: told, counted, resumed and stopped as with processes here."""

import json
import signal
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from command import convcli, start
from convcli.requests.calls import correlate
from convcli.runs import groups
from convcli.runs.answers import Answer
from convcli.runs.one import Settings
from faults import GREY
from services import dask_cluster, wait_until

pytest.importorskip("distributed")
PICTURES = [f"{number}.png" for number in range(8)]
WORDS = ("-k", "gaussian:1", "-o", "out/")
BUSY = (*("-k", "gaussian:30", "-m", "direct", "-o", "slow/"), "--files-from", "many")
VARYING = ("time", "memory", "seconds", "jobs", "slowest")


@pytest.fixture
def folder(folder):
    """The same with a folder `slow` and a list of all pictures."""
    Path("slow").mkdir()
    Path("many").write_text("\n".join(PICTURES))
    return folder


def told(*words):
    """The exit code of a command, its reports without what varies, and its errors."""
    done = convcli(*words, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [{key: line[key] for key in line if key not in VARYING} for line in lines], done.stderr


def pictures():
    """What lies in `out`."""
    return {path.name: path.read_bytes() for path in sorted(Path("out").iterdir())}


def test_reports_and_files_are_those_of_processes_here(folder, dask):
    Path("3.png").write_bytes(b"no picture")
    words = ("conv2d", *PICTURES, "missing.png", *WORDS)
    code, reports, errors = told(*words)
    expected = pictures()
    assert (3, 7, 10) == (code, len(expected), len(reports))
    again = told(*words, "-f", "--scheduler", dask.address)
    assert (code, reports, expected) == (again[0], again[1], pictures())
    assert sorted(errors.splitlines()[:2]) == sorted(again[2].splitlines()[:2])


def test_a_batch_goes_on_where_it_stopped(run, folder, dask):
    Path("3.png").write_bytes(b"no picture")
    words = ("conv2d", *PICTURES, *WORDS, "--scheduler", dask.address)
    assert 3 == run(*words, "-q")[0]
    iio.imwrite("3.png", GREY)
    code, lines = run(*words, "--resume")
    assert (0, 1, 1) == (code, sum(line.startswith("done     1 of 8") for line in lines), lines.count("skipped  7"))


def test_the_first_failure_stops_a_batch_that_asks_for_it(folder, dask):
    Path("2.png").write_bytes(b"no picture")
    code, reports, _ = told("conv2d", *PICTURES, *WORDS, "--fail-fast", "--scheduler", dask.file)
    assert (3, ["done", "done", "failed"]) == (code, [report["status"] for report in reports[:-1]])
    assert 5 == reports[-1]["left"]


def test_an_input_is_not_replaced_by_another_ones_result(folder, dask):
    Path("out/0.png").symlink_to("../1.png")
    before = Path("1.png").read_bytes()
    code, reports, _ = told("conv2d", *PICTURES, *WORDS, "-f", "--scheduler", dask.address)
    assert (3, "failed", "exists") == (code, reports[0]["status"], reports[0]["code"])
    assert before == Path("1.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("0.png", "-o", "x.png"),
            "'--scheduler': one image into one file is the work of one process; write to a .zarr",
        ),
        (("0.png", "1.png", "-o", "out/", "--jobs", "2"), "--jobs is for processes here"),
        (
            ("-", "1.png", "-o", "out/{stem}.png"),
            "'-': workers cannot read or write the standard streams of this process",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(run, folder, dask, words, said):
    code, lines = run("conv2d", *words, "-k", "box:3", "--scheduler", dask.address)
    assert 2 == code
    assert lines[0].startswith(f"convcli: {said}")


def test_a_scheduler_that_is_none_is_refused_before_any_work(run, folder):
    code, lines = run("conv2d", *PICTURES, *WORDS, "--scheduler", "nowhere")
    said = "'--scheduler': 'nowhere' is not a scheduler; write tcp://host:8786, a scheduler file, or local:N [usage]"
    assert (2, [f"convcli: {said}"]) == (code, lines)
    assert {} == pictures()


def test_a_killed_worker_costs_nothing(folder, tmp_path):
    big = np.random.default_rng(1).integers(0, 255, (170, 170), np.uint8)
    for name in PICTURES:
        iio.imwrite(name, big)
    with dask_cluster(tmp_path) as cluster, start("conv2d", *BUSY, "--scheduler", cluster.address) as process:
        wait_until(lambda: any(Path("slow").iterdir()), "a file is done")
        cluster.workers[0].send_signal(signal.SIGKILL)
        errors = process.stderr.read()
    assert 0 == process.returncode, errors
    assert b"convcli: 1 worker lost; others did their tasks\n" in errors
    assert PICTURES == sorted(path.name for path in Path("slow").iterdir())
    assert 1 == len({path.read_bytes() for path in Path("slow").iterdir()})


def test_an_object_of_a_lost_worker_is_made_again(monkeypatch):
    """What was not there as the batch began, and is found after a worker was lost, is that worker's."""
    monkeypatch.setattr(groups, "treated", lambda _common, file: found(file))

    class Losing:
        """A cluster that has lost a worker, and does its tasks here."""

        def answers(self, work, common, tasks, _hold):
            for task in tasks:
                yield task, work(common, task), "w"

        def lost_by_now(self):
            return 1

    files = [groups.File(n, "in", f"s3://bucket/{n}.png", absent=n != 1) for n in range(3)]
    asked = groups.Common(correlate("box:3"), Settings(), "")
    answers = [*groups.run_groups(Losing(), asked, files, 2)]
    assert ["done", "failed", "done"] == [answer.facts["status"] for answer in answers]


def found(file):
    """A worker's answer where the output is there already."""
    if file.force:
        return Answer({"status": "done"}, [])
    return Answer({"status": "failed", "message": "exists", "code": "exists", "where": file.target}, [], 1)


def test_a_stopped_batch_goes_on(folder, tmp_path):
    big = np.random.default_rng(1).integers(0, 255, (170, 170), np.uint8)
    for name in PICTURES:
        iio.imwrite(name, big)
    begun = time.monotonic()
    with start("conv2d", *BUSY, "--scheduler", "local:2") as process:
        wait_until(lambda: any(Path("slow").iterdir()), "a file is done")
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
    assert 143 == process.returncode, errors
    assert errors.endswith(b"[interrupted]\n")
    assert time.monotonic() - begun < 60
    left = set(PICTURES) - {path.name for path in Path("slow").iterdir()}
    code, reports, errors = told("conv2d", *BUSY, "--scheduler", "local:2", "--resume")
    assert 0 == code, errors
    assert reports[-1]["done"] >= len(left)
    assert PICTURES == sorted(path.name for path in Path("slow").iterdir())


def test_files_of_a_store_are_read_and_written_by_workers(run, folder, s3, tmp_path):
    bucket = s3.bucket()
    assert 0 == convcli("conv2d", *PICTURES, "-k", "identity", "-o", f"{bucket}/in/{{name}}", "-q").returncode
    assert 0 == convcli("conv2d", *PICTURES, *WORDS, "-q").returncode
    Path("list").write_text("".join(f"{bucket}/in/{name}\n" for name in PICTURES))
    words = ("conv2d", "--files-from", "list", *WORDS[:2], "-o", f"{bucket}/out/{{name}}")
    with dask_cluster(tmp_path, 2, **s3.environment, CONVCLI_RETRIES="1") as cluster:
        more = ("--scheduler", cluster.address)
        assert 0 == run(*words, *more, "-q")[0]
        expected = pictures()
        back = (f"{bucket}/out/{name}" for name in PICTURES)
        assert 0 == convcli("conv2d", *back, *WORDS[2:], "-k", "identity", "-fq").returncode
        assert expected == pictures()
        code, lines = run(*words, *more, "--resume")
        assert (0, True) == (code, "skipped  8" in lines), lines
        s3.faults(fail=1)
        code, lines = run(*words, *more, "-q", "-f")
        assert (1, True) == (code, "[unreachable]" in lines[-1])
