"""Steps of a graph as layers of the notation: what a row of a table calls them, and what `--emit` writes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, Resized, Transposed, whole
from convcli.networks.layers import Applied
from convcli.networks.network import Layer, Pads, Shape
from convcli.networks.onnx.call import Flow
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.walk import GraphStep

POOLED = ("max", "avg")


class Sizes(Shape):
    """The sizes of a tensor without its batch; what is no image is written without an @.

    >>> str(Sizes(64, (56, 56))), str(Sizes(197, (768,))), str(Sizes(0, (0, 4)))
    ('64@56x56', '197x768', '?@?x4')
    """

    __slots__ = ()

    def __str__(self) -> str:
        parts = [str(size or "?") for size in (self.channels, *self.spatial)]
        return f"{parts[0]}@{'x'.join(parts[1:])}" if len(parts) > 2 else "x".join(parts)


def shape_of(dims: Dims | None) -> Shape:
    """The sizes of a tensor behind its batch, 0 where unknown.

    >>> shape_of((1, 3, 8, 8)), shape_of((1, 10)), shape_of(None)
    (Sizes(channels=3, spatial=(8, 8)), Sizes(channels=10, spatial=()), Sizes(channels=0, spatial=()))
    """
    if dims is None:
        return Sizes(0)
    sizes = [n or 0 for n in (dims[1:] if len(dims) > 1 else dims or (1,))]
    return Sizes(sizes[0], tuple(sizes[1:]))


def axes_of(flow: Flow | None, dims: Dims | None) -> tuple[Axis, ...]:
    """The axis of each spatial dimension of what a step reads; none where it slides over none."""
    if flow is None or dims is None or None in dims:
        return ()
    if flow.what == "reduced" and flow.over and flow.over == tuple(range(2, len(dims))):
        return tuple(whole(n) for n in dims[2:] if n)
    given = dict(flow.axes)
    if flow.what != "axes" or not given or min(given) < 2:
        return ()
    return tuple(given.get(i, Geometry(n or 1, 1)) for i, n in enumerate(dims) if i > 1)


def keeps_places(step: GraphStep) -> bool:
    """True where each place of what a step makes reads the places that its axes say, or the same one, or everything.

    A vector is one place. Windows and tokens, which a Reshape or a Transpose makes, are other places.
    """
    if step.dims is not None and len(step.dims) < 3:
        return True
    flow = step.made.flow
    if flow is None or any(each is not None and each.dims is None for each in step.inputs):
        return False
    if flow.what == "axes":
        return bool(axes_of(flow, step.inputs[0].dims if step.inputs[0] else None)) or dict(flow.axes).keys() <= {0, 1}
    if flow.what == "reduced":
        return bool(axes_of(flow, step.inputs[0].dims if step.inputs[0] else None)) or (
            flow.keep and set(flow.over) <= {1}
        )
    is_kept = flow.what in ("same", "joined", "split") or (flow.what == "picked" and flow.keep)
    return is_kept and set(flow.over) <= {0, 1}


def applied(step: GraphStep, output: Shape) -> Applied:
    """What a step does, as layers of the notation say it."""
    dims = step.inputs[0].dims if step.inputs and step.inputs[0] else None
    axes = axes_of(step.made.flow, dims)
    pads: Pads = tuple((axis.begin, axis.end) for axis in axes if isinstance(axis, (Geometry, Transposed)))
    weights = sum(bank.weights for bank in step.banks)
    is_padded = step.kind in ("conv", "tconv", "pad", *POOLED)
    return Applied(output, axes, step.banks, pads if is_padded else (), step.params - weights, step.work)


def layer_of(step: GraphStep) -> Layer:
    """The word for a step; of what the notation lacks, only the kind.

    The notation has one word for a depthwise convolution, and for a layer on every place of a sequence, too.
    """
    dims = step.inputs[0].dims if step.inputs and step.inputs[0] else None
    axes = axes_of(step.made.flow, dims)
    if step.kind in ("conv", "tconv") and step.banks and axes:
        return convolution_word(step, axes)
    if step.kind in POOLED and axes and all(isinstance(axis, Geometry) for axis in axes):
        return pooling_word(step, axes)
    if step.family == "linear" and step.banks:
        bias = any(what == "bias" for what, _ in step.work)
        return Layer("fc", channels=step.banks[0].outputs // step.banks[0].groups, bias=None if bias else False)
    if step.kind == "resize" and axes:
        return Layer("up" if type(axes[0]) is Resized else "bilinear", wanted=one_for_all(axis.output for axis in axes))
    if step.kind == "shuffle" and axes:
        return Layer("shuffle", kernel=(axes[0].output // axes[0].size,))
    return Layer(step.kind)


def convolution_word(step: GraphStep, axes: tuple[Axis, ...]) -> Layer:
    """conv, dw and tconv."""
    bank = step.banks[0]
    sliding = [axis for axis in axes if isinstance(axis, (Geometry, Transposed))]
    is_depthwise = step.kind == "conv" and bank.groups == bank.inputs > 1
    bias = any(what == "bias" for what, _ in step.work)
    extra = [axis.extra for axis in sliding if isinstance(axis, Transposed)]
    times = bank.outputs // bank.inputs
    return Layer(
        "dw" if is_depthwise else step.kind,
        one_for_all(axis.kernel for axis in sliding),
        None if is_depthwise else bank.outputs,
        unless_one(axis.stride for axis in sliding),
        pads_word(axes),
        unless_one(axis.dilation for axis in sliding),
        bank.groups if bank.groups > 1 and not is_depthwise else None,
        output_padding=one_for_all(extra) if any(extra) else (),
        multiplier=times if is_depthwise and times > 1 else None,
        bias=None if bias else False,
    )


def pooling_word(step: GraphStep, axes: tuple[Axis, ...]) -> Layer:
    """max and avg."""
    windows = [axis for axis in axes if isinstance(axis, Geometry)]
    stride, kernel = one_for_all(axis.stride for axis in windows), one_for_all(axis.kernel for axis in windows)
    dilation = unless_one(axis.dilation for axis in windows)
    return Layer(step.kind, kernel, None, () if stride == kernel else stride, pads_word(axes), dilation)


def one_for_all(numbers: Iterable[int]) -> tuple[int, ...]:
    """One number where all axes have the same."""
    found = tuple(numbers)
    return found[:1] if len(set(found)) == 1 else found


def unless_one(numbers: Iterable[int]) -> tuple[int, ...]:
    """The same; nothing where all are 1."""
    found = one_for_all(numbers)
    return () if found == (1,) else found


def pads_word(axes: tuple[Axis, ...]) -> Pads | None:
    """The padding, None where there is none."""
    pads: Pads = tuple((axis.begin, axis.end) for axis in axes if isinstance(axis, (Geometry, Transposed)))
    if not any(map(any, pads)):
        return None
    return pads[:1] if len(set(pads)) == 1 else pads


def elements_of(dims: Dims | None) -> int:
    """Numbers in a tensor, its batch included; 0 where that is unknown.

    >>> elements_of((2, 3, 4)), elements_of((None, 3))
    (24, 0)
    """
    return 0 if dims is None or None in dims else prod(n for n in dims if n is not None)
