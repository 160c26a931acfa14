"""The command line as a whole: runs it, and turns every error into one line and an exit code.

The rest of the program raises; only this module prints errors and ends the process. A command line is parsed by typer,
in `convcli.options.parse`; a plain one is read without it: a question to `shapes` is answered in half the time.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from contextlib import suppress
from functools import partial
from itertools import pairwise

from convcli.commands import COMMANDS, command_function, overview
from convcli.errors import ConvError, UsageError
from convcli.signals import Interrupted, catch_signals, raise_waiting, release_signals
from convcli.streams import STRAYS, STREAM, drop, open_closed_streams, say, tell

TYPE_CHECKING = False  # typing's own takes a quarter of the instructions of `convcli --help`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
CLOSED_PIPE = 141  # what a shell reports for a process that SIGPIPE ended
COMPLETE_ALONE = {"kernels", "tune", "help"}
"""Commands that need no words: what goes wrong in them is nobody's question."""
FILTERS = ("conv2d", "conv3d", "upsample", "separable", "dilate")
SELDOM = 200_000  # new objects from one search for garbage to the next: what start-up makes is none (3 % of it)


def main() -> None:
    """The console script: runs the command line and exits."""
    gc.freeze()  # nothing imported so far will ever be garbage
    gc.set_threshold(SELDOM)
    open_closed_streams()
    STRAYS.split()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries, to their callers; what a user should know is in the report
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")  # read when NumPy is imported; the engine has its own threads
    try:
        catch_signals()
        code = flushed(run(sys.argv[1:]))
        raise_waiting()
        release_signals()
    except Interrupted as stop:
        code = stopped(stop)
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process, where everything is written and closed: Python's own way takes 20 ms once NumPy is loaded.

    Nor does it wait for threads, which a stop may have left in the middle of something.
    Profilers and debuggers, which report at that end, have it.
    """
    if sys.getprofile() or sys.gettrace() or is_monitored():
        sys.exit(code)
    with suppress(OSError, ValueError):  # closed, or nobody reads it
        sys.stderr.flush()
    os._exit(code)


def is_monitored() -> bool:
    """Whether a tool watches by the way that Python has from 3.12 on, as its own profiler does."""
    monitoring = vars(sys).get("monitoring")
    return monitoring is not None and any(map(monitoring.get_tool, range(6)))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed to standard error."""
    try:
        return asked(arguments)() or 0
    except ConvError as error:
        if isinstance(error, UsageError) and len(arguments) == 1 and arguments[0] in {*COMMANDS} - COMPLETE_ALONE:
            offer_help(arguments[0])
        return failed(error, arguments)
    except BrokenPipeError:
        return CLOSED_PIPE
    except MemoryError:
        return failed(ConvError("not enough memory for this job; --memory bounds the working set", "memory"), arguments)
    except OSError as error:
        return failed(explain(error), arguments)


def asked(arguments: Sequence[str]) -> Callable[[], int | None]:
    """What a command line asks for, ready to be called: something printed, or a command with its values."""
    if not arguments or arguments[0] in ("-h", "--help"):
        return partial(print, overview())
    if arguments[0] in ("-V", "--version"):
        return partial(print, version_line())
    name, *words = arguments
    if name in COMMANDS and words in (["-h"], ["--help"], ["--help-all"]):
        from convcli.options.help import help_text

        return partial(print, help_text(name, command_function(name), whole=words == ["--help-all"]))
    if name not in COMMANDS:
        from convcli.options.slips import no_such_command

        raise no_such_command(name, COMMANDS)
    return with_values(name, command_function(name), words)


def with_values(name: str, command: Callable[..., Any], words: Sequence[str]) -> Callable[[], int | None]:
    """A command with the values in its words; what is no plain line is understood, or refused, by typer."""
    from convcli.options.declare import declared, grouped
    from convcli.options.line import plain_values, read_line, remember

    remember((name, *words))
    line = read_line(declared(command), words)
    values = plain_values(declared(command), line)
    if values is None:
        from convcli.options.parse import parsed_values

        values = parsed_values(name, command, line)
    return (lambda: 0) if values is None else partial(command, **grouped(command, values))


def offer_help(name: str) -> None:
    """Show the help of a command that was typed alone and needs words; on standard error, as it is no result."""
    from convcli.options.help import help_text

    tell(f"{help_text(name, command_function(name))}\n\n")


def complain(error: ConvError) -> int:
    """Print an error as one line on standard error; its exit code. A signal that comes from then on has no line."""
    raise_waiting()
    release_signals()
    say(f"convcli: {error}")
    return error.exit_code


def failed(error: ConvError, arguments: Sequence[str]) -> int:
    """Print an error that ended a command, as JSON too where that was asked for; its exit code."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    pixels = {"-o-", "--output=-"} & {*words} or {("-o", STREAM), ("--output", STREAM)} & {*pairwise(words)}
    if "--json" in words and not pixels:
        import json

        try:
            print(json.dumps(failure_facts(arguments[0], error)), flush=True)
        except OSError:  # that it cannot be written there may be the error itself
            drop(sys.stdout)
    return complain(error)


def failure_facts(name: str, error: ConvError) -> dict[str, Any]:
    """What JSON says of a command that did not come to its end: all that a report of a filter has."""
    if name in FILTERS:
        from convcli.report import failure

        return failure("", "", error).as_dict()
    return {"schema": 1, "status": "failed", "code": error.code, "message": error.message, "where": error.where}


def explain(error: OSError) -> ConvError:
    """What the operating system says, as one of our errors."""
    from convcli.formats.failures import told

    named = isinstance(error.filename, (str, bytes, os.PathLike))
    return told(error, os.fsdecode(error.filename) if named else None)


def stopped(stop: Interrupted) -> int:
    """Tell that the run was interrupted; its exit code."""
    release_signals()
    drop(sys.stdout)
    say(f"convcli: {ConvError(f'stopped by {stop.signal.name}; no file is half-written', 'interrupted')}")
    return stop.exit_code


def flushed(code: int) -> int:
    """The exit code of a run once standard output is out, where an error in that can still be told."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
        return code or CLOSED_PIPE
    except OSError as error:
        drop(sys.stdout)
        return code or complain(explain(error).at(STREAM))
    return code


def version_line() -> str:
    """The program, its engine and the libraries that pixels depend on."""
    from importlib.metadata import version
    from importlib.util import find_spec

    from convcli import __version__, native

    direct = f"compiled, {native.INSTRUCTIONS[-1]}" if native.AVAILABLE else "NumPy"
    if lacking := native.lacking():
        direct += f", {'but' if native.AVAILABLE else 'since'} {lacking}"
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "tifffile"))
    if find_spec("imagecodecs"):
        libraries += f", imagecodecs {version('imagecodecs')}"
    else:
        libraries += (
            "; no imagecodecs: JPEG 2000, AVIF, JPEG XL, JPEG XR, QOI and Radiance HDR are missing,"
            " and kinds of TIFF, PNG, JPEG, Zarr and DICOM"
        )
    return f"convcli {__version__} (direct kernels: {direct}; {libraries})"
