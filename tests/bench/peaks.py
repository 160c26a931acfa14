"""Peak memory of a cluster's workers: `python -m tests.bench.peaks [GIB ...]`, for volumes of 1 and 8 GiB by default.

Each is filtered by two workers, into chunks and into shards. What a box holds, by the plan, is its window with the halo
and what is written of it; the worst worker takes at most so many times that, whatever the volume has. All chunks of the
input are one file by many names; the output takes about half of the volume's bytes on the disk that --tmp names, for a
while. Needs the extras zarr and cluster.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from convcli.formats.zarr.codecs import Codec
from convcli.formats.zarr.metadata import ArrayMeta, Keys, written_array
from convcli.formats.zarr.pipeline import Pipeline
from convcli.machine import processor

CHUNK = (64, 256, 256)
PLANE = (1024, 1024)
MOST = 3.0
CUTS = {"chunks": ("--chunks", "64,256,256"), "shards": ("--chunks", "32,64,64", "--shards", "128,512,512")}


def main() -> None:
    """Print a line for each volume and cut; exit 1 where a worker took too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peaks", description=__doc__)
    parser.add_argument("gibibytes", nargs="*", type=int, default=[1, 8])
    parser.add_argument("--tmp", help="where the volumes lie meanwhile")
    options = parser.parse_args()
    print(processor())
    ratios = []
    for size in options.gibibytes:
        for name, cut in CUTS.items():
            with tempfile.TemporaryDirectory(dir=options.tmp) as folder:
                held, peaks, boxes = taken(Path(folder), size, *cut)
            ratios.append(max(peaks) / held)
            workers = " and ".join(f"{peak / 1e6:,.0f} MB" for peak in peaks)
            made = f"{size} GiB into {name}, {boxes:,} boxes that hold {held / 1e6:,.0f} MB"
            print(f"{made}: workers took {workers} at most, {ratios[-1]:.2f} times that", flush=True)
    sys.exit(max(ratios) > MOST)


def taken(folder: Path, size: int, *cut: str) -> tuple[int, list[int], int]:
    """What a box of a volume holds, what each worker took at most, in bytes, and how many boxes there are."""
    make_source(folder / "in.zarr", size)
    words = (
        "conv3d",
        folder / "in.zarr",
        "-k",
        "gaussian:2",
        "-o",
        folder / "out.zarr",
        *cut,
        "--scheduler",
        "local:2",
    )
    planned, made = told(*words, "--explain"), told(*words)
    peaks = [worker["memory"] for worker in made["shards"]["workers"].values()]
    shutil.rmtree(folder / "out.zarr")
    return planned["cluster"]["memory"], peaks, made["shards"]["boxes"]


def make_source(path: Path, size: int) -> None:
    """A volume of so many GiB, all chunks of which are one file of noise that packs as photon counts do."""
    dtype = np.dtype("<u2")
    shape = (size * 2**30 // (dtype.itemsize * PLANE[0] * PLANE[1]), *PLANE)
    pipeline = Pipeline(CHUNK, dtype.str, (0, 1, 2), (Codec("zstd", {"level": 1}),))
    meta = ArrayMeta(3, shape, pipeline, 0, Keys("c/", "/"), ("z", "y", "x"))
    path.mkdir()
    for key, data in written_array(meta).items():
        (path / key).write_bytes(data)
    first = path / "chunk"
    first.write_bytes(pipeline.encode(np.random.default_rng(4).poisson(300, CHUNK).astype(dtype)))
    for place in product(*(range(-(-extent // step)) for extent, step in zip(shape, CHUNK, strict=True))):
        name = path / meta.keys.of(place)
        name.parent.mkdir(parents=True, exist_ok=True)
        os.link(first, name)
    first.unlink()


def told(*words: object) -> dict[str, Any]:
    """The report of a command."""
    line = [sys.executable, "-m", "convcli", *map(str, words), "--json", "-q"]
    report: dict[str, Any] = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    return report


if __name__ == "__main__":
    main()
