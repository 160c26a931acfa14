"""Files damaged at random, the same ones every time, and what each reader makes of them.

Run as a program with the name of a reader, it reads that reader's share in this process, whose memory is bounded, and
prints a line for everything that a reader may not do. The files are small, so nothing may take long or need much.
"""

from __future__ import annotations

import re
import struct
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import printouts
from convcli.commands.designs import DesignOptions, read_designs
from convcli.errors import ConvError
from convcli.formats import FORMATS, WriteOptions, check_writable, encode, probe, read
from convcli.image import Image, ImageInfo
from convcli.kernels import files, parse_kernel
from convcli.kernels.saving import FORMATS as KERNEL_FORMATS
from convcli.kernels.saving import encode as encode_kernel
from convcli.networks.told.tables import Listing
from faults import GREY, RGB, STACK, imagej, jpeg, ome, pillow, tiff

SEED = 20261122
LONGEST = 1.0  # seconds of this process's time for one file
ROOM = 400 * 2**20  # bytes of address space beyond what the libraries take
EXTREMES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\0\0", b"\0\0\0\0\xff\xff")
NUMBERS = (b"0", b"-1", b"9" * 30, b"1e999", b"nan", b"0.5", b"4096", b"2147483648", b"")
NUMBER = re.compile(rb"\d+")


@dataclass(frozen=True)
class Reader:
    """A reader: sound files by a name that ends in their suffix, how one is read, and how many damaged ones it gets."""

    sound: Callable[[], Mapping[str, bytes]]
    read: Callable[[Path], None]
    share: int


# What is read


def pictures():
    """The files of every format that is written, and the kinds of TIFF, PNG and JPEG that others write."""
    grey = Image(ImageInfo(GREY.shape, "uint8", "YX", metadata={"description": "d"}), GREY)
    colour = Image(ImageInfo(RGB.shape, "uint8", "YXS", samples="rgb"), RGB)
    light = Image(ImageInfo(RGB.shape, "float32", "YXS", samples="rgb"), RGB.astype(np.float32))
    planes = np.ascontiguousarray(STACK[:, :16, :16])
    volume = Image(ImageInfo(planes.shape, "uint16", "ZYX"), planes)
    found = {}
    for name, entry in FORMATS.items():
        for kind, image in (("grey", grey), ("colour", colour), ("volume", volume), ("light", light)):
            named = entry.module != "npy" or image is grey  # arrays do not say what their dimensions are
            named &= name != "jxr" or image is colour  # each is read in a process of its own, which takes its time
            if named and entry.dtypes and not entry.folder and holds(entry, image.info):
                found[f"{kind} {name}{(entry.suffixes or ('.tif',))[0]}"] = encode(image, name)
    for compression in ("deflate", "lzw", "zstd"):
        found[f"{compression}.tif"] = encode(colour, "tiff", WriteOptions(compression=compression))
    return found | {
        "tiles.tif": tiff(STACK[:2], tile=(16, 16), compression="zlib"),
        "predicted.tif": tiff(STACK[:2], compression="zlib", predictor=True),
        "jpeg inside.tif": tiff(RGB, photometric="rgb", compression="jpeg"),
        "palette.tif": tiff(GREY, photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        "bits.tif": tiff(GREY > 99, bigtiff=True),
        "imagej zlib.tif": imagej(compression="zlib"),
        "ome zlib.ome.tif": ome(compression="zlib"),
        "palette.png": pillow(palette(), "PNG"),
        "interlaced.gif": pillow(GREY, "GIF", interlace=1),
        "progressive.jpg": jpeg(progressive=True),
        "restarts.jpg": jpeg(restart_marker_rows=1),
        "text.pgm": b"P2 4 2 99\n" + b"1 2 3 4\n5 6 7 8\n",
        "bits.pbm": b"P4 16 4\n" + bytes(range(8)),
    }


def holds(entry, info):
    """Whether a format can hold such an image."""
    try:
        check_writable(entry, info)
    except ConvError:
        return False
    return True


def palette():
    import PIL.Image

    return PIL.Image.fromarray(GREY % 16, "L").convert("P")


def read_picture(path):
    """Read a picture twice: what its header says, and all of it; both say the same."""
    image = read(path)
    assert image.data.shape == image.info.shape == probe(path).shape
    assert image.data.dtype.name == image.info.dtype


def kernel_files():
    """A kernel in every format that is written, and the text forms that others write."""
    plane = parse_kernel("0 -1 0; -1 5 -1; 0 -1 0")
    found = {f"plane{suffix}": encode_kernel(plane, suffix) for suffix in KERNEL_FORMATS}
    bank = parse_kernel("1 2 ^ 3 4")
    for suffix in (".json", ".npy", ".npz"):
        found[f"bank{suffix}"] = encode_kernel(bank, suffix)
    return found | {
        "slices.txt": b"# three slices\n1 2 1\n\n2 4 2\n\n1 2 1\n",
        "fractions.txt": b"1/9 1/9 1/9\n1/9 1/9 1/9\n",
        "rows.csv": b"1,2,1\n2,4,2\n1,2,1\n",
        "scaled.mat": b"3 3 8 128\n-1 -1 -1\n-1 16 -1\n-1 -1 -1\n",
        "object.json": b'{"taps": [[1, 2], [3, 4]], "origin": [0, 1], "offset": 5}',
        "measured.png": encode(Image(ImageInfo((5, 5), "uint8", "YX"), GREY[:5, :5].copy()), "png"),
        "measured.tif": tiff(STACK[:3, :3, :3]),
    }


def read_kernel_file(path):
    """Read a kernel for pictures and for volumes: for one of them at least, and all its taps are finite."""
    refused = []
    for ndim in (2, 3):
        try:
            assert np.isfinite(files.read_kernel(str(path), ndim).array()).all()
        except ConvError as error:
            refused.append(error)
    if len(refused) == 2:
        raise refused[0]


def network_files():
    """Networks in text and TOML."""
    folder = Path(__file__).parents[1] / "samples/networks"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def read_network_file(path):
    """Read a network, trace it and count its costs."""
    listed(read_designs(None, DesignOptions(file=str(path))))


def printed_models():
    """What PyTorch prints of models, each named after its input."""
    found = {"3@224x224": printouts.ALEXNET, "100@1x1": printouts.DCGAN}
    return {f"{shape}.txt": text.encode() for shape, text in found.items()}


def read_printed_model(path):
    """Read a printed model for the input in its name."""
    listed(read_designs([path.stem.split()[-1], str(path)], DesignOptions(source="torch")))


def listed(designs):
    """Everything that `shapes` and `flops` work out."""
    for design in designs:
        assert Listing(design.trace(), DesignOptions().convention()).total is not None


READERS = {
    "pictures": Reader(pictures, read_picture, 2000),
    "kernels": Reader(kernel_files, read_kernel_file, 500),
    "networks": Reader(network_files, read_network_file, 250),
    "printouts": Reader(printed_models, read_printed_model, 250),
}


# How it is damaged


def mutated(content, rng):
    """The file with bytes lost, added, repeated or overwritten, or a number changed, mostly near its start."""
    data = bytearray(content)
    place = int(rng.integers(0, min(len(data), 400) if rng.random() < 0.7 else len(data)))
    match rng.integers(0, 7):
        case 0:
            del data[place:]
        case 1:
            del data[place : place + int(rng.integers(1, 60))]
        case 2:
            data[place:place] = rng.bytes(int(rng.integers(1, 40)))
        case 3:
            extreme = EXTREMES[rng.integers(len(EXTREMES))]
            data[place : place + len(extreme)] = extreme
        case 4:
            part = data[place : place + int(rng.integers(1, 60))]
            data[place:place] = part * int(rng.choice([1, 2, 300]))
        case 5:
            numbers = list(NUMBER.finditer(content))
            if numbers:
                start, end = numbers[rng.integers(len(numbers))].span()
                data[start:end] = NUMBERS[rng.integers(len(NUMBERS))]
        case _:
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(0, len(data))] = rng.integers(0, 256)
    return bytes(data) or b"x"


