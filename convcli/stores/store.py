"""Objects by their keys, below one root: a folder of this machine, or a URL's prefix in an object store.

A store is a value of its address alone: it can be compared, kept, and sent to other processes, which open it there.
What a store refuses, or does not answer however often it is asked, is an error of one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from convcli.errors import ConvError, changed
from convcli.records import record
from convcli.stores.address import Address, checked_key, checked_object
from convcli.stores.contract import DRAFT, Seen, Store, tried
from convcli.stores.failures import asking, is_beyond, is_unknown, lacks_bucket, was_repeated
from convcli.stores.folder import LocalStore
from convcli.stores.names import is_remote, local_name

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Opened

PIECE = 1 << 23
"""Bytes that one request brings: larger reads are made of several, side by side."""
SIDE_BY_SIDE = 4
MULTIPART = 1 << 26
"""Bytes from which an object is sent in parts."""
COPIED = 5 << 30
"""Bytes of an object that a store copies by one request, at most."""
PARTS = 9000
"""Parts that an object has at most; S3 takes 10,000."""
ETAG = ('"', "W/")
"""How tags begin that a request can be bound to."""


def store_at(name: str) -> Store:
    """The store whose root has a name: a path, a file:// URL, or the URL of a bucket or of a folder in it.

    >>> store_at("file:///data/out.zarr"), store_at("s3://bucket/out.zarr/")
    (LocalStore(path='/data/out.zarr'), ObjectStore(url='s3://bucket/out.zarr'))
    """
    return ObjectStore(Address.of(name).url) if is_remote(name) else LocalStore(os.path.abspath(local_name(name)))  # noqa: PTH100 -- links stay


def object_at(name: str) -> tuple[ObjectStore, str]:
    """An object's bucket, and its key there. Raises UsageError, ConvError as `checked_object` does.

    >>> object_at("s3://bucket/in/a.png")
    (ObjectStore(url='s3://bucket'), 'in/a.png')
    """
    address = checked_object(name)
    return ObjectStore(address.bucket_url), address.key


def seen_of(meta: ObjectMeta) -> Seen:
    """What obstore says of an object."""
    time = meta["last_modified"]
    return Seen(meta["size"], meta["e_tag"] or str(time), int(time.timestamp()) * 10**9)


def part_size(size: int) -> int:
    """Bytes of each part in which an object is sent."""
    return max(PIECE, -(-size // PARTS))


@record
class ObjectStore:
    """What lies below the URL of a bucket, or of a folder in it."""

    url: str

    @property
    def name(self) -> str:
        """The URL."""
        return self.url

    def opened(self) -> Opened:
        """obstore's own store of this root, one for each process.

        Raises ConvError where obstore is not installed, or the environment says nothing usable of the store.
        """
        from convcli.stores.opening import opened

        return opened(self.url)

    def place(self, key: str) -> str:
        """The URL of an object."""
        return f"{self.url}/{key}"

    def seen(self, key: str) -> Seen | None:
        """Size and ETag of an object."""
        with self._asking(key) as store:
            try:
                found = store.head(key)
            except FileNotFoundError:
                return None
        return seen_of(found)

    def has(self, key: str) -> bool:
        """Whether there is an object."""
        return self.seen(key) is not None

    def size(self, key: str) -> int | None:
        """Bytes of an object."""
        found = self.seen(key)
        return found and found.size

    def get(self, key: str) -> bytes | None:
        """All bytes of an object."""
        found = self.whole(key)
        return found and found[1]

    def whole(self, key: str) -> tuple[Seen, bytes] | None:
        """What the store says of an object, and its bytes: one request where it is small, else parts of one content."""
        with self._asking(key) as store:
            try:
                found = store.get(key)
                seen, tag = seen_of(found.meta), found.meta["e_tag"] or ""
                data: bytes = found.bytes().to_bytes() if seen.size <= PIECE else b""
            except FileNotFoundError as error:
                if lacks_bucket(error):
                    raise
                return None
        return seen, data if seen.size <= PIECE else self.read(key, 0, seen.size, tag=tag)

    def first(self, key: str, count: int) -> tuple[Seen, bytes] | None:
        """What the store says of an object, with its first bytes; of an empty one no range can be had."""
        with self._asking(key) as store:
            from obstore.exceptions import BaseError

            try:
                found = store.get(key, options={"range": (0, count)})
                return seen_of(found.meta), found.bytes().to_bytes()
            except FileNotFoundError as error:
                if lacks_bucket(error):
                    raise
                return None
            except BaseError as error:
                if not is_beyond(error):
                    raise
        empty = self.seen(key)
        return empty and (empty, b"")

    def read(self, key: str, start: int, stop: int, *, tag: str = "") -> bytes:
        """Some bytes of an object, of the very one that has the tag."""
        condition: Any = {"if_match": tag} if tag.startswith(ETAG) else {}
        spans = [(first, min(first + PIECE, stop)) for first in range(start, stop, PIECE)]
        with self._asking(key) as store:

            def piece(span: tuple[int, int]) -> bytes:
                found = store.get(key, options={"range": span, **condition})
                if condition and found.meta["e_tag"] != tag:  # not every server looks at the condition
                    raise changed(self.place(key))
                data: bytes = found.bytes().to_bytes()
                return data

            if len(spans) < 2:
                return b"".join(map(piece, spans))
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                return b"".join(pool.map(piece, spans))

    def put(self, key: str, data: bytes) -> None:
        """Send an object; it appears when all of it is there."""
        with self._asking(key) as store:
            store.put(key, data, chunk_size=part_size(len(data)), use_multipart=len(data) > MULTIPART)

    def send(self, key: str, stream: BinaryIO, size: int) -> None:
        """Send an object of so many bytes from a file, in parts; it appears when all of it is there."""
        with self._asking(key) as store:
            store.put(key, stream, chunk_size=part_size(size), max_concurrency=SIDE_BY_SIDE)

    def send_new(self, key: str, stream: BinaryIO, size: int) -> bool:
        """Send an object from a file, in parts, on condition that there is none; False where there is one.

        Parts know no condition: they make an object of another name, which the store copies, if it may, and which is
        removed then.
        """
        draft = f"{key}.{os.urandom(8).hex()}{DRAFT}"
        try:
            self.send(draft, stream, size)
            with self._asking(key) as store:
                from obstore.exceptions import AlreadyExistsError

                try:
                    store.copy(draft, key, overwrite=False)
                except AlreadyExistsError as error:
                    return was_repeated(error) and self._alike(draft, key, size)
        finally:
            self.delete(draft)
        return True

    def _alike(self, one: str, other: str, size: int) -> bool:
        """Whether two objects have the same bytes."""
        spans = ((first, min(first + PIECE, size)) for first in range(0, size, PIECE))
        return size == self.size(other) and all(self.read(one, *span) == self.read(other, *span) for span in spans)

    def create(self, key: str, data: bytes) -> bool:
        """Send an object on condition that there is none.

        A request whose answer is lost is repeated, and refused then for what it has made itself: so an object that is
        there after a repetition is taken for ours where it has the same content.
        """
        with self._asking(key) as store:
            from obstore.exceptions import AlreadyExistsError

            try:
                store.put(key, data, mode="create")
            except AlreadyExistsError as error:
                return was_repeated(error) and self.get(key) == data
        return True

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """Send an object on condition that it replaces the one with the tag; a request may be repeated, as there."""
        with self._asking(key) as store:
            from obstore.exceptions import BaseError, PreconditionError

            try:
                found = store.head(key)
                if seen_of(found).tag != tag:
                    return False
                version = {name: found[name] for name in ("e_tag", "version") if found[name]}  # Google wants the other
                store.put(key, data, mode=version)
            except FileNotFoundError:
                return False
            except PreconditionError as error:
                return was_repeated(error) and self.get(key) == data
            except BaseError as error:
                if not is_unknown(error):
                    raise
                self.put(key, data)
        return True

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self._asking(key) as store, suppress(FileNotFoundError):
            store.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys of all objects below a folder, a thousand for each request."""
        with self._asking(prefix) as store:
            for found in store.list(prefix or None, chunk_size=1000):
                yield from (one["path"] for one in found)

    def honours_create(self) -> bool:
        """Whether the store has conditional requests; some servers that speak S3's protocol have none."""
        return tried(self)

    @contextmanager
    def _asking(self, key: str) -> Iterator[Any]:
        """The open store; what it answers is told as an error of the object."""
        place = self.place(key) if key else self.url
        if key:
            checked_key(key, place)
        try:
            store = self.opened()
        except ConvError as error:
            error.where = place if error.where == self.url else error.where
            raise
        with asking(place):
            yield store
