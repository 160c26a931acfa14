"""Inputs that change while they are read, folders that are swapped: no mixed picture, no death, nothing elsewhere."""

import errno
import os
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import convcli as package
from convcli import formats, native
from convcli.errors import ConvError
from convcli.formats import FORMATS, atomic, source, write
from convcli.formats.atomic import atomic_output
from convcli.formats.folder import sync_folders
from convcli.formats.source import has_changed
from convcli.image import Image, ImageInfo
from convcli.runs import one

GREY = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
WRITABLE = [
    name for name, entry in FORMATS.items() if entry.dtypes and not entry.folder and (entry.samples != ("rgb",))
]


LITTLE = ("--memory", "16MiB")
"""So little that an image of 5 MB is read by windows."""


def image(folder, name):
    """A small picture in a format."""
    path = folder / f"in.{name}"
    dtype = FORMATS[name].dtypes[0]
    write(path, Image(ImageInfo(GREY.shape, dtype, "YX"), GREY.astype(dtype)), format=name)
    return path


def large(folder, name):
    """A picture large enough to be read while it is computed and written."""
    path = folder / f"in.{name}"
    data = np.random.default_rng(0).integers(0, 256, (2500, 2000), dtype=np.uint8)
    write(path, Image(ImageInfo(data.shape, "uint8", "YX"), data))
    return path


def longer(path):
    with path.open("ab") as file:
        file.write(b"\0")


def shorter(path):
    os.truncate(path, path.stat().st_size - 100)


def emptied(path):
    os.truncate(path, 0)


def overwritten(path):
    """Another content of the same size; the clock of the file system may not have moved on, so its time is set."""
    with path.open("r+b") as file:
        file.seek(-50, os.SEEK_END)
        file.write(bytes(50))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def replaced(path):
    path.with_name("new").write_bytes(path.read_bytes())
    path.with_name("new").replace(path)


CHANGES = [longer, shorter, emptied, overwritten]


def when(monkeypatch, owner, name, action, *, before=False):
    """Do something once, before or after the first call of a function."""
    function, done = getattr(owner, name), []

    def called(*arguments, **more):
        if before and not done:
            done.append(action())
        result = function(*arguments, **more)
        if not done:
            done.append(action())
        return result

    monkeypatch.setattr(owner, name, called)


def check_refused(run, path, *words, codes=("changed",)):
    """The run ends in one line about the input, and nothing is there that was not before."""
    out = path.with_name("out.png") if "-o" not in words else Path(words[words.index("-o") + 1])
    given = () if "-o" in words else ("-o", out)
    code, lines = run("conv2d", path, "-k", "box:3", *words, *given)
    assert (1, 1) == (code, len(lines)), lines
    assert lines[0].startswith(f"convcli: {str(path)!r}: ")
    assert lines[0].endswith(tuple(f"[{one}]" for one in codes))
    assert not out.exists()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", WRITABLE)
def test_a_file_that_changes_behind_its_header_is_refused_in_every_format(name, change, tmp_path, run, monkeypatch):
    path = image(tmp_path, name)
    when(monkeypatch, one, "probe", lambda: change(path))
    check_refused(run, path, "-t", "uint8")


@pytest.mark.parametrize("change", [*CHANGES, replaced])
@pytest.mark.parametrize("name", ["tif", "npy", "nii", "png"])
def test_a_file_that_changes_while_it_is_read_by_windows_is_refused(name, change, tmp_path, run, monkeypatch):
    if name == "png" and not native.ROWS:
        pytest.skip("the compiled rows of PNG: it is read as a whole")
    path = large(tmp_path, name)
    if change is replaced:  # before it is opened again: afterwards, the old file is read to its end
        when(monkeypatch, one, "windows", lambda: change(path), before=True)
    else:
        when(monkeypatch, formats.Windows, "read", lambda: change(path))
    check_refused(run, path, "-o", tmp_path / "out.tif", *LITTLE)


@pytest.mark.parametrize("name", ["tif", "npy", "nii"])
def test_a_large_file_that_is_cut_short_while_it_is_read_at_once_is_refused(name, tmp_path, run, monkeypatch):
    """Read, not mapped: a process that looks at a map of what is gone is killed."""
    monkeypatch.setattr(one.Course, "is_long", False)
    path = large(tmp_path, name)
    when(monkeypatch, one, "read", lambda: os.truncate(path, 1000), before=True)
    check_refused(run, path, "-o", tmp_path / "out.webp")
    path.unlink()
    path = large(tmp_path, name)
    pixels = package.read(path).data
    os.truncate(path, 1000)
    assert (2500, 2000) == pixels.shape
    assert 0 < int(pixels.sum())


