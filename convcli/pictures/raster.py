"""Drawings as pixels: PNG, and GIF of several drawings one after the other, on light paper. Pillow draws them.

Shapes are drawn larger and reduced, so that lines are smooth. Its own font has few signs beside letters, so the others
are written in letters (`WRITTEN`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from typing import Any

from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from convcli.pictures.colours import light
from convcli.pictures.drawing import Circle, Drawing, Image, Line, Points, Polygon, Rect, Shape, Text, walk
from convcli.pictures.svg import arrow_head

FINER = 2  # times in each direction, before the reduction
COLOURS = 32  # of an animation: its cells have a dozen, the edges of letters the others
WRITTEN = str.maketrans(
    {"×": "x", "→": "->", "−": "-", "≤": "<=", "≥": ">=", "²": "^2", "³": "^3", "⌊": "floor(", "⌋": ")", "✕": "x"}
)
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}

Colour = tuple[int, int, int, int]


def png_bytes(drawing: Drawing, scale: float = 2, finer: int = FINER) -> bytes:
    """A drawing as a PNG file, `scale` pixels for each of the drawing's, drawn so many times `finer`."""
    stream = BytesIO()
    image_of(drawing, scale, finer).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def gif_bytes(drawings: Sequence[Drawing], milliseconds: Sequence[int] | int = 700, scale: float = 1) -> bytes:
    """Drawings of one size as an animation that runs for ever, each shown for so long; one palette for all.

    Edges are not smoothed: a file of few colours is a quarter as large.
    """
    among = [drawings[at] for at in sorted({0, len(drawings) // 2, len(drawings) - 1})]
    palette = common_palette([image_of(drawing, scale, 1) for drawing in among])
    indexed = (
        image_of(drawing, scale, 1).quantize(palette=palette, dither=Pillow.Dither.NONE) for drawing in drawings
    )  # one after the other: only what changes of each is kept
    stream = BytesIO()
    durations = milliseconds if isinstance(milliseconds, int) else list(milliseconds)
    next(indexed).save(
        stream, "GIF", save_all=True, append_images=indexed, duration=durations, loop=0, disposal=1, optimize=True
    )
    return stream.getvalue()


def common_palette(frames: Sequence[Pillow.Image]) -> Pillow.Image:
    """The colours that some frames have most of, paper and cells among them."""
    found = Counter[Any]()
    for frame in frames:
        found.update({colour: count for count, colour in frame.getcolors(frame.width * frame.height) or ()})
    palette = Pillow.new("P", (1, 1))
    palette.putpalette([channel for colour, _ in found.most_common(COLOURS) for channel in colour])
    return palette


def image_of(drawing: Drawing, scale: float = 1, finer: int = FINER) -> Pillow.Image:
    """A drawing as a Pillow image in RGB, drawn so many times finer."""
    size = round(drawing.width * scale), round(drawing.height * scale)
    canvas = Canvas(size, scale, finer)
    for shape, x, y in walk(drawing.shapes):
        canvas.draw(shape, x, y)
    return canvas.finished()


class Canvas:
    """A sheet that shapes are drawn on, `finer` times as large as it will be."""

    def __init__(self, size: tuple[int, int], scale: float, finer: int) -> None:
        self.finer = finer
        self.factor = scale * finer
        self.sheet = Pillow.new("RGB", (size[0] * finer, size[1] * finer), light("paper"))
        self.pen = ImageDraw.Draw(self.sheet, "RGBA")

    def finished(self) -> Pillow.Image:
        """The sheet at its size."""
        return self.sheet.reduce(self.finer) if self.finer > 1 else self.sheet

    def draw(self, shape: Shape, x: float, y: float) -> None:
        """One shape, moved by (x, y)."""
        if isinstance(shape, Rect):
            self.rectangle(shape, x, y)
        elif isinstance(shape, Line):
            self.line(shape.points, shape, x, y)
        elif isinstance(shape, Polygon):
            self.polygon(shape, x, y)
        elif isinstance(shape, Circle):
            self.circle(shape, x, y)
        elif isinstance(shape, Text):
            self.text(shape, x, y)
        elif isinstance(shape, Image):
            self.image(shape, x, y)

    def placed(self, points: Points, x: float, y: float) -> list[tuple[float, float]]:
        """Points of the drawing on this sheet."""
        return [((a + x) * self.factor, (b + y) * self.factor) for a, b in points]

    def width(self, line: float) -> int:
        """The width of a line, at least a pixel of the sheet."""
        return max(1, round(line * self.factor))

    def rectangle(self, shape: Rect, x: float, y: float) -> None:
        """A rectangle, its border half inside and half outside, as in SVG."""
        half = shape.line / 2 if shape.stroke else 0
        right, bottom = shape.x + shape.width, shape.y + shape.height
        (a, b), (c, d) = self.placed([(shape.x - half, shape.y - half), (right + half, bottom + half)], x, y)
        box = round(a), round(b), max(round(a), round(c) - 1), max(round(b), round(d) - 1)
        fill = mixed(shape.fill, shape.opacity)
        if shape.dash and shape.stroke:
            self.pen.rectangle(box, fill)
            corners = [(shape.x, shape.y), (right, shape.y), (right, bottom), (shape.x, bottom), (shape.x, shape.y)]
            self.dashed(self.placed(corners, x, y), mixed(shape.stroke, shape.opacity), shape.line, shape.dash)
            return
        border = mixed(shape.stroke, shape.opacity)
        width = self.width(shape.line) if shape.stroke else 0
        if shape.radius:
            self.pen.rounded_rectangle(box, shape.radius * self.factor, fill, border, width)
        else:
            self.pen.rectangle(box, fill, border, width)

    def line(self, points: Points, shape: Line, x: float, y: float) -> None:
        """A line, perhaps in strokes, perhaps with the head of an arrow."""
        colour = mixed(shape.stroke, 1)
        places = self.placed(points, x, y)
        if shape.dash:
            self.dashed(places, colour, shape.line, shape.dash)
        else:
            self.pen.line(places, colour, self.width(shape.line), joint="curve")
        if shape.arrow:
            self.pen.polygon(self.placed(arrow_head(points), x, y), colour)

    def dashed(self, points: Points, colour: Colour | None, line: float, dash: float) -> None:
        """A line in strokes as long as the gaps between them, around its corners; points are those of the sheet."""
        step, gone = dash * self.factor, 0.0
        for (x0, y0), (x1, y1) in pairwise(points):
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            if not length:
                continue
            for i in range(int(gone // step), int((gone + length) // step) + 1):
                a, b = (min(1.0, max(0.0, (end * step - gone) / length)) for end in (i, i + 1))
                ends = [(x0 + (x1 - x0) * a, y0 + (y1 - y0) * a), (x0 + (x1 - x0) * b, y0 + (y1 - y0) * b)]
                if i % 2 == 0 and b > a:
                    self.pen.line(ends, colour, self.width(line))
            gone += length

    def polygon(self, shape: Polygon, x: float, y: float) -> None:
        """A closed shape."""
        border = mixed(shape.stroke, shape.opacity)
        width = self.width(shape.line) if shape.stroke else 0
        self.pen.polygon(self.placed(shape.points, x, y), mixed(shape.fill, shape.opacity), border, width)

    def circle(self, shape: Circle, x: float, y: float) -> None:
        """A circle."""
        r = shape.radius
        box = self.placed([(shape.x - r, shape.y - r), (shape.x + r, shape.y + r)], x, y)
        width = self.width(shape.line) if shape.stroke else 0
        self.pen.ellipse(box, mixed(shape.fill, shape.opacity), mixed(shape.stroke, shape.opacity), width)

    def text(self, shape: Text, x: float, y: float) -> None:
        """A line of text; Pillow's font has no bold face, so its strokes are made wider."""
        (place,) = self.placed([(shape.x, shape.y)], x, y)
        colour, stroke = mixed(shape.fill, 1), shape.size * self.factor / 40 if shape.bold else 0
        self.pen.text(
            place,
            shape.text.translate(WRITTEN),
            colour,
            font(shape.size * self.factor),
            ANCHORS[shape.anchor],
            stroke_width=stroke,
            stroke_fill=colour,
        )

    def image(self, shape: Image, x: float, y: float) -> None:
        """A PNG file stretched over a rectangle."""
        (a, b), (c, d) = self.placed([(shape.x, shape.y), (shape.x + shape.width, shape.y + shape.height)], x, y)
        size = max(1, round(c) - round(a)), max(1, round(d) - round(b))
        with Pillow.open(BytesIO(shape.png)) as inside:
            how = Pillow.Resampling.BICUBIC if shape.smooth else Pillow.Resampling.NEAREST
            scaled = inside.convert("RGBA").resize(size, how)
        self.sheet.paste(scaled, (round(a), round(b)), scaled)


@lru_cache(maxsize=64)
def font(size: float) -> Any:
    """Pillow's own font, which is the same on every machine."""
    return ImageFont.load_default(size)


def mixed(colour: str, opacity: float) -> Colour | None:
    """A colour for Pillow; None for no colour."""
    if not colour:
        return None
    named = light(colour)
    return int(named[1:3], 16), int(named[3:5], 16), int(named[5:7], 16), round(255 * opacity)
