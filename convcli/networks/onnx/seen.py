"""What a tensor of a graph sees of the image: a receptive field for each axis, and where in the tensor its places are.

A convolution leaves the places of an image's axis along one dimension of the tensor. A Reshape into windows, tokens or
blocks cuts them into factors and puts these into others, a Transpose moves them, attention reads over some of them. So
an axis here is a field over its places, with factors that say where in the tensor each place is; what reads over a
dimension reads over the factors in it. Where that cannot be followed a field is None, and never too small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, Resized, whole
from convcli.networks.receptive import MAXIMUM_PHASES, Field, Interval, around, seen_through, union

Sizes = tuple[int | None, ...]


class Factor(NamedTuple):
    """A part of a place's number: (index of dimension `dim` // `inner`) % `size`, times `stride`."""

    dim: int
    inner: int
    size: int
    stride: int


class AxisSeen(NamedTuple):
    """What the `length` places of one axis of the image see, and the factors that they are made of.

    Without factors there is one place, which holds for the whole tensor. `image` is how long the axis of the input is.
    """

    field: Field | None
    length: int
    factors: tuple[Factor, ...]
    image: int

    @property
    def unknown(self) -> AxisSeen:
        """The same where nothing is known any more."""
        return self._replace(field=None, length=1, factors=())


Seen = tuple[AxisSeen, ...]
"""One for each axis of the image."""


def image_seen(sizes: Sequence[int]) -> Seen:
    """What an input sees: itself. Its axes stand behind batch and channels; before these where the last is at most 4.

    >>> [axis.factors[0].dim for axis in image_seen((1, 3, 8, 9))], len(image_seen((1, 77)))
    ([2, 3], 0)
    """
    is_last = len(sizes) > 3 and sizes[-1] <= 4 < sizes[1]
    dims = range(1, len(sizes) - 1) if is_last else range(2, len(sizes))
    return tuple(AxisSeen(Field(), sizes[d], (Factor(d, 1, sizes[d], 1),), sizes[d]) for d in dims)


def fields_of(seen: Seen | None) -> tuple[Field | None, ...]:
    """The field of each axis of the image."""
    return tuple(axis.field for axis in seen or ())


def lost_of(seen: Seen) -> Seen:
    """The same axes where nothing is known any more."""
    return tuple(axis.unknown for axis in seen)


# --- one axis


def explicit(axis: AxisSeen, places: Iterable[Interval | None]) -> Field | None:
    """A field of places that follow no rule; None where there are too many."""
    intervals = tuple(places)
    return Field(axis.image, intervals) if 0 < len(intervals) <= MAXIMUM_PHASES else None


def at_place(axis: AxisSeen, place: int) -> Interval | None:
    """What one place sees."""
    return axis.field.at(place) if axis.field else None


def everywhere(axis: AxisSeen, interval: Interval | None) -> Field:
    """A field of which every place sees the same, within the image."""
    if interval is None:
        return Field(0, (None,))
    return Field(0, ((max(0, interval[0]), min(axis.image - 1, interval[1])),))


def slid(axis: AxisSeen, dim: int, size: int, rule: Axis) -> AxisSeen:
    """The axis behind a window, or another rule, along a dimension of that size."""
    if not any(factor.dim == dim for factor in axis.factors):
        return axis
    axis = spread_out(axis, dim, size)
    if axis.factors != (Factor(dim, 1, size, 1),) or axis.field is None:
        return axis if rule == Geometry(size, 1) else axis.unknown  # a 1x1 convolution: each place as it is
    field = seen_through(axis.field, rule)
    return AxisSeen(field, rule.output, (Factor(dim, 1, rule.output, 1),), axis.image)


def spread_out(axis: AxisSeen, dim: int, size: int) -> AxisSeen:
    """The axis with a place for each index of a dimension, also where several indices belonged to one."""
    if len(axis.factors) != 1 or axis.field is None:
        return axis
    factor = axis.factors[0]
    if factor.inner > 1 and factor.inner * factor.size == size and factor.stride == 1:
        field = seen_through(axis.field, Resized(factor.size, size))
        return axis._replace(field=field, length=size, factors=(Factor(dim, 1, size, 1),))
    return axis


def contracted(axis: AxisSeen, dims: Sequence[int]) -> AxisSeen:
    """The axis where some dimensions are read whole."""
    for factor in sorted((f for f in axis.factors if f.dim in dims), key=lambda f: f.stride):
        axis = without(axis, next(f for f in axis.factors if f[:3] == factor[:3]))
    return axis


