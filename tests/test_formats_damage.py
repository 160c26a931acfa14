"""Broken, lying and hostile files: each ends in one error with its code, quickly, or is read exactly."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

import mutations
from convcli.errors import ConvError
from convcli.formats import ReadOptions, encode, probe, read
from convcli.image import Image, ImageInfo
from faults import FAULTS, GREY, STACK, fifo, half, imagej, jpeg, looped_tiff, resized_header, tiff

LONGEST = 3.0  # seconds; each takes milliseconds, but for 20,000 pages: the bound allows for a busy machine


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_ends_in_its_code(fault, tmp_path, monkeypatch, capfd):
    path = fault.make(tmp_path)
    if fault.code == "permission":  # the superuser reads everything
        monkeypatch.setattr("os.access", lambda *_: False)
    start = time.process_time()
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
    assert time.process_time() - start < LONGEST
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


def test_half_of_anything_is_no_surprise_to_probe():
    for content in mutations.contents("pictures").values():
        try:
            probe(half(content))
        except ConvError as error:
            assert error.code in ("corrupt", "unknown-format")
