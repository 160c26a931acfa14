"""What may lie where an output goes: nothing, or a Zarr that --force replaces. Never a folder of other things."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from convcli.errors import ConvError
from convcli.formats.zarr.hierarchy import got
from convcli.formats.zarr.metadata import ROOTS
from convcli.stores.contract import MARK, PROBE, Store
from convcli.stores.folder import LocalStore

PART = re.compile(
    r"(.*/)?(zarr\.json|\.zarray|\.zattrs|\.zgroup|\.zmetadata|METADATA\.ome\.xml|c|(c[./])?\d+([./]\d+)*)"
)
"""Keys that a Zarr has: metadata, chunks, and the OME-XML that bioformats2raw puts beside them."""


def check_place(store: Store, name: str, *, force: bool) -> None:
    """Refuse a place where something is. Raises ConvError: exists, unfinished, not-regular."""
    if isinstance(store, LocalStore) and os.path.lexists(store.path) and not os.path.isdir(store.path):  # noqa: PTH112
        raise ConvError("is a file; a Zarr is a folder: remove it, or write elsewhere", "exists", where=name)
    first = next(iter(keys_of(store)), None)
    if first is None:
        return
    if not any(got(store, key) is not None for key in (*ROOTS, MARK)):
        raise ConvError(f"holds {first!r} and is not a Zarr; never replaced: write elsewhere", "exists", where=name)
    if not force:
        if got(store, MARK) is not None:
            raise ConvError("is unfinished: --resume goes on, --force begins again", "exists", where=name)
        raise ConvError("exists already; --force replaces it", "exists", where=name)
    for key in keys_of(store):
        if key != MARK and not PART.fullmatch(key):
            raise ConvError(f"holds {key!r}, which is not part of a Zarr: write elsewhere", "exists", where=name)


def keys_of(store: Store) -> Iterator[str]:
    """All keys below a root, but those by which some job, which may just be at it, tries what the store honours."""
    return (key for key in store.keys() if not key.startswith(PROBE))  # noqa: SIM118 -- no mapping


def emptied(store: Store) -> None:
    """Remove all of a Zarr but the mark that it is unfinished, what makes it one first."""
    for key in ROOTS:
        store.delete(key)
    for key in list(keys_of(store)):
        if key != MARK:
            if not PART.fullmatch(key):
                raise ConvError(f"holds {key!r}, which is not part of a Zarr", "exists", where=store.name)
            store.delete(key)
    if isinstance(store, LocalStore):
        remove_folders(store.path)


def remove_folders(top: str) -> None:
    """Remove the empty folders below one."""
    for folder, _, _ in os.walk(top, topdown=False):
        if folder != top:
            with suppress(OSError):  # not empty
                os.rmdir(folder)  # noqa: PTH106
