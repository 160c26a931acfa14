"""Attention in a graph: a product of queries by keys, what becomes of its scores, and their product by values."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from convcli.networks.network import Layer, Shape
from convcli.networks.onnx.layouts import within
from convcli.networks.onnx.seen import Seen
from convcli.networks.onnx.walk import GraphStep
from convcli.networks.words import format_layer


class Scores(NamedTuple):
    """Queries by keys: the step that multiplies them, and what it reads as it reads it.

    `window` is how many keys of each axis a query looks at, `size` how many numbers of both are multiplied.
    """

    step: GraphStep
    window: tuple[int, ...]
    size: int


def scores_of(step: GraphStep, keys: Seen) -> Scores | None:
    """The scores that a product of two values makes, or scaled_dot_product_attention on its way."""
    flow, key = step.made.flow, step.inputs[1]
    if flow is None or key is None or key.dims is None or not keys:
        return None
    if flow.what == "attention":
        rank = len(key.dims)
        over, summed = [rank - 2], [rank - 1]
    elif flow.what == "product":
        left, right, made = flow.letters
        over = [i for i, letter in enumerate(right) if letter in made and letter not in left]
        summed = [i for i, letter in enumerate(right) if letter in left and letter not in made]
    else:
        return None
    return Scores(step, tuple(within(axis, over) for axis in keys), prod(key.dims[i] or 0 for i in summed))


def attention_word(scores: Scores, products: int, shapes: Sequence[Shape], batch: int) -> str | None:
    """attend, with heads and a window; None where products of queries, keys and values of these shapes are others."""
    queries, keys, values = shapes
    places, looked_at = prod(queries.spatial), prod(scores.window)
    wanted = places * looked_at * (queries.channels + values.channels)
    if queries.channels != keys.channels or keys.spatial != values.spatial or wanted * batch != products:
        return None
    if not queries.spatial or not scores.size or queries.channels % scores.size:
        return None
    heads = queries.channels // scores.size
    if values.channels % heads or len(scores.window) != len(queries.spatial):
        return None
    window = () if scores.window == keys.spatial else scores.window
    return format_layer(Layer("attend", (heads,) if heads > 1 else (), window=window))
