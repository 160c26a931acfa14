"""The `Kernel` value: what to multiply pixels with. No NumPy until its taps are asked for as an array."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, reduce
from itertools import product
from math import fsum, prod
from typing import TYPE_CHECKING, Any

from convcli.errors import KernelError
from convcli.records import record, replace

if TYPE_CHECKING:
    import numpy as np

MANY = 1 << 15
"""Bytes of taps from which NumPy adds them up."""
MOST_SUMMED = 1 << 24
"""Taps of a sum of terms whose absolute values are added up one by one: 0.1 s; those of more are estimated."""
Term = tuple[tuple[float, ...], ...]
"""One 1-D kernel per axis; their outer product is an n-D kernel."""

LARGEST_TAP = 3.4028234663852886e38
"""The largest float32: what the engine computes in. It also keeps every sum of taps finite."""

ZERO_SUM = 1e-6
"""A sum below this share of the absolute sum is the rounding of float32 taps, and counts as zero."""


@record
class Kernel:
    """Taps of a filter, or of a bank of filters.

    `shape` is spatial, (kh, kw) or (kd, kh, kw), for a plain kernel that acts on each channel alone (`bank` False);
    or (O, I/g, *spatial), PyTorch's layout, for a bank that sums over input channels (`bank` True).
    `data` are the taps as row-major float64 bytes, so that kernels compare and hash by value; it is empty where `terms`
    (separable terms whose outer products add up to the taps) describe the kernel instead.
    `origin` is the tap that sits on the pixel, one per spatial axis; None means k // 2.
    `offset` is added to every result after the taps (the offset of a vips matrix).
    """

    name: str
    shape: tuple[int, ...]
    data: bytes = b""
    terms: tuple[Term, ...] = ()
    bank: bool = False
    origin: tuple[int, ...] | None = None
    offset: float = 0.0

    @classmethod
    def from_values(cls, name: str, shape: Sequence[int], values: Iterable[float], *, bank: bool = False) -> Kernel:
        """A kernel from its taps in row-major order.

        >>> Kernel.from_values("k", (1, 3), [1, 2, 1]).sum()
        4.0
        """
        data = array("d", values)
        if len(data) != prod(shape) or not data:
            raise KernelError(f"{len(data)} values do not fill a kernel of {'x'.join(map(str, shape))}")
        if len(data) * data.itemsize > MANY:
            import numpy as np

            return cls.from_array(name, np.frombuffer(data).reshape(shape), bank=bank)
        data = array("d", (value + 0.0 for value in data))  # -0.0 becomes 0.0: equal taps make equal bytes
        check_finite(data)
        return cls(name, tuple(shape), data.tobytes(), bank=bank)

    @classmethod
    def from_terms(cls, name: str, terms: Iterable[Sequence[Sequence[float]]]) -> Kernel:
        """A plain kernel as the sum of outer products of 1-D kernels, all terms of one shape.

        >>> Kernel.from_terms("box", [([0.5, 0.5], [1, 1])]).values()
        (0.5, 0.5, 0.5, 0.5)
        """
        kept = tuple(tuple(tuple(float(v) for v in factor) for factor in term) for term in terms)
        for factor in (factor for term in kept for factor in term):
            check_finite(factor)
        return cls(name, tuple(len(factor) for factor in kept[0]), terms=kept)

    @classmethod
    def from_array(cls, name: str, taps: np.ndarray[Any, Any], *, bank: bool = False) -> Kernel:
        """A kernel from an array of real numbers, of the kernel's own `shape`."""
        import numpy as np

        with np.errstate(all="ignore"):  # a tap that float64 cannot hold, or a signalling NaN, is refused below
            data = np.ascontiguousarray(taps, dtype=np.float64) + 0.0
        if not data.size:
            raise KernelError(f"an array of shape {taps.shape} holds no taps")
        if not np.abs(data).max() <= LARGEST_TAP:  # also true for NaN
            check_finite(data.ravel().tolist())
        return cls(name, taps.shape, data.tobytes(), bank=bank)

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
        return self.origin if self.origin is not None else default_centre(self.spatial)

    @property
    def is_zero_sum(self) -> bool:
        """True where a constant image becomes zero, up to the rounding of float32 taps.

        >>> Kernel.from_values("k", (1, 3), [-0.1, -0.2, 0.3]).is_zero_sum
        True
        """
        return abs(self.sum()) <= ZERO_SUM * self.absolute_sum()

    @property
    def alike(self) -> bool:
        """Whether a plain kernel has several taps that are all the same: it takes sums, or means.

        >>> Kernel.from_terms("box", [([0.5, 0.5], [1, 1])]).alike, Kernel.from_values("k", (1, 2), [1, 2]).alike
        (True, False)
        """
        if self.bank or prod(self.shape) == 1:
            return False
        if self.terms:
            return len(self.terms) == 1 and all(factor[1:] == factor[:-1] for factor in self.terms[0])
        return self.data[8:] == self.data[:-8]

    @property
    def empty(self) -> list[int]:
        """The filters whose taps are all 0.

        >>> Kernel.from_values("bank", (2, 1, 1, 2), [0, 0, 0, 1], bank=True).empty
        [0]
        """
        if self.terms:
            return [] if self.absolute_sum() else [0]
        return [number for number, taps in enumerate(self.as_bank()) if not taps.any()]

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
        taps = reduce(np.add, (reduce(np.multiply.outer, map(np.asarray, term)) for term in self.terms))
        taps.setflags(write=False)
        return taps

    def as_bank(self) -> np.ndarray[Any, Any]:
        """The taps as a read-only float64 bank (O, I/g, *spatial); a plain kernel is one filter of one channel."""
        return self.array() if self.bank else self.array()[None, None]

    def sum(self) -> float:
        """The sum of the taps: what the kernel does to a constant image."""
        if len(self.data) > MANY:
            return float(self.array().sum())
        if self.data:
            return fsum(self.values())
        return fsum(prod(map(fsum, term)) for term in self.terms)

    @property
    def plain_sum(self) -> float:
        """The sum as people write it: 0 where nothing but rounding is left.

        >>> Kernel.from_values("k", (1, 3), [0.1, 0.2, -0.3]).plain_sum
        0.0
        """
        return 0.0 if self.is_zero_sum else self.sum()

    def absolute_sum(self) -> float:
        """The sum of the absolute taps: the most that a filter can make of pixels of size 1; the largest of a bank."""
        return self._absolute_sum

    @cached_property
    def _absolute_sum(self) -> float:
        if len(self.terms) == 1:
            return prod(fsum(map(abs, factor)) for factor in self.terms[0])
        if (
            prod(self.shape) > MOST_SUMMED and self.terms
        ):  # no less than the sum; 69 thousand million taps may be in dog
            return sum(prod(fsum(map(abs, factor)) for factor in term) for term in self.terms)
        if self.terms or len(self.data) > MANY:
            return float(abs(self.array()).reshape(self.outputs, -1).sum(axis=1).max())
        taps, each = self.values(), prod(self.shape) // self.outputs
        return max(fsum(map(abs, taps[first : first + each])) for first in range(0, len(taps), each))

    def named(self, name: str) -> Kernel:
        """The same taps under another name."""
        return replace(self, name=name)

    def at_origin(self, origin: Sequence[int]) -> Kernel:
        """The same taps with tap `origin` on the pixel.

        >>> Kernel.from_values("k", (1, 2), [1, 2]).at_origin((0, 0)).centre
        (0, 0)
        """
        if len(origin) != self.ndim or not all(0 <= o < k for o, k in zip(origin, self.spatial, strict=True)):
            size = "x".join(map(str, self.spatial))
            raise KernelError(f"origin {tuple(origin)} is not a tap of a {size} kernel; taps count from 0")
        kept = None if tuple(origin) == default_centre(self.spatial) else tuple(origin)
        return replace(self, origin=kept)

    def scaled(self, factor: float) -> Kernel:
        """Every tap times `factor`; the offset stays.

        >>> Kernel.from_values("k", (1, 2), [1, 2]).scaled(3).sum()
        9.0
        """
        return self._changed(lambda tap: factor * tap)

    def normalized(self) -> Kernel:
        """Taps that sum to 1, each filter of a bank by its own sum; what sums to zero stays as it is.

        >>> Kernel.from_values("k", (1, 4), [1, 2, 4, 1]).normalized().values()[2]
        0.5
        """
        if not self.bank:
            total = self.sum()
            return self if self.is_zero_sum else self._changed(lambda tap: tap / total)
        taps, size = array("d", self.data), prod(self.shape[1:])
        filters = (Kernel.from_values(self.name, (size,), taps[i : i + size]) for i in range(0, len(taps), size))
        return replace(self, data=b"".join(each.normalized().data for each in filters))

    def flipped(self) -> Kernel:
        """Turned by 180 degrees over the spatial axes, the origin with it: correlation becomes convolution.

        >>> Kernel.from_values("k", (1, 3), [1, 2, 3]).flipped().values().tolist()
        [3.0, 2.0, 1.0]
        """
        mirrored = tuple(k - 1 - c for k, c in zip(self.spatial, self.centre, strict=True))
        terms = tuple(tuple(factor[::-1] for factor in term) for term in self.terms)
        return replace(self, data=self._reversed_data(), terms=terms).at_origin(mirrored)

    def dilated(self, rates: Sequence[int]) -> Kernel:
        """The same taps with zeros between them, `rates` apart, one for each axis.

        >>> Kernel.from_values("k", (1, 2), [1, 2]).dilated((1, 3)).values().tolist()
        [1.0, 0.0, 0.0, 2.0]
        """
        import numpy as np

        taps = np.zeros([rate * (k - 1) + 1 for rate, k in zip(rates, self.spatial, strict=True)])
        taps[tuple(slice(None, None, rate) for rate in rates)] = self.array()
        centre = [rate * c for rate, c in zip(rates, self.centre, strict=True)]
        return replace(Kernel.from_array(self.name, taps).at_origin(centre), offset=self.offset)

    def _changed(self, change: Callable[[Any], Any]) -> Kernel:
        """A linear change of every tap, or of all as an array."""
        if len(self.data) > MANY:
            return replace(self, data=Kernel.from_array(self.name, change(self.array())).data)
        if self.data:
            return replace(self, data=Kernel.from_values(self.name, self.shape, map(change, self.values())).data)
        terms = ((tuple(map(change, first)), *rest) for first, *rest in self.terms)
        return replace(self, terms=Kernel.from_terms(self.name, terms).terms)

    def _reversed_data(self) -> bytes:
        """The taps of each filter and channel in reverse order."""
        size = prod(self.spatial)
        taps = array("d", self.data)
        planes = (taps[i : i + size] for i in range(0, len(taps), size))
        return b"".join(plane[::-1].tobytes() for plane in planes)


