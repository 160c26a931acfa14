"""PNM: text holds as many numbers as its header declares and nothing else; a header declares each thing once."""

import io

import numpy as np
import PIL.Image
import pytest

from convcli.errors import ConvError
from convcli.formats import read
from convcli.formats.pnm import text as pnm_text

HEADS = {b"P1": b"P1 3 2\n", b"P2": b"P2 3 2 9\n", b"P3": b"P3 1 2 9\n"}
SIX = b"1 0 1\n0 0 1\n"
PAM = b"P7\nWIDTH 3\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\nabc"


@pytest.mark.parametrize("head", HEADS.values(), ids=str)
@pytest.mark.parametrize("white", [b" ", b"\n", b"\t", b"\r\n", b"\v", b"\f", b" # a comment 5 P2\n", b"#\r"])
def test_white_space_and_comments_part_numbers(head, white):
    expected = read(head + SIX).data
    assert np.array_equal(expected, read(head + white + SIX.replace(b" ", white) + white).data)


@pytest.mark.parametrize("head", HEADS.values(), ids=str)
@pytest.mark.parametrize(
    "junk", [bytes([code]) for code in range(256) if bytes([code]) not in b" \t\n\v\f\r#0123456789"]
)
def test_another_character_among_the_numbers_is_damage(head, junk):
    for place in (0, 3, len(SIX) - 1, len(SIX)):
        with pytest.raises(ConvError, match="stands among its samples"):
            read(head + SIX[:place] + junk + SIX[place:])


@pytest.mark.parametrize("head", HEADS.values(), ids=str)
def test_a_second_header_is_damage_wherever_it_stands(head):
    for place in (0, 3, len(SIX)):
        with pytest.raises(ConvError, match="'P' stands among its samples"):
            read(head + SIX[:place] + head + SIX[place:])


@pytest.mark.parametrize("head", HEADS.values(), ids=str)
@pytest.mark.parametrize(
    ("text", "found"), [(SIX[:-3], 5), (SIX + b"1", 7), (b"", 0), (b"# 1 2 3 4 5 6", 0), (SIX * 3, 18)]
)
def test_fewer_numbers_than_declared_or_more_are_damage(head, text, found):
    with pytest.raises(ConvError, match=f"6 samples are declared, {found} follow"):
        read(head + text)


@pytest.mark.parametrize(
    "text", [b"10 1 2 3 4 5", b"1 2 3 4 5 99999", b"1 2 3 4 5 9999999999", b"1 2 3 4 5 10000000000000000001"]
)
def test_numbers_above_the_maximum_are_damage(text):
    for head in (HEADS[b"P2"], HEADS[b"P3"]):
        with pytest.raises(ConvError, match=r"not between 0 and 9|a number has 20 digits"):
            read(head + text)


@pytest.mark.parametrize("most", [1, 9, 255, 256, 65535])
def test_long_text_is_what_pillow_reads(most, monkeypatch):
    monkeypatch.setattr(pnm_text, "PART", 1000)
    pixels = np.random.default_rng(most).integers(0, most + 1, (80, 70))
    rows = [" ".join(str(value).zfill(index % 6 + 1) for index, value in enumerate(row)) for row in pixels.tolist()]
    content = f"P2\n70 80\n{most}\n".encode() + "\n".join(rows).encode()
    assert np.array_equal(pixels, read(content).data)
    if most in (255, 65535):  # Pillow stretches others to one of these
        assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(content))), read(content).data)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"WIDTH 3\n", "declares WIDTH twice"),
        (b"MAXVAL 9\n", "declares MAXVAL twice"),
        (b"COLOUR 9\n", "unknown field 'COLOUR'"),
        (b"TUPLTYPE RGB\n", "declares 1 samples of RGB"),
    ],
)
def test_the_header_of_a_pam_declares_each_thing_once(line, reason):
    assert b"abc" == read(PAM).data.tobytes()
    with pytest.raises(ConvError, match=reason):
        read(PAM.replace(b"MAXVAL 255\n", b"MAXVAL 255\n" + line))


@pytest.mark.parametrize("number", [b"+3", b"-3", b"3.0", b"0x3", b"1_0", b"3 3", b"", b"\xb3", b"\xd9\xa3"])
def test_sizes_are_digits(number):
    for content in (PAM.replace(b"WIDTH 3", b"WIDTH " + number), b"P5 " + number + b" 1 255\nabc" * (number != b"")):
        with pytest.raises(ConvError, match=r"lacks a|is not an image|cut short|3 1 255|are declared"):
            read(content)


def test_samples_whose_name_is_unknown_are_no_colour():
    content = PAM.replace(b"WIDTH 3", b"WIDTH 1").replace(b"DEPTH 1", b"DEPTH 3")
    assert "rgb" == read(content).info.samples
    assert "" == read(content.replace(b"ENDHDR", b"TUPLTYPE XYZ\nENDHDR")).info.samples


@pytest.mark.parametrize("content", [PAM, b"P5 3 1 255\nabc", b"P6 1 1 255\nabc", b"P4 9 1\nab"])
def test_what_lies_behind_the_first_picture_is_named(content):
    assert () == read(content).info.notes
    for more in (b"\n", content):
        (note,) = read(content + more).info.notes
        assert f"({len(more)} of {len(content + more)} bytes)" in note
