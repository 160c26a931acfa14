"""How an axis changes its length: the rules of frameworks, and the axes that no plain convolution describes.

n is the input size, k the kernel, s the stride, d the dilation, K = d (k - 1) + 1 the effective kernel, p0 and p1 the
padding before and after. A convolution or pooling axis is a `Geometry`; the others stand here, with the same questions.

Formulas: Dumoulin and Visin, arXiv:1603.07285; the framework rules from the sources named at each.
"""

from __future__ import annotations

from math import floor, gcd
from typing import NamedTuple, Protocol

from convcli.geometry.axis import Geometry, effective_kernel, tf_same_padding


class Axis(Protocol):
    """One axis of a layer: how long it was, how long it becomes, and what each output reads."""

    def __hash__(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def output(self) -> int: ...
    @property
    def period(self) -> tuple[int, int]:
        """(outputs, inputs): so many outputs further, the same reading happens so many inputs further."""
        ...

    def reads(self, position: int) -> range:
        """The inputs that output `position` depends on, on an axis without ends."""
        ...


class Transposed(NamedTuple):
    """The axis of a transposed convolution: s (n - 1) + K - p0 - p1 + op outputs.

    >>> Transposed(size=2, kernel=3).output, Transposed(size=3, kernel=3, stride=2, begin=1, end=1, extra=1).output
    (4, 6)
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    begin: int = 0
    end: int = 0
    extra: int = 0

    @property
    def extent(self) -> int:
        """The effective kernel K."""
        return effective_kernel(self.kernel, self.dilation)

    @property
    def output(self) -> int:
        """s (n - 1) + K - p0 - p1 + op, or 0 where the padding takes everything."""
        return max(0, self.stride * (self.size - 1) + self.extent - self.begin - self.end + self.extra)

    @property
    def possible(self) -> range:
        """The outputs that some output padding makes: op < max(s, d).

        Source: torch/nn/modules/conv.py and ATen/native/Convolution.cpp (output padding below stride or dilation).

        >>> Transposed(size=3, kernel=3, stride=2, begin=1, end=1).possible
        range(5, 7)
        """
        smallest = self.stride * (self.size - 1) + self.extent - self.begin - self.end
        return range(smallest, smallest + max(self.stride, self.dilation))

    @property
    def positions(self) -> int:
        """Places that the kernel takes: one per input."""
        return self.size

    @property
    def period(self) -> tuple[int, int]:
        """(outputs, inputs): so many outputs further, the same reading happens so many inputs further."""
        return self.stride, 1

    def reads(self, position: int) -> range:
        """The inputs i with i s + t d - p0 = position for some tap t; none where the kernel leaves holes.

        >>> [list(Transposed(size=4, kernel=3, stride=2, begin=1).reads(u)) for u in range(3)]
        [[0], [0, 1], [1]]
        >>> list(Transposed(size=4, kernel=1, stride=2).reads(1))
        []
        """
        divisor = gcd(self.stride, self.dilation)
        step = self.stride // divisor  # a tap in every `step` falls on an input
        start = position + self.begin
        first = next((t for t in range(min(step, self.kernel)) if (start - t * self.dilation) % self.stride == 0), None)
        if first is None:
            return range(0)
        last = first + (self.kernel - 1 - first) // step * step
        ends = [(start - tap * self.dilation) // self.stride for tap in (last, first)]
        return range(ends[0], ends[1] + 1, self.dilation // divisor)

    def real_taps(self) -> int:
        """How many (input, tap) pairs land inside the output, and are not cut off by the padding.

        >>> Transposed(size=2, kernel=4, stride=2, begin=1, end=1).real_taps()
        6
        """
        return sum(self._inputs_inside(tap * self.dilation - self.begin) for tap in range(self.kernel))

    def _inputs_inside(self, offset: int) -> int:
        """Inputs i with 0 <= i s + offset < output."""
        first = max(0, -(offset // self.stride))
        last = min(self.size - 1, (self.output - 1 - offset) // self.stride)
        return max(0, last - first + 1)


class Resized(NamedTuple):
    """An axis of n pixels made m pixels long without a kernel; output u takes the pixel floor(u n / m) (nearest)."""

    size: int
    output: int

    @property
    def period(self) -> tuple[int, int]:
        """m / g and n / g, where g divides both."""
        divisor = gcd(self.size, self.output)
        return self.output // divisor, self.size // divisor

    def reads(self, position: int) -> range:
        """One pixel.

        >>> [list(Resized(2, 4).reads(u)) for u in range(4)]
        [[0], [0], [1], [1]]
        """
        first = position * self.size // self.output
        return range(first, first + 1)


class Scaled(NamedTuple):
    """An axis of n pixels enlarged by a factor: floor(n f) long; output u takes the pixel floor(u / f) (nearest).

    >>> Scaled(5, (3, 2)).output, [list(Scaled(5, (3, 2)).reads(u)) for u in range(4)]
    (7, [[0], [0], [1], [2]])
    """

    size: int
    factor: tuple[int, int]

    @property
    def output(self) -> int:
        """floor(n f), in double precision as PyTorch computes it (ATen/native/UpSample.h)."""
        return floor(self.size * (self.factor[0] / self.factor[1]))

    @property
    def period(self) -> tuple[int, int]:
        """The factor's numerator and denominator."""
        return self.factor

    def reads(self, position: int) -> range:
        """One pixel."""
        first = position * self.factor[1] // self.factor[0]
        return range(first, first + 1)


class LinearlyScaled(Scaled):
    """The same, mixing the two nearest pixels, pixel centres at halves (align_corners=False)."""

    def reads(self, position: int) -> range:
        """The pixels around (u + 1/2) / f - 1/2.

        >>> [list(LinearlyScaled(4, (3, 2)).reads(u)) for u in range(3)]
        [[-1, 0], [0, 1], [1, 2]]
        """
        up, down = self.factor
        first, rest = divmod((2 * position + 1) * down - up, 2 * up)
        return range(first, first + (2 if rest else 1))


class LinearlyResized(Resized):
    """The same, mixing the two nearest pixels, pixel centres at halves (align_corners=False)."""

    def reads(self, position: int) -> range:
        """The pixels around (u + 1/2) n / m - 1/2.

        >>> [list(LinearlyResized(2, 4).reads(u)) for u in range(2)], list(LinearlyResized(2, 6).reads(1))
        ([[-1, 0], [0, 1]], [0])
        """
        first, rest = divmod((2 * position + 1) * self.size - self.output, 2 * self.output)
        return range(first, first + (2 if rest else 1))


class AdaptivelyPooled(Resized):
    """The windows of an adaptive pooling: [floor(u n / m), ceil((u + 1) n / m)).

    Source: ATen/native/AdaptivePooling.h, start_index and end_index.
    """

    def reads(self, position: int) -> range:
        """The pixels of window u.

        >>> [list(AdaptivelyPooled(5, 3).reads(u)) for u in range(3)]
        [[0, 1], [1, 2, 3], [3, 4]]
        """
        return range(position * self.size // self.output, -(-(position + 1) * self.size // self.output))


def ceil_output(axis: Geometry) -> int:
    """Outputs of a pooling with ceil_mode: rounded up, but no window may start in the padding at the end.

    Source: ATen/native/Pool.h, pooling_output_shape. Before opset 22 ONNX lacks the correction.

    >>> vectors = (9, 4, 4, 2), (32, 1, 2, 0), (5, 2, 2, 1), (2, 3, 3, 1), (5, 3, 3, 1)
    >>> [ceil_output(Geometry(n, k, s, begin=p, end=p)) for n, k, s, p in vectors]
    [3, 16, 3, 1, 2]
    """
    room = axis.size + axis.begin + axis.end - axis.extent
    outputs = (room + axis.stride - 1) // axis.stride + 1
    return outputs - 1 if (outputs - 1) * axis.stride >= axis.size + axis.begin else outputs


def rounded_up(axis: Geometry) -> Geometry:
    """The axis of a ceil pooling: its end is padded by what the last window hangs over.

    >>> rounded_up(Geometry(112, 3, 2)).end, rounded_up(Geometry(2, 3, 3, begin=1, end=1)).end
    (1, 1)
    """
    needed = (ceil_output(axis) - 1) * axis.stride + axis.extent - axis.size - axis.begin
    return axis._replace(end=max(axis.end, needed))


def rule_padding(rule: str, n: int, axis: Geometry | Transposed) -> tuple[int, int]:
    """(p0, p1) of a padding rule for a convolution of n pixels with the kernel of `axis`.

    h: K // 2 on both sides; f: K - 1; s: SAME_UPPER, the odd pixel at the end (TensorFlow); l: SAME_LOWER (ONNX);
    c: K - 1 before and none after, so that no output sees what comes later (Keras' causal).

    >>> [rule_padding(rule, 224, Geometry(224, 3, 2)) for rule in "hfslc"]
    [(1, 1), (2, 2), (0, 1), (1, 0), (2, 0)]
    """
    if rule == "c":
        return axis.extent - 1, 0
    if rule in "hf":
        both = axis.extent // 2 if rule == "h" else axis.extent - 1
        return both, both
    upper = tf_same_padding(n, axis.kernel, axis.stride, axis.dilation)
    return upper if rule == "s" else (upper[1], upper[0])


def undo_same(axis: Transposed, wanted: int, pads: tuple[int, int]) -> Transposed | None:
    """The transposed axis that undoes a SAME convolution of `wanted` pixels, padded by `pads`.

    None where that convolution does not make as many outputs as this axis has inputs.

    >>> undo_same(Transposed(8, 4, 2), 16, (1, 1))
    Transposed(size=8, kernel=4, stride=2, dilation=1, begin=1, end=1, extra=0)
    """
    if -(-wanted // axis.stride) != axis.size:
        return None
    padded = axis._replace(begin=pads[0], end=pads[1], extra=0)
    return padded._replace(extra=wanted - padded.output)


def laid_to(axis: Transposed, wanted: int, *, upper: bool) -> Transposed:
    """The axis, cut to `wanted` outputs: the odd one at the end for `upper`, else in front; or longer by what it lacks.

    Source: onnx/defs/nn/defs.cc, ConvTranspose, total_padding.

    >>> laid_to(Transposed(8, 3, 2, extra=1), 16, upper=True), laid_to(Transposed(8, 1, 3), 24, upper=True).extra
    (Transposed(size=8, kernel=3, stride=2, dilation=1, begin=1, end=1, extra=1), 2)
    """
    bare = axis._replace(begin=0, end=0)
    total = bare.output - wanted
    if total < 0:
        return bare._replace(extra=axis.extra - total)
    small = total // 2
    begin, end = (small, total - small) if upper else (total - small, small)
    return bare._replace(begin=begin, end=end)


def keras_valid_extra(axis: Transposed) -> int:
    """The output padding that makes Keras' `valid` of a transposed convolution: s (n - 1) + max(K, s) outputs.

    Source: keras/src/backend/common/backend_utils.py, compute_conv_transpose_output_shape.

    >>> keras_valid_extra(Transposed(8, 2, 3)), keras_valid_extra(Transposed(8, 3, 2))
    (1, 0)
    """
    return max(0, axis.stride - axis.extent)


class Whole(Geometry):
    """An axis of which the one output reads everything: global pooling, or a fully connected layer."""

    @property
    def period(self) -> tuple[int, int]:
        """Another output would read the same."""
        return 1, 0


def whole(n: int) -> Whole:
    """The axis of n pixels that become one number.

    >>> whole(7).output
    1
    """
    return Whole(n, n)


class Spread(NamedTuple):
    """An axis of which every output reads everything: attention, or the one number of a gate."""

    size: int
    output: int

    @property
    def period(self) -> tuple[int, int]:
        """Another output reads the same."""
        return 1, 0

    def reads(self, _position: int) -> range:
        """All inputs."""
        return range(self.size)
