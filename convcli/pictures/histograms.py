"""How often samples have which values, drawn: an outline for each colour, before and after on the same axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from sys import float_info

from convcli.pictures.drawing import Anchor, Drawing, Line, Polygon, Rect, Shape, Text
from convcli.pictures.look import Bins, Look

WIDTH, HEIGHT = 440, 150
"""Of the chart without its margins."""
LEFT, TOP, FOOT = 12, 40, 40
FILLS = {"red": "mark", "green": "green", "blue": "blue", "cyan": "sky", "magenta": "purple", "black": "ink"}
"""The colours of outlines by what they count; any other is grey."""
Ends = tuple[float, float]


def ends_of(looks: Sequence[Look]) -> Ends:
    """From the least to the largest value of all images."""
    bins = [each for look in looks for each in look["histogram"] if each["counts"]]
    low = min((each["first"] for each in bins), default=0.0)
    high = max((end_of(each) for each in bins), default=1.0)
    return (low, high) if high / 2 > low / 2 else (low, low + max(1.0, abs(low)))


def end_of(bins: Bins) -> float:
    """Where the last bin ends."""
    return edge(bins, len(bins["counts"]))


def edge(bins: Bins, number: int) -> float:
    """Where a bin begins; that after the last one may begin beyond all numbers."""
    return min(float_info.max, bins["first"] + bins["width"] * number)


def across(value: float, ends: Ends) -> float:
    """Where a value stands on the axis; by halves, since the width of all there may be is no number."""
    low, high = ends
    return LEFT + WIDTH * ((value / 2 - low / 2) / (high / 2 - low / 2))


def histogram_drawing(look: Look, title: str, ends: Ends, below: int = 0, above: int = 0) -> Drawing:
    """The histogram of an image between two values; `below` and `above` samples were clipped to them."""
    bins = [each for each in look["histogram"] if each["counts"]]
    inner = slice(int(below > 0), -1 if above else None)  # what was clipped is a mark, not the peak of all
    peak = max((max(each["counts"][inner], default=0) / each["width"] for each in bins), default=0) or 1.0
    known = sum(each["known"] for each in look["histogram"])
    last = ends[1] - 1 if all(each["whole"] for each in bins) else ends[1]
    shapes = [
        Text(LEFT, 16, title, bold=True),
        Line(((LEFT, TOP + HEIGHT), (LEFT + WIDTH, TOP + HEIGHT)), "line"),
        *(outline(each, ends, peak) for each in bins),
        *clipped(below, above),
        Text(LEFT, TOP + HEIGHT + 16, f"{ends[0]:.6g}", 12, "faint"),
        Text(LEFT + WIDTH, TOP + HEIGHT + 16, f"{last:.6g}", 12, "faint", "end"),
        Text(LEFT + WIDTH / 2, TOP + HEIGHT + 32, f"{known:,} samples{names(bins)}", 12, "faint", "middle"),
    ]
    told = f"{known:,} samples from {ends[0]:.6g} to {last:.6g}; {below:,} clipped below, {above:,} above"
    return Drawing(WIDTH + 2 * LEFT, TOP + HEIGHT + FOOT, f"Histogram {title}", told, tuple(shapes))


def names(bins: Sequence[Bins]) -> str:
    """Which colours outlines have."""
    return ": " + ", ".join(each["name"] for each in bins) if len(bins) > 1 else ""


def outline(bins: Bins, ends: Ends, peak: float) -> Polygon:
    """A step for each bin; heights are the square roots of densities: rare values are seen beside common ones."""
    points = [(across(bins["first"], ends), float(TOP + HEIGHT))]
    for number, count in enumerate(bins["counts"]):
        y = TOP + HEIGHT - HEIGHT * min(1.0, sqrt(count / bins["width"] / peak))
        left, right = edge(bins, number), edge(bins, number + 1)
        points += [(across(x, ends), y) for x in (left, right)]
    points.append((points[-1][0], float(TOP + HEIGHT)))
    colour = FILLS.get(bins["name"], "faint")
    return Polygon(points, colour, colour, opacity=0.45, data={"counts": bins["name"] or "all"})


def clipped(below: int, above: int) -> Iterator[Shape]:
    """What lay beyond the ends, as marks there."""
    ends: tuple[tuple[int, float, float, Anchor, str], ...] = (
        (below, LEFT, 0, "start", "below"),
        (above, LEFT + WIDTH, 0, "end", "above"),
    )
    for count, x, inside, anchor, words in ends:
        if count:
            yield Rect(x - 2, TOP, 4, HEIGHT, "mark", data={"clipped": words})
            yield Text(x + inside, TOP - 5, f"{count:,} clipped {words}", 12, "mark", anchor)
