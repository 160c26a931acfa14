"""Images that are read, computed and written slab by slab: the same bits as at once, and nothing left behind."""

import contextlib
import json
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from command import InProcess, convcli, limited_file_size, start
from convcli import formats, native
from convcli.engine import blocks
from convcli.engine import run as engine
from convcli.engine.slabs import SHARE, narrowed
from convcli.engine.stages.filter import FilterStage
from convcli.engine.steady import rank_of
from convcli.errors import ConvError
from convcli.filters.borders import BORDERS, parse_border
from convcli.filters.combining import COMBINATIONS
from convcli.filters.filter import Correlation, Numbers
from convcli.formats import WriteOptions, read
from convcli.image import Grid, Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.methods import METHODS as EVERY
from convcli.methods.contract import load
from convcli.operations.operation import Limits
from convcli.planner import is_fixed, make_plan
from convcli.runs import one
from ready import Ready

LAYOUTS = [
    ("YX", (150, 130), 2),
    ("ZYX", (9, 60, 50), 2),
    ("ZYX", (40, 30, 33), 3),
    ("TCZYX", (2, 3, 12, 20, 22), 3),
    ("ZCYX", (12, 2, 20, 22), 3),
    ("YXS", (90, 80, 3), 2),
    ("SYX", (3, 90, 80), 2),
    ("CYX", (4, 70, 60), 2),
    ("YXC", (60, 50, 4), 2),
    ("TZCYX", (2, 9, 2, 20, 20), 3),
    ("XY", (60, 50), 2),
]
METHODS = ("direct", "separable", "gemm", "fft")
COMPILED = pytest.mark.skipif(not native.AVAILABLE, reason="needs the native extension: else no tile is cut for memory")
SMALL = 2**17
"""Bytes of memory that make many slabs of the images here."""


class Array:
    """An array as source and target, which counts what is read from it and written to it."""

    def __init__(self, data):
        self.data, self.count, self.grid = data, 0, Grid((1,) * data.ndim)

    def read(self, spans, out):
        out[...] = self.data[tuple(slice(*span) for span in spans)]
        self.count += out.size

    def write(self, spans, pixels):
        self.data[tuple(slice(*span) for span in spans)] = pixels
        self.count += pixels.size


@pytest.fixture
def thin(monkeypatch):
    """Slabs as thin as the memory asks for, and images long from the first byte on."""
    monkeypatch.setattr(engine, "LEAST", 1)
    monkeypatch.setattr(one, "LONG", 1)


def draw_filter(rng, axes, shape, ndim, method, ranges=("clip", "clip", "rescale", "abs")):
    """A random filter that fits such an image."""
    size = dict(zip(axes, shape, strict=True))
    taps = rng.random(tuple(rng.integers(1, 6, ndim)))
    taps = np.ones_like(taps) if method == "separable" else taps
    bank = "C" in axes and rng.random() < 0.5
    if bank:
        taps = rng.random((int(rng.integers(1, 4)), size["C"], *taps.shape))
    border = str(rng.choice([rule for rule in BORDERS if rule != "constant"] + ["constant=3"]))
    return Correlation(
        Kernel.from_array("drawn", taps, bank=bank),
        each=not bank,
        stride=tuple(int(n) for n in rng.integers(1, 3, ndim)),
        dilation=tuple(int(n) for n in rng.integers(1, 3, ndim)),
        padding=str(rng.choice(["same", "valid", "full", "tf-same"])),
        borders=parse_border(border, "ZYX"[-ndim:]),
        numbers=Numbers(range=str(rng.choice(ranges))),
    )


def check_streamed(filter_, image, plan):
    """The stream gives the array that the whole gives, and counts the same; how many slabs it took."""
    stages = (FilterStage(filter_, image.info, plan),)
    expected, counts = engine.run(stages, image.data)
    source, target = Array(image.data), Array(np.zeros_like(expected))
    stream = engine.Stream(stages, plan.memory, source, target, verify=4)
    assert counts == stream.run()
    np.testing.assert_array_equal(expected, target.data, strict=True)
    assert target.count == target.data.size
    return len(stream.slabs)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("axes", "shape", "ndim"), LAYOUTS)
