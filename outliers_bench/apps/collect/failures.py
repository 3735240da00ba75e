"""Outcomes of URLs that are not collected, and which of them are retried."""

from __future__ import annotations

from http.client import responses
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from outliers_bench.apps.collect.options import Collect

# Values of the column status.
COLLECTED = "collected"
REMOVED = "removed"

ALREADY_COLLECTED = "already_collected"
"""Status of images from an earlier run in `Collection.statuses`; not in a manifest."""


class Outcome(NamedTuple):
    """Reason that a URL does not become an image of its own.

    Parameters
    ----------
    description : str
        Line in the summary.
    retried : bool
        Whether the next run tries again: the failure is transient, or depends on options that are
        checked before the image is requested.
    is_failure : bool
        Whether the list is incomplete without the image.
    """

    description: str
    retried: bool = False
    is_failure: bool = True


OUTCOMES = {
    "same": Outcome("duplicate under another URL", is_failure=False),
    REMOVED: Outcome("collected earlier, then deleted", is_failure=False),
    "other_label": Outcome("duplicate under another label"),
    "address": Outcome("address not allowed", retried=True),
    "robots": Outcome("forbidden by robots.txt", retried=True),
    "busy": Outcome("server busy or failing", retried=True),
    "network": Outcome("no complete response", retried=True),
    "gone": Outcome("not found or not accessible"),
    "redirects": Outcome("too many redirects"),
    "not_an_image": Outcome("not a supported image"),
    "damaged": Outcome("damaged image"),
    "too_small": Outcome("too small"),
    "too_large": Outcome("too large"),
}
"""Outcomes by status in the manifest."""

_TRANSIENT = (408, 425, 429)  # request timeout, too early, too many requests


def classify_response(status: int) -> tuple[str, str]:
    """Return status and reason for a response other than 200."""
    kind = "busy" if status >= 500 or status in _TRANSIENT else "gone"
    return kind, f"{status} {responses.get(status, '')}".rstrip()


def classify_error(error: BaseException | None, options: Collect) -> tuple[str, str]:
    """Return status and reason for a request without a response.

    Parameters
    ----------
    error : exception
        The exception that Scrapy passes to an errback.
    options : Collect
    """
    from scrapy import exceptions as scrapy

    from outliers_bench.apps.collect.addresses import RefusedAddressError
    from outliers_bench.apps.collect.politeness import BusyError

    message = " ".join(str(error).split())
    broken = "the connection was interrupted"
    if "certificate" in message.lower():
        broken = "the certificate is not valid"
    ignored = ("too_large", message)  # a small file that decompresses to a large one
    if "robots.txt" in message:
        ignored = ("robots", "robots.txt forbids it, or is not available")
    elif "redirections" in message:
        ignored = ("redirects", message)
    kinds: tuple[tuple[type[BaseException], str, str], ...] = (
        (RefusedAddressError, "address", f"{message}; allow_private=true allows it"),
        (BusyError, "busy", message),
        (scrapy.DownloadCancelledError, "too_large", f"more than max_mb={options.max_mb:g}"),
        (scrapy.DownloadTimeoutError, "network", f"took longer than timeout={options.timeout:g} s"),
        (scrapy.CannotResolveHostError, "network", "host not found, or no network"),
        (scrapy.DownloadConnectionRefusedError, "network", "the connection was refused"),
        (scrapy.DownloadFailedError, "network", broken),
        (scrapy.ResponseDataLossError, "network", broken),
        (scrapy.IgnoreRequest, *ignored),
    )
    matches = (each[1:] for each in kinds if isinstance(error, each[0]))
    return next(matches, ("network", f"{type(error).__name__}: {message}"))
