"""What libtiff reads of an unusual TIFF is read here, too; what it cannot read is an error of one line."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

import tiffs
from command import convcli
from convcli.errors import ConvError
from convcli.formats import ReadOptions, probe, read
from test_tiff_bits import same, through_windows

SAMPLES = np.random.default_rng(3).integers(0, 256, (19, 21, 3)).astype("u1")
GREY = SAMPLES[..., 0]
LENIENT = ReadOptions(lenient=True)
TAILS = {"rows below": b"", "other bytes": b"JUNK" * 5, "zeros": b"\0\0\0", "both": b"JUNK"}


def with_tails(compression, tail, order="<", bits=8):
    """Strips of which the last holds rows below the edge, or all have bytes behind their end."""
    segments = []
    for top in range(0, 19, 5):
        part = SAMPLES[top : top + 5].astype(f"u{bits // 8}")
        if tail in ("rows below", "both"):
            part = np.concatenate([part, part[:2]]) if top == 15 else part
        content = tiffs.compressed(tiffs.packed(part, bits, order), tiffs.COMPRESSIONS[compression])
        segments.append(content + TAILS[tail])
    tags = tiffs.tags_of(21, 19, bits, 2, 3, tiffs.COMPRESSIONS[compression]) | {278: (4, [5])}
    return tiffs.file(segments, tags, order)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("compression", tiffs.COMPRESSIONS)
def test_what_lies_behind_the_last_pixel_of_a_strip_is_not_looked_at(tmp_path, compression, tail, bits, order):
    if compression == "zstd" and tail not in ("rows below",):
        pytest.skip("its decoder refuses other bytes behind a frame")
    content = with_tails(compression, tail, order, bits)
    (tmp_path / "a.tif").write_bytes(content)
    same(SAMPLES.astype(f"u{bits // 8}"), tmp_path / "a.tif")
    if bits == 8:
        np.testing.assert_array_equal(SAMPLES, np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("compression", ["deflate", "packbits", "lzw", "zstd"])
def test_a_strip_that_holds_too_little_is_damaged(tmp_path, compression):
    content = tiffs.compressed(GREY[:9].tobytes(), tiffs.COMPRESSIONS[compression])
    tags = tiffs.tags_of(21, 19, compression=tiffs.COMPRESSIONS[compression]) | {278: (4, [19])}
    (tmp_path / "a.tif").write_bytes(tiffs.file([content], tags))
    for reading in (read, through_windows):
        with pytest.raises(ConvError, match="damaged") as error:
            reading(tmp_path / "a.tif")
        assert "corrupt" == error.value.code


def circle(pages, back):
    """A TIFF whose last page leads back to the page `back`."""
    content = bytearray(b"II*\0\0\0\0\0" + GREY.tobytes() + b"\0")
    starts, link = [], 4
    for _ in range(pages):
        tags = tiffs.tags_of(21, 19) | {278: (4, [19]), 273: (4, [8]), 279: (4, [GREY.size])}
        starts.append(len(content))
        content[link : link + 4] = struct.pack("<I", starts[-1])
        entries = (struct.pack("<HHIHH", t, k, 1, v[0], 0) for t, (k, v) in sorted(tags.items()))
        content += struct.pack("<H", len(tags)) + b"".join(entries) + b"\0\0\0\0"
        link = len(content) - 4
    content[link:] = struct.pack("<I", starts[back])
    return bytes(content)


@pytest.mark.parametrize(("pages", "back"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_pages_that_run_in_a_circle_are_read_once_where_lenient(tmp_path, pages, back):
    (tmp_path / "a.tif").write_bytes(circle(pages, back))
    with pytest.raises(ConvError, match="circle"):
        probe(tmp_path / "a.tif")
    image = read(tmp_path / "a.tif", options=LENIENT)
    np.testing.assert_array_equal(GREY, image.data.reshape(-1, 19, 21)[0])
    assert pages == image.data.size // GREY.size
    assert any("damage" in note and "circle" in note for note in image.info.notes)
    assert through_windows(tmp_path / "a.tif", options=LENIENT) is None


@pytest.mark.parametrize("tiled", [False, True], ids=["strips", "tiles"])
@pytest.mark.parametrize("compression", ["none", "deflate"])
@pytest.mark.parametrize(("tags", "filled"), [({}, 0), ({42113: (2, b"7\0")}, 7)], ids=["zeros", "missing"])
def test_absent_strips_are_said_where_lenient(tmp_path, run, tiled, compression, tags, filled):
    high, wide, code = 16 if tiled else 5, 32 if tiled else 21, tiffs.COMPRESSIONS[compression]
    padded = np.zeros((32, 32), "u1")
    padded[:19, :21] = GREY
    rows = [padded[top : top + high, :wide] for top in range(0, 19, high)]
    segments = [tiffs.compressed(part[: 19 - top if not tiled else 16].tobytes(), code) for top, part in
                zip(range(0, 19, high), rows, strict=True)]  # fmt: skip
    segments[-1] = b""
    tags = tags | tiffs.tags_of(21, 19, compression=code)
    tags |= {322: (3, [wide]), 323: (3, [high])} if tiled else {278: (4, [high])}
    (tmp_path / "a.tif").write_bytes(tiffs.file(segments, tags, tiled=tiled))
    with pytest.raises(ConvError, match=f"absent; --lenient reads them as {'missing' if filled else 'zeros'}"):
        probe(tmp_path / "a.tif")
    image = read(tmp_path / "a.tif", options=LENIENT)
    last = 16 if tiled else 15
    np.testing.assert_array_equal(GREY[:last], image.data[:last])
    assert {filled} == set(image.data[last:].ravel().tolist())
    errors = run("conv2d", tmp_path / "a.tif", "-k", "identity", "--lenient", "-o", tmp_path / "o.tif")[1]
    assert any(f"damage: 1 strips or tiles are absent, and read as {filled}" in line for line in errors)


def old_jpeg(image, subsampling=0, *, whole=False, turn=1):
    """A TIFF of old-style JPEG: the tables in tags and the scan in a strip, or a whole JPEG that tags point to."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=95, subsampling=subsampling)
    data, at, quantum, tables = data.getvalue(), 2, {}, {}
    jpeg = data
    while data[at + 1] != 0xDA:
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        segment = data[at + 4 : at + 2 + length]
        while data[at + 1] == 0xDB and segment:
            quantum[segment[0] & 15], segment = segment[1:65], segment[65:]
        while data[at + 1] == 0xC4 and segment:
            count = 17 + sum(segment[1:17])
            tables[segment[0]], segment = segment[1:count], segment[count:]
        at += 2 + length
    scan = data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] : -2]
    grey = image.ndim == 2
    samples, factors = (1, []) if grey else (3, [(1, 1), (2, 1), (2, 2)][subsampling])
    tags = tiffs.tags_of(*image.shape[1::-1], 8, 1 if grey else 6, samples, 6) | {278: (4, [image.shape[0]])}
    tags |= {274: (3, [turn])} if turn > 1 else {}
    tags |= {} if grey else {530: (3, list(factors)), 532: (5, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1])}
    if whole:
        return tiffs.file([jpeg], tags | {512: (3, [1]), 513: (4, [8]), 514: (4, [len(jpeg)])})
    parts = [quantum[0], quantum.get(1, quantum[0]), *(tables.get(n, tables[n & 16]) for n in (0, 16, 1, 17))]
    places = [8]
    for part in [scan, *parts]:
        places.append(places[-1] + len(part) + len(part) % 2)
    body = scan + b"\0" * (len(scan) % 2) + b"".join(part + b"\0" * (len(part) % 2) for part in parts)
    each = {519: (places[1], places[2]), 520: (places[3], places[5]), 521: (places[4], places[6])}
    tags |= {512: (3, [1])} | {tag: (4, [first, second, second][:samples]) for tag, (first, second) in each.items()}
    return tiffs.file([body], tags | {279: (4, [len(scan)])})


