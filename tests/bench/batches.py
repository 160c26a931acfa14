"""Many small files: what a file costs beyond a bare loop that decodes and encodes it, and whether memory stays flat.

The bare loop does the same to the same files by as many processes: PNG read, decoded, encoded alike, written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

import imagecodecs
import numpy as np

from convcli.formats import encode
from convcli.image import Image, ImageInfo
from tests.bench.turns import markdown_row

COUNTS = (1_000, 10_000)
SIDE = 64
Result = TypeVar("Result")


def rows(threads: int, rounds: int) -> Iterator[str]:
    """One line for each number of files."""
    yield markdown_row(["files of 64x64", "bare loop", "convcli", "more for each", "largest worker", "parent"])
    yield markdown_row(["---"] * 6)
    with tempfile.TemporaryDirectory() as name:
        for count in COUNTS:
            folder = Path(name, str(count))
            make_images(folder / "in", count)
            bare, ours, peaks = [], [], []
            for _ in range(min(rounds, 3)):
                bare.append(timed(bare_loop, folder, threads)[0])
                seconds, peak = timed(batch, folder, threads)
                ours.append(seconds)
                peaks.append(peak)
            more = (median(ours) - median(bare)) / count
            cells = [f"{count:,}", f"{median(bare):.2f} s", f"{median(ours):.2f} s", f"{1e3 * more:.2f} ms"]
            yield markdown_row([*cells, *(f"{max(column) / 1e6:.0f} MB" for column in zip(*peaks, strict=True))])


def make_images(folder: Path, count: int) -> None:
    """Pictures of noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(6)
    for number in range(count):
        pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        (folder / f"{number:05}.png").write_bytes(imagecodecs.png_encode(pixels))


def timed(run: Callable[[Path, int], Result], folder: Path, processes: int) -> tuple[float, Result]:
    """Seconds of a run into a new folder, and what it returned."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    started = perf_counter()
    result = run(folder, processes)
    return perf_counter() - started, result


def bare_loop(folder: Path, processes: int) -> None:
    """Decode and encode every file, by several processes."""
    names = sorted(os.listdir(folder / "in"))  # noqa: PTH208 -- names
    for part in range(processes):
        if not os.fork():
            for name in names[part::processes]:
                pixels = imagecodecs.png_decode((folder / "in" / name).read_bytes())
                (folder / "out" / name).write_bytes(
                    encode(Image(ImageInfo(pixels.shape, "uint8", "YX"), pixels), "png")
                )
            os._exit(0)
    for _ in range(processes):
        os.wait()


MEASURED = """
import os, resource, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from convcli.cli import run
code = run(sys.argv[1:])
own = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, int(own) * 1024)
sys.exit(code)
"""


def batch(folder: Path, processes: int) -> list[int]:
    """Our run over the folder; the peak memory of its largest worker and of itself."""
    words = ["conv2d", folder / "in", "-r", "-k", "gaussian:1", "-q", "-o", f"{folder / 'out'}/", "--jobs", processes]
    state = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, words)], stdout=subprocess.PIPE, check=True, env=state
    )
    assert len(os.listdir(folder / "out")) == len(os.listdir(folder / "in"))  # noqa: PTH208
    return list(map(int, done.stdout.split()))
