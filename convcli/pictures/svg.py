"""Drawings as SVG: plain elements with a title, a description, and data- attributes; no script, no style sheet needed.

A file of its own has the colours of light paper; inside a page colours are variables (`themed`), which follow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from convcli.pictures.colours import light
from convcli.pictures.drawing import Circle, Data, Drawing, Group, Image, Line, Points, Polygon, Rect, Shape, Text
from convcli.streams import visible

FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""
TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that change the direction of the text around them: a name with one looks like another name."""
HEAD = 7  # pixels: how long the head of an arrow is


def svg_text(drawing: Drawing, *, themed: bool = False, name: str = "") -> str:
    """A drawing as the text of an SVG file, or as an element inside a page, called `name` there.

    >>> svg_text(Drawing(10, 10, "A cell", "One.", (Rect(1, 1, 8, 8, "input", data={"y": 0}),)), themed=True)[-84:]
    '<rect x="1" y="1" width="8" height="8" fill="var(--input)" data-y="0"/>\\n</g>\\n</svg>\\n'
    """
    ids = f"{name or 'drawing'}-title", f"{name or 'drawing'}-text"
    w, h = number(drawing.width), number(drawing.height)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}"'
        f'{attribute("id", name)} role="img" aria-labelledby="{ids[0]} {ids[1]}">\n'
        f'<title id="{ids[0]}">{escaped(drawing.title)}</title>\n<desc id="{ids[1]}">{escaped(drawing.description)}'
        f'</desc>\n<g font-family="{FONT}">\n'
    )
    paper = "" if themed else f'<rect width="{w}" height="{h}" fill="{light("paper")}"/>\n'
    return f"{opening}{paper}{''.join(element(shape, themed) for shape in drawing.shapes)}</g>\n</svg>\n"


def element(shape: Shape, themed: bool) -> str:
    """A shape as an element."""
    written: str = ELEMENTS[type(shape)](shape, themed)
    return written


def rectangle(shape: Rect, themed: bool) -> str:
    """A rectangle."""
    place = f'x="{number(shape.x)}" y="{number(shape.y)}" width="{number(shape.width)}" height="{number(shape.height)}"'
    rounded = attribute("rx", number(shape.radius) if shape.radius else "")
    return closed("rect", place + rounded + painted(shape, themed) + dashes(shape.dash), shape.data, shape.hint)


def circle(shape: Circle, themed: bool) -> str:
    """A circle."""
    place = f'cx="{number(shape.x)}" cy="{number(shape.y)}" r="{number(shape.radius)}"'
    return closed("circle", place + painted(shape, themed), shape.data, shape.hint)


def polygon(shape: Polygon, themed: bool) -> str:
    """A closed shape."""
    return closed("polygon", f'points="{listed(shape.points)}"{painted(shape, themed)}', shape.data, shape.hint)


def line(shape: Line, themed: bool) -> str:
    """A line, perhaps with the head of an arrow."""
    colour = painted_in(shape.stroke, themed)
    drawn = f'points="{listed(shape.points)}" fill="none" stroke="{colour}" stroke-width="{number(shape.line)}"'
    head = f'<polygon points="{listed(arrow_head(shape.points))}" fill="{colour}"/>\n' if shape.arrow else ""
    return closed("polyline", drawn + dashes(shape.dash), shape.data) + head


def text(shape: Text, themed: bool) -> str:
    """A line of text."""
    place = f'x="{number(shape.x)}" y="{number(shape.y)}" font-size="{number(shape.size)}"'
    colour = f' fill="{painted_in(shape.fill, themed)}"'
    anchor = attribute("text-anchor", "" if shape.anchor == "start" else shape.anchor)
    weight = ' font-weight="600"' if shape.bold else ""
    return f"<text {place}{colour}{anchor}{weight}{attributes(shape.data)}>{escaped(shape.text)}</text>\n"


