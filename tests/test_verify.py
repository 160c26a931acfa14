"""`--verify` passes where results are what is promised, whatever their type, and finds those that are not."""

import numpy as np
import pytest

from convcli.engine.stages import filter as filter_stage
from convcli.engine.stages import phases
from convcli.engine.verify import agrees
from convcli.methods import METHODS

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
SPOTS = {"float32": (0, 1e12), "float64": (1e6, 1e29)}
"""One pixel that outshines the others, among values of about 1."""
TAPS = np.random.default_rng(5).standard_normal((3, 3)).round(3)
COMMANDS = {
    "plain": ("conv2d --axes CYX -k k.npy", TAPS),
    "a constant border": ("conv2d --axes CYX -k k.npy -b constant=1e7", TAPS),
    "spread": ("conv2d --axes CYX -k k.npy -d 2", TAPS),
    "bank": ("conv2d --axes CYX -k k.npy", np.stack([[TAPS, TAPS.T], [TAPS[::-1], -TAPS]])),
    "sum of a bank": ("conv2d --axes CYX -k k.npy --combine sum", np.stack([[TAPS, TAPS.T], [TAPS[::-1], -TAPS]])),
    "enlarged": ("upsample --axes CYX -k k.npy -s 2", TAPS),
    "enlarged by a bank": ("upsample --axes CYX -k k.npy -s 2", np.stack([[TAPS, TAPS.T], [TAPS[::-1], -TAPS]])),
    "rates": ("dilate --axes CYX -k k.npy --rates 1,2 --combine sum", TAPS),
    "chain": ("dilate --axes CYX -k k.npy --chain 1,2", TAPS),
    "pair": ("separable --axes CYX --depthwise k.npy --pointwise mix.npy", TAPS),
    "pair, spread": ("separable --axes CYX --depthwise k.npy --pointwise mix.npy -d 2", TAPS),
    "resized": ("upsample --axes CYX -k bicubic --scale 3/2", None),
}


@pytest.mark.sweep(3)
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("source", "spot"), [(source, spot) for source, spots in SPOTS.items() for spot in spots])
def test_whole_numbers_from_any_pixels_are_what_is_promised(source, spot, name, run):
    words, taps = COMMANDS[name]
    pixels = np.random.default_rng(3).standard_normal((2, 7, 11)).astype(source)
    pixels[0, 3, 6] += spot
    np.save("in.npy", pixels)
    np.save("mix.npy", [[1.5, -0.25], [0.5, 2.0]])
    if taps is not None:
        np.save("k.npy", taps)
    done = set()
    for target in ("int16", "int64", "float32"):
        for method in METHODS if taps is not None else ("auto",):
            typed = (*words.split(), "in.npy", "-t", target, "-m", method, "--verify=60", "-f", "-qq", "-o", "out.npy")
            code, lines = run(*typed)
            assert 0 == code or "cannot do this" in lines[0], (target, method, lines)
            done |= {method} if code == 0 else set()
    assert done >= ({"direct", "fft"} if taps is not None else {"auto"})


@pytest.mark.parametrize("beyond", [1.5, 1e10, 1e43, np.inf])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_what_a_type_cannot_hold_is_its_last_value(dtype, beyond):
    held = np.iinfo(dtype)
    found, expected = np.array([held.max], dtype), np.array([float(held.max) * beyond])
    assert agrees(found, expected, 0.5)
    assert not agrees(found // 2, expected, 0.5)
    if held.min:
        assert agrees(np.array([held.min], dtype), -expected, 0.5)
        assert not agrees(found, -expected, 0.5)


@pytest.mark.parametrize("target", ["uint8", "int16", "int64", "float32"])
@pytest.mark.parametrize(("name", "module"), [("plain", filter_stage), ("bank", filter_stage), ("enlarged", phases)])
@pytest.mark.parametrize("source", ["uint8", "float32"])
def test_a_sample_that_is_one_off_is_found(source, name, module, target, run, monkeypatch):
    store = module.store_tile

    def spoiled(job, method, task, target, **more):
        counts = store(job, method, task, target, **more)
        target += 1
        return counts

    words, taps = COMMANDS[name]
    np.save("in.npy", np.random.default_rng(3).integers(50, 100, (2, 24, 30)).astype(source))
    np.save("k.npy", abs(taps) / 9)
    words = (*words.split(), "in.npy", "-t", target, "--verify", "-f", "-qq", "-o", "out.npy")
    assert (0, []) == run(*words)
    monkeypatch.setattr(module, "store_tile", spoiled)
    monkeypatch.setattr(filter_stage, "once", lambda _stage: None)  # small images take another way
    code, lines = run(*words)
    assert 1 == code
    assert "by the definition [verify]" in lines[0]
