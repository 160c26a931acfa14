"""The engine against scipy, OpenCV and PyTorch in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import cv2
import itk
import numpy as np
import scipy.ndimage
import scipy.signal
import torch

from convcli import convolve, parse_kernel
from tests.bench.turns import Measured, take_turns

Run = Callable[[], object]
CALLS = 200
"""Of small arrays in a turn."""


def rows(threads: int, rounds: int) -> Iterator[Measured]:
    """One line a job."""
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    parts = plane_jobs, small_jobs, box_jobs, deep_jobs, colour_jobs, bank_jobs, volume_jobs, blurred_volume_jobs
    for job, runs in chain.from_iterable(part(threads) for part in parts):
        yield Measured(job, take_turns(runs, rounds))


def check(job: str, ours: Run, theirs: Run, tolerance: float) -> None:
    """Refuse to time results that differ by more than `tolerance` of the largest."""
    mine, other = np.asarray(ours(), np.float64), np.asarray(theirs(), np.float64)
    assert np.abs(mine - other).max() <= tolerance * np.abs(other).max(), job


def plane_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """2048x2048 float32, one channel."""
    rng = np.random.default_rng(1)
    image = rng.standard_normal((2048, 2048)).astype(np.float32)
    for size in (3, 5, 7, 9, 15, 31, 63):
        taps = rng.standard_normal((size, size)).astype(np.float32)
        runs: dict[str, Run] = {
            "convcli": lambda taps=taps: convolve(image, taps, threads=threads),
            "cv2.filter2D": lambda taps=taps: cv2.filter2D(image, -1, taps, borderType=cv2.BORDER_REPLICATE),
        }
        if size <= 7:
            runs["scipy.ndimage.correlate"] = lambda taps=taps: scipy.ndimage.correlate(image, taps, mode="nearest")
        if size >= 15:
            runs["scipy.signal.oaconvolve"] = lambda taps=taps: scipy.signal.oaconvolve(image, taps, mode="same")
        check(f"{size}x{size}", runs["convcli"], runs["cv2.filter2D"], 1e-4)
        yield f"2048x2048 float32, {size}x{size} random", runs
    gaussian = parse_kernel("gaussian:5")
    runs = {
        "convcli": lambda: convolve(image, gaussian, threads=threads),
        "cv2.GaussianBlur": lambda: cv2.GaussianBlur(image, (41, 41), 5, borderType=cv2.BORDER_REPLICATE),
        "scipy.ndimage.gaussian_filter": lambda: scipy.ndimage.gaussian_filter(image, 5, mode="nearest"),
    }
    check("gaussian", runs["convcli"], runs["scipy.ndimage.gaussian_filter"], 1e-3)
    yield "2048x2048 float32, Gaussian sigma 5", runs


def small_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """Many small arrays of float32: what every call costs besides the sums shows."""
    rng = np.random.default_rng(4)
    taps = rng.standard_normal((3, 3)).astype(np.float32)
    for size in (64, 256, 512):
        image = rng.standard_normal((size, size)).astype(np.float32)
        calls: dict[str, Run] = {
            "convcli": lambda image=image: convolve(image, taps, threads=threads),
            "cv2.filter2D": lambda image=image: cv2.filter2D(image, -1, taps, borderType=cv2.BORDER_REPLICATE),
        }
        check(f"{size}x{size}", calls["convcli"], calls["cv2.filter2D"], 1e-4)
        runs = {name: partial(repeated, call) for name, call in calls.items()}
        yield f"{CALLS} calls, {size}x{size} float32, 3x3 random", runs


def repeated(run: Run) -> None:
    """So many calls."""
    for _ in range(CALLS):
        run()


def box_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """Boxes of any size, whose peer takes running sums."""
    rng = np.random.default_rng(6)
    plane = rng.standard_normal((2048, 2048)).astype(np.float32)
    deep = rng.integers(0, 65536, plane.shape, np.uint16)
    photo = rng.integers(0, 256, (4000, 6000, 3), np.uint8)
    jobs = (
        ("2048x2048 float32", plane, "YX", (5, 31, 101)),
        ("2048x2048 uint16", deep, "YX", (3, 31)),
        ("24 Mpx RGB uint8", photo, "YXS", (5, 31)),
    )
    for name, image, axes, sizes in jobs:
        for size in sizes:
            side, border = (size, size), {"borderType": cv2.BORDER_REPLICATE}
            runs: dict[str, Run] = {
                "convcli": partial(convolve, image, parse_kernel(f"box:{size}"), axes=axes, threads=threads),
                "cv2.blur": partial(cv2.blur, image, side, **border),
            }
            check(f"{name} box {size}", runs["convcli"], runs["cv2.blur"], 0.005)
            yield f"{name}, box {size}x{size}", runs


def deep_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """2048x2048 uint16 and float64, one channel."""
    rng, border = np.random.default_rng(7), {"borderType": cv2.BORDER_REPLICATE}
    deep, wide = rng.integers(0, 65536, (2048, 2048), np.uint16), rng.standard_normal((2048, 2048))
    for sigma in (2, 5):
        kernel = parse_kernel(f"gaussian:{sigma}")
        runs: dict[str, Run] = {
            "convcli": partial(convolve, deep, kernel, threads=threads),
            "cv2.GaussianBlur": partial(cv2.GaussianBlur, deep, kernel.shape, sigma, **border),
        }
        check(f"uint16 {sigma}", runs["convcli"], runs["cv2.GaussianBlur"], 1e-4)
        yield f"2048x2048 uint16, Gaussian sigma {sigma}", runs
    for size in (7, 15, 31):
        taps = rng.standard_normal((size, size))
        runs = {
            "convcli": partial(convolve, wide, taps, threads=threads),
            "cv2.filter2D": partial(cv2.filter2D, wide, -1, taps, **border),
        }
        check(f"float64 {size}", runs["convcli"], runs["cv2.filter2D"], 1e-12)
        yield f"2048x2048 float64, {size}x{size} random", runs


def colour_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """24 megapixels, uint8 RGB."""
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (4000, 6000, 3), np.uint8)
    for size in (3, 5, 7):
        taps = rng.standard_normal((size, size))
        taps /= np.abs(taps).sum()
        runs: dict[str, Run] = {
            "convcli": lambda taps=taps: convolve(image, taps, axes="YXS", threads=threads),
            "cv2.filter2D": lambda taps=taps: cv2.filter2D(image, -1, taps, borderType=cv2.BORDER_REPLICATE),
        }
        check(f"RGB {size}", runs["convcli"], runs["cv2.filter2D"], 0.02)
        yield f"24 Mpx RGB uint8, {size}x{size} random", runs


BANKS = (
    (128, 128, 3, 56, 1),
    (256, 256, 3, 28, 1),
    (64, 64, 3, 112, 1),
    (3, 64, 7, 224, 2),
    (64, 256, 1, 56, 1),
)


def bank_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """Layers of networks."""
    rng = np.random.default_rng(3)
    for channels, filters, size, side, stride in BANKS:
        image = rng.standard_normal((channels, side, side)).astype(np.float32)
        taps = rng.standard_normal((filters, channels, size, size)).astype(np.float32)
        tensor, weights, pad = torch.from_numpy(image)[None], torch.from_numpy(taps), size // 2
        runs: dict[str, Run] = {
            "convcli": lambda image=image, taps=taps, pad=pad, stride=stride: convolve(
                image, taps, padding=pad, border="zero", stride=stride, threads=threads
            ),
            "torch.conv2d": lambda tensor=tensor, weights=weights, pad=pad, stride=stride: torch.nn.functional.conv2d(
                tensor, weights, padding=pad, stride=stride
            )[0],
        }
        check("bank", runs["convcli"], runs["torch.conv2d"], 1e-4)
        yield f"{channels} -> {filters}, {size}x{size}{f'/{stride}' if stride > 1 else ''} on {side}x{side}", runs


def volume_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """160^3 float32, one channel."""
    rng = np.random.default_rng(4)
    image = rng.standard_normal((160, 160, 160)).astype(np.float32)
    for size in (3, 5, 9):
        taps = rng.standard_normal((size, size, size)).astype(np.float32)
        tensor, weights = torch.from_numpy(image)[None, None], torch.from_numpy(taps)[None, None]
        runs: dict[str, Run] = {
            "convcli": lambda taps=taps: convolve(image, taps, border="zero", threads=threads),
            "torch.conv3d": lambda tensor=tensor, weights=weights, size=size: torch.nn.functional.conv3d(
                tensor, weights, padding=size // 2
            )[0, 0],
        }
        if size <= 5:
            runs["scipy.ndimage.correlate"] = lambda taps=taps: scipy.ndimage.correlate(image, taps, mode="constant")
        check(f"volume {size}", runs["convcli"], runs["torch.conv3d"], 1e-4)
        yield f"160x160x160 float32, {size}x{size}x{size} random", runs


def blurred_volume_jobs(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """Gaussians of volumes: uint16 beside sums in float32, float32 beside a recursive filter, which is approximate."""
    rng = np.random.default_rng(5)
    deep = rng.integers(0, 65536, (64, 256, 256), np.uint16)
    for sigmas in ((2.0,) * 3, (8.0,) * 3, (1.0, 10.0, 10.0)):
        kernel = parse_kernel(f"gaussian:{','.join(map(str, sigmas))}", 3)
        runs: dict[str, Run] = {
            "convcli": partial(convolve, deep, kernel, threads=threads),
            "scipy.ndimage": partial(
                scipy.ndimage.gaussian_filter, deep, sigmas, output=np.float32, mode="nearest", truncate=4
            ),
        }
        check(f"uint16 volume {sigmas}", runs["convcli"], runs["scipy.ndimage"], 1e-3)
        yield f"64x256x256 uint16, Gaussian sigma {', '.join(f'{sigma:g}' for sigma in sigmas)}", runs
    wide = rng.standard_normal((128, 256, 256)).astype(np.float32)
    for sigma in (8, 20, 50):
        runs = {
            "convcli": partial(convolve, wide, parse_kernel(f"gaussian:{sigma}", 3), threads=threads),
            "itk recursive": partial(recursive, itk.image_view_from_array(wide), sigma, threads),
        }
        check(f"recursive {sigma}", runs["convcli"], runs["itk recursive"], 0.01)
        yield f"128x256x256 float32, Gaussian sigma {sigma}", runs


def recursive(image: object, sigma: float, threads: int) -> object:
    """ITK's Gaussian of float32, by a recursion along each axis."""
    made = itk.SmoothingRecursiveGaussianImageFilter.New(image)
    made.SetSigma(sigma)
    made.SetNumberOfWorkUnits(threads)
    made.Update()
    return itk.array_view_from_image(made.GetOutput()).copy()
