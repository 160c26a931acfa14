"""Overviews of a picture: each sample the mean of the four that it covers, those left out that nobody measured.

The same numbers as `conv2d -k "1/4 1/4; 1/4 1/4" -s 2`, which a test compares: made here while rows come, since formats
are written below the engine, and an overview would else be a second pass over the file.
"""

from __future__ import annotations

from dataclasses import field
from math import isnan

import numpy as np

from convcli.formats.pixels import Array
from convcli.image import ImageInfo
from convcli.records import record


@record(frozen=False, eq=False)
class Halving:
    """A level that becomes a coarser one while its rows come; `waiting` is a row without its second one.

    At an odd end a sample covers fewer than four, as if the last row or column came twice.
    """

    info: ImageInfo
    taken: int = 0
    given: int = 0
    waiting: list[Array] = field(default_factory=list)

    def of(self, rows: Array) -> tuple[int, Array]:
        """The rows of the coarser level that new ones complete, and the number of the first."""
        self.taken += len(rows)
        held = np.concatenate([*self.waiting, rows]) if self.waiting else rows
        ended = self.taken == self.info.size("Y")
        if len(held) % 2 and ended:
            held = np.concatenate([held, held[-1:]])
        whole = len(held) // 2 * 2
        self.waiting = [held[whole:].copy()] if whole < len(held) else []
        if held.shape[1] % 2:
            held = np.concatenate([held, held[:, -1:]], axis=1)
        first, made = self.given, halved(held[:whole], self.info)
        self.given += len(made)
        return first, made


def halved(rows: Array, info: ImageInfo) -> Array:
    """Means of blocks of two rows and two columns, both even in number: in float64, integers rounded half to even."""
    blocks = rows.reshape(len(rows) // 2, 2, rows.shape[1] // 2, 2, *rows.shape[2:])
    corners = [blocks[:, row, :, column].astype(np.float64) for row in (0, 1) for column in (0, 1)]
    whole = info.missing is None and info.dtype.startswith(("int", "uint"))
    if info.has_alpha and not info.premultiplied:
        mean = weighted(corners, [corner[..., -1:] for corner in corners])
        mean[..., -1] = sum(corner[..., -1] for corner in corners) / 4
    elif whole:
        mean = sum(corners[1:], corners[0]) / 4
    else:
        mean = weighted([np.where(known(corner, info), corner, 0) for corner in corners],
                        [known(corner, info).astype(np.float64) for corner in corners])  # fmt: skip
        unknown = sum(known(corner, info) for corner in corners) == 0
        mean[unknown] = np.nan if info.missing is None else info.missing
    return (np.rint(mean) if info.sample.is_integer else mean).astype(info.dtype)


def weighted(corners: list[Array], weights: list[Array]) -> Array:
    """The mean of four samples by their weights; 0 where all weigh nothing."""
    total: Array = sum(weights[1:], weights[0])
    parts = [corner * weight for corner, weight in zip(corners, weights, strict=True)]
    mean: Array = sum(parts[1:], parts[0]) / np.where(total == 0, 1, total)
    return mean


def known(samples: Array, info: ImageInfo) -> Array:
    """True for each sample that was measured."""
    numbers: Array = ~np.isnan(samples)
    return numbers if info.missing is None or isnan(info.missing) else numbers & (samples != info.missing)
