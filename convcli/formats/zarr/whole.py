"""Zarr arrays and OME-Zarr images as a format: what they say, and their pixels, a box at a time or all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from convcli.errors import ConvError, UsageError
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions, always
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_axes, samples_named
from convcli.formats.source import Source, check_declared, check_some, times
from convcli.formats.units import physical
from convcli.formats.zarr.hierarchy import Found, found_at, node_at
from convcli.formats.zarr.metadata import ROOTS, ArrayMeta, Json
from convcli.formats.zarr.ngff import letters_named, letters_of, ome_of, unit_of
from convcli.formats.zarr.origin import KEY, OWN, Origin, origin_of
from convcli.formats.zarr.pixels import ZarrPixels
from convcli.image import Image, ImageInfo, PixelSource
from convcli.records import replace
from convcli.stores.address import Address, is_remote
from convcli.stores.contract import Store
from convcli.stores.folder import LocalStore
from convcli.stores.store import ObjectStore

EXAMPLES = {3: "CYX or ZYX", 4: "CZYX", 5: "TCZYX"}


def store_of(source: Source) -> Store:
    """The store whose root a source names."""
    if is_remote(source.name):
        return ObjectStore(Address.of(source.name).url)
    assert source.path is not None
    return LocalStore(os.path.abspath(source.path))  # noqa: PTH100 -- links stay


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What the metadata say."""
    return describe(looked_for(source, options), options)


def looked_for(source: Source, options: ReadOptions) -> Found:
    """The image of a source, whose metadata must stay as they are until all is read."""
    found = found_at(store_of(source), options)
    for node in (found.array, found.group):
        if node is not None:
            for key in ROOTS[1:] if node.version == 2 else ROOTS[:1]:
                source.watch(node.store, node.path + key)
    return found


def read(source: Source, options: ReadOptions) -> Image:
    """All pixels."""
    found = looked_for(source, options)
    info = describe(found, options)
    check_declared(info, options.max_pixels)
    data = np.empty(info.shape, info.dtype)
    pixels_of(found, source.since).read(tuple((0, size) for size in info.shape), data)
    source.check()
    return Image(info, data)


@contextmanager
def windows(source: Source, options: ReadOptions) -> Iterator[tuple[ImageInfo, PixelSource] | None]:
    """Any box of the pixels."""
    found = looked_for(source, options)
    info = describe(found, options)
    if options.max_pixels is not None:
        check_declared(info, options.max_pixels)
    yield info, pixels_of(found, source.since)


SKEW = 15 * 60 * 10**9
"""Nanoseconds by which a store's clock may be ahead of ours: S3 refuses requests whose clock differs by more."""


def pixels_of(found: Found, since: int) -> ZarrPixels:
    """The pixels of an array, its axes in the order that it has them; chunks that are newer are refused.

    By our clock it is `since` then: of a store, what is newer for certain.
    """
    since += 0 if isinstance(found.array.store, LocalStore) else SKEW
    array, meta = found.array, replace(found.array.array, attributes={})
    return ZarrPixels(array.store, array.path, meta, tuple(range(len(meta.shape))), meta.pipeline.grain, since)


def opening(source: Source, options: ReadOptions) -> ZarrPixels:
    """The pixels as a value, with all that is needed to read them."""
    return pixels_of(looked_for(source, options), source.since)


def describe(found: Found, options: ReadOptions) -> ImageInfo:
    """An array as an image. Raises ConvError: shape, dtype, ambiguous, empty-image."""
    meta, image = found.array.array, found.image
    if len(meta.shape) < 2:
        raise ConvError(f"holds {len(meta.shape)} dimensions; an image has two or more", "shape")
    if image is not None and len(image.axes) != len(meta.shape):
        raise corrupt("OME-Zarr", f"it names {len(image.axes)} axes, its array has {len(meta.shape)}")
    said = own_words(found)
    letters = letters_in(found, meta, options, colours=bool(said.get("samples")))
    is_bool = meta.dtype == "bool"
    info = ImageInfo(
        shape=meta.shape,
        dtype="uint8" if is_bool else meta.dtype,
        axes=letters,
        format="zarr" if image is None else "ome-zarr",
        samples=samples_of(letters, meta.shape, said, options),
        spacing=spacing_of(found, letters),
        metadata={KEY: origin_of(found, meta, letters)},
        notes=("true and false are read as 255 and 0",) if is_bool else (),
        remarks=tuple(remarks_on(found)),
    )
    check_some(info)
    return info


