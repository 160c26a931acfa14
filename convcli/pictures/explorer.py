"""A page to explore a layer or a chain: move over an output, or step, and see what it reads and the sum that makes it.

What a place reads follows from a few numbers for each axis (its period), by the same rule as in `geometry`, in the
page's own script (explorer.js): no table of all places, however large the maps are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convcli.geometry.sizes import Axis
from convcli.pictures.drawing import Drawing
from convcli.pictures.layer import channels_read, groups_of, legend, stretched, transposed
from convcli.pictures.maps import Map, Written, counted_places
from convcli.pictures.page import Page, page_text
from convcli.pictures.scene import Scene, blank, parts_of_page, sheet_of
from convcli.pictures.svg import escaped, svg_text

CONTROLS = (
    ("first", "First output", "|&lt;"),
    ("back", "Output before", "&lt;"),
    ("play", "Play", "Play"),
    ("next", "Next output", "&gt;"),
    ("last", "Last output", "&gt;|"),
)
KEYS = (
    "Move over an output, or click it: <kbd>&larr;</kbd> <kbd>&uarr;</kbd> <kbd>&darr;</kbd> <kbd>&rarr;</kbd> step, "
    "<kbd>Home</kbd> and <kbd>End</kbd> jump, the space bar plays."
)
IN_SLICES = " <kbd>Page up</kbd> and <kbd>Page down</kbd> change the slice."


def explorer_page(scene: Scene) -> str:
    """The page of a scene as HTML."""
    buttons = "".join(
        f'<button type="button" id="{name}" aria-label="{label}">{text}</button>\n' for name, label, text in CONTROLS
    )
    layers = "".join(
        f'<option value="{number}">{number}: {escaped(each.word)}</option>'
        for number, each in enumerate(scene.maps)
        if each.links
    )
    body = (
        f"<p>{escaped(scene.lead)}</p>\n"
        f'<p class="controls"><label>Look from <select id="layer">{layers}</select></label>\n{buttons}</p>\n'
        f'<p class="faint">{KEYS}{IN_SLICES if len(scene.maps[-1].sizes) == 3 else ""}</p>\n'
        '<p id="told" aria-live="polite"></p>\n<p id="sum"></p>\n'
        f'<div id="picture">{svg_text(blank(scene), themed=True, name="maps")}</div>\n'
        f"{svg_text(colours(scene), themed=True, name='colours')}\n{details(scene)}"
    )
    return page_text(Page(scene.title, body, ("explorer.css",), ("explorer.js",), data_of(scene)))


def colours(scene: Scene) -> Drawing:
    """What the colours mean, and the channels of a layer."""
    return sheet_of([legend(scene.parts), *scene.channels], "Colours", "What the colours of the cells mean.")


def details(scene: Scene) -> str:
    """The formulas."""
    lines = "\n".join(map(escaped, scene.formulas))
    return f"<h2>How the {'sizes come' if scene.is_layer else 'receptive field comes'} about</h2>\n<pre>{lines}</pre>"


def data_of(scene: Scene) -> dict[str, Any]:
    """What the script needs to know."""
    axes: list[Any] = []
    maps = [map_of(each, axes) for each in scene.maps]
    data: dict[str, Any] = {"maps": maps, "axes": axes, "place": scene.place, "layer": scene.is_layer}
    if not scene.is_layer:
        return data
    layer = scene.maps[1]
    data["kind"] = layer.step.kind if layer.step else ""
    if layer.step:
        data["channels"], data["groups"] = channels_read(layer.step), groups_of(layer.step)
    if layer.step and layer.step.kind in ("avg", "gap"):
        places = counted_places(layer.step, counts_padding=scene.counts_padding)
        data["counted"] = [[each.start, each.stop] for each in places]
    if sliding := transposed(layer.links[0].axes):
        data["stretched"] = [axis_number(stretched(axis), axes) for axis in sliding]
        data["taps"] = [[axis.stride, axis.dilation, axis.begin] for axis in sliding]
    if scene.written and all(part.board.fits for part in parts_of_page(scene)):
        data["numbers"] = numbers_of(scene.written)
    return data


def numbers_of(written: Written) -> dict[str, Any]:
    """The numbers in the cells, place after place, of which the script makes sums."""
    kernel = [at + 1 for at in max(written.taps, default=())]
    each = {"image": written.image, "taps": written.taps, "outputs": written.outputs}
    return {"kernel": kernel, **{name: [text for _, text in sorted(of.items())] for name, of in each.items()}}


def map_of(each: Map, axes: list[Any]) -> dict[str, Any]:
    """A map: its name, sizes, and what it reads through which axes."""
    links = [{"source": link.source, "axes": [axis_number(axis, axes) for axis in link.axes]} for link in each.links]
    return {"word": each.word, "shape": str(each.shape), "sizes": each.sizes, "links": links}


def axis_number(axis: Axis, axes: list[Any]) -> int:
    """The number of an axis among those that the page holds; each is held once."""
    told = axis_of(axis)
    if told not in axes:
        axes.append(told)
    return axes.index(told)


def axis_of(axis: Axis) -> list[Any]:
    """An axis: its size, its period, and the (first, how many, step) of each output in it.

    >>> from convcli.geometry.axis import Geometry
    >>> from convcli.geometry.sizes import Transposed
    >>> axis_of(Geometry(9, 3, 2, 2, 1, 1)), axis_of(Transposed(3, 3, 2))
    ([9, 1, 2, [[-1, 3, 2]]], [3, 2, 1, [[-1, 2, 1], [0, 1, 1]]])
    """
    outputs, inputs = axis.period
    return [axis.size, outputs, inputs, [span(axis.reads(at)) for at in range(outputs)]]


def span(reads: Sequence[int]) -> list[int]:
    """Places at equal distances, by the first one, how many, and the step."""
    if not reads:
        return [0, 0, 1]
    return [reads[0], len(reads), reads[1] - reads[0] if len(reads) > 1 else 1]
