"""Sizes are looked at before memory is taken: in every format, a small file that declares a huge picture costs little.

Each is tried in one child process whose peak of memory is set back in between.
"""

import bz2
import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from importlib.util import find_spec

import numpy as np
import pytest

from convcli.formats import FORMATS, encode
from convcli.image import Image, ImageInfo
from faults import npy_header, tiff
from mincs import minc1, minc2

MOST = 64  # MiB beyond what the process has before
HUGE = 40_000
MEASURE = """
import json, sys
from pathlib import Path
from convcli.errors import ConvError
from convcli.formats import ReadOptions, probe, read, windows

def through_windows(path, options):
    with windows(path, options=options):
        pass

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))

def measured(path, options):
    Path("/proc/self/clear_refs").write_text("5")
    before, codes = peak(), []
    for reading in (probe, through_windows, read):
        try:
            reading(path, options=options)
            codes.append("")
        except ConvError as error:
            codes.append(error.code)
    return peak() - before, codes

for name in sys.argv[2:]:
    read(Path(name))  # what libraries take once
for path in sorted(Path(sys.argv[1]).iterdir()):
    for most in (None, 1000):
        print(json.dumps([path.name, most, *measured(path, ReadOptions(max_pixels=most))]))
"""


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(chunks)
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def gif(width, height, disposal, screen=1):
    frame = b"!\xf9\x04" + bytes([disposal << 2]) + bytes(4) + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return (
        b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6) + 3 * (frame + b"\2\2\x44\1\0") + b";"
    )


def sound(name, pixels=None):
    """A sound file of a format."""
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 24) if pixels is None else pixels
    dtype = FORMATS[name].dtypes[0]
    info = ImageInfo(pixels.shape, dtype, "YXS"[: pixels.ndim], samples="rgb" * (pixels.ndim > 2))
    return encode(Image(info, pixels.astype(dtype)), name)
    return encode(
        Image(
            ImageInfo(pixels.shape, pixels.dtype.name, "YXS"[: pixels.ndim], samples="rgb" * (pixels.ndim > 2)), pixels
        ),
        name,
    )


def patched(content, place, form, *values):
    """The file with other numbers at a place."""
    data = bytearray(content)
    struct.pack_into(form, data, place, *values)
    return bytes(data)


def jpeg(height, width):
    content = sound("jpeg")
    return patched(content, content.index(b"\xff\xc0") + 5, ">HH", height, width)


def webp(kind):
    data = {
        b"VP8X": bytes(4) + (16382).to_bytes(3, "little") * 2,
        b"VP8L": b"\x2f" + (16382 | 16382 << 14).to_bytes(4, "little") + bytes(200),
        b"VP8 ": b"\x10\2\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383) + bytes(200),
    }[kind]
    body = b"WEBP" + kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jxl(height, width):
    """A JPEG XL whose header tells a size in thirty bits."""
    size = 0b110 | (height - 1) << 3 | 0b11 << 36 | (width - 1) << 38
    return (b"\xff\x0a" + (size | 1 << 68).to_bytes(9, "little")).ljust(150, b"\0")


