"""A JPEG by rows is the whole one: cut into parts that libjpeg decodes alone, and put together from bands."""

import io
from itertools import product

import numpy as np
import PIL.Image
import pytest

from convcli.errors import ConvError
from convcli.formats import ReadOptions, encode, read, windows
from convcli.formats.jpeg import codec, entropy, stream
from convcli.image import Image, ImageInfo
from convcli.native import scans

needs_native = pytest.mark.skipif(not scans.AVAILABLE, reason="the codes of a JPEG are cut by compiled code")
KINDS = {
    "plain": {},
    "optimized": {"optimize": True},
    "restarts of rows": {"restart_marker_rows": 2},
    "restarts anywhere": {"restart_marker_blocks": 3},
}
SUBSAMPLINGS = ["4:4:4", "4:2:2", "4:2:0", "grey", "cmyk"]
SIZES = [(1, 1), (8, 8), (9, 7), (17, 16), (100, 3), (64, 80), (33, 401)]


def jpeg(pixels, subsampling="4:2:0", **options):
    """A picture of three colours as Pillow writes it."""
    made = io.BytesIO()
    if subsampling == "cmyk":
        PIL.Image.fromarray(np.dstack([pixels, pixels[..., :1]]), "CMYK").save(made, "JPEG", **options)
    elif subsampling == "grey":
        PIL.Image.fromarray(pixels[..., 0]).save(made, "JPEG", **options)
    else:
        PIL.Image.fromarray(pixels).save(made, "JPEG", subsampling=subsampling, **options)
    return made.getvalue()


def by_rows(path, rng):
    """The pixels of a file that is read some rows at a time."""
    with windows(path) as found:
        info, source = found
        out = np.empty(info.shape, info.dtype)
        start = 0
        while start < len(out):
            stop = min(len(out), start + int(rng.integers(1, 20)))
            source.read(((start, stop), *((0, size) for size in out.shape[1:])), out[start:stop])
            start = stop
    return out


@needs_native
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_rows_are_those_of_the_whole(kind, subsampling, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "UNPACKED", 3000)
    rng = np.random.default_rng(1)
    for size, quality in product(SIZES, (5, 75, 100)):
        noise = np.clip(rng.normal(128, 60, (*size, 3)), 0, 255).astype(np.uint8)
        slopes = np.cumsum(noise, axis=1).astype(np.uint8) // 2
        (tmp_path / "a.jpg").write_bytes(
            jpeg(noise if quality == 5 else slopes, subsampling, quality=quality, **KINDS[kind])
        )
        np.testing.assert_array_equal(read(tmp_path / "a.jpg").data, by_rows(tmp_path / "a.jpg", rng), strict=True)


@needs_native
def test_a_part_of_the_columns_and_rows_read_again_are_those_of_the_whole(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(np.random.default_rng(2).integers(0, 256, (90, 70, 3), np.uint8)))
    whole = read(path).data
    with windows(path) as (_, source):
        for (top, bottom), (left, right) in [((40, 60), (3, 9)), ((50, 90), (0, 70)), ((0, 5), (69, 70))]:
            out = np.empty((bottom - top, right - left, 3), np.uint8)
            source.read(((top, bottom), (left, right), (0, 3)), out)
            np.testing.assert_array_equal(whole[top:bottom, left:right], out)


@needs_native
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_damage_is_told_by_rows_as_of_the_whole(subsampling, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "UNPACKED", 3000)
    content, path = (
        jpeg(np.random.default_rng(3).integers(0, 256, (64, 80, 3), np.uint8), subsampling),
        tmp_path / "a.jpg",
    )
    middle = len(content) // 2
    for damaged in (
        content[: middle - 9] + content[middle:],
        content[:middle] + b"\x5a" * 40 + content[middle:],
        content[:-40] + content[-2:],
        content[:-2] + b"\x5a" * 9 + content[-2:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(ConvError, match="JPEG is damaged") as whole:
            read(path)
        with pytest.raises(ConvError, match="JPEG is damaged") as found:
            by_rows(path, np.random.default_rng(4))
        assert whole.value.message == found.value.message
        with windows(path, options=ReadOptions(lenient=True)) as none:
            assert none is None


@needs_native
@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"quality": 90, "progressive": True, "restart_marker_rows": 1}]
)
def test_what_has_several_scans_is_decoded_as_a_whole(options, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(np.zeros((40, 40, 3), np.uint8), **options))
    with windows(tmp_path / "a.jpg") as found:
        assert found is None


def table(counts, symbols):
    return bytes([*counts, *[0] * (16 - len(counts))]) + bytes(symbols).ljust(256, b"\0")


def test_tables_get_the_codes_that_they_lack_behind_their_own():
    none, full = table([], []), table([0, 2, 3], [0, 1, 2, 3, 4])
    wider = stream.widened(full + none * 7)
    assert [0, 2, 3, *[0] * 12, 7] == list(wider[:16])
    assert [*range(12)] == list(wider[16:28])
    assert none * 7 == wider[stream.TABLE :]
    crowded = table([1] * 15 + [1], range(1, 17))  # codes of 1 to 16 bits: nothing but the one of ones is left
    assert stream.widened(crowded + none * 7) is None
    assert (0x00, 0x10) == (
        stream.listed(full + none * 3 + full + none * 3)[0],
        stream.listed(none * 4 + full + none * 3)[0],
    )


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("shape", [(1, 1), (130, 50), (17, 16, 3), (64, 80, 3), (300, 3, 3), (96, 41, 4)])
def test_bands_together_are_the_picture_encoded_at_once(shape, subsampling, tmp_path, monkeypatch):
    if codec.imagecodecs() is None and subsampling in ("440", "411"):
        pytest.skip("imagecodecs is not installed: Pillow shares colours in three ways")
    monkeypatch.setattr(stream, "PACKED", 3000)
    pixels = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    samples = {3: "rgb", 4: "cmyk"}[shape[2]] if len(shape) == 3 else ""
    info = ImageInfo(
        shape,
        "uint8",
        "YXS"[: len(shape)],
        samples=samples,
        metadata={"jpeg": {"quality": 80, "subsampling": subsampling}},
    )
    content = encode(Image(info, pixels), "jpeg")
    at_once = codec.encode(pixels, 80, subsampling)
    np.testing.assert_array_equal(codec.decode(at_once), codec.decode(content), strict=True)
    bands = -(-shape[0] // stream.Packer(info, 80, subsampling, io.BytesIO()).step)
    assert bands == 1 + len([part for part in content.split(b"\xff")[1:] if 0xD0 <= part[0] <= 0xD7])
    with PIL.Image.open(io.BytesIO(content)) as opened:
        np.testing.assert_array_equal(codec.decode(at_once) if samples != "cmyk" else opened, opened)
    if scans.AVAILABLE:
        entropy.check(content)
        (tmp_path / "a.jpg").write_bytes(content)
        np.testing.assert_array_equal(read(content).data, by_rows(tmp_path / "a.jpg", np.random.default_rng(6)))
