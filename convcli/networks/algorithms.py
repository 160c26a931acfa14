"""What each algorithm pays for the same convolution: multiplications, all FLOPs, and the memory it needs beside.

Only algorithms that compute the same function stand here: a depthwise separable layer is another function. FLOPs are
not time: transforms move memory, and a matrix product runs nearer to a machine's peak than anything else.

Winograd: Lavin and Gray, arXiv:1509.09308. FFT: real transforms at 5/2 N log2 N FLOPs, overlap-save tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log2, prod
from typing import NamedTuple

from convcli.geometry.axis import Geometry
from convcli.networks.banks import Bank

FLOPS_ARE_NOT_TIME = "FLOPs are not time: memory traffic and how well a loop fits the machine decide as much"

FFT_TILES = (8, 16, 32, 64, 128, 256, 512)


class Algorithm(NamedTuple):
    """The price of one way to compute a bank, one image: `workspace` in elements, `remark` on when it applies."""

    name: str
    multiplications: int
    flops: int
    workspace: int
    remark: str = ""


def algorithms(bank: Bank) -> list[Algorithm]:
    """Every algorithm that computes the bank, the textbook one first.

    >>> [a.name for a in algorithms(Bank(64, 64, axes=(Geometry(56, 3, begin=1, end=1),) * 2))]
    ['direct', 'im2col + GEMM', 'Winograd F(2x2,3x3)', 'Winograd F(4x4,3x3)', 'FFT tiles of 16', 'separable']
    """
    found = [way(bank) for way in WAYS]
    return [price for price in found if price]


def direct(bank: Bank) -> Algorithm:
    """The definition."""
    return Algorithm("direct", bank.macs, 2 * bank.macs, 0)


def im2col(bank: Bank) -> Algorithm | None:
    """One matrix product; the matrix repeats each pixel for every tap that reads it."""
    name = "GEMM + col2im" if bank.transposed else "im2col + GEMM" if bank.columns else "GEMM"
    remark = "" if bank.columns else "the input is the matrix"
    return Algorithm(name, bank.macs, 2 * bank.macs, bank.columns, remark)


def zero_stuffed(bank: Bank) -> Algorithm | None:
    """A transposed convolution as a convolution over an input with zeros between its pixels."""
    if not bank.transposed or all(axis.stride == 1 for axis in bank.axes):
        return None
    macs = bank.weights * prod(axis.output for axis in bank.axes)
    stuffed = bank.inputs * prod(axis.output + axis.extent - 1 for axis in bank.axes)
    return Algorithm("zero-stuffed", macs, 2 * macs, stuffed, "multiplies by the zeros between the pixels")


class Winograd(NamedTuple):
    """F(m x m, 3x3): m x m outputs of a tile for t x t multiplications, t = m + 2; FLOPs of its three transforms."""

    outputs: int
    data: int
    inverse: int
    filter: int

    def price(self, bank: Bank) -> Algorithm | None:
        """The price: transforms of data and results per tile and channel, of filters once."""
        axes = bank.axes
        if len(axes) != 2 or not all(
            isinstance(a, Geometry) and a.kernel == 3 and a.stride == a.dilation == 1 for a in axes
        ):
            return None
        tiles = prod(-(-axis.output // self.outputs) for axis in axes)
        points = (self.outputs + 2) ** 2
        multiplications = tiles * points * bank.pairs
        transforms = tiles * (self.data * bank.inputs + self.inverse * bank.outputs) + self.filter * bank.pairs
        workspace = points * (tiles * (bank.inputs + bank.outputs) + bank.pairs)
        name = f"Winograd F({self.outputs}x{self.outputs},3x3)"
        return Algorithm(name, multiplications, 2 * multiplications + transforms, workspace)


def fft(bank: Bank) -> Algorithm | None:
    """Overlap-save over square tiles: the tile with the fewest FLOPs. A stride computes all and keeps some."""
    if not bank.axes or bank.transposed or bank.taps == 1:
        return None
    sizes = [tile for tile in FFT_TILES if all(tile >= axis.extent for axis in bank.axes)]
    return min((fft_price(bank, tile) for tile in sizes), key=lambda price: price.flops, default=None)


def fft_price(bank: Bank, tile: int) -> Algorithm:
    """The price with tiles of one size: half a spectrum of complex numbers per channel, 4 multiplications a product."""
    axes = bank.axes
    dense = [axis.size + axis.begin + axis.end - axis.extent + 1 for axis in axes]
    tiles = prod(-(-outputs // (tile - axis.extent + 1)) for outputs, axis in zip(dense, axes, strict=True))
    points = tile ** len(axes)
    spectrum = points // tile * (tile // 2 + 1)
    transform = 5 * points * log2(points) / 2
    transforms = transform * (tiles * (bank.inputs + bank.outputs) + bank.pairs)
    products = tiles * spectrum * bank.pairs
    workspace = 2 * spectrum * (bank.inputs + bank.outputs + bank.pairs)
    multiplications = 4 * products + round(transforms * 0.4)  # a butterfly has 4 multiplications among its 10 FLOPs
    remark = "computes every position, keeps those of the stride" if any(axis.stride > 1 for axis in axes) else ""
    return Algorithm(f"FFT tiles of {tile}", multiplications, 8 * products + round(transforms), workspace, remark)


def separable(bank: Bank) -> Algorithm | None:
    """One pass per axis, where every kernel is an outer product."""
    if bank.transposed or sum(axis.kernel > 1 for axis in bank.axes) < 2:
        return None
    macs = bank.pairs * sum(passes(bank))
    lines = bank.axes[-1].output * prod(axis.size for axis in bank.axes[:-1])
    return Algorithm("separable", macs, 2 * macs, lines, "only if every kernel has rank 1")


def passes(bank: Bank) -> Iterator[int]:
    """Multiplications of each pass and kernel, the last axis first: later axes are done, earlier ones still whole."""
    for i, axis in enumerate(bank.axes):
        before = prod(earlier.size for earlier in bank.axes[:i])
        after = prod(later.output for later in bank.axes[i:])
        yield axis.kernel * before * after


WAYS: tuple[Callable[[Bank], Algorithm | None], ...] = (
    direct,
    im2col,
    zero_stuffed,
    Winograd(2, data=32, inverse=24, filter=28).price,
    Winograd(4, data=156, inverse=100, filter=72).price,
    fft,
    separable,
)
