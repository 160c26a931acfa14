"""The tensors of a safetensors file: eight bytes of length, a JSON header, then the numbers.

Source: github.com/huggingface/safetensors, "Format". What the header says is held against the file before any number is
read, and only the tensor that is asked for is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any, NoReturn

import numpy as np

from convcli.errors import ConvError
from convcli.formats.source import Source
from convcli.kernels.files import looked_up
from convcli.kernels.stored import Array, Stored

LENGTH = 8
MOST_HEADER = 100_000_000
"""Bytes of a header: the format's own bound."""
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
"""Its types of numbers, in NumPy's words."""
MOST_AXES = 64
MOST = 2**62
"""A size, or a place in a file, is below this."""


def damaged(what: str) -> ConvError:
    """The error of a file that is none."""
    return ConvError(f"is no sound safetensors file: {what}; download or export it again", "corrupt")


def tensors(source: Source) -> dict[str, Stored]:
    """What the file says it holds, by name; ConvError (corrupt) where it contradicts itself, or is cut short."""
    with source.open() as stream:
        length = int.from_bytes(stream.read(LENGTH), "little")
        if length > min(MOST_HEADER, source.size - LENGTH):
            raise damaged(f"its header has {length:,} bytes, the file {source.size:,}")
        header = stream.read(length)
    entries = parsed(header)
    entries.pop("__metadata__", None)
    start = LENGTH + length
    return {name: stored(source, name, entry, start) for name, entry in entries.items()}


def parsed(header: bytes) -> dict[str, Any]:
    """The entries of a header, a JSON object in which no name stands twice."""

    def entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands twice")
        return found

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a number")

    try:
        found = json.loads(header.decode(), object_pairs_hook=entries, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise damaged(f"its header is not JSON ({str(error)[:80]})") from None
    if not isinstance(found, dict):
        raise damaged("its header is no JSON object")
    return found


def stored(source: Source, name: str, entry: Any, start: int) -> Stored:
    """One tensor, whose numbers lie in the file, and are as many as its sizes say."""
    found: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    dtype: Any = found.get("dtype")
    shape: Any = found.get("shape")
    place: Any = found.get("data_offsets")
    if not isinstance(dtype, str) or not whole_numbers(shape) or not whole_numbers(place) or len(place) != 2:
        raise damaged(f"tensor {name[:80]!r} has no dtype, shape or data_offsets")
    begin, end = place
    if not begin <= end <= source.size - start:
        raise damaged(f"tensor {name[:80]!r} ends at byte {start + end:,} of {source.size:,}")
    known = DTYPES.get(dtype, dtype[:20])
    result = Stored(name, tuple(shape), known, partial(numbers, source, known, start + begin))
    if dtype in DTYPES and end - begin != prod(shape) * result.itemsize:
        raise damaged(f"tensor {name[:80]!r} has {end - begin:,} bytes for {prod(shape):,} numbers of {known}")
    return result


def whole_numbers(value: Any) -> bool:
    """True for a list of sizes or places.

    >>> whole_numbers([64, 3, 7, 7]), whole_numbers([-1]), whole_numbers([True]), whole_numbers("12")
    (True, False, False, False)
    """
    return (
        isinstance(value, list)
        and len(value) <= MOST_AXES
        and all(type(each) is int and 0 <= each < MOST for each in value)
    )


def numbers(source: Source, dtype: str, at: int, size: int) -> Array:
    """The `size` bytes of a tensor from a place in the file on, as numbers."""
    with looked_up(), source.open() as stream:
        stream.seek(at)
        data = stream.read(size)
    if len(data) < size:
        raise damaged(f"{len(data):,} of {size:,} bytes are there")
    return np.frombuffer(data, "<u2" if dtype == "bfloat16" else np.dtype(dtype).newbyteorder("<"))
