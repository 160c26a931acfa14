"""Colours and opacity are those that Pillow reads: of indexed files, whatever their tables, and of JPEG's inks."""

import io
import struct
from itertools import product

import numpy as np
import PIL.Image
import pytest
import tifffile

from command import InProcess
from convcli.errors import ConvError
from convcli.formats import ReadOptions, encode, read
from convcli.image import Image, ImageInfo

imagecodecs = pytest.importorskip("imagecodecs")

INDICES = np.array([[0, 50, 100], [200, 50, 255]], np.uint8)
GREYS = bytes(value for index in range(256) for value in (index, index, index))
COLOURS = bytes((index * 7 + part * 50) % 256 for index in range(256) for part in range(3))
TABLES = {
    "none": b"",
    "grey ramp": GREYS,
    "colours": COLOURS,
    "black": bytes(768),
    "few": GREYS[:6],
    "white": b"\xff" * 768,
}


def codes(indices):
    """Pixels of a GIF as codes of nine bits that tell of no run."""
    bits = sum(code << 9 * place for place, code in enumerate([256, *indices.ravel().tolist(), 257]))
    data = bits.to_bytes(-(-9 * (indices.size + 2) // 8), "little")
    return b"\x08" + bytes([len(data)]) + data + b"\0"


def frame(indices, transparent=None, table=b"", disposal=0):
    """A frame with its control block, and a table of its own."""
    height, width = indices.shape
    flags = disposal << 2 | (transparent is not None)
    control = b"!\xf9\x04" + struct.pack("<BHB", flags, 4, transparent or 0) + b"\0"
    return control + b"," + struct.pack("<HHHHB", 0, 0, width, height, size_flags(table)) + table + codes(indices)


def size_flags(table):
    return 0x80 | (len(table) // 3).bit_length() - 2 if table else 0


def gif(table, *frames, screen=INDICES.shape):
    head = b"GIF89a" + struct.pack("<HHBBB", screen[1], screen[0], size_flags(table), 0, 0)
    return head + table + b"".join(frames) + b";"


def shown(image):
    """The pixels as red, green, blue and opacity."""
    held = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.info.size("S")]
    return np.asarray(PIL.Image.fromarray(image.data, held).convert("RGBA"))


def drawn(indices, table, transparent):
    """A frame as the specification has it: indices in a table, or greys where there is none; one index is nothing."""
    colours = np.frombuffer(table or GREYS, np.uint8).reshape(-1, 3)
    opaque = np.where(indices == transparent, 0, 255)
    return np.dstack([colours[indices], opaque]).astype(np.uint8)


@pytest.mark.parametrize(("table", "own"), list(product(TABLES, TABLES)))
@pytest.mark.parametrize("transparent", [None, 0, 1, 50, 255])
def test_a_gif_has_the_colours_and_the_opacity_of_its_table(table, own, transparent):
    indices = INDICES % 2 if "few" in (table, own) else INDICES
    image = read(gif(TABLES[table], frame(indices, transparent, TABLES[own])))
    assert np.array_equal(drawn(indices, TABLES[own] or TABLES[table], transparent), shown(image))
    assert ("rgb" in image.info.samples) == ((own if own != "none" else table) not in ("none", "grey ramp", "few"))


@pytest.mark.parametrize("tables", list(product(["grey ramp", "none", "colours"], repeat=3)), ids=" ".join)
@pytest.mark.parametrize("transparent", [None, 50])
def test_so_has_every_frame_on_top_of_those_before(tables, transparent):
    content = gif(GREYS, *(frame(INDICES, transparent, TABLES[table]) for table in tables))
    expected = np.zeros((2, 3, 4), np.uint8)
    for number, table in enumerate(tables):
        layer = drawn(INDICES, TABLES[table] or GREYS, transparent)
        expected = np.where(layer[..., 3:] > 0, layer, expected)
        got = shown(read(content, options=ReadOptions(series=number)))
        assert np.array_equal(expected[..., 3], got[..., 3])
        assert np.array_equal(expected[expected[..., 3] > 0], got[expected[..., 3] > 0])


def check_like_pillow(content):
    """Colours and opacity are Pillow's."""
    expected = np.asarray(PIL.Image.open(io.BytesIO(content)).convert("RGBA"))
    assert np.array_equal(expected, shown(read(content)))


@pytest.mark.parametrize("palette", ["grey ramp", "colours"])
@pytest.mark.parametrize("colours", [2, 4, 16, 256])
@pytest.mark.parametrize("transparency", [None, 1, bytes([9, 0]), bytes([255, 128])])
def test_a_palette_in_a_png_is_as_opaque_as_pillow_says(palette, colours, transparency):
    picture = PIL.Image.fromarray((INDICES.astype(int) % colours).astype(np.uint8), "P")
    picture.putpalette(TABLES[palette][: 3 * colours])
    stream = io.BytesIO()
    picture.save(stream, "PNG", **({} if transparency is None else {"transparency": transparency}))
    check_like_pillow(stream.getvalue())


@pytest.mark.parametrize("palette", ["grey ramp", "colours"])
@pytest.mark.parametrize("name", ["BMP", "TIFF"])
def test_a_palette_without_transparency_is_expanded_alike(palette, name):
    picture = PIL.Image.fromarray(INDICES, "P")
    picture.putpalette(TABLES[palette])
    stream = io.BytesIO()
    picture.save(stream, name)
    check_like_pillow(stream.getvalue())


def adobe(content, transform):
    """A JPEG with another Adobe segment, or none."""
    start = content.index(b"\xff\xee")
    end = start + 2 + struct.unpack_from(">H", content, start + 2)[0]
    segment = b"" if transform is None else content[start : end - 1] + bytes([transform])
    return content[:start] + segment + content[end:]


@pytest.mark.parametrize("transform", [None, 0, 1, 2])
def test_inks_of_a_jpeg_are_those_that_pillow_reads(transform):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, :8], inks[:, 8:] = (20, 100, 60, 30), (200, 10, 90, 0)
    stream = io.BytesIO()
    PIL.Image.fromarray(inks, "CMYK").save(stream, "JPEG", quality=98)
    content = adobe(stream.getvalue(), transform)
    expected = np.asarray(PIL.Image.open(io.BytesIO(content)))
    assert np.array_equal(expected, read(content).data)
    assert (
        np.abs(np.asarray(PIL.Image.open(io.BytesIO(encode(read(content), "jpeg")))) - expected.astype(int)).max() < 9
    )


def test_inks_of_a_jpeg_inside_a_tiff_are_those_that_libtiff_reads():
    inks = np.full((16, 16, 4), (20, 100, 60, 30), np.uint8)
    stream = io.BytesIO()
    PIL.Image.fromarray(inks, "CMYK").save(stream, "TIFF", compression="jpeg")
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(stream.getvalue()))), read(stream.getvalue()).data)


