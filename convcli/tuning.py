"""`convcli tune`: every method timed on a grid of problems, and the numbers that explain the times best.

A price is a sum of units of work, each times how long one takes on a machine. So the times of many problems are a
system of linear equations for those numbers. It is solved by least squares without negative numbers (Lawson and
Hanson, "Solving least squares problems", 1974), of relative errors: a small problem counts as much as a large one.
What the grid does not determine stays near what it was.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from convcli.api.filters import convolve
from convcli.engine.steady import rank_of
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.machine import Machine, processor, unit_names
from convcli.planner import make_plan, price_alone
from convcli.records import record, replace

Array = np.ndarray[Any, Any]
LONGEST = 0.06
"""Predicted seconds from which a method is left out: the whole grid has to be done in half a minute."""
RUNS = 4
"""The fastest of so many counts: whatever else the machine does only adds time."""
PRIOR = 0.3
"""How much a number that stays as it was weighs against one measurement."""
FAR = 20.0
"""How many times cheaper or dearer a unit of work may become: a price of nothing would choose blindly."""
SEED = 20261122


@record
class Case:
    """One problem of the grid: an image of `channels` and a plain kernel, of rank 1 or full, or a bank of filters."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    rank: int = 0
    stride: int = 1
    channels: int = 0
    filters: int = 0
    dtype: str = "float32"

    def arrays(self, rng: np.random.Generator) -> tuple[Array, Kernel]:
        """A random image, and a random kernel for it."""
        lead = (self.channels,) if self.filters else ()
        image = (100 * rng.standard_normal((*lead, *self.size))).astype(self.dtype)
        if self.filters:
            bank = rng.standard_normal((self.filters, self.channels, *self.kernel))
            return image, Kernel.from_array("taps", bank, bank=True)
        if self.rank:
            return image, Kernel.from_terms("taps", [[(rng.random(length) + 0.1).tolist() for length in self.kernel]])
        return image, Kernel.from_array("taps", rng.standard_normal(self.kernel))


GRID = (
    *(Case((side, side), (k, k)) for side in (96, 384, 1024) for k in (3, 7, 15, 31)),
    *(Case((side, side), (k, k), rank=1) for side in (96, 384, 1024) for k in (5, 15, 41)),
    *(Case((512, 512), (k, k), stride=2) for k in (3, 7)),
    *(Case((512, 512), (k, k), rank=1, stride=2) for k in (5, 15)),
    *(Case((side,) * 3, (k,) * 3) for side in (24, 80) for k in (3, 5, 9)),
    *(Case((side,) * 3, (k,) * 3, rank=1) for side in (24, 80) for k in (5, 13)),
    *(Case((512, 512), (k, k), dtype="uint8") for k in (3, 9)),
    Case((56, 56), (3, 3), channels=16, filters=16),
    Case((56, 56), (3, 3), channels=64, filters=64),
    Case((28, 28), (3, 3), channels=128, filters=128),
    Case((56, 56), (1, 1), channels=64, filters=128),
    Case((112, 112), (7, 7), channels=3, filters=32, stride=2),
    Case((64, 64), (5, 5), channels=8, filters=8),
    Case((14, 14), (3, 3), channels=256, filters=256),
)
"""Problems in which each unit of work matters somewhere."""


@record
class Timing:
    """How long a method took on a case, and the units of work in its price, in the order of `unit_names`."""

    case: Case
    method: str
    seconds: float
    units: tuple[float, ...]

    def predicted(self, machine: Machine) -> float:
        """What the price says."""
        return float(np.dot(self.units, [getattr(machine, name) for name in unit_names()]))


def tune(machine: Machine, tell: Callable[[int, int], None] = lambda _done, _all: None) -> tuple[Machine, list[Timing]]:
    """This machine, measured, and the timings; `machine` says what is hopeless, and what to keep where nothing is
    learnt. `tell` hears how many cases of how many are done."""
    rng, timings = np.random.default_rng(SEED), []
    for number, case in enumerate(GRID):
        timings += list(time_case(case, machine, rng))
        tell(number + 1, len(GRID))
    fitted = fit(timings, machine)
    return replace(fitted, name=f"{processor()}, {datetime.now(UTC):%Y-%m}", **measured_alone()), timings


