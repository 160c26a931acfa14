"""Formats that are read or written window by window: the pixels and the bytes are those of the whole."""

import json
from itertools import pairwise

import numpy as np
import pytest
import tifffile

from command import convcli
from convcli import native
from convcli.errors import ConvError
from convcli.formats import FORMATS, ReadOptions, encode, probe, read, streamed, windows, write
from convcli.formats.tiff.windows import Paged
from convcli.native import scans
from images import CASES, picture, stack, with_names

BY_WINDOWS = [
    "cog",
    "imagej",
    "jpeg",
    "metaimage",
    "mgh",
    "mrc",
    "nifti",
    "npy",
    "nrrd",
    "ome",
    "pam",
    "pgm",
    "png",
    "pnm",
    "ppm",
    "tiff",
]
STREAMED = BY_WINDOWS
"""Formats that are read and that are written window by window: a new one is named here, and tested."""
STACKS = [
    (name, axes)
    for name in ("tiff", "ome", "nifti", "npy", "nrrd", "metaimage", "mrc")
    for axes in ("ZYX", "TZCYX", "CTZYX", "ZYXC")
    if not (name in ("tiff", "ome") and axes.endswith("XC"))
    if not (name == "mrc" and "C" in axes)
]


@pytest.fixture(autouse=True)
def _with_nibabel(request):
    """NIfTI is tested where the extra is installed."""
    if "nifti" in request.node.name:
        pytest.importorskip("nibabel", reason="nibabel is not installed (pip install '.[nifti]')")


def cut(info, rng):
    """Windows of whole rows that cover an image, in the order of the file."""
    leading = info.shape[: info.axes.index("Y")]
    ends = sorted({0, info.size("Y"), *rng.integers(0, info.size("Y"), 2).tolist()})
    rest = info.shape[info.axes.index("Y") + 1 :]
    for place in np.ndindex(leading):
        for rows in pairwise(ends):
            yield (*((index, index + 1) for index in place), rows, *((0, size) for size in rest))


def box(spans):
    return tuple(slice(*span) for span in spans)


def check_grid(grid, info):
    """Blocks that an image can be cut into, by whole rows: each as large as the image at most."""
    whole = info.shape[info.axes.index("Y") + 1 :]
    assert len(info.shape) == len(grid.block)
    assert all(1 <= block <= size for block, size in zip(grid.block, info.shape, strict=True))
    assert not grid.in_order or grid.block[len(grid.block) - len(whole) :] == whole


def check_windows(path, options):
    """True where the windows of a file are those of the whole; False where it has none."""
    expected = read(path, options=options)
    with windows(path, options=options) as found:
        if found is None:
            return False
        info, source = found
        assert expected.info == info
        check_grid(source.grid, info)
        for spans in cut(info, np.random.default_rng(info.shape)):
            pixels = np.empty([stop - start for start, stop in spans], info.dtype)
            source.read(spans, pixels)
            np.testing.assert_array_equal(expected.data[box(spans)], pixels, strict=True)
    return True


def check_streamed(path, image, entry):
    """The file that takes windows is the one that is written at once."""
    with streamed(path, image.info, format=entry) as target:
        check_grid(target.grid, image.info)
        for spans in cut(image.info, np.random.default_rng(image.info.shape)):
            target.write(spans, image.data[box(spans)])
    assert unnamed(encode(image, entry)) == unnamed(path.read_bytes())


def unnamed(content):
    """A file without the name that OME-XML makes for every one."""
    import re

    return re.sub(rb"urn:uuid:[0-9a-f-]+", b"", content)


@pytest.mark.usefixtures("jxrlib_here")
@pytest.mark.parametrize(("name", "dtype", "samples"), CASES)
def test_a_picture_by_windows_is_the_picture(name, dtype, samples, tmp_path):
    entry, image = FORMATS[name], picture(samples, dtype)
    path = tmp_path / f"a{(entry.suffixes or ('.tif',))[0]}"
    path.write_bytes(encode(image, entry))
    needed = {"png": native.ROWS, "jpeg": scans.AVAILABLE}.get(name, True)
    assert (name in BY_WINDOWS and needed) == check_windows(path, with_names(entry, image.info))
    assert (name in STREAMED) == entry.takes(image.info)
    if entry.takes(image.info):
        check_streamed(tmp_path / f"b{path.suffix}", image, entry)


@pytest.mark.parametrize(("name", "axes"), STACKS)
def test_a_stack_by_windows_is_the_stack(name, axes, tmp_path):
    entry, image = FORMATS[name], stack(axes)
    path = tmp_path / f"a{entry.suffixes[0]}"
    path.write_bytes(encode(image, entry))
    options = with_names(entry, image.info)
    assert check_windows(path, options)
    check_streamed(tmp_path / f"b{path.suffix}", image, entry)
    assert probe(path, options=options) == read(path, options=options).info


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [1, 2])
def test_a_filtered_scan_keeps_its_header_byte_for_byte_by_windows(version, order, tmp_path):
    """Affine, scaling, description and extensions, in either byte order."""
    nibabel = pytest.importorskip("nibabel")
    kind = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version]
    header = {1: nibabel.Nifti1Header, 2: nibabel.Nifti2Header}[version](endianness=order)
    header["descrip"] = b"a scan"
    data = np.random.default_rng(version).integers(-1000, 1000, (9, 8, 7)).astype(f"{order}i2")
    scan = kind(data, np.diag([2.0, 3.0, 4.0, 1.0]), header)
    scan.header.set_slope_inter(0.5, -10)
    scan.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"made by hand"))
    nibabel.save(scan, tmp_path / "in.nii")
    assert check_windows(tmp_path / "in.nii", ReadOptions())
    check_streamed(tmp_path / "out.nii", read(tmp_path / "in.nii"), FORMATS["nifti"])
    assert (tmp_path / "in.nii").read_bytes() == (tmp_path / "out.nii").read_bytes()


