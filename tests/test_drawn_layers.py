"""`convcli shapes --draw`: layers and chains as pictures, whose cells, marks, frames and sums are the arithmetic's."""

import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from fractions import Fraction
from itertools import product
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import signal

import crossing_drawings
from convcli.networks.notation import parse, parse_shape
from convcli.networks.trace import trace
from convcli.pictures.drawing import Line, Rect, walk
from convcli.pictures.maps import maps_of
from convcli.pictures.scene import MOST_FRAMES, file_of, frames, picture, scene_of
from convcli.pictures.values import Numbers, text_of, with_numbers
from crossing_drawings import cells_of, texts_of, with_mark
from onnx_files import graph, model, node, port, tensor

SVG = "{http://www.w3.org/2000/svg}"


class Known(NamedTuple):
    """A picture that the field knows, or lacks: its command, the input's cells, its padding, the outputs."""

    name: str
    words: str
    cells: int
    padding: int
    outputs: int


ANIMATIONS = (
    Known("no padding, no strides", "1@4x4 conv3-1", 16, 0, 4),
    Known("arbitrary padding, no strides", "1@5x5 conv4-1p2", 81, 56, 36),
    Known("half padding, no strides", "1@5x5 conv3-1ph", 49, 24, 25),
    Known("full padding, no strides", "1@5x5 conv3-1pf", 81, 56, 49),
    Known("no padding, strides", "1@5x5 conv3-1/2", 25, 0, 4),
    Known("padding, strides", "1@5x5 conv3-1/2p1", 49, 24, 9),
    Known("padding, strides (odd)", "1@6x6 conv3-1/2p1", 64, 28, 9),
    Known("no padding, no strides, transposed", "1@2x2 tconv3-1", 4, 0, 16),
    Known("arbitrary padding, no strides, transposed", "1@6x6 tconv4-1p2", 36, 0, 25),
    Known("half padding, no strides, transposed", "1@5x5 tconv3-1ph", 25, 0, 25),
    Known("full padding, no strides, transposed", "1@7x7 tconv3-1pf", 49, 0, 25),
    Known("no padding, strides, transposed", "1@2x2 tconv3-1/2", 4, 0, 25),
    Known("padding, strides, transposed", "1@3x3 tconv3-1/2p1", 9, 0, 25),
    Known("padding, strides, transposed (odd)", "1@3x3 tconv3-1/2p1o1", 9, 0, 36),
    Known("no padding, no stride, dilation", "1@7x7 conv3-1d2", 49, 0, 9),
)
"""All of vdumoulin/conv_arithmetic's README, sizes and all."""
LACKING = (
    Known("3-D", "1@4x5x5 conv3-1p1", 294, 194, 100),
    Known("groups", "4@6x6 conv3-4g2", 36, 0, 16),
    Known("several channels", "3@7x7 conv3-10", 49, 0, 25),
    Known("depthwise, then pointwise", "3@7x7 sep3-10", 49, 0, 25),
    Known("asymmetric padding", "1@5x5 conv3-1p0:1x2:0", 42, 17, 20),
    Known("SAME", "1@6x6 conv3-1/2ps", 49, 13, 9),
    Known("odd sizes", "1@6x6 conv3-1/2", 36, 0, 4),
    Known("the receptive field of a chain", "1@9x9 conv3-1p1 conv3-1p1 max2", 121, 40, 16),
    Known("gridding", "1@15x15 3*conv3-1d2", 225, 0, 9),
    Known("checkerboard", "1@4x4 tconv3-1/2", 16, 0, 81),
    Known("pooling with ceil", "1@6x6 max3/2ceil", 49, 13, 9),
    Known("a U-Net's field", "1@8x8 conv3-4p1 as:1 max2 conv3-8p1 up2 cat:1 conv3-1p1", 100, 36, 64),
)


def scene(words, at="", numbers=None, **rules):
    """A design of words, as it is to be drawn."""
    shape, _, layers = words.partition(" ")
    done = trace(parse(layers), parse_shape(shape))
    found = scene_of(done, maps_of(done), at, **rules)
    return found if numbers is None else with_numbers(found, numbers)


def drawn(words, at="", numbers=None):
    """Its SVG."""
    return file_of(scene(words, at, numbers), ".svg").decode()


@pytest.mark.parametrize("known", (*ANIMATIONS, *LACKING), ids=lambda known: known.name)
def test_one_command_draws_each_picture_that_the_field_knows_and_those_that_it_lacks(run, known):
    assert (0, []) == run("shapes", *known.words.split(), "--draw", "it.svg")
    cells = cells_of(Path("it.svg").read_text())
    last = cells[max(cells, key=int)]
    found = len(cells["0"]), len(with_mark(cells["0"], "padding")), len(last)
    assert (known.cells, known.padding, known.outputs) == found
    assert 1 == len(with_mark(last, "chosen"))


