"""Where the samples of a result lie, and how far apart, for the metadata."""

from __future__ import annotations

from collections.abc import Mapping

Spacing = Mapping[str, tuple[float, str]]
Places = Mapping[str, tuple[float, float]]
"""Where outputs lie along axes, in samples of the input: (first, step)."""


def moved_spacing(spacing: Spacing, places: Places) -> Spacing:
    """The distances between samples where these have moved."""
    return {letter: (step * places.get(letter, (0, 1))[1], unit) for letter, (step, unit) in spacing.items()}


def moved_grid(grid: Mapping[str, tuple[float, float]], places: Places) -> Mapping[str, tuple[float, float]]:
    """Where samples lie in those of the file, which have moved: first and step, where these are not 0 and 1."""
    found = {}
    for letter in dict.fromkeys([*grid, *places]):
        (first, step), (offset, factor) = grid.get(letter, (0.0, 1.0)), places.get(letter, (0.0, 1.0))
        found[letter] = first + step * offset, step * factor
    return {letter: place for letter, place in found.items() if place != (0.0, 1.0)}
