"""`convcli tune`: how fast this machine is at what methods are made of, kept for the planner."""

from __future__ import annotations

import json as json_format
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from convcli.errors import ConvError, UsageError
from convcli.machine import MEASURED_ALONE, PROFILE, Machine, known, profile_path, profile_text, unit_names
from convcli.options.declare import Option
from convcli.requests.options import Csv, Json, Markdown
from convcli.streams import tell
from convcli.tables import Table, chosen_style, show, write


def tune(
    *,
    show_only: Annotated[
        bool, Option("--show", daily=True, help="Show what the planner uses now; measure nothing.")
    ] = False,
    reset: Annotated[
        bool, Option("--reset", daily=True, help="Forget what was measured: back to the numbers shipped.")
    ] = False,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
) -> None:
    """Measure this machine, and keep the numbers that the planner chooses methods by.

    Every method is timed on a grid of small problems (less than half a minute on an idle machine), and the numbers are
    fitted to the times. They are kept for this user in convcli/machine.json in the folder for settings
    (~/.config, or $XDG_CONFIG_HOME); the environment variable CONVCLI_PROFILE names another file. Results never depend
    on them, only the choice of the method does.

    Examples:
        convcli tune --show
        convcli tune --show --json
        convcli tune --reset
    """
    style = chosen_style(csv=csv, markdown=markdown)
    if json and style != "rich":
        raise UsageError("--json excludes --csv and --markdown; give one of them")
    if show_only and reset:
        raise UsageError("--show and --reset exclude each other; give one of them")
    path = profile_path()
    if reset:
        forget(path)
    machine, notes = (known().machine, [origin(path)]) if show_only or reset else measured(path)
    if json:
        write(json_format.dumps({"schema": 1, "profile": str(path or ""), **asdict(machine)}) + "\n")
    else:
        show(table(machine, notes), style)


def forget(path: Path | None) -> None:
    """Remove a profile, if there is one."""
    if path:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConvError(f"cannot be removed: {error.strerror}", "permission", where=str(path)) from None
    known.cache_clear()


def origin(path: Path | None) -> str:
    """Where the numbers in use are from."""
    found = known()
    if found.remark:
        return found.remark
    return f"measured here: {path}" if found.tuned else "the numbers shipped; convcli tune measures this machine"


def measured(path: Path | None) -> tuple[Machine, list[str]]:
    """This machine, measured and kept, and what to say of it."""
    from convcli.formats import atomic_output
    from convcli.tuning import relative_error, tune

    if path is None:
        why = f"{PROFILE} is empty" if PROFILE in os.environ else "no home folder is known"
        raise UsageError(f"{why}: there is no file to keep the numbers in; name one by {PROFILE}=FILE")
    before = Machine()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConvError(f"the folder cannot be made: {error.strerror}", "permission", where=str(path)) from None
    with atomic_output(path, force=True) as file:  # opened first: measuring would be in vain where it cannot be
        after, timings = tune(before, progress)
        file.write(profile_text(after).encode() + b"\n")
    return after, [
        f"{len(timings)} timings; prices are off by {100 * relative_error(timings, after):.0f} % in the median, "
        f"by {100 * relative_error(timings, before):.0f} % with the numbers shipped",
        f"kept in {path}",
    ]


def progress(done: int, all_: int) -> None:
    """A line on a terminal for every case done."""
    import sys

    if sys.stderr.isatty():
        tell(f"\r{done} of {all_}" + "\n" * (done == all_))


def table(machine: Machine, notes: list[str]) -> Table:
    """Every number, beside the one shipped."""
    here, shipped = asdict(machine), asdict(Machine())
    rows = [
        [name, quantity(name, here[name]), quantity(name, shipped[name])] for name in (*unit_names(), *MEASURED_ALONE)
    ]
    return Table(["unit of work", "this machine", "shipped"], rows, title=machine.name, notes=notes)


def quantity(name: str, value: Any) -> str:
    """A number with its unit: a rate where many are done in a second.

    >>> quantity("peak", 2.5e-11), quantity("call", 3e-6), quantity("double", 2.0)
    ('40 G/s', '3 us', '2 times')
    """
    if name == "double":
        return f"{value:.3g} times"
    return f"{value * 1e6:.3g} us" if value >= 1e-7 else f"{1e-9 / value:.3g} G/s"
