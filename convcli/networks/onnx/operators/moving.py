"""Operators that move numbers and change none: reshaping, cutting, putting together, looking up."""

from __future__ import annotations

from math import prod

from convcli.errors import ConvError
from convcli.geometry.axis import Geometry
from convcli.networks.onnx.call import LARGEST, SAME, Call, Flow, Made, Unknown, broadcast, known
from convcli.networks.onnx.model import MAXIMUM_FOLDED, MAXIMUM_RANK, Dims

REGROUPED = Flow("regrouped")


def reshape(call: Call) -> Made:
    """Reshape: 0 keeps a size, -1 is what is left."""
    wanted = call.value(1).numbers if call.given(1) is not None else call.integers("shape")
    if wanted is None:
        target = call.value(1).dims
        if target is None or len(target) != 1 or target[0] is None or target[0] > MAXIMUM_RANK:
            raise Unknown
        return Made(((None,) * target[0],), REGROUPED)
    x = call.value(0).dims
    sizes = [kept(call, x, i, n) for i, n in enumerate(wanted)]
    if sizes.count(-1) > 1 or any(n is not None and n < -1 for n in sizes):
        raise ConvError(f"reshapes to {wanted!r:.60}", "shape")
    if -1 in sizes:
        sizes[sizes.index(-1)] = rest(x, [n for n in sizes if n != -1])
    elif None in sizes and x is not None and None not in x and sizes.count(None) == 1:
        sizes[sizes.index(None)] = rest(x, [n for n in sizes if n is not None])
    output = tuple(sizes)
    if x is not None and None not in x and None not in output and prod(known(x)) != prod(known(output)):
        raise ConvError(
            f"reshapes {listed(x)} to {listed(output)}: the file is for another input size, give that", "shape"
        )
    return Made((output,), REGROUPED)


def kept(call: Call, x: Dims | None, i: int, n: int | None) -> int | None:
    """One size of a Reshape, where 0 means that of the input."""
    if n is None or n > LARGEST:
        return None if n is None else too_large(n)
    if n == 0 and not call.integer("allowzero"):
        return x[i] if x is not None and i < len(x) else None
    return int(n)


def too_large(n: int) -> int:
    """The error of a size that nobody has."""
    raise ConvError(f"makes a size of {n:,}", "too-large")


def rest(x: Dims | None, sizes: list[int | None]) -> int | None:
    """What is left of a value's numbers for one more size."""
    if x is None or None in x or None in sizes:
        return None
    total, others = prod(known(x)), prod(n for n in sizes if n is not None)
    if others == 0 or total % others:
        return 0 if total == 0 else misfit(total, others)
    return total // others


def misfit(total: int, others: int) -> int:
    """The error of a Reshape of another number of numbers."""
    raise ConvError(f"reshapes {total:,} numbers to a multiple of {others:,}; is the --input of another size?", "shape")


def listed(dims: Dims) -> str:
    """
    >>> listed((1, None, 56))
    '1x?x56'
    """
    return "x".join("?" if n is None else str(n) for n in dims) or "one number"


def flatten(call: Call) -> Made:
    """Flatten: to a matrix, cut before an axis."""
    x = call.dims(0)
    axis = call.integer("axis", 1)
    if not -len(x) <= axis <= len(x):
        raise ConvError(f"flattens before axis {axis} of {len(x)}", "shape")
    axis = axis + len(x) if axis < 0 else axis
    sizes = tuple(None if None in part else prod(known(part)) for part in (x[:axis], x[axis:]))
    return Made((sizes,), REGROUPED)


def squeeze(call: Call) -> Made:
    """Squeeze: sizes of 1 vanish."""
    x, axes = call.dims(0), call.setting("axes", 1)
    if axes is None:
        gone = {i for i, n in enumerate(x) if n == 1}
        if None in x:
            raise Unknown
    else:
        gone = {call.dimension(axis, len(x)) for axis in axes}
    if any(x[i] not in (1, None) for i in gone):
        raise ConvError(f"squeezes an axis of {listed(x)} that is not 1", "shape")
    return Made((tuple(n for i, n in enumerate(x) if i not in gone),), REGROUPED)


def unsqueeze(call: Call) -> Made:
    """Unsqueeze: sizes of 1 appear."""
    x, axes = call.dims(0), call.setting("axes", 1) or ()
    rank = len(x) + len(axes)
    if rank > MAXIMUM_RANK:
        raise ConvError(f"makes {rank} dimensions", "too-large")
    new, left = {call.dimension(axis, rank) for axis in axes}, list(x)
    if len(new) < len(axes):
        raise ConvError("makes the same axis twice", "shape")
    return Made((tuple(1 if i in new else left.pop(0) for i in range(rank)),), REGROUPED)


def transpose(call: Call) -> Made:
    """Transpose: dimensions change places."""
    x = call.dims(0)
    order = call.integers("perm") or tuple(range(len(x)))[::-1]
    if sorted(order) != list(range(len(x))):
        raise ConvError(f"orders {len(x)} dimensions as {order!r:.60}", "shape")
    return Made((tuple(x[i] for i in order),), Flow("order", over=order))


