"""Zarr of random kinds, written by Zarr's own library and read here, and the other way round; every command on Zarr."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convcli
import zarrs
from convcli.cli import run as command_line
from convcli.errors import ConvError
from convcli.formats import read
from convcli.samples import SAMPLES

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
numcodecs = pytest.importorskip("numcodecs", reason="numcodecs is not installed")
SETTINGS = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
SHAPES = st.lists(st.integers(1, 13), min_size=2, max_size=4).map(tuple)
COMPRESSORS = {
    2: [None, numcodecs.Blosc("lz4"), numcodecs.Blosc("zstd", shuffle=2), numcodecs.Zstd(2), numcodecs.GZip(1),
        numcodecs.LZ4(), numcodecs.BZ2(1), numcodecs.Zlib(1), numcodecs.LZMA()],
    3: [(), zarr.codecs.BloscCodec(cname="lz4"), zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle"),
        zarr.codecs.ZstdCodec(level=2), zarr.codecs.GzipCodec(level=1), zarr.codecs.Crc32cCodec()],
}  # fmt: skip


def numbers(shape, dtype, seed=0):
    """Random bits of a type, without those that are no number."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    return (rng.normal(size=shape) * 100 if dtype.kind == "f" else rng.integers(0, 120, shape)).astype(dtype)


@SETTINGS
@given(
    shape=SHAPES,
    version=st.sampled_from((2, 3)),
    dtype=st.sampled_from(list(SAMPLES)),
    big=st.booleans(),
    packed=st.integers(0, 8),
    step=st.integers(1, 5),
    shards=st.none() | st.integers(1, 3),
    separator=st.sampled_from("./"),
    order=st.sampled_from("CF"),
    filled=st.booleans(),
)
def test_what_zarrs_own_library_writes_is_read(
    tmp_path_factory, shape, version, dtype, big, packed, step, shards, separator, order, filled
):
    path = tmp_path_factory.mktemp("theirs") / "in.zarr"
    data = numbers(shape, dtype, seed=packed)
    fill = np.nan if data.dtype.kind == "f" else 5
    there = data.copy()
    if filled:
        there[: step * (shards or 1)] = fill
    dtype = data.dtype.newbyteorder(">") if big else data.dtype
    known = COMPRESSORS[version]
    more = {"compressors": known[packed % len(known)], "chunk_key_encoding": {"name": "v2", "separator": separator}}
    if version == 3:
        more["serializer"] = zarr.codecs.BytesCodec(endian="big" if big else "little")
        more["shards"] = shards and tuple(step * shards for _ in shape)
        dtype = data.dtype
    else:
        more["order"] = order
    array = zarr.create_array(
        path, shape=shape, dtype=dtype, chunks=(step,) * len(shape), zarr_format=version, fill_value=fill, **more
    )
    array[:] = there  # chunks of the fill value alone are left out
    np.testing.assert_array_equal(there, read(path, axes="TCZYX"[-len(shape) :]).data, strict=True)


@SETTINGS
@given(
    shape=SHAPES,
    dtype=st.sampled_from(list(SAMPLES)),
    step=st.integers(1, 5),
    shards=st.none() | st.integers(1, 3),
    compression=st.sampled_from((None, "none", "zstd", "deflate")),
    ending=st.sampled_from((".zarr", ".ome.zarr")),
)
def test_what_is_written_here_is_read_by_zarrs_own_library(
    tmp_path_factory, shape, dtype, step, shards, compression, ending
):
    folder, data = tmp_path_factory.mktemp("ours"), numbers(shape, dtype)
    np.save(folder / "in.npy", data)
    sizes = {"--chunks": step} | ({"--shards": step * shards} if shards else {})
    words = [word for option, size in sizes.items() for word in (option, ",".join([str(size)] * len(shape)))]
    words += ["--compression", compression] if compression else []
    words += ["--axes", "TCZYX"[-len(shape) :], "-k", "identity", "-qq", "-o", str(folder / f"out{ending}")]
    assert 0 == command_line(["conv2d", str(folder / "in.npy"), *words])
    place = folder / f"out{ending}" / ("0" if ending == ".ome.zarr" else "")
    np.testing.assert_array_equal(data, zarr.open_array(place, mode="r")[:], strict=True)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "datetime64[s]", "S4"])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore:The data type")
