"""Outputs as viewers open them: what napari, and Fiji by BigDataViewer, ask of a Zarr, asked of its own library."""

import json

import numpy as np
import pytest
import scipy.ndimage

import zarrs

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
STEPS, CORNER = {"c": 1.0, "z": 1.0, "y": 0.5, "x": 0.25}, {"c": 0.0, "z": 3.0, "y": 10.0, "x": 20.0}
SIGMA = {"z": 1.5, "y": 1.0, "x": 0.5}
DATA = np.random.default_rng(8).integers(0, 4096, (2, 9, 70, 301), np.uint16)


@pytest.fixture(scope="module", params=["0.4", "0.5"])
def filtered(request, tmp_path_factory):
    """The path of a volume that was filtered in micrometers, of OME-Zarr's version, with coarser levels."""
    from convcli.cli import run

    folder = tmp_path_factory.mktemp("viewed")
    axes = "czyx"
    source = zarrs.image(
        folder / "in.ome.zarr", [DATA], axes=axes, version=2 if request.param == "0.4" else 3,
        scales=[[STEPS[axis] for axis in axes]], translations=[[CORNER[axis] for axis in axes]],
        ome={"omero": {"channels": [zarrs.CHANNEL, {**zarrs.CHANNEL, "label": "RFP", "color": "FF0000"}]}},
    )  # fmt: skip
    widths = ",".join(f"{width}um" for width in SIGMA.values())
    words = [
        "conv3d",
        source,
        "-k",
        f"gaussian:{widths},truncate=3",
        "-o",
        folder / "out.ome.zarr",
        "--levels",
        "3",
        "-q",
    ]
    assert 0 == run([str(word) for word in words])
    return folder / "out.ome.zarr"


def multiscale(path):
    """What readers of either version look for first: the group, its multiscale, and what is said of its channels."""
    group = zarr.open_group(path, mode="r")
    said = group.attrs.get("ome", group.attrs)
    return group, said["multiscales"][0], said["omero"]["channels"]


def transformed(dataset, kind):
    """The numbers of one of a level's transformations, for the axes in space."""
    (found,) = (each[kind] for each in dataset["coordinateTransformations"] if each["type"] == kind)
    return dict(zip("czyx", found, strict=True))


def means(values, factor):
    """The mean of each whole block of so many along each axis."""
    for axis, step in enumerate(factor):
        whole = values.take(range(values.shape[axis] // step * step), axis)
        values = np.add.reduceat(whole, np.arange(0, whole.shape[axis], step), axis) / step
    return values


def test_napari_makes_a_layer_of_each_channel_with_its_levels_scale_place_and_contrast(filtered):
    """It takes the axis of channels apart, and scale and translation of the finest level for all others."""
    group, said, channels = multiscale(filtered)
    assert ["channel", "space", "space", "space"] == [axis["type"] for axis in said["axes"]]
    assert ["micrometer"] * 3 == [axis["unit"] for axis in said["axes"][1:]]
    levels = [group[dataset["path"]] for dataset in said["datasets"]]
    assert STEPS == transformed(said["datasets"][0], "scale")
    assert CORNER == transformed(said["datasets"][0], "translation")
    assert [DATA.dtype] * 3 == [level.dtype for level in levels]
    expected = scipy.ndimage.gaussian_filter(
        DATA.astype(float), [0, *(SIGMA[axis] / STEPS[axis] for axis in "zyx")], truncate=3, mode="nearest"
    )
    assert np.abs(levels[0][:] - expected).max() <= 0.5 + 1e-3
    assert [("GFP", "00FF00"), ("RFP", "FF0000")] == [(channel["label"], channel["color"]) for channel in channels]
    assert [(0, 900)] * 2 == [(channel["window"]["start"], channel["window"]["end"]) for channel in channels]


def test_bigdataviewer_lays_each_level_over_the_finest_one(filtered):
    """Its factors are its scale over the finest one's; its samples lie in the middle of those that they mean."""
    group, said, _ = multiscale(filtered)
    finest = group[said["datasets"][0]["path"]][:]
    for number, dataset in enumerate(said["datasets"]):
        level, steps = group[dataset["path"]], transformed(dataset, "scale")
        factors = [round(steps[axis] / STEPS[axis]) for axis in "czyx"]
        assert steps == {axis: factor * STEPS[axis] for axis, factor in zip("czyx", factors, strict=True)}
        assert level.shape == tuple(size // factor for size, factor in zip(finest.shape, factors, strict=True))
        first = transformed(dataset, "translation")
        for axis, factor in zip("zyx", factors[1:], strict=True):
            held = CORNER[axis] + STEPS[axis] * np.arange(factor)
            assert held.mean() == pytest.approx(first[axis], abs=1e-12)
        assert np.abs(level[:] - means(finest.astype(float), factors)).max() <= 0.5 * (number or 1e-9)
    assert number == 2


def test_what_readers_in_java_know_of_zarr_is_what_is_asked_of_them(filtered):
    """N5's and the OME's readers take nested keys, rows before columns, plain integers, and a packing of their list."""
    for number in range(3):
        path = filtered / str(number)
        if (path / ".zarray").exists():
            said = json.loads((path / ".zarray").read_text())
            assert ("/", "C", "<u2", None) == tuple(
                said[key] for key in ("dimension_separator", "order", "dtype", "filters")
            )
            assert said["compressor"] is None or said["compressor"]["id"] in (
                "blosc",
                "zlib",
                "gzip",
                "zstd",
                "lz4",
                "bz2",
            )
            assert (path / "0" / "0" / "0" / "0").is_file()
        else:
            said = json.loads((path / "zarr.json").read_text())
            assert "/" == said["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
            assert ("uint16", 0, ["c", "z", "y", "x"]) == tuple(
                said[key] for key in ("data_type", "fill_value", "dimension_names")
            )
            known = {"bytes", "transpose", "sharding_indexed", "crc32c", "blosc", "gzip", "zstd"}
            assert {codec["name"] for codec in said["codecs"]} <= known
            assert (path / "c" / "0" / "0" / "0" / "0").is_file()
