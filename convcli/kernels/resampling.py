"""Kernels for upsampling by transposed convolution: each stride has its own taps.

Every phase of the taps (each s-th tap) sums to 1, so that a constant image stays constant. As an ordinary filter such
a kernel is a low-pass of sum s on each axis: `--normalize sum` divides it away.
"""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, pi, sin

from convcli.errors import KernelError
from convcli.kernels.kernel import Kernel
from convcli.kernels.parameters import MOST_TAPS, Strides, on_axes


def nearest(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: pixels repeated."""
    return resampler("nearest", ndim, stride, lambda _: 1.0, reach=0.5)


def bilinear(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: linear between pixels."""
    return resampler("bilinear", ndim, stride, lambda x: 1 - x, reach=1)


def bicubic(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: cubic (Keys, a = -0.5, as Pillow)."""
    return resampler("bicubic", ndim, stride, keys, reach=2)


def lanczos(ndim: int, stride: Strides = (2,)) -> Kernel:
    """Upsampling by a stride: windowed sinc of three lobes."""
    return resampler("lanczos", ndim, stride, lambda x: sinc(x) * sinc(x / 3), reach=3)


def resampler(name: str, ndim: int, stride: Strides, curve: Callable[[float], float], reach: float) -> Kernel:
    """The product over the axes of a curve, given for distances from 0 to `reach`, at its stride."""
    return Kernel.from_terms(name, [[phased(curve, s, reach) for s in on_axes(stride, ndim)]])


def phased(curve: Callable[[float], float], stride: int, reach: float) -> list[float]:
    """Samples of a curve, 1 / stride apart and symmetric; each phase sums to 1.

    At an even stride the new pixels lie between the old ones, so the number of taps has the parity of the stride.
    For the linear curve these are the taps of Long, Shelhamer and Darrell, arXiv:1411.4038.

    >>> phased(lambda x: 1 - x, 2, 1), len(phased(lambda x: 1 - x, 3, 1))
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
    """sin(pi x) / (pi x)."""
    return sin(pi * x) / (pi * x) if x else 1.0
