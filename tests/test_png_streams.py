"""PNG that is read, filtered and written slab by slab: the same file as at once, and nothing of it where it fails."""

import io
import json
import re
import tracemalloc

import numpy as np
import PIL.Image
import pytest
import tifffile

from command import convcli, limited_file_size
from convcli import formats, native
from convcli.engine import run as engine
from convcli.errors import ConvError
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation, Numbers
from convcli.formats import FORMATS, ReadOptions, WriteOptions, banding, encode, read
from convcli.formats.png import stream as png_stream
from convcli.image import Image, ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.operations.operation import Limits
from convcli.runs import one
from faults import chunk
from ready import Ready
from test_png import BROKEN, COUNTS, DAMAGED, by_hand, file, picture

imagecodecs = pytest.importorskip("imagecodecs")

SMALL = 2**17
"""Bytes of memory that make many slabs of the images here."""
KERNEL = Kernel.from_array("k", np.arange(1.0, 16).reshape(5, 3) / 120, bank=False)

needs_rows = pytest.mark.skipif(not native.ROWS, reason="without the extension a PNG is decoded as a whole")


@pytest.fixture(params=["streamed", "in small bands"])
def thin(request, monkeypatch):
    """Slabs as thin as the memory asks for, images long from the first byte on; bands of a few rows, too."""
    monkeypatch.setattr(engine, "LEAST", 1)
    monkeypatch.setattr(one, "LONG", 1)
    if request.param != "streamed":
        monkeypatch.setattr(png_stream, "BAND", 1500)
        monkeypatch.setattr(banding, "BATCH", 4000)


def run(source, target, *, border="reflect", stride=(1, 1), numbers=None, reading=None, **options):
    """The report of a file filtered with little memory."""
    filter_ = Correlation(
        KERNEL, stride=stride, dilation=(1, 1), borders=parse_border(border, "YX"), numbers=numbers or Numbers()
    )
    settings = one.Settings(
        force=True,
        limits=Limits("direct", 2, SMALL),
        reading=reading or ReadOptions(),
        writing=WriteOptions(**options),
        verify=5,
    )
    return one.process(Ready(filter_), settings, str(source), str(target))


def check_as_whole(source, folder, monkeypatch, suffix=".png", **options):
    """The file that is written slab by slab is the one that is written at once, and the report tells the same."""
    found, whole = folder / f"found{suffix}", folder / f"whole{suffix}"
    slabs = []
    flow = engine.Stream.flow
    monkeypatch.setattr(engine.Stream, "flow", lambda self, *more: (slabs.append(self.slabs), flow(self, *more))[1])
    report = run(source, found, **options)
    monkeypatch.setattr(one.Course, "is_long", False)
    expected = run(source, whole, **options)
    assert (expected.below, expected.above, expected.samples) == (report.below, report.above, report.samples)
    assert expected.warnings == report.warnings
    assert whole.read_bytes() == found.read_bytes()
    return len(slabs[0]) if slabs else 0


@pytest.mark.sweep(2)
@needs_rows
@pytest.mark.parametrize("border", ["reflect", "y=symmetric,x=wrap", "edge", "constant=7"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("samples", COUNTS)
def test_a_png_is_filtered_by_slabs_as_it_is_whole(samples, dtype, border, tmp_path, thin, monkeypatch):
    (tmp_path / "in.png").write_bytes(by_hand(picture(samples, dtype, (300, 150)), (0, 1, 2, 3, 4)))
    assert check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch, border=border) > 2


@needs_rows
@pytest.mark.parametrize("setting", ["fast", "balanced", "small"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (7, 1)])
def test_strides_and_settings_do_not_show(setting, stride, tmp_path, thin, monkeypatch):
    (tmp_path / "in.png").write_bytes(encode(picture(size=(333, 150), levels=9), "png"))
    assert check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch, stride=stride, png=setting) > 2


@pytest.mark.parametrize("options", [{"border": "wrap"}, {"numbers": Numbers(range="rescale")}])
def test_what_needs_rows_twice_is_read_at_once(options, tmp_path, thin, monkeypatch):
    """The first slab would need the last row, or all of them: decoding would begin anew."""
    (tmp_path / "in.png").write_bytes(encode(picture(size=(300, 150), levels=90), "png"))
    assert 0 == check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch, **options)
    tifffile.imwrite(tmp_path / "in.tif", read(tmp_path / "in.png").data, photometric="rgb")
    monkeypatch.undo()
    monkeypatch.setattr(one, "LONG", 1)
    assert check_as_whole(tmp_path / "in.tif", tmp_path, monkeypatch, **options) > 0


