"""A cluster as a queue of tasks: everything is answered once, whoever is lost, and what is wrong is said in a line."""

import operator
import os
import re
import signal
import subprocess
import sys
import time
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from convcli.errors import ConvError, UsageError
from services import dask_cluster, dask_worker, wait_until

pytest.importorskip("distributed")
from convcli.runs import cluster as clusters
from convcli.runs.cluster import AHEAD, LEAST, check_alike, cluster_at
from convcli.system import offered

TRIVIAL = 400
MARGIN = 40  # MB that this process and the scheduler may grow by while nothing is kept: logs of bounded length


def resident(process):
    """Megabytes that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_every_task_is_answered_once(dask):
    with cluster_at(dask.address) as cluster:
        answers = list(cluster.answers(operator.add, 10, range(TRIVIAL)))
    assert list(range(TRIVIAL)) == sorted(task for task, _, _ in answers)
    assert all(task + 10 == result for task, result, _ in answers)
    assert 2 == len({worker for _, _, worker in answers})
    assert set(cluster.peaks) == {worker for _, _, worker in answers}
    assert min(cluster.peaks.values()) > 10e6


def test_a_few_tasks_are_under_way_and_none_is_kept(dask):
    asked = count()
    with cluster_at(dask.file) as cluster:
        most = max(LEAST, AHEAD * cluster.threads)
        for _ in islice(cluster.answers(operator.add, 0, asked), 5 * LEAST):
            assert len(cluster.client.futures) <= 2 * most  # a released one goes a moment later
        assert next(asked) <= 5 * LEAST + most
    assert 0 == len(cluster.client.futures)


def test_nothing_is_handed_out_while_it_is_held(dask):
    asked, held = count(), True
    with cluster_at(dask.address) as cluster:
        answers = cluster.answers(operator.add, 0, asked, lambda: held)
        assert 0 == next(answers)[0]
        assert 1 == next(asked)
        held = False
        assert len(list(islice(answers, 10))) == 10
        answers.close()


def test_an_error_of_a_task_is_raised_with_its_code(dask, tmp_path):
    with cluster_at(dask.address) as cluster:
        with pytest.raises(ConvError, match=r"^'.*/missing': no such file or folder \[not-found\]"):
            list(cluster.answers(os.path.samefile, str(tmp_path / "missing"), ["."]))
        with pytest.raises(TypeError):  # no input can cause it: it is raised as it is
            list(cluster.answers(operator.add, "x", [1]))
        assert 3 == next(cluster.answers(operator.add, 1, [2]))[1]


def test_what_all_tasks_share_goes_to_each_worker_once(dask):
    large = bytes(10**6)
    with cluster_at(dask.address) as cluster:
        list(cluster.answers(operator.getitem, large, range(30)))
        before = [resident(worker.pid) for worker in (dask.scheduler, *dask.workers)]
        assert all(0 == result for _, result, _ in cluster.answers(operator.getitem, large, range(300)))
        after = [resident(worker.pid) for worker in (dask.scheduler, *dask.workers)]
    assert max(map(operator.sub, after, before)) < MARGIN


def test_a_lost_worker_costs_nothing_and_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "LOOK", 0.1)
    with dask_cluster(tmp_path) as dask, cluster_at(dask.address) as cluster:
        answers = cluster.answers(pause, 0.02, range(100))
        found = [next(answers) for _ in range(5)]
        dask.workers[0].send_signal(signal.SIGKILL)
        found += answers
        assert list(range(100)) == sorted(task for task, _, _ in found)
        wait_until(lambda: cluster.lost, "the loss is seen")
        assert ", 1 worker, 1 lost" == cluster.words
        with dask_worker(dask.address, tmp_path):
            wait_until(lambda: cluster.threads == 2, "a new worker is there")
            assert 2 == len({worker for _, _, worker in cluster.answers(pause, 0.02, range(50))})


@pytest.mark.parametrize("came", [True, False], ids=["after its answer came", "before"])
def test_a_worker_lost_beside_its_answer_is_no_lost_connection(dask, monkeypatch, came):
    """The scheduler tells of what was lost with a worker while the answer is on its way; the task is made again."""
    distributed = pytest.importorskip("distributed")
    taken = distributed.as_completed.__next__

    def lose(self):
        future, result = taken(self)
        if future.key not in lost and len(lost) < 5:
            lost.append(future.key)
            future._state.lose()
            self.loop.call_later(0.1, future._state.finish)
            return future, result if came else None
        return future, result

    lost = []
    monkeypatch.setattr(distributed.as_completed, "__next__", lose)
    with cluster_at(dask.address) as cluster:
        answers = list(cluster.answers(operator.add, 10, range(40)))
    assert len(lost) == 5
    assert [(task, task + 10) for task in range(40)] == sorted((task, result) for task, result, _ in answers)


def test_a_task_that_kills_its_workers_is_given_up(tmp_path):
    said = r"2 workers were lost at the same task, the last at tcp://127"
    environment = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with (
        dask_cluster(tmp_path, 3, **environment) as dask,
        cluster_at(dask.address) as cluster,
        pytest.raises(ConvError, match=said) as raised,
    ):
        list(cluster.answers(die, None, range(1)))
    assert ("crashed", dask.address) == (raised.value.code, raised.value.where)


def test_a_lost_scheduler_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "PATIENCE", 2)
    with dask_cluster(tmp_path, 1) as dask, cluster_at(dask.address) as cluster:
        answers = cluster.answers(pause, 0.1, range(100))
        next(answers)
        dask.scheduler.kill()
        with pytest.raises(ConvError, match=r"the connection to the scheduler was lost; --resume goes on \[crashed\]"):
            list(answers)


def test_no_scheduler_is_told_in_time(monkeypatch, tmp_path):
    monkeypatch.setattr(clusters, "PATIENCE", 1)
    begun = time.monotonic()
    file = tmp_path / "scheduler.json"
    file.write_text('{"address": "tcp://127.0.0.1:9"}')
    for where in ("tcp://127.0.0.1:9", "127.0.0.1:9", str(file)):
        said = r"no scheduler answers there within 1 s \(.*\) \[unreachable\]"
        with pytest.raises(ConvError, match=said), cluster_at(where):
            pass
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("where", ["local:0", "local:x", "local:", "nowhere", "tcp://host", "host:", "", "a b:1"])
def test_what_names_no_scheduler_is_refused(where):
    with pytest.raises(UsageError):
        clusters.parse_scheduler(where)


@pytest.mark.parametrize(
    ("package", "theirs", "said"),
    [
        ("convcli", "0.0.9", "has convcli 0.0.9"),
        ("convcli", None, "has no convcli"),
        ("python", "3.99.1.final.0", "has python 3.99.1"),
        ("numpy", "1.26.4", "has numpy 1.26.4"),
    ],
)
def test_workers_that_would_compute_something_else_are_refused(dask, package, theirs, said):
    with cluster_at(dask.address) as cluster:
        versions = cluster.client.get_versions(packages=list(clusters.ALIKE))
    check_alike("here", versions)
    (worker, other) = versions["workers"].values()
    other["packages"] = {**worker["packages"], package: theirs}
    with pytest.raises(ConvError, match=rf"^'here': the worker tcp://\S+ {re.escape(said)}, and this process"):
        check_alike("here", versions)


def test_workers_of_different_processors_are_told_of(capsys):
    clusters.check_processors("here", {"a": "avx2", "b": "avx2"})
    assert "" == capsys.readouterr().err
    clusters.check_processors("here", {"a": "avx2", "b": "none", "c": "avx2"})
    said = "workers compute by different instructions (2 by avx2, 1 by none): last bits of floats may differ"
    assert f"convcli: 'here': {said}\n" == capsys.readouterr().err


def test_processes_here_are_reached_by_loopback_alone_and_end_with_the_block():
    with cluster_at("local:2") as cluster:
        assert 2 == cluster.threads
        assert all(address.startswith("tcp://127.0.0.1:") for address in cluster.watch.workers)
        processes = [result for _, result, _ in cluster.answers(own_process, None, range(20))]
        ports = Path("/proc/net/tcp").read_text().splitlines()[1:]
        sockets = {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
        ours = [words for words in map(str.split, ports) if f"socket:[{words[9]}]" in sockets and words[3] == "0A"]
        assert ours
        assert all(words[1].startswith("0100007F:") for words in ours)
    assert 2 == len(set(processes))
    wait_until(lambda: not any(map(is_running, set(processes))), "the processes have ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, *offered(signal, "SIGKILL")])
def test_processes_here_end_with_this_one(number):
    code = (
        "import operator, os, sys, time\n"
        "from convcli.runs.cluster import cluster_at\n"
        "from convcli.signals import catch_signals\n"
        "from test_cluster_queue import own_process\n"
        "if __name__ == '__main__':\n"
        "    catch_signals()\n"
        "    with cluster_at('local:2') as c:\n"
        "        print({r for _, r, _ in c.answers(own_process, None, range(30))}, flush=True)\n"
        "        time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        workers = eval(process.stdout.readline())
        assert 2 == len(workers)
        process.send_signal(number)
        process.wait(30)
    wait_until(lambda: not any(map(is_running, workers)), "the processes have ended")


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_keys_that_stop_processes_here_are_told_in_one_line(tmp_path, seconds):
    """As a terminal does it: the signal reaches all processes, while they start and at work."""
    np.save(tmp_path / "in.npy", np.zeros((64, 64, 64), np.uint16))
    cuts = ("--axes", "ZYX", "--chunks", "2,8,8", "--shards", "2,8,8")
    words = ("conv3d", tmp_path / "in.npy", "-k", "box:3", "-o", tmp_path / "out.zarr", *cuts, "--scheduler", "local:2")
    line = [sys.executable, "-m", "convcli", *map(str, words), "-q"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: process.poll() is not None or children.read_text(), "processes start")
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    lines = [each for each in said.splitlines() if "unfinished" not in each]
    assert (130, ["convcli: stopped by SIGINT; no file is half-written [interrupted]"]) == (process.returncode, lines)


def is_running(process):
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pause(seconds, task):
    """Take a while."""
    time.sleep(seconds)
    return task


def die(_common, _task):
    """End the process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def own_process(_common, _task):
    """The number of the process."""
    time.sleep(0.02)
    return os.getpid()


def test_a_worker_keeps_the_memory_of_a_task_for_the_next_one_but_not_for_ever(monkeypatch):
    from convcli.engine.memory import KEPT, LARGEST, empty
    from convcli.runs import shipment

    def place(common, task):
        array = empty((common + LARGEST,), "uint8")
        return array.__array_interface__["data"][0] if task else None

    monkeypatch.setattr(shipment, "LINGER", 0.3)
    sent = shipment.Shipment(None, None)
    sent.opened = place, 1
    sent.setup(None)
    assert sent.do(1) == sent.do(2)
    assert LARGEST < sum(block.nbytes for block in KEPT.waiting.values())
    wait_until(lambda: not KEPT.turning, "the worker lets it go")
    assert sum(block.nbytes for block in KEPT.waiting.values()) <= LARGEST
    assert sent.do(3)
    assert KEPT.turning
    sent.teardown(None)
    assert not KEPT.turning
