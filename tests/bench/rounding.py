"""How large rounding of the compiled transforms is in tiles that are chosen to hurt, beside the limit it is held to.

    python -m tests.bench.rounding --tiles 9000

prints, for some constants RANDOM of convcli/methods/promise.py, the least PEAK and MOST that no error exceeds, and the
largest error as a part of the limit by the constants that are there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from math import log2, sqrt
from typing import Any

import numpy as np

from convcli.methods.promise import ALONE, COMPILED, UNIT, UNLIKE, Watch
from convcli.native.spectra import SQUARES, Spectrum

Array = np.ndarray[Any, Any]

SHAPES = (32, 32), (64, 64), (64, 512), (128, 256), (256, 128), (128, 1024)
CELL = 8
LAST = 3
"""Units of (|k| * |x|) that the last sums may lose: the promise leaves room for thirty."""
QUIET = 1e-18
"""A limit that all results reach: they are left as they are."""


def kernel(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Taps of some kind, no larger than fits two times."""
    high, wide = (int(rng.integers(1, 1 + min(n // 2, 65))) for n in shape)
    y, x = np.mgrid[:high, :wide]
    y, x = y - (high - 1) / 2, x - (wide - 1) / 2
    kinds = {
        "noise": lambda: rng.standard_normal((high, wide)),
        "positive": lambda: rng.random((high, wide)),
        "box": lambda: np.full((high, wide), 1 / 3),
        "disk": lambda: np.hypot(y / high, x / wide) <= 0.5,
        "gauss": lambda: np.exp(-rng.uniform(2, 40) * ((y / high) ** 2 + (x / wide) ** 2)),
        "ridge": lambda: np.exp(-rng.uniform(2, 40) * (y / high) ** 2 + 0 * x),
        "few": lambda: few(rng, (high, wide), int(rng.integers(1, 5))),
        "two": lambda: few(rng, (high, wide), 2) / 3,
        "wave": lambda: np.cos(rng.random() * 3.2 * y + rng.random() * 3.2 * x),
        "signs": lambda: rng.choice([-1, 1], (high, wide)),
        "line": lambda: few(rng, (high, 1), 3) * np.ones((1, wide)),
    }
    made = np.asarray(kinds[str(rng.choice(list(kinds)))](), np.float32)
    return made if made.any() else made + 1


def few(rng: np.random.Generator, shape: tuple[int, int], count: int) -> Array:
    """Zeros with a few values somewhere."""
    made = np.zeros(shape)
    for _ in range(count):
        made[int(rng.integers(shape[0])), int(rng.integers(shape[1]))] = rng.choice(
            [1, 1 / 3, -1, rng.standard_normal()]
        )
    return made


def picture(rng: np.random.Generator, shape: tuple[int, int], taps: Array) -> Array:
    """Pixels of some kind, one tile of them."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    by = rng.random(2)
    kinds = {
        "none": lambda: np.zeros(shape),
        "flat": lambda: np.full(shape, 1 / 3),
        "noise": lambda: rng.standard_normal(shape),
        "uniform": lambda: rng.random(shape),
        "one": lambda: few(rng, shape, 1),
        "few": lambda: few(rng, shape, int(rng.integers(2, 9))),
        "sparse": lambda: rng.random(shape) * (rng.random(shape) < 0.01),
        "wave": lambda: np.cos(
            2 * np.pi * (int(rng.integers(shape[0])) * y / shape[0] + int(rng.integers(shape[1])) * x / shape[1])
        ),
        "repeated": lambda: repeated(rng, shape),
        "normal columns": lambda: rng.standard_normal(shape[1]) * np.ones(shape),
        "product": lambda: rng.standard_normal((shape[0], 1)) * rng.standard_normal(shape[1]),
        "row": lambda: (y == int(rng.integers(shape[0]))) / 3,
        "column": lambda: (x == int(rng.integers(shape[1]))) / 3,
        "step": lambda: (y > by[0] * shape[0]) * 0.7,
        "steps": lambda: (x > by[1] * shape[1]) * 0.7 + 1e-4 * rng.choice([-1, 1], shape),
        "rows": lambda: rng.random((shape[0], 1)) * np.ones(shape),
        "columns": lambda: rng.random(shape[1]) * np.ones(shape),
        "corner": lambda: (y > by[0] * shape[0]) * (x > by[1] * shape[1]) / 3,
        "matched": lambda: placed(rng, shape, taps),
        "signs of": lambda: placed(rng, shape, np.sign(taps)),
        "checkers": lambda: (y + x) % 2 / 3,
        "signs": lambda: rng.choice([-1, 1], shape),
        "levels": lambda: rng.integers(0, 256, shape) / 255,
        "gradient": lambda: y / shape[0] * by[0] + x / shape[1],
        "wide": lambda: 10.0 ** (-8 * rng.random(shape)),
    }
    made = kinds[str(rng.choice(list(kinds)))]() * rng.choice([1, 1, 0.1, 1e-4])
    return np.asarray(made + rng.choice([0, 0, 0, 0.3, 1, -0.01]), np.float32)


def repeated(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """A wave of about a power of two of periods, whose rounding falls on few frequencies."""
    periods = [int(rng.integers(3)) + n // 2 ** int(rng.integers(1, n.bit_length())) for n in shape]
    y, x = np.mgrid[: shape[0], : shape[1]]
    turns = periods[0] * y / shape[0] * rng.integers(2) + periods[1] * x / shape[1] + rng.random()
    return np.asarray(np.cos(2 * np.pi * turns))


def placed(rng: np.random.Generator, shape: tuple[int, int], taps: Array) -> Array:
    """A picture that is the kernel itself, somewhere, black elsewhere: the largest result that its energy allows."""
    made = np.zeros(shape)
    y, x = (int(rng.integers(n - k + 1)) for n, k in zip(shape, taps.shape, strict=True))
    made[y : y + taps.shape[0], x : x + taps.shape[1]] = taps
    return made


def measured(rng: np.random.Generator) -> tuple[float, float, float, float, float, bool]:
    """The largest error of a pair in units, what RANDOM, PEAK, MOST and ALONE multiply, and whether taps are unlike."""
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    taps = kernel(rng, shape)
    pair = [picture(rng, shape, taps) for _ in range(2)]
    side = (0, 0, 0, 0, 0, 0, *SQUARES)[int(rng.integers(8))]
    pair = [less_squares(one, side) for one in pair] if side else pair
    high, wide = (n - k + 1 for n, k in zip(shape, taps.shape, strict=True))
    block = np.concatenate([pair[0][:high], pair[1]]) if rng.integers(4) else pair[0]
    spectrum = Spectrum(taps, shape)
    found = np.empty((block.shape[0] - taps.shape[0] + 1, wide), np.float32)
    spectrum.correlate(block, found, (high, wide), quiet(taps))
    errors = np.abs(found - exact(block, taps)) - LAST * UNIT[4] * np.abs(exact(np.abs(block), np.abs(taps)))
    values = shape[0] * shape[1]
    left = [less_mean(block[first:], shape, taps) for first in range(0, len(found), high)]
    around = [correlated(one, taps, shape) for one in left]
    norm = sqrt(float(np.square(taps, dtype=np.float64).sum()))
    cells = sum(energies(one) for one in left)
    root = sqrt(float(cells.sum()) / values)
    return (
        max(0.0, float(errors.max())) / UNIT[4],
        sqrt(log2(values)) * (norm * root + sqrt(sum(float(np.square(one).mean()) for one in around))),
        norm * sqrt(max_window(cells, taps)),
        max(float(np.abs(one).max()) for one in around),
        spectrum.gain() * root,
        spectrum.gain() < UNLIKE * float(np.abs(taps.astype(np.float64)).sum()),
    )


def quiet(taps: Array) -> tuple[Any, ...]:
    """To be judged by a limit that all reaches."""
    return Watch(*[QUIET] * 7, 1e-300, 1.0, 0, 0, taps).judging(coarse=False)


def exact(block: Array, taps: Array) -> Array:
    """The correlation in float64."""
    from scipy.fft import next_fast_len

    rows, columns = (n - k + 1 for n, k in zip(block.shape, taps.shape, strict=True))
    rows_long, columns_long = (next_fast_len(n) for n in block.shape)
    return correlated(block, taps, (rows_long, columns_long))[:rows, :columns]


def correlated(block: Array, taps: Array, shape: tuple[int, int]) -> Array:
    """All results in float64, with what wraps around."""
    from scipy.fft import irfft2, rfft2

    spectra = rfft2(block.astype(np.float64), shape) * rfft2(taps.astype(np.float64), shape).conj()
    return np.asarray(irfft2(spectra, shape))


def less_mean(block: Array, shape: tuple[int, int], taps: Array) -> Array:
    """A tile less the mean that the loops take of some rows."""
    pixels = block[: shape[0], : shape[1]]
    wide = -(-taps.shape[1] // CELL) * CELL
    some = pixels[CELL // 2 :: 2 * CELL, : pixels.shape[1] // wide * wide]
    left = np.zeros(shape)
    left[: pixels.shape[0], : pixels.shape[1]] = pixels - (some.mean(dtype=np.float64) if some.size else 0)
    return left


def less_squares(pixels: Array, side: int) -> Array:
    """A picture less the means of squares, as the loops may take them from one with dark parts."""
    rows, columns = (n // side for n in pixels.shape)
    squares = pixels.reshape(rows, side, columns, side)
    return (squares - squares.mean(axis=(1, 3), keepdims=True)).reshape(pixels.shape)


def energies(left: Array) -> Array:
    """Sums of squares by cells."""
    rows, columns = (n // CELL for n in left.shape)
    return np.square(left).reshape(rows, CELL, columns, CELL).sum(axis=(1, 3))


def max_window(cells: Array, taps: Array) -> float:
    """The largest sum of the cells that a window touches, around the edges, too."""
    for axis, (count, size) in enumerate(zip(cells.shape, taps.shape, strict=True)):
        touched = min(-(-(size - 1) // CELL) + 1, count)
        cells = sum(np.roll(cells, -step, axis) for step in range(touched))
    return float(cells.max())


def rows(tiles: int, seed: int) -> Iterator[str]:
    """What constants would do, and what those that are there leave."""
    found = np.array([measured(np.random.default_rng([seed, number])) for number in range(tiles)])
    for kind, unlike, (random, peak, most) in zip(("like", "unlike"), (0, 1), COMPILED, strict=True):
        errors, spread, ghosts, largest, alone, _ = found[(found[:, 1:4] > 0).all(axis=1) & (found[:, 5] == unlike)].T
        for other in np.arange(0.5, 5.01, 0.5):
            rest = errors - other * spread
            least = (rest / ghosts).max(), ((rest - ALONE * alone) / largest).max()
            yield f"{kind} taps, RANDOM {other:.2f}: PEAK at least {least[0]:.2f}, MOST {least[1]:.2f}"
        limit = random * spread + np.minimum(peak * ghosts, most * largest + ALONE * alone)
        worst = f"the largest error is {(errors / limit).max():.2f} of the limit by {random}, {peak}, {most}"
        yield f"{kind} taps, {len(errors)} tiles: {worst}"


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for row in rows(options.tiles, options.seed):
        print(row)


if __name__ == "__main__":
    main()
