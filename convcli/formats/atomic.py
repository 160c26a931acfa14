"""Output that appears whole or not at all.

The bytes go to a draft in the folder of the target, which takes the target's name in one step once it is complete and
on the disk. Whatever stops the program before leaves what was there. On Linux the draft has no name at all until then,
so that even a killed process leaves nothing behind; elsewhere it is a hidden `.NAME.PID-XXXX.part`. One moment is left:
a file without a name can take a free one only, so one that replaces another has a hidden name between its last two
steps; killed just there (nothing else stops it there), the process leaves the whole new file under that name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from convcli.errors import ConvError
from convcli.formats.failures import told

LONGEST_NAME = 255  # bytes, of one part of a path
NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
OPEN_FILES = "/proc/self/fd"


class Draft(NamedTuple):
    """An open file that is to become `target`; `path` is None while it has no name."""

    target: Path
    descriptor: int
    path: Path | None


@contextmanager
def atomic_output(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes `path` when the block ends well; on any exception nothing changes.

    A symbolic link keeps pointing, an old file's mode is kept, devices and pipes are written directly.
    Raises ConvError: exists (without `force`), is-directory, not-found (the folder), permission, disk-full.
    """
    try:
        target = destination(path, force)
        with direct(target) if is_special(target) else drafted(target, force) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise told(error, str(path)) from error


def destination(path: Path, force: bool) -> Path:
    """The file to write: links followed, and refused where it cannot be written.

    A link to a pipe that has no name, as /dev/stdout and a shell's >(command) are, leads nowhere: it is opened itself.
    """
    if is_special(path):
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise ConvError("is a folder, not a file; end it in '/' to write into it", "is-directory", where=str(path))
    if not target.parent.is_dir():
        raise ConvError(f"the folder {str(target.parent)!r} does not exist", "not-found", where=str(path))
    if not force and target.exists():
        raise ConvError("exists already; --force replaces it", "exists", where=str(path))
    return target


def is_special(path: Path) -> bool:
    """True for a device, pipe or socket: what is written there cannot be taken back, nor is anything overwritten."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def direct(target: Path) -> Iterator[BinaryIO]:
    """A device or pipe opened for writing."""
    with target.open("wb") as stream:
        yield stream
        stream.flush()


@contextmanager
def drafted(target: Path, force: bool) -> Iterator[BinaryIO]:
    """A stream into a draft that is published at the end of the block, or discarded."""
    name = draft_path(target)  # known before the draft is, so that an interrupt just then leaves nothing either
    try:
        draft = open_draft(target, name)
        with os.fdopen(draft.descriptor, "w+b") as stream:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(draft.descriptor, stat.S_IMODE(target.stat().st_mode))
            yield stream
            stream.flush()
            os.fsync(draft.descriptor)
            publish(draft, force)
    finally:
        name.unlink(missing_ok=True)


def open_draft(target: Path, name: Path) -> Draft:
    """A new file in the target's folder: without a name where the system can, else with a hidden one, ours alone."""
    if hasattr(os, "O_TMPFILE") and Path(OPEN_FILES).is_dir():
        with contextlib.suppress(OSError):  # this file system has no unnamed files; a real fault shows below
            return Draft(target, os.open(target.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666), None)
    return Draft(target, os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666), name)


def draft_path(target: Path) -> Path:
    """A hidden name beside the target that no other process uses.

    >>> draft_path(Path("out/a.tif")).name.startswith(".a.tif.")
    True
    """
    ending = os.fsencode(f".{os.getpid()}-{os.urandom(4).hex()}.part")
    name = b"." + os.fsencode(target.name)[: LONGEST_NAME - 1 - len(ending)] + ending
    return target.with_name(os.fsdecode(name))


def publish(draft: Draft, force: bool) -> None:
    """Give the finished draft its name; without `force` exactly one of many writers succeeds."""
    if not force:
        publish_new(draft)
    elif draft.path is not None:
        draft.path.replace(draft.target)
    else:
        named = draft_path(draft.target)
        try:
            link(draft, named)
            named.replace(draft.target)
        finally:
            named.unlink(missing_ok=True)


def publish_new(draft: Draft) -> None:
    """Give the draft a name that must be free."""
    try:
        link(draft, draft.target)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS or draft.path is None:
            raise
        os.close(os.open(draft.target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # claims the name: fails if it is taken
        draft.path.replace(draft.target)


def link(draft: Draft, path: Path) -> None:
    """A (second) name for the draft's file; fails where the name is taken."""
    if draft.path is not None:
        os.link(draft.path, path)
        return
    folder = os.open(OPEN_FILES, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(str(draft.descriptor), path, src_dir_fd=folder)  # with a folder given, the link there is followed
    finally:
        os.close(folder)


class Discarded(Exception):  # noqa: N818 -- no error: the way out of a block whose draft nobody wants
    """Leaves the block of an output without making it."""


def try_output(path: Path, *, force: bool) -> None:
    """Open an output and discard it: what may be written in a folder, rights alone do not tell.

    Raises ConvError as `atomic_output` does.
    """
    with contextlib.suppress(Discarded), atomic_output(path, force=force):
        raise Discarded


def same_file(first: Path, second: Path) -> bool:
    """True where two paths lead to one file, by whatever links; False where either does not exist."""
    try:
        return first.samefile(second)
    except OSError:
        return False
