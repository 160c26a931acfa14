"""What OME-NGFF says of an image: its axes, its levels, and where their samples lie (versions 0.1 to 0.5).

The specification: https://ngff.openmicroscopy.org/0.5/. A scale is the distance between samples, a translation the
place of the first one, in the unit of the axis.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from convcli.errors import ConvError
from convcli.formats.failures import corrupt
from convcli.formats.units import SPELLINGS
from convcli.formats.zarr.metadata import Json, object_of, without
from convcli.records import record

LETTERS = {letter.lower(): letter for letter in "TZCYX"} | {
    "time": "T",
    "channel": "C",
    "channels": "C",
    "depth": "Z",
    "plane": "Z",
    "row": "Y",
    "column": "X",
    "col": "X",
}
"""What dimensions are called."""
SAMPLES = {"s": "S", "sample": "S", "samples": "S"}
TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
ORDER = "TCZYX"
"""The order of axes that the specification asks for."""
EARLIEST = ("t", "c", "z", "y", "x")
"""The axes of versions that do not name them."""
UNITS = {
    "pm": "picometer",
    "nm": "nanometer",
    "um": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "in": "inch",
    "inch": "inch",
    "ns": "nanosecond",
    "us": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
}
"""The specification's names of units; others are written as they are."""
FROM_NAMES = {name: unit for unit, name in UNITS.items() if unit != "inch"}
COLOURS = {"rgb": (("R", "FF0000"), ("G", "00FF00"), ("B", "0000FF"))}


class Axis(NamedTuple):
    """An axis as it is named, its type and its unit; "" where they are not told."""

    name: str
    type: str = ""
    unit: str = ""


class Level(NamedTuple):
    """One resolution: the place of its array, and what its samples lie at along each axis."""

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@record
class Multiscale:
    """An image at several resolutions; `more` is what else its metadata say."""

    version: str
    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    more: Json


def ome_of(attributes: Json) -> Json:
    """The part of a group's attributes that OME-NGFF describes: since 0.5, under a key of its own."""
    own = attributes.get("ome")
    return own if isinstance(own, dict) else attributes


def multiscales_of(attributes: Json) -> list[Multiscale]:
    """All images of a group. Raises ConvError: corrupt, unsafe."""
    ome = ome_of(attributes)
    said = ome.get("multiscales", [])
    if not isinstance(said, list):
        raise corrupt("OME-Zarr", "its multiscales are not a list")
    return [multiscale_of(object_of(each, "multiscale"), str(ome.get("version", ""))) for each in said]


def multiscale_of(said: Json, version: str) -> Multiscale:
    """One image of a group."""
    axes = axes_of(said.get("axes", list(EARLIEST)))
    common = transformed(said.get("coordinateTransformations"), len(axes))
    datasets = said.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise corrupt("OME-Zarr", "its multiscale has no list of datasets")
    levels = [level_of(object_of(each, "dataset"), len(axes), common) for each in datasets]
    known = ("axes", "datasets", "coordinateTransformations", "version")
    return Multiscale(str(said.get("version", version)), axes, tuple(levels), without(said, *known))


def axes_of(said: object) -> tuple[Axis, ...]:
    """The axes, by their names alone in version 0.3."""
    if not isinstance(said, list) or not said:
        raise corrupt("OME-Zarr", "its axes are not a list")
    found = [{"name": each} if isinstance(each, str) else object_of(each, "axis") for each in said]
    return tuple(Axis(*(str(each.get(key) or "") for key in Axis._fields)) for each in found)


def level_of(said: Json, count: int, common: tuple[tuple[float, ...], tuple[float, ...]]) -> Level:
    """One resolution, its transformations and then the image's applied."""
    path = said.get("path")
    if not isinstance(path, str) or not path:
        raise corrupt("OME-Zarr", "a dataset of it has no path")
    scale, translation = transformed(said.get("coordinateTransformations"), count)
    outer, moved = common
    return Level(
        checked_path(path),
        tuple(a * b for a, b in zip(scale, outer, strict=True)),
        tuple(a * b + c for a, b, c in zip(translation, outer, moved, strict=True)),
    )


