"""NRRD, MetaImage and MRC in and out: numbers, distances, origins and directions as other libraries read them."""

import gzip
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.ndimage

from convcli.errors import ConvError
from convcli.formats import probe, read, write
from convcli.formats.source import source_of
from convcli.formats.volumes.space import affine_of
from convcli.image import Image, ImageInfo

nrrd = pytest.importorskip("nrrd", reason="pynrrd is not installed (pip install '.[test]')")
mrcfile = pytest.importorskip("mrcfile", reason="mrcfile is not installed (pip install '.[test]')")
nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed (pip install '.[test]')")

DATA = np.random.default_rng(3).integers(0, 100, (5, 7, 9))
COLUMNS = np.array([[0, -2.0, 0], [1.5, 0, 0.1], [0, 0, 3.0]])
"""Where a step along X, Y and Z leads, to the left, back and top."""
ORIGIN = np.array([10.0, 20.0, -30.0])
LPS = np.vstack([np.column_stack([COLUMNS, ORIGIN]), [0, 0, 0, 1]])
RAS = np.diag([-1.0, -1, 1, 1]) @ LPS
PATIENT = {
    "space": "left-posterior-superior",
    "space directions": COLUMNS.T,
    "space origin": ORIGIN,
    "kinds": ["domain"] * 3,
}


MAKE = """
import sys
import itk, numpy as np
data, columns, origin = (np.load(sys.argv[1])[name] for name in ("data", "columns", "origin"))
image = itk.image_from_array(data)
steps = np.linalg.norm(columns, axis=0)
image.SetSpacing(steps.tolist())
image.SetDirection(columns / steps)
image.SetOrigin(origin.tolist())
for name in sys.argv[2:]:
    itk.imwrite(image, name, compression=name == "in.mha")
"""
SEE = """
import sys
import itk, numpy as np
found = {}
for name in sys.argv[2:]:
    image = itk.imread(name)
    columns = np.asarray(itk.array_from_matrix(image.GetDirection())) * np.asarray(image.GetSpacing())
    found[name] = itk.array_from_image(image)
    found[f"where {name}"] = np.column_stack([columns, np.asarray(image.GetOrigin())])
np.savez(sys.argv[1], **found)
"""


def itk(script, *words):
    """ITK in a process of its own, for its bindings break pytest's rules on warnings."""
    if importlib.util.find_spec("itk") is None:
        pytest.skip("itk is not installed")
    subprocess.run([sys.executable, "-c", script, *words], check=True, capture_output=True)


def seen_by_itk(*names):
    """The numbers of volumes, by name, and their affines, counted to the left and back."""
    itk(SEE, "seen.npz", *names)
    return np.load("seen.npz")


def filtered(run, source, target, *words, kernel="box:3"):
    code, lines = run("conv3d", source, "-k", kernel, "-o", target, "-q", "-f", *words)
    assert (0, []) == (code, lines)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_nrrd_of_another_library_is_read(tmp_path, dtype, encoding, order):
    data = DATA.astype(dtype)
    nrrd.write(str(tmp_path / "in.nrrd"), data.T, {**PATIENT, "encoding": encoding, "endian": order})
    image = read(tmp_path / "in.nrrd")
    np.testing.assert_array_equal(data, image.data, strict=True)
    assert image.info == probe(tmp_path / "in.nrrd")
    np.testing.assert_allclose(RAS[:3], affine_of(image.info), atol=1e-12)
    assert {"X": 1.5, "Y": 2.0, "Z": pytest.approx(np.hypot(3, 0.1))} == {
        a: s for a, (s, _) in image.info.spacing.items()
    }


@pytest.mark.parametrize("words", [(), ("-s", "2"), ("-p", "valid", "-s", "1,2,3"), ("--spacing", "1,2,3mm")])
def test_a_volume_stays_where_it_is_in_the_patient(run, words):
    square = COLUMNS.copy()
    square[2, 0] = square[1, 2] = 0  # NIfTI by ITK knows right angles only
    np.savez("made.npz", data=DATA.astype(np.float32), columns=square, origin=ORIGIN)
    sources, endings = ("in.nrrd", "in.mha", "in.mhd", "in.nii.gz"), ("nrrd", "mha", "nii", "nii.gz")
    itk(MAKE, "made.npz", *sources)
    for source in sources:
        for ending in endings:
            filtered(run, source, f"{source}.{ending}", *words)
    first, steps = {(): (0, 1), ("-s", "2"): (0, 2), ("--spacing", "1,2,3mm"): (0, 1)}.get(words, (1, (3, 2, 1)))
    scale = np.array([3, 2, 1]) / np.linalg.norm(square, axis=0) if "--spacing" in words else np.ones(3)
    where = np.column_stack([square * scale * steps, ORIGIN + square.sum(axis=1) * first])
    expected = scipy.ndimage.uniform_filter(DATA.astype(float), 3, mode="nearest")
    steps = (np.ones(3, int) * steps)[::-1]
    expected = expected[tuple(slice(first, size - first, step) for size, step in zip(DATA.shape, steps, strict=True))]
    names = [f"{source}.{ending}" for source in sources for ending in endings]
    found = seen_by_itk(*names)
    for name in names:
        np.testing.assert_allclose(where, found[f"where {name}"], atol=1e-4, err_msg=name)
        np.testing.assert_allclose(expected, found[name], atol=1e-3, err_msg=name)


