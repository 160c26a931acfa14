"""Zarr to Zarr by threads, by workers and after accidents: the pixels of the whole, or a mark that they are not."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from command import convcli, start
from services import dask_cluster, wait_until

pytest.importorskip("distributed")
SHAPE = (21, 45, 50)
CUTS = ("--chunks", "4,8,8", "--shards", "8,16,16")
TAPS = np.random.default_rng(7).normal(size=(7, 7, 7))
JOBS = {
    "gaussian": ("conv3d", "-k", "gaussian:2um"),
    "direct": ("conv3d", "-k", "taps.npy", "-m", "direct", "-t", "float32"),
    "fft": ("conv3d", "-k", "taps.npy", "-m", "fft", "--border", "reflect", "-t", "float32"),
    "upsample": ("upsample", "-k", "bilinear", "--3d", "--stride", "2"),
    "dilate": ("dilate", "-k", "box:3", "--3d", "--rate", "2", "--border", "wrap"),
}
MARK = ".convcli-unfinished"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a volume of each type as a Zarr and as a .npy file, and taps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    np.save("taps.npy", TAPS)
    return tmp_path


def volume(run, dtype="uint16", shape=SHAPE):
    """A volume in both forms; its first columns are 0, so that there are shards of zeros."""
    pixels = np.random.default_rng(len(shape)).poisson(300, shape).astype(dtype)
    pixels[..., : shape[2] // 2] = 0
    np.save("in.npy", pixels)
    words = ("conv3d", "in.npy", "--axes", "ZYX", "--spacing", "1,2,2um", "-k", "identity", "-o", "in.ome.zarr")
    assert (0, []) == run(*words, "--chunks", "8,16,16", "-qq", "-f")


def zarr(name, level=0):
    """The pixels of a level of an output, by our own reader."""
    assert 0 == convcli("conv3d", f"{name}/{level}", "-k", "identity", "-o", f"{level}.npy", "-qq", "-f").returncode
    return np.load(f"{level}.npy")


def files(name):
    """What an output consists of."""
    return {str(path.relative_to(name)): path.read_bytes() for path in Path(name).rglob("*") if path.is_file()}


def shards(name):
    """The objects of level 0 that hold pixels."""
    return sorted(path for path in Path(name, "0").rglob("*") if path.is_file() and path.name != "zarr.json")


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("job", JOBS)
def test_threads_and_workers_make_the_whole(run, folder, dask, job, dtype):
    volume(run, dtype)
    command, *words = JOBS[job]
    assert (0, []) == run(command, "in.ome.zarr", *words, "-o", "whole.npy", "-qq")
    assert (0, []) == run(command, "in.ome.zarr", *words, "-o", "threads.ome.zarr", *CUTS, "-qq")
    more = ("--scheduler", dask.address, "--json")
    assert 0 == run(command, "in.ome.zarr", *words, "-o", "workers.ome.zarr", *CUTS, *more, "-qq")[0]
    np.testing.assert_array_equal(np.load("whole.npy"), zarr("threads.ome.zarr"), strict=True)
    assert files("threads.ome.zarr") == files("workers.ome.zarr")


def test_the_report_adds_up_what_workers_did(run, folder, dask):
    volume(run)
    words = ("conv3d", "in.ome.zarr", "-k", "log:1.5", *CUTS)
    here = json.loads(convcli(*words, "-o", "a.ome.zarr", "--json", "-qq").stdout)
    afar = json.loads(convcli(*words, "-o", "b.ome.zarr", "--json", "-qq", "--scheduler", dask.address).stdout)
    for key in ("clipped", "nan", "warnings", "shape", "macs"):
        assert here[key] == afar[key]
    assert afar["clipped"]["below"] > 0
    done = afar["shards"]
    assert (36, 36, 0, 0) == (done["boxes"], done["made"], done["kept"], done["lost"])
    assert 2 == len(done["workers"])
    for key in ("boxes", "read", "written"):
        assert done[key] == sum(worker[key] for worker in done["workers"].values())
    assert here["shards"]["read"] == done["read"]
    assert all(worker["memory"] > 1e7 for worker in done["workers"].values())
    busy = [sum(worker["seconds"][phase] for worker in done["workers"].values()) for phase in ("read", "compute")]
    assert busy == [afar["time"]["read"], afar["time"]["compute"]]


SLOW = ("conv3d", "in.ome.zarr", "-k", "gaussian:2um", "-o", "out.ome.zarr", *CUTS)


def test_a_killed_worker_costs_nothing(run, folder, tmp_path):
    volume(run, shape=(40, 90, 100))
    assert (0, []) == run(*SLOW[:5], "whole.ome.zarr", *CUTS, "-qq")
    with dask_cluster(tmp_path) as cluster, start(*SLOW, "--scheduler", cluster.address) as process:
        wait_until(lambda: len(shards("out.ome.zarr")) > 3, "shards are written")
        cluster.workers[0].send_signal(signal.SIGKILL)
        errors = process.stderr.read()
    assert 0 == process.returncode, errors
    assert b"\nlost " in errors
    assert files("whole.ome.zarr") == files("out.ome.zarr")


@pytest.mark.parametrize("scheduler", [(), ("--scheduler", "local:1")], ids=["threads", "workers"])
def test_a_killed_client_goes_on(run, folder, scheduler):
    volume(run, shape=(40, 90, 100))
    assert (0, []) == run(*SLOW[:5], "whole.ome.zarr", *CUTS, "-qq")
    with start(*SLOW, "--threads", "1", *scheduler) as process:
        wait_until(lambda: len(shards("out.ome.zarr")) > 8, "shards are written")
        process.kill()
    assert Path("out.ome.zarr", MARK).exists()
    code, lines = run("conv3d", "out.ome.zarr", "-k", "identity", "-o", "x.npy")
    assert 1 == code
    assert "unfinished" in lines[0]
    code, lines = run(*SLOW[:4], "-o", "out.ome.zarr", *CUTS, "-qq")
    assert (1, True) == (code, "--resume goes on" in lines[0])
    code, lines = run("conv3d", "in.ome.zarr", "-k", "gaussian:3um", *SLOW[4:], "--resume", "-qq")
    assert (1, True) == (code, "was left unfinished by" in lines[0] and "another command" in lines[0])

    done = convcli(*SLOW, *scheduler, "--threads", "1", "--resume", "--json", "-qq")
    assert 0 == done.returncode, done.stderr
    told = json.loads(done.stdout)["shards"]
    assert told["kept"] >= 8
    assert told["boxes"] == told["kept"] + told["made"]
    assert files("whole.ome.zarr") == files("out.ome.zarr")


@pytest.mark.parametrize("where", ["threads", "workers"])
def test_a_shard_that_is_deleted_cut_or_empty_is_made_again(run, folder, dask, where):
    volume(run)
    more = ("--scheduler", dask.address) if where == "workers" else ()
    assert (0, []) == run(*SLOW, "-qq")
    whole, there = files("out.ome.zarr"), shards("out.ome.zarr")
    assert len(there) == 3 * 3 * 3  # shards of zeros are not stored
    there[0].unlink()
    there[1].write_bytes(there[1].read_bytes()[:-30])
    there[2].write_bytes(b"")
    shutil.copy(there[3], there[4])
    done = convcli(*SLOW, *more, "--resume", "--json", "-qq")
    assert 0 == done.returncode, done.stderr
    told = json.loads(done.stdout)["shards"]
    assert (4, 4) == (told["made"], told["again"])
    assert told["boxes"] == told["kept"] + 4
    assert whole == files("out.ome.zarr")

    there[0].unlink()
    told = json.loads(convcli(*SLOW, *more, "--resume=trust", "--json", "-qq").stdout)["shards"]
    assert (0, told["boxes"]) == (told["made"], told["kept"])
    assert not there[0].exists()


def test_what_nobody_knows_of_is_not_gone_on_with(run, folder):
    volume(run)
    assert (0, []) == run(*SLOW, "-qq")
    shutil.rmtree(folder / "state")
    code, lines = run(*SLOW, "--resume", "-qq")
    assert (1, True) == (code, "exists already; --force replaces it" in lines[0])
    Path("out.ome.zarr", MARK).write_text("{}")
    assert 1 == run(*SLOW, "--resume", "-qq")[0]
    code, (line,) = run(*SLOW, "--force", "-qq")
    assert (0, True) == (code, "taken over from somebody" in line)


def test_an_input_that_changed_is_another_input(run, folder):
    volume(run)
    words = ("conv3d", "in.npy", "--axes", "ZYX", "-k", "box:3", "-o", "out.zarr", *CUTS, "-qq")
    assert (0, []) == run(*words)
    assert (0, []) == run(*words, "--resume")
    os.utime("in.npy", ns=(1, 1))
    code, lines = run(*words, "--resume")
    assert (1, True) == (code, "exists already; --force replaces it" in lines[0])


def test_stores_that_fail_now_and_then_are_asked_again(run, folder, s3, tmp_path):
    volume(run, shape=(16, 32, 32))
    words = ("conv3d", "-k", "gaussian:2um", *CUTS, "-qq")
    bucket = s3.bucket()
    assert (0, []) == run(*words, "in.ome.zarr", "-o", "whole.ome.zarr")
    assert (0, []) == run("conv3d", "in.ome.zarr", "-k", "identity", "-o", f"{bucket}/in.ome.zarr", *CUTS, "-qq")
    with dask_cluster(tmp_path, 2, **s3.environment) as cluster:
        more = ("--scheduler", cluster.address)
        s3.faults(fail=0.25)
        assert (0, []) == run(*words, f"{bucket}/in.ome.zarr", "-o", f"{bucket}/out.ome.zarr", *more)
        s3.faults()
        assert (0, []) == run("conv3d", f"{bucket}/out.ome.zarr", "-k", "identity", "-o", "out.ome.zarr", *CUTS, "-qq")
        assert files("whole.ome.zarr/0") == files("out.ome.zarr/0")

        words = (*words, f"{bucket}/in.ome.zarr", "-o", f"{bucket}/broken.ome.zarr", *more)
        s3.requests()
        with start(*words) as process:
            wait_until(lambda: any("broken.ome.zarr/0" in path for _, path, *_ in s3.requests()), "a shard is written")
            s3.faults(fail=1)
            errors = process.stderr.read()
        s3.faults()
        assert 1 == process.returncode, errors
        assert b"[unreachable]" in errors.splitlines()[-1]
        code, lines = run("conv3d", f"{bucket}/broken.ome.zarr", "-k", "identity", "-o", "x.npy")
        assert (1, True) == (code, "unfinished" in lines[0])
        assert (0, []) == run(*words, "--resume")


def test_what_workers_cannot_read_by_boxes_is_refused(run, folder, dask, monkeypatch):
    from convcli.runs import levels

    monkeypatch.setattr(levels, "SMALL", 1000)
    np.save("in.npy", np.zeros((4, 30, 30, 3), np.uint16).transpose(0, 2, 1, 3))
    words = ("conv2d", "in.npy", "--axes", "ZXYC", "-k", "box:3", "-o", "out.zarr", "-qq")
    code, lines = run(*words, "--scheduler", dask.address)
    assert (2, True) == (code, "workers need boxes of it; make a Zarr of it first" in lines[0]), lines
    assert (0, []) == run(*words)


def test_a_forecast_counts_what_is_then_read(run, folder, dask):
    volume(run)
    words = ("conv3d", "in.ome.zarr", "-k", "taps.npy", "-m", "direct", *CUTS, "-o", "out.ome.zarr", "--json", "-qq")
    told = json.loads(convcli(*words, "--explain", "--scheduler", "tcp://nowhere:1").stdout)["cluster"]
    assert not Path("out.ome.zarr").exists()
    done = json.loads(convcli(*words).stdout)["shards"]
    assert (done["boxes"], done["read"], done["written"]) == (told["tasks"], told["read"], told["written"])
    times = told["amplification"]
    assert told["fetched"] == pytest.approx(told["read"] * times["chunks"])
    assert told["read"] == pytest.approx(np.prod(SHAPE) * 2 * times["halo"])
    hours = told["hours"]["1TB"]
    assert hours["1"] > hours["10"] >= hours["100"] >= hours["1000"] > 0
    assert told["hours"]["10TB"]["1"] == pytest.approx(10 * hours["1"])
