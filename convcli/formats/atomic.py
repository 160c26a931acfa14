"""Output that appears whole or not at all.

The bytes go to a draft in the folder of the target, which takes the target's name in one step once it is complete and
on the disk. That folder is looked up once: what takes its name meanwhile gets nothing. Whatever stops the program
before leaves what was there. On Linux the draft has no name at all until then, so that even a killed process leaves
nothing behind; elsewhere it is a hidden `.NAME.PID-XXXX.part`. One moment is left: a file without a name can take a
free one only, so one that replaces another has a hidden name between its last two steps; killed just there (nothing
else stops it there), the process leaves the whole new file under that name.

What belongs to a file rather than to its content is given to the one that takes its place, as much as may be kept, and
never a right that somebody did not have: owner, group, permissions, access control lists (POSIX ACLs on Linux), users'
extended attributes, security labels. Not: set-uid and set-gid bits and capabilities, which nobody gives to a picture;
signatures of the old content; flags of single file systems; times, which are those of the new content.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import reduce
from operator import and_, or_
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from convcli.errors import ConvError
from convcli.formats.failures import told
from convcli.formats.folder import Folder, open_folder
from convcli.stores.names import is_remote, local_name
from convcli.system import offered, opening

if TYPE_CHECKING:
    from typing import TypeAlias

    from convcli.formats.sending import Remote

    Target: TypeAlias = "Path | Place | Remote"
    """Where an output goes; a path is looked up, or is that of a device or pipe."""

LONGEST_NAME = 255  # bytes, of one part of a path
NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
OPEN_FILES = "/proc/self/fd"


class Place(NamedTuple):
    """Where an output goes: `path`, links followed, of what was `given`, in an open folder.

    The folder stays the same whatever becomes of its own name.
    """

    given: Path
    path: Path
    folder: Folder

    @property
    def name(self) -> str:
        """The name in the folder."""
        return self.path.name

    @property
    def reached(self) -> str:
        """A path to it through the open folder, where the system has such."""
        opened = f"{OPEN_FILES}/{self.folder.descriptor}"
        return f"{opened}/{self.name}" if os.path.isdir(opened) else str(self.path)  # noqa: PTH112 -- once a file


class Draft(NamedTuple):
    """An open file that is to become what is at `place`; `name` is None while it has none."""

    place: Place
    descriptor: int
    name: str | None


def output_place(name: str) -> Path | Remote:
    """Where an output of this name goes: a path, or the URL of an object. Raises UsageError where nothing can be."""
    if not is_remote(name):
        return Path(local_name(name))
    from convcli.formats.sending import Remote

    return Remote.of(name)


@contextmanager
def atomic_output(target: Target, *, force: bool = False, synced: bool = True) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes `target` when the block ends well; on any exception nothing changes.

    What goes to a store is sent then (`convcli.formats.sending`). A symbolic link keeps pointing, an old file's
    attributes are kept (`convcli.formats.atomic`), devices and pipes are written directly. The new name is on the disk,
    too, unless it is not to be `synced` yet (see `Folder.sync`).
    Raises ConvError: exists (without `force`), is-directory, not-found (the folder), permission, disk-full.
    """
    given = shown(target)
    with placed(target, force) as place:
        try:
            with opened(place, force, synced) as stream:
                yield stream
        except BrokenPipeError:
            raise
        except OSError as error:
            raise told(error, given) from error


def shown(target: Target) -> str:
    """What a user calls an output."""
    if isinstance(target, Path):
        return str(target)
    return str(target.given) if isinstance(target, Place) else target.url


def opened(place: Target, force: bool, synced: bool) -> AbstractContextManager[BinaryIO]:
    """A stream into an output, by where it goes."""
    if isinstance(place, Path):
        return direct(place)
    if isinstance(place, Place):
        return drafted(place, force, synced)
    from convcli.formats.sending import sent

    return sent(place, force=force)


