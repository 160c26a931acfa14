"""Where and what of an image is filtered: a region, some channels, what a mask marks. The rest comes back unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from convcli.errors import ConvError, UsageError
from convcli.image import ImageInfo, PixelSource, Spans
from convcli.records import record

LUMA = "luma"
"""The word for the luma of colours; their chroma stays."""
LETTERS = {"rgb": "RGB", "cmyk": "CMYK", "grey": "Y"}
"""What the samples of a colour are called; an opacity is A."""
LONGEST = 9  # digits of a position
SLICE = rf"\s*(-?[0-9]{{1,{LONGEST}}})?\s*(?:(:)\s*(-?[0-9]{{1,{LONGEST}}})?)?\s*"
Slice = tuple[int | None, int | None]
"""(first, end) as NumPy has them: None for an end of the image, negative ones counted from its end."""


class Mask(Protocol):
    """Samples of which those that are not 0 mark what is inside; a value that says where they are.

    `axes` names those that it has, in the order of `shape`; `samples` is what its S, if it has one, means.
    """

    @property
    def axes(self) -> str:
        """The letters of its dimensions."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Their sizes."""

    @property
    def dtype(self) -> str:
        """The type of its samples."""

    @property
    def samples(self) -> str:
        """What its S means."""

    @property
    def name(self) -> str:
        """What people call it."""

    def placed(self, info: ImageInfo) -> Mask:
        """The mask with its dimensions named as an image's where its file does not name them."""

    def opened(self) -> AbstractContextManager[PixelSource]:
        """Its samples, until the end of the block."""


@record
class Selection:
    """What is filtered, as a user says it: everything where all is empty.

    `region` has a slice for each of the last spatial axes; `channels` are numbers, letters, names, or `luma`. Where
    there is a `mask`, only what it marks counts, unless it `reads_all`. Samples that would change by less than `least`
    stay as they are.
    """

    region: tuple[Slice, ...] = ()
    channels: tuple[str, ...] = ()
    mask: Mask | None = None
    reads_all: bool = False
    least: float = 0.0

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.region or self.channels or self.mask or self.least)

    @property
    def luma(self) -> bool:
        """Whether the luma of colours is meant."""
        return self.channels == (LUMA,)

    @property
    def inside(self) -> Mask | None:
        """The mask outside of which nothing counts."""
        return None if self.reads_all else self.mask

    def __str__(self) -> str:
        region = ",".join(":".join("" if end is None else str(end) for end in each) for each in self.region)
        mask = f"mask {self.mask.name}{', reading all' * self.reads_all}" if self.mask else ""
        channels = f"channels {','.join(self.channels)}" * bool(self.channels)
        least = f"changes of at least {self.least:g}" * bool(self.least)
        parts = (f"region {region}" * bool(region), channels, mask, least)
        return "; ".join(filter(None, parts))


def parse_region(text: str) -> tuple[Slice, ...]:
    """Slices as NumPy writes them, one for each of the last axes.

    >>> parse_region("100:200,:-50"), parse_region("7,:,2:")
    (((100, 200), (None, -50)), ((7, 8), (None, None), (2, None)))
    """
    found = [parse_slice(part) for part in text.split(",")]
    if any(each is None for each in found) or len(found) > 3:
        way = "write y0:y1,x0:x1, or z0:z1,y0:y1,x0:x1 (of a signal x0:x1); an end may be left out, or be negative"
        raise UsageError(f"{text!r} is not a region; {way}", where="--region")
    return tuple(each for each in found if each is not None)


def parse_slice(text: str) -> Slice | None:
    """A slice, or a single position; None for what is neither.

    >>> parse_slice("2:10"), parse_slice("-1"), parse_slice(":"), parse_slice("1:2:3")
    ((2, 10), (-1, None), (None, None), None)
    """
    match = re.fullmatch(SLICE, text)
    if match is None or not (match[1] or match[2]):
        return None
    first, end = (None if word is None else int(word) for word in (match[1], match[3]))
    if match[2] or first is None:
        return first, end
    return first, None if first == -1 else first + 1


def parse_frames(text: str) -> tuple[int | None, int | None] | None:
    """Which pictures: one, a slice as NumPy writes it, or all; None where nobody says.

    >>> parse_frames("3"), parse_frames("2:10"), parse_frames("all"), parse_frames("")
    ((3, 4), (2, 10), (None, None), None)
    """
    if not text:
        return None
    found = (None, None) if text.strip().lower() == "all" else parse_slice(text)
    if found is None:
        raise UsageError(f"{text!r} is not a picture's number, a slice such as 2:10, or all", where="--frames")
    return found


