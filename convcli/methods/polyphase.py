"""Large rates as many dense convolutions: the pixels a rate apart are small images on which the taps are neighbours.

At rate d and stride s, every n-th output (n = d / gcd(s, d)) reads the same n-th share of the pixels, on which it is a
convolution at rate 1 and stride s / gcd(s, d). So transforms, which a rate would fill with zeros or rule out, apply to
each phase. Source: Vaidyanathan, "Multirate systems and filter banks", 1993, section 4.3. Methods that step over pixels
at no cost, direct and gemm, have no use for it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import ceil, gcd, prod
from typing import TYPE_CHECKING, Any

from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Cost, Problem
from convcli.machine import Machine
from convcli.methods.contract import Method, Prepared, always, load
from convcli.records import record, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Array = np.ndarray[Any, Any]
    Apply = Callable[[Array, Array], None]

TRANSFORMS = ("winograd", "fft")
"""The methods that a rate keeps from their best."""

LEAST = 32
"""Outputs of a phase along the first axis from which it is cut in two."""
MOST = 2**21
"""Outputs of a tile, all phases together: beyond, the first axis is cut, whatever halo that costs."""

SMALL = 1.5
"""How much longer a phase takes than its price, for it is small: 1.2 to 1.6 times (AMD EPYC 7003, 2026-11)."""


def rounding(problem: Problem) -> float:
    """That of the method for a phase."""
    return chosen(problem).rounding(phase(problem))


def refuse(problem: Problem) -> str | None:
    """Nothing to split at rate 1, and nothing gained where no transform would win."""
    if set(problem.dilation) == {1}:
        return "only for rates above 1"
    return chosen(problem).refuse(phase(problem))


def tile(problem: Problem) -> tuple[int, ...]:
    """So many outputs that each phase has a tile of its method."""
    part = phase(problem)
    sizes = zip(chosen(problem).tile(part), counts(problem), problem.output, strict=True)
    return tuple(min(t * n, outputs) for t, n, outputs in sizes)


def price(problem: Problem, machine: Machine) -> Cost:
    """The phases, each begun anew, with every pixel and result moved from or to its place in the whole."""
    part = phase(problem)
    moved = problem.channels_in * prod(a.extent + a.stride * (a.output - 1) for a in problem.axes)
    moved += problem.channels_out * prod(problem.output)
    cost = chosen(problem).price(part, machine)
    seconds = SMALL * cost.seconds + problem.planes * moved * machine.scatter + part.planes * machine.start
    return replace(cost, seconds=seconds)


def startup(problem: Problem, machine: Machine) -> float:
    """Seconds that the first use of the phases' method costs."""
    return chosen(problem).startup(phase(problem), machine)


def counts(problem: Problem) -> tuple[int, ...]:
    """Phases along each axis.

    >>> counts(Problem((Geometry(99, 3, dilation=8), Geometry(99, 3, stride=2, dilation=6))))
    (8, 3)
    """
    return tuple(axis.dilation // gcd(axis.stride, axis.dilation) for axis in problem.axes)


@lru_cache(maxsize=64)
def phase(problem: Problem) -> Problem:
    """What one phase is, or a part of it where all together are more than a tile; all phases are its planes."""
    numbers, pieces = counts(problem), _pieces(problem)
    outputs = [ceil(problem.output[0] / (numbers[0] * pieces))]
    outputs += [ceil(axis.output / n) for axis, n in zip(problem.axes[1:], numbers[1:], strict=True)]
    axes = tuple(_dense(axis, size) for axis, size in zip(problem.axes, outputs, strict=True))
    return replace(problem, axes=axes, planes=problem.planes * prod(numbers) * pieces)


def _pieces(problem: Problem) -> int:
    """Parts that the first axis is cut into: for the memory, and where it is long so that two threads may share it."""
    first = problem.axes[0]
    length = first.output // counts(problem)[0]
    shared = problem.planes == 1 and length >= max(LEAST, 3 * first.kernel)
    return max(2 if shared else 1, ceil(prod(problem.output) / MOST))


def _dense(axis: Geometry, outputs: int) -> Geometry:
    """An axis of so many outputs at rate 1."""
    stride = axis.stride // gcd(axis.stride, axis.dilation)
    return Geometry(stride * (outputs - 1) + axis.kernel, axis.kernel, stride)


def chosen(problem: Problem) -> Method:
    """The transform for a phase: the cheaper one by the shipped constants, of those that can."""
    return load(_cheapest(problem))


@lru_cache(maxsize=64)
def _cheapest(problem: Problem) -> str:
    part, machine = phase(problem), Machine()
    able = [name for name in TRANSFORMS if not load(name).refuse(part)] or [TRANSFORMS[-1]]
    return min(able, key=lambda name: load(name).price(part, machine).seconds)


def prepare(taps: Array, problem: Problem) -> Polyphase:
    """The method of a phase, ready; `taps` are (O, I/g, *kernel)."""
    return Polyphase(problem, chosen(problem).prepare(taps, phase(problem)))


@record
class Polyphase(Prepared):
    """Applies a method to every phase of a block."""

    problem: Problem
    dense: Prepared

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        import numpy as np

        numbers = counts(self.problem)
        for first in product(*(range(min(n, size)) for n, size in zip(numbers, out.shape[1:], strict=True))):
            results = out[(slice(None), *(slice(f, None, n) for f, n in zip(first, numbers, strict=True)))]
            pixels = np.ascontiguousarray(block[(slice(None), *self._cut(first, results.shape[1:]))])
            made = np.empty(results.shape, results.dtype)
            self.dense(pixels, made)
            results[...] = made

    def _cut(self, first: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[slice, ...]:
        """The pixels of the phase that begins with output `first`."""
        cuts = []
        for begin, count, axis in zip(first, outputs, self.problem.axes, strict=True):
            size, start = _dense(axis, count).size, begin * axis.stride
            cuts.append(slice(start, start + axis.dilation * (size - 1) + 1, axis.dilation))
        return tuple(cuts)


METHOD = Method(refuse, price, rounding, tile, prepare, always, startup=startup, begun=load("fft").begun)
"""What a transform makes of an output depends on where in it that lies: where tiles are cut shows."""
