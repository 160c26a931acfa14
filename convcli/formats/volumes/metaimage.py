"""MetaImage, ITK's own format: a header of text, then numbers, in one file (.mha) or in two (.mhd and .raw).

Written are single files without compression. Source: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import ReadOptions, WriteOptions
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_series
from convcli.formats.source import Source, times
from convcli.formats.units import LENGTHS, physical
from convcli.formats.volumes.raw import Layout, Opened, Stored, module
from convcli.formats.volumes.space import OPPOSITE, affine_of, kept_affine, millimetres
from convcli.image import ImageInfo
from convcli.records import replace

LONGEST_HEADER = 2**20  # bytes
TYPES = {
    "MET_CHAR": "int8",
    "MET_UCHAR": "uint8",
    "MET_SHORT": "int16",
    "MET_USHORT": "uint16",
    "MET_INT": "int32",
    "MET_UINT": "uint32",
    "MET_LONG": "int32",
    "MET_ULONG": "uint32",
    "MET_LONG_LONG": "int64",
    "MET_ULONG_LONG": "uint64",
    "MET_FLOAT": "float32",
    "MET_DOUBLE": "float64",
}
YES, NO = ("true", "1", "t", "yes"), ("false", "0", "f", "no")
AXES = "TZYX"  # the slowest first; the last ones where there are fewer
LAST = "ElementDataFile"  # behind it the numbers begin
OTHER_NAMES = {
    **dict.fromkeys(("Position", "Origin"), "Offset"),
    **dict.fromkeys(("Orientation", "Rotation"), "TransformMatrix"),
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
DERIVED = frozenset(
    (
        *("ObjectType", "NDims", "DimSize", "BinaryData", "BinaryDataByteOrderMSB", "CompressedData", LAST),
        *("CompressedDataSize", "TransformMatrix", "Offset", "CenterOfRotation", "AnatomicalOrientation"),
        *("ElementSpacing", "ElementSize", "ElementNumberOfChannels", "ElementType", "ElementMin", "ElementMax"),
        *("HeaderSize", "DistanceUnits"),
    )
)
"""Fields that are made anew; all others are kept."""


def parsed(stream: BinaryIO) -> tuple[Mapping[str, str], int]:
    """The fields at the start of a stream, and where they end."""
    text = stream.read(LONGEST_HEADER)
    fields: dict[str, str] = {}
    place = 0
    while place < len(text):
        end = text.find(b"\n", place)
        end = len(text) if end < 0 else end
        line, place = text[place:end].decode("utf-8", "replace").strip(), end + 1
        name, mark, value = (part.strip() for part in line.partition("="))
        if not mark:
            if line:
                raise corrupt("MetaImage", f"a line of its header says nothing: {line[:40]!r}")
            continue
        if OTHER_NAMES.get(name, name) in fields:
            raise corrupt("MetaImage", f"its field {name[:40]!r} comes twice")
        fields[OTHER_NAMES.get(name, name)] = value
        if name == LAST:
            return fields, min(place, len(text))
    raise corrupt("MetaImage", "its header does not end")


@contextmanager
def opened(source: Source, options: ReadOptions) -> Iterator[Opened]:
    """A file as an image, and where its numbers are."""
    check_series(options.series, 1)
    with ExitStack() as stack:
        stream = stack.enter_context(source.open())
        fields, start = parsed(stream)
        if (kind := fields.get("ObjectType", "Image")) != "Image":
            raise ConvError(f"is a MetaIO file of {kind[:40]!r}, not an image", "unknown-format")
        sizes = [int(size) for size in fields.get("DimSize", "").split()]
        if len(sizes) != int(fields.get("NDims", "0")) or min(sizes, default=-1) < 0:
            raise corrupt("MetaImage", f"NDims {fields.get('NDims')}, DimSize {fields.get('DimSize')}")
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        if channels < 1 or not 2 <= len(sizes) <= len(AXES):
            raise ConvError(f"holds {channels} numbers for each of {times(tuple(sizes))}; 2 to 4 dimensions can be "
                            "filtered", "shape")  # fmt: skip
        shape = (*sizes[::-1], *([channels] if channels > 1 else []))
        dtype, packing = type_of(fields)
        name, size = fields[LAST], source.size
        if name.upper() != "LOCAL":
            if name.upper().startswith("LIST") or "%" in name:
                raise ConvError("has its numbers in several files; join them into one .mha first", "ambiguous")
            stream, size = stack.enter_context(source.beside(name))
            start = 0
        stored = Stored(stream, size, start, dtype, shape, packing)
        skipped = int(fields.get("HeaderSize", "0"))
        if skipped == -1:
            start = max(size - stored.nbytes, 0)
        elif skipped > 0:
            start = skipped
        yield described(fields, shape, dtype, channels), Stored(stream, size, start, dtype, shape, packing)


def is_true(fields: Mapping[str, str], name: str, usual: str = "False") -> bool:
    """Whether a field says yes."""
    word = fields.get(name, usual).lower()
    if word not in YES and word not in NO:
        raise corrupt("MetaImage", f"{name} is {word[:40]!r}")
    return word in YES


def type_of(fields: Mapping[str, str]) -> tuple[np.dtype[Any], str]:
    """The type of the numbers, with its byte order, and how they are packed."""
    word = fields.get("ElementType", "")
    if word.endswith("_ARRAY"):
        word = word.removesuffix("_ARRAY")
    if word not in TYPES:
        raise corrupt("MetaImage", f"ElementType {word[:40]!r} is unknown")
    dtype = np.dtype(TYPES[word]).newbyteorder(">" if is_true(fields, "BinaryDataByteOrderMSB") else "<")
    if is_true(fields, "CompressedData"):
        return dtype, "zlib"
    return dtype, "" if is_true(fields, "BinaryData", "True") else "text"


def described(fields: Mapping[str, str], shape: tuple[int, ...], dtype: np.dtype[Any], channels: int) -> ImageInfo:
    """The fields as an image."""
    count = len(shape) - (channels > 1)
    letters = AXES[::-1][:count]
    steps = numbers(fields, "ElementSpacing", count) or numbers(fields, "ElementSize", count)
    unit = fields.get("DistanceUnits", "mm")
    found = {axis: physical(step, unit) for axis, step in zip(letters, steps, strict=False) if axis in "XYZ"}
    others = {name: value for name, value in fields.items() if name not in DERIVED}
    affine = {}
    if count >= 3 and ("TransformMatrix" in fields or "Offset" in fields) and unit in LENGTHS:
        affine = affine_in(fields, steps or [1.0] * count, count, LENGTHS[unit])
    return ImageInfo(
        shape=shape,
        dtype=dtype.name,
        axes=AXES[-count:] + "C" * (channels > 1),
        format="metaimage",
        spacing={axis: step for axis, step in found.items() if step is not None},
        metadata=({"metaimage": {"fields": others, "says": ("fields",)}} if others else {}) | affine,
    )


def affine_in(fields: Mapping[str, str], steps: list[float], count: int, unit: float) -> dict[str, Any]:
    """Where samples lie in a patient; the rows of its matrix are the directions of axes."""
    rows = numbers(fields, "TransformMatrix", count * count) or np.eye(count).ravel().tolist()
    offset = numbers(fields, "Offset", count) or [0.0] * count
    directions = np.array(rows).reshape(count, count)[:3, :3].T * np.array(steps[:3])
    return kept_affine(np.column_stack([directions, offset[:3]]) * OPPOSITE * unit)


def numbers(fields: Mapping[str, str], name: str, count: int) -> list[float]:
    """A field of so many numbers; none where it is not there."""
    found = [float(word) for word in fields.get(name, "").split()]
    if found and len(found) != count:
        raise corrupt("MetaImage", f"{name} has {len(found)} of {count} numbers")
    return found


# Writing


def laid_out(info: ImageInfo, _kind: str) -> Layout:
    """The header of a file, and the places of an image's axes in the order of its numbers."""
    axes = [axis for axis in AXES if axis in info.axes]
    channels = [axis for axis in "CS" if axis in info.axes]
    names = {type_: name for name, type_ in reversed(TYPES.items())}
    dtype = np.dtype(info.dtype).newbyteorder("<")
    fields = {
        "ObjectType": "Image",
        "NDims": len(axes),
        **info.metadata.get("metaimage", {}).get("fields", {}),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        **places_of(info, len(axes)),
        "DimSize": " ".join(str(info.size(axis)) for axis in reversed(axes)),
        **({"ElementNumberOfChannels": info.size(channels[0])} if channels else {}),
        "ElementType": names[info.dtype],
        LAST: "LOCAL",
    }
    head = "".join(f"{name} = {value}\n" for name, value in fields.items()).encode()
    return Layout(head, dtype, [info.axes.index(axis) for axis in [*axes, *channels]])


