"""What lies at a place of a Zarr: an array, an image of several resolutions, or a group of others.

Only what the place itself says is followed: series of one file, wells and plates are named, never guessed. An array
that is a resolution of an image is told so by the group above it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

from convcli.errors import ConvError
from convcli.formats.contract import ReadOptions
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_series
from convcli.formats.zarr.metadata import ROOTS, ArrayMeta, Json, array_of_v2, array_of_v3, object_of, parsed_json
from convcli.formats.zarr.ngff import Multiscale, checked_path, multiscales_of, ome_of
from convcli.formats.zarr.pixels import check_inside
from convcli.records import record
from convcli.stores.address import Address
from convcli.stores.contract import MARK, Store
from convcli.stores.folder import LocalStore
from convcli.stores.store import ObjectStore

ABOVE = 2
"""How far above an array the group of its image may be: "scale0/image" is a place, too."""
LOOKED_AT = 10_000
"""Keys that are looked at for arrays in a group that does not list them."""
SHOWN = 6


@record
class Node:
    """An array or a group, at a path below the root of a store, which ends in a slash if there is any."""

    store: Store
    path: str
    version: int
    said: Json
    attributes: Json
    is_array: bool

    @property
    def array(self) -> ArrayMeta:
        """The array. Raises ConvError: corrupt, dtype, codec-missing."""
        return array_of_v3(self.said) if self.version == 3 else array_of_v2(self.said, self.attributes)


@record
class Found:
    """An image: its array and, where a group says more of it, that group, its image and the number of the level."""

    array: Node
    group: Node | None = None
    image: Multiscale | None = None
    level: int = 0


def node_at(store: Store, path: str) -> Node | None:
    """What is at a path; None where nothing is. Raises ConvError: corrupt, unfinished, unsafe."""
    if got(store, path + MARK) is not None:
        raise ConvError(
            "is unfinished: what makes it still runs, or was ended; --resume of that command goes on", "unfinished"
        )
    if (data := got(store, f"{path}zarr.json")) is not None:
        said = parsed_json(data, f"{path}zarr.json")
        kind = said.get("node_type")
        if said.get("zarr_format") != 3 or kind not in ("array", "group"):
            raise corrupt("Zarr", f"{path}zarr.json is neither of an array nor of a group")
        return Node(store, path, 3, said, object_of(said.get("attributes") or {}, "attributes"), kind == "array")
    array, group, more = (got(store, path + key) for key in (".zarray", ".zgroup", ".zattrs"))
    attributes = {} if more is None else parsed_json(more, f"{path}.zattrs")
    if array is not None:
        return Node(store, path, 2, parsed_json(array, f"{path}.zarray"), attributes, True)
    if group is None and more is None:
        return None
    return Node(store, path, 2, {} if group is None else parsed_json(group, f"{path}.zgroup"), attributes, False)


def got(store: Store, key: str) -> bytes | None:
    """An object, which lies inside."""
    if isinstance(store, LocalStore):
        check_inside(store.path, key)
    return store.get(key)


def found_at(store: Store, options: ReadOptions) -> Found:
    """The image at the root of a store."""
    node = node_at(store, "")
    if node is None:
        raise ConvError("holds no Zarr: none of zarr.json, .zarray and .zgroup is there", "unknown-format")
    if not node.is_array:
        return in_group(node, options)
    check_series(options.series, 1)
    found = above(node)
    if options.level and (found.image is None or options.level != found.level):
        raise ConvError(f"is one array: level {options.level} is another one of its image", "ambiguous")
    return found


def above(node: Node) -> Found:
    """An array with what the groups above it say of it."""
    store, place = node.store, ""
    for _ in range(ABOVE):
        store, last = parent(store)
        if not last:
            break
        place = f"{last}/{place}".strip("/")
        group = node_at(store, "")
        for image in multiscales_of(group.attributes) if group and not group.is_array else ():
            for number, level in enumerate(image.levels):
                if level.path == place:
                    return Found(node, group, image, number)
    return Found(node)


def parent(store: Store) -> tuple[Store, str]:
    """The store above another one, and the name of this one there; no name where there is none above."""
    if isinstance(store, LocalStore):
        outer, name = os.path.split(store.path.rstrip("/"))
        return LocalStore(outer), name
    assert isinstance(store, ObjectStore)
    address = Address.of(store.url)
    return ObjectStore(address.parent.url), address.key and address.name


def in_group(node: Node, options: ReadOptions) -> Found:
    """The image of a group. Raises ConvError: ambiguous where there are several, or something else."""
    ome = ome_of(node.attributes)
    if "multiscales" in ome:
        return in_image(node, options)
    if "plate" in ome:
        raise of_plate(node, ome)
    if paths := fields_of(ome) or series_of(node, ome):
        return in_one_of(node, paths, options)
    if isinstance(labels := ome.get("labels"), list) and labels:
        raise ConvError(f"is a group of labels ({listed(map(str, labels))}); name one", "ambiguous")
    arrays = list(islice(arrays_in(node), SHOWN + 1))
    if not arrays:
        raise ConvError("is a group of Zarr without an array in it", "unknown-format")
    if len(arrays) > 1:
        raise ConvError(f"is a group of several arrays ({listed(arrays)}); name one: .../{arrays[0]}", "ambiguous")
    check_series(options.series, 1)
    return Found(needed(node.store, f"{node.path}{arrays[0]}"))


def in_image(node: Node, options: ReadOptions) -> Found:
    """One resolution of an image."""
    images = multiscales_of(node.attributes)
    if not images:
        raise corrupt("OME-Zarr", "its list of multiscales is empty")
    image = images[check_series(options.series, len(images))]
    if options.level >= len(image.levels) or options.level < 0:
        raise ConvError(f"has no level {options.level}; it holds {levels_of(image)}", "ambiguous")
    array = needed(node.store, node.path + image.levels[options.level].path)
    if not array.is_array:
        raise corrupt("OME-Zarr", f"its level {options.level} is not an array")
    return Found(array, node, image, options.level)


def levels_of(image: Multiscale) -> str:
    """The levels of an image, in words."""
    last = len(image.levels) - 1
    return f"levels 0 to {last}" if last else "level 0 alone"


def held_by(store: Store) -> str:
    """The levels of the image at the root of a store, and their paths; "" where none is told."""
    try:
        node = node_at(store, "")
        images = multiscales_of(node.attributes) if node and not node.is_array else []
    except ConvError:
        return ""
    return f"{levels_of(images[0])} ({listed(level.path for level in images[0].levels)})" if images else ""


def needed(store: Store, path: str) -> Node:
    """What must be at a path."""
    node = node_at(store, f"{path}/")
    if node is None:
        raise corrupt("Zarr", f"there is nothing at {path}, which its metadata name")
    return node


def of_plate(node: Node, ome: Json) -> ConvError:
    """The error for a plate, which names one of its images."""
    wells = [str(well.get("path")) for well in ome["plate"].get("wells", ()) if isinstance(well, dict)]
    example = next(iter(wells), "A/1")
    where = f"{node.store.name.rstrip('/')}/{example}/0"
    return ConvError(f"is a plate of {len(wells)} wells; name one image of it, such as {where}", "ambiguous")


def fields_of(ome: Json) -> list[str]:
    """The paths of the images of a well."""
    well = ome.get("well")
    images = well.get("images", []) if isinstance(well, dict) else []
    return [checked_path(str(each["path"])) for each in images if isinstance(each, dict) and "path" in each]


def series_of(node: Node, ome: Json) -> list[str]:
    """The paths of the series of a file that was converted by bioformats2raw."""
    if "bioformats2raw.layout" not in ome:
        return []
    listing = node_at(node.store, f"{node.path}OME/")
    said = ome_of(listing.attributes).get("series") if listing else None
    if isinstance(said, list):
        return [checked_path(str(path)) for path in said]
    paths: list[str] = []
    while node_at(node.store, f"{node.path}{len(paths)}/") is not None:
        paths.append(str(len(paths)))
    return paths


def in_one_of(node: Node, paths: list[str], options: ReadOptions) -> Found:
    """The image of several that was asked for, or the only one."""
    if len(paths) > 1 and options.series is None:
        raise ConvError(
            f"holds {len(paths)} images ({listed(paths)}); --series 0 to {len(paths) - 1} picks one", "ambiguous"
        )
    chosen = needed(node.store, node.path + paths[check_series(options.series, len(paths))])
    return in_group(chosen, ReadOptions(level=options.level))


def arrays_in(node: Node) -> Iterator[str]:
    """The paths of arrays below a group: as it lists them, or as they are found."""
    listing = consolidated(node)
    if listing is None:
        keys = islice(node.store.keys(node.path.rstrip("/")), LOOKED_AT)
        paths = sorted({key.rpartition("/")[0].removeprefix(node.path) for key in keys if key.endswith(ROOTS)})
    else:
        paths = sorted(listing)
    for path in filter(None, paths):
        found = node_at(node.store, f"{node.path}{checked_path(path)}/")
        if found and found.is_array:
            yield path


def consolidated(node: Node) -> list[str] | None:
    """The paths of all nodes below a group, where its metadata have them in one place."""
    if node.version == 3:
        inline: Any = node.said.get("consolidated_metadata")
        held = inline.get("metadata") if isinstance(inline, dict) else None
        return list(held) if isinstance(held, dict) else None
    data = got(node.store, f"{node.path}.zmetadata")
    held = None if data is None else parsed_json(data, ".zmetadata").get("metadata")
    return [key.rpartition("/")[0] for key in held if key.endswith(".zarray")] if isinstance(held, dict) else None


def listed(names: Any) -> str:
    """Some names, so many that they fit a line."""
    found = list(names)
    return ", ".join(found[:SHOWN]) + ", ..." * (len(found) > SHOWN)
