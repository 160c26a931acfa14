"""Kernels that average: their taps sum to 1, so a constant image stays what it is (a Gaussian's derivatives apart)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil, comb, cos, exp, floor, fsum, hypot, log, prod, radians, sin, sqrt

from convcli.errors import KernelError
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import MOST_TAPS, Lengths, Orders, Positive, Real, Sizes, Spreads, on_axes

TRUNCATE = 4.0  # sigmas on each side, as in scipy.ndimage.gaussian_filter
UNSAID = (1.0,)  # the sigma that nobody gave
WIDTH = sqrt(8 * log(2))  # sigmas between the two places where a Gaussian is half as high as in its middle
MOST_SINGLE_TAPS = 1 << 20  # taps that no separable form spares: about a second of plain Python


def identity(ndim: int) -> Kernel:
    """Changes nothing: one tap of 1."""
    return Kernel.from_values("identity", (1,) * ndim, [1])


def box(ndim: int, size: Sizes = (3,)) -> Kernel:
    """Mean over a box."""
    return Kernel.from_terms("box", [[[1 / k] * k for k in on_axes(size, ndim)]])


def gaussian(
    ndim: int,
    sigma: Spreads = UNSAID,
    *,
    fwhm: Spreads = (),
    truncate: Positive = TRUNCATE,
    size: Sizes = (),
    order: Orders = (0,),
) -> Kernel:
    """Gaussian cut at truncate x sigma; order 1 or 2: its derivatives.

    Sampled and normalised as scipy.ndimage.gaussian_filter does; `size` (odd) sets the taps instead of `truncate`.
    `fwhm` is the full width at half maximum instead of sigma; a sigma or width of 0 leaves that axis alone.
    """
    if fwhm:
        if sigma is not UNSAID:
            raise KernelError("sigma and fwhm exclude each other; give one of them")
        sigma = tuple(width / WIDTH for width in fwhm)
    if size and truncate != TRUNCATE:
        raise KernelError("size and truncate exclude each other; give one of them")
    sigmas = on_axes(sigma, ndim)
    if any(o and not s for s, o in zip(sigmas, on_axes(order, ndim), strict=True)):
        raise KernelError("a sigma of 0 has no derivative; give that axis another sigma, or order 0")
    radii = [odd_radius(k) for k in on_axes(size, ndim)] if size else [gaussian_radius(s, truncate) for s in sigmas]
    factors = zip(sigmas, radii, on_axes(order, ndim), strict=True)
    return Kernel.from_terms("gaussian", [[gaussian_taps(*each) for each in factors]])


def binomial(ndim: int, size: Sizes = (3,)) -> Kernel:
    """Rows of Pascal's triangle: 1 2 1, 1 4 6 4 1, nearly a Gaussian.

    Its variance is (size - 1) / 4 on each axis.
    """
    return Kernel.from_terms("binomial", [[binomial_taps(k) for k in on_axes(size, ndim)]])


def disk(ndim: int, radius: Lengths = (3.0,)) -> Kernel:
    """Mean over the pixels within a radius: out of focus.

    A pixel counts whole if its centre is at most `radius` away.
    """
    return inside_ellipsoid("disk", on_axes(radius, ndim))


def ball(ndim: int, radius: Lengths = (3.0,)) -> Kernel:
    """Mean over the voxels within a radius.

    A voxel counts whole if its centre is at most `radius` away.
    """
    return inside_ellipsoid("ball", on_axes(radius, ndim))


def motion(_ndim: int, length: Positive = 9.0, angle: Real = 0.0) -> Kernel:
    """Line of a length at an angle (degrees, counter-clockwise): a shake.

    Antialiased: a tap is 1 minus its distance to the segment between the centres of the first and the last pixel.
    """
    cosine, sine = (round(f(radians(angle)), 12) for f in (cos, sin))  # 90 degrees has no stray 6e-17
    half = max(0.0, (length - 1) / 2)
    radii = [ceil(half * abs(sine) + 1) - 1, ceil(half * abs(cosine) + 1) - 1]

    def weight(y: int, x: int) -> float:
        along = min(half, max(-half, x * cosine - y * sine))  # y grows downwards
        return max(0.0, 1 - hypot(x - along * cosine, y + along * sine))

    return normalised("motion", radii, weight)


def gaussian_radius(sigma: float, truncate: float = TRUNCATE) -> int:
    """Taps on each side: int(truncate sigma + 0.5).

    >>> gaussian_radius(2.0)
    8
    """
    reach = truncate * sigma + 0.5
    if 2 * reach > MOST_TAPS:
        raise KernelError(f"sigma {sigma:g} needs {2 * reach:.3g} taps, more than {MOST_TAPS}; shrink the image first")
    return int(reach)


def gaussian_taps(sigma: float, radius: int, order: int = 0) -> list[float]:
    """Samples of a Gaussian that sum to 1, or of its derivatives, positive where the image rises.

    >>> gaussian_taps(0.5, 1, order=1)[0] < 0, gaussian_taps(1.0, 0)
    (True, [1.0])
    """
    if not sigma:
        return [float(x == 0) for x in range(-radius, radius + 1)]
    scaled = [x / sigma for x in range(-radius, radius + 1)]
    bell = [exp(-z * z / 2) for z in scaled]
    total = fsum(bell)
    return [hermite(z, sigma, order) * b / total for z, b in zip(scaled, bell, strict=True)]


def hermite(z: float, sigma: float, order: int) -> float:
    """What a Gaussian at z = x / sigma is multiplied with to become its derivative, mirrored for correlation."""
    return (1.0, z / sigma, (z * z - 1) / sigma / sigma)[order]


def binomial_taps(size: int) -> list[float]:
    """Binomial coefficients that sum to 1.

    >>> binomial_taps(3)
    [0.25, 0.5, 0.25]
    """
    return [comb(size - 1, i) / (1 << (size - 1)) for i in range(size)]


def odd_radius(size: int) -> int:
    """Taps on each side of the middle one."""
    if size % 2 == 0:
        raise KernelError(f"size must be odd, not {size}: a Gaussian has a tap in its middle")
    return size // 2


def inside_ellipsoid(name: str, radii: Sequence[float]) -> Kernel:
    """Equal taps where the distance from the middle is at most the radius, the radius measured along each axis."""
    slack = 1 + 1e-12  # a pixel exactly on the edge belongs to it, whatever the rounding
    *outer, last = squares = [[(x / r) ** 2 for x in range(-whole_radius(r), whole_radius(r) + 1)] for r in radii]
    shape = sensible([len(axis) for axis in squares])
    rows = [[float(z + x <= slack) for x in last] for z in map(fsum, product(*outer))]
    total = sum(map(sum, rows))
    return Kernel.from_values(name, shape, (w / total for row in rows for w in row))


def whole_radius(radius: float) -> int:
    """The farthest pixel within a radius."""
    if 2 * radius + 1 > MOST_TAPS:
        raise KernelError(f"radius {radius:g} needs more than {MOST_TAPS} taps; shrink the image first")
    return floor(radius * (1 + 1e-12))


def normalised(name: str, radii: Sequence[int], weight: Callable[..., float]) -> Kernel:
    """A kernel of weights, each from its place relative to the middle, that sum to 1."""
    weights = sampled(radii, weight)
    total = fsum(weights)
    return Kernel.from_values(name, [2 * r + 1 for r in radii], (w / total for w in weights))


def sampled(radii: Sequence[int], weight: Callable[..., float]) -> list[float]:
    """A function of the place relative to the middle, at every tap."""
    sensible([2 * r + 1 for r in radii])
    return [weight(*place) for place in product(*(range(-r, r + 1) for r in radii))]


def sensible(shape: list[int]) -> list[int]:
    """The shape of a kernel whose taps are computed one by one, if they are not too many."""
    if max(shape) > MOST_TAPS or prod(shape) > MOST_SINGLE_TAPS:
        raise KernelError(f"{'x'.join(map(str, shape))} taps are too many; shrink the image first")
    return shape
