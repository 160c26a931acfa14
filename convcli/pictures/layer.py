"""The picture of one layer: its input with padding, its kernel, its output, and for a transposed one what lies between.

One output is looked at: what it reads is marked, and, where there are numbers, the sum that makes it is written out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, Transposed
from convcli.networks.explain import each_axis, size_lines
from convcli.networks.trace import Step
from convcli.numerals import counted
from convcli.pictures.cells import Board, Ruler, drawn
from convcli.pictures.drawing import Circle, Line, Rect, Shape, text_width
from convcli.pictures.layout import WIDEST, Block, below, beside, captioned, line_of, wrapped_rows
from convcli.pictures.maps import Map, Place, Written, inside

SHEET = 200  # pixels of the longer side of the larger map, where maps are drawn to scale


class Part(NamedTuple):
    """A map of the picture, with its title and lines below."""

    title: str
    board: Board
    notes: tuple[str, ...] = ()


# --- the maps


def layer_parts(source: Map, layer: Map, place: Place, written: Written | None) -> Iterator[Part]:
    """A layer at work: the kernel, the input, what lies between, and the output, looked at from one of its places."""
    step = layer.step
    assert step is not None
    axes = step.applied.axes or tuple(Geometry(size, 1) for size in source.sizes)
    kernel = kernel_part(step, axes, written)
    if kernel:
        yield kernel
    yield input_part(source, axes, place, written)
    if sliding := transposed(axes):
        yield stretched_part(sliding, place, written)
    texts = written.outputs if written else {}
    output = Board(tuple(map(Ruler, layer.sizes)), {"layer": 1}, "output", chosen=place, texts=texts)
    yield Part(f"output: {sizes_text(layer.sizes)}", output)
    if sliding:
        yield overlap_part(layer, sliding)


def transposed(axes: Sequence[Axis]) -> tuple[Transposed, ...]:
    """The axes of a transposed layer; none for another one."""
    return tuple(axis for axis in axes if isinstance(axis, Transposed))


def kernel_part(step: Step, axes: tuple[Axis, ...], written: Written | None) -> Part | None:
    """The taps of a kernel, or the window of a pooling, with the holes of its dilation."""
    sliding = [axis for axis in axes if isinstance(axis, (Geometry, Transposed))]
    if (
        len(sliding) < len(axes)
        or step.kind in ("pad", "crop", "gap", "fc", "flatten")
        or prod(map(taps, sliding)) == 0
    ):
        return None
    rulers = tuple(Ruler(axis.extent) for axis in sliding)
    marked = rows_at([range(0, axis.extent, axis.dilation) for axis in sliding])
    texts = {spread(place, sliding): text for place, text in (written.taps if written else {}).items()}
    name = "kernel" if step.applied.banks else "window"
    dilated = [axis for axis in sliding if axis.dilation > 1]
    notes = tuple(f"{sizes_text(tuple(map(taps, sliding)))} taps, {axis.dilation} apart" for axis in dilated[:1])
    return Part(
        f"{name}: {sizes_text(tuple(axis.extent for axis in sliding))}",
        Board(rulers, {"kernel": True}, "hole", marked, texts=texts),
        notes,
    )


def taps(axis: Geometry | Transposed) -> int:
    """The taps along an axis."""
    return axis.kernel


def spread(place: Place, axes: Sequence[Geometry | Transposed]) -> Place:
    """Where a tap stands in a dilated kernel."""
    return tuple(at * axis.dilation for at, axis in zip(place, axes, strict=True))


def input_part(source: Map, axes: tuple[Axis, ...], place: Place, written: Written | None) -> Part:
    """The input with its padding, and what one output reads."""
    rulers = tuple(map(Ruler.under, axes))
    begin = max(0, rulers[-1].begin)
    reads = [
        axis.reads(at) if isinstance(axis, Geometry) else inside(axis, at) for axis, at in zip(axes, place, strict=True)
    ]
    texts = written.image if written else {}
    board = Board(rulers, {"layer": 0}, "input", rows_at(reads, begin), texts=texts)
    return Part(f"input: {sizes_text(source.sizes)}", board, tuple(padding_notes(axes)))


def padding_notes(axes: Sequence[Axis]) -> Iterator[str]:
    """What is added around a map, and what is left over."""
    sliding = [axis for axis in axes if isinstance(axis, Geometry)]
    if any(axis.begin or axis.end for axis in sliding):
        padded = tuple(axis.size + axis.begin + axis.end for axis in sliding)
        yield f"padding {sides(sliding)}: {sizes_text(padded)}"
    if any(axis.dropped for axis in sliding):
        names = ("slice", "row", "column")[-len(sliding) :]
        left = (lasts(axis.dropped, name) for axis, name in zip(sliding, names, strict=True) if axis.dropped)
        yield f"never read: the last {' and '.join(left)}"


def lasts(count: int, name: str) -> str:
    """What is cut off at an end, behind "the last".

    >>> lasts(1, "row"), lasts(2, "row")
    ('row', '2 rows')
    """
    return name if count == 1 else counted(count, name)


def sides(axes: Sequence[Geometry]) -> str:
    """
    >>> sides([Geometry(5, 3, begin=1, end=1)] * 2), sides([Geometry(5, 3, begin=0, end=1), Geometry(5, 3)])
    ('1', '0:1 x 0')
    """
    each = [str(axis.begin) if axis.begin == axis.end else f"{axis.begin}:{axis.end}" for axis in axes]
    return each[0] if len(set(each)) == 1 else " x ".join(each)


def stretched_part(axes: tuple[Transposed, ...], place: Place, written: Written | None) -> Part:
    """The input of a transposed layer with zeros between and around, over which the turned kernel slides by 1.

    Source: Dumoulin and Visin, arXiv:1603.07285, sections 4.3 to 4.6.
    """
    wide = tuple(map(stretched, axes))
    rulers = tuple(Ruler.under(axis, old.stride) for axis, old in zip(wide, axes, strict=True))
    begin = max(0, rulers[-1].begin)
    reads = [axis.reads(at) for axis, at in zip(wide, place, strict=True)]
    pixels = written.image if written else {}
    texts = {tuple(i * axis.stride for i, axis in zip(at, axes, strict=True)): text for at, text in pixels.items()}
    board = Board(rulers, {"stretched": 0}, "input", rows_at(reads, begin), texts=texts)
    between = [str(axis.stride - 1) for axis in axes]
    zeros = between[0] if len(set(between)) == 1 else " x ".join(between)
    notes = (f"zeros: {zeros} between, {sides(wide)} around", "the kernel, turned by 180 degrees, moves by 1")
    return Part(f"the same, stretched: {sizes_text(tuple(axis.size for axis in wide))}", board, notes)


def stretched(axis: Transposed) -> Geometry:
    """The convolution of stride 1 that a transposed axis is, over its input with s - 1 zeros between.

    >>> wide = stretched(Transposed(3, 3, 2, begin=1, end=1))
    >>> wide, wide.output
    (Geometry(size=5, kernel=3, stride=1, dilation=1, begin=1, end=1), 5)
    """
    margin = axis.extent - 1
    size = axis.stride * (axis.size - 1) + 1
    return Geometry(size, axis.kernel, 1, axis.dilation, margin - axis.begin, margin - axis.end + axis.extra)


def overlap_part(layer: Map, axes: tuple[Transposed, ...]) -> Part:
    """How many inputs meet in each output."""
    each = [[len(inside(axis, at)) for at in range(axis.output)] for axis in axes]
    rulers = tuple(map(Ruler, layer.sizes))
    board = Board(rulers, {"overlap": True}, "panel")
    counts = sorted({prod(combined) for combined in product(*map(set, each))})
    uneven = (
        f"{counts[0]} to {counts[-1]} inputs meet: a checkerboard"
        if is_uneven(axes)
        else "inside, all outputs sum up equally many inputs"
    )
    if board.fits:
        found = {place: prod(each[i][at] for i, at in enumerate(place)) for place in layer.places}
        tints = {place: shade(count, counts) for place, count in found.items()}
        board = board._replace(texts={place: str(count) for place, count in found.items()}, tints=tints)
    return Part("inputs that meet in each output", board, (uneven,))


def is_uneven(axes: Sequence[Transposed]) -> bool:
    """True where outputs in the middle sum up different numbers of taps: the stride does not divide the kernel."""
    return any(len({len(axis.reads(at + axis.size)) for at in range(axis.stride)}) > 1 for axis in axes)


def shade(count: int, counts: Sequence[int]) -> str:
    """A colour for how many inputs meet."""
    if count == counts[-1]:
        return "kernel"
    return "panel" if count == counts[0] else "zero"


def rows_at(reads: Sequence[Sequence[int]], begin: int = 0) -> Mapping[Place, int]:
    """Places of a box as rows of bits, the first column of padding being bit 0."""
    bits = 0
    for at in reads[-1]:
        bits |= 1 << at + begin
    return dict.fromkeys(product(*reads[:-1]), bits)


def sizes_text(sizes: Sequence[int]) -> str:
    """
    >>> sizes_text((3, 5))
    '3x5'
    """
    return "x".join(map(str, sizes))


# --- the picture


def scale_of(parts: Sequence[Part]) -> float:
    """Pixels of a place where maps are drawn to scale: one for all."""
    sides_of = [
        len(ruler.places) for part in parts if "overlap" not in part.board.data for ruler in part.board.rulers[-2:]
    ]
    return SHEET / max(sides_of)


def layer_block(parts: Sequence[Part], largest: float) -> Block:
    """The maps beside each other, an arrow before the output; volumes, and rows of one line, below each other.

    Cells are at most so large, unless numbers in them need more.
    """
    rank = len(parts[0].board.rulers)
    cell = min((part.board.cell for part in parts if part.board.fits), default=0.0)
    cell = max(min(cell, largest), *(part.board.widest for part in parts))
    scale = scale_of(parts)
    blocks = []
    for part in parts:
        block = captioned(drawn(part.board, scale, cell), part.title, part.notes)
        is_output = part.board.data.get("layer") == 1 and rank == 2
        blocks.append(beside([arrow(), block]) if is_output else block)
    return wrapped_rows(blocks, WIDEST, 26) if rank == 2 else below(blocks, 14)


def arrow() -> Block:
    """An arrow to the right."""
    return Block((Line([(0, 8), (30, 8)], "faint", 2, arrow=True),), 30, 16)


def looked_at(layer: Map, place: Place) -> str:
    """What the place looked at reads, in words."""
    step = layer.step
    assert step is not None
    axes = step.applied.axes
    names = ("slice", "row", "column")[-len(place) :] if len(place) > 1 else ("place",)
    name = ", ".join(f"{axis} {at}" for axis, at in zip(names, place, strict=True))
    if not axes:
        return f"Output {name} (filled) reads the same place of the input."
    every = prod(len(axis.reads(at)) for axis, at in zip(axes, place, strict=True))
    real = prod(len(inside(axis, at)) for axis, at in zip(axes, place, strict=True))
    lost = every - real
    over = f", in each of {channels_read(step)} channels" if channels_read(step) > 1 else ""
    rest = f", and {lost} of padding" if lost and not transposed(axes) else ""
    return f"Output {name} (filled) reads {counted(real, 'pixel')} of the input (orange){over}{rest}."


def layer_formulas(step: Step) -> list[str]:
    """How the sizes come about, filled in."""
    return list(each_axis(step, size_lines))


def channels_read(step: Step) -> int:
    """How many channels one sum runs over."""
    return step.applied.banks[0].inputs // step.applied.banks[0].groups if step.applied.banks else 1


def groups_of(step: Step) -> int:
    """Into how many groups its channels are split."""
    return step.applied.banks[0].groups if step.applied.banks else 1


LEGEND = (
    ("pixel", "pixel of the input", Rect(0, 0, 14, 14, "input", "line")),
    ("padding", "padding", Rect(0, 0, 14, 14, "padding", "line", dash=3)),
    ("zero", "inserted zero", Rect(0, 0, 14, 14, "zero", "line")),
    ("marked", "read for the output looked at", Rect(0, 0, 14, 14, "kernel", "mark", 2)),
    ("hole", "hole between taps: not read", Rect(0, 0, 14, 14, "hole", "line")),
    ("unread", "never read", Rect(0, 0, 14, 14, "dropped", "line")),
    ("output", "output", Rect(0, 0, 14, 14, "output", "line")),
    ("chosen", "output looked at", Rect(0, 0, 14, 14, "mark", "line")),
)


def legend(parts: Sequence[Part]) -> Block:
    """What the colours of the maps mean."""
    present = Counter[str]()
    for part in parts:
        present.update(kinds_on(part.board))
    entries = [entry(swatch, kind, text) for kind, text, swatch in LEGEND if present[kind]]
    return wrapped_rows(entries, WIDEST, 18)


def entry(swatch: Rect, kind: str, text: str) -> Block:
    """A cell of a colour, and what it means."""
    shapes: list[Shape] = [swatch]
    if kind == "hole":
        shapes.append(Circle(7, 7, 2, "", "faint"))
    if kind == "unread":
        shapes.append(Line([(3, 11), (11, 3)], "faint"))
    return beside([Block(tuple(shapes), 14, 14), Block(line_of(text, 12).shapes, text_width(text, 12), 17)], 6)


def kinds_on(board: Board) -> Iterator[str]:
    """The kinds of cells on a map."""
    if "overlap" in board.data:
        return
    if board.chosen is not None:
        yield "chosen"
    if board.marked:
        yield "marked"
    if "kernel" not in board.data:
        yield "pixel" if board.fill == "input" else "output"
        if any(ruler.begin > 0 or ruler.end > 0 for ruler in board.rulers):
            yield "padding"
    if any(ruler.step > 1 and ruler.size > 1 for ruler in board.rulers):
        yield "zero"
    if any(len(side) > 1 for side in board.box) and prod(map(len, board.box)) > marks(board):
        yield "hole"
    if board.fits and any(r.is_dropped(at) or r.is_skipped(at) for r in board.rulers for at in r.places):
        yield "unread"


def marks(board: Board) -> int:
    """How many places are marked."""
    return sum(bits.bit_count() for bits in board.marked.values())
