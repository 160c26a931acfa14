"""The Python interface: images in every form that arrays have, kernels in theirs, and files by any handle."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import ndimage

import convcli
import readme
from convcli.errors import ConvError, KernelError, UsageError
from convcli.filters.combining import COMBINATIONS
from convcli.requests.options import DTYPES

TAPS = np.arange(9.0).reshape(3, 3) - 3
COUNTING = np.random.default_rng(0).integers(0, 100, (12, 15))
PACKED = np.dtype([("before", "u1"), ("pixel", "u1")])


def mapped(image, folder):
    image.tofile(folder / "pixels")
    return np.memmap(folder / "pixels", image.dtype, "r", 0, image.shape)


def unaligned(image, _folder):
    packed = np.zeros(image.shape, [("before", "u1"), ("pixel", image.dtype)])
    packed["pixel"] = image
    return packed["pixel"]


def read_only(image, _folder):
    image.setflags(write=False)
    return image


class Handed:
    """What other libraries' arrays are to NumPy."""

    def __init__(self, image):
        self.image = image

    def __array__(self, dtype=None, copy=None):
        return self.image


FORMS = {
    "plain": lambda image, _: image,
    "by columns": lambda image, _: np.asfortranarray(image),
    "backwards": lambda image, _: image[::-1, ::-1].copy()[::-1, ::-1],
    "every third": lambda image, _: np.repeat(np.repeat(image, 2, 0), 3, 1)[::2, ::3],
    "repeated": lambda image, _: np.broadcast_to(image[:1], image.shape),
    "read-only": read_only,
    "unaligned": unaligned,
    "mapped": mapped,
    "handed": lambda image, _: Handed(image),
    "lists": lambda image, _: image.tolist(),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", "<>=")
def test_every_sample_type_byte_order_and_layout_gives_the_definition(dtype, order, tmp_path):
    for form in FORMS.values():
        image = form(COUNTING.astype(np.dtype(dtype).newbyteorder(order)), tmp_path)
        truth = ndimage.correlate(np.asarray(image).astype(float), TAPS, mode="nearest")
        found = convcli.convolve(image, TAPS, dtype="float64")
        np.testing.assert_allclose(truth, found, rtol=1e-6, atol=2e-5 * np.abs(TAPS).sum() * 100)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", "<>=")
def test_results_are_in_the_machines_byte_order(dtype, order):
    image = COUNTING.astype(np.dtype(dtype).newbyteorder(order))
    assert np.dtype(dtype).str == convcli.convolve(image, TAPS).dtype.str
    assert "=|".find(convcli.convolve(image, TAPS).dtype.byteorder) >= 0


def test_true_and_false_are_255_and_0_as_in_files():
    bits = COUNTING > 50
    np.testing.assert_array_equal(bits * np.uint8(255), convcli.convolve(bits, "identity"))


NO_IMAGES = {
    "complex": (np.zeros((4, 4), complex), "dtype"),
    "objects": (np.zeros((4, 4), object), "dtype"),
    "long": (np.zeros((4, 4), np.longdouble), "dtype"),
    "text": (np.array([["a", "b"]]), "dtype"),
    "times": (np.zeros((4, 4), "M8[s]"), "dtype"),
    "a name": ("photo.png", "dtype"),
    "nothing": (None, "dtype"),
    "masked": (np.ma.masked_array(np.eye(3), np.eye(3)), "dtype"),
    "ragged": ([[1, 2], [3]], "shape"),
    "no pixels": (np.zeros((0, 3)), "empty-image"),
    "a number": (5.0, "ambiguous"),
    "six": (np.zeros((2,) * 6), "ambiguous"),
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_is_refused_in_one_line(name):
    image, code = NO_IMAGES[name]
    with pytest.raises(ConvError) as error:
        convcli.convolve(image, TAPS)
    assert (code, 1) == (error.value.code, len(str(error.value).splitlines()))


@pytest.mark.parametrize(
    "kernel", ["gausian", [[1, 2], [3]], np.zeros((0, 3)), TAPS + 1j, 5, None, [["a"]], b"box", [], np.zeros((1,) * 6)]
)
def test_what_is_no_kernel_is_refused_in_one_line(kernel):
    with pytest.raises(KernelError):
        convcli.convolve(np.eye(8), kernel)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 0}, {"stride": 1.5}, {"dilation": (1, 2, 3)}, {"padding": -1}, {"padding": "vlid"}, {"padding": 1.5},
        {"padding": [(1, 2, 3)]}, {"axes": "XQ"}, {"border": "far"}, {"groups": 2}, {"combine": "sum"},
        {"combine": "product"}, {"dtype": "complex"}, {"dtype": "foo"}, {"method": "magic"}, {"threads": 0},
        {"origin": 7}, {"origin": -1},
    ],
)  # fmt: skip
def test_arguments_that_mean_nothing_are_refused_in_one_line(options):
    with pytest.raises(UsageError):
        convcli.convolve(np.eye(8), TAPS, **options)


