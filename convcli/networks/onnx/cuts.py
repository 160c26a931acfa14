"""What steps cut out of a value, as words: some channels, some places of an axis; and cuts that only turn an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from convcli.geometry.axis import Geometry
from convcli.networks.network import Shape
from convcli.networks.onnx.layouts import Key, axis_along
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.seen import Seen
from convcli.networks.onnx.walk import GraphStep
from convcli.networks.words import format_pads


class Cut(NamedTuple):
    """Indices of a dimension of that size: every `step`-th, so many, from the first one on."""

    dim: int
    size: int
    first: int
    step: int
    length: int

    @property
    def last(self) -> int:
        """The last index."""
        return self.first + (self.length - 1) * self.step

    @property
    def is_run(self) -> bool:
        """True for indices one behind the other."""
        return self.step == 1


def cuts_of(step: GraphStep, dims: Dims) -> Iterator[list[Cut] | None]:
    """For each output the dimensions that are cut; None where that is not known, or in no regular steps."""
    flow = step.made.flow
    if flow is None or None in dims:
        yield from [None] * len(step.outputs)
    elif flow.what == "split":
        start, size = 0, dims[flow.over[0]] or 0
        for count in flow.places:
            yield [Cut(flow.over[0], size, start, 1, count)]
            start += count
    elif flow.what == "picked":
        yield regular(flow.over[0], dims[flow.over[0]] or 0, flow.places)
    elif flow.what == "axes" and all(isinstance(axis, Geometry) and axis.kernel == 1 for _, axis in flow.axes):
        axes = [(dim, axis) for dim, axis in flow.axes if isinstance(axis, Geometry)]
        yield [Cut(dim, axis.size, -axis.begin, axis.stride, axis.output) for dim, axis in axes]
    else:
        yield None


def regular(dim: int, size: int, places: Sequence[int]) -> list[Cut] | None:
    """Places of a dimension that are equally far apart."""
    steps = {b - a for a, b in pairwise(places)} or {1}
    if len(steps) > 1 or not places or min(steps) < 1:
        return None
    return [Cut(dim, size, places[0], min(steps), len(places))]


def cut_words(cuts: Sequence[Cut], seen: Seen, before: Shape, after: Shape) -> str | None:
    """The words for what is cut: crop for places at the ends, max1/2 for every other, slice for channels."""
    pads, strides = [(0, 0)] * len(before.spatial), [1] * len(before.spatial)
    channels = ""
    for cut in cuts:
        at = axis_along(seen, cut.dim, cut.size)
        if at is not None and len(seen) == len(before.spatial):
            pads[at], strides[at] = (cut.first, cut.size - 1 - cut.last), cut.step
        elif any(factor.dim == cut.dim for axis in seen for factor in axis.factors) or not cut.is_run or channels:
            return None
        elif after.channels <= before.channels:
            start = min(cut.first * before.channels // cut.size, before.channels - after.channels)
            channels = f"slice{start}:{start + after.channels}"
    words = [channels]
    if any(map(any, pads)):
        words.append(f"crop{format_pads(tuple(pads))}")
    if max(strides, default=1) > 1:
        words.append(f"max1/{'x'.join(map(str, strides))}")
    if before.spatial and not after.spatial:
        words.append("flatten")
    return " ".join(filter(None, words))


class Turned(NamedTuple):
    """A run of a dimension of a value."""

    whole: Key
    cut: Cut


def is_turned(parts: Sequence[Turned], dim: int) -> bool:
    """True for all parts of one dimension of one value in another order, as `roll` puts them together."""
    runs = sorted((part.cut.first, part.cut.length) for part in parts)
    ends = [0, *(first + count for first, count in runs)]
    return (
        len({(part.whole, part.cut.dim, part.cut.size) for part in parts}) == 1
        and parts[0].cut.dim == dim
        and [first for first, _ in runs] == ends[:-1]
        and ends[-1] == parts[0].cut.size
    )
