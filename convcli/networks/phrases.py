"""Layers as figures and tables of papers write them: `7x7 conv, 64, /2`, `3x3 max pool, /2`, `conv 3x3, 64`, `fc 1000`.

A phrase is a kind, a size, and items divided by commas, in any order; it ends where a word does not belong to it or
says again what was said. What it leaves out has the notation's defaults: no padding unless --pad says so.
"""

from __future__ import annotations

import re
from typing import Any

from convcli.networks.network import Layer, Place, wrong

KINDS = (
    (r"global\s+(?:average|avg)[\s-]*pool(?:ing)?", "gap"),
    (r"max(?:[\s-]*pool(?:ing)?)?", "max"),
    (r"(?:average|avg)(?:[\s-]*pool(?:ing)?)?", "avg"),
    (r"(?:transposed|up|de)[\s-]*conv(?:olution)?", "tconv"),
    (r"(?:depthwise|dw)[\s-]*conv(?:olution)?(?:\s+dw)?", "dw"),
    (r"(?:depthwise\s+)?sep(?:arable)?[\s-]*conv(?:olution)?", "sep"),
    (r"(?:pointwise|pw)[\s-]*conv(?:olution)?", "pw"),
    (r"conv(?:olution)?(?:al)?", "conv"),
    (r"(?:fc|fully[\s-]+connected|dense|linear)", "fc"),
)
"""How a kind is written, the longer forms first."""

ITEMS = (
    ("kernel", r"\d+(?:x\d+)+"),
    ("stride", r"/\s*\d+|s(?:trides?)?\s*=?\s*\d+"),
    ("pad", r"p(?:ad(?:ding)?)?\s*=?\s*(?:\d+|same|valid)|same|valid"),
    ("dilation", r"(?:d|dilation|dilated|rate)\s*=?\s*\d+"),
    ("groups", r"g(?:roups)?\s*=?\s*\d+"),
    ("channels", r"\d+(?:-?d\b)?"),
)
"""What else is said, and how."""

KIND = tuple((re.compile(rf"{pattern}(?![\w-])", re.ASCII | re.IGNORECASE), kind) for pattern, kind in KINDS)
ITEM = tuple((what, re.compile(rf"(?:{pattern})(?![\w/*])", re.ASCII | re.IGNORECASE)) for what, pattern in ITEMS)
DIVIDER = re.compile(r"\s*,\s*|\s+", re.ASCII)
EXAMPLES = "layers look like conv3-64/2p1, '3x3 conv, 64, /2' or 'Conv2d(3, 64, 3)'"


def phrase(text: str, start: int, place: Place) -> tuple[Layer, int]:
    """The layer of a phrase, and where it ends.

    >>> phrase("7x7 conv, 64, /2 3x3 max pool, /2", 0, Place())[0].stride
    (2,)
    """
    said: dict[str, str] = {}
    position, end = start, start
    while found := next_item(text, position, said):
        what, value, end = found
        said[what] = value
        divider = DIVIDER.match(text, end)
        if not divider:
            break
        position = divider.end()
        if "," in divider[0] and not next_item(text, position, said):
            word = re.compile(r"[^\s,]*").match(text, position)
            raise wrong(
                place,
                f"{word[0] if word else ''!r} says nothing about a layer; {EXAMPLES}",
                character=position - start + 1,
            )
    check(said, place)
    return layer(said), end


def next_item(text: str, position: int, said: dict[str, str]) -> tuple[str, str, int] | None:
    """The next thing that is not said yet: what, how, and where it ends."""
    if "kind" not in said:
        for pattern, kind in KIND:
            if found := pattern.match(text, position):
                return "kind", kind, found.end()
    for what, pattern in ITEM:
        if what not in said and (found := pattern.match(text, position)):
            return what, found[0], found.end()
    return None


def check(said: dict[str, str], place: Place) -> None:
    """Refuse what is no phrase, or leaves out what its kind cannot do without."""
    kind = said.setdefault("kind", "conv" if {"kernel", "channels"} <= said.keys() else "")
    if not kind:
        raise wrong(place, f"{place.text!r} is no layer; {EXAMPLES}", character=1)
    if kind in ("conv", "tconv", "sep", "dw") and "kernel" not in said:
        raise wrong(place, f"{kind} needs a size, for instance '3x3 conv, 64, /2'")
    if kind in ("conv", "tconv", "sep", "pw", "fc") and "channels" not in said:
        raise wrong(place, f"{kind} needs output channels, for instance '3x3 conv, 64, /2'")
    if kind in ("max", "avg") and not {"kernel", "stride"} & said.keys():
        raise wrong(place, f"{kind} needs a size, for instance '3x3 max pool, /2'; gap pools globally")


def layer(said: dict[str, str]) -> Layer:
    """The layer of what was said; a pooling without a size has the size of its stride."""
    numbers = {what: tuple(map(int, re.findall(r"\d{1,9}", text))) for what, text in said.items()}
    fields: dict[str, Any] = {what: numbers[what] for what in ("kernel", "stride", "dilation") if what in said}
    fields |= {what: numbers[what][0] for what in ("channels", "groups") if what in said}
    if "pad" in said:
        same = "s" if "same" in said["pad"].lower() else ((0, 0),)
        fields["pad"] = ((numbers["pad"][0],) * 2,) if numbers["pad"] else same
    if said["kind"] in ("max", "avg"):
        fields.setdefault("kernel", fields.get("stride"))
    return Layer(said["kind"], **fields)
