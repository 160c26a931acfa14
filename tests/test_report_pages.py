"""--report FILE.html is a page of one file that says what the JSON report says, and shows what is in the images."""

import base64
import io
import json
import os
import re
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from command import peak_memory
from convcli import cli
from convcli.errors import ConvError
from convcli.formats import ReadOptions, read
from convcli.numerals import seconds
from convcli.report import failure
from convcli.runs import watch
from convcli.runs.answers import answered
from convcli.runs.pages import MOST_FILES, Paper, quoted

SAMPLES = Path(__file__).parents[1] / "samples"


class Reader(HTMLParser):
    """The elements of a page, its texts by the id that they are in, and its data."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.path = [], {}, []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        data = self.texts.get("data")
        self.data = json.loads(data) if data else None

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.path.append((tag, dict(attributes).get("id")))
        if tag in ("meta", "input", "img", "br"):
            self.path.pop()

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        while self.path and self.path.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for name in {name for _, name in self.path if name}:
            self.texts[name] = self.texts.get(name, "") + data

    def count(self, tag, **attributes):
        """How many elements there are."""
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.tags)


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def report(*words, code=0):
    """The page of a command."""
    assert code == cli.run([*map(str, words), "-q", "--report", "r.html"])
    return Reader(Path("r.html"))


def pixels(url):
    """The picture in a data URL."""
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def picture(page, side):
    """What is shown at first."""
    (found,) = [attributes["href"] for tag, attributes in page.tags if tag == "image" and attributes.get("id") == side]
    return pixels(found)


@pytest.fixture
def photo():
    """The page of a sharpened photo, and its report as JSON."""
    words = ("conv2d", SAMPLES / "photo.jpg", "-k", "sharpen", "-o", "o.png")
    return report(*words)


def test_the_page_says_what_the_report_says(photo, capsys):
    facts = photo.data["report"]
    assert 0 == cli.run(["conv2d", str(SAMPLES / "photo.jpg"), "-k", "sharpen", "-o", "o.png", "-f", "-q", "--json"])
    changing = {"time", "memory"}
    said = json.loads(capsys.readouterr().out)
    assert facts.keys() == said.keys()
    assert {key: facts[key] for key in facts.keys() - changing} == {key: said[key] for key in said.keys() - changing}
    for candidate in facts["candidates"]:
        told = candidate["refused"] if candidate["seconds"] is None else seconds(candidate["seconds"])
        assert f"{candidate['method']}{told}" in photo.texts["prices"]
    assert f"taken by {facts['method']}{seconds(facts['time']['compute'])}" in photo.texts["taken"]
    for phase, taken in facts["time"].items():
        assert f"{phase}{seconds(taken)}" in photo.texts["times"]
    assert all(warning in photo.texts["warnings"] for warning in facts["warnings"])
    below, above = facts["clipped"]["below"], facts["clipped"]["above"]
    assert below
    assert f"{below:,} samples were clipped below, {above:,} above" == photo.texts["clipped"]


def test_histograms_are_those_of_the_files(photo):
    for side, path in (("before", SAMPLES / "photo.jpg"), ("after", "o.png")):
        data = np.asarray(Pillow.open(path))
        for bins, channel in zip(photo.data["histograms"][side], np.moveaxis(data, -1, 0), strict=True):
            assert np.bincount(channel.ravel())[int(bins["first"]) :].tolist() == bins["counts"]


def test_both_pictures_are_there_pixel_by_pixel_and_the_kernel(photo):
    assert np.array_equal(np.asarray(Pillow.open(SAMPLES / "photo.jpg")), picture(photo, "before"))
    assert np.array_equal(np.asarray(Pillow.open("o.png")), picture(photo, "after"))
    assert "sharpen" in photo.texts["kernel"]
    assert len(photo.text) < 1.5e6


def test_nothing_is_loaded_from_elsewhere(photo):
    policy = next(found["content"] for tag, found in photo.tags if tag == "meta" and "content" in found)
    assert "default-src 'none'" in policy
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", photo.text)
    assert not [name for _, attributes in photo.tags for name in attributes if name.startswith("on") or name == "style"]


def test_streamed_and_whole_give_the_same_page():
    data = np.random.default_rng(1).normal(size=(900, 1100)).astype("f4")
    data[5, 7:90] = np.nan
    tifffile.imwrite("a.tif", data, rowsperstrip=16)
    whole = report("conv2d", "a.tif", "-k", "gaussian:2", "-o", "o.tif").data
    streamed = report("conv2d", "a.tif", "-k", "gaussian:2", "-o", "o.tif", "-f", "--memory", "2MiB").data
    assert whole["histograms"] == streamed["histograms"]
    assert whole["views"] == streamed["views"]
    assert 10 == len(whole["views"])  # all of it, and nine places pixel by pixel


def test_a_result_of_another_size_lies_over_what_it_was_made_of():
    """A spot stays where it is, in pixels of the input, whatever padding and stride."""
    data = np.zeros((200, 300), "f4")
    data[100:103, 150:153] = 1
    np.save("a.npy", data)
    for words in ("--padding valid", "--stride 3", "--padding full", "--padding 0:7,3:0 -s 2"):
        page = report("conv2d", "a.npy", "-k", "box:9", "-o", "o.npy", "-f", *words.split())
        after = page.data["views"][0]["after"]
        made = read("o.npy", options=ReadOptions(axes="YX")).data
        middle = np.argwhere(made > made.max() / 2).mean(0) + 0.5
        y = after["y"] + middle[0] * after["height"] / made.shape[0]
        x = after["x"] + middle[1] * after["width"] / made.shape[1]
        assert abs(y - 101.5) < 1.6, words
        assert abs(x - 151.5) < 1.6, words


HOSTILE = ['"><script>alert(1)<.png', "<img src=x onerror=alert(1)>.png", "a\nb'\"$(x)`.png", b"\xff\xfe.png"]


@pytest.mark.parametrize("name", HOSTILE, ids=["script", "handler", "shell", "bytes"])
def test_hostile_names_stay_text_and_the_command_repeats_them(name):
    source = os.fsdecode(name)
    Path(source).write_bytes((SAMPLES / "seam.png").read_bytes())
    page = report("conv2d", source, "-k", "box:3", "-o", "o.png")
    assert 2 == page.count("script")  # the data, and the script
    assert 0 == page.count("img")
    command = re.search(r"<pre>(.*?)</pre>", page.text, re.DOTALL)[1]
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        command = command.replace(entity, letter)
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True).stdout
    words = [os.fsencode(word) for word in ("convcli", "conv2d", source, "-k", "box:3", "-o", "o.png", "-q")]
    assert [*words, b"--report", b"r.html"] == said.split(b"\0")[:-1]


def test_words_that_are_plain_stay_as_they_are():
    assert ["a.png", "'a b'"] == [quoted("a.png"), quoted("a b")]


TURNED = "a\u202egpj.png", "b\u2066c\u2069.png", "\u200fd\u061c.png"


def test_no_name_turns_the_text_of_a_page_around():
    """As on a terminal, characters that change the direction of text are told by their numbers."""
    Path("out").mkdir()
    for name in TURNED:
        Path(name).write_bytes((SAMPLES / "seam.png").read_bytes())
    Path("bad\u202e.png").write_text("none")
    one = report("conv2d", TURNED[0], "-k", "box:3", "-o", "o\u202e.png")
    many = report("conv2d", *TURNED, "bad\u202e.png", "-k", "box:3", "-o", "out/", code=3)
    for page, names in ((one, [TURNED[0], "o\u202e.png"]), (many, [*TURNED, "bad\u202e.png"])):
        assert not re.findall("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", page.text)
        for name in names:
            assert name.encode("unicode_escape").decode() in page.text


def test_a_result_with_more_samples_than_were_computed_is_shown():
    """A GIF of greys is read as colours."""
    Pillow.effect_noise((40, 30), 90).save("a.png")
    page = report("conv2d", "a.png", "-k", "identity", "-o", "o.gif")
    assert "not read back" not in page.text
    assert np.array_equal(np.asarray(Pillow.open("a.png")), picture(page, "after")[..., 0])


def test_looking_takes_no_time_that_is_told(monkeypatch):
    """A picture of some pixels is filtered in far less than the second for which it is looked at."""

    def slowly(*words):
        time.sleep(1)
        return looked_at(*words)

    looked_at = watch.watched
    monkeypatch.setattr(watch, "watched", slowly)
    page = report("conv2d", SAMPLES / "seam.png", "-k", "box:3", "-o", "o.png")
    assert 0 < page.data["report"]["time"]["total"] < 0.9


def test_a_smoothed_picture_is_stretched_as_its_input():
    """Else it would seem to have as much contrast; what does not fit into that range has its own."""
    np.save("a.npy", np.random.default_rng(1).uniform(-3, 5, (40, 50)).astype("f4"))
    pages = [report("conv2d", "a.npy", *words, "-o", "o.npy", "-f")
             for words in (("-k", "box:5"), ("-k", "identity", "--bias", "7"))]  # fmt: skip
    said = [re.findall(r"stretched: black is \S+, white [\d.]+", page.texts["captions"]) for page in pages]
    assert [(2, 1), (2, 2)] == [(len(each), len({*each})) for each in said]
    ranges = [np.ptp(picture(pages[0], which).astype(int)) for which in ("before", "after")]
    assert ranges[0] > 250
    assert ranges[1] < 200


def test_a_plan_is_a_page_without_pictures():
    page = report("conv2d", SAMPLES / "shapes.png", "-k", "box:3", "-o", "o.png", "--explain")
    assert "Planned only" in page.texts["status"]
    assert "direct" in page.texts["prices"]
    assert 0 == page.count("image")


def test_a_failure_is_a_page_too():
    Path("a.png").write_text("none")
    page = report("conv2d", "a.png", "-k", "box:3", "-o", "o.png", code=1)
    assert "unknown-format" in page.texts["status"]


def test_what_cannot_be_read_back_is_said():
    page = report("conv2d", SAMPLES / "shapes.png", "-k", "box:3", "-o", "/dev/null", "--format", "png", "-f")
    assert "cannot be read back" in page.text
    assert (1, 0) == (page.count("image", id="before"), page.count("image", id="after"))


def test_a_zarr_is_read_back_plane_by_plane():
    page = report("conv3d", SAMPLES / "stack.tif", "-k", "box:3", "-o", "o.zarr")
    data = tifffile.imread(SAMPLES / "stack.tif")
    assert [data.size] == [bins["known"] for bins in page.data["histograms"]["after"]]
    assert data.shape[1:] == picture(page, "after").shape[:2]


def test_memory_stays_bounded():
    tifffile.imwrite("a.tif", np.random.default_rng(1).integers(0, 256, (5000, 5000), "u1"), rowsperstrip=64)
    words = ("conv2d", "a.tif", "-k", "box:3", "-o", "o.tif", "-f", "-q", "--memory", "16MiB")
    (_, plain), (code, paged) = peak_memory(*words), peak_memory(*words, "--report", "r.html")
    assert 0 == code
    assert paged - plain < 40e6


@pytest.fixture
def batch():
    """The page of three pictures and a file that is none."""
    for name, size in (("b.png", 30), ("a.png", 20), ("<script>c.png", 10)):
        Pillow.effect_noise((size, size), 90).save(name)
    Path("bad.png").write_text("none")
    Path("out").mkdir()
    return report("conv2d", "b.png", "a.png", "bad.png", "<script>c.png", "-k", "sharpen", "-o", "out/", code=3)


def test_a_batch_has_a_row_for_each_file(batch):
    rows = [found["data-status"] for tag, found in batch.tags if tag == "tr" and "data-status" in found]
    assert ["done", "done", "failed", "done"] == rows
    assert 6 == batch.count("img")
    assert 1 == batch.count("script")
    assert "unknown-format" in batch.texts["files"]
    assert "1: bad.png" in batch.texts["report"]


def answer(number, picture):
    """That of a file that failed; with pictures, for the size of it."""
    found = answered(failure(f"a{number}.png", f"out/a{number}.png", ConvError("is none", "corrupt")))
    look = {"views": [{"box": (0, 0, 1, 1), "picture": picture}]}
    return found._replace(pictures={"before": look, "after": look, "kernels": [], "said": []})


def test_a_page_of_many_files_is_no_larger_than_a_browser_bears():
    paper = Paper(("conv2d",))
    for number in range(MOST_FILES + 500):
        paper.take(answer(number, "data:image/jpeg;base64," + 3000 * "A"))
    page = paper.page(many=True)
    assert len(page) < 8_000_000
    assert MOST_FILES == page.count("<tr class=")
    assert "2,000 of 2,500 files are here" in page
    assert "Later files are without pictures" in page


def test_slider_moves_by_keyboard_and_pointer(photo, browser):
    tab = browser.open(Path("r.html"))
    edge = "Number(document.getElementById('edge').getAttribute('x1'))"
    assert 240 == tab.evaluate(edge)
    tab.evaluate("document.getElementById('slider').focus()")
    tab.press("ArrowRight")
    assert 244.8 == pytest.approx(tab.evaluate(edge))
    tab.press("Home")
    assert 0 == tab.evaluate(edge)
    tab.drag("#pictures", (100, 0))
    width = tab.evaluate("document.getElementById('pictures').getBoundingClientRect().width")
    assert 240 + 480 * 100 / width == pytest.approx(tab.evaluate(edge), abs=5)
    assert ([], []) == (tab.problems, tab.requests)
    tab.close()


def test_left_of_the_edge_is_before_and_right_of_it_after(browser):
    Pillow.new("RGB", (40, 20), (200, 0, 0)).save("a.png")
    report("conv2d", "a.png", "-k", "0", "--bias", "100", "-o", "o.png")
    tab = browser.open(Path("r.html"), dark=True)
    x, y = tab.within("#pictures")
    shown = tab.screenshot()
    assert [(200, 0, 0), (100, 100, 100)] == [shown.getpixel((int(x + step), int(y))) for step in (-30, 30)]
    assert [] == tab.problems
    tab.close()


def test_places_of_a_large_picture_are_chosen_and_shown_at_their_size(browser):
    data = np.random.default_rng(1).integers(0, 256, (900, 1200), "u1")
    Pillow.fromarray(data).save("a.png")
    report("conv2d", "a.png", "-k", "identity", "-o", "o.png")
    tab = browser.open(Path("r.html"))
    tab.click(".spot[data-view='5']")
    assert "5" == tab.evaluate("document.getElementById('view').value")
    tab.evaluate("const z = document.getElementById('zoom'); z.value = '1:1'; z.dispatchEvent(new Event('change'))")
    size = "['width', 'height'].map(n => document.getElementById('pictures').getAttribute(n))"
    assert ["224", "224"] == tab.evaluate(size)
    x, y = tab.within("#pictures")
    x0, y0 = tab.evaluate("(b => [b.x, b.y])(document.getElementById('pictures').getBoundingClientRect())")
    place = 338 + int(int(y) - y0), 488 + int(int(x) - 20 - x0)
    assert data[place] == pytest.approx(tab.screenshot().getpixel((int(x) - 20, int(y)))[0], abs=1)
    assert [] == tab.problems
    tab.close()


def test_a_batch_is_sorted_by_any_column_and_shown_by_status(batch, browser):
    tab = browser.open(Path("r.html"))
    order = "[...document.querySelectorAll('#files tbody tr:not([hidden])')].map(r => Number(r.cells[0].textContent))"
    assert [1, 2, 3, 4] == tab.evaluate(order)
    tab.click("[data-column='input']")
    assert [4, 2, 1, 3] == tab.evaluate(order)
    tab.click("[data-column='input']")
    assert [3, 1, 2, 4] == tab.evaluate(order)
    tab.click("[data-column='clipped']")
    assert [4, 2, 1, 3] == tab.evaluate(order)  # what has no value is last
    tab.evaluate("filter.value = 'failed'; filter.dispatchEvent(new Event('change'))")
    assert [3] == tab.evaluate(order)
    assert ([], []) == (tab.problems, tab.requests)
    tab.close()
