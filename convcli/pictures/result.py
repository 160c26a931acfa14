"""The page of one result: pictures before and after, what was counted, the kernel, prices, times, and the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from convcli.numerals import seconds
from convcli.pictures.histograms import ends_of, histogram_drawing
from convcli.pictures.look import Look, Pictures
from convcli.pictures.page import Page
from convcli.pictures.svg import escaped, number, svg_text
from convcli.streams import STREAM

Frame = tuple[float, float, float, float]
"""Left, top, width and height in pixels of the input."""
BAR = 240
"""Pixels of the longest bar in a table."""
PLACES = ("top", "middle", "bottom"), ("left", "centre", "right")
STREAMS = {"before": "input", "after": "output"}
ZOOMS = ("fit", "1:1", "2:1", "4:1", "8:1")


class Origin(NamedTuple):
    """How a page came to be: the command as a shell takes it, the folder it ran in, when, and by which version."""

    command: str
    folder: str
    time: str
    version: str


def result_page(
    facts: Mapping[str, Any], rows: Sequence[tuple[str, str]], pictures: Pictures | None, origin: Origin
) -> Page:
    """The page of an input and what became of it; `facts` and `rows` are its report as JSON and as a table."""
    shown = pictures or Pictures(kernels=[], said=[])
    parts = [
        *headline(facts, shown),
        *picture_parts(facts, shown),
        *histogram_parts(facts, shown),
        *(
            f'<section id="kernel">\n<h2>Kernel</h2>\n{drawn}</section>'
            for drawn in ["".join(shown["kernels"])]
            if drawn
        ),
        *price_parts(facts),
        *time_parts(facts),
        report_part(rows),
        origin_part(origin),
    ]
    data = {"report": facts, "views": later(views(shown)), "histograms": histograms(shown)}
    said = named(facts["input"], "standard input"), named(facts["output"], "standard output")
    names = " \N{RIGHTWARDS ARROW} ".join(filter(None, said))
    return Page(f"convcli: {names}", "\n".join(parts), ("report.css",), ("result.js",), data)


def named(name: str, stream: str) -> str:
    """A file's name, or that of the stream in its place."""
    return stream if name == STREAM else name


def headline(facts: Mapping[str, Any], shown: Pictures) -> Iterator[str]:
    """What became of it, and what to know of that."""
    words = {"done": "Done", "failed": "Failed", "skipped": "Planned only: no pixel was read, so none is shown"}
    yield f'<p id="status" class="{escaped(facts["status"])}">{words[facts["status"]]}{outcome(facts)}</p>'
    warnings = "".join(f"<li>{escaped(text)}</li>" for text in facts["warnings"])
    if warnings:
        yield f'<ul id="warnings" aria-label="warnings">{warnings}</ul>'
    yield from (f'<p class="faint">{escaped(text)}</p>' for text in shown["said"])


def outcome(facts: Mapping[str, Any]) -> str:
    """The reason of a failure, or how long it took."""
    if facts["status"] == "failed":
        return f": {escaped(facts['message'])} [{escaped(facts['code'])}]"
    total = facts["time"]["total"]
    return f" in {seconds(total)}" if total is not None else ""


def picture_parts(facts: Mapping[str, Any], shown: Pictures) -> Iterator[str]:
    """Both pictures with a slider between them; one alone without."""
    every = views(shown)
    if not every:
        return
    both = "after" in every[0]
    choices = "".join(f'<option value="{n}">{escaped(view["name"])}</option>' for n, view in enumerate(every))
    zooms = "".join(f"<option>{zoom}</option>" for zoom in ZOOMS)
    place = f'<label>shown <select id="view">{choices}</select></label>' if len(every) > 1 else ""
    slider = (
        '<label class="wide">before <input id="slider" type="range" min="0" max="100" value="50" '
        'aria-label="how much of the picture is before, from the left"> after</label>'
    )
    yield '<section id="compare">\n<h2>Before and after</h2>'
    yield f'<div class="tools">{place}<label>size <select id="zoom">{zooms}</select></label></div>'
    yield f'<div id="window">{svg(every, facts)}</div>'
    yield f'{slider * both}\n<p id="shown" class="faint" aria-live="polite">{escaped(every[0]["name"])}</p>'
    yield f"{captions(shown)}</section>"


def captions(shown: Pictures) -> str:
    """What the pictures are, and what is not as it seems."""
    lines = (
        f'<li><b>{side}</b> {escaped(named(look["title"], f"standard {STREAMS[side]}"))} <span class="faint">'
        f"{escaped(', '.join((look['kind'], *look['said'])))}</span></li>"
        for side, look in looks_of(shown).items()
    )
    return f'<ul id="captions">{"".join(lines)}</ul>'


def looks_of(shown: Pictures) -> dict[str, Look]:
    """What is seen of the input, and of the result."""
    both = {"before": shown.get("before"), "after": shown.get("after")}
    return {side: look for side, look in both.items() if look}