def directory(*entries, data=b""):
    """A TIFF of one page: entries of (code, kind, count, value)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4) + data


def page(width, height, *more):
    return directory((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), *more)


def npz(header, packing):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        archive.writestr("a.npy", npy_header(header))
    return stream.getvalue()


ARRAY = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({HUGE}, {HUGE}), }}"
NIFTI = patched(sound("nifti"), 40, "<8h", 3, 30000, 30000, 300, 1, 1, 1, 1)
DIB_OF_AN_ICON = struct.pack("<IiiHHIIiiII", 40, HUGE, 2 * HUGE, 1, 32, 0, 0, 0, 0, 0, 0)
LYING = {
    "png": [png(HUGE, HUGE), png(HUGE, HUGE, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**27))))],
    "jpeg": [jpeg(65500, 65500), jpeg(1, 65500)],
    "tiff": [
        page(HUGE, HUGE, (273, 4, 1, 8), (278, 4, 1, HUGE), (279, 4, 1, 4)),
        page(HUGE, HUGE, (273, 4, 2**28, 8), (278, 4, 1, 1), (279, 4, 2**28, 8)),
        page(64, 64, (322, 4, 1, 2**31 - 16), (323, 4, 1, 2**31 - 16), (324, 4, 1, 8), (325, 4, 1, 4)),
        patched(tiff(np.zeros((4, 4), np.uint8), compression="zlib"), 0, "<4s", b"II*\0")[:-1],
    ],
    "webp": [webp(kind) for kind in (b"VP8X", b"VP8L", b"VP8 ")],
    "bmp": [patched(sound("bmp"), 18, "<ii", HUGE, HUGE), patched(sound("bmp"), 18, "<ii", HUGE, -HUGE)],
    "gif": [gif(HUGE, HUGE, disposal) for disposal in range(4)] + [gif(1, 1, 2, HUGE)],
    "jp2": [
        patched(sound("jp2"), sound("jp2").index(b"\xff\x4f\xff\x51") + 8, ">II", HUGE, HUGE),
        patched(sound("jp2")[sound("jp2").index(b"\xff\x4f\xff\x51") :], 8, ">IIIIII", HUGE, HUGE, 0, 0, HUGE, HUGE),
    ],
    "avif": [patched(sound("avif"), sound("avif").index(b"ispe") + 8, ">II", HUGE, HUGE)],
    "jxl": [
        jxl(HUGE, HUGE),
        jxl(2**30, 1),
        b"\0\0\0\x0cJXL \r\n\x87\n" + struct.pack(">I4s", 8 + 150, b"jxlc") + jxl(HUGE, HUGE),
    ],
    "jxr": [
        patched(content, sound("jxr").index(b"WMPHOTO") + 12, ">HH", HUGE - 1, HUGE - 1)
        for content in (sound("jxr").replace(*(struct.pack("<HHII", 0xBC80, 4, 1, each) for each in (24, HUGE))),)
        for content in (content.replace(*(struct.pack("<HHII", 0xBC81, 4, 1, each) for each in (8, HUGE))),)
    ],
    "qoi": [patched(sound("qoi"), 4, ">II", HUGE, HUGE)],
    "hdr": [sound("hdr").replace(b"-Y 8 +X 24", size) for size in (b"-Y 40000 +X 30000", b"+X 8 +Y 999999999")],
    "dib": [patched(sound("dib"), 4, "<ii", HUGE, HUGE), patched(sound("dib"), 4, "<ii", HUGE, -HUGE)],
    "ico": [patched(sound("ico"), 22, f"<{len(part)}s", part) for part in (png(HUGE, HUGE), DIB_OF_AN_ICON)],
    "tga": [patched(patched(sound("tga"), 12, "<HH", HUGE, HUGE), 2, "B", kind) for kind in (3, 11)],
    "pgm": [b"P5 40000 40000 255\n\0\0", b"P2 40000 40000 255\n1 2 3\n", b"P5 40000 40000 65535\n\0\0"],
    "ppm": [b"P6 40000 40000 255\n\0\0", b"P3 40000 40000 255\n1 2 3\n"],
    "pbm": [b"P4 40000 40000\n\0\0", b"P1 40000 40000\n0101\n"],
    "pam": [b"P7\nWIDTH 40000\nHEIGHT 40000\nDEPTH 4\nMAXVAL 255\nENDHDR\n\0"],
    "nifti": [NIFTI, patched(NIFTI, 108, "<f", 2.0**31)],
    "nifti-gz": [
        gzip.compress(NIFTI),
        gzip.compress(patched(NIFTI, 108, "<f", 2.0**28)[:348] + b"\1\0\0\0" + bytes(2**27)),
    ],
    "nrrd": [
        b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 40000 40000\nencoding: %s\n\n" % encoding + content
        for encoding, content in (
            *((b"raw", bytes(99)), (b"text", b"1 2 3"), (b"bzip2", bz2.compress(bytes(99)))),
            *((b"gzip", gzip.compress(bytes(2**20))), (b"raw\nbyte skip: -1", bytes(99))),
        )
    ],
    "metaimage": [
        b"ObjectType = Image\nNDims = 2\nDimSize = 40000 40000\nElementType = MET_UCHAR\n%s\nElementDataFile = LOCAL\n"
        % more
        + zlib.compress(bytes(2**20))
        for more in (b"", b"CompressedData = True", b"BinaryData = False", b"HeaderSize = -1")
    ],
    "mgh": [
        patched(sound("mgh"), 4, ">3i", 30000, 30000, 300),
        patched(sound("mgh"), 4, ">4i", 30000, 30000, 1, 30000),
    ],
    "mrc": [
        patched(sound("mrc"), 0, "<3i", HUGE, HUGE, 1),
        patched(sound("mrc"), 92, "<i", 2**28),
        patched(sound("mrc"), 92, "<i", 2**31 - 1),
        gzip.compress(patched(sound("mrc"), 0, "<3i", HUGE, HUGE, 1)),
    ],
    "npy": [npy_header(ARRAY), b"\x93NUMPY\2\0" + (2**31).to_bytes(4, "little") + bytes(99)],
    "npz": [npz(ARRAY, packing) for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)],
}
"""For each format that is recognised, files that lie about their size."""
HELD = np.zeros((1, 8, 8), np.uint8)
LYING["minc"] = [
    made.replace(b"\6yspace\0\0\0\0\0\x08", b"\6yspace\0\0\x7f\0\0\0") for made in (minc1(HELD), minc1(HELD, version=2))
]
LYING["minc"].append(gzip.compress(LYING["minc"][0]))
if find_spec("h5py"):
    LYING["minc"].append(minc2(np.zeros((1, 1, 1), np.uint8), shape=(HUGE, HUGE, 1)))
if find_spec("pydicom"):
    from dicoms import dicom

    LYING["dicom"] = [
        dicom(np.zeros((8, 8), np.uint8), Rows=HUGE, Columns=HUGE),
        dicom(np.zeros((8, 8), np.uint8), NumberOfFrames=2**30),
    ]


def test_every_format_that_is_read_has_a_file_that_lies():
    declaring = {name for name, entry in FORMATS.items() if entry.magic != rb"(?!)" and entry.module != "csv"}
    assert declaring - {"analyze"} == LYING.keys() | {"dicom"}  # a text declares nothing; of two files, one does


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak of memory cannot be set back here"
)
def test_a_small_file_that_declares_a_huge_picture_costs_little(tmp_path):
    lying, honest = tmp_path / "lying", tmp_path / "honest"
    lying.mkdir()
    honest.mkdir()
    for name, files in LYING.items():
        suffix = (FORMATS[name].suffixes or (".tif",))[0]
        for number, content in enumerate(files):
            (lying / f"{name} {number}{suffix}").write_bytes(content)
        if FORMATS[name].dtypes:
            plain = np.zeros((8, 8, 3), np.uint8) if name == "ppm" else None
            (honest / f"{name}{suffix}").write_bytes(sound(name, plain))
    names = sorted(map(str, honest.iterdir()))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(lying), *names], capture_output=True, text=True, check=True, timeout=60
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert 2 * sum(map(len, LYING.values())) == len(rows)
    assert [] == [row for row in rows if row[2] > MOST]
    assert [] == [row for row in rows if row[3][2] not in ("too-large", "bomb", "corrupt", "memory")]
