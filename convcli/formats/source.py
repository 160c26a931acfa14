"""Where an image comes from: a regular file, or bytes that came through a pipe; checked before anything is opened."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.formats.failures import told

Readable = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""An image file: its name, its content, or a file opened for reading."""
KINDS = {
    stat.S_IFDIR: ("is a folder, not a file", "is-directory"),
    stat.S_IFIFO: ("is a pipe, not a file; read it with '-' and '<'", "not-regular"),
    stat.S_IFSOCK: ("is a socket, not a file", "not-regular"),
    stat.S_IFCHR: ("is a device, not a file", "not-regular"),
    stat.S_IFBLK: ("is a device, not a file", "not-regular"),
}


class Source(NamedTuple):
    """A readable image file: `path`, or `content` where there is no path; `size` in bytes."""

    name: str
    path: Path | None
    content: bytes
    size: int

    def open(self) -> BinaryIO:
        """A new seekable stream at the start."""
        return io.BytesIO(self.content) if self.path is None else self.path.open("rb")

    def read(self) -> bytes:
        """All bytes."""
        if self.path is None:
            return self.content
        with self.path.open("rb") as stream:
            return stream.read()

    def head(self, count: int) -> bytes:
        """The first bytes, fewer if the file is shorter."""
        with self.open() as stream:
            return stream.read(count)


def source_of(given: Readable) -> Source:
    """What was given, found to be a regular file with content; nothing else is ever opened (a pipe would block).

    A text is a name; bytes are a file's content, and so is what an open file has from where it stands.
    Raises ConvError: not-found, permission, is-directory, not-regular, empty.
    """
    if isinstance(given, (str, os.PathLike)):
        source = from_path(Path(given))
    elif isinstance(given, (bytes, bytearray, memoryview)):
        source = from_bytes(bytes(given))
    else:
        source = from_file(given)
    if source.size == 0:
        raise ConvError("is empty (0 bytes)", "empty", where=source.name)
    return source


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
    return from_bytes(content)._replace(name=str(getattr(file, "name", "-")))


def from_path(path: Path) -> Source:
    """A path as a source, looked at without opening it."""
    try:
        status = path.stat()
    except OSError as error:
        raise missing(path, error) from error
    except ValueError as error:  # a NUL in the name, which no file can have
        raise ConvError("no such file or folder", "not-found", where=str(path)) from error
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise ConvError(*kind, where=str(path))
    if not os.access(path, os.R_OK):
        raise ConvError("permission denied", "permission", where=str(path))
    return Source(str(path), path, b"", status.st_size)


def missing(path: Path, error: OSError) -> ConvError:
    """Why a path leads nowhere; a link whose target is gone is said to be one."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return ConvError(f"is a link to {str(path.readlink())!r}, which does not exist", "not-found", where=str(path))
    return told(error, str(path))
