"""Kernel files: what is written is read back, what is damaged is refused, and nothing is guessed."""

import io
import json
import os
import pickle
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from convcli.errors import ConvError, KernelError
from convcli.kernels import Kernel, arrays, files, parse_kernel
from convcli.kernels.saving import FORMATS, ORIGIN, encode, parts

SAMPLES = Path(__file__).parents[1] / "samples" / "kernels"
REACHED = []


def check_refused(message, code, text, ndim=2, **options):
    with pytest.raises(ConvError) as caught:
        parse_kernel(str(text), ndim, **options)
    assert (code, str(text)) == (caught.value.code, caught.value.where)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def png_bytes(array):
    stream = io.BytesIO()
    Pillow.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def npy_bytes(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz_bytes(**named):
    stream = io.BytesIO()
    np.savez_compressed(stream, **named)
    return stream.getvalue()


# What is written is read back


@st.composite
def kernels(draw):
    bank, ndim = draw(st.booleans()), draw(st.sampled_from([2, 3]))
    shape = draw(st.lists(st.integers(1, 3), min_size=ndim + 2 * bank, max_size=ndim + 2 * bank))
    size = int(np.prod(shape))
    taps = draw(st.lists(st.floats(-1e30, 1e30), min_size=size, max_size=size))
    kernel = Kernel.from_values("k", shape, taps, bank=bank)
    if draw(st.booleans()):
        kernel = kernel.at_origin([draw(st.integers(0, k - 1)) for k in kernel.spatial])
    return Kernel(kernel.name, kernel.shape, kernel.data, (), bank, kernel.origin, draw(st.sampled_from([0.0, -3.5])))


@pytest.mark.parametrize("suffix", FORMATS)
@settings(deadline=None)
@given(kernel=kernels())
def test_a_saved_kernel_reads_back_or_is_refused(suffix, kernel, tmp_path_factory):
    holds = set(parts(kernel)) <= set(FORMATS[suffix].holds)
    if not holds:
        with pytest.raises(ConvError, match=f"{suffix} cannot hold .*; use .*.json"):
            encode(kernel, suffix)
        return
    path = written(tmp_path_factory.getbasetemp(), f"k{suffix}", encode(kernel, suffix))
    read = parse_kernel(path, kernel.ndim)
    assert path == read.name
    if "tif" in suffix:
        np.testing.assert_allclose(kernel.array(), read.array(), rtol=1e-7, atol=1e-38)
    else:
        assert kernel == read.named("k")


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read_and_written(suffix):
    assert suffix in {*files.READERS, ".npz"}


def test_named_kernels_are_saved_with_all_their_taps(tmp_path):
    kernel = parse_kernel("gaussian:1,2", 2)
    for suffix in FORMATS:
        read = parse_kernel(written(tmp_path, f"g{suffix}", encode(kernel, suffix)))
        np.testing.assert_allclose(kernel.array(), read.array(), rtol=1e-7)


def test_a_format_that_would_lose_something_names_those_that_would_not():
    with pytest.raises(ConvError, match=rf"\.txt cannot hold {ORIGIN}; use \.json \["):
        encode(parse_kernel("3x1+0+0:1,2,3"), ".txt")
    with pytest.raises(ConvError, match=r"'\.xyz' is no kernel format; use \.txt"):
        encode(parse_kernel("box:3"), ".xyz")
    with pytest.raises(ConvError, match="too large for a file"):
        encode(parse_kernel("gaussian:400", 3), ".npy")


def test_the_sample_kernels_are_what_they_say():
    def sample(name, ndim=2):
        return parse_kernel(str(SAMPLES / name), ndim)

    np.testing.assert_array_equal(sample("sharpen.txt").array(), parse_kernel("sharpen").array())
    np.testing.assert_array_equal(sample("sobel_y.csv").array(), parse_kernel("sobel:y").array())
    np.testing.assert_array_equal(sample("laplacian8.tsv").array(), parse_kernel("laplacian:8").array())
    np.testing.assert_array_equal(sample("blur.mat").array(), parse_kernel("binomial").array())
    assert (0, 128) == (sample("relief.mat").sum(), sample("relief.mat").offset)
    assert (True, (1, 3, 1, 1)) == (sample("luminance.json").bank, sample("luminance.json").shape)
    assert (0, 0) == sample("forward_difference.json").centre
    assert ((3, 3, 3), 1) == (sample("mean6.txt", 3).shape, pytest.approx(sample("mean6.txt", 3).sum()))
    assert all(
        parse_kernel(str(path), 3 if path.stem == "mean6" else 2).name == str(path) for path in SAMPLES.iterdir()
    )


# Text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "1 2 3\n4 5 6\n"),
        ("a.txt", "\ufeff# title\n\n 1\t2  3 \r\n4, 5 ,6 # last\r\n\r\n"),
        ("a.csv", "1,2,3\n4,5,6"),
        ("a.csv", "1;2;3\n4; 5;6\n"),
        ("a.tsv", "1\t2\t3\n4\t5\t6\n"),
        ("a.mat", "3 2\n1 2 3\n4 5 6\n"),
        ("a.mat", "3 2 10 0\n10 20 30\n40 50 60\n"),
        ("a", "1 2 3\n4 5 6\n"),
        ("a.kernel", "1 2 3\r4 5 6"),
        ("a.TXT", "1 2 3\n#\n4 5 6\n"),
        ("a.json", "[[1, 2, 3], [4, 5, 6]]"),
        ("a.json", '{"taps": [[1, 2, 3], [4, 5, 6.0]]}'),
    ],
)
def test_rows_of_text_become_rows_of_taps(name, text, tmp_path):
    kernel = parse_kernel(written(tmp_path, name, text))
    assert ((2, 3), [1, 2, 3, 4, 5, 6], 0) == (kernel.shape, list(kernel.values()), kernel.offset)