@pytest.mark.parametrize("known", ANIMATIONS, ids=lambda known: known.name)
def test_an_animation_shows_every_output_once_round_and_round_and_is_small(known, run):
    assert (0, []) == run("shapes", *known.words.split(), "--draw", "it.gif")
    with Pillow.open("it.gif") as image:
        assert (known.outputs, 0) == (image.n_frames, image.info["loop"])
    assert Path("it.gif").stat().st_size < 60_000


@pytest.mark.parametrize("known", (*ANIMATIONS, *LACKING), ids=lambda known: known.name)
def test_a_page_is_one_small_file(known):
    page = file_of(scene(known.words), ".html")
    assert len(page) < 150_000
    assert not re.findall(rb"(?:src|href)=", page.partition(b"</head>")[0])


NUMBERED = (
    "1@12x12 conv5-1p2",
    "1@100x100 conv1-1",
    "1@18x18 conv3-1",
    "1@8x8 tconv3-1/2p1",
    "1@15x15 max2/1",
    "1@500 avg1",
)


@pytest.mark.parametrize("words", NUMBERED)
def test_a_page_with_numbers_is_one_small_file_too(words):
    assert len(file_of(scene(words, "", Numbers()), ".html")) < 150_000


def test_an_animation_with_numbers_is_not_large(run):
    """Every frame has a sum of its own, which no other one has."""
    assert (0, []) == run("shapes", "1@5x5", "tconv3-1/2p1", "--draw-values", "--draw", "it.gif")
    assert Path("it.gif").stat().st_size < 200_000


@pytest.mark.sweep(2)
@pytest.mark.parametrize("first", range(0, 100, 25))
def test_cells_marks_and_frames_of_random_layers_are_those_of_sliding_windows(first):
    assert [] == [line for seed in range(first, first + 25) for line in crossing_drawings.check(seed)]


@pytest.mark.parametrize("words", ["3@64x64 100*conv3-64p1", "3@16x16 127*conv3-64p1", "1@20x20 conv3-1p1 max2"])
def test_a_page_of_many_maps_is_small_too(words):
    assert len(file_of(scene(words), ".html")) < 150_000


def test_a_png_shows_what_the_svg_does(run):
    """The middle of each cell of the output has the colour that the SVG says."""
    assert (0, []) == run("shapes", "1@5x5", "conv3-1/2p1", "--draw", "it.svg")
    assert (0, []) == run("shapes", "1@5x5", "conv3-1/2p1", "--draw", "it.png")
    root = ET.parse("it.svg").getroot()
    with Pillow.open("it.png") as image:
        assert (2 * round(float(root.get("width"))), 2 * round(float(root.get("height")))) == pytest.approx(
            image.size, abs=2
        )
        for x, y, cell in placed(root):
            assert cell.get("fill") == "#{:02x}{:02x}{:02x}".format(*image.getpixel((2 * x, 2 * y)))


def placed(element, x=0.0, y=0.0):
    """The middle of each cell, and the cell, moved by the groups around it."""
    if moved := element.get("transform"):
        dx, dy = map(float, re.findall(r"[-\d.]+", moved))
        x, y = x + dx, y + dy
    if "data-layer" in element.attrib and element.tag == f"{SVG}rect" and not element.get("opacity"):
        sides = (float(element.get(side)) for side in ("x", "y", "width", "height"))
        left, top, width, height = sides
        yield x + left + width / 2, y + top + height / 2, element
    for child in element:
        yield from placed(child, x, y)


# --- numbers


IMAGE = np.arange(30).reshape(5, 6) % 7 - 2
KERNEL = np.array([[1, -2, 3], [0, 4, -1], [2, 2, -5]])


def text(array):
    """An array as --draw-values reads it."""
    return "; ".join(" ".join(map(str, row)) for row in array)


def test_the_numbers_drawn_are_the_correlation(run):
    words = ("shapes", "1@5x6", "conv3-1p1", f"--draw-values={text(IMAGE)}", "--draw-kernel", text(KERNEL))
    assert (0, []) == run(*words, "--draw", "it.svg", "--at", "0,5")
    svg = Path("it.svg").read_text()
    expected = signal.correlate2d(IMAGE, KERNEL, mode="same")
    assert {(y, x): str(expected[y, x]) for y, x in product(range(5), range(6))} == outputs(svg)
    assert f"output (0, 5) = 2*0 + 3*4 + 1*2 + 2*2 = {expected[0, 5]}" in svg


def outputs(svg, layer="1"):
    """The numbers in the cells of a map."""
    found = {}
    for element in ET.fromstring(svg).iter(f"{SVG}text"):
        if element.get("data-layer") == layer:
            found[int(element.get("data-y")), int(element.get("data-x"))] = element.text
    return found


