"""Draws the images and filter banks in this folder: `python samples/make_samples.py [FOLDER]`, the same every time.

RandomState is NumPy's one generator whose numbers are promised never to change.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from convcli.formats import write
from convcli.image import Image, ImageInfo
from convcli.kernels import parse_kernel
from scene import scene
from tissue import point_spread, tissue

Array = np.ndarray[Any, Any]
SEED = 2026


def plane(height: int, width: int) -> tuple[Array, Array]:
    """Rows and columns, from -1 to 1 across the shorter side."""
    scale = min(height, width) / 2
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return (y - (height - 1) / 2) / scale, (x - (width - 1) / 2) / scale


def bytes_of(values: Array) -> Array:
    """Values from 0 to 1 as uint8."""
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def zone_plate() -> Array:
    """Rings that grow finer outwards, up to the finest that pixels show: every frequency, in every direction."""
    y, x = plane(256, 256)
    return bytes_of(0.5 + 0.5 * np.cos(np.pi / 2 * 128 * (x**2 + y**2)))


def shapes() -> Array:
    """A disc, a square, a line and a step on grey, in plain colours."""
    y, x = plane(120, 160)
    picture = np.full((120, 160, 3), 96, np.uint8)
    picture[:, 120:] = 160
    picture[np.hypot(y, x + 0.6) < 0.4] = (220, 40, 40)
    picture[(abs(y - 0.1) < 0.35) & (abs(x - 0.35) < 0.35)] = (40, 90, 220)
    picture[abs(y + x / 2 - 0.6) < 0.02] = (250, 240, 60)
    return picture


def gradient() -> Array:
    """A slope in grey, by one level a column: what a filter leaves as it is, but for the borders."""
    return np.tile(np.arange(256, dtype=np.uint8), (64, 1))


def noise() -> Array:
    """Independent pixels, uniform from 0 to 255."""
    return np.random.RandomState(SEED).randint(0, 256, (96, 128)).astype(np.uint8)


def seam() -> Array:
    """Left half opaque red, right half transparent green: no green may bleed into the red."""
    picture = np.zeros((32, 32, 4), np.uint8)
    picture[:, :16] = (255, 0, 0, 255)
    picture[:, 16:] = (0, 255, 0, 0)
    return picture


def deep() -> Array:
    """16-bit colours whose low bytes matter: cut to 8 bits, its slopes turn into steps."""
    y, x = plane(64, 96)
    channels = [20000 + 3000 * x + 700 * y, 30000 + 40 * x * y, 40000 - 900 * y]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint16)


def stack() -> Array:
    """Cells, a vessel and beads, 12 slices 2 um apart and 0.2 um a pixel."""
    return tissue((12, 96, 96), SEED)


def photo() -> Array:
    """What a camera with a little grain sees of the scene."""
    grain = np.random.RandomState(SEED).normal(0, 0.008, (320, 480, 1))
    return bytes_of(scene(320, 480, SEED) + grain)


def derivatives() -> Array:
    """Derivatives of Gaussians in brightness: orders 1 and 2, sigma 1.5 and 2.5, along six directions, 24 filters.

    Those of a sigma are steered from five (Freeman and Adelson, "The design and use of steerable filters", 1991).
    """
    filters = []
    for sigma in (1.5, 2.5):
        down, across, twice_down, mixed, twice_across = (
            parse_kernel(f"gaussian:{sigma},size=13,order={orders}").array()
            for orders in ("1,0", "0,1", "2,0", "1,1", "0,2")
        )
        for angle in np.arange(6) * np.pi / 6:
            cos, sin = np.cos(angle), np.sin(angle)
            filters += [cos * across + sin * down]
            filters += [cos**2 * twice_across + 2 * cos * sin * mixed + sin**2 * twice_down]
    bank = np.array([each / np.linalg.norm(each) for each in filters])
    return (np.array([0.299, 0.587, 0.114])[:, None, None] * bank[:, None]).astype(np.float32)


STACK = ImageInfo(
    shape=(12, 96, 96),
    dtype="uint16",
    axes="ZYX",
    format="imagej",
    spacing={"Z": (2.0, "um"), "Y": (0.2, "um"), "X": (0.2, "um")},
    metadata={"resolution": (5.0, 5.0, "none"), "imagej": {"unit": "um", "spacing": 2.0}},
)
PHOTO = ImageInfo((320, 480, 3), "uint8", "YXS", samples="rgb", metadata={"resolution": (300.0, 300.0, "inch")})
SAMPLES: dict[str, tuple[Callable[[], Array], ImageInfo]] = {
    "zone_plate.png": (zone_plate, ImageInfo((256, 256), "uint8", "YX")),
    "shapes.png": (shapes, ImageInfo((120, 160, 3), "uint8", "YXS", samples="rgb")),
    "gradient.png": (gradient, ImageInfo((64, 256), "uint8", "YX")),
    "noise.png": (noise, ImageInfo((96, 128), "uint8", "YX")),
    "seam.png": (seam, ImageInfo((32, 32, 4), "uint8", "YXS", samples="rgb+alpha")),
    "deep.png": (deep, ImageInfo((64, 96, 3), "uint16", "YXS", samples="rgb")),
    "stack.tif": (stack, STACK),
    "photo.jpg": (photo, PHOTO),
}


def spread() -> Array:
    """The point spread of the stack, as if measured: a kernel file of 7 slices."""
    return point_spread().astype(np.float32)


BANKS: dict[str, Callable[[], Array]] = {"derivatives.npy": derivatives, "psf.npy": spread}


def main(folder: Path) -> None:
    """Write all samples into a folder."""
    (folder / "kernels").mkdir(exist_ok=True)
    for name, draw in BANKS.items():
        np.save(folder / "kernels" / name, draw())
    for name, (draw, info) in SAMPLES.items():
        write(folder / name, Image(info, draw()), force=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
