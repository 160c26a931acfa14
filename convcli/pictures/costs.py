"""Pictures of costs: bars for each layer of one design or two, on one scale, and how near layers come to a machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.networks.costs import Cost
from convcli.networks.told.shares import Share
from convcli.networks.told.tables import Listing, comparison_table, size_text
from convcli.numerals import amount
from convcli.pictures.charts import begun, shortened
from convcli.pictures.drawing import Drawing, Group, Line, Rect, Shape, Text, paragraph
from convcli.pictures.layout import Block, below, beside, named
from convcli.pictures.page import Page
from convcli.pictures.roofline import Roof, roofline_panel, time_words
from convcli.pictures.svg import svg_text, upright

MARGIN, TOP = 20.0, 44.0
NAME, MADE = 190.0, 96.0
"""The room for a layer's name, and for what it makes."""
BAR, NUMBER = 120.0, 62.0
"""The longest bar, and the room for its number."""
HEAD, NAMED = 42.0, 26.0
"""The room above the rows, and above that for a design's name."""
ROOMY, TIGHT, MANY = 20.0, 13.0, 60
"""The height of rows; from so many rows on they are tight."""
PARTED = "a module in bold has parts below it: its numbers are all of it, its bars what is in none of these parts"
LETTER = 0.62
"""The width of a letter of size 1, of a wide font."""
MOST_ROWS = 1000
"""Rows that a picture shows: 13,000 pixels below each other."""
AT_LEAST = "at least "
LIGHTER = "the lighter part of a bar, and what is added to MACs: products of two activations (attention)"


class Measure(NamedTuple):
    """What bars show: its name, how data- attributes call it, its colour, and whether it is bytes."""

    name: str
    key: str
    colour: str
    is_bytes: bool = False

    def told(self, value: float) -> str:
        """A value with its unit."""
        return size_text(int(value)) if self.is_bytes else amount(value)


MEASURES = (
    Measure("MACs", "macs", "blue"),
    Measure("parameters", "params", "orange"),
    Measure("activations", "activation-bytes", "green", is_bytes=True),
)


class Design(NamedTuple):
    """A design in a picture: what it is called, and its listing."""

    name: str
    listing: Listing

    def numbers(self, cost: Cost) -> tuple[int, int, int]:
        """What the bars of a cost show, one for each of `MEASURES`."""
        return cost.macs, cost.params, self.listing.bytes(cost.activations)


def costs_drawing(designs: Sequence[Design], roof: Roof) -> Drawing:
    """One design or two: bars for each row of the table of costs, and the roofline of a machine with a dot for each.

    The roofline stands above a long list of rows, and below a short one. Raises UsageError for more rows than
    anybody reads.
    """
    check_rows(designs)
    lettered = list(zip(letters(designs), designs, strict=True))
    most = longest(designs)
    bars = beside([panel(design, letter, most) for letter, design in lettered], MARGIN, at_top=True)
    roofed = roofline_panel([(letter, design.listing) for letter, design in lettered], roof)
    is_long = any(len(design.listing.shares) > MANY for design in designs)
    parts = [totals_panel(designs)] if len(designs) == 2 else []
    parts += [roofed, bars] if is_long else [bars, roofed]
    width = max(part.width for part in parts)
    body = below([*parts, notes_panel(designs, width)], MARGIN)
    title = f"Costs of {' vs '.join(design.name for design in designs)}"
    heading = Text(MARGIN, 30, begun(title, int(width / 11)), 17, bold=True)
    shapes = (heading, Group(body.shapes, MARGIN, TOP))
    return Drawing(width + 2 * MARGIN, TOP + body.height + MARGIN, title, described(designs, roof), shapes)


def check_rows(designs: Sequence[Design]) -> None:
    """Refuse a list that is too long for a picture, and say how it becomes shorter."""
    for design in designs:
        if (count := len(design.listing.shares)) > MOST_ROWS:
            said = f"{count:,} rows, and a picture shows {MOST_ROWS:,}; --depth or --group adds up those of a model"
            raise UsageError(f"{design.name} has {said}", "too-large", where="--draw")


def letters(designs: Sequence[Design]) -> Sequence[str]:
    """What tells two designs apart; one has no letter."""
    return ("A", "B") if len(designs) == 2 else ("",)


def longest(designs: Sequence[Design]) -> list[int]:
    """The largest number of each measure in any row, products of two activations among the MACs: the scale of bars."""
    rows = [design.numbers(share.own.spent) for design in designs for share in design.listing.shares]
    return [max([1, *column]) for column in zip(*rows, strict=True)] or [1] * len(MEASURES)


# --- rows


