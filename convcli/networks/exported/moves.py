"""Calls that move numbers and change none: reshaping, cutting, putting together, resizing."""

from __future__ import annotations

from collections.abc import Sequence

from convcli.networks.exported.calling import OWN, Calling, Named
from convcli.networks.exported.fields import damaged
from convcli.networks.exported.plain import Translation
from convcli.networks.onnx.model import MAXIMUM_FOLDED, Node


def reshape(call: Calling) -> None:
    """view and reshape."""
    wanted = call.several("size") or call.several("shape")
    call.make("Reshape", (call.read(call.first()), call.whole(wanted)), allowzero=1)


def flatten(call: Calling) -> None:
    """flatten: from one dimension to another."""
    rank = call.rank()
    first, last = call.axis("start_dim", 0, rank), call.axis("end_dim", -1, rank)
    call.make("flatten", (call.read(call.first()),), OWN, axes=(first, last))


def unflatten(call: Calling) -> None:
    """unflatten: one dimension to several."""
    inputs = (call.read(call.first()), call.whole(call.several("sizes")))
    call.make("unflatten", inputs, OWN, axis=call.axis("dim", 0, call.rank()))


def permute(call: Calling) -> None:
    """permute: dimensions change places."""
    rank = call.rank()
    order = tuple(n % rank if rank else n for n in call.integers("dims"))
    call.make("Transpose", (call.read(call.first()),), perm=order)


def swap(first: str, second: str) -> Translation:
    """Two dimensions change places."""

    def translation(call: Calling) -> None:
        rank = call.rank()
        order = list(range(rank))
        a, b = call.axis(first, -2, rank), call.axis(second, -1, rank)
        if rank:
            order[a], order[b] = b, a
        call.make("Transpose", (call.read(call.first()),), perm=tuple(order))

    return translation


def reverse(call: Calling) -> None:
    """t and .T: dimensions in the order from the last to the first."""
    call.make("Transpose", (call.read(call.first()),), perm=tuple(reversed(range(call.rank()))))


def move(call: Calling) -> None:
    """movedim and moveaxis: some dimensions to other places, the rest in their order."""
    rank = call.rank()
    from_, to = ([axis % rank for axis in call.integers(key) if rank] for key in ("source", "destination"))
    if len(from_) != len(to) or len({*from_}) != len(from_) or len({*to}) != len(to):
        raise damaged(f"{call.name[:60]!r} moves axes {from_} to {to}")
    rest = iter([axis for axis in range(rank) if axis not in from_])
    went = dict(zip(to, from_, strict=True))
    order = tuple(went[place] if place in went else next(rest) for place in range(rank))
    call.make("Transpose", (call.read(call.first()),), perm=order)


def concat(call: Calling) -> None:
    """cat."""
    call.make("Concat", call.tensors(), axis=call.integer("dim", 0))


def stack(call: Calling) -> None:
    """stack: behind each other along a new axis."""
    axis = call.axis("dim", 0, len(call.sizes.get(call.results[0], ())))
    rows = [call.inner("Unsqueeze", (each,), axes=(axis,)) for each in call.tensors()]
    call.make("Concat", rows, axis=axis)


def split(call: Calling) -> None:
    """split, chunk and tensor_split: the sizes of the pieces are said, or all are alike."""
    axis = call.axis("dim", 0, call.rank())
    sizes = [call.stated(i, axis) for i in range(len(call.results))]
    said = {"split": tuple(sizes)} if None not in sizes else {}
    if said or call.operator == "chunk":
        call.make("Split", (call.read(call.first()),), axis=axis, **said)
    else:
        call.make("stated", (call.read(call.first()),), OWN)


def unbind(call: Calling) -> None:
    """unbind: each entry of a dimension by itself."""
    axis, read = call.axis("dim", 0, call.rank()), call.read(call.first())
    for i, result in enumerate(call.results):
        place = call.constant(value_int=i)
        outputs = (call.names.of(result),)
        call.nodes.append(Node("Gather", "", f"{call.name}:{result}", (read, place), outputs, {"axis": axis}))


def picked(call: Calling) -> None:
    """index: entries by their places; the archive says how many there are."""
    call.make(call.operator, call.tensors(), OWN)


def select(call: Calling) -> None:
    """select: one entry of a dimension."""
    axis = call.axis("dim", 0, call.rank())
    if isinstance(call.by_name.get("index"), Named):
        call.make("stated", call.tensors(), OWN)
    else:
        place = call.constant(value_int=call.integer("index", 0))
        call.make("Gather", (call.read(call.first()), place), axis=axis)


def slice_(call: Calling) -> None:
    """slice: from, to and step of one dimension."""
    axis = call.axis("dim", 0, call.rank())
    ends = [call.by_name.get(key) for key in ("start", "end", "step")]
    start, end, step = (usual if each is None else each for each, usual in zip(ends, (0, 2**63 - 1, 1), strict=True))
    rest = [call.whole((each,)) for each in (start, end, axis, step)]
    call.make("Slice", (call.read(call.first()), *rest))


