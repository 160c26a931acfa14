"""The console script, and `python -m convcli`: the same."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends the program without a traceback even while its modules are still loading.

    `python -m` looks for modules in the current folder first, where a numpy.py may lie that is none of ours.
    """
    if __name__ == "__main__" and not sys.flags.safe_path:
        del sys.path[0]
    # Built in: `signal` itself takes milliseconds to import, in which Ctrl-C would be a traceback.
    import _signal  # type: ignore[import-not-found]

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from convcli.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
