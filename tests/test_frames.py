"""Which pictures of an animation or a stack are read."""

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

import convcli
from convcli import ConvError


def pixels_of(shape, dtype="uint16"):
    """Random samples."""
    return np.random.default_rng(1).integers(0, 250, shape).astype(dtype)


FRAMES = {"0": slice(0, 1), "2:5": slice(2, 5), "-1": slice(-1, None), "-3:": slice(-3, None), "all": slice(None)}


@pytest.mark.parametrize("frames", FRAMES)
def test_pages_of_a_stack_are_read_alone(run, frames):
    image = pixels_of((7, 40, 30))
    tifffile.imwrite("in.tif", image, metadata={"axes": "ZYX"})
    tifffile.imwrite("in.ome.tif", pixels_of((2, 7, 20, 30)), metadata={"axes": "CTYX"})
    assert 0 == run("conv2d", "in.tif", "-k", "box:3", "--pages", frames, "-q", "-o", "o.npy")[0]
    expected = convcli.convolve(image[FRAMES[frames]], "box:3", axes="ZYX")
    np.testing.assert_array_equal(expected, np.load("o.npy"), strict=True)
    assert 0 == run("conv2d", "in.ome.tif", "-k", "box:3", "--frames", frames, "-q", "-o", "t.npy")[0]
    assert (2, 7, 20, 30)[2:] == np.load("t.npy").shape[2:]
    expected = convcli.convolve(pixels_of((2, 7, 20, 30))[:, FRAMES[frames]], "box:3", axes="CTYX")
    np.testing.assert_array_equal(expected, np.load("t.npy"), strict=True)
    np.testing.assert_array_equal(image[FRAMES[frames]], convcli.read("in.tif", frames=frames).data)


def test_a_volume_of_some_slices_knows_nothing_of_the_others(run):
    image = pixels_of((9, 30, 20))
    np.save("in.npy", image)
    words = ("--axes", "ZYX", "--frames", "2:7", "-k", "gaussian:1", "-q")
    assert 0 == run("conv3d", "in.npy", *words, "-o", "o.npy")[0]
    expected = convcli.convolve(image[2:7], convcli.parse_kernel("gaussian:1", 3))
    np.testing.assert_array_equal(expected, np.load("o.npy"))


@pytest.mark.parametrize("memory", ["1MiB", "256MiB"])
def test_a_long_stack_is_read_in_parts(run, memory):
    image = pixels_of((30, 300, 400))
    tifffile.imwrite("in.tif", image, metadata={"axes": "ZYX"})
    words = ("-k", "gaussian:1", "--frames", "3:-2", "--memory", memory, "-q")
    assert 0 == run("conv3d", "in.tif", *words, "-o", "o.tif")[0]
    expected = convcli.convolve(image[3:-2], convcli.parse_kernel("gaussian:1", 3))
    np.testing.assert_array_equal(expected, tifffile.imread("o.tif"))


def test_some_slices_of_a_zarr_become_one_of_their_own(run):
    image = pixels_of((20, 40, 30))
    np.save("in.npy", image)
    words = ("--axes", "ZYX", "--spacing", "2um,1um,1um", "-k", "identity", "-q")
    assert 0 == run("conv3d", "in.npy", *words, "-o", "in.ome.zarr")[0]
    words = ("-k", "gaussian:1", "--frames", "5:17", "--chunks", "8,16,16", "-q")
    assert 0 == run("conv3d", "in.ome.zarr", *words, "-o", "o.ome.zarr")[0]
    expected = convcli.convolve(image[5:17], convcli.parse_kernel("gaussian:1", 3))
    found = convcli.read("o.ome.zarr")
    np.testing.assert_array_equal(expected, found.data)
    assert {"Z": 10.0, "Y": 0.0, "X": 0.0} == found.info.metadata["zarr"].translation  # where it lay in the whole


@pytest.mark.parametrize("name", ["in.gif", "in.webp"])
def test_frames_of_an_animation_are_a_stack_in_time(run, name):
    colours = np.random.default_rng(2).integers(0, 2, (5, 12, 16, 3), np.uint8) * 255
    first, *others = map(Picture.fromarray, colours)
    first.save(name, save_all=True, append_images=others, lossless=True, duration=50, disposal=0)
    with Picture.open(name) as file:
        frames = []
        for number in range(5):
            file.seek(number)
            frames.append(np.asarray(file.convert("RGB")))
    image = convcli.read(name, frames="all")
    assert "TYXS" == image.info.axes
    np.testing.assert_array_equal(np.stack(frames), image.data[..., :3])
    np.testing.assert_array_equal(colours, image.data[..., :3])
    assert 0 == run("conv2d", name, "-k", "box:3", "--frames", "3", "-q", "-o", "o.png")[0]
    expected = convcli.convolve(colours[3], "box:3", axes="YXS")
    np.testing.assert_array_equal(expected, np.asarray(Picture.open("o.png").convert("RGB")))
    assert (12, 16) == convcli.read(name).data.shape[:2]


def test_pictures_that_are_not_there_are_told_with_those_that_are(run):
    tifffile.imwrite("in.tif", pixels_of((4, 9, 8)), metadata={"axes": "ZYX"}, photometric="minisblack")
    Picture.new("L", (5, 4)).save("in.png")
    assert (
        "has no pictures 4:5 (ZYX); it holds 4 pictures, 0 to 3"
        in run("conv2d", "in.tif", "-k", "box:3", "--frames", "4", "-o", "o.tif")[1][0]
    )
    code, errors = run("conv2d", "in.png", "-k", "box:3", "--frames", "1", "-o", "o.png")
    assert (1, True) == (code, "it holds 1 picture, 0" in errors[0])
    code, errors = run("conv2d", "in.png", "-k", "box:3", "--frames", "x", "-o", "o.png")
    assert (2, True) == (code, "'x' is not a picture's number" in errors[0])
    with pytest.raises(ConvError, match="has no pictures 9:"):
        convcli.read("in.tif", frames="9:")