def panel(design: Design, letter: str, most: Sequence[int]) -> Block:
    """The rows of a design: names, what they make, and three bars for each."""
    shares = design.listing.shares
    step = ROOMY if len(shares) <= MANY else TIGHT
    top, width = HEAD + NAMED * bool(letter), column(len(MEASURES))
    bottom = top + step * len(shares)
    rows = [
        Group(tuple(row_shapes(design, share, most, step, f"{letter}{number}", width)), 0, top + number * step)
        for number, share in enumerate(shares)
    ]
    lines = tuple(Line(((column(i), top - 4), (column(i), bottom)), "line") for i in range(len(MEASURES)))
    title = f"{letter}: {design.name}" if letter else "layers"
    name = (Text(0, 18, begun(title, 80), 13, bold=True),) if letter else ()
    columns = Group(tuple(head(design)), 0, top - HEAD)
    return named(title, (*name, columns, *rows, *lines), width, bottom)


def column(number: int) -> float:
    """Where the bars of a measure start."""
    return NAME + MADE + number * (BAR + NUMBER)


def head(design: Design) -> Iterator[Shape]:
    """What the columns are, and their totals."""
    least = AT_LEAST if design.listing.at_least else ""
    yield Text(0, 14, "layer", 12, "faint")
    yield Text(NAME, 14, "makes", 12, "faint")
    yield Text(0, 31, "total", 12, bold=True)
    for number, (measure, total) in enumerate(zip(MEASURES, design.numbers(design.listing.total), strict=True)):
        yield Text(column(number), 14, measure.name, 12, "faint")
        more = design.numbers(design.listing.total.spent)[number] - total
        products = f" + {measure.told(more)}" if more else ""
        text = f"{least}{measure.told(total)}{products}"
        yield Text(column(number), 31, text, 12, bold=True, data={"total": measure.key})


def row_shapes(
    design: Design, share: Share, most: Sequence[int], step: float, row: str, width: float
) -> Iterator[Shape]:
    """A row: a field for the pointer, its name, what it makes, its bars with their numbers."""
    size = 11 if step == ROOMY else 9
    indent, base = 12.0 * share.level, step - (step - size) / 2 - 1.5
    hint = row_words(design, share)
    yield Rect(-6, 0, width + 12, step, "paper", opacity=0, data={"row": row, "layer": share.name}, hint=hint)
    yield Text(indent, base, shortened(share.name, int((NAME - indent) / size / LETTER)), size, bold=share.has_parts)
    yield Text(NAME, base, shortened(share.output, int(MADE / size / LETTER)), size, "faint")
    for number, measure in enumerate(MEASURES):
        yield from bar(measure, design, share, most[number], (column(number), step, base, size))


def bar(
    measure: Measure, design: Design, share: Share, most: int, place: tuple[float, float, float, float]
) -> Iterator[Shape]:
    """A bar as long as its number, of the longest; behind it, lighter, products of two activations; then the number.

    Of a row with parts below it, the bar is what is in none of them, so that bars add up; the number is all of it.
    """
    x, step, base, size = place
    at = MEASURES.index(measure)
    value, more, told = (design.numbers(cost)[at] for cost in (share.own, share.own.spent, share.cost.spent))
    length, whole = BAR * value / most, BAR * more / most
    data = {"measure": measure.key, "value": value, "layer": share.name}
    if length:
        yield Rect(x, 2, length, step - 4, measure.colour, data=data)
    if whole > length:
        yield Rect(x + length, 2, whole - length, step - 4, "sky", data={"products": more - value})
    least = "≥ " if share.unknown else ""
    text = f"{least}{measure.told(told)}" if told else "?" * bool(share.unknown)
    if text:
        yield Text(x + whole + 5, base, text, size, "faint")


def hidden_words(count: int) -> str:
    """
    >>> hidden_words(1), hidden_words(18)
    ('1 node has no row of its own; the totals count it', '18 nodes have no row of their own; the totals count them')
    """
    told = "1 node has no row of its own; the totals count it"
    return told if count == 1 else f"{count:,} nodes have no row of their own; the totals count them"


# --- totals


