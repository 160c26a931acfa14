"""The layer notation: `parse` reads it, `format_network` writes it, and parse(format_network(net)) == net.

    net  = { [ INT ("*" | "x") ] unit }
    unit = word | "(" net ")" | "[" net "|" net ... "]" (concatenate) | "{" net "|" net ... "}" (add)

A word is one layer (see `words`), the name of a block, or one of the short forms people write, `Conv2d(3, 64, 7)` and
`3x3 conv, 64, /2`, whose readers are imported only then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from convcli.errors import UsageError
from convcli.networks.network import MAXIMUM_LAYERS, Branches, Layer, Network, Place, Repeat, Shape, Unit, wrong
from convcli.networks.words import MAXIMUM_NUMBER, format_layer, parse_word

MAXIMUM_DEPTH = 50

TOKEN = re.compile(
    r"\s*(?:(?P<times>\d+)(?:\s*\*|x(?=\s*[A-Za-z(\[{]))|(?P<bracket>[()\[\]{}|])|(?P<word>[^\s()\[\]{}|]+))", re.ASCII
)
CALL = re.compile(r"[A-Za-z_][\w.]*\(", re.ASCII)
BARE = frozenset(("conv", "max", "avg", "average", "global", "fc", "depthwise", "transposed", "separable"))
"""Words that are no layer alone, but start a phrase: `max pool, /2`."""

JOINS: dict[str, tuple[Literal["concat", "add"], str]] = {"[": ("concat", "]"), "{": ("add", "}")}


def parse(text: str, blocks: Mapping[str, Network] | None = None, *, line: int = 0, block: str = "") -> Network:
    """A network from its notation; `blocks` are names that stand for networks.

    Errors name the block and, where the text is from a file and starts on a `line`, the line.

    >>> format_network(parse("2*conv3-64 [ id|max3/1p1 ]"))
    '2*conv3-64 [ id | max3/1p1 ]'
    """
    parser = Parser(text.replace("×", "x"), blocks or {}, line, block)
    network = parser.network()
    if parser.bracket:
        raise parser.error(f"{parser.bracket!r} closes nothing that is open; remove it")
    return network


def parse_shape(text: str) -> Shape:
    """The input of a network: channels@size, `?` for an unknown size; a single number is a vector.

    >>> parse_shape("3@224x224"), parse_shape("3@?x?"), parse_shape("784")
    (Shape(channels=3, spatial=(224, 224)), Shape(channels=3, spatial=(0, 0)), Shape(channels=784, spatial=()))
    """
    found = re.fullmatch(r"(\d{1,8})(?:@((?:\d{1,8}|\?)(?:x(?:\d{1,8}|\?)){0,2}))?", text.replace("×", "x"), re.ASCII)
    if not found:
        raise UsageError("is no input; write channels@size, for instance 3@224x224", "shape", where=text)
    sizes = found[2].split("x") if found[2] else []
    numbers = [int(found[1]), *(int(size) for size in sizes if size != "?")]
    if not 0 < min(numbers) <= max(numbers) <= MAXIMUM_NUMBER:
        raise UsageError(f"every number must be from 1 to {MAXIMUM_NUMBER:,}", "shape", where=text)
    return Shape(numbers[0], tuple(0 if size == "?" else int(size) for size in sizes))


class Parser:
    """A recursive descent over one text, holding one token: a repetition, a bracket, a word, or (all empty) the end."""

    def __init__(self, text: str, blocks: Mapping[str, Network], line: int, block: str) -> None:
        self.text = text
        self.blocks = blocks
        self.line = line
        self.block = block
        self.start = self.end = self.number = self.depth = 0
        self.breaks = 0  # line breaks before the token
        self.times = self.bracket = self.word = ""
        self.advance()

    def advance(self) -> None:
        """Move to the next token."""
        found = TOKEN.match(self.text, self.end)
        if found is None:
            self.times = self.bracket = self.word = ""
            self.breaks += self.text.count("\n", self.start)
            self.start = self.end = len(self.text)
            return
        self.times, self.bracket, self.word = (found[kind] or "" for kind in ("times", "bracket", "word"))
        start, self.end = found.start(found.lastgroup or 0), found.end()
        self.breaks += self.text.count("\n", self.start, start)
        self.start = start

    @property
    def place(self) -> Place:
        """Where the current token stands."""
        line = self.line + self.breaks if self.line else 0
        return Place(self.number, self.text[self.start : self.end], line, self.block)

    @property
    def opens(self) -> bool:
        """True where a unit starts."""
        return bool(self.word) or self.bracket in ("(", "[", "{")

    def error(self, message: str) -> UsageError:
        """An error of the structure, by its position in the whole text."""
        line = f"line {self.place.line}, " if self.line else ""
        block = f"block {self.block!r}, " if self.block else ""
        return UsageError(f"{block}{line}after layer {self.number}, character {self.start + 1}: {message}", "layer")

    def network(self) -> Network:
        """net = { [ INT "*" ] unit }"""
        units: list[Unit] = []
        while self.times or self.opens:
            units += [self.repeated()] if self.times else self.unit()
        return Network(tuple(units))

    def repeated(self) -> Repeat:
        """INT "*" unit"""
        digits = self.times
        if not 0 < int(digits[:9]) <= MAXIMUM_NUMBER or len(digits) > 9:
            raise self.error(f"{digits[:20]} repetitions make no sense; use 1 or more, not millions")
        self.advance()
        if not self.opens:
            raise self.error("a repetition needs a layer or a bracket behind it: 2*conv3-64, 5*( dw3ps pw-64 )")
        if self.bracket == "(":
            return Repeat(int(digits), self.group())
        return Repeat(int(digits), Network(tuple(self.unit())))

    def unit(self) -> list[Unit]:
        """A word, a group, or branches; the name of a block stands for several units."""
        if self.bracket == "(":
            return [Repeat(1, self.group())]
        return [self.branches()] if self.bracket else self.layers()

    def group(self) -> Network:
        """( net )"""
        (body,) = self.bracketed(")")
        if not body.units:
            raise self.error("( ) has no layers; write id for none")
        return body

    def branches(self) -> Branches:
        """[ net | net ] or { net | net }"""
        opening, first = self.place, self.number + 1
        join, closing = JOINS[self.bracket]
        parts = self.bracketed(closing)
        if len(parts) < 2:
            raise self.error(f"{opening.text} {closing} has one branch; write '| id' for a shortcut, or ( ) to group")
        if not all(part.units for part in parts):
            raise self.error(f"{opening.text} {closing} has an empty branch; write id for a plain shortcut")
        place = opening._replace(first=first, number=self.number, text=f"{opening.text} | {closing}")
        return Branches(join, parts, place)

    def bracketed(self, closing: str) -> tuple[Network, ...]:
        """The networks up to a closing bracket, divided by bars."""
        opening, start = self.bracket, self.start + 1
        self.depth += 1
        if self.depth > MAXIMUM_DEPTH:
            raise self.error(f"more than {MAXIMUM_DEPTH} brackets inside each other; name blocks in a file instead")
        self.advance()
        parts = [self.network()]
        while self.bracket == "|" and closing != ")":
            self.advance()
            parts.append(self.network())
        if self.bracket != closing:
            found = repr(self.bracket) if self.bracket else "the end"
            raise self.error(f"the {opening!r} of character {start} must be closed by {closing!r}, not by {found}")
        self.depth -= 1
        self.advance()
        return tuple(parts)

    def layers(self) -> list[Unit]:
        """What the current word stands for."""
        self.number += 1
        if self.number > MAXIMUM_LAYERS:
            raise self.error(f"more than {MAXIMUM_LAYERS:,} layers; repeat with 2*( ), or leave some out")
        if self.word in self.blocks:
            units: list[Unit] = list(self.blocks[self.word].units)
        elif "@" in self.word:
            units = [input_word(self.word, self.place)]
        elif CALL.match(self.text, self.start) or not is_plain(self.word):
            units = self.short_form()
        else:
            units = [parse_word(self.word, self.place, self.blocks)]
        self.advance()
        return units

    def short_form(self) -> list[Unit]:
        """`Conv2d(3, 64, 7)` or `3x3 conv, 64, /2`."""
        from convcli.networks.shortforms import read_call, read_phrase

        read = read_call if CALL.match(self.text, self.start) else read_phrase
        layers, self.end = read(self.text, self.start, self.place)
        place = self.place  # now it spans the whole form
        return [layer._replace(place=place) for layer in layers]


def input_word(word: str, place: Place) -> Layer:
    """Another input: channels@size, perhaps with a #name behind.

    >>> input_word("1@64x64#depth", Place()).wanted
    (64, 64)
    """
    text, _, name = word.partition("#")
    try:
        shape = parse_shape(text)
    except UsageError as error:
        raise wrong(place, error.message, character=1) from None
    if 0 in shape.spatial or not (name or "#" not in word):
        raise wrong(place, "another input has numbers for its sizes, for instance 1@64x64#depth", character=1)
    return Layer("input", channels=shape.channels, wanted=shape.spatial, name=name, place=place)


def is_plain(word: str) -> bool:
    """True for a word of the notation; a phrase starts with a digit or a bare name.

    >>> is_plain("conv3-64"), is_plain("3x3"), is_plain("conv,")
    (True, False, False)
    """
    return word[0].isalpha() and word.rstrip(",").lower() not in BARE


# --- writing


def format_network(network: Network) -> str:
    """A network in the notation.

    >>> format_network(Network((Repeat(2, Network((Layer("relu"), Layer("id")))),)))
    '2*( relu id )'
    """
    return " ".join(map(format_unit, network.units))


def format_unit(unit: Unit) -> str:
    """A layer, a repetition, or branches."""
    if isinstance(unit, Layer):
        return format_layer(unit)
    if isinstance(unit, Branches):
        opening, closing = ("[", "]") if unit.join == "concat" else ("{", "}")
        return f"{opening} {' | '.join(map(format_network, unit.branches))} {closing}"
    body = format_network(unit.body)
    if len(unit.body.units) == 1 and unit.times > 1 and not isinstance(unit.body.units[0], Repeat):
        return f"{unit.times}*{body}"
    return f"{unit.times}*( {body} )" if unit.times > 1 else f"( {body} )"
