"""The command line as a whole: builds the Typer app, and turns every error into one line and an exit code.

The rest of the program raises; only this module prints errors and ends the process.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Annotated, Any

import typer
from typer import _click as click  # typer carries its own copy of click

from convcli.errors import ConvError, UsageError
from convcli.streams import STREAM, drop_output, open_closed_streams, say

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
OPTIONAL_VALUES = {"--verify": "200"}
"""Options that may stand alone, and what they then mean; typer knows no optional values."""
CLOSED_PIPE = 141  # what a shell reports for a process that SIGPIPE ended
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the program to stop; unwinds it, so that temporary files are removed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


def main() -> None:
    """The console script: runs the command line and exits."""
    gc.freeze()  # nothing imported so far will ever be garbage
    open_closed_streams()
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")  # read when NumPy is imported; the engine has its own threads
    try:
        catch_signals()
        code = run(sys.argv[1:])
        flushed = flush_output()
        release_signals()
    except Interrupted as stop:
        code, flushed = stopped(stop), 0
    sys.exit(code or flushed)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed to standard error."""
    try:
        command = build(arguments)
        with command.make_context("convcli", with_values(arguments)) as context:
            result = command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except click.exceptions.ClickException as error:
        return complain(UsageError(error.format_message()))
    except ConvError as error:
        return complain(error)
    except BrokenPipeError:
        return CLOSED_PIPE
    except MemoryError:
        return complain(ConvError("not enough memory for this job; --memory bounds the working set", "memory"))
    except OSError as error:
        return complain(explain(error))
    return result if isinstance(result, int) else 0


def build(arguments: Sequence[str] = ()) -> Any:
    """The command group as a click object; only the named command is imported where the first argument names one."""
    from convcli.commands import COMMANDS

    app = typer.Typer(
        name="convcli",
        help="Filter images and volumes by convolution, and answer shape and cost questions.",
        epilog="Example: convcli conv2d photo.jpg -k sharpen -o out.jpg",
        rich_markup_mode=None,  # plain help: half the start-up time
        pretty_exceptions_enable=False,
        add_completion=False,  # completions/ holds static scripts that start no Python
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(common)
    named = [arguments[0]] if arguments and arguments[0] in COMMANDS else COMMANDS
    for name in named:
        app.command(name)(command_function(name))
    return typer.main.get_command(app)


def with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of options that stand alone.

    >>> with_values(["--verify", "in.png", "--verify=3"])
    ['--verify=200', 'in.png', '--verify=3']
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [f"{a}={OPTIONAL_VALUES[a]}" if a in OPTIONAL_VALUES else a for a in arguments[:end]]
    return [*options, *arguments[end:]]


def command_function(name: str) -> Callable[..., Any]:
    """The function behind a subcommand.

    >>> command_function("kernels").__module__
    'convcli.commands.kernels'
    """
    from importlib import import_module

    function: Callable[..., Any] = getattr(import_module(f"convcli.commands.{name}"), name)
    return function


def complain(error: ConvError) -> int:
    """Print an error as one line on standard error; its exit code."""
    say(f"convcli: {error}")
    return error.exit_code


def explain(error: OSError) -> ConvError:
    """What the operating system says, as one of our errors."""
    from convcli.formats.failures import told

    known = told(error, "")
    known.where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes, os.PathLike)) else None
    return known


def catch_signals() -> None:
    """Let signals unwind the program instead of cutting it off; one that is ignored, as under nohup, stays so."""
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Signal handler: stop soon, or at once when asked again."""
    release_signals()
    raise Interrupted(number)


def release_signals() -> None:
    """Let signals kill at once again."""
    for number in STOPPING:
        if signal.getsignal(number) is interrupt:
            signal.signal(number, signal.SIG_DFL)


def stopped(stop: Interrupted) -> int:
    """Tell that the run was interrupted; the exit code that a shell expects."""
    drop_output()
    say(f"convcli: {ConvError(f'stopped by {stop.signal.name}; no file is half-written', 'interrupted')}")
    return 128 + stop.signal


def flush_output() -> int:
    """Flush standard output while an error can still be told; 0, or the exit code of the failure."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
        return CLOSED_PIPE
    except OSError as error:
        drop_output()
        return complain(explain(error).at(STREAM))
    return 0


def common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and what it runs on.")] = False,
) -> None:
    """Filter images and volumes by convolution, and answer shape and cost questions."""
    if version:
        print(version_line())
    elif context.invoked_subcommand is None:
        print(context.get_help())


def version_line() -> str:
    """The program, its engine and the libraries that pixels depend on."""
    from importlib.metadata import version

    from convcli import __version__

    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "tifffile", "imagecodecs"))
    return f"convcli {__version__} (direct kernels: NumPy; {libraries})"
