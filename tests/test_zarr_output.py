"""Zarr as an output: the same pixels as in a .npy, whole shards, levels, and what is said of them."""

import errno
import json
import os
import subprocess
import sys
import time
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

import convcli
import zarrs
from convcli import native
from convcli.cli import run as command_line
from convcli.errors import ConvError
from convcli.formats import read, windows
from convcli.formats.source import source_of
from convcli.formats.zarr import pixels
from convcli.image import ImageInfo
from convcli.methods import METHODS
from convcli.operations.halved import Coarser
from convcli.operations.operation import Limits
from convcli.records import replace
from convcli.runs.names import Selection
from convcli.stores.contract import MARK, PROBE
from convcli.stores.folder import LocalStore
from convcli.stores.store import store_at


def numbers(shape, dtype="uint16", seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) if "float" in dtype else rng.integers(0, 120, shape)).astype(dtype)


def group(path):
    """OME's attributes of a group."""
    if (path / ".zattrs").exists():
        return json.loads((path / ".zattrs").read_text())
    return json.loads((path / "zarr.json").read_text())["attributes"]["ome"]


def places(path):
    """(scale, translation) of each level."""
    found = []
    for dataset in group(path)["multiscales"][0]["datasets"]:
        said = {each["type"]: each[each["type"]] for each in dataset["coordinateTransformations"]}
        found.append((said["scale"], said.get("translation", [0.0] * len(said["scale"]))))
    return found


def opened(path):
    """An array by Zarr's own library."""
    return pytest.importorskip("zarr", reason="zarr is not installed").open_array(path, mode="r")


def valid(path):
    """Refuse what is no OME-Zarr by the models of the specification, and by ngff-zarr."""
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    ngff = pytest.importorskip("ngff_zarr", reason="ngff-zarr is not installed")
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, about themselves
        models.open_ome_zarr(zarr.open_group(path, mode="r"))
        return ngff.from_ngff_zarr(str(path), validate=True)


# Pixels


COMMANDS = (
    ("conv2d", "-k", "gaussian:1"),
    ("conv2d", "-k", "sobel:x", "-k", "sobel:y"),
    ("conv2d", "-k", "box:3", "--range", "rescale"),
    ("conv2d", "-k", "box:5", "--stride", "2", "--dtype", "float32"),
    ("conv3d", "-k", "gaussian:1"),
    ("conv3d", "-k", "box:3", "--padding", "valid"),
    ("conv3d", "-k", "laplacian", "--method", "fft", "--bias", "40"),
    ("upsample", "-k", "bilinear", "--stride", "2"),
    ("upsample", "-k", "lanczos", "--scale", "1.5"),
    ("dilate", "-k", "box:3", "--chain", "1,2"),
    ("dilate", "-k", "box:3", "--rates", "1,3"),
)
SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@SETTINGS
@given(
    command=st.sampled_from(COMMANDS),
    dtype=st.sampled_from(("uint8", "uint16", "int16", "float32", "float64")),
    shape=st.tuples(st.integers(1, 9), st.integers(3, 40), st.integers(3, 40)),
    chunks=st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)),
    times=st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    border=st.sampled_from(("edge", "zero", "reflect", "symmetric", "wrap", "constant=7")),
    version=st.sampled_from((2, 3)),
    ending=st.sampled_from((".zarr", ".ome.zarr")),
    compression=st.sampled_from((None, "none", "zstd", "deflate")),
)
def test_pixels_are_those_of_a_file_bit_by_bit(
    tmp_path_factory, command, dtype, shape, chunks, times, border, version, ending, compression
):
    folder, data = tmp_path_factory.mktemp("same"), numbers(shape, dtype, seed=sum(shape))
    np.save(folder / "in.npy", data)
    source = zarrs.array(folder / "in.zarr", data, version=version, chunks=(3, 7, 8), names="zyx")
    more = ["--border", border] if command[0] != "upsample" else []
    cut = ["--chunks", ",".join(map(str, chunks))]
    cut += ["--shards", ",".join(str(n * step) for n, step in zip(times, chunks, strict=True))] if times else []
    packed = ["--compression", compression] if compression else []
    words = [*command, *more, "-q", "--axes", "ZYX"]
    target = folder / f"out{ending}"
    code = command_line([words[0], str(folder / "in.npy"), *words[1:], "-o", str(folder / "out.npy")])
    assert code == command_line([words[0], str(source), *words[1:], *cut, *packed, "-o", str(target)])
    assert (folder / "out.npy").exists() == target.exists() == (code == 0)
    if code == 0:
        expected = np.load(folder / "out.npy")
        place = target / "0" if ending == ".ome.zarr" else target
        found = opened(place)
        assert (3 if times or version == 3 else 2) == found.metadata.zarr_format
        np.testing.assert_array_equal(in_ome_order(expected, command, ending), found[:], strict=True)
        assert not (target / MARK).exists()


