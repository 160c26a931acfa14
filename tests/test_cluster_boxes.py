"""An output of boxes: alike by threads and by workers, marked until it is whole, and gone on with where it stopped."""

import json
import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from convcli.engine.boxes import Boxed, Done, boxes_of
from convcli.engine.run import run
from convcli.engine.samples import Counts
from convcli.errors import ConvError, UsageError
from convcli.image import Grid, ImageInfo
from convcli.operations.operation import Limits
from convcli.records import record, replace
from convcli.requests.calls import correlate
from convcli.runs.chunked import HERE, ChunkedJob, run_chunked
from convcli.runs.claim import MARK, read_claim
from convcli.runs.cuts import volumes
from convcli.runs.forecast import SERVED, forecast
from convcli.runs.one import Settings
from convcli.runs.progress import Progress
from convcli.runs.tally import Tally
from convcli.stores.folder import LocalStore
from openings import Mapped

SHAPE, BLOCK = (13, 37, 41), (5, 16, 16)
FILTERS = {
    "gaussian": {"kernel": "gaussian:2"},
    "clipped": {"kernel": "log:1.5", "dtype": "uint8"},
    "wrap": {"kernel": np.random.default_rng(1).normal(size=(7, 7, 7)), "border": "wrap"},
    "strided": {"kernel": "box:3", "stride": 2},
}
NUMBERS = count()


class Files:
    """A source, and an output of two passes: a filter, and the mean of each 2x2x2 of its results."""

    def __init__(self, folder, filter_, dtype="uint16"):
        pixels = np.random.default_rng(2).integers(0, 4000, SHAPE).astype(dtype)
        self.folder, self.source = folder, folder / "in.npy"
        np.save(self.source, pixels)
        self.events, passes, self.expected = [], [], []
        opening, info = Mapped(str(self.source)), ImageInfo(SHAPE, dtype, "ZYX")
        (folder / "out").mkdir()
        for number, asked in enumerate([filter_, correlate("box:2", stride=2, padding=0)]):
            stages = asked.on(info, Limits()).stages
            info = stages[-1].after
            np.save(folder / f"out/{number}.npy", np.zeros(info.shape, info.dtype))
            target = Mapped(str(folder / f"out/{number}.npy"), BLOCK)
            passes.append(Boxed(stages, opening, target))
            pixels, counts = run(stages, pixels)
            self.expected.append(pixels)
            opening = target
            if not number:
                self.counts = counts
        self.passes = tuple(passes)
        self.boxes = [len(boxes_of(each.stages, Grid(BLOCK))) for each in passes]

    def job(self, identity="one", finish=None, vacant=None):
        """The job, which notes what is called."""
        return ChunkedJob(
            self.passes,
            tuple(each.target for each in self.passes),
            LocalStore(str(self.folder / "out")),
            identity,
            lambda: 1,
            lambda passes, _time: passes,
            vacant or (lambda: self.events.append("vacant")),
            lambda: self.events.append("begin"),
            finish or (lambda _counts: self.events.append("finish")),
        )

    def run(self, job=None, asked="a", progress=None, **changes):
        """What was done, with a journal of our own."""
        settings = Settings(limits=Limits("auto", 2, 2**28), quiet=True, journal=str(self.folder / "journal"))
        return run_chunked(job or self.job(), asked, replace(settings, **changes), progress or Progress("in"))

    def check(self):
        """Refuse an output that is not the whole's."""
        for number, expected in enumerate(self.expected):
            np.testing.assert_array_equal(expected, np.load(self.folder / f"out/{number}.npy"), strict=True)
        assert not self.mark.exists()

    @property
    def mark(self):
        """The file that says that the output is unfinished."""
        return self.folder / "out" / MARK

    def spoil(self, number, value=0):
        """Put something else where the first box of a pass is."""
        pixels = np.load(self.folder / f"out/{number}.npy", mmap_mode="r+")
        pixels[tuple(slice(0, 3) for _ in SHAPE)] = value


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path, correlate(**FILTERS["clipped"]))


