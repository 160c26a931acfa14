"""What a hostile file may not do: run code, start programs, reach the network, name other files, or fill the memory."""

import ast
import gzip
import json
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import convcli
from command import InProcess, environment
from convcli.formats import encode
from convcli.formats.pillow import webp_canvas
from convcli.image import Image, ImageInfo
from faults import (
    GREY,
    RGB,
    companion_ome,
    declared_tiff,
    directory_tiff,
    imagej,
    npy_header,
    pickled_npy,
    pillow,
    png,
    put,
    tiff,
    zip_bomb,
)

MODULES = sorted(Path(convcli.__file__).parent.rglob("*.py"))
RUNS_CODE = {"eval", "exec", "compile", "__import__", "system", "popen", "execv", "execve", "spawnv", "posix_spawn"}
PATIENCE = 3.0  # seconds, on a machine with other work; each takes a tenth of that
ROOM = 400 * 2**20  # bytes of address space that refusing a file may take
TRAP = "`touch trap`; file:///etc/passwd"
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


# What the program has no means to do


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_nothing_runs_code_or_programs(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {getattr(call.func, "id", getattr(call.func, "attr", "")) for call in calls if not is_regular(call)}
    assert not names & RUNS_CODE
    given = {(word.arg, getattr(word.value, "value", None)) for call in calls for word in call.keywords}
    assert not given & {("allow_pickle", True), ("shell", True)}


def is_regular(call):
    """True for re.compile."""
    return getattr(getattr(call.func, "value", None), "id", "") == "re"


WATCHED = """
import json, os, sys
from convcli.cli import run

FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "pickle.",
             "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.")
folder, words = sys.argv[1], sys.argv[2:]
events, opened = set(), set()

def watch(event, arguments):
    if event.startswith(FORBIDDEN):
        events.add(event)
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        place = os.path.abspath(os.fsdecode(arguments[0]))
        if place.startswith(folder + "/"):
            opened.add(os.path.relpath(place, folder))

sys.addaudithook(watch)
code = run(words)
print(json.dumps([code, sorted(events), sorted(name for name in opened if not name.endswith(".part"))]))
"""


def watched(folder, *words):
    """(exit code, what it should not have done, files of the folder that it opened), as Python's audit events tell."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(folder), *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    code, events, opened = json.loads(done.stdout.splitlines()[-1])
    return code, events, opened


HOSTILE = [
    ("an OME-TIFF whose pixels are said to lie in other files", "in.ome.tif", companion_ome),
    ("a TIFF beside the index of an NDTiff data set", "in_NDTiffStack.tif", lambda: tiff(GREY)),
    ("a name and a description that a shell would run", "$(touch trap).tif", lambda: tiff(GREY, description=TRAP)),
    ("an array that runs code where it is unpickled", "in.npy", pickled_npy),
]


@pytest.mark.parametrize(("name", "make"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_file_starts_nothing_and_names_no_other_file(name, make, tmp_path):
    put(tmp_path, "a.ome.tif", tiff(GREY))
    put(tmp_path, "NDTiff.index", b"\x04\0\0\0{}\0\0" * 9)
    put(tmp_path, name, make())
    _, events, opened = watched(tmp_path, "conv2d", name, "-k", "box:3", "-o", "out.tif", "-q")
    assert ([], [name]) == (events, [each for each in opened if each != "out.tif"])
    assert not list(tmp_path.glob("*trap*sprung*")) + list(tmp_path.glob("trap"))


def test_kernel_and_network_files_start_nothing_and_name_no_other_file(tmp_path):
    put(tmp_path, "k.json", b'{"taps": [[1, 2]], "origin": [0, 0]}')
    put(tmp_path, "net.txt", b"input 3@8x8\nconv3-4p1\n")
    put(
        tmp_path, "model.txt", b"Sequential(\n  (0): Conv2d(3, 4, kernel_size=__import__('os').system('touch trap'))\n)"
    )
    assert (0, [], ["k.json"]) == watched(tmp_path, "kernels", "k.json")
    assert (0, [], ["net.txt"]) == watched(tmp_path, "shapes", "--file", "net.txt")
    assert (2, [], ["model.txt"]) == watched(tmp_path, "shapes", "3@8x8", "--from", "torch", "model.txt")
    assert not (tmp_path / "trap").exists()


# What declares or expands to more than it should


def resized(content, place, *numbers):
    """A file with other numbers at a place."""
    data = b"".join(number.to_bytes(size, "little") for number, size in numbers)
    return content[:place] + data + content[place + len(data) :]


def huge_gif():
    content = resized(pillow(GREY, "GIF"), 6, (65535, 2), (65535, 2))
    return resized(content, content.index(b",", 13) + 5, (65535, 2), (65535, 2))


def huge_bmp():
    return resized(pillow(GREY, "BMP"), 18, (60000, 4), (60000, 4))


def huge_webp():
    """A lossless WebP of one colour and a few bytes, 16,383 pixels wide and high."""
    content = bytearray(pillow(np.zeros((16, 16, 3), np.uint8), "WEBP", lossless=True))
    place = content.index(b"VP8L") + 9
    flags = int.from_bytes(content[place : place + 4], "little") >> 28 << 28
    content[place : place + 4] = (flags | 16382 << 14 | 16382).to_bytes(4, "little")
    return bytes(content)


def huge_nifti():
    """A compressed NIfTI of one plane whose header says that it has 9,000 x 9,000 voxels."""
    plain = bytearray(gzip.decompress(encode(Image(ImageInfo(GREY.shape, "uint8", "YX"), GREY), "nifti-gz")))
    struct.pack_into("<8h", plain, 40, 3, 9_000, 9_000, 1, 1, 1, 1, 1)
    return gzip.compress(bytes(plain))


def overfull_strip():
    """A TIFF of 100 x 100 whose strip holds a hundred megabytes."""
    strip, place = zlib.compress(bytes(100_000_000), 9), 8 + 2 + 9 * 12 + 4
    tags = [(256, 4, 1, 100), (257, 4, 1, 100), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    tags += [(273, 4, 1, place), (277, 3, 1, 1), (278, 4, 1, 100), (279, 4, 1, len(strip))]
    return directory_tiff(tags) + strip


def laughing_ome():
    """OME-XML of a kilobyte that expands to a terabyte."""
    entities = [f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10)]
    text = f'<!DOCTYPE l [<!ENTITY e0 "{"l" * 1000}">{"".join(entities)}]><OME xmlns="{OME}"><Image ID="&e9;"/></OME>'
    return tiff(GREY, description=f'<?xml version="1.0"?>{text}')


def reaching_ome():
    """OME-XML with an external entity."""
    text = f'<!DOCTYPE l [<!ENTITY e SYSTEM "file:///etc/passwd">]><OME xmlns="{OME}"><Image ID="&e;"/></OME>'
    return tiff(GREY, description=f'<?xml version="1.0"?>{text}')


def doubling_blocks():
    """Thirty blocks, each twice the one before."""
    lines = [b"b%d = ( b%d b%d )" % (i, i - 1, i - 1) for i in range(1, 30)]
    return b"\n".join([b"input 3@8x8", b"b0 = ( relu )", *lines, b"b29"])


def huge_npy():
    header = npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }")
    return header + bytes(80)


PICTURES = [
    ("PNG of 100,000 x 100,000", "a.png", lambda: png(100_000, 100_000, pixels=bytes(500)), "too-large"),
    ("PNG of 9,000 x 9,000 in 500 bytes", "a.png", lambda: png(9_000, 9_000, pixels=bytes(500)), "bomb"),
    ("GIF of 65,535 x 65,535", "a.gif", huge_gif, "too-large"),
    ("BMP of 60,000 x 60,000", "a.bmp", huge_bmp, "too-large"),
    ("WebP of 16,383 x 16,383 in a few bytes", "a.webp", huge_webp, "bomb"),
    ("TIFF of 200,000 x 200,000", "a.tif", lambda: declared_tiff(200_000, 200_000), "corrupt"),
    ("OME-XML that expands without end", "a.ome.tif", laughing_ome, "corrupt"),
    ("OME-XML with an external entity", "a.ome.tif", reaching_ome, "corrupt"),
    (
        "ImageJ with 87 planes that are not there",
        "a.tif",
        lambda: imagej().replace(b"images=12", b"images=99"),
        "corrupt",
    ),
    ("npy of 7 TiB", "a.npy", huge_npy, "corrupt"),
    ("npz that lies", "a.npz", zip_bomb, "corrupt"),
    ("NIfTI of 9,000 x 9,000 in a few bytes", "a.nii.gz", huge_nifti, "bomb"),
]
KERNELS = [
    ("text of 20 MB", "k.txt", lambda: b"1 " * 10_000_000, "too-large"),
    ("a number of a million digits", "k.txt", lambda: b"9" * 1_000_000, "kernel"),
    ("JSON of a million brackets", "k.json", lambda: b"[" * 1_000_000, "corrupt"),
    ("npy of 7 TiB", "k.npy", huge_npy, "too-large"),
    ("PNG of 100,000 x 100,000", "k.png", lambda: png(100_000, 100_000, colour=0, pixels=bytes(500)), "too-large"),
    ("OME-XML that expands without end", "k.tif", laughing_ome, "corrupt"),
    ("TIFF strip that expands to more than its image", "k.tif", overfull_strip, "corrupt"),
]
NETWORKS = [
    ("repetitions of repetitions", "n.txt", lambda: b"input 3@8x8\n" + b"9999*( " * 6 + b"relu" + b" )" * 6, "layer"),
    ("brackets in brackets", "n.txt", lambda: b"input 3@8x8\n" + b"( " * 200_000, "layer"),
    ("TOML brackets in brackets", "n.toml", lambda: b"layers=" + b"[" * 100_000, "layer"),
    ("a word of a million characters", "n.txt", lambda: b"input 3@8x8\n" + b"9" * 1_000_000, "layer"),
    ("blocks of blocks", "n.txt", doubling_blocks, "layer"),
]


class bounded_memory:  # noqa: N801 -- a context manager
    """This process may take little more address space than it has."""

    def __enter__(self):
        import resource

        self.old = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, self.old[1]))

    def __exit__(self, *_):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, self.old)


def check_bounded(capfd, words, code):
    """One short line with the code, soon, in little memory."""
    run, start = InProcess(capfd), time.perf_counter()
    with bounded_memory():
        found, lines = run(*words)
    assert (True, 1) == (found in (1, 2), len(lines)), lines
    assert lines[0].endswith(f"[{code}]"), lines[0][:500]
    assert len(lines[0]) < 2000
    assert time.perf_counter() - start < PATIENCE


def cases(table):
    return pytest.mark.parametrize(("name", "make", "code"), [row[1:] for row in table], ids=[row[0] for row in table])


@cases(PICTURES)
def test_a_picture_that_is_a_bomb_is_refused(name, make, code, tmp_path, capfd):
    check_bounded(capfd, ["conv2d", put(tmp_path, name, make()), "-k", "box:3", "-o", tmp_path / "out.tif"], code)


@cases(KERNELS)
def test_a_kernel_that_is_a_bomb_is_refused(name, make, code, tmp_path, capfd):
    check_bounded(capfd, ["kernels", put(tmp_path, name, make())], code)


@cases(NETWORKS)
def test_a_network_that_is_a_bomb_is_refused(name, make, code, tmp_path, capfd):
    check_bounded(capfd, ["shapes", "--file", put(tmp_path, name, make())], code)


def test_what_a_strip_holds_beyond_its_image_takes_no_memory(tmp_path, capfd):
    path = put(tmp_path, "a.tif", overfull_strip())
    with bounded_memory():
        assert (0, []) == InProcess(capfd)("conv2d", path, "-k", "box:3", "-q", "-o", tmp_path / "out.tif")


def test_rgb_and_grey_are_no_bombs(tmp_path, capfd):
    for number, pixels in enumerate((GREY, RGB)):
        path = put(tmp_path, f"{number}.png", pillow(pixels, "PNG"))
        assert (0, []) == InProcess(capfd)("conv2d", path, "-k", "box:3", "-q", "-o", tmp_path / f"{number}.tif")


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"quality": 80, "icc_profile": b"icc!"}])
@pytest.mark.parametrize("shape", [(16, 16, 3), (7, 5, 3), (33, 1000, 4)])
def test_the_size_of_a_webp_is_known_before_it_is_opened(shape, options):
    content = pillow(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), "WEBP", **options)
    assert shape[:2] == webp_canvas(content)
