"""The options of the work itself, as two groups: how it is computed and what is said of it."""

from typing import Annotated

from convcli.methods import METHODS
from convcli.options.declare import Option, Options


class RunOptions(Options):
    """How it is computed."""

    method: Annotated[
        str,
        Option("-m", "--method", metavar="NAME", choices=("auto", *METHODS), help=f"auto, {', '.join(METHODS)}."),
    ] = "auto"
    tolerance: Annotated[
        float,
        Option(min=0.0, max=0.5, metavar="X", help="What separable terms may leave of the kernel, relative to sum|k|."),
    ] = 0.0
    threads: Annotated[
        int, Option(min=0, metavar="N", help="Threads for one image; 0: every core, shared among --jobs.")
    ] = 0
    jobs: Annotated[
        int,
        Option(
            "-j", "--jobs", min=0, metavar="N", daily=True, help="Files at once; 0: as many as cores and memory allow."
        ),
    ] = 0
    memory: Annotated[
        str,
        Option(
            metavar="SIZE",
            daily=True,
            help="Bound of the working memory. [256MiB; for boxes of a Zarr up to 1GiB each]",
        ),
    ] = ""
    verify: Annotated[
        int,
        Option(
            min=0,
            metavar="N",
            alone="200",
            help="Recompute N points (200 without N) from the definition; fail if one differs.",
        ),
    ] = 0
    strict: Annotated[bool, Option("--strict", help="A warning is a failure.")] = False
    keep_going: Annotated[bool, Option("--keep-going", help="Go on after an input that fails (the default).")] = False
    fail_fast: Annotated[bool, Option("--fail-fast", help="Stop at the first input that fails.")] = False
    resume: Annotated[
        str,
        Option(
            metavar="HOW",
            choices=("check", "trust"),
            alone="check",
            help="Pass over what an earlier run with the same options has finished. check reads shards of arrays back "
            "and makes again what differs, trust does not.",
        ),
    ] = ""
    journal: Annotated[
        str, Option(metavar="FILE", paths="file", help="Where a batch notes what it has done, if not with the user's.")
    ] = ""
    scheduler: Annotated[
        str,
        Option(
            metavar="WHERE",
            paths="file",
            words=lambda: ("local:", "tcp://"),
            help="Give the work to a Dask cluster: tcp://host:8786, a scheduler file, or local:N for N processes here.",
        ),
    ] = ""
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be read and written, and stop.")] = False


class ReportOptions(Options):
    """What is said about it."""

    explain: Annotated[
        bool, Option("--explain", daily=True, help="Print the plan and stop before any pixel is read.")
    ] = False
    quiet: Annotated[
        int, Option("-q", "--quiet", counted=True, daily=True, help="Tell warnings and no more; -qq: errors alone.")
    ] = 0
    verbose: Annotated[
        bool,
        Option("-v", "--verbose", help="All there is to say: formulas, every method; of each of many."),
    ] = False
    json: Annotated[bool, Option("--json", daily=True, help="Print one JSON object per input on standard output.")] = (
        False
    )
    preview: Annotated[
        bool, Option("--preview", help="Show the image before and after, where standard error is a terminal.")
    ] = False
    report: Annotated[
        str,
        Option(
            metavar="FILE",
            paths="file",
            help="Write the JSON objects to a file; to FILE.html: a page with pictures, histograms, prices and times.",
        ),
    ] = ""
