"""Numbers as text: what is read, what is refused and where, and what is written reads back the same."""

import io
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convcli
from command import convcli as run
from convcli import ConvError, Image, ImageInfo, read, write
from convcli.formats import ReadOptions, encode, probe

SEPARATORS = (",", ";", "\t", " ", ", ", " ; ")
ENDS = ("\n", "\r\n", "\r")
NUMBERS = ("0", "-1.5", ".25", "1e-3", "+7.", "9007199254740992", "nan", "inf", "-Inf", "NA")


def meant(word):
    return math.nan if word in ("nan", "NA") else float(word)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("separator", SEPARATORS)
def test_rows_are_lines_whatever_stands_between_their_numbers(separator, end):
    rows = [NUMBERS[:5], NUMBERS[5:]]
    text = end.join(("# a comment; 1,2", *(separator.join(row) for row in rows), ""))

    image = read(text.encode())

    assert (image.info.axes, image.data.dtype) == ("YX", np.float64)
    np.testing.assert_array_equal(image.data, [[meant(word) for word in row] for row in rows])


@pytest.mark.parametrize(
    ("text", "axes", "shape"),
    [
        ("1,2,3\n", "X", (3,)),
        ("1\n2\n3", "X", (3,)),
        ("5", "X", (1,)),
        ("1,2\n3,4", "YX", (2, 2)),
        ("1,2\n3,4\n\n5,6\n7,8\n\n\n9,9\n9,9\n", "ZYX", (3, 2, 2)),
        ("\n\n1 2\n3 4\n\n", "YX", (2, 2)),
        ("\ufeff1;2\n", "X", (2,)),
    ],
)
def test_one_row_or_column_is_a_signal_and_blank_lines_part_slices(text, axes, shape):
    image = read(text.encode())

    assert (image.info.axes, image.info.shape, image.data.shape) == (axes, shape, shape)


@pytest.mark.parametrize(
    ("axes", "named", "shape"), [("YX", "YX", (1, 3)), ("X", "X", (3,)), ("ZYX", None, None), ("Y", None, None)]
)
def test_the_user_names_the_dimensions_of_a_row(axes, named, shape):
    if named is None:
        with pytest.raises(ConvError, match="axes"):
            read(b"1,2,3", axes=axes)
        return
    info = read(b"1,2,3", axes=axes).info
    assert (info.axes, info.shape) == (named, shape)


def test_x_alone_says_that_the_rows_of_a_table_are_signals():
    table = read(b"1,2,3\n4,5,6", axes="X")

    assert (table.info.axes, table.info.shape) == ("CX", (2, 3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y\n1,2\n", ["line 1, value 1", "'x'", "begins with #"]),
        ("1,2\n3,4x\n", ["line 2, value 2", "'4x'"]),
        ("1,2\n# more\n3\n", ["line 3 has 1 values", "2"]),
        ("1 2\n3 4\n\n5 6\n", ["2 and 1 rows", "line 4"]),
        ("1;2\n3;4,5\n", ["line 2, value 2", "decimals have a point"]),
        ("1,2\n1_0,3\n", ["line 2, value 1", "'1_0'"]),
        ("1,2\n١,3\n", ["line 2, value 1"]),
        ("1,2\n0x10,3\n", ["line 2, value 1"]),
        ('1,2\n"3",4\n', ["line 2, value 1"]),
        ("1,2\n9007199254740993,3\n", ["line 2, value 1", "float64"]),
        ("1,2\n1e999,3\n", ["line 2, value 1"]),
        ("1,2\n3 4,5\n", ["line 2, value 1", "'3 4'"]),
        ("# nothing\n\n", ["no numbers"]),
    ],
)
def test_what_is_no_number_is_refused_with_its_place(text, words, tmp_path):
    (tmp_path / "a.csv").write_text(text)

    with pytest.raises(ConvError) as caught:
        read(tmp_path / "a.csv")

    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("text", ["1234 " * 4000 + "x", "1" * 10**6 + "x", " " * 10**6 + "x", "1," * 10**5 + ",,1 1"])
def test_what_is_wrong_at_the_end_of_a_long_line_is_found_at_once(text):
    start = time.process_time()
    with pytest.raises(ConvError):
        read(f"1,2\n{text}".encode())
    assert time.process_time() - start < 5


