"""Pictures: one drawing becomes SVG, pixels, an animation and a page, which all show the same."""

import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image as Pillow

from convcli.errors import UsageError
from convcli.pictures.colours import COLOURS, SERIES, dark, diverging, light, readable_on
from convcli.pictures.drawing import Circle, Drawing, Group, Image, Line, Polygon, Rect, Text, walk
from convcli.pictures.kinds import SHARP, encoded, kind_of
from convcli.pictures.layout import Block, below, beside
from convcli.pictures.page import Page, page_text
from convcli.pictures.raster import gif_bytes, image_of, png_bytes
from convcli.pictures.svg import svg_text

SVG = "{http://www.w3.org/2000/svg}"
CELLS = tuple(Rect(10 + 30 * i, 10, 24, 24, name, data={"colour": name}) for i, name in enumerate(COLOURS))
SHEET = Drawing(10 + 30 * len(CELLS), 50, "Colours", "A cell of each colour.", CELLS)


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


def every_shape(png):
    """One of each kind of shape, with every field used."""
    return (
        Rect(1, 1, 8, 8, "input", "line", 2, radius=2, opacity=0.5, hint="a cell"),
        Rect(1, 1, 8, 8, "input", "line", dash=2),
        Line([(0, 0), (9, 9)], "mark", 2, dash=3, arrow=True),
        Polygon([(0, 0), (9, 0), (0, 9)], "orange", "ink", 2),
        Circle(20, 20, 5, "sky", "ink", 2, opacity=0.3),
        Text(5, 30, "3×3 → 1 < 2 & 'quoted'", anchor="middle", bold=True),
        Image(30, 5, 20, 20, png, data={"layer": 1}),
        Group((Rect(0, 0, 2, 2, "mark"),), 40, 30, "inside", {"at": "1,2"}),
    )


def test_an_svg_is_well_formed_and_tells_its_title_and_text_to_those_who_cannot_see():
    png = png_bytes(SHEET, 1)
    drawing = Drawing(60, 60, "A <title> & more", "\x00 is not XML; ]]> is", every_shape(png))
    root = ET.fromstring(svg_text(drawing))
    assert "img" == root.get("role")
    named = [root.find(f".//*[@id='{name}']").text for name in root.get("aria-labelledby").split()]
    assert ["A <title> & more", "\N{REPLACEMENT CHARACTER} is not XML; ]]> is"] == named
    assert "3×3 → 1 < 2 & 'quoted'" == root.find(f".//{SVG}text").text
    assert "1,2" == root.find(f".//{SVG}g[@aria-label='inside']").get("data-at")


def test_each_shape_is_an_element_with_its_data():
    cells = ET.fromstring(svg_text(SHEET)).findall(f".//{SVG}rect[@data-colour]")
    assert list(COLOURS) == [cell.get("data-colour") for cell in cells]


def test_pixels_have_the_colours_and_places_of_the_drawing():
    pixels = image_of(SHEET, 2)
    assert (2 * SHEET.width, 2 * SHEET.height) == pixels.size
    for shape, x, y in walk(SHEET.shapes):
        middle = 2 * (shape.x + x) + shape.width, 2 * (shape.y + y) + shape.height
        assert rgb(light(shape.fill)) == pixels.getpixel(middle)
        assert rgb(light("paper")) == pixels.getpixel((2 * shape.x - 4, 2 * shape.y))


def test_every_kind_of_shape_is_drawn_where_it_stands():
    for shape in every_shape(png_bytes(SHEET, 1)):
        changed = np.asarray(image_of(Drawing(80, 60, "", "", (shape,)), 1)).min(axis=2) < 250
        assert changed.any(), shape


def test_an_animation_runs_for_ever_with_one_frame_for_each_drawing():
    frames = [SHEET._replace(shapes=(*CELLS, Rect(10 + 30 * i, 36, 24, 8, "mark"))) for i in range(7)]
    with Pillow.open(io.BytesIO(gif_bytes(frames, 350))) as image:
        assert (7, 0) == (image.n_frames, image.info["loop"])
        for i in range(7):
            image.seek(i)
            assert 350 == image.info["duration"]
            seen = image.convert("RGB").getpixel((10 + 30 * i + 12, 40))
            assert max(abs(a - b) for a, b in zip(seen, rgb(light("mark")), strict=True)) < 12


MOST_MEMORY = 220e6  # bytes of a sheet while it is drawn, three for each pixel


@pytest.mark.parametrize("area", [4e3, SHARP, SHARP * 1.1, SHARP * 4, SHARP * 4.1, SHARP * 16])
def test_a_drawing_of_any_size_is_drawn_in_as_little_memory(area, monkeypatch):
    """Each sheet that Pillow makes is counted, and none is made of those above 10 MB."""
    made = []

    def counted(kind, size, colour):
        made.append(3 * size[0] * size[1])
        return new(kind, (10, 10), colour)

    new = Pillow.new
    monkeypatch.setattr(Pillow, "new", counted)
    encoded(Drawing(area / 1000, 1000, "", "", ()), ".png")
    assert 1 == len(made)
    assert 3 * area <= made[0] <= MOST_MEMORY


