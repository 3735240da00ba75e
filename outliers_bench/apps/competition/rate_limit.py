"""Limits on the rate, duration and size of requests."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from outliers_bench.apps.competition.check import RefusedError

if TYPE_CHECKING:
    from fastapi import Request

_MINUTE = 60.0
_MAX_CLIENTS = 10_000  # number of addresses in memory
_BODY_TIMEOUT = 60.0  # seconds
_DRAIN_FACTOR = 4  # a body of up to this many times the limit is read and discarded


class RateLimiter:
    """Limit on the number of requests per minute and client.

    Parameters
    ----------
    per_minute : int
        Maximum number of requests.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, client: str, now: float) -> None:
        """Count a request, unless the client has reached its limit.

        Parameters
        ----------
        client : str
            Address of the client.
        now : float
            Seconds, from a monotonic clock.

        Raises
        ------
        RefusedError
            429 if the limit is reached; a refused request is not counted.
        """
        times = self._times.setdefault(client, deque())
        self._times.move_to_end(client)
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        if len(times) >= self._per_minute:
            raise RefusedError(
                429,
                f"more than {self._per_minute:,} submissions per minute from your address",
                retry_after=times[0] + _MINUTE - now,
            )
        times.append(now)
        while len(self._times) > _MAX_CLIENTS:
            self._times.popitem(last=False)


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Read the body of a request; count its bytes, because Content-Length may be wrong.

    Parameters
    ----------
    request : Request
        Request whose body has not been read.
    max_bytes : int
        Maximum size. A somewhat larger body is read to its end, because a client that is
        disconnected while sending does not receive the reason.

    Returns
    -------
    bytes

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
