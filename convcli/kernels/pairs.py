"""A filter bank as a pair: a depthwise step, in which kernels meet one channel each, then a pointwise (1x1) mix.

Sources: Sifre, "Rigid-motion scattering for image classification", 2014, chapter 6; Howard et al., "MobileNets",
arXiv:1704.04861, whose costs these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError, KernelError
from convcli.kernels.kernel import Kernel
from convcli.records import record

if TYPE_CHECKING:
    import numpy as np

ROUNDING = 1e-7
"""A relative error of a factored bank that is the rounding of float32 numbers, and counts as none."""


@record
class Pair:
    """The two steps for an image of so many channels.

    `depthwise` is (C m, 1, *space): the m kernels of the first channel, then those of the second, as PyTorch's layers
    with groups = C; `pointwise` is (O, C m, 1, ...).
    """

    depthwise: Kernel
    pointwise: Kernel
    channels: int

    @property
    def multiplier(self) -> int:
        """Results of the depthwise step for each channel: m."""
        return self.depthwise.outputs // self.channels

    @property
    def outputs(self) -> int:
        """Channels of the result."""
        return self.pointwise.outputs

    @property
    def macs(self) -> tuple[int, int]:
        """Multiply-adds of the two steps for one position: C m prod(k), and C m O."""
        between = self.depthwise.outputs
        return between * prod(self.depthwise.spatial), between * self.outputs

    @property
    def dense_macs(self) -> int:
        """Multiply-adds of the bank that the pair stands for, at one position: O C prod(k)."""
        return self.outputs * self.channels * prod(self.depthwise.spatial)

    @cached_property
    def product(self) -> Kernel:
        """The dense bank (O, C, *space) that does the same.

        >>> pair = pair_of(Kernel.from_values("d", (1, 2), [1, 2]), Kernel.from_values("p", (2, 1), [3, 4]), 1)
        >>> pair.product.values().tolist()
        [3.0, 6.0, 4.0, 8.0]
        """
        import numpy as np

        taps = np.einsum("ocm,cm...->oc...", *self._by_channel())
        name = f"{self.depthwise.name} then {self.pointwise.name}"
        return Kernel.from_array(name, taps, bank=True).at_origin(self.depthwise.centre)

    @cached_property
    def absolute_sum(self) -> float:
        """The most that the two steps make of pixels of size 1; that of the product is smaller by what cancels."""
        import numpy as np

        mix, kernels = map(np.abs, self._by_channel())
        sums = kernels.reshape(self.channels, self.multiplier, -1).sum(axis=-1)
        return float(np.einsum("ocm,cm->o", mix, sums).max())

    def signs(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Where the way from a pixel through any kernel to a result has a positive sign, and where a negative one.

        Both are (O, C, *space), as the product; ways of both signs may cancel there, but not for an infinity.
        """
        import numpy as np

        mix, kernels = map(np.sign, self._by_channel())
        ways = ((mix > 0, kernels > 0), (mix < 0, kernels < 0)), ((mix > 0, kernels < 0), (mix < 0, kernels > 0))
        plus, minus = (sum(np.einsum("ocm,cm...->oc...", *map(np.float32, way)) for way in two) > 0 for two in ways)
        return plus, minus

    @cached_property
    def is_whole(self) -> bool:
        """True where all numbers of both steps are integers."""
        return all(float(tap).is_integer() for step in (self.depthwise, self.pointwise) for tap in step.values())

    def _by_channel(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The mix (O, C, m) and the kernels (C, m, *space)."""
        shape = (self.channels, self.multiplier)
        mix = self.pointwise.array().reshape(self.outputs, *shape)
        return mix, self.depthwise.array().reshape(*shape, *self.depthwise.spatial)


def pair_of(depthwise: Kernel, pointwise: Kernel, channels: int, multiplier: int = 0) -> Pair:
    """The pair for an image of so many channels, from kernels and a matrix as a user gives them.

    The kernels are C m, m for each channel; or m, which every channel meets; or, where `multiplier` says m, one for
    all. The columns of the matrix are C m.
    """
    kernels, matrix = as_kernels(depthwise), as_matrix(pointwise)
    columns, number = matrix.inputs, kernels.outputs
    found, left = divmod(columns, channels)
    if left or not found or (multiplier and found != multiplier):
        raise ConvError(_does_not_match(number, columns, channels, multiplier), "shape")
    if number not in (columns, found) and not (number == 1 and multiplier):
        raise ConvError(_does_not_match(number, columns, channels, multiplier), "shape")
    return Pair(_repeated(kernels, columns // number), matrix, channels)


def as_kernels(kernel: Kernel) -> Kernel:
    """Depthwise kernels as a bank (R, 1, *space): from a plain kernel, several, or an array (R, *space)."""
    if kernel.offset:
        raise KernelError("a kernel with an offset cannot be the depthwise step; add a --bias to the result")
    if not kernel.bank:
        return _reshaped(kernel, (1, 1, *kernel.shape))
    if kernel.shape[0] == 1:  # an array (R, *space) was read as one filter of R channels
        return _reshaped(kernel, (kernel.shape[1], 1, *kernel.spatial))
    if kernel.inputs > 1:
        shape = "x".join(map(str, kernel.shape))
        raise KernelError(f"a depthwise kernel meets one channel; {shape} is not (C m, 1, ...); -k factors dense banks")
    return kernel


def as_matrix(kernel: Kernel) -> Kernel:
    """A matrix (rows for outputs, columns for channels), or an array (O, C m, 1, 1), as a bank of 1x1 filters."""
    rows, columns = kernel.shape[:2] if kernel.bank else kernel.shape[-2:]
    if rows * columns != prod(kernel.shape):
        shape = "x".join(map(str, kernel.shape))
        raise KernelError(f"{shape} is no matrix (O, C m) for the pointwise step, nor (O, C m, 1, 1)")
    return _reshaped(kernel, (rows, columns, *(1,) * kernel.ndim))


def _reshaped(kernel: Kernel, shape: Sequence[int]) -> Kernel:
    """The same taps in the same order as a bank of another shape."""
    bank = Kernel.from_values(kernel.name, shape, kernel.values(), bank=True)
    return bank if kernel.bank or bank.spatial != kernel.spatial else bank.at_origin(kernel.centre)


def _repeated(kernels: Kernel, times: int) -> Kernel:
    """The kernels again and again, as often as there are channels."""
    shape = (times * kernels.outputs, *kernels.shape[1:])
    again = Kernel.from_values(kernels.name, shape, list(kernels.values()) * times, bank=True)
    return again.at_origin(kernels.centre)


def _does_not_match(number: int, columns: int, channels: int, multiplier: int) -> str:
    times = f" and a multiplier of {multiplier}" if multiplier else ""
    return (
        f"{number} depthwise kernel{'s' * (number > 1)} for {channels} channel{'s' * (channels > 1)}{times} do not fit "
        f"the {columns} columns of the pointwise matrix; C m columns go with one kernel or m for all channels, or C m"
    )