def in_ome_order(data, command, ending):
    """Several results, an axis C behind Z, as OME-NGFF wants them: in front."""
    several = command.count("-k") > 1 or "--rates" in command
    return np.moveaxis(data, 1, 0) if several and ending == ".ome.zarr" and data.ndim == 4 else data


@pytest.mark.parametrize("axes", ["TCZYX", "CZYX", "TYX", "ZCYX", "CTYX"])
def test_other_axes_come_through_in_the_order_that_the_specification_asks_for(run, tmp_path, axes):
    data = numbers((2, 3, 4, 12, 13)[-len(axes) :])
    np.save("in.npy", data)
    assert (0, []) == run("conv2d", "in.npy", "--axes", axes, "-k", "box:3", "-o", "out.npy", "-q")
    assert (0, []) == run("conv2d", "in.npy", "--axes", axes, "-k", "box:3", "-o", "out.ome.zarr", "-q")
    assert (0, []) == run("conv2d", "in.npy", "--axes", axes, "-k", "box:3", "-o", "out.zarr", "-q")
    image, expected = convcli.read("out.ome.zarr"), np.load("out.npy")
    assert sorted(axes, key="TCZYX".index) == list(image.info.axes)
    np.testing.assert_array_equal(expected.transpose([axes.index(letter) for letter in image.info.axes]), image.data)
    np.testing.assert_array_equal(expected, convcli.read("out.zarr").data)
    assert axes == convcli.read("out.zarr").info.axes
    valid(tmp_path / "out.ome.zarr")


def test_colours_are_channels_that_come_back_as_colours(run, tmp_path):
    data = numbers((20, 30, 3), "uint8")
    np.save("in.npy", data)
    assert (0, []) == run("conv2d", "in.npy", "--axes", "YXS", "-k", "identity", "-o", "out.ome.zarr", "-q")
    image = convcli.read("out.ome.zarr")
    assert ("SYX", "rgb") == (image.info.axes, image.info.samples)
    np.testing.assert_array_equal(data, np.moveaxis(image.data, 0, -1))
    assert ["FF0000", "00FF00", "0000FF"] == [
        each["color"] for each in group(tmp_path / "out.ome.zarr")["omero"]["channels"]
    ]
    assert (0, []) == run("conv2d", "out.ome.zarr", "-k", "identity", "-o", "out.png", "-qq")
    np.testing.assert_array_equal(data, convcli.read("out.png").data)
    valid(tmp_path / "out.ome.zarr")
    code, lines = run("conv2d", "in.npy", "--axes", "YXS", "-k", "box:3", "-k", "box:5", "-o", "two.ome.zarr", "-q")
    assert (2, "one axis of channels" in lines[-1]) == (code, True)


