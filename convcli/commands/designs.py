"""What `shapes` and `flops` are given: one or two designs, from words, a file or a printout, and their rules."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.networks.costs import ITEM_SIZES, Convention, parse_counted
from convcli.networks.network import Network, Place, Shape
from convcli.networks.notation import parse, parse_shape
from convcli.networks.rules import FRAMEWORKS, Rules, Settings, parse_framework
from convcli.networks.told.tables import Listing
from convcli.networks.trace import Trace, trace
from convcli.networks.words import parse_padding
from convcli.options.declare import Argument, Option, Options
from convcli.streams import STREAM, read_input

if TYPE_CHECKING:
    from convcli.commands.models import GivenModel
    from convcli.networks.readers.toml import Design

SIZE = r"[(\[]?[0-9]+(?:\s*[x×,]\s*[0-9]+){2,3}[)\]]?|[0-9]{2,}\s*[x×,]\s*[0-9]{2,}"
"""A size with no @ in it: 3x224x224, (3, 224, 224), 224x224; a kernel is smaller."""
MOST_COLOURS = 4
ONE_PART = "the forward of {} is taken to run its one part, once and alone"
KNOWN_CLASSES = "the forward of {} is taken from torchvision and timm, whose classes have these parts"
NAMED = 6
"""Classes that a note names; the others are counted."""
BLANKS = str.maketrans("\t\r\n", "   ")
"""A quoted design may run over several lines; characters keep their places."""


def layer_words() -> Iterable[str]:
    """A layer of each kind, as an example; `vs` stands between two designs."""
    from convcli.networks.layers import KINDS

    return (*(kind.example for kind in KINDS.values()), "vs")


Words = Annotated[
    list[str] | None,
    Argument(
        metavar="INPUT LAYER...",
        words=layer_words,
        paths="file",
        help="channels@size, then a word for each layer, or a model (.onnx, .pt2); A vs B compares two designs.",
    ),
]


class DesignOptions(Options):
    """Where the layers come from, and what holds for every convolution."""

    file: Annotated[
        str,
        Option(
            "--file",
            metavar="FILE",
            paths="file",
            daily=True,
            help="Read the network from a text or TOML file; - is stdin.",
        ),
    ] = ""
    source: Annotated[
        str,
        Option(
            "--from",
            metavar="torch",
            words=lambda: ("torch",),
            daily=True,
            help="torch: the word behind INPUT is a file (or -) with a printed model.",
        ),
    ] = ""
    assume_order: Annotated[
        bool, Option("--assume-order", help="Take a printed model in the order printed, and mark all answers.")
    ] = False
    framework: Annotated[
        str,
        Option(
            metavar="torch|tf",
            words=lambda: FRAMEWORKS,
            daily=True,
            help="Whose rules hold for SAME, ceil and transposed sizes.",
        ),
    ] = ""
    no_bias: Annotated[bool, Option("--no-bias", help="Convolutions have no bias unless they say +b.")] = False
    bn: Annotated[bool, Option("--bn", help="Convolutions are normalised unless they say -bn.")] = False
    pad: Annotated[str, Option(metavar="P", help="Padding of convolutions that say none: 1, 0:1, h, s, l, f.")] = ""
    sizes: Annotated[
        list[str] | None,
        Option(
            "--input", metavar="NAME=SIZE", daily=True, help="Size of an input that a model leaves open: x=1x3x224x224."
        ),
    ] = None
    upto: Annotated[str, Option("--upto", metavar="NODE", help="Only what this node of a model file needs.")] = ""
    depth: Annotated[int, Option("--depth", min=0, help="Add up a model file by modules, so many levels deep.")] = 0
    group: Annotated[
        str,
        Option(
            "--group",
            metavar="scope|kind|NAME",
            words=lambda: ("scope", "kind"),
            help="Add up by module or by kind of layer; or only what is in a module: layer1.0.",
        ),
    ] = ""
    batch: Annotated[int, Option(min=1, help="Images at once.")] = 1
    dtype: Annotated[str, Option(metavar="fp32|fp16|int8", words=lambda: ITEM_SIZES, help="Numbers in memory.")] = (
        "fp32"
    )

    def settings(self) -> Settings:
        """What the options say of every convolution."""
        return Settings(
            bias=False if self.no_bias else None,
            bn=True if self.bn else None,
            pad=parse_padding(self.pad, Place(text="--pad")) if self.pad else None,
            framework=parse_framework(self.framework) if self.framework else None,
        )

    def convention(self, counted: str = "") -> Convention:
        """How things are counted."""
        if self.dtype not in ITEM_SIZES:
            raise UsageError(f"{self.dtype!r} is not known; use {', '.join(ITEM_SIZES)}", "dtype", where="--dtype")
        return Convention(parse_counted(counted), self.batch, self.dtype)


class TableOptions(Options):
    """How answers are printed."""

    explain: Annotated[bool, Option("--explain", daily=True, help="Write the formulas with the numbers filled in.")] = (
        False
    )
    all_: Annotated[bool, Option("--all", help="Every layer, repeated ones too.")] = False
    json: Annotated[bool, Option("--json", daily=True, help="Print JSON.")] = False
    csv: Annotated[bool, Option("--csv", daily=True, help="Print comma-separated values.")] = False
    markdown: Annotated[bool, Option("--markdown", help="Print a Markdown table.")] = False
    emit: Annotated[
        str,
        Option(
            alone="text",
            choices=("text", "toml"),
            metavar="text|toml",
            help="Write the network in the layer notation, which --file reads: text (by default) or toml.",
        ),
    ] = ""


class Given(NamedTuple):
    """One design on its input. `source` is the file it came from; `expect` what that file says it costs.

    `is_assumed` says that the order of a printed model was asked for, and may be wrong.
    """

    network: Network
    input: Shape
    rules: Rules
    source: str = ""
    notes: tuple[str, ...] = ()
    expect: Mapping[str, object] = MappingProxyType({})
    is_assumed: bool = False

    def trace(self) -> Trace:
        """The design at work."""
        if 0 in self.input.spatial:
            raise UsageError("an unknown input size needs --want SIZE", "shape", where=str(self.input))
        with errors_in(self.source):
            return trace(self.network, self.input, self.rules)

    def listing(self, convention: Convention, table: TableOptions) -> Listing:
        """What it comes to, with repeated blocks folded unless all is asked for."""
        folded, assumed = not table.all_, self.is_assumed
        return Listing(self.trace(), convention, self.notes, fold=folded, is_assumed=assumed)


@contextmanager
def errors_in(source: str) -> Iterator[None]:
    """Errors inside name the file that they are in, if there is one."""
    try:
        yield
    except ConvError as error:
        raise in_file(error, source) from None


def in_file(error: ConvError, source: str) -> ConvError:
    """An error with the file in which it is."""
    if not source or error.where == source:
        return error
    word = f"{shortened(error.where)!r}: " if error.where else ""
    kind = UsageError if isinstance(error, UsageError) else ConvError
    return kind(f"{word}{error.message}", error.code, where=source)


def shortened(text: str) -> str:
    """
    >>> shortened("Conv2d(3, 64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2))")
    'Conv2d(3, 64, kernel_size=(11, 11), s...'
    """
    return text if len(text) <= 40 else f"{text[:37]}..."


def read_designs(words: list[str] | None, options: DesignOptions) -> "list[Given | GivenModel]":
    """One design, or two with `vs` between them."""
    tokens = " ".join(words or []).translate(BLANKS).split(" ")
    places = [i for i, token in enumerate(tokens) if token.lower() == "vs"]
    if len(places) > 1:
        raise UsageError("compares two designs; write A vs B", where="vs")
    texts = [tokens[: places[0]], tokens[places[0] + 1 :]] if places else [tokens]
    shape, first = taken_input(texts[0])
    one = first_design(shape, " ".join(first).strip(), options)
    other = " ".join(texts[-1]).strip()
    if not places:
        both = [one]
    elif not other:
        raise UsageError("needs a design on both sides: A vs B", where="vs")
    elif is_model(other):
        both = [one, given_model(other, shape, options)]
    else:
        both = [one, second_design(texts[-1], one.input, options)]
    if all(isinstance(each, Given) for each in both):
        check_no_model_options(options)
    return both


def second_design(tokens: list[str], shape: Shape, options: DesignOptions) -> Given:
    """The design behind vs, on the same input unless it has one of its own."""
    own, layers = taken_input(tokens)
    if not any(layers):
        raise UsageError("no layers behind the input; write some, such as conv3-64p1", "layer", where="vs")
    return Given(parse(" ".join(layers)), own or shape, options.settings().rules())


def check_no_model_options(options: DesignOptions) -> None:
    """Refuse what only models have."""
    given = {"--input": options.sizes, "--upto": options.upto, "--depth": options.depth, "--group": options.group}
    for name in [name for name, value in given.items() if value]:
        raise UsageError("is for a model file; in words the input comes first: 3@224x224", where=name)


def is_model(text: str) -> bool:
    """True for the name of a file that holds a model, or is called so; - is one on standard input."""
    if text == STREAM or text.lower().endswith((".onnx", ".pt2")):
        return True
    if " " in text or not os.path.isfile(text):  # noqa: PTH113 -- pathlib takes 5 ms to import
        return False
    from convcli.networks import models

    with open(text, "rb") as stream:  # noqa: PTH123
        return models.is_model(stream.read(models.HEAD))


def given_model(path: str, shape: Shape | None, options: DesignOptions) -> "GivenModel":
    """The model in a file."""
    from convcli.commands.models import read_given_model

    return read_given_model(path, shape, options)


def taken_input(tokens: list[str]) -> tuple[Shape | None, list[str]]:
    """The input, if the first word is one, and the words behind it."""
    present = [token for token in tokens if token]
    if present and ("@" in present[0] or (present[0].isascii() and present[0].isdecimal())):
        return parse_shape(present[0]), tokens[tokens.index(present[0]) + 1 :]
    return None, tokens


def first_design(shape: Shape | None, text: str, options: DesignOptions) -> "Given | GivenModel":
    """The design from a printout, a file, a model, or the words themselves."""
    if options.source:
        return from_printout(shape, text, options)
    if options.assume_order:
        raise UsageError("is about a printed model; it goes with --from torch", where="--assume-order")
    if options.file:
        is_named = options.file != STREAM and is_model(options.file)
        return given_model(options.file, shape, options) if is_named else from_file(shape, text, options)
    if text and is_model(text):
        return given_model(text, shape, options)
    if shape is None:
        if size := re.match(SIZE, text):
            raise UsageError(f"channels stand before an @: {size_meant(size[0])}", "shape", where=size[0])
        raise UsageError(
            "the input comes first, as channels@size: 3@224x224 conv7-64/2p3",
            "shape",
            where=text.partition(" ")[0] or None,
        )
    if not text:
        raise UsageError(
            "no layers behind the input; write some, such as conv3-64p1, or give --file", "layer", where=str(shape)
        )
    return Given(parse(text), shape, options.settings().rules())


def size_meant(text: str) -> str:
    """A size as other tools write it, as an input here.

    >>> size_meant("3x224x224"), size_meant("(224, 224, 3)"), size_meant("1x3x224x224"), size_meant("224x224")
    ('3@224x224', '3@224x224', '3@224x224', '3@224x224 (colour), 1@224x224 (grey)')
    """
    sizes = re.findall(r"\d+", text)
    if len(sizes) == 2:
        size = "x".join(sizes)
        return f"3@{size} (colour), 1@{size} (grey)"
    batch, sizes = (sizes[0], sizes[1:]) if len(sizes) == 4 else ("1", sizes)
    first, last = int(sizes[0]), int(sizes[-1])
    channels, *space = [sizes[-1], *sizes[:-1]] if last <= MOST_COLOURS < first else sizes
    return f"{channels}@{'x'.join(space)}" + (f" with --batch {batch}" if batch != "1" else "")


def from_file(shape: Shape | None, text: str, options: DesignOptions) -> Given:
    """The design of --file; an input or an option on the command line counts more than the file's."""
    if text:
        raise UsageError("the layers come from --file; leave these out, or write vs before them", where=shortened(text))
    with errors_in(options.file):
        design = design_of(options.file)
    used = shape or design.input
    if used is None:
        raise UsageError("says no input; add one: input 3@224x224", "shape", where=options.file)
    said = options.settings()
    is_as_written = used == design.input and said == Settings() and options.batch == 1
    rules = said.over(design.settings).rules()
    return Given(design.network, used, rules, options.file, expect=design.expect if is_as_written else {})


