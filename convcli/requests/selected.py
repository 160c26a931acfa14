"""From the options that say where and what is filtered to a selection, and to filters of a channel each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from convcli.errors import ConvError, UsageError
from convcli.filters.selection import LUMA, Mask, Selection, parse_channels, parse_region
from convcli.records import replace
from convcli.requests.options import GeometryOptions, KernelOptions, NumberOptions
from convcli.requests.run import build_filter
from convcli.requests.where import WhereOptions
from convcli.streams import STREAM

if TYPE_CHECKING:
    from convcli.operations.filter import Correlate
    from convcli.operations.operation import Operation
    from convcli.operations.selected import Filtering

AT = re.compile(r"(.*\S)\s*@\s*([^@]*)", re.DOTALL)
"""A kernel with the channels that it is for."""


def build_selection(where: WhereOptions) -> Selection:
    """What the options select. Raises UsageError, also for a mask that cannot be read."""
    if where.mask == STREAM:
        raise UsageError("a mask is read again for each part of an image; give a file", where="--mask")
    if where.mask_reads == "all" and not where.mask:
        raise UsageError("says what counts inside a mask; give --mask, too", where="--mask-reads")
    return Selection(
        parse_region(where.region) if where.region else (),
        parse_channels(where.channels) if where.channels else (),
        _mask(where.mask) if where.mask else None,
        where.mask_reads == "all",
        where.threshold,
    )


def _mask(name: str) -> Mask:
    from convcli.operations.masks import mask_file

    try:
        return mask_file(name)
    except ConvError as error:
        raise UsageError(f"{error.message}: {name!r}", error.code, where="--mask") from None


def on_selection(operation: Filtering, where: WhereOptions) -> Operation:
    """An operation on what the options select."""
    return limited(operation, build_selection(where))


def limited(operation: Filtering, where: Selection) -> Filtering:
    """An operation on what is selected; what does that is not even loaded where it is everything."""
    if where.is_all:
        return operation
    from convcli.operations.beside import selected

    return selected(operation, where)


def build_filters(
    ndim: int,
    kernels: KernelOptions,
    geometry: GeometryOptions,
    where: WhereOptions,
    numbers: NumberOptions,
    approximation: float,
) -> tuple[Operation, str]:
    """A filter of all kernels on what is selected, or one for each kernel that names its channels; and its name."""

    def build(texts: Sequence[str]) -> Correlate:
        return build_filter(ndim, kernels.but(kernel=texts), geometry, numbers, approximation)

    selection = build_selection(where)
    if asked := by_channel(kernels.kernel, selection, build, kernels.combine):
        return asked
    asked_alike = build(kernels.kernel)
    return limited(asked_alike, selection), asked_alike.name


def by_channel(
    kernels: Sequence[str], where: Selection, build: Callable[[Sequence[str]], Correlate], combine: str
) -> tuple[Filtering, str] | None:
    """A filter for each kernel that names its channels behind an @, and the name of all; None where none does."""
    found = [parted(text) for text in kernels]
    if not any(channels for _, channels in found):
        return None
    alone = [text for text, channels in found if not channels]
    if alone:
        raise UsageError(f"{alone[0]!r} names no channel, others do; write {alone[0]}@CHANNEL", where="-k")
    if where.channels:
        raise UsageError("every -k names its channels; leave one of the two out", where="--channels")
    if combine != "stack":
        raise UsageError("kernels of different channels have no common result", where="--combine")
    every = [(build([text]), parse_channels(channels)) for text, channels in found]
    if any(channels == (LUMA,) for _, channels in every) and len(every) > 1:
        raise UsageError("luma is made of all colours; give it one kernel, and no other channel any", where="-k")
    if every[0][1] == (LUMA,):
        return limited(every[0][0], replace(where, channels=(LUMA,))), every[0][0].name
    from convcli.operations.selected import Assigned, Selected

    parts = tuple(Assigned(*each) for each in every)
    return Selected(parts, where), ", ".join(dict.fromkeys(each.name for each, _ in every))


def parted(text: str) -> tuple[str, str]:
    """A kernel, and the channels behind its @; a file whose name has one is a file.

    >>> parted("gaussian:2@R"), parted("gaussian:2")
    (('gaussian:2', 'R'), ('gaussian:2', ''))
    """
    match = AT.fullmatch(text)
    if match and not match[2].strip():
        raise UsageError(f"{text!r} names no channel behind its @", where="-k")
    return (match[1], match[2]) if match and not os.path.exists(text) else (text, "")  # noqa: PTH110 -- taps may be too long for a name
