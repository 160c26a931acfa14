"""What lies outside an image, and how much of it kernels reach: borders and paddings, as users say them.

What borders do to pixels stands in `convcli.engine.windows`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isnan, nan

from convcli.errors import UsageError
from convcli.numerals import UNKNOWN, decimal, per_axis, whole
from convcli.records import record

BORDERS = {
    "edge": "aaa|abcd|ddd",
    "zero": "000|abcd|000",
    "constant": "VVV|abcd|VVV",
    "reflect": "dcb|abcd|cba",
    "symmetric": "cba|abcd|dcb",
    "wrap": "bcd|abcd|abc",
}
"""Each rule, drawn: the row of pixels `abcd` with what is put before and behind it."""

ALIASES = {
    "nearest": "edge",
    "replicate": "edge",
    "clamp": "edge",
    "extend": "edge",
    "copy": "edge",
    "zeros": "zero",
    "black": "zero",
    "mirror": "reflect",
    "reflect101": "reflect",
    "periodic": "wrap",
    "circular": "wrap",
    "tile": "wrap",
}
"""What other tools call them. scipy.ndimage's `reflect` is our `symmetric`; its `mirror` is our `reflect`."""


VALUE = r"(?:constant)?[\s:(]*([+-]?[0-9]+\.?[0-9]*)\)?"
"""A constant that is written otherwise: constant:5, constant(5), 5."""
ELSEWHERE = {
    "border_replicate": "edge",
    "border_reflect": "symmetric",  # OpenCV's fedcba|abcdefgh|hgfedcb
    "border_reflect_101": "reflect",
    "border_reflect101": "reflect",
    "border_default": "reflect",
    "border_wrap": "wrap",
    "border_constant": "constant=0",
    "border_isolated": "zero",
    "reflect_101": "reflect",
    "grid_wrap": "wrap",
    "grid_constant": "constant=0",
    "grid_mirror": "symmetric",
    "half_sample_symmetric": "symmetric",
    "white": "constant=255 (or what is white in the samples)",
    "background": "zero",
    "transparent": "zero",
    "fill": "constant=0",
    "pad": "zero",
    "zero_padding": "zero",
    "none": "--padding valid, which needs no border",
    "ignore": "--padding valid, which needs no border",
    **dict.fromkeys(("same", "valid", "full"), "--padding, which says how much comes back"),
}
"""What is meant by the constants and names of other tools, which are not accepted: some are like ours and differ."""
PADDINGS = ("same", "tf-same", "valid", "full")
PADDINGS_ELSEWHERE = {
    "same_upper": "tf-same",
    "same-upper": "tf-same",
    "tf": "tf-same",
    "tensorflow": "tf-same",
    "half": "same",
    "auto": "same",
    "none": "valid",
    "no": "valid",
    "causal": "numbers, such as 0,2:0 for three columns",
}
"""What is meant by the paddings of other tools."""
OUTSIDE = {*BORDERS, *ALIASES} - {"constant"}
"""What frameworks call a padding, too, and is a border here."""


@record
class Border:
    """The rule for one axis; `value` is what a constant border holds.

    >>> str(Border()), str(Border("constant")), str(Border("constant", 7))
    ('edge', 'zero', 'constant=7')
    """

    rule: str = "edge"
    value: float = 0.0

    def __str__(self) -> str:
        if self.rule != "constant":
            return self.rule
        return "zero" if self.value == 0 else f"constant={self.value:g}"


def parse_border(text: str, axes: str) -> tuple[Border, ...]:
    """A border for each of `axes` ("YX"), from one rule for all or from "z=edge,yx=reflect".

    >>> [str(b) for b in parse_border("z=edge,yx=constant=5", "ZYX")]
    ['edge', 'constant=5', 'constant=5']
    """
    rules: dict[str, Border] = {}
    for part in text.split(","):
        letters, _, rule = part.strip().partition("=")
        if not rule or letters.lower() in ("constant", "zero"):
            letters, rule = axes, part.strip()
        for letter in letters.upper():
            if letter not in axes:
                raise UsageError(f"border for axis {letter!r} in {text!r}, but the axes are {axes}", where="--border")
            rules[letter] = _rule(rule)
    missing = [letter for letter in axes if letter not in rules]
    if missing:
        raise UsageError(f"{text!r} says nothing about axis {missing[0]}", where="--border")
    return tuple(rules[letter] for letter in axes)


def describe_borders(borders: Sequence[Border], axes: str) -> str:
    """The shortest text that `parse_border` reads back.

    >>> describe_borders([Border("edge"), Border("wrap")], "YX")
    'y=edge,x=wrap'
    >>> describe_borders(parse_border("constant=nan", "YX"), "YX")
    'constant=nan'
    """
    if len(set(borders)) == 1:
        return str(borders[0])
    return ",".join(f"{letter.lower()}={border}" for letter, border in zip(axes, borders, strict=True))


def _rule(text: str) -> Border:
    name, _, value = text.strip().partition("=")
    name = ALIASES.get(name.lower(), name.lower())
    if name not in BORDERS or (value and name != "constant"):
        number = re.fullmatch(VALUE, text.strip().lower())
        known = ELSEWHERE.get(name.removeprefix("cv2.").replace("-", "_"))
        meant = f"constant={number[1]}" if number else known
        way = f"did you mean {meant}?" if meant else f"use {', '.join(BORDERS)} (constant=V)"
        raise UsageError(f"unknown border {text!r}; {way}", where="--border")
    if name == "zero":
        return Border("constant", 0.0)
    return Border(name, _number(value)) if name == "constant" else Border(name)


def _number(text: str) -> float:
    if text.strip().lower() in UNKNOWN:
        value = float(text)
        return nan if isnan(value) else value  # the same object: two of them are not equal
    try:
        return decimal(text)
    except ValueError:
        raise UsageError(f"constant={text or '?'} needs a number, such as constant=128", where="--border") from None


def parse_padding(text: str, ndim: int) -> str | tuple[tuple[int, int], ...]:
    """same, tf-same, valid, full; or numbers: "1", "1,2" per axis, "0:1,0:1" begin:end per axis.

    >>> parse_padding("1,0:2", 2), parse_padding("full", 2)
    (((1, 1), (0, 2)), 'full')
    """
    if (rule := text.strip().lower()) in PADDINGS:
        return rule
    pairs = []
    for part in per_axis(text):
        begin, colon, end = part.partition(":")
        try:
            pair = whole(begin), whole(end if colon else begin)
        except ValueError:
            pair = -1, -1
        if min(pair) < 0:
            meant = f"--border {rule}" if rule in OUTSIDE else PADDINGS_ELSEWHERE.get(rule, "")
            way = f"; did you mean {meant}?" if meant else ", or numbers like 1 or 1,2 or 0:1,0:1"
            raise UsageError(f"{text!r} is not {', '.join(PADDINGS)}{way}", where="--padding")
        pairs.append(pair)
    if len(pairs) not in (1, ndim):
        raise UsageError(f"{text!r} has {len(pairs)} entries; give 1 or {ndim}", where="--padding")
    return tuple(pairs * ndim if len(pairs) == 1 else pairs)


def default_border(padding: str | tuple[tuple[int, int], ...]) -> str:
    """What lies outside, where nobody says: the edge; zeros where pixels are padded by numbers, as in PyTorch.

    >>> default_border("same"), default_border(((1, 1), (1, 1)))
    ('edge', 'zero')
    """
    return "edge" if isinstance(padding, str) else "zero"
