"""What can become of a URL that is not collected, and whether to ask for it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outliers_bench.apps.collect.options import Collect

KEPT = "kept"
REMOVED = "removed"


@dataclass(frozen=True)
class Outcome:
    """A way in which a URL does not become an image of its own.

    Parameters
    ----------
    about : str
        For people.
    again : bool
        Whether the next start tries it again: it may pass, or depends on options that are checked
        before the image is asked for.
    failed : bool
        Whether the list is incomplete for it.
    """

    about: str
    again: bool = False
    failed: bool = True


OUTCOMES = {
    "same": Outcome("same picture, other URL", failed=False),
    REMOVED: Outcome("collected before, deleted since", failed=False),
    "other_label": Outcome("same picture, other label"),
    "address": Outcome("address refused", again=True),
    "robots": Outcome("robots.txt forbids it", again=True),
    "busy": Outcome("server is busy or broken", again=True),
    "network": Outcome("no whole answer", again=True),
    "gone": Outcome("not there, or not for us"),
    "redirects": Outcome("too many redirects"),
    "not_an_image": Outcome("no image that is read here"),
    "damaged": Outcome("damaged image"),
    "too_small": Outcome("too small"),
    "too_large": Outcome("too large"),
}
"""By the status in the manifest."""

_MAY_PASS = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)


def failed(counts: Mapping[str, int]) -> int:
    """How many of the images asked for are not there, by counts of each status."""
    return sum(n for status, n in counts.items() if status in OUTCOMES and OUTCOMES[status].failed)


def may_pass(status: str) -> bool:
    """Whether the next start tries again what ended so."""
    return status not in OUTCOMES or OUTCOMES[status].again


def of_status(status: int) -> tuple[str, str]:
    """Status and reason for an answer other than 200."""
    try:
        reason = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        reason = str(status)
    return ("busy" if status >= 500 or status in _MAY_PASS else "gone"), reason


def of_error(error: BaseException | None, options: Collect) -> tuple[str, str]:
    """Status and reason for a request without an answer.

    Parameters
    ----------
    error : exception
        What Scrapy hands to an errback.
    options : Collect
        The user's choices.
    """
    from scrapy import exceptions as scrapy

    from outliers_bench.apps.collect.addresses import RefusedAddressError
    from outliers_bench.apps.collect.politeness import BusyError

    said = " ".join(str(error).split())
    broke_off = "the connection broke off"
    if "certificate" in said.lower():
        broke_off = "the certificate is not valid"
    kinds: tuple[tuple[type[BaseException], str, str], ...] = (
        (RefusedAddressError, "address", f"{said}; allow_private=true allows it"),
        (BusyError, "busy", said),
        (scrapy.DownloadCancelledError, "too_large", f"more than max_mb={options.max_mb:g}"),
        (scrapy.DownloadTimeoutError, "network", f"took longer than timeout={options.timeout:g} s"),
        (scrapy.CannotResolveHostError, "network", "there is no such host, or no network"),
        (scrapy.DownloadConnectionRefusedError, "network", "the connection was refused"),
        (scrapy.DownloadFailedError, "network", broke_off),
        (scrapy.ResponseDataLossError, "network", broke_off),
        (scrapy.IgnoreRequest, *_ignored(said)),
    )
    found = (each[1:] for each in kinds if isinstance(error, each[0]))
    return next(found, ("network", f"{type(error).__name__}: {said}"))


def _ignored(said: str) -> tuple[str, str]:
    """What Scrapy's middlewares do not pass on; only their words tell why."""
    if "robots.txt" in said:
        return "robots", "robots.txt forbids it, or cannot be had"
    if "redirections" in said:
        return "redirects", said
    return "too_large", said  # a small file that unpacks to a large one
