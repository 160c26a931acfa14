"""A scene to try filters on: sky, hills, a wall of bricks with a sign, spheres on a chequered floor, wires and a mast.

It has what filters change: edges in every direction, texture, letters, lines of a pixel and less, soft shadows, slopes
as on skin, highlights that are clipped, and a floor whose squares grow too fine for pixels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
FINER = 3
"""Points along each side of a pixel."""
HORIZON, EYE = -0.18, 1.15
"""Where the floor ends, in halves of the height above the centre, and how high the eye is above it."""
SUN = np.array([0.55, -0.62, -0.56])
"""Towards the light: right, up (negative) and to the viewer."""
LETTERS = {
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "N": "10001 11001 11001 10101 10011 10011 10001",
    "V": "10001 10001 10001 10001 01010 01010 00100",
    "*": "00000 00100 10101 01110 10101 00100 00000",
}
"""Five columns by seven rows."""


class Ball(NamedTuple):
    """A sphere: its centre and size on the picture, its colour, how it shines and what it is painted with."""

    y: float
    x: float
    size: float
    colour: tuple[float, float, float]
    shine: float
    stripes: float = 0


BALLS = (
    Ball(0.38, -0.42, 0.36, (0.88, 0.62, 0.50), 30),
    Ball(0.50, 0.36, 0.27, (0.18, 0.42, 0.66), 160),
    Ball(0.70, -0.02, 0.15, (0.90, 0.78, 0.22), 60, 22),
)


def scene(height: int, width: int, seed: int) -> Array:
    """The picture, RGB from 0 to 1 in float64, (height, width, 3)."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[: height * FINER, : width * FINER].astype(np.float64)
    half = height * FINER / 2
    y, x = (y + 0.5) / half - 1, (x + 0.5 - width * FINER / 2) / half
    picture = sky(y, x, random)
    for draw in (hills, floor, wall, wires):
        picture = draw(picture, y, x, random)
    for ball in BALLS:
        picture = with_ball(picture, ball, y, x)
    return picture.reshape(height, FINER, width, FINER, 3).mean((1, 3))


def mixed(picture: Array, colour: Any, share: Array) -> Array:
    """A colour laid over a picture, by a share from 0 to 1."""
    return picture + share[..., None] * (np.asarray(colour) - picture)


def clouds(y: Array, x: Array, random: np.random.RandomState, octaves: int, first: float) -> Array:
    """Noise, about -1 to 1: waves of random directions, each octave twice as fine and half as strong."""
    total = np.zeros_like(y)
    for octave in range(octaves):
        for angle, phase in random.uniform(0, 2 * np.pi, (4, 2)):
            along = np.cos(angle) * x + np.sin(angle) * y
            across = np.cos(angle) * y - np.sin(angle) * x
            total += np.sin(first * 2**octave * along + phase + 0.8 * np.sin(first * 2**octave * across)) / 2 ** (
                octave + 2
            )
    return total


def sky(y: Array, x: Array, random: np.random.RandomState) -> Array:
    """Blue above, pale below, with a sun that is brighter than white, and thin clouds."""
    high = np.clip((HORIZON - y) / (1 + HORIZON), 0, 1)[..., None]
    blue = (1 - high) * np.array([0.93, 0.82, 0.66]) + high * np.array([0.24, 0.46, 0.76])
    thin = np.clip(0.45 + 0.7 * clouds(2.2 * y, x, random, 4, 2.5), 0, 1) * 0.55
    away = np.hypot(y + 0.68, x - 0.86)
    return (
        mixed(blue, (0.98, 0.96, 0.93), thin)
        + (1.3 * np.exp(-((away / 0.10) ** 4)) + 0.5 * np.exp(-away / 0.12))[..., None]
    )


def hills(picture: Array, y: Array, x: Array, random: np.random.RandomState) -> Array:
    """Three ridges, the farther the paler, with trees as teeth on the nearest."""
    for rise, rough, colour in (
        (0.30, 2.0, (0.62, 0.66, 0.74)),
        (0.18, 3.5, (0.42, 0.52, 0.52)),
        (0.07, 6.0, (0.20, 0.34, 0.22)),
    ):
        ridge = HORIZON - rise * (0.6 + 0.5 * clouds(np.zeros_like(x[:1]), x[:1], random, 5, rough))
        teeth = 0.018 * abs(np.sin(95 * x[:1]) * np.sin(37 * x[:1] + 1)) if rise < 0.1 else 0
        picture = mixed(picture, colour, (y > ridge - teeth).astype(np.float64))
    return picture


def floor(picture: Array, y: Array, x: Array, random: np.random.RandomState) -> Array:
    """Squares of stone in perspective, as fine as can be at the horizon, with the shadows of the spheres."""
    below = np.maximum(y - HORIZON, 1e-3)
    depth, side = EYE / below, x * EYE / below
    dark = (np.floor(2.2 * depth) + np.floor(2.2 * side)) % 2
    stone = 0.80 - 0.46 * dark + 0.05 * clouds(6 * depth, 6 * side, random, 3, 3.0)
    haze = np.clip(1 - below / 0.25, 0, 1)[..., None] ** 2
    colour = (1 - haze) * stone[..., None] * np.array([1.0, 0.93, 0.84]) + haze * np.array([0.66, 0.66, 0.62])
    for ball in BALLS:
        under, aside = (
            (y - ball.y - 0.92 * ball.size) / (0.24 * ball.size),
            (x - ball.x + 0.55 * ball.size) / (1.25 * ball.size),
        )
        colour *= 1 - 0.62 / (1 + np.exp(9 * (np.hypot(under, aside) - 1)))[..., None]
    return np.where((y > HORIZON)[..., None], colour, picture)


