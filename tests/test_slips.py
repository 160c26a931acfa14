"""Slips of newcomers, and habits from other tools, are answered with what to type; and what is answered works."""

import re
from itertools import chain

import numpy as np
import pytest

from convcli.commands import COMMANDS, command_function
from convcli.commands.designs import size_meant
from convcli.errors import UsageError
from convcli.filters import borders
from convcli.formats import FORMATS
from convcli.kernels import KERNELS, meant, parse_kernel
from convcli.options import slips
from convcli.options.declare import declared
from convcli.requests.options import DTYPES
from convcli.samples import NAMES_ELSEWHERE

TABLE = {name: declared(command_function(name)) for name in COMMANDS}
OPTIONS = {name for taken in TABLE.values() for each in taken for name in each.names}

ANSWERS = """
conv2D in.npy -k box:3 -o o.npy              | convcli conv2d
convolve in.npy -k box:3 -o o.npy            | convcli conv2d
blur in.npy -o o.npy                         | conv2d -k gaussian:2
resize in.npy                                | upsample --scale
gaussianblur in.npy -o o.npy                 | gaussian:2
filter2D in.npy -k box:3 -o o.npy            | convcli conv2d
median in.npy -o o.npy                       | not a convolution
conv2d in.npy -k gaussian:2 --truncate 3     | truncate=4
conv2d in.npy -k box:3 --normalize           | none or sum
deconv in.npy                                | convcli upsample
in.npy -k box:3 -o o.npy                     | convcli conv2d in.npy
help conv2                                   | conv2d
conv2d in.npy -o o.npy                       | -k gaussian:2
conv2d in.npy sharpen -o o.npy               | -k sharpen
upsample in.npy --scale 2 -o o.npy           | -k bilinear
conv2d in.npy -k box:3                       | Give -o FILE
conv2d in.npy out.npy -k box:3               | -o out.npy
conv2d in.npy -k box:3 -o out                | out.png
conv2d in.npy -k box:3 -o out.jp             | did you mean 'jpg'
conv2d in.npy -k box:3 -output o.npy         | --output
conv2d in.npy -blur 0x2 -o o.npy             | -k gaussian:2
conv2d in.npy -sigma 2 -o o.npy              | -k gaussian:2
conv2d in.npy -k gaussian --sigma 2 -o o.npy | -k gaussian:2
conv2d in.npy -k gaussian 2 -o o.npy         | -k gaussian:2
conv2d in.npy -k box 5 -o o.npy              | -k box:5
conv2d in.npy --ksize 3 -o o.npy             | -k box:5
conv2d in.npy --weights w.npy -o o.npy       | -k weights.npy
conv2d in.npy -k box:3 --mode same -o o.npy  | --padding
conv2d in.npy -k box:3 --boundary fill       | --border
conv2d in.npy -k box:3 --pad 1 -o o.npy      | --padding
conv2d in.npy -k box:3 --padding_mode zeros  | --border
conv2d in.npy -k box:3 --padding zeros       | --border zeros
conv2d in.npy -k box:3 --padding SAME_UPPER  | tf-same
conv2d in.npy -k box:3 -b BORDER_REFLECT_101 | did you mean reflect?
conv2d in.npy -k box:3 -b cv2.BORDER_REFLECT | did you mean symmetric?
conv2d in.npy -k box:3 -b BORDER_REPLICATE   | did you mean edge?
conv2d in.npy -k box:3 -b constant           | constant=128
conv2d in.npy -k box:3 -b constant:5         | constant=5
conv2d in.npy -k box:3 -b 0                  | constant=0
conv2d in.npy -k box:3 --cval 0              | --border constant=0
conv2d in.npy -k box:3 --strides 2           | --stride
conv2d in.npy -k box:3 -s 2 2                | -s 2,2
conv2d in.npy -k box:3 --dtype u8            | uint8
conv2d in.npy -k box:3 --dtype np.uint8      | uint8
conv2d in.npy -k box:3 --dtype <f4           | float32
conv2d in.npy -k box:3 --dtype CV_32F        | float32
conv2d in.npy -k box:3 --dtype double        | float64
conv2d in.npy -k sobel:x -k sobel:y --combine average -o o.npy | did you mean mean?
conv2d in.npy -k box:3 --range normalize     | rescale
conv2d in.npy -k box:3 --overwrite -o o.npy  | --force
conv2d in.npy -k box:3 --workers 4 -o o.npy  | --jobs
conv2d in.npy -k box:3 --delta 1 -o o.npy    | --bias
conv2d in.npy -k box:3 --verify 10 -o o.npy  | --verify=10
conv2d in.npy -k box:3 -o s3:///c.png        | names no bucket; write s3://BUCKET/KEY
conv2d in.npy -k box:3 -o s3://b/in//c.png   | has an empty part
conv2d in.npy -k box:3 -o https://e.invalid/c.png | is only read; results are written to files
conv2d ftp://e.invalid/y.png -k box:3 -o o.png | 'ftp://e.invalid/y.png': is not an address of a known kind of store
conv2d file:///no/x.png -k box:3 -o o.png    | '/no/x.png': no such file
conv2d file://x.png -k box:3 -o o.png        | 'file://x.png': names a file of the machine 'x.png'
conv2d https://e.invalid/y?a=1 -k box:3 -o o.png | curl
conv2d in.npy -k ftp://e.invalid/k.txt -o o.npy | 'ftp://e.invalid/k.txt': is not an address of a known kind of store
conv2d in.npy -k box:3 -o o.npy --report https://e.invalid/a//r.json | 'https://e.invalid/a//r.json': has an empty part
conv2d in.npy -k box:3 -o o.npy --journal https://e.invalid/j | 'https://e.invalid/j': is an address
separable in.npy -k box:3 --save-factors https://e.invalid/f.npz -o o.npy | 'https://e.invalid/f.npz': is only read
kernels box:3 -o https://e.invalid/k.txt     | 'https://e.invalid/k.txt': is only read
shapes --file ftp://e.invalid/n.toml         | 'ftp://e.invalid/n.toml': is not an address of a known kind of store
kernels gaussian 2                           | gaussian:2
kernels box:3 5                              | box:3,5
completion --                                | 'SHELL': is missing
--verison                                    | convcli --version
upsample in.npy --scale 2 -k cubic -o o.npy  | bicubic
upsample in.npy --scale 2x -k bilinear       | give 2
upsample in.npy --scale 2 -k lanczos:3       | 'lanczos:3'; write lanczos [
upsample in.npy --scale 2 -k gaussian        | give a --stride
dilate in.npy -k box:3 --chain 1,x -o o.npy  | 'x' is not
shapes 3x224x224 conv3-8                     | 3@224x224
shapes 224x224x3 conv3-8                     | 3@224x224
shapes (3,224,224) conv3-8                   | 3@224x224
shapes 16x3x224x224 conv3-8                  | 3@224x224 with --batch 16
shapes 224x224 conv3-8                       | 1@224x224
flops 5x100x120 conv3-8                      | 5@100x120
"""
SLIPS = [tuple(map(str.strip, line.rsplit("|", 1))) for line in ANSWERS.strip().splitlines()]
KERNEL_SLIPS = {
    **dict.fromkeys(("mean", "average", "uniform", "box_filter"), "box:3"),
    **dict.fromkeys(("gaussian=2", "gaussian(2)", "gaussian 2", "gaussian2", "gaussian-2", "gaussian/2"), "gaussian:2"),
    **dict.fromkeys(("gauss", "gaussian_blur", "Gaussian-Blur", "cv2.GaussianBlur(img,(5,5),0)"), "gaussian:2"),
    **dict.fromkeys(("sobel_x", "sobelx", "Sobel-X", "sobel h", "sobel(x)"), "sobel:"),
    "gaussian:0x2": "write 2",
    "Gauss=0x2": "gaussian:2",
    "box:3x5": "write 3,5",
    "box3x3": "box:3,3",
    "mean:5": "box:5",
    "3x3": "box:3,3",
    "np.ones((3, 3)) / 9": "box:3",
    "blur": "box:3 or gaussian:1",
    "edge": "sobel:x or sobel:y or laplacian",
    "laplace": "laplacian",
    "LaplacianOfGaussian": "log:2",
    "unsharp_mask": "unsharp:2,0.5",
    "gausian": "did you mean 'gaussian'",
    "median": "not a convolution",
    "Bilateral": "not a convolution",
    "median:5": "not a convolution",
    "morphology-open": "",
}


