"""A layer of an ONNX file as what a command asks for: its weights and its bias, and how it slides."""

from __future__ import annotations

from collections.abc import Sequence

from convcli.errors import ConvError, KernelError
from convcli.formats.source import source_of
from convcli.geometry.sizes import Transposed, laid_to
from convcli.kernels import split_key
from convcli.kernels.files import contents, looked_up, regular
from convcli.kernels.initializers import DTYPES, model_of, named_tensors, node_called, origin, stored, weights_name
from convcli.kernels.kernel import Kernel
from convcli.kernels.weights import is_model, local
from convcli.networks.onnx.model import Graph, Node
from convcli.records import record
from convcli.stores.names import is_remote

SLIDING = ("Conv", "ConvTranspose")
BIAS = 2
"""The input of both that is the bias."""
MOST = 10**6
"""A stride, a dilation or a pad is no larger."""
RULES = {"VALID": "valid", "SAME_UPPER": "tf-same", "SAME_LOWER": "same-lower"}
"""What auto_pad says, in our words."""
LAID = (RULES["SAME_UPPER"], RULES["SAME_LOWER"])
"""Rules that mean another thing to a ConvTranspose: it makes stride x input, its output padding counted in."""


@record
class SlidingLayer:
    """A convolution of a network, or a transposed one.

    `padding` is a rule or (begin, end) for each axis, always numbers where a ConvTranspose is to make stride x input;
    `bias` has a number for each result, or none at all.
    """

    operator: str
    kernel: Kernel
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    groups: int = 1
    output_padding: tuple[int, ...] = ()
    bias: tuple[float, ...] = ()


def read_layer(text: str, operator: str, ndim: int | None = None) -> SlidingLayer:
    """The layer that `model.onnx:NODE` names: a Conv, or a ConvTranspose, of 2 or 3 axes; of `ndim`, where given.

    Raises KernelError for what is no such layer; ConvError for files as `read_weights` does.
    """
    path, name = split_key(text)
    try:
        if not is_model(path) or not name:
            raise KernelError("is no layer; name the node of an ONNX file: model.onnx:/conv1/Conv")
        with looked_up():
            source = source_of(contents(path)) if is_remote(path) else regular(local(path))
            graph = model_of(local(path), source).graph
        return layer_of(graph, node_of(graph, name, operator), local(path), text, ndim)
    except ConvError as error:
        error.at(text)
        raise


def node_of(graph: Graph, name: str, operator: str) -> Node:
    """The node of a name, which slides as the command does."""
    node = node_called(graph, name)
    if node is None:
        from difflib import get_close_matches

        names = [each.name or each.outputs[0] for each in graph.nodes if each.operator == operator and each.outputs]
        near = get_close_matches(name, names, 3, 0.5) or names[:3]
        meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; it has no {operator} at all"
        raise KernelError(f"has no node {name[:80]!r}{meant}")
    if node.operator != operator:
        ways = {"Conv": "conv2d and conv3d take it", "ConvTranspose": "upsample takes it"}
        way = ways.get(node.operator, f"a layer here is a {' or a '.join(SLIDING)}")
        raise KernelError(f"node {name!r} is a {node.operator}; {way}")
    return node


def layer_of(graph: Graph, node: Node, path: str, text: str, ndim: int | None) -> SlidingLayer:
    """A node with its tensors, everything found to fit together."""
    tensor = dict(named_tensors(graph)).get(weights_name(graph, node))
    if tensor is None:
        raise KernelError("its weights are computed by other nodes; name a layer whose weights are in the file")
    axes = len(tensor.dims) - 2
    if axes not in (2, 3) or axes != (ndim or axes):
        way = f"conv{ndim}d slides over {ndim}" if ndim else "here they slide over 2 or 3"
        raise KernelError(f"slides over {axes} {'axis' if axes == 1 else 'axes'}; {way}")
    kernel = stored(tensor, path, node).kernel(axes).named(text)
    (groups,) = numbers(node, "group", 1, 1, least=1)
    results = kernel.outputs if node.operator == "Conv" else kernel.inputs * groups
    if kernel.outputs % groups:
        raise KernelError(f"is damaged: {kernel.outputs} filters in {groups} groups")
    if node.attributes.get("output_shape"):
        raise KernelError("fixes its output_shape; give its weights by -k, and --output-size")
    steps, dilations = (numbers(node, name, axes, 1, least=1) for name in ("strides", "dilations"))
    padding, extra = padding_of(node, axes), numbers(node, "output_padding", axes, 0, least=0)
    if node.operator == "ConvTranspose" and padding in LAID:
        laid = laid_same(kernel.spatial, steps, dilations, extra, upper=padding == RULES["SAME_UPPER"])
        padding, extra = tuple((axis.begin, axis.end) for axis in laid), tuple(axis.extra for axis in laid)
    biases = bias_of(graph, node, path, results)
    return SlidingLayer(node.operator, kernel, steps, dilations, padding, groups, extra if any(extra) else (), biases)


def laid_same(
    kernel: tuple[int, ...], steps: tuple[int, ...], dilations: tuple[int, ...], extra: tuple[int, ...], *, upper: bool
) -> list[Transposed]:
    """The axes of a ConvTranspose that makes stride x input: what that cuts is the same for every input."""
    bare = [Transposed(1, k, s, d, extra=e) for k, s, d, e in zip(kernel, steps, dilations, extra, strict=True)]
    return [laid_to(axis, axis.stride, upper=upper) for axis in bare]


def numbers(node: Node, name: str, count: int, usual: int, *, least: int) -> tuple[int, ...]:
    """The whole numbers of an attribute, `count` of them; each `usual` where it is not there."""
    given = node.attributes.get(name)
    found: Sequence[object] = given if isinstance(given, tuple) else (usual,) * count if given is None else (given,)
    whole = tuple(each for each in found if isinstance(each, int) and least <= each <= MOST)
    if len(found) != count or len(whole) != count:
        raise KernelError(f"is damaged, or no layer that slides here: its {name} are {str(given)[:60]}")
    return whole


def padding_of(node: Node, axes: int) -> str | tuple[tuple[int, int], ...]:
    """The pads, (begin, end) for each axis, or the rule that makes them."""
    rule = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    if rule != "NOTSET":
        if rule not in RULES:
            raise KernelError(f"pads by {str(rule)[:20]}, which no padding here does; give its weights by -k")
        return RULES[str(rule)]
    pads = numbers(node, "pads", 2 * axes, 0, least=0)
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


def bias_of(graph: Graph, node: Node, path: str, results: int) -> tuple[float, ...]:
    """What is added to each result; nothing where the layer has no bias, or one of zeros."""
    name = origin(graph, node.inputs[BIAS]) if len(node.inputs) > BIAS else ""
    if not name:
        return ()
    tensor = dict(named_tensors(graph)).get(name)
    if tensor is None:
        raise KernelError("its bias is computed by other nodes; give its weights by -k")
    if tensor.dims != (results,) or tensor.dtype not in DTYPES:
        raise KernelError(f"is damaged: its bias has the shape {tensor.dims}, it makes {results} results")
    found = Kernel.from_array("", stored(tensor, path, None).array().reshape(1, -1)).values()
    return tuple(found) if any(found) else ()
