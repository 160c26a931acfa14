"""Broken, lying and hostile files: each ends in one error with its code, quickly, or is read exactly."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from convcli.errors import ConvError
from convcli.formats import ReadOptions, WriteOptions, encode, probe, read
from convcli.image import Image, ImageInfo
from faults import FAULTS, GREY, RGB, STACK, fifo, half, imagej, jpeg, looped_tiff, resized_header, tiff

LONGEST = 3.0  # seconds; each takes milliseconds, but for 20,000 pages: the bound allows for a busy machine


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_ends_in_its_code(fault, tmp_path, monkeypatch, capfd):
    path = fault.make(tmp_path)
    if fault.code == "permission":  # the superuser reads everything
        monkeypatch.setattr("os.access", lambda *_: False)
    start = time.perf_counter()
    if fault.code is None:
        image = read(path)
        assert image.info == probe(path)
        assert image.data.shape == image.info.shape
    else:
        with pytest.raises(ConvError) as caught:
            read(path)
        assert (fault.code, str(path)) == (caught.value.code, caught.value.where)
        assert "\n" not in caught.value.message
        assert "0x" not in caught.value.message
    assert time.perf_counter() - start < LONGEST
    assert ("", "") == tuple(capfd.readouterr())  # what a C library prints would stand beside our one line
    assert not Path("trap-was-sprung").exists()


def test_a_pipe_is_refused_without_being_opened(tmp_path):
    # Opening it would block for ever: no one writes to it.
    with pytest.raises(ConvError, match="pipe"):
        probe(fifo(tmp_path))


def test_every_cut_of_a_stack_is_an_error(tmp_path):
    for content in (tiff(STACK), tiff(STACK, compression="zlib"), imagej(), imagej(compression="zlib")):
        for length in np.linspace(1, len(content) - 200, 12, dtype=int):
            with pytest.raises(ConvError):
                read(content[:length])


def test_every_cut_of_a_picture_is_an_error():
    for name in ("png", "jpeg", "webp", "bmp", "gif", "pam", "tiff", "npy"):
        content = encode(Image(ImageInfo(GREY.shape, "uint8", "YX"), GREY), name)
        for length in np.linspace(1, len(content) - 3, 20, dtype=int):  # a GIF shows all but its last, empty bytes
            with pytest.raises(ConvError):
                read(content[:length])


def test_lenient_reading_turns_remarks_into_notes(tmp_path):
    content = jpeg()[:-2]
    image = read(content, options=ReadOptions(lenient=True))
    assert ((64, 80, 3), True) == (image.data.shape, "no end marker" in image.info.notes[0])

    tags = [(42112, "s", 0, "kept", True), (65000, 4, 1, 7, True)]
    whole = bytearray(tiff(GREY, extratags=tags))
    place = whole.index((42112).to_bytes(2, "little"))
    whole[place + 8 : place + 12] = b"\xff\xff\xff\x7f"  # the value lies past the end of the file
    whole[place + 4 : place + 8] = (99).to_bytes(4, "little")
    with pytest.raises(ConvError, match="invalid value offset"):
        read(bytes(whole))
    image = read(bytes(whole), options=ReadOptions(lenient=True))
    assert np.array_equal(GREY, image.data)
    assert "invalid value offset" in image.info.notes[0]


def test_a_sparse_tiff_says_what_is_absent(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        tiles = iter([np.full((16, 16), 7, np.uint8), None, None, np.full((16, 16), 9, np.uint8)])
        file.write(tiles, shape=(32, 32), dtype=np.uint8, tile=(16, 16), photometric="minisblack", metadata=None)
    with pytest.raises(ConvError, match="2 strips or tiles of page 1 are absent; --lenient reads them as zeros"):
        read(tmp_path / "a.tif")
    data = read(tmp_path / "a.tif", options=ReadOptions(lenient=True)).data
    assert (7, 0, 9) == (data[0, 0], data[0, 31], data[31, 31])


def test_a_circle_of_pages_is_found_wherever_it_closes():
    with pytest.raises(ConvError, match="runs in a circle at page 151"):
        probe(looped_tiff())


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [10, 75, 100])
def test_honest_jpegs_raise_no_alarm_and_lying_ones_do(options, subsampling, quality):
    content = jpeg(**options, subsampling=subsampling) if quality == 75 else requality(options, subsampling, quality)
    assert read(content).data.shape == (64, 80, 3)
    for height, width in ((128, 80), (64, 160), (32, 80)):
        with pytest.raises(ConvError, match="JPEG is damaged"):
            read(resized_header(content, height, width))


def requality(options, subsampling, quality):
    from faults import PHOTO, pillow

    return pillow(PHOTO, "JPEG", quality=quality, subsampling=subsampling, **options)


@pytest.mark.parametrize("level", [0, 127, 128, 129, 255])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 7), (64, 64), (200, 333)])
def test_flat_jpegs_raise_no_alarm(level, size):
    from faults import pillow

    flat = np.full((*size, 3), level, np.uint8)
    for options in ({}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1, "progressive": True}):
        assert np.abs(read(pillow(flat, "JPEG", **options)).data.astype(int) - level).max() <= 1


def seeds():
    """One small file of each kind, to be mutated."""
    grey = Image(
        ImageInfo(GREY.shape, "uint8", "YX", metadata={"resolution": (9.0, 9.0, "cm"), "description": "d"}), GREY
    )
    colour = Image(ImageInfo(RGB.shape, "uint8", "YXS", samples="rgb"), RGB)
    volume = Image(ImageInfo(STACK.shape, "uint16", "ZYX"), STACK[:, :16, :16])
    volume = Image(ImageInfo(volume.data.shape, "uint16", "ZYX"), volume.data)
    files = {name: encode(colour, name) for name in ("png", "jpeg", "webp", "bmp", "ppm", "npy", "npz", "tiff")}
    files |= {f"grey {name}": encode(grey, name) for name in ("jpeg", "gif", "pam", "tiff")}
    files |= {name: encode(volume, name) for name in ("ome", "imagej")}
    for compression in ("deflate", "lzw", "zstd"):
        files[compression] = encode(colour, "tiff", WriteOptions(compression=compression))
    files["tiles"] = tiff(STACK[:2], tile=(16, 16), compression="zlib")
    files["tiff jpeg"] = tiff(RGB, photometric="rgb", compression="jpeg")
    files["palette"] = tiff(GREY, photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    files["bits"] = tiff(GREY > 99, bigtiff=True)
    return files


SEEDS = seeds()
WORDS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\0\0")


def mutated(content, rng):
    """The file with bytes lost, added, overwritten, or made into extreme numbers, mostly near its start."""
    data = bytearray(content)
    place = int(rng.integers(0, min(len(data), 400) if rng.random() < 0.7 else len(data)))
    match rng.integers(0, 5):
        case 0:
            del data[place:]
        case 1:
            del data[place : place + int(rng.integers(1, 60))]
        case 2:
            data[place:place] = rng.bytes(int(rng.integers(1, 40)))
        case 3:
            data[place : place + 4] = WORDS[rng.integers(0, len(WORDS))]
        case _:
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(0, len(data))] = rng.integers(0, 256)
    return bytes(data) or b"x"


@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files_end_in_an_error_of_ours_or_are_read(name):
    rng = np.random.default_rng(len(name))
    for number in range(150):
        content = mutated(SEEDS[name], rng)
        start = time.perf_counter()
        try:
            image = read(content)
        except ConvError as error:
            assert error.where == "-"
        else:
            assert image.data.shape == image.info.shape, number
            assert image.data.dtype.name == image.info.dtype, number
        assert time.perf_counter() - start < LONGEST, number


def test_half_of_anything_is_no_surprise_to_probe():
    for content in SEEDS.values():
        try:
            probe(half(content))
        except ConvError as error:
            assert error.code in ("corrupt", "unknown-format")