def parse_channels(text: str) -> tuple[str, ...]:
    """The words for channels, in the order in which they were given.

    >>> parse_channels("R, b"), parse_channels("LUMA")
    (('R', 'b'), ('luma',))
    """
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise UsageError(f"{text!r} names no channel between two commas, or none at all", where="--channels")
    luma = [word.lower() == LUMA for word in words]
    if any(luma):
        if len(words) > 1:
            raise UsageError("luma is made of R, G and B, and stands alone; leave the others out", where="--channels")
        return (LUMA,)
    return words


@record
class Chosen:
    """What of an image is filtered: boxes of it, and which samples of S; all where these are empty."""

    boxes: tuple[Spans, ...]
    samples: tuple[int, ...] = ()


def chosen(where: Selection, info: ImageInfo, names: Callable[[ImageInfo], Sequence[str]]) -> Chosen:
    """The part of an image that is selected, but for the mask; `names` are those of an image's channels."""
    spans = {letter: (0, size) for letter, size in zip(info.axes, info.shape, strict=True)}
    spans |= region_spans(where.region, info)
    letter, numbers = ("", ()) if where.luma else channel_numbers(where.channels, info, names)
    if where.luma:
        check_luma(info)
    samples = numbers if letter == "S" and len(numbers) < info.size("S") else ()
    runs = [(each, each + 1) for each in numbers] if letter == "C" else [spans.get("C", (0, 1))]
    boxes = (tuple((spans | {"C": run})[axis] for axis in info.axes) for run in runs)
    return Chosen(tuple(boxes), samples)


def region_spans(region: Sequence[Slice], info: ImageInfo) -> dict[str, tuple[int, int]]:
    """The span of each axis that a region is of. Raises UsageError where the image has no such axis, or nothing there.

    >>> region_spans(((1, -1), (None, 9)), ImageInfo((4, 6), "uint8", "YX"))
    {'Y': (1, 3), 'X': (0, 6)}
    """
    spans = {}
    if len(region) == 1:  # that of a signal has become one of a row
        raise ConvError(
            f"the region has one slice, the image rows and columns ({info.axes}); write y0:y1,x0:x1", "shape"
        )
    for letter, (first, end) in zip("ZYX"[-len(region) :] if region else "", region, strict=True):
        size = info.size(letter)
        if letter not in info.axes:
            raise ConvError(f"the region has {len(region)} slices, the image no axis {letter} ({info.axes})", "shape")
        start, stop, _ = slice(first, end).indices(size)
        if start >= stop:
            text = f"{'' if first is None else first}:{'' if end is None else end}"
            raise ConvError(f"the region {text} of {letter} is empty: the image has {size} there", "shape")
        spans[letter] = start, stop
    return spans


def channel_numbers(
    words: Sequence[str], info: ImageInfo, names: Callable[[ImageInfo], Sequence[str]]
) -> tuple[str, tuple[int, ...]]:
    """The axis of the channels, and which of them are meant, in order; "" where none are named.

    >>> channel_numbers(["b", "0"], ImageInfo((4, 6, 3), "uint8", "YXS", samples="rgb"), lambda _: ())
    ('S', (0, 2))
    """
    if not words:
        return "", ()
    letter = next((axis for axis in "CS" if axis in info.axes), "")
    own = LETTERS.get(info.samples.removesuffix("+alpha"), "") + "A" * info.has_alpha if letter == "S" else ""
    known = list(names(info)) if letter == "C" else list(own)
    found = sorted({number_of(word, info.size(letter) if letter else 1, known) for word in words})
    return letter, tuple(found)


def number_of(word: str, count: int, known: Sequence[str]) -> int:
    """The number of a channel that goes by a number, or by one of the names that are known.

    >>> number_of("2", 3, []), number_of("dapi", 2, ["GFP", "DAPI"])
    (2, 1)
    """
    lower = [name.lower() for name in known]
    if word.isascii() and word.isdecimal() and len(word) <= LONGEST and word not in known:
        if int(word) < count:
            return int(word)
    elif known.count(word) == 1:
        return known.index(word)
    elif lower.count(word.lower()) == 1:
        return lower.index(word.lower())
    there = f"0 to {count - 1}" if count > 1 else "only 0"
    more = f" ({', '.join(known)})" if known else ""
    if len([name for name in lower if name == word.lower()]) > 1:
        raise ConvError(f"has several channels called {word!r}{more}; use their numbers, {there}", "shape")
    raise ConvError(f"has no channel {word!r}; its channels are {there}{more}", "shape")


def check_luma(info: ImageInfo) -> None:
    """Refuse an image that has no luma."""
    if info.samples.removesuffix("+alpha") != "rgb":
        found = info.samples or f"{info.axes} {'x'.join(map(str, info.shape))}"
        raise ConvError(f"luma is that of RGB, and the image is {found}; leave --channels luma out", "shape")
