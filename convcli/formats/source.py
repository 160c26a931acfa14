"""Where an image comes from: a regular file, bytes that came through a pipe, or a folder whose files are its parts;
checked before anything is opened.

A file is looked at when it is first named, and again whenever it is opened and closed: one that somebody writes to
meanwhile would come out as parts of two pictures, and is refused.

How large an image may claim to be is judged before anything is allocated for it: a header of 30 bytes can declare 40
gigabytes. It is held against three bounds: the number of samples, the memory of the machine or its container, and what
its compression can expand to.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field
from math import prod
from pathlib import Path, PurePosixPath
from time import time_ns
from typing import IO, TYPE_CHECKING, BinaryIO

from convcli.errors import ConvError, UsageError, changed
from convcli.formats.failures import told
from convcli.image import ImageInfo
from convcli.records import record
from convcli.stores.names import is_remote, local_name
from convcli.system import memory

if TYPE_CHECKING:
    from convcli.stores.contract import Seen, Store

Readable = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""An image file: its name, its content, or a file opened for reading."""
FOLDER = "is a folder, not a file", "is-directory"
KINDS = {
    stat.S_IFIFO: ("is a pipe, not a file; read it with '-' and '<'", "not-regular"),
    stat.S_IFSOCK: ("is a socket, not a file", "not-regular"),
    stat.S_IFCHR: ("is a device, not a file", "not-regular"),
    stat.S_IFBLK: ("is a device, not a file", "not-regular"),
}
CONTENT = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
LABELS = ("st_mode", "st_uid", "st_gid", "st_nlink")
"""Fields of a file's status that tell of its content, and what else changes its st_ctime."""


@record
class Source:
    """A readable image: the file or folder at `path`, or `content` where there is no path; `size` in bytes.

    `seen` is what the system said of it when it was first looked at, and `parts` of each file in a folder, by its name
    ("a/b"); `streams` are those that are open, with what was seen of their files. `watched` are objects that must be
    the same when all is read, with what was first seen of them; `since` is the time of that, in nanoseconds.
    """

    name: str
    path: Path | None
    content: bytes
    size: int
    seen: os.stat_result | None = None
    parts: dict[str, os.stat_result] = field(default_factory=dict)
    streams: list[tuple[os.stat_result | None, BinaryIO]] = field(default_factory=list)
    watched: dict[tuple[Store, str], Seen | None] = field(default_factory=dict)
    since: int = field(default_factory=time_ns)

    @property
    def in_memory(self) -> bool:
        """True for bytes, which came through a pipe or are a caller's: reading them by parts would save nothing."""
        return self.path is None

    @property
    def is_folder(self) -> bool:
        """True where the image is all that lies in a folder."""
        return self.seen is not None and stat.S_ISDIR(self.seen.st_mode)

    @contextmanager
    def open(self, part: str = "") -> Iterator[BinaryIO]:
        """A new seekable stream at the start: of the file, or of a part of the folder.

        Raises ConvError: changed, at the beginning or at the end of the block; for parts, those of `source_of`.
        """
        if self.path is None:
            yield io.BytesIO(self.content)
            return
        before = self._look(part) if part else self.seen
        with (self.path / part).open("rb") as stream:
            opened = before, stream
            self.streams.append(opened)
            try:
                self.check()
                yield stream
                self.check()
            finally:
                self.streams.remove(opened)

    @contextmanager
    def beside(self, name: str) -> Iterator[tuple[BinaryIO, int]]:
        """A stream of a file in the same folder, which is a part of the image, and its size; watched as this one is.

        Raises ConvError: unsafe for a name that leads elsewhere, ambiguous where there is no folder, and those of
        `source_of`; changed, at the beginning or at the end of the block.
        """
        if self.path is None:
            raise ConvError(f"has its pixels in another file ({name!r}), which did not come along", "ambiguous")
        path = self.path.parent / checked_part(name)
        seen = looked_at(path, str(path))
        if stat.S_ISDIR(seen.st_mode):
            raise ConvError(*FOLDER, where=str(path))
        with path.open("rb") as stream:
            opened = seen, stream
            self.streams.append(opened)
            try:
                self.check()
                yield stream, seen.st_size
                self.check()
            finally:
                self.streams.remove(opened)

    def names(self) -> list[str]:
        """The files that lie in a folder, in order; hidden ones, and those of folders in it, are none."""
        if self.path is None:
            return []
        with os.scandir(self.path) as entries:
            return sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))

    def has(self, part: str) -> bool:
        """Whether a folder has such a part."""
        return self.path is not None and (self.path / part).is_file()

    def _look(self, part: str) -> os.stat_result:
        """What was first seen of a part, which names nothing outside of its folder."""
        assert self.path is not None
        return self.parts.setdefault(part, looked_at(self.path / checked_part(part), f"{self.name}/{part}"))

    def check(self) -> None:
        """Refuse a file that has changed since it was first looked at: the one that is open, whatever has its name now;
        and objects that were watched.

        Raises ConvError: changed.
        """
        for before, stream in self.streams:
            if has_changed(before, os.fstat(stream.fileno())):
                raise changed(self.name)
        if self.other_watched():
            raise changed(self.name)

    @property
    def stamp(self) -> str:
        """What tells the files that were looked at from others of the same names: sizes, and times of change."""
        files = [*self.parts.values(), *(seen for seen, _ in self.streams)]
        own = [] if self.is_folder else [self.seen]
        return " ".join(sorted({f"{seen.st_size}:{seen.st_mtime_ns}" for seen in (*own, *files) if seen}))

    def watch(self, store: Store, key: str) -> None:
        """Remember an object, which must be the same when all is read."""
        if (store, key) not in self.watched:
            self.watched[store, key] = store.seen(key)

    def other_watched(self) -> bool:
        """Whether an object that is watched is another one now."""
        return any(store.seen(key) != before for (store, key), before in self.watched.items())

    def has_changed(self) -> bool:
        """Whether another file has the name now, or the same with other content."""
        if self.watched:
            return self.other_watched()
        try:
            return self.path is not None and has_changed(self.seen, self.path.stat())
        except OSError:
            return True

    def read(self) -> bytes:
        """All bytes."""
        if self.path is None:
            return self.content
        with self.open() as stream:
            return stream.read()

    def head(self, count: int, part: str = "") -> bytes:
        """The first bytes, fewer if the file is shorter."""
        with self.open(part) as stream:
            return stream.read(count)


