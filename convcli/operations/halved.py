"""Coarser levels of an image: each sample the mean of those that it covers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod

from convcli.filters.borders import parse_border
from convcli.filters.filter import Numbers
from convcli.image import ImageInfo
from convcli.kernels.given import Given
from convcli.kernels.kernel import Kernel
from convcli.operations.filter import Correlate, FilterWork
from convcli.operations.operation import Limits
from convcli.records import record, replace


@record
class Coarser:
    """A level so many times coarser than an image along each axis, where it is: whole blocks alone become samples.

    So each of its samples lies in the middle of a block, and what is left over at the end of an odd size has none.
    Missing samples, and NaN, are left out of their block's mean.
    """

    factors: tuple[tuple[str, int], ...]

    @classmethod
    def by(cls, factors: Mapping[str, int]) -> Coarser:
        """By factors of axes' letters."""
        return cls(tuple(sorted(factors.items())))

    def on(self, info: ImageInfo, limits: Limits) -> FilterWork:
        """The means planned for an image, whatever method was asked for: that is for the filter."""
        factors = dict(self.factors)
        spatial = "ZYX" if "Z" in factors else "YX"
        mean = _mean(tuple(factors.get(letter, 1) for letter in spatial))
        return mean.on(info, replace(limits, method=Limits.method))


@lru_cache(maxsize=16)
def _mean(shape: tuple[int, ...]) -> Correlate:
    """The mean of blocks."""
    kernel = Kernel.from_values("mean", shape, [1 / prod(shape)] * prod(shape))
    borders = parse_border("edge", "ZYX"[-len(shape) :])
    numbers = Numbers(dtype="same", nan="ignore")
    dilation = (1,) * len(shape)
    return Correlate(
        Given((kernel,)), stride=shape, dilation=dilation, padding="valid", borders=borders, numbers=numbers
    )
