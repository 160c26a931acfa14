"""ONNX files as the tests need them: written field by field, and the graphs of real networks that lie in tests/graphs.

Field numbers: onnx.proto of github.com/onnx/onnx.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from convcli.networks.onnx.wire import fields

GRAPHS = Path(__file__).parent / "graphs"
TRUTH: Mapping[str, Any] = json.loads((GRAPHS / "truth.json").read_text())

FLOAT, INT64, BOOL = 1, 7, 9


def real(name: str) -> bytes:
    """The graph of a real network."""
    with zipfile.ZipFile(GRAPHS / "graphs.zip") as archive:
        return archive.read(f"{name}.onnx")


def varint(value: int) -> bytes:
    """An integer of seven bits a byte."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message: an integer, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, dims: Sequence[int], dtype: int = FLOAT, raw: bytes = b"", external: str = "") -> bytes:
    """A TensorProto; without bytes its numbers are absent."""
    where = field(13, field(1, "location") + field(2, external)) + field(14, 1) if external else b""
    return (
        b"".join(field(1, n) for n in dims) + field(2, dtype) + field(8, name) + (field(9, raw) if raw else b"") + where
    )


def integers(name: str, values: Sequence[int]) -> bytes:
    """A TensorProto of one dimension with its numbers."""
    return tensor(name, [len(values)], INT64, struct.pack(f"<{len(values)}q", *values))


def floats(name: str, values: Sequence[float]) -> bytes:
    """The same of floats."""
    return tensor(name, [len(values)], FLOAT, struct.pack(f"<{len(values)}f", *values))


class Ref(str):
    """The name of an attribute of the function around."""

    __slots__ = ()


class Inner(bytes):
    """A GraphProto inside of an attribute."""

    __slots__ = ()


def attribute(name: str, value: Any) -> bytes:
    """An AttributeProto."""
    told = field(1, name)
    if isinstance(value, Ref):
        return told + field(21, value)
    if isinstance(value, Inner):
        return told + field(6, value)
    if isinstance(value, bytes):
        return told + field(5, value)
    if isinstance(value, str):
        return told + field(4, value)
    if isinstance(value, int):
        return told + field(3, value)
    if isinstance(value, float):
        return told + varint(2 << 3 | 5) + struct.pack("<f", value)
    return told + b"".join(field(8, each) for each in value)


def node(operator: str, inputs: str, outputs: str, name: str = "", domain: str = "", **attributes: Any) -> bytes:
    """A NodeProto; inputs and outputs are words, `_` stands for one that is left out."""
    parts = [field(1, "" if word == "_" else word) for word in inputs.split()]
    parts += [field(2, word) for word in outputs.split()]
    parts += [field(3, name), field(4, operator), field(7, domain)]
    return b"".join(parts) + b"".join(field(5, attribute(key, value)) for key, value in attributes.items())


def port(name: str, dims: Iterable[int | str] | None, dtype: int = FLOAT) -> bytes:
    """A ValueInfoProto; a size that is a word is open."""
    if dims is None:
        return field(1, name)
    sizes = b"".join(field(1, field(1, n) if isinstance(n, int) else field(2, n)) for n in dims)
    return field(1, name) + field(2, field(1, field(1, dtype) + field(2, sizes)))


def graph(nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: str, tensors: Sequence[bytes] = ()) -> Inner:
    """A GraphProto; outputs are words."""
    parts = [field(1, each) for each in nodes] + [field(5, each) for each in tensors]
    parts += [field(11, each) for each in inputs] + [field(12, port(word, None)) for word in outputs.split()]
    return Inner(b"".join(parts))


def function(name: str, domain: str, inputs: str, outputs: str, nodes: Sequence[bytes], opset: int = 17) -> bytes:
    """A FunctionProto."""
    parts = [field(1, name), field(10, domain), *(field(4, word) for word in inputs.split())]
    parts += [field(5, word) for word in outputs.split()] + [field(7, each) for each in nodes]
    return b"".join(parts) + field(9, field(2, opset))


def model(inner: bytes, opset: int = 17, functions: Sequence[bytes] = ()) -> bytes:
    """A ModelProto."""
    return (
        field(1, 8)
        + field(2, "tests")
        + field(8, field(2, opset))
        + field(7, inner)
        + b"".join(field(25, each) for each in functions)
    )


def small(
    nodes: Sequence[bytes], tensors: Sequence[bytes] = (), size: Sequence[int | str] = (1, 3, 8, 8), **more: Any
) -> bytes:
    """A model from `x` of a size to `y`."""
    return model(graph(nodes, [port("x", size)], "y", tensors), **more)


def write_weighted(path: Path, data: bytes) -> int:
    """Write a model with random bytes in the place of the weights that it lacks; the size of the file."""
    with path.open("wb") as stream:
        for number, value in fields(data, 0, len(data)):
            if number != GRAPH:
                stream.write(copied(data, number, value))
                continue
            parts = [heavier(data, *each) for each in fields(data, *value)]
            stream.write(varint(number << 3 | 2) + varint(sum(map(len, parts))))
            stream.writelines(parts)
        return stream.tell()


GRAPH, INITIALIZER, RAW, EXTERNAL, LOCATION = 7, 5, 9, 13, 14


def copied(data: bytes, number: int, value: Any) -> bytes:
    """A field as it was."""
    return field(number, value if isinstance(value, int) else data[slice(*value)])


def heavier(data: bytes, number: int, value: Any) -> bytes:
    """A field of a graph; a tensor whose numbers are elsewhere gets random ones."""
    if number != INITIALIZER:
        return copied(data, number, value)
    parts = list(fields(data, *value))
    if all(each != EXTERNAL for each, _ in parts):
        return copied(data, number, value)
    size = 4 * prod(n for each, n in parts if each == 1)
    kept = b"".join(copied(data, *part) for part in parts if part[0] not in (EXTERNAL, LOCATION))
    return field(number, kept + field(RAW, os.urandom(size)))
