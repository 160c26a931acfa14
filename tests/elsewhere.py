"""The command line where the system lacks what only some have: `python tests/elsewhere.py WORD...`.

`python tests/elsewhere.py -m pytest WORD...` runs the tests so.

Names that Windows does not have are taken out of the standard library before convcli is loaded, folders cannot be
opened, and files that are open cannot be replaced or removed: as much of Windows as Linux can play.
Processes that are started anew import this file before anything else: they lack the same.
"""

import os
import signal
import sys
from pathlib import Path

LACKING = {
    "os": """
        fork forkpty login_tty register_at_fork getuid geteuid getgid getpgid killpg setsid
        pread preadv pwrite pwritev readv writev sendfile sysconf confstr confstr_names fchmod fchown chown lchown
        statvfs fstatvfs getxattr setxattr listxattr removexattr mkfifo mknod fdatasync sync
        sched_getaffinity sched_setaffinity nice wait wait3 wait4
        O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_PATH O_TMPFILE O_SYNC O_NONBLOCK
    """.split(),
    "signal": """
        SIGHUP SIGALRM SIGPIPE SIGUSR1 SIGUSR2 SIGQUIT SIGCHLD SIGTSTP SIGCONT
        setitimer getitimer ITIMER_REAL alarm pause pthread_sigmask pthread_kill sigwait
        SIG_BLOCK SIG_UNBLOCK SIG_SETMASK siginterrupt
    """.split(),
}
"""But not SIGKILL: by it the standard library ends a process here, and on Windows without."""
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "readline", "posix1e", "syslog")
FOLDERS = ("open", "link", "unlink", "remove", "replace", "rename", "stat", "mkdir", "rmdir")


class NoModule:
    """A finder that finds none of some modules, whoever asks."""

    def find_spec(self, name, *_):
        """Raise for those."""
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def is_open(path):
    """Whether this process has a file open under a name."""
    try:
        wanted = os.lstat(path)
    except OSError:
        return False
    for opened in Path("/proc/self/fd").iterdir():
        try:
            if os.path.samestat(wanted, os.fstat(int(opened.name))):
                return True
        except OSError:
            continue
    return False


def like_windows(function, places):
    """A function of `os` that knows no open folders and refuses folders and files that are open."""

    def called(*words, **options):
        if any(name.endswith("dir_fd") and value is not None for name, value in options.items()):
            raise NotImplementedError("dir_fd unavailable on this platform")
        for place in places:
            if is_open(words[place]):
                raise PermissionError(
                    13, "The process cannot access the file because it is used", os.fspath(words[place])
                )
        if function is OPEN and Path(words[0]).is_dir():
            raise PermissionError(13, "Permission denied", os.fspath(words[0]))
        return function(*words, **options)

    return called


OPEN = os.open


def leave_out():
    """Take everything away."""
    for module in MODULES:
        sys.modules.pop(module, None)
    sys.meta_path.insert(0, NoModule())
    for name in LACKING["os"]:
        vars(os).pop(name, None)
    for name in LACKING["signal"]:
        vars(signal).pop(name, None)
    used = {"unlink": (0,), "remove": (0,), "replace": (0, 1), "rename": (0, 1)}
    for name in FOLDERS:
        setattr(os, name, like_windows(getattr(os, name), used.get(name, ())))
    os.supports_dir_fd.clear()


def prepare():
    """Load what asks for such names as it is loaded, and take them away."""
    import encodings.idna
    import getpass  # asks for termios as it is loaded, and does without
    import multiprocessing.connection
    import shutil
    import subprocess
    import tempfile

    assert all((encodings.idna, getpass, multiprocessing.connection, shutil, subprocess, tempfile))
    leave_out()


class Tests:
    """A plugin for pytest that takes everything away before a test is loaded, and from pytest what it asks for."""

    def pytest_load_initial_conftests(self):
        """Once all other plugins are there."""
        import shutil
        import tempfile

        import _pytest.capture
        import _pytest.tmpdir
        import psutil

        assert psutil
        prepare()
        sys.modules["torch"] = None  # as it is built for Linux it asks for more
        del signal.SIGKILL
        shutil._use_fd_functions = shutil._USE_CP_SENDFILE = False
        _pytest.capture.TemporaryFile = tempfile.NamedTemporaryFile
        _pytest.tmpdir.get_user_id = lambda: None


def main():
    """Run a command line."""
    if sys.argv[1:3] == ["-m", "pytest"]:
        import pytest

        sys.exit(pytest.main(sys.argv[3:], plugins=[Tests()]))
    prepare()
    from convcli.__main__ import main as run

    sys.argv = ["convcli", *sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":
    prepare()
