"""Limits on the rate, duration and size of requests."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from outliers_bench.apps.competition.check import RefusedError

if TYPE_CHECKING:
    from fastapi import Request

_MINUTE = 60.0
_BODY_TIMEOUT = 60.0  # seconds
_DRAIN_FACTOR = 4  # a body of up to this many times the limit is read and discarded


class RateLimiter:
    """Limit on the number of requests of a client in any minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._admitted: deque[tuple[float, str]] = deque()  # time and address, of the last minute

    def admit(self, client: str, now: float) -> None:
        """Count a request; `RefusedError` 429, and not counted, if the limit is reached.

        `now` is in seconds, from a monotonic clock.
        """
        while self._admitted and self._admitted[0][0] <= now - _MINUTE:
            self._admitted.popleft()
        times = [time for time, address in self._admitted if address == client]
        if len(times) >= self._per_minute:
            raise RefusedError(
                429,
                f"more than {self._per_minute:,} submissions per minute from your address",
                retry_after=times[0] + _MINUTE - now,
            )
        self._admitted.append((now, client))


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Read the body of a request; count its bytes, because Content-Length may be wrong.

    A somewhat larger body is read to its end, because a client that is disconnected while sending
    does not receive the reason.

    Raises
    ------
    RefusedError
        413 if the body is larger, 408 if it takes more than a minute, 400 if the client
        disconnects.
    """
    from starlette.requests import ClientDisconnect

    n_read, body = 0, bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            async for chunk in request.stream():
                n_read += len(chunk)
                if n_read <= max_bytes:
                    body += chunk
                elif n_read > max_bytes * _DRAIN_FACTOR:
                    break
    except TimeoutError:
        raise RefusedError(408, "the submission was not received within a minute") from None
    except ClientDisconnect:
        raise RefusedError(400, "the submission is incomplete") from None
    if n_read > max_bytes:
        raise RefusedError(413, f"the submission is larger than {max_bytes:,} bytes")
    return bytes(body)
