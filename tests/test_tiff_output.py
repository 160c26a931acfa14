"""TIFFs as they are asked for: tiles, predictors, JPEG, and cloud-optimised GeoTIFFs, held to their specification.

Other readers: tifffile, and GDAL where rasterio is installed.
"""

import json
import struct
import warnings
from itertools import pairwise

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import scipy.ndimage
import tifffile

from convcli.formats import WriteOptions, encode, read
from convcli.formats.tiff.halving import Halving, halved
from convcli.image import Image, ImageInfo
from convcli.runs import one

NOTE = (
    b"GDAL_STRUCTURAL_METADATA_SIZE=000140 bytes\nLAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\n"
    b"BLOCK_LEADER=SIZE_AS_UINT4\nBLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
"""As GDAL writes it: https://gdal.org/en/stable/drivers/raster/cog.html"""
EARTH = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 4000000.0, 0.0), True),
    (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), True),
]
RNG = np.random.default_rng(11)
SMOOTH = scipy.ndimage.gaussian_filter(RNG.normal(size=(300, 211)), 6)
GREY = ((SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH) * 255).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], -1)
SOURCES = {
    "grey": (GREY, {}),
    "colour": (RGB, {"photometric": "rgb"}),
    "deep": (GREY.astype(np.uint16) * 200, {}),
    "signed": (GREY.astype(np.int32) * 70000 - 9_000_000, {}),
    "floats": (SMOOTH.astype(np.float32), {}),
    "doubles": (SMOOTH, {}),
    "planar": (RGB.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
    "bands": (np.stack([GREY] * 5, -1), {"photometric": "minisblack", "planarconfig": "contig", "extratags": EARTH}),
    "opaque": (np.dstack([RGB, GREY // 2 + 99]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "multiplied": (np.dstack([RGB, GREY // 2 + 99]), {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
    "white is 0": (GREY, {"photometric": "miniswhite"}),
}
PICTURES = ("grey", "colour", "deep", "signed", "floats", "doubles", "planar")


def source(folder, name, **more):
    data, options = SOURCES[name]
    path = folder / "in.tif"
    options = {"photometric": "minisblack", "metadata": None, **options, **more}
    tifffile.imwrite(path, data, **options)
    return path, data


def made(run, path, *words, kernel="identity", target="out.tif"):
    """The report of a run that ends well; its output is `target`."""
    code, lines = run("conv2d", path, "-k", kernel, "-o", target, "-f", "--json", *words)
    assert 0 == code, lines
    return json.loads(run.output)


def by_gdal(path):
    """All bands, last, and what GDAL says of the file."""
    rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed (pip install '.[services]')")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read().transpose(1, 2, 0), file.profile, file.tags(ns="IMAGE_STRUCTURE")


@pytest.mark.parametrize(("words", "tile", "compression", "predictor"), [
    ("--tile 64", (64, 64), 1, 1),
    ("--tile 32x128 --compression deflate", (32, 128), 8, None),
    ("--tile 16,48 --compression lzw --predictor none", (16, 48), 5, 1),
    ("--compression zstd", None, 50000, None),
    ("--compression deflate --predictor none", None, 8, 1),
])  # fmt: skip
@pytest.mark.parametrize("name", PICTURES)
def test_tiles_and_predictors_are_those_asked_for(run, tmp_path, words, tile, compression, predictor, name):
    path, data = source(tmp_path, name)
    made(run, path, *words.split())
    helps = {"doubles": 3, "floats": 3}.get(name, 2)
    with tifffile.TiffFile("out.tif") as file:
        page = file.pages[0]
        assert (tile or (0, 0)) == (page.tilelength, page.tilewidth)
        assert (compression, predictor or helps) == (page.compression, page.predictor)
        np.testing.assert_array_equal(data, file.asarray(), strict=True)
    seen = by_gdal("out.tif")[0]
    np.testing.assert_array_equal(np.atleast_3d(data.transpose(1, 2, 0) if name == "planar" else data), seen)


@pytest.mark.parametrize(("name", "predictor", "tag"), [("deep", "horizontal", 2), ("floats", "float", 3)])
def test_a_predictor_goes_with_the_compression_of_the_source(run, tmp_path, name, predictor, tag):
    path, data = source(tmp_path, name, compression="lzw")
    made(run, path, "--predictor", predictor)
    with tifffile.TiffFile("out.tif") as file:
        assert (5, tag) == (file.pages[0].compression, file.pages[0].predictor)
        np.testing.assert_array_equal(data, file.asarray(), strict=True)


@pytest.mark.parametrize("words", ["", "--tile 64", "--tile 48,112", "--cog", "--cog --tile 64"])
@pytest.mark.parametrize(("name", "photometric"), [("grey", 1), ("colour", 6), ("planar", 2), ("white is 0", 0)])
def test_jpeg_in_tiff_is_near_the_picture_and_smaller(run, tmp_path, words, name, photometric):
    path, data = source(tmp_path, name)
    expected, sizes = np.atleast_3d(data.transpose(1, 2, 0) if name == "planar" else data).astype(int), []
    for quality in (95, 40):
        made(run, path, "--compression", "jpeg", "--quality", quality, *words.split())
        with tifffile.TiffFile("out.tif") as file:
            page = file.pages[0]
            assert (7, 6 if name == "planar" and "cog" in words else photometric) == (
                page.compression,
                page.photometric,
            )
            sizes.append(sum(page.databytecounts))
        seen, again = by_gdal("out.tif")[0].astype(int), read("out.tif").data
        assert np.abs(expected - seen).mean() < (1.5 if quality == 95 else 6)
        again = np.atleast_3d(again.transpose(1, 2, 0) if again.shape == (3, 300, 211) else again)
        assert np.abs(again - seen).max() <= 2
    assert data.nbytes > sizes[0] > sizes[1]


BY_WINDOWS = [
    *(("colour", words) for words in ("--compression jpeg", "--compression jpeg --tile 64", "--cog")),
    *(("planar", words) for words in ("--compression jpeg", "--cog", "--cog --compression jpeg --tile 32")),
    *(("floats", words) for words in ("--cog --tile 32", "--cog --predictor none")),
    *(("bands", words) for words in ("--cog --tile 48", "--cog --compression none --tile 16,32")),
]


@pytest.mark.parametrize(("name", "words"), BY_WINDOWS)
def test_by_windows_the_same_bytes_are_written(run, tmp_path, monkeypatch, name, words):
    path, _ = source(tmp_path, name)
    made(run, path, *words.split(), kernel="box:3")
    whole = (tmp_path / "out.tif").read_bytes()
    monkeypatch.setattr(one, "LONG", 0)
    made(run, path, *words.split(), "--memory", "1MiB", kernel="box:3")
    assert whole == (tmp_path / "out.tif").read_bytes()


REFUSED = [
    ("grey", "--tile 100", "a multiple of 16", "usage"),
    ("grey", "--tile 16,32,64", "a multiple of 16", "usage"),
    ("grey", "--tile big", "rows,columns", "usage"),
    ("grey", "--predictor horizontal", "add --compression", "usage"),
    ("grey", "--predictor horizontal --compression none", "not none", "usage"),
    ("grey", "--predictor horizontal --compression jpeg", "not jpeg", "usage"),
    ("grey", "--predictor float --compression lzw", "floating-point samples, not uint8", "dtype"),
    ("floats", "--predictor horizontal --compression lzw", "not float32", "dtype"),
    ("deep", "--compression jpeg", "uint8, not uint16", "dtype"),
    ("opaque", "--compression jpeg", "--alpha drop", "shape"),
    ("bands", "--compression jpeg", "not 5 samples", "shape"),
    ("bands", "--compression jpeg --cog", "not 5 samples", "shape"),
    ("grey", "--cog -t int64", "not int64", "dtype"),
    ("grey", "--cog --format ome", "is a .tif, not OME-TIFF", "usage"),
]


@pytest.mark.parametrize(("name", "words", "said", "code"), REFUSED)
def test_what_does_not_go_together_is_refused_before_any_work(run, tmp_path, name, words, said, code):
    path, _ = source(tmp_path, name)
    result, lines = run("conv2d", path, "-k", "identity", "-o", "out.tif", "-q", *words.split())
    assert (2, 1) == (result, len(lines))
    assert said in lines[0]
    assert lines[0].endswith(f"[{code}]")
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("option", ["--tile 64", "--predictor horizontal", "--compression jpeg", "--cog"])
@pytest.mark.parametrize("target", ["out.png", "out.npy", "out.ome.zarr"])
def test_options_of_tiff_are_refused_for_other_formats(run, tmp_path, option, target):
    path, _ = source(tmp_path, "grey")
    result, lines = run("conv2d", path, "-k", "identity", "-o", target, "-q", *option.split())
    assert (2, 1) == (result, len(lines))
    assert option.split()[0] in lines[0]


def test_a_stack_is_no_cloud_optimised_picture_but_one_page_is(run, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", np.stack([GREY] * 3), photometric="minisblack")
    code, lines = run("conv2d", "in.tif", "-k", "identity", "-o", "out.tif", "-q", "--cog")
    assert (2, True) == (code, "holds one picture, not ZYX of 3 x 300 x 211" in lines[0])
    made(run, "in.tif", "--cog", "--pages", "1")
    np.testing.assert_array_equal(GREY, by_gdal("out.tif")[0][..., 0])


# Cloud-optimised GeoTIFF, by its specification


def directories(content):
    """Each directory of a classic little-endian TIFF: its offset, the end of what belongs to it, its tags' values."""
    place = struct.unpack_from("<I", content, 4)[0]
    while place:
        count, tags, end = struct.unpack_from("<H", content, place)[0], {}, place
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            code, kind, values = struct.unpack_from("<HHI", content, entry)
            letter = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 7: "B", 12: "d"}[kind] * values
            size = struct.calcsize("<" + letter)
            where = entry + 8 if size <= 4 else struct.unpack_from("<I", content, entry + 8)[0]
            tags[code] = struct.unpack_from("<" + letter, content, where)
            end = max(end, where + size)
        yield place, end, tags
        place = struct.unpack_from("<I", content, place + 2 + 12 * count)[0]


def check_order(content, *, overviews):
    """The rules of the standard, and GDAL's promises: who breaks one makes readers fetch the wrong bytes."""
    assert NOTE == content[8 : 8 + len(NOTE)]
    found = list(directories(content))
    assert 8 + len(NOTE) + len(NOTE) % 2 == found[0][0]
    assert [place for place, _, _ in found] == sorted(place for place, _, _ in found)
    assert [0] + [1] * overviews == [tags[254][0] for _, _, tags in found]
    sizes = [(tags[257][0], tags[256][0]) for _, _, tags in found]
    assert sizes[1:] == [((high + 1) // 2, (wide + 1) // 2) for high, wide in sizes[:-1]]
    place = max(end for _, end, _ in found)
    place = max(place, min(min(tags[324]) for _, _, tags in found) - 4)  # EXIF's own directories lie between
    for _, _, tags in reversed(found):
        down, across = -(-tags[257][0] // tags[323][0]), -(-tags[256][0] // tags[322][0])
        assert down * across == len(tags[324]) == len(tags[325])
        for offset, size in zip(tags[324], tags[325], strict=True):
            assert (place + 4, size) == (offset, struct.unpack_from("<I", content, place)[0])
            assert content[offset + size - 4 : offset + size] == content[offset + size : offset + size + 4]
            place = offset + size + 4
    assert len(content) == place


@pytest.mark.parametrize("words", ["", "--tile 64", "--tile 32,64 --compression none", "--tile 16 --compression lzw"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_cloud_optimised_file_keeps_the_order_of_its_specification(run, tmp_path, name, words):
    path, data = source(tmp_path, name)
    made(run, path, "--cog", *words.split())
    overviews = {"": 0, "--tile 64": 3, "--tile 32,64 --compression none": 3, "--tile 16 --compression lzw": 5}[words]
    check_order((tmp_path / "out.tif").read_bytes(), overviews=overviews)
    seen, profile, structure = by_gdal("out.tif")
    np.testing.assert_array_equal(np.atleast_3d(data.transpose(1, 2, 0) if name == "planar" else data), seen)
    assert "COG" == structure["LAYOUT"]
    assert ((words == "" or "--tile" in words) and profile["tiled"]) or data.shape[0] < 512


OVERVIEWS = [name for name in SOURCES if name not in ("multiplied", "white is 0")]


@pytest.mark.parametrize("name", OVERVIEWS)
def test_an_overview_is_what_a_box_and_a_stride_of_2_make_of_the_level_before(run, tmp_path, name):
    path, _ = source(tmp_path, name)
    made(run, path, "--cog", "--tile", "64", "--compression", "deflate")
    with tifffile.TiffFile("out.tif") as file:
        levels = [page.asarray() for page in file.pages]
        samples = len(levels[0].shape) > 2
    assert 4 == len(levels)
    for finer, coarser in pairwise(levels):
        np.save("finer.npy", finer)
        ends = ",".join(f"0:{size % 2}" for size in finer.shape[:2])
        options = ("--axes", "YXS" if samples else "YX", *(("--alpha", "premultiply") if name == "opaque" else ()))
        words = ("-k", "1/4 1/4; 1/4 1/4", "-s", "2", "-p", ends, "-b", "edge", "-o", "expected.npy", "-f", "-q")
        code, lines = run("conv2d", "finer.npy", *words, *options)
        assert 0 == code, lines
        expected = np.load("expected.npy")
        if coarser.dtype.kind == "f" or name == "opaque":
            np.testing.assert_allclose(expected, coarser, rtol=1e-5, atol=1 if name == "opaque" else 1e-6)
        else:
            np.testing.assert_array_equal(expected, coarser, strict=True)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_what_is_missing_has_no_part_in_an_overview(run, tmp_path, dtype):
    data = (SMOOTH * 1000).astype(dtype)
    data[40:90, 30:141] = -9999
    tifffile.imwrite(
        "in.tif", data, photometric="minisblack", metadata=None, extratags=[(42113, "s", 0, "-9999", True)]
    )
    made(run, "in.tif", "--cog", "--tile", "64")
    with tifffile.TiffFile("out.tif") as file:
        first, second = (page.asarray() for page in file.pages[:2])
        assert ["-9999"] * 4 == [page.tags[42113].value for page in file.pages]
    held = np.where(first == -9999, np.nan, first.astype(float))
    held = np.pad(held, ((0, 0), (0, 1)), mode="edge").reshape(150, 2, 106, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmean(held, axis=(1, 3))
    assert (np.isnan(expected) == (second == -9999)).all()
    there = ~np.isnan(expected)
    np.testing.assert_allclose(expected[there], second[there], atol=0.5 if dtype == "int16" else 1e-3)
    assert 0 < there.sum() < there.size


def test_rows_that_come_in_any_parts_make_the_same_overview():
    data = RNG.integers(-500, 500, (23, 17, 2)).astype(np.int16)
    info = ImageInfo(data.shape, "int16", "YXS")
    padded = np.pad(data, ((0, 1), (0, 1), (0, 0)), mode="edge")
    for parts in ((23,), (1,) * 23, (5, 4, 3, 2, 9), (22, 1)):
        halving, found, start = Halving(info), [], 0
        for size in parts:
            first, rows = halving.of(data[start : start + size])
            assert first == sum(map(len, found))
            found.append(rows)
            start += size
        np.testing.assert_array_equal(halved(padded, info), np.concatenate(found), strict=True)


def test_a_place_on_earth_follows_the_pixels(run, tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed (pip install '.[services]')")
    path, _ = source(tmp_path, "bands", description="text")
    made(run, path, "--cog", "--tile", "64", "-s", "2", kernel="box:3")
    check_order((tmp_path / "out.tif").read_bytes(), overviews=2)
    with rasterio.open("out.tif") as file:
        assert (20, 20) == file.res
        assert (499995, 4000005) == (file.transform.c, file.transform.f)  # the first sample covers a pixel at a corner
        assert 32633 == file.crs.to_epsg()
        assert "text" == file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
        assert [2, 4] == file.overviews(1)


def test_profile_and_exif_of_a_photo_are_kept(run, tmp_path):
    photo = PIL.Image.Exif()
    photo[271] = "Maker"
    photo.get_ifd(0x8769)[0x8827] = 400
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    PIL.Image.fromarray(RGB).save("in.jpg", exif=photo, icc_profile=profile, quality=95)
    made(run, "in.jpg", "--cog", "--tile", "64")
    check_order((tmp_path / "out.tif").read_bytes(), overviews=3)
    with PIL.Image.open("out.tif") as file:
        assert ("Maker", 400) == (file.getexif()[271], file.getexif().get_ifd(0x8769)[0x8827])
        assert profile == file.info["icc_profile"]


def test_what_no_geotiff_holds_is_named(run, tmp_path):
    distances = {"axes": "YX", "PhysicalSizeX": 2.0, "PhysicalSizeY": 2.0, "Name": "cells"}
    tifffile.imwrite("in.ome.tif", GREY, ome=True, photometric="minisblack", metadata=distances)
    said = " ".join(made(run, "in.ome.tif", "--cog")["warnings"])
    assert "metadata lost: OME-XML" in said
    assert (5000.0, 5000.0, "cm") == read("out.tif").info.metadata["resolution"]
    tifffile.imwrite("in.tif", np.stack([GREY] * 2), imagej=True)
    said = " ".join(made(run, "in.tif", "--tile", "64")["warnings"])
    assert "ImageJ itself opens no TIFF of tiles" in said
    np.testing.assert_array_equal(np.stack([GREY] * 2), tifffile.imread("out.tif"))


def test_a_pipe_gets_the_same_bytes_and_no_more_than_four_gigabytes_are_classic(monkeypatch):
    from convcli.formats.tiff import cog

    image = Image(ImageInfo(RGB.shape, "uint8", "YXS", samples="rgb"), RGB)
    classic = encode(image, "tiff", WriteOptions(cog=True, tile=(64, 64)))
    assert classic == encode(image, "cog", WriteOptions(tile=(64, 64)))
    monkeypatch.setattr(cog, "LARGEST_CLASSIC", 1000)
    big = encode(image, "cog", WriteOptions(tile=(64, 64)))
    assert (b"II*\0", b"II+\0", NOTE) == (classic[:4], big[:4], big[16 : 16 + len(NOTE)])
    np.testing.assert_array_equal(read(classic).data, read(big).data, strict=True)
    assert big[-1000:] == classic[-1000:]
