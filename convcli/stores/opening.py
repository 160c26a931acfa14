"""Object stores, opened as the environment says: credentials, endpoints, and how often and long they are asked.

Of S3 the files of `aws configure` are read, too, for the profile AWS_PROFILE or "default".
`CONVCLI_RETRIES` and `CONVCLI_TIMEOUT` (seconds for one request) replace the numbers below.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvError, UsageError
from convcli.stores.address import Address
from convcli.stores.failures import asking

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Opened

RETRIES = 8
"""Times that a request is repeated: of a store that fails one request in four, one in 260,000 is lost."""
TIMEOUT = 60
"""Seconds that one request may take."""
PATIENCE = timedelta(seconds=90)
"""How long after the first request another may begin; so a dead server is known after it and a timeout."""
BACKOFF = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2}
CONNECTING = timedelta(seconds=5)
ENDPOINTS = (
    *("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    *("GOOGLE_BASE_URL",),
)
ALLOWED = ("AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")


def opened(url: str) -> Opened:
    """obstore's store with this root, the same for each call in a process.

    Raises ConvError: unreachable where obstore is not installed, permission where credentials are missing; and where
    this process was forked from one that had used a store: its threads are not here, and every answer would be awaited
    for ever.
    """
    if USERS and os.getpid() not in USERS:
        raise ConvError(
            "this process was forked from one that uses a store; start processes by 'spawn'", "unreachable", where=url
        )
    USERS.add(os.getpid())
    return made(url)


USERS: set[int] = set()
"""The process that has used a store, as this one remembers it: none, this one, or the one it was forked from."""


@cache
def made(url: str) -> Opened:
    """A new store."""
    try:
        from obstore import store as stores
    except ImportError:
        raise ConvError(
            'needs obstore, which is not installed: pip install "convcli[zarr]"', "codec-missing", where=url
        ) from None
    scheme, bucket, key = Address.of(url)
    common: Any = {"client_options": client_options(scheme), "retry_config": retries()}
    with asking(url):
        if scheme in ("http", "https"):
            return stores.HTTPStore.from_url(url, **common)
        kind: Any = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}[scheme]
        own: Any = {"copy_if_not_exists": copying(), **aws_profile()} if scheme == "s3" else {}
        found: Opened = kind(bucket, prefix=key or None, **common, **own)
        return found


def copying() -> str:
    """How S3 is asked to copy an object where there is none: as AWS is, unless the environment knows another way."""
    return os.environ.get("AWS_COPY_IF_NOT_EXISTS") or "multipart"


def aws_profile() -> dict[str, str]:
    """What the files that `aws configure` writes say of the profile AWS_PROFILE, as far as the environment does not."""
    from configparser import ConfigParser
    from configparser import Error as Unreadable

    profile = os.environ.get("AWS_PROFILE") or "default"
    wanted = {} if any(map(os.environ.get, CREDENTIALS)) else dict(KEYS)
    wanted |= {} if any(map(os.environ.get, REGIONS)) else {"region": "region"}
    found: dict[str, str] = {}
    for (variable, usual), section in zip(FILES.items(), (profile, f"profile {profile}"), strict=True):
        path = os.environ.get(variable) or os.path.expanduser(usual)  # noqa: PTH111 -- there may be no home
        file = ConfigParser(interpolation=None, strict=False)
        try:
            file.read(path)
        except (Unreadable, OSError, UnicodeDecodeError):
            raise UsageError("is not a file of profiles as `aws configure` writes them", where=path) from None
        for name in (section, profile):
            said = file[name] if file.has_section(name) else {}
            found = {to: said[key] for key, to in wanted.items() if key in said} | found
    return found


CREDENTIALS = (
    *("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE"),
)
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
"""The variable that names each file, and where it lies otherwise."""


def client_options(scheme: str) -> dict[str, Any]:
    """Limits of time, and whether a store is spoken to in the clear: where its endpoint says so itself."""
    clear = scheme == "http" or any(endpoint.startswith("http://") for endpoint in endpoints())
    allowed = any(os.environ.get(name, "").lower() in ("1", "true") for name in ALLOWED)
    return {
        "allow_http": clear or allowed,
        "connect_timeout": CONNECTING,
        "timeout": timedelta(seconds=number("CONVCLI_TIMEOUT", TIMEOUT)),
    }


def endpoints() -> list[str]:
    """The addresses of servers that the environment names; UsageError for what is none."""
    named = {name: os.environ[name] for name in ENDPOINTS if os.environ.get(name)}
    for name, address in named.items():
        if not re.match(r"https?://[^/\s]+", address):
            raise UsageError(f"is {address!r}, and must begin with https:// or http://", where=name)
    return list(named.values())


def retries() -> dict[str, Any]:
    """How often, and until when, a request is repeated."""
    return {"max_retries": number("CONVCLI_RETRIES", RETRIES), "retry_timeout": PATIENCE, "backoff": BACKOFF}


def number(variable: str, default: int) -> int:
    """A whole number that the environment gives."""
    text = os.environ.get(variable, "")
    if text and not text.isdigit():
        raise UsageError(f"is {text!r}, and must be a whole number", where=variable)
    return int(text) if text else default
