"""Compiled parts of PNG: rows predicted and restored, bytes deflated; nothing outside of what is given is touched."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli import native
from convcli.formats.png.stream import left_over, predicted

pytestmark = pytest.mark.skipif(not (native.ROWS and native.DEFLATE), reason="the native extension is not built")
PIXELS = (1, 2, 3, 4, 6, 8)
BLOCK = 2**16


def by_the_book(told, above, pixel):
    """Rows restored byte by byte, as the specification says."""
    rows, above = [], above.tolist()
    for kind, *values in told.tolist():
        row = []
        for i, value in enumerate(values):
            a, b, c = (row[i - pixel], above[i], above[i - pixel]) if i >= pixel else (0, above[i], 0)
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row.append((value + (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
        rows.append(row)
        above = row
    return np.array(rows, np.uint8)


@settings(deadline=None)
@given(st.sampled_from(PIXELS), st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32))
def test_rows_of_any_kinds_are_restored_as_the_specification_says(pixel, count, width, seed):
    rng = np.random.default_rng(seed)
    told = rng.integers(0, 256, (count, width * pixel + 1), np.uint8)
    told[:, 0] = rng.integers(0, 5, count)
    above = rng.integers(0, 256, width * pixel, np.uint8)
    rows = np.empty((count, width * pixel), np.uint8)
    assert native.restore(told.tobytes(), above, pixel, rows)
    np.testing.assert_array_equal(by_the_book(told, above, pixel), rows)


@settings(deadline=None)
@given(
    *(st.sampled_from(PIXELS), st.integers(1, 5), st.integers(1, 40), st.integers(-1, 4)),
    *(st.sampled_from([2, 20, 256]), st.integers(0, 2**32)),
)
def test_rows_are_predicted_as_numpy_does_and_restored(pixel, count, width, kind, levels, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, levels, (count, width * pixel), np.uint8)
    above = rng.integers(0, levels, width * pixel, np.uint8)
    told = predicted(rows, above, pixel, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "ROWS", False)
        np.testing.assert_array_equal(predicted(rows, above, pixel, kind), told, strict=True)
    assert kind == -1 or (told[:, 0] == kind).all()
    again = np.empty_like(rows)
    assert native.restore(told.tobytes(), above, pixel, again)
    np.testing.assert_array_equal(rows, again)


@pytest.mark.parametrize("width", [1, 1364, 1365, 1366, 1367, 5000])
def test_long_rows_get_the_prediction_that_leaves_the_least(width):
    rng = np.random.default_rng(width)
    smooth = rng.integers(0, 4, (12, 3 * width)).cumsum(axis=1)
    rows = (smooth + rng.integers(0, 2, smooth.shape) * (np.arange(12)[:, None] > 6) * 128).astype(np.uint8)
    above = np.zeros(3 * width, np.uint8)
    sums = [np.minimum(left, 256 - left.astype(int)).sum(axis=1) for left in left_over(rows, above, 3)]
    assert np.argmin(sums, axis=0).tolist() == predicted(rows, above, 3, -1)[:, 0].tolist()


@pytest.mark.parametrize("kind", [5, 6, 127, 128, 255])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_of_an_unknown_kind_is_told(kind, place):
    told = np.zeros((3, 7), np.uint8)
    told[place, 0] = kind
    assert not native.restore(told.tobytes(), np.zeros(6, np.uint8), 3, np.empty((3, 6), np.uint8))


def rows_of(count, size):
    return np.zeros((count, size), np.uint8)


@pytest.mark.parametrize(
    ("rows", "above", "pixel", "told"),
    [
        (rows_of(3, 6), rows_of(1, 6), 3, rows_of(3, 6)),
        (rows_of(3, 6), rows_of(1, 6), 3, rows_of(2, 7)),
        (rows_of(3, 6), rows_of(1, 6), 3, rows_of(4, 7)),
        (rows_of(3, 6), rows_of(1, 5), 1, rows_of(3, 7)),
        (rows_of(3, 6), rows_of(1, 6), 4, rows_of(3, 7)),
        (rows_of(3, 6), rows_of(1, 6), 5, rows_of(3, 7)),
        (rows_of(3, 6), rows_of(1, 6), 0, rows_of(3, 7)),
        (rows_of(3, 6), rows_of(1, 6), -3, rows_of(3, 7)),
        (rows_of(3, 6), rows_of(1, 6), 2**62, rows_of(3, 7)),
        (rows_of(0, 6), rows_of(1, 6), 3, rows_of(0, 7)),
        (rows_of(3, 0), rows_of(1, 0), 3, rows_of(3, 1)),
        (rows_of(3, 12)[:, ::2], rows_of(1, 6), 3, rows_of(3, 7)),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, above, pixel, told):
    with pytest.raises((ValueError, BufferError)):
        native.predict(rows, above, pixel, 1, told)
    with pytest.raises((ValueError, BufferError, TypeError)):
        native.restore(told, above, pixel, rows)


def test_what_cannot_be_written_or_is_no_kind_is_refused():
    rows, above, told = rows_of(3, 6), rows_of(1, 6), rows_of(3, 7)
    for kind in (-2, 5):
        with pytest.raises(ValueError, match="no kind of prediction"):
            native.predict(rows, above, 3, kind, told)
    with pytest.raises((TypeError, BufferError)):
        native.predict(rows, above, 3, 1, told.tobytes())
    with pytest.raises((TypeError, BufferError)):
        native.restore(told, above, 3, rows.tobytes())


def inflated(packed, *, last):
    """What a part of a raw deflate stream holds; it ends where it should."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(packed)
    assert last == inflater.eof
    assert b"" == inflater.unused_data
    return content


