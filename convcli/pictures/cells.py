"""A map as cells: pixels, padding, inserted zeros, what is never read; what lies under the kernel; numbers inside.

Maps that are too large for cells are drawn to scale, with an inset of cells around what is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from math import prod
from types import MappingProxyType
from typing import Literal, NamedTuple

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis
from convcli.pictures.drawing import NOTHING, Circle, Data, Line, Rect, Shape, Text, text_width
from convcli.pictures.layout import WIDEST, Block, below, beside, captioned, wrapped_rows
from convcli.pictures.maps import Place, Rows, box_of, positions

Kind = Literal["pixel", "padding", "zero"]

FRAMED = 14  # pixels of a cell from which on what is marked has a wide frame
LINE_CELL = 24  # pixels of a cell of a signal
MOST_CELLS = 1500  # of one map
LONGEST_SIDE = 32  # cells
LARGEST_INSET = 17  # cells of a side
LARGEST_CELL = 16  # pixels, there
CELLS = ((9, 30), (14, 24), (20, 18), (LONGEST_SIDE, 13))
"""(side of a map, pixels of a cell) up to there."""
LEAST_SHEET = 6  # pixels


class Ruler(NamedTuple):
    """One axis of a map as it is drawn: places from `-begin` up to, and without, `size + end`; all pixels at least.

    A place outside of the map is padding; where `step` is above 1, only each step-th place is a pixel, and zeros were
    inserted between. `axis` slides over it, and never reads some places. `shown` are the places of an inset.
    """

    size: int
    begin: int = 0
    end: int = 0
    step: int = 1
    axis: Geometry | None = None
    shown: range | None = None

    @classmethod
    def under(cls, axis: Axis, step: int = 1) -> Ruler:
        """What an axis slides over, or reads."""
        if isinstance(axis, Geometry):
            return cls(axis.size, axis.begin, axis.end, step, axis)
        return cls(axis.size)

    @property
    def places(self) -> range:
        """The places that are drawn: all, or those of an inset."""
        every = range(-max(0, self.begin), self.size + max(0, self.end))
        return every if self.shown is None else self.shown

    def kind(self, place: int) -> Kind:
        """What stands at a place."""
        if not 0 <= place < self.size:
            return "padding"
        return "zero" if place % self.step else "pixel"

    def is_dropped(self, place: int) -> bool:
        """True at the ends, where the kernel would go beyond the padding, or the padding is negative."""
        axis = self.axis
        return axis is not None and not -axis.begin <= place < axis.size + axis.end - axis.dropped

    def is_skipped(self, place: int) -> bool:
        """True for a place that no position reads, though some read behind it.

        >>> [at for at in range(8) if Ruler.under(Geometry(8, 2, 3)).is_skipped(at)]
        [2, 5]
        """
        axis = self.axis
        if axis is None or self.is_dropped(place):
            return False
        starts = (divmod(place + axis.begin - tap * axis.dilation, axis.stride) for tap in range(axis.kernel))
        return not any(rest == 0 and 0 <= position < axis.output for position, rest in starts)


class Board(NamedTuple):
    """A map to be drawn: its axes, one to three; what its cells are called in `data`; what is marked in it.

    `marked` are places under the kernel or seen, as rows of bits in which the first column of padding is bit 0; what
    lies between them and is not marked is a hole. `chosen` is the place that is made, or looked from. `texts` stand in
    cells; `tints` are colours of single places. Above `most` cells it is drawn to scale, what is seen `enlarged`.
    """

    rulers: tuple[Ruler, ...]
    data: Data
    fill: str = "input"
    marked: Mapping[Place, int] = MappingProxyType({})
    chosen: Place | None = None
    texts: Mapping[Place, str] = MappingProxyType({})
    tints: Mapping[Place, str] = MappingProxyType({})
    most: int = MOST_CELLS
    enlarged: bool = True

    @property
    def cells(self) -> int:
        """How many cells it would be drawn in."""
        return prod(len(ruler.places) for ruler in self.rulers)

    @property
    def fits(self) -> bool:
        """True where each place can be a cell."""
        return self.cells <= self.most and max(len(ruler.places) for ruler in self.rulers) <= LONGEST_SIDE

    @property
    def shift(self) -> int:
        """The bit of column 0."""
        return max(0, self.rulers[-1].begin)

    @property
    def looked_at(self) -> Mapping[Place, int]:
        """What is marked, or else the place that is chosen."""
        if self.marked or self.chosen is None:
            return self.marked
        return {self.chosen[:-1]: 1 << self.chosen[-1] + self.shift}

    @property
    def box(self) -> tuple[range, ...]:
        """The box around what is marked; empty where nothing is."""
        found = box_of(self.marked)
        if not found:
            return ()
        return (*found[:-1], range(found[-1].start - self.shift, found[-1].stop - self.shift))

    def is_marked(self, place: Place) -> bool:
        """True for a place under the kernel, or seen."""
        return bool(self.marked.get(place[:-1], 0) >> place[-1] + self.shift & 1)

    @property
    def cell(self) -> float:
        """Pixels of a cell."""
        longest = max(len(ruler.places) for ruler in self.rulers[-2:])
        size = next((size for limit, size in CELLS if longest <= limit), CELLS[-1][1])
        return max(self.widest, 0.8 * size if len(self.rulers) == 3 else size if len(self.rulers) == 2 else LINE_CELL)

    @property
    def widest(self) -> float:
        """Pixels that a cell needs for what stands in it."""
        return max((text_width(text, 11) + 7 for text in self.texts.values()), default=0)


def drawn(board: Board, scale: float, cell: float = 0) -> Block:
    """A map: cells where it is small; else to scale, so many pixels for a place, with an inset.

    `cell` is the size of a cell, by default as its sides allow.
    """
    if board.fits:
        return celled(board, cell or board.cell)
    return sheet(board, scale)


def celled(board: Board, cell: float) -> Block:
    """A map in cells; the slices of a volume side by side."""
    if len(board.rulers) < 3:
        return plane(board, (), cell)
    slices = [captioned(plane(board, (z,), cell), f"z = {z}") for z in board.rulers[0].places]
    return wrapped_rows(slices, WIDEST, 14)


def plane(board: Board, leading: Place, cell: float) -> Block:
    """The cells of a row or of rows, with so many leading coordinates given."""
    rulers = board.rulers[len(leading) :]
    shapes: list[Shape] = []
    box = board.box
    for index in product(*(enumerate(ruler.places) for ruler in rulers)):
        row, column = (0, *(i for i, _ in index))[-2:]
        place = (*leading, *(at for _, at in index))
        shapes += cell_shapes(board, place, box, column * cell, row * cell, cell)
    counts = [1, *(len(ruler.places) for ruler in rulers)]
    return Block(tuple(shapes), counts[-1] * cell, counts[-2] * cell)


def cell_shapes(board: Board, place: Place, box: tuple[range, ...], x: float, y: float, cell: float) -> Iterable[Shape]:
    """One cell with what stands in it."""
    state = state_of(board, place, box)
    fill, opacity = filled(board, place, state)
    framed = state["marked"] or state["chosen"]
    line = 2.0 if framed and cell >= FRAMED else 1.0
    yield Rect(
        x + 1,
        y + 1,
        cell - 2,
        cell - 2,
        fill,
        "mark" if framed else "line",
        line,
        dash=3 if state["padding"] and not framed else 0,
        opacity=opacity,
        data={**board.data, **named_place(place), **state},
    )
    if state["dropped"] or state["skipped"]:
        yield Line([(x + 4, y + cell - 4), (x + cell - 4, y + 4)], "faint")
    if state["hole"]:
        yield Circle(x + cell / 2, y + cell / 2, cell / 9, "", "faint")
    if text := board.texts.get(place):
        size = min(12, cell * 0.45)
        colour = "paper" if state["chosen"] else "ink"
        yield Text(x + cell / 2, y + cell / 2 + size * 0.36, text, size, colour, "middle", data=text_data(board, place))


def text_data(board: Board, place: Place) -> Data:
    """What a number in a cell is called."""
    return {"text": "", **board.data, **named_place(place)} if board.data else NOTHING


def named_place(place: Place) -> dict[str, object]:
    """
    >>> named_place((1, 2))
    {'y': 1, 'x': 2}
    """
    return dict(zip("zyx"[-len(place) :], place, strict=True))


def state_of(board: Board, place: Place, box: tuple[range, ...]) -> dict[str, object]:
    """What a cell is, as its data says it."""
    kinds = {ruler.kind(at) for ruler, at in zip(board.rulers, place, strict=True)}
    pairs = list(zip(board.rulers, place, strict=True))
    dropped = any(ruler.is_dropped(at) for ruler, at in pairs)
    marked = board.is_marked(place)
    return {
        "padding": "padding" in kinds,
        "zero": "padding" not in kinds and "zero" in kinds,
        "dropped": dropped,
        "skipped": not dropped and any(ruler.is_skipped(at) for ruler, at in pairs),
        "marked": marked,
        "hole": not marked and bool(box) and all(at in side for at, side in zip(place, box, strict=True)),
        "chosen": place == board.chosen,
    }


def filled(board: Board, place: Place, state: Mapping[str, object]) -> tuple[str, float]:
    """The colour of a cell, and how dense it is."""
    if state["chosen"]:
        return "mark", 1
    if state["marked"]:
        return "kernel", 0.6 if state["padding"] or state["zero"] else 1
    if state["dropped"] or state["skipped"]:
        return "dropped", 1
    if state["hole"]:
        return "hole", 1
    if place in board.tints:
        return board.tints[place], 1
    return ("padding" if state["padding"] else "zero" if state["zero"] else board.fill), 1


# --- maps that are too large for cells


def sheet(board: Board, scale: float) -> Block:
    """A map to scale with what is seen in it; a volume from the front and from above; and an inset of cells."""
    rows = board.looked_at
    if len(board.rulers) == 3:
        front = flat(board, (1, 2), projected(rows, 0), scale)
        top = flat(board, (0, 2), projected(rows, 1), scale)
        views = below([captioned(front, "from the front"), captioned(top, "from above")], 8)
    else:
        views = flat(board, tuple(range(len(board.rulers))), rows, scale)
    inset = inset_of(board)
    return beside([views, captioned(celled(inset, min(inset.cell, LARGEST_CELL)), "enlarged")], 14) if inset else views


def projected(rows: Mapping[Place, int], axis: int) -> Rows:
    """Rows of a volume seen along its first (0) or second (1) axis."""
    found: Rows = {}
    for row, bits in rows.items():
        kept = (row[1 - axis],)
        found[kept] = found.get(kept, 0) | bits
    return found


def flat(board: Board, axes: tuple[int, ...], rows: Mapping[Place, int], scale: float) -> Block:
    """A rectangle for the padded map, one for the map, and rectangles for what is seen."""
    rulers = [board.rulers[axis] for axis in axes]
    across, down = rulers[-1], rulers[0] if len(rulers) > 1 else Ruler(max(1, round(LEAST_SHEET / scale)))
    width = max(LEAST_SHEET, len(across.places) * scale)
    height = max(LEAST_SHEET, len(down.places) * scale)
    shapes: list[Shape] = []
    if across.begin or across.end or down.begin or down.end:
        shapes.append(Rect(0, 0, width, height, "padding", "line", dash=3, data={**board.data, "sheet": "padding"}))
    inner = {**board.data, "sheet": "map", "rows": down.size if len(rulers) > 1 else 1, "columns": across.size}
    inner |= {"axes": ",".join("zyx"[-len(board.rulers) :][axis] for axis in axes)}
    shapes.append(
        Rect(
            across.begin * scale,
            down.begin * scale,
            across.size * scale,
            down.size * scale,
            board.fill,
            "line",
            data=inner,
        )
    )
    colour = "mark" if board.chosen is not None and not board.marked else "kernel"
    for y, x, tall, wide in rectangles(rows):
        place = x * scale, (y + max(0, down.begin)) * scale
        size = max(2.0, wide * scale), max(2.0, (tall if len(rulers) > 1 else down.size) * scale)
        shapes.append(Rect(*place, *size, colour, data={**board.data, "seen": f"{y},{x - board.shift},{tall},{wide}"}))
    return Block(tuple(shapes), width, height)


def rectangles(rows: Mapping[Place, int]) -> list[tuple[int, int, int, int]]:
    """Rows of bits as rectangles (y, x, height, width) that cover them once; a single row has y 0.

    >>> rectangles({(0,): 0b110, (1,): 0b110, (3,): 0b1})
    [(0, 1, 2, 2), (3, 0, 1, 1)]
    """
    found: list[tuple[int, int, int, int]] = []
    ordered = sorted(((*row, 0)[0], bits) for row, bits in rows.items())
    at = 0
    while at < len(ordered):
        y, bits = ordered[at]
        tall = 1
        while at + tall < len(ordered) and ordered[at + tall] == (y + tall, bits):
            tall += 1
        found += [(y, x, tall, wide) for x, wide in runs(bits)]
        at += tall
    return found


def runs(bits: int) -> list[tuple[int, int]]:
    """Bits as runs (first, length).

    >>> runs(0b11011)
    [(0, 2), (3, 2)]
    """
    found: list[tuple[int, int]] = []
    for at in positions(bits):
        if found and sum(found[-1]) == at:
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((at, 1))
    return found


def inset_of(board: Board) -> Board | None:
    """The part of a map around what is marked, where that is small enough for cells."""
    box = board.box or tuple(range(at, at + 1) for at in board.chosen or ())
    if not box or not board.enlarged:
        return None
    shown = tuple(
        ruler._replace(shown=range(max(side.start - 1, ruler.places.start), min(side.stop + 1, ruler.places.stop)))
        for ruler, side in zip(board.rulers, box, strict=True)
    )
    inset = board._replace(rulers=shown, most=MOST_CELLS, data={**board.data, "inset": True})
    return inset if inset.fits and max(len(ruler.places) for ruler in shown) <= LARGEST_INSET else None
