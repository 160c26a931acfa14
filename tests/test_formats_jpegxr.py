"""JPEG XR: what is written of it means the same to jxrlib, which is kept apart since damaged files make it crash."""

import base64
import struct
import sys

import numpy as np
import pytest

from command import convcli
from convcli.errors import ConvError
from convcli.formats import WriteOptions, check_writable, encode, format_for, probe, read
from convcli.formats.jpegxr import apart
from convcli.formats.jpegxr.container import KINDS, parsed
from convcli.formats.pixels import turned
from convcli.image import Image, ImageInfo

imagecodecs = pytest.importorskip("imagecodecs")
RNG = np.random.default_rng(0)
OTHERWISE = (0x05, 0x12, 0x13)  # bits, and a fixed point: stored in other ways than the codec stores their samples
COUNTS = {"grey": 1, "rgb": 3, "rgb+alpha": 4}
FIXED = base64.b64decode(
    "SUm8ASAAAAAkw91vA07+S7GFPXd2jckTAAAAAAAAAAAIAAG8AQAQAAAACAAAAAK8BAABAAAAAAAAAIC8BAABAAAABAAAAIG8BAABAAAAAgAAAIK8"
    "CwABAAAAAACAP4O8CwABAAAAAACAP8C8BAABAAAAhgAAAMG8BAABAAAAjgEAAAAAAABXTVBIT1RPABFFwAMAAwABAACAIAgAAAEAAAAIADv//wAA"
    "AQGFhCUQAAABAvC0VjDBlAgoNDCx/DDBoIglsIKNQwrHjC+C4gl0IKBQgl94RXBKINjIIsqb11aAAAABA/DSSOMNHDYwxYqMNNjwgxh2MNDqowxp"
    "OMNDEAwya0GGOqBhnroIMAqjDB3HBjgqDFFHDWhQIMh0RhctAw1TViCvbGGB4BhYwhhohFGF0hCCY0YXzuMKLQgqWOC2hwXD0gw0Y3+QZbyRtMMt"
    "g00dEGSevkFxq9MLOtmx4asGfMNLyXTDNrtw8NdL4gvSQQYpGGGvZ4YZGJCDJgsYZGJDDTmMQZGJxBjOcQYnuEF6S+F8hYYpH6N7M7j8aWpBhoxv"
    "8gy3kjaYZbBps6IMk9fILjV6MLOtN5gu4cYaCBRheSggy6sEFtOEFtNGE44wvYkYZ8EjCloQX/DGFgE4JFYVXnC+RhBmJMMLuoIK0tEFmIEFo5GG"
    "BmRBZRSC6z4wseGhUJdG9mZr+NOLp4spbmzRrA=="
)
"""A picture of 16 bits with a fixed point, by Microsoft's JxrEncApp: -32768 -8192 -1 0 and 1 4096 8192 32767."""
CRASHES = {
    "a signal": "import os; os.kill(os.getpid(), 11)",
    "no end": "from convcli.system import bound_itself; bound_itself(0, 2**28)\nwhile True: pass",
    "too much memory": "from convcli.system import bound_itself; bound_itself(9, 2**26); bytearray(2**28)",
    "too few pixels": "print('done', '(8, 8) uint8', 'x', sep=chr(10))",
    "other pixels": "print('done', '(8, 9) uint8', sep=chr(10))",
    "a word": "print('WMP_errFail')",
}
"""What a process of the codec may come to."""


