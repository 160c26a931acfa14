"""Sums of products over the samples of an image in compiled code: read once, summed, rounded, written once.

The extension is optional. Without a C compiler the package is installed without it, and `AVAILABLE` is False; the
environment variable CONVCLI_NATIVE=0 says so too, for tests. Calls release the interpreter's lock: threads may filter
strips of one image at the same time.

`correlate` and `separable` sum in float32, `correlate_wide` in float64.

A NaN or an infinity spoils every result whose footprint it is in, under a zero tap too; the counts tell of it.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Array = np.ndarray[Any, Any]

TYPES = ("uint8", "uint16", "int16", "float32")
"""Sample types that are read and written, in the machine's byte order."""
WIDE_TYPES = (*TYPES, "int8", "int32", "uint32", "float64")
"""Those where sums are float64."""


def _load(name: str) -> Any:
    """A part of the extension, or None where it was not built."""
    try:
        return import_module(f"convcli.native.{name}")
    except ImportError:
        return None


_direct, _patches, _wide, _fourier = map(_load, ("_direct", "_patches", "_wide", "_fourier"))
AVAILABLE: bool = _direct is not None and os.environ.get("CONVCLI_NATIVE") != "0"
FOURIER: bool = _fourier is not None and os.environ.get("CONVCLI_NATIVE") != "0"
"""Whether transforms of pairs of tiles are there."""
PATCHES: bool = _patches is not None and os.environ.get("CONVCLI_NATIVE") != "0"
"""Whether the transforms of Winograd's patches are there."""
WIDE: bool = _wide is not None and os.environ.get("CONVCLI_NATIVE") != "0"
"""Whether sums in float64 are there."""
INSTRUCTIONS: tuple[str, ...] = _direct.INSTRUCTIONS if _direct else ()
"""Instruction sets of this processor that the extension was compiled for, the best one last."""


def rounding(taps: int) -> float:
    """The largest error seen with so many taps in a sum, relative to sum|k| max|x| (2026-11).

    >>> rounding(3 * 3)
    2e-07
    """
    return 2e-7 if taps <= 9 else 4e-7 if taps <= 1024 else 1e-6


class Counts(NamedTuple):
    """Results that the target cannot hold: clipped to an integer, infinite in float32; and NaN (0 in an integer)."""

    below: int
    above: int
    nan: int

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*map(sum, zip(self, other, strict=True)))


class Steps(TypedDict, total=False):
    """What all may be told; each default leaves a sum of products as it is.

    `stride` and `dilation` are (rows, columns) in pixels. `step` is the number of samples per pixel of interleaved
    colour; each sample is filtered alone. A sum becomes `sum * scale + bias`.
    """

    stride: tuple[int, int]
    dilation: tuple[int, int]
    step: int
    scale: float
    bias: float


class Options(Steps, total=False):
    """What `correlate` and `separable` may be told besides: `instructions` is one of `INSTRUCTIONS`."""

    instructions: str


def correlate(source: Array, taps: ArrayLike, target: Array, **options: Unpack[Options]) -> Counts:
    """Fill `target` (rows, columns) with the 'valid' correlation of `source` (rows, columns) and `taps` (kh, kw).

    target[y, x] reads the source from [y s, x s] on, which may go on behind what is read. With taps (planes, kh, kw)
    the source is (planes, rows, columns) and the sum goes over the planes too: the input channels of one filter, or the
    slices under a 3-D kernel. Source and target may be any views; those with contiguous rows are fast.
    Integers are rounded half to even and clipped.
    """
    import numpy as np

    values = np.asarray(taps, np.float32)
    planes = source if values.ndim == 3 else source[None]
    return _filter(planes, values if values.ndim == 3 else values[None], None, target, **options)


def separable(source: Array, columns: ArrayLike, rows: ArrayLike, target: Array, **options: Unpack[Options]) -> Counts:
    """The same for taps that are the outer products of `columns` (terms, kh) and `rows` (terms, kw), added up.

    A strip goes down the columns and then along the rows while it is in the cache: one pass over the image, too.
    """
    import numpy as np

    down, along = np.atleast_2d(np.asarray(columns, np.float32)), np.atleast_2d(np.asarray(rows, np.float32))
    return _filter(source[None], along[:, None, :], down[:, :, None], target, **options)


def correlate_wide(
    source: Array,
    taps: ArrayLike,
    target: Array,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    step: int = 1,
    scale: float = 1.0,
    bias: float = 0.0,
) -> Counts:
    """`correlate` in float64, on samples of `WIDE_TYPES`; taps of zero cost nothing."""
    import numpy as np

    if _wide is None:
        raise RuntimeError("the native extension is not built; install convcli with a C compiler at hand")
    values = np.ascontiguousarray(taps, np.float64)
    planes, values = (source, values) if values.ndim == 3 else (source[None], values[None])
    _check_arrays(planes, target, WIDE_TYPES)
    _check_planes(planes, values, None)
    _check_extent(planes.shape[1:], target.shape, values.shape[1:], stride, dilation, step)
    _check_apart(planes, target)
    if not target.size:
        return Counts(0, 0, 0)
    return Counts(*_wide.correlate(planes, values, target, stride, dilation, step, scale, bias))


