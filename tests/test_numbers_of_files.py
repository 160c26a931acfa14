"""Numbers of a file that are calculated with on the way out: whatever they are, a result comes out, or one line."""

import io
import struct

import numpy as np
import pytest
import tifffile

from command import InProcess

PIXELS = np.zeros((8, 8), np.uint8)
RATIONALS = {
    "0/0": (0, 0),
    "n/0": (5, 0),
    "0/n": (0, 5),
    "huge": (2**32 - 1, 1),
    "3e9": (3_000_000_000, 1),
    "tiny": (1, 2**32 - 1),
}
STEPS = ("nan", "inf", "0", "-1", "1e300", "1e-300")
FILTERS = ("conv2d -k box:3 -s 2", "upsample -k bilinear --scale 3/2")
TARGETS = ("tif", "png", "jpg", "bmp", "webp", "ome.tif", "nii")


def tiff(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def with_resolution(fraction, unit):
    data = bytearray(tiff(PIXELS, photometric="minisblack", metadata=None, resolution=(1, 1), resolutionunit=unit))
    for code in (282, 283):
        place = data.index(struct.pack("<HHI", code, 5, 1))
        struct.pack_into("<II", data, struct.unpack_from("<I", data, place + 8)[0], *fraction)
    return bytes(data)


def imagej(step):
    metadata = {"axes": "ZYX", "unit": "um", "spacing": float(step), "finterval": float(step)}
    return tiff(np.zeros((3, 8, 8), np.uint16), imagej=True, resolution=(1, 1), metadata=metadata)


def ome(step):
    sizes = {
        f"PhysicalSize{axis}{part}": value for axis in "XYZ" for part, value in (("", float(step)), ("Unit", "um"))
    }
    return tiff(np.zeros((3, 8, 8), np.uint16), ome=True, metadata={"axes": "ZYX", **sizes})


def geotiff(step):
    value = float(step)
    tags = [
        (33550, "d", 3, (value, value, 0.0), True),
        (33922, "d", 6, (value,) * 6, True),
        (34264, "d", 16, (value,) * 16, True),
    ]
    return tiff(PIXELS, photometric="minisblack", metadata=None, extratags=tags)


FILES = {
    f"resolution of {name} by {unit}": with_resolution(fraction, unit)
    for name, fraction in RATIONALS.items()
    for unit in (1, 2, 3)
}
FILES |= {f"{make.__name__} with steps of {step}": make(step) for make in (imagej, ome, geotiff) for step in STEPS}


@pytest.mark.parametrize("name", FILES)
def test_a_result_comes_out_or_one_line(name, tmp_path, capsys):
    source = tmp_path / ("in.ome.tif" if name.startswith("ome") else "in.tif")
    source.write_bytes(FILES[name])
    stack = name.startswith(("imagej", "ome"))
    for words in FILTERS:
        for ending in (target for target in TARGETS if not stack or target in ("tif", "ome.tif", "nii")):
            if ending == "nii":
                pytest.importorskip("nibabel")
            code, lines = InProcess(capsys)(
                *words.split()[:1], source, *words.split()[1:], "-q", "--force", "-o", tmp_path / f"o.{ending}"
            )
            assert code in (0, 1, 2)
            assert [] == [line for line in lines if "Error" in line or "Traceback" in line]
            assert code == 0 or len(lines) == 1


@pytest.mark.parametrize("unit", [2, 3])
def test_a_resolution_that_is_held_is_scaled_and_another_is_not_made_up(unit, tmp_path, capsys):
    (tmp_path / "a.tif").write_bytes(with_resolution((3_000_000_000, 1), unit))
    assert (0, []) == InProcess(capsys)(
        "conv2d", tmp_path / "a.tif", "-k", "box:3", "-s", "2", "-q", "-o", tmp_path / "half.tif"
    )
    code, _ = InProcess(capsys)(
        "upsample", tmp_path / "a.tif", "-k", "bilinear", "-s", "2", "-q", "-o", tmp_path / "double.tif"
    )
    with tifffile.TiffFile(tmp_path / "half.tif") as half, tifffile.TiffFile(tmp_path / "double.tif") as double:
        assert (1_500_000_000, 1) == half.pages[0].tags[282].value
        assert (0, (1, 1)) == (code, double.pages[0].tags[282].value)
