"""A volume to try filters on, as a microscope sees it: cells with membranes and nuclei, a vessel that branches, beads.

All is blurred by one point spread, longer along Z, and counted in photons.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BACKGROUND = 180.0
"""Photons where nothing is."""


def point_spread(shape: tuple[int, int, int] = (7, 9, 9)) -> Array:
    """What becomes of a point, its sum 1: narrow in focus, a ring out of it, float64."""
    z, y, x = np.mgrid[tuple(slice(-(size // 2), size // 2 + 1) for size in shape)].astype(np.float64)
    away, wide = np.hypot(y, x), 1 + (0.55 * z) ** 2
    taps = (
        np.exp(-(away**2) / (2 * 1.1 * wide)) / wide
        + 0.12 * np.exp(-((away - 1.4 * abs(z)) ** 2) / 0.8) * (z != 0) / wide
    )
    return np.asarray(taps / taps.sum())


def tissue(shape: tuple[int, int, int], seed: int) -> Array:
    """The volume, (Z, Y, X) uint16; a slice is ten times as thick as a pixel is wide."""
    random = np.random.RandomState(seed)
    margin = tuple(size // 2 for size in point_spread().shape)
    grid = np.mgrid[tuple(slice(-m, size + m) for m, size in zip(margin, shape, strict=True))].astype(np.float64)
    dye = cells(grid, shape, random) + vessel(grid, shape) + beads(grid, shape, random)
    seen = blurred(BACKGROUND + dye, point_spread())
    return np.asarray(random.poisson(seen), np.uint16)


def cells(grid: Array, shape: tuple[int, int, int], random: np.random.RandomState) -> Array:
    """Nine cells, each a bright membrane, dim inside, with a nucleus away from its middle."""
    dye = np.zeros(grid.shape[1:])
    z, y, x = grid[0] * 5, grid[1], grid[2]
    for place in range(9):
        centre = (np.array([place // 3, place % 3]) + 0.5 + random.uniform(-0.18, 0.18, 2)) * shape[1] / 3
        deep, (tall, wide), turn = (
            random.uniform(0.25, 0.75) * shape[0] * 5,
            random.uniform(9, 15, 2),
            random.uniform(0, 3),
        )
        down, right = y - centre[0], x - centre[1]
        along, across = np.cos(turn) * right + np.sin(turn) * down, np.cos(turn) * down - np.sin(turn) * right
        away = np.sqrt((along / wide) ** 2 + (across / tall) ** 2 + ((z - deep) / 22) ** 2)
        nucleus = np.sqrt(((along - 2) / 4.2) ** 2 + ((across + 1) / 3.6) ** 2 + ((z - deep) / 9) ** 2)
        dye += 1500 * np.exp(-(((away - 1) * 11) ** 2)) + 260 * (away < 1) + 1900 / (1 + np.exp(8 * (nucleus - 1)))
    return dye


def vessel(grid: Array, shape: tuple[int, int, int]) -> Array:
    """A tube across the volume that becomes two, thinner ones, with bright walls."""
    z, y, x = grid
    middle = shape[1] * (0.52 + 0.16 * np.sin(x / shape[2] * 5))
    fork = np.clip(x - 0.45 * shape[2], 0, None)
    dye = np.zeros(y.shape)
    for side, wide in ((0.55, 2.6), (-0.55, 1.9)):
        thin = wide + 1.2 * np.exp(-fork / 10)
        away = np.hypot(y - middle - side * fork, 5 * (z - 0.45 * shape[0] - 0.02 * side * fork))
        dye = np.maximum(dye, 2600 * np.exp(-(((away - thin) / 0.9) ** 2)) + 700 * (away < thin))
    return dye


def beads(grid: Array, shape: tuple[int, int, int], random: np.random.RandomState) -> Array:
    """Forty points, from bright to dim: what a point spread is measured by."""
    dye = np.zeros(grid.shape[1:])
    first = [int(-axis.min()) for axis in grid]
    for place in random.uniform((1, 3, 3), np.array(shape) - (1, 3, 3), (40, 3)).astype(int):
        dye[tuple(place + first)] += random.uniform(2, 9) * 1e4
    return dye


def blurred(volume: Array, taps: Array) -> Array:
    """The sum over a kernel at every place where it lies inside, from the definition."""
    size = tuple(n - k + 1 for n, k in zip(volume.shape, taps.shape, strict=True))
    total = np.zeros(size)
    for place, tap in np.ndenumerate(taps):
        total += tap * volume[tuple(slice(at, at + n) for at, n in zip(place, size, strict=True))]
    return total
