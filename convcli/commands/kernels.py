"""`convcli kernels`: which kernels there are, what one of them is, and how to keep it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise, product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from convcli.errors import ConvError, KernelError, UsageError
from convcli.kernels import KERNELS, Kernel, NamedKernel, is_file, is_measured, parse_kernel, split_key
from convcli.kernels.parameters import read_spacing
from convcli.numerals import is_number
from convcli.options.declare import Argument, Option
from convcli.requests.options import Csv, Json, Markdown, kernel_words
from convcli.streams import read_input, visible
from convcli.tables import Table, chosen_style, show, write

if TYPE_CHECKING:
    from convcli.kernels.stored import Stored

SCHEMA = 1
MOST_RANKED = 1 << 18  # taps: the singular values of 512x512 take 0.2 s (2 cores, 2026-11)
MOST_LISTED = 1 << 20  # taps in JSON
PICTURES = (".svg", ".png", ".html")
SHOWN = 11  # rows, columns and planes of taps on the screen


def kernels(
    texts: Annotated[
        list[str] | None,
        Argument(
            metavar="[KERNEL...]",
            words=kernel_words,
            paths="file",
            help="As for -k; put -- before one that starts with a minus.",
        ),
    ] = None,
    *,
    three: Annotated[bool, Option("--3d", daily=True, help="The forms with three axes, for conv3d.")] = False,
    output: Annotated[
        str,
        Option(
            "-o",
            "--output",
            metavar="FILE",
            paths="file",
            daily=True,
            help="Save it: .txt .csv .tsv .mat .json .npy .npz .tif; draw it: .svg .png .html; - prints it.",
        ),
    ] = "",
    spectrum: Annotated[
        bool, Option("--spectrum", daily=True, help="Draw its frequency response beside it, with -o k.svg.")
    ] = False,
    force: Annotated[bool, Option("-f", "--force", daily=True, help="Replace a file that exists.")] = False,
    spacing: Annotated[
        str,
        Option(
            metavar="LENGTH",
            daily=True,
            help="How far apart samples are, for lengths in units: 0.5um, or 2um,0.5um,0.5um.",
        ),
    ] = "",
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
) -> None:
    """List the named kernels, show what a kernel is, save one to a file, or draw it.

    Shown are the size, the sum of the taps and of their absolute values, the rank (how many separable terms add up to
    it), and the taps. Whatever -k takes can be shown: names, numbers, files. Of a file of weights, .safetensors or
    .onnx, the tensors that can be kernels are listed.

    Examples:
        convcli kernels
        convcli kernels gaussian:2
        convcli kernels "1 2 1; 2 4 2; 1 2 1"
        convcli kernels sobel:z --3d
        convcli kernels gaussian:2um --3d --spacing 2um,0.5um,0.5um
        convcli kernels gabor:8,45 -o gabor.txt
        convcli kernels log:2 --spectrum -o log.svg
        convcli kernels model.onnx
        convcli kernels box:3 log:1.5 --json
    """
    style = chosen_style(csv=csv, markdown=markdown)
    if json and style != "rich":
        raise UsageError("--json excludes --csv and --markdown; give one of them")
    if spectrum and not output.lower().endswith(PICTURES):
        raise UsageError("is for a picture; give it a name: -o kernel.svg, .png or .html", where="--spectrum")
    if texts and len(texts) == 1 and is_weights(texts[0]) and not output:
        show_tensors(texts[0], style, json=json)
        return
    ndim = 3 if three else 2
    steps = known_spacing(spacing, ndim, texts or ())
    check_parted(texts or ())
    parsed = [parse_kernel(text, ndim, spacing=steps, stdin=read_input) for text in texts or ()]
    if output:
        save(parsed, output, force=force, spectrum=spectrum)
    if json:
        show_json([facts(kernel) for kernel in parsed] if texts else [entry(kernel) for kernel in named(ndim)])
    elif not texts:
        show(table_of_names(named(ndim)), style)
    elif style != "rich" or not output:
        show_kernels(parsed, style)


def is_weights(text: str) -> bool:
    """True for a whole file of weights.

    >>> is_weights("model.onnx"), is_weights("model.onnx:conv1.weight")
    (True, False)
    """
    return text.lower().endswith((".safetensors", ".onnx", ".pt2")) and is_file(text) and not split_key(text)[1]


def show_tensors(path: str, style: str, *, json: bool) -> None:
    """List the tensors of a file of weights that can be kernels."""
    from convcli.kernels.weights import weights_in

    try:
        found = weights_in(path)
    except ConvError as error:
        error.at(path)
        raise
    if json:
        from json import dumps

        write(dumps({"schema": SCHEMA, "tensors": [tensor_entry(each) for each in found]}) + "\n")
        return
    rows: list[list[object]] = [
        [each.name, "x".join(map(str, each.shape)), each.dtype, each.meaning, each.node] for each in found
    ]
    notes = (f"-k {Path(path).name}:TENSOR is one of them; of a model also -k {Path(path).name}:NODE.",)
    show(Table(["tensor", "shape", "type", "as a kernel", "node"], rows, notes=notes), style)


def tensor_entry(tensor: Stored) -> dict[str, Any]:
    """A tensor, for JSON; the layer that slides it is null where the file says nothing of it."""
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "dtype": tensor.dtype,
        "kernel": tensor.meaning,
        "operator": tensor.layer or None,
        "node": tensor.node or None,
    }


def check_parted(texts: Sequence[str]) -> None:
    """Refuse a bare number behind a kernel's name, which is meant for its parameter, for a kernel of one tap."""
    for name, number in pairwise(texts):
        if name.partition(":")[0].lower() in KERNELS and is_number(number):
            from convcli.options.slips import joined

            raise UsageError(f"parameters follow a colon: {joined(name, [number])}", where=f"{name} {number}")