def wall(picture: Array, y: Array, x: Array, random: np.random.RandomState) -> Array:
    """Bricks, each of a shade of its own, in rows that are shifted by half; a sign with letters hangs on them."""
    tall, wide, joint = 0.088, 0.20, 0.013
    row = np.floor((y + 1) / tall)
    shifted = x + 1.6 + row % 2 * wide / 2
    column = np.floor(shifted / wide)
    shade = random.uniform(0.72, 1.08, (40, 40))[row.astype(int) % 40, column.astype(int) % 40]
    rough = 1 + 0.10 * clouds(y, x, random, 5, 40.0)
    brick = (shade * rough)[..., None] * np.array([0.62, 0.29, 0.21])
    lit = 0.25 * (((y + 1) % tall) / tall - 0.5)
    joints = ((y + 1) % tall < joint) | (shifted % wide < joint)
    brick = np.where(joints[..., None], rough[..., None] * np.array([0.70, 0.68, 0.63]), brick - lit[..., None] * 0.4)
    picture = np.where(((x < -0.62) & (y < 0.26))[..., None], brick, picture)
    return sign(picture, y, x)


def sign(picture: Array, y: Array, x: Array) -> Array:
    """White letters on a green board, twice, the second time at a quarter of the size."""
    board = (abs(x + 1.04) < 0.35) & (abs(y + 0.55) < 0.24)
    frame = (abs(x + 1.04) < 0.37) & (abs(y + 0.55) < 0.26)
    picture = np.where(frame[..., None], np.array([0.93, 0.92, 0.88]), picture)
    picture = np.where(board[..., None], np.array([0.07, 0.36, 0.24]), picture)
    for top, left, dot in (
        (-0.73, -1.335, 0.027),
        (-0.44, -1.335, 0.0094),
        (-0.44, -1.035, 0.0063),
        (-0.44, -0.83, 0.0044),
    ):
        picture = mixed(picture, (0.96, 0.96, 0.92), written("CONV", (y - top) / dot, (x - left) / dot))
    return picture


def written(text: str, row: Array, column: Array) -> Array:
    """1 where a text's letters are, of dots of length 1, from row and column 0 on."""
    ink = np.zeros_like(row)
    for place, letter in enumerate(text):
        dots = np.array([[int(dot) for dot in line] for line in LETTERS[letter].split()], np.float64)
        r, c = np.floor(row).astype(int), np.floor(column).astype(int) - 6 * place
        inside = (r >= 0) & (r < 7) & (c >= 0) & (c < 5)
        ink += inside * dots[np.clip(r, 0, 6), np.clip(c, 0, 4)]
    return ink


def wires(picture: Array, y: Array, x: Array, _random: np.random.RandomState) -> Array:
    """A mast with stays, and wires that sag: lines from three pixels to a third of one."""
    mast = (abs(x - 0.62) < 0.008) & (y > -0.86) & (y < HORIZON + 0.16)
    picture = mixed(picture, (0.16, 0.15, 0.16), mast.astype(np.float64))
    for slope, thick in ((0.30, 0.0030), (0.55, 0.0022), (-0.30, 0.0030), (-0.55, 0.0022)):
        stay = (abs(x - 0.62 - slope * (y + 0.84)) < thick) & (y > -0.84) & (y < HORIZON + 0.14)
        picture = mixed(picture, (0.20, 0.19, 0.20), stay.astype(np.float64))
    for height, thick in ((-0.80, 0.0045), (-0.74, 0.0030), (-0.68, 0.0018)):
        sag = height + 0.16 - 0.16 * ((x - 0.05) / 0.62) ** 2
        wire = (abs(y - sag) < thick) & (x > -0.62) & (x < 0.62)
        picture = mixed(picture, (0.12, 0.12, 0.14), wire.astype(np.float64))
    return picture


def with_ball(picture: Array, ball: Ball, y: Array, x: Array) -> Array:
    """A sphere in the light: diffuse, a rim from the floor, a highlight that is clipped, and its stripes."""
    down, right = (y - ball.y) / ball.size, (x - ball.x) / ball.size
    inside = down**2 + right**2 < 1
    out = np.sqrt(np.clip(1 - down**2 - right**2, 0, 1))
    light = SUN / np.linalg.norm(SUN)
    facing = right * light[0] + down * light[1] - out * light[2]
    half = light + np.array([0, 0, -1])
    half /= np.linalg.norm(half)
    glint = np.clip(right * half[0] + down * half[1] - out * half[2], 0, 1) ** ball.shine
    paint = np.ones_like(y) * np.array(ball.colour)[:, None, None]
    if ball.stripes:
        paint = np.where(
            np.sin(ball.stripes * np.arcsin(np.clip(down * 0.8 + right * 0.6, -1, 1)) / 2) > 0, paint, 0.12
        )
    bright = 0.20 + 0.80 * np.clip(facing, 0, 1) + 0.22 * np.clip(down, 0, 1) ** 2
    colour = paint.transpose(1, 2, 0) * bright[..., None] + 1.1 * glint[..., None]
    return np.where(inside[..., None], colour, picture)
