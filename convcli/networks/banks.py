"""What a layer with weights does, taken apart: one or two grouped filter banks that slide over axes.

Parameters, MACs and the price of each algorithm follow from the banks alone, whatever the layer is called:
a separable convolution is a depthwise and a pointwise bank, a fully connected layer a bank without axes.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed

Sliding = Geometry | Transposed


class Bank(NamedTuple):
    """Filters from `inputs` to `outputs` channels in `groups`, sliding over axes, which are all transposed or none."""

    inputs: int
    outputs: int
    groups: int = 1
    axes: tuple[Sliding, ...] = ()

    @property
    def transposed(self) -> bool:
        """True where each input is spread over outputs."""
        return any(isinstance(axis, Transposed) for axis in self.axes)

    @property
    def taps(self) -> int:
        """Weights of one filter and one input channel: prod(k)."""
        return prod(axis.kernel for axis in self.axes)

    @property
    def positions(self) -> int:
        """Places that the kernel takes: prod(out), of a transposed convolution prod(in)."""
        return prod(axis.positions for axis in self.axes)

    @property
    def pairs(self) -> int:
        """Pairs of an input and an output channel that meet: Cin Cout / g."""
        return self.inputs * self.outputs // self.groups

    @property
    def weights(self) -> int:
        """Parameters without bias: Cin Cout / g prod(k).

        >>> Bank(3, 64, axes=(Geometry(224, 7),) * 2).weights
        9408
        """
        return self.pairs * self.taps

    @property
    def macs(self) -> int:
        """Multiply-adds of one image, those on padding zeros included.

        A transposed convolution counts input positions; counting outputs is wrong by the product of the strides.

        >>> Bank(64, 32, axes=(Transposed(16, 4, 2, begin=1, end=1),) * 2).macs
        8388608
        """
        return self.weights * self.positions

    @property
    def real_macs(self) -> int:
        """Multiply-adds whose operand is a pixel (transposed: whose result is kept).

        >>> Bank(1, 1, axes=(Geometry(4, 3, begin=1, end=1),)).real_macs
        10
        """
        return self.pairs * prod(axis.real_taps() for axis in self.axes)

    @property
    def columns(self) -> int:
        """Elements of the im2col matrix (transposed: col2im) of one image; none for a plain 1x1 convolution."""
        if all(is_pointwise(axis) for axis in self.axes):
            return 0
        return (self.outputs if self.transposed else self.inputs) * self.taps * self.positions


def is_pointwise(axis: Sliding) -> bool:
    """True where each output is one input, in order.

    >>> is_pointwise(Geometry(8, 1)), is_pointwise(Geometry(8, 1, stride=2))
    (True, False)
    """
    return axis.kernel == 1 and axis.stride == 1 and axis.output == axis.size
