"""Sizes that a file says of every value, beside those that follow from its nodes: they fill gaps, and must agree."""

from __future__ import annotations

from convcli.errors import ConvError
from convcli.networks.onnx.model import Dims, Port


def fits(port: Port, sizes: tuple[int, ...] | None) -> bool:
    """True for an input of the sizes that the file says, whatever those are that it leaves open."""
    both = zip(port.dims or (), sizes or (), strict=False)
    return all(isinstance(said, str) or said == n for said, n in both)


def agreed(made: Dims | None, stated: Dims | None) -> Dims | None:
    """The sizes that follow and those that the file says, which fill what is not known; they must not differ.

    >>> agreed((1, None, 8), (1, 64, None)), agreed(None, (1, 64))
    ((1, 64, 8), (1, 64))
    """
    if made is None or stated is None:
        return made if stated is None else stated
    both = list(zip(made, stated, strict=False))
    if len(made) != len(stated) or any(None not in pair and pair[0] != pair[1] for pair in both):
        raise ConvError(f"makes {dims_text(made)}, but the file says {dims_text(stated)}", "corrupt")
    return tuple(b if a is None else a for a, b in both)


def dims_text(dims: Dims) -> str:
    """
    >>> dims_text((1, None, 8)), dims_text(())
    ('1x?x8', 'one number')
    """
    return "x".join("?" if n is None else str(n) for n in dims) or "one number"
