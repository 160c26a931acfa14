"""One layer as one word: `conv7-64/2p3`. Reading it, writing it, and saying where it is wrong.

word = kind [ kernel ] [ "-" channels ] { mod }
     | "up" factor | "slice" begin ":" end | channels "@" size (another input)
     | "attend" [ heads ] [ "w" window ] ":" keys ":" values
mod  = "/" stride | "p" pad | "d" dilation | "g" groups | "o" output padding | "=" wanted size | "m" multiplier
     | "ceil" | "i" input channels (a check-sum) | "+b" | "-b" | "+bn" | "-bn" | "#" name
pad  = 1 | 1x3x3 | 0:1 (begin:end) | h half | s SAME_UPPER | l SAME_LOWER | f full | c causal | ? unknown
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import gcd
from typing import Any

from convcli.errors import UsageError
from convcli.networks.layers import KINDS
from convcli.networks.network import Layer, Padding, Place, Ratio, Shape, wrong

ALIASES = {
    "maxpool": "max",
    "avgpool": "avg",
    "deconv": "tconv",
    "upconv": "tconv",
    "dwconv": "dw",
    "pwconv": "pw",
    "sepconv": "sep",
    "linear": "fc",
    "dense": "fc",
    "upsample": "up",
    "dropout": "id",
    "attention": "attn",
    "channelshuffle": "cshuffle",
}
"""What others call the same kind."""

MAXIMUM_NUMBER = 10_000_000
MAXIMUM_KERNEL = 100_000
LONGEST_FACTOR = 20
SOME_CHANNELS = 64  # in an example
LEAST_FACTOR = 0.001

SIZE = r"\d+(?:x\d+)*"
PADS = r"\d+(?::\d+)?(?:x\d+(?::\d+)?)*"
FACTORS = r"\d+(?:\.\d+)?(?:x\d+(?:\.\d+)?)*"
HEAD = re.compile(rf"(?P<kernel>{FACTORS}(?![\d:x.])|{PADS}|\?)?(?:-(?P<channels>\d+))?", re.ASCII)
HEADS = {"pad": "pad", "crop": "pad", "slice": "span"}
"""What the numbers right behind a kind are, where they are no kernel."""
MOD = re.compile(
    rf"/(?P<stride>{SIZE}|\?)|p(?P<pad>{PADS}|[hslfc?])|d(?P<dilation>{SIZE}|\?)|g(?P<groups>\d+)"
    rf"|o(?P<output_padding>{SIZE}|\?)|=(?P<wanted>{SIZE})|m(?P<multiplier>\d+)|(?P<ceil>ceil)|i(?P<inputs>\d+)"
    r"|(?P<bn>[+-])bn|(?P<bias>[+-])b|#(?P<name>[^\s()\[\]{}|]+)",
    re.ASCII,
)
NAMED_PADDINGS = {"half": "h", "same": "s", "full": "f", "causal": "c", "valid": "0"}
REFERENCE = re.compile(r":([\w.-]+)(?:#([^\s()\[\]{}|]+))?", re.ASCII)
ATTENDING = re.compile(
    rf"(?P<kernel>{SIZE}|\?)?(?:w(?P<window>{SIZE}))?:(?P<reference>[\w.-]+):(?P<values>[\w.-]+)"
    r"(?:#(?P<name>[^\s()\[\]{}|]+))?",
    re.ASCII,
)
PER_AXIS = ("window", "kernel", "stride", "dilation", "output_padding", "wanted")
WORDS = {
    "channels": "output channels",
    "output_padding": "output padding",
    "inputs": "input channels",
    "pad": "padding",
}
STARTS = {"/": "stride", "p": "padding", "d": "dilation", "g": "groups", "o": "output padding", "m": "multiplier"}
FOR_ALL = ("inputs", "name")
MODS = {
    "kernel": "3",
    "channels": "-64",
    "stride": "/2",
    "pad": "p1",
    "dilation": "d2",
    "groups": "g2",
    "output_padding": "o1",
    "wanted": "=16",
    "multiplier": "m2",
    "factor": "1.5",
    "span": "0:32",
    "ceil": "ceil",
    "inputs": "i64",
    "bias": "-b",
    "bn": "+bn",
    "name": "#name",
}
"""An example of each field of a word."""


def parse_word(word: str, place: Place, blocks: Iterable[str] = ()) -> Layer:
    """One layer from one word of the notation; `blocks` are names that may have been meant.

    >>> parse_word("max3/2p1", Place()).stride
    (2,)
    """
    kind, start = split_kind(word, place, blocks)
    if kind == "input":
        raise wrong(place, "an input is written as channels@size, for instance 1@64x64", character=1)
    if kind == "attend":
        return attending(word, start, place)
    if "reference" in KINDS[kind].takes:
        return referring(kind, word, start, place)
    reading = Reading(kind, place)
    head = HEAD.match(word, start)
    assert head is not None  # every part of it is optional
    reading.head(head)
    position = head.end()
    while position < len(word):
        found = MOD.match(word, position)
        if not found:
            raise unexpected(word, position, kind, place)
        reading.store(found.lastgroup or "", found[found.lastgroup or 0], position + 1)
        position = found.end()
    return reading.layer()


def split_kind(word: str, place: Place, blocks: Iterable[str]) -> tuple[str, int]:
    """The kind that a word starts with, and where the rest begins."""
    found = re.match("[A-Za-z]+", word, re.ASCII)
    letters = found[0].lower() if found else ""
    kind = ALIASES.get(letters, letters)
    if kind in KINDS:
        return kind, len(letters)
    for end in range(len(letters) - 1, 1, -1):  # bni64: the kind, and a mod
        if letters[:end] == "attend" or (letters[:end] in KINDS and MOD.match(word, end)):
            return letters[:end], end
    raise wrong(place, f"unknown layer {letters or word!r}; {suggestion(letters, [*blocks])}", character=1)


def ratio(decimal: str) -> Ratio:
    """A decimal number as a fraction in lowest terms.

    >>> ratio("1.5"), ratio("2")
    ((3, 2), (2, 1))
    """
    before, _, after = decimal.partition(".")
    up, down = int(before + after), 10 ** len(after)
    return up // gcd(up, down), down // gcd(up, down)


def suggestion(letters: str, blocks: list[str]) -> str:
    """What may have been meant.

    >>> suggestion("covn", [])
    "did you mean 'conv3-64/2p1'?"
    """
    from difflib import get_close_matches

    close = get_close_matches(letters, [*KINDS, *ALIASES, *blocks], n=1)
    if not close:
        return f"the kinds are {', '.join([*KINDS, *blocks])}"
    kind = ALIASES.get(close[0], close[0])
    return f"did you mean {KINDS[kind].example if kind in KINDS else kind!r}?"


def referring(kind: str, word: str, start: int, place: Place) -> Layer:
    """as:NAME, cat:NAME, add:NAME, mul:NAME, perhaps with a #name behind."""
    found = REFERENCE.fullmatch(word, start)
    if not found:
        what = "needs a name of letters, digits, '.', '-' and '_'"
        raise wrong(place, f"{kind} {what}, for instance {KINDS[kind].example}", character=start + 1)
    return Layer(kind, reference=found[1], name=found[2] or "", place=place)


