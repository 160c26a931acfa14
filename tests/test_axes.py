"""Axes that are named stay, also at length 1; bands of a place on Earth stay bands, and every page has its place."""

import numpy as np
import pytest
import tifffile
from scipy import ndimage

SCALE, TIES, KEYS, GDAL = 33550, 33922, 34735, 42112
PLACE = [(SCALE, "d", 3, (10.0, 20.0, 0.0), True), (TIES, "d", 6, (0.0, 0, 0, 500000, 4100000, 0), True)]
KEYED = [*PLACE, (KEYS, "H", 8, (1, 1, 0, 1, 1025, 0, 1, 1), True)]


def done(run, *words):
    code, errors = run(*words, "-qq", "-f")
    assert (0, []) == (code, errors)


AXES = ["CYX", "YXC", "YCX", "TCYX", "CZYX"]


def bank(outputs, channels, three=False):
    return np.random.default_rng(outputs).normal(size=(outputs, channels, *(3,) * (3 if three else 2)))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize(
    "command",
    [
        ("conv2d", "-k", "bank.npy"),
        ("conv2d", "-k", "two.npy", "--combine", "sum"),
        ("conv2d", "-k", "two.npy", "--combine", "magnitude"),
        ("upsample", "-k", "turned.npy", "-s", "2"),
        ("separable", "--depthwise", "box:3", "--pointwise", "mix.npy"),
        ("separable", "-k", "bank.npy", "--rank", "1"),
        ("dilate", "-k", "bank.npy", "--rate", "2"),
        ("dilate", "-k", "bank.npy", "--chain", "1"),
        ("dilate", "-k", "bank.npy", "--rates", "1,2"),
    ],
    ids=" ".join,
)
def test_c_stays_where_it_is_named_for_one_filter_too(run, axes, command):
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 8, "X": 9}
    np.save("a.npy", np.random.default_rng(0).random([sizes[axis] for axis in axes]).astype("f4"))
    for name, filters in (("bank", bank(1, 4)), ("two", bank(2, 4)), ("turned", bank(4, 1)), ("mix", np.ones((1, 4)))):
        np.save(name, filters)
    done(run, command[0], "a.npy", "--axes", axes, *command[1:], "-o", "o.npy")
    results = 2 if "1,2" in command else 1
    times = 2 if "upsample" in command else 1
    after = sizes | {"C": results, "Y": 8 * times, "X": 9 * times}
    assert tuple(after[axis] for axis in axes) == np.load("o.npy").shape


def test_c_stays_in_three_dimensions_and_is_what_the_filter_makes(run):
    volume = np.random.default_rng(0).random((4, 5, 8, 9)).astype("f4")
    np.save("a.npy", volume)
    np.save("bank.npy", bank(1, 4, three=True))
    done(run, "conv3d", "a.npy", "--axes", "CZYX", "-k", "bank.npy", "-o", "o.npy")
    truth = sum(
        ndimage.correlate(v.astype(float), k, mode="nearest")
        for v, k in zip(volume, bank(1, 4, three=True)[0], strict=True)
    )
    np.testing.assert_allclose(truth[None], np.load("o.npy"), atol=1e-4)


@pytest.mark.parametrize("axes", ["YXS", "SYX"])
def test_a_colour_becomes_grey(run, axes):
    np.save("a.npy", np.ones([{"S": 3, "Y": 8, "X": 9}[axis] for axis in axes], "f4"))
    np.save("bank.npy", bank(1, 3))
    done(run, "conv2d", "a.npy", "--axes", axes, "-k", "bank.npy", "-o", "o.npy")
    assert (8, 9) == np.load("o.npy").shape


def geotiff(bands, planar, compression=None, tags=KEYED, photometric="minisblack", tile=None):
    image = np.random.default_rng(7).integers(0, 4000, (32, 48, bands) if bands > 1 else (32, 48)).astype("u2")
    tifffile.imwrite(
        "s.tif",
        np.moveaxis(image, -1, 0) if planar else image,
        photometric=photometric,
        planarconfig=None if bands == 1 else "separate" if planar else "contig",
        compression=compression,
        extratags=tags,
        tile=tile,
        metadata=None,
    )
    return image


