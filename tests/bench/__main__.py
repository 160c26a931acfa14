"""`python -m tests.bench [PART ...]`: convcli and its peers in turns; ratios, not seconds. All parts by default.

Needs the bench extra; command-line peers take part where they are installed. Results are compared before being timed.
`--markdown FILE` writes the tables; `--readme` puts the ratios into README.md and samples/benchmarks.md,
with the machine and the date.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # read when NumPy is imported; every engine gets its own threads below
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads of a peer that wait by spinning would slow the next turn
for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)  # a foreign setting would slow the BLAS that is measured

from convcli.machine import processor  # noqa: E402 -- after the environment is set
from tests import bench  # noqa: E402
from tests.bench import banks, batches, cliffs, commands, engine, regret, scale, steps, upsampling, volumes  # noqa: E402
from tests.bench.turns import Measured, markdown_row, write_table  # noqa: E402

PARTS = {
    "engine": engine.rows,
    "banks": banks.rows,
    "steps": steps.rows,
    "upsampling": upsampling.rows,
    "commands": commands.rows,
    "volumes": volumes.rows,
    "regret": regret.rows,
    "cliffs": cliffs.rows,
    "batches": batches.rows,
    "scale": scale.rows,
}
"""Each yields measured jobs, or lines that are tables already."""


def main() -> None:
    """Run the parts named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    parser.add_argument("--markdown", type=Path, help="write the tables to a file")
    parser.add_argument("--readme", action="store_true", help="write the ratios into README.md and benchmarks.md")
    options = parser.parse_args()
    where = f"{processor()}, {options.threads} threads, {date.today()}, {options.rounds} turns"
    text = f"{bench.measured(options.threads)}\n{where}\n"
    print(text, end="", flush=True)
    for name in options.parts:
        found = []
        for line in printed(PARTS[name](options.threads, options.rounds), found):
            print(line, flush=True)
            text += line + "\n"
        if options.readme and found:
            write_table(name, where, found)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


def printed(rows: Iterable[Measured | str], found: list[Measured]) -> Iterator[str]:
    """The rows as lines of a table; measured jobs are kept in `found`."""
    for row in rows:
        if isinstance(row, str):
            yield row
            continue
        if not found:
            yield from (markdown_row(Measured.HEAD), markdown_row(["---"] * 3))
        found.append(row)
        yield row.row()


main()