KERNELS = {
    "text": ("1 2 1; 2 4 2", [[1, 2, 1], [2, 4, 2]]),
    "lists": ([[1, 2, 1], [2, 4, 2]], [[1, 2, 1], [2, 4, 2]]),
    "a row": ([1, 2, 1], [[1, 2, 1]]),
    "integers": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "bits": (np.eye(3, dtype=bool), np.eye(3)),
    "big-endian": (np.eye(3).astype(">f4"), np.eye(3)),
    "backwards": (TAPS[::-1, ::-1], TAPS[::-1, ::-1].copy()),
    "a kernel": (convcli.parse_kernel("sobel:x"), [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "a name": ("sobel:y", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_come_as_text_arrays_or_kernels(name):
    kernel, taps = KERNELS[name]
    truth = ndimage.correlate(COUNTING.astype(float), np.asarray(taps, float), mode="nearest")
    np.testing.assert_allclose(truth, convcli.convolve(COUNTING.astype(float), kernel), rtol=1e-12)


def test_a_kernel_is_the_name_of_a_file_too(tmp_path):
    np.save(tmp_path / "taps.npy", TAPS)
    for name in (tmp_path / "taps.npy", str(tmp_path / "taps.npy")):
        np.testing.assert_array_equal(convcli.convolve(COUNTING, TAPS), convcli.convolve(COUNTING, name))


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_several_kernels_are_combined_as_on_the_command_line(combine):
    image = COUNTING.astype(float)
    both = (np.asarray(KERNELS[name][1], float) for name in ("a kernel", "a name"))
    each = np.array([ndimage.correlate(image, taps, mode="nearest") for taps in both])
    truth = {
        "stack": each,
        "sum": each.sum(0),
        "mean": each.mean(0),
        "max": each.max(0),
        "magnitude": np.hypot(*each),
    }[combine]
    np.testing.assert_allclose(truth, convcli.convolve(image, ["sobel:x", "sobel:y"], combine=combine), atol=1e-9)


def test_origin_dtype_and_threads_are_those_of_the_options():
    image = COUNTING.astype(float)
    found = convcli.convolve(image, TAPS, origin=(0, 2), dtype="float32", threads=2, memory=2**20)
    truth = ndimage.correlate(image, TAPS, mode="nearest", origin=(-1, 1))
    np.testing.assert_allclose(truth, found, atol=1e-2)
    assert np.float32 == found.dtype


def test_the_offset_of_a_kernel_belongs_to_its_result(tmp_path):
    (tmp_path / "v.mat").write_text("3 1 1 10\n1 1 1\n")
    np.testing.assert_array_equal([[13.0, 13.0]], convcli.convolve(np.ones((1, 2)), tmp_path / "v.mat"))


HANDLES = {
    "str": str,
    "PathLike": lambda path: path,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
}


@pytest.mark.parametrize("handle", HANDLES)
@pytest.mark.parametrize("suffix", [".png", ".npy", ".tif"])
def test_files_are_read_by_any_handle(handle, suffix, tmp_path):
    path = tmp_path / f"image{suffix}"
    convcli.write(path, COUNTING.astype(np.uint8))
    np.testing.assert_array_equal(COUNTING, convcli.read(HANDLES[handle](path)).data)
    with path.open("rb") as stream:
        np.testing.assert_array_equal(COUNTING, convcli.read(stream).data)


def test_the_axes_of_an_array_file_are_named_when_it_is_read(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 3)))
    assert ("YXS", "rgb") == (convcli.read(tmp_path / "a.npy", axes="YXS").info.axes, "rgb")
    with pytest.raises(ConvError, match="name its dimensions"):
        convcli.read(str(tmp_path / "a.npy"))


@pytest.mark.parametrize("thing", [5, None, 1.5])
def test_what_is_no_file_is_refused(thing):
    with pytest.raises(UsageError, match="is no file"):
        convcli.read(thing)


def test_a_file_opened_as_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("P2 1 1 1 1")
    with (tmp_path / "a.txt").open() as text, pytest.raises(UsageError, match="binary"):
        convcli.read(text)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", [".png", ".npy", ".npz", ".tif", ".pgm"])
def test_arrays_are_written_under_any_name_and_in_any_byte_order(order, suffix, tmp_path):
    image = COUNTING.astype(np.dtype("u2").newbyteorder(order))
    for name in (tmp_path / f"a{suffix}", str(tmp_path / f"b{suffix}")):
        convcli.write(name, np.asfortranarray(image))
        np.testing.assert_array_equal(COUNTING, convcli.read(name).data)
    with (tmp_path / f"c{suffix}").open("wb") as stream:
        convcli.write(stream, image)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"c{suffix}").read_bytes()
    memory = io.BytesIO()
    convcli.write(memory, image, format=suffix[1:])
    np.testing.assert_array_equal(COUNTING, convcli.read(memory.getvalue()).data)


def test_an_array_of_three_dimensions_needs_names(tmp_path):
    with pytest.raises(UsageError, match="axes"):
        convcli.write(tmp_path / "a.png", np.zeros((4, 5, 3), np.uint8))
    convcli.write(tmp_path / "a.png", np.full((4, 5, 3), 7, np.uint8), axes="YXS")
    with Picture.open(tmp_path / "a.png") as picture:
        assert "RGB" == picture.mode


@pytest.mark.parametrize(("count", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_a_picture_format_tells_what_samples_are(count, mode, tmp_path):
    convcli.write(tmp_path / "a.png", np.full((4, 5, count), 7, np.uint8), axes="YXS")
    with Picture.open(tmp_path / "a.png") as picture:
        assert mode == picture.mode


@pytest.mark.parametrize("image", [np.zeros((4, 4), complex), np.zeros((0, 4)), [[1, 2], [3]]])
def test_what_is_no_image_is_not_written(image, tmp_path):
    with pytest.raises(ConvError):
        convcli.write(tmp_path / "a.npy", image)
    assert not list(tmp_path.iterdir())


BLOCKS = [block for page in readme.PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_python_of_pages_runs(block, tmp_path, monkeypatch):
    readme.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "a page", "exec"), {})
    assert {"soft.png"} <= {path.name for path in Path().iterdir()}
    assert (320, 480, 3) == convcli.read("soft.png").data.shape
