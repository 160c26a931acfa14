"""Formats that are read or written window by window: the pixels and the bytes are those of the whole."""

from itertools import pairwise

import numpy as np
import pytest

from command import convcli
from convcli.formats import FORMATS, ReadOptions, encode, probe, read, streamed, windows
from images import CASES, picture, stack, with_names

BY_WINDOWS = ["imagej", "nifti", "npy", "ome", "png", "tiff"]
STREAMED = ["imagej", "nifti", "npy", "ome", "png", "tiff"]
"""Formats that are read and that are written window by window: a new one is named here, and tested."""
STACKS = [
    (name, axes)
    for name in ("tiff", "ome", "nifti", "npy")
    for axes in ("ZYX", "TZCYX", "CTZYX", "ZYXC")
    if not (name in ("tiff", "ome") and axes.endswith("XC"))
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


def check_windows(path, options):
    """True where the windows of a file are those of the whole; False where it has none."""
    expected = read(path, options=options)
    with windows(path, options=options) as found:
        if found is None:
            return False
        info, source = found
        assert expected.info == info
        for spans in cut(info, np.random.default_rng(info.shape)):
            pixels = np.empty([stop - start for start, stop in spans], info.dtype)
            source.read(spans, pixels)
            np.testing.assert_array_equal(expected.data[box(spans)], pixels, strict=True)
    return True


def check_streamed(path, image, entry):
    """The file that takes windows is the one that is written at once."""
    with streamed(path, image.info, format=entry) as target:
        for spans in cut(image.info, np.random.default_rng(image.info.shape)):
            target.write(spans, image.data[box(spans)])
    assert unnamed(encode(image, entry)) == unnamed(path.read_bytes())


def unnamed(content):
    """A file without the name that OME-XML makes for every one."""
    import re

    return re.sub(rb"urn:uuid:[0-9a-f-]+", b"", content)


@pytest.mark.parametrize(("name", "dtype", "samples"), CASES)
def test_a_picture_by_windows_is_the_picture(name, dtype, samples, tmp_path):
    entry, image = FORMATS[name], picture(samples, dtype)
    path = tmp_path / f"a{(entry.suffixes or ('.tif',))[0]}"
    path.write_bytes(encode(image, entry))
    assert (name in BY_WINDOWS) == check_windows(path, with_names(entry, image.info))
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
