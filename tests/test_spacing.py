"""`--spacing`: how far apart samples are, in place of what the file says, for lengths in units and in the output."""

import json

import numpy as np
import pytest
import tifffile

from convcli.formats import probe

COMMANDS = {
    "conv2d": ("conv2d {} -k gaussian:{}", "1um,2um", "2,8"),
    "conv3d": ("conv3d {} -k gaussian:{}", "2um,1um,2um", "1,2,8"),
    "separable": ("separable {} --depthwise gaussian:{} --pointwise 1", "1um,2um", "2,8"),
    "dilate": ("dilate {} -k box:{} --rate 2", "1.5um,0.75um", "3,3"),
    "upsample": ("upsample {} -k gaussian:{} -s 2", "0.5um,0.25um", "2,2"),
}
IN_MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "mm": 1.0, "cm": 10.0, "in": 25.4, "inch": 25.4}


def plain(shape=(5, 20, 22), name="in.tif", **more):
    """A file that says nothing of sizes, unless `more` does."""
    image = np.random.default_rng(2).integers(0, 200, shape).astype("u1")
    tifffile.imwrite(name, image, **{"photometric": "minisblack", "metadata": None} | more)


def millimetres(info):
    """The distance between samples along each axis."""
    return {axis: pytest.approx(step * IN_MILLIMETRES[unit], rel=1e-4) for axis, (step, unit) in info.steps.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_lengths_in_units_are_measured_by_it(run, command):
    words, lengths, samples = COMMANDS[command]
    plain()
    assert 0 == run(*words.format("in.tif", lengths).split(), "--spacing", "2,0.5,0.25um", "-o", "um.tif", "-q")[0]
    assert 0 == run(*words.format("in.tif", samples).split(), "-o", "px.tif", "-q")[0]
    np.testing.assert_array_equal(tifffile.imread("px.tif"), tifffile.imread("um.tif"))


SAYING = {
    "nothing": {},
    "a resolution": {"resolution": (300, 300), "resolutionunit": "INCH"},
    "ImageJ": {"imagej": True, "resolution": (3, 4), "metadata": {"axes": "ZYX", "unit": "nm", "spacing": 7.0}},
    "OME": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 9.0, "PhysicalSizeY": 9.0, "PhysicalSizeZ": 3.0}},
}


@pytest.mark.parametrize("says", SAYING)
@pytest.mark.parametrize("target", ["o.tif", "o.ome.tif", "o.nii", "o.nii.gz"])
def test_volumes_are_written_with_it_whatever_the_file_says(run, tmp_path, says, target):
    plain(**SAYING[says])
    options = ("--axes", "ZYX") if says in ("nothing", "a resolution") else ()
    words = ("conv3d", "in.tif", *options, "-k", "box:3", "-s", "1,2,2", "--spacing", "2,0.5,0.5um", "-o", target, "-q")
    assert 0 == run(*words)[0]
    info = probe(tmp_path / target)
    assert {"Z": 2e-3, "Y": 1e-3, "X": 1e-3} == millimetres(info)


@pytest.mark.parametrize("target", ["o.tif", "o.png", "o.jpg", "o.bmp", "o.nii"])
@pytest.mark.parametrize(
    ("spacing", "x", "y"), [("0.5um", 5e-4, 5e-4), ("2,1mm", 1.0, 2.0), ("300um,0.02cm", 0.2, 0.3)]
)
def test_pictures_are_written_with_it(run, tmp_path, target, spacing, x, y):
    if (target, spacing) == ("o.bmp", "2,1mm"):
        pytest.skip("Pillow rounds dots per inch")
    plain((20, 22))
    assert 0 == run("conv2d", "in.tif", "-k", "box:3", "--spacing", spacing, "-o", target, "-q")[0]
    found = probe(tmp_path / target).steps
    assert pytest.approx({"X": x, "Y": y}, rel=0.02) == {
        axis: step * IN_MILLIMETRES[unit] for axis, (step, unit) in found.items()
    }


@pytest.mark.parametrize("target", ["o.tif", "o.png", "o.jpg", "o.webp"])
def test_sizes_that_a_format_has_no_numbers_for_stand_in_its_exif(run, tmp_path, target):
    plain((20, 22))
    assert 0 == run("conv2d", "in.tif", "-k", "box:3", "--spacing", "30nm", "-o", target, "-q")[0]
    assert {"X": 3e-5, "Y": 3e-5} == millimetres(probe(tmp_path / target))


def test_affines_of_a_nifti_keep_their_directions_and_origin(run, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    affine = np.array([[0.0, -2, 0, 10], [3, 0, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(np.zeros((6, 7, 8), "f4"), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nibabel.save(image, tmp_path / "in.nii")
    words = ("conv3d", "in.nii", "-k", "box:3", "-o", "o.nii", "-q")
    assert 0 == run(*words, "--spacing", "8um,1um,0.5mm")[0]
    found = nibabel.load("o.nii")
    np.testing.assert_allclose([0.5, 1e-3, 8e-3], found.header.get_zooms(), rtol=1e-6)
    np.testing.assert_allclose(found.affine[:3, 3], affine[:3, 3])
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(found.affine[:3, :3], directions * found.header.get_zooms(), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5um", {"Z": 0.5e-3, "Y": 0.5e-3, "X": 0.5e-3}),
        ("2,0.2,0.2um", {"Z": 2e-3, "Y": 0.2e-3, "X": 0.2e-3}),
        ("2um, 200nm, 200 nm", {"Z": 2e-3, "Y": 0.2e-3, "X": 0.2e-3}),
        ("1mm,200,300um", {"Z": 1.0, "Y": 0.2, "X": 0.3}),
        ("1,2mm", {"Y": 1.0, "X": 2.0}),
        ("1in", {"Z": 25.4, "Y": 25.4, "X": 25.4}),
    ],
)
def test_one_length_is_for_all_axes_and_the_last_unit_for_all_without(run, text, expected):
    plain()
    assert 0 == run("conv2d", "in.tif", "-k", "box:3", "--spacing", text, "--explain", "--json", "-q")[0]
    told = json.loads(run.output)["spacing"]["input"]
    assert {axis: pytest.approx(mm) for axis, mm in expected.items()} == {
        axis: step * IN_MILLIMETRES[unit] for axis, (step, unit) in told.items()
    }


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("2,1", 2, "no length in a unit"),
        ("0um", 2, "greater than 0"),
        ("-1um", 2, "greater than 0"),
        ("um", 2, "no length"),
        ("1,,2um", 2, ""),
        ("1um,2,3,4um", 2, "4 lengths"),
        ("3parsec", 2, "no length in a unit"),
        ("1,1,1um", 1, "the image has Y, X"),
    ],
)
def test_what_is_no_spacing_of_the_image_is_refused(run, text, code, word):
    plain((20, 22))
    found, errors = run("conv2d", "in.tif", "-k", "box:3", f"--spacing={text}", "-o", "o.tif", "-q")
    assert (code, 1) == (found, len(errors))
    assert word in errors[0]
