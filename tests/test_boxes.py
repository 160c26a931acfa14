"""Boxes of a result, each computed alone from what it reads: together they are the whole, to the bit and the count."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from command import InProcess, convcli
from convcli import native
from convcli.engine import run as engine
from convcli.engine.blocks import Blocks, block_for
from convcli.engine.boxes import Boxed, Boxes, boxes_of, checksum, run_boxes, run_one
from convcli.engine.run import run
from convcli.engine.samples import Counts
from convcli.engine.stages.filter import FilterStage
from convcli.engine.steady import ranked
from convcli.errors import ConvError, UsageError
from convcli.formats import ReadOptions, read
from convcli.image import Grid, ImageInfo
from convcli.methods import METHODS
from convcli.operations.operation import Limits
from convcli.planner import make_plan
from convcli.requests.calls import correlate
from openings import Kept, Mapped, Pixels
from test_stages import BUILT, threes
from test_streaming import STAGED, draw_filter


def added(dones):
    """The counts of all boxes."""
    total = Counts()
    for done in dones:
        total.add(done.counts)
    return total


def by_boxes(stages, pixels, block, verify=0, threads=1):
    """What stages make of pixels box by box, and what was clipped; each output is written once."""
    after = stages[-1].after
    job = Boxed(tuple(stages), Kept(pixels), Kept(np.zeros(after.shape, after.dtype)), verify)
    boxes, ends = boxes_of(stages, Grid(block)), None
    if job.last.rescaled:
        looked = list(run_boxes(job, boxes, memory=2**20, threads=threads))
        assert not any(done.written for done in looked)
        ends = min(done.low for done in looked), max(done.high for done in looked)
    dones = list(run_boxes(job, boxes, memory=2**20, threads=threads, spread=ends))
    assert job.target.data.nbytes == sum(done.written for done in dones)
    assert {*boxes} == {done.box for done in dones}
    for done in dones:
        assert checksum(job.target.data[tuple(slice(*span) for span in done.box)]) == done.checksum
    return job.target.data, added(dones)


def check(stages, pixels, rng, verify=0):
    """Boxes of a random block make the whole."""
    whole, counts = run(stages, pixels)
    block = tuple(int(rng.integers(max(1, size // 3), size + 2)) for size in whole.shape)
    found, total = by_boxes(stages, pixels, block, verify, int(rng.integers(1, 4)))
    np.testing.assert_array_equal(whole, found, err_msg=str(block), strict=True)
    assert counts == total, block


@pytest.mark.sweep(3)
@pytest.mark.parametrize("dtype", ["uint16", "float32", "int64"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("axes", "shape", "ndim"), BUILT)
def test_boxes_make_the_whole_of_a_filtered_image(axes, shape, ndim, method, dtype):
    rng = np.random.default_rng([len(axes), ndim, len(method), len(dtype)])
    for _ in range(4):
        filter_ = draw_filter(rng, axes, shape, ndim, method)
        filter_ = replace(filter_, numbers=replace(filter_.numbers, scale=float(rng.choice([1, 40]))))
        if method in ("winograd", "minimal"):
            filter_ = replace(filter_, kernel=threes(rng, filter_.kernel), stride=(1,) * ndim, dilation=(1,) * ndim)
        pixels = (rng.random(shape) * 250).astype(dtype)
        if dtype == "float32" and rng.random() < 0.5:
            pixels.flat[rng.integers(pixels.size, size=3)] = [np.nan, np.inf, 3e38]
        info = ImageInfo(shape, dtype, axes, samples="rgb" if "S" in axes else "")
        try:
            problem = ranked(filter_.problem(info), filter_.kernel)
            plan = make_plan(problem, method=method, threads=2, memory=2**20)
        except (ConvError, UsageError):  # a method that cannot, or a kernel that does not fit
            continue
        check((FilterStage(filter_, info, plan),), pixels, rng)


@pytest.mark.parametrize("axes", ["YX", "ZYX", "YXS"])
@pytest.mark.parametrize(("taps", "dilation"), [(7, 1), (7, 4), (17, 1), (33, 1), (33, 2), (130, 1)])
@pytest.mark.parametrize("method", ["direct", "separable"])
def test_where_a_long_row_is_cut_changes_nothing(method, taps, dilation, axes):
    """Kernels of a row, and those that are rows one after the other: by boxes, and by tiles as small as memory asks."""
    rng = np.random.default_rng(taps)
    shape = {"YX": (41, 390), "ZYX": (9, 26, 390), "YXS": (41, 390, 3)}[axes]
    sides = [rng.random(3), rng.random(taps if method == "separable" else 1), rng.random(taps)]
    kernel = np.einsum("z,y,x", *sides) if axes == "ZYX" else np.outer(*sides[1:])
    info = ImageInfo(shape, "float32", axes, samples="rgb" if "S" in axes else "")
    pixels, request = rng.random(shape, np.float32) - 0.3, correlate(kernel, dilation=dilation, padding="full")
    stages = request.on(info, Limits(method=method)).stages
    whole = run(stages, pixels)[0]
    memory = (2**21 if axes == "ZYX" else 2**18) * (1 if native.AVAILABLE else 4)  # NumPy's smallest tiles are larger
    little = request.on(info, Limits(method=method, memory=memory, threads=1)).stages
    np.testing.assert_array_equal(whole, run(little, pixels)[0], strict=True)
    for axis, size in enumerate(whole.shape):
        for step in {7, int(rng.integers(2, size))} if axes[axis] != "S" else ():
            block = tuple(step if each == axis else length for each, length in enumerate(whole.shape))
            if size / step < 40:
                np.testing.assert_array_equal(whole, by_boxes(stages, pixels, block)[0], f"{block}", strict=True)


def stages_of(words, axes, pixels, tmp_path, monkeypatch, capfd):
    """The stages that a command line runs on pixels."""
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", pixels)
    found = []
    monkeypatch.setattr(
        engine, "run", lambda stages, *more, **named: (found.append(stages), run(stages, *more, **named))[1]
    )
    code, errors = InProcess(capfd)(*words.split(), "in.npy", "--axes", axes, "-q", "-o", "out.npy")
    assert 0 == code, errors
    return found[0]


MORE = [
    ("YX", (150, 130), "upsample -k bilinear --stride 3 --bias -70"),
    ("YX", (150, 130), "upsample -k bicubic --stride 2,3 --padding 1,2 --dtype uint8"),
    ("YXS", (70, 60, 3), "upsample -k bicubic --stride 2 --padding full --nodata 7"),
    ("ZYX", (17, 33, 29), "conv3d -k log:1.5 --dtype uint8 --bias 3 --border wrap"),
    ("CYX", (3, 90, 60), "conv2d -k sobel:x -k sobel:y --dtype uint8"),
    ("YXS", (90, 60, 3), "conv2d -k sobel:x -k sobel:y --dtype uint8"),
]


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("axes", "shape", "words"), [*STAGED, *MORE])
def test_boxes_make_the_whole_of_any_work(axes, shape, words, dtype, tmp_path, monkeypatch, capfd):
    rng = np.random.default_rng(7)
    pixels = (rng.random(shape) * 250).astype(dtype)
    stages = stages_of(words, axes, pixels, tmp_path, monkeypatch, capfd)
    for _ in range(4):
        check(stages, pixels, rng, verify=9)


ELSEWHERE = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
from convcli.engine.blocks import Blocks, block_for
from convcli.engine.boxes import run_one
job, box = pickle.load(sys.stdin.buffer)
pickle.dump(run_one(job, box), sys.stdout.buffer)
"""


