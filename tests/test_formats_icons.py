"""Icons and DIBs, against Pillow: sizes of an icon, masks and opacities, a bitmap without the header of its file."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from convcli.errors import ConvError
from convcli.formats import ReadOptions, encode, probe, read
from convcli.image import Image, ImageInfo
from damaging_files import indexed

RGB = np.random.default_rng(0).integers(0, 256, (24, 37, 3), np.uint8)
ALPHA = np.dstack([RGB, RGB[..., 1]])


def saved(pixels, kind, **options):
    """A file by Pillow."""
    stream = io.BytesIO()
    picture = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    picture.save(stream, kind, **options)
    return stream.getvalue()


def icon(*pictures):
    """An icon of these PNGs and DIBs."""
    place, entries = 6 + 16 * len(pictures), b""
    for content in pictures:
        across, down = struct.unpack(">II", content[16:24]) if content[:1] == b"\x89" else content[4:9:4]
        down //= 1 if content[:1] == b"\x89" else 2
        entries += struct.pack("<4B2H2I", across % 256, down % 256, 0, 0, 1, 0, len(content), place)
        place += len(content)
    return struct.pack("<3H", 0, 1, len(pictures)) + entries + b"".join(pictures)


def masked(bits, colours, rows, mask, size):
    """A DIB with a mask: palette, rows and mask as they stand in the file, from the bottom."""
    head = struct.pack("<IiiHHIIiiII", 40, size[1], 2 * size[0], 1, bits, 0, 0, 0, 0, len(colours) // 4, 0)
    return head + colours + rows + mask


# Icons


@pytest.mark.parametrize("form", ["png", "bmp"])
def test_the_largest_picture_is_read_unless_another_is_asked_for(form):
    content = saved(ALPHA[:, :24], "ICO", sizes=[(16, 16), (24, 24), (8, 8)], bitmap_format=form)
    found = read(content)
    np.testing.assert_array_equal(ALPHA[:, :24], found.data, strict=True)
    assert ("1 of 3 pictures is read, the largest; --series N picks another",) == found.info.notes
    with PIL.Image.open(io.BytesIO(content)) as seen:
        for number, size in enumerate([(8, 8), (16, 16), (24, 24)]):
            one = read(content, options=ReadOptions(series=number))
            np.testing.assert_array_equal(np.asarray(seen.ico.getimage(size).convert("RGBA")), one.data)
            assert one.info == probe(content, options=ReadOptions(series=number))
    with pytest.raises(ConvError, match="it holds 3 images, --series 0 to 2"):
        read(content, options=ReadOptions(series=3))


@pytest.mark.parametrize("bits", [1, 4, 8, 24])
@pytest.mark.parametrize("behind", [b"", b"more"])
def test_a_mask_says_what_is_seen_through(bits, behind):
    size, rng = (5, 9), np.random.default_rng(bits)
    hidden = rng.random(size) < 0.4
    mask = b"".join(np.packbits(row).tobytes().ljust(4, b"\0") for row in hidden[::-1])
    if bits == 24:
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        colours, stored = b"", [row[:, ::-1].tobytes() for row in pixels]
    else:
        table = rng.integers(0, 256, (2**bits, 4), np.uint8)
        numbers = rng.integers(0, 2**bits, size).astype(np.uint8)
        pixels, colours = table[numbers][..., 2::-1], table.tobytes()
        stored = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:]).tobytes() for row in numbers]
    rows = b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in reversed(stored))
    content = icon(masked(bits, colours, rows, mask, size) + behind)
    found = read(content).data
    np.testing.assert_array_equal(pixels, found[..., :3])
    np.testing.assert_array_equal(np.where(hidden, 0, 255), found[..., 3])
    for place in range(22 + 40, len(content) - len(behind)):
        short = struct.pack("<I", place - 22)
        with pytest.raises(ConvError, match="cut short"):
            read(content[:14] + short + content[18:place])


def test_a_png_in_an_icon_is_as_it_is_alone():
    for pixels in (RGB, RGB[..., 0].copy(), ALPHA):
        content = saved(pixels, "PNG", dpi=(200, 100))
        alone, inside = read(content), read(icon(content))
        np.testing.assert_array_equal(alone.data, inside.data, strict=True)
        assert (alone.info.samples, alone.info.metadata) == (inside.info.samples, inside.info.metadata)
        for place in range(30, len(content), 31):
            with pytest.raises(ConvError):
                read(icon(content[:place]))
    with pytest.raises(ConvError, match="damaged"):
        read(icon(content[:60] + b"?" + content[61:]))


@pytest.mark.parametrize("side", [256, 257])
def test_icons_are_of_256_pixels_at_most(run, tmp_path, side):
    (tmp_path / "in.png").write_bytes(saved(np.resize(RGB, (9, side, 3)), "PNG"))
    code, lines = run("conv2d", tmp_path / "in.png", "-k", "identity", "-q", "-o", tmp_path / "out.ico")
    if side > 256:
        assert (2, 1, True) == (code, len(lines), "256" in lines[0])
        return
    assert 0 == code
    with PIL.Image.open(tmp_path / "out.ico") as seen:
        assert ({(256, 9)}, "RGBA") == (seen.info["sizes"], seen.mode)
        np.testing.assert_array_equal(np.resize(RGB, (9, side, 3)), np.asarray(seen.convert("RGB")))


@pytest.mark.parametrize(
    ("place", "value", "code"), [(0, 64, "codec-missing"), (14, 16, "codec-missing"), (4, 0, "corrupt")]
)
def test_pictures_of_an_icon_that_are_not_read_are_one_line(place, value, code):
    content = bytearray(masked(24, b"", bytes(12), bytes(12), (3, 1)))
    content[place : place + 2] = value.to_bytes(2, "little")
    with pytest.raises(ConvError) as caught:
        read(icon(bytes(content)))
    assert code == caught.value.code


def test_a_list_that_says_another_size_is_told():
    content = bytearray(saved(ALPHA, "ICO", sizes=[(37, 24)], bitmap_format="bmp"))
    assert () == read(bytes(content)).info.notes
    content[6] = 36
    assert ("the icon's list says 24 x 36 pixels of a picture that has 24 x 37",) == read(bytes(content)).info.notes


# DIB


@pytest.mark.parametrize("pixels", [RGB, RGB[..., 0].copy(), RGB[..., 0] > 99, indexed()])
def test_a_dib_is_a_bmp_without_the_header_of_its_file(pixels):
    content, with_header = saved(pixels, "DIB", dpi=(200, 100)), saved(pixels, "BMP", dpi=(200, 100))
    assert content == with_header[14:]
    dib, bmp = read(content), read(with_header)
    np.testing.assert_array_equal(bmp.data, dib.data, strict=True)
    assert ("dib", bmp.info.metadata) == (dib.info.format, dib.info.metadata)
    with PIL.Image.open(io.BytesIO(content)) as seen:
        np.testing.assert_array_equal(dib.data, np.asarray(seen.convert("L" if dib.data.ndim == 2 else "RGB")))
    for place in range(16, len(content), 7):
        with pytest.raises(ConvError) as caught:
            read(content[:place])
        assert "corrupt" == caught.value.code


@pytest.mark.parametrize("depth", [24, 32])
def test_masks_of_colours_stand_before_the_pixels_of_a_dib(depth):
    """The oldest header, of 12 bytes, and one followed by masks."""
    rows = RGB[:2, :4]
    if depth == 24:
        content = struct.pack("<IHHHH", 12, 4, 2, 1, 24) + rows[::-1, :, ::-1].tobytes()
    else:
        packed = np.dstack([rows, np.zeros((2, 4), np.uint8)])[::-1, :, [2, 1, 0, 3]]
        content = struct.pack("<IiiHHIIiiII3I", 40, 4, 2, 1, 32, 3, 0, 0, 0, 0, 0, 255 << 16, 255 << 8, 255)
        content += packed.tobytes()
    np.testing.assert_array_equal(rows, read(content).data, strict=True)


def test_pillow_reads_the_dib_that_is_written():
    for pixels in (RGB, RGB[..., 0].copy()):
        info = ImageInfo(pixels.shape, "uint8", "YXS"[: pixels.ndim], samples="rgb" * (pixels.ndim == 3))
        with PIL.Image.open(io.BytesIO(encode(Image(info, pixels), "dib"))) as seen:
            assert "DIB" == seen.format
            np.testing.assert_array_equal(pixels, np.asarray(seen), strict=True)