@contextmanager
def placed(target: Target, force: bool) -> Iterator[Target]:
    """An output's place, with its folder open; a device, a pipe, or an object's URL is its own place.

    Raises ConvError: exists (without `force`), is-directory, not-found (the folder), permission.
    """
    if not isinstance(target, Path) or is_special(target):
        yield target
        return
    with ExitStack() as stack:
        try:
            path = destination(target, force)
            folder = stack.enter_context(open_folder(path.parent))
        except OSError as error:
            raise told(error, str(target)) from error
        yield Place(target, path, folder)


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
def drafted(place: Place, force: bool, synced: bool) -> Iterator[BinaryIO]:
    """A stream into a draft that is published at the end of the block, or discarded.

    One with a name is closed before: not every system gives a name to a file that is open.
    """
    name = draft_name(place.name)  # known before the draft is, so that an interrupt just then leaves nothing either
    try:
        draft = open_draft(place, name)
        with os.fdopen(draft.descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            if force:
                take_over(draft.descriptor, place.reached)
            os.fsync(draft.descriptor)
            if draft.name is None:
                publish(draft, force)
        if draft.name is not None:
            publish(draft, force)
        if synced:
            place.folder.sync()
    finally:
        place.folder.remove(name)


def open_draft(place: Place, name: str) -> Draft:
    """A new file in the target's folder: without a name where the system can, else with a hidden one, ours alone.

    What replaces a file is for us alone until it has that file's rights.
    """
    mode = 0o600 if os.path.lexists(place.reached) else 0o666
    for unnamed in offered(os, "O_TMPFILE"):
        if os.path.isdir(OPEN_FILES):  # noqa: PTH112
            with contextlib.suppress(OSError):  # this file system has no unnamed files; a real fault shows below
                return Draft(place, place.folder.open(".", unnamed | os.O_RDWR, mode), None)
    return Draft(place, place.folder.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode), name)


def draft_name(name: str) -> str:
    """A hidden name beside another that no other process uses.

    >>> draft_name("a.tif").startswith(".a.tif.")
    True
    """
    ending = os.fsencode(f".{os.getpid()}-{os.urandom(4).hex()}.part")
    return os.fsdecode(b"." + os.fsencode(name)[: LONGEST_NAME - 1 - len(ending)] + ending)


def remove_drafts(folder: Path, process_id: int) -> None:
    """Remove the drafts of a process that was killed, and of no other."""
    for path in folder.glob(f".*.{process_id}-{8 * '[0-9a-f]'}.part"):
        with suppress(OSError):
            path.unlink()


def publish(draft: Draft, force: bool) -> None:
    """Give the finished draft its name; without `force` exactly one of many writers succeeds."""
    folder, name = draft.place.folder, draft.place.name
    if not force:
        publish_new(draft)
    elif draft.name is not None:
        folder.move(draft.name, name)
    else:
        named = draft_name(name)
        try:
            link(draft, named)
            folder.move(named, name)
        finally:
            folder.remove(named)


