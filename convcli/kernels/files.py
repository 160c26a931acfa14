"""Kernel files: rows of text, vips matrices, JSON; arrays and images are read by `convcli.kernels.arrays`.

A file is read whole, if it is a regular file of a sensible size. Nothing in it is guessed, dropped or filled in: what
does not fit the format is an error that names the place.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from convcli.errors import ConvError, KernelError
from convcli.kernels import PICKLES, split_key
from convcli.kernels.inline import MOST_BYTES, SEPARATORS, flatten, layout, number_at, shape_of
from convcli.kernels.kernel import LARGEST_TAP, Kernel
from convcli.numerals import number_text
from convcli.records import replace
from convcli.stores.names import is_remote, local_name

if TYPE_CHECKING:
    from convcli.formats.source import Source

MOST_TEXT_BYTES = 1 << 24  # plain Python reads about a million numbers a second
SEVERAL_WORDS = re.compile(r"[^\s,][\s,]+[^\s,]")
PLAIN_ROW = re.compile(r"[-+.0-9eE, \t]+")
WEIGHTS = (".safetensors", ".onnx", ".pt2")
JSON_KEYS = ("taps", "origin", "offset")


def read_kernel(text: str, ndim: int, stdin: Callable[[], bytes] | None = None) -> Kernel:
    """The kernel in the file `text` (an .npz with `:key`), or on standard input for `-`; its name is what was typed."""
    try:
        return read_any(text, ndim, stdin).named(text)
    except ConvError as error:
        error.at(text)
        raise


def read_any(text: str, ndim: int, stdin: Callable[[], bytes] | None) -> Kernel:
    """A kernel by the suffix of its file; without a known one it is text."""
    if text == "-":
        return read_text(standard_input(stdin), ndim)
    path, key = split_key(text)
    suffix = Path(path).suffix.lower()
    if suffix in WEIGHTS:
        from convcli.kernels.weights import read_weights

        return read_weights(path, key, ndim)
    if suffix in PICKLES:
        check_pickle(path, suffix)
    if suffix == ".npz":
        from convcli.kernels.arrays import read_npz

        return read_npz(contents(path), ndim, key)
    return READERS.get(suffix, read_text)(contents(path), ndim)


def check_pickle(path: str, suffix: str) -> None:
    """Refuse a file that is a pickle, however large: only its first bytes are read."""
    from convcli.kernels.weights import refuse_pickle

    if is_remote(path):
        refuse_pickle(contents(path)[:4], suffix)
        return
    with looked_up(), regular(local_name(path)).open() as stream:
        refuse_pickle(stream.read(4), suffix)


def standard_input(stdin: Callable[[], bytes] | None) -> bytes:
    """All of standard input, where it is free to hold a kernel."""
    if stdin is None:
        raise KernelError("standard input cannot be the kernel here; give a file or the numbers")
    data = stdin()
    if not data:
        raise ConvError("standard input is empty", "empty")
    return data


def contents(path: str) -> bytes:
    """The bytes of a regular file, or of an object; all else is refused unopened: opening a pipe may wait for ever."""
    if is_remote(path):
        from convcli.stores.apart import fetched

        return not_empty(fetched(path, MOST_BYTES))
    return not_empty(file_contents(local_name(path)))


def not_empty(data: bytes) -> bytes:
    """What a file holds; ConvError where that is nothing."""
    if not data:
        raise ConvError("is empty", "empty")
    return data


def file_contents(path: str) -> bytes:
    """The bytes of a regular file."""
    with looked_up():
        source = regular(path)
        if source.size > MOST_BYTES:
            raise ConvError(f"has {source.size:,} bytes; a kernel file has at most {MOST_BYTES:,}", "too-large")
        return source.read()


def regular(path: str) -> Source:
    """A regular file, looked at and not opened; all else is refused."""
    from convcli.formats.source import Source

    about = Path(path).stat()
    if stat.S_ISDIR(about.st_mode):
        raise ConvError("is a folder, not a kernel file", "is-directory")
    if not stat.S_ISREG(about.st_mode):
        raise ConvError("is not a regular file; -k - reads a kernel as text from a pipe", "not-regular")
    return Source(path, Path(path), b"", about.st_size, about)


@contextmanager
def looked_up() -> Iterator[None]:
    """Say of what the system refuses that there is no such file, or that it may not be read."""
    try:
        yield
    except PermissionError:
        raise ConvError("permission denied", "permission") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = (isinstance(error, OSError) and error.strerror) or error
        reason = "" if isinstance(error, FileNotFoundError) else f" ({why})"
        raise ConvError(f"no such kernel file{reason}", "not-found") from None


def read_text(data: bytes, ndim: int) -> Kernel:
    """Rows of numbers split by spaces, commas, tabs or semicolons; blocks between blank lines are z-slices.

    >>> read_text(b"# a comment\\n1 2 1\\n2 4 2\\n", 2).shape
    (2, 3)
    """
    blocks = list(blocks_of(decoded(data)))
    if len(blocks) > 1 and ndim == 2:
        raise KernelError(f"has {len(blocks)} blocks of rows (z-slices), which need conv3d")
    slices = [read_rows(rows, f"slice {i}, " if len(blocks) > 1 else "") for i, rows in enumerate(blocks, 1)]
    shape = shape_of(slices, ("slice", "row", "value"))
    return Kernel.from_values("", shape[3 - ndim :], flatten(slices))


def read_tsv(data: bytes, ndim: int) -> Kernel:
    """Rows of numbers split by tabs; two tabs in a row leave a value out, which is an error."""
    return read_text(data.replace(b"\t", b","), ndim)


def read_vips(data: bytes, ndim: int) -> Kernel:
    """A vips matrix: `width height [scale] [offset]`, then rows. Taps are divided by scale; offset adds to the result.

    >>> read_vips(b"3 1 4 0\\n1 2 1\\n", 2).values().tolist()
    [0.25, 0.5, 0.25]
    """
    if data.startswith(b"MATLAB"):
        raise KernelError("is a binary MATLAB file; save the taps as text, .npy or .json")
    lines = [line for block in blocks_of(decoded(data)) for line in block]
    if not lines:
        raise KernelError("the kernel is empty")
    width, height, scale, offset = vips_header(lines[0])
    rows = read_rows(lines[1:])
    if len(rows) != height:
        raise KernelError(f"the number of rows is {len(rows)}, the first line says {height}")
    for i, row in enumerate(rows, 1):
        if len(row) != width:
            raise KernelError(f"kernel row {i} has {len(row)} values, the first line says {width}")
    kernel = Kernel.from_values("", (*[1] * (ndim - 2), height, width), (tap / scale for tap in flatten(rows)))
    return replace(kernel, offset=offset)


def vips_header(line: str) -> tuple[int, int, float, float]:
    """Width, height, scale and offset, from the first line of a vips matrix.

    >>> vips_header("3 2 8")
    (3, 2, 8.0, 0.0)
    """
    numbers = [number_at(f"first line, value {i}", word) for i, word in enumerate(split_line(line), 1)]
    if not 2 <= len(numbers) <= 4:
        raise KernelError(
            f"first line has {len(numbers)} values; a vips matrix starts with width height [scale] [offset]"
        )
    width, height, scale, offset = [*numbers, *(1.0, 0.0)[len(numbers) - 2 :]]
    if not (width.is_integer() and height.is_integer() and min(width, height) >= 1):
        raise KernelError(f"first line: {number_text(width)} x {number_text(height)} is no size of a kernel")
    if scale == 0:
        raise KernelError("first line: a scale of 0 divides every tap by zero")
    return int(width), int(height), scale, offset


def read_json(data: bytes, ndim: int) -> Kernel:
    """Nested lists, shaped like an array; or an object with them as "taps", and an "origin" or "offset".

    >>> read_json(b'{"taps": [[1, 2]], "origin": [0, 0]}', 2).centre
    (0, 0)
    """
    value = parse_json(decoded(data))
    given = value if isinstance(value, dict) else {"taps": value}
    unknown = ", ".join(map(repr, given.keys() - set(JSON_KEYS)))
    if unknown or "taps" not in given:
        raise KernelError(f"{f'has unknown keys {unknown}' if unknown else 'has no taps'}; use {', '.join(JSON_KEYS)}")
    kernel = json_taps(given["taps"], ndim)
    if "origin" in given:
        kernel = kernel.at_origin(json_origin(given["origin"]))
    return replace(kernel, offset=json_numbers(given.get("offset", 0), (), "offset"))


def parse_json(text: str) -> Any:
    """The value of a JSON text; NaN and Infinity are refused, as the standard does."""

    def refuse(constant: str) -> NoReturn:
        raise KernelError(f"{constant} is not a finite number")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ConvError(f"is not JSON ({error})", "corrupt") from None


def json_taps(nested: Any, ndim: int) -> Kernel:
    """A kernel from nested lists, which have as many levels as an array would have axes."""
    depth, first = 0, nested
    while isinstance(first, list):
        depth, first = depth + 1, first[0] if first else None
    layout([1] * depth, ndim)  # a depth that no kernel has is refused before the values are looked at
    levels = ("filter", "channel", "slice", "row", "value") if ndim == 3 else ("filter", "channel", "row", "value")
    taps = json_numbers(nested, levels[-depth:])
    shape, bank = layout(shape_of(taps, levels[-depth:]), ndim)
    return Kernel.from_values("", shape, flatten(taps), bank=bank)


def json_numbers(value: Any, levels: Sequence[str], place: str = "") -> Any:
    """The same nested lists, all their values checked to be numbers, and as deep as `levels`."""
    if levels:
        if not isinstance(value, list):
            raise KernelError(f"{place or 'the kernel'} is {json.dumps(value)[:40]}, not a list")
        if (
            len(levels) == 1
            and value
            and {int, float}.issuperset(map(type, value))
            and max(map(abs, value)) <= LARGEST_TAP
        ):
            return list(map(float, value))
        before = f"{place}, " if place else ""
        return [json_numbers(part, levels[1:], f"{before}{levels[0]} {i}") for i, part in enumerate(value, 1)]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST_TAP:
        raise KernelError(f"{place}: {json.dumps(value)[:40]} is not a finite number")
    return float(value)


def json_origin(value: Any) -> Sequence[int]:
    """The origin of a kernel: a list of whole numbers."""
    if not isinstance(value, list) or not all(type(place) is int for place in value):
        raise KernelError(f"origin {json.dumps(value)[:40]} is not a list of whole numbers")
    return value


def decoded(data: bytes) -> str:
    """The bytes of a text file as text."""
    if len(data) > MOST_TEXT_BYTES:
        raise ConvError(f"has {len(data):,} bytes of text; at most {MOST_TEXT_BYTES:,} are read", "too-large")
    if b"\0" in data:
        raise ConvError("is not text; name an array .npy, .npz, .tif or .png", "corrupt")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConvError("is not text in UTF-8; name an array .npy, .npz, .tif or .png", "corrupt") from None


def blocks_of(text: str) -> Iterator[list[str]]:
    """The lines between blank lines, comments taken out; a line that is only a comment separates nothing.

    >>> list(blocks_of("1 2 # first\\n# more\\n3 4\\n\\n5 6"))
    [['1 2', '3 4'], ['5 6']]
    """
    for blank, lines in groupby(re.split(r"\r\n|\r|\n", text), key=lambda line: not line.strip()):
        kept = [bare for bare in (line.partition("#")[0].strip() for line in lines) if bare]
        if kept and not blank:
            yield kept


def read_rows(lines: Sequence[str], place: str = "") -> list[list[float]]:
    """One row of numbers for each line."""
    return [read_row(line, f"{place}row {r}") for r, line in enumerate(lines, 1)]


def read_row(line: str, place: str) -> list[float]:
    """The numbers of a line, all at once where they are plain: a kernel may have millions of them.

    >>> read_row("1, 2 -.5e1", "row 1"), read_row("1/8;2", "row 1")
    ([1.0, 2.0, -5.0], [0.125, 2.0])
    """
    if PLAIN_ROW.fullmatch(line):
        try:
            values = list(map(float, line.split("," if "," in line else None)))
        except ValueError:  # said below, with its place
            values = [inf]
        if max(values) <= LARGEST_TAP and min(values) >= -LARGEST_TAP:
            return values
    return [number_at(f"{place}, value {v}", word) for v, word in enumerate(split_line(line, place), 1)]


def split_line(line: str, place: str = "first line") -> list[str]:
    """The words of a line; `;` splits values here, so it must not stand among other separators.

    >>> split_line("1, 2 3"), split_line("1;2; 3")
    (['1', '2', '3'], ['1', '2', '3'])
    """
    if ";" not in line:
        return re.split(SEPARATORS["value"], line)
    words = line.split(";")
    if any(SEVERAL_WORDS.search(word) or "," in word for word in words):
        raise KernelError(f"{place} mixes ';' with other separators; a kernel file has one line for each row")
    return [word.strip() for word in words]


def array_reader(name: str) -> Callable[[bytes, int], Kernel]:
    """A reader of `convcli.kernels.arrays`, which is imported when it reads: with NumPy's formats it takes long."""

    def read(data: bytes, ndim: int) -> Kernel:
        reader: Callable[[bytes, int], Kernel] = getattr(import_module("convcli.kernels.arrays"), name)
        return reader(data, ndim)

    return read


READERS: Mapping[str, Callable[[bytes, int], Kernel]] = {
    ".txt": read_text,
    ".csv": read_text,
    ".tsv": read_tsv,
    ".mat": read_vips,
    ".json": read_json,
    ".npy": array_reader("read_npy"),
    ".tif": array_reader("read_tiff"),
    ".tiff": array_reader("read_tiff"),
    ".png": array_reader("read_png"),
}