def checked_part(part: str) -> str:
    """The name of a part of a folder; ConvError unsafe for one that leads out of it."""
    if PurePosixPath(part).is_absolute() or ".." in PurePosixPath(part).parts:
        raise ConvError(f"names a part that lies elsewhere: {part!r}", "unsafe")
    return part


@contextmanager
def kept_open(opened: ExitStack) -> Iterator[None]:
    """What was opened stays so in the block; what happens there is no fault of the file."""
    try:
        yield
    finally:
        with suppress(ConvError):  # that it has changed: whoever reads in the block looks at its end
            opened.close()


def has_changed(before: os.stat_result | None, after: os.stat_result) -> bool:
    """Whether a file may hold something else than before, or is another one.

    A write changes the size or the time of change. Where only the time of change in the file system did, because the
    other was set back, there is a change too; but a new link, owner or mode, or a lost name, explains it as well.
    """
    if before is None:
        return False
    if any(getattr(before, name) != getattr(after, name) for name in CONTENT):
        return True
    explained = any(getattr(before, name) != getattr(after, name) for name in LABELS)
    return before.st_ctime_ns != after.st_ctime_ns and not explained


def source_of(given: Readable | Source) -> Source:
    """What was given, found to be a regular file with content, or a folder; nothing else is ever opened (a pipe would
    block), and a folder is an image where a format has folders.

    A text is a name, or a URL; bytes are a file's content, and so is what an open file has from where it stands.
    Raises ConvError: not-found, permission, not-regular, empty, unreachable.
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, (str, os.PathLike)):
        source = named(os.fspath(given))
    elif isinstance(given, (bytes, bytearray, memoryview)):
        source = from_bytes(bytes(given))
    else:
        source = from_file(given)
    if source.size == 0 and not source.is_folder:
        raise ConvError("is empty (0 bytes)", "empty", where=source.name)
    return source


def named(name: str) -> Source:
    """The file, folder or object that has a name."""
    if is_remote(name):
        from convcli.formats.remote import from_url

        return from_url(name)
    return from_path(Path(local_name(name)), name)


def from_bytes(content: bytes) -> Source:
    """Bytes as a source."""
    return Source("-", None, content, len(content))


def from_file(file: IO[bytes]) -> Source:
    """What an open file has as a source, under the file's name."""
    if not hasattr(file, "read"):
        raise UsageError(f"{type(file).__name__} is no file: give a name, its bytes, or a file opened for reading")
    content = file.read()
    if not isinstance(content, bytes):
        raise UsageError("the file was opened as text; open it in binary, as by open(name, 'rb')")
    return Source(str(getattr(file, "name", "-")), None, content, len(content))