GREY = np.random.default_rng(1).integers(0, 255, (300, 200), np.uint8)
RGB = np.random.default_rng(2).integers(0, 60000, (300, 200, 3), np.uint16)
TIFFS = {
    "grey": (GREY, {"photometric": "minisblack"}),
    "white is 0": (GREY, {"photometric": "miniswhite", "rowsperstrip": 7}),
    "colour": (RGB, {"photometric": "rgb", "compression": "zlib", "predictor": True}),
    "a page of one": (GREY[None], {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}),
}


@pytest.mark.parametrize("name", TIFFS)
def test_other_files_become_png_slab_by_slab(name, tmp_path, thin, monkeypatch):
    data, options = TIFFS[name]
    tifffile.imwrite(tmp_path / "in.tif", data, **options)
    least = 2 if native.AVAILABLE else 1  # without compiled code tiles are cut for two threads, and never by memory
    assert check_as_whole(tmp_path / "in.tif", tmp_path, monkeypatch) > least


def test_planes_that_come_one_by_one_are_written_at_once(tmp_path, thin, monkeypatch):
    planes = np.moveaxis(RGB, 2, 0)
    tifffile.imwrite(tmp_path / "in.tif", planes, photometric="rgb", planarconfig="separate")
    assert check_as_whole(tmp_path / "in.tif", tmp_path, monkeypatch) > 0  # as for being read
    assert not FORMATS["png"].takes(ImageInfo((3, 9, 9), "uint8", "SYX", samples="rgb"))
    assert FORMATS["tiff"].takes(ImageInfo((3, 9, 9), "uint8", "SYX", samples="rgb"))
    assert not FORMATS["webp"].takes(ImageInfo((9, 9), "uint8", "YX"))


@needs_rows
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_png_becomes_other_files_slab_by_slab(suffix, tmp_path, thin, monkeypatch):
    (tmp_path / "in.png").write_bytes(encode(picture(size=(300, 150)), "png"))
    assert check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch, suffix) > 2


def palette():
    image = PIL.Image.fromarray(GREY % 7).convert("P")
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=bytes(range(7)))
    return stream.getvalue()


def bits():
    stream = io.BytesIO()
    PIL.Image.fromarray(GREY > 99).save(stream, "PNG")
    return stream.getvalue()


def with_transparent_colour():
    content = encode(Image(ImageInfo(GREY.shape, "uint8", "YX"), GREY), "png")
    return content[:33] + chunk(b"tRNS", b"\0\7") + content[33:]


@pytest.mark.parametrize("make", [palette, bits, with_transparent_colour])
def test_what_libpng_expands_is_read_at_once(make, tmp_path, thin, monkeypatch):
    (tmp_path / "in.png").write_bytes(make())
    assert 0 == check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch)


def test_axes_and_turns_of_a_png_are_applied_at_once(tmp_path, thin, monkeypatch):
    (tmp_path / "in.png").write_bytes(encode(picture("grey", size=(300, 150)), "png"))
    assert 0 == check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch, reading=ReadOptions(axes="XY"))
    info = ImageInfo(RGB.shape, "uint16", "YXS", samples="rgb", metadata={"exif": turned_exif()})
    (tmp_path / "in.png").write_bytes(encode(Image(info, RGB), "png"))
    assert 0 == check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch, reading=ReadOptions(auto_orient=True))
    assert RGB.shape[1::-1] == read(tmp_path / "found.png").data.shape[:2]


def turned_exif():
    exif = PIL.Image.Exif()
    exif[274] = 6
    return exif.tobytes().removeprefix(b"Exif\0\0")


@needs_rows
def test_chunks_stay_around_the_pixels(tmp_path, thin, monkeypatch):
    before = chunk(b"gAMA", b"\0\0\xb1\x8f") + chunk(b"pHYs", bytes([0, 0, 1, 0, 0, 0, 2, 0, 1]))
    content = encode(picture(size=(300, 150)), "png")
    content = content[:33] + before + content[33:-12] + chunk(b"tEXt", b"Author\0somebody") + content[-12:]
    (tmp_path / "in.png").write_bytes(content)
    assert check_as_whole(tmp_path / "in.png", tmp_path, monkeypatch) > 2
    kinds = re.findall(rb"IHDR|gAMA|pHYs|IDAT|tEXt|IEND", (tmp_path / "found.png").read_bytes())
    assert [b"IHDR", b"pHYs", b"gAMA", b"IDAT", b"tEXt", b"IEND"] == list(dict.fromkeys(kinds))


def test_windows_may_be_read_in_any_order(monkeypatch, tmp_path):
    if not native.ROWS:
        pytest.skip("the native extension is not built")
    monkeypatch.setattr(png_stream, "BAND", 400)
    image = picture(dtype="uint16", size=(60, 20))
    (tmp_path / "in.png").write_bytes(by_hand(image, (4, 1, 2, 3)))
    with formats.windows(tmp_path / "in.png") as found:
        _, source = found
        spans = [
            ((0, 60), (0, 20), (0, 3)),
            ((7, 9), (0, 20), (0, 3)),
            ((7, 8), (3, 5), (1, 2)),
            ((59, 60), (0, 1), (0, 3)),
        ]
        for window in [*spans, *reversed(spans)]:
            expected = image.data[tuple(slice(*span) for span in window)]
            out = np.empty(expected.shape, "uint16")
            source.read(window, out)
            np.testing.assert_array_equal(expected, out)


