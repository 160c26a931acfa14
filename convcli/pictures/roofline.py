"""Rooflines: how fast a machine can compute each layer at best, by the FLOPs for each byte that must move.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore architectures" (2009).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convcli.networks.told.shares import Share
from convcli.networks.told.tables import Listing
from convcli.numerals import amount, seconds
from convcli.pictures.charts import Scale, axes, shortened
from convcli.pictures.drawing import Circle, Group, Line, Polygon, Shape, Text, paragraph
from convcli.pictures.layout import Block, named

WIDE, HIGH = 470.0, 250.0
LEFT, TOP = 56.0, 46.0
SMALLEST, LARGEST = 3.0, 13.0
"""Radii of dots; their areas grow with what the layers compute."""
LISTED = 5
"""Layers that are named."""
Designs = Sequence[tuple[str, Listing]]


class Roof(NamedTuple):
    """What a machine can do at best: FLOPs and bytes a second, and in words which machine, and who says so."""

    flops: float
    bytes: float
    words: str

    @property
    def ridge(self) -> float:
        """The FLOPs for each byte from which on computing takes longer than memory."""
        return self.flops / self.bytes

    def reached(self, intensity: float) -> float:
        """The FLOPs a second that so many FLOPs for each byte allow.

        >>> Roof(100, 10, "").reached(5), Roof(100, 10, "").reached(50)
        (50, 100)
        """
        return min(self.flops, intensity * self.bytes)

    def seconds(self, flops: int, moved: int) -> float:
        """The time for so many FLOPs and bytes, which may overlap.

        >>> Roof(100, 10, "").seconds(200, 50)
        5.0
        """
        return max(flops / self.flops, moved / self.bytes)


class Dot(NamedTuple):
    """A row on a roofline: whose it is and which, its name and what it makes; FLOPs for each byte, its part of all
    FLOPs, its time.
    """

    letter: str
    row: str
    name: str
    made: str
    intensity: float
    part: float
    seconds: float


def dots(letter: str, listing: Listing, roof: Roof) -> list[Dot]:
    """A dot for each row that computes something beside its parts below."""
    item, every = listing.convention.item, listing.total.flops or 1
    return [
        Dot(
            letter,
            f"{letter}{number}",
            share.name,
            share.output,
            intensity,
            share.own.flops / every,
            took(share, item, roof),
        )
        for number, share in enumerate(listing.shares)
        if (intensity := share.own.intensity(item))
    ]


def took(share: Share, item: int, roof: Roof) -> float:
    """The time of a row at best."""
    return roof.seconds(share.own.flops, share.own.moved * item)


def roofline_panel(designs: Designs, roof: Roof) -> Block:
    """The roof with a dot for each row of each design, and in words what it means."""
    found = [dot for letter, listing in designs for dot in dots(letter, listing, roof)]
    across, up = scales([dot.intensity for dot in found], roof)
    chart = (*roof_shapes(across, up, roof), *dot_shapes(found, across, up, roof))
    words = tuple(words_beside(designs, found, roof))
    shapes: tuple[Shape, ...] = (
        Text(0, 14, "Roofline: how fast this machine computes each row at best", 14, bold=True),
        Group(chart, LEFT, TOP, "roofline"),
        Group(words, LEFT + WIDE + 30, TOP, "what the roofline says"),
    )
    return named("roofline", shapes, LEFT + WIDE + 30 + 420, TOP + HIGH + 40)


def scales(intensities: Sequence[float], roof: Roof) -> tuple[Scale, Scale]:
    """The axes: FLOPs for each byte, and GFLOPs a second, both logarithmic."""
    every = [*intensities, roof.ridge]
    low, high = min(every) / 2, max(every) * 4
    top = roof.flops / 1e9
    across = Scale(low, high, 0, WIDE, is_log=True)
    return across, Scale(min(roof.reached(low) / 1e9, top / 4), top * 2, HIGH, 0, is_log=True)


def roof_shapes(across: Scale, up: Scale, roof: Roof) -> Iterator[Shape]:
    """The axes, the roof, and its two numbers."""
    yield from axes(across, up, ("FLOPs for each byte that must move", "GFLOPs a second"))
    peak = up.at(roof.flops / 1e9)
    start = (across.start, up.at(roof.reached(across.low) / 1e9))
    yield Line((start, (across.at(roof.ridge), peak), (across.stop, peak)), "ink", 2, data={"roof": True})
    yield Line(((across.at(roof.ridge), peak), (across.at(roof.ridge), HIGH)), "line", 1, 3)
    peak_words = f"{amount(roof.flops)}FLOP/s ({amount(roof.flops / 2)}MAC/s)"
    yield Text(across.stop, peak - 18, f"computing: {peak_words}", 11, "ink", "end")
    yield Text(
        across.at(roof.ridge) + 6, HIGH - 8, f"{roof.ridge:.3g}: computing is the limit from here on", 10, "faint"
    )
    yield Text(6, peak - 18, f"memory (the slope): {amount(roof.bytes)}B/s", 11)


def dot_shapes(found: Sequence[Dot], across: Scale, up: Scale, roof: Roof) -> Iterator[Shape]:
    """The dots, large ones first; those of a second design are diamonds."""
    for dot in sorted(found, key=lambda dot: -dot.part):
        x, y = across.at(dot.intensity), up.at(roof.reached(dot.intensity) / 1e9)
        radius = SMALLEST + (LARGEST - SMALLEST) * dot.part**0.5
        bound = "compute" if dot.intensity >= roof.ridge else "memory"
        data = {"dot": dot.row, "row": dot.row, "bound": bound, "intensity": f"{dot.intensity:.6g}"}
        words = f"{dot.intensity:.3g} FLOP/byte, at least {seconds(dot.seconds)}, bound by {bound}"
        hint = f"{dot.name} to {dot.made}: {words}"
        colour = "blue" if bound == "compute" else "mark"
        if dot.letter == "B":
            points = ((x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius))
            yield Polygon(points, colour, "paper", 1, data=data, hint=hint)
        else:
            yield Circle(x, y, radius, colour, "paper", 1, data=data, hint=hint)


def words_beside(designs: Designs, found: Sequence[Dot], roof: Roof) -> Iterator[Shape]:
    """Whose roof it is, the time of each design at best, and the layers that take most of it."""
    lines = paragraph(0, 0, roof.words, 400, 12)
    yield from lines
    y = 16.8 * len(lines) + 8
    for letter, listing in designs:
        told = paragraph(0, y, time_words(listing, roof, letter), 400, 12)
        yield from told
        y += 16.8 * len(told)
        mine = sorted((dot for dot in found if dot.letter == letter), key=lambda dot: -dot.seconds)
        for dot in mine[: LISTED if len(designs) == 1 else 3]:
            bound = "computing" if dot.intensity >= roof.ridge else "memory"
            yield Text(14, y, f"{shortened(dot.name, 30)} to {dot.made}: {seconds(dot.seconds)}, {bound}", 11, "faint")
            y += 16
        y += 8
    legend = "Blue: computing is the limit; red: memory is." + (
        " Circles are A, diamonds B." if len(designs) > 1 else ""
    )
    yield Text(0, max(y + 6, HIGH + 16), f"{legend} The larger, the more FLOPs.", 11, "faint")


def time_words(listing: Listing, roof: Roof, letter: str = "") -> str:
    """How long a design takes at best, and how many of its layers memory limits."""
    every = dots(letter, listing, roof)
    whole = sum(dot.seconds for dot in every)
    if not every:
        return f"{letter or 'It'} has no multiply-adds"
    slow = [dot for dot in every if dot.intensity < roof.ridge]
    part = 100 * sum(dot.seconds for dot in slow) / whole
    lost = f"; memory is the limit of {len(slow)} of its {len(every)} rows with MACs, {part:.2g} % of that time"
    return f"{letter or 'It'} takes {seconds(whole)} or more in one thread{lost if slow else ''}"
