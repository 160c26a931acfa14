"""Networks in files: text, or TOML with settings, named blocks, and what the design is expected to cost.

A text file holds the notation, one or more layers a line; `#` behind a space starts a comment. Besides:

    input 3@224x224
    options --no-bias --bn
    basic64 = { conv3-64p1 conv3-64p1 | id }     a block; its name then stands for the layers
    expect macs = 1814073344

A TOML file has the same under `input`, `options` (or `bias`, `bn`, `pad`, `framework`), `layers` (a text or a list of
texts), `[blocks]` and `[expect]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from convcli.errors import UsageError
from convcli.networks.layers import KINDS
from convcli.networks.network import MAXIMUM_LAYERS, Network, Place, Shape
from convcli.networks.notation import parse, parse_shape
from convcli.networks.rules import Settings, parse_framework
from convcli.networks.words import ALIASES, parse_padding, parse_word

KEYS = "name input layers options bias bn pad framework blocks expect description source note".split()

DIRECTIVE = re.compile(
    r"\s*(?:(?P<what>input|options)\b(?:\s*=)?|expect\s+(?P<expect>\w+)\s*="
    r"|(?P<block>[A-Za-z][\w-]*)\s+=(?=\s))\s*(?P<rest>.*)",
    re.ASCII,
)
COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


NOTHING_SAID = Settings()


class Design(NamedTuple):
    """A network with all that its file says."""

    network: Network
    input: Shape | None = None
    settings: Settings = NOTHING_SAID
    expect: Mapping[str, object] = MappingProxyType({})
    name: str = ""


def read_design(text: str, *, toml: bool) -> Design:
    """A design from the text of a file.

    >>> read_design("input 1@8x8\\nconv3-4  # a comment\\n2*relu", toml=False).network.size()
    3
    """
    return read_toml(text) if toml else read_text(text)


def looks_like_toml(text: str) -> bool:
    """True where a text without a file name is TOML.

    >>> looks_like_toml('layers = "conv3-64"'), looks_like_toml("conv3-64")
    (True, False)
    """
    return re.search(r"(?m)^\s*layers\s*=", text) is not None


# --- text


def read_text(text: str) -> Design:
    """A design from a text file."""
    reading = TextFile()
    layers = "\n".join(reading.line(number, line) for number, line in enumerate(text.splitlines(), 1))
    first = next(iter(layers.split(maxsplit=1)), "")
    if "@" in first and reading.input is None:
        reading.input = parse_shape(first)
        layers = layers.replace(first, " " * len(first), 1)
    return Design(parse(layers, reading.blocks, line=1), reading.input, reading.settings, reading.expect)


class TextFile:
    """What the directives of a text file say."""

    def __init__(self) -> None:
        self.input: Shape | None = None
        self.settings = Settings()
        self.blocks: dict[str, Network] = {}
        self.expect: dict[str, object] = {}

    def line(self, number: int, line: str) -> str:
        """Keep a directive; return what is left, the layers of this line."""
        content = COMMENT.sub("", line).rstrip()
        found = DIRECTIVE.fullmatch(content)
        if not found:
            return content
        rest = found["rest"]
        if found["block"]:
            add_block(self.blocks, found["block"], rest, number)
        elif found["expect"]:
            self.expect[found["expect"]] = int(rest) if rest.isascii() and rest.isdecimal() else rest
        elif found["what"] == "input":
            self.input = parse_shape(rest)
        else:
            self.settings = parse_options(rest.split())
        return ""


def add_block(blocks: dict[str, Network], name: str, text: str, line: int = 0) -> None:
    """Keep a named block."""
    if reads_as_layer(name):
        raise UsageError(f"block {name!r} has the name of a layer; call it otherwise", "layer")
    block = parse(text, blocks, line=line, block=name)
    size = block.size()
    if not 0 < size <= MAXIMUM_LAYERS:  # blocks of blocks grow by powers
        wrong = f"more than {MAXIMUM_LAYERS:,} layers; repeat less" if size else "no layers; write id for none"
        raise UsageError(f"block {name!r} has {wrong}", "layer")
    blocks[name] = block


def reads_as_layer(name: str) -> bool:
    """True for a word that is a layer, or the kind of one.

    >>> reads_as_layer("max2"), reads_as_layer("conv"), reads_as_layer("basic")
    (True, True, False)
    """
    try:
        parse_word(name, Place())
    except UsageError:
        return name.lower() in KINDS or name.lower() in ALIASES
    return True


def parse_options(words: list[str]) -> Settings:
    """The options that a file may hold.

    >>> parse_options(["--no-bias", "--pad", "h"])
    Settings(bias=False, bn=None, pad='h', framework=None)
    """
    given = " ".join(words).replace("=", " ").split()
    settings = Settings()
    while given:
        option = given.pop(0)
        if option in FLAGS:
            settings = FLAGS[option].over(settings)
        elif option in ("--pad", "--framework") and given:
            settings = setting(option.removeprefix("--"), given.pop(0)).over(settings)
        else:
            raise UsageError(
                "is no option of a network; use --no-bias, --bn, --pad P or --framework torch|tf", where=option
            )
    return settings


FLAGS = {
    "--no-bias": Settings(bias=False),
    "--bias": Settings(bias=True),
    "--bn": Settings(bn=True),
    "--no-bn": Settings(bn=False),
}


def setting(what: str, value: object) -> Settings:
    """One setting by its name.

    >>> setting("pad", 1)
    Settings(bias=None, bn=None, pad=((1, 1),), framework=None)
    """
    if what == "pad":
        return Settings(pad=parse_padding(str(value), Place(text=str(value))))
    if what == "framework":
        return Settings(framework=parse_framework(str(value)))
    if not isinstance(value, bool):
        raise UsageError(f"{what} must be true or false, not {value!r}", "layer")
    return Settings(bias=value) if what == "bias" else Settings(bn=value)


# --- TOML


def read_toml(text: str) -> Design:
    """A design from a TOML file."""
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"is no TOML: {error}", "layer") from None
    except RecursionError:
        raise UsageError("is TOML with too many brackets inside each other to be a network", "layer") from None
    for key in data.keys() - set(KEYS):
        raise UsageError(f"unknown key {key!r}; known are {', '.join(KEYS)}", "layer")
    blocks: dict[str, Network] = {}
    for name, layers in table(data, "blocks").items():
        add_block(blocks, name, joined(layers, f"blocks.{name}"))
    settings = parse_options(str(data.get("options", "")).split())
    for what in ("bias", "bn", "pad", "framework"):
        if what in data:
            settings = setting(what, data[what]).over(settings)
    if "layers" not in data:
        raise UsageError('has no layers; write layers = "conv3-64 max2"', "layer")
    shape = parse_shape(str(data["input"])) if "input" in data else None
    network = parse(joined(data["layers"], "layers"), blocks)
    return Design(network, shape, settings, table(data, "expect"), str(data.get("name", "")))


def table(data: dict[str, Any], key: str) -> dict[str, Any]:
    """A table of a TOML file, empty where it has none."""
    found = data.get(key, {})
    if not isinstance(found, dict):
        raise UsageError(f"{key} must be a table: [{key}]", "layer")
    return found


def joined(layers: object, key: str) -> str:
    """Layers as one text, from a text or a list of texts."""
    lines = layers if isinstance(layers, list) else [layers]
    texts = [line for line in lines if isinstance(line, str)]
    if len(texts) < len(lines):
        raise UsageError(f"{key} must be a text, or a list of texts", "layer")
    return "\n".join(texts)
