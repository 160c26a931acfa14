"""Everything that a tile needs: a filter with its planned method, prepared once for images of a kind, and the image
or a slab of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from operator import gt, lt
from typing import TYPE_CHECKING, Any

import numpy as np

from convcli import native
from convcli.engine.slabs import Slab, Stage, Task
from convcli.engine.workers import Team
from convcli.filters.filter import LEAVING_OUT, Filter, Layout
from convcli.geometry.problem import Problem
from convcli.image import ImageInfo
from convcli.kernels.kernel import MOST_SUMMED, Kernel, Term
from convcli.methods import separable
from convcli.methods.contract import Fused, Prepared, load
from convcli.methods.cutting import Cut, cut
from convcli.planner import Plan
from convcli.records import record, replace

if TYPE_CHECKING:
    from convcli.kernels.pairs import Pair

Array = np.ndarray[Any, Any]
SIGNS: dict[str, Callable[[Any, Any], Any]] = {">": gt, "<": lt}
MOST_COUNTED = 10_000
"""Marked pixels that are counted in float32: their sum is off by far less than a half."""
LEAST_MARK = 0.25
"""What terms may leave of marks, of all together: counts are told from none."""
SAFE = 1e30
"""Sums up to this size are far from an overflow of float32, inside any method too."""


@record
class Variants:
    """The planned method with a filter's taps, and with the variants of them that NaN and overflow need."""

    filter: Filter
    info: ImageInfo
    plan: Plan

    @cached_property
    def taps(self) -> Array:
        """The kernel as float64 (O, I/g, *space)."""
        return self.filter.kernel.as_bank()

    @cached_property
    def apply(self) -> Prepared:
        """The filter itself."""
        plan, filter_ = self.plan, self.filter
        made = ready(filter_.pair or filter_.kernel, plan.method, replace(plan.problem, itemsize=plan.itemsize))
        return made if plan.team == 1 else made.with_team(Team(plan.team))

    @cached_property
    def fused(self) -> Fused | None:
        """The filter on samples as they lie in the image, where that is possible."""
        unseen = self.filter.meets_unknown(self.info) and self.hides
        return self.apply.fused if fits(self.filter, self.info, self.plan) and not unseen else None

    @cached_property
    def united(self) -> Fused | None:
        """The same of a whole plane by one call, which all threads share; by one thread where no NaN spoils it."""
        threads = self.plan.threads
        if self.fused is None or not self.apply.shares:
            return None
        if threads > 1:
            return self.apply.with_team(Team(threads)).fused
        return None if self.filter.meets_unknown(self.info) else self.fused

    @cached_property
    def wide(self) -> Prepared:
        """The filter in float64, in tiles of its own."""
        plan, filter_ = self.plan, self.filter
        problem = replace(plan.problem, itemsize=8)
        made = ready(filter_.pair or filter_.kernel, plan.method, problem)
        return made if made.looks_up else Cut(problem, load(plan.method).tile(problem.depthwise), made)

    @cached_property
    def safe(self) -> float:
        """Pixels up to this size make no overflow; 0 where that is not known: of what lies between two steps."""
        return 0.0 if self.filter.pair else SAFE / max(1.0, self.filter.kernel.absolute_sum())

    @cached_property
    def weightless(self) -> list[int]:
        """The filters without a tap, where results are divided by the weight of known pixels: 0 / 0."""
        return self.filter.kernel.empty if self.filter.numbers.nan in LEAVING_OUT else []

    @cached_property
    def signs(self) -> tuple[Array, Array]:
        """Where a tap, of any of the steps that were folded into one, is positive, and where one is negative."""
        from convcli.filters.combining import signs

        return signs(self.filter)

    @cached_property
    def hides(self) -> bool:
        """Whether taps of the steps cancel: what is under them shows in none of the sums, be it NaN."""
        folded = self.filter.steps is not None or self.filter.pair is not None
        return folded and bool(((self.signs[0] | self.signs[1]) & (self.taps == 0)).any())

    @cached_property
    def reach(self) -> Prepared:
        """Counts the marked pixels that each output looks at."""
        return self.marks("!=")

    @cached_property
    def reach_positive(self) -> Prepared:
        """Counts the marked pixels under a positive tap."""
        return self.marks(">")

    @cached_property
    def reach_negative(self) -> Prepared:
        """Counts the marked pixels under a negative tap."""
        return self.marks("<")

    def marks(self, sign: str) -> Prepared:
        """A filter of ones where taps are `!=` 0, `>` or `<`, by the planned method if it can; that of a pair is none.

        Where taps would be too many, what their terms add up to is not looked at: a place counts where one has a tap.
        """
        plan, kernel = self.plan, self.filter.kernel
        problem, method = replace(plan.problem, itemsize=4, multiplier=0, local=False), plan.method
        if kernel.terms and prod(kernel.shape) > MOST_SUMMED:
            terms = signed(kernel.terms, sign)
            return separable.prepare_terms([[terms]], replace(problem, rank=len(terms)))
        plus, minus = self.signs
        taps = {"!=": plus | minus, ">": plus, "<": minus}[sign].astype(float)
        if method == "separable":
            from convcli.methods.terms import factor, most_terms

            limit, most = LEAST_MARK / prod(problem.kernel), most_terms(problem.kernel)
            found = [[factor(each, limit, most + 1) for each in filter_] for filter_ in taps]
            count = max(len(each) for filter_ in found for each in filter_)
            if count <= most:
                return separable.prepare_terms(found, replace(problem, rank=max(1, count)))
            method = "direct"
        wide = replace(problem, itemsize=4 if prod(problem.kernel) * problem.fan_in <= MOST_COUNTED else 8)
        return cut(load("direct" if plan.problem.multiplier else method), taps, wide)


