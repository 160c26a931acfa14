"""Kernels for upsampling by transposed convolution: each stride has its own taps.

Every phase of the taps (each s-th tap) sums to 1, so that a constant image stays constant. As an ordinary filter such
a kernel is a low-pass of sum s on each axis: `--normalize sum` divides it away.
"""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, pi, sin
from typing import NamedTuple

from convcli.errors import KernelError
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import MOST_TAPS, Strides, on_axes


def nearest(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: pixels repeated."""
    return resampler("nearest", ndim, stride)


def bilinear(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: linear between pixels."""
    return resampler("bilinear", ndim, stride)


def bicubic(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: cubic (Keys, a = -0.5, as Pillow)."""
    return resampler("bicubic", ndim, stride)


def lanczos(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: windowed sinc of three lobes."""
    return resampler("lanczos", ndim, stride)


def resampler(name: str, ndim: int, stride: Strides) -> Kernel:
    """The product over the axes of a curve at its stride."""
    return Kernel.from_terms(name, [[phased(*CURVES[name], s) for s in on_axes(stride, ndim)]])


def phased(curve: Callable[[float], float], reach: float, stride: int) -> list[float]:
    """Samples of a curve, 1 / stride apart and symmetric; each phase sums to 1.

    At an even stride the new pixels lie between the old ones, so the number of taps has the parity of the stride.
    For the linear curve these are the taps of Long, Shelhamer and Darrell, arXiv:1411.4038.

    >>> phased(lambda x: 1 - x, 1, stride=2), len(phased(lambda x: 1 - x, 1, stride=3))
    ([0.25, 0.75, 0.75, 0.25], 5)
    """
    size = round(2 * reach * stride)
    size -= (size - stride) % 2
    if size > MOST_TAPS:
        raise KernelError(f"stride {stride} needs {size} taps, more than {MOST_TAPS}")
    taps = [curve(abs(i - (size - 1) / 2) / stride) for i in range(size)]
    sums = [fsum(taps[phase::stride]) for phase in range(stride)]
    return [tap / sums[i % stride] for i, tap in enumerate(taps)]


def keys(x: float) -> float:
    """Cubic convolution, a = -0.5. Keys 1981, IEEE Trans. ASSP 29(6), equation 15."""
    return (1.5 * x - 2.5) * x * x + 1 if x < 1 else ((-0.5 * x + 2.5) * x - 4) * x + 2


def sinc(x: float) -> float:
    """sin(pi x) / (pi x), exactly 0 at whole numbers."""
    return sin(pi * x) / (pi * x) if x % 1 else float(x == 0)


class Curve(NamedTuple):
    """What a pixel weighs at a distance from 0 to `reach`, in pixels; it is symmetric and ends there."""

    at: Callable[[float], float]
    reach: float


CURVES = {
    "nearest": Curve(lambda _: 1.0, 0.5),
    "bilinear": Curve(lambda x: 1 - x, 1),
    "bicubic": Curve(keys, 2),
    "lanczos": Curve(lambda x: sinc(x) * sinc(x / 3), 3),
}
"""The curves by the names of their kernels."""
