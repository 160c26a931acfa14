"""What an image has from the Zarr that it was read from, and an output like it takes over."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from convcli.formats.zarr.codecs import KEPT, Codec
from convcli.formats.zarr.hierarchy import Found
from convcli.formats.zarr.metadata import DIMENSIONS, ArrayMeta, Json, without
from convcli.formats.zarr.ngff import ome_of
from convcli.records import record

KEY = "zarr"
"""The place of an `Origin` among an image's metadata."""
OWN = "convcli"
"""The attribute that holds what only convcli says."""
OF_THE_GROUP = ("ome", "multiscales", "omero", "labels", OWN, "_creator", DIMENSIONS)
"""Attributes that are written anew, or belong to what is not copied."""

Sizes = Mapping[str, int]


@record
class Origin:
    """How an image lay in a Zarr: by its axes' letters, where there is something for each.

    `ome` is the version of OME-NGFF, "" for a plain array; `factors` are how much coarser each level is than the one
    before it; `more` is what else its multiscale says, `attributes` what else its group, or array, does.
    """

    version: int
    ome: str
    chunks: Sizes
    shards: Sizes
    codecs: tuple[Codec, ...]
    scale: Mapping[str, float]
    translation: Mapping[str, float]
    units: Mapping[str, str]
    factors: tuple[Sizes, ...]
    channels: int
    more: Json
    omero: Json
    attributes: Json


def origin_of(found: Found, meta: ArrayMeta, letters: str) -> Origin:
    """How an image lies in its Zarr."""
    pipeline, image, group = meta.pipeline, found.image, found.group
    inner = pipeline.shards.inner if pipeline.shards else pipeline
    codecs = tuple(codec for codec in inner.codecs if codec.name in KEPT)
    sharded = dict(zip(letters, pipeline.shape, strict=True)) if pipeline.shards else {}
    holder = found.array if group is None else group
    omero = ome_of(holder.attributes).get("omero")
    level = image.levels[found.level] if image else None
    units = {letter: axis.unit for letter, axis in zip(letters, image.axes, strict=True) if axis.unit} if image else {}
    return Origin(
        version=meta.version,
        ome=version_of(found),
        chunks=dict(zip(letters, inner.shape, strict=True)),
        shards=sharded,
        codecs=codecs if len(codecs) == len(inner.codecs) else (),
        scale=dict(zip(letters, level.scale, strict=True)) if level else {},
        translation=dict(zip(letters, level.translation, strict=True)) if level else {},
        units=units,
        factors=tuple(factors_of(found, letters)) if image else (),
        channels=dict(zip(letters, meta.shape, strict=True)).get("C", 1),
        more=image.more if image else {},
        omero=omero if image and isinstance(omero, dict) else {},
        attributes=without(holder.attributes, *OF_THE_GROUP),
    )


def version_of(found: Found) -> str:
    """The version of OME-NGFF that goes with the one of Zarr; "" for a plain array."""
    return "" if found.image is None else "0.5" if found.array.version == 3 else "0.4"


def factors_of(found: Found, letters: str) -> list[Sizes]:
    """How much coarser each of the next levels is than the one before: whole numbers, as the scales tell them."""
    assert found.image is not None
    steps = [level.scale for level in found.image.levels[found.level :]]
    every: list[Sizes] = []
    for before, after in pairwise(steps):
        ratios = (b / a if a > 0 else 1.0 for a, b in zip(before, after, strict=True))
        every.append({letter: max(1, round(ratio)) for letter, ratio in zip(letters, ratios, strict=True)})
    return every