@pytest.fixture
def run(run):
    np.save("in.npy", np.arange(72, dtype="f4").reshape(8, 9))
    return run


@pytest.mark.parametrize(("words", "answer"), SLIPS, ids=[words for words, _ in SLIPS])
def test_a_slip_is_answered_in_one_line_with_what_to_type(words, answer, run):
    code, errors = run(*words.split())
    assert (True, 1) == (code in (1, 2), len(errors)), errors
    assert answer in errors[0]


@pytest.mark.parametrize(("text", "answer"), KERNEL_SLIPS.items())
def test_a_kernel_written_otherwise_is_answered_with_how_it_is_written_here(text, answer):
    with pytest.raises(UsageError) as caught:
        parse_kernel(text)
    assert answer in caught.value.message
    for kernel in re.findall(r"[a-z]+:[\d.,]*\d|sobel:[xy]", caught.value.message.rpartition(";")[2]):
        parse_kernel(kernel)


def test_what_other_tools_call_a_kernel_is_answered_with_kernels_that_there_are():
    for kernels, names in meant.ELSEWHERE.items():
        for name in names.split():
            assert all(kernel in meant.meant(name.title(), KERNELS) for kernel in kernels.split("|")), name
        for kernel in kernels.split("|"):
            parse_kernel(kernel, 3 if kernel.startswith("ball") else 2)


