"""A folder in which outputs get their names: looked up once, so that what takes its name meanwhile gets nothing.

Where the system cannot name files in an open folder, as Windows cannot, they are named by the folder's path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from convcli.formats.failures import told
from convcli.system import offered, opening

BY_FOLDER = os.open in os.supports_dir_fd
"""Whether files can be named in an open folder."""
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # no folders' fsync there, or a folder that we may not read


class Folder(NamedTuple):
    """A folder at a path, open where the system has that."""

    path: Path
    descriptor: int | None

    def name(self, name: str) -> str:
        """A file in the folder, for a call that is told of the open folder."""
        return name if self.descriptor is not None else str(self.path / name)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file in the folder, for this process alone."""
        return os.open(self.name(name), flags | opening(), mode, dir_fd=self.descriptor)

    def link(self, old: str, new: str, opened: int | None = None) -> None:
        """A second name for a file; fails where it is taken. In a folder that is `opened`, a link is followed."""
        source = self.descriptor if opened is None else opened
        os.link(self.name(old), self.name(new), src_dir_fd=source, dst_dir_fd=self.descriptor)

    def move(self, old: str, new: str) -> None:
        """Give a file another name, whoever had that."""
        os.replace(self.name(old), self.name(new), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name(name), dir_fd=self.descriptor)

    def sync(self) -> None:
        """See to it that the names in the folder outlast a power cut, where the file system can."""
        try:
            if self.descriptor is not None:
                os.fsync(self.descriptor)
        except OSError as error:
            if error.errno not in NO_SYNC:
                raise


@contextmanager
def open_folder(path: Path) -> Iterator[Folder]:
    """A folder in which files can be named: even one in which we may write and not look."""
    if not BY_FOLDER:
        yield Folder(path, None)
        return
    descriptor = opened_folder(path)
    try:
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def opened_folder(path: Path) -> int:
    """A descriptor of a folder."""
    flags = opening("O_DIRECTORY")
    try:
        return os.open(path, os.O_RDONLY | flags)
    except PermissionError:
        looks = offered(os, "O_PATH")
        if sys.platform != "linux" or not looks:
            raise
        return os.open(path, looks[0] | flags)


def sync_folders(files: Iterable[str]) -> None:
    """See to it that the names of all files outlast a power cut."""
    for path in {os.path.dirname(os.path.realpath(name)) for name in files}:  # noqa: PTH120
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(open_folder(Path(path)))
            except OSError:  # not made, where all that should be in it failed
                continue
            try:
                folder.sync()
            except OSError as error:
                raise told(error, path) from error
