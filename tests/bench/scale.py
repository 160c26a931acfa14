"""A chunked volume by two workers of a cluster, against two threads of one process, and against dask's map_overlap.

All read the same Zarr and write one with the same chunks; the cluster runs already, as a user's does. The peer filters
blocks with scipy.ndimage in float32 and rounds once, at the end, so that it may be compared. Needs the extras zarr and
cluster, and zarr-python and dask[array] for the peer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.bench.turns import Measured, take_turns

SHAPE = tuple(map(int, os.environ.get("CONVCLI_BENCH_SHAPE", "512,1024,1024").split(",")))
"""1 GiB of uint16; another one, such as 256,512,1024, by the environment."""
CHUNKS = (64, 256, 256)
KERNEL, SIGMA = "gaussian:2,truncate=4", 2.0
PEER = """
import sys, numpy as np, dask.array as da, zarr
from distributed import Client
from scipy.ndimage import gaussian_filter

def filtered(block, sigma):
    result = gaussian_filter(block.astype(np.float32), sigma, mode="nearest", truncate=4)
    return np.clip(np.rint(result), 0, 65535).astype(np.uint16)

if __name__ == "__main__":
    source, target, address, sigma = sys.argv[1:]
    with Client(address):
        image = da.from_zarr(source)
        result = image.map_overlap(filtered, depth=int(4 * float(sigma) + 0.5), boundary="nearest", dtype=np.uint16,
                                   sigma=float(sigma))
        da.to_zarr(result, target, overwrite=True)
"""


def rows(_threads: int, rounds: int) -> Iterator[Measured]:
    """One line."""
    from tests.services import dask_cluster

    with tempfile.TemporaryDirectory() as name, dask_cluster(Path(name)) as cluster:
        folder = Path(name)
        make_source(folder / "in.zarr")
        runs = {
            "two workers": ours(folder, "workers", "--scheduler", cluster.address),
            "two threads": ours(folder, "threads", "--threads", "2"),
            "map_overlap": command(sys.executable, "-c", PEER, folder / "in.zarr", folder / "peer.zarr",
                                   cluster.address, SIGMA),
        }  # fmt: skip
        for run in runs.values():
            run()
        compare(folder)
        turns = take_turns(runs, rounds, warm=False)
    size = " x ".join(map(str, SHAPE))
    yield Measured(f"{size} uint16 in chunks of {' x '.join(map(str, CHUNKS))}, Gaussian, sigma {SIGMA:g}", turns, {})


def make_source(path: Path) -> None:
    """A volume of noise that packs about as well as photon counts do."""
    import zarr

    rng = np.random.default_rng(4)
    array = zarr.create_array(path, shape=SHAPE, chunks=CHUNKS, dtype="uint16", dimension_names=("z", "y", "x"))
    for z in range(0, SHAPE[0], CHUNKS[0]):
        array[z : z + CHUNKS[0]] = rng.poisson(300, (CHUNKS[0], *SHAPE[1:])).astype(np.uint16)


def ours(folder: Path, name: str, *more: str) -> Callable[[], None]:
    """Our command line."""
    words = ("conv3d", folder / "in.zarr", "-k", KERNEL, "-o", folder / f"{name}.zarr", "-f", "-q")
    chunks = ("--chunks", ",".join(map(str, CHUNKS)))
    return command(sys.executable, "-m", "convcli", *words, *chunks, *more)


def command(*words: object) -> Callable[[], None]:
    """A program that is run to its end."""
    return lambda: subprocess.run([*map(str, words)], check=True, stdout=subprocess.DEVNULL) and None


def compare(folder: Path) -> None:
    """Refuse results that are not the same, and a peer's that is further from ours than its rounding."""
    import zarr

    workers, threads, peer = (zarr.open_array(folder / f"{name}.zarr") for name in ("workers", "threads", "peer"))
    for z in range(0, SHAPE[0], CHUNKS[0]):
        slab = slice(z, z + CHUNKS[0])
        found = workers[slab]
        assert np.array_equal(found, threads[slab])
        assert np.abs(found.astype(int) - peer[slab]).max() <= 1