class StopError(Exception):
    """What ends a job in a test."""


def stop_after(files, boxes):
    """A job that ends after so many boxes of its first pass."""
    left = iter(range(boxes))

    @record
    class Failing:
        def opened(self):
            if next(left, None) is None:
                raise StopError
            return files.passes[0].source.opened()

    job = files.job()
    with pytest.raises(StopError):
        files.run(
            replace(job, passes=(replace(job.passes[0], source=Failing()), *job.passes[1:])),
            limits=Limits("auto", 1, 2**28),
        )


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("name", FILTERS)
def test_threads_make_the_whole(tmp_path, name, dtype):
    files = Files(tmp_path, correlate(**FILTERS[name]), dtype)
    tally = files.run()
    files.check()
    assert ["begin", "finish"] == files.events
    assert (sum(files.boxes), sum(files.boxes), 0, 0) == (tally.boxes, tally.made, tally.again, tally.kept)
    assert files.counts == tally.counts
    assert {HERE} == tally.shares.keys()
    assert sum(each.nbytes for each in files.expected) == tally.facts()["written"]


@pytest.mark.parametrize("name", FILTERS)
def test_workers_make_the_whole(tmp_path, dask, name):
    pytest.importorskip("distributed")
    files = Files(tmp_path, correlate(**FILTERS[name]))
    progress = Progress("in")
    tally = files.run(scheduler=dask.address, progress=progress)
    files.check()
    assert re.search(r"shards/s, 2 workers$", progress.text)
    assert (sum(files.boxes), files.counts, 0) == (tally.made, tally.counts, tally.lost)
    assert 2 == len(tally.shares)
    assert set(tally.shares) == set(tally.peaks)
    assert all(value > 0 for share in tally.shares.values() for value in share.facts()["seconds"].values())


def test_a_range_is_looked_for_once(tmp_path, dask):
    filter_ = correlate("log:1.5")
    filter_ = replace(filter_, numbers=replace(filter_.numbers, range="rescale", dtype="uint8"))
    files = Files(tmp_path, filter_)
    assert files.boxes[0] + sum(files.boxes) == files.run().shares[HERE].boxes
    files.check()
    files.spoil(0)
    assert 1 == files.run(resume="check").shares[HERE].boxes  # the range stands in the journal
    files.check()
    files.run(scheduler=dask.address)
    files.check()


@pytest.mark.parametrize("hands", ["threads", "workers"])
def test_what_was_stopped_goes_on(files, hands, dask):
    stop_after(files, 7)
    claim = read_claim(files.mark.read_bytes())
    assert (os.getpid(), True) == (claim.process, claim.since.endswith("+00:00"))
    files.spoil(0)
    tally = files.run(resume="check", scheduler=dask.address if hands == "workers" else "")
    files.check()
    assert (6, 1, sum(files.boxes) - 6, files.counts) == (tally.kept, tally.again, tally.made, tally.counts)
    assert ["begin", "finish"] == files.events


def test_what_is_whole_is_read_back_and_kept(files):
    files.run()
    for number in range(2):
        files.spoil(number, 77)
    tally = files.run(resume="check")
    files.check()
    assert (2, 2, sum(files.boxes) - 2) == (tally.made, tally.again, tally.kept)
    tally = files.run(resume="check")
    assert (0, sum(files.boxes), files.counts) == (tally.made, tally.kept, tally.counts)


def test_what_is_trusted_is_not_read_back(files):
    stop_after(files, 7)
    files.spoil(0)
    tally = files.run(resume="trust")
    assert (7, 0) == (tally.kept, tally.again)
    assert not np.load(files.folder / "out/0.npy")[:3, :3, :3].any()


def test_a_line_that_was_cut_is_done_again(files):
    stop_after(files, 7)
    journal = files.folder / "journal"
    journal.write_bytes(journal.read_bytes()[:-20])
    assert 6 == files.run(resume="check").kept
    files.check()