def test_axes_at_other_angles_are_kept_where_they_can_be(run, tmp_path):
    nrrd.write(str(tmp_path / "in.nrrd"), DATA.astype("f4").T, PATIENT)
    for target in ("out.nrrd", "out.mha", "out.nii"):
        filtered(run, "in.nrrd", target, kernel="identity")
    found = seen_by_itk("out.nrrd", "out.mha")
    np.testing.assert_allclose(LPS[:3], found["where out.nrrd"], atol=1e-9)
    np.testing.assert_allclose(LPS[:3], found["where out.mha"], atol=1e-9)
    np.testing.assert_allclose(RAS, nibabel.load(tmp_path / "out.nii").affine, atol=1e-6)


@pytest.mark.parametrize("space", ["right-anterior-superior", "LAS", "left-posterior-superior"])
def test_fields_keys_and_the_space_of_an_nrrd_are_kept(run, tmp_path, space):
    frame = [[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]
    header = {**PATIENT, "space": space, "content": "a head", "measurement frame": frame, "DWMRI_b-value": "1000"}
    nrrd.write(str(tmp_path / "in.nrrd"), DATA.astype("i2").T, header)
    filtered(run, "in.nrrd", "out.nrrd")
    before, after = (nrrd.read_header(str(tmp_path / name)) for name in ("in.nrrd", "out.nrrd"))
    for name in ("content", "DWMRI_b-value"):
        assert before[name] == after[name]
    assert before["space"].lower() == after["space"]
    for name in ("space directions", "space origin", "measurement frame"):
        np.testing.assert_allclose(before[name], after[name], err_msg=name)


@pytest.mark.parametrize(("kinds", "sizes", "axes"), [
    (["domain", "domain"], (9, 7), "YX"),
    (["RGB-color", "domain", "domain"], (3, 9, 7), "YXS"),
    (["RGBA-color", "space", "space", "space"], (4, 9, 7, 2), "ZYXS"),
    (["vector", "domain", "domain", "domain"], (3, 9, 7, 2), "ZYXC"),
    (["domain", "domain", "domain", "time"], (9, 7, 2, 3), "TZYX"),
    (["domain", "domain", "time"], (9, 7, 3), "TYX"),
    (["domain", "domain", "domain", "list"], (9, 7, 2, 3), "CZYX"),
    (None, (9, 7, 2), "ZYX"),
    (None, (9, 7, 2, 3), "TZYX"),
])  # fmt: skip
def test_axes_of_an_nrrd_are_named_by_their_kinds_and_keep_them(run, tmp_path, kinds, sizes, axes):
    data = np.arange(np.prod(sizes)).reshape(sizes).astype("u1")
    nrrd.write(str(tmp_path / "in.nrrd"), data, {"kinds": kinds} if kinds else {})
    assert (axes, sizes[::-1]) == (probe("in.nrrd").axes, probe("in.nrrd").shape)
    code, lines = run("conv2d", "in.nrrd", "-k", "identity", "-o", "out.nrrd", "-q", "--alpha", "straight")
    assert (0, []) == (code, lines)
    again, header = nrrd.read(str(tmp_path / "out.nrrd"))
    np.testing.assert_array_equal(data, again)
    written = [kind.replace("space", "domain").replace("vector", "list") for kind in kinds or []]
    assert written == header["kinds"][: len(written)]


@pytest.mark.parametrize("words", [("--compression", "deflate"), ("--tile", "64")])
@pytest.mark.parametrize("target", ["out.nrrd", "out.mha", "out.mrc"])
def test_what_is_not_written_so_is_refused(run, tmp_path, target, words):
    np.save("in.npy", DATA.astype("i2"))
    code, lines = run("conv3d", "in.npy", "--axes", "ZYX", "-k", "box:3", "-o", target, "-q", *words)
    assert (2, 1) == (code, len(lines))
    assert words[0] in lines[0]


# Numbers in a file beside the header


def detached(folder, name, *, skip="", header="in.nhdr"):
    text = (
        f"NRRD0004\ntype: short\ndimension: 3\nsizes: 9 7 5\nendian: little\nencoding: raw\n{skip}data file: {name}\n"
    )
    (folder / header).write_text(text)
    return folder / header


def test_numbers_beside_their_header_are_read_at_once_and_by_windows(run, tmp_path):
    content = DATA.astype("<i2").tobytes()
    (tmp_path / "numbers.raw").write_bytes(b"two\nlines\n" + b"xyz" + content)
    detached(tmp_path, "numbers.raw", skip="line skip: 2\nbyte skip: 3\n")
    np.testing.assert_array_equal(DATA, read("in.nhdr").data)
    detached(tmp_path, "numbers.raw", skip="byte skip: -1\n")
    filtered(run, "in.nhdr", "out.nrrd", "--memory", "1MiB", kernel="identity")
    np.testing.assert_array_equal(DATA, read("out.nrrd").data)
    (tmp_path / "in.mhd").write_text(
        "NDims = 3\nDimSize = 9 7 5\nElementType = MET_SHORT\nHeaderSize = -1\nElementDataFile = numbers.raw\n"
    )
    np.testing.assert_array_equal(DATA, read("in.mhd").data)


@pytest.mark.parametrize(("name", "code", "said"), [
    ("../secret.raw", "unsafe", "lies elsewhere"),
    ("/etc/passwd", "unsafe", "lies elsewhere"),
    ("gone.raw", "not-found", "gone.raw"),
    ("folder", "is-directory", "folder"),
    ("pipe", "not-regular", "pipe"),
    ("LIST", "ambiguous", "several files"),
    ("a%03d.raw 1 5 1", "ambiguous", "several files"),
])  # fmt: skip
def test_a_header_names_a_file_of_its_own_folder(tmp_path, name, code, said):
    inner = tmp_path / "inner"
    (inner / "folder").mkdir(parents=True)
    os.mkfifo(inner / "pipe")
    (tmp_path / "secret.raw").write_bytes(bytes(999))
    (inner / "in.mhd").write_text(f"NDims = 2\nDimSize = 9 7\nElementType = MET_UCHAR\nElementDataFile = {name}\n")
    for header in (detached(inner, name), inner / "in.mhd"):
        with pytest.raises(ConvError, match=said) as raised:
            read(header)
        assert code == raised.value.code
    with pytest.raises(ConvError, match="did not come along" if code != "ambiguous" else said):
        read(detached(inner, name).read_bytes())


def test_numbers_that_change_while_they_are_read_are_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(DATA.astype("<i2").tobytes())
    source = source_of(tmp_path / "a.raw")
    with pytest.raises(ConvError, match="changed"), source.beside("a.raw"):
        (tmp_path / "a.raw").write_bytes(b"other")


# MRC


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f2", "f4"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_maps_of_another_library_are_filtered_with_their_header(run, tmp_path, dtype, packed, order):
    data = DATA.astype(order + dtype)
    with mrcfile.new(tmp_path / "plain.mrc") as file:
        file.set_data(data)
        file.voxel_size = (1.1, 1.2, 1.3)
        file.header.origin = (1, 2, 3)
        file.add_label("a label to keep")
        file.set_extended_header(np.frombuffer(b"extended" * 10, "V80"))
        file.header.exttyp = b"MRCO"
    content = (tmp_path / "plain.mrc").read_bytes()
    (tmp_path / "in.mrc").write_bytes(gzip.compress(content) if packed else content)
    info = probe("in.mrc")
    assert {"X": pytest.approx(0.11), "Y": pytest.approx(0.12), "Z": pytest.approx(0.13)} == {
        axis: step for axis, (step, unit) in info.spacing.items() if unit == "nm"
    }
    filtered(run, "in.mrc", "out.mrc")
    assert mrcfile.validate(tmp_path / "out.mrc")
    expected = scipy.ndimage.uniform_filter(DATA.astype(float), 3, mode="nearest")
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert dtype == file.data.dtype.str[1:]
        np.testing.assert_allclose(expected, file.data, atol=0.51 if dtype[0] in "iu" else 0.05)
        np.testing.assert_allclose((1.1, 1.2, 1.3), file.voxel_size.tolist(), rtol=1e-6)
        assert (1, 2, 3) == file.header.origin.tolist()
        assert "a label to keep" in file.get_labels()
        assert b"extended" * 10 == file.extended_header.tobytes()


def test_fewer_voxels_of_a_map_are_larger_and_begin_where_they_are(run, tmp_path):
    with mrcfile.new(tmp_path / "in.mrc") as file:
        file.set_data(DATA.astype("f4"))
        file.voxel_size = 2.0
        file.nstart = (-4, 0, 6)
        file.set_extended_header(np.frombuffer(b"extended" * 10, "V80"))
        file.header.exttyp = b"MRCO"
    code, lines = run("conv3d", "in.mrc", "-k", "box:3", "-o", "out.mrc", "-p", "valid", "-s", "2")
    assert 0 == code
    assert "the extended header describes other planes, and is left out" in " ".join(lines)
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert (4, 4, 4) == tuple(file.voxel_size.tolist())
        assert (-6, 2, 14) == file.header.origin.tolist()
        assert (0, 0, 0) == tuple(file.nstart.tolist())
        assert b"" == file.extended_header.tobytes()
    assert mrcfile.validate(tmp_path / "out.mrc")


def test_stacks_of_volumes_and_bytes_without_a_sign(tmp_path):
    with mrcfile.new(tmp_path / "in.mrc") as file:
        file.set_data(np.stack([DATA, DATA + 1]).astype("i2"))
    image = read(tmp_path / "in.mrc")
    assert ("TZYX", (2, 5, 7, 9)) == (image.info.axes, image.info.shape)
    write(tmp_path / "out.mrc", image)
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert file.is_volume_stack()
        np.testing.assert_array_equal(image.data, file.data)
    with mrcfile.new(tmp_path / "old.mrc") as file:
        file.set_data(DATA.astype("i1") * 2)
    old = bytearray((tmp_path / "old.mrc").read_bytes())
    old[152:160] = (1146047817).to_bytes(4, "little") + bytes(4)
    np.testing.assert_array_equal((DATA * 2).astype("i1").view("u1"), read(bytes(old)).data, strict=True)


@pytest.mark.parametrize(("content", "code", "said"), [
    (b"NRRD0004\ntype: block\nblock size: 9\ndimension: 2\nsizes: 2 2\nencoding: raw\n\n    ", "dtype", "blocks"),
    (b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: hex\n\n00000000", "codec-missing", "hex"),
    (b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2\nencoding: raw\n\n    ", "corrupt", "dimension 3"),
    (b"NRRD0004\ntype: uchar\ndimension: 1\nsizes: 4\nencoding: raw\n\n    ", "shape", "axes of space"),
    (b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: raw\n", "corrupt", "does not end"),
    (b"NRRD0004\ntype: uchar\ntype: uchar\n\n", "corrupt", "comes twice"),
    (b"NDims = 2\nObjectType = Tube\nElementDataFile = LOCAL\n", "unknown-format", "Tube"),
    (b"NDims = 2\nDimSize = 2 2\nElementType = MET_STRING\nElementDataFile = LOCAL\n    ", "corrupt", "MET_STRING"),
    (b"NDims = 2\nDimSize = 2 2\n", "corrupt", "does not end"),
    (b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: ascii\n\n1 2 3", "corrupt", "4 .* declared, 3 are"),
    (b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: ascii\n\n1 2 3 4 5", "corrupt", "4 .*, 5 are"),
])  # fmt: skip
def test_what_cannot_be_read_is_told_in_a_line(content, code, said):
    with pytest.raises(ConvError, match=said) as raised:
        read(content)
    assert code == raised.value.code


@pytest.mark.parametrize(("mode", "code"), [(3, "dtype"), (4, "dtype"), (101, "dtype"), (7, "corrupt")])
def test_modes_of_mrc_that_are_no_numbers_are_named(tmp_path, mode, code):
    write(tmp_path / "in.mrc", Image(ImageInfo((7, 9), "int16", "YX"), DATA[0].astype("i2")))
    content = bytearray((tmp_path / "in.mrc").read_bytes())
    content[12:16] = mode.to_bytes(4, "little")
    with pytest.raises(ConvError, match=f"mode {mode}") as raised:
        read(bytes(content))
    assert code == raised.value.code


@pytest.mark.parametrize(("samples", "axes", "target"), [
    ("cmyk", "YXS", "a.nrrd"), ("rgb+alpha", "YXS", "a.mha"), ("rgb", "YXS", "a.mrc"), ("", "CYX", "a.mrc")
])  # fmt: skip
def test_samples_that_a_format_has_no_word_for_are_refused(tmp_path, samples, axes, target):
    data = np.zeros((4, 5, 4 if samples != "rgb" else 3), np.int8)
    with pytest.raises(ConvError, match="use a"):
        write(tmp_path / target, Image(ImageInfo(data.shape, "int8", axes, samples=samples), data))


# MGH and Analyze


def freesurfer(path):
    """A volume as nibabel reads it; from bytes, for it leaves files open."""
    content = path.read_bytes()
    return nibabel.freesurfer.MGHImage.from_bytes(gzip.decompress(content) if path.suffix == ".mgz" else content)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "u2"])
@pytest.mark.parametrize("ending", ["mgh", "mgz"])
@pytest.mark.parametrize("words", [(), ("-p", "valid", "-s", "2")])
def test_volumes_of_freesurfer_stay_where_they_are(run, tmp_path, dtype, ending, words):
    square = RAS.copy()
    square[1, 2] = square[2, 1] = square[2, 0] = 0
    image = nibabel.freesurfer.MGHImage(DATA.astype(f">{dtype}").T, square)
    image.header["tr"], image.header["te"] = 2000.0, 3.5
    image.to_filename(str(tmp_path / f"in.{ending}"))
    assert "ZYX" == probe(f"in.{ending}").axes
    np.testing.assert_array_equal(DATA, read(f"in.{ending}").data)
    filtered(run, f"in.{ending}", f"out.{ending}", *words)
    filtered(run, f"in.{ending}", "out.nii", *words)
    expected = scipy.ndimage.uniform_filter(DATA.astype(float), 3, mode="nearest")
    expected = expected[1:-1:2, 1:-1:2, 1:-1:2] if words else expected
    move = np.diag([2.0, 2, 2, 1]) if words else np.eye(4)
    move[:3, 3] = 1 if words else 0
    result = freesurfer(tmp_path / f"out.{ending}")
    np.testing.assert_allclose(expected, np.asarray(result.dataobj).T, atol=0.51 if dtype != "f4" else 1e-4)
    np.testing.assert_allclose(square @ move, result.affine, atol=1e-4)
    np.testing.assert_allclose(square @ move, nibabel.load(tmp_path / "out.nii").affine, atol=1e-4)
    assert (2000.0, 3.5) == (result.header["tr"], result.header["te"])


def test_times_of_freesurfer_and_what_it_cannot_hold(run, tmp_path):
    image = nibabel.freesurfer.MGHImage(np.stack([DATA, DATA + 1]).astype("i2").T, np.eye(4))
    image.header["tr"] = 1500.0
    image.to_filename(str(tmp_path / "in.mgz"))
    assert ("TZYX", (1500.0, "ms")) == (probe("in.mgz").axes, probe("in.mgz").spacing["T"])
    filtered(run, "in.mgz", "out.mgh", kernel="identity")
    np.testing.assert_array_equal(image.get_fdata(), freesurfer(tmp_path / "out.mgh").get_fdata())
    nrrd.write("sheared.nrrd", DATA.astype("f4").T, PATIENT)
    code, lines = run("conv3d", "sheared.nrrd", "-k", "box:3", "-o", "out.mgz", "-q")
    assert (2, True) == (code, "axes at right angles" in lines[0])


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
def test_pairs_of_analyze_are_read_with_their_distances(run, tmp_path, dtype, order):
    header = nibabel.AnalyzeHeader(endianness=order)
    header.set_data_dtype(dtype)
    image = nibabel.AnalyzeImage(DATA.astype(dtype).T, np.diag([1.5, 2, 3, 1]), header)
    image.to_filename(str(tmp_path / "in.img"))
    info = probe("in.hdr")
    assert {"X": (1.5, "mm"), "Y": (2.0, "mm"), "Z": (3.0, "mm")} == info.spacing
    filtered(run, "in.hdr", "out.nii", "--memory", "1MiB", kernel="identity")
    np.testing.assert_array_equal(DATA, np.asarray(nibabel.load("out.nii").dataobj).T)
    assert (1.5, 2, 3) == nibabel.load("out.nii").header.get_zooms()
    (tmp_path / "in.img").write_bytes(bytes(9))
    with pytest.raises(ConvError, match="cut short"):
        read("in.hdr")
    (tmp_path / "in.img").unlink()
    with pytest.raises(ConvError, match=r"in\.img"):
        read("in.hdr")