def stack_kernels(kernels: Sequence[Kernel]) -> Kernel:
    """Plain kernels as one bank of shape (M, 1, *spatial), their centres on one tap.

    A smaller kernel gets taps of zero around it, which changes no result; the common centre becomes the origin.
    """
    import numpy as np

    if any(kernel.bank or kernel.ndim != kernels[0].ndim for kernel in kernels):
        raise KernelError("only plain kernels of the same number of axes can be stacked; a filter bank stands alone")
    if len({kernel.offset for kernel in kernels}) > 1:
        raise KernelError("kernels with different offsets cannot be stacked; use --bias for all, or run them apart")
    axes = range(kernels[0].ndim)
    centre = [max(kernel.centre[axis] for kernel in kernels) for axis in axes]
    after = [max(kernel.spatial[axis] - kernel.centre[axis] for kernel in kernels) for axis in axes]
    taps = np.zeros((len(kernels), 1, *map(sum, zip(centre, after, strict=True))))
    for plane, kernel in zip(taps[:, 0], kernels, strict=True):
        first = [c - own for c, own in zip(centre, kernel.centre, strict=True)]
        plane[tuple(slice(f, f + k) for f, k in zip(first, kernel.spatial, strict=True))] = kernel.array()
    bank = Kernel.from_array(", ".join(kernel.name for kernel in kernels), taps, bank=True)
    return replace(bank.at_origin(centre), offset=kernels[0].offset)


