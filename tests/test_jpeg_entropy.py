"""The data of a JPEG end where its picture does, and where each restart is: what djpeg -strict refuses is refused."""

import io
import shutil
import subprocess
from contextlib import suppress

import numpy as np
import PIL.Image
import pytest
import tifffile

from convcli.errors import ConvError
from convcli.formats import ReadOptions, encode, read
from convcli.formats.jpeg import entropy as jpeg_entropy
from convcli.image import Image, ImageInfo
from convcli.native import scans as native_scans

KINDS = {
    "baseline": {},
    "optimized": {"optimize": True},
    "rows": {"restart_marker_rows": 1},
    "blocks": {"restart_marker_blocks": 1},
    "progressive": {"progressive": True},
    "progressive with restarts": {"progressive": True, "restart_marker_blocks": 3},
}
PICTURE = np.clip(np.random.default_rng(0).normal(128, 40, (64, 80, 3)), 0, 255).astype(np.uint8)
DJPEG = shutil.which("djpeg")

needs_native = pytest.mark.skipif(
    not native_scans.AVAILABLE, reason="the codes of a JPEG are walked through by compiled code"
)


def jpeg(pixels=PICTURE, quality=80, **options):
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def scans(content):
    """Where the data of the first scan begin."""
    start = content.index(b"\xff\xda")
    return start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")


def djpeg_refuses(content):
    return subprocess.run(
        [DJPEG, "-strict", "-outfile", "/dev/null"], input=content, capture_output=True, check=False
    ).returncode


@needs_native
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(8, 8), (9, 7), (64, 80), (33, 401)], ids=str)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "grey"])
def test_an_honest_jpeg_is_walked_through_to_its_end(kind, size, subsampling):
    rng = np.random.default_rng(size[0])
    noise, flat = rng.integers(0, 256, (*size, 3), dtype=np.uint8), np.full((*size, 3), 128, np.uint8)
    for pixels in (noise, flat, np.resize(PICTURE, (*size, 3))):
        for quality in (10, 75, 100):
            options = {} if subsampling == "grey" else {"subsampling": subsampling}
            content = jpeg(pixels[..., 0] if subsampling == "grey" else pixels, quality, **options, **KINDS[kind])
            jpeg_entropy.check(content)


@needs_native
def test_inks_and_files_of_our_own_are_walked_through():
    inks = Image(ImageInfo((16, 24, 4), "uint8", "YXS", samples="cmyk"), np.resize(PICTURE, (16, 24, 4)))
    jpeg_entropy.check(encode(inks, "jpeg"))
    jpeg_entropy.check(encode(Image(ImageInfo(PICTURE.shape, "uint8", "YXS", samples="rgb"), PICTURE), "jpeg"))


@needs_native
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_so_are_frames_without_loss_and_of_more_bits(bits):
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(0).integers(0, 1 << bits, (33, 41), dtype=np.uint8 if bits == 8 else np.uint16)
    jpeg_entropy.check(imagecodecs.ljpeg_encode(pixels, bitspersample=bits))
    if bits == 12:
        jpeg_entropy.check(imagecodecs.jpeg8_encode(pixels, 90, bitspersample=12))


