"""The options that say where and what of an image is filtered."""

from typing import Annotated

from convcli.options.declare import Option, Options


class WhereOptions(Options):
    """Where and what is filtered; the rest comes back unchanged."""

    region: Annotated[
        str,
        Option(metavar="[Z,]Y,X", help="Only there, as NumPy slices: 100:200,50:-50; ends may be left out."),
    ] = ""
    channels: Annotated[
        str,
        Option(
            metavar="LIST",
            words=lambda: ("luma", "R", "G", "B", "A"),
            help="Only these: numbers from 0, R,G,B,A, names in the file; luma filters brightness, not colour.",
        ),
    ] = ""
    mask: Annotated[
        str,
        Option(metavar="FILE", paths="file", help="Only where this image is not 0, and by what is there alone."),
    ] = ""
    mask_reads: Annotated[
        str,
        Option(
            metavar="WHAT",
            choices=("inside", "all"),
            help="What counts for results inside the mask: inside (the rest of the kernel makes up for it), or all.",
        ),
    ] = "inside"
    threshold: Annotated[
        float,
        Option(min=0.0, metavar="X", help="Samples that would change by less stay: no noise is sharpened."),
    ] = 0.0
