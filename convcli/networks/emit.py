"""A network as a file of the notation, which reads back as it was."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from convcli.networks.network import Network, Shape
from convcli.networks.notation import format_network
from convcli.networks.rules import Rules
from convcli.networks.words import format_pads

WIDTH = 110
"""Characters of a line; a word is never broken."""

Blocks = Mapping[str, Sequence[str]]
Expect = Mapping[str, object]


def design_text(network: Network, shape: Shape, rules: Rules, *, toml: bool) -> str:
    """A design in words, with its input and what holds for every convolution.

    >>> from convcli.networks.notation import parse
    >>> print(design_text(parse("2*conv3-8"), Shape(3, (8, 8)), Rules(bias=False), toml=False), end="")
    input 3@8x8
    options --no-bias
    2*conv3-8
    """
    words = format_network(network).split()
    return (toml_file if toml else text_file)(shape, words, {}, {}, list(options_of(rules)))


def options_of(rules: Rules) -> Iterator[str]:
    """What differs from the rules that hold where a file says nothing."""
    if not rules.bias:
        yield "--no-bias"
    if rules.bn:
        yield "--bn"
    if rules.pad != Rules().pad:
        yield f"--pad {rules.pad if isinstance(rules.pad, str) else format_pads(rules.pad)}"
    if rules.framework:
        yield f"--framework {rules.framework}"


def text_file(shape: Shape, words: Sequence[str], blocks: Blocks, expect: Expect, options: Sequence[str] = ()) -> str:
    """A text file; a block is one line."""
    lines = [f"input {shape}", *([f"options {' '.join(options)}"] if options else [])]
    lines += [f"{name} = {' '.join(block)}" for name, block in blocks.items()]
    lines += [*wrapped(words), *(f"expect {key} = {value}" for key, value in expect.items())]
    return "\n".join(lines) + "\n"


def toml_file(shape: Shape, words: Sequence[str], blocks: Blocks, expect: Expect, options: Sequence[str] = ()) -> str:
    """A TOML file."""
    lines = [f'input = "{shape}"', *([f'options = "{" ".join(options)}"'] if options else [])]
    lines += ['layers = """', *wrapped(words), '"""']
    if blocks:
        lines += ["", "[blocks]"]
        for name, block in blocks.items():
            lines += [f'{name} = """', *wrapped(block), '"""']
    if expect:
        told = (f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in expect.items())
        lines += ["", "[expect]", *told]
    return "\n".join(lines) + "\n"


def wrapped(words: Sequence[str]) -> list[str]:
    """Words in lines of a readable length."""
    return textwrap.wrap(" ".join(words), WIDTH, break_long_words=False, break_on_hyphens=False)
