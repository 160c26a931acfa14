"""Zarr arrays and OME-Zarr images as sources: what they say, which pixels they hold, and what is refused."""

import json
import os
import tracemalloc
from itertools import count, product

import numpy as np
import pytest

import convcli
import zarrs
from convcli import native
from convcli.errors import ConvError
from convcli.formats import ReadOptions, probe, read, windows
from convcli.formats.table import ZARR
from convcli.formats.zarr import codecs, pipeline
from convcli.formats.zarr.pixels import ZarrPixels
from convcli.image import Image
from convcli.records import replace
from convcli.samples import SAMPLES
from convcli.stores.contract import MARK
from convcli.stores.folder import LocalStore

NUMBERS = np.random.default_rng(0).integers(0, 255, (5, 17, 22)).astype(np.uint8)


def refusal(path, **options):
    """What reading is refused with."""
    with pytest.raises(ConvError) as refused:
        read(path, options=ReadOptions(**options))
    return refused.value


def library():
    """Zarr's own library, an oracle."""
    return pytest.importorskip("zarr", reason="zarr is not installed")


# Arrays


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", [*SAMPLES, ">u2", ">f4", ">i8", "bool"])
def test_an_array_of_every_type_and_byte_order_is_read(version, dtype, tmp_path):
    data = (NUMBERS % 2 if dtype == "bool" else NUMBERS).astype(dtype)
    path = zarrs.array(tmp_path / "in.zarr", data, version=version, chunks=(2, 8, 16), names=["z", "y", "x"])
    image = read(path)
    expected = data * np.uint8(255) if dtype == "bool" else data.astype(data.dtype.newbyteorder("="))
    assert ("ZYX", "zarr") == (image.info.axes, image.info.format)
    np.testing.assert_array_equal(expected, image.data, strict=True)


@pytest.mark.parametrize("version", [2, 3])
def test_chunks_that_are_not_there_are_the_fill_value(version, tmp_path):
    path = zarrs.array(tmp_path / "in.zarr", NUMBERS, version=version, chunks=(2, 8, 16), names="zyx", fill=7)
    (path / ("1.1.0" if version == 2 else "c/1/1/0")).unlink()
    expected = NUMBERS.copy()
    expected[2:4, 8:16, :16] = 7
    np.testing.assert_array_equal(expected, read(path).data)


@pytest.mark.parametrize(
    ("fill", "expected"),
    [("NaN", np.nan), ("-Infinity", -np.inf), ("0x7fc00000", np.nan), (1.5, 1.5), (None, 0.0), (3, 3.0)],
)
def test_a_fill_value_may_be_no_number(fill, expected, tmp_path):
    path = zarrs.array(tmp_path / "in.zarr", np.zeros((4, 4), np.float32), fill_value=fill)
    (path / "c/0/0").unlink()
    np.testing.assert_array_equal(np.full((4, 4), expected, np.float32), read(path).data)


