"""NRRD: a header of text, then numbers, in one file (.nrrd) or in two (.nhdr).

Written are single files without compression. Fields that say nothing of sizes, types or places are kept, and so are
keys and their values. Source: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import isfinite
from typing import Any, BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import ReadOptions
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_series
from convcli.formats.pixels import Array
from convcli.formats.source import Source, times
from convcli.formats.units import physical
from convcli.formats.volumes.raw import Layout, Opened, Order, Stored, module
from convcli.formats.volumes.space import affine_of, kept_affine, millimetres
from convcli.image import ImageInfo
from convcli.records import record, replace

LONGEST_HEADER = 2**22  # bytes; scanners write some kilobytes
TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "int8"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "uint8"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "int16"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "uint16"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "int32"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "uint32"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), "int64"),
    **dict.fromkeys(("int64", "int64_t"), "int64"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "uint64"),
    "float": "float32",
    "double": "float64",
}
PACKINGS = {
    **dict.fromkeys(("gz", "gzip"), "gzip"),
    **dict.fromkeys(("bz2", "bzip2"), "bzip2"),
    **dict.fromkeys(("txt", "text", "ascii"), "text"),
    "raw": "",
}
OTHER_NAMES = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip", "centerings": "centers"}
COLOURS = {"rgb-color": "rgb", "rgba-color": "rgb+alpha"}
KINDS = {"rgb": "RGB-color", "rgb+alpha": "RGBA-color"}
OF_SPACE = ("domain", "space")
SPACES = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1.0, 1.0, 1.0)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1.0, -1.0, 1.0)),
}
"""What turns each patient space into one to the right, front and top."""
LPS = "left-posterior-superior"
DERIVED = frozenset(
    (
        *(
            "type",
            "dimension",
            "sizes",
            "endian",
            "encoding",
            "spacings",
            "space",
            "space dimension",
            "space directions",
        ),
        *("space origin", "space units", "units", "kinds", "centers", "data file", "line skip", "byte skip"),
        *("axis mins", "axismins", "axis maxs", "axismaxs", "min", "max", "old min", "oldmin", "old max", "oldmax"),
        *("labels", "thicknesses", "number", "block size", "blocksize"),
    )
)
"""Fields that are made anew, or that need not hold any more; all others are kept."""


@record
class Header:
    """What a header says: its fields, by their names in lower case; keys with values; where it ends."""

    fields: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...]
    end: int

    def numbers(self, name: str) -> list[float]:
        """A field of numbers."""
        return [float(word) for word in self.fields.get(name, "").split()]

    def count(self, name: str) -> int:
        """A field of one whole number; 0 where it says nothing."""
        return int(self.fields.get(name, "0"))


def parsed(stream: BinaryIO) -> Header:
    """The header at the start of a stream."""
    text = stream.read(LONGEST_HEADER)
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    place = text.find(b"\n") + 1  # behind the line that the file is known by
    while 0 < place < len(text):
        end = text.find(b"\n", place)
        end = len(text) if end < 0 else end
        line, place = text[place:end].rstrip(b"\r").decode("utf-8", "replace"), end + 1
        if not line.strip() and fields:
            return Header(fields, tuple(pairs.items()), place)
        if line.startswith("#"):
            continue
        key, mark, value = re.match(r"([^:]*)(:=|:)(.*)", line).groups() if ":" in line else (line, "", "")  # type: ignore[union-attr]
        if mark == ":=":
            if key in pairs:
                raise corrupt("NRRD", f"its key {key[:40]!r} comes twice")
            pairs[key] = value
        elif mark:
            name = key.strip().lower()
            name = OTHER_NAMES.get(name, name)
            if name in fields:
                raise corrupt("NRRD", f"its field {name[:40]!r} comes twice")
            fields[name] = value.strip()
        else:
            raise corrupt("NRRD", f"a line of its header says nothing: {line[:40]!r}")
    if "data file" in fields and place >= len(text):  # of two files, the header need not end in an empty line
        return Header(fields, tuple(pairs.items()), len(text))
    raise corrupt("NRRD", "its header does not end")


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """A file as an image, and where its numbers are."""
    check_series(options.series, 1)
    with ExitStack() as stack:
        stream = stack.enter_context(source.open())
        header = parsed(stream)
        shape = tuple(int(size) for size in reversed(header.fields.get("sizes", "").split()))
        if len(shape) != header.count("dimension") or min(shape, default=-1) < 0:
            raise corrupt("NRRD", f"dimension {header.count('dimension')}, sizes {header.fields.get('sizes', '')!r}")
        dtype, packing = type_of(header)
        info = described(header, shape, dtype)
        name, size, start = header.fields.get("data file", ""), source.size, header.end
        if name:
            if re.match(r"LIST\b", name) or "%" in name:
                raise ConvError("has its numbers in several files; join them into one .nrrd first", "ambiguous")
            stream, size = stack.enter_context(source.beside(name))
            start = 0
        yield info, placed(header, stream, size, start, Stored(stream, size, start, dtype, shape, packing))


def placed(header: Header, stream: BinaryIO, size: int, start: int, stored: Stored) -> Stored:
    """Where the numbers are, once lines and bytes before them are skipped."""
    lines, skipped = header.count("line skip"), header.count("byte skip")
    if lines:
        stream.seek(start)
        for _ in range(lines):
            if not stream.readline(LONGEST_HEADER):
                raise corrupt("NRRD", f"{lines} lines are to be skipped, fewer are there")
        start = stream.tell()
    if skipped == -1 and not stored.packing:
        return replace(stored, start=max(size - stored.nbytes, start))
    if skipped < 0:
        raise corrupt("NRRD", f"{skipped} bytes are to be skipped")
    return replace(stored, start=start, skipped=skipped) if stored.packing else replace(stored, start=start + skipped)


def type_of(header: Header) -> tuple[np.dtype[Any], str]:
    """The type of the numbers, with its byte order, and how they are packed."""
    word, encoding = header.fields.get("type", "").lower(), header.fields.get("encoding", "").lower()
    if word == "block":
        raise ConvError("holds blocks of bytes, which cannot be filtered; convert it to numbers first", "dtype")
    if word not in TYPES:
        raise corrupt("NRRD", f"type {word[:40]!r} is unknown")
    if encoding == "hex":
        raise ConvError("is a kind of NRRD that is not read here (encoding hex); convert it first", "codec-missing")
    if encoding not in PACKINGS:
        raise corrupt("NRRD", f"encoding {encoding[:40]!r} is unknown")
    orders: dict[str, Order] = {"little": "<", "big": ">"}
    order = orders.get(header.fields.get("endian", "little").lower())
    if order is None:
        raise corrupt("NRRD", f"endian {header.fields['endian'][:40]!r} is unknown")
    return np.dtype(TYPES[word]).newbyteorder(order), PACKINGS[encoding]


def described(header: Header, shape: tuple[int, ...], dtype: np.dtype[Any]) -> ImageInfo:
    """A header as an image."""
    sizes = shape[::-1]
    directions = vectors(header.fields.get("space directions", ""))
    if directions and len(directions) != len(sizes):
        raise corrupt("NRRD", f"{len(directions)} directions of {len(sizes)} axes")
    letters, samples = named_axes(header, sizes, directions)
    axes = "".join(reversed(letters))
    spacing = spacing_of(header, letters, directions)
    others = {name: value for name, value in header.fields.items() if name not in DERIVED}
    affine = affine_in(header, letters, directions)
    space = header.fields["space"].lower() if affine is not None else LPS
    says = tuple(name for name, held in (("fields", others), ("keys", header.pairs)) if held)
    metadata = {"nrrd": {"fields": others, "pairs": header.pairs, "space": space, "says": says}}
    return ImageInfo(
        shape=shape,
        dtype=dtype.name,
        axes=axes,
        format="nrrd",
        samples=samples,
        spacing=spacing,
        metadata=metadata | ({} if affine is None else kept_affine(affine)),
    )


def named_axes(header: Header, sizes: tuple[int, ...], directions: list[Any]) -> tuple[list[str], str]:
    """A letter for each axis, the fastest first, by its kind, or that it has a direction; what samples mean."""
    kinds = [kind.lower() for kind in header.fields.get("kinds", "").split()] or [""] * len(sizes)
    if len(kinds) != len(sizes):
        raise corrupt("NRRD", f"{len(kinds)} kinds of {len(sizes)} axes")
    samples, letters, spatial = "", [], iter("XYZT")
    for number, kind in enumerate(kinds):
        unsaid = kind in ("", "???", "none")
        if kind == "time":
            letter = "T"
        elif kind in COLOURS and sizes[number] == len(COLOURS[kind].replace("+alpha", "a")):
            letter, samples = "S", COLOURS[kind]
        elif kind in OF_SPACE or (unsaid and (directions[number] is not None if directions else True)):
            letter = next(spatial, "")
        else:
            letter = "C"
        letters.append(letter)
    if len(set(letters)) < len(letters) or not {"X", "Y"} <= set(letters) or not all(letters):
        found = header.fields.get("kinds", "of no kinds")
        raise ConvError(f"holds {times(sizes)}, {found}; 2 or 3 axes of space, and T and C, can be filtered", "shape")
    return letters, samples


def vectors(text: str) -> list[Array | None]:
    """Vectors as NRRD writes them: (1,0,0) none (0,2.5,0)."""
    found: list[Array | None] = []
    for word in re.findall(r"\([^)]*\)|\S+", text):
        if word.startswith("("):
            found.append(np.array([float(part) for part in word.strip("()").split(",")]))
        elif word.lower() == "none":
            found.append(None)
        else:
            raise corrupt("NRRD", f"a direction is {word[:40]!r}")
    return found


def units_of(header: Header, count: int, directions: list[Any]) -> list[str]:
    """The unit of each axis; millimetres of those in a patient's space that says nothing else."""
    units = shlex.split(header.fields.get("units", "")) or [""] * count
    of_space = shlex.split(header.fields.get("space units", ""))
    patient = "mm" if header.fields.get("space", "").lower() in SPACES else ""
    inside = (of_space[0] if of_space else "") or patient
    return [
        inside if directions and directions[number] is not None else units[number] if number < len(units) else ""
        for number in range(count)
    ]


