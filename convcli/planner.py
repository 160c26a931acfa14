"""Which method computes a problem, in what tiles, and why: plans from sizes alone, no pixels and no NumPy.

Every method is asked for a price or a reason why not; the cheapest is chosen and all answers are kept for the report.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from math import ceil, prod
from typing import Any, NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.geometry.problem import Cost, Problem
from convcli.machine import Machine, known
from convcli.methods import METHODS, pointwise
from convcli.records import record, replace

DEFAULT_MEMORY = 2**28
WORTH_A_THREAD = 1e-3
"""Seconds of work that pay for starting one more thread."""
HANDS = 4
"""Threads that tiles are cut for where their number must not matter."""
TEAM = 2
"""The same of a method whose tiles a team shares: one thread has to fit them into its cache, too."""
USUAL = 1.5
"""Threads by whose time methods are compared, however many there are: another method would make other bits. So the one
chosen is no more than 1.4 times as slow as the best by one thread or two (658 problems, by their prices, 2026-11)."""
PAIRED = 2**23
"""Bytes of workspace for a tile of a pair, whatever the memory: its products depend on how they are cut."""
EXACT = ("direct", "gemm")
"""Methods that make nothing but sums of products: exact where all sums are whole numbers of float64."""
FEW = 4
"""Tiles for each thread, of a method whose tiles can be shared: where there are fewer, all threads share each tile."""
WORKSPACE = 4
"""Arrays of the size of a tile's window that a thread holds at a time: block, result and the method's own."""


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
    tile: tuple[int, ...]
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
        shared = load(self.method) if self.threads > 1 else None
        return self.threads if _few(shared, self.problem.images * self.tiles, self.threads) else 1


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
    candidates = tuple(_ask(name, problem, threads, machine or known().machine, memory) for name in METHODS)
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
    chosen = load(best.method)
    tile = _shared(chosen, working.depthwise, _cut_for(chosen, working, best.threads))
    tile = _bounded(chosen, tile, working, PAIRED if problem.multiplier else memory // threads)
    return Plan(working, best.method, best.itemsize, tile, best.threads, best.cost, candidates, memory)


def load(method: str) -> Any:
    """The module of a method."""
    return import_module(f"convcli.methods.{method}")


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
    pieces = problem.images * problem.output[0] if hasattr(method, "grain") else _tiles(method, step)
    startup = getattr(method, "startup", _free)(step, machine)
    cost = price_alone(name, working, machine)
    shared = cost.seconds - machine.image
    hands = min(threads, max(1, pieces), 1 + int(shared / WORTH_A_THREAD))
    if is_fixed(method, working) and not problem.multiplier:  # memory decides how many tiles there are at a time
        hands = max(1, min(hands, memory // _workspace(method, method.tile(step), working)))
    usual = startup + shared / min(USUAL, max(1, pieces), 1 + shared / WORTH_A_THREAD)
    seconds = machine.image + shared / hands + startup
    priced = replace(cost, seconds=seconds)
    return Candidate(name, working.itemsize, priced, None, hands, usual, _least(method, working))


def price_alone(name: str, problem: Problem, machine: Machine) -> Cost:
    """What one thread takes with a method, with its tiles and their windows; linear in the machine's units of work."""
    method, step = load(name), problem.depthwise
    cost: Cost = method.price(step, machine) + pointwise.price(problem, machine)
    carried = machine.view if problem.stored else machine.window
    moved = 0 if getattr(method, "compiled", _never)(step) else _pixels(problem) * carried
    slower = 1.0 if problem.itemsize == 4 else machine.double
    computed = (cost.seconds + moved + _tiles(method, step) * machine.start) * slower
    return replace(cost, seconds=machine.image + computed)


def _tiles(method: Any, problem: Problem) -> int:
    """Tiles of all images."""
    tile: tuple[int, ...] = method.tile(problem)
    return problem.images * prod(ceil(n / t) for n, t in zip(problem.output, tile, strict=True))


