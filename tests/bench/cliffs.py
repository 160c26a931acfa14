"""Kernels from a third of a pixel to four times the image, beside scipy.ndimage: no size may be a cliff.

Each line is a job; at the end the worst ratio of measured to predicted time, either way, and to scipy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import scipy.fft  # noqa: F401 -- methods find it imported, as in a long run
from scipy import ndimage

from convcli.engine.run import run
from convcli.engine.stages.filter import FilterStage
from convcli.engine.steady import ranked
from convcli.filters.borders import parse_border
from convcli.filters.filter import Correlation
from convcli.image import ImageInfo
from convcli.kernels.kernel import Kernel
from convcli.kernels.named import parse_named
from convcli.kernels.parameters import Space
from convcli.planner import make_plan
from tests.bench.turns import markdown_row, take_turns

SHAPES = {
    "signal": (1, 512),
    "line": (1, 128),
    "plane": (96, 96),
    "photo": (480, 640),
    "large photo": (1024, 1024),
    "thin volume": (8, 96, 96),
    "cube": (64, 64, 64),
    "small cube": (30, 30, 30),
    "volume": (128, 128, 128),
}
SIGMAS = (0.3, 1.0, 3.0, 10.0, 24.0, 28.0, 32.0, 64.0, 128.0, 256.0, 500.0)
TYPES = ("float32", "uint16", "float64")
LONG = 4
"""Sizes of an image that sigma goes up to."""
SMALL = 5e-3
"""Seconds from which predictions are held against what was measured."""


def rows(threads: int, rounds: int) -> Iterator[str]:
    """A line a job, then the worst of all."""
    yield markdown_row(["job", "method, tile", "measured, ms", "predicted, ms", "scipy: times as long"])
    yield markdown_row(["---"] * 5)
    found = []
    for name, image, kernel, peer in jobs():
        ratio, times, line = judge(name, image, kernel, peer, threads, rounds)
        found.append((ratio, times, name))
        yield line
    yield ""
    yield f"measured / predicted: {min(found)[0]:.2f} ({min(found)[2]}) to {max(found)[0]:.2f} ({max(found)[2]})"
    slowest = min(found, key=lambda each: each[1])
    yield f"scipy takes {slowest[1]:.2f} times as long at least ({slowest[2]})"


def jobs() -> Iterator[tuple[str, np.ndarray, Kernel, Callable[[np.ndarray], np.ndarray]]]:
    """Images, kernels, and the same by scipy."""
    rng = np.random.default_rng(3)
    for (name, shape), sigma, dtype in product(SHAPES.items(), SIGMAS, TYPES):
        if sigma > LONG * max(shape):
            continue
        image = (rng.random(shape) * 1000).astype(dtype)
        for kind in ("gaussian", "dog", "log", "box") if dtype == "float32" else ("gaussian",):
            text, peer = peers(kind, sigma)
            yield f"{name} {dtype} {text}", image, parse_named(text, Space(len(shape))), peer
    for (name, shape), size in product(SHAPES.items(), (3, 15, 51, 201)):
        if min(shape) > 1 and size ** len(shape) < 10**6:
            taps = rng.standard_normal((size,) * len(shape))
            image = (rng.random(shape) * 1000).astype("float32")
            yield f"{name} float32 random {size}", image, Kernel.from_array("random", taps), peer_of(taps)


def peers(kind: str, sigma: float) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """A kernel's text, and scipy's function."""
    more: dict[str, object] = {"mode": "nearest"}
    size = 2 * round(2 * sigma) + 1
    text = {"gaussian": f"gaussian:{sigma:g}", "dog": f"dog:{sigma / 1.6:g},{sigma:g}", "log": f"log:{sigma:g}"}
    calls = {
        "gaussian": lambda image: ndimage.gaussian_filter(image, sigma, **more),
        "dog": lambda image: (
            ndimage.gaussian_filter(image, sigma / 1.6, radius=int(4 * sigma + 0.5), **more)
            - ndimage.gaussian_filter(image, sigma, **more)
        ),
        "log": lambda image: ndimage.gaussian_laplace(image, sigma, **more),
        "box": lambda image: ndimage.uniform_filter(image, size, **more),
    }
    return text.get(kind, f"box:{size}"), calls[kind]


def peer_of(taps: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
    """The same by scipy's correlation, where that ends."""
    return (lambda image: ndimage.correlate(image, taps, mode="nearest")) if taps.size < 4000 else None


def judge(name, image, kernel, peer, threads: int, rounds: int) -> tuple[float, float, str]:
    """Measured over predicted time (1 where both are short), scipy's over ours, and the line."""
    axes, one = "ZYX"[-image.ndim :], (1,) * image.ndim
    info = ImageInfo(image.shape, image.dtype.name, axes)
    filter_ = Correlation(kernel, stride=one, dilation=one, borders=parse_border("edge", axes))
    stage = FilterStage(filter_, info, make_plan(ranked(filter_.problem(info), kernel), threads=threads))
    runs = {"convcli": lambda: run((stage,), image)}
    if peer:
        runs["scipy"] = lambda: peer(image)
    turns = take_turns(runs, rounds)
    measured, predicted = turns.milliseconds("convcli"), 1e3 * stage.plan.cost.seconds
    ratio = measured / predicted if max(measured, predicted) > 1e3 * SMALL else 1.0
    times = turns.milliseconds("scipy") / measured if peer else float("inf")
    how = f"{stage.plan.method} {'x'.join(map(str, stage.plan.tile))} float{8 * stage.plan.itemsize}"
    cells = [name, how, f"{measured:.2f}", f"{predicted:.2f} ({measured / predicted:.2f})", f"{times:.2f}"]
    return ratio, times, markdown_row(cells)
