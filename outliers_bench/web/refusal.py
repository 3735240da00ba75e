"""Refusals of requests: an HTTP status and a reason for the client, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_MAX_FILES = 10  # files in a response
_MAX_NAME_LENGTH = 100  # characters of a file name in a response


class RefusedError(Exception):
    """Refusal of a request, with an HTTP status code and a reason for the client.

    Parameters
    ----------
    files : iterable of str
        Files that the message is about; only the first few are stored.
    retry_after : float
        Seconds after which the request may be sent again; 0 if that would not help.
    """

    def __init__(
        self, status: int, reason: str, files: Iterable[str] = (), *, retry_after: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.files = [shorten(name) for name in files][:_MAX_FILES]


def refusal_response(error: RefusedError, content: Mapping[str, object]) -> Response:
    """Return the response to a refused request: `content`, the reason and the files."""
    from starlette.responses import Response

    headers = {}
    if error.retry_after > 0:
        headers["Retry-After"] = str(int(error.retry_after) + 1)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status == 413:  # the client may still be sending
        headers["Connection"] = "close"
    files = {"files": error.files} if error.files else {}
    # ASCII, because a reason may quote what no encoding can express.
    body = json.dumps({**content, "error": error.reason, **files})
    return Response(body, error.status, headers, "application/json")


async def handle_refused(_: Request, error: Exception) -> Response:
    """Handle a `RefusedError` of an application (an exception handler of Starlette)."""
    assert isinstance(error, RefusedError)  # noqa: S101 - the handler is registered for this type
    return refusal_response(error, {"accepted": False})


def shorten(name: str) -> str:
    """Limit the length of a client's text in a response, and escape what cannot be encoded."""
    name = name.encode(errors="backslashreplace").decode()
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[: _MAX_NAME_LENGTH - 3]}..."
