"""From the options of `dilate` to what it runs: one rate, several side by side or in files of their own, or a chain."""

from __future__ import annotations

from collections.abc import Sequence

from convcli.errors import UsageError
from convcli.numerals import per_axis
from convcli.operations.dilated import Dilate, Rate, named
from convcli.operations.filter import Correlate
from convcli.operations.operation import Operation
from convcli.operations.selected import Filtering
from convcli.records import replace
from convcli.requests.files import FileOptions
from convcli.requests.options import GeometryOptions, GroupedOptions, KernelOptions, NumberOptions
from convcli.requests.pair import axes_of
from convcli.requests.particular import RateOptions
from convcli.requests.rates import beside, chained
from convcli.requests.run import build_batch, build_filter, parse_spatial
from convcli.requests.selected import on_selection
from convcli.requests.where import WhereOptions
from convcli.requests.working import ReportOptions, RunOptions
from convcli.runs.many import Batch, run_batch
from convcli.runs.summary import PARTLY_FAILED
from convcli.streams import STREAM

FIELD = "{rate}"
Run = tuple[Filtering, tuple[Rate, ...]]


def run_dilations(
    inputs: list[str] | None,
    rates: RateOptions,
    kernels: KernelOptions,
    placement: GroupedOptions,
    where: WhereOptions,
    numbers: NumberOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Run what the options describe; with {rate} in the output's name, once for each rate."""
    ndim = 3 if len(per_axis(rates.rate)) == 3 else axes_of(kernels.kernel, three=rates.three)
    geometry = GeometryOptions(**vars(placement))
    chosen = parse_rates(rates, ndim)

    def build(texts: Sequence[str], combine: str) -> Correlate:
        return build_filter(ndim, kernels.but(kernel=texts, combine=combine), geometry, numbers, run.tolerance)

    runs: list[Run]
    if rates.chain:
        chain = chained(kernels.kernel, kernels.combine, chosen, build)
        runs, name = [(chain, chosen)], chain.name
    elif FIELD in files.output:
        base = build(kernels.kernel, kernels.combine)
        runs, name = [(Dilate(base, rate), (rate,)) for rate in chosen], base.name
    else:
        asked = beside(kernels.kernel, kernels.combine, chosen, build)
        runs, name = [(asked, chosen)], asked.filter.name
    batch = build_batch(inputs, files, run, report, numbers, kernel=name, command="dilate")
    if len(runs) > 1:
        check_apart(batch)
    return run_all([(on_selection(asked, where), of_rates(batch, rate)) for asked, rate in runs])


def parse_rates(rates: RateOptions, ndim: int) -> tuple[Rate, ...]:
    """The rates, one entry for each axis, from the one option of the three that is given."""
    given = {"--rate": rates.rate, "--rates": rates.rates, "--chain": rates.chain}
    named_ones = [option for option, text in given.items() if text]
    if len(named_ones) != 1:
        raise UsageError("give one of --rate, --rates and --chain: how far apart the taps are")
    option = named_ones[0]
    if option == "--rate":
        return (parse_spatial(rates.rate, ndim, option),)
    found = tuple(parse_spatial(word, ndim, option) for word in given[option].split(","))
    if option == "--rates" and len(set(found)) < len(found):
        raise UsageError(f"{rates.rates!r} has a rate twice", where=option)
    return found


def of_rates(batch: Batch, rates: Sequence[Rate]) -> Batch:
    """The batch with its rates for the names of what it writes."""
    text = "-".join(map(named, rates))
    return replace(batch, fields={**batch.fields, "rate": text}, report=batch.report.replace(FIELD, text))


def check_apart(batch: Batch) -> None:
    """Refuse what cannot be had once for each rate."""
    if STREAM in batch.names:
        raise UsageError("standard input can be read only once; leave {rate} out of -o for one stacked output")
    if batch.report and FIELD not in batch.report:
        raise UsageError("every rate has a report of its own; put {rate} into its name", where="--report")


def run_all(runs: Sequence[tuple[Operation, Batch]]) -> int:
    """Run one after the other; their common exit code, or that of a part that failed."""
    codes = []
    for asked, batch in runs:
        codes.append(run_batch(asked, batch))
        if codes[-1] and batch.fail_fast:
            break
    return codes[0] if len(set(codes)) == 1 else PARTLY_FAILED
