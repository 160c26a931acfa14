"""PNG at once: every layout written for others to read and read as others wrote it, and what is damaged."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import native
from convcli.errors import ConvError
from convcli.formats import WriteOptions, banding, encode, read
from convcli.formats.png import stream as png_stream
from convcli.formats.png.stream import predicted
from convcli.image import Image, ImageInfo
from faults import chunk, flipped

imagecodecs = pytest.importorskip("imagecodecs")

COUNTS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgb+alpha": 4}
COLOURS = {"grey": 0, "rgb": 2, "grey+alpha": 4, "rgb+alpha": 6}
DTYPES = ("uint8", "uint16")
SETTINGS = ("fast", "balanced", "small")
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(params=[True, False], ids=["compiled", "not compiled"])
def compiled(request, monkeypatch):
    """With the extension, where there is one, and without."""
    for part in ("ROWS", "DEFLATE"):
        monkeypatch.setattr(native, part, request.param and getattr(native, part))
    return request.param


def picture(samples="rgb", dtype="uint8", size=(11, 7), seed=0, levels=None):
    """A picture with values over the whole range of its dtype, or of few levels."""
    count = COUNTS[samples]
    rng = np.random.default_rng(seed)
    data = rng.integers(0, levels or np.iinfo(dtype).max, size if count == 1 else (*size, count), dtype, endpoint=True)
    axes, named = ("YX", "") if count == 1 else ("YXS", samples)
    return Image(ImageInfo(data.shape, dtype, axes, samples=named), data)


def by_others(content):
    """The pixels that libpng finds; Pillow too, where it keeps all bits."""
    found = imagecodecs.png_decode(content)
    if found.dtype == np.uint8:
        with PIL.Image.open(io.BytesIO(content)) as image:
            np.testing.assert_array_equal(found, np.asarray(image), strict=True)
    return found


def header(size, depth, colour, interlace=0):
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], depth, colour, 0, 0, interlace))


def by_hand(image, kinds, level=6):
    """A PNG whose rows have these kinds of prediction, in turn."""
    info = image.info
    big = image.data.astype(image.data.dtype.newbyteorder(">")).view(np.uint8).reshape(len(image.data), -1)
    pixel = png_stream.pixel_bytes(info)
    told = [
        predicted(big[y : y + 1], big[y - 1] if y else np.zeros_like(big[0]), pixel, kinds[y % len(kinds)])
        for y in range(len(big))
    ]
    depth, colour = 8 * image.data.dtype.itemsize, COLOURS[info.samples or "grey"]
    packed = zlib.compress(np.concatenate(told).tobytes(), level)
    return header((len(big), info.size("X")), depth, colour) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.sweep(2)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("samples", COUNTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 2), (37, 23)])
def test_others_read_what_is_written(size, samples, dtype, setting, compiled):
    for levels in (None, 2):
        image = picture(samples, dtype, size, levels=levels)
        content = encode(image, "png", WriteOptions(png=setting))
        np.testing.assert_array_equal(image.data, by_others(content), strict=True)
        np.testing.assert_array_equal(image.data, read(content).data, strict=True)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("samples", "dtype"), [("grey", "uint8"), ("rgb", "uint8"), ("rgb+alpha", "uint16")])
@pytest.mark.parametrize("rows", [1, 6, 7, 8, 13, 14, 15, 27, 28, 29, 50])
def test_bands_of_rows_follow_each_other(rows, samples, dtype, setting, compiled, monkeypatch):
    image = picture(samples, dtype, (rows, 31), levels=9)
    row = 31 * png_stream.pixel_bytes(image.info)
    monkeypatch.setattr(png_stream, "BAND", 7 * row)
    monkeypatch.setattr(banding, "BATCH", 26 * row)
    content = encode(image, "png", WriteOptions(png=setting))
    assert content.count(b"IDAT") == -(-rows // 7)
    np.testing.assert_array_equal(image.data, by_others(content), strict=True)
    np.testing.assert_array_equal(image.data, read(content).data, strict=True)
    monkeypatch.setattr(banding, "BATCH", 1)
    assert content == encode(image, "png", WriteOptions(png=setting))


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("samples", COUNTS)
@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (4, 1, 3, 1, 2)])
def test_rows_of_every_kind_are_read(kinds, samples, dtype, compiled, monkeypatch):
    monkeypatch.setattr(png_stream, "BAND", 100)
    for size in ((1, 1), (5, 1), (1, 9), (23, 40)):
        for levels in (None, 3):
            image = picture(samples, dtype, size, levels=levels)
            content = by_hand(image, kinds)
            np.testing.assert_array_equal(image.data, by_others(content), strict=True)
            np.testing.assert_array_equal(image.data, read(content).data, strict=True)


@settings(deadline=None)
@given(
    *(st.sampled_from(list(COUNTS)), st.sampled_from(DTYPES), st.tuples(st.integers(1, 40), st.integers(1, 40))),
    *(st.sampled_from([1, 3, 250]), st.sampled_from(SETTINGS), st.lists(st.integers(0, 4), min_size=1, max_size=9)),
    *(st.integers(1, 2000), st.integers(0, 9)),
)
def test_any_picture_is_the_same_for_all(samples, dtype, size, levels, setting, kinds, band, level):
    image = picture(samples, dtype, size, seed=band, levels=levels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png_stream, "BAND", band)
        for content in (encode(image, "png", WriteOptions(png=setting)), by_hand(image, kinds, level)):
            np.testing.assert_array_equal(image.data, by_others(content), strict=True)
            np.testing.assert_array_equal(image.data, read(content).data, strict=True)


@pytest.mark.parametrize("part", [1, 7, 1000, 2**16])
@pytest.mark.parametrize("most", [1, 5, 2**16])
def test_chunks_may_be_cut_anywhere(part, most, monkeypatch):
    monkeypatch.setattr(png_stream, "PART", most)
    image = picture(size=(40, 30))
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in image.data))
    cut = b"".join(chunk(b"IDAT", packed[i : i + part]) for i in range(0, len(packed), part))
    for others in (b"", chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", b"")):
        content = header((40, 30), 8, 2) + others + cut + others + chunk(b"IEND", b"")
        np.testing.assert_array_equal(image.data, read(content).data, strict=True)


@pytest.mark.parametrize("name", ["grey", "grey+alpha", "rgb", "rgb+alpha"])
def test_what_pillow_writes_is_read(name, compiled):
    image = picture(name, size=(33, 21), levels=5)
    for level in (0, 1, 6, 9):
        stream = io.BytesIO()
        PIL.Image.fromarray(image.data).save(stream, "PNG", compress_level=level)
        np.testing.assert_array_equal(image.data, read(stream.getvalue()).data, strict=True)


def test_drawings_and_photos_are_as_small_as_libpng_makes_them():
    rng = np.random.default_rng(0)
    drawing = np.zeros((500, 700, 3), np.uint8)
    drawing[100:300, 50:400], drawing[::50] = (200, 30, 10), 255
    photo = np.clip(rng.normal(120, 5, (500, 700, 3)) + np.arange(700)[:, None] / 9, 0, 255).astype(np.uint8)
    libpng = {"fast": (1, 3, 16), "balanced": (4, 1, 248), "small": (9, 1, 248)}
    for data in (drawing, photo):
        for setting, (level, strategy, kinds) in libpng.items():
            image = Image(ImageInfo(data.shape, "uint8", "YXS", samples="rgb"), data)
            theirs = imagecodecs.png_encode(data, level=level, strategy=strategy, filter=kinds)
            assert len(encode(image, "png", WriteOptions(png=setting))) < 1.05 * len(theirs)


# Damage: the same to the decoder here and to libpng

PICTURE = picture(size=(30, 40), seed=3)
RAW = b"".join(b"\0" + row.tobytes() for row in PICTURE.data)
ROW = len(RAW) // 30
PACKED = zlib.compress(RAW)
HEAD, END = header((30, 40), 8, 2), chunk(b"IEND", b"")


def file(*parts, between=b""):
    """A PNG of these IDAT chunks."""
    return HEAD + between.join(chunk(b"IDAT", part) for part in parts) + END


def broken(part):
    """A chunk whose checksum is wrong."""
    whole = chunk(b"IDAT", part)
    return flipped(whole, len(whole) - 1)


def with_kind(kind, row=5):
    return RAW[: row * ROW] + bytes([kind]) + RAW[row * ROW + 1 :]


DAMAGED = {
    "bad checksum of all": PACKED[:-1] + bytes([PACKED[-1] ^ 1]),
    "no checksum": PACKED[:-4],
    "half a checksum": PACKED[:-2],
    "a byte too few": zlib.compress(RAW[:-1]),
    "a row too few": zlib.compress(RAW[:-ROW]),
    "no rows": zlib.compress(b""),
    "an unknown kind": zlib.compress(with_kind(5)),
    "kind 255 in the last row": zlib.compress(with_kind(255, 29)),
    "no zlib header": PACKED[2:-4],
    "zeros": bytes(len(PACKED)),
    "a cut stream": PACKED[:1000],
    "a window too large": b"\x88\x1c" + PACKED[2:],
    "a dictionary": b"\x78\x20" + PACKED[2:],
    "a bad block": PACKED[:2] + b"\x07" + PACKED[3:],
    "nothing": b"",
}
BROKEN = {
    "bad checksum of a chunk": HEAD + broken(PACKED) + END,
    "bad checksum of the first": HEAD + broken(PACKED[:500]) + chunk(b"IDAT", PACKED[500:]) + END,
    "bad checksum of the last": HEAD + chunk(b"IDAT", PACKED[:-4]) + broken(PACKED[-4:]) + END,
    "a palette between": file(PACKED[:500], PACKED[500:], between=chunk(b"PLTE", bytes(9))),
    "a cut file": file(PACKED)[:700],
    "no end": file(PACKED)[:-12],
    "a second header": HEAD + HEAD[8:] + file(PACKED)[len(HEAD) :],
}
SOUND = {
    "checksum in its own chunk": file(PACKED[:-4], PACKED[-4:]),
    "more behind the stream": file(PACKED + b"abcd"),
    "a chunk behind the stream": file(PACKED, b"abcd"),
    "a broken chunk behind the stream": HEAD + chunk(b"IDAT", PACKED) + broken(b"abcd") + END,
    "much behind the stream": file(PACKED, b"abcd" * 50_000),
    "a row too many": file(zlib.compress(RAW + RAW[:ROW])),
    "a byte too many": file(zlib.compress(RAW + b"\0")),
    "many too many": file(zlib.compress(RAW * 50)),
    "two streams": file(PACKED + PACKED),
    "empty chunks": file(b"", PACKED[:9], b"", PACKED[9:], b""),
    "text between": file(PACKED[:500], PACKED[500:], between=chunk(b"tEXt", b"a\0b")),
    "a window smaller than what is copied": file(b"\x08\x1d" + PACKED[2:]),
    "a suggested palette": HEAD + chunk(b"PLTE", bytes(9)) + file(PACKED)[len(HEAD) :],
    "more behind the end": file(PACKED) + b"more",
}


@pytest.mark.parametrize("name", DAMAGED | BROKEN)
def test_damage_is_an_error(name, compiled, capfd):
    content = BROKEN.get(name) or file(DAMAGED[name])
    with pytest.raises(ConvError) as caught:
        read(content)
    assert "corrupt" == caught.value.code
    assert "\n" not in str(caught.value)
    assert "" == capfd.readouterr().err


@pytest.mark.parametrize("name", SOUND)
def test_what_libpng_forgives_is_forgiven(name, compiled):
    np.testing.assert_array_equal(PICTURE.data, read(SOUND[name]).data, strict=True)


def test_every_cut_is_an_error(compiled):
    content = encode(PICTURE, "png")
    for length in range(1, len(content), 97):
        with pytest.raises(ConvError):
            read(content[:length])


def test_both_decoders_judge_alike(monkeypatch, capfd):
    if not native.ROWS:
        pytest.skip("the native extension is not built")
    rng = np.random.default_rng(5)
    sound = [zlib.compress(RAW, level) for level in (0, 1, 9)]
    for number in range(300):
        packed = bytearray(sound[number % 3])
        for place in rng.integers(0, len(packed), rng.integers(1, 4)):
            packed[place] ^= 1 << rng.integers(0, 8)
        judged = []
        for compiled in (True, False):
            monkeypatch.setattr(native, "ROWS", compiled)
            try:
                judged.append(read(file(bytes(packed))).data.tobytes())
            except ConvError as error:
                judged.append(error.code)
        assert judged[0] == judged[1], number
    capfd.readouterr()  # libpng tells what it forgives