def places_of(info: ImageInfo, count: int) -> dict[str, str]:
    """How far apart samples are and where they lie: in millimetres, as ITK has it, or 1 where nobody knows."""
    steps, matrix, offset = np.ones(count), np.eye(count), np.zeros(count)
    for axis, step in millimetres(info).items():
        steps["XYZ".index(axis)] = step
    affine = affine_of(info)
    if affine is not None and count >= 3:
        patient = affine * OPPOSITE
        steps[:3] = np.linalg.norm(patient[:, :3], axis=0)
        matrix[:3, :3], offset[:3] = (patient[:, :3] / steps[:3]).T, patient[:, 3]
    values = {"TransformMatrix": matrix.ravel(), "Offset": offset, "ElementSpacing": steps}
    if affine is None and not millimetres(info):
        return {}
    return {name: " ".join(repr(float(number)) for number in found) for name, found in values.items()}


def check(info: ImageInfo, _kind: str) -> None:
    """Refuse what has two axes of channels."""
    if info.has_alpha or info.samples == "cmyk" or ("C" in info.axes and "S" in info.axes):
        given = info.samples or info.axes
        raise ConvError(f"MetaImage holds numbers, and no opacity or inks, not {given}; use a .tif output", "shape")


def remarks(info: ImageInfo, _options: WriteOptions, _kind: str) -> tuple[str, ...]:
    """What does not say any more what it is."""
    return ("MetaImage does not say that its channels are colours",) if info.samples == "rgb" else ()


FORMAT = replace(module("MetaImage", opened, laid_out), check=check, remarks=remarks)
