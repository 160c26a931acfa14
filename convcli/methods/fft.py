"""Large kernels through the frequency domain, in tiles that fit the cache: overlap-save.

Each tile with its halo is transformed, multiplied by the kernel's conjugate spectrum (which makes it correlation), and
transformed back; the part that the circular wrap did not reach is kept: in compiled loops where they can, else by
scipy. Source: Oppenheim and Schafer, section 8.7.
"""

from __future__ import annotations

import sys
from functools import cache
from itertools import product
from math import ceil, inf, log2, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Cost, Problem
from convcli.methods import fourier
from convcli.methods.contract import Method, Prepared, always
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine
    from convcli.methods.promise import Kept

    Array = np.ndarray[Any, Any]

LENGTHS = tuple(
    sorted(2**a * 3**b * 5**c for a, b, c in product(range(13), range(3), range(2)) if 2**a * 3**b * 5**c <= 8192)
)
"""Lengths that transform fast: few factors, all small."""
MOST_VALUES = {1: 2**16, 2: 2**17, 3: 96**3}
"""Values of a tile by number of axes: beyond, it falls out of the second-level cache."""
CALLS = 4000
"""What the calls for a tile cost, in values that one level of a transform passes."""
MOST_SPECTRA = 2**26
"""Complex values that the kernel's spectra may take: 512 MiB of complex64."""


def rounding(_problem: Problem) -> float:
    """The largest error seen in float32, relative to sum|k| max|x| (2026-11)."""
    return 1e-6


def refuse(problem: Problem) -> str | None:
    """Only spectra that do not fit the memory are refused."""
    if problem.local and problem.fan_in > 1:
        return "it mixes pixels, whose rounding would show where few of them are known"
    if fourier.able(problem):
        return None
    values = problem.channels_out * problem.fan_in * prod(lengths(problem.axes))
    return f"the spectra of the bank need {values} values" if values > MOST_SPECTRA else None


