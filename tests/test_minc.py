"""MINC, versions 1 and 2: numbers and places as nibabel has them, windows, and what is refused."""

import gzip
from importlib.util import find_spec

import nibabel
import numpy as np
import pytest

import convcli
from convcli import ConvError, convolve
from convcli.formats import ReadOptions, windows
from convcli.formats.minc import hdf
from mincs import minc1, minc2

VERSIONS = {"1": minc1, "2": minc2}
DTYPES = ("u1", "i1", "u2", "i2", "i4", "f4", "f8")
LINES = {"none": (None, None), "one": (2.0, 70.0), "each": (np.arange(5.0), np.arange(5.0) + 50)}
pytestmark = pytest.mark.skipif(not find_spec("h5py"), reason="MINC-2 needs h5py")


def pixels_of(dtype, shape=(5, 6, 7)):
    """Random numbers from 0 to 100."""
    return (np.random.default_rng(0).random(shape) * 100).astype(dtype)


@pytest.mark.parametrize("line", ["one", "each"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("version", VERSIONS)
def test_measurements_and_places_are_those_of_nibabel(version, dtype, line, tmp_path):
    lows, highs = LINES[line]
    valid = None if dtype[0] == "f" else (0, 120)
    path = tmp_path / "a.mnc"
    path.write_bytes(VERSIONS[version](pixels_of(dtype), lows=lows, highs=highs, valid=valid))
    expected, found = nibabel.load(path), convcli.read(path)
    slope, inter = found.info.metadata.get("scaling", (1, 0))
    np.testing.assert_allclose(found.data * slope + inter, expected.get_fdata(), rtol=1e-6)
    np.testing.assert_allclose(found.info.metadata["affine"], expected.affine[:3, [2, 1, 0, 3]], atol=1e-12)
    assert found.info.steps == {"Z": (3.0, "mm"), "Y": (0.5, "mm"), "X": (1.5, "mm")}
    assert found.info.dtype == (np.dtype(dtype).name if line == "one" or dtype[0] == "f" else
                                "float64" if dtype == "i4" else "float32")  # fmt: skip


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("how", ["plain", "large offsets", "packed", "HDF5", "chunks"])
def test_a_window_is_that_of_the_whole_and_a_pipe_is_as_a_file(how, line, tmp_path):
    lows, highs = LINES[line]
    pixels, told = pixels_of("i2"), {"lows": lows, "highs": highs}
    made = {
        "plain": lambda: minc1(pixels, **told),
        "large offsets": lambda: minc1(pixels, version=2, **told),
        "packed": lambda: gzip.compress(minc1(pixels, **told)),
        "HDF5": lambda: minc2(pixels, **told),
        "chunks": lambda: minc2(pixels, chunks=(2, 3, 4), compression="gzip", shuffle=True, **told),
    }[how]()
    (tmp_path / "a.mnc").write_bytes(made)
    whole = convcli.read(tmp_path / "a.mnc")
    assert convcli.read(made).data.tobytes() == whole.data.tobytes()
    with windows(str(tmp_path / "a.mnc"), options=ReadOptions()) as found:
        assert (found is None) == (how == "packed")
        if found is not None:
            box = np.empty((2, 3, 4), found[0].dtype)
            found[1].read(((1, 3), (2, 5), (3, 7)), box)
            np.testing.assert_array_equal(whole.data[1:3, 2:5, 3:7], box)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_volume_keeps_its_place_and_its_line_in_nifti_and_says_what_it_loses(version, tmp_path, run):
    pixels = pixels_of("u1")
    (tmp_path / "a.mnc").write_bytes(VERSIONS[version](pixels, lows=-1.0, highs=1.0))
    code, errors = run("conv3d", tmp_path / "a.mnc", "-k", "gaussian:2mm", "-o", "o.nii", "-v")
    assert code == 0
    assert any("MINC's patient" in line for line in errors)
    before, after = nibabel.load(tmp_path / "a.mnc"), nibabel.load("o.nii")
    np.testing.assert_allclose(after.affine[:, [2, 1, 0, 3]], before.affine, atol=1e-5)
    expected = convolve(pixels, convcli.parse_kernel("gaussian:2mm", 3, spacing=convcli.read("o.nii").info.steps))
    np.testing.assert_array_equal(np.asarray(after.dataobj.get_unscaled()).T, expected)
    np.testing.assert_allclose(after.get_fdata().T, expected * (2 / 255) - 1, atol=1e-6)


def test_other_dimensions_have_letters_too(tmp_path):
    for made in (minc1, minc2):
        (tmp_path / "a.mnc").write_bytes(made(pixels_of("u1", (2, 3, 4, 5)), "TZYX"))
        (tmp_path / "b.mnc").write_bytes(made(pixels_of("u1", (3, 4, 5, 2)), "ZXYC"))
        assert (convcli.read(tmp_path / "a.mnc").info.steps["T"], "ZXYC") == (
            (2.0, "s"), convcli.read(tmp_path / "b.mnc").info.axes
        )  # fmt: skip


def changed(change):
    """A sound MINC-2 in which somebody changed something."""
    import io

    import h5py

    stream = io.BytesIO(minc2(pixels_of("u1"), lows=np.arange(5.0), highs=np.arange(5.0) + 1))
    with h5py.File(stream, "r+") as file:
        change(file["minc-2.0/image/0"])
    return stream.getvalue()


def replaced(name, **how):
    """What puts another array in the place of one."""

    def change(group):
        del group[name]
        group.create_dataset(name, **how)

    return change


def linked(group):
    """Put a link to another file in the place of the image."""
    import h5py

    del group["image"]
    group["image"] = h5py.ExternalLink("other.h5", "/image")


REFUSED = {
    "not MINC": (lambda: minc1(pixels_of("u1")).replace(b"\5image\0", b"\5emage\0"), "unknown-format"),
    "records": (
        lambda: minc1(pixels_of("u1")).replace(b"\6zspace\0\0\0\0\0\5", b"\6zspace\0\0\0\0\0\0"),
        "codec-missing",
    ),
    "CDF-5": (lambda: b"CDF\5" + minc1(pixels_of("u1"))[4:], "codec-missing"),
    "strange": (lambda: minc1(pixels_of("u1")).replace(b"zspace", b"qspace"), "shape"),
    "cut": (lambda: minc1(pixels_of("u1"))[:-60], "corrupt"),
    "cut packed": (lambda: gzip.compress(minc1(pixels_of("u1")))[:-30], "corrupt"),
    "cut HDF5": (lambda: minc2(pixels_of("u1"))[:-60], "corrupt"),
    "no range": (lambda: minc1(pixels_of("u1"), lows=0, highs=1, valid=(9, 9)), "corrupt"),
    "elsewhere": (lambda: changed(linked), "unsafe"),
    "outside": (
        lambda: changed(replaced("image", shape=(5, 6, 7), dtype="u1", external=[("/etc/hostname", 0, 210)])),
        "unsafe",
    ),
    "other planes": (lambda: changed(replaced("image-min", data=np.zeros(4))), "corrupt"),
    "compound": (lambda: changed(replaced("image", data=np.zeros((5, 6, 7), "c8"))), "corrupt"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_line(name, tmp_path, run):
    made, code = REFUSED[name]
    (tmp_path / "a.mnc").write_bytes(made())
    failed, errors = run("conv2d", tmp_path / "a.mnc", "-k", "box:3", "-o", "o.npy")
    assert (1, 1) == (failed, len(errors))
    assert errors[0].endswith(f"[{code}]")
    with pytest.raises(ConvError):
        convcli.read(made())


def test_without_h5py_a_line_says_what_to_install(tmp_path, monkeypatch, run):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(hdf, "import_module", missing)
    (tmp_path / "a.mnc").write_bytes(minc2(pixels_of("u1")))
    code, errors = run("conv2d", tmp_path / "a.mnc", "-k", "box:3", "-o", "o.npy")
    assert (1, True) == (code, "pip install 'convcli[minc]'" in errors[0])
    (tmp_path / "a.mnc").write_bytes(minc1(pixels_of("u1")))
    assert run("conv2d", tmp_path / "a.mnc", "-k", "box:3", "-q", "-o", "o.npy")[0] == 0
