"""Depthwise separable convolution as an operation: two steps fused tile by tile, and what they spare.

It is an ordinary filter bank to all that surrounds it (sizes, borders, NaN, sample types), computed by its two steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.filters.borders import Border
from convcli.filters.filter import Correlation, Numbers
from convcli.geometry.problem import Problem
from convcli.image import ImageInfo
from convcli.kernels import pairs
from convcli.kernels.given import Given, Resolved
from convcli.kernels.kernel import Kernel
from convcli.methods import pointwise
from convcli.operations.dilated import DilatedWork
from convcli.operations.filter import check_weight, numbers_for
from convcli.operations.operation import ANYTHING, Limits
from convcli.planner import make_plan
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.kernels.factoring import Rank

MOST_RANKS = 16
"""Ranks that the report lists; JSON has all."""
LEAST = 1e-12
"""The least tolerance that may be left to a step: what float64 keeps."""


@record
class Pair:
    """A kernel for each channel, then a 1x1 mix of the channels: what separable does.

    The matrix is (O, C m); how many channels C are, the image says unless `channels` does. `multiplier` is m where one
    kernel serves all. `ranks` are those there were to choose from where a dense bank was factored.
    """

    depthwise: Given
    pointwise: Kernel
    multiplier: int = 0
    channels: int = 0
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding: str | tuple[tuple[int, int], ...] = "same"
    borders: tuple[Border, ...] = ()
    numbers: Numbers = field(default_factory=Numbers)
    ranks: tuple[Rank, ...] = ()

    bank = True
    """It sums over channels."""

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return self.depthwise.ndim

    def filter(self, info: ImageInfo) -> Correlation:
        """Both steps for an image as one filter."""
        found = self.depthwise.on(info.steps)
        channels = self.channels or channels_of(info, self.pointwise)
        return _filter(self, found, _steps(found.kernel, self.pointwise, channels, self.multiplier))

    @property
    def factors(self) -> pairs.Pair:
        """Both steps of a bank that was factored, which are for so many channels only."""
        return _steps(self.depthwise.on({}).kernel, self.pointwise, self.channels, self.multiplier)

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> PairWork:
        """The pair planned for an image."""
        return planned_pair(self.filter(info), info, limits, self.ranks)


@lru_cache(maxsize=16)
def _steps(depthwise: Kernel, pointwise: Kernel, channels: int, multiplier: int) -> pairs.Pair:
    return pairs.pair_of(depthwise, pointwise, channels, multiplier)


@lru_cache(maxsize=16)
def _filter(asked: Pair, found: Resolved, pair: pairs.Pair) -> Correlation:
    """A pair as a filter, kept for the next image."""
    return Correlation(
        pair.product,
        each=False,
        flip=asked.depthwise.flip,
        stride=asked.stride,
        dilation=asked.dilation,
        padding=asked.padding,
        borders=asked.borders,
        numbers=numbers_for(asked.numbers, pair.product),
        pair=pair,
        warnings=found.notes,
        remarks=found.remarks,
    )


def channels_of(info: ImageInfo, matrix: Kernel) -> int:
    """The channels that a pair meets; the opacity of a colour is none of them where the columns fit without it."""
    letter = next((letter for letter in "CS" if letter in info.axes), "")
    there, columns = info.size(letter) if letter else 1, matrix.shape[1] if matrix.bank else matrix.shape[-1]
    without = letter == "S" and info.has_alpha and columns % there and columns % (there - 1) == 0
    return there - 1 if without else there


def planned_pair(
    filter_: Correlation, info: ImageInfo, limits: Limits = ANYTHING, ranks: tuple[Rank, ...] = ()
) -> PairWork:
    """A filter that is a pair, planned for an image."""
    from convcli.engine.steady import ranked
    from convcli.system import core_count

    assert filter_.pair is not None
    check_weight(filter_.numbers)
    problem = ranked(by_steps(filter_.problem(info), filter_.pair), filter_.pair.depthwise)
    threads = limits.threads or core_count()
    plan = make_plan(problem, method=limits.method, threads=threads, memory=limits.memory)
    return PairWork(filter_, info, plan, ranks)


def by_steps(problem: Problem, pair: pairs.Pair) -> Problem:
    """The problem with the care that two steps need: what cancels in their product was rounded before it did."""
    whole, between = pair.product.absolute_sum(), pair.absolute_sum
    kept = whole / between if between else 1.0
    extreme = not 1e-20 < pair.depthwise.absolute_sum() < 1e20  # the numbers between the steps would leave float32
    return replace(
        problem,
        tolerance=max(LEAST, problem.tolerance * kept - pointwise.ROUNDING),
        exact=problem.exact and pair.is_whole and kept == 1,
        itemsize=8 if extreme else problem.itemsize,
    )


@record
class PairWork(DilatedWork):
    """A pair with the plan for one image."""

    ranks: tuple[Rank, ...] = ()

    @cached_property
    def pair(self) -> pairs.Pair:
        """The two steps."""
        assert self.filter.pair is not None
        return self.filter.pair

    @property
    def positions(self) -> int:
        """Places where the pair is evaluated."""
        return self.plan.problem.planes * prod(self.plan.problem.output)

    @property
    def macs(self) -> int:
        """Multiply-adds of both steps."""
        return self.positions * sum(self.pair.macs)

    @property
    def dense(self) -> int:
        """Multiply-adds of the bank that the pair stands for."""
        return self.positions * self.pair.dense_macs

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, with the two steps and the ranks there were to choose from."""
        first, second = (self.positions * macs for macs in self.pair.macs)
        steps = {
            "depthwise": {"kernels": list(self.pair.depthwise.shape), "macs": first},
            "pointwise": {"matrix": list(self.pair.pointwise.shape[:2]), "macs": second},
            "multiplier": self.pair.multiplier,
            "dense_macs": self.dense,
            "ratio": self.macs / self.dense,
        }
        ranks = [{"rank": r.rank, "error": r.error, "macs": r.macs, "saving": r.saving} for r in self.ranks]
        return {**super().facts(), "pair": steps, "ranks": ranks}

    def kernel_rows(self) -> Iterator[tuple[str, str]]:
        """The two steps."""
        pair = self.pair
        size, times = "x".join(map(str, pair.depthwise.spatial)), pair.multiplier
        more = f", multiplier {times}" if times > 1 else ""
        yield "depthwise", f"{pair.depthwise.name}: {pair.depthwise.outputs} kernels of {size}{more}"
        yield "pointwise", f"{pair.pointwise.name}: {pair.pointwise.inputs} channels to {pair.outputs}"

    def work_rows(self) -> Iterator[tuple[str, str]]:
        """The cost of both steps beside that of the dense bank, and what every rank costs and loses."""
        first, second = (self.positions * macs for macs in self.pair.macs)
        yield "work", f"{self.macs:,} MACs: {first:,} depthwise + {second:,} pointwise; {2 * self.macs:,} FLOPs"
        yield "dense", f"{self.dense:,} MACs, {self.dense / self.macs:.3g} times as many: {self.ratio}"
        for place, each in enumerate(self.ranks[:MOST_RANKS]):
            applied = "  <- applied" if each.rank == self.pair.multiplier else ""
            yield "" if place else "ranks", rank_line(each) + applied
        if len(self.ranks) > MOST_RANKS:
            yield "", f"and {len(self.ranks) - MOST_RANKS} more up to {rank_line(self.ranks[-1])}"

    @property
    def ratio(self) -> str:
        """m / O + m / prod(k) with the numbers filled in."""
        times, taps = self.pair.multiplier, prod(self.pair.depthwise.spatial)
        return f"{times}/{taps} + {times}/{self.pair.outputs} = {self.macs / self.dense:.4g}"


def rank_line(each: Rank) -> str:
    """A rank's error and saving.

    >>> from convcli.kernels.factoring import Rank
    >>> rank_line(Rank(2, 0.125, 400, 900))
    'rank 2: error 0.125, 400 MACs a position, 2.25 times fewer than dense'
    """
    error = f"{each.error:.3g}" if each.error > pairs.ROUNDING else f"below {pairs.ROUNDING:g}"
    change = f"{each.saving:.3g} times fewer" if each.saving >= 1 else f"{1 / each.saving:.3g} times more"
    return f"rank {each.rank}: error {error}, {each.macs:,} MACs a position, {change} than dense"
