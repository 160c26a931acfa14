"""The sum of products, tap by tap: compiled, or in NumPy.

Without the native extension kernel rows are banded matrix products, kernel columns shifted sums: for
each strip of T output rows one matrix product yields what every kernel column contributes; these rows are then added
up, each shifted by its column. No pixel is copied at stride 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from math import ceil, prod
from typing import TYPE_CHECKING, Any, ClassVar

from convcli import native
from convcli.geometry.problem import Cost, Problem
from convcli.methods import packed
from convcli.methods.contract import Method, Prepared, Reads
from convcli.methods.cutting import ALONE, Alone
from convcli.methods.packed import Packed
from convcli.methods.passes import band, band_rows, phases, strips
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

MOST_FILTERS = 4096
TOGETHER = 4
"""Rows, or filters that read the same, of a block of the compiled loops."""
FEW = 4
"""Filters to a group that are summed one by one; more fill a good part of a vector."""
MOST_ALONE = 256
"""Products of such a sum, which is made in one go: more might lose what is promised beside a large pixel."""
SMALL = 2**15
"""Outputs of a map up to which it is laid out: 3x3 on 112x112 takes 0.8 of the time, on 224x224 1.13 (AVX-512)."""
FASTER = 0.75
"""What a product of such filters takes of others' time, whose recipes are written anew for each channel;"""
DEALT = 2.0
"""and a pixel that a stride deals out, in stores of an output (AVX-512, 2026-12)."""


def rounding(problem: Problem) -> float:
    """The largest error seen in float32, relative to sum|k| max|x| (2026-11); none where sums are exact."""
    return 0.0 if problem.exact else native.rounding(problem.fan_in * prod(problem.kernel))


def refuse(problem: Problem) -> str | None:
    """Large banks are left to gemm, which does the same sums in one product."""
    filters = problem.channels_out * problem.fan_in
    return f"{filters} filters; gemm sums a bank in one product" if filters > MOST_FILTERS else None


