"""Where and what is filtered: regions, channels, luma and masks; the rest has the bits of the input."""

import json
import pickle
import shutil

import numpy as np
import pytest
import scipy.ndimage as ndi
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

import convcli
from command import convcli as convcli_command
from convcli import ConvError, Image, ImageInfo, Numbers, convolve, dilate, separable
from convcli.api.plans import request
from convcli.filters.filter import TIE
from convcli.operations.operation import Limits
from test_stages import check_boxes

MODES = {"edge": "nearest", "reflect": "mirror", "symmetric": "reflect", "wrap": "wrap"}
"""What scipy.ndimage calls the borders."""
DTYPES = ("uint8", "int16", "uint16", "float32", "float64")
KERNELS = {2: ("gaussian:1", "box:3", "1 2 3; 0 4 1", "sobel:x"), 3: ("gaussian:0.7", "box:3", "1 2 | 3 4", "log:0.5")}
LUMA = np.array([0.2126, 0.7152, 0.0722])
PHOTO = "samples/photo.jpg"


def kernel_of(text, ndim):
    """A kernel, and its taps as SciPy has them."""
    kernel = convcli.parse_kernel(text, ndim)
    return kernel, kernel.array().reshape(kernel.spatial)


def correlated(planes, taps, border="edge"):
    """Planes (n, *space) correlated by SciPy in float64, the kernel's middle tap, k // 2, on the pixel."""
    return np.stack([ndi.correlate(plane.astype(np.float64), taps, mode=MODES[border]) for plane in planes])


def normalised(planes, known, taps, border="edge"):
    """The same by what is known alone, divided by the share of the kernel that met it; NaN where that is none."""
    values, share = (correlated(each, taps, border) for each in (np.where(known, planes, 0), known))
    met = correlated(known, (taps != 0).astype(float), border) > 0.5
    return np.where(met, values * taps.sum() / np.where(met, share, 1), np.nan)


def check(expected, chosen, image, found):
    """Chosen results are as expected, but for rounding; the rest has the image's bits."""
    assert found.dtype == image.dtype
    assert image[~chosen].tobytes() == found[~chosen].tobytes()
    expected, found = expected[chosen], found[chosen]
    if image.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5 * 20 * np.nanmax(np.abs(image)))
    else:
        limits, known = np.iinfo(image.dtype), ~np.isnan(expected)
        difference = found[known] - np.clip(expected[known], limits.min, limits.max)
        assert np.abs(difference).max(initial=0) <= 0.5 + TIE


def pixels_of(shape, dtype, rng):
    """Random samples over much of a type's range."""
    return (rng.random(shape) * {"uint8": 250, "int16": 30000, "uint16": 60000}.get(dtype, 1000)).astype(dtype)


def mask_of(kind, rng, shape):
    """A mask of a type, in which a half is inside; or all, or nothing."""
    if kind in ("all", "nothing"):
        return np.full(shape, kind == "all", np.uint8)
    marks = rng.random(shape) < 0.5
    return marks if kind == "bool" else marks.astype(kind) * np.array(0.25 if "float" in kind else 7, kind)


SLICES = [slice(None), slice(2, None), slice(None, -3), slice(1, -1), slice(4, 5), slice(-6, -2)]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    dtype=st.sampled_from(DTYPES),
    border=st.sampled_from(list(MODES)),
    ndim=st.sampled_from([2, 3]),
    method=st.sampled_from(["auto", "direct", "fft", "separable", "gemm"]),
    number=st.integers(0, 3),
    region=st.none() | st.lists(st.sampled_from(SLICES), min_size=3, max_size=3),
    channels=st.sampled_from([None, (0,), (2,), (0, 2), (0, 1, 2)]),
    mask=st.sampled_from([None, "bool", "uint8", "uint16", "float32", "all", "nothing"]),
    of_all=st.booleans(),
    reads=st.sampled_from(["inside", "all"]),
    seed=st.integers(0, 9),
)
def test_what_is_chosen_is_filtered_and_the_rest_has_the_bits_of_the_input(
    dtype, border, ndim, method, number, region, channels, mask, of_all, reads, seed
):
    shape, rng = (3, 13, 17) if ndim == 2 else (3, 7, 9, 11), np.random.default_rng(seed)
    (kernel, taps), image = kernel_of(KERNELS[ndim][number], ndim), pixels_of(shape, dtype, rng)
    marks = None if mask is None else mask_of(mask, rng, shape if of_all else shape[1:])
    reads = "all" if mask and taps.min() < 0 else reads if mask else "inside"
    known, chosen = np.broadcast_to(True if marks is None else marks != 0, shape), np.ones(shape, bool)
    if region:
        chosen[:] = False
        chosen[(slice(None), *region[:ndim])] = True
    if channels:
        chosen[sorted({0, 1, 2} - {*channels})] = False
    plain = marks is None or reads == "all"
    expected = correlated(image, taps, border) if plain else normalised(image, known, taps, border)
    method = "auto" if method == "separable" and number > 1 else method  # others are no sums of a few passes
    where = {"mask": marks, "mask_reads": reads, "region": region and region[:ndim], "channels": channels}
    found = convolve(image, kernel, axes="C" + "ZYX"[-ndim:], border=border, method=method, **where)
    check(expected, chosen & known, image, found)


