"""Addresses of objects: the parts of a URL. Nothing is opened."""

from __future__ import annotations

from typing import NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.stores.names import is_remote, is_url, local_name

__all__ = ["READ_ONLY", "SCHEMES", "Address", "checked_key", "checked_object", "is_remote", "is_url", "local_name"]

SCHEMES = ("s3", "gs", "az")
"""Stores that are read and written: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""
READ_ONLY = ("https", "http")


class Address(NamedTuple):
    """An object, or all whose keys begin alike: `key` has no slash at its ends, and is taken as it is, never decoded.

    >>> Address.of("s3://bucket/in/a b.png")
    Address(scheme='s3', bucket='bucket', key='in/a b.png')
    """

    scheme: str
    bucket: str
    key: str = ""

    @classmethod
    def of(cls, name: str) -> Address:
        """The parts of a URL. Raises UsageError where it is none of a store, has no bucket, or a key that none holds.

        >>> Address.of("s3:///a.png")
        Traceback (most recent call last):
        convcli.errors.UsageError: 's3:///a.png': names no bucket; write s3://BUCKET/KEY [usage]
        """
        scheme, _, rest = name.partition("://")
        scheme = scheme.lower()
        if not is_url(name) or scheme not in (*SCHEMES, *READ_ONLY):
            known = ", ".join(f"{each}://" for each in SCHEMES)
            raise UsageError(f"is not an address of a known kind of store ({known} or https://)", where=name)
        if scheme in READ_ONLY and "?" in rest:
            way = "download it, or pipe it in: curl ADDRESS | convcli COMMAND -"
            raise UsageError(f"has a query, which is not understood here; {way}", where=name)
        bucket, _, key = rest.partition("/")
        if not bucket:
            raise UsageError(f"names no bucket; write {scheme}://BUCKET/KEY", where=name)
        return cls(scheme, bucket, checked_key(key.removesuffix("/"), name))

    @property
    def url(self) -> str:
        """The URL."""
        return f"{self.bucket_url}/{self.key}" if self.key else self.bucket_url

    @property
    def bucket_url(self) -> str:
        """The URL of the bucket, or of the server."""
        return f"{self.scheme}://{self.bucket}"

    @property
    def name(self) -> str:
        """The last part of the key, or the bucket's name."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def parent(self) -> Address:
        """The folder that it seems to be in; of a bucket, itself."""
        return self._replace(key=self.key.rpartition("/")[0])

    def __truediv__(self, part: str) -> Address:
        """What lies below.

        >>> (Address.of("s3://bucket/in.zarr/") / "c/0/1").url
        's3://bucket/in.zarr/c/0/1'
        """
        return self._replace(key=f"{self.key}/{part}".strip("/"))


def checked_key(key: str, name: str) -> str:
    """A key that stores and their clients agree on; UsageError for another, with the name as its place."""
    if any(part in ("", ".", "..") for part in key.split("/")) and key:
        raise UsageError("has an empty part, '.' or '..' in its key, which stores do not agree on", where=name)
    if not key.isprintable():
        raise UsageError("has line breaks or other characters in its key that cannot be printed", where=name)
    return key


def checked_object(name: str) -> Address:
    """The address of one object. Raises UsageError as `Address.of` does; ConvError is-directory for a bucket or folder.

    >>> checked_object("s3://bucket/in/")
    Traceback (most recent call last):
    convcli.errors.ConvError: 's3://bucket/in/': is a folder, not an object [is-directory]
    """
    address = Address.of(name)
    if not address.key:
        raise UsageError(f"names no object; write {address.bucket_url}/KEY", where=name)
    if name.endswith("/"):
        raise ConvError("is a folder, not an object", "is-directory", where=name)
    return address