def without(axis: AxisSeen, gone: Factor) -> AxisSeen:
    """The axis where one factor is read whole."""
    left = tuple(
        f._replace(stride=f.stride // gone.size) if f.stride > gone.stride else f for f in axis.factors if f != gone
    )
    if axis.field is None:
        return AxisSeen(None, axis.length // gone.size, left, axis.image)
    if gone.size == axis.length:
        field = seen_through(axis.field, whole(axis.length))
        return AxisSeen(field and everywhere(axis, field.at(0)), 1, (), axis.image)
    if gone.stride == 1:
        field = seen_through(axis.field, Geometry(axis.length, gone.size, gone.size))
        return AxisSeen(field, axis.length // gone.size, left, axis.image)
    olds = tuple(f for f in axis.factors if f != gone)
    starts = [place_of(olds, index_of(left, place)) for place in range(axis.length // gone.size)]
    seen = (around(at_place(axis, s + t * gone.stride) for t in range(gone.size)) for s in starts)
    few = axis.length <= MAXIMUM_PHASES
    return AxisSeen(explicit(axis, seen) if few else None, len(starts), left, axis.image)


def index_of(factors: Sequence[Factor], place: int) -> tuple[int, ...]:
    """The part of each factor in a place's number."""
    return tuple(place // factor.stride % factor.size for factor in factors)


def place_of(factors: Sequence[Factor], parts: Sequence[int]) -> int:
    """The number of a place from the part of each factor."""
    return sum(part * factor.stride for part, factor in zip(parts, factors, strict=True))


def stretched(axis: AxisSeen, wanted: AxisSeen) -> AxisSeen:
    """The axis with the places of another one, of whose factors it has some: what it sees holds for all the others."""
    if axis.factors == wanted.factors or axis.field is None:
        return axis if axis.factors == wanted.factors else wanted._replace(field=None)
    if axis.length == 1:
        return wanted._replace(field=everywhere_as(axis))
    where = {factor[:3]: factor.stride for factor in axis.factors}
    if not where.keys() <= {factor[:3] for factor in wanted.factors}:
        return wanted._replace(field=None)
    times = wanted.length // axis.length
    if all(factor.stride == times * where[factor[:3]] for factor in wanted.factors if factor[:3] in where):
        return wanted._replace(field=seen_through(axis.field, Resized(axis.length, wanted.length)))
    if wanted.length > MAXIMUM_PHASES:
        return wanted._replace(field=None)
    kept = [(i, where[factor[:3]]) for i, factor in enumerate(wanted.factors) if factor[:3] in where]
    indices = (index_of(wanted.factors, place) for place in range(wanted.length))
    field = explicit(axis, (at_place(axis, sum(index[i] * stride for i, stride in kept)) for index in indices))
    return wanted._replace(field=field)


def everywhere_as(axis: AxisSeen) -> Field:
    """What the one place of an axis sees, for all places."""
    assert axis.field is not None
    return axis.field if axis.field.step == 0 and not axis.field.others else Field(0, (axis.field.at(0),))


def united(axes: Sequence[AxisSeen]) -> AxisSeen:
    """What several values see together that are broadcast to one."""
    widest = max(axes, key=lambda axis: (axis.length, len(axis.factors)))
    wide = [stretched(axis, widest) for axis in axes]
    fields = [axis.field for axis in wide if axis.field]
    field = union(fields, widest.length) if len(fields) == len(wide) else None
    return widest._replace(field=field)


# --- all axes of a tensor


def moved(seen: Seen, places: dict[int, int]) -> Seen:
    """Dimensions under other numbers; what has none is gone, and was read whole."""
    return tuple(
        axis._replace(
            factors=tuple(f._replace(dim=places[f.dim]) for f in axis.factors if f.dim in places),
        )
        for axis in (contracted(axis, [f.dim for f in axis.factors if f.dim not in places]) for axis in seen)
    )


def regrouped(seen: Seen, before: Sizes, after: Sizes) -> Seen:
    """The axes behind a Reshape: a number in row-major order stays where it is, its indices change."""
    if None in before or None in after:
        return tuple(axis.unknown for axis in seen)
    old, new = strides(before), strides(after)
    return tuple(regrouped_axis(axis, old, new, [n or 1 for n in after]) for axis in seen)


def regrouped_axis(axis: AxisSeen, old: list[int], new: list[int], sizes: list[int]) -> AxisSeen:
    """One axis behind a Reshape; its factors are cut at the borders of the new dimensions."""
    pieces: list[Factor] = []
    for factor in axis.factors:
        if factor.size == 1:
            continue
        flat, size, stride = old[factor.dim] * factor.inner, factor.size, factor.stride
        for dim in sorted(range(len(sizes)), key=lambda d: new[d]):
            low, high = new[dim], new[dim] * sizes[dim]
            if sizes[dim] == 1 or flat >= high or size == 1:
                continue
            taken = min(size, high // flat) if flat >= low and not high % flat and not flat % low else 0
            if not taken or size % taken:
                return axis.unknown
            pieces.append(Factor(dim, flat // low, taken, stride))
            flat, size, stride = flat * taken, size // taken, stride * taken
        if size > 1:
            return axis.unknown
    return axis._replace(factors=tuple(together(sorted(pieces, key=lambda f: -f.stride))))


def together(pieces: Iterable[Factor]) -> list[Factor]:
    """Factors that lie in each other, of one dimension and one axis, as one."""
    merged: list[Factor] = []
    for inner in pieces:
        outer = merged[-1] if merged else None
        if (
            outer
            and outer.dim == inner.dim
            and outer.stride == inner.stride * inner.size
            and outer.inner == inner.inner * inner.size
        ):
            merged[-1] = Factor(inner.dim, inner.inner, outer.size * inner.size, inner.stride)
        else:
            merged.append(inner)
    return merged


def strides(sizes: Sizes) -> list[int]:
    """How far apart neighbours along each dimension lie in row-major order."""
    known = [n or 1 for n in sizes]
    return [prod(known[i + 1 :]) for i in range(len(known))]


def picked(seen: Seen, dim: int, size: int, places: Sequence[int], *, keep: bool) -> Seen:
    """The axes of some indices of a dimension, of one of them where the dimension vanishes."""
    return tuple(picked_axis(axis, dim, size, places, keep=keep) for axis in seen)


def picked_axis(axis: AxisSeen, dim: int, size: int, places: Sequence[int], *, keep: bool) -> AxisSeen:
    """One axis of these."""
    if not any(factor.dim == dim for factor in axis.factors):
        return axis
    if not all(factor.dim == dim for factor in axis.factors) or axis.field is None or size > MAXIMUM_PHASES:
        return axis.unknown
    intervals = [at_place(axis, place_at(axis.factors, index)) for index in places]
    if not keep:
        return AxisSeen(Field(0, (intervals[0],)) if intervals else None, 1, (), axis.image)
    return AxisSeen(explicit(axis, intervals), len(places), (Factor(dim, 1, len(places), 1),), axis.image)


def place_at(factors: Sequence[Factor], index: int) -> int:
    """The place at an index of the one dimension that all factors are in."""
    return sum(index // factor.inner % factor.size * factor.stride for factor in factors)


def joined(parts: Sequence[Seen | None], dim: int, sizes: Sequence[int]) -> Seen:
    """Values behind each other along a dimension of those sizes; None is one that sees nothing, such as a token."""
    given = next(part for part in parts if part is not None)
    return tuple(
        joined_axis([None if part is None else part[i] for part in parts], dim, sizes) for i in range(len(given))
    )


def joined_axis(parts: Sequence[AxisSeen | None], dim: int, sizes: Sequence[int]) -> AxisSeen:
    """One axis of these: place after place where it runs along the dimension, all together where it does not."""
    present = [part for part in parts if part is not None]
    if not any(factor.dim == dim for part in present for factor in part.factors):
        return united(present)
    if any(part.field is None or any(f.dim != dim for f in part.factors) for part in present):
        return present[0].unknown
    if sum(sizes) > MAXIMUM_PHASES:
        return present[0].unknown
    intervals = [
        at_place(part, place_at(part.factors, index)) if part else None
        for part, size in zip(parts, sizes, strict=True)
        for index in range(size)
    ]
    first = present[0]
    return AxisSeen(explicit(first, intervals), len(intervals), (Factor(dim, 1, len(intervals), 1),), first.image)


def multiplied(one: Seen | None, other: Seen | None) -> Seen | None:
    """Two values whose dimensions are those of their product; where an axis runs along different ones, all of the
    second is seen: attention reads over them next."""
    if one is None or other is None:
        return one if other is None else other
    return tuple(multiplied_axis(a, b) for a, b in zip(one, other, strict=True))


def multiplied_axis(one: AxisSeen, other: AxisSeen) -> AxisSeen:
    """One axis of these."""
    mine, others = {f[:3] for f in one.factors}, {f[:3] for f in other.factors}
    if not mine <= others and not others <= mine:
        other = contracted(other, [f.dim for f in other.factors if f[:3] not in mine])
    return united([one, other])