def known_spacing(text: str, ndim: int, kernels: Sequence[str]) -> dict[str, tuple[float, str]]:
    """The distance between samples along each axis, which lengths in units need."""
    unmeasured = [kernel for kernel in kernels if is_measured(kernel)]
    if unmeasured and not text:
        raise UsageError(f"{unmeasured[0]}: a length in a unit needs --spacing, such as --spacing 0.5um", "kernel")
    try:
        return read_spacing(text, "ZYX"[-ndim:]) if text else {}
    except KernelError as error:
        raise UsageError(error.message, where="--spacing") from None


def named(ndim: int) -> list[NamedKernel]:
    """The named kernels: those with three axes for 3, all for 2."""
    return [kernel for kernel in KERNELS.values() if ndim == 2 or ndim in kernel.ndims]


def table_of_names(listed: Sequence[NamedKernel]) -> Table:
    """The named kernels with their parameters and an example each."""
    rows = [[k.name, k.usage, k.description, axes(k), k.example] for k in listed]
    notes = (
        "Parameters go in this order after a colon, or by name: gaussian:2, gaussian:sigma=2,truncate=3.",
        "One value for each axis is in axis order: gaussian:1,2 is 1 along y, 2 along x. Units: gaussian:2um, box:3px.",
    )
    return Table(["kernel", "parameters", "what it is", "axes", "example"], rows, notes=notes)


def axes(kernel: NamedKernel) -> str:
    """The numbers of axes that a kernel exists for."""
    return ", ".join(f"{ndim}-D" for ndim in kernel.ndims)


def entry(kernel: NamedKernel) -> dict[str, Any]:
    """A line of the list, for JSON."""
    return {
        "name": kernel.name,
        "parameters": list(kernel.parameters),
        "usage": kernel.usage,
        "description": kernel.description,
        "axes": kernel.ndims,
        "example": kernel.example,
    }


def facts(kernel: Kernel) -> dict[str, Any]:
    """What a kernel is, for JSON; the taps are null where there are too many to print."""
    return {
        "name": kernel.name,
        "shape": kernel.shape,
        "bank": kernel.bank,
        "sum": kernel.sum(),
        "absolute_sum": kernel.absolute_sum(),
        "zero_sum": kernel.is_zero_sum,
        "rank": rank(kernel),
        "terms": len(kernel.terms),
        "origin": kernel.centre,
        "offset": kernel.offset,
        "taps": kernel.array().tolist() if prod(kernel.shape) <= MOST_LISTED else None,
    }


