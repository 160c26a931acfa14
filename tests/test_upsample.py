"""`convcli upsample`: the definition of transposed convolution, its adjoint, and enlargement as Pillow does it."""

import json
import pickle
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage.data import camera

import oracle
import upsampled
from command import InProcess
from convcli import convolve
from convcli.engine.stages import filter as filter_stage
from convcli.engine.stages import phases
from convcli.filters.resampled import Resampled
from convcli.filters.transposed import crops
from convcli.formats import read
from convcli.geometry.axis import Geometry
from convcli.geometry.phases import pieces
from convcli.geometry.sizes import Transposed
from convcli.image import Image, ImageInfo
from convcli.kernels.resampling import CURVES
from convcli.operations.operation import Limits
from convcli.requests.options import SampleOptions
from convcli.requests.particular import TransposedOptions
from convcli.requests.transposed import build_transpose

NAMES = ("nearest", "bilinear", "bicubic", "lanczos")
FILTERS = dict(zip(NAMES, (Pillow.NEAREST, Pillow.BILINEAR, Pillow.BICUBIC, Pillow.LANCZOS), strict=True))
PAD = {"edge": "edge", "reflect": "reflect", "symmetric": "symmetric", "wrap": "wrap"}
NINE = "1 2 3; 4 5 6; 7 8 9"
TAPS = np.arange(1.0, 10).reshape(1, 1, 3, 3)


@pytest.fixture
def upsample(run):
    """The result for an array, by the command line."""

    def result(image, *words):
        np.save("in.npy", image)
        axes = ("--axes", "ZYX"[-image.ndim :]) if image.ndim < 4 else ()
        code, errors = run("upsample", "in.npy", *words, *axes, "-o", "out.npy", "-f", "-q")
        assert 0 == code, errors
        return np.load("out.npy")

    return result


def definition(image, taps=TAPS, *, stride=(2, 2), dilation=(1, 1), pads=((0, 0), (0, 0)), extra=(0, 0)):
    """What one channel becomes."""
    return oracle.transposed(image[None], taps, stride=stride, dilation=dilation, pads=pads, extra=extra)[0]


# --- transposed convolution


