"""The user's folders for settings and for what programs remember, by the XDG base directory specification.

Not everybody has one: a container's or a daemon's user may have neither HOME nor an entry in the list of users.
"""

from __future__ import annotations

import os
from pathlib import Path

SETTINGS = ("XDG_CONFIG_HOME", ".config")
STATE = ("XDG_STATE_HOME", ".local/state")
"""The variable that names a folder, and where in the home folder it is otherwise."""


def user_folder(variable: str, place: str) -> Path | None:
    """One of the user's folders, whether it exists or not; None where no home folder is known.

    As the specification has it, a variable that is empty or holds a relative path counts as not set.
    """
    named = os.environ.get(variable, "")
    if Path(named).is_absolute():
        return Path(named)
    home = home_folder()
    return Path(home, place) if home else None


def home_folder() -> str:
    """The user's home folder: HOME, or what the system's list of users says; "" where neither tells."""
    named = os.environ.get("HOME", "")
    if Path(named).is_absolute():
        return named
    try:
        import pwd

        listed = pwd.getpwuid(os.getuid()).pw_dir
    except ImportError:  # Windows has no such list
        listed = os.environ.get("USERPROFILE", "")
    except KeyError:
        return ""
    return listed if Path(listed).is_absolute() else ""
