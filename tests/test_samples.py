"""The table of sample types says what NumPy's types are."""

import subprocess
import sys

import numpy as np
import pytest

from convcli import native
from convcli.engine.samples import put
from convcli.image import ImageInfo
from convcli.samples import SAMPLES, as_sample


@pytest.mark.parametrize("name", SAMPLES)
def test_a_row_has_the_limits_and_the_width_of_numpys_type(name):
    dtype, row = np.dtype(name), SAMPLES[name]
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    assert (limits.min, limits.max) == (row.least, row.most)
    assert (dtype.itemsize, 8 * dtype.itemsize) == (row.size, row.bits)
    assert {"u": "unsigned", "i": "signed", "f": "float"}[dtype.kind] == row.kind
    assert (dtype.kind in "iu") == row.is_integer
    assert max(-int(limits.min), int(limits.max)) == row.magnitude
    assert np.zeros((3, 4, 5), name).nbytes == ImageInfo((3, 4, 5), name, "ZYX").nbytes


@pytest.mark.parametrize("name", SAMPLES)
def test_whole_numbers_are_exact_up_to_the_bound_and_not_beyond(name):
    bound = SAMPLES[name].whole
    assert bound == int(np.array(bound).astype(name))
    assert as_sample(bound, name) == bound
    assert as_sample(bound + 1, name) != bound + 1


@pytest.mark.parametrize("name", SAMPLES)
def test_a_number_is_a_sample_where_numpy_holds_it(name):
    rng = np.random.default_rng(len(name))
    for value in (*rng.integers(-300, 70000, 50).tolist(), *rng.normal(0, 1e5, 50), 0.5, -0.0):
        if SAMPLES[name].is_integer:
            within = np.iinfo(name).min <= value <= np.iinfo(name).max and float(value).is_integer()
            assert as_sample(value, name) == (int(value) if within else None)
        else:
            with np.errstate(over="ignore"):
                held = float(np.array(value).astype(name))
            assert as_sample(value, name) == (held if np.isfinite(held) else None)


def test_the_table_needs_no_numpy():
    script = "import sys, convcli.samples, convcli.image; sys.exit('numpy' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False).returncode


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", ">u2", "float32"])
@pytest.mark.parametrize("shape", [(3, 2, 9, 70), (2, 1, 4, 5, 6)])
def test_compiled_loops_round_clip_and_count_as_numpy_does(dtype, shape, monkeypatch):
    """Ties, NaN, infinities and what is beyond the type; interleaved samples, too."""
    rng, made = np.random.default_rng(3), []
    values = (np.rint(rng.standard_normal(shape) * 40000) / 2).astype(np.float32)
    values.flat[rng.integers(0, values.size, 40)] = rng.choice([np.nan, np.inf, -np.inf, 1e30, -1e30, -0.5, 255.5], 40)
    for available in (native.AVAILABLE, False):
        monkeypatch.setattr(native, "AVAILABLE", available)
        target = np.moveaxis(np.zeros((*shape[1:], shape[0]), dtype), -1, 0)
        with np.errstate(invalid="ignore", over="ignore"):
            made.append((put(values.copy(), target), target))
    (counts, results), (expected, by_numpy) = made
    assert counts == expected
    np.testing.assert_array_equal(results, by_numpy)
