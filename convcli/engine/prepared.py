"""A planned method with the taps of a filter, ready for tiles: what is found once serves every image of a kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from convcli import native
from convcli.arithmetic.problem import Problem
from convcli.engine.workers import Team
from convcli.filters.combining import signs
from convcli.filters.filter import LEAVING_OUT, Filter
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.kernels.pairs import Pair
from convcli.methods import pointwise
from convcli.planner import Plan, load
from convcli.records import record, replace

Array = np.ndarray[Any, Any]
Apply = Callable[[Array, Array], None]
Compiled = Callable[..., native.Counts | None]
"""(channels of source rows, target rows of each filter, what stands beyond, scale and bias and step) -> counts, or None
where the method cannot do these."""
SAFE = 1e30
"""Sums up to this size are far from an overflow of float32, inside any method too."""


@record
class Method:
    """The planned method with a filter's taps, and with the variants of them that NaN and overflow need."""

    filter: Filter
    info: ImageInfo
    plan: Plan

    @cached_property
    def taps(self) -> Array:
        """The kernel as float64 (O, I/g, *space)."""
        return self.filter.kernel.as_bank()

    @cached_property
    def apply(self) -> Apply:
        """The filter itself."""
        plan, filter_ = self.plan, self.filter
        made: Any = ready(filter_.pair or filter_.kernel, plan.method, replace(plan.problem, itemsize=plan.itemsize))
        apply: Apply = made if plan.team == 1 else replace(made, team=Team(plan.team))
        return apply

    @cached_property
    def fused(self) -> Compiled | None:
        """The filter on samples as they lie in the image, where that is possible."""
        unseen = self.filter.meets_unknown(self.info) and self.hides
        return getattr(self.apply, "fused", None) if fits(self.filter, self.info, self.plan) and not unseen else None

    @cached_property
    def united(self) -> Compiled | None:
        """The same by all threads at once, where the method's threads can share a call."""
        threads = self.plan.threads
        if self.fused is None or threads == 1 or not getattr(self.apply, "shares", False):
            return None
        united: Compiled = replace(self.apply, team=Team(threads)).fused  # type: ignore[attr-defined]
        return united

    @cached_property
    def wide(self) -> Apply:
        """The filter in float64."""
        plan, filter_ = self.plan, self.filter
        return ready(filter_.pair or filter_.kernel, plan.method, replace(plan.problem, itemsize=8))

    @cached_property
    def safe(self) -> float:
        """Pixels up to this size make no overflow; 0 where that is not known: of what lies between two steps."""
        return 0.0 if self.filter.pair else SAFE / max(1.0, self.filter.kernel.absolute_sum())

    @cached_property
    def weightless(self) -> list[int]:
        """The filters without a tap, where results are divided by the weight of known pixels: 0 / 0."""
        return without_taps(self.filter.kernel) if self.filter.numbers.nan in LEAVING_OUT else []

    @cached_property
    def signs(self) -> tuple[Array, Array]:
        """Where a tap, of any of the steps that were folded into one, is positive, and where one is negative."""
        return signs(self.filter)

    @cached_property
    def hides(self) -> bool:
        """Whether taps of the steps cancel: what is under them shows in none of the sums, be it NaN."""
        folded = self.filter.steps is not None or self.filter.pair is not None
        return folded and bool(((self.signs[0] | self.signs[1]) & (self.taps == 0)).any())

    @cached_property
    def reach(self) -> Apply:
        """Counts the marked pixels that each output looks at."""
        return self.marks(self.signs[0] | self.signs[1])

    @cached_property
    def reach_positive(self) -> Apply:
        """Counts the marked pixels under a positive tap."""
        return self.marks(self.signs[0])

    @cached_property
    def reach_negative(self) -> Apply:
        """Counts the marked pixels under a negative tap."""
        return self.marks(self.signs[1])

    def marks(self, taps: Array) -> Apply:
        """A filter of ones where `taps` are true, by the planned method; that of a pair is no pair."""
        plan = self.plan
        method = "direct" if plan.problem.multiplier else plan.method
        made: Apply = load(method).prepare(taps.astype(float), replace(plan.problem, itemsize=4, multiplier=0))
        return made


@lru_cache(maxsize=16)
def ready(kernel: Kernel | Pair, method: str, problem: Problem) -> Apply:
    """A method with a kernel's taps, kept for the next image: transforms of a bank cost as much as using it once."""
    if isinstance(kernel, Pair):
        return pointwise.prepare(kernel.depthwise.array(), kernel.pointwise.array(), problem, load(method))
    made: Apply = load(method).prepare(kernel.as_bank(), problem)
    return made


def without_taps(kernel: Kernel) -> list[int]:
    """The filters of a kernel whose taps are all 0."""
    return [number for number, taps in enumerate(kernel.as_bank()) if not taps.any()]


def fits(filter_: Filter, info: ImageInfo, plan: Plan) -> bool:
    """Whether images may go the short way at all."""
    numbers = filter_.numbers
    plain = numbers.range == "clip" and info.missing is None and not numbers.linear and filter_.combine == "stack"
    looks = numbers.nan == "preserve" and filter_.meets_unknown(info)  # at pixels that no tap may meet
    bare = numbers.alpha == "straight" and (numbers.scale, numbers.bias) == (1, 0)
    colours = not info.has_alpha or bare
    weighed = numbers.nan in LEAVING_OUT and without_taps(filter_.kernel)
    held = native.TYPES if plan.itemsize == 4 else native.WIDE_TYPES
    types = info.dtype in held and filter_.output_dtype(info) in held
    return native.AVAILABLE and plain and colours and types and not weighed and not looks