def test_a_box_is_the_same_in_another_process(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 60000, (40, 50, 60)).astype(np.uint16)
    stages = correlate("log:1.5").on(ImageInfo(pixels.shape, "uint16", "ZYX")).stages
    whole, _ = run(stages, pixels)
    np.save(tmp_path / "in.npy", pixels)
    np.save(tmp_path / "out.npy", np.zeros_like(whole))
    job, box = Boxed(stages, Mapped(f"{tmp_path}/in.npy"), Mapped(f"{tmp_path}/out.npy")), ((0, 30), (11, 50), (7, 60))
    sent = pickle.dumps((job, box))
    assert len(sent) < 5000
    words = [sys.executable, "-c", ELSEWHERE, Path(__file__).parent]
    done = pickle.loads(subprocess.run(words, input=sent, capture_output=True, check=True).stdout)
    here = run_one(Boxed(stages, Kept(pixels), Kept(np.zeros_like(whole))), box)
    assert replace(here, seconds={}) == replace(done, seconds={})
    np.testing.assert_array_equal(whole[:30, 11:, 7:], np.load(tmp_path / "out.npy")[:30, 11:, 7:])


def test_the_first_error_in_a_box_ends_all():
    pixels = np.full((64, 64), 2**60)
    pixels[40, 40] = 2**61
    info = ImageInfo(pixels.shape, "int64", "YX")
    job = Boxed(correlate("gaussian:1").on(info).stages, Kept(pixels), Kept(np.zeros_like(pixels)))
    with pytest.raises(ConvError, match="is exact up to"):
        list(run_boxes(job, Boxes((64, 64), (8, 8)), memory=2**20, threads=2))