SMOOTH = np.stack([np.add.outer(np.arange(32) * 3, np.arange(48) * 2), *[np.tile(np.arange(48) * 5, (32, 1))] * 2], -1)


@pytest.mark.parametrize("whole", [False, True], ids=["tables in tags", "a whole JPEG"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_old_style_jpeg_is_what_libtiff_shows(tmp_path, run, subsampling, whole):
    image = SMOOTH.astype("u1")
    content = old_jpeg(image, subsampling, whole=whole)
    (tmp_path / "a.tif").write_bytes(content)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    found = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(expected, found.data)
    assert np.abs(image.astype(int) - found.data).max() <= 12
    assert 0 == run("conv2d", tmp_path / "a.tif", "-k", "box:3", "-o", tmp_path / "o.tif", "--memory", "1MiB")[0]


@pytest.mark.parametrize("turn", range(1, 9))
def test_old_style_jpeg_is_read_as_stored_whatever_its_orientation(tmp_path, turn):
    image = SMOOTH.astype("u1")
    (tmp_path / "a.tif").write_bytes(old_jpeg(image, turn=turn))
    found = read(tmp_path / "a.tif")
    assert turn == found.info.metadata.get("orientation", 1)
    assert np.abs(image.astype(int) - found.data).max() <= 12


def test_old_style_jpeg_of_grey_is_grey(tmp_path):
    grey = SMOOTH[..., 0].astype("u1")
    (tmp_path / "a.tif").write_bytes(old_jpeg(grey, whole=True))
    found = read(tmp_path / "a.tif")
    assert ("grey", (32, 48)) == (found.info.samples or "grey", found.data.shape)
    assert np.abs(grey.astype(int) - found.data).max() <= 4


@pytest.mark.parametrize("whole", [False, True], ids=["tables in tags", "a whole JPEG"])
def test_damaged_old_style_jpeg_is_one_line(tmp_path, whole):
    content = bytearray(old_jpeg(SMOOTH.astype("u1"), whole=whole))
    content[8 : 8 + 600] = b"\xff\xd9" * 300
    (tmp_path / "a.tif").write_bytes(content)
    done = convcli("conv2d", tmp_path / "a.tif", "-k", "box:3", "-o", tmp_path / "o.tif")
    assert (1, 1, True) == (done.returncode, len(done.stderr.splitlines()), b"[corrupt]" in done.stderr)
