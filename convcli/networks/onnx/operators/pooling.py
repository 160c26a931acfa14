"""Operators that look through windows, or at the whole: poolings, reductions, resizing, padding."""

from __future__ import annotations

from math import floor, prod
from typing import NamedTuple

from convcli.errors import ConvError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, LinearlyResized, Resized, ceil_output
from convcli.networks.onnx.call import LARGEST, SAME, Call, Flow, Made, Unknown, known
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.operators.weighted import LARGEST_KERNEL, convolution_axis

CORRECTED = 22
"""The opset from which no window of a ceil pooling may begin in the padding at the end."""


def pooling(call: Call) -> Made:
    """MaxPool, AveragePool and LpPool."""
    x, kernel = call.dims(0), call.integers("kernel_shape")
    if kernel is None or len(x) != len(kernel) + 2 or not 0 < min(kernel) <= max(kernel) <= LARGEST_KERNEL:
        raise ConvError("its kernel_shape does not fit the input", "shape")
    axes = [pooling_axis(call, n, i, kernel) for i, n in enumerate(x[2:])]
    output: Dims = (*x[:2], *(axis and axis.output for axis in axes))
    flow = Flow("axes", axes=tuple((i, axis) for i, axis in enumerate(axes, 2) if axis is not None))
    if None in axes or None in output:
        return Made((output, output))
    return Made((output, output), flow, work=(("pool", prod(known(output)) * prod(kernel)),))


