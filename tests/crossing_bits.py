"""The same request gives the same bits: random commands under several bounds of memory and numbers of threads.

    python tests/crossing_bits.py --cases 5000 --seed 1

Images are large enough to be cut into tiles and slabs, and often hold a few samples that no usual arithmetic takes:
NaN, infinities, numbers whose sums leave the type. What they make of their own neighbourhood is for other tests; here
no other sample may change, whichever tile holds them.
"""

from __future__ import annotations

import sys

import numpy as np

import crossing
from convcli.engine import run as engine
from convcli.runs import one
from crossing import main, run, words

SETTINGS = (("256MiB", 1), ("256MiB", 2), ("8MiB", 1), ("1MiB", 2), ("2MiB", 3))
"""Memory and threads."""
SPECIAL = {
    "float16": (6e4, np.inf, -np.inf, np.nan, 6e-8),
    "float32": (3e38, -3e38, 1e30, np.inf, -np.inf, np.nan, 1e-40),
    "float64": (1e308, -1e308, 1e39, 1e160, np.inf, -np.inf, np.nan, 1e-310),
}
"""Samples that arithmetic in one precision or the other does not take."""
DTYPES = ("float32",) * 4 + ("float64", "float64", "float16", "uint8", "uint16", "int32", "uint32", "int8", "int64")
MOST = 250_000
"""Samples of an image."""


def draw(seed):
    """The case of a seed: a command as they are drawn elsewhere, on a larger image."""
    case = crossing.draw(seed)
    rng = np.random.default_rng([seed, 3])
    case.method = case.method if rng.random() < 0.5 else "auto"
    case.verify, case.source, case.target = False, str(rng.choice(["npy", "npy", "tif"])), "npy"
    _enlarge(rng, case)
    _draw_samples(rng, case)
    case.numbers.pop("nodata", None)
    whole = case.image.dtype.kind in "iu"
    if rng.random() < 0.2:
        case.numbers["nodata"] = float(case.image.flat[0]) if whole else -9999.0
    if not whole and not (case.bank or case.normalize == "overlap"):
        case.numbers["nan"] = str(rng.choice(["keep", "keep", "zero", "ignore", "preserve"]))
    if len(case.kernels) > 1 and case.command in ("conv2d", "conv3d") and rng.random() < 0.7:
        case.combine = str(rng.choice(["sum", "mean", "magnitude", "magnitude", "max"]))
    return case


def _enlarge(rng, case):
    """A larger image of about the same axes, sometimes with colours that have an opacity."""
    sizes = dict(zip(case.axes, case.image.shape, strict=True))
    for letter in case.spatial:
        sizes[letter] = int(rng.integers(*((90, 700), (12, 80))[case.ndim - 2]))
    while np.prod(list(sizes.values()), dtype=float) > MOST:
        letter = max(case.spatial, key=sizes.get)
        sizes[letter] = max(12, sizes[letter] // 2)
    case.wanted = tuple(int(sizes[letter] * rng.uniform(0.5, 2)) for letter in case.spatial) if case.curve else ()
    if "C" not in case.axes and case.command in ("conv2d", "upsample", "dilate") and rng.random() < 0.3:
        case.axes, sizes["S"] = case.axes + "S", int(rng.choice([2, 4]))
        case.numbers["alpha"] = str(rng.choice(["premultiply", "straight", "keep", "drop"]))
        case.numbers |= {"linear": True} if rng.random() < 0.3 else {}
    case.image = np.empty([sizes[letter] for letter in case.axes])


def _draw_samples(rng, case):
    dtype, shape = np.dtype(rng.choice(DTYPES)), case.image.shape
    if dtype.kind in "iu":
        most = min(np.iinfo(dtype).max, crossing.LARGEST.get(dtype.name, np.iinfo(dtype).max))
        case.image = rng.integers(0, most, shape, endpoint=True).astype(dtype)
        return
    case.image = rng.random(shape) if rng.random() < 0.5 else rng.standard_normal(shape)
    if rng.random() < 0.2:  # parts where nothing is
        case.image[tuple(slice(None, n // 2) for n in shape)] = 0
    case.image = case.image.astype(dtype)
    for _ in range(int(rng.choice([0, 1, 1, 2, 5]))):
        case.image[tuple(int(rng.integers(0, n)) for n in shape)] = rng.choice(SPECIAL[dtype.name])


def check(seed, folder):
    """What is wrong with the case of a seed, a line each."""
    case = draw(seed)
    typed = [word.removesuffix("=True") for word in words(case, folder)]
    found = {}
    for memory, threads in SETTINGS:
        code, err = run([*typed, "--memory", memory, "--threads", str(threads)])
        found[f"{memory} {threads}"] = np.load(folder / "out") if code == 0 else err.replace(str(folder) + "/", "")
    first = next(iter(found.values()))
    told = [f"{setting}: {_apart(first, each)}" for setting, each in found.items() if _apart(first, each)]
    line = " ".join(typed[:-4]).replace(str(folder) + "/", "")
    return [f"{seed}: {case.image.dtype} {case.axes} {case.image.shape} {line}: {'; '.join(told)}"] if told else []


def _apart(first, other):
    """How two results differ; a refusal by every setting is right, and so is one that asks for more memory."""
    if isinstance(other, str):
        refused = "traceback" not in other and (isinstance(first, str) or "raise --memory" in other)
        return "" if refused else other
    if isinstance(first, str):
        return "done"
    bits = f"u{first.itemsize}"
    different = np.count_nonzero(first.view(bits) != other.view(bits))
    return f"{different} of {first.size} samples" if different else ""


if __name__ == "__main__":
    engine.LEAST = one.LONG = 1  # slabs as thin as the memory asks for, of all images
    sys.exit(main(check, __doc__.splitlines()[0]))