def own_words(found: Found) -> Json:
    """What convcli itself wrote beside an image that OME-NGFF has no place for."""
    said = (found.array if found.group is None else found.group).attributes.get(OWN)
    return said if isinstance(said, dict) else {}


def letters_in(found: Found, meta: ArrayMeta, options: ReadOptions, *, colours: bool) -> str:
    """The letters of an array's axes: as named in it, or by the user. Raises ConvError: ambiguous, shape."""
    if found.image is not None:
        letters = letters_of(found.image.axes, colours=colours)
        names = ", ".join(axis.name for axis in found.image.axes)
    else:
        letters = letters_named(meta.names) or ("YX" if len(meta.shape) == 2 else None)
        names = ", ".join(str(name) for name in meta.names)
    if options.axes is not None and letters is None:
        return check_axes(options.axes, meta.shape)
    if letters is None:
        example = EXAMPLES.get(len(meta.shape), "TCZYX")
        named = f" (named {names})" if names else ""
        raise ConvError(
            f"is an array of {times(meta.shape)}{named}: name its dimensions with --axes, as in {example}", "ambiguous"
        )
    if not {"Y", "X"} <= set(letters):
        raise ConvError(f"has the axes {letters}; an image has Y and X", "shape")
    return letters


def samples_of(letters: str, shape: tuple[int, ...], said: Json, options: ReadOptions) -> str:
    """What the samples of S mean: as an output of ours says, or the user."""
    known = said.get("samples")
    return known if known in KNOWN_SAMPLES else samples_named(letters, shape, alpha=options.alpha)


KNOWN_SAMPLES = ("rgb", "rgb+alpha", "grey+alpha", "cmyk")


def spacing_of(found: Found, letters: str) -> Mapping[str, tuple[float, str]]:
    """The distances between samples that have a unit."""
    if found.image is None:
        return {}
    steps = zip(letters, found.image.levels[found.level].scale, found.image.axes, strict=True)
    every = {letter: physical(step, unit_of(axis.unit)) for letter, step, axis in steps if letter in "TZYX"}
    return {letter: step for letter, step in every.items() if step is not None}


def remarks_on(found: Found) -> Iterator[str]:
    """What a reader should know that is no fault."""
    group = found.group
    if group is None:
        return
    labels = node_at(group.store, f"{group.path}labels/")
    names = ome_of(labels.attributes).get("labels") if labels else None
    if isinstance(names, list) and names:
        yield f"its labels ({', '.join(map(str, names))}) are neither filtered nor copied"


def write(_stream: BinaryIO, _image: Image, _options: WriteOptions, kind: str) -> None:
    """A Zarr is a folder of many objects."""
    raise UsageError(f"{kind} is a folder, not one file: give its name by -o NAME.ome.zarr", "is-directory")


def place(info: ImageInfo, kind: str) -> str:
    """What comes from an OME-Zarr stays one, whatever the output's name."""
    return kind_of(info, kind)


def kind_of(info: ImageInfo, kind: str) -> str:
    """Whether an image becomes an OME-Zarr or a plain array: what was an OME-Zarr stays one under either name."""
    origin: Origin | None = info.metadata.get(KEY)
    return "ome-zarr" if origin is not None and origin.ome else kind


def check(info: ImageInfo, kind: str) -> None:
    """Refuse what has no place among the axes of OME-NGFF: channels of colours."""
    if kind_of(info, kind) == "ome-zarr" and {"C", "S"} <= set(info.axes):
        raise ConvError(
            f"OME-Zarr has one axis of channels, not both of {info.axes}: use a .zarr or .tif output", "shape"
        )


FORMAT = FormatModule(
    probe, read, write, windows, packs=always, check=check, place=place, layered=True, opening=opening
)
