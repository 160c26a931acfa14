"""Where imagecodecs is not installed, fewer kinds of files are read and written; those with the same samples."""

import io
import json
import struct
import sys
import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from command import environment
from convcli import cli, native
from convcli.errors import ConvError
from convcli.formats import FORMATS, read
from convcli.formats.jpeg import codec as jpeg
from convcli.formats.png import codec as png

SAMPLES = Path(__file__).parent.parent / "samples"
RNG = np.random.default_rng(5)
WITHOUT = "import sys; sys.modules['imagecodecs'] = None; from convcli.__main__ import main; main()"
"""How a process starts that has none: its import fails."""
MANY = "import json, sys; sys.modules['imagecodecs'] = None; from convcli import cli; \
print([cli.run(words) for words in json.load(sys.stdin)], file=sys.__stdout__)"
"""How one starts that carries out many lines, and prints their exit codes."""
MISSING = {"jp2", "avif", "jxl", "jxr", "qoi", "hdr"}
"""Formats that only it reads and writes."""


@pytest.fixture
def lacks(monkeypatch):
    """In this process, too, for what asks for it by `convcli.formats.codecs`."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)


def convcli(*words, cwd):
    """The exit code, the lines on standard error, and standard output of a process that has none."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, words)],
        capture_output=True, env=environment(), cwd=cwd, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.splitlines(), done.stdout