def test_blank_lines_split_slices(tmp_path):
    path = written(tmp_path, "v.txt", "# first\n1 2\n\n \n3 4\n# still second\n\n5 6\n")
    assert ((3, 1, 2), [1, 2, 3, 4, 5, 6]) == (parse_kernel(path, 3).shape, list(parse_kernel(path, 3).values()))
    check_refused("has 3 blocks of rows (z-slices), which need conv3d", "kernel", path)


def test_standard_input_is_text(tmp_path):
    assert [1, 2, 3] == list(parse_kernel("-", stdin=lambda: b"1 2 3\n").values())
    check_refused("standard input is empty", "empty", "-", stdin=lambda: b"")
    check_refused("cannot be the kernel here", "kernel", "-")
    check_refused("row 1, value 2: 'x' is not a number", "kernel", "-", stdin=lambda: b"1 x")


@pytest.mark.parametrize(
    ("message", "name", "text"),
    [
        ("kernel row 2 has 2 values, row 1 has 3", "a.txt", "1 2 3\n4 5\n"),
        ("row 1, value 3: 'a' is not a number", "a.txt", "1 2 a\n"),
        ("row 1, value 2: 'nan' is not a finite number", "a.txt", "1 nan\n"),
        ("row 1, value 2 is empty", "a.csv", "1,,3\n"),
        ("row 1, value 2 is empty", "a.csv", "1;;3\n"),
        ("row 1, value 3 is empty", "a.csv", "1,2,\n"),
        ("row 1, value 2 is empty", "a.tsv", "1\t\t3\n"),
        ("row 1 mixes ';' with other separators", "a.txt", "0 -1 0; -1 5 -1; 0 -1 0"),
        ("row 1 mixes ';' with other separators", "a.csv", "0,5;1,5"),
        ("the kernel is empty", "a.txt", "# nothing\n"),
        ("the kernel is empty", "a.txt", "\n \n"),
        ("kernel row 2 has 2 values, the first line says 3", "a.mat", "3 2\n1 2 3\n4 5\n"),
        ("the number of rows is 3, the first line says 2", "a.mat", "3 2\n1 2 3\n4 5 6\n7 8 9\n"),
        ("the number of rows is 1, the first line says 2", "a.mat", "3 2\n1 2 3\n"),
        ("a vips matrix starts with width height", "a.mat", "1\n2\n"),
        ("a scale of 0 divides every tap by zero", "a.mat", "1 1 0\n2\n"),
        ("first line: 1.5 x 1 is no size of a kernel", "a.mat", "1.5 1\n2\n"),
        ("first line: 0 x 1 is no size of a kernel", "a.mat", "0 1\n2\n"),
        ("the kernel is empty", "a.mat", "# 1 1\n"),
        ("is a binary MATLAB file", "a.mat", "MATLAB 5.0 MAT-file, written by\0"),
        ("kernel row 2 has 1 value, row 1 has 2", "a.json", "[[1, 2], [3]]"),
        ('row 1, value 2: "a" is not a finite number', "a.json", '[[1, "a"]]'),
        ("row 1, value 1: true is not a finite number", "a.json", "[[true]]"),
        ("row 1, value 1: null is not a finite number", "a.json", "[[null]]"),
        ("row 2 is 3, not a list", "a.json", "[[1, 2], 3]"),
        ("row 2, value 1: [3] is not a finite number", "a.json", "[[1], [[3]]]"),
        ("NaN is not a finite number", "a.json", "[[NaN]]"),
        ("row 1, value 1: 1" + 39 * "0" + " is not a finite number", "a.json", f"[[{10**400}]]"),
        ("has 0 axes", "a.json", "5"),
        ("has 5 axes", "a.json", "[[[[[1]]]]]"),
        ("the kernel is empty", "a.json", "[]"),
        ("the kernel is empty", "a.json", "[[]]"),
        ("kernel row 2 is empty", "a.json", "[[1], []]"),
        ("has unknown keys 'tap'", "a.json", '{"tap": [1]}'),
        ("has no taps; use taps, origin, offset", "a.json", '{"origin": [0, 0]}'),
        ("origin [0.5, 0] is not a list of whole numbers", "a.json", '{"taps": [1], "origin": [0.5, 0]}'),
        ("origin (0, 1) is not a tap of a 1x1 kernel", "a.json", '{"taps": [1], "origin": [0, 1]}'),
        ('offset: "x" is not a finite number', "a.json", '{"taps": [1], "offset": "x"}'),
    ],
)
def test_what_is_wrong_in_a_text_is_told_with_its_place(message, name, text, tmp_path):
    check_refused(message, "kernel", written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"\x89PNG\r\n\0\0"),
        ("a.txt", b"1 2 \xff"),
        ("a.txt", "1 2".encode("utf-16")),
        ("a.csv", np.random.default_rng(0).bytes(64) + b"\0"),
        ("a.json", b"[[1, 2]"),
        ("a.json", b"[" * 100_000),
        ("a.json", b"\0"),
        ("a.npy", b"1 2 3\n"),
        ("a.npz", b"1 2 3\n"),
        ("a.tif", b"1 2 3\n"),
        ("a.png", b"1 2 3\n"),
        ("a.png", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_what_is_not_in_its_format_is_corrupt(name, content, tmp_path):
    check_refused("", "corrupt", written(tmp_path, name, content))


def test_a_vips_matrix_has_a_scale_and_an_offset(tmp_path):
    kernel = parse_kernel(written(tmp_path, "a.mat", "2 1 4 -128.5\n1 2\n"))
    assert ([0.25, 0.5], -128.5) == (list(kernel.values()), kernel.offset)
    assert (1, 1, 2) == parse_kernel(written(tmp_path, "a.mat", "2 1 4\n1 2\n"), 3).shape


# Arrays


@pytest.mark.parametrize(
    ("ndim", "shape", "kernel_shape", "bank"),
    [
        (2, (5,), (1, 5), False),
        (2, (3, 5), (3, 5), False),
        (2, (4, 3, 5), (1, 4, 3, 5), True),
        (2, (2, 4, 3, 5), (2, 4, 3, 5), True),
        (3, (5,), (1, 1, 5), False),
        (3, (2, 3, 5), (2, 3, 5), False),
        (3, (4, 2, 3, 5), (1, 4, 2, 3, 5), True),
        (3, (2, 4, 2, 3, 5), (2, 4, 2, 3, 5), True),
    ],
)
def test_the_shape_of_an_array_says_what_it_is(ndim, shape, kernel_shape, bank, tmp_path):
    taps = np.random.default_rng(1).normal(size=shape)
    paths = [
        written(tmp_path, "a.npy", npy_bytes(taps)),
        written(tmp_path, "b.npz", npz_bytes(w=taps)),
        written(tmp_path, "c.json", json.dumps(taps.tolist())),
    ]
    for path in paths:
        kernel = parse_kernel(path, ndim)
        assert (kernel_shape, bank, ndim) == (kernel.shape, kernel.bank, kernel.ndim)
        np.testing.assert_array_equal(taps.ravel(), list(kernel.values()))


@pytest.mark.parametrize(("ndim", "shape"), [(2, ()), (2, (1,) * 5), (3, (3, 3)), (3, (1,) * 6)])
def test_other_shapes_are_refused_with_those_that_work(ndim, shape, tmp_path):
    path = written(tmp_path, "a.npy", npy_bytes(np.ones(shape)))
    check_refused(f"has {len(shape)} axes; conv{ndim}d takes kernels of shape (k", "kernel", path, ndim)


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "<u8", "<f2", ">f4", "<f8", "g"])
def test_any_real_dtype_holds_taps(dtype, tmp_path):
    taps = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    for order in "CF":
        kernel = parse_kernel(written(tmp_path, "a.npy", npy_bytes(np.asarray(taps, order=order))))
        assert [0, 1, 1, 1, 0, 1] == list(kernel.values())


