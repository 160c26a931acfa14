"""The input sizes of which a graph reads every column: its steps followed along one axis of the image.

What a step does to a size is taken from the graph at the size that was asked for; a Resize keeps its factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, Transposed
from convcli.networks.lossless import SHOWN, Sizes, rule
from convcli.networks.onnx.walk import GraphStep, Walked

TRIES = 400_000
"""Steps that trying every size may follow; a microsecond each."""
LEAST_SIZES, MOST_SIZES = 300, 4096


class Along(NamedTuple):
    """One step along an axis: the steps that it reads, and what it does to their size; None nothing, "all" all of it.

    A window may drop columns; a map has places along the axis.
    """

    sources: tuple[int, ...]
    rule: Axis | str | None = None
    is_window: bool = False
    is_map: bool = False


def lossless_sizes(walked: Walked, axis: int) -> Sizes:
    """The sizes of one axis of the image of which no step drops a column."""
    steps = [along(step, axis) for step in walked.steps]
    limit = min(MOST_SIZES, max(LEAST_SIZES, TRIES // max(1, len(steps))))
    found = list(islice(whole_sizes(steps, limit), SHOWN))
    if len(found) < 2:
        raise UsageError(f"no input up to {limit} is read whole; some layer always drops a column", "shape")
    return Sizes(tuple(size for size, _ in found), rule(found))


def whole_sizes(steps: Sequence[Along], limit: int) -> Iterator[tuple[int, int]]:
    """Sizes that drop nothing, each with the size of the narrowest map that it leads to."""
    for size in range(1, limit + 1):
        narrowest = narrowest_map(steps, size)
        if narrowest:
            yield size, narrowest


def along(step: GraphStep, axis: int) -> Along:
    """What a step does along an axis."""
    value = next((each for each in step.inputs if each is not None and each.seen), None)
    if value is None or not value.seen or step.seen is None:
        return Along(step.sources)
    before, after, flow = value.seen[axis], step.seen[axis], step.made.flow
    dims = [factor.dim for factor in before.factors]
    given = dict(flow.axes) if flow and flow.what == "axes" else {}
    if len(dims) == 1 and dims[0] in given:
        return Along(step.sources, given[dims[0]], step.family in ("convolution", "pooling"), is_map=True)
    whole = "all" if before.factors and not after.factors else None
    return Along(step.sources, whole, is_map=bool(after.factors))


def narrowest_map(steps: Sequence[Along], size: int) -> int:
    """The size of the narrowest map on the way; 0 where a column is dropped or sizes do not meet."""
    sizes, narrowest = list[int](), size
    for step in steps:
        read = [sizes[source] if source >= 0 else size for source in step.sources]
        meeting = {n for n in read if n > 1} or {1}
        n = max(meeting)
        made = n if step.rule is None else 1 if isinstance(step.rule, str) else made_of(step.rule, n, step.is_window)
        if not made or len(meeting) > 1:
            return 0
        narrowest = min(narrowest, made) if step.is_map else narrowest
        sizes.append(made)
    return narrowest


def made_of(axis: Axis, n: int, is_window: bool) -> int:
    """What a step makes of another size; 0 where it does not fit, or drops a column."""
    if isinstance(axis, Geometry):
        moved = axis._replace(size=n)
        fits = n + axis.begin + axis.end >= axis.extent
        return moved.output if fits and not (is_window and moved.dropped) else 0
    if isinstance(axis, Transposed):
        return axis._replace(size=n).output
    return n * axis.output // axis.size
