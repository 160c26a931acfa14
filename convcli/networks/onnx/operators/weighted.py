"""Operators with multiply-adds: convolutions, products of matrices, recurrent layers, attention."""

from __future__ import annotations

from math import prod

from convcli.errors import ConvError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Axis, Transposed, laid_to, rule_padding
from convcli.networks.banks import Bank, Sliding
from convcli.networks.onnx.call import LARGEST, Call, Flow, Made, Unknown, broadcast, known
from convcli.networks.onnx.model import Dims

LARGEST_KERNEL = 100_000
"""Taps of an axis that nobody has, and that would take seconds to count."""


def convolution(call: Call, weights: int = 1, bias: int = 2) -> Made:
    """Conv: x (N, C, sizes), w (M, C / g, kernel)."""
    x, w = call.dims(0), call.sizes(weights)
    kernel, groups = kernel_of(call, x, w), groups_of(call)
    if x[1] is not None and x[1] != w[1] * groups:
        raise ConvError(f"{x[1]} channels arrive, but the weights {listed(w)} are for {w[1] * groups}", "shape")
    axes = [convolution_axis(call, n, i, kernel) for i, n in enumerate(x[2:])]
    output: Dims = (x[0], w[0], *(axis and axis.output for axis in axes))
    flow = slid_flow(sliding(axes), groups, x[1] == w[0] == groups) if None not in axes else None
    whole = tuple(axis for axis in axes if axis is not None)
    if x[0] is None or len(whole) < len(axes):
        return Made((output,), flow, weights=(weights, bias))
    return weighted(call, output, Bank(w[1] * groups, w[0], groups, (*rows(x[0]), *whole)), flow, (weights, bias))


def quantised_convolution(call: Call) -> Made:
    """QLinearConv: weights and bias stand behind scales and zero points."""
    return convolution(call, 3, 8)


def integer_convolution(call: Call) -> Made:
    """ConvInteger: zero points stand where a bias would."""
    return convolution(call, 1, 99)


def deformable(call: Call) -> Made:
    """DeformConv: a convolution whose taps go where another input sends them."""
    return convolution(call, 1, 3)._replace(flow=None)


def transposed(call: Call) -> Made:
    """ConvTranspose: x (N, C, sizes), w (C, M / g, kernel)."""
    x, w = call.dims(0), call.sizes(1)
    kernel, groups = kernel_of(call, x, w), groups_of(call)
    if x[1] is not None and x[1] != w[0]:
        raise ConvError(f"{x[1]} channels arrive, but the weights {listed(w)} are for {w[0]}", "shape")
    axes = [transposed_axis(call, n, i, kernel) for i, n in enumerate(x[2:])]
    output: Dims = (x[0], w[1] * groups, *(axis and axis.output for axis in axes))
    flow = slid_flow(sliding(axes), groups, x[1] == w[1] * groups == groups) if None not in axes else None
    whole = tuple(axis for axis in axes if axis is not None)
    if x[0] is None or len(whole) < len(axes):
        return Made((output,), flow, weights=(1, 2))
    first = tuple(Transposed(n, 1) for n in ([x[0]] if x[0] != 1 else []))
    return weighted(call, output, Bank(w[0], w[1] * groups, groups, (*first, *whole)), flow, (1, 2))


def weighted(call: Call, output: Dims, bank: Bank, flow: Flow | None, places: tuple[int, ...]) -> Made:
    """A layer of one bank; of weights that are computed from the input its multiply-adds are a product."""
    if not call.value(places[0]).is_constant:
        return Made((output,), None, products=bank.macs)
    biased = len(places) > 1 and call.given(places[1]) is not None
    return Made((output,), flow, (bank,), places, work=(("bias", prod(known(output))),) if biased else ())


def rows(batch: int) -> tuple[Geometry, ...]:
    """An axis for what is done several times over; none for once."""
    return (Geometry(batch, 1),) if batch != 1 else ()


def slid_flow(axes: tuple[tuple[int, Axis], ...], groups: int, is_depthwise: bool) -> Flow:
    """Windows along some dimensions, and all channels of a group at once; a depthwise layer mixes none."""
    return Flow("axes", over=() if is_depthwise else (1,), axes=axes, keep=groups == 1)


