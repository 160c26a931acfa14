"""JPEG XL: its header is read as libjxl reads it, and what is written of it means the same to libjxl."""

import imagecodecs
import numpy as np
import pytest

from convcli.errors import ConvError
from convcli.formats import ReadOptions, WriteOptions, encode, probe, read
from convcli.formats.boxes import boxes
from convcli.formats.jpegxl.header import parsed, rewritten
from convcli.formats.pixels import turned
from convcli.image import Image, ImageInfo

RNG = np.random.default_rng(0)
SIZES = [(1, 1), (8, 8), (256, 8), (9, 12), (300, 400), (5, 3000), (9000, 2), (333, 1)]
NUMBERS = ["uint8", "uint16", "float16", "float32"]
COUNTS = {"grey": 1, "grey+alpha": 2, "rgb": 3, "rgb+alpha": 4}


def pixels(size=(12, 9), count=1, dtype="uint8"):
    """Numbers of all sizes."""
    shape = size if count == 1 else (*size, count)
    if dtype.startswith("float"):
        return RNG.normal(0, 300, shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def image(data, samples="grey", **metadata):
    named = samples if data.ndim == 3 else ""
    return Image(ImageInfo(data.shape, data.dtype.name, "YXS"[: data.ndim], samples=named, metadata=metadata), data)


def codestream(content):
    """What lies in the boxes."""
    if content[:2] == b"\xff\x0a":
        return content
    return b"".join(
        content[each.start + 4 * (each.kind == b"jxlp") : each.end]
        for each in boxes(content, "")
        if each.kind in (b"jxlc", b"jxlp")
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lossless", [True, False])
def test_sizes_are_read_without_libjxl_as_libjxl_reads_them(size, lossless):
    data = pixels(size)
    content = bytes(imagecodecs.jpegxl_encode(data, lossless=lossless))
    found = probe(content)
    assert (imagecodecs.jpegxl_decode(content).shape, "uint8") == (found.shape, found.dtype)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("samples", COUNTS)
@pytest.mark.parametrize("kwargs", [{"lossless": True}, {"distance": 1.0}], ids=["lossless", "lossy"])
def test_samples_are_read_without_libjxl_as_libjxl_reads_them(dtype, samples, kwargs):
    content = bytes(imagecodecs.jpegxl_encode(pixels(count=COUNTS[samples], dtype=dtype), **kwargs))
    found = probe(content)
    decoded = imagecodecs.jpegxl_decode(content)
    assert (decoded.shape, decoded.dtype.name) == (found.shape, found.dtype)
    assert samples in (found.samples, "grey")
    assert ("srgb" if dtype == "uint8" else "linear") == parsed(codestream(content)).space
    np.testing.assert_array_equal(decoded, read(content).data, strict=True)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("samples", COUNTS)
def test_which_way_is_up_is_said_as_libjxl_hears_it(dtype, samples):
    data = pixels(count=COUNTS[samples], dtype=dtype)
    for turn in range(1, 9):
        content = encode(image(data, samples, orientation=turn), "jxl")
        np.testing.assert_array_equal(imagecodecs.jpegxl_decode(content, keeporientation=True), data, strict=True)
        np.testing.assert_array_equal(imagecodecs.jpegxl_decode(content), turned(data, "YXS"[: data.ndim], turn))
        assert turn == probe(content).metadata.get("orientation", 1)
        upright = read(content, options=ReadOptions(auto_orient=True))
        np.testing.assert_array_equal(imagecodecs.jpegxl_decode(content), upright.data)


@pytest.mark.parametrize("turn", [1, 3, 6])
def test_a_lossy_picture_may_lie_on_its_side(turn):
    ramp = np.add.outer(np.arange(40) * 3, np.arange(60) * 2)[..., None].repeat(3, 2).astype(np.uint8)
    content = encode(image(ramp, "rgb", orientation=turn), "jxl", WriteOptions(quality=95))
    shown = imagecodecs.jpegxl_decode(content).astype(int)
    assert 3 > abs(shown - turned(ramp, "YXS", turn)).max() > 0


def test_numbers_of_16_bits_are_said_to_be_srgb_as_those_of_8_bits_are():
    """imagecodecs calls them linear light, in which viewers would show them too bright."""
    for dtype, space in {"uint8": "srgb", "uint16": "srgb", "float32": "linear"}.items():
        for samples, count in COUNTS.items():
            content = encode(image(pixels(count=count, dtype=dtype), samples), "jxl")
            assert space == parsed(codestream(content)).space
    linear = image(pixels(dtype="uint16"), linear=True)
    assert "linear" == parsed(codestream(encode(linear, "jxl"))).space


def test_a_rewritten_header_says_what_it_said():
    content = codestream(bytes(imagecodecs.jpegxl_encode(pixels(count=4), lossless=True)))
    assert parsed(content) == parsed(rewritten(content, 1, linear=None))
    assert parsed(content) == parsed(rewritten(rewritten(content, 1, linear=True), 1, linear=False))


@pytest.mark.parametrize(("quality", "error"), [(None, 0), (100, 0), (90, 5), (50, 12)])
def test_nothing_is_lost_unless_a_quality_is_asked_for(quality, error):
    smooth = np.add.outer(np.arange(64) * 2, np.arange(64))[..., None].repeat(3, 2).astype(np.uint8)
    content = encode(image(smooth, "rgb"), "jxl", WriteOptions(quality=quality))
    found = abs(imagecodecs.jpegxl_decode(content).astype(int) - smooth).max()
    assert found <= error
    assert (found == 0) == (error == 0)


def test_a_quality_of_what_is_kept_whole_is_told(run, tmp_path):
    (tmp_path / "in.jxl").write_bytes(encode(image(pixels(dtype="uint16")), "jxl"))
    words = ("-k", "identity", "--quality", "50", "-o", tmp_path / "out.jxl")
    code, lines = run("conv2d", tmp_path / "in.jxl", *words)
    assert (0, True) == (
        code,
        any("--quality is for 8 bits: JPEG XL keeps uint16 without loss" in line for line in lines),
    )
    np.testing.assert_array_equal(read(tmp_path / "in.jxl").data, read(tmp_path / "out.jxl").data)


def test_exif_packed_by_brotli_is_unpacked():
    exif = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    packed = b"Exif" + bytes(imagecodecs.brotli_encode(bytes(4) + exif))
    plain = encode(image(pixels(), exif=exif.replace(b"\6", b"\1")), "jxl")
    parts = [(each.kind, plain[each.start : each.end]) for each in boxes(plain, "")]
    changed = [(b"brob", packed) if kind == b"Exif" else (kind, data) for kind, data in parts]
    content = b"".join((len(data) + 8).to_bytes(4, "big") + kind + data for kind, data in changed)
    assert exif == probe(content).metadata["exif"]
    assert "orientation" not in probe(content).metadata  # the codestream tells it, and nothing else does


@pytest.mark.parametrize("kwargs", [{"lossless": True}, {"distance": 1.0}], ids=["lossless", "lossy"])
def test_every_cut_is_missed(kwargs):
    content = bytes(imagecodecs.jpegxl_encode(pixels((24, 32), 3), **kwargs))
    for place in range(1, len(content), 7):
        with pytest.raises(ConvError) as caught:
            read(content[:place])
        assert caught.value.code in ("corrupt", "unknown-format")


def test_an_animation_is_read_by_its_first_picture():
    frames = pixels((3, 16, 16), 3)
    content = bytes(imagecodecs.jpegxl_encode(frames, lossless=True))
    if not parsed(codestream(content)).animated:
        pytest.skip("this imagecodecs writes no animations")
    found = read(content)
    np.testing.assert_array_equal(frames[0], found.data)
    assert ("animated: its first picture is read",) == found.info.notes
