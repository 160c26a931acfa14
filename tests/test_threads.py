"""Eight threads of one process, which begin at once where nothing is loaded yet, get what one alone gets."""

import subprocess
import sys

from command import environment

SCRIPT = """
import hashlib, sys, threading
import numpy as np
import convcli

RNG = np.random.default_rng(0)
PLANE, VOLUME = RNG.integers(0, 256, (70, 90), "u1"), RNG.random((12, 30, 34), "f4")
BANK = RNG.random((16, 16, 3, 3), "f4")
COLOURS = RNG.random((16, 40, 44), "f4")


def written(name):
    path = f"{threading.get_ident()}{name}"
    convcli.write(path, PLANE, axes="YX", force=True)
    return convcli.read(path).data


JOBS = [
    *(lambda m=m: convcli.convolve(PLANE, "gaussian:2", axes="YX", method=m) for m in ("direct", "separable", "fft")),
    lambda: convcli.convolve(VOLUME, RNG_KERNEL, axes="ZYX", method="fft"),
    *(lambda m=m: convcli.convolve(COLOURS, BANK, axes="CYX", method=m) for m in ("gemm", "winograd", "auto")),
    lambda: convcli.upsample(PLANE, "bilinear", axes="YX"),
    lambda: convcli.resize(PLANE, 0.7, axes="YX"),
    *(lambda name=name: written(name) for name in (".png", ".tif", ".npy")),
    lambda: np.asarray(convcli.parse_kernel("log:2").array()),
    lambda: np.asarray(convcli.parse_network("3@64x64 conv7-64/2p3 max3/2p1").total["macs"]),
]
RNG_KERNEL = RNG.random((7, 7, 7))


def digest(job):
    return hashlib.sha256(np.ascontiguousarray(JOBS[job]()).tobytes()).hexdigest()


found, wrong, gate = [{} for _ in range(8)], [], threading.Barrier(8)


def work(number):
    order = np.random.default_rng(number).permutation(len(JOBS)).tolist()
    gate.wait()
    try:
        for job in order * 3:
            found[number].setdefault(job, set()).add(digest(job))
    except BaseException as error:
        wrong.append(f"{job}: {error!r}")


threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
alone = {job: {digest(job)} for job in range(len(JOBS))}
assert not wrong, wrong
assert all(each == alone for each in found), [[job for job in alone if each[job] != alone[job]] for each in found]
print(len(JOBS), "the same")
"""


def test_eight_threads_get_what_one_gets(tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT],
        capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False, timeout=300,
    )  # fmt: skip
    assert (0, "14 the same\n", "") == (done.returncode, done.stdout, done.stderr)