def sliding(
    axes: list[Sliding | None] | list[Geometry | None] | list[Transposed | None],
) -> tuple[tuple[int, Axis], ...]:
    """The spatial dimensions with their axes."""
    return tuple((i, axis) for i, axis in enumerate(axes, 2) if axis is not None)


# --- axes


def kernel_of(call: Call, x: Dims, w: tuple[int, ...]) -> tuple[int, ...]:
    """The kernel, which the weights have and an attribute repeats."""
    if len(x) < 3 or len(w) != len(x):
        raise ConvError(f"weights of {len(w)} dimensions do not fit an input of {len(x)}", "shape")
    stated = call.integers("kernel_shape")
    if stated is not None and stated != w[2:]:
        raise ConvError(f"kernel_shape is {listed(stated)}, but the weights are {listed(w)}", "shape")
    if not min(w) > 0 or max(w[2:]) > LARGEST_KERNEL:
        raise ConvError(f"weights of {listed(w)} make no convolution", "shape")
    return w[2:]


def groups_of(call: Call) -> int:
    """The number of groups."""
    groups = call.integer("group", 1)
    if not 0 < groups <= LARGEST:
        raise ConvError(f"{groups} groups make no convolution", "shape")
    return groups


def convolution_axis(call: Call, n: int | None, i: int, kernel: tuple[int, ...]) -> Geometry | None:
    """One axis of a convolution or pooling; None where its size is unknown."""
    count = len(kernel)
    stride, dilation = (positive(call, name, count)[i] for name in ("strides", "dilations"))
    if n is None:
        return None
    bare = Geometry(n, kernel[i], stride, dilation)
    rule = call.text("auto_pad", "NOTSET")
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        begin, end = rule_padding("s" if rule == "SAME_UPPER" else "l", n, bare)
    else:
        begin, end = (0, 0) if rule == "VALID" else padding(call, count)[i]
    axis = bare._replace(begin=begin, end=end)
    if axis.extent > n + begin + end:
        raise ConvError(
            f"its kernel {axis.extent} is larger than the padded input, {n} + {begin} + {end}; give a larger --input",
            "shape",
        )
    return axis


def positive(call: Call, name: str, count: int) -> tuple[int, ...]:
    """Strides or dilations, 1 or more for each axis."""
    found = call.spread(name, count, 1)
    if min(found) < 1:
        raise ConvError(f"{name} of {call.node.operator} are {listed(found)}", "shape")
    return found


def padding(call: Call, count: int) -> list[tuple[int, int]]:
    """(begin, end) of each axis; the file lists all begins, then all ends."""
    found = call.spread("pads", 2 * count, 0)
    return list(zip(found[:count], found[count:], strict=True))


def transposed_axis(call: Call, n: int | None, i: int, kernel: tuple[int, ...]) -> Transposed | None:
    """One axis of a transposed convolution; the wanted size, or `auto_pad`, may decide its padding."""
    count = len(kernel)
    stride, dilation = (positive(call, name, count)[i] for name in ("strides", "dilations"))
    extra = call.spread("output_padding", count, 0)[i]
    if n is None:
        return None
    bare = Transposed(n, kernel[i], stride, dilation, extra=extra)
    rule, wanted = call.text("auto_pad", "NOTSET"), call.integers("output_shape")
    if wanted is not None:
        size = wanted[-count:][i] if len(wanted) >= count else 0
    elif rule in ("SAME_UPPER", "SAME_LOWER"):
        size = n * stride
    else:
        begin, end = (0, 0) if rule == "VALID" else padding(call, count)[i]
        return sound(bare._replace(begin=begin, end=end))
    return sound(laid_to(bare, size, upper=rule == "SAME_UPPER"))


def sound(axis: Transposed) -> Transposed:
    """The axis, refusing one that leaves nothing."""
    if axis.output < 1:
        raise ConvError(f"its padding {axis.begin} + {axis.end} takes all of the output", "shape")
    return axis


# --- products


def matrices(call: Call, second: int = 1) -> Made:
    """MatMul: batches of (m, k) x (k, n), as NumPy; a vector has no m, or no n."""
    a, b = call.dims(0), call.dims(second)
    if not a or not b:
        raise ConvError("a number is no matrix", "shape")
    batch = broadcast([a[:-2], b[:-2]])
    output: Dims = batch + (a[-2:-1] if len(a) > 1 else ()) + (b[-1:] if len(b) > 1 else ())
    letters = [chr(ord("A") + i) for i in range(len(batch))]
    left = [*letters[len(batch) - len(a[:-2]) :], *(["m"] if len(a) > 1 else []), "k"]
    right = [*letters[len(batch) - len(b[:-2]) :], "k", *(["n"] if len(b) > 1 else [])]
    out = [*letters, *(["m"] if len(a) > 1 else []), *(["n"] if len(b) > 1 else [])]
    return product(call, (0, second), ("".join(left), "".join(right), "".join(out)), output)


