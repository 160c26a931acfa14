"""A drawing: shapes on a sheet of paper, as values. Lengths are pixels of a screen at 1:1; y grows downwards.

`data` of a shape becomes its data- attributes in SVG: what it stands for (layer, y, x, ...), for whoever counts,
points at, or scripts it. True is an attribute without a value; False and None are left out. `hint` is what a
pointer over the shape shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

Data = Mapping[str, object]
Points = Sequence[tuple[float, float]]
Anchor = Literal["start", "middle", "end"]

NOTHING: Data = MappingProxyType({})
WIDE, NARROW = "mwMW@%", "iljtf.,:;|!'()[] "


class Rect(NamedTuple):
    """A rectangle; a colour of "" is no colour, `dash` draws its border in strokes of that length."""

    x: float
    y: float
    width: float
    height: float
    fill: str = ""
    stroke: str = ""
    line: float = 1
    radius: float = 0
    dash: float = 0
    opacity: float = 1
    data: Data = NOTHING
    hint: str = ""


class Line(NamedTuple):
    """A line through points; with an `arrow`, it ends in one."""

    points: Points
    stroke: str = "ink"
    line: float = 1
    dash: float = 0
    arrow: bool = False
    data: Data = NOTHING


class Polygon(NamedTuple):
    """A closed shape."""

    points: Points
    fill: str = ""
    stroke: str = ""
    line: float = 1
    opacity: float = 1
    data: Data = NOTHING
    hint: str = ""


class Circle(NamedTuple):
    """A circle around (x, y)."""

    x: float
    y: float
    radius: float
    fill: str = ""
    stroke: str = ""
    line: float = 1
    opacity: float = 1
    data: Data = NOTHING
    hint: str = ""


class Text(NamedTuple):
    """A line of text whose baseline starts, ends or has its middle at (x, y)."""

    x: float
    y: float
    text: str
    size: float = 13
    fill: str = "ink"
    anchor: Anchor = "start"
    bold: bool = False
    data: Data = NOTHING


class Image(NamedTuple):
    """A PNG file stretched over a rectangle; pixels stay sharp unless it is `smooth`."""

    x: float
    y: float
    width: float
    height: float
    png: bytes
    smooth: bool = False
    data: Data = NOTHING
    hint: str = ""


class Group(NamedTuple):
    """Shapes that belong together, moved by (x, y); `name` is said by screen readers."""

    shapes: tuple[Shape, ...]
    x: float = 0
    y: float = 0
    name: str = ""
    data: Data = NOTHING


Shape = Rect | Line | Polygon | Circle | Text | Image | Group


class Drawing(NamedTuple):
    """A sheet of paper with shapes; `title` and `description` say in words what a reader without eyes needs."""

    width: float
    height: float
    title: str
    description: str
    shapes: tuple[Shape, ...]


def walk(shapes: Sequence[Shape], x: float = 0, y: float = 0) -> Iterator[tuple[Shape, float, float]]:
    """Every shape that is no group, in the order of drawing, with how far its groups move it."""
    for shape in shapes:
        if isinstance(shape, Group):
            yield from walk(shape.shapes, x + shape.x, y + shape.y)
        else:
            yield shape, x, y


def text_width(text: str, size: float = 13, *, bold: bool = False) -> float:
    """How wide a line of text is about; browsers choose the font, so this is for a wide one, DejaVu Sans.

    >>> round(text_width("3@224x224", 10))
    58
    """
    return size * sum(0.95 if c in WIDE else 0.34 if c in NARROW else 0.61 for c in text) * (1.1 if bold else 1)


def wrapped(text: str, width: float, size: float = 13) -> list[str]:
    """A text in lines of at most about this width, cut between words.

    >>> wrapped("input with its padding", 80)
    ['input with', 'its padding']
    """
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def paragraph(x: float, y: float, text: str, width: float, size: float = 13, fill: str = "ink") -> tuple[Text, ...]:
    """A text in lines below each other, the first one's baseline at y; they are 1.4 sizes apart."""
    lines = wrapped(text, width, size)
    return tuple(Text(x, y + i * size * 1.4, line, size, fill) for i, line in enumerate(lines))
