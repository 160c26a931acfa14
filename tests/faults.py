"""A table of files that are broken, lie, or are unusual, made by other tools than the ones under test where possible.

Each fault has a maker, which puts a file into a folder and returns its path, and the code of the error that reading it
ends in, or None where it must be read. Tests iterate `FAULTS`.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import tifffile

from needs import there

rng = np.random.default_rng(4)
GREY = rng.integers(0, 256, (40, 48), dtype=np.uint8)
RGB = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
PHOTO = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
STACK = rng.integers(0, 60000, (12, 64, 64), dtype=np.uint16)


@dataclass(frozen=True)
class Fault:
    """One file: how it is made, and the code that reading it must end in (None: it is read)."""

    name: str
    make: Callable[[Path], Path]
    code: str | None


def put(folder, name, content):
    """A file with this content."""
    path = folder / name
    path.write_bytes(content)
    return path


# PNG, put together chunk by chunk


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth=8, colour=2, *, pixels=None, extra=b""):
    """A PNG of these parameters; by default with as many bytes of pixels as it declares."""
    if pixels is None:
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        pixels = b"".join(b"\0" + rng.bytes((width * channels * depth + 7) // 8) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            extra,
            chunk(b"IDAT", zlib.compress(pixels)),
            chunk(b"IEND", b""),
        ]
    )


def flipped(content, place):
    """The same with one bit turned."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def pillow(array, kind, **options):
    """A file as Pillow writes it."""
    stream = io.BytesIO()
    image = array if isinstance(array, PIL.Image.Image) else PIL.Image.fromarray(array)
    image.save(stream, kind, **options)
    return stream.getvalue()


def jpeg(**options):
    return pillow(PHOTO, "JPEG", quality=85, **options)


def resized_header(content, height, width):
    """A JPEG that declares another size."""
    place = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    return content[: place + 5] + struct.pack(">HH", height, width) + content[place + 9 :]


def animated_gif():
    frames = [PIL.Image.fromarray(np.full((20, 30), level, np.uint8)) for level in (0, 100, 200)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def palette_with_transparency():
    image = PIL.Image.new("P", (48, 40))
    image.putdata([int(level) % 4 for level in GREY.ravel()])
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    return pillow(image, "PNG", transparency=b"\0\x80\xff\xff")


# TIFF


def tiff(array, **options):
    """A file as tifffile writes it, plain unless asked for more."""
    stream = io.BytesIO()
    described = any(key in options for key in ("metadata", "imagej", "ome"))
    tifffile.imwrite(
        stream, array, **{"photometric": "minisblack"} | ({} if described else {"metadata": None}) | options
    )
    return stream.getvalue()


def imagej(**options):
    return tiff(
        STACK, imagej=True, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"}, resolution=(5, 5), **options
    )


def ome(**options):
    return tiff(STACK, ome=True, metadata={"axes": "ZYX"}, **options)


def half(content):
    return content[: len(content) // 2]


def directory_tiff(entries, *, following=0, place=8):
    """A TIFF of one directory with the given (code, type, count, value), and nothing else."""
    body = struct.pack("<2sHIH", b"II", 42, place, len(entries))
    return body + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries)) + struct.pack("<I", following)