def quantised_matrices(call: Call) -> Made:
    """QLinearMatMul: the second matrix stands behind scale and zero point of the first."""
    return matrices(call, 3)


def general(call: Call) -> Made:
    """Gemm: (m, k) x (k, n), either of them transposed, and a bias."""
    a, b = call.dims(0), call.dims(1)
    if len(a) != 2 or len(b) != 2:
        raise ConvError(f"needs two matrices, not {len(a)} and {len(b)} dimensions", "shape")
    left, right = "km" if call.integer("transA") else "mk", "nk" if call.integer("transB") else "kn"
    output = (a[left.index("m")], b[right.index("n")])
    made = product(call, (0, 1), (left, right, "mn"), output)
    if not made.banks or call.given(2) is None:
        return made
    return made._replace(weights=(*made.weights, 2), work=(("bias", prod(known(output))),))


def einsum(call: Call) -> Made:
    """Einsum: letters for the dimensions of each input, and of the output."""
    text = call.text("equation").replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = [spelt(term, call.dims(i)) for i, term in enumerate(inputs.split(","))]
    if len(terms) != len(call.inputs):
        raise ConvError(f"equation {text!r:.60} is not for {len(call.inputs)} inputs", "shape")
    rest = "".join(sorted({c for c in "".join(terms) if c.isupper() and not c.isascii()}))
    if not arrow:
        together = "".join(terms)
        output = "..." + "".join(sorted(c for c in set(together) if together.count(c) == 1))
    output = output.replace("...", rest)
    sizes = letter_sizes(terms, [call.dims(i) for i in range(len(terms))])
    if not set(output) <= sizes.keys():
        raise ConvError(f"equation {text!r:.60} makes what it does not read", "shape")
    dims = tuple(sizes[c] for c in output)
    if len(terms) == 2:
        made = product(call, (0, 1), (terms[0], terms[1], output), dims)
        is_of_positions = all(value.is_constant for value in call.present)
        return positions(made) if is_of_positions else made
    products = prod(known(tuple(sizes.values()))) if len(terms) > 2 else 0
    return Made((dims,), products=products)


def positions(made: Made) -> Made:
    """A product of a table of positions, which is no layer's weights."""
    return made._replace(banks=(), products=made.products + sum(bank.macs for bank in made.banks))


GREEK = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"
"""Letters for the dimensions that `...` stands for, the last one last."""


def spelt(term: str, dims: Dims) -> str:
    """The letters of one input, those of `...` included."""
    hidden = len(dims) - len(term.replace("...", ""))
    if "..." in term and 0 <= hidden <= len(GREEK):
        term = term.replace("...", GREEK[len(GREEK) - hidden :])
    if len(term) != len(dims):
        raise ConvError(f"{term!r:.40} does not name {len(dims)} dimensions", "shape")
    return term


def letter_sizes(terms: list[str], shapes: list[Dims]) -> dict[str, int | None]:
    """The size behind each letter."""
    sizes: dict[str, int | None] = {}
    for term, dims in zip(terms, shapes, strict=True):
        for letter, n in zip(term, dims, strict=True):
            before = sizes.get(letter)
            if before is None or before == 1:
                sizes[letter] = n if n is not None else before
            elif n not in (None, 1, before):
                raise ConvError(f"sizes {before} and {n} do not meet", "shape")
    return sizes


