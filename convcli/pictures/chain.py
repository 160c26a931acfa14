"""The picture of a chain of layers, with branches or not: what one output sees, map after map back to the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.networks.explain import field_lines, fields_before
from convcli.networks.trace import Trace
from convcli.pictures.cells import Board, Ruler, celled, drawn
from convcli.pictures.drawing import Group, Line, Shape
from convcli.pictures.layer import Part, sizes_text
from convcli.pictures.layout import WIDEST, Block, below, captioned, line_of, wrapped_rows
from convcli.pictures.maps import Map, Place, Rows, box_of, inside, positions, seen_by

MOST_MAPS, MOST_PLACES = 128, 1 << 25
WIDEST_U = 2400  # pixels: beyond, maps stand in rows without arrows
GAP, RISE = 34, 9  # pixels between maps; how far an arrow over maps rises above the one before
SHEET, SHEET_OF_MANY = 180, 120  # pixels of the longest side of maps drawn to scale
MOST_FORMULAS = 12
CELLS = ((9, 24), (14, 18), (20, 14))
"""(side of the largest map, pixels of a cell)."""
SMALLEST = 10
LABEL, LARGEST_STRIP, BETWEEN = 230, 30, 34  # pixels beside signals, of their cells, and from one to the next


def chain_parts(maps: Sequence[Map], place: Place) -> list[Part]:
    """All maps of a network, with what one place of the last one sees."""
    seen = seen_by(maps, place)
    return [part_of(maps, number, seen[number], place) for number in range(len(maps))]


def check_count(maps: Sequence[Map]) -> None:
    """Refuse what nobody could look at."""
    if any(0 in each.sizes for each in maps):
        raise UsageError("not all sizes are known, so that nothing can be drawn to scale; say them by --input", "shape")
    if len(maps) == 1:
        raise UsageError("no layer here changes sizes or channels, so there is nothing to draw", "layer")
    if large := [each for each in maps if prod(each.sizes) > MOST_PLACES]:
        raise UsageError(f"{large[0].shape} has too many places to draw, {MOST_PLACES:,} at the most", "too-large")
    if len(maps) > MOST_MAPS:
        way = "leave out layers, or name an earlier node by --upto"
        raise UsageError(f"{len(maps)} maps are too many to draw, {MOST_MAPS} at the most; {way}", "too-large")


def part_of(maps: Sequence[Map], number: int, rows: Rows, place: Place) -> Part:
    """One map with what is seen in it."""
    each, is_last = maps[number], number == len(maps) - 1
    rulers = tuple(ruler_of(maps, number, axis) for axis in range(len(each.sizes)))
    begin = max(0, rulers[-1].begin)
    marked: Mapping[Place, int] = {} if is_last else {row: bits << begin for row, bits in rows.items()}
    board = Board(
        rulers,
        {"layer": number},
        "input" if not each.links else "output",
        marked,
        place if is_last else None,
    )
    return Part(f"{number}: {each.word}", board, (str(each.shape), *notes(maps, number, rows)))


def ruler_of(maps: Sequence[Map], number: int, axis: int) -> Ruler:
    """An axis of a map with the padding that the layers behind it add, the most of them."""
    size = maps[number].sizes[axis]
    readers = [link.axes[axis] if link.axes else None for each in maps for link in each.links if link.source == number]
    sliding = [reader for reader in readers if isinstance(reader, Geometry)]
    if len(readers) == len(sliding) == 1:
        return Ruler.under(sliding[0])
    return Ruler(size, max((a.begin for a in sliding), default=0), max((a.end for a in sliding), default=0))


def notes(maps: Sequence[Map], number: int, rows: Rows) -> Iterator[str]:
    """What a map reads, where that is not the one before; and how much of it is seen."""
    sources = [link.source for link in maps[number].links]
    if sources and sources != [number - 1]:
        yield f"reads {' and '.join(map(str, sources))}"
    count, box = sum(bits.bit_count() for bits in rows.values()), box_of(rows)
    inside = prod(map(len, box))
    if number < len(maps) - 1:
        yield f"seen: {sizes_text(tuple(map(len, box)))}" if count == inside else f"seen: {count} of {inside}"


def what_is_seen(maps: Sequence[Map], place: Place) -> str:
    """What the output sees, in words."""
    seen = seen_by(maps, place)[0]
    count, box = sum(bits.bit_count() for bits in seen.values()), box_of(seen)
    inside = prod(map(len, box))
    where = ", ".join(map(str, place))
    if not count:
        return f"Output ({where}), filled, sees no pixel of the input."
    size = sizes_text(tuple(map(len, box)))
    start = f"Output ({where}), filled, sees {size} pixels of the input, its receptive field there"
    if count == inside:
        return f"{start}: all {count} of them (orange). Each map shows what is seen of it by way of those behind it."
    return (
        f"{start}, but only {count} of these {inside} (orange): the dots are holes that no path leads to. "
        "Each map shows what is seen of it by way of those behind it."
    )


def chain_formulas(trace: Trace) -> list[str]:
    """How the receptive field grows, layer by layer, where the layers are few."""
    lines = [f"{step.word}: {line}" for step in trace.steps for line in field_lines(step, fields_before(trace, step))]
    return lines if len(lines) <= MOST_FORMULAS else []


# --- where the maps stand


def chain_block(maps: Sequence[Map], parts: Sequence[Part]) -> Block:
    """Maps from left to right, each size at its own height, with arrows; in rows where they are too many."""
    if all(len(each.sizes) == 1 for each in maps) and all(part.board.fits for part in parts):
        return strips(maps, parts)
    blocks = blocks_of(parts)
    if len(maps[0].sizes) == 3 or any(len(each.sizes) == 1 for each in maps):
        return below(blocks, 14)
    if sum(block.width + GAP for block in blocks) > WIDEST_U:
        return wrapped_rows(blocks, WIDEST, GAP)
    return in_levels(maps, blocks)


def blocks_of(parts: Sequence[Part]) -> list[Block]:
    """The maps, cells of one size in all, those to scale by one scale."""
    longest = [max(len(ruler.places) for ruler in part.board.rulers[-2:]) for part in parts]
    fitting = [side for side, part in zip(longest, parts, strict=True) if part.board.fits]
    cell = next((size for limit, size in CELLS if max(fitting, default=1) <= limit), SMALLEST)
    scale = (SHEET if len(parts) <= 6 else SHEET_OF_MANY) / max(longest)
    return [captioned(drawn(part.board, scale, cell), part.title, part.notes) for part in parts]


def strips(maps: Sequence[Map], parts: Sequence[Part]) -> Block:
    """Signals below each other, place 0 below place 0, with a line from each place that is read to what reads it."""
    labels = [below([line_of(part.title, bold=True), line_of(", ".join(part.notes), 11, "faint")], 2) for part in parts]
    before = max(part.board.shift for part in parts)
    longest = before + max(len(part.board.rulers[0].places) - part.board.shift for part in parts)
    cell = max(SMALLEST, min(LARGEST_STRIP, (WIDEST - LABEL) / longest))
    left = LABEL + before * cell
    shapes: list[Shape] = []
    for number, (part, label) in enumerate(zip(parts, labels, strict=True)):
        y = number * (cell + BETWEEN)
        shapes += [
            Group(label.shapes, 0, y + (cell - label.height) / 2),
            Group(celled(part.board, cell).shapes, left - part.board.shift * cell, y),
        ]
        shapes += threads(maps, parts, number, left, cell)
    return Block(tuple(shapes), LABEL + longest * cell, len(parts) * (cell + BETWEEN) - BETWEEN)


def threads(maps: Sequence[Map], parts: Sequence[Part], number: int, left: float, cell: float) -> Iterator[Line]:
    """The lines from the strip above to what of a strip is seen."""
    y = number * (cell + BETWEEN)
    for link in maps[number].links:
        if link.source != number - 1:
            continue
        for (at,) in seen_on(parts[number]):
            for read in inside(link.axes[0], at) if link.axes else [at]:
                ends = [(left + (read + 0.5) * cell, y - BETWEEN), (left + (at + 0.5) * cell, y)]
                yield Line(ends, "mark", data={"from": link.source, "to": number})


def seen_on(part: Part) -> Iterator[Place]:
    """The places of a strip that are seen, or looked from."""
    if part.board.chosen is not None:
        yield part.board.chosen
    for bits in part.board.marked.values():
        yield from ((at - part.board.shift,) for at in positions(bits))


def in_levels(maps: Sequence[Map], blocks: Sequence[Block]) -> Block:
    """The larger maps above, the smaller ones below, as in drawings of a U-Net; arrows from what is read."""
    branching = any(len(each.links) > 1 for each in maps)
    sizes: list[tuple[int, ...]] = sorted({each.sizes for each in maps}, reverse=True) if branching else [()]
    level = [sizes.index(each.sizes) if branching else 0 for each in maps]
    heights = [
        max(block.height for block, at in zip(blocks, level, strict=True) if at == row) for row in range(len(sizes))
    ]
    over = rises(maps)
    tops = [max(over.values(), default=0) * RISE + sum(heights[:row]) + GAP * row for row in range(len(sizes))]
    x, places = 0.0, []
    for block, at in zip(blocks, level, strict=True):
        middle = 0 if branching else (heights[at] - block.height) / 2
        places.append((x, tops[at] + middle))
        x += block.width + GAP
    shapes: list[Shape] = [Group(block.shapes, *at) for block, at in zip(blocks, places, strict=True)]
    shapes += arrows(maps, blocks, places, over)
    return Block(tuple(shapes), x - GAP, tops[-1] + heights[-1])


def rises(maps: Sequence[Map]) -> dict[tuple[int, int], int]:
    """For each arrow that goes over other maps, how many others it may cross: it rises so much higher."""
    far = [(link.source, number) for number, each in enumerate(maps) for link in each.links if link.source < number - 1]
    return {arrow: 1 + i % 4 for i, arrow in enumerate(sorted(far, key=lambda arrow: arrow[1] - arrow[0]))}


def arrows(
    maps: Sequence[Map],
    blocks: Sequence[Block],
    places: Sequence[tuple[float, float]],
    over: Mapping[tuple[int, int], int],
) -> Iterator[Line]:
    """Lines from each map to those that read it: from side to side, or over what stands between."""
    for number, each in enumerate(maps):
        for link in each.links:
            (x0, y0), (x1, y1) = places[link.source], places[number]
            data = {"from": link.source, "to": number}
            if (rise := over.get((link.source, number))) is None:
                start = x0 + blocks[link.source].width + 4, y0 + blocks[link.source].height / 2
                yield Line([start, (x1 - 4, y1 + blocks[number].height / 2)], "faint", 1.5, arrow=True, data=data)
                continue
            top = min(y0, y1) - rise * RISE
            left, right = x0 + blocks[link.source].width / 2, x1 + 10
            yield Line(
                [(left, y0 - 2), (left, top), (right, top), (right, y1 - 2)], "faint", 1.5, arrow=True, data=data
            )
