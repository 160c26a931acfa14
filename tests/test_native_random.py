"""Every entry of the compiled code with arrays of any layout: it refuses them, or does what it does with plain ones.

Shapes, strides (negative, zero, wide), lengths of zero, memory that is shared or read-only, and eight threads at once.
Run by tests/native_sanitizer.sh, where a byte read or written beside a buffer ends the process.
"""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import NamedTuple

import numpy as np
import pytest

from convcli import native
from convcli.native import passes, scans, spectra, sums

pytestmark = pytest.mark.skipif(not native.INSTRUCTIONS, reason="the native extension is not built")

REFUSED = (ValueError, TypeError, BufferError)
GUARD = 7
ROUNDS = 60


class Entry(NamedTuple):
    """Arrays that are read, the shape and type of what is written, and the call."""

    draw: Callable
    call: Callable


def correlated(name, dtypes=("float32",), **more):
    """A correlation of random size."""

    def draw(rng):
        kernel = more.get("kernel", (int(rng.integers(1, 6)), int(rng.integers(1, 6))))
        stride = (1, 1) if "kernel" in more else tuple(int(n) for n in rng.integers(1, 3, 2))
        shape = int(rng.integers(1, 20)), int(rng.integers(1, 70))
        size = [(n - 1) * s + k for n, s, k in zip(shape, stride, kernel, strict=True)]
        dtype = dtypes[int(rng.integers(len(dtypes)))]
        source = (rng.random(size) * 200).astype(dtype)
        taps = rng.random(kernel).astype(np.float32)
        return [source, taps], shape, dtype, {"stride": stride}

    def call(arrays, target, options):
        getattr(native, name)(*arrays, target, **options)

    return Entry(draw, call)


def layers():
    def draw(rng):
        shape, channels, filters = (int(rng.integers(1, 9)), int(rng.integers(1, 40))), 2, 3
        source = rng.random((channels, 1, shape[0] + 2, shape[1] + 2), np.float32)
        return [source, rng.random((filters, channels, 1, 3, 3), np.float32)], (filters, 1, *shape), "float32", {}

    return Entry(draw, lambda arrays, target, options: native.correlate_layers(*arrays, target, **options))


def separable():
    def draw(rng):
        shape, kernel, terms = (int(rng.integers(1, 15)), int(rng.integers(1, 50))), rng.integers(1, 7, 2), 2
        source = (rng.random((shape[0] + kernel[0] - 1, shape[1] + kernel[1] - 1)) * 200).astype(np.uint8)
        columns, rows = rng.random((terms, kernel[0]), np.float32), rng.random((terms, kernel[1]), np.float32)
        return [source, columns, rows], shape, "uint8", {"scale": 0.05}

    return Entry(draw, lambda arrays, target, options: native.separable(*arrays, target, **options))


def summed():
    def draw(rng):
        shape, size = tuple(int(n) for n in rng.integers(1, 40, 3)), tuple(int(n) for n in rng.integers(1, 40, 2))
        dtype = native.WIDE_TYPES[int(rng.integers(len(native.WIDE_TYPES)))]
        source = (rng.random((shape[0], shape[1] + size[0] - 1, shape[2] + size[1] - 1)) * 100).astype(dtype)
        return [source], shape, dtype, {"size": size}

    def call(arrays, target, options):
        sums.correlate(*arrays, options["size"], 1e-3, target, precise=True)

    return Entry(draw, call)


def passed():
    def draw(rng):
        shape, size = tuple(int(n) for n in rng.integers(1, 40, 3)), tuple(int(n) for n in rng.integers(1, 9, 3))
        dtype = native.WIDE_TYPES[int(rng.integers(len(native.WIDE_TYPES)))]
        source = (rng.random([n + k - 1 for n, k in zip(shape, size, strict=True)]) * 100).astype(dtype)
        return [source, *map(rng.random, size)], shape, dtype, {}

    return Entry(draw, lambda arrays, target, _: passes.correlate(arrays[0], arrays[1:], target, scale=0.01))