def totals_panel(designs: Sequence[Design]) -> Block:
    """What two designs come to, on one scale for each measure, and in words how they compare."""
    totals = [design.numbers(design.listing.total) for design in designs]
    shapes: list[Shape] = []
    y, long = 10.0, 420.0
    for number, measure in enumerate(MEASURES):
        most = max(1, *(total[number] for total in totals))
        shapes.append(Text(0, y + 20, measure.name, 12, "faint"))
        for letter, design, total in zip("AB", designs, totals, strict=True):
            length, least = long * total[number] / most, AT_LEAST if design.listing.at_least else ""
            data = {"measure": measure.key, "value": total[number], "design": letter}
            shapes.append(Text(96, y + 11, letter, 11, bold=True))
            shapes.append(Rect(112, y, length, 13, measure.colour, opacity=1 if letter == "A" else 0.6, data=data))
            shapes.append(Text(112 + length + 6, y + 11, f"{least}{measure.told(total[number])}", 11))
            y += 15
        y += 8
    words = comparison_table(*(design.listing for design in designs)).notes
    for i, line in enumerate(words):
        shapes.append(Text(112 + long + 130, 24 + 18 * i, line, 12))
    return named("totals", shapes, 112 + long + 130, max(y, 24.0 + 18 * len(words)) + 10)


# --- words


def row_words(design: Design, share: Share) -> str:
    """All that is known of a row, in a line."""
    cost, listing = share.cost, design.listing
    every = listing.total.macs
    part = f" ({100 * cost.macs / every:.1f} %)" if every else ""
    attention = f", {cost.products:,} in products of two activations" if cost.products else ""
    intensity = cost.intensity(listing.convention.item)
    moved = f", {intensity:.3g} FLOP/byte" if intensity else ""
    unknown = "; its cost is not known" if share.unknown and len(share.steps) == share.unknown else ""
    least = "; at least, for some of it is not known" if share.unknown and not unknown else ""
    alone = f"; {share.own.macs:,} MACs are in none of its parts below" if share.has_parts and share.own.macs else ""
    return (
        f"{share.name}, which makes {share.output}: {cost.macs:,} MACs{part}{attention}, {cost.params:,} parameters, "
        f"{size_text(listing.bytes(cost.activations))} of activations{moved}{alone}{unknown}{least}"
    )


def notes_panel(designs: Sequence[Design], width: float) -> Block:
    """The notes below each other."""
    y, shapes = 11.0, list[Shape]()
    for note in notes_of(designs):
        lines = paragraph(0, y, note, width, 11, "faint")
        shapes += lines
        y += 15.4 * len(lines) + 3
    return named("how it is counted", shapes, width, y - 11)


def notes_of(designs: Sequence[Design]) -> list[str]:
    """How things are counted, and what is not: what stands below the table of costs."""
    each = [(letter, notes(design.listing)) for letter, design in zip(letters(designs), designs, strict=True)]
    common = [note for note in each[0][1] if all(note in told for _, told in each)]
    return common + [f"{letter}: {note}" for letter, told in each for note in told if note not in common]


def notes(listing: Listing) -> list[str]:
    """The same for one design, and how many of its nodes are in no row."""
    shown = {step for share in listing.shares for step in share.steps}
    every = len(listing.trace.steps)
    hidden = [hidden_words(every - len(shown))] if len(shown) < every else []
    lighter = [LIGHTER] if any(share.cost.products for share in listing.shares) else []
    parted = [PARTED] if any(share.has_parts for share in listing.shares) else []
    return [*map(str, listing.cost_table("").notes), *parted, *lighter, *hidden]


def described(designs: Sequence[Design], roof: Roof) -> str:
    """The picture in words: totals, what costs most, and the time that the machine takes at best."""
    parts = []
    for design, letter in zip(designs, letters(designs), strict=True):
        listing = design.listing
        least = AT_LEAST if listing.at_least else ""
        told = (
            f"{least}{measure.told(total)} {'of activations' if measure.is_bytes else measure.name}"
            for measure, total in zip(MEASURES, design.numbers(listing.total), strict=True)
        )
        top = max(listing.shares, key=lambda share: share.own.macs, default=None)
        most = f" Most MACs: {row_words(design, top)}." if top else ""
        parts.append(f"{letter and f'{letter}: '}{', '.join(told)}.{most} {time_words(listing, roof)}.")
    return " ".join(parts)


def costs_page(designs: Sequence[Design], roof: Roof) -> Page:
    """The picture on a page that says all of the row under the pointer or the keys."""
    drawing = costs_drawing(designs, roof)
    rows = {
        f"{letter}{number}": upright(row_words(design, share))
        for design, letter in zip(designs, letters(designs), strict=True)
        for number, share in enumerate(design.listing.shares)
    }
    body = (
        '<p class="faint">Point at a row or a dot, or press the arrow keys: up, down, Home, End.</p>\n'
        '<p class="told"><output id="told" aria-live="polite">&nbsp;</output></p>\n'
        f"<figure>{svg_text(drawing, themed=True, name='costs')}</figure>"
    )
    return Page(drawing.title, body, ("figures.css",), ("costs.js",), {"rows": rows})