def test_the_numbers_drawn_of_a_transposed_layer_are_the_adjoint():
    """<C x, y> = <x, C^T y> for the convolution C of the same stride and padding."""
    size, made = (3, 4), (6, 8)
    kernel = np.arange(9).reshape(3, 3) % 4
    wide = np.zeros((made[0] + 3, made[1] + 3), int)
    ours = np.arange(12).reshape(size) % 5
    for (i, j), value in np.ndenumerate(ours):
        wide[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += value * kernel
    expected = wide[1 : 1 + made[0], 1 : 1 + made[1]]
    numbers = Numbers(kernel_of(ours), kernel_of(kernel))
    found = outputs(drawn("1@3x4 tconv3-1/2p1o1", "", numbers))
    assert {place: str(value) for place, value in np.ndenumerate(expected)} == found


def kernel_of(array):
    """Numbers, as a command hands them on."""
    from convcli.kernels import parse_kernel

    return parse_kernel(text(array))


@pytest.mark.parametrize("framework", ["torch", "tf", ""])
def test_a_mean_divides_by_what_the_framework_counts(run, framework):
    rules = ("--framework", framework) if framework else ()
    values = "--draw-values=1 2; 3 4"
    assert (0, []) == run("shapes", "1@2x2", "avg2/1p1", *rules, values, "--draw", "it.svg", "--at", "0,0")
    count = 1 if framework == "tf" else 4
    svg = Path("it.svg").read_text()
    assert f"output (0, 0) = (1) / {count} = {text_of(Fraction(1, count))}" in svg
    assert ("Padding does not count." if framework == "tf" else "Padding counts as zeros.") in svg


def test_a_maximum_leaves_padding_out(run):
    assert (0, []) == run("shapes", "1@2x2", "max2/1p1", "--draw-values=-1 -2; -3 -4", "--draw", "it.svg")
    expected = [[-1, -1, -2], [-1, -1, -2], [-3, -3, -4]]
    assert {place: str(value) for place, value in np.ndenumerate(np.array(expected))} == outputs(
        Path("it.svg").read_text()
    )


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ("bias.mat", "'--draw-kernel': bias.mat adds 7 to each result, which no layer does"),
        ("bias.mat", "'--draw-values': bias.mat adds 7"),
        ("moved.json", "'--draw-kernel': moved.json has its origin at 0,2; a layer places its kernel by its padding"),
    ],
)
def test_what_a_kernel_says_beside_its_numbers_is_refused_and_not_dropped(run, kernel, said):
    Path("bias.mat").write_text("3 3 1 7\n1 2 3\n4 5 6\n7 8 9\n")
    Path("moved.json").write_text('{"taps": [[1, 2, 3], [4, 5, 6], [7, 8, 9]], "origin": [0, 2]}')
    option = f"{said[1:14]}={kernel}"
    code, lines = run("shapes", "1@3x3", "conv3-1", option, "--draw", "it.svg")
    assert (2, 1) == (code, len(lines))
    assert said in lines[0]
    assert not Path("it.svg").exists()


def test_fractions_are_summed_exactly(run):
    words = ("--draw-values=0.1 0.2; 0.3 1/3", "--draw-kernel", "1 1; 1 1")
    assert (0, []) == run("shapes", "1@2x2", "conv2-1", *words, "--draw", "it.svg")
    assert {(0, 0): text_of(Fraction(6, 10) + Fraction(1, 3))} == outputs(Path("it.svg").read_text())
    assert "14/15" == text_of(Fraction(6, 10) + Fraction(1, 3))


# --- chains


def test_a_chain_of_dilations_leaves_holes_in_what_it_sees():
    cells = cells_of(drawn("1@15x15 3*conv3-1d2", "1,1"))["0"]
    assert {(1 + y, 1 + x) for y, x in product(range(0, 13, 2), repeat=2)} == with_mark(cells, "marked")
    assert 13 * 13 - 49 == len(with_mark(cells, "hole"))


def test_branches_are_seen_together_and_no_box_is_drawn_around_them():
    """A row and a column through one place are no square."""
    cells = cells_of(drawn("1@5x5 { conv1x3-1p0x1 | conv3x1-1p1x0 }", "2,2"))["0"]
    assert {(2, 1), (2, 2), (2, 3), (1, 2), (3, 2)} == with_mark(cells, "marked")
    assert {(1, 1), (1, 3), (3, 1), (3, 3)} == with_mark(cells, "hole")


def test_what_a_u_net_cuts_out_is_seen_where_it_was_cut():
    cells = cells_of(drawn("1@8x8 as:1 conv3-1 conv3-1 cat:1", "0,0"))["0"]
    assert set(product(range(5), repeat=2)) == with_mark(cells, "marked")
    cells = cells_of(drawn("1@8x8 as:1 conv5-1 from:1 crop2 as:2 from:1 conv1-1 cat:1 crop2", "0,0"))["0"]
    assert {(2, 2)} == with_mark(cells, "marked")


def test_layers_that_keep_places_have_no_map_of_their_own():
    assert {"0", "1"} == set(cells_of(drawn("1@5x5 conv3-1 bn relu")))