@pytest.mark.parametrize("name", ["tif", "npy", "nii"])
@pytest.mark.parametrize("target", ["o.jpg", "o.webp", "o.bmp", "o.pgm", "o.nii", "o.npz", "-"])
def test_what_is_written_as_a_whole_is_the_same_read_by_windows(name, target, tmp_path, run, monkeypatch):
    """An input larger than the memory becomes any file that is not."""
    path, outs = large(tmp_path, name), []
    words = (
        "conv2d",
        path,
        "-k",
        "gaussian:2",
        "--stride",
        4,
        "-q",
        "--format",
        "npz" if target == "-" else target[2:],
    )
    for memory in ("16MiB", "4GiB"):  # by windows; at once
        out = tmp_path / memory / target
        out.parent.mkdir()
        sent = BytesIO()
        monkeypatch.setattr(one, "binary_output", lambda sent=sent: nullcontext(sent))
        assert (0, []) == run(*words, "--memory", memory, "-o", "-" if target == "-" else out)
        outs.append(sent.getvalue() if target == "-" else out.read_bytes())
    monkeypatch.setattr(one, "read", None)
    assert (0, []) == run(*words, *LITTLE, "-f", "-o", tmp_path / "again")
    assert outs[0] == outs[1]
    assert outs[0]


def test_of_a_batch_only_the_file_that_changes_fails(tmp_path, run, monkeypatch):
    (tmp_path / "out").mkdir()
    paths = [large(tmp_path, name) for name in ("tif", "npy", "nii")]
    when(monkeypatch, formats.Windows, "read", lambda: shorter(paths[0]))  # in each worker, of the first alone
    words = ("-k", "box:3", *LITTLE, "--format", "tiff", "--jobs", 1, "-o", tmp_path / "out" / "{ext}")
    code, lines = run("conv2d", *paths, *words)
    assert 3 == code
    assert [True] == [line.endswith("[changed]") for line in lines if line.startswith("convcli")]
    assert ["nii", "npy"] == names(tmp_path / "out")


@pytest.mark.parametrize(
    "harmless",
    [
        lambda path: path.chmod(0o600),
        lambda path: os.link(path, path.with_name("link")),
        replaced,
        Path.unlink,
        lambda path: path.read_bytes(),
    ],
    ids=["mode", "link", "replaced", "removed", "read"],
)
def test_what_leaves_the_content_alone_does_not_matter(harmless, tmp_path, run, monkeypatch):
    """A file that is replaced in one step while it is open is read to its end, as it was."""
    path = large(tmp_path, "npy")
    whole = np.load(path)
    when(monkeypatch, formats.Windows, "read", lambda: harmless(path))
    code, lines = run("conv2d", path, "-k", "identity", *LITTLE, "-q", "-o", tmp_path / "out.npy")
    assert (0, []) == (code, lines)
    np.testing.assert_array_equal(whole, np.load(tmp_path / "out.npy"))