def test_a_box_with_some_results_of_a_channel_is_refused():
    pixels = np.zeros((3, 8, 8), np.float32)
    stages = correlate(["sobel:x", "sobel:y"]).on(ImageInfo(pixels.shape, "float32", "CYX")).stages
    job = Boxed(stages, Kept(pixels), Kept(np.zeros((6, 8, 8), np.float32)))
    with pytest.raises(ValueError, match="all results"):
        run_one(job, ((1, 3), (0, 8), (0, 8)))
    assert (2, 5, 4) == boxes_of(stages, Grid((1, 5, 4))).block


def test_boxes_are_made_one_by_one():
    boxes = Boxes((10**6, 10**6), (10, 10))
    assert 10**10 == len(boxes)
    assert ((0, 10), (0, 10)) == next(iter(boxes))


class WholeRows(Pixels):
    """An array that is read and written by whole rows alone; it is written from the first on."""

    def __init__(self, data, columns, *, ordered):
        super().__init__(data)
        self.columns, self.grid, self.told = columns, Grid((1,) * data.ndim, in_order=ordered), [(-1,)]

    def read(self, spans, out):
        assert (0, self.data.shape[self.columns]) == spans[self.columns]
        super().read(spans, out)

    def write(self, spans, pixels):
        assert (0, self.data.shape[self.columns]) == spans[self.columns]
        self.told.append(tuple(start for start, _ in spans))
        assert self.told[-1] > self.told[-2]
        super().write(spans, pixels)


@pytest.mark.sweep(3)
@pytest.mark.parametrize(("rows", "dtype"), [(False, "uint8"), (True, "float32")])
@pytest.mark.parametrize(("axes", "shape", "words"), [each for each in [*STAGED, *MORE] if each[0][-1] != "Y"])
def test_what_no_slab_of_rows_fits_is_done_in_boxes(axes, shape, words, rows, dtype, tmp_path, monkeypatch, capfd):
    pixels = (np.random.default_rng(7).random(shape) * 250).astype(dtype)
    stages = tuple(stages_of(words, axes, pixels, tmp_path, monkeypatch, capfd))
    whole, counts = run(stages, pixels)
    source, target = Pixels(pixels), Pixels(np.zeros_like(whole))
    source.grid = target.grid = Grid((1,) * whole.ndim, any_box=True)
    if rows:
        source = WholeRows(pixels, axes.index("X"), ordered=False)
        target = WholeRows(np.zeros_like(whole), stages[-1].after.axes.index("X"), ordered=True)
    heard, memory = [], 2**16 if pixels.size < 2**17 else 2**18
    blocks = Blocks(stages, memory, source, target, block_for(stages, memory), 5, heard.append)
    assert counts == blocks.run()
    np.testing.assert_array_equal(whole, target.data, strict=True)
    assert sum(np.prod(stage.whole.working_shape) for stage in stages) == sum(heard)


@pytest.mark.parametrize(("source", "target"), [("in.npy", "out.tif"), ("in.tif", "deflate.tif")])
def test_a_volume_of_large_planes_takes_little_memory(source, target, tmp_path, monkeypatch):
    """Slabs of whole planes would take 200 MB, and the whole 96 MB twice."""
    monkeypatch.chdir(tmp_path)
    volume = np.random.default_rng(2).random((24, 1000, 1000), np.float32)
    np.save("in.npy", volume)
    tifffile.imwrite("in.tif", volume, photometric="minisblack", metadata={"axes": "ZYX"})
    packed = ("--compression", "deflate") if target.startswith("deflate") else ()
    words = ("conv3d", source, "-k", "gaussian:2", "--axes", "ZYX", "-o", target, "-f", "-q", *packed, "--report", "a")
    assert 0 == convcli(*words, "--memory", "24MB").returncode
    few = json.loads(Path("a").read_text())["memory"]
    found = read(target, options=ReadOptions(axes="ZYX")).data
    assert 0 == convcli(*words, "--memory", "2GB").returncode
    np.testing.assert_array_equal(read(target, options=ReadOptions(axes="ZYX")).data, found, strict=True)
    deep = packed and not native.AVAILABLE  # rows in order, of tiles as deep as the volume: the result is held
    assert few < (200e6 if deep else 110e6)