WRITERS = {
    "v2 blosc": {"zarr_format": 2, "compressors": ("blosc", {"cname": "lz4", "clevel": 5, "shuffle": 1})},
    "v2 zlib": {"zarr_format": 2, "compressors": ("zlib", {"level": 2})},
    "v2 lz4": {"zarr_format": 2, "compressors": ("lz4", {})},
    "v2 bz2": {"zarr_format": 2, "compressors": ("bz2", {})},
    "v2 lzma": {"zarr_format": 2, "compressors": ("lzma", {})},
    "v2 F": {"zarr_format": 2, "order": "F", "compressors": ("zstd", {"level": 3})},
    "v2 delta": {"zarr_format": 2, "filters": ("delta", {"dtype": "<u2"}), "compressors": ("zlib", {})},
    "v2 shuffle": {"zarr_format": 2, "filters": ("shuffle", {"elementsize": 2}), "compressors": ("zstd", {})},
    "v2 crc32": {"zarr_format": 2, "filters": ("crc32", {}), "compressors": None},
    "v2 nothing": {"zarr_format": 2, "compressors": None},
    "v3 default": {},
    "v3 shards": {"shards": (4, 16, 32), "chunks": (2, 8, 16)},
    "v3 shards, odd": {"shards": (10, 12, 21), "chunks": (5, 4, 7)},
    "v3 blosc": {"compressors": ("Blosc", {"cname": "zstd", "shuffle": "bitshuffle"})},
    "v3 gzip": {"compressors": ("Gzip", {"level": 1}), "shards": (4, 16, 32), "chunks": (2, 8, 16)},
    "v3 crc": {"compressors": ("Crc32c", {})},
    "v3 transposed": {"filters": ("Transpose", {"order": (2, 0, 1)})},
    "v3 v2 keys": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_zarrs_own_library_packs_is_read(name, tmp_path):
    zarr = library()
    data = np.random.default_rng(1).integers(0, 4000, (9, 21, 40)).astype(np.uint16)
    data[:4] = 0
    options = {"chunks": (4, 8, 16), "zarr_format": 3, **WRITERS[name]}
    for key in ("compressors", "filters"):
        if options.get(key):
            options[key] = made(options["zarr_format"], *options[key])
            options[key] = [options[key]] if key == "filters" else options[key]
    zarr.create_array(tmp_path / "in.zarr", shape=data.shape, dtype=data.dtype, **options)[:] = data
    np.testing.assert_array_equal(data, read(tmp_path / "in.zarr", axes="ZYX").data)


def made(version, name, config):
    """A codec of a library."""
    if version == 2:
        numcodecs = pytest.importorskip("numcodecs", reason="numcodecs is not installed")
        return numcodecs.get_codec({"id": name, **config})
    return getattr(pytest.importorskip("zarr.codecs", reason="zarr is not installed"), f"{name}Codec")(**config)


def test_dimensions_are_named_by_the_array_or_by_the_user(tmp_path):
    for version in (2, 3):
        path = zarrs.array(tmp_path / f"{version}.zarr", NUMBERS, version=version, names=["Time", "row", "x"])
        assert "TYX" == probe(path).axes
        path = zarrs.array(tmp_path / f"lat{version}.zarr", NUMBERS, version=version, names=["a", "lat", "lon"])
        assert "(named a, lat, lon): name its dimensions with --axes" in str(refusal(path))
        assert "ambiguous" == refusal(path).code
        assert "ZYX" == probe(path, axes="ZYX").axes
    assert "YX" == probe(zarrs.array(tmp_path / "plane.zarr", NUMBERS[0])).axes
    assert "shape" == refusal(zarrs.array(tmp_path / "line.zarr", NUMBERS[0, 0])).code
    assert "empty-image" == refusal(zarrs.array(tmp_path / "none.zarr", NUMBERS[0, :0], chunks=(1, 22))).code


# Groups


@pytest.mark.parametrize("version", [2, 3])
def test_an_image_says_its_axes_levels_and_spacing(version, tmp_path):
    data = np.random.default_rng(0).integers(0, 99, (2, 6, 20, 30)).astype(np.uint16)
    levels = [data, data[:, :, ::2, ::2], data[:, ::2, ::4, ::4]]
    scales = [[1, 2, 0.5, 0.25], [1, 2, 1, 0.5], [1, 4, 2, 1]]
    common = [{"type": "scale", "scale": [1, 1, 2, 2]}]
    path = zarrs.image(tmp_path / "in.ome.zarr", levels, axes="czyx", version=version, scales=scales,
                       coordinateTransformations=common)  # fmt: skip
    info = probe(path)
    assert ("CZYX", "ome-zarr", data.shape) == (info.axes, info.format, info.shape)
    assert {"Z": (2.0, "um"), "Y": (1.0, "um"), "X": (0.5, "um")} == info.spacing
    for number, level in enumerate(levels):
        for image in (convcli.read(path, level=number), read(path / str(number))):
            np.testing.assert_array_equal(level, image.data)
            assert 2 * scales[number][3] == image.info.spacing["X"][0]
    assert "has no level 3; it holds levels 0 to 2" in str(refusal(path, level=3))
    assert "has no level 1: NumPy array holds one resolution" in str(refusal(saved(tmp_path), level=1))


def saved(folder):
    """A file without levels."""
    np.save(folder / "a.npy", NUMBERS[0])
    return folder / "a.npy"


def test_versions_that_do_not_name_axes_mean_all_five(tmp_path):
    data = NUMBERS[None, None]
    path = zarrs.image(tmp_path / "in.zarr", [data], axes="", version=2)
    said = json.loads((path / ".zattrs").read_text())
    said["multiscales"] = [{"version": "0.1", "datasets": [{"path": "0"}]}]
    zarrs.put(path / ".zattrs", said)
    assert "TCZYX" == probe(path).axes


def test_a_group_of_one_array_is_that_array_and_of_several_names_them(tmp_path):
    path = zarrs.group(tmp_path / "group.zarr", {})
    assert "unknown-format" == refusal(path).code
    zarrs.array(path / "deep" / "a", NUMBERS[0])
    np.testing.assert_array_equal(NUMBERS[0], read(path).data)
    zarrs.array(path / "b", NUMBERS[1])
    assert "several arrays (b, deep/a)" in str(refusal(path))
    np.testing.assert_array_equal(NUMBERS[1], read(path / "b").data)


def test_series_wells_and_plates_are_named(tmp_path):
    path = zarrs.group(tmp_path / "series.zarr", {"bioformats2raw.layout": 3})
    for number in range(2):
        zarrs.image(path / str(number), [NUMBERS[number]], axes="yx")
    assert "holds 2 images (0, 1); --series 0 to 1 picks one" in str(refusal(path))
    np.testing.assert_array_equal(NUMBERS[1], read(path, options=ReadOptions(series=1)).data)

    plate = zarrs.group(tmp_path / "plate.zarr", {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}})
    assert f"is a plate of 2 wells; name one image of it, such as {plate}/A/1/0" in str(refusal(plate))
    well = zarrs.group(plate / "A" / "1", {"well": {"images": [{"path": "0"}]}})
    zarrs.image(well / "0", [NUMBERS[2]], axes="yx")
    np.testing.assert_array_equal(NUMBERS[2], read(well).data)


