"""Sums of products over the samples of an image in compiled code: read once, summed, rounded, written once.

The extension is optional. Without a C compiler the package is installed without it, and `AVAILABLE` is False; the
environment variable CONVCLI_NATIVE=0 says so too, for tests; `lacking` says why. Calls release the interpreter's lock:
threads may filter strips of one image at the same time, or share a call.

`correlate`, `separable`, `correlate_minimal` and `correlate_layers` sum in float32, `correlate_wide` in float64.

A NaN or an infinity spoils every result whose footprint it is in, under a zero tap too; the counts tell of it.

What else is slow in NumPy stands here too: windows laid out as columns, the rows of a PNG and their compression.
"""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import ArrayLike

    Array = np.ndarray[Any, Any]
    Axis = tuple[int, int, Array | None, float]
    """Stride, dilation, which pixel stands where, and the constant beyond."""

SPACE = ("slices", "rows", "columns")
SHARED = "source and target share memory; the target needs memory of its own"
TYPES = ("uint8", "uint16", "int16", "float32")
"""Sample types that are read and written, in the machine's byte order."""
WIDE_TYPES = (*TYPES, "int8", "int32", "uint32", "float64")
"""Those where sums are float64."""


ABSENT: dict[str, str] = {}
"""Parts of the extension that are not there; of those that were built and do not load, why."""


def _load(name: str) -> Any:
    """A part of the extension, or None where it was not built or does not load."""
    try:
        return import_module(f"convcli.native.{name}")
    except ImportError as error:
        ABSENT[name.lstrip("_")] = "" if isinstance(error, ModuleNotFoundError) else str(error)
        return None


def _wanted(part: Any) -> bool:
    return part is not None and os.environ.get("CONVCLI_NATIVE") != "0"


def _built(part: Any) -> Any:
    """A part that is there."""
    if part is None:
        raise RuntimeError("the native extension is not built; install convcli with a C compiler at hand")
    return part


_direct, _patches, _wide, _fourier, _copies = map(_load, ("_direct", "_patches", "_wide", "_fourier", "_copies"))
_rows, _deflate, _minimal, _layers = map(_load, ("_rows", "_deflate", "_minimal", "_layers"))
AVAILABLE: bool = _wanted(_direct)
MINIMAL: bool = _wanted(_minimal)
"""Whether minimal filtering down the columns is there."""
LAYERS: bool = _wanted(_layers)
"""Whether it is there for filter banks."""
FOURIER: bool = _wanted(_fourier)
"""Whether transforms of pairs of tiles are there."""
PATCHES: bool = _wanted(_patches)
"""Whether the transforms of Winograd's patches are there."""
COPIES: bool = _wanted(_copies)
"""Whether copies of windows and of phases are there."""
WIDE: bool = _wanted(_wide)
"""Whether sums in float64 are there."""
ROWS: bool = _wanted(_rows)
"""Whether rows of a PNG are predicted and restored."""
DEFLATE: bool = _wanted(_deflate)
"""Whether what prediction leaves is compressed."""
INSTRUCTIONS: tuple[str, ...] = _direct.INSTRUCTIONS if _direct else ()
"""Instruction sets of this processor that the extension was compiled for, the best one last."""


def lacking() -> str:
    """Why compiled loops are not there or not used; empty where all are."""
    from pathlib import Path

    if os.environ.get("CONVCLI_NATIVE") == "0":
        return "CONVCLI_NATIVE=0 is set"
    if broken := next(filter(None, ABSENT.values()), ""):
        return broken
    note = Path(__file__).with_name("unbuilt.txt")  # as setup.py leaves it
    if note.exists():
        return note.read_text(encoding="utf-8").strip()
    return f"these were not built: {', '.join(ABSENT)}" if ABSENT else ""


def rounding(taps: int) -> float:
    """The largest error seen with so many taps in a sum, relative to sum|k| max|x| (2026-11).

    >>> rounding(3 * 3)
    2e-07
    """
    return next((error for most, error in ((9, 2e-7), (32, 4e-7), (1024, 6e-7)) if taps <= most), 1e-6)


class Counts(NamedTuple):
    """Results that the target cannot hold: clipped to an integer, infinite in float32; and NaN (0 in an integer)."""

    below: int
    above: int
    nan: int

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return total((self, other))


def total(counts: Iterable[Counts]) -> Counts:
    """All together."""
    return Counts(*map(sum, zip(*counts, strict=True)))


