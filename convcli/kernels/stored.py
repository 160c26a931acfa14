"""A tensor in a file of weights: its name, its sizes, and how its numbers are read when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from convcli.errors import ConvError, KernelError
from convcli.kernels.inline import MOST_BYTES, layout
from convcli.kernels.kernel import Kernel

Array: TypeAlias = np.ndarray[Any, Any]
ITEMSIZES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "bool": 1,
    **{f"{sign}int{8 * size}": size for sign in ("", "u") for size in (1, 2, 4, 8)},
}
"""The types of numbers that kernels are made of, and the bytes of each."""


class Stored(NamedTuple):
    """A tensor: `numbers` reads so many bytes as an array of its type, those of bfloat16 as uint16.

    `layer` is the operator of the network that slides it, where the file says so, and `node` what that is called.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    numbers: Callable[[int], Array]
    layer: str = ""
    node: str = ""

    @property
    def itemsize(self) -> int:
        """Bytes of each number; 0 for a type that is not read."""
        return ITEMSIZES.get(self.dtype, 0)

    @property
    def is_kernel(self) -> bool:
        """Whether it may be a kernel, a bank or a matrix: real numbers along two to five axes, none of them empty."""
        return bool(self.itemsize) and 2 <= len(self.shape) <= 5 and prod(self.shape) > 0

    @property
    def meaning(self) -> str:
        """What it is as a kernel, or as a bank of the layer that slides it.

        >>> Stored("w", (64, 3, 7, 7), "float32", np.empty).meaning
        '64 filters of 7x7 over 3 channels'
        """
        first, *rest = self.shape
        if len(self.shape) < 4:
            flat = "a matrix of 1x1 steps, or a kernel of 2 axes"
            return flat if not rest[1:] else "a kernel of 3 axes, or 2-D filters over channels"
        taps = "x".join(map(str, self.shape[2:]))
        if self.layer == "ConvTranspose":
            return f"upsample: {first} channels, each laid as {rest[0]} kernels of {taps}"
        over = "one channel" if rest[0] == 1 else f"{rest[0]} channels"
        return f"{first} filters of {taps} over {over}"

    def array(self) -> Array:
        """Its numbers, in its sizes; bfloat16 as float32, which holds it.

        Raises KernelError for types that are no kernels' and ConvError, too-large, before anything is read.
        """
        if not self.itemsize:
            raise KernelError(f"holds {self.dtype} values; kernels are read from {', '.join(ITEMSIZES)}")
        size = prod(self.shape) * self.itemsize
        if size > MOST_BYTES:
            raise ConvError(f"declares an array of shape {self.shape}, too large for a kernel", "too-large")
        found = self.numbers(size)
        if self.dtype == "bfloat16":
            found = (found.astype(np.uint32) << 16).view(np.float32)
        return found.reshape(self.shape)

    def kernel(self, ndim: int) -> Kernel:
        """The kernel or the bank that it is, as one in a NumPy file."""
        shape, bank = layout(self.shape, ndim)
        return Kernel.from_array("", self.array().reshape(shape), bank=bank)
