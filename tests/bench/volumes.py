"""Volumes, from file to file, against one-line scripts that read and write the same; and one larger than memory.

Every result is compared with ours before it is timed. Peak memory is that of the whole process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile

from tests.bench.turns import Measured, take_turns

SHAPE = (128, 512, 512)
READ = "import sys, numpy as np, tifffile; v, k = tifffile.imread(sys.argv[1]), np.load(sys.argv[2]); "
WRITE = "; tifffile.imwrite(sys.argv[3], np.clip(np.rint(r), 0, 65535).astype(np.uint16))"
SCRIPTS = {
    "ndimage": READ + "from scipy.ndimage import correlate; r = correlate(v, k, np.float64, mode='nearest')" + WRITE,
    "oaconvolve": READ + "from scipy.signal import oaconvolve; h = k.shape[0] // 2; "
    "r = oaconvolve(np.pad(v.astype(np.float64), h, 'edge'), k[::-1, ::-1, ::-1], 'valid')" + WRITE,
    "torch": READ + "import torch; f = torch.from_numpy; h = (k.shape[0] // 2,) * 6; "
    "p = torch.nn.functional.pad(f(v.astype(np.float32))[None, None], h, 'replicate'); "
    "r = torch.conv3d(p, f(k.astype(np.float32))[None, None])[0, 0].numpy()" + WRITE,
    "gaussian_filter": READ + "from scipy.ndimage import gaussian_filter; "
    "r = gaussian_filter(v, 3, output=np.float64, mode='nearest')" + WRITE,
}
"""Python programs: the volume, the taps and the result are their arguments."""
JOBS = (
    ("random 3x3x3", "k3.npy", ("ndimage", "oaconvolve", "torch")),
    ("random 7x7x7", "k7.npy", ("oaconvolve", "torch")),
    ("random 11x11x11", "k11.npy", ("oaconvolve", "torch")),
    ("Gaussian, sigma 3", "gaussian:3,truncate=4", ("gaussian_filter",)),
)
STARTER = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
LARGE = (768, 1024, 2048)
"""3.2 GB of uint16."""


def rows(threads: int, rounds: int) -> Iterator[Measured]:
    """One line a job."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder)
        for job, kernel, peers in JOBS:
            yield measure(folder, job, kernel, peers, min(rounds, 5))
        yield larger_than_memory(folder)


def make_files(folder: Path) -> None:
    """A volume of noise, and kernels."""
    rng = np.random.default_rng(8)
    tifffile.imwrite(folder / "in.tif", rng.integers(0, 65536, SHAPE, dtype=np.uint16))
    for size in (3, 7, 11):
        taps = rng.random((size,) * 3)
        np.save(folder / f"k{size}.npy", taps / taps.sum())


def measure(folder: Path, job: str, kernel: str, peers: tuple[str, ...], rounds: int) -> Measured:
    """One job by us and by the scripts."""
    taps = folder / kernel if kernel.endswith(".npy") else folder / "k3.npy"
    runs = {
        "convcli": ours(folder / "in.tif", str(taps) if kernel.endswith(".npy") else kernel, folder / "convcli.tif")
    }
    for peer in peers:
        words = [sys.executable, "-c", SCRIPTS[peer], str(folder / "in.tif"), str(taps), str(folder / f"{peer}.tif")]
        runs[peer] = lambda words=words: peak_memory(words)
    memory = {tool: run() for tool, run in runs.items()}
    found = tifffile.imread(folder / "convcli.tif").astype(int)
    for peer in peers:
        apart = np.abs(tifffile.imread(folder / f"{peer}.tif") - found).max()
        assert apart <= 1, f"{peer}: {job} differs by {apart}"
    turns = take_turns(runs, rounds, warm=False)
    size = " x ".join(map(str, SHAPE))
    return Measured(f"{size} uint16, {job}", turns, {tool: f"{peak / 1e6:.0f} MB" for tool, peak in memory.items()})


def ours(source: Path, kernel: str, target: Path, *more: str) -> Callable[[], int]:
    """Our command line, which returns its peak memory in bytes."""
    words = [sys.executable, "-m", "convcli", "conv3d", str(source), "-k", kernel, "-o", str(target), "-f", "-q", *more]
    return lambda: peak_memory(words)


def peak_memory(words: list[str]) -> int:
    """Run a command; the peak of its resident memory in bytes.

    A small process starts it: what the one that starts a program holds counts as the program's.
    """
    done = subprocess.run([sys.executable, "-S", "-c", STARTER, *words], stdout=subprocess.PIPE, check=True)
    return int(done.stdout.splitlines()[-1]) * 1024


def larger_than_memory(folder: Path) -> Measured:
    """3 GB under --memory 256MB, once; no script above could hold it in three times its size."""
    rng = np.random.default_rng(9)
    planes = rng.integers(0, 65536, (16, *LARGE[1:]), dtype=np.uint16)
    pages = (np.roll(planes[z % 16], z, axis=1) for z in range(LARGE[0]))
    tifffile.imwrite(folder / "large.tif", pages, shape=LARGE, dtype=np.uint16, photometric="minisblack")
    run = ours(folder / "large.tif", str(folder / "k3.npy"), folder / "out.tif", "--memory", "256MB")
    peaks: list[int] = []
    turns = take_turns({"convcli": lambda: peaks.append(run())}, 1, warm=False)
    assert max(peaks) < 500e6, f"{max(peaks) / 1e6:.0f} MB"
    return Measured("3.2 GB uint16, random 3x3x3, --memory 256MB", turns, {"convcli": f"{max(peaks) / 1e6:.0f} MB"})
