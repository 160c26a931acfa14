"""Files of weights as kernels: `weights.safetensors:features.0.weight`, `model.onnx:conv1.weight`.

The numbers of the tensor that is asked for are read, and no others; nothing is run, and nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from convcli.errors import ConvError, KernelError
from convcli.formats.source import Source, source_of
from convcli.kernels.files import contents, looked_up, regular
from convcli.kernels.initializers import by_node
from convcli.kernels.initializers import tensors as initializers
from convcli.kernels.kernel import Kernel
from convcli.kernels.safetensors import tensors as safetensors
from convcli.kernels.stored import Stored
from convcli.networks.models import SUFFIXES
from convcli.stores.names import is_remote, local_name

SHOWN = 4
"""Names that an error tells."""


def read_weights(path: str, key: str, ndim: int) -> Kernel:
    """A kernel from one tensor of a file; `key` may be left out where only one can be a kernel.

    Raises KernelError for a name that is not there, with those that are near; ConvError for a file that is damaged,
    saved without its weights, or has them where they must not be.
    """
    return find(path, key).kernel(ndim)


def find(path: str, key: str) -> Stored:
    """The tensor that `key` names: by its own name, or in ONNX by that of the node whose weights it is."""
    source, known = opened(path)
    if not key:
        return only(known)
    found = known.get(key)
    if found is None and is_model(path):
        with looked_up():
            found = by_node(local(path), source, key)
    if found is None:
        raise KernelError(f"has no tensor {key[:80]!r}{near(key, known, path)}")
    return found


def weights_in(path: str) -> list[Stored]:
    """The tensors of a file that can be kernels, in its order."""
    return [each for each in opened(path)[1].values() if each.is_kernel]


def opened(path: str) -> tuple[Source, Mapping[str, Stored]]:
    """A file, or an object, and the tensors in it."""
    if is_remote(path):
        source = source_of(contents(path))
        return source, initializers("", source) if is_model(path) else safetensors(source)
    with looked_up():
        source = regular(local(path))
        return source, initializers(local(path), source) if is_model(path) else safetensors(source)


def local(path: str) -> str:
    """The path of a file; "" for what is none."""
    return "" if is_remote(path) else local_name(path)


def is_model(path: str) -> bool:
    """True for the name of a file that holds a model.

    >>> is_model("net.ONNX"), is_model("net.pt2"), is_model("net.safetensors")
    (True, True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES


def only(known: Mapping[str, Stored]) -> Stored:
    """The one tensor that can be a kernel."""
    kernels = [each for each in known.values() if each.is_kernel]
    if not kernels:
        raise KernelError("holds no tensor that can be a kernel")
    if len(kernels) > 1:
        names = listed(each.name for each in kernels)
        raise KernelError(f"holds several tensors; add one of them: {names}; `convcli kernels FILE` lists them")
    return kernels[0]


def listed(names: Iterable[str]) -> str:
    """The first names, as they follow the file's."""
    found = list(names)
    return ", ".join(f":{name[:80]}" for name in found[:SHOWN]) + (" ..." if len(found) > SHOWN else "")


def near(key: str, known: Mapping[str, Stored], path: str) -> str:
    """A tail for an error message: the nearest names, else where all are listed."""
    names = [name for name, each in known.items() if each.is_kernel]
    ending = [name for name in names if name.endswith(f".{key}") or key in name][:SHOWN]
    found = get_close_matches(key, names, SHOWN, 0.7) or ending
    meant = f"; did you mean {' or '.join(map(repr, found))}?" if found else ""
    return meant or f"; `convcli kernels {Path(path).name}` lists the {len(names)} that can be kernels"


def refuse_pickle(head: bytes, suffix: str) -> None:
    """Refuse what would have to be unpickled, with the way out.

    Raises ConvError: unsafe.
    """
    if head[:1] == b"\x80" or (head[:2] == b"PK" and suffix):
        way = "save_file(model.state_dict(), 'weights.safetensors') of safetensors.torch, or torch.onnx.export"
        raise ConvError(f"is a pickle, which can run any program and is never opened; export it: {way}", "unsafe")
