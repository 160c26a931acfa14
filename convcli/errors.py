"""What can go wrong, in words that scripts may rely on.

Every error a user can cause is a `ConvError`: one sentence that says what is wrong and what would work, and a stable
code word. It is raised where the fact is known, completed with the file or option on its way out (`at`), and printed
in one place, `convcli.cli`.
"""

from __future__ import annotations

CODES = frozenset(
    "not-found is-directory not-regular empty unknown-format corrupt too-large bomb memory disk-full permission exists "
    "codec-missing unsafe ambiguous empty-image kernel shape dtype interrupted "
    "usage layer nan verify strict budget write-failed crashed changed unreachable unfinished".split()
)

LONGEST = 1000  # characters: a file may hold a word of a million, and an error is one line


class ConvError(Exception):
    """A failure with a reason: `'WHERE': message [code]`.

    `code` is one of `CODES`; `where` names the file, option or position. Ends the command with exit code 1.
    """

    exit_code = 1

    def __init__(self, message: str, code: str, *, where: str | None = None) -> None:
        assert code in CODES, code
        super().__init__(message)
        self.message = message
        self.code = code
        self.where = where

    def at(self, where: str) -> ConvError:
        """This error, naming `where` it happened unless it already does."""
        if self.where is None:
            self.where = where
        return self

    def __str__(self) -> str:
        place = "" if self.where is None else f"{self.where!r}: "
        message = self.message if len(self.message) <= LONGEST else f"{self.message[:LONGEST]}..."
        return f"{place}{message} [{self.code}]"


def changed(name: str) -> ConvError:
    """The error for a file or object that was replaced, or written to, while it was read."""
    return ConvError("changed while it was read; run again once it is complete", "changed", where=name)


class UsageError(ConvError):
    """The command line is wrong whatever the files hold. Ends the command with exit code 2, before any work."""

    exit_code = 2

    def __init__(self, message: str, code: str = "usage", *, where: str | None = None) -> None:
        super().__init__(message, code, where=where)


class KernelError(UsageError):
    """A kernel that cannot be parsed. Exit code 2."""

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message, "kernel", where=where)
