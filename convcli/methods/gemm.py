"""Filter banks as one matrix product: of the filters and the windows of all outputs.

Compiled loops multiply windows where the pixels lie (native/banks.c). Without them, and in float64, the windows of a
tile become columns (im2col), and BLAS multiplies.
Source: Chellapilla, Puri and Simard, "High performance convolutional neural networks for document processing", 2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from itertools import product
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from convcli import native
from convcli.geometry.problem import Cost, Problem
from convcli.methods import direct, packed
from convcli.methods.contract import Method, Prepared, windows
from convcli.methods.cutting import Workspace
from convcli.methods.packed import Packed, burst
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine

    Array = np.ndarray[Any, Any]

COLUMNS = 2**22
"""Values of the column matrix and of results at a time, 16 MiB of float32: they leave the near cache anyhow, and calls
cost more."""

LANES = 16
"""Filters that are summed at a time: those of AVX-512."""
SLOWER = 1.1
"""How much longer a product takes there than inside a large product of matrices (AVX2, 2026-12)."""


def grain(_problem: Problem, _axis: int = 0) -> int:
    """Rows are products of their own."""
    return 1


def rounding(problem: Problem) -> float:
    """The largest error seen in float32, relative to sum|k| max|x| (2026-11); none where sums are exact."""
    return 0.0 if problem.exact else 1e-6


def refuse(problem: Problem) -> str | None:
    """Columns of huge kernels would not fit a cache at any tile size."""
    depth = problem.fan_in * prod(problem.kernel)
    return f"a window has {depth} values; its columns would leave the cache" if depth > COLUMNS else None


def packs(problem: Problem) -> bool:
    """Whether the compiled loops do it: in float32, where what a row of outputs reads fits the memory."""
    return problem.itemsize == 4 and packed.fits(problem)


def compiled(problem: Problem) -> bool:
    """Pixels that are floats, and stay so, are read and written as they lie in an image."""
    return packs(problem) and problem.plain


def fixed(problem: Problem) -> bool:
    """Without compiled loops: BLAS adds up the last columns of a product in another order."""
    return not packs(problem)


def workspace(problem: Problem, tile: tuple[int, ...]) -> int:
    """Bytes: pixels and results of a tile, and again as they are laid out, or as columns."""
    return direct.workspace(problem, tile) if packs(problem) else windows(problem, tile)


def tile(problem: Problem) -> tuple[int, ...]:
    """Rows of outputs that stay in the cache, or that fill it with their columns."""
    if packs(problem):
        return direct.tile(problem)
    left = max(16, COLUMNS // (problem.fan_in * prod(problem.kernel) + problem.channels_out))
    sizes: list[int] = []
    for outputs in reversed(problem.output):
        sizes.append(max(1, min(outputs, left)))
        left = max(1, left // sizes[-1])
    return tuple(reversed(sizes))


def price(problem: Problem, machine: Machine) -> Cost:
    """One product; a copy of each pixel, or of each window."""
    if packs(problem):
        return _compiled_price(problem, machine)
    outputs = problem.planes * prod(problem.output)
    depth = problem.fan_in * prod(problem.kernel)
    copied = 0 if prod(problem.kernel) == 1 else outputs * depth * problem.groups
    tiles = problem.planes * prod(ceil(n / t) for n, t in zip(problem.output, tile(problem), strict=True))
    narrow = 1 + 3 / (problem.channels_out // problem.groups)  # a product of few rows waits for memory
    seconds = (
        problem.macs * machine.product * narrow
        + copied * machine.copy
        + tiles * problem.groups * (prod(problem.kernel) + 2) * machine.call
    )
    return Cost(macs=problem.macs, seconds=seconds)


def _compiled_price(problem: Problem, machine: Machine) -> Cost:
    """The products of whole vectors of filters, a copy of each pixel, and a store of each output."""
    filters = problem.channels_out // problem.groups
    done = problem.macs * (ceil(filters / LANES) * LANES) / filters
    return Cost(problem.macs, seconds=done * machine.product * SLOWER + packed.moved(problem, machine))


def prepare(taps: Array, problem: Problem) -> Gemm | Packed:
    """The bank as one matrix per group, or packed for the compiled loops; `taps` are (O, I/g, *kernel)."""
    if packs(problem):
        return Packed(problem, packed.packed(taps.astype(problem.dtype), problem.groups))
    filters = problem.channels_out // problem.groups
    return Gemm(problem, taps.reshape(problem.groups, filters, -1).astype(problem.dtype))


@record
class Gemm(Prepared):
    """Applies a prepared bank to a block."""

    problem: Problem
    bank: Array
    memory: Workspace = field(default_factory=Workspace)

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        import numpy as np

        groups, filters, depth = self.bank.shape
        positions = prod(out.shape[1:])
        results = out.reshape(groups, filters, positions)  # a view where the tile's rows follow each other
        for group in range(groups):
            channels = block[group * self.problem.fan_in : (group + 1) * self.problem.fan_in]
            with self.columns(channels, out.shape[1:]) as columns:
                values, step = columns.reshape(depth, positions), self._step(depth)
                np.matmul(self.bank[group, :, :step], values[:step], out=results[group])
                for start in range(step, depth, step):
                    part = slice(start, start + step)
                    results[group] += np.matmul(self.bank[group, :, part], values[part])
        if not np.may_share_memory(results, out):
            out[...] = results.reshape(out.shape)

    def _step(self, depth: int) -> int:
        """Products of a sum that BLAS adds up."""
        return burst(depth) if self.problem.local and self.problem.itemsize == 4 else depth

    @contextmanager
    def columns(self, channels: Array, tile: tuple[int, ...]) -> Iterator[Array]:
        """The windows of a tile: (I/g, *kernel, *tile); those of a single tap are the pixels themselves."""
        strides = self.problem.stride
        if prod(self.problem.kernel) == 1:
            read = (slice(0, (n - 1) * s + 1, s) for n, s in zip(tile, strides, strict=True))
            yield channels[:, *read]
            return
        with self.memory.borrow((len(channels), *self.problem.kernel, *tile), channels.dtype) as columns:
            if native.COPIES and len(strides) == 2 and channels.strides[-1] == channels.itemsize:
                (rows, wide), (down, across) = strides, self.problem.dilation
                native.unfold(channels, columns, (rows, wide), (down, across))
                yield columns
                return
            phases = dealt(channels, strides)
            for tap in product(*map(range, self.problem.kernel)):
                starts = [t * a.dilation for t, a in zip(tap, self.problem.axes, strict=True)]
                pixels = phases[tuple(start % s for start, s in zip(starts, strides, strict=True))]
                places = zip(starts, strides, tile, strict=True)
                cut = (slice(start // s, start // s + n) for start, s, n in places)
                seen: tuple[Any, ...] = (slice(None), *cut)
                place: tuple[Any, ...] = (slice(None), *tap)
                columns[place] = pixels[seen]
            yield columns


def dealt(channels: Array, strides: tuple[int, ...]) -> dict[tuple[int, ...], Array]:
    """The pixels that lie a stride apart side by side, by where they begin: many copies of them are then fast."""
    import numpy as np

    if set(strides) == {1}:
        return {(0,) * len(strides): channels}
    return {
        first: np.ascontiguousarray(channels[:, *(slice(f, None, s) for f, s in zip(first, strides, strict=True))])
        for first in product(*map(range, strides))
    }


METHOD = Method(
    refuse,
    price,
    rounding,
    tile,
    prepare,
    fixed,
    compiled=compiled,
    workspace=workspace,
    grain=grain,
    teams=packs,
)