def test_a_journal_of_another_command_is_refused(files):
    stop_after(files, 3)
    with pytest.raises(ConvError, match=r"was left unfinished by .*; this is another command, or another input"):
        files.run(asked="b", resume="check")
    files.mark.unlink()
    said = r"journal': is the journal of another command: its (input|fingerprint) is not the same \[exists\]"
    for other in ({"asked": "b"}, {"job": files.job("two")}):
        with pytest.raises(ConvError, match=said):
            files.run(**other, resume="check")
        assert not files.mark.exists()
    (files.folder / "journal").write_text("a diary\n")
    with pytest.raises(ConvError, match=r"exists already and is not a journal of shards"):
        files.run()
    assert "a diary\n" == (files.folder / "journal").read_text()


def test_an_unfinished_output_is_nobody_elses(files):
    stop_after(files, 3)
    with pytest.raises(ConvError, match=r"was left unfinished by \w+@.* \(process \d+\) since 20.*; --resume goes on"):
        files.run()
    files.run(force=True)
    files.check()
    assert ["begin", "begin", "finish"] == files.events


def test_a_job_that_is_at_work_keeps_its_output(files):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        stop_after(files, 3)
        mark = json.loads(files.mark.read_text())
        files.mark.write_text(json.dumps(mark | {"process": other.pid}))
        for changes in ({}, {"resume": "check"}, {"force": True}):
            with pytest.raises(ConvError, match=rf"is being written by .* \(process {other.pid}\) since"):
                files.run(**changes)
        other.stdin.close()
        other.wait()
        files.run(resume="check")
    files.check()


def test_a_mark_that_says_nothing_is_somebodys(files):
    files.mark.write_text("{}")
    with pytest.raises(ConvError, match="was left unfinished by somebody@"):
        files.run(resume="check")
    files.run(force=True)
    files.check()


@record
class Careless(LocalStore):
    """A store that creates what is there."""

    def create(self, key, data):
        self.put(key, data)
        return True


def test_a_store_that_refuses_nobody_needs_force(files, capsys):
    job = replace(files.job(), store=Careless(str(files.folder / "out")))
    with pytest.raises(ConvError, match=r"the store does not refuse two jobs for one output; make sure .* \[unsafe\]"):
        files.run(job)
    assert not files.mark.exists()
    files.run(job, force=True)
    files.check()
    assert "there must be no other" in capsys.readouterr().err


def test_an_error_leaves_the_output_marked_and_says_what_goes_on(files, capsys):
    def fail(_counts):
        raise ConvError("no", "permission")

    with pytest.raises(ConvError, match="no"):
        files.run(files.job(finish=fail), quiet=False)
    assert files.mark.exists()
    said = f"{sum(files.boxes)} of {sum(files.boxes)} shards are done; the same command with --resume goes on"
    assert said in capsys.readouterr().err
    assert 0 == files.run(resume="check").made
    files.check()


def test_a_journal_lies_with_the_users_own_unless_named(files):
    with pytest.raises(ConvError):
        files.run(journal="s3://bucket/journal")
    before = {*Path(os.environ["XDG_STATE_HOME"]).glob("convcli/shards-*.jsonl")}
    files.run(journal="")
    (made,) = {*Path(os.environ["XDG_STATE_HOME"]).glob("convcli/shards-*.jsonl")} - before
    assert 2 + sum(files.boxes) == len(made.read_text().splitlines())  # what of, and since when
    assert 0 == files.run(journal="", resume="check").made


def chunks_read(chunks, shards):
    """How many times its own bytes a box in the middle of a large volume reads, in whole chunks, for a halo of 8."""
    shape = (8192, 8192, 8192)
    box = tuple((4 * step, 5 * step) for step in shards)
    return volumes([tuple((first - 8, last + 8) for first, last in box)], chunks, shape)[1] / np.prod(shards)


def test_small_chunks_in_large_shards_are_read_less_often():
    assert 320 * 640 * 640 / (256 * 512 * 512) == chunks_read((32, 64, 64), (256, 512, 512))
    assert 27 == chunks_read((64, 128, 128), (64, 128, 128))


