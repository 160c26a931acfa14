"""The boxes of an output: what they take is counted one by one here, and no other boxes that fit take much less."""

from itertools import product
from math import prod

import numpy as np
import pytest

from convcli.engine.boxes import boxes_of, bytes_for, middle, read_by
from convcli.engine.slabs import touched
from convcli.image import Grid, ImageInfo
from convcli.kernels import parse_kernel
from convcli.operations.operation import Limits
from convcli.requests.calls import correlate
from convcli.runs.cuts import FEW_CUTS, NEAR, Ledger, best_block, in_tiles, longer, most_of_all, most_of_one

SHAPE, CHUNKS = (60, 150, 130), (16, 32, 64)
TAPS = np.random.default_rng(3).normal(size=(5, 7, 9))
FILTERS = {
    "gaussian": {"kernel": parse_kernel("gaussian:2", 3)},
    "wrap": {"kernel": TAPS, "border": "wrap"},
    "strided": {"kernel": parse_kernel("box:3", 3), "stride": 2},
    "plane": {"kernel": "box:5"},
}


def stages_of(name, shape=SHAPE, dtype="uint16", **limits):
    """The stages of a filter."""
    return correlate(**FILTERS[name]).on(ImageInfo(shape, dtype, "ZYX"), Limits(**limits)).stages


@pytest.mark.parametrize("block", [(16, 32, 64), (60, 64, 30), (7, 150, 130)])
@pytest.mark.parametrize("name", FILTERS)
def test_what_boxes_take_is_what_each_of_them_takes(name, block):
    stages = stages_of(name)
    boxes = boxes_of(stages, Grid(block))
    read = fetched = computed = 0
    for box in boxes:
        parts = read_by(stages, box)
        read += sum(prod(stop - start for start, stop in part) for part in parts)
        cells = {cell for part in parts for cell in product(*map(touched, part, CHUNKS, SHAPE))}
        fetched += sum(prod(stop - start for start, stop in cell) for cell in cells)
        tasks = stages[0].part(box).tasks
        computed += sum(prod(task.shape) for task in tasks)
    ledger = Ledger(stages, CHUNKS, middle(boxes.shape, boxes.block))
    assert (read, fetched, computed) == pytest.approx(ledger.total(boxes.block), rel=1e-12)


@pytest.mark.parametrize("most", [2**16, 2**20, 2**22, 2**30])
@pytest.mark.parametrize("name", FILTERS)
def test_no_other_boxes_of_whole_chunks_that_fit_take_much_less(name, most):
    stages = stages_of(name)
    shape, unit = stages[-1].after.shape, (8, 16, 32)
    found = best_block(stages, CHUNKS, unit, most)
    assert all(step % least == 0 or step == size for step, least, size in zip(found, unit, shape, strict=True))
    ledger = Ledger(stages, CHUNKS, middle(shape, unit), FEW_CUTS)
    every = product(*(longer(least, size) for least, size in zip(unit, shape, strict=True)))
    fitting = [block for block in every if bytes_for(stages, middle(shape, block)) <= most] or [unit]
    assert found in fitting
    assert ledger.seconds(found) <= NEAR * min(map(ledger.seconds, fitting)) * (1 + 1e-9)


def test_planes_need_not_lie_in_one_box_where_the_kernel_does_not_reach_from_one_to_the_next():
    many = (4000, 256, 256)
    block = best_block(stages_of("plane", many), (1, 256, 256), (1, 256, 256), 2**30)
    assert (256, 256) == block[1:]
    assert block[0] < many[0] // 4


def test_tiles_that_are_never_cut_are_counted_whole():
    """Small boxes of a transform compute its tiles again and again; large ones are chosen for it."""
    stages = correlate(TAPS).on(ImageInfo((256, 256, 256), "float32", "ZYX"), Limits("fft")).stages
    small = Ledger(stages, (64, 64, 64), middle((256, 256, 256), (64, 64, 64)))
    whole = in_tiles(stages[0].whole)
    assert whole == 256**3
    assert 1.5 * whole < small.total((64, 64, 64))[2]
    block = best_block(stages, (64, 64, 64), (64, 64, 64), 2**30)
    assert small.total(block)[2] < 1.3 * whole


def test_what_comes_through_a_network_is_read_less_often():
    chunks, shape, taps = (32, 32, 32), (256, 256, 256), np.random.default_rng(1).normal(size=(11, 11, 11))
    stages = correlate(taps).on(ImageInfo(shape, "uint16", "ZYX"), Limits("direct")).stages
    near, far = (best_block(stages, chunks, chunks, 2**30, far=far) for far in (False, True))
    ledger = Ledger(stages, chunks, middle(shape, chunks))
    assert ledger.total(far)[1] < ledger.total(near)[1]


def test_memory_that_is_given_holds_two_boxes_and_else_a_part_of_the_machines_does():
    assert 2**27 == most_of_one(Limits(boxes=2**28))
    assert 2**28 == most_of_all(Limits(boxes=2**28), 64)
    assert most_of_one(Limits()) <= most_of_all(Limits(), 64)
