"""A transposed convolution as ordinary ones: which taps and inputs make which outputs, so that no zero is inserted.

Outputs that are a stride apart, a phase, meet the same taps: every s-th one (where the dilation has no part in s). An
output counts as u = s m + r - p0: the r-th of cell m. Phases that read the same inputs in their cell are filters of one
bank, whose results are put side by side ("sub-pixel convolution": Shi et al., arXiv:1609.07009).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from math import gcd

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed
from convcli.records import record

ENDS = 4
"""Bounds of phases that differ in one cell at each end of an axis at most."""


@record
class Phase:
    """The outputs `residue` of cells m in [first, last): `taps` in the order of the inputs, from m + `lowest` on."""

    residue: int
    taps: tuple[int, ...]
    lowest: int
    first: int
    last: int


@record
class Piece:
    """Cells [first, last) of an axis, and phases that read the same inputs there; some may lack an output at an end."""

    axis: Transposed
    phases: tuple[Phase, ...]
    first: int
    last: int

    @property
    def geometry(self) -> Geometry:
        """The ordinary convolution that computes them; its padding is negative where it leaves inputs out.

        >>> [piece.geometry for piece in pieces(Transposed(8, 4, 2))]
        [Geometry(size=8, kernel=2, stride=1, dilation=1, begin=1, end=1)]
        """
        phase, axis = self.phases[0], self.axis
        taps, dilation = max(1, len(phase.taps)), axis.dilation // gcd(axis.stride, axis.dilation)
        begin = -(self.first + phase.lowest)
        end = self.last - self.first + dilation * (taps - 1) - axis.size - begin
        return Geometry(axis.size, taps, 1, dilation, begin, end)

    def middle(self, phase: Phase) -> int:
        """Where in a cell's window of inputs the one is whose kernel has its middle nearest to the output of a phase.

        >>> [piece.middle(phase) for piece in pieces(Transposed(8, 4, 2), whole=True) for phase in piece.phases]
        [0, 1]
        """
        axis = self.axis
        nearest = (2 * phase.residue - (axis.extent - 1) + axis.stride) // (2 * axis.stride)
        spread = axis.dilation // gcd(axis.stride, axis.dilation) * (max(1, len(phase.taps)) - 1)
        return min(max(nearest - phase.lowest, 0), spread)

    def cells(self, outputs: tuple[int, int]) -> tuple[int, int]:
        """The cells, counted from the first of the piece, that have any of the outputs [start, stop).

        >>> [piece.cells((3, 6)) for piece in pieces(Transposed(8, 4, 2, begin=1, end=1), whole=True)]
        [(2, 4)]
        """
        start, stop = ((output + self.axis.begin) // self.axis.stride for output in (outputs[0], outputs[1] - 1))
        return max(start, self.first) - self.first, min(stop + 1, self.last) - self.first

    def places(
        self, phase: Phase, first: int, last: int, outputs: tuple[int, int] | None = None
    ) -> tuple[slice, slice]:
        """Where the outputs of a phase lie for the cells [first, last), counted from the first of the piece.

        Also which of these cells have them, counted from `first`. Of the outputs there may be [start, stop) only,
        in which places are counted from `start`.
        """
        low, high = outputs or (0, self.axis.output)
        offset, stride = phase.residue - self.axis.begin, self.axis.stride
        begin = max(first, -((offset - low) // stride) - self.first)
        count = max(0, min(last, -((offset - high) // stride) - self.first) - begin)
        start = stride * (self.first + begin) + offset - low
        stop = max(start, start + stride * (count - 1) + 1)
        return slice(start, stop, stride), slice(begin - first, begin - first + count)


def phases(axis: Transposed) -> Iterator[Phase]:
    """The phases of an axis that have outputs.

    >>> [(phase.taps, phase.lowest) for phase in phases(Transposed(3, 3, 2, begin=1, end=1, extra=1))]
    [((2, 0), -1), ((1,), 0)]
    """
    step = axis.stride // gcd(axis.stride, axis.dilation)  # one in so many taps falls on an input
    for residue in range(axis.stride):
        own = (t for t in range(min(step, axis.kernel)) if (residue - t * axis.dilation) % axis.stride == 0)
        taps = tuple(range(next(own, axis.kernel), axis.kernel, step))[::-1]
        lowest = (residue - taps[0] * axis.dilation) // axis.stride if taps else 0
        first = -((residue - axis.begin) // axis.stride)
        last = (axis.output - 1 - residue + axis.begin) // axis.stride + 1
        if first < last:
            yield Phase(residue, taps, lowest, first, last)


def pieces(axis: Transposed, *, whole: bool = False) -> Iterator[Piece]:
    """An axis in pieces: phases that read alike go together, as far as all of them have an output in a cell.

    `whole` keeps them together where some have none: a few results too many, but no pieces for the ends alone.

    >>> [(len(piece.phases), piece.first, piece.last) for piece in pieces(Transposed(8, 4, 2, begin=1, end=1))]
    [(1, 0, 1), (2, 1, 8), (1, 8, 9)]
    >>> [(piece.first, piece.last) for piece in pieces(Transposed(8, 4, 2, begin=1, end=1), whole=True)]
    [(0, 9)]
    """

    def alike(phase: Phase) -> tuple[int, int]:
        return len(phase.taps), phase.lowest

    for _, group in groupby(sorted(phases(axis), key=alike), alike):
        members = list(group)
        bounds = sorted({bound for phase in members for bound in (phase.first, phase.last)})
        if whole and len(bounds) <= ENDS:
            yield Piece(axis, tuple(members), bounds[0], bounds[-1])
            continue
        for first, last in pairwise(bounds):
            if there := tuple(phase for phase in members if phase.first <= first and last <= phase.last):
                yield Piece(axis, there, first, last)
