"""Calls that multiply, pool, normalise or attend."""

from __future__ import annotations

from convcli.networks.exported.calling import OWN, Calling, Named
from convcli.networks.exported.plain import Translation, as_is
from convcli.networks.onnx.model import Node


def convolution(axes: int) -> Translation:
    """conv1d, conv2d and conv3d; padding may be a word."""

    def translation(call: Calling) -> None:
        rule = {"same": "SAME_UPPER", "valid": "VALID"}.get(call.text("padding"), "NOTSET")
        slide(call, "Conv", axes, auto_pad=rule)

    return translation


def transposed(axes: int) -> Translation:
    """conv_transpose1d, 2d and 3d."""

    def translation(call: Calling) -> None:
        extra = call.integers("output_padding", axes)
        slide(call, "ConvTranspose", axes, output_padding=extra)

    return translation


def either(call: Calling) -> None:
    """aten.convolution, which says whether it is transposed."""
    axes = max(call.rank() - 2, 0)
    (transposed if call.integer("transposed", 0) else convolution)(axes)(call)


def slide(call: Calling, operator: str, axes: int, **attributes: object) -> None:
    """A layer that slides weights."""
    pads = call.integers("padding", axes)
    call.slide(
        operator,
        axes,
        [call.input("input"), call.input("weight"), *filter(None, [call.input("bias")])],
        strides=call.integers("stride", axes, 1),
        dilations=call.integers("dilation", axes, 1),
        pads=pads + pads,
        group=call.integer("groups", 1),
        **attributes,
    )


def pooling(operator: str, axes: int) -> Translation:
    """max_pool and avg_pool, which go on by their kernel where no stride is said."""

    def translation(call: Calling) -> None:
        kernel, pads = call.integers("kernel_size", axes), call.integers("padding", axes)
        call.slide(
            operator,
            axes,
            (call.read(call.first()),),
            kernel_shape=kernel,
            strides=call.integers("stride") or kernel,
            dilations=call.integers("dilation", axes, 1),
            pads=pads + pads,
            ceil_mode=call.integer("ceil_mode", 0),
            count_include_pad=call.integer("count_include_pad", 1),
        )

    return translation


def adaptive(operator: str) -> Translation:
    """Adaptive pooling: to one number, or to so many windows."""

    def translation(call: Calling) -> None:
        wanted = call.integers("output_size")
        inputs = (call.read(call.first()),)
        if wanted and set(wanted) == {1} and call.rank() == len(wanted) + 2:
            call.make(operator, inputs)
        else:
            call.make("adaptive_pool", inputs, OWN, output_size=wanted)

    return translation


def added_product(call: Calling) -> None:
    """addmm: a bias and two matrices."""
    call.make("Gemm", (call.input("mat1"), call.input("mat2"), call.input("self")))


def added_batches(call: Calling) -> None:
    """baddbmm: something and two batches of matrices."""
    product = call.inner("MatMul", (call.input("batch1"), call.input("batch2")))
    call.make("Add", (product, call.input("self")))


def einsum(call: Calling) -> None:
    """einsum."""
    call.make("Einsum", call.tensors(), equation=call.text("equation"))


def outer(call: Calling) -> None:
    """outer: each number of a row with each of another, which PyTorch multiplies element by element."""
    column = call.inner("Unsqueeze", (call.input("self"),), axes=(1,))
    call.make("Mul", (column, call.input("vec2")))


def attention(call: Calling) -> None:
    """scaled_dot_product_attention."""
    inputs = [call.input(key) for key in ("query", "key", "value")]
    call.make("scaled_dot_product_attention", inputs, OWN, enable_gqa=int(call.integer("enable_gqa", 0)))


GATES = {"lstm": 4, "gru": 3, "rnn": 1}
"""How many times as many numbers as its state a recurrent layer computes of each kind."""


def recurrent(call: Calling) -> None:
    """lstm, gru and rnn; of sequences of several lengths nothing says how long they are."""
    if call.overload != "input":
        call.make(call.operator, call.tensors(), call.library)
        return
    kind = call.operator.partition("_")[0]
    states = [each for each in call.several("hx") if isinstance(each, Named)]
    weights = [call.read(each.name) for each in call.several("params") if isinstance(each, Named)]
    inputs = [call.input("input"), *(call.read(each.name) for each in states), *weights]
    directions = 1 + bool(call.integer("bidirectional", 0))
    settings = {"states": len(states), "directions": directions, "layers": call.integer("num_layers", 1)}
    call.make(kind, inputs, OWN, gates=GATES[kind], batch_first=int(call.integer("batch_first", 0)), **settings)


def recurrent_cell(call: Calling) -> None:
    """One step of a recurrent layer, without what it begins with: that changes no size."""
    kind = call.operator.partition("_")[0]
    inputs = [call.input(key) for key in ("input", "w_ih", "w_hh", "b_ih", "b_hh")]
    call.make(f"{kind}_cell", list(filter(None, inputs)), OWN, gates=GATES[kind])


def embedding(call: Calling) -> None:
    """Rows of a table."""
    call.make("Gather", (call.input("weight"), call.input("indices")), axis=0)


def normalised(operator: str) -> Translation:
    """A normalisation of a value, by weights that may be left out."""

    def translation(call: Calling) -> None:
        statistics = [call.input(key) for key in ("running_mean", "running_var")]
        inputs = [call.read(call.first()), call.input("weight"), call.input("bias"), *statistics]
        while len(inputs) > 1 and not inputs[-1]:
            inputs.pop()
        axes = len(call.several("normalized_shape"))
        call.make(operator, inputs, **({"axis": -axes} if axes else {}))

    return translation


def softmax(call: Calling) -> None:
    """softmax and log_softmax."""
    call.make("Softmax", (call.read(call.first()),), axis=call.axis("dim", -1, call.rank()))


def gated(call: Calling) -> None:
    """glu: one half times the sigmoid of the other."""
    axis = call.axis("dim", -1, call.rank())
    halves = (f"{call.name}:a", f"{call.name}:b")
    call.nodes.append(Node("Split", "", f"{call.name}:halves", (call.read(call.first()),), halves, {"axis": axis}))
    call.make("Mul", (halves[0], call.inner("Sigmoid", halves[1:])))


def reduce(operator: str) -> Translation:
    """mean, sum and their kin: over some dimensions, or over all."""

    def translation(call: Calling) -> None:
        axes = call.integers("dim")
        keep = call.integer("keepdim", 0)
        call.make(operator, (call.read(call.first()),), **({"axes": axes} if axes else {}), keepdims=keep)

    return translation


def extreme(over: str, between: str) -> Translation:
    """max and min: of one value over its dimensions, or of two values."""

    def translation(call: Calling) -> None:
        (as_is(between) if call.overload == "other" else reduce(over))(call)

    return translation
