"""Output into an object store: made on this machine, sent when it is whole; it appears under its key, or nothing does.

Without force an object is created on condition that there is none, which the store sees to. One of more than 64 MiB is
sent in parts, which know no condition, under another name, and copied on that condition. Of more than 5 GiB, which no
store copies at once, there is none: it is looked for just before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import BinaryIO, NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.stores.address import READ_ONLY, checked_object
from convcli.stores.apart import apart
from convcli.stores.store import COPIED, MULTIPART, ObjectStore, object_at


class Remote(NamedTuple):
    """Where an output goes: the URL of an object.

    >>> Remote.of("s3://bucket/out/a.png").name
    'a.png'
    """

    url: str

    @classmethod
    def of(cls, name: str) -> Remote:
        """The place that a URL names. Raises UsageError where nothing can be written."""
        address = checked_object(name)
        if address.scheme in READ_ONLY:
            raise UsageError("is only read; results are written to files, or to s3://, gs:// and az://", where=name)
        return cls(address.url)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.url.rpartition("/")[2]


@contextmanager
def sent(place: Remote, *, force: bool) -> Iterator[BinaryIO]:
    """A stream into a file without a name, whose content is sent when the block ends well.

    Raises ConvError: exists (without `force`), not-found (the bucket), permission, unreachable; OSError of the disk.
    """
    from tempfile import TemporaryFile

    with TemporaryFile() as stream:
        yield stream
        stream.flush()
        size = stream.seek(0, 2)
        stream.seek(0)
        if size <= MULTIPART:
            deliver(place, stream.read(), force=force)
            return
        store, key = object_at(place.url)
        check_free(place, force=force)
        if force or size > COPIED:
            store.send(key, stream, size)
        elif not store.send_new(key, stream, size):
            raise taken(place)


def deliver(place: Remote, data: bytes, *, force: bool) -> None:
    """Make an object of some bytes. Raises ConvError: exists (without `force`), and as `sent` does."""
    store, key = object_at(place.url)
    if force:
        store.put(key, data)
    elif not store.create(key, data):
        raise taken(place)


def check_place(place: Remote, *, force: bool) -> None:
    """Refuse, before any work, an output that exists (without `force`), or whose bucket is not there or not ours."""

    def look() -> None:
        check_bucket(object_at(place.url)[0])
        check_free(place, force=force)

    try:
        apart(look)
    except ConvError as error:
        error.where = place.url
        raise


def check_free(place: Remote, *, force: bool) -> None:
    """Refuse an output that exists."""
    store, key = object_at(place.url)
    if not force and store.has(key):
        raise taken(place)


@cache
def check_bucket(store: ObjectStore) -> None:
    """Refuse a bucket that is not there; once for each. Who may write in it may be forbidden to look."""
    try:
        next(store.keys(".convcli-looks-for-the-bucket"), None)
    except ConvError as error:
        if error.code != "permission" or "credentials were found" in error.message:
            raise


def taken(place: Remote) -> ConvError:
    """The error for an object that is in the way."""
    return ConvError("exists already; --force replaces it", "exists", where=place.url)
