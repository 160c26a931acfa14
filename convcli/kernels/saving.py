"""Kernels as the bytes of a file, in the formats that `convcli.kernels.files` reads back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from math import prod

import numpy as np

from convcli.errors import ConvError, UsageError
from convcli.kernels.inline import MOST_BYTES
from convcli.kernels.kernel import Kernel
from convcli.kernels.pairs import Pair
from convcli.numerals import decimal_text
from convcli.records import record

BANK, SLICES, ORIGIN, OFFSET = "a filter bank", "z-slices", "an origin", "an offset"


@record
class KernelFormat:
    """How a format writes a kernel, and what beyond a plane of taps it can hold."""

    encode: Callable[[Kernel], bytes]
    holds: tuple[str, ...] = ()


def encode(kernel: Kernel, suffix: str) -> bytes:
    """The content of a kernel file; a format that would lose a part of the kernel is refused."""
    if suffix not in FORMATS:
        known = f"{', '.join(FORMATS)}, or .svg, .png, .html for a picture"
        raise UsageError(f"{suffix or 'no suffix'!r} is no kernel format; use {known}", "unknown-format")
    lost = [part for part in parts(kernel) if part not in FORMATS[suffix].holds]
    if lost:
        able = [name for name, each in FORMATS.items() if set(parts(kernel)) <= set(each.holds)]
        raise UsageError(f"{suffix} cannot hold {' or '.join(lost)}; use {', '.join(able)}", "unknown-format")
    if 8 * prod(kernel.shape) > MOST_BYTES:
        raise ConvError(f"a kernel of {'x'.join(map(str, kernel.shape))} taps is too large for a file", "too-large")
    return FORMATS[suffix].encode(kernel)


def parts(kernel: Kernel) -> list[str]:
    """What a kernel has beyond a plane of taps."""
    present = {
        BANK: kernel.bank,
        SLICES: kernel.ndim == 3,
        ORIGIN: kernel.origin is not None,
        OFFSET: kernel.offset != 0,
    }
    return [part for part, there in present.items() if there]


def text(kernel: Kernel, separator: str) -> bytes:
    """Rows of numbers; a blank line between z-slices."""
    slices = kernel.array().reshape(-1, *kernel.spatial[-2:]).tolist()
    return "\n".join("".join(f"{separator.join(map(decimal_text, row))}\n" for row in rows) for rows in slices).encode()


def vips(kernel: Kernel) -> bytes:
    """A vips matrix with a scale of 1."""
    height, width = kernel.shape
    return f"{width} {height} 1 {decimal_text(kernel.offset)}\n".encode() + text(kernel, " ")


def json_text(kernel: Kernel) -> bytes:
    """Nested lists; an object where there is more than taps."""
    taps = kernel.array().tolist()
    more = {"origin": kernel.origin, "offset": kernel.offset or None}
    extra = {key: value for key, value in more.items() if value is not None}
    return (json.dumps({"taps": taps, **extra} if extra else taps) + "\n").encode()


def npy(kernel: Kernel) -> bytes:
    """A float64 array of the kernel's shape."""
    stream = BytesIO()
    np.save(stream, kernel.array(), allow_pickle=False)
    return stream.getvalue()


def npz(kernel: Kernel) -> bytes:
    """An archive with the one array `taps`."""
    stream = BytesIO()
    np.savez(stream, taps=kernel.array())
    return stream.getvalue()


def pair_npz(pair: Pair) -> bytes:
    """An archive with both steps of a pair: `depthwise` (C m, 1, *space) and `pointwise` (O, C m)."""
    stream = BytesIO()
    matrix = pair.pointwise.array().reshape(pair.pointwise.shape[:2])
    np.savez(stream, depthwise=pair.depthwise.array(), pointwise=matrix)
    return stream.getvalue()


def tiff(kernel: Kernel) -> bytes:
    """A float32 image: what other programs read as a point spread function."""
    import tifffile

    stream = BytesIO()
    taps = kernel.array().astype(np.float32)
    tifffile.imwrite(stream, taps, photometric="minisblack", metadata={"axes": "ZYX"[-kernel.ndim :]})
    return stream.getvalue()


FORMATS: Mapping[str, KernelFormat] = {
    ".txt": KernelFormat(partial(text, separator=" "), (SLICES,)),
    ".csv": KernelFormat(partial(text, separator=","), (SLICES,)),
    ".tsv": KernelFormat(partial(text, separator="\t"), (SLICES,)),
    ".mat": KernelFormat(vips, (OFFSET,)),
    ".json": KernelFormat(json_text, (BANK, SLICES, ORIGIN, OFFSET)),
    ".npy": KernelFormat(npy, (BANK, SLICES)),
    ".npz": KernelFormat(npz, (BANK, SLICES)),
    ".tif": KernelFormat(tiff, (SLICES,)),
    ".tiff": KernelFormat(tiff, (SLICES,)),
}