def test_a_drawing_that_nobody_could_look_at_is_refused_as_pixels_and_drawn_as_svg():
    drawing = Drawing(1000, SHARP * 16 / 999, "", "", ())
    with pytest.raises(UsageError, match=r"too large for a \.png, 1,000 x 64,064 pixels; use \.svg"):
        encoded(drawing, ".png")
    assert encoded(drawing, ".svg").startswith(b"<svg")


def test_a_group_moves_what_is_in_it():
    sheet, small = Block(CELLS, SHEET.width, 50), Block(CELLS[:1], 20, 10)
    assert [(0, 0)] * len(CELLS) == [(x, y) for _, x, y in walk(below([sheet]).shapes)]
    two = below([sheet, sheet], 4)
    assert {(0, 0), (0, 54)} == {(x, y) for _, x, y in walk(two.shapes)}
    assert 104 == two.height
    assert (sheet.width + 4, 20) == [(x, y) for _, x, y in walk(beside([sheet, small], 4).shapes)][-1]
    assert (sheet.width + 4, 0) == [(x, y) for _, x, y in walk(beside([sheet, small], 4, at_top=True).shapes)][-1]


def test_colours_that_are_told_apart_differ_in_lightness_or_hue_also_for_those_who_see_no_red_or_no_green():
    """Viénot, Brettel and Mollon, 1999: what dichromats see of linear RGB."""
    linear = np.array([rgb(light(name)) for name in SERIES]) / 255
    linear = linear**2.2
    for kind in (
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    ):
        seen = (linear @ np.array(kind).T).clip(0, 1) ** (1 / 2.2) * 255
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 1e3 * np.eye(len(SERIES))
        assert apart.min() > 25


@pytest.mark.parametrize("paper", (light, dark))
def test_words_are_read_on_the_paper_and_on_cells(paper):
    """A contrast of 4.5 at least, as WCAG 2 asks for text."""

    def luminance(colour):
        channels = [c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]

    for ground in ("paper", "panel", "input", "padding", "zero", "dropped", "kernel", "output"):
        brighter, darker = sorted((luminance(paper(ground)), luminance(paper("ink"))), reverse=True)
        assert (brighter + 0.05) / (darker + 0.05) >= 4.5, ground


def test_the_diverging_scale_is_white_at_zero_and_darkens_towards_both_ends():
    assert "#ffffff" == diverging(0)
    for sign in (-1, 1):
        sums = [sum(rgb(diverging(sign * i / 10))) for i in range(11)]
        assert sorted(sums, reverse=True) == sums
    assert diverging(1) == diverging(7)
    assert ("#ffffff", "#000000") == (readable_on(diverging(-1)), readable_on(diverging(0)))


def test_a_name_that_is_no_picture_is_refused_in_a_line():
    assert ".png" == kind_of("a/b.c/K.PNG", (".svg", ".png"), "--draw")
    for name in ("k.bmp", "svg", "a.svg/b", ""):
        with pytest.raises(UsageError, match=r"'--draw': a picture's name ends in \.svg or \.png"):
            kind_of(name, (".svg", ".png"), "--draw")


HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


@pytest.fixture
def page(tmp_path):
    """A page with a picture, whose names are hostile."""
    picture = svg_text(SHEET._replace(title=HOSTILE), themed=True, name="sheet")
    path = tmp_path / "page.html"
    path.write_text(page_text(Page(HOSTILE, f"<main>{picture}</main>", data={"name": HOSTILE})))
    return path


def test_a_page_runs_nothing_but_its_own_script_and_asks_no_network(browser, page):
    tab = browser.open(page)
    assert HOSTILE == tab.evaluate("document.title")
    assert HOSTILE == tab.evaluate("JSON.parse(document.getElementById('data').textContent).name")
    assert [] == tab.problems
    assert [] == tab.requests
    tab.evaluate("""new Promise(done => {const s = document.createElement('script');
        s.textContent = 'document.title = "run"'; document.body.append(s); setTimeout(done, 20)})""")
    tab.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
    assert HOSTILE == tab.evaluate("document.title")
    assert 2 <= len([text for text in tab.problems if "Content Security Policy" in text])
    tab.close()


@pytest.mark.parametrize("prefers_dark", (False, True))
def test_a_page_is_light_or_dark_as_the_reader_prefers_and_as_the_button_says(browser, page, prefers_dark):
    tab = browser.open(page, dark=prefers_dark)
    first, second = (dark, light) if prefers_dark else (light, dark)
    assert rgb(first("input")) == tab.colour("[data-colour=input]")
    tab.click("#theme")
    assert rgb(second("input")) == tab.colour("[data-colour=input]")
    assert rgb(second("paper")) == tab.screenshot().getpixel((2, 2))
    tab.click("#theme")
    assert rgb(first("input")) == tab.colour("[data-colour=input]")
    assert [] == tab.problems
    tab.close()


def test_a_page_names_its_picture_by_the_words_of_the_drawing(page):
    text = page.read_text()
    assert re.search(r'<svg [^>]*id="sheet" role="img" aria-labelledby="sheet-title sheet-text"', text)
