"""Ancillary chunks of a PNG: what breaks its definition is not copied, and named; everyone can open the result."""

import io
import struct
import warnings
import zlib

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from convcli.formats import encode, read
from convcli.formats.png.validity import ANYWHERE, CHECKS, MANY, Layout, fault

PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
SOUND = {
    b"gAMA": struct.pack(">I", 45455),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"sRGB": b"\0",
    b"iCCP": b"icc\0\0" + zlib.compress(PROFILE),
    b"sBIT": b"\5\6\5",
    b"bKGD": bytes(6),
    b"hIST": b"\0\1\0\2",
    b"pHYs": struct.pack(">IIB", 11811, 11811, 1),
    b"sPLT": b"six\0\x08" + bytes(12),
    b"tIME": b"\x07\xea\x0b\x1e\x0a\x0f\x3c",
    b"tEXt": b"Author\0Ada",
    b"zTXt": b"Author\0\0" + zlib.compress(b"Ada"),
    b"iTXt": b"Author\0\0\0en\0Autor\0\xc3\x84da",
    b"eXIf": b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 274, 3, 1, 1) + bytes(4),
    b"cICP": b"\1\x0d\0\1",
    b"mDCV": struct.pack(">8HII", *range(1, 9), 10000000, 1),
    b"cLLI": struct.pack(">II", 10000000, 1),
    b"acTL": struct.pack(">II", 1, 0),
    b"fcTL": struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0),
    b"fdAT": bytes(4) + zlib.compress(bytes(72)),
    b"oFFs": bytes(9),
    b"pCAL": b"name\0" + struct.pack(">iiBB", 0, 255, 0, 2) + b"K\0" + b"1\0" + b"2",
    b"sCAL": b"\1" + b"0.5\0" + b"2e3",
    b"sTER": b"\1",
}
"""A sound chunk of every type that is defined, for 8-bit colours (hIST: for a palette)."""
DAMAGES = {
    "empty": lambda _: b"",
    "one byte short": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "all ones": lambda data: b"\xff" * len(data),
    "begins with NUL": lambda data: b"\0" + data[1:],
}
STILL_SOUND = {("one byte short", kind) for kind in (b"tEXt", b"pCAL", b"iTXt", b"eXIf", b"fdAT")} | {
    ("one byte more", b"eXIf"),
    ("one byte more", b"iCCP"),
    ("one byte more", b"zTXt"),
    ("one byte more", b"iTXt"),
    ("one byte more", b"fdAT"),
}
STILL_SOUND |= {("begins with NUL", kind) for kind in (b"gAMA", b"cHRM", b"sRGB", b"bKGD", b"pHYs", b"tIME")}
STILL_SOUND |= {
    ("begins with NUL", kind)
    for kind in (b"cICP", b"mDCV", b"cLLI", b"acTL", b"oFFs", b"sTER", b"hIST", b"fcTL", b"fdAT")
}
STILL_SOUND |= {("all ones", kind) for kind in (b"hIST",)}
"""What other bytes may stand for: a shorter text, a smaller number."""


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(before=b"", behind=b"", colour=2):
    table = chunk(b"PLTE", bytes(range(6))) if colour == 3 else b""
    pixels = b"".join(b"\0" + bytes({2: range(24), 3: [0, 1] * 4}[colour]) for _ in range(8))
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, colour, 0, 0, 0))
    return head + before + table + chunk(b"IDAT", zlib.compress(pixels)) + behind + chunk(b"IEND", b"")


def opened(content):
    """What Pillow reads, its warnings as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = PIL.Image.open(io.BytesIO(content))
        picture.load()
        return np.asarray(picture)


def test_a_sound_chunk_of_every_type_is_known():
    assert SOUND.keys() == CHECKS.keys()
    assert [] == [kind for kind, data in SOUND.items() if fault(kind, data, Layout(8, 3 if kind == b"hIST" else 2))]


@pytest.mark.parametrize("kind", SOUND, ids=bytes.decode)
def test_a_sound_chunk_leaves_no_note(kind):
    image = read(png(chunk(kind, SOUND[kind]), colour=3 if kind == b"hIST" else 2))
    assert [] == [note for note in image.info.notes if "left out" in note]
    opened(encode(image, "png"))


@pytest.mark.parametrize("kind", SOUND, ids=bytes.decode)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_chunk_that_breaks_its_definition_is_named_and_not_copied(kind, damage):
    data = DAMAGES[damage](SOUND[kind])
    image = read(png(chunk(kind, data), colour=3 if kind == b"hIST" else 2))
    written = encode(image, "png")
    assert np.array_equal(image.data, opened(written))
    named = any(kind.decode() in note for note in image.info.notes)
    if (damage, kind) in STILL_SOUND:
        assert not named
    elif data != SOUND[kind]:
        assert named
        assert kind + data not in written


@pytest.mark.parametrize("kind", sorted(SOUND.keys() - ANYWHERE), ids=bytes.decode)
def test_a_chunk_behind_the_pixels_that_belongs_before_them_is_left_out(kind):
    image = read(png(behind=chunk(kind, SOUND[kind])))
    assert any(f"{kind.decode()} (behind the pixels)" in note for note in image.info.notes)
    assert np.array_equal(image.data, opened(encode(image, "png")))


@pytest.mark.parametrize("kind", sorted(SOUND.keys() - MANY - {b"hIST"}), ids=bytes.decode)
def test_a_second_chunk_where_there_is_one_is_left_out(kind):
    image = read(png(2 * chunk(kind, SOUND[kind])))
    assert any(f"{kind.decode()} (a second one)" in note for note in image.info.notes)
    assert np.array_equal(image.data, opened(encode(image, "png")))


@pytest.mark.parametrize("count", [0, 1, 79, 80])
def test_a_keyword_has_1_to_79_characters(count):
    for kind, rest in ((b"tEXt", b"Ada"), (b"zTXt", b"\0" + zlib.compress(b"Ada")), (b"iTXt", b"\0\0\0\0Ada")):
        assert (1 <= count <= 79) == (fault(kind, b"k" * count + b"\0" + rest, Layout(8, 2)) == "")


def test_a_text_that_is_a_bomb_is_left_out():
    packed = zlib.compress(bytes(2**25))
    assert ("zTXt",) == tuple(
        note.split(": ")[1].split(" ")[0] for note in read(png(chunk(b"zTXt", b"k\0\0" + packed))).info.notes
    )