def attending(word: str, start: int, place: Place) -> Layer:
    """attend8w7x7:KEYS:VALUES, the heads and the window left out or not."""
    found = ATTENDING.fullmatch(word, start)
    if not found:
        what = f"needs the names of its keys and of its values, for instance {KINDS['attend'].example}"
        raise wrong(place, f"attend {what}", character=start + 1)
    reading = Reading("attend", place)
    for what, text in found.groupdict().items():
        if text is not None:
            reading.store(what, text, found.start(what) + 1)
    return reading.layer()


def unexpected(word: str, position: int, kind: str, place: Place) -> UsageError:
    """The error of a character that starts no mod."""
    letter, known = (
        word[position],
        " ".join(MODS[what] for what in MODS if what in KINDS[kind].takes or what in FOR_ALL),
    )
    if letter in STARTS:
        message = f"{letter!r} ({STARTS[letter]}) needs a number behind it"
    else:
        message = f"{word[position:]!r} says nothing about {kind}"
    return wrong(place, f"{message}; what {kind} takes: {known}", character=position + 1)


def parse_padding(text: str, place: Place) -> Padding:
    """A padding alone: numbers, or the letter or the name of a rule.

    >>> parse_padding("0:1x2", Place()), parse_padding("h", Place()), parse_padding("same", Place())
    (((0, 1), (2, 2)), 'h', 's')
    """
    text = NAMED_PADDINGS.get(text, text)
    if not re.fullmatch(rf"{PADS}|[hslfc]", text, re.ASCII):
        raise wrong(place, f"{text!r} is no padding; use 1, 1x2, 0:1x0:1, half, same, full, causal or valid", "usage")
    padding: Padding = Reading("conv", place).value("pad", text, 1)
    return padding


