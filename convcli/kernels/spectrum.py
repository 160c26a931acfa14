"""What a kernel does to waves: its frequency response, from the definition, at any frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def frequencies(count: int) -> NDArray[np.float64]:
    """So many frequencies in cycles per pixel, from -1/2 to 1/2, both included: 0 is one of an odd number.

    >>> frequencies(5).tolist()
    [-0.5, -0.25, 0.0, 0.25, 0.5]
    """
    return (np.arange(count) - (count - 1) / 2) / max(1, count - 1)


def magnitude(taps: NDArray[np.float64], waves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """By how much each wave is amplified: |sum of taps times exp(-2 pi i f x)|; frequencies for each axis of taps.

    >>> magnitude(np.array([0.5, 0.5]), [np.array([0.0, 0.25, 0.5])]).round(3).tolist()
    [1.0, 0.707, 0.0]
    """
    sums: NDArray[Any] = taps
    for wave in waves:  # the first axis is summed up, and its frequencies come last
        phases = np.exp(-2j * np.pi * np.outer(np.arange(sums.shape[0]), wave))
        sums = np.tensordot(sums, phases, axes=(0, 0))
    size: NDArray[np.float64] = np.abs(sums)
    return size


def profile(taps: NDArray[np.float64], axis: int, waves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The response to waves along one axis, which do not change along the others."""
    others = tuple(each for each in range(taps.ndim) if each != axis)
    return magnitude(taps.sum(axis=others), [waves])


def section(taps: NDArray[np.float64], waves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The response to waves along the last two axes, which do not change along the first of three."""
    return magnitude(taps.sum(axis=0) if taps.ndim == 3 else taps, [waves, waves])


def ray(taps: NDArray[np.float64], towards: Sequence[float], waves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The response of two axes of taps to waves in any direction, (y, x) of length 1.

    >>> ray(np.ones((2, 2)), (0.0, 1.0), np.array([0.0, 0.5])).round(3).tolist()
    [4.0, 0.0]
    """
    down, across = (
        np.exp(-2j * np.pi * np.outer(waves * way, np.arange(n))) for way, n in zip(towards, taps.shape, strict=True)
    )
    size: NDArray[np.float64] = np.abs(((down @ taps) * across).sum(axis=1))
    return size
