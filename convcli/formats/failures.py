"""What the system and the decoders raise, told as errors of this program."""

from __future__ import annotations

import errno
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import RLock

from convcli.errors import ConvError, UsageError
from convcli.formats.codecs import lacking
from convcli.stores.names import is_remote, local_name

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
SHORT_WRITE = r"\d+ requested and \d+ written"  # NumPy reports a full disk so, without an errno

NEEDS = r"(?:[A-Z]+\.(\w+))?.* requires the 'imagecodecs' package"
"""What tifffile says, of a compression or a predictor."""
ONE_AT_A_TIME = RLock()
ADDRESS = r"<[^<>]*>"  # how libraries show their objects; means nothing to a user

SYSTEM = {
    errno.ENOENT: ("no such file or folder", "not-found"),
    errno.ENOTDIR: ("no such file or folder", "not-found"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "not-found"),
    errno.ELOOP: ("its symbolic links go round in a circle", "not-found"),
    errno.EACCES: ("permission denied", "permission"),
    errno.EPERM: ("permission denied", "permission"),
    errno.EROFS: ("the file system is read-only", "permission"),
    errno.EISDIR: ("is a folder, not a file", "is-directory"),
    errno.EEXIST: ("exists already; --force replaces it", "exists"),
    errno.ENXIO: ("is a socket or device without a reader, not a file", "not-regular"),
}


def told(error: OSError, where: str | None, unknown: str = "write-failed") -> ConvError:
    """What the operating system refused, as one of our errors; the code `unknown` where no other fits.

    >>> print(told(OSError(errno.ENOSPC, "No space left on device"), "out.tif"))
    'out.tif': no space left to write; free some, or write elsewhere [disk-full]
    """
    if error.errno in OUT_OF_SPACE or (error.errno is None and re.search(SHORT_WRITE, str(error))):
        return ConvError("no space left to write; free some, or write elsewhere", "disk-full", where=where)
    message, code = SYSTEM.get(error.errno or 0, (error.strerror or str(error), unknown))
    return ConvError(message, code, where=where)


@contextmanager
def unremarked() -> Iterator[None]:
    """Libraries make no remarks.

    Python keeps what is said of warnings for all threads together, so one at a time changes it and puts it back.
    """
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def local_path(name: str) -> Path:
    """The path that a name or a file:// URL means; UsageError for the address of anything else."""
    if is_remote(name):
        raise UsageError("is an address; give the name of a local file", where=name)
    return Path(local_name(name))


def error_named(module: str, name: str) -> tuple[type[Exception], ...]:
    """An error of the standard library; none where Python was built without that module.

    >>> error_named("lzma", "LZMAError"), error_named("no_such_module", "Error")
    ((<class '_lzma.LZMAError'>,), ())
    """
    try:
        return (getattr(import_module(module), name),)
    except ImportError:
        return ()


@contextmanager
def decoding(title: str, *raised: type[Exception]) -> Iterator[None]:
    """Turn what a decoder raises on damaged data, known to be one of `raised`, into a 'corrupt' error."""
    try:
        yield
    except ConvError:
        raise
    except raised as error:
        raise refused(title, error.__cause__ or error) from error


def refused(title: str, cause: BaseException) -> ConvError:
    """The error for what a decoder raised: not all that it refuses is damaged, and not all of its words are for users.

    >>> print(refused("GIF", IndexError("index out of range")))
    the GIF is damaged (it is cut short) [corrupt]
    """
    said = str(cause) or type(cause).__name__
    if found := re.search(NEEDS, said):
        return lacking(f"{title} with {found[1].lower() if found[1] else 'such codes'}")
    if said.startswith("Unsupported"):
        return ConvError(f"is a kind of {title} that is not read here ({said}); convert it first", "codec-missing")
    return corrupt(title, "it is cut short" if isinstance(cause, (IndexError, struct.error)) else said)


def corrupt(title: str, reason: str) -> ConvError:
    """The error for a file whose content breaks its format.

    >>> print(corrupt("PNG", "IDAT: CRC error"))
    the PNG is damaged (IDAT: CRC error) [corrupt]
    """
    line = " ".join(re.sub(ADDRESS, "", reason).split())
    return ConvError(f"the {title} is damaged ({line[:160]})", "corrupt")