def checked_path(path: str) -> str:
    """A path that leads to something below. Raises ConvError: unsafe."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or not parts or not path.isprintable():
        raise ConvError(f"names a part that lies elsewhere: {path[:80]!r}", "unsafe")
    return "/".join(parts)


def transformed(said: object, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The scale and translation of some transformations, one after the other."""
    scale, translation = [1.0] * count, [0.0] * count
    for each in said if isinstance(said, list) else []:
        kind = object_of(each, "transformation").get("type")
        values = numbers_of(each.get(kind), count) if kind in ("scale", "translation") else ()
        if kind == "scale":
            scale, translation = ([a * b for a, b in zip(old, values, strict=True)] for old in (scale, translation))
        elif kind == "translation":
            translation = [a + b for a, b in zip(translation, values, strict=True)]
        elif kind != "identity":
            raise ConvError(
                f"places its samples by a transformation {str(kind)[:40]!r}, not known here", "codec-missing"
            )
    return tuple(scale), tuple(translation)


def numbers_of(said: object, count: int) -> tuple[float, ...]:
    """A number for each axis."""
    fits = isinstance(said, list) and len(said) == count
    if not fits or not all(isinstance(each, (int, float)) and isfinite(each) for each in said):  # type: ignore[attr-defined]
        raise corrupt("OME-Zarr", f"a transformation has {json.dumps(said)[:60]}, not {count} numbers")
    return tuple(map(float, said))  # type: ignore[call-overload]


def letters_of(axes: Sequence[Axis], *, colours: bool = False) -> str | None:
    """Our letters for axes, S for channels that are the samples of a colour; None where one has no letter.

    >>> letters_of([Axis("c", "channel"), Axis("y", "space"), Axis("x", "space")])
    'CYX'
    """
    found = []
    for axis in axes:
        kinds = {"time": "T", "channel": "C"}
        letter = kinds.get(axis.type) or LETTERS.get(axis.name.lower())
        if letter is None:
            return None
        found.append("S" if letter == "C" and colours else letter)
    return "".join(found) if len(set(found)) == len(found) else None


def letters_named(names: Sequence[str | None]) -> str | None:
    """Our letters for the names of an array's dimensions; None unless each has one, Y and X among them.

    >>> letters_named(["z", "y", "x"]), letters_named(["lat", "lon"]), letters_named([])
    ('ZYX', None, None)
    """
    found = [(LETTERS | SAMPLES).get((name or "").lower()) for name in names]
    letters = "".join(letter for letter in found if letter)
    fits = len(letters) == len(names) == len(set(letters)) and {"Y", "X"} <= set(letters)
    return letters if fits else None


def unit_of(name: str) -> str:
    """A unit as images hold it.

    >>> unit_of("micrometer"), unit_of("second"), unit_of("angstrom")
    ('um', 's', 'angstrom')
    """
    return FROM_NAMES.get(name) or SPELLINGS.get(name, name)


def described(axes: Sequence[Axis], levels: Sequence[Level], more: Json, version: str, **own: Any) -> dict[str, Any]:
    """The attributes of a group with one image, as a version has them; `own` are others of OME's keys."""
    datasets = [{"path": level.path, "coordinateTransformations": placed(level)} for level in levels]
    image = {
        **more,
        **({"version": version} if version == "0.4" else {}),
        "axes": [{key: value for key, value in axis._asdict().items() if value} for axis in axes],
        "datasets": datasets,
    }
    ome = {"multiscales": [image], **own}
    return ome if version == "0.4" else {"ome": {"version": version, **ome}}


def placed(level: Level) -> list[dict[str, Any]]:
    """The transformations of a level: the translation where there is one."""
    scale = {"type": "scale", "scale": list(level.scale)}
    moved = {"type": "translation", "translation": list(level.translation)}
    return [scale, moved] if any(level.translation) else [scale]


def colours_of(samples: str, most: float) -> Mapping[str, Any]:
    """What viewers need to show the samples of a colour in their colours."""
    channels = [
        {"label": label, "color": colour, "active": True, "window": {"start": 0, "min": 0, "end": most, "max": most}}
        for label, colour in COLOURS.get(samples.removesuffix("+alpha"), ())
    ]
    return {"omero": {"channels": channels, "rdefs": {"model": "color"}}} if channels else {}