def from_path(path: Path, name: str) -> Source:
    """A path as a source, under the name as it was given."""
    status = looked_at(path, name)
    return Source(name, path, b"", 0 if stat.S_ISDIR(status.st_mode) else status.st_size, status)


def looked_at(path: Path, name: str) -> os.stat_result:
    """What the system says of a file or folder that can be read; it is not opened.

    Raises ConvError: not-found, permission, not-regular.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise missing(path, name, error) from error
    except ValueError as error:  # a NUL in the name, which no file can have
        raise ConvError("no such file or folder", "not-found", where=name) from error
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise ConvError(*kind, where=name)
    if not os.access(path, os.R_OK):
        raise ConvError("permission denied", "permission", where=name)
    return status


def missing(path: Path, name: str, error: OSError) -> ConvError:
    """Why a path leads nowhere; a link whose target is gone is said to be one."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return ConvError(f"is a link to {str(path.readlink())!r}, which does not exist", "not-found", where=name)
    if isinstance(error, FileNotFoundError) and any((path.parent / key).is_file() for key in (".zattrs", "zarr.json")):
        from convcli.formats.zarr.hierarchy import held_by
        from convcli.stores.folder import LocalStore

        if held := held_by(LocalStore(os.path.abspath(path.parent))):  # noqa: PTH100 -- links stay
            return ConvError(f"no such level; the image has {held}", "not-found", where=name)
    return told(error, name)


MOST_SAMPLES = 2**31
SMALL = 2**24  # bytes: an image below this is never called a bomb
DEFLATE_RATIO = 1100  # of PNG, ZIP: 258 bytes from 2 bits at best (1032), and the filter bytes
BZIP2_RATIO = 1_200_000  # a block of 900,000 bytes of run lengths, 255 in 5, from some 40 bytes
LZW_RATIO = 1500  # a table of 4094 strings, each one byte longer than one before
RUN_RATIO = 1500  # of run lengths, as in BMP: 255 pixels from 2 bytes, of 8 pixels a byte
UNBOUNDED_RATIO = 200_000  # ZSTD, LZMA, JPEG XL and the like: blocks of 128 KiB from a few bytes


def check_declared(info: ImageInfo, most: int | None) -> None:
    """Refuse an image without pixels, or with more than may be allocated: `most` samples, else half of the memory."""
    check_some(info)
    samples = prod(info.shape)
    bound = min(MOST_SAMPLES, memory() // 2 // info.sample.size) if most is None else most
    if samples > bound:
        message = f"declares {times(info.shape)} = {samples:,} samples, more than {bound:,}; --max-pixels allows more"
        raise ConvError(message, "too-large")


def check_some(info: ImageInfo) -> None:
    """Refuse an image without pixels."""
    if 0 in info.shape:
        raise ConvError(f"holds no pixels: its size is {times(info.shape)}", "empty-image")


def check_ratio(declared: int, stored: int, ratio: int) -> None:
    """Refuse data that would have to expand more than its compression can."""
    if declared > SMALL and declared > stored * ratio:
        message = f"declares {declared:,} bytes of pixels in {stored:,} bytes, more than its compression can hold"
        raise ConvError(message, "bomb")


def times(shape: tuple[int, ...]) -> str:
    """A size as people write it.

    >>> times((480, 640, 3))
    '480 x 640 x 3'
    """
    return " x ".join(str(size) for size in shape)
