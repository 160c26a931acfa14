"""What callers of the functions for Python may hand over, in whatever form, and that the rest is refused in a line."""

from fractions import Fraction

import numpy as np
import pytest

import convcli
from command import convcli as command
from convcli import ConvError, Numbers

RNG = np.random.default_rng(5)
IMAGE, TAPS, CHANNELS = RNG.random((20, 22)), RNG.random((3, 3)), RNG.random((3, 12, 13))
BANK = RNG.random((3, 1, 3, 3))


def convolved(**options):
    """The image, filtered so."""
    return convcli.convolve(IMAGE, TAPS, **options)


FORMS = {
    "one number": (
        lambda n: convolved(stride=n, dilation=n, padding=n, origin=n),
        (2, np.int64(2), np.uint8(2), [2], (2, 2), np.array([2, 2])),
    ),
    "numbers of two axes": (
        lambda two: convolved(stride=two, padding=two, origin=two),
        ([1, 2], (1, 2), np.array([1, 2]), np.array([1, 2], "int8")),
    ),
    "begin and end": (
        lambda pads: convolved(padding=pads),
        ([(1, 2), (0, 3)], ((1, 2), [0, 3]), np.array([[1, 2], [0, 3]])),
    ),
    "groups": (lambda n: convcli.convolve(CHANNELS, BANK, groups=n), (3, np.int32(3), [3])),
    "a type": (lambda dtype: convolved(dtype=dtype), ("float32", np.float32, np.dtype(">f4"), "f4")),
    "several kernels": (
        lambda kernels: convcli.convolve(IMAGE, kernels),
        ([TAPS, TAPS.T.copy()], (TAPS, convcli.Kernel.from_array("t", TAPS.T.copy())), [TAPS, TAPS.T]),
    ),
    "kernels of a chain": (
        lambda kernels: convcli.dilate(IMAGE, kernels, chain=(1, 2)),
        ([TAPS, TAPS], (TAPS, TAPS.copy()), TAPS),
    ),
    "a factor": (
        lambda n: convcli.resize(IMAGE, n),
        (1.5, np.float64(1.5), np.float32(1.5), Fraction(3, 2), [1.5, 1.5]),
    ),
    "a factor that float32 does not hold": (
        lambda n: convcli.resize(IMAGE, n),
        (0.3, np.float32(0.3), Fraction(3, 10)),
    ),
    "a stride of a name": (
        lambda n: convcli.upsample(IMAGE, "bilinear", stride=n),
        (2, np.int64(2), [2, 2], np.array([2, 2]), (np.int8(2), 2)),
    ),
    "rates": (
        lambda some: convcli.dilate(IMAGE, TAPS, rates=some),
        ([1, 2], (1, (2, 2)), np.array([1, 2]), range(1, 3)),
    ),
}


@pytest.mark.parametrize("what", FORMS)
def test_the_form_of_an_argument_does_not_matter(what):
    function, forms = FORMS[what]
    expected = function(forms[0])
    for form in forms[1:]:
        np.testing.assert_array_equal(expected, function(form), strict=True)


OPTIONS = ("stride", "dilation", "padding", "border", "combine", "normalize", "tolerance", "method", "groups", "flip")
WRONG = ("", None, "no such", -1, 1.5, object(), {}, [], [None], ["a", "b"], {1: 2}, 10**30, float("nan"))


@pytest.mark.parametrize("option", OPTIONS)
def test_what_is_no_value_of_an_option_is_refused_in_a_line(option):
    for value in WRONG:
        with pytest.raises(ConvError) as refused:
            convolved(**{option: value})
        assert "Traceback" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("range", "all"), ("nan", "skip"), ("alpha", "no"), ("precision", "single"), ("dtype", "u88"), ("bias", "1")],
)
def test_numbers_with_a_word_that_nobody_knows_are_refused(field, value):
    with pytest.raises(ConvError, match=f"numbers.{field}"):
        convolved(numbers=Numbers(**{field: value}))


CALLS = {
    "more pixels than any memory holds": lambda: convolved(padding=2**31 - 1, dtype="float64"),
    "memory as text": lambda: convolved(memory="1MB"),
    "no memory": lambda: convolved(memory=0),
    "axes in a list": lambda: convolved(axes=["Y", "X"]),
    "a number for axes": lambda: convolved(axes=3),
    "numbers in a dictionary": lambda: convolved(numbers={"bias": 1}),
    "a stride as text": lambda: convcli.upsample(IMAGE, "bilinear", stride="2"),
    "no stride": lambda: convcli.upsample(IMAGE, "bilinear", stride=None),
    "strides of no axis": lambda: convcli.upsample(IMAGE, "bilinear", stride=()),
    "a broken factor": lambda: convcli.resize(IMAGE, ["1/0", "2"]),
    "taps for a name": lambda: convcli.resize(IMAGE, 2, TAPS),
    "one of several rates": lambda: convcli.dilate(IMAGE, TAPS, rates=2),
    "no rates": lambda: convcli.dilate(IMAGE, TAPS, chain=[]),
    "a multiplier as text": lambda: convcli.separable(CHANNELS, "box:3", np.eye(3), multiplier="1"),
    "no notation": lambda: convcli.parse_network(None),
    "a list of layers": lambda: convcli.parse_network(["3@8x8", "conv3-4"]),
    "taps as text": lambda: convcli.parse_kernel(TAPS),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_mistaken_call_has_one_clear_error(what):
    with pytest.raises(ConvError):
        CALLS[what]()


def test_a_step_that_no_image_has_is_refused_by_the_commands_too(tmp_path):
    np.save(tmp_path / "in.npy", IMAGE)
    done = command("conv2d", tmp_path / "in.npy", "-k", "box:3", "--stride", 10**26, "-o", tmp_path / "out.npy")
    assert (2, b"too large") == (done.returncode, b"too large" if b"too large" in done.stderr else done.stderr)