def test_what_is_written_as_ink_is_read_as_the_same_ink():
    image = Image(
        ImageInfo((16, 16, 4), "uint8", "YXS", samples="cmyk"), np.full((16, 16, 4), (20, 100, 60, 30), np.uint8)
    )
    assert np.abs(read(encode(image, "jpeg")).data.astype(int) - image.data).max() < 3


@pytest.mark.parametrize(("bits", "lossless"), [(12, False), *((bits, True) for bits in range(2, 17))])
def test_a_jpeg_of_other_bits_than_its_type_fills_the_range_and_says_so(bits, lossless):
    most, dtype = 2**bits - 1, np.uint8 if bits <= 8 else np.uint16
    pixels = np.linspace(0, most, 12 * 16).round().astype(dtype).reshape(12, 16)
    try:
        content = imagecodecs.jpeg8_encode(pixels, 100, lossless=lossless, bitspersample=bits)
    except ValueError:
        pytest.skip("the encoder makes no such file")
    stored, full = imagecodecs.jpeg8_decode(content), np.iinfo(dtype).max
    image = read(content)
    np.testing.assert_array_equal(np.floor(stored / most * full + 0.5), image.data)
    told = [note for note in image.info.notes if note.startswith(f"{bits}-bit samples are scaled")]
    assert (bits not in (8, 16)) == bool(told)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("ending", ["png", "webp", "pam"])
@pytest.mark.parametrize("memory", ["1MiB", "256MiB"])
def test_colours_multiplied_by_their_opacity_are_divided_by_it_where_a_format_holds_colours(
    capsys, tmp_path, dtype, ending, memory
):
    if (dtype, ending) == (np.uint16, "webp"):
        pytest.skip("WebP has 8 bits")
    full = np.iinfo(dtype).max
    rng = np.random.default_rng(3)
    opacity = rng.integers(0, full, (30, 20, 1), endpoint=True)
    opacity[:3], opacity[3:6] = 0, full
    colours = rng.integers(0, opacity + 1, (30, 20, 3))
    stored = np.concatenate([colours, opacity], axis=-1).astype(dtype)
    tifffile.imwrite(tmp_path / "in.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    code, lines = InProcess(capsys)(
        *("conv2d", tmp_path / "in.tif", "-k", "identity", "--memory", memory, "-o", tmp_path / f"out.{ending}")
    )
    assert 0 == code, lines
    content = (tmp_path / f"out.{ending}").read_bytes()
    decode = {"png": imagecodecs.png_decode, "webp": imagecodecs.webp_decode}.get(ending)
    found = decode(content) if decode else np.frombuffer(content[-stored.nbytes :], stored.dtype.newbyteorder(">"))
    found = found.reshape(stored.shape)
    seen = opacity[..., 0] > 0
    np.testing.assert_array_equal(stored[..., 3], found[..., 3])
    expected = np.floor(colours[seen] * full / opacity[seen] + 0.5)
    np.testing.assert_array_equal(expected, found[seen][:, :3])


def test_a_gif_that_ends_within_a_later_picture_is_cut_short_in_plain_words():
    pictures = [PIL.Image.fromarray(np.full((9, 9), value, np.uint8)) for value in (0, 90, 200)]
    stream = io.BytesIO()
    pictures[0].save(stream, "GIF", save_all=True, append_images=pictures[1:])
    content = stream.getvalue()
    told = set()
    for end in range(len(content) // 2, len(content) - 1):
        try:
            read(content[:end])
        except ConvError as error:
            told.add(error.message)
    assert "the GIF is damaged (it is cut short)" in told
    assert [] == [message for message in told if "unpack" in message or "index" in message]


def test_a_bmp_of_a_kind_that_pillow_does_not_read_is_not_called_damaged():
    masks = struct.pack("<4I", 0x0F00, 0x00F0, 0x000F, 0xF000)
    head = struct.pack("<IiiHHIIiiII", 108, 2, 1, 1, 16, 3, 4, 0, 0, 0, 0) + masks + bytes(52)
    content = b"BM" + struct.pack("<IHHI", 126, 0, 0, 122) + head + b"\x0f\xff\xf0\xf0"
    with pytest.raises(ConvError, match="a kind of BMP that is not read here") as caught:
        read(content)
    assert "codec-missing" == caught.value.code