class Payload:
    """Shows whether it was unpickled."""

    def __reduce__(self):
        return (REACHED.append, ("unpickled",))


@pytest.mark.parametrize(
    "array", [np.array([Payload()], object), np.array([1j]), np.array(["1"]), np.zeros(1, "f4,f4")]
)
def test_other_dtypes_are_refused_and_nothing_is_unpickled(array, tmp_path):
    data = npy_bytes(array, allow_pickle=True)
    check_refused("a kernel needs real numbers", "kernel", written(tmp_path, "a.npy", data))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("w.npy", data)
    check_refused("a kernel needs real numbers", "kernel", written(tmp_path, "a.npz", archive.getvalue()))
    check_refused("", "corrupt", written(tmp_path, "b.npy", pickle.dumps(Payload())))
    assert not REACHED


@pytest.mark.parametrize("tap", [np.nan, np.inf, -np.inf, 1e300])
def test_taps_that_are_not_finite_are_refused(tap, tmp_path):
    path = written(tmp_path, "a.npy", npy_bytes(np.array([1, tap])))
    check_refused("is not a finite float32 number", "kernel", path)


def test_an_archive_of_several_arrays_needs_a_key(tmp_path):
    path = written(tmp_path, "w.npz", npz_bytes(first=np.ones((3, 3)), second=np.ones((1, 5))))
    assert (1, 5) == parse_kernel(f"{path}:second").shape
    assert f"{path}:first" == parse_kernel(f"{path}:first").name
    check_refused("holds several arrays; add one of them: :first, :second", "kernel", path)
    check_refused("has no array 'third'; it has first, second", "kernel", f"{path}:third")
    check_refused("holds no arrays", "kernel", written(tmp_path, "n.npz", npz_bytes()))


