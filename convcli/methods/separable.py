"""Kernels of low rank as a few 1-D passes: a k x k kernel of rank r costs 2 k r multiply-adds, not k^2.

The terms come with a named kernel or from the singular value decomposition of its taps. Where all taps are alike, the
passes take sums (`sums.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field
from functools import cached_property
from itertools import pairwise
from math import ceil, inf, prod
from typing import TYPE_CHECKING, Any, ClassVar

from convcli import native
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import ACCURACY, Cost, Problem
from convcli.methods import direct, sums
from convcli.methods.chains import at_once, in_strips, is_matrix, places
from convcli.methods.contract import Method, Prepared, Reads
from convcli.methods.cutting import ALONE, Alone, Workspace
from convcli.methods.passes import AtOnce, Bands, Matrix, Pass, Product, Sliding, Strips, band, band_rows
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine
    from convcli.methods.cancelling import Rest

    Array = np.ndarray[Any, Any]

RESIDUAL = {4: 2e-7, 8: 1e-14}
"""What may be left of the taps, relative to their absolute sum, by item size: the rounding of the numbers."""

TILE = 2**21
"""Values between two passes: tiles of a volume, and a quarter of it for those of a plane."""
SHARED = 0.5
"""What a multiply-add takes where passes are made at once: rows share the pixels that they read (2026-12)."""
CALLS = 6
"""What a compiled pass costs before its first output, in NumPy calls."""


def residual(problem: Problem) -> float:
    """What terms may leave of the taps: a user's share, else the rounding of the numbers, and little beside a tie."""
    if _several(problem):
        return RESIDUAL[8]
    careful = problem.tolerance < ACCURACY
    rounded = min(RESIDUAL[4], problem.tolerance / 4) if careful else RESIDUAL[problem.itemsize]
    return max(RESIDUAL[8], rounded, problem.approximation)


def rounding(problem: Problem) -> float:
    """The largest error seen in float32, relative to sum|k| max|x| (2026-11).

    One product of passes is rounded in relation to what its taps meet; terms that cancel may need float64 for that.
    """
    if _several(problem) and not problem.steady:
        return inf
    return (4e-7 if max(problem.kernel) <= 32 else 9e-7) * max(1, problem.rank or 1)


def _several(problem: Problem) -> bool:
    """Whether an output is promised more than what may be left of several terms."""
    return problem.local and not problem.approximation and (problem.rank or 1) > 1


def refuse(problem: Problem) -> str | None:
    """Only kernels whose rank is known to be smaller than full gain anything."""
    if problem.rank is None:
        return "not known to be the sum of a few 1-D passes"
    if problem.rank >= max(2, min(problem.kernel)):
        return f"rank {problem.rank}: no sum of fewer 1-D passes"
    return None


def compiled(problem: Problem) -> bool:
    """Whether the native extension computes this problem: channels that meet one kernel each."""
    return (native.AVAILABLE if problem.itemsize == 4 else native.WIDE) and problem.fan_in == 1