def test_a_time_that_is_set_back_hides_no_change(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # until the clock of the file system has moved on
        path.write_bytes(b"two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert before.st_mtime_ns == path.stat().st_mtime_ns
    assert has_changed(before, path.stat())


@pytest.mark.parametrize("name", ["k.txt", "k.npy", "k.json", "k.mat"])
def test_a_kernel_that_changes_while_it_is_read_is_refused(name, tmp_path, run, monkeypatch):
    path = tmp_path / name
    np.save(path, np.ones((3, 3))) if name.endswith("npy") else path.write_text("[[1, 2], [3, 4]]")
    when(monkeypatch, source.Source, "check", lambda: longer(path))
    code, lines = run("conv2d", image(tmp_path, "png"), "-k", path, "-o", tmp_path / "out.png")
    assert (1, 1) == (code, len(lines))
    assert lines[0].endswith("[changed]")
    assert f"{str(path)!r}" in lines[0]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_network_that_is_lost_is_one_line(number, tmp_path, run, monkeypatch):
    def lost(*_):
        raise OSError(number, os.strerror(number))

    path = large(tmp_path, "npy")
    monkeypatch.setattr("os.preadv", lost)
    check_refused(run, path, *LITTLE, "-o", tmp_path / "out.npy", codes=["corrupt"])


# Output


def names(folder):
    """What is in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())


def swap(folder):
    """Another folder takes the name of one."""
    folder.rename(folder.with_name("old"))
    folder.mkdir()


@pytest.fixture(params=["unnamed", "named"])
def kind_of_draft(request, monkeypatch):
    """Drafts without a name where the system has them, and hidden ones as elsewhere."""
    if request.param == "named":
        monkeypatch.setattr(atomic, "OPEN_FILES", "/none")


@pytest.mark.parametrize("force", [True, False])
def test_a_result_goes_to_the_folder_that_was_opened(force, tmp_path, kind_of_draft):
    out = tmp_path / "out"
    out.mkdir()
    if force:
        (out / "a").write_bytes(b"old")
    with atomic_output(out / "a", force=force) as stream:
        stream.write(b"new")
        swap(out)
        (out / "a").write_bytes(b"another")
    assert b"another" == (out / "a").read_bytes()
    assert (["a"], b"new") == (names(tmp_path / "old"), (tmp_path / "old" / "a").read_bytes())


@pytest.mark.parametrize(
    ("make", "owner", "target"),
    [(image, one, "x.webp"), (large, formats.Windows, "x.tif")],
    ids=["whole", "by windows"],
)
def test_a_run_writes_into_the_folder_that_was_there_when_it_began(make, owner, target, tmp_path, run, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    when(monkeypatch, owner, "read", lambda: swap(out))
    assert (0, []) == run("conv2d", make(tmp_path, "npy"), "-k", "box:3", "-q", *LITTLE, "-o", out / target)
    assert ([], [target]) == (names(out), names(tmp_path / "old"))


def test_a_folder_in_which_nobody_may_look_is_written_to(tmp_path, monkeypatch):
    """A drop box: the superuser, who runs tests in a container, may look everywhere, so a refusal is put in place."""
    real = os.open

    def opened(path, flags, *more, **named):
        if Path(path) == tmp_path and flags & 3 == os.O_RDONLY and not flags & getattr(os, "O_PATH", 0):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *more, **named)

    monkeypatch.setattr("os.open", opened)
    with atomic_output(tmp_path / "a") as stream:
        stream.write(b"new")
    assert b"new" == (tmp_path / "a").read_bytes()


def recorded(monkeypatch, folder):
    """The calls that make names and see to it that they last, in their order."""
    calls, number = [], folder.stat().st_ino
    for name in ("link", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(f"os.{name}", lambda *a, real=real, name=name, **k: (calls.append(name), real(*a, **k))[1])
    sync = os.fsync

    def synced(descriptor):
        calls.append("sync folder" if os.fstat(descriptor).st_ino == number else "sync")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", synced)
    return calls


@pytest.mark.parametrize("force", [True, False])
def test_the_folder_is_synced_behind_the_name(force, tmp_path, kind_of_draft, monkeypatch):
    (tmp_path / "a").write_bytes(b"old") if force else None
    calls = recorded(monkeypatch, tmp_path)
    with atomic_output(tmp_path / "a", force=force) as stream:
        stream.write(b"new")
    assert ("sync", "sync folder") == (calls[0], calls[-1])
    assert {"link", "replace"} & set(calls[1:-1])


def test_a_batch_syncs_each_folder_once_at_its_end(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    calls = recorded(monkeypatch, tmp_path / "a")
    sync_folders([str(tmp_path / "a" / f"{number}.png") for number in range(9)] + [str(tmp_path / "no" / "b.png")])
    assert ["sync folder"] == calls


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_syncs_no_folders_is_no_fault(number, tmp_path, monkeypatch):
    real, folder = os.fsync, tmp_path.stat().st_ino

    def refuse(descriptor):
        if os.fstat(descriptor).st_ino == folder:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr("os.fsync", refuse)
    with atomic_output(tmp_path / "a") as stream:
        stream.write(b"new")
    assert b"new" == (tmp_path / "a").read_bytes()


def test_a_folder_that_cannot_be_synced_is_told(tmp_path, monkeypatch):
    real, folder = os.fsync, tmp_path.stat().st_ino

    def refuse(descriptor):
        if os.fstat(descriptor).st_ino == folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(ConvError, match="Input/output error"), atomic_output(tmp_path / "a") as stream:
        stream.write(b"new")
