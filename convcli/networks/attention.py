"""Attention without its projections: queries that look at keys and values."""

from __future__ import annotations

from math import prod

from convcli.networks.layers import Applied, head_count
from convcli.networks.network import Layer, Shape, wrong


def attended(layer: Layer, queries: Shape, keys: Shape, values: Shape) -> Applied:
    """attend: each place of the queries by all keys, or by those in its window, and what comes of it by their values.

    >>> attended(Layer("attend", (2,), window=(7,)), *[Shape(8, (14,))] * 3).products == 14 * 7 * (8 + 8)
    True
    """
    heads = head_count(layer, queries)
    if not queries.spatial or queries.channels != keys.channels or keys.spatial != values.spatial:
        raise wrong(
            layer.place,
            f"cannot attend with {queries} to keys {keys} and values {values}: the first two need the same channels, "
            "the last two the same places",
            "shape",
        )
    if values.channels % heads:
        raise wrong(layer.place, f"{heads} heads do not divide the {values.channels} channels of the values", "shape")
    looked_at = seen_places(layer, queries, keys)
    scores = prod(queries.spatial) * looked_at
    return Applied(
        Shape(values.channels, queries.spatial),
        work=(("act", heads * scores),),
        products=scores * (queries.channels + values.channels),
    )


def seen_places(layer: Layer, queries: Shape, keys: Shape) -> int:
    """How many keys each place looks at: those of its window, of which queries and keys have the same number."""
    if not layer.window:
        return prod(keys.spatial)
    sizes = layer.window * len(keys.spatial) if len(layer.window) == 1 else layer.window
    if not len(sizes) == len(keys.spatial) == len(queries.spatial):
        raise wrong(layer.place, f"windows of {numbers(sizes)} do not lie on {queries} and {keys}", "shape")
    if any(n % size or m % (n // size) for m, n, size in zip(queries.spatial, keys.spatial, sizes, strict=True)):
        both = str(keys) if queries.spatial == keys.spatial else f"{keys} and {queries} alike"
        raise wrong(layer.place, f"windows of {numbers(sizes)} do not divide {both}; pad before", "shape")
    return prod(sizes)


def numbers(sizes: tuple[int, ...]) -> str:
    """
    >>> numbers((7, 7))
    '7x7'
    """
    return "x".join(map(str, sizes))
