"""Whole commands, from file to file, against the command-line tools that are installed.

Every result is compared with ours before it is timed. Peak memory is that of the whole process.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile

from tests.bench.turns import Measured, take_turns

MEASURE = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)
OPENCV = """
import cv2, numpy, sys
image, taps = cv2.imread(sys.argv[1], -1), numpy.loadtxt(sys.argv[2])
cv2.imwrite(sys.argv[3], cv2.filter2D(image, -1, taps, borderType=cv2.BORDER_REPLICATE))
"""
GMIC = "correlate[0] [1] keep[0] round cut 0,255 output"
JOBS = (
    ("small.png", "512x512 RGB PNG", (3,)),
    ("photo.tif", "24 Mpx RGB TIFF", (3, 7, 15, 31)),
    ("photo.jpg", "24 Mpx RGB JPEG", (3,)),
    ("photo.png", "24 Mpx RGB PNG", (3,)),
    ("tiles.tif", "64 Mpx grey tiled TIFF", (3,)),
)
LONGEST = {"vips": 15, "gmic": 7, "magick": 7, "cv2": 31, "convcli": 31}
"""Kernels beyond which a tool takes minutes."""
TOLERANCE = {".jpg": 30, ".png": 1, ".tif": 1}
"""Steps of 8 bits by which results may differ inside: rounding, and JPEG's own loss."""


def rows(threads: int, rounds: int) -> Iterator[Measured]:
    """One line a job."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder)
        for file, job, sizes in JOBS:
            for size in sizes:
                yield measure(folder / file, f"{job}, {size}x{size}", size, rounds)


def measure(image: Path, job: str, size: int, rounds: int) -> Measured:
    """One job by every tool that is there."""
    tools = [tool for tool in ("convcli", "vips", "gmic", "magick", "cv2") if there(tool) and size <= LONGEST[tool]]
    lines = {tool: command(tool, image, size) for tool in tools}
    memory = {tool: peak_memory(line) for tool, line in lines.items()}
    check(image, tools)
    turns = take_turns({tool: partial(run, line) for tool, line in lines.items()}, min(rounds, 5), warm=False)
    return Measured(job, turns, {tool: f"{peak / 1e6:.0f} MB" for tool, peak in memory.items()})


def make_images(folder: Path) -> None:
    """A 24-megapixel photograph-like picture, a small one, a large tiled one, and kernels."""
    rng = np.random.default_rng(6)
    rough = rng.integers(0, 256, (250, 375, 3)).astype(np.float32)
    photo = np.kron(rough, np.ones((16, 16, 1), np.float32)) + rng.normal(0, 6, (4000, 6000, 3)).astype(np.float32)
    photo = np.clip(photo, 0, 255).astype(np.uint8)
    tifffile.imwrite(folder / "photo.tif", photo, photometric="rgb", rowsperstrip=64)
    iio.imwrite(folder / "photo.jpg", photo, quality=90)
    iio.imwrite(folder / "photo.png", photo, compress_level=1)
    iio.imwrite(folder / "small.png", photo[:512, :512])
    grey = np.tile(photo[..., 0], (2, 2))[:8000, :8000]
    tifffile.imwrite(folder / "tiles.tif", grey, photometric="minisblack", tile=(256, 256))
    for size in (3, 7, 15, 31):
        taps = rng.random((size, size)) - 0.3
        taps /= taps.sum()
        np.savetxt(folder / f"k{size}.txt", taps)
        lines = "\n".join(" ".join(f"{tap:.8f}" for tap in row) for row in taps)
        (folder / f"k{size}.mat").write_text(f"{size} {size}\n{lines}\n")


def there(tool: str) -> bool:
    """Whether a tool is installed; `convert` may be something else than ImageMagick."""
    if tool == "magick":
        return bool(magick())
    return tool in ("convcli", "cv2") or shutil.which(tool) is not None


def magick() -> str:
    """ImageMagick's program: version 7's, or 6's."""
    for name in ("magick", "/usr/bin/convert"):
        found = shutil.which(name)
        if found and b"ImageMagick" in subprocess.run([found, "-version"], capture_output=True, check=False).stdout:
            return found
    return ""


def output(tool: str, image: Path) -> Path:
    """Where a tool's result goes."""
    return image.parent / f"out-{tool}{image.suffix}"


def command(tool: str, image: Path, size: int) -> list[str]:
    """A tool's own command line."""
    kernel, out = image.parent / f"k{size}", output(tool, image)
    taps = ",".join(Path(f"{kernel}.txt").read_text().split())
    words = {
        "convcli": [sys.executable, "-m", "convcli", "conv2d", image, "-k", f"{kernel}.txt", "-o", out, "-f", "-q"],
        "vips": ["vips", "conv", image, out, f"{kernel}.mat"],
        "gmic": [
            "gmic",
            image,
            f"{kernel}.txt",
            "correlate[0]",
            "[1]",
            "keep[0]",
            "round",
            "cut",
            "0,255",
            "output",
            out,
        ],
        "magick": [magick(), image, "-morphology", "Correlate", f"{size}x{size}:{taps}", out],
        "cv2": [sys.executable, "-c", OPENCV, image, f"{kernel}.txt", out],
    }[tool]
    if tool == "gmic" and image.suffix == ".tif":
        words[-1] = f"{out},uchar"
    return [str(word) for word in words]


def run(words: list[str], under: tuple[str, ...] = ()) -> bytes:
    """Run a command; what it printed."""
    done = subprocess.run([*under, *words], capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def peak_memory(words: list[str]) -> int:
    """The peak of a command's resident memory in bytes, seen by a small parent: its own counts as the child's."""
    return int(run(words, (sys.executable, "-S", "-c", MEASURE)).split()[-1]) * 1024


def check(image: Path, tools: list[str]) -> None:
    """Refuse to time results that are not ours: inside, where no border rule matters."""
    ours = read(output("convcli", image))
    for tool in tools[1:]:
        theirs = read(output(tool, image))
        apart = np.abs(ours.astype(np.int16) - theirs)[32:-32, 32:-32]
        share = np.count_nonzero(apart > TOLERANCE[image.suffix]) / apart.size
        if share > 1e-3:
            raise AssertionError(f"{tool} on {image.name}: {100 * share:.1f} % of samples differ")


def read(path: Path) -> np.ndarray:
    """The pixels of a result."""
    return tifffile.imread(path) if path.suffix == ".tif" else iio.imread(path)