def unfolded():
    def draw(rng):
        kernel, out, stride, dilation = (rng.integers(1, 4, 2) for _ in range(4))
        out = rng.integers(1, 20, 2)
        size = [int((n - 1) * s + (k - 1) * d + 1) for n, s, k, d in zip(out, stride, kernel, dilation, strict=True)]
        steps = {"stride": tuple(map(int, stride)), "dilation": tuple(map(int, dilation))}
        return [rng.random((2, *size), np.float32)], (2, *map(int, kernel), *map(int, out)), "float32", steps

    return Entry(draw, lambda arrays, target, options: native.unfold(*arrays, target, **options))


def shuffled():
    def draw(rng):
        filters, rows, phases, columns = (int(n) for n in rng.integers(1, 9, 4))
        dtype = ("uint8", "uint16", "float32", "float64")[int(rng.integers(4))]
        phased = (rng.random((filters, rows, phases, columns)) * 200).astype(dtype)
        return [phased], (filters, rows, phases * columns), dtype, {}

    return Entry(draw, lambda arrays, target, _: native.shuffle(*arrays, target))


def predicted():
    def draw(rng):
        rows, pixel = int(rng.integers(1, 9)), int(rng.choice([1, 2, 3, 4, 6, 8]))
        size = pixel * int(rng.integers(1, 40))
        held = rng.integers(0, 256, (rows + 1, size), dtype=np.uint8)
        return (
            [held[1:].copy(), held[0].copy()],
            (rows, size + 1),
            "uint8",
            {"pixel": pixel, "kind": int(rng.integers(-1, 5))},
        )

    return Entry(draw, lambda arrays, target, o: native.predict(*arrays, o["pixel"], o["kind"], target))


def restored():
    def draw(rng):
        (rows, above), shape, _, options = predicted().draw(rng)
        packed = np.zeros(shape, np.uint8)
        native.predict(rows, above, options["pixel"], options["kind"], packed)
        return [packed, above], rows.shape, "uint8", options

    return Entry(draw, lambda arrays, target, o: native.restore(arrays[0], arrays[1], o["pixel"], target))


def transformed():
    def draw(rng):
        down, across = (int(n) for n in rng.integers(1, 9, 2))
        block = rng.random((2, 4 * down + 2, 4 * across + 2), np.float32)
        return [block], (36, 2, down, across), "float32", {}

    return Entry(draw, lambda arrays, target, _: native.to_components(*arrays, target))


def transformed_back():
    def draw(rng):
        down, across = (int(n) for n in rng.integers(1, 9, 2))
        cut = int(rng.integers(0, 3)), int(rng.integers(0, 3))
        return (
            [rng.random((36, 2, down, across), np.float32)],
            (2, 4 * down - cut[0], 4 * across - cut[1]),
            "float32",
            {},
        )

    return Entry(draw, lambda arrays, target, _: native.from_components(*arrays, target))


def by_spectrum():
    def draw(rng):
        kernel = tuple(int(n) for n in rng.integers(2, 6, 2))
        tile = 16 - kernel[0] + 1, 32 - kernel[1] + 1
        shape = int(rng.integers(1, 2 * tile[0] + 1)), int(rng.integers(1, 90))
        block = rng.random((shape[0] + kernel[0] - 1, shape[1] + kernel[1] - 1), np.float32)
        return [block, rng.random(kernel, np.float32)], shape, "float32", {"tile": tile}

    def call(arrays, target, options):
        spectra.Spectrum(np.ascontiguousarray(arrays[1]), (16, 32)).correlate(arrays[0], target, options["tile"])

    return Entry(draw, call)


ENTRIES = {
    "correlate": correlated("correlate", native.TYPES),
    "correlate_wide": correlated("correlate_wide", native.WIDE_TYPES),
    "correlate_minimal": correlated("correlate_minimal", kernel=(7, 5)),
    "correlate_layers": layers(),
    "separable": separable(),
    "sums": summed(),
    "passes": passed(),
    "unfold": unfolded(),
    "shuffle": shuffled(),
    "predict": predicted(),
    "restore": restored(),
    "to_components": transformed(),
    "from_components": transformed_back(),
    "Spectrum": by_spectrum(),
}
OF_ONE_RESULT = {"deflate", "walk", "team_of", "rounding", "total", "deflate_bound", "level"}
"""What takes no target; tried below or without arrays."""
entries = pytest.mark.parametrize("name", ENTRIES)


