"""Numbers as people read them."""

from __future__ import annotations


def seconds(value: float) -> str:
    """A time.

    >>> seconds(0.00123), seconds(2.5)
    ('1.23 ms', '2.5 s')
    """
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def share_of(part: int, whole: int) -> str:
    """A share in per cent, never rounded to nothing.

    >>> share_of(19, 1000), share_of(7, 7), share_of(1, 10**6)
    ('1.9 %', '100 %', 'less than 0.001 %')
    """
    percent = 100 * part / whole
    return f"{percent:.3g} %" if percent >= 0.001 else "less than 0.001 %"