def test_a_large_layer_is_drawn_to_scale_and_what_is_seen_enlarged():
    svg = drawn("3@224x224 conv7-64/2p3")
    root = ET.fromstring(svg)
    sheets = {each.get("data-layer"): each for each in root.iter() if each.get("data-sheet") == "map"}
    assert 2 == float(sheets["0"].get("width")) / float(sheets["1"].get("width"))
    cells = cells_of(svg)
    assert 49 == len(with_mark(cells["0"], "marked"))
    assert len(cells["0"]) == 81
    assert len(svg) < 80_000


def test_a_volume_is_drawn_slice_by_slice():
    cells = cells_of(drawn("1@3x4x5 conv2-1", "1,0,2"))
    assert set(product(range(3), range(4), range(5))) == set(cells["0"])
    assert set(product((1, 2), (0, 1), (2, 3))) == with_mark(cells["0"], "marked")


VOLUME = "1@20x30x40 conv3x5x7-1p1x0x2d2x1x1"
"""Too large for cells. Output (4, 9, 11) reads slices 3, 5 and 7, rows 9 to 13, columns 9 to 15."""


def test_a_large_volume_is_drawn_to_scale_from_the_front_and_from_above():
    root = ET.fromstring(drawn(VOLUME, "4,9,11"))
    views = {
        each.get("data-axes"): each
        for each in root.iter()
        if (each.get("data-layer"), each.get("data-sheet")) == ("0", "map")
    }
    assert {"y,x": ("30", "40"), "z,x": ("20", "40")} == {
        axes: (each.get("data-rows"), each.get("data-columns")) for axes, each in views.items()
    }
    scales = {float(each.get("width")) / 40 for each in views.values()} | {float(views["z,x"].get("height")) / 20}
    assert 1 == len(scales)
    (scale,) = scales
    seen = {
        each.get("data-seen"): each for each in root.iter() if each.get("data-layer") == "0" and each.get("data-seen")
    }
    assert {"9,9,5,7", "3,9,1,7", "5,9,1,7", "7,9,1,7"} == set(seen)
    for where, (rows, view) in {"9,9,5,7": ((9, 5), "y,x"), "5,9,1,7": ((5, 1), "z,x")}.items():
        left, top = (float(views[view].get(side)) for side in ("x", "y"))
        expected = [left + 9 * scale, top + rows[0] * scale, 7 * scale, rows[1] * scale]
        found = [float(seen[where].get(side)) for side in ("x", "y", "width", "height")]
        assert pytest.approx(expected, abs=0.02) == found


ARROWS = (
    "1@8x8 conv3-4p1 as:1 max2 conv3-8p1 up2 cat:1 conv3-1p1",
    "1@9x9 conv3-1 conv3-1",
    "1@6x6 { conv3-2p1 | conv1-2 } as:1 conv3-2p1 conv3-2p1 add:1",
    "1@8x8 as:1 conv3-2p1 max2 as:2 from:1 max2 cat:2",
)


@pytest.mark.parametrize("words", ARROWS)
def test_an_arrow_leads_from_each_map_to_those_that_read_it_and_over_those_between(words):
    given = scene(words)
    shapes = list(walk(picture(given).shapes))
    cells = [
        (s.data["layer"], x + s.x, y + s.y, s.width) for s, x, y in shapes if isinstance(s, Rect) and "layer" in s.data
    ]
    box = {
        layer: [ends(at for number, *at, _ in cells if number == layer) for ends in (left_top, right_bottom)]
        for layer in range(len(given.maps))
    }
    arrows = {
        (s.data["from"], s.data["to"]): [(x + a, y + b) for a, b in s.points]
        for s, x, y in shapes
        if isinstance(s, Line) and s.arrow and s.data
    }
    assert {(link.source, to) for to, each in enumerate(given.maps) for link in each.links} == set(arrows)
    for (source, to), points in arrows.items():
        (start, *_, end), (left, top), (right, bottom) = points, box[source][0], box[source][1]
        if source == to - 1:
            assert right < start[0] < end[0] < box[to][0][0]
            assert top <= start[1] <= bottom
            assert box[to][0][1] <= end[1] <= box[to][1][1] + 13
        else:
            (over,) = {y for _, y in points[1:-1]}
            assert all(over < box[between][0][1] for between in range(source, to + 1))
            assert left <= start[0] <= right
            assert start[1] < top
            assert box[to][0][0] <= end[0] <= box[to][1][0]
            assert end[1] < box[to][0][1]


def left_top(places):
    return tuple(map(min, zip(*places, strict=True)))


def right_bottom(places):
    return tuple(map(max, zip(*places, strict=True)))


def test_channels_are_planes_and_filters_blocks_in_the_colour_of_what_they_make():
    root = ET.fromstring(drawn("3@7x7 conv3-10"))
    planes = [each.get("data-plane") for each in root.iter() if each.get("data-plane")]
    filters = {each.get("data-filter"): each.get("fill") for each in root.iter() if each.get("data-filter")}
    assert (3, 10) == (sum(p.startswith("in") for p in planes), sum(p.startswith("out") for p in planes))
    assert 10 == len(filters)
    made = {
        e.get("data-plane")[4:]: e.get("fill") for e in root.iter() if (e.get("data-plane") or "").startswith("out")
    }
    assert filters == made
    assert "10 * 3 * 9 = 270 weights" in drawn("3@7x7 conv3-10")


