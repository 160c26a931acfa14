"""Numbers as text, in rows: comma- or tab-separated values of small images and of signals.

A row is a line; commas, semicolons, tabs or blanks stand between its numbers; blank lines between slices. Lines that
begin with # are comments. One row, or one number a line, is a signal, of one dimension. Text has no sample type: its
numbers are float64, and written with as many digits as it takes to tell a sample from all others of its type.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from itertools import chain, groupby
from math import isinf, prod
from typing import BinaryIO

import numpy as np

from convcli.errors import ConvError
from convcli.formats.contract import FormatModule, ReadOptions, WriteOptions
from convcli.formats.failures import corrupt
from convcli.formats.layout import check_series, with_row
from convcli.formats.pixels import Array, native
from convcli.formats.source import Source, check_declared, times
from convcli.image import Image, ImageInfo
from convcli.numerals import DECIMAL, decimal_text, is_whole
from convcli.records import record

MOST_BYTES = 1 << 26
"""Bytes of text that are read: some seconds, and as many numbers as a picture of 30 megapixels has."""
MOST_SAMPLES = 1 << 24
"""Samples that are written as text."""
WHOLE = 2**53
"""Up to here float64 holds all whole numbers; of larger ones some, and others are refused."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
OTHERS = {
    **dict.fromkeys(("nan", "+nan", "-nan", "na"), "nan"),
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), "inf"),
    **dict.fromkeys(("-inf", "-infinity"), "-inf"),
}
"""What is no number, and yet may be a sample, as R, NumPy and pandas write it."""
PLAIN = re.compile(r"[-+.0-9eE,;\t ]+")
"""Of what plain numbers and what stands between them are made; float() knows the rest of their form."""
LONGEST = 400  # characters of a number
COMMENT = "#"


@record
class Table:
    """Numbers of a text: `rows` of a slice one after the other, slice by slice; what stood between them."""

    numbers: array[float]
    shape: tuple[int, ...]
    separator: str
    empty: int = 0

    @property
    def column(self) -> bool:
        """Whether it is a signal with one number a line."""
        return len(self.shape) == 2 and self.shape[1] == 1 and self.shape[0] > 1


def probe(source: Source, options: ReadOptions) -> ImageInfo:
    """What the text holds: how many numbers there are only reading them tells."""
    return describe(parsed(source, options), options)


def read(source: Source, options: ReadOptions) -> Image:
    """The numbers."""
    table = parsed(source, options)
    info = describe(table, options)
    return Image(info, np.frombuffer(table.numbers, np.float64).reshape(info.shape).copy())


def parsed(source: Source, options: ReadOptions) -> Table:
    """The numbers of a text, every one of them understood."""
    check_series(options.series, 1)
    if source.size > MOST_BYTES:
        message = f"has {source.size:,} bytes of text; at most {MOST_BYTES:,} are read. An .npy holds more, and faster"
        raise ConvError(message, "too-large")
    try:
        text = source.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise corrupt("CSV", "it is not text in UTF-8") from None
    lines = [(number, line) for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1) if line[:1] != COMMENT]
    first = next((line for _, line in lines if line.strip()), "")
    if not first:
        raise ConvError("holds no numbers", "empty-image")
    separator = next((each for each in SEPARATORS if each in first), "")
    slices = [list(group) for blank, group in groupby(lines, key=lambda line: not line[1].strip()) if not blank]
    return tabled(slices, separator, options.max_pixels)


def tabled(slices: list[list[tuple[int, str]]], separator: str, most: int | None) -> Table:
    """Lines with their numbers, slice by slice, as one array."""
    numbers, width, empty = array("d"), 0, 0
    for number, line in chain.from_iterable(slices):
        row, blanks = numbers_of(line, separator, number)
        width = width or len(row)
        if len(row) != width:
            raise corrupt("CSV", f"line {number} has {len(row)} values, those before it {width}")
        numbers.extend(row)
        empty += blanks
        if most is not None and len(numbers) > most:
            message = f"holds more than {most:,} numbers; --max-pixels allows more"
            raise ConvError(message, "too-large")
    heights = [len(lines) for lines in slices]
    if len(set(heights)) > 1:
        odd = next(place for place, height in enumerate(heights) if height != heights[0])
        found = f"its slices, between blank lines, have {heights[0]} and {heights[odd]} rows (line {slices[odd][0][0]})"
        raise corrupt("CSV", found)
    shape = (*[len(slices)] * (len(slices) > 1), heights[0], width)
    return Table(numbers, shape, separator, empty)


