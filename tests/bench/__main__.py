"""`python -m tests.bench [engine|regret|commands|batches ...]`: convcli and its peers in turns; ratios, not seconds.

Needs the bench extra. Results are compared before they are timed. `--markdown FILE` writes the tables.
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import date

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # read when NumPy is imported; every engine gets its own threads below
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads of a peer that wait by spinning would slow the next turn
for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)  # a foreign setting would slow the BLAS that is measured

from tests.bench import batches, commands, engine, regret  # noqa: E402 -- after the environment is set

PARTS = {"engine": engine.rows, "regret": regret.rows, "commands": commands.rows, "batches": batches.rows}


def main() -> None:
    """Run the parts named on the command line, all by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    parser.add_argument("--markdown", help="write the tables to a file")
    options = parser.parse_args()
    text = f"{platform.processor() or platform.machine()}, {options.threads} threads, {date.today()}\n"
    print(text)
    for name in options.parts:
        for line in PARTS[name](options.threads, options.rounds):
            print(line, flush=True)
            text += line + "\n"
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)


main()
