"""What a forecast assumes, measured here: `python -m tests.bench.rates [URL]`, each the best of seven.

Seconds of a core for packing and unpacking, which hardly depend on what else runs; what a task costs a worker and the
scheduler; and, below a URL that may be written to, what a store gives one worker (`CONVCLI_STORE_RATE`). Needs the
extras zarr and cluster.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from convcli.engine.boxes import checksum
from convcli.formats import ReadOptions
from convcli.formats.source import source_of
from convcli.formats.zarr.whole import opening
from convcli.machine import processor
from convcli.records import replace
from convcli.runs.cluster import cluster_at

ROUNDS = 7
SHAPE, SHARDS = (128, 512, 512), "64,256,256"
SMALL = (64, 64, 64)
TASKS = 10_000


def main(*urls: str) -> None:
    """Print the rates, with the machine."""
    print(f"{processor()}, {date.today()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels = np.random.default_rng(4).poisson(300, SHAPE).astype(np.uint16)
        np.save(folder / "in.npy", pixels)
        np.save(folder / "small.npy", pixels[: SMALL[0], : SMALL[1], : SMALL[2]])
        chunked(folder / "in.npy", folder / "in.zarr", "--shards", SHARDS, "--chunks", "64,64,64")
        size = sum(path.stat().st_size for path in (folder / "in.zarr").rglob("c/*/*/*"))
        print(f"packed: {size / pixels.nbytes:.2f} of the bytes")
        print("sums up and packs {:.0f} MB/s, unpacks {:.0f}".format(*codec(folder / "in.zarr", pixels)))
        print(f"a task of a worker: {1e3 * of_task(folder):.1f} ms; of the scheduler: {1e3 * served():.2f} ms")
        for url in urls:
            store(folder, url.rstrip("/"), size, filtered(folder / "in.zarr", folder / "out.zarr"))


def codec(path: Path, pixels: np.ndarray[Any, Any]) -> tuple[float, float]:
    """MB/s of a core that sums up and packs an array, and that unpacks it."""
    whole = tuple((0, size) for size in pixels.shape)
    with replace(opening(source_of(path), ReadOptions(axes="ZYX")), since=0).opened() as zarr:

        def pack() -> None:
            checksum(pixels)
            zarr.write(whole, pixels)

        rates = [pixels.nbytes / least(work) / 1e6 for work in (pack, lambda: zarr.read(whole, np.empty_like(pixels)))]
    return rates[0], rates[1]


def least(work: Callable[[], object]) -> float:
    """The least seconds that this process computes for it."""
    found = []
    for _ in range(ROUNDS):
        begun = process_time()
        work()
        found.append(process_time() - begun)
    return min(found)


def store(folder: Path, url: str, size: int, plain: dict[str, float]) -> None:
    """Print what a store gives beyond the time that unpacking and packing take."""
    target = f"{url}/convcli-rates.zarr"
    written = filtered(folder / "in.zarr", target)
    read = filtered(target, folder / "back.zarr")
    up, down = written["write"] - plain["write"], read["read"] - plain["read"]
    print(f"{url}: {size / down / 1e6:.0f} MB/s read, {size / up / 1e6:.0f} MB/s written, packed; {target} stays")


def chunked(source: Path, target: Path, *more: str) -> dict[str, float]:
    """Seconds by phase of an array that is made a Zarr."""
    return filtered(source, target, "--axes", "ZYX", *more)


def filtered(source: Path | str, target: Path | str, *more: str) -> dict[str, float]:
    """The least seconds by phase of a command with one thread that changes no pixel."""
    words = ("conv3d", source, "-k", "identity", "-o", target, "--threads", "1", *more)
    runs = [told(*words)["time"] for _ in range(ROUNDS)]
    return {phase: min(run[phase] for run in runs) for phase in runs[0]}


def told(*words: object) -> dict[str, Any]:
    """The report of a command."""
    line = [sys.executable, "-m", "convcli", *map(str, words), "-f", "--json", "-q"]
    report: dict[str, Any] = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    return report


def of_task(folder: Path) -> float:
    """Seconds of a worker for a box so small that its pixels take no time."""
    cuts = ("--axes", "ZYX", "--chunks", "8,8,8", "--shards", "8,8,8")
    words = ("conv3d", folder / "small.npy", "-k", "identity", "-o", folder / "small.zarr", *cuts)
    runs = [told(*words, "--scheduler", "local:1") for _ in range(2)]
    return min(sum(run["time"][phase] for phase in ("read", "write")) / run["shards"]["boxes"] for run in runs)


def served() -> float:
    """Seconds of scheduler and client for a task, where two workers have nothing to do."""
    with cluster_at("local:2") as cluster:
        begun = perf_counter()
        for _ in cluster.answers(nothing, None, range(TASKS)):
            pass
        return (perf_counter() - begun) / TASKS


def nothing(_common: None, _task: int) -> None:
    """What a task does."""


if __name__ == "__main__":
    main(*sys.argv[1:])
