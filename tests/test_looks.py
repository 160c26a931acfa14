"""What is seen of an image file is what is in it: its pixels, its planes, how often which values are there."""

import base64
import io
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image as Pillow

from convcli.formats import ReadOptions, read, write
from convcli.formats.source import source_of
from convcli.image import ImageInfo
from convcli.pictures.developing import MISSING, Span, as_floats, developed, span_of
from convcli.pictures.drawing import Polygon
from convcli.pictures.histogram import MOST, Histogram
from convcli.pictures.histograms import HEIGHT, TOP, ends_of, histogram_drawing
from convcli.runs.looks import WHOLE, Wish, look
from convcli.runs.watch import spots
from images import WRITTEN, picture, with_names

PAGE = Wish(480, 640, page=True)
SAMPLES = Path(__file__).parents[1] / "samples"


def seen(path, wish=PAGE, axes=None, **known):
    """What is seen of a file."""
    return look(source_of(path), ReadOptions(axes=axes), wish, **known)


def pixels(view):
    """The picture of a view as an array."""
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(view["picture"].partition(",")[2]))))


def counted(values, parts):
    """The histogram of values that come in parts."""
    histogram = Histogram()
    for part in np.array_split(values.ravel(), parts):
        histogram.add(part)
    return histogram.bins()


VALUES = st.one_of(
    arrays("f4", st.integers(1, 60), elements=st.floats(width=32)),
    arrays("f8", st.integers(1, 60), elements=st.floats(-(2.0**1000), 2.0**1000)),
    arrays("u1", st.integers(1, 60)),
    arrays("i2", st.integers(1, 60)),
    arrays("u8", st.integers(1, 60)),
    arrays("i8", st.integers(1, 60)),
)


@example(np.array([-1e-61, 8e264]), 2)
@given(VALUES, st.integers(1, 9))
def test_a_histogram_counts_every_number_once_however_values_are_cut(values, parts):
    whole = counted(values, 1)
    assert whole == counted(values, parts)
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    assert len(known) == whole["known"] == sum(whole["counts"])
    assert len(whole["counts"]) <= MOST


@given(arrays("f8", st.integers(2, 60), elements=st.floats(-1e6, 1e6, width=32)))
def test_bins_are_those_of_numpy(values):
    found = counted(values, 3)
    edges = found["first"] + found["width"] * np.arange(len(found["counts"]) + 1)
    assert np.histogram(values, edges)[0].tolist() == found["counts"] or values.max() == edges[-2]  # its last is closed
    assert edges[0] <= values.min()
    assert values.max() < edges[-1]


def test_bytes_are_counted_one_by_one():
    values = np.random.default_rng(1).integers(0, 256, 5000, "u1")
    found = counted(values, 4)
    assert 1.0 == found["width"]
    assert np.bincount(values)[int(found["first"]) :].tolist() == found["counts"]


@pytest.mark.parametrize("name", ["photo.jpg", "shapes.png"])
def test_colours_are_counted_each_by_itself_as_pillow_reads_them(name):
    data = np.asarray(Pillow.open(SAMPLES / name).convert("RGB"))
    look = seen(SAMPLES / name)
    assert ["red", "green", "blue"] == [bins["name"] for bins in look["histogram"]]
    for bins, channel in zip(look["histogram"], np.moveaxis(data, -1, 0), strict=True):
        assert np.bincount(channel.ravel())[int(bins["first"]) :].tolist() == bins["counts"]


