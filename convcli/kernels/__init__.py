"""From what a user gives as a kernel to a `Kernel`: numbers, a name, a file, or standard input.

Numbers and names need no NumPy; files are read by `convcli.kernels.files`, imported when one is given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence

from convcli.errors import KernelError
from convcli.kernels.kernel import Kernel, stack_kernels
from convcli.kernels.named import KERNELS, NamedKernel, parse_named, suggestion
from convcli.kernels.parameters import Space, has_unit

__all__ = [
    "KERNELS",
    "Kernel",
    "NamedKernel",
    "is_file",
    "is_measured",
    "is_named",
    "meant_by",
    "parse_kernel",
    "split_key",
    "stack_kernels",
]

FILES = (".txt", ".csv", ".tsv", ".mat", ".json", ".npy", ".npz", ".tif", ".tiff", ".png")
PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")
"""What PyTorch saves by default, which is refused."""
KEYED = (".npz", ".safetensors", ".onnx", ".pt2", *PICKLES)
"""Files of several arrays: `FILE:NAME` is one of them."""
PUNCTUATION = r"[\s,;|^]"
STARTS_LIKE_NUMBERS = re.compile(r"[+-]?(\.?\d|(nan|inf(inity)?)\b)", re.ASCII | re.IGNORECASE)


def parse_kernel(
    text: str,
    ndim: int = 2,
    *,
    spacing: Mapping[str, tuple[float, str]] | None = None,
    stdin: Callable[[], bytes] | None = None,
    stride: Sequence[int] = (),
) -> Kernel:
    """The kernel that `text` stands for: `0 -1 0; ...`, `[[0,-1,0],...]`, `3x3:...`, `gaussian:2`, `weights.npy`, `-`.

    `ndim` is the number of spatial axes, 2 or 3. `spacing` holds the distance between samples, (2.0, "um"), for each
    axis letter; lengths with a unit need it. `stdin` reads what `-` stands for. `stride`, one for all axes or one for
    each, is for resampling kernels named without one. The kernel's name is a text that parses to the same kernel.

    >>> parse_kernel("box:3").sum(), parse_kernel("1 2 1; 2 4 2").shape
    (1.0, (2, 3))
    """
    if not isinstance(text, str):
        raise KernelError(f"{type(text).__name__} is no text of a kernel; Kernel.from_array takes arrays")
    bare = text.strip()
    if is_file(text):
        return read_file(text, ndim, stdin)
    if is_inline(bare):
        from convcli.kernels.inline import parse_inline  # most kernels have a name

        return parse_inline(bare, ndim)
    if name_of(bare) in KERNELS:
        return parse_named(bare.lower(), Space(ndim, spacing or {}), stride)
    from convcli.kernels.nested import is_list, parse_list  # most kernels are none

    if is_list(bare):
        return parse_list(bare, ndim)
    if os.path.lexists(text) or ("/" in text and not meant_by(bare)):
        return read_file(text, ndim, stdin)
    return parse_unknown(bare, ndim)


def is_inline(text: str) -> bool:
    """True for a kernel that begins like a number.

    >>> is_inline("-1 0 1"), is_inline("3x3:1,2"), is_inline("gaussian:2"), is_inline("./3")
    (True, True, False, False)
    """
    return STARTS_LIKE_NUMBERS.match(text) is not None


def is_named(text: str) -> bool:
    """True for a named kernel, whatever its parameters.

    >>> is_named("Gaussian:2"), is_named("gaussian.npy"), is_named("1 2 1")
    (True, False, False)
    """
    return name_of(text) in KERNELS and not is_file(text)


def is_file(text: str) -> bool:
    """True for what is read, whatever else it may be called: standard input, or a name with an ending of arrays.

    >>> is_file("a.NPY"), is_file("model.onnx:conv1.weight"), is_file("-"), is_file("box:3")
    (True, True, True, False)
    """
    name = text.lower()
    return name == "-" or name.endswith((*FILES, *KEYED)) or any(f"{ending}:" in name for ending in KEYED)


def split_key(text: str) -> tuple[str, str]:
    """The path and the key of `path.npz:key`; the name of a file that is there has no key, whatever it looks like.

    >>> split_key("w.npz:layer1"), split_key("net.onnx:/conv1/Conv"), split_key("w.npy")
    (('w.npz', 'layer1'), ('net.onnx', '/conv1/Conv'), ('w.npy', ''))
    """
    ends = [found.end() - 1 for found in re.finditer(f"({'|'.join(map(re.escape, KEYED))}):", text.lower())]
    if not ends or os.path.lexists(text):
        return text, ""
    at = next((end for end in ends if os.path.lexists(text[:end])), ends[0])
    return text[:at], text[at + 1 :]


def is_measured(text: str) -> bool:
    """True for a name with lengths in units, which only the spacing of an image turns into samples.

    >>> is_measured("gaussian:2um"), is_measured("gaussian:size=5,sigma=2px"), is_measured("2um.txt")
    (True, False, False)
    """
    rest = text.lower().partition(":")[2]
    return name_of(text) in KERNELS and any(has_unit(word.rpartition("=")[2].strip()) for word in rest.split(","))


def name_of(text: str) -> str:
    """What stands before the colon, in any case.

    >>> name_of("Gaussian:2")
    'gaussian'
    """
    return text.partition(":")[0].strip().lower()


def read_file(text: str, ndim: int, stdin: Callable[[], bytes] | None) -> Kernel:
    """The kernel in a file, or on standard input."""
    from convcli.kernels.files import read_kernel

    return read_kernel(text, ndim, stdin)


def meant_by(text: str) -> str:
    """What other programs' users mean by a text that is no kernel here."""
    from convcli.kernels.meant import meant

    return meant(text, KERNELS)


def parse_unknown(text: str, ndim: int) -> Kernel:
    """Say what is wrong with a text that is no kernel: a misspelled name, or something among numbers."""
    if not text:
        raise KernelError("the kernel is empty; give numbers, a name such as gaussian:2, or a file")
    before = text.partition(":")[0]
    name = re.split(PUNCTUATION, before)[0]
    if answer := meant_by(text):
        raise KernelError(f"unknown kernel {text!r}{answer}")
    if name.lower() in KERNELS:
        example = KERNELS[name.lower()].example
        raise KernelError(f"unknown kernel {before!r}; parameters follow a colon, as in {example}")
    near = suggestion(name, KERNELS)
    if name != before and not near:
        from convcli.kernels.inline import parse_inline

        return parse_inline(text, ndim)
    raise KernelError(f"unknown kernel {name!r}{near or '; `convcli kernels` lists the named ones'}")
