"""One axis of a convolution: how many positions a kernel takes, and which pixels each of them reads.

Formulas: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from convcli.errors import ConvError


class Sizes(NamedTuple):
    """What an axis is made of."""

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    begin: int = 0
    end: int = 0


class Geometry(Sizes):
    """One axis: `size` pixels, a kernel of `kernel` taps `dilation` apart, moved by `stride` over the padded axis.

    A plan asks for the same numbers hundreds of times: each is computed once, and travels with no pickle.

    >>> g = Geometry(size=6, kernel=3, stride=2, begin=1, end=1)
    >>> g.output, g.dropped
    (3, 1)
    """

    def __getstate__(self) -> None:
        """Nothing but the sizes."""

    @cached_property
    def extent(self) -> int:
        """The effective kernel K = d (k - 1) + 1: pixels from the first tap to the last, both counted."""
        return effective_kernel(self.kernel, self.dilation)

    @cached_property
    def output(self) -> int:
        """floor((n + p0 + p1 - K) / s) + 1, or 0 where the kernel does not fit."""
        return max(0, (self.size + self.begin + self.end - self.extent) // self.stride + 1)

    @property
    def dropped(self) -> int:
        """Columns at the end that no position reads: (n + p0 + p1 - K) mod s."""
        return (self.size + self.begin + self.end - self.extent) % self.stride

    @property
    def positions(self) -> int:
        """Places that the kernel takes: one per output."""
        return self.output

    @property
    def period(self) -> tuple[int, int]:
        """(outputs, inputs): so many outputs further, the same reading happens so many inputs further."""
        return 1, self.stride

    def reads(self, position: int) -> range:
        """The pixels that output `position` reads, on an axis without ends.

        >>> list(Geometry(size=9, kernel=3, stride=2, dilation=2, begin=1).reads(1))
        [1, 3, 5]
        """
        first = position * self.stride - self.begin
        return range(first, first + self.extent, self.dilation)

    def window(self, first: int, last: int) -> tuple[int, int]:
        """The pixels [start, stop) that the outputs [first, last) read; they may lie outside the axis.

        >>> Geometry(size=6, kernel=3, stride=2, begin=1, end=1).window(0, 3)
        (-1, 6)
        """
        start = first * self.stride - self.begin
        return start, (last - 1) * self.stride - self.begin + self.extent

    def under(self, tap: int, first: int, last: int) -> Sequence[int]:
        """The pixels under a tap at the outputs [first, last), counted from the start of their window.

        >>> list(Geometry(size=9, kernel=3, stride=2, dilation=2, begin=1).under(1, 1, 3))
        [2, 4]
        """
        start = tap * self.dilation
        return range(start, start + self.stride * (last - first), self.stride)

    def real_taps(self) -> int:
        """How many (position, tap) pairs fall on a pixel and not on padding.

        >>> Geometry(size=4, kernel=3, begin=1, end=1).real_taps()
        10
        """
        return sum(self._positions_inside(tap * self.dilation - self.begin) for tap in range(self.kernel))

    def _positions_inside(self, offset: int) -> int:
        """Outputs y with 0 <= y s + offset < n."""
        first = max(0, -(offset // self.stride))
        last = min(self.output - 1, (self.size - 1 - offset) // self.stride)
        return max(0, last - first + 1)


def effective_kernel(kernel: int, dilation: int = 1) -> int:
    """K = d (k - 1) + 1.

    >>> [effective_kernel(3, d) for d in (1, 2, 4)]
    [3, 5, 9]
    """
    return dilation * (kernel - 1) + 1


def same_padding(
    size: int, kernel: int, stride: int = 1, dilation: int = 1, origin: int | None = None
) -> tuple[int, int]:
    """(begin, end) that put tap `origin` (default k // 2) on pixels 0, s, 2s, ...: ceil(n / s) outputs.

    >>> same_padding(6, 3), same_padding(6, 4), same_padding(6, 3, stride=2)
    ((1, 1), (2, 1), (1, 0))
    """
    centre = kernel // 2 if origin is None else origin
    begin = centre * dilation
    last = (-(-size // stride) - 1) * stride
    return begin, max(0, last - begin + effective_kernel(kernel, dilation) - size)


def tf_same_padding(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """(begin, end) of TensorFlow's and ONNX's SAME_UPPER: the odd pixel goes to the end.

    Source: tensorflow.org/api_docs/python/tf/nn, "Notes on padding".

    >>> tf_same_padding(224, 3, 2), tf_same_padding(224, 7, 2), tf_same_padding(13, 6, 5)
    ((0, 1), (2, 3), (1, 2))
    """
    total = max(0, dilation * (kernel - 1) - (size - 1) % stride)
    return total // 2, total - total // 2


@lru_cache(maxsize=256)
def padded(
    size: int, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int], origin: int | None = None
) -> Geometry:
    """The geometry of an axis under a padding rule: "same", "tf-same", "valid", "full" or (begin, end).

    >>> padded(5, 3, 1, 1, "full").output
    7
    """
    if isinstance(padding, tuple):
        begin, end = padding
    elif padding == "same":
        begin, end = same_padding(size, kernel, stride, dilation, origin)
    elif padding == "tf-same":
        begin, end = tf_same_padding(size, kernel, stride, dilation)
    elif padding == "same-lower":  # ONNX's SAME_LOWER, which layers have
        end, begin = tf_same_padding(size, kernel, stride, dilation)
    elif padding == "full":
        begin = end = effective_kernel(kernel, dilation) - 1
    elif padding == "valid":
        begin = end = 0
    else:
        raise ConvError(f"unknown padding {padding!r}; use same, tf-same, valid, full or numbers", "usage")
    return Geometry(size, kernel, stride, dilation, begin, end)
