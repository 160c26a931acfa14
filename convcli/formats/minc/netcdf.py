"""The header of a netCDF file of the classic kinds, CDF-1 and CDF-2: variables, what is said of them, where they lie.

Numbers are big-endian, names and values are filled up to four bytes. Source: "The NetCDF Classic Format Specification",
https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from typing import Any, BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.pixels import Array, filled
from convcli.records import record

DIMENSION, VARIABLE, ATTRIBUTE = 10, 11, 12
TYPES = {1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8"}
OFFSETS = {1: ">I", 2: ">Q"}
"""How each kind of file says where a variable begins."""
LONGEST = 2**24  # bytes of a name, or of what is said of a variable


@record
class Variable:
    """The names of a variable's dimensions, and their sizes; what is said of it; its type; where its numbers begin."""

    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: Mapping[str, Any]
    dtype: np.dtype[Any]
    begin: int

    def read(self, stream: BinaryIO, most: int) -> Array:
        """All of its numbers, which are few: at most as many bytes."""
        if prod(self.shape) * self.dtype.itemsize > most:
            raise corrupt("MINC", f"{prod(self.shape):,} numbers where a few are expected")
        stream.seek(self.begin)
        return filled(stream, self.dtype, self.shape, "MINC")


class Parser:
    """What stands in a header, thing after thing."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.offset = OFFSETS.get(stream.read(4)[3], "")
        if not self.offset:
            raise ConvError("is a netCDF of a kind that is not read here; convert it first", "codec-missing")
        self.records = self.number()

    def take(self, form: str) -> int:
        """A whole number."""
        value: int = struct.unpack(form, self.stream.read(struct.calcsize(form)))[0]
        return value

    def number(self) -> int:
        """A count, or a code."""
        return self.take(">I")

    def filled(self, count: int) -> bytes:
        """So many bytes, and those that fill them up."""
        if count > LONGEST:
            raise corrupt("MINC", f"a name or value of {count:,} bytes")
        content = self.stream.read(-(-count // 4) * 4)
        if len(content) < count:
            raise struct.error("it is cut short")
        return content[:count]

    def name(self) -> str:
        """A name."""
        return self.filled(self.number()).decode("latin-1")

    def count(self, kind: int) -> int:
        """How many things of a kind follow."""
        found, count = self.number(), self.number()
        if (found, count) != (0, 0) and found != kind:
            raise corrupt("MINC", f"its header has {found} where {kind} is expected")
        return count

    def attributes(self) -> dict[str, Any]:
        """What is said of the file or a variable: texts, and arrays of numbers."""
        found: dict[str, Any] = {}
        for _ in range(self.count(ATTRIBUTE)):
            name = self.name()
            dtype = self.type()
            content = self.filled(self.number() * dtype.itemsize)
            text = dtype.kind == "S"
            found[name] = content.decode("latin-1").rstrip("\0") if text else np.frombuffer(content, dtype)
        return found

    def type(self) -> np.dtype[Any]:
        """A type of numbers."""
        code = self.number()
        if code not in TYPES:
            raise corrupt("MINC", f"type {code} is unknown")
        return np.dtype(TYPES[code])

    def variable(self, dimensions: list[tuple[str, int]]) -> tuple[str, Variable]:
        """A variable and its name."""
        name = self.name()
        numbers = [self.number() for _ in range(self.bounded(len(dimensions)))]
        if any(number >= len(dimensions) for number in numbers):
            raise corrupt("MINC", f"{name[:40]!r} has a dimension that is not there")
        names, shape = zip(*(dimensions[number] for number in numbers), strict=True) if numbers else ((), ())
        attributes, dtype = self.attributes(), self.type()
        self.number()  # its size, once more
        return name, Variable(names, shape, attributes, dtype, self.take(self.offset))

    def bounded(self, most: int) -> int:
        """A count of dimensions of a variable: each comes once."""
        count = self.number()
        if count > most:
            raise corrupt("MINC", f"a variable of {count:,} dimensions")
        return count


def parsed(stream: BinaryIO) -> dict[str, Variable]:
    """The variables of a file. A dimension that grows has the size 0: what lies in records is not read here."""
    parser = Parser(stream)
    dimensions = [(parser.name(), parser.number()) for _ in range(parser.count(DIMENSION))]
    parser.attributes()
    return dict(parser.variable(dimensions) for _ in range(parser.count(VARIABLE)))
