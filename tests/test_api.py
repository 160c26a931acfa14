"""The functions for Python: the pixels of the commands, bit for bit, and those of independent oracles."""

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import ndimage

import convcli
from convcli.errors import ConvError, UsageError

VOLUME = (np.random.default_rng(3).random((3, 24, 31)) * 255).astype(np.float32)
PICTURE = (VOLUME[0] * 1.0).astype(np.uint8)
TAPS = np.arange(9.0).reshape(3, 3) - 3
MIX = np.array([[1.0, 0, 2], [0.5, -1, 0]])
PAIRED = {"axes": "CYX"}
SAME = {
    "conv2d -k gaussian:1.5 -s 2 -b reflect": lambda image: convcli.convolve(
        image, "gaussian:1.5", stride=2, border="reflect"
    ),
    "conv2d -k sobel:x -k sobel:y --combine magnitude -t float32": lambda image: convcli.convolve(
        image, ["sobel:x", "sobel:y"], combine="magnitude", dtype="float32"
    ),
    "conv2d -k '1 2; 3 4' --normalize sum --flip --origin 0,1 -p 1 -b edge": lambda image: convcli.convolve(
        image, "1 2; 3 4", normalize="sum", flip=True, origin=(0, 1), padding=1
    ),
    "upsample -k bilinear": lambda image: convcli.upsample(image, "bilinear"),
    "upsample -k lanczos -s 3,2 -p 1": lambda image: convcli.upsample(image, "lanczos", stride=(3, 2), padding=1),
    "upsample -k box:3 --output-size 49x63": lambda image: convcli.upsample(image, "box:3", output_size=(49, 63)),
    "upsample -k gaussian:1 --normalize overlap": lambda image: convcli.upsample(
        image, "gaussian:1", normalize="overlap"
    ),
    "upsample -k lanczos --scale 1.5": lambda image: convcli.resize(image, 1.5),
    "upsample -k bicubic --scale 2,4/3 -b reflect": lambda image: convcli.resize(
        image, (2, Fraction(4, 3)), "bicubic", border="reflect"
    ),
    "dilate -k laplacian --rate 2": lambda image: convcli.dilate(image, "laplacian", rate=2),
    "dilate -k log:1 --rates 1,2x1,4": lambda image: convcli.dilate(image, "log:1", rates=[1, (2, 1), 4]),
    "dilate -k box:3 --rates 1,2 --combine max": lambda image: convcli.dilate(
        image, "box:3", rates=[1, 2], combine="max"
    ),
    "dilate -k box:3 --chain 1,2,5 -b wrap": lambda image: convcli.dilate(
        image, "box:3", chain=[1, 2, 5], border="wrap"
    ),
    "separable --depthwise gaussian:1 --pointwise '2; 1'": lambda image: convcli.separable(image, "gaussian:1", "2; 1"),
}
"""A command line without its files, and the function for it."""


@pytest.mark.parametrize(
    "image", [PICTURE, VOLUME[0], PICTURE.astype(np.int16) - 99], ids=lambda image: str(image.dtype)
)
@pytest.mark.parametrize("line", SAME)
def test_a_function_has_the_pixels_of_its_command(line, image, run):
    import shlex

    np.save("in.npy", image)
    code, lines = run(*shlex.split(line), "in.npy", "-o", "out.npy", "-q")
    assert 0 == code, lines
    np.testing.assert_array_equal(np.load("out.npy"), SAME[line](image), strict=True)


def test_channels_are_mixed_as_by_the_command(run):
    np.save("in.npy", VOLUME)
    np.save("mix.npy", MIX)
    assert (
        0 == run("separable", "in.npy", "--axes", "CYX", *"--depthwise box:3 --pointwise mix.npy -o out.npy".split())[0]
    )
    np.testing.assert_array_equal(np.load("out.npy"), convcli.separable(VOLUME, "box:3", MIX), strict=True)


