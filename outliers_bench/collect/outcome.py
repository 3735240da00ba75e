"""What can become of a URL that is not collected, and whether to ask for it again."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

KEPT = "kept"


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
    "removed": Outcome("collected before, deleted since", failed=False),
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


def of_status(status: int) -> tuple[str, str]:
    """Status and reason for an answer other than 200."""
    try:
        reason = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        reason = str(status)
    return ("busy" if status >= 500 or status in _MAY_PASS else "gone"), reason
