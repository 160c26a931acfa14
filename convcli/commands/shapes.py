"""`convcli shapes`: output sizes and receptive fields, without any image."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from convcli.commands.designs import DesignOptions, Given, TableOptions, Words, read_designs
from convcli.commands.pictures import LayerPictureOptions, check_alone, draw_layers
from convcli.commands.printing import View, check_expected, emit, print_designs
from convcli.errors import UsageError
from convcli.networks.told.tables import Listing
from convcli.options.declare import Option
from convcli.tables import Table

if TYPE_CHECKING:
    from convcli.commands.models import GivenModel

Want = Annotated[
    str, Option("--want", metavar="SIZE", daily=True, help="Solve for the ? of a layer or the input: 112x112.")
]
Inputs = Annotated[bool, Option("--inputs", daily=True, help="List the input sizes that drop no column.")]


def shapes(
    design: DesignOptions,
    table: TableOptions,
    picture: LayerPictureOptions,
    words: Words = None,
    want: Want = "",
    inputs: Inputs = False,
) -> None:
    """Say what size every layer makes, what it pads and drops, and how far it sees.

    Layers are words: conv7-64/2p3 is a 7x7 convolution to 64 channels, stride 2, padding 3. Kinds: conv, tconv, dw,
    pw, sep, attn8 (8 heads), max, avg, gap, fc, up (up1.5), bilinear, shuffle, unshuffle, cshuffle (of channels),
    slice0:32 (of channels), tokens, pad, crop, bn, gn, in, ln, relu, id. Behind the kind: 3 or 3x5 kernel, -64
    channels, /2 stride, p1 padding (0:1 begin:end, h half, s SAME, f full, c causal, ? solve), d2 dilation, g2
    groups, o1 output padding, =16 wanted size, m2 multiplier, ceil, i64 expected input channels, +b -b bias, +bn
    -bn normalisation, #name.

    as:N remembers; from:N goes on from it, cat:N, add:N and mul:N join it; again:NAME runs the layer #NAME once
    more, with its weights; attend8:K:V (w7x7: in windows) looks at keys and values. 1@64x64 is another input. 5*( a
    b ) repeats, '[ a | b ]' concatenates, '{ a | id }' adds. Also read: '3x3 conv, 64, /2', 'Conv2d(3, 64, 7)'.

    Examples:
        convcli shapes 3@224x224 conv7-64/2p3 max3/2p1
        convcli shapes 1@32x64x64 conv3-8p1 max2/2 --explain
        convcli shapes 3@224x224 'conv7-64/2p?' --want 112x112
        convcli shapes 3@225x225 conv3-8/2p1 max2/2 --inputs
        convcli shapes 64@56x56 conv3-64p1 vs conv3-64p2d2
        convcli shapes 3@64x64 conv3-8/2p1 as:1 conv3-8/2p1 as:2 up2 add:1 conv3-4p1 from:2 conv3-4p1
        convcli shapes 1@5x5 conv3-1/2p1 --draw layer.svg --draw-values
        convcli shapes 1@15x15 3*conv3-1d2 --draw field.html --at 1,1
        convcli shapes --file network.toml --csv
        convcli shapes 3@32x32 --from torch model.txt
    """
    check_alone(picture)
    if picture.draw and (table.emit or want or inputs):
        other = "--emit" if table.emit else "--want" if want else "--inputs"
        raise UsageError(f"draws a design that is complete; drop {other}, or --draw", where="--draw")
    given = read_designs(words, design)
    if table.emit:
        emit(given, table)
        return
    if (want or inputs) and is_answered(given, want, table):
        return
    if picture.draw:  # before anything is printed: a picture that cannot be is an error and nothing else
        draw_layers(given, picture)
    listings = [each.listing(design.convention(), table) for each in given]
    print_designs(listings, View(tabled, explained), table)
    check_expected(given, listings)


def tabled(listing: Listing, title: str) -> Table:
    """Sizes and receptive fields."""
    return listing.shape_table(title)


def explained(listing: Listing) -> Iterator[str]:
    """The formulas of every layer, filled in."""
    from convcli.networks.explain import explain_shapes

    return explain_shapes(listing.trace)


def is_answered(given: Sequence["Given | GivenModel"], want: str, table: TableOptions) -> bool:
    """Print the answers to --want or --inputs; False where --want was only a check."""
    from convcli.commands.solving import print_answers, print_sizes

    return print_answers(given, want, table) if want else print_sizes(given, table)
