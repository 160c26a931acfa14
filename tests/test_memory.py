"""Memory that images leave to the next ones: never to two at a time, not without end, and none that is in use."""

import gc
import os
import random
import subprocess
import sys
from threading import Thread

import numpy as np
import pytest

from convcli import convolve
from convcli.engine import memory
from convcli.engine.memory import KEPT, LINE, SMALLEST, Kept, Loan, empty, rounded

SHAPE = (300, 1000)


def place(array):
    """Where an array lies."""
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["float32", "uint8", ">u2", "float64"])
def test_an_array_begins_with_a_line_and_can_be_written(dtype):
    array = empty(SHAPE, dtype, Kept())
    assert (array.shape, array.dtype) == (SHAPE, np.dtype(dtype))
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert place(array) % LINE == 0
    array[...] = 1
    assert array.sum() == array.size


def test_memory_waits_for_an_array_of_about_its_size():
    kept = Kept()
    array = empty(SHAPE, "float32", kept)
    where = place(array)
    del array
    smaller = empty((10, 7000), "float32", kept)
    assert place(smaller) != where
    again = empty((290, 1000), "float32", kept)
    assert place(again) == where
    assert place(empty(SHAPE, "float32", kept)) != where


def test_a_view_keeps_the_memory():
    kept = Kept()
    array = empty(SHAPE, "float32", kept)
    array[...] = 7
    corner = memoryview(array.T[3:5, :2])
    del array
    gc.collect()
    assert not kept.waiting
    empty(SHAPE, "float32", kept)[...] = 8
    assert (np.asarray(corner) == 7).all()
    del corner
    assert 2 == len(kept.waiting)


def test_small_arrays_and_huge_ones_are_none_of_its_business():
    kept = Kept(most=2 * SMALLEST)
    for size in (0, SMALLEST - 1, 2 * SMALLEST + 1):
        assert empty((size,), "uint8", kept).flags.owndata
    assert not kept.waiting


def test_what_waits_longest_goes_first():
    kept = Kept(most=10 * SMALLEST)
    arrays = [empty((n * SMALLEST,), "uint8", kept) for n in (4, 3, 2, 4)]
    for _ in range(4):
        del arrays[0]
    assert [n * SMALLEST + LINE for n in (3, 2, 4)] == [block.nbytes for block in kept.waiting.values()]


def test_where_the_system_has_no_more_all_that_waits_goes_back(monkeypatch):
    kept = Kept()
    del (array := [empty(SHAPE, "float32", kept)])[0]
    assert array == []
    assert kept.waiting
    real, asked = np.empty, []

    def scarce(shape, dtype):
        asked.append(bool(kept.waiting))
        if kept.waiting:
            raise MemoryError
        return real(shape, dtype)

    monkeypatch.setattr(memory.np, "empty", scarce)
    assert empty((900, 1000), "float32", kept).shape == (900, 1000)
    assert [True, False] == asked


def test_no_two_arrays_ever_share_memory():
    """Threads make arrays, sign them, and drop them in any order; each finds its signature to the end."""
    kept, wrong = Kept(most=2**22), []

    def work(seed):
        rng, alive = random.Random(seed), []
        for number in range(300):
            array = empty((rng.choice([1, 1, 2, 3]) * SMALLEST + rng.randrange(99),), "uint8", kept)
            array[:: LINE // 2] = (seed * 50 + number) % 251
            alive.append((array, array[0]))
            if len(alive) > 4:
                gone, signature = alive.pop(rng.randrange(5))
                wrong.extend([seed] * int((gone[:: LINE // 2] != signature).any()))

    threads = [Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(block.nbytes for block in kept.waiting.values()) <= kept.most


def test_results_are_their_owners_until_they_are_gone():
    image = np.random.default_rng(3).random((400, 500), np.float32)
    taps = [np.full((3, 3), factor / 9) for factor in (1.0, 2.0, 3.0)]
    results = [convolve(image, each, method="direct") for each in taps]
    copies = [result.copy() for result in results]
    KEPT.waiting.clear()
    where = place(results.pop(1))
    assert where != place(copies[1])
    again = convolve(image, taps[1], method="direct")
    np.testing.assert_array_equal(again, copies[1])
    np.testing.assert_array_equal(results[0], copies[0])
    np.testing.assert_array_equal(results[1], copies[2])


def test_a_loan_that_a_signal_cut_short_gives_nothing_back():
    """What is raised in `__del__` is printed beside the message of what was stopped."""
    assert Loan.__new__(Loan).__del__() is None


def test_work_that_recurs_keeps_all_that_it_had_in_use_and_no_more():
    kept = Kept(most=0)
    sizes = [3 * SMALLEST, 8 * SMALLEST]
    with kept.recurring():
        turns = [[empty((size,), "uint8", kept) for size in sizes]]
        where = [place(array) for array in turns[0]]
        turns.clear()
        assert 11 * SMALLEST + 2 * LINE == kept.peak == sum(block.nbytes for block in kept.waiting.values())
        turns.append([empty((size,), "uint8", kept) for size in sizes])
        assert {*where} == {place(array) for array in turns[0]}
        turns.clear()
        other = empty((6 * SMALLEST,), "uint8", kept)
        assert [3 * SMALLEST + LINE] == [block.nbytes for block in kept.waiting.values()]  # 8 would be above the peak
        del other
    assert not kept.waiting


def test_work_that_recurs_twice_at_once_keeps_its_memory_to_the_end():
    kept = Kept(most=0)
    kept.begin()
    kept.begin()
    empty((SMALLEST,), "uint8", kept)
    kept.end()
    assert 1 == len(kept.waiting)
    kept.end()
    assert not kept.waiting


@pytest.mark.parametrize("size", [*range(SMALLEST, 8 * SMALLEST, 77_777), 2**20 - 1, 2**20, 2**20 + 1, 10**9])
def test_blocks_come_in_few_sizes_and_are_at_most_a_quarter_larger(size):
    block = rounded(size)
    assert size <= block <= 1.25 * size
    assert block == rounded(block)


TURNS = """
import resource, threading
import numpy as np
from convcli.engine.memory import tell_allocator
tell_allocator()
def work():
    for _ in range(40):
        several = [np.ones(3 * 2**17) for _ in range(8)]
        del several
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()), reason="needs glibc, whose allocator is told"
)
def test_what_each_tile_takes_for_a_moment_is_kept_for_the_next():
    """Each of 40 turns takes 24 MB, or 6,144 pages of 4 kB; Python and NumPy take some 5,000."""
    faults = subprocess.run([sys.executable, "-c", TURNS], capture_output=True, text=True, check=True).stdout
    assert 10_000 + 5 * 6_144 > int(faults)
