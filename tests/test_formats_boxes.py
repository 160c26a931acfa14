"""JPEG 2000 and AVIF, which are made of boxes: what these say is what other readers see, and every cut is missed."""

import io
import struct

import imagecodecs
import numpy as np
import PIL.Image
import pytest

from convcli.errors import ConvError
from convcli.formats import ReadOptions, WriteOptions, encode, probe, read
from convcli.formats.avif.items import items_of
from convcli.formats.pixels import filling, turned
from convcli.image import Image, ImageInfo

RNG = np.random.default_rng(0)
COUNTS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgb+alpha": 4}
SMOOTH = np.add.outer(np.arange(64) * 2, np.arange(64))[..., None].repeat(3, 2).astype(np.uint8)


def pixels(count=1, dtype="uint8", size=(12, 9)):
    shape = size if count == 1 else (*size, count)
    return RNG.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def image(data, samples="grey", **metadata):
    named = samples if data.ndim == 3 else ""
    return Image(ImageInfo(data.shape, data.dtype.name, "YXS"[: data.ndim], samples=named, metadata=metadata), data)


def pillow(content):
    with PIL.Image.open(io.BytesIO(content)) as seen:
        seen.load()
        return seen


def psnr(first, second):
    return 10 * np.log10(255**2 / np.mean((first.astype(float) - second) ** 2))


# JPEG 2000


@pytest.mark.parametrize("samples", COUNTS)
def test_pillow_sees_the_same_in_a_jpeg_2000(samples):
    data = pixels(COUNTS[samples])
    seen = pillow(encode(image(data, samples, resolution=(300.0, 72.0, "inch")), "jp2"))
    np.testing.assert_array_equal(data, np.asarray(seen))
    assert {"grey": "L", "grey+alpha": "LA", "rgb": "RGB", "rgb+alpha": "RGBA"}[samples] == seen.mode
    assert (300, 72) == pytest.approx(seen.info["dpi"], rel=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8", "int16"])
@pytest.mark.parametrize("samples", COUNTS)
def test_openjpeg_sees_the_same_in_a_jpeg_2000(samples, dtype):
    data = pixels(COUNTS[samples], dtype)
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(encode(image(data, samples), "jp2")), data, strict=True)


@pytest.mark.parametrize("bits", [1, 5, 10, 12])
@pytest.mark.parametrize("form", ["jp2", "j2k"])
def test_fewer_bits_fill_the_type_of_samples(bits, form):
    most = 2**bits - 1
    data = RNG.integers(0, most, (20, 30), np.uint16 if bits > 8 else np.uint8, endpoint=True)
    data[0, :2] = 0, most
    found = read(bytes(imagecodecs.jpeg2k_encode(data, reversible=True, bitspersample=bits, codecformat=form)))
    np.testing.assert_array_equal(filling(most)[data], found.data, strict=True)
    assert 0 == found.data.min() < found.data.max() == (255 if bits <= 8 else 65535)
    assert f"{bits}-bit samples are scaled" in found.info.notes[0]


def test_channels_that_nobody_names_are_data_and_an_opacity_is_one_where_it_is_said():
    plain = probe(bytes(imagecodecs.jpeg2k_encode(pixels(4), reversible=True)))
    assert ("", "YXS", (12, 9, 4)) == (plain.samples, plain.axes, plain.shape)
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels(4), "RGBA").save(stream, "JPEG2000")
    named = probe(stream.getvalue()).samples
    assert named == ("rgb+alpha" if b"cdef" in stream.getvalue() else "")


@pytest.mark.parametrize("quality", [100, 95, 75, 40])
def test_a_quality_of_jpeg_2000_is_a_ratio_of_signal_to_noise(quality):
    noisy = np.clip(SMOOTH + RNG.integers(-20, 20, SMOOTH.shape), 0, 255).astype(np.uint8)
    found = read(encode(image(noisy, "rgb"), "jp2", WriteOptions(quality=quality))).data
    if quality == 100:
        np.testing.assert_array_equal(noisy, found)
    else:
        assert 20 + 0.3 * quality - 3 < psnr(noisy, found) < 20 + 0.3 * quality + 6