def test_samples_that_are_no_real_numbers_are_one_line(run, tmp_path, dtype, version):
    zarr.create_array(tmp_path / "in.zarr", shape=(4, 4), dtype=dtype, zarr_format=version)
    code, lines = run("conv2d", "in.zarr", "-k", "box:3", "-o", "out.npy", "-qq")
    assert (1, 1, "[dtype]") == (code, len(lines), lines[0][-7:]), lines


@pytest.mark.parametrize("filters", [[{"id": "vlen-utf8"}], [{"id": "categorize"}, {"id": "delta", "dtype": "<u2"}]])
def test_filters_that_are_not_known_are_named_with_those_that_are(run, tmp_path, filters):
    zarrs.array(tmp_path / "in.zarr", numbers((8, 8), "uint16"), version=2, filters=filters)
    code, lines = run("conv2d", "in.zarr", "-k", "box:3", "-o", "out.npy", "-qq")
    assert (1, 1, "[codec-missing]") == (code, len(lines), lines[0].rpartition(" ")[2])
    assert f"the codec {filters[0]['id']!r}, which is not known here; known are adler32" in lines[0]
    assert "zstd; write it anew with one of them" in lines[0]


@pytest.mark.parametrize("dtype", ["float16", "int64", "uint64", "uint8"])
@pytest.mark.parametrize(
    "command", [("conv2d", "-k", "box:3"), ("dilate", "-k", "box:3", "--rates", "2"), ("separable",)]
)
def test_every_command_makes_of_a_zarr_what_it_makes_of_a_file(run, tmp_path, dtype, command):
    if command == ("separable",):
        np.save("depth.npy", np.ones((3, 3, 3)) / 9)
        np.save("point.npy", np.eye(3)[:2])
        command = ("separable", "--depthwise", "depth.npy", "--pointwise", "point.npy")
    data = numbers((3, 20, 30), dtype)
    np.save("in.npy", data)
    zarrs.array(tmp_path / "in.zarr", data, chunks=(2, 7, 8), names="cyx")
    words = (*command[1:], "--axes", "CYX", "--verify", "-qq", "-o")
    ours = run(command[0], "in.zarr", *words, "out.ome.zarr")
    assert ours == run(command[0], "in.npy", *words, "out.npy") == (0, [])
    np.testing.assert_array_equal(np.load("out.npy"), convcli.read("out.ome.zarr").data, strict=True)


def test_colours_go_through_a_zarr_from_tiff_to_png(run, tmp_path):
    data = numbers((40, 50, 3), "uint8")
    pytest.importorskip("tifffile").imwrite("in.tif", data, photometric="rgb")
    assert (0, []) == run("conv2d", "in.tif", "-k", "identity", "-o", "there.ome.zarr", "-qq")
    assert (0, []) == run("conv2d", "there.ome.zarr", "-k", "identity", "-o", "back.png", "-qq")
    image = convcli.read("back.png")
    assert "rgb" == image.info.samples
    np.testing.assert_array_equal(data, image.data, strict=True)


def test_labels_are_said_by_a_run(run, tmp_path):
    path = zarrs.image(tmp_path / "in.ome.zarr", [numbers((20, 20), "uint8")], axes="yx")
    zarrs.group(path / "labels", {"labels": ["nuclei", "cells"]})
    code, lines = run("conv2d", path, "-k", "box:3", "-o", "out.ome.zarr")
    assert (0, True) == (code, "its labels (nuclei, cells) are neither filtered nor copied" in "\n".join(lines))
    with pytest.raises(ConvError):
        read(tmp_path / "out.ome.zarr" / "labels")