def test_a_header_of_more_axes_than_numpy_has_is_corrupt(tmp_path):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {(1,) * 70}, }}\n".encode()
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\1"
    check_refused("", "corrupt", written(tmp_path, "a.npy", data))


def test_what_a_header_declares_is_checked_before_anything_is_allocated(tmp_path):
    whole = npy_bytes(np.ones((3, 3)))
    check_refused("is cut short: 64 of 72 bytes are there", "corrupt", written(tmp_path, "a.npy", whole[:-8]))
    huge = whole.replace(b"'shape': (3, 3), }", b"'shape': (1000000000000, 1), }")[: len(whole)]
    check_refused("too large for a kernel", "too-large", written(tmp_path, "b.npy", huge))
    check_refused("holds no taps", "kernel", written(tmp_path, "c.npy", npy_bytes(np.ones((0, 3)))))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("w.npy", whole.replace(b"(3, 3), }", b"(99999999, 9), }") + bytes(10**6))
    check_refused("too large for a kernel", "too-large", written(tmp_path, "d.npz", bomb.getvalue()))


# Images of a point spread function


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_grey_tiff_is_a_kernel_with_its_values_as_they_are(dtype, tmp_path):
    taps = np.arange(15, dtype=dtype).reshape(3, 5)
    path = tmp_path / "psf.tif"
    tifffile.imwrite(path, taps, photometric="minisblack", compression="deflate")
    np.testing.assert_array_equal(taps, parse_kernel(str(path)).array())


