"""Parts of a drawing put beside and below each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from convcli.pictures.drawing import Group, Shape, Text, paragraph, text_width

WIDEST = 980  # pixels of text, and of rows
LINE = 1.4  # sizes of letters from one line of text to the next


class Block(NamedTuple):
    """Shapes within a width and a height, from (0, 0) on."""

    shapes: tuple[Shape, ...]
    width: float
    height: float


def named(name: str, shapes: Sequence[Shape], width: float, height: float) -> Block:
    """Shapes that screen readers call by a name."""
    return Block((Group(tuple(shapes), name=name),), width, height)


def beside(blocks: Sequence[Block], gap: float = 24, *, at_top: bool = False) -> Block:
    """Blocks from left to right, their middles on one line, or their upper sides."""
    height = max((block.height for block in blocks), default=0)
    x, groups = 0.0, []
    for block in blocks:
        groups.append(Group(block.shapes, x, 0 if at_top else (height - block.height) / 2))
        x += block.width + gap
    return Block(tuple(groups), max(0.0, x - gap), height)


def below(blocks: Sequence[Block], gap: float = 16) -> Block:
    """Blocks from top to bottom, their left sides on one line."""
    y, groups = 0.0, []
    for block in blocks:
        groups.append(Group(block.shapes, 0, y))
        y += block.height + gap
    return Block(tuple(groups), max((block.width for block in blocks), default=0), max(0.0, y - gap))


def wrapped_rows(blocks: Sequence[Block], width: float, gap: float = 24) -> Block:
    """Blocks from left to right, in as many rows as they need."""
    rows: list[list[Block]] = [[]]
    for block in blocks:
        if rows[-1] and sum(each.width + gap for each in rows[-1]) + block.width > width:
            rows.append([])
        rows[-1].append(block)
    return below([beside(row, gap) for row in rows], gap)


def words(text: str, width: float, size: float = 13, fill: str = "ink") -> Block:
    """A paragraph."""
    lines = paragraph(0, size, text, width, size, fill)
    return Block(lines, max((text_width(line.text, size) for line in lines), default=0), size * LINE * len(lines))


def line_of(text: str, size: float = 13, fill: str = "ink", *, bold: bool = False) -> Block:
    """One line of text."""
    return Block((Text(0, size, text, size, fill, bold=bold),), text_width(text, size, bold=bold), size * LINE)


def captioned(block: Block, title: str, lines: Sequence[str] = ()) -> Block:
    """A block with its title above and smaller lines below."""
    notes = [line_of(line, 11, "faint") for line in lines]
    return below(
        [line_of(title, 13, bold=True), block, below(notes, 1)] if notes else [line_of(title, bold=True), block], 6
    )
