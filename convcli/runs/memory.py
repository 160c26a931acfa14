"""How much memory this process has needed."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> int:
    """The process's peak resident memory in bytes."""
    status = Path("/proc/self/status")
    own = status.read_text().partition("VmHWM:")[2] if status.exists() else ""
    if own:
        return int(own.split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux this counts what the parent held, too
    return peak if sys.platform == "darwin" else peak * 1024