class Steps(TypedDict, total=False):
    """What all may be told; each default leaves a sum of products as it is.

    `stride`, `dilation`, `reads` and `outside` have an entry for each axis of the target, (rows, columns) or (slices,
    rows, columns), in pixels. `reads` says which pixel stands at each position of the window that is read, as int32: -1
    for the constant `outside` (where constants meet, that of the later axis); None where all pixels stand for
    themselves. `step` is the number of samples per pixel of interleaved colour; each sample is filtered alone. A sum
    becomes `sum * scale + bias`. Calls by several threads that are told of one `team` share the target's rows (slices,
    filters) among them: each fills a part, returns what it says of it, and all together are what one call would be.
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    reads: Sequence[Array | None]
    outside: Sequence[float]
    step: int
    scale: float
    bias: float
    team: Array | None


class Options(Steps, total=False):
    """What `correlate` and `separable` may be told besides: `instructions` is one of `INSTRUCTIONS`."""

    instructions: str


def team_of(threads: int) -> Array | None:
    """What calls by so many threads are told that share one target."""
    import numpy as np

    return np.array([0, threads], np.intp) if threads > 1 else None


def correlate(source: Array, taps: ArrayLike, target: Array, **options: Unpack[Options]) -> Counts:
    """Fill `target` (rows, columns) with the 'valid' correlation of `source` (rows, columns) and `taps` (kh, kw).

    target[y, x] reads the source from [y s, x s] on, which may go on behind what is read. With taps (planes, kh, kw)
    the source is (planes, rows, columns) and the sum goes over the planes too: the input channels of one filter. With
    taps (channels, kd, kh, kw) the source is (channels, slices, rows, columns) and the target (slices, rows, columns).
    With taps (filters, channels, kd, kh, kw) the target is (filters, slices, rows, columns), and the source may have
    several groups of so many channels: as many filters in turn belong to each. Source and target may be any views;
    those with contiguous rows are fast. Integers are rounded half to even and clipped.
    """
    import numpy as np

    return _filter(*_in_space(source, np.asarray(taps, np.float32), target), None, **options)


def correlating(taps: ArrayLike, **options: Unpack[Options]) -> Callable[[Array, Array], Counts]:
    """`correlate` by one thread, told of all but source and target: both with four dimensions, for calls that recur."""
    import numpy as np

    return _filtering(np.asarray(taps, np.float32), None, **options)


def separable(source: Array, columns: ArrayLike, rows: ArrayLike, target: Array, **options: Unpack[Options]) -> Counts:
    """The same for taps that are the outer products of `columns` (terms, kh) and `rows` (terms, kw), added up.

    A strip goes down the columns and then along the rows while it is in the cache: one pass over the image, too.
    """
    import numpy as np

    down, along = np.atleast_2d(np.asarray(columns, np.float32)), np.atleast_2d(np.asarray(rows, np.float32))
    return _filter(source[None, None], along[:, None, :], target[None, None], down[:, :, None], **options)


def correlate_wide(source: Array, taps: ArrayLike, target: Array, **options: Unpack[Steps]) -> Counts:
    """`correlate` in float64, on samples of `WIDE_TYPES`; taps of zero cost nothing."""
    import numpy as np

    source, values, target = _in_space(source, np.ascontiguousarray(taps, np.float64), target)
    axes, team, more = _told(**options)
    call = partial(_built(_wide).correlate, source, values, target, team, axes, *more)
    return Counts(*_explained(call, source, values.shape, target, WIDE_TYPES, axes, more[0]) or (0, 0, 0))


def correlate_minimal(
    source: Array, taps: ArrayLike, target: Array, *, best: bool = True, **options: Unpack[Steps]
) -> bool:
    """`correlate` by Winograd's F(2,3) down the columns: two thirds of the products. Whether all results are finite.

    Of float32, for one channel to a filter, in a plane, with 7 to 15 rows of taps, at stride 1 and without dilation
    down the columns. Columns of the target lie side by side in memory; pixels have up to 4 samples, and rows of taps
    reach up to 256 of them. An infinity may become NaN, and a NaN spoil rows that lie above its own footprint. Without
    `best` only the instructions that every processor has are used.
    """
    import numpy as np

    source, values, target = _in_space(source, np.ascontiguousarray(taps, np.float32), target)
    axes, team, more = _told(**options)
    call = partial(_built(_minimal).correlate, source, values, target, team, axes, *more, best)
    return _explained(call, source, values.shape, target, ("float32",), axes, more[0]) is not False


def correlate_layers(
    source: Array, taps: ArrayLike, target: Array, *, best: bool = True, **options: Unpack[Steps]
) -> bool:
    """The same for banks (filters, channels, 1, kh, kw) in a plane, at any stride, without scale and bias.

    Nothing but its own footprint spoils a result.
    """
    import numpy as np

    source, values, target = _in_space(source, np.ascontiguousarray(taps, np.float32), target)
    axes, team, (step, *numbers) = _told(**options)
    if numbers != [1, 0]:
        raise ValueError("filter banks are summed without scale and bias")
    call = partial(_built(_layers).correlate, source, values, target, team, axes, step, best)
    return _explained(call, source, values.shape, target, ("float32",), axes, step) is not False


def _in_space(source: Array, taps: Array, target: Array) -> tuple[Array, Array, Array]:
    """As (channels, slices, rows, columns), (filters, channels, kd, kh, kw) and (filters, slices, rows, columns)."""
    if taps.ndim == 2:
        return source[None, None], taps[None, None, None], target[None, None]
    if taps.ndim == 3:
        return source[:, None], taps[None, :, None], target[None, None]
    return source, taps if taps.ndim > 4 else taps[None], target if taps.ndim > 4 else target[None]


def _filter(source: Array, taps: Array, target: Array, columns: Array | None, **options: Unpack[Options]) -> Counts:
    """What `correlate` and `separable` have in common."""
    return _filtering(taps, columns, **options)(source, target)


def _filtering(
    taps: Array,
    columns: Array | None,
    instructions: str = INSTRUCTIONS[-1] if INSTRUCTIONS else "",
    **options: Unpack[Steps],
) -> Callable[[Array, Array], Counts]:
    """The same, told of all but source and target."""
    import numpy as np

    if instructions not in INSTRUCTIONS:
        raise ValueError(f"no instructions {instructions!r} here; there are {', '.join(INSTRUCTIONS)}")
    if columns is not None and len(taps) != len(columns):
        raise ValueError(f"{len(columns)} columns and {len(taps)} rows of taps; a term is one of each")
    shape = taps.shape if columns is None else (1, 1, 1, columns.shape[1], taps.shape[2])
    taps, columns = np.ascontiguousarray(taps), None if columns is None else np.ascontiguousarray(columns)
    axes, team, more = _told(**options)
    how, filter_ = (*more, INSTRUCTIONS.index(instructions)), _built(_direct).filter

    def call(source: Array, target: Array) -> Counts:
        made = partial(filter_, source, taps, target, columns, team, axes, *how)
        return Counts(*_explained(made, source, shape, target, TYPES, axes, more[0]) or (0, 0, 0))

    return call


def _explained(
    call: Callable[[], Any],
    source: Array,
    taps: tuple[int, ...],
    target: Array,
    types: tuple[str, ...],
    axes: tuple[Axis, ...],
    step: int,
) -> Any:
    """What a call of the extension returns; None where there is nothing to do.

    The extension checks all numbers before it touches memory. What it refuses is looked at here again, to say why.
    """
    import numpy as np

    if np.may_share_memory(source, target):
        raise ValueError(SHARED)
    try:
        if target.size:
            return call()
    except (ValueError, BufferError):
        _check_arrays(source, taps, target, types)
        _check_extent(source.shape[1:], target.shape[1:], taps[2:], axes, step)
        raise
    _check_arrays(source, taps, target, types)
    return _check_extent(source.shape[1:], target.shape[1:], taps[2:], axes, step)


def _check_apart(target: Array, *sources: Array) -> None:
    """What is written lies apart from what is read: else pixels would be read that are written already."""
    import numpy as np

    for source in sources:
        if np.may_share_memory(source, target):
            raise ValueError(SHARED)


def _told(
    *,
    stride: tuple[int, ...] = (),
    dilation: tuple[int, ...] = (),
    reads: Sequence[Array | None] = (),
    outside: Sequence[float] = (),
    step: int = 1,
    scale: float = 1.0,
    bias: float = 0.0,
    team: Array | None = None,
) -> tuple[tuple[Axis, ...], Array | None, tuple[int, float, float]]:
    """What is told of slices, rows and columns, with what nothing is told of; of threads; of all: step, scale, bias."""
    strides, dilations = (1, 1, 1, *stride)[-3:], (1, 1, 1, *dilation)[-3:]
    axes = zip(strides, dilations, (None, None, None, *reads)[-3:], (0.0, 0.0, 0.0, *outside)[-3:], strict=True)
    return tuple(axes), team, (step, scale, bias)


def _check_arrays(source: Array, taps: tuple[int, ...], target: Array, types: tuple[str, ...]) -> None:
    """The right sample types and dimensions, taps for every plane, and a target that can be written."""
    import numpy as np

    for name, array in (("source", source), ("target", target)):
        if array.dtype not in map(np.dtype, types):
            raise TypeError(f"{name} of type {array.dtype.str}; samples are native {', '.join(types)}")
        if array.ndim != 4:
            raise ValueError(f"{name} of shape {array.shape}: not planes, rows and columns as the taps have")
    if not target.flags.writeable:
        raise ValueError("the target is read-only")
    if len(taps) != 5 or 0 in taps:
        raise ValueError(f"taps of shape {taps}: not (rows, columns) or (planes, rows, columns) with taps in them")
    groups, more = divmod(len(source), taps[1])
    if not groups or more or len(target) != taps[0] or taps[0] % groups:
        raise ValueError(
            f"{taps[0]} filters with {taps[1]} planes of taps for {len(source)} planes of the source "
            f"and {len(target)} of the target"
        )


def _check_extent(
    source: tuple[int, ...],
    target: tuple[int, ...],
    kernel: tuple[int, ...],
    axes: tuple[Axis, ...],
    step: int,
) -> None:
    """No output may read beyond the window, nor that beyond the source."""
    if step < 1 or any(min(stride, dilation) < 1 for stride, dilation, _, _ in axes):
        raise ValueError(f"stride and dilation {[axis[:2] for axis in axes]} and step {step} are at least 1")
    if source[-1] % step or target[-1] % step:
        raise ValueError(f"{source[-1]} and {target[-1]} columns are not both a multiple of step {step}")
    for axis, (samples, (stride, dilation, reads, _)) in enumerate(zip((1, 1, step), axes, strict=True)):
        pixels, there = target[axis] // samples, source[axis] // samples
        window = there if reads is None else len(reads)
        needed = (pixels - 1) * stride + (kernel[axis] - 1) * dilation + 1
        if pixels and needed > window:
            raise ValueError(
                f"{pixels} outputs of {kernel[axis]} taps, stride {stride}, dilation {dilation} read "
                f"{needed} pixels along {SPACE[axis]}; the source has {window}"
            )


def to_components(
    block: Array,
    components: Array,
    reads: Sequence[Array | None] = (None, None),
    outside: Sequence[float] = (0.0, 0.0),
) -> None:
    """Fill `components` (36, I, down, across) with the transforms of the 6x6 patches of `block` (I, rows, columns).

    Patches begin at every fourth pixel of the window that `reads` and `outside` describe, as for `correlate`; where it
    ends early, zeros follow. Both are float32; the patches of a component lie side by side in memory.
    """
    _check_apart(components, block)
    _patches.forward(block, components, *zip(reads, outside, strict=True))


def from_components(components: Array, target: Array) -> None:
    """Fill `target` (O, rows, columns) with the 4x4 results of `components` (36, O, down, across), cut at its ends."""
    _check_apart(target, components)
    _patches.backward(target, components)


def unfold(image: Array, columns: Array, stride: tuple[int, int], dilation: tuple[int, int]) -> None:
    """Fill `columns` (I, kh, kw, rows, columns) with what each tap reads of `image` (I, rows, columns).

    The columns of the image lie side by side in memory, the target is C-contiguous.
    """
    _check_apart(columns, image)
    _copies.unfold(image, columns, stride, dilation)


def shuffle(phases: Array, target: Array) -> None:
    """Fill `target` (O, rows, P columns) with `phases` (O, rows, P, columns): [..., P x + p] is [..., p, x].

    Rows lie side by side in memory.
    """
    _check_apart(target, phases)
    _copies.shuffle(phases, target)


def predict(rows: Array, above: Array, pixel: int, kind: int, target: Array) -> None:
    """Fill `target` (rows, size + 1) with the kind of prediction of each of `rows` (rows, size), and what it leaves.

    All are uint8 and C-contiguous; `above` is the row before the first, `pixel` the bytes of a pixel: 1, 2, 3, 4, 6 or
    8. `kind` is one of PNG's five, or -1 for the one of each row that leaves the least.
    """
    _check_apart(target, rows, above)
    _rows.predict(rows, above, pixel, kind, target)


def restore(predicted: bytes, above: Array, pixel: int, rows: Array) -> bool:
    """Fill `rows` (rows, size) from what `predict` made of them; False where a row tells of no known kind."""
    import numpy as np

    _check_apart(rows, above, np.frombuffer(predicted, np.uint8))
    known: bool = _rows.restore(predicted, above, pixel, rows)
    return known


def deflate(data: Array, *, last: bool) -> memoryview:
    """A part of a raw deflate stream that holds `data`, one byte or more; it ends at a whole byte, the last one closed.

    Bytes are coded one by one, and runs of one byte as a copy: right for what prediction leaves of pixels.
    """
    import numpy as np

    target = np.empty(_deflate.bound(data.nbytes), np.uint8)
    return target[: _deflate.deflate(data, target, last)].data