def test_a_stream_gives_the_bits_of_the_whole(axes, shape, ndim, method, thin):
    rng = np.random.default_rng([len(axes), ndim, len(method)])
    slabs = []
    for turn in range(3):
        filter_ = draw_filter(rng, axes, shape, ndim, method)
        data = (rng.random(shape) * 250).astype(["uint8", "float32"][turn % 2])
        info = ImageInfo(shape, data.dtype.name, axes, samples="rgb" if "S" in axes else "")
        with contextlib.suppress(ConvError):  # a method that cannot, or a kernel that does not fit
            plan = make_plan(filter_.problem(info, rank_of(filter_.kernel)), method=method, memory=SMALL)
            plan = narrowed(FilterStage(filter_, info, replace(plan, memory=SMALL if turn == 1 else 2**12))).plan
            slabs.append(check_streamed(filter_, Image(info, data), plan))
    assert max(slabs, default=2) > 1 or is_fixed(load(method), plan.problem)


def test_the_short_way_does_not_show(thin):
    rng = np.random.default_rng(1)
    for dtype in ("uint8", "float32"):
        data = (rng.random((700, 300)) * 250).astype(dtype)
        data[5:9, 299] = np.nan if dtype == "float32" else 0
        info = ImageInfo(data.shape, dtype, "YX")
        filter_ = Correlation(
            Kernel.from_array("k", rng.random((5, 7)), bank=False),
            stride=(1, 1),
            dilation=(1, 1),
            borders=parse_border("wrap", "YX"),
        )
        plan = replace(make_plan(filter_.problem(info), method="direct"), tile=(16, 300), memory=2**16)
        assert check_streamed(filter_, Image(info, data), plan) > 2


STAGED = [
    ("YX", (150, 130), "upsample -k bilinear --stride 2"),
    ("YX", (600, 130), "upsample -k gaussian:2 --stride 3,2 --border wrap --padding full"),
    (
        "YX",
        (600, 130),
        "upsample -k box:5 --stride 2 --dilation 2 --border reflect --padding valid --normalize overlap",
    ),
    (
        "YX",
        (150, 130),
        "upsample -k gaussian:1 --stride 4 --padding 1,2 --output-padding 1,3 -m fft --dtype uint8 --bias 100",
    ),
    ("YX", (150, 130), "upsample -k box:3 --stride 1 --range rescale"),
    ("YXS", (600, 60, 3), "upsample -k bicubic --stride 2"),
    ("CYX", (3, 150, 60), "upsample -k box:3 --stride 2 -m gemm"),
    ("ZYX", (20, 30, 33), "upsample --3d -k box:4 --stride 2,1,3"),
    ("YX", (600, 130), "upsample -k bilinear --scale 1.5"),
    ("YX", (600, 130), "upsample -k lanczos --scale 2.25,0.4"),
    ("YX", (600, 130), "upsample -k bicubic --scale 2 --border wrap --range rescale"),
    ("YXS", (600, 60, 3), "upsample -k nearest --scale 3"),
    ("ZYX", (50, 30, 33), "upsample --3d -k bicubic --scale 0.7,2,1.1"),
    ("YX", (300, 130), "dilate -k box:3 --rates 1,2,5"),
    ("YX", (900, 130), "dilate -k gaussian:1 -k sobel:x --rates 1,3 -m fft --border wrap"),
    ("YXS", (300, 60, 3), "dilate -k sobel:x -k sobel:y --rates 1,2 --range rescale"),
    ("CYX", (4, 90, 60), "dilate -k box:3 -k laplacian --rates 1,2"),
    ("CYX", (4, 30, 60), "dilate -k box:3 --rates 1,2"),
    ("ZYX", (190, 20, 30), "dilate --3d -k box:3 --rates 1,2,3 -m fft"),
    ("YX", (300, 130), "dilate -k box:3 --chain 1,2,5"),
    ("YX", (300, 130), "dilate -k gaussian:1 --chain 1,2 -m fft --border wrap"),
    ("CYX", (2, 500, 337), "dilate -k box:3 --chain 2,3,3 --border y=wrap,x=edge"),
    ("YXS", (300, 60, 3), "dilate -k box:3 -k laplacian --chain 1,2 --range rescale"),
    ("CYX", (4, 90, 60), "dilate -k box:3 -k gaussian:1 --combine mean --chain 1,2 -m gemm --border reflect"),
    ("CYX", (4, 30, 60), "dilate -k box:3 --chain 2,1 --nodata 7"),
    ("TZYX", (3, 40, 20, 30), "dilate --3d -k box:3 --chain 1,2,3 -m separable"),
    ("YX", (300, 130), "conv2d -k sharpen --range rescale"),
    ("YXS", (900, 60, 3), "conv2d -k gaussian:2 --stride 2 --border wrap"),
    ("CYX", (4, 900, 60), "conv2d -k sobel:x -k sobel:y --combine magnitude -m gemm"),
    ("YX", (300, 130), "conv2d -k log:2 --padding valid --range abs"),
    ("ZYX", (160, 30, 33), "conv3d -k gaussian:1 --stride 2,1,1"),
    ("TZYX", (2, 120, 30, 33), "conv3d -k box:5 -m fft"),
    ("YXS", (300, 60, 3), "separable --depthwise box:3 --pointwise .3,.6,.1;1,-1,0"),
    ("CYX", (3, 900, 60), "separable --depthwise sobel:x --depthwise box:3 --pointwise 1,0,1,0,1,0"),
]
SETTINGS = {"thin": (2**20, 2), "thinner": (2**21, 1), "one": (2**24, 1), "whole": (2**28, 1), "three": (2**26, 3)}
"""Memory and threads; from "whole" on at once."""