@pytest.mark.parametrize("rule", ["keep", "ignore", "preserve", "zero"])
@pytest.mark.parametrize(("dtype", "nodata"), [("float32", None), ("float64", None), ("int16", -99)])
def test_missing_values_and_masks_compose(rule, dtype, nodata):
    rng = np.random.default_rng(4)
    shape, taps = (2, 30, 40), kernel_of("1 2 1; 2 4 2; 0 2 1", 2)[1]
    image, inside, missing = pixels_of(shape, dtype, rng), rng.random(shape[1:]) < 0.6, rng.random(shape) < 0.1
    image[missing] = np.nan if nodata is None else nodata
    known = inside & ~missing if rule in ("ignore", "preserve") else np.broadcast_to(inside, shape)
    expected = normalised(np.where(missing, 0, image), known, taps)
    if rule == "keep":
        expected[correlated(inside & missing, (taps != 0).astype(float)) > 0.5] = np.nan
    if rule == "preserve":
        expected[missing] = np.nan
    info = ImageInfo(shape, dtype, "CYX", missing=nodata)
    found = convolve(Image(info, image), taps, mask=inside, numbers=Numbers(nan=rule))
    chosen = np.broadcast_to(inside, shape)
    if nodata is not None:
        assert (found[chosen & np.isnan(expected)] == nodata).all()
        chosen = chosen & ~np.isnan(expected)
        check(expected, chosen, np.where(chosen, image, found), found)
    else:
        check(expected, chosen, image, found)


