"""Commands drawn at random, crossing features, hold against the definition: a share of what the three programs draw.

python tests/crossing.py --cases 5000 --seed 1
python tests/crossing_pictures.py --cases 5000 --seed 1
python tests/crossing_bits.py --cases 5000 --seed 1
"""

import numpy as np
import pytest

from convcli.engine import run as engine
from convcli.runs import one

pytest.importorskip("imagecodecs")
import crossing
import crossing_bits
import crossing_pictures

SHARE = 6
"""Cases of a test; ten tests of commands, five of pictures and of bits."""


@pytest.mark.sweep(2)
@pytest.mark.parametrize("first", range(0, 50 * SHARE, SHARE))
def test_a_command_does_what_the_definition_says(first, tmp_path):
    wrong = [line for seed in range(first, first + SHARE) for line in crossing.check(seed, fresh(tmp_path, seed))]
    assert [] == wrong


@pytest.mark.parametrize("first", range(0, 25 * SHARE, SHARE))
def test_a_picture_is_the_same_through_any_two_formats(first, tmp_path):
    seeds = range(first, first + SHARE)
    assert [] == [line for seed in seeds for line in crossing_pictures.check(seed, fresh(tmp_path, seed))]


@pytest.mark.sweep(2)
@pytest.mark.parametrize("first", range(0, 25 * SHARE, SHARE))
def test_neither_memory_nor_threads_change_a_bit(first, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "LEAST", 1)
    monkeypatch.setattr(one, "LONG", 1)
    seeds = range(first, first + SHARE)
    assert [] == [line for seed in seeds for line in crossing_bits.check(seed, fresh(tmp_path, seed))]


def fresh(folder, seed):
    """A folder of its own for a case."""
    place = folder / str(seed)
    place.mkdir()
    return place


def test_a_wrong_pixel_is_seen(tmp_path, monkeypatch):
    """What finds nothing has to be able to find something."""
    right = crossing._read

    def off_by_one(path, target):
        found = right(path, target).copy()
        found.flat[0] = 77 if found.flat[0] != 77 else 78
        return found

    monkeypatch.setattr(crossing, "_read", off_by_one)
    wrong = [line for seed in range(12) for line in crossing.check(seed, fresh(tmp_path, seed))]
    assert len(wrong) > 3
    assert np.all(["wrong by" in line or "exit" in line for line in wrong])
