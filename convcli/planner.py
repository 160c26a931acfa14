"""Which method computes a problem, in what tiles, and why: plans from sizes alone, no pixels and no NumPy.

Every method is asked for a price or a reason why not; the cheapest is chosen and all answers are kept for the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, lcm, prod
from typing import NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.geometry.problem import Cost, Problem
from convcli.machine import Machine, known
from convcli.methods import METHODS
from convcli.methods.contract import Method, Tile, load
from convcli.records import record, replace

DEFAULT_MEMORY = 2**28
WORTH_A_THREAD = 1e-3
"""Seconds of work that pay for starting one more thread."""
HANDS = 4
"""Threads that tiles are cut for where their number must not matter."""
WORTH_A_TILE = 2e-3
"""Seconds of one thread's work that each of them should have: a product of half the columns takes more than half the
time (1x1, 64 -> 256 channels at 56x56: 1.40 ms in four tiles, 1.11 in one; AVX-512, 2026-11)."""
TEAM = 2
"""The same of a method whose tiles a team shares: one thread has to fit them into its cache, too."""
USUAL = 1.5
"""Threads by whose time methods are compared, however many there are: another method would make other bits. So the one
chosen is no more than 1.4 times as slow as the best by one thread or two (658 problems, by their prices, 2026-11)."""
PAIRED = 2**23
"""Bytes of workspace for a tile of a pair that BLAS mixes, whatever the memory: how it is cut would show."""
EXACT = ("direct", "gemm")
"""Methods that make nothing but sums of products: exact where all sums are whole numbers of float64."""
FEW = 4
"""Tiles for each thread, of a method whose tiles can be shared: where there are fewer, all threads share each tile."""


class Candidate(NamedTuple):
    """One method's answer: a cost, or the reason why it cannot. `itemsize` 8 means that it would need float64.

    `usual` are the seconds by which it is chosen, with as many threads as are usual, and `needed` the bytes of memory
    that a single output takes.
    """

    method: str
    itemsize: int
    cost: Cost | None = None
    refused: str | None = None
    threads: int = 1
    usual: float = 0.0
    needed: int = 0

    @property
    def seconds(self) -> float | None:
        """The predicted time."""
        return self.cost.seconds if self.cost else None


@record
class Plan:
    """A problem with the method, precision and output tile chosen for it, and all that were considered.

    `memory` is what the plan was made for, in bytes.
    """

    problem: Problem
    method: str
    itemsize: int
    tile: Tile
    threads: int
    cost: Cost
    candidates: tuple[Candidate, ...]
    memory: int = DEFAULT_MEMORY

    @property
    def macs(self) -> int:
        """Multiply-adds of the definition; those of the method are in its cost."""
        return self.problem.macs

    @property
    def tiles(self) -> int:
        """Tiles per plane."""
        return prod(ceil(n / t) for n, t in zip(self.problem.output, self.tile, strict=True))

    @property
    def team(self) -> int:
        """Threads that share each tile; 1 where each takes tiles of its own."""
        if self.threads == 1:
            return 1
        return (
            self.threads if _few(load(self.method), self.problem, self.problem.images * self.tiles, self.threads) else 1
        )


@lru_cache(maxsize=256)
def make_plan(
    problem: Problem,
    *,
    method: str = "auto",
    threads: int = 1,
    memory: int = DEFAULT_MEMORY,
    machine: Machine | None = None,
) -> Plan:
    """The cheapest way to compute `problem`, by `threads` threads within about `memory` bytes of workspace.

    `method` forces one by name; it is an error if that method cannot. Which is the cheapest depends on neither threads
    nor memory: methods round differently, and the same request has the same bits.
    """
    if method not in ("auto", *METHODS):
        raise UsageError(f"unknown method {method!r}; use auto, {', '.join(METHODS)}", where="--method")
    if prod(problem.output) == 0:
        raise ConvError(_does_not_fit(problem), "shape")
    priced_for = machine or known().machine
    candidates = tuple(_ask(name, problem, threads, priced_for, memory) for name in METHODS)
    priced = [c for c in candidates if c.cost is not None and method in ("auto", c.method)]
    if not priced:
        reason = next(c.refused for c in candidates if c.method == method)
        raise UsageError(f"{method} cannot do this: {reason}", where="--method")
    best = min(priced, key=lambda candidate: candidate.usual)
    if all(candidate.needed > memory for candidate in priced):
        extent = "x".join(str(axis.extent) for axis in problem.axes)
        least = min(candidate.needed for candidate in priced)
        what = f"one output reads {extent} pixels, {least:,} bytes of working memory"
        raise ConvError(f"{what}; raise --memory", "memory")
    assert best.cost is not None
    working = problem if best.itemsize == problem.itemsize else replace(problem, itemsize=best.itemsize)
    chosen, alone = load(best.method), price_alone(best.method, working, priced_for).seconds
    tile = _shared(chosen, working.depthwise, _cut_for(chosen, working, best.threads, alone))
    tile = _bounded(chosen, tile, working, PAIRED if _by_blas(chosen, working) else memory // threads)
    pieces = working.images * prod(ceil(n / t) for n, t in zip(working.output, tile, strict=True))
    hands = best.threads if chosen.teams(working) else min(best.threads, pieces)
    return Plan(working, best.method, best.itemsize, tile, hands, best.cost, candidates, memory)


def _ask(name: str, problem: Problem, threads: int, machine: Machine, memory: int) -> Candidate:
    """A method's price for the precision it needs, by several threads; of a pair it computes the depthwise step."""
    method = load(name)
    single = problem.itemsize == 4 and method.rounding(problem.depthwise) <= problem.tolerance
    working = problem if single or problem.itemsize == 8 else replace(problem, itemsize=8)
    step = working.depthwise
    if problem.halves and name not in EXACT:
        return Candidate(name, working.itemsize, refused="only direct and gemm add up 64-bit integers without rounding")
    if reason := method.refuse(step):
        return Candidate(name, working.itemsize, refused=reason)
    pieces = problem.images * problem.output[0] if method.grain else _tiles(method, step)
    startup = method.startup(step, machine)
    cost = price_alone(name, working, machine)
    shared = cost.seconds - machine.image
    hands = min(threads, max(1, pieces), 1 + int(shared / WORTH_A_THREAD))
    if is_fixed(method, working) and not problem.multiplier:  # memory decides how many tiles there are at a time
        hands = max(1, min(hands, memory // method.workspace(working, method.tile(step))))
    usual = startup + shared / min(USUAL, max(1, pieces), 1 + shared / WORTH_A_THREAD)
    seconds = machine.image + shared / hands + (0.0 if method.begun() else startup)
    priced = replace(cost, seconds=seconds)
    return Candidate(name, working.itemsize, priced, None, hands, usual, _least(method, working))


def price_alone(name: str, problem: Problem, machine: Machine) -> Cost:
    """What one thread takes with a method, with its tiles and their windows; linear in the machine's units of work."""
    method, step = load(name), problem.depthwise
    cost = method.price(step, machine)
    if problem.multiplier:
        from convcli.methods import pointwise

        cost += pointwise.price(problem, machine)
    carried = machine.view if problem.stored else machine.window
    moved = 0 if method.compiled(step) else _pixels(problem) * carried
    slower = 1.0 if problem.itemsize == 4 else machine.double
    computed = (cost.seconds + moved + _tiles(method, step) * machine.start) * slower
    return replace(cost, seconds=machine.image + computed)


def _tiles(method: Method, problem: Problem) -> int:
    """Tiles of all images."""
    return problem.images * prod(ceil(n / t) for n, t in zip(problem.output, method.tile(problem), strict=True))


def _shared(method: Method, problem: Problem, threads: int) -> Tile:
    """A method's tile, larger for a team; cut between rows, where that may be, so that threads have as many of them."""
    tile = method.tile(problem)
    if team := _few(method, problem, _tiles(method, problem), threads):
        tile = tile[0] * threads, *tile[1:]
    elif not method.grain:
        return tile
    outputs, across = problem.output[0], prod(ceil(n / t) for n, t in zip(problem.output[1:], tile[1:], strict=True))
    others, hands = problem.images * across, 1 if team else threads
    rounds = ceil(ceil(outputs / tile[0]) * others / hands)
    rows = ceil(outputs / ceil(rounds * hands / others)) if team or problem.images <= threads else tile[0]
    grain = method.grain(problem, 0) if method.grain else 1
    return min(outputs, ceil(rows / grain) * grain), *tile[1:]


def _cut_for(method: Method, problem: Problem, threads: int, alone: float) -> int:
    """How many threads tiles are cut for: any number where another cut changes no bits, else by the seconds alone."""
    if not is_fixed(method, problem):
        return threads
    return TEAM if method.teams(problem) or alone < HANDS * WORTH_A_TILE else HANDS


def is_fixed(method: Method, problem: Problem) -> bool:
    """Whether the bits of results depend on how a method's tiles are cut, so that only the problem may decide it.

    Those of a pair do, unless compiled loops mix: BLAS adds up the last columns of a product in another order.
    """
    return _by_blas(method, problem) or method.fixed(problem.depthwise)


def _by_blas(method: Method, problem: Problem) -> bool:
    """Whether it is a pair that BLAS mixes."""
    if not problem.multiplier:
        return False
    from convcli.methods import pointwise

    return not pointwise.fuses(problem, method)


def _few(method: Method, problem: Problem, tiles: int, threads: int) -> bool:
    """Whether threads had better share tiles, where the method lets them."""
    return threads > 1 and method.teams(problem) and tiles < FEW * threads


def _pixels(problem: Problem) -> int:
    """Pixels read and written."""
    read = problem.channels_in * prod(axis.size for axis in problem.axes)
    return problem.planes * (read + problem.channels_out * prod(problem.output))


def _bounded(method: Method, tile: Tile, problem: Problem, memory: int) -> Tile:
    """Halve the longest side of a tile until its workspace fits; a method may know better which, or allow none."""
    if method.fixed(problem.depthwise):
        return tile
    if method.bounded:
        return method.bounded(problem, tile, memory)
    while method.workspace(problem, tile) > memory:
        longest = sorted(range(len(tile)), key=lambda axis: -tile[axis])
        thinner = [thin for axis in longest if (thin := _halved(method, problem, tile, axis)) != tile]
        if not thinner:
            break
        tile = thinner[0]
    return tile


def halved(method: Method, problem: Problem, tile: Tile, axis: int) -> Tile:
    """A tile half as long along an axis, still cut between whole blocks of the method, or results would change."""
    return tile if is_fixed(method, problem) else _halved(method, problem, tile, axis)


def alike(plans: Sequence[Plan], axis: int) -> tuple[Plan, ...]:
    """Plans for results of one size, cut at the same places along an axis; as they are where results would change.

    Side by side, none then computes again what it has of the next slab.
    """
    free = [plan for plan in plans if not is_fixed(load(plan.method), plan.problem)]
    step = lcm(*(_grain(load(plan.method), plan.problem, axis) for plan in free))
    lengths = {plan.tile[axis] for plan in free}
    if len(lengths) < 2 or step > min(lengths):
        return tuple(plans)
    length = min(lengths) // step * step
    thinner = (replace(plan, tile=(*plan.tile[:axis], length, *plan.tile[axis + 1 :])) for plan in free)
    return tuple(next(thinner) if plan in free else plan for plan in plans)


def _halved(method: Method, problem: Problem, tile: Tile, axis: int) -> Tile:
    """The same wherever results change."""
    grain = _grain(method, problem, axis)
    half = min(tile[axis], ceil(tile[axis] / 2 / grain) * grain)
    return *tile[:axis], half, *tile[axis + 1 :]


def _grain(method: Method, problem: Problem, axis: int) -> int:
    """Outputs along an axis between which a tile may be cut."""
    return method.grain(problem.depthwise, axis) if axis < len(problem.axes) - 1 and method.grain else 1


def _least(method: Method, problem: Problem) -> int:
    """Bytes that a thread holds at a time for a single output, or the fewest that a method makes at a time."""
    return method.least(problem) if method.least else method.workspace(problem, (1,) * len(problem.axes))


def _does_not_fit(problem: Problem) -> str:
    sizes = "x".join(str(a.size) for a in problem.axes)
    padded = "x".join(str(a.size + a.begin + a.end) for a in problem.axes)
    extent = "x".join(str(a.extent) for a in problem.axes)
    return f"a kernel of {extent} does not fit {sizes} pixels ({padded} with padding); use --padding same"