def test_a_stack_is_a_kernel_with_three_axes(tmp_path):
    taps = np.arange(30, dtype=np.float32).reshape(2, 3, 5)
    path = tmp_path / "psf.tif"
    tifffile.imwrite(path, taps, photometric="minisblack", metadata={"axes": "ZYX"}, ome=True)
    np.testing.assert_array_equal(taps, parse_kernel(str(path), 3).array())
    check_refused("is an image of shape (2, 3, 5); conv2d takes a plane", "kernel", path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_grey_png_is_a_kernel_with_its_values_as_they_are(dtype, tmp_path):
    taps = (1000 * np.arange(15).reshape(3, 5) % 65536).astype(dtype)
    path = written(tmp_path, "psf.png", png_bytes(taps))
    np.testing.assert_array_equal(taps, parse_kernel(path).array())
    check_refused("is an image of shape (3, 5); conv3d takes a stack", "kernel", path, 3)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colour_is_no_kernel(channels, tmp_path):
    pixels = np.ones((5, 6, channels), np.uint8)
    check_refused("is not a grey PNG", "kernel", written(tmp_path, "c.png", png_bytes(pixels)))
    if channels > 2:
        tifffile.imwrite(tmp_path / "c.tif", pixels, photometric="rgb")
        check_refused("is not one grey image", "kernel", tmp_path / "c.tif")


def test_images_that_declare_too_much_are_refused_unread(tmp_path):
    png = bytearray(png_bytes(np.ones((5, 6), np.uint8)))
    png[16:24] = (100_000).to_bytes(4, "big") * 2
    check_refused("declares an image of shape (100000, 100000)", "too-large", written(tmp_path, "a.png", bytes(png)))
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.ones((5, 6), np.uint8), photometric="minisblack", metadata=None, rowsperstrip=5)
    tiff = with_tags(stream.getvalue(), {256: 100_000, 257: 100_000, 278: 100_000})
    check_refused("bytes of pixels are missing", "corrupt", written(tmp_path, "a.tif", tiff))


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {"compression": "deflate"}])
def test_a_stack_that_is_cut_is_damage_not_a_smaller_kernel(options, tmp_path):
    stream = io.BytesIO()
    taps = np.random.default_rng(1).random((9, 20, 20)).astype(np.float32)
    tifffile.imwrite(stream, taps, photometric="minisblack", metadata={"axes": "ZYX"}, **options)
    whole = stream.getvalue()
    np.testing.assert_array_equal(taps, parse_kernel(written(tmp_path, "whole.tif", whole), 3).array())
    for share in (0.3, 0.6, 0.8):
        check_refused("", "corrupt", written(tmp_path, "cut.tif", whole[: int(share * len(whole))]), 3)


@pytest.mark.parametrize("photometric", ["miniswhite", "palette"])
def test_pixels_that_do_not_stand_for_themselves_are_no_taps(photometric, tmp_path):
    palette = {"colormap": np.zeros((3, 256), np.uint16)} if photometric == "palette" else {}
    tifffile.imwrite(tmp_path / "k.tif", np.ones((3, 3), np.uint8), photometric=photometric, **palette)
    check_refused("is not one grey image", "kernel", tmp_path / "k.tif")


def test_strips_that_a_tiff_only_declares_are_damage(tmp_path):
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.ones((5, 6), np.uint8), photometric="minisblack", compression="deflate")
    tiff = with_tags(stream.getvalue(), {257: 5_000_000})
    check_refused("", "corrupt", written(tmp_path, "a.tif", tiff))


def with_tags(tiff, values):
    """A little-endian TIFF with other values of tags of the type LONG."""
    for tag, value in values.items():
        entry = tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little")
        at = tiff.index(entry) + 8
        tiff = tiff[:at] + value.to_bytes(4, "little") + tiff[at + 4 :]
    return tiff


# What is no file to read


