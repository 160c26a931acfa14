"""Random volumes through random commands by 1, 2 and 4 workers, with accidents: each time the pixels of the whole.

`python tests/crossing_scale.py --cases 100 --seed 1`; the first case that differs stops it, and its words are printed.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from command import COMMAND, environment
from services import dask_cluster

BORDERS = ("edge", "zero", "reflect", "mirror", "wrap", "constant=7")
ACCIDENTS = ("none", "client", "deleted", "cut", "zeros")


def run(*words):
    """A command that must end well; its report."""
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, env=environment(), check=False)
    assert 0 == done.returncode, (words, done.stderr.decode()[-2000:])
    return json.loads(done.stdout) if "--json" in words else None


def drawn(chance):
    """A command without its input and output."""
    border = ("--border", chance.choice(BORDERS))
    return chance.choice(
        [
            ("conv3d", "-k", "gaussian:2um", *border),
            ("conv3d", "-k", "taps.npy", "-m", chance.choice(["direct", "fft"]), "-t", "float32", *border),
            ("conv3d", "-k", "log:1", "--range", "rescale", "-t", "uint8", *border),
            ("conv3d", "-k", "box:3", "--stride", chance.choice(["2", "3,1,2"]), *border),
            ("conv2d", "-k", "sharpen", *border),
            (
                "upsample",
                "-k",
                chance.choice(["bilinear", "bicubic"]),
                "--3d",
                "--stride",
                chance.choice(["2", "1,2,3"]),
            ),
            ("dilate", "-k", "box:3", "--3d", "--rate", "2", *border),
        ]
    )


def spoil(accident, chance):
    """Do something to the shards of an output."""
    shards = [path for path in Path("out.ome.zarr/0").rglob("*") if path.is_file() and path.name != "zarr.json"]
    for path in chance.sample(shards, min(2, len(shards))):
        if accident == "deleted":
            path.unlink()
        elif accident == "cut":
            path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
        else:
            path.write_bytes(bytes(path.stat().st_size))


def stop_client(words, chance):
    """Start a command and kill it, if it has not ended by then."""
    with subprocess.Popen([*COMMAND, *words], env=environment(), stderr=subprocess.DEVNULL) as process:
        time.sleep(chance.uniform(1, 6))
        process.kill()


def case(chance, clusters):
    """One command by one cluster, after one accident."""
    shape = tuple(chance.randrange(5, 50) for _ in range(3))
    dtype = chance.choice(["uint8", "uint16", "float32"])
    pixels = np.random.default_rng(chance.randrange(10**6)).poisson(100, shape)
    pixels[..., : shape[2] // chance.choice([2, 3, 100])] = 0
    np.save("in.npy", pixels.astype(dtype))
    source = ("conv3d", "in.npy", "--axes", "ZYX", "--spacing", "2,1,1um", "-k", "identity", "-o", "in.ome.zarr", "-qf")
    run(*source, "--chunks", ",".join(str(chance.randrange(3, 20)) for _ in range(3)))
    chunks = [chance.randrange(3, 9) for _ in range(3)]
    cuts = (
        "--chunks",
        ",".join(map(str, chunks)),
        "--shards",
        ",".join(str(chance.choice([1, 2, 3]) * n) for n in chunks),
    )
    command, *options = drawn(chance)
    accident, workers = chance.choice(ACCIDENTS), chance.choice(list(clusters))
    words = [command, "in.ome.zarr", *options, "-o", "out.ome.zarr", *cuts, "-q", "--scheduler", clusters[workers]]
    print(f"{workers} workers, {accident}: {shape} {dtype}: {' '.join(words)}", flush=True)
    run(command, "in.ome.zarr", *options, "-o", "whole.npy", "-qf")
    if accident == "client":
        shutil.rmtree("out.ome.zarr", ignore_errors=True)
        stop_client(words, chance)
        run(*words, "--resume")
    else:
        run(*words, "-f")
    if accident in ("deleted", "cut", "zeros"):
        spoil(accident, chance)
        told = run(*words, "--resume", "--json")["shards"]
        assert told["made"] == told["again"] <= 2, told
    run("conv3d", "out.ome.zarr/0", "-k", "identity", "-o", "found.npy", "-qf")
    np.testing.assert_array_equal(np.load("whole.npy"), np.load("found.npy"), strict=True)


def main():
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.chdir(folder)
        os.environ |= {"XDG_STATE_HOME": str(folder / "state"), "PYTHONSAFEPATH": "1"}
        np.save("taps.npy", np.random.default_rng(7).normal(size=(7, 7, 7)))
        clusters = {}
        for workers in (1, 2, 4):
            (folder / str(workers)).mkdir()
            clusters[workers] = stack.enter_context(dask_cluster(folder / str(workers), workers)).address
        for _ in range(options.cases):
            case(chance, clusters)
        os.chdir("/")
    print(f"{options.cases} cases alike")


if __name__ == "__main__":
    main()