def svg(every: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """The first view as SVG, which the script changes; pointer and slider move the edge between the two."""
    first = every[0]
    x, y, width, height = first["frame"]
    edge = x + width / 2 if "after" in first else x + width
    box = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    images = "".join(
        f'<g clip-path="url(#{side}-part)"><image id="{side}" {placed(first[side])} preserveAspectRatio="none" '
        f'image-rendering="pixelated" href="{escaped(first[side]["picture"])}"/></g>'
        for side in ("before", "after")
        if side in first
    )
    spots = "".join(spot(view, n) for n, view in enumerate(every) if n)
    name = escaped(f"{facts['input']} before and after")
    return (
        f'<svg id="pictures" role="img" aria-label="{name}" width="{first["width"]}" height="{first["height"]}" '
        f'viewBox="{number(x)} {number(y)} {number(width)} {number(height)}"><defs>'
        f'<clipPath id="before-part"><rect x="{number(x)}" y="{number(y)}" width="{number(edge - x)}" '
        f'height="{number(height)}"/></clipPath>'
        f'<clipPath id="after-part"><rect x="{number(edge)}" y="{number(y)}" width="{number(x + width - edge)}" '
        f'height="{number(height)}"/></clipPath></defs>'
        f'<rect class="ground" {box}/>{images}<g id="spots">{spots}</g>'
        f'<line id="edge" x1="{number(edge)}" x2="{number(edge)}" y1="{number(y)}" y2="{number(y + height)}"/></svg>'
    )


def spot(view: Mapping[str, Any], n: int) -> str:
    """A place in the whole picture of which another view has all pixels."""
    place = placed(view.get("after", view["before"]))
    return f'<rect class="spot" data-view="{n}" {place}><title>{escaped(view["name"])}</title></rect>'


def placed(view: Mapping[str, Any]) -> str:
    """Where a picture lies, as attributes."""
    return " ".join(f'{name}="{number(view[name])}"' for name in ("x", "y", "width", "height"))


def views(shown: Pictures) -> list[dict[str, Any]]:
    """What can be seen in turn: the whole plane, and places of which all pixels are there."""
    looks = looks_of(shown)
    count = min((len(look["views"]) for look in looks.values()), default=0)
    return [one_view(looks, n, count) for n in range(count)]


def later(every: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The views for the script, which finds the pictures of the first one on the page."""
    first = ({key: {**value, "picture": ""} if key in ("before", "after") else value for key, value in view.items()}
             for view in every[:1])  # fmt: skip
    return [*first, *every[1:]]


def one_view(looks: Mapping[str, Look], n: int, count: int) -> dict[str, Any]:
    """The pictures of a view, where they lie in pixels of the input, and how large they are at 1:1."""
    frames = {side: frame(look, n) for side, look in looks.items()}
    x, y = (min(each[axis] for each in frames.values()) for axis in (0, 1))
    width = max(left + wide for left, _, wide, _ in frames.values()) - x
    height = max(top + high for _, top, _, high in frames.values()) - y
    fine = max(pixels(look, n) / each[2] for look, each in zip(looks.values(), frames.values(), strict=True))
    names = "x", "y", "width", "height"
    sides = {
        side: {**dict(zip(names, each, strict=True)), "picture": looks[side]["views"][n]["picture"]}
        for side, each in frames.items()
    }
    size = {"width": max(1, round(width * fine)), "height": max(1, round(height * fine))}
    reduced = not n and any(look["factor"] > 1 for look in looks.values())
    return {"name": view_name(looks, n, count), "reduced": reduced, "frame": (x, y, width, height), **size, **sides}


def pixels(look: Look, n: int) -> int:
    """How many columns of pixels the picture of a view has."""
    _, left, _, right = look["views"][n]["box"]
    return -(-(right - left) // look["factor"]) if n == 0 else right - left


def frame(look: Look, n: int) -> Frame:
    """Where a view lies in pixels of the input; the image's own may be wider or narrower than those."""
    top, left, bottom, right = look["views"][n]["box"]
    (y, down), (x, across) = look["grid"]
    corner = x + 0.5 - across / 2 + across * left, y + 0.5 - down / 2 + down * top
    return *corner, across * (right - left), down * (bottom - top)


def view_name(looks: Mapping[str, Look], n: int, count: int) -> str:
    """What a view is."""
    if not n:
        factors = {side: look["factor"] for side, look in looks.items()}
        if len(set(factors.values())) == 1:
            (factor,) = set(factors.values())
            return f"the whole picture, a pixel the mean of {factor} x {factor}" if factor > 1 else "all pixels"
        means = (
            f"{side}: a pixel is the mean of {factor} x {factor}" for side, factor in factors.items() if factor > 1
        )
        return "the whole picture, reduced; " + ", ".join(means)
    boxes = [tuple(view["box"]) for view in next(iter(looks.values()))["views"][1:count]]
    tops, lefts = (sorted({box[axis] for box in boxes}) for axis in (0, 1))
    box = boxes[n - 1]
    words = [names[1] if len(ends) == 1 else names[ends.index(end)]
             for names, ends, end in zip(PLACES, (tops, lefts), box[:2], strict=True)]  # fmt: skip
    return (
        f"all pixels, {' '.join(words)}: rows {box[0]} to {box[2] - 1}, columns {box[1]} to {box[3] - 1} of the input"
    )


def histograms(shown: Pictures) -> dict[str, Any]:
    """The counts, for whoever reads the page by a program."""
    return {side: look["histogram"] for side, look in looks_of(shown).items()}


def histogram_parts(facts: Mapping[str, Any], shown: Pictures) -> Iterator[str]:
    """How often samples have which values, before and after."""
    looks = {side: look for side, look in looks_of(shown).items() if look["histogram"]}
    if not looks:
        return
    ends = ends_of([*looks.values()])
    yield '<section id="histograms">\n<h2>Samples</h2>\n<div class="beside">'
    for side, look in looks.items():
        clipped = facts["clipped"] if side == "after" else {"below": 0, "above": 0}
        drawing = histogram_drawing(look, side, ends, clipped["below"], clipped["above"])
        yield svg_text(drawing, themed=True, name=f"histogram-{side}")
    below, above = facts["clipped"]["below"], facts["clipped"]["above"]
    yield '</div>\n<p class="faint">Heights are square roots of how often a value is there. '
    yield f'<span id="clipped">{below:,} samples were clipped below, {above:,} above</span>; '
    yield f'<span id="nan">{facts["nan"]:,} results are NaN</span>.</p></section>'


def price_parts(facts: Mapping[str, Any]) -> Iterator[str]:
    """What each method would take, and what the chosen one did."""
    every, taken = facts["candidates"], facts["time"]["compute"]
    if not every:
        return
    longest = max(taken or 0, *(each["seconds"] or 0 for each in every)) or 1
    lines = [price_line(each, longest, chosen=each["method"] in facts["method"].split(", ")) for each in every]
    if taken is not None:
        head = f'<tr id="taken"><th scope="row">taken by {escaped(facts["method"])}</th>'
        lines.append(f'{head}<td>{seconds(taken)}</td><td class="text">{bar(taken / longest, "mark")}</td></tr>')
    yield '<section id="prices">\n<h2>What each method would take</h2>\n<table>'
    yield '<tr><th>method</th><th>predicted</th><th class="text">or why it cannot</th></tr>'
    yield f"{''.join(lines)}</table></section>"


def price_line(candidate: Mapping[str, Any], longest: float, *, chosen: bool) -> str:
    """A method with its predicted time, or its reason to refuse."""
    name, price = escaped(candidate["method"]), candidate["seconds"]
    opening = f'<tr data-method="{name}"{" class=chosen" * chosen}><th scope="row">{name}</th>'
    if price is None:
        return f'{opening}<td></td><td class="text">{escaped(candidate["refused"] or "")}</td></tr>'
    drawn = bar(price / longest, "blue" if chosen else "line")
    return f'{opening}<td>{seconds(price)}</td><td class="text">{drawn}</td></tr>'


def time_parts(facts: Mapping[str, Any]) -> Iterator[str]:
    """Where the time went."""
    known = {phase: taken for phase, taken in facts["time"].items() if taken is not None}
    if not known:
        return
    longest = max(known.values()) or 1
    lines = "".join(
        f'<tr data-phase="{escaped(phase)}"><th scope="row">{escaped(phase)}</th><td>{seconds(taken)}</td>'
        f"<td class='text'>{bar(taken / longest, 'green')}</td></tr>"
        for phase, taken in known.items()
    )
    yield f'<section id="times">\n<h2>Time</h2>\n<table>{lines}</table>'
    yield '<p class="faint">Large images are read, computed and written at the same time: the parts overlap. '
    yield "The total has the start of libraries in it, and not the making of this page.</p></section>"


def bar(share: float, colour: str) -> str:
    """A bar of a table."""
    drawn = f'<rect width="{number(max(1, BAR * share))}" height="12" rx="2" fill="var(--{colour})"/>'
    return f'<svg width="{BAR}" height="12" aria-hidden="true">{drawn}</svg>'


def report_part(rows: Sequence[tuple[str, str]]) -> str:
    """The report as a terminal has it."""
    return f'<section id="report">\n<h2>Report</h2>\n{labelled(rows)}</section>' if rows else ""


def labelled(rows: Sequence[tuple[str, str]]) -> str:
    """Labels and texts as a table."""
    lines = (f'<tr><th scope="row">{escaped(a)}</th><td class="text">{escaped(b)}</td></tr>' for a, b in rows)
    return f"<table>{''.join(lines)}</table>"


def origin_part(origin: Origin) -> str:
    """The command to repeat it."""
    told = f"in {origin.folder}, {origin.time}, convcli {origin.version}"
    command = f'<section id="command">\n<h2>The command</h2>\n<pre>{escaped(origin.command)}</pre>\n'
    return f'{command}<p class="faint">{escaped(told)}</p></section>'