def folded(kernel: Kernel, combine: str, *, each: bool, groups: int = 1) -> Kernel:
    """The sum or mean of a bank's results as one filter with summed taps, over the channels of all groups.

    >>> bank = Kernel.from_values("k", (2, 1, 1, 2), [1, 2, 3, 4], bank=True)
    >>> folded(bank, "sum", each=True).values().tolist(), folded(bank, "mean", each=False, groups=2).values().tolist()
    ([4.0, 6.0], [0.5, 1.0, 1.5, 2.0])
    """
    filters = kernel.array()
    of_groups = filters.reshape(groups, -1, *filters.shape[1:]).sum(axis=1)
    total = of_groups.reshape(1, -1, *kernel.spatial) / (kernel.outputs if combine == "mean" else 1)
    taps = total[0, 0] if each else total
    summed = Kernel.from_array(f"{combine} of {kernel.name}", taps, bank=not each)
    return replace(summed, origin=kernel.origin, offset=kernel.offset)


def default_centre(spatial: Sequence[int]) -> tuple[int, ...]:
    """The tap on the pixel where nothing else is said, as in scipy.ndimage.

    >>> default_centre((3, 4))
    (1, 2)
    """
    return tuple(k // 2 for k in spatial)


def check_finite(taps: Iterable[float]) -> None:
    """Refuse taps that float32 cannot hold: one infinite tap would turn a whole image into NaN."""
    for tap in taps:
        if not abs(tap) <= LARGEST_TAP:
            raise KernelError(f"tap {tap:g} is not a finite float32 number")
