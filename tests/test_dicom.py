"""DICOM in: pixels as pydicom decodes them, series in the order of their positions, distances and places kept."""

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from convcli.errors import ConvError
from convcli.formats import ReadOptions, probe, read
from convcli.formats.volumes.space import affine_of
from dicoms import ACROSS, DOWN, FIRST, NORMAL, dicom, slices

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed (pip install '.[dicom]')")

VOLUME = np.random.default_rng(9).integers(0, 2000, (9, 7, 6)).astype("<u2")
FILES = sorted(Path(pydicom.data.__file__).parent.glob("test_files/*.dcm"))
AXES = [*ACROSS, *DOWN]
LPS = np.column_stack([np.array(ACROSS) * 0.75, np.array(DOWN) * 0.5, NORMAL * 2.5, FIRST])
"""Where a step along X, Y and Z leads, and where the first sample lies."""


def folder_of(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def by_pydicom(path):
    """The pixels, colours as RGB; None where pydicom has no decoder for them, or there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path).pixel_array
        except (AttributeError, RuntimeError, NotImplementedError, ValueError, pydicom.errors.InvalidDicomError):
            return None


def test_pixels_are_those_that_pydicom_decodes():
    compared = 0
    for path in FILES:
        expected = by_pydicom(path)
        if expected is None:
            continue
        try:
            found = read(path).data
        except ConvError as error:
            assert error.code in ("dtype", "codec-missing", "corrupt"), path.name
            continue
        np.testing.assert_array_equal(np.squeeze(expected), np.squeeze(found), err_msg=path.name)
        compared += 1
    assert 35 <= compared


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_frame_of_another_size_than_the_file_says_is_not_decoded(name):
    path = next(path for path in FILES if path.name == name)
    dataset = pydicom.dcmread(path)
    dataset.Rows -= 1
    stream = io.BytesIO()
    dataset.save_as(stream)
    with pytest.raises(ConvError, match="stands where") as raised:
        read(stream.getvalue())
    assert "corrupt" == raised.value.code


def test_every_file_of_pydicom_is_read_or_refused_in_a_line():
    codes = {}
    for path in FILES:
        try:
            codes[path.name] = probe(path).format
            read(path)
        except ConvError as error:
            codes[path.name] = error.code
    assert {"dicom", "dtype", "corrupt", "codec-missing", "unknown-format"} == set(codes.values())
    assert "codec-missing" == codes["image_dfl.dcm"]
    assert "unknown-format" == codes["reportsi.dcm"]
    assert "corrupt" == codes["MR_truncated.dcm"]


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2", "<u4"])
@pytest.mark.parametrize("stored", [None, 6])
def test_bits_beside_the_stored_ones_are_no_part_of_a_number(dtype, stored):
    data = np.random.default_rng(1).integers(0, 255, (6, 5)).astype(dtype)
    content = dicom(data, **({"BitsStored": stored, "HighBit": stored - 1} if stored else {}))
    signed, bits = data.dtype.kind == "i", stored or 8 * data.dtype.itemsize
    plain = data.astype(np.int64) & (2**bits - 1)
    expected = np.where(signed & (plain >= 2 ** (bits - 1)), plain - 2**bits, plain)
    np.testing.assert_array_equal(expected, read(content).data)
    assert data.dtype.name == read(content).info.dtype


@pytest.mark.parametrize("words", [(), ("-s", "2")])
def test_a_series_of_files_is_a_volume_in_its_place(run, tmp_path, words):
    nibabel = pytest.importorskip("nibabel")
    folder_of(tmp_path / "scan", slices(VOLUME, RescaleSlope=2, RescaleIntercept=-1024))
    (tmp_path / "scan" / "README").write_text("what lies beside is no picture")
    info = probe("scan")
    assert ("ZYX", (9, 7, 6), "uint16") == (info.axes, info.shape, info.dtype)
    assert {"Z": 2.5, "Y": 0.5, "X": 0.75} == {axis: pytest.approx(step) for axis, (step, _) in info.spacing.items()}
    np.testing.assert_allclose(LPS * [[-1], [-1], [1]], affine_of(info), atol=1e-5)
    np.testing.assert_array_equal(VOLUME, read("scan").data)
    code, lines = run("conv3d", "scan", "-k", "box:3", "-o", "out.nii.gz", *words)
    assert 0 == code
    assert "2 x - 1024 makes measurements" in " ".join(lines)
    result = nibabel.load("out.nii.gz")
    step = 2 if words else 1
    expected = scipy.ndimage.uniform_filter(VOLUME.astype(float) * 2 - 1024, 3, mode="nearest")[::step, ::step, ::step]
    np.testing.assert_allclose(expected, result.get_fdata().T, atol=1.01)
    np.testing.assert_allclose(LPS * [step, step, step, 1] * [[-1], [-1], [1]], result.affine[:3], atol=1e-5)


def test_lengths_in_millimetres_are_those_of_the_scan(run, tmp_path):
    folder_of(tmp_path / "scan", slices(VOLUME.astype("<u2")))
    code, _ = run("conv3d", "scan", "-k", "gaussian:1mm", "-t", "float32", "-o", "out.nrrd", "-q")
    assert 0 == code
    expected = scipy.ndimage.gaussian_filter(VOLUME.astype(float), (0.4, 2, 4 / 3), mode="nearest", truncate=4)
    assert np.abs(expected - read("out.nrrd").data).max() < 20


def test_measurements_are_filtered_where_each_picture_has_a_line_of_its_own(tmp_path):
    folder_of(tmp_path / "pet", slices(VOLUME, RescaleSlope=lambda number: 1 + number, RescaleIntercept=0))
    image = read(tmp_path / "pet")
    assert "float32" == image.info.dtype
    assert "scaling" not in image.info.metadata
    np.testing.assert_array_equal(VOLUME * np.arange(1, 10)[:, None, None], image.data)


def test_one_file_is_a_picture_and_frames_are_a_film_or_a_volume(tmp_path):
    assert "YX" == read(dicom(VOLUME[0])).info.axes
    film = read(dicom(VOLUME, FrameTime="40", PixelSpacing=[1, 2])).info
    assert ("TYX", {"T": (40.0, "ms"), "Y": (1.0, "mm"), "X": (2.0, "mm")}) == (film.axes, dict(film.spacing))
    place = {"ImagePositionPatient": FIRST.tolist(), "ImageOrientationPatient": AXES, "PixelSpacing": [0.5, 0.75]}
    dose = read(dicom(VOLUME, GridFrameOffsetVector=[2.5 * n for n in range(9)], **place))
    np.testing.assert_allclose(LPS * [[-1], [-1], [1]], affine_of(dose.info), atol=1e-6)
    colours = np.random.default_rng(2).integers(0, 255, (4, 5, 3), np.uint8)
    assert ("YXS", "rgb") == (read(dicom(colours)).info.axes, read(dicom(colours)).info.samples)
    np.testing.assert_array_equal(colours, read(dicom(colours)).data)


def test_frames_that_are_described_each_lie_where_it_says(tmp_path):
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    def held(**fields):
        inner = Dataset()
        for name, value in fields.items():
            setattr(inner, name, value)
        return Sequence([inner])

    order = [3, 0, 8, 1, 2, 7, 4, 6, 5]
    frames = []
    for number in order:
        frame = Dataset()
        frame.PlanePositionSequence = held(ImagePositionPatient=(FIRST + NORMAL * 2.5 * number).round(6).tolist())
        frames.append(frame)
    shared = Dataset()
    shared.PlaneOrientationSequence = held(ImageOrientationPatient=[*ACROSS, *DOWN])
    shared.PixelMeasuresSequence = held(PixelSpacing=[0.5, 0.75], SliceThickness=2.5)
    shared.PixelValueTransformationSequence = held(RescaleSlope=3, RescaleIntercept=1)
    content = dicom(VOLUME[order], PerFrameFunctionalGroupsSequence=Sequence(frames),
                    SharedFunctionalGroupsSequence=Sequence([shared]))  # fmt: skip
    image = read(content)
    np.testing.assert_array_equal(VOLUME, image.data)
    np.testing.assert_allclose(LPS * [[-1], [-1], [1]], affine_of(image.info), atol=1e-5)
    assert (3.0, 1.0) == image.info.metadata["scaling"]


BROKEN = {
    "missing": (lambda: slices(VOLUME, skipped=(4,)), "2.5 to 5 mm apart"),
    "twice": (lambda: slices(VOLUME) | {"again.dcm": slices(VOLUME)["IM000.dcm"]}, "10 pictures lie at 9 places"),
    "askew": (lambda: slices(VOLUME, ImageOrientationPatient=lambda n: AXES[::-1] if n == 3 else AXES), "angles"),
    "sizes": (lambda: slices(VOLUME, PixelSpacing=lambda n: [0.5, 0.75 + n / 9]), "different sizes"),
    "no place": (lambda: {f"{n}.dcm": dicom(plane) for n, plane in enumerate(VOLUME)}, "do not say where they lie"),
    "some places": (lambda: slices(VOLUME) | {"x.dcm": dicom(VOLUME[0])}, "1 of 10 pictures do not say"),
    "shapes": (lambda: slices(VOLUME) | {"x.dcm": dicom(VOLUME[0, :5])}, "differ in size"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_makes_no_volume_is_refused_with_the_reason(tmp_path, name):
    files, said = BROKEN[name]
    folder_of(tmp_path / "scan", files())
    with pytest.raises(ConvError, match=said) as raised:
        probe(tmp_path / "scan")
    assert "ambiguous" == raised.value.code


def test_of_several_series_one_is_picked(run, tmp_path):
    folder_of(tmp_path / "scan", slices(VOLUME, SeriesDescription="T1"))
    second = slices(VOLUME[:5] + 1, SeriesDescription="T2", SeriesInstanceUID="9.9")
    folder_of(tmp_path / "scan", {f"second{name}": content for name, content in second.items()})
    code, lines = run("conv3d", "scan", "-k", "identity", "-o", "out.nrrd", "-q")
    assert (1, True) == (code, "holds 2 series (0: 'T1' of 9, 1: 'T2' of 5); --series N picks one" in lines[0])
    np.testing.assert_array_equal(VOLUME[:5] + 1, read(tmp_path / "scan", options=ReadOptions(series=1)).data)


def test_folders_without_pictures_and_dicom_out_are_refused(run, tmp_path):
    folder_of(tmp_path / "empty", {"a.txt": b"hello"})
    with pytest.raises(ConvError, match="is a folder, not a file"):
        probe(tmp_path / "empty")
    (tmp_path / "in.dcm").write_bytes(dicom(VOLUME[0]))
    code, lines = run("conv2d", "in.dcm", "-k", "box:3", "-o", "out.dcm", "-q")
    assert (2, True) == (code, "DICOM is only read here" in lines[0])


def test_what_only_dicom_says_is_told_as_left_out(run, tmp_path):
    (tmp_path / "in.dcm").write_bytes(dicom(VOLUME[0], PixelSpacing=[0.5, 0.5]))
    code, lines = run("conv2d", "in.dcm", "-k", "box:3", "-o", "out.tif", "--strict", "-v")
    assert (0, True) == (code, "left out: DICOM's patient, study and equipment" in " ".join(lines))
    assert b"Doe" not in (tmp_path / "out.tif").read_bytes()


def test_without_pydicom_one_line_says_how_to_get_it(tmp_path):
    (tmp_path / "in.dcm").write_bytes(dicom(VOLUME[0]))
    script = "import sys; sys.modules['pydicom'] = None; from convcli.cli import run; sys.exit(run(sys.argv[1:]))"
    words = ("conv2d", tmp_path / "in.dcm", "-k", "box:3", "-o", tmp_path / "out.tif", "-q")
    done = subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert done.stderr.endswith("DICOM needs pydicom: pip install 'convcli[dicom]' [codec-missing]\n")
