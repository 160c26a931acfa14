"""Operators of PyTorch that ONNX lacks, as archives of torch.export have them."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from convcli.errors import ConvError
from convcli.geometry.sizes import AdaptivelyPooled
from convcli.networks.banks import Bank
from convcli.networks.onnx.call import LARGEST, SAME, Call, Flow, Made, Unknown, broadcast, known
from convcli.networks.onnx.model import Dims
from convcli.networks.onnx.operators.moving import REGROUPED
from convcli.networks.onnx.operators.weighted import product, rows


def linear(call: Call) -> Made:
    """linear: x (..., k), w (n, k), and a bias."""
    x, w = call.dims(0), call.dims(1)
    if not x or len(w) != 2:
        raise ConvError(f"needs a matrix of weights, not {len(w)} dimensions", "shape")
    rows = "".join(chr(ord("A") + i) for i in range(len(x) - 1))
    output: Dims = (*x[:-1], w[0])
    made = product(call, (0, 1), (f"{rows}k", "nk", f"{rows}n"), output)
    if not made.banks or call.given(2) is None:
        return made
    return made._replace(weights=(*made.weights, 2), work=(("bias", prod(known(output))),))


def attention(call: Call) -> Made:
    """scaled_dot_product_attention: q (..., places, size), k (..., others, size), v (..., others, made)."""
    q, k, v = (call.sizes(i) for i in range(3))
    if min(len(q), len(k), len(v)) < 2:
        raise ConvError("needs q, k and v of two dimensions or more", "shape")
    shared = bool(call.integer("enable_gqa"))  # several heads of q read one of k and v
    batch = q[:-2] if shared else known(broadcast([q[:-2], k[:-2], v[:-2]]))
    output = (*batch, q[-2], v[-1])
    flow = Flow("attention", places=(0, 1, 2)) if len(q) == len(k) == len(v) else None
    return Made((output,), flow, products=prod(batch) * q[-2] * k[-2] * (q[-1] + v[-1]))


def recurrent(call: Call) -> Made:
    """lstm, gru and rnn: x (steps, batch, inputs), first states, and the weights of each layer and direction."""
    x, first = call.sizes(0), 1 + call.integer("states")
    weights = range(first, len(call.inputs))
    if len(x) not in (2, 3) or not weights:
        raise Unknown
    directions, layers, gates = (max(1, call.integer(name, 1)) for name in ("directions", "layers", "gates"))
    made, kept = sizes_of_state(call, first + 1, gates)
    batch = () if len(x) == 2 else x[:1] if call.integer("batch_first") else x[1:2]
    states = [(directions * layers, *batch, n) for n in (made, kept)]
    banks = tuple(matrices_of(call, weights, prod(x[:-1])))
    return Made(((*x[:-1], directions * made), *states), None, banks, tuple(weights))


def recurrent_cell(call: Call) -> Made:
    """One step: x (batch, inputs) and the weights."""
    x, weights = call.sizes(0), range(1, len(call.inputs))
    made, _ = sizes_of_state(call, 2, call.integer("gates", 1))
    return Made(((*x[:-1], made),) * 2, None, tuple(matrices_of(call, weights, prod(x[:-1]))), tuple(weights))


def sizes_of_state(call: Call, place: int, gates: int) -> tuple[int, int]:
    """How many numbers a step hands on, and how many it keeps, by the weights that read the former."""
    weights = call.sizes(place)
    if len(weights) != 2 or not 0 < gates <= weights[0]:
        raise ConvError("a recurrent layer needs a matrix for its state", "shape")
    return weights[1], weights[0] // gates


def matrices_of(call: Call, places: range, times: int) -> Iterator[Bank]:
    """The matrices among some weights, each applied so many times."""
    for place in places:
        dims = call.sizes(place)
        if len(dims) == 2 and min(dims) > 0:
            yield Bank(dims[1], dims[0], axes=rows(times))


def adaptive_pool(call: Call) -> Made:
    """Adaptive pooling: so many windows along each axis, which may overlap."""
    x, wanted = call.dims(0), call.integers("output_size")
    if not wanted or len(x) < len(wanted) or not all(0 < n <= LARGEST for n in wanted):
        raise Unknown
    first = len(x) - len(wanted)
    output: Dims = (*x[:first], *wanted)
    axes = [(i, AdaptivelyPooled(n, m)) for i, (n, m) in enumerate(zip(x[first:], wanted, strict=True), first) if n]
    return Made((output, output), Flow("axes", axes=tuple(axes)))


def flatten(call: Call) -> Made:
    """flatten: dimensions from one to another become one."""
    x, axes = call.dims(0), call.integers("axes") or ()
    if not x:
        return Made(((1,),), REGROUPED)
    if len(axes) != 2 or not 0 <= axes[0] <= axes[1] < len(x):
        raise ConvError(f"flattens {len(x)} dimensions by {axes!r:.40}", "shape")
    inner = x[axes[0] : axes[1] + 1]
    size = None if None in inner else prod(known(inner))
    return Made(((*x[: axes[0]], size, *x[axes[1] + 1 :]),), REGROUPED)


def unflatten(call: Call) -> Made:
    """unflatten: one dimension becomes several."""
    x, axis, wanted = call.dims(0), call.axis("axis", 0, len(call.dims(0))), list(call.numbers(1))
    n = x[axis]
    if wanted.count(-1) == 1 and n is not None:
        others = prod(m for m in wanted if m != -1)
        wanted[wanted.index(-1)] = n // others if others > 0 else 0
    if n is None or prod(wanted) != n or min(wanted, default=0) < 0:
        raise ConvError(f"cuts {n} into {wanted!r:.60}", "shape")
    return Made(((*x[:axis], *wanted, *x[axis + 1 :]),), REGROUPED)


def reshape_as(call: Call) -> Made:
    """view_as and reshape_as: to the sizes of another value."""
    return Made((call.dims(1),), REGROUPED)


def expand_as(call: Call) -> Made:
    """expand_as: to the sizes of another value."""
    x, other = call.dims(0), call.dims(1)
    return Made((broadcast([x, other]),), SAME if call.value(1).is_constant else None)


def stated(_call: Call) -> Made:
    """What multiplies nothing, and whose sizes the file says."""
    raise Unknown


def written(call: Call) -> Made:
    """A value after another one was written into some of it."""
    return Made((call.dims(0),))


def added_product(call: Call) -> Made:
    """addcmul and lerp: three values, each number with each."""
    shapes = [call.dims(i) for i, _ in enumerate(call.present)]
    return Made((broadcast(shapes),), SAME, weights=tuple(range(len(shapes))))