def pixels(size=(12, 9), count=1, dtype="uint8"):
    """Numbers of all sizes."""
    shape = size if count == 1 else (*size, count)
    if dtype.startswith("float"):
        return RNG.normal(0, 300, shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def image(data, samples="grey", **metadata):
    named = samples if data.ndim == 3 else ""
    return Image(ImageInfo(data.shape, data.dtype.name, "YXS"[: data.ndim], samples=named, metadata=metadata), data)


@pytest.mark.usefixtures("jxrlib_here")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
@pytest.mark.parametrize("samples", COUNTS)
def test_nothing_is_lost_of_what_is_written_whatever_the_size(dtype, samples):
    for size in ((1, 1), (3, 40), (37, 21)):
        data = pixels(size, COUNTS[samples], dtype)
        content = encode(image(data, samples), "jxr")
        np.testing.assert_array_equal(imagecodecs.jpegxr_decode(content), data, strict=True)
        found = read(content)
        np.testing.assert_array_equal(found.data, data, strict=True)
        assert (samples if data.ndim == 3 else "") == found.info.samples


@pytest.mark.usefixtures("jxrlib_here")
def test_every_number_of_half_precision_is_kept():
    data = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    np.testing.assert_array_equal(read(encode(image(data), "jxr")).data, data, strict=True)


def test_a_process_of_its_own_makes_the_same_file_and_the_same_pixels(jxrlib_here, monkeypatch):
    data = pixels((20, 30), 4, "uint16")
    content = encode(image(data, "rgb+alpha"), "jxr")
    monkeypatch.undo()
    assert content == encode(image(data, "rgb+alpha"), "jxr")
    np.testing.assert_array_equal(read(content).data, data, strict=True)
    done = convcli(
        "conv2d", "-", "-k", "identity", "--region", "4:12,3:21", "-o", "-", "-q", "--format", "jxr", stdin=content
    )
    assert 0 == done.returncode
    np.testing.assert_array_equal(read(done.stdout).data, data, strict=True)


@pytest.mark.usefixtures("jxrlib_here")
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_that_lies_is_stored_as_it_lies(turn):
    data = np.arange(48 * 32, dtype=np.uint8).reshape(48, 32)
    content = encode(image(data, orientation=turn), "jxr")
    if turn < 5:  # of the others jxrlib itself loses rows and columns; it is given none that lies
        np.testing.assert_array_equal(imagecodecs.jpegxr_decode(content), turned(data, "YX", turn))
    found = read(content)
    assert turn == found.info.metadata.get("orientation", 1)
    np.testing.assert_array_equal(found.data, data)


def test_the_header_of_the_codestream_tells_how_a_picture_lies_where_no_tag_does(jxrlib_here):
    data = np.arange(48 * 32, dtype=np.uint8).reshape(48, 32)
    content = bytearray(encode(image(data), "jxr").replace(struct.pack("<HHI", 0xBC02, 4, 1), bytes(8)))
    content[content.index(b"WMPHOTO") + 9] |= 1 << 3
    found = read(bytes(content))
    assert 4 == found.info.metadata["orientation"]
    np.testing.assert_array_equal(found.data, data)


def test_numbers_with_a_fixed_point_are_read_as_what_they_mean(jxrlib_here):
    stored = np.array([[-32768, -8192, -1, 0], [1, 4096, 8192, 32767]])
    np.testing.assert_array_equal(read(FIXED).data, (stored / 8192).astype(np.float32), strict=True)


@pytest.mark.usefixtures("jxrlib_here")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[-1] not in OTHERWISE], ids=bytes.hex)
def test_every_kind_that_is_listed_is_decoded_as_it_is_described(kind):
    dtype, samples, premultiplied = KINDS[kind]
    data = pixels((20, 30), COUNTS[samples], dtype)
    content = bytes(imagecodecs.jpegxr_encode(data))
    found = read(content.replace(parsed(content).kind, kind))
    assert premultiplied == found.info.premultiplied
    np.testing.assert_array_equal(found.data, imagecodecs.jpegxr_decode(content), strict=True)


def test_bits_are_read_as_none_and_all(jxrlib_here):
    bits = pixels((9, 21)) > 99
    content = bytes(imagecodecs.jpegxr_encode(bits))
    np.testing.assert_array_equal(read(content).data, bits * np.uint8(255), strict=True)