def publish_new(draft: Draft) -> None:
    """Give the draft a name that must be free."""
    folder, name = draft.place.folder, draft.place.name
    try:
        link(draft, name)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS or draft.name is None:
            raise
        os.close(folder.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # fails if the name is taken
        folder.move(draft.name, name)


def link(draft: Draft, name: str) -> None:
    """A (second) name for the draft's file; fails where the name is taken."""
    if draft.name is not None:
        draft.place.folder.link(draft.name, name)
        return
    opened = os.open(OPEN_FILES, os.O_RDONLY | opening("O_DIRECTORY"))
    try:
        draft.place.folder.link(str(draft.descriptor), name, opened)
    finally:
        os.close(opened)


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


ACL = "system.posix_acl_access"
KEPT = ("user.", "security.selinux", "security.SMACK64", ACL)
"""How the names of extended attributes begin that are kept."""
OWNER, MASK, OTHER = 0x01, 0x10, 0x20
MASKED = (0x02, 0x04, 0x08)  # a user by name, the group, a group by name
ENTRY = struct.Struct("<HHI")  # tag, rights, whose: linux/posix_acl_xattr.h
HEADER = 4  # bytes before the entries


def take_over(new: int, old: str) -> None:
    """Give an open file, which nobody has seen yet, the attributes of the file at a path, if there is one."""
    try:
        status = os.lstat(old)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        return
    kept = extended(old)
    for name in kept.keys() - {ACL}:
        with suppress(OSError):  # no room, or not for us to set
            os.setxattr(new, name, kept[name])
    same_owner, same_group = own(new, status.st_uid, status.st_gid)
    rights = Rights.of(status.st_mode, kept.get(ACL))
    whole = same_group and (same_owner or rights.owner_had_all)
    if not (whole and ACL in kept and put(new, kept[ACL])):
        drop_list(new)
        permit(new, rights.mode if whole and ACL not in kept else rights.least)


class Rights(NamedTuple):
    """The owner's rights, those of all others that are named, as numbers of three bits, and the mode without a list."""

    owner: int
    others: tuple[int, ...]
    mode: int

    @classmethod
    def of(cls, mode: int, acl: bytes | None) -> Rights:
        """By a file's mode, or by its access control list, whose mask limits what it names; none by a damaged one."""
        if acl is None:
            return cls(mode >> 6 & 7, (mode >> 3 & 7, mode & 7), mode & 0o777)
        try:
            entries = [(tag, rights & 7) for tag, rights, _ in ENTRY.iter_unpack(acl[HEADER:])]
        except struct.error:
            entries = []
        mask = next((rights for tag, rights in entries if tag == MASK), 7)
        others = tuple(rights & mask if tag in MASKED else rights for tag, rights in entries if tag in (*MASKED, OTHER))
        return cls(mode >> 6 & 7, others or (0,), mode & 0o777)

    @property
    def owner_had_all(self) -> bool:
        """Whether the owner gains nothing as one of the others."""
        return not reduce(or_, self.others) & ~self.owner

    @property
    def least(self) -> int:
        """A mode that gives the group and all others what everybody had."""
        return self.mode & 0o700 | 0o011 * reduce(and_, self.others, self.owner)


def extended(path: str) -> Mapping[str, bytes]:
    """The extended attributes of a file that are kept; an access control list that cannot be read has no entries."""
    found: dict[str, bytes] = {}
    with suppress(OSError, AttributeError):  # the file system, or the system, has none
        for name in os.listxattr(path, follow_symlinks=False):
            if name.startswith(KEPT):
                try:
                    found[name] = os.getxattr(path, name, follow_symlinks=False)
                except OSError:
                    found |= {name: b""} if name == ACL else {}
    return found


def own(new: int, user: int, group: int) -> tuple[bool, bool]:
    """Give a file to a user and group, or to the group alone where that is all we may; whether each is so now."""
    for change in offered(os, "fchown"):
        try:
            change(new, user, group)
        except OSError:
            with suppress(OSError):
                change(new, -1, group)
    status = os.fstat(new)
    return status.st_uid == user, status.st_gid == group


def put(new: int, acl: bytes) -> bool:
    """Give a file an access control list, and with it its mode; whether that could be done."""
    try:
        os.setxattr(new, ACL, acl)
    except OSError:
        return False
    return True


def drop_list(new: int) -> None:
    """Take the access control list away that a new file has from its folder."""
    with suppress(OSError, AttributeError):
        os.removexattr(new, ACL)


def permit(new: int, mode: int) -> None:
    """Set the mode of a file; one that has it is left alone, for not every file system can set one."""
    if stat.S_IMODE(os.fstat(new).st_mode) != mode:
        for change in offered(os, "fchmod"):
            change(new, mode)