def test_no_name_means_two_things():
    others = list(chain.from_iterable(names.split() for names in meant.ELSEWHERE.values()))
    assert len({*others, *meant.OTHER_FILTERS, *KERNELS}) == len(others) + len(meant.OTHER_FILTERS) + len(KERNELS)


def test_options_and_commands_that_are_answered_exist():
    for name, answer in slips.ELSEWHERE.items():
        assert set(re.findall(r"--?[a-z][\w-]*", answer)) <= OPTIONS | {"--version"}, name
    for answer in slips.COMMANDS_ELSEWHERE.values():
        first = answer.split()[0]
        assert first in COMMANDS or first in ("--version", "COMMAND")
    for name in set(slips.ELSEWHERE) & OPTIONS:  # of another command
        assert not all(name in {n for each in taken for n in each.names} for taken in TABLE.values())


def test_borders_paddings_and_types_that_are_answered_are_accepted():
    for answer in borders.ELSEWHERE.values():
        if not answer.startswith("--padding"):
            borders.parse_border(answer.split()[0], "YX")
    for rule in borders.OUTSIDE:
        borders.parse_border(rule, "YX")
    for answer in NAMES_ELSEWHERE.values():
        assert answer.split()[0] in DTYPES
    assert not set(borders.ELSEWHERE) & {*borders.BORDERS, *borders.ALIASES}
    assert not set(NAMES_ELSEWHERE) & set(DTYPES)


@pytest.mark.parametrize("case", [str.upper, str.title])
def test_a_kernel_is_named_in_any_case(case):
    for kernel in KERNELS.values():
        ndim = kernel.ndims[0]
        expected = parse_kernel(kernel.example, ndim, stride=(2,) * ndim)
        assert expected == parse_kernel(case(kernel.example), ndim, stride=(2,) * ndim)


LISTS = (
    np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    np.array([[0, -1.5, 1e-3], [-1, 5, 1e10]]),
    np.array([1.0, 2, 1]),
    np.array([[0.1, 0.25], [1 / 3, 1e-7]]),
    np.arange(12.0).reshape(3, 2, 2),
    np.arange(16.0).reshape(2, 2, 2, 2),
)
PRINTED = {
    "str": str,
    "repr": repr,
    "list": lambda array: str(array.tolist()),
    "tuple": lambda array: str(array.tolist()).replace("[", "(").replace("]", ",)"),
    "array2string": lambda array: np.array2string(array, separator=", "),
    "tight": lambda array: str(array.tolist()).replace(" ", ""),
    "one line": lambda array: str(array).replace("\n", " "),
    "np.": lambda array: f"np.{array!r}",
}