def plain(name, seed):
    """A call of an entry: what it reads, how, and what it should write."""
    arrays, shape, dtype, options = ENTRIES[name].draw(np.random.default_rng(seed))
    target = np.full(shape, GUARD, dtype)
    ENTRIES[name].call(arrays, target, options)
    return arrays, target, options


def wide(array, rng):
    """The same numbers with others in between, and a guard around: (view, memory)."""
    steps = [int(rng.choice([1, 1, 2, 3, -1, -2])) for _ in array.shape]
    sizes = [abs(step) * n + 4 for step, n in zip(steps, array.shape, strict=True)]
    memory = np.full(sizes, GUARD, array.dtype)
    place = tuple(
        slice(2, 2 + step * n, step) if step > 0 else slice(1 - step * n, 1 if step * n else None, step)
        for step, n in zip(steps, array.shape, strict=True)
    )
    view = memory[place]
    assert view.shape == array.shape
    view[...] = array
    return view, memory


def repeated(array, rng):
    """One row for all: a stride of zero."""
    return np.broadcast_to(array[:1], array.shape)


def tried(name, arrays, target, options):
    """True where an entry took the arrays; False where it refused them."""
    try:
        ENTRIES[name].call(arrays, target, options)
    except REFUSED:
        return False
    return True


def test_every_entry_that_writes_is_tried():
    public = {
        name
        for module in (native, spectra)
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    }
    others = {"Counts", "Steps", "Options", "Watch", "Seen", "lacking"}  # values, and words on what is not built
    others |= {"correlating"}  # which `correlate` is, told of less
    tried_here = {name for name in public if not name.startswith("_")} - others - OF_ONE_RESULT
    assert tried_here | {"sums", "passes"} == ENTRIES.keys()  # which are named correlate in a module of their own


@entries
def test_views_of_any_strides_are_refused_or_give_the_same(name):
    taken = 0
    for seed in range(ROUNDS):
        rng = np.random.default_rng([seed, 1])
        arrays, expected, options = plain(name, seed)
        views = [wide(array, rng)[0] if rng.integers(2) else array for array in arrays]
        target, memory = wide(np.zeros_like(expected), rng) if rng.integers(2) else (np.zeros_like(expected), None)
        before = None if memory is None else memory.copy()
        if tried(name, views, target, options):
            taken += 1
            np.testing.assert_allclose(expected, target, rtol=2e-6, atol=2e-4)
        elif memory is not None:
            assert np.array_equal(before, memory)
        if memory is not None:
            target[...] = GUARD
            assert (memory == GUARD).all()  # nothing beside the target
    assert taken