def tile(problem: Problem) -> tuple[int, ...]:
    """The outputs that one transform yields."""
    if fourier.able(problem):
        return fourier.tile(problem)
    sizes = zip(lengths(problem.axes), problem.axes, strict=True)
    return tuple(min(a.output, (n - a.extent) // a.stride + 1) for n, a in sizes)


def price(problem: Problem, machine: Machine) -> Cost:
    """Transforms of every channel there and back, and the products between them."""
    if fourier.able(problem):
        return fourier.price(problem, machine)
    shape = lengths(problem.axes)
    tiles = problem.planes * prod(ceil(n / t) for n, t in zip(problem.output, tile(problem), strict=True))
    values = prod(shape)
    transforms = tiles * (problem.channels_in + problem.channels_out)
    filters = problem.channels_out * problem.fan_in
    level = values * sum(log2(n) for n in shape) * machine.transform
    seconds = (transforms + filters) * (level + 20 * machine.call) + tiles * filters * values / 2 * machine.spectrum
    macs = int(transforms * 1.25 * values * sum(log2(n) for n in shape) / 2 + tiles * filters * 2 * values)
    return Cost(macs=macs, seconds=seconds)


def startup(problem: Problem, machine: Machine) -> float:
    """Seconds that the first transform of a process costs."""
    return 0.0 if fourier.able(problem) else machine.import_fft


def begun() -> bool:
    """Whether this process has scipy's transforms."""
    return "scipy.fft" in sys.modules


class Length(NamedTuple):
    """A length of transforms along an axis: how many tiles there then are, and log2 of the length, and 2 for moving."""

    values: int
    tiles: int
    levels: float


@cache
def lengths(axes: tuple[Geometry, ...]) -> tuple[int, ...]:
    """The transform length per axis that costs least per output: transforms of all tiles, and calls for each of them.

    Transforms take twice as long where a tile leaves the cache. A volume has thousands of combinations: those of the
    last axis are looked at only where the others leave a chance.

    >>> lengths((Geometry(40, 31, 1, 1, 15, 15),) * 2)
    (72, 72)
    """
    *outer, last = map(_candidates, axes)
    most, best = MOST_VALUES.get(len(axes), 2**20), inf
    found: tuple[int, ...] = ()
    least, fewest = min(each.values * each.tiles for each in last), min(each.levels for each in last)
    for others in product(*outer):
        values, tiles = prod(each.values for each in others), prod(each.tiles for each in others)
        levels = sum(each.levels for each in others)
        if tiles * values * least * (levels + fewest) >= best:
            continue
        for each in last:
            size = values * each.values
            cost = tiles * each.tiles * (size * (levels + each.levels) * (2 if size > most else 1) + CALLS)
            if cost < best:
                best, found = cost, (*(other.values for other in others), each.values)
    return found


def _candidates(axis: Geometry) -> list[Length]:
    """Lengths worth a try: from just above the kernel to the whole axis at once, one for each number of tiles."""
    whole = axis.stride * (axis.output - 1) + axis.extent
    enough = next((n for n in LENGTHS if n >= whole), whole)
    least = min(enough, next((n for n in LENGTHS if n >= axis.extent), axis.extent))
    lengths = [n for n in LENGTHS if least <= n <= enough and (n <= 1024 or n == least)] or [enough]
    shortest = {ceil(axis.output / ((n - axis.extent) // axis.stride + 1)): n for n in reversed(lengths)}
    return [Length(n, tiles, log2(n) + 2) for tiles, n in shortest.items()]


def prepare(taps: Array, problem: Problem) -> Fft | fourier.Fourier | Kept:
    """The conjugate spectra of the filters (O, I/g, *lengths), once."""
    import numpy as np

    spread = dilated(taps.astype(problem.dtype), problem.dilation)
    made: Fft | fourier.Fourier
    if fourier.able(problem):
        made = fourier.prepare(spread, problem)
        gains, yielded = [spectrum.gain() for spectrum in made.spectra], fourier.pair(problem)
    else:
        from scipy import fft

        shape = lengths(problem.axes)
        made = Fft(problem, shape, fft.rfftn(spread, shape, axes=_last(shape)).conj())
        gains, yielded = [float(np.abs(spectrum).max()) for spectrum in made.spectra], tile(problem)
    if not problem.local:
        return made
    from convcli.methods.promise import COMPILED, SCIPY, Kept, of_transform

    values, rounding = prod(made.shape), COMPILED if isinstance(made, fourier.Fourier) else SCIPY
    each = zip(taps, spread, gains, strict=True)
    promises = tuple(
        of_transform(problem, one[0], wide[0], gain, values, yielded, rounding) for one, wide, gain in each
    )
    if isinstance(made, fourier.Fourier):  # which judges pair by pair
        return replace(made, judged=tuple(promise.watch.judging() for promise in promises))
    return Kept(problem, made, promises)


def dilated(taps: Array, dilation: tuple[int, ...]) -> Array:
    """The taps with d - 1 zeros between neighbours."""
    import numpy as np

    if all(d == 1 for d in dilation):
        return taps
    spread = tuple(d * (k - 1) + 1 for d, k in zip(dilation, taps.shape[2:], strict=True))
    result = np.zeros((*taps.shape[:2], *spread), taps.dtype)
    result[:, :, *(slice(None, None, d) for d in dilation)] = taps
    return result


@record
class Fft(Prepared):
    """Applies prepared spectra to a block."""

    problem: Problem
    shape: tuple[int, ...]
    spectra: Array

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        import numpy as np
        from scipy import fft

        per_group = self.problem.channels_out // self.problem.groups
        *outer, last = (slice(0, n * a.stride, a.stride) for n, a in zip(out.shape[1:], self.problem.axes, strict=True))
        pixels = fft.rfftn(block, self.shape, axes=_last(self.shape))
        for filter_, spectrum in enumerate(self.spectra):
            first = filter_ // per_group * self.problem.fan_in
            alone = len(self.spectra) == self.problem.fan_in == 1
            total = np.multiply(pixels[first], spectrum[0], out=pixels[first] if alone else None)
            for channel in range(1, self.problem.fan_in):
                total += pixels[first + channel] * spectrum[channel]
            lines = fft.ifftn(total, axes=_last(self.shape)[:-1], overwrite_x=True)[*outer]
            out[filter_] = fft.irfft(lines, self.shape[-1], overwrite_x=True)[..., last]


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(-len(shape), 0))


METHOD = Method(refuse, price, rounding, tile, prepare, always, startup=startup, begun=begun)
"""What a transform makes of an output depends on where in it that lies: where tiles are cut shows."""
