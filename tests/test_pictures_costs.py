"""Pictures of costs: bars as long as their numbers, two designs on one scale, and a roof that is the machine's."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import groupby, pairwise

import pytest

from convcli import machine
from convcli.cli import run
from convcli.errors import UsageError
from convcli.machine import Machine, profile_text
from convcli.networks.costs import Convention
from convcli.networks.notation import parse, parse_shape
from convcli.networks.rules import Rules
from convcli.networks.told.tables import Listing
from convcli.networks.trace import trace
from convcli.pictures.charts import Scale
from convcli.pictures.costs import BAR, Design, costs_drawing, costs_page
from convcli.pictures.drawing import Circle, Line, Polygon, Rect, Text, walk
from convcli.pictures.page import page_text
from convcli.pictures.roofline import HIGH, WIDE, Roof, scales
from onnx_files import real

SVG = "{http://www.w3.org/2000/svg}"
ROOF = Roof(90e9, 20e9, "A machine of the tests.")
ALEXNET = (
    "3@224x224 conv11-64/4p2 relu max3/2 conv5-192p2 relu max3/2 conv3-384p1 conv3-256p1 conv3-256p1 max3/2 fc-4096"
)
MOBILE = "3@224x224 conv3-32/2p1 dw3p1 pw-64 dw3/2p1 pw-128 dw3p1 pw-128 gap fc-1000"


def listing(words, **convention):
    first, _, layers = words.partition(" ")
    return Listing(trace(parse(layers), parse_shape(first), Rules()), Convention(**convention))


def drawn(*words, roof=ROOF):
    return costs_drawing([Design(text[:20], listing(text)) for text in words], roof)


def shapes_of(drawing, kind, *keys):
    return [shape for shape, _, _ in walk(drawing.shapes) if isinstance(shape, kind) and set(keys) <= set(shape.data)]


def costs_said(listed):
    """What JSON says of each layer: an other road to the same numbers."""
    layers = listed.as_dict(with_algorithms=False)["layers"]
    return [(layer["macs"], layer["params"], layer["activation_bytes"]) for layer in layers]


@pytest.mark.parametrize("words", [ALEXNET, MOBILE], ids=["alexnet", "mobile"])
def test_a_bar_is_as_long_as_its_number(words):
    drawing, listed = drawn(words), listing(words)
    bars = shapes_of(drawing, Rect, "measure", "value")
    for at, key in enumerate(("macs", "params", "activation-bytes")):
        expected = [costs[at] for costs in costs_said(listed) if costs[at]]
        mine = [bar for bar in bars if bar.data["measure"] == key]
        assert expected == [bar.data["value"] for bar in mine]
        assert pytest.approx([BAR * value / max(expected) for value in expected]) == [bar.width for bar in mine]
        assert 1 == len({bar.x for bar in mine})


def test_two_designs_stand_side_by_side_on_one_scale():
    drawing = drawn(ALEXNET, MOBILE)
    bars = [(shape, x) for shape, x, _ in walk(drawing.shapes) if isinstance(shape, Rect) and "layer" in shape.data]
    macs = [(bar, x) for bar, x in bars if bar.data.get("measure") == "macs"]
    most = max(costs[0] for words in (ALEXNET, MOBILE) for costs in costs_said(listing(words)))
    assert pytest.approx([BAR * bar.data["value"] / most for bar, _ in macs]) == [bar.width for bar, _ in macs]
    assert 2 == len(list(groupby(x for _, x in macs)))
    totals = {bar.data["design"]: bar for bar in shapes_of(drawing, Rect, "design") if bar.data["measure"] == "macs"}
    ratio = listing(ALEXNET).total.macs / listing(MOBILE).total.macs
    assert pytest.approx(ratio) == totals["A"].width / totals["B"].width
    assert f"{ratio:.2f} times fewer MACs" in " ".join(text.text for text in shapes_of(drawing, Text))


def test_rows_lie_below_each_other_and_inside_the_sheet():
    drawing = drawn(ALEXNET)
    rows = [
        (y, shape.height) for shape, _, y in walk(drawing.shapes) if isinstance(shape, Rect) and "row" in shape.data
    ]
    assert 11 == len(rows)
    assert all(pytest.approx(b[0] - a[0]) == a[1] for a, b in pairwise(rows))
    assert rows[-1][0] + rows[-1][1] < drawing.height


def test_products_of_two_activations_follow_the_bar_of_macs():
    words = "64@196 attn4"
    (bar,) = [bar for bar in shapes_of(drawn(words), Rect, "measure") if bar.data["measure"] == "macs"]
    (more,) = shapes_of(drawn(words), Rect, "products")
    total = listing(words).total
    assert total.products == more.data["products"]
    assert pytest.approx(total.products / total.macs) == more.width / bar.width
    assert pytest.approx(bar.x + bar.width) == more.x


def top_of(drawing, kind, key):
    return min(y for shape, _, y in walk(drawing.shapes) if isinstance(shape, kind) and key in shape.data)


def test_the_roof_is_above_a_long_list_and_below_a_short_one():
    long = drawn("3@64x64 " + " ".join(f"conv1-{n}" for n in range(4, 80)))
    assert top_of(long, Line, "roof") < top_of(long, Rect, "row")
    assert top_of(drawn(MOBILE), Line, "roof") > top_of(drawn(MOBILE), Rect, "row")


def test_a_list_that_nobody_reads_is_refused():
    words = " ".join(f"conv1-{1 + n % 2}" for n in range(1001))
    with pytest.raises(UsageError, match="1,001 rows"):
        drawn(f"1@8x8 {words}")


# --- the roof


def test_a_dot_is_on_the_roof_at_its_intensity():
    listed = listing(ALEXNET)
    drawing = drawn(ALEXNET)
    expected = [share.cost.intensity(4) for share in listed.shares if share.cost.macs]
    across, up = scales(expected, ROOF)
    dots = sorted(shapes_of(drawing, Circle, "dot"), key=lambda dot: int(dot.data["row"]))
    assert pytest.approx([across.at(each) for each in expected]) == [dot.x for dot in dots]
    assert pytest.approx([up.at(min(90, 20 * each)) for each in expected]) == [dot.y for dot in dots]
    assert ["compute" if each >= 4.5 else "memory" for each in expected] == [dot.data["bound"] for dot in dots]
    assert {"compute", "memory"} == {dot.data["bound"] for dot in dots}  # the matrix moves more than it computes


def test_the_roof_has_its_ridge_where_both_limits_meet():
    (roof,) = shapes_of(drawn(ALEXNET), Line, "roof")
    (x0, y0), (ridge, peak), (x1, y1) = roof.points
    assert (0, WIDE) == (x0, x1)
    assert peak == y1 and peak < y0 <= HIGH + 1e-9
    across, up = scales([share.cost.intensity(4) for share in listing(ALEXNET).shares if share.cost.macs], ROOF)
    assert pytest.approx(across.at(4.5)) == ridge
    assert pytest.approx(up.at(90)) == peak


def test_the_dots_of_a_second_design_are_diamonds():
    drawing = drawn(ALEXNET, MOBILE)
    assert {"A"} == {dot.data["row"][0] for dot in shapes_of(drawing, Circle, "dot")}
    assert {"B"} == {dot.data["row"][0] for dot in shapes_of(drawing, Polygon, "dot")}


def test_the_time_at_best_is_the_longer_of_computing_and_moving():
    drawing = drawn("1@1x1 fc-100000")
    cost = listing("1@1x1 fc-100000").total
    assert cost.moved * 4 / 20e9 > cost.flops / 90e9
    assert f"It takes {cost.moved * 4 / 20e9 * 1e3:.3g} ms or more in one thread" in drawing.description


def test_a_design_without_macs_has_no_dots_and_is_drawn():
    drawing = drawn("3@8x8 max2/2")
    assert [] == shapes_of(drawing, Circle, "dot")
    assert "It has no multiply-adds." in drawing.description


@pytest.fixture
def tuned(tmp_path, monkeypatch):
    """A machine of 100 GMAC/s and 50 GB/s."""
    path = tmp_path / "machine.json"
    path.write_text(profile_text(Machine("the machine of a test", peak=1e-11, stream=2e-11)))
    monkeypatch.setenv(machine.PROFILE, str(path))
    machine.known.cache_clear()
    yield
    machine.known.cache_clear()


def text_of(path):
    return " ".join(text.text for text in ET.parse(path).iter(f"{SVG}text"))


def test_the_roof_is_this_machines_where_it_is_tuned(tuned, tmp_path):
    assert 0 == run(["flops", *ALEXNET.split(), "--draw", str(tmp_path / "c.svg")])
    told = text_of(tmp_path / "c.svg")
    assert "200 GFLOP/s (100 GMAC/s)" in told and "50 GB/s" in told
    assert "the machine of a test" in told and "measured by convcli tune" in told


def test_a_machine_that_is_not_tuned_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setenv(machine.PROFILE, "")
    machine.known.cache_clear()
    assert 0 == run(["flops", *ALEXNET.split(), "--draw", str(tmp_path / "c.svg")])
    machine.known.cache_clear()
    assert "This machine is not measured" in text_of(tmp_path / "c.svg")


# --- models


def model(tmp_path, name):
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(real(name))
    return str(path)


def bars_in(path, key="macs"):
    found = ET.parse(path).iter(f"{SVG}rect")
    return [int(bar.get("data-value")) for bar in found if bar.get("data-measure") == key and bar.get("data-layer")]


HOW = [(), ("--depth", "1"), ("--depth", "2"), ("--depth", "3"), ("--group", "scope"), ("--group", "kind")]


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny"])
@pytest.mark.parametrize("how", HOW, ids=" ".join)
def test_the_bars_of_a_model_add_up_to_its_total(how, name, tmp_path, capsys):
    assert 0 == run(["flops", model(tmp_path, name), *how, "--draw", str(tmp_path / "c.svg"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["total"]["macs"] == sum(bars_in(tmp_path / "c.svg"))
    assert told["total"]["params"] == sum(bars_in(tmp_path / "c.svg", "params"))
    is_tree = how[:1] == ("--depth",) and how != ("--depth", "1")
    assert is_tree == ("a module in bold" in text_of(tmp_path / "c.svg"))
    if how:  # else nodes without weights have no row
        assert told["total"]["activation_bytes"] == sum(bars_in(tmp_path / "c.svg", "activation-bytes"))


def test_what_is_not_known_is_said_to_be_at_least(tmp_path):
    from test_onnx import UNKNOWN

    path = tmp_path / "odd.onnx"
    path.write_bytes(UNKNOWN)
    assert 0 == run(["flops", str(path), "--draw", str(tmp_path / "c.svg")])
    told = text_of(tmp_path / "c.svg")
    assert "at least 3.89 k" in told and "unknown operators: my.Blur (1); neither their sizes" in told
    assert "?" in told.split()


def test_a_model_of_which_no_node_has_a_row_is_drawn(tmp_path, capsys):
    from test_onnx import node, small

    (tmp_path / "relu.onnx").write_bytes(small([node("Relu", "x", "y", "r")], []))
    assert 0 == run(["flops", str(tmp_path / "relu.onnx"), "--draw", str(tmp_path / "c.svg")])
    assert "1 nodes have no row" not in text_of(tmp_path / "c.svg")
    assert "1 node has no row of its own" in text_of(tmp_path / "c.svg")


# --- files and pages


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_a_picture_replaces_nothing_unasked(suffix, tmp_path, capsys):
    path = tmp_path / f"c{suffix}"
    words = ["flops", "3@8x8", "conv3-4", "--draw", str(path)]
    assert 0 == run(words)
    before = path.read_bytes()
    capsys.readouterr()
    assert 1 == run(words)
    assert ("", 1) == (capsys.readouterr().out, path.read_bytes() == before)
    assert 0 == run([*words, "conv3-8", "--force"])
    assert before != path.read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--draw", "cost.gif"], "ends in .svg, .png or .html"),
        (["--force"], "goes with --draw"),
        (["--draw", "cost.svg", "--emit"], "nothing is drawn"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert 2 == run(["flops", "3@8x8", "conv3-4", *words])
    out, err = capsys.readouterr()
    assert "" == out and 1 == len(err.splitlines()) and said in err
    assert [] == list(tmp_path.iterdir())


def test_an_svg_of_costs_loads_no_pixel_library(tmp_path):
    code = "import sys; from convcli.cli import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    words = ["flops", "3@8x8", "conv3-4", "--draw", str(tmp_path / "c.svg")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert not {"numpy", "PIL", "scipy"} & set(done.stderr.split())


def test_names_of_layers_are_text_and_no_markup(tmp_path):
    assert 0 == run(["flops", "3@8x8", 'conv3-4#<b>&"x"', "--draw", str(tmp_path / "c.html")])
    page = (tmp_path / "c.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_a_page_says_the_row_under_the_pointer_and_under_the_keys(browser, tmp_path):
    path = tmp_path / "c.html"
    path.write_text(page_text(costs_page([Design("alexnet", listing(ALEXNET))], ROOF)))
    tab = browser.open(path)
    told = "document.getElementById('told').textContent"
    tab.move("rect[data-row='0']")
    assert tab.evaluate(told).startswith("conv11-64/4p2, which makes 64@55x55: 70,276,800 MACs")
    tab.press("ArrowDown")
    assert tab.evaluate(told).startswith("relu")
    tab.press("End")
    assert tab.evaluate(told).startswith("fc-4096")
    assert 1 == tab.evaluate("document.querySelectorAll('.chosen').length")
    tab.move("[data-measure='macs'][data-value='70276800']")
    assert tab.evaluate(told).startswith("conv11-64")
    assert [] == tab.problems
    assert [] == tab.requests
    tab.close()


def test_a_scale_is_undone_by_what_it_says():
    scale = Scale(0.5, 200, 10, 300, is_log=True)
    assert (10, 300) == (scale.at(0.5), scale.at(200))
    assert pytest.approx((scale.at(1) + scale.at(100)) / 2) == scale.at(10)