def fibonacci():
    """Bytes so uneven that an unbounded code would have more than 12 bits."""
    counts = [1, 1]
    while len(counts) < 22:
        counts.append(counts[-1] + counts[-2])
    content = np.repeat(np.arange(22, dtype=np.uint8), counts)
    return np.random.default_rng(0).permutation(content).tobytes()


RNG = np.random.default_rng(1)
CONTENTS = {
    "a byte": b"x",
    "two": b"xy",
    "three alike": b"xxx",
    "four alike": b"xxxx",
    "noise": RNG.bytes(100_000),
    "every byte": bytes(range(256)) * 2,
    "even bytes": np.arange(256, dtype=np.uint8).repeat(2).tobytes() * 300,
    "zeros": bytes(1_000_000),
    "photo": (RNG.laplace(0, 8, 300_000).astype(int) % 256).astype(np.uint8).tobytes(),
    "fibonacci": fibonacci(),
    "runs": np.repeat(RNG.integers(0, 256, 3000, np.uint8), RNG.integers(1, 600, 3000)).tobytes(),
    "short runs": np.repeat(RNG.integers(0, 256, 90_000, np.uint8), RNG.integers(1, 5, 90_000)).tobytes(),
    "runs in noise": b"".join(RNG.bytes(n) + bytes(n % 9) for n in range(300)),
} | {f"a block and {n:+d}": RNG.bytes(BLOCK + n) for n in (-33, -32, -1, 0, 1, 2, 31, 32, 33, 34)}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", CONTENTS)
def test_zlib_reads_what_is_deflated(name, last):
    content = CONTENTS[name]
    packed = native.deflate(np.frombuffer(content, np.uint8), last=last)
    assert content == inflated(packed, last=last)


@pytest.mark.parametrize("length", range(1, 270))
def test_runs_of_every_length_are_copied(length):
    content = b"a" + b"b" * length + b"cdefg" * 20 + b"h" * length
    assert content == inflated(native.deflate(np.frombuffer(content, np.uint8), last=True), last=True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 700)), min_size=1, max_size=300), st.booleans())
def test_any_runs_are_read_again(runs, last):
    content = b"".join(bytes([value]) * count for value, count in runs)
    assert content == inflated(native.deflate(np.frombuffer(content, np.uint8), last=last), last=last)


@pytest.mark.parametrize("name", CONTENTS)
def test_it_is_as_small_as_zlib_makes_it_in_the_same_way(name):
    content = CONTENTS[name]
    packer = zlib.compressobj(1, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    theirs = len(packer.compress(content) + packer.flush())
    assert len(native.deflate(np.frombuffer(content, np.uint8), last=True)) <= 1.01 * theirs + 100


def test_parts_follow_each_other():
    parts = [np.frombuffer(content, np.uint8) for content in CONTENTS.values()]
    packed = b"".join(native.deflate(part, last=part is parts[-1]) for part in parts)
    assert b"".join(CONTENTS.values()) == inflated(packed, last=True)


def test_what_has_no_room_is_refused():
    from convcli.native import _deflate

    for size in (1, 100, BLOCK, 3 * BLOCK):
        content, most = bytes(size), _deflate.bound(size)
        assert most > size
        _deflate.deflate(content, bytearray(most), True)
        for short in (0, size, most - 1):
            with pytest.raises(ValueError, match="no room"):
                _deflate.deflate(content, bytearray(short), True)
    for size in (0, -1, 2**62):
        with pytest.raises(ValueError, match="compressed"):
            _deflate.bound(size)
    with pytest.raises(ValueError, match="nothing"):
        _deflate.deflate(b"", bytearray(1000), True)
    with pytest.raises(TypeError):
        _deflate.deflate(b"x", bytes(1000), True)