@pytest.mark.sweep(2)
@pytest.mark.parametrize(("axes", "shape", "words"), STAGED)
def test_no_memory_and_no_thread_changes_a_bit_or_a_count_of_any_work(
    axes, shape, words, tmp_path, thin, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    dtype = ("uint8", "float32")[len(words) % 2]
    np.save("in.npy", (np.random.default_rng(7).random(shape) * 250).astype(dtype))
    command = (*words.split(), "in.npy", "--axes", axes, "-f", "--verify", "--json", "-o", "out.npy")
    slabs, flow = [], engine.Stream.flow
    monkeypatch.setattr(engine, "SHARE", 100)
    monkeypatch.setattr(blocks, "WORTH", 0)  # no boxes instead of slabs
    monkeypatch.setattr(engine.Stream, "flow", lambda self, *more: (slabs.append(self.slabs), flow(self, *more))[1])
    found = set()
    for name, (memory, threads) in SETTINGS.items():
        if name == "whole":
            at_once(monkeypatch)
        run = InProcess(capfd)
        code, errors = run(*command, "--memory", memory, "--threads", threads)
        assert 0 == code, errors
        found.add((np.load("out.npy").tobytes(), str(json.loads(run.output)["clipped"])))
    assert len(slabs[0]) > 1
    assert 1 == len(found)


@COMPILED
def test_slabs_share_rows_without_reading_them_twice(thin):
    data = np.random.default_rng(2).integers(0, 255, (64, 32, 32), np.uint8)
    info = ImageInfo(data.shape, "uint8", "ZYX")
    kernel = Kernel.from_array("k", np.ones((7, 3, 3)) / 63, bank=False)
    filter_ = Correlation(kernel, stride=(1,) * 3, dilation=(1,) * 3, borders=parse_border("edge", "ZYX"))
    plan = narrowed(FilterStage(filter_, info, replace(make_plan(filter_.problem(info)), memory=2**17))).plan
    source, target = Array(data), Array(np.zeros_like(data))
    stream = engine.Stream((FilterStage(filter_, info, plan),), plan.memory, source, target)
    stream.run()
    assert len(stream.slabs) > 3
    assert data.size == source.count


@COMPILED
def test_slabs_fit_the_memory_and_cover_all():
    info = ImageInfo((2, 100, 3, 64, 64), "uint16", "TZCYX")
    kernel = Kernel.from_array("k", np.ones((5, 5, 5)), bank=False)
    filter_ = Correlation(kernel, stride=(1,) * 3, dilation=(1,) * 3, borders=parse_border("wrap", "ZYX"))
    for most in (2**19, 2**21, 2**23, 2**26):
        plan = narrowed(FilterStage(filter_, info, replace(make_plan(filter_.problem(info)), memory=SHARE * most))).plan
        setup, covered = FilterStage(filter_, info, plan), np.zeros(info.shape, int)
        for slab in setup.slabs(most):
            assert slab.size <= most
            covered[tuple(slice(*span) for span in slab.written)] += 1
        assert (covered == 1).all()


# Files

STACK = np.random.default_rng(3).integers(0, 60000, (24, 90, 100), dtype=np.uint16)
COLOUR = np.random.default_rng(4).integers(0, 255, (200, 180, 3), dtype=np.uint8)
FILES = {
    "plain": (STACK, {}),
    "imagej": (STACK, {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 2.0, "unit": "um"}}),
    "ome": (STACK, {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeZ": 2.0}}),
    "shaped": (STACK.reshape(4, 6, 90, 100), {"metadata": {"axes": "TZYX"}}),
    "bigtiff": (STACK, {"bigtiff": True}),
    "big-endian": (STACK.astype(">u2"), {"byteorder": ">"}),
    "deflate": (STACK, {"compression": "zlib"}),
    "predictor": (STACK, {"compression": "zlib", "predictor": True, "rowsperstrip": 7}),
    "float predictor": (STACK.astype(np.float32), {"compression": "zstd", "predictor": True}),
    "lzw": (STACK, {"compression": "lzw", "byteorder": ">", "predictor": True}),
    "zstd": (STACK, {"compression": "zstd"}),
    "packbits": (STACK, {"compression": "packbits"}),
    "tiles": (STACK, {"tile": (32, 48)}),
    "a tile a page": (STACK[:, :80, :96], {"tile": (80, 96)}),
    "compressed tiles": (STACK, {"tile": (32, 48), "compression": "zlib", "predictor": True}),
    "strips": (STACK[0], {"rowsperstrip": 11}),
    "colour": (COLOUR, {"photometric": "rgb"}),
    "colour tiles": (COLOUR, {"photometric": "rgb", "tile": (64, 64), "compression": "zlib", "predictor": True}),
    "planar": (np.moveaxis(COLOUR, 2, 0), {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}),
    "planar, plain": (np.moveaxis(COLOUR, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "jpeg": (COLOUR, {"photometric": "rgb", "compression": "jpeg", "tile": (64, 64)}),
    "bits": (STACK > 30000, {"photometric": "minisblack"}),
    "palette": (
        STACK[0].astype(np.uint8),
        {"photometric": "palette", "colormap": (np.arange(768).reshape(3, 256) * 85 % 256 * 257).astype("u2")},
    ),
}


def run(folder, name, kind="", *, memory=SMALL, **options):
    """The report and the path of a file filtered with so much memory."""
    from convcli.runs.one import Settings, process

    out = folder / f"{name}-{kind}.tif"
    kernel = Kernel.from_array("k", np.arange(1.0, 10).reshape(3, 3) / 45, bank=False)
    filter_ = Correlation(kernel, stride=(1, 1), dilation=(1, 1), borders=parse_border("reflect", "YX"))
    settings = Settings(limits=Limits("direct", 2, memory), writing=WriteOptions(**options), verify=5)
    return process(Ready(filter_), settings, str(folder / f"{name}.tif"), str(out)), out


def at_once(monkeypatch):
    """From here on no file is long."""
    monkeypatch.setattr(one.Course, "is_long", False)


def tags_of(path):
    """The tags of every page that do not say where pixels lie."""
    places = {"StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts", "ExifTag", "DateTime"}
    with tifffile.TiffFile(path) as file:
        return [{tag.name: tag.value for tag in page.tags if tag.name not in places} for page in file.pages]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_filtered_by_windows_as_it_is_whole(name, tmp_path, thin, monkeypatch):
    data, options = FILES[name]
    tifffile.imwrite(tmp_path / f"{name}.tif", data, **options)
    report, out = run(tmp_path, name)
    assert {"read", "compute", "write", "total"} == set(report.times)
    at_once(monkeypatch)
    expected, whole = run(tmp_path, name, "whole")
    assert (expected.below, expected.above, expected.samples) == (report.below, report.above, report.samples)
    assert expected.warnings == report.warnings
    np.testing.assert_array_equal(tifffile.imread(whole), tifffile.imread(out), strict=True)
    assert uuidless(tags_of(whole)) == uuidless(tags_of(out))
    assert read(whole).info == read(out).info or name == "ome"


def uuidless(pages):
    """OME-XML has a new name for every file."""
    import re

    return re.sub(r"urn:uuid:[0-9a-f-]+", "", repr(pages))


@pytest.mark.parametrize("compression", ["none", "deflate", "lzw", "zstd"])
@pytest.mark.parametrize("name", ["plain", "tiles", "colour", "planar", "float predictor"])
def test_a_stream_writes_the_compression_that_is_asked_for(name, compression, tmp_path, thin):
    data, options = FILES[name]
    tifffile.imwrite(tmp_path / f"{name}.tif", data, **options)
    _, out = run(tmp_path, name, compression=compression)
    codes = {"none": 1, "deflate": (8, 32946), "lzw": 5, "zstd": 50000}[compression]
    with tifffile.TiffFile(out) as file:
        assert int(file.pages[-1].compression) in np.atleast_1d(codes)
        assert bool(options.get("tile")) == file.pages[0].is_tiled
        found = file.asarray()
    _, plain = run(tmp_path, name, "plain", compression="none")
    np.testing.assert_array_equal(tifffile.imread(plain), found, strict=True)


def test_a_new_ome_tiff_is_the_one_that_is_written_at_once(tmp_path, thin, monkeypatch):
    np.save(tmp_path / "in.npy", STACK.reshape(2, 3, 4, 90, 100))
    filter_ = Correlation(Kernel.from_array("k", np.ones((3, 3)) / 9, bank=False), stride=(1, 1), dilation=(1, 1),
                     borders=parse_border("edge", "YX"))  # fmt: skip
    settings = one.Settings(limits=Limits("auto", 1, SMALL), reading=formats.ReadOptions(axes="TZCYX"))
    for name in ("a.tif", "b.tif"):
        one.process(Ready(filter_), settings, str(tmp_path / "in.npy"), str(tmp_path / name))
        at_once(monkeypatch)
    assert uuidless(tags_of(tmp_path / "b.tif")) == uuidless(tags_of(tmp_path / "a.tif"))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), tifffile.imread(tmp_path / "a.tif"), strict=True)


def test_a_file_is_replaced_in_place(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", STACK)
    expected = convcli("conv2d", tmp_path / "in.tif", "-k", "box:3", "-o", tmp_path / "out.tif")
    assert 0 == expected.returncode, expected.stderr
    done = convcli("conv2d", tmp_path / "in.tif", "-k", "box:3", "--in-place", "--memory", "1MiB")
    assert 0 == done.returncode, done.stderr
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), tifffile.imread(tmp_path / "in.tif"))


def test_npy_streams_too(tmp_path, thin):
    np.save(tmp_path / "in.npy", STACK)
    for out in ("out.npy", "out.tif"):
        done = convcli(
            "conv3d", tmp_path / "in.npy", "--axes", "ZYX", "-k", "box:3", "-o", tmp_path / out, "--memory", "1MiB"
        )
        assert 0 == done.returncode, done.stderr
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), np.load(tmp_path / "out.npy"), strict=True)


