"""How kernels and rates go together: one rate, several side by side or joined, or a chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from convcli.errors import UsageError
from convcli.operations.dilated import Chain, Dilate, Joined, Rate, SideBySide
from convcli.operations.filter import Correlate

T = TypeVar("T")
Build = Callable[[Sequence[T], str], Correlate]
"""From kernels, and how their results are combined, to a filter."""


def chained(kernels: Sequence[T], combine: str, rates: tuple[Rate, ...], build: Build[T]) -> Chain:
    """A chain: one kernel for all steps, or several joined at each, or one for each step."""
    if len(kernels) in (1, len(rates)) and (combine == "stack" or len(kernels) == 1):
        filters = [build([kernel], combine) for kernel in kernels]
    elif combine != "stack":
        filters = [build(kernels, combine)]
    else:
        raise UsageError(
            f"{len(kernels)} kernels for a chain of {len(rates)}; give one for all steps, one for each, or --combine",
            where="-k",
        )
    return Chain(tuple(filters if len(filters) > 1 else filters * len(rates)), rates)


def beside(
    kernels: Sequence[T], combine: str, rates: tuple[Rate, ...], build: Build[T]
) -> Dilate | Joined | SideBySide:
    """One rate; or several in one image, or joined where there is one kernel to combine."""
    if len(rates) == 1:
        return Dilate(build(kernels, combine), rates[0])
    if combine != "stack" and len(kernels) == 1:
        return Joined(build(kernels, "stack"), rates, combine)
    return SideBySide(build(kernels, combine), rates)
