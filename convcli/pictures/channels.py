"""Channels: planes of the input, filters as blocks over them, planes of the output; a row for each bank of a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from convcli.networks.banks import Bank
from convcli.numerals import counted
from convcli.pictures.colours import SERIES
from convcli.pictures.drawing import Polygon, Rect, Shape
from convcli.pictures.layout import Block, below, beside, captioned, line_of, wrapped_rows

MOST_PLANES, MOST_FILTERS = 10, 10
SIDE = 56  # pixels of a plane
SHIFT = (9, -7)  # from one plane to the next
CELL, MOST_TAPS = 11, 5  # pixels of a tap; taps of a side that are drawn
FILTERS_WIDE = 420
DEEPEST = 6  # channels that a block grows with


def banks_block(banks: Sequence[Bank]) -> Iterator[Block]:
    """A row for each bank of filters, where there is more than one channel; two are depthwise and pointwise."""
    spatial = [bank for bank in banks if bank.axes]
    if not spatial or all(bank.inputs == bank.outputs == 1 for bank in banks):
        return
    names = ("depthwise: ", "pointwise: ") if len(banks) == 2 else ("",)
    yield below(
        [line_of("Channels", 14, bold=True), *(row(bank, name) for bank, name in zip(banks, names, strict=True))]
    )


def row(bank: Bank, name: str) -> Block:
    """Planes, filters and planes of one bank."""
    kernel = "x".join(str(axis.kernel) for axis in bank.axes)
    depth, groups = bank.inputs // bank.groups, bank.groups
    if depth == 1 and groups > 1:
        over = "each on one channel"
    else:
        over = f"over {counted(depth, 'channel')}"
        over += "" if groups == 1 else f", in {groups} groups"
    title = f"{name}{counted(bank.outputs, 'filter')} of {kernel}, {over}"
    weights = f"{bank.outputs} * {depth} * {prod(axis.kernel for axis in bank.axes)} = {bank.weights:,} weights"
    inputs = captioned(
        planes(bank.inputs, [input_colour(bank, i) for i in range(bank.inputs)], "in"), f"{bank.inputs} in"
    )
    outputs = captioned(
        planes(bank.outputs, [colour(bank, i) for i in range(bank.outputs)], "out"), f"{bank.outputs} out"
    )
    blocks = beside([inputs, filters(bank), outputs], 30)
    return below(
        [
            line_of(title, 12),
            blocks,
            line_of(f"{weights}; filters and the channels they make have one colour", 11, "faint"),
        ],
        4,
    )


def colour(bank: Bank, output: int) -> str:
    """The colour of a filter and of the channel that it makes; of filters of a group where there are groups."""
    place = output // (bank.outputs // bank.groups) if 1 < bank.groups < bank.outputs else output
    return SERIES[place % len(SERIES)]


def input_colour(bank: Bank, channel: int) -> str:
    """The colour of an input channel: that of its group."""
    if bank.groups == 1:
        return "input"
    return SERIES[channel // (bank.inputs // bank.groups) % len(SERIES)]


def planes(count: int, colours: Sequence[str], name: str) -> Block:
    """Channels as planes behind each other, the first one in front."""
    shown = min(count, MOST_PLANES)
    shapes: list[Shape] = []
    rise = -SHIFT[1] * (shown - 1)
    for i in reversed(range(shown)):
        x, y = i * SHIFT[0], rise + i * SHIFT[1]
        shapes.append(Rect(x, y, SIDE, SIDE, colours[i], "ink", opacity=0.85, data={"plane": f"{name} {i}"}))
    block = Block(tuple(shapes), SIDE + SHIFT[0] * (shown - 1), SIDE + rise)
    left = count - shown
    return below([block, line_of(f"and {left:,} more", 11, "faint")], 3) if left else block


def filters(bank: Bank) -> Block:
    """Filters as blocks: their front is the kernel, their depth the channels that they sum over."""
    shown = min(bank.outputs, MOST_FILTERS)
    blocks = [filter_block(bank, i) for i in range(shown)]
    block = wrapped_rows(blocks, FILTERS_WIDE, 12)
    left = bank.outputs - shown
    block = below([block, line_of(f"and {left:,} more", 11, "faint")], 3) if left else block
    return captioned(block, counted(bank.outputs, "filter"))


def filter_block(bank: Bank, output: int) -> Block:
    """One filter in oblique projection."""
    sizes = [min(axis.kernel, MOST_TAPS) for axis in bank.axes]
    rows, columns = (1, *sizes)[-2:]
    depth = min(bank.inputs // bank.groups, DEEPEST)
    across, up = 4.0 * depth, 3.0 * depth
    width, height = columns * CELL, rows * CELL
    fill = colour(bank, output)
    top = [(0, up), (across, 0), (width + across, 0), (width, up)]
    side = [(width, up), (width + across, 0), (width + across, height), (width, height + up)]
    shapes: list[Shape] = [Polygon(top, fill, "ink", opacity=0.6), Polygon(side, fill, "ink", opacity=0.4)]
    for y in range(rows):
        for x in range(columns):
            data = {"filter": output} if x == y == 0 else {}
            shapes.append(Rect(x * CELL, up + y * CELL, CELL, CELL, fill, "ink", data=data))
    return Block(tuple(shapes), width + across, height + up)
