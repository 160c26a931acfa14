"""What each algorithm pays for the layers of a design, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from convcli.networks.algorithms import FLOPS_ARE_NOT_TIME, algorithms
from convcli.networks.banks import Bank
from convcli.networks.network import Shape
from convcli.networks.told.tables import Listing, marked
from convcli.networks.trace import Trace
from convcli.tables import Table

PARTS = {"sep": (" depthwise", " pointwise"), "attn": (" queries, keys, values", " projection")}
"""What the banks of a layer with several are called."""


def algorithm_table(listing: Listing) -> Table:
    """What each algorithm pays for each layer with weights, one image."""
    columns = ["layer", "input", "algorithm", "multiplications", "times fewer", "FLOPs", "workspace KiB", "remark"]
    rows: list[list[object]] = []
    for name, shape, bank in distinct_banks(listing.trace):
        for way in algorithms(bank):
            fewer = round(bank.macs / way.multiplications, 2)
            workspace = round(listing.bytes(way.workspace) / 1024, 1)
            rows.append([name, str(shape), way.name, way.multiplications, fewer, way.flops, workspace, way.remark])
    notes = ["for one image; FLOPs with all transforms", FLOPS_ARE_NOT_TIME]
    return marked(listing, Table(columns, rows, "algorithms that compute the same", notes))


def distinct_banks(trace: Trace) -> Iterator[tuple[str, Shape, Bank]]:
    """The banks of a network with their layer and its input, equal ones once; two of one layer say which they are."""
    seen = set()
    for step in trace.steps:
        names = PARTS.get(step.kind, PARTS["sep"])
        for bank, part in zip(step.applied.banks, names, strict=False):
            if (step.word, bank) not in seen:
                seen.add((step.word, bank))
                yield step.word + (part if len(step.applied.banks) > 1 else ""), step.input, bank
