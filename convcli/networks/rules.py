"""What holds for every convolution of a network: bias, normalisation, padding, and whose framework's rules."""

from __future__ import annotations

from typing import Literal, NamedTuple

from convcli.errors import UsageError
from convcli.networks.network import Padding, Pads

Framework = Literal["", "torch", "tf"]

FRAMEWORKS: dict[str, Framework] = {"torch": "torch", "tf": "tf"}

NO_PADDING: Pads = ((0, 0),)


class Rules(NamedTuple):
    """What holds for every convolution that does not say otherwise, and whose rules decide the rest."""

    bias: bool = True
    bn: bool = False
    pad: Padding = NO_PADDING
    framework: Framework = ""


class Settings(NamedTuple):
    """What a file or a command line says of these; None where it says nothing."""

    bias: bool | None = None
    bn: bool | None = None
    pad: Padding | None = None
    framework: Framework | None = None

    def rules(self) -> Rules:
        """The rules that follow, with their defaults."""
        return Rules(**{what: value for what, value in self._asdict().items() if value is not None})

    def over(self, below: Settings) -> Settings:
        """These settings, and those of `below` where these say nothing.

        >>> Settings(bn=True).over(Settings(bn=False, bias=False))
        Settings(bias=False, bn=True, pad=None, framework=None)
        """
        return below._replace(**{what: value for what, value in self._asdict().items() if value is not None})


def parse_framework(name: str) -> Framework:
    """torch or tf."""
    if name in FRAMEWORKS:
        return FRAMEWORKS[name]
    raise UsageError(f"{name!r} is no framework known here; use torch or tf", where="--framework")
