"""The contract between the planner, the engine and the ways to compute a convolution: what each gives, and may give."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from convcli.geometry.problem import Cost, Problem
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

    from convcli.machine import Machine
    from convcli.methods.cutting import Alone
    from convcli.native import Counts

    Array = np.ndarray[Any, Any]

Tile = tuple[int, ...]
"""Outputs along each spatial axis."""
Reads = tuple["Array | None", ...]
"""For each axis which of its pixels stands at each position of a window, -1 for zero; None: each for itself."""
Fused = Callable[..., "Counts | None"]
"""(channels of source rows, target rows of each filter, what stands beyond, scale and bias and step) -> counts, or None
where the method cannot do these."""
WORKSPACE = 4
"""Arrays of the size of a tile's window that a thread holds at a time: block, result and the method's own."""


class Prepared(Protocol):
    """A method with the taps of a filter, ready for tiles."""

    @abstractmethod
    def __call__(self, block: Array, out: Array, /) -> None:
        """Fill `out` (O, *tile) from `block` (I, *window)."""

    @property
    def blas(self) -> bool:
        """Whether it calls BLAS, whose threads would come on top of those that call it."""
        return True

    @property
    def looks_up(self) -> bool:
        """Whether it had rather be given each pixel once, and looks it up: it takes boxes of any size, too."""
        return False

    def look_up(self, block: Array, out: Array, reads: Reads) -> None:
        """The same from the pixels that `reads` looks up for the window."""
        import numpy as np

        for axis, read in enumerate(reads, block.ndim - len(reads)):
            block = block if read is None else np.take(block, read, axis=axis)
        self(np.ascontiguousarray(block), out)

    @property
    def fused(self) -> Fused | None:
        """The same on samples as they lie in an image; None where there is no such way."""
        return None

    def bound(self, **told: Any) -> Callable[[Array, Array], Counts | None]:
        """`fused`, told of all but the samples: for calls that recur."""
        assert self.fused is not None
        return partial(self.fused, **told)

    @property
    def shares(self) -> bool:
        """Whether the threads of a team can share a call of `fused`."""
        return False

    def with_team(self, team: Alone, /) -> Prepared:  # noqa: ARG002 -- for those that have no use for one
        """The same by a team of threads."""
        return self


def never(_problem: Problem) -> bool:
    """Of no problem."""
    return False


def always(_problem: Problem) -> bool:
    """Of every problem."""
    return True


def free(_problem: Problem, _machine: Machine) -> float:
    """No seconds."""
    return 0.0


def windows(problem: Problem, tile: Tile) -> int:
    """Bytes of a few arrays of the size of a tile's window."""
    window = prod((t - 1) * a.stride + a.extent for t, a in zip(tile, problem.axes, strict=True))
    outputs = problem.between + problem.channels_out
    return WORKSPACE * problem.itemsize * (problem.channels_in * window + outputs * prod(tile))


@record
class Method:
    """What the module of a method gives, as `METHOD`. Prices and refusals need no NumPy.

    `refuse` is a reason why it cannot compute a problem, or None; `price` the cost by one thread in the problem's
    precision; `rounding` its error in float32, relative to sum|k| max|x|; `tile` the outputs that it likes to compute
    at a time. `prepare` makes it ready for taps (O, I/g, *kernel). These five every method has.

    A result's bits may depend on its place in a tile: of `fixed` problems, no memory and no threads may cut tiles.
    Where smaller ones cost no more work, `grain` says after how many outputs they may be cut along an axis; `bounded`
    cuts one whose workspace is to fit some bytes, where halves of the longest side would not do, and `least` is what a
    thread then holds for the smallest. `workspace` are the bytes that it holds for any tile. `startup` are the seconds
    that the first use in a process costs, and `begun` whether this one has had it: that may be told, but the choice may
    not depend on it. Samples are read as they lie in an image where it is `compiled`. Where there are few tiles,
    threads share each of one that `teams` up, which compiled loops do.
    """

    refuse: Callable[[Problem], str | None]
    price: Callable[[Problem, Machine], Cost]
    rounding: Callable[[Problem], float]
    tile: Callable[[Problem], Tile]
    prepare: Callable[[Array, Problem], Prepared]
    fixed: Callable[[Problem], bool] = never
    compiled: Callable[[Problem], bool] = never
    startup: Callable[[Problem, Machine], float] = free
    begun: Callable[[], bool] = bool
    workspace: Callable[[Problem, Tile], int] = windows
    grain: Callable[[Problem, int], int] | None = None
    bounded: Callable[[Problem, Tile, int], Tile] | None = None
    least: Callable[[Problem], int] | None = None
    teams: Callable[[Problem], bool] = never


def load(name: str) -> Method:
    """A method by its name."""
    method: Method = import_module(f"convcli.methods.{name}").METHOD
    return method