def numbers_of(line: str, separator: str, number: int) -> tuple[list[float], int]:
    """The numbers of a line, and how many values are empty, which are NaN.

    >>> numbers_of("1, 2.5,,NA", ",", 1)
    ([1.0, 2.5, nan, nan], 1)
    """
    words = line.split(separator) if separator else line.split()
    if PLAIN.fullmatch(line):
        try:
            row = list(map(float, words))
        except ValueError:  # two numbers without the separator between them: said below
            row = [float(WHOLE)]
        if max(map(abs, row)) < WHOLE:
            return row, 0
    values = [value_of(word.strip(), separator, f"line {number}, value {v}") for v, word in enumerate(words, 1)]
    return values, sum(not word.strip() for word in words)


def value_of(word: str, separator: str, place: str) -> float:
    """A value of a table: a number, or what stands for one that is missing."""
    if not word:
        return float("nan")
    if word.lower() in OTHERS:
        return float(OTHERS[word.lower()])
    if len(word) > LONGEST or not re.fullmatch(DECIMAL, word):
        if place == "line 1, value 1":
            raise corrupt("CSV", f"{place}: {word[:LONGEST]!r} is not a number; a line of names in front begins with #")
        comma = "; decimals have a point" if separator != "," and re.fullmatch(r"[+-]?\d+,\d+", word) else ""
        between = f"; {SEPARATORS.get(separator, 'blanks')} stand between values{comma}" if comma else ""
        raise corrupt("CSV", f"{place}: {word[:LONGEST]!r} is not a number{between}")
    value = float(word)
    if isinf(value) or (is_whole(word) and int(word) != value):
        raise ConvError(f"{place}: {word} is no number that float64 holds; an .npy of integers does", "dtype")
    return value


def describe(table: Table, options: ReadOptions) -> ImageInfo:
    """A table as an image: one row or one column is a signal, unless the user names rows and columns."""
    shape = table.shape
    line = len(shape) == 2 and 1 in shape
    axes = options.axes or ("X" if line else "ZYX"[-len(shape) :])
    named, shape, signal = with_row(axes, (prod(shape),) if line and axes == "X" else shape)
    kind = "tsv" if table.separator == "\t" else "csv"
    notes = (f"{table.empty:,} empty values are NaN",) if table.empty else ()
    laid = {"csv": {"separator": table.separator or " ", "column": signal and table.column}}
    info = ImageInfo(shape, "float64", named, kind, signal=signal, metadata=laid, notes=notes)
    check_declared(info, options.max_pixels)
    return info


def check(info: ImageInfo, _kind: str) -> None:
    """Refuse what is not rows of numbers, and what nobody would read as text."""
    if not info.axes.endswith("YX") or sum(size > 1 for size in info.shape[:-2]) > 1:
        found = f"{info.told_axes} {times(info.told_shape)}"
        raise ConvError(f"text holds rows and columns, and slices of them; the result is {found}; use .npy", "shape")
    samples = prod(info.shape)
    if samples > MOST_SAMPLES:
        raise ConvError(f"{samples:,} numbers as text are more than {MOST_SAMPLES:,}; use .npy or .tif", "too-large")


def write(stream: BinaryIO, image: Image, _options: WriteOptions, kind: str) -> None:
    """Write numbers, a row a line, with blank lines between slices; a signal as it came, in a row or a column."""
    info = image.info
    check(info, kind)
    laid = info.metadata.get("csv", {})
    own = laid.get("separator", ",")
    separator = "\t" if kind == "tsv" else "," if own == "\t" else own
    slices = native(image.data).reshape(-1, info.size("Y"), info.size("X"))
    if laid.get("column") and info.signal:
        slices = slices.transpose(0, 2, 1)
    if info.signal and len(slices) > 1:
        slices = slices.reshape(1, len(slices), -1)  # signals side by side are rows of a table
    for place, rows in enumerate(slices):
        stream.write(b"\n" * (place > 0))
        for row in rows:
            stream.write(f"{separator.join(texts(row))}\n".encode())


def texts(row: Array) -> Iterator[str]:
    """The shortest texts that are read as the same numbers.

    >>> list(texts(np.array([1, 0.1, np.nan], np.float32))), list(texts(np.array([255], np.uint8)))
    (['1', '0.1', 'nan'], ['255'])
    """
    if row.dtype.kind in "iu":
        return map(str, row.tolist())
    if row.dtype == np.float64:
        return (decimal_text(value) for value in row.tolist())
    pairs = zip(row, row.tolist(), strict=True)
    return (decimal_text(value) if value.is_integer() else str(number) for number, value in pairs)


FORMAT = FormatModule(probe, read, write, check=check, single=True, whole="text is only read as a whole")
