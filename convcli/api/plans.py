"""What would be computed, and how: requests as values, and their plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from convcli.api.images import taken
from convcli.errors import UsageError
from convcli.image import ImageInfo
from convcli.operations.beside import selected
from convcli.operations.selected import Filtering
from convcli.operations.signals import suited
from convcli.planner import Plan
from convcli.requests.arguments import as_selection, limits
from convcli.requests.calls import correlate, correlate_on, dilated, names_channels, pair, resample, transpose

if TYPE_CHECKING:
    from convcli.requests.calls import Request

REQUESTS: Mapping[str, Callable[..., Request]] = {
    "convolve": correlate,
    "upsample": transpose,
    "resize": resample,
    "separable": pair,
    "dilate": dilated,
}
"""What each function asks for, from its arguments without the image."""
SELECTING = ("convolve", "separable", "dilate")
"""Those that may leave a part of the image as it is."""
WHERE = ("mask", "mask_reads", "region", "channels", "threshold")
"""The arguments that say which."""


def request(function: str, *arguments: Any, **options: Any) -> Filtering:
    """Say what a function would ask of every image, as a value.

    Parameters
    ----------
    function : {"convolve", "upsample", "resize", "separable", "dilate"}
        The function.
    *arguments, **options
        Its arguments, without the image, `axes`, `method`, `threads` and `memory`.

    Returns
    -------
    Correlate, Transpose, Resample, Pair, Dilate, Joined, SideBySide, Chain, or Selected or SelectedBeside of one
        A frozen value: equal where all its fields are, small when pickled. `request.on(info)` plans it for an image.

    Examples
    --------
    >>> asked = request("convolve", "gaussian:2um", border="reflect")
    >>> asked == request("convolve", "gaussian:2um", border="reflect"), asked.kernel.name
    (True, 'gaussian:2um')
    """
    if function not in REQUESTS:
        raise UsageError(f"{function!r} is not {', '.join(REQUESTS)}", where="function")
    where = as_selection(**{name: options.pop(name) for name in WHERE if name in options and function in SELECTING})
    if function == "convolve" and arguments and names_channels(arguments[0]):
        return correlate_on(arguments[0], where, **options)
    asked = REQUESTS[function](*arguments, **options)
    return selected(asked, where)


def make_plan(
    image: Any,
    request: Filtering,
    *,
    axes: str | None = None,
    method: str = "auto",
    threads: int | None = None,
    memory: int | None = None,
) -> Plan:
    """Plan a request for an image, without touching a pixel.

    Parameters
    ----------
    image : ImageInfo, Image or array_like
        What it is for.
    request
        What `request` gives.
    axes, method, threads, memory : optional
        As for `convolve`.

    Returns
    -------
    Plan
        `method`, `tile` and `tiles`, `macs`; each of `candidates` has `seconds`, or says why it is `refused`. Of
        several filters in a row or side by side, the plan of the one that takes the most time.

    Examples
    --------
    >>> plan = make_plan([[0.0] * 64] * 64, request("convolve", "gaussian:4"))
    >>> plan.method, plan.macs
    ('separable', 4460544)
    """
    info = image if isinstance(image, ImageInfo) else taken(image, axes, request.ndim, bank=request.bank).info
    plans = suited(request, info).on(info, limits(method, threads, memory)).plans
    return max(plans, key=lambda plan: plan.cost.seconds)
