"""Pictures of kernels: a shape for each tap, in its place and colour, and the response to waves beside them."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from math import prod

import numpy as np
import pytest

from convcli.cli import run
from convcli.errors import ConvError
from convcli.kernels import KERNELS, parse_kernel
from convcli.kernels.kernel import Kernel
from convcli.kernels.spectrum import frequencies, magnitude, profile, ray, section
from convcli.pictures.charts import Scale
from convcli.pictures.colours import diverging
from convcli.pictures.drawing import Image, Line, Rect, Text, walk
from convcli.pictures.kernels import FRAME, kernel_drawing, kernel_page
from convcli.pictures.page import page_text
from convcli.pictures.raster import image_of

SVG = "{http://www.w3.org/2000/svg}"
AXES = ("filter", "channel", "z", "y", "x")


def rng():
    return np.random.default_rng(18)


def bank_of(*shape):
    return Kernel.from_array("bank", rng().normal(size=shape), bank=True)


def taps_of(drawing):
    """The squares of taps with their places on the sheet."""
    return [(shape, x, y) for shape, x, y in walk(drawing.shapes) if isinstance(shape, Rect) and "value" in shape.data]


def array_of(drawing, shape):
    """The kernel as its picture tells it, from the data of its squares."""
    told = np.full(shape, np.nan)
    for tap, _, _ in taps_of(drawing):
        told[tuple(tap.data[axis] for axis in AXES if axis in tap.data)] = float(tap.data["value"])
    return told


EXAMPLES = [(kernel.example, ndim) for kernel in KERNELS.values() for ndim in kernel.ndims]


@pytest.mark.parametrize(("text", "ndim"), EXAMPLES)
def test_a_picture_has_a_square_for_each_tap_with_its_place_value_and_colour(text, ndim):
    kernel = parse_kernel(text, ndim)
    if prod(kernel.shape) > 5000:
        kernel = Kernel.from_array(text, kernel.array()[tuple(slice(0, 9) for _ in range(ndim))])
    drawing = kernel_drawing(kernel)
    squares = taps_of(drawing)
    assert prod(kernel.shape) == len(squares)
    np.testing.assert_allclose(array_of(drawing, kernel.shape), kernel.array(), rtol=1e-14, atol=0)  # sums of terms
    most = np.abs(kernel.array()).max()
    assert all(diverging(float(tap.data["value"]) / (most or 1)) == tap.fill for tap, _, _ in squares)


SHAPES = [(1, 1, 1, 1), (64, 3, 7, 7), (4, 16, 3, 3), (24, 1, 5, 5), (3, 2, 3, 3, 3), (2, 6, 2, 2, 2), (1, 40, 1, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_planes_of_a_bank_lie_apart_on_the_sheet(shape):
    drawing = kernel_drawing(bank_of(*shape))
    places = {}
    for tap, x, y in taps_of(drawing):
        places[x + tap.x + tap.width / 2, y + tap.y + tap.height / 2] = tap
        assert 0 <= x + tap.x <= drawing.width - tap.width and 0 <= y + tap.y <= drawing.height - tap.height
    shown = prod(shape) if shape[1] <= 32 else 32 * prod(shape) // shape[1]
    assert shown == len(places)
    ordered = sorted(places)
    gaps = [b[1] - a[1] for a, b in pairwise(ordered) if a[0] == b[0]]
    assert all(gap >= next(iter(places.values())).height - 1e-6 for gap in gaps)


def test_what_a_sheet_leaves_out_is_said():
    drawing = kernel_drawing(bank_of(256, 256, 1, 1))
    assert "the first 32 of 256 filters, the first 32 of 256 channels" in drawing.description
    assert 32 * 32 == len(taps_of(drawing))
    volume = kernel_drawing(Kernel.from_array("tall", np.ones((130, 2, 2))))
    assert "one of 3 of its 130 slices" in volume.description
    assert {0, 3, 129} <= {tap.data["z"] for tap, _, _ in taps_of(volume)}


def test_taps_lie_as_pixels_do_and_numbers_stand_in_them():
    drawing = kernel_drawing(parse_kernel("1 2 3; 4 5 6"))
    squares = {(tap.data["y"], tap.data["x"]): (x + tap.x, y + tap.y) for tap, x, y in taps_of(drawing)}
    assert squares[0, 0][0] < squares[0, 1][0] < squares[0, 2][0]
    assert squares[0, 0][1] < squares[1, 0][1]
    texts = [shape.text for shape, _, _ in walk(drawing.shapes) if isinstance(shape, Text)]
    assert ["1", "2", "3", "4", "5", "6"] == [text for text in texts if text in "123456"][:6]
    assert "1 2 3; 4 5 6" in drawing.description


def test_the_tap_on_the_pixel_is_framed():
    drawing = kernel_drawing(parse_kernel("1 2 3; 4 5 6").at_origin((1, 2)))
    (frame,) = [(x + s.x, y + s.y) for s, x, y in walk(drawing.shapes) if isinstance(s, Rect) and s.stroke == FRAME]
    places = {(tap.data["y"], tap.data["x"]): (x + tap.x, y + tap.y) for tap, x, y in taps_of(drawing)}
    assert places[1, 2] == frame


def numbers_of(drawing):
    return [shape for shape, _, _ in walk(drawing.shapes) if isinstance(shape, Text) and "middle" == shape.anchor]


def test_numbers_stand_where_they_fit_and_nowhere_by_chance():
    assert 13 * 13 == len(
        [text for text in numbers_of(kernel_drawing(parse_kernel("gaussian:1.5"))) if "." in text.text]
    )
    assert [] == [text for text in numbers_of(kernel_drawing(parse_kernel("gaussian:4"))) if "." in text.text]
    thirds = numbers_of(kernel_drawing(parse_kernel("box:1,31")))
    assert 31 == len([text for text in thirds if text.text in {"0.0323", "0.032"}])


def test_a_kernel_of_zeros_is_white_and_has_no_scale():
    drawing = kernel_drawing(parse_kernel("0 0; 0 0"), spectrum=True)
    assert {"#ffffff"} == {tap.fill for tap, _, _ in taps_of(drawing)}
    assert not [shape for shape, _, _ in walk(drawing.shapes) if isinstance(shape, Text) and "-0" == shape.text]


def test_many_taps_are_an_image_whose_pixels_are_their_colours():
    kernel = parse_kernel("dog:20,25")
    drawing = kernel_drawing(kernel)
    (picture,) = [(shape, x, y) for shape, x, y in walk(drawing.shapes) if isinstance(shape, Image)]
    shape, x, y = picture
    seen = image_of(drawing, 1)
    middle = seen.getpixel((round(x + shape.width / 2), round(y + shape.height / 2)))
    assert middle[0] > 200 > middle[2]  # vermillion
    ring = seen.getpixel((round(x + shape.width / 2 + 55 * shape.width / kernel.shape[1]), round(y + shape.height / 2)))
    assert ring[2] > ring[0]  # blue


def test_a_kernel_too_large_to_look_at_is_refused_in_a_line(capsys, tmp_path):
    with pytest.raises(ConvError, match="too large for a picture"):
        kernel_drawing(parse_kernel("gaussian:100", 3))
    assert 1 == run(["kernels", "gaussian:100", "--3d", "-o", str(tmp_path / "k.png")])
    assert 1 == len(capsys.readouterr().err.splitlines())
    assert [] == list(tmp_path.iterdir())


# --- waves


def test_the_response_is_the_transform_of_the_taps():
    taps = rng().normal(size=(5, 4))
    waves = np.arange(16) / 16
    expected = np.abs(np.fft.fft2(taps, (16, 16)))
    np.testing.assert_allclose(magnitude(taps, [waves, waves]), expected, atol=1e-12)
    np.testing.assert_allclose(profile(taps, 0, waves), expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(profile(taps, 1, waves), expected[0], atol=1e-12)
    np.testing.assert_allclose(ray(taps, (1.0, 1.0), waves), expected.diagonal(), atol=1e-12)


def test_the_response_of_a_volume_is_the_plane_through_zero():
    taps = rng().normal(size=(3, 5, 4))
    waves = np.arange(8) / 8
    expected = np.abs(np.fft.fftn(taps, (8, 8, 8), (0, 1, 2)))
    np.testing.assert_allclose(section(taps, waves), expected[0], atol=1e-12)
    np.testing.assert_allclose(profile(taps, 0, waves), expected[:, 0, 0], atol=1e-12)


def curves_of(drawing):
    return {shape.data["axis"]: shape for shape, _, _ in walk(drawing.shapes) if isinstance(shape, Line) and shape.data}


def test_the_curve_of_a_gaussian_is_the_gaussian_of_its_transform():
    curves = curves_of(kernel_drawing(parse_kernel("gaussian:2"), spectrum=True))
    assert {"x", "y"} == set(curves)
    across, up = Scale(0, 0.5, 0, 280), Scale(0, 1, 240, 0)
    for x, y in curves["x"].points:
        frequency = 0.5 * x / across.stop
        assert pytest.approx(up.at(np.exp(-2 * (np.pi * 2 * frequency) ** 2)), abs=0.6) == y


def test_the_curve_of_an_oblique_wave_has_its_peak_at_its_frequency():
    curves = curves_of(kernel_drawing(parse_kernel("gabor:8,45"), spectrum=True))
    assert {"x", "y", "oblique"} == set(curves)
    x, _ = min(curves["oblique"].points, key=lambda point: point[1])
    assert pytest.approx(1 / 8, abs=0.005) == 0.5 * x / 280


def test_the_axes_of_a_volume_have_a_curve_each():
    assert {"x", "y", "z"} == set(curves_of(kernel_drawing(parse_kernel("ball:2", 3), spectrum=True)))


def test_each_plane_of_a_bank_has_a_map():
    drawing = kernel_drawing(bank_of(5, 3, 3, 3), spectrum=True)
    maps = [shape for shape, _, _ in walk(drawing.shapes) if isinstance(shape, Image)]
    assert [(i, j) for i in range(5) for j in range(3)] == [(m.data["filter"], m.data["channel"]) for m in maps]


def test_frequencies_have_zero_in_the_middle():
    assert 0 == frequencies(121)[60]


# --- files and pages


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_a_picture_is_written_whole_and_replaces_nothing_unasked(suffix, tmp_path, capsys):
    path = tmp_path / f"k{suffix}"
    assert 0 == run(["kernels", "sobel", "--spectrum", "-o", str(path)])
    before = path.read_bytes()
    assert {".svg": b"<svg", ".png": b"\x89PNG", ".html": b"<!doctype html>"}[suffix] in before[:20]
    assert 1 == run(["kernels", "box:3", "-o", str(path)])
    assert "--force" in capsys.readouterr().err
    assert before == path.read_bytes()
    assert 0 == run(["kernels", "box:3", "-o", str(path), "--force"])
    assert before != path.read_bytes()


def test_an_svg_has_a_title_a_text_and_a_shape_for_each_tap(tmp_path):
    assert 0 == run(["kernels", "laplacian", "-o", str(tmp_path / "k.svg")])
    root = ET.parse(tmp_path / "k.svg").getroot()
    assert "Kernel laplacian" == root.find(f"{SVG}title").text
    assert "0 1 0; 1 -4 1; 0 1 0" in root.find(f"{SVG}desc").text
    told = {
        (int(r.get("data-y")), int(r.get("data-x"))): r.get("data-value")
        for r in root.iter(f"{SVG}rect")
        if r.get("data-value")
    }
    assert 9 == len(told) and "-4" == told[1, 1]


def test_a_spectrum_without_a_picture_is_refused(capsys):
    assert 2 == run(["kernels", "sobel", "--spectrum"])
    assert "-o kernel.svg" in capsys.readouterr().err


@pytest.fixture
def tab_of(browser, tmp_path):
    """Opens the page of a kernel."""

    def opened(kernel):
        path = tmp_path / "k.html"
        path.write_text(page_text(kernel_page(kernel)))
        return browser.open(path)

    return opened


def told(tab):
    return tab.evaluate("document.getElementById('told').textContent")


def test_a_page_says_the_tap_under_the_pointer_and_under_the_keys(tab_of):
    tab = tab_of(parse_kernel("1 2 3; 4 5 6; 7 8 9"))
    tab.move("[data-plane]", (5 / 6, 1 / 6))
    assert "y 0, x 2 (offset -1, +1): 3" == told(tab)
    tab.evaluate("document.getElementById('kernel').focus()")
    for key, value in (("ArrowDown", 6), ("ArrowLeft", 5), ("ArrowUp", 2), ("End", 9), ("ArrowRight", 9), ("Home", 1)):
        tab.press(key)
        assert f": {value}" in told(tab)
    assert [] == tab.problems
    assert [] == tab.requests
    tab.close()


def test_keys_scroll_unless_the_picture_has_been_chosen(tab_of):
    tab = tab_of(parse_kernel("1 2 3; 4 5 6; 7 8 9"))
    tab.evaluate("document.body.style.height = '9000px'")
    tab.press("End")
    tab.wait("scrollY > 0")
    assert "\N{NO-BREAK SPACE}" == told(tab)
    tab.close()


def test_keys_lead_from_plane_to_plane(tab_of):
    tab = tab_of(bank_of(2, 3, 2, 2))
    tab.click("[data-plane][data-filter='0'][data-channel='2']")
    tab.move("[data-plane][data-filter='0'][data-channel='2']", (0.25, 0.75))
    tab.press("PageDown")
    assert told(tab).startswith("filter 1, channel 0, y 1, x 0 (")
    tab.press("PageDown")
    tab.press("PageDown")
    tab.press("PageDown")  # behind the last one there is none
    assert told(tab).startswith("filter 1, channel 2, y 1, x 0 (")
    assert [] == tab.problems
    tab.close()


@pytest.mark.parametrize("text", ["gaussian:2", "log:1.5"])
def test_a_page_says_each_tap_of_a_volume_though_its_planes_are_images(tab_of, text):
    kernel = parse_kernel(text, 3)
    tab = tab_of(kernel)
    tab.evaluate("document.getElementById('kernel').focus()")
    *_, value = told(tab).split()
    assert pytest.approx(kernel.array()[kernel.centre], rel=1e-5) == float(value)
    tab.move("[data-plane][data-z='3']", (0.5 / kernel.shape[2], 2.5 / kernel.shape[1]))
    assert told(tab).startswith("z 3, y 2, x 0 (")
    assert pytest.approx(kernel.array()[3, 2, 0], rel=1e-5) == float(told(tab).split()[-1])
    assert [] == tab.problems
    tab.close()


PAGES = (("gabor:8,45", 2, True), ("gaussian:2", 3, False), ("gaussian:2.25", 2, True), ("box:1,31", 2, True))


@pytest.mark.parametrize(("text", "ndim", "spectrum"), PAGES)
def test_a_page_is_one_small_file(text, ndim, spectrum):
    assert len(page_text(kernel_page(parse_kernel(text, ndim), spectrum=spectrum))) < 150_000
