"""The fft method in compiled loops: two tiles at a time, one above the other, as the parts of one complex tile.

For single channels in float32 on two axes; lengths are powers of two. See convcli/native/fourier.c.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from math import ceil, log2, prod
from typing import TYPE_CHECKING, Any

from convcli import native
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Cost, Problem
from convcli.methods.contract import Prepared
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine
    from convcli.native.spectra import Spectrum

    Array = np.ndarray[Any, Any]

LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
MOST_VALUES = 2**17
"""Complex values of a pair of tiles, 1 MiB: larger ones leave the second-level cache."""
ABREAST = 16
"""Pairs of tiles in a strip: one call for all of them."""
PASSES = 4
"""What loading, turning over and storing a value takes, in levels of a transform."""


def able(problem: Problem) -> bool:
    """Whether the extension computes this problem."""
    fits = problem.itemsize == 4 and len(problem.axes) == 2 and problem.fan_in == 1
    return native.FOURIER and fits and all(2 * axis.extent <= LENGTHS[-1] for axis in problem.axes)


def tile(problem: Problem) -> tuple[int, ...]:
    """The outputs of a strip of pairs of tiles, which the loops take one after the other."""
    return pair(problem, ABREAST)


def pair(problem: Problem, abreast: int = 1) -> tuple[int, ...]:
    """The outputs of a pair of tiles, or of several side by side."""
    high, wide = _yield(lengths(problem.axes), problem.axes)
    most = 2 * high, abreast * wide
    return tuple(min(a.output, (n - 1) // a.stride + 1) for n, a in zip(most, problem.axes, strict=True))


def _yield(shape: tuple[int, int], axes: tuple[Geometry, ...]) -> tuple[int, int]:
    """What one transform leaves of a tile, at stride 1."""
    return shape[0] - axes[0].extent + 1, shape[1] - axes[1].extent + 1


def _pairs(shape: tuple[int, int], axes: tuple[Geometry, ...]) -> tuple[int, int]:
    """Pairs of tiles down and across."""
    high, wide = _yield(shape, axes)
    down, across = (a.stride * (a.output - 1) + 1 for a in axes)
    return ceil(down / (2 * high)), ceil(across / wide)


def price(problem: Problem, machine: Machine) -> Cost:
    """A transform there and back for every filter and pair of tiles."""
    shape = lengths(problem.axes)
    pairs = problem.planes * prod(_pairs(shape, problem.axes))
    filters, values = problem.channels_out, prod(shape)
    level = values * (sum(log2(n) for n in shape) + PASSES)
    seconds = filters * (pairs + 0.5) * (level * machine.fourier + machine.call)
    return Cost(macs=int(filters * pairs * 4 * level), seconds=seconds)


@cache
def lengths(axes: tuple[Geometry, ...]) -> tuple[int, int]:
    """The transform lengths that cost least in all.

    >>> lengths((Geometry(2048, 31, begin=15, end=15),) * 2)
    (128, 256)
    """
    down, across = ([n for n in LENGTHS if n >= axis.extent] for axis in axes)
    return min(product(down, across), key=lambda shape: _work(shape, axes))


def _work(shape: tuple[int, int], axes: tuple[Geometry, ...]) -> float:
    """Relative time of all pairs of tiles, in strips that two threads share; longer where one leaves the cache."""
    (rows, columns), (down, across) = shape, _pairs(shape, axes)
    shared = down + down % 2 if down > 2 else down
    far = 1.5 if rows * columns > MOST_VALUES else 1.0
    return shared * across * (rows * columns * (log2(rows) + log2(columns) + PASSES) * far + 20_000)


def prepare(taps: Array, problem: Problem) -> Fourier:
    """The spectra of the filters; `taps` are (O, 1, *kernel), spread by the dilation."""
    import numpy as np

    shape = lengths(problem.axes)
    planes = np.ascontiguousarray(taps[:, 0], np.float32)
    from convcli.native.spectra import Spectrum

    return Fourier(problem, shape, tuple(Spectrum(plane, shape) for plane in planes))


@record
class Fourier(Prepared):
    """Applies spectra to a block."""

    problem: Problem
    shape: tuple[int, int]
    spectra: tuple[Spectrum, ...]
    judged: tuple[tuple[Any, ...], ...] = ()

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        import numpy as np

        down, across = self.problem.axes
        per_group = self.problem.channels_out // self.problem.groups
        tile = _yield(self.shape, self.problem.axes)
        plain = (down.stride, across.stride) == (1, 1) and out.strides[2] == out.itemsize
        high, wide = (s * (n - 1) + 1 for n, s in zip(out.shape[1:], (down.stride, across.stride), strict=True))
        for number, spectrum in enumerate(self.spectra):
            target = out[number] if plain else np.empty((high, wide), np.float32)
            pixels, judged = block[number // per_group], self.judged[number] if self.judged else ()
            spectrum.correlate(pixels, target, tile, judged)
            if not plain:
                out[number] = target[:: down.stride, :: across.stride]
