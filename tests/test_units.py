"""Lengths in units: what `gaussian:2um` is on an image depends on how far apart its samples are."""

import json

import numpy as np
import pytest
import scipy.ndimage
import tifffile


def stack(unit="um", spacing=2.0, density=(5, 4), name="in.tif"):
    """An ImageJ stack; `density` is pixels per unit in x and y."""
    volume = np.random.default_rng(6).integers(0, 60000, (7, 24, 26), dtype=np.uint16)
    metadata = {"axes": "ZYX", "unit": unit} | ({"spacing": spacing} if spacing else {})
    tifffile.imwrite(name, volume, imagej=True, resolution=density, metadata=metadata)
    return volume.astype(float)


@pytest.mark.parametrize("length", ["2um", "2µm", "2μm", "2micron", "2000nm", "0.002mm", "2e-4cm", "2e-6m"])
def test_all_spellings_of_a_length_are_the_same(run, length):
    volume = stack()
    assert (0, []) == run("conv3d", "in.tif", "-k", f"gaussian:{length}", "-o", "out.tif", "-qq")
    expected = scipy.ndimage.gaussian_filter(volume, (1, 8, 10), mode="nearest")
    assert np.abs(expected - tifffile.imread("out.tif")).max() <= 0.501


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1e-3), ("micron", 1), ("mm", 1e3), ("inch", 25400)])
def test_an_image_may_have_any_unit(run, unit, factor):
    volume = stack(unit, spacing=2 / factor, density=(5 * factor, 4 * factor))
    assert (0, []) == run("conv3d", "in.tif", "-k", "gaussian:2um,1um,1um", "-o", "out.tif", "-qq")
    expected = scipy.ndimage.gaussian_filter(volume, (1, 4, 5), mode="nearest")
    assert np.abs(expected - tifffile.imread("out.tif")).max() <= 0.501


def test_a_box_is_rounded_to_odd_sizes_and_it_is_said(run):
    volume = stack()
    code, lines = run("conv3d", "in.tif", "-k", "box:3um", "-o", "out.tif", "--strict")
    assert 0 == code
    said = "box:3um is box:1,13,15 here: Z 1 tap of 2 um = 2 um, Y 13 taps of 0.25 um = 3.25 um, X 15 taps"
    assert any(said in line for line in lines)
    expected = scipy.ndimage.uniform_filter(volume, (1, 13, 15), mode="nearest")
    assert np.abs(expected - tifffile.imread("out.tif")).max() <= 0.501


def test_every_image_of_a_batch_has_its_own_kernel(run):
    stack(name="a.tif")
    stack(name="b.tif", spacing=1.0, density=(2, 2))
    words = ("-k", "ball:2um", "-k", "gaussian:1px", "-o", "{stem}-out.tif", "--json", "-qq")
    assert (0, []) == run("conv3d", "a.tif", "b.tif", *words)
    reports = [report for line in run.output.splitlines() if "kernel" in (report := json.loads(line))]
    names = {report["input"]: report["kernel"]["name"] for report in reports}
    assert {"a.tif": "ball:1,8,10, gaussian:1", "b.tif": "ball:2,4,4, gaussian:1"} == names


def test_planes_need_the_spacing_of_rows_and_columns_alone(run):
    volume = stack(spacing=None)
    assert (0, []) == run("conv2d", "in.tif", "-k", "gaussian:1um", "-o", "out.tif", "-qq")
    expected = scipy.ndimage.gaussian_filter(volume, (0, 4, 5), mode="nearest")
    assert np.abs(expected - tifffile.imread("out.tif")).max() <= 0.501


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (
            "gaussian:1um",
            "sigma is in um, but the image does not say how far apart samples are along Z; use px or --spacing",
        ),
        ("gaussian:1parsec", "unknown unit 'parsec'; use px, pm, nm, um, mm, cm, m, in"),
        ("gaussian:1um,2um", "takes 1 value or 3 (z,y,x), not 2"),
    ],
)
def test_what_cannot_be_measured_is_one_line(run, kernel, message):
    stack(spacing=None)
    code, lines = run("conv3d", "in.tif", "-k", kernel, "-o", "out.tif", "-qq")
    assert (2, 1) == (code, len(lines))
    assert message in lines[0]
    assert lines[0].endswith("[kernel]")


def test_kernels_shows_a_length_at_a_given_spacing(run):
    words = ("kernels", "--3d", "box:3um", "--spacing", "2um,250nm,0.2um", "--json")
    assert (0, []) == run(*words)
    assert [1, 13, 15] == json.loads(run.output)["kernels"][0]["shape"]
    code, lines = run("kernels", "box:3um")
    assert (2, True) == (code, "--spacing" in lines[0])
    code, lines = run("kernels", "box:3um", "--spacing", "2")
    assert (2, True) == (code, "'2' is no length in a unit" in lines[0])


@pytest.mark.parametrize("kernel", ["gaussian:fwhm=8,6,4mm", "gaussian:fwhm=8mm,6mm,0.4cm"])
def test_a_width_at_half_maximum_is_a_sigma_and_a_unit_behind_the_last_number_is_that_of_all(run, kernel):
    volume = np.random.default_rng(6).random((9, 24, 26)).astype(np.float32)
    np.save("in.npy", volume)
    words = ("--axes", "ZYX", "--spacing", "2,1,0.5mm", "-qq", "-o", "out.npy")
    assert (0, []) == run("conv3d", "in.npy", "-k", kernel, *words)
    sigmas = np.array([8, 6, 4]) / [2, 1, 0.5] / np.sqrt(8 * np.log(2))
    expected = scipy.ndimage.gaussian_filter(volume.astype(float), sigmas, mode="nearest")
    np.testing.assert_allclose(np.load("out.npy"), expected, atol=2e-6)


def test_a_gaussian_is_half_as_high_at_half_its_width(run):
    np.save("in.npy", np.eye(1, 41, 20, np.float64))
    assert (0, []) == run("conv2d", "in.npy", "-k", "gaussian:fwhm=0,12", "-b", "zero", "-qq", "-o", "out.npy")
    (row,) = np.load("out.npy")
    np.testing.assert_allclose([0.5, 0.5], row[[14, 26]] / row[20], rtol=1e-12)


@pytest.mark.parametrize("kernel", ["gaussian:3,0", "gaussian:fwhm=7.06446013509,0", "gaussian:3,0,size=25"])
def test_an_axis_with_a_sigma_of_0_is_left_alone(run, kernel):
    image = np.random.default_rng(6).random((24, 26))
    np.save("in.npy", image)
    assert (0, []) == run("conv2d", "in.npy", "-k", kernel, "-qq", "-o", "out.npy")
    expected = scipy.ndimage.gaussian_filter(image, (3, 0), mode="nearest")
    np.testing.assert_allclose(np.load("out.npy"), expected, atol=1e-9)


def test_a_length_of_0_needs_no_spacing(run):
    volume = stack(spacing=None)
    assert (0, []) == run("conv3d", "in.tif", "-k", "gaussian:0um,1um,1um", "-o", "out.tif", "-qq")
    expected = scipy.ndimage.gaussian_filter(volume, (0, 4, 5), mode="nearest")
    assert np.abs(expected - tifffile.imread("out.tif")).max() <= 0.501
