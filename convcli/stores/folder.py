"""A folder of this machine as a store: what is put there appears whole, under its name, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convcli.errors import changed
from convcli.records import record
from convcli.stores.address import checked_key
from convcli.stores.contract import DRAFT, Seen, tried
from convcli.system import lock, read_at


def seen_as(status: os.stat_result) -> Seen:
    """What a file's status says of it."""
    return Seen(status.st_size, str(status.st_mtime_ns), status.st_mtime_ns)


@record
class LocalStore:
    """A folder. It and the folders in it are made when something is put there."""

    path: str

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def seen(self, key: str) -> Seen | None:
        """Size and time of a file."""
        try:
            status = self._place(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return seen_as(status)

    def has(self, key: str) -> bool:
        """Whether there is a file."""
        return self._place(key).is_file()

    def size(self, key: str) -> int | None:
        """Bytes of a file."""
        found = self.seen(key)
        return found and found.size

    def get(self, key: str) -> bytes | None:
        """All bytes of a file."""
        try:
            return self._place(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def whole(self, key: str) -> tuple[Seen, bytes] | None:
        """A file's status when its bytes were read, and these."""
        try:
            with self._place(key).open("rb") as stream:
                status = os.fstat(stream.fileno())
                return seen_as(status), stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def first(self, key: str, count: int) -> tuple[Seen, bytes] | None:
        """A file's status and its first bytes."""
        found = self.seen(key)
        return found and (found, self.read(key, 0, count, tag=found.tag))

    def read(self, key: str, start: int, stop: int, *, tag: str = "") -> bytes:
        """Some bytes of a file."""
        with self._place(key).open("rb") as stream:
            if tag and tag != str(os.fstat(stream.fileno()).st_mtime_ns):
                raise changed(f"{self.path}/{key}")
            return read_at(stream.fileno(), stop - start, start)

    def put(self, key: str, data: bytes) -> None:
        """Write a file beside its place, and move it there."""
        self._publish(key, data, os.replace)

    def create(self, key: str, data: bytes) -> bool:
        """Write a file beside its place, and give it that name if it is free."""
        try:
            self._publish(key, data, os.link)
        except FileExistsError:
            return False
        return True

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """Replace a file while no other process does."""
        try:
            with self._place(key).open("r+b") as stream:
                lock(stream.fileno())
                held = os.fstat(stream.fileno())
                if seen_as(held).tag != tag or not os.path.samestat(held, self._place(key).stat()):
                    return False
                self.put(key, data)
        except FileNotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove a file."""
        self._place(key).unlink(missing_ok=True)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The files below a folder, but drafts."""
        top = self._place(prefix) if prefix else Path(self.path)
        for folder, _, names in os.walk(top):
            for name in names:
                if not name.endswith(DRAFT):
                    yield Path(folder, name).relative_to(self.path).as_posix()

    def honours_create(self) -> bool:
        """Whether the file system has hard links that do not replace; all but a few network ones do."""
        return tried(self)

    def _place(self, key: str) -> Path:
        return Path(self.path, checked_key(key, f"{self.path}/{key}"))

    def _publish(self, key: str, data: bytes, name_it: Any) -> None:
        """A file written whole under a hidden name, then named by a function (old, new)."""
        place = self._place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.parent / f".{os.getpid()}-{os.urandom(8).hex()}{DRAFT}"
        try:
            draft.write_bytes(data)
            name_it(draft, place)
        except FileExistsError:
            raise
        except OSError as error:
            error.filename = str(place)  # a full disk is told with no name, other things with the draft's
            raise
        finally:
            draft.unlink(missing_ok=True)
