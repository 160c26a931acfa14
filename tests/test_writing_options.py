"""Options of writing, and formats: each changes the file that is written, or is refused in a line."""

from dataclasses import fields

import numpy as np
import pytest

from convcli.errors import ConvError, UsageError
from convcli.formats import FORMATS, WriteOptions, check_writable, encode, remarks
from convcli.image import Image, ImageInfo

RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 9, (40, 48)) + np.arange(48)
WRITTEN = [name for name, entry in FORMATS.items() if entry.dtypes]
GIVEN = {
    "png": ({}, {"png": "small"}),
    "quality": ({}, {"quality": 40}),
    "compression": ({}, {"compression": "zstd"}),
    "predictor": ({"compression": "deflate"}, {"predictor": "none"}),
    "tile": ({}, {"tile": (16, 16)}),
    "cog": ({}, {"cog": True}),
    "chunks": ({}, {"chunks": (8, 8)}),
    "shards": ({"chunks": (8, 8)}, {"shards": (16, 16)}),
    "levels": ({}, {"levels": 2}),
}
"""For each option, what it needs beside it, and a value that is not the usual one."""
NEEDED = {("tiff.read", "quality"): {"compression": "jpeg"}, ("tiff.cog", "quality"): {"compression": "jpeg"}}
"""What an option needs in some formats alone."""


def image_for(name):
    """An image that a format holds."""
    entry = FORMATS[name]
    dtype = "uint8" if "uint8" in entry.dtypes else entry.dtypes[0]
    if name == "ppm":
        return Image(ImageInfo((40, 48, 3), dtype, "YXS", samples="rgb"), np.stack([GREY] * 3, axis=-1).astype(dtype))
    return Image(ImageInfo(GREY.shape, dtype, "YX"), GREY.astype(dtype))


def written(name, options, folder, run):
    """What a file of a format holds, or all files of a folder."""
    if not FORMATS[name].folder:
        return encode(image_for(name), name, WriteOptions(**options))
    np.save("in.npy", GREY.astype(np.uint8))
    words = [f"--{option}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for option, v in options.items()]
    place = folder / f"{len(list(folder.iterdir()))}{FORMATS[name].suffixes[0]}"
    assert run("conv2d", "in.npy", "-k", "identity", *words, "-q", "-o", place)[0] == 0
    return {each.relative_to(place): each.read_bytes() for each in place.rglob("*") if each.is_file()}


def test_every_option_is_tried():
    assert {each.name for each in fields(WriteOptions)} == GIVEN.keys()
    assert {option for entry in FORMATS.values() for option in entry.heeds} == GIVEN.keys()


@pytest.mark.parametrize("option", GIVEN)
@pytest.mark.parametrize("name", WRITTEN)
def test_an_option_changes_what_is_written_or_is_refused(name, option, tmp_path, run):
    entry, (beside, own) = FORMATS[name], GIVEN[option]
    beside = {**beside, **NEEDED.get((entry.module, option), {})}
    if option == "cog" and name in ("tiff", "cog"):
        assert encode(image_for("tiff"), "tiff", WriteOptions(cog=True)) == encode(image_for("cog"), "cog")
        assert encode(image_for("tiff"), "tiff") != encode(image_for("cog"), "cog")
    elif option in entry.heeds and (name, option) != ("zarr", "levels"):
        plain, told = written(name, beside, tmp_path, run), remarks(entry, image_for(name).info, WriteOptions(**own))
        assert plain != written(name, {**beside, **own}, tmp_path, run) or any(f"--{option}" in line for line in told)
    elif option in entry.heeds:  # of which one value goes with it
        np.save("in.npy", GREY)
        code, errors = run("conv2d", "in.npy", "-k", "identity", "--levels", "2", "-o", "o.zarr")
        assert (2, True) == (code, "a plain Zarr array has one level" in errors[0])
    else:
        with pytest.raises(UsageError, match=rf"--{option} is for|'--{option}': .* is a \.tif"):
            check_writable(entry.laid_out(WriteOptions(**own)), image_for(name).info, WriteOptions(**own))


@pytest.mark.parametrize("name", ["tiff", "cog", "ome", "imagej"])
def test_a_quality_of_what_keeps_everything_is_refused(name):
    for more in ({}, {"compression": "deflate"}):
        with pytest.raises(UsageError, match="add --compression jpeg"):
            encode(image_for(name), name, WriteOptions(quality=40, **more))


@pytest.mark.parametrize(
    ("name", "info", "way"),
    [
        ("ico", ImageInfo((300, 300), "uint8", "YX"), ".png"),
        ("ico", ImageInfo((30, 30), "uint16", "YX"), ".png"),
        ("ico", ImageInfo((30, 30), "float32", "YX"), ".tif"),
        ("gif", ImageInfo((70000, 2), "uint8", "YX"), ".png"),
        ("gif", ImageInfo((2_000_000, 2), "uint8", "YX"), ".tif"),
        ("jpeg", ImageInfo((30, 30, 4), "uint8", "YXS", samples="rgb+alpha"), ".png"),
        ("png", ImageInfo((30, 30, 4), "uint8", "YXS", samples="cmyk"), ".tif"),
    ],
)
def test_the_way_out_of_a_format_is_one_that_holds_the_image(name, info, way):
    with pytest.raises(ConvError, match=rf"a \{way} output"):
        check_writable(FORMATS[name], info)
    check_writable(next(entry for entry in FORMATS.values() if way in entry.suffixes), info)


def test_an_ignored_option_of_a_command_is_a_line_before_any_work(run):
    np.save("in.npy", GREY.astype(np.uint8))
    for words in (
        "--compression deflate -o o.png",
        "--quality 9 -o o.npy",
        "--png small -o o.tif",
        "--levels 2 -o o.tif",
    ):
        code, errors = run("conv2d", "in.npy", "-k", "identity", *words.split())
        assert (2, 1) == (code, len(errors))
        assert f"{words.split()[0]} is for" in errors[0]
