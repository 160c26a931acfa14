"""Traced designs as plain data, for JSON: the numbers of the tables, and all that the tables leave out."""

from __future__ import annotations

from typing import Any

from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed
from convcli.networks.advice import advice
from convcli.networks.costs import Cost
from convcli.networks.network import Shape
from convcli.networks.receptive import Field
from convcli.networks.told.tables import Listing, starts
from convcli.networks.trace import Fields

SCHEMA = 1


def listing_dict(listing: Listing, *, with_algorithms: bool = False) -> dict[str, Any]:
    """A design as plain data."""
    trace, total, convention = listing.trace, listing.total, listing.convention
    layers = [layer_dict(listing, i) for i in range(len(trace.steps))]
    if with_algorithms:
        from convcli.networks.algorithms import algorithms

        for layer, step in zip(layers, trace.steps, strict=True):
            layer["algorithms"] = [way._asdict() for bank in step.applied.banks for way in algorithms(bank)]
    return {
        "schema": SCHEMA,
        "input": str(trace.input),
        **({"inputs": list(map(str, trace.inputs))} if len(trace.inputs) > 1 else {}),
        "convention": listing.sentence,
        "batch": convention.batch,
        "dtype": convention.dtype,
        **({"assumed": True} if listing.is_assumed else {}),
        "layers": layers,
        "total": {
            "output": [trace.output.channels, *trace.output.spatial],
            **({"outputs": [shape_list(trace.steps[i].output) for i in trace.ends]} if len(trace.ends) > 1 else {}),
            **cost_dict(listing, total),
            "peak_activation_bytes": listing.peak,
            "parameter_bytes": listing.bytes(total.params),
            **fields_dict(listing.fields),
        },
        "warnings": [*advice(trace), *listing.notes],
    }


def shape_list(shape: Shape) -> list[int]:
    """Channels and sizes."""
    return [shape.channels, *shape.spatial]


def layer_dict(listing: Listing, i: int) -> dict[str, Any]:
    """One layer as plain data."""
    step = listing.trace.steps[i]
    axes = [axis for axis in step.applied.axes if isinstance(axis, (Geometry, Transposed))]
    pads = step.applied.pads or ((0, 0),) * len(step.output.spatial)
    return {
        "name": step.layer.name or step.word,
        "kind": step.kind,
        "word": step.word,
        "input": [step.input.channels, *step.input.spatial],
        "output": [step.output.channels, *step.output.spatial],
        **cost_dict(listing, listing.costs[i]),
        "pad": [list(pair) for pair in pads],
        "output_padding": [axis.extra if isinstance(axis, Transposed) else 0 for axis in axes],
        "dropped": list(step.dropped) or [0] * len(step.output.spatial),
        "effective_kernel": [axis.extent for axis in axes],
        **fields_dict(step.fields),
    }


def cost_dict(listing: Listing, cost: Cost) -> dict[str, Any]:
    """A cost as plain data."""
    return {
        "params": cost.params,
        "macs": cost.macs,
        "flops": cost.flops,
        "macs_real": cost.macs_real,
        **({"macs_products": cost.products} if cost.products else {}),
        "share": cost.macs / listing.total.macs if listing.total.macs else None,
        "activation_bytes": listing.bytes(cost.activations),
        "im2col_bytes": listing.bytes(cost.columns),
        "intensity": cost.intensity(listing.convention.item),
    }


def fields_dict(fields: Fields) -> dict[str, Any]:
    """Receptive fields as plain data; a jump of 0 means that every output sees the same."""
    return {
        "receptive_field": [list(field.extent) if field else None for field in fields],
        "jump": [jump_number(field) for field in fields],
        "start": starts(fields),
    }


def jump_number(field: Field | None) -> float | int | None:
    """
    >>> jump_number(Field(4)), jump_number(Field(1, ((0, 0), (0, 1))))
    (4, 0.5)
    """
    if field is None:
        return None
    step, phases = field.jump
    return step if phases == 1 else step / phases


def comparison_dict(one: Listing, other: Listing, designs: list[dict[str, Any]]) -> dict[str, Any]:
    """Two designs, themselves as plain data, side by side; the ratios are A / B."""
    a, b = one.total, other.total
    return {
        "schema": SCHEMA,
        **({"assumed": True} if one.is_assumed or other.is_assumed else {}),
        "designs": designs,
        "ratio": {"macs": a.macs / b.macs if b.macs else None, "params": a.params / b.params if b.params else None},
        "at_least": one.at_least or other.at_least,
        "outputs_agree": one.output == other.output,
    }
