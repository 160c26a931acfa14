"""Words for attention without projections: attend, of queries, keys and values, and tokens, of places in a row."""

from __future__ import annotations

import pytest

from convcli.errors import UsageError
from convcli.networks.costs import Convention, costs, together
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.trace import trace


def counted(words: str, channels: int, *places: int):
    """The totals of a design, and what it makes."""
    traced = trace(parse(words), Shape(channels, places))
    return together(costs(traced, Convention())), traced


@pytest.mark.parametrize(
    ("places", "window"), [((14,), ""), ((14,), "w7"), ((6, 4), ""), ((6, 4), "w3x2"), ((6, 4), "w2")]
)
@pytest.mark.parametrize("heads", ["", "2"])
@pytest.mark.parametrize("made", [8, 12])
def test_attention_multiplies_each_query_by_the_keys_of_its_window(places, window, heads, made):
    """Counted one by one: queries and keys that share a window, each with its channels and those of its value."""
    sizes = [int(n) for n in window[1:].split("x")] if window else list(places)
    sizes = sizes * len(places) if len(sizes) == 1 else sizes
    every = [tuple(i // size for i, size in zip(at, sizes, strict=True)) for at in grid(places)]
    expected = sum(a == b for a in every for b in every) * (8 + made)
    cost, traced = counted(f"as:k pw-{made}-b as:v from:k attend{heads}{window}:k:v", 8, *places)
    assert (expected, Shape(made, places)) == (cost.products, traced.output)


def grid(places):
    """All places."""
    if not places:
        return [()]
    return [(i, *rest) for i in range(places[0]) for rest in grid(places[1:])]


def test_queries_look_at_the_keys_of_another_image():
    cost, traced = counted("as:q avg2 as:k from:q attend:k:k", 8, 6, 4)
    assert (24 * 6 * 16, Shape(8, (6, 4))) == (cost.products, traced.output)
    cost, _ = counted("as:q avg2 as:k from:q attendw1x2:k:k", 8, 6, 4)
    assert 24 * 2 * 16 == cost.products


def test_an_attention_sees_what_its_keys_and_values_see():
    """Every query sees all; in windows it is not said how far."""
    _, traced = counted("conv3-4 as:k attend:k:k", 1, 9)
    assert (0, 8) == traced.steps[-1].fields[0].at(3)
    _, traced = counted("conv3-4 as:k crop3 as:few from:k attend:few:few", 1, 9)
    assert [(0, 5), (1, 5), (3, 6)] == [traced.steps[-1].fields[0].at(i) for i in (0, 1, 4)]
    _, traced = counted("conv3-4p1 as:k attendw3:k:k", 1, 9)
    assert (None,) == traced.steps[-1].fields


def test_tokens_are_one_axis_of_which_the_image_knows_nothing():
    cost, traced = counted("tokens pad1:0 pw-3 crop0:24", 2, 6, 4)
    assert (Shape(3, (1,)), 25 * 6, (None,)) == (traced.output, cost.macs, traced.steps[-1].fields)


@pytest.mark.parametrize(("words", "why"), [
    ("attend:x", "attend needs the names of its keys and of its values, for instance attend2:1:1"),
    ("attend:x:x", "as:x must come before it"),
    ("as:x attend3:x:x", "3 heads do not divide 8 channels"),
    ("as:x pw-4 attend:x:x", "cannot attend with 4@6x4 to keys 8@6x4 and values 8@6x4"),
    ("as:x max2 as:y from:x attend:x:y", "the last two the same places"),
    ("as:x pw-3 as:v from:x attend2:x:v", "2 heads do not divide the 3 channels of the values"),
    ("as:x attendw4:x:x", "windows of 4x4 do not divide 8@6x4"),
    ("as:x attendw2x2x2:x:x", "windows of 2x2x2 do not lie on 8@6x4"),
    ("as:x gap flatten as:v from:x attendw2x2:v:v", "windows of 2x2 do not lie on 8@6x4 and 8"),
    ("as:x attend0:x:x", "kernel 0 makes no sense"),
])  # fmt: skip
def test_what_no_attention_can_be_is_refused_in_a_line(words, why):
    with pytest.raises(UsageError) as caught:
        counted(words, 8, 6, 4)
    assert why in str(caught.value)
