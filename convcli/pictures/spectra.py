"""Pictures of frequency responses: how much a kernel leaves of each wave, as a map and along its axes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from convcli.kernels.spectrum import frequencies, profile, ray, section
from convcli.pictures.charts import Scale, axes
from convcli.pictures.drawing import Group, Image, Line, Rect, Shape, Text, text_width
from convcli.pictures.layout import Block, named
from convcli.pictures.pixels import rising_png
from convcli.pictures.planes import Sheet, Shown, arranged

FINE, COARSE, ALONG = 121, 25, 201
"""Frequencies in each direction of a map, of a small map of one of many planes, and along an axis."""
SIDE, HIGH = 240.0, 240.0
BAR, STEPS = 12.0, 33
LEFT, TOP = 44.0, 40.0
OBLIQUE = "oblique"
CURVES = {"x": ("blue", 0.0), "y": ("orange", 7.0), "z": ("green", 3.0), OBLIQUE: ("purple", 0.0)}
"""Axis, or the direction of the strongest wave -> the colour of its curve, and the length of its strokes: one curve
shows through the other."""
WAVES = "cycles per pixel"
STRONGER = 1.2
"""Times the strongest wave along an axis: from there on one in another direction is worth a curve."""


def spectrum_panel(what: Shown) -> Block:
    """The frequency response of a kernel: a map of magnitudes and their profiles, or a small map for each plane."""
    taps = what.kernel.array()
    if not what.kernel.bank:
        return plain_panel(taps)
    return plain_panel(taps[0, 0]) if taps.shape[:2] == (1, 1) else planes_panel(what)


def plain_panel(taps: NDArray[np.float64]) -> Block:
    """The map of a kernel, and its profiles beside it."""
    waves, along = frequencies(FINE), frequencies(2 * ALONG - 1)[ALONG - 1 :]
    values = section(taps, waves)
    curves = {axis: profile(taps, at, along) for at, axis in enumerate("zyx"[-taps.ndim :])}
    curves |= oblique(taps, values, along)
    most = max(float(values.max()), *(float(curve.max()) for curve in curves.values()))
    chart = LEFT + SIDE + BAR + 90
    shapes = (
        Group(
            tuple(map_shapes(values, most, "y and x" if taps.ndim == 3 else "")), LEFT, TOP, "magnitude by frequency"
        ),
        Group(tuple(curve_shapes(curves, along, most)), chart, TOP, "magnitude along the axes"),
    )
    return named("frequency response", shapes, chart + 320, TOP + HIGH + 40)


def oblique(
    taps: NDArray[np.float64], values: NDArray[np.float64], along: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """The response towards the strongest wave in y and x, where that runs along neither."""
    place = np.unravel_index(values.argmax(), values.shape)
    way = np.array([frequencies(FINE)[i] for i in place])
    if values.max() <= STRONGER * max(values[FINE // 2].max(), values[:, FINE // 2].max()):
        return {}
    return {OBLIQUE: ray(taps.sum(axis=0) if taps.ndim == 3 else taps, way / np.hypot(*way), along)}


def map_shapes(values: NDArray[np.float64], most: float, plane: str) -> Iterator[Shape]:
    """The magnitude by frequency, 0 in the middle, with its scale of colours."""
    across, up = Scale(-0.5, 0.5, 0, SIDE), Scale(-0.5, 0.5, 0, SIDE)
    hint = f"|H|, from {values.min():.3g} to {values.max():.3g}"
    yield Text(0, -24, f"frequency response, waves in {plane}" if plane else "frequency response", 13, bold=True)
    yield from axes(across, up, (f"along x, {WAVES}", f"along y, {WAVES}"), 5)
    yield Image(0, 0, SIDE, SIDE, rising_png(values, most), data={"spectrum": FINE}, hint=hint)
    yield Rect(0, 0, SIDE, SIDE, stroke="line")
    bar = rising_png(np.linspace(most, 0, STEPS)[:, None], most)
    yield Image(SIDE + 16, 0, BAR, SIDE, bar, smooth=True)
    yield Rect(SIDE + 16, 0, BAR, SIDE, stroke="line")
    for share in (0.0, 0.5, 1.0):
        yield Text(SIDE + BAR + 22, 4 + SIDE * (1 - share), f"{share * most:.3g}", 11, "faint")


def curve_shapes(curves: dict[str, NDArray[np.float64]], along: NDArray[np.float64], most: float) -> Iterator[Shape]:
    """The magnitude of waves along each axis, from those that do not change to the shortest."""
    across, up = Scale(0, 0.5, 0, 280), Scale(0, most or 1, HIGH, 0)
    yield Text(0, -24, "along the axes", 13, bold=True)
    yield from axes(across, up, (WAVES, "magnitude |H|"))
    for number, axis in enumerate(axis for axis in CURVES if axis in curves):
        (colour, dash), curve = CURVES[axis], curves[axis]
        points = tuple((across.at(f), up.at(size)) for f, size in zip(along.tolist(), curve.tolist(), strict=True))
        yield Line(points, colour, 2.2, dash, data={"axis": axis, "zero": f"{curve[0]:.6g}", "most": f"{most:.6g}"})
        x = 130 + 40 * number
        yield Line(((x, -28), (x + 18, -28)), colour, 2.2, dash)
        yield Text(x + 22, -24, axis, 12)


def planes_panel(what: Shown) -> Block:
    """A small map for each filter and channel of a bank, in the order of the taps; one scale for all."""
    filters, channels = what.choice.filters, what.choice.channels
    sheet = arranged((1, 1), len(filters), len(channels), (len(channels),))
    maps = [section(taps, frequencies(COARSE)) for taps in chosen_taps(what)]
    most = max(float(each.max()) for each in maps)
    words = f"frequency response of each, zero in the middle, from 0 (white) to {most:.3g} (darkest)"
    places = list(product(filters, channels))
    drawn = tuple(small_map(sheet, i, (*places[i], values), most) for i, values in enumerate(maps))
    wide, high = sheet.size
    shapes = (Text(0, 12, words, 13, bold=True), Group(drawn, 0, 22))
    return named("frequency response", shapes, max(wide, text_width(words, 14)), high + 22)


def small_map(sheet: Sheet, number: int, at: tuple[int, int, NDArray[np.float64]], most: float) -> Shape:
    """The map of a filter and channel in its place."""
    (x, y), (wide, high), (of, channel, values) = sheet.place(number), sheet.plane, at
    hint = f"filter {of}, channel {channel}: |H| from {values.min():.3g} to {values.max():.3g}"
    data = {"spectrum": COARSE, "filter": of, "channel": channel}
    drawn = Image(0, 0, wide, high, rising_png(values, most), data=data, hint=hint)
    return Group((drawn, Rect(0, 0, wide, high, stroke="line")), x, y)


def chosen_taps(what: Shown) -> Iterator[NDArray[np.float64]]:
    """The taps of each filter and channel that are shown."""
    bank = what.kernel.array()
    for number in what.choice.filters:
        for channel in what.choice.channels:
            yield bank[number, channel]