def concat(call: Call) -> Made:
    """Concat: inputs behind each other along an axis."""
    shapes = [value.dims for value in call.present if value.dims != (0,)]
    whole = [dims for dims in shapes if dims is not None]
    if not whole or len(whole) < len(shapes):
        if not shapes:
            return Made(((0,),), SAME)
        raise Unknown
    axis = call.axis("axis", 1, len(whole[0]))
    if any(len(dims) != len(whole[0]) for dims in whole):
        raise ConvError("puts together values of different dimensions", "shape")
    sizes = [together([dims[i] for dims in whole], add=i == axis) for i in range(len(whole[0]))]
    return Made((tuple(sizes),), Flow("joined", over=(axis,)))


def together(sizes: list[int | None], *, add: bool) -> int | None:
    """One size of values behind each other."""
    if add:
        return None if None in sizes else sum(n for n in sizes if n is not None)
    given = {n for n in sizes if n is not None}
    if len(given) > 1:
        raise ConvError(f"puts together sizes {' and '.join(map(str, sorted(given)))}, which differ", "shape")
    return given.pop() if given else None


def split(call: Call) -> Made:
    """Split: pieces of an axis, equal ones or of given sizes."""
    x, parts = call.dims(0), len(call.node.outputs)
    axis = call.axis("axis", 0, len(x))
    sizes, n = call.setting("split", 1), x[axis]
    if sizes is None:
        if n is None:
            sizes_or_none: tuple[int | None, ...] = (None,) * parts
        else:
            each = -(-n // parts)
            sizes_or_none = tuple(max(0, min(each, n - i * each)) for i in range(parts))
    else:
        sizes_or_none = sizes
    if len(sizes_or_none) != parts or (n is not None and sum(known(sizes_or_none)) != n):
        raise ConvError(f"splits {n} into {sizes_or_none!r:.60}", "shape")
    return Made(
        tuple((*x[:axis], size, *x[axis + 1 :]) for size in sizes_or_none),
        Flow("split", over=(axis,), places=known(sizes_or_none)) if None not in sizes_or_none else None,
    )


def slice_(call: Call) -> Made:
    """Slice: from, to and step of some axes."""
    x = call.dims(0)
    starts, ends = call.setting("starts", 1), call.setting("ends", 2)
    if starts is None or ends is None:
        raise ConvError("says no starts and ends", "corrupt")
    axes = call.setting("axes", 3)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = call.setting("steps", 4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ConvError("says starts, ends, axes and steps that do not go together", "shape")
    output, moved = list(x), list[tuple[int, int, range]]()
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        i = call.dimension(axis, len(x))
        n = x[i]
        if n is None:
            output[i] = None
            continue
        places = range(*slice(start, None if step < 0 and end < -n else end, step).indices(n))
        output[i] = len(places)
        if len(places) < n or step < 0:
            moved.append((i, n, places))
    return Made((tuple(output),), sliced_flow(moved))


def sliced_flow(moved: list[tuple[int, int, range]]) -> Flow | None:
    """How the dimensions of a slice are read: by stride and padding where all go forwards, else place by place."""
    if all(places.step > 0 and places for _, _, places in moved):
        axes = [(i, Geometry(n, 1, p.step, 1, -p[0], p[-1] + 1 - n)) for i, n, p in moved]
        return Flow("axes", axes=tuple(axes))
    if len(moved) == 1 and 0 < len(moved[0][2]) <= MAXIMUM_FOLDED:
        return Flow("picked", over=(moved[0][0],), places=tuple(moved[0][2]))
    return None


def gather(call: Call) -> Made:
    """Gather: entries of one axis, by their places; of a table of weights, an embedding."""
    x, indices = call.dims(0), call.dims(1)
    axis = call.axis("axis", 0, len(x))
    output = (*x[:axis], *indices, *x[axis + 1 :])
    places = call.value(1).numbers
    if not call.value(1).is_constant:
        return Made((output,), weights=(0,))
    n = x[axis] or 0
    if places == tuple(range(n)) and n and len(indices) > 1:  # all of them as they are: PyTorch's as_strided
        return Made((output,), REGROUPED)
    if places is None or None in places or len(indices) > 1:
        return Made((output,))
    found = tuple(int(p) % n if n else 0 for p in places)
    return Made((output,), Flow("picked", over=(axis,), places=found, keep=bool(indices)))


def expand(call: Call) -> Made:
    """Expand: sizes of 1 stretch."""
    target = call.value(1).numbers
    if target is None:
        raise Unknown
    if max((n for n in target if n is not None), default=0) > LARGEST:
        raise ConvError("expands beyond all sizes", "too-large")
    return Made((broadcast([call.dims(0), target]),), SAME)


def tile(call: Call) -> Made:
    """Tile: repeated along each axis."""
    x, times = call.dims(0), call.numbers(1)
    if len(times) != len(x) or not all(0 <= t <= LARGEST for t in times):
        raise ConvError(f"repeats {len(x)} axes by {times!r:.60}", "shape")
    output = tuple(n and n * t for n, t in zip(x, times, strict=True))
    is_stretched = all(n == 1 or t == 1 for n, t in zip(x, times, strict=True))
    return Made((output,), SAME if is_stretched else None)


def like_indices(call: Call) -> Made:
    """GatherElements: as many as there are indices."""
    return Made((call.dims(1),))


def gather_nd(call: Call) -> Made:
    """GatherND: what the last dimension of the indices points to."""
    x, indices, batch = call.dims(0), call.dims(1), call.integer("batch_dims")
    depth = indices[-1] if indices else None
    if depth is None or not 0 <= batch + depth <= len(x):
        raise Unknown
    return Made(((*indices[:-1], *x[batch + depth :]),))


def one_hot(call: Call) -> Made:
    """OneHot: a new axis as deep as there are classes."""
    x, depth = call.dims(0), call.value(1).numbers
    axis = call.axis("axis", -1, len(x) + 1)
    size = int(depth[0]) if depth and depth[0] is not None else None
    return Made(((*x[:axis], size, *x[axis:]),))


def top(call: Call) -> Made:
    """TopK: the largest of an axis, and where they are."""
    x = call.dims(0)
    axis = call.axis("axis", -1, len(x))
    amount = call.value(1).numbers if call.given(1) is not None else (call.integer("k", 1),)
    k = int(amount[0]) if amount and amount[0] is not None else None
    output = (*x[:axis], k, *x[axis + 1 :])
    return Made((output, output))


def shape(call: Call) -> Made:
    """Shape: the sizes, as integers."""
    x = call.value(0).dims
    if x is None:
        return Made(((None,),))
    return Made(((len(x[sliced(call)]),),))


def sliced(call: Call) -> slice:
    """The part of the shape that is asked for."""
    end = call.node.attributes.get("end")
    return slice(call.integer("start"), end if isinstance(end, int) else None)


def one_number(_call: Call) -> Made:
    """Size, and other single numbers."""
    return Made(((),))


def filled(call: Call) -> Made:
    """ConstantOfShape: one number again and again."""
    sizes = call.value(0).numbers
    if sizes is None:
        raise Unknown
    if len(sizes) > MAXIMUM_RANK or any(n is not None and not 0 <= n <= LARGEST for n in sizes):
        raise ConvError(f"makes sizes {sizes!r:.60}", "too-large")
    return Made((tuple(sizes),))


def range_(call: Call) -> Made:
    """Range: as many as there are from start to limit."""
    numbers = [call.value(i).numbers for i in range(3)]
    if any(not each or None in each for each in numbers):
        return Made(((None,),))
    start, limit, step = (each[0] for each in numbers if each)
    if not step:
        raise ConvError("counts by 0", "shape")
    return Made(((max(0, -int(-(limit - start) // step)),),))


def constant(call: Call) -> Made:
    """Constant: a tensor, or numbers, in an attribute."""
    tensor = call.tensor("value")
    if tensor is not None:
        return Made((tensor.dims,))
    for name in ("value_ints", "value_floats", "value_strings"):
        listed_ = call.node.attributes.get(name)
        if isinstance(listed_, tuple):
            return Made(((len(listed_),),))
    return Made(((),))


def random(call: Call) -> Made:
    """RandomNormal and RandomUniform: sizes in an attribute."""
    sizes = call.integers("shape")
    if sizes is None or len(sizes) > MAXIMUM_RANK or not all(0 <= n <= LARGEST for n in sizes):
        raise Unknown
    return Made((sizes,))


def places(call: Call) -> Made:
    """NonZero: as many as there are."""
    return Made(((len(call.dims(0)), None),))


def boxes(_call: Call) -> Made:
    """NonMaxSuppression: as many boxes as are left."""
    return Made(((None, 3),))


def cropped(call: Call) -> Made:
    """CenterCropPad: to sizes, about the centre."""
    x, wanted = call.dims(0), call.numbers(1)
    axes = [call.dimension(axis, len(x)) for axis in call.integers("axes") or range(len(x))]
    if len(axes) != len(wanted) or not all(0 <= n <= LARGEST for n in wanted):
        raise ConvError(f"crops {len(axes)} axes to {wanted!r:.60}", "shape")
    sizes = dict(zip(axes, wanted, strict=True))
    return Made((tuple(sizes.get(i, n) for i, n in enumerate(x)),))


def columns(call: Call) -> Made:
    """Col2Im: columns back to an image."""
    x, image, block = call.dims(0), call.numbers(1), call.numbers(2)
    taps = prod(block)
    if len(x) != 3 or taps < 1 or not all(0 < n <= LARGEST for n in image):
        raise Unknown
    return Made(((x[0], x[1] and x[1] // taps, *image),))
