"""Numbers of a NIfTI's header that cannot be calculated with end in a warning, whatever is done to the picture."""

import struct

import numpy as np
import pytest

from command import InProcess
from convcli.formats import encode, read
from convcli.image import Image, ImageInfo

nibabel = pytest.importorskip("nibabel")

IMPOSSIBLE = (np.nan, np.inf, -np.inf, 3e38, -1.0)
DIM, PIXDIM, QOFFSET, TOFFSET, CODES, QUATERNION, SROWS = 40, 76, 268, 136, 252, 256, 280


def nifti(**numbers):
    """A volume with an affine of each kind, and other numbers at places named by their first byte."""
    data = bytearray(encode(Image(ImageInfo((3, 8, 8), "uint16", "ZYX"), np.zeros((3, 8, 8), np.uint16)), "nifti"))
    struct.pack_into("<hh", data, CODES, 1, 1)
    struct.pack_into("<6f", data, QUATERNION, 0, 0, 0, 1, 2, 3)
    struct.pack_into("<12f", data, SROWS, 1, 0, 0, 1, 0, 1, 0, 2, 0, 0, 1, 3)
    for place, value in numbers.items():
        struct.pack_into("<f", data, int(place[1:]), value)
    return bytes(data)


PLACES = {
    "a distance": PIXDIM + 4,
    "the last distance": PIXDIM + 12,
    "the sform": SROWS,
    "the sform's offset": SROWS + 12,
    "the qform": QUATERNION,
    "the qform's offset": QOFFSET,
    "the beginning of time": TOFFSET,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("value", IMPOSSIBLE)
@pytest.mark.parametrize("words", ["conv3d -k box:3 -s 2", "upsample -k bilinear --scale 3/2", "conv2d -k identity"])
def test_impossible_numbers_are_a_warning_and_the_result_can_be_read(place, value, words, tmp_path, capsys):
    (tmp_path / "in.nii").write_bytes(nifti(**{f"_{place}": value}))
    notes = read(tmp_path / "in.nii").info.notes
    harmless = value == -1 and place not in (PIXDIM + 4, PIXDIM + 12)
    assert harmless == (not any("set aside" in note for note in notes))
    command, *more = words.split()
    code, lines = InProcess(capsys)(command, tmp_path / "in.nii", *more, "-q", "-o", tmp_path / "out.nii")
    assert (0, []) == (code, [line for line in lines if "set aside" not in line])
    written = nibabel.load(tmp_path / "out.nii")
    assert np.isfinite(written.affine).all()
    assert () == tuple(note for note in read(tmp_path / "out.nii").info.notes if "set aside" in note)


def test_a_singular_affine_is_none(tmp_path):
    (note,) = read(nifti(**{f"_{SROWS}": 0.0})).info.notes
    assert "an affine (sform) that is no transformation" in note


def test_sound_numbers_leave_no_note_and_a_distance_of_0_none_without_a_rotation():
    assert () == read(nifti()).info.notes
    unturned = bytearray(nifti(**{f"_{PIXDIM + 12}": 0.0}))
    struct.pack_into("<h", unturned, CODES, 0)
    assert () == read(bytes(unturned)).info.notes


@pytest.mark.parametrize("metadata", [{}, read(nifti()).info.metadata], ids=["new", "from NIfTI-1"])
def test_more_samples_a_side_than_nifti_1_counts_become_nifti_2(metadata, tmp_path):
    long = np.arange(40_000 * 2, dtype=np.uint16).reshape(2, 40_000)
    path = tmp_path / "a.nii"
    path.write_bytes(encode(Image(ImageInfo(long.shape, "uint16", "YX", metadata=metadata), long), "nifti"))
    volume = nibabel.load(path)
    assert (nibabel.Nifti2Image, (40_000, 2)) == (type(volume), volume.shape)
    assert np.array_equal(long.T, np.asarray(volume.dataobj))
    assert np.array_equal(long, read(path).data)
