"""A file that replaces another keeps what belongs to the file, and nobody gets a right that he did not have."""

import errno
import itertools
import os
import shutil
import stat
import struct
import subprocess

import numpy as np
import pytest

from command import convcli
from convcli.formats import atomic
from convcli.formats.atomic import atomic_output

ROOT = pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only the superuser may give files away")
ACL = atomic.ACL
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF


@pytest.fixture(params=["unnamed", "named"], autouse=True)
def kind_of_draft(request, monkeypatch):
    """Drafts without a name where the system has them, and hidden ones as elsewhere: the same laws hold."""
    if request.param == "named":
        monkeypatch.setattr(atomic, "OPEN_FILES", "/none")
    return request.param


@pytest.fixture
def old(tmp_path):
    """A file that is to be replaced."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    return path


def replace(path):
    """Other content in its place; it is another file now."""
    with path.open("rb") as before, atomic_output(path, force=True) as stream:
        stream.write(b"new")
        assert not os.path.sameopenfile(before.fileno(), stream.fileno())
    assert b"new" == path.read_bytes()


def acl(*entries):
    """An access control list as Linux holds it."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def put_acl(path, *entries):
    """Give a file or folder a list, by default or for itself."""
    try:
        os.setxattr(path, ACL, acl(*entries))
    except OSError:
        pytest.skip("no access control lists on this file system")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("bits", [0o600, 0o604, 0o640, 0o444, 0o777, 0o000])
def test_the_mode_is_kept(bits, old):
    old.chmod(bits)
    replace(old) if bits & 0o400 or os.geteuid() == 0 else pytest.skip("cannot be looked at")
    assert bits == mode(old)


@pytest.mark.parametrize("bits", [0o4755, 0o2755, 0o6711])
def test_privileges_of_a_program_are_not_kept(bits, old):
    old.chmod(bits)
    replace(old)
    assert bits & 0o777 == mode(old)


@ROOT
def test_owner_and_group_are_kept(old):
    os.chown(old, 12345, 54321)
    old.chmod(0o640)
    replace(old)
    status = old.stat()
    assert (12345, 54321, 0o640) == (status.st_uid, status.st_gid, mode(old))


def refusing(monkeypatch, *, owner, group):
    """Owners, groups, or both, that may not be given, as for a user who is not the superuser."""
    real = os.fchown

    def fchown(descriptor, user, given):
        if (user != -1 and not owner) or not group:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        real(descriptor, user, given)

    monkeypatch.setattr("os.fchown", fchown)


RIGHTS = (0o644, 0o640, 0o604, 0o660, 0o666, 0o606, 0o755, 0o044, 0o070, 0o007, 0o467)


@ROOT
@pytest.mark.parametrize("bits", RIGHTS, ids=oct)
@pytest.mark.parametrize(("owner", "group"), [(False, True), (False, False)], ids=["group kept", "neither kept"])
def test_where_the_owner_cannot_be_kept_nobody_gains(owner, group, bits, old, monkeypatch):
    """For every user who is not the new owner: what he may now, he might before. Each is told by owner and groups."""
    os.chown(old, 12345, 54321)
    old.chmod(bits)
    refusing(monkeypatch, owner=owner, group=group)
    before, ids_before = bits, (12345, 54321)
    replace(old)
    after, ids_after = mode(old), (old.stat().st_uid, old.stat().st_gid)
    assert (0, 54321 if group else 0) == ids_after
    for user, groups in itertools.product((12345, 777), ((), (54321,), (0,), (0, 54321))):
        now, then = rights(after, *ids_after, user, groups), rights(before, *ids_before, user, groups)
        assert not now & ~then, (user, groups, oct(after))


def rights(bits, owner, group, user, groups):
    """What a mode gives a user: the definition (POSIX, file access permissions)."""
    return bits >> 6 & 7 if user == owner else bits >> 3 & 7 if group in groups else bits & 7


@ROOT
def test_where_only_the_group_is_lost_what_all_had_is_kept(old, monkeypatch):
    os.chown(old, 0, 54321)
    old.chmod(0o664)
    refusing(monkeypatch, owner=False, group=False)
    replace(old)
    assert (0, 0o644) == (old.stat().st_gid, mode(old))