@pytest.mark.parametrize("name", FILTERS)
def test_a_forecast_counts_what_boxes_read(tmp_path, name):
    files = Files(tmp_path, correlate(**FILTERS[name]))
    passes = [replace(each, source=replace(each.source, block=(4, 7, 8))) for each in files.passes]
    found, tally = forecast(passes, 2**30), files.run()
    assert (tally.boxes, tally.facts()["written"]) == (found.tasks, found.written)
    assert tally.facts()["read"] == pytest.approx(found.read, rel=1e-9)
    assert found.fetched >= found.read
    rows = dict(found.rows())
    assert rows["tasks"].startswith(f"{found.tasks} of 5x16x16: ")
    assert rows["expected"].startswith("on 1, 10, 100, 1,000 workers: ")
    assert found.hours(10) >= found.hours(1000) >= found.tasks * SERVED / 3600


def test_the_rate_of_a_store_is_given_by_the_environment(files, monkeypatch):
    assumed = forecast(files.passes, 2**30)
    monkeypatch.setenv("CONVCLI_STORE_RATE", str(assumed.rate / 2))
    slower = forecast(files.passes, 2**30)
    moved = (assumed.fetched + assumed.written) * 0.5 / (assumed.rate * 1e6)
    assert slower.core_seconds - assumed.core_seconds == pytest.approx(moved)
    for word in ("fast", "0", "-1"):
        monkeypatch.setenv("CONVCLI_STORE_RATE", word)
        with pytest.raises(UsageError, match=f"^'CONVCLI_STORE_RATE': '{word}' is no"):
            forecast(files.passes, 2**30)


def test_a_report_of_many_workers_is_short():
    tally = Tally(boxes=3000, peaks={f"w{n}": 10**8 + n for n in range(1000)})
    for number in range(3000):
        spent = {"read": 0.2 if number % 1000 == 7 else 0.1, "compute": 0.1, "write": 0.1}
        tally.add(done(spent), f"w{number % 1000}", again=False, counted=True)
    assert [
        ("shards", "3,000: 3,000 made; 30 MB read, 60 MB written"),
        ("workers", "1,000: 3 to 3 boxes each; peak memory of one 100 MB"),
        ("", "the slowest is w7, 400 ms for a box: 3 boxes, 0.03 MB read, 0.06 MB written; "
             "read 600 ms, compute 300 ms, write 300 ms"),
    ] == [*tally.rows()]  # fmt: skip
    assert 1000 == len(tally.facts()["workers"])


def done(spent):
    """A box that was made in such a time."""
    return Done(((0, 1),), Counts(), "", 10_000, 20_000, spent)


def test_a_job_of_another_machine_is_taken_over_with_a_word(files, capsys):
    stop_after(files, 7)
    said = json.loads(files.mark.read_text())
    files.mark.write_text(json.dumps(said | {"host": "elsewhere"}))
    files.run(resume="check")
    files.check()
    assert re.search(r"taken over from \S+@elsewhere .*: nobody can tell from here whether it", capsys.readouterr().err)


def test_larger_shards_are_advised_where_they_pay(tmp_path):
    files = Files(tmp_path, correlate("gaussian:2"))
    passes = [replace(each, target=replace(each.target, block=(4, 4, 4))) for each in files.passes]
    better = forecast(passes, 2**30).better
    assert "--shards 8x8x8" == better.option  # the kernel lies in the planes; deeper ones are fewer tasks
    assert better.times < forecast(passes, 2**30).by_halo
    assert 1.25 < better.speedup
    assert "reads the input" in dict(forecast(passes, 2**30).rows())["better"]
    fewer = forecast(passes, better.memory // 2).better
    assert fewer is None or fewer.option != better.option
    assert forecast(files.passes, 1).better is None


def test_no_cluster_without_its_extra(monkeypatch):
    from convcli.runs import cluster

    def missing(name):
        raise cluster.PackageNotFoundError(name)

    monkeypatch.setattr(cluster, "version", missing)
    with pytest.raises(
        UsageError, match=r"'--scheduler': needs dask.distributed; install it: pip install 'convcli\[clu"
    ):
        cluster.check_installed()