@lru_cache(maxsize=16)
def ready(kernel: Kernel | Pair, method: str, problem: Problem) -> Prepared:
    """A method with a kernel's taps, kept for the next image: transforms of a bank cost as much as using it once."""
    if not isinstance(kernel, Kernel):
        from convcli.methods import pointwise

        return pointwise.prepare(kernel.depthwise.array(), kernel.pointwise.array(), problem, load(method))
    rank = problem.rank or 1
    if method == "separable" and problem.steady:
        from convcli.engine.steady import steady_terms

        if terms := steady_terms(kernel, rank, problem.tolerance):
            return separable.prepare_terms([[each] for each in terms], problem)
    if method == "separable" and kernel.terms:  # which say more than taps, and may be far fewer
        taps = kernel.as_bank() if len(kernel.terms) > 1 and prod(kernel.shape) <= MOST_SUMMED else None
        return separable.prepare_terms([[kernel.terms]], problem, taps)
    return load(method).prepare(kernel.as_bank(), problem)


def signed(terms: Sequence[Term], sign: str) -> list[Term]:
    """Terms that are not 0 where one of the given terms is `!=` 0, `>` or `<`: a product of an even number of negative
    factors is positive.

    >>> signed([((1.0, -2.0), (0.0, 3.0))], "<")
    [((0.0, 1.0), (0.0, 1.0))]
    """
    if sign == "!=":
        return [tuple(tuple(float(tap != 0) for tap in vector) for vector in term) for term in terms]
    made = []
    for term in terms:
        for ways in product("><", repeat=len(term)):
            each = tuple(tuple(float(SIGNS[way](tap, 0)) for tap in v) for way, v in zip(ways, term, strict=True))
            if (ways.count("<") % 2 == 1) == (sign == "<") and all(map(any, each)):
                made.append(each)
    return made or [tuple((0.0,) * len(vector) for vector in terms[0])]


def fits(filter_: Filter, info: ImageInfo, plan: Plan) -> bool:
    """Whether images may go the short way at all."""
    numbers = filter_.numbers
    plain = numbers.range == "clip" and info.missing is None and not numbers.linear and filter_.combine == "stack"
    plain = plain and not numbers.biases
    looks = numbers.nan == "preserve" and filter_.meets_unknown(info)  # at pixels that no tap may meet
    bare = numbers.alpha == "straight" and (numbers.scale, filter_.bias) == (1, 0)
    colours = not info.has_alpha or bare
    weighed = numbers.nan in LEAVING_OUT and filter_.kernel.empty
    held = native.TYPES if plan.itemsize == 4 else native.WIDE_TYPES
    types = info.dtype in held and filter_.output_dtype(info) in held
    return native.AVAILABLE and plain and colours and types and not weighed and not looks


@record
class Setup(Stage):
    """A filter on images of one kind, with its planned method."""

    @cached_property
    def method(self) -> Variants:
        """The method, prepared."""
        return Variants(self.filter, self.info, self.plan)

    @cached_property
    def taps(self) -> Array:
        """The kernel as float64 (O, I/g, *space)."""
        return self.method.taps

    @cached_property
    def outside(self) -> list[float]:
        """What stands beyond each spatial axis, where its border is a constant."""
        return [border.value for border in self.filter.borders]

    @cached_property
    def hands(self) -> int:
        """Threads that take tiles of their own."""
        return self.plan.threads // self.plan.team


@record
class Job:
    """A filter, set up, and an image: everything a tile needs. With a slab, the image's data are its alone."""

    setup: Setup
    data: Array
    part: Slab | None = None

    @property
    def filter(self) -> Filter:
        """The filter."""
        return self.setup.filter

    @property
    def info(self) -> ImageInfo:
        """What is known of the whole image."""
        return self.setup.info

    @property
    def plan(self) -> Plan:
        """How it is computed."""
        return self.setup.plan

    @property
    def layout(self) -> Layout:
        """The part that each axis plays."""
        return self.setup.layout

    @property
    def taps(self) -> Array:
        """The kernel as float64 (O, I/g, *space)."""
        return self.setup.taps

    @cached_property
    def source(self) -> Array:
        """A view of the pixels as (*loops, samples, channels, *space)."""
        return self.setup.source_view(self.data)

    @cached_property
    def slab(self) -> Slab:
        """What of the outputs is computed: all, or those of the part."""
        return self.part or self.setup.whole

    def target(self, values: Array) -> Array:
        """A view of results of the slab's `working_shape` as (*loops, samples, filters, *space)."""
        return self.setup.target_view(values)

    def place(self, task: Task) -> tuple[Any, ...]:
        """Where a tile's results go in the target (*loops, samples, filters, *space)."""
        return (*task.loop, ..., *self.slab.place(task.tile))