def spacing_of(header: Header, letters: list[str], directions: list[Any]) -> dict[str, tuple[float, str]]:
    """The step along each axis whose unit is known."""
    steps = header.numbers("spacings") or [float("nan")] * len(letters)
    if len(steps) != len(letters):
        raise corrupt("NRRD", f"{len(steps)} spacings of {len(letters)} axes")
    lengths = [
        float(np.linalg.norm(directions[number])) if directions and directions[number] is not None else steps[number]
        for number in range(len(letters))
    ]
    units = units_of(header, len(letters), directions)
    found = {letter: physical(step, unit) for letter, step, unit in zip(letters, lengths, units, strict=True)}
    return {
        letter: step for letter, step in found.items() if step is not None and isfinite(step[0]) and letter in "XYZT"
    }


def affine_in(header: Header, letters: list[str], directions: list[Any]) -> Array | None:
    """Where samples lie in a patient, in millimetres; None where the header does not say so."""
    turn = SPACES.get(header.fields.get("space", "").lower())
    columns = {letter: vector for letter, vector in zip(letters, directions, strict=False) if vector is not None}
    if turn is None or not {"X", "Y", "Z"} <= columns.keys() or any(len(columns[axis]) != 3 for axis in "XYZ"):
        return None
    origin = vectors(header.fields.get("space origin", "(0,0,0)"))
    if len(origin) != 1 or origin[0] is None or len(origin[0]) != 3:
        return None
    matrix: Array = np.column_stack([*(columns[axis] for axis in "XYZ"), origin[0]]) * np.array([turn]).T
    return matrix