@entries
def test_strides_of_zero_are_refused_or_give_the_same(name):
    for seed in range(ROUNDS // 3):
        arrays, expected, options = plain(name, seed)
        arrays[0] = repeated(arrays[0], None)
        target = np.zeros_like(expected)
        ENTRIES[name].call([np.array(array, order="C") for array in arrays], expected, options)
        if tried(name, arrays, target, options):
            np.testing.assert_allclose(expected, target, rtol=2e-6, atol=2e-4)


@entries
def test_a_target_that_cannot_be_written_is_refused_and_stays(name):
    arrays, expected, options = plain(name, 0)
    target = np.full_like(expected, GUARD)
    target.flags.writeable = False
    with pytest.raises(REFUSED):
        ENTRIES[name].call(arrays, target, options)
    assert (target == GUARD).all()


@entries
def test_a_source_that_cannot_be_written_is_read(name):
    arrays, expected, options = plain(name, 0)
    for array in arrays:
        array.flags.writeable = False
    target = np.zeros_like(expected)
    ENTRIES[name].call(arrays, target, options)
    assert np.array_equal(expected, target)


@entries
@pytest.mark.parametrize("overlap", [0, 1, 8, 64])
def test_memory_that_is_read_and_written_at_once_is_refused(name, overlap):
    for seed in range(ROUNDS // 4):
        arrays, expected, options = plain(name, seed)
        for place, array in enumerate(arrays):
            if array.dtype != expected.dtype or (name in ("Spectrum", "separable") and place):
                continue
            shift = min(overlap, array.size - 1)
            memory = np.zeros(max(array.size, expected.size + shift), array.dtype)
            shared = memory[: array.size].reshape(array.shape)
            shared[...] = array
            target = memory[shift : shift + expected.size].reshape(expected.shape)
            if tried(name, [*arrays[:place], shared, *arrays[place + 1 :]], target, options):
                np.testing.assert_allclose(expected, target, rtol=2e-6, atol=2e-4)  # it was copied first


@entries
def test_lengths_of_zero_are_refused_or_do_nothing(name):
    for seed in range(ROUNDS):
        rng = np.random.default_rng([seed, 2])
        arrays, expected, options = plain(name, seed)
        every = [*arrays, np.full_like(expected, GUARD)]
        place = int(rng.integers(len(every)))
        axis = int(rng.integers(every[place].ndim))
        every[place] = every[place][(slice(None),) * axis + (slice(0, 0),)]
        *read, target = every
        if not tried(name, read, target, options) and place < len(arrays):
            assert (target == GUARD).all()


@entries
def test_shapes_and_types_that_do_not_fit_are_refused_or_read_within_bounds(name):
    for seed in range(2 * ROUNDS):
        rng = np.random.default_rng([seed, 3])
        arrays, expected, options = plain(name, seed)
        every = [*arrays, np.zeros_like(expected)]
        for _ in range(int(rng.integers(1, 3))):
            place = int(rng.integers(len(every)))
            array = every[place]
            match rng.integers(4):
                case 0:
                    shape = [max(1, n + int(rng.integers(-2, 3))) for n in array.shape]
                    every[place] = np.zeros(shape, array.dtype)
                case 1:
                    every[place] = array.reshape(-1)
                case 2:
                    every[place] = array.astype(rng.choice(["uint8", "float64", ">f4", "bool", "int64", ">u2"]))
                case _:
                    every[place] = array[..., : max(1, array.shape[-1] - 1)].copy()
        *read, target = every
        tried(name, read, target, options)  # a fault of memory would end the process


@entries
def test_eight_threads_at_once_get_what_one_gets(name):
    problems = [plain(name, seed) for seed in range(8)]
    targets = [[np.zeros_like(expected) for _, expected, _ in problems] for _ in range(8)]
    start, failed = Barrier(8), []

    def work(number):
        start.wait()
        try:
            for turn in range(8):
                arrays, _, options = problems[(number + turn) % 8]
                ENTRIES[name].call(arrays, targets[number][(number + turn) % 8], options)
        except Exception as error:  # noqa: BLE001 -- whatever a thread raises is told by the test
            failed.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failed
    for held in targets:
        for (_, expected, _), target in zip(problems, held, strict=True):
            assert np.array_equal(expected, target)


def test_random_bytes_are_deflated_whatever_their_layout():
    import zlib

    for seed in range(ROUNDS):
        rng = np.random.default_rng(seed)
        data = rng.integers(0, 4, int(rng.integers(1, 3000)), dtype=np.uint8)
        view = wide(data, rng)[0] if rng.integers(2) else data
        try:
            packed = native.deflate(view, last=True)
        except REFUSED:
            continue
        assert data.tobytes() == zlib.decompress(bytes(packed), -15)
    with pytest.raises(REFUSED):
        native.deflate(np.zeros(0, np.uint8), last=True)


@pytest.mark.skipif(not scans.AVAILABLE, reason="the native extension is not built")
def test_random_scans_are_walked_through_within_bounds():
    for seed in range(20 * ROUNDS):
        rng = np.random.default_rng(seed)
        content = rng.bytes(int(rng.integers(1, 400))).replace(b"\xff", b"\xff\0" if rng.integers(2) else b"\xff")
        kind, units = int(rng.integers(0, 6)), int(rng.integers(0, 90))
        low = int(rng.integers(1, 64)) if kind in (3, 4) else 0
        blocks = 1 if kind in (3, 4) else int(rng.integers(1, 10))
        lengths = b"".join(bytes([0, *(int(n) for n in rng.integers(0, 3, 15))]) + rng.bytes(256) for _ in range(8))
        used = bytes(int(n) for n in rng.integers(0, 4, 2 * blocks))
        seen = rng.integers(0, 2**63, units, dtype=np.uint64)
        fault, place, done = scans.walk(
            content,
            int(rng.integers(len(content) + 1)),
            (kind, low, 63),
            (units, int(rng.integers(0, 5))),
            (used, lengths),
            seen,
        )
        assert (0 <= fault < len(scans.FAULTS), 0 <= place <= len(content), 0 <= done <= units) == (True, True, True)