def narrow(call: Calling) -> None:
    """narrow: so many entries of one dimension, from one of them on, which may be counted from the end."""
    start, length = (call.by_name.get(key, 0) for key in ("start", "length"))
    if not isinstance(start, int) or not isinstance(length, int):
        call.make("stated", call.tensors()[:1], OWN)
        return
    end = start + length if start >= 0 or start + length < 0 else 2**63 - 1
    rest = [call.whole((each,)) for each in (start, end, call.axis("dim", 0, call.rank()))]
    call.make("Slice", (call.read(call.first()), *rest))


def roll(call: Calling) -> None:
    """roll: what falls off one end comes in at the other."""
    value, sizes = call.read(call.first()), call.sizes.get(call.first(), ())
    shifts, axes = call.integers("shifts"), call.integers("dims")
    known = [sizes[axis % len(sizes)] for axis in axes if sizes]
    if len(shifts) != len(axes) or not axes or not all(isinstance(n, int) and n for n in known):
        call.make("stated", (value,), OWN)
        return
    for shift, axis, n in zip(shifts, axes, known, strict=True):
        at = -shift % n if isinstance(n, int) else 0
        if not at:
            continue
        ends = (((at,), (2**63 - 1,)), ((0,), (at,)))
        parts = [call.inner("Slice", (value,), starts=a, ends=b, axes=(axis % len(sizes),)) for a, b in ends]
        value = call.inner("Concat", parts, axis=axis % len(sizes))
    call.make("Identity", (value,))


def unsqueeze(call: Calling) -> None:
    """unsqueeze: a size of 1 appears."""
    call.make("Unsqueeze", (call.read(call.first()),), axes=(call.integer("dim", 0),))


def squeeze(call: Calling) -> None:
    """squeeze: sizes of 1 vanish, others stay."""
    axes, sizes = call.integers("dim"), call.sizes.get(call.first(), ())
    if axes:
        axes = tuple(axis for axis in axes if sizes and sizes[axis % len(sizes)] == 1)
        if not axes:
            call.make("Identity", (call.read(call.first()),))
            return
    call.make("Squeeze", (call.read(call.first()),), **({"axes": axes} if axes else {}))


def expand(call: Calling) -> None:
    """expand: sizes of 1 stretch, -1 keeps one."""
    wanted = [1 if each == -1 else each for each in call.several("size")]
    call.make("Expand", (call.read(call.first()), call.whole(wanted)))


def expand_as(call: Calling) -> None:
    """expand_as: to the sizes of another value, whose numbers it does not read."""
    sizes = call.sizes.get(call.results[0], ())
    if all(isinstance(n, int) for n in sizes):
        call.make("Expand", (call.read(call.first()), call.whole(sizes)))
    else:
        call.make("expand_as", call.tensors(), OWN)


def repeat(call: Calling) -> None:
    """repeat: again and again along each dimension, new ones in front."""
    times, value = call.several("repeats"), call.read(call.first())
    new = len(times) - call.rank()
    if 0 < new < MAXIMUM_FOLDED:
        value = call.inner("Unsqueeze", (value,), axes=tuple(range(new)))
    call.make("Tile", (value, call.whole(times)))


def pad(call: Calling) -> None:
    """pad: (begin, end) of the last dimension, then of the one before."""
    said, rank = call.several("pad") or call.several("padding"), call.rank()
    axes = tuple(rank - 1 - i for i in range(len(said) // 2))
    pads = call.whole([*said[::2], *said[1::2]])
    call.make("Pad", (call.read(call.first()), pads, "", call.constant(value_ints=axes)))


def resize(mode: str, axes: int) -> Translation:
    """upsample_nearest, linear and cubic: to sizes, or by factors."""

    def translation(call: Calling) -> None:
        value = call.read(call.first())
        where = "align_corners" if call.integer("align_corners", 0) else "half_pixel"
        how = {"mode": mode, "coordinate_transformation_mode": "asymmetric" if mode == "nearest" else where}
        how["nearest_mode"] = "floor"
        inner = tuple(range(2, 2 + axes))
        wanted, factors = call.several("output_size"), call.reals("scale_factors")
        if wanted:
            inputs: Sequence[str] = (value, "", "", call.whole(wanted))
        else:
            inputs = (value, "", call.constant(value_floats=factors))
        antialias = call.operator.endswith("_aa") or "exact" in call.operator
        call.make("Resize", inputs, axes=inner, antialias=int(antialias), **how)

    return translation


def shuffle(operator: str, key: str) -> Translation:
    """pixel_shuffle and pixel_unshuffle, of whatever stands before channels and a plane."""

    def translation(call: Calling) -> None:
        value = (call.read(call.first()),)
        if call.rank() in (3, 4):
            call.slide(operator, 2, value, blocksize=call.integer(key, 1))
        else:
            call.make("stated", value, OWN)

    return translation
