"""The image of a MINC-2 file by h5py, of the extra `minc`, and the places where HDF5 would lead elsewhere: refused.

Source: https://en.wikibooks.org/wiki/MINC/Reference/MINC2.0_File_Format_Reference
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.pixels import Array
from convcli.image import Grid, Spans
from convcli.records import record

ROOT = "minc-2.0"
FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""Of the compressions that come with h5py: deflate, shuffle, Fletcher-32, szip, n-bit, scale and offset, LZF."""


def library() -> Any:
    """h5py, where it is installed."""
    try:
        return import_module("h5py")
    except ImportError:
        raise ConvError("MINC-2 needs h5py: pip install 'convcli[minc]'", "codec-missing") from None


@contextmanager
def opened(stream: BinaryIO) -> Iterator[Any]:
    """The group of a file that holds a volume."""
    h5py = library()
    with h5py.File(stream, "r") as file:
        if ROOT not in file:
            raise ConvError("is an HDF5, but no MINC inside; convert it first", "unknown-format")
        yield member(file, ROOT)


def member(group: Any, path: str) -> Any:
    """A group or an array in a group, which lies in the file itself."""
    h5py = library()
    for name in path.split("/"):
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ConvError(f"names a part that lies elsewhere: {name!r}", "unsafe")
        group = group[name]
    if isinstance(group, h5py.Dataset):
        check_own(group)
    return group


def check_own(dataset: Any) -> None:
    """Refuse an array whose numbers lie in other files, or are packed by what is not there."""
    if dataset.external is not None or dataset.is_virtual:
        raise ConvError(f"has numbers that lie in other files: {dataset.name!r}", "unsafe")
    created = dataset.id.get_create_plist()
    numbers = {created.get_filter(place)[0] for place in range(created.get_nfilters())}
    if strange := sorted(numbers - FILTERS):
        raise ConvError(
            f"is packed by filter {strange[0]} of HDF5, which is not read here; convert it", "codec-missing"
        )


def said(thing: Any) -> dict[str, Any]:
    """What is said of a group or an array: texts, and arrays of numbers."""
    return {name: plain(thing.attrs[name]) for name in thing.attrs}


def plain(value: Any) -> Any:
    """A text as a str, all else as an array."""
    if isinstance(value, bytes):
        return value.decode("latin-1").rstrip("\0")
    return value if isinstance(value, str) else np.asarray(value)


@record(eq=False)
class Chunked:
    """An array in a HDF5 file, of which boxes are read by the chunks that they touch."""

    dataset: Any

    @property
    def grid(self) -> Grid:
        """Its chunks, which are unpacked anew; or any box."""
        chunks = self.dataset.chunks
        block: tuple[int, ...] = chunks or (1,) * (self.dataset.ndim - 1) + self.dataset.shape[-1:]
        return Grid(block, any_box=True, anew=chunks is not None)

    def read(self, spans: Spans, out: Array) -> None:
        """Fill `out` with a box, in the machine's byte order."""
        out[...] = self.dataset[tuple(slice(*span) for span in spans)]