def carried_out(lines, cwd):
    """The exit codes of many lines in one process that has none, in which a warning is an error; standard error."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", MANY],
        input=json.dumps([[str(word) for word in line] for line in lines]),
        capture_output=True, env=environment(), cwd=cwd, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1]), done.stderr.splitlines()


# JPEG

SCENE = Pillow.open(SAMPLES / "photo.jpg").crop((40, 30, 207, 151))
JPEGS = {
    "grey": SCENE.convert("L"),
    "rgb": SCENE,
    "cmyk": SCENE.convert("CMYK"),
}
SAVED = {
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:0": {"subsampling": "4:2:0", "quality": 60},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "talking": {"exif": b"Exif\0\0broken", "comment": b"x" * 99, "dpi": (72, 72), "icc_profile": b"none"},
}


def jpeg_of(kind, saved):
    """A JPEG by Pillow."""
    stream = io.BytesIO()
    JPEGS[kind].save(stream, "JPEG", **SAVED[saved])
    return stream.getvalue()


@pytest.mark.parametrize(("kind", "saved"), [*product(JPEGS, SAVED)])
def test_jpeg_has_the_same_samples(kind, saved):
    """libjpeg-turbo is in both, in whatever version: at most a step apart."""
    jpeg8_decode = pytest.importorskip("imagecodecs").jpeg8_decode
    content = jpeg_of(kind, saved)
    expected, found = jpeg8_decode(content), jpeg.by_pillow(content, luma=False)
    assert (expected.shape, expected.dtype) == (found.shape, found.dtype)
    assert abs(expected.astype(int) - found).max() <= 1
    if kind == "rgb":
        luma = jpeg8_decode(content, outcolorspace="GRAYSCALE")
        assert abs(luma.astype(int) - jpeg.by_pillow(content, luma=True)).max() <= 1


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
def test_jpeg_is_written_with_the_same_samples(kind, subsampling, lacks):
    """What shares colours in a way that Pillow does not know is written without sharing, nothing is lost by it."""
    data = np.asarray(JPEGS[kind])
    found = jpeg.by_pillow(jpeg.encode(data, 90, subsampling), luma=False)
    stored = ~found if kind == "cmyk" else found
    mode = {"422": "4:2:2", "420": "4:2:0"}.get(subsampling, "4:4:4")
    stream = io.BytesIO()
    JPEGS[kind].save(stream, "JPEG", quality=90, subsampling=mode)
    assert np.array_equal(np.asarray(Pillow.open(stream)), stored)
    assert abs(stored.astype(float) - data).mean() < 8


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.99])
def test_jpeg_that_is_cut_short_is_damaged(cut, lacks):
    content = jpeg_of("rgb", "4:4:4")
    for changed in (content[: int(len(content) * cut)], content[: int(len(content) * cut)] + b"\xff\xd9"):
        with pytest.raises(ConvError) as caught:
            read(changed)
        assert "corrupt" == caught.value.code


@pytest.mark.parametrize(("bits", "lossless", "said"), [(12, False, "JPEG of 12 bits"), (8, True, "lossless JPEG")])
def test_jpeg_that_pillow_does_not_decode_says_what_it_needs(bits, lossless, said, monkeypatch):
    encode = pytest.importorskip("imagecodecs").jpeg8_encode
    content = encode(np.full((16, 24), 100, "u2" if bits > 8 else "u1"), 100, lossless=lossless, bitspersample=bits)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ConvError, match=f"{said} needs imagecodecs, which is not installed") as caught:
        read(content)
    assert "codec-missing" == caught.value.code


# PNG

PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
"""Where Adam7 begins and steps, down and across. Source: PNG, section 8.2."""
LAYOUTS = [
    *((0, depth) for depth in (1, 2, 4, 8, 16)), (2, 8), (2, 16), *((3, depth) for depth in (1, 2, 4, 8)),
    *product((4, 6), (8, 16)),
]  # fmt: skip
COUNT = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(row, depth):
    """The numbers of a row as PNG stores them."""
    if depth >= 8:
        return row.astype(f">u{depth // 8}").tobytes()
    bits = row.reshape(-1, 1) >> np.arange(depth)[::-1] & 1
    return np.packbits(bits.ravel()).tobytes()


def png_of(colour, depth, *, interlaced, transparent):
    """A PNG of any layout with random pixels, of which one colour, or some of a palette, is transparent."""
    pixels = RNG.integers(0, min(2**depth, 12 if colour == 3 else 2**depth), (13, 11, COUNT[colour]))
    pixels[2:5, 3:9] = pixels[0, 0]
    parts = [pixels[y::down, x::across] for y, x, down, across in PASSES] if interlaced else [pixels]
    rows = b"".join(b"\0" + packed(row, depth) for part in parts if part.size for row in part)
    chunks = [chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 13, depth, colour, 0, 0, interlaced))]
    if colour == 3:
        chunks.append(chunk(b"PLTE", RNG.bytes(3 * min(2**depth, 12))))
    if transparent:
        key = struct.pack(f">{COUNT[colour]}H", *pixels[0, 0].tolist())
        chunks.append(chunk(b"tRNS", b"\x07\xf0"[: 2**depth] if colour == 3 else key))
    return b"".join([b"\x89PNG\r\n\x1a\n", *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


@pytest.mark.parametrize(("colour", "depth"), LAYOUTS)
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
def test_png_has_the_same_samples(colour, depth, interlaced, transparent, lacks, monkeypatch):
    if transparent and colour > 3:
        return
    content = png_of(colour, depth, interlaced=interlaced, transparent=transparent)
    if depth == 16 and colour:
        with pytest.raises(ConvError, match=r"^PNG of 16 bits, interlaced .* needs imagecodecs") as caught:
            png.decode(content)
        assert "codec-missing" == caught.value.code
        return
    found = png.decode(content)
    monkeypatch.undo()
    expected = pytest.importorskip("imagecodecs").png_decode(content)
    assert expected.dtype == found.dtype
    assert np.array_equal(expected, found)


def test_png_that_is_damaged_is_told(lacks):
    content = bytearray(png_of(3, 8, interlaced=True, transparent=False))
    content[content.index(b"IDAT") + 12] ^= 255
    with pytest.raises(ConvError) as caught:
        read(bytes(content))
    assert "corrupt" == caught.value.code


# Whole commands, in a process of which tifffile, too, has none

TIFFS = {
    "lzw": {"compression": "lzw"}, "zstd": {"compression": "zstd"}, "jpeg": {"compression": "jpeg"},
    "lerc": {"compression": "lerc"}, "floats": {"compression": "deflate", "predictor": 3},
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of many kinds, some of which need it."""
    pytest.importorskip("imagecodecs")
    folder = tmp_path_factory.mktemp("files")
    data = RNG.integers(0, 200, (40, 48), "u1")
    for name, how in TIFFS.items():
        tifffile.imwrite(folder / f"{name}.tif", data.astype("f4" if name == "floats" else "u1"), **how)
    for name in ("none", "deflate", "packbits"):
        tifffile.imwrite(folder / f"{name}.tif", data, compression=None if name == "none" else name)
    Pillow.fromarray(data).save(folder / "a.png")
    SCENE.save(folder / "a.jpg", quality=90)
    np.save(folder / "a.npy", data)
    for name, how in {"blosc": (), "zstd": ("--compression", "zstd"), "gzip": ("--compression", "deflate")}.items():
        words = ("conv2d", folder / "a.npy", "--axes", "YX", "-k", "identity", *how, "-o", folder / f"{name}.zarr")
        assert 0 == cli.run([*map(str, words), "-q"])
    return folder


