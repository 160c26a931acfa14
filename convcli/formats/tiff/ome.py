"""OME-XML, the description inside an OME-TIFF: read for its spacing, kept as it is, updated where the pixels changed.

The text is edited in place, never written anew from a parsed tree: whatever a microscope's software put there stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr, unescape

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.units import physical, plain_unit
from convcli.image import ImageInfo

TYPES = {
    **{name: name for name in ("uint8", "uint16", "uint32", "int8", "int16", "int32")},
    "float32": "float",
    "float64": "double",
}
STEPS = {
    "X": ("PhysicalSizeX", "PhysicalSizeXUnit", "um"),
    "Y": ("PhysicalSizeY", "PhysicalSizeYUnit", "um"),
    "Z": ("PhysicalSizeZ", "PhysicalSizeZUnit", "um"),
    "T": ("TimeIncrement", "TimeIncrementUnit", "s"),
}
"""Attributes of a step along each axis, and the unit where none is written."""
PIXELS = re.compile(r"<((?:\w+:)?)Pixels\b([^>]*)>")
TIFF_DATA = re.compile(r"<(?:\w+:)?TiffData\b(?:[^>]*/>|[^>]*>.*?</(?:\w+:)?TiffData\s*>)", re.DOTALL)
PLANE = re.compile(r"<(?:\w+:)?Plane\b(?:[^>]*/>|[^>]*>.*?</(?:\w+:)?Plane\s*>)\s*", re.DOTALL)
UUID = re.compile(r"<(?:\w+:)?UUID\b[^>]*>[^<]*</(?:\w+:)?UUID\s*>|<(?:\w+:)?UUID\b[^>]*/>")
ROOT_UUID = re.compile(r"(<(?:\w+:)?OME\b[^>]*?)\s+UUID\s*=\s*(?:\"[^\"]*\"|'[^']*')")
ATTRIBUTE = re.compile(r"([\w:]+)\s*=\s*(\"[^\"]*\"|'[^']*')")


def parse(xml: str) -> ElementTree.Element:
    """The tree of an OME-XML text."""
    try:
        return ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise corrupt("OME-XML", str(error)) from error


def named(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Elements below, whatever namespace (the version of the schema) they are in."""
    return (child for child in element.iter() if child.tag.rpartition("}")[2] == name)


def check_one_file(root: ElementTree.Element) -> None:
    """Refuse metadata that points to other files: a path from inside a file is never followed."""
    others = {mark.get("FileName", "") for mark in named(root, "UUID")} if spread(root) else set()
    if others or any(named(root, "BinaryOnly")):
        listed = ", ".join(sorted(filter(None, others))[:3]) or "another file"
        message = f"is one part of a set ({listed}): other files are never followed; join them into one OME-TIFF first"
        raise ConvError(message, "unsafe")


def spread(root: ElementTree.Element) -> bool:
    """True where planes are said to lie in more than one file."""
    return len({mark.text for mark in named(root, "UUID")}) > 1


def images(root: ElementTree.Element) -> list[ElementTree.Element]:
    """The Pixels of each image that the file describes."""
    return list(named(root, "Pixels"))


def without_file_names(xml: str) -> str:
    """The text without marks of the file itself, so that a renamed file is still found to be complete."""
    return UUID.sub("", xml)


def spacing(pixels: ElementTree.Element) -> dict[str, tuple[float, str]]:
    """The step along each axis that has one."""
    steps = {}
    for axis, (size, unit, usual) in STEPS.items():
        step = physical(pixels.get(size), pixels.get(unit, usual))
        if step is not None:
            steps[axis] = step
    return steps


def renewed(xml: str, info: ImageInfo) -> str | None:
    """The text with type, sizes, spacing and list of planes as they are now; None where it no longer describes them.

    A changed number of channels or samples needs other Channel elements, which nobody can know.
    """
    root = parse(xml)
    (pixels,) = images(root)
    described = [int(channel.get("SamplesPerPixel", "1")) for channel in named(root, "Channel")] or [1]
    match = PIXELS.search(xml)
    fits = int(pixels.get("SizeC", "1")) == info.size("C") * info.size("S") and set(described) == {info.size("S")}
    if not fits or match is None or not TIFF_DATA.search(xml):
        return None
    text = ROOT_UUID.sub(r"\1", xml)
    text = text.replace(match.group(), f"<{match.group(1)}Pixels{attributes(match.group(2), info)}>", 1)
    if any(int(pixels.get(f"Size{axis}", "1")) != info.size(axis) for axis in "ZT"):
        text = PLANE.sub("", text)
    planes = info.size("T") * info.size("Z") * info.size("C")
    first = f'<{match.group(1)}TiffData IFD="0" PlaneCount="{planes}"/>'
    place = TIFF_DATA.search(text)
    assert place is not None
    return text[: place.start()] + first + TIFF_DATA.sub("", text[place.end() :])


def attributes(text: str, info: ImageInfo) -> str:
    """The attributes of Pixels with those that changed replaced, in their old order."""
    held = {name: unescape(value[1:-1], {"&quot;": '"', "&apos;": "'"}) for name, value in ATTRIBUTE.findall(text)}
    held |= {"DimensionOrder": order(info.axes, held.get("DimensionOrder", "XYCZT")), "Type": TYPES[info.dtype]}
    held |= {f"Size{axis}": str(info.size(axis)) for axis in "XYZT"}
    held |= {"SizeC": str(info.size("C") * info.size("S"))}
    held.pop("SignificantBits", None)
    held.pop("BigEndian", None)
    for axis, (size, unit, usual) in STEPS.items():
        if physical(held.get(size), held.get(unit, usual)) != info.spacing.get(axis):
            held.pop(unit, None)
            held |= step_attributes(axis, info.spacing) if axis in info.spacing else {}
    return "".join(f" {name}={quoteattr(value)}" for name, value in held.items())


def order(axes: str, before: str) -> str:
    """OME's name for the order of the dimensions, fastest first.

    >>> order("ZCYX", "XYCZT")
    'XYCZT'
    """
    leading = [axis for axis in reversed(axes) if axis in "ZCT"]
    return "XY" + "".join(leading + [axis for axis in before[2:] if axis not in leading])


def step_attributes(axis: str, steps: Mapping[str, tuple[float, str]]) -> dict[str, Any]:
    """The attributes that hold a step along an axis."""
    size, unit, _ = STEPS[axis]
    return {size: str(steps[axis][0]), unit: plain_unit(steps[axis][1], micro="µ")}


def fresh(info: ImageInfo) -> dict[str, Any]:
    """What tifffile needs to write an OME-XML of its own."""
    metadata: dict[str, Any] = {"axes": info.axes}
    for axis in STEPS:
        if axis in info.spacing:
            metadata |= step_attributes(axis, info.spacing)
    return metadata


def reason_against(info: ImageInfo) -> str | None:
    """Why an image cannot be held by an OME-TIFF; None where it can."""
    return None if info.dtype in TYPES else f"OME-TIFF holds no {info.dtype}"
