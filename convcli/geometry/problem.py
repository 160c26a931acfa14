"""What is to be computed, and what it costs: plain values that the planner and the report exchange."""

from __future__ import annotations

from functools import cached_property
from math import prod

from convcli.geometry.axis import Geometry
from convcli.records import record, replace

ACCURACY = 2e-5
"""Largest error of any method, relative to sum|k| max|x|."""


@record
class Problem:
    """A convolution by its sizes alone; equal problems have equal plans.

    `planes` independent images of `channels_in` channels each meet the same `channels_out` filters, every one of which
    sums over channels_in / groups channels. `rank` is the number of separable terms that add up to the kernel within
    rounding, None where nobody looked. `itemsize` is 4 or 8, the bytes of the floating-point numbers computed with.
    `tolerance` is the error allowed, relative to sum|k| max|x|; `exact` says that pixels and taps are integers whose
    sums fit a float32, so that sums of products carry no error at all. `approximation` is what a user allows separable
    terms to leave of the kernel, relative to sum|k|. `together` of the planes are the samples of one image, computed at
    the same time. `stored` results are of the type computed with, as they are; so are the pixels of a `plain` problem,
    too. `multiplier` is m where the bank is a depthwise separable pair: m kernels for each channel alone, whose results
    are mixed; `rank` is that of these kernels. With `halves`, pixels are 64-bit integers in two parts, whose
    sums must be exact. `local` results keep the tolerance relative to (|k| * |x|) at each output; those of `steady`
    terms do so in float32, too, whatever the pixels are. The taps of an `alike` kernel are all the same. Pixels that
    are integers of 8 or 16 bits are `short`.
    """

    axes: tuple[Geometry, ...]
    planes: int = 1
    channels_in: int = 1
    channels_out: int = 1
    groups: int = 1
    rank: int | None = None
    border: tuple[str, ...] = ()
    itemsize: int = 4
    tolerance: float = ACCURACY
    exact: bool = False
    approximation: float = 0.0
    together: int = 1
    stored: bool = False
    plain: bool = False
    multiplier: int = 0
    halves: bool = False
    local: bool = False
    steady: bool = False
    alike: bool = False
    short: bool = False

    @property
    def between(self) -> int:
        """Channels between the two steps of a pair; 0 where the problem is no pair."""
        return self.channels_in * self.multiplier

    @cached_property
    def depthwise(self) -> Problem:
        """What a method computes: the first step of a pair, or the problem itself."""
        if not self.multiplier:
            return self
        return replace(self, channels_out=self.between, groups=self.channels_in, multiplier=0)

    @property
    def images(self) -> int:
        """What is computed one by one: planes, or the samples of an image at once."""
        return self.planes // self.together

    @cached_property
    def output(self) -> tuple[int, ...]:
        """Output positions per spatial axis."""
        return tuple(axis.output for axis in self.axes)

    @cached_property
    def kernel(self) -> tuple[int, ...]:
        """Taps per spatial axis."""
        return tuple(axis.kernel for axis in self.axes)

    @property
    def stride(self) -> tuple[int, ...]:
        """Steps between output positions, per spatial axis."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def dilation(self) -> tuple[int, ...]:
        """Steps between taps, per spatial axis."""
        return tuple(axis.dilation for axis in self.axes)

    @property
    def dtype(self) -> str:
        """The floating-point type computed with: "float32" or "float64"."""
        return f"float{8 * self.itemsize}"

    @property
    def fan_in(self) -> int:
        """Input channels that one filter sums over: I / g."""
        return self.channels_in // self.groups

    @property
    def macs(self) -> int:
        """Multiply-adds of the definition: N prod(out) O (I/g) prod(k).

        >>> Problem((Geometry(4, 3), Geometry(4, 3))).macs
        36
        """
        return self.planes * prod(self.output) * self.channels_out * self.fan_in * prod(self.kernel)


@record
class Cost:
    """Work and the time it is expected to take. Costs add up.

    >>> Cost(macs=2, seconds=1.0) + Cost(macs=3)
    Cost(macs=5, bytes=0, seconds=1.0)
    """

    macs: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.bytes + other.bytes, self.seconds + other.seconds)

    @property
    def flops(self) -> int:
        """Two per multiply-add."""
        return 2 * self.macs