def test_version_says_so(files):
    code, _, said = convcli("--version", cwd=files)
    assert (0, True) == (code, said.endswith(" and kinds of TIFF, PNG, JPEG, Zarr and DICOM)\n"))
    *most, last = [FORMATS[name].title for name in FORMATS if name in MISSING]
    assert f"; no imagecodecs: {', '.join(most)} and {last} are missing," in said


@pytest.mark.parametrize("name", [*(f"{name}.tif" for name in TIFFS), "blosc.zarr", "zstd.zarr"])
def test_what_needs_it_says_so(name, files):
    code, (line,), _ = convcli("conv2d", name, "-k", "identity", "-o", "o.tif", "-f", cwd=files)
    assert (1, True) == (code, line.startswith(f"convcli: '{name}': "))
    assert line.endswith(
        " needs imagecodecs, which is not installed: pip install imagecodecs, or convert it first [codec-missing]"
    )


@pytest.mark.parametrize("name", ["none.tif", "deflate.tif", "packbits.tif", "a.png", "a.jpg"])
def test_what_needs_it_not_is_the_same(name, files, run, monkeypatch):
    monkeypatch.chdir(files)
    ending = name.rpartition(".")[2]
    assert 0 == run("conv2d", name, "-k", "box:3", "-o", f"with.{ending}", "-f", "-q")[0]
    assert 0 == convcli("conv2d", name, "-k", "box:3", "-o", f"without.{ending}", "-f", "-q", cwd=files)[0]
    with_, without = (np.asarray(Pillow.open(f"{which}.{ending}")).astype(int) for which in ("with", "without"))
    assert abs(with_ - without).max() <= (3 if ending == "jpg" else 0)


def test_a_compression_that_needs_it_is_refused_before_any_work(files):
    for how, target in (("lzw", "x.tif"), ("jpeg", "x.tif"), ("zstd", "x.tif"), ("zstd", "x.zarr")):
        words = ("conv2d", "a.npy", "--axes", "YX", "-k", "identity", "--compression", how, "-o", target)
        code, (line,), _ = convcli(*words, cwd=files)
        assert (1 if target == "x.zarr" else 2, True) == (code, line.endswith("[codec-missing]")), line
        assert not (files / target).exists()
    words = (
        "conv2d",
        "a.npy",
        "--axes",
        "YX",
        "-k",
        "identity",
        "-t",
        "float32",
        "-o",
        "x.tif",
        "--compression",
        "deflate",
    )
    code, (line,), _ = convcli(*words, "--predictor", "float", cwd=files)
    assert (2, True) == (code, "--predictor float needs imagecodecs" in line), line
    assert (0, []) == convcli(*words, "-q", cwd=files)[:2]
    assert np.array_equal(np.load(files / "a.npy"), tifffile.imread(files / "x.tif"))


def test_a_note_says_that_the_compression_is_another_one(files):
    words = ("conv2d", "packbits.tif", "-k", "identity", "-o", "p.tif", "-f", "--json", "-q")
    code, _, said = convcli(*words, cwd=files)
    assert 0 == code
    assert ["the compression of the source is not kept: deflate is used"] == json.loads(said)["warnings"]


def test_zarr_is_written_as_everybody_reads_it(files, run, monkeypatch):
    monkeypatch.chdir(files)
    words = ("conv2d", "a.npy", "--axes", "YX", "-k", "identity", "-o", "new.zarr", "-f", "-q")
    assert (0, [], "") == convcli(*words, cwd=files)
    assert (0, []) == run("conv2d", "new.zarr", "-k", "identity", "-o", "back.npy", "-f", "-q")
    assert np.array_equal(np.load("a.npy"), np.load("back.npy"))
    assert 0 == convcli("conv2d", "gzip.zarr", "-k", "identity", "-o", "g.npy", "-f", "-q", cwd=files)[0]


