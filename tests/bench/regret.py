"""How good the planner's choices are: time of the chosen method over time of the best, on a grid of problems."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from statistics import median, quantiles

import numpy as np

from convcli import convolve
from convcli.engine.steady import rank_of
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.planner import make_plan
from tests.bench.turns import markdown_row, take_turns

SIDES = (64, 256, 1024)
SIZES = (3, 5, 9, 15, 25, 41)
BANKS = ((16, 16, 3, 56), (64, 64, 3, 56), (128, 128, 3, 28), (64, 128, 1, 56), (3, 32, 7, 112), (8, 8, 5, 64))


def rows(threads: int, rounds: int) -> Iterator[str]:
    """A line a problem, then the distribution of the regret."""
    yield markdown_row(["problem", "chosen", "best", "regret", "measured and predicted, ms"])
    yield markdown_row(["---"] * 5)
    regrets = []
    for name, image, taps in problems():
        regret, line = judge(name, image, taps, threads, rounds)
        regrets.append(regret)
        yield line
    ninth = quantiles(regrets, n=10)[-1]
    yield f"\nregret: median {median(regrets):.2f}, nine in ten under {ninth:.2f}, largest {max(regrets):.2f}"


def problems() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Images and kernels of the grid: dense, low rank, and banks."""
    rng = np.random.default_rng(5)
    for side, size in product(SIDES, SIZES):
        image = rng.standard_normal((side, side)).astype(np.float32)
        yield f"{side}x{side}, {size}x{size}", image, rng.standard_normal((size, size))
        yield f"{side}x{side}, {size}x{size} rank 1", image, np.outer(*rng.standard_normal((2, size)))
    for side, size, dtype in product(SIDES[1:], SIZES[::2], ("uint8", "uint16", "float32", "float64")):
        image = (250 * rng.random((side, side))).astype(dtype)
        yield f"{side}x{side} {dtype}, box {size}", image, np.full((size, size), 1 / size**2)
    for channels, filters, size, side in BANKS:
        image = rng.standard_normal((channels, side, side)).astype(np.float32)
        yield (
            f"{channels} -> {filters}, {size}x{size} on {side}x{side}",
            image,
            rng.standard_normal((filters, channels, size, size)),
        )


def judge(name: str, image: np.ndarray, taps: np.ndarray, threads: int, rounds: int) -> tuple[float, str]:
    """Time every method on a problem; the regret of the planner's choice."""
    plan = plan_of(image, taps, threads)
    hopeless = 20 * plan.cost.seconds
    runs = {
        c.method: lambda method=c.method: convolve(image, taps, method=method, threads=threads)
        for c in plan.candidates
        if c.cost is not None and c.cost.seconds < hopeless
    }
    turns = take_turns(runs, rounds)
    times = {method: turns.milliseconds(method) for method in runs}
    best = min(times, key=times.__getitem__)
    predicted = {c.method: 1e3 * c.cost.seconds for c in plan.candidates if c.cost is not None}
    facts = ", ".join(f"{method} {times[method]:.2f} ({predicted[method]:.2f})" for method in times)
    regret = times[plan.method] / times[best]
    return regret, markdown_row([name, plan.method, best, f"{regret:.2f}", facts])


def plan_of(image: np.ndarray, taps: np.ndarray, threads: int):
    """The plan that `convolve` makes."""
    kernel = Kernel.from_array("taps", taps.astype(float), bank=taps.ndim > 3)
    axes = "CYX"[-image.ndim :]
    filter_ = Correlation(
        kernel, each=not kernel.bank, stride=(1, 1), dilation=(1, 1), borders=parse_border("edge", "YX")
    )
    return make_plan(filter_.problem(ImageInfo(image.shape, image.dtype.name, axes), rank_of(kernel)), threads=threads)
