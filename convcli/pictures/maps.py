"""What is drawn of a network: its maps, which of each other's places they read, and all that one place sees.

A map is what a layer makes of what it reads, by rows and columns (and slices); what leaves sizes as they are, such as a
relu, has none of its own. What a place sees are rows of bits, so that branches, holes and transposed layers are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from convcli.errors import UsageError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, Spread
from convcli.networks.layers import central_cut
from convcli.networks.network import Shape
from convcli.networks.trace import Step, Trace

Place = tuple[int, ...]
Rows = dict[Place, int]
"""Places of a map: leading coordinates -> a bit for each place of the last axis."""


class Link(NamedTuple):
    """How a map reads the map number `source`: through an axis for each of its own; none reads the same place."""

    source: int
    axes: tuple[Axis, ...] = ()


class Map(NamedTuple):
    """A map: the word of its layer, its channels and sizes, what it reads, and the step that makes it.

    `sizes` are at least one number: a vector is one place. An input reads nothing.
    """

    word: str
    shape: Shape
    sizes: tuple[int, ...]
    links: tuple[Link, ...] = ()
    step: Step | None = None

    @property
    def places(self) -> Iterator[Place]:
        """All its places, row by row."""
        return product(*map(range, self.sizes))

    @property
    def middle(self) -> Place:
        """The place in the middle."""
        return tuple((size - 1) // 2 for size in self.sizes)


class Written(NamedTuple):
    """Numbers as they stand in the cells of a layer: input, kernel, output; and the sum behind each output."""

    image: Mapping[Place, str]
    taps: Mapping[Place, str]
    outputs: Mapping[Place, str]
    sums: Mapping[Place, str]


def maps_of(trace: Trace, inputs: Sequence[Shape] = (), last: int | None = None) -> list[Map]:
    """The maps of a network at work that a step, by default the last one, depends on: inputs and layers in their order.

    `inputs` are those that steps read as -1, -2, ...; by default the one of the trace.

    >>> from convcli.networks.notation import parse
    >>> from convcli.networks.trace import trace
    >>> [each.word for each in maps_of(trace(parse("conv3-8p1 relu max2"), Shape(1, (8, 8))))]
    ['input', 'conv3-8p1', 'max2']
    """
    rank = len(trace.input.spatial) or 1
    maps = [Map("input", shape, sizes_of(shape, rank)) for shape in inputs or (trace.input,)]
    stands = {-1 - i: i for i in range(len(maps))}  # for each step the number of its map
    for i, step in enumerate(trace.steps):
        if is_drawn(step):
            sizes = sizes_of(step.output, rank)
            links = tuple(linked(step, maps[stands[source]], stands[source], sizes) for source in step.sources)
            maps.append(Map(step.word, step.output, sizes, links, step))
            stands[i] = len(maps) - 1
        else:
            stands[i] = stands[step.sources[0]]
    return needed(maps, stands[len(trace.steps) - 1 if last is None else last])


def is_drawn(step: Step) -> bool:
    """True for layers that read other places, change channels, or join; also for another input."""
    return bool(step.applied.axes or step.applied.banks or len(step.sources) != 1 or step.input != step.output)


def sizes_of(shape: Shape, rank: int) -> tuple[int, ...]:
    """The sizes of a map; a vector is one place of as many axes as the input has."""
    return shape.spatial or (1,) * rank


def linked(step: Step, source: Map, number: int, sizes: tuple[int, ...]) -> Link:
    """How a step reads one of its sources: through its axes, or, where it joins, cut about the centre or spread."""
    if step.applied.axes:
        return Link(number, step.applied.axes)
    if source.sizes == sizes:
        return Link(number)
    if not step.output.spatial:  # a vector, made of everything
        return Link(number, tuple(Spread(size, 1) for size in source.sizes))
    return Link(number, tuple(map(fitted, source.sizes, sizes)))


def fitted(size: int, wanted: int) -> Axis:
    """An axis of a join: cut about its centre, or one place that holds for all.

    >>> list(fitted(8, 4).reads(0)), list(fitted(1, 4).reads(3))
    ([2], [0])
    """
    if size == 1:
        return Spread(1, wanted)
    begin, end = central_cut(size, wanted)
    return Geometry(size, 1, begin=-begin, end=-end)


def needed(maps: Sequence[Map], last: int) -> list[Map]:
    """The maps that the last one depends on, under new numbers; the first input stays."""
    kept, waiting = {0}, [last]
    while waiting:
        at = waiting.pop()
        if at not in kept or at == last:
            kept.add(at)
            waiting += [link.source for link in maps[at].links if link.source not in kept]
    numbers = {old: new for new, old in enumerate(sorted(kept))}
    return [
        maps[old]._replace(links=tuple(link._replace(source=numbers[link.source]) for link in maps[old].links))
        for old in numbers
    ]


# --- what a place sees


def seen_by(maps: Sequence[Map], place: Place) -> list[Rows]:
    """For each map the places that one place of the last map depends on.

    >>> from convcli.networks.notation import parse
    >>> from convcli.networks.trace import trace
    >>> maps = maps_of(trace(parse("conv1x3-1d1x2 conv1x3-1d1x2"), Shape(1, (1, 9))))
    >>> [sorted(x for _, x in places_in(rows)) for rows in seen_by(maps, (0, 0))]
    [[0, 2, 4, 6, 8], [0, 2, 4], [0]]
    """
    found: list[Rows] = [{} for _ in maps]
    found[-1] = {place[:-1]: 1 << place[-1]}
    for number in range(len(maps) - 1, -1, -1):
        for link in maps[number].links:
            for row, bits in read_rows(found[number], link).items():
                found[link.source][row] = found[link.source].get(row, 0) | bits
    return found


def read_rows(rows: Rows, link: Link) -> Rows:
    """The places that some places read through a link."""
    if not link.axes:
        return rows
    *leading, last = link.axes
    spread = {bits: read_bits(last, bits) for bits in set(rows.values())}
    found: Rows = {}
    for row, bits in rows.items():
        for read in product(*(inside(axis, at) for axis, at in zip(leading, row, strict=True))):
            found[read] = found.get(read, 0) | spread[bits]
    return found


def read_bits(axis: Axis, bits: int) -> int:
    """The places that some places of an axis read.

    >>> bin(read_bits(Geometry(8, 3, begin=1, end=1), 0b10001))
    '0b111011'
    """
    found = 0
    for position in positions(bits):
        for at in inside(axis, position):
            found |= 1 << at
    return found


def inside(axis: Axis, position: int) -> list[int]:
    """The places that one reads, on the axis itself."""
    return [at for at in axis.reads(position) if 0 <= at < axis.size]


def counted_places(step: Step, *, counts_padding: bool) -> list[range]:
    """For each axis the places by whose number a mean divides: those of the map, or up to the end of its padding.

    What a ceil pooling hangs over is never counted. Source: ATen/native/cpu/AvgPoolKernel.cpp, count_include_pad.
    """
    axes = step.applied.axes
    pads = step.applied.pads if counts_padding and step.applied.pads else ((0, 0),) * len(axes)
    return [range(-begin, axis.size + end) for axis, (begin, end) in zip(axes, pads, strict=True)]


def positions(bits: int) -> Iterator[int]:
    """The places of bits.

    >>> list(positions(0b1010))
    [1, 3]
    """
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def places_in(rows: Mapping[Place, int]) -> set[Place]:
    """Rows of bits as places."""
    return {(*row, at) for row, bits in rows.items() for at in positions(bits)}


def box_of(rows: Mapping[Place, int]) -> tuple[range, ...]:
    """The smallest box around places, a range for each axis; empty ones where there is no place."""
    full = {row: bits for row, bits in rows.items() if bits}
    if not full:
        return ()
    leading = [range(min(axis), max(axis) + 1) for axis in zip(*full, strict=True)]
    every = 0
    for bits in full.values():
        every |= bits
    lowest = (every & -every).bit_length() - 1
    return (*leading, range(lowest, every.bit_length()))


def parse_place(text: str, last: Map) -> Place:
    """The place that --at says, one number for each axis of the last map; the middle where it says nothing."""
    if not text:
        return last.middle
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(last.sizes) or not all(part.isascii() and part.isdecimal() for part in parts):
        letters = ",".join("zyx"[-len(last.sizes) :])
        raise UsageError(f"{text!r} is no place of the output; write {letters}, counted from 0", where="--at")
    place = tuple(int(part[:20]) for part in parts)
    if any(at >= size for at, size in zip(place, last.sizes, strict=True)):
        sizes = "x".join(map(str, last.sizes))
        ends = ",".join(str(size - 1) for size in last.sizes)
        raise UsageError(f"{text} lies outside of the output, {sizes}; the last place is {ends}", where="--at")
    return place