def test_a_lower_quality_loses_more(jxrlib_here):
    smooth = np.add.outer(np.arange(90), np.arange(60)) + RNG.normal(0, 5, (90, 60))
    data = np.clip(smooth, 0, 255).astype(np.uint8)
    made = [encode(image(data), "jxr", WriteOptions(quality=quality)) for quality in (100, 90, 50, 10)]
    lost = [abs(read(content).data.astype(int) - data).mean() for content in made]
    assert 0 == lost[0] < lost[1] < lost[2] < lost[3] < 9
    assert sorted(map(len, made), reverse=True) == [*map(len, made)]


@pytest.mark.parametrize(("dtype", "samples"), [("float32", "grey"), ("int16", "rgb"), ("uint8", "grey+alpha")])
def test_what_it_cannot_hold_exactly_is_refused_before_any_work(dtype, samples):
    shape = (9, 9) if samples == "grey" else (9, 9, len(samples.split("+")) if "grey" in samples else 3)
    with pytest.raises(ConvError, match="JPEG XR"):
        check_writable(format_for("a.wdp"), ImageInfo(shape, dtype, "YXS"[: len(shape)], samples=samples))


@pytest.mark.parametrize("what", CRASHES)
def test_whatever_the_codec_does_in_its_process_is_a_damaged_file(tmp_path, monkeypatch, what):
    content = bytes(imagecodecs.jpegxr_encode(pixels((8, 8))))
    (tmp_path / "crashing.py").write_text(f"print('ready', flush=True)\n{CRASHES[what]}\n")
    monkeypatch.setattr(apart, "CHILD", "crashing")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ConvError, match="JPEG XR is damaged"):
        read(content)


def test_a_process_that_crashes_while_it_is_given_pixels_writes_nothing(tmp_path, monkeypatch):
    (tmp_path / "crashing.py").write_text(f"print('ready', flush=True)\n{CRASHES['a signal']}\n")
    monkeypatch.setattr(apart, "CHILD", "crashing")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ConvError, match="could not be encoded as JPEG XR") as caught:
        encode(image(pixels((300, 999))), "jxr")  # more than a pipe holds
    assert "write-failed" == caught.value.code


def test_too_little_memory_is_no_damaged_file(tmp_path, monkeypatch):
    (tmp_path / "crashing.py").write_text("print('ready', 'memory', sep=chr(10), flush=True)\n")
    monkeypatch.setattr(apart, "CHILD", "crashing")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ConvError, match="needs more memory") as caught:
        read(FIXED)
    assert "memory" == caught.value.code


def test_a_process_that_does_not_start_is_no_damaged_file(monkeypatch):
    monkeypatch.setattr(apart, "CHILD", "no_such_module")
    with pytest.raises(ConvError, match="did not start") as caught:
        read(FIXED)
    assert "crashed" == caught.value.code


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_damaged(place):
    content = bytes(imagecodecs.jpegxr_encode(pixels((40, 60), 4)))
    with pytest.raises(ConvError) as caught:
        read(content[: int(len(content) * place)])
    assert "corrupt" == caught.value.code


def test_kinds_that_are_not_read_are_named():
    content = bytes(imagecodecs.jpegxr_encode(pixels(count=4), photometric="cmyk"))
    with pytest.raises(ConvError, match=r"a kind of JPEG XR that is not read here \(inks"):
        probe(content)


def test_an_opacity_that_is_declared_and_not_there_is_damage():
    content = bytes(imagecodecs.jpegxr_encode(pixels((20, 30), 4)))
    with pytest.raises(ConvError, match="its opacity is missing"):
        read(content.replace(struct.pack("<HHI", 0xBCC2, 4, 1), struct.pack("<HHI", 0xBCC6, 4, 1)))


def test_sizes_that_contradict_each_other_are_damage():
    content = bytearray(imagecodecs.jpegxr_encode(pixels()))
    content[content.index(b"WMPHOTO") + 13] += 1
    with pytest.raises(ConvError, match="its sizes contradict"):
        probe(bytes(content))
