"""Standard error carries the lines of this program, whatever libraries print there by themselves."""

import io
import logging
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile

from command import convcli, environment
from convcli.formats import encode, read
from convcli.image import Image, ImageInfo

imagecodecs = pytest.importorskip("imagecodecs")
GREY = np.arange(64 * 64, dtype="u1").reshape(64, 64)
NOISY = """
import os, sys, threading, warnings
from convcli import cli, formats, streams
from convcli.formats.png import whole as png
from convcli.records import replace

def noisy(function):
    def call(*args):
        os.write(2, b"a codec's line\\n")
        warnings.warn("a library's warning")
        thread = threading.Thread(target=streams.say, args=["convcli: ours"])
        thread.start()
        thread.join()
        os.write(2, b"a codec's second line\\n")
        return function(*args)
    return call

png.FORMAT = replace(png.FORMAT, probe=noisy(png.probe), read=noisy(png.read), write=noisy(png.write))
cli.main()
"""


def chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def palette_png(*more):
    """A PNG with a palette of 4 colours, and other chunks."""
    header = struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(8) for _ in range(8)))
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", bytes(12)), *more, chunk(b"IDAT", rows), chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpegxr_tiff():
    """A TIFF of JPEG XR with an entry that its decoder does not know, which it says on standard error."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY, compression="jpegxr")
    content = bytearray(stream.getvalue())
    start = content.index(b"II\xbc")
    entries = start + int.from_bytes(content[start + 4 : start + 8], "little") + 2
    content[entries : entries + 2] = b"\x01\x80"
    return bytes(content)


TALKED_OF = {
    "longer than the palette.png": palette_png(chunk(b"tRNS", bytes(9))),
    "empty.png": palette_png(chunk(b"tRNS")),
    "twice.png": palette_png(chunk(b"tRNS", b"\0"), chunk(b"tRNS", b"\0")),
    "jpegxr.tif": jpegxr_tiff(),
}


def said(done):
    """The lines on standard error, all of this program."""
    lines = done.stderr.decode().splitlines()
    assert [] == [line for line in lines if not line.startswith("convcli: ")]
    return lines


@pytest.mark.parametrize("name", TALKED_OF)
def test_what_a_decoder_mutters_about_is_not_seen(name, tmp_path):
    (tmp_path / name).write_bytes(TALKED_OF[name])
    for words in ((name, "-k", "box:3", "-o", "o.tif", "-q"), ("in.pgm", "-k", name, "-o", "p.tif", "-q")):
        (tmp_path / "in.pgm").write_bytes(b"P5 3 3 255 123456789")
        assert len(said(convcli("conv2d", *words, cwd=tmp_path))) < 2


@pytest.fixture
def mutters(tmp_path):
    """A TIFF of which the decoder by itself prints something; newer ones than 2026.3.6 raise an error instead."""
    (tmp_path / "jpegxr.tif").write_bytes(jpegxr_tiff())
    script = "import sys, tifffile; tifffile.imread(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "jpegxr.tif"], capture_output=True, check=False)
    if b"Unrecognized WMPTag" not in done.stderr:
        pytest.skip(f"imagecodecs {imagecodecs.__version__} prints nothing of it by itself")
    return tmp_path / "jpegxr.tif"


def test_the_decoder_would_have_been_seen(mutters):
    assert not said(convcli("conv2d", mutters, "-k", "box:3", "-o", mutters.with_name("o.tif"), "-q"))[1:]


@pytest.mark.parametrize("names", [["a.png"], ["a.png", "b.png"]])
def test_lines_of_this_program_come_out_while_a_library_is_muted(names, tmp_path):
    for name in names:
        (tmp_path / name).write_bytes(encode(Image(ImageInfo(GREY.shape, "uint8", "YX"), GREY), "png"))
    words = ["conv2d", *names, "-k", "box:3", "-o", "o-{name}", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", NOISY, *words],
        capture_output=True,
        env=environment(PYTHONWARNINGS=""),
        cwd=tmp_path,
        check=False,
    )
    assert (0, ["convcli: ours"] * 3 * len(names)) == (done.returncode, said(done))


def test_standard_error_is_open_again_after_the_codec(tmp_path):
    (tmp_path / "in.pgm").write_bytes(b"P5 3 3 255 123456789")
    done = convcli("conv2d", tmp_path / "in.pgm", "-k", "identity", "-o", "/dev/stderr", "--format", "pgm", "-q")
    assert (0, b"P5") == (done.returncode, done.stderr[:2])


def test_what_libpng_says_of_a_picture_is_an_error_or_a_note(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(palette_png())
    decode = imagecodecs.png_decode

    def talking(content):
        logging.getLogger("imagecodecs").warning("PNG warning: something: odd")
        return decode(content)

    monkeypatch.setattr(imagecodecs, "png_decode", talking)
    from convcli.errors import ConvError
    from convcli.formats import ReadOptions

    with pytest.raises(ConvError, match="something: odd"):
        read(tmp_path / "a.png")
    assert ("something: odd",) == read(tmp_path / "a.png", options=ReadOptions(lenient=True)).info.notes


def test_in_somebody_elses_program_nothing_is_muted(mutters):
    script = "import sys; from pathlib import Path; from convcli.formats import read; read(Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", script, mutters], capture_output=True, check=False)
    assert b"Unrecognized WMPTag" in done.stderr