def test_labels_are_told_to_stay_where_they_are(tmp_path):
    path = zarrs.image(tmp_path / "in.ome.zarr", [NUMBERS])
    zarrs.group(path / "labels", {"labels": ["nuclei"]})
    assert ("its labels (nuclei) are neither filtered nor copied",) == probe(path).remarks


# What is damaged, or not meant well


def test_cut_chunks_and_shards_are_damage_and_never_zeros(tmp_path):
    for version, key in ((2, "1.1.0"), (3, "c/1/1/0")):
        path = zarrs.array(tmp_path / f"{version}.zarr", NUMBERS, version=version, chunks=(2, 8, 16), names="zyx")
        content = (path / key).read_bytes()
        for cut in (b"", content[:-1], content + b"\0"):
            (path / key).write_bytes(cut)
            error = refusal(path)
            assert ("corrupt", str(path)) == (error.code, error.where)
            assert key in error.message


def test_a_shard_is_damaged_where_it_is_cut_or_changed(tmp_path):
    convcli.write(tmp_path / "in.zarr", NUMBERS.astype(np.uint16), axes="ZYX")
    place = tmp_path / "in.zarr/c/0/0/0"
    content = place.read_bytes()
    for cut in (0, 3, 19, len(content) // 2, len(content) - 1):
        place.write_bytes(content[:cut])
        assert "corrupt" == refusal(tmp_path / "in.zarr").code
    for at in (*range(0, len(content) - 20, 5), *range(len(content) - 20, len(content))):
        changed = bytearray(content)
        changed[at] ^= 0x41
        place.write_bytes(changed)
        if at >= len(content) - 20:
            assert "corrupt" == refusal(tmp_path / "in.zarr").code
        else:
            try:
                read(tmp_path / "in.zarr")
            except ConvError as error:
                assert "corrupt" == error.code


DAMAGES = {
    "cut": (lambda text: text[: len(text) // 2], "corrupt"),
    "no object": (lambda _: "[1, 2]", "corrupt"),
    "empty": (lambda _: "", "corrupt"),
    "deep": (lambda _: "[" * 100_000, "corrupt"),
    "shape": (lambda text: text.replace("[5, 17, 22]", "[5, -17, 22]", 1), "corrupt"),
    "text for shape": (lambda text: text.replace("[5, 17, 22]", '"many"', 1), "corrupt"),
    "other rank": (lambda text: text.replace("[5, 17, 22]", "[17, 22]", 1), "corrupt"),
    "beyond": (lambda text: text.replace("[5, 17, 22]", f"[5, {10**30}, 22]", 1), "corrupt"),
    "huge": (lambda text: text.replace("[5, 17, 22]", f"[{2**40}, 4000, 4000]", 1), "too-large"),
    "no chunks": (lambda text: text.replace("[2, 8, 16]", "[2, 0, 16]"), "corrupt"),
    "huge chunks": (lambda text: text.replace("[2, 8, 16]", f"[{2**20}, {2**20}, 16]"), "too-large"),
    "complex": (lambda text: text.replace('"uint8"', '"complex64"').replace('"|u1"', '"<c8"'), "dtype"),
    "text": (lambda text: text.replace('"uint8"', '"string"').replace('"|u1"', '"|O"'), "dtype"),
    "structure": (lambda text: text.replace('"uint8"', '["u1"]').replace('"|u1"', '[["a", "<u2"]]'), "dtype"),
    "fill": (lambda text: text.replace('"fill_value": 0', '"fill_value": 300'), "corrupt"),
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_metadata_is_an_error_of_one_line_and_takes_no_memory(name, version, tmp_path):
    path = zarrs.array(tmp_path / "in.zarr", NUMBERS, version=version, chunks=(2, 8, 16), names="zyx")
    file = path / (".zarray" if version == 2 else "zarr.json")
    change, code = DAMAGES[name]
    text = change(file.read_text())
    assert text != file.read_text()
    file.write_text(text)
    tracemalloc.start()
    error = refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code == error.code, error
    assert "\n" not in str(error)
    assert 2**25 > peak


@pytest.mark.parametrize("codec", ["pickle", "numcodecs.pickle", "jpeg2k", "vlen-utf8", ""])
def test_codecs_that_are_not_here_are_named_and_never_run(codec, tmp_path):
    path = zarrs.array(tmp_path / "3.zarr", NUMBERS[0], codecs=[{"name": "bytes"}, {"name": codec}])
    assert "codec-missing" == refusal(path).code
    path = zarrs.array(tmp_path / "2.zarr", NUMBERS[0], version=2, compressor={"id": codec})
    assert "codec-missing" == refusal(path).code
    assert codec.removeprefix("numcodecs.") in str(refusal(path))


@pytest.mark.parametrize("name", sorted({"zstd", "blosc", "gzip", "zlib", "lz4"}))
def test_packed_bytes_that_hold_more_than_is_declared_are_refused(name, tmp_path):
    bomb = codecs.Codec(name, {"typesize": 1}).pack(bytes(2**26))
    path = zarrs.array(tmp_path / "in.zarr", np.zeros((8, 8), np.uint8), version=2, compressor={"id": name})
    (path / "0.0").write_bytes(bomb)
    assert 2**21 > len(bomb)
    assert "corrupt" == refusal(path).code


def test_nothing_outside_of_the_folder_is_read(tmp_path):
    secret = zarrs.array(tmp_path / "secret.zarr", NUMBERS[0])
    path = zarrs.array(tmp_path / "in.zarr", NUMBERS[0])
    (path / "c/0/0").unlink()
    (path / "c/0/0").symlink_to(secret / "c/0/0")
    assert "unsafe" == refusal(path).code
    linked = zarrs.image(tmp_path / "linked.ome.zarr", [NUMBERS[0]], axes="yx")
    os.rename(linked / "0", linked / "1")  # noqa: PTH104
    (linked / "0").symlink_to(secret)
    assert "unsafe" == refusal(linked).code
    for place in ("../secret.zarr", str(secret), "a/../../secret.zarr", ""):
        said = json.loads((linked / "zarr.json").read_text())
        said["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = place
        zarrs.put(linked / "zarr.json", said)
        assert refusal(linked).code in ("unsafe", "corrupt")
    alias = tmp_path / "alias.zarr"
    alias.symlink_to(secret)
    np.testing.assert_array_equal(NUMBERS[0], read(alias).data)


def test_what_is_unfinished_is_no_image(tmp_path):
    path = zarrs.image(tmp_path / "in.ome.zarr", [NUMBERS])
    (path / MARK).write_text("{}")
    assert "unfinished" == refusal(path).code
    assert "unfinished" == refusal(path / "0").code
    (path / "zarr.json").unlink()
    assert "unfinished" == refusal(path).code
    assert MARK in ZARR


# Reads


READS = []


class Counting(LocalStore):
    """A folder that tells which pieces were read of it."""

    def whole(self, key):
        READS.append((key, None))
        return super().whole(key)

    def read(self, key, start, stop, *, tag=""):
        READS.append((key, stop - start))
        return super().read(key, start, stop, tag=tag)


@pytest.mark.parametrize("shards", [None, (4, 16, 16)])
def test_a_box_reads_the_chunks_that_it_touches_and_no_other(shards, tmp_path):
    zarr = library()
    data = np.random.default_rng(0).integers(1, 99, (8, 32, 32)).astype(np.uint8)
    options = {"shards": shards} if shards else {}
    zarr.create_array(
        tmp_path / "in.zarr", shape=data.shape, dtype="u1", chunks=(2, 8, 8), compressors=None, **options
    )[:] = data
    with windows(str(tmp_path / "in.zarr"), options=ReadOptions(axes="ZYX")) as found:
        READS.clear()
        counted = replace(found[1].pixels, store=Counting(str(tmp_path / "in.zarr")))
        spans = ((1, 3), (7, 16), (8, 15))
        out = np.empty((2, 9, 7), np.uint8)
        counted.read(spans, out)
        np.testing.assert_array_equal(data[1:3, 7:16, 8:15], out)
    if shards is None:
        assert [(f"c/{z}/{y}/1", None) for z, y in product((0, 1), (0, 1))] == sorted(READS)
    else:  # of one shard: its index, and four chunks in a row of it
        assert {"c/0/0/0"} == {key for key, _ in READS}
        assert 16 * 8 + 4 in [size for _, size in READS]
        assert 16 * 8 + 4 + 4 * 128 <= sum(size for _, size in READS) <= 16 * 8 + 4 + 8 * 128


def test_a_command_reads_an_image_of_a_level_by_the_units_of_its_axes(run, tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (20, 30)).astype(np.uint8)
    path = zarrs.image(tmp_path / "in.ome.zarr", [data, data[::2, ::2]], axes="yx", scales=[[0.5, 1], [1, 2]])
    for source, kernel, level in ((path, "gaussian:2,1", data), (path / "1", "gaussian:1,.5", data[::2, ::2])):
        np.save("plain.npy", level)
        assert (0, []) == run("conv2d", "plain.npy", "-k", kernel, "-o", "a.npy", "-f", "-qq")
        assert (0, []) == run("conv2d", source, "-k", "gaussian:1um", "-o", "b.npy", "-f", "-qq")
        np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))


def test_an_image_in_memory_and_its_zarr_are_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = Image(read(saved(tmp_path)).info, NUMBERS[0])
    for name in ("a.zarr", "a.ome.zarr"):
        convcli.write(name, image)
        np.testing.assert_array_equal(NUMBERS[0], convcli.read(tmp_path / name).data, strict=True)
        with pytest.raises(ConvError, match="exists already; --force replaces it"):
            convcli.write(tmp_path / name, image)
        convcli.write(tmp_path / name, NUMBERS[1], force=True)
        np.testing.assert_array_equal(NUMBERS[1], convcli.read(tmp_path / name).data, strict=True)


@pytest.mark.skipif(not native.AVAILABLE, reason="needs the native extension: else no tile is cut for memory")
@pytest.mark.parametrize("command", [("conv3d", "-k", "gaussian:1"), ("conv2d", "-k", "sobel:x")])
@pytest.mark.parametrize("border", ["edge", "wrap"])
@pytest.mark.parametrize(("chunks", "shards"), [((16, 32, 32), None), ((4, 8, 32), (16, 32, 64))])
def test_slabs_unpack_each_chunk_once_where_memory_holds_a_row_of_them(
    run, tmp_path, monkeypatch, command, border, chunks, shards
):
    data = np.random.default_rng(0).integers(1, 4000, (75, 96, 80)).astype(np.uint16)
    options = {"--shards": ",".join(map(str, shards))} if shards else {}
    np.save("in.npy", data)
    cuts = ("--chunks", ",".join(map(str, chunks)), *(word for pair in options.items() for word in pair))
    assert (0, []) == run("conv2d", "in.npy", "--axes", "ZYX", "-k", "identity", "-o", "in.zarr", "-qq", *cuts)
    monkeypatch.setattr("convcli.engine.run.LEAST", 2**16)
    unpacked, decode = [], pipeline.Pipeline.decode

    def counted(self, *given):
        unpacked.append(given)
        return decode(self, *given)

    monkeypatch.setattr(pipeline.Pipeline, "decode", counted)
    words = ("--border", border, "--memory", "2MiB", "-qq", "-o")
    assert (0, []) == run(*command, "in.zarr", *words, "a.npy")
    chunks_there = np.prod([-(-size // step) for size, step in zip(data.shape, chunks, strict=True)])
    across = chunks_there // -(-75 // chunks[0])
    halo = 3 * across if command[0] == "conv3d" and border == "wrap" else 0  # rows at the ends, for the others
    assert chunks_there <= len(unpacked) <= chunks_there + halo
    assert (0, []) == run(*command, "in.npy", "--axes", "ZYX", *words, "b.npy")
    np.testing.assert_array_equal(np.load("b.npy"), np.load("a.npy"))


CHANGES = {
    "metadata": lambda path: zarrs.put(path / "0/zarr.json", json.loads((path / "0/zarr.json").read_text())),
    "group": lambda path: zarrs.put(path / "zarr.json", json.loads((path / "zarr.json").read_text())),
    "gone": lambda path: (path / "0/zarr.json").unlink(),
    "chunk": lambda path: (path / "0/c/4/0/0").write_bytes((path / "0/c/4/0/0").read_bytes()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("target", ["out.npy", "out.ome.zarr", "streamed.npy"])
def test_an_image_that_changes_while_it_is_read_is_refused(run, tmp_path, monkeypatch, change, target):
    path = zarrs.image(tmp_path / "in.ome.zarr", [np.ones((40, 64, 64), np.uint16)])
    monkeypatch.setattr("convcli.runs.one.LONG", 1 if target == "streamed.npy" else 2**30)
    monkeypatch.setattr("convcli.engine.run.LEAST", 2**14)
    monkeypatch.setattr(ZarrPixels, "side_by_side", lambda _, function, given: map(function, given))  # in order
    for file in path.rglob("*"):
        os.utime(file, ns=(10**18, 10**18))
    words = ("conv3d", path, "-k", "box:3", "-qq", "-o", target)
    assert (0, []) == run(*words)
    fetch, number = ZarrPixels.pieces, count()

    def pieces(self, key, *given):
        if self.since and not next(number):
            CHANGES[change](path)
        return fetch(self, key, *given)

    monkeypatch.setattr(ZarrPixels, "pieces", pieces)
    code, lines = run(*words, "--force")
    assert (1, "changed") == (code, lines[-1].rpartition("[")[2].rstrip("]")), lines
    if target == "out.ome.zarr":
        assert "unfinished" == refusal(target).code
    else:
        np.testing.assert_array_equal(np.ones((40, 64, 64), np.uint16), np.load(target))
