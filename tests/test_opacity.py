"""Opacity is told apart from colour on every road through the engine, and so is what is left when it is dropped."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

PIXELS = np.random.default_rng(4).integers(0, 256, (24, 17, 2), dtype=np.uint8)


@pytest.fixture
def run(run, tmp_path):
    Pillow.fromarray(PIXELS).save(tmp_path / "in.png")
    return run


@pytest.mark.parametrize("numbers", [(), ("--bias", "50"), ("--scale", "0.5"), ("--scale", "-1", "--bias", "255")])
def test_scale_and_bias_are_for_colour_alone(numbers, run):
    command = ("conv2d", "in.png", "-k", "identity", "--alpha", "straight", *numbers)
    assert 0 == run(*command, "-o", "out.png")[0]
    np.testing.assert_array_equal(PIXELS[..., 1], np.asarray(Pillow.open("out.png"))[..., 1])


@pytest.mark.parametrize("precision", ["auto", "double"])
def test_an_opacity_that_is_filtered_is_counted_as_every_sample(precision, run):
    code, _ = run(
        *("conv2d", "in.png", "-k", "3", "--alpha", "straight", "--precision", precision, "-o", "out.png", "--json")
    )
    assert 0 == code
    assert int((PIXELS > 85).sum()) == json.loads(run.output)["clipped"]["above"]


@pytest.mark.parametrize("name", ["out.png", "out.tif", "out.ome.tif", "out.npy", "out.pgm"])
@pytest.mark.parametrize("memory", ["1MiB", "256MiB"])
def test_grey_without_its_opacity_is_grey_in_every_format(name, memory, run, tmp_path):
    assert 0 == run("conv2d", "in.png", "-k", "identity", "--alpha", "drop", "--memory", memory, "-o", name)[0]
    data = (tmp_path / name).read_bytes()
    read = {
        "png": lambda _: np.asarray(Pillow.open(name)),
        "tif": lambda _: tifffile.imread(name),
        "npy": lambda _: np.load(name),
        "pgm": lambda data: np.frombuffer(data[-24 * 17 :], np.uint8).reshape(24, 17),
    }[name.rpartition(".")[2]]
    found = read(data)
    assert (24, 17) == found.shape
    alpha = PIXELS[..., 1] > 0
    np.testing.assert_array_equal(PIXELS[..., 0][alpha], found[alpha])


@pytest.mark.parametrize(("axes", "shape"), [("YXS", (9, 8, 1)), ("SYX", (1, 9, 8)), ("ZYXS", (3, 9, 8, 1))])
@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif"])
def test_an_axis_of_one_sample_is_none_in_a_tiff(axes, shape, name, run):
    np.save("in.npy", np.arange(np.prod(shape), dtype=np.uint16).reshape(shape))
    assert 0 == run("conv2d", "in.npy", "--axes", axes, "-k", "identity", "-o", name)[0]
    np.testing.assert_array_equal(np.load("in.npy").squeeze(), tifffile.imread(name))
