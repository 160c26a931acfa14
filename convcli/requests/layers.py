"""From `--layer` to what the layer asks for: the options that it decides are refused beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from convcli.errors import UsageError
from convcli.filters.borders import parse_border
from convcli.filters.filter import Numbers
from convcli.kernels.given import Given
from convcli.operations.filter import Correlate
from convcli.records import replace
from convcli.requests.options import GeometryOptions, LayeredOptions, is_typed

if TYPE_CHECKING:
    from convcli.kernels.nodes import SlidingLayer
    from convcli.operations.transposed import Transpose
    from convcli.requests.particular import TransposedOptions

OUTSIDE = "zero"
"""What lies outside of a network's input."""


def build_layer(
    ndim: int, kernels: LayeredOptions, geometry: GeometryOptions, numbers: Numbers, approximation: float
) -> Correlate:
    """A convolution of a network as the filter that it is."""
    refuse_beside(
        {
            "-k": kernels.kernel,
            "--combine": kernels.combine != "stack",
            "--normalize": kernels.normalize != "none",
            "--flip": kernels.flip,
            "--origin": kernels.origin,
            "--stride": is_typed(geometry.stride),
            "--dilation": is_typed(geometry.dilation),
            "--padding": is_typed(geometry.padding),
            "--border": geometry.border,
            "--groups": is_typed(geometry.groups),
            "--linear": numbers.linear,
        }
    )
    return correlate_layer(kernels.layer, numbers, approximation, ndim)


def correlate_layer(text: str, numbers: Numbers, approximation: float = 0.0, ndim: int | None = None) -> Correlate:
    """The convolution that `model.onnx:NODE` names, of `ndim` axes where that is given."""
    from convcli.kernels.nodes import read_layer

    layer = read_layer(text, "Conv", ndim)
    asked = Correlate(
        Given((layer.kernel,)),
        stride=layer.stride,
        dilation=layer.dilation,
        padding=layer.padding,
        borders=parse_border(OUTSIDE, "ZYX"[-layer.kernel.ndim :]),
        groups=layer.groups,
        approximation=approximation,
        numbers=replace(numbers, biases=layer.bias),
    )
    asked.filter({})
    return asked


def build_laid_layer(laid: TransposedOptions, numbers: Numbers, approximation: float, *, explain: bool) -> Transpose:
    """A transposed convolution of a network, of two axes or of three."""
    from convcli.kernels.nodes import read_layer
    from convcli.operations.transposed import Transpose

    refuse_beside(
        {
            "-k": laid.kernel,
            "--scale": laid.scale,
            "--stride": laid.stride,
            "--padding": laid.padding,
            "--output-padding": laid.output_padding,
            "--dilation": is_typed(laid.dilation),
            "--groups": is_typed(laid.groups),
            "--border": laid.border,
            "--normalize": laid.normalize != "none",
            "--flip": laid.flip,
            "--linear": numbers.linear,
        }
    )
    layer = read_layer(laid.layer, "ConvTranspose", 3 if laid.three else None)
    asked = Transpose(
        Given((layer.kernel,)),
        layer.stride,
        dilation=layer.dilation,
        padding=layer.padding,
        output_padding=() if laid.output_size else layer.output_padding,
        output_size=output_size(laid, layer),
        borders=parse_border(OUTSIDE, "ZYX"[-layer.kernel.ndim :]),
        groups=layer.groups,
        approximation=approximation,
        numbers=replace(numbers, biases=layer.bias),
        explain=explain,
    )
    asked.filter({})
    return asked


def output_size(laid: TransposedOptions, layer: SlidingLayer) -> tuple[int, ...]:
    """The size wanted, which a layer may be asked for, too; nothing where it is not."""
    from convcli.requests.run import parse_spatial

    return parse_spatial(laid.output_size, layer.kernel.ndim, "--output-size") if laid.output_size else ()


def refuse_beside(options: Mapping[str, object]) -> None:
    """Refuse an option that the layer decides."""
    for option, given in options.items():
        if given:
            raise UsageError("--layer says that itself; leave one of them out", where=option)


def check_given(command: str, kernel: Sequence[str], layer: str, inputs: Sequence[str] | None) -> None:
    """Refuse a command without a kernel and without a layer, with what was meant."""
    if not (kernel or layer):
        from convcli.options.slips import missing

        raise missing(command, "-k", inputs or ())
