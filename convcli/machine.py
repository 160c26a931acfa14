"""How fast a machine is at the few things that methods are made of; `convcli tune` measures the one it runs on."""

from __future__ import annotations

import os
from dataclasses import asdict, fields
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from convcli.folders import SETTINGS, user_folder
from convcli.native import INSTRUCTIONS
from convcli.records import record

SCHEMA = 1
PROFILE = "CONVCLI_PROFILE"
"""The environment variable that names another file for the profile; empty: none is read."""


@record
class Machine:
    """Seconds per unit of work for one thread in float32; float64 takes `double` times as long.

    The defaults were measured on a 2-core AMD EPYC 7003 (AVX2), NumPy 2.4 with OpenBLAS, 2026-11.
    """

    name: str = "AMD EPYC 7003 at 2.4 GHz, 2026-11"
    image: float = 0.6e-3  # an image: its plan, its memory, its threads
    call: float = 3e-6  # a NumPy call on a small array
    start: float = 40e-6  # a tile: its window, its place, its method called
    tap: float = 1 / 30e9  # a multiply-add of a compiled kernel in two dimensions
    pass_tap: float = 1 / 17e9  # a multiply-add of a compiled 1-D pass
    store: float = 0.3e-9  # an output of a compiled kernel, rounded and stored, or a value between two passes
    gap: float = 3e-9  # an output of a compiled kernel whose columns do not follow each other in memory
    band: float = 1 / 25e9  # a multiply-add inside a banded product
    product: float = 1 / 42e9  # a multiply-add inside a large matrix product
    add: float = 1 / 2.5e9  # an addition to an array in cache
    copy: float = 1 / 2.2e9  # a value moved into a column matrix
    patch: float = 1.2e-9  # a transformed value of a Winograd patch, gathered, transformed or placed
    scatter: float = 2e-9  # a value moved from or to every n-th place
    transform: float = 0.35e-9  # an FFT, per value and per level (log2 of the length)
    fourier: float = 0.27e-9  # the same in compiled loops, there and back
    spectrum: float = 1.2e-9  # a complex multiply-add of spectra
    window: float = 2.2e-9  # a pixel converted into a block of floats, or a result rounded into an image
    view: float = 0.4e-9  # the same where nothing is converted: borders, and the search for NaN
    double: float = 2.0
    import_fft: float = 0.08  # what importing scipy.fft takes, once per process
    peak: float = 1 / 45e9  # a multiply-add at best: a product of matrices that fit the cache
    stream: float = 0.06e-9  # a byte read from memory or written to it


MEASURED_ALONE = ("double", "import_fft", "peak", "stream")
"""What no price is a sum of. All other numbers are times for a unit of work: prices are linear in them."""


def unit_names() -> list[str]:
    """The numbers that prices are sums of.

    >>> "tap" in unit_names(), "double" in unit_names()
    (True, False)
    """
    return [field.name for field in fields(Machine) if field.name not in ("name", *MEASURED_ALONE)]


def profile_path() -> Path | None:
    """Where `tune` keeps what it measured: in the folder for settings, unless CONVCLI_PROFILE says otherwise.

    None where that is empty, and where the user has no folder.
    """
    if PROFILE in os.environ:
        return Path(os.environ[PROFILE]) if os.environ[PROFILE] else None
    folder = user_folder(*SETTINGS)
    return folder / "convcli" / "machine.json" if folder else None


class Known(NamedTuple):
    """The machine that prices are for, and what to say where a profile could not be used."""

    machine: Machine
    remark: str = ""
    tuned: bool = False


@lru_cache(maxsize=1)
def known() -> Known:
    """This machine by its profile; a broken one, or one of another machine, is left out with a remark.

    A path that leads nowhere, such as one through another user's home folder, means that there is none.
    """
    path = profile_path()
    try:
        text = path.read_text(encoding="utf-8") if path and leads_somewhere(path) else ""
    except (OSError, UnicodeDecodeError):
        return Known(Machine(), f"the profile {path} cannot be read; convcli tune makes a new one")
    if not text:
        return Known(Machine())
    try:
        return Known(read_profile(text), tuned=True)
    except ValueError as error:
        return Known(Machine(), f"the profile {path} was left out: {error}; convcli tune makes a new one")


def leads_somewhere(path: Path) -> bool:
    """Whether there is something at a path, as far as this user may look."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def read_profile(text: str) -> Machine:
    """The machine of a profile; ValueError says what is wrong with it."""
    import json  # few machines have one

    try:
        profile = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(profile, dict) or profile.get("schema") != SCHEMA:
        raise ValueError(f"it is not of schema {SCHEMA}")
    if profile.get("fingerprint") != fingerprint():
        raise ValueError("it was measured on another machine or installation")
    numbers = profile.get("seconds")
    names = [*unit_names(), *MEASURED_ALONE]
    if not isinstance(numbers, dict) or not all(_is_time(numbers.get(name)) for name in names):
        raise ValueError("a number is missing or is no positive time")
    return Machine(str(profile.get("name", "")), **{name: float(numbers[name]) for name in names})


def profile_text(machine: Machine) -> str:
    """A machine as a profile."""
    import json

    numbers = asdict(machine)
    name = numbers.pop("name")
    return json.dumps({"schema": SCHEMA, "name": name, "fingerprint": fingerprint(), "seconds": numbers}, indent=2)


def fingerprint() -> dict[str, Any]:
    """What a profile holds for: the processor, the cores, and whether there is compiled code."""
    return {"processor": processor(), "cores": os.cpu_count(), "instructions": list(INSTRUCTIONS)}


def processor() -> str:
    """The processor's name."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return model or platform.processor() or platform.machine()


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value) and value > 0
