"""Output appears whole or not at all, whatever stops the program."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from convcli.errors import ConvError
from convcli.formats import atomic, read, write
from convcli.formats.atomic import atomic_output, same_file
from convcli.image import Image, ImageInfo
from convcli.system import offered

NAMED = "named"
UNNAMED = "unnamed"


@pytest.fixture(params=[UNNAMED, NAMED], autouse=True)
def kind_of_draft(request, monkeypatch):
    """Drafts without a name where the system has them, and hidden ones as elsewhere: the same laws hold."""
    if request.param == NAMED:
        monkeypatch.setattr(atomic, "OPEN_FILES", "/none")
    return request.param


def files(folder):
    """The names in a folder, hidden ones included."""
    return sorted(path.name for path in folder.iterdir())


def put(path, content, *, force=False):
    """Write content through an atomic output."""
    with atomic_output(path, force=force) as stream:
        stream.write(content)


def check_refused(code, path, *, force=False):
    """Writing there is refused with this code, and leaves the folder as it is."""
    before = files(path.parent) if path.parent.is_dir() else None
    with pytest.raises(ConvError) as caught:
        put(path, b"new", force=force)
    assert (code, str(path)) == (caught.value.code, caught.value.where)
    assert before == (files(path.parent) if path.parent.is_dir() else None)


def test_content_appears_under_the_name_alone(tmp_path):
    with atomic_output(tmp_path / "a") as stream:
        stream.write(b"half")
        assert "a" not in files(tmp_path)
        stream.seek(0)
        stream.write(b"whole")
    assert (b"whole", ["a"]) == ((tmp_path / "a").read_bytes(), files(tmp_path))


def test_a_new_file_has_the_mode_that_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        put(tmp_path / "a", b"new")
    finally:
        os.umask(before)
    assert 0o640 == stat.S_IMODE((tmp_path / "a").stat().st_mode)


def test_an_old_file_needs_force_and_keeps_its_mode(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o604)

    check_refused("exists", path)
    assert b"old" == path.read_bytes()

    put(path, b"new", force=True)
    assert (b"new", 0o604) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
def test_whatever_is_raised_nothing_changes(error, tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    for name, force in (("new", False), ("old", True)):
        with pytest.raises(error), atomic_output(tmp_path / name, force=force) as stream:
            stream.write(bytes(100_000))
            raise error
    assert (["old"], b"old") == (files(tmp_path), (tmp_path / "old").read_bytes())


def test_a_link_keeps_pointing(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("data/a")
    (tmp_path / "new").symlink_to("data/b")

    check_refused("exists", tmp_path / "link")
    put(tmp_path / "link", b"new", force=True)
    put(tmp_path / "new", b"newer")

    assert (tmp_path / "link").is_symlink()
    assert (b"new", b"newer") == tuple((tmp_path / "data" / name).read_bytes() for name in "ab")


def test_other_names_of_the_file_keep_the_old_content(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    put(tmp_path / "a", b"new", force=True)
    assert (b"new", b"old") == ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes())


def test_what_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "circle").symlink_to("circle")
    check_refused("is-directory", tmp_path / "folder", force=True)
    check_refused("not-found", tmp_path / "missing" / "a")
    check_refused("not-found", tmp_path / "file" / "a")
    check_refused("not-found", tmp_path / "circle", force=True)
    check_refused("not-found", tmp_path / ("n" * 256))


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)  # the superuser, who runs tests in a container, may write everywhere
    with pytest.raises(ConvError, match="permission denied") as caught:
        put(tmp_path / "a", b"new")
    assert caught.value.code == "permission"


@pytest.mark.parametrize("name", ["a b", "new\nline", "*$'\"", "é😀", "\udcff\udcfe", "n" * 255, "-leading", ".hidden"])
def test_any_name_that_the_system_takes_is_written(name, tmp_path):
    put(tmp_path / name, b"1")
    put(tmp_path / name, b"2", force=True)
    assert ([name], b"2") == (files(tmp_path), (tmp_path / name).read_bytes())


def test_of_many_writers_exactly_one_wins(tmp_path):
    path, results = tmp_path / "a", []
    barrier = threading.Barrier(6)

    def compete(number):
        try:
            with atomic_output(path) as stream:
                stream.write(b"%d" % number)
                barrier.wait()
            results.append(number)
        except ConvError as error:
            results.append(error.code)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    winners = [result for result in results if isinstance(result, int)]
    assert ([b"%d" % winners[0]], ["exists"] * 5) == ([path.read_bytes()], sorted(set(results) - set(winners)) * 5)
    assert ["a"] == files(tmp_path)


def test_a_file_system_without_hard_links_is_still_exclusive(tmp_path, monkeypatch, kind_of_draft):
    if kind_of_draft == UNNAMED:
        pytest.skip("unnamed files exist only where links do")

    def refuse(*_arguments, **_options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    put(tmp_path / "a", b"first")
    with pytest.raises(ConvError, match="exists"), atomic_output(tmp_path / "b") as stream:
        stream.write(b"second")
        (tmp_path / "b").write_bytes(b"a faster one")
    assert (b"first", b"a faster one") == ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes())


def test_devices_and_pipes_are_written_directly(tmp_path):
    put(Path("/dev/null"), b"gone")
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    put(tmp_path / "pipe", b"through")
    reader.join()
    assert ([b"through"], ["pipe"]) == (received, files(tmp_path))


def test_every_format_goes_through_a_pipe(tmp_path):
    image = Image(ImageInfo((9, 7), "uint8", "YX"), np.arange(63, dtype=np.uint8).reshape(9, 7))
    os.mkfifo(tmp_path / "pipe")
    for name in ("png", "tiff", "npy", "npz"):
        received = []
        reader = threading.Thread(target=lambda into=received: into.append((tmp_path / "pipe").read_bytes()))
        reader.start()
        write(tmp_path / "pipe", image, format=name)
        reader.join()
        assert np.array_equal(image.data, read(received[0]).data), name


def test_a_full_device_is_told(tmp_path):
    image = Image(ImageInfo((9, 7), "uint8", "YX"), np.zeros((9, 7), np.uint8))
    for name in ("png", "tiff"):
        with pytest.raises(ConvError) as caught:
            write(Path("/dev/full"), image, format=name)
        assert ("disk-full", "/dev/full") == (caught.value.code, caught.value.where)


def test_the_same_file_by_any_path(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    os.link(path, tmp_path / "hard")
    (tmp_path / "soft").symlink_to("a")
    assert all(same_file(path, tmp_path / name) for name in ("a", "hard", "soft", f"../{tmp_path.name}/a"))
    assert not same_file(path, tmp_path / "none")
    (tmp_path / "other").write_bytes(b"")
    assert not same_file(path, tmp_path / "other")


WRITER = """
import sys
from pathlib import Path
import numpy as np
from convcli.formats import atomic, write
from convcli.image import Image, ImageInfo
if sys.argv[3] == "named":
    atomic.OPEN_FILES = "/none"
