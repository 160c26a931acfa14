"""A limit for what a design may cost: `2G` multiply-adds, `4GFLOP`, `25Mparams`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from convcli.errors import ConvError, UsageError
from convcli.networks.costs import Cost

BUDGET = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kMGT]?)\s*(mac|flop|param)?s?", re.ASCII | re.IGNORECASE)
PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Budget(NamedTuple):
    """At most `limit` of something, as it was written."""

    what: Literal["macs", "flops", "params"]
    limit: Fraction
    text: str

    def check(self, costs: Sequence[Cost]) -> None:
        """Refuse designs of which one costs more: exit code 1."""
        spent: int = max(getattr(cost, self.what) for cost in costs)
        if spent > self.limit:
            name = {"macs": "MACs", "flops": "FLOPs", "params": "parameters"}[self.what]
            over = f" by {float(100 * (spent / self.limit - 1)):.1f} %" if self.limit else ""
            raise ConvError(f"{spent:,} {name} are above the budget of {self.text}{over}", "budget")


def parse_budget(text: str) -> Budget:
    """A budget from its text.

    >>> parse_budget("1.5G").limit, parse_budget("25M params").what
    (Fraction(1500000000, 1), 'params')
    """
    found = BUDGET.fullmatch(text.strip())
    if not found:
        raise UsageError("is no budget; write 2G (MACs), 4GFLOP or 25Mparams", where=text)
    names: dict[str, Literal["macs", "flops", "params"]] = {
        "": "macs",
        "mac": "macs",
        "flop": "flops",
        "param": "params",
    }
    return Budget(names[(found[3] or "").lower()], Fraction(found[1]) * PREFIXES[found[2].lower()], text)
