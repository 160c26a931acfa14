"""What a tensor of a graph sees of the image: a receptive field for each axis, and which dimension runs along it."""

from __future__ import annotations

from typing import NamedTuple

from convcli.networks.receptive import Field


class Seen(NamedTuple):
    """Fields."""

    fields: tuple[Field | None, ...] = ()