def declared_tiff(width, height, **options):
    """A grey TIFF of 8 bits whose one strip has 64 bytes."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 64)]
    return directory_tiff(tags, **options) + bytes(64)


def looped_tiff():
    """A file whose 151st page is followed by the 121st."""
    content = bytearray(tiff(np.zeros((151, 4, 4), np.uint8)))
    offsets, place = [], 4
    while offset := struct.unpack_from("<I", content, place)[0]:
        offsets.append(offset)
        place = offset + 2 + 12 * struct.unpack_from("<H", content, offset)[0]
    struct.pack_into("<I", content, place, offsets[120])
    return bytes(content)


def corrupt_strip():
    """A compressed TIFF with ten bytes of its pixels overwritten."""
    content = tiff(RGB, photometric="rgb", compression="zlib")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        place = file.pages[0].dataoffsets[0] + 100
    return content[:place] + b"\xff" * 10 + content[place + 10 :]


def fewer_pages():
    """An ImageJ stack whose list of pages was ended early, properly: nothing but the description tells."""
    content = bytearray(imagej(compression="zlib"))
    place = 4
    for _ in range(6):
        offset = struct.unpack_from("<I", content, place)[0]
        place = offset + 2 + 12 * struct.unpack_from("<H", content, offset)[0]
    struct.pack_into("<I", content, place, 0)
    return bytes(content)


def companion_ome():
    """An OME-TIFF that says half of its planes are in another file."""
    content = ome()
    start, end = content.find(b"<TiffData"), content.find(b"</Pixels>")
    parts = b"".join(
        b'<TiffData IFD="0" FirstZ="%d" PlaneCount="6"><UUID FileName="%s">urn:uuid:%d</UUID></TiffData>' % part
        for part in ((0, b"a.ome.tif", 1), (6, b"../b.ome.tif", 2))
    )
    text = content[content.find(b"<?xml") : start] + parts + content[end:].rstrip(b"\0")
    return tiff(STACK, description=text)


def two_images_ome():
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as file:
        file.write(STACK, photometric="minisblack", metadata={"axes": "ZYX"})
        file.write(GREY, photometric="minisblack", metadata={"axes": "YX"})
    return stream.getvalue()


# NumPy


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_header(text):
    line = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(line)) + line


def npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


class Trap:
    """Unpickling this would leave a file behind."""

    def __reduce__(self):
        return Path.touch, (Path("trap-was-sprung"),)


def pickled_npy():
    return npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }") + pickle.dumps(Trap())


def zip_bomb():
    """An archive whose array expands a thousandfold."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (9000, 9000), }"))
    return stream.getvalue()


def zipped(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "text")
    return stream.getvalue()


# What is no regular file


def dangling_link(folder):
    path = folder / "link.png"
    path.symlink_to(folder / "gone.png")
    return path


def looped_link(folder):
    (folder / "a.png").symlink_to(folder / "b.png")
    (folder / "b.png").symlink_to(folder / "a.png")
    return folder / "a.png"


def fifo(folder):
    os.mkfifo(folder / "pipe.png")
    return folder / "pipe.png"


def unix_socket(folder):
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(folder)  # the name of a socket is short
    try:
        server.bind("s.png")
    finally:
        os.chdir(here)
        server.close()
    return folder / "s.png"


def unreadable(folder):
    path = put(folder, "secret.png", png(4, 4))
    path.chmod(0)
    return path


def fault(name, content, code, suffix):
    """A fault that is a matter of content alone."""
    return Fault(name, lambda folder: put(folder, f"file{suffix}", content()), code)