data = np.random.default_rng(0).integers(0, 256, (3000, 3000), np.uint8)
print("ready", flush=True)
for number in range(1000):
    write(Path(sys.argv[1]), Image(ImageInfo(data.shape, "uint8", "YX"), data), format=sys.argv[2], force=True)
"""


@pytest.mark.parametrize("name", ["png", "tiff"])
@pytest.mark.parametrize("number", [signal.SIGINT, *offered(signal, "SIGKILL")])
def test_a_program_stopped_in_the_middle_leaves_the_old_file(name, number, tmp_path, kind_of_draft):
    path = tmp_path / "a"
    image = Image(ImageInfo((3000, 3000), "uint8", "YX"), np.zeros((3000, 3000), np.uint8))
    write(path, image, format=name)
    command = [sys.executable, "-c", WRITER, path, name, kind_of_draft]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        child.stdout.readline()
        time.sleep(0.13)
        child.send_signal(number)
    left = files(tmp_path)
    if number == signal.SIGINT:
        assert ["a"] == left
    if number == signal.SIGINT or kind_of_draft == UNNAMED:  # one that is killed may leave a whole draft
        assert len(left) <= 2
        assert all(read(tmp_path / one).data.shape == (3000, 3000) for one in left)
    assert read(path).data.shape == (3000, 3000)  # old or new, but whole


def test_a_process_killed_between_its_last_two_steps_leaves_both_files_whole(tmp_path, kind_of_draft):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    last_step = "import os\nos.replace = lambda *_, **_more: os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", last_step + WRITER, path, "png", kind_of_draft]
    assert -signal.SIGKILL == subprocess.run(command, check=False, stdout=subprocess.PIPE).returncode
    draft, old = files(tmp_path)
    assert ("a", b"old") == (old, path.read_bytes())
    assert draft.startswith(".a.")
    assert read(tmp_path / draft).data.shape == (3000, 3000)


@pytest.mark.parametrize("name", ["png", "tiff", "npy", "npz", "jpeg", "bmp", "pgm"])
def test_a_full_disk_is_told_and_leaves_the_old_file(name, tmp_path):
    import resource

    path = tmp_path / "a"
    path.write_bytes(b"old")
    data = np.random.default_rng(0).integers(0, 256, (400, 400)).astype(np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(ConvError) as caught:
            write(path, Image(ImageInfo(data.shape, "uint8", "YX"), data), format=name, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert ("disk-full", str(path)) == (caught.value.code, caught.value.where)
    assert (["a"], b"old") == (files(tmp_path), path.read_bytes())