def repaired(content):
    """A PNG with the checksums that its chunks should have, so that damage is met behind them; other files as they are.

    >>> repaired(b"text")
    b'text'
    """
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    data, place = bytearray(content), 8
    while place + 12 <= len(data):
        end = place + 8 + struct.unpack_from(">I", data, place)[0]
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(data)


def damaged(reader, number):
    """The name and content of the damaged file of a number: sound files take turns."""
    sound = contents(reader)
    name = list(sound)[number % len(sound)]
    rng = np.random.default_rng([SEED, number])
    content = mutated(sound[name], rng)
    return name, repaired(content) if rng.random() < 0.5 else content


@cache
def contents(reader):
    """The sound files of a reader."""
    return READERS[reader].sound()


# What comes of it


def problem(reader, path):
    """What is wrong about how a damaged file was read; nothing where it was read, or refused in one line."""
    start = time.process_time()
    try:
        READERS[reader].read(path)
    except ConvError as error:
        if "\n" in error.message or error.code == "memory":
            return f"{error}"
    except AssertionError as error:
        return f"a law does not hold: {error}"
    except Exception as error:  # noqa: BLE001 -- any other error is what is looked for
        return f"{type(error).__name__}: {error}"
    taken = time.process_time() - start
    return f"took {taken:.1f} s" if taken > LONGEST else ""


def main(reader):
    """Read every damaged file of a reader; print what is wrong, then how many were read."""
    sound = contents(reader)
    with TemporaryDirectory() as folder:
        for name, content in sound.items():
            path = Path(folder, name)
            path.write_bytes(content)
            READERS[reader].read(path)  # libraries are loaded, and what is sound is read
        bound_memory()
        for number in range(READERS[reader].share):
            name, content = damaged(reader, number)
            path = Path(folder, f"{number} {name}")
            path.write_bytes(content)
            if wrong := problem(reader, path):
                print(f"{reader} {number}, {name}: {wrong}")
            path.unlink()
    print(f"{READERS[reader].share} read")


def bound_memory():
    """Let this process have little more memory than it has."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(sys.argv[1])
