"""Limits on the rate and the size of requests."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from outliers_bench.web.refusal import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

_MINUTE = 60.0
_DRAIN_FACTOR = 4  # a body of up to this many times the limit is read and discarded


class RateLimiter:
    """Limit on the number of requests of a client in any minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._admitted: dict[str, deque[float]] = {}  # times in the last minute, by address

    def admit(self, client: str, now: float) -> None:
        """Count a request; `RefusedError` 429, and not counted, if the limit is reached.

        `now` is in seconds, from a monotonic clock.
        """
        for address in [a for a, times in self._admitted.items() if times[-1] <= now - _MINUTE]:
            del self._admitted[address]
        times = self._admitted.setdefault(client, deque())
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        if len(times) >= self._per_minute:
            raise RefusedError(
                429,
                f"more than {self._per_minute:,} submissions per minute from your address",
                retry_after=times[0] + _MINUTE - now,
            )
        times.append(now)


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Read the body of a request; count its bytes, because Content-Length may be wrong.

    A somewhat larger body is read to its end, because a client that is disconnected while sending
    does not receive the reason. `LimitedProtocol` disconnects clients that send too slowly.

    Raises
    ------
    RefusedError
        413 if the body is larger, 415 if it is compressed, 400 if the client disconnects.
    """
    from starlette.requests import ClientDisconnect

    n_read, body = 0, bytearray()
    try:
        async for chunk in request.stream():
            n_read += len(chunk)
            if n_read <= max_bytes:
                body += chunk
            elif n_read > max_bytes * _DRAIN_FACTOR:
                break
    except ClientDisconnect:
        raise RefusedError(400, "the submission is incomplete") from None
    if n_read > max_bytes:
        raise RefusedError(413, f"the submission is larger than {max_bytes:,} bytes")
    # A few bytes could expand to any size.
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RefusedError(415, "the submission is compressed; send it without Content-Encoding")
    return bytes(body)