WRITTEN = [entry for entry in FORMATS.values() if entry.dtypes and entry.suffixes]
JOBS = {
    "sharp.png": ("conv2d", SAMPLES / "photo.jpg", "-k", "sharpen"),
    "edges.png": ("conv2d", SAMPLES / "shapes.png", "-k", "sobel:x", "-k", "sobel:y", "--combine", "magnitude"),
    "smooth.tif": ("conv3d", SAMPLES / "stack.tif", "-k", "gaussian:0.4um", "--memory", "48MB"),
    "spots.ome.tif": ("conv3d", SAMPLES / "stack.tif", "-k", "log:0.5um", "-t", "float32"),
    "cog.tif": ("conv2d", SAMPLES / "photo.jpg", "-k", "box:3", "--cog", "--compression", "deflate"),
    "large.png": ("upsample", SAMPLES / "shapes.png", "-k", "lanczos", "--scale", "1.5"),
    "mixed.tif": ("separable", SAMPLES / "shapes.png", "--depthwise", "box:3", "--pointwise", "1 0 0; 0 1 0"),
    "far.webp": ("dilate", SAMPLES / "shapes.png", "-k", "laplacian", "--rate", "2"),
    "volume.zarr": ("conv3d", SAMPLES / "stack.tif", "-k", "box:3"),
    "kernel.npy": ("kernels", "gabor:8,45"),
}
"""What is done every day, by what it makes."""
if native.ROWS:  # else colours of 16 bits need imagecodecs
    JOBS["deep.png"] = ("conv2d", SAMPLES / "deep.png", "-k", "gaussian:2")


def test_every_job_of_a_day_is_done_with_the_same_pixels(run, tmp_path):
    (tmp_path / "without").mkdir()
    lines = [(*words, "-o", name, *["-qq"] * (words[0] != "kernels")) for name, words in JOBS.items()]
    pictures = tmp_path / "large.png", tmp_path / "edges.png"
    batch = ("conv2d", *pictures, "-k", "box:3", "-o", "batch/", "--jobs", "2", "-qq")

    assert [0] * len(lines) == [run(*line)[0] for line in lines]
    assert ([0] * (len(lines) + 1), []) == carried_out([*lines, batch], tmp_path / "without")
    for name in JOBS:
        expected, found = (read(tmp_path / folder / name) for folder in ("", "without"))
        assert expected.info.shape == found.info.shape, name
        apart = np.abs(expected.data.astype(float) - found.data).max()
        assert apart <= (9 if name in ("sharp.png", "cog.tif") else 0), (
            name
        )  # libjpeg-turbo in two versions, a step apart
    assert {"large.png", "edges.png"} == {path.name for path in (tmp_path / "without" / "batch").iterdir()}


def test_every_format_holds_the_same_pixels_or_says_what_it_needs(tmp_path):
    colours = RNG.integers(0, 120, (24, 40, 3), "u1")
    held = {"YX": colours[..., :1], "YXS": colours}
    np.save(tmp_path / "YX.npy", colours[..., 0])
    np.save(tmp_path / "YXS.npy", colours)
    axes = {f"o{entry.suffixes[0]}": "YXS" if entry.samples == ("rgb",) else "YX" for entry in WRITTEN}
    types = {f"o{entry.suffixes[0]}": entry.dtypes[0] for entry in WRITTEN}
    missing = {f"o{FORMATS[name].suffixes[0]}" for name in MISSING}

    lines = [
        ("conv2d", f"{axes[name]}.npy", "--axes", axes[name], "-k", "identity", "-t", types[name], "-o", name, "-qq")
        for name in axes
    ]  # fmt: skip
    codes, said = carried_out(lines, tmp_path)
    assert missing == {name for name, code in zip(axes, codes, strict=True) if code}
    assert len(missing) == len([line for line in said if line.endswith("[codec-missing]")]) == len(said)
    for name in axes.keys() - missing:
        expected, found = held[axes[name]], read(tmp_path / name).data.reshape(24, 40, -1)
        apart = np.abs(expected.astype(float) - found[..., : expected.shape[-1]]).max()
        assert apart <= (60 if name == "o.jpg" else 0), name
