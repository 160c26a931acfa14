"""The command line as a whole: builds the Typer app, and turns every error into one line and an exit code.

The rest of the program raises; only this module prints errors and ends the process.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Annotated, Any

import typer
from typer import _click as click  # typer carries its own copy of click

from convcli.errors import ConvError, UsageError

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
OPTIONAL_VALUES = {"--verify": "200"}
"""Options that may stand alone, and what they then mean; typer knows no optional values."""
CLOSED_PIPE = 141  # what a shell reports for a process that SIGPIPE ended
OUT_OF_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class Interrupted(BaseException):
    """A signal asked the program to stop; unwinds like KeyboardInterrupt, so that temporary files are removed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def main() -> None:
    """The console script: runs the command line and exits."""
    gc.freeze()  # nothing imported so far will ever be garbage
    catch_signals()
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")  # read when NumPy is imported; the engine has its own threads
    code = run(sys.argv[1:])
    sys.exit(max(code, close_output()))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed to standard error."""
    try:
        command = build(arguments)
        with command.make_context("convcli", with_values(arguments)) as context:
            result = command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except click.exceptions.ClickException as error:
        return complain(UsageError(one_line(error.format_message())))
    except typer.Abort:
        return 128 + signal.SIGINT
    except ConvError as error:
        return complain(error)
    except (KeyboardInterrupt, Interrupted) as stop:
        return stopped(stop)
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
    return [f"{a}={OPTIONAL_VALUES[a]}" if a in OPTIONAL_VALUES else a for a in arguments]


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
    text = one_line(f"convcli: {error}")
    with suppress(OSError, ValueError, AttributeError):  # closed or full: the exit code still tells
        print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)
    return error.exit_code


def one_line(text: str) -> str:
    """Line breaks and other control characters made visible.

    >>> one_line("a\\nb")
    'a\\\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def explain(error: OSError) -> ConvError:
    """What the operating system says, as one of our errors."""
    place = os.fspath(error.filename) if isinstance(error.filename, (str, bytes)) else None
    where = os.fsdecode(place) if place is not None else None
    if error.errno in OUT_OF_SPACE:
        return ConvError("no space left to write; free some, or write elsewhere", "disk-full", where=where)
    if isinstance(error, PermissionError):
        return ConvError("permission denied", "permission", where=where)
    if isinstance(error, FileNotFoundError):
        return ConvError("no such file or folder", "not-found", where=where)
    if isinstance(error, IsADirectoryError):
        return ConvError("is a folder, not a file", "is-directory", where=where)
    return ConvError(error.strerror or str(error), "write-failed", where=where)


def catch_signals() -> None:
    """Make SIGTERM and SIGHUP unwind the program like Ctrl-C; a second one kills at once, an ignored one stays so."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Signal handler: stop soon, or at once when asked again."""
    signal.signal(number, signal.SIG_DFL)
    raise Interrupted(number)


def stopped(stop: BaseException) -> int:
    """The exit code of an interrupted run."""
    code = stop.exit_code if isinstance(stop, Interrupted) else 128 + signal.SIGINT
    complain(ConvError("stopped; nothing was left half-written", "interrupted"))
    return code


def close_output() -> int:
    """Flush standard output while an error can still be reported; 0, or the exit code of the failure."""
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_output()
        return CLOSED_PIPE
    except OSError as error:
        silence_output()
        return complain(explain(error).at("-"))
    except ValueError:
        return 0  # closed already
    return 0


def silence_output() -> None:
    """Point standard output at nothing, so that the interpreter's own flush at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
