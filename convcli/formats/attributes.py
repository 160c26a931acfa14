"""What belongs to a file rather than to its content, for the one that takes its place: as much as may be kept, and
never a right that somebody did not have.

Owner, group, permissions, access control lists (POSIX ACLs on Linux), users' extended attributes, security labels. Not:
set-uid and set-gid bits and capabilities, which nobody gives to a picture; signatures of the old content; flags of
single file systems; times, which are those of the new content.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import reduce
from operator import and_, or_
from typing import NamedTuple

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
    for owner in (user, -1):
        with suppress(OSError):
            os.fchown(new, owner, group)
            break
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
        os.fchmod(new, mode)