FAULTS = [
    Fault("no such file", lambda folder: folder / "none.png", "not-found"),
    Fault("file as a folder", lambda folder: put(folder, "a.png", png(4, 4)) / "b.png", "not-found"),
    Fault("name too long", lambda folder: folder / ("n" * 300 + ".png"), "not-found"),
    Fault("folder", lambda folder: folder, "is-directory"),
    *(
        special
        for thing, special in (
            ("symbolic links", Fault("dangling link", dangling_link, "not-found")),
            ("symbolic links", Fault("links in a circle", looped_link, "not-found")),
            ("os.mkfifo", Fault("pipe", fifo, "not-regular")),
            ("socket.AF_UNIX", Fault("socket", unix_socket, "not-regular")),
            ("/dev/zero", Fault("device", lambda _: Path("/dev/zero"), "not-regular")),
            ("file modes", Fault("unreadable", unreadable, "permission")),
        )
        if there(thing)
    ),
    fault("empty", lambda: b"", "empty", ".png"),
    fault("one byte", lambda: b"x", "unknown-format", ".png"),
    fault("text", lambda: b"Dear reader, this is no picture.\n" * 9, "unknown-format", ".png"),
    fault("JPEG named .png", jpeg, None, ".png"),
    # PNG
    fault("PNG cut in half", lambda: half(png(40, 30)), "corrupt", ".png"),
    fault("PNG without end", lambda: png(40, 30)[:-12], "corrupt", ".png"),
    fault("PNG header only", lambda: png(40, 30)[:33], "corrupt", ".png"),
    fault("PNG signature only", lambda: png(40, 30)[:8], "corrupt", ".png"),
    fault("PNG bad CRC of pixels", lambda: flipped(png(40, 30), 200), "corrupt", ".png"),
    fault("PNG bad CRC of header", lambda: flipped(png(40, 30), 19), "corrupt", ".png"),
    fault("PNG bad CRC of text", lambda: png(4, 4, extra=flipped(chunk(b"tEXt", b"a\0b"), 9)), "corrupt", ".png"),
    fault("PNG too few pixels", lambda: png(40, 30, pixels=bytes(500)), "corrupt", ".png"),
    fault("PNG declared 100000x100000", lambda: png(100_000, 100_000, pixels=bytes(500)), "too-large", ".png"),
    fault("PNG bomb", lambda: png(9_000, 9_000, pixels=bytes(500)), "bomb", ".png"),
    fault("PNG of no width", lambda: png(0, 30, pixels=b"\0" * 30), "empty-image", ".png"),
    fault("PNG of 16-bit colour", lambda: png(40, 30, 16), None, ".png"),
    fault("PNG palette with transparency", palette_with_transparency, None, ".png"),
    fault("PNG transparency of a wrong size", lambda: png(4, 4, extra=chunk(b"tRNS", b"abc")), "corrupt", ".png"),
    fault("PNG with an unknown critical chunk", lambda: png(4, 4, extra=chunk(b"ABCD", b"")), "corrupt", ".png"),
    # JPEG
    fault("JPEG cut", lambda: half(jpeg()), "corrupt", ".jpg"),
    fault("JPEG without end", lambda: jpeg()[:-2], "corrupt", ".jpg"),
    fault("JPEG cut, with an end put on", lambda: half(jpeg()) + b"\xff\xd9", "corrupt", ".jpg"),
    fault("JPEG header too tall", lambda: resized_header(jpeg(), 128, 80), "corrupt", ".jpg"),
    fault("JPEG header too wide", lambda: resized_header(jpeg(), 64, 160), "corrupt", ".jpg"),
    fault("JPEG header too short", lambda: resized_header(jpeg(), 32, 80), "corrupt", ".jpg"),
    fault("JPEG header huge", lambda: resized_header(jpeg(), 65_000, 65_000), "too-large", ".jpg"),
    fault(
        "progressive JPEG header too tall", lambda: resized_header(jpeg(progressive=True), 128, 80), "corrupt", ".jpg"
    ),
    fault(
        "JPEG with restarts, header too short",
        lambda: resized_header(jpeg(restart_marker_rows=1), 32, 80),
        "corrupt",
        ".jpg",
    ),
    fault("JPEG of ink", lambda: pillow(PIL.Image.fromarray(np.dstack([RGB, GREY]), "CMYK"), "JPEG"), None, ".jpg"),
    # others with one picture
    fault("animated GIF", animated_gif, None, ".gif"),
    fault("GIF cut", lambda: half(pillow(GREY, "GIF")), "corrupt", ".gif"),
    fault("BMP cut", lambda: half(pillow(RGB, "BMP")), "corrupt", ".bmp"),
    fault("WebP cut", lambda: half(pillow(RGB, "WEBP", lossless=True)), "corrupt", ".webp"),
    fault("PGM cut", lambda: b"P5 40 40 255\n" + bytes(1000), "corrupt", ".pgm"),
    fault("PGM above its maximum", lambda: b"P5 2 1 100\n\x10\x70", "corrupt", ".pgm"),
    fault("PGM in text, cut", lambda: b"P2 3 3 255\n1 2 3 4", "corrupt", ".pgm"),
    fault("PPM huge", lambda: b"P6 99999 99999 255\nxyz", "too-large", ".ppm"),
    # TIFF
    fault("TIFF header only", lambda: tiff(GREY)[:8], "corrupt", ".tif"),
    fault("TIFF without a page", lambda: b"II*\0" + bytes(20), "corrupt", ".tif"),
    fault("TIFF page past the end", lambda: b"II*\0\xff\xff\xff\x7f" + bytes(20), "corrupt", ".tif"),
    fault("TIFF pages in a circle", looped_tiff, "corrupt", ".tif"),
    fault("TIFF page followed by itself", lambda: declared_tiff(8, 8, following=8), "corrupt", ".tif"),
    fault("TIFF strip cut", lambda: tiff(GREY)[:-100], "corrupt", ".tif"),
    fault("TIFF pages cut", lambda: half(tiff(STACK)), "corrupt", ".tif"),
    fault("TIFF pages cut, last only", lambda: tiff(STACK)[:-100], "corrupt", ".tif"),
    fault("TIFF compressed pages cut", lambda: half(tiff(STACK, compression="zlib")), "corrupt", ".tif"),
    fault("TIFF described by tifffile, cut", lambda: half(tiff(STACK, metadata={"axes": "ZYX"})), "corrupt", ".tif"),
    fault("ImageJ cut", lambda: half(imagej()), "corrupt", ".tif"),
    fault("ImageJ compressed, cut", lambda: half(imagej(compression="zlib")), "corrupt", ".tif"),
    fault("ImageJ with fewer pages", fewer_pages, "corrupt", ".tif"),
    fault("OME cut", lambda: half(ome()), "corrupt", ".ome.tif"),
    fault("OME compressed, cut", lambda: half(ome(compression="zlib")), "corrupt", ".ome.tif"),
    fault("OME cut after its pixels", lambda: ome()[:-40], "corrupt", ".ome.tif"),
    fault("OME in two files", companion_ome, "unsafe", ".ome.tif"),
    fault("OME of two images", two_images_ome, "ambiguous", ".ome.tif"),
    fault("TIFF declared 200000x200000", lambda: declared_tiff(200_000, 200_000), "corrupt", ".tif"),
    fault("TIFF of no width", lambda: declared_tiff(0, 8), "empty-image", ".tif"),
    fault("TIFF corrupt strip", corrupt_strip, "corrupt", ".tif"),
    fault("TIFF of 20,000 pages", lambda: tiff(np.zeros((20_000, 8, 8), np.uint8)), None, ".tif"),
    fault(
        "TIFF planar", lambda: tiff(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate"), None, ".tif"
    ),
    fault("TIFF with white as 0", lambda: tiff(GREY, photometric="miniswhite"), None, ".tif"),
    fault("TIFF of 1 bit", lambda: tiff(GREY > 99), None, ".tif"),
    fault(
        "TIFF with a palette",
        lambda: tiff(GREY, photometric="palette", colormap=np.zeros((3, 256), "u2")),
        None,
        ".tif",
    ),
    fault("TIFF float16", lambda: tiff(GREY.astype(np.float16)), None, ".tif"),
    fault("TIFF uint32 above 2^31", lambda: tiff(GREY.astype(np.uint32) + 2**31), None, ".tif"),
    fault("TIFF int8", lambda: tiff(GREY.view(np.int8)), None, ".tif"),
    fault("TIFF complex", lambda: tiff(GREY.astype(np.complex64)), "dtype", ".tif"),
    fault("TIFF of raw colours", lambda: tiff(RGB, photometric="linear_raw"), "dtype", ".tif"),
    fault("TIFF of nameless dimensions", lambda: tiff(STACK.reshape(3, 4, 64, 64), metadata={}), "ambiguous", ".tif"),
    # NumPy
    fault("npy with a pickle", pickled_npy, "unsafe", ".npy"),
    fault("npy cut", lambda: npy(GREY)[:-5], "corrupt", ".npy"),
    fault(
        "npy of 7 TiB",
        lambda: npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }") + bytes(80),
        "corrupt",
        ".npy",
    ),
    fault("npy header is code", lambda: npy_header("__import__('os').abort()"), "corrupt", ".npy"),
    fault("npy complex", lambda: npy(GREY.astype(complex)), "dtype", ".npy"),
    fault("npy text", lambda: npy(np.array([["a", "b"], ["c", "d"]])), "dtype", ".npy"),
    fault("npy of no dimension", lambda: npy(GREY[0, 0]), "shape", ".npy"),
    fault("npy of three dimensions", lambda: npy(RGB), "ambiguous", ".npy"),
    fault("npy of no rows", lambda: npy(GREY[:0]), "empty-image", ".npy"),
    fault("npz with two arrays", lambda: npz(a=GREY, b=GREY), "ambiguous", ".npz"),
    fault("npz cut", lambda: npz(a=GREY)[:-30], "corrupt", ".npz"),
    fault("npz that lies", zip_bomb, "corrupt", ".npz"),
    fault("zip without arrays", lambda: zipped("a.txt"), "unknown-format", ".npz"),
]