def _shared(method: Any, problem: Problem, threads: int) -> tuple[int, ...]:
    """A method's tile, larger for a team; cut between rows, where that may be, so that threads have as many of them."""
    tile: tuple[int, ...] = method.tile(problem)
    if team := _few(method, _tiles(method, problem), threads):
        tile = tile[0] * threads, *tile[1:]
    elif not hasattr(method, "grain"):
        return tile
    outputs, across = problem.output[0], prod(ceil(n / t) for n, t in zip(problem.output[1:], tile[1:], strict=True))
    others, hands = problem.images * across, 1 if team else threads
    rounds = ceil(ceil(outputs / tile[0]) * others / hands)
    rows = ceil(outputs / ceil(rounds * hands / others)) if team or problem.images <= threads else tile[0]
    grain = method.grain(problem)
    return min(outputs, ceil(rows / grain) * grain), *tile[1:]


def _cut_for(method: Any, problem: Problem, threads: int) -> int:
    """How many threads tiles are cut for: any number where another cut changes no bits, else always the same."""
    if not is_fixed(method, problem):
        return threads
    return TEAM if hasattr(method, "TEAM") else HANDS


def is_fixed(method: Any, problem: Problem) -> bool:
    """Whether the bits of results depend on how a method's tiles are cut, so that only the problem may decide it.

    Those of a pair do: BLAS adds up the last columns of a product in another order.
    """
    return problem.multiplier > 0 or (hasattr(method, "fixed") and bool(method.fixed(problem)))


def _few(method: Any, tiles: int, threads: int) -> bool:
    """Whether threads had better share tiles, where the method lets them."""
    return threads > 1 and hasattr(method, "TEAM") and tiles < FEW * threads


def _pixels(problem: Problem) -> int:
    """Pixels read and written."""
    read = problem.channels_in * prod(axis.size for axis in problem.axes)
    return problem.planes * (read + problem.channels_out * prod(problem.output))


def _free(_problem: Problem, _machine: Machine) -> float:
    """What the first use of most methods costs."""
    return 0.0


def _never(_problem: Problem) -> bool:
    """What a method without compiled loops says of them."""
    return False


def _bounded(method: Any, tile: tuple[int, ...], problem: Problem, memory: int) -> tuple[int, ...]:
    """Halve the longest side of a tile until its workspace fits; a method may know better which, or allow none."""
    if hasattr(method, "fixed") and method.fixed(problem.depthwise):
        return tile
    if hasattr(method, "bounded"):
        bounded: tuple[int, ...] = method.bounded(problem, tile, memory)
        return bounded
    while _workspace(method, tile, problem) > memory:
        longest = sorted(range(len(tile)), key=lambda axis: -tile[axis])
        thinner = [thin for axis in longest if (thin := _halved(method, problem, tile, axis)) != tile]
        if not thinner:
            break
        tile = thinner[0]
    return tile


def halved(method: Any, problem: Problem, tile: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """A tile half as long along an axis, still cut between whole blocks of the method, or results would change."""
    return tile if is_fixed(method, problem) else _halved(method, problem, tile, axis)


def _halved(method: Any, problem: Problem, tile: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The same wherever results change."""
    grain = method.grain(problem.depthwise, axis) if axis < len(tile) - 1 and hasattr(method, "grain") else 1
    half = min(tile[axis], ceil(tile[axis] / 2 / grain) * grain)
    return *tile[:axis], half, *tile[axis + 1 :]


def _least(method: Any, problem: Problem) -> int:
    """Bytes that a thread holds at a time for a single output, or the fewest that a method makes at a time."""
    if hasattr(method, "bounded"):
        tile = method.bounded(problem, method.tile(problem.depthwise), 0)
        between: int = method.between(problem, tile)
        return between
    return _workspace(method, (1,) * len(problem.axes), problem)


def _workspace(method: Any, tile: tuple[int, ...], problem: Problem) -> int:
    """Bytes that a thread holds at a time: each pixel of the window once where the method looks it up."""
    if hasattr(method, "workspace"):
        known: int = method.workspace(problem, tile)
        return known
    window = prod((t - 1) * a.stride + a.extent for t, a in zip(tile, problem.axes, strict=True))
    outputs = problem.between + problem.channels_out
    return WORKSPACE * problem.itemsize * (problem.channels_in * window + outputs * prod(tile))


def _does_not_fit(problem: Problem) -> str:
    sizes = "x".join(str(a.size) for a in problem.axes)
    padded = "x".join(str(a.size + a.begin + a.end) for a in problem.axes)
    extent = "x".join(str(a.extent) for a in problem.axes)
    return f"a kernel of {extent} does not fit {sizes} pixels ({padded} with padding); use --padding same"
