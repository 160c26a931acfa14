"""Benchmarks of the convcli that is installed, not of the sources that lie around them: these may lack compiled loops.

Python puts the folder that it is started in before all others. For convcli it is passed over, here and in every command
that the benchmarks start.
"""

import importlib
import os
import sys
from pathlib import Path

started_in = sys.path[: not sys.flags.safe_path]
sys.path[: len(started_in)] = []
try:
    convcli = importlib.import_module("convcli")
except ModuleNotFoundError:
    sys.exit(f"{sys.executable} has no convcli installed: `pip install .`, or `pip install -e .`, comes first")
finally:
    sys.path[:0] = started_in
os.environ["PYTHONSAFEPATH"] = "1"


def measured(threads: int) -> str:
    """What is measured: where it lies, its instructions or that it has no compiled loops, and its threads."""
    from convcli import native

    loops = f"compiled loops, {native.INSTRUCTIONS[-1]}" if native.AVAILABLE else "NumPy alone, no compiled loops"
    return f"convcli {convcli.__version__} in {Path(convcli.__file__).parent}: {loops}, {threads} threads"
