"""NIfTI in and out: nibabel reads what convcli writes, with affine, scaling, header and extensions in place."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage

from convcli.errors import ConvError
from convcli.formats import probe, read

nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed (pip install '.[nifti]')")

TURN = np.array([[0, -1.5, 0], [2, 0, 0], [0, 0, 3]])
"""Columns: where a step along X, Y and Z leads, in millimetres."""
CLASSES = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}


def scan(shape=(9, 8, 7), dtype=np.int16, version=1, scaling=(None, None), order="<"):
    """A scan with everything in its header: shape is X, Y, Z as NIfTI counts."""
    data = np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = TURN, (-10, 20, 5)
    image = CLASSES[version](data, affine, CLASSES[version].header_class(endianness=order))
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(affine, 1)
    image.set_sform(affine, 2)
    image.header["descrip"] = b"Kopf"
    image.header.set_slope_inter(*scaling)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"a comment"))
    return image


def stored(image):
    """The numbers in a file, before scaling, as they lie there."""
    return np.asanyarray(image.dataobj.get_unscaled()).T


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_a_filtered_scan_is_the_scan_with_other_voxels(run, tmp_path, suffix, version, order, dtype):
    source = scan(dtype=dtype, version=version, order=order)
    nibabel.save(source, tmp_path / f"in{suffix}")
    assert (0, []) == run("conv3d", f"in{suffix}", "-k", "box:3", "-o", f"out{suffix}", "-q")
    result = nibabel.load(tmp_path / f"out{suffix}")
    expected = scipy.ndimage.uniform_filter(
        stored(nibabel.load(tmp_path / f"in{suffix}")).astype(float), 3, mode="nearest"
    )
    limit = 0.5001 if np.dtype(dtype).kind in "iu" else 1e-4
    assert np.abs(expected - stored(result)).max() <= limit
    assert (type(source), order) == (type(result), result.header.endianness)
    for key in set(source.header) - {"scl_slope", "scl_inter", "vox_offset"}:
        np.testing.assert_array_equal(source.header[key], result.header[key], err_msg=key)
    assert [b"a comment"] == [e.get_content() for e in result.header.extensions]


def test_axes_are_turned_around_and_spacing_has_its_unit(tmp_path):
    image = scan((9, 8, 7, 2))
    image.header.set_zooms((2, 1.5, 3, 0.8))
    nibabel.save(image, tmp_path / "in.nii")
    found = read(tmp_path / "in.nii")
    assert ("TZYX", (2, 7, 8, 9)) == (found.info.axes, found.info.shape)
    assert {"X": (2.0, "mm"), "Y": (1.5, "mm"), "Z": (3.0, "mm")} == {a: found.info.spacing[a] for a in "XYZ"}
    assert (pytest.approx(0.8), "s") == found.info.spacing["T"]
    np.testing.assert_array_equal(stored(nibabel.load(tmp_path / "in.nii")), found.data)


def test_times_are_filtered_one_by_one(run, tmp_path):
    nibabel.save(scan((9, 8, 7, 3)), tmp_path / "in.nii.gz")
    assert (0, []) == run("conv3d", "in.nii.gz", "-k", "gaussian:3mm", "-o", "out.nii.gz", "-q")
    before, after = (stored(nibabel.load(tmp_path / name)) for name in ("in.nii.gz", "out.nii.gz"))
    for volume, result in zip(before.astype(float), after, strict=True):
        expected = scipy.ndimage.gaussian_filter(volume, (1, 2, 1.5), mode="nearest")
        assert np.abs(expected - result).max() <= 0.501


@pytest.mark.parametrize("options", [("-s", "1,2,3"), ("-p", "valid"), ("-p", "valid", "-s", "2"), ("-p", "2:0")])
def test_voxels_stay_where_they_were_in_the_patient(run, tmp_path, options):
    image = scan()
    nibabel.save(image, tmp_path / "in.nii")
    ramps = np.stack(np.meshgrid(*map(np.arange, (9, 8, 7)), indexing="ij")).astype(np.float32)
    for axis, ramp in enumerate(ramps):
        place = CLASSES[1](ramp, image.affine, image.header)
        place.header.set_data_dtype(np.float32)
        nibabel.save(place, tmp_path / "ramp.nii")
        assert (0, []) == run("conv3d", "ramp.nii", "-k", "box:3", "-o", "out.nii", "-q", "-f", "-b", "edge", *options)
        result = nibabel.load(tmp_path / "out.nii")
        back = np.linalg.inv(image.affine) @ result.affine
        index = np.stack(np.meshgrid(*map(np.arange, result.shape), indexing="ij"), axis=-1)
        seen = nibabel.affines.apply_affine(back, index)[..., axis]
        inside = (seen >= 1) & (seen <= ramp.max() - 1)
        np.testing.assert_allclose(seen[inside], result.get_fdata()[inside], atol=1e-4)
        np.testing.assert_allclose(result.get_qform(), result.get_sform(), atol=1e-4)


@pytest.mark.parametrize(("kernel", "inter"), [("box:3", -1024), ("sobel:x", 0), ("3", -3072)])
def test_a_scaling_still_makes_the_measurements(run, tmp_path, kernel, inter):
    nibabel.save(scan(dtype=np.float32, scaling=(2, -1024)), tmp_path / "in.nii")
    code, lines = run("conv3d", "in.nii", "-k", kernel, "-o", "out.nii", "--strict")
    assert 0 == code, lines
    assert any("2 x - 1024 makes measurements" in line for line in lines)
    result = nibabel.load(tmp_path / "out.nii")
    assert (2, inter) == (result.dataobj.slope, result.dataobj.inter)
    assert (0, []) == run("kernels", "--3d", kernel, "-o", "taps.npy", "-f")
    measured = nibabel.load(tmp_path / "in.nii").get_fdata().T
    expected = scipy.ndimage.correlate(measured, np.load(tmp_path / "taps.npy"), mode="nearest")
    np.testing.assert_allclose(expected, result.get_fdata().T, atol=0.02)


def test_a_scaling_that_no_longer_fits_is_said(run, tmp_path):
    nibabel.save(scan(scaling=(2, -1024)), tmp_path / "in.nii")
    _, lines = run("conv3d", "in.nii", "-k", "box:3", "--range", "abs", "-o", "out.nii")
    assert any(line.startswith("warning") and "only the slope was kept" in line for line in lines)
    _, lines = run("conv3d", "in.nii", "-k", "box:3", "-o", "out.tif")
    assert any(line.startswith("warning") and "TIFF holds no scaling (2 x -1024)" in line for line in lines)


def test_other_formats_become_nifti_with_their_spacing(run, tmp_path):
    import tifffile

    volume = np.random.default_rng(2).integers(0, 999, (2, 5, 3, 8, 9), np.uint16)
    units = {"axes": "TZCYX", "spacing": 2.0, "unit": "um", "finterval": 0.5}
    tifffile.imwrite(tmp_path / "in.tif", volume, imagej=True, resolution=(5, 4), metadata=units)
    assert (0, []) == run("conv3d", "in.tif", "-k", "identity", "-o", "out.nii", "-q")
    result = nibabel.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(volume.transpose(2, 0, 1, 3, 4), stored(result))
    assert ("micron", "sec") == result.header.get_xyzt_units()
    np.testing.assert_allclose((0.2, 0.25, 2, 0.5), result.header.get_zooms()[:4], rtol=1e-6)


def test_colours_stay_colours(run, tmp_path):
    data = np.random.default_rng(2).integers(0, 256, (6, 7, 5, 3), np.uint8)
    structured = data.copy().view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nibabel.save(nibabel.Nifti1Image(structured, np.eye(4)), tmp_path / "in.nii")
    info = probe(tmp_path / "in.nii")
    assert ("ZYXS", (5, 7, 6, 3), "rgb") == (info.axes, info.shape, info.samples)
    assert (0, []) == run("conv3d", "in.nii", "-k", "identity", "-o", "out.nii", "-q")
    np.testing.assert_array_equal(structured, np.asanyarray(nibabel.load(tmp_path / "out.nii").dataobj))


def damaged(data, name):
    return {
        "cut": data[:-100],
        "cut in the header": data[:200],
        "pair": data[:344] + b"ni1\0" + data[348:],
        "start": data[:108] + np.float32(4).tobytes() + data[112:],
        "dimensions": data[:40] + np.int16(9).tobytes() + data[42:],
        "complex": data[:70] + np.int16(32).tobytes() + data[72:],
        "huge": data[:42] + np.array([30000] * 3, np.int16).tobytes() + data[48:],
    }[name]


BAD = {
    "cut": ("cut short: 100 bytes", "corrupt"),
    "cut in the header": ("200 of 348 bytes", "corrupt"),
    "pair": ("half of a pair", "unknown-format"),
    "start": ("inside the header", "corrupt"),
    "dimensions": ("magic", "corrupt"),
    "complex": ("complex64", "dtype"),
    "huge": ("cut short", "corrupt"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_is_one_line(tmp_path, name):
    nibabel.save(scan(), tmp_path / "in.nii")
    with pytest.raises(ConvError) as raised:
        read_bytes = damaged((tmp_path / "in.nii").read_bytes(), name)
        read(read_bytes)
    assert BAD[name][0] in str(raised.value)
    assert BAD[name][1] == raised.value.code


def test_a_cut_gz_and_other_gz_are_one_line(tmp_path):
    import gzip

    nibabel.save(scan(), tmp_path / "in.nii.gz")
    for content, code in (
        ((tmp_path / "in.nii.gz").read_bytes()[:-300], "corrupt"),
        (gzip.compress(b"hello"), "unknown-format"),
        (b"\x1f\x8b123456789", "corrupt"),
    ):
        with pytest.raises(ConvError) as raised:
            read(content)
        assert code == raised.value.code


def test_what_nifti_cannot_hold_is_refused_before_any_work(run, tmp_path):
    nibabel.save(scan(), tmp_path / "in.nii")
    code, lines = run("conv3d", "in.nii", "-k", "box:3", "-t", "float16", "-o", "out.nii", "-q")
    assert (2, True) == (code, "not float16" in lines[0] and lines[0].endswith("[dtype]"))


def test_without_nibabel_one_line_says_how_to_get_it(tmp_path):
    nibabel.save(scan(), tmp_path / "in.nii")
    script = "import sys; sys.modules['nibabel'] = None; from convcli.cli import run; sys.exit(run(sys.argv[1:]))"
    words = ("conv3d", tmp_path / "in.nii", "-k", "box:3", "-o", tmp_path / "out.tif", "-q")
    done = subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert done.stderr.endswith("NIfTI needs nibabel: pip install 'convcli[nifti]' [codec-missing]\n")


def test_a_place_in_space_without_a_unit_is_in_millimetres(run):
    affine = np.diag([-2.0, 2, 3, 1])
    pixels = np.random.default_rng(0).integers(0, 900, (12, 11, 10)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(pixels, affine), "scan.nii")  # nibabel writes no unit
    plain = nibabel.Nifti1Image(pixels, None)
    plain.header["pixdim"][1:4] = 2
    nibabel.save(plain, "nowhere.nii")
    code, said = run("conv3d", "scan.nii", "-k", "gaussian:fwhm=6mm", "-v", "-o", "o.nii")
    assert (code, any("no unit of length: millimetres" in line for line in said)) == (0, True)
    sigmas = np.array([6 / 2, 6 / 2, 6 / 3]) / np.sqrt(8 * np.log(2))
    expected = pixels.astype(float)
    for axis, sigma in enumerate(sigmas):
        reach = int(4 * sigma + 0.5)
        taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / 2 / sigma**2)
        expected = scipy.ndimage.correlate1d(expected, taps / taps.sum(), axis, mode="nearest")
    made = nibabel.load("o.nii")
    assert np.abs(made.get_fdata() - expected).max() < 0.51
    np.testing.assert_array_equal(made.affine, affine)
    assert made.header.get_xyzt_units()[0] == "unknown"  # as it was
    code, said = run("conv3d", "nowhere.nii", "-k", "gaussian:fwhm=6mm", "-o", "p.nii")
    assert (code, "does not say how far apart" in said[0]) == (2, True)
