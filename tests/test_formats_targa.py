"""TGA, against Pillow: kinds of pixels, orders of rows, what newer files say at their end, what no other file is."""

import io
import re
import struct

import numpy as np
import PIL.Image
import pytest

from convcli.errors import ConvError
from convcli.formats import encode, probe, read
from convcli.formats.source import source_of
from convcli.formats.table import FORMATS, recognised
from convcli.image import Image, ImageInfo
from damaging_files import sound_files

RGB = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
RGB[4:] = RGB[4, 0]
ALPHA = np.dstack([RGB, RGB[..., 1]])
KINDS = {"grey": RGB[..., 0], "grey+alpha": RGB[..., :2], "rgb": RGB, "rgb+alpha": ALPHA}
MARK = b"TRUEVISION-XFILE.\0"


def saved(pixels, **options):
    """A TGA by Pillow."""
    stream = io.BytesIO()
    picture = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(stream, "TGA", **options)
    return stream.getvalue()


def made(kind, bits, pixels, *, size=(2, 1), how=0, palette=(0, 0, 0), text=b"", colours=b""):
    """A TGA by hand: kind and bits of pixels, how they lie, the palette's first number, length and bits."""
    head = struct.pack("<BBBHHBHHHHBB", len(text), bool(colours), kind, *palette, 0, 0, *size, bits, how)
    return head + text + colours + pixels


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("options", [{}, {"compression": "tga_rle"}, {"orientation": 1}])
def test_pixels_are_those_that_pillow_wrote(name, options):
    content = saved(KINDS[name], **options)
    np.testing.assert_array_equal(KINDS[name], read(content).data, strict=True)
    assert ("tga", name) == (probe(content).format, probe(content).samples or "grey")


@pytest.mark.parametrize("name", KINDS)
def test_pillow_reads_what_is_written(name):
    pixels = np.ascontiguousarray(KINDS[name])
    info = ImageInfo(pixels.shape, "uint8", "YXS"[: pixels.ndim], samples=name if pixels.ndim == 3 else "")
    content = encode(Image(info, pixels), "tga")
    np.testing.assert_array_equal(pixels, np.asarray(PIL.Image.open(io.BytesIO(content))), strict=True)


@pytest.mark.parametrize("how", [0, 0x10, 0x20, 0x30])
def test_rows_and_columns_may_run_any_way(how):
    """Without a bit the first row is the last one, and with another the first column is."""
    lying = RGB[:: 1 if how & 0x20 else -1, :: -1 if how & 0x10 else 1]
    content = made(2, 24, np.ascontiguousarray(lying[..., ::-1]).tobytes(), size=(7, 9), how=how)
    np.testing.assert_array_equal(RGB, read(content).data, strict=True)


@pytest.mark.parametrize("bits", [24, 32])
def test_a_palette_is_expanded_from_its_first_number(bits):
    colours = np.array([[1, 2, 3, 9], [4, 5, 6, 8]], np.uint8)[:, : bits // 8]
    stored = np.ascontiguousarray(colours[:, [2, 1, 0, 3][: bits // 8]]).tobytes()
    found = read(made(1, 8, bytes((6, 5)), palette=(5, 2, bits), colours=stored, text=b"a name"))
    np.testing.assert_array_equal([colours[::-1]], found.data)
    assert ("TGA's identification",) == found.info.metadata["dropped"]


def test_five_bits_of_a_colour_fill_eight():
    pixels = struct.pack("<2H", 31 << 10 | 16 << 5 | 1, 0x8000 | 31)
    found = read(made(2, 16, pixels, how=0x21))
    exact = np.array([[[31, 16, 1], [0, 0, 31]]]) * 255 / 31
    assert abs(exact - found.data).max() < 1  # Pillow rounds down
    assert ("TGA's opacity of one bit",) == found.info.metadata["dropped"]


def test_a_single_pixel_with_an_opacity_is_read():
    np.testing.assert_array_equal([[[3, 2, 1, 4]]], read(made(2, 32, bytes((1, 2, 3, 4)), size=(1, 1), how=0x28)).data)


@pytest.mark.parametrize(("told", "multiplied"), [(3, False), (4, True)])
def test_the_end_of_a_newer_file_says_whether_colours_are_multiplied(run, tmp_path, told, multiplied):
    content = made(2, 32, bytes((10, 20, 30, 51)) * 2, how=0x28)
    area = struct.pack("<H", 495) + bytes(492) + bytes((told,))
    (tmp_path / "in.tga").write_bytes(content + area + struct.pack("<II", len(content), 0) + MARK)
    assert multiplied == probe(tmp_path / "in.tga").premultiplied
    code, lines = run("conv2d", tmp_path / "in.tga", "-k", "identity", "-o", tmp_path / "out.png")
    assert (0, True) == (code, any("TGA's extension area" in line for line in lines))
    expected = np.array([30, 20, 10]) * (5 if multiplied else 1)
    np.testing.assert_array_equal([*expected, 51], np.asarray(PIL.Image.open(tmp_path / "out.png"))[0, 0])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_cut_of_the_pixels_is_missed(name, packed):
    content = saved(KINDS[name], **{"compression": "tga_rle"} if packed else {})
    assert content.endswith(bytes(8) + MARK)
    for place in range(1, len(content) - 26):
        with pytest.raises(ConvError) as caught:
            read(content[:place])
        assert caught.value.code in ("corrupt", "unknown-format")


@pytest.mark.parametrize("bits", [(2, 15, 0), (2, 8, 0), (1, 8, 15)])
def test_kinds_that_are_not_read_are_one_line(bits):
    kind, wide, deep = bits
    content = made(kind, wide, bytes(9), palette=(0, 2, deep), colours=bytes(4) if deep else b"")
    with pytest.raises(ConvError) as caught:
        read(content)
    assert caught.value.code in ("codec-missing", "unknown-format")
    assert "\n" not in caught.value.message


def test_no_other_file_is_taken_for_one():
    """A header without a mark: the other formats' files do not match it, wherever they stand in the table."""
    others = [content for kind, content in sound_files().values() if kind != "tga"]
    others += [b"\0\0\2\0\1\0" + bytes(40), b"\0\0\1\0\1\0\x10\x10" + bytes(40), bytes(64), b"\0\1\0\0" + bytes(60)]
    assert len(others) > 80
    assert [] == [content[:20] for content in others if re.match(FORMATS["tga"].magic, content, re.DOTALL)]
    for pixels in KINDS.values():
        assert "tga" == recognised(source_of(saved(pixels))).name