def design_of(path: str) -> "Design":
    """The design in a file."""
    from convcli.networks.readers.toml import looks_like_toml, read_design

    text = read_text(path)
    return read_design(text, toml=path.endswith(".toml") or (path == "-" and looks_like_toml(text)))


def from_printout(shape: Shape | None, path: str, options: DesignOptions) -> Given:
    """The design of a printed model, which says biases, normalisations and paddings itself."""
    from convcli.networks.readers.torch_printout import read_printout

    if options.source != "torch":
        raise UsageError(f"{options.source!r} is not known; use --from torch", where="--from")
    if shape is None or not path:
        raise UsageError(
            "needs the input and a file: 3@224x224 --from torch model.txt, or - for standard input", where="--from"
        )
    if options.no_bias or options.bn or options.pad or options.file:
        raise UsageError("a printout says everything itself; drop --no-bias, --bn, --pad and --file", where="--from")
    with errors_in(path):
        printout = read_printout(read_text(path), assume_order=options.assume_order)
    notes = (*one_note(ONE_PART, printout.wrapper), *one_note(KNOWN_CLASSES, *printout.classes))
    rules = options.settings().rules()
    return Given(printout.network, shape, rules, path, notes, is_assumed=printout.is_assumed)


def one_note(text: str, *classes: str) -> tuple[str, ...]:
    """What was taken for granted of some classes, if there are any.

    >>> one_note("of {}", "A", "B"), one_note("of {}", ""), one_note("of {}", *"ABCDEFGH")
    (('of A, B',), (), ('of A, B, C, D, E, F and 2 more',))
    """
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    return (text.format(", ".join(classes[:NAMED]) + more),) if any(classes) else ()


def read_text(path: str) -> str:
    """The text of a file, or of standard input."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("is no text; a network file holds words such as conv3-64", "layer", where=path) from None


def read_bytes(path: str) -> bytes:
    """All of a file, or of standard input."""
    if path == STREAM:
        return read_input()
    if "://" in path:
        return read_address(path)
    with open(path, "rb") as stream:  # noqa: PTH123 -- pathlib takes 5 ms to import
        return stream.read()


def read_address(name: str) -> bytes:
    """All of the file or object that a URL names."""
    from pathlib import Path

    from convcli.stores.apart import fetched
    from convcli.stores.names import is_remote, local_name

    return fetched(name) if is_remote(name) else Path(local_name(name)).read_bytes()
