"""Pictures of kernels: a square for each tap in the colours of its sign and size, and beside it what waves become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convcli.kernels import Kernel
from convcli.numerals import counted, decimal_text
from convcli.pictures.charts import begun
from convcli.pictures.colours import diverging, readable_on
from convcli.pictures.drawing import NOTHING, Drawing, Group, Image, Rect, Shape, Text, paragraph, text_width
from convcli.pictures.layout import Block, below, beside, named
from convcli.pictures.page import Page
from convcli.pictures.planes import Plane, Shown, is_matrix, shown
from convcli.pictures.svg import svg_text

MOST_HINTS = 1 << 11
"""Taps that say by themselves what they are."""
MOST_WRITTEN = 80_000
"""Letters of all taps that a page tells exactly; of more it tells six digits, if that is short enough."""
SAID = 49
"""Taps that the text alternative says one by one."""
SIZES = (14, 12, 10, 9, 8)
"""Of the numbers in taps: the largest that fits all of them, else the smallest, in those where it fits."""
MARGIN, EDGE = 20.0, 26.0
FRAME = "#1b2229"
"""The ink of light paper: taps have their colours by day and by night."""
MOSTLY = 0.9
"""The part of all taps that small numbers must fit."""
BAR, TALL, SHORT, STEPS = 12.0, 160.0, 72.0, 33
"""The width and the heights of the scale of colours, and its steps."""
NARROWEST, WIDEST = 460.0, 1240.0
"""Of the sheet of paper, before the spectrum goes below the taps."""


def kernel_drawing(kernel: Kernel, *, spectrum: bool = False) -> Drawing:
    """A kernel as a picture: its taps, plane by plane, the scale of their colours, and on request its `spectrum`.

    Raises ConvError (too-large) where there are too many taps to look at.
    """
    return drawing_of(shown(kernel), spectrum=spectrum)


def drawing_of(what: Shown, *, spectrum: bool) -> Drawing:
    """The picture of what is shown of a kernel."""
    kernel = what.kernel
    parts = [taps_panel(what)]
    if spectrum:
        from convcli.pictures.spectra import spectrum_panel

        parts.append(spectrum_panel(what))
    fit = sum(part.width for part in parts) + 3 * MARGIN <= WIDEST
    body = beside(parts, MARGIN, at_top=True) if fit else below(parts, MARGIN)
    width = max(body.width + 2 * MARGIN, NARROWEST)
    notes = paragraph(MARGIN, 48, facts(what), width - 2 * MARGIN, 12, "faint")
    top = 48 + 17 * len(notes)
    name = begun(kernel.name, int(width / 10))
    shapes: tuple[Shape, ...] = (
        Text(MARGIN, 26, name, 17, bold=True),
        *notes,
        Group(body.shapes, MARGIN, top),
    )
    return Drawing(width, top + body.height + MARGIN, f"Kernel {kernel.name}", described(what), shapes)


def kernel_page(kernel: Kernel, *, spectrum: bool = False) -> Page:
    """The picture on a page where pointer and keys go from tap to tap."""
    what = shown(kernel, is_paged=True)
    drawing = drawing_of(what, spectrum=spectrum)
    how = "Point at a tap, or click and press an arrow key: left, right, up, down; PageUp, PageDown for other planes."
    body = (
        f'<p class="faint">{how}</p>\n<p class="told"><output id="told" aria-live="polite">&nbsp;</output></p>\n'
        f"<figure>{svg_text(drawing, themed=True, name='kernel')}</figure>"
    )
    return Page(drawing.title, body, ("figures.css",), ("kernel.js",), data_of(what))


def data_of(what: Shown) -> dict[str, object]:
    """What the script needs to know: sizes, and the taps of each plane in a text; none where they are too many."""
    data: dict[str, object] = {"centre": what.kernel.centre, "size": what.kernel.spatial[-2:]}
    for told in (decimal_text, "{:.6g}".format):
        texts = [" ".join(told(float(tap)) for row in plane.rows for tap in row) for plane in what.planes]
        if sum(map(len, texts)) <= MOST_WRITTEN:
            return data | {"taps": texts}
    return data


# --- taps


def taps_panel(what: Shown) -> Block:
    """All planes in their places, with their scale of colours."""
    sheet = what.sheet
    edge = 0 if sheet.label else EDGE
    wide, high = sheet.size
    drawn = tuple(sheet_shapes(what))
    tall = min(TALL, max(SHORT, high - sheet.label))
    scale = Group(tuple(legend(what, tall)), edge + wide + MARGIN, sheet.label, "scale of colours")
    width = edge + wide + MARGIN + BAR + 56
    return named("taps", (Group(drawn, edge), scale), width, max(high + edge, sheet.label + tall + 8))


def sheet_shapes(what: Shown) -> Iterator[Shape]:
    """All planes in their places."""
    sheet, written = what.sheet, writing(what)
    for number, plane in enumerate(what.planes):
        x, y = sheet.place(number)
        name = plane_name(what, plane)
        named = [Text(0, -4, name, 10, "faint")] if name else []
        drawn = squares(what, plane, written) if what.is_squared else [image(what, plane)]
        yield Group((*named, *drawn, *frame(what, plane)), x, y)
    if is_matrix(what.choice):
        yield from numbers(what)
    elif len(what.planes) == 1:
        yield from offsets(what)


class Writing(NamedTuple):
    """How the numbers in taps are written: their size, 0 for none, and their digits."""

    size: float = 0
    digits: int = 3


def writing(what: Shown) -> Writing:
    """The largest numbers that fit all taps; small ones where they fit most; none where they do not."""
    room = what.sheet.cell - 6
    if room < SIZES[-1] or not what.is_squared:
        return Writing()
    taps = [tap for plane in what.planes for row in plane.rows for tap in row]
    for digits in (3, 2):
        widths = sorted(text_width(tap_text(tap, digits), 1) for tap in taps)
        if fitting := [size for size in SIZES if size * widths[-1] <= room]:
            return Writing(fitting[0], digits)
    return Writing(SIZES[-1], 2) if SIZES[-1] * widths[int(MOSTLY * (len(widths) - 1))] <= room else Writing()


def tap_text(tap: float, digits: int = 3) -> str:
    """A tap in a few digits.

    >>> tap_text(-2.0), tap_text(1 / 9), tap_text(1 / 9, 2)
    ('-2', '0.111', '0.11')
    """
    return f"{tap:.{digits}g}"


def plane_name(what: Shown, plane: Plane) -> str:
    """What stands above a plane: the filter above the first of its planes, the slice by its distance from the pixel."""
    if not what.sheet.label:
        return ""
    piece = "" if plane.slice is None else f"z {signed(plane.slice - what.kernel.centre[0])}"
    first = plane.filter is not None and not plane.channel and not plane.slice
    name = f"filter {plane.filter}" if first else ""
    words = " ".join(word for word in (name, piece) if word)
    if text_width(words, 10) <= what.sheet.plane[0] + what.sheet.gap:
        return words
    return str(plane.filter) if first else ""


def signed(offset: int) -> str:
    """
    >>> signed(-1), signed(0), signed(2)
    ('-1', '0', '+2')
    """
    return f"{offset:+d}" if offset else "0"


def squares(what: Shown, plane: Plane, written: Writing) -> Iterator[Shape]:
    """A square for each tap, with its number where that fits."""
    cell, border = what.sheet.cell, "line" if what.is_framed else ""
    for y, row in enumerate(plane.rows):
        for x, tap in enumerate(row):
            colour = diverging(tap / what.most if what.most else 0)
            data = {} if what.is_paged else place_data(plane, y, x) | {"value": decimal_text(tap)}
            hint = tap_words(what, plane, y, x) if what.taps <= MOST_HINTS and not what.is_paged else ""
            yield Rect(x * cell, y * cell, cell, cell, colour, border, 0.5, data=data, hint=hint)
            text, size = tap_text(tap, written.digits), written.size
            if size and text_width(text, size) <= cell - 4:
                place = (x + 0.5) * cell, (y + 0.5) * cell + size * 0.36
                yield Text(*place, text, size, readable_on(colour), "middle")


def plane_data(plane: Plane) -> dict[str, object]:
    """Where a plane is, as data- attributes."""
    places = {"filter": plane.filter, "channel": plane.channel, "z": plane.slice}
    return {axis: place for axis, place in places.items() if place is not None}


def place_data(plane: Plane, y: int, x: int) -> dict[str, object]:
    """Where a tap is, as data- attributes."""
    return {**plane_data(plane), "y": y, "x": x}


def tap_words(what: Shown, plane: Plane, y: int, x: int) -> str:
    """Where a tap is and what it is, in words."""
    place = ", ".join(f"{axis} {index}" for axis, index in place_data(plane, y, x).items())
    at = (y, x) if plane.slice is None else (plane.slice, y, x)
    away = ", ".join(signed(index - middle) for index, middle in zip(at, what.kernel.centre, strict=True))
    return f"{place} (offset {away}): {decimal_text(plane.rows[y][x])}"


def image(what: Shown, plane: Plane) -> Image:
    """A plane of many taps as an image with a pixel for each."""
    from convcli.pictures.pixels import diverging_png

    wide, high = what.sheet.plane
    rows = [row[:: what.thinned] for row in plane.rows[:: what.thinned]]
    return Image(0, 0, wide, high, diverging_png(rows, what.most), smooth=what.sheet.cell < 1, data=plane_data(plane))


def frame(what: Shown, plane: Plane) -> Iterator[Shape]:
    """A border around a plane, and another around the tap that sits on the pixel, where that can be seen."""
    (wide, high), cell, centre = what.sheet.plane, what.sheet.cell, what.kernel.centre
    data = {"plane": True, **plane_data(plane)} if what.is_paged else NOTHING
    yield Rect(0, 0, wide, high, stroke="line", data=data)
    if what.is_framed and plane.slice in (None, centre[0]):
        yield Rect(centre[-1] * cell, centre[-2] * cell, cell, cell, stroke=FRAME, line=2.5)


def offsets(what: Shown) -> Iterator[Shape]:
    """How far columns and rows are from the pixel: each where there is room, else the first, its own and the last."""
    sheet = what.sheet
    (_, high), cell, (*_, down, across) = sheet.plane, sheet.cell, what.kernel.centre
    for x in labelled(sheet.wide, across, cell):
        yield Text((x + 0.5) * cell, high + 16, signed(x - across), 10, "faint", "middle")
    for y in labelled(sheet.high, down, cell):
        yield Text(-7, (y + 0.5) * cell + 3.5, signed(y - down), 10, "faint", "end")


def numbers(what: Shown) -> Iterator[Shape]:
    """The numbers of filters beside their rows, and of channels below their columns, each or every tenth."""
    sheet, channels = what.sheet, what.choice.channels
    wide, high = sheet.plane
    for filter_ in what.choice.filters:
        x, y = sheet.place(filter_ * len(channels))
        yield Text(x - 6, y + high / 2 + 3.5, f"{filter_}", min(10, max(7, high)), "faint", "end")
    for channel in channels[:: 1 if wide > 16 else 10]:
        yield Text(sheet.place(channel)[0] + wide / 2, sheet.size[1] + 14, f"{channel}", 10, "faint", "middle")


def labelled(count: int, centre: int, cell: float) -> Sequence[int]:
    """Which columns or rows are numbered.

    >>> list(labelled(3, 1, 56)), labelled(101, 50, 6)
    ([0, 1, 2], [0, 50, 100])
    """
    return range(count) if cell >= 24 else sorted({0, centre, count - 1})


def legend(what: Shown, tall: float) -> Iterator[Shape]:
    """The scale of colours, from the largest absolute tap down to its negative; without what no tap has the sign of."""
    if not what.most:
        return
    low, high = -1 * (what.low < 0), 1 * (what.high > 0 or what.low >= 0)
    step = tall / STEPS
    for i in range(STEPS):
        yield Rect(0, i * step, BAR, step + 0.4, diverging(high + (low - high) * (i + 0.5) / STEPS))
    yield Rect(0, 0, BAR, tall, stroke="line")
    for share in sorted({low, 0, high}):
        yield Text(BAR + 6, 4 + tall * (high - share) / (high - low), tap_text(share * what.most + 0.0), 11, "faint")


# --- words


def facts(what: Shown) -> str:
    """What a kernel is, in a line or two."""
    kernel, size = what.kernel, "x".join(map(str, what.kernel.spatial))
    total = kernel.plain_sum
    order = "a row for each filter" if is_matrix(what.choice) else "which stand side by side"
    plain = f"{size} taps; sum {total:.4g}, sum of |taps| {kernel.absolute_sum():.4g}"
    bank = f"{counted(kernel.outputs, 'filter')} of {size} taps over {counted(kernel.inputs, 'channel')}, {order}"
    values = f"values from {tap_text(what.low)} to {tap_text(what.high)}"
    framed = "the framed tap is on the pixel" if what.is_framed else ""
    offset = f"{kernel.offset:g} is added to every result" if kernel.offset else ""
    return "; ".join(part for part in (bank if kernel.bank else plain, values, offset, framed, left_out(what)) if part)


def left_out(what: Shown) -> str:
    """Which parts of a kernel are shown, where it is not all of them."""
    kernel, choice = what.kernel, what.choice
    parts = []
    if len(choice.filters) < kernel.outputs:
        parts.append(f"the first {len(choice.filters)} of {kernel.outputs:,} filters")
    if len(choice.channels) < kernel.inputs:
        parts.append(f"the first {len(choice.channels)} of {kernel.inputs:,} channels")
    if choice.slices.step > 1:
        parts.append(f"one of {choice.slices.step} of its {kernel.spatial[0]} slices")
    if not what.is_squared and what.thinned > 1:
        parts.append(f"one of {what.thinned} rows and columns")
    return f"shown: {', '.join(parts)}" if parts else ""


def described(what: Shown) -> str:
    """The picture in words: the taps row by row where there are few."""
    start = f"{facts(what)}. Blue is below zero, white is zero, red is above."
    if what.taps > SAID:
        return start
    rows = " | ".join("; ".join(" ".join(map(tap_text, row)) for row in plane.rows) for plane in what.planes)
    return f"{start} Row by row: {rows}."