@pytest.mark.parametrize("least", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("masked", [False, True])
def test_results_from_too_little_are_missing(least, masked):
    rng, taps = np.random.default_rng(4), kernel_of("1 2 1; 2 4 2; 1 2 1", 2)[1]
    image, inside = rng.random((30, 40)), rng.random((30, 40)) < 0.6
    unknown = rng.random((30, 40)) < 0.4
    image[unknown] = np.nan
    known = inside & ~unknown if masked else ~unknown
    expected = normalised(np.where(unknown, 0, image)[None], known[None], taps)[0]
    expected[correlated(known[None], taps)[0] / 16 < least - 1e-9] = np.nan
    numbers = Numbers(nan="ignore", min_weight=least)
    found = convolve(image, taps, mask=inside if masked else None, numbers=numbers)
    chosen = inside if masked else np.ones(image.shape, bool)
    check(expected, chosen, image, found)
    assert np.isnan(expected[chosen]).any()
    assert masked or least == 1 or np.isfinite(expected).any()


def test_a_least_weight_needs_something_that_is_weighed(run):
    np.save("in.npy", np.ones((8, 9), np.uint8))
    np.save("m.npy", np.eye(8, 9, dtype=bool))
    laid = "upsample -k bilinear"
    for command in ("conv2d -k box:3", laid, f"{laid} --scale 2", "dilate -k box:3 --rate 2"):
        code, errors = run(*command.split(), "in.npy", "--min-weight", "0.5", "-f", "-o", "o.npy")
        assert (2, True) == (code, "give --nan ignore, --nan preserve or --mask, too" in errors[0])
    words = ("conv2d", "-k", "box:3", "in.npy", "--mask", "m.npy", "--min-weight", "0.2", "-t", "float32", "-q")
    assert 0 == run(*words, "-f", "-o", "o.npy")[0]
    assert np.isfinite(np.load("o.npy")).all()
    assert 0 == run(*words[:-4], "0.5", "-t", "float32", "-q", "-f", "-o", "o.npy")[0]
    assert np.isnan(np.load("o.npy").diagonal()[1:]).all()  # an edge that goes on makes more of the corner


def test_a_missing_value_inside_a_mask_is_an_error_where_that_is_asked_for_and_outside_none():
    image, mask = np.ones((6, 7), np.float32), np.ones((6, 7), bool)
    image[2, 3], mask[2, 3] = np.nan, False
    assert np.isnan(convolve(image, "box:3", mask=mask, numbers=Numbers(nan="error"))[2, 3])
    with pytest.raises(ConvError, match="there are NaN"):
        convolve(image, "box:3", mask=~mask, numbers=Numbers(nan="error"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_colour_in_a_mask_is_weighed_by_its_opacity(dtype):
    rng, taps = np.random.default_rng(5), kernel_of("gaussian:1", 2)[1]
    most = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    image = (rng.random((20, 30, 4)) * most).astype(dtype)
    image[..., 3] = np.maximum(image[..., 3], np.array(0.2 * most, dtype))
    inside = rng.random((20, 30)) < 0.6
    planes = np.moveaxis(image.astype(np.float64), -1, 0)
    alpha = correlated(inside[None] * planes[3:], taps)
    expected = np.concatenate([
        correlated(inside * planes[:3] * planes[3], taps) / np.where(inside, alpha, 1),
        alpha / np.where(inside, correlated(inside[None], taps), 1),
    ])  # fmt: skip
    info = ImageInfo(image.shape, dtype, "YXS", samples="rgb+alpha")
    found = convolve(Image(info, image), "gaussian:1", mask=inside)
    chosen = np.broadcast_to(inside[..., None], image.shape)
    check(np.moveaxis(expected, 0, -1), chosen, image, found)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_luma_is_filtered_and_chroma_stays(dtype, linear, alpha):
    rng, taps = np.random.default_rng(6), kernel_of("gaussian:1.5", 2)[1]
    full = 255 if dtype == "uint8" else 1.0
    image = (rng.random((24, 31, 3 + alpha)) * full).astype(dtype)
    if alpha:
        image[..., 3] = full
    light = image[..., :3] / full
    if linear:
        light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    luma = light @ LUMA
    changed = light + (correlated(luma[None], taps)[0] - luma)[..., None]
    if linear:
        changed = np.where(changed <= 0.0031308, changed * 12.92, 1.055 * np.maximum(changed, 0) ** (1 / 2.4) - 0.055)
    info = ImageInfo(image.shape, dtype, "YXS", samples="rgb+alpha" if alpha else "rgb")
    found = convolve(Image(info, image), "gaussian:1.5", channels="luma", numbers=Numbers(linear=linear))
    expected = np.concatenate([changed * full, image[..., 3:]], axis=-1)
    check(expected, np.broadcast_to(np.arange(3 + alpha) < 3, image.shape), image, found)


def test_results_of_another_type_are_beside_the_input_in_that_type(run):
    image = np.arange(-40, 40, dtype=np.int16).reshape(8, 10)
    np.save("in.npy", image)
    assert 0 == run("conv2d", "in.npy", "-k", "identity", "--region", ":4,:", "-t", "uint8", "--json", "-o", "o.npy")[0]
    np.testing.assert_array_equal(np.clip(image, 0, 255), np.load("o.npy"))
    assert {"below": 40, "above": 0} == json.loads(run.output)["clipped"]
    assert 0 == run("conv2d", "in.npy", "-k", "identity", "--region", ":4,:", "-t", "float32", "-o", "f.npy")[0]
    np.testing.assert_array_equal(image.astype(np.float32), np.load("f.npy"), strict=True)


def test_samples_that_are_not_chosen_are_not_counted_as_clipped(run):
    np.save("in.npy", np.full((10, 10), 200, np.uint8))
    np.save("m.npy", np.eye(10, dtype=bool))
    assert 0 == run("conv2d", "in.npy", "-k", "2", "--mask", "m.npy", "--json", "-o", "o.npy")[0]
    assert {"below": 0, "above": 10} == json.loads(run.output)["clipped"]
    np.testing.assert_array_equal(np.where(np.eye(10), 255, 200), np.load("o.npy"))


STAGED = {
    "region": ("CYX", (3, 170, 160), "", {"region": "20:90,:-5"}),
    "mask": ("CYX", (3, 170, 160), "", {"mask": 2}),
    "opacity": ("YXS", (170, 160, 4), "rgb+alpha", {"mask": 2, "channels": "R,B"}),
    "luma": ("YXS", (170, 160, 4), "rgb+alpha", {"channels": "luma", "region": "10:,20:99"}),
    "masked luma": ("YXS", (170, 160, 3), "rgb", {"channels": "luma", "mask": 2}),
    "volume": ("ZCYX", (9, 3, 70, 60), "", {"mask": 3}),
    "channel": ("ZCYX", (20, 3, 50, 60), "", {"region": "3:12,5:40,:", "channels": "1"}),
}


SPREAD = {"mask": {"chain": [1, 2]}, "luma": {"rates": [1, 2]}, "channel": {"rates": [1, 2]}}


@pytest.mark.sweep(2)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
@pytest.mark.parametrize("name", STAGED)
def test_a_box_alone_is_that_of_the_whole(name, dtype, monkeypatch):
    monkeypatch.setattr("convcli.engine.stages.selected.PIECE", 2**11)  # some pieces to a box
    axes, shape, samples, where = STAGED[name]
    rng = np.random.default_rng(len(name))
    if "mask" in where:
        space = [size for size, axis in zip(shape, axes, strict=True) if axis in "ZYX"]
        where = {**where, "mask": rng.random(space) < 0.7}
    pixels = (rng.random(shape) * 200).astype(dtype)
    if dtype == "float32":
        pixels.flat[rng.integers(pixels.size, size=5)] = [np.nan, np.inf, 3e38, np.nan, -np.inf]
    info, ndim = ImageInfo(shape, dtype, axes, samples=samples), 3 if "Z" in axes else 2
    cases = ("gaussian:1.5", "auto", "edge"), ("gaussian:2", "fft", "wrap"), ("box:4", "direct", "zero")
    for text, method, border in cases:
        kernel = convcli.parse_kernel(text, ndim)
        every = [request("convolve", kernel, border=border, **where)]
        if border == "edge" and name in SPREAD:
            every.append(request("dilate", kernel, border=border, **SPREAD[name], **where))
        for asked in every:
            check_boxes(asked.on(info, Limits(method, 2, 2**20)).stages, pixels, rng, count=2)


@pytest.mark.parametrize("spread", [{"rate": 2}, {"chain": [1, 2, 3]}], ids=["rate", "chain"])
def test_dilated_filters_leave_the_rest_alone_too(spread):
    rng = np.random.default_rng(8)
    image, inside = pixels_of((3, 60, 50), "float32", rng), rng.random((60, 50)) < 0.5
    whole = dilate(image, "box:3", axes="CYX", **spread)
    part, some = np.zeros((3, 60, 50), bool), np.zeros((3, 60, 50), bool)
    part[:, 3:40, :30], some[1] = True, True
    wheres = (
        ({"region": "3:40,:30"}, part),
        ({"channels": 1}, some),
        ({"mask": inside, "mask_reads": "all"}, np.broadcast_to(inside, image.shape)),
    )
    for where, chosen in wheres:
        expected = np.where(chosen, whole, image)
        found = dilate(image, "box:3", axes="CYX", **spread, **where)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert image[~chosen].tobytes() == found[~chosen].tobytes()


def apart(taps, rate):
    """Taps at a rate, with zeros between them."""
    spread = np.zeros([(size - 1) * rate + 1 for size in taps.shape])
    spread[(slice(None, None, rate),) * taps.ndim] = taps
    return spread


IN_A_MASK = ("rates", "joined", "chain", "kernels", "separable")


@pytest.mark.parametrize("reads", ["inside", "all"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("asked", IN_A_MASK)
def test_each_operation_in_a_mask_is_what_its_definition_says(asked, ndim, reads):
    shape, rng = (2, *{1: (90,), 2: (20, 27), 3: (9, 10, 11)}[ndim]), np.random.default_rng(ndim)
    image, inside = rng.random(shape), rng.random(shape[1:]) < 0.7
    planes = image[:1] if ndim == 1 else image
    data, axes, where = image[0] if ndim == 1 else image, "X" if ndim == 1 else "C" + "ZYX"[-ndim:], {}
    kernels = [convcli.parse_kernel(name, max(2, ndim)) for name in ("box:3", "gaussian:0.7")]
    names = ["box:3", "gaussian:0.7"] if ndim == 1 else kernels
    box, bell = (kernel_of(name, ndim)[1] for name in ("box:3", "gaussian:0.7")) if ndim > 1 else signals()
    where = {"mask": inside, "mask_reads": reads, "axes": axes}

    def filtered(planes, taps):
        if reads == "all":
            return correlated(planes, taps)
        return normalised(planes, np.broadcast_to(inside, planes.shape), taps)

    def beside(*results):
        every = np.stack([np.where(inside, each, planes) for each in results], axis=1)
        return every.reshape(-1, *shape[1:])

    if asked == "rates":
        expected = beside(*(filtered(planes, apart(box, rate)) for rate in (1, 2)))
        found = dilate(data, names[0], rates=[1, 2], **where)
    elif asked == "kernels":
        expected = beside(filtered(planes, box), filtered(planes, bell))
        found = convolve(data, names, **where)
    elif asked == "joined":
        expected = beside(np.maximum(*(filtered(planes, apart(box, rate)) for rate in (1, 2))))
        found = dilate(data, names[0], rates=[1, 2], combine="max", **where)
    elif asked == "chain":
        steps = planes
        for taps in (box, apart(bell, 2)):
            steps = filtered(steps, taps)  # what lies outside is seen by none of the steps, or by all
        expected, found = beside(steps), dilate(data, names, chain=[1, 2], **where)
    else:
        mix = np.array([[2.0]]) if ndim == 1 else np.array([[0.5, 0.25], [1, 3]])
        expected = beside(np.tensordot(mix, filtered(planes, bell), 1))
        found = separable(data, names[1], mix, **where)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-12)


def signals():
    """A box and a Gaussian of one dimension."""
    bell = np.exp(-(np.arange(-3, 4) ** 2) / 2 / 0.7**2)
    return np.full(3, 1 / 3), bell / bell.sum()


@pytest.mark.parametrize("rule", ["keep", "ignore", "preserve", "zero"])
@pytest.mark.parametrize("least", [0.0, 0.4])
def test_a_chain_in_a_mask_is_one_step_after_the_other(rule, least):
    rng = np.random.default_rng(11)
    image, inside = rng.random((40, 30)), rng.random((40, 30)) < 0.6
    image[3, 4] = image[20, 2] = np.nan
    numbers = Numbers(nan=rule, min_weight=least)
    found = dilate(image, "gaussian:1", chain=[1, 2], mask=inside, numbers=numbers)
    steps = convolve(image, "gaussian:1", mask=inside, numbers=numbers)
    expected = dilate(steps, "gaussian:1", rate=2, mask=inside, numbers=numbers)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isfinite(found[inside]).any()
    assert rule != "keep" or np.isnan(found[inside]).sum() > 9


def test_colours_that_are_mixed_in_a_mask_become_features_beside_those_that_are_not(run):
    picture = pixels_of((30, 40, 3), "uint8", np.random.default_rng(1))
    Picture.fromarray(picture).save("in.png")
    inside = np.random.default_rng(1).random(picture.shape[:2]) < 0.6
    np.save("m.npy", inside)
    words = ("--depthwise", "box:3", "--pointwise", "0 1 0; 1 0 0; .5 0 .5", "--mask", "m.npy", "-q", "--verify")
    assert 0 == run("separable", "in.png", *words, "-o", "o.npy")[0]
    planes = normalised(
        np.moveaxis(picture, -1, 0), np.broadcast_to(inside, (3, *inside.shape)), np.full((3, 3), 1 / 9)
    )
    mixed = np.stack([planes[1], planes[0], (planes[0] + planes[2]) / 2], axis=-1)
    np.testing.assert_allclose(np.load("o.npy"), np.where(inside[..., None], mixed, picture), rtol=1e-5)


def test_rates_in_a_region_stream_as_they_are_computed_at_once(run):
    rng = np.random.default_rng(3)
    image, inside = pixels_of((900, 700), "uint16", rng), rng.random((900, 700)) < 0.8
    tifffile.imwrite("in.tif", image, rowsperstrip=16)
    np.save("m.npy", inside)
    where = {"mask": inside, "region": "5:-7,100:300"}
    words = ("-k", "box:3", "--mask", "m.npy", "--region", "5:-7,100:300", "--memory", "1MiB", "-q", "--verify=20")
    for option, spread in (("--rates", {"rates": [1, 5]}), ("--chain", {"chain": [1, 5]})):
        assert 0 == run("dilate", "in.tif", option, "1,5", *words, "--json", "-f", "-o", "o.tif")[0]
        np.testing.assert_array_equal(dilate(image, "box:3", **spread, **where), tifffile.imread("o.tif"))
        told = json.loads(run.output)
        assert ([[5, -7], [100, 300]], 2) == (told["selection"]["region"], len(told["rates"]))
        assert told["macs"] == 2 * 9 * 888 * 200


def colours(run, sample, *words):
    """A photo, and what a command makes of it."""
    picture = np.asarray(Picture.open(sample))
    code, errors = run("conv2d", sample, *words, "-q", "--verify", "-f", "-o", "out.png")
    assert (0, []) == (code, errors)
    return picture, np.asarray(Picture.open("out.png"))


@pytest.fixture
def photo(request):
    """A photo's name."""
    return request.config.rootpath / PHOTO


def test_a_kernel_for_each_channel(run, photo):
    before, after = colours(run, photo, "-k", "gaussian:3@R", "-k", "box:5@2")
    assert before[..., 1].tobytes() == after[..., 1].tobytes()
    for number, kernel in ((0, "gaussian:3"), (2, "box:5")):
        expected = correlated(before[None, ..., number], kernel_of(kernel, 2)[1])[0]
        assert np.abs(after[..., number] - expected).max() <= 0.5 + TIE


def test_channels_go_by_the_names_in_the_file(run):
    image = pixels_of((2, 30, 20), "uint16", np.random.default_rng(1))
    tifffile.imwrite("in.ome.tif", image, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    tifffile.imwrite("in.tif", image, imagej=True, metadata={"axes": "CYX", "Labels": ["DAPI", "GFP"]})
    for name in ("in.ome.tif", "in.tif"):
        assert 0 == run("conv2d", name, "-k", "box:3", "--channels", "gfp", "-q", "-f", "-o", "o.npy")[0]
        chosen = np.broadcast_to([[[False]], [[True]]], image.shape)
        check(correlated(image, np.full((3, 3), 1 / 9)), chosen, image, np.load("o.npy"))


def test_a_mask_is_any_image_of_the_size(run):
    image, inside = pixels_of((20, 30), "uint8", np.random.default_rng(1)), np.zeros((20, 30), bool)
    inside[3:9, 4:20] = True
    np.save("in.npy", image)
    expected = convolve(image, "box:3", mask=inside)
    np.save("m.npy", inside)
    Picture.fromarray(inside.astype(np.uint8) * 9).save("m.png")
    Picture.fromarray(np.stack([inside * 0, inside * 3, inside * 0], axis=-1).astype(np.uint8)).save("colour.png")
    tifffile.imwrite("m.tif", np.where(inside, 0.5, np.nan).astype(np.float32))
    np.save("one.npy", inside[None])
    for mask in ("m.npy", "m.png", "colour.png", "m.tif", "one.npy"):
        assert 0 == run("conv2d", "in.npy", "-k", "box:3", "--mask", mask, "-q", "-f", "-o", "o.npy")[0]
        np.testing.assert_array_equal(expected, np.load("o.npy"), err_msg=mask, strict=True)


@pytest.mark.parametrize("kind", ["strips", "tiles", "npy"])
@pytest.mark.parametrize("memory", ["1MiB", "256MiB"])
def test_a_large_image_is_read_in_parts_as_any_other(run, memory, kind, monkeypatch):
    monkeypatch.setattr("convcli.operations.masks.LARGE", 0)  # the mask box by box, too
    rng = np.random.default_rng(3)
    image, inside = pixels_of((2500, 900), "float32", rng), rng.random((2500, 900)) < 0.8
    tifffile.imwrite("in.tif", image, rowsperstrip=16)
    mask = "m.npy" if kind == "npy" else "m.tif"
    if kind == "npy":
        np.save(mask, inside)
    else:
        cut = {"tile": (64, 64)} if kind == "tiles" else {"rowsperstrip": 8}
        tifffile.imwrite(mask, inside.astype(np.uint8), **cut)
    for where, named in ({"region": "5:-7,100:300"},) * 2, ({"mask": mask}, {"mask": inside}):
        words = [word for name, value in where.items() for word in (f"--{name}", value)]
        assert (
            0 == run("conv2d", "in.tif", "-k", "gaussian:3", *words, "--memory", memory, "-q", "-f", "-o", "o.tif")[0]
        )
        expected = convolve(image, "gaussian:3", **named)
        np.testing.assert_array_equal(expected, tifffile.imread("o.tif"))


def test_a_zarr_is_filtered_in_a_mask_by_other_processes(run):
    pytest.importorskip("distributed")
    rng = np.random.default_rng(3)
    image, inside = pixels_of((40, 50, 60), "uint16", rng), rng.random((40, 50, 60)) < 0.6
    tifffile.imwrite("in.tif", image, metadata={"axes": "ZYX"}, ome=True)
    np.save("m.npy", inside)
    for more in ((), ("--scheduler", "local:2")):
        shutil.rmtree("o.zarr", ignore_errors=True)
        words = ("-k", "gaussian:1", "--mask", "m.npy", "--region", "3:,:-9,:", "--chunks", "16,16,16", *more)
        assert 0 == run("conv3d", "in.tif", *words, "-q", "-f", "-o", "o.ome.zarr")[0]
        expected = convolve(image, convcli.parse_kernel("gaussian:1", 3), mask=inside, region="3:,:-9,:")
        np.testing.assert_array_equal(expected, convcli.read("o.ome.zarr").data)


def test_one_mask_serves_a_batch(run):
    rng = np.random.default_rng(3)
    images, inside = pixels_of((3, 20, 30), "uint8", rng), rng.random((20, 30)) < 0.6
    np.save("m.npy", inside)
    for number, image in enumerate(images):
        np.save(f"{number}.npy", image)
    names = [f"{number}.npy" for number in range(3)]
    assert 0 == run("conv2d", *names, "-k", "box:3", "--mask", "m.npy", "--jobs", 2, "-q", "-o", "{stem}-o.npy")[0]
    for number, image in enumerate(images):
        np.testing.assert_array_equal(convolve(image, "box:3", mask=inside), np.load(f"{number}-o.npy"))


REFUSED = {
    "-k box:3 --region 1:2": "the region has one slice, the image rows and columns",
    "-k box:3 --region 1:2:3,1": "is not a region",
    "-k box:3 --region 9:2,:": "the region 9:2 of Y is empty",
    "-k box:3 --region 1:2,:,:": "no axis Z",
    "-k box:3 --channels 3": "no channel '3'; its channels are 0 to 2 (R, G, B)",
    "-k box:3 --channels X": "no channel 'X'",
    "-k box:3 --channels R,": "names no channel between two commas",
    "-k box:3 --channels luma,R": "luma is made of R, G and B",
    "-k box:3 -s 2 --region :,:": "does not have the image's shape",
    "-k box:3 --channels luma --range abs": "of a luma turns colours into others",
    "-k box:3 --range rescale --channels R": "rescales the whole image",
    "-k box:3 --mask gone.png": "no such file",
    "-k box:3 --mask small.png": "the mask is YX 2x3, the image YXS 320x480x3",
    "-k box:3 --mask -": "is read again",
    "-k sobel:x --mask mask.png": "use --mask-reads all",
    "-k box:3 --mask-reads all": "give --mask, too",
    "-k box:3@R -k box:5": "'box:5' names no channel",
    "-k box:3@R -k box:5@0": "a channel has two kernels",
    "-k box:3@R,G,B -k box:5@R": "a channel has two kernels",
    "-k box:3@": "names no channel behind its @",
    "-k box:3@R --channels G": "leave one of the two out",
    "-k bank.npy --channels R": "this one sums over channels",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_fit_is_refused_before_any_work(run, photo, words):
    Picture.new("L", (3, 2)).save("small.png")
    Picture.new("L", (480, 320)).save("mask.png")
    np.save("bank.npy", np.ones((3, 3, 1, 1)))
    code, errors = run("conv2d", photo, *words.split(), "-o", "o.npy")
    assert code in (1, 2)
    assert REFUSED[words] in errors[0]
    assert 1 == len(errors)
    assert not (photo.parent / "o.npy").exists()


OTHERS = {
    "conv2d grey.npy -k box:3@0 -k box:5@0": "a channel has two kernels",
    "separable in.png --depthwise box:3 --pointwise 1,0,0;0,1,-1;0,0,1 --mask m.npy": "'--mask': divides by the kernel",
    "separable in.png --depthwise box:3 --pointwise 1,0,0 --mask m.npy": "as many results as channels",
    "separable in.png --depthwise box:3 --pointwise 1,0,0;0,1,0;0,0,1 --channels R": "this one sums over channels",
    "dilate in.png -k laplacian --rates 1,2 --mask m.npy": "use --mask-reads all",
    "dilate in.png -k box:3 --chain 1,2 -s 2 --mask m.npy": "does not have the image's shape",
    "conv2d alpha.png -k box:3 --channels A --alpha keep": "'--alpha': keeps the opacity, and nothing else is chosen",
}


@pytest.mark.parametrize("words", OTHERS)
def test_what_other_images_and_commands_cannot_is_refused_by_name(run, words):
    np.save("grey.npy", np.ones((8, 9), np.uint8))
    np.save("m.npy", np.ones((8, 9), bool))
    Picture.new("RGB", (9, 8)).save("in.png")
    Picture.new("RGBA", (9, 8)).save("alpha.png")
    code, errors = run(*words.split(), "-o", "o.tif")
    assert (True, 1) == (code in (1, 2), len(errors))
    assert OTHERS[words] in errors[0]


def test_a_kernel_of_many_numbers_is_for_a_channel_too(run, photo):
    taps = np.random.default_rng(3).integers(1, 9, (15, 15))
    text = "; ".join(" ".join(map(str, row)) for row in taps / taps.sum())
    before, after = colours(run, photo, "-k", f"{text}@R")
    assert np.abs(after[..., 0] - correlated(before[None, ..., 0], taps / taps.sum())[0]).max() <= 0.5 + TIE
    assert before[..., 1:].tobytes() == after[..., 1:].tobytes()


@pytest.mark.parametrize("name", ["DAPI (1)", "GFP.a", "a+b/c"])
def test_any_name_in_the_file_can_stand_behind_a_kernel(run, name):
    image = pixels_of((2, 30, 20), "uint16", np.random.default_rng(1))
    tifffile.imwrite("in.ome.tif", image, metadata={"axes": "CYX", "Channel": {"Name": ["other", name]}})
    assert 0 == run("conv2d", "in.ome.tif", "-k", f"box:3@{name}", "-q", "-o", "o.npy")[0]
    second = np.broadcast_to([[[False]], [[True]]], image.shape)
    check(correlated(image, np.full((3, 3), 1 / 9)), second, image, np.load("o.npy"))


def test_what_lies_in_channels_that_are_not_chosen_is_no_matter(run):
    image = pixels_of((20, 30, 3), "float32", np.random.default_rng(1))
    image[4, 5, 0] = np.nan
    tifffile.imwrite("in.tif", image, photometric="rgb")
    words = ("conv2d", "in.tif", "-k", "box:3", "--nan", "error", "-q")
    assert 0 == run(*words, "--channels", "G,B", "-o", "o.tif")[0]
    expected = np.moveaxis(correlated(np.moveaxis(image, -1, 0), np.full((3, 3), 1 / 9)), 0, -1)
    others = np.broadcast_to([False, True, True], image.shape)
    check(np.where(others, expected, 0), others, image, tifffile.imread("o.tif"))
    code, errors = run(*words, "--channels", "R", "-o", "p.tif")
    assert (1, True) == (code, "there are NaN" in errors[0])


@pytest.mark.parametrize(("words", "share"), [("--region 10:20,5:25", 200 / 9600), ("--channels R", 1 / 3)])
def test_the_report_counts_what_is_computed(run, words, share):
    Picture.new("RGB", (120, 80)).save("in.png")
    kernel = "7x7:" + ",".join("1" * 49)
    assert 0 == run("conv2d", "in.png", "-k", kernel, *words.split(), "--json", "-q", "-o", "o.png")[0]
    assert round(80 * 120 * 3 * 49 * share) == json.loads(run.output)["macs"]


@pytest.mark.parametrize("linear", [False, True])
def test_a_scale_of_luma_leaves_chroma_alone(linear):
    image = np.random.default_rng(6).random((9, 8, 3)) * 0.5 + 0.2
    light = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4) if linear else image
    changed = light + ((0.8 - 1) * (light @ LUMA))[..., None]
    if linear:
        changed = np.where(changed <= 0.0031308, changed * 12.92, 1.055 * np.maximum(changed, 0) ** (1 / 2.4) - 0.055)
    info = ImageInfo(image.shape, "float64", "YXS", samples="rgb")
    found = convolve(Image(info, image), "identity", channels="luma", numbers=Numbers(linear=linear, scale=0.8))
    np.testing.assert_allclose(found, changed, atol=1e-6)


def test_missing_values_are_no_numbers_beside_what_is_filtered():
    image = np.arange(80, dtype=np.float32).reshape(8, 10)
    image[::3, ::3] = 300
    info = ImageInfo(image.shape, "float32", "YX", missing=300)
    found = convolve(Image(info, image), "identity", region=":2,:", dtype="uint8")
    np.testing.assert_array_equal(np.where(image == 300, 0, image), found)  # 255 where 300 were clipped


def test_colours_that_are_missing_have_no_luma():
    image = np.full((6, 7, 3), 50, np.uint8)
    image[2, 3] = 7
    info = ImageInfo(image.shape, "uint8", "YXS", samples="rgb", missing=7)
    found = convolve(Image(info, image), "box:3", channels="luma", numbers=Numbers(nan="ignore"))
    np.testing.assert_array_equal(image, found)


def test_a_request_with_a_mask_is_a_small_value(run):
    np.save("m.npy", np.ones((200, 300), bool))
    asked = request("convolve", "gaussian:2", mask="m.npy", region="1:,:-5", channels="0")
    assert asked == request("convolve", "gaussian:2", mask="m.npy", region=[(1, None), (None, -5)], channels=[0])
    assert asked == pickle.loads(pickle.dumps(asked))
    assert len(pickle.dumps(asked)) < 4096
    np.save("m.npy", np.ones((201, 300), bool))
    with pytest.raises(ConvError, match="changed"):
        run_it(asked)


def run_it(asked):
    """What a request makes of an image."""
    work = asked.on(ImageInfo((200, 300), "uint8", "YX"))
    return work.run(Image(work.before, np.zeros((200, 300), np.uint8)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_would_change_by_less_than_a_threshold_stays(data):
    dtype = np.dtype(data.draw(st.sampled_from([*DTYPES, "int64", "uint64"])))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = data.draw(st.sampled_from([(9, 11), (7, 8, 3), (40,)]))
    largest = 1 if dtype.kind == "f" else 100
    image = (rng.random(shape) * largest).astype(dtype)
    kernel = data.draw(st.sampled_from(["unsharp:1,2", "gaussian:1", "sharpen"]))
    least = data.draw(st.sampled_from([0.0, 0.05, 1.0, 20.0, 1e9]))
    more = data.draw(st.sampled_from([{}, {"region": "2:-2" if len(shape) == 1 else "2:-2,1:7"}]))
    axes = "YXS"[: len(shape)] if len(shape) > 1 else "X"

    found = convolve(image, kernel, axes=axes, threshold=least, **more)

    plain = convolve(image, kernel, axes=axes, **more)
    change = np.abs(plain.astype(np.float64) - image.astype(np.float64))
    assert found.dtype == plain.dtype
    np.testing.assert_array_equal(found, np.where(change < least, image, plain))


def test_a_threshold_leaves_noise_alone_and_sharpens_edges(tmp_path):
    rng = np.random.default_rng(2)
    image = np.where(np.arange(64) < 32, 60, 180)[None] + rng.integers(-2, 3, (64, 64))
    Picture.fromarray(image.astype(np.uint8)).save(tmp_path / "a.png")
    words = (
        "conv2d",
        tmp_path / "a.png",
        "-k",
        "unsharp:2,1.5",
        "--threshold",
        "12",
        "--json",
        "-o",
        tmp_path / "b.png",
    )

    done = convcli_command(*words)

    made, told = np.asarray(Picture.open(tmp_path / "b.png")).astype(int), json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert told["selection"]["threshold"] == 12
    assert np.array_equal(made[:, 10:20], image[:, 10:20])
    assert np.array_equal(made[:, 45:55], image[:, 45:55])
    assert (made[:, 32] - image[:, 32] >= 12).all()
    assert (image[:, 31] - made[:, 31] >= 12).all()


@pytest.mark.parametrize("wrong", ["-1", "nan", "x"])
def test_a_threshold_is_a_number_from_0_on(wrong, tmp_path):
    done = convcli_command("conv2d", PHOTO, "-k", "sharpen", f"--threshold={wrong}", "-o", tmp_path / "b.png")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    with pytest.raises(ConvError, match="threshold"):
        convolve(np.ones((3, 3)), "sharpen", threshold=float("nan"))


def test_kernels_name_their_channels_in_python_too():
    image = np.random.default_rng(4).random((20, 24, 3))

    found = convolve(image, ["gaussian:2@0", "box:3@2"], axes="YXS")

    one, two = convolve(image, "gaussian:2", axes="YXS"), convolve(image, "box:3", axes="YXS")
    np.testing.assert_array_equal(found, np.stack([one[..., 0], image[..., 1], two[..., 2]], -1))
    np.testing.assert_array_equal(convolve(image, "box:3@2", axes="YXS")[..., 2], two[..., 2])
    asked = request("convolve", ["gaussian:2@0", "box:3@2"])
    assert pickle.loads(pickle.dumps(asked)) == asked
    assert [each.channels for each in asked.parts] == [("0",), ("2",)]
    for wrong in (["gaussian:2@0", "box:3"], ["box:3@1", np.ones((3, 3))], "box:3@", "box:3@7"):
        with pytest.raises(ConvError):
            convolve(image, wrong, axes="YXS")


@pytest.mark.parametrize(
    "how", ["--rate 2", "--rates 1,2", "--rates 1,2 --combine max", "--chain 1,2,5", "--chain 2,2"]
)
def test_a_part_is_warned_of_what_the_whole_is(how, run):
    """Holes that a chain leaves; not those of a single rate, which was asked for."""
    np.save("in.npy", np.random.default_rng(1).random((30, 40), np.float32))
    np.save("m.npy", np.ones((30, 40), bool))
    out = "out{rate}.npy" if how == "--rates 1,2" else "out.npy"
    words = ("dilate", "in.npy", "-k", "box:3", *how.split(), "-q", "-f", "-o", out)
    whole = run(*words)
    assert whole == run(*words, "--mask", "m.npy") == run(*words, "--region", "5:20,5:20")
    assert (how == "--chain 2,2") == ("gridding" in "".join(whole[1]))
