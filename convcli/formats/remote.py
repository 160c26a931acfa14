"""An image that lies in an object store: an object, or all objects below a folder. Read by ranges, never as a copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from typing import BinaryIO, cast

from convcli.errors import ConvError
from convcli.formats.source import Source, checked_part
from convcli.records import record
from convcli.stores.address import READ_ONLY, Address
from convcli.stores.contract import Seen
from convcli.stores.store import ObjectStore
from convcli.stores.stream import RemoteFile

FIRST = 1 << 18
"""Bytes that are fetched with the first look: all of a small image, the header of a large one."""


@record
class RemoteSource(Source):
    """An image in a store; `found` is what was first seen of an object, None of a folder, and `content` its beginning.

    No copy of it is kept, and what is read is always of the object as it was first seen: a range of another one, which
    has its key meanwhile, is refused by the store or by us.
    """

    store: ObjectStore = field(default_factory=lambda: ObjectStore(""))
    key: str = ""
    found: Seen | None = None
    objects: dict[str, Seen] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """True where the image is all that lies below."""
        return self.found is None

    @property
    def in_memory(self) -> bool:
        """False: any part of it can be had."""
        return False

    @contextmanager
    def open(self, part: str = "") -> Iterator[BinaryIO]:
        """A new seekable stream at the start: of the object, or of a part of the folder."""
        key, found, first = self.key, self.found, self.content
        if part:
            key, found, first = f"{self.key}/{checked_part(part)}".strip("/"), self._seen(part), b""
        if found is None:
            raise ConvError("is a folder, not an object", "is-directory", where=self.name)
        with RemoteFile(partial(self.store.read, key, tag=found.tag), found.size, first) as stream:
            yield cast("BinaryIO", stream)

    def has(self, part: str) -> bool:
        """Whether a folder has such a part."""
        return self.is_folder and self.store.has(f"{self.key}/{checked_part(part)}".strip("/"))

    def _seen(self, part: str) -> Seen:
        """What was first seen of a part."""
        if part not in self.objects:
            found = self.store.seen(f"{self.key}/{part}".strip("/"))
            if found is None:
                raise ConvError("there is no such object", "not-found", where=f"{self.name}/{part}")
            self.objects[part] = found
        return self.objects[part]

    @property
    def stamp(self) -> str:
        """What tells the objects that were looked at from others of the same keys."""
        own = [self.found] if self.found else []
        return " ".join(sorted(f"{seen.size}:{seen.tag}" for seen in (*own, *self.objects.values())))

    def has_changed(self) -> bool:
        """Whether another object has the key now."""
        return self.other_watched() or (self.found is not None and self.store.seen(self.key) != self.found)

    def read(self) -> bytes:
        """All bytes."""
        if len(self.content) >= self.size:
            return self.content
        assert self.found is not None
        return self.store.read(self.key, 0, self.size, tag=self.found.tag)

    def head(self, count: int, part: str = "") -> bytes:
        """The first bytes, fewer if the object is shorter."""
        if not part and min(count, self.size) <= len(self.content):
            return self.content[:count]
        with self.open(part) as stream:
            return stream.read(count)


def from_url(name: str) -> RemoteSource:
    """The object at a URL, or the folder if there is no object but something below.

    Raises UsageError where the URL names none; ConvError: not-found, permission, unreachable.
    """
    address = Address.of(name)
    store, key = ObjectStore(address.bucket_url), address.key
    first = store.first(key, FIRST) if key and not name.endswith("/") else None
    if first is not None:
        found, content = first
        return RemoteSource(name, None, content, found.size, store=store, key=key, found=found)
    if address.scheme in READ_ONLY or next(store.keys(key), None) is None:
        raise ConvError("there is no such object", "not-found", where=name)
    return RemoteSource(name.rstrip("/"), None, b"", 0, store=store, key=key)