def test_channels_that_a_bank_makes_are_written_side_by_side(tmp_path, thin, monkeypatch):
    tifffile.imwrite(tmp_path / "in.tif", STACK, compression="zlib", metadata={"axes": "CYX"}, rowsperstrip=13)
    bank = np.random.default_rng(5).random((5, 24, 3, 3))
    np.save(tmp_path / "bank.npy", bank)
    filter_ = Correlation(Kernel.from_array("bank", bank, bank=True), each=False, stride=(1, 1), dilation=(1, 1),
                     borders=parse_border("edge", "YX"))  # fmt: skip
    settings = one.Settings(limits=Limits("auto", 1, 2**20))
    one.process(Ready(filter_), settings, str(tmp_path / "in.tif"), str(tmp_path / "a.tif"))
    at_once(monkeypatch)
    one.process(Ready(filter_), settings, str(tmp_path / "in.tif"), str(tmp_path / "b.tif"))
    found = tifffile.imread(tmp_path / "a.tif")
    assert (5, 90, 100) == found.shape
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), found, strict=True)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder with a picture of 36 million pixels, and a volume of as many."""
    folder = tmp_path_factory.mktemp("large")
    picture = np.random.default_rng(6).integers(0, 256, (6000, 6000), dtype=np.uint8)
    tifffile.imwrite(folder / "picture.tif", picture)
    tifffile.imwrite(folder / "volume.tif", picture.reshape(100, 600, 600), metadata={"axes": "ZYX"})
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "conv2d picture.tif -k gaussian:2",
        "conv2d picture.tif -k sobel:x --range rescale",
        "conv3d volume.tif -k gaussian:1",
        "upsample picture.tif -k bilinear --stride 2",
        "upsample picture.tif -k bicubic --scale 1.5",
        "separable picture.tif --depthwise gaussian:2 --pointwise 1",
        "dilate picture.tif -k box:3 --rate 4",
        "dilate picture.tif -k box:3 --chain 1,2,5",
        "dilate picture.tif -k box:3 --rates 1,2,5",
        "conv2d picture.tif -k gaussian:2 --cog",
        "conv2d picture.tif -k gaussian:2 --tile 256 --compression jpeg",
    ],
)
def test_the_peak_of_every_kind_of_work_is_bounded(words, large):
    """Of which 50 MB are Python, NumPy and the codecs."""
    command, source, *more = words.split()
    done = convcli(command, large / source, *more, "-f", "-o", large / "out.tif", "--memory", "48MB", "--json")
    assert 0 == done.returncode, done.stderr
    assert json.loads(done.stdout)["memory"] < 160e6


# Faults


def check_fault(code, folder, target, *words):
    """A run that fails with this code, leaves the old output and nothing else."""
    target.write_bytes(b"precious")
    before = sorted(path.name for path in folder.iterdir())
    done = convcli("conv2d", *words, "-k", "box:5", "-o", target, "-f", "--memory", "1MiB")
    assert 1 == done.returncode, done.stderr
    assert done.stderr.decode().rstrip().endswith(f"[{code}]")
    assert (b"precious", before) == (target.read_bytes(), sorted(path.name for path in folder.iterdir()))


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd"])
def test_a_strip_that_is_damaged_stops_the_stream(compression, tmp_path):
    stack = np.tile(STACK, (3, 2, 2))
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, stack, compression=compression)
    with tifffile.TiffFile(path) as file:
        page = file.pages[50]
        place, size = page.dataoffsets[0], page.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[place : place + size // 2] = b"\xff" * (size // 2)
    path.write_bytes(content)
    check_fault("corrupt", tmp_path, tmp_path / "out.tif", path)


def test_a_file_that_shrinks_meanwhile_stops_the_stream(tmp_path, thin, monkeypatch):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, STACK)
    with formats.windows(path) as found:
        info, source = found
        path.write_bytes(path.read_bytes()[: STACK.nbytes // 2])
        with pytest.raises(ConvError, match="changed while it was read") as caught:
            source.read(((0, 24), (0, 90), (0, 100)), np.empty(info.shape, info.dtype))
    assert ("changed", str(path)) == (caught.value.code, caught.value.where)


def test_max_pixels_holds_for_streams_too(tmp_path):
    for name, options in (("plain", {}), ("deflate", {"compression": "zlib"})):
        tifffile.imwrite(tmp_path / f"{name}.tif", STACK, **options)
        words = (tmp_path / f"{name}.tif", "--max-pixels", STACK.size - 1)
        check_fault("too-large", tmp_path, tmp_path / "out.tif", *words)


def test_a_full_disk_leaves_nothing(tmp_path):
    for name, options in (("plain", {}), ("deflate", {"compression": "zlib"})):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.tile(STACK, (8, 1, 1)), **options)
        with limited_file_size(2**20):
            done = convcli(
                "conv2d", tmp_path / f"{name}.tif", "-k", "box:3", "-o", tmp_path / "out.tif", "--memory", "1MiB"
            )
        assert 1 == done.returncode
        assert done.stderr.endswith(b"[disk-full]\n"), done.stderr
    assert ["deflate.tif", "plain.tif"] == sorted(path.name for path in tmp_path.iterdir())


def test_strict_leaves_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", STACK)
    done = convcli("conv2d", tmp_path / "in.tif", "-k", "9", "-o", tmp_path / "out.tif", "--memory", "1MiB", "--strict")
    assert (1, ["in.tif"]) == (done.returncode, [path.name for path in tmp_path.iterdir()])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing(number, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", np.tile(STACK, (20, 3, 3)))
    process = start(
        "conv3d",
        tmp_path / "in.tif",
        "-k",
        "gaussian:6",
        "-m",
        "direct",
        "-o",
        tmp_path / "out.tif",
        "--memory",
        "4MiB",
    )
    time.sleep(1.5)
    assert process.poll() is None, process.stderr.read()
    process.send_signal(number)
    assert 128 + number == process.wait(10)
    process.stderr.close()
    assert ["in.tif"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("axes", "shape"), [("TYXC", (1, 542, 228, 1)), ("YXC", (600, 400, 1)), ("YCX", (542, 1, 228))]
)
@pytest.mark.parametrize("layout", [{}, {"compression": "zlib"}, {"tile": (64, 64)}])
def test_axes_of_length_1_in_a_tiff_are_read_by_windows_as_well(axes, shape, layout, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    tifffile.imwrite("in.tif", image, photometric="minisblack", **layout)
    command = ("conv2d", "in.tif", "--axes", axes, "-k", "identity", "--memory", "1MiB", "-o", "out.npy")
    assert (0, []) == InProcess(capfd)(*command, "-qq")
    np.testing.assert_array_equal(image, np.load("out.npy"))


@pytest.mark.sweep(2)
@pytest.mark.parametrize("method", ["auto", *EVERY])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [(41, 41), (9, 9), (7, 1)])
def test_no_memory_and_no_thread_changes_a_bit_of_a_picture(method, dtype, kernel, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    np.save("in.npy", rng.random((500, 700)).astype(dtype))
    np.save("k.npy", np.outer(*map(rng.standard_normal, kernel)) if method == "separable" else rng.random(kernel))
    found = set()
    for memory, threads in (("256MiB", 1), ("256MiB", 3), ("16MiB", 2), ("4MiB", 1), ("2MiB", 2)):
        command = ("conv2d", "in.npy", "-k", "k.npy", "-m", method, "--memory", memory, "--threads", threads)
        code, errors = InProcess(capfd)(*command, "-f", "-qq", "-o", "out.npy")
        if "cannot do this" in str(errors):
            pytest.skip(errors[0])
        assert 0 == code, errors
        found.add(np.load("out.npy").tobytes())
    assert 1 == len(found)


COMMANDS = {
    "3x3": ("conv2d", "-k", "9 9 9"),
    **{how: ("conv2d", "-k", "sobel:x", "-k", "sobel:y", "--combine", how) for how in COMBINATIONS},
    "magnitude, scaled": (*"conv2d -k sobel:x -k sobel:y --combine magnitude --scale 300 --bias 1".split(),),
    "linear": ("conv2d", "-k", "gaussian:2", "--linear"),
    "upsample": (*"upsample -k gaussian:1 -s 2".split(),),
    "chain": (*"dilate -k gaussian:1 --chain 1,2,3".split(),),
    "rates": (*"dilate -k sobel:x --rates 1,4 --combine max".split(),),
    "separable": (*"separable --axes CYX --depthwise sobel:x --pointwise".split(), "3"),
    "volume": (*"conv3d --axes ZYX -k log:1".split(),),
}


@pytest.mark.sweep(3)
@pytest.mark.parametrize("rule", ["keep", "zero"])
@pytest.mark.parametrize(
    ("dtype", "special"),
    [
        ("float32", 3e38),
        ("float32", np.inf),
        ("float32", np.nan),
        ("float16", 6e4),
        ("float64", 1e308),
        ("int32", 2**31 - 1),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_result_beyond_float32_leaves_the_bits_of_its_neighbours(
    name, dtype, special, rule, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(6).random((700, 300)) * (1e6 if dtype == "int32" else 1)
    image = image.astype(dtype)
    image[300, 200] = special
    np.save("in.npy", image.reshape({"volume": (14, 50, 300), "separable": (1, 700, 300)}.get(name, (700, 300))))
    found = set()
    for memory, threads in (("256MiB", 1), ("8MiB", 3), ("1MiB", 2)):
        command = (COMMANDS[name][0], "in.npy", *COMMANDS[name][1:], "--nan", rule, "--memory", memory)
        code, errors = InProcess(capfd)(*command, "--threads", threads, "-f", "-qq", "-o", "out.npy")
        assert (0, []) == (code, errors)
        found.add(np.load("out.npy").tobytes())
    assert 1 == len(found)
