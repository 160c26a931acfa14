"""Depthwise separable convolution as an operation: two steps fused tile by tile, and what they spare.

It is an ordinary filter bank to all that surrounds it (sizes, borders, NaN, sample types), computed by its two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.filters.filter import Filter
from convcli.geometry.problem import Problem
from convcli.image import ImageInfo
from convcli.kernels.pairs import ROUNDING, Pair
from convcli.methods import pointwise
from convcli.operations.filter import FilterWork
from convcli.operations.operation import Limits
from convcli.planner import make_plan
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.kernels.factoring import Rank

MOST_RANKS = 16
"""Ranks that the report lists; JSON has all."""


@record
class DepthwiseSeparable:
    """A pair for every image, which may depend on its channels.

    `factors` is the pair that a dense bank was factored into, `ranks` are those there were to choose from.
    """

    build: Callable[[ImageInfo], Filter]
    ranks: tuple[Rank, ...] = ()
    factors: Pair | None = None

    def on(self, info: ImageInfo, limits: Limits) -> PairWork:
        """The pair planned for an image."""
        from convcli.engine.steady import ranked
        from convcli.engine.workers import core_count

        filter_ = self.build(info)
        assert filter_.pair is not None
        problem = ranked(by_steps(filter_.problem(info), filter_.pair), filter_.pair.depthwise)
        threads = limits.threads or core_count()
        plan = make_plan(problem, method=limits.method, threads=threads, memory=limits.memory)
        return PairWork(filter_, info, plan, self.ranks)


def by_steps(problem: Problem, pair: Pair) -> Problem:
    """The problem with the care that two steps need: what cancels in their product was rounded before it did."""
    whole, between = pair.product.absolute_sum(), pair.absolute_sum
    kept = whole / between if between else 1.0
    extreme = not 1e-20 < pair.depthwise.absolute_sum() < 1e20  # the numbers between the steps would leave float32
    return replace(
        problem,
        tolerance=max(0.0, problem.tolerance * kept - pointwise.ROUNDING),
        exact=problem.exact and pair.is_whole and kept == 1,
        itemsize=8 if extreme else problem.itemsize,
    )


@record
class PairWork(FilterWork):
    """A pair with the plan for one image."""

    ranks: tuple[Rank, ...] = ()

    @cached_property
    def pair(self) -> Pair:
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
    error = f"{each.error:.3g}" if each.error > ROUNDING else f"below {ROUNDING:g}"
    change = f"{each.saving:.3g} times fewer" if each.saving >= 1 else f"{1 / each.saving:.3g} times more"
    return f"rank {each.rank}: error {error}, {each.macs:,} MACs a position, {change} than dense"