def test_all_planes_are_counted_and_the_middle_one_is_shown():
    data = tifffile.imread(SAMPLES / "stack.tif")
    look = seen(SAMPLES / "stack.tif")
    (bins,) = look["histogram"]
    edges = bins["first"] + bins["width"] * np.arange(len(bins["counts"]) + 1) - 0.5
    assert np.histogram(data, edges)[0].tolist() == bins["counts"]
    assert f"Z {len(data) // 2} of 0 to {len(data) - 1}" in look["said"]
    low, high, stretched = look["span"]
    assert stretched
    expected = np.clip((data[len(data) // 2] - low) / (high - low), 0, 1) * 255
    assert np.abs(pixels(look["views"][0])[..., 0] - expected).max() <= 0.5 + 1e-9


def test_a_small_picture_is_shown_pixel_by_pixel():
    data = np.asarray(Pillow.open(SAMPLES / "shapes.png").convert("RGB"))
    look = seen(SAMPLES / "shapes.png")
    assert (1, data.shape[:2]) == (look["factor"], look["size"])
    assert np.array_equal(data, pixels(look["views"][0]))


def test_a_large_one_is_shown_by_means_and_in_boxes_pixel_by_pixel(tmp_path):
    data = np.random.default_rng(2).integers(0, 256, (700, 900, 3), "u1")
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", rowsperstrip=17)
    box = 100, 200, 164, 264
    look = seen(tmp_path / "a.tif", boxes=[box])
    assert data.shape[0] * data.shape[1] > WHOLE
    assert 2 == look["factor"]
    means = data.reshape(350, 2, 450, 2, 3).mean((1, 3))
    assert np.abs(pixels(look["views"][0]) - means).max() <= 0.5
    assert np.array_equal(data[100:164, 200:264], pixels(look["views"][1]))


def test_what_is_no_number_is_magenta_and_counted_nowhere(tmp_path):
    data = np.linspace(0, 9, 60, dtype="f4").reshape(6, 10)
    data[2, 3:6] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "a.npy", data)
    look = seen(tmp_path / "a.npy")
    shown = pixels(look["views"][0])
    assert [[2, 3], [2, 4], [2, 5]] == np.argwhere((shown == MISSING).all(-1)).tolist()
    assert [57] == [bins["known"] for bins in look["histogram"]]
    assert "magenta: no number" in look["said"]


def test_an_opacity_shows_checks_and_is_not_counted(tmp_path):
    data = np.full((32, 32, 4), 255, "u1")
    data[:, :16, 3] = 0
    Pillow.fromarray(data).save(tmp_path / "a.png")
    look = seen(tmp_path / "a.png")
    shown = pixels(look["views"][0])
    assert {160, 210} == {*shown[:, :16].ravel().tolist()}
    assert {255} == {*shown[:, 16:].ravel().tolist()}
    assert ["red", "green", "blue"] == [bins["name"] for bins in look["histogram"]]


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: entry.name)
def test_every_format_is_read_back_whatever_it_holds(entry, tmp_path):
    grey = entry.module.startswith("volumes.") or entry.module == "csv"  # which hold no colours as such
    image = picture(
        "grey" if grey else (entry.samples or ("rgb",))[-1], "float64" if entry.module == "csv" else entry.dtypes[0]
    )
    path = tmp_path / f"a{(entry.suffixes or ('.tif',))[0]}"
    write(path, image, format=entry)
    options = with_names(entry, image.info)
    look_back = look(source_of(path), options, PAGE)
    data = read(path, options=options).data
    planes = [data] if data.ndim == 2 else [data[..., n] for n in range(3)]
    assert [plane.size for plane in planes] == [bins["known"] for bins in look_back["histogram"]][:3]
    assert data.shape[:2] == pixels(look_back["views"][0]).shape[:2]


def test_the_largest_numbers_have_an_axis(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[-1.7e308, 0, 1.7e308]]))
    look = seen(tmp_path / "a.npy")
    drawing = histogram_drawing(look, "before", ends_of([look]))
    points = [point for shape in drawing.shapes if isinstance(shape, Polygon) for point in shape.points]
    assert all(isfinite(x) and isfinite(y) for x, y in points)
    assert [0, 128, 255] == pixels(look["views"][0])[0, :, 0].tolist()


@pytest.mark.parametrize(("below", "above"), [(0, 0), (900, 0), (0, 900), (900, 900)])
def test_clipped_samples_are_marks_and_not_the_peak_of_all(below, above, tmp_path):
    """Of values that are as frequent as each other each is as high as the chart, whatever was clipped to the ends."""
    values = np.repeat(np.arange(10, 20, dtype="u1"), 10)
    values = np.concatenate([np.zeros(below, "u1"), values, np.full(above, 255, "u1")])
    np.save(tmp_path / "a.npy", values[None])
    look = seen(tmp_path / "a.npy")
    drawing = histogram_drawing(look, "after", ends_of([look]), below, above)
    (outline,) = [shape for shape in drawing.shapes if isinstance(shape, Polygon)]
    heights = [TOP + HEIGHT - y for _, y in outline.points[1:-1:2]]
    first = int(look["histogram"][0]["first"])
    assert [HEIGHT] * 10 == heights[10 - first : 20 - first]
    assert {"below": below > 0, "above": above > 0} == {
        words: any(dict(getattr(shape, "data", {})).get("clipped") == words for shape in drawing.shapes)
        for words in ("below", "above")
    }


@pytest.mark.parametrize("axes", ["ZYX", "TZCYX", "YXC", "XY", "YXS", "CXY"])
def test_any_order_of_axes_is_shown_with_its_rows_down(axes, tmp_path):
    sizes = {"T": 3, "Z": 4, "C": 2, "Y": 6, "X": 9, "S": 3}
    data = np.random.default_rng(3).integers(0, 256, [sizes[axis] for axis in axes], "u1")
    np.save(tmp_path / "a.npy", data)
    shown = pixels(seen(tmp_path / "a.npy", axes=axes)["views"][0])
    order = [axes.index(axis) for axis in "TZCYXS" if axis in axes]
    plane = data.transpose(order)[tuple({"T": 1, "Z": 2, "C": 0}[axis] for axis in "TZC" if axis in axes)]
    assert np.array_equal(shown if "S" in axes else shown[..., 0], plane)


def test_what_fits_into_the_range_of_the_input_is_shown_in_that():
    info = ImageInfo((1, 2), "float32", "YX")
    values = as_floats(info, np.array([[[2.0], [4.0]]], "f4"))
    assert Span(2, 4, stretched=True).holds(Span(2.5, 3, stretched=True))
    assert [0, 255] == developed(info, values, Span(2, 4))[0, :, 0].tolist()
    assert [128, 128] == developed(info, values * 0, span_of(info, values * 0))[0, :, 0].tolist()


@given(st.integers(1, 900), st.sampled_from([0.25, 0.5, 2 / 3, 1.0, 2.0, 3.0]), st.integers(-5, 5))
def test_spots_of_input_and_result_have_the_same_field(size, step, shift):
    result = max(1, round(size / step))
    for before, after in spots((size, 1), (result, 1), ((shift, step), (0.0, 1.0))):
        assert 0 <= before[0] < before[2] <= size
        assert 0 <= after[0] < after[2] <= result
        field = shift + 0.5 - step / 2 + step * after[0], shift + 0.5 - step / 2 + step * after[2]
        clipped = min(max(field[0], 0), size), min(max(field[1], 0), size)
        assert abs(before[0] - clipped[0]) <= 1
        assert abs(before[2] - clipped[1]) <= 1