def test_an_image_that_was_read_knows_its_axes_and_its_lengths(run):
    convcli.write("in.tif", VOLUME, axes="ZYX", spacing="2,0.5,0.5um")
    image = convcli.read("in.tif")
    assert {"Z": (2.0, "um"), "Y": (0.5, "um"), "X": (0.5, "um")} == image.info.spacing
    assert 0 == run("conv2d", "in.tif", "-k", "gaussian:1um", "-o", "out.tif")[0]
    expected = convcli.read("out.tif").data
    np.testing.assert_array_equal(expected, convcli.convolve(image, "gaussian:1um"), strict=True)
    np.testing.assert_array_equal(expected, convcli.convolve(VOLUME, "gaussian:2", axes="ZYX"), strict=True)


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_colour_and_opacity_are_those_of_the_file(samples, run):
    pixels = (np.random.default_rng(samples).random((40, 50, samples)) * 255).astype(np.uint8)
    convcli.write("in.png", pixels, axes="YXS")
    assert 0 == run(*"conv2d in.png -k gaussian:2 -o out.png".split())[0]
    image = convcli.read("in.png")
    np.testing.assert_array_equal(convcli.read("out.png").data, convcli.convolve(image, "gaussian:2"), strict=True)


def test_a_length_without_a_spacing_is_refused():
    with pytest.raises(ConvError, match="how far apart samples are along Y"):
        convcli.convolve(VOLUME[0], "gaussian:1um")


def test_upsampling_is_filtering_between_zeros():
    image = VOLUME[0].astype(float)
    stuffed = np.zeros((2 * image.shape[0] - 1, 3 * image.shape[1] - 2))
    stuffed[::2, ::3] = image
    full = ndimage.convolve(np.pad(stuffed, 1), TAPS, mode="constant")
    np.testing.assert_allclose(full, convcli.upsample(image, TAPS, stride=(2, 3), padding="valid"), atol=1e-9)


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("scale", [0.4, 1.5, 3])
def test_resizing_is_that_of_pillow(name, scale):
    image = VOLUME[0]
    found = convcli.resize(image, scale, name)
    truth = Pillow.fromarray(image).resize(found.shape[::-1], Pillow.Resampling[name.upper()])
    np.testing.assert_allclose(np.asarray(truth), found, atol=1e-3)


def test_a_pair_is_its_two_steps():
    between = np.stack([ndimage.correlate(plane.astype(float), TAPS, mode="nearest") for plane in VOLUME])
    truth = np.einsum("oc,cyx->oyx", MIX, between)
    found = convcli.separable(VOLUME.astype(float), TAPS, MIX)
    np.testing.assert_allclose(truth, found, rtol=1e-9, atol=1e-6)


def test_each_channel_may_have_kernels_of_its_own():
    kernels = np.random.default_rng(2).random((3, 3, 5))
    between = np.stack(
        [ndimage.correlate(p.astype(float), k, mode="nearest") for p, k in zip(VOLUME, kernels, strict=True)]
    )
    truth = np.einsum("oc,cyx->oyx", MIX, between)
    for given in (kernels, kernels[:, None], kernels.tolist()):
        np.testing.assert_allclose(truth, convcli.separable(VOLUME.astype(float), given, MIX), rtol=1e-9, atol=1e-6)


def test_rates_are_kernels_with_zeros_between_their_taps():
    image, wide = VOLUME[0].astype(float), np.zeros((5, 7))
    wide[::2, ::3] = TAPS
    truth = ndimage.correlate(image, wide, mode="nearest")
    np.testing.assert_allclose(truth, convcli.dilate(image, TAPS, rate=(2, 3)), atol=1e-9)
    both = [ndimage.correlate(image, TAPS, mode="nearest"), truth]
    np.testing.assert_allclose(both, convcli.dilate(image, TAPS, rates=[1, (2, 3)]), atol=1e-9)
    chained = ndimage.correlate(both[0], wide, mode="nearest")
    np.testing.assert_allclose(chained, convcli.dilate(image, TAPS, chain=[1, (2, 3)]), atol=1e-6)