def _filter(
    source: Array,
    taps: Array,
    columns: Array | None,
    target: Array,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    step: int = 1,
    scale: float = 1.0,
    bias: float = 0.0,
    instructions: str = INSTRUCTIONS[-1] if INSTRUCTIONS else "",
) -> Counts:
    """Check what was given, in words; the extension checks again, in numbers, before it touches memory."""
    import numpy as np

    if _direct is None:
        raise RuntimeError("the native extension is not built; install convcli with a C compiler at hand")
    if instructions not in INSTRUCTIONS:
        raise ValueError(f"no instructions {instructions!r} here; there are {', '.join(INSTRUCTIONS)}")
    _check_arrays(source, target)
    kernel = (taps if columns is None else columns).shape[1], taps.shape[2]
    _check_planes(source, taps, columns)
    _check_extent(source.shape[1:], target.shape, kernel, stride, dilation, step)
    _check_apart(source, target)
    if not target.size:
        return Counts(0, 0, 0)
    taps, columns = np.ascontiguousarray(taps), None if columns is None else np.ascontiguousarray(columns)
    place = INSTRUCTIONS.index(instructions)
    return Counts(*_direct.filter(source, taps, target, columns, stride, dilation, step, scale, bias, place))


def _check_apart(source: Array, target: Array) -> None:
    """The target has memory of its own."""
    import numpy as np

    if np.may_share_memory(source, target):
        raise ValueError("source and target share memory; the target needs memory of its own")


def _check_arrays(source: Array, target: Array, types: tuple[str, ...] = TYPES) -> None:
    """The right sample types and dimensions, and a target that can be written."""
    for name, array, ndim in (("source", source, 3), ("target", target, 2)):
        if array.dtype.name not in types or not array.dtype.isnative:
            raise TypeError(f"{name} of type {array.dtype.str}; samples are native {', '.join(types)}")
        if array.ndim != ndim:
            raise ValueError(f"{name} of shape {array.shape}: not planes, rows and columns as the taps have")
    if not target.flags.writeable:
        raise ValueError("the target is read-only")


def _check_planes(source: Array, taps: Array, columns: Array | None) -> None:
    """Taps for every plane, or a row of taps for every column of taps."""
    if not taps.size or taps.ndim != 3 or (columns is not None and not columns.size):
        raise ValueError(
            f"taps of shape {taps.shape}: not (rows, columns) or (planes, rows, columns) with taps in them"
        )
    if columns is None and len(taps) != len(source):
        raise ValueError(f"{len(taps)} planes of taps for {len(source)} planes of the source")
    if columns is not None and len(taps) != len(columns):
        raise ValueError(f"{len(columns)} columns and {len(taps)} rows of taps; a term is one of each")


def _check_extent(
    source: tuple[int, ...],
    target: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    step: int,
) -> None:
    """No output may read beyond the source."""
    if min(*stride, *dilation, step) < 1:
        raise ValueError(f"stride {stride}, dilation {dilation} and step {step} are at least 1")
    if source[1] % step or target[1] % step:
        raise ValueError(f"{source[1]} and {target[1]} columns are not both a multiple of step {step}")
    for axis, samples in enumerate((1, step)):
        pixels = target[axis] // samples
        reads = (pixels - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        if pixels and reads > source[axis] // samples:
            raise ValueError(
                f"{pixels} outputs of {kernel[axis]} taps, stride {stride[axis]}, dilation {dilation[axis]} read "
                f"{reads} pixels along axis {axis}; the source has {source[axis] // samples}"
            )


def to_components(block: Array, components: Array) -> None:
    """Fill `components` (36, I, down, across) with the transforms of the 6x6 patches of `block` (I, rows, columns).

    Patches begin at every fourth pixel; where the block ends early, zeros follow. Both are float32.
    """
    _patches.forward(block, components)


def from_components(components: Array, target: Array) -> None:
    """Fill `target` (O, rows, columns) with the 4x4 results of `components` (36, O, down, across), cut at its ends."""
    _patches.backward(target, components)


class Spectrum:
    """A kernel ready for tiles of `shape` (powers of two from 8 to 1024): its spectrum, and memory for the threads."""

    def __init__(self, taps: Array, shape: tuple[int, int]) -> None:
        """Transform taps (kh, kw) float32."""
        rows, columns = self.shape = shape
        self._values = _aligned(4 * (2 * (rows + columns) + 2 * rows * columns))
        self._spare: list[Array] = []
        memory = self._borrow()
        _fourier.spectrum(taps, self._values, memory, rows, columns)
        self._spare.append(memory)

    def correlate(self, block: Array, target: Array, tile: tuple[int, int]) -> None:
        """Fill `target` (rows, columns) with the 'valid' correlation of `block`; both float32, columns side by side.

        `tile` is what one transform yields. The target is up to two tiles high, and as many wide as it needs.
        """
        memory = self._borrow()
        _fourier.correlate(block, self._values, memory, target, *self.shape, tile)
        self._spare.append(memory)

    def _borrow(self) -> Array:
        """Memory that no other thread uses."""
        rows, columns = self.shape
        return self._spare.pop() if self._spare else _aligned(64 * max(self.shape) + 8 * columns * (rows + 16))


def _aligned(size: int) -> Array:
    """Bytes that begin at a line of the cache."""
    import numpy as np

    raw = np.empty(size + 64, np.uint8)
    first = -raw.ctypes.data % 64
    aligned: Array = raw[first : first + size]
    return aligned
