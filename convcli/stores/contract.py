"""What a store is: objects below one root, by their keys; and which of those keys mean something."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

DRAFT = ".part"
"""How names of files end that are still written."""
PROBE = ".convcli-probe"
MARK = ".convcli-unfinished"
"""The key, below the root of an output of many objects, of the mark that it is not finished."""


class Seen(NamedTuple):
    """What tells an object from another under its key: bytes, and the store's tag (or a file's time of change).

    `time` is when it was written, in nanoseconds, by the clock of the store: objects have whole seconds.
    """

    size: int
    tag: str
    time: int


class Store(Protocol):
    """Objects below a root. Keys are relative to it, their parts divided by slashes.

    Every method raises ConvError (permission, unreachable, not-found for a bucket that is not there); OSError where
    files are concerned.
    """

    @property
    def name(self) -> str:
        """The path or URL of the root, for messages."""

    def seen(self, key: str) -> Seen | None:
        """What there is under a key; None where nothing is."""

    def has(self, key: str) -> bool:
        """Whether there is anything under a key."""

    def size(self, key: str) -> int | None:
        """Bytes of an object; None where there is none."""

    def get(self, key: str) -> bytes | None:
        """An object as a whole; None where there is none."""

    def whole(self, key: str) -> tuple[Seen, bytes] | None:
        """What there is under a key, and all of its bytes; None where nothing is."""

    def first(self, key: str, count: int) -> tuple[Seen, bytes] | None:
        """What there is under a key, and its first bytes, by one request; None where nothing is."""

    def read(self, key: str, start: int, stop: int, *, tag: str = "") -> bytes:
        """The bytes from `start` to before `stop`, or to the object's end.

        Raises ConvError: not-found; changed, where the object is not the one that was `seen` with such a tag.
        """

    def put(self, key: str, data: bytes) -> None:
        """Make or replace an object, whole or not at all."""

    def create(self, key: str, data: bytes) -> bool:
        """Make an object where none is, whole or not at all; False where there is one, which stays."""

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """Replace the object that was `seen` with such a tag; False where there is another one by now, or none.

        A store that knows no such condition replaces whatever there is.
        """

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys of all objects below a folder, in no order."""

    def honours_create(self) -> bool:
        """Whether `create` refuses a key that is taken, tried with an object that is removed again."""


def tried(store: Store) -> bool:
    """Whether a store refuses to create what is there: an object made, made again, and removed."""
    key = f"{PROBE}-{os.urandom(8).hex()}"
    try:
        return store.create(key, b"first") and not store.create(key, b"again")
    finally:
        store.delete(key)
