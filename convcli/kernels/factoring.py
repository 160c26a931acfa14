"""Dense filter banks as depthwise separable pairs of a chosen rank.

The taps that meet one input channel are a matrix, a row for each output; its truncated singular value decomposition is
the best sum of R (kernel, weights) products there is (Eckart and Young, 1936). So every channel gets R kernels, and the
pointwise step the weights: R depthwise separable pairs side by side. Used for networks by Guo et al., "Network
decoupling", arXiv:1808.05517.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from convcli.errors import KernelError
from convcli.kernels.kernel import Kernel
from convcli.kernels.pairs import ROUNDING, Pair
from convcli.records import record

Array = np.ndarray[Any, Any]


@record
class Rank:
    """What a rank costs and loses: the error is ||W - W_R|| / ||W||; MACs are those of one position."""

    rank: int
    error: float
    macs: int
    dense_macs: int

    @property
    def saving(self) -> float:
        """How many times fewer multiply-adds than the dense bank's."""
        return self.dense_macs / self.macs


def ranks(bank: Kernel) -> list[Rank]:
    """Every rank from 1 to the one that loses nothing."""
    filters, channels, *space = bank.shape
    left = errors(np.linalg.svd(matrices(bank), compute_uv=False))
    exact = next((rank for rank, error in enumerate(left, 1) if error <= ROUNDING), len(left))
    dense = filters * channels * prod(space)
    return [
        Rank(rank, error, rank * channels * (prod(space) + filters), dense)
        for rank, error in enumerate(left[:exact], 1)
    ]


def errors(weights: Array) -> list[float]:
    """The relative error that each rank leaves, from the singular values (C, ranks).

    >>> errors(np.array([[4.0, 3.0]]))
    [0.6, 0.0]
    """
    squares = np.square(weights).sum(axis=0)
    left = [*np.cumsum(squares[::-1])[-2::-1], 0.0]
    total = squares.sum()
    return [float(np.sqrt(rest / total)) if total else 0.0 for rest in left]


def smallest(found: list[Rank], tolerance: float) -> int:
    """The first rank whose error is within the tolerance."""
    return next(each.rank for each in found if each.error <= max(tolerance, ROUNDING) or each is found[-1])


def factored(bank: Kernel, rank: int) -> Pair:
    """The best pair of a rank, its kernels and weights of equal size."""
    filters, channels, *space = bank.shape
    most = min(filters, prod(space))
    if not 1 <= rank <= most:
        raise KernelError(
            f"rank {rank} does not exist; a bank of {filters} filters of {prod(space)} taps has 1 to {most}"
        )
    left, weights, right = np.linalg.svd(matrices(bank), full_matrices=False)
    roots = np.sqrt(weights[:, :rank])
    kernels = (roots[..., None] * right[:, :rank]).reshape(channels * rank, 1, *space)
    mix = (left[:, :, :rank] * roots[:, None]).transpose(1, 0, 2).reshape(filters, channels * rank)
    depthwise = Kernel.from_array(f"rank {rank} of {bank.name}", kernels, bank=True).at_origin(bank.centre)
    pointwise = Kernel.from_array("its weights", mix.reshape(*mix.shape, *(1,) * len(space)), bank=True)
    return Pair(depthwise, pointwise, channels)


def matrices(bank: Kernel) -> Array:
    """The taps that meet each input channel, as (C, O, prod k)."""
    filters, channels = bank.shape[:2]
    return bank.array().reshape(filters, channels, -1).swapaxes(0, 1)


def relative_error(bank: Kernel, pair: Pair) -> float:
    """||W - W_R|| / ||W||."""
    exact = bank.array()
    size = float(np.linalg.norm(exact))
    return float(np.linalg.norm(exact - pair.product.array())) / size if size else 0.0