def test_the_two_words_of_a_separable_layer_show_the_channels_of_both():
    both = [drawn(words).partition("Channels")[2] for words in ("3@7x7 dw3 pw-8", "3@7x7 sep3-8")]
    for told in both:
        assert "depthwise: 3 filters of 3x3, each on one channel" in told
        assert "pointwise: 8 filters of 1x1, over 3 channels" in told
    assert "Channels" not in drawn("3@7x7 dw3 max2")


def test_uneven_overlaps_of_a_transposed_layer_are_called_a_checkerboard():
    assert "a checkerboard" in drawn("1@4x4 tconv3-1/2")
    assert "a checkerboard" not in drawn("1@4x4 tconv4-1/2p1")
    counts = texts_of(drawn("1@3x3 tconv2-1/2"), "overlap")
    assert {"1"} == set(counts.values())


# --- models


@pytest.fixture
def convnet(tmp_path):
    """A model of two convolutions, a relu between them, and a head that moves places."""
    nodes = [
        node("Conv", "x w", "a", "first", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "a", "b", "second"),
        node("Conv", "b v", "c", "third", kernel_shape=[3, 3], dilations=[2, 2]),
        node("Transpose", "c", "d", "fourth", perm=[0, 2, 3, 1]),
    ]
    weights = [tensor("w", (2, 1, 3, 3), raw=bytes(4 * 18)), tensor("v", (3, 2, 3, 3), raw=bytes(4 * 54))]
    path = tmp_path / "net.onnx"
    path.write_bytes(model(graph(nodes, [port("x", (1, 1, 8, 8))], "d", weights)))
    return path


def test_a_node_of_a_model_is_drawn_with_all_that_it_sees(run, convnet):
    assert (0, []) == run("shapes", convnet, "--upto", "third", "--draw", "it.svg", "--at", "0,0")
    cells = cells_of(Path("it.svg").read_text())
    assert cells.keys() == {"0", "1", "2"}
    assert set(product((0, 2, 4), repeat=2)) == with_mark(cells["1"], "marked")
    seen = {(y, x) for y, x in product(range(6), repeat=2)}
    assert seen == with_mark(cells["0"], "marked")


def test_a_node_that_moves_places_is_named_and_not_drawn(run, convnet):
    code, lines = run("shapes", convnet, "--draw", "it.svg")
    assert (2, 1) == (code, len(lines))
    assert "node 'fourth' (Transpose) moves places" in lines[0]
    assert not Path("it.svg").exists()