class Reading:
    """The fields of one word, as they are read."""

    def __init__(self, kind: str, place: Place) -> None:
        self.kind = kind
        self.place = place
        self.fields: dict[str, Any] = {}

    def head(self, found: re.Match[str]) -> None:
        """The numbers right behind the kind: kernel and channels, or what `pad`, `crop` and `slice` are about."""
        if found["kernel"]:
            what = HEADS.get(self.kind, "factor" if "." in found["kernel"] else "kernel")
            self.store(what, found["kernel"], found.start("kernel") + 1)
        if found["channels"]:
            self.store("channels", found["channels"], found.start("channels"))

    def store(self, what: str, text: str, character: int) -> None:
        """Keep one field, refusing what the kind does not take, and what was said before."""
        kind, said = KINDS[self.kind], WORDS.get(what, what)
        if what not in kind.takes and what not in FOR_ALL:
            able = ", ".join(sorted(WORDS.get(each, each) for each in kind.takes)) or "nothing more"
            raise wrong(self.place, f"{self.kind} takes no {said}; it takes {able}", character=character)
        if what in self.fields or self.fields.get("unknown") == what:
            raise wrong(self.place, f"the {said} is said twice", character=character)
        if text != "?" or what == "name":
            self.fields[what] = self.value(what, text, character)
        elif "unknown" in self.fields:
            raise wrong(self.place, "only one '?' can be solved for", character=character)
        else:
            self.fields["unknown"] = what

    def value(self, what: str, text: str, character: int) -> Any:
        """The value of a field from its text."""
        if what in ("bias", "bn"):
            return text == "+"
        if what in ("ceil", "name", "reference", "values"):
            return True if what == "ceil" else text
        if what == "pad":
            return text if text in "hslfc" else self.pads(text, character)
        if what == "span":
            return self.span(text, character)
        if what == "factor":
            return tuple(self.factor(part, character) for part in text.split("x"))
        if what in PER_AXIS:
            return tuple(self.number(part, what, character) for part in text.split("x"))
        return self.number(text, what, character)

    def pads(self, text: str, character: int) -> Padding:
        """(begin, end) for every axis, or for each."""
        pairs = (part.split(":") for part in text.split("x"))
        return tuple((self.number(p[0], "pad", character), self.number(p[-1], "pad", character)) for p in pairs)

    def span(self, text: str, character: int) -> tuple[int, int]:
        """The first channel, and the one behind the last."""
        ends = text.split(":")
        if len(ends) != 2 or "x" in text:
            raise wrong(self.place, f"{text!r} is no span of channels; write slice0:32", character=character)
        return self.number(ends[0], "pad", character), self.number(ends[1], "last channel", character)

    def factor(self, text: str, character: int) -> Ratio:
        """A factor with decimals within reason."""
        if len(text) > LONGEST_FACTOR or not LEAST_FACTOR <= float(text) <= MAXIMUM_KERNEL:
            raise wrong(self.place, f"factor {text[:20]} makes no sense; write up1.5", character=character)
        return ratio(text)

    def number(self, digits: str, what: str, character: int) -> int:
        """A number within reason."""
        if ":" in digits:
            raise wrong(
                self.place, f"{digits!r} is no {what}; only a padding has a begin and an end", character=character
            )
        limit = MAXIMUM_KERNEL if what == "kernel" else MAXIMUM_NUMBER
        value = int(digits) if len(digits) < 12 else limit + 1
        said = WORDS.get(what, what)
        if value > limit:
            raise wrong(self.place, f"{said} {digits[:20]} is beyond {limit:,}", character=character)
        if value == 0 and what not in ("pad", "output_padding"):
            raise wrong(self.place, f"{said} 0 makes no sense; it must be at least 1", character=character)
        return value

    def layer(self) -> Layer:
        """The layer, refusing a word that leaves out what its kind cannot do without."""
        kind = KINDS[self.kind]
        for need in kind.needs:
            if not any(what in self.fields or self.fields.get("unknown") == what for what in need.split("|")):
                missing = " or ".join(
                    {"kernel": "a kernel"}.get(what, WORDS.get(what, what)) for what in need.split("|")
                )
                example = kind.example
                if need == "channels" and "unknown" not in self.fields:  # what was written, and them
                    example = format_layer(Layer(self.kind, **{**self.fields, "channels": SOME_CHANNELS}))
                raise wrong(self.place, f"{self.kind} needs {missing}, for instance {example}")
        return Layer(self.kind, **self.fields, place=self.place)