def product(call: Call, places: tuple[int, int], letters: tuple[str, str, str], output: Dims) -> Made:
    """The product of two values over the letters that the output lacks.

    With weights on one side it is a bank: over k, to n, for each of g groups, in as many rows as are left.
    """
    values = [call.value(place) for place in places]
    sizes = letter_sizes(list(letters[:2]), [call.dims(place) for place in places])
    flow = Flow("product", letters=letters, places=places)
    if None in sizes.values():
        return Made((output,), flow, weights=tuple(p for p in places if call.value(p).is_constant))
    size = {letter: n for letter, n in sizes.items() if n is not None}
    total = prod(size.values())
    constant = [i for i, value in enumerate(values) if value.is_constant and (value.origins or not values[0].origins)]
    if not constant:
        return Made((output,), flow, products=total)
    constant = constant[-1:]
    weights, other = set(letters[constant[0]]), set(letters[1 - constant[0]])
    kept = weights & set(letters[2])
    k, n, g = (prod(size[c] for c in some) for some in (weights - kept, kept - other, kept & other))
    bank = Bank(k * g, n * g, g, rows(total // (k * n * g) if k * n * g else 0))
    made = Made((output,), flow, (bank,), (places[constant[0]],))
    return positions(made) if values[constant[0]].is_looked_up else made


# --- recurrent layers and attention


def recurrent(call: Call) -> Made:
    """LSTM, GRU and RNN: x (steps, batch, inputs), w (directions, gates x hidden, inputs), r the same of hidden."""
    x, w, r = call.dims(0), call.sizes(1), call.sizes(2)
    if len(x) != 3 or len(w) != 3 or len(r) != 3 or min(*w, *r) < 1:
        raise ConvError("a recurrent layer needs three dimensions each", "shape")
    directions, gated, inputs = w
    hidden = r[2]
    steps, batch = (x[1], x[0]) if call.integer("layout") else x[:2]
    output: Dims = (batch, steps, directions, hidden) if call.integer("layout") else (steps, directions, batch, hidden)
    state: Dims = (batch, directions, hidden) if call.integer("layout") else (directions, batch, hidden)
    if steps is None or batch is None:
        return Made((output, state, state), weights=(1, 2, 3))
    turns = rows(steps * batch)
    banks = tuple(Bank(n * directions, gated * directions, directions, turns) for n in (inputs, hidden))
    return Made((output, state, state), None, banks, (1, 2, 3))


def attention(call: Call) -> Made:
    """Attention: q, k and v as (batch, heads, places, size) or (batch, places, heads x size)."""
    q, k, v = (call.sizes(i) for i in range(3))
    if not len(q) == len(k) == len(v) or len(q) not in (3, 4):
        raise ConvError("needs q, k and v of three or four dimensions", "shape")
    heads, others = (q[1], v[1]) if len(q) == 4 else (call.integer("q_num_heads", 1), call.integer("kv_num_heads", 1))
    if min(heads, others) < 1:
        raise ConvError("attention without heads", "shape")
    size, made = (q[-1], v[-1]) if len(q) == 4 else (q[-1] // heads, v[-1] // others)
    past = call.given(4)
    places = k[-2] + (past.dims[-2] or 0 if past and past.dims and len(past.dims) == 4 else 0)
    output = (*q[:-1], made) if len(q) == 4 else (*q[:-1], made * heads)
    flow = Flow("attention", places=(0, 1, 2))
    return Made((output, None, None, None), flow, products=q[0] * heads * q[-2] * places * (size + made))


def fused_attention(call: Call) -> Made:
    """com.microsoft Attention: x (batch, places, inputs), w (inputs, 3 x outputs), and attention of the three parts."""
    x, w = call.sizes(0), call.sizes(1)
    if len(x) != 3 or len(w) != 2 or call.given(4) is not None:
        raise Unknown
    outputs = w[1] // 3
    bank = Bank(w[0], w[1], axes=rows(x[0] * x[1]))
    flow = Flow("attention", places=(0,))
    return Made(((x[0], x[1], outputs), None), flow, (bank,), (1, 2), products=2 * x[0] * x[1] ** 2 * outputs)


def packed_matrices(call: Call) -> Made:
    """com.microsoft MatMulNBits: the second matrix is packed; attributes say its sizes."""
    a, k, n = call.dims(0), call.integer("K"), call.integer("N")
    if not a or min(k, n) < 1 or max(k, n) > LARGEST:
        raise Unknown
    flow = Flow("reduced", over=(len(a) - 1,))
    return Made(((*a[:-1], n),), flow, (Bank(k, n, axes=rows(prod(known(a[:-1])))),), (1,))


def listed(sizes: tuple[int, ...]) -> str:
    """Sizes as people write them.

    >>> listed((64, 3, 7, 7))
    '64x3x7x7'
    """
    return "x".join(map(str, sizes))
