"""Kernels that add detail back to the image; a constant image stays what it is."""

from __future__ import annotations

from convcli.kernels.edges import laplacian
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import Lengths, Positive, on_axes
from convcli.kernels.smoothing import gaussian_radius, gaussian_taps


def sharpen(ndim: int, amount: Positive = 1.0) -> Kernel:
    """Image minus its Laplacian: 0 -1 0; -1 5 -1; 0 -1 0."""
    taps = [-amount * tap for tap in laplacian(ndim).values()]
    taps[len(taps) // 2] += 1
    return Kernel.from_values("sharpen", (3,) * ndim, taps)


def unsharp(ndim: int, sigma: Lengths = (1.0,), amount: Positive = 1.0) -> Kernel:
    """Unsharp mask: image plus amount times (image minus Gaussian)."""
    smooth = [gaussian_taps(s, gaussian_radius(s)) for s in on_axes(sigma, ndim)]
    point = [[float(i == len(taps) // 2) for i in range(len(taps))] for taps in smooth]
    return Kernel.from_terms("unsharp", [times(1 + amount, point), times(-amount, smooth)])


def emboss(ndim: int) -> Kernel:
    """Relief lit from the top left: -2 -1 0; -1 1 1; 0 1 2."""
    return Kernel.from_values("emboss", (3,) * ndim, [-2, -1, 0, -1, 1, 1, 0, 1, 2])


def times(factor: float, term: list[list[float]]) -> list[list[float]]:
    """A separable term times a number."""
    first, *rest = term
    return [[factor * tap for tap in first], *rest]
