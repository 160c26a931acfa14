"""Kernels typed as text: numbers mean what they say, and whatever is wrong is told in one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcli.errors import ConvError, KernelError
from convcli.kernels import KERNELS, parse_kernel

numbers = st.floats(-1e30, 1e30)


@pytest.mark.parametrize(
    ("shape", "taps", "text"),
    [
        ((3, 3), [0, -1, 0, -1, 5, -1, 0, -1, 0], "0 -1 0; -1 5 -1; 0 -1 0"),
        ((3, 3), [0, -1, 0, -1, 5, -1, 0, -1, 0], "0,-1,0;-1 , 5,-1 ;0 -1 0"),
        ((3, 3), [0, -1, 0, -1, 5, -1, 0, -1, 0], "3x3:0,-1,0,-1,5,-1,0,-1,0"),
        ((2, 2), [1, 2, 3, 4], " 1 2\n3 4\n"),
        ((2, 2), [1, 2, 3, 4], "1 2;\n 3 4"),
        ((1, 3), [1, 2, 3], "3x1:1,2,3"),
        ((3, 1), [1, 2, 3], "1x3: 1 2 3"),
        ((3, 1), [1, 2, 3], "1;2;3"),
        ((1, 1), [7], "7"),
        ((1, 4), [0.3, -0.5, 1e-3, 2], ".3 -.5 1e-3 +2."),
        ((1, 3), [1 / 9, -2 / 3, 0.5], "1/9 -2/3 1/2"),
        ((1, 2), [0, 1], "-0 1"),
    ],
)
def test_numbers_become_taps(shape, taps, text):
    kernel = parse_kernel(text)
    assert (shape, taps) == (kernel.shape, list(kernel.values()))
    assert not kernel.bank
    assert kernel == parse_kernel(kernel.name)


def test_names_are_tidied_and_keep_fractions():
    assert "1/9 0.3 -1; 2 1e-07 1/3" == parse_kernel("1/9,.3,-1.0;2,.1e-6, 1/3").name


def test_carets_split_input_channels():
    kernel = parse_kernel(".3 ^ .6 ^ .1")
    assert ((1, 3, 1, 1), True, [0.3, 0.6, 0.1]) == (kernel.shape, kernel.bank, list(kernel.values()))
    assert ((1, 2, 2, 1), [1, 2, 3, 4]) == (parse_kernel("1;2 ^ 3;4").shape, list(parse_kernel("1;2 ^ 3;4").values()))
    assert kernel == parse_kernel(kernel.name)


def test_bars_split_slices_in_three_dimensions():
    kernel = parse_kernel("1 2; 3 4 | 5 6; 7 8 | 9 10; 11 12", 3)
    assert ((3, 2, 2), list(range(1, 13))) == (kernel.shape, list(kernel.values()))
    assert (1, 1, 3) == parse_kernel("1 2 3", 3).shape
    assert (1, 2, 2, 1, 1) == parse_kernel("1 | 2 ^ 3 | 4", 3).shape
    assert (3, 2, 1) == parse_kernel("1x2x3:1,2,3,4,5,6", 3).shape
    assert kernel == parse_kernel(kernel.name, 3)


def test_imagemagick_offsets_are_the_origin_x_first():
    assert (2, 0) == parse_kernel("2x3+0+2:1,2,3,4,5,6").centre
    assert (0, 2, 0) == parse_kernel("2x3+0+2:1,2,3,4,5,6", 3).centre
    assert (1, 0, 1) == parse_kernel("2x1x2+1+0+1:1,2,3,4", 3).centre
    kernel = parse_kernel("2x3+0+2:1,2,3,4,5,6")
    assert kernel == parse_kernel(kernel.name)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("kernel row 2 has 2 values, row 1 has 3", "1 2 3; 4 5"),
        ("kernel row 3 has 1 value, row 1 has 2", "1 2; 3 4; 5"),
        ("row 1, value 3: 'a' is not a number", "1 2 a"),
        ("row 2, value 1: '1_0' is not a number", "1; 1_0"),
        ("row 1, value 2: '٣' is not a number", "1 ٣"),
        ("row 1, value 1: 'nan' is not a finite number", "nan 1"),
        ("row 1, value 2: '-inf' is not a finite number", "1 -inf"),
        ("row 1, value 1: '1e999' is larger than a float32 number can be", "1e999"),
        ("row 1, value 2: '1/0' divides by zero", "1 1/0"),
        ("row 1, value 1: '1/2/3' is not a number", "1/2/3"),
        ("row 1, value 2 is empty", "1,,2"),
        ("row 1, value 3 is empty", "1,2,"),
        ("row 2 is empty", "1 2;"),
        ("row 2 is empty", "1;;2"),
        ("channel 2 is empty", "1 ^"),
        ("kernel channel 2 is 1x2, channel 1 is 1x1", "1 ^ 2 3"),
        ("kernel channel 2, row 2 has 1 value, row 1 has 2", "1 2; 3 4 ^ 5 6; 7"),
        ("z-slices (|) need conv3d", "1 | 2"),
        ("2x2x2: z-slices (WxHxD) need conv3d", "2x2x2:1,2,3,4,5,6,7,8"),
        ("3x3: needs 9 values, got 8", "3x3:1,2,3,4,5,6,7,8"),
        ("3x3: needs 9 values, got 0", "3x3:"),
        ("0x3: needs 0 values, got 0", "0x3:"),
        ("row 2, value 1: 'x' is not a number", "2x2:1,2,x,4"),
        ("3x1+1: an origin needs one +offset for each size, X first", "3x1+1:1,2,3"),
        ("origin (0, 3) is not a tap of a 1x3 kernel; taps count from 0", "3x1+3+0:1,2,3"),
        ("unknown kernel 'gausian'; did you mean 'gaussian'?", "gausian"),
        ("unknown kernel 'gausian'; did you mean 'gaussian'?", "gausian:2"),
        ("unknown kernel 'gaussian 2'; write gaussian:2", "gaussian 2"),
        ("unknown kernel 'qqq'; `convcli kernels` lists the named ones", "qqq"),
        ("row 1, value 1: 'q' is not a number", "q 1 2"),
        ("the kernel is empty; give numbers, a name such as gaussian:2, or a file", " "),
    ],
)
def test_what_is_wrong_is_told_in_one_line(message, text):
    with pytest.raises(KernelError) as caught:
        parse_kernel(text)
    assert (message, "kernel", 2) == (caught.value.message, caught.value.code, caught.value.exit_code)


def test_slices_that_differ_are_told_apart():
    for message, text in (
        ("kernel slice 2 is 1x3, slice 1 is 1x2", "1 2 | 3 4 5"),
        ("kernel slice 2, row 2 has 1 value, row 1 has 2", "1 2; 3 4 | 5 6; 7"),
        ("slice 2, row 1, value 2: 'b' is not a number", "1 2 | 3 b"),
        ("slice 2 is empty", "1 |"),
    ):
        with pytest.raises(KernelError) as caught:
            parse_kernel(text, 3)
        assert message == caught.value.message


@settings(deadline=None)
@given(st.data())
def test_any_array_survives_being_typed(data):
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)))
    inputs, depth, *_ = shape
    size = int(np.prod(shape))
    taps = np.array(data.draw(st.lists(numbers, min_size=size, max_size=size))).reshape(shape)
    comma, row, piece = (
        data.draw(st.sampled_from(options)) for options in ([" ", ",", " , "], [";", "; ", "\n"], ["", " "])
    )
    text = f"{piece}^{piece}".join(
        f"{piece}|{piece}".join(row.join(comma.join(map(repr, line)) for line in plane) for plane in channel)
        for channel in taps.tolist()
    )
    ndim = 2 if depth == 1 and data.draw(st.booleans()) else 3
    kernel = parse_kernel(text, ndim)
    assert (inputs > 1) == kernel.bank
    assert (taps.shape[4 - ndim :] if inputs == 1 else (1, inputs, *taps.shape[4 - ndim :])) == kernel.shape
    np.testing.assert_array_equal(taps.ravel(), list(kernel.values()))
    assert kernel == parse_kernel(kernel.name, ndim)


@settings(deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=6, max_size=6), st.integers(0, 1), st.integers(0, 2))
def test_the_sized_form_is_row_by_row(values, x, y):
    kernel = parse_kernel(f"2x3+{x}+{y}:{','.join(map(str, values))}")
    np.testing.assert_array_equal(np.reshape(values, (3, 2)), kernel.array())
    assert (y, x) == kernel.centre
    assert kernel == parse_kernel(kernel.name)


pieces = st.sampled_from(
    [*KERNELS, *"0123456789", *" ,;|^:=+-./xn\n\t", "1e9", "nan", "3x3", "um", "=2", "z", "-1", "1/9", "λ"]
)


@settings(deadline=None)
@given(st.lists(pieces, max_size=8).map("".join), st.sampled_from([2, 3]))
def test_only_errors_with_a_reason_escape_from_any_text(text, ndim):
    try:
        kernel = parse_kernel(text, ndim)
    except ConvError as error:
        assert error.message
    else:
        assert kernel == parse_kernel(kernel.name, ndim)
        assert kernel.ndim == ndim


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from([2, 3]))
def test_only_errors_with_a_reason_escape_from_any_unicode(text, ndim):
    try:
        parse_kernel(text, ndim)
    except ConvError as error:
        assert error.message