def tile(problem: Problem) -> tuple[int, ...]:
    """A strip of rows that stays in the cache, as wide as the image."""
    *deep, rows, columns = problem.output
    if not compiled(problem):
        wide = min(columns, 4096)
        return (*(min(d, 4) for d in deep), min(rows, max(16, 2**18 // wide)), wide)
    slices = tuple(min(d, max(16, 2**21 // (rows * columns))) for d in deep)
    return (*slices, min(rows, max(16, 2**21 // (columns * prod(slices)))), columns)


def fixed(problem: Problem) -> bool:
    """Without compiled loops: BLAS adds up the last columns of a product in another order."""
    return not compiled(problem)


def grain(problem: Problem, axis: int = 0) -> int:
    """Blocks of rows that share what they read: wherever an image is cut between such, its results are the same."""
    return TOGETHER * (problem.dilation[axis] if axis == len(problem.axes) - 2 else 1)


def workspace(problem: Problem, tile: tuple[int, ...]) -> int:
    """Bytes: the pixels that a tile reads, as floats, and again where some are missing, and its results."""
    held = 2 if compiled(problem) else 4  # bands and shifted sums
    return held * problem.itemsize * (pixels_read(problem, tile) + results_made(problem, tile))


def pixels_read(problem: Problem, tile: tuple[int, ...]) -> int:
    """Pixels of a tile's window: each once where it is looked up, and a constant beside each axis."""
    reads = ((t - 1) * a.stride + a.extent for a, t in zip(problem.axes, tile, strict=True))
    most = (a.size + 1 for a in problem.axes)
    return problem.channels_in * prod(map(min, reads, most) if compiled(problem) else reads)


def results_made(problem: Problem, tile: tuple[int, ...]) -> int:
    """Results of a tile, those of the first step of a pair with them."""
    return (problem.between + problem.channels_out) * prod(tile)


def compiled(problem: Problem) -> bool:
    """Whether the native extension computes this problem."""
    return native.AVAILABLE if problem.itemsize == 4 else native.WIDE


def price(problem: Problem, machine: Machine) -> Cost:
    """What the compiled loops or NumPy take."""
    if alone(problem):
        return _price_alone(problem, machine)
    return _compiled_price(problem, machine) if compiled(problem) else _banded_price(problem, machine)


def alone(problem: Problem) -> bool:
    """Whether maps are laid out one by one: small ones, and those of a stride; others are read where they lie."""
    return can_alone(problem) and (problem.stride[-1] > 1 or prod(problem.output) <= SMALL)


def can_alone(problem: Problem) -> bool:
    """Whether it is few filters to a channel of many, in float32, with short sums."""
    few = problem.groups > 1 and problem.channels_out // problem.groups <= FEW
    short = problem.fan_in * prod(problem.kernel) <= MOST_ALONE
    return few and short and problem.plain and problem.itemsize == 4 and packed.fits(problem)


def _price_alone(problem: Problem, machine: Machine) -> Cost:
    """A multiply-add for each tap; pixels are laid out, strided ones dealt out besides."""
    pixels = problem.planes * problem.channels_in * prod(axis.size for axis in problem.axes)
    dealt = DEALT * pixels * machine.store if problem.stride[-1] > 1 else 0.0
    return Cost(problem.macs, seconds=FASTER * problem.macs * machine.tap + packed.moved(problem, machine) + dealt)


def _compiled_price(problem: Problem, machine: Machine) -> Cost:
    """A multiply-add for each tap and a store for each output; strides slow down all but filters four by four."""
    outputs = problem.planes * problem.channels_out * prod(problem.output)
    sharing, slower, more = problem.channels_out // problem.groups, 1.0, 0.0
    if problem.stride[-1] > 1:
        slower, more = 1 + sharing % TOGETHER / sharing, machine.gap / sharing
    seconds = slower * problem.macs * machine.tap + outputs * (machine.store + more)
    return Cost(problem.macs, seconds=seconds)


def _banded_price(problem: Problem, machine: Machine) -> Cost:
    """Products over bands, plus one addition for each kernel column and output."""
    *deep_out, rows, columns = problem.output
    *deep_taps, high, wide = problem.kernel
    planes = problem.planes * problem.channels_out * problem.fan_in * prod(deep_out) * prod(deep_taps)
    axis = problem.axes[-2]
    block = min(band_rows(high), max(1, rows))
    dilation = axis.dilation if axis.stride > 1 else 1
    span = axis.stride * (block - 1) + dilation * (high - 1) + 1
    count = planes * ceil(rows / block)
    strided = problem.stride[-1] > 1
    seconds = (
        count * (wide * block * span * columns * machine.band + wide * block * columns * machine.add)
        + count * (1 + wide) * machine.call
        + strided * planes * rows * problem.stride[-2] * columns * problem.stride[-1] * machine.copy
    )
    return Cost(macs=problem.macs, seconds=seconds)


def prepare(taps: Array, problem: Problem) -> Packed | Compiled | Banded:
    """The filters ready to be applied; `taps` are (O, I/g, *kernel)."""
    taps = taps.astype(problem.dtype)
    if alone(problem):
        return packed.each_alone(taps, problem)
    return Compiled(problem, taps) if compiled(problem) else _prepare_bands(taps, problem)


@record
class Compiled(Prepared):
    """Applies filters by the native extension."""

    blas: ClassVar = False
    shares: ClassVar = True
    looks_up: ClassVar = True
    problem: Problem
    taps: Array
    team: Alone = ALONE

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        self._sum(block, out)

    def look_up(self, block: Array, out: Array, reads: Reads) -> None:
        """The same from the pixels that `reads` looks up for the window."""
        self._sum(block, out, reads=reads)

    def with_team(self, team: Alone) -> Compiled:
        """The same by a team of threads."""
        return replace(self, team=team)

    def fused(self, source: Array, target: Array, **more: Any) -> native.Counts:
        """The same on samples as they lie in an image: channels and filters of [slices,] rows and columns."""
        return self._sum(source, target, **more)

    def bound(self, **told: Any) -> Callable[[Array, Array], native.Counts]:
        """The same, told of all but the samples."""
        if self.team.size > 1 or self.problem.itemsize == 8:
            return partial(self.fused, **told)
        filters = native.correlating(self._volumes(self.taps), **told | self._steps)
        return filters if self._deep else lambda source, target: filters(source[:, None], target[:, None])

    def _sum(self, channels: Array, results: Array, **more: Any) -> native.Counts:
        """All filters in one call."""
        correlate = native.correlate if self.problem.itemsize == 4 else native.correlate_wide
        more |= self._steps | {"team": native.team_of(self.team.size)}
        arrays = self._volumes(channels), self._volumes(self.taps), self._volumes(results)
        return native.total(self.team.together(lambda: correlate(*arrays, **more)))

    @property
    def _steps(self) -> dict[str, tuple[int, ...]]:
        """From output to output, and from tap to tap."""
        return {"stride": self.problem.stride, "dilation": self.problem.dilation}

    def _volumes(self, planes: Array) -> Array:
        """Channels, filters or taps (..., rows, columns) of a plane as those of a volume of one slice."""
        return planes if self._deep else planes[..., None, :, :]

    @property
    def _deep(self) -> bool:
        """Whether these are volumes already."""
        return len(self.problem.axes) == 3


def _prepare_bands(taps: Array, problem: Problem) -> Banded:
    """The bands of every filter, once."""
    channels = range(taps.shape[1])
    deep = list(product(*map(range, problem.kernel[:-2])))
    steps = tuple(
        tuple((c, d, part) for c in channels for d in deep for part in _columns(filter_[(c, *d)], problem))
        for filter_ in taps
    )
    return Banded(problem, steps)


@record
class Columns:
    """Kernel columns that read the same pixels: every `step`-th from the first on, shifted by `offsets`.

    `bands` is (columns, T, span), the banded matrices of the columns.
    """

    pixels: slice
    offsets: tuple[int, ...]
    bands: Array

    def sums(self, window: Array, rows: int, wide: int) -> Array:
        """What the columns add to a strip of `rows` outputs: one product for all, then a shifted sum."""
        import numpy as np

        bands = self.bands[:, :rows, : len(window)].reshape(-1, len(window))
        parts = np.matmul(bands, window)
        total: Array = parts[:rows, self.offsets[0] : self.offsets[0] + wide]
        for place, offset in enumerate(self.offsets[1:], 1):
            total += parts[place * rows : (place + 1) * rows, offset : offset + wide]
        return total


@record
class Banded(Prepared):
    """Applies prepared filters to a block; `steps` are, for each: input channel, place on the deep axes, columns."""

    problem: Problem
    steps: tuple[tuple[tuple[int, tuple[int, ...], Columns], ...], ...]

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        per_group = self.problem.channels_out // self.problem.groups
        for number, (steps, result) in enumerate(zip(self.steps, out, strict=True)):
            if not steps:
                result.fill(0)
            channels = block[number // per_group * self.problem.fan_in :]
            for turn, (channel, deep, part) in enumerate(steps):
                for plane, target in self._planes(channels[channel], result, deep):
                    self._add_columns(plane, part, target, fresh=turn == 0)

    def _planes(self, source: Array, target: Array, deep: Sequence[int]) -> Iterator[tuple[Array, Array]]:
        """The 2-D planes that one deep tap connects."""
        for place in product(*map(range, target.shape[:-2])):
            at = zip(place, deep, self.problem.axes, strict=False)
            yield source[tuple(p * axis.stride + t * axis.dilation for p, t, axis in at)], target[place]

    def _add_columns(self, plane: Array, part: Columns, target: Array, *, fresh: bool) -> None:
        """Add what some columns contribute to a plane of results, or begin it with that."""
        axis = self.problem.axes[-2]
        pixels = _contiguous(plane[:, part.pixels])
        for rows, dilation in phases(target.shape[0], axis.stride, axis.dilation):
            for start, stop in strips(target[rows].shape[0], part.bands.shape[1]):
                span = axis.stride * (stop - start - 1) + dilation * (axis.kernel - 1) + 1
                window = pixels[rows][start * axis.stride : start * axis.stride + span]
                total = part.sums(window, stop - start, target.shape[1])
                if fresh:
                    target[rows][start:stop] = total
                else:
                    target[rows][start:stop] += total


def _columns(taps: Array, problem: Problem) -> list[Columns]:
    """The columns (kh, kw) of a filter, grouped by the pixels they read; columns of zeros are left out."""
    rows, columns = problem.axes[-2], problem.axes[-1]
    left = rows.dilation if rows.stride > 1 else 1
    groups: dict[int, list[int]] = {}
    for column in range(columns.kernel):
        if taps[:, column].any():
            groups.setdefault(column * columns.dilation % columns.stride, []).append(column)
    return [
        Columns(
            slice(phase, None, columns.stride) if columns.stride > 1 else slice(None),
            tuple(column * columns.dilation // columns.stride for column in members),
            band(taps[:, members].T, band_rows(rows.kernel), rows.stride, left),
        )
        for phase, members in groups.items()
    ]


def _contiguous(pixels: Array) -> Array:
    """Rows that BLAS can read."""
    import numpy as np

    return pixels if pixels.strides[-1] == pixels.itemsize else np.ascontiguousarray(pixels)


METHOD = Method(refuse, price, rounding, tile, prepare, fixed, compiled, workspace=workspace, grain=grain)
