"""What object stores answer, or fail to, told as errors of one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from convcli.errors import ConvError, changed

CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or AWS_SKIP_SIGNATURE=true if it is public",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_SKIP_SIGNATURE=true for a public one",
}
UNKNOWN_USER = (
    r"MissingAccessKeyId|MissingSecretAccessKey|MissingAccount|token request|169\.254\.169\.254|InvalidGetCreds"
)
DENIED = r"ExpiredToken|InvalidAccessKeyId|SignatureDoesNotMatch|status code: 40[13]|TokenRefreshRequired"
STATUS = r"status code: (\d{3}(?: [A-Za-z ]+)?)"
REPEATED = r"(?<!max_)retries: ([1-9]\d*)"
SAID = r"<Code>([^<]*)</Code>\s*(?:<Message>([^<]*)</Message>)?"
REASONS = (
    (r"dns error", "no machine has the name of its endpoint"),
    (r"ConnectionRefused", "its endpoint refuses connections"),
    (r"TimedOut|timed out", "it does not answer in time"),
    (r"error sending request|kind: Connect", "there is no connection to its endpoint"),
    (r"BadScheme", "its endpoint must be reached by https://, or AWS_ALLOW_HTTP=true"),
)


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Tell what a store raises as an error of the object or folder with this URL."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise refusal(error, url) from error


def refusal(error: Exception, url: str) -> ConvError:
    """What obstore raised as an error: not-found, permission, changed, write-failed, or unreachable.

    >>> print(refusal(FileNotFoundError("<Code>NoSuchBucket</Code>"), "s3://bucket/a.png"))
    's3://bucket/a.png': there is no bucket 'bucket' [not-found]
    """
    text, kind = str(error), type(error).__name__
    scheme, _, rest = url.partition("://")
    if lacks_bucket(error):
        return ConvError(f"there is no bucket {rest.partition('/')[0]!r}", "not-found", where=url)
    if isinstance(error, FileNotFoundError):
        return ConvError("there is no such object", "not-found", where=url)
    if kind in ("PreconditionError", "NotModifiedError"):
        return changed(url)
    if re.search(UNKNOWN_USER, text):
        return ConvError(f"no credentials were found; {CREDENTIALS.get(scheme, '')}", "permission", where=url)
    if kind in ("PermissionDeniedError", "UnauthenticatedError") or re.search(DENIED, text):
        return ConvError(f"access is denied{because(text)}; are these the right credentials?", "permission", where=url)
    return ConvError(failing(text), "unreachable", where=url)


def failing(text: str) -> str:
    """Why a store cannot be used, of all that obstore says."""
    tries = f", tried {int(found[1]) + 1} times" if (found := re.search(REPEATED, text)) else ""
    for pattern, reason in REASONS:
        if re.search(pattern, text):
            return f"the store cannot be reached: {reason}{tries}"
    if found := re.search(STATUS, text):
        return f"the store answers {found[1].strip()}{because(text)}{tries}"
    return f"the store cannot be used: {' '.join(text.partition('Debug source')[0].split())[:200]}"


def because(text: str) -> str:
    """The store's own words for an error, in brackets; "" where it has none."""
    found = re.search(SAID, text)
    return f" ({': '.join(' '.join(word.split()) for word in found.groups() if word)[:200]})" if found else ""


def lacks_bucket(error: Exception) -> bool:
    """Whether it is the bucket that is not there."""
    return re.search("NoSuchBucket|ContainerNotFound|The specified bucket does not exist", str(error)) is not None


def is_beyond(error: Exception) -> bool:
    """Whether a range begins behind an object's end."""
    return "status code: 416" in str(error)


def is_unknown(error: Exception) -> bool:
    """Whether a store has no such requests."""
    return "status code: 501" in str(error) or type(error).__name__ in ("NotSupportedError", "NotImplementedError")


def was_repeated(error: Exception) -> bool:
    """Whether a request was sent more than once."""
    return re.search(REPEATED, str(error)) is not None