def seen(name="o.tif"):
    """(samples of a page, pages, pixels as (Y, X, bands)) of a TIFF, whose pages all have a place on Earth."""
    with tifffile.TiffFile(name) as file:
        assert all(SCALE in page.tags and TIES in page.tags for page in file.pages)
        page, pixels = file.pages[0], file.series[0].asarray()
        planar = page.samplesperpixel > 1 and page.planarconfig == 2
        return page.samplesperpixel, len(file.pages), np.moveaxis(pixels, 0, -1) if planar else pixels


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("compression", "memory"), [(None, ()), ("zlib", ("--memory", "1MiB"))])
@pytest.mark.parametrize(("filters", "groups"), [(16, 16), (16, 1), (5, 1), (1, 1), (32, 16)])
def test_a_bank_over_bands_gives_bands(run, planar, compression, memory, filters, groups):
    image = geotiff(16, planar, compression, tile=(16, 16) if memory else None)
    taps = bank(filters, 16 // groups)
    np.save("bank.npy", taps)
    done(run, "conv2d", "s.tif", "-k", "bank.npy", "-g", groups, *memory, "-o", "o.tif")
    samples, pages, pixels = seen()
    assert (filters, 1) == (samples, pages)
    np.save("a.npy", image)
    done(run, "conv2d", "a.npy", "--axes", "YXS", "-k", "bank.npy", "-g", groups, "-o", "o.npy")
    np.testing.assert_array_equal(np.load("o.npy"), pixels)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("size", [(600, 500)])
def test_bands_that_are_streamed_are_those_computed_at_once(run, planar, size):
    image = np.random.default_rng(7).integers(0, 4000, (*size, 8)).astype("u2")
    data = np.moveaxis(image, -1, 0) if planar else image
    how = {"photometric": "minisblack", "planarconfig": "separate" if planar else "contig", "extratags": KEYED}
    tifffile.imwrite("s.tif", data, **how, metadata=None, rowsperstrip=32)
    np.save("bank.npy", bank(6, 8))
    for name, options in (("once.tif", ("--memory", "1GiB")), ("slabs.tif", ("--memory", "4MiB"))):
        for packed in ((), ("--compression", "deflate")):
            done(run, "conv2d", "s.tif", "-k", "bank.npy", *options, *packed, "-o", name)
            assert (6, 1) == seen(name)[:2]
    np.testing.assert_array_equal(seen("once.tif")[2], seen("slabs.tif")[2])


COMMANDS = {
    "a stride": (("conv2d", "-k", "box:3", "-s", "2"), (20.0, 40.0)),
    "an enlargement": (("upsample", "-k", "bilinear", "-s", "2"), (5.0, 10.0)),
    "a scale": (("upsample", "-k", "lanczos", "--scale", "1/2"), (20.0, 40.0)),
    "several kernels": (("conv2d", "-k", "sobel:x", "-k", "sobel:y"), (10.0, 20.0)),
    "rates": (("dilate", "-k", "box:3", "--rates", "1,2"), (10.0, 20.0)),
    "a chain": (("dilate", "-k", "box:3", "--chain", "1,2"), (10.0, 20.0)),
    "a mix": (("separable", "--depthwise", "box:3", "--pointwise", "mix.npy"), (10.0, 20.0)),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_every_page_has_its_place_on_earth(run, name, bands, suffix):
    geotiff(bands, planar=False, tags=[*KEYED, (GDAL, "s", 0, "<GDALMetadata/>", True)])
    np.save("mix.npy", np.ones((3, bands)))
    words, scale = COMMANDS[name]
    done(run, words[0], "s.tif", *words[1:], "-t", "float32", "-o", f"o{suffix}")
    with tifffile.TiffFile(f"o{suffix}") as file:
        assert {(*scale, 0.0)} == {page.tags[SCALE].value for page in file.pages}
        assert all({TIES, KEYS, GDAL} <= set(page.tags.keys()) for page in file.pages)


def test_pages_stay_pages(run):
    """What C names stays what it was: pages of a file are no bands of one."""
    tifffile.imwrite("s.tif", np.ones((4, 32, 48), "u2"), photometric="minisblack", extratags=KEYED, metadata=None)
    np.save("bank.npy", bank(3, 4))
    done(run, "conv2d", "s.tif", "--axes", "CYX", "-k", "bank.npy", "-o", "o.tif")
    assert (1, 3) == seen()[:2]


def test_several_results_of_one_band_are_bands_of_its_place(run):
    geotiff(1, planar=False)
    done(run, "conv2d", "s.tif", "-k", "sobel:x", "-k", "sobel:y", "-t", "float32", "-o", "o.tif")
    assert (2, 1) == seen()[:2]


def test_bands_whose_samples_the_user_names_c_are_samples_again(run):
    image = geotiff(5, planar=False)
    done(run, "conv2d", "s.tif", "--axes", "YXC", "-k", "identity", "-o", "o.tif")
    samples, pages, pixels = seen()
    assert (5, 1) == (samples, pages)
    np.testing.assert_array_equal(image, pixels)


def test_a_picture_without_a_place_gives_channels_as_before(run):
    tifffile.imwrite("s.tif", np.ones((32, 48, 3), "u1"), photometric="rgb", metadata=None)
    np.save("bank.npy", bank(6, 3))
    done(run, "conv2d", "s.tif", "-k", "bank.npy", "-o", "o.tif")
    with tifffile.TiffFile("o.tif") as file:
        assert ("CYX", 6) == (file.series[0].axes, len(file.pages))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("words", [("conv2d", "-k", "identity"), ("dilate", "-k", "identity", "--rate", "2")])
def test_samples_of_an_array_are_data_until_somebody_says_alpha(run, suffix, count, words):
    """Nothing is guessed from a number of samples: a bias reaches all of them, but never an opacity."""
    image = np.full((4, 4, count), 100, "u1")
    save = np.save if suffix == ".npy" else np.savez
    save(f"a{suffix}", image)
    told = words[0], f"a{suffix}", "--axes", "YXS", *words[1:], "--bias", "10"
    done(run, *told, "-o", "o.npy")
    np.testing.assert_array_equal(image + 10, np.load("o.npy"))
    for rule in ("premultiply", "straight", "keep"):
        done(run, *told, "--alpha", rule, "-o", "o.npy")
        opaque = count in (2, 4)
        assert [110] * (count - opaque) + [100] * opaque == np.load("o.npy")[0, 0].tolist()


def test_a_picture_of_four_samples_needs_a_word_on_the_fourth(run):
    np.save("a.npy", np.full((4, 4, 4), 100, "u1"))
    code, errors = run("conv2d", "a.npy", "--axes", "YXS", "-k", "identity", "-o", "o.png", "-qq")
    assert (2, True) == (code, "say --alpha premultiply where the last sample is an opacity" in errors[0])
    done(run, "conv2d", "a.npy", "--axes", "YXS", "-k", "identity", "--alpha", "premultiply", "-o", "o.png")
