"""The boxes that an output is made in, chosen by what they cost.

A box reads more than it makes: what lies around it, and all of each chunk that it touches, which is unpacked again for
every box that does. Large boxes do so seldom, and take memory. What is read along an axis depends on the cut along that
axis alone: so all boxes together are what one of them is, times sums along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import field
from functools import cached_property
from itertools import product, takewhile
from math import ceil, prod
from typing import TYPE_CHECKING

from convcli.engine.boxes import boxes_of, bytes_for, middle
from convcli.engine.slabs import touched
from convcli.image import Grid
from convcli.machine import known
from convcli.planner import price_alone
from convcli.records import record
from convcli.system import memory

if TYPE_CHECKING:
    from convcli.engine.slabs import Slab, Stage
    from convcli.image import Spans
    from convcli.operations.operation import Limits

DECODE, ENCODE = 1 / 380e6, 1 / 310e6
"""Seconds for a byte that is unpacked, and for one that is summed up and packed: a core of an AMD EPYC, both at work,
December 2026, zstd of photon counts in uint16, by `python -m tests.bench.rates`. One chunk of 8 MB alone gave 560 to
870, and 360 to 400."""
RATE, RATIO = 80.0, 0.5
"""MB/s between an object store and one of many workers, assumed; and bytes packed, of a byte of pixels: microscopes'
images have 0.4 to 0.6."""
TASK = 0.01
"""Seconds for a box: the opening of its source and target, the answer."""
EACH, PART = 2**30, 4
"""Bytes of a box at most, and the part of this machine's memory that those under way here may take, where no --memory
is given."""
TOGETHER = 2
"""Boxes that fit into a given --memory at once: one is read or written while the other is computed."""
LEAST_HANDS, MOST_HANDS, PACE = 4, 64, 4.0
"""Workers or threads that should have as much to do as each other, at least and at most, and the seconds of each that
make it worth while to have one more."""
NEAR = 1.05
"""The time, relative to the best, that a box is worth which takes less memory."""
MOST_CUTS, FEW_CUTS = 256, 16
"""Cuts along an axis that are looked at one by one, of more so many: to tell what boxes take, and to choose them."""
Cut = tuple[int, int]
Amounts = tuple[float, ...]
"""Samples read, those of the chunks that hold them, and those that each stage computes, the last one first."""


def most_of_one(limits: Limits) -> int:
    """Bytes that one box may take."""
    return limits.boxes // TOGETHER if limits.boxes else min(EACH, memory() // PART // TOGETHER)


def most_of_all(limits: Limits, threads: int) -> int:
    """Bytes that the boxes may take which so many threads make at a time."""
    return limits.boxes or min(EACH * threads, memory() // PART)


@record(eq=False)
class Ledger:
    """What boxes of the results of stages take of a source in such chunks, by what one of them does, the `sample`.

    The source is `far` where it comes through a network.
    """

    stages: Sequence[Stage]
    chunks: Sequence[int]
    sample: Spans
    most: int = MOST_CUTS
    far: bool = False
    _along: dict[tuple[int, int], Amounts] = field(default_factory=dict, init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The results'."""
        return self.stages[-1].after.shape

    @cached_property
    def one(self) -> Amounts:
        """What the sample takes."""
        return self.of(self.sample)

    def of(self, box: Spans) -> Amounts:
        """What a box takes."""
        boxes, computed = [box], []
        for stage in reversed(self.stages):
            slabs = [stage.part(each) for each in boxes]
            computed.append(sum(map(in_tiles, slabs)))
            boxes = [spans for slab in slabs for _, spans in slab.stretches()]
        return (*volumes(boxes, self.chunks, self.stages[0].info.shape), *computed)

    def along(self, axis: int, step: int) -> Amounts:
        """What all cuts along an axis take, relative to the sample."""
        if (axis, step) not in self._along:
            cuts = touched((0, self.shape[axis]), step, self.shape[axis])
            few = len(cuts) <= self.most
            some = cuts if few else [cuts[len(cuts) * number // self.most] for number in range(self.most)]
            each = [self.of((*self.sample[:axis], cut, *self.sample[axis + 1 :])) for cut in some]
            share = len(cuts) / len(some)
            sums = zip(map(sum, zip(*each, strict=True)), self.one, strict=True)
            self._along[axis, step] = tuple(share * total / one for total, one in sums)
        return self._along[axis, step]

    def total(self, block: Sequence[int]) -> Amounts:
        """What all boxes take together."""
        axes = [self.along(axis, step) for axis, step in enumerate(block)]
        return tuple(one * prod(factors) for one, *factors in zip(self.one, *axes, strict=True))

    @cached_property
    def prices(self) -> list[float]:
        """Seconds of one core for a sample that each stage computes, the last one first."""
        machine = known().machine
        costs = [price_alone(stage.plan.method, stage.plan.problem, machine) for stage in reversed(self.stages)]
        return [cost.seconds / in_tiles(stage.whole) for cost, stage in zip(costs, reversed(self.stages), strict=True)]

    def computing(self, total: Amounts) -> float:
        """Seconds of one core that computes all boxes."""
        return sum(price * samples for price, samples in zip(self.prices, total[2:], strict=True))

    def spent(self, total: Amounts) -> float:
        """Seconds of one core that unpacks, computes and packs all boxes."""
        each = DECODE + (RATIO / (RATE * 1e6) if self.far else 0)
        unpacked = total[1] * self.stages[0].info.sample.size * each
        return self.computing(total) + unpacked + self.stages[-1].after.nbytes * ENCODE

    @cached_property
    def hands(self) -> int:
        """How many should have as much to do as each other: of long work many."""
        once = self.spent(self.total(self.shape))
        return round(max(LEAST_HANDS, min(MOST_HANDS, once / PACE)))

    def seconds(self, block: Sequence[int]) -> float:
        """Seconds until all boxes are made, a few at a time."""
        tasks = tasks_of(self.shape, block)
        return (self.spent(self.total(block)) / tasks + TASK) * ceil(tasks / self.hands)


def tasks_of(shape: Sequence[int], block: Sequence[int]) -> int:
    """How many blocks a shape has."""
    return prod(-(-size // step) for size, step in zip(shape, block, strict=True))


def best_block(
    stages: Sequence[Stage], chunks: Sequence[int], unit: Sequence[int], most: int, *, far: bool = False
) -> tuple[int, ...]:
    """The block of whole units that takes least time, with boxes of at most so many bytes; else the least there is.

    Of those that take hardly longer, the one with the smallest boxes.
    """
    least = boxes_of(stages, Grid(tuple(unit))).block
    ledger = Ledger(stages, chunks, middle(stages[-1].after.shape, least), FEW_CUTS, far)
    result = stages[-1].after.sample.size
    every = product(*(longer(step, size) for step, size in zip(least, ledger.shape, strict=True)))
    small = (block for block in every if prod(block) * result <= most or block == least)
    timed = sorted((ledger.seconds(block), block) for block in small)
    fitting = (pair for pair in timed if bytes_for(stages, middle(ledger.shape, pair[1])) <= most)
    best, block = next(fitting, (0.0, least))
    near = takewhile(lambda pair: pair[0] <= NEAR * best, fitting)
    return min([block, *(block for _, block in near)], key=prod)


def longer(step: int, size: int) -> Iterator[int]:
    """Multiples of a step up to a size: 1, 2, 3, 4, 6, 8, 12 times and so on, and the size itself.

    >>> list(longer(64, 500)), list(longer(7, 7))
    ([64, 128, 192, 256, 384, 500], [7])
    """
    power = step
    while power < size:
        yield power
        if power > step and (half := power + power // 2) < size:
            yield half
        power *= 2
    yield size


def in_tiles(slab: Slab) -> int:
    """Results that are computed for a slab: whole tiles, where these are not cut."""
    along = [sum(stop - start for start, stop in slab.stage.tiles(axis, span)) for axis, span in enumerate(slab.spans)]
    return prod(along) * prod(stop - start for start, stop in slab.loops)


def volumes(boxes: Sequence[Sequence[Cut]], chunks: Sequence[int], shape: Sequence[int]) -> tuple[int, int]:
    """Samples that boxes cover, and those of the chunks that they touch."""
    each = [lengths({box[axis] for box in boxes}, step, shape[axis]) for axis, step in enumerate(chunks)]
    return prod(covered for covered, _ in each), prod(touching for _, touching in each)


def lengths(spans: Set[Cut], step: int, size: int) -> tuple[int, int]:
    """How much of an axis spans cover, and the chunks that they touch.

    >>> lengths({(24, 40)}, 32, 100), lengths({(0, 8), (92, 100)}, 32, 100)
    ((16, 64), (16, 68))
    """
    pieces = {piece for span in spans for piece in touched(span, step, size)}
    return sum(stop - start for start, stop in spans), sum(stop - start for start, stop in pieces)