def time_case(case: Case, machine: Machine, rng: np.random.Generator) -> Iterator[Timing]:
    """Every method that is worth it on one case, by one thread."""
    image, kernel = case.arrays(rng)
    ndim = kernel.ndim
    axes = "C" * bool(case.filters) + "ZYX"[-ndim:]
    filter_ = Correlation(
        kernel,
        each=not kernel.bank,
        stride=(case.stride,) * ndim,
        dilation=(1,) * ndim,
        borders=parse_border("edge", "ZYX"[-ndim:]),
    )
    plan = make_plan(filter_.problem(ImageInfo(image.shape, case.dtype, axes), rank_of(kernel)), machine=machine)
    for candidate in plan.candidates:
        method = candidate.method
        if candidate.refused or candidate.itemsize == 8 or price_alone(method, plan.problem, machine).seconds > LONGEST:
            continue
        seconds = fastest(partial(convolve, image, kernel, axes=axes, stride=case.stride, method=method, threads=1))
        units = tuple(price_alone(method, plan.problem, unit(name)).seconds for name in unit_names())
        yield Timing(case, method, seconds, units)


def unit(name: str) -> Machine:
    """A machine on which one unit of work takes a second, and all others nothing."""
    numbers: dict[str, Any] = {**dict.fromkeys(unit_names(), 0.0), name: 1.0}
    return Machine(**numbers)


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs."""
    times = []
    for _ in range(RUNS):
        begin = perf_counter()
        run()
        times.append(perf_counter() - begin)
    return min(times)


def fit(timings: list[Timing], machine: Machine) -> Machine:
    """The machine that explains the timings best, never far from `machine` where they say little."""
    from scipy.optimize import nnls

    before = np.array([getattr(machine, name) for name in unit_names()])
    shares = np.array([np.array(t.units) * before / t.seconds for t in timings]).reshape(-1, len(before))
    system = np.vstack([shares, PRIOR * np.eye(len(before))])
    factors, _ = nnls(system, np.concatenate([np.ones(len(timings)), PRIOR * np.ones(len(before))]))
    after = before * np.clip(factors, 1 / FAR, FAR)
    numbers: dict[str, Any] = dict(zip(unit_names(), map(float, after), strict=True))
    return replace(machine, **numbers)


def relative_error(timings: list[Timing], machine: Machine) -> float:
    """The median of how far prices are from times, as a share of the time."""
    return median(abs(t.predicted(machine) / t.seconds - 1) for t in timings)


def measured_alone() -> dict[str, Any]:
    """What no price is a sum of: float64 against float32, the import of scipy.fft, the best rates."""
    rng = np.random.default_rng(SEED)
    a, b = rng.standard_normal((2, 512, 512)).astype(np.float32)
    wide = a.astype(np.float64), b.astype(np.float64)
    source, target = np.ones(2**24, np.uint8), np.empty(2**24, np.uint8)
    single = fastest(lambda: a @ b)
    return {
        "peak": single / 512**3,
        "double": max(1.0, fastest(lambda: wide[0] @ wide[1]) / single),
        "stream": fastest(lambda: np.copyto(target, source)) / (2 * len(source)),
        "import_fft": max(1e-3, import_time("numpy, scipy.fft") - import_time("numpy")),
    }


def import_time(modules: str) -> float:
    """Seconds that a new process takes with some imports; it looks for them where this one does, not in the current
    folder (-P), as it would with -c alone. Under -I it would not find what a user has installed for himself."""
    call = [sys.executable, "-P", "-c", f"import {modules}"]
    return fastest(lambda: subprocess.run(call, check=True, stdin=subprocess.DEVNULL))
