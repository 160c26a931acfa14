"""The taps of a kernel as planes of numbers, and where each plane lies on a sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import ceil, prod
from typing import Any, NamedTuple

from convcli.errors import ConvError
from convcli.kernels import Kernel

MOST_TAPS = 1 << 24
"""Taps that are looked at: 16 million, a kernel of 4096x4096."""
MOST_PLANES, MOST_CHANNELS, MOST_SLICES = 1024, 32, 64
"""Planes on a sheet; channels of a filter; slices of a volume, of which every n-th is shown where it has more."""
MOST_SQUARES, SQUARES_OF_PAGE = 1 << 14, 361
"""Taps drawn one by one, in a file, and in a page of 150 kB."""
LARGEST, SMALLEST = 56.0, 0.05
"""Sides of a tap."""
MOST_LISTED = 1 << 15
"""Taps up to which they are taken without NumPy."""
MOST_SIDE = 1024
"""Pixels of an image of a plane, down and across; of more taps every n-th is shown."""
FRAMED = 12.0
"""The side from which taps have borders."""
MATRIX = 5
"""Channels from which filters stand below each other, a row for each, and not beside each other."""
WIDE, HIGH = 960.0, 640.0
"""What a sheet fills."""
LABEL = 15.0
"""Room above a plane for its name."""


class Plane(NamedTuple):
    """Rows of taps of a filter, a channel and a slice, each numbered from 0; None where a kernel has no such axis."""

    rows: Sequence[Sequence[float]]
    filter: int | None = None
    channel: int | None = None
    slice: int | None = None


class Choice(NamedTuple):
    """Which filters, channels and slices of a kernel are shown: all of them where there are not too many."""

    filters: range
    channels: range
    slices: range

    @property
    def planes(self) -> int:
        """How many planes that are."""
        return len(self.filters) * self.in_filter

    @property
    def in_filter(self) -> int:
        """Planes of one filter."""
        return len(self.channels) * len(self.slices)


def chosen(kernel: Kernel) -> Choice:
    """What a sheet shows of a kernel; ConvError (too-large) where its taps are too many to look at.

    >>> chosen(Kernel.from_values("k", (1, 3), [1, 2, 1]))
    Choice(filters=range(0, 1), channels=range(0, 1), slices=range(0, 1))
    """
    if prod(kernel.shape) > MOST_TAPS:
        size = "x".join(map(str, kernel.shape))
        raise ConvError(f"a kernel of {size} taps is too large for a picture, which shows {MOST_TAPS:,}", "too-large")
    depth = kernel.spatial[0] if kernel.ndim == 3 else 1
    slices = range(0, depth, ceil(depth / MOST_SLICES))
    channels = range(min(kernel.inputs, MOST_CHANNELS, max(1, MOST_PLANES // len(slices))))
    filters = range(min(kernel.outputs, max(1, MOST_PLANES // (len(slices) * len(channels)))))
    return Choice(filters, channels, slices)


def planes_of(kernel: Kernel, choice: Choice) -> Iterator[Plane]:
    """The chosen planes, a filter's after the other, its channels in order, the slices of each in order."""
    *_, high, wide = kernel.shape
    depth = kernel.spatial[0] if kernel.ndim == 3 else 1
    taps: Any = kernel.values() if prod(kernel.shape) <= MOST_LISTED else kernel.array().reshape(-1)
    for number, channel, piece in product(*choice):
        first = ((number * kernel.inputs + channel) * depth + piece) * high * wide
        rows = tuple(taps[first + y * wide : first + (y + 1) * wide] for y in range(high))
        of, over = (number, channel) if kernel.bank else (None, None)
        yield Plane(rows, of, over, piece if kernel.ndim == 3 else None)


class Sheet(NamedTuple):
    """Planes in a grid. A tap is `cell` wide, a plane `wide` taps and `high`; a filter's planes stand `across` side by
    side in `down` rows, and filters `beside` each other in `below` rows.
    """

    cell: float
    high: int
    wide: int
    across: int
    down: int
    beside: int
    below: int
    label: float

    @property
    def plane(self) -> tuple[float, float]:
        """The width and height of a plane."""
        return self.wide * self.cell, self.high * self.cell

    @property
    def gap(self) -> float:
        """Between planes."""
        return gap(self.across * self.beside)

    @property
    def strip(self) -> tuple[float, float]:
        """The width and height of a filter, with the room behind it."""
        wide, high = self.plane
        return self.across * (wide + self.gap) + self.gap, self.down * (high + self.gap + self.label)

    @property
    def size(self) -> tuple[float, float]:
        """The width and height of the sheet."""
        wide, high = self.strip
        return self.beside * wide - 2 * self.gap, self.below * high - self.gap

    def place(self, number: int) -> tuple[float, float]:
        """The upper left corner of the taps of a plane, counted from 0 through all filters."""
        strip, plane = divmod(number, self.across * self.down)
        (wide, high), (x, y) = self.plane, self.strip
        across, down = plane % self.across, plane // self.across
        left = strip % self.beside * x + across * (wide + self.gap)
        return left, strip // self.beside * y + down * (high + self.gap + self.label) + self.label