def test_empty_values_are_missing_and_said():
    info, data = (image := read(b"1,,3\n4,5,\n")).info, image.data

    assert np.isnan(data).tolist() == [[False, True, False], [False, False, True]]
    assert info.notes == ("2 empty values are NaN",)


def test_too_many_numbers_are_refused_before_they_take_memory(tmp_path):
    with pytest.raises(ConvError, match="more than 3 numbers"):
        probe(b"1,2\n3,4\n", options=ReadOptions(max_pixels=3))
    (tmp_path / "a.csv").write_bytes(b"1," * 9)
    with (tmp_path / "a.csv").open("r+b") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(ConvError, match="67,108,864 are read") as caught:
        probe(tmp_path / "a.csv")
    assert caught.value.code == "too-large"


DTYPES = ("uint8", "int16", "uint32", "int64", "float16", "float32", "float64")


@settings(deadline=None)
@given(st.data())
def test_what_is_written_reads_back_as_the_same_numbers(data):
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shape = data.draw(st.sampled_from([(4,), (1,), (2, 3), (1, 3), (3, 1), (2, 2, 3)]))
    kind = data.draw(st.sampled_from(["csv", "tsv"]))
    if dtype.kind == "f":
        values = st.floats(width=8 * dtype.itemsize)
    else:
        span = np.iinfo(dtype)
        values = st.integers(max(span.min, -(2**53)), min(span.max, 2**53))
    pixels = np.array(data.draw(st.lists(values, min_size=math.prod(shape), max_size=math.prod(shape))), dtype)
    axes = "ZYX"[-len(shape) :]
    file = io.BytesIO()

    write(file, pixels.reshape(shape), axes=axes, format=kind)

    again = read(file.getvalue(), axes=axes)
    assert again.data.dtype == np.float64
    np.testing.assert_array_equal(again.data.astype(dtype), pixels.reshape(shape))


@pytest.mark.parametrize(
    ("text", "written"), [("1;2;4", b"1;2;4\n"), ("1\n2\n4\n", b"1\n2\n4\n"), ("1 2 4", b"1 2 4\n")]
)
def test_a_table_keeps_its_form(text, written):
    image = convcli.formats.read(text.encode())

    assert encode(image, "csv") == written
    assert encode(image, "tsv") == written.replace(b";", b"\t").replace(b" ", b"\t")


@pytest.mark.parametrize(
    ("axes", "shape", "word"),
    [("YXS", (2, 2, 3), "rows and columns"), ("TZYX", (2, 2, 2, 2), "slices"), ("YX", (4097, 4097), "more than")],
)
def test_what_no_text_holds_is_refused(axes, shape, word):
    pixels = np.broadcast_to(np.uint8(1), shape)
    with pytest.raises(ConvError, match=word):
        write(io.BytesIO(), Image(ImageInfo(shape, "uint8", axes), pixels), format="csv")


def test_a_header_in_a_file_of_that_name_is_told_as_such(tmp_path):
    (tmp_path / "a.csv").write_text("time,value\n1,2\n")

    done = run("conv2d", tmp_path / "a.csv", "-k", "box:3", "-o", tmp_path / "b.csv")

    assert (done.returncode, b"'time' is not a number" in done.stderr) == (1, True)
    assert not (tmp_path / "b.csv").exists()


def test_pictures_become_tables_and_tables_pictures(tmp_path):
    grey = tmp_path / "grey.pgm"
    grey.write_bytes(b"P5\n3 2\n255\n" + bytes((0, 9, 255, 7, 8, 200)))

    assert run("conv2d", grey, "-k", "identity", "-o", tmp_path / "a.csv").returncode == 0
    assert (tmp_path / "a.csv").read_text() == "0,9,255\n7,8,200\n"
    done = run("conv2d", tmp_path / "a.csv", "-k", "identity", "--dtype", "uint8", "-o", tmp_path / "b.pgm")
    assert (done.returncode, (tmp_path / "b.pgm").read_bytes()) == (0, grey.read_bytes())
    refused = run("conv2d", tmp_path / "a.csv", "-k", "identity", "-o", tmp_path / "c.png")
    assert (refused.returncode, b"--dtype" in refused.stderr) == (2, True)
