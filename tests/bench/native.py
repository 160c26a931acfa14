"""The compiled kernels alone against OpenCV, strips of rows by one and two threads: `python -m tests.bench.native`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from threading import Thread
from typing import Any

import cv2
import numpy as np

from convcli import native
from tests import bench
from tests.bench.turns import Measured, markdown_row, take_turns

Array = np.ndarray[Any, Any]
Run = Callable[[], object]
Strip = Callable[[Array, Array], object]


def main(rounds: int) -> None:
    """Print a table for one thread and one for two; more than 1 means that we are faster."""
    for threads in (1, 2):
        cv2.setNumThreads(threads)
        print(f"\n{bench.measured(threads)}\n")
        print(markdown_row(Measured.HEAD))
        print(markdown_row(["---"] * 3))
        for job, runs in (*planes(threads), *colours(threads), *gaussians(threads)):
            print(Measured(job, take_turns(runs, rounds)).row(), flush=True)


def planes(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """2048x2048 float32, random kernels."""
    rng = np.random.default_rng(1)
    for size in (3, 5, 7, 9, 15):
        taps = rng.standard_normal((size, size), np.float32)
        source = rng.random((2047 + size, 2047 + size), np.float32)
        image, results, theirs = (
            inside(source, size),
            np.empty((2048, 2048), np.float32),
            np.empty((2048, 2048), np.float32),
        )
        yield from job(
            f"2048x2048 float32, {size}x{size}",
            in_strips(lambda part, out, taps=taps: native.correlate(part, taps, out), source, results, size, threads),
            lambda image=image, taps=taps, out=theirs: cv2.filter2D(image, -1, taps, dst=out),
            (results, theirs, size),
        )


def colours(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """24 million pixels of 8-bit RGB; with negative taps, so that results are clipped."""
    rng = np.random.default_rng(2)
    for size in (3, 5, 7):
        taps = (rng.standard_normal((size, size)) / size).astype(np.float32)
        source = rng.integers(0, 256, (3999 + size, 5999 + size, 3), np.uint8)
        image, results, theirs = (
            inside(source, size),
            np.empty((4000, 6000, 3), np.uint8),
            np.empty((4000, 6000, 3), np.uint8),
        )
        rows, out = source.reshape(len(source), -1), results.reshape(4000, -1)
        yield from job(
            f"24 Mpx RGB uint8, {size}x{size}",
            in_strips(lambda part, out, taps=taps: native.correlate(part, taps, out, step=3), rows, out, size, threads),
            lambda image=image, taps=taps, out=theirs: cv2.filter2D(image, -1, taps, dst=out),
            (results, theirs, size),
        )


def gaussians(threads: int) -> Iterator[tuple[str, dict[str, Run]]]:
    """2048x2048 float32, Gaussians of 17, 41 and 101 taps a side."""
    rng = np.random.default_rng(3)
    for sigma, size in ((2, 17), (5, 41), (16, 101)):
        taps = cv2.getGaussianKernel(size, sigma).astype(np.float32).ravel()
        source = rng.random((2047 + size, 2047 + size), np.float32)
        image, results, theirs = (
            inside(source, size),
            np.empty((2048, 2048), np.float32),
            np.empty((2048, 2048), np.float32),
        )
        yield from job(
            f"2048x2048 float32, Gaussian {size}x{size}",
            in_strips(
                lambda part, out, taps=taps: native.separable(part, taps, taps, out), source, results, size, threads
            ),
            lambda image=image, size=size, sigma=sigma, out=theirs: cv2.GaussianBlur(
                image, (size, size), sigma, dst=out
            ),
            (results, theirs, size),
        )


def inside(source: Array, size: int) -> Array:
    """What OpenCV gets, which makes its border itself: a copy without the halo."""
    half = size // 2
    return np.ascontiguousarray(source[half : len(source) - half, half : source.shape[1] - half])


def in_strips(filter_: Strip, source: Array, target: Array, size: int, threads: int) -> Run:
    """A filter on strips of rows by threads."""
    cuts = [len(target) * i // threads for i in range(threads + 1)]
    parts = [(source[begin : end + size - 1], target[begin:end]) for begin, end in pairwise(cuts)]

    def run() -> None:
        helpers = [Thread(target=filter_, args=part) for part in parts[1:]]
        for helper in helpers:
            helper.start()
        filter_(*parts[0])
        for helper in helpers:
            helper.join()

    return run


def job(name: str, ours: Run, theirs: Run, results: tuple[Array, Array, int]) -> Iterator[tuple[str, dict[str, Run]]]:
    """A job to be timed, once both have the same results away from the border."""
    ours()
    theirs()
    mine, other, size = results
    inner = (slice(size, -size),) * 2
    difference = np.abs(mine[inner].astype(np.float64) - other[inner]).max()
    assert difference <= (1 if mine.dtype == np.uint8 else 1e-4 * np.abs(other).max()), (name, difference)
    yield name, {"native": ours, "OpenCV": theirs}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