def gap(columns: int) -> float:
    """Between planes of which so many stand side by side.

    >>> gap(1), gap(32)
    (14.0, 3.0)
    """
    return max(3.0, 15.0 - columns)


def sheet_of(kernel: Kernel, choice: Choice) -> Sheet:
    """The arrangement of a kernel's planes; channels of a filter stay in one row, slices may wrap.

    >>> sheet = sheet_of(Kernel.from_values("k", (3, 3), range(9)), Choice(range(1), range(1), range(1)))
    >>> sheet.cell, sheet.size
    (56.0, (168.0, 168.0))
    """
    *_, high, wide = kernel.shape
    planes, filters = choice.in_filter, len(choice.filters)
    if is_matrix(choice):
        return fitted(Sheet(0, high, wide, planes, 1, 1, filters, 0))
    label = LABEL if choice.planes > 1 else 0.0
    widths = range(1, planes + 1) if len(choice.slices) > 1 else (planes,)
    return arranged((high, wide), filters, planes, widths, label)


def is_matrix(choice: Choice) -> bool:
    """Whether rows of the sheet are filters, and columns channels.

    >>> is_matrix(Choice(range(64), range(3), range(1))), is_matrix(Choice(range(64), range(32), range(1)))
    (False, True)
    """
    return len(choice.channels) >= MATRIX and len(choice.slices) == 1


def arranged(size: tuple[int, int], filters: int, planes: int, widths: Sequence[int], label: float = 0) -> Sheet:
    """The arrangement of planes whose taps are largest; `widths` are how many of a filter may stand side by side."""
    made = [
        Sheet(0, *size, across, ceil(planes / across), beside, ceil(filters / beside), label)
        for across in widths
        for beside in (range(1, filters + 1) if planes == across else [1])
    ]
    return max((fitted(sheet) for sheet in made), key=lambda sheet: (sheet.cell, -prod(sheet.size)))


def fitted(sheet: Sheet) -> Sheet:
    """The sheet with the largest taps that fit."""
    wide, high = sheet.size
    across = (WIDE - wide) / (sheet.wide * sheet.across * sheet.beside)
    down = (HIGH - high) / (sheet.high * sheet.down * sheet.below)
    cell = min(LARGEST, max(SMALLEST, min(across, down)))
    return sheet._replace(cell=float(int(cell)) if cell >= 4 else cell)


class Shown(NamedTuple):
    """What is shown of a kernel: its planes, where they lie, and the smallest and the largest of their taps.

    On a page (`is_paged`) a script says what a tap is, so that taps say nothing themselves.
    """

    kernel: Kernel
    choice: Choice
    planes: tuple[Plane, ...]
    sheet: Sheet
    low: float
    high: float
    is_paged: bool = False

    @property
    def is_squared(self) -> bool:
        """Whether taps are drawn one by one: planes of more are images, a pixel for each tap."""
        return self.taps <= (SQUARES_OF_PAGE if self.is_paged else MOST_SQUARES)

    @property
    def most(self) -> float:
        """The end of the scale of colours, which is the same above 0 and below."""
        return max(-self.low, self.high)

    @property
    def taps(self) -> int:
        """How many taps are shown."""
        return len(self.planes) * self.sheet.high * self.sheet.wide

    @property
    def thinned(self) -> int:
        """One of how many rows and columns an image of a plane shows."""
        return ceil(max(self.sheet.high, self.sheet.wide) / MOST_SIDE)

    @property
    def is_framed(self) -> bool:
        """Whether taps are large enough for a frame around the one that sits on the pixel."""
        return self.sheet.cell >= FRAMED


def shown(kernel: Kernel, *, is_paged: bool = False) -> Shown:
    """What a sheet shows of a kernel.

    >>> shown(Kernel.from_values("k", (1, 3), [1, -2, 1])).most
    2.0
    """
    choice = chosen(kernel)
    planes = tuple(planes_of(kernel, choice))
    low, high = extremes([row for plane in planes for row in plane.rows])
    return Shown(kernel, choice, planes, sheet_of(kernel, choice), low, high, is_paged)


def extremes(rows: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The smallest and the largest of numbers in rows.

    >>> extremes([[1.0, 2.0], [-3.0, 0.0]])
    (-3.0, 2.0)
    """
    if len(rows) * len(rows[0]) <= MOST_LISTED:
        return min(map(min, rows)), max(map(max, rows))
    import numpy as np

    return min(float(np.min(row)) for row in rows), max(float(np.max(row)) for row in rows)
