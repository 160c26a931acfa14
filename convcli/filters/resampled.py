"""Enlargement by any scale: how an axis gets its new pixels, and what that makes of an image; no pixels.

The whole image is laid on the whole result, pixel centres at halves, as in Pillow, OpenCV and PyTorch
(align_corners=False): new pixel u has its middle at (u + 1/2) n / m - 1/2. What weighs how much is a curve of the
distance; the weights of each new pixel are divided by their sum.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from math import ceil, floor, fsum

from convcli.errors import ConvError
from convcli.filters.filter import Windowed
from convcli.filters.positions import Places
from convcli.geometry.axis import Geometry
from convcli.image import ImageInfo
from convcli.kernels.resampling import CURVES, Curve
from convcli.records import record

BLOCK = 32
"""Outputs of a product: enough for BLAS, few enough that the weights are not mostly zeros."""
NOTHING = 1e-15
"""A weight below this is the rounding of a curve that passes zero there."""


class Resampled(Geometry):
    """An axis of `size` pixels as `wanted` new ones; where `inside`, nothing beyond the image has a weight.

    >>> Resampled(4, 2, wanted=8, name="bilinear").weights(1)
    (0, (0.75, 0.25))
    """

    wanted: int
    name: str
    inside: bool

    def __new__(cls, size: int, kernel: int, wanted: int, name: str = "bilinear", inside: bool = True) -> Resampled:
        axis = super().__new__(cls, size, kernel)
        axis.wanted, axis.name, axis.inside = (
            wanted,
            name,
            inside,
        )  # a named tuple inherits its fields, and takes no more
        return axis

    def __getnewargs__(self) -> tuple[int, int, int, str, bool]:
        return self.size, self.kernel, self.wanted, self.name, self.inside

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resampled) and self.__getnewargs__() == other.__getnewargs__()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.__getnewargs__())

    @property
    def curve(self) -> Curve:
        """The weight by the distance."""
        return CURVES[self.name]

    @cached_property
    def output(self) -> int:
        """New pixels."""
        return self.wanted

    def window(self, first: int, last: int) -> tuple[int, int]:
        """The pixels [start, stop) that the new pixels [first, last) read."""
        return self._reach(first)[0], self._reach(last - 1)[1]

    def under(self, tap: int, first: int, last: int) -> list[int]:  # noqa: ARG002 -- no tap has a place of its own
        """The pixels nearest to the new pixels [first, last), counted from the start of their window."""
        start, _ = self.window(first, last)
        return [self.nearest(u) - start for u in range(first, last)]

    def nearest(self, u: int) -> int:
        """The pixel that new pixel u has its middle in."""
        return (2 * u + 1) * self.size // (2 * self.wanted)

    @property
    def stretch(self) -> float:
        """How much wider the curve is where the image shrinks, so that every pixel counts (as in Pillow)."""
        return max(1.0, self.size / self.wanted)

    def weights(self, u: int) -> tuple[int, tuple[float, ...]]:
        """The first pixel that new pixel u reads, and the weights of this and the next ones; they sum to 1."""
        first, last, centre = self._reach(u)
        raw = [self.curve.at(abs(x - centre) / self.stretch) for x in range(first, last)]
        total = fsum(raw)
        return first, tuple(w / total if abs(w) > NOTHING else 0.0 for w in raw)

    def _reach(self, u: int) -> tuple[int, int, float]:
        """The pixels [first, last) that the curve around new pixel u reaches, and the place of its middle."""
        if self.name == "nearest":
            return self.nearest(u), self.nearest(u) + 1, float(self.nearest(u))
        centre = ((2 * u + 1) * self.size - self.wanted) / (2 * self.wanted)
        reach = self.curve.reach * self.stretch
        first, last = floor(centre - reach) + 1, ceil(centre + reach)
        if self.inside:
            first, last = max(0, first), min(self.size, last)
        return first, last, centre


@record
class ResampledFilter(Windowed):
    """An enlargement. As a `Filter` it says what becomes of axes, samples and numbers; `kernel` is a single tap.

    `name` is that of the curve, `scale` the factor along each spatial axis; with `inside` the border has no part.
    """

    name: str = "bilinear"
    scale: tuple[Fraction, ...] = ()
    inside: bool = True

    def geometry(self, info: ImageInfo) -> tuple[Resampled, ...]:
        """The sizes, and the weights of each new pixel."""
        return tuple(self._axis(letter, scale, info) for letter, scale in zip(self.spatial, self.scale, strict=True))

    def _axis(self, letter: str, scale: Fraction, info: ImageInfo) -> Resampled:
        size = info.size(letter)
        wanted = round(size * scale)
        if wanted < 1:
            raise ConvError(
                f"{size} pixels along {letter} times {float(scale):g} is none; use a larger --scale", "shape"
            )
        curve, stretch = CURVES[self.name], max(1.0, size / wanted)
        taps = 1 if self.name == "nearest" else ceil(2 * curve.reach * stretch)
        return Resampled(size, taps, wanted=wanted, name=self.name, inside=self.inside)

    @property
    def whole_taps(self) -> bool:
        """Whether pixels come back as they are."""
        return self.name == "nearest"

    @property
    def size(self) -> float:
        """The most that the weights make of pixels of size 1: they sum to 1, but Lanczos has negative ones."""
        return 1.0 if self.name == "nearest" else 2.0**self.ndim

    def places(self, info: ImageInfo) -> Places:
        """Pixel centres at halves, at both ends alike."""
        steps = (axis.size / axis.wanted for axis in self.geometry(info))
        return {letter: ((step - 1) / 2, step) for letter, step in zip(self.spatial, steps, strict=True)}