def pooling_axis(call: Call, n: int | None, i: int, kernel: tuple[int, ...]) -> Geometry | None:
    """One axis, rounded up where the node says so."""
    axis = convolution_axis(call, n, i, kernel)
    if axis is None or not call.integer("ceil_mode") or call.text("auto_pad", "NOTSET") not in ("NOTSET", ""):
        return axis
    room = axis.size + axis.begin + axis.end - axis.extent
    outputs = ceil_output(axis) if call.opset >= CORRECTED else -(-room // axis.stride) + 1
    needed = (outputs - 1) * axis.stride + axis.extent - axis.size - axis.begin
    return axis._replace(end=max(axis.end, needed) if outputs > axis.output else axis.end)


def global_pooling(call: Call) -> Made:
    """GlobalAveragePool and its kin: one number per channel."""
    x = call.dims(0)
    over = tuple(range(2, len(x)))
    work = (("pool", prod(known(x))),) if None not in x else ()
    return Made(((*x[:2], *(1 for _ in over)),), Flow("reduced", over=over), work=work)  # type: ignore[arg-type]


def reduction(call: Call) -> Made:
    """ReduceMean and its kin: over some axes, or over all."""
    x = call.dims(0)
    axes = call.setting("axes", 1)
    if not axes:
        axes = () if call.integer("noop_with_empty_axes") else tuple(range(len(x)))
    over = tuple(sorted({call.dimension(axis, len(x)) for axis in axes}))
    return reduced(x, over, keep=bool(call.integer("keepdims", 1)))


def extreme(call: Call) -> Made:
    """ArgMax and ArgMin: over one axis."""
    x = call.dims(0)
    return reduced(x, (call.axis("axis", 0, len(x)),), keep=bool(call.integer("keepdims", 1)))


def reduced(x: Dims, over: tuple[int, ...], *, keep: bool) -> Made:
    """A value with some dimensions read whole."""
    output: Dims = tuple(1 if i in over else n for i, n in enumerate(x) if keep or i not in over)
    return Made((output,), Flow("reduced", over=over, keep=keep) if over else SAME)


# --- resizing


class Aligned(NamedTuple):
    """An axis resized so that its ends stay on its ends (align_corners); output u mixes the pixels around it."""

    size: int
    output: int

    @property
    def period(self) -> tuple[int, int]:
        """m - 1 outputs further, n - 1 inputs further."""
        return max(1, self.output - 1), max(0, self.size - 1)

    def reads(self, position: int) -> range:
        """The pixels around u (n - 1) / (m - 1).

        >>> [list(Aligned(3, 5).reads(u)) for u in range(5)]
        [[0], [0, 1], [1], [1, 2], [2]]
        """
        first, rest = divmod(position * (self.size - 1), max(1, self.output - 1))
        return range(first, first + (2 if rest else 1))


class Cubic(Resized):
    """An axis resized through four pixels (pixel centres at halves)."""

    def reads(self, position: int) -> range:
        """The four pixels around (u + 1/2) n / m - 1/2.

        >>> list(Cubic(8, 16).reads(4))
        [0, 1, 2, 3]
        """
        first, rest = divmod((2 * position + 1) * self.size - self.output, 2 * self.output)
        return range(first - 1, first + 3) if rest else range(first, first + 1)


def resize(call: Call) -> Made:
    """Resize: by scales, or to sizes, of all dimensions or of `axes`."""
    x = call.dims(0)
    scales, sizes = (1, 9) if call.opset < 11 else (2, 3)
    axes = [call.dimension(axis, len(x)) for axis in call.integers("axes") or range(len(x))]
    given = call.given(sizes)
    if given is not None and given.dims != (0,):
        wanted = call.numbers(sizes)
        if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise Unknown
    else:
        factors = call.reals(scales)
        if factors is None or len(factors) != len(axes):
            raise ConvError("says neither scales nor sizes", "corrupt")
        wanted = tuple(scaled(n, factor) for n, factor in zip(known(tuple(x[a] for a in axes)), factors, strict=True))
    if len(wanted) != len(axes) or not all(0 < n <= LARGEST for n in wanted):
        raise ConvError(f"has {len(wanted)} sizes for {len(axes)} axes", "shape")
    return resized(call, x, dict(zip(axes, wanted, strict=True)))


def scaled(n: int, factor: float) -> int:
    """A size by a factor, rounded down, or an error where that makes no size."""
    if not 0 < factor <= LARGEST or n * factor > LARGEST:
        raise ConvError(f"resizes {n} by {factor:g}", "shape")
    return floor(n * factor)


def upsample(call: Call) -> Made:
    """Upsample: by scales, an attribute once and an input later."""
    x = call.dims(0)
    stated = call.node.attributes.get("scales")
    factors = stated if isinstance(stated, tuple) else call.reals(1)
    if factors is None or len(factors) != len(x) or not all(isinstance(each, (int, float)) for each in factors):
        raise ConvError("says no scales", "corrupt")
    sizes = [scaled(n, factor) for n, factor in zip(known(x), factors, strict=True)]
    return resized(call, x, dict(enumerate(sizes)))


def resized(call: Call, x: Dims, wanted: dict[int, int]) -> Made:
    """A value with some dimensions on another grid."""
    output = tuple(wanted.get(i, n) for i, n in enumerate(x))
    rule = resizing_rule(call)
    changed = [(i, n, m) for i, m in wanted.items() if (n := x[i]) is not None and n != m]
    if rule is None or any(x[i] is None for i in wanted):
        return Made((output,))
    return Made((output,), Flow("axes", axes=tuple((i, rule(n, m)) for i, n, m in changed)))


def resizing_rule(call: Call) -> type[Resized] | type[Aligned] | None:
    """How one pixel is made of others; None where that is not followed."""
    how, where = call.text("mode", "nearest"), call.text("coordinate_transformation_mode", "half_pixel")
    if call.node.operator == "Upsample" or call.opset < 11:
        where = "asymmetric"
    if call.integer("antialias") or where == "tf_crop_and_resize":
        return None
    if how == "nearest":
        floors = where == "asymmetric" and (call.opset < 11 or call.text("nearest_mode") == "floor")
        return Resized if floors or call.node.operator == "Upsample" else None
    if how == "linear" and where == "align_corners":
        return Aligned
    if where in ("half_pixel", "pytorch_half_pixel"):
        return {"linear": LinearlyResized, "cubic": Cubic}.get(how)
    return None


# --- ends


def pad(call: Call) -> Made:
    """Pad: columns before and after each axis, or each of `axes`; fewer than none cuts."""
    x = call.dims(0)
    pads = call.setting("pads", 1)
    if pads is None:
        pads = call.integers("paddings")
    given = call.given(3)
    axes = call.numbers(3) if given is not None and given.dims != (0,) else range(len(x))
    if pads is None or len(pads) != 2 * len(axes) or max(map(abs, pads), default=0) > LARGEST:
        raise ConvError(f"has {len(pads or ())} pads for {len(axes)} axes", "shape")
    places = [call.dimension(axis, len(x)) for axis in axes]
    ends = dict(zip(places, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    output = tuple(n if n is None or i not in ends else n + sum(ends[i]) for i, n in enumerate(x))
    if any(n is not None and n < 0 for n in output):
        raise ConvError("cuts more than there is", "shape")
    moved: list[tuple[int, Axis]] = []
    for i, (begin, end) in ends.items():
        n = x[i]
        if (begin or end) and n is not None:
            moved.append((i, Geometry(n, 1, begin=begin, end=end)))
    return Made((output,), Flow("axes", axes=tuple(moved)))


def depth_to_space(call: Call) -> Made:
    """DepthToSpace: channels become a finer grid."""
    x, block = call.dims(0), call.integer("blocksize")
    if len(x) != 4 or not 0 < block <= LARGEST_KERNEL or (x[1] or 0) % block**2:
        raise ConvError(f"blocks of {block} do not fit", "shape")
    channels = x[1] and x[1] // block**2
    axes = tuple((i, Resized(n, n * block)) for i, n in enumerate(x) if i > 1 and n is not None)
    return Made(((x[0], channels, *(n and n * block for n in x[2:])),), Flow("axes", axes=axes))


def space_to_depth(call: Call) -> Made:
    """SpaceToDepth: a grid becomes coarser, and gets more channels."""
    x, block = call.dims(0), call.integer("blocksize")
    if len(x) != 4 or not 0 < block <= LARGEST_KERNEL or any((n or 0) % block for n in x[2:]):
        raise ConvError(f"blocks of {block} do not fit", "shape")
    axes = tuple((i, Geometry(n, block, block)) for i, n in enumerate(x) if i > 1 and n is not None)
    channels = x[1] and x[1] * block**2
    return Made(((x[0], channels, *(n and n // block for n in x[2:])),), Flow("axes", axes=axes))


def regions(call: Call) -> Made:
    """RoiAlign and MaxRoiPool: a window of one size out of each region."""
    x, boxes = call.dims(0), call.dims(1)
    size = call.integers("pooled_shape") or (call.integer("output_height", 1), call.integer("output_width", 1))
    if len(x) != 4 or not boxes or len(size) != 2:
        raise Unknown
    return Made(((boxes[0], x[1], *size),))


def sampled(call: Call) -> Made:
    """GridSample: pixels from where another input says."""
    x, grid = call.dims(0), call.dims(1)
    if len(grid) != len(x) or len(x) < 3:
        raise Unknown
    return Made(((*x[:2], *grid[1:-1]),))


def unpool(call: Call) -> Made:
    """MaxUnpool: pixels back to where a MaxPool took them from."""
    x, kernel = call.dims(0), call.integers("kernel_shape")
    if call.given(2) is not None:
        return Made((call.numbers(2),))
    if kernel is None or len(x) != len(kernel) + 2:
        raise Unknown
    strides, pads = call.spread("strides", len(kernel), 1), call.spread("pads", 2 * len(kernel), 0)
    sizes = [
        n and (n - 1) * s + k - begin - end
        for n, k, s, begin, end in zip(x[2:], kernel, strides, pads[: len(kernel)], pads[len(kernel) :], strict=True)
    ]
    return Made(((*x[:2], *sizes),))
