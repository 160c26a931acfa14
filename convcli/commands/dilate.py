"""`convcli dilate`: dilated (atrous) convolution at one rate, at several side by side, or at one after the other."""

from convcli.requests.files import FileOptions
from convcli.requests.options import GroupedOptions, Inputs, KernelOptions, NumberOptions
from convcli.requests.particular import RateOptions
from convcli.requests.where import WhereOptions
from convcli.requests.working import ReportOptions, RunOptions


def dilate(
    inputs: Inputs,
    rates: RateOptions,
    kernels: KernelOptions,
    placement: GroupedOptions,
    where: WhereOptions,
    numbers: NumberOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Filter with kernels whose taps lie a rate apart: dilated (atrous) convolution.

    At rate a, a kernel of k taps reaches over K = k + (k - 1)(a - 1) pixels at the cost of k. This is not the dilation
    of morphology, which grows bright regions by a maximum over a neighbourhood.

    --rates gives one result for each rate: a file each where -o contains {rate}, else all in one, along C. With one
    kernel, --combine sum, mean, magnitude or max joins the rates instead.

    --chain filters again and again: every step has the border of --border, numbers in between are floating point, and
    rounding comes once, at the end. One -k serves all steps; several are one for each step, or with --combine, joined
    at each. A chain that leaves pixels of its receptive field unread (gridding) is warned of.

    Examples:
        convcli dilate photo.jpg -k laplacian --rate 2 -o out.png
        convcli dilate photo.jpg -k log:1 --rates 1,2,4 -o 'a{rate}.png'
        convcli dilate photo.jpg -k box:3 --chain 1,2,4 -o soft.png
    """
    from convcli.requests.dilated import run_dilations

    return run_dilations(inputs, rates, kernels, placement, where, numbers, files, run, report)
