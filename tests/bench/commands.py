"""Whole commands, from file to file, against the command-line tools that are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile

from tests.bench.turns import markdown_row, result_row, take_turns

OPENCV = """
import cv2, numpy, sys
image, taps = cv2.imread(sys.argv[1], -1), numpy.loadtxt(sys.argv[2])
cv2.imwrite(sys.argv[3], cv2.filter2D(image, -1, taps, borderType=cv2.BORDER_REPLICATE))
"""


def rows(threads: int, rounds: int) -> Iterator[str]:
    """One line a job; more than 1 means that we are faster."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder)
        yield markdown_row(["job", "convcli", "peer: how many times longer it takes (least to most)"])
        yield markdown_row(["---"] * 3)
        for image, size in (
            ("small.png", 3),
            ("photo.tif", 3),
            ("photo.tif", 7),
            ("photo.tif", 15),
            ("photo.jpg", 3),
            ("photo.png", 3),
        ):
            runs = {
                tool: command(tool, folder / image, size)
                for tool in ("convcli", "vips", "gmic", "magick", "cv2")
                if there(tool)
            }
            yield result_row(f"{image}, {size}x{size}", take_turns(runs, min(rounds, 5)))


def make_images(folder: Path) -> None:
    """A 24-megapixel photograph-like picture, a small one, and kernels."""
    rng = np.random.default_rng(6)
    rough = rng.integers(0, 256, (250, 375, 3)).astype(np.float32)
    photo = np.kron(rough, np.ones((16, 16, 1), np.float32)) + rng.normal(0, 6, (4000, 6000, 3)).astype(np.float32)
    photo = np.clip(photo, 0, 255).astype(np.uint8)
    tifffile.imwrite(folder / "photo.tif", photo, photometric="rgb", rowsperstrip=64)
    iio.imwrite(folder / "photo.jpg", photo, quality=90)
    iio.imwrite(folder / "photo.png", photo, compress_level=1)
    iio.imwrite(folder / "small.png", photo[:512, :512])
    for size in (3, 7, 15):
        taps = rng.random((size, size)) - 0.3
        taps /= taps.sum()
        np.savetxt(folder / f"k{size}.txt", taps)
        lines = "\n".join(" ".join(f"{tap:.8f}" for tap in row) for row in taps)
        (folder / f"k{size}.mat").write_text(f"{size} {size}\n{lines}\n")


def there(tool: str) -> bool:
    """Whether a tool is installed."""
    return tool in ("convcli", "cv2") or shutil.which(tool) is not None


def command(tool: str, image: Path, size: int) -> Callable[[], object]:
    """A run of a tool's own command line."""
    kernel, out = image.parent / f"k{size}", image.parent / f"out-{tool}{image.suffix}"
    words = {
        "convcli": [sys.executable, "-m", "convcli", "conv2d", image, "-k", f"{kernel}.txt", "-o", out, "-f", "-q"],
        "vips": ["vips", "conv", image, out, f"{kernel}.mat"],
        "gmic": ["gmic", image, f"{kernel}.txt", "correlate[0]", "[1]", "keep[0]", "cut", "0,255", "output", out],
        "magick": ["magick", image, "-define", "convolve:scale=1", "-morphology", "Correlate", f"@{kernel}.mat", out],
        "cv2": [sys.executable, "-c", OPENCV, image, f"{kernel}.txt", out],
    }[tool]
    return lambda: subprocess.run([str(word) for word in words], check=True, capture_output=True)