@pytest.fixture
def averages(tmp_path):
    """A model of two means, the second of which counts padding."""
    nodes = [
        node("AveragePool", "x", "a", "first", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("AveragePool", "a", "b", "second", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        node("AveragePool", "x", "c", "third", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    ]
    path = tmp_path / "means.onnx"
    path.write_bytes(model(graph(nodes, [port("x", (1, 1, 4, 4))], "b c")))
    return path


@pytest.mark.parametrize(("upto", "count"), [("first", 4), ("third", 9)])
def test_a_mean_of_a_model_divides_as_its_own_node_says(run, averages, upto, count):
    words = ("shapes", averages, "--upto", upto, "--draw-values=1 1 1 1; 1 1 1 1; 1 1 1 1; 1 1 1 1")
    assert (0, []) == run(*words, "--draw", "it.svg", "--at", "0,0")
    assert f"(1 + 1 + 1 + 1) / {count} = {text_of(Fraction(4, count))}" in Path("it.svg").read_text()


# --- what is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("1@5x5 conv3-1 --draw it.bmp", "'--draw': a picture's name ends in .svg, .png, .gif or .html; 'it.bmp' does"),
        ("1@5x5 conv3-1 --draw -", "'--draw': a picture's name ends in"),
        ("1@5x5 conv3-1 --draw it.svg --at 3,0", "'--at': 3,0 lies outside of the output, 3x3; the last place is 2,2"),
        ("1@5x5 conv3-1 --draw it.svg --at 1", "'--at': '1' is no place of the output; write y,x, counted from 0"),
        ("1@5x5 conv3-1 --draw it.svg --at=-1,0", "'--at': '-1,0' is no place of the output"),
        ("1@5x5 conv3-1 --at 1,1", "'--at': is about a picture; it goes with --draw"),
        ("1@5x5 conv3-1 --draw-values", "'--draw-values': is about a picture"),
        ("1@5x5 conv3-1 --force", "'--force': is about a picture"),
        ("1@5x5 130*conv1-1 --draw it.svg", "131 maps are too many to draw, 128 at the most"),
        ("1@99999x99999 conv3-1 --draw it.html", "1@99999x99999 has too many places to draw"),
        ("1@3000x3000 conv3-1 --draw it.html", "'--draw': all maps have 17,988,004 places, more than the 4,194,304 of"),
        ("1@5x5 conv3-1 --draw it.gif --at 1,1", "'--at': a .gif shows every output; leave it out"),
        ("1@5x5 relu --draw it.svg", "no layer here changes sizes or channels"),
        ("1@99x99 conv3-1 --draw it.gif", f"'--draw': 9,409 outputs would be as many frames, more than {MOST_FRAMES}"),
        ("1@5x5 conv3-1 vs conv5-1 --draw it.svg", "'--draw': draws one design; drop vs"),
        ("1@5x5 conv3-1 --emit --draw it.svg", "'--draw': draws a design that is complete; drop --emit"),
        ("1@5x5 conv3-1p? --want 5x5 --draw it.svg", "drop --want"),
        ("1@5x5 conv3-1 --inputs --draw it.svg", "drop --inputs"),
        ("1@5x5 2*conv3-1 --draw it.svg --draw-values", "'--draw-values': is for one layer, and 2 are given"),
        ("3@5x5 conv3-1 --draw it.svg --draw-values", "each sum of conv3-1 runs over 3 channels"),
        ("1@5x5 up2 --draw it.svg --draw-values", "numbers are not drawn of up2, which is none of conv"),
        ("1@5x5 sep3-1 --draw it.svg --draw-values", "numbers are not drawn of sep3-1, which is two layers: draw dw"),
        ("1@8x8 avg=4x4 --draw it.svg --draw-values", "numbers are not drawn of avg=4x4, which says its output; say"),
        ("1@5x5 up2 --draw it.svg --draw-kernel box:3", "'--draw-kernel': numbers are not drawn of up2"),
        ("1@5x5 2*conv3-1 --draw it.svg --draw-kernel box:3", "'--draw-kernel': is for one layer"),
        ("1@5x5 max2 --draw it.svg --draw-kernel box:2", "'--draw-kernel': max2 has no kernel"),
        ("1@5x5 conv3-1 --draw it.svg --draw-kernel box:2", "'--draw-kernel': 3x3 numbers are needed, not 2x2"),
        ("1@2x2 max1/1p1 --draw it.svg --draw-values", "a window of max1/1p1 lies on padding alone"),
        ("1@5x5 conv3-1 --draw none/it.svg", "the folder"),
    ],
)
def test_what_cannot_be_drawn_is_a_line_and_no_file(run, words, said):
    code, lines = run("shapes", *words.split())
    assert said in lines[0]
    assert (1 if "folder" in said else 2, 1, []) == (code, len(lines), list(Path().iterdir()))
    assert not run.output


def test_a_picture_that_exists_is_kept_without_force(run):
    Path("it.svg").write_text("mine")
    code, lines = run("shapes", "1@5x5", "conv3-1", "--draw", "it.svg")
    assert (1, ["convcli: 'it.svg': exists already; --force replaces it [exists]"]) == (code, lines)
    assert "mine" == Path("it.svg").read_text()
    assert (0, []) == run("shapes", "1@5x5", "conv3-1", "--draw", "it.svg", "--force")
    assert Path("it.svg").read_text().startswith("<svg")


def test_the_answer_is_printed_as_ever_beside_the_picture(run):
    assert (0, []) == run("shapes", "1@5x5", "conv3-1", "--json", "--draw", "it.svg")
    assert [1, 3, 3] == json.loads(run.output)["total"]["output"]


LOADED = """
import sys
from convcli.cli import run
code = run(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("kind", ("svg", "html"))
def test_drawings_load_no_pixels(tmp_path, kind):
    words = ("shapes", "1@5x5", "conv3-1/2p1", "--draw-values", "--draw", str(tmp_path / f"it.{kind}"))
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert not set(done.stderr.split()) & {"numpy", "PIL", "scipy", "imageio"}


# --- pages


@pytest.fixture
def page(tmp_path):
    """Writes a page, and says where."""

    def write(words, at="", numbers=None, **rules):
        path = tmp_path / "it.html"
        path.write_bytes(file_of(scene(words, at, numbers, **rules), ".html"))
        return path

    return write


def marks(tab, layer, mark="marked", kind="layer"):
    """The places of a map that the page has marked."""
    rects = f"#picture rect[data-{kind}='{layer}'][data-{mark}]"
    found = tab.evaluate(f'[...document.querySelectorAll("{rects}")].map(e => [e.dataset.y, e.dataset.x])')
    return {(int(y), int(x)) for y, x in found}


def said(tab, name="told"):
    """The words of a paragraph."""
    return tab.evaluate(f"document.getElementById('{name}').textContent")


def test_moving_over_an_output_shows_its_inputs_and_the_sum(browser, page):
    tab = browser.open(page("1@5x5 conv3-1/2p1", "", Numbers()))
    assert {(y, x) for y, x in product((1, 2, 3), repeat=2)} == marks(tab, 0)
    tab.move("rect[data-layer='1'][data-y='0'][data-x='2']")
    assert {(y, x) for y in (-1, 0, 1) for x in (3, 4, 5)} == marks(tab, 0)
    assert {(0, 2)} == marks(tab, 1, "chosen")
    assert "Output row 0, column 2 of conv3-1/2p1 reads 4 pixels of the input and 5 of padding." == said(tab)
    assert "output (0, 2) = 1*2 + 0*2 + 3*0 + 1*1 = 3" == said(tab, "sum")
    assert [] == tab.problems
    assert [] == tab.requests
    tab.close()


def test_keys_step_jump_and_play(browser, page):
    tab = browser.open(page("1@5x5 conv3-1/2p1"))
    tab.press("ArrowRight")
    assert {(1, 1)} == marks(tab, 1, "chosen")  # keys scroll until the picture is chosen
    tab.evaluate("document.getElementById('picture').focus()")
    for key, place in (
        ("ArrowRight", (1, 2)),
        ("ArrowRight", (1, 2)),
        ("ArrowUp", (0, 2)),
        ("Home", (0, 0)),
        ("End", (2, 2)),
    ):
        tab.press(key)
        assert {place} == marks(tab, 1, "chosen"), key
    assert "y(2,2) = w(0,0) x(3,3) + w(0,1) x(3,4) + w(1,0) x(4,3) + w(1,1) x(4,4)" == said(tab, "sum")
    tab.click("#next")
    assert {(0, 0)} == marks(tab, 1, "chosen")
    tab.evaluate("document.getElementById('picture').focus()")
    tab.press(" ")
    assert "Pause" == tab.evaluate("document.getElementById('play').textContent")
    tab.wait("document.querySelector('rect[data-chosen]').dataset.x === '1'")
    tab.press("ArrowLeft")
    assert "Play" == tab.evaluate("document.getElementById('play').textContent")
    assert [] == tab.problems
    tab.close()


SUMS = (
    ("1@4x4 avg3/2p1", {}, "y(0,0) = (x(0,0) + x(0,1) + x(1,0) + x(1,1)) / 9"),
    ("1@4x4 avg3/2p1", {"counts_padding": False}, "y(0,0) = (x(0,0) + x(0,1) + x(1,0) + x(1,1)) / 4"),
    ("1@4x4 avg3/3ceil", {}, "y(1,1) = (x(3,3)) / 1"),
    ("2@2x2 gap", {}, "y(0,0) = (x(0,0) + x(0,1) + x(1,0) + x(1,1)) / 4"),
    ("1@3x3 max2", {}, "y(0,0) = the largest of x(0,0), x(0,1), x(1,0), x(1,1)"),
    (
        "3@5x5 conv2-10",
        {},
        "y(0,0) = w(c,0,0) x(c,0,0) + w(c,0,1) x(c,0,1) + w(c,1,0) x(c,1,0) + w(c,1,1) x(c,1,1)"
        ", summed over c = 0 to 2: 12 products",
    ),
    ("4@5x5 conv1-4g2", {}, "y(0,0) = w(c,0,0) x(c,0,0), summed over the 2 channels c of its group: 2 products"),
    ("4@5x5 dw1", {}, "y(0,0) = w(0,0) x(0,0)"),
    ("1@3x3 tconv1-1/2", {}, "y(1,1) = 0: no input reaches it"),
)


@pytest.mark.parametrize(("words", "rules", "expected"), SUMS)
def test_a_page_writes_the_sum_of_an_output_with_its_divisor_and_its_channels(browser, page, words, rules, expected):
    tab = browser.open(page(words, **rules))
    place = [int(at) for at in expected[2:5].split(",")]
    tab.evaluate(f"look(1, {place})")
    assert expected == said(tab, "sum")
    channels = {"3": ", in each of 3 channels.", "4": ", in each of 2 channels."}.get(words[0], "")
    assert said(tab).endswith(channels if "conv" in words and "tconv" not in words else ".")
    assert [] == tab.problems
    tab.close()


@pytest.mark.parametrize(
    "words", ["1@5x6 conv3-1/2p1d2", "1@4x4 avg3/2p1", "1@5x5 max3/2ceil", "1@3x2 tconv3-1/2p1", "1@6 conv4-1pf"]
)
def test_a_page_writes_the_sums_that_a_picture_does(browser, page, words):
    """The script makes the sums itself; those of a picture are made by exact fractions, and tested above."""
    sizes = parse_shape(words.split(" ")[0]).spatial
    image = kernel_of(np.arange(prod(sizes)).reshape((1, *sizes)[-2:]) / 4 - 3)
    given = scene(words, "", Numbers(image))
    tab = browser.open(page(words, "", Numbers(image)))
    for place, expected in given.written.sums.items():
        tab.evaluate(f"look(1, {list(place)})")
        assert expected == said(tab, "sum")
    assert [] == tab.problems
    tab.close()


CHAINS = (
    "1@15x15 3*conv3-1d2",
    "1@8x8 conv3-4p1 as:1 max2 conv3-8p1 up2 cat:1 conv3-1p1",
    "1@7x7 tconv3-1/2 conv3-1d2",
)


@pytest.mark.parametrize("words", CHAINS)
def test_a_page_marks_what_the_svg_does_wherever_one_looks_from(browser, page, words):
    """The script follows the same rule as the code: both are held against each other at several places."""
    tab = browser.open(page(words))
    last = maps_of(scene(words).trace)[-1]
    for place in [*last.places][:: max(1, prod(last.sizes) // 4)]:
        tab.evaluate(f"look({len(scene(words).maps) - 1}, {list(place)})")
        expected = cells_of(drawn(words, ",".join(map(str, place))))
        for layer, cells in expected.items():
            if marks_cells(tab, layer):
                assert with_mark(cells, "marked") == marks(tab, layer), (place, layer)
    assert [] == tab.problems
    tab.close()


def marks_cells(tab, layer):
    """True where the page has drawn a map in cells."""
    return tab.evaluate(f"shapes.layer.has('{layer}:0,0')")


def test_a_page_looks_from_any_layer(browser, page):
    tab = browser.open(page("1@9x9 conv3-1 conv3-1"))
    assert 25 == len(marks(tab, 0))
    tab.move("rect[data-layer='1'][data-y='0'][data-x='0']")
    assert set(product(range(3), repeat=2)) == marks(tab, 0)
    assert "1" == tab.evaluate("document.getElementById('layer').value")
    assert "Output row 0, column 0 of conv3-1 sees 9 pixels of the input." == said(tab)
    tab.close()


def test_a_page_of_a_transposed_layer_moves_the_turned_kernel_over_the_zeros(browser, page):
    tab = browser.open(page("1@3x3 tconv3-1/2p1"))
    tab.evaluate("look(1, [1, 2])")
    assert set(product((0, 1, 2), (1, 2, 3))) == marks(tab, 0, kind="stretched")
    assert {(0, 1), (1, 1)} == marks(tab, 0)
    assert "y(1,2) = w(2,1) x(0,1) + w(0,1) x(1,1)" == said(tab, "sum")
    tab.close()


def test_a_page_of_a_large_layer_follows_the_pointer_over_maps_to_scale(browser, page):
    tab = browser.open(page("3@224x224 conv7-64/2p3 max3/2p1"))
    tab.move("rect[data-layer='2'][data-sheet=map]")
    assert re.search(r"Output row 2[78], column 2[78] of max3/2p1 sees 121 pixels of the input\.", said(tab))
    box = tab.evaluate("(b => [b.width, b.height])(document.querySelector('#picture path.seen').getBBox())")
    scale = tab.evaluate("document.querySelector(\"[data-layer='0'][data-sheet=map]\").getBBox().width") / 224
    assert [11 * scale, 11 * scale] == pytest.approx(box, abs=2.1)
    assert [] == tab.problems
    tab.close()


def test_a_page_of_a_large_volume_follows_the_pointer_from_the_front_and_from_above(browser, page):
    tab = browser.open(page(VOLUME))
    tab.evaluate("look(1, [4, 9, 11])")
    tab.move("rect[data-layer='1'][data-sheet=map][data-axes='y,x']", (15.5 / 38, 7.5 / 26))
    assert said(tab).startswith("Output slice 4, row 7, column 15 of ")
    tab.move("rect[data-layer='1'][data-sheet=map][data-axes='z,x']", (11.5 / 38, 2.5 / 18))
    assert said(tab).startswith("Output slice 2, row 7, column 11 of ")
    tab.evaluate("look(1, [4, 9, 11])")
    for axes, (first, tall), count in (("y,x", (9, 5), 5), ("z,x", (3, 5), 3)):
        sheet = f"document.querySelector(\"[data-layer='0'][data-sheet=map][data-axes='{axes}']\")"
        left, top, width = tab.evaluate(f"['x', 'y', 'width'].map(side => Number({sheet}.getAttribute(side)))")
        path = f"{sheet}.nextElementSibling"
        found = tab.evaluate(f"(b => [b.x, b.y, b.width, b.height])({path}.getBBox())")
        scale = width / 40
        assert pytest.approx([left + 9 * scale, top + first * scale, 7 * scale, tall * scale], abs=0.05) == found
        assert count == tab.evaluate(f"{path}.getAttribute('d').split('M').length - 1")
    assert [] == tab.problems
    tab.close()


def test_frames_are_of_one_size_whatever_their_sums_say():
    assert 1 == len({(each.width, each.height) for each in frames(scene("1@4x4 conv3-1p1", "", Numbers()))})


def test_an_animation_moves(run):
    assert (0, []) == run("shapes", "1@4x4", "conv3-1", "--draw", "it.gif")
    with Pillow.open(io.BytesIO(Path("it.gif").read_bytes())) as image:
        shown = []
        for i in range(image.n_frames):
            image.seek(i)
            shown.append(image.convert("RGB").tobytes())
    assert 4 == len(set(shown))
