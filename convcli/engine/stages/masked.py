"""Filters in a mask: what lies outside is hidden from them, and the rest of the kernel makes up for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from convcli.engine.memory import empty
from convcli.engine.slabs import Slab, Task
from convcli.engine.stages.filter import FilterStage
from convcli.engine.workers import Crew, run_all
from convcli.errors import ConvError
from convcli.filters.filter import LEAVING_OUT
from convcli.filters.selection import Mask
from convcli.image import Spans
from convcli.records import record, replace

Array = np.ndarray[Any, Any]


def inside(mask: Mask, axes: str, spans: Spans) -> Array:
    """Which samples of a box of an image with such axes a mask marks, as far as its own axes tell them apart.

    What is not a number marks nothing; of colours any that is not 0 does, whatever their opacity.
    """
    at = dict(zip(axes, spans, strict=True))
    box = tuple(
        (0, size) if size == 1 or letter == "S" else at[letter]
        for letter, size in zip(mask.axes, mask.shape, strict=True)
    )
    held = np.empty([stop - start for start, stop in box], mask.dtype)
    with mask.opened() as pixels:
        pixels.read(box, held)
    marked = (held != 0) & ~np.isnan(held) if held.dtype.kind == "f" else held != 0
    letters = mask.axes
    if "S" in letters:
        place = letters.index("S")
        colours = np.moveaxis(marked, place, 0)[: -1 if mask.samples.endswith("+alpha") else None]
        marked, letters = colours.any(axis=0), letters.replace("S", "")
    spare = tuple(place for place, letter in enumerate(letters) if letter not in axes)  # of one sample each
    marked, letters = marked.any(axis=spare), "".join(letter for letter in letters if letter in axes)
    order = [letters.index(letter) for letter in axes if letter in letters]
    there: Any = tuple(slice(None) if letter in letters else None for letter in axes)
    found: Array = marked.transpose(order)[there]
    return found


@record
class MaskedStage(FilterStage):
    """A filter that leaves NaN out, on numbers of which it sees those inside a mask alone.

    What becomes of NaN inside is said by a `rule`, as without a mask.
    """

    mask: Mask
    rule: str

    def seen(self, slab: Slab, pixels: Array) -> tuple[Array, Array | None]:
        """What the filter sees: NaN outside, 0 for NaN inside that are to spread; and where these are, if anywhere."""
        marked = np.empty(pixels.shape, bool)
        for place, spans in slab.stretches():
            marked[place] = inside(self.mask, self.info.axes, spans)
        hidden = np.where(marked, pixels, np.array(np.nan, pixels.dtype))
        if self.rule in LEAVING_OUT:
            return hidden, None
        unknown = marked & np.isnan(pixels)
        if not unknown.any():
            return hidden, None
        if self.rule == "error":
            raise ConvError("there are NaN in it; --nan keep, ignore or zero would go on", "nan")
        hidden[unknown] = 0
        return hidden, unknown if self.rule == "keep" else None

    def fill(self, slab: Slab, pixels: Array, values: Array, crew: Crew) -> None:
        """Filter what is inside."""
        hidden, unknown = self.seen(slab, pixels)
        super().fill(slab, hidden, values, crew)
        if unknown is not None:
            values[self.met(slab, unknown, crew)] = np.nan

    def met(self, slab: Slab, unknown: Array, crew: Crew) -> Array:
        """Which results of a slab look at something that is not known."""
        numbers = replace(self.filter.numbers, nan="keep")
        stage = FilterStage(replace(self.filter, numbers=numbers), self.info, self.plan)
        marks = np.where(unknown, np.array(np.nan, self.info.dtype), np.array(0, self.info.dtype))
        found = empty(slab.working_shape, stage.working)
        stage.fill(replace(slab, stage=stage), marks, found, Crew(crew.execute))
        return np.isnan(found)

    def check(self, slab: Slab, pixels: Array, values: Array, points: Iterable[Task]) -> None:
        """Compare with the definition on what the filter sees."""
        hidden, unknown = self.seen(slab, pixels)
        if unknown is not None:  # NaN have taken the place of what it made of it
            values = empty(slab.working_shape, self.working)
            super().fill(slab, hidden, values, Crew(run_all))
        super().check(slab, hidden, values, points)