def rank(kernel: Kernel) -> int | None:
    """How many separable terms add up to the kernel, the most for any filter of a bank; None where it is too large."""
    from convcli.methods.separable import RESIDUAL
    from convcli.methods.terms import factor

    if len(kernel.terms) == 1 or prod(kernel.shape) > MOST_RANKED:
        return len(kernel.terms) or None
    most = prod(kernel.spatial)
    return max(len(factor(taps, RESIDUAL[4], most)) for taps in kernel.array().reshape(-1, *kernel.spatial))


def show_json(listed: Sequence[dict[str, Any]]) -> None:
    """Print kernels as one JSON object."""
    from json import dumps

    write(dumps({"schema": SCHEMA, "kernels": listed}) + "\n")


def show_kernels(parsed: Sequence[Kernel], style: str) -> None:
    """Print one row for each kernel; for people its taps too."""
    columns = ["kernel", "size", "sum", "sum of |taps|", "zero sum", "rank", "terms", "origin"]
    offsets = [f"{k.name}: {k.offset:g} is added to every result" for k in parsed if k.offset]
    show(Table(columns, [row(kernel) for kernel in parsed], notes=offsets), style)
    if style == "rich":
        for kernel in parsed:
            write(
                "".join(
                    f"{line}\n" for line in ("", *([visible(kernel.name)] if len(parsed) > 1 else []), *taps(kernel))
                )
            )


def row(kernel: Kernel) -> list[object]:
    """What a kernel is, in one row."""
    total = kernel.plain_sum
    origin = ",".join(map(str, kernel.centre))
    size = "x".join(map(str, kernel.shape))
    return [
        kernel.name,
        size,
        total,
        kernel.absolute_sum(),
        kernel.is_zero_sum,
        rank(kernel),
        len(kernel.terms) or None,
        origin,
    ]


def taps(kernel: Kernel) -> list[str]:
    """The taps as lines of text, rows and columns and planes left out where there are many."""
    planes = kernel.array()
    places = list(product(*map(range, kernel.shape[:-2])))
    lines: list[str] = []
    for place in islice(places, SHOWN):
        lines += [*([f"[{', '.join(map(str, place))}]"] if len(places) > 1 else []), *grid(planes[place])]
    return lines + ([f"... {len(places) - SHOWN:,} more"] if len(places) > SHOWN else [])


def grid(plane: Sequence[Sequence[float]]) -> list[str]:
    """The middle of a plane of taps in aligned columns, with ... for what is left out.

    >>> grid([[1.0, -0.5], [0.25, 10.0]])
    ['   1  -0.5', '0.25    10']
    """
    rows, columns = middle(len(plane)), middle(len(plane[0]))
    cells = [[f"{plane[y][x]:.4g}" for x in columns] for y in rows]
    if len(columns) < len(plane[0]):
        cells = [["...", *line, "..."] for line in cells]
    if len(rows) < len(plane):
        cells = [["..."] * len(cells[0]), *cells, ["..."] * len(cells[0])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]


def middle(length: int) -> range:
    """Indices of the taps to show.

    >>> middle(3), middle(17)
    (range(0, 3), range(3, 14))
    """
    first = max(0, (length - SHOWN) // 2)
    return range(first, min(length, first + SHOWN))


def save(parsed: Sequence[Kernel], output: str, *, force: bool, spectrum: bool) -> None:
    """Write one kernel to a file, as taps or as a picture, or as text to standard output."""
    from convcli.formats.atomic import atomic_output, output_place

    if len(parsed) != 1:
        raise UsageError(f"saves one kernel, not {len(parsed)}", where="-o")
    try:
        data = encoded(parsed[0], ".txt" if output == "-" else Path(output).suffix.lower(), spectrum=spectrum)
    except ConvError as error:
        error.at(output)
        raise
    if output == "-":
        write(data.decode())
        return
    with atomic_output(output_place(output), force=force) as stream:
        stream.write(data)


def encoded(kernel: Kernel, suffix: str, *, spectrum: bool) -> bytes:
    """A kernel as the bytes of a file of taps, or of a picture."""
    if suffix not in PICTURES:
        from convcli.kernels.saving import encode

        return encode(kernel, suffix)
    from convcli.pictures.kernels import kernel_drawing, kernel_page
    from convcli.pictures.kinds import encoded as drawn
    from convcli.pictures.page import page_text

    if suffix == ".html":
        return page_text(kernel_page(kernel, spectrum=spectrum)).encode()
    return drawn(kernel_drawing(kernel, spectrum=spectrum), suffix)