@pytest.mark.parametrize(
    ("place", "form", "values", "reason"),
    [
        (40, ">H", (3,), "contradict"),
        (8, ">I", (0,), "contradict"),
        (42, ">B", (37,), "38 bits"),
        (43, ">B", (2,), "sizes"),
    ],
)
def test_what_is_not_read_of_jpeg_2000_is_one_line(place, form, values, reason):
    content = bytearray(imagecodecs.jpeg2k_encode(pixels(), reversible=True, codecformat="j2k"))
    struct.pack_into(form, content, place, *values)
    with pytest.raises(ConvError, match=reason) as caught:
        probe(bytes(content))
    assert caught.value.code in ("corrupt", "codec-missing")


# AVIF


@pytest.mark.parametrize("samples", COUNTS)
@pytest.mark.parametrize("turn", range(1, 9))
def test_pillow_sees_the_same_in_an_avif_and_which_way_is_up(samples, turn):
    data = pixels(COUNTS[samples])
    content = encode(image(data, samples, orientation=turn), "avif")
    seen = pillow(content)
    shown = np.asarray(seen.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[COUNTS[samples]]))
    np.testing.assert_array_equal(data, shown)
    assert turn == seen.getexif().get(274, 1) == probe(content).metadata.get("orientation", 1)
    assert (b"irot" in content, b"imir" in content) == (turn in (3, 5, 6, 7, 8), turn in (2, 4, 5, 7))
    upright = read(content, options=ReadOptions(auto_orient=True)).data
    np.testing.assert_array_equal(turned(data, "YXS"[: data.ndim], turn), upright)


@pytest.mark.parametrize("turn", range(2, 9))
def test_which_way_is_up_is_read_as_pillow_writes_it(turn):
    exif, stream = PIL.Image.Exif(), io.BytesIO()
    exif[274] = turn
    PIL.Image.fromarray(pixels(3)).save(stream, "AVIF", exif=exif, speed=10)
    assert turn == probe(stream.getvalue()).metadata["orientation"]


@pytest.mark.parametrize("bits", [10, 12])
def test_ten_and_twelve_bits_fill_sixteen(bits):
    data = RNG.integers(0, 2**bits, (20, 30, 3)).astype(np.uint16)
    found = read(bytes(imagecodecs.avif_encode(data, 100, speed=8, bitspersample=bits)))
    np.testing.assert_array_equal(filling(2**bits - 1)[data], found.data, strict=True)


def test_sixteen_bits_are_refused_before_any_work(run, tmp_path):
    (tmp_path / "in.png").write_bytes(encode(image(pixels(dtype="uint16")), "png"))
    code, lines = run("conv2d", tmp_path / "in.png", "-k", "box:3", "-o", tmp_path / "out.avif")
    assert (2, True) == (code, "AVIF holds uint8, not uint16; use --dtype uint8" in lines[0])


@pytest.mark.parametrize(("quality", "least"), [(None, 99), (100, 99), (90, 40), (50, 30)])
def test_nothing_is_lost_in_an_avif_unless_a_quality_is_asked_for(quality, least):
    found = imagecodecs.avif_decode(encode(image(SMOOTH, "rgb"), "avif", WriteOptions(quality=quality)))
    if least == 99:
        np.testing.assert_array_equal(SMOOTH, found)
    else:
        assert least < psnr(SMOOTH, found) < 99


def test_a_sequence_is_read_by_its_first_picture():
    stream = io.BytesIO()
    frames = [PIL.Image.fromarray(np.full((16, 16, 3), level, np.uint8)) for level in (0, 255)]
    frames[0].save(stream, "AVIF", save_all=True, append_images=frames[1:], duration=50, speed=10)
    found = read(stream.getvalue())
    assert ((16, 16, 3), True) == (found.data.shape, "animated" in found.info.notes[0])
    assert found.data.max() < 9


def test_colour_and_opacity_of_our_items_are_those_of_the_encoder():
    data = pixels(4)
    ours = items_of(encode(image(data, "rgb+alpha"), "avif"))
    theirs = items_of(bytes(imagecodecs.avif_encode(data, 100, speed=6)))
    assert theirs.picture.properties == ours.picture.properties
    assert theirs.opacity.properties == ours.opacity.properties


# Both


@pytest.mark.parametrize("name", ["jp2", "avif"])
@pytest.mark.parametrize("quality", [None, 60])
def test_every_cut_is_missed(name, quality):
    content = encode(image(pixels(3, size=(24, 32)), "rgb"), name, WriteOptions(quality=quality))
    for place in range(12, len(content), 7):
        with pytest.raises(ConvError) as caught:
            read(content[:place])
        assert caught.value.code in ("corrupt", "unknown-format")