@needs_native
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_cut_out_or_put_in_are_refused_with_lenient_told(kind):
    content = jpeg(**KINDS[kind])
    start = scans(content)
    for place in (start, (start + len(content)) // 2, len(content) - 2):
        for damaged in (content[: place - 9] + content[place:], content[:place] + b"\x5a" * 40 + content[place:]):
            if place == start and len(damaged) < len(content):
                continue  # that is the header
            with pytest.raises(ConvError, match="JPEG is damaged"):
                read(damaged)
            with suppress(ConvError):  # libjpeg does not guess at everything
                lenient = read(damaged, options=ReadOptions(lenient=True))
                assert (PICTURE.shape, True) == (lenient.data.shape, "JPEG is damaged" in lenient.info.notes[-1])


@needs_native
def test_the_fault_and_its_place_are_told():
    content = jpeg(restart_marker_rows=1)
    first = content.index(b"\xff\xd0")
    wrong = content[: first + 1] + b"\xd5" + content[first + 2 :]
    for damaged, reason in (
        (content[: first - 60] + content[first:], r"scan 1, after \d of 20 units: the data end too early"),
        (content[:first] + b"Z" * 40 + content[first:], r"scan 1, after 5 of 20 units: more bytes than"),
        (wrong, r"scan 1, after 5 of 20 units: a restart marker of another number"),
        (content[:first] + content[first + 2 :], r"scan 1, after 5 of 20 units: more bytes"),
        (content[:-2], "it has no end marker"),
    ):
        with pytest.raises(ConvError, match=reason):
            read(damaged)


@needs_native
@pytest.mark.parametrize("fill", [b"\xff", b"\xff" * 5])
def test_fill_bytes_before_a_marker_are_allowed(fill):
    content = jpeg(restart_marker_rows=1)
    place = content.index(b"\xff\xd0")
    filled = content[:place] + fill + content[place:-2] + fill + content[-2:]
    assert np.array_equal(read(content).data, read(filled).data)


@needs_native
@pytest.mark.skipif(DJPEG is None, reason="djpeg (libjpeg-turbo-progs) is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_read_that_djpeg_strict_refuses(kind):
    content = jpeg(**KINDS[kind])
    start, rng = scans(content), np.random.default_rng(3)
    for _ in range(40):
        damaged, place = bytearray(content), int(rng.integers(start, len(content) - 2))
        match rng.integers(3):
            case 0:
                del damaged[place : place + int(rng.integers(1, 30))]
            case 1:
                damaged[place:place] = rng.bytes(int(rng.integers(1, 30)))
            case _:
                damaged[place] ^= 1 << int(rng.integers(8))
        try:
            read(bytes(damaged))
        except ConvError:
            continue
        assert not djpeg_refuses(bytes(damaged))


def test_without_compiled_code_restart_intervals_are_checked_all_the_same(monkeypatch):
    monkeypatch.setattr(native_scans, "AVAILABLE", False)
    content = jpeg(restart_marker_rows=1)
    place = content.index(b"\xff\xd0")
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(content))), read(content).data)
    for damaged in (content[: place - 60] + content[place:], content[:place] + b"Z" * 40 + content[place:]):
        with pytest.raises(ConvError, match="between two restart markers"):
            read(damaged)


@needs_native
def test_a_jpeg_strip_of_a_tiff_is_walked_through_too(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PICTURE, photometric="rgb", compression="jpeg", rowsperstrip=32)
    sound = read(path).data
    content = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[1], file.pages[0].databytecounts[1]
    middle = offset + size // 2
    path.write_bytes(content[:middle] + b"\xff\xd9" * 20 + content[middle + 40 :])
    with pytest.raises(ConvError, match="JPEG is damaged"):
        read(path)
    lenient = read(path, options=ReadOptions(lenient=True))
    assert np.array_equal(sound[:32], lenient.data[:32])
    assert any("JPEG is damaged" in note for note in lenient.info.notes)


@needs_native
@pytest.mark.parametrize(
    "arguments",
    [
        {"start": -1}, {"start": 10**9}, {"scan": (6, 0, 63)}, {"scan": (-1, 0, 63)}, {"scan": (3, 0, 63)},
        {"scan": (3, 1, 64)},        {"scan": (4, 9, 5)}, {"units": (-1, 0)}, {"units": (1, -1)},
        {"tables": (b"\0\4", bytes(8 * 272))},
        {"tables": (b"", bytes(8 * 272))}, {"tables": (bytes(400), bytes(8 * 272))}, {"tables": (b"\0\0", bytes(9))},
        {"scan": (3, 1, 63), "seen": np.zeros(9, np.uint64)},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_a_scan_is_refused_before_memory_is_touched(arguments):
    usual = {
        "start": 2,
        "scan": (0, 0, 63),
        "units": (10, 0),
        "tables": (b"\0\0", bytes(8 * 272)),
        "seen": np.zeros(0, np.uint64),
    }
    with pytest.raises(ValueError, match="no such scan"):
        native_scans.walk(jpeg(), **{**usual, **arguments})
