"""A TIFF whose tags contradict themselves, each other or the pixels is refused, as libtiff refuses it."""

import io
import struct

import numpy as np
import PIL.Image
import pytest
import tifffile

from convcli.errors import ConvError
from convcli.formats import ReadOptions, read
from convcli.native import scans
from damaging import tiff_entries

GREY = (np.arange(24 * 32) % 251).astype(np.uint8).reshape(24, 32)
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], -1)
SHORT, LONG, RATIONAL, SSHORT, SLONG, FLOAT, LONG8 = 3, 4, 5, 8, 9, 11, 16


pytest.importorskip("imagecodecs")  # JPEG strips


def tiff(pixels=GREY, **options):
    stream = io.BytesIO()
    photometric = "minisblack" if pixels.ndim == 2 else "rgb"
    tifffile.imwrite(stream, pixels, **{"photometric": photometric, "metadata": None, **options})
    return stream.getvalue()


def changed(content, code, kind, count, value):
    """The file with another type, number of values and value of a tag."""
    _, _, _, entries, _ = tiff_entries(content)
    place = next(place for place in entries if struct.unpack_from("<H", content, place)[0] == code)
    data = bytearray(content)
    struct.pack_into("<HI", data, place + 2, kind, count)
    struct.pack_into("<f" if kind == FLOAT else "<I", data, place + 8, value)
    return bytes(data)


def libtiff_refuses(content):
    try:
        PIL.Image.open(io.BytesIO(content)).load()
    except Exception:  # noqa: BLE001 -- whatever Pillow raises
        return True
    return False


PACKED = {"compression": "zlib"}
CASES = {
    "a width that is a fraction": (changed(tiff(**PACKED), 256, FLOAT, 1, 32.0), "tag 256 is not one whole number"),
    "two heights": (changed(tiff(**PACKED), 257, SHORT, 2, 24), "damaged"),
    "no samples": (changed(tiff(**PACKED), 277, SHORT, 1, 0), "tag 277 declares a size of 0"),
    "no rows in a strip": (changed(tiff(**PACKED), 278, LONG, 1, 0), "tag 278 declares a size of 0"),
    "several compressions": (changed(tiff(**PACKED), 259, SHORT, 2, 8), "tag 259 is not one whole number"),
    "a predictor of floats for integers": (changed(tiff(**PACKED, predictor=True), 317, SHORT, 1, 3), "a predictor of"),
    "huge tiles": (changed(tiff(**PACKED, tile=(16, 16)), 322, LONG, 1, 2**31 - 16), "its tiles"),
    "a width for its JPEG": (changed(tiff(RGB, compression="jpeg"), 256, LONG, 1, 16), "a JPEG of 32 x 24 x 3"),
    "a height for its JPEG": (changed(tiff(RGB, compression="jpeg"), 257, LONG, 1, 48), "damaged"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_libtiff_refuses_is_refused(name):
    content, reason = CASES[name]
    if "JPEG" in reason and not scans.AVAILABLE:
        pytest.skip("the compiled walk through the codes of a JPEG")
    assert libtiff_refuses(content)
    with pytest.raises(ConvError, match=reason):
        read(content)


@pytest.mark.parametrize("options", [{}, PACKED, {"compression": "lzw"}, {"compression": "jpeg"}], ids=str)
@pytest.mark.parametrize("code", [273, 279, 324, 325])
@pytest.mark.parametrize(("kind", "value"), [(SSHORT, 0xFFFF), (SSHORT, 0x8000), (SLONG, 2**32 - 1), (SLONG, 2**31)])
@pytest.mark.parametrize("lenient", [False, True])
def test_no_pixels_lie_before_the_beginning_of_a_file(code, kind, value, options, lenient):
    tiled = {"tile": (32, 32)} if code in (324, 325) else {}  # one tile, or one strip
    content = changed(tiff(**options, **tiled), code, kind, 1, value)
    if code == 279 and not options:  # no byte of such a strip is in doubt
        assert np.array_equal(GREY, read(content).data)
        return
    assert libtiff_refuses(content) or code in (279, 325)  # it estimates numbers of bytes
    with pytest.raises(ConvError):
        read(content, options=ReadOptions(lenient=lenient))


def test_no_strip_of_several_lies_before_the_beginning():
    content = bytearray(tiff(np.tile(GREY, (3, 1)), **PACKED, rowsperstrip=24))
    _, _, _, entries, _ = tiff_entries(bytes(content))
    place = next(place for place in entries if struct.unpack_from("<H", content, place)[0] == 273)
    struct.pack_into("<H", content, place + 2, SLONG)
    first = struct.unpack_from("<I", content, place + 8)[0]
    struct.pack_into("<i", content, first + 4, -8)
    assert libtiff_refuses(bytes(content))
    with pytest.raises(ConvError, match="before its beginning"):
        read(bytes(content))


@pytest.mark.parametrize(
    ("pixels", "options"), [(GREY, PACKED), (GREY, {"compression": "jpeg"}), (GREY, {"tile": (16, 16)})]
)
def test_what_is_in_order_is_read(pixels, options):
    content = tiff(pixels, **options)
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(content))), read(content).data)


def test_the_last_jpeg_strip_may_have_rows_below_the_picture():
    whole = tiff(RGB[:16], compression="jpeg", rowsperstrip=16)
    cut = changed(changed(whole, 257, LONG, 1, 12), 278, LONG, 1, 16)
    assert np.array_equal(read(whole).data[:12], read(cut).data)