WRONG = {
    "no rate": lambda: convcli.dilate(PICTURE, "box:3"),
    "two rates": lambda: convcli.dilate(PICTURE, "box:3", rate=1, chain=[1]),
    "a rate twice": lambda: convcli.dilate(PICTURE, "box:3", rates=[1, (1, 1)]),
    "no rates": lambda: convcli.dilate(PICTURE, "box:3", rates=[]),
    "no chain": lambda: convcli.dilate(PICTURE, "box:3", chain=[]),
    "a scale of 0": lambda: convcli.resize(PICTURE, 0),
    "a scale of text": lambda: convcli.resize(PICTURE, "large"),
    "scales of four axes": lambda: convcli.resize(PICTURE, (1, 1, 1, 1)),
    "no curve": lambda: convcli.resize(PICTURE, 2, "gaussian:2"),
    "two kernels laid": lambda: convcli.upsample(PICTURE, ["box:3", "box:5"]),
    "an unknown word": lambda: convcli.convolve(PICTURE, "box:3", normalize="max"),
    "an overlap of a filter": lambda: convcli.convolve(PICTURE, "box:3", normalize="overlap"),
    "no function": lambda: convcli.request("median", "box:3"),
    "all may be left": lambda: convcli.convolve(PICTURE, "box:3", tolerance=1),
    "no threads": lambda: convcli.upsample(PICTURE, "box:3", threads=0),
    "no length": lambda: convcli.write(io.BytesIO(), PICTURE, format="tiff", spacing="5"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_means_nothing_is_refused_in_one_line(name):
    with pytest.raises(UsageError) as error:
        WRONG[name]()
    assert 1 == len(str(error.value).splitlines())


def test_a_request_plans_what_its_function_does():
    asked = convcli.request("convolve", "gaussian:4", border="reflect")
    plan = convcli.make_plan(VOLUME[0], asked, threads=1)
    assert plan == convcli.make_plan(convcli.ImageInfo((24, 31), "float32", "YX"), asked, threads=1)
    assert 24 * 31 * 33**2 == plan.macs
    assert plan.method == min((c for c in plan.candidates if c.seconds is not None), key=lambda c: c.usual).method
    assert all((c.seconds is None) == bool(c.refused) for c in plan.candidates)
    forced = convcli.make_plan(VOLUME[0], asked, method="direct")
    assert "direct" == forced.method


@pytest.mark.parametrize("function", ["convolve", "upsample", "resize", "separable", "dilate"])
def test_a_request_computes_what_its_function_does(function):
    arguments = {"resize": (2, "bicubic"), "separable": ("box:3", MIX)}.get(function, ("box:3",))
    options = {"rates": [1, 2]} if function == "dilate" else {}
    info = convcli.ImageInfo(VOLUME.shape, "float32", "CYX")
    work = convcli.request(function, *arguments, **options).on(info)
    expected, _ = work.run(convcli.Image(info, VOLUME))
    found = getattr(convcli, function)(VOLUME, *arguments, axes="CYX", **options)
    np.testing.assert_array_equal(expected.data, found, strict=True)


def test_a_network_is_what_flops_tells(run):
    words = "3@224x224 conv7-64/2p3 max3/2p1 2*conv3-64p1"
    assert 0 == run("flops", *words.split(), "--json", "--all")[0]
    told = json.loads(run.output)
    network = convcli.parse_network(words)
    assert (told["layers"], told["total"]) == (list(network.layers), network.total)
    Path("net.txt").write_text("input 3@224x224\nconv7-64/2p3\nmax3/2p1\n2*conv3-64p1\n")
    for source in ("net.txt", Path("net.txt")):
        assert network.layers == convcli.parse_network(source).layers


@pytest.mark.parametrize(
    ("source", "code"), [("conv3-64", "shape"), ("", "shape"), ("3@8x8 cnv3", "layer"), (Path("none.txt"), "not-found")]
)
def test_what_is_no_network_is_refused(source, code):
    with pytest.raises(ConvError) as error:
        convcli.parse_network(source)
    assert code == error.value.code


def test_three_dimensions_under_a_bank_are_channels_and_a_plane_at_any_rate():
    rng = np.random.default_rng(12)
    image, bank = rng.random((3, 20, 22)).astype("f4"), rng.random((2, 3, 3, 3)).astype("f4")
    for rate in (1, 2):
        expected = convcli.convolve(image, bank, axes="CYX", dilation=rate)
        np.testing.assert_array_equal(expected, convcli.dilate(image, bank, rate=rate))
    joined = convcli.dilate(image, "box:3", rates=(1, 2), combine="sum", axes="CYX")
    assert (3, 20, 22) == joined.shape