@pytest.mark.parametrize("seed", range(4))
def test_random_layers_agree_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        problem = upsampled.draw(rng)
        settings = {key: value for key, value in problem.items() if key not in ("image", "taps")}
        expected = [oracle.transposed(image, problem["taps"], **settings) for image in problem["image"]]
        np.testing.assert_allclose(upsampled.tool(problem), expected, atol=1e-4)
        np.testing.assert_allclose(upsampled.tool(problem, dtype="float64"), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_adjoint_of_the_convolution_with_the_same_bank(seed):
    rng = np.random.default_rng(seed)
    problem = upsampled.draw(rng, back=True)
    transposed = upsampled.tool(problem, dtype="float64")
    large = rng.standard_normal(transposed.shape)
    options = {key: problem[key] for key in ("stride", "dilation", "groups")}
    forward = [convolve(one, problem["taps"], padding=problem["pads"], border="zero", **options) for one in large]
    small = np.array(forward).reshape(problem["image"].shape)
    assert np.vdot(small, problem["image"]) == pytest.approx(np.vdot(large, transposed), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    "axis", [(7, 4, 2, 1, 1, 1, 0), (5, 3, 2, 1, 1, 1, 1), (4, 3, 4, 3, 0, 2, 1), (3, 1, 3, 1, -1, -1, 0)]
)
def test_every_output_of_an_axis_has_one_phase_and_the_taps_that_land_on_it(axis):
    axis = Transposed(*axis)
    computed = {}
    for piece in pieces(axis):
        for phase in piece.phases:
            places = range(axis.output)[piece.places(phase, 0, piece.last - piece.first)[0]]
            for cell, place in zip(range(piece.geometry.output), places, strict=True):
                reads = piece.geometry.reads(cell) if phase.taps else ()
                assert place not in computed
                computed[place] = sorted(zip(reads, phase.taps, strict=True))
    landing = {
        u: sorted(
            (i, t)
            for i in range(-99, 99)
            for t in range(axis.kernel)
            if i * axis.stride + t * axis.dilation - axis.begin == u
        )
        for u in range(axis.output)
    }
    assert landing == computed


@pytest.mark.parametrize("border", PAD)
@pytest.mark.parametrize("words", [(), ("-d", "2"), ("-s", "3,1")])
def test_pixels_outside_lay_kernels_too(border, words, upsample):
    image = np.random.default_rng(3).standard_normal((6, 7)).astype(np.float32)
    stride = (3, 1) if "-s" in words else (2, 2)
    dilation = (2, 2) if "-d" in words else (1, 1)
    more = 4
    crop = [-(-(2 * d + 1 - s) // 2) for s, d in zip(stride, dilation, strict=True)]
    pads = [(c + more * s, 2 * d + 1 - s - c + more * s) for c, s, d in zip(crop, stride, dilation, strict=True)]
    expected = definition(np.pad(image, more, mode=PAD[border]), stride=stride, dilation=dilation, pads=pads)
    assert expected.shape == tuple(s * n for s, n in zip(stride, image.shape, strict=True))
    np.testing.assert_allclose(upsample(image, "-k", NINE, "--border", border, *words), expected, atol=1e-4)


def test_the_textbook_sizes(upsample):
    image = np.array([[1.0, 2], [3, 4]], np.float32)
    np.testing.assert_array_equal(definition(image, stride=(1, 1)), upsample(image, "-k", NINE, "-s", 1, "-p", 0))
    image = np.arange(9.0, dtype=np.float32).reshape(3, 3)
    expected = definition(image, pads=((1, 1), (1, 1)), extra=(1, 1))
    assert (6, 6) == expected.shape
    np.testing.assert_array_equal(expected, upsample(image, "-k", NINE, "-p", 1, "--output-padding", 1))
    np.testing.assert_array_equal(expected, upsample(image, "-k", NINE, "-p", 1, "--output-size", 6))
    np.testing.assert_array_equal(expected, upsample(image, "-k", NINE, "--border", "zero"))  # padding same


@pytest.mark.parametrize(("rule", "number"), [("valid", 0), ("full", 4)])
def test_a_rule_for_padding_is_the_number_that_it_stands_for(rule, number):
    assert (number, number) == crops(Transposed(9, 3, 2, 2), rule)


def test_a_photograph_doubled_by_ones(run):
    Pillow.fromarray(camera()).save("camera.png")
    words = ("-k", "1 1 1;1 1 1;1 1 1", "--stride", 2, "--padding", 1, "--output-padding", 1, "-t", "float32")
    assert 0 == run("upsample", "camera.png", *words, "-o", "large.tif", "-q")[0]
    expected = definition(camera(), np.ones((1, 1, 3, 3)), pads=((1, 1), (1, 1)), extra=(1, 1))
    assert (1024, 1024) == expected.shape
    np.testing.assert_array_equal(expected, read(Path("large.tif")).data)


def test_channels_become_others_by_a_bank_of_inputs_and_outputs(upsample, run):
    rng = np.random.default_rng(4)
    image, bank = rng.standard_normal((2, 4, 5, 6)).astype(np.float32), rng.standard_normal((4, 3, 2, 2))
    np.save("bank.npy", bank)
    words = ("-k", "bank.npy", "-p", "valid", "--groups", 2, "--axes", "TCYX")
    expected = [
        oracle.transposed(one, bank, stride=(2, 2), dilation=(1, 1), pads=((0, 0),) * 2, groups=2) for one in image
    ]
    np.testing.assert_allclose(upsample(image, *words), expected, atol=1e-5)
    _, lines = run("upsample", "in.npy", *words, "--explain")
    assert any("bank.npy, 4x3x2x2 (I, O/g, ...)" in line for line in lines)
    assert run("upsample", "in.npy", "-k", "bank.npy", "--axes", "CTYX", "-o", "x.npy") == (
        1,
        ["convcli: 'in.npy': the bank sums over 4 channels, the image has 2 (CTYX 2x4x5x6) [shape]"],
    )


def test_volumes_become_larger_along_three_axes(upsample):
    rng = np.random.default_rng(5)
    image, taps = rng.standard_normal((3, 4, 5)).astype(np.float32), rng.standard_normal((2, 3, 4))
    np.save("taps.npy", taps)
    expected = oracle.transposed(
        image[None], taps[None, None], stride=(1, 2, 3), dilation=(1, 1, 1), pads=((0, 0),) * 3, extra=(0, 1, 0)
    )[0]
    words = ("-k", "taps.npy", "--3d", "-s", "1,2,3", "-p", "valid", "--output-padding", "0,1,0")
    np.testing.assert_allclose(upsample(image, *words), expected, atol=1e-5)


def test_flip_turns_the_kernel(upsample):
    image = np.zeros((3, 3), np.float32)
    image[1, 1] = 1
    words = ("-k", NINE, "-s", 1)
    np.testing.assert_array_equal(TAPS[0, 0], upsample(image, *words))
    np.testing.assert_array_equal(TAPS[0, 0, ::-1, ::-1], upsample(image, *words, "--flip"))


@pytest.mark.parametrize(("dtype", "border"), [*product(("uint8", "uint16", "int32", "float32"), ("edge", "wrap"))])
@pytest.mark.parametrize("name", NAMES)
def test_a_constant_stays_constant_up_to_its_edges(name, dtype, border, upsample):
    image = np.full((5, 7), 93, dtype)
    for stride in (2, 3, 4):
        large = upsample(image, "-k", name, "--stride", stride, "--border", border)
        assert (5 * stride, 7 * stride) == large.shape
        np.testing.assert_allclose(large, 93, rtol=1e-6 if dtype == "float32" else 0)


def test_nearest_repeats_pixels(upsample):
    image = np.random.default_rng(6).integers(0, 256, (4, 5), np.uint8)
    np.testing.assert_array_equal(np.kron(image, np.ones((3, 3), np.uint8)), upsample(image, "-k", "nearest", "-s", 3))


# --- numbers, colours, unknown samples


def test_results_are_rounded_and_what_is_clipped_is_counted_once(run):
    image = np.random.default_rng(7).integers(0, 256, (9, 8, 3), np.uint8)
    Pillow.fromarray(image).save("in.png")
    words = ("-k", ".3 -.2 .9; .5 1 .1; .4 .6 -1", "-p", 1, "--verify", "-o", "out.png")
    assert 0 == run("upsample", "in.png", *words, "--json", "-q")[0]
    taps = np.array([[[[0.3, -0.2, 0.9], [0.5, 1, 0.1], [0.4, 0.6, -1]]]])
    exact = np.stack([definition(image[..., c], taps, pads=((1, 1), (1, 1))) for c in range(3)], -1)
    report = json.loads(run.output)
    assert {"below": np.sum(np.rint(exact) < 0), "above": np.sum(np.rint(exact) > 255)} == report["clipped"]
    np.testing.assert_allclose(read(Path("out.png")).data, np.clip(exact, 0, 255), atol=0.5 + 1e-3)


def test_nan_comes_where_a_tap_lays_it(upsample):
    image = np.random.default_rng(8).standard_normal((5, 6)).astype(np.float32)
    image[2, 3] = np.nan
    touched = definition(np.isnan(image).astype(float), np.ones((1, 1, 3, 3)), pads=((1, 1), (1, 1))) > 0
    np.testing.assert_array_equal(touched, np.isnan(upsample(image, "-k", NINE, "-p", 1)))
    whole = np.isnan(upsample(image, "-k", "bicubic", "--scale", 2))
    assert whole[4:8, 6:8].all()
    assert 64 == whole.sum()


@pytest.mark.parametrize("words", [("--stride", 2), ("--scale", 1.5)])
def test_transparent_colour_stays_out(words, run):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, :4] = 255, 0, 0, 255
    image[:, 4:] = 0, 255, 0, 0
    Pillow.fromarray(image).save("in.png")
    assert 0 == run("upsample", "in.png", "-k", "bilinear", *words, "-o", "out.png", "-q", "--verify")[0]
    large = read(Path("out.png")).data
    visible = large[..., 3] > 0
    assert (large[visible][:, :3] == (255, 0, 0)).all()
    assert 0 < np.mean((large[..., 3] > 0) & (large[..., 3] < 255)) < 0.2


def test_pages_and_channels_are_enlarged_alone(upsample):
    image = np.random.default_rng(9).standard_normal((2, 3, 4, 5)).astype(np.float32)
    large = upsample(image, "-k", "bilinear", "--axes", "TCYX")
    for page, channel in np.ndindex(2, 3):
        np.testing.assert_allclose(large[page, channel], upsample(image[page, channel], "-k", "bilinear"), atol=1e-6)


@pytest.mark.parametrize("words", [("--stride", 2), ("--scale", 2)])
def test_pixels_lie_closer_together(words, run):
    Pillow.fromarray(camera()[:20, :30]).save("in.png", dpi=(300, 300))
    assert 0 == run("upsample", "in.png", "-k", "bilinear", *words, "-o", "out.png", "-q")[0]
    with Pillow.open("out.png") as large:
        assert (600, 600) == pytest.approx(large.info["dpi"], rel=1e-3)


@pytest.mark.parametrize(("words", "module"), [(("--stride", 2), phases), (("--scale", 2), filter_stage)])
def test_verify_finds_a_wrong_pixel(words, module, run, monkeypatch):
    store = module.store_tile

    def spoiled(job, method, task, target, **more):
        counts = store(job, method, task, target, **more)
        target += 1
        return counts

    np.save("in.npy", np.ones((6, 6), np.float32))
    words = ("upsample", "in.npy", "-k", "bilinear", *words, "-o", "out.npy", "--verify", "-f", "-q")
    assert (0, []) == run(*words)
    monkeypatch.setattr(module, "store_tile", spoiled)
    code, errors = run(*words)
    assert 1 == code
    assert "by the definition [verify]" in errors[0]


# --- what is said of it


def test_the_report_tells_the_size_both_ways_and_the_work_saved(run):
    np.save("in.npy", np.ones((3, 3), np.float32))
    words = ("upsample", "in.npy", "-k", NINE, "-p", 1, "--output-padding", 1, "--explain", "--json")
    _, lines = run(*words)
    report = json.loads(run.output)
    assert any("2 (3 - 1) + 3 - 1 - 1 + 1 = 6; back floor((6 + 1 + 1 - 3) / 2) + 1 = 3" in line for line in lines)
    assert (81, 324) == (report["macs"], report["macs_stuffed"])
    assert ([[1, 1], [1, 1]], [1, 1], [2, 2]) == (report["padding"], report["output_padding"], report["stride"])
    assert any("324 MACs with zeros inserted, 4 times as many" in line for line in lines)


def test_explain_shows_the_sparse_matrix_of_the_textbook(run):
    np.save("in.npy", np.array([[1.0, 2], [3, 4]], np.float32))
    _, lines = run("upsample", "in.npy", "-k", NINE, "-s", 1, "-p", 0, "--explain")
    start = next(number for number, line in enumerate(lines) if line.startswith("matrix C"))
    matrix = np.array([line.removeprefix("matrix C").split() for line in lines[start : start + 4]], float)
    assert (4, 16) == matrix.shape
    large = np.random.default_rng(0).standard_normal((4, 4))
    np.testing.assert_allclose(convolve(large, TAPS[0, 0], padding=0).ravel(), matrix @ large.ravel())
    small = np.array([[1.0, 2], [3, 4]])
    np.testing.assert_allclose(definition(small, stride=(1, 1)).ravel(), matrix.T @ small.ravel())


@pytest.mark.parametrize(
    ("words", "ripple"),
    [
        (("-k", "box:3"), "0.1111 to 0.4444, a ripple of 133 %"),
        (("-k", "1 1 1 1 1", "-s", "1,2"), "2 to 3, a ripple of 40 %"),
    ],
)
def test_a_checkerboard_is_warned_of_with_its_ripple(words, ripple, run, upsample):
    np.save("in.npy", np.ones((12, 12), np.float32))
    _, lines = run("upsample", "in.npy", *words, "-o", "out.npy")
    assert any("checkerboard" in line and ripple in line for line in lines if line.startswith("warning"))
    inner = np.load("out.npy")[4:-4, 4:-4]
    assert f"{inner.min():.4g} to {inner.max():.4g}" in ripple
    assert 1 == run("upsample", "in.npy", *words, "-o", "x.npy", "--strict")[0]
    np.testing.assert_allclose(upsample(np.ones((8, 8), np.float32), *words, "--normalize", "overlap"), 1, rtol=1e-6)


@pytest.mark.parametrize("words", [("-k", "bilinear"), ("-k", "bicubic:3", "-s", 3), ("-k", "box:4", "-s", 2)])
def test_what_overlaps_evenly_is_not_warned_of(words, run):
    np.save("in.npy", np.ones((8, 8), np.float32))
    code, lines = run("upsample", "in.npy", *words, "-o", "out.npy")
    assert 0 == code
    assert not [line for line in lines if line.startswith("warning")]


@pytest.mark.parametrize("words", [(), ("-p", "1"), ("-p", "valid", "-d", "2", "-s", "3")])
def test_overlap_divides_by_the_weights_that_land_there(words, upsample):
    image = np.random.default_rng(11).random((6, 7)).astype(np.float32)
    stride, dilation = ((3, 3), (2, 2)) if "-d" in words else ((2, 2), (1, 1))
    pads = {"": ((1, 0), (1, 0)), "1": ((1, 1), (1, 1)), "valid": ((0, 0), (0, 0))}[words[1] if words else ""]
    settings = {"stride": stride, "dilation": dilation, "pads": pads}
    weights = definition(np.ones_like(image), **settings)
    expected = np.divide(definition(image, **settings), weights, out=np.full_like(weights, np.nan), where=weights > 0)
    np.testing.assert_allclose(upsample(image, "-k", NINE, "--normalize", "overlap", *words), expected, atol=1e-6)


@pytest.mark.parametrize("border", ["zero", "edge", "y=zero,x=reflect", "constant=2"])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_where_nothing_lands_the_result_of_an_overlap_is_unknown(dtype, border, upsample):
    image = np.arange(1, 31).reshape(5, 6).astype(dtype)
    words = ("-k", "1 2; 3 4", "-p", "valid", "-s", "3", "--normalize", "overlap", "-b", border, "-t", "float64")
    found = upsample(image, *words)
    landed = definition(np.ones((5, 6)), np.ones((1, 1, 2, 2)), stride=(3, 3)) > 0
    np.testing.assert_array_equal(~landed, np.isnan(found))
    np.testing.assert_allclose(np.kron(image, np.ones((3, 3)))[:14, :17][landed], found[landed], rtol=1e-6)


# --- enlargement by a scale


SCALES = [*product(NAMES, ("2", "3", "1.5", "4/3", "2.37", "1", "0.5", "0.3"))]
SCALES = [
    each for each in SCALES if each not in {("nearest", "1.5"), ("nearest", "0.3")}
]  # Pillow's ties fall by chance


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_a_scale_has_the_pixels_of_pillow(name, scale, upsample):
    image = np.random.default_rng(12).standard_normal((37, 42)).astype(np.float32)
    rows, columns = (round(n * Fraction(scale)) for n in image.shape)
    expected = np.asarray(Pillow.fromarray(image).resize((columns, rows), FILTERS[name]))
    np.testing.assert_allclose(upsample(image, "-k", name, "--scale", scale, "--verify"), expected, atol=3e-6)


def test_axes_have_scales_of_their_own(upsample):
    image = np.random.default_rng(13).standard_normal((9, 10)).astype(np.float32)
    expected = np.asarray(Pillow.fromarray(image).resize((15, 18), Pillow.BICUBIC))
    np.testing.assert_allclose(upsample(image, "-k", "bicubic", "--scale", "2,1.5"), expected, atol=3e-6)


def test_a_volume_is_scaled_axis_by_axis(upsample):
    image = np.random.default_rng(14).standard_normal((4, 5, 6)).astype(np.float32)
    flat = upsample(image, "-k", "lanczos", "--scale", "1.5,2")
    deep = upsample(image, "-k", "lanczos", "--scale", "2,1.5,2", "--3d")
    assert (8, 8, 12) == deep.shape
    along = np.asarray(Pillow.fromarray(flat.reshape(4, -1)).resize((96, 8), Pillow.LANCZOS))
    np.testing.assert_allclose(deep.reshape(8, -1), along, atol=1e-5)


@pytest.mark.parametrize("border", ["edge", "reflect", "wrap", "zero"])
def test_a_border_may_stand_outside_of_what_is_scaled(border, upsample):
    image = np.random.default_rng(15).standard_normal((8, 9)).astype(np.float32)
    large = upsample(image, "-k", "bicubic", "--scale", 2, "--border", border)
    np.testing.assert_allclose(upsample(image, "-k", "bicubic", "--border", border), large, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float32", "float64"])
def test_weights_sum_to_one_everywhere(dtype, upsample):
    image = np.full((7, 5), 201, dtype)
    for name, scale in product(NAMES, ("1.7", "3", "0.6")):
        np.testing.assert_allclose(upsample(image, "-k", name, "--scale", scale), 201, rtol=1e-6 if "f" in dtype else 0)


# --- mistakes

WRONG = {
    ("-k", "box:3", "--scale", "2"): "--scale takes nearest, bilinear, bicubic, lanczos, not 'box:3'",
    ("-k", "bilinear", "--scale", "x"): "'x' is not a factor; give 2, 1.5 or 4/3, or 2 of them with commas",
    ("-k", "bilinear", "--scale", "1,2,3"): "'1,2,3' has 3 factors; give 1 or 2",
    ("-k", "bilinear", "--scale", "0"): "'0' is not between 0 and 10000",
    ("-k", "bilinear", "--scale", "2", "-s", "2"): "has no meaning with --scale",
    ("-k", "bilinear", "--scale", "2", "--method", "fft"): "an enlargement by --scale is separable, never fft",
    ("-k", "bilinear", "--groups", "2"): "groups need a filter bank (I, O/g, kh, kw)",
    ("-k", "sobel", "--normalize", "overlap"): "the kernel may have no negative taps",
    ("-k", "bilinear", "-k", "bicubic"): "2 kernels; upsample lays one, or a filter bank",
    ("-k", "box:3", "--output-padding", "1", "--output-size", "9"): "the output size decides the output padding",
    ("-k", "box:3", "-s", "0"): "0 is too small; it must be at least 1",
}
IMPOSSIBLE = {
    ("-k", "box:3", "-p", "1", "--output-size", "9"): "4 pixels along Y become 7 to 8, not 9",
    ("-k", "box:3", "-p", "1", "--output-padding", "2"): "4 pixels along Y become 7 to 8, not 9",
    ("-k", "box:3", "-p", "5"): "the padding 5 + 5 takes all 2 (4 - 1) + 3 pixels along Y; pad less",
    ("-k", "bilinear", "--scale", "0.01"): "4 pixels along Y times 0.01 is none; use a larger --scale",
}


@pytest.mark.parametrize("words", [*WRONG, *IMPOSSIBLE])
def test_a_mistake_is_told_in_a_line(words, run):
    np.save("in.npy", np.ones((4, 4), np.float32))
    code, errors = run("upsample", "in.npy", *words, "-o", "out.npy")
    message, expected = (WRONG[words], 2) if words in WRONG else (IMPOSSIBLE[words], 1)
    assert expected == code
    assert 1 == len(errors)
    assert message in errors[0]


@pytest.mark.parametrize("border", ["zero", "edge", "constant=nan"])
def test_results_that_have_no_place_are_neither_counted_nor_verified(tmp_path, border, capfd):
    """NaN in a corner meet results of the first cells that lie outside the output."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((9, 7), np.float32)
    image[0, 0] = image[8, 3] = np.nan
    np.save(tmp_path / "in.npy", image)
    np.save(tmp_path / "bank.npy", rng.standard_normal((1, 2, 4, 4), np.float32))
    words = ("-k", tmp_path / "bank.npy", "--stride", "2", "--padding", "1", "-b", border, "--verify", "--json")
    run = InProcess(capfd)
    assert 0 == run("upsample", tmp_path / "in.npy", *words, "-o", tmp_path / "out.npy")[0]
    found, told = np.load(tmp_path / "out.npy"), json.loads(run.output)
    assert (2, 18, 14) == found.shape
    assert np.isnan(found).sum() == told["nan"]
    assert told["verified"]


def test_images_of_a_kind_share_a_plan_whatever_their_metadata_hold():
    """Arrays, such as the tables of colours that ImageJ writes, cannot be compared as plain values."""
    image = np.ones((6, 7), np.float32)
    infos = [ImageInfo(image.shape, "float32", "YX", metadata={"luts": np.full(768, n)}) for n in range(2)]
    operation = build_transpose(TransposedOptions(kernel=["bilinear"], stride="2"), SampleOptions())
    works = [operation.on(info, Limits("auto", 1, 2**28)) for info in infos]
    assert works[0].parts is works[1].parts
    for work, info in zip(works, infos, strict=True):
        assert info.metadata["luts"] is work.after.metadata["luts"]
        assert (12, 14) == work.run(Image(info, image))[0].data.shape


def test_a_resampled_axis_is_told_apart_by_all_that_it_says():
    axes = [Resampled(8, 4, wanted, name, inside) for wanted in (9, 16) for name in CURVES for inside in (True, False)]
    assert len(axes) == len({*axes, Geometry(8, 4), *map(pickle.loads, map(pickle.dumps, axes))}) - 1
    assert all(axis != Geometry(8, 4) for axis in axes)
