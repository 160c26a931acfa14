"""`convcli separable`: depthwise separable convolution, or the pair that comes nearest to a dense filter bank."""

from convcli.requests.files import FileOptions
from convcli.requests.options import DilatedOptions, Inputs, NumberOptions
from convcli.requests.particular import PairOptions
from convcli.requests.where import WhereOptions
from convcli.requests.working import ReportOptions, RunOptions


def separable(
    inputs: Inputs,
    pair: PairOptions,
    placement: DilatedOptions,
    where: WhereOptions,
    numbers: NumberOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Filter each channel alone, then mix the channels: depthwise separable convolution.

    The first step meets each channel with kernels of its own, the second, a 1x1 convolution, mixes what they left. Both
    are computed tile by tile; the image between them is never whole in memory. The report compares the cost with that
    of the dense bank (O, C, kh, kw) that the pair stands for: 1/O + 1/(kh kw) of it where every channel has one kernel.

    With -k BANK instead, a dense bank is replaced by the best pair of a rank (R kernels for each channel, by a singular
    value decomposition), and the report tells what every rank loses and saves. Here --tolerance is the relative error
    that --rank auto may leave.

    Examples:
        convcli separable photo.jpg --depthwise box:3 --pointwise ".3 .6 .1; 1 -1 0" -o maps.tif
        convcli separable photo.jpg --depthwise sobel:x --depthwise sobel:y --pointwise "1 0 1 0 1 0" -o edges.tif
        convcli separable photo.jpg -k bank.npy --rank 2 --save-factors pair.npz -o near.tif
        convcli separable photo.jpg --depthwise pair.npz -o pair.tif
    """
    from convcli.requests.pair import build_separable, check_factors, save_factors
    from convcli.requests.run import build_batch
    from convcli.requests.selected import on_selection
    from convcli.runs.many import run_batch

    if pair.save_factors:
        check_factors(pair.save_factors, force=files.force)
    asked, name = build_separable(pair, placement, numbers, run.tolerance)
    batch = build_batch(inputs, files, run, report, numbers, kernel=name, command="separable")
    if pair.save_factors and not (report.explain or run.dry_run):
        save_factors(pair.save_factors, asked, force=files.force)
    return run_batch(on_selection(asked, where), batch)