# Faults


@pytest.mark.parametrize("name", DAMAGED | BROKEN)
def test_damage_leaves_the_old_output(name, tmp_path, thin):
    (tmp_path / "in.png").write_bytes(BROKEN.get(name) or file(DAMAGED[name]))
    (tmp_path / "out.png").write_bytes(b"precious")
    with pytest.raises(ConvError) as caught:
        run(tmp_path / "in.png", tmp_path / "out.png")
    assert ("corrupt", str(tmp_path / "in.png")) == (caught.value.code, caught.value.where)
    assert b"precious" == (tmp_path / "out.png").read_bytes()
    assert ["in.png", "out.png"] == sorted(path.name for path in tmp_path.iterdir())


@needs_rows
def test_a_file_that_shrinks_meanwhile_stops_the_stream(tmp_path):
    path = tmp_path / "in.png"
    path.write_bytes(encode(picture(size=(400, 300)), "png"))
    with formats.windows(path) as found:
        info, source = found
        path.write_bytes(path.read_bytes()[:200_000])
        with pytest.raises(ConvError, match="changed while it was read") as caught:
            source.read(tuple((0, size) for size in info.shape), np.empty(info.shape, info.dtype))
    assert ("changed", str(path)) == (caught.value.code, caught.value.where)


def test_max_pixels_holds_for_streams_too(tmp_path, thin):
    (tmp_path / "in.png").write_bytes(encode(picture(size=(300, 150)), "png"))
    with pytest.raises(ConvError, match="--max-pixels"):
        run(tmp_path / "in.png", tmp_path / "out.png", reading=ReadOptions(max_pixels=3 * 300 * 150 - 1))
    run(tmp_path / "in.png", tmp_path / "out.png", reading=ReadOptions(max_pixels=3 * 300 * 150))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_padding_that_no_memory_holds_is_refused(suffix, tmp_path, thin):
    (tmp_path / "in.png").write_bytes(encode(picture("grey", size=(300, 150)), "png"))
    packed = ("--compression", "deflate") if suffix == ".tif" else ()
    words = ("-k", "box:3", "-p", "499000", *packed, "-o", tmp_path / f"out{suffix}")
    done = convcli("conv2d", tmp_path / "in.png", *words)
    assert 1 == done.returncode
    assert b"--padding" in done.stderr
    assert done.stderr.endswith(b"[too-large]\n")
    assert ["in.png"] == [path.name for path in tmp_path.iterdir()]


def test_a_png_may_be_smaller_than_the_disk_has_room_for_its_pixels(tmp_path, thin, monkeypatch):
    monkeypatch.setattr(one, "free_bytes", lambda _: 1000)
    (tmp_path / "in.png").write_bytes(encode(picture("grey", size=(300, 150)), "png"))
    run(tmp_path / "in.png", tmp_path / "out.png")
    if native.ROWS:
        with pytest.raises(ConvError, match="1,000 free"):
            run(tmp_path / "in.png", tmp_path / "out.npy")


def test_a_full_disk_leaves_nothing(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8)
    (tmp_path / "in.png").write_bytes(imagecodecs.png_encode(data, level=1))
    with limited_file_size(2**20):
        done = convcli("conv2d", tmp_path / "in.png", "-k", "identity", "-o", tmp_path / "out.png", "--memory", "1MiB")
    assert 1 == done.returncode
    assert done.stderr.endswith(b"[disk-full]\n"), done.stderr
    assert ["in.png"] == [path.name for path in tmp_path.iterdir()]


@needs_rows
def test_a_large_png_is_filtered_in_little_memory(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (5000, 6000, 3), np.uint8)
    (tmp_path / "in.png").write_bytes(encode(Image(ImageInfo(data.shape, "uint8", "YXS", samples="rgb"), data), "png"))
    words = ("-k", "box:3", "-o", tmp_path / "out.png", "--json")
    done = convcli("conv2d", tmp_path / "in.png", *words)
    assert 0 == done.returncode, done.stderr
    assert json.loads(done.stdout)["memory"] < 150e6  # of which 80 are Python, NumPy and the codecs


def test_an_image_is_encoded_in_little_memory():
    data = np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), np.uint8)
    image = Image(ImageInfo(data.shape, "uint8", "YXS", samples="rgb"), data)
    encode(image, "png")
    tracemalloc.start()
    size = len(encode(image, "png"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.3 * size + 6 * banding.BATCH  # a stream in memory that grows, and its copy