def test_a_tiff_becomes_a_zarr_and_a_tiff_again(run, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    data = numbers((12, 300, 280))
    units = {"axes": "ZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 1.0}
    tifffile.imwrite("in.ome.tif", data, metadata=units)
    assert (0, []) == run("conv3d", "in.ome.tif", "-k", "identity", "-o", "out.ome.zarr", "-qq")
    assert (0, []) == run("conv3d", "out.ome.zarr", "-k", "identity", "-o", "back.ome.tif", "-qq")
    image = convcli.read("back.ome.tif")
    np.testing.assert_array_equal(data, image.data)
    assert {"Z": (1.0, "um"), "Y": (0.2, "um"), "X": (0.2, "um")} == image.info.spacing
    assert [[1.0, 0.2, 0.2], [1.0, 0.4, 0.4]] == [scale for scale, _ in places(tmp_path / "out.ome.zarr")]
    assert "micrometer" == group(tmp_path / "out.ome.zarr")["multiscales"][0]["axes"][0]["unit"]
    valid(tmp_path / "out.ome.zarr")


# Levels


@pytest.mark.parametrize("shape", [(9, 33, 50), (1, 21, 7), (2, 2, 64)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_each_level_is_the_mean_of_whole_blocks_and_lies_in_their_middle(run, tmp_path, shape, dtype):
    data = numbers(shape, dtype)
    np.save("in.npy", data)
    words = ("--axes", "ZYX", "--spacing", "2,0.5,0.5um", "-k", "identity", "-o", "out.ome.zarr", "--levels", "5", "-q")
    assert (0, []) == run("conv3d", "in.npy", *words)
    path, before, steps = tmp_path / "out.ome.zarr", data, np.ones(3)
    scales = places(path)
    for number, (scale, translation) in enumerate(scales):
        level = read(path / str(number)).data
        if number:
            factors = np.round(np.divide(scale, scales[number - 1][0])).astype(int)
            whole = before[tuple(slice(n // f * f) for n, f in zip(before.shape, factors, strict=True))]
            expected = means(whole.astype(float), factors)
            expected = np.rint(expected).astype(dtype) if dtype == "uint8" else expected.astype(dtype)
            np.testing.assert_allclose(expected, level, rtol=1e-6, atol=1e-6 * (dtype != "uint8"))
            steps = steps * factors
        np.testing.assert_allclose(np.multiply([2, 0.5, 0.5], steps), scale)
        np.testing.assert_allclose(np.multiply([2, 0.5, 0.5], (steps - 1) / 2), translation)
        before = level
    assert 1 < len(scales)
    valid(path)


def means(data, factors):
    """The means of blocks."""
    sizes = [n for size, f in zip(data.shape, factors, strict=True) for n in (size // f, f)]
    return data.reshape(sizes).mean(axis=(1, 3, 5))


def test_the_method_that_is_asked_for_is_not_that_of_the_levels(run, tmp_path):
    """Not each of them can make a mean, and a transform does not tell what lies in the middle of two numbers."""
    info = ImageInfo((40, 64), "uint16", "YX")
    each = [Coarser.by({"Y": 2, "X": 2}).on(info, Limits(method)).plans for method in ("auto", *METHODS)]
    assert [each[0]] * len(each) == each
    np.save("in.npy", numbers((64, 64)))
    words = ("-k", "gaussian:1", "-m", "separable", "--levels", "2", "-q", "-o", "out.ome.zarr")
    assert (0, []) == run("conv2d", "in.npy", *words)
    fine, coarse = (read(tmp_path / "out.ome.zarr" / level).data for level in "01")
    np.testing.assert_array_equal(np.rint(fine.reshape(32, 2, 32, 2).mean(axis=(1, 3))), coarse)


def test_depth_is_halved_once_planes_lie_as_close_as_rows(run, tmp_path):
    np.save("in.npy", numbers((16, 600, 600), "uint8"))
    words = ("--axes", "ZYX", "--spacing", "2,0.5,0.5um", "-k", "identity", "-o", "out.ome.zarr", "--levels", "4", "-q")
    assert (0, []) == run("conv3d", "in.npy", *words)
    assert [[2, 0.5, 0.5], [2, 1, 1], [2, 2, 2], [4, 4, 4]] == [scale for scale, _ in places(tmp_path / "out.ome.zarr")]


def test_levels_are_those_of_the_source(run, tmp_path):
    data = numbers((8, 40, 40))
    levels = [data, data[:, ::2, ::2], data[::2, ::4, ::4]]
    zarrs.image(tmp_path / "in.ome.zarr", levels, scales=[[1, 1, 1], [1, 2, 2], [2, 4, 4]])
    assert (0, []) == run("conv3d", "in.ome.zarr", "-k", "identity", "-o", "out.ome.zarr", "-q")
    assert [[1, 1, 1], [1, 2, 2], [2, 4, 4]] == [scale for scale, _ in places(tmp_path / "out.ome.zarr")]
    assert (0, []) == run("conv3d", "in.ome.zarr", "-k", "identity", "-o", "one.ome.zarr", "--levels", "1", "-q")
    assert [[1, 1, 1]] == [scale for scale, _ in places(tmp_path / "one.ome.zarr")]
    assert (0, []) == run("conv3d", "in.ome.zarr/1", "-k", "identity", "-o", "second.ome.zarr", "-q")
    assert [[1, 2, 2], [2, 4, 4]] == [scale for scale, _ in places(tmp_path / "second.ome.zarr")]


# What is said


@pytest.mark.parametrize("version", [2, 3])
def test_what_an_image_says_comes_back_with_its_new_samples(run, tmp_path, version):
    data = numbers((2, 30, 40))
    more = {
        "ome": {"omero": {"channels": [zarrs.CHANNEL] * 2, "id": 7}},
        "attributes": {"sample": {"organ": "liver"}},
        "metadata": {"by": "a microscope"},
    }
    path = zarrs.image(tmp_path / "in.ome.zarr", [data], axes="cyx", version=version, scales=[[1, 0.5, 0.25]],
                       translations=[[0, 10, 20]], **more)  # fmt: skip
    assert (0, []) == run("conv2d", path, "-k", "box:3", "--stride", "2", "-o", "half.zarr", "-q")
    assert [([1, 1, 0.5], [0, 10, 20])] == places(tmp_path / "half.zarr")
    assert (0, []) == run("upsample", path, "-k", "bilinear", "--scale", "2", "-o", "double.ome.zarr", "-q")
    assert [([1, 0.25, 0.125], [0, 10 - 0.125, 20 - 0.0625])] == places(tmp_path / "double.ome.zarr")
    for name in ("half.zarr", "double.ome.zarr"):
        said = group(tmp_path / name)
        assert more["ome"]["omero"] == said["omero"]
        assert ("cells", {"by": "a microscope"}) == tuple(said["multiscales"][0][key] for key in ("name", "metadata"))
        whole = said if version == 2 else json.loads((tmp_path / name / "zarr.json").read_text())["attributes"]
        assert {"organ": "liver"} == whole["sample"]
        assert version == opened(tmp_path / name / "0").metadata.zarr_format
        valid(tmp_path / name)


def test_what_is_said_of_channels_is_left_out_where_they_are_others(run, tmp_path):
    path = zarrs.image(
        tmp_path / "in.ome.zarr", [numbers((2, 9, 9))], axes="cyx", ome={"omero": {"channels": [zarrs.CHANNEL] * 2}}
    )
    code, _ = run("conv2d", path, "-k", "box:3", "-k", "box:5", "-o", "out.ome.zarr", "--json")
    assert (0, True) == (code, "it describes other channels" in " ".join(json.loads(run.output)["warnings"]))
    assert "omero" not in group(tmp_path / "out.ome.zarr")


# Where an output goes


def test_what_is_there_stays_unless_it_is_a_zarr_that_may_be_replaced(run, tmp_path):
    np.save("in.npy", numbers((20, 20)))
    words = ("conv2d", "in.npy", "-k", "box:3", "-q", "-o")
    assert (0, []) == run(*words, "out.zarr", "--chunks", "4,4")
    code, lines = run(*words, "out.zarr")
    assert (1, "exists already; --force replaces it" in lines[0]) == (code, True)
    assert (0, []) == run(*words, "out.zarr", "--force")
    assert {"zarr.json", "c"} == set(os.listdir("out.zarr"))  # noqa: PTH208

    (tmp_path / "out.zarr" / "notes.txt").write_text("mine")
    code, lines = run(*words, "out.zarr", "--force")
    assert (1, "holds 'notes.txt', which is not part of a Zarr" in lines[0]) == (code, True)
    np.testing.assert_array_equal(numbers((20, 20)).shape, convcli.read("out.zarr").data.shape)

    (tmp_path / "photos.zarr").mkdir()
    (tmp_path / "photos.zarr" / "a.jpg").write_text("mine")
    code, lines = run(*words, "photos.zarr", "--force")
    assert (1, "is not a Zarr; never replaced" in lines[0], "mine") == (
        code, True, (tmp_path / "photos.zarr" / "a.jpg").read_text(),
    )  # fmt: skip
    (tmp_path / "file.zarr").write_text("mine")
    code, lines = run(*words, "file.zarr", "--force")
    assert (1, "is a file; a Zarr is a folder" in lines[0]) == (code, True)
    code, lines = run(*words, "none/out.zarr")
    assert (1, "does not exist" in lines[0]) == (code, True)


def test_an_output_never_lies_in_its_input(run, tmp_path):
    path = zarrs.image(tmp_path / "in.ome.zarr", [numbers((20, 20))], axes="yx")
    for target in (path, path / "new.zarr", tmp_path / "alias.zarr"):
        if target.name == "alias.zarr":
            target.symlink_to(path)
        code, lines = run("conv2d", path, "-k", "box:3", "-o", target, "--force", "-q")
        assert (1, "lies in" in lines[0]) == (code, True)
    assert 2 == run("conv2d", path, "-k", "box:3", "--in-place", "-q")[0]
    np.testing.assert_array_equal(numbers((20, 20)), convcli.read(path).data)


@pytest.mark.parametrize("place", ["0", "7", "new.zarr", "0/c", "a.npy"])
def test_nothing_is_written_into_a_zarr(run, tmp_path, place):
    np.save("in.npy", numbers((20, 20)))
    path = zarrs.image(tmp_path / "there.ome.zarr", [numbers((20, 20))], axes="yx")
    before = sorted(path.rglob("*"))
    for target in (path / place, f"there.ome.zarr/{place}"):
        code, lines = run("conv2d", "in.npy", "-k", "box:3", "-o", target, "--force", "-q")
        assert (1, "which is a Zarr; write elsewhere [exists]" in lines[-1]) == (code, True)
    assert before == sorted(path.rglob("*"))


def test_a_level_that_is_not_there_is_told_with_those_that_are(run, tmp_path):
    zarrs.image(tmp_path / "one.ome.zarr", [numbers((20, 20))], axes="yx")
    zarrs.image(tmp_path / "two.ome.zarr", [numbers((20, 20)), numbers((10, 10))], axes="yx", version=2)
    for name, held in (("one", "level 0 alone (0)"), ("two", "levels 0 to 1 (0, 1)")):
        code, lines = run("conv2d", f"{name}.ome.zarr/2", "-k", "box:3", "-o", "a.npy", "-q")
        assert (1, f"no such level; the image has {held} [not-found]" in lines[-1]) == (code, True)
    assert "no such file or folder" in run("conv2d", "none.ome.zarr/2", "-k", "box:3", "-o", "a.npy", "-q")[1][-1]


def test_a_folder_is_searched_for_zarrs_and_not_for_what_is_in_them(run, tmp_path):
    for version, name in ((3, "a.ome.zarr"), (2, "sub/b.ome.zarr")):
        zarrs.image(tmp_path / "in" / name, [numbers((20, 20))], axes="yx", version=version)
        np.save(tmp_path / "in" / name / "preview.npy", numbers((4, 4)))
    zarrs.array(tmp_path / "in" / "sub" / "c.zarr", numbers((20, 20)))
    zarrs.array(tmp_path / "in" / "without-a-suffix", numbers((20, 20)))
    np.save(tmp_path / "in" / "d.npy", numbers((20, 20)))
    (tmp_path / "out").mkdir()
    assert (0, []) == run("conv2d", "in", "-r", "-k", "identity", "-o", "out/", "-q")
    expected = ["a.ome.zarr", "d.npy", "sub/b.ome.zarr", "sub/c.zarr"]
    assert expected == [one.name.removeprefix("in/") for one in sorted(Selection(("in",), recursive=True).inputs())]
    for name in expected:
        np.testing.assert_array_equal(numbers((20, 20)), convcli.read(tmp_path / "out" / name).data)
    for words, found in ((("-r", "--pattern", "*.npy"), "d.npy"), (("in/a.ome.zarr", "-r"), "a.ome.zarr")):
        names = Selection(("in",) if "--pattern" in words else words[:1], recursive=True, patterns=words[2:]).inputs()
        assert [f"in/{found}"] == [one.name for one in names]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--chunks", "4,a"), "is not a list of sizes"),
        (("--chunks", "4,0"), "is not a list of sizes"),
        (("--chunks", "1,2,3"), "gives 3 sizes, the image has Y, X"),
        (("--chunks", "4,4", "--shards", "8,9"), "9 along X is not a multiple of chunks of 4"),
        (("--levels", "2"), "a plain Zarr array has one level"),
        (("--compression", "lzw"), "Zarr is not packed by lzw"),
    ],
)
def test_cuts_that_cannot_be_are_refused_before_any_work(run, tmp_path, words, said):
    np.save("in.npy", numbers((20, 20)))
    code, lines = run("conv2d", "in.npy", "-k", "box:3", "-o", "out.zarr", "-q", *words)
    assert (2, True) == (code, said in lines[-1])
    assert not (tmp_path / "out.zarr").exists()


def test_cuts_of_a_file_are_refused(run):
    np.save("in.npy", numbers((20, 20)))
    for words in (("--chunks", "4,4"), ("--shards", "8,8"), ("--levels", "2")):
        code, lines = run("conv2d", "in.npy", "-k", "box:3", "-o", "out.tif", "-q", *words)
        assert (2, f"{words[0]} is for" in lines[-1]) == (code, True)


def test_an_output_that_fails_is_no_image(run, tmp_path, monkeypatch):
    """A disk that is full, once something is there."""
    np.save("in.npy", numbers((40, 40)))
    put, count = pixels.ZarrPixels.store_chunk, []

    def store_chunk(self, key, part):
        count.append(key)
        if len(count) > 3:
            raise OSError(28, "No space left on device")
        put(self, key, part)

    monkeypatch.setattr(pixels.ZarrPixels, "store_chunk", store_chunk)
    words = ("conv2d", "in.npy", "-k", "box:3", "-q", "-o", "out.zarr", "--chunks", "8,8", "--shards", "8,8")
    code, lines = run(*words)
    assert (1, "disk-full" in lines[-1]) == (code, True)
    with pytest.raises(ConvError, match="unfinished"):
        read("out.zarr")
    monkeypatch.undo()
    os.chdir(tmp_path)
    assert (1, "unfinished" in run(*words)[1][0]) == (run(*words)[0], True)
    assert (0, []) == run(*words, "--force")
    expected = ndimage.uniform_filter(numbers((40, 40)).astype(float), 3, mode="nearest")
    np.testing.assert_allclose(expected, read("out.zarr").data, atol=0.5 + 1e-6)


def test_a_shard_of_zeros_is_not_stored_but_negative_zero_is(tmp_path):
    data = np.zeros((8, 8), np.float32)
    data[5, 5] = -0.0
    convcli.write(tmp_path / "a.zarr", data)
    assert np.signbit(convcli.read(tmp_path / "a.zarr").data[5, 5])
    convcli.write(tmp_path / "b.zarr", np.zeros((8, 8), np.float32))
    assert ["zarr.json"] == os.listdir(tmp_path / "b.zarr")  # noqa: PTH208


# Object stores


@pytest.mark.parametrize(
    "command", [("conv2d", "-k", "gaussian:1"), ("conv3d", "-k", "gaussian:1um", "--border", "wrap")]
)
def test_a_zarr_in_a_store_is_filtered_into_another_one(run, tmp_path, s3, command):
    bucket, data = s3.bucket(), numbers((10, 30, 40))
    path = zarrs.image(tmp_path / "in.ome.zarr", [data, data[:, ::2, ::2]])
    there = store_at(f"{bucket}/deep/in.ome.zarr")
    for key in list(LocalStore(str(path)).keys()):
        there.put(key, (path / key).read_bytes())
    words = (*command, "--chunks", "4,8,8", "--shards", "8,16,16", "-q", "-o")
    assert (0, []) == run(command[0], path, *words[1:], "here.ome.zarr")
    target = f"{bucket}/out.ome.zarr"
    assert (0, []) == run(command[0], f"{bucket}/deep/in.ome.zarr", *words[1:], target)
    here, out = LocalStore(str(tmp_path / "here.ome.zarr")), store_at(target)
    assert sorted(here.keys()) == sorted(out.keys())
    assert [] == [key for key in sorted(here.keys()) if here.get(key) != out.get(key)]
    np.testing.assert_array_equal(read("here.ome.zarr").data, read(target).data)
    np.testing.assert_array_equal(read("here.ome.zarr/1").data, read(f"{target}/1").data)
    code, lines = run(command[0], path, *words[1:], target)
    assert (1, f"convcli: {target!r}: exists already; --force replaces it [exists]") == (code, lines[-1])
    assert (0, []) == run(command[0], path, *words[1:], target, "--force")
    out.delete(f"{MARK}")
    out.put(MARK, b"{}")
    assert "unfinished" in run("conv2d", target, "-k", "box:3", "-o", "no.npy")[1][-1]


@pytest.mark.parametrize("way", [(), ("--resume",), ("--scheduler", "local:1")])
@pytest.mark.parametrize(("part", "onto"), [("", ""), ("/", ""), ("", "/"), ("/0", "")])
def test_an_output_in_a_store_is_never_its_input(run, s3, part, onto, way):
    """It would be emptied before it was read."""
    path = f"{s3.bucket()}/deep/there.ome.zarr"
    pixels = numbers((20, 20)).astype("uint8")
    convcli.write(path, pixels)
    code, lines = run("conv2d", f"{path}{part}", "-k", "box:3", "-o", f"{path}{onto}", "--force", "-q", *way)
    assert (1, "lies in it; a Zarr is not replaced in place: write elsewhere [exists]" in lines[-1]) == (code, True)
    np.testing.assert_array_equal(pixels, convcli.read(path).data)
    assert 0 == run("conv2d", f"{path}{part}", "-k", "box:3", "-o", f"{path[:-9]}2.ome.zarr", "--force", "-q")[0]


CUT_IN_FOUR = ("-k", "box:3", "-q", "--threads", "1", "--chunks", "16,64", "--shards", "16,64", "-o", "out.zarr")


def after_first_shard(monkeypatch, action):
    """Do something once the first box is written, whoever writes it then."""
    write, done = pixels.ZarrPixels.write, []

    def writing(self, *given):
        write(self, *given)
        if not done:
            done.append(action())

    monkeypatch.setattr(pixels.ZarrPixels, "write", writing)


@pytest.mark.parametrize("name", ["in.tif", "in.npy", "in.nii"])
@pytest.mark.parametrize("where", ["here", "store"])
def test_a_file_that_changes_between_two_boxes_is_refused(run, s3, monkeypatch, name, where):
    """Each box opens it anew, and finds whole pixels there, but those of another file."""
    monkeypatch.setattr("convcli.runs.levels.SMALL", 1)  # else it is in memory as a whole
    source = name if where == "here" else f"{s3.bucket()}/{name}"

    def become(data):
        convcli.write(source, data, axes="YX", force=True)

    become(numbers((64, 64)))
    assert (0, []) == run("conv2d", source, *CUT_IN_FOUR, "--force")
    after_first_shard(monkeypatch, lambda: become(numbers((64, 64), seed=1)))
    code, lines = run("conv2d", source, *CUT_IN_FOUR, "--force")
    assert (1, 2, True) == (code, len(lines), lines[1].endswith("[changed]")), lines
    assert lines[0].endswith("unfinished, 1 of 4 shards are done; --force begins anew")
    code, lines = run("conv2d", source, *CUT_IN_FOUR, "--resume")
    assert (1, True) == (code, "this is another command, or another input" in lines[0]), lines


@pytest.mark.parametrize("where", ["here", "store"])
def test_a_chunk_that_changes_before_a_run_is_gone_on_with_is_refused(run, tmp_path, s3, where):
    """What the first run read is no longer there; the journal knows when that began, by the clock of the store."""
    path = zarrs.array(tmp_path / "in.zarr", numbers((64, 64)), chunks=(16, 64), names="yx")
    store = LocalStore(str(path))
    words, ending = CUT_IN_FOUR[:-1], "out.zarr"
    if where == "store":
        there = store_at(f"{s3.bucket()}/in.zarr")
        ending = f"{there.name.removesuffix('in.zarr')}out.zarr"
        for key in list(store.keys()):
            there.put(key, store.get(key))
        store = there
    assert (0, []) == run("conv2d", store.name, *words, ending)
    assert (0, []) == run("conv2d", store.name, *words, ending, "--resume")
    time.sleep(1.1 if where == "store" else 0.02)  # a store tells times in seconds
    store.put("c/3/0", store.get("c/2/0"))
    store_at(ending).delete("c/3/0")
    code, lines = run("conv2d", store.name, *words, ending, "--resume")
    assert (1, True) == (code, lines[-1].endswith("changed while it was read; run again once it is complete [changed]"))
    assert (0, []) == run("conv2d", store.name, *words, ending, "--force")


def test_chunks_of_a_store_are_newer_where_no_clock_is_that_wrong(tmp_path, s3):
    """The output lies elsewhere, and tells nothing of the store's clock."""
    path, store = zarrs.array(tmp_path / "in.zarr", numbers((64, 64)), names="yx"), store_at(f"{s3.bucket()}/in.zarr")
    for key in list(LocalStore(str(path)).keys()):
        store.put(key, (path / key).read_bytes())
    seen = source_of(store.name)
    for minutes, refused in ((14, nullcontext()), (16, pytest.raises(ConvError, match="changed while it was read"))):
        earlier = replace(seen, since=time.time_ns() - minutes * 60 * 10**9)
        with refused, windows(earlier) as found:
            found[1].read(((0, 64), (0, 64)), np.empty((64, 64), np.uint16))


@pytest.mark.parametrize("place", ["0", "new.ome.zarr", "0/c", "a.npy", "0/{stem}.npy", "more/"])
def test_nothing_is_written_into_a_zarr_of_a_store(run, tmp_path, s3, place):
    np.save("in.npy", numbers((20, 20)))
    outer = f"{s3.bucket()}/deep/there.ome.zarr"
    store, path = store_at(outer), zarrs.image(tmp_path / "there.ome.zarr", [numbers((20, 20))], axes="yx")
    for key in list(LocalStore(str(path)).keys()):
        store.put(key, (path / key).read_bytes())
    before = sorted(store.keys())
    code, lines = run("conv2d", "in.npy", "-k", "box:3", "-o", f"{outer}/{place}", "--force", "-q")
    assert (1, "which is a Zarr; write elsewhere [exists]" in lines[-1]) == (code, True)
    assert lines[-1].startswith(f"convcli: '{outer}/{place}': lies in '{outer}")
    assert before == sorted(store.keys())
    assert (0, []) == run("conv2d", "in.npy", "-k", "box:3", "-o", f"{outer[:-14]}beside.npy", "-q")


def test_a_chunk_of_a_store_that_changes_between_two_boxes_is_refused(run, tmp_path, s3, monkeypatch):
    """Each box reads a chunk of its neighbours: there it is seen to be another one."""
    store, data = store_at(f"{s3.bucket()}/in.zarr"), numbers((16, 48))
    path = zarrs.array(tmp_path / "in.zarr", data, chunks=(16, 16), names="yx")
    for key in list(LocalStore(str(path)).keys()):
        store.put(key, (path / key).read_bytes())
    words = ("conv2d", store.name, "-k", "box:3", "-q", "-f", "--threads", "1", "--shards", "16,16", "-o", "out.zarr")
    assert (0, []) == run(*words)
    write, other = pixels.ZarrPixels.write, np.ones((16, 16), np.uint16).tobytes()

    def changing(self, *given):
        store.put("c/0/1", other)
        write(self, *given)

    monkeypatch.setattr(pixels.ZarrPixels, "write", changing)
    code, lines = run(*words)
    assert (1, True) == (code, lines[-1].endswith("[changed]")), lines
    assert "unfinished" in run("conv2d", "out.zarr", "-k", "box:3", "-o", "no.npy")[1][-1]


def test_what_another_job_tries_of_the_store_is_no_part_of_an_output(run, tmp_path):
    np.save("in.npy", numbers((20, 20)))
    probe = tmp_path / "out.zarr" / f"{PROBE}-0"
    probe.parent.mkdir()
    probe.write_bytes(b"first")
    for more in ((), ("--force",), ("--resume",)):
        assert (0, []) == run("conv2d", "in.npy", "-k", "box:3", "-q", "-o", "out.zarr", *more)
    assert probe.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_what_cannot_be_written_is_told_of_the_output(run, tmp_path, monkeypatch, number):
    write = Path.write_bytes

    def full(self, data):
        if "c" in self.parts:
            raise OSError(number, os.strerror(number), *([str(self)] if number == errno.EACCES else []))
        return write(self, data)

    np.save("in.npy", numbers((20, 20)))
    monkeypatch.setattr(Path, "write_bytes", full)
    code, lines = run("conv2d", "in.npy", "-k", "box:3", "-qq", "-o", "out.zarr")
    assert (1, 1, f"convcli: '{tmp_path}/out.zarr/c/0/0'") == (code, len(lines), lines[0][: lines[0].index("': ") + 1])


# Size


COMPILED = pytest.mark.skipif(not native.AVAILABLE, reason="needs the native extension: else no tile is cut for memory")
SCRIPT = """
import sys
from convcli.cli import run
code = run(sys.argv[1:])
print(int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) // 1024)
sys.exit(code)
"""


@COMPILED
def test_a_volume_of_any_size_takes_the_memory_of_a_few_shards(tmp_path):
    peaks = []
    for depth in (128, 1024):
        path = zarrs.array(tmp_path / f"{depth}.zarr", np.zeros((1, 1, 1), np.uint16), names="zyx")
        said = json.loads((path / "zarr.json").read_text())
        said["shape"] = [depth, 512, 512]
        said["chunk_grid"]["configuration"]["chunk_shape"] = [64, 128, 128]
        zarrs.put(path / "zarr.json", said)
        (path / "c/0/0/0").unlink()
        target = tmp_path / f"out{depth}.ome.zarr"
        words = ("conv3d", path, "-k", "box:3", "-o", target, "--memory", "32MiB", "-q", "--levels", "2")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *map(str, words)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout))
    assert 34 + 100 > max(peaks), peaks  # MB, with what Python and the libraries take
    assert peaks[0] + 48 > peaks[1], peaks  # of 64 MB and of 512 MB


@COMPILED
def test_the_peak_is_what_is_allowed_and_what_python_takes(tmp_path):
    """With numbers that hardly pack, boxes of several sizes, and levels."""
    path = zarrs.array(tmp_path / "in.zarr", numbers((192, 384, 384)), chunks=(32, 64, 64), names="zyx")
    words = ("conv3d", path, "-k", "gaussian:1", "-o", tmp_path / "out.ome.zarr", "--memory", "96MiB", "-q")
    done = subprocess.run([sys.executable, "-c", SCRIPT, *map(str, words)], capture_output=True, text=True, check=True)
    assert 101 + 100 > int(done.stdout)