# Writing


def laid_out(info: ImageInfo, _kind: str) -> Layout:
    """The header of a file, and how its numbers lie: as the image's axes do."""
    letters, kept = info.axes[::-1], info.metadata.get("nrrd", {})
    names = {name: type_ for type_, name in TYPES.items()} | {"uint8": "uint8", "int8": "int8"}
    lines = [
        "NRRD0005",
        f"type: {names[info.dtype]}",
        f"dimension: {len(letters)}",
        f"sizes: {' '.join(str(info.size(letter)) for letter in letters)}",
        "endian: little",
        "encoding: raw",
        f"kinds: {' '.join(kind_of(letter, info) for letter in letters)}",
        *places_of(info, letters),
        *(f"{name}: {value}" for name, value in kept.get("fields", {}).items()),
        *(f"{key}:={value}" for key, value in kept.get("pairs", ())),
    ]
    dtype = np.dtype(info.dtype).newbyteorder("<")
    return Layout("\n".join([*lines, "", ""]).encode(), dtype, list(range(len(letters))))


def kind_of(letter: str, info: ImageInfo) -> str:
    """NRRD's word for an axis."""
    if letter in "XYZ":
        return "domain"
    return {"T": "time", "C": "list"}.get(letter) or KINDS.get(info.samples, "list")


def places_of(info: ImageInfo, letters: str) -> Iterator[str]:
    """How far apart samples are and where they lie."""
    affine = affine_of(info)
    if affine is not None and "Z" in letters:
        space = info.metadata.get("nrrd", {}).get("space", LPS)
        patient = affine * np.array([SPACES[space]]).T
        words = [vector_text(patient[:, "XYZ".index(letter)]) if letter in "XYZ" else "none" for letter in letters]
        yield f"space: {space}"
        yield f"space directions: {' '.join(words)}"
        yield 'space units: "mm" "mm" "mm"'
        yield f"space origin: {vector_text(patient[:, 3])}"
        return
    steps = {axis: info.steps[axis] for axis in info.steps if axis in "XYZT"}
    if not millimetres(info) and "T" not in steps:
        return
    yield f"spacings: {' '.join(repr(float(steps[letter][0])) if letter in steps else 'nan' for letter in letters)}"
    units = (steps[letter][1] if letter in steps else "" for letter in letters)
    yield "units: " + " ".join(f'"{unit}"' for unit in units)


def vector_text(vector: Array) -> str:
    """A vector as NRRD writes it.

    >>> vector_text(np.array([1, 0.5, 0]))
    '(1.0,0.5,0.0)'
    """
    return f"({','.join(repr(float(part)) for part in vector)})"


def check(info: ImageInfo, _kind: str) -> None:
    """Refuse samples that NRRD has no word for."""
    if info.samples not in ("", "grey", *KINDS):
        raise ConvError(f"NRRD holds colours as rgb or rgb+alpha, not {info.samples}; use a .tif output", "shape")


FORMAT = replace(module("NRRD", opened, laid_out), check=check)