def test_a_scan_is_filtered_slab_by_slab_as_it_is_whole(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    data = np.random.default_rng(3).integers(-1000, 1000, (90, 100, 120)).astype("i2")
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 3.0, 4.0, 1.0])), tmp_path / "in.nii")
    for name, memory in (("slabs.nii", "1MiB"), ("whole.nii", "1GB")):
        words = ("-k", "gaussian:1.5", "-m", "separable", "--memory", memory, "--json")
        done = convcli("conv3d", tmp_path / "in.nii", *words, "-o", tmp_path / name)
        assert 0 == done.returncode, done.stderr
    assert (tmp_path / "whole.nii").read_bytes() == (tmp_path / "slabs.nii").read_bytes()


LIKED = [
    ("tif", {"rowsperstrip": 7, "compression": "zlib"}, (1, 7, 50)),
    ("tif", {"tile": (16, 32), "compression": "zlib"}, (1, 16, 50)),
    ("tif", {"rowsperstrip": 90, "compression": "lzw"}, (1, 45, 50)),
    ("tif", {}, (1, 1, 50)),
]


@pytest.mark.parametrize(("suffix", "layout", "block"), LIKED)
def test_windows_along_the_grid_decode_nothing_twice(suffix, layout, block, tmp_path, monkeypatch):
    data, decoded = np.random.default_rng(4).integers(0, 9, (3, 45, 50), np.uint16), []
    tifffile.imwrite(tmp_path / f"a.{suffix}", data, photometric="minisblack", **layout)
    plain = Paged._decoded
    monkeypatch.setattr(Paged, "_decoded", lambda self, *where: (decoded.append(where), plain(self, *where))[1])
    with windows(tmp_path / f"a.{suffix}") as (_, source):
        assert block == source.grid.block
        for page, row in reversed([*np.ndindex(3, -(-45 // block[1]))]):  # in any order
            rows = row * block[1], min((row + 1) * block[1], 45)
            pixels = np.empty((1, rows[1] - rows[0], 50), np.uint16)
            source.read(((page, page + 1), rows, (0, 50)), pixels)
            np.testing.assert_array_equal(data[page, slice(*rows)], pixels[0])
    assert len(set(decoded)) == len(decoded) == (3 * -(-45 // block[1]) if layout else 0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_largest_value_of_its_own_is_kept_by_windows_and_what_lies_above_is_damage(dtype, tmp_path):
    most = 200 if dtype == "uint8" else 4095
    data = np.random.default_rng(5).integers(0, most, (40, 30), dtype)
    content = f"P5\n30 40\n{most}\n".encode() + data.astype(data.dtype.newbyteorder(">")).tobytes()
    (tmp_path / "a.pgm").write_bytes(content)
    assert check_windows(tmp_path / "a.pgm", ReadOptions())
    image = read(tmp_path / "a.pgm")
    assert not FORMATS["pgm"].takes(image.info)  # its header depends on the pixels
    assert content == encode(image, "pgm")
    data[39, 29] = most + 1
    (tmp_path / "b.pgm").write_bytes(content[: -data.nbytes] + data.astype(data.dtype.newbyteorder(">")).tobytes())
    with windows(tmp_path / "b.pgm") as (_, source), pytest.raises(ConvError, match="above the declared maximum"):
        source.read(((30, 40), (0, 30)), np.empty((10, 30), dtype))


WHOLE = [
    ("in.webp", "out.jpg", "", "Pillow decodes pictures as a whole"),
    ("in.bmp", "out.tif", "", "Pillow decodes pictures as a whole"),
    ("in.pgm", "out.jpg", "", None),
    ("in.jpg", "out.png", "--border wrap", "its rows are decoded one after the other, and are needed in another order"),
    ("in.jpg", "out.pgm", "--border reflect", None),
    ("in.pgm", "out.bmp", "", "BMP is not written row by row"),
    ("in.png", "out.png", "--border wrap", "its rows are decoded one after the other, and are needed in another order"),
    ("in.nii.gz", "out.nii", "", "gzip is unpacked as a whole"),
    ("in.npz", "out.tif", "", "archives, bits and columns first are read as a whole"),
    ("in.pgm", "out.png", "", None),
    ("in.png", "out.pgm", "--border reflect", None),
    ("in.npy", "out.pgm", "--border wrap", None),
]


@pytest.mark.parametrize(("source", "target", "words", "reason"), WHOLE)
def test_what_is_in_memory_as_a_whole_is_said_with_the_reason(source, target, words, reason, tmp_path):
    if "nii" in source:
        pytest.importorskip("nibabel")
    if source == "in.png" and not native.ROWS:
        reason = "without its compiled code, convcli decodes PNG as a whole"
    if source == "in.jpg" and not scans.AVAILABLE:
        reason = "without its compiled code, convcli decodes JPEG as a whole"
    pixels = np.random.default_rng(6).integers(0, 255, (700, 800), np.uint8)
    write(tmp_path / source, pixels)
    command = ("conv2d", tmp_path / source, "-k", "box:3", *words.split(), "--json")
    done = convcli(*command, "--memory", "1MiB", "-o", tmp_path / target)
    assert 0 == done.returncode, done.stderr
    expected = [] if reason is None else [f"in memory as a whole: {reason}"]
    assert expected == [line for line in json.loads(done.stdout)["remarks"] if "memory" in line]
    done = convcli(*command, "--memory", "1GB", "-o", tmp_path / f"at-once-{target}")
    assert (tmp_path / f"at-once-{target}").read_bytes() == (tmp_path / target).read_bytes()
    assert "in memory as a whole" not in done.stdout.decode()
