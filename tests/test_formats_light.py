"""Radiance's pictures and QOI, against other readers: numbers, orders of rows, what damage shows."""

import io

import imagecodecs
import numpy as np
import PIL.Image
import pytest

import convcli
from convcli.errors import ConvError
from convcli.formats import encode, probe, read
from convcli.image import Image, ImageInfo

LIGHT = np.exp(np.random.default_rng(0).normal(0, 20, (9, 13, 3))).astype(np.float32)
COLOUR = np.random.default_rng(1).integers(0, 256, (17, 9, 3), np.uint8)
COLOUR[4:9] = COLOUR[4, 0]


def light(pixels):
    """A picture of Radiance as we write it."""
    info = ImageInfo(pixels.shape, "float32", "YXS"[: pixels.ndim], samples="rgb" * (pixels.ndim == 3))
    return encode(Image(info, pixels.astype(np.float32)), "hdr")


def test_light_is_held_to_half_a_step_of_the_largest_sample():
    found = imagecodecs.rgbe_decode(light(LIGHT))
    np.testing.assert_array_equal(found, read(light(LIGHT)).data, strict=True)
    step = np.exp2(np.floor(np.log2(LIGHT.max(axis=2, keepdims=True)).astype(np.float64)) + 1 - 8)
    assert (abs(found.astype(np.float64) - LIGHT) <= step * 0.5001).all()
    np.testing.assert_array_equal(found, read(light(found)).data)  # what is held once stays


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (0, 0),
        (-3, 0),
        (np.nan, 0),
        (np.inf, 255 * 2.0**119),
        (3.3e38, 255 * 2.0**119),
        (1e-42, 0),
        (255.9, 256),
        (1, 1),
    ],
)
def test_numbers_at_the_ends_become_the_nearest_that_there_are(value, held):
    assert held == read(light(np.full((2, 9), value))).data[0, 0, 0]


@pytest.mark.parametrize("width", [1, 7, 8, 200])
def test_rows_of_any_length_are_read_as_others_read_them(width):
    pixels = np.random.default_rng(2).random((3, width)) * 100
    content = light(pixels)
    np.testing.assert_array_equal(imagecodecs.rgbe_decode(content), read(content).data)


@pytest.mark.parametrize("sizes", ["-Y 9 -X 13", "+Y 9 +X 13", "+Y 9 -X 13", "+X 13 -Y 9", "-X 13 -Y 9", "+X 13 +Y 9"])
def test_rows_may_run_any_way(sizes):
    """-Y counts from the top, +X from the left."""
    upright = imagecodecs.rgbe_decode(light(LIGHT))
    (first, _, second, _) = sizes.split()
    lying = upright if first[1] == "Y" else upright.swapaxes(0, 1)
    lying = lying[:: {"-Y": 1, "+Y": -1, "+X": 1, "-X": -1}[first], :: {"-Y": 1, "+Y": -1, "+X": 1, "-X": -1}[second]]
    rows = bytes(imagecodecs.rgbe_encode(np.ascontiguousarray(lying), header=False, rle=False))
    content = b"#?RGBE\nFORMAT=32-bit_rle_rgbe\n\n" + sizes.encode() + b"\n" + rows
    np.testing.assert_array_equal(upright, read(content).data, strict=True)
    assert (9, 13, 3) == probe(content).shape


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (light(LIGHT).replace(b"rle_rgbe", b"rle_xyze"), "codec-missing"),
        (light(LIGHT).replace(b"\n\n", b"\n"), "corrupt"),
        (light(LIGHT).replace(b"+X", b"+Y"), "corrupt"),
        (b"#?RADIANCE\n\n-Y 40 +X 40\n" + bytes([9, 8, 7, 6, 1, 1, 1, 40]), "codec-missing"),  # run lengths of old
        (light(LIGHT[:, :5])[:-1], "corrupt"),
    ],
)
def test_what_is_not_read_is_one_line(content, code):
    with pytest.raises(ConvError) as caught:
        read(content)
    assert code == caught.value.code


def test_numbers_of_light_go_through_a_filter(run, tmp_path):
    (tmp_path / "in.hdr").write_bytes(light(LIGHT).replace(b"\nFORMAT", b"\nEXPOSURE=2\n# a remark\nFORMAT"))
    assert 0 == run("conv2d", tmp_path / "in.hdr", "-k", "box:3", "-q", "-o", tmp_path / "out.hdr")[0]
    held = imagecodecs.rgbe_decode(light(LIGHT))
    expected = convcli.convolve(held, "box:3", axes="YXS")
    np.testing.assert_array_equal(read(light(expected)).data, read(tmp_path / "out.hdr").data)
    head = (tmp_path / "out.hdr").read_bytes().partition(b"\n\n")[0]
    assert (True, True) == (b"\nEXPOSURE=2\n" in head, b"\n# a remark\n" in head)
    code, lines = run("conv2d", tmp_path / "in.hdr", "-k", "box:3", "-t", "uint8", "-o", tmp_path / "out2.hdr")
    assert (2, True) == (code, "Radiance HDR holds float32, not uint8; use --dtype float32" in lines[-1])


# QOI


def qoi(pixels=COLOUR):
    """A QOI by Pillow."""
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "QOI")
    return stream.getvalue()


def test_every_byte_of_qoi_that_is_lost_is_missed():
    content = qoi()
    assert np.array_equal(COLOUR, read(content).data)
    for place in range(14, len(content) - 8):
        for damaged in (content[:place], content[:place] + content[-8:]):
            with pytest.raises(ConvError, match="damaged"):
                read(damaged)


@pytest.mark.parametrize("more", [b"\0", b"\xc0", b"\xfe\1\2\3"])
def test_pixels_beyond_those_declared_are_told(more):
    content = qoi()
    with pytest.raises(ConvError, match="not those of as many pixels as it declares"):
        read(content[:-8] + more + content[-8:])


@pytest.mark.parametrize("name", ["qoi", "hdr", "jxl", "jxr", "jp2", "avif"])
def test_a_codec_that_is_missing_is_told_before_any_work(run, tmp_path, monkeypatch, name):
    (tmp_path / "in.png").write_bytes(
        encode(Image(ImageInfo(COLOUR.shape, "uint8", "YXS", samples="rgb"), COLOUR), "png")
    )
    monkeypatch.setattr(
        imagecodecs,
        {"hdr": "RGBE", "jxl": "JPEGXL", "jxr": "JPEGXR", "jp2": "JPEG2K"}.get(name, name.upper()),
        imagecodecs.HEIF,
    )
    words = ("--dtype", "float32") if name == "hdr" else ()
    code, lines = run("conv2d", tmp_path / "in.png", "-k", "box:3", *words, "-o", tmp_path / f"out.{name}")
    assert (2, True, 1) == (code, lines[0].endswith("[codec-missing]"), len(lines))
