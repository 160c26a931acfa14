"""`convcli` run as a user runs it: in a process of its own, or in this one where nothing depends on the difference."""

import os
import signal
import subprocess
import sys

from convcli import cli
from convcli.commands import command_function
from convcli.options.declare import declared
from convcli.options.line import plain_values, read_line
from convcli.options.parse import parsed_values
from convcli.system import offered

COMMAND = (sys.executable, "-m", "convcli")
MEASURE = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    "unit = 1 if sys.platform == 'darwin' else 1024;"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit); sys.exit(code)"
)
"""A small parent: a process's peak counts what its parent held when it was started."""

EXIT_CODES = {number: 128 + number for number in offered(signal, "SIGINT", "SIGTERM", "SIGHUP")}
"""Of runs that were stopped, by the signal."""


def environment(**more):
    """The environment, where a warning is an error and output is buffered as usual, with `more`."""
    return {**os.environ, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "", **more}


def convcli(*words, stdin=None, env=None, **more):
    """Run the command line in a process of its own; its exit code, output and errors."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        input=stdin,
        capture_output=True,
        env=environment(**env or {}),
        check=False,
        **more,
    )


def shell(script, *arguments, **more):
    """Run a line of bash in which `"$@"` ends in `convcli` and the arguments; `more` goes to the environment."""
    return subprocess.run(
        ["/bin/bash", "-c", script, "bash", *COMMAND, *map(str, arguments)],
        capture_output=True,
        env=environment(**more),
        check=False,
    )


def start(*words, **more):
    """The command line in a process that goes on while the test does something to it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        env=environment(),
        **{"stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | more,
    )


def peak_memory(*words):
    """(exit code, bytes) that a run of the command line needed at its peak."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *COMMAND, *map(str, words)],
        capture_output=True,
        env=environment(),
        check=False,
    )
    return done.returncode, int(done.stdout.splitlines()[-1])


def read_plainly(name, words):
    """The values in the words behind a command, read without typer; None where they are no plain line."""
    taken = declared(command_function(name))
    return plain_values(taken, read_line(taken, words))


def read_by_typer(name, words):
    """The same by typer; None where it printed the help."""
    command = command_function(name)
    return parsed_values(name, command, read_line(declared(command), words))


class InProcess:
    """Runs the command line in this process; what it printed stays readable."""

    def __init__(self, capture):
        self.capture = capture

    def __call__(self, *words):
        """(exit code, lines on standard error)."""
        self.capture.readouterr()
        code = cli.run([str(word) for word in words])
        self.output, errors = self.capture.readouterr()
        return code, errors.splitlines()


class limited_file_size:  # noqa: N801 -- a context manager
    """Files may grow to so many bytes only, as on a disk that is nearly full."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        import resource

        self.old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.old[1]))

    def __exit__(self, *_):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, self.old)
