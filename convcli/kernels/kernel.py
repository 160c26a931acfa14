"""The `Kernel` value: what to multiply pixels with. No NumPy until its taps are asked for as an array."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from convcli.errors import KernelError

if TYPE_CHECKING:
    import numpy as np

Term = tuple[tuple[float, ...], ...]
"""One 1-D kernel per axis; their outer product is an n-D kernel."""


@dataclass(frozen=True)
class Kernel:
    """Taps of a filter, or of a bank of filters.

    `shape` is spatial, (kh, kw) or (kd, kh, kw), for a plain kernel that acts on each channel alone (`bank` False);
    or (O, I/g, *spatial), PyTorch's layout, for a bank that sums over input channels (`bank` True).
    `data` are the taps as row-major float64 bytes, so that kernels compare and hash by value; it is empty where `terms`
    (separable terms whose outer products add up to the taps) describe the kernel instead.
    `origin` is the tap that sits on the pixel, one per spatial axis; None means k // 2.
    """

    name: str
    shape: tuple[int, ...]
    data: bytes = b""
    terms: tuple[Term, ...] = ()
    bank: bool = False
    origin: tuple[int, ...] | None = None

    @classmethod
    def from_values(cls, name: str, shape: Sequence[int], values: Iterable[float], *, bank: bool = False) -> Kernel:
        """A kernel from its taps in row-major order.

        >>> Kernel.from_values("k", (1, 3), [1, 2, 1]).sum()
        4.0
        """
        data = array("d", values)
        if len(data) != prod(shape):
            raise KernelError(f"{len(data)} values do not fill a kernel of {'x'.join(map(str, shape))}")
        return cls(name, tuple(shape), data.tobytes(), bank=bank)

    @classmethod
    def from_terms(cls, name: str, terms: Iterable[Sequence[Sequence[float]]]) -> Kernel:
        """A plain kernel as the sum of outer products of 1-D kernels, all terms of one shape.

        >>> Kernel.from_terms("box", [([0.5, 0.5], [1, 1])]).values()
        (0.5, 0.5, 0.5, 0.5)
        """
        kept = tuple(tuple(tuple(float(v) for v in factor) for factor in term) for term in terms)
        return cls(name, tuple(len(factor) for factor in kept[0]), terms=kept)

    @property
    def ndim(self) -> int:
        """Spatial axes: 2 or 3."""
        return len(self.shape) - 2 if self.bank else len(self.shape)

    @property
    def spatial(self) -> tuple[int, ...]:
        """Taps per spatial axis."""
        return self.shape[2:] if self.bank else self.shape

    @property
    def outputs(self) -> int:
        """Filters in the bank; 1 for a plain kernel."""
        return self.shape[0] if self.bank else 1

    @property
    def inputs(self) -> int:
        """Input channels each filter sums over; 1 for a plain kernel."""
        return self.shape[1] if self.bank else 1

    @property
    def centre(self) -> tuple[int, ...]:
        """The tap that sits on the pixel, per spatial axis."""
        return self.origin if self.origin is not None else tuple(k // 2 for k in self.spatial)

    def values(self) -> Sequence[float]:
        """The taps in row-major order."""
        if self.data:
            return memoryview(self.data).cast("d")
        return tuple(
            sum(reduce(float.__mul__, factors) for factors in taps)
            for taps in zip(*(product(*term) for term in self.terms), strict=True)
        )

    def array(self) -> np.ndarray[Any, Any]:
        """The taps as a read-only float64 array of `shape`."""
        import numpy as np

        if self.data:
            return np.frombuffer(self.data, dtype=np.float64).reshape(self.shape)
        taps = sum(reduce(np.multiply.outer, map(np.asarray, term)) for term in self.terms)
        taps.setflags(write=False)
        return taps

    def sum(self) -> float:
        """The sum of the taps: what the kernel does to a constant image."""
        from math import fsum

        return fsum(self.values())

    def absolute_sum(self) -> float:
        """The sum of the absolute taps: the most that the kernel can make of a pixel of size 1."""
        from math import fsum

        return fsum(map(abs, self.values()))

    def named(self, name: str) -> Kernel:
        """The same taps under another name."""
        return replace(self, name=name)
