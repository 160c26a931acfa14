"""Fax pages are read as libtiff wrote them; a line that has not the width of the page is damage, never a guess."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from convcli.errors import ConvError
from convcli.formats import ReadOptions, read, windows
from convcli.formats.tiff import fax

ENCODINGS = {
    "runs": ("tiff_ccitt", 0),
    "group 3": ("group3", 0),
    "group 3, filled": ("group3", 4),
    "group 3, two dimensions": ("group3", 1),
    "group 3, two dimensions, filled": ("group3", 5),
    "group 4": ("group4", 0),
}
TWO_DIMENSIONS = [name for name in ENCODINGS if "two" in name or "4" in name]


def page(shape=(40, 64), density=0.2, seed=0):
    marks = np.random.default_rng(seed).random(shape) < density
    marks[shape[0] // 4 : shape[0] // 2] = marks[shape[0] // 4]
    marks[-1] = True
    return marks


def encoded(marks, encoding):
    stream = io.BytesIO()
    compression, options = ENCODINGS[encoding]
    PIL.Image.fromarray(marks).save(stream, "TIFF", compression=compression, tiffinfo={292: options})
    return stream.getvalue()


def one_line(bits, width, compression, rows=1, options=0):
    data = bits.replace(" ", "")
    data += "0" * (-len(data) % 8)
    return fax.decoded(int(data, 2).to_bytes(len(data) // 8, "big"), rows, width, compression, options).tolist()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("shape", [(40, 64), (9, 1), (30, 7), (12, 3000)], ids=str)
@pytest.mark.parametrize("density", [0, 0.02, 0.5, 1])
def test_a_sound_page_is_what_libtiff_wrote(encoding, shape, density):
    marks = page(shape, density)
    assert np.array_equal(marks, read(encoded(marks, encoding)).data > 0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_so_it_is_by_windows_and_with_the_bits_of_bytes_reversed(encoding, tmp_path):
    marks, content = page(), bytearray(encoded(page(), encoding))
    (tmp_path / "a.tif").write_bytes(content)
    with windows(tmp_path / "a.tif") as opened:
        info, pixels = opened
        out = np.empty(info.shape, info.dtype)
        pixels.read(tuple((0, size) for size in info.shape), out)
    assert np.array_equal(marks, out > 0)
    tags = PIL.Image.open(io.BytesIO(content)).tag_v2
    start, size = tags[273][0], tags[279][0]
    content[start : start + size] = content[start : start + size].translate(fax.REVERSED)
    place = content.index(
        struct.pack("<HHI", 292 if 292 in tags else 262, tags.tagtype[292 if 292 in tags else 262], 1)
    )
    if 292 not in tags or ENCODINGS[encoding][1] == 0:  # a tag that is not needed gives its place to FillOrder
        struct.pack_into("<HHII", content, place, 266, 3, 1, 2)
        turned = read(bytes(content)).data > 0
        assert np.array_equal(marks, turned) or np.array_equal(~marks, turned)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_damage_is_refused_or_every_line_is_whole(encoding):
    content = encoded(page(), encoding)
    tags = PIL.Image.open(io.BytesIO(content)).tag_v2
    start, size = tags[273][0], tags[279][0]
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[start + rng.integers(size - 6)] ^= 1 << rng.integers(8)
        try:
            read(bytes(damaged))
        except ConvError as error:
            refused += 1
            assert "line " in error.message
        assert (40, 64) == read(bytes(damaged), options=ReadOptions(lenient=True)).data.shape
    assert refused > 40  # a bit in the last lines may change pixels alone


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_page_that_ends_early_is_refused_and_with_lenient_told(encoding):
    content = bytearray(encoded(page(), encoding))
    tags = PIL.Image.open(io.BytesIO(content)).tag_v2
    start, size = tags[273][0], tags[279][0]
    content[start + size // 2 : start + size] = bytes(size - size // 2)
    with pytest.raises(ConvError, match="line "):
        read(bytes(content))
    assert any("line " in note for note in read(bytes(content), options=ReadOptions(lenient=True)).info.notes)


def test_runs_of_every_length_are_read():
    for length in (*range(0, 130, 9), 63, 64, 1791, 1792, 2560, 2561, 2623, 2624, 6000):
        marks = np.zeros((2, length + 3), bool)
        marks[0, 1 : 1 + length], marks[1, 0] = True, True
        for encoding in ENCODINGS:
            assert np.array_equal(marks, read(encoded(marks, encoding)).data > 0)


def test_runs_without_pixels_are_read_alone_and_refused_against_the_line_above():
    white_0, black_0, white_4, black_4, white_8 = "00110101", "0000110111", "1011", "011", "10011"
    line = white_0 + black_0 + white_4 + black_4 + white_8  # four white pixels, four black, eight white
    assert [[False] * 4 + [True] * 4 + [False] * 8] == one_line(line, 16, fax.RLE)
    split = white_4 + black_0 + white_4 + black_0 + white_8
    assert [[False] * 16] == one_line(split, 16, fax.RLE) == one_line(split, 16, fax.T4)
    for code, options in ((fax.T6, 0), (fax.T4, 1)):
        with pytest.raises(ValueError, match="a run without pixels"):
            one_line("0" * options + "001" + white_0 + black_0 + "001" + white_4 + black_4 + "1", 16, code, 1, options)


def test_lines_that_are_too_long_or_end_too_early_are_refused():
    for line, code, reason in (
        ("10011 00011", fax.RLE, "is longer than 10 pixels"),
        ("10011 010", fax.RLE, "no code|the data end"),
        ("0000000000", fax.RLE, "no code|the data end"),
        ("001 10011 00011", fax.T6, "is longer than 10 pixels"),
    ):
        with pytest.raises(ValueError, match=reason):
            one_line(line, 10, code)
    with pytest.raises(ValueError, match="a change lies before the one before it"):
        one_line("001 1011 11 1 011 0000010", 10, fax.T6, rows=2)  # from columns 4 and 6 to 5 and 3