def tile(problem: Problem) -> tuple[int, ...]:
    """Blocks whose values between two passes stay in a cache; compiled ones as long as the passes along the rows."""
    *deep, rows, columns = problem.output
    if not compiled(problem):
        return (*(min(d, 32) for d in deep), min(rows, 128 if not deep else 32), min(columns, 1024))
    across, step, first = prod(problem.output[1:]), grain(problem), problem.axes[0]
    most = max(64 if not deep else 1, (TILE if deep else TILE // 4) // across)
    far = 4 * first.extent if sums.summed(problem) else first.extent // 2  # as much is read anew for each tile
    long = min(far, 8 * TILE // across)
    return min(problem.output[0], ceil(max(most, long) / step) * step), *problem.output[1:]


def fixed(problem: Problem) -> bool:
    """Without compiled loops: BLAS adds up the last columns of a product in another order."""
    return not compiled(problem)


def grain(problem: Problem, axis: int = 0) -> int:
    """Outputs along an axis that share what they read: cut between such, results are the same."""
    along = problem.axes[axis]
    return (direct.TOGETHER if compiled(problem) else band_rows(along.kernel)) * along.dilation


def bounded(problem: Problem, tile: tuple[int, ...], memory: int) -> tuple[int, ...]:
    """A tile whose workspace fits: cut along the first axis at no cost, then down the columns, never across rows.

    What it reads counts as long as a cut spares at least as much as it adds: a halo is read however small the tile.
    """
    steps = [grain(problem, axis) for axis in range(len(tile))]
    for axis in range(len(tile) - 1):
        while between(problem, tile) > memory and (thinner := _halved(tile, axis, steps[axis])) != tile:
            tile = thinner
    for axis in range(len(tile) - 1):
        far = max(steps[axis], problem.axes[axis].extent)
        while tile[axis] > far and workspace(problem, tile) > memory:
            tile = _halved(tile, axis, steps[axis])
    return tile


def _halved(tile: tuple[int, ...], axis: int, step: int) -> tuple[int, ...]:
    """A tile about half as long along an axis, cut at a multiple of `step`; itself where it is no longer than that."""
    half = ceil(tile[axis] / 2 / step) * step
    return (*tile[:axis], half, *tile[axis + 1 :]) if half < tile[axis] else tile


def workspace(problem: Problem, tile: tuple[int, ...]) -> int:
    """Bytes: the pixels that a tile reads, as floats, twice where some are missing; what lies between, and results."""
    read = problem.channels_in
    for axis, outputs in zip(problem.axes, tile, strict=True):
        read *= min(_read(axis, outputs), axis.size + 1)
    return 2 * problem.itemsize * read + between(problem, tile)


def least(problem: Problem) -> int:
    """Bytes of the smallest tile that passes along the rows are worth."""
    return between(problem, bounded(problem, tile(problem.depthwise), 0))


def between(problem: Problem, tile: tuple[int, ...]) -> int:
    """Bytes that lie between the passes of a tile, and those of its results: what is left where it is small."""
    sizes = [min(_read(a, t), a.size + 1) for a, t in zip(problem.axes, tile, strict=True)]
    passed = 0
    for place, outputs in enumerate(tile[:-1]):
        sizes[place] = outputs
        passed += (problem.rank or 1) * prod(sizes)
    return problem.itemsize * (passed + 2 * direct.results_made(problem, tile))


def _read(axis: Geometry, outputs: int) -> int:
    """Samples that so many outputs read."""
    return (outputs - 1) * axis.stride + axis.extent


def price(problem: Problem, machine: Machine) -> Cost:
    """What the compiled passes or NumPy take."""
    return _compiled_price(problem, machine) if compiled(problem) else _banded_price(problem, machine)


def _compiled_price(problem: Problem, machine: Machine) -> Cost:
    """A multiply-add for each tap of each pass, or for each pixel of an axis, and a store after each."""
    if sums.summed(problem):
        return sums.price(problem, places(problem), machine)
    images, terms = problem.planes * problem.channels_out, problem.rank or 1
    sizes, macs, seconds, united = [axis.size for axis in problem.axes], 0, 0.0, at_once(problem)
    for place in places(problem):
        axis = problem.axes[place]
        sizes[place] = axis.output
        values, last = images * terms * prod(sizes), place == len(sizes) - 1
        if place in united:
            macs += values * axis.kernel
            seconds += values * (SHARED * axis.kernel * machine.pass_tap + machine.store)
            continue
        matrix = is_matrix(problem, place)
        taps = axis.size if matrix else axis.kernel
        slower = 2 if last and axis.stride > 1 and not matrix else 1
        macs += values * taps
        seconds += values * (slower * taps * machine.pass_tap + machine.store)
        seconds += values * machine.gap * (last and (matrix or axis.stride > 1))
        seconds += matrix * terms * axis.output * axis.kernel * 4 * machine.add
    calls = CALLS * len(sizes) * problem.images * problem.channels_out
    calls *= problem.output[0] if len(sizes) > 2 and in_strips(problem) else 1
    return Cost(macs, seconds=seconds + calls * machine.call)


def _banded_price(problem: Problem, machine: Machine) -> Cost:
    """The banded products of every pass, or those of whole axes, with the gathering of what they read."""
    sizes, macs, work, moved, calls = [axis.size for axis in problem.axes], 0, 0, 0.0, 0
    passes = problem.planes * problem.channels_out * problem.fan_in * (problem.rank or 1)
    tiles = problem.images * ceil(problem.output[0] / tile(problem)[0])
    for place in places(problem):
        axis = problem.axes[place]
        sizes[place] = axis.output
        rows = min(band_rows(axis.kernel), max(1, axis.output))
        dilation = axis.dilation if axis.stride > 1 else 1
        span = axis.stride * (rows - 1) + dilation * (axis.kernel - 1) + 1
        matrix = is_matrix(problem, place)
        macs += prod(sizes) * (axis.size if matrix else axis.kernel)
        work += prod(sizes) * (axis.size if matrix else span)
        moved += prod(sizes) * (2 + (axis.size + axis.begin + axis.end) / max(1, axis.output))
        calls += tiles * (2 if matrix else ceil(axis.output / rows))
    seconds = work * machine.band + moved * machine.add
    return Cost(macs=passes * macs, seconds=passes * seconds + calls * (problem.rank or 1) * machine.call)


def prepare(taps: Array, problem: Problem) -> Compiled | Banded:
    """Factor every filter; `taps` are (O, I/g, *kernel)."""
    from convcli.methods.terms import factor, most_terms  # most kernels know theirs

    most, limit = problem.rank or most_terms(problem.kernel), residual(problem)
    return prepare_terms([[factor(each, limit, most) for each in filter_] for filter_ in taps], problem, taps)


def prepare_terms(
    terms: Sequence[Sequence[Sequence[Sequence[Any]]]], problem: Problem, taps: Array | None = None
) -> Compiled | Banded:
    """The same for terms that are known: for each filter and each channel that it reads, vectors for each axis.

    With `taps`, local results are those of the taps wherever terms that cancel would leave more than is promised.
    """
    import numpy as np

    rests: tuple[Rest | None, ...] = ()
    if taps is not None:
        from convcli.methods.cancelling import rests_of  # most kernels are the product of vectors: nothing cancels

        rests = rests_of(taps, terms, problem)
    if compiled(problem):
        nothing = [tuple(map(np.zeros, problem.kernel))]  # a filter without taps still has a result
        sides = (zip(*(filter_[0] or nothing), strict=True) for filter_ in terms)
        chains = tuple(_chain([np.array(side) for side in each], problem) for each in sides)
        return Compiled(problem, chains, rests)
    passes = {
        (o, i): [_bands(term, problem) for term in channel]
        for o, filter_ in enumerate(terms)
        for i, channel in enumerate(filter_)
    }
    return Banded(problem, passes, rests)


@record
class Compiled(Prepared):
    """Applies terms by the native extension, one axis after the other, the first one first: a tile that is cut along it
    computes nothing twice. `chains` are the passes of each filter, `rests` what they leave where any leave anything.
    """

    looks_up: ClassVar = True
    problem: Problem
    chains: tuple[tuple[Pass, ...], ...]
    rests: tuple[Rest | None, ...] = ()
    between: Workspace = field(default_factory=Workspace)
    team: Alone = ALONE

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        self.look_up(block, out, (None,) * len(self.problem.axes))

    def look_up(self, block: Array, out: Array, reads: Reads) -> None:
        """The same from the pixels that `reads` looks up for the window."""
        self._filter(block, out, reads=reads)
        _keep(self.rests, block, out, reads)

    def with_team(self, team: Alone) -> Compiled:
        """The same by a team of threads."""
        return replace(self, team=team)

    @property
    def blas(self) -> bool:
        """Whether threads of BLAS would come on top of those that call it."""
        return any(isinstance(each, Product) for chain in self.chains for each in chain)

    @cached_property
    def shares(self) -> bool:
        """Whether threads can share a call: one that makes all passes."""
        kinds = AtOnce if len(self.problem.axes) > 2 else (AtOnce, Strips, sums.Sums)
        return all(len(chain) == 1 and isinstance(chain[0], kinds) for chain in self.chains)

    def fused(
        self, source: Array, target: Array, *, reads: Reads, outside: Sequence[float] = (0, 0, 0), **more: Any
    ) -> native.Counts | None:
        """The same on samples as they lie in an image: channels and filters of [slices,] rows and columns.

        None where several passes would meet a constant that is not zero: they know of pixels only; and where what
        terms leave may show.
        """
        constants = [value for value, read in zip(outside, reads, strict=False) if _is_met(read)]
        if self.shares:
            more |= {"outside": outside, "team": self.team}
        elif any(constants):
            return None
        if not all(rest is None or rest.bears(source, constants) for rest in self.rests):
            return None
        return self._filter(source, target, reads=reads, **more)

    def _filter(self, source: Array, target: Array, *, reads: Reads, step: int = 1, **more: Any) -> native.Counts:
        """All filters on the channels that they read."""
        if self.shares:
            more = {"outside": (0, 0, 0), "team": self.team} | more
        if len(self.problem.axes) == 2:  # a plane is a volume of one slice
            source, target, reads = source[:, None], target[:, None], (None, *reads)
        per_group, counts = self.problem.channels_out // self.problem.groups, []
        for number, chain in enumerate(self.chains):
            pixels, results = source[number // per_group][None], target[number][None]
            with ExitStack() as memory:
                for each, following in pairwise(chain):
                    made = memory.enter_context(self._lent(each.makes(pixels, results), following.layout()))
                    each.run(pixels, made, reads, step)
                    pixels = made
                counts.append(chain[-1].run(pixels, results, reads, step, **more))
        return native.total(counts)

    @contextmanager
    def _lent(self, shape: Sequence[int], order: Sequence[int]) -> Iterator[Array]:
        """Memory for what lies between two passes, its axes in an order."""
        inverse = [order.index(axis) for axis in range(len(order))]
        with self.between.borrow(tuple(shape[axis] for axis in order), self.problem.dtype) as lent:
            yield lent.transpose(inverse)


def _is_met(read: Array | None) -> bool:
    """Whether what stands outside is read."""
    return read is not None and bool((read < 0).any())


def _chain(factors: Sequence[Array], problem: Problem) -> tuple[Pass, ...]:
    """The passes of one filter; `factors` are, for each axis, the taps of all terms (terms, K)."""
    import numpy as np

    busy, skipped = places(problem), 3 - len(problem.axes)
    if sums.summed(problem) and (summing := sums.passes(factors, problem, busy)):
        return summing
    factors = list(factors)
    for place in set(range(len(factors))) - set(busy):  # a tap for each term
        factors[busy[-1]] = factors[busy[-1]] * factors[place]
    if len(busy) == 1:
        factors[busy[0]] = factors[busy[0]].sum(axis=0, keepdims=True)
    factors = [each.astype(problem.dtype) for each in factors]
    strips: tuple[Pass, ...] = ()
    if (united := at_once(problem)) and all(factors[place].all() for place in united):
        vectors = [np.ones((1, 1))] * skipped + [f if p in united else np.ones((1, 1)) for p, f in enumerate(factors)]
        strips = (AtOnce(problem.axes[-1], 2, vectors[2], (vectors[0], vectors[1])),)
        busy = busy[: -len(united)]
    elif in_strips(problem):
        strips = (Strips(problem.axes[-1], 2, factors[-1], problem.axes[-2], factors[-2]),)
        busy = busy[:-2]
    whole = Matrix if problem.itemsize == 4 else Product
    kinds: list[type[Pass]] = [whole if is_matrix(problem, place) else Sliding for place in busy]
    made = [kind(problem.axes[p], p + skipped, factors[p]) for kind, p in zip(kinds, busy, strict=True)]
    return (*made, *strips)


@record
class Banded(Prepared):
    """Applies prepared passes to a block."""

    looks_up: ClassVar = True
    problem: Problem
    passes: dict[tuple[int, int], list[tuple[Bands, ...]]]
    rests: tuple[Rest | None, ...] = ()

    def __call__(self, block: Array, out: Array) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""
        self.look_up(block, out, (None,) * len(self.problem.axes))

    def look_up(self, block: Array, out: Array, reads: Reads) -> None:
        """The same from the pixels that `reads` looks up for the window."""
        out.fill(0)
        per_group = self.problem.channels_out // self.problem.groups
        for (filter_, channel), terms in self.passes.items():
            source = block[filter_ // per_group * self.problem.fan_in + channel]
            for term in terms:
                pixels = source
                for step in term:
                    pixels = step.along(pixels, reads[step.place])
                out[filter_] += pixels
        _keep(self.rests, block, out, reads)


def _keep(rests: Sequence[Rest | None], block: Array, out: Array, reads: Reads) -> None:
    """Compute again what the terms of any filter spoil: of results `out` (O, *tile) from `block` (I, *pixels)."""
    for number, rest in enumerate(rests):
        if rest is not None:
            rest.keep(block[number * len(block) // len(rests)], out[number], reads)


def _bands(term: Sequence[Any], problem: Problem) -> tuple[Bands, ...]:
    """The passes of one term; axes of a single tap are left to another's."""
    import numpy as np

    busy, vectors = places(problem), [np.asarray(each, np.float64) for each in term]
    for place in set(range(len(vectors))) - set(busy):
        vectors[busy[-1]] = vectors[busy[-1]] * vectors[place]
    return tuple(_one_pass(vectors[place], problem, place) for place in busy)


def _one_pass(taps: Array, problem: Problem, place: int) -> Bands:
    axis = problem.axes[place]
    dilation = axis.dilation if axis.stride > 1 else 1
    banded = band(taps.astype(problem.dtype), band_rows(axis.kernel), axis.stride, dilation)
    return Bands(axis, place, taps, banded, is_matrix(problem, place))


METHOD = Method(
    refuse,
    price,
    rounding,
    tile,
    prepare,
    fixed,
    compiled,
    workspace=workspace,
    grain=grain,
    bounded=bounded,
    least=least,
)