# --- writing


def format_layer(layer: Layer) -> str:
    """One layer as a word.

    >>> format_layer(Layer("conv", (7,), 64, (2,), ((2, 3),), bias=False))
    'conv7-64/2p2:3-b'
    """
    if layer.kind == "input":
        return f"{Shape(layer.channels or 0, layer.wanted)}{marked('#', layer.name)}"
    pad = "?" if layer.unknown == "pad" else format_pads(layer.pad)
    is_head = layer.kind in ("pad", "crop")  # the padding is what they are
    parts = (
        layer.kind,
        pad if is_head else head_text(layer),
        marked("w", numbers(layer, "window")),
        marked(":", layer.reference),
        marked(":", layer.values),
        marked("-", layer.channels),
        marked("/", numbers(layer, "stride")),
        marked("p", "" if is_head else pad),
        marked("d", numbers(layer, "dilation")),
        marked("g", layer.groups),
        marked("o", numbers(layer, "output_padding")),
        marked("=", numbers(layer, "wanted")),
        marked("m", layer.multiplier),
        "ceil" * layer.ceil,
        marked("i", layer.inputs),
        signed(layer.bias, "b"),
        signed(layer.bn, "bn"),
        marked("#", layer.name),
    )
    return "".join(parts)


def head_text(layer: Layer) -> str:
    """The numbers right behind the kind.

    >>> head_text(Layer("up", factor=((3, 2), (2, 1)))), head_text(Layer("slice", span=(0, 32)))
    ('1.5x2.0', '0:32')
    """
    if layer.span:
        return f"{layer.span[0]}:{layer.span[1]}"
    return "x".join(repr(up / down) for up, down in layer.factor) or numbers(layer, "kernel")


def numbers(layer: Layer, what: str) -> str:
    """A field with numbers per axis, or `?` where it is the unknown."""
    return "?" if layer.unknown == what else "x".join(map(str, getattr(layer, what)))


def format_pads(pad: Padding | None) -> str:
    """A padding as the notation writes it.

    >>> format_pads(((0, 1), (2, 2))), format_pads("h"), format_pads(None)
    ('0:1x2', 'h', '')
    """
    if pad is None or isinstance(pad, str):
        return pad or ""
    return "x".join(str(begin) if begin == end else f"{begin}:{end}" for begin, end in pad)


def marked(mark: str, value: str | int | None) -> str:
    """The mark and the value, or nothing where there is none."""
    return "" if value in (None, "") else f"{mark}{value}"


def signed(value: bool | None, what: str) -> str:
    """+what, -what, or nothing where it was not said."""
    return "" if value is None else f"{'+' if value else '-'}{what}"
