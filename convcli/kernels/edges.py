"""Kernels that answer to change: derivatives, edges, spots, stripes; and those that add detail back to the image.

All are meant for correlation: positive where the image gets brighter in the direction named, which for x is to the
right, for y downwards, for z to later slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import cos, exp, fsum, pi, radians, sin

from convcli.errors import KernelError
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import Direction, Lengths, Positive, Real, Word, on_axes
from convcli.kernels.smoothing import gaussian_radius, gaussian_taps, sampled

NEIGHBOURS = {2: ("4", "8"), 3: ("6", "18", "26")}  # those that differ in one axis, in up to two, in up to three
RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # clockwise from the top left
COMPASS = ("nw", "n", "ne", "e", "se", "s", "sw", "w")  # the same places by name


def sobel(ndim: int, direction: Direction = "x") -> Kernel:
    """Derivative along x, y or z, smoothed 1 2 1 across.

    Not divided by 8 (in 3-D 32), as in OpenCV and scipy.ndimage.
    """
    return smoothed_difference("sobel", ndim, direction, [1, 2, 1])


def prewitt(ndim: int, direction: Direction = "x") -> Kernel:
    """Derivative along x, y or z, smoothed 1 1 1 across."""
    return smoothed_difference("prewitt", ndim, direction, [1, 1, 1])


def scharr(ndim: int, direction: Direction = "x") -> Kernel:
    """Derivative along x, y or z, smoothed 3 10 3 across.

    Of the 3x3 kernels the one that tells directions best; not divided by 32, as in OpenCV.
    """
    return smoothed_difference("scharr", ndim, direction, [3, 10, 3])


def roberts(ndim: int, direction: Direction = "x") -> Kernel:
    """Difference along a diagonal: x to the lower right, y to the lower left."""
    return Kernel.from_values("roberts", (2,) * ndim, [-1, 0, 0, 1] if direction == "x" else [0, -1, 1, 0])


def kirsch(ndim: int, towards: Word = "e") -> Kernel:
    """Edge towards n, ne, e, se, s, sw, w or nw."""
    if towards not in COMPASS:
        raise KernelError(f"towards must be one of {', '.join(COMPASS)}, not {towards!r}")
    first = COMPASS.index(towards) - 1
    bright = {RING[i % 8] for i in range(first, first + 3)}
    taps = [0 if place == (0, 0) else 5 if place in bright else -3 for place in product((-1, 0, 1), repeat=ndim)]
    return Kernel.from_values("kirsch", (3,) * ndim, taps)


def laplacian(ndim: int, neighbours: Word = "") -> Kernel:
    """Sum of 4 or 8 neighbours (3-D: 6, 18, 26) minus as many times the middle."""
    known = NEIGHBOURS[ndim]
    if neighbours and neighbours not in known:
        raise KernelError(f"neighbours must be {' or '.join(known)} in {ndim}-D, not {neighbours!r}")
    farthest = 1 + (known.index(neighbours) if neighbours else 0)
    taps = [int(0 < sum(map(abs, place)) <= farthest) for place in product((-1, 0, 1), repeat=ndim)]
    taps[len(taps) // 2] = -sum(taps)
    return Kernel.from_values("laplacian", (3,) * ndim, taps)


def log(ndim: int, sigma: Lengths = (1.0,), *, truncate: Positive = 4.0) -> Kernel:
    """Laplacian of a Gaussian, its taps summing to zero.

    Truncation leaves a rest of about 1e-3 / sigma^2 in scipy.ndimage.gaussian_laplace; here it is taken away.
    """
    sigmas = on_axes(sigma, ndim)
    radii = wide_enough([gaussian_radius(s, truncate) for s in sigmas])
    smooth = [gaussian_taps(s, r) for s, r in zip(sigmas, radii, strict=True)]
    curved = [zero_sum(gaussian_taps(s, r, order=2), g) for s, r, g in zip(sigmas, radii, smooth, strict=True)]
    return Kernel.from_terms("log", [[*smooth[:a], curved[a], *smooth[a + 1 :]] for a in range(ndim)])


def dog(ndim: int, sigma1: Lengths = (1.0,), sigma2: Lengths = (1.6,)) -> Kernel:
    """Difference of Gaussians, the first minus the second."""
    narrow, broad = on_axes(sigma1, ndim), on_axes(sigma2, ndim)
    if narrow == broad:
        raise KernelError("sigma1 and sigma2 must differ, or nothing is left")
    radii = wide_enough([max(gaussian_radius(s), gaussian_radius(t)) for s, t in zip(narrow, broad, strict=True)])
    first, *rest = [padded_gaussian(s, r) for s, r in zip(narrow, radii, strict=True)]
    minus, *others = [padded_gaussian(s, r) for s, r in zip(broad, radii, strict=True)]
    return Kernel.from_terms("dog", [[first, *rest], [[-tap for tap in minus], *others]])


def gabor(
    _ndim: int,
    wavelength: Positive = 8.0,
    theta: Real = 0.0,
    sigma: Positive = 4.0,
    psi: Real = 0.0,
    gamma: Positive = 0.5,
) -> Kernel:
    """Wave under a Gaussian, as cv2.getGaborKernel; theta and psi in degrees.

    Cut at 3 sigma. `gamma` is the ratio of the spread along the wave to that across it.
    """
    c, s = cos(radians(theta)), sin(radians(theta))
    across = sigma / gamma
    spread = [max(3 * sigma * abs(s), 3 * across * abs(c)), max(3 * sigma * abs(c), 3 * across * abs(s))]

    def wave(y: int, x: int) -> float:
        u, v = -x * c - y * s, x * s - y * c  # OpenCV stores the kernel turned by 180 degrees
        return exp(-((u / sigma) ** 2 + (v / across) ** 2) / 2) * cos(2 * pi * u / wavelength + radians(psi))

    return Kernel.from_values("gabor", [2 * round(r) + 1 for r in spread], sampled([round(r) for r in spread], wave))


def smoothed_difference(name: str, ndim: int, direction: str, across: Sequence[float]) -> Kernel:
    """-1 0 1 along one axis, `across` on the others."""
    axes = "zyx"[-ndim:]
    return Kernel.from_terms(name, [[[-1, 0, 1] if axis == direction else across for axis in axes]])


def zero_sum(taps: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Taps that sum to zero; what was too much is taken where the weights (of sum 1) are.

    >>> zero_sum([1, -1.5, 1], [0.25, 0.5, 0.25])
    [0.875, -1.75, 0.875]
    """
    excess = fsum(taps)
    return [tap - excess * weight for tap, weight in zip(taps, weights, strict=True)]


def padded_gaussian(sigma: float, radius: int) -> list[float]:
    """The taps of a Gaussian with its own reach, filled with zeros up to `radius`."""
    zeros = [0.0] * (radius - gaussian_radius(sigma))
    return [*zeros, *gaussian_taps(sigma, gaussian_radius(sigma)), *zeros]


def wide_enough(radii: Sequence[int]) -> Sequence[int]:
    """Radii of a kernel of differences, which needs neighbours."""
    if min(radii) < 1:
        raise KernelError("a sigma this small leaves one tap on an axis; use 0.2 or more")
    return radii


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
