"""Enlargement by a scale as an operation on images: planned, run, and told in the report's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from fractions import Fraction
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.errors import UsageError
from convcli.filters.borders import Border, describe_borders
from convcli.filters.filter import Numbers
from convcli.filters.resampled import BLOCK, ResampledFilter
from convcli.geometry.problem import Cost, Problem
from convcli.image import ImageInfo
from convcli.kernels import Kernel, parse_kernel
from convcli.machine import Machine
from convcli.operations.filter import (
    WindowedWork,
    candidate_facts,
    changed_size,
    check_weight,
    method_lines,
    numbers_for,
    spacing_lines,
)
from convcli.operations.operation import ANYTHING, Limits
from convcli.planner import Candidate, Plan
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.engine.stages.resample import ResampleStage

LARGEST_WINDOW = 2**20
"""Pixels that a tile reads or writes at most."""
ROUNDING = 1e-6
"""The largest error in float32, relative to the largest pixel (2026-11)."""


@record
class Resample:
    """An enlargement by a factor for each spatial axis: what upsample --scale does.

    `name` is that of the curve which weighs pixels; with `inside` nothing beyond the image counts.
    """

    name: str
    scale: tuple[Fraction, ...]
    borders: tuple[Border, ...] = ()
    inside: bool = True
    numbers: Numbers = field(default_factory=Numbers)

    bank = False
    """It sums over no channels."""

    @property
    def ndim(self) -> int:
        """Spatial axes."""
        return len(self.scale)

    @property
    def filter(self) -> ResampledFilter:
        """What it makes of images."""
        return _filter(self)

    def on(self, info: ImageInfo, limits: Limits = ANYTHING) -> EnlargedWork:
        """The enlargement planned for an image: there is one way to compute it."""
        from convcli.system import core_count

        check_weight(self.numbers)
        if limits.method not in ("auto", "separable"):
            raise UsageError(f"an enlargement by --scale is separable, never {limits.method}", where="--method")
        problem, threads = self.filter.problem(info, 1), limits.threads or core_count()
        problem = replace(problem, itemsize=problem.itemsize if problem.tolerance >= ROUNDING else 8)
        cost = price(problem, Machine())
        candidate = Candidate("separable", problem.itemsize, cost, threads=threads)
        tile, size = largest_tile(problem, LARGEST_WINDOW), problem.itemsize
        plan = Plan(problem, "separable", size, tile, threads, cost, (candidate,), limits.memory)
        return EnlargedWork(self.filter, info, plan)


@lru_cache(maxsize=16)
def _filter(asked: Resample) -> ResampledFilter:
    ndim = len(asked.scale)
    curve = parse_kernel(asked.name, ndim, stride=(2,) * ndim)
    return ResampledFilter(
        Kernel.from_values(asked.name, (1,) * ndim, [1.0]),
        borders=asked.borders,
        numbers=numbers_for(asked.numbers, curve),
        name=asked.name,
        scale=asked.scale,
        inside=asked.inside,
    )


@record
class EnlargedWork(WindowedWork):
    """An enlargement planned for one image: one pass for each axis."""

    filter: ResampledFilter

    @cached_property
    def stage(self) -> ResampleStage:
        """The enlargement for the engine."""
        from convcli.engine.stages.resample import ResampleStage

        return ResampleStage(self.filter, self.before, self.plan)

    @property
    def macs(self) -> int:
        """Multiply-adds of the passes."""
        return self.plan.cost.macs

    def facts(self) -> dict[str, Any]:
        """The keys that others rely on, and the scale."""
        return {
            "operation": "resampling",
            "kernel": {
                "name": self.filter.name,
                "shape": list(self.plan.problem.kernel),
                "sum": 1.0,
                "rank": 1,
                "remarks": [],
            },
            "padding": None,
            "scale": [float(scale) for scale in self.filter.scale],
            "border": [] if self.filter.inside else list(map(str, self.filter.borders)),
            "method": self.method,
            "precision": self.plan.problem.dtype,
            "candidates": [candidate_facts(c) for c in self.plan.candidates],
            "macs": self.macs,
            "flops": 2 * self.macs,
        }

    def rows(self, *, full: bool = True) -> Iterator[tuple[str, str]]:
        """Kernel, scale, sizes, the way and the work."""
        filter_, problem = self.filter, self.plan.problem
        outside = "nothing outside counts" if filter_.inside else describe_borders(filter_.borders, filter_.spatial)
        yield "kernel", f"{filter_.name}, {_times(problem.kernel)} pixels, the weights of each output sum to 1"
        scale = ",".join(f"{float(scale):g}" for scale in filter_.scale)
        yield "filter", f"scale {scale}, pixel centres at halves, border {outside}, computed in {problem.dtype}"
        axes = list(zip(filter_.spatial, problem.axes, filter_.scale, strict=True))[
            self.before.signal :
        ]  # of a signal, its row alone
        if full:
            for letter, axis, factor in axes:
                yield f"size {letter}", f"round({float(factor):g} x {axis.size}) = {axis.output}"
        else:
            yield "size", ", ".join(changed_size(letter, axis.size, axis.output) for letter, axis, _ in axes)
        yield from spacing_lines(self.before, self.after)
        yield from method_lines(self.plan, full=full)
        yield "work", f"{self.macs:,} MACs, {2 * self.macs:,} FLOPs"


def price(problem: Problem, machine: Machine) -> Cost:
    """A pass along each axis, in blocks of which most weights are zero; pixels are copied in and out."""
    sizes = [axis.size for axis in problem.axes]
    read, macs, products = prod(sizes), 0, 0.0
    for place, axis in enumerate(problem.axes):
        sizes[place] = axis.output
        macs += prod(sizes) * axis.kernel
        products += prod(sizes) * (BLOCK * axis.size / axis.output + axis.kernel)
    seconds = products * machine.product + (read + prod(sizes)) * machine.window
    return Cost(problem.planes * macs, seconds=problem.planes * seconds)


def largest_tile(problem: Problem, most: int) -> tuple[int, ...]:
    """Outputs whose window, and they themselves, are at most so many values."""
    *deep, rows, columns = problem.output
    tile = [*(min(d, 16) for d in deep), min(rows, 256), min(columns, 1024)]
    while max(tile) > 1 and _window(problem, tile) > most:
        longest = tile.index(max(tile))
        tile[longest] = -(-tile[longest] // 2)
    return tuple(tile)


def _window(problem: Problem, tile: Sequence[int]) -> int:
    reads = (t * axis.size // axis.output + axis.kernel for t, axis in zip(tile, problem.axes, strict=True))
    return max(prod(reads), prod(tile))


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