@pytest.mark.parametrize("form", PRINTED)
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_list_as_python_and_numpy_print_it_is_the_array(form, ndim, tmp_path):
    with np.printoptions(precision=17, threshold=1000):
        for array in LISTS if ndim == 2 else LISTS[2:3] + LISTS[4:]:
            np.save(tmp_path / "k.npy", array.astype("f8"))
            expected = parse_kernel(str(tmp_path / "k.npy"), ndim)
            found = parse_kernel(PRINTED[form](array.astype("f8")), ndim)
            assert (expected.shape, expected.bank) == (found.shape, found.bank)
            assert np.array_equal(expected.array(), found.array())
            assert np.array_equal(found.array(), parse_kernel(found.name, ndim).array())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1,2],[3]]", "kernel row 2 has 1 value, row 1 has 2"),
        ("[[1,2],3]", "row 2 is 3, not a list"),
        ("[1,[2]]", "value 2 is a list, not a number"),
        ("[[1,,2]]", "no value before the comma"),
        ("[[,1]]", "no value before the comma"),
        ("[[1,2]", "']' is missing"),
        ("[1,2]]", "behind the end"),
        ("[1,2)", "closes a '['"),
        ("[1 ... 2]", "NumPy shortened the list"),
        ("[nan]", "not a finite number"),
        ("[1_0]", "'1_0' is not a number"),
        ("[True]", "'True' is not a number"),
        ("[٣]", "'٣' is not a number"),
        ("[]", "the kernel is empty"),
        ("[[]]", "empty"),
        ("[[[[[[1]]]]]]", "deeper than 5"),
        ("[" * 10_000, "deeper than 5"),
        ("[__import__('os')]", "is not a number"),
        ("[[1,2]]/9", "behind the end"),
    ],
)
def test_a_list_that_is_none_is_refused_with_its_place(text, message):
    with pytest.raises(UsageError) as caught:
        parse_kernel(text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "[0 -1 0; -1 5 -1; 0 -1 0]",
        "[0, -1, 0; -1, 5, -1; 0, -1, 0;]",
        "{{0, -1, 0}, {-1, 5, -1}, {0, -1, 0}}",
        "{ {0,-1,0},\n  {-1,5,-1},\n  {0,-1,0}, }",
        "[(0, -1, 0), (-1, 5, -1), (0, -1, 0)]",
        "torch.tensor([[0., -1., 0.], [-1., 5., -1.], [0., -1., 0.]], device='cpu')",
    ],
)
def test_lists_of_other_languages_are_read(text):
    assert "0 -1 0; -1 5 -1; 0 -1 0" == parse_kernel(text).name


@pytest.mark.parametrize("dash", "−–—")
def test_a_dash_for_a_minus_is_told(dash):
    with pytest.raises(UsageError, match="write -"):
        parse_kernel(f"0 {dash}1 0")


def test_rows_alone_are_no_volume():
    with pytest.raises(UsageError, match="has 2 axes; conv3d takes"):
        parse_kernel("[[1, 2], [3, 4]]", 3)


def test_a_size_is_answered_as_an_input():
    assert "3@224x224" == size_meant("3x224x224") == size_meant("[224, 224, 3]") == size_meant("1x3x224x224")


@pytest.mark.parametrize("name", ["./a.npy", "a//b.npy", "https://x.org//a.npy", "b/../c.npy", ".//a.npy"])
def test_a_name_comes_out_as_it_went_in(name, run, tmp_path):
    code, errors = run("conv2d", name, "-k", "box:3", "-o", "o.npy")
    assert (True, True) == (code in (1, 2), errors[0].startswith(f"convcli: {name!r}: "))
    if "://" not in name:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        np.save(name, np.ones((4, 5), "f4"))
        code, lines = run("conv2d", name, "-k", "box:3", "-o", f"{name}.npy")
        assert 0 == code
        assert f"input    {name}  " in lines[0]
        assert f"output   {name}.npy  " in lines[1]
        assert f"convcli: '{name}.npy': exists" in run("conv2d", name, "-k", "box:3", "-o", f"{name}.npy")[1][0]


@pytest.mark.parametrize("folder", ["./out/", "out//", "./out/./"])
def test_a_folder_comes_out_as_it_went_in(folder, run, tmp_path):
    (tmp_path / "out").mkdir()
    lines = run("conv2d", "in.npy", "-k", "box:3", "-o", folder)[1]
    assert f"output   {folder}in.npy  " in lines[1]


def test_each_format_is_known_once(run, tmp_path):
    (tmp_path / "t.png").write_text("hello " * 50)
    for words in (("t.png", "-k", "box:3", "-o", "o.png"), ("in.npy", "-k", "box:3", "-o", "o.xyz")):
        names = re.split(", | and ", run("conv2d", *words)[1][0].partition("known are ")[2].partition(" [")[0])
        assert len(set(names)) == len(names) > 10
    titles = [entry.title for entry in FORMATS.values()]
    assert len(set(titles)) == len(titles)
    assert not [title for title in titles if "," in title]
