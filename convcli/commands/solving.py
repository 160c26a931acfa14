"""Printing the answers of `shapes --want` and `shapes --inputs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convcli.commands.designs import Given, TableOptions, errors_in
from convcli.commands.printing import print_json, style_of
from convcli.errors import UsageError
from convcli.networks.lossless import Sizes, lossless_sizes
from convcli.networks.network import Shape
from convcli.networks.notation import parse_shape
from convcli.networks.solve import Answer, ask, solve
from convcli.networks.told.json import SCHEMA
from convcli.networks.told.tables import ASSUMED
from convcli.tables import Table, show

if TYPE_CHECKING:
    from convcli.commands.models import GivenModel


def print_answers(given: Sequence[Given | GivenModel], want: str, options: TableOptions) -> bool:
    """Print every answer to --want. Without a `?` the size is only checked, and False says that the rest is to do."""
    design, channels, wanted = only(given, "--want"), *parse_wanted(want)
    if not has_unknown(design):
        check_wanted(design, channels, wanted)
        return False
    question = ask(design.network, design.input, wanted, design.rules)
    with errors_in(design.source):
        answers = solve(question)
    check_channels(answers[0].output, channels)
    if options.json:
        found = [
            {"answer": a.text, "output": [a.output.channels, *a.output.spatial], "drops": a.drops} for a in answers
        ]
        print_json(
            {
                "schema": SCHEMA,
                "input": str(design.input),
                "wanted": list(wanted),
                "unknown": question.unknown,
                **marks(design),
                "answers": found,
            }
        )
    else:
        show(noted(answer_table(answers, want), design), style_of(options))
    return True


def print_sizes(given: Sequence[Given | GivenModel], options: TableOptions) -> bool:
    """Print the input sizes that drop nothing."""
    design = single(given, "--inputs")
    if not design.input.spatial:
        raise UsageError("a vector has no size to choose", "shape", where=str(design.input))
    with errors_in(design.source):
        sizes = sizes_of(design)
    told = marks(design) if isinstance(design, Given) else {}
    if options.json:
        found = [
            {"rule": each.rule, "smallest": list(each.smallest), "nearest": list(each.nearest(size))}
            for each, size in zip(sizes, design.input.spatial, strict=True)
        ]
        print_json({"schema": SCHEMA, "input": str(design.input), **told, "axes": found})
    else:
        table = sizes_table(sizes, design.input)
        show(noted(table, design) if isinstance(design, Given) else table, style_of(options))
    return True


def sizes_of(design: Given | GivenModel) -> list[Sizes]:
    """The sizes of each axis."""
    axes = range(len(design.input.spatial))
    if isinstance(design, Given):
        return [lossless_sizes(design.network, design.input, design.rules, axis) for axis in axes]
    from convcli.networks.onnx.lossless import lossless_sizes as lossless_graph_sizes

    return [lossless_graph_sizes(design.graph, axis) for axis in axes]


def marks(design: Given) -> dict[str, bool]:
    """What JSON says of a design whose order is assumed."""
    return {"assumed": True} if design.is_assumed else {}


def noted(table: Table, design: Given) -> Table:
    """The table, marked where the order of the layers is assumed."""
    if not design.is_assumed:
        return table
    rows = [[*row, "assumed"] for row in table.rows]
    return table._replace(columns=[*table.columns, "order"], rows=rows, notes=[*table.notes, ASSUMED])


def single(given: Sequence[Given | GivenModel], option: str) -> Given | GivenModel:
    """The one design that an option is about."""
    if len(given) > 1:
        raise UsageError("is for one design; drop vs and what follows", where=option)
    return given[0]


def only(given: Sequence[Given | GivenModel], option: str) -> Given:
    """The one design in words that an option is about."""
    design = single(given, option)
    if not isinstance(design, Given):
        raise UsageError("is for designs in words; a model's layers are as they are", where=option)
    return design


def parse_wanted(text: str) -> tuple[int, tuple[int, ...]]:
    """The channels (0 where they do not matter) and the sizes of --want.

    >>> parse_wanted("112x112"), parse_wanted("64@112")
    ((0, (112, 112)), (64, (112,)))
    """
    try:
        shape = parse_shape(text if "@" in text else f"1@{text}")
    except UsageError:
        shape = Shape(0)
    if 0 in shape.spatial or not shape.spatial:
        raise UsageError(f"{text!r} is no size; write 112x112, or 64@112x112", "shape", where="--want")
    return shape.channels if "@" in text else 0, shape.spatial


def has_unknown(design: Given) -> bool:
    """True where there is a `?`."""
    return 0 in design.input.spatial or any(layer.unknown for layer in design.network.words())


def check_wanted(design: Given, channels: int, wanted: tuple[int, ...]) -> None:
    """Refuse a network without `?` that makes another size."""
    output = design.trace().output
    check_channels(output, channels)
    if output.spatial != wanted * (len(output.spatial) if len(wanted) == 1 else 1):
        size = "x".join(map(str, wanted))
        raise UsageError(
            f"makes {output}, not {size}; write a ? for what may change: conv7-64/2p?", "shape", where="--want"
        )


def check_channels(output: Shape, channels: int) -> None:
    """Refuse other channels than the wanted ones."""
    if channels not in (0, output.channels):
        raise UsageError(f"makes {output}, not {channels} channels", "shape", where="--want")


def answer_table(answers: Sequence[Answer], wanted: str) -> Table:
    """Every answer to --want, the simplest first."""
    rows = [[each.text, str(each.output), "some" if each.drops else "none"] for each in answers]
    return Table(["answer", "output", "columns dropped"], rows, f"makes {wanted}")


def sizes_table(sizes: Sequence[Sizes], shape: Shape) -> Table:
    """The input sizes that drop nothing, for each axis."""
    rows: list[list[object]] = [
        [
            f"axis {number}",
            each.rule or None,
            ", ".join(map(str, each.smallest)),
            ", ".join(map(str, each.nearest(size))),
        ]
        for number, (each, size) in enumerate(zip(sizes, shape.spatial, strict=True), 1)
    ]
    return Table(["", "rule", "smallest", f"nearest to {shape}"], rows, "inputs of which every column is read")
