"""What systems do not all have: kinds of opening, signals, forks; and how much memory and disk there is.

Linux and macOS offer what Windows does not. Whatever is not everywhere is asked for here, by what Python has of it and
not by the system's name.
"""

from __future__ import annotations

import os
import struct
import sys
from _thread import allocate_lock  # threading takes milliseconds to import
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def offered(module: Any, *names: str) -> list[Any]:
    """Those of a module's names that it has on this system."""
    return [getattr(module, name) for name in names if name in vars(module)]


def opening(*names: str) -> int:
    """Flags for `os.open`, as far as there are such: not for other programs, bytes as they are, and those of the names.

    >>> opening("O_NO_SUCH_FLAG") == opening()
    True
    """
    flags = 0
    for flag in offered(os, "O_CLOEXEC", "O_NOINHERIT", "O_BINARY", *names):
        flags |= flag
    return flags


def forks() -> bool:
    """Whether a process can become two."""
    return bool(offered(os, "fork"))


def lock(descriptor: int) -> None:
    """Wait until nobody else holds an open file so; given up when it is closed. Nothing where no file can be held."""
    try:
        import fcntl
    except ImportError:
        return
    with suppress(OSError):  # some file systems of networks have no locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def after_fork(forget: Any) -> None:
    """Have something called in each process that is forked from this one."""
    for register in offered(os, "register_at_fork"):
        register(after_in_child=forget)


def core_count() -> int:
    """Cores that this process may use."""
    for affinity in offered(os, "sched_getaffinity"):
        return len(affinity(0))
    return os.cpu_count() or 1


def read_into(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Fill the beginning of a buffer with what stands in a file from an offset on; how many bytes that were.

    Threads may read one file at the same time; where its position has to be moved for that, by one at a time.
    """
    for read in offered(os, "preadv"):
        return int(read(descriptor, [buffer], offset))
    with _MOVING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        data = os.read(descriptor, len(buffer))
    buffer[: len(data)] = data
    return len(data)


_MOVING = allocate_lock()
"""Held while a file's position is moved and read from."""


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Up to so many bytes of a file from an offset on."""
    buffer = bytearray(size)
    return bytes(buffer[: read_into(descriptor, memoryview(buffer), offset)])


def user() -> str:
    """A name of who runs this process, or a number where there is none."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "".join(str(number()) for number in offered(os, "getuid"))


def is_running(process: int) -> bool:
    """Whether a process of this machine is there and has not ended.

    On Windows a signal 0 is Ctrl-C: there it is looked for otherwise.
    """
    for kernel in _windows():
        handle = kernel.OpenProcess(0x1000, 0, process)  # PROCESS_QUERY_LIMITED_INFORMATION
        return bool(handle and kernel.CloseHandle(handle))
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether a process has ended, and its parent has not asked how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _windows() -> list[Any]:
    """Windows' own functions, where this is Windows."""
    if sys.platform != "win32":
        return []
    import ctypes

    return [ctypes.WinDLL("kernel32")]


def machine_memory() -> int:
    """Bytes of memory that the machine has; 4 GiB where the system does not tell."""
    for ask in offered(os, "sysconf"):
        return int(ask("SC_PAGE_SIZE") * ask("SC_PHYS_PAGES"))
    for kernel in _windows():
        return _told(kernel.GlobalMemoryStatusEx, 64)  # MEMORYSTATUSEX, ullTotalPhys
    return 1 << 32


def _told(ask: Callable[..., int], size: int, *before: Any) -> int:
    """The first 64-bit number of a structure of Windows that begins with its own size and another 32 bits."""
    import ctypes

    buffer = bytearray(struct.pack("<I", size).ljust(size, b"\0"))
    filled = ask(*before, (ctypes.c_char * size).from_buffer(buffer), *((size,) if before else ()))
    return int.from_bytes(buffer[8:16], "little") if filled else 0


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, or what its container or its limits leave."""
    return min(machine_memory(), _limit(), *(limit for path in CGROUP_LIMITS for limit in _container_limit(path)))


def _limit() -> int:
    """The address space that this process may have, where the system knows such limits."""
    try:
        import resource
    except ImportError:
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


@cache
def _container_limit(path: str) -> tuple[int, ...]:
    """The number in a control group's file, if there is one."""
    try:
        text = Path(path).read_text()
    except OSError:
        return ()
    return (int(text),) if text.strip().isdigit() else ()


def bound_itself(seconds: int, room: int) -> None:
    """End this process by a signal, or otherwise, after so much time of a core; let it take so much more memory.

    Where the system has no such limits a clock stands in for the time, and the memory is not bound.
    """
    try:
        import resource
    except ImportError:
        import faulthandler

        faulthandler.dump_traceback_later(seconds, exit=True)
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sizes = Path("/proc/self/statm")
    if sizes.exists():
        most = int(sizes.read_text().split()[0]) * resource.getpagesize() + room
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def peak_memory() -> int:
    """The process's peak resident memory in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    own = status.read_text().partition("VmHWM:")[2] if status.exists() else ""
    if own:
        return int(own.split()[0]) * 1024
    try:
        import resource
    except ImportError:
        for kernel in _windows():
            return _told(
                kernel.K32GetProcessMemoryInfo, 72, -1
            )  # PROCESS_MEMORY_COUNTERS, PeakWorkingSetSize; -1 is us
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux this counts what the parent held, too
    return peak if sys.platform == "darwin" else peak * 1024


def free_bytes(folder: Path) -> int:
    """The room on the disk that a folder lies on; no bound where the system does not tell."""
    for ask in offered(os, "statvfs"):
        disk = ask(folder)
        return int(disk.f_bavail * disk.f_frsize)
    for kernel in _windows():
        import ctypes

        free = ctypes.c_ulonglong()
        if kernel.GetDiskFreeSpaceExW(str(folder), ctypes.byref(free), None, None):
            return free.value
    return sys.maxsize