def image(shape: Image, _themed: bool) -> str:
    """A PNG file, inside of the text."""
    from base64 import b64encode

    place = f'x="{number(shape.x)}" y="{number(shape.y)}" width="{number(shape.width)}" height="{number(shape.height)}"'
    sharp = "" if shape.smooth else ' image-rendering="pixelated"'
    source = f' preserveAspectRatio="none" href="data:image/png;base64,{b64encode(shape.png).decode()}"'
    return closed("image", place + sharp + source, shape.data, shape.hint)


def group(shape: Group, themed: bool) -> str:
    """Shapes, moved and named together."""
    moved = f"translate({number(shape.x)} {number(shape.y)})" if shape.x or shape.y else ""
    named = attribute("role", "group" if shape.name else "") + attribute("aria-label", shape.name)
    inside = "".join(element(each, themed) for each in shape.shapes)
    told = attribute("transform", moved) + named + attributes(shape.data)
    return f"<g{told}>\n{inside}</g>\n" if told else inside


ELEMENTS: dict[type[Shape], Any] = {
    Rect: rectangle,
    Circle: circle,
    Polygon: polygon,
    Line: line,
    Text: text,
    Image: image,
    Group: group,
}


def closed(tag: str, inside: str, data: Data, hint: str = "") -> str:
    """An element with its data, and with what a pointer over it shows."""
    opening = f"<{tag} {inside}{attributes(data)}"
    return f"{opening}><title>{escaped(hint)}</title></{tag}>\n" if hint else f"{opening}/>\n"


def painted(shape: Rect | Circle | Polygon, themed: bool) -> str:
    """The colours of a closed shape."""
    fill = painted_in(shape.fill, themed) if shape.fill else "none"
    border = ""
    if shape.stroke:
        border = f' stroke="{painted_in(shape.stroke, themed)}"' + (
            "" if shape.line == 1 else f' stroke-width="{number(shape.line)}"'
        )
    opacity = "" if shape.opacity == 1 else f' opacity="{number(shape.opacity)}"'
    return f' fill="{fill}"{border}{opacity}'


def painted_in(colour: str, themed: bool) -> str:
    """A colour: of light paper, or the variable of a page."""
    return f"var(--{colour})" if themed and not colour.startswith("#") else light(colour)


def dashes(length: float) -> str:
    """A line in strokes."""
    return attribute("stroke-dasharray", number(length) if length else "")


def arrow_head(points: Points) -> list[tuple[float, float]]:
    """The triangle at the end of a line."""
    (x0, y0), (x1, y1) = points[-2:]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1.0
    along = (x1 - x0) / length, (y1 - y0) / length
    base = x1 - HEAD * along[0], y1 - HEAD * along[1]
    across = HEAD / 2 * along[1], -HEAD / 2 * along[0]
    return [(x1, y1), (base[0] + across[0], base[1] + across[1]), (base[0] - across[0], base[1] - across[1])]


def listed(points: Iterable[tuple[float, float]]) -> str:
    """Points as SVG writes them."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


def attributes(data: Data) -> str:
    """The data- attributes of a shape.

    >>> attributes({"layer": 1, "marked": True, "dropped": False})
    ' data-layer="1" data-marked=""'
    """
    present = (
        (name, "" if value is True else value)
        for name, value in data.items()
        if value is not None and value is not False
    )
    return "".join(f' data-{name}="{escaped(str(value))}"' for name, value in present)


def attribute(name: str, value: str) -> str:
    """An attribute, or nothing without a value."""
    return f' {name}="{escaped(value)}"' if value else ""


def number(value: float) -> str:
    """A coordinate, to a hundredth of a pixel.

    >>> number(3.0), number(1 / 3)
    ('3', '0.33')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def upright(text: str) -> str:
    r"""A text in whose middle nothing turns its direction around, as file names may try.

    >>> upright("gpj.\u202etxt.png")
    'gpj.\\u202etxt.png'
    """
    return TURNING.sub(lambda found: visible(found[0]), text)


def escaped(text: str) -> str:
    """A text inside of XML or HTML.

    >>> escaped('3 < "4" & 5')
    '3 &lt; &quot;4&quot; &amp; 5'
    """
    kept = UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", upright(text))
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