def test_missing_and_special_files_are_refused_unopened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    check_refused("no such kernel file", "not-found", tmp_path / "missing.npy")
    check_refused("no such kernel file", "not-found", tmp_path / "missing")
    check_refused("no such kernel file", "not-found", tmp_path / "dangling.txt")
    check_refused("no such kernel file", "not-found", tmp_path / "loop.txt")
    check_refused("no such kernel file", "not-found", tmp_path / ("x" * 300 + ".txt"))
    check_refused("no such kernel file", "not-found", "a\0b.txt")
    check_refused("is a folder, not a kernel file", "is-directory", tmp_path / "folder.npy")
    check_refused("is a folder, not a kernel file", "is-directory", tmp_path)
    check_refused("is not a regular file", "not-regular", tmp_path / "pipe.txt")
    check_refused("is not a regular file", "not-regular", "/dev/null")
    for suffix in (*FORMATS, ".png", ""):
        check_refused("is empty", "empty", written(tmp_path, f"empty{suffix}", b""))
    path = written(tmp_path, "big.txt", b"1 " * 100)
    monkeypatch.setattr(files, "MOST_TEXT_BYTES", 100)
    check_refused("has 200 bytes of text", "too-large", path)
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    check_refused("has 200 bytes", "too-large", path)


def test_a_name_wins_over_a_file_and_a_number_over_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("box", "3", "own"):
        Path(name).write_text("7 7")
    assert (3, 3) == parse_kernel("box").shape
    assert [3] == list(parse_kernel("3").values())
    assert [7, 7] == list(parse_kernel("own").values())
    assert [7, 7] == list(parse_kernel("./box").values())
    assert [7, 7] == list(parse_kernel("./3").values())


def test_odd_names_are_names(tmp_path):
    for name in ("a b.txt", "1 2.txt", "box:3.txt", "ä\n;|^.csv"):
        path = written(tmp_path, name, "1 2")
        assert path == parse_kernel(path).name


# Mutated files


def seeds():
    taps = np.arange(12, dtype=np.float32).reshape(3, 4)
    stream = io.BytesIO()
    tifffile.imwrite(stream, taps, photometric="minisblack", compression="deflate", metadata={"axes": "YX"})
    return {
        ".npy": npy_bytes(taps),
        ".npz": npz_bytes(a=taps),
        ".tif": stream.getvalue(),
        ".png": png_bytes(taps.astype(np.uint8)),
        ".json": b'{"taps": [[1, 2], [3, 4]], "origin": [0, 1], "offset": 2}',
        ".mat": b"3 2 4 0\n1 2 3\n4 5 6\n",
        ".txt": b"1 2 3\n4 5 6\n\n7 8 9\n1 1 1\n",
        ".tsv": b"1\t2\n3\t4\n",
    }


def mutated(data, rng):
    """The data with a few bytes changed, and sometimes cut."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        changed[rng.integers(len(changed))] = rng.choice([0, 255, 45, 57, rng.integers(256)])
    return bytes(changed[: rng.integers(1, len(changed) + 1)] if rng.random() < 0.3 else changed)


@pytest.mark.parametrize("suffix", seeds())
def test_only_errors_with_a_reason_escape_from_mutated_files(suffix, tmp_path):
    rng = np.random.default_rng(5)
    data = seeds()[suffix]
    outcomes = set()
    for _ in range(250):
        path = written(tmp_path, f"k{suffix}", mutated(data, rng))
        try:
            outcomes.add(parse_kernel(path, int(rng.integers(2, 4))).ndim)
        except ConvError as error:
            outcomes.add(error.code)
    assert len(outcomes) > 1


def test_the_limits_keep_any_kernel_in_memory():
    assert arrays.MOST_BYTES == files.MOST_BYTES
    assert files.MOST_TEXT_BYTES <= files.MOST_BYTES <= 2**30


@pytest.mark.parametrize("word", [*(each + "1" * 10**5 + "x" for each in ("", "1.", ".", "1e")), "1" * 10**5 + "e"])
def test_a_word_that_is_nearly_a_long_number_is_refused_at_once(word, tmp_path):
    (tmp_path / "k.txt").write_text(f"1 2\n3 {word}\n")
    start = time.process_time()
    with pytest.raises(KernelError, match="row 2, value 2"):
        parse_kernel(str(tmp_path / "k.txt"))
    assert time.process_time() - start < 5