LISTS = {
    "the mask is not the group's right": (
        (USER_OBJ, 6, NOBODY),
        (USER, 6, 12345),
        (GROUP_OBJ, 0, NOBODY),
        (MASK, 6, NOBODY),
        (OTHER, 0, NOBODY),
    ),
    "a group by name": (
        (USER_OBJ, 6, NOBODY),
        (GROUP_OBJ, 4, NOBODY),
        (GROUP, 6, 12345),
        (MASK, 4, NOBODY),
        (OTHER, 4, NOBODY),
    ),
    "one who may less than all": (
        (USER_OBJ, 7, NOBODY),
        (USER, 0, 12345),
        (GROUP_OBJ, 4, NOBODY),
        (MASK, 7, NOBODY),
        (OTHER, 4, NOBODY),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_an_access_control_list_is_kept(name, old):
    put_acl(old, *LISTS[name])
    bits = mode(old)
    replace(old)
    assert (acl(*LISTS[name]), bits) == (os.getxattr(old, ACL), mode(old))


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_cannot_be_kept_becomes_what_everybody_had(name, old, monkeypatch):
    put_acl(old, *LISTS[name])

    def refuse(_path, name, _value, *_more, **_named):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), name)

    monkeypatch.setattr("os.setxattr", refuse)
    replace(old)
    named = [rights for tag, rights, _ in LISTS[name] if tag not in (USER_OBJ, MASK)]
    assert ACL not in os.listxattr(old)
    assert LISTS[name][0][1] == mode(old) >> 6
    assert not mode(old) >> 3 & 7 & ~min(named)
    assert not mode(old) & 7 & ~min(named)


def test_a_list_of_the_folder_gives_nobody_a_right_to_an_old_file(tmp_path, old):
    """New files take over the folder's default list; one that replaces a file without a list must not."""
    if not shutil.which("setfacl"):
        pytest.skip("needs setfacl")
    old.chmod(0o640)
    if subprocess.run(["setfacl", "-d", "-m", "u:12345:rwx", tmp_path], check=False, capture_output=True).returncode:
        pytest.skip("no access control lists on this file system")
    replace(old)
    assert (0o640, []) == (mode(old), os.listxattr(old))
    with atomic_output(tmp_path / "new") as stream:
        stream.write(b"new")
    assert ACL in os.listxattr(tmp_path / "new")


def put_note(path, value=b"keep me"):
    """An extended attribute of a user's."""
    try:
        os.setxattr(path, "user.note", value)
    except OSError:
        pytest.skip("no extended attributes on this file system")


@pytest.mark.parametrize("value", [b"", b"keep me", b"\0\xff" * 500])
def test_extended_attributes_are_kept(value, old):
    put_note(old, value)
    replace(old)
    assert value == os.getxattr(old, "user.note")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSPC, errno.ENOTSUP, errno.E2BIG])
def test_an_attribute_that_cannot_be_kept_stops_nothing(number, old, monkeypatch):
    put_note(old)

    def refuse(*_arguments, **_named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.setxattr", refuse)
    replace(old)
    assert [] == os.listxattr(old)


@ROOT
def test_capabilities_and_what_the_system_trusts_are_not_kept(old):
    try:
        os.setxattr(old, "trusted.note", b"x")
        os.setxattr(old, "security.capability", struct.pack("<IIIII", 0x02000000, 1 << 10, 0, 0, 0))
    except OSError:
        pytest.skip("not allowed in this container")
    replace(old)
    assert [] == os.listxattr(old)


def test_a_system_without_extended_attributes_keeps_the_mode(old, monkeypatch):
    for name in ("listxattr", "getxattr", "setxattr", "removexattr"):
        monkeypatch.delattr(f"os.{name}", raising=False)
    old.chmod(0o604)
    replace(old)
    assert 0o604 == mode(old)


def test_a_draft_is_for_its_owner_alone_until_it_has_the_rights_of_the_old_file(old, tmp_path):
    old.chmod(0o600)
    before = os.umask(0)
    try:
        with atomic_output(old, force=True) as stream:
            assert 0o600 == stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        with atomic_output(tmp_path / "new") as stream:
            stream.write(b"new")
    finally:
        os.umask(before)
    assert (0o600, 0o666) == (mode(old), mode(tmp_path / "new"))


def test_a_file_that_goes_meanwhile_leaves_a_draft_that_is_not_wider(old):
    with atomic_output(old, force=True) as stream:
        old.unlink()
        stream.write(b"new")
    assert (b"new", 0o600) == (old.read_bytes(), mode(old))


@pytest.mark.parametrize("words", [("--in-place",), ("-f", "-o", "{path}"), ("-o", "x.npy", "--report", "{path}")])
def test_every_output_keeps_what_it_replaces_has(words, tmp_path, kind_of_draft):
    if kind_of_draft == "named":
        pytest.skip("a process of its own has the usual ones")
    path = tmp_path / ("r.json" if "--report" in words else "out.npy" if "-o" in words else "in.npy")
    np.save(tmp_path / "in.npy", np.ones((8, 8), np.float32))
    path.touch()
    path.chmod(0o640)
    put_note(path)
    given = [word.format(path=path) for word in words]
    done = convcli("conv2d", tmp_path / "in.npy", "-k", "box:3", "-q", *given, cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    assert 0 < path.stat().st_size
    assert (0o640, b"keep me") == (mode(path), os.getxattr(path, "user.note"))
